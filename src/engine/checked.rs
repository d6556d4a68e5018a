//! Makes arithmetic that overflows an error.
//!
//! DataFusion 55.2 lets `+`, `-`, `*` and the sign of integers wrap around (apache/datafusion#3520), and lets decimals
//! have more digits than their type (apache/datafusion#16406). Whether a physical expression fails instead can be said
//! of it alone, and not where queries are planned, so that these operators become functions of the same names and types
//! before a query is optimised. Decimals whose type holds every result stay as they are.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum};
use arrow::compute::kernels::numeric::{add, mul, neg, sub};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_datafusion_err, exec_err, internal_err};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::kept_casts;

#[derive(Debug)]
pub(super) struct ArithmeticIsChecked;

impl AnalyzerRule for ArithmeticIsChecked {
    fn name(&self) -> &'static str {
        "arithmetic_is_checked"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let checked = |node: LogicalPlan| {
            let mut schema = DFSchema::empty();
            for input in node.inputs() {
                schema.merge(input.schema());
            }
            node.map_expressions(|expression| expression.transform_up(|expression| checked(expression, &schema)))
        };
        plan.transform_up_with_subqueries(checked).map(|transformed| transformed.data)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what goes through a plan may fail")]
fn checked(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let operator = match &expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let Some(operator) = Arithmetic::of(*op) else { return Ok(Transformed::no(expression)) };
            // What has no type here, such as the parameter of a lambda, is left to the engine.
            let (Ok(left), Ok(right)) = (left.get_type(schema), right.get_type(schema)) else {
                return Ok(Transformed::no(expression));
            };
            operator.may_overflow(&left, &right).then_some(operator)
        }
        Expr::Negative(value) => {
            value.get_type(schema).ok().filter(DataType::is_signed_integer).map(|_| Arithmetic::Negative)
        }
        _ => None,
    };
    let Some(operator) = operator else { return Ok(Transformed::no(expression)) };
    let text = text_of(&expression, operator);
    let arguments = match expression {
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => vec![*left, *right],
        Expr::Negative(value) => vec![*value],
        other => return Ok(Transformed::no(other)),
    };
    let signature = Signature::any(arguments.len(), Volatility::Immutable);
    Ok(Transformed::yes(ScalarUDF::from(Checked { operator, text, signature }).call(arguments)))
}

/// Returns an expression with its operators and casts as they were written, for its text.
#[must_use]
pub fn unchecked(expression: &Expr) -> Expr {
    let plain = |expression: Expr| {
        let operator = match &expression {
            Expr::ScalarFunction(call) => match (call.func.inner().downcast_ref::<Checked>(), &call.args[..]) {
                (Some(checked), [left, right]) => {
                    let (left, right) = (Box::new(left.clone()), Box::new(right.clone()));
                    Some(Expr::BinaryExpr(BinaryExpr::new(left, checked.operator.operator(), right)))
                }
                (Some(_), [value]) => Some(Expr::Negative(Box::new(value.clone()))),
                _ => None,
            },
            _ => None,
        };
        Ok(operator.map_or_else(|| kept_casts::written(expression), Transformed::yes))
    };
    expression.clone().transform_up(plain).map_or_else(|_| expression.clone(), |transformed| transformed.data)
}

/// Returns an expression as it is written, what was made functions before included.
fn text_of(expression: &Expr, operator: Arithmetic) -> String {
    let text = |side: &Expr| match side {
        Expr::ScalarFunction(call) => match call.func.inner().downcast_ref::<Checked>() {
            Some(checked) if checked.operator != Arithmetic::Negative => format!("({})", checked.text),
            Some(checked) => checked.text.clone(),
            None => side.human_display().to_string(),
        },
        _ => side.human_display().to_string(),
    };
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => format!("{} {operator} {}", text(left), text(right)),
        Expr::Negative(value) => format!("-{}", text(value)),
        other => other.human_display().to_string(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Arithmetic {
    Plus,
    Minus,
    Times,
    Negative,
}

impl Arithmetic {
    fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Plus),
            Operator::Minus => Some(Self::Minus),
            Operator::Multiply => Some(Self::Times),
            _ => None,
        }
    }

    fn operator(self) -> Operator {
        match self {
            Self::Plus => Operator::Plus,
            Self::Minus | Self::Negative => Operator::Minus,
            Self::Times => Operator::Multiply,
        }
    }

    fn may_overflow(self, left: &DataType, right: &DataType) -> bool {
        match (left, right) {
            (DataType::Decimal128(p1, s1), DataType::Decimal128(p2, s2)) => {
                let (p1, s1, p2, s2) = (i16::from(*p1), i16::from(*s1), i16::from(*p2), i16::from(*s2));
                let digits = match self {
                    Self::Times => p1 + p2 + 1,
                    _ => s1.max(s2) + (p1 - s1).max(p2 - s2) + 1,
                };
                digits > i16::from(DECIMAL128_MAX_PRECISION)
            }
            _ => left.is_integer() && left == right,
        }
    }

    fn result(self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [left, right] => BinaryTypeCoercer::new(left, &self.operator(), right).get_result_type(),
            [value] => Ok(value.clone()),
            _ => internal_err!("{self} takes one argument or two"),
        }
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plus => "+",
            Self::Minus | Self::Negative => "-",
            Self::Times => "*",
        })
    }
}

/// An operator that fails where its result does not fit.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operator: Arithmetic,
    /// As it is written, for the error.
    text: String,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &'static str {
        match self.operator {
            Arithmetic::Plus => "+",
            Arithmetic::Minus | Arithmetic::Negative => "-",
            Arithmetic::Times => "*",
        }
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        Ok(match arguments {
            [left, right] => format!("{} {} {}", left.schema_name(), self.operator, right.schema_name()),
            [value] => format!("(- {})", value.schema_name()),
            _ => return internal_err!("{} takes one argument or two", self.operator),
        })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.operator.result(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.operator.result(&types)?, is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let values = args.args.iter().map(Operand::of).collect::<Result<Vec<_>>>()?;
        let computed = match (self.operator, &values[..]) {
            (Arithmetic::Plus, [left, right]) => add(left, right),
            (Arithmetic::Minus, [left, right]) => sub(left, right),
            (Arithmetic::Times, [left, right]) => mul(left, right),
            (Arithmetic::Negative, [value]) => neg(value.get().0),
            _ => return internal_err!("{} takes one argument or two", self.operator),
        };
        let result = computed.map_err(|error| match error {
            ArrowError::ArithmeticOverflow(words) => {
                let words = words.trim_start_matches("Overflow happened on: ");
                let kind = if args.return_field.data_type().is_integer() { "integer" } else { "decimal" };
                exec_datafusion_err!("{kind} overflow in `{}`: {words} does not fit into its type", self.text)
            }
            other => other.into(),
        })?;
        self.count_digits(&result)?;
        if all_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

impl Checked {
    /// Makes sure that no decimal has more digits than its type.
    fn count_digits(&self, result: &ArrayRef) -> Result<()> {
        const END: u128 = 10_u128.pow(DECIMAL128_MAX_PRECISION as u32);
        if !matches!(result.data_type(), DataType::Decimal128(..)) {
            return Ok(());
        }
        let values = result.as_primitive::<Decimal128Type>();
        if values.iter().flatten().any(|value| value.unsigned_abs() >= END) {
            return exec_err!("decimal overflow in `{}`: the result has more than 38 digits", self.text);
        }
        Ok(())
    }
}

/// One side of an operator.
enum Operand {
    Array(ArrayRef),
    Scalar(arrow::array::Scalar<ArrayRef>),
}

impl Operand {
    fn of(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(array) => Self::Array(Arc::clone(array)),
            ColumnarValue::Scalar(scalar) => Self::Scalar(scalar.to_scalar()?),
        })
    }
}

impl Datum for Operand {
    fn get(&self) -> (&dyn Array, bool) {
        match self {
            Self::Array(array) => (array, false),
            Self::Scalar(scalar) => scalar.get(),
        }
    }
}

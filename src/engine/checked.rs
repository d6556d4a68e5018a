//! Makes arithmetic that overflows an error.
//!
//! DataFusion 55.2 lets `+`, `-`, `*` and the sign of integers wrap around (apache/datafusion#3520), and lets decimals
//! have more digits than their type (apache/datafusion#16406). Whether a physical expression fails instead can be said
//! of it alone, and not where queries are planned, so that these operators become functions of the same names and types
//! before a query is optimised. Decimals whose type holds every result stay as they are.
//!
//! A chain such as `a + b - c * d + e` becomes one function of all its operands: the engine asks functions for their
//! types and names at every level of them again, so that a chain of nested ones takes the cube of its links.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, Scalar};
use arrow::compute::kernels::numeric::{add, div, mul, neg, rem, sub};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRewriter};
use datafusion::common::{
    DFSchema, Result, ScalarValue, exec_datafusion_err, exec_err, internal_datafusion_err, internal_err,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
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
            // A window is named by how its order is shown, which is another way for a function than for an operator.
            let names = matches!(node, LogicalPlan::Window(_)).then(NamePreserver::new_for_projection);
            node.map_expressions(|expression| {
                let name = names.as_ref().map(|names| names.save(&expression));
                let checked = expression.rewrite(&mut Checking { schema: &schema, parts: Vec::new() })?;
                Ok(match name {
                    Some(name) => checked.update_data(|expression| name.restore(expression)),
                    None => checked,
                })
            })
        };
        plan.transform_up_with_subqueries(checked).map(|transformed| transformed.data)
    }
}

/// Goes through an expression, and knows of each part the types of what it is made of: to ask each for its type would go
/// down all of it again, and a chain of a thousand links is a thousand levels deep.
struct Checking<'a> {
    schema: &'a DFSchema,
    /// Of each expression that we are in, what is known of its parts so far.
    parts: Vec<Vec<Known>>,
}

/// What is known of an expression without going down into it.
#[derive(Default)]
struct Known {
    kind: Option<DataType>,
    /// Whether it has one value, whatever the rows.
    is_constant: bool,
}

impl TreeNodeRewriter for Checking<'_> {
    type Node = Expr;

    fn f_down(&mut self, expression: Expr) -> Result<Transformed<Expr>> {
        self.parts.push(Vec::new());
        Ok(Transformed::no(expression))
    }

    fn f_up(&mut self, expression: Expr) -> Result<Transformed<Expr>> {
        let parts = self.parts.pop().unwrap_or_default();
        let (changed, kind) = self.checked(expression, &parts);
        if let Some(around) = self.parts.last_mut() {
            around.push(Known { kind, is_constant: is_constant(&changed.data, &parts) });
        }
        Ok(changed)
    }
}

impl Checking<'_> {
    /// Returns an expression with its own operator checked, if that may overflow, and its type as far as it came out.
    fn checked(&self, expression: Expr, parts: &[Known]) -> (Transformed<Expr>, Option<DataType>) {
        // What has no type here, as where a name is that of two columns, is left to the engine.
        let kind_of = |part: &Expr, at: usize| {
            parts.get(at).and_then(|known| known.kind.clone()).or_else(|| part.get_type(self.schema).ok())
        };
        let (step, kind) = match &expression {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let Some(step) = Step::of(*op) else {
                    let kind = match parts {
                        [Known { kind: Some(left), .. }, Known { kind: Some(right), .. }] => {
                            BinaryTypeCoercer::new(left, op, right).get_result_type().ok()
                        }
                        _ => None,
                    };
                    return (Transformed::no(expression), kind);
                };
                let (Some(left_kind), Some(right_kind)) = (kind_of(left, 0), kind_of(right, 1)) else {
                    return (Transformed::no(expression), None);
                };
                let is_checked = step.may_overflow(&left_kind, &right_kind)
                    || step.is_division() && is_alike(&left_kind, &right_kind) && chain(left).is_some();
                (is_checked.then_some(step), step.result(&left_kind, &right_kind).ok())
            }
            Expr::Negative(value) => {
                let kind = kind_of(value, 0);
                (kind.as_ref().filter(|kind| kind.is_signed_integer()).map(|_| Step::Negative), kind)
            }
            Expr::Column(_) | Expr::Literal(..) | Expr::Cast(_) | Expr::TryCast(_) => {
                (None, expression.get_type(self.schema).ok())
            }
            _ => (None, None),
        };
        let Some(step) = step else { return (Transformed::no(expression), kind) };
        let (first, second) = match expression {
            Expr::BinaryExpr(BinaryExpr { left, right, .. }) => (*left, Some(*right)),
            Expr::Negative(value) => (*value, None),
            other => return (Transformed::no(other), kind),
        };
        // A part that has one value stays by itself, so that it is computed once and can be told of.
        let is_constant = |at: usize| parts.get(at).is_none_or(|known| known.is_constant);
        let goes_on = !is_constant(0) || is_constant(1);
        (Transformed::yes(Chain::of(first, goes_on).with(step, second)), kind)
    }
}

/// Returns whether an expression with these parts has one value, whatever the rows.
fn is_constant(expression: &Expr, parts: &[Known]) -> bool {
    match expression {
        Expr::Literal(..) => true,
        Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => false,
        Expr::AggregateFunction(_)
        | Expr::WindowFunction(_)
        | Expr::Exists(_)
        | Expr::InSubquery(_)
        | Expr::SetComparison(_)
        | Expr::ScalarSubquery(_)
        | Expr::GroupingSet(_)
        | Expr::Unnest(_) => false,
        _ => !parts.is_empty() && parts.iter().all(|part| part.is_constant),
    }
}

/// Returns whether two values are of one kind of numbers that a chain is made of.
fn is_alike(left: &DataType, right: &DataType) -> bool {
    match (left, right) {
        (DataType::Decimal128(..), DataType::Decimal128(..)) => true,
        _ => left.is_integer() && left == right,
    }
}

/// A chain of operators as it is taken apart and put together.
struct Chain {
    steps: Vec<Step>,
    arguments: Vec<Expr>,
    texts: Vec<Arc<str>>,
}

impl Chain {
    /// Begins with an expression: with its own links, if it is a chain and that goes on, or else as the first operand.
    fn of(expression: Expr, goes_on: bool) -> Self {
        let links = if goes_on { chain(&expression) } else { None };
        let links = links.map(|(checked, _)| (checked.steps.clone(), checked.texts.clone()));
        match (links, expression) {
            (Some((steps, texts)), Expr::ScalarFunction(call)) => Self { steps, arguments: call.args, texts },
            (_, first) => Self { steps: Vec::new(), texts: vec![text_of(&first)], arguments: vec![first] },
        }
    }

    /// Adds a link, and returns the function of all.
    fn with(mut self, step: Step, operand: Option<Expr>) -> Expr {
        self.steps.push(step);
        if let Some(operand) = operand {
            self.texts.push(text_of(&operand));
            self.arguments.push(operand);
        }
        self.into_expression()
    }

    fn into_expression(self) -> Expr {
        let signature = Signature::any(self.arguments.len(), Volatility::Immutable);
        ScalarUDF::from(Checked { steps: self.steps, texts: self.texts, signature }).call(self.arguments)
    }
}

/// Returns the links and the operands of an expression that was made a function.
fn chain(expression: &Expr) -> Option<(&Checked, &[Expr])> {
    let Expr::ScalarFunction(call) = expression else { return None };
    Some((call.func.inner().downcast_ref::<Checked>()?, &call.args))
}

/// Returns an expression with its operators and casts as they were written, for its text.
#[must_use]
pub fn unchecked(expression: &Expr) -> Expr {
    let plain = |expression: Expr| {
        let Some(steps) = chain(&expression).map(|(checked, _)| checked.steps.clone()) else {
            return Ok(kept_casts::written(expression));
        };
        let Expr::ScalarFunction(call) = expression else { return Ok(Transformed::no(expression)) };
        let mut operands = call.args.into_iter();
        let mut next = || operands.next().ok_or_else(|| internal_datafusion_err!("a link of a chain has no operand"));
        let mut so_far = next()?;
        for step in steps {
            so_far = match step.operator() {
                Some(operator) => Expr::BinaryExpr(BinaryExpr::new(Box::new(so_far), operator, Box::new(next()?))),
                None => Expr::Negative(Box::new(so_far)),
            };
        }
        Ok(Transformed::yes(so_far))
    };
    expression.clone().transform_up(plain).map_or_else(|_| expression.clone(), |transformed| transformed.data)
}

/// Returns the first `links` links of a chain of operators, unless that is all of it.
fn beginning(checked: &Checked, arguments: &[Expr], links: usize) -> Option<Expr> {
    let steps = checked.steps.get(..links).filter(|steps| steps.len() < checked.steps.len())?;
    let operands = 1 + steps.iter().filter(|step| step.operator().is_some()).count();
    let arguments = arguments.get(..operands)?.to_vec();
    if steps.is_empty() {
        return arguments.into_iter().next();
    }
    let texts = checked.texts.get(..operands)?.to_vec();
    Some(Chain { steps: steps.to_vec(), arguments, texts }.into_expression())
}

/// Of a chain of operators that fails, returns the shortest beginning that does, unless that is all of it. Once a link
/// fails, so does all that goes on from there.
#[must_use]
pub fn shortest(expression: &Expr, fails: impl Fn(&Expr) -> bool) -> Option<Expr> {
    let (checked, arguments) = chain(expression)?;
    let (mut well, mut failing) = (0, checked.steps.len());
    let mut found = None;
    while well + 1 < failing {
        let middle = usize::midpoint(well, failing);
        let part = beginning(checked, arguments, middle)?;
        if fails(&part) {
            failing = middle;
            found = Some(part);
        } else {
            well = middle;
        }
    }
    found
}

/// Returns the links of a chain of operators whose operand `is_wanted`, and the first, each as an operator over all
/// before it; `None` of what is no chain.
#[must_use]
pub fn links(expression: &Expr, is_wanted: impl Fn(&Expr) -> bool) -> Option<Vec<Expr>> {
    let (checked, arguments) = chain(expression)?;
    let mut operands = arguments.iter().skip(1);
    let link = |(at, step): (usize, &Step)| {
        let operand = if step.operator().is_some() { Some(operands.next()?) } else { None };
        if at > 0 && !operand.is_some_and(&is_wanted) {
            return None;
        }
        Some(Chain::of(beginning(checked, arguments, at)?, false).with(*step, operand.cloned()))
    };
    Some(checked.steps.iter().enumerate().filter_map(link).collect())
}

/// How many letters of a side of an operator an error shows.
const MOST_LETTERS: usize = 100;

/// Returns an operand as it is written, for errors, unless it is long.
fn text_of(operand: &Expr) -> Arc<str> {
    match chain(operand) {
        Some((checked, _)) => {
            let text = checked.text(checked.steps.len());
            checked.steps.last().map_or_else(String::new, |last| in_parentheses(*last, text)).into()
        }
        None => short(unchecked(operand).human_display().to_string()).into(),
    }
}

/// Returns what an operator came to as it is written beside another.
fn in_parentheses(last: Step, text: String) -> String {
    if last.operator().is_some() && text.chars().nth(MOST_LETTERS).is_none() {
        format!("({text})")
    } else {
        short(text)
    }
}

fn short(text: String) -> String {
    if text.chars().nth(MOST_LETTERS).is_none() { text } else { "…".to_owned() }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Plus,
    Minus,
    Times,
    Over,
    Modulo,
    Negative,
}

impl Step {
    fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Plus),
            Operator::Minus => Some(Self::Minus),
            Operator::Multiply => Some(Self::Times),
            Operator::Divide => Some(Self::Over),
            Operator::Modulo => Some(Self::Modulo),
            _ => None,
        }
    }

    /// Returns the operator between two operands; a sign has one alone.
    fn operator(self) -> Option<Operator> {
        match self {
            Self::Plus => Some(Operator::Plus),
            Self::Minus => Some(Operator::Minus),
            Self::Times => Some(Operator::Multiply),
            Self::Over => Some(Operator::Divide),
            Self::Modulo => Some(Operator::Modulo),
            Self::Negative => None,
        }
    }

    /// Returns whether the engine itself says when it does not fit, so that this needs a check only within a chain.
    fn is_division(self) -> bool {
        matches!(self, Self::Over | Self::Modulo)
    }

    fn may_overflow(self, left: &DataType, right: &DataType) -> bool {
        if self.is_division() {
            return false;
        }
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

    /// Returns the type of what comes of two values.
    fn result(self, left: &DataType, right: &DataType) -> Result<DataType> {
        match self.operator() {
            Some(_) if left.is_integer() && left == right => Ok(left.clone()),
            Some(operator) => BinaryTypeCoercer::new(left, &operator, right).get_result_type(),
            None => Ok(left.clone()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plus => "+",
            Self::Minus | Self::Negative => "-",
            Self::Times => "*",
            Self::Over => "/",
            Self::Modulo => "%",
        }
    }

    fn compute(self, left: &Operand, right: Option<&Operand>) -> Result<ArrayRef, ArrowError> {
        match (self, right) {
            (Self::Negative, _) => neg(left.get().0),
            (Self::Plus, Some(right)) => add(left, right),
            (Self::Minus, Some(right)) => sub(left, right),
            (Self::Times, Some(right)) => mul(left, right),
            (Self::Over, Some(right)) => div(left, right),
            (Self::Modulo, Some(right)) => rem(left, right),
            (_, None) => Err(ArrowError::ComputeError(format!("`{}` takes two operands", self.name()))),
        }
    }
}

/// A chain of operators that fails where a result does not fit: each takes what all before it came to, and the next
/// operand.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    steps: Vec<Step>,
    /// Each operand as it is written, for the error.
    texts: Vec<Arc<str>>,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &'static str {
        self.steps.last().map_or("+", |step| step.name())
    }

    /// Returns the name that the operators have elsewhere too.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let mut operands = arguments.iter();
        let mut name = operands.next().map(|first| first.schema_name().to_string()).unwrap_or_default();
        for step in &self.steps {
            match step.operator() {
                Some(operator) => {
                    let Some(operand) = operands.next() else {
                        return internal_err!("a link of a chain has no operand");
                    };
                    name.push_str(&format!(" {operator} {}", operand.schema_name()));
                }
                None => name = format!("(- {name})"),
            }
        }
        Ok(name)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let mut operands = arguments.iter();
        let Some(mut kind) = operands.next().cloned() else { return internal_err!("a chain has no operand") };
        for step in &self.steps {
            if step.operator().is_some() {
                let Some(operand) = operands.next() else { return internal_err!("a link of a chain has no operand") };
                kind = step.result(&kind, operand)?;
            }
        }
        Ok(kind)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let kinds: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&kinds)?, is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut operands = args.args.iter();
        let mut next = || {
            let Some(value) = operands.next() else { return internal_err!("a link of a chain has no operand") };
            Operand::of(value)
        };
        let mut so_far = next()?;
        for (at, step) in self.steps.iter().enumerate() {
            let operand = if step.operator().is_some() { Some(next()?) } else { None };
            let computed = step.compute(&so_far, operand.as_ref()).map_err(|error| match error {
                ArrowError::ArithmeticOverflow(words) => {
                    let words = words.trim_start_matches("Overflow happened on: ");
                    let kind = if so_far.get().0.data_type().is_integer() { "integer" } else { "decimal" };
                    let text = self.text(at + 1);
                    exec_datafusion_err!("{kind} overflow in `{text}`: {words} does not fit into its type")
                }
                other => other.into(),
            })?;
            if !step.is_division() {
                self.count_digits(&computed, at + 1)?;
            }
            let is_scalar = so_far.is_scalar() && operand.as_ref().is_none_or(Operand::is_scalar);
            so_far = if is_scalar { Operand::Scalar(Scalar::new(computed)) } else { Operand::Array(computed) };
        }
        Ok(match so_far {
            Operand::Array(array) => ColumnarValue::Array(array),
            Operand::Scalar(value) => ColumnarValue::Scalar(ScalarValue::try_from_array(value.get().0, 0)?),
        })
    }
}

impl Checked {
    /// Returns the first `links` links as they are written; what comes before the last of them is left out if it is long.
    fn text(&self, links: usize) -> String {
        let mut operands = self.texts.iter();
        let mut text = operands.next().map(ToString::to_string).unwrap_or_default();
        for at in 0..links.min(self.steps.len()) {
            let before = if at == 0 { text } else { in_parentheses(self.steps[at - 1], text) };
            text = match self.steps[at].operator() {
                Some(operator) => format!("{before} {operator} {}", operands.next().map_or("", |text| &**text)),
                None => format!("-{before}"),
            };
        }
        text
    }

    /// Makes sure that no decimal has more digits than its type.
    fn count_digits(&self, result: &ArrayRef, links: usize) -> Result<()> {
        const END: u128 = 10_u128.pow(DECIMAL128_MAX_PRECISION as u32);
        if !matches!(result.data_type(), DataType::Decimal128(..)) {
            return Ok(());
        }
        let values = result.as_primitive::<Decimal128Type>();
        if values.iter().flatten().any(|value| value.unsigned_abs() >= END) {
            let text = self.text(links);
            return exec_err!("decimal overflow in `{text}`: the result has more than 38 digits");
        }
        Ok(())
    }
}

/// One side of an operator.
enum Operand {
    Array(ArrayRef),
    Scalar(Scalar<ArrayRef>),
}

impl Operand {
    fn of(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(array) => Self::Array(Arc::clone(array)),
            ColumnarValue::Scalar(scalar) => Self::Scalar(scalar.to_scalar()?),
        })
    }

    fn is_scalar(&self) -> bool {
        matches!(self, Self::Scalar(_))
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

//! Keeps casts that change a value from being taken out of comparisons.
//!
//! DataFusion 55.2 compares what is cast with a constant by casting the constant the other way and leaving the cast out.
//! Where several values become one, or some become none, that is another comparison: of a decimal that is cut
//! (apache/datafusion#23095), of an integer that does not fit (apache/datafusion#22142), of a time of day that becomes an
//! instant of a zone (apache/datafusion#25095). Such casts become functions before a query is optimised, which cast alike.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use arrow::util::display::FormatOptions;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

#[derive(Debug)]
pub(super) struct CastsAreKept;

impl AnalyzerRule for CastsAreKept {
    fn name(&self) -> &'static str {
        "casts_are_kept"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let kept = |node: LogicalPlan| {
            let mut schema = DFSchema::empty();
            for input in node.inputs() {
                schema.merge(input.schema());
            }
            node.map_expressions(|expression| expression.transform_up(|expression| kept(expression, &schema)))
        };
        plan.transform_up_with_subqueries(kept).map(|transformed| transformed.data)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what goes through a plan may fail")]
fn kept(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (value, to, gives_null) = match &expression {
        Expr::Cast(Cast { expr, field }) => (expr, field, false),
        Expr::TryCast(TryCast { expr, field }) => (expr, field, true),
        _ => return Ok(Transformed::no(expression)),
    };
    if matches!(value.as_ref(), Expr::Literal(..)) {
        return Ok(Transformed::no(expression));
    }
    match value.get_type(schema) {
        Ok(from) if changes(&from, to.data_type()) => {
            let cast = KeptCast {
                to: to.data_type().clone(),
                gives_null,
                signature: Signature::any(1, Volatility::Immutable),
            };
            Ok(Transformed::yes(ScalarUDF::from(cast).call(vec![value.as_ref().clone()])))
        }
        _ => Ok(Transformed::no(expression)),
    }
}

/// Returns an expression with its casts as they were written.
pub(super) fn written(expression: Expr) -> Transformed<Expr> {
    let Expr::ScalarFunction(call) = &expression else { return Transformed::no(expression) };
    match (call.func.inner().downcast_ref::<KeptCast>(), &call.args[..]) {
        (Some(cast), [value]) => {
            let (value, to) = (Box::new(value.clone()), cast.to.clone());
            Transformed::yes(if cast.gives_null {
                Expr::TryCast(TryCast::new(value, to))
            } else {
                Expr::Cast(Cast::new(value, to))
            })
        }
        _ => Transformed::no(expression),
    }
}

/// Returns whether a cast between types that the engine takes out of comparisons makes another value of some.
fn changes(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Timestamp(_, None), DataType::Timestamp(_, Some(zone))) if !is_utc(zone) => true,
        // The constant would be cut to whole seconds. Of stored instants it is cut to microseconds, which few would write
        // more digits than; where all casts of them stayed, no file could be left out for its times.
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => {
            from != to && matches!(from, TimeUnit::Second | TimeUnit::Millisecond)
        }
        _ => match (Digits::of(from), Digits::of(to)) {
            (Some(from), Some(to)) => !from.fit(&to),
            _ => false,
        },
    }
}

/// Returns whether a zone is UTC by another name.
#[must_use]
pub fn is_utc(zone: &str) -> bool {
    ["UTC", "Z", "+00:00", "Etc/UTC"].contains(&zone)
}

/// Which exact numbers a type holds.
struct Digits {
    /// The least and the greatest integer, where it is a type of these.
    range: Option<(i128, i128)>,
    /// Digits before the point, of a decimal.
    before: i32,
    /// Digits after it.
    after: i32,
}

impl Digits {
    fn of(kind: &DataType) -> Option<Self> {
        let integer = |least: i128, most: i128, before| Self { range: Some((least, most)), before, after: 0 };
        Some(match kind {
            DataType::Int8 => integer(i8::MIN.into(), i8::MAX.into(), 3),
            DataType::Int16 => integer(i16::MIN.into(), i16::MAX.into(), 5),
            DataType::Int32 => integer(i32::MIN.into(), i32::MAX.into(), 10),
            DataType::Int64 => integer(i64::MIN.into(), i64::MAX.into(), 19),
            DataType::UInt8 => integer(0, u8::MAX.into(), 3),
            DataType::UInt16 => integer(0, u16::MAX.into(), 5),
            DataType::UInt32 => integer(0, u32::MAX.into(), 10),
            DataType::UInt64 => integer(0, u64::MAX.into(), 20),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => {
                Self { range: None, before: i32::from(*precision) - i32::from(*scale), after: i32::from(*scale) }
            }
            _ => return None,
        })
    }

    /// Returns whether all of these are numbers of the other type.
    fn fit(&self, other: &Self) -> bool {
        match (self.range, other.range) {
            (Some((least, most)), Some((lowest, highest))) => lowest <= least && most <= highest,
            (_, None) => self.before <= other.before && self.after <= other.after,
            // Few decimals are integers.
            (None, Some(_)) => false,
        }
    }
}

/// A cast that stays where it is.
#[derive(Debug, PartialEq, Eq)]
struct KeptCast {
    to: DataType,
    /// Whether what cannot be cast becomes null.
    gives_null: bool,
    signature: Signature,
}

impl Hash for KeptCast {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.to, self.gives_null).hash(state);
    }
}

impl ScalarUDFImpl for KeptCast {
    fn name(&self) -> &'static str {
        if self.gives_null { "try_cast" } else { "cast" }
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        let word = if self.gives_null { "TRY_CAST" } else { "CAST" };
        let [value] = arguments else { return internal_err!("a cast takes one value") };
        Ok(format!("{word}({} AS {})", value.human_display(), self.to))
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let [value] = arguments else { return internal_err!("a cast takes one value") };
        Ok(value.schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = self.gives_null || args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.to.clone(), is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let options = CastOptions { safe: self.gives_null, format_options: FormatOptions::default() };
        let [value] = &args.args[..] else { return internal_err!("a cast takes one value") };
        value.cast_to(&self.to, Some(&options))
    }
}

//! Lengths of time of which DataFusion 55.2 says something else than they are.
//!
//! The parts of a difference of two instants are whole, `extract(epoch …)` among them; as a number it is a count of
//! whatever unit the instants have; `to_char` ignores the pattern; and a comparison with an interval goes by its days
//! before its hours, so that 25 hours are less than one day. `seconds_between` says it exactly.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan};

use super::{compares, expressions, mistake};
use crate::diagnostic::{Code, Diagnostics, SourceFile};

pub(super) fn check(file: &SourceFile, plan: &LogicalPlan, mistakes: &mut Diagnostics) {
    expressions(plan, |expression, schema| {
        let kind = |expression: &Expr| expression.get_type(schema).ok();
        let is_duration = |expression: &Expr| matches!(kind(expression), Some(DataType::Duration(_)));
        let mut tell = |message: &str, help: &str| {
            mistakes.push(mistake(Code::LengthOfTime, file, expression, message).help(help));
        };
        match expression {
            Expr::ScalarFunction(call) if call.args.iter().any(is_duration) => match call.func.name() {
                "date_part" => tell(
                    "the engine cuts a part of a difference of two instants to a whole number",
                    "use seconds_between(start, end), the exact seconds with their fraction, and divide",
                ),
                "to_char" => tell(
                    "the engine does not use the pattern for a difference of two instants",
                    "use seconds_between(start, end), and make the text of that",
                ),
                _ => {}
            },
            Expr::Cast(cast) if is_duration(&cast.expr) && cast.field.data_type().is_numeric() => tell(
                "a difference of two instants as a number is a count of the unit that the instants are stored in",
                "use seconds_between(start, end)",
            ),
            Expr::TryCast(cast) if is_duration(&cast.expr) && cast.field.data_type().is_numeric() => tell(
                "a difference of two instants as a number is a count of the unit that the instants are stored in",
                "use seconds_between(start, end)",
            ),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) && mixes_days(&[left, right], &kind) => {
                tell(
                    "the engine compares intervals by their days before their hours: 25 hours are less than 1 day",
                    "compare seconds: seconds_between(start, end) > 86400; or instants: end > start + interval '1 day'",
                );
            }
            Expr::Between(Between { expr, low, high, .. }) if mixes_days(&[expr, low, high], &kind) => tell(
                "the engine compares intervals by their days before their hours: 25 hours are less than 1 day",
                "compare seconds: seconds_between(start, end) between 3600 and 86400",
            ),
            _ => {}
        }
    });
}

/// Returns whether intervals are compared of which one may have days or months. A difference of two instants has none,
/// and neither has a constant of hours and less.
fn mixes_days(sides: &[&Expr], kind: &impl Fn(&Expr) -> Option<DataType>) -> bool {
    let is_interval = |side: &&&Expr| matches!(kind(side), Some(DataType::Interval(_)));
    sides.iter().any(|side| is_interval(&side)) && sides.iter().any(|side| has_days(side, kind))
}

fn has_days(side: &Expr, kind: &impl Fn(&Expr) -> Option<DataType>) -> bool {
    match side {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(interval), _) => {
            interval.is_some_and(|interval| interval.months != 0 || interval.days != 0)
        }
        Expr::Literal(ScalarValue::IntervalDayTime(interval), _) => interval.is_some_and(|interval| interval.days != 0),
        Expr::Literal(value, _) => matches!(value, ScalarValue::IntervalYearMonth(Some(_))),
        Expr::Cast(cast) => !matches!(kind(&cast.expr), Some(DataType::Duration(_))),
        Expr::Alias(alias) => has_days(&alias.expr, kind),
        other => !matches!(kind(other), Some(DataType::Duration(_))),
    }
}

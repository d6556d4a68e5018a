//! Conditions that DataFusion 55.2 simplifies into others.
//!
//! A comparison of a decimal that is cut to fewer places with a constant becomes one of the decimal as it was
//! (apache/datafusion#23095); SIMILAR TO takes its pattern for a regular expression (apache/datafusion#22263); and what
//! is null comes out as false where a text is matched with `.*` (apache/datafusion#24379), and as false or true where two
//! lists exclude each other or leave nothing out (apache/datafusion#24246).

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use super::{compares, expressions, mistake};
use crate::diagnostic::{Code, Diagnostics, SourceFile};

pub(super) fn check(file: &SourceFile, plan: &LogicalPlan, mistakes: &mut Diagnostics) {
    expressions(plan, |expression, schema| {
        let kind = |expression: &Expr| expression.get_type(schema).ok();
        let mut tell = |message: &str, help: &str| {
            mistakes.push(mistake(Code::EngineFault, file, expression, message).help(help));
        };
        match expression {
            Expr::SimilarTo(_) => tell(
                "the engine takes the pattern of `similar to` for a regular expression",
                "use `like`, or `~` with a regular expression",
            ),
            Expr::BinaryExpr(BinaryExpr { op: Operator::RegexMatch | Operator::RegexIMatch, right, .. })
                if is_anything(right) =>
            {
                tell("the engine says false of null here, and not null", "write `is not null`");
            }
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right })
                if excludes(left, *op, right) =>
            {
                tell(
                    "the engine says whether two lists allow any value, and forgets what is null",
                    "write one list, or a condition of its own for null",
                );
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
                let cut = [(left, right), (right, left)]
                    .into_iter()
                    .any(|(side, other)| other.column_refs().is_empty() && is_cut(side, &kind));
                if cut {
                    tell(CUT, ROUND);
                }
            }
            Expr::InList(list) if is_cut(&list.expr, &kind) => tell(CUT, ROUND),
            Expr::Between(Between { expr, .. }) if is_cut(expr, &kind) => tell(CUT, ROUND),
            _ => {}
        }
    });
}

const CUT: &str = "the engine compares the decimal as it was before a cast took places from it";
const ROUND: &str = "round it: round(amount, 2) = 1.23";

/// Returns whether an expression is a decimal that a cast takes places from.
fn is_cut(expression: &Expr, kind: &impl Fn(&Expr) -> Option<DataType>) -> bool {
    let (inner, to) = match expression {
        Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
        Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
        _ => return false,
    };
    let places = |kind: &DataType| match kind {
        DataType::Decimal32(_, places)
        | DataType::Decimal64(_, places)
        | DataType::Decimal128(_, places)
        | DataType::Decimal256(_, places) => Some(*places),
        _ => None,
    };
    let before = kind(inner).as_ref().and_then(places);
    let after = if to.is_integer() { Some(0) } else { places(to) };
    matches!((before, after), (Some(before), Some(after)) if after < before) || is_cut(inner, kind)
}

fn is_anything(pattern: &Expr) -> bool {
    matches!(
        pattern,
        Expr::Literal(
            ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)),
            _
        ) if text == ".*"
    )
}

fn excludes(left: &Expr, operator: Operator, right: &Expr) -> bool {
    let (Expr::InList(left), Expr::InList(right)) = (left, right) else { return false };
    let constant = |list: &InList| list.list.iter().all(|value| matches!(value, Expr::Literal(..)));
    let is_negated = operator == Operator::Or;
    left.expr == right.expr
        && left.negated == is_negated
        && right.negated == is_negated
        && constant(left)
        && constant(right)
        && !left.list.iter().any(|value| right.list.contains(value))
}

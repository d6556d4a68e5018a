//! Conditions that DataFusion 55.2 simplifies into others.
//!
//! SIMILAR TO takes its pattern for a regular expression (apache/datafusion#22263); what is null comes out as false where a
//! text is matched with `.*` (apache/datafusion#24379), as false or true where two lists exclude each other or leave
//! nothing out, and as 0 where a value and itself are put together with `^`; and a list that is written out and asked for a
//! value becomes IN, which says null where an element is null (apache/datafusion#24246).

use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use super::{expressions, mistake};
use crate::diagnostic::{Code, Diagnostics, SourceFile};

pub(super) fn check(file: &SourceFile, plan: &LogicalPlan, mistakes: &mut Diagnostics) {
    expressions(plan, |expression, schema| {
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
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::BitwiseXor, right }) if left == right => {
                tell("the engine says 0 of null here, and not null", "write 0, or a condition of its own for null");
            }
            Expr::ScalarFunction(call) if call.func.name() == "array_has" && may_hold_null(&call.args, schema) => tell(
                "the engine says null where an element of the list is null, and not whether the others have the value",
                "write `x in (a, b)`, which says null as well, or `coalesce(x in (a, b), false)`",
            ),
            _ => {}
        }
    });
}

/// Returns whether a list that is written out, the first of these, may hold null.
fn may_hold_null(arguments: &[Expr], schema: &DFSchema) -> bool {
    match arguments.first() {
        Some(Expr::ScalarFunction(list)) if list.func.name() == "make_array" => {
            list.args.iter().any(|element| element.nullable(schema).unwrap_or(true))
        }
        _ => false,
    }
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

//! Subqueries that DataFusion 55.2 turns into joins that do not mean the same.
//!
//! IN and NOT IN say null where the value is not found among values of which one is null, and where it is null itself.
//! The engine knows that of `x not in (…)` as a condition of its own only: not below OR or NOT, not of a constant, and not
//! where the subquery reads the outer query (apache/datafusion#8241, #25336, #25340, #25347, #25480). What a correlated
//! subquery does to its rows after it has chosen them is done to the rows of all: an OFFSET (#25283), an aggregate without
//! GROUP BY (#24960), grouping sets (#25519), the other side of an outer join (#25507), a window. ANY and ALL compare a
//! subquery over a table of the same name with itself (#25258).

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, TableReference};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::{BinaryExpr, Expr, FetchType, LogicalPlan, Operator, SkipType, Subquery};

use super::mistake;
use crate::diagnostic::{Code, Diagnostics, SourceFile};

pub(super) fn check(file: &SourceFile, plan: &LogicalPlan, mistakes: &mut Diagnostics) {
    let _ = plan.apply_with_subqueries(|node| {
        let mut found = Vec::new();
        let context = if matches!(node, LogicalPlan::Filter(_)) { Context::Condition } else { Context::Value };
        let _ = node.apply_expressions(|expression| {
            look(expression, context, &mut found);
            Ok(TreeNodeRecursion::Continue)
        });
        if let LogicalPlan::Subquery(subquery) = node
            && !subquery.outer_ref_columns.is_empty()
            && has_having(&subquery.subquery)
            && let Some(outer) = subquery.outer_ref_columns.first()
        {
            let message = "the engine keeps rows of a lateral query whose HAVING says no";
            found.push((outer.clone(), message.to_owned(), "put the condition into the `where` of the outer query"));
        }
        for (at, message, help) in found {
            mistakes.push(mistake(Code::EngineFault, file, &at, message).help(help));
        }
        Ok(TreeNodeRecursion::Continue)
    });
}

type Found = (Expr, String, &'static str);

/// What becomes of the value of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    /// It is one of the conditions that a row has to fulfil.
    Condition,
    /// It is part of a condition, where null and false come to the same.
    Part,
    /// Null and false may be told apart.
    Value,
}

/// Looks for faults in an expression.
fn look(expression: &Expr, context: Context, found: &mut Vec<Found>) {
    let part = if context == Context::Value { Context::Value } else { Context::Part };
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            look(left, context, found);
            look(right, context, found);
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            look(left, part, found);
            look(right, part, found);
        }
        Expr::Case(case) if case.expr.is_none() => {
            for (when, then) in &case.when_then_expr {
                look(when, Context::Part, found);
                look(then, Context::Value, found);
            }
            case.else_expr.iter().for_each(|otherwise| look(otherwise, Context::Value, found));
        }
        Expr::Alias(alias) => look(&alias.expr, context, found),
        Expr::Not(inner) if matches!(inner.as_ref(), Expr::InSubquery(_)) => {
            if let Expr::InSubquery(membership) = inner.as_ref() {
                let turned = InSubquery { negated: !membership.negated, ..membership.clone() };
                look_at_membership(expression, &turned, context, found);
                look(&membership.expr, Context::Value, found);
            }
        }
        Expr::InSubquery(membership) => {
            look_at_membership(expression, membership, context, found);
            look(&membership.expr, Context::Value, found);
        }
        Expr::SetComparison(comparison) => {
            if is_named_alike(&comparison.expr, &comparison.subquery.subquery) {
                let message = "the engine compares the subquery with itself here, as both sides have one name";
                let help = "name the table of the subquery: `a > any (select b.a from t as b)`";
                found.push((comparison.expr.as_ref().clone(), message.to_owned(), help));
            }
            look(&comparison.expr, Context::Value, found);
        }
        Expr::Exists(exists) => look_at_rows(expression, &exists.subquery, true, found),
        Expr::ScalarSubquery(subquery) => look_at_rows(expression, subquery, false, found),
        other => {
            let _ = other.apply_children(|child| {
                look(child, Context::Value, found);
                Ok(TreeNodeRecursion::Continue)
            });
        }
    }
}

/// Returns whether a subquery reads a table under a name that a value to compare it with is of.
fn is_named_alike(value: &Expr, plan: &LogicalPlan) -> bool {
    let columns = value.column_refs();
    let is_of = |name: &TableReference| {
        columns.iter().any(|column| column.relation.as_ref().is_some_and(|relation| relation.table() == name.table()))
    };
    // A table has no other name than its alias.
    match plan {
        LogicalPlan::SubqueryAlias(alias) => is_of(&alias.alias),
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Window(_) => plan.inputs().into_iter().any(|input| is_named_alike(value, input)),
        LogicalPlan::TableScan(scan) => is_of(&scan.table_name),
        _ => false,
    }
}

fn look_at_membership(expression: &Expr, membership: &InSubquery, context: Context, found: &mut Vec<Found>) {
    let words = match (membership.negated, context) {
        (true, Context::Condition) if is_correlated(&membership.subquery) => {
            "with a subquery that reads the outer query"
        }
        (true, Context::Condition) if membership.expr.column_refs().is_empty() => "with a constant and a subquery",
        (true, Context::Part) => "below `or`",
        (_, Context::Value) => "where it is part of another expression",
        _ => return look_at_rows(expression, &membership.subquery, true, found),
    };
    let operator = if membership.negated { "not in" } else { "in" };
    let message = format!("the engine forgets what is null in `{operator}` {words}");
    let help = "write `exists` or `not exists (select 1 from … where … = …)`, which know no null";
    found.push((expression.clone(), message, help));
}

/// Returns whether a query has a HAVING and no GROUP BY.
fn has_having(plan: &LogicalPlan) -> bool {
    fn is_of_all(plan: &LogicalPlan) -> bool {
        match plan {
            LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
            LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Limit(_) => {
                plan.inputs().into_iter().any(is_of_all)
            }
            _ => false,
        }
    }
    match plan {
        LogicalPlan::Filter(filter) => is_of_all(&filter.input),
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => {
            plan.inputs().into_iter().any(has_having)
        }
        _ => false,
    }
}

/// Looks at what a subquery does to rows that it chose by what the outer query says.
fn look_at_rows(expression: &Expr, subquery: &Subquery, of_any_count: bool, found: &mut Vec<Found>) {
    if is_correlated(subquery)
        && let Some(words) = fault(&subquery.subquery, of_any_count)
    {
        let message = format!(
            "the engine applies {words} in a subquery that reads the outer query to the rows of all outer rows together"
        );
        let help = "make the subquery a CTE without the condition, and join it";
        found.push((chosen_by(&subquery.subquery).unwrap_or_else(|| expression.clone()), message, help));
    }
}

/// Returns an expression of a subquery that reads the outer query, for its place.
fn chosen_by(plan: &LogicalPlan) -> Option<Expr> {
    let mut found = None;
    let _ = plan.apply(|node| {
        node.apply_expressions(|expression| {
            if expression.contains_outer() && !expression.column_refs().is_empty() {
                found.get_or_insert_with(|| expression.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    });
    found
}

fn is_correlated(subquery: &Subquery) -> bool {
    !subquery.outer_ref_columns.is_empty()
}

fn fault(plan: &LogicalPlan, of_any_count: bool) -> Option<&'static str> {
    let chooses = |plan: &LogicalPlan| plan.exists(|node| Ok(node.contains_outer_reference())).unwrap_or(true);
    let below = || plan.inputs().iter().any(|input| chooses(input));
    let here = match plan {
        LogicalPlan::Limit(limit) if below() => {
            let skips = !matches!(limit.get_skip_type(), Ok(SkipType::Literal(0)));
            let fetches_none = matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(0))));
            (skips || fetches_none).then_some("an OFFSET")
        }
        LogicalPlan::Aggregate(aggregate) if below() => {
            if aggregate.group_expr.iter().any(|group| matches!(group, Expr::GroupingSet(_))) {
                Some("grouping sets")
            } else {
                (of_any_count && aggregate.group_expr.is_empty()).then_some("an aggregate without GROUP BY")
            }
        }
        LogicalPlan::Window(_) if below() => Some("a window"),
        LogicalPlan::Join(join) => {
            let condition = join.filter.iter().any(Expr::contains_outer)
                || join.on.iter().any(|(left, right)| left.contains_outer() || right.contains_outer());
            let (left, right) = (chooses(&join.left) || condition, chooses(&join.right) || condition);
            let wrong = match join.join_type {
                JoinType::Left => right,
                JoinType::Right => left,
                JoinType::Full => left || right,
                _ => false,
            };
            wrong.then_some("an outer join")
        }
        _ => None,
    };
    here.or_else(|| plan.inputs().into_iter().find_map(|input| fault(input, of_any_count)))
}

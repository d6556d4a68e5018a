//! Orders the rows of an aggregate only where that matters, and by each expression once.
//!
//! `max(x order by y)`, `avg(x order by y)` and others that do not depend on the order of rows fail in DataFusion 55.2 as
//! soon as they are grouped (apache/datafusion#25401), and so does an order that names one expression twice, as in
//! `first_value(x order by y, y)` or `distinct on` (apache/datafusion#25398). The first mean the same without the order,
//! the others with each expression where it stands first.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::{AggregateFunction, Sort};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// The aggregates that an ORDER BY among their arguments decides about.
pub const ORDERED_AGGREGATES: [&str; 5] = ["array_agg", "first_value", "last_value", "nth_value", "string_agg"];

#[derive(Debug)]
pub(super) struct AggregatesOrderOnce;

impl AnalyzerRule for AggregatesOrderOnce {
    fn name(&self) -> &'static str {
        "aggregates_order_once"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let once = |node: LogicalPlan| match node {
            LogicalPlan::Aggregate(_) => {
                let names = NamePreserver::new_for_projection();
                node.map_expressions(|expression| {
                    if !expression.exists(|part| Ok(has_order(part)))? {
                        return Ok(Transformed::no(expression));
                    }
                    let name = names.save(&expression);
                    let ordered = expression.transform_up(|part| Ok(ordered_once(part)))?;
                    Ok(ordered.update_data(|ordered| name.restore(ordered)))
                })
            }
            LogicalPlan::Distinct(Distinct::On(mut on)) => {
                let is_changed = on.sort_expr.as_mut().is_some_and(keep_first);
                let node = LogicalPlan::Distinct(Distinct::On(on));
                Ok(if is_changed { Transformed::yes(node) } else { Transformed::no(node) })
            }
            other => Ok(Transformed::no(other)),
        };
        plan.transform_up_with_subqueries(once).map(|transformed| transformed.data)
    }
}

fn has_order(expression: &Expr) -> bool {
    matches!(expression, Expr::AggregateFunction(call) if !call.params.order_by.is_empty())
}

fn ordered_once(expression: Expr) -> Transformed<Expr> {
    let Expr::AggregateFunction(AggregateFunction { func, mut params }) = expression else {
        return Transformed::no(expression);
    };
    let is_changed = if ORDERED_AGGREGATES.contains(&func.name()) {
        keep_first(&mut params.order_by)
    } else if func.supports_within_group_clause() || params.order_by.is_empty() {
        // What stands in `within group` is no order but the argument.
        false
    } else {
        params.order_by.clear();
        true
    };
    let aggregate = Expr::AggregateFunction(AggregateFunction { func, params });
    if is_changed { Transformed::yes(aggregate) } else { Transformed::no(aggregate) }
}

/// Keeps of an order each expression where it stands first; returns whether there were others.
fn keep_first(order: &mut Vec<Sort>) -> bool {
    let before = order.len();
    let mut kept: Vec<Sort> = Vec::with_capacity(before);
    for sort in order.drain(..) {
        if kept.iter().all(|known| known.expr != sort.expr) {
            kept.push(sort);
        }
    }
    *order = kept;
    order.len() < before
}

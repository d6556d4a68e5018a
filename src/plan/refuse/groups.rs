//! Keys of grouping sets that are constant, for which DataFusion 55.2 makes groups more than once where several threads
//! count: it takes the partial groups for sorted by them, also those of sets that leave them out.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};

use super::mistake;
use crate::diagnostic::{Code, Diagnostics, SourceFile};

pub(super) fn check(file: &SourceFile, plan: &LogicalPlan, mistakes: &mut Diagnostics) {
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Aggregate(Aggregate { group_expr, .. }) = node
            && let [Expr::GroupingSet(set)] = group_expr.as_slice()
            && let Some(key) = set.distinct_expr().into_iter().find(|key| key.column_refs().is_empty())
        {
            let message =
                format!("the engine counts groups twice where `{key}`, a constant, is a key of grouping sets");
            let beside = set.distinct_expr().into_iter().find(|key| !key.column_refs().is_empty());
            mistakes.push(
                mistake(Code::EngineFault, file, beside.unwrap_or(key), message)
                    .help("leave it out of GROUP BY, and write it in a SELECT around this one"),
            );
        }
        Ok(TreeNodeRecursion::Continue)
    });
}

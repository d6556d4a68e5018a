//! Keys of grouping sets that are constant: where several threads count, DataFusion 55.2 does not add up the groups of sets
//! that leave such a key out.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, LogicalPlan};

use super::mistake;
use crate::diagnostic::{Code, Diagnostics, SourceFile};

pub(super) fn check(file: &SourceFile, plan: &LogicalPlan, mistakes: &mut Diagnostics) {
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Aggregate(Aggregate { group_expr, .. }) = node
            && let [Expr::GroupingSet(set)] = group_expr.as_slice()
            && let keys = set.distinct_expr()
            && let Some(constant) = keys.iter().find(|key| key.column_refs().is_empty() && is_left_out(set, key))
        {
            // A constant has no place in the plan; the key beside it has.
            let beside = keys.iter().find(|key| !key.column_refs().is_empty()).unwrap_or(constant);
            mistakes.push(
                mistake(
                    Code::EngineFault,
                    file,
                    beside,
                    "the engine does not add up groups where a constant is a key of grouping sets",
                )
                .help("leave it out of GROUP BY, and write it in a SELECT around this one"),
            );
        }
        Ok(TreeNodeRecursion::Continue)
    });
}

/// Returns whether some of the sets have not this key.
fn is_left_out(set: &GroupingSet, key: &Expr) -> bool {
    match set {
        GroupingSet::Rollup(_) | GroupingSet::Cube(_) => true,
        GroupingSet::GroupingSets(sets) => sets.iter().any(|set| !set.contains(key)),
    }
}

//! Keeps what holds of some rows from being believed of rows of nulls.
//!
//! DataFusion 55.2 remembers which columns of its rows are constant, equal or sorted, and believes the same of the rows
//! that an outer join fills with nulls, and of those in which grouping sets leave a column out (apache/datafusion#16965).
//! So it left sorts out that were needed: windows numbered such rows out of order, and groups came out twice. The side
//! of an outer join that may be filled with nulls, and the rows under grouping sets, go through a step of which nothing
//! of that is known; it hands rows on as they are.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};

use super::plain_rows::{Known, PlainRows};
use super::replaced;

/// Puts [`PlainRows`] where they are needed. It goes first, as other rules ask what is known of rows.
#[derive(Debug)]
pub(super) struct NullRowsAreUnlike;

impl PhysicalOptimizerRule for NullRowsAreUnlike {
    fn name(&self) -> &'static str {
        "null_rows_are_unlike"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let plain = |node: Arc<dyn ExecutionPlan>| {
            let unlike = unlike(node.as_ref());
            if !unlike.contains(&true) {
                return Ok(Transformed::no(node));
            }
            let inputs = node.children().into_iter().zip(unlike).map(|(input, is_unlike)| {
                if is_unlike { PlainRows::over(Arc::clone(input), Known::Nothing) } else { Arc::clone(input) }
            });
            let inputs = inputs.collect();
            replaced(node, inputs).map(Transformed::yes)
        };
        plan.transform_up(plain).map(|transformed| transformed.data)
    }
}

/// Returns for each input of a node whether rows come out of it that have nulls where those of the input have none.
fn unlike(node: &dyn ExecutionPlan) -> Vec<bool> {
    let hash = node.downcast_ref::<HashJoinExec>().map(|join| *join.join_type());
    let merge = || node.downcast_ref::<SortMergeJoinExec>().map(SortMergeJoinExec::join_type);
    let loops = || node.downcast_ref::<NestedLoopJoinExec>().map(|join| *join.join_type());
    match hash.or_else(merge).or_else(loops) {
        Some(JoinType::Left) => vec![false, true],
        Some(JoinType::Right) => vec![true, false],
        Some(JoinType::Full) => vec![true, true],
        Some(_) => Vec::new(),
        None => match node.downcast_ref::<AggregateExec>() {
            // What a partial aggregate gives has the nulls already.
            Some(aggregate) => {
                use AggregateMode::{Partial, Single, SinglePartitioned};
                let is_first = matches!(aggregate.mode(), Partial | Single | SinglePartitioned);
                vec![is_first && aggregate.group_expr().has_grouping_set()]
            }
            None => Vec::new(),
        },
    }
}

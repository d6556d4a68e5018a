//! Keeps the order of one side of a join from being believed of its rows beside that of the other.
//!
//! An inner join keeps the rows of the side that it streams in their order. DataFusion 55.2 believes more: that among those
//! which are equal in that order the rows are in the order of the other side (apache/datafusion#25052). But each streamed
//! row meets all of the other side anew. So sorts were left out that were needed, and a grouping that took its rows for
//! sorted made several groups of one. The side that is held in memory loses its order before a hash join; of the rows of a
//! merge join no order is believed.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinSide, JoinType, Result};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};

use super::plain_rows::{Known, PlainRows};
use super::replaced;

/// Puts [`PlainRows`] into every such join. It comes once it is settled which side a join holds in memory, and before sorts
/// are put in and left out; so it cannot know yet which rows will be in an order.
#[derive(Debug)]
pub(super) struct JoinsKeepOneOrder;

impl PhysicalOptimizerRule for JoinsKeepOneOrder {
    fn name(&self) -> &'static str {
        "joins_keep_one_order"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let kept = |node: Arc<dyn ExecutionPlan>| {
            if node.is::<SortMergeJoinExec>() {
                return Ok(Transformed::yes(PlainRows::over(node, Known::AllButOrder)));
            }
            let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(Transformed::no(node)) };
            debug_assert_eq!(HashJoinExec::probe_side(), JoinSide::Right);
            if !matches!(join.join_type(), JoinType::Inner | JoinType::Right) {
                return Ok(Transformed::no(node));
            }
            let inputs = vec![PlainRows::over(Arc::clone(join.left()), Known::AllButOrder), Arc::clone(join.right())];
            replaced(Arc::clone(&node), inputs).map(Transformed::yes)
        };
        plan.transform_up(kept).map(|transformed| transformed.data)
    }
}

//! Counts what a window holds in memory.
//!
//! DataFusion 55.2 computes a window whose frame is not known before its partition ends over all of its input at once,
//! and does not ask the memory pool for it: a partition that does not fit takes the process with it. What flows into
//! such a window is counted here, so that the query ends with an error that names the window. Windows that let go of
//! rows on the way need no counting.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::WindowAggExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use super::replaced;

#[derive(Debug)]
pub(super) struct WindowsCount;

impl PhysicalOptimizerRule for WindowsCount {
    fn name(&self) -> &'static str {
        "windows_count"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let count = |node: Arc<dyn ExecutionPlan>| {
            if !node.is::<WindowAggExec>() {
                return Ok(Transformed::no(node));
            }
            let inputs: Vec<Arc<dyn ExecutionPlan>> = node
                .children()
                .into_iter()
                .map(|input| -> Arc<dyn ExecutionPlan> { Arc::new(Held(Arc::clone(input))) })
                .collect();
            replaced(node, inputs).map(Transformed::yes)
        };
        plan.transform_up(count).map(|transformed| transformed.data)
    }
}

/// Hands on the rows of its input, and counts them as held until whoever takes them has done.
#[derive(Debug)]
struct Held(Arc<dyn ExecutionPlan>);

impl DisplayAs for Held {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

impl ExecutionPlan for Held {
    fn name(&self) -> &'static str {
        "Held"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.0]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = <[_; 1]>::try_from(children)
            .map_err(|_| datafusion::common::DataFusionError::Internal("`Held` has one input".to_owned()))?;
        Ok(Arc::new(Self(input)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let held = MemoryConsumer::new(format!("WindowAggExec[{partition}]")).register(context.memory_pool());
        let input = self.0.execute(partition, context)?;
        let schema = input.schema();
        let rows = input.map(move |batch| batch.and_then(|batch| hold(&held, batch)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// Counts a batch twice: it is put together with all others before the window is computed.
fn hold(held: &MemoryReservation, batch: RecordBatch) -> Result<RecordBatch> {
    let sizes = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size());
    held.try_grow(2 * sizes.sum::<Result<usize, _>>()?)?;
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use crate::engine::{Resources, session};

    async fn rows(memory_bytes: usize, sql: &str) -> Result<usize, String> {
        let session = session(&Resources { memory_bytes, threads: 2, ..Resources::for_binding() }).unwrap();
        let frame = session.sql(sql).await.unwrap();
        let batches = frame.collect().await.map_err(|error| error.find_root().to_string())?;
        Ok(batches.iter().map(arrow::array::RecordBatch::num_rows).sum())
    }

    #[tokio::test]
    async fn a_window_takes_no_more_than_it_may() {
        // Three columns of 200,000 numbers, and once more when they are put together.
        let sql = "select value, ntile(4) over (order by value) as part from generate_series(1, 200000)";
        assert_eq!(rows(64 << 20, sql).await, Ok(200_000));
        let refused = rows(2 << 20, sql).await.unwrap_err();
        assert!(refused.contains("WindowAggExec"), "{refused}");
        // This one holds a row.
        let sql = "select value, row_number() over () as number from generate_series(1, 200000)";
        assert_eq!(rows(2 << 20, sql).await, Ok(200_000));
    }
}

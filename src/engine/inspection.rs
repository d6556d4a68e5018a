//! Tells of a query that fails over a damaged file that the file is damaged.
//!
//! Where bits have fallen over, a decoder says something about pages, or panics, and names no file. So whoever makes
//! files known to a session may attach to each how it is inspected, and when a scan fails or panics its files are. What
//! an inspection finds takes the place of what the decoder said. A scan that goes well costs nothing more.

use std::fmt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{FutureExt, StreamExt};

/// Reads a file whole and fails if it is not as it was written. An extension of the files of a scan.
#[derive(Clone)]
pub struct Inspection(Arc<dyn Fn() -> Result<()> + Send + Sync>);

impl fmt::Debug for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inspection")
    }
}

impl Inspection {
    /// Makes an inspection of what it takes to read the file.
    pub fn new(inspect: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(inspect))
    }
}

/// Awaits what reads files. Where that fails or panics, the first failure of `inspections` is told instead, if there is
/// one.
///
/// # Errors
/// When `reading` fails.
pub async fn inspected<T>(reading: impl Future<Output = Result<T>>, inspections: &[Inspection]) -> Result<T> {
    told(AssertUnwindSafe(reading).catch_unwind().await, inspections).await
}

async fn told<T>(ended: std::thread::Result<Result<T>>, inspections: &[Inspection]) -> Result<T> {
    let is_suspicious = match &ended {
        Ok(Ok(_)) => false,
        Ok(Err(error)) => may_be_of_a_file(error),
        Err(_) => true,
    };
    if is_suspicious {
        let inspections = inspections.to_vec();
        let inspect = move || inspections.iter().try_for_each(|Inspection(inspect)| inspect());
        if let Ok(found) = tokio::task::spawn_blocking(inspect).await {
            found?;
        }
    }
    // The files are as they were written, so it is a mistake of ours or of the engine.
    ended.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Returns whether an error of a scan may come of what is in a file. What a filter says of values does not.
fn may_be_of_a_file(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => {
            matches!(**error, ArrowError::ParquetError(_) | ArrowError::ExternalError(_) | ArrowError::IoError(..))
        }
        DataFusionError::ResourcesExhausted(_) => false,
        _ => true,
    }
}

/// Puts every scan of files that have inspections under watch. The last rule: none after it sees a scan any more.
#[derive(Debug)]
pub(super) struct ScansAreWatched;

impl PhysicalOptimizerRule for ScansAreWatched {
    fn name(&self) -> &'static str {
        "scans_are_watched"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let watch = |node: Arc<dyn ExecutionPlan>| {
            let inspections = inspections(&node);
            if inspections.is_empty() {
                return Ok(Transformed::no(node));
            }
            Ok(Transformed::yes(Arc::new(Watched { scan: node, inspections }) as Arc<dyn ExecutionPlan>))
        };
        plan.transform_up(watch).map(|transformed| transformed.data)
    }
}

/// Returns how the files of a scan are inspected, each once.
fn inspections(node: &Arc<dyn ExecutionPlan>) -> Vec<Inspection> {
    let scan = node.downcast_ref::<DataSourceExec>().and_then(|scan| scan.data_source().downcast_ref());
    let Some(scan): Option<&FileScanConfig> = scan else { return Vec::new() };
    let files = scan.file_groups.iter().flat_map(|group| group.iter());
    // Parts of a large file are read side by side.
    let first_parts = files.filter(|file| file.range.as_ref().is_none_or(|range| range.start == 0));
    first_parts.filter_map(|file| file.extension::<Inspection>().cloned()).collect()
}

/// Hands on the rows of a scan, and inspects its files when it fails.
#[derive(Debug)]
struct Watched {
    scan: Arc<dyn ExecutionPlan>,
    inspections: Vec<Inspection>,
}

impl DisplayAs for Watched {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl ExecutionPlan for Watched {
    fn name(&self) -> &'static str {
        "Watched"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.scan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.scan]
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
        let [scan] = <[_; 1]>::try_from(children)
            .map_err(|_| DataFusionError::Internal("`Watched` has one input".to_owned()))?;
        Ok(Arc::new(Self { scan, inspections: self.inspections.clone() }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.scan.execute(partition, context)?;
        let schema = rows.schema();
        let inspections: Arc<[Inspection]> = self.inspections.as_slice().into();
        let rows = AssertUnwindSafe(rows).catch_unwind().then(move |batch| {
            let inspections = Arc::clone(&inspections);
            async move { told(batch, &inspections).await }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

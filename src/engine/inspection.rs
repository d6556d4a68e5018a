//! Tells of a query that fails over a damaged file that the file is damaged.
//!
//! Where bits have fallen over, a decoder says something about pages, or panics, and names no file. So whoever makes
//! files known to a session may attach to each how it is inspected, and when a scan fails or panics its files are. What
//! an inspection finds takes the place of what the decoder said; where none finds anything, the columns of each file are
//! read by themselves, and the one of which they cannot be is named. A scan that goes well costs nothing more.

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::Session;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::source_as_provider;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use futures::{FutureExt, StreamExt, TryStreamExt};

/// A file that can be asked whether it is as it was written.
pub trait Inspect: fmt::Debug + Send + Sync {
    /// Reads the file whole.
    ///
    /// # Errors
    /// When it is damaged.
    fn inspect(&self) -> Result<()>;

    /// Returns whether a file in which an inspection finds nothing wrong is byte for byte what was written.
    fn is_proof(&self) -> bool;

    /// Says of the file that it is damaged, because it cannot be decoded.
    fn undecodable(&self, why: &str) -> DataFusionError;
}

/// How a file is inspected: an extension of the files of a scan.
#[derive(Debug, Clone)]
pub struct Inspection(pub Arc<dyn Inspect>);

/// Awaits what reads files. Where that fails or panics, what an inspection finds wrong with one of them is told instead.
///
/// # Errors
/// When `reading` fails.
pub async fn inspected<T>(reading: impl Future<Output = Result<T>>, inspections: Vec<Inspection>) -> Result<T> {
    let ended = AssertUnwindSafe(reading).catch_unwind().await;
    if is_suspicious(&ended) {
        inspect(inspections).await?;
    }
    // The files are as they were written, so it is a mistake of ours or of the engine.
    ended.unwrap_or_else(|panic| resume_unwind(panic))
}

fn is_suspicious<T>(ended: &std::thread::Result<Result<T>>) -> bool {
    match ended {
        Ok(Ok(_)) => false,
        Ok(Err(error)) => may_be_of_a_file(error),
        Err(_) => true,
    }
}

/// Returns whether it was the system that refused: too many open files, no memory, a disk that does not answer.
fn is_refused(error: &(dyn Error + 'static)) -> bool {
    let number = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
    number.is_some() || error.source().is_some_and(is_refused)
}

async fn inspect(inspections: Vec<Inspection>) -> Result<()> {
    let inspect = move || inspections.iter().try_for_each(|Inspection(file)| file.inspect());
    tokio::task::spawn_blocking(inspect).await.unwrap_or(Ok(()))
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

/// Plans queries as DataFusion does, which goes by what files say of their rows. Where it finds that this cannot be, or
/// panics, the files are inspected.
#[derive(Debug)]
pub(super) struct PlansAreWatched;

#[async_trait]
impl QueryPlanner for PlansAreWatched {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planning = DefaultPhysicalPlanner::default();
        let planned = AssertUnwindSafe(planning.create_physical_plan(plan, session)).catch_unwind().await;
        let is_wrong = |error: &DataFusionError| matches!(error.find_root(), DataFusionError::Internal(_));
        if planned.as_ref().map_or(true, |planned| planned.as_ref().is_err_and(is_wrong)) {
            inspect(read_by(plan, session).await?).await?;
        }
        planned.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// Returns how the files are inspected that a query reads.
async fn read_by(plan: &LogicalPlan, session: &dyn Session) -> Result<Vec<Inspection>> {
    let mut sources = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            sources.push(source_as_provider(&scan.source)?);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut inspections = Vec::new();
    for source in sources {
        let scan = source.scan(session, None, &[], None).await?;
        scan.apply(|node| {
            inspections.extend(files(node).into_iter().map(|(_, inspection)| inspection));
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(inspections)
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
            let files = files(&node);
            if files.is_empty() {
                return Ok(Transformed::no(node));
            }
            Ok(Transformed::yes(Arc::new(Watched { scan: node, files: files.into() }) as Arc<dyn ExecutionPlan>))
        };
        plan.transform_up(watch).map(|transformed| transformed.data)
    }
}

fn config(node: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    node.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref()
}

/// Returns the files of a scan that can be inspected, each once and whole.
fn files(node: &Arc<dyn ExecutionPlan>) -> Vec<(PartitionedFile, Inspection)> {
    let files = config(node).into_iter().flat_map(|scan| &scan.file_groups).flat_map(FileGroup::iter);
    // Parts of a large file are read side by side.
    let first_parts = files.filter(|file| file.range.as_ref().is_none_or(|range| range.start == 0));
    let whole = |file: &PartitionedFile| {
        let inspection = file.extension::<Inspection>()?.clone();
        Some((PartitionedFile { range: None, ..file.clone() }, inspection))
    };
    first_parts.filter_map(whole).collect()
}

/// Hands on the rows of a scan, and inspects its files when it fails.
#[derive(Debug)]
struct Watched {
    scan: Arc<dyn ExecutionPlan>,
    files: Arc<[(PartitionedFile, Inspection)]>,
}

impl Watched {
    /// Finds the file that a failure comes of, and tells what is wrong with it.
    async fn find_damage(&self, context: &Arc<TaskContext>) -> Result<()> {
        inspect(self.files.iter().map(|(_, inspection)| inspection.clone()).collect()).await?;
        let Some(scan) = config(&self.scan) else { return Ok(()) };
        // What a query computes of its columns may fail as well, and proves nothing.
        let plain = Arc::new(ParquetSource::new(scan.file_source.table_schema().clone()));
        for (file, Inspection(inspected)) in self.files.iter() {
            if inspected.is_proof() {
                continue;
            }
            let groups = vec![FileGroup::new(vec![file.clone()])];
            let alone = FileScanConfigBuilder::from(scan.clone())
                .with_source(Arc::<ParquetSource>::clone(&plain))
                .with_limit(None)
                .with_file_groups(groups)
                .build();
            let scan = DataSourceExec::from_data_source(alone);
            let read = async { scan.execute(0, Arc::clone(context))?.try_for_each(async |_| Ok(())).await };
            let ended = AssertUnwindSafe(read).catch_unwind().await;
            let is_refused = matches!(&ended, Ok(Err(error)) if is_refused(error));
            if is_suspicious(&ended) && !is_refused {
                let why = ended.map(|ended| ended.map_err(|error| error.find_root().strip_backtrace()));
                return Err(inspected.undecodable(match &why {
                    Ok(Err(words)) => words,
                    _ => "the decoder gave up",
                }));
            }
        }
        Ok(())
    }
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
        Ok(Arc::new(Self { scan, files: Arc::clone(&self.files) }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.scan.execute(partition, Arc::clone(&context))?;
        let schema = rows.schema();
        let watched = Arc::new(Self { scan: Arc::clone(&self.scan), files: Arc::clone(&self.files) });
        let rows = AssertUnwindSafe(rows).catch_unwind().then(move |ended| {
            let (watched, context) = (Arc::clone(&watched), Arc::clone(&context));
            async move {
                if is_suspicious(&ended) {
                    watched.find_damage(&context).await?;
                }
                ended.unwrap_or_else(|panic| resume_unwind(panic))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

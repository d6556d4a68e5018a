//! Builds one model: one SELECT, run by DataFusion over the Parquet files of its inputs, written to a Parquet file.
//!
//! Promises: what is built has exactly the columns that the plan announced; nothing is visible before it is published;
//! a query that does not fit into memory spills, is tried once more in one thread, with joins that can, or ends with an error that
//! names the operator and the remedy. It knows nothing of checks or of what else the run does.

mod blame;
mod memory;
mod partitions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use tokio::sync::mpsc;

pub use blame::{Blame, Records, Source, blame};
pub use memory::{Operator, is_out_of_memory};
pub use partitions::{PartitionBuild, PartitionCounts, PartitionInputs};

use crate::digest::Digest;
use crate::engine;
use crate::plan::{Table, Workspace, plain};
use crate::store::{ColumnState, DataFile, PartitionFingerprints, StoreError, TableState};
use crate::tables::QueryContext;

/// How many batches may wait for the writer.
const WAITING_BATCHES: usize = 4;

/// A model, built and not yet checked. Only [`transform`] makes it.
#[derive(Debug)]
pub struct Built {
    pub(crate) state: TableState,
    /// How many of its partitions were built, if it is built by partitions.
    pub partition_counts: Option<PartitionCounts>,
    /// How many rows were read for it.
    pub rows_read: u64,
}

/// What every step of building one model needs.
#[derive(Clone, Copy)]
struct ModelBuild<'a> {
    context: &'a QueryContext,
    name: &'a str,
    table: &'a Table,
}

/// The rows of a model, built.
struct Rows {
    files: Vec<DataFile>,
    built_from: Option<PartitionFingerprints>,
    partition_counts: Option<PartitionCounts>,
    /// How many were read for them: of inputs, and of files of the table itself that were written anew.
    read: u64,
}

/// A query under way.
struct Running {
    batches: SendableRecordBatchStream,
    plan: Arc<dyn ExecutionPlan>,
}

impl Running {
    async fn start(session: &SessionContext, plan: LogicalPlan) -> Result<Self, DataFusionError> {
        let frame = session.execute_logical_plan(plan).await?;
        let context = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await?;
        Ok(Self { batches: execute_stream(Arc::clone(&plan), context)?, plan })
    }

    /// Returns how many rows of tables it has read up to now, those among them that a filter drops while it reads.
    fn rows_read(&self) -> u64 {
        let mut open = vec![&self.plan];
        let mut rows = 0;
        while let Some(plan) = open.pop() {
            let inputs = plan.children();
            if let (true, Some(metrics)) = (inputs.is_empty(), plan.metrics()) {
                let dropped = metrics.sum_by_name("pushdown_rows_pruned").map_or(0, |pruned| pruned.as_usize());
                rows += metrics.output_rows().unwrap_or_default() + dropped;
            }
            open.extend(inputs);
        }
        rows as u64
    }
}

/// Why a model could not be built.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    /// The query failed.
    #[error("`{model}` failed{}", words(error, blame.as_deref()))]
    Query {
        /// The model.
        model: String,
        /// What DataFusion says; its own words are the innermost, so they are not printed as a chain.
        error: DataFusionError,
        /// What made it fail, where it was looked for.
        blame: Option<Box<Blame>>,
    },
    /// The query needs more memory than it may use, and cannot spill.
    #[error("`{model}` needs more memory than it may use: {operator} asked for more than there was")]
    Memory {
        /// The model.
        model: String,
        /// What of the query asked for it.
        operator: Operator,
    },
    /// The query took longer than it may.
    #[error("`{model}` took longer than {} s, and was ended", limit.as_secs())]
    Timeout {
        /// The model.
        model: String,
        /// How long it may take.
        limit: Duration,
    },
    /// Its rows could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TransformError {
    /// Returns whether there was not enough memory.
    fn is_for_memory(&self) -> bool {
        matches!(self, Self::Query { error, .. } if is_out_of_memory(error))
    }

    /// Returns whether the query may do better when no other runs beside it.
    #[must_use]
    pub fn may_pass_alone(&self) -> bool {
        matches!(self, Self::Memory { .. } | Self::Timeout { .. })
    }

    /// Wraps what DataFusion says of the query of a model, unless a damaged file led to it.
    #[must_use]
    pub fn query(model: &str, error: DataFusionError) -> Self {
        match StoreError::damage_behind(&error) {
            Some(damage) => Self::Store(damage),
            None => Self::Query { model: model.to_owned(), error, blame: None },
        }
    }
}

/// Builds `name` from the tables that the session knows; with `partition_build`, only the partitions that are stale.
///
/// A query that finds no memory is tried once more in one thread and with merge joins, unless it was run `beside` others:
/// then it may well find some alone.
///
/// # Errors
/// When the query fails or its rows cannot be stored.
pub async fn transform(
    context: &QueryContext,
    name: &str,
    build_hash: Digest,
    partition_build: Option<&PartitionBuild>,
    beside: &AtomicBool,
) -> Result<Built, TransformError> {
    let Some(table) = context.workspace.tables.get(name) else {
        return Err(TransformError::query(name, DataFusionError::Internal("there is no such model".to_owned())));
    };
    let build = ModelBuild { context, name, table };
    let built = match rows(build, partition_build).await {
        Err(error) if error.is_for_memory() && beside.load(Ordering::Relaxed) => Err(out_of_memory(name, error)),
        Err(error) if error.is_for_memory() => {
            let saving = context.with_session(engine::saving_memory(&context.session));
            let again = rows(ModelBuild { context: &saving, ..build }, partition_build).await;
            again.map_err(|error| out_of_memory(name, error))
        }
        built => built,
    };
    let rows = match built {
        Ok(rows) => rows,
        Err(TransformError::Query { model, error, blame: None }) => {
            let blame = Some(Box::new(blame(context, name, None, &error).await));
            return Err(TransformError::Query { model, error, blame });
        }
        Err(error) => return Err(error),
    };
    let contract = context.workspace.project.contracts.get(name);
    let state = TableState {
        table: name.to_owned(),
        is_published: table.kind == crate::plan::Kind::Published,
        description: contract.and_then(|contract| contract.description.clone()),
        grain: contract.and_then(|contract| contract.grain.clone()),
        columns: columns(&context.workspace, name),
        build_hash,
        partition: partition_build.map(|partition_build| partition_build.partitioned.by.clone()),
        files: rows.files,
        built_from: rows.built_from,
        landed: None,
    };
    Ok(Built { state, partition_counts: rows.partition_counts, rows_read: rows.read })
}

fn words(error: &DataFusionError, blame: Option<&Blame>) -> String {
    blame.map_or_else(|| format!(": {}", plain(error).message), Blame::words)
}

/// Builds the rows of a table, as a whole or by partitions, as long as that may take.
async fn rows(build: ModelBuild<'_>, partition_build: Option<&PartitionBuild>) -> Result<Rows, TransformError> {
    let rows = async {
        match partition_build {
            Some(partition_build) => partitions::make(build, partition_build).await,
            None => execute(build).await,
        }
    };
    let Some(limit) = build.context.workspace.project.settings.query_timeout else { return rows.await };
    let timeout = |_| Err(TransformError::Timeout { model: build.name.to_owned(), limit });
    tokio::time::timeout(limit, rows).await.unwrap_or_else(timeout)
}

/// Returns the columns of a stored model with their descriptions.
#[must_use]
pub fn columns(workspace: &Workspace, name: &str) -> Vec<ColumnState> {
    let Some(table) = workspace.tables.get(name) else { return Vec::new() };
    let own = workspace.project.contracts.get(name).map(|contract| &contract.columns);
    let describe = |field: &arrow::datatypes::FieldRef| {
        let own =
            own.and_then(|columns| columns.get(field.name())).map(|column| column.doc.clone()).unwrap_or_default();
        let doc = workspace.project.column_doc(field.name(), &own);
        Some(ColumnState {
            name: field.name().clone(),
            kind: crate::project::ColumnType::from_arrow(field.data_type())?,
            description: doc.description,
            unit: doc.unit,
            en: doc.en,
            zh: doc.zh,
        })
    };
    table.schema.fields().iter().filter_map(describe).collect()
}

async fn execute(build: ModelBuild<'_>) -> Result<Rows, TransformError> {
    let ModelBuild { context, name, table } = build;
    let query = |source| TransformError::query(name, source);
    let plan = context.plan(table).map_err(query)?;
    let mut running = Running::start(&context.session, plan).await.map_err(query)?;
    let mut file = context.store.create_parquet(name, &table.schema, table.schema.fields().len())?;
    let (sender, mut receiver) = mpsc::channel(WAITING_BATCHES);
    // Encoding Parquet takes about as long as making the rows; on its own thread it takes none of their time.
    let writer = tokio::task::spawn_blocking(move || {
        while let Some(message) = receiver.blocking_recv() {
            match message {
                Message::Rows(batch) => file.write(&batch)?,
                Message::End => return Ok(Some(file.finish()?)),
            }
        }
        file.discard();
        Ok::<_, StoreError>(None)
    });
    let sent = send(&mut running, &sender).await.map_err(query);
    if sent.is_ok() {
        // A writer that fails takes no more, and says why below.
        let _ = sender.send(Message::End).await;
    }
    drop(sender);
    let written = writer.await.map_err(|error| query(DataFusionError::Execution(error.to_string())))?;
    sent?;
    let Some(file) = written? else {
        return Err(query(DataFusionError::Internal("rows were not written to their end".to_owned())));
    };
    Ok(Rows { files: vec![file], built_from: None, partition_counts: None, read: running.rows_read() })
}

/// What the writer of a table is told.
enum Message {
    Rows(RecordBatch),
    /// These were all rows. Without it they are not a table: whoever made them has failed, or is gone.
    End,
}

/// Hands the rows of a query to the writer of a table, as long as that takes any.
async fn send(running: &mut Running, to: &mpsc::Sender<Message>) -> Result<(), DataFusionError> {
    while let Some(batch) = running.batches.next().await {
        if to.send(Message::Rows(batch?)).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn out_of_memory(model: &str, error: TransformError) -> TransformError {
    match error {
        TransformError::Query { error, .. } if is_out_of_memory(&error) => {
            TransformError::Memory { model: model.to_owned(), operator: Operator::told(&first_line(&error)) }
        }
        other => other,
    }
}

fn first_line(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    text.lines().next().unwrap_or_default().to_owned()
}

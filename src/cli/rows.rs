//! Runs a SELECT over the tables of a snapshot, and prints its rows as they come.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::csv::WriterBuilder;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::run::parse_memory;
use super::{Failure, compile, runtime, summary};
use crate::cli::print::{Printer, answer, data};
use crate::diagnostic::{Code, Diagnostic, SourceFile, did_you_mean};
use crate::engine::Resources;
use crate::plan::{Kind, Query, Workspace, plan_query_with, try_query};
use crate::project::{Project, SourceContract, parse_duration};
use crate::run::{Exit, RunError};
use crate::store::{OPS_TABLES, Snapshot, Store};
use crate::tables::{QueryContext, SnapshotSchema, value_at};
use crate::transform::TransformError;
use crate::visible;

/// How many rows people want to see at once.
const TABLE_ROWS: usize = 50;

/// How many rows of a table for people are set in columns together; a longer one is printed in parts.
const PART_ROWS: usize = 10_000;

/// How many batches may wait to be printed.
const WAITING_BATCHES: usize = 2;

/// How rows are printed, and what a query may take.
#[derive(Debug, Args)]
pub(super) struct RowArgs {
    /// How rows are written
    #[arg(long, env = "OPSMART_FORMAT", value_enum, default_value_t = Form::Table)]
    format: Form,

    /// Rows to print at most; by default 50 in a table for people, and all of them otherwise; 0 prints all
    #[arg(long, env = "OPSMART_LIMIT", value_name = "ROWS")]
    limit: Option<usize>,

    /// Memory for the query, such as 512MB or 2GB; by default `memory` of opsmart.toml, or 60 % of what there is
    #[arg(long, env = "OPSMART_MEMORY", value_name = "SIZE", value_parser = parse_memory)]
    memory: Option<u64>,

    /// How long the query may take, such as 30s, 10m or 2h; 0s for as long as it wants
    #[arg(long, env = "OPSMART_TIMEOUT", value_name = "DURATION", value_parser = parse_timeout, default_value = "10m")]
    timeout: Option<Duration>,
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration such as 30s, 10m or 2h".to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Columns for people
    Table,
    /// Comma-separated values with a header
    Csv,
    /// One JSON object a line
    Json,
}

impl RowArgs {
    /// Runs a query, prints its rows, and returns how many they are.
    pub(super) fn print(&self, asked: &Asked<'_>, project: &Project, printer: &Printer) -> Result<usize, Failure> {
        let form = self.form(printer);
        let limit = self.limit.unwrap_or(if form == Form::Table { TABLE_ROWS } else { 0 });
        let time = self.timeout.filter(|timeout| !timeout.is_zero()).and_then(Time::from_now);
        let running = asked.planned(project, self.memory.or(project.settings.memory_bytes), time)?;
        let running = running.with_most(if limit > 0 { limit.saturating_add(1) } else { 0 });
        let mut rows = Rows { form, limit, printed: 0, waiting: Vec::new(), is_cut: false, has_begun: false };
        let runtime = runtime()?;
        let ended = runtime.block_on(running.each(time, |batch| rows.take(&batch)));
        // A query whose time is over may not come to look whether anybody still wants it.
        runtime.shutdown_background();
        ended?;
        rows.finish().map_err(|error| failed(error.into()))?;
        if rows.is_cut {
            printer.say(&format!("the first {limit} rows; --limit 0 prints all\n"));
        }
        Ok(rows.printed)
    }

    /// Returns whether rows are printed for people.
    pub(super) fn is_for_people(&self, printer: &Printer) -> bool {
        self.form(printer) == Form::Table
    }

    fn form(&self, printer: &Printer) -> Form {
        if printer.is_json() { Form::Json } else { self.format }
    }
}

/// A query over the tables of a snapshot.
pub(super) struct Asked<'a> {
    pub(super) store: &'a Store,
    pub(super) snapshot: &'a Snapshot,
    pub(super) query: &'a Query,
    /// The text that mistakes are shown in.
    pub(super) file: &'a SourceFile,
    /// The project, compiled, if its variables have values in the query.
    pub(super) workspace: Option<&'a Arc<Workspace>>,
    /// Tables that it reads and that are computed first, by name, each with its SELECT, which may read those before it.
    pub(super) first: &'a [(String, String)],
}

impl Asked<'_> {
    /// Returns its rows, so many at most or, at 0, all.
    pub(super) fn rows(&self, project: &Project, limit: usize) -> Result<Vec<RecordBatch>, Failure> {
        let running = self.planned(project, project.settings.memory_bytes, None)?;
        running.with_most(limit).collected(None).map(|(_, batches)| batches)
    }

    /// Computes the tables that it reads, plans it, and makes sure that it does not fail whatever they hold.
    fn planned(&self, project: &Project, memory: Option<u64>, time: Option<Time>) -> Result<Running, Failure> {
        let mut first = Vec::new();
        for (name, select) in self.first {
            let file = SourceFile::new(format!("query ({name})"), select.as_str());
            let query = match self.workspace {
                Some(workspace) => Query::parse_with(&file, &workspace.functions)?,
                None => Query::parse(&file)?,
            };
            first.push((name, file, query));
        }
        let queries = first.iter().map(|(_, _, query)| query).chain([self.query]);
        let mut reads: BTreeSet<String> = queries.flat_map(Query::reads).map(|read| read.text.clone()).collect();
        reads.retain(|read| !self.first.iter().any(|(name, _)| name == read));
        self.check_names(project)?;
        let session = self.session(project, memory, &reads)?;
        let mut held = Vec::new();
        for (name, file, query) in &first {
            let running = Running {
                plan: self.plan(&session, file, query)?,
                session: session.clone(),
                most: 0,
                held: Vec::new(),
            };
            let (schema, batches) = running.collected(time)?;
            held.push(in_memory(&session, name, schema, batches).map_err(failed)?);
        }
        let plan = self.plan(&session, self.file, self.query)?;
        try_query(&session.state(), self.file, self.query, &plan)?;
        Ok(Running { session, plan, most: 0, held })
    }

    /// Opens a session that knows the tables and views among `reads`.
    fn session(
        &self,
        project: &Project,
        memory: Option<u64>,
        reads: &BTreeSet<String>,
    ) -> Result<SessionContext, Failure> {
        let spills = Utf8PathBuf::from_path_buf(std::env::temp_dir()).ok();
        let schema = Arc::new(SnapshotSchema::new(self.store, Some(self.snapshot)));
        let session = schema.session(&Resources::of_this_machine(memory, spills)).map_err(RunError::Engine)?;
        let (views, stored): (Vec<&String>, Vec<&String>) = reads.iter().partition(|name| !self.is_stored(name));
        // Opened before anything is planned, so that damage is told as such and not as a mistake of the query.
        stored.into_iter().try_for_each(|name| schema.open(name).map(drop)).map_err(RunError::engine)?;
        if !views.is_empty() {
            self.register_views(&session, project, reads)?;
        }
        Ok(session)
    }

    fn plan(&self, session: &SessionContext, file: &SourceFile, query: &Query) -> Result<LogicalPlan, Failure> {
        let value = |name: &str| value_at(self.workspace?, self.snapshot.as_of, name);
        Ok(plan_query_with(&session.state(), file, query, value)?)
    }

    fn is_stored(&self, name: &str) -> bool {
        self.snapshot.tables.contains_key(name) || OPS_TABLES.contains(&name)
    }

    /// Refuses names that stand for no table and no view.
    fn check_names(&self, project: &Project) -> Result<(), Failure> {
        let is_computed = |name: &str| self.first.iter().any(|(first, _)| first == name);
        let is_known = |name: &str| is_computed(name) || self.is_stored(name) || project.models.contains_key(name);
        let Some(unknown) = self.query.reads().iter().find(|read| !is_known(&read.text)) else { return Ok(()) };
        if let Some(dataset) = project.sources.get(&unknown.text) {
            return Err(not_taken_in(dataset));
        }
        let tables = &self.snapshot.tables;
        let known = tables.keys().chain(project.models.keys()).chain(project.sources.keys());
        let known = known.map(String::as_str).chain(OPS_TABLES);
        let bytes = self.file.text.find(&unknown.text).map_or(0..0, |at| at..at + unknown.text.len());
        let message = format!("table `{}` does not exist", unknown.text);
        let list = format!("tables are: {}", tables.keys().cloned().collect::<Vec<_>>().join(", "));
        let help = did_you_mean(&unknown.text, known).unwrap_or(list);
        Err(Failure::Project(Diagnostic::new(Code::UnknownTable, self.file.at(bytes), message).help(help).into()))
    }

    /// Registers the views behind `reads`.
    fn register_views(
        &self,
        session: &SessionContext,
        project: &Project,
        reads: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        let workspace = match self.workspace {
            Some(workspace) => Arc::clone(workspace),
            None => Arc::new(compile(project.clone())?),
        };
        let upstream = workspace.sql_upstream(reads);
        let is_view = |name: &String| workspace.tables.get(name).is_some_and(|table| table.kind == Kind::View);
        if let Some(missing) = upstream.iter().find(|name| !self.is_stored(name) && !is_view(name)) {
            if let Some(dataset) = workspace.project.sources.get(missing) {
                return Err(not_taken_in(dataset));
            }
            let help = Some("`opsmart run` builds and publishes it".to_owned());
            return Err(Failure::usage(format!("`{missing}` has never been published"), help));
        }
        let (store, session, as_of) = (self.store.clone(), session.clone(), self.snapshot.as_of);
        let context = QueryContext { store, session, workspace, as_of };
        let order = &context.workspace.order;
        let mut views = order.iter().filter(|name| upstream.contains(*name) && !self.is_stored(name));
        Ok(views.try_for_each(|name| context.register_view(name)).map_err(RunError::engine)?)
    }
}

/// Keeps rows as a table that queries of the session read by its name, and counts their memory.
fn in_memory(
    session: &SessionContext,
    name: &str,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<MemoryReservation, DataFusionError> {
    let reservation = MemoryConsumer::new(name).register(&session.runtime_env().memory_pool);
    reservation.try_grow(batches.iter().map(RecordBatch::get_array_memory_size).sum())?;
    session.deregister_table(name)?;
    session.register_table(name, Arc::new(MemTable::try_new(schema, vec![batches])?))?;
    Ok(reservation)
}

/// How long a query may take.
#[derive(Debug, Clone, Copy)]
struct Time {
    timeout: Duration,
    end: Instant,
}

impl Time {
    fn from_now(timeout: Duration) -> Option<Self> {
        Some(Self { timeout, end: Instant::now().checked_add(timeout)? })
    }
}

/// A query to run.
struct Running {
    session: SessionContext,
    plan: LogicalPlan,
    /// How many rows it makes at most; 0 stands for all.
    most: usize,
    /// The memory of what it reads, where that was computed before.
    held: Vec<MemoryReservation>,
}

impl Running {
    fn with_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Returns all of its rows, and their columns.
    fn collected(self, time: Option<Time>) -> Result<(SchemaRef, Vec<RecordBatch>), Failure> {
        let schema = Arc::clone(self.plan.schema().inner());
        let mut batches = Vec::new();
        let keep = |batch: RecordBatch| {
            batches.push(batch);
            Ok(())
        };
        let runtime = runtime()?;
        let ended = runtime.block_on(self.each(time, keep));
        // A query whose time is over may not come to look whether anybody still wants it.
        runtime.shutdown_background();
        ended.map(|()| (batches.first().map_or(schema, RecordBatch::schema), batches))
    }

    /// Hands on each batch of its rows as it comes, and ends it when its time is over.
    async fn each(
        self,
        time: Option<Time>,
        mut take: impl FnMut(RecordBatch) -> Result<(), ArrowError>,
    ) -> Result<(), Failure> {
        let (sender, mut batches) = tokio::sync::mpsc::channel(WAITING_BATCHES);
        // In a task of its own, so that one that never pauses cannot keep its time from ending.
        tokio::spawn(async move {
            let Self { session, plan, most, held: _held } = self;
            let run = async {
                let mut frame = session.execute_logical_plan(plan).await?;
                if most > 0 {
                    frame = frame.limit(0, Some(most))?;
                }
                let mut stream = frame.execute_stream().await?;
                // Also of no rows there is something to say: their columns.
                let _ = sender.send(Ok(RecordBatch::new_empty(stream.schema()))).await;
                while let Some(batch) = stream.next().await {
                    if sender.send(Ok(batch?)).await.is_err() {
                        break;
                    }
                }
                Ok::<_, DataFusionError>(())
            };
            if let Err(error) = run.await {
                let _ = sender.send(Err(error)).await;
            }
        });
        let mut printing = async || {
            while let Some(batch) = batches.recv().await {
                take(batch.map_err(failed)?).map_err(|error| failed(error.into()))?;
            }
            Ok(())
        };
        let Some(Time { timeout, end }) = time else { return printing().await };
        tokio::time::timeout_at(end.into(), printing()).await.unwrap_or_else(|_| {
            Err(Failure::Other {
                exit: Exit::Data,
                message: format!("the query took longer than {} s, and was ended", timeout.as_secs()),
                help: Some(
                    "give it more time with --timeout, or none to keep to with --timeout 0s; `with recursive` needs a condition that ends it"
                        .to_owned(),
                ),
            })
        })
    }
}

/// Prints rows as they come.
struct Rows {
    form: Form,
    limit: usize,
    printed: usize,
    /// Rows of a table for people, until there are enough of them to see how wide its columns are.
    waiting: Vec<RecordBatch>,
    is_cut: bool,
    /// Whether the columns have been named.
    has_begun: bool,
}

impl Rows {
    fn take(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let room = if self.limit == 0 { usize::MAX } else { self.limit.saturating_sub(self.printed) };
        self.is_cut |= batch.num_rows() > room;
        let batch = readable(&batch.slice(0, batch.num_rows().min(room)))?;
        self.printed += batch.num_rows();
        match self.form {
            Form::Table => {
                self.waiting.push(batch);
                let rows: usize = self.waiting.iter().map(RecordBatch::num_rows).sum();
                if rows >= PART_ROWS { self.print_part() } else { Ok(()) }
            }
            Form::Csv => {
                let mut bytes = Vec::new();
                WriterBuilder::new().with_header(!self.has_begun).build(&mut bytes).write(&batch)?;
                self.has_begun = true;
                data(&bytes);
                Ok(())
            }
            Form::Json => {
                let mut bytes = Vec::new();
                let mut writer = LineDelimitedWriter::new(&mut bytes);
                writer.write(&batch)?;
                writer.finish()?;
                data(visible::json(&String::from_utf8_lossy(&bytes)).as_bytes());
                Ok(())
            }
        }
    }

    fn print_part(&mut self) -> Result<(), ArrowError> {
        let batches = std::mem::take(&mut self.waiting);
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows > 0 {
            answer(&as_table(&batches)?);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        if self.form == Form::Table {
            self.print_part()?;
            if self.printed == 0 {
                answer(&as_table(&[])?);
            }
        }
        Ok(())
    }
}

fn failed(error: DataFusionError) -> Failure {
    RunError::from(TransformError::query("query", error)).into()
}

/// Says that a dataset has no rows because no run has reached it.
fn not_taken_in(dataset: &SourceContract) -> Failure {
    let name = &dataset.name;
    let help = format!("`opsmart run --select source:{name}+` ingests what has landed as `{}`", dataset.from);
    Failure::usage(format!("nothing of dataset `{name}` has been ingested yet"), Some(help))
}

/// Turns bytes into the text that they most likely are: the records in `dq_quarantine` are read by people.
fn readable(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let text = |column: &ArrayRef| -> ArrayRef {
        let Some(bytes) = column.as_binary_opt::<i32>() else { return Arc::clone(column) };
        let words =
            bytes.iter().map(|bytes| Some(String::from_utf8_lossy(bytes?).trim_end_matches(['\r', '\n']).to_owned()));
        Arc::new(words.collect::<StringArray>())
    };
    let columns: Vec<(String, ArrayRef)> = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| (field.name().clone(), text(column)))
        .collect();
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(name, column.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

pub(super) fn as_table(batches: &[RecordBatch]) -> Result<String, ArrowError> {
    let Some(first) = batches.first() else { return Ok("no rows\n".to_owned()) };
    let schema = first.schema();
    let head: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let options = FormatOptions::default().with_null("");
    let mut rows = Vec::new();
    for batch in batches {
        let formatters = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            rows.push(formatters.iter().map(|formatter| formatter.value(row).to_string()).collect());
        }
    }
    Ok(summary::aligned(&head, |column| schema.field(column).data_type().is_numeric(), rows))
}

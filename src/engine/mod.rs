//! DataFusion, set up the one way that opsmart uses it.
//!
//! Promises: a session knows our functions, reports where in the SQL a mistake is, spills to the given folder, never
//! takes more memory than it was given, opens no file that is not one of a table that it was given, and tells of a damaged
//! file what whoever gave it the table finds wrong with it. Only SELECTs get through [`read_only`]. Knows nothing of projects or the warehouse.

mod aggregate_order;
mod checked;
mod global_aggregate;
mod inspection;
mod join_order;
mod kept_casts;
mod null_rows;
mod plain_rows;
mod running_window;
mod window_memory;

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use datafusion::catalog::SchemaProvider;
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::common::{Result, internal_err};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};

pub use aggregate_order::ORDERED_AGGREGATES;
pub use checked::{links, shortest, unchecked};
pub use inspection::{Inspect, Inspection, inspected};
pub use kept_casts::is_utc;

use crate::functions;

/// Stands in the hash of every model and check. Raise it by hand, to the engine's version, when a newer engine answers
/// queries differently: every table is rebuilt then, from stored rows. The first release wrote its own version before it;
/// that text stays, or every warehouse would be rebuilt for a word.
pub const QUERY_VERSION: &str = "opsmart-0.1.0/datafusion-55.2";

/// The least memory with which a thread is worth having: a sort that is dealt out to threads holds a batch of each of its
/// runs in each of them while it merges, and finds no memory where there are many threads and little of it.
const THREAD_BYTES: usize = 64 << 20;

/// The memory with which a query is worth running beside another: with less, both would spill what one could hold. Each
/// has as many threads as there are, so that it is [`THREAD_BYTES`] for each of them at least.
const QUERY_BYTES: usize = 512 << 20;

/// Enough for all cores to work on, and few enough for most windows to fit into memory.
const GROUP_ROWS: u64 = 1 << 20;

/// Rows that go from operator to operator at a time, where each thread has [`AMPLE_BYTES`]. A sort dealt out to threads
/// hands on batches of each of them, and a grouped distinct count takes the rows of a group batch by batch, so that large
/// ones save a tenth of the time and more; merges hold a batch of each run, so that small budgets want small ones.
const AMPLE_BATCH: usize = 32_768;
const AMPLE_BYTES: usize = 1 << 30;

/// What queries may use.
#[derive(Debug, Clone)]
pub struct Resources {
    /// Memory for queries, in bytes.
    pub memory_bytes: usize,
    /// How many partitions work at once.
    pub threads: usize,
    /// Where sorts and aggregates that do not fit are spilled; none forbids spilling.
    pub spill: Option<Utf8PathBuf>,
    /// How many rows of inputs a table is made from at a time, about, where it is made by partitions.
    pub group_rows: u64,
    /// How many queries run side by side; `None` for as many as threads and memory are enough for.
    pub at_once: Option<usize>,
}

impl Resources {
    /// Returns what it takes to bind queries, none of which is run.
    #[must_use]
    pub fn for_binding() -> Self {
        Self { memory_bytes: usize::MAX, threads: 1, spill: None, group_rows: GROUP_ROWS, at_once: None }
    }

    /// Returns what this machine offers: its cores, fewer where there is little memory for each, and `memory_bytes` or else
    /// 60 % of what it or the control group that we run in allows.
    #[must_use]
    pub fn of_this_machine(memory_bytes: Option<u64>, spill: Option<Utf8PathBuf>) -> Self {
        let memory = memory_bytes.unwrap_or_else(|| allowed_memory() / 10 * 6);
        let memory_bytes = usize::try_from(memory).unwrap_or(usize::MAX);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = cores.min(memory_bytes / THREAD_BYTES).max(1);
        Self { memory_bytes, threads, spill, group_rows: GROUP_ROWS, at_once: None }
    }

    /// Returns how many queries may run side by side.
    #[must_use]
    pub fn queries_at_once(&self) -> usize {
        if let Some(at_once) = self.at_once {
            return at_once.max(1);
        }
        let each = QUERY_BYTES.max(self.threads.saturating_mul(THREAD_BYTES));
        self.threads.min(self.memory_bytes / each).max(1)
    }
}

/// Opens a session with our functions and no tables.
///
/// # Errors
/// When the spill folder cannot be used.
pub fn session(resources: &Resources) -> Result<SessionContext> {
    let mut config = SessionConfig::new().with_target_partitions(resources.threads).with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    // Plain Utf8 everywhere: that is what the stored files hold, so a plan made on empty tables and one made on files
    // have the same types.
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.parquet.schema_force_view_types = false;
    options.execution.parquet.pushdown_filters = true;
    options.execution.collect_statistics = true;
    // DataFusion 55.2 pushes what a join has found below outer joins, where it takes rows away that it must not.
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    if resources.memory_bytes / resources.threads.max(1) >= AMPLE_BYTES {
        options.execution.batch_size = ConfigNonZeroUsize::try_new(AMPLE_BATCH)?;
    }
    // Kept back for merging spills; as much as the default would be most of a small limit.
    let share = resources.memory_bytes / (8 * resources.threads.max(1));
    options.execution.sort_spill_reservation_bytes = share.clamp(64 << 10, 10 << 20);
    if let Some(folder) = &resources.spill {
        // DataFusion makes missing folders too, but two runs that start together stumble over each other there.
        std::fs::create_dir_all(folder)
            .map_err(|error| std::io::Error::new(error.kind(), format!("cannot make `{folder}`: {error}")))?;
    }
    let disk = DiskManagerBuilder::default().with_mode(match &resources.spill {
        Some(folder) => DiskManagerMode::Directories(vec![folder.clone().into_std_path_buf()]),
        None => DiskManagerMode::Disabled,
    });
    let pool = TrackConsumersPool::new(
        FairSpillPool::new(resources.memory_bytes),
        std::num::NonZero::<usize>::MIN.saturating_add(2),
    );
    let runtime =
        RuntimeEnvBuilder::new().with_disk_manager_builder(disk).with_memory_pool(Arc::new(pool)).build_arc()?;
    Ok(open(config, runtime))
}

/// Opens a session beside another: with its settings, its memory and its spill folder, and no tables.
#[must_use]
pub fn beside(session: &SessionContext) -> SessionContext {
    open(session.copied_config(), session.runtime_env())
}

/// Gives a session the tables of a schema: names without one are looked for there.
///
/// # Errors
/// When the session's catalog takes no other schema.
pub fn over(session: SessionContext, tables: Arc<dyn SchemaProvider>) -> Result<SessionContext> {
    let state = session.state();
    let names = &state.config_options().catalog;
    let Some(catalog) = session.catalog(&names.default_catalog) else {
        return internal_err!("a session has the catalog `{}`", names.default_catalog);
    };
    catalog.register_schema(&names.default_schema, tables)?;
    Ok(session)
}

/// Opens a session over the tables, memory and spill folder of another that makes do with less memory: in one thread, as
/// each holds groups of its own, and by sorting and merging what that one would join by hashing, as a hash join holds one of
/// its sides in memory and sorts can spill.
#[must_use]
pub fn saving_memory(session: &SessionContext) -> SessionContext {
    let mut state = session.state();
    let options = state.config_mut().options_mut();
    options.optimizer.prefer_hash_join = false;
    options.execution.target_partitions = 1;
    SessionContext::new_with_state(state)
}

fn open(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> SessionContext {
    let mut rules = PhysicalOptimizer::new().rules;
    let held = rules.iter().position(|rule| rule.name() == "join_selection").map_or(0, |at| at + 1);
    rules.insert(held, Arc::new(join_order::JoinsKeepOneOrder));
    rules.insert(0, Arc::new(null_rows::NullRowsAreUnlike));
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_query_planner(Arc::new(inspection::PlansAreWatched))
        .with_physical_optimizer_rules(rules)
        .with_physical_optimizer_rule(Arc::new(running_window::WindowsRun))
        .with_physical_optimizer_rule(Arc::new(window_memory::WindowsCount))
        .with_physical_optimizer_rule(Arc::new(inspection::ScansAreWatched))
        .build();
    let session = SessionContext::new_with_state(state);
    session.add_analyzer_rule(Arc::new(global_aggregate::KeepFilterAboveGlobalAggregate));
    session.add_analyzer_rule(Arc::new(aggregate_order::AggregatesOrderOnce));
    session.add_analyzer_rule(Arc::new(checked::ArithmeticIsChecked));
    session.add_analyzer_rule(Arc::new(kept_casts::CastsAreKept));
    functions::register(&session);
    session
}

/// Returns a node of a plan with other inputs.
#[expect(deprecated, reason = "what takes its place cannot be asked for by its parts yet")]
fn replaced(node: Arc<dyn ExecutionPlan>, inputs: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
    node.with_new_children(inputs)
}

/// Returns the options under which the SQL of users is planned: nothing but SELECT.
#[must_use]
pub fn read_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

/// Returns the memory that this process may use, in bytes: the smaller of the machine's and the control group's.
fn allowed_memory() -> u64 {
    const UNKNOWN: u64 = 2 << 30;
    let number = |path: &str| std::fs::read_to_string(Utf8Path::new(path)).ok()?.trim().parse::<u64>().ok();
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
    });
    let group = number("/sys/fs/cgroup/memory.max").or_else(|| number("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    match (machine, group) {
        (Some(machine), Some(group)) => machine.min(group),
        (machine, group) => machine.or(group).unwrap_or(UNKNOWN),
    }
}

//! The second stage of a run: models are built, those side by side that do not wait for one another.
//!
//! A model begins once everything that it reads is there, the first in the order of the project before others; as many
//! are under way as [`Resources::queries_at_once`](crate::engine::Resources::queries_at_once) says. One that finds no
//! memory or time beside others is built once more, alone. Where one fails, those that stand behind it are dropped, and
//! those before it are built all the same, so that the failure that is returned is the first in that order however fast
//! each was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use datafusion::common::DataFusionError;
use datafusion::common::runtime::SpawnedTask;
use futures::future::select_all;

use super::state::RunState;
use super::{Event, RunError, TableReport, elapsed_ms};
use crate::landed::{Build, BuildReason};
use crate::plan::{Kind, Table, build_hash};
use crate::store::{TableEntry, TableState};
use crate::transform::{Built, PartitionBuild, PartitionInputs, TransformError, transform};

/// Models that wait and that are being built, by their place in the order of the project.
struct Queue {
    waiting: BTreeMap<usize, String>,
    building: BTreeMap<usize, Building>,
    /// The names of both.
    open: BTreeSet<String>,
    /// Those of them that are stale and wait for room only.
    ready: BTreeSet<usize>,
    /// Those of them that found no memory or time beside others.
    alone: BTreeSet<usize>,
    /// How many may be built at once.
    at_once: usize,
    started: usize,
    total: usize,
}

/// A model that is being built.
struct Building {
    name: String,
    task: SpawnedTask<Result<Built, TransformError>>,
    started: Instant,
    /// Whether others are built meanwhile, or were.
    beside: Arc<AtomicBool>,
}

/// What came of it when a model was to begin.
enum Begun {
    /// There is no room for it yet.
    Not,
    /// It is being built.
    Building,
    /// There is nothing to build of it.
    There,
}

impl Queue {
    /// Returns whether something that a table reads is not there yet.
    fn is_blocked(&self, table: &Table) -> bool {
        table.reads.iter().any(|read| self.open.contains(read))
    }

    fn has_room(&self, place: usize) -> bool {
        if self.alone.contains(&place) {
            return self.building.is_empty();
        }
        // Nothing begins any more while one waits to be alone, or is.
        self.alone.is_empty() && self.building.len() < self.at_once
    }

    /// Drops a model and those behind it.
    fn drop_from(&mut self, place: usize) {
        drop(self.waiting.split_off(&place));
        drop(self.building.split_off(&place));
        drop(self.alone.split_off(&place));
    }

    /// Waits until one of those that are being built has ended.
    async fn next(&mut self) -> Option<(usize, Building, Result<Built, TransformError>)> {
        if self.building.is_empty() {
            return None;
        }
        let places: Vec<usize> = self.building.keys().copied().collect();
        let tasks = self.building.values_mut().map(|building| &mut building.task);
        let (ended, at, _) = select_all(tasks).await;
        let place = places[at];
        let building = self.building.remove(&place)?;
        let built = match ended {
            Ok(built) => built,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => Err(TransformError::query(&building.name, DataFusionError::Execution(error.to_string()))),
        };
        self.alone.remove(&place);
        Some((place, building, built))
    }
}

impl RunState<'_> {
    /// Builds the models of the plan.
    pub(super) async fn build_models(&mut self) -> Result<(), RunError> {
        let workspace = self.context.workspace.clone();
        let models = workspace.order.iter().filter(|name| workspace.tables.contains_key(*name));
        let waiting: BTreeMap<usize, String> = models.cloned().enumerate().collect();
        let mut queue = Queue {
            open: waiting.values().cloned().collect(),
            waiting,
            building: BTreeMap::new(),
            ready: BTreeSet::new(),
            alone: BTreeSet::new(),
            at_once: self.options.resources.queries_at_once(),
            started: 0,
            total: self.planned.plan.models.iter().filter(|step| step.build != Build::Skip).count(),
        };
        let mut failed = None;
        loop {
            if let Err((place, error)) = self.start(&mut queue) {
                queue.drop_from(place);
                failed = Some(error);
            }
            let Some((place, building, built)) = queue.next().await else { break };
            match built {
                Ok(built) => {
                    queue.open.remove(&building.name);
                    self.built(&building, built)?;
                }
                Err(error) if error.may_pass_alone() && building.beside.load(Ordering::Relaxed) => {
                    tracing::info!(model = building.name, "built once more, alone: {error}");
                    queue.alone.insert(place);
                    queue.waiting.insert(place, building.name);
                }
                Err(error) => {
                    queue.drop_from(place);
                    failed = Some(error.into());
                }
            }
        }
        let order = |name: &str| workspace.order.iter().position(|other| other == name);
        self.report.tables.sort_by_key(|table| order(&table.table));
        match failed {
            Some(error) => Err(self.with_records(error).await),
            None => Ok(()),
        }
    }

    /// Begins what can be begun, in the order of the project.
    fn start(&mut self, queue: &mut Queue) -> Result<(), (usize, RunError)> {
        let workspace = self.context.workspace.clone();
        let places: Vec<usize> = queue.waiting.keys().copied().collect();
        for place in places {
            let name = queue.waiting[&place].clone();
            let table = &workspace.tables[&name];
            if queue.is_blocked(table) {
                continue;
            }
            match self.begin_model(queue, place, &name, table).map_err(|error| (place, error))? {
                Begun::Not => {}
                Begun::Building => drop(queue.waiting.remove(&place)),
                Begun::There => {
                    queue.waiting.remove(&place);
                    queue.open.remove(&name);
                }
            }
        }
        Ok(())
    }

    /// Begins to build a table, or takes it as it is.
    fn begin_model(&mut self, queue: &mut Queue, place: usize, name: &str, table: &Table) -> Result<Begun, RunError> {
        if queue.ready.contains(&place) && !queue.has_room(place) {
            return Ok(Begun::Not);
        }
        if table.kind == Kind::View {
            // A view whose inputs are out of reach of this run is not read by anything in it.
            if table.inputs.iter().all(|input| self.contents.contains_key(input)) {
                self.context.register_view(name).map_err(RunError::engine)?;
            }
            return Ok(Begun::There);
        }
        let Some(step) = self.planned.plan.models.iter().find(|step| step.name == *name) else {
            self.register_published(name)?;
            return Ok(Begun::There);
        };
        let build_hash = build_hash(table, self.planned.plan.as_of, |input| self.contents.get(input).cloned());
        if let Some(entry) = self.before(name).filter(|entry| entry.build_hash == build_hash) {
            self.keep_published(entry, name)?;
            queue.started += usize::from(step.build != Build::Skip);
            return Ok(Begun::There);
        }
        if let Some(input) = table.inputs.iter().find(|input| !self.contents.contains_key(*input)) {
            return Err(RunError::MissingInput { table: name.to_owned(), input: input.clone() });
        }
        if !queue.has_room(place) {
            queue.ready.insert(place);
            return Ok(Begun::Not);
        }
        if !queue.alone.contains(&place) {
            queue.started += 1;
            let (number, total) = (queue.started, queue.total);
            (self.events)(Event::Building { model: name.to_owned(), number, total });
        }
        self.read.extend(table.inputs.iter().cloned());
        let partition_build = self.partition_build(table, name)?;
        queue.building.values().for_each(|other| other.beside.store(true, Ordering::Relaxed));
        let beside = Arc::new(AtomicBool::new(!queue.building.is_empty()));
        let (context, model, of_task) = (self.context.clone(), name.to_owned(), Arc::clone(&beside));
        let task = SpawnedTask::spawn(async move {
            transform(&context, &model, build_hash, partition_build.as_ref(), &of_task).await
        });
        queue.building.insert(place, Building { name: name.to_owned(), task, started: Instant::now(), beside });
        Ok(Begun::Building)
    }

    /// Takes note of a model that is built.
    fn built(&mut self, building: &Building, built: Built) -> Result<(), RunError> {
        let Building { name, started, .. } = building;
        let workspace = self.context.workspace.clone();
        let Built { state, partition_counts, rows_read } = built;
        let before = self.before(name);
        let changed = before.is_none_or(|entry| entry.content_hash != state.content_hash());
        let (why, changed_inputs) = self.why(name, &workspace.tables[name]);
        let state = self.keep_files_if_equal(state, before)?;
        self.register(&state)?;
        let done = TableReport {
            table: name.clone(),
            rows: state.rows(),
            rows_read,
            partitions: partition_counts,
            seconds: started.elapsed().as_secs_f64(),
            why: why.as_str(),
            changed_inputs,
            changed,
        };
        tracing::info!(table = done.table, rows_out = done.rows, elapsed_ms = elapsed_ms(*started), "model built");
        (self.events)(Event::Built(done.clone()));
        self.report.tables.push(done);
        self.built.insert(name.clone(), state);
        Ok(())
    }

    /// Returns why a table is built, and if that is for its inputs, which of them changed.
    fn why(&self, name: &str, table: &Table) -> (BuildReason, Vec<String>) {
        let step = self.planned.plan.models.iter().find(|step| step.name == *name);
        if let Some(Build::Required(why)) = step.map(|step| &step.build) {
            return (*why, Vec::new());
        }
        let changed = table
            .inputs
            .iter()
            .filter(|name| self.contents.get(*name) != self.before(name).map(|entry| &entry.content_hash));
        (BuildReason::Inputs, changed.cloned().collect())
    }

    /// Prepares to build a table by partitions, if that is how it is built.
    fn partition_build(&self, table: &Table, name: &str) -> Result<Option<PartitionBuild>, RunError> {
        let Some(partitioned) = &table.partitioned else { return Ok(None) };
        let known = |input: &String| Some((input.clone(), self.partitioned.get(input)?.clone()));
        let aligned: BTreeMap<_, _> = partitioned.aligned.iter().filter_map(known).collect();
        if aligned.len() < partitioned.aligned.len() {
            // An input that was published before it had partitions.
            return Ok(None);
        }
        let before = self.before(name).map(|entry| self.options.store.table(name, &entry.state)).transpose()?;
        let content = |input: &str| self.contents.get(input).cloned();
        let group_rows = self.options.resources.group_rows;
        let inputs = PartitionInputs { as_of: self.planned.plan.as_of, aligned, content };
        Ok(Some(PartitionBuild::new(table, partitioned, inputs, before, group_rows)))
    }

    /// Where the output of a rebuilt table is unchanged, the files of before stay, so that nothing downstream is stale.
    fn keep_files_if_equal(&self, mut state: TableState, before: Option<&TableEntry>) -> Result<TableState, RunError> {
        let Some(entry) = before.filter(|entry| entry.content_hash == state.content_hash()) else { return Ok(state) };
        let known = self.options.store.table(&state.table, &entry.state)?;
        let is_there = known.files.iter().all(|file| self.options.store.assure(file).is_ok());
        if !is_there || known.partition != state.partition {
            // What is there no longer, or has other partitions, cannot be kept: the new files take its place.
            return Ok(state);
        }
        for file in std::mem::replace(&mut state.files, known.files) {
            self.options.store.discard(&file);
        }
        Ok(state)
    }
}

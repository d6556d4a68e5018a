//! The conductor: takes a project from landed files to published tables, one stage after the other.
//!
//! Promises: stages run in the order of the plan, and only those that must; a run that fails or is dropped publishes
//! nothing; a run that loses the race to another plans again, up to three times. Events go out through a callback, and
//! nothing is printed here.

mod cache;
mod clock;
mod error;
mod gate;
mod idle;
mod metrics;
mod openlineage;
mod openlineage_http;
mod record;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use chrono::{DateTime, Utc};
use datafusion::prelude::SessionContext;

pub use cache::{Memo, recall_always, remember_always};
use clock::leapt;
pub use clock::{ClockError, as_of};
pub use error::{Exit, RunError};
pub use idle::recall;
pub use metrics::{Measured, Standing, metrics};
pub use openlineage::Surroundings;
pub use openlineage_http::{Receiver, SendError};
pub use record::{Record, RunProgress, chosen};
pub use report::{DatasetReport, Event, LeftFile, RunReport, Status, TableReport};

use crate::check::{ChangedPartitions, CheckError, CheckRun, Checked, Verdict, check};
use crate::clean::{Referenced, clean};
use crate::digest::Digest;
use crate::engine::{self, Resources};
use crate::ingest::{LandingFolder, ingest};
use crate::plan::{
    Build, BuildReason, Check, DatasetInput, DatasetStep, FileLeft, Forget, Inputs, Kind, Plan, Scope, Table,
    Workspace, build_hash, plan, read_hash, without_rows,
};
use crate::project::SourceContract;
use crate::publish::{Base, Published, Publisher, fork, publish};
use crate::store::{CheckResults, CheckStatus, RUN_RECORD, RunMark, Store, StoreError, TableEntry, TableState};
use crate::transform::{
    Built, PartitionBuild, QueryContext, Source, TransformError, columns, register_stored, register_view, transform,
};
use crate::why::records;

/// Of how many broken promises it is found out which landed records break them.
const FOLLOWED: usize = 5;

/// How often a run plans again after another one published first.
const ATTEMPTS: usize = 3;

/// What a run needs besides the workspace.
#[derive(Debug)]
pub struct RunOptions<'a> {
    /// The warehouse.
    pub store: &'a Store,
    /// What the run reaches.
    pub reach: &'a Scope,
    /// The clock, if it was given.
    pub as_of: Option<DateTime<Utc>>,
    /// Whether the clock may go back behind the published one, because that was wrong.
    pub allow_earlier: bool,
    /// What queries may use.
    pub resources: Resources,
    /// The run's name.
    pub id: String,
    /// Digest of the project.
    pub project: Digest,
    /// What was asked, if it is to be remembered that there was nothing to do.
    pub memo: Option<&'a Memo>,
    /// The landed files that the run forgets or takes back.
    pub forget: Option<&'a Forget>,
    /// What is left behind about the run.
    pub record: Option<&'a Record<'a>>,
}

/// Runs what `job` reaches and publishes it.
///
/// # Errors
/// Whatever stops it; nothing was published then.
pub async fn run(
    workspace: &Workspace,
    options: &RunOptions<'_>,
    on: &mut (dyn FnMut(Event) + Send),
) -> Result<RunReport, RunError> {
    let started = Instant::now();
    tracing::info!(
        run = options.id,
        datasets = options.reach.ingest.len(),
        models = options.reach.models.len(),
        "run started"
    );
    // Gone when the run has ended in whatever way but by `kill -9`.
    let mut mark = None;
    let mut outcome = Err(RunError::Store(StoreError::Lost));
    for _ in 0..ATTEMPTS {
        outcome = attempt(workspace, options, &mut mark, on).await;
        if !matches!(outcome, Err(RunError::Store(StoreError::Lost))) {
            break;
        }
        options.store.discard_unnamed();
    }
    options.store.discard_unnamed();
    let mut report = outcome?;
    report.seconds = started.elapsed().as_secs_f64();
    if let Some(record) = options.record.filter(|_| report.status != Status::NothingNew) {
        // Before readers get to see the tables, because those about the warehouse tell of this run too.
        record.write(report.status, report.exit(), None, RunProgress::Ended(&report));
    }
    // The reference is what counts; what BI tools open is derived from it, and the next command mends it.
    options.store.refresh_published().map_err(RunError::Behind)?;
    if let Some(record) = options.record.filter(|_| report.status != Status::NothingNew) {
        record.write_lineage(report.exit(), None, RunProgress::Ended(&report));
    }
    report.seconds = started.elapsed().as_secs_f64();
    tracing::info!(
        run = options.id,
        status = ?report.status,
        snapshot = report.snapshot.as_ref().map(Digest::as_str),
        promises_kept = report.checks,
        warnings = report.warnings.len(),
        elapsed_ms = elapsed_ms(started),
        "run ended"
    );
    Ok(report)
}

/// Plans a run without running it.
///
/// # Errors
/// When the store or the landed files cannot be looked at, or the clock is refused.
pub fn plan_run(workspace: &Workspace, options: &RunOptions<'_>) -> Result<Plan, RunError> {
    let base = Base::beginning(options.store)?;
    Ok(look(workspace, options, &base)?.plan)
}

/// What a run sees before it does anything.
struct Seen {
    plan: Plan,
    /// The states of the datasets.
    states: BTreeMap<String, TableState>,
    /// When the newest file landed that is known or listed, of those that are not in the future.
    newest: Option<DateTime<Utc>>,
}

/// Looks at what is published and what has landed, and plans.
fn look(workspace: &Workspace, options: &RunOptions<'_>, base: &Base) -> Result<Seen, RunError> {
    let snapshot = base.snapshot.as_ref();
    let published = snapshot.map(|snapshot| snapshot.as_of).filter(|_| !options.allow_earlier);
    let as_of = as_of(&workspace.project.settings, options.as_of, published)?;
    // The tables that a contract is asked of count as they are, in reach or not.
    let is_query = |name: &&String| workspace.tables.get(*name).is_some_and(|table| table.kind == Kind::Check);
    let queries = options.reach.checks.iter().filter(is_query);
    let datasets = options.reach.ingest.iter().chain(&options.reach.clean);
    let needed: BTreeSet<String> = options.reach.models.iter().chain(queries).chain(datasets).cloned().collect();
    let upstream = workspace.upstream(&needed);
    let mut inputs = Inputs { snapshot, datasets: BTreeMap::new(), as_of };
    let mut states = BTreeMap::new();
    for (name, contract) in &workspace.project.sources {
        let is_taken_in = options.reach.ingest.contains(name);
        let is_following = is_taken_in || options.reach.clean.contains(name);
        let mut input = DatasetInput { is_following, ..DatasetInput::default() };
        if !upstream.contains(name) && options.forget.is_none() {
            continue;
        }
        if let Some(entry) = snapshot.and_then(|snapshot| snapshot.tables.get(name)) {
            let mut state = options.store.table(name, &entry.state)?;
            if let (Some(forget), Some(landed)) = (options.forget, &mut state.landed) {
                input.is_forgetting = forget.apply(contract.files, landed.change());
            }
            if !upstream.contains(name) && !input.is_forgetting {
                continue;
            }
            input.landed.clone_from(&state.landed);
            states.insert(name.clone(), state);
        }
        let is_reshaped = input
            .landed
            .as_ref()
            .is_some_and(|landed| landed.read_hash != read_hash(contract, &workspace.project.settings.limits));
        let returns = input.is_forgetting && !without_rows(contract, input.landed.as_deref()).is_empty();
        if is_taken_in || is_reshaped || input.landed.is_none() || returns {
            let folder = LandingFolder::new(&workspace.project.root, &contract.from);
            let listed = folder.list(&contract.from, &contract.ready);
            let mut listed = listed.map_err(|source| RunError::listing(contract, source))?;
            if let (true, false, Some(landed)) = (input.is_forgetting, is_taken_in, &input.landed) {
                // What is new is none of its business.
                let admitted: BTreeSet<&str> = landed.paths.iter().map(|path| &*path.path).collect();
                listed.retain(|file| admitted.contains(&*file.path));
            }
            input.listed = Some(listed);
        }
        inputs.datasets.insert(name.clone(), input);
    }
    let landed = inputs.datasets.values().flat_map(|input| {
        let known = input.landed.iter().flat_map(|landed| &landed.paths).map(|path| path.landed_at);
        known.chain(input.listed.iter().flatten().map(|file| file.landed_at))
    });
    let now = Utc::now();
    let newest = landed.filter(|landed_at| *landed_at <= now).max();
    Ok(Seen { plan: plan(workspace, options.reach, &inputs), states, newest })
}

async fn attempt(
    workspace: &Workspace,
    options: &RunOptions<'_>,
    mark: &mut Option<RunMark>,
    on: &mut (dyn FnMut(Event) + Send),
) -> Result<RunReport, RunError> {
    fork(options.store)?;
    let base = Base::read(options.store)?;
    // Before the listing: what lands in between is new to the next run.
    let stamps = options.memo.and_then(|_| idle::stamps(workspace, options));
    let Seen { plan, states, newest } = look(workspace, options, &base)?;
    let mut report = RunReport::new(&options.id, plan.as_of);
    let before = base.snapshot.as_ref().map(|snapshot| snapshot.as_of);
    let goes_back = options.allow_earlier && before.is_some_and(|before| plan.as_of < before);
    let nothing_landed = plan.datasets.iter().filter_map(|step| Some((step.name.clone(), step.nothing_at.clone()?)));
    report.nothing_landed = nothing_landed.collect();
    report.left = plan.datasets.iter().flat_map(|step| left(&step.name, &step.left)).collect();
    report.shows(options.store)?;
    let warned_before = base.snapshot.as_ref().map(|snapshot| snapshot.warned.clone()).unwrap_or_default();
    if plan.is_idle() && !goes_back && !words_changed(workspace, options, &base, &states)? {
        report.status = Status::NothingNew;
        report.published = options.store.published();
        report.standing_warnings = warned_before.into_iter().collect();
        // What was left alone becomes whole with time, or with a marker, of which no stamp tells.
        if let Some(reference) = base.reference.as_ref().filter(|_| report.left.is_empty()) {
            idle::remember(workspace, options, reference, &report, stamps);
        }
        return Ok(report);
    }
    if mark.is_none() {
        *mark = options.record.and_then(Record::begin);
    }
    on(Event::Planned {
        files: plan.datasets.iter().map(|step| step.files.len()).sum(),
        models: plan.models.iter().filter(|step| step.build != Build::Skip).count(),
    });
    let session = engine::session(&options.resources).map_err(RunError::Engine)?;
    let mut work = Work {
        workspace,
        options,
        base: &base,
        plan: &plan,
        session,
        made: BTreeMap::new(),
        read: BTreeSet::new(),
        contents: BTreeMap::new(),
        parted: BTreeMap::new(),
    };
    for step in &plan.datasets {
        work.dataset(step, &states, &mut report, on).await?;
    }
    work.models(&mut report, on).await?;
    let (read, checked) = work.checks(on).await?;
    report.checks = checked.passed;
    report.not_judged = checked.skipped;
    report.warnings.clone_from(&checked.warnings);
    let promised: BTreeSet<&str> = workspace.checks().map(|promise| promise.name.as_str()).collect();
    let stands = |name: &String| promised.contains(name.as_str()) && !checked.outcomes.contains_key(name);
    report.standing_warnings = warned_before.into_iter().filter(stands).collect();
    report.moved = gate::moved(&work, &checked.tables).await?;
    // Asked before the commit: once the tables are in force nothing can interrupt the run any more.
    report.headline = work.headline().await;
    on(Event::Publishing);
    let by = Publisher { run: options.id.clone(), project: options.project.clone(), as_of: plan.as_of, goes_back };
    let moved: Vec<String> = report.moved.iter().map(|moved| format!("{}.{}", moved.table, moved.column)).collect();
    let published = publish(options.store, workspace, &base, &read, &checked, &moved, &by)?;
    report.status = match &published {
        Published::Committed(_) => Status::Published,
        Published::Held(_) => Status::Held,
        Published::Unchanged => Status::NothingNew,
    };
    report.shows(options.store)?;
    if report.status != Status::NothingNew && options.as_of.is_none() {
        report.clock_warning = report.clock_warning.take().or_else(|| leapt(plan.as_of, before, newest));
    }
    report.snapshot = match published {
        Published::Committed(id) | Published::Held(id) => Some(id),
        Published::Unchanged => None,
    };
    report.published = options.store.published();
    Ok(report)
}

fn left<'a>(dataset: &'a str, files: &'a [FileLeft]) -> impl Iterator<Item = LeftFile> + 'a {
    files.iter().map(|file| LeftFile::new(dataset, file))
}

fn elapsed_ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Returns whether descriptions or labels changed: tables stay as they are, but what is told of them does not.
fn words_changed(
    workspace: &Workspace,
    options: &RunOptions<'_>,
    base: &Base,
    datasets: &BTreeMap<String, TableState>,
) -> Result<bool, StoreError> {
    let Some(snapshot) = &base.snapshot else { return Ok(true) };
    if snapshot.project == options.project {
        return Ok(false);
    }
    for name in &options.reach.models {
        let Some(entry) = snapshot.tables.get(name) else { return Ok(true) };
        if described(workspace, options.store.table(name, &entry.state)?).1 {
            return Ok(true);
        }
    }
    Ok(datasets.values().any(|state| described(workspace, state.clone()).1))
}

/// Brings the words of a state up to date; returns whether that changed any.
fn described(workspace: &Workspace, mut state: TableState) -> (TableState, bool) {
    let before = (state.columns.clone(), state.description.clone(), state.grain.clone());
    if let Some(source) = workspace.project.sources.get(&state.table) {
        state.columns = crate::clean::columns(&workspace.project, source);
        state.description.clone_from(&source.description);
        state.grain.clone_from(&source.grain);
    } else {
        let contract = workspace.project.contracts.get(&state.table);
        state.columns = columns(workspace, &state.table);
        state.description = contract.and_then(|contract| contract.description.clone());
        state.grain = contract.and_then(|contract| contract.grain.clone());
    }
    let is_changed = before != (state.columns.clone(), state.description.clone(), state.grain.clone());
    (state, is_changed)
}

/// A run under way.
struct Work<'a> {
    workspace: &'a Workspace,
    options: &'a RunOptions<'a>,
    base: &'a Base,
    plan: &'a Plan,
    session: SessionContext,
    /// States that this run made, in place of those of the base.
    made: BTreeMap<String, TableState>,
    /// Tables that something made by this run was made from.
    read: BTreeSet<String>,
    /// The content of every table known so far.
    contents: BTreeMap<String, Digest>,
    /// The states of those that have partitions.
    parted: BTreeMap<String, TableState>,
}

impl Work<'_> {
    async fn dataset(
        &mut self,
        step: &DatasetStep,
        states: &BTreeMap<String, TableState>,
        report: &mut RunReport,
        on: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), RunError> {
        let started = Instant::now();
        let contract = &self.workspace.project.sources[&step.name];
        let before = states.get(&step.name);
        let mut state = before.cloned();
        let mut missing_columns = BTreeSet::new();
        let (mut outdated, mut empty_files) = (Vec::new(), Vec::new());
        if step.build != Build::Skip || !step.files.is_empty() {
            on(Event::Reading { dataset: step.name.clone(), files: step.files.len() });
            let landed = before.and_then(|state| state.landed.as_ref());
            let settings = &self.workspace.project.settings;
            let threads = self.options.resources.threads;
            let mut raw = ingest(
                self.options.store,
                &self.workspace.project.root,
                contract,
                &settings.limits,
                step,
                landed,
                threads,
            )
            .await?;
            missing_columns = std::mem::take(&mut raw.missing_columns);
            outdated = std::mem::take(&mut raw.outdated);
            empty_files = std::mem::take(&mut raw.empty_files);
            report.left.extend(left(&step.name, &raw.left));
            let is_as_before = landed.is_some_and(|landed| {
                landed.read_hash == raw.read_hash
                    && landed.paths == raw.paths
                    && raw.is_read_like(landed)
                    && contract.referenced().iter().all(|name| landed.referenced.get(*name) == self.contents.get(*name))
                    && !matches!(step.build, Build::Required(BuildReason::Contract | BuildReason::Forgotten))
            });
            if !is_as_before {
                let referenced = self.referenced(contract, states)?;
                self.read.extend(referenced.keys().cloned());
                let cleaned =
                    clean(self.options.store, &self.workspace.project, contract, raw, referenced, landed).await?;
                state = Some(cleaned.state);
            }
        }
        let Some(state) = state.map(|state| described(self.workspace, state).0) else { return Ok(()) };
        if before != Some(&state) {
            self.made.insert(step.name.clone(), state.clone());
        }
        report.datasets.push(DatasetReport::new(
            &state,
            step,
            (missing_columns, outdated, empty_files),
            started.elapsed(),
        ));
        if let Some(done) = report.datasets.last() {
            tracing::info!(
                dataset = done.dataset,
                files_read = done.files_read,
                records = done.records,
                accepted = done.accepted,
                quarantined = done.quarantined,
                rows = done.rows,
                clean = done.counts.clean,
                elapsed_ms = elapsed_ms(started),
                "dataset is up to date"
            );
            on(Event::Read(done.clone()));
        }
        self.know(&state)
    }

    /// Returns what the datasets that a contract references have by now; their turn has been.
    fn referenced(
        &self,
        contract: &SourceContract,
        states: &BTreeMap<String, TableState>,
    ) -> Result<BTreeMap<String, Referenced>, RunError> {
        let of = |name: &str| match self.made.get(name).or_else(|| states.get(name)) {
            Some(state) => Ok((name.to_owned(), Referenced::of(state))),
            None => Err(RunError::MissingInput { table: contract.name.clone(), input: name.to_owned() }),
        };
        contract.referenced().into_iter().map(of).collect()
    }

    async fn models(&mut self, report: &mut RunReport, on: &mut (dyn FnMut(Event) + Send)) -> Result<(), RunError> {
        let total = self.plan.models.iter().filter(|step| step.build != Build::Skip).count();
        let mut number = 0;
        for name in &self.workspace.order {
            let Some(table) = self.workspace.tables.get(name) else { continue };
            if table.kind == Kind::View {
                // A view whose inputs are out of reach of this run is not read by anything in it.
                if table.inputs.iter().all(|input| self.contents.contains_key(input)) {
                    register_view(&self.session, self.workspace, name, self.plan.as_of).map_err(RunError::Engine)?;
                }
                continue;
            }
            let Some(step) = self.plan.models.iter().find(|step| step.name == *name) else {
                self.know_published(name)?;
                continue;
            };
            let started = Instant::now();
            let made_from = build_hash(table, self.plan.as_of, |input| self.contents.get(input).cloned());
            let before = self.base.snapshot.as_ref().and_then(|snapshot| snapshot.tables.get(name));
            if let Some(entry) = before.filter(|entry| entry.build_hash == made_from) {
                let (state, is_changed) = described(self.workspace, self.options.store.table(name, &entry.state)?);
                self.know(&state)?;
                if is_changed {
                    self.made.insert(name.clone(), state);
                }
                number += usize::from(step.build != Build::Skip);
                continue;
            }
            if let Some(input) = table.inputs.iter().find(|input| !self.contents.contains_key(*input)) {
                return Err(RunError::MissingInput { table: name.clone(), input: input.clone() });
            }
            number += 1;
            self.read.extend(table.inputs.iter().cloned());
            on(Event::Building { model: name.clone(), number, total });
            let partition_build = self.partition_build(table, name, before)?;
            let Built { state, partition_counts, rows_read } = match transform(
                self.options.store,
                &self.session,
                self.workspace,
                name,
                self.plan.as_of,
                made_from,
                partition_build.as_ref(),
            )
            .await
            {
                Ok(built) => built,
                Err(error) => return Err(self.with_records(&self.made, error.into()).await),
            };
            drop(partition_build);
            let changed = before.is_none_or(|entry| entry.content_hash != state.content_hash());
            let (why, changed_inputs) = self.why(table, &step.build);
            let state = self.keep_files_if_equal(state, before)?;
            self.know(&state)?;
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
            tracing::info!(table = done.table, rows_out = done.rows, elapsed_ms = elapsed_ms(started), "model built");
            on(Event::Built(done.clone()));
            report.tables.push(done);
            self.made.insert(name.clone(), state);
        }
        Ok(())
    }

    /// Returns why a table is made, and if that is for its inputs, which of them came out different.
    fn why(&self, table: &Table, build: &Build) -> (BuildReason, Vec<String>) {
        if let Build::Required(why) = build {
            return (*why, Vec::new());
        }
        let before = |name: &String| Some(&self.base.snapshot.as_ref()?.tables.get(name)?.content_hash);
        let changed = table.inputs.iter().filter(|name| self.contents.get(*name) != before(name));
        (BuildReason::Inputs, changed.cloned().collect())
    }

    /// Prepares to make a table by partitions, if that is how it is made.
    fn partition_build<'t>(
        &self,
        table: &'t Table,
        name: &str,
        before: Option<&TableEntry>,
    ) -> Result<Option<PartitionBuild<'t>>, RunError> {
        let Some(partitioned) = &table.partitioned else { return Ok(None) };
        let known = |input: &String| Some((input.clone(), self.parted.get(input)?.clone()));
        let aligned: BTreeMap<_, _> = partitioned.aligned.iter().filter_map(known).collect();
        if aligned.len() < partitioned.aligned.len() {
            // An input that was published before it had partitions.
            return Ok(None);
        }
        let before = before.map(|entry| self.options.store.table(name, &entry.state)).transpose()?;
        let content = |input: &str| self.contents.get(input).cloned();
        let group_rows = self.options.resources.group_rows;
        Ok(Some(PartitionBuild::new(table, self.plan.as_of, partitioned, aligned, content, before, group_rows)))
    }

    /// Where a rebuilt table comes out equal, the files of before stay, so that nothing downstream moves.
    fn keep_files_if_equal(&self, mut state: TableState, before: Option<&TableEntry>) -> Result<TableState, RunError> {
        let Some(entry) = before.filter(|entry| entry.content_hash == state.content_hash()) else { return Ok(state) };
        let known = self.options.store.table(&state.table, &entry.state)?;
        let is_there = known.files.iter().all(|file| self.options.store.assure(file).is_ok());
        if !is_there || known.partition != state.partition {
            // What is there no longer, or was told apart in another way, cannot be kept: the new files mend it.
            return Ok(state);
        }
        for file in std::mem::replace(&mut state.files, known.files) {
            self.options.store.discard(&file);
        }
        Ok(state)
    }

    /// Runs the checks whose inputs or text changed. Returns the tables that the run read, and those that are checked.
    async fn checks(&mut self, on: &mut (dyn FnMut(Event) + Send)) -> Result<(Vec<String>, Checked), RunError> {
        let own = crate::publish::preview(self.options.store, self.workspace, self.base.snapshot.as_ref(), &self.made)?;
        for state in own {
            self.know(&state)?;
        }
        let snapshot = self.base.snapshot.as_ref();
        let known = snapshot.map(|snapshot| self.options.store.outcomes(&snapshot.check_results)).transpose()?;
        let mut asked = Vec::new();
        for step in &self.plan.checks {
            let Some(table) = self.workspace.tables.get(&step.name) else { continue };
            for promise in &table.checks {
                let fingerprint = promise.run_hash(self.plan.as_of, |input| self.contents.get(input).cloned());
                if snapshot.and_then(|snapshot| snapshot.checks.get(&promise.name)) == Some(&fingerprint) {
                    continue;
                }
                self.read.extend(promise.inputs.iter().cloned());
                let missing = promise.inputs.iter().find(|input| !self.contents.contains_key(*input)).cloned();
                let published = snapshot.and_then(|snapshot| snapshot.tables.get(&step.name));
                let published_rows = published.map(|entry| entry.rows);
                let since = self.since(promise, known.as_ref())?;
                asked.push(CheckRun { promise, fingerprint, missing, published_rows, since });
            }
        }
        on(Event::Checking { checks: asked.len() });
        let read = self.read.iter().filter(|name| !self.made.contains_key(*name)).cloned().collect();
        let made = std::mem::take(&mut self.made);
        match check(self.context(), made.values().cloned().collect(), asked).await {
            Ok(Verdict::Failed { findings }) => {
                let record = self.options.store.run_file(&self.options.id, RUN_RECORD);
                Err(self.with_records(&made, RunError::Broken { findings, record }).await)
            }
            Ok(Verdict::Passed(checked)) => Ok((read, checked)),
            Err(error) => Err(self.with_records(&made, error.into()).await),
        }
    }

    fn context(&self) -> QueryContext<'_> {
        QueryContext {
            store: self.options.store,
            session: &self.session,
            workspace: self.workspace,
            as_of: self.plan.as_of,
        }
    }

    /// Adds to a failure which landed records led to it, as long as what this run has made is there to be asked.
    async fn with_records(&self, made: &BTreeMap<String, TableState>, mut error: RunError) -> RunError {
        let state = |name: &str| {
            let published = || self.base.snapshot.as_ref().and_then(|snapshot| snapshot.tables.get(name));
            match made.get(name) {
                Some(state) => Ok(Some(state.clone())),
                None => published().map(|entry| self.options.store.table(name, &entry.state)).transpose(),
            }
        };
        let found = async |source: &Source| records(self.context(), &state, &self.options.resources, source).await;
        match &mut error {
            RunError::Check(CheckError { blame, .. })
            | RunError::Transform(TransformError::Query { blame: Some(blame), .. }) => {
                if let Some(source) = blame.source.take() {
                    blame.records = found(&source).await;
                }
            }
            RunError::Broken { findings, .. } => {
                let followed = findings.iter_mut().filter(|finding| finding.source.is_some()).take(FOLLOWED);
                for finding in followed {
                    if let Some(source) = finding.source.take() {
                        finding.records = found(&source).await;
                    }
                }
                findings.iter_mut().for_each(|finding| finding.source = None);
            }
            _ => {}
        }
        error
    }

    /// Returns what changed since a promise was kept by every row, if only partitions of its inputs did.
    fn since(&self, promise: &Check, known: Option<&CheckResults>) -> Result<Option<ChangedPartitions>, RunError> {
        let Some(snapshot) = &self.base.snapshot else { return Ok(None) };
        let was_kept = known
            .and_then(|known| known.get(&promise.name))
            .is_some_and(|outcome| outcome.state == CheckStatus::Passed && outcome.failing_rows == 0);
        let content = |input: &str| snapshot.tables.get(input).map(|entry| entry.content_hash.clone());
        let asked_of = promise.run_hash(self.plan.as_of, content);
        if !was_kept || promise.uses_clock || snapshot.checks.get(&promise.name) != Some(&asked_of) {
            return Ok(None);
        }
        let mut since = ChangedPartitions { changed: BTreeMap::new(), keys: BTreeSet::new() };
        for input in promise.inputs.iter().filter(|input| self.contents.get(*input) != content(input).as_ref()) {
            let (Some(entry), Some(now)) = (snapshot.tables.get(input), self.parted.get(input)) else {
                return Ok(None);
            };
            let before = self.options.store.table(input, &entry.state)?;
            if before.partition != now.partition {
                return Ok(None);
            }
            let (was, is) = (before.partition_sums(), now.partition_sums());
            since.keys.extend(was.keys().chain(is.keys()).filter(|key| was.get(key) != is.get(key)));
            since.changed.insert(input.clone(), now.clone());
        }
        Ok(if since.changed.is_empty() { None } else { Some(since) })
    }

    /// Makes the published rows of a table that this run only reads known.
    fn know_published(&mut self, name: &str) -> Result<(), RunError> {
        let Some(entry) = self.base.snapshot.as_ref().and_then(|snapshot| snapshot.tables.get(name)) else {
            return Ok(());
        };
        let state = self.options.store.table(name, &entry.state)?;
        self.know(&state)
    }

    fn know(&mut self, state: &TableState) -> Result<(), RunError> {
        register_stored(&self.session, self.options.store, state).map_err(RunError::engine)?;
        self.contents.insert(state.table.clone(), state.content_hash());
        if state.partition.is_some() {
            self.parted.insert(state.table.clone(), state.clone());
        }
        Ok(())
    }

    /// Returns the rows of the headline model as texts. A report without them is still a report.
    async fn headline(&self) -> Vec<(String, String)> {
        let Some(model) = &self.workspace.project.settings.headline else { return Vec::new() };
        if !self.contents.contains_key(model) {
            return Vec::new();
        }
        report::headline(&self.session, model).await.unwrap_or_default()
    }
}

//! Decides which steps a run takes, in what order, and why each must run or need not.
//!
//! Promises: the plan is a pure function of the project, the selection, the newest snapshot, the listing of landed
//! files and the clock; the same inputs give the same plan, byte for byte. What cannot be known before files have been
//! read is said as such ([`Build::IfChanged`]) and settled during the run by comparing hashes.
//!
//! It reads no data and runs no query. Column and type mistakes are found here, by DataFusion's own binder.

mod bind;
mod check;
mod depth;
mod elsewhere;
mod graph;
mod lineage;
mod metric;
mod partition;
mod places;
mod query;
mod refuse;
mod remembered;
mod select;
mod sql_functions;
mod trial;
mod using;
mod warn;
mod words;
mod workspace;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

pub use bind::{plan_query, plan_query_with, plan_statement, try_query, volatile};
pub use check::{Check, Denominator, PUBLISHED_ROWS};
pub use depth::STACK_BYTES;
pub use lineage::{Lineage, Origin, lineage, tables_behind};
pub use metric::{
    Grain, MetricAbout, MetricQuestion, MetricSelect, PortableAggregate, PortableMetric, PortableSide, Range,
    is_compiled, metric_select, portable,
};
pub use partition::Partitioned;
pub use places::{WrittenAt, declared_at, locate, said_of};
pub use query::{Query, sql_name};
pub use select::{SelectorMistake, select, select_all};
pub use sql_functions::SqlFunctions;
pub use trial::{CompileCache, CompileMemo, computable, is_of_the_query};
pub use words::{PlainError, plain};
pub use workspace::{CLOCK, Kind, Table, Workspace, source_schema, variable_value};

use crate::digest::{Digest, Parts};
use crate::landed::{self, Build, BuildReason, DatasetInput, DatasetStep};
use crate::store::Snapshot;

/// What a run would do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The logical clock.
    pub as_of: DateTime<Utc>,
    /// The datasets in reach of the run, each after what it references.
    pub datasets: Vec<DatasetStep>,
    /// The stored models in reach of the run, each after what it reads.
    pub models: Vec<ModelStep>,
    /// The checks in reach of the run, by what makes them: a query of `sql/checks/`, or a model by its contract.
    pub checks: Vec<ModelStep>,
    /// Tables of the newest snapshot that the project has no longer.
    pub dropped: Vec<String>,
    /// Checks of the newest snapshot that the project has no longer.
    pub forgotten: Vec<String>,
}

/// A model or check.
#[derive(Debug, Clone)]
pub struct ModelStep {
    /// Its name.
    pub name: String,
    /// Whether and why it runs.
    pub build: Build,
    /// How it is made by partitions, if it has some.
    pub partitioned: Option<Partitioned>,
}

impl Plan {
    /// Returns whether nothing needs to run.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let models = self.models.iter().chain(&self.checks).all(|step| step.build == Build::Skip);
        self.dropped.is_empty()
            && self.forgotten.is_empty()
            && models
            && self.datasets.iter().all(|step| step.build == Build::Skip && step.files.is_empty())
    }
}

/// What a plan is made of besides the project.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The newest snapshot.
    pub snapshot: Option<&'a Snapshot>,
    /// Of every dataset in reach, what was admitted before and what is listed now.
    pub datasets: BTreeMap<String, DatasetInput>,
    /// The logical clock.
    pub as_of: DateTime<Utc>,
}

/// What a run is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Datasets whose new files are taken in.
    pub ingest: BTreeSet<String>,
    /// Others that are cleaned again where one that they reference changes.
    pub clean: BTreeSet<String>,
    /// Stored models to bring up to date.
    pub models: BTreeSet<String>,
    /// What declares checks of those: queries of `sql/checks/`, and models by their contracts.
    pub checks: BTreeSet<String>,
}

/// Returns what a run of `jobs` is about, narrowed or widened by what was selected by hand.
///
/// That is: what the jobs or selectors name, everything upstream, and every dataset and published table downstream of the
/// datasets that are taken in, so that no published table contradicts another. Without jobs and selection it is
/// everything.
#[must_use]
pub fn scope(
    workspace: &Workspace,
    jobs: &[&crate::project::Job],
    selected: &BTreeSet<String>,
    excluded: &BTreeSet<String>,
) -> Scope {
    let mut chosen: BTreeSet<String> = selected.clone();
    for job in jobs {
        let ingest: BTreeSet<String> = job.ingest.iter().map(|dataset| dataset.text.clone()).collect();
        if job.tables.is_empty() {
            // What only references those is no part of the job: its new files wait for a job of their own.
            chosen.extend(workspace.sql_downstream(&ingest));
        }
        chosen.extend(ingest);
        chosen.extend(job.tables.iter().filter_map(|selector| select(workspace, &selector.text).ok()).flatten());
    }
    if jobs.is_empty() && selected.is_empty() {
        chosen = workspace.project.sources.keys().chain(workspace.tables.keys()).cloned().collect();
    }
    chosen.retain(|name| !excluded.contains(name));
    let mut wanted = workspace.upstream(&chosen);
    let is_source = |name: &String| workspace.project.sources.contains_key(name);
    let ingest: BTreeSet<String> = wanted.iter().filter(|name| is_source(name)).cloned().collect();
    wanted.extend(workspace.downstream(&ingest).into_iter().filter(|name| !excluded.contains(name)));
    let clean = wanted.iter().filter(|name| is_source(name) && !ingest.contains(*name)).cloned().collect();
    // What lies downstream may read datasets of other jobs; those count as they were published last.
    let wanted = workspace.upstream(&wanted);
    let ingest = ingest.into_iter().filter(|name| !excluded.contains(name)).collect();
    let of_kind = |kind: &dyn Fn(Kind) -> bool| -> BTreeSet<String> {
        let is_wanted = |name: &&String| {
            !excluded.contains(*name) && workspace.tables.get(*name).is_some_and(|table| kind(table.kind))
        };
        wanted.iter().filter(is_wanted).cloned().collect()
    };
    let models = of_kind(&Kind::is_stored);
    let mut checks = of_kind(&|kind| kind == Kind::Check);
    // A check that leads to another table runs again when that one changes, wherever its own table lies.
    let is_about = |table: &Table| {
        table.kind.is_stored()
            && table.checks.iter().any(|check| check.inputs.iter().any(|input| models.contains(input)))
    };
    let promising = workspace.tables.iter().filter(|(name, table)| !excluded.contains(*name) && is_about(table));
    checks.extend(promising.map(|(name, _)| name.clone()));
    Scope { ingest, clean, models, checks }
}

/// Plans a run.
#[must_use]
pub fn plan(workspace: &Workspace, scope: &Scope, inputs: &Inputs) -> Plan {
    let mut moving: BTreeSet<String> = BTreeSet::new();
    let mut datasets = Vec::new();
    for name in &workspace.datasets {
        let (Some(input), Some(contract)) = (inputs.datasets.get(name), workspace.project.sources.get(name)) else {
            continue;
        };
        let step = landed::step(contract, &workspace.project.settings.limits, input, inputs.snapshot, &moving);
        if step.build != Build::Skip || !step.files.is_empty() {
            moving.insert(name.clone());
        }
        datasets.push(step);
    }
    let mut models = Vec::new();
    let mut checks = Vec::new();
    for name in workspace.order.iter().filter(|name| scope.models.contains(*name)) {
        let Some(table) = workspace.tables.get(name) else { continue };
        let build = build_of_model(table, name, inputs, &moving);
        if build != Build::Skip {
            moving.insert(name.clone());
        }
        models.push(ModelStep { name: name.clone(), build, partitioned: table.partitioned.clone() });
    }
    // A check may lead to any table, so all that changes has to be known.
    for name in workspace.order.iter().filter(|name| scope.checks.contains(*name)) {
        let Some(table) = workspace.tables.get(name).filter(|table| !table.checks.is_empty()) else { continue };
        let build = build_of_checks(table, inputs, &moving);
        checks.push(ModelStep { name: name.clone(), build, partitioned: None });
    }
    let is_gone = |name: &String| !workspace.has_stored(name);
    let dropped = inputs
        .snapshot
        .iter()
        .flat_map(|snapshot| snapshot.tables.keys().filter(|name| is_gone(name)).cloned())
        .collect();
    let made: BTreeSet<&str> = workspace.checks().map(|check| check.name.as_str()).collect();
    let forgotten = inputs
        .snapshot
        .iter()
        .flat_map(|snapshot| snapshot.checks.keys().filter(|name| !made.contains(name.as_str())).cloned())
        .collect();
    Plan { as_of: inputs.as_of, datasets, models, checks, dropped, forgotten }
}

/// Returns the build hash of a model or check, given the content of each of its inputs.
#[must_use]
pub fn build_hash(table: &Table, as_of: DateTime<Utc>, content: impl Fn(&str) -> Option<Digest>) -> Digest {
    let mut parts = Parts::of("built");
    parts.add(table.definition_hash.as_str());
    if table.uses_clock {
        parts.add(as_of.to_rfc3339());
    }
    for input in &table.inputs {
        parts.add(input);
        parts.add(content(input).as_ref().map_or("none", Digest::as_str));
    }
    parts.digest()
}

fn build_of_model(table: &Table, name: &str, inputs: &Inputs, moving: &BTreeSet<String>) -> Build {
    let Some(snapshot) = inputs.snapshot else { return Build::Required(BuildReason::New) };
    let Some(entry) = snapshot.tables.get(name) else { return Build::Required(BuildReason::New) };
    let moved: Vec<String> = table.inputs.intersection(moving).cloned().collect();
    let content = |input: &str| snapshot.tables.get(input).map(|entry| entry.content_hash.clone());
    let as_before = |as_of| build_hash(table, as_of, content) == entry.build_hash;
    if as_before(inputs.as_of) {
        if moved.is_empty() { Build::Skip } else { Build::IfChanged(moved) }
    } else if table.uses_clock && as_before(snapshot.as_of) {
        Build::Required(BuildReason::Clock)
    } else {
        // With the inputs as they are published the hash is another one, so it is not the inputs alone.
        Build::Required(BuildReason::Definition)
    }
}

/// Returns whether some check of a table or query must run, or may have to.
fn build_of_checks(table: &Table, inputs: &Inputs, moving: &BTreeSet<String>) -> Build {
    let mut may = BTreeSet::new();
    let mut must = None;
    for check in &table.checks {
        match build_of_check(check, inputs, moving) {
            Build::Required(why) => must = must.or(Some(why)),
            Build::IfChanged(moved) => may.extend(moved),
            Build::Skip => {}
        }
    }
    match must {
        Some(why) => Build::Required(why),
        None if may.is_empty() => Build::Skip,
        None => Build::IfChanged(may.into_iter().collect()),
    }
}

fn build_of_check(check: &Check, inputs: &Inputs, moving: &BTreeSet<String>) -> Build {
    let Some(snapshot) = inputs.snapshot else { return Build::Required(BuildReason::New) };
    let Some(asked) = snapshot.checks.get(&check.name) else { return Build::Required(BuildReason::Check) };
    let moved: Vec<String> = check.inputs.intersection(moving).cloned().collect();
    if !moved.is_empty() {
        return Build::IfChanged(moved);
    }
    let content = |input: &str| snapshot.tables.get(input).map(|entry| entry.content_hash.clone());
    let as_before = |as_of| check.run_hash(as_of, content) == *asked;
    if as_before(inputs.as_of) {
        Build::Skip
    } else if check.uses_clock && as_before(snapshot.as_of) {
        Build::Required(BuildReason::Clock)
    } else {
        Build::Required(BuildReason::Check)
    }
}

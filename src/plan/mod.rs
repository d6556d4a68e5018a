//! Decides which steps a run takes, in what order, and why each must run or need not.
//!
//! Promises: the plan is a pure function of the project, the selection, the published snapshot, the listing of landed
//! files and the clock; the same inputs give the same plan, byte for byte. What cannot be known before files have been
//! read is said as such ([`Need::May`]) and settled during the run by comparing fingerprints.
//!
//! It reads no data and runs no query. Column and type mistakes are found here, by DataFusion's own binder.

mod bind;
mod dataset;
mod graph;
mod lineage;
mod own;
mod query;
mod select;
mod suite;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

pub use bind::{plan_query, plan_statement};
pub use dataset::{
    DatasetInput, DatasetStep, FileStep, FileWhy, Listed, dataset_fingerprint, in_order, live_paths, shape,
};
pub use lineage::{Lineage, Origin, lineage};
pub use own::OwnTable;
pub use query::Query;
pub use select::{SelectorMistake, select, select_all};
pub use suite::{CLOCK, Kind, Suite, Table, source_schema, variable_value};

use crate::digest::{Digest, Parts};
use crate::project::ModelContract;
use crate::store::Snapshot;

/// What a run would do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The logical clock.
    pub as_of: DateTime<Utc>,
    /// The datasets in reach of the run, by name.
    pub datasets: Vec<DatasetStep>,
    /// The stored models in reach of the run, each after what it reads.
    pub models: Vec<ModelStep>,
    /// The checks in reach of the run: those of `sql/checks/`, and under the name of its model each contract that
    /// promises something.
    pub checks: Vec<ModelStep>,
    /// Tables of the newest snapshot that the project has no longer.
    pub dropped: Vec<String>,
}

/// A model or check.
#[derive(Debug, Clone)]
pub struct ModelStep {
    /// Its name.
    pub name: String,
    /// Whether and why it runs.
    pub need: Need,
}

/// Whether something is made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// It must be, because of this.
    Must(Why),
    /// It will be if one of these comes out different.
    May(Vec<String>),
    /// Everything that makes it is as it was.
    No,
}

/// Why something must be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It has never been published.
    New,
    /// Its SQL, a view that it reads, a variable or the version of the engine changed.
    Meaning,
    /// It uses `$as_of`, which moved on.
    Clock,
    /// Files landed or changed.
    Files,
    /// Its contract changed.
    Contract,
}

impl Plan {
    /// Returns whether nothing needs to run.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let models = self.models.iter().chain(&self.checks).all(|step| step.need == Need::No);
        self.dropped.is_empty()
            && models
            && self.datasets.iter().all(|step| step.need == Need::No && step.files.is_empty())
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

/// What a run reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Datasets whose new files are taken in.
    pub ingest: BTreeSet<String>,
    /// Stored models to bring up to date.
    pub models: BTreeSet<String>,
    /// Checks of those.
    pub checks: BTreeSet<String>,
}

/// Returns what a run of `jobs` reaches, narrowed or widened by what was selected by hand.
///
/// That is: what the jobs or selectors name, everything upstream, and every published table downstream of the datasets
/// that are taken in, so that no published table contradicts another. Without jobs and selection it is everything.
#[must_use]
pub fn reach(
    suite: &Suite,
    jobs: &[&crate::project::Job],
    selected: &BTreeSet<String>,
    excluded: &BTreeSet<String>,
) -> Reach {
    let mut chosen: BTreeSet<String> = selected.clone();
    for job in jobs {
        let ingest: BTreeSet<String> = job.ingest.iter().map(|dataset| dataset.text.clone()).collect();
        if job.tables.is_empty() {
            chosen.extend(suite.downstream(&ingest));
        }
        chosen.extend(ingest);
        chosen.extend(job.tables.iter().filter_map(|selector| select(suite, &selector.text).ok()).flatten());
    }
    if jobs.is_empty() && selected.is_empty() {
        chosen = suite.project.sources.keys().chain(suite.tables.keys()).cloned().collect();
    }
    chosen.retain(|name| !excluded.contains(name));
    let mut wanted = suite.upstream(&chosen);
    let is_source = |name: &String| suite.project.sources.contains_key(name);
    let ingest: BTreeSet<String> = wanted.iter().filter(|name| is_source(name)).cloned().collect();
    wanted.extend(suite.downstream(&ingest).into_iter().filter(|name| !excluded.contains(name)));
    // What lies downstream may read datasets of other jobs; those count as they were published last.
    let wanted = suite.upstream(&wanted);
    let ingest = ingest.into_iter().filter(|name| !excluded.contains(name)).collect();
    let of_kind = |kind: &dyn Fn(Kind) -> bool| -> BTreeSet<String> {
        let is_wanted =
            |name: &&String| !excluded.contains(*name) && suite.tables.get(*name).is_some_and(|table| kind(table.kind));
        wanted.iter().filter(is_wanted).cloned().collect()
    };
    Reach { ingest, models: of_kind(&Kind::is_stored), checks: of_kind(&|kind| kind == Kind::Check) }
}

/// Plans a run.
#[must_use]
pub fn plan(suite: &Suite, reach: &Reach, inputs: &Inputs) -> Plan {
    let mut moving: BTreeSet<String> = BTreeSet::new();
    let mut datasets = Vec::new();
    for (name, input) in &inputs.datasets {
        let Some(contract) = suite.project.sources.get(name) else { continue };
        let step = dataset::step(contract, &suite.project.settings.limits, input, inputs.snapshot);
        if step.need != Need::No || !step.files.is_empty() {
            moving.insert(name.clone());
        }
        datasets.push(step);
    }
    let mut models = Vec::new();
    let mut checks = Vec::new();
    for name in &suite.order {
        let Some(table) = suite.tables.get(name) else { continue };
        let is_check = table.kind == Kind::Check;
        if !(reach.models.contains(name) || reach.checks.contains(name)) {
            continue;
        }
        let need =
            if is_check { check_need(table, name, inputs, &moving) } else { model_need(table, name, inputs, &moving) };
        if need != Need::No && !is_check {
            moving.insert(name.clone());
        }
        let steps = if is_check { &mut checks } else { &mut models };
        steps.push(ModelStep { name: name.clone(), need });
        if let Some(contract) = suite.project.contracts.get(name).filter(|contract| contract.promises_something()) {
            let need = contract_need(contract, name, inputs, &moving);
            checks.push(ModelStep { name: name.clone(), need });
        }
    }
    let is_gone = |name: &String| !suite.has_stored(name);
    let dropped = inputs
        .snapshot
        .iter()
        .flat_map(|snapshot| snapshot.tables.keys().filter(|name| is_gone(name)).cloned())
        .collect();
    Plan { as_of: inputs.as_of, datasets, models, checks, dropped }
}

/// Returns the fingerprint of a model or check, given the content of each of its inputs.
#[must_use]
pub fn fingerprint(table: &Table, as_of: DateTime<Utc>, content: impl Fn(&str) -> Option<Digest>) -> Digest {
    let mut parts = Parts::of("built");
    parts.add(table.meaning.as_str());
    if table.uses_clock {
        parts.add(as_of.to_rfc3339());
    }
    for input in &table.inputs {
        parts.add(input);
        parts.add(content(input).as_ref().map_or("none", Digest::as_str));
    }
    parts.digest()
}

fn model_need(table: &Table, name: &str, inputs: &Inputs, moving: &BTreeSet<String>) -> Need {
    let Some(snapshot) = inputs.snapshot else { return Need::Must(Why::New) };
    let Some(entry) = snapshot.tables.get(name) else { return Need::Must(Why::New) };
    let moved: Vec<String> = table.inputs.intersection(moving).cloned().collect();
    let content = |input: &str| snapshot.tables.get(input).map(|entry| entry.content.clone());
    let as_before = |as_of| fingerprint(table, as_of, content) == entry.fingerprint;
    if as_before(inputs.as_of) {
        if moved.is_empty() { Need::No } else { Need::May(moved) }
    } else if table.uses_clock && as_before(snapshot.as_of) {
        Need::Must(Why::Clock)
    } else {
        // With the inputs as they are published the fingerprint is another one, so it is not the inputs alone.
        Need::Must(Why::Meaning)
    }
}

/// Returns the fingerprint of the promises of a contract about rows whose digest is `content`.
#[must_use]
pub fn contract_fingerprint(contract: &ModelContract, content: Option<&Digest>) -> Digest {
    let mut parts = Parts::of("contract");
    parts.add(contract.key.join(","));
    for (column, of) in &contract.columns {
        parts.add(column);
        parts.add(format!("{:?}", of.rules));
    }
    parts.add(content.map_or("none", Digest::as_str));
    parts.digest()
}

fn contract_need(contract: &ModelContract, name: &str, inputs: &Inputs, moving: &BTreeSet<String>) -> Need {
    let passed = inputs.snapshot.and_then(|snapshot| snapshot.checks.get(name));
    let Some(passed) = passed else { return Need::Must(Why::New) };
    if moving.contains(name) {
        return Need::May(vec![name.to_owned()]);
    }
    let content = inputs.snapshot.and_then(|snapshot| snapshot.tables.get(name)).map(|entry| &entry.content);
    if contract_fingerprint(contract, content) == *passed { Need::No } else { Need::Must(Why::Contract) }
}

fn check_need(table: &Table, name: &str, inputs: &Inputs, moving: &BTreeSet<String>) -> Need {
    let Some(snapshot) = inputs.snapshot else { return Need::Must(Why::New) };
    let Some(passed) = snapshot.checks.get(name) else { return Need::Must(Why::New) };
    let moved: Vec<String> = table.inputs.intersection(moving).cloned().collect();
    let content = |input: &str| snapshot.tables.get(input).map(|entry| entry.content.clone());
    if !moved.is_empty() {
        return Need::May(moved);
    }
    if fingerprint(table, inputs.as_of, content) == *passed { Need::No } else { Need::Must(Why::Meaning) }
}

//! Plans a run: reads the states of datasets, lists the landed files, and asks [`plan`] what is to be done.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::descriptions::have_changed;
use super::{RunError, RunOptions, as_of};
use crate::ingest::LandingFolder;
use crate::landed::{DatasetInput, read_hash, without_rows};
use crate::plan::{Inputs, Kind, Plan, Workspace, plan};
use crate::project::SourceContract;
use crate::publish::Base;
use crate::store::{Snapshot, StoreError, TableState};

/// What is to be done, and what that was seen from.
pub(super) struct PlannedRun {
    pub(super) plan: Plan,
    /// The states of the datasets.
    pub(super) states: BTreeMap<String, TableState>,
    /// When the newest file landed that is known or listed, of those that are not in the future.
    pub(super) newest: Option<DateTime<Utc>>,
    /// The clock of what is published.
    pub(super) published_at: Option<DateTime<Utc>>,
    /// Whether the clock goes back behind that.
    pub(super) goes_back: bool,
}

impl PlannedRun {
    /// Reads what is published and lists what has landed, and plans.
    pub(super) fn of(workspace: &Workspace, options: &RunOptions<'_>, base: &Base) -> Result<Self, RunError> {
        let snapshot = base.snapshot.as_ref();
        let published_at = snapshot.map(|snapshot| snapshot.as_of);
        let not_before = published_at.filter(|_| !options.allow_earlier);
        let as_of = as_of(&workspace.project.settings, options.as_of, not_before)?;
        let upstream = workspace.upstream(&needed(workspace, options));
        let mut inputs = Inputs { snapshot, datasets: BTreeMap::new(), as_of };
        let mut states = BTreeMap::new();
        for (name, contract) in &workspace.project.sources {
            let is_upstream = upstream.contains(name);
            if !is_upstream && options.forget.is_none() {
                continue;
            }
            let Some((input, state)) = dataset_input(contract, workspace, options, snapshot, is_upstream)? else {
                continue;
            };
            states.extend(state.map(|state| (name.clone(), state)));
            inputs.datasets.insert(name.clone(), input);
        }
        let landed = inputs.datasets.values().flat_map(|input| {
            let known = input.landed.iter().flat_map(|landed| &landed.paths).map(|path| path.landed_at);
            known.chain(input.listed.iter().flatten().map(|file| file.landed_at))
        });
        let now = Utc::now();
        let newest = landed.filter(|landed_at| *landed_at <= now).max();
        let plan = plan(workspace, options.scope, &inputs);
        let goes_back = options.allow_earlier && published_at.is_some_and(|before| plan.as_of < before);
        Ok(Self { plan, states, newest, published_at, goes_back })
    }

    /// Returns whether everything is as it is published already.
    pub(super) fn has_nothing_to_do(
        &self,
        workspace: &Workspace,
        options: &RunOptions<'_>,
        base: &Base,
    ) -> Result<bool, StoreError> {
        Ok(self.plan.is_idle() && !self.goes_back && !have_changed(workspace, options, base, &self.states)?)
    }
}

/// Returns the tables that the run is about.
fn needed(workspace: &Workspace, options: &RunOptions<'_>) -> BTreeSet<String> {
    let scope = options.scope;
    // The tables that a contract's checks read count as they are, in reach or not.
    let is_query = |name: &&String| workspace.tables.get(*name).is_some_and(|table| table.kind == Kind::Check);
    let queries = scope.checks.iter().filter(is_query);
    scope.models.iter().chain(queries).chain(&scope.ingest).chain(&scope.clean).cloned().collect()
}

/// Returns what the plan must know of one dataset: its state, and what has landed if that matters. Returns `None` if the run is not about it.
fn dataset_input(
    contract: &SourceContract,
    workspace: &Workspace,
    options: &RunOptions<'_>,
    snapshot: Option<&Snapshot>,
    is_upstream: bool,
) -> Result<Option<(DatasetInput, Option<TableState>)>, RunError> {
    let name = &contract.name;
    let is_ingested = options.scope.ingest.contains(name);
    let is_following = is_ingested || options.scope.clean.contains(name);
    let mut input = DatasetInput { is_following, ..DatasetInput::default() };
    let mut known = None;
    if let Some(entry) = snapshot.and_then(|snapshot| snapshot.tables.get(name)) {
        let mut state = options.store.table(name, &entry.state)?;
        if let (Some(forget), Some(landed)) = (options.forget, &mut state.landed) {
            input.is_forgetting = forget.apply(contract.files, landed.change());
        }
        if !is_upstream && !input.is_forgetting {
            return Ok(None);
        }
        input.landed.clone_from(&state.landed);
        known = Some(state);
    }
    let landed = input.landed.as_ref();
    let is_read_otherwise =
        landed.is_some_and(|landed| landed.read_hash != read_hash(contract, &workspace.project.settings.limits));
    let returns = input.is_forgetting && !without_rows(contract, input.landed.as_deref()).is_empty();
    if is_ingested || is_read_otherwise || landed.is_none() || returns {
        let folder = LandingFolder::new(&workspace.project.root, &contract.from);
        let listed = folder.list(&contract.from, &contract.ready);
        let mut listed = listed.map_err(|source| RunError::listing(contract, source))?;
        if let (true, false, Some(landed)) = (input.is_forgetting, is_ingested, &input.landed) {
            // What is new is none of its business.
            let admitted: BTreeSet<&str> = landed.paths.iter().map(|path| &*path.path).collect();
            listed.retain(|file| admitted.contains(&*file.path));
        }
        input.listed = Some(listed);
    }
    Ok(Some((input, known)))
}

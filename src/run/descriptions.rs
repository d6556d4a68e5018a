//! Descriptions, labels and units of tables: they may change without a row of the table changing.

use std::collections::BTreeMap;

use super::RunOptions;
use crate::manifest::manifest;
use crate::plan::Workspace;
use crate::publish::Base;
use crate::store::{StoreError, TableState};
use crate::transform::columns;

/// Returns whether descriptions or labels changed: tables stay as they are, but what is told of them does not.
pub(super) fn have_changed(
    workspace: &Workspace,
    options: &RunOptions<'_>,
    base: &Base,
    datasets: &BTreeMap<String, TableState>,
) -> Result<bool, StoreError> {
    let Some(snapshot) = &base.snapshot else { return Ok(true) };
    if snapshot.project == options.project {
        return Ok(false);
    }
    let declared = serde_json::to_value(manifest(workspace)).ok();
    if let Some(id) = &snapshot.manifest
        && Some(options.store.manifest(id)?) != declared
    {
        return Ok(true);
    }
    for name in &options.scope.models {
        let Some(entry) = snapshot.tables.get(name) else { return Ok(true) };
        if described(workspace, options.store.table(name, &entry.state)?).1 {
            return Ok(true);
        }
    }
    Ok(datasets.values().any(|state| described(workspace, state.clone()).1))
}

/// Brings the descriptions in a state up to date; returns whether that changed any.
pub(super) fn described(workspace: &Workspace, mut state: TableState) -> (TableState, bool) {
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

//! Holds back what moved further than was agreed.
//!
//! What a run built is compared with what is current, by the key of each table that has `max_change` in its contract.

use std::collections::BTreeMap;

use super::RunError;
use super::state::RunState;
use crate::diff::{self, ExceededChange, Pair, Versions};
use crate::project::MaxChange;
use crate::store::TableState;

/// Returns the columns in which numbers of rebuilt tables moved by more than their contracts allow.
///
/// After a rollback, or once something waits, nothing is asked: it will not become current without somebody who looks
/// at it, and what is built on is not what is current.
pub(super) async fn moved(run: &RunState<'_>, built: &[TableState]) -> Result<Vec<ExceededChange>, RunError> {
    let mut found = Vec::new();
    let (Some(reference), Some(snapshot)) = (&run.base.reference, &run.base.snapshot) else { return Ok(found) };
    if reference.held.is_some() {
        return Ok(found);
    }
    let store = run.options.store;
    let project = &run.context.workspace.project;
    let examples = project.settings.limits.finding_rows;
    for after in built {
        let Some(contract) = project.contracts.get(&after.table) else { continue };
        let limits: BTreeMap<&str, &MaxChange> = contract
            .columns
            .iter()
            .filter_map(|(name, column)| Some((name.as_str(), column.max_change.as_ref()?)))
            .collect();
        let Some(entry) = snapshot.tables.get(&after.table).filter(|entry| entry.content_hash != after.content_hash())
        else {
            continue;
        };
        if limits.is_empty() {
            continue;
        }
        let before = store.table(&after.table, &entry.state)?;
        let versions = Versions::Both { before: &before, after };
        let pair = Pair { store, table: &after.table, versions, key: &contract.key };
        found.extend(diff::moved(&run.context.session, pair, &limits, examples).await?);
    }
    Ok(found)
}

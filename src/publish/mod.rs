//! Publishes checked tables: all of them by one commit of the reference, or none.
//!
//! Promises: what was not checked cannot be published, because only [`Checked`] is taken; a run that began before
//! another one published is put on top of that one's tables only if nothing that it read or wrote was changed there;
//! after a rollback, and where numbers moved by more than was agreed, nothing becomes current until it is released. It
//! knows nothing of how tables are made. The folder `published/` is brought in line afterwards, by the run
//! (`Store::refresh_published`).

mod branch;
mod check_results;
mod system_tables;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

pub use branch::{PromoteError, fork, promote};

use crate::check::{Checked, warned};
use crate::digest::Digest;
use crate::manifest::manifest;
use crate::plan::Workspace;
use crate::store::{
    DataFile, FORMAT, Held, Snapshot, SnapshotRef, Store, StoreError, TableEntry, TableState, crash_point,
};
use crate::system_tables::SystemTable;

/// What a run started from.
#[derive(Debug, Clone)]
pub struct Base {
    /// The reference; nothing before the first publication.
    pub reference: Option<SnapshotRef>,
    /// The newest snapshot.
    pub snapshot: Option<Snapshot>,
}

impl Base {
    /// Reads the newest snapshot of a store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn read(store: &Store) -> Result<Self, StoreError> {
        let (reference, snapshot) = store.newest()?.unzip();
        Ok(Self { reference, snapshot })
    }

    fn entry(&self, table: &str) -> Option<&TableEntry> {
        self.snapshot.as_ref()?.tables.get(table)
    }
}

/// Who publishes.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// The run.
    pub run: String,
    /// Digest of the project.
    pub project: Digest,
    /// The logical clock.
    pub as_of: DateTime<Utc>,
    /// Whether the clock may go back, because the one that was published was wrong.
    pub goes_back: bool,
    /// The tables that the run read besides those that it made.
    pub read: BTreeSet<String>,
    /// The columns whose numbers moved further than was agreed; with any, what is published waits for a release.
    pub moved: Vec<String>,
}

/// What came of publishing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// The tables are published.
    Committed(Digest),
    /// The tables are stored and wait for a release.
    Held(Digest),
    /// Output unchanged; nothing was written.
    Unchanged,
}

/// Publishes `checked`, whose tables were built on top of `base`.
///
/// # Errors
/// [`StoreError::Lost`] when another run published something that this one read or wrote: plan again.
pub fn publish(
    store: &Store,
    workspace: &Workspace,
    base: &Base,
    checked: &Checked,
    by: &Publisher,
) -> Result<Published, StoreError> {
    let publication = Publication { store, workspace, checked, by };
    loop {
        let head = Base::read(store)?;
        if head.reference != base.reference {
            let written = checked.tables.iter().map(|table| &table.table);
            let state = |base: &Base, name: &String| base.entry(name).map(|entry| entry.state.clone());
            if !written.chain(&by.read).all(|name| state(base, name) == state(&head, name)) {
                return Err(StoreError::Lost);
            }
        }
        let mut outcome_files = Vec::new();
        match publication.put_on_top(&head, &mut outcome_files) {
            // Another was faster by a moment, and has to be put under what this run made; nothing of that is lost.
            Err(StoreError::Lost) => outcome_files.iter().for_each(|file| store.discard(file)),
            other => return other,
        }
    }
}

/// Checked tables, and whose they are, for as often as publishing them is tried.
struct Publication<'a> {
    store: &'a Store,
    workspace: &'a Workspace,
    checked: &'a Checked,
    by: &'a Publisher,
}

impl Publication<'_> {
    /// Puts the tables on top of `head`. The files that hold the results of checks are added to `outcome_files`.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when the reference does not say any more what `head` does.
    fn put_on_top(&self, head: &Base, outcome_files: &mut Vec<DataFile>) -> Result<Published, StoreError> {
        let Self { store, workspace, checked, by } = *self;
        let mut tables: BTreeMap<String, TableEntry> =
            head.snapshot.as_ref().map(|head| head.tables.clone()).unwrap_or_default();
        let mut checks = head.snapshot.as_ref().map(|head| head.checks.clone()).unwrap_or_default();
        tables.retain(|name, _| workspace.has_stored(name));
        let declared: BTreeSet<&str> = workspace.checks().map(|check| check.name.as_str()).collect();
        checks.retain(|name, _| declared.contains(name.as_str()));
        checks.extend(checked.run_hashes.clone());
        for state in &checked.tables {
            tables.insert(state.table.clone(), put(store, state)?);
        }
        // The states of other datasets may have moved on meanwhile, so these two are put together from what is current.
        let made = checked.tables.iter().map(|state| (state.table.clone(), state.clone())).collect();
        for state in preview(store, workspace, head.snapshot.as_ref(), &made)? {
            tables.insert(state.table.clone(), put(store, &state)?);
        }
        let before = head.snapshot.as_ref().map(|head| store.outcomes(&head.check_results)).transpose()?;
        let mut outcomes = before.clone().unwrap_or_default();
        outcomes.retain(|name, _| declared.contains(name.as_str()));
        outcomes.extend(checked.results.clone());
        if before.as_ref() != Some(&outcomes) {
            for state in check_results::tables(store, &outcomes)? {
                outcome_files.extend(state.files.iter().cloned());
                put_unless_equal(store, &state, &mut tables)?;
            }
        }
        let manifest = store.put_manifest(&manifest(workspace))?;
        if let Some(head) = &head.snapshot
            && head.tables == tables
            && head.checks == checks
            && head.manifest.as_ref().is_none_or(|of_head| *of_head == manifest)
            && !(by.goes_back && by.as_of < head.as_of)
        {
            return Ok(Published::Unchanged);
        }
        crash_point("publish.before-snapshot");
        let snapshot = Snapshot {
            format: FORMAT,
            parent: head.reference.as_ref().map(|reference| reference.newest().clone()),
            run: by.run.clone(),
            project: by.project.clone(),
            // On top of a run with a later clock, the clock does not go back, unless that is what is wanted.
            as_of: match &head.snapshot {
                Some(head) if !by.goes_back => head.as_of.max(by.as_of),
                _ => by.as_of,
            },
            tables,
            checks,
            warned: warned(&outcomes),
            check_results: store.put_check_results(&outcomes)?,
            manifest: Some(manifest),
        };
        let id = store.put_snapshot(&snapshot)?;
        let held = match head.reference.clone() {
            Some(SnapshotRef { snapshot, held: Some(Held { exceeded: moved, .. }) }) => Some((snapshot, moved)),
            Some(SnapshotRef { snapshot, held: None }) if !by.moved.is_empty() => Some((snapshot, by.moved.clone())),
            _ => None,
        };
        let (next, published) = match held {
            Some((snapshot, moved)) => (
                SnapshotRef { snapshot, held: Some(Held { waiting: id.clone(), exceeded: moved }) },
                Published::Held(id),
            ),
            None => (SnapshotRef { snapshot: id.clone(), held: None }, Published::Committed(id)),
        };
        store.commit(head.reference.as_ref(), &next)?;
        Ok(published)
    }
}

/// Stores the state of a table, and returns what a snapshot says of it.
fn put(store: &Store, state: &TableState) -> Result<TableEntry, StoreError> {
    Ok(TableEntry {
        state: store.put_table(state)?,
        build_hash: state.build_hash.clone(),
        content_hash: state.content_hash(),
        rows: state.rows(),
    })
}

/// Stores the state of a table, unless it says what the current one says: then that one's files stay.
fn put_unless_equal(
    store: &Store,
    state: &TableState,
    tables: &mut BTreeMap<String, TableEntry>,
) -> Result<(), StoreError> {
    if let Some(entry) = tables.get(&state.table).filter(|entry| entry.content_hash == state.content_hash()) {
        let known = store.table(&state.table, &entry.state)?;
        if known.columns == state.columns && known.files.iter().all(|file| store.assure(file).is_ok()) {
            state.files.iter().for_each(|file| store.discard(file));
            return Ok(());
        }
    }
    tables.insert(state.table.clone(), put(store, state)?);
    Ok(())
}

/// Returns opsmart's own tables about landed files as they will be once the states in `made` are published, so that checks
/// can read them.
///
/// # Errors
/// When the store cannot be read or written.
pub fn preview(
    store: &Store,
    workspace: &Workspace,
    snapshot: Option<&Snapshot>,
    made: &BTreeMap<String, TableState>,
) -> Result<Vec<TableState>, StoreError> {
    let mut parts = BTreeMap::new();
    for name in workspace.project.sources.keys() {
        let published = snapshot.and_then(|snapshot| snapshot.tables.get(name));
        match (made.get(name), published) {
            (Some(state), _) => drop(parts.insert(name.clone(), state.clone())),
            (None, Some(entry)) => drop(parts.insert(name.clone(), store.table(name, &entry.state)?)),
            (None, None) => {}
        }
    }
    let of_datasets = SystemTable::ALL.into_iter().filter(|own| !own.is_of_checks());
    Ok(of_datasets.map(|own| system_tables::assemble(own, &parts)).collect())
}

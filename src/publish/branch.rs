//! Branches: where their runs start from, and how what they built comes into force.

use crate::digest::Digest;
use crate::store::{Held, MAIN, SnapshotRef, Store, StoreError};

use super::{Base, Published};

/// Why what a branch built was not published on main.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// There is no such branch.
    #[error("there is no branch `{0}`")]
    Missing(String),
    /// It went back to an earlier snapshot, or a table of it moved more than it may.
    #[error("branch `{0}` is held")]
    Held(String),
    /// Main has tables that the branch was not built upon.
    #[error("main has moved on since branch `{0}` was built")]
    Behind(String),
    /// The warehouse could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Base {
    /// Reads what a run would start from that began now. On a branch that is not there yet, or that main has left behind,
    /// it is the newest snapshot of main.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn beginning(store: &Store) -> Result<Self, StoreError> {
        match left_behind(store)? {
            Some(main) => Ok(Self { snapshot: Some(store.snapshot(&main)?), reference: store.reference()? }),
            None => Self::read(store),
        }
    }
}

/// Lets the branch on which `store` is open start from the newest snapshot of main, if it is not there yet or main has left
/// it behind. Its tables are what the project and the landed files make of them, so a run brings back what was its own.
///
/// # Errors
/// As [`Store::commit`].
pub fn fork(store: &Store) -> Result<(), StoreError> {
    let Some(main) = left_behind(store)? else { return Ok(()) };
    store.commit(store.reference()?.as_ref(), &SnapshotRef { snapshot: main, held: None })
}

/// Returns the newest snapshot of main if `store` is open on a branch that is not built upon it.
fn left_behind(store: &Store) -> Result<Option<Digest>, StoreError> {
    if store.branch().is_none() {
        return Ok(None);
    }
    let Some((main, _)) = store.on_branch(MAIN).newest()? else { return Ok(None) };
    let is_upon_it = match store.newest()? {
        Some((own, _)) => store.follows(own.newest(), main.newest())?,
        None => false,
    };
    Ok((!is_upon_it).then(|| main.newest().clone()))
}

/// Publishes on main the tables of the branch on which `store` is open; after a rollback they wait there.
///
/// # Errors
/// When there is no such branch, it is held, or main has moved on since; and as [`Store::commit`].
pub fn promote(store: &Store) -> Result<Published, PromoteError> {
    let main = store.on_branch(MAIN);
    let name = || store.branch().unwrap_or(MAIN).to_owned();
    let Some((branch, _)) = store.current()? else { return Err(PromoteError::Missing(name())) };
    if branch.held.is_some() {
        return Err(PromoteError::Held(name()));
    }
    let id = branch.snapshot;
    let seen = main.newest()?.map(|(seen, _)| seen);
    if let Some(seen) = &seen {
        if *seen.newest() == id {
            return Ok(Published::Unchanged);
        }
        if !store.follows(&id, seen.newest())? {
            return Err(PromoteError::Behind(name()));
        }
    }
    let (next, published) = match &seen {
        Some(SnapshotRef { snapshot, held: Some(held) }) => {
            let held = Held { waiting: id.clone(), exceeded: held.exceeded.clone() };
            let next = SnapshotRef { snapshot: snapshot.clone(), held: Some(held) };
            (next, Published::Held(id))
        }
        _ => (SnapshotRef { snapshot: id.clone(), held: None }, Published::Committed(id)),
    };
    main.commit(seen.as_ref(), &next)?;
    main.refresh_published()?;
    Ok(published)
}

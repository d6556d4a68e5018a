//! `opsmart rollback`.

use clap::Args;

use super::{Failure, Global, load, nothing_published, open_store};
use crate::cli::print::{Printer, document};
use crate::digest::Digest;
use crate::run::Exit;
use crate::store::{Held, Reference, Snapshot, Store, StoreError};

/// Put an earlier snapshot in force, and hold it there
///
/// What BI tools open goes back with it; later runs build, but what they build waits for `opsmart release`.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Snapshot to go back to, or the beginning of its name; by default the newest before that in force whose tables differ
    #[arg(value_name = "SNAPSHOT")]
    snapshot: Option<String>,
}

pub(super) fn rollback(global: &Global, args: &RollbackArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    let store = open_store(&project);
    let Some(reference) = store.reference()? else {
        return Err(nothing_published());
    };
    let target = match &args.snapshot {
        Some(beginning) => named(&store, &reference, beginning)?,
        None => before(&store, &reference.snapshot)?,
    };
    let next = Reference { snapshot: target.clone(), held: Some(Held { waiting: reference.newest().clone() }) };
    store.flip(Some(&reference), &next)?;
    store.refresh_published()?;
    printer.say(&format!("snapshot {} is in force and held; `opsmart release` ends that\n", target.short()));
    if printer.is_json() {
        document(&next);
    }
    Ok(Exit::Done)
}

/// Finds the newest ancestor whose tables hold something else. A snapshot may differ from its parent in what is known
/// of files and words alone.
fn before(store: &Store, id: &Digest) -> Result<Digest, Failure> {
    let contents = |snapshot: &Snapshot| -> Vec<(String, Digest)> {
        snapshot.tables.iter().map(|(name, entry)| (name.clone(), entry.content.clone())).collect()
    };
    let mut snapshot = store.snapshot(id)?;
    let in_force = contents(&snapshot);
    while let Some(parent) = snapshot.parent {
        snapshot = store.snapshot(&parent)?;
        if contents(&snapshot) != in_force {
            return Ok(parent);
        }
    }
    let help = "every run that publishes other rows makes one to go back to";
    Err(Failure::usage(format!("there is no other snapshot before {}", id.short()), Some(help.to_owned())))
}

/// Finds the one snapshot in the line of ancestors whose name begins so.
fn named(store: &Store, reference: &Reference, beginning: &str) -> Result<Digest, Failure> {
    let mut found = Vec::new();
    let mut next = Some(reference.newest().clone());
    while let Some(id) = next {
        next = match store.snapshot(&id) {
            Ok(snapshot) => snapshot.parent,
            // Old snapshots may have been removed; what is left of the line can still be named.
            Err(StoreError::Damaged { .. }) => break,
            Err(error) => return Err(error.into()),
        };
        if id.as_str().starts_with(beginning) {
            found.push(id);
        }
    }
    let help = Some("`opsmart history` lists the snapshots".to_owned());
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::usage(format!("no snapshot begins with `{beginning}`"), help)),
        _ => Err(Failure::usage(format!("{} snapshots begin with `{beginning}`", found.len()), help)),
    }
}

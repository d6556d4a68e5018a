//! `opsmart rollback`.

use clap::Args;

use super::branch::OnBranch;
use super::{Failure, Global, load, nothing_published, snapshots};
use crate::cli::print::{Printer, document};
use crate::run::Exit;
use crate::store::{Held, SnapshotRef};

/// Go back to an earlier snapshot, and hold it there
///
/// What BI tools open goes back with it; later runs build, but what they build waits for `opsmart release`.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Snapshot to go back to, or the beginning of its name; by default the newest before the current one whose tables differ
    #[arg(value_name = "SNAPSHOT")]
    snapshot: Option<String>,

    #[command(flatten)]
    on: OnBranch,
}

pub(super) fn rollback(global: &Global, args: &RollbackArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    let store = args.on.open(&project);
    let Some(reference) = store.reference()? else {
        return Err(nothing_published(&store));
    };
    let target = match &args.snapshot {
        Some(beginning) => snapshots::named(&store, &reference, beginning)?,
        None => snapshots::before(&store, &reference.snapshot)?,
    };
    // Once this has read it, it stays.
    snapshots::kept(&store, &target)?;
    let held = Held { waiting: reference.newest().clone(), exceeded: Vec::new() };
    let next = SnapshotRef { snapshot: target.clone(), held: Some(held) };
    store.commit(Some(&reference), &next)?;
    store.refresh_published()?;
    printer.say(&format!("snapshot {} is current and held; `opsmart release` ends that\n", target.short()));
    if printer.is_json() {
        document(&next);
    }
    Ok(Exit::Done)
}

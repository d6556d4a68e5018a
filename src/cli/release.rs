//! `opsmart release`.

use clap::Args;

use super::branch::OnBranch;
use super::{Failure, Global, load, nothing_published};
use crate::cli::print::{Printer, document};
use crate::run::Exit;
use crate::store::SnapshotRef;

/// Publish the newest snapshot, which waits
///
/// Ends a rollback, whether the newest snapshot was built before it or since, and lets through what a run built whose
/// numbers moved by more than `max_change` allows.
#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    on: OnBranch,
}

pub(super) fn release(global: &Global, args: &ReleaseArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    let store = args.on.open(&project);
    let Some(reference) = store.reference()? else {
        return Err(nothing_published(&store));
    };
    let Some(held) = &reference.held else {
        printer.say(&format!("nothing is held: snapshot {} is current\n", reference.snapshot.short()));
        if printer.is_json() {
            document(&reference);
        }
        return Ok(Exit::Done);
    };
    let next = SnapshotRef { snapshot: held.waiting.clone(), held: None };
    store.commit(Some(&reference), &next)?;
    store.refresh_published()?;
    printer.say(&format!("snapshot {} is current\n", next.snapshot.short()));
    if printer.is_json() {
        document(&next);
    }
    Ok(Exit::Done)
}

//! `opsmart check`.

use clap::Args;

use super::report::counted;
use super::{Failure, Global, load};
use crate::cli::print::{Printer, document};
use crate::plan::{Kind, Suite};
use crate::run::Exit;

/// Check the whole project without running anything
///
/// Reads every file of the project, binds every SELECT, and reports every mistake at its place.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {}

pub(super) fn check(global: &Global, _: &CheckArgs, printer: &Printer) -> Result<Exit, Failure> {
    let suite = Suite::compile(load(global)?)?;
    let checks = suite.tables.values().filter(|table| table.kind == Kind::Check).count();
    let (jobs, datasets, models) = (suite.project.jobs.len(), suite.project.sources.len(), suite.tables.len() - checks);
    let counts = [(jobs, "job"), (datasets, "dataset"), (models, "model"), (checks, "check")];
    printer.say(&format!("ok: {}\n", counts.map(|(count, noun)| counted(count, noun)).join(", ")));
    if printer.is_json() {
        let summary = serde_json::json!({ "status": "ok", "jobs": jobs, "datasets": datasets, "models": models, "checks": checks });
        document(&summary);
    }
    Ok(Exit::Done)
}

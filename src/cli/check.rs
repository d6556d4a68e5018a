//! `opsmart check`.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::summary::counted;
use super::{COMPILED, Failure, Global, load, open_store, store_at};
use crate::cli::print::{Printer, document, places};
use crate::diagnostic::Diagnostics;
use crate::plan::{CompileCache, Kind, Workspace, is_compiled};
use crate::project;
use crate::run::{Exit, Memo, recall_for_program, remember_for_program};

/// Check the whole project without running anything
///
/// Reads every file of the project, binds every SELECT and plans it as a run would, computes what needs no data, and
/// reports every mistake at its place. What was found right is remembered in the warehouse, so that after a change only
/// the models that it can concern are bound and planned again. SQL that can hardly mean what it says is warned of, each
/// time, and is no mistake.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {}

/// What a project that is right has.
#[derive(Debug, Serialize, Deserialize)]
struct Counts {
    jobs: usize,
    datasets: usize,
    models: usize,
    #[serde(default)]
    metrics: usize,
    checks: usize,
}

pub(super) fn check(global: &Global, _: &CheckArgs, printer: &Printer) -> Result<Exit, Failure> {
    let root = project::find_root(&global.project_dir)?;
    let env: Vec<String> = global.env.iter().cloned().collect();
    let memo = Memo::new(&root, "check", &[&env]);
    let store = project::warehouse(&root, global.env.as_deref()).map(|folder| store_at(&folder));
    if let Some(counts) = store.and_then(|store| memo.recall(&store)) {
        tell(printer, &counts, &Diagnostics::default());
        return Ok(Exit::Done);
    }
    let project = load(global)?;
    let store = open_store(&project);
    let tried = CompileCache::with(recall_for_program(&store, COMPILED).unwrap_or_default());
    let compiled = Workspace::compile_and_try(project, &tried);
    // Whoever only checks a project, as a review does, wants no warehouse made.
    let has_warehouse = store.root().is_dir();
    if has_warehouse {
        remember_for_program(&store, COMPILED, tried.sound());
    }
    let workspace = compiled?;
    let checks = workspace.tables.values().filter(|table| table.kind == Kind::Check).count();
    let written = workspace.project.models.values().filter(|model| !is_compiled(model)).count();
    let counts = Counts {
        jobs: workspace.project.jobs.len(),
        datasets: workspace.project.sources.len(),
        models: written - checks,
        metrics: workspace.project.metrics.len(),
        checks,
    };
    // What is remembered has nothing to warn of.
    if has_warehouse && workspace.warnings.is_empty() {
        memo.remember(&store, &counts);
    }
    tell(printer, &counts, &workspace.warnings);
    Ok(Exit::Done)
}

fn tell(printer: &Printer, counts: &Counts, warnings: &Diagnostics) {
    printer.warnings(warnings);
    let Counts { jobs, datasets, models, metrics, checks } = *counts;
    let all = [(jobs, "job"), (datasets, "dataset"), (models, "model"), (metrics, "metric"), (checks, "check")];
    // Who declares no metrics is not told of them.
    let told = all.into_iter().filter(|(count, noun)| *noun != "metric" || *count > 0);
    let mut words: Vec<String> = told.map(|(count, noun)| counted(count, noun)).collect();
    if !warnings.is_empty() {
        words.push(counted(warnings.len(), "warning"));
    }
    printer.say(&format!("ok: {}\n", words.join(", ")));
    if printer.is_json() {
        let mut summary = serde_json::json!({ "status": "ok", "jobs": jobs, "datasets": datasets, "models": models, "metrics": metrics, "checks": checks });
        if !warnings.is_empty() {
            summary["warnings"] = places(warnings);
        }
        document(&summary);
    }
}

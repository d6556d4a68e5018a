//! `opsmart history`.

use clap::Args;
use serde_json::Value;

use super::{Failure, Global, load, open_store, report};
use crate::cli::print::{Printer, answer, document};
use crate::run::Exit;

/// List the runs that did something
///
/// Lists the runs that published, failed or were interrupted, and those under way, newest first. A run that found
/// nothing new leaves no trace.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Runs to list at most; 0 lists all
    #[arg(long, env = "OPSMART_LIMIT", value_name = "RUNS", default_value_t = 20)]
    limit: usize,
}

pub(super) fn history(global: &Global, args: &HistoryArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    let store = open_store(&project);
    let in_force = match store.reference()? {
        Some(reference) => Some((store.snapshot(&reference.snapshot)?.run, reference.snapshot.to_string())),
        None => None,
    };
    let limit = if args.limit > 0 { args.limit } else { usize::MAX };
    let records: Vec<Value> = store.runs(limit).into_iter().rev().collect();
    if printer.is_json() {
        document(&records);
        return Ok(Exit::Done);
    }
    if records.is_empty() {
        printer.say("no run has done anything yet\n");
        return Ok(Exit::Done);
    }
    let rows = records.iter().map(|record| line(record, in_force.as_ref()));
    let head = ["Run", "jobs", "status", "tables", "seconds", "snapshot", ""];
    answer(&report::aligned(&head, |column| matches!(column, 3 | 4), rows));
    Ok(Exit::Done)
}

/// Returns a run in words; `in_force` are the snapshot in force and the run that made it.
fn line(record: &Value, in_force: Option<&(String, String)>) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let report = &record["report"];
    // The process may have been killed after its tables were in force and before it could tell.
    let made = in_force.filter(|(run, _)| record["run"] == run.as_str()).map(|(_, snapshot)| snapshot.clone());
    let snapshot = made.clone().unwrap_or_else(|| text(&report["snapshot"]));
    let texts = |key: &str| record[key].as_array().into_iter().flatten().map(text).collect::<Vec<String>>();
    let (forgotten, undone) = (texts("forget"), texts("forget_undone"));
    let chosen = if !forgotten.is_empty() {
        [vec!["forget".to_owned()], forgotten].concat()
    } else if !undone.is_empty() {
        [vec!["forget --undo".to_owned()], undone].concat()
    } else {
        [texts("jobs"), texts("select")].concat()
    };
    vec![
        text(&record["run"]),
        if chosen.is_empty() { "all".to_owned() } else { chosen.join(" ") },
        text(&record["status"]),
        report["tables"].as_array().map_or(String::new(), |tables| tables.len().to_string()),
        report["seconds"].as_f64().map_or(String::new(), |seconds| format!("{seconds:.2}")),
        snapshot.chars().take(12).collect(),
        if made.is_some() { "in force".to_owned() } else { text(&record["error"]) },
    ]
}

//! `opsmart history`.

use clap::Args;
use clap::builder::FalseyValueParser;
use serde_json::Value;

use super::{Failure, Global, load, open_store, summary};
use crate::cli::print::{Printer, answer, document};
use crate::digest::Digest;
use crate::landed::BuildReason;
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

    /// List what each run built and took in, and why
    #[arg(long, env = "OPSMART_TABLES", value_parser = FalseyValueParser::new())]
    tables: bool,
}

pub(super) fn history(global: &Global, args: &HistoryArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    let store = open_store(&project);
    let in_force = store.current()?.map(|(reference, snapshot)| (snapshot.run, reference.snapshot.to_string()));
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
    if args.tables {
        let head = ["Run", "status", "table", "rows", "rows read", "seconds", "why"];
        answer(&summary::aligned(&head, |column| matches!(column, 3..=5), records.iter().flat_map(tables)));
        return Ok(Exit::Done);
    }
    let is_there = |id: &str| Digest::parse(id).is_some_and(|id| store.has_snapshot(&id));
    let rows = records.iter().map(|record| line(record, in_force.as_ref(), is_there));
    let head = ["Run", "jobs", "status", "tables", "seconds", "snapshot", ""];
    answer(&summary::aligned(&head, |column| matches!(column, 3 | 4), rows));
    Ok(Exit::Done)
}

/// Returns a run in words; `in_force` are the current snapshot and the run that made it.
fn line(record: &Value, in_force: Option<&(String, String)>, is_there: impl Fn(&str) -> bool) -> Vec<String> {
    let report = &record["report"];
    // The process may have been killed after its tables were published and before it could tell.
    let made = in_force.filter(|(run, _)| record["run"] == run.as_str()).map(|(_, snapshot)| snapshot.clone());
    let snapshot = made.clone().unwrap_or_else(|| word(&report["snapshot"]));
    let texts = |key: &str| record[key].as_array().into_iter().flatten().map(word).collect::<Vec<String>>();
    let (forgotten, undone) = (texts("forget"), texts("forget_undone"));
    let chosen = if !forgotten.is_empty() {
        [vec!["forget".to_owned()], forgotten].concat()
    } else if !undone.is_empty() {
        [vec!["forget --undo".to_owned()], undone].concat()
    } else {
        [texts("jobs"), texts("select")].concat()
    };
    let mut chosen = if chosen.is_empty() { "all".to_owned() } else { chosen.join(" ") };
    if let Some(branch) = record["branch"].as_str() {
        chosen.push_str(&format!(" on {branch}"));
    }
    vec![
        word(&record["run"]),
        chosen,
        word(&record["status"]),
        report["tables"].as_array().map_or(String::new(), |tables| tables.len().to_string()),
        report["seconds"].as_f64().map_or(String::new(), |seconds| format!("{seconds:.2}")),
        snapshot.chars().take(12).collect(),
        match made {
            Some(_) => "current".to_owned(),
            None if !snapshot.is_empty() && !is_there(&snapshot) => "removed".to_owned(),
            None if report["status"] == "held" => held_for(report),
            None => word(&record["error"]),
        },
    ]
}

/// Says why what a run built had to wait, unless it was a rollback that it waited for.
fn held_for(report: &Value) -> String {
    let columns: Vec<String> = report["held_for"].as_array().into_iter().flatten().map(word).collect();
    if columns.is_empty() { String::new() } else { summary::moved_columns(&columns) }
}

/// Returns what a run took in and built, a line each; the first tells of the run as well.
fn tables(record: &Value) -> Vec<Vec<String>> {
    let report = &record["report"];
    let items = |key: &str| report[key].as_array().into_iter().flatten();
    let line = |name: &str, rows: &str, item: &Value| {
        vec![
            String::new(),
            String::new(),
            word(&item[name]),
            item[rows].as_u64().map_or_else(String::new, summary::grouped),
            item["rows_read"].as_u64().map_or_else(String::new, summary::grouped),
            item["seconds"].as_f64().map_or_else(String::new, |seconds| format!("{seconds:.2}")),
            reason(item),
        ]
    };
    // Of datasets those alone in which there was something to do.
    let datasets = items("datasets").filter(|dataset| !dataset["why"].is_null());
    let mut lines: Vec<Vec<String>> = datasets.map(|dataset| line("dataset", "clean", dataset)).collect();
    lines.extend(items("tables").map(|table| line("table", "rows", table)));
    if lines.is_empty() {
        lines.push(vec![String::new(); 7]);
        lines[0][6] = word(&record["error"]);
    }
    lines[0][0] = word(&record["run"]);
    lines[0][1] = word(&record["status"]);
    lines
}

/// Says why something was made, and what came of it.
fn reason(item: &Value) -> String {
    let why = BuildReason::ALL.into_iter().find(|why| item["why"] == why.as_str());
    let inputs: Vec<String> = item["changed_inputs"].as_array().into_iter().flatten().map(word).collect();
    let mut words = match why {
        Some(BuildReason::Inputs) if !inputs.is_empty() => format!("{} changed", inputs.join(", ")),
        Some(why) => why.to_string(),
        None => String::new(),
    };
    if let (Some(made), Some(all)) = (item["partitions"]["made"].as_u64(), item["partitions"]["all"].as_u64()) {
        words.push_str(&format!("; {made} of {all} partitions"));
    }
    if item["changed"] == false {
        words.push_str("; output unchanged");
    }
    words
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

//! `opsmart erase`.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;

use super::branch::OnBranch;
use super::run::{self, Clock, RunArgs};
use super::{Failure, Global, load, open_store};
use crate::cli::print::{Printer, document};
use crate::cli::report::{counted, grouped};
use crate::diagnostic::did_you_mean;
use crate::project::{ERASED, Project, subject};
use crate::run::Exit;
use crate::store::{Disk, LocalDisk, MAIN, Store};

/// Erase the records of one person or thing from everything
///
/// Takes the records with such a value out of their datasets and of all tables, also out of what was set aside, and removes
/// every earlier snapshot with its files. Writes digests of the values into schemas/erased.toml, by which they are known
/// should they land again. Landed files stay as they are.
#[derive(Debug, Args)]
pub(super) struct EraseArgs {
    /// Values whose records are erased, such as `visits.user=u17`
    #[arg(value_name = "DATASET.COLUMN=VALUE", required = true)]
    subjects: Vec<String>,

    #[command(flatten)]
    clock: Clock,
}

pub(super) fn erase(global: &Global, args: &EraseArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    let store = open_store(&project);
    check_alone(&store)?;
    let mut erased: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (name, contract) in &project.sources {
        for (column, digests) in &contract.erased {
            let known = erased.entry(name.clone()).or_default().entry(column.clone()).or_default();
            known.extend(digests.iter().map(ToString::to_string));
        }
    }
    let mut touched = BTreeSet::new();
    for text in &args.subjects {
        let (dataset, column, value) = parse(&project, text)?;
        let digest = subject(dataset, column, value.as_bytes()).to_string();
        erased.entry(dataset.to_owned()).or_default().entry(column.to_owned()).or_default().insert(digest);
        touched.insert(dataset.to_owned());
    }
    let path = project.root.join(ERASED);
    let refused = |error| Failure::usage(format!("cannot write `{path}`: {error}"), None);
    LocalDisk.replace(&path, text(&erased).as_bytes()).map_err(refused)?;
    let touched: Vec<String> = touched.into_iter().collect();
    let exit = run::run(global, &RunArgs::of_datasets(&touched, &args.clock, OnBranch::default()), printer)?;
    if exit != Exit::Done || store.reference()?.is_none() {
        return Ok(exit);
    }
    let garbage = store.purge()?;
    let is_whole = garbage.in_use == 0 && garbage.waiting == 0;
    printer.say(&format!(
        "removed {}, {} bytes; `{ERASED}` remembers who it was, by digest\n",
        counted(garbage.snapshots.len(), "earlier snapshot"),
        grouped(garbage.bytes)
    ));
    if !is_whole {
        printer.say("somebody still reads or writes earlier files: `opsmart gc --keep 1` removes them later\n");
    }
    if printer.is_json() {
        document(&serde_json::json!({ "datasets": touched, "snapshots_removed": garbage.snapshots, "done": is_whole }));
    }
    Ok(if is_whole { Exit::Done } else { Exit::Temporary })
}

/// Makes sure that no branch and no rollback keeps what is to go.
fn check_alone(store: &Store) -> Result<(), Failure> {
    let references = store.references()?;
    if let Some(branch) = references.keys().find(|name| *name != MAIN) {
        let help = format!("remove it first: opsmart branch rm {branch}");
        return Err(Failure::usage(format!("branch `{branch}` has the records too"), Some(help)));
    }
    if references.get(MAIN).is_some_and(|reference| reference.held.is_some()) {
        let help = "`opsmart release` puts the newest snapshot in force".to_owned();
        return Err(Failure::usage("a snapshot is held, and has the records too", Some(help)));
    }
    Ok(())
}

/// Returns the dataset, the column and the value that are meant.
fn parse<'a>(project: &Project, text: &'a str) -> Result<(&'a str, &'a str, &'a str), Failure> {
    let parts = text.split_once('=').and_then(|(place, value)| Some((place.split_once('.')?, value)));
    let Some(((dataset, column), value)) = parts.filter(|(_, value)| !value.is_empty()) else {
        let help = "write DATASET.COLUMN=VALUE, such as user_events.user_id=u_17".to_owned();
        return Err(Failure::usage(format!("`{text}` does not say whose records"), Some(help)));
    };
    let Some(contract) = project.sources.get(dataset) else {
        let help = did_you_mean(dataset, project.sources.keys().map(String::as_str));
        return Err(Failure::usage(format!("there is no dataset `{dataset}`"), help));
    };
    if !contract.columns.contains_key(column) {
        let help = did_you_mean(column, contract.columns.keys().map(String::as_str));
        return Err(Failure::usage(format!("`{dataset}` has no column `{column}`"), help));
    }
    Ok((dataset, column, value))
}

/// Returns the text of the file that remembers.
fn text(erased: &BTreeMap<String, BTreeMap<String, BTreeSet<String>>>) -> String {
    let mut text = String::from("# Whose records are never taken in: digests of values, written by `opsmart erase`.\n");
    for (dataset, columns) in erased {
        text.push_str(&format!("\n[{dataset}]\n"));
        for (column, digests) in columns {
            let list: Vec<String> = digests.iter().map(|digest| format!("\"{digest}\"")).collect();
            text.push_str(&format!("{column} = [{}]\n", list.join(", ")));
        }
    }
    text
}

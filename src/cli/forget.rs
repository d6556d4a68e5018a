//! `opsmart forget`.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use clap::builder::FalseyValueParser;

use super::branch::OnBranch;
use super::run::{self, Clock, RunArgs};
use super::summary::aligned;
use super::{Failure, Global, load, nothing_published, open_store};
use crate::cli::print::{Printer, answer, document};
use crate::diagnostic::did_you_mean;
use crate::landed::Forget;
use crate::project::{Project, SourceContract};
use crate::run::{Exit, Status};
use crate::store::{AdmittedFile, TableState};

/// Give up the rows of landed files
///
/// Takes the rows of files that were ingested out of their datasets and of all tables, in one run that ingests nothing
/// new. The same bytes are not ingested under the same path again. Without a path it lists what is forgotten.
#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    /// Landed files, by their paths in `dq_ledger`
    #[arg(value_name = "PATH")]
    paths: Vec<String>,

    /// Take their rows back, from where they are forgotten
    #[arg(long, env = "OPSMART_UNDO", value_parser = FalseyValueParser::new(), requires = "paths")]
    undo: bool,

    #[command(flatten)]
    clock: Clock,
}

pub(super) fn forget(global: &Global, args: &ForgetArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    let before = datasets(&project)?;
    if args.paths.is_empty() {
        list(&before, printer);
        return Ok(Exit::Done);
    }
    let (mut paths, mut touched) = (BTreeSet::new(), BTreeSet::new());
    for path in &args.paths {
        let path = path.strip_prefix("./").unwrap_or(path);
        let of_path = |state: &&TableState| entries(state).any(|entry| *entry.path == *path);
        let holders: Vec<&TableState> = before.values().filter(of_path).collect();
        if holders.is_empty() {
            return Err(never_taken_in(path, &before, &project));
        }
        let is_to_do =
            |state: &&&TableState| entries(state).any(|entry| *entry.path == *path && entry.forgotten == args.undo);
        let to_do: Vec<String> = holders.iter().filter(is_to_do).map(|state| state.table.clone()).collect();
        if to_do.is_empty() && args.undo {
            let help = Some("`opsmart forget` lists what is forgotten".to_owned());
            return Err(Failure::usage(format!("`{path}` is not forgotten"), help));
        }
        if to_do.is_empty() {
            printer.say(&format!("`{path}` is forgotten already\n"));
            continue;
        }
        paths.insert(path.to_owned());
        touched.extend(to_do);
    }
    if paths.is_empty() {
        if printer.is_json() {
            document(&serde_json::json!({ "status": Status::NothingNew }));
        }
        return Ok(Exit::Done);
    }
    let touched: Vec<String> = touched.into_iter().collect();
    let forget = Forget { paths, undo: args.undo };
    let run = RunArgs::of_datasets(&touched, &args.clock, OnBranch::default());
    let exit = run::run_or_forget(global, &run, Some(&forget), printer)?;
    let after = datasets(&project)?;
    for name in &touched {
        let rows = |states: &BTreeMap<String, TableState>| states.get(name).map_or(0, TableState::rows);
        printer.say(&format!("{name}: {} rows before, {} now\n", rows(&before), rows(&after)));
        after.get(name).into_iter().for_each(|state| say_copies(state, &forget, printer));
    }
    Ok(exit)
}

/// Says which files hold the same bytes as one that was forgotten, because their rows stay.
fn say_copies(state: &TableState, forget: &Forget, printer: &Printer) {
    for gone in entries(state).filter(|entry| entry.forgotten && forget.paths.contains(&*entry.path)) {
        if let Some(copy) = entries(state).find(|entry| !entry.forgotten && entry.content == gone.content) {
            printer.say(&format!("  `{}` holds the same as `{}` and is not forgotten\n", copy.path, gone.path));
        }
    }
}

/// Returns the datasets of the newest snapshot, by name.
fn datasets(project: &Project) -> Result<BTreeMap<String, TableState>, Failure> {
    let store = open_store(project);
    let (_, snapshot) = store.newest()?.ok_or_else(|| nothing_published(&store))?;
    let mut states = BTreeMap::new();
    for (name, entry) in snapshot.tables.iter().filter(|(name, _)| project.sources.contains_key(*name)) {
        states.insert(name.clone(), store.table(name, &entry.state)?);
    }
    Ok(states)
}

fn entries(state: &TableState) -> impl Iterator<Item = &AdmittedFile> {
    state.landed.iter().flat_map(|landed| &landed.paths)
}

fn never_taken_in(path: &str, datasets: &BTreeMap<String, TableState>, project: &Project) -> Failure {
    // It has no rows to give up, but it is there, and a run would read it.
    let reads_it = |contract: &&SourceContract| contract.from.matches(path).is_some();
    if project.root.join(path).is_file()
        && let Some(contract) = project.sources.values().find(reads_it)
    {
        let help = format!(
            "the next run reads it, for `from` of schemas/sources/{}.toml matches it; to leave it out, move it out of the \
             landing folder",
            contract.name
        );
        return Failure::usage(format!("`{path}` was never ingested, so there is nothing to forget"), Some(help));
    }
    let near = did_you_mean(path, datasets.values().flat_map(entries).map(|entry| &*entry.path));
    let list = || "opsmart show \"select dataset, file from dq_ledger\" lists the files that were".to_owned();
    Failure::usage(format!("`{path}` was never ingested"), Some(near.unwrap_or_else(list)))
}

fn list(datasets: &BTreeMap<String, TableState>, printer: &Printer) {
    let forgotten: Vec<(&str, &AdmittedFile)> = datasets
        .values()
        .flat_map(|state| entries(state).map(|entry| (state.table.as_str(), entry)))
        .filter(|(_, entry)| entry.forgotten)
        .collect();
    if printer.is_json() {
        let one = |(dataset, entry): &(&str, &AdmittedFile)| {
            serde_json::json!({
                "dataset": dataset, "file": entry.path, "bytes": entry.bytes,
                "landed_at": crate::instant::text(&entry.landed_at),
            })
        };
        document(&forgotten.iter().map(one).collect::<Vec<_>>());
    } else if forgotten.is_empty() {
        printer.say("no file is forgotten\n");
    } else {
        let line = |(dataset, entry): &(&str, &AdmittedFile)| {
            vec![
                (*dataset).to_owned(),
                entry.path.to_string(),
                entry.bytes.to_string(),
                crate::instant::text(&entry.landed_at),
            ]
        };
        let head = ["Dataset", "file", "bytes", "landed at"];
        answer(&aligned(&head, |column| column == 2, forgotten.iter().map(line)));
    }
}

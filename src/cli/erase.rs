//! `opsmart erase`.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use clap::builder::FalseyValueParser;

use super::branch::OnBranch;
use super::run::{self, Clock, RunArgs};
use super::{Failure, Global, load, open_store, runtime};
use crate::cli::print::{Printer, document, warn};
use crate::cli::summary::{counted, grouped};
use crate::diagnostic::did_you_mean;
use crate::digest::Digest;
use crate::engine::Resources;
use crate::ingest::{Sought, meant, quoted, seek};
use crate::project::{ERASED, Project, SourceContract, subject};
use crate::run::Exit;
use crate::store::{Disk, LocalDisk, MAIN, Store, other_than_a_file};

/// Erase the records of one person or thing from everything
///
/// Takes the records with such a value, however it is written, out of their datasets and of all tables, also out of what
/// was quarantined, and removes every earlier snapshot with its files. Writes digests of the values into
/// schemas/erased.toml, by which they are known should they land again. Landed files stay as they are. Where no landed
/// record has the value, it says so and changes nothing.
#[derive(Debug, Args)]
pub(super) struct EraseArgs {
    /// Values whose records are erased, such as `visits.user=u17`
    #[arg(value_name = "DATASET.COLUMN=VALUE", required = true)]
    subjects: Vec<String>,

    /// Remember values that no landed record has, should they land, and remove earlier snapshots, which may have them
    #[arg(long, env = "OPSMART_ANYWAY", value_parser = FalseyValueParser::new())]
    anyway: bool,

    #[command(flatten)]
    clock: Clock,
}

/// Digests of values, by dataset and column.
type Digests = BTreeMap<String, BTreeMap<String, BTreeSet<Digest>>>;

/// Whose records are to be erased.
#[derive(Debug)]
struct Subject<'a> {
    /// As it was asked for.
    text: &'a str,
    contract: &'a SourceContract,
    column: &'a str,
    digest: Digest,
}

pub(super) fn erase(global: &Global, args: &EraseArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    let store = open_store(&project);
    check_alone(&store)?;
    let subjects = args.subjects.iter().map(|text| parse(&project, text)).collect::<Result<Vec<_>, _>>()?;
    // Through a store of its own, because what a store has read is kept from removal until it is dropped.
    let sought = look(&project, &open_store(&project), &subjects)?;
    let (there, nowhere): (Vec<&Subject<'_>>, Vec<&Subject<'_>>) =
        subjects.iter().partition(|subject| args.anyway || subject.may_be_there(&sought[&subject.contract.name]));
    for subject in &nowhere {
        warn(&format!("no landed record has {}: nothing was erased for it\n", quoted(subject.text.as_bytes())));
    }
    let not_found: Vec<&str> = nowhere.iter().map(|subject| subject.text).collect();
    if there.is_empty() {
        printer.say("`--anyway` remembers who it is, and removes earlier snapshots\n");
        if printer.is_json() {
            document(
                &serde_json::json!({ "datasets": {}, "not_found": not_found, "snapshots_removed": [], "done": true }),
            );
        }
        return Ok(Exit::Done);
    }
    let touched: BTreeMap<&str, usize> =
        there.iter().map(|subject| (subject.contract.name.as_str(), sought[&subject.contract.name].records)).collect();
    let datasets: Vec<String> = touched.keys().map(|name| (*name).to_owned()).collect();
    let run = || run::run(global, &RunArgs::of_datasets(&datasets, &args.clock, OnBranch::default()), printer);
    let exit = remember(&project, &store, &there, run)?;
    let Some(reference) = store.reference()?.filter(|_| exit.is_good()) else { return Ok(exit) };
    if reference.held.is_some() {
        // Until then the current tables have the records.
        let help = "`opsmart release` publishes the new tables; then the same command again does the rest".to_owned();
        let message = "the records are still in the current tables: the new ones wait for a release".to_owned();
        return Err(Failure::Other { exit: Exit::Temporary, message, help: Some(help) });
    }
    let garbage = store.purge()?;
    let is_whole = garbage.in_use == 0 && garbage.waiting == 0;
    for (dataset, records) in &touched {
        printer.say(&format!("{dataset}: {} erased\n", counted(*records, "landed record")));
    }
    printer.say(&format!(
        "removed {}, {} bytes; `{ERASED}` remembers who it was, by digest\n",
        counted(garbage.snapshots.len(), "earlier snapshot"),
        grouped(garbage.bytes)
    ));
    if !is_whole {
        printer.say("somebody still reads or writes earlier files: `opsmart gc --keep 1` removes them later\n");
    }
    if printer.is_json() {
        document(&serde_json::json!({
            "datasets": touched, "not_found": not_found, "snapshots_removed": garbage.snapshots, "done": is_whole,
        }));
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
        let help = "`opsmart release` publishes the newest snapshot".to_owned();
        return Err(Failure::usage("a snapshot is held, and has the records too", Some(help)));
    }
    Ok(())
}

/// Returns whose records are meant.
fn parse<'a>(project: &'a Project, text: &'a str) -> Result<Subject<'a>, Failure> {
    let parts = text.split_once('=').and_then(|(place, value)| Some((place.split_once('.')?, value)));
    let Some(((dataset, column), value)) = parts.filter(|(_, value)| !value.trim().is_empty()) else {
        let help = "write DATASET.COLUMN=VALUE, such as user_events.user_id=u_17".to_owned();
        return Err(Failure::usage(format!("`{text}` does not say whose records"), Some(help)));
    };
    let Some(contract) = project.sources.get(dataset) else {
        let help = did_you_mean(dataset, project.sources.keys().map(String::as_str));
        return Err(Failure::usage(format!("there is no dataset `{dataset}`"), help));
    };
    let Some(declared) = contract.columns.get(column) else {
        let help = did_you_mean(column, contract.columns.keys().map(String::as_str));
        return Err(Failure::usage(format!("`{dataset}` has no column `{column}`"), help));
    };
    match meant(contract, column, value) {
        Ok(Some(meant)) => Ok(Subject { text, contract, column, digest: subject(dataset, column, meant.as_bytes()) }),
        Ok(None) => {
            let message = format!("{} stands for no value in `{dataset}.{column}`", quoted(value.as_bytes()));
            let help = "records without a value are nobody's; name one of the values that they have".to_owned();
            Err(Failure::usage(message, Some(help)))
        }
        Err(misfit) => {
            let help = format!("`{dataset}.{column}` is {}; write a value as a field of a file has it", declared.kind);
            let message = format!("{} is no value of `{dataset}.{column}`: {misfit}", quoted(value.as_bytes()));
            Err(Failure::usage(message, Some(help)))
        }
    }
}

impl Subject<'_> {
    /// Returns whether there may be something of it to erase.
    fn may_be_there(&self, sought: &Sought) -> bool {
        // What is remembered already may still be in earlier snapshots: a command before this one was interrupted.
        let is_remembered = self.contract.erased.get(self.column).is_some_and(|known| known.contains(&self.digest));
        is_remembered || !sought.is_whole || sought.met.contains(&self.digest)
    }
}

/// Looks for the records in what has landed, by dataset.
fn look(project: &Project, store: &Store, subjects: &[Subject<'_>]) -> Result<BTreeMap<String, Sought>, Failure> {
    let mut contracts: BTreeMap<&str, SourceContract> = BTreeMap::new();
    for Subject { contract, column, digest, .. } in subjects {
        let of_dataset = contracts
            .entry(&contract.name)
            .or_insert_with(|| SourceContract { erased: BTreeMap::new(), ..(*contract).clone() });
        of_dataset.erased.entry((*column).to_owned()).or_default().insert(digest.clone());
    }
    let newest = store.newest()?;
    let threads = Resources::of_this_machine(None, None).threads;
    let runtime = runtime()?;
    let mut sought = BTreeMap::new();
    for (name, contract) in contracts {
        let entry = newest.as_ref().and_then(|(_, snapshot)| snapshot.tables.get(name));
        let state = entry.map(|entry| store.table(name, &entry.state)).transpose()?;
        let landed = state.as_ref().and_then(|state| state.landed.as_deref());
        let limits = &project.settings.limits;
        sought.insert(name.to_owned(), runtime.block_on(seek(&project.root, &contract, limits, landed, threads)));
    }
    Ok(sought)
}

/// Writes down who it is and does `run`. If that publishes nothing, what was written before stands there again: nothing
/// was erased, and later runs are as they were.
fn remember(
    project: &Project,
    store: &Store,
    subjects: &[&Subject<'_>],
    run: impl FnOnce() -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let of_source = |(name, contract): (&String, &SourceContract)| (name.clone(), contract.erased.clone());
    let mut erased: Digests = project.sources.iter().map(of_source).collect();
    for Subject { contract, column, digest, .. } in subjects {
        let of_dataset = erased.entry(contract.name.clone()).or_default();
        of_dataset.entry((*column).to_owned()).or_default().insert(digest.clone());
    }
    let path = project.root.join(ERASED);
    let failed = |error| Failure::usage(format!("cannot write `{path}`: {error}"), None);
    if let Some(kind) = other_than_a_file(&path) {
        let help = "put a plain file in its place: it is written anew".to_owned();
        return Err(Failure::usage(format!("`{path}` is {kind}"), Some(help)));
    }
    let before = match LocalDisk.read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let reference = store.reference()?;
    LocalDisk.replace(&path, text(&erased).as_bytes()).map_err(failed)?;
    let ran = run();
    if !matches!(ran, Ok(exit) if exit.is_good()) && store.reference()? == reference {
        before.map_or_else(|| LocalDisk.remove(&path), |bytes| LocalDisk.replace(&path, &bytes)).map_err(failed)?;
    }
    ran
}

/// Returns the text of the file that remembers.
fn text(erased: &Digests) -> String {
    let mut text = String::from("# Whose records are never ingested: digests of values, written by `opsmart erase`.\n");
    for (dataset, columns) in erased.iter().filter(|(_, columns)| !columns.is_empty()) {
        text.push_str(&format!("\n[{dataset}]\n"));
        for (column, digests) in columns {
            let list: Vec<String> = digests.iter().map(|digest| format!("\"{digest}\"")).collect();
            text.push_str(&format!("{column} = [{}]\n", list.join(", ")));
        }
    }
    text
}

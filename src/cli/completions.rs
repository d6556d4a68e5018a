//! `opsmart completions`, and what a shell asks of it with every press of the key.
//!
//! The script that is printed asks the program itself, so that names of a project are completed as well: its jobs,
//! datasets, tables, metrics, selectors and branches. Promises: nothing is written, and nothing is said of what is wrong
//! with the project; of one that cannot be read, commands and flags are completed alone.

use std::collections::BTreeSet;
use std::ffi::OsString;

use camino::Utf8PathBuf;
use clap::{Arg, Args, Command, CommandFactory, ValueEnum};
use clap_complete::Shell;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use super::{Cli, Failure, open_store};
use crate::cli::print::data;
use crate::project::{self, Project};
use crate::run::Exit;

/// The variable by which a shell says that it asks.
const ASKS: &str = "OPSMART_COMPLETE";

/// Print a script that completes commands, and names of the project, in a shell
///
/// Works outside a project. For bash, for example, put `source <(opsmart completions bash)` into `~/.bashrc`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let name = args.shell.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let mut script = Vec::new();
    let written = match Shells::builtins().completer(&name) {
        Some(shell) => shell.write_registration(ASKS, "opsmart", "opsmart", "opsmart", &mut script),
        None => Err(std::io::Error::other("no such shell")),
    };
    written.map_err(|error| Failure::Other {
        exit: Exit::Bug,
        message: format!("cannot write the script for {name}: {error}"),
        help: None,
    })?;
    data(&script);
    Ok(())
}

/// Answers a shell that asks how a line goes on; returns whether one did.
pub(super) fn answered(args: &[OsString]) -> bool {
    let at = |flag: &str| args.iter().position(|arg| arg == flag).and_then(|at| args.get(at + 1)).cloned();
    let given = |flags: &[&str], variable: &str| {
        let value = flags.iter().find_map(|flag| at(flag)).or_else(|| std::env::var_os(variable));
        value.and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
    };
    let folder = given(&["-C", "--project-dir"], "OPSMART_PROJECT_DIR").unwrap_or_else(|| ".".to_owned());
    let place = Place { folder: folder.into(), environment: given(&["--env"], "OPSMART_ENV") };
    let current = std::env::current_dir().ok();
    let shell = CompleteEnv::with_factory(|| with_names(Cli::command(), &place)).var(ASKS);
    // What is wrong with the question is of no use to somebody who presses a key.
    shell.try_complete(args.iter().cloned(), current.as_deref()).unwrap_or(true)
}

/// Where the project is whose names are proposed, and in which environment.
#[derive(Debug, Clone)]
struct Place {
    folder: Utf8PathBuf,
    environment: Option<String>,
}

/// Lets every argument that takes a name of the project, by what its help calls it, propose the names that there are.
fn with_names(command: Command, place: &Place) -> Command {
    let subcommands: Vec<String> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    let command = command.mut_args(|arg| match kind(&arg) {
        Some(names) => {
            let place = place.clone();
            arg.add(ArgValueCandidates::new(move || candidates(&place, names)))
        }
        None => arg,
    });
    subcommands.into_iter().fold(command, |command, name| command.mut_subcommand(name, |one| with_names(one, place)))
}

/// The names of a project of one kind.
type Names = fn(&Project) -> BTreeSet<String>;

/// Returns which names an argument takes, if it takes some.
fn kind(arg: &Arg) -> Option<Names> {
    let value = arg.get_value_names()?.first()?.as_str();
    match (value, arg.get_id().as_str()) {
        ("JOB", _) => Some(|project| project.jobs.keys().cloned().collect()),
        ("DATASET", _) => Some(|project| project.sources.keys().cloned().collect()),
        ("TABLE" | "TABLE|SELECT", _) => Some(tables),
        ("METRIC", _) => Some(metrics),
        ("SELECTOR", _) => Some(selectors),
        ("NAME", "names") => Some(|project| project.models.keys().chain(project.functions.keys()).cloned().collect()),
        ("NAME", "branch" | "from") => Some(branches),
        _ => None,
    }
}

fn candidates(place: &Place, names: Names) -> Vec<CompletionCandidate> {
    let root = project::find_root(&place.folder).ok();
    let project = root.and_then(|root| project::load(&root, place.environment.as_deref()).ok());
    project.iter().flat_map(names).map(CompletionCandidate::new).collect()
}

fn tables(project: &Project) -> BTreeSet<String> {
    project.sources.keys().chain(project.models.keys()).cloned().collect()
}

fn metrics(project: &Project) -> BTreeSet<String> {
    project.metrics.values().map(|metric| format!("{}.{}", metric.area, metric.key.text)).collect()
}

fn selectors(project: &Project) -> BTreeSet<String> {
    let tags = project.contracts.values().flat_map(|contract| &contract.tags).map(|tag| format!("tag:{tag}"));
    let owners = project.contracts.values().filter_map(|contract| contract.owner.as_ref());
    let sources = project.sources.keys().map(|source| format!("source:{source}"));
    tables(project).into_iter().chain(tags).chain(owners.map(|owner| format!("owner:{owner}"))).chain(sources).collect()
}

fn branches(project: &Project) -> BTreeSet<String> {
    open_store(project).references().map(|references| references.into_keys().collect()).unwrap_or_default()
}

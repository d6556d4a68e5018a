//! `opsmart branch` and `opsmart publish`, and the flag that chooses a branch.

use clap::{Args, Subcommand};

use super::summary::aligned;
use super::{Failure, Global, load, open_store};
use crate::cli::print::{Printer, answer, document};
use crate::diagnostic::did_you_mean;
use crate::project::{NAME_RULE, Project, is_name};
use crate::publish::{PromoteError, Published, promote};
use crate::run::Exit;
use crate::store::{MAIN, Store};

/// On which branch a command works.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct OnBranch {
    /// Branch to work on: tables of its own beside the current ones
    #[arg(long, env = "OPSMART_BRANCH", value_name = "NAME", value_parser = parse_branch)]
    branch: Option<String>,
}

fn parse_branch(name: &str) -> Result<String, String> {
    if is_name(name) { Ok(name.to_owned()) } else { Err(NAME_RULE.to_owned()) }
}

impl OnBranch {
    /// Opens the project's warehouse on the branch.
    pub(super) fn open(&self, project: &Project) -> Store {
        open_store(project).on_branch(self.name())
    }

    /// Returns the branch, or main.
    pub(super) fn name(&self) -> &str {
        self.branch.as_deref().unwrap_or(MAIN)
    }

    pub(super) fn is_main(&self) -> bool {
        self.name() == MAIN
    }
}

/// List and remove branches
///
/// A branch is what `opsmart run --branch NAME` builds: tables beside the current ones, of which unchanged ones are the same
/// files. `opsmart publish --from NAME` publishes them.
#[derive(Debug, Subcommand)]
pub(super) enum BranchCommand {
    Ls(LsArgs),
    Rm(RmArgs),
}

/// List branches, and whether they are built upon what is newest on main
#[derive(Debug, Args)]
pub(super) struct LsArgs {}

/// Remove a branch; `opsmart gc` removes what it alone needed
#[derive(Debug, Args)]
pub(super) struct RmArgs {
    /// Branch to remove
    #[arg(value_name = "NAME")]
    name: String,
}

/// Publish the tables that a branch built
///
/// They become current as they are, all at once, and nothing is built. That needs a branch that was built upon the newest
/// tables; otherwise `opsmart run --branch NAME` builds it anew.
#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    /// Branch whose tables to publish
    #[arg(long, env = "OPSMART_FROM", value_name = "NAME")]
    from: String,
}

pub(super) fn branch(global: &Global, command: &BranchCommand, printer: &Printer) -> Result<Exit, Failure> {
    match command {
        BranchCommand::Ls(_) => list(global, printer),
        BranchCommand::Rm(args) => remove(global, args, printer),
    }
}

fn list(global: &Global, printer: &Printer) -> Result<Exit, Failure> {
    let store = open_store(&load(global)?);
    let references = store.references()?;
    let main = references.get(MAIN);
    let mut found = Vec::new();
    for (name, reference) in references.iter().filter(|(name, _)| *name != MAIN) {
        let id = &reference.snapshot;
        let is_ahead = main.map(|main| store.follows(id, main.newest())).transpose()?.unwrap_or(true);
        let run = store.snapshot(id)?.run;
        let state = match main {
            _ if reference.held.is_some() => "held",
            Some(main) if main.newest() == id => "as main",
            _ if is_ahead => "ahead of main",
            _ => "left behind by main",
        };
        found.push((name, id, run, state));
    }
    if printer.is_json() {
        let one = |(name, id, run, state): &(&String, _, String, &str)| serde_json::json!({ "branch": name, "snapshot": id, "run": run, "state": state });
        document(&found.iter().map(one).collect::<Vec<_>>());
    } else if found.is_empty() {
        printer.say("there are no branches; `opsmart run --branch NAME` makes one\n");
    } else {
        let lines = found
            .into_iter()
            .map(|(name, id, run, state)| vec![name.clone(), id.short().to_owned(), run, state.into()]);
        answer(&aligned(&["Branch", "snapshot", "run", ""], |_| false, lines));
    }
    Ok(Exit::Done)
}

fn remove(global: &Global, args: &RmArgs, printer: &Printer) -> Result<Exit, Failure> {
    let store = open_store(&load(global)?);
    if args.name == MAIN {
        let help = "`opsmart rollback` goes back to earlier tables".to_owned();
        return Err(Failure::usage("`main` is what readers see, and is not removed", Some(help)));
    }
    check_is_there(&store, &args.name)?;
    store.on_branch(&args.name).remove_branch()?;
    printer.say(&format!("removed branch `{}`\n", args.name));
    if printer.is_json() {
        document(&serde_json::json!({ "removed": args.name }));
    }
    Ok(Exit::Done)
}

pub(super) fn publish(global: &Global, args: &PublishArgs, printer: &Printer) -> Result<Exit, Failure> {
    let store = open_store(&load(global)?);
    check_is_there(&store, &args.from)?;
    let published = promote(&store.on_branch(&args.from)).map_err(|error| match error {
        PromoteError::Store(error) => error.into(),
        PromoteError::Missing(_) => missing(&store, &args.from),
        PromoteError::Held(_) => {
            let help = format!("`opsmart release --branch {}` ends that", args.from);
            Failure::usage(error.to_string(), Some(help))
        }
        PromoteError::Behind(_) => {
            let help = format!("`opsmart run --branch {}` builds it upon what is there now", args.from);
            Failure::usage(error.to_string(), Some(help))
        }
    })?;
    let (status, words) = match &published {
        Published::Committed(id) => ("published", format!("snapshot {} of `{}` is current", id.short(), args.from)),
        Published::Held(id) => {
            ("held", format!("snapshot {} of `{}` waits for `opsmart release`", id.short(), args.from))
        }
        Published::Unchanged => ("nothing_new", format!("the tables of `{}` are those of main", args.from)),
    };
    printer.say(&format!("{words}\n"));
    if printer.is_json() {
        let id = match published {
            Published::Committed(id) | Published::Held(id) => Some(id),
            Published::Unchanged => None,
        };
        document(&serde_json::json!({ "status": status, "from": args.from, "snapshot": id }));
    }
    Ok(if status == "held" { Exit::Held } else { Exit::Done })
}

/// Makes sure that there is a branch of that name.
fn check_is_there(store: &Store, name: &str) -> Result<(), Failure> {
    if name != MAIN && is_name(name) && store.on_branch(name).reference()?.is_some() {
        return Ok(());
    }
    Err(missing(store, name))
}

/// Says that there is no branch of that name.
pub(super) fn missing(store: &Store, name: &str) -> Failure {
    let names: Vec<String> = store.references().unwrap_or_default().into_keys().filter(|name| name != MAIN).collect();
    let help = did_you_mean(name, names.iter().map(String::as_str)).unwrap_or_else(|| match names.as_slice() {
        [] => "there are none; `opsmart run --branch NAME` makes one".to_owned(),
        names => format!("branches are: {}", names.join(", ")),
    });
    Failure::usage(format!("there is no branch `{name}`"), Some(help))
}

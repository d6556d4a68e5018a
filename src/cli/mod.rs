//! The command line: one file a command. The only module that prints.
//!
//! stdout carries what was asked for and nothing else; reports for people, progress and logs go to stderr.

mod branch;
mod check;
mod completions;
mod diff;
mod docs;
mod erase;
mod export;
mod folder;
mod forget;
mod gc;
mod generate;
mod history;
mod init;
mod ls;
mod new;
mod panics;
mod plan;
mod print;
mod progress;
mod quarantine;
mod query;
mod release;
mod report;
mod rollback;
mod rows;
mod run;
mod show;
mod signals;
mod snapshots;
mod summary;
mod test;
mod verify;
mod why;

use std::ffi::OsString;
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::builder::FalseyValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::plan::{CompileCache, STACK_BYTES, Workspace};
use crate::project::{self, Project};
use crate::run::{DatasetReport, Exit, RunError, recall_for_program};
use crate::starter::StarterError;
use crate::store::{LocalDisk, Store, StoreError};
use print::Printer;
use tracing::Metadata;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, Layer};

/// Batch data pipelines for operations support
///
/// Takes landed files in as Parquet, cleans and transforms them with plain SQL, checks the results, and publishes KPI,
/// performance and risk tables all at once.
#[derive(Debug, Parser)]
#[command(name = "opsmart", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
struct Global {
    /// Folder of the project, or one inside it
    #[arg(short = 'C', long, global = true, env = "OPSMART_PROJECT_DIR", default_value = ".", value_name = "DIR")]
    project_dir: Utf8PathBuf,

    /// Environment of opsmart.toml whose settings apply
    #[arg(long, global = true, env = "OPSMART_ENV", value_name = "NAME")]
    env: Option<String>,

    /// Say nothing unless something is wrong
    #[arg(short, long, global = true, env = "OPSMART_QUIET", value_parser = FalseyValueParser::new())]
    quiet: bool,

    /// What stdout carries: text for people, or JSON, one document a line
    #[arg(long, global = true, env = "OPSMART_OUTPUT", value_enum, default_value_t = Output::Text, value_name = "FORM")]
    output: Output,

    /// How log lines on stderr are written; `OPSMART_LOG` says which, by default warnings as text, steps as JSON
    #[arg(long, global = true, env = "OPSMART_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, value_name = "FORM")]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Text for people
    Text,
    /// One JSON document as the last line
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Text for people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::InitArgs),
    New(new::NewArgs),
    Check(check::CheckArgs),
    Ls(ls::LsArgs),
    Plan(plan::PlanArgs),
    Run(run::RunArgs),
    Test(test::TestArgs),
    Show(show::ShowArgs),
    Query(query::QueryArgs),
    Why(why::WhyArgs),
    History(history::HistoryArgs),
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    Forget(forget::ForgetArgs),
    Erase(erase::EraseArgs),
    Report(report::ReportArgs),
    Docs(docs::DocsArgs),
    Export(export::ExportArgs),
    Generate(generate::GenerateArgs),
    #[command(subcommand)]
    Branch(branch::BranchCommand),
    Publish(branch::PublishArgs),
    Rollback(rollback::RollbackArgs),
    Release(release::ReleaseArgs),
    Diff(diff::DiffArgs),
    Verify(verify::VerifyArgs),
    Gc(gc::GcArgs),
    Completions(completions::CompletionsArgs),
}

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// The project is wrong.
    Project(Diagnostics),
    /// A run failed, and these datasets had been read by then.
    Run { error: RunError, read: Vec<DatasetReport> },
    /// Something else, in words, with what to do.
    Other { exit: Exit, message: String, help: Option<String> },
}

impl From<Diagnostics> for Failure {
    fn from(mistakes: Diagnostics) -> Self {
        Self::Project(mistakes)
    }
}

impl From<Diagnostic> for Failure {
    fn from(mistake: Diagnostic) -> Self {
        Self::Project(mistake.into())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Run { error, read: Vec::new() }
    }
}

impl From<StarterError> for Failure {
    fn from(StarterError { message, help }: StarterError) -> Self {
        Self::usage(message, help)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        RunError::from(error).into()
    }
}

impl Failure {
    fn usage(message: impl Into<String>, help: Option<String>) -> Self {
        Self::Other { exit: Exit::Usage, message: message.into(), help }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Project(_) => Exit::Usage,
            Self::Run { error, .. } => error.exit(),
            Self::Other { exit, .. } => *exit,
        }
    }
}

/// Runs the command that `args` spell, and returns its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if completions::answered(&args) {
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(said) => {
            let exit = if said.use_stderr() { Exit::Usage } else { Exit::Done };
            print::usage(&near_commands(said, &args));
            let is_lost = print::tell_unwritten() && exit.is_good();
            return ExitCode::from(if is_lost { Exit::Temporary } else { exit } as u8);
        }
    };
    start_log(cli.global.log_format);
    panics::hold_back();
    let exit = signals::until_done_or_told(move || dispatch_and_catch(&cli));
    if exit == Exit::Bug {
        panics::tell();
    }
    ExitCode::from(exit as u8)
}

/// Does what was asked, and returns how it ended.
fn dispatch_and_catch(cli: &Cli) -> Exit {
    let printer = Printer::new(cli.global.quiet, cli.global.output == Output::Json);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dispatch(cli, &printer)));
    let exit = match ended {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => {
            let exit = failure.exit();
            printer.failure(&failure, exit);
            exit
        }
        // Nothing was published, because publishing is the last step.
        Err(_) => Exit::Bug,
    };
    // What was asked for did not arrive, so that it was not done, whatever else was.
    if print::tell_unwritten() && exit.is_good() { Exit::Temporary } else { exit }
}

/// Lets clap propose a command that is near what was written, or else say which there are. What it takes for near by itself
/// may be a command that destroys something and has two letters in common.
fn near_commands(mut said: clap::Error, args: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(wrong)) = said.get(ContextKind::InvalidSubcommand) else { return said };
    let (wrong, root) = (wrong.clone(), Cli::command());
    let words = args.iter().skip(1).filter_map(|word| word.to_str()).take_while(|word| *word != wrong);
    let command = words.fold(&root, |command, word| command.find_subcommand(word).unwrap_or(command));
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    said.remove(ContextKind::SuggestedSubcommand);
    if let Some(near) = nearest(&wrong, names.iter().copied()) {
        said.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![near.to_owned()]));
    } else {
        let list = format!("there are: {}", names.join(", "));
        said.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![list.into()]));
    }
    said
}

fn no_threads(error: &std::io::Error) -> Failure {
    Failure::Other {
        exit: Exit::Temporary,
        message: format!("cannot start threads: {error}"),
        help: Some("`ulimit -u` and `ulimit -v` say how many processes and how much memory are allowed".to_owned()),
    }
}

fn dispatch(cli: &Cli, printer: &Printer) -> Result<Exit, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Init(args) => init::init(global, args, printer),
        Command::New(args) => new::new(global, args, printer),
        Command::Check(args) => check::check(global, args, printer),
        Command::Ls(args) => ls::ls(global, args, printer),
        Command::Plan(args) => plan::plan(global, args, printer),
        Command::Run(args) => run::run(global, args, printer),
        Command::Test(args) => test::test(global, args, printer),
        Command::Show(args) => show::show(global, args, printer),
        Command::Query(args) => query::query(global, args, printer),
        Command::Why(args) => why::tell_why(global, args, printer),
        Command::History(args) => history::history(global, args, printer),
        Command::Quarantine(command) => quarantine::quarantine(global, command, printer),
        Command::Forget(args) => forget::forget(global, args, printer),
        Command::Erase(args) => erase::erase(global, args, printer),
        Command::Report(args) => report::page(global, args, printer),
        Command::Docs(args) => docs::docs(global, args, printer),
        Command::Export(args) => export::export(global, args, printer),
        Command::Generate(args) => generate::generate(global, args, printer),
        Command::Branch(command) => branch::branch(global, command, printer),
        Command::Publish(args) => branch::publish(global, args, printer),
        Command::Rollback(args) => rollback::rollback(global, args, printer),
        Command::Release(args) => release::release(global, args, printer),
        Command::Diff(args) => diff::diff_snapshots(global, args, printer),
        Command::Verify(args) => verify::verify_tables(global, args, printer),
        Command::Gc(args) => gc::gc(global, args, printer),
        Command::Completions(args) => completions::completions(args).map(|()| Exit::Done),
    }
}

/// Reads the project that the global options name.
fn load(global: &Global) -> Result<Project, Failure> {
    let root = project::find_root(&global.project_dir)?;
    Ok(project::load(&root, global.env.as_deref())?)
}

/// The name under which a warehouse remembers which models and queries are sound.
const COMPILED: &str = "compiled";

/// Returns what the warehouse of a project remembers of what its models bind to.
fn compile_cache(project: &Project) -> CompileCache {
    CompileCache::recalled(recall_for_program(&open_store(project), COMPILED).unwrap_or_default())
}

/// Binds what the SQL of a project means, as far as that is not remembered; the warehouse stays as it is.
fn compile(project: Project) -> Result<Workspace, Failure> {
    let cache = compile_cache(&project);
    Ok(Workspace::compile_cached(project, &cache)?)
}

/// Opens the project's warehouse on this machine's disk.
fn open_store(project: &Project) -> Store {
    store_at(&project.root.join(&project.settings.warehouse))
}

/// Says that a warehouse, or a branch of it, has no tables yet.
fn nothing_published(store: &Store) -> Failure {
    if let Some(branch) = store.branch() {
        return branch::missing(store, branch);
    }
    let help = "`opsmart run` builds and publishes the tables";
    Failure::usage("nothing has been published yet", Some(help.to_owned()))
}

fn store_at(folder: &Utf8Path) -> Store {
    Store::open(folder, std::sync::Arc::new(LocalDisk))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
        .map_err(|error| no_threads(&error))
}

/// Libraries whose log lines hold what goes over the wire: keys, passwords in addresses, whole requests. They are never
/// shown, whatever `OPSMART_LOG` says; what we send and to whom we log ourselves, without what nobody should see.
const SECRETIVE: [&str; 6] = ["ureq", "ureq_proto", "rustls", "rustls_platform_verifier", "hyper", "http"];

fn start_log(format: LogFormat) {
    // Whoever asks for JSON feeds a machine, and a machine wants to know what an operator wants to know tomorrow.
    let level = if format == LogFormat::Json { "info,datafusion=warn" } else { "warn" };
    let wanted = EnvFilter::try_from_env("OPSMART_LOG").unwrap_or_else(|_| level.into());
    let is_shown = |log: &Metadata<'_>| !SECRETIVE.contains(&log.target().split("::").next().unwrap_or_default());
    let is_json = format == LogFormat::Json;
    // A reader of the log that goes away must not end a run.
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(move || print::LogWriter { is_json })
        .log_internal_errors(false);
    let lines = if is_json { lines.json().boxed() } else { lines.boxed() };
    // A second start in one process, as tests do it, keeps the first.
    let _ = tracing_subscriber::registry().with(lines.with_filter(wanted).with_filter(filter_fn(is_shown))).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }
}

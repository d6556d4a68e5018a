//! `opsmart new`.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand};

use super::summary::{counted, grouped};
use super::{Failure, Global, compile, load};
use crate::cli::print::{Printer, document, warn};
use crate::infer::{InferError, Inferred, infer};
use crate::plan::{CompileCache, Workspace};
use crate::project::Project;
use crate::run::Exit;
use crate::starter::{
    MetricDraft, NewFile, Read, WriteError, append, check_table_name, new_check, new_job, new_metric, new_model,
    staging, write_new,
};

/// Write a new contract, model, metric, check or job that works as it stands
///
/// Overwrites nothing.
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Source(SourceArgs),
    Model(ModelArgs),
    Metric(MetricArgs),
    Check(CheckArgs),
    Job(JobArgs),
}

/// Read a file and write a contract for files like it
///
/// Reads the whole file, and proposes its dialect, types, nulls and key, each with the evidence in a comment; and writes
/// a staging model with its test. The file stays where it is.
#[derive(Debug, Args)]
struct SourceArgs {
    /// Name of the new dataset
    name: String,

    /// File of CSV or NDJSON to read, plain or packed as .gz or .zst
    #[arg(long, env = "OPSMART_FROM", value_name = "FILE")]
    from: Utf8PathBuf,
}

/// Write a model with its contract and its test
///
/// The name's prefix tells the layer: base_, stg_, int_, dim_ or fct_, kpi_, perf_, risk_.
#[derive(Debug, Args)]
struct ModelArgs {
    /// Name of the new table
    name: String,

    /// Table whose columns it selects; by default the one that its name tells, if there is one
    #[arg(long, env = "OPSMART_FROM", value_name = "TABLE")]
    from: Option<String>,
}

/// Declare a metric at the end of the file of its area
///
/// Proposes on which day rows count, by which scopes, and with which feed, from the columns of the table and from other
/// metrics of it. What does not pass `opsmart check` is not left.
#[derive(Debug, Args)]
struct MetricArgs {
    /// Name of the new metric, as area.key
    #[arg(value_name = "AREA.KEY")]
    name: String,

    /// Table whose rows it counts; by default that of its area
    #[arg(long, env = "OPSMART_FROM", value_name = "TABLE")]
    from: Option<String>,

    /// SQL aggregate over the rows, or arithmetic of other metrics
    #[arg(long, env = "OPSMART_VALUE", value_name = "SQL", default_value = "count(*)")]
    value: String,

    /// What it counts or measures
    #[arg(long, env = "OPSMART_UNIT", value_name = "UNIT", default_value = "rows")]
    unit: String,

    /// Its name in English; by default made of the key
    #[arg(long, env = "OPSMART_EN", value_name = "NAME")]
    en: Option<String>,

    /// Which values are better; without it nothing says how it does against a target
    #[arg(long, env = "OPSMART_BETTER", value_name = "DIRECTION", value_parser = ["higher", "lower", "band"])]
    better: Option<String>,
}

/// Write a check: a query that must return no rows
#[derive(Debug, Args)]
struct CheckArgs {
    /// What is asserted; `assert_` is put before it
    name: String,

    /// Table that it asks; by default the ledger of landed files
    #[arg(long, env = "OPSMART_ON", value_name = "TABLE")]
    on: Option<String>,
}

/// Write a job: a schedule and the datasets that it ingests
#[derive(Debug, Args)]
struct JobArgs {
    /// Name of the new job
    name: String,

    /// Datasets that it ingests; by default the one that is called like it
    #[arg(long, env = "OPSMART_INGEST", value_name = "DATASET", num_args = 1..)]
    ingest: Vec<String>,
}

pub(super) fn new(global: &Global, args: &NewArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    let root = project.root.clone();
    let mut questions = 0;
    let mut facts = serde_json::json!({ "status": "written" });
    let (files, next) = match &args.what {
        What::Source(args) => {
            let (files, found) = source(&project, args)?;
            printer.say(&about(&args.from, &found));
            questions = found.questions.len();
            facts["records"] = found.records.into();
            facts["unreadable"] = found.broken.into();
            facts["questions"] = found.questions.clone().into();
            (files, after_source(&args.from, &args.name, &found))
        }
        What::Model(args) => {
            let files = new_model(&compile(project)?, &args.name, args.from.as_deref())?;
            let next = format!("  opsmart test {}\n  opsmart run\n", args.name);
            (files, next)
        }
        What::Check(args) => {
            let files = new_check(&compile(project)?, &args.name, args.on.as_deref())?;
            (files, "  opsmart run     # asks it\n".to_owned())
        }
        What::Metric(args) => return metric(global, args, project, printer),
        What::Job(args) => {
            let files = new_job(&project, &args.name, &args.ingest)?;
            (files, format!("  opsmart plan {0}\n  opsmart run {0}\n", args.name))
        }
    };
    write(&root, &files)?;
    printer.say(&told(&files));
    printer.say(&format!("\nNext:\n{next}"));
    if let (true, 1.., Some(contract)) = (printer.is_quiet(), questions, files.first()) {
        // Whoever wants no words is told all the same that something was not decided.
        warn(&format!("{}: {} to be decided by you\n", contract.path, counted(questions, "question")));
    }
    if printer.is_json() {
        facts["files"] = files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>().into();
        document(&facts);
    }
    Ok(Exit::Done)
}

/// Declares a metric, and takes that back if the project is wrong with it.
fn metric(global: &Global, args: &MetricArgs, project: Project, printer: &Printer) -> Result<Exit, Failure> {
    let root = project.root.clone();
    let MetricArgs { name, from, value, unit, en, better } = args;
    let (from, en, better) = (from.as_deref(), en.as_deref(), better.as_deref());
    let draft = MetricDraft { name, from, value, unit, en, better };
    let file = new_metric(&compile(project)?, &draft)?;
    let written = append(&root, &file).map_err(write_failure)?;
    if let Err(failure) =
        load(global).and_then(|project| Ok(Workspace::compile_and_try(project, &CompileCache::default())?))
    {
        written.take_back();
        return Err(failure);
    }
    let text: String = file.text.trim().lines().map(|line| format!("  {line}\n")).collect();
    printer.say(&format!("Wrote to {}:\n{text}", file.path));
    printer.say(&format!("\nNext:\n  opsmart query {name}\n  opsmart run     # builds the tables of metrics\n"));
    if printer.is_json() {
        document(&serde_json::json!({ "status": "written", "files": [file.path], "metric": name.replace('.', "_") }));
    }
    Ok(Exit::Done)
}

/// Reads the file and returns what is to be written for it, and what was found.
fn source(project: &Project, args: &SourceArgs) -> Result<(Vec<NewFile>, Inferred), Failure> {
    check_table_name(project, &args.name)?;
    check_table_name(project, &format!("stg_{}", args.name))?;
    let contract = format!("schemas/sources/{}.toml", args.name);
    let found = infer(project, &args.name, &args.from).map_err(|error| {
        let exit = match &error {
            InferError::NoFile { .. } => Exit::Usage,
            InferError::Read { source, .. } if !is_temporary(source) => Exit::Usage,
            InferError::Read { .. } => Exit::Temporary,
            InferError::File { .. } | InferError::Content { .. } => Exit::Data,
            InferError::Bug { .. } => Exit::Bug,
        };
        Failure::Other { exit, message: error.to_string(), help: error.help() }
    })?;
    let mut files = vec![NewFile::new(contract, found.contract.as_str())];
    files.extend(staging(&Read::new_dataset(&args.name, &found.columns, &found.key)));
    Ok((files, found))
}

fn about(path: &Utf8Path, found: &Inferred) -> String {
    let records = format!("{} record{}", grouped(found.records), if found.records == 1 { "" } else { "s" });
    let mut text = format!("Read {path}: {}, {records} of {}\n", found.dialect, counted(found.columns.len(), "column"));
    if !found.questions.is_empty() {
        text.push_str("\nTo be decided by you:\n");
        found.questions.iter().for_each(|question| text.push_str(&format!("  {question}\n")));
    }
    text.push('\n');
    text
}

fn after_source(path: &Utf8Path, name: &str, found: &Inferred) -> String {
    let mut next = String::new();
    if let Some(folder) = &found.landing.put_into {
        next.push_str(&format!("  put {path} into {folder}/, where `from` looks for it\n"));
    }
    if found.landing.others > 0 {
        let others = counted(found.landing.others, "other file");
        next.push_str(&format!("  `from` matches {others} too, which were not read: narrow it, or look at them\n"));
    }
    next.push_str(&format!("  read schemas/sources/{name}.toml, and correct what you know better\n"));
    next.push_str(&format!("  opsmart test stg_{name}\n  opsmart run --select +stg_{name}\n  opsmart show {name}\n"));
    next
}

/// Writes new files, all or none.
pub(super) fn write(root: &Utf8Path, files: &[NewFile]) -> Result<(), Failure> {
    write_new(root, files).map_err(write_failure)
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped with it")]
fn write_failure(error: WriteError) -> Failure {
    let exit = match &error {
        WriteError::Disk { source, .. } if is_temporary(source) => Exit::Temporary,
        _ => Exit::Usage,
    };
    let help = match &error {
        WriteError::Exists(_) => Some("choose another name or folder, or move them away".to_owned()),
        WriteError::Outside(_) => Some("put a folder in the place of the link".to_owned()),
        WriteError::Disk { source, .. } => Some(source.to_string()),
    };
    Failure::Other { exit, message: error.to_string(), help }
}

/// Returns whether trying again may help.
pub(super) fn is_temporary(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidFilename
    )
}

/// Says what was written.
pub(super) fn told(files: &[NewFile]) -> String {
    let mut text = format!("Wrote {}:\n", counted(files.len(), "file"));
    files.iter().for_each(|file| text.push_str(&format!("  {}\n", file.path)));
    text
}

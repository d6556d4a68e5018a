//! `opsmart new`.

use std::io;

use camino::Utf8Path;
use clap::{Args, Subcommand};

use super::report::counted;
use super::{Failure, Global, load};
use crate::cli::print::{Printer, document};
use crate::plan::Suite;
use crate::run::Exit;
use crate::starter::{NewFile, WriteError, new_check, new_job, new_model, write_new};

/// Write a new contract, model, check or job that works as it stands
///
/// Overwrites nothing.
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Model(ModelArgs),
    Check(CheckArgs),
    Job(JobArgs),
}

/// Write a model with its contract and its test
///
/// The name's prefix tells the layer: stg_, int_, dim_ or fct_, kpi_, perf_, risk_.
#[derive(Debug, Args)]
struct ModelArgs {
    /// Name of the new table
    name: String,

    /// Table whose columns it selects; by default the one that its name tells, if there is one
    #[arg(long, env = "OPSMART_FROM", value_name = "TABLE")]
    from: Option<String>,
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

/// Write a job: a schedule and the datasets that it takes in
#[derive(Debug, Args)]
struct JobArgs {
    /// Name of the new job
    name: String,

    /// Datasets that it takes in; by default the one that is called like it
    #[arg(long, env = "OPSMART_INGEST", value_name = "DATASET", num_args = 1..)]
    ingest: Vec<String>,
}

pub(super) fn new(global: &Global, args: &NewArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    let root = project.root.clone();
    let (files, next) = match &args.what {
        What::Model(args) => {
            let files = new_model(&Suite::compile(project)?, &args.name, args.from.as_deref())?;
            let next = format!("  opsmart test {}\n  opsmart run\n", args.name);
            (files, next)
        }
        What::Check(args) => {
            let files = new_check(&Suite::compile(project)?, &args.name, args.on.as_deref())?;
            (files, "  opsmart run     # asks it\n".to_owned())
        }
        What::Job(args) => {
            let files = new_job(&project, &args.name, &args.ingest)?;
            (files, format!("  opsmart plan {0}\n  opsmart run {0}\n", args.name))
        }
    };
    write(&root, &files)?;
    printer.say(&told(&files));
    printer.say(&format!("\nNext:\n{next}"));
    if printer.is_json() {
        let paths = files.iter().map(|file| &file.path).collect::<Vec<_>>();
        document(&serde_json::json!({ "status": "written", "files": paths }));
    }
    Ok(Exit::Done)
}

/// Writes new files, all or none.
pub(super) fn write(root: &Utf8Path, files: &[NewFile]) -> Result<(), Failure> {
    write_new(root, files).map_err(|error| {
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
    })
}

/// Returns whether trying again may help.
fn is_temporary(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotADirectory
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

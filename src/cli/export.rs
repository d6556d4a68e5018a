//! `opsmart export`.

use std::fs::File;
use std::io::Read;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand};

use super::folder::{Owner, put};
use super::report::{check_file, write};
use super::summary::counted;
use super::{Failure, Global, compile, load};
use crate::cli::print::{Printer, answer, document};
use crate::export::{self, DEFAULT_URI, Model, Told};
use crate::plan::Workspace;
use crate::project::{NAME_RULE, is_name};
use crate::run::Exit;

/// Write the metrics as a semantic model that other programs read
///
/// Published tables with columns, labels and descriptions, and the metrics over their rows. Metrics that the target has no
/// words for are read from the published tables of values; stdout says which went which way. Needs no warehouse.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(subcommand)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Target {
    /// Write a semantic model of Apache Ossie (formerly OSI), core specification 0.2.0.dev0
    Ossie(FolderArgs),
    /// Write a data model of Cube: cubes and views
    Cube(FolderArgs),
    /// Write a bundle of datasets for Apache Superset
    Superset {
        /// ZIP file to write
        #[arg(long, env = "OPSMART_SUPERSET_TO", value_name = "FILE", default_value = "superset.zip")]
        to: Utf8PathBuf,

        /// URI of the database with the published tables
        #[arg(long, env = "OPSMART_SUPERSET_URI", value_name = "URI", default_value = DEFAULT_URI)]
        uri: String,

        #[command(flatten)]
        tables: TablesArgs,
    },
}

#[derive(Debug, Args)]
struct FolderArgs {
    /// Folder to write to; what is there must be empty or of an earlier `opsmart export`
    #[arg(long, env = "OPSMART_EXPORT_TO", value_name = "DIR")]
    to: Utf8PathBuf,

    #[command(flatten)]
    tables: TablesArgs,
}

#[derive(Debug, Args)]
struct TablesArgs {
    /// Schema in which the program finds the published tables; by default they are named alone
    #[arg(long, env = "OPSMART_EXPORT_SCHEMA", value_name = "NAME", value_parser = parse_schema)]
    schema: Option<String>,
}

pub(super) fn export(global: &Global, args: &ExportArgs, printer: &Printer) -> Result<Exit, Failure> {
    let workspace = compile(load(global)?)?;
    match &args.target {
        Target::Ossie(FolderArgs { to, tables }) => {
            let model = model(&workspace, Model::of(&workspace, |_| None))?;
            let files = export::ossie(&workspace, &model, tables.schema.as_deref());
            put_folder(to, &files, "ossie")?;
            tell(&model, to, printer);
        }
        Target::Cube(FolderArgs { to, tables }) => {
            let model = model(&workspace, Model::of(&workspace, export::cube_speaks))?;
            let files = export::cube(&workspace, &model, tables.schema.as_deref());
            put_folder(to, &files, "cube")?;
            tell(&model, to, printer);
        }
        Target::Superset { to, uri, tables } => {
            check_file("--to", to, "the bundle is one file", "superset.zip")?;
            let model = model(&workspace, Model::of(&workspace, export::superset_speaks))?;
            let bundle = export::superset(&workspace, &model, tables.schema.as_deref(), uri);
            let bundle = bundle.ok_or_else(|| Failure::usage("the bundle is larger than 4 GB", None))?;
            refuse_others(to)?;
            write(to, &bundle)?;
            tell(&model, to, printer);
        }
    }
    Ok(Exit::Done)
}

/// Refuses to write nothing.
fn model<'a>(workspace: &Workspace, model: Model<'a>) -> Result<Model<'a>, Failure> {
    if !model.is_empty() {
        return Ok(model);
    }
    let (message, help) = if workspace.metrics().is_empty() {
        ("the project declares no metrics", "`docs/metrics.md` says how a metric is declared")
    } else {
        (
            "no published table has the project's metrics",
            "publish them: `select * from metric_day` in sql/kpi/kpi_daily.sql",
        )
    };
    Err(Failure::usage(message, Some(help.to_owned())))
}

fn put_folder(folder: &Utf8Path, files: &[export::File], target: &str) -> Result<(), Failure> {
    if folder.exists() && !folder.is_dir() {
        let help = "name a folder that is empty or does not exist yet".to_owned();
        return Err(Failure::usage(format!("--to {folder} is a file, and the model is a folder"), Some(help)));
    }
    let (command, manifest) = (format!("opsmart export {target}"), format!("opsmart-export-{target}.json"));
    let files: Vec<(&str, &[u8])> = files.iter().map(|file| (file.path.as_str(), file.bytes.as_slice())).collect();
    put(folder, &files, Owner { command: &command, manifest: &manifest }).map(drop)
}

/// Refuses to replace a file that is no archive.
fn refuse_others(path: &Utf8Path) -> Result<(), Failure> {
    let mut first = Vec::new();
    let read = File::open(path).and_then(|file| file.take(2).read_to_end(&mut first));
    if read.is_err() || first.is_empty() || first == b"PK" {
        return Ok(());
    }
    let help = "move it away, or choose another place with --to".to_owned();
    Err(Failure::usage(format!("`{path}` is there, and is no ZIP file"), Some(help)))
}

/// Tells which metrics went which way.
fn tell(model: &Model<'_>, to: &Utf8Path, printer: &Printer) {
    let told = model.told();
    let rows: usize = told.from_rows.values().map(Vec::len).sum();
    let values: usize = told.from_values.values().map(Vec::len).sum();
    printer.say(&format!("wrote {to}: {}\n", counted(rows + values, "metric")));
    if printer.is_json() {
        document(&json(&told, to));
        return;
    }
    let mut text = String::new();
    for (table, metrics) in &told.from_rows {
        text.push_str(&format!("over the rows of {table}: {}\n", metrics.join(", ")));
    }
    for (tables, metrics) in &told.from_values {
        text.push_str(&format!("as values of {}: {}\n", tables.join(", "), metrics.join(", ")));
    }
    for (metric, reason) in told.left_out {
        text.push_str(&format!("left out: {metric} {reason}, and no published table has its values\n"));
    }
    answer(&text);
}

fn json(told: &Told<'_>, to: &Utf8Path) -> serde_json::Value {
    let rows = told.from_rows.iter().flat_map(|(table, metrics)| {
        metrics.iter().map(move |id| serde_json::json!({ "metric_id": id, "from": "rows", "tables": [table] }))
    });
    let values = told.from_values.iter().flat_map(|(tables, metrics)| {
        metrics.iter().map(move |id| serde_json::json!({ "metric_id": id, "from": "values", "tables": tables }))
    });
    let left_out = told.left_out.iter().map(|(id, reason)| serde_json::json!({ "metric_id": id, "because": reason }));
    serde_json::json!({
        "status": "exported", "to": to, "metrics": rows.chain(values).collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
    })
}

fn parse_schema(text: &str) -> Result<String, String> {
    is_name(text).then(|| text.to_owned()).ok_or_else(|| NAME_RULE.to_owned())
}

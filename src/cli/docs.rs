//! `opsmart docs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::Utf8PathBuf;
use clap::Args;

use super::folder::{Owner, put};
use super::{Failure, Global, compile, load, open_store, runtime};
use crate::cli::print::{Printer, document};
use crate::cli::summary::counted;
use crate::engine::Resources;
use crate::plan::lineage;
use crate::project::Settings;
use crate::report::{metrics, newest};
use crate::run::{Exit, RunError};
use crate::site::{Published, PublishedTable, pages};
use crate::store::Store;
use crate::tables::SnapshotSchema;

const OWNER: Owner<'_> = Owner { command: "opsmart docs", manifest: "opsmart-docs.json" };

/// The table that has every day of every metric.
const METRIC_DAYS: &str = "metric_day";

/// Write the documentation of the project as a folder of HTML pages
///
/// A page for each dataset, table, check, metric and job: columns with their descriptions and checks, the SQL, and what comes from
/// what, column by column. Works without a server, and also before anything has been published.
#[derive(Debug, Args)]
pub(super) struct DocsArgs {
    /// Folder to write to; what is there must be empty or of an earlier `opsmart docs`
    #[arg(long, env = "OPSMART_DOCS_TO", value_name = "DIR", default_value = "site")]
    to: Utf8PathBuf,
}

pub(super) fn docs(global: &Global, args: &DocsArgs, printer: &Printer) -> Result<Exit, Failure> {
    if args.to.exists() && !args.to.is_dir() {
        let message = format!("--to {} is a file, and the documentation is a folder", args.to);
        return Err(Failure::usage(message, Some("name a folder that is empty or does not exist yet".to_owned())));
    }
    let project = load(global)?;
    let store = open_store(&project);
    let published = published(&project.settings, &store)?;
    let workspace = compile(project)?;
    let lineage = lineage(&workspace, &workspace.order).map_err(RunError::Engine)?;
    let files = pages(&workspace, &lineage, published.as_ref()).map_err(|error| Failure::Other {
        exit: Exit::Bug,
        message: format!("the pages cannot be written: {error:#}"),
        help: None,
    })?;
    let texts: Vec<(&str, &[u8])> = files.iter().map(|file| (file.path.as_str(), file.text.as_bytes())).collect();
    let removed = put(&args.to, &texts, OWNER)?;
    let tables = workspace.project.sources.len() + workspace.tables.len();
    let gone = if removed == 0 { String::new() } else { format!(", {} removed", counted(removed, "old file")) };
    printer.say(&format!("wrote {}: {}{gone}\n", args.to.join("index.html"), counted(files.len(), "file")));
    if printer.is_json() {
        document(&serde_json::json!({
            "folder": args.to, "files": files.len(), "removed": removed, "tables": tables,
            "snapshot": published.map(|published| published.snapshot),
        }));
    }
    Ok(Exit::Done)
}

/// Returns what the current snapshot holds, if there is one.
fn published(settings: &Settings, store: &Store) -> Result<Option<Published>, Failure> {
    let Some((reference, snapshot)) = store.current()? else { return Ok(None) };
    let spill = Utf8PathBuf::from_path_buf(std::env::temp_dir()).ok();
    let resources = Resources::of_this_machine(settings.memory_bytes, spill);
    let schema = Arc::new(SnapshotSchema::new(store, Some(&snapshot)));
    let session = schema.session(&resources).map_err(RunError::Engine)?;
    let mut tables = BTreeMap::new();
    let mut states = Vec::new();
    let runtime = runtime()?;
    for (name, entry) in &snapshot.tables {
        let Some(state) = schema.state(name)? else { continue };
        let newest = runtime.block_on(newest(&session, &snapshot.as_of, &state)).map_err(RunError::engine)?;
        let files = state.landed.as_ref().map(|landed| {
            let last = landed.remembered().map(|path| path.landed_at).max();
            (landed.remembered().count(), last.map(|last| minute(&crate::instant::text(&last))))
        });
        let newest = newest.map(|newest| minute(&newest));
        tables.insert(name.clone(), PublishedTable { rows: entry.rows, newest, files });
        states.push(state);
    }
    let days = states.iter().find(|state| state.table == METRIC_DAYS).map(AsRef::as_ref);
    let metrics = runtime.block_on(metrics(&session, days, &states)).map_err(RunError::engine)?;
    let as_of = minute(&crate::instant::text(&snapshot.as_of));
    Ok(Some(Published { snapshot: reference.snapshot.to_string(), as_of, tables, metrics }))
}

/// Returns an instant to the minute, as people write it; midnight is the day.
fn minute(instant: &str) -> String {
    let text = instant.chars().take(16).collect::<String>().replace('T', " ");
    text.strip_suffix(" 00:00").map_or_else(|| format!("{text} UTC"), str::to_owned)
}

//! `opsmart docs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::report::write;
use super::{Failure, Global, load, open_store, runtime};
use crate::cli::print::{Printer, document};
use crate::cli::summary::counted;
use crate::engine::Resources;
use crate::plan::{Workspace, lineage};
use crate::project::Settings;
use crate::report::{metrics, newest};
use crate::run::{Exit, RunError};
use crate::site::{File, Published, PublishedTable, pages};
use crate::store::{Disk, LocalDisk, Store, StoreError, other_than_a_file};
use crate::tables::SnapshotSchema;

/// Lists the files that a folder holds because of us.
const MANIFEST: &str = "opsmart-docs.json";

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

/// What an earlier `opsmart docs` wrote.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    files: BTreeSet<String>,
}

pub(super) fn docs(global: &Global, args: &DocsArgs, printer: &Printer) -> Result<Exit, Failure> {
    if args.to.exists() && !args.to.is_dir() {
        let message = format!("--to {} is a file, and the documentation is a folder", args.to);
        return Err(Failure::usage(message, Some("name a folder that is empty or does not exist yet".to_owned())));
    }
    let project = load(global)?;
    let store = open_store(&project);
    let published = published(&project.settings, &store)?;
    let workspace = Workspace::compile(project)?;
    let lineage = lineage(&workspace, &workspace.order).map_err(RunError::Engine)?;
    let files = pages(&workspace, &lineage, published.as_ref()).map_err(|error| Failure::Other {
        exit: Exit::Bug,
        message: format!("the pages cannot be written: {error:#}"),
        help: None,
    })?;
    let removed = put(&args.to, &files)?;
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

/// Writes the files into a folder of ours and removes those of before that are not among them; returns how many.
fn put(folder: &Utf8Path, files: &[File]) -> Result<usize, Failure> {
    let at = folder.join(MANIFEST);
    let refused = |message: String| {
        let help = "name a folder that is empty or does not exist yet, with --to DIR";
        Failure::usage(message, Some(help.to_owned()))
    };
    if let Some(kind) = other_than_a_file(&at) {
        return Err(refused(format!("`{at}` is {kind}, and does not list the files of an earlier `opsmart docs`")));
    }
    let before = if let Ok(bytes) = LocalDisk.read(&at) {
        serde_json::from_slice::<Manifest>(&bytes)
            .map_err(|error| refused(format!("`{at}` does not list the files of an earlier `opsmart docs`: {error}")))?
    } else {
        let read = |source| StoreError::Read { path: folder.to_path_buf(), source };
        if folder.exists() && folder.read_dir_utf8().map_err(read)?.next().is_some() {
            return Err(refused(format!("`{folder}` holds files that `opsmart docs` did not write")));
        }
        Manifest::default()
    };
    let now: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
    // Listed before they are written, so that whatever an interruption leaves behind is known to be ours.
    list(&at, &before.files.union(&now).cloned().collect())?;
    for file in files {
        write(&folder.join(&file.path), file.text.as_bytes())?;
    }
    let mut removed = 0;
    for gone in before.files.difference(&now).filter(|path| is_inside(path)) {
        let path = folder.join(gone);
        // Somebody put something else there.
        if path.is_file() && other_than_a_file(&path).is_none() {
            LocalDisk.remove(&path).map_err(|source| StoreError::Write { path, source })?;
            removed += 1;
        }
    }
    list(&at, &now)?;
    Ok(removed)
}

fn list(at: &Utf8Path, files: &BTreeSet<String>) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&Manifest { files: files.clone() }).unwrap_or_default();
    write(at, (text + "\n").as_bytes())
}

/// A list that somebody changed must not lead us out of the folder.
fn is_inside(path: &str) -> bool {
    Utf8Path::new(path).components().all(|part| matches!(part, Utf8Component::Normal(_)))
}

//! `opsmart report`.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::branch::OnBranch;
use super::new::is_temporary;
use super::{Failure, Global, load, nothing_published, runtime};
use crate::cli::print::{Printer, document};
use crate::cli::summary::counted;
use crate::engine::Resources;
use crate::report::{Language, Published, RUNS, gather, render};
use crate::run::{Exit, RunError};
use crate::store::{Disk, LocalDisk, other_than_a_file};
use crate::tables::SnapshotSchema;

/// Write one HTML page about everything that is published
///
/// Trends with targets and anomalies, scorecards, risks, the ledger of records, run times: whatever the published tables
/// hold. The page needs nothing but itself, in English and Chinese, and can be mailed or put anywhere.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// File to write; folders on the way to it are made
    #[arg(long, env = "OPSMART_REPORT_TO", value_name = "FILE", default_value = "report.html")]
    to: Utf8PathBuf,

    /// Language in which the page starts; a switch in it leads to the other
    #[arg(long, env = "OPSMART_REPORT_LANG", value_enum, default_value_t = Lang::En)]
    lang: Lang,

    #[command(flatten)]
    on: OnBranch,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lang {
    /// English
    En,
    /// Chinese
    Zh,
}

pub(super) fn page(global: &Global, args: &ReportArgs, printer: &Printer) -> Result<Exit, Failure> {
    check_file("--to", &args.to, "the report is one file", "report.html")?;
    let project = load(global)?;
    let store = args.on.open(&project);
    let (reference, snapshot) = store.current()?.ok_or_else(|| nothing_published(&store))?;
    let resources = Resources::of_this_machine(
        project.settings.memory_bytes,
        Utf8PathBuf::from_path_buf(std::env::temp_dir()).ok(),
    );
    let schema = Arc::new(SnapshotSchema::new(&store, Some(&snapshot)));
    let session = schema.session(&resources).map_err(RunError::Engine)?;
    let mut tables = Vec::new();
    for name in snapshot.tables.keys() {
        tables.extend(schema.state(name)?.filter(|state| state.is_published));
    }
    let runs: Vec<Value> = store.runs(RUNS).into_iter().filter(|run| run["status"] != "running").collect();
    let published = Published {
        id: &reference.snapshot,
        snapshot: &snapshot,
        tables: &tables,
        headline: project.settings.headline.as_deref(),
        runs: &runs,
    };
    let page = runtime()?.block_on(gather(&session, &published)).map_err(RunError::engine)?;
    let language = match args.lang {
        Lang::En => Language::En,
        Lang::Zh => Language::Zh,
    };
    let html = render(&page, language).map_err(|error| Failure::Other {
        exit: Exit::Bug,
        message: format!("the page cannot be written: {error}"),
        help: None,
    })?;
    write(&args.to, html.as_bytes())?;
    let about = format!("{} of snapshot {}", counted(tables.len(), "table"), reference.snapshot.short());
    printer.say(&format!("wrote {}: {about}, {} KB\n", args.to, html.len().div_ceil(1024)));
    if printer.is_json() {
        let snapshot = &reference.snapshot;
        document(
            &serde_json::json!({ "file": args.to, "bytes": html.len(), "snapshot": snapshot, "tables": tables.len() }),
        );
    }
    Ok(Exit::Done)
}

/// Refuses a name under which something stands that is no plain file, or that ends like that of a folder.
pub(super) fn check_file(flag: &str, path: &Utf8Path, but: &str, example: &str) -> Result<(), Failure> {
    if path.is_dir() || path.as_str().ends_with('/') {
        let help = format!("name a file in it: {flag} {}", path.join(example));
        return Err(Failure::usage(format!("{flag} {path} is a folder, and {but}"), Some(help)));
    }
    let Some(kind) = other_than_a_file(path) else { return Ok(()) };
    let help = format!("name a plain file, or one that is not there yet: {flag} {example}");
    Err(Failure::usage(format!("{flag} {path} is {kind}, and {but}: nothing is put in its place"), Some(help)))
}

/// Writes a file whole where somebody said: whoever reads it meanwhile sees the old content or the new. Puts it in the
/// place of nothing but a plain file.
pub(super) fn write(path: &Utf8Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(kind) = other_than_a_file(path) {
        let help = "move it away, or choose another place with --to".to_owned();
        return Err(Failure::usage(format!("`{path}` is {kind}, and nothing is put in its place"), Some(help)));
    }
    let whole = camino::absolute_utf8(path).unwrap_or_else(|_| path.to_path_buf());
    LocalDisk.replace(&whole, bytes).map_err(|error| Failure::Other {
        exit: if is_temporary(&error) { Exit::Temporary } else { Exit::Usage },
        message: format!("cannot write `{path}`: {error}"),
        help: Some("free space or repair the disk, or choose another place with --to".to_owned()),
    })
}

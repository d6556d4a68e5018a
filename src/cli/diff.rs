//! `opsmart diff`.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use datafusion::prelude::SessionContext;

use super::branch::OnBranch;
use super::print::{Printer, answer, document};
use super::run::signal;
use super::summary::{aligned, change_words, counted, grouped};
use super::{Failure, Global, load, nothing_published, runtime, snapshots};
use crate::diagnostic::did_you_mean;
use crate::diff::{ChangedRow, ChangedValue, Movement, Pair, Shown, TableDiff, Versions, diff};
use crate::digest::Digest;
use crate::engine::{self, Resources};
use crate::project::{Layer, Project};
use crate::run::{Exit, RunError};
use crate::store::{MAIN, Snapshot, SnapshotRef, Store};
use crate::top_k::Row;
use crate::visible;

/// How many movements are shown if nothing is said.
const MOVEMENTS: usize = 20;

/// Compare two snapshots, row by row
///
/// Counts the rows that were added, removed and changed in each table whose rows differ, by the table's key. Without
/// snapshots it compares what is current with what was before it, or with what waits for a release.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// Snapshot to begin with, or the beginning of its name; by default the current one if another one waits, or else the
    /// newest before the other whose tables differ
    #[arg(value_name = "BEFORE")]
    before: Option<String>,

    /// Snapshot to compare it with; by default the one that waits for a release, or else the current one
    #[arg(value_name = "AFTER")]
    after: Option<String>,

    /// Table to compare, once for each; by default all, and with --kpi those of the layer `kpi`
    #[arg(long = "table", env = "OPSMART_TABLE", value_name = "TABLE", value_delimiter = ' ')]
    tables: Vec<String>,

    /// Rows to print of those that were added, removed and changed each, the least keys first; with --kpi, movements
    #[arg(long, env = "OPSMART_ROWS", value_name = "COUNT", value_parser = clap::value_parser!(u16).range(..=10_000))]
    rows: Option<u16>,

    /// Print how far numbers moved in rows of the same key, the greatest shares first
    #[arg(long, env = "OPSMART_KPI", value_parser = FalseyValueParser::new())]
    kpi: bool,

    #[command(flatten)]
    on: OnBranch,
}

pub(super) fn diff_snapshots(global: &Global, args: &DiffArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    let store = args.on.open(&project);
    let reference = store.reference()?.ok_or_else(|| nothing_published(&store))?;
    let (before, after) = ids(&store, &reference, args)?;
    let sides = Sides { before: snapshots::kept(&store, &before)?, after: snapshots::kept(&store, &after)? };
    let names = names(&project, &sides, args)?;
    let (differing, equal): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| sides.differ(name));
    let rows = args.rows.map(usize::from);
    let shown = if args.kpi {
        Shown { rows: 0, movements: rows.unwrap_or(MOVEMENTS) }
    } else {
        Shown { rows: rows.unwrap_or(0), movements: 0 }
    };
    let work = format!("diff-{}", uuid::Uuid::now_v7().simple());
    let resources = Resources::of_this_machine(project.settings.memory_bytes, Some(store.spill_folder(&work)));
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let all = async {
            let session = engine::session(&resources).map_err(RunError::Engine)?;
            let comparison = Comparison { sides: &sides, project: &project, store: &store, session, shown };
            let mut found = Vec::new();
            for name in &differing {
                found.push(comparison.of(name).await?);
            }
            Ok::<_, RunError>(found)
        };
        tokio::select! {
            // First, so that a signal is waited for before anything else is done.
            biased;
            exit = signal() => DiffEnd::Signal(exit),
            found = all => DiffEnd::By(found),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(10));
    store.remove_spills(&work);
    let found = match ended {
        DiffEnd::By(found) => found?,
        DiffEnd::Signal(exit) => return Ok(exit),
    };
    if printer.is_json() {
        let side = |id: &Digest, snapshot: &Snapshot| serde_json::json!({ "snapshot": id, "as_of": crate::instant::text(&snapshot.as_of) });
        document(&serde_json::json!({
            "before": side(&before, &sides.before), "after": side(&after, &sides.after), "equal": equal, "tables": found,
        }));
    } else if !found.is_empty() {
        answer(&text(&found, args.kpi));
    }
    printer.say(&format!(
        "compared snapshot {} with {}: {}, {} the same\n",
        before.short(),
        after.short(),
        counted_that(found.len(), "table", "differs", "differ"),
        equal.len()
    ));
    Ok(Exit::Done)
}

enum DiffEnd {
    By(Result<Vec<TableDiff>, RunError>),
    Signal(Exit),
}

/// Returns the two snapshots that are meant.
fn ids(store: &Store, reference: &SnapshotRef, args: &DiffArgs) -> Result<(Digest, Digest), Failure> {
    let after = match &args.after {
        Some(beginning) => snapshots::named(store, reference, beginning)?,
        None => reference.newest().clone(),
    };
    let before = match &args.before {
        Some(beginning) => snapshots::named(store, reference, beginning)?,
        // What a release would change.
        None if reference.held.is_some() && reference.snapshot != after => reference.snapshot.clone(),
        // What publishing the branch would change.
        None if !args.on.is_main() => {
            store.on_branch(MAIN).reference()?.ok_or_else(|| nothing_published(&store.on_branch(MAIN)))?.snapshot
        }
        None => snapshots::before(store, &after)?,
    };
    Ok((before, after))
}

/// Two snapshots.
struct Sides {
    before: Snapshot,
    after: Snapshot,
}

impl Sides {
    fn has(&self, name: &str) -> bool {
        self.before.tables.contains_key(name) || self.after.tables.contains_key(name)
    }

    fn differ(&self, name: &str) -> bool {
        let content = |snapshot: &Snapshot| snapshot.tables.get(name).map(|entry| entry.content_hash.clone());
        content(&self.before) != content(&self.after)
    }
}

/// The comparison of two snapshots, table by table.
struct Comparison<'a> {
    sides: &'a Sides,
    project: &'a Project,
    store: &'a Store,
    session: SessionContext,
    shown: Shown,
}

impl Comparison<'_> {
    /// Compares one table.
    async fn of(&self, name: &str) -> Result<TableDiff, RunError> {
        let Self { sides, project, store, .. } = self;
        let state =
            |snapshot: &Snapshot| snapshot.tables.get(name).map(|entry| store.table(name, &entry.state)).transpose();
        let (before, after) = (state(&sides.before)?, state(&sides.after)?);
        let versions = match (&before, &after) {
            (Some(before), Some(after)) => Versions::Both { before, after },
            (None, Some(after)) => Versions::Came(after),
            (Some(before), None) => Versions::Went(before),
            (None, None) => return Err(RunError::MissingInput { table: name.to_owned(), input: name.to_owned() }),
        };
        let pair = Pair { store, table: name, versions, key: key(project, name) };
        Ok(diff(&self.session, pair, self.shown).await?)
    }
}

/// Returns the key that the project declares for a table.
fn key<'a>(project: &'a Project, name: &str) -> &'a [String] {
    let of_model = project.contracts.get(name).map(|contract| contract.key.as_slice());
    of_model.or_else(|| project.sources.get(name).map(|source| source.key.as_slice())).unwrap_or_default()
}

/// Returns the tables that are meant, each once.
fn names(project: &Project, sides: &Sides, args: &DiffArgs) -> Result<Vec<String>, Failure> {
    let known: BTreeSet<&String> = sides.before.tables.keys().chain(sides.after.tables.keys()).collect();
    let asked: BTreeSet<&String> = args.tables.iter().collect();
    if let Some(unknown) = asked.iter().find(|name| !sides.has(name)) {
        let names = || known.iter().map(|name| name.as_str());
        let help = did_you_mean(unknown, names());
        let list = || format!("tables are: {}", names().collect::<Vec<_>>().join(", "));
        let message = format!("there is no table `{unknown}` in either snapshot");
        return Err(Failure::usage(message, Some(help.unwrap_or_else(list))));
    }
    let is_kpi = |name: &str| {
        project.models.get(name).map_or_else(|| Layer::of(name), |model| Some(model.layer)) == Some(Layer::Kpi)
    };
    let is_meant = |name: &&&String| if asked.is_empty() { !args.kpi || is_kpi(name) } else { asked.contains(*name) };
    Ok(known.iter().filter(is_meant).map(|name| (*name).clone()).collect())
}

/// Returns what was found, for people.
fn text(found: &[TableDiff], is_kpi: bool) -> String {
    let head = ["Table", "before", "after", "added", "removed", "changed", "unchanged", ""];
    let rows = found.iter().map(|table| {
        let rows = |rows: Option<u64>| rows.map_or_else(String::new, grouped);
        vec![
            table.table.clone(),
            rows(table.rows_before),
            rows(table.rows_after),
            grouped(table.added),
            grouped(table.removed),
            rows(table.changed),
            grouped(table.unchanged),
            notes(table),
        ]
    });
    let mut text = aligned(&head, |column| (1..7).contains(&column), rows);
    if is_kpi {
        text.push_str(&movements(found));
    }
    found.iter().for_each(|table| text.push_str(&listed(table)));
    text
}

/// Says what has to be known of a table to understand its counts.
fn notes(table: &TableDiff) -> String {
    let mut notes = Vec::new();
    match (table.rows_before, table.rows_after) {
        (None, _) => notes.push("new".to_owned()),
        (_, None) => notes.push("gone".to_owned()),
        _ => {}
    }
    if let Some(why) = table.whole_rows {
        notes.push(format!("whole rows: {why}"));
    }
    let columns = &table.columns;
    for (word, names) in [("new", &columns.added), ("gone", &columns.removed)] {
        if !names.is_empty() {
            notes.push(format!("{word} {}", names.join(", ")));
        }
    }
    let retyped = columns.retyped.iter();
    notes.extend(retyped.map(|column| format!("{} was {} and is {}", column.column, column.before, column.after)));
    if let Some(partitions) = table.partitions {
        notes.push(format!("{} of {} read", partitions.read, counted(partitions.all, "partition")));
    }
    notes.join("; ")
}

/// Returns the rows of a table that are shown.
fn listed(table: &TableDiff) -> String {
    let rows = &table.rows;
    if rows.added.is_empty() && rows.removed.is_empty() && rows.changed.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", table.table);
    let mut line = |word: &str, words: &str| text.push_str(&format!("  {word:<7}  {}\n", visible::line(words)));
    let whole = |row: &Row| row.to_string();
    rows.added.iter().for_each(|row| line("added", &whole(row)));
    rows.removed.iter().for_each(|row| line("removed", &whole(row)));
    for ChangedRow { key, columns } in &rows.changed {
        let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
        let change = |ChangedValue { column, before, after }: &ChangedValue| {
            format!("{column} {} -> {}", word(before), word(after))
        };
        line("changed", &format!("{key}: {}", columns.iter().map(change).collect::<Vec<_>>().join(", ")));
    }
    text
}

/// Returns the movements of all tables, those of each together.
fn movements(found: &[TableDiff]) -> String {
    let rows: Vec<Vec<String>> = found
        .iter()
        .flat_map(|table| table.movements.iter().map(|movement| movement_row(&table.table, movement)))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let head = ["Table", "key", "column", "before", "after", "change", ""];
    format!("\n{}", aligned(&head, |column| column > 2, rows))
}

fn movement_row(table: &str, movement: &Movement) -> Vec<String> {
    let Movement { key, column, before, after, by, relative } = movement;
    let share = relative.map_or_else(|| "from 0".to_owned(), |_| change_words(*by, *relative));
    vec![table.to_owned(), key.to_string(), column.clone(), before.clone(), after.clone(), format!("{by:+}"), share]
}

fn counted_that(count: usize, noun: &str, one: &str, many: &str) -> String {
    format!("{} {}", counted(count, noun), if count == 1 { one } else { many })
}

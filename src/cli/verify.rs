//! `opsmart verify`.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::branch::OnBranch;
use super::print::{Printer, answer, document, warn};
use super::run::signal;
use super::summary::{aligned, counted, grouped};
use super::{Failure, Global, load, nothing_published, runtime};
use crate::diagnostic::did_you_mean;
use crate::engine::Resources;
use crate::partition::key_of;
use crate::plan::Workspace;
use crate::project::PartitionBy;
use crate::run::{Exit, RunError};
use crate::store::{Snapshot, Store, StoreError};
use crate::verify::{Damage, Remade, Selection, Verified, VerifyRequest, documents, verify};

/// How many names of partitions a line has room for.
const MOST_PARTITIONS: usize = 5;

/// Build published tables again, and compare
///
/// Runs the query of each table over the very rows that it was made from, and compares the outcome with what is published,
/// by partition where the table has some. Of landed datasets and the dq_ tables, which no query makes, it reads the files.
/// Changes nothing. Ends with 1 if something is not as it was published.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Tables to verify; by default all current ones
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,

    /// Partitions of the one table that is named: days such as 2024-07-01, numbers of buckets, or null; by default all
    #[arg(long, env = "OPSMART_PARTITION", value_name = "PARTITION", num_args = 1.., requires = "tables")]
    partition: Vec<String>,

    /// Read every file of the tables as well, and add up its rows, and every document that the snapshot names
    #[arg(long, env = "OPSMART_FILES", value_parser = FalseyValueParser::new())]
    files: bool,

    #[command(flatten)]
    on: OnBranch,
}

pub(super) fn verify_tables(global: &Global, args: &VerifyArgs, printer: &Printer) -> Result<Exit, Failure> {
    let workspace = Arc::new(Workspace::compile(load(global)?)?);
    let store = args.on.open(&workspace.project);
    let (reference, snapshot) = store.current()?.ok_or_else(|| nothing_published(&store))?;
    let mut names = names(&snapshot, &args.tables)?;
    let documents = if args.files { documents(&store, &reference)? } else { Vec::new() };
    if !documents.is_empty() {
        // What is told of the others is worth having.
        names.retain(|name| store.table(name, &snapshot.tables[name].state).is_ok());
    }
    let which = which(&store, &snapshot, &names, &args.partition)?;
    let work = format!("verify-{}", uuid::Uuid::now_v7().simple());
    let resources =
        Resources::of_this_machine(workspace.project.settings.memory_bytes, Some(store.spill_folder(&work)));
    let of = VerifyRequest {
        store: &store,
        workspace: &workspace,
        id: &reference.snapshot,
        snapshot: &snapshot,
        resources: &resources,
    };
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let all = async {
            let mut verified = Vec::new();
            for name in &names {
                verified.push(verify(of, name, &which, args.files).await?);
            }
            Ok::<_, RunError>(verified)
        };
        tokio::select! {
            // First, so that a signal is waited for before anything else is done.
            biased;
            exit = signal() => VerifyEnd::Signal(exit),
            verified = all => VerifyEnd::By(verified),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(10));
    // Whatever was made to be compared.
    store.discard_unnamed();
    store.remove_spills(&work);
    let verified = match ended {
        VerifyEnd::By(verified) => verified?,
        VerifyEnd::Signal(exit) => return Ok(exit),
    };
    let unsound = verified.iter().filter(|table| !table.is_sound()).count();
    let is_sound = unsound == 0 && documents.is_empty();
    if printer.is_json() {
        document(&serde_json::json!({
            "snapshot": reference.snapshot, "sound": is_sound, "tables": verified, "documents": documents,
        }));
    } else {
        let rows = verified
            .iter()
            .map(|table| vec![table.table.clone(), grouped(table.rows), format!("{:.2}", table.seconds), words(table)]);
        answer(&aligned(&["Table", "rows", "seconds", ""], |column| matches!(column, 1 | 2), rows));
    }
    let what = match &which {
        Selection::All => counted(verified.len(), "table"),
        Selection::Some(keys) => format!("{} of `{}`", counted(keys.len(), "partition"), names.join(" ")),
    };
    printer.say(&format!(
        "verified {what} of snapshot {}: {}\n",
        reference.snapshot.short(),
        if unsound == 0 { "all as published".to_owned() } else { format!("{unsound} not as published") }
    ));
    tell_damaged(&store, &documents);
    Ok(if is_sound { Exit::Done } else { Exit::Data })
}

/// Tells of documents without which no run can begin.
fn tell_damaged(store: &Store, documents: &[Damage]) {
    let error = |Damage { file, reason }: &Damage| {
        RunError::from(StoreError::Damaged { path: store.root().join(file), reason: reason.clone() })
    };
    let errors: Vec<RunError> = documents.iter().map(error).collect();
    errors.iter().for_each(|error| warn(&format!("error: {error}\n")));
    errors.last().and_then(RunError::help).iter().for_each(|help| warn(&format!("help: {help}\n")));
}

enum VerifyEnd {
    By(Result<Vec<Verified>, RunError>),
    Signal(Exit),
}

/// Returns the tables that are meant, each once.
fn names(snapshot: &Snapshot, asked: &[String]) -> Result<Vec<String>, Failure> {
    let known = || snapshot.tables.keys().map(String::as_str);
    if let Some(unknown) = asked.iter().find(|name| !snapshot.tables.contains_key(*name)) {
        let help = did_you_mean(unknown, known());
        let list = || format!("tables are: {}", known().collect::<Vec<_>>().join(", "));
        return Err(Failure::usage(format!("there is no current table `{unknown}`"), Some(help.unwrap_or_else(list))));
    }
    let is_asked = |name: &&String| asked.is_empty() || asked.contains(*name);
    Ok(snapshot.tables.keys().filter(is_asked).cloned().collect())
}

/// Returns the partitions that are meant.
fn which(store: &Store, snapshot: &Snapshot, names: &[String], asked: &[String]) -> Result<Selection, Failure> {
    if asked.is_empty() {
        return Ok(Selection::All);
    }
    let [name] = names else {
        let help = "verify one table at a time: opsmart verify TABLE --partition PARTITION".to_owned();
        return Err(Failure::usage("partitions are those of one table", Some(help)));
    };
    let state = store.table(name, &snapshot.tables[name].state)?;
    let Some(by) = &state.partition else {
        let help = format!("leave out --partition, or tell it apart with `partition` in the contract of `{name}`");
        return Err(Failure::usage(format!("`{name}` has no partitions"), Some(help)));
    };
    let key = |text: &String| {
        key_of(by, text).ok_or_else(|| {
            let written = match by {
                PartitionBy::Day { .. } => {
                    "days are written as 2024-07-01, and that of rows without one as null".to_owned()
                }
                PartitionBy::Bucket { buckets, .. } => {
                    format!("buckets are 0 to {}, and that of rows without a value is null", buckets - 1)
                }
            };
            Failure::usage(format!("`{name}` has no partition `{text}`"), Some(written))
        })
    };
    Ok(Selection::Some(asked.iter().map(key).collect::<Result<_, _>>()?))
}

/// Says what was found of a table.
fn words(table: &Verified) -> String {
    let mut words: Vec<String> = table.remade.iter().map(|remade| remade_words(remade, table.rows)).collect();
    if table.files_read > 0 {
        let files = counted(table.files_read, "file");
        words.push(match table.damaged.len() {
            0 => format!("{files} as written"),
            damaged => format!("{damaged} of {files} damaged"),
        });
    }
    words.extend(table.damaged.iter().map(|damage| format!("{}: {}", damage.file, damage.reason)));
    words.join("; ")
}

fn remade_words(remade: &Remade, rows: u64) -> String {
    match remade {
        Remade::Same => "output unchanged".to_owned(),
        Remade::Failed { reason } => format!("FAILS: {reason}"),
        Remade::Not { reason } => format!("not rebuilt: {reason}"),
        Remade::Different { rows_made, partitions, of } => {
            let mut words = "DIFFERS".to_owned();
            if *rows_made != rows {
                words.push_str(&format!(": {} rows come out", grouped(*rows_made)));
            }
            if !partitions.is_empty() {
                let shown = partitions.iter().take(MOST_PARTITIONS).cloned().collect::<Vec<_>>().join(", ");
                let more = partitions.len().saturating_sub(MOST_PARTITIONS);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                words.push_str(&format!("; {} of {}: {shown}{more}", partitions.len(), counted(*of, "partition")));
            }
            words
        }
    }
}

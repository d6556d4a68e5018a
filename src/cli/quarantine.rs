//! `opsmart quarantine`: quarantined records.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use clap::{Args, Subcommand};

use super::branch::OnBranch;
use super::rows::Asked;
use super::run::{Clock, RunArgs};
use super::{Failure, Global, load, run, runtime, summary};
use crate::cli::print::{Printer, answer, document};
use crate::diagnostic::{SourceFile, did_you_mean};
use crate::ingest::{Locator, Reason, quoted};
use crate::plan::Query;
use crate::project::Project;
use crate::run::Exit;
use crate::sql_text::text as sql_text;
use crate::system_tables::SystemTable;

/// Look at quarantined records, and ingest them again
///
/// A record that does not fit its contract is quarantined with its bytes, its place and the rule that it broke. Once the
/// contract or the file is fixed, `opsmart run` ingests it at its place, and so does `replay`.
#[derive(Debug, Subcommand)]
pub(super) enum QuarantineCommand {
    Ls(Choice),
    Show(ShowArgs),
    Replay(ReplayArgs),
}

/// Count quarantined records by dataset, file, reason and column
#[derive(Debug, Args)]
pub(super) struct Choice {
    /// Only those of a dataset
    #[arg(value_name = "DATASET")]
    dataset: Option<String>,

    /// Only those of a file, by its path as `ls` shows it
    #[arg(long, env = "OPSMART_FILE", value_name = "PATH")]
    file: Option<String>,

    /// Only those with a reason, such as `E_TYPE`
    #[arg(long, env = "OPSMART_REASON", value_name = "CODE", value_parser = parse_reason)]
    reason: Option<Reason>,

    #[command(flatten)]
    on: OnBranch,
}

/// Print quarantined records, with what is wrong between » and «
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    choice: Choice,

    /// Records to print at most; 0 prints all
    #[arg(long, env = "OPSMART_LIMIT", value_name = "RECORDS", default_value_t = 20)]
    limit: usize,
}

/// Ingest what fits now, and say how many records came in
///
/// Runs the datasets and all that reads them. Files are read again if they or their contract changed; with neither, the
/// same records would be quarantined once more.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Datasets whose records are to be ingested
    #[arg(value_name = "DATASET", required = true)]
    datasets: Vec<String>,

    #[command(flatten)]
    clock: Clock,

    #[command(flatten)]
    on: OnBranch,
}

fn parse_reason(code: &str) -> Result<Reason, String> {
    let codes = Reason::ALL.map(Reason::as_str).join(", ");
    Reason::ALL.into_iter().find(|reason| reason.as_str() == code).ok_or_else(|| format!("the reasons are {codes}"))
}

pub(super) fn quarantine(global: &Global, command: &QuarantineCommand, printer: &Printer) -> Result<Exit, Failure> {
    match command {
        QuarantineCommand::Ls(choice) => list(&load(global)?, choice, printer),
        QuarantineCommand::Show(args) => print(&load(global)?, args, printer),
        QuarantineCommand::Replay(args) => replay(global, args, printer),
    }
}

impl Choice {
    /// Returns the condition of the records that are meant.
    fn condition(&self, project: &Project) -> Result<String, Failure> {
        self.dataset.iter().try_for_each(|name| check_dataset(project, name))?;
        let mut conditions = vec!["true".to_owned()];
        conditions.extend(self.dataset.iter().map(|name| format!("dataset = {}", sql_text(name))));
        conditions.extend(self.file.iter().map(|path| format!("file = {}", sql_text(path))));
        conditions.extend(self.reason.iter().map(|reason| format!("reason = {}", sql_text(reason.as_str()))));
        Ok(conditions.join(" and "))
    }
}

fn check_dataset(project: &Project, name: &str) -> Result<(), Failure> {
    if project.sources.contains_key(name) {
        return Ok(());
    }
    let known = project.sources.keys().map(String::as_str);
    let list = format!("datasets are: {}", project.sources.keys().cloned().collect::<Vec<_>>().join(", "));
    Err(Failure::usage(format!("there is no dataset `{name}`"), Some(did_you_mean(name, known).unwrap_or(list))))
}

/// Says why there is nothing to list.
fn nothing(project: &Project, choice: &Choice) -> Result<String, Failure> {
    let Choice { dataset, file, reason, .. } = choice;
    Ok(if choice.on.open(project).reference()?.is_none() {
        "no records are quarantined: nothing has been published yet\n".to_owned()
    } else if dataset.is_some() || file.is_some() || reason.is_some() {
        "no such records are quarantined; `opsmart quarantine ls` counts all\n".to_owned()
    } else {
        "no records are quarantined\n".to_owned()
    })
}

/// Returns the rows of a SELECT over the current quarantine; none if nothing has been published.
fn ask(project: &Project, on: &OnBranch, sql: String, limit: usize) -> Result<Vec<RecordBatch>, Failure> {
    let store = on.open(project);
    let Some((_, snapshot)) = store.current()? else { return Ok(Vec::new()) };
    if !snapshot.tables.contains_key(SystemTable::Quarantine.name()) {
        return Ok(Vec::new());
    }
    let file = SourceFile::new("query", sql);
    let query = Query::parse(&file)?;
    Asked { store: &store, snapshot: &snapshot, query: &query, file: &file, workspace: None, first: &[] }
        .rows(project, limit)
}

fn list(project: &Project, choice: &Choice, printer: &Printer) -> Result<Exit, Failure> {
    let sql = format!(
        "select dataset, file, reason, column_name, count(*) as records from {} where {} \
         group by dataset, file, reason, column_name order by dataset, file, reason, column_name",
        SystemTable::Quarantine.name(),
        choice.condition(project)?
    );
    let batches = ask(project, &choice.on, sql, 0)?;
    let rows = batches.iter().flat_map(|batch| {
        let text = |column: usize, row: usize| text_at(batch, column, row);
        let count = |row: usize| batch.column(4).as_primitive::<Int64Type>().value(row);
        (0..batch.num_rows()).map(move |row| ([0, 1, 2, 3].map(|column| text(column, row)), count(row)))
    });
    let rows: Vec<([String; 4], i64)> = rows.collect();
    if printer.is_json() {
        let row = |([dataset, file, reason, column], records): &([String; 4], i64)| {
            let column = (!column.is_empty()).then_some(column);
            serde_json::json!({ "dataset": dataset, "file": file, "reason": reason, "column": column, "records": records })
        };
        document(&rows.iter().map(row).collect::<Vec<_>>());
    } else if rows.is_empty() {
        printer.say(&nothing(project, choice)?);
    } else {
        let lines = rows.into_iter().map(|(texts, records)| {
            let mut line = texts.to_vec();
            line.push(summary::grouped(records.unsigned_abs()));
            line
        });
        let head = ["Dataset", "file", "reason", "column", "records"];
        answer(&summary::aligned(&head, |column| column == 4, lines));
    }
    Ok(Exit::Done)
}

fn text_at(batch: &RecordBatch, column: usize, row: usize) -> String {
    let texts = batch.column(column).as_string::<i32>();
    if texts.is_valid(row) { texts.value(row).to_owned() } else { String::new() }
}

/// One quarantined record.
struct QuarantineRow {
    dataset: String,
    file: String,
    line: i64,
    /// `None` of a row that was quarantined for what it references.
    offset: Option<i64>,
    reason: String,
    column: String,
    message: String,
    record: Vec<u8>,
}

fn print(project: &Project, args: &ShowArgs, printer: &Printer) -> Result<Exit, Failure> {
    let sql = format!(
        "select dataset, file, line, byte_offset, reason, column_name, message, record from {} where {} \
         order by dataset, file, line, byte_offset",
        SystemTable::Quarantine.name(),
        args.choice.condition(project)?
    );
    let batches = ask(project, &args.choice.on, sql, if args.limit > 0 { args.limit + 1 } else { 0 })?;
    let mut records: Vec<QuarantineRow> = batches.iter().flat_map(rows_of).collect();
    let is_cut = args.limit > 0 && records.len() > args.limit;
    if is_cut {
        records.truncate(args.limit);
    }
    let runtime = runtime()?;
    let mut locators: BTreeMap<(&str, Option<&str>), Option<Locator<'_>>> = BTreeMap::new();
    let mut text = String::new();
    let mut documents = Vec::new();
    for row in &records {
        // A row is an object of its values, whatever its file looks like.
        let file = (row.reason != Reason::Reference.as_str()).then_some(row.file.as_str());
        let locator = locators.entry((row.dataset.as_str(), file)).or_insert_with(|| {
            let contract = project.sources.get(&row.dataset)?;
            let Some(file) = file else { return Some(Locator::of_rows(contract)) };
            runtime.block_on(Locator::open(&project.root, contract, &project.settings.limits, file))
        });
        let place = part_at_fault(row, locator.as_mut());
        if printer.is_json() {
            documents.push(row.json(place));
        } else {
            text.push_str(&row.text(place));
        }
    }
    if printer.is_json() {
        document(&documents);
    } else if records.is_empty() {
        printer.say(&nothing(project, &args.choice)?);
    } else {
        answer(&text);
    }
    if is_cut {
        printer.say(&format!("the first {} records; --limit 0 prints all\n", args.limit));
    }
    Ok(Exit::Done)
}

fn rows_of(batch: &RecordBatch) -> Vec<QuarantineRow> {
    let number = |column: usize, row: usize| {
        let numbers = batch.column(column).as_primitive::<Int64Type>();
        numbers.is_valid(row).then(|| numbers.value(row))
    };
    let record = |row: usize| QuarantineRow {
        dataset: text_at(batch, 0, row),
        file: text_at(batch, 1, row),
        line: number(2, row).unwrap_or_default(),
        offset: number(3, row),
        reason: text_at(batch, 4, row),
        column: text_at(batch, 5, row),
        message: text_at(batch, 6, row),
        record: batch.column(7).as_binary::<i32>().value(row).to_vec(),
    };
    (0..batch.num_rows()).map(record).collect()
}

/// The reasons whose messages have the values that were read, and not their texts.
const OF_VALUES: [Reason; 7] =
    [Reason::Rule, Reason::Ohlc, Reason::Sum, Reason::Bot, Reason::Test, Reason::Future, Reason::Late];

/// Returns which bytes of a record are at fault, where that can be told.
fn part_at_fault(row: &QuarantineRow, locator: Option<&mut Locator<'_>>) -> Option<Range<usize>> {
    if row.column.is_empty() {
        // A message about the record as a whole may name a byte of it.
        let (_, after) = row.message.split_once(" at byte ")?;
        let at = after.split(' ').next()?.parse::<usize>().ok()?.checked_sub(1)?;
        return (at < row.record.len()).then(|| at..at + 1);
    }
    let places = locator?.places(&row.record, &row.column);
    // Of these the message has the value and not the text, so that one of several places cannot be told.
    if OF_VALUES.iter().any(|reason| reason.as_str() == row.reason) {
        return <[Range<usize>; 1]>::try_from(places).ok().map(|[place]| place);
    }
    // The file may have been replaced since by one with another header.
    let is_what_was_found =
        |place: &Range<usize>| row.message.ends_with(&format!("found {}", quoted(&row.record[place.clone()])));
    places.into_iter().find(is_what_was_found)
}

impl QuarantineRow {
    fn text(&self, place: Option<Range<usize>>) -> String {
        let column = if self.column.is_empty() { String::new() } else { format!(" in `{}`", self.column) };
        let Self { file, line, reason, message, .. } = self;
        format!("{file}:{line}: {reason}{column}: {message}\n  {}\n", marked(&self.record, place))
    }

    fn json(&self, place: Option<Range<usize>>) -> serde_json::Value {
        serde_json::json!({
            "dataset": self.dataset, "file": self.file, "line": self.line, "byte_offset": self.offset,
            "reason": self.reason, "column": (!self.column.is_empty()).then_some(&self.column),
            "message": self.message, "record": String::from_utf8_lossy(&self.record),
            "at_fault": place.map(|place| [place.start, place.end]),
        })
    }
}

/// Returns a record on one line, harmless, cut around what is at fault.
fn marked(record: &[u8], place: Option<Range<usize>>) -> String {
    /// How many bytes are shown before and after what is at fault, or of a record of which that is not known.
    const AROUND: usize = 1000;
    let end = record.len() - record.iter().rev().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    let record = &record[..end];
    let place = place.filter(|place| place.end <= record.len());
    let Some(Range { start, end }) = place else {
        let to = floor(record, AROUND.min(record.len()));
        return shown(&record[..to]) + if to < record.len() { "…" } else { "" };
    };
    let from = floor(record, start.saturating_sub(AROUND));
    let to = floor(record, record.len().min(end + AROUND));
    let (before, after) = (if from > 0 { "…" } else { "" }, if to < record.len() { "…" } else { "" });
    let (left, part, right) = (shown(&record[from..start]), shown(&record[start..end]), shown(&record[end..to]));
    format!("{before}{left}»{part}«{right}{after}")
}

/// Returns bytes as harmless text, all of them.
fn shown(mut bytes: &[u8]) -> String {
    /// Short enough to be quoted uncut.
    const PIECE: usize = 64;
    let mut text = String::new();
    while !bytes.is_empty() {
        let at = if bytes.len() > PIECE { floor(bytes, PIECE) } else { bytes.len() };
        let (piece, rest) = bytes.split_at(if at == 0 { PIECE } else { at });
        let quoted = quoted(piece);
        text.push_str(&quoted[1..quoted.len() - 1]);
        bytes = rest;
    }
    text
}

/// Returns the start of the character that a byte belongs to.
fn floor(bytes: &[u8], mut at: usize) -> usize {
    while at > 0 && bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80) {
        at -= 1;
    }
    at
}

fn replay(global: &Global, args: &ReplayArgs, printer: &Printer) -> Result<Exit, Failure> {
    let project = load(global)?;
    args.datasets.iter().try_for_each(|name| check_dataset(&project, name))?;
    let before = count(&project, &args.on, &args.datasets)?;
    let exit = run::run(global, &RunArgs::of_datasets(&args.datasets, &args.clock, args.on.clone()), printer)?;
    let after = count(&project, &args.on, &args.datasets)?;
    for name in &args.datasets {
        let (before, after) = (before.get(name).copied().unwrap_or(0), after.get(name).copied().unwrap_or(0));
        printer.say(&format!("{name}: {before} quarantined before, {after} now\n"));
    }
    Ok(exit)
}

/// Returns how many records of each dataset are quarantined.
fn count(project: &Project, on: &OnBranch, datasets: &[String]) -> Result<BTreeMap<String, i64>, Failure> {
    let names = datasets.iter().map(|name| sql_text(name)).collect::<Vec<_>>().join(", ");
    let table = SystemTable::Quarantine.name();
    let sql = format!("select dataset, count(*) as records from {table} where dataset in ({names}) group by dataset");
    let mut counts = BTreeMap::new();
    for batch in ask(project, on, sql, 0)? {
        let records = batch.column(1).as_primitive::<Int64Type>();
        counts.extend((0..batch.num_rows()).map(|row| (text_at(&batch, 0, row), records.value(row))));
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_stands_between_marks() {
        assert_eq!(marked(b"1,x,3\r\n", Some(2..3)), "1,»x«,3");
        assert_eq!(marked(b"1,\n,3\n", None), "1,\\n,3");
        let (around, long) = ("订".repeat(334), "订".repeat(1000));
        assert_eq!(marked(long.as_bytes(), Some(1500..1503)), format!("…{around}»订«{}…", "订".repeat(333)));
        assert_eq!(marked(long.as_bytes(), None), format!("{}…", "订".repeat(333)));
        assert_eq!(marked(&[0x80; 200], None), "\\x80".repeat(200));
        assert_eq!(marked(b"1,", Some(2..2)), "1,»«");
    }
}

//! A look at the beginning of landed files, before a run: what in them is not as their contract says.
//!
//! Reads with the code of a run, but no more than the first records of a file, and writes nothing. What it finds is
//! there; what it does not find may still come further down. It never fails: what is wrong with a file is what it tells.

use std::io::Read;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;

use super::decode::Compression;
use super::file::{FileInput, Pace, Previewed, Sink, preview_file};
use super::listing::LandingFolder;
use super::problem::{FileProblem, ReadError};
use super::quarantine::{QuarantinedRecord, Reason};
use super::reader::captured;
use super::record::SchemaDiff;
use crate::landed::{DatasetStep, FileStep, Listed};
use crate::project::{Limits, NewColumns, SourceContract};

/// How many files of a dataset are looked at.
const FILES: usize = 100;

/// After so long no more files of a dataset are looked at: they may lie on a share far away.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many records of a file are looked at, or up to twice as many.
const RECORDS: usize = 200;

/// How much of a decoded file is looked at. Records longer than that are not looked at.
const BYTES: u64 = 1 << 20;

/// How long a file is looked at.
const SECONDS: u64 = 5;

/// What in the beginning of a file is not as its contract says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// What would keep a run from taking the file in.
    pub problem: Option<String>,
    /// Names that the contract does not know.
    pub unknown: Vec<String>,
    /// Columns that the header lacks, none of them required.
    pub missing: Vec<String>,
    /// Records that would be quarantined: of each column the first, and the first that is no record.
    pub misfits: Vec<String>,
}

impl Drift {
    /// Returns whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What was found in the files of a dataset.
#[derive(Debug, Default)]
pub struct Drifts<'a> {
    /// The paths of those with something to tell, in the order in which a run would read them.
    pub files: Vec<(&'a str, Drift)>,
    /// How many were not looked at.
    pub not_looked_at: usize,
}

/// Looks at the first files that a run would read.
pub async fn drifts<'a>(
    root: &camino::Utf8Path,
    contract: &SourceContract,
    limits: &Limits,
    step: &'a DatasetStep,
) -> Drifts<'a> {
    let started = Instant::now();
    let folder = LandingFolder::new(root, &contract.from);
    let mut found = Drifts::default();
    for (at, FileStep { listed, .. }) in step.files.iter().enumerate() {
        if at == FILES || started.elapsed() > PATIENCE {
            found.not_looked_at = step.files.len() - at;
            break;
        }
        let drift = match folder.read(&listed.path).await {
            Ok(bytes) => peek(contract, limits, listed, bytes),
            Err(error) => Drift { problem: Some(error.to_string()), ..Drift::default() },
        };
        if !drift.is_empty() {
            found.files.push((&*listed.path, drift));
        }
    }
    found
}

fn peek(contract: &SourceContract, limits: &Limits, listed: &Listed, bytes: impl Read) -> Drift {
    let captures = captured(contract, listed);
    let bounds =
        Limits { file_bytes: limits.file_bytes.min(BYTES), file_seconds: limits.file_seconds.min(SECONDS), ..*limits };
    let input = FileInput {
        contract,
        limits: &bounds,
        captures: &captures,
        compression: Compression::of(&listed.path),
        landed_at: Some(listed.landed_at),
    };
    let mut few = Few::default();
    let pace = Pace { chunk_bytes: 64 << 10, batch_rows: RECORDS };
    let Previewed { schema_diff, columns, ended } = match preview_file(pace, &input, bytes, &mut few) {
        Ok(seen) => seen,
        Err(error) => return Drift { problem: told(&error, limits), ..Drift::default() },
    };
    let is_told = |column: &str| match &ended {
        Some(ReadError::File(FileProblem::ColumnMismatch { columns, .. })) => {
            columns.iter().any(|unfit| unfit.column == column)
        }
        _ => false,
    };
    let mut problem = ended.as_ref().and_then(|error| told(error, limits));
    let SchemaDiff { unknown, missing } = schema_diff;
    let mut drift = Drift { unknown, missing, ..Drift::default() };
    for (name, fit) in columns.into_iter().filter(|(name, _)| !is_told(name)) {
        if let Some(records) = fit.always_missing() {
            drift.misfits.push(format!("required `{name}` has no value in the first {}", first_records(records)));
        } else if let Some((misfit, line)) = fit.first() {
            drift.misfits.push(format!("line {line}: {} in `{name}`: {misfit}", misfit.reason));
        } else if let Some((_, words)) = few.lacking.iter().find(|(column, _)| *column == name) {
            drift.misfits.push(words.clone());
        }
    }
    drift.misfits.extend(few.broken);
    if contract.new_columns == NewColumns::Refuse && !drift.unknown.is_empty() {
        problem.get_or_insert_with(|| FileProblem::NewColumns { unknown: drift.unknown.clone() }.to_string());
    }
    drift.problem = problem;
    drift
}

fn first_records(count: u64) -> String {
    if count == 1 { "record".to_owned() } else { format!("{count} records") }
}

/// Returns what an error says of the file: nothing where it was only the end of the look.
fn told(error: &ReadError<Enough>, limits: &Limits) -> Option<String> {
    match error {
        ReadError::Sink(Enough) => None,
        ReadError::File(FileProblem::TooLarge { limit_bytes }) if *limit_bytes < limits.file_bytes => None,
        ReadError::File(FileProblem::TooSlow { limit_seconds, .. }) if *limit_seconds < limits.file_seconds => None,
        ReadError::Read(source) => Some(format!("{error}: {source}")),
        error => Some(error.to_string()),
    }
}

/// Enough was seen.
#[derive(Debug)]
struct Enough;

/// Lets a few records come.
#[derive(Debug, Default)]
struct Few {
    records: usize,
    /// Of each column the first record that has no value there and needs one.
    lacking: Vec<(String, String)>,
    /// The first record that is none.
    broken: Option<String>,
}

impl Few {
    fn words(record: &QuarantinedRecord<'_>) -> String {
        let column = record.column.map(|column| format!(" in `{column}`")).unwrap_or_default();
        format!("line {}: {}{column}: {}", record.line, record.reason, record.message)
    }
}

impl Sink for Few {
    type Error = Enough;

    fn rows(&mut self, batch: RecordBatch) -> Result<(), Enough> {
        // What is quarantined comes after the rows around it, so the first batch is never the last.
        if self.records >= RECORDS {
            return Err(Enough);
        }
        self.records += batch.num_rows();
        Ok(())
    }

    fn quarantine(&mut self, record: QuarantinedRecord<'_>) -> Result<(), Enough> {
        self.records += 1;
        match (record.column, record.reason) {
            (None, _) => {
                self.broken.get_or_insert_with(|| Self::words(&record));
            }
            (Some(column), Reason::Null | Reason::NullKey) if self.lacking.iter().all(|(known, _)| known != column) => {
                self.lacking.push((column.to_owned(), Self::words(&record)));
            }
            _ => {}
        }
        if self.records < 2 * RECORDS { Ok(()) } else { Err(Enough) }
    }
}

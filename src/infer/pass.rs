//! Reads a file to its end and gathers what its columns hold.

use std::collections::HashSet;
use std::convert::Infallible;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use chrono_tz::Tz;
use indexmap::IndexMap;

use super::column::Profile;
use super::dialect::Dialect;
use super::distinct::MEMORY_BYTES;
use super::names::column_names;
use super::{InferError, Input};
use crate::diagnostic::SourceFile;
use crate::ingest::{Compression, FileInput, Outcome, Reason, SetAside, Sink, quoted, read_file};
use crate::project::{
    ColumnType, CsvFormat, FieldNames, FilesMode, Format, LandingPattern, Limits, Readiness, SourceColumn,
    SourceContract,
};

/// More columns than this are data in the place of names.
const MOST_COLUMNS: usize = 1000;

/// What a file holds.
#[derive(Debug)]
pub(super) struct Found {
    /// The fields that a contract can read, in the order of the file.
    pub(super) fields: Vec<Field>,
    /// Names that stand several times in the header, which no contract can tell apart.
    pub(super) doubled: Vec<String>,
    /// How many records can be read.
    pub(super) records: u64,
    /// How many cannot.
    pub(super) broken: u64,
    /// The first few of those: line, reason and message.
    pub(super) broken_examples: Vec<String>,
    /// Bytes of the decoded file.
    pub(super) bytes: u64,
}

/// A field of a file.
#[derive(Debug)]
pub(super) struct Field {
    /// What the file calls it; of a file without names, its place.
    pub(super) name: String,
    /// What its column is to be called.
    pub(super) column: String,
    pub(super) profile: Profile,
}

/// Reads the whole file.
pub(super) fn read(input: &Input<'_>, dialect: &Dialect, sample: &[u8]) -> Result<Found, InferError> {
    let zone = input.project.settings.reporting_zone;
    let mut doubled = Vec::new();
    let mut fields = match dialect.format {
        Format::Ndjson => ndjson_names(input, sample)?,
        Format::Csv(CsvFormat { names: FieldNames::Header, .. }) => {
            let names: Vec<String> = dialect.first.iter().map(|name| name.trim_ascii().to_owned()).collect();
            let (mut once, mut twice) = (HashSet::new(), HashSet::new());
            for name in &names {
                if !once.insert(name.as_str()) {
                    twice.insert(name.as_str());
                }
            }
            doubled = names.iter().filter(|name| twice.contains(name.as_str())).cloned().collect();
            doubled.dedup();
            names.iter().filter(|name| !twice.contains(name.as_str())).cloned().collect()
        }
        Format::Csv(_) => (1..=dialect.first.len()).map(|at| format!("column_{at}")).collect(),
    };
    loop {
        if fields.is_empty() {
            let help = match dialect.format {
                Format::Ndjson => "its objects have no names in them",
                Format::Csv(_) => "give each column of the header a name of its own",
            };
            return Err(InferError::content(input.path, "has no column that a contract could name", help));
        }
        if fields.len() > MOST_COLUMNS {
            let what = format!("has more than {MOST_COLUMNS} columns");
            let help = "names that are data belong into values: land one row for each of them";
            return Err(InferError::content(input.path, what, help));
        }
        let mut profiles = Profiles::new(fields.len(), zone);
        let outcome = walk(input, dialect, &fields, &mut profiles)?;
        // Names that only later records have: the file is read again with them.
        if dialect.format == Format::Ndjson && !outcome.unknown_columns.is_empty() {
            fields.extend(outcome.unknown_columns);
            continue;
        }
        return found(input, fields, doubled, profiles, &outcome);
    }
}

/// Reads the whole file with every field as text.
pub(super) fn walk<S: Sink<Error = Infallible>>(
    input: &Input<'_>,
    dialect: &Dialect,
    fields: &[String],
    sink: &mut S,
) -> Result<Outcome, InferError> {
    let contract = as_texts(input, &dialect.format, fields)?;
    let limits = &input.project.settings.limits;
    let file = FileInput { contract: &contract, limits, captures: &[], compression: input.compression };
    read_file(&file, input.open()?, sink).map_err(|error| input.error(error))
}

/// Returns the names in the first objects of a file, in the order of their appearance.
fn ndjson_names(input: &Input<'_>, sample: &[u8]) -> Result<Vec<String>, InferError> {
    let mut names = Vec::new();
    let whole = sample.iter().rposition(|&byte| byte == b'\n').map_or(sample, |end| &sample[..=end]);
    loop {
        // A name that no field has stands in where none is known.
        let known = if names.is_empty() { vec!["\u{0}".to_owned()] } else { names.clone() };
        let contract = as_texts(input, &Format::Ndjson, &known)?;
        let limits = Limits::default();
        let file = FileInput { contract: &contract, limits: &limits, captures: &[], compression: Compression::Plain };
        let outcome = read_file(&file, whole, &mut Nothing).map_err(|error| input.error(error))?;
        if outcome.unknown_columns.is_empty() || names.len() > MOST_COLUMNS {
            return Ok(names);
        }
        names.extend(outcome.unknown_columns);
    }
}

/// A contract that takes every field as text.
fn as_texts(input: &Input<'_>, format: &Format, fields: &[String]) -> Result<SourceContract, InferError> {
    let from = LandingPattern::parse("*")
        .map_err(|error| InferError::Bug { path: input.path.to_owned(), reason: error.to_string() })?;
    let columns: IndexMap<String, SourceColumn> =
        fields.iter().map(|field| (field.clone(), SourceColumn::of(ColumnType::String))).collect();
    Ok(SourceContract {
        name: "texts".to_owned(),
        file: SourceFile::new("", ""),
        description: None,
        grain: None,
        from,
        format: format.clone(),
        encoding: encoding_rs::UTF_8,
        ready: Readiness::default(),
        files: FilesMode::Replace,
        key: Vec::new(),
        keep: None,
        parse_zone: Tz::UTC,
        rejected_share: 1.0,
        columns,
        rules: Vec::new(),
    })
}

fn found(
    input: &Input<'_>,
    fields: Vec<String>,
    doubled: Vec<String>,
    profiles: Profiles,
    outcome: &Outcome,
) -> Result<Found, InferError> {
    let ledger = &outcome.ledger;
    if ledger.accepted == 0 && ledger.quarantined == 0 {
        let help = "give a file with records: types cannot be told without values";
        return Err(InferError::content(input.path, "has no records", help));
    }
    if ledger.quarantined > ledger.accepted {
        let what = format!(
            "does not look like CSV or NDJSON of UTF-8 text: {} of {} records cannot be read, such as {}",
            ledger.quarantined,
            ledger.accepted + ledger.quarantined,
            profiles.broken_examples.first().map_or("the first", String::as_str)
        );
        let is_encoded = profiles.broken_examples.iter().any(|example| example.contains(Reason::Encoding.as_str()));
        let help = if is_encoded {
            "convert it first, for example with `iconv -f LATIN1 -t UTF-8`"
        } else {
            "mend the file, or what writes it"
        };
        return Err(InferError::content(input.path, what, help));
    }
    let columns = column_names(&fields, &doubled);
    let fields = fields.into_iter().zip(columns).zip(profiles.columns);
    Ok(Found {
        fields: fields.map(|((name, column), profile)| Field { name, column, profile }).collect(),
        doubled,
        records: ledger.accepted,
        broken: ledger.quarantined,
        broken_examples: profiles.broken_examples,
        bytes: ledger.bytes,
    })
}

/// Gathers what goes by.
struct Profiles {
    columns: Vec<Profile>,
    memory: usize,
    broken_examples: Vec<String>,
}

impl Profiles {
    fn new(count: usize, zone: Tz) -> Self {
        let columns = (0..count).map(|_| Profile::new(zone)).collect();
        Self { columns, memory: MEMORY_BYTES, broken_examples: Vec::new() }
    }
}

impl Sink for Profiles {
    type Error = Infallible;

    fn rows(&mut self, batch: RecordBatch) -> Result<(), Infallible> {
        let lines = batch.column(self.columns.len()).as_primitive::<Int64Type>();
        for (profile, texts) in self.columns.iter_mut().zip(batch.columns()) {
            let texts = texts.as_string::<i32>();
            for row in 0..texts.len() {
                let text = texts.is_valid(row).then(|| texts.value(row));
                profile.push(text, lines.value(row), &mut self.memory);
            }
        }
        Ok(())
    }

    fn set_aside(&mut self, record: SetAside<'_>) -> Result<(), Infallible> {
        if self.broken_examples.len() < 3 {
            let column = record.column.map(|column| format!(" in {}", quoted(column.as_bytes()))).unwrap_or_default();
            self.broken_examples.push(format!("line {}: {}{column}: {}", record.line, record.reason, record.message));
        }
        Ok(())
    }
}

/// Takes records and forgets them.
struct Nothing;

impl Sink for Nothing {
    type Error = Infallible;

    fn rows(&mut self, _: RecordBatch) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_aside(&mut self, _: SetAside<'_>) -> Result<(), Infallible> {
        Ok(())
    }
}

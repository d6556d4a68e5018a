//! Reads a file to its end and gathers what its columns hold.

use std::convert::Infallible;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use chrono_tz::Tz;
use encoding_rs::{Encoding, UTF_8};
use indexmap::IndexMap;

use super::candidate::Trials;
use super::column::Profile;
use super::dialect::Dialect;
use super::distinct::MEMORY_BYTES;
use super::encoding::Wide;
use super::names::column_names;
use super::quotes;
use super::{InferError, Input};
use crate::diagnostic::SourceFile;
use crate::ingest::{Compression, FileInput, NullSink, Outcome, QuarantinedRecord, Reason, Sink, quoted, read_file};
use crate::project::{
    self, ColumnType, FieldNames, FilesMode, Format, LandingPattern, Limits, NdjsonFormat, NewColumns, Readiness,
    SourceColumn, SourceContract, occurrence,
};

/// What a file holds.
#[derive(Debug)]
pub(super) struct Found {
    /// The fields that a contract can read, in the order of the file.
    pub(super) fields: Vec<Field>,
    /// How the contract is to say that the file is written.
    pub(super) format: Format,
    /// Names that stand several times in the header.
    pub(super) doubled: Vec<String>,
    /// The places, from 1, of fields without a name that hold nothing.
    pub(super) nameless: Vec<usize>,
    /// A few words in which the bytes are not those of UTF-8, if what they stand for was guessed.
    pub(super) words: Vec<String>,
    /// How many records can be read.
    pub(super) records: u64,
    /// How many cannot.
    pub(super) broken: u64,
    /// The first few of those: line, reason and message.
    pub(super) broken_examples: Vec<String>,
    /// Bytes of the decoded file.
    pub(super) bytes: u64,
    /// How often the header comes again further down.
    pub(super) repeated_headers: u64,
}

/// What came of reading a file.
pub(super) enum Pass {
    Done(Found),
    /// It has to be read again, because its bytes stand for something else, as these texts show.
    Encoded(&'static Encoding, Wide),
}

/// A field of a file.
#[derive(Debug)]
pub(super) struct Field {
    /// What the file calls it; of a file without names, its place.
    pub(super) name: String,
    /// What its column is to be called.
    pub(super) column: String,
    /// Whether it is called like another before it, so that other files of the kind may not have it.
    pub(super) is_repeat: bool,
    pub(super) profile: Profile,
}

/// Reads the whole file.
pub(super) fn read(input: &Input<'_>, dialect: &Dialect, sample: &[u8]) -> Result<Pass, InferError> {
    let trials = Trials::new(input.project.settings.reporting_zone);
    let mut fields = names(input, dialect, sample)?;
    loop {
        if fields.is_empty() {
            let help = match dialect.format {
                Format::Ndjson(_) => "its objects have no names in them",
                Format::Csv(_) => "its first record has no fields",
            };
            return Err(InferError::content(input.path, "has no column that a contract could name", help));
        }
        let most = input.project.settings.limits.columns;
        if fields.len() > most {
            let what = format!("has more than {most} columns, as many as `limits.columns` allows");
            let help = "names that are data belong into values: land one row for each of them";
            return Err(InferError::content(input.path, what, help));
        }
        let mut profiles = Profiles::new(fields.len(), &trials);
        let outcome = walk(input, dialect, &fields, &mut profiles)?;
        // Names that only later records have: the file is read again with them.
        if dialect.is_ndjson() && !outcome.unknown_columns.is_empty() {
            fields.extend(outcome.unknown_columns);
            continue;
        }
        let encoding = profiles.wide.tell();
        if input.encoding == UTF_8 && encoding != UTF_8 {
            return Ok(Pass::Encoded(encoding, profiles.wide));
        }
        if dialect.is_ndjson() {
            let quoted = quotes::quoted(sample);
            for (field, profile) in fields.iter().zip(&mut profiles.columns) {
                profile.is_quoted = quoted.get(field).copied();
            }
        }
        return found(input, dialect, fields, profiles, &outcome).map(Pass::Done);
    }
}

/// Reads the whole file with every field as text.
pub(super) fn walk<S: Sink<Error = Infallible>>(
    input: &Input<'_>,
    dialect: &Dialect,
    fields: &[String],
    sink: &mut S,
) -> Result<Outcome, InferError> {
    let mut format = dialect.format.clone();
    if let Format::Csv(csv) = &mut format {
        csv.keeps_stray_quotes &= dialect.counts_strays;
    }
    let contract = as_texts(input, &format, input.encoding, fields)?;
    let limits = &input.project.settings.limits;
    let file =
        FileInput { contract: &contract, limits, captures: &[], compression: input.compression, landed_at: None };
    read_file(&file, input.open()?, sink).map_err(|error| input.error(error))
}

/// Reads the whole file by the contract that was written for it, and counts anew what can be read and what cannot.
pub(super) fn count(input: &Input<'_>, name: &str, contract: &str, found: &mut Found) -> Result<(), InferError> {
    let settings = &input.project.settings;
    let Some(contract) = project::contract(name, contract, settings) else {
        let reason = "the contract that was written for it has mistakes".to_owned();
        return Err(InferError::Bug { path: input.path.to_owned(), reason });
    };
    let file = FileInput {
        contract: &contract,
        limits: &settings.limits,
        captures: &[],
        compression: input.compression,
        landed_at: None,
    };
    let mut broken = Broken::default();
    let outcome = read_file(&file, input.open()?, &mut broken).map_err(|error| input.error(error))?;
    (found.records, found.broken) = (outcome.ledger.accepted, outcome.ledger.quarantined);
    found.broken_examples = broken.examples;
    Ok(())
}

/// Returns the names of fields that the beginning of a file shows.
pub(super) fn names(input: &Input<'_>, dialect: &Dialect, sample: &[u8]) -> Result<Vec<String>, InferError> {
    if dialect.is_ndjson() { ndjson_names(input, sample) } else { Ok(dialect.fields.clone()) }
}

/// Returns the names in the first objects of a file, in the order of their appearance.
fn ndjson_names(input: &Input<'_>, sample: &[u8]) -> Result<Vec<String>, InferError> {
    let mut names = Vec::new();
    let whole = sample.iter().rposition(|&byte| byte == b'\n').map_or(sample, |end| &sample[..=end]);
    loop {
        // A name that no field has stands in where none is known.
        let known = if names.is_empty() { vec!["\u{0}".to_owned()] } else { names.clone() };
        // The sample is decoded.
        let contract = as_texts(input, &Format::Ndjson(NdjsonFormat::USUAL), UTF_8, &known)?;
        let limits = Limits::default();
        let file = FileInput {
            contract: &contract,
            limits: &limits,
            captures: &[],
            compression: Compression::Plain,
            landed_at: None,
        };
        let outcome = read_file(&file, whole, &mut NullSink).map_err(|error| input.error(error))?;
        if outcome.unknown_columns.is_empty() || names.len() > input.project.settings.limits.columns {
            return Ok(names);
        }
        names.extend(outcome.unknown_columns);
    }
}

/// A contract that takes every field as text.
fn as_texts(
    input: &Input<'_>,
    format: &Format,
    encoding: &'static Encoding,
    fields: &[String],
) -> Result<SourceContract, InferError> {
    let from = LandingPattern::parse("*")
        .map_err(|error| InferError::Bug { path: input.path.to_owned(), reason: error.to_string() })?;
    let columns: IndexMap<String, SourceColumn> =
        fields.iter().map(|field| (field.clone(), SourceColumn::of(ColumnType::String))).collect();
    Ok(SourceContract {
        erased: std::collections::BTreeMap::new(),
        name: "texts".to_owned(),
        file: SourceFile::new("", ""),
        description: None,
        grain: None,
        owner: None,
        from,
        from_at: SourceFile::new("", "").whole(),
        format: format.clone(),
        encoding,
        ready: Readiness::default(),
        files: FilesMode::Replace,
        key: Vec::new(),
        keep: None,
        parse_zone: Tz::UTC,
        rejected_share: 1.0,
        new_columns: NewColumns::Report,
        columns,
        rules: Vec::new(),
        late: None,
        count_repeated: false,
        partition: None,
    })
}

fn found(
    input: &Input<'_>,
    dialect: &Dialect,
    fields: Vec<String>,
    profiles: Profiles,
    outcome: &Outcome,
) -> Result<Found, InferError> {
    let ledger = &outcome.ledger;
    // Names between delimiters are worth a contract, though nothing is known of what they name.
    let has_names = fields.len() > 1 && matches!(&dialect.format, Format::Csv(csv) if csv.names != FieldNames::Order);
    if ledger.accepted == 0 && ledger.quarantined == 0 && !has_names {
        let help = "give a file with records: types cannot be told without values";
        return Err(InferError::content(input.path, "has no records", help));
    }
    if ledger.quarantined > ledger.accepted {
        let what = format!(
            "does not look like CSV or NDJSON: {} of {} records cannot be read, such as {}",
            ledger.quarantined,
            ledger.accepted + ledger.quarantined,
            profiles.broken.examples.first().map_or("the first", String::as_str)
        );
        let help = "fix the file, or what writes it; or give one with more records than there are lines before them";
        return Err(InferError::content(input.path, what, help));
    }
    let is_repeat = |name: &String| {
        occurrence(name).is_some_and(|(base, number)| {
            number > 1 && !dialect.header.contains(name) && dialect.header.iter().any(|other| other == base)
        })
    };
    let columns = column_names(&as_words(&fields, &is_repeat));
    let fields = fields.into_iter().zip(columns).zip(profiles.columns).map(|((name, column), profile)| {
        let is_repeat = is_repeat(&name);
        Field { name, column, is_repeat, profile }
    });
    let (mut fields, nameless) = without_nameless(dialect, fields.collect());
    let (mut format, doubled) = told_apart(dialect, &nameless, &mut fields);
    if let Format::Csv(csv) = &mut format {
        csv.skips_repeated_header = outcome.repeated_headers > 0;
    }
    Ok(Found {
        fields,
        format,
        doubled,
        nameless,
        words: Vec::new(),
        records: ledger.accepted,
        broken: ledger.quarantined,
        broken_examples: profiles.broken.examples,
        bytes: ledger.bytes,
        repeated_headers: outcome.repeated_headers,
    })
}

/// Leaves out the fields that the file has no name for and no value in, and returns their places too.
fn without_nameless(dialect: &Dialect, fields: Vec<Field>) -> (Vec<Field>, Vec<usize>) {
    let is_nameless =
        |at: usize, field: &Field| dialect.header.get(at).is_some_and(String::is_empty) && field.profile.values == 0;
    let places = fields.iter().enumerate().filter(|(at, field)| is_nameless(*at, field)).map(|(at, _)| at + 1);
    let nameless = places.collect::<Vec<_>>();
    // A contract reads something.
    if nameless.len() == fields.len() {
        return (fields, Vec::new());
    }
    let kept = fields.into_iter().enumerate().filter(|(at, _)| !nameless.contains(&(at + 1)));
    (kept.map(|(_, field)| field).collect(), nameless)
}

/// Returns the names of fields as those of columns are made of them: `Labels_2` for the second `Labels`.
fn as_words(fields: &[String], is_repeat: &impl Fn(&String) -> bool) -> Vec<String> {
    let word = |name: &String| if is_repeat(name) { name.replace('#', "_") } else { name.clone() };
    fields.iter().map(word).collect()
}

/// Returns how a contract is to say that the file is written, and the names of the header that are more than one.
fn told_apart(dialect: &Dialect, nameless: &[usize], fields: &mut [Field]) -> (Format, Vec<String>) {
    let names = dialect.header.iter().enumerate().filter(|(at, _)| !nameless.contains(&(at + 1)));
    let names = names.collect::<Vec<_>>();
    let doubled =
        names.iter().enumerate().filter(|(at, (_, name))| names[..*at].iter().any(|(_, known)| known == name));
    let mut doubled = doubled.map(|(_, (_, name))| (*name).clone()).collect::<Vec<_>>();
    doubled.sort();
    doubled.dedup();
    match (&dialect.format, &dialect.by_header) {
        // Of fields that no column reads the names may be alike.
        (Format::Csv(_), Some((by_header, called))) if !doubled.iter().any(String::is_empty) => {
            for (field, (at, _)) in fields.iter_mut().zip(&names) {
                field.name.clone_from(&called[*at]);
                field.is_repeat = called[*at] != dialect.header[*at];
            }
            (Format::Csv(by_header.clone()), doubled)
        }
        (format, _) => (format.clone(), doubled),
    }
}

/// The first few records that were quarantined.
#[derive(Debug, Default)]
struct Broken {
    /// Line, reason and message of each.
    examples: Vec<String>,
}

impl Sink for Broken {
    type Error = Infallible;

    fn rows(&mut self, _: RecordBatch) -> Result<(), Infallible> {
        Ok(())
    }

    fn quarantine(&mut self, record: QuarantinedRecord<'_>) -> Result<(), Infallible> {
        const KEPT: usize = 3;
        if self.examples.len() < KEPT {
            let column = record.column.map(|column| format!(" in {}", quoted(column.as_bytes()))).unwrap_or_default();
            self.examples.push(format!("line {}: {}{column}: {}", record.line, record.reason, record.message));
        }
        Ok(())
    }
}

/// Gathers what goes by.
struct Profiles {
    columns: Vec<Profile>,
    trials: Trials,
    memory: usize,
    broken: Broken,
    /// Texts beyond ASCII, and records that are not of the encoding.
    wide: Wide,
}

impl Profiles {
    fn new(count: usize, trials: &Trials) -> Self {
        let columns = (0..count).map(|_| Profile::new()).collect();
        Self { columns, trials: trials.clone(), memory: MEMORY_BYTES, broken: Broken::default(), wide: Wide::default() }
    }
}

impl Sink for Profiles {
    type Error = Infallible;

    fn rows(&mut self, batch: RecordBatch) -> Result<(), Infallible> {
        let lines = batch.column(self.columns.len()).as_primitive::<Int64Type>();
        for (profile, texts) in self.columns.iter_mut().zip(batch.columns()) {
            let texts = texts.as_string::<i32>();
            if !texts.value_data().is_ascii() {
                self.wide.right += texts.iter().flatten().filter(|text| !text.is_ascii()).count() as u64;
            }
            for row in 0..texts.len() {
                let text = texts.is_valid(row).then(|| texts.value(row));
                profile.push(text, lines.value(row), &self.trials, &mut self.memory);
            }
        }
        Ok(())
    }

    fn quarantine(&mut self, record: QuarantinedRecord<'_>) -> Result<(), Infallible> {
        if record.reason == Reason::Encoding {
            self.wide.push(record.bytes);
        }
        self.broken.quarantine(record)
    }
}

//! What `schemas/` says: the contract of a landed dataset, and the checks of a published table.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use encoding_rs::Encoding;
use indexmap::IndexMap;

use super::check::{CheckDeclaration, Terms, To};
use super::column::{ColumnDoc, ColumnType, Normaliser, Rules};
use super::condition::{Condition, RecordRule};
use super::job::Located;
use super::landing::{LandingPattern, Readiness};
use super::partition::{DayReach, PartitionBy};
use crate::diagnostic::{Place, SourceFile};
use crate::digest::{Digest, Parts};

/// The contract of one landed dataset (`schemas/sources/<name>.toml`).
///
/// - `columns` is not empty and keeps the order of the file.
/// - Every column that `key`, `keep` or a capture of `from` names is in `columns`; key columns are required.
/// - `keep` needs a `key`. A key without `keep` keeps the row of the later file, and of one file the later record.
/// - One column has `rest`, a text without other names, if `new_columns` takes them; else none has.
/// - Of an array that is made into rows something is read: itself, what is inside its elements, or their place.
#[derive(Debug, Clone)]
pub struct SourceContract {
    /// The dataset's name: the file's stem.
    pub name: String,
    /// The contract's own text.
    pub file: SourceFile,
    /// What the dataset holds.
    pub description: Option<String>,
    /// What one row stands for.
    pub grain: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where its files land.
    pub from: LandingPattern,
    /// Where the contract says so.
    pub from_at: Place,
    /// How its files are written.
    pub format: Format,
    /// What its bytes stand for, unless a byte order mark says otherwise.
    pub encoding: &'static Encoding,
    /// When a file is taken for whole.
    pub ready: Readiness,
    /// What a file that changed means.
    pub files: FilesMode,
    /// The columns whose values tell one row from another; empty when the dataset has no key.
    pub key: Vec<String>,
    /// Which of the rows with one key is kept.
    pub keep: Option<Keep>,
    /// Whether rows are counted that equal an earlier one in every column. Only for datasets without a key.
    pub count_repeated: bool,
    /// What its rows are told apart by.
    pub partition: Option<PartitionBy>,
    /// The zone of stamps that have no offset.
    pub parse_zone: Tz,
    /// The share of a file's records that may be quarantined before the run stops.
    pub rejected_share: f64,
    /// What becomes of columns of a file that the contract does not know.
    pub new_columns: NewColumns,
    /// The columns, in order.
    pub columns: IndexMap<String, SourceColumn>,
    /// What the values of one record must keep to together, in order.
    pub rules: Vec<RecordRule>,
    /// What becomes of records that land long after their time.
    pub late: Option<Late>,
    /// Of columns the digests of values whose records are never taken in; see [`subject`].
    pub erased: BTreeMap<String, BTreeSet<Digest>>,
}

/// The file that remembers whose records are never taken in.
pub const ERASED: &str = "schemas/erased.toml";

/// Returns the digest by which a value of a dataset's column is remembered whose records are never taken in. Who guesses the
/// value can tell that it is the one.
#[must_use]
pub fn subject(dataset: &str, column: &str, value: &[u8]) -> Digest {
    let mut parts = Parts::of("subject");
    parts.add(dataset);
    parts.add(column);
    parts.add(value);
    parts.digest()
}

impl SourceContract {
    /// Returns whether the same bytes may become other rows when they land at another time.
    #[must_use]
    pub fn asks_the_landing(&self) -> bool {
        self.late.is_some() || self.columns.values().any(|column| column.not_future.is_some())
    }

    /// Returns the columns whose values must be found in other datasets, in the contract's order.
    pub fn references(&self) -> impl Iterator<Item = (&str, &ForeignKey)> {
        self.columns.iter().filter_map(|(name, column)| Some((name.as_str(), column.references.as_ref()?)))
    }

    /// Returns the datasets that it references.
    #[must_use]
    pub fn referenced(&self) -> BTreeSet<&str> {
        self.references().map(|(_, reference)| reference.dataset.as_str()).collect()
    }

    /// Returns how many of a file's records may be quarantined, of so many that are not blank.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share from 0 to 1 of a number of records is one"
    )]
    pub fn may_reject(&self, records: u64) -> u64 {
        (records as f64 * self.rejected_share).floor() as u64
    }
}

/// What becomes of records that land long after their time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    /// The column of their time, a timestamp or a date.
    pub by: String,
    /// How long after their time they may land.
    pub after_seconds: u64,
    /// What becomes of them.
    pub then: ThenLate,
}

/// What becomes of a late record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThenLate {
    /// It is counted, and a row like any other.
    Keep,
    /// It is counted, and quarantined.
    SetAside,
}

/// How the text of a landed file is to be read. Compression is told by what the file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Delimited text.
    Csv(CsvFormat),
    /// One JSON object a line.
    Ndjson(NdjsonFormat),
}

/// How objects of JSON become rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NdjsonFormat {
    /// Where the array is of which each element becomes a row: the names of nested objects, outermost first. Empty where
    /// each object is a row.
    pub explode: Vec<String>,
}

impl NdjsonFormat {
    /// Each object is a row.
    pub const USUAL: Self = Self { explode: Vec::new() };
}

/// The last name of a path that stands for the place of an element in the array that is made into rows.
pub const PLACE: &str = "#";

/// How delimited text is written.
#[expect(clippy::struct_excessive_bools, reason = "each is a key of a contract")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvFormat {
    /// The byte between fields.
    pub delimiter: u8,
    /// The byte around fields that contain delimiters or line ends, doubled inside them; nothing where all bytes are
    /// text.
    pub quote: Option<u8>,
    /// The byte that makes the next one text, where there is such a byte.
    pub escape: Option<u8>,
    /// Where the names of the fields are.
    pub names: FieldNames,
    /// How many physical lines to pass over before anything else.
    pub skip_lines: u64,
    /// What a line begins with that is no record.
    pub comment: Option<String>,
    /// Whether fields that a record lacks at its end have no value; otherwise it is quarantined.
    pub fills_short_rows: bool,
    /// Whether a quote that opens a field and does not close it is text, where its record is whole then; otherwise the
    /// record is quarantined.
    pub keeps_stray_quotes: bool,
    /// Whether spaces and tabs around a field, outside its quotes, are no part of it.
    pub trims: bool,
    /// The names that the header must have, where the contract names the fields otherwise; it is read, and compared.
    pub expected_header: Option<Vec<String>>,
    /// How many records the header takes up, one at least.
    pub header_rows: u32,
    /// Whether a record that is the header once more is passed over, as where files were put behind each other.
    pub skips_repeated_header: bool,
}

/// Where the names of the fields of delimited text are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldNames {
    /// In the first record of each file.
    Header,
    /// In the contract, one for each field.
    Listed(Vec<String>),
    /// Nowhere: fields come in the order of the contract's columns.
    Order,
}

impl CsvFormat {
    /// Fields between commas with a header, as in RFC 4180.
    pub const USUAL: Self = Self {
        delimiter: b',',
        quote: Some(b'"'),
        escape: None,
        names: FieldNames::Header,
        skip_lines: 0,
        comment: None,
        fills_short_rows: false,
        keeps_stray_quotes: false,
        trims: false,
        expected_header: None,
        header_rows: 1,
        skips_repeated_header: false,
    };

    /// Returns whether files have a header that is read.
    #[must_use]
    pub fn has_header(&self) -> bool {
        self.names == FieldNames::Header || self.expected_header.is_some()
    }
}

/// Returns the name and the number of a field that is called like others before it: `Labels#2` is the second `Labels` of a
/// header.
#[must_use]
pub fn occurrence(name: &str) -> Option<(&str, usize)> {
    let (base, number) = name.rsplit_once('#')?;
    let is_number = !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_number && !base.is_empty()).map(|number| (base, number))
}

impl SourceColumn {
    /// Returns a column of a type, of which nothing else is said.
    #[must_use]
    pub fn of(kind: ColumnType) -> Self {
        Self {
            kind,
            path: Vec::new(),
            aliases: Vec::new(),
            normalise: Vec::new(),
            null: Vec::new(),
            formats: Vec::new(),
            rules: Rules::default(),
            not_future: None,
            true_if: Vec::new(),
            references: None,
            rest: false,
            doc: ColumnDoc::default(),
        }
    }

    /// Returns a mark: a column that is true where one of the conditions holds, and false elsewhere.
    #[must_use]
    pub fn mark(true_if: Vec<Condition>, doc: ColumnDoc) -> Self {
        let rules = Rules { required: true, ..Rules::default() };
        Self { rules, true_if, doc, ..Self::of(ColumnType::Boolean) }
    }

    /// Returns whether its value comes from conditions on other columns, and not from a file or its path.
    #[must_use]
    pub fn is_mark(&self) -> bool {
        !self.true_if.is_empty()
    }
}

/// What a landed file that changed under its name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilesMode {
    /// The new content stands in for the old.
    Replace,
    /// The new content comes on top of the old.
    Append,
    /// The newest file of the dataset is the whole truth.
    Snapshot,
}

/// What becomes of columns of a file that the contract does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewColumns {
    /// They are left out, and named in the report.
    Report,
    /// The file is not taken in.
    Refuse,
    /// They are named in the report, and the one column with `rest` has what is in them.
    Take,
}

/// Which of the rows with one key is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// The one whose column is greatest; ties go to the later file, then to the later record.
    Latest(String),
    /// The one whose column is least; ties go to the earlier file, then to the earlier record.
    First(String),
}

impl Keep {
    /// Returns the column that decides.
    #[must_use]
    pub fn column(&self) -> &str {
        match self {
            Self::Latest(column) | Self::First(column) => column,
        }
    }
}

/// One column of a landed dataset.
#[derive(Debug, Clone)]
pub struct SourceColumn {
    /// What it becomes.
    pub kind: ColumnType,
    /// Where NDJSON has it: the names of nested objects, outermost first; empty stands for the column's own name.
    pub path: Vec<String>,
    /// Other names under which files have it. Its path or own name is always tried first.
    pub aliases: Vec<String>,
    /// What is done to its texts before anything else, in order.
    pub normalise: Vec<Normaliser>,
    /// Texts that mean "no value"; the column's own, or else the dataset's.
    pub null: Vec<String>,
    /// Formats of dates and timestamps, tried in order (strftime); empty stands for ISO 8601.
    pub formats: Vec<String>,
    /// What its values must keep to.
    pub rules: Rules,
    /// How many seconds after the landing of its file a time may lie; without, any.
    pub not_future: Option<u64>,
    /// Of a mark, the conditions that make it true. They name no other marks.
    pub true_if: Vec<Condition>,
    /// Where each of its values must be found.
    pub references: Option<ForeignKey>,
    /// Whether it has, as one JSON object, the fields of a record that the contract does not know.
    pub rest: bool,
    /// What it means to people.
    pub doc: ColumnDoc,
}

/// A column of another dataset, of the same type, in whose clean rows values must be found.
///
/// - Datasets never reference each other in a cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The dataset.
    pub dataset: String,
    /// Its column.
    pub column: String,
    /// Where the contract says so.
    pub bytes: std::ops::Range<usize>,
}

impl std::fmt::Display for ForeignKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.dataset, self.column)
    }
}

/// The checks of one published or stored table, or how a query of `sql/checks/` is judged
/// (`schemas/models/<name>.toml`).
///
/// - `max_change` is of columns outside the key, and there is a key.
/// - A contract of a query of `sql/checks/` has no key, columns or checks; `terms` and `of` are for it alone.
#[derive(Debug, Clone)]
pub struct ModelContract {
    /// The contract's own text.
    pub file: SourceFile,
    /// What the table holds.
    pub description: Option<String>,
    /// What one row stands for.
    pub grain: Option<String>,
    /// Columns whose values together are unique and never null.
    pub key: Vec<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Words to select it by.
    pub tags: Vec<String>,
    /// Whether a staging or intermediate model is stored; marts and above always are.
    pub stored: bool,
    /// What its rows are told apart by.
    pub partition: Option<PartitionBy>,
    /// Which days a partition by day reads, where it is made of no others by definition.
    pub reach: Option<DayReach>,
    /// Rules and words of single columns.
    pub columns: IndexMap<String, ModelColumn>,
    /// Checks of the table as a whole, in order.
    pub checks: Vec<CheckDeclaration>,
    /// How the rows of a query of `sql/checks/` are judged.
    pub terms: Terms,
    /// The table whose rows a query of `sql/checks/` tests, for shares and samples.
    pub of: Option<Located>,
    /// Where each key of the file stands, for mistakes that only the bound SQL reveals.
    pub places: ModelPlaces,
}

/// What a model's contract says of one column.
#[derive(Debug, Clone, Default)]
pub struct ModelColumn {
    /// What its values must keep to.
    pub rules: Rules,
    /// Whether no value comes twice.
    pub unique: bool,
    /// Where each of its values must be found.
    pub relation: Option<To>,
    /// How far its numbers may move from what is published, before somebody has to look at them.
    pub max_change: Option<MaxChange>,
    /// How the rows that break one of these are judged.
    pub terms: Terms,
    /// What it means to people.
    pub doc: ColumnDoc,
}

/// How far the numbers of a column may move in a row of the same key.
#[derive(Debug, Clone)]
pub struct MaxChange {
    /// The same as a number.
    pub limit: Limit,
    /// As the contract has it.
    pub written: Located,
}

/// How far a number may move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// By a share of what it was, at most.
    Share(f64),
    /// By so much, at most.
    By(f64),
}

/// Byte ranges, in the contract's file, of names that must exist among the model's output columns.
#[derive(Debug, Clone, Default)]
pub struct ModelPlaces {
    /// Of each column in `key`, in order.
    pub key: Vec<std::ops::Range<usize>>,
    /// Of the column that `partition` names.
    pub partition: std::ops::Range<usize>,
    /// Of each column under `[columns]`, in order.
    pub columns: Vec<std::ops::Range<usize>>,
}

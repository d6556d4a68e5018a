//! What `schemas/` says: the contract of a landed dataset, and the promises of a published table.

use chrono_tz::Tz;
use indexmap::IndexMap;

use super::check::{Check, Terms, To};
use super::column::{ColumnType, Rules, Words};
use super::job::Spelled;
use super::landing::LandingPattern;
use crate::diagnostic::SourceFile;

/// The contract of one landed dataset (`schemas/sources/<name>.toml`).
///
/// - `columns` is not empty and keeps the order of the file.
/// - Every column that `key`, `keep` or a capture of `from` names is in `columns`; key columns are required.
/// - `keep` needs a `key`. A key without `keep` keeps the row of the later file, and of one file the later record.
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
    /// Where its files land.
    pub from: LandingPattern,
    /// How its files are written.
    pub format: Format,
    /// What a file that changed means.
    pub files: FilesMode,
    /// The columns whose values tell one row from another; empty when the dataset has no key.
    pub key: Vec<String>,
    /// Which of the rows with one key is kept.
    pub keep: Option<Keep>,
    /// The zone of stamps that have no offset.
    pub parse_zone: Tz,
    /// The share of a file's records that may be set aside before the run stops.
    pub rejected_share: f64,
    /// The columns, in order.
    pub columns: IndexMap<String, SourceColumn>,
}

/// How the bytes of a landed file are to be read. Compression is told by the file's last suffix (`.gz`, `.zst`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Delimited text with quotes, as in RFC 4180.
    Csv {
        /// The byte between fields.
        delimiter: u8,
        /// The byte around fields that contain delimiters or line ends; doubled inside them.
        quote: u8,
        /// Whether the first record names the columns; otherwise the contract's order holds.
        header: bool,
    },
    /// One JSON object a line.
    Ndjson,
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
    /// Other names under which files have it. The column's own name is always tried first.
    pub aliases: Vec<String>,
    /// Texts that mean "no value"; the column's own, or else the dataset's.
    pub null: Vec<String>,
    /// Formats of dates and timestamps, tried in order (strftime); empty stands for ISO 8601.
    pub formats: Vec<String>,
    /// What its values must keep to.
    pub rules: Rules,
    /// What it means to people.
    pub words: Words,
}

/// The promises of one published or stored table, or how a query of `sql/checks/` is judged
/// (`schemas/models/<name>.toml`).
///
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
    /// Words to select it by.
    pub tags: Vec<String>,
    /// Whether a staging or intermediate model is stored; marts and above always are.
    pub stored: bool,
    /// Rules and words of single columns.
    pub columns: IndexMap<String, ModelColumn>,
    /// Promises about the table as a whole, in order.
    pub checks: Vec<Check>,
    /// How the rows of a query of `sql/checks/` are judged.
    pub terms: Terms,
    /// The table whose rows a query of `sql/checks/` tests, for shares and samples.
    pub of: Option<Spelled>,
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
    /// How the rows that break one of these are judged.
    pub terms: Terms,
    /// What it means to people.
    pub words: Words,
}

/// Byte ranges, in the contract's file, of names that must exist among the model's output columns.
#[derive(Debug, Clone, Default)]
pub struct ModelPlaces {
    /// Of each column in `key`, in order.
    pub key: Vec<std::ops::Range<usize>>,
    /// Of each column under `[columns]`, in order.
    pub columns: Vec<std::ops::Range<usize>>,
}

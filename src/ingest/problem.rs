//! What can be wrong with a file as a whole.

use std::collections::HashSet;
use std::io;

use arrow::error::ArrowError;

use super::decode::Compression;
use super::parse::ValueError;
use super::quarantine::{is_upsetting, quoted};
use crate::store::Ledger;

/// What is wrong with a file as a whole: one finding instead of a million records quarantined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileProblem {
    /// The header lacks columns that the contract requires.
    #[error("{}, but the header has only {}", required(.columns), names(.header))]
    MissingColumn {
        /// The columns' own names.
        columns: Vec<String>,
        /// The names that the header has.
        header: Vec<String>,
    },
    /// The header has a name twice that the contract reads.
    #[error("column `{name}` stands twice in the header")]
    DuplicateColumn {
        /// The name, as the header has it.
        name: String,
        /// The names that the header has.
        header: Vec<String>,
    },
    /// The header is another one than the contract was written for.
    #[error("the header is not the one that the contract was written for: {}", difference(.expected, .header))]
    OtherHeader {
        /// The names that the contract has.
        expected: Vec<String>,
        /// The names that the header has.
        header: Vec<String>,
    },
    /// The header has none of the contract's columns.
    #[error("the header has none of the contract's columns, only {}", names(.header))]
    NoColumns {
        /// The names that the header has.
        header: Vec<String>,
    },
    /// The header has a name that differs from what the contract reads in case or white space alone.
    #[error("the header has no {} for column `{column}`, but {}", quoted(.name.as_bytes()), quoted(.found.as_bytes()))]
    NearColumn {
        /// The column's own name.
        column: String,
        /// The name by which the contract looks for it.
        name: String,
        /// The name that the header has.
        found: String,
    },
    /// The header has more fields than the limit.
    #[error("the header has {found} fields, more than the limit of {limit} (`limits.columns`)")]
    TooManyColumns {
        /// How many it has.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The file has columns that the contract does not know, and the contract refuses those.
    #[error("the file has what the contract does not know: {}", names(.unknown))]
    NewColumns {
        /// Their names.
        unknown: Vec<String>,
    },
    /// Columns of which no value fits.
    #[error("{}", unfit(.columns))]
    ColumnMismatch {
        /// Each of them.
        columns: Vec<ColumnMismatch>,
        /// The names that the file has and the contract does not know.
        unknown: Vec<String>,
    },
    /// The contract promises a header and the file has no line.
    #[error("the file has no header")]
    NoHeader,
    /// The header cannot be split into names.
    #[error("the header on line {line} cannot be read: {message}")]
    BrokenHeader {
        /// The line on which the header starts.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// A value captured from the path does not fit its column.
    #[error("the path gives column `{column}` a value that does not fit: {misfit}")]
    BadCapture {
        /// The column.
        column: String,
        /// Why not.
        misfit: ValueError,
    },
    /// The file starts like something else than text.
    #[error("the file is no text that can be read, but looks like {looks_like}")]
    NotText {
        /// What it looks like.
        looks_like: &'static str,
    },
    /// The file is text of two bytes a letter, and neither a mark nor the contract says so.
    #[error("the file looks like UTF-16 without a byte order mark, and is not declared so")]
    Undeclared {
        /// What to declare.
        encoding: &'static str,
    },
    /// The compressed stream ends too early.
    #[error("the {compression} stream ends too early, after {decoded_bytes} decoded bytes: the file is truncated")]
    Truncated {
        /// How the file is compressed.
        compression: Compression,
        /// How much came out before the end.
        decoded_bytes: u64,
    },
    /// The compressed stream is damaged.
    #[error("the {compression} stream is damaged after {decoded_bytes} decoded bytes: {message}")]
    Corrupt {
        /// How the file is compressed.
        compression: Compression,
        /// How much came out before the damage.
        decoded_bytes: u64,
        /// What the decoder says.
        message: String,
    },
    /// The file becomes larger by decompression than the limit.
    #[error(
        "{packed_bytes} bytes of the file became {decoded_bytes}, more than {limit} times as many \
         (`limits.expansion`)"
    )]
    Expansion {
        /// The limit.
        limit: u64,
        /// How much of the file had been read.
        packed_bytes: u64,
        /// How much came out of it.
        decoded_bytes: u64,
    },
    /// The file takes longer than the limit.
    #[error(
        "the file was read for {limit_seconds} seconds, as long as the limit allows (`limits.file_seconds`), and was \
         not at its end after {decoded_bytes} decoded bytes"
    )]
    TooSlow {
        /// The limit.
        limit_seconds: u64,
        /// How much had come out by then.
        decoded_bytes: u64,
    },
    /// The decoded file is larger than the limit.
    #[error("the decoded file is larger than the limit of {limit_bytes} bytes (`limits.file_bytes`)")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
}

/// A column that does not fit a file at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMismatch {
    /// The column.
    pub column: String,
    /// How many values it was told by, or how many records, if none has a value.
    pub values: u64,
    /// Whether the file has no more than these; it is read no further once there are enough.
    pub is_all: bool,
    /// The first value and its line; nothing where the column is required and no record has a value.
    pub first: Option<(ValueError, u64)>,
}

impl std::fmt::Display for ColumnMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { column, values, is_all, first } = self;
        let the_first = if *is_all { "" } else { "first " };
        match first {
            Some((misfit, line)) => {
                write!(f, "none of the {the_first}{values} values of column `{column}` fits: {misfit} on line {line}")
            }
            None => write!(
                f,
                "column `{column}` is required, and none of the {the_first}{values} records has a value for it"
            ),
        }
    }
}

fn unfit(columns: &[ColumnMismatch]) -> String {
    columns.iter().map(ColumnMismatch::to_string).collect::<Vec<_>>().join("; ")
}

fn unfit_help(columns: &[ColumnMismatch], unknown: &[String]) -> String {
    let mut text = "fix the file, or say in the contract ".to_owned();
    if columns.iter().any(|column| column.first.is_some()) {
        text.push_str("what the values are now: their type, `format`, `normalise`, or what they must keep to");
    } else {
        text.push_str("where it is now, with `aliases` or `path`");
    }
    // Who calls a column by another name tells it so.
    if !unknown.is_empty() && columns.iter().any(|column| column.first.is_none()) {
        text.push_str(&format!("; the contract does not know {}", names(unknown)));
    }
    text
}

/// Returns where two headers part.
fn difference(expected: &[String], found: &[String]) -> String {
    let at = expected.iter().zip(found).position(|(one, other)| one.trim_ascii() != other.trim_ascii());
    match at {
        Some(at) => {
            let [expected, found] = [&expected[at], &found[at]].map(|name| quoted(name.as_bytes()));
            format!("expected {expected} as name {}, found {found}", at + 1)
        }
        None => format!("expected {} names, found {}", expected.len(), found.len()),
    }
}

fn required(columns: &[String]) -> String {
    let (noun, verb) = if columns.len() == 1 { ("column", "is") } else { ("columns", "are") };
    format!("{noun} {} {verb} required", names(columns))
}

impl FileProblem {
    /// Returns what to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::TooLarge { .. } => raise("file_bytes", "\"128GiB\""),
            Self::Expansion { .. } => raise("expansion", "2000"),
            Self::TooSlow { .. } => raise("file_seconds", "14400"),
            Self::TooManyColumns { .. } => raise("columns", "50000"),
            Self::NearColumn { found, .. } => {
                format!("write `aliases = [{}]` in the contract, or fix the file", toml_text(found))
            }
            Self::MissingColumn { header, .. } | Self::NoColumns { header }
                if header.iter().any(|name| name.contains(char::REPLACEMENT_CHARACTER)) =>
            {
                "its bytes stand for something else than declared: write what for as `encoding` in `format`, such as \
                 `gb18030` or `windows-1252`"
                    .to_owned()
            }
            Self::NoColumns { .. } => {
                "fix the file or the contract; a file without a header needs `header = false` in `format`".to_owned()
            }
            Self::NewColumns { .. } => {
                "declare them under `[columns]` in the contract, as other names of a column under its `aliases`, or \
                 leave them out with `new_columns = \"report\"`"
                    .to_owned()
            }
            Self::ColumnMismatch { columns, unknown } => unfit_help(columns, unknown),
            Self::DuplicateColumn { name, .. } => format!(
                "declare a column for each field of that name, the second with `aliases = [{}]`; the first is then {}",
                toml_text(&format!("{name}#2")),
                quoted(name.as_bytes())
            ),
            Self::OtherHeader { .. } => {
                "give such files a contract of their own, or write this header in `header` of `format` and the names of \
                 its fields in `columns`, in the same order"
                    .to_owned()
            }
            Self::Undeclared { encoding } => format!("write `encoding = \"{encoding}\"` in `format`"),
            _ => "fix the file or the contract".to_owned(),
        }
    }
}

/// Returns a name for each field of a header, all different: the header's own where that is the first of its kind, then
/// with a number behind it; of a field without a name, its place.
#[must_use]
pub fn names_apart(header: &[String]) -> Vec<String> {
    let mut taken: HashSet<String> = header.iter().cloned().collect();
    let mut seen = HashSet::new();
    let named = header.iter().enumerate().map(|(at, name)| {
        if !name.is_empty() && seen.insert(name.as_str()) {
            return name.clone();
        }
        let place = (at + 1).to_string();
        let (base, numbers) = if name.is_empty() { ("column", vec![place]) } else { (name.as_str(), Vec::new()) };
        let mut names = numbers.into_iter().chain((2..).map(|number: usize| number.to_string()));
        let free = names.find_map(|number| Some(format!("{base}_{number}")).filter(|name| !taken.contains(name)));
        // There are more numbers than fields.
        let name = free.unwrap_or_else(|| name.clone());
        taken.insert(name.clone());
        name
    });
    named.collect()
}

/// Returns a text as it can be pasted into TOML, with everything escaped that could upset a terminal.
fn toml_text(text: &str) -> String {
    let mut shown = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => shown.extend(['\\', c]),
            c if is_upsetting(c) => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown.push('"');
    shown
}

fn raise(limit: &str, example: &str) -> String {
    format!("if the file is as it should be, raise the limit under `[limits]` in opsmart.toml: `{limit} = {example}`")
}

/// Why a file could not be read to its end. Whatever the sink was given by then is to be thrown away.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E> {
    /// The file itself is at fault.
    #[error(transparent)]
    File(#[from] FileProblem),
    /// Its bytes could not be had.
    #[error("the file cannot be read")]
    Read(#[source] io::Error),
    /// The contract cannot be put to work; loading a project rules this out.
    #[error("column `{column}` of the contract cannot be put to work: {message}")]
    Contract {
        /// The column.
        column: String,
        /// What is wrong with it.
        message: String,
    },
    /// The sink gave up.
    #[error("the rows could not be handed on")]
    Sink(E),
    /// Columns that do not make a batch: a mistake of ours, never of the file.
    #[error("the rows do not make a batch")]
    Batch(#[source] ArrowError),
    /// Records or bytes were lost on the way: a mistake of ours, never of the file.
    #[error("the ledger does not balance: {0:?}")]
    Unbalanced(Ledger),
}

/// A rule or format of the contract that does not work.
#[derive(Debug)]
pub(super) struct ContractProblem {
    pub(super) column: String,
    pub(super) message: String,
}

impl<E> From<ContractProblem> for ReadError<E> {
    fn from(ContractProblem { column, message }: ContractProblem) -> Self {
        Self::Contract { column, message }
    }
}

/// How many names of a header a message shows.
const SHOWN_NAMES: usize = 20;

fn names(header: &[String]) -> String {
    let mut shown = header.iter().take(SHOWN_NAMES).map(|name| quoted(name.as_bytes())).collect::<Vec<_>>();
    if header.len() > SHOWN_NAMES {
        shown.push(format!("{} more", header.len() - SHOWN_NAMES));
    }
    shown.join(", ")
}

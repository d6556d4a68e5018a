//! What can be wrong with a file as a whole.

use std::io;

use arrow::error::ArrowError;

use super::decode::Compression;
use super::parse::Misfit;
use crate::store::Ledger;

/// What is wrong with a file as a whole: one finding instead of a million records set aside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileProblem {
    /// The header lacks a column that the contract requires.
    #[error("column `{column}` is required, but the header has only {}", names(.header))]
    MissingColumn {
        /// The column's own name.
        column: String,
        /// The names that the header has.
        header: Vec<String>,
    },
    /// The header has a name twice that the contract reads.
    #[error("column `{name}` stands twice in the header")]
    DuplicateColumn {
        /// The name, as the header has it.
        name: String,
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
        misfit: Misfit,
    },
    /// The file starts like something else than text.
    #[error("the file is not UTF-8 text but looks like {looks_like}")]
    NotText {
        /// What it looks like.
        looks_like: &'static str,
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
    /// The decoded file is larger than the limit.
    #[error("the decoded file is larger than the limit of {limit_bytes} bytes (`limits.file_bytes`)")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
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
    let mut shown =
        header.iter().take(SHOWN_NAMES).map(|name| super::quarantine::quoted(name.as_bytes())).collect::<Vec<_>>();
    if header.len() > SHOWN_NAMES {
        shown.push(format!("{} more", header.len() - SHOWN_NAMES));
    }
    shown.join(", ")
}

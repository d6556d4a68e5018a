//! A file to a contract: reads the whole file once or a few times and proposes what the contract should say, with the
//! evidence for it.
//!
//! Promises: memory depends on limits and not on the file; every text is judged by the very code that reads landed
//! files, so a run ingests every record that can be read at all; what two readings fit, such as day and month, or `1.200`,
//! is told and not guessed. Knows nothing of SQL and writes nothing.

mod candidate;
mod column;
mod contract;
mod decide;
mod dialect;
mod distinct;
mod encoding;
mod exact;
mod json;
mod key;
mod landing;
mod names;
mod numbers;
mod pass;
mod quotes;
mod trial;
mod zones;

use std::convert::Infallible;
use std::fs::File;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use chrono::{DateTime, Utc};
use encoding_rs::{Encoding, UTF_8};

use crate::ingest::{Beginning, Compression, FileProblem, ReadError, beginning};
use crate::project::{ColumnType, Format, Project};
use crate::stamp;

use contract::Proposal;
use encoding::Wide;
use pass::{Found, Pass};

pub use landing::Landing;

/// What was found in a file.
#[derive(Debug)]
pub struct Inferred {
    /// The contract's text.
    pub contract: String,
    /// The columns, with their types.
    pub columns: Vec<(String, ColumnType)>,
    /// The columns of the key, if one was written.
    pub key: Vec<String>,
    /// How many records can be read.
    pub records: u64,
    /// How many cannot, whatever the contract says.
    pub broken: u64,
    /// In what form the file is written, in words.
    pub dialect: String,
    /// What only a person can answer.
    pub questions: Vec<String>,
    /// Where the file is, and where files of its kind land.
    pub landing: Landing,
}

/// Why a file tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// There is no such file, or it is not one.
    #[error("`{path}` {what}")]
    NoFile {
        /// The path.
        path: Utf8PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// Its bytes cannot be had.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what can be ingested.
    #[error("`{path}` cannot be ingested: {problem}")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with it.
        problem: FileProblem,
    },
    /// Nothing can be told from its records.
    #[error("`{path}` {what}")]
    Content {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with them.
        what: String,
        /// What to do.
        help: String,
    },
    /// A mistake of ours.
    #[error("`{path}`: {reason}")]
    Bug {
        /// The file.
        path: Utf8PathBuf,
        /// What went wrong.
        reason: String,
    },
}

impl InferError {
    /// Returns what to do, where there is something to say.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoFile { .. } => Some("name a file of CSV or NDJSON, as it landed".to_owned()),
            Self::File { problem: FileProblem::Truncated { .. } | FileProblem::Corrupt { .. }, .. } => {
                Some("fetch the file again: it is not whole".to_owned())
            }
            Self::File { problem: FileProblem::NotText { .. }, .. } => Some("opsmart reads CSV and NDJSON".to_owned()),
            Self::Content { help, .. } => Some(help.clone()),
            _ => None,
        }
    }

    fn content(path: &Utf8Path, what: impl Into<String>, help: &str) -> Self {
        Self::Content { path: path.to_owned(), what: what.into(), help: help.to_owned() }
    }
}

/// A file to look at.
#[derive(Debug, Clone, Copy)]
struct Input<'a> {
    path: &'a Utf8Path,
    compression: Compression,
    project: &'a Project,
    encoding: &'static Encoding,
}

impl Input<'_> {
    fn open(&self) -> Result<File, InferError> {
        File::open(self.path).map_err(|source| InferError::Read { path: self.path.to_owned(), source })
    }

    fn beginning(&self) -> Result<Beginning, ReadError<Infallible>> {
        // Its bytes can be had, or reading it on will tell why not.
        let file = File::open(self.path).map_err(ReadError::Read)?;
        beginning(self.compression, self.encoding, file, SAMPLE_BYTES)
    }

    fn error(&self, error: ReadError<Infallible>) -> InferError {
        let path = self.path.to_owned();
        match error {
            ReadError::File(problem) => InferError::File { path, problem },
            ReadError::Read(source) => InferError::Read { path, source },
            other => InferError::Bug { path, reason: other.to_string() },
        }
    }
}

/// How much of a file is looked at to tell its dialect.
const SAMPLE_BYTES: usize = 1 << 20;

/// Reads the file at `path` and proposes a contract for the dataset `name` of `project`.
///
/// # Errors
/// Why the file tells nothing.
pub fn infer(project: &Project, name: &str, path: &Utf8Path) -> Result<Inferred, InferError> {
    check_plain(path)?;
    let mut input = Input { path, compression: Compression::of(path.as_str()), project, encoding: UTF_8 };
    let begun = match input.beginning() {
        Err(ReadError::File(FileProblem::Undeclared { encoding })) => {
            input.encoding = Encoding::for_label(encoding.as_bytes()).unwrap_or(UTF_8);
            input.beginning()
        }
        begun => begun,
    };
    let mut sample = begun.map_err(|error| input.error(error))?;
    input.encoding = sample.encoding;
    let mut words = Vec::new();
    if input.encoding == UTF_8 {
        let wide = Wide::of_lines(&sample.bytes, sample.bytes.len() < SAMPLE_BYTES);
        input.encoding = wide.tell();
        if input.encoding != UTF_8 {
            words = wide.words(input.encoding);
            sample = input.beginning().map_err(|error| input.error(error))?;
        }
    }
    let (dialect, mut found) = loop {
        let dialect = dialect::tell(path, &sample.bytes, sample.bytes.len() < SAMPLE_BYTES)?;
        match pass::read(&input, &dialect, &sample.bytes)? {
            Pass::Done(found) => break (dialect, found),
            // Only further down than the beginning are there bytes that tell.
            Pass::Encoded(encoding, wide) => {
                (input.encoding, words) = (encoding, wide.words(encoding));
                sample = input.beginning().map_err(|error| input.error(error))?;
            }
        }
    };
    found.words = words;
    let zone = project.settings.reporting_zone;
    let mut columns = decide::columns(&found, &dialect, zone, landed_at(path)?);
    let keys = key::find(&input, name, &dialect, &found, &columns)?;
    for column in columns.iter_mut().filter(|column| keys.written.as_ref() == Some(&column.name)) {
        column.is_key = true;
    }
    let fields = found.fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>();
    let landing = Landing::of(project, name, path, &fields, &|path| names_of(project, path));
    let write = |found: &Found| {
        let (input, dialect, columns, keys) = (&input, &dialect, &columns, &keys);
        Proposal { input, name, dialect, found, columns, keys, landing: &landing }.write()
    };
    let inferred = write(&found);
    if !matches!(&found.format, Format::Csv(csv) if csv.keeps_stray_quotes) {
        return Ok(inferred);
    }
    // What a record with a stray quote holds may not be of the types of the others, so how many are read is only known when
    // they have been read.
    pass::count(&input, name, &inferred.contract, &mut found)?;
    Ok(write(&found))
}

/// Returns when a file landed, as runs will know it.
fn landed_at(path: &Utf8Path) -> Result<DateTime<Utc>, InferError> {
    let found = std::fs::metadata(path).map_err(|source| InferError::Read { path: path.to_owned(), source })?;
    Ok(stamp::modified(&found))
}

/// Returns what another file calls its fields, told by its beginning; nothing if that cannot be told.
fn names_of(project: &Project, path: &Utf8Path) -> Option<Vec<String>> {
    check_plain(path).ok()?;
    let mut input = Input { path, compression: Compression::of(path.as_str()), project, encoding: UTF_8 };
    let mut begun = input.beginning();
    if let Err(ReadError::File(FileProblem::Undeclared { encoding })) = &begun {
        input.encoding = Encoding::for_label(encoding.as_bytes()).unwrap_or(UTF_8);
        begun = input.beginning();
    }
    let sample = begun.ok()?.bytes;
    let dialect = dialect::tell(path, &sample, sample.len() < SAMPLE_BYTES).ok()?;
    pass::names(&input, &dialect, &sample).ok()
}

/// Opening a pipe would wait for a writer, so the kind is asked for first.
fn check_plain(path: &Utf8Path) -> Result<(), InferError> {
    let no_file = |what| Err(InferError::NoFile { path: path.to_owned(), what });
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(found) if found.is_dir() => no_file("is a folder, not a file"),
        Ok(_) => no_file("is not a plain file"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => no_file("does not exist"),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => no_file("does not exist"),
        Err(source) => Err(InferError::Read { path: path.to_owned(), source }),
    }
}

//! Why a run stopped, and what that means to whoever started it.

use std::error::Error;
use std::io;

use camino::Utf8PathBuf;
use datafusion::common::DataFusionError;

use super::clock::ClockError;
use crate::check::{CheckError, FailedCheck};
use crate::clean::CleanError;
use crate::diff::DiffError;
use crate::ingest::{IngestError, ListingError};
use crate::plan::plain;
use crate::project::{Severity, SourceContract};
use crate::store::{LockError, StoreError};
use crate::transform::{Blame, Operator, TransformError, is_out_of_memory};
use crate::why::WhyError;

/// The exit codes. Schedulers branch on them, so they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, also when there was nothing to do.
    Done = 0,
    /// A check or a query failed: nothing was published.
    Data = 1,
    /// The usage, the project or the selection is wrong: nothing ran.
    Usage = 2,
    /// Built, and held: it waits for a release, and readers stay on the tables of before.
    Held = 3,
    /// Done, and a check that only warns failed, where that was to be told apart.
    Warned = 4,
    /// A bug of ours.
    Bug = 70,
    /// Temporary: a lock, a full disk, a lost race. Try again.
    Temporary = 75,
    /// Nothing new, where that was to be told apart.
    NothingNew = 99,
    /// Interrupted by SIGINT, cleaned up.
    Interrupted = 130,
    /// Ended by SIGTERM, cleaned up.
    Terminated = 143,
}

impl Exit {
    /// Returns whether what was asked for was done.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Self::Done | Self::Held | Self::Warned | Self::NothingNew)
    }
}

/// Why a run stopped. Nothing was published, but for [`RunError::Behind`].
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Checks of built tables failed.
    #[error("{}, nothing published", broken(.findings))]
    Broken {
        /// Each of them, warnings last.
        findings: Vec<FailedCheck>,
        /// Where they are kept.
        record: Utf8PathBuf,
    },
    /// The clock was refused.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The folder in which files of a dataset should land is not there.
    #[error("the landing folder `{folder}` of dataset `{dataset}` is not there")]
    NoLandingFolder {
        /// The dataset.
        dataset: String,
        /// The folder.
        folder: Utf8PathBuf,
        /// File and line of the contract that names it.
        named_at: String,
    },
    /// The landed files cannot be listed.
    #[error(transparent)]
    Listing(ListingError),
    /// A dataset cannot be taken in.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// A dataset cannot be cleaned.
    #[error(transparent)]
    Clean(#[from] CleanError),
    /// A model cannot be built.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// A check cannot be run.
    #[error(transparent)]
    Check(CheckError),
    /// Tables cannot be compared.
    #[error(transparent)]
    Diff(DiffError),
    /// The warehouse cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tables are published, but what BI tools open is still the generation before.
    #[error("the new tables are published, but `published/` could not be brought up to date")]
    Behind(#[source] StoreError),
    /// A model reads, or a dataset references, what was never published and is not in reach of the run.
    #[error("`{table}` is made from `{input}`, which was never published and is not in reach of this run")]
    MissingInput {
        /// The model or dataset.
        table: String,
        /// What it reads or references.
        input: String,
    },
    /// DataFusion does not start or does not take a table.
    #[error("the engine failed: {}", plain(.0).message)]
    Engine(DataFusionError),
}

impl From<CheckError> for RunError {
    fn from(CheckError { check, error, blame }: CheckError) -> Self {
        match Self::engine(error) {
            Self::Engine(error) => Self::Check(CheckError { check, error, blame }),
            other => other,
        }
    }
}

impl From<WhyError> for RunError {
    fn from(error: WhyError) -> Self {
        match error {
            WhyError::Store(error) => Self::Store(error),
            WhyError::Engine(error) => Self::Engine(error),
        }
    }
}

impl From<DiffError> for RunError {
    fn from(DiffError { table, error }: DiffError) -> Self {
        match Self::engine(error) {
            Self::Engine(error) => Self::Diff(DiffError { table, error }),
            other => other,
        }
    }
}

impl RunError {
    /// Wraps what DataFusion says, unless it only hands on what the store said, or a damaged file led to it.
    #[must_use]
    pub fn engine(error: DataFusionError) -> Self {
        WhyError::engine(error).into()
    }

    /// Says why the landed files of a dataset could not be listed.
    #[must_use]
    pub fn listing(contract: &SourceContract, error: ListingError) -> Self {
        match error {
            ListingError::Missing { folder } => Self::NoLandingFolder {
                dataset: contract.name.clone(),
                folder,
                named_at: format!("{}:{}", contract.from_at.file.path, contract.from_at.line_column().0),
            },
            error => Self::Listing(error),
        }
    }

    /// Returns what led to the failure, one cause after the other, as far as it is not told already.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let mut told = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            let words = cause.to_string();
            // Wrappers from other libraries repeat what they wrap.
            if !told.contains(&words) {
                reasons.push(words.clone());
                told = words;
            }
            source = cause.source();
        }
        reasons
    }

    /// Returns what made a query fail, if that is what stopped the run.
    #[must_use]
    pub fn blame(&self) -> Option<&Blame> {
        match self {
            Self::Check(CheckError { blame, .. })
            | Self::Transform(TransformError::Query { blame: Some(blame), .. }) => Some(blame),
            _ => None,
        }
    }

    /// Returns the failure with all that led to it, on one line: what records and machines keep.
    #[must_use]
    pub fn in_full(&self) -> String {
        let reasons = self.reasons().into_iter().map(|reason| format!(", because {reason}"));
        std::iter::once(self.to_string()).chain(reasons).collect()
    }

    /// Returns what the failure means to whoever started the run.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Transform(TransformError::Query { error, .. })
            | Self::Check(CheckError { error, .. })
            | Self::Diff(DiffError { error, .. })
            | Self::Engine(error)
                if said_by_the_disk(error).is_some() =>
            {
                Exit::Temporary
            }
            Self::Broken { .. }
            | Self::Transform(
                TransformError::Query { .. } | TransformError::Memory { .. } | TransformError::Timeout { .. },
            )
            | Self::Check(_)
            | Self::Diff(_) => Exit::Data,
            Self::Clock(_) | Self::MissingInput { .. } => Exit::Usage,
            Self::Listing(ListingError::Refused { .. }) => Exit::Data,
            Self::Listing(_) | Self::NoLandingFolder { .. } => Exit::Temporary,
            Self::Ingest(error) => match error {
                IngestError::File { .. } | IngestError::Gone { .. } | IngestError::Rejected { .. } => Exit::Data,
                IngestError::Listing(ListingError::Refused { .. }) => Exit::Data,
                IngestError::Listing(_)
                | IngestError::Read { .. }
                | IngestError::Changing { .. }
                | IngestError::Unready { .. } => Exit::Temporary,
                IngestError::Store(store) => store_exit(store),
                IngestError::Bug { .. } => Exit::Bug,
            },
            Self::Clean(CleanError::Rejected { .. }) => Exit::Data,
            Self::Clean(CleanError::Store(store))
            | Self::Store(store)
            | Self::Transform(TransformError::Store(store)) => store_exit(store),
            Self::Behind(store) => store_exit(store),
            Self::Clean(_) | Self::Engine(_) => Exit::Bug,
        }
    }

    /// Returns what the store said, if it was the store that failed.
    fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error)
            | Self::Behind(error)
            | Self::Ingest(IngestError::Store(error))
            | Self::Clean(CleanError::Store(error))
            | Self::Transform(TransformError::Store(error)) => Some(error),
            _ => None,
        }
    }

    /// Returns what the disk said, if it was the disk that refused.
    fn disk(&self) -> Option<&io::Error> {
        if let Self::Transform(TransformError::Query { error, .. })
        | Self::Check(CheckError { error, .. })
        | Self::Diff(DiffError { error, .. })
        | Self::Engine(error) = self
        {
            return said_by_the_disk(error);
        }
        let mut source = self.source();
        while let Some(cause) = source {
            if let Some(error) = cause.downcast_ref() {
                return Some(error);
            }
            source = cause.source();
        }
        None
    }

    /// Returns whether it was only to be read what the disk refused.
    fn is_reading(&self) -> bool {
        let is_read = |error: &StoreError| matches!(error, StoreError::Read { .. });
        matches!(self, Self::Listing(_) | Self::Ingest(IngestError::Listing(_) | IngestError::Read { .. }))
            || self.store().is_some_and(is_read)
    }

    /// Returns what to do, where there is something to say.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Broken { record, .. } => format!(
                "what was published before stands; fix the data or the SQL and run again; `{record}` keeps these rows"
            ),
            Self::Clock(ClockError::Past { .. }) => {
                "leave --as-of out, or give a later one; where the clock of the published tables was wrong, say \
                 --allow-earlier"
                    .to_owned()
            }
            Self::Clock(ClockError::Future { .. }) => "leave --as-of out, or give an earlier one".to_owned(),
            Self::NoLandingFolder { folder, named_at, .. } => format!(
                "mount it if it is a share; make it with `mkdir -p {folder}` if nothing has landed yet; or correct `from` in \
                 {named_at} or `[paths]` in opsmart.toml; nothing of this run was published"
            ),
            Self::Listing(ListingError::Refused { .. }) | Self::Ingest(IngestError::Listing(ListingError::Refused { .. })) => {
                "put a plain file in its place, move it away, or let `from` in the contract match less; nothing of this run was published".to_owned()
            }
            Self::Ingest(IngestError::Rejected { .. }) => {
                "fix the file, the contract, or its `rejected_share`; nothing of this run was published".to_owned()
            }
            Self::Clean(CleanError::Rejected { .. }) => {
                "let what is referenced land, fix the file, or raise its `rejected_share`; nothing of this run was published"
                    .to_owned()
            }
            Self::Ingest(IngestError::Changing { .. }) => {
                "let it land whole, under another name or in another folder first, and run again".to_owned()
            }
            Self::Ingest(IngestError::Gone { path, .. }) => {
                format!("put it back, or give its rows up: `opsmart forget {path}`")
            }
            Self::Ingest(IngestError::Unready { .. }) => "run again when it is whole".to_owned(),
            Self::Ingest(IngestError::File { problem, .. }) => {
                format!("{}; nothing of this run was published", problem.help())
            }
            Self::Transform(TransformError::Memory { operator, .. }) => memory_help(operator),
            Self::Check(CheckError { error, .. }) if is_out_of_memory(error) => {
                memory_help(&Operator::told(&error.find_root().strip_backtrace()))
            }
            Self::Transform(TransformError::Timeout { .. }) => {
                "give it longer with `query_timeout` in opsmart.toml, or let it read less; `with recursive` needs a \
                 condition that ends it"
                    .to_owned()
            }
            Self::Check(CheckError { blame, .. }) | Self::Transform(TransformError::Query { blame: Some(blame), .. })
                if blame.told.help.is_some() =>
            {
                return blame.told.help.clone();
            }
            Self::Diff(DiffError { error, .. }) if is_out_of_memory(error) => {
                "give it more with `memory` in opsmart.toml".to_owned()
            }
            Self::MissingInput { .. } => "leave it out of --exclude, or exclude what is made from it too".to_owned(),
            Self::Behind(StoreError::Format { .. } | StoreError::Newer { .. } | StoreError::Damaged { .. }) => {
                return self.store().and_then(store_help);
            }
            Self::Behind(_) => "the next run, rollback or release does it".to_owned(),
            _ => {
                let store = self.store().and_then(store_help);
                return store.or_else(|| Some(disk_help(self.disk()?, if self.is_reading() { "read" } else { "read and write" })));
            }
        })
    }
}

fn memory_help(operator: &Operator) -> String {
    format!("give it more with --memory or `memory` in opsmart.toml, {}", operator.help())
}

/// Returns what to do about a warehouse that cannot be used as it is.
fn store_help(error: &StoreError) -> Option<String> {
    Some(match error {
        StoreError::Lock(LockError::Held { .. }) => {
            "run again when it is over, or let `opsmart run` wait for it with --on-locked wait=10m".to_owned()
        }
        StoreError::Format { .. } | StoreError::Newer { .. } => {
            "use the opsmart that wrote it, or remove `refs/main` in the warehouse: the next run rebuilds all from the landed files".to_owned()
        }
        StoreError::Damaged { path, .. } if path.ancestors().any(|folder| folder.ends_with("published/current")) => {
            "remove `published/` in the warehouse: the next run makes it again".to_owned()
        }
        StoreError::Damaged { .. } => {
            "restore the file from a backup, or remove `refs/main` in the warehouse: the next run rebuilds all from the landed files".to_owned()
        }
        StoreError::Lost => "other runs published three times meanwhile; try again".to_owned(),
        _ => return None,
    })
}

/// Returns what to do about a disk that refuses what `wanted` says.
fn disk_help(refusal: &io::Error, wanted: &str) -> String {
    const NO_MEMORY: i32 = 12;
    const TOO_MANY_FILES_OF_ALL: i32 = 23;
    const TOO_MANY_FILES: i32 = 24;
    match refusal.raw_os_error() {
        Some(TOO_MANY_FILES) => {
            return "more files were open than may be: raise `ulimit -n`, to 1024 or more, and run again".to_owned();
        }
        Some(TOO_MANY_FILES_OF_ALL) => {
            return "the machine has more files open than it may: run again when others have closed theirs".to_owned();
        }
        Some(NO_MEMORY) => return "the machine has no memory left: run again when there is some".to_owned(),
        _ => {}
    }
    let help = match refusal.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "nothing was published; free space and run again",
        io::ErrorKind::PermissionDenied => {
            return format!("let the user that opsmart runs as {wanted} it, and run again; `ls -ld` shows whose it is");
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "make the disk writable, or let `warehouse` in opsmart.toml name a folder on another"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            "a file stands where a folder should be, or a folder where a file should; move it away and run again"
        }
        _ => "what was published before stands; see to the disk and run again",
    };
    help.to_owned()
}

fn broken(findings: &[FailedCheck]) -> String {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    format!("{errors} failed check{}", if errors == 1 { "" } else { "s" })
}

/// Returns what the disk said to a query or to the engine that starts it, if it was the disk that refused. What is in a file
/// and cannot be understood is no refusal.
fn said_by_the_disk(error: &DataFusionError) -> Option<&io::Error> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(known) = cause {
        if let Some(said) = known.downcast_ref::<io::Error>() {
            let is_content = matches!(said.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
            return Some(said).filter(|_| !is_content);
        }
        cause = known.source();
    }
    None
}

fn store_exit(error: &StoreError) -> Exit {
    match error {
        StoreError::Read { .. } | StoreError::Write { .. } | StoreError::Lock(_) | StoreError::Lost => Exit::Temporary,
        // A result that its own column cannot hold.
        // So is a warehouse that somebody else damaged: trying again does not help, and it is no bug of ours.
        StoreError::Rows { .. } | StoreError::Damaged { .. } | StoreError::Format { .. } | StoreError::Newer { .. } => {
            Exit::Data
        }
        StoreError::Parquet { .. } => Exit::Bug,
    }
}

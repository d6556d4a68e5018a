//! Ingests what is new among the landed files of one dataset: [`LandedReader`] opens each file, and reads it again if it
//! changed meanwhile; `ParquetSink` writes its rows and quarantined records; [`Admission`] puts it among the files of the
//! dataset.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::admission::{Admission, is_read_like};
use super::listing::ListingError;
use super::problem::FileProblem;
use super::reader::{LandedReader, StableRead, bundles};
use crate::digest::Digest;
use crate::landed::{DatasetStep, FileLeft, Listed, Unready};
use crate::project::Project;
use crate::store::{AdmittedFile, Common, DatasetManifest, FileContent, Shared, Store, StoreError};

/// The landed files of a dataset with everything new ingested. Only [`ingest`] makes it.
#[derive(Debug)]
pub struct Raw {
    pub(crate) dataset: String,
    pub(crate) read_hash: Digest,
    pub(crate) next_sequence: u64,
    pub(crate) paths: Vec<AdmittedFile>,
    pub(crate) contents: BTreeMap<Digest, Shared<FileContent>>,
    pub(super) common: Common,
    /// Columns that headers of the files read now lack; none of them is required.
    pub(crate) missing_columns: BTreeSet<String>,
    /// Files that turned out to be still being written, left for a later run.
    pub(crate) left: Vec<FileLeft>,
    /// Paths whose rows stay as an earlier reader made them, because their bytes are gone.
    pub(crate) outdated: Vec<String>,
    /// Files read now that hold nothing, not even a header.
    pub(crate) empty_files: Vec<String>,
}

/// Why a dataset could not be ingested.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The landed files cannot be listed or opened.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// A file as a whole is not what the contract says: a finding, not one quarantined record each.
    #[error("`{path}` cannot be ingested: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: FileProblem,
    },
    /// The bytes that have to be seen again are gone.
    #[error("`{path}` has to be read again because {because}, but it is no longer there as it was")]
    Gone {
        /// The file.
        path: String,
        /// Why it has to be read.
        because: String,
    },
    /// The bytes that have to be seen again are still being written.
    #[error("`{path}` has to be read again because {because}, and it is not whole yet: {why}")]
    Unready {
        /// The file.
        path: String,
        /// Why it has to be read.
        because: String,
        /// What says so.
        why: Unready,
    },
    /// A file was written to, or taken away, each time it was being read.
    #[error("`{path}` changes while it is read")]
    Changing {
        /// The file.
        path: String,
    },
    /// A file's bytes could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Too many of a file's records were quarantined.
    #[error(
        "{quarantined} of the {records} records of `{path}` do not fit the contract; its `rejected_share` allows {allowed}"
    )]
    Rejected {
        /// The file.
        path: String,
        /// How many were quarantined.
        quarantined: u64,
        /// Of how many, blank ones left out.
        records: u64,
        /// How many the contract allows of so many.
        allowed: u64,
        /// The first few of them: line, rule, column and message.
        examples: Vec<String>,
    },
    /// What was read could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A mistake of ours.
    #[error("`{path}`: {reason}")]
    Bug {
        /// The file.
        path: String,
        /// What went wrong.
        reason: String,
    },
}

/// Ingests the files that `step` names, of the dataset that it names.
///
/// Nothing of `before` is lost: paths that are not listed any more stay admitted.
///
/// # Errors
/// The first file, in the order of landing, that cannot be ingested. What was written by then is named by nothing.
pub async fn ingest(
    store: &Store,
    project: &Project,
    step: &DatasetStep,
    before: Option<&Shared<DatasetManifest>>,
    threads: usize,
) -> Result<Raw, IngestError> {
    let contract = &project.sources[&step.name];
    let reader = Arc::new(LandedReader::new(store, project, contract, before));
    let files: Vec<&Listed> = step.files.iter().map(|file| &file.listed).collect();
    let readings = bundles(&files).into_iter().map(|bundle| {
        let reader = Arc::clone(&reader);
        async move { reader.read(bundle).await }
    });
    let mut readings = stream::iter(readings).buffered(threads.max(1));
    let mut admission = Admission::after(before, store, contract, step);
    while let Some(read) = readings.try_next().await? {
        for stable in read {
            match stable {
                StableRead::Read(listed, reading) => admission.admit(&listed, *reading)?,
                StableRead::Left(file) => admission.raw.left.push(file),
            }
        }
    }
    admission.finish()
}

impl Raw {
    /// Returns whether an earlier reader made the rows of the same contents as in `before`.
    pub(crate) fn is_read_like(&self, before: &DatasetManifest) -> bool {
        is_read_like(&self.contents, &before.contents)
    }
}

/// Removes the files of a content that this run wrote; what a snapshot names stays.
pub(super) fn discard(store: &Store, content: &FileContent) {
    content.rows.iter().chain(content.quarantine.as_deref()).for_each(|file| store.discard(file));
}

//! Ingests what is new among the landed files of one dataset: [`LandedReader`] opens each file, and reads it again if it
//! changed meanwhile; [`ParquetSink`] writes its rows and quarantined records; [`Admission`] puts it among the files of the
//! dataset.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Int64Builder, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, SubsecRound, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64;

use super::decode::Compression;
use super::file::{FileInput, Outcome, Pace, Sink, read_at, read_file};
use super::listing::{LandingFolder, ListingError};
use super::problem::{FileProblem, ReadError};
use super::quarantine::QuarantinedRecord;
use crate::digest::{Digest, Parts};
use crate::landed::{DatasetStep, FileLeft, Listed, Unready, live_paths};
use crate::partition::Partitioner;
use crate::project::{FilesMode, Limits, Project, SourceContract};
use crate::store::{AdmittedFile, Common, DatasetManifest, FileContent, ParquetFile, Shared, Slice, Store, StoreError};
use crate::system_tables::SystemTable;

/// The column that names the landed file of a stored row. SQL does not see it.
pub const FILE_COLUMN: &str = "_file";

/// How many quarantined records are gathered before they are written.
const QUARANTINE_BATCH: usize = 4096;

/// How long such records are together at most before they are written: an array of them must not pass 2 GiB.
const QUARANTINE_BYTES: usize = 8 << 20;

/// The landed files of a dataset with everything new ingested. Only [`ingest`] makes it.
#[derive(Debug)]
pub struct Raw {
    pub(crate) dataset: String,
    pub(crate) read_hash: Digest,
    pub(crate) next_sequence: u64,
    pub(crate) paths: Vec<AdmittedFile>,
    pub(crate) contents: BTreeMap<Digest, Shared<FileContent>>,
    common: Common,
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
    let reader = Arc::new(LandedReader {
        store: store.clone(),
        folder: LandingFolder::new(&project.root, &contract.from),
        contract: contract.clone(),
        limits: project.settings.limits,
        landings: Landings::of(before.cloned()),
    });
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

/// The places of admitted files in their list, by path. One path may have been admitted many times.
#[derive(Debug, Default)]
struct PathIndex {
    /// Of each path, the newest.
    newest: HashTable<usize>,
    /// Of each place, the one before it under the same path.
    earlier: Vec<Option<usize>>,
}

impl PathIndex {
    fn hash(path: &str) -> u64 {
        xxh3_64(path.as_bytes())
    }

    /// Takes the next of `files`.
    fn add_next(&mut self, files: &[AdmittedFile]) {
        let at = self.earlier.len();
        let path = &files[at].path;
        let hash = |place: &usize| Self::hash(&files[*place].path);
        match self.newest.entry(Self::hash(path), |place| files[*place].path == *path, hash) {
            Entry::Occupied(mut newest) => self.earlier.push(Some(std::mem::replace(newest.get_mut(), at))),
            Entry::Vacant(free) => {
                free.insert(at);
                self.earlier.push(None);
            }
        }
    }

    /// Returns the places of a path, newest first.
    fn under(&self, files: &[AdmittedFile], path: &str) -> impl Iterator<Item = usize> {
        let newest = self.newest.find(Self::hash(path), |place| *files[*place].path == *path);
        std::iter::successors(newest.copied(), |place| self.earlier[*place])
    }
}

/// The paths that were admitted, oldest first, to be found by path: a run may read as many files as there are.
#[derive(Debug, Default)]
struct Admitted {
    paths: Vec<AdmittedFile>,
    /// The places of those that count no longer.
    put_out: HashSet<usize>,
    by_path: PathIndex,
}

impl Admitted {
    /// Takes what was admitted before, and prepares for so many more.
    fn of(paths: Vec<AdmittedFile>, more: usize) -> Self {
        let mut admitted = Self::default();
        admitted.paths.reserve_exact(paths.len() + more);
        paths.into_iter().for_each(|path| admitted.push(path));
        admitted
    }

    /// Returns the places of what was admitted under one path, oldest first.
    fn under(&self, path: &str) -> Vec<usize> {
        let counting = self.by_path.under(&self.paths, path).filter(|at| !self.put_out.contains(at));
        let mut places: Vec<usize> = counting.collect();
        places.reverse();
        places
    }

    fn push(&mut self, path: AdmittedFile) {
        self.paths.push(path);
        self.by_path.add_next(&self.paths);
    }

    /// Puts those of some places out that are not forgotten.
    fn put_out(&mut self, places: &[usize]) {
        let Self { paths, put_out, .. } = self;
        put_out.extend(places.iter().filter(|at| !paths[**at].forgotten));
    }

    fn oldest_first(mut self) -> Vec<AdmittedFile> {
        let mut places = 0..;
        self.paths.retain(|_| places.next().is_none_or(|at| !self.put_out.contains(&at)));
        self.paths
    }
}

impl Raw {
    /// Returns whether an earlier reader made the rows of the same contents as in `before`.
    pub(crate) fn is_read_like(&self, before: &DatasetManifest) -> bool {
        is_read_like(&self.contents, &before.contents)
    }
}

/// The admission of the files of one step to their dataset: what was admitted before, and what each file that is read
/// adds.
struct Admission<'a> {
    store: &'a Store,
    contract: &'a SourceContract,
    step: &'a DatasetStep,
    before: Option<&'a Shared<DatasetManifest>>,
    /// The dataset as it comes to be; its paths are in `admitted` until the end.
    raw: Raw,
    admitted: Admitted,
}

impl<'a> Admission<'a> {
    /// Begins with what of `before` still holds.
    fn after(
        before: Option<&'a Shared<DatasetManifest>>,
        store: &'a Store,
        contract: &'a SourceContract,
        step: &'a DatasetStep,
    ) -> Self {
        let mut paths = before.map(|before| before.paths.clone()).unwrap_or_default();
        let mut contents = BTreeMap::new();
        if let Some(before) = before
            && before.read_hash == step.read_hash
        {
            contents = before.contents.clone();
            // What an earlier reader made is made anew where its file is there again.
            contents.retain(|_, content| content.read_as.is_none());
        } else if contract.files != FilesMode::Append {
            // Of a path that was appended to before, the last content is what it holds.
            let mut seen = HashSet::new();
            paths.reverse();
            paths.retain(|path| path.forgotten || seen.insert(path.path.clone()));
            paths.reverse();
        }
        let raw = Raw {
            dataset: contract.name.clone(),
            read_hash: step.read_hash.clone(),
            next_sequence: before.map_or(0, |before| before.next_sequence),
            paths: Vec::new(),
            contents,
            common: Common::default(),
            missing_columns: BTreeSet::new(),
            left: Vec::new(),
            outdated: Vec::new(),
            empty_files: Vec::new(),
        };
        Self { store, contract, step, before, raw, admitted: Admitted::of(paths, step.files.len()) }
    }

    /// Admits one file that was read.
    fn admit(&mut self, listed: &Listed, reading: Reading) -> Result<(), IngestError> {
        let Reading { identity, content, missing_columns, examples, is_empty } = reading;
        self.raw.empty_files.extend(is_empty.then(|| listed.path.to_string()));
        self.raw.missing_columns.extend(missing_columns);
        let places = self.admitted.under(&listed.path);
        let is_content = |at: &usize| self.admitted.paths[*at].content == identity;
        if let Some(at) = places.iter().copied().find(|at| self.admitted.paths[*at].forgotten && is_content(at)) {
            discard(self.store, &content);
            self.stay_forgotten(at, &places, listed);
            return Ok(());
        }
        let as_before = places.last().copied().filter(is_content);
        if self.raw.contents.contains_key(&identity) {
            // A copy, or a file that was touched and not changed: its rows are there already.
            discard(self.store, &content);
        } else {
            reject_if_too_many(self.contract, listed, &content, examples)?;
            let mut content = content;
            self.raw.common.share(&mut content);
            self.raw.contents.insert(identity.clone(), content.into());
        }
        if let Some(at) = as_before {
            self.admitted.paths[at].etag = listed.etag.clone();
            return Ok(());
        }
        if self.contract.files != FilesMode::Append {
            self.admitted.put_out(&places);
        }
        self.push(AdmittedFile {
            path: listed.path.clone(),
            etag: listed.etag.clone(),
            bytes: listed.bytes,
            landed_at: listed.landed_at,
            sequence: self.raw.next_sequence,
            content: identity,
            forgotten: false,
        });
        Ok(())
    }

    /// Notes that a path holds bytes, still or again, that were forgotten.
    fn stay_forgotten(&mut self, at: usize, places: &[usize], listed: &Listed) {
        if places.last() == Some(&at) {
            self.admitted.paths[at].etag = listed.etag.clone();
            return;
        }
        // It held something else in between, which is there no more.
        let path = self.admitted.paths[at].clone();
        self.admitted.put_out.insert(at);
        if self.contract.files != FilesMode::Append {
            self.admitted.put_out(places);
        }
        self.push(AdmittedFile { etag: listed.etag.clone(), sequence: self.raw.next_sequence, ..path });
    }

    /// Appends a path, which has taken the next number of the sequence.
    fn push(&mut self, path: AdmittedFile) {
        self.admitted.push(path);
        self.raw.next_sequence += 1;
    }

    /// Returns the dataset, once every file was admitted.
    fn finish(mut self) -> Result<Raw, IngestError> {
        self.raw.paths = std::mem::take(&mut self.admitted).oldest_first();
        self.drop_dead_contents();
        self.keep_outdated();
        for path in live_paths(self.contract.files, &self.raw.paths) {
            if !self.raw.contents.contains_key(&path.content) {
                return Err(self.unread(path));
            }
        }
        Ok(self.raw)
    }

    fn drop_dead_contents(&mut self) {
        let live = live_paths(self.contract.files, &self.raw.paths);
        let live: HashSet<&Digest> = live.iter().map(|path| &path.content).collect();
        self.raw.contents.retain(|identity, content| {
            let lives = live.contains(identity);
            if !lives {
                // Only what this run wrote is removed; what a snapshot names stays.
                discard(self.store, content);
            }
            lives
        });
    }

    /// Takes over the rows that an earlier reader made of bytes that are gone.
    fn keep_outdated(&mut self) {
        let Self { step, raw, .. } = self;
        let Some(before) = self.before.filter(|before| step.is_raised || before.read_hash == step.read_hash) else {
            return;
        };
        for path in live_paths(self.contract.files, &raw.paths) {
            let Some(content) = before.contents.get(&path.content) else { continue };
            if raw.contents.contains_key(&path.content) || !(step.is_raised || content.read_as.is_some()) {
                continue;
            }
            let read_as = content.read_as.clone().or_else(|| Some(Box::new(before.read_hash.clone())));
            raw.contents.insert(path.content.clone(), FileContent { read_as, ..FileContent::clone(content) }.into());
            raw.outdated.push(path.path.to_string());
        }
    }

    /// Returns why a path that counts has no rows.
    fn unread(&self, path: &AdmittedFile) -> IngestError {
        let because = match self.before {
            Some(before) if before.read_hash == self.step.read_hash => "it counts again".to_owned(),
            _ => format!("the contract of `{}` changed", self.contract.name),
        };
        if let Some(left) = self.step.left.iter().chain(&self.raw.left).find(|left| left.path == *path.path) {
            let FileLeft { path, why } = left.clone();
            return IngestError::Unready { path, because, why };
        }
        IngestError::Gone { path: path.path.to_string(), because }
    }
}

/// Returns whether an earlier reader made the rows of the same contents in both.
pub(crate) fn is_read_like(
    ones: &BTreeMap<Digest, Shared<FileContent>>,
    others: &BTreeMap<Digest, Shared<FileContent>>,
) -> bool {
    outdated(ones).eq(outdated(others))
}

/// Returns the contents whose rows an earlier reader made, by identity, and its read hash.
fn outdated(contents: &BTreeMap<Digest, Shared<FileContent>>) -> impl Iterator<Item = (&Digest, &Digest)> {
    contents.iter().filter_map(|(identity, content)| Some((identity, content.read_as.as_deref()?)))
}

fn discard(store: &Store, content: &FileContent) {
    content.rows.iter().chain(content.quarantine.as_deref()).for_each(|file| store.discard(file));
}

fn reject_if_too_many(
    contract: &SourceContract,
    listed: &Listed,
    content: &FileContent,
    examples: Vec<String>,
) -> Result<(), IngestError> {
    let ledger = &content.ledger;
    // What was erased counts as if it fitted: a file that was ingested is not to fail for it.
    let records = ledger.accepted + ledger.quarantined;
    let allowed = contract.may_reject(records);
    if ledger.misfits() <= allowed {
        return Ok(());
    }
    Err(IngestError::Rejected {
        path: listed.path.to_string(),
        quarantined: ledger.misfits(),
        records,
        allowed,
        examples,
    })
}

/// One file, read.
struct Reading {
    identity: Digest,
    content: FileContent,
    missing_columns: Vec<String>,
    examples: Vec<String>,
    /// Whether it holds neither a header nor a record.
    is_empty: bool,
}

/// What came of reading a file.
enum StableRead {
    /// It was the same before and after.
    Read(Listed, Box<Reading>),
    /// It changed, and what the contract says of files that are being written leaves it for later.
    Left(FileLeft),
}

/// How often a file is read that changes while it is read.
const READINGS: usize = 3;

/// A file below this may be read, and its rows stored, together with others.
const TINY_BYTES: u64 = 16 << 10;
/// How many files are read together at most, and how many bytes.
const BUNDLE_FILES: usize = 1024;
const BUNDLE_BYTES: u64 = 256 << 10;
/// Enough for most such files.
const TINY_PACE: Pace = Pace { chunk_bytes: 32 << 10, batch_rows: 8192 };

/// Returns the files in their order: tiny ones, whose rows share a file, in bundles, the others alone. A file of its own for
/// each row, fsynced, would cost more than a millisecond.
fn bundles<'a>(files: &'a [&'a Listed]) -> Vec<&'a [&'a Listed]> {
    let mut bundles = Vec::new();
    let mut rest = files;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |listed: &&&Listed| {
            bytes += listed.bytes;
            // What is packed may be large.
            listed.bytes < TINY_BYTES && bytes <= BUNDLE_BYTES && Compression::of(&listed.path) == Compression::of("")
        };
        let many = rest.iter().take(BUNDLE_FILES).take_while(fits).count().max(1);
        let (bundle, others) = rest.split_at(many);
        bundles.push(bundle);
        rest = others;
    }
    bundles
}

/// The reader of one dataset's landed files.
struct LandedReader {
    store: Store,
    folder: LandingFolder,
    contract: SourceContract,
    limits: Limits,
    landings: Landings,
}

impl LandedReader {
    /// Reads the files of a bundle, and returns them in their order.
    async fn read(self: Arc<Self>, bundle: &[&Listed]) -> Result<Vec<StableRead>, IngestError> {
        match bundle {
            [alone] => Ok(vec![self.read_stable(alone).await?]),
            several => self.read_bundle(several).await,
        }
    }

    /// Reads tiny files one after the other, and stores their rows in one file. A file about which anything is unusual is
    /// read once more, alone.
    async fn read_bundle(self: &Arc<Self>, bundle: &[&Listed]) -> Result<Vec<StableRead>, IngestError> {
        let listed: Vec<Listed> = bundle.iter().map(|listed| (*listed).clone()).collect();
        let path = listed[0].path.to_string();
        let reader = Arc::clone(self);
        let read = match tokio::task::spawn_blocking(move || reader.read_together(&listed)).await {
            Ok(read) => read?,
            Err(error) => return Err(IngestError::Bug { path, reason: error.to_string() }),
        };
        let mut stable = Vec::with_capacity(read.len());
        for (listed, reading) in bundle.iter().zip(read) {
            stable.push(match reading {
                Some(reading) => StableRead::Read((*listed).clone(), Box::new(reading)),
                None => self.read_stable(listed).await?,
            });
        }
        Ok(stable)
    }

    /// Reads files one after the other; `None` stands for one that has to be read alone.
    fn read_together(&self, listed: &[Listed]) -> Result<Vec<Option<Reading>>, StoreError> {
        let mut rows = None;
        let mut readings = Vec::with_capacity(listed.len());
        for listed in listed {
            let read = self.read_tiny(listed, &mut rows);
            // Whatever was written of it, rows of the next one begin behind that.
            let slice = rows.as_mut().and_then(ParquetFile::cut);
            readings.push(read?.map(|reading| (reading, slice)));
        }
        let key = self.contract.key.first().map_or("", String::as_str);
        let written = rows.map(|file| file.finish_with_range(key)).transpose()?;
        let written = written.map(|(file, range)| (file, range.map(Shared::from)));
        let with_rows = |(mut reading, slice): (Reading, Option<Slice>)| {
            if let (Some(slice), Some((file, range))) = (slice, &written) {
                reading.content.rows = Some(slice.of(file));
                reading.content.key_range.clone_from(range);
            }
            reading
        };
        Ok(readings.into_iter().map(|read| read.map(with_rows)).collect())
    }

    /// Reads one of several files, whose rows go to `rows`; `None` if it has to be read alone.
    fn read_tiny(&self, listed: &Listed, rows: &mut Option<ParquetFile>) -> Result<Option<Reading>, StoreError> {
        let Self { store, contract, landings, .. } = self;
        let now = listed.landed_at.trunc_subsecs(6);
        let landed_at = landings.of_file(listed).unwrap_or(now);
        let Ok(bytes) = self.folder.open(&listed.path) else { return Ok(None) };
        let captures = captured(contract, listed);
        let input = self.input(listed, &captures, landed_at);
        let mut tables = ParquetSink::new(store, contract, listed, rows);
        tables.is_shared = true;
        let outcome = match read_at(TINY_PACE, &input, bytes, &mut tables) {
            Ok(outcome) => outcome,
            Err(ReadError::Sink(error)) => return Err(error),
            Err(_) => return Ok(None),
        };
        let reading = tables.finish(identity(&outcome.content, &captures), landed_at, outcome)?;
        let is_as_listed = self.folder.look(listed, &contract.ready).is_some_and(|now| now.etag == listed.etag);
        let expected = landings.of_content(&reading.identity).unwrap_or(now);
        if is_as_listed && expected == landed_at {
            return Ok(Some(reading));
        }
        discard(store, &reading.content);
        Ok(None)
    }

    /// Reads a file that is the same before and after, and returns it as it was then.
    ///
    /// A file that is still being written to may end in the middle of a record, or of a compressed stream; what is found
    /// in it then says nothing.
    async fn read_stable(self: &Arc<Self>, listed: &Listed) -> Result<StableRead, IngestError> {
        let mut listed = listed.clone();
        for _ in 0..READINGS {
            let read = self.read_landed(&listed).await;
            let now = self.folder.look(&listed, &self.contract.ready);
            if now.as_ref().is_some_and(|now| now.etag == listed.etag) {
                return read.map(|reading| StableRead::Read(listed, Box::new(reading)));
            }
            if let Ok(Reading { content, .. }) = read {
                discard(&self.store, &content);
            }
            match now {
                Some(Listed { path, unready: Some(why), .. }) => {
                    return Ok(StableRead::Left(FileLeft { path: path.to_string(), why: *why }));
                }
                Some(now) => listed = now,
                None => break,
            }
        }
        Err(IngestError::Changing { path: listed.path.to_string() })
    }

    /// Reads a file and holds its times against when its content landed, which may take a second reading: only the first
    /// says that the content was there before.
    async fn read_landed(self: &Arc<Self>, listed: &Listed) -> Result<Reading, IngestError> {
        // As it is remembered.
        let now = listed.landed_at.trunc_subsecs(6);
        let expected = self.landings.of_file(listed).unwrap_or(now);
        let reading = self.read_one(listed, expected).await?;
        let landed_at = self.landings.of_content(&reading.identity).unwrap_or(now);
        if landed_at == expected {
            return Ok(reading);
        }
        if !self.contract.asks_the_landing() {
            return Ok(Reading { content: FileContent { landed_at, ..reading.content }, ..reading });
        }
        discard(&self.store, &reading.content);
        self.read_one(listed, landed_at).await
    }

    /// Reads a file as if it had landed at some time.
    async fn read_one(self: &Arc<Self>, listed: &Listed, landed_at: DateTime<Utc>) -> Result<Reading, IngestError> {
        let bytes = self.folder.read(&listed.path).await?;
        let listed = listed.clone();
        let path = listed.path.to_string();
        let reader = Arc::clone(self);
        match tokio::task::spawn_blocking(move || reader.read_bytes(&listed, landed_at, bytes)).await {
            Ok(reading) => reading,
            Err(error) => Err(IngestError::Bug { path, reason: error.to_string() }),
        }
    }

    fn read_bytes(
        &self,
        listed: &Listed,
        landed_at: DateTime<Utc>,
        bytes: Box<dyn Read + Send>,
    ) -> Result<Reading, IngestError> {
        let captures = captured(&self.contract, listed);
        let input = self.input(listed, &captures, landed_at);
        let mut rows = None;
        let mut tables = ParquetSink::new(&self.store, &self.contract, listed, &mut rows);
        let outcome = read_file(&input, bytes, &mut tables).map_err(|error| ingest_error(listed, error))?;
        let mut reading = tables.finish(identity(&outcome.content, &captures), landed_at, outcome)?;
        let key = self.contract.key.first().map_or("", String::as_str);
        if let Some((rows, range)) = rows.map(|file| file.finish_with_range(key)).transpose()? {
            (reading.content.rows, reading.content.key_range) = (Some(rows), range.map(Shared::from));
        }
        Ok(reading)
    }

    fn input<'a>(
        &'a self,
        listed: &Listed,
        captures: &'a [(String, String)],
        landed_at: DateTime<Utc>,
    ) -> FileInput<'a> {
        let compression = Compression::of(&listed.path);
        FileInput { contract: &self.contract, limits: &self.limits, captures, compression, landed_at: Some(landed_at) }
    }
}

/// When contents landed that were admitted before.
///
/// A content keeps its time while a file that lives holds it: neither a file that is touched or copied nor a contract
/// that changes makes the same bytes land later.
#[derive(Debug, Default)]
struct Landings {
    before: Option<Shared<DatasetManifest>>,
    /// The places of the paths of before, by path, so that a file that is what it was need not be read to be known.
    by_path: PathIndex,
    /// Of contents that have a path and no rows.
    of_gone: HashMap<Digest, DateTime<Utc>>,
}

impl Landings {
    fn of(before: Option<Shared<DatasetManifest>>) -> Self {
        let mut landings = Self { before, ..Self::default() };
        let Some(before) = &landings.before else { return landings };
        for path in &before.paths {
            landings.by_path.add_next(&before.paths);
            if !before.contents.contains_key(&path.content) {
                landings.of_gone.entry(path.content.clone()).or_insert(path.landed_at);
            }
        }
        landings
    }

    fn of_content(&self, identity: &Digest) -> Option<DateTime<Utc>> {
        let content = self.before.as_ref().and_then(|before| before.contents.get(identity));
        content.map(|content| content.landed_at).or_else(|| self.of_gone.get(identity).copied())
    }

    /// Returns when the content of a file landed, if the file is what it was.
    fn of_file(&self, listed: &Listed) -> Option<DateTime<Utc>> {
        let before = self.before.as_ref()?;
        let mut of_path = self.by_path.under(&before.paths, &listed.path);
        let at = of_path.find(|at| before.paths[*at].etag == listed.etag)?;
        self.of_content(&before.paths[at].content)
    }
}

/// Returns the columns whose values a file's path gives, with those values.
pub(super) fn captured(contract: &SourceContract, listed: &Listed) -> Vec<(String, String)> {
    contract.from.captures().iter().cloned().zip(listed.captures.iter().cloned()).collect()
}

/// Returns what tells a content from others: its decoded bytes and what the path says of them.
pub(super) fn identity(content: &Digest, captures: &[(String, String)]) -> Digest {
    let mut identity = Parts::of("landed");
    identity.add(content.as_str());
    captures.iter().for_each(|(column, value)| {
        identity.add(column);
        identity.add(value);
    });
    identity.digest()
}

fn ingest_error(listed: &Listed, error: ReadError<StoreError>) -> IngestError {
    let path = listed.path.to_string();
    match error {
        ReadError::File(problem) => IngestError::File { path, problem },
        ReadError::Read(source) => IngestError::Read { path, source },
        ReadError::Sink(store) => IngestError::Store(store),
        other => IngestError::Bug { path, reason: other.to_string() },
    }
}

/// Where the records of one file go: accepted rows to one Parquet file, the others to another.
struct ParquetSink<'a> {
    store: &'a Store,
    contract: &'a SourceContract,
    path: &'a str,
    schema: SchemaRef,
    /// The file of accepted rows, once there are any.
    rows: &'a mut Option<ParquetFile>,
    /// Whether rows of other landed files go there too.
    is_shared: bool,
    quarantine: Option<ParquetFile>,
    aside: Quarantine,
    examples: Vec<String>,
}

/// Returns the schema of the stored rows of a dataset: its columns, then where each row came from.
pub(crate) fn stored_row_schema(contract: &SourceContract) -> SchemaRef {
    let columns = contract.columns.iter().map(|(name, column)| Field::new(name, column.kind.arrow(), true));
    let origin = [Field::new(FILE_COLUMN, DataType::Utf8, true), Field::new(super::LINE_COLUMN, DataType::Int64, true)];
    Arc::new(Schema::new(columns.chain(origin).collect::<Vec<_>>()))
}

/// Returns what tells the stored rows of a dataset apart, if they are.
pub(crate) fn partitioner(contract: &SourceContract) -> Option<Partitioner> {
    Partitioner::new(contract.partition.as_ref()?, &stored_row_schema(contract))
}

impl<'a> ParquetSink<'a> {
    fn new(
        store: &'a Store,
        contract: &'a SourceContract,
        listed: &'a Listed,
        rows: &'a mut Option<ParquetFile>,
    ) -> Self {
        Self {
            store,
            contract,
            path: &listed.path,
            schema: stored_row_schema(contract),
            rows,
            is_shared: false,
            quarantine: None,
            aside: Quarantine::default(),
            examples: Vec::new(),
        }
    }

    fn write_aside(&mut self) -> Result<(), StoreError> {
        if self.aside.rows == 0 {
            return Ok(());
        }
        let schema = SystemTable::Quarantine.schema();
        let file = match &mut self.quarantine {
            Some(file) => file,
            none => none.insert(self.store.create_parquet(
                SystemTable::Quarantine.name(),
                &schema,
                schema.fields().len(),
            )?),
        };
        let batch = self.aside.take(&self.contract.name, self.path, &schema);
        let batch =
            batch.map_err(|source| StoreError::Rows { table: SystemTable::Quarantine.name().to_owned(), source })?;
        file.write(&batch)
    }

    /// Says what became of the file; its rows are in `self.rows`, for the caller to end.
    fn finish(mut self, identity: Digest, landed_at: DateTime<Utc>, outcome: Outcome) -> Result<Reading, StoreError> {
        self.write_aside()?;
        let quarantine = self.quarantine.map(ParquetFile::finish).transpose()?.map(Box::new);
        let content = FileContent {
            hash: outcome.content,
            landed_at,
            counted_as: 0,
            ledger: outcome.ledger.into(),
            rows: None,
            key_range: None,
            quarantine,
            unknown_columns: outcome.unknown_columns.into(),
            read_as: None,
        };
        let is_empty = content.ledger.accepted + content.ledger.quarantined == 0 && !outcome.has_header;
        let missing_columns = outcome.missing_columns;
        Ok(Reading { identity, content, missing_columns, examples: self.examples, is_empty })
    }
}

impl Sink for ParquetSink<'_> {
    type Error = StoreError;

    fn rows(&mut self, batch: RecordBatch) -> Result<(), StoreError> {
        let width = self.contract.columns.len();
        let file = match &mut *self.rows {
            Some(file) => file,
            none => {
                let file = self.store.create_parquet(&self.contract.name, &self.schema, width)?;
                let file = if self.is_shared { file.shared() } else { file };
                none.insert(file.by(partitioner(self.contract)))
            }
        };
        let path: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(self.path, batch.num_rows())));
        let mut columns = batch.columns()[..width].to_vec();
        // The line leads back to the record; the byte where it starts, which compresses badly, need not be kept.
        columns.extend([path, Arc::clone(batch.column(width))]);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|source| StoreError::Rows { table: self.contract.name.clone(), source })?;
        file.write(&batch)
    }

    fn quarantine(&mut self, record: QuarantinedRecord<'_>) -> Result<(), StoreError> {
        if self.examples.len() < 5 && record.reason != super::Reason::Erased {
            let column = record.column.map(|column| format!(" in `{column}`")).unwrap_or_default();
            self.examples.push(format!("{}:{}: {}{column}: {}", self.path, record.line, record.reason, record.message));
        }
        self.aside.push(&record);
        let is_enough = self.aside.rows >= QUARANTINE_BATCH || self.aside.bytes >= QUARANTINE_BYTES;
        if is_enough { self.write_aside() } else { Ok(()) }
    }
}

/// Records that were quarantined and not written yet.
#[derive(Default)]
struct Quarantine {
    rows: usize,
    /// How long their records are together.
    bytes: usize,
    line: Int64Builder,
    offset: Int64Builder,
    reason: StringBuilder,
    column: StringBuilder,
    message: StringBuilder,
    record: BinaryBuilder,
}

impl Quarantine {
    fn push(&mut self, record: &QuarantinedRecord<'_>) {
        self.rows += 1;
        self.bytes += record.bytes.len();
        self.line.append_value(record.line.cast_signed());
        self.offset.append_value(record.offset.cast_signed());
        self.reason.append_value(record.reason.as_str());
        self.column.append_option(record.column);
        self.message.append_value(&record.message);
        self.record.append_value(record.bytes);
    }

    fn take(&mut self, dataset: &str, path: &str, schema: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
        let repeat =
            |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, self.rows))) };
        let (dataset, path) = (repeat(dataset), repeat(path));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new(
            Arc::clone(schema),
            vec![
                dataset,
                path,
                Arc::new(self.line.finish()),
                Arc::new(self.offset.finish()),
                Arc::new(self.reason.finish()),
                Arc::new(self.column.finish()),
                Arc::new(self.message.finish()),
                Arc::new(self.record.finish()),
            ],
        )
    }
}

//! Reads landed files, each as it was at one moment: a file that changes while it is read is read again, and tiny ones are
//! read together. The calls: `read` → `read_stable` → `read_landed` → `read_one` → `read_bytes` → [`read_file`].

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};

use super::admission::PathIndex;
use super::dataset::{IngestError, discard};
use super::decode::Compression;
use super::file::{FileInput, Pace, read_at, read_file};
use super::listing::LandingFolder;
use super::parquet_sink::ParquetSink;
use super::problem::ReadError;
use crate::digest::{Digest, Parts};
use crate::landed::{FileLeft, Listed};
use crate::project::{Limits, Project, SourceContract};
use crate::store::{DatasetManifest, FileContent, ParquetFile, Shared, Slice, Store, StoreError};

/// One file, read.
pub(super) struct Reading {
    pub(super) identity: Digest,
    pub(super) content: FileContent,
    pub(super) missing_columns: Vec<String>,
    pub(super) examples: Vec<String>,
    /// Whether it holds neither a header nor a record.
    pub(super) is_empty: bool,
}

/// What came of reading a file.
pub(super) enum StableRead {
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
pub(super) fn bundles<'a>(files: &'a [&'a Listed]) -> Vec<&'a [&'a Listed]> {
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
pub(super) struct LandedReader {
    store: Store,
    folder: LandingFolder,
    contract: SourceContract,
    limits: Limits,
    landings: Landings,
}

impl LandedReader {
    pub(super) fn new(
        store: &Store,
        project: &Project,
        contract: &SourceContract,
        before: Option<&Shared<DatasetManifest>>,
    ) -> Self {
        Self {
            store: store.clone(),
            folder: LandingFolder::new(&project.root, &contract.from),
            contract: contract.clone(),
            limits: project.settings.limits,
            landings: Landings::of(before.cloned()),
        }
    }

    /// Reads the files of a bundle, and returns them in their order.
    pub(super) async fn read(self: Arc<Self>, bundle: &[&Listed]) -> Result<Vec<StableRead>, IngestError> {
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
        let mut sink = ParquetSink::new(store, contract, listed, rows);
        sink.is_shared = true;
        let outcome = match read_at(TINY_PACE, &input, bytes, &mut sink) {
            Ok(outcome) => outcome,
            Err(ReadError::Sink(error)) => return Err(error),
            Err(_) => return Ok(None),
        };
        let reading = sink.finish(identity(&outcome.content, &captures), landed_at, outcome)?;
        let is_as_listed = self.folder.relist(listed, &contract.ready).is_some_and(|now| now.etag == listed.etag);
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
            let now = self.folder.relist(&listed, &self.contract.ready);
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
        let mut sink = ParquetSink::new(&self.store, &self.contract, listed, &mut rows);
        let outcome = read_file(&input, bytes, &mut sink).map_err(|error| ingest_error(listed, error))?;
        let mut reading = sink.finish(identity(&outcome.content, &captures), landed_at, outcome)?;
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

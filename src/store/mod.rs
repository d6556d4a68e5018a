//! The warehouse: immutable files, states of tables, snapshots, and one reference that names the current snapshot.
//!
//! ```text
//! data/<table>/all/<id>.parquet   rows; written once, never renamed, never changed
//! tables/<table>/<digest>.json    states of tables, named by the digest of their bytes
//! checks/<digest>.json            the results of checks
//! manifests/<digest>.json         what a project consisted of
//! snapshots/<digest>.json         table → state; admitted files are in the states of datasets
//! refs/main, refs/<branch>        which snapshot is current; replaced by each publication
//! published/                      what BI tools open; derived from the reference
//! branches/<branch>/              the same of a branch
//! runs/<id>/                      what each run did, or that it has begun
//! tmp/                            what the queries of a run spill, and files without a name
//! memos/                          what need not be found out again
//! locks/                          kernel locks, free when their process dies
//! ```
//!
//! Promises: a run only adds files, and nothing that it adds is seen before [`Store::commit`]; everything that a
//! snapshot names has reached the disk before the reference names the snapshot; a crash at any moment leaves files
//! that nothing names, and no other trace. This is the only module that writes data. It knows nothing of SQL,
//! contracts or how rows are made.

mod branches;
mod crash;
mod disk;
mod documents;
mod encodings;
mod garbage;
mod integrity;
mod key_range;
mod leases;
mod ledger;
mod lock;
mod ops_tables;
mod parquet_file;
mod published;
mod read;
mod rows;
mod runs;
mod scratch;
mod shared;
mod state;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::digest::Digest;
use leases::Leases;

pub use branches::MAIN;
pub use crash::crash_point;
pub use disk::{Disk, LocalDisk, NewFile, other_than_a_file};
pub use garbage::{Garbage, Keep};
pub use key_range::KeyRange;
pub use ledger::{CleanCounts, Ledger};
pub use lock::{Holder, Lock, LockError, OnLocked};
pub use ops_tables::{METADATA, OPS_TABLES};
pub use parquet_file::{ParquetFile, Slice, conform};
pub use read::{Batches, RowGroup, read_batches, read_row_group, read_row_numbers, row_groups};
pub use rows::{RowHasher, RowSum};
pub use runs::{RUN_LINEAGE, RUN_RECORD, RunMark};
pub use scratch::Scratch;
pub use shared::Shared;
pub use state::{
    AdmittedFile, CheckResult, CheckResults, CheckStatus, ColumnState, Common, DataFile, DatasetManifest, DedupResult,
    DroppedRows, FileContent, FileOnDisk, FilePart, FileRole, PartitionFingerprints, ROW_COLUMN, Snapshot, TableEntry,
    TableState, schema_of,
};

/// The version of the formats of states and snapshots.
pub const FORMAT: u32 = 4;

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{path}`")]
    Write {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of ours does not say what it should.
    #[error("`{path}` is damaged: {reason}")]
    Damaged {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another version of opsmart wrote this.
    #[error("`{path}` is written in format {found}, and this opsmart reads and writes format {FORMAT}")]
    Format {
        /// The file.
        path: Utf8PathBuf,
        /// The version of its format.
        found: u32,
    },
    /// A file is as it was written, and says what this version does not know.
    #[error("`{path}` was written by a newer opsmart: {reason}")]
    Newer {
        /// The file.
        path: Utf8PathBuf,
        /// What is not known.
        reason: String,
    },
    /// Parquet could not be written.
    #[error("cannot encode `{path}`")]
    Parquet {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: parquet::errors::ParquetError,
    },
    /// Rows do not fit the columns that they are stored as.
    #[error("rows of `{table}` do not fit its columns")]
    Rows {
        /// The table.
        table: String,
        /// Why.
        source: arrow::error::ArrowError,
    },
    /// A lock could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The reference was moved by another run since it was read.
    #[error("another run published first")]
    Lost,
}

impl StoreError {
    /// Returns the damage that led to an error, or the refusal to let a file be read, if it was one.
    #[must_use]
    pub fn damage_behind(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        match error.downcast_ref() {
            Some(Self::Damaged { path, reason }) => Some(Self::Damaged { path: path.clone(), reason: reason.clone() }),
            Some(Self::Read { path, source }) => {
                let source = match source.raw_os_error() {
                    Some(number) => io::Error::from_raw_os_error(number),
                    None => io::Error::new(source.kind(), source.to_string()),
                };
                Some(Self::Read { path: path.clone(), source })
            }
            _ => Self::damage_behind(error.source()?),
        }
    }
}

/// What `refs/main` says, or the file of a branch beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRef {
    /// The current snapshot.
    pub snapshot: Digest,
    /// Set by a rollback, and by a run whose numbers moved too far: later runs build, but what they build waits here
    /// until it is released.
    pub held: Option<Held>,
}

/// What waits for a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The newest snapshot: what a release makes current.
    pub waiting: Digest,
    /// The columns, each as `table.column`, in which numbers moved by more than was agreed; none after a rollback.
    #[serde(rename = "moved", default, skip_serializing_if = "Vec::is_empty")]
    pub exceeded: Vec<String>,
}

impl SnapshotRef {
    /// Returns the snapshot that the next run starts from: the newest, current or waiting.
    #[must_use]
    pub fn newest(&self) -> &Digest {
        self.held.as_ref().map_or(&self.snapshot, |held| &held.waiting)
    }
}

/// A warehouse on a disk.
#[derive(Debug, Clone)]
pub struct Store {
    root: Utf8PathBuf,
    /// Whose reference counts.
    branch: String,
    disk: Arc<dyn Disk>,
    /// Folders in which this process made files whose names have not been synced yet.
    unsynced: Arc<Mutex<BTreeSet<Utf8PathBuf>>>,
    /// Data files that this process made and no snapshot names yet.
    unnamed: Arc<Mutex<BTreeSet<Utf8PathBuf>>>,
    /// What keeps others from removing what this process reads or makes.
    leases: Arc<Leases>,
}

impl Store {
    /// Opens the warehouse at `root`, which need not exist yet, on main.
    #[must_use]
    pub fn open(root: &Utf8Path, disk: Arc<dyn Disk>) -> Self {
        Self {
            root: root.to_path_buf(),
            branch: MAIN.to_owned(),
            disk,
            unsynced: Arc::default(),
            unnamed: Arc::default(),
            leases: Arc::default(),
        }
    }

    /// Returns the folder of the warehouse.
    #[must_use]
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Returns where a file of the warehouse is.
    #[must_use]
    pub fn path(&self, file: &DataFile) -> Utf8PathBuf {
        self.root.join(&file.path)
    }

    /// Makes sure that a file is there and as long as it was when it was written.
    ///
    /// # Errors
    /// When it is not: a query would find no rows in it and say nothing.
    pub fn assure(&self, file: &DataFile) -> Result<(), StoreError> {
        if let Some(without) = &file.deletion_vector {
            self.assure(without)?;
        }
        let path = self.path(file);
        let reason = match std::fs::metadata(&path) {
            Ok(found) if found.len() == file.bytes => return Ok(()),
            Ok(found) => format!("it has {} bytes and should have {}", found.len(), file.bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => "it is missing".to_owned(),
            Err(source) => return Err(StoreError::Read { path, source }),
        };
        Err(StoreError::Damaged { path, reason })
    }

    /// Returns the folder that the queries of a run may spill to.
    #[must_use]
    pub fn spill_folder(&self, run: &str) -> Utf8PathBuf {
        self.root.join("tmp").join(run)
    }

    /// Removes the spill folder of a run that has ended, and those that killed runs left behind more than a day ago.
    pub fn remove_spills(&self, run: &str) {
        let _ = std::fs::remove_dir_all(self.spill_folder(run));
        for entry in self.root.join("tmp").read_dir_utf8().into_iter().flatten().flatten() {
            let age = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .map(|made| made.elapsed().unwrap_or_default());
            if age.is_ok_and(|age| age > Duration::from_hours(24)) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Returns what the reference says, or nothing before the first publication.
    pub fn reference(&self) -> Result<Option<SnapshotRef>, StoreError> {
        let path = self.reference_path();
        match self.disk.read(&path) {
            Ok(bytes) => parse(&path, &bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Read { path, source }),
        }
    }

    /// Returns the reference and the current snapshot, whose tables stay as long as this store is open; nothing before
    /// the first publication.
    pub fn current(&self) -> Result<Option<(SnapshotRef, Snapshot)>, StoreError> {
        self.picked(|reference| &reference.snapshot)
    }

    /// Returns the reference and the newest snapshot, whose tables stay as long as this store is open; nothing before the
    /// first publication.
    pub fn newest(&self) -> Result<Option<(SnapshotRef, Snapshot)>, StoreError> {
        self.picked(SnapshotRef::newest)
    }

    fn picked(&self, pick: impl Fn(&SnapshotRef) -> &Digest) -> Result<Option<(SnapshotRef, Snapshot)>, StoreError> {
        loop {
            let Some(reference) = self.reference()? else { return Ok(None) };
            let snapshot = self.snapshot(pick(&reference));
            // Otherwise another took its place, and it may have been removed between the two looks.
            if self.reference()?.as_ref() == Some(&reference) {
                return snapshot.map(|snapshot| Some((reference, snapshot)));
            }
        }
    }

    /// Returns a snapshot, whose tables stay as long as this store is open.
    pub fn snapshot(&self, id: &Digest) -> Result<Snapshot, StoreError> {
        self.leases.read(id, &self.snapshot_path(id))?;
        self.read_snapshot(id)
    }

    /// Returns a snapshot and those behind it, the newest first, without keeping their tables from being removed. They end
    /// where a parent has been removed.
    pub fn line(&self, from: &Digest) -> impl Iterator<Item = Result<(Digest, Snapshot), StoreError>> + use<'_> {
        let mut next = Some(from.clone());
        let mut is_first = true;
        std::iter::from_fn(move || {
            let id = next.take()?;
            let must_be_there = std::mem::replace(&mut is_first, false);
            match self.read_snapshot(&id) {
                Ok(snapshot) => {
                    next.clone_from(&snapshot.parent);
                    Some(Ok((id, snapshot)))
                }
                Err(_) if !must_be_there && !self.has_snapshot(&id) => None,
                Err(error) => Some(Err(error)),
            }
        })
    }

    /// Returns whether a snapshot is there.
    #[must_use]
    pub fn has_snapshot(&self, id: &Digest) -> bool {
        self.snapshot_path(id).exists()
    }

    fn snapshot_path(&self, id: &Digest) -> Utf8PathBuf {
        self.root.join(format!("snapshots/{id}.json"))
    }

    fn read_snapshot(&self, id: &Digest) -> Result<Snapshot, StoreError> {
        let path = self.snapshot_path(id);
        let document: Box<RawValue> = self.read_named(&path, id)?;
        let bytes = document.get().as_bytes();
        // Another format may have other keys, so its version is asked for before anything else.
        let Version { format } = serde_json::from_slice(bytes).map_err(|error| newer(&path, &error))?;
        if format != FORMAT {
            return Err(StoreError::Format { path, found: format });
        }
        serde_json::from_slice(bytes).map_err(|error| newer(&path, &error))
    }

    /// Returns the results of the checks of a snapshot.
    pub fn outcomes(&self, id: &Digest) -> Result<CheckResults, StoreError> {
        self.read_named(&self.root.join(check_results_path(id)), id)
    }

    /// Stores the results of checks, and returns the digest that names it.
    pub fn put_check_results(&self, outcomes: &CheckResults) -> Result<Digest, StoreError> {
        self.put("checks", outcomes)
    }

    /// Returns what a project consisted of.
    pub fn manifest(&self, id: &Digest) -> Result<serde_json::Value, StoreError> {
        self.read_named(&self.root.join(manifest_path(id)), id)
    }

    /// Stores what a project consists of, and returns the digest that names it.
    pub fn put_manifest(&self, manifest: &impl Serialize) -> Result<Digest, StoreError> {
        self.put("manifests", manifest)
    }

    /// Returns the state of a table.
    pub fn table(&self, table: &str, state: &Digest) -> Result<TableState, StoreError> {
        self.read_named(&self.root.join(state_path(table, state)), state)
    }

    /// Stores the state of a table, and returns the digest that names it.
    pub fn put_table(&self, state: &TableState) -> Result<Digest, StoreError> {
        self.put(&format!("tables/{}", state.table), state)
    }

    /// Stores a snapshot, and returns the digest that names it.
    pub fn put_snapshot(&self, snapshot: &Snapshot) -> Result<Digest, StoreError> {
        self.put("snapshots", snapshot)
    }

    /// Remembers something that can be found out again. Where that fails, it will be.
    pub fn remember(&self, name: &str, value: &impl Serialize) {
        let path = memo_path(&self.root, name);
        let written = serde_json::to_vec(value).map_err(io::Error::from).and_then(|said| {
            // What a run rests on has to be what was written: a digit that turned would be read all the same.
            let sealed = [Digest::of(&said).as_str().as_bytes(), b"\n", &said].concat();
            self.disk.replace(&path, &sealed)
        });
        if let Err(error) = written {
            tracing::debug!(%path, %error, "not remembered");
        }
    }

    /// Returns what was remembered, if it is as it was written.
    #[must_use]
    pub fn recall<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let sealed = self.disk.read(&memo_path(&self.root, name)).ok()?;
        let end = sealed.iter().position(|byte| *byte == b'\n')?;
        let (digest, said) = (&sealed[..end], &sealed[end + 1..]);
        if digest != Digest::of(said).as_str().as_bytes() {
            return None;
        }
        serde_json::from_slice(said).ok()
    }

    /// Takes the locks called `names`, all or none.
    pub fn lock(&self, names: &BTreeSet<String>, on_locked: OnLocked) -> Result<Vec<Lock>, LockError> {
        let deadline = match on_locked {
            OnLocked::Wait(patience) => Some(Instant::now() + patience),
            OnLocked::Fail | OnLocked::Skip => None,
        };
        // Sorted names: two processes that take the same locks cannot wait for each other.
        let of_branch = |name: &String| self.branch().map_or_else(|| name.clone(), |branch| format!("{name}@{branch}"));
        names.iter().map(|name| Lock::take(&self.locks(), &of_branch(name), deadline)).collect()
    }

    /// Makes `next` current if the reference still says `seen`.
    ///
    /// Every file and folder name written before is synced first, so the reference never names what a power cut may
    /// take away.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when the reference has moved, or when a file that `next` names has been removed: it was there
    /// already when it came to be written, and nothing named it then. [`StoreError::Damaged`] when it is one that `seen`
    /// names as well.
    pub fn commit(&self, seen: Option<&SnapshotRef>, next: &SnapshotRef) -> Result<(), StoreError> {
        crash_point("flip.before-sync");
        self.sync()?;
        // Only this short step is under the lock; another run waits for it a moment at most.
        let deadline = Some(Instant::now() + Duration::from_secs(10));
        let _lock = Lock::take(&self.locks(), ".reference", deadline)?;
        if self.reference()?.as_ref() != seen {
            return Err(StoreError::Lost);
        }
        if self.missing(next.newest())?.is_some() {
            // What the reference leads to nobody removes, so that trying again would not bring it.
            let path = seen.map(|seen| self.missing(seen.newest())).transpose()?.flatten();
            let damaged = |path| StoreError::Damaged { path, reason: "it is missing".to_owned() };
            return Err(path.map_or(StoreError::Lost, damaged));
        }
        crash_point("flip.before-reference");
        let path = self.reference_path();
        let bytes = serde_json::to_vec(next)
            .map_err(|error| StoreError::Damaged { path: path.clone(), reason: error.to_string() })?;
        // From here on it is not certain that nothing names our files: an error may come after the deed.
        self.files_are_named();
        self.disk.replace(&path, &bytes).map_err(|source| StoreError::Write { path, source })?;
        crash_point("flip.after-reference");
        Ok(())
    }

    /// Returns a snapshot, or a file that it names by digest, that is not there.
    fn missing(&self, id: &Digest) -> Result<Option<Utf8PathBuf>, StoreError> {
        let path = self.snapshot_path(id);
        if !path.exists() {
            return Ok(Some(path));
        }
        let snapshot = self.read_snapshot(id)?;
        let states = snapshot.tables.iter().map(|(table, entry)| state_path(table, &entry.state));
        let mut paths = states.chain(documents_of(&snapshot)).map(|path| self.root.join(path));
        Ok(paths.find(|path| !path.exists()))
    }

    /// Removes what this process wrote and no snapshot names: after a run that failed or found nothing new.
    pub fn discard_unnamed(&self) {
        let files = std::mem::take(&mut *self.unnamed.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for file in files {
            let _ = self.disk.remove(&file);
        }
    }

    /// Says that a file will not be needed after all.
    pub fn discard(&self, file: &DataFile) {
        if file.part.is_some() {
            // Others need it; if none does, it goes with the files that no snapshot names.
            return;
        }
        if let Some(without) = &file.deletion_vector {
            self.discard(without);
        }
        self.discard_path(&file.path);
    }

    /// Says that what is at a path of the warehouse will not be needed after all.
    fn discard_path(&self, relative: &str) {
        let path = self.root.join(relative);
        if self.unnamed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&path) {
            let _ = self.disk.remove(&path);
        }
    }

    fn files_are_named(&self) {
        self.unnamed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    }

    fn locks(&self) -> Utf8PathBuf {
        self.root.join("locks")
    }

    fn put<T: Serialize>(&self, folder: &str, value: &T) -> Result<Digest, StoreError> {
        self.leases.write(&self.locks())?;
        let folder = self.root.join(folder);
        let damaged =
            |error: serde_json::Error| StoreError::Damaged { path: folder.clone(), reason: error.to_string() };
        // Written twice, the first time for its name alone: a state may be larger than memory should hold as text.
        let mut hasher = documents::Hasher::default();
        documents::write(&mut hasher, value).map_err(damaged)?;
        let digest = hasher.digest();
        let path = folder.join(format!("{digest}.json"));
        let written = self.disk.create(&path).and_then(|mut file| {
            documents::write(&mut file, value)?;
            file.finish()
        });
        match written {
            Ok(()) => {}
            // The same content under the same name: only whether it is whole has to be asked.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let is_whole = self.disk.open(&path).and_then(documents::digest).is_ok_and(|known| known == digest);
                // Whoever wrote it may have died before it reached the disk.
                let kept = if is_whole {
                    self.disk.sync(&path)
                } else {
                    self.disk.replace(&path, &serde_json::to_vec(value).map_err(damaged)?)
                };
                kept.map_err(|source| StoreError::Write { path, source })?;
            }
            Err(source) => return Err(StoreError::Write { path, source }),
        }
        // Such a file may serve another run too, so it is never taken back; an unused one is a few bytes.
        self.unsynced.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(folder);
        Ok(digest)
    }

    fn read_named<T: DeserializeOwned>(&self, path: &Utf8Path, name: &Digest) -> Result<T, StoreError> {
        let read = self.disk.open(path).and_then(documents::read);
        let (parsed, digest) = read.map_err(|source| match source.kind() {
            // Whatever names it was written after it, so waiting will not bring it.
            io::ErrorKind::NotFound => {
                StoreError::Damaged { path: path.to_path_buf(), reason: "it is missing".to_owned() }
            }
            _ => StoreError::Read { path: path.to_path_buf(), source },
        })?;
        if digest != *name {
            return Err(StoreError::Damaged {
                path: path.to_path_buf(),
                reason: "its content is not what its name says".to_owned(),
            });
        }
        parsed.map_err(|error| newer(path, &error))
    }

    /// Remembers a data file that this process made, until a snapshot names it.
    fn made(&self, path: Utf8PathBuf) {
        if let Some(folder) = path.parent() {
            self.unsynced.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(folder.to_path_buf());
        }
        self.unnamed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(path);
    }

    fn sync(&self) -> Result<(), StoreError> {
        let folders = std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for folder in folders {
            self.disk.sync(&folder).map_err(|source| StoreError::Write { path: folder, source })?;
        }
        Ok(())
    }
}

/// Returns where the state of a table lies in a warehouse.
fn state_path(table: &str, state: &Digest) -> String {
    format!("tables/{table}/{state}.json")
}

/// Returns the paths of the documents that a snapshot needs beside the states of its tables.
fn documents_of(snapshot: &Snapshot) -> impl Iterator<Item = String> {
    let manifest = snapshot.manifest.as_ref().map(manifest_path);
    std::iter::once(check_results_path(&snapshot.check_results)).chain(manifest)
}

fn memo_path(root: &Utf8Path, name: &str) -> Utf8PathBuf {
    root.join("memos").join(format!("{name}.memo"))
}

fn manifest_path(id: &Digest) -> String {
    format!("manifests/{id}.json")
}

/// Returns where in a warehouse the results of the checks of a snapshot lie.
fn check_results_path(id: &Digest) -> String {
    format!("checks/{id}.json")
}

/// What every version of a snapshot says of itself.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// What is the matter with a document that has the name of its bytes, and is not understood.
fn newer(path: &Utf8Path, error: &serde_json::Error) -> StoreError {
    StoreError::Newer { path: path.to_path_buf(), reason: error.to_string() }
}

fn parse<T: DeserializeOwned>(path: &Utf8Path, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes)
        .map_err(|error| StoreError::Damaged { path: path.to_path_buf(), reason: error.to_string() })
}

//! What runs leave behind about themselves: a folder for each, `runs/<id>/`.
//!
//! ```text
//! runs/<id>/started.json   while the run works; locked by the kernel until its process dies
//! runs/<id>/run.json       what the run did, or why it failed
//! runs/<id>/lineage.ndjson what it read and made, for other programs
//! ```
//!
//! A process that was killed could not write how it ended. Its mark is still there and locked by nobody, and tells of
//! the run in place of the record. Nothing depends on either.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;

use camino::Utf8PathBuf;
use serde_json::Value;

use super::{Store, StoreError};

/// The file in which a run tells what it did.
pub const RUN_RECORD: &str = "run.json";

/// The file in which a run tells other programs what it read and made.
pub const RUN_LINEAGE: &str = "lineage.ndjson";

/// The file in which a run tells that it has begun.
const STARTED: &str = "started.json";

/// Says that a run is under way, until it is dropped.
#[derive(Debug)]
pub struct RunMark {
    path: Utf8PathBuf,
    /// Held for its lock.
    locked: File,
}

impl Drop for RunMark {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        // Goes only if the run left no record.
        let _ = self.path.parent().map(std::fs::remove_dir);
    }
}

impl Store {
    /// Says that a run is under way. `record` is what is told of it should its process be killed.
    pub fn begin_run(&self, run: &str, record: &[u8]) -> std::io::Result<RunMark> {
        let path = self.run_file(run, STARTED);
        std::fs::create_dir_all(self.root().join("runs").join(run))?;
        let locked = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let mark = RunMark { path, locked };
        mark.locked.lock()?;
        (&mark.locked).write_all(record)?;
        Ok(mark)
    }

    /// Writes a file about a run.
    pub fn put_run_file(&self, run: &str, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.run_file(run, name);
        self.disk.replace(&path, bytes).map_err(|source| StoreError::Write { path, source })
    }

    /// Returns where a file about a run lies, or would.
    #[must_use]
    pub fn run_file(&self, run: &str, name: &str) -> Utf8PathBuf {
        self.root.join("runs").join(run).join(name)
    }

    /// Returns the records of the newest runs, at most `limit`, oldest first: of those that have ended, and with
    /// `"running"` for their status of those that have not. What cannot be read is left out.
    #[must_use]
    pub fn runs(&self, limit: usize) -> Vec<Value> {
        let mut runs = self.run_folders();
        runs.drain(..runs.len().saturating_sub(limit));
        let record = |run: Utf8PathBuf| {
            let told = |name: &str| serde_json::from_slice(&self.disk.read(&run.join(name)).ok()?).ok();
            told(RUN_RECORD).or_else(|| {
                let mut begun: Value = told(STARTED)?;
                if is_locked(&run.join(STARTED)) {
                    begun["status"] = "running".into();
                    begun["error"] = Value::Null;
                }
                Some(begun)
            })
        };
        runs.into_iter().filter_map(record).collect()
    }

    /// Returns the folders of runs that began before the one called `first` and are not under way, oldest first.
    pub(super) fn runs_before(&self, first: &str) -> Vec<Utf8PathBuf> {
        let is_past = |folder: &Utf8PathBuf| {
            folder.file_name().is_some_and(|run| run < first) && !is_locked(&folder.join(STARTED))
        };
        self.run_folders().into_iter().filter(is_past).collect()
    }

    /// Returns the folders of runs whose process was killed.
    pub(super) fn killed_runs(&self) -> Vec<Utf8PathBuf> {
        let is_killed = |folder: &Utf8PathBuf| {
            let mark = folder.join(STARTED);
            mark.exists() && !is_locked(&mark)
        };
        self.run_folders().into_iter().filter(is_killed).collect()
    }

    /// Returns the folders of all runs, oldest first, because their names begin with when they began.
    fn run_folders(&self) -> Vec<Utf8PathBuf> {
        let Ok(entries) = self.root.join("runs").read_dir_utf8() else { return Vec::new() };
        let mut folders: Vec<Utf8PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.into_path())).collect();
        folders.sort();
        folders
    }
}

fn is_locked(path: &Utf8PathBuf) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

//! Removes what no snapshot needs that is kept.
//!
//! Kept are of main and of each branch the current snapshot, the newest one, and those behind both that are new enough
//! ([`Keep`]), each with all that it names. Others go with what they alone name; so does what no snapshot ever named, because a run failed or was
//! killed before it published.
//!
//! Nothing goes that somebody may still need, whatever runs at the same time:
//!
//! - **Readers**, and runs, which read the tables that they start from: they share the lock of the file of their snapshot
//!   ([`super::leases`]). A snapshot goes only if its file can be locked alone, and the file goes first, while it is: who
//!   has it keeps all that it names, and who comes later finds that it is gone. An open file would not be enough, because
//!   most are opened late.
//! - **Files that a run has just made** and no snapshot names yet. What lies in the warehouse is listed first; then it is
//!   asked whether anybody makes files; then what the references lead to is looked at. So what is in the list, was made by
//!   nobody who still lives, and is not named, never will be. While somebody makes files, only what removed snapshots
//!   name goes, and what nobody named waits for another time. No clock is asked.
//! - **Files that are written again with the same name**, because their name is the digest of what they say: a run may
//!   find there what it was about to write, although it is about to be removed. They go under the lock of the reference,
//!   and a commit, which holds it too, finds out that one is missing and is lost, so that its run writes it again.
//! - **A reference that moves**: snapshots go under the lock of all of them, and if one has moved since it was looked at, all
//!   are looked at again.
//!
//! A crash leaves files that nothing names, as any does. The files of snapshots go before all others, the oldest first,
//! and their folder is synced, so that no snapshot is ever there without what it names. Done twice it is as done once.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::{Duration, Instant, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};

use super::crash::crash_point;
use super::leases::{nobody_writes, taken_alone};
use super::lock::Lock;
use super::published::KEPT;
use super::{Snapshot, SnapshotRef, Store, StoreError, documents_of, state_path};
use crate::digest::Digest;

/// The folders of files that a snapshot names, directly or through states.
const FOLDERS: [&str; 5] = ["snapshots", "tables", "checks", "manifests", "data"];

/// Which snapshots are kept behind the current one and the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those that were the newest at some time within so long.
    For(Duration),
    /// So many, counted from the newest.
    Newest(usize),
}

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Snapshots, oldest first.
    pub snapshots: Vec<Digest>,
    /// How many snapshots stay.
    pub kept: usize,
    /// How many of those stay only because somebody reads them.
    pub in_use: usize,
    /// How many files of rows.
    pub data_files: usize,
    /// How many states of tables, and files of results of checks.
    pub states: usize,
    /// The bytes of all these files.
    pub bytes: u64,
    /// How many folders of runs.
    pub runs: usize,
    /// How many generations that readers had a day to leave.
    pub generations: usize,
    /// How many files wait that no snapshot names, because somebody makes files now and they may be his.
    pub waiting: usize,
}

/// Snapshots, and the files that they and their states name.
#[derive(Debug, Default)]
struct Names {
    snapshots: BTreeSet<Digest>,
    files: BTreeSet<String>,
    /// The least name of a run that made one of them.
    first_run: Option<String>,
}

/// A snapshot that is not kept, with what it holds if that can be read.
type Found = (Digest, Option<Snapshot>);

/// A file in the warehouse.
struct FoundFile {
    path: String,
    bytes: u64,
}

impl Store {
    /// Removes what no snapshot needs that is kept; with `is_dry` it only says what it would remove. Nothing is removed
    /// before the first publication.
    ///
    /// # Errors
    /// When the warehouse cannot be read or written, or the state of a snapshot that is kept cannot be read, so that
    /// nobody knows what it needs; another time it goes on where it stopped.
    pub fn remove_garbage(&self, keep: Keep, is_dry: bool) -> Result<Garbage, StoreError> {
        let _one_at_a_time = Lock::take(&self.locks(), ".gc", None)?;
        // The order of these looks is what makes them certain.
        let found_files = self.found_files()?;
        let is_alone = nobody_writes(&self.locks())?;
        let mut kept = Names::default();
        let (mut past, lock) = loop {
            let references = self.references()?;
            if references.is_empty() {
                return Ok(Garbage::default());
            }
            let past = self.look(references.values(), keep, &mut kept)?;
            let lock = Lock::take(&self.locks(), ".reference", Some(Instant::now() + Duration::from_secs(10)))?;
            if self.references()? == references {
                break (past, lock);
            }
        };
        let strays = self.strays(&found_files, &past, &kept);
        if is_alone {
            past.extend(strays);
        } else {
            // Whoever is about to publish one needs all of it.
            for (id, snapshot) in &strays {
                let _ = snapshot.as_ref().map(|snapshot| kept.add(self, id, snapshot));
            }
        }
        let mut garbage = Garbage::default();
        let gone = self.remove_snapshots(past, &mut kept, &mut garbage, is_dry)?;
        crash_point("gc.after-snapshots");
        let mut doomed: Vec<&FoundFile> = Vec::new();
        for file in found_files.iter().filter(|file| !kept.files.contains(&file.path)) {
            match snapshot_in(&file.path) {
                Some(id) if garbage.snapshots.contains(&id) => garbage.bytes += file.bytes,
                Some(_) => {}
                None if is_alone || gone.files.contains(&file.path) => doomed.push(file),
                None => garbage.waiting += 1,
            }
        }
        let (rows, states): (Vec<&FoundFile>, Vec<&FoundFile>) =
            doomed.into_iter().partition(|file| file.path.starts_with("data/"));
        let runs = kept.first_run.as_deref().map(|first| self.runs_before(first)).unwrap_or_default();
        garbage.kept = kept.snapshots.len();
        garbage.states = states.len();
        garbage.data_files = rows.len();
        garbage.bytes += states.iter().chain(&rows).map(|file| file.bytes).sum::<u64>();
        garbage.runs = runs.len();
        if is_dry {
            return Ok(garbage);
        }
        states.iter().try_for_each(|file| self.remove(&self.root.join(&file.path)))?;
        self.remove_drafts(&self.root.join("refs"));
        drop(lock);
        crash_point("gc.after-states");
        rows.iter().try_for_each(|file| self.remove(&self.root.join(&file.path)))?;
        crash_point("gc.after-files");
        runs.iter().try_for_each(|folder| self.remove(folder))?;
        self.killed_runs().iter().for_each(|folder| self.remove_drafts(folder));
        for branch in self.references()?.keys() {
            garbage.generations += self.on_branch(branch).tidy_published(KEPT)?;
        }
        // One that is still being written is only not remembered.
        self.remove_drafts(&self.root.join("memos"));
        Ok(garbage)
    }

    /// Removes from a folder what was about to be put under a name when its process died. For a folder in which nobody
    /// else writes now. A few bytes that cannot be removed are no reason to fail.
    pub(super) fn remove_drafts(&self, folder: &Utf8Path) {
        let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
        for draft in entries.filter(|entry| is_draft(entry.file_name())) {
            let _ = self.disk.remove(draft.path());
        }
    }

    /// Removes everything but what is current, also what readers had a day to leave.
    ///
    /// # Errors
    /// As [`Self::remove_garbage`].
    pub fn purge(&self) -> Result<Garbage, StoreError> {
        let mut garbage = self.remove_garbage(Keep::Newest(1), false)?;
        garbage.generations += self.tidy_published(Duration::ZERO)?;
        Ok(garbage)
    }

    /// Returns the snapshots that lie there and that the reference does not lead to: those of runs that died before they
    /// publish them, and those whose followers were removed before them. One that cannot be read has nothing to it.
    fn strays(&self, found_files: &[FoundFile], past: &[Found], kept: &Names) -> Vec<Found> {
        let known: BTreeSet<&Digest> = past.iter().map(|(id, _)| id).chain(&kept.snapshots).collect();
        let strays = found_files.iter().filter_map(|file| snapshot_in(&file.path)).filter(|id| !known.contains(id));
        strays
            .map(|id| {
                let snapshot = self.read_snapshot(&id).ok();
                (id, snapshot)
            })
            .collect()
    }

    /// Removes the files of snapshots, the last first, and returns what they name. Those that somebody reads are kept.
    fn remove_snapshots(
        &self,
        past: Vec<Found>,
        kept: &mut Names,
        garbage: &mut Garbage,
        is_dry: bool,
    ) -> Result<Names, StoreError> {
        let mut gone = Names::default();
        for (id, snapshot) in past.into_iter().rev() {
            let is_gone = self.remove_snapshot(&id, is_dry)?;
            match (is_gone, snapshot) {
                // What it names and cannot be read is named by nobody from now on.
                (true, Some(snapshot)) => drop(gone.add(self, &id, &snapshot)),
                (false, Some(snapshot)) => kept.add(self, &id, &snapshot)?,
                (_, None) => {}
            }
            if is_gone {
                garbage.snapshots.push(id);
            } else {
                garbage.in_use += 1;
            }
        }
        if !is_dry && !garbage.snapshots.is_empty() {
            let folder = self.root.join("snapshots");
            self.disk.sync(&folder).map_err(|source| StoreError::Write { path: folder, source })?;
        }
        Ok(gone)
    }

    /// Adds the snapshots that are kept to `kept`, and returns the others that references lead to, newest first.
    fn look<'a>(
        &self,
        references: impl Iterator<Item = &'a SnapshotRef>,
        keep: Keep,
        kept: &mut Names,
    ) -> Result<Vec<Found>, StoreError> {
        let mut past = Vec::new();
        let mut known = BTreeSet::new();
        for root in references.flat_map(|reference| [reference.newest(), &reference.snapshot]) {
            let mut followed_at = None;
            for (number, found) in self.line(root).enumerate() {
                let (id, snapshot) = found?;
                let is_kept = match (keep, followed_at) {
                    (_, None) => true,
                    (Keep::Newest(count), _) => number < count,
                    (Keep::For(span), Some(followed_at)) => age(followed_at) < span,
                };
                followed_at = Some(self.made_at(&id)?);
                if is_kept {
                    kept.add(self, &id, &snapshot)?;
                } else if known.insert(id.clone()) {
                    past.push((id, Some(snapshot)));
                }
            }
        }
        past.retain(|(id, _)| !kept.snapshots.contains(id));
        Ok(past)
    }

    fn made_at(&self, id: &Digest) -> Result<SystemTime, StoreError> {
        let path = self.snapshot_path(id);
        let made = std::fs::metadata(&path).and_then(|file| file.modified());
        made.map_err(|source| StoreError::Read { path, source })
    }

    /// Removes the file of a snapshot; returns whether it is gone, or would be, because nobody reads the snapshot.
    fn remove_snapshot(&self, id: &Digest, is_dry: bool) -> Result<bool, StoreError> {
        let path = self.snapshot_path(id);
        if !path.exists() {
            return Ok(true);
        }
        // Held until the file is gone.
        let Some(_alone) = taken_alone(&path)? else { return Ok(false) };
        if !is_dry {
            self.remove(&path)?;
        }
        Ok(true)
    }

    fn remove(&self, path: &Utf8Path) -> Result<(), StoreError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|source| StoreError::Write { path: path.to_path_buf(), source }),
        }
    }

    /// Lists the files that we made where snapshots name files.
    fn found_files(&self) -> Result<Vec<FoundFile>, StoreError> {
        let mut found = Vec::new();
        let mut open: Vec<Utf8PathBuf> = FOLDERS.iter().map(|folder| self.root.join(folder)).collect();
        while let Some(folder) = open.pop() {
            let refused = |source| StoreError::Read { path: folder.clone(), source };
            let entries = match folder.read_dir_utf8() {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(refused(error)),
            };
            for entry in entries {
                let entry = entry.map_err(refused)?;
                // Links are none of ours, and neither is what they lead to.
                let file = match entry.path().symlink_metadata() {
                    Ok(file) => file,
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(error) => return Err(refused(error)),
                };
                if file.is_dir() {
                    open.push(entry.into_path());
                } else if file.is_file()
                    && is_ours(entry.file_name())
                    && let Ok(path) = entry.path().strip_prefix(&self.root)
                {
                    found.push(FoundFile { path: path.as_str().to_owned(), bytes: file.len() });
                }
            }
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }
}

impl Names {
    /// Adds a snapshot with all that it names. States that are known already are not read again.
    ///
    /// # Errors
    /// When a state cannot be read; all others are added.
    fn add(&mut self, store: &Store, id: &Digest, snapshot: &Snapshot) -> Result<(), StoreError> {
        if !self.snapshots.insert(id.clone()) {
            return Ok(());
        }
        if self.first_run.as_ref().is_none_or(|first| snapshot.run < *first) {
            self.first_run = Some(snapshot.run.clone());
        }
        let mut outcome = Ok(());
        self.files.insert(format!("snapshots/{id}.json"));
        self.files.extend(documents_of(snapshot));
        for (table, entry) in &snapshot.tables {
            if !self.files.insert(state_path(table, &entry.state)) {
                continue;
            }
            match store.table(table, &entry.state) {
                Ok(state) => self.files.extend(state.data_files().into_iter().map(|(_, file)| file.path.clone())),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }
}

/// Returns the snapshot whose file is at a path of the warehouse, if one's is.
fn snapshot_in(path: &str) -> Option<Digest> {
    Digest::parse(path.strip_prefix("snapshots/")?.strip_suffix(".json")?)
}

/// Returns whether a name is one that we give: 32 digits and an ending, or what was about to become that.
fn is_ours(name: &str) -> bool {
    let name = name.strip_prefix('.').unwrap_or(name);
    let digits = name.split('.').next().unwrap_or_default();
    digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit()) && digits.len() < name.len()
}

/// Returns whether a name is that of something that waits beside its own name until it is whole: a dot, the name, and 32
/// digits.
fn is_draft(name: &str) -> bool {
    let digits = name.strip_prefix('.').and_then(|name| name.rsplit_once('.')).map_or("", |(_, digits)| digits);
    digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit())
}

/// Returns how long ago that was; what is to come was now.
fn age(time: SystemTime) -> Duration {
    SystemTime::now().duration_since(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_with_names_of_ours_are_looked_at() {
        let digits = "0123456789abcdef0123456789abcdef";
        for ours in [format!("{digits}.parquet"), format!("{digits}.json"), format!(".{digits}.json.{digits}")] {
            assert!(is_ours(&ours), "{ours}");
        }
        for other in ["README.md", digits, "", ".", &format!("{digits}0.json"), &format!("x{digits}.json")] {
            assert!(!is_ours(other), "{other}");
        }
        assert!(is_draft(&format!(".main.{digits}")) && is_draft(&format!(".run-1a2b.json.{digits}")));
        for other in ["main", ".main", ".main.", &format!("main.{digits}"), &format!(".{digits}"), digits] {
            assert!(!is_draft(other), "{other}");
        }
    }
}

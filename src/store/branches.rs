//! Branches: references beside `refs/main`, over the same files.
//!
//! ```text
//! refs/<branch>                 as refs/main
//! branches/<branch>/            as published/
//! ```
//!
//! A store is opened on main or on a branch, and everything that goes by the reference goes by that one. Rows, states and
//! snapshots are named by what they are, so what two branches have in common is there once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;

use super::lock::Lock;
use super::{SnapshotRef, Store, StoreError};
use crate::digest::Digest;

/// The branch whose tables are current.
pub const MAIN: &str = "main";

impl Store {
    /// Opens the same warehouse on a branch.
    #[must_use]
    pub fn on_branch(&self, name: &str) -> Self {
        Self { branch: name.to_owned(), ..self.clone() }
    }

    /// Returns the branch on which the store is open, if it is not main.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        (self.branch != MAIN).then_some(self.branch.as_str())
    }

    /// Returns the references of main and all branches, by name.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn references(&self) -> Result<BTreeMap<String, SnapshotRef>, StoreError> {
        let folder = self.root.join("refs");
        let refused = |source| StoreError::Read { path: folder.clone(), source };
        let mut names = BTreeSet::new();
        match folder.read_dir_utf8() {
            Ok(entries) => {
                for entry in entries {
                    names.insert(entry.map_err(refused)?.file_name().to_owned());
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(refused(error)),
        }
        let mut references = BTreeMap::new();
        // What begins with a dot is about to become one, or was.
        for name in names.into_iter().filter(|name| !name.starts_with('.')) {
            if let Some(reference) = self.on_branch(&name).reference()? {
                references.insert(name, reference);
            }
        }
        Ok(references)
    }

    /// Returns whether the snapshot `id` is `earlier` or came of it, one after the other.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn follows(&self, id: &Digest, earlier: &Digest) -> Result<bool, StoreError> {
        let began = self.snapshot(earlier)?.run;
        for found in self.line(id) {
            let (id, snapshot) = found?;
            if id == *earlier {
                return Ok(true);
            }
            // Runs are named by when they began, and a snapshot is made by a later one than those behind it.
            if snapshot.run < began {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Removes the branch and what its readers open. Its rows go with the next garbage.
    ///
    /// # Errors
    /// When the warehouse cannot be written.
    pub fn remove_branch(&self) -> Result<(), StoreError> {
        let remove = |path: Utf8PathBuf| match self.disk.remove(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::Write { path, source: error }),
            _ => Ok(()),
        };
        {
            let deadline = Some(Instant::now() + Duration::from_secs(10));
            let _lock = Lock::take(&self.locks(), ".reference", deadline)?;
            remove(self.reference_path())?;
        }
        remove(self.published())
    }

    pub(super) fn reference_path(&self) -> Utf8PathBuf {
        self.root.join("refs").join(&self.branch)
    }

    /// Returns the folder that BI tools open.
    #[must_use]
    pub fn published(&self) -> Utf8PathBuf {
        self.branch().map_or_else(|| self.root.join("published"), |branch| self.root.join("branches").join(branch))
    }
}

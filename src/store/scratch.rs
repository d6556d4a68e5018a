//! Files without a name, for what a run works on and does not fit into memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use camino::Utf8PathBuf;

use super::{Store, StoreError};

/// A file that nobody else sees. It is gone when it is dropped, and when its process dies in whatever way.
#[derive(Debug)]
pub struct Scratch {
    folder: Utf8PathBuf,
    file: File,
    bytes: AtomicU64,
}

impl Store {
    /// Makes a file without a name on the disk of the warehouse.
    ///
    /// # Errors
    /// When the disk does not let us.
    pub fn scratch(&self) -> Result<Scratch, StoreError> {
        let folder = self.root.join("tmp");
        let file = std::fs::create_dir_all(&folder).and_then(|()| tempfile::tempfile_in(&folder));
        match file {
            Ok(file) => Ok(Scratch { folder, file, bytes: AtomicU64::new(0) }),
            Err(source) => Err(StoreError::Write { path: folder, source }),
        }
    }
}

impl Scratch {
    /// Adds bytes and returns where they are. Several threads may do so at once.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn append(&self, bytes: &[u8]) -> Result<u64, StoreError> {
        let at = self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let written = self.file.write_all_at(bytes, at);
        written.map_err(|source| StoreError::Write { path: self.folder.clone(), source })?;
        Ok(at)
    }

    /// Adds to `to` the `length` bytes that are at a place.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn read(&self, at: u64, length: usize, to: &mut Vec<u8>) -> Result<(), StoreError> {
        let start = to.len();
        to.resize(start + length, 0);
        let read = self.file.read_exact_at(&mut to[start..], at);
        read.map_err(|source| StoreError::Read { path: self.folder.clone(), source })
    }
}

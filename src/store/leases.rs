//! What keeps others from removing what this process needs, for as long as it lives.
//!
//! Both are kernel locks that many processes share, and both are free when their process dies in whatever way:
//!
//! - who reads the tables of a snapshot shares the lock of the file `snapshots/<digest>.json` itself: while anybody
//!   does, the snapshot stays with all that it names, whatever comes after it;
//! - who makes files shares `locks/.writing.lock` from the first of them on: while anybody does, a file that no snapshot
//!   names may be about to be named.
//!
//! Neither looks at a clock, and neither keeps a run or a reader from anything.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::sync::{Mutex, PoisonError};

use camino::Utf8Path;

use super::lock::Lock;
use super::{LockError, StoreError};
use crate::digest::Digest;

/// The lock of those who make files.
const WRITING: &str = ".writing";

/// The locks that a process shares.
#[derive(Debug, Default)]
pub(super) struct Leases {
    read: Mutex<BTreeMap<Digest, File>>,
    writing: Mutex<Option<Lock>>,
}

impl Leases {
    /// Keeps the snapshot whose file is at `path` from being removed. One that is removed already stays so, which whoever
    /// reads it then finds.
    pub(super) fn read(&self, id: &Digest, path: &Utf8Path) -> Result<(), StoreError> {
        let mut held = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if held.contains_key(id) {
            return Ok(());
        }
        let refused = |source| StoreError::Read { path: path.to_path_buf(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(refused(error)),
        };
        loop {
            match file.lock_shared() {
                Ok(()) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Where there are no locks nothing is removed either: see `taken_alone`.
                Err(error) if error.kind() == ErrorKind::Unsupported => break,
                Err(error) => return Err(refused(error)),
            }
        }
        held.insert(id.clone(), file);
        Ok(())
    }

    /// Says that this process makes files. `locks` is the folder of locks.
    pub(super) fn write(&self, locks: &Utf8Path) -> Result<(), LockError> {
        let mut held = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(Lock::share(locks, WRITING)?);
        }
        Ok(())
    }
}

/// Returns whether nobody makes files.
pub(super) fn nobody_writes(locks: &Utf8Path) -> Result<bool, LockError> {
    Lock::is_free(locks, WRITING)
}

/// Takes the file of a snapshot that nobody reads; nothing while somebody does. Who comes later waits until it is dropped.
pub(super) fn taken_alone(path: &Utf8Path) -> Result<Option<File>, StoreError> {
    let refused = |source| StoreError::Read { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(refused(error)),
    }
}

//! Locks that die with their process.
//!
//! A lock is a kernel lock on a file, so a killed process holds nothing. The file itself stays: removing it would let
//! two processes lock two files of one name.

use std::fs::{File, OpenOptions, TryLockError};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

/// What to do when another process holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLocked {
    /// Give up at once.
    Fail,
    /// Wait so long, then give up.
    Wait(Duration),
    /// Leave the work to the other.
    Skip,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another run holds `{name}`")]
    Held {
        /// What was to be locked.
        name: String,
    },
    /// The file could not be opened or locked.
    #[error("cannot lock `{path}`")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its lock alone")] File);

impl Lock {
    /// Takes the lock called `name`, waiting until `deadline` if there is one.
    pub(super) fn take(folder: &Utf8Path, name: &str, deadline: Option<Instant>) -> Result<Self, LockError> {
        let path = folder.join(format!("{name}.lock"));
        let io = |source| LockError::Io { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(source)) => return Err(io(source)),
                Err(TryLockError::WouldBlock) if deadline.is_some_and(|deadline| Instant::now() < deadline) => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => return Err(LockError::Held { name: name.to_owned() }),
            }
        }
    }
}

//! Locks that die with their process.
//!
//! A lock is a kernel lock on a file, so a killed process holds nothing. The file itself stays: removing it would let
//! two processes lock two files of one name.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use chrono::{SecondsFormat, Utc};

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
    #[error("another run holds `{name}`{holder}")]
    Held {
        /// What was to be locked.
        name: String,
        /// Who holds it.
        holder: Holder,
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

/// What is known of the process that holds a lock: what it wrote into the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder(Option<String>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|words| write!(f, ": {words}"))
    }
}

impl Holder {
    /// Who holds the lock is told for people alone, so it may fail to be written or read.
    fn write(mut file: &File) {
        let since = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        let words = format!("process {} since {since}\n", std::process::id());
        let _ = file.set_len(0).and_then(|()| file.write_all(words.as_bytes()));
    }

    fn read(mut file: &File) -> Self {
        let mut words = String::new();
        let _ = file.read_to_string(&mut words);
        let words = words.trim_end();
        Self((!words.is_empty()).then(|| words.to_owned()))
    }
}

/// A lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody holds it any more, and a run with nothing to do leaves all files as they were.
        let _ = self.0.set_len(0);
    }
}

impl Lock {
    /// Takes the lock called `name`, waiting until `deadline` if there is one.
    pub(super) fn take(folder: &Utf8Path, name: &str, deadline: Option<Instant>) -> Result<Self, LockError> {
        let (path, file) = open(folder, name)?;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    Holder::write(&file);
                    return Ok(Self(file));
                }
                Err(TryLockError::Error(source)) => return Err(LockError::Io { path, source }),
                Err(TryLockError::WouldBlock) if deadline.is_some_and(|deadline| Instant::now() < deadline) => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { name: name.to_owned(), holder: Holder::read(&file) });
                }
            }
        }
    }

    /// Takes the lock called `name` together with all who share it.
    pub(super) fn share(folder: &Utf8Path, name: &str) -> Result<Self, LockError> {
        let (path, file) = open(folder, name)?;
        loop {
            match file.lock_shared() {
                Ok(()) => return Ok(Self(file)),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(LockError::Io { path, source }),
            }
        }
    }

    /// Returns whether nobody holds the lock called `name`, alone or with others.
    pub(super) fn is_free(folder: &Utf8Path, name: &str) -> Result<bool, LockError> {
        let (path, file) = open(folder, name)?;
        match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(source)) => Err(LockError::Io { path, source }),
        }
    }
}

/// Opens the file of the lock called `name`, made if it is not there yet.
fn open(folder: &Utf8Path, name: &str) -> Result<(Utf8PathBuf, File), LockError> {
    let path = folder.join(format!("{name}.lock"));
    let opened = std::fs::create_dir_all(folder)
        .and_then(|()| OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path));
    match opened {
        Ok(file) => Ok((path, file)),
        Err(source) => Err(LockError::Io { path, source }),
    }
}

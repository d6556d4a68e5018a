//! Stamps: whether files may have changed, told by what the system says of them and not by their bytes.
//!
//! A stamp covers name, inode, size, and the times of the last change of content and of entry. A file that was written
//! less than two seconds ago proves nothing, because a second change may fall into the same tick of the system's clock:
//! then there is no stamp, and whoever asks has to read.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use chrono::{DateTime, Utc};
use xxhash_rust::xxh3::xxh3_128;

use crate::digest::{Digest, Parts};

/// A file younger than this may still be written to without its tag changing.
const SETTLED_MICROS: i64 = 2_000_000;

/// Returns a text that changes whenever the content of a file may have changed.
///
/// A file can be rewritten in place and its time set back; the time of the change of its entry cannot.
#[must_use]
pub fn tag(file: &Metadata) -> String {
    format!("{:x}-{:x}-{:x}-{:x}", file.ino(), nanos(file.mtime(), file.mtime_nsec()), file.size(), changed(file))
}

/// Returns when a file was last written to. File systems keep times that no calendar has; those become the first or the
/// last moment of the years 1 to 9999.
#[must_use]
pub fn modified(file: &Metadata) -> DateTime<Utc> {
    let (first, last) = (-62_135_596_800, 253_402_300_799);
    let nanos = u32::try_from(file.mtime_nsec()).unwrap_or_default();
    DateTime::from_timestamp(file.mtime().clamp(first, last), nanos).unwrap_or_default()
}

/// Returns whether a file was written so recently that its tag proves nothing. One from the future proves nothing either.
#[must_use]
pub fn is_young(file: &Metadata, now: DateTime<Utc>) -> bool {
    nanos(file.mtime(), file.mtime_nsec()) / 1000 > i128::from(now.timestamp_micros() - SETTLED_MICROS)
}

fn changed(file: &Metadata) -> i128 {
    nanos(file.ctime(), file.ctime_nsec())
}

fn nanos(seconds: i64, nanos: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanos)
}

/// The stamp of many files, in whatever order they come.
#[derive(Debug)]
pub struct Stamp {
    now: DateTime<Utc>,
    files: u64,
    sum: u128,
    is_settled: bool,
}

impl Stamp {
    /// Starts a stamp of no files.
    #[must_use]
    pub fn now() -> Self {
        Self { now: Utc::now(), files: 0, sum: 0, is_settled: true }
    }

    /// Adds a file.
    pub fn add(&mut self, path: &str, file: &Metadata) {
        self.is_settled &= !is_young(file, self.now);
        self.files += 1;
        // Each file by itself into the sum: folders are read in an order that means nothing.
        self.sum = self.sum.wrapping_add(xxh3_128(format!("{path}\0{}", tag(file)).as_bytes()));
    }

    /// Says that something was found of which there is no stamp.
    pub fn give_up(&mut self) {
        self.is_settled = false;
    }

    /// Returns the digest; nothing where a file is too young.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        let mut parts = Parts::of("stamp");
        parts.add(self.files.to_le_bytes());
        parts.add(self.sum.to_le_bytes());
        self.is_settled.then(|| parts.digest())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};

    use super::*;

    fn stamp(folder: &std::path::Path, names: &[&str]) -> Option<Digest> {
        let mut stamp = Stamp::now();
        names.iter().for_each(|name| stamp.add(name, &fs::metadata(folder.join(name)).unwrap()));
        stamp.digest()
    }

    #[test]
    fn any_time_of_a_file_is_one_of_a_calendar() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("a")).unwrap();
        let modified_at = |time: SystemTime| {
            // Not every file system keeps times that far away; what it makes of them is a time all the same.
            file.set_modified(time).ok()?;
            Some(modified(&file.metadata().unwrap()).to_rfc3339())
        };
        let day = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        assert_eq!(modified_at(day).as_deref(), Some("1970-01-02T00:00:00+00:00"));
        for far in [
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(1 << 60)),
            SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(1 << 60)),
        ] {
            if let Some(text) = far.and_then(modified_at) {
                assert!(text.starts_with(|first: char| first.is_ascii_digit()) && text.find('-') == Some(4), "{text}");
            }
        }
    }

    #[test]
    fn a_stamp_is_of_the_files_and_not_of_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let long_ago = SystemTime::now() - Duration::from_hours(1);
        for name in ["a", "b"] {
            fs::write(folder.path().join(name), name).unwrap();
            File::open(folder.path().join(name)).unwrap().set_modified(long_ago).unwrap();
        }
        let both = stamp(folder.path(), &["a", "b"]);
        assert!(both.is_some());
        assert_eq!(both, stamp(folder.path(), &["b", "a"]));
        assert_ne!(both, stamp(folder.path(), &["a"]));
        // The same size, and the time set back: the change of the entry tells.
        fs::write(folder.path().join("a"), "c").unwrap();
        assert_eq!(stamp(folder.path(), &["a", "b"]), None);
        File::open(folder.path().join("a")).unwrap().set_modified(long_ago).unwrap();
        assert_ne!(both, stamp(folder.path(), &["a", "b"]));
    }
}

//! Which files have landed.
//!
//! The folder is walked with the system's own calls: `object_store` resolves every path that it lists, and ten thousand
//! files have to be listed in a few milliseconds. Promises: a folder that is not there is told apart from one without
//! files; a link that leads out of the landing folder, whatever is not a plain file and a name that cannot be written
//! down are refused where they match the pattern; neither listing nor reading follows a path out of its root. Files are
//! read through `object_store`.

use std::fs::Metadata;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;

use crate::digest::Digest;
use crate::landed::{Listed, Unready, by_path};
use crate::project::{LandingPattern, Readiness};
use crate::stamp::{self, Stamp};

/// Why the landed files could not be listed or opened.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The folder is not there.
    #[error("there is no folder `{folder}`")]
    Missing {
        /// The folder.
        folder: Utf8PathBuf,
    },
    /// The folder cannot be listed.
    #[error("cannot list `{folder}`")]
    List {
        /// The folder.
        folder: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is a link out of its folder, or no plain file.
    #[error("`{path}` is {what}, and only plain files inside `{folder}` are ingested")]
    Refused {
        /// The file.
        path: Utf8PathBuf,
        /// What it is.
        what: &'static str,
        /// The folder that files land in.
        folder: Utf8PathBuf,
    },
    /// A file cannot be opened.
    #[error("cannot open `{path}`")]
    Open {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Where a dataset's files land: the deepest folder that its pattern names.
#[derive(Debug)]
pub struct LandingFolder {
    folder: Utf8PathBuf,
    /// What the pattern writes before the paths inside the folder.
    prefix: String,
}

/// A file that a pattern matches.
struct FoundFile {
    /// Its path as the pattern writes it.
    path: String,
    /// The values that the pattern captures of it.
    captures: Box<[String]>,
    metadata: Metadata,
}

impl LandingFolder {
    /// Returns the folder of `pattern`, relative to `root`.
    #[must_use]
    pub fn new(root: &Utf8Path, pattern: &LandingPattern) -> Self {
        let folder = root.join(pattern.folder());
        let prefix = match pattern.folder().as_str().trim_end_matches('/') {
            "" if pattern.folder().as_str().is_empty() => String::new(),
            folder => format!("{folder}/"),
        };
        Self { folder, prefix }
    }

    /// Returns the files that match `pattern`, by path, numbers in it by their value: the order of their admission.
    ///
    /// Times of landing would be another order, but they do not survive a copy or a checkout, and a first run on two
    /// copies of the same files must come out the same.
    ///
    /// Markers are no landed files; which of the files are whole is said by `ready`.
    ///
    /// # Errors
    /// When the folder is not there or cannot be listed, or a file that matches is not plain.
    pub fn list(&self, pattern: &LandingPattern, ready: &Readiness) -> Result<Vec<Listed>, ListingError> {
        let mut listed = Vec::new();
        let now = Utc::now();
        self.walk(pattern, &mut |file| {
            if !ready.marker.as_ref().is_some_and(|marker| marker.is(&file.path)) {
                listed.push(self.listed(file, ready, now));
            }
        })?;
        listed.sort_by(|one, other| by_path(&one.path, &other.path));
        Ok(listed)
    }

    /// Returns a digest of what [`Self::list`] would say; nothing where a file is so young that its tag proves nothing.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub fn stamp(&self, pattern: &LandingPattern) -> Result<Option<Digest>, ListingError> {
        let mut stamp = Stamp::now();
        self.walk(pattern, &mut |file| stamp.add(&file.path, &file.metadata))?;
        Ok(stamp.digest())
    }

    fn walk(&self, pattern: &LandingPattern, found: &mut dyn FnMut(FoundFile)) -> Result<(), ListingError> {
        let root = match self.folder.canonicalize_utf8() {
            Ok(root) => root,
            // No share is mounted, or the contract names the wrong folder: that nothing has landed is not known.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ListingError::Missing { folder: self.folder.clone() });
            }
            Err(source) => return Err(ListingError::List { folder: self.folder.clone(), source }),
        };
        // A pattern that stays in its folder needs no walk through all that lies below it.
        let is_deep = pattern.to_string()[self.prefix.len()..].contains('/') || pattern.crosses_folders();
        Walk { folder: self, pattern, is_deep, above: vec![root], found }.enter("")
    }

    /// Returns a listed file as it is now; nothing if there is none any more.
    pub(super) fn relist(&self, listed: &Listed, ready: &Readiness) -> Option<Listed> {
        // A link that was put in its place since it was listed must not lead further than the listing allows.
        let real = self.place(&listed.path).canonicalize_utf8().ok()?;
        let metadata = real.metadata().ok()?;
        if !metadata.is_file() || !real.starts_with(self.folder.canonicalize_utf8().ok()?) {
            return None;
        }
        let file = FoundFile { path: listed.path.to_string(), captures: listed.captures.clone(), metadata };
        Some(self.listed(file, ready, Utc::now()))
    }

    /// Says what is known of a file.
    fn listed(&self, file: FoundFile, ready: &Readiness, now: DateTime<Utc>) -> Listed {
        let FoundFile { path, captures, metadata } = file;
        let landed_at = stamp::modified(&metadata);
        let is_young = stamp::is_young(&metadata, now);
        let unready = self.unready(&path, landed_at, ready, now).map(Box::new);
        Listed {
            path: path.into(),
            etag: stamp::tag(&metadata).into(),
            bytes: metadata.len(),
            landed_at,
            is_young,
            captures,
            unready,
        }
    }

    /// Returns why a file is not taken for whole, if it is not.
    fn unready(&self, path: &str, landed_at: DateTime<Utc>, ready: &Readiness, now: DateTime<Utc>) -> Option<Unready> {
        let marker = ready.marker.as_ref().map(|marker| marker.of(path));
        // A link may lead anywhere, and what a marker is not is a landed file.
        let is_there =
            |marker: &String| self.place(marker).symlink_metadata().is_ok_and(|marker| marker.file_type().is_file());
        if let Some(marker) = marker.filter(|marker| !is_there(marker)) {
            return Some(Unready::Unmarked(marker));
        }
        // A time that has not come yet was no time ago.
        let age = now.signed_duration_since(landed_at).to_std().unwrap_or_default();
        (age < ready.settled).then_some(Unready::Unsettled(ready.settled))
    }

    /// Returns where the file is that the pattern writes as `path`.
    fn place(&self, path: &str) -> Utf8PathBuf {
        self.folder.join(path.strip_prefix(&self.prefix).unwrap_or(path))
    }

    /// Opens a listed file of a local folder at once. That it is where it should be tells [`Self::look`], afterwards.
    pub(super) fn open(&self, path: &str) -> io::Result<std::fs::File> {
        std::fs::File::open(self.place(path))
    }

    /// Opens a listed file for reading from its beginning to its end, on a blocking thread.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn read(&self, path: &str) -> Result<Box<dyn std::io::Read + Send>, ListingError> {
        let inside = path.strip_prefix(&self.prefix).unwrap_or(path);
        let open = |source| ListingError::Open { path: Utf8PathBuf::from(path), source: said_by_the_disk(source) };
        let store = LocalFileSystem::new_with_prefix(&self.folder).map_err(open)?;
        let location = StorePath::parse(inside).map_err(|error| open(error.into()))?;
        let found = store.get(&location).await.map_err(open)?;
        match found.payload {
            object_store::GetResultPayload::File(file, _) => Ok(Box::new(file)),
            object_store::GetResultPayload::Stream(stream) => Ok(Box::new(StreamReader::new(stream))),
        }
    }
}

/// A walk through a landing folder, to the files that a pattern matches.
struct Walk<'a> {
    folder: &'a LandingFolder,
    pattern: &'a LandingPattern,
    /// Whether it goes into folders below.
    is_deep: bool,
    /// The real paths of the folders that lead to the one it is in, the landing folder first.
    above: Vec<Utf8PathBuf>,
    found: &'a mut dyn FnMut(FoundFile),
}

impl Walk<'_> {
    /// Walks one folder.
    fn enter(&mut self, inside: &str) -> Result<(), ListingError> {
        let Self { folder: landing, pattern, .. } = *self;
        let folder = landing.folder.join(inside);
        let failed = |source| ListingError::List { folder: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let is_text = name.to_str().is_some();
            let name = name.to_string_lossy();
            let path = if inside.is_empty() { name.into_owned() } else { format!("{inside}/{name}") };
            let kind = entry.file_type().map_err(failed)?;
            let full = format!("{}{path}", landing.prefix);
            let refused = |what| ListingError::Refused { path: shown(&full), what, folder: landing.folder.clone() };
            if kind.is_dir() || (kind.is_symlink() && landing.folder.join(&path).is_dir()) {
                // Only `**` takes a folder for a part of the way to a file as well as for the file's own name.
                if !pattern.crosses_folders() && pattern.matches(&full).is_some() {
                    return Err(refused("a folder"));
                }
                if self.is_deep {
                    if !is_text {
                        return Err(refused("a folder whose name is not UTF-8"));
                    }
                    let real =
                        landing.folder.join(&path).canonicalize_utf8().map_err(|_| refused("a link to nowhere"))?;
                    if !real.starts_with(&self.above[0]) {
                        return Err(refused("a link to a folder elsewhere"));
                    }
                    if self.above.contains(&real) {
                        return Err(refused("a link that leads in a cycle"));
                    }
                    self.above.push(real);
                    self.enter(&path)?;
                    self.above.pop();
                }
                continue;
            }
            let Some(captures) = pattern.matches(&full) else { continue };
            if !is_text {
                return Err(refused("a file whose name is not UTF-8"));
            }
            if full.contains(char::is_control) {
                return Err(refused("a file with a control character in its path"));
            }
            if is_unfinished(&full) {
                return Err(refused("a file whose name ends as that of an unfinished upload"));
            }
            let metadata = if kind.is_symlink() {
                let real = landing.folder.join(&path).canonicalize_utf8().map_err(|_| refused("a link to nowhere"))?;
                if !real.starts_with(&self.above[0]) {
                    return Err(refused("a link to a file elsewhere"));
                }
                real.metadata()
            } else {
                entry.metadata()
            };
            match metadata {
                Ok(metadata) if metadata.is_file() => {
                    (self.found)(FoundFile { path: full, captures: captures.into(), metadata });
                }
                // Gone since the folder was read: a file that is not there has not landed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => return Err(refused("not a plain file")),
            }
        }
        Ok(())
    }
}

/// Returns what the disk said, which the words of the library hide from whoever asks what to do.
fn said_by_the_disk(error: object_store::Error) -> io::Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(known) = cause {
        if let Some(disk) = known.downcast_ref::<io::Error>() {
            return disk
                .raw_os_error()
                .map_or_else(|| io::Error::new(disk.kind(), disk.to_string()), io::Error::from_raw_os_error);
        }
        cause = known.source();
    }
    io::Error::other(error)
}

/// Returns whether `object_store` takes the path for that of a file that is still being put together, and does not open it.
fn is_unfinished(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let after = name.split_once('#').map_or("", |(_, after)| after);
    !after.is_empty() && after.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns a path as people can see it: what a terminal would act upon is written out.
fn shown(path: &str) -> Utf8PathBuf {
    let written = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    path.chars().map(written).collect::<String>().into()
}

/// Reads a stream of byte chunks as one sequence of bytes. Blocks, so it must not be used on an async thread.
struct StreamReader {
    stream: futures::stream::BoxStream<'static, object_store::Result<bytes::Bytes>>,
    chunk: bytes::Bytes,
}

impl StreamReader {
    fn new(stream: futures::stream::BoxStream<'static, object_store::Result<bytes::Bytes>>) -> Self {
        Self { stream, chunk: bytes::Bytes::new() }
    }
}

impl std::io::Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.chunk.is_empty() {
            match futures::executor::block_on(self.stream.try_next()).map_err(std::io::Error::other)? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let length = self.chunk.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_object_store_does_not_open_is_known_before() {
        for (path, expected) in [("a.csv#1", true), ("a#b#12", false), ("a#", false), ("a#1.csv", false), ("a1", false)]
        {
            assert_eq!(is_unfinished(path), expected, "{path}");
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(path), "").unwrap();
            let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
            let opened = futures::executor::block_on(store.get(&StorePath::parse(path).unwrap()));
            assert_eq!(opened.is_err(), expected, "{path}");
        }
    }
}

//! Which files have landed.
//!
//! Files are listed through `object_store`. On a local disk a link that leads out of the landing folder, and whatever
//! is not a plain file, is refused: listing follows no path out of its root.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use chrono::Utc;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::plan::Listed;
use crate::project::LandingPattern;

/// A file younger than this may still be written to without its tag changing, so its bytes are always compared.
const SETTLED: Duration = Duration::from_secs(2);

/// Why the landed files could not be listed or opened.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The folder cannot be listed.
    #[error("cannot list `{folder}`")]
    List {
        /// The folder.
        folder: Utf8PathBuf,
        /// Why.
        source: object_store::Error,
    },
    /// A file is a link out of its folder, or no plain file.
    #[error("`{path}` is {what}, and only plain files inside `{folder}` are taken in")]
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
        source: object_store::Error,
    },
}

/// Where a dataset's files land: the deepest folder that its pattern names.
#[derive(Debug)]
pub struct LandingFolder {
    folder: Utf8PathBuf,
    /// What the pattern writes before the paths inside the folder.
    prefix: String,
    store: Option<LocalFileSystem>,
}

impl LandingFolder {
    /// Opens the folder of `pattern`, relative to `root`. A folder that does not exist yet has no files.
    ///
    /// # Errors
    /// When the folder exists and cannot be opened.
    pub fn open(root: &Utf8Path, pattern: &LandingPattern) -> Result<Self, ListingError> {
        let folder = root.join(pattern.folder());
        let prefix = if pattern.folder().as_str().is_empty() {
            String::new()
        } else {
            format!("{}/", pattern.folder().as_str().trim_end_matches('/'))
        };
        let store = if folder.is_dir() {
            let opened = LocalFileSystem::new_with_prefix(&folder);
            Some(opened.map_err(|source| ListingError::List { folder: folder.clone(), source })?)
        } else {
            None
        };
        Ok(Self { folder, prefix, store })
    }

    /// Returns the files that match `pattern`, by path, numbers in it by their value: the order of their admission.
    ///
    /// Times of landing would be another order, but they do not survive a copy or a checkout, and a first run on two
    /// copies of the same files must come out the same.
    ///
    /// # Errors
    /// When the folder cannot be listed, or a file that matches is not plain.
    pub async fn list(&self, pattern: &LandingPattern) -> Result<Vec<Listed>, ListingError> {
        let Some(store) = &self.store else { return Ok(Vec::new()) };
        let folder = || self.folder.clone();
        // A pattern that stays in its folder needs no walk through all that lies below it.
        let text = pattern.to_string();
        let is_flat = !text[self.prefix.len()..].contains('/') && !text.contains("**");
        let found = if is_flat {
            store.list_with_delimiter(None).await.map(|listed| listed.objects)
        } else {
            store.list(None).try_collect::<Vec<_>>().await
        };
        let all = found.map_err(|source| ListingError::List { folder: folder(), source })?;
        let now = Utc::now();
        let mut listed = Vec::new();
        for meta in all {
            let path = format!("{}{}", self.prefix, meta.location);
            let Some(captures) = pattern.matches(&path) else { continue };
            let changed = self.refuse_what_is_not_plain(meta.location.as_ref())?;
            let age = now.signed_duration_since(meta.last_modified).to_std().unwrap_or_default();
            let tag = meta.e_tag.unwrap_or_else(|| format!("{}-{}", meta.last_modified.timestamp_micros(), meta.size));
            // A file can be rewritten in place and its time set back; the time of the change of its entry cannot.
            let tag = format!("{tag}-{changed:x}");
            listed.push(Listed {
                path,
                tag,
                bytes: meta.size,
                landed_at: meta.last_modified,
                is_young: age < SETTLED,
                captures,
            });
        }
        listed.sort_by(|a, b| natural(&a.path).cmp(&natural(&b.path)).then_with(|| a.path.cmp(&b.path)));
        Ok(listed)
    }

    /// Opens a listed file for reading from its beginning to its end, on a blocking thread.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn read(&self, path: &str) -> Result<Box<dyn std::io::Read + Send>, ListingError> {
        let inside = path.strip_prefix(&self.prefix).unwrap_or(path);
        let open = |source| ListingError::Open { path: Utf8PathBuf::from(path), source };
        let Some(store) = &self.store else {
            return Err(open(object_store::Error::NotFound {
                path: path.to_owned(),
                source: "its folder does not exist".into(),
            }));
        };
        let location = StorePath::parse(inside).map_err(|error| open(error.into()))?;
        let found = store.get(&location).await.map_err(open)?;
        match found.payload {
            object_store::GetResultPayload::File(file, _) => Ok(Box::new(file)),
            object_store::GetResultPayload::Stream(stream) => Ok(Box::new(StreamReader::new(stream))),
        }
    }

    fn refuse_what_is_not_plain(&self, inside: &str) -> Result<i64, ListingError> {
        let path = self.folder.join(inside);
        let refused = |what| ListingError::Refused { path: path.clone(), what, folder: self.folder.clone() };
        let (Ok(real), Ok(root)) = (path.canonicalize_utf8(), self.folder.canonicalize_utf8()) else {
            return Err(refused("a link to nowhere"));
        };
        if !real.starts_with(&root) {
            return Err(refused("a link to a file elsewhere"));
        }
        match std::fs::metadata(&real) {
            Ok(found) if found.is_file() => Ok(found.ctime() * 1_000_000 + found.ctime_nsec() / 1000),
            _ => Err(refused("not a plain file")),
        }
    }
}

/// Returns a key by which `orders-9` comes before `orders-10`: runs of digits by their value, the rest as it is.
fn natural(path: &str) -> Vec<(u8, String)> {
    let mut parts: Vec<(u8, String)> = Vec::new();
    for c in path.chars() {
        let kind = u8::from(!c.is_ascii_digit());
        match parts.last_mut() {
            Some((known, text)) if *known == kind => text.push(c),
            _ => parts.push((kind, c.to_string())),
        }
    }
    for (kind, text) in &mut parts {
        if *kind == 0 {
            let digits = text.trim_start_matches('0');
            // The number of digits first, so that texts compare as numbers of any length.
            *text = format!("{:06}{digits}", digits.len());
        }
    }
    parts
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
    fn numbers_in_paths_count_by_their_value() {
        let mut paths = ["in/a-10.csv", "in/a-9.csv", "in/a-2024-01.csv", "in/b.csv", "in/a-09.csv", "in/a.csv"];
        paths.sort_by_key(|path| (natural(path), *path));
        assert_eq!(paths, ["in/a-09.csv", "in/a-9.csv", "in/a-10.csv", "in/a-2024-01.csv", "in/a.csv", "in/b.csv"]);
    }
}

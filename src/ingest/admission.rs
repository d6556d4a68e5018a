//! Admits files that were read to their dataset, beside those that were admitted before: which paths there are, with which
//! content each, and whose rows count. Knows nothing of how files are read.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64;

use super::dataset::{IngestError, Raw, discard};
use super::reader::Reading;
use crate::digest::Digest;
use crate::landed::{DatasetStep, FileLeft, Listed, live_paths};
use crate::project::{FilesMode, SourceContract};
use crate::store::{AdmittedFile, Common, DatasetManifest, FileContent, Shared, Store};

/// The places of admitted files in their list, by path. One path may have been admitted many times.
#[derive(Debug, Default)]
pub(super) struct PathIndex {
    /// Of each path, the newest.
    newest: HashTable<usize>,
    /// Of each place, the one before it under the same path.
    earlier: Vec<Option<usize>>,
}

impl PathIndex {
    fn hash(path: &str) -> u64 {
        xxh3_64(path.as_bytes())
    }

    /// Takes the next of `files`.
    pub(super) fn add_next(&mut self, files: &[AdmittedFile]) {
        let at = self.earlier.len();
        let path = &files[at].path;
        let hash = |place: &usize| Self::hash(&files[*place].path);
        match self.newest.entry(Self::hash(path), |place| files[*place].path == *path, hash) {
            Entry::Occupied(mut newest) => self.earlier.push(Some(std::mem::replace(newest.get_mut(), at))),
            Entry::Vacant(free) => {
                free.insert(at);
                self.earlier.push(None);
            }
        }
    }

    /// Returns the places of a path, newest first.
    pub(super) fn under(&self, files: &[AdmittedFile], path: &str) -> impl Iterator<Item = usize> {
        let newest = self.newest.find(Self::hash(path), |place| *files[*place].path == *path);
        std::iter::successors(newest.copied(), |place| self.earlier[*place])
    }
}

/// The paths that were admitted, oldest first, to be found by path: a run may read as many files as there are.
#[derive(Debug, Default)]
struct Admitted {
    paths: Vec<AdmittedFile>,
    /// The places of those that count no longer.
    put_out: HashSet<usize>,
    by_path: PathIndex,
}

impl Admitted {
    /// Takes what was admitted before, and prepares for so many more.
    fn of(paths: Vec<AdmittedFile>, more: usize) -> Self {
        let mut admitted = Self::default();
        admitted.paths.reserve_exact(paths.len() + more);
        paths.into_iter().for_each(|path| admitted.push(path));
        admitted
    }

    /// Returns the places of what was admitted under one path, oldest first.
    fn under(&self, path: &str) -> Vec<usize> {
        let counting = self.by_path.under(&self.paths, path).filter(|at| !self.put_out.contains(at));
        let mut places: Vec<usize> = counting.collect();
        places.reverse();
        places
    }

    fn push(&mut self, path: AdmittedFile) {
        self.paths.push(path);
        self.by_path.add_next(&self.paths);
    }

    /// Puts those of some places out that are not forgotten.
    fn put_out(&mut self, places: &[usize]) {
        let Self { paths, put_out, .. } = self;
        put_out.extend(places.iter().filter(|at| !paths[**at].forgotten));
    }

    fn oldest_first(mut self) -> Vec<AdmittedFile> {
        let mut places = 0..;
        self.paths.retain(|_| places.next().is_none_or(|at| !self.put_out.contains(&at)));
        self.paths
    }
}

/// The admission of the files of one step to their dataset: what was admitted before, and what each file that is read
/// adds.
pub(super) struct Admission<'a> {
    store: &'a Store,
    contract: &'a SourceContract,
    step: &'a DatasetStep,
    before: Option<&'a Shared<DatasetManifest>>,
    /// The dataset as it comes to be; its paths are in `admitted` until the end.
    pub(super) raw: Raw,
    admitted: Admitted,
}

impl<'a> Admission<'a> {
    /// Begins with what of `before` still holds.
    pub(super) fn after(
        before: Option<&'a Shared<DatasetManifest>>,
        store: &'a Store,
        contract: &'a SourceContract,
        step: &'a DatasetStep,
    ) -> Self {
        let mut paths = before.map(|before| before.paths.clone()).unwrap_or_default();
        let mut contents = BTreeMap::new();
        if let Some(before) = before
            && before.read_hash == step.read_hash
        {
            contents = before.contents.clone();
            // What an earlier reader made is made anew where its file is there again.
            contents.retain(|_, content| content.read_as.is_none());
        } else if contract.files != FilesMode::Append {
            // Of a path that was appended to before, the last content is what it holds.
            let mut seen = HashSet::new();
            paths.reverse();
            paths.retain(|path| path.forgotten || seen.insert(path.path.clone()));
            paths.reverse();
        }
        let raw = Raw {
            dataset: contract.name.clone(),
            read_hash: step.read_hash.clone(),
            next_sequence: before.map_or(0, |before| before.next_sequence),
            paths: Vec::new(),
            contents,
            common: Common::default(),
            missing_columns: BTreeSet::new(),
            left: Vec::new(),
            outdated: Vec::new(),
            empty_files: Vec::new(),
        };
        Self { store, contract, step, before, raw, admitted: Admitted::of(paths, step.files.len()) }
    }

    /// Admits one file that was read.
    pub(super) fn admit(&mut self, listed: &Listed, reading: Reading) -> Result<(), IngestError> {
        let Reading { identity, content, missing_columns, examples, is_empty } = reading;
        self.raw.empty_files.extend(is_empty.then(|| listed.path.to_string()));
        self.raw.missing_columns.extend(missing_columns);
        let places = self.admitted.under(&listed.path);
        let is_content = |at: &usize| self.admitted.paths[*at].content == identity;
        if let Some(at) = places.iter().copied().find(|at| self.admitted.paths[*at].forgotten && is_content(at)) {
            discard(self.store, &content);
            self.stay_forgotten(at, &places, listed);
            return Ok(());
        }
        let as_before = places.last().copied().filter(is_content);
        if self.raw.contents.contains_key(&identity) {
            // A copy, or a file that was touched and not changed: its rows are there already.
            discard(self.store, &content);
        } else {
            reject_if_too_many(self.contract, listed, &content, examples)?;
            let mut content = content;
            self.raw.common.share(&mut content);
            self.raw.contents.insert(identity.clone(), content.into());
        }
        if let Some(at) = as_before {
            self.admitted.paths[at].etag = listed.etag.clone();
            return Ok(());
        }
        if self.contract.files != FilesMode::Append {
            self.admitted.put_out(&places);
        }
        self.push(AdmittedFile {
            path: listed.path.clone(),
            etag: listed.etag.clone(),
            bytes: listed.bytes,
            landed_at: listed.landed_at,
            sequence: self.raw.next_sequence,
            content: identity,
            forgotten: false,
        });
        Ok(())
    }

    /// Notes that a path holds bytes, still or again, that were forgotten.
    fn stay_forgotten(&mut self, at: usize, places: &[usize], listed: &Listed) {
        if places.last() == Some(&at) {
            self.admitted.paths[at].etag = listed.etag.clone();
            return;
        }
        // It held something else in between, which is there no more.
        let path = self.admitted.paths[at].clone();
        self.admitted.put_out.insert(at);
        if self.contract.files != FilesMode::Append {
            self.admitted.put_out(places);
        }
        self.push(AdmittedFile { etag: listed.etag.clone(), sequence: self.raw.next_sequence, ..path });
    }

    /// Appends a path, which has taken the next number of the sequence.
    fn push(&mut self, path: AdmittedFile) {
        self.admitted.push(path);
        self.raw.next_sequence += 1;
    }

    /// Returns the dataset, once every file was admitted.
    pub(super) fn finish(mut self) -> Result<Raw, IngestError> {
        self.raw.paths = std::mem::take(&mut self.admitted).oldest_first();
        self.drop_dead_contents();
        self.keep_outdated();
        for path in live_paths(self.contract.files, &self.raw.paths) {
            if !self.raw.contents.contains_key(&path.content) {
                return Err(self.unread(path));
            }
        }
        Ok(self.raw)
    }

    fn drop_dead_contents(&mut self) {
        let live = live_paths(self.contract.files, &self.raw.paths);
        let live: HashSet<&Digest> = live.iter().map(|path| &path.content).collect();
        self.raw.contents.retain(|identity, content| {
            let lives = live.contains(identity);
            if !lives {
                // Only what this run wrote is removed; what a snapshot names stays.
                discard(self.store, content);
            }
            lives
        });
    }

    /// Takes over the rows that an earlier reader made of bytes that are gone.
    fn keep_outdated(&mut self) {
        let Self { step, raw, .. } = self;
        let Some(before) = self.before.filter(|before| step.is_raised || before.read_hash == step.read_hash) else {
            return;
        };
        for path in live_paths(self.contract.files, &raw.paths) {
            let Some(content) = before.contents.get(&path.content) else { continue };
            if raw.contents.contains_key(&path.content) || !(step.is_raised || content.read_as.is_some()) {
                continue;
            }
            let read_as = content.read_as.clone().or_else(|| Some(Box::new(before.read_hash.clone())));
            raw.contents.insert(path.content.clone(), FileContent { read_as, ..FileContent::clone(content) }.into());
            raw.outdated.push(path.path.to_string());
        }
    }

    /// Returns why a path that counts has no rows.
    fn unread(&self, path: &AdmittedFile) -> IngestError {
        let because = match self.before {
            Some(before) if before.read_hash == self.step.read_hash => "it counts again".to_owned(),
            _ => format!("the contract of `{}` changed", self.contract.name),
        };
        if let Some(left) = self.step.left.iter().chain(&self.raw.left).find(|left| left.path == *path.path) {
            let FileLeft { path, why } = left.clone();
            return IngestError::Unready { path, because, why };
        }
        IngestError::Gone { path: path.path.to_string(), because }
    }
}

/// Returns whether an earlier reader made the rows of the same contents in both.
pub(crate) fn is_read_like(
    ones: &BTreeMap<Digest, Shared<FileContent>>,
    others: &BTreeMap<Digest, Shared<FileContent>>,
) -> bool {
    outdated(ones).eq(outdated(others))
}

/// Returns the contents whose rows an earlier reader made, by identity, and its read hash.
fn outdated(contents: &BTreeMap<Digest, Shared<FileContent>>) -> impl Iterator<Item = (&Digest, &Digest)> {
    contents.iter().filter_map(|(identity, content)| Some((identity, content.read_as.as_deref()?)))
}

fn reject_if_too_many(
    contract: &SourceContract,
    listed: &Listed,
    content: &FileContent,
    examples: Vec<String>,
) -> Result<(), IngestError> {
    let ledger = &content.ledger;
    // What was erased counts as if it fitted: a file that was ingested is not to fail for it.
    let records = ledger.accepted + ledger.quarantined;
    let allowed = contract.may_reject(records);
    if ledger.misfits() <= allowed {
        return Ok(());
    }
    Err(IngestError::Rejected {
        path: listed.path.to_string(),
        quarantined: ledger.misfits(),
        records,
        allowed,
        examples,
    })
}

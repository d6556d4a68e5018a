//! Landed files: which of them a run reads, which count, and whether the rows of a dataset are stale.
//!
//! Promises: what is decided is a pure function of a dataset's contract, the files that were admitted, the listing and the
//! clock of the snapshot; files that are gone stay admitted. It opens no file and knows nothing of SQL.

mod forget;
mod version;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use forget::Forget;

use crate::canonical::canonical;
use crate::digest::{Digest, Parts};
use crate::project::{FilesMode, Limits, RecordRule, SourceContract};
use crate::store::{AdmittedFile, DatasetManifest, Shared, Snapshot};

/// Whether something is made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Build {
    /// It must be, because of this.
    Required(BuildReason),
    /// It will be if one of these changes.
    IfChanged(Vec<String>),
    /// Everything that makes it is as it was.
    Skip,
}

/// Why something must be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildReason {
    /// It has never been published.
    New,
    /// Its SQL, a view that it reads, a variable or the version of the engine changed.
    Definition,
    /// It uses `$as_of`, which moved on.
    Clock,
    /// Files landed or changed.
    Files,
    /// Its contract changed.
    Contract,
    /// A dataset that it references is another than when it was cleaned.
    References,
    /// Files of it are forgotten or taken back.
    Forgotten,
    /// It is a check that never ran, or that checks something else than before.
    Check,
    /// A table that it is made from changed.
    Inputs,
}

impl BuildReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::New,
        Self::Definition,
        Self::Clock,
        Self::Files,
        Self::Contract,
        Self::References,
        Self::Forgotten,
        Self::Check,
        Self::Inputs,
    ];

    /// Returns the word for it that machines read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Definition => "definition",
            Self::Clock => "clock",
            Self::Files => "files",
            Self::Contract => "contract",
            Self::References => "references",
            Self::Forgotten => "forgotten",
            Self::Check => "check",
            Self::Inputs => "inputs",
        }
    }
}

impl std::fmt::Display for BuildReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::New => "never published",
            Self::Definition => "its SQL, a view or variable that it uses, or the engine changed",
            Self::Clock => "it uses $as_of, which moved on",
            Self::Files => "files landed",
            Self::Contract => "its contract changed",
            Self::References => "a dataset that it references changed",
            Self::Forgotten => "files of it are forgotten or taken back",
            Self::Check => "a check is new or another than before",
            Self::Inputs => "a table that it is made from changed",
        })
    }
}

/// A landed file, as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its path, written as the contract's `from` is.
    pub path: Shared<str>,
    /// A text that changes whenever its content may have changed.
    pub etag: Shared<str>,
    /// Its size.
    pub bytes: u64,
    /// When it was last written to.
    pub landed_at: DateTime<Utc>,
    /// Whether it is so young that its tag proves nothing.
    pub is_young: bool,
    /// The values that its path gives to columns, in the order of the pattern's captures.
    pub captures: Box<[String]>,
    /// Why it is not to be taken for whole, where the contract says so.
    pub unready: Option<Box<Unready>>,
}

/// Why a landed file may still be being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unready {
    /// It was written to less than this time ago.
    Unsettled(Duration),
    /// There is no such file beside it.
    Unmarked(String),
}

impl Unready {
    /// Returns the word for machines.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unsettled(_) => "unsettled",
            Self::Unmarked(_) => "unmarked",
        }
    }
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsettled(settled) => write!(f, "written to less than {} s ago", settled.as_secs()),
            Self::Unmarked(marker) => write!(f, "`{marker}` is not there"),
        }
    }
}

/// A landed file that is left for a later run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLeft {
    /// Its path.
    pub path: String,
    /// Why.
    pub why: Unready,
}

/// A landed dataset.
#[derive(Debug, Clone)]
pub struct DatasetStep {
    /// Its name.
    pub name: String,
    /// Digest of the part of its contract that shapes what is read.
    pub read_hash: Digest,
    /// Whether it differs from that of the stored rows only because readers were raised since: rows whose files are gone
    /// stay as they are then.
    pub is_raised: bool,
    /// The files to read, by path.
    pub files: Vec<FileStep>,
    /// The files that are left for a later run, by path.
    pub left: Vec<FileLeft>,
    /// How many admitted files need not be read.
    pub known_files: usize,
    /// How many admitted files are forgotten.
    pub forgotten_files: usize,
    /// Where its files should be, when none has ever been there: a mistake more often than not.
    pub nothing_at: Option<String>,
    /// Whether and why it is made again.
    pub build: Build,
}

/// A landed file to read.
#[derive(Debug, Clone)]
pub struct FileStep {
    /// The file.
    pub listed: Listed,
    /// Why.
    pub why: FileReason,
}

/// Why a landed file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileReason {
    /// No run has published with it.
    New,
    /// It may have changed since it was read.
    Changed,
    /// It is so young that only its bytes tell whether it changed.
    Racy,
    /// The contract reads it differently now.
    Contract,
    /// Its rows were given up, and it counts again, or does so if what came after it turns out to be forgotten.
    Returned,
}

impl FileReason {
    /// Returns the word for it that machines read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Racy => "young",
            Self::Contract => "contract",
            Self::Returned => "returned",
        }
    }
}

/// What is known of one dataset before a run.
#[derive(Debug, Default)]
pub struct DatasetInput {
    /// What was admitted; nothing before the first run.
    pub landed: Option<Shared<DatasetManifest>>,
    /// What is listed; nothing where the run takes in no new files.
    pub listed: Option<Vec<Listed>>,
    /// Whether the run forgets files of it, or takes such back; `landed` tells already.
    pub is_forgetting: bool,
    /// Whether it follows the datasets that it references; otherwise it counts as it was published last.
    pub is_following: bool,
}

/// Returns the admitted paths whose content counts, in the order in which it counts: by path, whichever landed first, so
/// that it is the order of a run from nothing; contents of one path as they came.
#[must_use]
pub fn live_paths(mode: FilesMode, paths: &[AdmittedFile]) -> Vec<&AdmittedFile> {
    let mut counted = paths.iter().filter(|path| !path.forgotten);
    match mode {
        FilesMode::Replace | FilesMode::Append => {
            let mut counted: Vec<&AdmittedFile> = counted.collect();
            counted.sort_by(|one, other| by_path(&one.path, &other.path).then(one.sequence.cmp(&other.sequence)));
            counted
        }
        FilesMode::Snapshot => counted.next_back().into_iter().collect(),
    }
}

/// Compares paths so that `orders-9` comes before `orders-10`: runs of digits by their value, the rest as it is.
#[must_use]
pub fn by_path(one: &str, other: &str) -> Ordering {
    let (mut ones, mut others) = (one, other);
    loop {
        let ((run, is_number), (other_run, is_other_number)) = (first_run(ones), first_run(others));
        let order = match (run.is_empty(), other_run.is_empty()) {
            (true, true) => return one.cmp(other),
            (false, false) => is_other_number
                .cmp(&is_number)
                .then_with(|| if is_number { by_value(run, other_run) } else { run.cmp(other_run) }),
            // The shorter one first.
            (is_over, _) => is_over.cmp(&false).reverse(),
        };
        if order.is_ne() {
            return order;
        }
        (ones, others) = (&ones[run.len()..], &others[other_run.len()..]);
    }
}

/// Returns the digits that a text begins with, or what it has before any, and whether it is digits.
fn first_run(text: &str) -> (&str, bool) {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(text.len());
    (&text[..end], is_number)
}

/// Compares digits as numbers of any length.
fn by_value(one: &str, other: &str) -> Ordering {
    let [one, other] = [one, other].map(|digits| digits.trim_start_matches('0'));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// Returns the identities of contents in the order of the first path that holds each.
pub fn in_order<'a>(live: &[&'a AdmittedFile]) -> impl Iterator<Item = &'a Digest> {
    let mut seen = HashSet::with_capacity(live.len());
    live.iter().map(|path| &path.content).filter(move |content| seen.insert(*content))
}

/// Returns the digest of everything that decides which rows of which files a dataset has; `referenced` has the contents
/// of the datasets that it references.
#[must_use]
pub fn dataset_build_hash(
    contract: &SourceContract,
    shape: &Digest,
    paths: &[AdmittedFile],
    referenced: &BTreeMap<String, Digest>,
) -> Digest {
    let mut parts = Parts::of("dataset");
    parts.add(version::READERS);
    parts.add(&contract.name);
    parts.add(shape.as_str());
    parts.add(format!("{} {} {}", canonical(&contract.key), canonical(&contract.keep), canonical(&contract.files)));
    parts.add(if contract.count_repeated { "repeated" } else { "" });
    in_order(&live_paths(contract.files, paths)).for_each(|identity| parts.add(identity.as_str()));
    for (column, reference) in contract.references() {
        parts.add(format!("{column} {reference}"));
        parts.add(referenced.get(&reference.dataset).map_or("none", Digest::as_str));
    }
    parts.digest()
}

/// Returns the digest of the part of a contract that shapes what is read from a file.
#[must_use]
pub fn read_hash(contract: &SourceContract, limits: &Limits) -> Digest {
    read_hash_with(contract, limits, version::raised(contract))
}

/// Returns the digests that [`read_hash`] returned for the same contract before readers were raised that it is read by, the
/// latest first.
#[must_use]
fn earlier_read_hashes(contract: &SourceContract, limits: &Limits) -> Vec<Digest> {
    let raised: Vec<&str> = version::raised(contract).collect();
    (0..raised.len()).rev().map(|known| read_hash_with(contract, limits, raised[..known].iter().copied())).collect()
}

fn read_hash_with<'a>(contract: &SourceContract, limits: &Limits, raised: impl Iterator<Item = &'a str>) -> Digest {
    let mut parts = Parts::of("shape");
    parts.add(version::READERS);
    parts.add(format!("{} {} {}", canonical(&contract.format), contract.encoding.name(), contract.parse_zone.name()));
    parts.add(contract.from.captures().join(","));
    parts.add(format!("{} {} {}", canonical(&contract.files), limits.record_bytes, limits.nesting_depth));
    for (name, column) in &contract.columns {
        parts.add(name);
        parts.add(format!(
            "{} {} {} {} {} {} {} {} {}",
            column.kind,
            canonical(&column.path),
            canonical(&column.aliases),
            canonical(&column.normalise),
            canonical(&column.null),
            canonical(&column.formats),
            canonical(&column.rules),
            canonical(&column.not_future),
            canonical(&column.rest)
        ));
        column.true_if.iter().for_each(|condition| parts.add(canonical(condition)));
        parts.add(if contract.key.contains(name) { "key" } else { "" });
    }
    contract.partition.iter().for_each(|by| parts.add(canonical(by)));
    for RecordRule { name, condition, reason } in &contract.rules {
        parts.add(format!("{name} {reason} {}", canonical(condition)));
    }
    contract.late.iter().for_each(|late| parts.add(canonical(late)));
    if !contract.erased.is_empty() {
        parts.add(canonical(&contract.erased));
    }
    raised.for_each(|raised| parts.add(raised));
    parts.digest()
}

/// Returns what a run has to do for a dataset; `stale` are the tables that it will build or may.
#[must_use]
pub fn step(
    contract: &SourceContract,
    limits: &Limits,
    input: &DatasetInput,
    snapshot: Option<&Snapshot>,
    stale: &BTreeSet<String>,
) -> DatasetStep {
    let read_hash = read_hash(contract, limits);
    let admitted: HashMap<&str, &AdmittedFile> =
        input.landed.iter().flat_map(|landed| landed.paths.iter().map(|path| (&*path.path, path))).collect();
    let without_rows = without_rows(contract, input.landed.as_deref());
    let is_read_otherwise = input.landed.as_deref().is_some_and(|landed| landed.read_hash != read_hash);
    let is_raised = input
        .landed
        .as_ref()
        .is_some_and(|landed| is_read_otherwise && earlier_read_hashes(contract, limits).contains(&landed.read_hash));
    let is_outdated = |path: &AdmittedFile| {
        let content = input.landed.as_deref().and_then(|landed| landed.contents.get(&path.content));
        content.is_some_and(|content| content.read_as.is_some())
    };
    let why = |listed: &Listed| match admitted.get(&*listed.path) {
        None => Some(FileReason::New),
        // What is forgotten is looked at only when it may be something else by now.
        Some(path) if (is_read_otherwise || is_outdated(path)) && !path.forgotten => Some(FileReason::Contract),
        Some(path) if path.etag != listed.etag => Some(FileReason::Changed),
        Some(path) if without_rows.contains(&*path.path) => Some(FileReason::Returned),
        Some(_) if listed.is_young => Some(FileReason::Racy),
        Some(_) => None,
    };
    // What was admitted as it is was whole then.
    let is_admitted = |listed: &Listed| admitted.get(&*listed.path).is_some_and(|path| path.etag == listed.etag);
    let (ready, unready): (Vec<&Listed>, Vec<&Listed>) =
        input.listed.iter().flatten().partition(|listed| listed.unready.is_none() || is_admitted(listed));
    let left: Vec<FileLeft> = unready
        .into_iter()
        .filter_map(|listed| {
            Some(FileLeft { path: listed.path.to_string(), why: Unready::clone(listed.unready.as_ref()?) })
        })
        .collect();
    let changed = ready.iter().filter(|listed| why(listed).is_some()).map(|listed| &*listed.path).collect();
    let uncovered = uncovered(contract, input.landed.as_deref(), &changed);
    let returned = |listed: &Listed| uncovered.contains(&*listed.path).then_some(FileReason::Returned);
    let step =
        |listed: &Listed| Some(FileStep { listed: listed.clone(), why: why(listed).or_else(|| returned(listed))? });
    let files: Vec<FileStep> = ready.into_iter().filter_map(step).collect();
    let is_read: HashSet<&str> = files.iter().map(|file| &*file.listed.path).collect();
    let is_known = |path: &&&AdmittedFile| !path.forgotten && !is_read.contains(&*path.path);
    let known_files = admitted.values().filter(is_known).count();
    let forgotten_files = admitted.values().filter(|path| path.forgotten).count();
    let build = build(contract, input, snapshot, stale, (&files, is_read_otherwise));
    let is_empty = admitted.is_empty() && files.is_empty() && left.is_empty();
    let nothing_at = is_empty.then(|| contract.from.to_string());
    DatasetStep {
        name: contract.name.clone(),
        read_hash,
        is_raised,
        files,
        left,
        known_files,
        forgotten_files,
        nothing_at,
        build,
    }
}

/// Returns whether and why a dataset is built, of which some files are read.
fn build(
    contract: &SourceContract,
    input: &DatasetInput,
    snapshot: Option<&Snapshot>,
    stale: &BTreeSet<String>,
    (files, is_read_otherwise): (&[FileStep], bool),
) -> Build {
    let entry = snapshot.and_then(|snapshot| snapshot.tables.get(&contract.name));
    let (Some(landed), Some(entry)) = (&input.landed, entry) else { return Build::Required(BuildReason::New) };
    let build_hash = dataset_build_hash(contract, &landed.read_hash, &landed.paths, &landed.referenced);
    let referenced = || contract.referenced().into_iter().filter(|_| input.is_following);
    let published = |name: &str| snapshot?.tables.get(name).map(|entry| &entry.content_hash);
    let changed: Vec<String> = referenced().filter(|name| stale.contains(*name)).map(str::to_owned).collect();
    if is_read_otherwise {
        Build::Required(BuildReason::Contract)
    } else if input.is_forgetting {
        Build::Required(BuildReason::Forgotten)
    } else if build_hash != entry.build_hash {
        Build::Required(BuildReason::Contract)
    } else if files.iter().any(|file| file.why == FileReason::New) {
        Build::Required(BuildReason::Files)
    } else if referenced().any(|name| landed.referenced.get(name) != published(name)) {
        Build::Required(BuildReason::References)
    } else if files.is_empty() && changed.is_empty() {
        Build::Skip
    } else {
        Build::IfChanged(changed)
    }
}

/// Returns the paths that count and whose rows are not there: they were forgotten, or stood behind one that is.
#[must_use]
pub fn without_rows<'a>(contract: &SourceContract, landed: Option<&'a DatasetManifest>) -> BTreeSet<&'a str> {
    let Some(landed) = landed else { return BTreeSet::new() };
    let live = live_paths(contract.files, &landed.paths).into_iter();
    live.filter(|path| !landed.contents.contains_key(&path.content)).map(|path| &*path.path).collect()
}

/// Returns the paths whose rows are not there and that count again if files that are read hold bytes that were forgotten
/// under their paths: of snapshots the one before takes their place then.
fn uncovered<'a>(
    contract: &SourceContract,
    landed: Option<&'a DatasetManifest>,
    is_read: &HashSet<&str>,
) -> BTreeSet<&'a str> {
    let Some(landed) = landed.filter(|_| contract.files == FilesMode::Snapshot) else { return BTreeSet::new() };
    let forgotten: BTreeSet<&str> = landed.paths.iter().filter(|path| path.forgotten).map(|path| &*path.path).collect();
    let may_go = |path: &AdmittedFile| forgotten.contains(&*path.path) && is_read.contains(&*path.path);
    let mut uncovered = BTreeSet::new();
    for path in landed.paths.iter().rev().filter(|path| !path.forgotten) {
        if !landed.contents.contains_key(&path.content) {
            uncovered.insert(&*path.path);
        }
        if !may_go(path) {
            break;
        }
    }
    uncovered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_paths_count_by_their_value() {
        let sorted =
            ["in/a-09.csv", "in/a-9.csv", "in/a-10.csv", "in/a-2024-01.csv", "in/a.csv", "in/a.csv.gz", "in/b.csv"];
        let mut paths = sorted;
        paths.reverse();
        paths.sort_by(|one, other| by_path(one, other));
        assert_eq!(paths, sorted);
        // Whatever the two are, one order is the other's reverse.
        for one in sorted {
            for other in sorted {
                assert_eq!(by_path(one, other), by_path(other, one).reverse(), "{one} {other}");
            }
        }
    }
}

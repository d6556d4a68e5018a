//! What the store remembers: snapshots, and the states of tables that they name.
//!
//! Everything here is plain JSON, named by the digest of its bytes, and never changed once written.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::key_range::KeyRange;
use super::ledger::{CleanCounts, Ledger};
use super::rows::RowSum;
use super::shared::Shared;
use crate::digest::{Digest, Parts};
use crate::partition::PartitionKey;
use crate::project::{ColumnType, PartitionBy, Severity};

/// All tables at one moment: what a run published, or would publish once released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The version of this format.
    pub format: u32,
    /// The snapshot that it followed.
    pub parent: Option<Digest>,
    /// The run that made it.
    pub run: String,
    /// Digest of the project that made it.
    pub project: Digest,
    /// The logical clock of that run.
    #[serde(with = "crate::instant")]
    pub as_of: DateTime<Utc>,
    /// Every table, by name.
    pub tables: BTreeMap<String, TableEntry>,
    /// Of every check, the digest with which it ran last. None of them stood in the way.
    pub checks: BTreeMap<String, Digest>,
    /// The checks that failed and only warn, so that a run that runs none can say so.
    pub warned: BTreeSet<String>,
    /// The digest that names the results of checks; see [`CheckResults`].
    #[serde(rename = "outcomes")]
    pub check_results: Digest,
    /// The digest that names what the project consisted of; of snapshots that are older than manifests, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
}

/// Result of every check when it last ran, by name.
pub type CheckResults = BTreeMap<String, CheckResult>;

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// The table that declares it.
    pub table: Option<String>,
    /// What was asked.
    pub kind: String,
    /// What it means if it fails.
    pub severity: Severity,
    /// What it came to.
    pub state: CheckStatus,
    /// How many rows fail it.
    pub failing_rows: u64,
    /// How many it looked at, where that is known.
    pub tested_rows: Option<u64>,
    /// How much may fail it.
    pub threshold: Option<String>,
    /// What it checks.
    pub message: String,
    /// The logical clock of the run that ran it.
    #[serde(with = "crate::instant")]
    pub asked_at: DateTime<Utc>,
    /// The first rows that fail it, each a JSON object.
    pub rows: Vec<String>,
}

/// What became of a check whose tables are published. It is stored by the words of the first version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// No more rows fail it than may.
    #[serde(rename = "kept")]
    Passed,
    /// It failed, and only warns.
    Warned,
    /// There were too few rows to judge by.
    #[serde(rename = "not_judged")]
    Skipped,
}

impl CheckStatus {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Skipped => "skipped",
        }
    }
}

/// What a snapshot says of one table, so that a run with nothing to do need not open the table's own state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableEntry {
    /// The digest that names the table's state.
    pub state: Digest,
    /// Digest of all that made the rows.
    #[serde(rename = "fingerprint")]
    pub build_hash: Digest,
    /// Digest of the rows and their columns, whatever their order and files.
    #[serde(rename = "content")]
    pub content_hash: Digest,
    /// How many rows there are.
    pub rows: u64,
}

/// One table: what it holds, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableState {
    /// The table's name.
    pub table: String,
    /// Whether BI tools get to see it.
    pub is_published: bool,
    /// What it holds, for people.
    pub description: Option<String>,
    /// What one row stands for, for people.
    pub grain: Option<String>,
    /// Its columns.
    pub columns: Vec<ColumnState>,
    /// Digest of all that made the rows.
    #[serde(rename = "fingerprint")]
    pub build_hash: Digest,
    /// What its rows are told apart by, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<PartitionBy>,
    /// Its files.
    pub files: Vec<DataFile>,
    /// Of a model that is made by partitions, what made them.
    #[serde(rename = "made", default, skip_serializing_if = "Option::is_none")]
    pub built_from: Option<PartitionFingerprints>,
    /// For a landed dataset, the files that it was made from.
    pub landed: Option<Shared<DatasetManifest>>,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnState {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// What it means.
    pub description: Option<String>,
    /// What its numbers count or measure.
    pub unit: Option<String>,
    /// Its label in English.
    pub en: Option<String>,
    /// Its label in Chinese.
    pub zh: Option<String>,
}

/// What made the partitions of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionFingerprints {
    /// Digest of all that made every partition: the query, and the inputs that it reads as a whole.
    pub base: Digest,
    /// Of each partition, in order, the digest of what else it was made of. One that came out empty is there, too.
    pub partitions: Vec<(PartitionKey, Digest)>,
}

/// Rows of a Parquet file of the warehouse. What is said of the file itself is read through it, as `file.path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// The file; where rows of many landed files share one, what is said of it is there once.
    pub on_disk: Shared<FileOnDisk>,
    /// The sum over its rows, whatever their order; those in the deletion vector do not count.
    pub sum: RowSum,
    /// The sums over the rows of each partition, in order; of a table without partitions none.
    pub partitions: Vec<(PartitionKey, RowSum)>,
    /// The rows of the file that do not count, if there are any: a file of their numbers, in order, from zero.
    pub deletion_vector: Option<Box<DataFile>>,
    /// Which of the file's rows these are, if others share it; bytes and digest are those of the whole file then. Only the
    /// rows of small landed files are stored so.
    pub part: Option<FilePart>,
}

/// A Parquet file of the warehouse, whatever rows of it are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOnDisk {
    /// Its path in the warehouse.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// Digest of them; of a file of before it was written down none.
    pub hash: Option<Digest>,
}

impl Deref for DataFile {
    type Target = FileOnDisk;

    fn deref(&self) -> &FileOnDisk {
        &self.on_disk
    }
}

/// How a [`DataFile`] is written down.
#[derive(Serialize)]
struct WrittenFile<'a> {
    path: &'a str,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<&'a Digest>,
    sum: &'a RowSum,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    partitions: &'a [(PartitionKey, RowSum)],
    #[serde(skip_serializing_if = "Option::is_none")]
    without: Option<&'a DataFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a FilePart>,
}

/// How a [`DataFile`] is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadFile {
    path: String,
    bytes: u64,
    #[serde(default)]
    hash: Option<Digest>,
    sum: RowSum,
    #[serde(default)]
    partitions: Vec<(PartitionKey, RowSum)>,
    #[serde(default)]
    without: Option<Box<DataFile>>,
    #[serde(default)]
    part: Option<FilePart>,
}

impl Serialize for DataFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { on_disk, sum, partitions, deletion_vector: without, part } = self;
        let FileOnDisk { path, bytes, hash } = &**on_disk;
        let (hash, without, part) = (hash.as_ref(), without.as_deref(), part.as_ref());
        WrittenFile { path, bytes: *bytes, hash, sum, partitions, without, part }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DataFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ReadFile { path, bytes, hash, sum, mut partitions, without, part } = ReadFile::deserialize(deserializer)?;
        partitions.shrink_to_fit();
        Ok(Self { on_disk: FileOnDisk { path, bytes, hash }.into(), sum, partitions, deletion_vector: without, part })
    }
}

/// Rows that share a file with others: those from `first_row` on, as many as their sum says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePart {
    /// The place of the first of them.
    pub first_row: u64,
    /// How many rows the file has.
    pub of_rows: u64,
}

/// What the rows of a file are, of those that the state of a table names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileRole {
    /// Rows with the columns of the table.
    Rows,
    /// Records and rows that were quarantined.
    Quarantine,
    /// The part of the ledger that tells of the table's landed files.
    Ledger,
    /// Numbers of rows in another file.
    RowNumbers,
}

/// The one column of a file of row numbers.
pub const ROW_COLUMN: &str = "row";

/// The landed files of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetManifest {
    /// Digest of the part of the contract that shapes what is read.
    #[serde(rename = "shape")]
    pub read_hash: Digest,
    /// The sequence that the next admitted file gets.
    pub next_sequence: u64,
    /// Every path that was admitted, oldest first.
    pub paths: Vec<AdmittedFile>,
    /// What was read, by identity of content. Rows live while a path holds their content.
    #[serde(deserialize_with = "contents::read")]
    pub contents: BTreeMap<Digest, Shared<FileContent>>,
    /// What became of the rows, all files together.
    pub counts: CleanCounts,
    /// The accepted rows that were quarantined because a value was not found where it references, if there are any.
    #[serde(rename = "set_aside", default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<DataFile>,
    /// The content of each dataset that it references, as it was then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub referenced: BTreeMap<String, Digest>,
    /// How many rows may be missing because records were erased, here or in what it references.
    #[serde(default)]
    pub erased: u64,
    /// What was decided about the contents that lost rows, by identity; of the others every row is kept.
    #[serde(rename = "decided", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dedup: BTreeMap<Digest, DedupResult>,
    /// Digest of the rules by which that was decided.
    #[serde(rename = "deciding")]
    pub dedup_hash: Digest,
    /// Files that hold kept rows of several contents, or of one that lost some, by the digest of what they were made of.
    #[serde(rename = "gathered")]
    pub compacted: BTreeMap<Digest, DataFile>,
    /// The dataset's part of `dq_ledger`.
    pub ledger: DataFile,
}

/// A path under which a landed file was admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmittedFile {
    /// The path, as the contract's `from` leads to it.
    pub path: Shared<str>,
    /// Its tag when it was read: a cheap question whether it may have changed.
    #[serde(rename = "tag")]
    pub etag: Shared<str>,
    /// Its size when it was read.
    pub bytes: u64,
    /// When it had landed.
    #[serde(with = "crate::instant")]
    pub landed_at: DateTime<Utc>,
    /// The order of admission.
    pub sequence: u64,
    /// The identity of its content.
    pub content: Digest,
    /// Whether it was given up: its rows do not count, and the same content is not admitted under this path again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forgotten: bool,
}

impl DatasetManifest {
    /// Returns the admitted paths but those that are forgotten, oldest first.
    pub fn remembered(&self) -> impl Iterator<Item = &AdmittedFile> {
        self.paths.iter().filter(|path| !path.forgotten)
    }
}

/// What was decided about the rows of one content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DedupResult {
    /// The rows that are not kept.
    #[serde(rename = "lost")]
    pub dropped: DroppedRows,
    /// The sum over them.
    #[serde(rename = "lost_sum")]
    pub dropped_sum: RowSum,
    /// The sums over those of each partition, where rows are told apart.
    #[serde(rename = "lost_sums", default, skip_serializing_if = "Vec::is_empty")]
    pub dropped_sums: Vec<(PartitionKey, RowSum)>,
    /// What the rows became.
    pub counts: CleanCounts,
}

/// Rows of a content, by their place in its file, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DroppedRows {
    /// A few.
    Rows(Vec<u32>),
    /// Many: a file of their numbers.
    File(DataFile),
}

/// The content of a landed file, read once however many paths hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileContent {
    /// Digest of its decoded bytes: a file that is packed or unpacked stays the same.
    pub hash: Digest,
    /// When it had landed: what its times were held against. It stays, whatever becomes of the file.
    #[serde(with = "crate::instant")]
    pub landed_at: DateTime<Utc>,
    /// Its place among those that counted when rows were last decided about.
    #[serde(default)]
    pub counted_as: u64,
    /// What became of its records.
    pub ledger: Shared<Ledger>,
    /// The rows that its records made, if it has any.
    pub rows: Option<DataFile>,
    /// The bounds of the first column of their key, where there is one and they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_range: Option<Shared<KeyRange>>,
    /// Its records that were quarantined, if there are any.
    pub quarantine: Option<Box<DataFile>>,
    /// Columns of the file that the contract does not know.
    pub unknown_columns: Shared<Vec<String>>,
    /// The shape by which it was read, where that is not the dataset's: a reader was raised since, and its file was gone
    /// by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_as: Option<Box<Digest>>,
}

/// What many contents of a dataset have in common, so that it is in memory once: most share a file, and lack nothing.
#[derive(Debug, Default)]
pub struct Common {
    files: HashMap<String, Shared<FileOnDisk>>,
    ledgers: HashSet<Shared<Ledger>>,
    key_ranges: HashSet<Shared<KeyRange>>,
    unknown_columns: HashSet<Shared<Vec<String>>>,
}

impl Common {
    /// Lets a content hold what one of before holds, where the two are equal.
    pub fn share(&mut self, content: &mut FileContent) {
        if let Some(rows) = content.rows.as_mut().filter(|rows| rows.part.is_some()) {
            match self.files.get(&rows.on_disk.path) {
                Some(known) if *known == rows.on_disk => rows.on_disk = known.clone(),
                _ => drop(self.files.insert(rows.on_disk.path.clone(), rows.on_disk.clone())),
            }
        }
        one_of(&mut self.ledgers, &mut content.ledger);
        if let Some(range) = &mut content.key_range {
            one_of(&mut self.key_ranges, range);
        }
        one_of(&mut self.unknown_columns, &mut content.unknown_columns);
    }
}

/// Puts the one among `known` in place of a value that equals it.
fn one_of<T: Eq + Hash>(known: &mut HashSet<Shared<T>>, value: &mut Shared<T>) {
    match known.get(value) {
        Some(known) => *value = known.clone(),
        None => drop(known.insert(value.clone())),
    }
}

/// Contents of a dataset as they are read.
mod contents {
    use super::{BTreeMap, Common, Deserializer, Digest, FileContent, MapAccess, Shared, Visitor, fmt};

    struct Contents;

    impl<'de> Visitor<'de> for Contents {
        type Value = BTreeMap<Digest, Shared<FileContent>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("contents by their identity")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut contents, mut common) = (BTreeMap::new(), Common::default());
            while let Some((identity, mut content)) = map.next_entry::<Digest, FileContent>()? {
                common.share(&mut content);
                contents.insert(identity, content.into());
            }
            Ok(contents)
        }
    }

    pub(super) fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Digest, Shared<FileContent>>, D::Error> {
        deserializer.deserialize_map(Contents)
    }
}

impl TableState {
    /// Returns the digest of the rows and their columns.
    #[must_use]
    pub fn content_hash(&self) -> Digest {
        let mut parts = Parts::of("content");
        for column in &self.columns {
            parts.add(&column.name);
            parts.add(column.kind.to_string());
        }
        parts.add(self.sum().to_string());
        parts.digest()
    }

    /// Returns how many rows there are.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.sum.rows).sum()
    }

    /// Returns the sum over all rows.
    #[must_use]
    pub fn sum(&self) -> RowSum {
        let mut sum = RowSum::default();
        self.files.iter().for_each(|file| sum.merge(file.sum));
        sum
    }

    /// Returns every file that the table needs, also to decide about its rows again. One may be named several times.
    #[must_use]
    pub fn data_files(&self) -> Vec<(FileRole, &DataFile)> {
        let mut named: Vec<(FileRole, &DataFile)> = self.files.iter().map(|file| (FileRole::Rows, file)).collect();
        if let Some(landed) = &self.landed {
            let contents = || landed.contents.values();
            named.extend(contents().filter_map(|content| Some((FileRole::Rows, content.rows.as_ref()?))));
            named.extend(landed.compacted.values().map(|file| (FileRole::Rows, file)));
            named.extend(contents().filter_map(|content| Some((FileRole::Quarantine, content.quarantine.as_deref()?))));
            named.extend(landed.quarantined.iter().map(|file| (FileRole::Quarantine, file)));
            named.push((FileRole::Ledger, &landed.ledger));
            let listed = landed.dedup.values().filter_map(|decided| match &decided.dropped {
                DroppedRows::File(file) => Some((FileRole::RowNumbers, file)),
                DroppedRows::Rows(_) => None,
            });
            named.extend(listed);
        }
        let without: Vec<&DataFile> = named.iter().filter_map(|(_, file)| file.deletion_vector.as_deref()).collect();
        named.extend(without.into_iter().map(|file| (FileRole::RowNumbers, file)));
        named
    }

    /// Returns the sum over the rows of each partition that has some.
    #[must_use]
    pub fn partition_sums(&self) -> BTreeMap<PartitionKey, RowSum> {
        let mut sums: BTreeMap<PartitionKey, RowSum> = BTreeMap::new();
        for (key, sum) in self.files.iter().flat_map(|file| &file.partitions) {
            sums.entry(*key).or_default().merge(*sum);
        }
        sums.retain(|_, sum| sum.rows > 0);
        sums
    }
}

/// Returns the schema of stored columns.
#[must_use]
pub fn schema_of(columns: &[ColumnState]) -> SchemaRef {
    let fields = columns.iter().map(|column| Field::new(&column.name, column.kind.arrow(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

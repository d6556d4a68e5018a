//! Decides which of the rows with one key is kept.
//!
//! First pass: the hash of each key, to find those that occur twice (eight bytes a row). Second pass: the rows with such a
//! hash alone, compared by their keys and not by hashes. Both go bucket by bucket of the hash, so that memory grows by a
//! bit a row only, and every row is read once for each. Ties in the order column go to the later file and record for
//! `latest`, to the earlier for `first`.
//!
//! Rows that repeat an earlier one are found in the same way, as if all columns were the key, and stay.

use std::collections::{BTreeMap, HashSet};
use std::ops::{Deref, DerefMut};

use arrow::array::{Array, ArrayRef, BooleanBufferBuilder, NullArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, Rows, SortField};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::in_parallel::in_parallel;
use super::repeat_filter::RepeatFilter;
use super::spill::{SpillWriter, Spilled};
use super::{CleanError, Part};
use crate::ingest::{partitioner, stored_row_schema};
use crate::partition::PartitionKey;
use crate::project::{Keep, SourceContract};
use crate::store::{
    CleanCounts, DataFile, DroppedRows, RowGroup, RowHasher, RowSum, Store, StoreError, read_row_group, row_groups,
};

/// How much is in memory at a time. What is decided does not depend on it.
#[derive(Debug, Clone, Copy)]
struct Buckets {
    /// Of how many rows the keys' hashes: some ten bytes each.
    hashes: usize,
    /// How many rows that may have to be compared: some hundred bytes each, and their keys.
    candidates: usize,
}

impl Buckets {
    const USUAL: Self = Self { hashes: 1 << 23, candidates: 1 << 20 };
}

/// What was decided about the rows of one content.
#[derive(Debug, Default)]
pub(super) struct DedupDecision {
    /// What the rows became.
    pub(super) counts: CleanCounts,
    /// The rows that are not kept, of the few contents that drop some: what is said of them is read through the decision.
    pub(super) dropped: Option<Box<Dropped>>,
}

/// The rows of a content that are not kept.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// The rows that are not kept, by their place in the content's file, in order.
    pub(super) dropped_rows: Vec<u32>,
    /// The sum over those rows.
    pub(super) dropped_sum: RowSum,
    /// The sums over those of each partition, where rows are told apart.
    pub(super) dropped_sums: BTreeMap<PartitionKey, RowSum>,
    /// The dropped rows as they were stored, if they are those still.
    pub(super) stored: Option<DroppedRows>,
}

/// What a content drops that keeps all rows.
static NOTHING: Dropped = Dropped {
    dropped_rows: Vec::new(),
    dropped_sum: RowSum { rows: 0, sum: 0 },
    dropped_sums: BTreeMap::new(),
    stored: None,
};

impl Deref for DedupDecision {
    type Target = Dropped;

    fn deref(&self) -> &Dropped {
        self.dropped.as_deref().unwrap_or(&NOTHING)
    }
}

impl DerefMut for DedupDecision {
    fn deref_mut(&mut self) -> &mut Dropped {
        self.dropped.get_or_insert_default()
    }
}

impl DedupDecision {
    /// Brings the rows that are not kept into order.
    pub(super) fn sort(&mut self) {
        self.dropped.iter_mut().for_each(|dropped| dropped.dropped_rows.sort_unstable());
    }

    /// Returns the decision to keep all rows of a content.
    pub(super) fn all_kept(part: &Part) -> Self {
        let counts = CleanCounts { clean: stored_rows(part), ..CleanCounts::default() };
        Self { counts, ..Self::default() }
    }

    /// Drops a row, whose part of the sum is `hash`; the caller counts what becomes of it.
    pub(super) fn drop_row(&mut self, row: u32, hash: u128, partition: Option<PartitionKey>) {
        self.dropped_rows.push(row);
        self.dropped_sum.add(hash);
        if let Some(partition) = partition {
            self.dropped_sums.entry(partition).or_default().add(hash);
        }
        self.counts.clean -= 1;
        self.stored = None;
    }

    /// Drops a row that another one with its key is preferred to.
    pub(super) fn drop_repeat(&mut self, dropped: &DroppedRow) {
        self.drop_row(dropped.row, dropped.hash, dropped.partition);
        let counts = &mut self.counts;
        *(if dropped.is_duplicate { &mut counts.exact_duplicates } else { &mut counts.superseded }) += 1;
    }

    /// Undoes [`Self::drop_repeat`] but for the list of dropped rows.
    pub(super) fn restore(&mut self, dropped: &DroppedRow) {
        let hash = RowSum { rows: 1, sum: dropped.hash };
        self.dropped_sum = self.dropped_sum.less(hash);
        if let Some(sum) = dropped.partition.and_then(|partition| self.dropped_sums.get_mut(&partition)) {
            *sum = sum.less(hash);
        }
        let counts = &mut self.counts;
        counts.clean += 1;
        *(if dropped.is_duplicate { &mut counts.exact_duplicates } else { &mut counts.superseded }) -= 1;
        self.stored = None;
    }
}

/// A row, by its content and its place in that content's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Row {
    part: u32,
    row: u32,
}

/// Rows of a content that are read together.
#[derive(Debug)]
struct Stretch {
    part: u32,
    /// The place in the content's file of the first of them.
    first: u32,
    rows: RowGroup,
}

/// Decides about every row of `parts`, which stand in the order of their admission.
pub(super) fn decide(
    store: &Store,
    contract: &SourceContract,
    parts: &[Part],
) -> Result<Vec<DedupDecision>, CleanError> {
    decide_by(Buckets::USUAL, store, contract, parts)
}

fn decide_by(
    buckets: Buckets,
    store: &Store,
    contract: &SourceContract,
    parts: &[Part],
) -> Result<Vec<DedupDecision>, CleanError> {
    let mut decisions: Vec<DedupDecision> = parts.iter().map(DedupDecision::all_kept).collect();
    if !contract.key.is_empty() {
        let rows = KeyedRows { buckets, ..KeyedRows::of(store, contract, parts)? };
        rows.drop_all(&mut |dropped| decisions[dropped.part as usize].drop_repeat(&dropped))?;
    } else if contract.count_repeated {
        let mut repeated = vec![0; parts.len()];
        let contract = by_every_column(contract);
        let rows = KeyedRows { buckets, ..KeyedRows::of(store, &contract, parts)? };
        rows.drop_all(&mut |dropped| repeated[dropped.part as usize] += 1)?;
        decisions.iter_mut().zip(repeated).for_each(|(decision, rows)| decision.counts.repeated = Some(rows));
    }
    decisions.iter_mut().for_each(DedupDecision::sort);
    Ok(decisions)
}

/// Returns how many rows of a content are stored, which is what its records made unless rows were left out on the way.
pub(super) fn stored_rows(part: &Part) -> u64 {
    part.content.rows.as_ref().map_or(0, |file| file.sum.rows)
}

/// Returns the contract under which a row loses that equals an earlier one in every column.
fn by_every_column(contract: &SourceContract) -> SourceContract {
    let key: Vec<String> = contract.columns.keys().cloned().collect();
    // Of equal rows any column is equal, and then the earlier row stays.
    let keep = key.first().cloned().map(Keep::First);
    SourceContract { key, keep, ..contract.clone() }
}

/// Returns the hashes of all keys of `parts`.
pub(super) fn key_hashes(store: &Store, contract: &SourceContract, parts: &[Part]) -> Result<HashSet<u64>, CleanError> {
    let rows = KeyedRows::of(store, contract, parts)?;
    let of_stretch = |stretch: &Stretch| {
        let mut hashes = Vec::with_capacity(stretch.rows.rows);
        rows.each_key(stretch, |_, hash| {
            hashes.push(hash);
            Ok(())
        })?;
        Ok::<_, CleanError>(hashes)
    };
    Ok(in_parallel(&rows.stretches, of_stretch)?.into_iter().flatten().collect())
}

/// Returns each row that another one with its key is preferred to, of the keys whose hashes are among `keys`.
pub(super) fn dropped_among(
    store: &Store,
    contract: &SourceContract,
    parts: &[Part],
    keys: &HashSet<u64>,
) -> Result<Vec<DroppedRow>, CleanError> {
    let rows = KeyedRows::of(store, contract, parts)?;
    let of_stretch = |stretch: &Stretch| {
        let mut bits = BooleanBufferBuilder::new(stretch.rows.rows);
        rows.each_key(stretch, |_, hash| {
            bits.append(keys.contains(&hash));
            Ok(())
        })?;
        Ok::<_, CleanError>(bits.finish())
    };
    let candidates = in_parallel(&rows.stretches, of_stretch)?;
    let mut dropped = Vec::new();
    rows.drop_among(&candidates, &mut |row| dropped.push(row))?;
    Ok(dropped)
}

/// The stored rows of a dataset, of which one is kept of those with one key.
struct KeyedRows<'a> {
    store: &'a Store,
    contract: &'a SourceContract,
    parts: &'a [Part],
    buckets: Buckets,
    stretches: Vec<Stretch>,
}

impl<'a> KeyedRows<'a> {
    fn of(store: &'a Store, contract: &'a SourceContract, parts: &'a [Part]) -> Result<Self, CleanError> {
        let stretches = stretches(store, contract, parts)?;
        Ok(Self { store, contract, parts, buckets: Buckets::USUAL, stretches })
    }

    /// Tells of each row that another one with its key is preferred to.
    fn drop_all(&self, on_dropped: &mut dyn FnMut(DroppedRow)) -> Result<(), CleanError> {
        self.drop_among(&self.candidates()?, on_dropped)
    }

    /// Compares the rows that are marked in `candidates`, and tells of each that another one with its key is preferred to.
    fn drop_among(
        &self,
        candidates: &[BooleanBuffer],
        on_dropped: &mut dyn FnMut(DroppedRow),
    ) -> Result<(), CleanError> {
        let rows = candidates.iter().map(BooleanBuffer::count_set_bits).sum::<usize>();
        let pieces: Vec<_> = self.stretches.iter().zip(candidates).filter(|(_, rows)| rows.has_true()).collect();
        let buckets = rows.div_ceil(self.buckets.candidates);
        let mut candidates =
            Spilled::of(self.store, &pieces, buckets, |(stretch, rows), to| self.read_candidates(stretch, rows, to))?;
        for bucket in 0..candidates.buckets() {
            rows_to_drop(self.contract, &candidates.take(bucket)?).into_iter().for_each(&mut *on_dropped);
        }
        Ok(())
    }

    /// Returns, by stretch, which of its rows have a key that another row may have too.
    fn candidates(&self) -> Result<Vec<BooleanBuffer>, CleanError> {
        let rows: usize = self.stretches.iter().map(|stretch| stretch.rows.rows).sum();
        let buckets = rows.div_ceil(self.buckets.hashes);
        let mut hashes = Spilled::of(self.store, &self.stretches, buckets, |stretch, to| self.hash_keys(stretch, to))?;
        let none = |stretch: &Stretch| {
            let mut bits = BooleanBufferBuilder::new(stretch.rows.rows);
            bits.append_n(stretch.rows.rows, false);
            bits
        };
        let mut candidates: Vec<_> = self.stretches.iter().map(none).collect();
        for bucket in 0..hashes.buckets() {
            mark_rivals(&hashes.take(bucket)?, &mut candidates);
        }
        Ok(candidates.into_iter().map(|mut bits| bits.finish()).collect())
    }

    /// Scatters the places of the rows of a stretch with the hashes of their keys.
    fn hash_keys(&self, stretch: &Stretch, to: &mut SpillWriter<'_>) -> Result<(), CleanError> {
        self.each_key(stretch, |place, hash| {
            to.add(bucket_of(hash, to.buckets()), |bytes| {
                bytes.extend(place.to_le_bytes());
                bytes.extend(short(hash).to_le_bytes());
            })
        })
    }

    /// Calls `each` with the place of every row of a stretch, in order, and the hash of its key.
    fn each_key(
        &self,
        stretch: &Stretch,
        mut each: impl FnMut(u32, u64) -> Result<(), StoreError>,
    ) -> Result<(), CleanError> {
        let names: Vec<&str> = self.contract.key.iter().map(String::as_str).collect();
        let mut encoder = Encoder::new(self.contract, &self.contract.key)?;
        let Some(file) = self.file_of(stretch) else { return Ok(()) };
        let mut place = 0_u32;
        for batch in read_row_group(self.store, file, &stretch.rows, &names, None)? {
            let batch = batch?;
            for key in &encoder.encode(&batch)? {
                each(place, xxh3_64(key.as_ref()))?;
                place += 1;
            }
        }
        Ok(())
    }

    /// Scatters the rows of a stretch that may have a key in common with others.
    fn read_candidates(
        &self,
        stretch: &Stretch,
        rows: &BooleanBuffer,
        to: &mut SpillWriter<'_>,
    ) -> Result<(), CleanError> {
        let contract = self.contract;
        let order: Vec<String> = contract.keep.iter().map(|keep| keep.column().to_owned()).collect();
        let (mut keys, mut orders) = (Encoder::new(contract, &contract.key)?, Encoder::new(contract, &order)?);
        let names: Vec<&str> = contract.columns.keys().map(String::as_str).collect();
        let failed = |source| StoreError::Rows { table: contract.name.clone(), source };
        let mut hasher = RowHasher::new(&stored_row_schema(contract), names.len()).map_err(failed)?;
        let mut partitioner = partitioner(contract);
        let Some(file) = self.file_of(stretch) else { return Ok(()) };
        let rows: Vec<u32> = rows.set_indices_u32().collect();
        let mut places = rows.iter().map(|row| Row { part: stretch.part, row: stretch.first + row });
        for batch in read_row_group(self.store, file, &stretch.rows, &names, Some(&rows))? {
            let batch = batch?;
            let mut hashes = Vec::with_capacity(batch.num_rows());
            hasher.hash(&batch, |hash| hashes.push(hash)).map_err(failed)?;
            let (keys, orders) = (keys.encode(&batch)?, orders.encode(&batch)?);
            let partitions =
                partitioner.as_mut().map(|partitioner| partitioner.keys(&batch)).transpose().map_err(failed)?;
            for (at, (((key, order), hash), row)) in keys.iter().zip(&orders).zip(hashes).zip(&mut places).enumerate() {
                let partition = partitions.as_ref().map(|keys| keys.is_valid(at).then(|| keys.value(at)));
                let candidate = Candidate { row, hash, partition, key: key.as_ref(), order: order.as_ref() };
                to.add(bucket_of(xxh3_64(candidate.key), to.buckets()), |bytes| candidate.write(bytes))?;
            }
        }
        Ok(())
    }

    fn file_of(&self, stretch: &Stretch) -> Option<&DataFile> {
        self.parts[stretch.part as usize].content.rows.as_ref()
    }
}

fn stretches(store: &Store, contract: &SourceContract, parts: &[Part]) -> Result<Vec<Stretch>, CleanError> {
    let mut stretches = Vec::new();
    for (part, number) in parts.iter().zip(0_u32..) {
        let Some(file) = &part.content.rows else { continue };
        let mut first = 0_u32;
        for rows in row_groups(store, file)? {
            let count = rows.rows;
            stretches.push(Stretch { part: number, first, rows });
            first = u32::try_from(count).ok().and_then(|count| first.checked_add(count)).ok_or_else(|| {
                let reason = "a landed file has more than 4,294,967,295 rows; split it".to_owned();
                CleanError::Bug { dataset: contract.name.clone(), reason }
            })?;
        }
    }
    Ok(stretches)
}

/// Returns the bucket of a hash, told by bits that [`short`] leaves out.
fn bucket_of(hash: u64, buckets: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "it is less than the number of buckets")]
    let bucket = ((u128::from(hash) * buckets as u128) >> 64) as usize;
    bucket
}

/// Returns the part of a hash that is kept.
#[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
fn short(hash: u64) -> u32 {
    hash as u32
}

/// Marks the rows of one bucket whose hash another row has too; `hashes` are what [`KeyedRows::hash_keys`] scattered, by stretch.
fn mark_rivals(hashes: &[Vec<u8>], candidates: &mut [BooleanBufferBuilder]) {
    let number =
        |bytes: &[u8; 8], at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let all = || hashes.iter().flat_map(|bytes| bytes.as_chunks::<8>().0).map(|row| number(row, 4));
    let mut marks = RepeatFilter::for_rows(hashes.iter().map(|bytes| bytes.len() / 8).sum());
    all().for_each(|hash| marks.mark(hash));
    // Two keys may share a place, which the whole hash tells mostly.
    let mut common: Vec<u32> = all().filter(|&hash| marks.is_marked_twice(hash)).collect();
    common.sort_unstable();
    let is_common = |hash: u32| {
        let first = common.partition_point(|&other| other < hash);
        common.get(first + 1) == Some(&hash)
    };
    for (bytes, candidates) in hashes.iter().zip(candidates) {
        for row in bytes.as_chunks::<8>().0 {
            let hash = number(row, 4);
            if marks.is_marked_twice(hash) && is_common(hash) {
                candidates.set_bit(number(row, 0) as usize, true);
            }
        }
    }
}

/// A row that may have a key in common with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate<'a> {
    row: Row,
    /// The sum's part that is its own.
    hash: u128,
    /// Its partition, where rows are told apart.
    partition: Option<PartitionKey>,
    /// Its key, and what the order goes by; both compare as their bytes do.
    key: &'a [u8],
    order: &'a [u8],
}

impl<'a> Candidate<'a> {
    fn write(&self, to: &mut Vec<u8>) {
        to.extend(self.row.part.to_le_bytes());
        to.extend(self.row.row.to_le_bytes());
        to.extend(self.hash.to_le_bytes());
        to.extend([u8::from(self.partition.is_some()), u8::from(self.partition.flatten().is_some())]);
        to.extend(self.partition.flatten().unwrap_or_default().to_le_bytes());
        for text in [self.key, self.order] {
            to.extend((text.len() as u64).to_le_bytes());
            to.extend(text);
        }
    }

    /// Reads what [`Self::write`] wrote, and leaves the rest; nothing when there is no more.
    fn read(from: &mut &'a [u8]) -> Option<Self> {
        let part = u32::from_le_bytes(*from.split_off(..4)?.first_chunk()?);
        let row = u32::from_le_bytes(*from.split_off(..4)?.first_chunk()?);
        let hash = u128::from_le_bytes(*from.split_off(..16)?.first_chunk()?);
        let [is_told, is_some] = *from.split_off(..2)?.first_chunk()?;
        let partition = i32::from_le_bytes(*from.split_off(..4)?.first_chunk()?);
        let partition = (is_told != 0).then_some((is_some != 0).then_some(partition));
        let mut text = || {
            let length = u64::from_le_bytes(*from.split_off(..8)?.first_chunk()?);
            from.split_off(..usize::try_from(length).ok()?)
        };
        Some(Self { row: Row { part, row }, hash, partition, key: text()?, order: text()? })
    }
}

/// A row that is not kept.
#[derive(Debug)]
pub(super) struct DroppedRow {
    /// The number of its part.
    pub(super) part: u32,
    /// Its place in that part's file.
    pub(super) row: u32,
    hash: u128,
    partition: Option<PartitionKey>,
    /// Whether it equals, in every column, the row that is kept, or another that is counted as superseded.
    is_duplicate: bool,
}

/// Returns the rows that are not kept, of one bucket of candidates in the order of file and record.
fn rows_to_drop(contract: &SourceContract, found: &[Vec<u8>]) -> Vec<DroppedRow> {
    let prefers_later = !matches!(contract.keep, Some(Keep::First(_)));
    let candidates = found.iter().flat_map(|bytes| {
        let mut rest = bytes.as_slice();
        std::iter::from_fn(move || Candidate::read(&mut rest))
    });
    let mut groups: HashTable<(u64, usize, &[u8])> = HashTable::new();
    let mut of_group: Vec<(usize, Candidate<'_>)> = Vec::new();
    for candidate in candidates {
        let hash = xxh3_64(candidate.key);
        let number = groups.len();
        let known = groups.entry(hash, |known| known.0 == hash && known.2 == candidate.key, |known| known.0);
        let group = known.or_insert((hash, number, candidate.key)).get().1;
        of_group.push((group, candidate));
    }
    // Stable, so that candidates stay in the order of file and record.
    of_group.sort_by_key(|(group, _)| *group);
    let mut dropped = Vec::new();
    let mut counted = HashSet::new();
    for candidates in of_group.chunk_by(|one, other| one.0 == other.0).filter(|candidates| candidates.len() > 1) {
        let candidates = candidates.iter().map(|(_, candidate)| candidate);
        let rank = |one: &&Candidate<'_>, other: &&Candidate<'_>| (one.order, one.row).cmp(&(other.order, other.row));
        let kept = if prefers_later { candidates.clone().max_by(rank) } else { candidates.clone().min_by(rank) };
        let Some(kept) = kept else { continue };
        counted.clear();
        counted.insert(kept.hash);
        for &Candidate { row, hash, partition, .. } in candidates.filter(|candidate| candidate.row != kept.row) {
            let Row { part, row } = row;
            dropped.push(DroppedRow { part, row, hash, partition, is_duplicate: !counted.insert(hash) });
        }
    }
    dropped
}

/// Encodes columns of batches so that rows compare as their bytes do.
struct Encoder {
    names: Vec<String>,
    converter: RowConverter,
    table: String,
}

impl Encoder {
    fn new(contract: &SourceContract, names: &[String]) -> Result<Self, StoreError> {
        let kinds = names.iter().filter_map(|name| Some(contract.columns.get(name)?.kind.arrow()));
        // Without an order column every row has the same order.
        let kinds = if names.is_empty() { vec![DataType::Null] } else { kinds.collect() };
        let table = contract.name.clone();
        let converter = RowConverter::new(kinds.into_iter().map(SortField::new).collect())
            .map_err(|source| StoreError::Rows { table: table.clone(), source })?;
        Ok(Self { names: names.to_vec(), converter, table })
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<Rows, StoreError> {
        let none = || -> Vec<ArrayRef> { vec![std::sync::Arc::new(NullArray::new(batch.num_rows()))] };
        let columns = self.names.iter().filter_map(|name| batch.column_by_name(name).cloned());
        let columns = if self.names.is_empty() { none() } else { columns.collect() };
        self.converter
            .convert_columns(&columns)
            .map_err(|source| StoreError::Rows { table: self.table.clone(), source })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Digest;
    use crate::store::{FileContent, Ledger, LocalDisk, Shared};

    /// A key, what the order goes by, and something else.
    pub(in crate::clean) type Cells = (i64, Option<i64>, &'static str);

    pub(in crate::clean) fn contract(keep: &str) -> SourceContract {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("opsmart.toml", "");
        let columns = "[columns]\nid = \"int64!\"\nat = \"int64\"\nnote = \"string\"\n";
        let text = format!("from = \"in/*\"\nformat = {{ type = \"csv\" }}\n{keep}\n{columns}");
        write("schemas/sources/rows.toml", &text);
        let project = crate::project::load(camino::Utf8Path::from_path(folder.path()).unwrap(), None);
        project.unwrap().sources["rows"].clone()
    }

    pub(in crate::clean) fn part(store: &Store, contract: &SourceContract, rows: &[Cells]) -> Part {
        let schema = stored_row_schema(contract);
        let ids = Int64Array::from_iter_values(rows.iter().map(|row| row.0));
        let ats: Int64Array = rows.iter().map(|row| row.1).collect();
        let notes = StringArray::from_iter_values(rows.iter().map(|row| row.2));
        let files = StringArray::from_iter_values(rows.iter().map(|_| "in/a"));
        let lines = Int64Array::from_iter_values((0_i64..).take(rows.len()));
        let columns: Vec<ArrayRef> =
            vec![Arc::new(ids), Arc::new(ats), Arc::new(notes), Arc::new(files), Arc::new(lines)];
        let mut file = store.create_parquet("rows", &schema, 3).unwrap().by(partitioner(contract));
        file.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
        let (file, key_range) = file.finish_with_range("id").unwrap();
        let ledger = Ledger { accepted: rows.len() as u64, ..Ledger::default() };
        let content = FileContent {
            hash: Digest::of(b""),
            landed_at: chrono::DateTime::UNIX_EPOCH,
            counted_as: 0,
            ledger: ledger.into(),
            rows: Some(file),
            key_range: key_range.map(Shared::from),
            quarantine: None,
            unknown_columns: Vec::new().into(),
            read_as: None,
        };
        Part { identity: Digest::of(b""), content: content.into() }
    }

    /// Returns what is dropped of each part, and how many of those are duplicates, by the words of the contract.
    fn expected(keeps_first: bool, parts: &[Vec<Cells>]) -> (Vec<Vec<u32>>, u64) {
        let mut by_key: BTreeMap<i64, Vec<(usize, u32, Cells)>> = BTreeMap::new();
        for (part, rows) in parts.iter().enumerate() {
            for (&cells, row) in rows.iter().zip(0..) {
                by_key.entry(cells.0).or_default().push((part, row, cells));
            }
        }
        let (mut dropped, mut duplicates) = (vec![Vec::new(); parts.len()], 0);
        for rows in by_key.values() {
            let rank = |(part, row, cells): &&(usize, u32, Cells)| (cells.1, *part, *row);
            let kept = if keeps_first { rows.iter().min_by_key(rank) } else { rows.iter().max_by_key(rank) }.unwrap();
            let mut seen = vec![kept.2];
            for (part, row, cells) in rows.iter().filter(|row| (row.0, row.1) != (kept.0, kept.1)) {
                dropped[*part].push(*row);
                if seen.contains(cells) { duplicates += 1 } else { seen.push(*cells) }
            }
        }
        dropped.iter_mut().for_each(|rows| rows.sort_unstable());
        (dropped, duplicates)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn one_row_of_a_key_stays_however_small_the_buckets(
            parts in prop::collection::vec(
                prop::collection::vec((0..40_i64, prop::option::of(0..3_i64), prop::sample::select(&["a", "b"][..])), 1..60),
                1..5,
            ),
            keeps_first: bool,
            hashes in 1..50_usize,
            candidates in 1..50_usize,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(camino::Utf8Path::from_path(folder.path()).unwrap(), Arc::new(LocalDisk));
            let keep = if keeps_first { "first" } else { "latest" };
            let contract = contract(&format!("key = [\"id\"]\nkeep = {{ {keep} = \"at\" }}"));
            let made: Vec<Part> = parts.iter().map(|rows| part(&store, &contract, rows)).collect();
            let decided = decide_by(Buckets { hashes, candidates }, &store, &contract, &made).unwrap();
            let (dropped, duplicates) = expected(keeps_first, &parts);
            prop_assert_eq!(decided.iter().map(|decision| decision.dropped_rows.clone()).collect::<Vec<_>>(), dropped);
            let counted = decided.iter().map(|decision| decision.counts.exact_duplicates).sum::<u64>();
            prop_assert_eq!(counted, duplicates);
            for (decision, rows) in decided.iter().zip(&parts) {
                prop_assert_eq!(decision.counts.total(), rows.len() as u64);
            }
        }
    }
}

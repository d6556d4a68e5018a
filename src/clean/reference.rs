//! Quarantines rows whose values are not found where their columns reference.
//!
//! It is asked of the rows that are kept, once that is decided: a row that is quarantined gives nothing back that it
//! had superseded, because an old version would then pass for the newest one.
//!
//! What was erased is no fault of what references it: as many different values as rows may be missing for that are
//! excused in each file, those of the most rows. Which values they were is not kept anywhere, and so cannot be asked.
//!
//! Of the dataset that is referenced one column is read, and of its values only hashes of 128 bits are held, each once:
//! by them values are told apart, as rows are everywhere. Where there are more different values than memory should hold,
//! both columns are read several times, and each time looked at in part.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use hashbrown::HashTable;
use serde::{Serialize, Serializer};

use super::dedup::DedupDecision;
use super::in_parallel::in_parallel;
use super::{CleanError, Part, Referenced};
use crate::ingest::{FILE_COLUMN, LINE_COLUMN, Reason, partitioner, quoted, stored_row_schema};
use crate::project::{ForeignKey, SourceContract};
use crate::store::{
    DataFile, ParquetFile, RowGroup, RowHasher, Store, StoreError, read_row_group, read_row_numbers, row_groups,
};
use crate::system_tables::SystemTable;

/// How many hashes of values are in memory at a time: what a table of 2^22 places takes, 70 MB.
const BUCKET_VALUES: usize = (1 << 22) / 8 * 7;

/// How many hashes are gathered before they are put to the others.
const GATHERED_VALUES: usize = 1 << 16;

/// How many bytes of quarantined rows are gathered before they are written.
const PIECE_BYTES: usize = 4 << 20;

/// How many rows of a file are printed as examples.
const EXAMPLES: usize = 5;

/// The rows that were quarantined.
#[derive(Debug, Default)]
pub(super) struct QuarantinedRows {
    /// They, as rows of `dq_quarantine`, if there are any.
    pub(super) file: Option<DataFile>,
    /// What was quarantined of each part that dropped rows so.
    pub(super) of_parts: BTreeMap<usize, OfPart>,
}

/// What was quarantined of one part.
#[derive(Debug, Default)]
pub(super) struct OfPart {
    /// The first few rows: line, reason, column and message.
    pub(super) examples: Vec<String>,
    /// How many rows may be quarantined because of what was erased.
    pub(super) excused: u64,
}

/// A row that is quarantined: its place in its content's file, and the number of the column for which it is.
type Stray = (u32, u32);

/// Rows of a file that are read together.
struct Stretch<'a> {
    file: &'a DataFile,
    /// The number of the file.
    number: usize,
    rows: RowGroup,
    /// The place in the file of the first of them.
    first: u32,
    /// The rows of the file that do not count, in order.
    deleted: &'a [u32],
}

/// A column of a dataset whose values are hashed.
struct Column<'a> {
    dataset: &'a str,
    name: &'a str,
    kind: DataType,
}

/// The rows of a dataset that are kept, whose values are looked for where their columns reference.
pub(super) struct KeptRows<'a> {
    pub(super) store: &'a Store,
    pub(super) contract: &'a SourceContract,
    pub(super) parts: &'a [Part],
    /// What was decided about the rows of each part.
    pub(super) decided: &'a mut [DedupDecision],
}

impl KeptRows<'_> {
    /// Takes the rows out of what was decided whose values are not found among those of `referenced`, of which so many
    /// rows may be `gone` because they were erased.
    pub(super) fn quarantine_strays(
        self,
        referenced: &BTreeMap<String, Referenced>,
        gone: u64,
    ) -> Result<QuarantinedRows, CleanError> {
        if self.contract.referenced().is_empty() {
            return Ok(QuarantinedRows::default());
        }
        let mut strays: Vec<Vec<Stray>> = vec![Vec::new(); self.parts.len()];
        for (number, (name, column)) in (0..).zip(&self.contract.columns) {
            let Some(reference) = &column.references else { continue };
            let Some(other) = referenced.get(&reference.dataset) else {
                let reason = format!("`{}` was not cleaned before it", reference.dataset);
                return Err(CleanError::Bug { dataset: self.contract.name.clone(), reason });
            };
            let column = Column { dataset: &self.contract.name, name, kind: column.kind.arrow() };
            let found = self.strays_of(&column, (reference, other), BUCKET_VALUES)?;
            for (strays, rows) in strays.iter_mut().zip(found) {
                strays.extend(rows.into_iter().map(|row| (row, number)));
            }
        }
        for strays in &mut strays {
            // Of several columns the first one in the contract's order counts.
            strays.sort_unstable();
            strays.dedup_by_key(|(row, _)| *row);
        }
        self.drop_strays(&strays, gone)
    }

    /// Returns, by part, the kept rows whose value in `column` is not found, with at most so many values in memory.
    fn strays_of(
        &self,
        column: &Column<'_>,
        (reference, other): (&ForeignKey, &Referenced),
        most_values: usize,
    ) -> Result<Vec<Vec<u32>>, CleanError> {
        let Self { store, parts, decided, .. } = self;
        let deleted = other.files.iter().map(|file| deleted_rows(store, file)).collect::<Result<Vec<_>, _>>()?;
        let files = other.files.iter().zip(&deleted).map(|(file, deleted)| (Some(file), deleted.as_slice()));
        let others = stretches(store, &reference.dataset, files)?;
        let other_column = Column { dataset: &reference.dataset, name: &reference.column, kind: column.kind.clone() };
        let files = parts
            .iter()
            .zip(decided.iter())
            .map(|(part, decision)| (part.content.rows.as_ref(), &decision.dropped_rows[..]));
        let own = stretches(store, column.dataset, files)?;
        let mut strays = vec![Vec::new(); parts.len()];
        let mut bucket = Bucket { number: 0, of: 1 };
        while bucket.number < bucket.of {
            let most = (bucket.number == 0).then_some(most_values);
            let values = Values::read(store, &other_column, &others, bucket, most)?;
            let found = in_parallel(&own, |stretch| {
                let mut strays = Vec::new();
                each_value(store, column, stretch, |row, hash| {
                    if values.bucket.has(hash) && !values.have(hash) {
                        strays.push(row);
                    }
                })?;
                Ok::<_, StoreError>(strays)
            })?;
            own.iter().zip(found).for_each(|(stretch, found)| strays[stretch.number].extend(found));
            bucket = Bucket { number: bucket.number + 1, of: values.bucket.of };
        }
        Ok(strays)
    }

    /// Takes strays out of what was decided, and writes them as rows of `dq_quarantine`.
    fn drop_strays(self, strays: &[Vec<Stray>], gone: u64) -> Result<QuarantinedRows, CleanError> {
        let Self { store, contract, parts, decided } = self;
        let (table, schema) = (SystemTable::Quarantine.name(), SystemTable::Quarantine.schema());
        let mut file = None;
        let mut of_parts = BTreeMap::new();
        // The hashes of those that were met, to tell which of them had counted as repeated.
        let mut met = HashSet::new();
        let failed = |source| StoreError::Rows { table: contract.name.clone(), source };
        let mut partitioner = partitioner(contract);
        for (number, ((part, strays), decision)) in parts.iter().zip(strays).zip(decided).enumerate() {
            if strays.is_empty() {
                continue;
            }
            let (mut examples, mut unfound) = (Vec::new(), Unfound::default());
            each_batch(store, contract, part, strays, |batch, strays, hashes| {
                if gone > 0 {
                    unfound.count(batch, strays).map_err(failed)?;
                }
                let partitions =
                    partitioner.as_mut().map(|partitioner| partitioner.keys(batch)).transpose().map_err(failed)?;
                for (at, ((row, _), hash)) in strays.iter().zip(hashes).enumerate() {
                    let partition = partitions.as_ref().map(|keys| keys.is_valid(at).then(|| keys.value(at)));
                    decision.drop_row(*row, *hash, partition);
                    decision.counts.quarantined_in_clean += 1;
                    if let Some(repeated) = &mut decision.counts.repeated
                        && !met.insert(*hash)
                    {
                        *repeated -= 1;
                    }
                }
                each_piece(contract, batch, strays, |rows| {
                    examples.extend(printed(rows, EXAMPLES - examples.len()));
                    let file = match &mut file {
                        Some(file) => file,
                        none => none.insert(store.create_parquet(table, &schema, schema.fields().len())?),
                    };
                    file.write(rows)
                })
            })?;
            decision.sort();
            of_parts.insert(number, OfPart { examples, excused: unfound.of_most(gone) });
        }
        Ok(QuarantinedRows { file: file.map(ParquetFile::finish).transpose()?, of_parts })
    }
}

/// The hashes whose lowest bits are a number.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    number: u128,
    /// How many buckets there are, a power of two.
    of: u128,
}

impl Bucket {
    fn has(self, hash: u128) -> bool {
        hash & (self.of - 1) == self.number
    }
}

/// The hashes of the different values of one bucket.
struct Values {
    bucket: Bucket,
    hashes: HashTable<u128>,
    /// How many there may be before the bucket is split; none where it must not be.
    most: Option<usize>,
}

impl Values {
    /// Reads those of `bucket` from a column. The first bucket becomes smaller where it has more than `most` values.
    fn read(
        store: &Store,
        column: &Column<'_>,
        stretches: &[Stretch<'_>],
        bucket: Bucket,
        most: Option<usize>,
    ) -> Result<Self, StoreError> {
        let all = Mutex::new(Self { bucket, hashes: HashTable::new(), most });
        let add = |gathered: &mut Vec<u128>| {
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            gathered.drain(..).for_each(|hash| all.add(hash));
        };
        in_parallel(stretches, |stretch| {
            let mut gathered = Vec::new();
            each_value(store, column, stretch, |_, hash| {
                if bucket.has(hash) {
                    gathered.push(hash);
                }
                if gathered.len() == GATHERED_VALUES {
                    add(&mut gathered);
                }
            })?;
            add(&mut gathered);
            Ok::<_, StoreError>(())
        })?;
        Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&mut self, hash: u128) {
        if !self.bucket.has(hash) {
            return;
        }
        self.hashes.entry(table_hash(hash), |known| *known == hash, |known| table_hash(*known)).or_insert(hash);
        while self.most.is_some_and(|most| self.hashes.len() > most) {
            self.bucket.of *= 2;
            let bucket = self.bucket;
            self.hashes.retain(|hash| bucket.has(*hash));
        }
    }

    fn have(&self, hash: u128) -> bool {
        self.hashes.find(table_hash(hash), |known| *known == hash).is_some()
    }
}

/// Returns the half of a hash by which it is found; the other half tells its bucket.
fn table_hash(hash: u128) -> u64 {
    (hash >> 64) as u64
}

/// Returns the rows of a file that do not count, in order.
fn deleted_rows(store: &Store, file: &DataFile) -> Result<Vec<u32>, StoreError> {
    file.deletion_vector.as_ref().map_or_else(|| Ok(Vec::new()), |without| read_row_numbers(store, without))
}

/// Returns the stretches of files, each with the rows of it that do not count.
fn stretches<'a>(
    store: &Store,
    dataset: &str,
    files: impl Iterator<Item = (Option<&'a DataFile>, &'a [u32])>,
) -> Result<Vec<Stretch<'a>>, CleanError> {
    let mut stretches = Vec::new();
    for (number, (file, deleted)) in files.enumerate() {
        let Some(file) = file else { continue };
        let mut first = 0_u32;
        for rows in row_groups(store, file)? {
            let count = rows.rows;
            stretches.push(Stretch { file, number, rows, first, deleted });
            first = u32::try_from(count).ok().and_then(|count| first.checked_add(count)).ok_or_else(|| {
                let reason = "a landed file has more than 4,294,967,295 records; split it".to_owned();
                CleanError::Bug { dataset: dataset.to_owned(), reason }
            })?;
        }
    }
    Ok(stretches)
}

/// Calls `each` with the place of every row that counts and has a value, and the hash of that.
fn each_value(
    store: &Store,
    column: &Column<'_>,
    stretch: &Stretch<'_>,
    mut each: impl FnMut(u32, u128),
) -> Result<(), StoreError> {
    let failed = |source| StoreError::Rows { table: column.dataset.to_owned(), source };
    let schema = Schema::new(vec![Field::new(column.name, column.kind.clone(), true)]);
    let mut hasher = RowHasher::new(&schema, 1).map_err(failed)?;
    let before = stretch.deleted.partition_point(|deleted| *deleted < stretch.first);
    let mut deleted = stretch.deleted[before..].iter().peekable();
    let mut row = stretch.first;
    for batch in read_row_group(store, stretch.file, &stretch.rows, &[column.name], None)? {
        let batch = batch?;
        let values = batch.column(0);
        let mut at = 0;
        hasher
            .hash(&batch, |hash| {
                if deleted.next_if_eq(&&row).is_none() && values.is_valid(at) {
                    each(row, hash);
                }
                at += 1;
                row += 1;
            })
            .map_err(failed)?;
    }
    Ok(())
}

/// How many rows each value has that is not found, by its column's number and its hash.
#[derive(Default)]
struct Unfound(HashMap<(u32, u128), u64>);

impl Unfound {
    fn count(&mut self, batch: &RecordBatch, strays: &[Stray]) -> Result<(), ArrowError> {
        let columns: BTreeSet<u32> = strays.iter().map(|(_, column)| *column).collect();
        for column in columns {
            let values = batch.project(&[column as usize])?;
            let mut strays = strays.iter();
            RowHasher::new(&values.schema(), 1)?.hash(&values, |hash| {
                if strays.next().is_some_and(|(_, of)| *of == column) {
                    *self.0.entry((column, hash)).or_default() += 1;
                }
            })?;
        }
        Ok(())
    }

    /// Returns how many rows so many values have, those of the most rows.
    fn of_most(self, values: u64) -> u64 {
        let mut rows: Vec<u64> = self.0.into_values().collect();
        rows.sort_unstable_by_key(|rows| Reverse(*rows));
        rows.into_iter().take(usize::try_from(values).unwrap_or(usize::MAX)).sum()
    }
}

/// Calls `each` with the rows of a part that are quarantined, batch by batch, and the hash of each.
fn each_batch(
    store: &Store,
    contract: &SourceContract,
    part: &Part,
    strays: &[Stray],
    mut each: impl FnMut(&RecordBatch, &[Stray], &[u128]) -> Result<(), StoreError>,
) -> Result<(), CleanError> {
    let failed = |source| StoreError::Rows { table: contract.name.clone(), source };
    let names: Vec<&str> = contract.columns.keys().map(String::as_str).chain([FILE_COLUMN, LINE_COLUMN]).collect();
    let mut hasher = RowHasher::new(&stored_row_schema(contract), contract.columns.len()).map_err(failed)?;
    let mut hashes = Vec::new();
    let mut left = strays;
    for stretch in stretches(store, &contract.name, [(part.content.rows.as_ref(), [].as_slice())].into_iter())? {
        let end = stretch.first as usize + stretch.rows.rows;
        let (here, rest) = left.split_at(left.partition_point(|(row, _)| (*row as usize) < end));
        left = rest;
        if here.is_empty() {
            continue;
        }
        let rows: Vec<u32> = here.iter().map(|(row, _)| row - stretch.first).collect();
        let mut at = 0;
        for batch in read_row_group(store, stretch.file, &stretch.rows, &names, Some(&rows))? {
            let batch = batch?;
            hashes.clear();
            hasher.hash(&batch, |hash| hashes.push(hash)).map_err(failed)?;
            each(&batch, &here[at..at + batch.num_rows()], &hashes)?;
            at += batch.num_rows();
        }
    }
    Ok(())
}

/// Calls `each` with rows that are quarantined as `dq_quarantine` has them, some megabytes at a time.
fn each_piece(
    contract: &SourceContract,
    batch: &RecordBatch,
    strays: &[Stray],
    mut each: impl FnMut(&RecordBatch) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let failed = |source| StoreError::Rows { table: SystemTable::Quarantine.name().to_owned(), source };
    let options = FormatOptions::default();
    let named = contract.columns.iter().zip(batch.columns());
    let values = named.map(|((name, column), array)| {
        let text = ArrayFormatter::try_new(array, &options)?;
        Ok(Value { name, references: column.references.as_ref(), array, text })
    });
    let values = values.collect::<Result<Vec<_>, ArrowError>>().map_err(failed)?;
    let mut piece = Piece::default();
    for (row, (_, number)) in strays.iter().enumerate() {
        let Value { name, references, text, .. } = &values[*number as usize];
        let expected = references.map(ForeignKey::to_string).unwrap_or_default();
        let found = quoted(text.value(row).to_string().as_bytes());
        piece.columns.push(*name);
        piece.messages.push(format!("expected a value of `{expected}`, found {found}"));
        // An object of texts cannot fail to be JSON.
        let record = serde_json::to_vec(&Texts { values: &values, row }).unwrap_or_default();
        piece.bytes += record.len();
        piece.records.push(record);
        let end = row + 1;
        if piece.bytes >= PIECE_BYTES || end == strays.len() {
            let rows = piece.records.len();
            // Behind the columns stands where a row came from.
            let [file, line] = [0, 1].map(|at| batch.column(contract.columns.len() + at).slice(end - rows, rows));
            each(&std::mem::take(&mut piece).rows(contract, file, line).map_err(failed)?)?;
        }
    }
    Ok(())
}

/// Rows that are quarantined and not written yet.
#[derive(Default)]
struct Piece<'a> {
    columns: Vec<&'a str>,
    messages: Vec<String>,
    records: Vec<Vec<u8>>,
    /// The length of all records together.
    bytes: usize,
}

impl Piece<'_> {
    /// Returns the rows as `dq_quarantine` has them.
    fn rows(self, contract: &SourceContract, file: ArrayRef, line: ArrayRef) -> Result<RecordBatch, ArrowError> {
        let rows = self.records.len();
        let repeat =
            |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows))) };
        RecordBatch::try_new(
            SystemTable::Quarantine.schema(),
            vec![
                repeat(&contract.name),
                file,
                line,
                new_null_array(&DataType::Int64, rows),
                repeat(Reason::Reference.as_str()),
                Arc::new(StringArray::from_iter_values(self.columns)),
                Arc::new(StringArray::from_iter_values(self.messages)),
                Arc::new(BinaryArray::from_iter_values(self.records)),
            ],
        )
    }
}

/// Returns the first rows of `dq_quarantine` as they are printed: line, reason, column and message.
fn printed(rows: &RecordBatch, most: usize) -> impl Iterator<Item = String> {
    let text = |column: usize, row: usize| rows.column(column).as_string::<i32>().value(row);
    let line = |row: usize| rows.column(2).as_primitive::<Int64Type>().value(row);
    (0..rows.num_rows().min(most))
        .map(move |row| format!("{}: {} in `{}`: {}", line(row), text(4, row), text(5, row), text(6, row)))
}

/// A column of rows that are quarantined.
struct Value<'a> {
    name: &'a str,
    references: Option<&'a ForeignKey>,
    array: &'a ArrayRef,
    text: ArrayFormatter<'a>,
}

/// The values of a row by column, as an object of texts.
struct Texts<'a> {
    values: &'a [Value<'a>],
    row: usize,
}

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |value: &Value<'_>| {
            let is_there = value.array.is_valid(self.row);
            (value.name.to_owned(), is_there.then(|| value.text.value(self.row).to_string()))
        };
        serializer.collect_map(self.values.iter().map(text))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use camino::Utf8Path;

    use super::*;
    use crate::digest::Digest;
    use crate::store::{FileContent, Ledger, LocalDisk, ROW_COLUMN};

    fn file(store: &Store, values: impl Iterator<Item = Option<i64>>) -> DataFile {
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let mut file = store.create_parquet("a", &schema, 1).unwrap();
        let values: ArrayRef = Arc::new(values.collect::<Int64Array>());
        file.write(&RecordBatch::try_new(schema, vec![values]).unwrap()).unwrap();
        file.finish().unwrap()
    }

    fn part(rows: DataFile) -> Part {
        let content = FileContent {
            hash: Digest::of(b""),
            landed_at: chrono::DateTime::UNIX_EPOCH,
            counted_as: 0,
            ledger: Ledger::default().into(),
            rows: Some(rows),
            key_range: None,
            quarantine: None,
            unknown_columns: Vec::new().into(),
            read_as: None,
        };
        Part { identity: Digest::of(b""), content: content.into() }
    }

    #[test]
    fn the_same_rows_are_strays_however_few_values_memory_holds() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Utf8Path::from_path(folder.path()).unwrap(), Arc::new(LocalDisk));
        // Even numbers are there, most of them twice, and none; the file that some two rows does not have 4 and 6.
        let mut some = file(&store, [0, 2, 4, 6, 8].into_iter().map(Some));
        let schema = Arc::new(Schema::new(vec![Field::new(ROW_COLUMN, DataType::Int64, false)]));
        let mut without = store.create_parquet("a", &schema, 1).unwrap();
        let rows: ArrayRef = Arc::new(Int64Array::from(vec![2, 3]));
        without.write(&RecordBatch::try_new(schema, vec![rows]).unwrap()).unwrap();
        some.deletion_vector = Some(Box::new(without.finish().unwrap()));
        some.sum.rows = 3;
        let others = (10..20_000).chain(10..20_000).map(|n| (n % 2 == 0).then_some(n));
        let files = vec![some, file(&store, others)];
        let other = Referenced { files, content: Digest::of(b""), erased: 0 };
        let parts = [
            part(file(&store, (0..20_010).map(Some))),
            part(file(&store, [Some(1), None, Some(4), Some(0), Some(3)].into_iter())),
        ];
        let mut decided = [DedupDecision::default(), DedupDecision::default()];
        decided[1].dropped_rows.push(0);
        let reference = ForeignKey { dataset: "b".to_owned(), column: "id".to_owned(), bytes: 0..0 };
        let column = Column { dataset: "a", name: "id", kind: DataType::Int64 };
        let expected = (0..20_010).filter(|n| [4, 6].contains(n) || *n >= 20_000 || n % 2 == 1).collect::<Vec<u32>>();
        let contract = super::super::dedup::tests::contract("key = [\"id\"]\nkeep = { latest = \"at\" }");
        let kept = KeptRows { store: &store, contract: &contract, parts: &parts, decided: &mut decided };
        for most in [1 << 20, 9_996, 2_000, 10] {
            let mut found = kept.strays_of(&column, (&reference, &other), most).unwrap();
            found.iter_mut().for_each(|strays| strays.sort_unstable());
            assert!(found == [expected.clone(), vec![2, 4]], "{most}");
        }
    }
}

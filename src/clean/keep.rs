//! Decides which of the rows with one key is kept.
//!
//! Most keys occur once, so that is found out first, with four bytes a row: a key's hash marks a place, and only rows
//! whose place is marked twice are looked at as a whole. Of those the keys are compared and not their hashes. Where most
//! keys occur more than once they are compared by bucket, told by the hash, so that memory does not grow with the
//! dataset. Ties in the order column go to the later file and record for `latest`, to the earlier for `first`.
//!
//! Rows that repeat an earlier one are found in the same way, as if all columns were the key, and stay.

use std::collections::HashSet;

use arrow::array::{ArrayRef, NullArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, Rows, SortField};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::in_parallel::in_parallel;
use super::marks::Marks;
use super::{CleanError, Part};
use crate::ingest::stored_row_schema;
use crate::project::{Keep, SourceContract};
use crate::store::{CleanCounts, RowGroup, RowHasher, RowSum, Store, StoreError, read_row_group, row_groups};

/// How many rows that may have to be compared are in memory at a time: some 150 bytes each.
const BUCKET_ROWS: usize = 1 << 21;

/// What was decided about the rows of one content.
#[derive(Debug, Default)]
pub(super) struct Decision {
    /// The rows that are not kept, by their place in the content's file, in order.
    pub(super) lost: Vec<u32>,
    /// The sum over those rows.
    pub(super) lost_sum: RowSum,
    /// What the rows became.
    pub(super) counts: CleanCounts,
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
pub(super) fn decide(store: &Store, contract: &SourceContract, parts: &[Part]) -> Result<Vec<Decision>, CleanError> {
    let all_kept = |part: &Part| Decision {
        counts: CleanCounts { clean: stored_rows(part), ..CleanCounts::default() },
        ..Decision::default()
    };
    let mut decisions: Vec<Decision> = parts.iter().map(all_kept).collect();
    if !contract.key.is_empty() {
        each_loser(store, contract, parts, |loser| {
            let decision = &mut decisions[loser.row.part as usize];
            decision.lost.push(loser.row.row);
            decision.lost_sum.add(loser.hash);
            let counts = &mut decision.counts;
            counts.clean -= 1;
            *(if loser.is_duplicate { &mut counts.exact_duplicates } else { &mut counts.superseded }) += 1;
        })?;
    } else if contract.count_repeated {
        let mut repeated = vec![0; parts.len()];
        each_loser(store, &by_every_column(contract), parts, |loser| repeated[loser.row.part as usize] += 1)?;
        decisions.iter_mut().zip(repeated).for_each(|(decision, rows)| decision.counts.repeated = Some(rows));
    }
    decisions.iter_mut().for_each(|decision| decision.lost.sort_unstable());
    Ok(decisions)
}

/// Returns how many rows of a content are stored, which is what its records made unless rows were lost on the way.
fn stored_rows(part: &Part) -> u64 {
    part.content.rows.as_ref().map_or(0, |file| file.sum.rows)
}

/// Returns the contract under which a row loses that equals an earlier one in every column.
fn by_every_column(contract: &SourceContract) -> SourceContract {
    let key: Vec<String> = contract.columns.keys().cloned().collect();
    // Of equal rows any column is equal, and then the earlier row stays.
    let keep = key.first().cloned().map(Keep::First);
    SourceContract { key, keep, ..contract.clone() }
}

/// Names each row that another one with its key is preferred to.
fn each_loser(
    store: &Store,
    contract: &SourceContract,
    parts: &[Part],
    mut name: impl FnMut(Loser),
) -> Result<(), CleanError> {
    let stretches = stretches(store, contract, parts)?;
    let hashes = in_parallel(&stretches, |stretch| key_hashes(store, contract, parts, stretch))?;
    let rivals = Rivals::of(hashes);
    for bucket in 0..rivals.buckets() {
        let found = in_parallel(&rivals.bucket(&stretches, bucket), |(stretch, rows)| {
            read_rivals(store, contract, parts, stretch, rows)
        })?;
        losers(contract, &found).into_iter().for_each(&mut name);
    }
    Ok(())
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

/// Returns the hash of each row's key.
fn key_hashes(
    store: &Store,
    contract: &SourceContract,
    parts: &[Part],
    stretch: &Stretch,
) -> Result<Vec<u32>, CleanError> {
    let mut hashes = Vec::with_capacity(stretch.rows.rows);
    let names: Vec<&str> = contract.key.iter().map(String::as_str).collect();
    let mut encoder = Encoder::new(contract, &contract.key)?;
    let Some(file) = &parts[stretch.part as usize].content.rows else { return Ok(hashes) };
    for batch in read_row_group(store, file, &stretch.rows, &names, None)? {
        let batch = batch.map_err(|source| StoreError::Rows { table: contract.name.clone(), source })?;
        encoder.hashes(&batch, &mut hashes)?;
    }
    Ok(hashes)
}

/// The rows whose key another row may have too.
struct Rivals {
    /// By stretch, the hash of each row's key.
    hashes: Vec<Vec<u32>>,
    marks: Marks,
    rows: usize,
}

impl Rivals {
    fn of(hashes: Vec<Vec<u32>>) -> Self {
        let mut marks = Marks::for_rows(hashes.iter().map(Vec::len).sum());
        hashes.iter().flatten().for_each(|&hash| marks.mark(hash));
        let rows = hashes.iter().flatten().filter(|&&hash| marks.is_marked_twice(hash)).count();
        Self { hashes, marks, rows }
    }

    fn buckets(&self) -> usize {
        self.rows.div_ceil(BUCKET_ROWS)
    }

    /// Returns, by stretch, the places in it of the rows of one bucket that are to be compared.
    fn bucket<'a>(&self, stretches: &'a [Stretch], bucket: usize) -> Vec<(&'a Stretch, Vec<u32>)> {
        let buckets = self.buckets();
        let is_wanted = |hash: u32| hash as usize % buckets == bucket && self.marks.is_marked_twice(hash);
        // Two keys may share a place, which the whole hash tells mostly.
        let mut common: Vec<u32> = self.hashes.iter().flatten().copied().filter(|&hash| is_wanted(hash)).collect();
        common.sort_unstable();
        let is_common = |hash: u32| {
            let first = common.partition_point(|&other| other < hash);
            common.get(first + 1) == Some(&hash)
        };
        let rows_of = |hashes: &Vec<u32>| {
            let wanted = |&(&hash, _): &(&u32, u32)| is_wanted(hash) && is_common(hash);
            hashes.iter().zip(0_u32..).filter(wanted).map(|(_, row)| row).collect::<Vec<_>>()
        };
        let of_stretches = stretches.iter().zip(&self.hashes).map(|(stretch, hashes)| (stretch, rows_of(hashes)));
        of_stretches.filter(|(_, rows)| !rows.is_empty()).collect()
    }
}

/// Rows that may have a key in common with others, in the order of file and record.
struct Found {
    rows: Vec<Row>,
    /// Of each row, the sum's part that is its own.
    hashes: Vec<u128>,
    keys: Vec<Rows>,
    orders: Vec<Rows>,
}

fn read_rivals(
    store: &Store,
    contract: &SourceContract,
    parts: &[Part],
    stretch: &Stretch,
    rows: &[u32],
) -> Result<Found, CleanError> {
    let order: Vec<String> = contract.keep.iter().map(|keep| keep.column().to_owned()).collect();
    let (mut keys, mut orders) = (Encoder::new(contract, &contract.key)?, Encoder::new(contract, &order)?);
    let names: Vec<&str> = contract.columns.keys().map(String::as_str).collect();
    let failed = |source| StoreError::Rows { table: contract.name.clone(), source };
    let mut hasher = RowHasher::new(&stored_row_schema(contract), names.len()).map_err(failed)?;
    let rows_here = rows.iter().map(|row| Row { part: stretch.part, row: stretch.first + row }).collect();
    let mut found = Found { rows: rows_here, hashes: Vec::new(), keys: Vec::new(), orders: Vec::new() };
    let Some(file) = &parts[stretch.part as usize].content.rows else { return Ok(found) };
    for batch in read_row_group(store, file, &stretch.rows, &names, Some(rows))? {
        let batch = batch.map_err(failed)?;
        hasher.hash(&batch, |hash| found.hashes.push(hash)).map_err(failed)?;
        found.keys.push(keys.encode(&batch)?);
        found.orders.push(orders.encode(&batch)?);
    }
    Ok(found)
}

/// A row that is not kept.
struct Loser {
    row: Row,
    hash: u128,
    /// Whether it equals, in every column, the row that is kept, or another that is counted as superseded.
    is_duplicate: bool,
}

/// A row among those with its key.
#[derive(Clone, Copy)]
struct Rival {
    row: Row,
    hash: u128,
    /// Where its key and its order value are.
    at: At,
}

/// A row of the encoded batches.
#[derive(Clone, Copy)]
struct At {
    found: usize,
    batch: usize,
    row: usize,
}

/// Returns the rows that are not kept.
fn losers(contract: &SourceContract, found: &[Found]) -> Vec<Loser> {
    let prefers_later = !matches!(contract.keep, Some(Keep::First(_)));
    let key = |at: At| found[at.found].keys[at.batch].row(at.row);
    let order = |at: At| found[at.found].orders[at.batch].row(at.row);
    let rivals = found.iter().enumerate().flat_map(|(number, found)| {
        let rows_of = |(batch, keys): (usize, &Rows)| (0..keys.num_rows()).map(move |row| (batch, row));
        let places = found.keys.iter().enumerate().flat_map(rows_of);
        let rows = found.rows.iter().zip(&found.hashes).zip(places);
        rows.map(move |((&row, &hash), (batch, at))| Rival { row, hash, at: At { found: number, batch, row: at } })
    });
    let mut groups: HashTable<(u64, usize, At)> = HashTable::new();
    let mut of_group: Vec<(usize, Rival)> = Vec::new();
    for rival in rivals {
        let text = key(rival.at);
        let hash = xxh3_64(text.as_ref());
        let number = groups.len();
        let known = groups.entry(hash, |known| known.0 == hash && key(known.2) == text, |known| known.0);
        let group = known.or_insert((hash, number, rival.at)).get().1;
        of_group.push((group, rival));
    }
    // Stable, so that rivals stay in the order of file and record.
    of_group.sort_by_key(|(group, _)| *group);
    let mut losers = Vec::new();
    let mut counted = HashSet::new();
    for rivals in of_group.chunk_by(|one, other| one.0 == other.0).filter(|rivals| rivals.len() > 1) {
        let rivals = rivals.iter().map(|(_, rival)| rival);
        let rank = |rival: &&Rival| (order(rival.at), rival.row);
        let kept = if prefers_later { rivals.clone().max_by_key(rank) } else { rivals.clone().min_by_key(rank) };
        let Some(kept) = kept else { continue };
        counted.clear();
        counted.insert(kept.hash);
        for &Rival { row, hash, .. } in rivals.filter(|rival| rival.row != kept.row) {
            losers.push(Loser { row, hash, is_duplicate: !counted.insert(hash) });
        }
    }
    losers
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

    /// Adds the hash of each row.
    fn hashes(&mut self, batch: &RecordBatch, to: &mut Vec<u32>) -> Result<(), StoreError> {
        let rows = self.encode(batch)?;
        #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
        to.extend(rows.iter().map(|row| xxh3_64(row.as_ref()) as u32));
        Ok(())
    }
}

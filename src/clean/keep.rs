//! Decides which of the rows with one key is kept.
//!
//! Keys and order values are read once per bucket, encoded with Arrow's row format, and compared as bytes. A key's
//! bucket is told by its hash, and a bucket is small enough to be held in memory whatever the size of the dataset.
//! Ties in the order column go to the later file and record for `latest`, to the earlier for `first`.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{SyncSender, sync_channel};

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::row::{RowConverter, Rows, SortField};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64;

use super::{CleanError, Part};
use crate::project::{Keep, SourceContract};
use crate::store::{CleanCounts, RowHasher, Store, StoreError, read_batches};

/// How many rows a bucket holds about: some 100 bytes each.
const BUCKET_ROWS: u64 = 4_000_000;

/// How many batches of keys may wait to be compared.
const WAITING_BATCHES: usize = 8;

/// What was decided about the rows of one content.
#[derive(Debug)]
pub(super) struct Decision {
    /// Which rows are kept; none when all of them are.
    pub(super) kept: Option<BooleanArray>,
    /// What the rows became.
    pub(super) counts: CleanCounts,
}

/// A row, by its content and its place in that content's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Row {
    part: u32,
    row: u32,
}

/// Decides about every row of `parts`, which stand in the order of their admission.
pub(super) fn decide(store: &Store, contract: &SourceContract, parts: &[Part]) -> Result<Vec<Decision>, CleanError> {
    let all_kept = |part: &Part| Decision {
        kept: None,
        counts: CleanCounts { clean: part.content.ledger.accepted, ..CleanCounts::default() },
    };
    if contract.key.is_empty() {
        return Ok(parts.iter().map(all_kept).collect());
    }
    let rows: u64 = parts.iter().map(|part| part.content.ledger.accepted).sum();
    let buckets = rows.div_ceil(BUCKET_ROWS).max(1);
    let mut lost: Vec<Loser> = Vec::new();
    for bucket in 0..buckets {
        lost.extend(losers(store, contract, parts, bucket, buckets)?);
    }
    let duplicates = exact_duplicates(store, contract, parts, &lost)?;
    let mut decisions: Vec<Decision> = parts.iter().map(all_kept).collect();
    let mut lost_rows: Vec<Vec<u32>> = vec![Vec::new(); parts.len()];
    for (loser, is_duplicate) in lost.iter().zip(duplicates) {
        let counts = &mut decisions[loser.row.part as usize].counts;
        counts.clean -= 1;
        *(if is_duplicate { &mut counts.exact_duplicates } else { &mut counts.superseded }) += 1;
        lost_rows[loser.row.part as usize].push(loser.row.row);
    }
    for ((decision, part), lost) in decisions.iter_mut().zip(parts).zip(lost_rows) {
        if !lost.is_empty() {
            decision.kept = Some(all_but(part.content.ledger.accepted, &lost));
        }
    }
    Ok(decisions)
}

fn all_but(rows: u64, lost: &[u32]) -> BooleanArray {
    let mut kept = BooleanBufferBuilder::new(usize::try_from(rows).unwrap_or(usize::MAX));
    kept.append_n(usize::try_from(rows).unwrap_or(usize::MAX), true);
    lost.iter().for_each(|row| kept.set_bit(*row as usize, false));
    BooleanArray::new(kept.finish(), None)
}

/// A row that is not kept, and the row that was preferred to it in the end.
#[derive(Debug, Clone, Copy)]
struct Loser {
    row: Row,
    winner: Row,
}

/// The best row of a key so far.
struct Best {
    hash: u64,
    key: std::ops::Range<usize>,
    order: std::ops::Range<usize>,
    row: Row,
}

/// Returns the rows of one bucket that are not kept.
fn losers(
    store: &Store,
    contract: &SourceContract,
    parts: &[Part],
    bucket: u64,
    buckets: u64,
) -> Result<Vec<Loser>, CleanError> {
    let prefers_later = !matches!(contract.keep, Some(Keep::First(_)));
    let mut table: HashTable<usize> = HashTable::new();
    let mut best: Vec<Best> = Vec::new();
    let mut bytes: Vec<u8> = Vec::new();
    let mut lost: Vec<(Row, usize)> = Vec::new();
    // Decoding and encoding keys takes about as long as comparing them.
    let (sender, receiver) = sync_channel(WAITING_BATCHES);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || read_keys(store, contract, parts, &sender));
        for (part, first_row, key_rows, order_rows) in receiver {
            for (at, row) in (0..key_rows.num_rows()).zip(first_row..) {
                let row = Row { part, row };
                let key_row = key_rows.row(at);
                let key: &[u8] = key_row.as_ref();
                let hash = xxh3_64(key);
                // The table uses the low bits; the bucket is told by the high ones.
                if (hash >> 32) % buckets != bucket {
                    continue;
                }
                let order_row = order_rows.row(at);
                let order: &[u8] = order_row.as_ref();
                match table.entry(hash, |&known| bytes[best[known].key.clone()] == *key, |&known| best[known].hash) {
                    Entry::Vacant(free) => {
                        free.insert(best.len());
                        let (key, order) = (append(&mut bytes, key), append(&mut bytes, order));
                        best.push(Best { hash, key, order, row });
                    }
                    Entry::Occupied(found) => {
                        let number = *found.get();
                        let known = &mut best[number];
                        let compared = order.cmp(&bytes[known.order.clone()]);
                        // Rows come in the order of file and record, so the row at hand is the later one.
                        if if prefers_later { compared.is_ge() } else { compared.is_lt() } {
                            lost.push((known.row, number));
                            known.row = row;
                            known.order = if order.len() <= known.order.len() {
                                let place = known.order.start..known.order.start + order.len();
                                bytes[place.clone()].copy_from_slice(order);
                                place
                            } else {
                                append(&mut bytes, order)
                            };
                        } else {
                            lost.push((row, number));
                        }
                    }
                }
            }
        }
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    Ok(lost.into_iter().map(|(row, number)| Loser { row, winner: best[number].row }).collect())
}

/// Rows of one content in a batch: which content, the first row's number in it, and the rows' keys and order values.
type Keys = (u32, u32, Rows, Rows);

/// Reads keys and order values of all rows, in the order of file and record.
fn read_keys(
    store: &Store,
    contract: &SourceContract,
    parts: &[Part],
    to: &SyncSender<Keys>,
) -> Result<(), CleanError> {
    let order = contract.keep.as_ref().map(Keep::column);
    let mut keys = Encoder::new(contract, contract.key.iter().map(String::as_str))?;
    let mut orders = Encoder::new(contract, order)?;
    let mut names: Vec<&str> = contract.key.iter().map(String::as_str).collect();
    names.extend(order.filter(|order| !contract.key.iter().any(|key| key == order)));
    for (part, number) in parts.iter().zip(0_u32..) {
        let Some(file) = &part.content.rows else { continue };
        let mut row = 0_u32;
        for batch in read_batches(&store.path(file), &names)? {
            let batch = batch.map_err(|source| StoreError::Rows { table: contract.name.clone(), source })?;
            let sent = to.send((number, row, keys.encode(&batch)?, orders.encode(&batch)?));
            if sent.is_err() {
                // Whoever compares has given up.
                return Ok(());
            }
            row += u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
        }
    }
    Ok(())
}

fn append(bytes: &mut Vec<u8>, more: &[u8]) -> std::ops::Range<usize> {
    let start = bytes.len();
    bytes.extend_from_slice(more);
    start..bytes.len()
}

/// Encodes columns of batches so that rows compare as their bytes do.
struct Encoder {
    names: Vec<String>,
    converter: RowConverter,
    table: String,
}

impl Encoder {
    fn new<'a>(contract: &SourceContract, names: impl IntoIterator<Item = &'a str>) -> Result<Self, StoreError> {
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let fields =
            names.iter().filter_map(|name| Some(SortField::new(contract.columns.get(name)?.kind.arrow()))).collect();
        let table = contract.name.clone();
        let converter =
            RowConverter::new(fields).map_err(|source| StoreError::Rows { table: table.clone(), source })?;
        Ok(Self { names, converter, table })
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<Rows, StoreError> {
        if self.names.is_empty() {
            // Without an order column every row has the same, empty order.
            let mut rows = self.converter.empty_rows(0, 0);
            let none: ArrayRef = std::sync::Arc::new(arrow::array::NullArray::new(batch.num_rows()));
            let converter = RowConverter::new(vec![SortField::new(arrow::datatypes::DataType::Null)]);
            if let Ok(encoded) = converter.and_then(|converter| converter.convert_columns(&[none])) {
                rows = encoded;
            }
            return Ok(rows);
        }
        let columns: Vec<ArrayRef> = self.names.iter().filter_map(|name| batch.column_by_name(name).cloned()).collect();
        self.converter
            .convert_columns(&columns)
            .map_err(|source| StoreError::Rows { table: self.table.clone(), source })
    }
}

/// Says of every loser whether it equals, in every column, its winner or a loser of the same key that is counted as
/// superseded already.
fn exact_duplicates(
    store: &Store,
    contract: &SourceContract,
    parts: &[Part],
    lost: &[Loser],
) -> Result<Vec<bool>, CleanError> {
    let mut hashes: HashMap<Row, u128> = HashMap::with_capacity(lost.len() * 2);
    for loser in lost {
        hashes.insert(loser.row, 0);
        hashes.insert(loser.winner, 0);
    }
    let concerned: HashSet<u32> = hashes.keys().map(|row| row.part).collect();
    let names: Vec<&str> = contract.columns.keys().map(String::as_str).collect();
    for (part_number, part) in parts.iter().enumerate() {
        let part_number = u32::try_from(part_number).unwrap_or(u32::MAX);
        let Some(file) = part.content.rows.as_ref().filter(|_| concerned.contains(&part_number)) else {
            continue;
        };
        let mut hasher: Option<RowHasher> = None;
        let mut row = Row { part: part_number, row: 0 };
        for batch in read_batches(&store.path(file), &names)? {
            let rows = |source| StoreError::Rows { table: contract.name.clone(), source };
            let batch = batch.map_err(rows)?;
            let hasher = match &mut hasher {
                Some(hasher) => hasher,
                none => none.insert(RowHasher::new(&batch.schema(), names.len()).map_err(rows)?),
            };
            let count = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
            if (row.row..row.row + count).any(|number| hashes.contains_key(&Row { part: part_number, row: number })) {
                hasher
                    .hash(&batch, |hash| {
                        if let Some(known) = hashes.get_mut(&row) {
                            *known = hash;
                        }
                        row.row += 1;
                    })
                    .map_err(rows)?;
            } else {
                row.row += count;
            }
        }
    }
    let mut seen: HashMap<Row, HashSet<u128>> = HashMap::new();
    let is_duplicate = |loser: &Loser| {
        let hash = hashes[&loser.row];
        let counted = seen.entry(loser.winner).or_insert_with(|| HashSet::from([hashes[&loser.winner]]));
        !counted.insert(hash)
    };
    Ok(lost.iter().map(is_duplicate).collect())
}

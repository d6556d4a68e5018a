//! Decides anew about the keys that a change touches, and about no others.
//!
//! Which row of a key stays depends on the rows with that key alone. So where files came or went, what was decided of
//! every key that none of them has still holds. Of the others it is decided twice, among the files of before and among
//! those of now, and the difference is the change. Only files whose keys lie between the least and the greatest of one that
//! came or went are looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use super::dedup::{self, DedupDecision, Dropped};
use super::{CleanError, Part};
use crate::canonical::canonical;
use crate::digest::{Digest, Parts};
use crate::project::SourceContract;
use crate::store::{
    DataFile, DatasetManifest, DedupResult, DroppedRows, ROW_COLUMN, Store, StoreError, read_row_numbers,
};

/// Files that come or go with more rows than this, together, are no small change.
const MOST_TOUCHED: u64 = 1 << 20;
/// Nor are those with more than one row of so many.
const LEAST_UNTOUCHED: u64 = 4;
/// More dropped rows than this are kept in a file of their own.
const MOST_LISTED: usize = 256;

/// Returns the digest of the rules by which it is decided about the rows of a key.
pub(super) fn rules(contract: &SourceContract, read_hash: &Digest) -> Digest {
    let mut parts = Parts::of("deciding");
    parts.add(read_hash.as_str());
    parts.add(format!("{} {} {}", canonical(&contract.key), canonical(&contract.keep), contract.count_repeated));
    parts.digest()
}

/// Decides about the rows of `parts`, starting from what was decided before; nothing where that is no help.
pub(super) fn decide(
    store: &Store,
    contract: &SourceContract,
    parts: &[Part],
    before: &DatasetManifest,
) -> Result<Option<Vec<DedupDecision>>, CleanError> {
    if contract.key.is_empty() {
        return Ok(None);
    }
    let Some(Change { old, touched }) = Change::of(parts, before) else { return Ok(None) };
    let is_there = |part: &Part| part.content.rows.as_ref().is_none_or(|rows| store.assure(rows).is_ok());
    if !touched.iter().all(is_there) {
        return Ok(None);
    }
    let mut decided = Vec::with_capacity(parts.len());
    for part in parts {
        decided.push(match before.dedup.get(&part.identity) {
            Some(known) => known_decision(store, known)?,
            None => DedupDecision::all_kept(part),
        });
    }
    let keys = dedup::key_hashes(store, contract, &touched)?;
    let is_near = |part: &Part| {
        touched.iter().any(|touched| match (&part.content.key_range, &touched.content.key_range) {
            (Some(own), Some(other)) => own.meets(other),
            _ => true,
        })
    };
    let near = |parts: &[Part]| -> Vec<Part> { parts.iter().filter(|part| is_near(part)).cloned().collect() };
    let places: HashMap<&Digest, usize> = (0..).zip(parts).map(|(at, part)| (&part.identity, at)).collect();
    let (old, now) = (near(&old), near(parts));
    // What was dropped among the files of before is restored first, so that no row is dropped twice.
    let mut restored: BTreeMap<usize, HashSet<u32>> = BTreeMap::new();
    for dropped in dedup::dropped_among(store, contract, &old, &keys)? {
        if let Some(at) = places.get(&old[dropped.part as usize].identity) {
            decided[*at].restore(&dropped);
            restored.entry(*at).or_default().insert(dropped.row);
        }
    }
    for (at, rows) in restored {
        decided[at].dropped_rows.retain(|row| !rows.contains(row));
    }
    let mut changed = BTreeSet::new();
    for dropped in dedup::dropped_among(store, contract, &now, &keys)? {
        if let Some(at) = places.get(&now[dropped.part as usize].identity) {
            decided[*at].drop_repeat(&dropped);
            changed.insert(*at);
        }
    }
    changed.into_iter().for_each(|at| decided[at].sort());
    Ok(Some(decided))
}

/// What came and what went.
struct Change {
    /// What counted before, in that order.
    old: Vec<Part>,
    /// What counted before and does no longer, or the other way round.
    touched: Vec<Part>,
}

impl Change {
    /// Returns the change, if it is small and leaves the others in their order.
    fn of(parts: &[Part], before: &DatasetManifest) -> Option<Self> {
        let of_before = before.contents.iter();
        let mut old: Vec<Part> = of_before
            .map(|(identity, content)| Part { identity: identity.clone(), content: content.clone() })
            .collect();
        old.sort_by_key(|part| part.content.counted_as);
        let identities = |parts: &[Part]| parts.iter().map(|part| part.identity.clone()).collect::<HashSet<_>>();
        let (was, is) = (identities(&old), identities(parts));
        let stay = |part: &&Part| was.contains(&part.identity) && is.contains(&part.identity);
        let in_order = |parts: &[Part]| parts.iter().filter(stay).map(|part| part.identity.clone()).collect::<Vec<_>>();
        if in_order(&old) != in_order(parts) {
            return None;
        }
        let touched: Vec<Part> = old.iter().chain(parts).filter(|part| !stay(part)).cloned().collect();
        let rows = |parts: &[Part]| parts.iter().map(dedup::stored_rows).sum::<u64>();
        let is_small = rows(&touched) <= MOST_TOUCHED && rows(&touched) * LEAST_UNTOUCHED <= rows(parts);
        is_small.then_some(Self { old, touched })
    }
}

fn known_decision(store: &Store, known: &DedupResult) -> Result<DedupDecision, StoreError> {
    let dropped = Dropped {
        dropped_rows: match &known.dropped {
            DroppedRows::Rows(rows) => rows.clone(),
            DroppedRows::File(file) => read_row_numbers(store, file)?,
        },
        dropped_sum: known.dropped_sum,
        dropped_sums: known.dropped_sums.iter().copied().collect(),
        stored: Some(known.dropped.clone()),
    };
    Ok(DedupDecision { counts: known.counts, dropped: Some(Box::new(dropped)) })
}

/// Returns what is to be remembered of a decision; nothing where every row is kept.
pub(super) fn remembered(
    store: &Store,
    contract: &SourceContract,
    decision: &DedupDecision,
) -> Result<Option<DedupResult>, StoreError> {
    let dropped = match &decision.stored {
        _ if decision.dropped_rows.is_empty() => return Ok(None),
        Some(stored) => stored.clone(),
        None if decision.dropped_rows.len() <= MOST_LISTED => DroppedRows::Rows(decision.dropped_rows.clone()),
        None => DroppedRows::File(list(store, contract, &decision.dropped_rows)?),
    };
    let dropped_sums =
        decision.dropped_sums.iter().filter(|(_, sum)| sum.rows > 0).map(|(key, sum)| (*key, *sum)).collect();
    Ok(Some(DedupResult { dropped, dropped_sum: decision.dropped_sum, dropped_sums, counts: decision.counts }))
}

/// Writes a file of row numbers.
pub(super) fn list(store: &Store, contract: &SourceContract, rows: &[u32]) -> Result<DataFile, StoreError> {
    let schema = Arc::new(Schema::new(vec![Field::new(ROW_COLUMN, DataType::Int64, false)]));
    let mut to = store.create_parquet(&contract.name, &schema, schema.fields().len())?;
    let rows = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| i64::from(*row))));
    let batch = RecordBatch::try_new(schema, vec![rows]);
    to.write(&batch.map_err(|source| StoreError::Rows { table: contract.name.clone(), source })?)?;
    to.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::dedup::tests::{Cells, contract, part};
    use super::*;
    use crate::store::{CleanCounts, LocalDisk};

    /// What is remembered of parts that were decided about.
    fn landed(store: &Store, contract: &SourceContract, parts: &[Part]) -> DatasetManifest {
        let decided = dedup::decide(store, contract, parts).unwrap();
        let remember = |(part, decision): (&Part, &DedupDecision)| {
            Some((part.identity.clone(), remembered(store, contract, decision).unwrap()?))
        };
        DatasetManifest {
            read_hash: Digest::of(b""),
            next_sequence: 0,
            paths: Vec::new(),
            contents: parts.iter().map(|part| (part.identity.clone(), part.content.clone())).collect(),
            counts: CleanCounts::default(),
            quarantined: None,
            referenced: BTreeMap::new(),
            erased: 0,
            dedup: parts.iter().zip(&decided).filter_map(remember).collect(),
            dedup_hash: Digest::of(b""),
            compacted: BTreeMap::new(),
            ledger: parts[0].content.rows.clone().unwrap(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]

        #[test]
        fn a_change_leads_where_deciding_anew_does(
            files in prop::collection::vec(
                prop::collection::vec((0..60_i64, prop::option::of(0..3_i64), prop::sample::select(&["a", "b"][..])), 1..40),
                3..7,
            ),
            small in prop::collection::vec((0..60_i64, prop::option::of(0..5_i64), Just("c")), 1..6),
            place in 0..7_u64,
            went in prop::option::of(0..7_usize),
            keeps_first: bool,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(camino::Utf8Path::from_path(folder.path()).unwrap(), Arc::new(LocalDisk));
            let keep = if keeps_first { "first" } else { "latest" };
            let contract = contract(&format!("key = [\"id\"]\npartition = {{ bucket = \"note\", buckets = 3 }}\nkeep = {{ {keep} = \"at\" }}"));
            // Every other place is taken, so that something may come between.
            let make = |(at, rows): (u64, &Vec<Cells>)| {
                let mut part = part(&store, &contract, rows);
                part.identity = Digest::of(&at.to_le_bytes());
                part.content.change().counted_as = 2 * at;
                part
            };
            let mut before: Vec<Part> = (0..).zip(&files).map(make).collect();
            // One that is small enough may go.
            if let Some(went) = went.filter(|_| before.len() > 3) {
                let mut going = make((went as u64, &small.iter().map(|row| (row.0, row.1, "a")).collect()));
                going.identity = Digest::of(b"goes");
                going.content.change().counted_as = 2 * went as u64 + 1;
                before.push(going);
                before.sort_by_key(|part| part.content.counted_as);
            }
            let known = landed(&store, &contract, &before);
            let mut now: Vec<Part> = before.into_iter().filter(|part| part.identity != Digest::of(b"goes")).collect();
            let mut coming = make((place, &small));
            coming.identity = Digest::of(b"comes");
            coming.content.change().counted_as = 2 * place + 1;
            now.push(coming);
            now.sort_by_key(|part| part.content.counted_as);
            let Some(again) = decide(&store, &contract, &now, &known).unwrap() else { return Ok(()) };
            let anew = dedup::decide(&store, &contract, &now).unwrap();
            for (again, anew) in again.iter().zip(&anew) {
                prop_assert_eq!((&again.dropped_rows, again.dropped_sum, again.counts), (&anew.dropped_rows, anew.dropped_sum, anew.counts));
                let some = |decision: &DedupDecision| {
                    let sums = decision.dropped_sums.iter().filter(|(_, sum)| sum.rows > 0);
                    sums.map(|(key, sum)| (*key, *sum)).collect::<Vec<_>>()
                };
                prop_assert_eq!(some(again), some(anew));
            }
        }
    }
}

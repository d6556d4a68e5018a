//! Puts the rows that are kept into few files.
//!
//! A query opens every file of its inputs several times, so ten thousand small ones cost more than the rows in them.
//! Small files share one. A large file is taken as it is, with the numbers of the rows that it loses beside it; only of
//! one that loses many the others are copied. What was written before of the same
//! contents and the same decisions is taken again: a file that lands changes
//! the last group, and those that hold rows which it supersedes.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, BooleanBufferBuilder};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Schema;

use super::dedup::DedupDecision;
use super::{CleanError, Part, incremental};
use crate::digest::{Digest, Parts};
use crate::ingest::{partitioner, stored_row_schema};
use crate::partition::PartitionKey;
use crate::project::SourceContract;
use crate::store::{DataFile, DroppedRows, FilePart, RowSum, Store, StoreError, read_batches};

/// A file below this shares one with others.
const SMALL_BYTES: u64 = 1 << 20;
/// How many files share one at most.
const GROUP_FILES: usize = 64;
/// Once the files that share one are so large together, no further one joins them: whenever one of them comes or loses a
/// row, all are written again.
const GROUP_BYTES: u64 = SMALL_BYTES;
/// A file is written again when it loses more than one row of so many: every query passes over them.
const LEAST_KEPT: u64 = 4;

/// A content that has rows, and what was decided about them.
type Member<'a> = (&'a Part, &'a DedupDecision, &'a DataFile);

/// Returns the files that hold the kept rows of `parts`, and of those that were made for it, what each was made of.
pub(super) fn gather(
    store: &Store,
    contract: &SourceContract,
    parts: &[Part],
    decided: &[DedupDecision],
    before: Option<&BTreeMap<Digest, DataFile>>,
) -> Result<(Vec<DataFile>, BTreeMap<Digest, DataFile>), CleanError> {
    let mut files = Vec::new();
    let mut gathered = BTreeMap::new();
    for group in groups(parts, decided) {
        if let Some(file) = as_it_is(&group) {
            files.push(file);
            continue;
        }
        let name = name(&group);
        let file = match before.and_then(|before| before.get(&name)).filter(|known| store.assure(known).is_ok()) {
            Some(known) => Some(known.clone()),
            None => match group.as_slice() {
                [(_, decision, file)] if file.part.is_none() && is_worth_keeping(decision, file) => {
                    Some(without(store, contract, decision, file)?)
                }
                _ => write(store, contract, &group)?,
            },
        };
        // Without a file no row was kept.
        let Some(file) = file else { continue };
        files.push(file.clone());
        gathered.insert(name, file);
    }
    Ok((files, gathered))
}

/// Returns the file that has the kept rows of a group and no others, if one has.
fn as_it_is(group: &[Member<'_>]) -> Option<DataFile> {
    let (_, _, first) = *group.first()?;
    if !group.iter().all(|(_, decision, file)| decision.dropped_rows.is_empty() && file.path == first.path) {
        return None;
    }
    let Some(FilePart { of_rows, .. }) = first.part else { return (group.len() == 1).then(|| first.clone()) };
    // Rows of a content that does not count may lie between, or behind the last.
    let mut next = 0;
    let mut sum = RowSum::default();
    let mut partitions: BTreeMap<PartitionKey, RowSum> = BTreeMap::new();
    for (_, _, file) in group {
        if file.part?.first_row != next {
            return None;
        }
        next += file.sum.rows;
        sum.merge(file.sum);
        file.partitions.iter().for_each(|(key, of_key)| partitions.entry(*key).or_default().merge(*of_key));
    }
    let partitions = partitions.into_iter().collect();
    (next == of_rows).then(|| DataFile { sum, partitions, part: None, ..first.clone() })
}

fn groups<'a>(parts: &'a [Part], decided: &'a [DedupDecision]) -> Vec<Vec<Member<'a>>> {
    let members = parts.iter().zip(decided);
    let members: Vec<Member<'a>> =
        members.filter_map(|(part, decision)| Some((part, decision, part.content.rows.as_ref()?))).collect();
    let mut groups = Vec::new();
    let mut open: Vec<Member<'a>> = Vec::new();
    let mut open_bytes = 0;
    for run in members.chunk_by(|(_, _, one), (_, _, other)| one.part.is_some() && one.path == other.path) {
        // Where enough of them share a file already, it need not be written again.
        if run.len() >= GROUP_FILES / 2 && as_it_is(run).is_some() {
            groups.push(run.to_vec());
            continue;
        }
        for member in run {
            let bytes = bytes_of(member.2);
            if bytes >= SMALL_BYTES {
                groups.push(vec![*member]);
                continue;
            }
            open.push(*member);
            open_bytes += bytes;
            if open.len() == GROUP_FILES || open_bytes >= GROUP_BYTES {
                groups.push(std::mem::take(&mut open));
                open_bytes = 0;
            }
        }
    }
    if !open.is_empty() {
        groups.push(open);
    }
    groups
}

/// Returns the bytes of the rows of a content: of a file that it shares, about as many.
fn bytes_of(file: &DataFile) -> u64 {
    file.part.map_or(file.bytes, |part| file.bytes / part.of_rows.max(1) * file.sum.rows)
}

fn name(group: &[Member<'_>]) -> Digest {
    let mut parts = Parts::of("gathered");
    for (_, decision, file) in group {
        parts.add(&file.path);
        file.part.iter().for_each(|part| parts.add(part.first_row.to_le_bytes()));
        parts.add(decision.dropped_rows.iter().flat_map(|row| row.to_le_bytes()).collect::<Vec<u8>>());
    }
    parts.digest()
}

/// Returns whether a file is large and loses so few rows that passing over them costs less than writing it again.
fn is_worth_keeping(decision: &DedupDecision, file: &DataFile) -> bool {
    file.bytes >= SMALL_BYTES && decision.dropped_rows.len() as u64 * LEAST_KEPT <= file.sum.rows
}

/// Returns the file with a note of the rows that it loses.
fn without(
    store: &Store,
    contract: &SourceContract,
    decision: &DedupDecision,
    file: &DataFile,
) -> Result<DataFile, StoreError> {
    let without = match &decision.stored {
        Some(DroppedRows::File(file)) => file.clone(),
        _ => incremental::list(store, contract, &decision.dropped_rows)?,
    };
    let dropped = |key: &PartitionKey| decision.dropped_sums.get(key).copied().unwrap_or_default();
    let partitions = file.partitions.iter().map(|(key, sum)| (*key, sum.less(dropped(key)))).collect();
    let sum = file.sum.less(decision.dropped_sum);
    Ok(DataFile { sum, partitions, deletion_vector: Some(Box::new(without)), ..file.clone() })
}

fn write(store: &Store, contract: &SourceContract, group: &[Member<'_>]) -> Result<Option<DataFile>, CleanError> {
    let mut kept = RowSum::default();
    group.iter().for_each(|(_, decision, file)| kept.merge(file.sum.less(decision.dropped_sum)));
    if kept.rows == 0 {
        return Ok(None);
    }
    let schema = stored_row_schema(contract);
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let to = store.create_parquet(&contract.name, &schema, contract.columns.len())?;
    let mut to = to.by(partitioner(contract));
    let decode = |source| StoreError::Rows { table: contract.name.clone(), source };
    for (_, decision, file) in group {
        let mut at = 0_usize;
        let mut dropped = decision.dropped_rows.iter().map(|row| *row as usize).peekable();
        for batch in read_batches(store, file, &names)? {
            let batch = batch?;
            let end = at + batch.num_rows();
            let mut kept = BooleanBufferBuilder::new(batch.num_rows());
            kept.append_n(batch.num_rows(), true);
            while let Some(row) = dropped.next_if(|row| *row < end) {
                kept.set_bit(row - at, false);
            }
            to.write(&filter_record_batch(&batch, &BooleanArray::new(kept.finish(), None)).map_err(decode)?)?;
            at = end;
        }
    }
    let written = to.finish()?;
    if written.sum == kept {
        return Ok(Some(written));
    }
    // Copied, rows that are not those that were written would pass for right.
    store.discard(&written);
    let own = Arc::new(Schema::new(schema.fields()[..contract.columns.len()].to_vec()));
    group.iter().try_for_each(|(_, _, file)| store.inspect(file, &own, contract.partition.as_ref()))?;
    let reason = format!("rows that were kept add up to {} and should to {kept}", written.sum);
    Err(CleanError::Bug { dataset: contract.name.clone(), reason })
}

//! Puts the rows that are kept into few files.
//!
//! A query opens every file of its inputs several times, so ten thousand small ones cost more than the rows in them.
//! Small files share one; of a file that loses rows the others are copied. A large file that loses none is taken as it
//! is. What was gathered before from the same contents and the same decisions is taken again: a file that lands changes
//! the last group, and those that hold rows which it supersedes.

use std::collections::BTreeMap;

use arrow::compute::filter_record_batch;

use super::keep::Decision;
use super::{CleanError, Part};
use crate::digest::{Digest, Parts};
use crate::ingest::stored_row_schema;
use crate::project::SourceContract;
use crate::store::{DataFile, Store, StoreError, read_batches};

/// A file below this shares one with others.
const SMALL_BYTES: u64 = 1 << 20;
/// How many files share one at most.
const GROUP_FILES: usize = 64;
/// How large the files that share one are at most, together.
const GROUP_BYTES: u64 = 64 << 20;

/// A content that has rows, and what was decided about them.
type Member<'a> = (&'a Part, &'a Decision, &'a DataFile);

/// Returns the files that hold the kept rows of `parts`, and of those that were made for it, what each was made of.
pub(super) fn gather(
    store: &Store,
    contract: &SourceContract,
    parts: &[Part],
    decided: &[Decision],
    before: Option<&BTreeMap<Digest, DataFile>>,
) -> Result<(Vec<DataFile>, BTreeMap<Digest, DataFile>), CleanError> {
    let mut files = Vec::new();
    let mut gathered = BTreeMap::new();
    for group in groups(parts, decided) {
        if let [(_, Decision { kept: None, .. }, file)] = group.as_slice() {
            files.push((*file).clone());
            continue;
        }
        let name = name(&group);
        let file = match before.and_then(|before| before.get(&name)).filter(|known| store.assure(known).is_ok()) {
            Some(known) => Some(known.clone()),
            None => write(store, contract, &group)?,
        };
        // Without a file no row was kept.
        let Some(file) = file else { continue };
        files.push(file.clone());
        gathered.insert(name, file);
    }
    Ok((files, gathered))
}

fn groups<'a>(parts: &'a [Part], decided: &'a [Decision]) -> Vec<Vec<Member<'a>>> {
    let mut groups = Vec::new();
    let mut open: Vec<Member<'a>> = Vec::new();
    let mut open_bytes = 0;
    for (part, decision) in parts.iter().zip(decided) {
        let Some(file) = &part.content.rows else { continue };
        if file.bytes >= SMALL_BYTES {
            groups.push(vec![(part, decision, file)]);
            continue;
        }
        open.push((part, decision, file));
        open_bytes += file.bytes;
        if open.len() == GROUP_FILES || open_bytes >= GROUP_BYTES {
            groups.push(std::mem::take(&mut open));
            open_bytes = 0;
        }
    }
    if !open.is_empty() {
        groups.push(open);
    }
    groups
}

fn name(group: &[Member<'_>]) -> Digest {
    let mut parts = Parts::of("gathered");
    for (_, decision, file) in group {
        parts.add(&file.path);
        match &decision.kept {
            None => parts.add("all"),
            Some(kept) => {
                // A slice may begin inside a byte, so bits are hashed and not the bytes that they lie in.
                parts.add(kept.values().iter().map(u8::from).collect::<Vec<u8>>());
            }
        }
    }
    parts.digest()
}

fn write(store: &Store, contract: &SourceContract, group: &[Member<'_>]) -> Result<Option<DataFile>, CleanError> {
    let rows = group.iter().map(|(part, decision, _)| {
        decision.kept.as_ref().map_or(part.content.ledger.accepted, |kept| kept.true_count() as u64)
    });
    if rows.sum::<u64>() == 0 {
        return Ok(None);
    }
    let schema = stored_row_schema(contract);
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut to = store.create_parquet(&contract.name, &schema, contract.columns.len())?;
    let decode = |source| StoreError::Rows { table: contract.name.clone(), source };
    for (_, decision, file) in group {
        let mut at = 0;
        for batch in read_batches(&store.path(file), &names)? {
            let batch = batch.map_err(decode)?;
            let rows = batch.num_rows();
            match &decision.kept {
                None => to.write(&batch)?,
                Some(kept) => to.write(&filter_record_batch(&batch, &kept.slice(at, rows)).map_err(decode)?)?,
            }
            at += rows;
        }
    }
    Ok(Some(to.finish()?))
}

//! What tells one record from another.

use std::collections::HashSet;
use std::convert::Infallible;

use arrow::array::{AsArray, RecordBatch};
use xxhash_rust::xxh3::xxh3_128;

use super::decide::Decided;
use super::dialect::Dialect;
use super::distinct::Count;
use super::names::{is_change, is_identifier, is_time};
use super::pass::{Field, Found, walk};
use super::{InferError, Input};
use crate::ingest::{SetAside, Sink};
use crate::project::ColumnType;

/// How many pairs of columns are tried.
const MOST_PAIRS: usize = 100;

/// How many hashes all pairs may keep, some 40 bytes each.
const MOST_HASHES: usize = 6_000_000;

/// How many candidates are told.
const SHOWN: usize = 5;

/// What was found about keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The column that is written as the key.
    pub(super) written: Option<String>,
    /// The columns that could be one, with how sure that is.
    pub(super) candidates: Vec<(Vec<String>, &'static str)>,
    /// Of candidates that could not be followed to the end, how many.
    pub(super) given_up: usize,
    /// A column that tells the later of two rows.
    pub(super) order: Option<String>,
    /// An identifier that repeats, as that of things with several versions does.
    pub(super) versions_of: Option<String>,
}

/// Finds the columns that are unique, or else the pairs that are.
pub(super) fn find(
    input: &Input<'_>,
    dialect: &Dialect,
    found: &Found,
    columns: &[Decided],
) -> Result<Keys, InferError> {
    let mut keys = Keys { order: order(columns), ..Keys::default() };
    if found.records < 2 {
        return Ok(keys);
    }
    let usable: Vec<usize> = (0..columns.len()).filter(|at| is_usable(&found.fields[*at], &columns[*at])).collect();
    let mut unknown = Vec::new();
    for &at in &usable {
        let distinct = &found.fields[at].profile.distinct;
        let how = match distinct.count() {
            Count::Exact(_) => "every text compared",
            _ => "by hashes of 128 bits",
        };
        match distinct.is_unique() {
            Some(true) => keys.candidates.push((vec![columns[at].name.clone()], how)),
            Some(false) => {}
            None => unknown.push(at),
        }
    }
    keys.given_up = unknown.len();
    // A key takes rows away, so only what is called like one is taken for one.
    let named = |columns: &Vec<String>| columns.iter().all(|name| is_identifier(name));
    keys.written = keys.candidates.iter().find(|(columns, _)| named(columns)).map(|(columns, _)| columns[0].clone());
    if keys.candidates.is_empty() && unknown.is_empty() {
        pairs(input, dialect, found, columns, &usable, &mut keys)?;
        let repeated = usable.iter().find(|at| is_identifier(&columns[**at].name));
        keys.versions_of = repeated.map(|at| columns[*at].name.clone());
    }
    keys.candidates.truncate(SHOWN);
    Ok(keys)
}

/// A column can be in a key if each record has a value, and equal values have equal texts.
fn is_usable(field: &Field, column: &Decided) -> bool {
    let profile = &field.profile;
    let is_plain = profile.padded + profile.blank == 0 && profile.values == profile.records;
    let kinds = [ColumnType::Int64, ColumnType::String, ColumnType::Date, ColumnType::Timestamp];
    let is_settled = column.choices.is_empty() && column.normalise.is_none();
    is_plain && column.is_required() && is_settled && kinds.contains(&column.kind)
}

/// Returns the column that tells when a row changed.
fn order(columns: &[Decided]) -> Option<String> {
    let kinds = [ColumnType::Timestamp, ColumnType::Date];
    let mut times = columns.iter().filter(|column| kinds.contains(&column.kind) && column.is_required());
    times.find(|column| is_change(&column.name)).map(|column| column.name.clone())
}

/// Two columns, and the hashes of their texts so far.
struct Pair {
    columns: (usize, usize),
    seen: HashSet<u128>,
}

fn pairs(
    input: &Input<'_>,
    dialect: &Dialect,
    found: &Found,
    columns: &[Decided],
    usable: &[usize],
    keys: &mut Keys,
) -> Result<(), InferError> {
    let mut wanted = Vec::new();
    for (place, &a) in usable.iter().enumerate() {
        wanted.extend(usable[place + 1..].iter().map(|&b| (a, b)).filter(|&(a, b)| could_tell_apart(found, a, b)));
    }
    let is_likely = |at: usize| is_identifier(&columns[at].name) || is_time(&columns[at].name, &found.fields[at].name);
    // What is nearly unique by itself is unique with anything, and says nothing.
    wanted.retain(|&(a, b)| [a, b].into_iter().all(|at| is_likely(at) || !is_nearly_unique(found, at)));
    wanted.sort_by_key(|&(a, b)| (usize::from(!is_likely(a)) + usize::from(!is_likely(b)), a, b));
    wanted.truncate(MOST_PAIRS);
    if wanted.is_empty() {
        return Ok(());
    }
    let fields: Vec<String> = found.fields.iter().map(|field| field.name.clone()).collect();
    let pairs = wanted.into_iter().map(|columns| Pair { columns, seen: HashSet::new() }).collect();
    let mut sink = Pairs { open: pairs, hashes: 0, given_up: 0, buffer: Vec::new() };
    walk(input, dialect, &fields, &mut sink)?;
    keys.given_up = sink.given_up;
    for Pair { columns: (a, b), .. } in sink.open {
        keys.candidates.push((vec![columns[a].name.clone(), columns[b].name.clone()], "by hashes of 128 bits"));
    }
    Ok(())
}

/// Returns whether more than half of a column's texts are different.
fn is_nearly_unique(found: &Found, at: usize) -> bool {
    match found.fields[at].profile.distinct.count() {
        Count::Exact(count) | Count::Hashed(count) | Count::AtLeast(count) => count as u64 * 2 > found.records,
    }
}

/// Two columns have at most as many different pairs as the product of what each has.
fn could_tell_apart(found: &Found, a: usize, b: usize) -> bool {
    let count = |at: usize| match found.fields[at].profile.distinct.count() {
        Count::Exact(count) | Count::Hashed(count) => count as u64,
        Count::AtLeast(_) => u64::MAX,
    };
    count(a) > 1 && count(b) > 1 && count(a).saturating_mul(count(b)) >= found.records
}

/// Follows pairs until one repeats itself.
struct Pairs {
    open: Vec<Pair>,
    hashes: usize,
    given_up: usize,
    buffer: Vec<u8>,
}

impl Sink for Pairs {
    type Error = Infallible;

    fn rows(&mut self, batch: RecordBatch) -> Result<(), Infallible> {
        let Self { open, hashes, given_up, buffer } = self;
        open.retain_mut(|Pair { columns: (a, b), seen }| {
            let (first, second) = (batch.column(*a).as_string::<i32>(), batch.column(*b).as_string::<i32>());
            for row in 0..batch.num_rows() {
                let (first, second) = (first.value(row), second.value(row));
                buffer.clear();
                // With the length of the first, so that no two pairs run together.
                buffer.extend_from_slice(&(first.len() as u64).to_le_bytes());
                buffer.extend_from_slice(first.as_bytes());
                buffer.extend_from_slice(second.as_bytes());
                if !seen.insert(xxh3_128(buffer)) {
                    *hashes -= seen.len() - 1;
                    return false;
                }
                *hashes += 1;
            }
            let is_too_much = *hashes > MOST_HASHES;
            if is_too_much {
                *given_up += 1;
                *hashes -= seen.len();
            }
            !is_too_much
        });
        Ok(())
    }

    fn set_aside(&mut self, _: SetAside<'_>) -> Result<(), Infallible> {
        Ok(())
    }
}

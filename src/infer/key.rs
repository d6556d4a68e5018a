//! What tells one record from another.

use std::collections::HashSet;
use std::convert::Infallible;

use arrow::array::{AsArray, RecordBatch};
use xxhash_rust::xxh3::xxh3_128;

use super::candidate::Reading;
use super::decide::ColumnProposal;
use super::dialect::Dialect;
use super::distinct::Count;
use super::names::{is_change, is_identifier, is_own_change, is_own_identifier, is_time};
use super::pass::{Field, Found, walk};
use super::{InferError, Input};
use crate::ingest::{QuarantinedRecord, Rank, Sink};
use crate::project::ColumnType;

/// How many pairs of columns are tried.
const MOST_PAIRS: usize = 100;

/// How many columns are paired.
const MOST_PAIRED: usize = 300;

/// How many hashes all pairs may keep, some 40 bytes each.
const MOST_HASHES: usize = 6_000_000;

/// How many candidates are printed.
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
    /// A column that may tell it, but is called like the change of something else, or has no value in some records.
    pub(super) other_order: Option<String>,
    /// An identifier that repeats, as that of things with several versions does.
    pub(super) versions_of: Option<String>,
    /// Identifiers that are called like those of other things, with which records belong together.
    pub(super) foreign: Vec<String>,
    /// Whether the key that is written counts the records, as programs do anew in every file.
    pub(super) is_count: bool,
    /// Two texts of a key that differ only in the case of their letters: column and texts.
    pub(super) in_case: Option<(String, String, String)>,
}

/// Finds the columns that are unique, or else the pairs that are.
pub(super) fn find(
    input: &Input<'_>,
    dataset: &str,
    dialect: &Dialect,
    found: &Found,
    columns: &[ColumnProposal],
) -> Result<Keys, InferError> {
    let mut keys = Keys { order: order(dataset, columns), ..Keys::default() };
    keys.other_order = other_order(columns).filter(|name| keys.order.as_ref() != Some(name));
    if found.records < 2 {
        return Ok(keys);
    }
    let usable: Vec<usize> = (0..columns.len()).filter(|at| is_usable(&found.fields[*at], &columns[*at])).collect();
    let mut unique = Vec::new();
    let mut unknown = Vec::new();
    for &at in &usable {
        match found.fields[at].profile.distinct.is_unique() {
            Some(true) => unique.push(at),
            Some(false) => {}
            None => unknown.push(at),
        }
    }
    keys.given_up = unknown.len();
    let name = |at: usize| columns[at].name.clone();
    let names = || columns.iter().map(|column| column.name.as_str());
    let is_own = |at: usize| is_own_identifier(dataset, &columns[at].name, names());
    // A key takes rows away, so only what is called like that of these very records is taken for one.
    let written = unique.iter().copied().find(|at| is_own(*at));
    keys.written = written.map(name);
    keys.is_count = written.is_some_and(|at| is_count(&found.fields[at], found.records));
    keys.in_case = unique.iter().filter(|at| is_identifier(&columns[**at].name)).find_map(|&at| {
        let lower = |text: &str| Some(text.to_lowercase());
        let (one, other) = found.fields[at].profile.distinct.merged(lower).ok().flatten()?;
        Some((name(at), one, other))
    });
    let identifiers: Vec<usize> = usable.iter().copied().filter(|at| is_identifier(&columns[*at].name)).collect();
    keys.foreign = identifiers.iter().copied().filter(|at| !is_own(*at)).map(name).collect();
    // What several identifiers tell apart together stands first: each alone may be that of something else.
    if written.is_none() && (2..=MOST_TOGETHER).contains(&identifiers.len()) {
        let is_told = identifiers.iter().any(|at| unique.contains(at));
        if is_told {
            keys.candidates.push((identifiers.iter().map(|at| name(*at)).collect(), "as one of them is"));
        }
    }
    let how = |at: usize| match found.fields[at].profile.distinct.count() {
        Count::Exact(_) => "every text compared",
        _ => "by hashes of 128 bits",
    };
    keys.candidates.extend(unique.iter().map(|at| (vec![name(*at)], how(*at))));
    if unique.is_empty() && unknown.is_empty() {
        let mut pairs = Pairs::of(promising_pairs(found, columns, usable));
        if !pairs.open.is_empty() {
            let fields: Vec<String> = found.fields.iter().map(|field| field.name.clone()).collect();
            walk(input, dialect, &fields, &mut pairs)?;
        }
        keys.given_up = pairs.given_up;
        let unique = pairs.open.iter().map(|pair| vec![name(pair.columns.0), name(pair.columns.1)]);
        keys.candidates.extend(unique.map(|columns| (columns, "by hashes of 128 bits")));
        let repeated = identifiers.iter().copied().find(|at| is_own(*at)).or(identifiers.first().copied());
        keys.versions_of = repeated.map(name);
    }
    keys.candidates.truncate(SHOWN);
    Ok(keys)
}

/// How many identifiers are taken for a key together.
const MOST_TOGETHER: usize = 4;

/// Returns whether a column has the numbers from 0 or 1 on, one for each record, as many as no accident makes.
fn is_count(field: &Field, records: u64) -> bool {
    const ENOUGH: u64 = 20;
    let whole = field.profile.candidates.iter().find(|candidate| candidate.reading == Reading::Int64);
    let Some(found) = whole.filter(|it| it.fits_all(records)).and_then(|it| it.found.as_ref()) else { return false };
    let (Rank::Whole(min), Rank::Whole(max)) = (found.min.0, found.max.0) else { return false };
    records >= ENOUGH && matches!(min, 0 | 1) && u64::try_from(max - min).is_ok_and(|apart| apart + 1 == records)
}

/// A column can be in a key if each record has a value, and equal values have equal texts.
fn is_usable(field: &Field, column: &ColumnProposal) -> bool {
    let profile = &field.profile;
    let is_plain = profile.padded + profile.blank == 0 && profile.values == profile.records;
    let kinds = [ColumnType::Int64, ColumnType::String, ColumnType::Date, ColumnType::Timestamp];
    let is_settled = column.choices.is_empty() && column.normalise.is_none();
    is_plain && column.nulls == 0 && is_settled && kinds.contains(&column.kind)
}

/// Returns the column that tells when a record of the dataset changed.
fn order(dataset: &str, columns: &[ColumnProposal]) -> Option<String> {
    let mut times = times(columns).filter(|column| column.nulls == 0);
    times.find(|column| is_own_change(dataset, &column.name)).map(|column| column.name.clone())
}

/// Returns a column that is called like the time of a change, of whatever.
fn other_order(columns: &[ColumnProposal]) -> Option<String> {
    times(columns).find(|column| is_change(&column.name)).map(|column| column.name.clone())
}

fn times(columns: &[ColumnProposal]) -> impl Iterator<Item = &ColumnProposal> {
    columns.iter().filter(|column| matches!(column.kind, ColumnType::Timestamp | ColumnType::Date))
}

/// Two columns, and the hashes of their texts so far.
struct Pair {
    columns: (usize, usize),
    seen: HashSet<u128>,
}

/// Returns the pairs of columns that may tell records apart, the likely ones first.
fn promising_pairs(found: &Found, columns: &[ColumnProposal], mut usable: Vec<usize>) -> Vec<(usize, usize)> {
    let is_likely = |at: usize| is_identifier(&columns[at].name) || is_time(&columns[at].name, &found.fields[at].name);
    // Of very many columns those that are called like one, or all pairs of them would be more than memory holds.
    usable.sort_by_key(|&at| (!is_likely(at), at));
    usable.truncate(MOST_PAIRED);
    usable.sort_unstable();
    let mut wanted = Vec::new();
    for (place, &a) in usable.iter().enumerate() {
        wanted.extend(usable[place + 1..].iter().map(|&b| (a, b)).filter(|&(a, b)| could_tell_apart(found, a, b)));
    }
    // What is nearly unique by itself is unique with anything, and says nothing.
    wanted.retain(|&(a, b)| [a, b].into_iter().all(|at| is_likely(at) || !is_nearly_unique(found, at)));
    wanted.sort_by_key(|&(a, b)| (usize::from(!is_likely(a)) + usize::from(!is_likely(b)), a, b));
    wanted.truncate(MOST_PAIRS);
    wanted
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

impl Pairs {
    fn of(columns: Vec<(usize, usize)>) -> Self {
        let open = columns.into_iter().map(|columns| Pair { columns, seen: HashSet::new() }).collect();
        Self { open, hashes: 0, given_up: 0, buffer: Vec::new() }
    }
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

    fn quarantine(&mut self, _: QuarantinedRecord<'_>) -> Result<(), Infallible> {
        Ok(())
    }
}

//! What is known of one column of a file.

use chrono_tz::Tz;
use indexmap::IndexSet;

use super::candidate::{Candidate, Reading, Seen, candidates, digits, zoned};
use super::distinct::Distinct;
use super::numbers::Numbers;
use super::zones::Abbreviated;

/// Texts that can mean nothing but "no value".
pub(super) const NULLS: [&str; 8] = ["?", "\\N", "NULL", "null", "(null)", "#N/A", "N/A", "n/a"];

/// Texts that mean "no value" among numbers and times; among texts they may be a name, or a word.
pub(super) const WEAK_NULLS: [&str; 8] = ["NA", "-", "--", "none", "None", "nil", "NaN", "nan"];

/// One column as the file has it.
#[derive(Debug)]
pub(super) struct Profile {
    /// Records, with and without a value.
    pub(super) records: u64,
    /// Records that have no text at all; only JSON has such.
    pub(super) missing: u64,
    /// Texts of no length.
    pub(super) empty: u64,
    /// Texts of nothing but white space.
    pub(super) blank: u64,
    /// How often each of [`NULLS`] came, as it stands and with white space around it.
    pub(super) nulls: [Tally; NULLS.len()],
    /// How often each of [`WEAK_NULLS`] came.
    pub(super) weak_nulls: [Tally; WEAK_NULLS.len()],
    /// All other texts.
    pub(super) values: u64,
    /// Those of them with white space around them.
    pub(super) padded: u64,
    pub(super) candidates: Vec<Candidate>,
    /// Plain types that too many texts do not fit, each with the first of those.
    pub(super) dropped: Vec<(Reading, Seen)>,
    pub(super) distinct: Distinct,
    pub(super) longest: Option<(usize, Seen)>,
    /// The most digits before and after the point.
    pub(super) whole_digits: usize,
    pub(super) fraction_digits: usize,
    /// How they fare as numbers that are not written plainly.
    pub(super) numbers: Numbers,
    /// The names inside the JSON objects that they are; nothing once one was no object, or there were too many names.
    pub(super) inside: Option<IndexSet<String>>,
    /// The text with the most digits.
    pub(super) widest: Option<(usize, String)>,
    /// Times whose zone is an abbreviation; nothing once a text was none.
    pub(super) abbreviated: Option<Abbreviated>,
    zone: Tz,
}

/// How often a text came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) bare: u64,
    pub(super) padded: u64,
}

impl Tally {
    pub(super) fn all(self) -> u64 {
        self.bare + self.padded
    }
}

impl Profile {
    pub(super) fn new(zone: Tz) -> Self {
        Self {
            records: 0,
            missing: 0,
            empty: 0,
            blank: 0,
            nulls: Default::default(),
            weak_nulls: Default::default(),
            values: 0,
            padded: 0,
            candidates: candidates(zone),
            dropped: Vec::new(),
            distinct: Distinct::default(),
            longest: None,
            whole_digits: 0,
            fraction_digits: 0,
            numbers: Numbers::default(),
            inside: Some(IndexSet::new()),
            widest: None,
            abbreviated: None,
            zone,
        }
    }

    /// Takes the text of one record; `memory` is what all columns have left for counting.
    pub(super) fn push(&mut self, text: Option<&str>, line: i64, memory: &mut usize) {
        self.records += 1;
        let Some(text) = text else {
            self.missing += 1;
            return;
        };
        let trimmed = text.trim_ascii();
        if trimmed.is_empty() {
            *(if text.is_empty() { &mut self.empty } else { &mut self.blank }) += 1;
            return;
        }
        let is_padded = trimmed.len() != text.len();
        let strong = NULLS.iter().position(|null| *null == trimmed).map(|at| &mut self.nulls[at]);
        let tally =
            strong.or_else(|| WEAK_NULLS.iter().position(|null| *null == trimmed).map(|at| &mut self.weak_nulls[at]));
        if let Some(tally) = tally {
            *(if is_padded { &mut tally.padded } else { &mut tally.bare }) += 1;
            return;
        }
        self.values += 1;
        self.padded += u64::from(is_padded);
        if self.values == 1 {
            self.candidates.extend(zoned(trimmed, self.zone));
            self.abbreviated = Abbreviated::of(trimmed);
        } else if self.abbreviated.as_mut().is_some_and(|times| !times.push(trimmed)) {
            self.abbreviated = None;
        }
        let bytes = trimmed.as_bytes();
        let dropped = &mut self.dropped;
        self.candidates.retain_mut(|candidate| {
            let is_kept = candidate.try_text(bytes, line);
            if !is_kept && candidate.reading.format().is_none() {
                dropped.extend(candidate.first_failure.take().map(|failure| (candidate.reading, failure)));
            }
            is_kept
        });
        self.distinct.push(bytes, memory);
        let length = text.chars().count();
        if self.longest.as_ref().is_none_or(|(known, _)| length > *known) {
            self.longest = Some((length, Seen { line, text: text.to_owned() }));
        }
        self.numbers.push(trimmed, line);
        self.inside = self.inside.take().and_then(|names| look_inside(names, bytes));
        if let Some((whole, fraction)) = digits(bytes) {
            self.whole_digits = self.whole_digits.max(whole);
            self.fraction_digits = self.fraction_digits.max(fraction);
            if self.widest.as_ref().is_none_or(|(known, _)| whole + fraction > *known) {
                self.widest = Some((whole + fraction, trimmed.to_owned()));
            }
        }
    }
}

/// Adds the names in a JSON object; nothing where the text is none.
fn look_inside(mut names: IndexSet<String>, text: &[u8]) -> Option<IndexSet<String>> {
    const MOST: usize = 12;
    if !text.starts_with(b"{") {
        return None;
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text).ok()?;
    names.extend(object.into_iter().map(|(name, _)| name));
    (names.len() <= MOST).then_some(names)
}

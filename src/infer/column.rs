//! What is known of one column of a file.

use indexmap::IndexSet;

use super::candidate::{Candidate, Reading, Seen, Trials, digits};
use super::distinct::{Distinct, TooMany};
use super::exact::Exact;
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
    /// The ways to read its texts; none before there is one.
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
    /// Whether JSON has each of its values between quotes; nothing where the file is not JSON.
    pub(super) is_quoted: Option<bool>,
    /// The first text with more digits than a float of 64 bits holds.
    pub(super) lossy: Option<Seen>,
    /// Texts such as `12e3`, which look like a number by accident, and the first of them.
    pub(super) accidents: u64,
    pub(super) first_accident: Option<Seen>,
    /// Texts with an exponent as programs write it.
    pub(super) exponents: u64,
    /// How many digits the first number has after its point, and whether another one is written in another way.
    even: Option<usize>,
    is_uneven: bool,
    /// Whether a fraction ends in a zero that no program writes by itself.
    has_zeros: bool,
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
    pub(super) fn new() -> Self {
        Self {
            records: 0,
            missing: 0,
            empty: 0,
            blank: 0,
            nulls: Default::default(),
            weak_nulls: Default::default(),
            values: 0,
            padded: 0,
            candidates: Vec::new(),
            dropped: Vec::new(),
            distinct: Distinct::default(),
            longest: None,
            whole_digits: 0,
            fraction_digits: 0,
            numbers: Numbers::default(),
            inside: Some(IndexSet::new()),
            widest: None,
            abbreviated: None,
            is_quoted: None,
            lossy: None,
            accidents: 0,
            first_accident: None,
            exponents: 0,
            even: None,
            is_uneven: false,
            has_zeros: false,
        }
    }

    /// Takes the text of one record; `memory` is what all columns have left for counting.
    pub(super) fn push(&mut self, text: Option<&str>, line: i64, trials: &Trials, memory: &mut usize) {
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
        if self.values == 0 {
            self.candidates = trials.candidates(trimmed);
            self.abbreviated = Abbreviated::of(trimmed);
        } else if self.abbreviated.as_mut().is_some_and(|times| !times.push(trimmed)) {
            self.abbreviated = None;
        }
        self.values += 1;
        self.padded += u64::from(is_padded);
        let bytes = trimmed.as_bytes();
        let dropped = &mut self.dropped;
        self.candidates.retain_mut(|candidate| {
            let is_kept = candidate.try_text(bytes, line);
            if !is_kept && candidate.reading.format().is_none() {
                dropped.extend(candidate.first_failure.take().map(|failure| (candidate.reading, *failure)));
            }
            is_kept
        });
        self.look_at_number(trimmed, line);
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

impl Profile {
    /// Looks at how numbers are written, as long as all texts are some.
    fn look_at_number(&mut self, text: &str, line: i64) {
        let is_number = |candidate: &Candidate| candidate.reading == Reading::Float64 && candidate.fails == 0;
        if !self.candidates.iter().any(is_number) {
            return;
        }
        let plain = digits(text.as_bytes()).filter(|(whole, _)| *whole > 0 && !text.starts_with("-0"));
        let fraction = plain.map(|(_, fraction)| fraction);
        if self.values == 1 {
            self.even = fraction;
        }
        let is_even = fraction.is_some() && fraction == self.even;
        // Fifteen digits fit into a float, and texts of one form are one for each number.
        if is_even && text.len() <= 15 {
            return;
        }
        self.is_uneven |= !is_even;
        self.has_zeros |= fraction.is_some_and(|fraction| fraction > 1) && text.ends_with('0');
        let Some(exact) = Exact::of(text) else { return };
        let seen = || Seen { line, text: text.to_owned() };
        if exact.is_accident {
            self.accidents += 1;
            self.first_accident.get_or_insert_with(seen);
        }
        self.exponents += u64::from(exact.has_exponent && !exact.is_accident);
        if self.lossy.is_none() && !exact.fits_float() {
            self.lossy = Some(seen());
        }
    }

    /// Returns texts that stand for one number, two of them where they are known.
    #[expect(clippy::option_option, reason = "whether there are any, and which where that is known")]
    pub(super) fn merged(&self) -> Option<Option<(String, String)>> {
        if !self.is_uneven {
            return None;
        }
        match self.distinct.merged(|text| Exact::of(text).map(|exact| exact.key())) {
            Ok(found) => found.map(Some),
            // Too many to compare; programs write one text for each number, and people do not.
            Err(TooMany) => self.has_zeros.then_some(None),
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

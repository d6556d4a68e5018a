//! What each column is to be, told from what it holds.

use std::collections::BTreeSet;

use chrono_tz::Tz;

use super::candidate::{Candidate, EPOCH, Reading, Seen, has_offset};
use super::column::{NULLS, Profile, Tally, WEAK_NULLS};
use super::names::{is_identifier, is_time};
use super::pass::{Field, Found};
use crate::ingest::{Rank, quoted};
use crate::project::ColumnType;

/// Digits after the point of amounts; what has more was measured or computed.
const AMOUNT_DIGITS: usize = 9;

/// What a column is to be.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) name: String,
    pub(super) kind: ColumnType,
    /// How its texts are read; nothing for text.
    pub(super) reading: Option<Reading>,
    /// Formats that all fit and mean different days.
    pub(super) unclear: Vec<Reading>,
    /// How many records have no value.
    pub(super) nulls: u64,
    /// Texts other than the empty one that mean "no value", with how often they came.
    pub(super) null_texts: Vec<(&'static str, u64)>,
    /// The only values, where that is clear.
    pub(super) values: Vec<String>,
    /// A local time that clocks in the project's zone have skipped.
    pub(super) gap: Option<Seen>,
    /// Whether its stamps say no offset.
    pub(super) is_local: bool,
    /// What else there is to say.
    pub(super) notes: Vec<String>,
}

impl Decided {
    pub(super) fn is_required(&self) -> bool {
        self.nulls == 0
    }
}

/// Decides about every column.
pub(super) fn columns(found: &Found, zone: Tz) -> Vec<Decided> {
    let mut columns: Vec<Decided> = found.fields.iter().map(decide).collect();
    settle_unclear(&mut columns);
    if zone == Tz::UTC {
        columns.iter_mut().for_each(|column| column.gap = None);
    }
    columns
}

fn decide(field: &Field) -> Decided {
    let Field { column, profile, .. } = field;
    let mut notes = Vec::new();
    let (kind, reading, unclear) = kind(column, profile, &mut notes);
    let tokens = |texts: &[&'static str], tallies: &[Tally], count: &dyn Fn(Tally) -> u64| {
        let counted = texts.iter().zip(tallies).map(|(text, tally)| (*text, count(*tally)));
        counted.filter(|(_, count)| *count > 0).collect::<Vec<_>>()
    };
    let is_text = kind == ColumnType::String;
    // Text keeps its white space, so only what stands bare is a null there, and nothing that may be a word.
    let null_texts = if is_text {
        tokens(&NULLS, &profile.nulls, &|tally| tally.bare)
    } else {
        let mut all = tokens(&NULLS, &profile.nulls, &Tally::all);
        all.extend(tokens(&WEAK_NULLS, &profile.weak_nulls, &Tally::all));
        all
    };
    let nulls = profile.missing
        + profile.empty
        + if is_text { 0 } else { profile.blank }
        + null_texts.iter().map(|(_, count)| count).sum::<u64>();
    let candidate = reading.and_then(|reading| of(profile, reading));
    let is_local = matches!(reading, Some(Reading::Timestamp(_)))
        && candidate
            .and_then(|candidate| candidate.max.as_ref())
            .is_some_and(|(_, text)| !has_offset(text, reading.and_then(Reading::format)));
    let values = if is_text { clear_values(column, profile) } else { Vec::new() };
    let gap = candidate.and_then(|candidate| candidate.gap.clone());
    Decided { name: column.clone(), kind, reading, unclear, nulls, null_texts, values, gap, is_local, notes }
}

fn of(profile: &Profile, reading: Reading) -> Option<&Candidate> {
    profile.candidates.iter().find(|candidate| candidate.reading == reading)
}

/// Returns the type, how it is read, and formats between which nothing decides.
fn kind(name: &str, profile: &Profile, notes: &mut Vec<String>) -> (ColumnType, Option<Reading>, Vec<Reading>) {
    let text = (ColumnType::String, None, Vec::new());
    let fitting: Vec<&Candidate> =
        profile.candidates.iter().filter(|candidate| candidate.fits_all(profile.values)).collect();
    let fits = |reading: Reading| fitting.iter().any(|candidate| candidate.reading == reading);
    let plain = |kind, reading| (kind, Some(reading), Vec::new());
    if fits(Reading::Int64) {
        return whole(name, profile, &fitting, notes);
    }
    if fits(Reading::Boolean) && says_yes_and_no(profile) {
        return plain(ColumnType::Boolean, Reading::Boolean);
    }
    if fits(Reading::Decimal) {
        let (whole, fraction) = (profile.whole_digits, profile.fraction_digits);
        if fraction == 0 {
            notes.push("whole numbers beyond 64 bits, so they stay text".to_owned());
            return text;
        }
        if fraction <= AMOUNT_DIGITS && whole + fraction <= 38 {
            let (precision, scale) = precision(whole, fraction);
            return plain(ColumnType::Decimal { precision, scale }, Reading::Decimal);
        }
        if whole + fraction <= 38 {
            let (precision, scale) = precision(whole, fraction);
            notes.push(format!("decimal({precision},{scale}) would keep every digit"));
        }
    }
    if fits(Reading::Float64) {
        return plain(ColumnType::Float64, Reading::Float64);
    }
    if fits(Reading::Date(None)) {
        return plain(ColumnType::Date, Reading::Date(None));
    }
    if fits(Reading::Timestamp(None)) {
        return plain(ColumnType::Timestamp, Reading::Timestamp(None));
    }
    let formats: Vec<Reading> =
        fitting.iter().map(|candidate| candidate.reading).filter(|reading| reading.format().is_some()).collect();
    let orders: BTreeSet<String> = formats.iter().map(|reading| order(*reading)).collect();
    match formats.first() {
        Some(_) if orders.len() > 1 => {
            let mut seen = BTreeSet::new();
            let unclear = formats.into_iter().filter(|reading| seen.insert(order(*reading))).collect();
            (ColumnType::String, None, unclear)
        }
        Some(reading) => (type_of(*reading), Some(*reading), Vec::new()),
        None => {
            if profile.commas > 0 && profile.commas * 2 > profile.values {
                let words =
                    "numbers with a comma, for the point or between thousands: text here, to be replaced in staging";
                notes.push(words.to_owned());
            }
            text
        }
    }
}

fn type_of(reading: Reading) -> ColumnType {
    if matches!(reading, Reading::Date(_)) { ColumnType::Date } else { ColumnType::Timestamp }
}

/// Returns the order in which a format has day, month and year.
fn order(reading: Reading) -> String {
    let format = reading.format().unwrap_or_default();
    format.chars().filter(|c| matches!(c, 'd' | 'm' | 'b' | 'Y' | 'y')).collect::<String>().replace('b', "m")
}

/// Whole numbers may be times, if they are called so and look so.
fn whole(
    name: &str,
    profile: &Profile,
    fitting: &[&Candidate],
    notes: &mut Vec<String>,
) -> (ColumnType, Option<Reading>, Vec<Reading>) {
    /// 2000-01-01 and 2100-01-01, in seconds.
    const BELIEVED: (i64, i64) = (946_684_800, 4_102_444_800);
    let between = |candidate: &Candidate, least: i64, most: i64| {
        let within = |bound: &Option<(Rank, String)>| {
            bound.as_ref().is_some_and(|(rank, _)| *rank >= Rank::Whole(least) && *rank <= Rank::Whole(most))
        };
        within(&candidate.min) && within(&candidate.max)
    };
    let number = fitting.iter().find(|candidate| candidate.reading == Reading::Int64);
    let is_between = |factor: i64| number.is_some_and(|it| between(it, BELIEVED.0 * factor, BELIEVED.1 * factor));
    let day_seconds = 86_400;
    let as_time = fitting.iter().find(|candidate| match candidate.reading {
        Reading::Timestamp(Some(EPOCH)) => is_between(1),
        Reading::Timestamp(Some(_)) => between(candidate, BELIEVED.0 * 1_000_000, BELIEVED.1 * 1_000_000),
        Reading::Date(Some(_)) => between(candidate, BELIEVED.0 / day_seconds, BELIEVED.1 / day_seconds),
        _ => false,
    });
    if let Some(time) = as_time {
        if is_time(name) {
            return (type_of(time.reading), Some(time.reading), Vec::new());
        }
        let (kind, format) = (type_of(time.reading), time.reading.format().unwrap_or_default());
        notes.push(format!("could be times: {{ type = \"{kind}\", format = \"{format}\" }} reads them too"));
    } else if is_between(1000) {
        notes.push("could be milliseconds since 1970: to_timestamp_millis(…) in SQL".to_owned());
    } else if is_between(1_000_000) {
        notes.push("could be microseconds since 1970: to_timestamp_micros(…) in SQL".to_owned());
    }
    let is_flag = |values: Vec<(String, u64)>| {
        let texts: Vec<&str> = values.iter().map(|(text, _)| text.as_str()).collect();
        texts == ["0", "1"]
    };
    if profile.distinct.values().is_some_and(is_flag) {
        notes.push("only 0 and 1: boolean reads them too".to_owned());
    }
    (ColumnType::Int64, Some(Reading::Int64), Vec::new())
}

/// Single letters and a lone `no` may be codes; `true`, or both answers, are not.
fn says_yes_and_no(profile: &Profile) -> bool {
    const YES: [&str; 6] = ["true", "t", "yes", "y", "1", "是"];
    let texts: Vec<String> =
        profile.distinct.values().unwrap_or_default().into_iter().map(|(text, _)| text.to_lowercase()).collect();
    let yes = texts.iter().filter(|text| YES.contains(&text.as_str())).count();
    (yes > 0 && yes < texts.len()) || texts.iter().any(|text| text == "true" || text == "false")
}

/// Returns the digits of a decimal: as many as Parquet stores in 4, 8 or 16 bytes, so that numbers have room to grow.
#[expect(clippy::cast_possible_truncation, reason = "at most 38 digits")]
fn precision(whole: usize, fraction: usize) -> (u8, u8) {
    let digits = whole + fraction;
    let precision = [9, 18, 38].into_iter().find(|most| digits < *most).unwrap_or(38);
    (precision as u8, fraction as u8)
}

/// Returns the values of a column that has few, each of them often, and all of them words: a list of cities, months or
/// products may look the same for a while, and grows.
fn clear_values(name: &str, profile: &Profile) -> Vec<String> {
    const MOST: usize = 10;
    const OFTEN: u64 = 5;
    const TIMES: u64 = 100;
    let is_odd = profile.padded + profile.blank + profile.weak_nulls.iter().map(|tally| tally.padded).sum::<u64>() > 0;
    let Some(mut values) = profile.distinct.values() else { return Vec::new() };
    let weak = WEAK_NULLS.iter().zip(profile.weak_nulls).filter(|(_, tally)| tally.bare > 0);
    values.extend(weak.map(|(text, tally)| ((*text).to_owned(), tally.bare)));
    let total: u64 = values.iter().map(|(_, count)| count).sum();
    let is_clear = (2..=MOST).contains(&values.len())
        && values.iter().all(|(text, count)| *count >= OFTEN && is_word(text))
        && total >= TIMES * values.len() as u64;
    if is_odd || !is_clear || is_identifier(name) {
        return Vec::new();
    }
    values.into_iter().map(|(text, _)| text).collect()
}

/// Returns whether a text is of small letters, as programs write what they choose from.
fn is_word(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '-' | ' '))
}

/// A column that could be read in two ways is read like another column of the file that shows which way it is.
fn settle_unclear(columns: &mut [Decided]) {
    let settled: Vec<(String, Reading)> = columns
        .iter()
        .filter_map(|column| Some((column.name.clone(), column.reading.filter(|reading| reading.format().is_some())?)))
        .collect();
    for column in columns {
        // Two columns may show two ways; then nothing is settled.
        let alike: Vec<_> = settled
            .iter()
            .filter(|(_, reading)| column.unclear.iter().any(|it| order(*it) == order(*reading)))
            .collect();
        let orders: BTreeSet<_> = alike.iter().map(|(_, reading)| order(*reading)).collect();
        let Some((name, reading)) = alike.first().filter(|_| orders.len() == 1) else { continue };
        let Some(chosen) = column.unclear.iter().find(|it| order(**it) == order(*reading)).copied() else { continue };
        let others = column.unclear.iter().filter(|it| **it != chosen).filter_map(|it| it.format());
        let others = others.map(|format| quoted(format.as_bytes())).collect::<Vec<_>>().join(" and ");
        column.notes.push(format!("{others} would fit as well; taken to be written like `{name}`"));
        column.kind = type_of(chosen);
        column.reading = Some(chosen);
        column.unclear.clear();
    }
}

//! What each column is to be, told from what it holds.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;

use super::candidate::{Candidate, EPOCH, Reading, Seen, has_offset};
use super::column::{NULLS, Profile, Tally, WEAK_NULLS};
use super::dialect::Dialect;
use super::exact::Exact;
use super::names::{Expected, expected, is_code, is_identifier, is_measure, is_time, names_things};
use super::numbers::{NumberStyle, precision};
use super::pass::{Field, Found};
use crate::ingest::{Rank, Reader, normalised, quoted};
use crate::project::{ColumnType, Format, Normaliser};

/// Digits after the point of amounts; what has more was measured or computed.
const AMOUNT_DIGITS: usize = 9;

/// Of so many records without a null, fewer than one in three hundred has one, with 95 % confidence: enough to say that
/// records without a value are to be quarantined.
const ENOUGH: u64 = 1000;

/// How far a clock may be ahead of the landing, and a zone be mistaken, before a time counts as one of the future.
const AHEAD: &str = "1d";

const DAY_MICROS: i64 = 86_400_000_000;

/// What a column is to be.
#[derive(Debug)]
pub(super) struct ColumnProposal {
    pub(super) name: String,
    pub(super) kind: ColumnType,
    /// How its texts are read; nothing for text.
    pub(super) reading: Option<Reading>,
    /// What is done to its texts before they are read.
    pub(super) normalise: Option<Normaliser>,
    /// Formats that all fit and mean different days.
    pub(super) unclear: Vec<Reading>,
    /// Ways to declare it between which nothing decides.
    pub(super) choices: Vec<String>,
    /// What a person has to decide about it.
    pub(super) asked: Vec<String>,
    /// Of which narrower type most values are, and which is not.
    pub(super) nearly: Option<String>,
    /// Whether other files of the kind may not have it.
    pub(super) may_lack: bool,
    /// How many records have no value.
    pub(super) nulls: u64,
    /// How many records there are.
    records: u64,
    /// Whether it is part of the key, so that each record has a value.
    pub(super) is_key: bool,
    /// As what all its values can be read, though it is taken for a code and stays text.
    pub(super) as_code: Option<String>,
    /// Before which day and how long after the landing of its file a time is not believed.
    pub(super) believed: Believed,
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

/// Between which times a time is believed, as a contract says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Believed {
    pub(super) min: Option<String>,
    pub(super) not_future: Option<&'static str>,
}

impl ColumnProposal {
    /// Returns whether records without a value are quarantined.
    pub(super) fn is_required(&self) -> bool {
        self.is_key || self.nulls == 0 && !self.may_lack && self.records >= ENOUGH
    }

    /// Returns the mark of a type that is required.
    fn mark(&self) -> &'static str {
        if self.is_required() { "!" } else { "" }
    }
}

/// Decides about every column of a file that landed at that time.
pub(super) fn columns(found: &Found, dialect: &Dialect, zone: Tz, landed_at: DateTime<Utc>) -> Vec<ColumnProposal> {
    let mut columns: Vec<ColumnProposal> = found.fields.iter().map(decide).collect();
    settle_unclear(&mut columns);
    for column in &mut columns {
        column.choices.extend(column.unclear.iter().map(|reading| dated(*reading)));
        if let [first, second, ..] = column.unclear.as_slice() {
            let formats = [first, second].map(|reading| reading.format().unwrap_or_default());
            let told = format!("`{}` and `{}` fit every value and mean different days", formats[0], formats[1]);
            column.asked.push(format!("{told}; it stays text until you choose"));
        }
    }
    for (field, column) in found.fields.iter().zip(&mut columns) {
        believe(field, column, landed_at);
    }
    let marks = Marks::of(found, dialect);
    for (field, column) in found.fields.iter().zip(&mut columns) {
        settle_numbers(field, column, &marks);
        column.notes.extend(normalisers(field, column));
        column.nearly = nearly(&field.profile, column);
        column.asked.extend(inside(field, &dialect.format));
        ask_zone(field, column);
    }
    share_nulls(&mut columns);
    if zone == Tz::UTC {
        columns.iter_mut().for_each(|column| column.gap = None);
    }
    columns
}

/// Asks for the zone of times that name one which several zones call their own.
fn ask_zone(field: &Field, column: &mut ColumnProposal) {
    let Some(times) = field.profile.abbreviated.as_ref().filter(|_| column.kind == ColumnType::String) else { return };
    let Some(format) = times.formats().next() else { return };
    let names = times.names.iter().map(|name| quoted(name.as_bytes())).collect::<Vec<_>>().join(", ");
    column.nearly = None;
    column.choices = vec![format!("{{ type = \"timestamp\", format = \"{format}\" }}")];
    column.asked.push(format!(
        "{names} may be of several zones; it stays text until `parse_zone` names one whose clocks show it, and `format` is \
         `{format}`"
    ));
}

fn dated(reading: Reading) -> String {
    let kind = if matches!(reading, Reading::Date(_)) { "date" } else { "timestamp" };
    format!("{{ type = \"{kind}\", format = \"{}\" }}", reading.format().unwrap_or_default())
}

fn decide(field: &Field) -> ColumnProposal {
    let Field { column, profile, .. } = field;
    let mut told = DecisionNotes::default();
    let (kind, reading, unclear) = kind(field, &mut told);
    let (null_texts, nulls) = nulls(profile, kind == ColumnType::String);
    let is_text = kind == ColumnType::String;
    let candidate = reading.and_then(|reading| of(profile, reading));
    let is_local = matches!(reading, Some(Reading::Timestamp(_)))
        && candidate
            .and_then(|candidate| candidate.found.as_ref())
            .is_some_and(|found| !has_offset(&found.max.1, reading.and_then(Reading::format)));
    let values = if is_text { clear_values(column, profile) } else { Vec::new() };
    let gap = candidate.and_then(|candidate| candidate.found.as_ref()?.gap.clone());
    ColumnProposal {
        name: column.clone(),
        kind,
        reading,
        normalise: None,
        unclear,
        choices: told.choices,
        asked: told.asked,
        nearly: None,
        may_lack: field.is_repeat,
        nulls,
        records: profile.records,
        is_key: false,
        as_code: told.as_code,
        believed: Believed::default(),
        null_texts,
        values,
        gap,
        is_local,
        notes: told.notes,
    }
}

/// What is told of a column while its type is found.
#[derive(Debug, Default)]
struct DecisionNotes {
    notes: Vec<String>,
    asked: Vec<String>,
    choices: Vec<String>,
    as_code: Option<String>,
}

/// Texts that stand for no value among the numbers and times of one column do so among those of the others, which may
/// have such a record in another file.
fn share_nulls(columns: &mut [ColumnProposal]) {
    let is_typed = |column: &&ColumnProposal| column.kind != ColumnType::String;
    let mut seen: Vec<&'static str> = Vec::new();
    for (text, _) in columns.iter().filter(is_typed).flat_map(|column| &column.null_texts) {
        if !seen.contains(text) {
            seen.push(text);
        }
    }
    for column in columns.iter_mut().filter(|column| column.kind != ColumnType::String) {
        let missing = seen.iter().filter(|text| column.null_texts.iter().all(|(known, _)| known != *text));
        let missing = missing.map(|text| (*text, 0)).collect::<Vec<_>>();
        column.null_texts.extend(missing);
    }
}

/// Decides between which times those of a column are believed: a record of 1970 or of next century is quarantined, and
/// moves no number.
fn believe(field: &Field, column: &mut ColumnProposal, landed_at: DateTime<Utc>) {
    let Some(reading) = column.reading.filter(|_| matches!(column.kind, ColumnType::Date | ColumnType::Timestamp))
    else {
        return;
    };
    let Some(found) = of(&field.profile, reading).and_then(|candidate| candidate.found.as_ref()) else { return };
    let unit = if column.kind == ColumnType::Date { 1 } else { DAY_MICROS };
    let day = |rank: &Rank| if let Rank::Whole(value) = rank { value.div_euclid(unit) } else { 0 };
    let when = expected(&field.column, &field.name);
    let is_stand_in_ahead = |seen: &Seen| when != Expected::Past && seen.text.contains("99");
    if let Some(stand_in) = found.first_stand_in.as_ref().filter(|seen| !is_stand_in_ahead(seen)) {
        let many = if found.stand_ins == 1 { "is a time" } else { "and others like it are times" };
        column.asked.push(format!(
            "{} on line {} {many} that programs write where they know none; `null` makes it no value, `min` and `max` quarantine \
             such records",
            quoted(stand_in.text.as_bytes()),
            stand_in.line
        ));
        return;
    }
    let Some((least, most)) = found.span.as_ref().map(|(least, most)| (day(least), day(most))) else { return };
    let years = |count: i64| count * 365;
    let span = most - least;
    let floor = match when {
        Expected::LongAgo => None,
        _ => FLOORS.iter().find(|(_, floor)| least - span.max(years(1)) >= *floor),
    };
    column.believed.min = floor.map(|(text, _)| match column.kind {
        ColumnType::Date => (*text).to_owned(),
        _ => format!("{text}T00:00:00Z"),
    });
    // What reaches over a lifetime is no record of what happens now.
    if when != Expected::Past || span > years(30) {
        return;
    }
    let landed = landed_at.timestamp().div_euclid(86_400);
    if most <= landed + 1 {
        column.believed.not_future = Some(AHEAD);
    } else {
        column.asked.push(format!(
            "{} lies after {}, when the file landed: may it? otherwise `not_future = \"{AHEAD}\"` quarantines such records",
            quoted(found.max.1.as_bytes()),
            landed_at.to_rfc3339_opts(SecondsFormat::Secs, true)
        ));
    }
}

/// Days before which no record of today is believed, the later first, with their numbers since 1970. The second keeps
/// out what stands for no time at all.
const FLOORS: [(&str, i64); 2] = [("2000-01-01", 10_957), ("1971-01-01", 365)];

/// Returns the texts that mean "no value", and how many records have none.
fn nulls(profile: &Profile, is_text: bool) -> (Vec<(&'static str, u64)>, u64) {
    let tokens = |texts: &[&'static str], tallies: &[Tally], count: &dyn Fn(Tally) -> u64| {
        let counted = texts.iter().zip(tallies).map(|(text, tally)| (*text, count(*tally)));
        counted.filter(|(_, count)| *count > 0).collect::<Vec<_>>()
    };
    // Text keeps its white space, so only what stands bare is a null there, and nothing that may be a word.
    let null_texts = if is_text {
        tokens(&NULLS, &profile.nulls, &|tally| tally.bare)
    } else {
        let mut all = tokens(&NULLS, &profile.nulls, &Tally::all);
        all.extend(tokens(&WEAK_NULLS, &profile.weak_nulls, &Tally::all));
        all
    };
    let count = profile.missing
        + profile.empty
        + if is_text { 0 } else { profile.blank }
        + null_texts.iter().map(|(_, count)| count).sum::<u64>();
    (null_texts, count)
}

fn of(profile: &Profile, reading: Reading) -> Option<&Candidate> {
    profile.candidates.iter().find(|candidate| candidate.reading == reading)
}

/// Returns the type, how it is read, and formats between which nothing decides.
fn kind(field: &Field, told: &mut DecisionNotes) -> (ColumnType, Option<Reading>, Vec<Reading>) {
    let profile = &field.profile;
    let text = || (ColumnType::String, None, Vec::new());
    let fitting: Vec<&Candidate> =
        profile.candidates.iter().filter(|candidate| candidate.fits_all(profile.values)).collect();
    let (kind, reading, unclear) = narrowest(field, &fitting, told);
    let is_code_like = {
        let is_named_time = is_time(&field.column, &field.name);
        let is_text_of_json = profile.is_quoted == Some(true);
        // In a file of texts whole numbers are the usual identifiers; what else looks like one there is a code.
        let is_odd = kind != ColumnType::Int64 || is_text_of_json;
        !is_named_time && profile.is_quoted != Some(false) && {
            is_code(&field.column) || names_things(&field.column) && is_odd
        }
    };
    if kind == ColumnType::String && unclear.is_empty() || !is_code_like {
        return mergeless(field, (kind, reading, unclear), told);
    }
    let as_what = reading.or(unclear.first().copied()).map_or_else(|| kind.to_string(), Reading::words);
    told.notes = vec![format!("taken for a code: {as_what} reads every value, too")];
    told.asked.clear();
    told.choices.clear();
    told.as_code = Some(as_what);
    text()
}

/// Keeps texts apart that would become one value.
fn mergeless(
    field: &Field,
    decided: (ColumnType, Option<Reading>, Vec<Reading>),
    told: &mut DecisionNotes,
) -> (ColumnType, Option<Reading>, Vec<Reading>) {
    let profile = &field.profile;
    let (kind, reading, _) = &decided;
    // Of numbers as JSON has them it does not matter how they are written.
    let merged = match kind {
        _ if profile.is_quoted == Some(false) => None,
        ColumnType::Boolean => {
            let reader = Reader::new(ColumnType::Boolean, &[], Tz::UTC).ok();
            let answer = |text: &str| Some(format!("{:?}", reader.as_ref()?.rank(text.as_bytes())?));
            profile.distinct.merged(answer).ok().flatten().map(Some)
        }
        ColumnType::Int64 | ColumnType::Decimal { .. } | ColumnType::Float64 => profile.merged(),
        _ => None,
    };
    let is_float = *kind == ColumnType::Float64;
    let accident = profile.first_accident.as_ref().filter(|_| is_float && profile.exponents == 0);
    let lossy = profile.lossy.as_ref().filter(|_| is_float);
    let what = if let Some(same) = merged {
        let shown = same.map_or_else(
            || "different texts".to_owned(),
            |(one, other)| format!("{} and {}", quoted(one.as_bytes()), quoted(other.as_bytes())),
        );
        let noun = if *kind == ColumnType::Boolean { "value" } else { "number" };
        format!("{shown} would be one {noun}")
    } else if let Some(seen) = accident {
        format!("{} on line {} may be a code", quoted(seen.text.as_bytes()), seen.line)
    } else if let Some(seen) = lossy {
        format!("{} on line {} has more digits than a float64 holds", quoted(seen.text.as_bytes()), seen.line)
    } else {
        return decided;
    };
    told.asked.push(format!("{what}, so it stays text; `{}` reads every value", type_words(*kind, *reading)));
    told.choices.push(format!("\"{kind}\""));
    (ColumnType::String, None, Vec::new())
}

fn type_words(kind: ColumnType, reading: Option<Reading>) -> String {
    match reading.and_then(Reading::format) {
        Some(_) => reading.map_or_else(String::new, dated),
        None => kind.to_string(),
    }
}

/// Returns the narrowest type that reads every value.
fn narrowest(
    field: &Field,
    fitting: &[&Candidate],
    told: &mut DecisionNotes,
) -> (ColumnType, Option<Reading>, Vec<Reading>) {
    let profile = &field.profile;
    let text = (ColumnType::String, None, Vec::new());
    let fits = |reading: Reading| fitting.iter().any(|candidate| candidate.reading == reading);
    let plain = |kind, reading| (kind, Some(reading), Vec::new());
    if fits(Reading::Int64) {
        return whole(field, fitting, told);
    }
    if fits(Reading::Boolean) && says_yes_and_no(profile) {
        return plain(ColumnType::Boolean, Reading::Boolean);
    }
    if fits(Reading::Decimal) {
        let (whole, fraction) = (profile.whole_digits, profile.fraction_digits);
        if fraction == 0 {
            told.notes.push("whole numbers beyond 64 bits, so they stay text".to_owned());
            told.asked
                .push("whole numbers beyond 64 bits, so they stay text; is nobody to reckon with them?".to_owned());
            return text;
        }
        if let Some(time) = fraction_time(field, fitting) {
            return plain(ColumnType::Timestamp, time);
        }
        if let Some((precision, scale)) = precision(whole, fraction)
            && (fraction <= AMOUNT_DIGITS || profile.lossy.is_some())
        {
            return plain(ColumnType::Decimal { precision, scale }, Reading::Decimal);
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
    let mut formats: Vec<Reading> =
        fitting.iter().map(|candidate| candidate.reading).filter(|reading| reading.format().is_some()).collect();
    // `1.10.24` is a version as well as a day, unless it is called like one.
    let is_short = |reading: &Reading| matches!(reading, Reading::Date(Some(format)) if format.contains("%y"));
    let named = is_time(&field.column, &field.name) || expected(&field.column, &field.name) != Expected::Past;
    if !named && formats.iter().any(is_short) {
        let shown = profile.distinct.examples.first().map(|text| quoted(text.as_bytes())).unwrap_or_default();
        told.asked
            .push(format!("{shown} may be a day with a year of two digits, or a code; it stays text until you choose"));
        told.choices.extend(formats.iter().map(|reading| dated(*reading)));
        formats.clear();
    }
    let orders: BTreeSet<String> = formats.iter().map(|reading| order(*reading)).collect();
    match formats.first() {
        Some(_) if orders.len() > 1 => {
            let mut seen = BTreeSet::new();
            let unclear = formats.into_iter().filter(|reading| seen.insert(order(*reading))).collect();
            (ColumnType::String, None, unclear)
        }
        Some(reading) => (type_of(*reading), Some(*reading), Vec::new()),
        None => text,
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

/// 2000-01-01 and 2100-01-01, in seconds.
const BELIEVED: (i64, i64) = (946_684_800, 4_102_444_800);

/// Returns whether all values of a candidate lie between two ranks.
fn is_between(candidate: &Candidate, least: i64, most: i64) -> bool {
    let within = |(rank, _): &(Rank, String)| *rank >= Rank::Whole(least) && *rank <= Rank::Whole(most);
    candidate.found.as_ref().is_some_and(|found| within(&found.min) && within(&found.max))
}

/// Counts since 1970 with a fraction are times, if the column is called so.
fn fraction_time(field: &Field, fitting: &[&Candidate]) -> Option<Reading> {
    let epoch = fitting.iter().find(|candidate| candidate.reading == Reading::Timestamp(Some(EPOCH)))?;
    let is_believed = is_between(epoch, BELIEVED.0 * 1_000_000, BELIEVED.1 * 1_000_000);
    (is_believed && is_time(&field.column, &field.name)).then_some(epoch.reading)
}

/// Whole numbers may be times, if they are called so and look so.
fn whole(
    field: &Field,
    fitting: &[&Candidate],
    told: &mut DecisionNotes,
) -> (ColumnType, Option<Reading>, Vec<Reading>) {
    let profile = &field.profile;
    let day_seconds = 86_400;
    let as_time = fitting.iter().find(|candidate| match candidate.reading {
        Reading::Timestamp(Some(_)) => is_between(candidate, BELIEVED.0 * 1_000_000, BELIEVED.1 * 1_000_000),
        Reading::Date(Some(_)) => is_between(candidate, BELIEVED.0 / day_seconds, BELIEVED.1 / day_seconds),
        _ => false,
    });
    if let Some(time) = as_time {
        if is_time(&field.column, &field.name) {
            return (type_of(time.reading), Some(time.reading), Vec::new());
        }
        told.notes.push(format!("could be times: `{}` reads them too", dated(time.reading)));
        told.asked
            .push(format!("taken for numbers, though `{}` reads all of them: are they times?", dated(time.reading)));
    }
    let is_flag = |values: Vec<(String, u64)>| {
        let texts: Vec<&str> = values.iter().map(|(text, _)| text.as_str()).collect();
        texts == ["0", "1"]
    };
    if profile.distinct.values().is_some_and(is_flag) {
        told.notes.push("only 0 and 1: boolean reads them too".to_owned());
    } else if is_measure(&field.column)
        && profile.values < ENOUGH
        && let Some((precision, scale)) = precision(profile.whole_digits, 0)
    {
        told.notes.push("whole so far, with room for a fraction, as it is called like an amount".to_owned());
        return (ColumnType::Decimal { precision, scale }, Some(Reading::Decimal), Vec::new());
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
fn settle_unclear(columns: &mut [ColumnProposal]) {
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
        column.asked.push(format!("{others} would fit as well; taken to be written like `{name}`: is it?"));
        column.kind = type_of(chosen);
        column.reading = Some(chosen);
        column.unclear.clear();
    }
}

/// What a file shows of how it writes numbers.
struct Marks {
    /// A column whose numbers have a point before their fraction, and a text that shows it.
    point: Option<(String, String)>,
    /// A column whose numbers have a comma there, and a text that shows it.
    comma: Option<(String, String)>,
    delimiter: Option<u8>,
}

impl Marks {
    fn of(found: &Found, dialect: &Dialect) -> Self {
        let shown = |is_comma: bool| {
            found.fields.iter().find_map(|field| {
                let Profile { numbers, values, .. } = &field.profile;
                let fits = if is_comma { numbers.fit_comma(*values) } else { numbers.fit_point(*values) };
                let style = if is_comma { &numbers.comma } else { &numbers.point };
                let proof = style.proof.as_ref().filter(|_| fits)?;
                Some((field.column.clone(), proof.text.clone()))
            })
        };
        Self { point: shown(false), comma: shown(true), delimiter: dialect.delimiter() }
    }
}

/// Reads numbers that are not written plainly as the column or the file shows that they are meant.
fn settle_numbers(field: &Field, column: &mut ColumnProposal, marks: &Marks) {
    let Profile { numbers, values, .. } = &field.profile;
    let (fits_point, fits_comma) = (numbers.fit_point(*values), numbers.fit_comma(*values));
    // What stays text for a reason is not to become a number in another way.
    if column.as_code.is_some() || column.kind == ColumnType::String && !column.choices.is_empty() {
        return;
    }
    let is_plain = matches!(column.reading, Some(Reading::Decimal | Reading::Float64));
    if !(fits_point || fits_comma) || !(is_plain || column.kind == ColumnType::String) {
        return;
    }
    if is_plain && (numbers.point.proof.is_some() || numbers.unclear.is_none()) {
        return;
    }
    if column.kind == ColumnType::String && of_plain_digits(field) {
        return;
    }
    if numbers.currencies.len() > 1 {
        let list = numbers.currencies.iter().map(|it| quoted(it.as_bytes())).collect::<Vec<_>>().join(" and ");
        column.asked.push(format!("amounts in {list}: text, for a number would not say in which"));
        return;
    }
    let (point, comma) = (&numbers.point, &numbers.comma);
    let Some(unclear) = &numbers.unclear else {
        // Nothing but spaces between digits may be anything.
        if fits_point && (point.proof.is_some() || !numbers.currencies.is_empty()) {
            normalise(field, column, point, String::new());
        } else if fits_comma && comma.proof.is_some() {
            normalise(field, column, comma, String::new());
        }
        return;
    };
    let text = quoted(unclear.text.as_bytes());
    // The column itself shows it.
    if let (Some(proof), true) = (&comma.proof, fits_comma) {
        return normalise(field, column, comma, format!("{} shows how {text} is meant", quoted(proof.text.as_bytes())));
    }
    if let (Some(proof), true) = (&point.proof, fits_point) {
        return normalise(field, column, point, format!("{} shows how {text} is meant", quoted(proof.text.as_bytes())));
    }
    // Another column shows it.
    let like = |(name, proof): &(String, String)| {
        format!("{text} is taken to be written like {} of `{name}`", quoted(proof.as_bytes()))
    };
    match (&marks.point, &marks.comma) {
        (None, Some(shown)) if fits_comma => return normalise(field, column, comma, like(shown)),
        (Some(shown), None) if is_plain => return column.notes.push(like(shown)),
        (Some(shown), None) if fits_point => return normalise(field, column, point, like(shown)),
        _ => {}
    }
    let is_mixed = marks.point.is_some() && marks.comma.is_some();
    // JSON writes numbers with a point, and no zero at their end.
    if marks.delimiter.is_none() && is_plain && !numbers.ends_in_zero {
        return;
    }
    let kind = |style: &NumberStyle| style.kind().unwrap_or(ColumnType::String);
    let required = column.mark();
    let declared = |style: &NumberStyle, step: &str| {
        format!("{{ type = \"{}{required}\", normalise = [\"{step}\"] }}", kind(style))
    };
    let is_dot = unclear.text.contains('.');
    let (as_thousands, as_fraction) = (read_as(&unclear.text, true), read_as(&unclear.text, false));
    let told = format!("{text} may be {as_thousands} or {as_fraction}, and every value may be read in both ways");
    if marks.delimiter == Some(b';') && !is_mixed && fits_comma {
        let asked = format!(
            "{told}; taken for {} because `;` stands between fields",
            if is_dot { as_thousands } else { as_fraction }
        );
        column.asked.push(asked);
        return normalise(field, column, comma, String::new());
    }
    column.choices = vec![declared(comma, "decimal_comma")];
    column.choices.push(if is_plain { format!("\"{}{required}\"", column.kind) } else { declared(point, "amount") });
    column.asked.push(format!("{told}; it stays text until you choose"));
    make_text(field, column);
}

/// Returns whether the column holds digits alone, which stay text for a reason.
fn of_plain_digits(field: &Field) -> bool {
    let numbers = &field.profile.numbers;
    let is_marked = numbers.unclear.is_some() || numbers.point.proof.is_some() || numbers.comma.proof.is_some();
    !is_marked && numbers.currencies.is_empty()
}

/// Returns the number that a text with one mark stands for.
fn read_as(text: &str, is_thousands: bool) -> String {
    let digits = text.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | ','));
    let plain = digits.collect::<String>().replace(',', ".");
    if is_thousands {
        return plain.replace('.', "");
    }
    plain.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn normalise(field: &Field, column: &mut ColumnProposal, style: &NumberStyle, note: String) {
    let Some(kind) = style.kind() else { return };
    let step = Normaliser::NAMES.iter().find(|(_, known)| *known == style.step).map_or("", |(name, _)| name);
    let declared = format!("{{ type = \"{kind}{}\", normalise = [\"{step}\"] }}", column.mark());
    if names_things(&field.column) {
        column.as_code = Some(format!("`{declared}`"));
        column.notes.push(format!("taken for a code: `{declared}` reads every value, too"));
        return make_text(field, column);
    }
    let number = |text: &str| Some(Exact::of(&normalised(style.step, text)?)?.key());
    if let Ok(Some((one, other))) = field.profile.distinct.merged(number)
        && numbers_differ(&one, &other)
    {
        let (one, other) = (quoted(one.as_bytes()), quoted(other.as_bytes()));
        column
            .asked
            .push(format!("{one} and {other} would be one number, so it stays text; `{declared}` reads every value"));
        column.choices.push(declared);
        return make_text(field, column);
    }
    column.kind = kind;
    column.reading = None;
    column.normalise = Some(style.step);
    column.values.clear();
    (column.null_texts, column.nulls) = nulls(&field.profile, false);
    column.notes.extend(Some(note).filter(|note| !note.is_empty()));
}

/// Returns whether two texts of one number differ in more than the sign of its currency.
fn numbers_differ(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | ',')).collect::<String>();
    plain(one) != plain(other)
}

fn make_text(field: &Field, column: &mut ColumnProposal) {
    column.kind = ColumnType::String;
    column.reading = None;
    (column.null_texts, column.nulls) = nulls(&field.profile, true);
}

/// Tells that most values, and not all, are of a narrower type, which no contract can be written for unasked.
fn nearly(profile: &Profile, column: &ColumnProposal) -> Option<String> {
    if column.kind != ColumnType::String || !column.unclear.is_empty() || !column.choices.is_empty() {
        return None;
    }
    let most = profile.candidates.iter().filter(|it| it.fails > 0 && it.fits * 2 > profile.values);
    // Of equals the first, which is the narrower.
    let nearest = most.rev().max_by_key(|it| it.fits)?;
    let failure = nearest.first_failure.as_ref()?;
    // Digits that are codes are text for good, and so is everything with digits in a column of codes.
    let is_code = failure.text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'+');
    if is_code || is_identifier(&column.name) && failure.text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some(format!(
        "{} of {} values read as {}, but not {} on line {}; it stays text",
        nearest.fits,
        profile.values,
        nearest.reading.words(),
        quoted(failure.text.as_bytes()),
        failure.line
    ))
}

/// Tells what columns could be read out of JSON objects.
fn inside(field: &Field, format: &Format) -> Option<String> {
    let names =
        field.profile.inside.as_ref().filter(|names| matches!(format, Format::Ndjson(_)) && !names.is_empty())?;
    let path = |name: &String| format!("{}.{name}", field.name);
    let paths = names.iter().filter(|name| !name.contains('.') && !field.name.contains('.'));
    let listed = paths.clone().map(|name| quoted(path(name).as_bytes())).collect::<Vec<_>>().join(", ");
    let first = paths.clone().next()?;
    Some(format!(
        "objects, kept as their text; a column with `path = \"{}\"` reads one field of them: {listed}",
        path(first).escape_debug()
    ))
}

/// Returns what normalisers would make of texts that stay as they are, told by the first few.
fn normalisers(field: &Field, column: &ColumnProposal) -> Option<String> {
    let examples = &field.profile.distinct.examples;
    if column.kind != ColumnType::String || examples.is_empty() {
        return None;
    }
    let does = |step: Normaliser| examples.iter().all(|text| normalised(step, text).is_some());
    let is_called = |words: &[&str]| {
        words
            .iter()
            .any(|word| column.name.split('_').any(|it| it == *word) || (!word.is_ascii() && field.name.contains(word)))
    };
    if is_called(&["phone", "tel", "telephone", "mobile", "telefon", "电话", "手机"]) && does(Normaliser::Phone) {
        return Some("`normalise = [\"phone\"]` would make telephone numbers one that are the same".to_owned());
    }
    if is_called(&["mail", "email", "邮箱"]) && does(Normaliser::Email) {
        return Some("`normalise = [\"email\"]` would make addresses one that are the same".to_owned());
    }
    if examples
        .iter()
        .all(|text| text.strip_suffix('%').is_some_and(|rest| normalised(Normaliser::Amount, rest).is_some()))
    {
        return Some(
            "per cent, which no type reads: without the `%`, `cast` makes numbers of them in staging".to_owned(),
        );
    }
    let words = field.profile.distinct.values().filter(|values| values.len() == 2)?;
    let meant: BTreeSet<_> = words.iter().filter_map(|(text, _)| normalised(Normaliser::Words, text)).collect();
    let both = ["false", "true"].map(str::to_owned);
    (meant == BTreeSet::from(both))
        .then(|| "`{ type = \"boolean\", normalise = [\"words\"] }` reads them too".to_owned())
}

//! The zone that a format of times names in its own text.
//!
//! `%Y-%m-%d %H:%M:%S UTC` reads times of UTC and not local ones, although the letters are no more than text to strftime.

use chrono::format::{Fixed, Item, Numeric, StrftimeItems};
use chrono_tz::Tz;

/// What a format says of the zone of its times, beside any offset that it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatZone {
    /// Nothing, or it reads an offset, which says all.
    Unsaid,
    /// Its text is that of a fixed offset from UTC, in seconds: `Z`, `UTC`, `GMT`, `+0000`, `UTC+8`.
    Offset(i32),
    /// Its text is the name of a zone, such as `Europe/Berlin`.
    Zone(Tz),
    /// It reads the name of a zone (`%Z`).
    Named,
}

impl FormatZone {
    /// Returns what a strftime format says.
    #[must_use]
    pub fn of(format: &str) -> Self {
        const FIELD: char = '\u{1}';
        let mut text = String::new();
        let mut is_named = false;
        let mut has_hour = false;
        for item in StrftimeItems::new(format) {
            match &item {
                Item::Literal(part) | Item::Space(part) => text.push_str(part),
                Item::OwnedLiteral(part) | Item::OwnedSpace(part) => text.push_str(part),
                item if reads_offset(item) => return Self::Unsaid,
                Item::Fixed(Fixed::TimezoneName) => is_named = true,
                Item::Numeric(Numeric::Hour | Numeric::Hour12, _) => {
                    has_hour = true;
                    text.push(FIELD);
                }
                _ => text.push(FIELD),
            }
        }
        if is_named {
            return Self::Named;
        }
        let is_edge = |c: char| matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | ',' | ';');
        // Times that are always the same may be text too, as in `T00:00:00Z` and `.000Z`.
        let is_of_time = |c: char| c.is_ascii_digit() || matches!(c, 'T' | ':' | '.' | ',');
        let mut words = text.split(|c: char| c == FIELD || c.is_whitespace()).map(|word| word.trim_matches(is_edge));
        let zone = |word: &str| {
            let name = word.trim_start_matches(is_of_time);
            zone_by_name(name).filter(|_| has_hour || name.len() < word.len() || !is_signed(name))
        };
        words.find_map(zone).unwrap_or(Self::Unsaid)
    }
}

/// Returns whether a part of a format reads how far a time is from UTC.
fn reads_offset(item: &Item<'_>) -> bool {
    match item {
        Item::Numeric(Numeric::Timestamp, _) => true,
        Item::Fixed(fixed) => {
            !matches!(
                fixed,
                Fixed::ShortMonthName
                    | Fixed::LongMonthName
                    | Fixed::ShortWeekdayName
                    | Fixed::LongWeekdayName
                    | Fixed::LowerAmPm
                    | Fixed::UpperAmPm
                    | Fixed::Nanosecond
                    | Fixed::Nanosecond3
                    | Fixed::Nanosecond6
                    | Fixed::Nanosecond9
                    | Fixed::TimezoneName
            ) && !is_plain_fraction(fixed)
        }
        _ => false,
    }
}

/// `%3f` and its like are parts without a public name.
fn is_plain_fraction(fixed: &Fixed) -> bool {
    [3, 6, 9].iter().any(|digits| {
        StrftimeItems::new(&format!("%{digits}f")).next().is_some_and(|item| item == Item::Fixed(fixed.clone()))
    })
}

/// Returns whether a word is an offset and nothing else. In a format without hours it may be the rest of a day:
/// `%Y-%m-01`.
fn is_signed(word: &str) -> bool {
    word.starts_with(['+', '-'])
}

/// Returns the zone that a name tells without any doubt; nothing for an abbreviation such as `CST`, which is that of
/// several.
#[must_use]
pub fn zone_by_name(name: &str) -> Option<FormatZone> {
    if name.contains('/') {
        return name.parse().ok().map(FormatZone::Zone);
    }
    if ["Z", "UTC", "GMT", "UT", "ZULU"].iter().any(|utc| utc.eq_ignore_ascii_case(name)) {
        return Some(FormatZone::Offset(0));
    }
    let is_after_utc = name.get(..3).is_some_and(|start| matches!(start.to_ascii_uppercase().as_str(), "UTC" | "GMT"));
    let signed = if is_after_utc { &name[3..] } else { name };
    let (sign, digits) = match signed.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        // One or two digits of an hour stand for an offset only behind `UTC`, or after a plus.
        None if digits.len() <= 2 && (is_after_utc || sign > 0 && digits.len() == 2) => (digits, "00"),
        None => digits.split_at_checked(2)?,
    };
    let is_number = |text: &str| !text.is_empty() && text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(hours) || !is_number(minutes) || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (hours.parse::<i32>().ok()?, minutes.parse::<i32>().ok()?);
    (hours <= 15 && minutes <= 59).then_some(FormatZone::Offset(sign * (hours * 3600 + minutes * 60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_a_format_tell_its_zone() {
        let zone = |format: &str| FormatZone::of(format);
        for format in [
            "%Y-%m-%d %H:%M:%S UTC",
            "%Y-%m-%d %H:%M:%S utc",
            "%Y%m%dT%H%M%SZ",
            "%Y-%m-%dT%H:%M:%S%.fZ",
            "%Y-%m-%dT%H:%M:%S%.3fZ",
            "%Y-%m-%dT%H:%M:%S.%3fZ",
            "%Y-%m-%dT%H:%M:%Sz",
            "%d.%m.%Y %H:%M GMT",
            "%Y-%m-%d %H:%M (UTC)",
            "%Y-%m-%d %H:%M [UTC]",
            "%Y-%m-%d %I:%M %p UTC",
            "%a %b %d %H:%M:%S UTC %Y",
            "%Y-%m-%d %H:%M:%S +0000",
            "%Y-%m-%dT%H:%M:%S+00:00",
            "%Y-%m-%d %H UTC+0",
            "%Y-%m-%d UTC",
            "%Y-%m-%dT%H:%M:%S.000Z",
            "%Y-%m-%dT00:00:00Z",
            "%Y-%m-%dT00:00:00+00:00",
        ] {
            assert_eq!(zone(format), FormatZone::Offset(0), "{format}");
        }
        assert_eq!(zone("%Y-%m-%d %H:%M UTC+8"), FormatZone::Offset(8 * 3600));
        assert_eq!(zone("%Y-%m-%d %H:%M GMT-03:30"), FormatZone::Offset(-(3 * 3600 + 1800)));
        assert_eq!(zone("%Y-%m-%d %H:%M:%S-0500"), FormatZone::Offset(-5 * 3600));
        assert_eq!(zone("%Y-%m-%d %H:%M [Europe/Berlin]"), FormatZone::Zone(Tz::Europe__Berlin));
        assert_eq!(zone("%Y-%m-%d %H:%M %Z"), FormatZone::Named);
        for format in [
            "%Y-%m-%d %H:%M:%S",
            "%Y-%m-%d %H:%M:%S %z",
            "%Y-%m-%dT%H:%M:%S%:z[Europe/Berlin]",
            "%a %b %d %Y %H:%M:%S GMT%z",
            "%+",
            "%s UTC",
            "%Y-%m-01",
            "%Y-%m-01 %H:%M",
            "%d/%m/%Y %H:%M",
            "%Y-%m-%d %H:%M EST",
            "%d-%m-%Y %H:%M Zurich",
            "epoch",
        ] {
            assert_eq!(zone(format), FormatZone::Unsaid, "{format}");
        }
    }
}

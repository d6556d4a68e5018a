//! Days and instants.
//!
//! Without formats, a date is `YYYY-MM-DD` and a timestamp `YYYY-MM-DD`, `T` or a space, `HH:MM[:SS[.fraction]]` and
//! then `Z`, `±HH`, `±HHMM`, `±HH:MM` or nothing. A fraction has up to nine digits; those beyond microseconds are cut
//! off, because files with nanoseconds are common and their last digits carry no meaning here. A leap second (`:60`)
//! and the hour 24 are quarantined: no instant of ours means them.
//!
//! The format `epoch` is a count since 1970-01-01T00:00:00Z, and its size tells of what: of seconds below 10^11, of
//! milliseconds below 10^14, of microseconds below 10^17, else of nanoseconds.
//!
//! With formats, the first that the text fits in full decides. A format without a time of day means midnight, one
//! without minutes the full hour. Where the text of a format names a zone (`UTC`, `Z`, `+0800`, `Europe/Berlin`), its
//! times are of that zone; `%Z` reads such a name, or an abbreviation that clocks in the zone of the contract show.

use chrono::format::{Fixed, Item, Parsed, StrftimeItems};
use chrono::{Datelike, NaiveDate, NaiveTime};

use super::number::{digit, split_sign};
use super::zone::{Zone, instant_in};
use super::{Parse, ValueFault};
use crate::project::{FormatZone, zone_by_name};
use chrono_tz::Tz;

/// The format that is no strftime format.
const EPOCH: &str = "epoch";

/// The first and the last day that can be stored, in days since 1970-01-01.
const FIRST_DAY: i32 = days(1, 1, 1);
const LAST_DAY: i32 = days(9999, 12, 31);

const DAY_SECONDS: i64 = 86_400;

/// Calendar days.
#[derive(Debug)]
pub(super) struct Dates {
    formats: Vec<Format>,
}

impl Dates {
    pub(super) fn new(formats: &[String]) -> Result<Self, String> {
        Ok(Self { formats: read_formats(formats)? })
    }
}

impl Parse for Dates {
    type Value = i32;

    #[inline]
    fn parse(&self, text: &[u8]) -> Result<i32, ValueFault> {
        if self.formats.is_empty() {
            return iso_date(text.try_into().map_err(|_| ValueFault::Type)?);
        }
        let parsed = self.formats.iter().find_map(|format| format.parse(text)?.0.to_naive_date().ok());
        day_of(parsed.ok_or(ValueFault::Type)?)
    }

    fn expected(&self, fault: ValueFault) -> String {
        match fault {
            ValueFault::Range => "a date of the years 0001 to 9999".to_owned(),
            _ if self.formats.is_empty() => "a date such as 2026-01-31".to_owned(),
            _ => format!("a date of the form {}", forms(&self.formats)),
        }
    }
}

/// Instants, in microseconds of UTC.
#[derive(Debug)]
pub(super) struct Stamps {
    formats: Vec<Format>,
    zone: Zone,
}

impl Stamps {
    pub(super) fn new(formats: &[String], zone: Tz) -> Result<Self, String> {
        Ok(Self { formats: read_formats(formats)?, zone: Zone::new(zone) })
    }

    /// Returns the instant of a local time and its offset, or the zone's where it has none.
    #[inline]
    fn instant(&self, local: i64, micros: i64, offset: Option<i64>) -> Result<i64, ValueFault> {
        let seconds = match offset {
            Some(offset) => local - offset,
            None => self.zone.instant(local)?,
        };
        if !(i64::from(FIRST_DAY) * DAY_SECONDS..(i64::from(LAST_DAY) + 1) * DAY_SECONDS).contains(&seconds) {
            return Err(ValueFault::Range);
        }
        Ok(seconds * 1_000_000 + micros)
    }

    fn formatted(&self, text: &[u8]) -> Result<i64, ValueFault> {
        let found = self.formats.iter().find_map(|format| {
            if format.is_epoch() {
                epoch(text).map(Found::Instant)
            } else {
                let (parsed, name) = format.parse(text)?;
                let (date, time, offset) = local_time(parsed)?;
                let place = match offset {
                    Some(offset) => Place::Offset(offset),
                    None => self.place(format.zone, name, date)?,
                };
                Some(Found::Local(date, time, place))
            }
        });
        let (date, time, place) = match found.ok_or(ValueFault::Type)? {
            Found::Instant(micros) => {
                return self.instant(micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000), Some(0));
            }
            Found::Local(date, time, place) => (date, time, place),
        };
        let local =
            i64::from(day_of(date)?) * DAY_SECONDS + i64::from(chrono::Timelike::num_seconds_from_midnight(&time));
        let micros = i64::from(chrono::Timelike::nanosecond(&time) / 1000);
        match place {
            Place::Own => self.instant(local, micros, None),
            Place::Offset(offset) => self.instant(local, micros, Some(offset)),
            Place::Zone(zone) => self.instant(instant_in(zone, local)?, micros, Some(0)),
        }
    }

    /// Returns where clocks showed a time whose format says so in its own text, or reads `name`; nothing where the name
    /// tells none.
    fn place(&self, zone: FormatZone, name: &str, date: NaiveDate) -> Option<Place> {
        let zone = match zone {
            FormatZone::Named => match zone_by_name(name) {
                Some(zone) => zone,
                None => return self.zone.offset_called(name, date).map(Place::Offset),
            },
            zone => zone,
        };
        Some(match zone {
            FormatZone::Offset(seconds) => Place::Offset(i64::from(seconds)),
            FormatZone::Zone(zone) => Place::Zone(zone),
            FormatZone::Unsaid | FormatZone::Named => Place::Own,
        })
    }
}

impl Parse for Stamps {
    type Value = i64;

    #[inline]
    fn parse(&self, text: &[u8]) -> Result<i64, ValueFault> {
        if !self.formats.is_empty() {
            return self.formatted(text);
        }
        let (date, rest) = text.split_first_chunk::<10>().ok_or(ValueFault::Type)?;
        let (time, rest) = rest.split_first_chunk::<6>().ok_or(ValueFault::Type)?;
        if !matches!(time[0], b'T' | b't' | b' ') || time[3] != b':' {
            return Err(ValueFault::Type);
        }
        let (hour, minute) = (two_digits(time[1], time[2])?, two_digits(time[4], time[5])?);
        let (second, rest) = match rest {
            [b':', tens, ones, rest @ ..] => (two_digits(*tens, *ones)?, rest),
            _ => (0, rest),
        };
        if hour > 23 || minute > 59 || second > 59 {
            return Err(ValueFault::Type);
        }
        let (micros, rest) = match rest {
            [b'.' | b',', rest @ ..] if text[16] == b':' => fraction(rest)?,
            _ => (0, rest),
        };
        let offset = offset(rest)?;
        let local = i64::from(iso_date(date)?) * DAY_SECONDS + i64::from(hour * 3600 + minute * 60 + second);
        self.instant(local, micros, offset)
    }

    fn expected(&self, fault: ValueFault) -> String {
        match fault {
            ValueFault::DstGap => format!("a time that clocks in {} have shown", self.zone.name()),
            ValueFault::Range => "a time of the years 0001 to 9999".to_owned(),
            _ if self.formats.is_empty() => "a time such as 2026-01-31T23:59:00Z".to_owned(),
            _ if self.formats.iter().any(|format| format.zone == FormatZone::Named) => format!(
                "a time of the form {}, where `%Z` is UTC, an offset, a zone such as Europe/Berlin or an abbreviation of \
                 {} (`parse_zone`)",
                forms(&self.formats),
                self.zone.name()
            ),
            _ => format!("a time of the form {}", forms(&self.formats)),
        }
    }
}

/// Reads `YYYY-MM-DD`.
#[inline]
fn iso_date(text: &[u8; 10]) -> Result<i32, ValueFault> {
    if text[4] != b'-' || text[7] != b'-' {
        return Err(ValueFault::Type);
    }
    let year = two_digits(text[0], text[1])? * 100 + two_digits(text[2], text[3])?;
    let (month, day) = (two_digits(text[5], text[6])?, two_digits(text[8], text[9])?);
    if !(1..=12).contains(&month) || day < 1 || day > month_days(year, month) {
        return Err(ValueFault::Type);
    }
    if year == 0 { Err(ValueFault::Range) } else { Ok(days(year, month, day)) }
}

#[inline]
fn two_digits(tens: u8, ones: u8) -> Result<i32, ValueFault> {
    match (digit(tens), digit(ones)) {
        (Some(tens), Some(ones)) => Ok(i32::from(tens * 10 + ones)),
        _ => Err(ValueFault::Type),
    }
}

/// Reads the digits after the point and returns the microseconds and what follows.
fn fraction(text: &[u8]) -> Result<(i64, &[u8]), ValueFault> {
    let length = text.iter().position(|&byte| digit(byte).is_none()).unwrap_or(text.len());
    if !(1..=9).contains(&length) {
        return Err(ValueFault::Type);
    }
    let (digits, rest) = text.split_at(length);
    let micros = (0..6).fold(0, |micros, at| micros * 10 + i64::from(digits.get(at).map_or(0, |byte| byte - b'0')));
    Ok((micros, rest))
}

/// Reads an offset from UTC, in seconds; none if there is no text.
#[inline]
fn offset(text: &[u8]) -> Result<Option<i64>, ValueFault> {
    let (sign, hours, minutes) = match *text {
        [] => return Ok(None),
        [b'Z' | b'z'] => return Ok(Some(0)),
        [sign, a, b] => (sign, two_digits(a, b)?, 0),
        [sign, a, b, c, d] | [sign, a, b, b':', c, d] => (sign, two_digits(a, b)?, two_digits(c, d)?),
        _ => return Err(ValueFault::Type),
    };
    if hours > 23 || minutes > 59 {
        return Err(ValueFault::Type);
    }
    let seconds = i64::from(hours * 3600 + minutes * 60);
    match sign {
        b'+' => Ok(Some(seconds)),
        b'-' => Ok(Some(-seconds)),
        _ => Err(ValueFault::Type),
    }
}

#[inline]
const fn month_days(year: i32, month: i32) -> i32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to a day of the Gregorian calendar, of years from 1 on.
///
/// Years are counted from March, so that the leap day comes last, and in eras of 400 years, which are all alike.
#[inline]
const fn days(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Returns the day that Arrow stores.
fn day_of(date: NaiveDate) -> Result<i32, ValueFault> {
    if (1..=9999).contains(&date.year()) { Ok(date.to_epoch_days()) } else { Err(ValueFault::Range) }
}

/// What a format found.
enum Found {
    /// A local time, and where clocks showed it.
    Local(NaiveDate, NaiveTime, Place),
    /// Microseconds of UTC.
    Instant(i64),
}

/// Where clocks showed a local time.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In the zone of the contract.
    Own,
    /// So many seconds from UTC.
    Offset(i64),
    /// In another zone.
    Zone(Tz),
}

/// Reads a count since 1970, with a fraction or not, as microseconds; digits beyond those are cut off.
fn epoch(text: &[u8]) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    let (whole, rest) = match digits.iter().position(|&byte| byte == b'.') {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &b"0"[..]),
    };
    // Nineteen digits are the most that nanoseconds of this era have.
    if whole.is_empty() || whole.len() > 19 || rest.is_empty() || rest.len() > 18 {
        return None;
    }
    let number =
        |digits: &[u8]| digits.iter().try_fold(0_i128, |value, &byte| Some(value * 10 + i128::from(digit(byte)?)));
    let (count, fraction) = (number(whole)?, number(rest)?);
    let units = 10_i128.pow(u32::try_from(rest.len()).ok()?);
    let nanos: i128 = match count.checked_ilog10().unwrap_or(0) {
        ..11 => 1_000_000_000,
        11..14 => 1_000_000,
        14..17 => 1_000,
        _ => 1,
    };
    let micros = (count * nanos + fraction * nanos / units) / 1000;
    i64::try_from(if negative { -micros } else { micros }).ok()
}

/// A strftime format, taken apart once; of `epoch` there are no parts.
#[derive(Debug)]
struct Format {
    text: String,
    items: Vec<Item<'static>>,
    /// What comes after the name of a zone, where one is read.
    after: Option<Vec<Item<'static>>>,
    zone: FormatZone,
}

impl Format {
    fn is_epoch(&self) -> bool {
        self.text == EPOCH
    }

    /// Returns what it reads of a text, and the name of the zone in it, if it reads one.
    fn parse<'t>(&self, text: &'t [u8]) -> Option<(Parsed, &'t str)> {
        let mut parsed = Parsed::new();
        let text = std::str::from_utf8(text).ok()?;
        let Some(after) = &self.after else {
            chrono::format::parse(&mut parsed, text, self.items.iter()).ok()?;
            return Some((parsed, ""));
        };
        let rest = chrono::format::parse_and_remainder(&mut parsed, text, self.items.iter()).ok()?;
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '+' | '-' | ':');
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        chrono::format::parse(&mut parsed, rest, after.iter()).ok()?;
        (!name.is_empty()).then_some((parsed, name))
    }
}

fn read_formats(formats: &[String]) -> Result<Vec<Format>, String> {
    let read = |text: &String| {
        let items = StrftimeItems::new(text).parse_to_owned();
        let mut items = items.map_err(|_| format!("`{text}` is no strftime format"))?;
        let name = items.iter().position(|item| *item == Item::Fixed(Fixed::TimezoneName));
        let after = name.map(|place| items.split_off(place).split_off(1));
        Ok(Format { text: text.clone(), items, after, zone: FormatZone::of(text) })
    };
    formats.iter().map(read).collect()
}

/// Returns the parts of what a format found: a local time and its offset in seconds, if it has one.
fn local_time(mut parsed: Parsed) -> Option<(NaiveDate, NaiveTime, Option<i64>)> {
    if parsed.second() == Some(60) {
        return None;
    }
    if let Ok(time) = parsed.to_datetime() {
        let utc = time.naive_utc();
        return Some((utc.date(), utc.time(), Some(0)));
    }
    let date = parsed.to_naive_date().ok()?;
    let time = match (parsed.hour_mod_12(), parsed.minute()) {
        (None, None) => NaiveTime::MIN,
        (Some(_), None) => {
            parsed.set_minute(0).ok()?;
            parsed.to_naive_time().ok()?
        }
        _ => parsed.to_naive_time().ok()?,
    };
    Some((date, time, parsed.offset().map(i64::from)))
}

fn forms(formats: &[Format]) -> String {
    formats.iter().map(|format| format!("`{}`", format.text)).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn stamps(formats: &[&str], zone: Tz) -> Stamps {
        Stamps::new(&formats.iter().map(|&format| format.to_owned()).collect::<Vec<_>>(), zone).unwrap()
    }

    #[track_caller]
    fn check(stamps: &Stamps, text: &str, expected: Result<&str, ValueFault>) {
        let shown = stamps
            .parse(text.as_bytes())
            .map(|micros| DateTime::from_timestamp_micros(micros).unwrap().format("%Y-%m-%dT%H:%M:%S%.6f").to_string());
        assert_eq!(shown.as_deref().map_err(|fault| *fault), expected, "{text}");
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let mut day = NaiveDate::from_ymd_opt(1, 1, 1).unwrap();
        while day.year() <= 9999 {
            let text = day.format("%Y-%m-%d").to_string();
            assert_eq!(iso_date(text.as_bytes().try_into().unwrap()), Ok(day.to_epoch_days()), "{text}");
            day = day.succ_opt().unwrap();
        }
    }

    #[test]
    fn days_that_do_not_exist_are_no_dates() {
        let dates = Dates::new(&[]).unwrap();
        for text in [
            "2025-02-29",
            "1900-02-29",
            "2025-13-01",
            "2025-00-01",
            "2025-01-00",
            "2025-04-31",
            "25-01-01",
            "2025/01/01",
            "2025-1-1",
            "",
            "2025-01-01T00:00",
            "+025-01-01",
            "20250101",
        ] {
            assert_eq!(dates.parse(text.as_bytes()), Err(ValueFault::Type), "{text}");
        }
        assert_eq!(dates.parse(b"0000-01-01"), Err(ValueFault::Range));
        assert_eq!(dates.parse(b"9999-12-31"), Ok(LAST_DAY));
    }

    #[test]
    fn iso_stamps_are_understood_in_all_their_forms() {
        let utc = stamps(&[], Tz::UTC);
        check(&utc, "2026-01-31T08:05:09Z", Ok("2026-01-31T08:05:09.000000"));
        check(&utc, "2026-01-31 08:05", Ok("2026-01-31T08:05:00.000000"));
        check(&utc, "2026-01-31t08:05:09.5z", Ok("2026-01-31T08:05:09.500000"));
        check(&utc, "2026-01-31 08:05:09,123456789", Ok("2026-01-31T08:05:09.123456"));
        check(&utc, "2026-01-31T08:05+08:00", Ok("2026-01-31T00:05:00.000000"));
        check(&utc, "2026-01-31T08:05:09.999999-0330", Ok("2026-01-31T11:35:09.999999"));
        check(&utc, "2026-01-31T08:05:09+14", Ok("2026-01-30T18:05:09.000000"));
        check(&utc, "1969-12-31T23:59:59.9999999Z", Ok("1969-12-31T23:59:59.999999"));
        check(&utc, "0001-01-01T00:00:00Z", Ok("0001-01-01T00:00:00.000000"));
        check(&utc, "9999-12-31T23:59:59.999999Z", Ok("9999-12-31T23:59:59.999999"));
    }

    #[test]
    fn what_is_no_instant_is_said_to_be_none() {
        let utc = stamps(&[], Tz::UTC);
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T",
            "2026-01-31T08",
            "2026-01-31T08:5",
            "2026-01-31T24:00",
            "2026-01-31T08:60",
            "2026-12-31T23:59:60Z",
            "2026-01-31T08:05:09.",
            "2026-01-31T08:05:09.1234567890",
            "2026-01-31T08:05.5",
            "2026-01-31T08:05:09 Z",
            "2026-01-31T08:05:09ZZ",
            "2026-01-31T08:05:09+8",
            "2026-01-31T08:05:09+24:00",
            "2026-01-31T08:05:09+08:60",
            "2026-01-31T08:05:09+08-00",
            "2026-01-31X08:05",
            "2026-02-30T08:05",
            "2026-01-31T08:05:0",
            "2026-01-31T08:05:",
        ] {
            check(&utc, text, Err(ValueFault::Type));
        }
        for text in ["0000-12-31T23:59:59Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"] {
            check(&utc, text, Err(ValueFault::Range));
        }
    }

    #[test]
    fn a_stamp_without_offset_is_local_and_one_with_offset_is_not() {
        let new_york = stamps(&[], Tz::America__New_York);
        check(&new_york, "2025-03-09 02:30", Err(ValueFault::DstGap));
        check(&new_york, "2025-03-09 02:30Z", Ok("2025-03-09T02:30:00.000000"));
        check(&new_york, "2025-11-02 01:30:00.25", Ok("2025-11-02T05:30:00.250000"));
        check(&stamps(&[], Tz::Asia__Shanghai), "2025-03-09 02:30", Ok("2025-03-08T18:30:00.000000"));
        check(&stamps(&[], Tz::Asia__Shanghai), "0001-01-01 00:00", Err(ValueFault::Range));
    }

    #[test]
    fn formats_are_tried_in_order() {
        let mixed = stamps(
            &["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%Y%m%d", "%s", "%Y-%m-%d %H:%M:%S%.f %z"],
            Tz::Asia__Shanghai,
        );
        check(&mixed, "03/04/2025 08:00", Ok("2025-04-03T00:00:00.000000"));
        check(&mixed, "03/14/2025 08:00", Ok("2025-03-14T00:00:00.000000"));
        check(&mixed, "20250314", Ok("2025-03-13T16:00:00.000000"));
        check(&mixed, "1735689600", Ok("2025-01-01T00:00:00.000000"));
        check(&mixed, "2025-01-01 08:00:00.123456789 +0100", Ok("2025-01-01T07:00:00.123456"));
        check(&mixed, "2025-01-01T08:00:00Z", Err(ValueFault::Type));
        check(&stamps(&["%Y-%m-%d %H"], Tz::UTC), "2025-01-01 08", Ok("2025-01-01T08:00:00.000000"));
        check(&stamps(&["%Y-%m-%d %H:%M:%S"], Tz::UTC), "2016-12-31 23:59:60", Err(ValueFault::Type));
        check(&stamps(&["%Y-%m-%d %I:%M %p"], Tz::UTC), "2025-01-01 12:30 AM", Ok("2025-01-01T00:30:00.000000"));
        check(&stamps(&["%Y-%m-%d %H:%M"], Tz::America__New_York), "2025-03-09 02:30", Err(ValueFault::DstGap));
        check(&stamps(&["%Y-%m-%d"], Tz::UTC), "+12025-01-01", Err(ValueFault::Range));
    }

    #[test]
    fn the_text_of_a_format_tells_its_zone() {
        let read = |format: &str, text: &str, expected: Result<&str, ValueFault>| {
            check(&stamps(&[format], Tz::Asia__Shanghai), text, expected);
        };
        let noon = Ok("2024-03-01T15:30:00.000000");
        read("%Y-%m-%d %H:%M:%S UTC", "2024-03-01 15:30:00 UTC", noon);
        read("%Y%m%dT%H%M%SZ", "20240301T153000Z", noon);
        read("%d.%m.%Y %H:%M GMT", "01.03.2024 15:30 GMT", noon);
        read("%Y-%m-%d %I:%M %p (UTC)", "2024-03-01 03:30 PM (UTC)", noon);
        read("%a %b %d %H:%M:%S UTC %Y", "Fri Mar 01 15:30:00 UTC 2024", noon);
        read("%Y-%m-%d %H:%M:%S +0000", "2024-03-01 15:30:00 +0000", noon);
        read("%Y-%m-%d %H:%M UTC-5", "2024-03-01 10:30 UTC-5", noon);
        read("%Y-%m-%d %H:%M [Europe/Berlin]", "2024-03-01 16:30 [Europe/Berlin]", noon);
        read("%Y-%m-%d %H:%M [Europe/Berlin]", "2024-03-31 02:30 [Europe/Berlin]", Err(ValueFault::DstGap));
        // An offset that is read says more than letters beside it.
        read("%a %b %d %Y %H:%M:%S GMT%z", "Fri Mar 01 2024 16:30:00 GMT+0100", noon);
        read("%Y-%m-%dT%H:%M:%S%:z[%Z]", "2024-03-01T16:30:00+01:00[Europe/Berlin]", noon);
        // Without a zone it is local.
        read("%Y-%m-%d %H:%M:%S", "2024-03-01 23:30:00", noon);
    }

    #[test]
    fn a_zone_is_read_by_its_name_and_never_guessed() {
        let named = |zone: Tz| stamps(&["%Y-%m-%d %H:%M:%S %Z"], zone);
        let new_york = named(Tz::America__New_York);
        for (text, expected) in [
            ("2024-03-01 15:30:00 UTC", Ok("2024-03-01T15:30:00.000000")),
            ("2024-03-01 15:30:00 Z", Ok("2024-03-01T15:30:00.000000")),
            ("2024-03-01 23:30:00 UTC+8", Ok("2024-03-01T15:30:00.000000")),
            ("2024-03-01 16:30:00 Europe/Berlin", Ok("2024-03-01T15:30:00.000000")),
            ("2024-03-01 10:30:00 EST", Ok("2024-03-01T15:30:00.000000")),
            ("2024-07-01 11:30:00 EDT", Ok("2024-07-01T15:30:00.000000")),
            // The hour that comes twice, and one that only clocks in winter show.
            ("2024-11-03 01:30:00 EDT", Ok("2024-11-03T05:30:00.000000")),
            ("2024-11-03 01:30:00 EST", Ok("2024-11-03T06:30:00.000000")),
            ("2024-07-01 10:30:00 EST", Ok("2024-07-01T15:30:00.000000")),
            ("2024-03-01 10:30:00 CST", Err(ValueFault::Type)),
            ("2024-03-01 10:30:00 ", Err(ValueFault::Type)),
            ("2024-03-01 10:30:00 EST5", Err(ValueFault::Type)),
        ] {
            check(&new_york, text, expected);
        }
        check(&named(Tz::Asia__Shanghai), "2024-03-01 23:30:00 CST", Ok("2024-03-01T15:30:00.000000"));
        check(&named(Tz::America__Chicago), "2024-03-01 09:30:00 CST", Ok("2024-03-01T15:30:00.000000"));
        check(&named(Tz::UTC), "2024-03-01 09:30:00 CST", Err(ValueFault::Type));
        let bracketed = stamps(&["%Y-%m-%d %H:%M (%Z)"], Tz::UTC);
        check(&bracketed, "2024-03-01 15:30 (GMT)", Ok("2024-03-01T15:30:00.000000"));
        check(&bracketed, "2024-03-01 15:30 (GMT", Err(ValueFault::Type));
    }

    #[test]
    fn dates_have_formats_too() {
        let dates = Dates::new(&["%d.%m.%Y".to_owned(), "%Y-%m-%d %H:%M:%S".to_owned()]).unwrap();
        assert_eq!(dates.parse(b"31.01.2026"), Ok(days(2026, 1, 31)));
        assert_eq!(dates.parse(b"2026-01-31 23:59:59"), Ok(days(2026, 1, 31)));
        assert_eq!(dates.parse(b"31.02.2026"), Err(ValueFault::Type));
        assert_eq!(dates.parse("31.01.２026".as_bytes()), Err(ValueFault::Type));
        assert!(Dates::new(&["%Q".to_owned()]).is_err());
    }

    #[test]
    fn counts_since_1970_are_told_apart_by_their_size() {
        let stamps = Stamps::new(&["epoch".to_owned()], Tz::Asia__Shanghai).unwrap();
        for (text, micros) in [
            ("0", 0),
            ("-1", -1_000_000),
            ("1.5", 1_500_000),
            ("99999999999", 99_999_999_999_000_000),
            ("100000000000", 100_000_000_000_000),
            ("1767225600123", 1_767_225_600_123_000),
            ("1767225600123.4567", 1_767_225_600_123_456),
            ("1767225600123456", 1_767_225_600_123_456),
            ("1767225600123456789", 1_767_225_600_123_456),
        ] {
            assert_eq!(stamps.parse(text.as_bytes()), Ok(micros), "{text}");
        }
        for text in ["", "-", ".5", "1.", "1e9", "2026-01-01", "99999999999999999999"] {
            assert_eq!(stamps.parse(text.as_bytes()), Err(ValueFault::Type), "{text}");
        }
        // Sixty thousand million seconds before our era.
        assert_eq!(stamps.parse(b"-63000000000"), Err(ValueFault::Range));
    }
}

//! Times that name their zone.
//!
//! What says its offset beyond doubt (`UTC`, `Z`, `GMT+1`, `[Europe/Berlin]`) is read; an abbreviation such as `CST`, which
//! several zones call their own, is never taken for any of them, but asked about.

use chrono_tz::Tz;

use crate::ingest::Reader;
use crate::project::{ColumnType, zone_by_name};

/// The ways in which a zone is written behind a time.
const WRITTEN: usize = 14;

/// Makes the formats of times with each way to write a zone behind them.
macro_rules! with_zones {
    ($($time:literal),* $(,)?) => {
        [$((
            $time,
            [
                concat!($time, "Z"),
                concat!($time, "z"),
                concat!($time, " Z"),
                concat!($time, " UTC"),
                concat!($time, "UTC"),
                concat!($time, " GMT"),
                concat!($time, " (UTC)"),
                concat!($time, " %z"),
                concat!($time, "%z"),
                concat!($time, " %Z"),
                concat!($time, "[%Z]"),
                concat!($time, " [%Z]"),
                concat!($time, "%z[%Z]"),
                concat!($time, " %z %Z"),
            ],
        )),*]
    };
}

/// Times of day on days, as programs write them, and each with a zone behind it.
const TIMES: [(&str, [&str; WRITTEN]); 45] = with_zones![
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %I:%M:%S %p",
    "%Y-%m-%d %I:%M %p",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y.%m.%d %H:%M:%S",
    "%Y.%m.%d %H:%M",
    "%Y%m%dT%H%M%S",
    "%Y%m%d%H%M%S",
    "%Y%m%d %H:%M:%S",
    "%Y%m%d %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M %p",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y, %H:%M:%S",
    "%d.%m.%Y, %H:%M",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%m-%d-%Y %H:%M:%S",
    "%m-%d-%Y %H:%M",
    "%d-%b-%Y %H:%M:%S",
    "%d %b %Y %H:%M:%S",
    "%d %b %Y %H:%M",
    "%b %d, %Y %H:%M:%S",
    "%b %d, %Y %H:%M",
    "%b %d, %Y %I:%M:%S %p",
    "%b %d, %Y %I:%M %p",
    "%b %d, %Y, %I:%M:%S %p",
    "%b %d, %Y, %I:%M %p",
    "%a, %d %b %Y %H:%M:%S",
    "%a %b %d %Y %H:%M:%S",
    "%a %b %d %H:%M:%S %Y",
];

/// Times with their zone in the middle.
const ELSEWHERE: [&str; 4] =
    ["%a %b %d %H:%M:%S UTC %Y", "%a %b %d %H:%M:%S GMT %Y", "%a %b %d %H:%M:%S %Z %Y", "%a %b %d %Y %H:%M:%S GMT%z"];

/// Returns the formats that a text with a zone may have, told from how it ends; none for most texts.
pub(super) fn formats(text: &str) -> Vec<&'static str> {
    if !looks_like_time(text) {
        return Vec::new();
    }
    let mut found = Vec::new();
    if let Some((time, zone)) = split(text) {
        let is_written = |way: usize| {
            let (before, name) = zone;
            match way {
                0 => before.is_empty() && name == "Z",
                1 => before.is_empty() && name == "z",
                2 => before == " " && name == "Z",
                3 => before == " " && name == "UTC",
                4 => before.is_empty() && name == "UTC",
                5 => before == " " && name == "GMT",
                6 => before == " (" && name == "UTC",
                7 => before == " " && name.starts_with(['+', '-']),
                8 => before.is_empty() && name.starts_with(['+', '-']),
                9 => before == " " && !name.starts_with(['+', '-']) && zone_by_name(name).is_some(),
                10 | 12 => before == "[" && zone_by_name(name).is_some(),
                11 => before == " [" && zone_by_name(name).is_some(),
                // The offset says all.
                _ => before == " " && time.rsplit(' ').next().is_some_and(|last| last.starts_with(['+', '-'])),
            }
        };
        for way in (0..WRITTEN).filter(|way| is_written(*way)) {
            found.extend(TIMES.iter().map(|(_, formats)| formats[way]));
        }
    }
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        found.extend(ELSEWHERE);
    }
    found
}

/// Returns a time before its zone, and the zone: what stands before its name, and the name.
fn split(text: &str) -> Option<(&str, (&str, &str))> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '+' | '-' | ':');
    let inner = text.trim_end_matches([']', ')']);
    let before = inner.char_indices().rev().find(|(_, c)| !is_of_name(*c));
    let start = before.map_or(0, |(at, c)| at + c.len_utf8());
    // Without a space before it the name begins behind the last digit of the time.
    let name = &inner[start..];
    let start = if name.starts_with(|c: char| c.is_ascii_digit()) {
        let sign = name.rfind(['+', '-']).filter(|at| !name[*at..].contains('T') && name[..*at].contains([':', 'T']));
        let letters = name.rfind(|c: char| c.is_ascii_digit()).map(|at| at + 1).filter(|at| *at < name.len());
        start + sign.or(letters)?
    } else {
        start
    };
    let time = inner[..start].trim_end_matches([' ', '[', '(']);
    let name = &inner[start..];
    (!name.is_empty() && !time.is_empty()).then_some((time, (&inner[time.len()..start], name)))
}

fn looks_like_time(text: &str) -> bool {
    (12..=64).contains(&text.len()) && text.bytes().filter(u8::is_ascii_digit).count() >= 6
}

/// Times behind which stands an abbreviation that does not tell the zone.
#[derive(Debug)]
pub(super) struct Abbreviated {
    readers: Vec<(&'static str, Reader)>,
    /// The abbreviations, the first few.
    pub(super) names: Vec<String>,
}

impl Abbreviated {
    /// Begins with the first text of a column, if it is such a time.
    pub(super) fn of(text: &str) -> Option<Self> {
        let reader = |(_, formats): &(&'static str, [&'static str; WRITTEN])| {
            let time = formats[9].strip_suffix(" %Z")?;
            Some((formats[9], Reader::new(ColumnType::Timestamp, &[time.to_owned()], Tz::UTC).ok()?))
        };
        let (_, name) = Self::split(text).filter(|_| looks_like_time(text))?;
        zone_by_name(name).is_none().then_some(())?;
        let mut begun = Self { readers: TIMES.iter().filter_map(reader).collect(), names: Vec::new() };
        begun.push(text).then_some(begun)
    }

    /// Takes another text. Returns whether all so far are such times.
    pub(super) fn push(&mut self, text: &str) -> bool {
        const MOST: usize = 5;
        let Some((time, name)) = Self::split(text) else { return false };
        self.readers.retain(|(_, reader)| reader.rank(time.as_bytes()).is_some());
        if self.names.len() < MOST && self.names.iter().all(|known| known != name) {
            self.names.push(name.to_owned());
        }
        !self.readers.is_empty()
    }

    /// Returns the formats that read all of them, once it is known whose the abbreviations are.
    pub(super) fn formats(&self) -> impl Iterator<Item = &'static str> {
        self.readers.iter().map(|(format, _)| *format)
    }

    fn split(text: &str) -> Option<(&str, &str)> {
        let (time, name) = text.rsplit_once(' ')?;
        let is_name = (2..=5).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_uppercase());
        (is_name && !matches!(name, "AM" | "PM")).then_some((time, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_from_the_end_of_a_text() {
        for (text, format) in [
            ("2024-03-01 15:30:00 UTC", "%Y-%m-%d %H:%M:%S UTC"),
            ("20240301T153000Z", "%Y%m%dT%H%M%SZ"),
            ("01.03.2024 15:30:00 GMT", "%d.%m.%Y %H:%M:%S GMT"),
            ("2024-03-01 03:30 PM UTC", "%Y-%m-%d %I:%M %p UTC"),
            ("2024/03/01 15:30:00+0100", "%Y/%m/%d %H:%M:%S%z"),
            ("2024/03/01 15:30:00 +01:00", "%Y/%m/%d %H:%M:%S %z"),
            ("2024-03-01 15:30 UTC+8", "%Y-%m-%d %H:%M %Z"),
            ("2024-03-01 15:30 Europe/Berlin", "%Y-%m-%d %H:%M %Z"),
            ("2024-03-01T15:30:00+01:00[Europe/Berlin]", "%Y-%m-%dT%H:%M:%S%z[%Z]"),
            ("2024-03-01T15:30:00[UTC]", "%Y-%m-%dT%H:%M:%S[%Z]"),
            ("2024-03-01 15:30:00 (UTC)", "%Y-%m-%d %H:%M:%S (UTC)"),
            ("20240301T153000z", "%Y%m%dT%H%M%Sz"),
            ("2024-03-01 15:30:00.123456789 +0000 UTC", "%Y-%m-%d %H:%M:%S%.f %z %Z"),
            ("2024-03-01 16:30:00 +0100 CET", "%Y-%m-%d %H:%M:%S %z %Z"),
            ("Fri Mar 01 15:30:00 UTC 2024", "%a %b %d %H:%M:%S UTC %Y"),
        ] {
            let reads = |format: &&str| {
                let reader = Reader::new(ColumnType::Timestamp, &[(*format).to_owned()], Tz::UTC).unwrap();
                reader.rank(text.as_bytes()).is_some()
            };
            let found: Vec<&str> = formats(text).into_iter().filter(reads).collect();
            assert!(found.contains(&format), "{text} {found:?}");
        }
        for text in [
            "1.234.567,50 €",
            "订单号码 123456",
            "2024-03-01 15:30:00",
            "2024-03-01",
            "hello",
            "2024-03-01 15:30 PM",
            "12345678901234567890",
            "",
        ] {
            assert_eq!(formats(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn an_abbreviation_is_noticed_and_not_read() {
        let mut seen = Abbreviated::of("2024-03-01 15:30:00 CST").unwrap();
        assert!(seen.push("2024-07-01 15:30:00 CDT"));
        assert_eq!(seen.names, ["CST", "CDT"]);
        assert_eq!(seen.formats().collect::<Vec<_>>(), ["%Y-%m-%d %H:%M:%S %Z", "%Y-%m-%d %H:%M:%S%.f %Z"]);
        assert!(!seen.push("2024-07-01 15:30:00"));
        for text in ["2024-03-01 15:30:00 UTC", "2024-03-01 03:30 PM", "made in USA", "CST"] {
            assert!(Abbreviated::of(text).is_none(), "{text}");
        }
    }
}

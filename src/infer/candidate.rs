//! The ways in which the texts of a column could be read, and how each fares.

use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::zones::formats;
use crate::ingest::{Rank, Reader};
use crate::project::{ColumnType, FormatZone};

/// One way to read texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Boolean,
    Int64,
    /// Digits with a point and no exponent; how many is the column's to say.
    Decimal,
    Float64,
    /// ISO 8601, or a format.
    Date(Option<&'static str>),
    /// ISO 8601, or a format.
    Timestamp(Option<&'static str>),
}

/// Days in the forms in which programs and people write them.
const DATES: [&str; 17] = [
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%b %d %Y",
    "%d-%b-%y",
    "%Y年%m月%d日",
];

/// Instants in such forms, those of [`DATES`] with a time of day among them.
const TIMESTAMPS: [&str; 56] = [
    "%Y-%m-%d %I:%M:%S %p",
    "%Y-%m-%d %I:%M %p",
    "%Y-%m-%d %H:%M:%S %z",
    "%Y-%m-%d %H:%M:%S%.f %z",
    "%Y-%m-%d %H:%M:%S UTC",
    "%Y-%m-%d %H:%M:%S%.f UTC",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%dT%H:%M:%S",
    "%Y.%m.%d %H:%M",
    "%Y.%m.%d %H:%M:%S",
    "%Y%m%d %H:%M",
    "%Y%m%d %H:%M:%S",
    "%Y%m%d%H%M%S",
    "%Y%m%dT%H%M%S",
    "%Y%m%dT%H%M%SZ",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S%.f",
    "%d/%m/%Y %I:%M %p",
    "%d/%m/%Y %I:%M:%S %p",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S%.f",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M:%S%.f",
    "%d.%m.%Y, %H:%M",
    "%d.%m.%Y, %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y %H:%M:%S",
    "%m-%d-%Y %H:%M",
    "%m-%d-%Y %H:%M:%S",
    "%d/%m/%y %H:%M",
    "%d/%m/%y %H:%M:%S",
    "%d/%m/%y %I:%M %p",
    "%m/%d/%y %H:%M",
    "%m/%d/%y %H:%M:%S",
    "%m/%d/%y %I:%M %p",
    "%d.%m.%y %H:%M",
    "%d.%m.%y %H:%M:%S",
    "%d %b %Y %H:%M",
    "%d %b %Y %H:%M:%S",
    "%d-%b-%Y %H:%M:%S",
    "%b %d, %Y %H:%M:%S",
    "%b %d, %Y %I:%M %p",
    "%b %d, %Y %I:%M:%S %p",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a %b %d %H:%M:%S %Y",
    "%d/%b/%Y:%H:%M:%S %z",
    "%Y年%m月%d日 %H:%M",
    "%Y年%m月%d日 %H:%M:%S",
    EPOCH,
];

/// A count since 1970-01-01, of seconds or parts of them.
pub(super) const EPOCH: &str = "epoch";

impl Reading {
    /// Returns all ways, the narrower first.
    fn all() -> impl Iterator<Item = Self> {
        [Self::Boolean, Self::Int64, Self::Decimal, Self::Float64, Self::Date(None), Self::Timestamp(None)]
            .into_iter()
            .chain(DATES.into_iter().map(|format| Self::Date(Some(format))))
            .chain(TIMESTAMPS.into_iter().map(|format| Self::Timestamp(Some(format))))
    }

    /// Returns the format, if it has one.
    pub(super) fn format(self) -> Option<&'static str> {
        match self {
            Self::Date(format) | Self::Timestamp(format) => format,
            _ => None,
        }
    }

    /// Returns the type that values read so have; decimals as numbers with a fraction.
    fn kind(self) -> ColumnType {
        match self {
            Self::Boolean => ColumnType::Boolean,
            Self::Int64 => ColumnType::Int64,
            Self::Decimal | Self::Float64 => ColumnType::Float64,
            Self::Date(_) => ColumnType::Date,
            Self::Timestamp(_) => ColumnType::Timestamp,
        }
    }

    /// Says it in words.
    pub(super) fn words(self) -> String {
        match self {
            Self::Boolean => "boolean".to_owned(),
            Self::Int64 => "int64".to_owned(),
            Self::Decimal => "decimal".to_owned(),
            Self::Float64 => "float64".to_owned(),
            Self::Date(None) => "date".to_owned(),
            Self::Timestamp(None) => "timestamp".to_owned(),
            Self::Date(Some(format)) => format!("date of the form {format}"),
            Self::Timestamp(Some(format)) => format!("timestamp of the form {format}"),
        }
    }

    fn reader(self, zone: Tz) -> Option<Reader> {
        let formats = self.format().map(str::to_owned).into_iter().collect::<Vec<_>>();
        Reader::new(self.kind(), &formats, zone).ok()
    }

    /// Returns whether a time is one that programs write where they know none: the day on which counting begins or ends.
    fn stands_in(self, rank: Rank) -> bool {
        let day = match (self, rank) {
            (Self::Date(_), Rank::Whole(day)) => day,
            (Self::Timestamp(_), Rank::Whole(micros)) => micros.div_euclid(86_400_000_000),
            _ => return false,
        };
        // 1899-12-30 to 1900-01-01, 1969-12-31 to 1970-01-01, and what lies before 1800 or after 2200.
        matches!(day, -25_569..=-25_567 | -1..=0) || !(-62_091..=84_006).contains(&day)
    }

    /// Returns the least value that is believed: with `%Y` a year of two digits would be one of the first century.
    fn least(self) -> Option<Rank> {
        let format = self.format().filter(|format| format.contains("%Y"))?;
        let day = i64::from(NaiveDate::from_ymd_opt(1000, 1, 1)?.to_epoch_days());
        let is_date = DATES.contains(&format);
        Some(Rank::Whole(if is_date { day } else { day * 86_400_000_000 }))
    }
}

/// A text and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) line: i64,
    pub(super) text: String,
}

/// One way to read texts, ready to be tried; all columns of a file share it.
#[derive(Debug)]
struct Trial {
    reading: Reading,
    reader: Reader,
    /// Reads local times as the project's zone has them; none where that makes no difference.
    in_zone: Option<Reader>,
    least: Option<Rank>,
}

impl Trial {
    #[expect(clippy::arc_with_non_send_sync, reason = "shared within a thread, among columns")]
    fn of(reading: Reading, zone: Tz) -> Option<Arc<Self>> {
        let is_local = matches!(reading, Reading::Timestamp(_)) && zone != Tz::UTC;
        Some(Arc::new(Self {
            reading,
            reader: reading.reader(Tz::UTC)?,
            in_zone: if is_local { reading.reader(zone) } else { None },
            least: reading.least(),
        }))
    }
}

/// All ways to read texts, and the zone of stamps without an offset.
#[derive(Debug, Clone)]
pub(super) struct Trials(Arc<[Arc<Trial>]>, Tz);

impl Trials {
    /// Makes all ways ready; `zone` is that of stamps without an offset.
    pub(super) fn new(zone: Tz) -> Self {
        Self(Reading::all().filter_map(|reading| Trial::of(reading, zone)).collect(), zone)
    }

    /// Returns them for a column that has seen nothing before its first text, with those of the zone that it names.
    pub(super) fn candidates(&self, text: &str) -> Vec<Candidate> {
        let zoned = formats(text).into_iter().map(|format| Reading::Timestamp(Some(format)));
        let zoned = zoned.filter_map(|reading| Trial::of(reading, self.1));
        let fresh = |trial: Arc<Trial>| Candidate {
            reading: trial.reading,
            trial,
            fits: 0,
            fails: 0,
            first_failure: None,
            found: None,
        };
        self.0.iter().map(Arc::clone).chain(zoned).map(fresh).collect()
    }
}

/// How one way to read texts fares. There are many of them for every column, so what few have is on the heap.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) reading: Reading,
    trial: Arc<Trial>,
    pub(super) fits: u64,
    pub(super) fails: u64,
    pub(super) first_failure: Option<Box<Seen>>,
    /// What the texts that can be read so are, once there is one.
    pub(super) found: Option<Box<Extremes>>,
}

/// What texts that can be read in one way are.
#[derive(Debug, Clone)]
pub(super) struct Extremes {
    pub(super) min: (Rank, String),
    pub(super) max: (Rank, String),
    /// The first time that no clock of the project's zone has shown.
    pub(super) gap: Option<Seen>,
    /// How many are times that stand for none, such as 1970-01-01, and the first of them.
    pub(super) stand_ins: u64,
    pub(super) first_stand_in: Option<Seen>,
    /// The least and greatest of the others.
    pub(super) span: Option<(Rank, Rank)>,
}

impl Candidate {
    /// Tries a text, which has no white space around it. Returns whether the candidate is still worth trying.
    pub(super) fn try_text(&mut self, text: &[u8], line: i64) -> bool {
        let seen = || Seen { line, text: String::from_utf8_lossy(text).into_owned() };
        let trial = &self.trial;
        let is_number = matches!(
            self.reading,
            Reading::Int64 | Reading::Decimal | Reading::Float64 | Reading::Timestamp(Some(EPOCH))
        );
        let refused = is_number && is_code(text) || self.reading == Reading::Decimal && !is_plain_decimal(text);
        let rank = if refused { None } else { trial.reader.rank(text) };
        let Some(rank) = rank.filter(|rank| trial.least.is_none_or(|least| *rank >= least)) else {
            self.fails += 1;
            self.first_failure.get_or_insert_with(|| Box::new(seen()));
            // Evidence of a few strange values is worth having; of a way that does not fit at all it is not.
            return self.fails <= 16 + self.fits / 8;
        };
        self.fits += 1;
        let shown = || seen().text;
        let found = self.found.get_or_insert_with(|| {
            let (min, max) = ((rank, shown()), (rank, shown()));
            Box::new(Extremes { min, max, gap: None, stand_ins: 0, first_stand_in: None, span: None })
        });
        if found.gap.is_none() && trial.in_zone.as_ref().is_some_and(|reader| reader.rank(text).is_none()) {
            found.gap = Some(seen());
        }
        if rank < found.min.0 {
            found.min = (rank, shown());
        }
        if rank > found.max.0 {
            found.max = (rank, shown());
        }
        if self.reading.stands_in(rank) {
            found.stand_ins += 1;
            found.first_stand_in.get_or_insert_with(seen);
        } else {
            let (least, most) = found.span.get_or_insert((rank, rank));
            if rank < *least {
                *least = rank;
            }
            if rank > *most {
                *most = rank;
            }
        }
        true
    }

    /// Returns whether every one of `count` texts can be read so.
    pub(super) fn fits_all(&self, count: u64) -> bool {
        self.fails == 0 && self.fits == count && count > 0
    }
}

/// Returns whether digits are a code and no number: leading zeros or a plus would be lost.
fn is_code(text: &[u8]) -> bool {
    match text.strip_prefix(b"-").unwrap_or(text) {
        [b'+', ..] => true,
        [b'0', second, ..] => second.is_ascii_digit(),
        _ => false,
    }
}

fn is_plain_decimal(text: &[u8]) -> bool {
    digits(text).is_some()
}

/// Returns how many digits a plain decimal has before and after its point.
pub(super) fn digits(text: &[u8]) -> Option<(usize, usize)> {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let point = text.iter().position(|&byte| byte == b'.').unwrap_or(text.len());
    let (whole, fraction) = (&text[..point], text.get(point + 1..).unwrap_or_default());
    let is_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit) && whole.len() + fraction.len() > 0;
    is_digits.then_some((whole.len(), fraction.len()))
}

/// Returns whether a stamp says how far it is from UTC.
pub(super) fn has_offset(text: &str, format: Option<&str>) -> bool {
    match format {
        Some(format) => format == EPOCH || format.contains("%z") || FormatZone::of(format) != FormatZone::Unsaid,
        None => text.get(11..).is_some_and(|time| time.contains(['Z', 'z', '+', '-'])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the ways in which all of `texts` can be read.
    fn fitting(texts: &[&str]) -> Vec<Reading> {
        let mut all = Trials::new(Tz::UTC).candidates("");
        for candidate in &mut all {
            for text in texts {
                candidate.try_text(text.as_bytes(), 1);
            }
        }
        all.iter().filter(|c| c.fits_all(texts.len() as u64)).map(|c| c.reading).collect()
    }

    #[test]
    fn every_format_reads_what_it_writes() {
        let instant = chrono::DateTime::from_timestamp(1_718_960_461, 0).unwrap();
        for (format, is_date) in DATES.iter().map(|f| (f, true)).chain(TIMESTAMPS.iter().map(|f| (f, false))) {
            let written = if *format == EPOCH { "1718960461".to_owned() } else { instant.format(format).to_string() };
            let expected = if is_date { Reading::Date(Some(format)) } else { Reading::Timestamp(Some(format)) };
            assert!(fitting(&[&written]).contains(&expected), "{format} {written}");
        }
    }

    #[test]
    fn a_year_of_two_digits_is_not_one_of_the_first_century() {
        assert_eq!(fitting(&["13/03/24"]), [Reading::Date(Some("%d/%m/%y"))]);
        assert_eq!(fitting(&["13/03/2024"]), [Reading::Date(Some("%d/%m/%Y"))]);
        assert_eq!(
            fitting(&["03/04/2024"]),
            [Reading::Date(Some("%d/%m/%Y")), Reading::Date(Some("%m/%d/%Y"))],
            "day and month cannot be told apart"
        );
    }

    #[test]
    fn codes_are_no_numbers() {
        for text in ["007", "+4930123456", "-01.5"] {
            assert_eq!(fitting(&[text]), [], "{text}");
        }
        let epoch = Reading::Timestamp(Some(EPOCH));
        assert_eq!(fitting(&["0", "-0.5", "12"]), [Reading::Decimal, Reading::Float64, epoch]);
        assert_eq!(fitting(&["1e3"]), [Reading::Float64]);
    }

    #[test]
    fn times_that_stand_for_none_are_told_from_others() {
        let stamp = Reading::Timestamp(None);
        let day = |text: &str| Rank::Whole(text.parse::<NaiveDate>().unwrap().to_epoch_days().into());
        let instant = |text: &str| {
            let instant = text.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
            Rank::Whole(instant.timestamp_micros())
        };
        for text in ["1899-12-30", "1900-01-01", "1970-01-01", "0001-01-01", "9999-12-31", "2999-01-01"] {
            assert!(Reading::Date(None).stands_in(day(text)), "{text}");
        }
        for text in ["1900-01-02", "1970-01-02", "1800-01-02", "2024-02-29", "2124-01-01"] {
            assert!(!Reading::Date(None).stands_in(day(text)), "{text}");
        }
        assert!(stamp.stands_in(instant("1970-01-01T00:00:00Z")) && stamp.stands_in(instant("1969-12-31T16:00:00Z")));
        assert!(!stamp.stands_in(instant("1970-01-02T00:00:00Z")) && !Reading::Int64.stands_in(Rank::Whole(0)));
    }

    #[test]
    fn a_time_that_clocks_skipped_is_noticed() {
        let mut all = Trials::new(Tz::Europe__Berlin).candidates("");
        let stamp = all.iter_mut().find(|c| c.reading == Reading::Timestamp(None)).unwrap();
        stamp.try_text(b"2024-03-31 01:30:00", 2);
        assert_eq!(stamp.found.as_ref().unwrap().gap, None);
        stamp.try_text(b"2024-03-31 02:30:00", 3);
        let gap = Some(Seen { line: 3, text: "2024-03-31 02:30:00".to_owned() });
        assert_eq!(stamp.found.as_ref().unwrap().gap, gap);
        assert!(stamp.fits_all(2));
    }
}

//! Reads `min`, `max` and `values` as values of a column's type.

use chrono::{DateTime, NaiveDate, Utc};

use crate::project::ColumnType;

/// A value of a column's type. Values of one type can be compared.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) enum Bound {
    /// Of `int64`.
    Whole(i64),
    /// Of `float64`, finite.
    Float(f64),
    /// Of `decimal`, in units of its last digit.
    Decimal(i128),
    /// Of `date`.
    Date(NaiveDate),
    /// Of `timestamp`.
    Instant(DateTime<Utc>),
}

impl Bound {
    /// Reads `text`; nothing when it is not a value of the type, or the type has no order to speak of.
    pub(super) fn parse(text: &str, kind: ColumnType) -> Option<Self> {
        match kind {
            ColumnType::Int64 => text.parse().ok().map(Self::Whole),
            ColumnType::Float64 => text.parse().ok().filter(|value: &f64| value.is_finite()).map(Self::Float),
            ColumnType::Decimal { precision, scale } => {
                decimal(text, precision.into(), scale.into()).map(Self::Decimal)
            }
            // The parser forgives what data may not have, such as one digit for a month.
            ColumnType::Date => text.parse().ok().filter(|day: &NaiveDate| day.to_string() == text).map(Self::Date),
            ColumnType::Timestamp => {
                DateTime::parse_from_rfc3339(text).ok().map(|instant| Self::Instant(instant.with_timezone(&Utc)))
            }
            ColumnType::Boolean | ColumnType::String | ColumnType::Bytes => None,
        }
    }
}

/// Returns an example of a value of the type, for people.
pub(super) fn example(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Int64 => "100",
        ColumnType::Decimal { scale: 0, .. } => "9",
        ColumnType::Float64 | ColumnType::Decimal { .. } => "0.5",
        ColumnType::Date => "2025-01-31",
        ColumnType::Timestamp => "2025-01-31T08:00:00Z",
        ColumnType::Boolean | ColumnType::String | ColumnType::Bytes => "",
    }
}

fn decimal(text: &str, precision: usize, scale: usize) -> Option<i128> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let only_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !only_digits(whole) || !only_digits(fraction) {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    if fraction.len() > scale || whole.len() > precision - scale {
        return None;
    }
    let units = format!("0{whole}{fraction:0<scale$}").parse::<i128>().ok()?;
    Some(if negative { -units } else { units })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_exact_or_refused() {
        let parse = |text| Bound::parse(text, ColumnType::Decimal { precision: 6, scale: 2 });
        assert_eq!(parse("100"), Some(Bound::Decimal(10_000)));
        assert_eq!(parse("-0.5"), Some(Bound::Decimal(-50)));
        assert_eq!(parse("1.500"), Some(Bound::Decimal(150)));
        assert_eq!(parse("9999.99"), Some(Bound::Decimal(999_999)));
        for text in ["10000", "0.001", "1e3", ".5", "5.", "", "-", "1,5", "+1"] {
            assert_eq!(parse(text), None, "{text}");
        }
        let widest = ColumnType::Decimal { precision: 38, scale: 0 };
        assert!(Bound::parse(&"9".repeat(38), widest).is_some());
    }

    #[test]
    fn an_instant_has_an_offset() {
        assert!(Bound::parse("2025-01-31T08:00:00+08:00", ColumnType::Timestamp).is_some());
        assert_eq!(Bound::parse("2025-01-31T08:00:00", ColumnType::Timestamp), None);
        assert_eq!(Bound::parse("2025-01-31", ColumnType::Timestamp), None);
    }

    #[test]
    fn every_example_is_a_value_of_its_type() {
        for kind in ["int64", "float64", "decimal(1,0)", "decimal(1,1)", "date", "timestamp"] {
            let kind = kind.parse::<ColumnType>().unwrap();
            assert!(Bound::parse(example(kind), kind).is_some(), "{kind}");
        }
    }
}

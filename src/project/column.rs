//! What a column holds: its type, the rules that its values keep, and the words that describe it.

use std::fmt;
use std::str::FromStr;

use arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The seven types that a contract can ask for.
///
/// | written | Arrow | notes |
/// |---|---|---|
/// | `int64` | `Int64` | |
/// | `float64` | `Float64` | finite |
/// | `decimal(p,s)` | `Decimal128(p, s)` | 1 ≤ p ≤ 38, 0 ≤ s ≤ p; exact, no rounding on the way in |
/// | `boolean` | `Boolean` | |
/// | `string` | `Utf8` | |
/// | `date` | `Date32` | |
/// | `timestamp` | `Timestamp(Microsecond, "UTC")` | |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// A whole number of 64 bits.
    Int64,
    /// A finite floating-point number of 64 bits.
    Float64,
    /// An exact number of `precision` digits, `scale` of them after the point.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, at most `precision`.
        scale: u8,
    },
    /// True or false.
    Boolean,
    /// Text.
    String,
    /// A calendar day.
    Date,
    /// An instant, in microseconds of UTC.
    Timestamp,
    /// Bytes as they are. Only opsmart's own tables hold them; a contract cannot ask for them.
    Bytes,
}

impl ColumnType {
    /// How each type is written; `decimal` takes its digits in parentheses.
    pub const NAMES: [&str; 7] = ["int64", "float64", "decimal(p,s)", "boolean", "string", "date", "timestamp"];

    /// Returns the Arrow type that a column of this type has in every stored table.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale.cast_signed()),
            Self::Boolean => DataType::Boolean,
            Self::String => DataType::Utf8,
            Self::Date => DataType::Date32,
            Self::Timestamp => timestamp(),
            Self::Bytes => DataType::Binary,
        }
    }

    /// Returns the type whose Arrow type is `data_type`, if there is one.
    #[must_use]
    pub fn from_arrow(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Int64 => Self::Int64,
            DataType::Float64 => Self::Float64,
            DataType::Decimal128(precision, scale) => {
                Self::Decimal { precision: *precision, scale: u8::try_from(*scale).ok()? }
            }
            DataType::Boolean => Self::Boolean,
            DataType::Utf8 => Self::String,
            DataType::Date32 => Self::Date,
            DataType::Binary => Self::Bytes,
            kind if *kind == timestamp() => Self::Timestamp,
            _ => return None,
        })
    }

    /// Returns the type that holds a number exactly that is written like this, if its digits are not too many.
    #[must_use]
    pub fn exact(number: &str) -> Option<Self> {
        let after_point = number.split_once('.').map_or(0, |(_, digits)| digits.len());
        let scale = u8::try_from(after_point).ok().filter(|scale| *scale <= 38)?;
        Some(Self::Decimal { precision: 38, scale })
    }

    /// Returns whether values of this type can be added.
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int64 | Self::Float64 | Self::Decimal { .. })
    }

    /// Returns whether values of this type have an order that `min` and `max` can speak of.
    #[must_use]
    pub fn has_range(self) -> bool {
        !matches!(self, Self::Boolean | Self::String | Self::Bytes)
    }
}

/// The one Arrow type of every stored instant.
#[must_use]
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int64 => f.write_str("int64"),
            Self::Float64 => f.write_str("float64"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Boolean => f.write_str("boolean"),
            Self::String => f.write_str("string"),
            Self::Date => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Bytes => f.write_str("bytes"),
        }
    }
}

impl Serialize for ColumnType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "bytes" {
            return Ok(Self::Bytes);
        }
        text.parse().map_err(|()| serde::de::Error::custom(format!("`{text}` is not a column type")))
    }
}

impl FromStr for ColumnType {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "int64" => Self::Int64,
            "float64" => Self::Float64,
            "boolean" => Self::Boolean,
            "string" => Self::String,
            "date" => Self::Date,
            "timestamp" => Self::Timestamp,
            _ => {
                let digits = text.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')')).ok_or(())?;
                let (precision, scale) = digits.split_once(',').ok_or(())?;
                let precision = precision.trim().parse::<u8>().map_err(|_| ())?;
                let scale = scale.trim().parse::<u8>().map_err(|_| ())?;
                if precision == 0 || precision > 38 || scale > precision {
                    return Err(());
                }
                Self::Decimal { precision, scale }
            }
        })
    }
}

/// What the values of a column must keep to. Nulls keep every rule but `required`.
///
/// `min`, `max` and `values` hold the text as the contract gives it; the loader has made sure that it parses as the
/// column's type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// Whether a null is a mistake.
    pub required: bool,
    /// The only values allowed; empty allows all.
    pub values: Vec<String>,
    /// The smallest value allowed.
    pub min: Option<String>,
    /// The largest value allowed.
    pub max: Option<String>,
    /// A regular expression that text must match somewhere (anchor it to match the whole).
    pub pattern: Option<String>,
}

/// What can be done to the texts of a column before they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normaliser {
    /// Cuts off white space, also what cannot be seen, at both ends.
    Trim,
    /// Makes letters small.
    Lower,
    /// Makes letters large.
    Upper,
    /// Makes characters that mean the same one: full-width ones half-width, ligatures letters (Unicode NFKC).
    Nfkc,
    /// A telephone number: digits alone, after a `+` where it has a country's code.
    Phone,
    /// An address of electronic mail, in small letters.
    Email,
    /// A currency: the three letters of its code.
    Currency,
    /// An amount of money: the number without currency and grouping of digits.
    Amount,
    /// A number with a decimal comma.
    DecimalComma,
    /// More words for true and false, English and Chinese.
    Words,
}

impl Normaliser {
    /// Every normaliser with its name.
    pub const NAMES: [(&str, Self); 10] = [
        ("trim", Self::Trim),
        ("lower", Self::Lower),
        ("upper", Self::Upper),
        ("nfkc", Self::Nfkc),
        ("phone", Self::Phone),
        ("email", Self::Email),
        ("currency", Self::Currency),
        ("amount", Self::Amount),
        ("decimal_comma", Self::DecimalComma),
        ("words", Self::Words),
    ];

    /// Returns whether it makes something of the texts of a type.
    #[must_use]
    pub fn fits(self, kind: ColumnType) -> bool {
        match self {
            Self::Trim | Self::Nfkc => true,
            Self::Lower | Self::Upper | Self::Phone | Self::Email | Self::Currency => kind == ColumnType::String,
            Self::Amount | Self::DecimalComma => kind.is_number(),
            Self::Words => kind == ColumnType::Boolean,
        }
    }
}

/// The words that describe a column to people and BI tools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnDoc {
    /// What the column means.
    pub description: Option<String>,
    /// What its numbers count or measure.
    pub unit: Option<String>,
    /// Its label in English.
    pub en: Option<String>,
    /// Its label in Chinese.
    pub zh: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_back_what_it_prints() {
        for text in ["int64", "float64", "decimal(18,4)", "boolean", "string", "date", "timestamp"] {
            assert_eq!(text.parse::<ColumnType>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_decimal_has_digits_that_exist() {
        for text in ["decimal", "decimal()", "decimal(0,0)", "decimal(39,0)", "decimal(4,5)", "decimal(4)", "int"] {
            assert!(text.parse::<ColumnType>().is_err(), "{text}");
        }
    }
}

//! How the rows of a table are told apart.

use std::ops::RangeInclusive;

use chrono::{Datelike, Months, NaiveDate, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::column::ColumnType;

/// What the rows of a table are told apart by, so that a change to some of them leaves the others alone.
///
/// Rows without a value are a partition of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PartitionBy {
    /// By day: a date, or the local day of a timestamp.
    Day {
        /// The column.
        column: String,
        /// The zone of local days: the reporting zone.
        #[serde(serialize_with = "zone_name", deserialize_with = "zone_of")]
        zone: Tz,
    },
    /// By the hash of a value, in so many parts.
    Bucket {
        /// The column.
        column: String,
        /// How many buckets there are, at least one.
        buckets: u32,
    },
}

/// Which days a partition by day reads, of inputs with partitions by day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayReach {
    /// Those around its own.
    Around {
        /// How many days before it.
        before: u32,
        /// How many days after it.
        after: u32,
    },
    /// Those of the week that begins with its own, on this day of the week. The table has rows of such days and no others.
    Week(Weekday),
    /// Those of the month that begins with its own. The table has rows of first days of months and no others.
    Month,
}

impl DayReach {
    /// Returns the days that the partition of a day reads. Days are counted from 1970-01-01.
    #[must_use]
    pub fn read_by(self, day: i32) -> RangeInclusive<i64> {
        let own = i64::from(day);
        match self {
            Self::Around { before, after } => own - i64::from(before)..=own + i64::from(after),
            Self::Week(_) => own..=own + 6,
            Self::Month => {
                let next = NaiveDate::from_epoch_days(day).and_then(|date| date.checked_add_months(Months::new(1)));
                own..=next.map_or(own, |next| i64::from(next.to_epoch_days()) - 1)
            }
        }
    }

    /// Returns the days whose partitions read a day.
    #[must_use]
    pub fn readers_of(self, day: i32) -> RangeInclusive<i64> {
        let own = i64::from(day);
        let first = NaiveDate::from_epoch_days(day).map_or(own, |date| match self {
            Self::Around { .. } => own,
            Self::Week(first) => own - i64::from(date.weekday().days_since(first)),
            Self::Month => own - i64::from(date.day0()),
        });
        match self {
            Self::Around { before, after } => own - i64::from(after)..=own + i64::from(before),
            Self::Week(_) | Self::Month => first..=first,
        }
    }
}

impl PartitionBy {
    /// Returns the column that decides.
    #[must_use]
    pub fn column(&self) -> &str {
        match self {
            Self::Day { column, .. } | Self::Bucket { column, .. } => column,
        }
    }

    /// Returns whether both go by partitions of one kind: values of their columns that are equal lead to partitions of
    /// one key.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Day { zone, .. }, Self::Day { zone: other, .. }) => zone == other,
            (Self::Bucket { buckets, .. }, Self::Bucket { buckets: others, .. }) => buckets == others,
            _ => false,
        }
    }

    /// Returns what is wrong with going by a column of such a type, and what to do about it.
    pub(crate) fn mistake(&self, kind: ColumnType) -> Option<(String, &'static str)> {
        let column = self.column();
        match (self, kind) {
            (Self::Day { .. }, ColumnType::Date | ColumnType::Timestamp) => None,
            (Self::Day { .. }, kind) => Some((
                format!("`partition` cannot go by the day of `{column}`, of type `{kind}`"),
                "name a date or a timestamp",
            )),
            (Self::Bucket { .. }, ColumnType::Float64) => Some((
                format!("`partition` cannot go by `{column}`, of type `float64`"),
                "name a column whose values are exact, such as an id",
            )),
            (Self::Bucket { .. }, _) => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is how the field is written")]
fn zone_name<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.name())
}

fn zone_of<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Tz, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

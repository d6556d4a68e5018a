//! Reads `partition`: what the rows of a table are told apart by.

use chrono_tz::Tz;

use super::value::duration;
use crate::diagnostic::{Code, Diagnostic};
use crate::project::toml_reader::{Table, Value};
use crate::project::{ColumnType, DayReach, Located, PartitionBy};

/// More buckets than this are more files than rows deserve.
const MOST_BUCKETS: i64 = 4096;

/// Returns what `partition` says, and the column that it names; days are those of `zone`.
pub(super) fn read(table: &mut Table<'_>, zone: Tz) -> Option<(PartitionBy, Located)> {
    const EXAMPLE: &str = "day = \"created_at\"";
    let mut choice = table.table("partition")?;
    let says_which = choice.has("day") || choice.has("bucket");
    let (day, bucket) = (choice.text("day"), choice.text("bucket"));
    let buckets = choice.take("buckets");
    let read = match (day, bucket) {
        (Some(_), Some(bucket)) => {
            choice.reject(&bucket, "`partition` has both `day` and `bucket`", "keep one of them");
            None
        }
        (Some(day), None) => {
            if let Some(buckets) = buckets {
                buckets.reject("`buckets` is for `bucket`", "remove it: each day is a partition");
            }
            Some((PartitionBy::Day { column: day.text.clone(), zone }, day))
        }
        (None, Some(bucket)) => {
            let Some(value) = buckets else {
                choice.missing("buckets", "buckets = 64");
                choice.finish();
                return None;
            };
            let number = value.integer()?;
            let buckets = u32::try_from(number).ok().filter(|_| (1..=MOST_BUCKETS).contains(&number));
            if buckets.is_none() {
                value.reject(
                    format!("`buckets` cannot be {number}"),
                    format!("write a number from 1 to {MOST_BUCKETS}"),
                );
            }
            Some((PartitionBy::Bucket { column: bucket.text.clone(), buckets: buckets? }, bucket))
        }
        (None, None) => {
            if !says_which {
                choice.missing("day", EXAMPLE);
            }
            None
        }
    };
    choice.finish();
    read
}

/// Returns what `reach` says of a table with such partitions.
pub(super) fn reach(table: &mut Table<'_>, by: Option<&PartitionBy>) -> Option<DayReach> {
    let mut choice = table.table("reach")?;
    let place = choice.place();
    let (before, after) = (choice.take("before"), choice.take("after"));
    if before.is_none() && after.is_none() {
        choice.missing("before", "before = \"27 days\"");
    }
    let days = |value: Option<Value<'_>>| value.and_then(|value| whole_days(&value)).unwrap_or_default();
    let reach = DayReach::Around { before: days(before), after: days(after) };
    choice.finish();
    if !matches!(by, Some(PartitionBy::Day { .. })) {
        let message = "`reach` is for tables with partitions by day";
        table.report(Diagnostic::new(Code::InvalidValue, place, message).help("write `partition = { day = \"day\" }`"));
        return None;
    }
    Some(reach)
}

/// Returns how many days a text says.
fn whole_days(value: &Value<'_>) -> Option<u32> {
    /// Ten years: more is a table that is made as a whole.
    const MOST_DAYS: u64 = 3660;
    const DAY_SECONDS: u64 = 86_400;
    let seconds = duration(value)?.as_secs();
    if seconds % DAY_SECONDS != 0 || seconds / DAY_SECONDS > MOST_DAYS {
        value.reject(
            format!("`{}` is not a number of days up to {MOST_DAYS}", value.name.text),
            "write such as `\"27 days\"`",
        );
        return None;
    }
    u32::try_from(seconds / DAY_SECONDS).ok()
}

/// Reports a column of a type that partitions cannot go by.
pub(super) fn check_type(table: &Table<'_>, by: &PartitionBy, word: &Located, kind: ColumnType) {
    if let Some((message, help)) = by.mistake(kind) {
        table.report(Diagnostic::new(Code::RuleType, table.at(word.bytes.clone()), message).help(help));
    }
}

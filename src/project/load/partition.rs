//! Reads `partition`: what the rows of a table are told apart by.

use chrono_tz::Tz;

use crate::diagnostic::{Code, Diagnostic};
use crate::project::toml_reader::Table;
use crate::project::{ColumnType, PartitionBy, Spelled};

/// More buckets than this are more files than rows deserve.
const MOST_BUCKETS: i64 = 4096;

/// Returns what `partition` says, and the column that it names; days are those of `zone`.
pub(super) fn read(table: &mut Table<'_>, zone: Tz) -> Option<(PartitionBy, Spelled)> {
    const EXAMPLE: &str = "day = \"created_at\"";
    let mut choice = table.table("partition")?;
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
            choice.missing("day", EXAMPLE);
            None
        }
    };
    choice.finish();
    read
}

/// Reports a column of a type that partitions cannot go by.
pub(super) fn check_type(table: &Table<'_>, by: &PartitionBy, word: &Spelled, kind: ColumnType) {
    if let Some((message, help)) = by.mistake(kind) {
        table.report(Diagnostic::new(Code::RuleType, table.at(word.bytes.clone()), message).help(help));
    }
}

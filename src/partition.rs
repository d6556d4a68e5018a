//! Tells which partition of its table each row belongs to.
//!
//! A day is counted from 1970-01-01 and, of an instant, is the local one of the reporting zone. A bucket is told by the
//! XXH3 hash of the value in Arrow's row format. The key of a row depends on its value alone.

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Schema, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use chrono::{Days, NaiveDate};
use xxhash_rust::xxh3::xxh3_64;

use crate::local_days::LocalDays;
use crate::project::{PartitionBy, timestamp};

/// Which partition: the days since 1970-01-01, or the number of a bucket; nothing for rows without a value.
pub type PartitionKey = Option<i32>;

/// Returns a key of a partition as people write it.
#[must_use]
pub fn name_of(by: &PartitionBy, key: PartitionKey) -> String {
    match (by, key) {
        (_, None) => "null".to_owned(),
        (PartitionBy::Bucket { .. }, Some(bucket)) => bucket.to_string(),
        (PartitionBy::Day { .. }, Some(day)) => day_of(day).map_or_else(|| day.to_string(), |day| day.to_string()),
    }
}

/// Returns the key of a partition that people write so; nothing if none is written so.
#[must_use]
pub fn key_of(by: &PartitionBy, name: &str) -> Option<PartitionKey> {
    let key = match by {
        _ if name == "null" => None,
        PartitionBy::Bucket { .. } => Some(name.parse().ok()?),
        PartitionBy::Day { .. } => {
            let day: NaiveDate = name.parse().ok()?;
            Some(i32::try_from((day - NaiveDate::default()).num_days()).ok()?)
        }
    };
    // A bucket that is not there and a day such as 2024-1-5 are written by nobody.
    let is_one = match (by, key) {
        (PartitionBy::Bucket { buckets, .. }, Some(bucket)) => {
            u32::try_from(bucket).is_ok_and(|bucket| bucket < *buckets)
        }
        _ => true,
    };
    (is_one && name_of(by, key) == name).then_some(key)
}

/// Returns the day that is so many days after 1970-01-01.
#[must_use]
pub fn day_of(days: i32) -> Option<NaiveDate> {
    let epoch = NaiveDate::default();
    let distance = Days::new(u64::from(days.unsigned_abs()));
    if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) }
}

/// Tells the partitions of rows of one table.
#[derive(Debug)]
pub struct Partitioner {
    at: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Date,
    Instant(LocalDays),
    Bucket(u64, RowConverter),
}

impl Partitioner {
    /// Prepares for rows of `schema`; nothing if it has no such column, or one of a type that has no partitions.
    #[must_use]
    pub fn new(by: &PartitionBy, schema: &Schema) -> Option<Self> {
        let (at, field) = schema.column_with_name(by.column())?;
        let kind = match (by, field.data_type()) {
            (PartitionBy::Day { .. }, DataType::Date32) => Kind::Date,
            (PartitionBy::Day { zone, .. }, DataType::Timestamp(..)) => Kind::Instant(LocalDays::new(*zone)),
            (PartitionBy::Day { .. }, _) => return None,
            (PartitionBy::Bucket { buckets, .. }, kind) => {
                Kind::Bucket(u64::from(*buckets), RowConverter::new(vec![SortField::new(kind.clone())]).ok()?)
            }
        };
        Some(Self { at, kind })
    }

    /// Returns the key of each row of a batch of the schema.
    ///
    /// # Errors
    /// When the batch is not of the schema.
    pub fn keys(&mut self, batch: &RecordBatch) -> Result<Int32Array, ArrowError> {
        self.keys_of(batch.column(self.at))
    }

    /// Returns the key of each value of the column that decides.
    ///
    /// # Errors
    /// When the values are of another type.
    pub fn keys_of(&mut self, values: &ArrayRef) -> Result<Int32Array, ArrowError> {
        Ok(match &mut self.kind {
            Kind::Date => values.as_primitive::<Date32Type>().reinterpret_cast(),
            Kind::Instant(days) => {
                let instants = cast(values, &timestamp())?;
                let instants = instants.as_primitive::<TimestampMicrosecondType>();
                instants.iter().map(|instant| days.of(instant?)).collect()
            }
            Kind::Bucket(buckets, converter) => {
                let rows = converter.convert_columns(std::slice::from_ref(values))?;
                let bucket = |row: usize| {
                    let bucket = xxh3_64(rows.row(row).as_ref()) % *buckets;
                    values.is_valid(row).then(|| i32::try_from(bucket).unwrap_or_default())
                };
                (0..values.len()).map(bucket).collect()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::Field;

    use super::*;

    fn keys(by: &PartitionBy, values: ArrayRef) -> Vec<PartitionKey> {
        let schema = Arc::new(Schema::new(vec![Field::new("c", values.data_type().clone(), true)]));
        let mut partitioner = Partitioner::new(by, &schema).unwrap();
        partitioner.keys(&RecordBatch::try_new(schema, vec![values]).unwrap()).unwrap().iter().collect()
    }

    #[test]
    fn a_day_is_that_of_the_date_or_the_local_one_of_the_instant() {
        let by = PartitionBy::Day { column: "c".into(), zone: "Asia/Shanghai".parse().unwrap() };
        assert_eq!(
            keys(&by, Arc::new(Date32Array::from(vec![Some(-1), None, Some(19_723)]))),
            [Some(-1), None, Some(19_723)]
        );
        // 1969-12-31T16:00Z is midnight in Shanghai.
        let eight_hours = 8 * 3_600_000_000;
        let instants = TimestampMicrosecondArray::from(vec![Some(-eight_hours), Some(-eight_hours - 1), None]);
        assert_eq!(keys(&by, Arc::new(instants.with_timezone("UTC"))), [Some(0), Some(-1), None]);
        assert_eq!(name_of(&by, Some(19_723)), "2024-01-01");
        assert_eq!(name_of(&by, Some(-1)), "1969-12-31");
    }

    #[test]
    fn a_key_is_written_in_one_way() {
        let day = PartitionBy::Day { column: "c".into(), zone: "Asia/Shanghai".parse().unwrap() };
        let bucket = PartitionBy::Bucket { column: "c".into(), buckets: 8 };
        for key in [None, Some(-1), Some(0), Some(19_723)] {
            assert_eq!(key_of(&day, &name_of(&day, key)), Some(key));
        }
        for key in [None, Some(0), Some(7)] {
            assert_eq!(key_of(&bucket, &name_of(&bucket, key)), Some(key));
        }
        for none in ["", "2024-1-5", "2024-02-30", "7", "+262143-01-01", "NULL"] {
            assert_eq!(key_of(&day, none), None, "{none}");
        }
        for none in ["", "8", "-1", "07", "2024-01-01"] {
            assert_eq!(key_of(&bucket, none), None, "{none}");
        }
    }

    #[test]
    fn equal_values_share_a_bucket_and_all_buckets_are_used() {
        let by = PartitionBy::Bucket { column: "c".into(), buckets: 8 };
        let texts: Vec<String> = (0..400).map(|n| format!("u{}", n % 200)).collect();
        let found = keys(&by, Arc::new(StringArray::from(texts)));
        assert_eq!(found[..200], found[200..]);
        assert!((0..8).all(|bucket| found.contains(&Some(bucket))));
        assert_eq!(keys(&by, Arc::new(StringArray::from(vec![None::<&str>]))), [None]);
    }
}

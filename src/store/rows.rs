//! Sums over rows that tell whether two tables hold the same rows, whatever their order and files.
//!
//! Each row is brought into Arrow's row format, hashed with XXH3 to 128 bits, and the hashes are added up modulo
//! 2^128. It is a check against change and accident, not against someone who may choose rows to collide.

use std::fmt;
use std::str::FromStr;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_128;

/// How many rows there are, and the sum of their hashes. Printed and stored as `rows:sum`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowSum {
    /// The number of rows.
    pub rows: u64,
    /// The sum of their hashes modulo 2^128.
    pub sum: u128,
}

impl RowSum {
    /// Counts one row in.
    pub fn add(&mut self, hash: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash);
    }

    /// Returns this sum without rows that were counted in.
    #[must_use]
    pub fn less(self, rows: Self) -> Self {
        Self { rows: self.rows - rows.rows, sum: self.sum.wrapping_sub(rows.sum) }
    }

    /// Counts all rows of another sum in.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

impl fmt::Display for RowSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:032x}", self.rows, self.sum)
    }
}

impl FromStr for RowSum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once(':')
            .and_then(|(rows, sum)| Some(Self { rows: rows.parse().ok()?, sum: u128::from_str_radix(sum, 16).ok()? }));
        parsed.ok_or_else(|| format!("`{text}` is not a sum over rows"))
    }
}

impl Serialize for RowSum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RowSum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes the rows of batches, looking at the first `width` columns: those that SQL sees.
#[derive(Debug)]
pub struct RowHasher {
    converter: RowConverter,
    width: usize,
}

impl RowHasher {
    /// Prepares for batches of `schema`, whose first `width` columns count.
    ///
    /// # Errors
    /// A type that Arrow's row format does not know; no stored type is one.
    pub fn new(schema: &Schema, width: usize) -> Result<Self, ArrowError> {
        let fields = schema.fields()[..width].iter().map(|field| SortField::new(field.data_type().clone())).collect();
        Ok(Self { converter: RowConverter::new(fields)?, width })
    }

    /// Calls `each` with the hash of every row, in order.
    ///
    /// # Errors
    /// When the batch is not of the schema.
    pub fn hash(&mut self, batch: &RecordBatch, mut each: impl FnMut(u128)) -> Result<(), ArrowError> {
        let columns: &[ArrayRef] = &batch.columns()[..self.width];
        let rows = self.converter.convert_columns(columns)?;
        rows.iter().for_each(|row| each(xxh3_128(row.as_ref())));
        Ok(())
    }

    /// Returns the sum over the rows of a batch.
    ///
    /// # Errors
    /// When the batch is not of the schema.
    pub fn sum(&mut self, batch: &RecordBatch) -> Result<RowSum, ArrowError> {
        let mut sum = RowSum::default();
        self.hash(batch, |hash| sum.add(hash))?;
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field};

    use super::*;

    fn sum(rows: &[(i64, &str)]) -> RowSum {
        let schema =
            Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)]));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![numbers, texts]).unwrap();
        RowHasher::new(&schema, 2).unwrap().sum(&batch).unwrap()
    }

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        assert_eq!(sum(&[(1, "a"), (2, "b")]), sum(&[(2, "b"), (1, "a")]));
        assert_ne!(sum(&[(1, "a"), (2, "b")]), sum(&[(1, "b"), (2, "a")]));
        assert_ne!(sum(&[(1, "a")]), sum(&[(1, "a"), (1, "a")]));
    }

    #[test]
    fn rows_that_are_taken_out_leave_the_sum_of_the_others() {
        assert_eq!(sum(&[(1, "a"), (2, "b"), (3, "c")]).less(sum(&[(2, "b")])), sum(&[(1, "a"), (3, "c")]));
    }

    #[test]
    fn a_sum_reads_back_what_it_prints() {
        let sum = sum(&[(1, "a"), (2, "b")]);
        assert_eq!(sum.to_string().parse::<RowSum>().unwrap(), sum);
    }
}

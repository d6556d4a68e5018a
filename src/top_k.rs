//! Keeps the least few rows of a stream, whose order nothing fixes, so that they are the same in every run.
//!
//! What is kept is copied, so that it holds no more memory than its own.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fmt;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::{Serialize, Serializer};

/// A row as texts: its columns in order, each with its value; a null has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<(String, Option<String>)>);

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (column, value)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{column} {}", value.as_deref().unwrap_or("null"))?;
        }
        Ok(())
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(column, value)| (column, value)))
    }
}

/// Returns the rows of a batch as texts.
///
/// # Errors
/// When values of a type have no text.
pub fn as_texts(batch: &RecordBatch) -> Result<Vec<Row>, ArrowError> {
    let options = FormatOptions::default();
    let schema = batch.schema();
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| Ok((field.name(), column, ArrayFormatter::try_new(column, &options)?)));
    let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
    let row = |row: usize| {
        let text = |(name, column, formatter): &(&String, &ArrayRef, ArrayFormatter)| {
            ((*name).clone(), (!column.is_null(row)).then(|| formatter.value(row).to_string()))
        };
        Row(columns.iter().map(text).collect())
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

/// The least rows that it was given so far, at most a number of them.
#[derive(Debug)]
pub struct Least {
    limit: usize,
    converter: RowConverter,
    kept: BinaryHeap<Candidate>,
}

impl Least {
    /// Prepares to keep `limit` rows in the order of columns of these types.
    ///
    /// # Errors
    /// When values of a type have no order.
    pub fn new(limit: usize, order: Vec<SortField>) -> Result<Self, ArrowError> {
        Ok(Self { limit, converter: RowConverter::new(order)?, kept: BinaryHeap::new() })
    }

    /// Takes in the rows of a batch, which stand in the order of the columns `order`, one value for each row.
    ///
    /// # Errors
    /// When the columns are of other types.
    pub fn take(&mut self, order: &[ArrayRef], batch: &RecordBatch) -> Result<(), ArrowError> {
        let order = self.converter.convert_columns(order)?;
        for (at, key) in order.iter().enumerate() {
            if self.kept.len() == self.limit {
                match self.kept.peek() {
                    Some(Candidate { key: greatest, .. }) if key < greatest.row() => drop(self.kept.pop()),
                    _ => continue,
                }
            }
            let row = take_record_batch(batch, &UInt64Array::from(vec![at as u64]))?;
            self.kept.push(Candidate { key: key.owned(), row });
        }
        Ok(())
    }

    /// Returns the rows that were kept, the least first, each as a batch.
    #[must_use]
    pub fn into_rows(self) -> Vec<RecordBatch> {
        self.kept.into_sorted_vec().into_iter().map(|candidate| candidate.row).collect()
    }
}

/// A row that may be among the least.
#[derive(Debug)]
struct Candidate {
    key: OwnedRow,
    row: RecordBatch,
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn batch(values: &[i64]) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(values.to_vec()))]).unwrap()
    }

    fn kept(limit: usize, batches: &[&[i64]]) -> Vec<String> {
        let mut least = Least::new(limit, vec![SortField::new(DataType::Int64)]).unwrap();
        for values in batches {
            let batch = batch(values);
            least.take(batch.columns(), &batch).unwrap();
        }
        least.into_rows().iter().flat_map(|row| as_texts(row).unwrap()).map(|row| row.to_string()).collect()
    }

    #[test]
    fn the_least_are_kept_however_they_come() {
        assert_eq!(kept(2, &[&[5, 1], &[4, 3]]), ["n 1", "n 3"]);
        assert_eq!(kept(2, &[&[3], &[4, 1, 5]]), ["n 1", "n 3"]);
        assert_eq!(kept(9, &[&[2], &[1]]), ["n 1", "n 2"]);
        assert_eq!(kept(0, &[&[2], &[1]]), [""; 0]);
    }
}

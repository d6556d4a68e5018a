//! Counts the rows of a query and keeps the least few as texts.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fmt;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::row::{OwnedRow, RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{DataFusionError, Result};
use datafusion::dataframe::DataFrame;
use futures::StreamExt;
use serde::{Serialize, Serializer};

/// A row that breaks a promise: its columns in order, each with its value as text; a null has none.
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
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(column, value)| (column, value)))
    }
}

/// Runs a query; returns how many rows it has, and the least `limit` of them in the order of their values.
///
/// Rows come in an order that nothing fixes. The least are the same in every run.
///
/// # Errors
/// When the query fails.
pub(super) async fn count_and_keep(frame: DataFrame, limit: usize) -> Result<(u64, Vec<Row>)> {
    let mut stream = frame.execute_stream().await?;
    let fields = stream.schema().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let converter = RowConverter::new(fields)?;
    let mut rows = 0;
    let mut least = BinaryHeap::new();
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        let order = converter.convert_columns(batch.columns())?;
        for (at, key) in order.iter().enumerate() {
            if least.len() == limit {
                match least.peek() {
                    Some(Candidate { key: greatest, .. }) if key < greatest.row() => drop(least.pop()),
                    _ => continue,
                }
            }
            least.push(Candidate { key: key.owned(), row: batch.slice(at, 1) });
        }
    }
    let mut kept = Vec::with_capacity(least.len());
    for candidate in least.into_sorted_vec() {
        kept.extend(as_texts(&candidate.row)?);
    }
    Ok((rows, kept))
}

/// Runs a query that gives one count, and returns it.
///
/// # Errors
/// When the query fails.
pub(super) async fn count(frame: DataFrame) -> Result<u64> {
    let batches = frame.collect().await?;
    let count = batches.iter().find(|batch| batch.num_rows() > 0).and_then(|batch| {
        batch.column(0).as_primitive_opt::<Int64Type>().and_then(|counts| u64::try_from(counts.value(0)).ok())
    });
    count.ok_or_else(|| DataFusionError::Internal("a count gave no number".to_owned()))
}

/// A row that may be among the least.
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

fn as_texts(batch: &RecordBatch) -> Result<Vec<Row>> {
    let options = FormatOptions::default();
    let schema = batch.schema();
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| Ok((field.name(), column, ArrayFormatter::try_new(column, &options)?)));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let row = |row: usize| {
        let text = |(name, column, formatter): &(&String, &arrow::array::ArrayRef, ArrayFormatter)| {
            ((*name).clone(), (!column.is_null(row)).then(|| formatter.value(row).to_string()))
        };
        Row(columns.iter().map(text).collect())
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

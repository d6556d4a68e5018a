//! Counts the rows of a query and keeps the first few as texts.

use std::fmt;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result;
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

/// Runs a query; returns how many rows it has, and the first `limit` of them.
///
/// # Errors
/// When the query fails.
pub(super) async fn count_and_keep(frame: DataFrame, limit: usize) -> Result<(u64, Vec<Row>)> {
    let mut stream = frame.execute_stream().await?;
    let mut rows = 0;
    let mut kept = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        if kept.len() < limit {
            kept.extend(as_texts(&batch.slice(0, batch.num_rows().min(limit - kept.len())))?);
        }
    }
    Ok((rows, kept))
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

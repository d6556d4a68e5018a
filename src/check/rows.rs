//! Counts the rows of a query and keeps the least few as texts.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::row::SortField;
use datafusion::common::{DataFusionError, Result};
use datafusion::dataframe::DataFrame;
use futures::StreamExt;

use crate::top_k::{Least, Row, as_texts};

/// Runs a query; returns how many rows it has, the least `limit` of them in the order of their values, and the first of
/// these as it is.
///
/// Rows come in an order that nothing fixes. The least are the same in every run.
///
/// # Errors
/// When the query fails.
pub(super) async fn count_and_keep(frame: DataFrame, limit: usize) -> Result<(u64, Vec<Row>, Option<RecordBatch>)> {
    let mut stream = frame.execute_stream().await?;
    let fields = stream.schema().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let mut least = Least::new(limit, fields)?;
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        least.take(batch.columns(), &batch)?;
    }
    let least = least.into_rows();
    let mut kept = Vec::new();
    for row in &least {
        kept.extend(as_texts(row)?);
    }
    Ok((rows, kept, least.into_iter().next()))
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

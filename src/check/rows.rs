//! Counts the rows of a query and keeps the first few as JSON.

use arrow::array::RecordBatch;
use arrow::json::LineDelimitedWriter;
use datafusion::common::Result;
use datafusion::dataframe::DataFrame;
use futures::StreamExt;
use serde_json::Value;

/// Runs a query; returns how many rows it has, and the first `limit` of them.
///
/// # Errors
/// When the query fails.
pub(super) async fn count_and_keep(frame: DataFrame, limit: usize) -> Result<(u64, Vec<Value>)> {
    let mut stream = frame.execute_stream().await?;
    let mut rows = 0;
    let mut kept = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        if kept.len() < limit {
            kept.extend(as_json(&batch.slice(0, batch.num_rows().min(limit - kept.len())))?);
        }
    }
    Ok((rows, kept))
}

fn as_json(batch: &RecordBatch) -> Result<Vec<Value>> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    let text = writer.into_inner();
    let parse = |line: &[u8]| serde_json::from_slice(line).ok();
    Ok(text.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

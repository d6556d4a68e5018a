//! The dataset's part of `dq_ledger`: one row for every landed file that lives.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use super::dedup::DedupDecision;
use super::{CleanError, Part};
use crate::digest::Digest;
use crate::project::SourceContract;
use crate::store::{AdmittedFile, CleanCounts, DataFile, Ledger, Store, StoreError};
use crate::system_tables::SystemTable;

/// One row: a path, and the counts of the content that it is the first to hold.
struct Row<'a> {
    path: &'a AdmittedFile,
    hash: &'a str,
    /// The earlier path with the same content.
    copy_of: Option<&'a str>,
    ledger: Ledger,
    counts: CleanCounts,
    unknown_columns: &'a [String],
}

/// How many rows are made at a time.
const BATCH_ROWS: usize = 4096;

/// Writes the rows of one dataset and returns their file. `decided` says what became of the rows of each of `parts`.
pub(super) fn write(
    store: &Store,
    contract: &SourceContract,
    live: &[&AdmittedFile],
    (parts, decided): (&[Part], &[DedupDecision]),
) -> Result<DataFile, CleanError> {
    let schema = SystemTable::Ledger.schema();
    let table = SystemTable::Ledger.name();
    let of_content: HashMap<&Digest, usize> = parts.iter().zip(0..).map(|(part, at)| (&part.identity, at)).collect();
    let mut first: Vec<Option<&str>> = vec![None; parts.len()];
    let mut file = store.create_parquet(table, &schema, schema.fields().len())?;
    for paths in live.chunks(BATCH_ROWS) {
        let mut rows = Vec::with_capacity(paths.len());
        for path in paths {
            let Some(&at) = of_content.get(&path.content) else { continue };
            let content = &parts[at].content;
            let copy_of = first[at];
            first[at].get_or_insert(&path.path);
            let is_first = copy_of.is_none();
            rows.push(Row {
                path,
                hash: content.hash.as_str(),
                copy_of,
                ledger: if is_first { *content.ledger } else { Ledger::default() },
                counts: if is_first { decided[at].counts } else { CleanCounts::default() },
                unknown_columns: &content.unknown_columns,
            });
        }
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns(contract, &rows))
            .map_err(|source| StoreError::Rows { table: table.to_owned(), source })?;
        file.write(&batch)?;
    }
    Ok(file.finish()?)
}

/// Returns the columns in the order of the table's schema.
fn columns(contract: &SourceContract, rows: &[Row]) -> Vec<ArrayRef> {
    let text =
        |get: &dyn Fn(&Row) -> Option<String>| -> ArrayRef { Arc::new(rows.iter().map(get).collect::<StringArray>()) };
    let count = |get: &dyn Fn(&Row) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(get(row).cast_signed())).collect::<Int64Array>())
    };
    // A copy has no rows of its own.
    let repeated = |row: &Row| contract.count_repeated.then_some(row.counts.repeated.unwrap_or(0).cast_signed());
    let landed: TimestampMicrosecondArray =
        rows.iter().map(|row| Some(row.path.landed_at.timestamp_micros())).collect();
    vec![
        text(&|_| Some(contract.name.clone())),
        text(&|row| Some(row.path.path.to_string())),
        text(&|row| Some(row.hash.to_owned())),
        Arc::new(landed.with_timezone("UTC")),
        count(&|row| row.path.sequence),
        text(&|row| row.copy_of.map(str::to_owned)),
        count(&|row| row.ledger.bytes),
        count(&|row| row.ledger.records),
        count(&|row| row.ledger.accepted),
        count(&|row| row.ledger.quarantined),
        count(&|row| row.ledger.blank),
        count(&|row| row.ledger.rows),
        count(&|row| row.counts.clean),
        count(&|row| row.counts.exact_duplicates),
        count(&|row| row.counts.superseded),
        Arc::new(rows.iter().map(repeated).collect::<Int64Array>()),
        count(&|row| row.ledger.late),
        count(&|row| row.counts.quarantined_in_clean),
        Arc::new(rows.iter().map(rejected_share).collect::<Float64Array>()),
        text(&|row| if row.unknown_columns.is_empty() { None } else { Some(row.unknown_columns.join(", ")) }),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a share of a few digits")]
fn rejected_share(row: &Row) -> Option<f64> {
    let Row { ledger, counts, .. } = row;
    let records = ledger.rows + ledger.misfits();
    let quarantined = ledger.misfits() + counts.quarantined_in_clean;
    if records == 0 { None } else { Some(quarantined as f64 / records as f64) }
}

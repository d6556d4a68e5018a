//! The dataset's part of `dq_ledger`: one row for every landed file that lives.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use super::CleanError;
use crate::plan::{OwnTable, live_paths};
use crate::project::SourceContract;
use crate::store::{CleanCounts, Content, DataFile, LandedPath, Ledger, Store, StoreError};

/// One row: a path, and the counts of the content that it is the first to hold.
struct Row<'a> {
    path: &'a LandedPath,
    hash: &'a str,
    /// The earlier path with the same content.
    copy_of: Option<&'a str>,
    ledger: Ledger,
    counts: CleanCounts,
    unknown_columns: &'a [String],
}

/// Writes the rows of one dataset and returns their file.
pub(super) fn write(
    store: &Store,
    contract: &SourceContract,
    (paths, contents): (&[LandedPath], &BTreeMap<String, Content>),
    counts: &BTreeMap<String, CleanCounts>,
) -> Result<DataFile, CleanError> {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut rows = Vec::new();
    for path in live_paths(contract.files, paths) {
        let Some(content) = contents.get(&path.content) else { continue };
        let copy_of = first.get(path.content.as_str()).copied();
        first.entry(&path.content).or_insert(&path.path);
        let is_first = copy_of.is_none();
        rows.push(Row {
            path,
            hash: content.hash.as_str(),
            copy_of,
            ledger: if is_first { content.ledger } else { Ledger::default() },
            counts: if is_first {
                counts.get(&path.content).copied().unwrap_or_default()
            } else {
                CleanCounts::default()
            },
            unknown_columns: &content.unknown_columns,
        });
    }
    let schema = OwnTable::Ledger.schema();
    let table = OwnTable::Ledger.name();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns(contract, &rows))
        .map_err(|source| StoreError::Rows { table: table.to_owned(), source })?;
    let mut file = store.create_parquet(table, &schema, schema.fields().len())?;
    file.write(&batch)?;
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
        text(&|row| Some(row.path.path.clone())),
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
    let set_aside = ledger.misfits() + counts.quarantined_in_clean;
    if records == 0 { None } else { Some(set_aside as f64 / records as f64) }
}

//! `dq_check_result` and `dq_check_row`: the results of checks, as tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use super::system_tables;
use crate::digest::Parts;
use crate::store::{CheckResult, CheckResults, Store, StoreError, TableState};
use crate::system_tables::SystemTable;

/// Writes the tables that tell of `outcomes`.
///
/// # Errors
/// When the store cannot be written.
pub(super) fn tables(store: &Store, outcomes: &CheckResults) -> Result<Vec<TableState>, StoreError> {
    let own = SystemTable::ALL.into_iter().filter(|own| own.is_of_checks());
    own.map(|own| table(store, own, outcomes)).collect()
}

fn table(store: &Store, own: SystemTable, outcomes: &CheckResults) -> Result<TableState, StoreError> {
    let schema = own.schema();
    let columns = if own == SystemTable::CheckRow { row_columns(outcomes) } else { result_columns(outcomes) };
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)
        .map_err(|source| StoreError::Rows { table: own.name().to_owned(), source })?;
    let mut file = store.create_parquet(own.name(), &schema, schema.fields().len())?;
    file.write(&batch)?;
    let file = file.finish()?;
    let mut build_hash = Parts::of("outcomes");
    build_hash.add(file.sum.to_string());
    let build_hash = build_hash.digest();
    Ok(system_tables::state(own, build_hash, vec![file]))
}

/// Returns the columns of `dq_check_result` in the order of its schema.
fn result_columns(outcomes: &CheckResults) -> Vec<ArrayRef> {
    let text = |get: &dyn Fn(&CheckResult) -> Option<&str>| -> ArrayRef {
        Arc::new(outcomes.values().map(get).collect::<StringArray>())
    };
    let count = |get: fn(&CheckResult) -> Option<u64>| -> ArrayRef {
        Arc::new(outcomes.values().map(|outcome| get(outcome).map(u64::cast_signed)).collect::<Int64Array>())
    };
    let asked_at: TimestampMicrosecondArray =
        outcomes.values().map(|outcome| Some(outcome.asked_at.timestamp_micros())).collect();
    vec![
        Arc::new(outcomes.keys().map(Some).collect::<StringArray>()),
        text(&|outcome| outcome.table.as_deref()),
        text(&|outcome| Some(&outcome.kind)),
        text(&|outcome| Some(outcome.severity.as_str())),
        text(&|outcome| Some(outcome.state.as_str())),
        count(|outcome| Some(outcome.failing_rows)),
        count(|outcome| outcome.tested_rows),
        Arc::new(outcomes.values().map(share).collect::<Float64Array>()),
        text(&|outcome| outcome.threshold.as_deref()),
        text(&|outcome| Some(&outcome.message)),
        Arc::new(asked_at.with_timezone("UTC")),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a share of a few digits")]
fn share(outcome: &CheckResult) -> Option<f64> {
    outcome.tested_rows.filter(|tested| *tested > 0).map(|tested| outcome.failing_rows as f64 / tested as f64)
}

/// Returns the columns of `dq_check_row` in the order of its schema.
fn row_columns(outcomes: &CheckResults) -> Vec<ArrayRef> {
    let rows: Vec<(&String, i64, &String)> = outcomes
        .iter()
        .flat_map(|(name, outcome)| (1..).zip(&outcome.rows).map(move |(number, row)| (name, number, row)))
        .collect();
    vec![
        Arc::new(rows.iter().map(|(name, ..)| Some(name)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|(_, number, _)| Some(*number)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|(.., row)| Some(row)).collect::<StringArray>()),
    ]
}

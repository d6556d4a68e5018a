//! Rows of stored tables by their number: their position in the order of the files.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::{Column, DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use crate::ingest::{FILE_COLUMN, LINE_COLUMN};
use crate::store::{Store, TableState};
use crate::tables::stored_file;

/// Numbers of rows of a stored table.
pub(super) type Numbers = BTreeSet<u64>;

/// A stored table, with the columns behind its own that say where landed rows came from.
pub(super) struct Stored<'a> {
    pub(super) store: &'a Store,
    pub(super) state: &'a TableState,
    pub(super) is_landed: bool,
}

impl Stored<'_> {
    /// Returns the columns behind its own.
    pub(super) fn behind(&self) -> Vec<Field> {
        let origin = [Field::new(FILE_COLUMN, DataType::Utf8, true), Field::new(LINE_COLUMN, DataType::Int64, true)];
        if self.is_landed { origin.to_vec() } else { Vec::new() }
    }

    /// Reads columns of all rows; `each` is given the number of the first row of a batch, and the batch.
    pub(super) async fn read<E: From<DataFusionError>>(
        &self,
        session: &SessionContext,
        columns: &[String],
        mut each: impl FnMut(u64, RecordBatch) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let behind = self.behind();
        let mut next = 0;
        for file in &self.state.files {
            let rows = session.read_table(stored_file(self.store, self.state, &behind, file)?)?;
            let named = |name: &String| Expr::Column(Column::from_name(name));
            let mut stream = rows.select(columns.iter().map(named).collect::<Vec<_>>())?.execute_stream().await?;
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                let first = next;
                next += batch.num_rows() as u64;
                each(first, batch)?;
            }
        }
        Ok(())
    }

    /// Returns the rows with some numbers, with all columns and those behind them.
    pub(super) async fn rows(&self, session: &SessionContext, numbers: &Numbers) -> Result<RecordBatch> {
        let own = self.state.columns.iter().map(|column| column.name.clone());
        let columns: Vec<String> = own.chain(self.behind().iter().map(|field| field.name().clone())).collect();
        let mut schema: Option<SchemaRef> = None;
        let mut found = Vec::new();
        let keep = |first: u64, batch: RecordBatch| {
            schema.get_or_insert_with(|| batch.schema());
            let is_wanted = (first..first + batch.num_rows() as u64).map(|number| Some(numbers.contains(&number)));
            let rows = filter_record_batch(&batch, &is_wanted.collect::<BooleanArray>())?;
            if rows.num_rows() > 0 {
                found.push(rows);
            }
            Ok::<(), DataFusionError>(())
        };
        self.read(session, &columns, keep).await?;
        let schema = schema.unwrap_or_else(|| {
            let own = crate::store::schema_of(&self.state.columns);
            let fields = own.fields().iter().map(|field| Field::clone(field)).chain(self.behind());
            Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()))
        });
        Ok(concat_batches(&schema, &found)?)
    }
}

//! Writes what is read of one landed file: accepted rows to one Parquet file, quarantined records to another.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Int64Builder, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};

use super::file::{Outcome, Sink};
use super::quarantine::QuarantinedRecord;
use super::reader::Reading;
use crate::digest::Digest;
use crate::landed::Listed;
use crate::partition::Partitioner;
use crate::project::SourceContract;
use crate::store::{FileContent, ParquetFile, Store, StoreError};
use crate::system_tables::SystemTable;

/// The column that names the landed file of a stored row. SQL does not see it.
pub const FILE_COLUMN: &str = "_file";

/// How many quarantined records are gathered before they are written.
const QUARANTINE_BATCH: usize = 4096;

/// How long such records are together at most before they are written: an array of them must not pass 2 GiB.
const QUARANTINE_BYTES: usize = 8 << 20;

/// Where the records of one file go: accepted rows to one Parquet file, the others to another.
pub(super) struct ParquetSink<'a> {
    store: &'a Store,
    contract: &'a SourceContract,
    path: &'a str,
    schema: SchemaRef,
    /// The file of accepted rows, once there are any.
    rows: &'a mut Option<ParquetFile>,
    /// Whether rows of other landed files go there too.
    pub(super) is_shared: bool,
    quarantine: Option<ParquetFile>,
    waiting: Quarantine,
    examples: Vec<String>,
}

/// Returns the schema of the stored rows of a dataset: its columns, then where each row came from.
pub(crate) fn stored_row_schema(contract: &SourceContract) -> SchemaRef {
    let columns = contract.columns.iter().map(|(name, column)| Field::new(name, column.kind.arrow(), true));
    let origin = [Field::new(FILE_COLUMN, DataType::Utf8, true), Field::new(super::LINE_COLUMN, DataType::Int64, true)];
    Arc::new(Schema::new(columns.chain(origin).collect::<Vec<_>>()))
}

/// Returns what tells the stored rows of a dataset apart, if they are.
pub(crate) fn partitioner(contract: &SourceContract) -> Option<Partitioner> {
    Partitioner::new(contract.partition.as_ref()?, &stored_row_schema(contract))
}

impl<'a> ParquetSink<'a> {
    pub(super) fn new(
        store: &'a Store,
        contract: &'a SourceContract,
        listed: &'a Listed,
        rows: &'a mut Option<ParquetFile>,
    ) -> Self {
        Self {
            store,
            contract,
            path: &listed.path,
            schema: stored_row_schema(contract),
            rows,
            is_shared: false,
            quarantine: None,
            waiting: Quarantine::default(),
            examples: Vec::new(),
        }
    }

    fn write_quarantined(&mut self) -> Result<(), StoreError> {
        if self.waiting.rows == 0 {
            return Ok(());
        }
        let schema = SystemTable::Quarantine.schema();
        let file = match &mut self.quarantine {
            Some(file) => file,
            none => none.insert(self.store.create_parquet(
                SystemTable::Quarantine.name(),
                &schema,
                schema.fields().len(),
            )?),
        };
        let batch = self.waiting.take(&self.contract.name, self.path, &schema);
        let batch =
            batch.map_err(|source| StoreError::Rows { table: SystemTable::Quarantine.name().to_owned(), source })?;
        file.write(&batch)
    }

    /// Says what became of the file; its rows are in `self.rows`, for the caller to end.
    pub(super) fn finish(
        mut self,
        identity: Digest,
        landed_at: DateTime<Utc>,
        outcome: Outcome,
    ) -> Result<Reading, StoreError> {
        self.write_quarantined()?;
        let quarantine = self.quarantine.map(ParquetFile::finish).transpose()?.map(Box::new);
        let content = FileContent {
            hash: outcome.content,
            landed_at,
            counted_as: 0,
            ledger: outcome.ledger.into(),
            rows: None,
            key_range: None,
            quarantine,
            unknown_columns: outcome.unknown_columns.into(),
            read_as: None,
        };
        let is_empty = content.ledger.accepted + content.ledger.quarantined == 0 && !outcome.has_header;
        let missing_columns = outcome.missing_columns;
        Ok(Reading { identity, content, missing_columns, examples: self.examples, is_empty })
    }
}

impl Sink for ParquetSink<'_> {
    type Error = StoreError;

    fn rows(&mut self, batch: RecordBatch) -> Result<(), StoreError> {
        let width = self.contract.columns.len();
        let file = match &mut *self.rows {
            Some(file) => file,
            none => {
                let file = self.store.create_parquet(&self.contract.name, &self.schema, width)?;
                let file = if self.is_shared { file.shared() } else { file };
                none.insert(file.by(partitioner(self.contract)))
            }
        };
        let path: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(self.path, batch.num_rows())));
        let mut columns = batch.columns()[..width].to_vec();
        // The line leads back to the record; the byte where it starts, which compresses badly, need not be kept.
        columns.extend([path, Arc::clone(batch.column(width))]);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|source| StoreError::Rows { table: self.contract.name.clone(), source })?;
        file.write(&batch)
    }

    fn quarantine(&mut self, record: QuarantinedRecord<'_>) -> Result<(), StoreError> {
        if self.examples.len() < 5 && record.reason != super::Reason::Erased {
            let column = record.column.map(|column| format!(" in `{column}`")).unwrap_or_default();
            self.examples.push(format!("{}:{}: {}{column}: {}", self.path, record.line, record.reason, record.message));
        }
        self.waiting.push(&record);
        let is_enough = self.waiting.rows >= QUARANTINE_BATCH || self.waiting.bytes >= QUARANTINE_BYTES;
        if is_enough { self.write_quarantined() } else { Ok(()) }
    }
}

/// Records that were quarantined and not written yet.
#[derive(Default)]
struct Quarantine {
    rows: usize,
    /// How long their records are together.
    bytes: usize,
    line: Int64Builder,
    offset: Int64Builder,
    reason: StringBuilder,
    column: StringBuilder,
    message: StringBuilder,
    record: BinaryBuilder,
}

impl Quarantine {
    fn push(&mut self, record: &QuarantinedRecord<'_>) {
        self.rows += 1;
        self.bytes += record.bytes.len();
        self.line.append_value(record.line.cast_signed());
        self.offset.append_value(record.offset.cast_signed());
        self.reason.append_value(record.reason.as_str());
        self.column.append_option(record.column);
        self.message.append_value(&record.message);
        self.record.append_value(record.bytes);
    }

    fn take(&mut self, dataset: &str, path: &str, schema: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
        let repeat =
            |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, self.rows))) };
        let (dataset, path) = (repeat(dataset), repeat(path));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new(
            Arc::clone(schema),
            vec![
                dataset,
                path,
                Arc::new(self.line.finish()),
                Arc::new(self.offset.finish()),
                Arc::new(self.reason.finish()),
                Arc::new(self.column.finish()),
                Arc::new(self.message.finish()),
                Arc::new(self.record.finish()),
            ],
        )
    }
}

//! Writes and reads the Parquet files of the warehouse.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Float64Type, SchemaRef};
use arrow::error::ArrowError;
use camino::{Utf8Path, Utf8PathBuf};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::disk::NewFile;
use super::rows::{RowHasher, RowSum};
use super::{DataFile, Store, StoreError};

/// A Parquet file that is being written. Dropped without [`ParquetFile::finish`] it leaves a file that nothing names.
pub struct ParquetFile {
    table: String,
    relative: String,
    path: Utf8PathBuf,
    schema: SchemaRef,
    hasher: RowHasher,
    sum: RowSum,
    writer: ArrowWriter<Box<dyn NewFile>>,
    store: Store,
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFile").field("path", &self.path).field("sum", &self.sum).finish_non_exhaustive()
    }
}

impl Store {
    /// Starts a file of `table`. The first `width` columns of `schema` are those that the sum over its rows covers.
    pub fn create_parquet(&self, table: &str, schema: &SchemaRef, width: usize) -> Result<ParquetFile, StoreError> {
        let relative = format!("data/{table}/all/{}.parquet", uuid::Uuid::now_v7().simple());
        let path = self.root.join(&relative);
        let file = self.disk.create(&path).map_err(|source| StoreError::Write { path: path.clone(), source })?;
        self.made(path.clone());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("opsmart".to_owned())
            .build();
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))
            .map_err(|source| StoreError::Parquet { path: path.clone(), source })?;
        let hasher =
            RowHasher::new(schema, width).map_err(|source| StoreError::Rows { table: table.to_owned(), source })?;
        Ok(ParquetFile {
            table: table.to_owned(),
            relative,
            path,
            schema: Arc::clone(schema),
            hasher,
            sum: RowSum::default(),
            writer,
            store: self.clone(),
        })
    }
}

impl ParquetFile {
    /// Adds the rows of a batch, whose columns are brought to the types of the file.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let rows = |source| StoreError::Rows { table: self.table.clone(), source };
        let batch = conform(batch, &self.schema).and_then(finite).map_err(rows)?;
        self.sum.merge(self.hasher.sum(&batch).map_err(rows)?);
        self.writer.write(&batch).map_err(|source| self.failure(source))
    }

    /// Ends the file; its content has reached the disk when this returns.
    pub fn finish(mut self) -> Result<DataFile, StoreError> {
        self.writer.finish().map_err(|source| failure(&self.path, source))?;
        let bytes = self.writer.bytes_written() as u64;
        let path = self.path;
        self.writer.inner_mut().finish().map_err(|source| StoreError::Write { path, source })?;
        Ok(DataFile { path: self.relative, bytes, sum: self.sum })
    }

    /// Gives the file up and removes it.
    pub fn discard(self) {
        self.store.discard(&DataFile { path: self.relative, bytes: 0, sum: self.sum });
    }

    fn failure(&self, source: ParquetError) -> StoreError {
        failure(&self.path, source)
    }
}

/// A disk's refusal reaches us wrapped in Parquet's words; whoever asks whether to try again needs the disk's own.
fn failure(path: &Utf8Path, source: ParquetError) -> StoreError {
    match source {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(source) => StoreError::Write { path: path.to_path_buf(), source: *source },
            Err(inner) => StoreError::Parquet { path: path.to_path_buf(), source: ParquetError::External(inner) },
        },
        source => StoreError::Parquet { path: path.to_path_buf(), source },
    }
}

/// Brings the columns of a batch to the types of `schema`, column by column in order.
///
/// # Errors
/// A value that the type cannot hold, or another number of columns.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |(column, field): (&ArrayRef, &Arc<arrow::datatypes::Field>)| {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        cast_with_options(column, field.data_type(), &options)
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(cast).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// Gives a batch back if its floating-point numbers are numbers. NaN and infinity come from divisions by zero, and would
/// pass every bound that a contract sets.
fn finite(batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let Some(numbers) = column.as_primitive_opt::<Float64Type>() else { continue };
        if numbers.iter().flatten().any(|number| !number.is_finite()) {
            let words = format!("column `{}` holds NaN or infinity; divide by nullif(…, 0)", field.name());
            return Err(ArrowError::ComputeError(words));
        }
    }
    Ok(batch)
}

/// Reads a Parquet file of the warehouse batch by batch, the named columns only.
pub fn read_batches(path: &Utf8Path, columns: &[&str]) -> Result<ParquetRecordBatchReader, StoreError> {
    let file = File::open(path).map_err(|source| StoreError::Read { path: path.to_path_buf(), source })?;
    let parquet = |source| StoreError::Parquet { path: path.to_path_buf(), source };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    builder.with_projection(mask).with_batch_size(8192).build().map_err(parquet)
}

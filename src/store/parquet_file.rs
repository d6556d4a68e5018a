//! Writes and reads the Parquet files of the warehouse.
//!
//! Encoding costs about as much as making the rows, so the encoder of a file that grows gets a thread of its own. At
//! most a few batches wait for it, and what goes wrong there is told at the next write or at the end.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use arrow::error::ArrowError;
use camino::{Utf8Path, Utf8PathBuf};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::disk::NewFile;
use super::rows::{RowHasher, RowSum};
use super::{DataFile, Store, StoreError};

/// A file with more rows than this is encoded on a thread of its own.
const ROWS_HERE: usize = 1 << 16;

/// How many batches may wait for that thread.
const WAITING_BATCHES: usize = 8;

/// How many rows a row group has at most.
const ROW_GROUP_ROWS: usize = 1 << 20;

/// A Parquet file that is being written. Dropped without [`ParquetFile::finish`] it leaves a file that nothing names.
pub struct ParquetFile {
    relative: String,
    path: Utf8PathBuf,
    encoder: At,
    store: Store,
}

/// Where the encoder of a file works.
enum At {
    /// Where the rows are made; so many have been.
    Here(Box<Encoder>, usize),
    /// On a thread of its own.
    Beside(SyncSender<RecordBatch>, JoinHandle<Result<Box<Encoder>, StoreError>>),
    /// Nowhere: it has failed.
    Gone,
}

struct Encoder {
    table: String,
    path: Utf8PathBuf,
    schema: SchemaRef,
    hasher: RowHasher,
    sum: RowSum,
    writer: ArrowWriter<Box<dyn NewFile>>,
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFile").field("path", &self.path).field("store", &self.store).finish_non_exhaustive()
    }
}

impl Store {
    /// Starts a file of `table`. The first `width` columns of `schema` are those that the sum over its rows covers.
    pub fn create_parquet(&self, table: &str, schema: &SchemaRef, width: usize) -> Result<ParquetFile, StoreError> {
        let relative = format!("data/{table}/all/{}.parquet", uuid::Uuid::now_v7().simple());
        let path = self.root.join(&relative);
        let file = self.disk.create(&path).map_err(|source| StoreError::Write { path: path.clone(), source })?;
        self.made(path.clone());
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by("opsmart".to_owned());
        // The others tell where a row came from: numbers that only grow, and that no query filters by.
        for field in &schema.fields()[width..] {
            let column = ColumnPath::from(field.name().as_str());
            properties = properties.set_column_statistics_enabled(column.clone(), EnabledStatistics::None);
            if field.data_type() == &DataType::Int64 {
                properties = properties
                    .set_column_dictionary_enabled(column.clone(), false)
                    .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
            }
        }
        let properties = properties.build();
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))
            .map_err(|source| StoreError::Parquet { path: path.clone(), source })?;
        let hasher =
            RowHasher::new(schema, width).map_err(|source| StoreError::Rows { table: table.to_owned(), source })?;
        let encoder = Encoder {
            table: table.to_owned(),
            path: path.clone(),
            schema: Arc::clone(schema),
            hasher,
            sum: RowSum::default(),
            writer,
        };
        Ok(ParquetFile { relative, path, encoder: At::Here(Box::new(encoder), 0), store: self.clone() })
    }
}

impl ParquetFile {
    /// Adds the rows of a batch, whose columns are brought to the types of the file.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        match &mut self.encoder {
            At::Here(encoder, rows) if *rows < ROWS_HERE => {
                *rows += batch.num_rows();
                return encoder.write(batch);
            }
            At::Here(..) => self.move_beside(),
            At::Beside(..) | At::Gone => {}
        }
        let At::Beside(sender, _) = &self.encoder else { return Err(self.gone()) };
        if sender.send(batch.clone()).is_ok() {
            return Ok(());
        }
        // The thread has given up, and says why.
        match std::mem::replace(&mut self.encoder, At::Gone).join(&self.path) {
            Ok(_) => Err(self.gone()),
            Err(error) => Err(error),
        }
    }

    fn move_beside(&mut self) {
        let At::Here(mut encoder, _) = std::mem::replace(&mut self.encoder, At::Gone) else { return };
        let (sender, receiver) = sync_channel::<RecordBatch>(WAITING_BATCHES);
        let work = move || {
            for batch in receiver {
                encoder.write(&batch)?;
            }
            Ok(encoder)
        };
        self.encoder = At::Beside(sender, std::thread::spawn(work));
    }

    fn gone(&self) -> StoreError {
        gone(&self.path)
    }

    /// Ends the file; its content has reached the disk when this returns.
    pub fn finish(self) -> Result<DataFile, StoreError> {
        let Encoder { sum, mut writer, .. } = *self.encoder.join(&self.path)?;
        writer.finish().map_err(|source| failure(&self.path, source))?;
        let bytes = writer.bytes_written() as u64;
        let path = self.path;
        writer.inner_mut().finish().map_err(|source| StoreError::Write { path, source })?;
        Ok(DataFile { path: self.relative, bytes, sum, without: None })
    }

    /// Gives the file up and removes it.
    pub fn discard(self) {
        let _ = self.encoder.join(&self.path);
        self.store.discard(&DataFile { path: self.relative, bytes: 0, sum: RowSum::default(), without: None });
    }
}

impl At {
    /// Waits until all that was written has been encoded.
    fn join(self, path: &Utf8Path) -> Result<Box<Encoder>, StoreError> {
        match self {
            Self::Here(encoder, _) => Ok(encoder),
            Self::Beside(sender, thread) => {
                drop(sender);
                match thread.join() {
                    Ok(ended) => ended,
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Self::Gone => Err(gone(path)),
        }
    }
}

impl Encoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let rows = |source| StoreError::Rows { table: self.table.clone(), source };
        let batch = conform(batch, &self.schema).and_then(finite).map_err(rows)?;
        self.sum.merge(self.hasher.sum(&batch).map_err(rows)?);
        self.writer.write(&batch).map_err(|source| failure(&self.path, source))
    }
}

/// The file has failed before, and whoever wrote to it was told.
fn gone(path: &Utf8Path) -> StoreError {
    StoreError::Write { path: path.to_path_buf(), source: std::io::Error::other("writing it has failed before") }
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
    let parquet = |source| StoreError::Parquet { path: path.to_path_buf(), source };
    let builder = open(path)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    builder.with_projection(mask).with_batch_size(8192).build().map_err(parquet)
}

/// A part of a file that can be read on its own.
#[derive(Debug, Clone, Copy)]
pub struct RowGroup {
    /// Its number; none stands for the whole of a file.
    number: Option<usize>,
    /// How many rows it has.
    pub rows: usize,
}

/// Returns the row groups of a file, with the rows in them that do not count.
pub fn row_groups(store: &Store, file: &DataFile) -> Result<Vec<RowGroup>, StoreError> {
    let lost = file.without.as_ref().map_or(0, |without| without.sum.rows);
    let rows = usize::try_from(file.sum.rows + lost).unwrap_or(usize::MAX);
    if rows <= ROW_GROUP_ROWS {
        // It has one, and need not be opened to know that.
        return Ok(vec![RowGroup { number: None, rows }]);
    }
    let builder = open(&store.path(file))?;
    let groups = builder.metadata().row_groups().iter().enumerate();
    let rows = |rows: i64| usize::try_from(rows).unwrap_or_default();
    Ok(groups.map(|(number, group)| RowGroup { number: Some(number), rows: rows(group.num_rows()) }).collect())
}

/// Reads the named columns of one row group; where `rows` are given, those of its rows only, which stand in order.
pub fn read_row_group(
    store: &Store,
    file: &DataFile,
    group: &RowGroup,
    columns: &[&str],
    rows: Option<&[u32]>,
) -> Result<ParquetRecordBatchReader, StoreError> {
    let path = store.path(file);
    let mut builder = open(&path)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    if let Some(number) = group.number {
        builder = builder.with_row_groups(vec![number]);
    }
    if let Some(rows) = rows {
        let single = rows.iter().map(|row| *row as usize..*row as usize + 1);
        builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(single, group.rows));
    }
    let parquet = |source| StoreError::Parquet { path: path.clone(), source };
    builder.with_projection(mask).with_batch_size(8192).build().map_err(parquet)
}

fn open(path: &Utf8Path) -> Result<ParquetRecordBatchReaderBuilder<File>, StoreError> {
    let file = File::open(path).map_err(|source| StoreError::Read { path: path.to_path_buf(), source })?;
    let parquet = |source| StoreError::Parquet { path: path.to_path_buf(), source };
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet)
}

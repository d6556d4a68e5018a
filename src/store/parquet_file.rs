//! Writes the Parquet files of the warehouse.
//!
//! Encoding costs about as much as making the rows, so the encoder of a file that grows gets a thread of its own. At
//! most a few batches wait for it, and what goes wrong there is told at the next write or at the end.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Float64Type, SchemaRef};
use arrow::error::ArrowError;
use camino::{Utf8Path, Utf8PathBuf};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use super::disk::NewFile;
use super::encodings;
use super::rows::{RowHasher, RowSum};
use super::{DataFile, FileOnDisk, FilePart, KeyRange, Store, StoreError};
use crate::digest::Digest;
use crate::partition::{PartitionKey, Partitioner};

/// A file with more rows than this is encoded on a thread of its own.
const INLINE_ROWS: usize = 1 << 16;

/// How many batches may wait for that thread.
const WAITING_BATCHES: usize = 8;

/// A Parquet file that is being written. Dropped without [`ParquetFile::finish`] it leaves a file that nothing names.
pub struct ParquetFile {
    relative: String,
    path: Utf8PathBuf,
    encoder: EncoderPlace,
    /// Whether rows of several contents share it, each of which is ended by [`ParquetFile::cut`].
    is_shared: bool,
    store: Store,
}

/// The rows of one of several contents that share a file.
#[derive(Debug)]
pub struct Slice {
    first_row: u64,
    sum: RowSum,
    partitions: Vec<(PartitionKey, RowSum)>,
}

impl Slice {
    /// Returns the rows as a file, of the file that they are in.
    #[must_use]
    pub fn of(self, file: &DataFile) -> DataFile {
        let Self { first_row, sum, partitions } = self;
        let of_rows = file.sum.rows;
        let part = (sum.rows < of_rows).then_some(FilePart { first_row, of_rows });
        DataFile { sum, partitions, part, ..file.clone() }
    }
}

/// Where the encoder of a file works.
enum EncoderPlace {
    /// Where the rows are made; so many have been.
    Inline(Box<Encoder>, usize),
    /// On a thread of its own.
    Threaded(SyncSender<RecordBatch>, JoinHandle<Result<Box<Encoder>, StoreError>>),
    /// Nowhere: it has failed.
    Failed,
}

struct Encoder {
    table: String,
    path: Utf8PathBuf,
    schema: SchemaRef,
    /// How many columns the sum covers; the others tell where a row came from.
    width: usize,
    hasher: RowHasher,
    sum: RowSum,
    /// What tells the rows apart, if they are.
    partitioner: Option<Partitioner>,
    partitions: BTreeMap<PartitionKey, RowSum>,
    /// The sums over the rows before those, which are other contents'.
    sum_before: RowSum,
    partitions_before: BTreeMap<PartitionKey, RowSum>,
    /// The file until its first rows come.
    waiting: Option<Box<dyn NewFile>>,
    /// What encodes from then on.
    writer: Option<FileWriter>,
}

type FileWriter = ArrowWriter<Hashed>;

/// A file that is being written, and the hash of what has been.
struct Hashed {
    file: Box<dyn NewFile>,
    hasher: blake3::Hasher,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFile").field("path", &self.path).field("store", &self.store).finish_non_exhaustive()
    }
}

impl Store {
    /// Starts a file of `table`. The first `width` columns of `schema` are those that the sum over its rows covers.
    pub fn create_parquet(&self, table: &str, schema: &SchemaRef, width: usize) -> Result<ParquetFile, StoreError> {
        self.leases.write(&self.locks())?;
        let relative = format!("data/{table}/all/{}.parquet", uuid::Uuid::now_v7().simple());
        let path = self.root.join(&relative);
        let file = self.disk.create(&path).map_err(|source| StoreError::Write { path: path.clone(), source })?;
        self.made(path.clone());
        let hasher =
            RowHasher::new(schema, width).map_err(|source| StoreError::Rows { table: table.to_owned(), source })?;
        let encoder = Encoder {
            table: table.to_owned(),
            path: path.clone(),
            schema: Arc::clone(schema),
            width,
            hasher,
            sum: RowSum::default(),
            partitioner: None,
            partitions: BTreeMap::new(),
            sum_before: RowSum::default(),
            partitions_before: BTreeMap::new(),
            waiting: Some(file),
            writer: None,
        };
        Ok(ParquetFile {
            relative,
            path,
            encoder: EncoderPlace::Inline(Box::new(encoder), 0),
            is_shared: false,
            store: self.clone(),
        })
    }
}

impl ParquetFile {
    /// Counts the rows of each partition by themselves. For a file without rows so far.
    #[must_use]
    pub fn by(mut self, partitioner: Option<Partitioner>) -> Self {
        if let EncoderPlace::Inline(encoder, _) = &mut self.encoder {
            encoder.partitioner = partitioner;
        }
        self
    }

    /// Lets rows of several contents share the file. For a file without rows so far, and for few rows.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    /// Ends the rows of one of the contents that share the file; `None` if it has none.
    pub fn cut(&mut self) -> Option<Slice> {
        let EncoderPlace::Inline(encoder, _) = &mut self.encoder else { return None };
        encoder.cut()
    }

    /// Adds the rows of a batch, whose columns are brought to the types of the file.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        match &mut self.encoder {
            EncoderPlace::Inline(encoder, rows) if self.is_shared || *rows < INLINE_ROWS => {
                *rows += batch.num_rows();
                return encoder.write(batch);
            }
            EncoderPlace::Inline(..) => self.move_to_thread(),
            EncoderPlace::Threaded(..) | EncoderPlace::Failed => {}
        }
        let EncoderPlace::Threaded(sender, _) = &self.encoder else { return Err(self.gone()) };
        if sender.send(batch.clone()).is_ok() {
            return Ok(());
        }
        // The thread has given up, and says why.
        match std::mem::replace(&mut self.encoder, EncoderPlace::Failed).join(&self.path) {
            Ok(_) => Err(self.gone()),
            Err(error) => Err(error),
        }
    }

    fn move_to_thread(&mut self) {
        let EncoderPlace::Inline(mut encoder, _) = std::mem::replace(&mut self.encoder, EncoderPlace::Failed) else {
            return;
        };
        let (sender, receiver) = sync_channel::<RecordBatch>(WAITING_BATCHES);
        let work = move || {
            for batch in receiver {
                encoder.write(&batch)?;
            }
            Ok(encoder)
        };
        self.encoder = EncoderPlace::Threaded(sender, std::thread::spawn(work));
    }

    fn gone(&self) -> StoreError {
        gone(&self.path)
    }

    /// Ends the file; its content has reached the disk when this returns.
    pub fn finish(self) -> Result<DataFile, StoreError> {
        self.finish_with_range("").map(|(file, _)| file)
    }

    /// Ends the file as [`Self::finish`] does, and tells the bounds of the values in one of its columns, if it knows them.
    pub fn finish_with_range(self, column: &str) -> Result<(DataFile, Option<KeyRange>), StoreError> {
        let mut encoder = self.encoder.join(&self.path)?;
        let none = RecordBatch::new_empty(Arc::clone(&encoder.schema));
        if self.is_shared {
            encoder.cut();
            (encoder.sum, encoder.partitions) = (encoder.sum_before, std::mem::take(&mut encoder.partitions_before));
        }
        let (sum, partitions) = (encoder.sum, std::mem::take(&mut encoder.partitions));
        let writer = encoder.start(&none)?;
        let metadata = writer.finish().map_err(|source| failure(&self.path, source))?;
        let range = KeyRange::of(&metadata, column);
        let bytes = writer.bytes_written() as u64;
        let path = self.path;
        let Hashed { file, hasher } = writer.inner_mut();
        file.finish().map_err(|source| StoreError::Write { path, source })?;
        let hash = Some(Digest::from_hash(hasher.finalize()));
        let partitions = partitions.into_iter().collect::<Vec<_>>();
        let on_disk = FileOnDisk { path: self.relative, bytes, hash }.into();
        Ok((DataFile { on_disk, sum, partitions, deletion_vector: None, part: None }, range))
    }

    /// Gives the file up and removes it.
    pub fn discard(self) {
        let _ = self.encoder.join(&self.path);
        self.store.discard_path(&self.relative);
    }
}

impl EncoderPlace {
    /// Waits until all that was written has been encoded.
    fn join(self, path: &Utf8Path) -> Result<Box<Encoder>, StoreError> {
        match self {
            Self::Inline(encoder, _) => Ok(encoder),
            Self::Threaded(sender, thread) => {
                drop(sender);
                match thread.join() {
                    Ok(ended) => ended,
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Self::Failed => Err(gone(path)),
        }
    }
}

impl Encoder {
    fn cut(&mut self) -> Option<Slice> {
        let (first_row, sum) = (self.sum_before.rows, std::mem::take(&mut self.sum));
        let partitions = std::mem::take(&mut self.partitions);
        self.sum_before.merge(sum);
        for (key, sum) in &partitions {
            self.partitions_before.entry(*key).or_default().merge(*sum);
        }
        let partitions = partitions.into_iter().collect::<Vec<_>>();
        (sum.rows > 0).then_some(Slice { first_row, sum, partitions })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let counted = conform(batch, &self.schema).and_then(|batch| finite(&batch)).and_then(|batch| {
            self.count(&batch)?;
            Ok(batch)
        });
        let batch = counted.map_err(|source| StoreError::Rows { table: self.table.clone(), source })?;
        self.start(&batch)?.write(&batch).map_err(|source| failure(&self.path, source))
    }

    /// Counts the rows of a batch in, and where they are told apart, each to its partition.
    fn count(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let Some(partitioner) = &mut self.partitioner else {
            self.sum.merge(self.hasher.sum(batch)?);
            return Ok(());
        };
        let keys = partitioner.keys(batch)?;
        let mut keys = keys.iter();
        // Neighbours mostly share a partition.
        let (mut last, mut sum) = (None, RowSum::default());
        let partitions = &mut self.partitions;
        let mut add = |key: Option<PartitionKey>, sum: RowSum| {
            if let Some(key) = key {
                partitions.entry(key).or_default().merge(sum);
            }
        };
        self.hasher.hash(batch, |hash| {
            let key = keys.next();
            if key != last {
                add(last, std::mem::take(&mut sum));
                last = key;
            }
            sum.add(hash);
            self.sum.add(hash);
        })?;
        add(last, sum);
        Ok(())
    }

    /// Returns what encodes; the first rows decide how.
    fn start(&mut self, first: &RecordBatch) -> Result<&mut FileWriter, StoreError> {
        if let Some(file) = self.waiting.take() {
            let rows = |source| StoreError::Rows { table: self.table.clone(), source };
            let properties = encodings::properties(&self.schema, self.width, first).map_err(rows)?;
            let file = Hashed { file, hasher: blake3::Hasher::new() };
            let writer = ArrowWriter::try_new(file, Arc::clone(&self.schema), Some(properties));
            self.writer = Some(writer.map_err(|source| StoreError::Parquet { path: self.path.clone(), source })?);
        }
        self.writer.as_mut().ok_or_else(|| gone(&self.path))
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
    let cast = |(column, field): (&ArrayRef, &Arc<Field>)| {
        let (from, to) = (column.data_type(), field.data_type());
        if from == to {
            return Ok(Arc::clone(column));
        }
        if !keeps_values(from, to) {
            let words = format!("column `{}` is of type {to}, and {from} came", field.name());
            return Err(ArrowError::CastError(words));
        }
        cast_with_options(column, to, &options)
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(cast).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// Returns whether a cast between two types keeps each value, or fails at one that it cannot keep.
fn keeps_values(from: &DataType, to: &DataType) -> bool {
    let is_text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let scale = |kind: &DataType| match kind {
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => Some(*scale),
        _ => None,
    };
    match (from, to) {
        (DataType::Dictionary(_, value), to) => **value == *to || keeps_values(value, to),
        (DataType::Null, _) => true,
        // Of an instant, digits after the microsecond are cut off, as is said of stored columns.
        (DataType::Timestamp(..), DataType::Timestamp(..)) | (DataType::Date64, DataType::Date32) => true,
        _ if from.is_integer() && to.is_integer() || is_text(from) && is_text(to) => true,
        (DataType::Float16 | DataType::Float32, DataType::Float64) => true,
        _ => scale(from).is_some() && scale(from) <= scale(to),
    }
}

/// Gives a batch back if its floating-point numbers are numbers. NaN and infinity come from divisions by zero, and would
/// pass every bound that a contract sets. Of the two zeros, which are equal and have other bits, it leaves one.
fn finite(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let column = |(field, column): (&Arc<Field>, &ArrayRef)| {
        let Some(numbers) = column.as_primitive_opt::<Float64Type>() else { return Ok(Arc::clone(column)) };
        if numbers.iter().flatten().any(|number| !number.is_finite()) {
            let words = format!("column `{}` holds NaN or infinity; divide by nullif(…, 0)", field.name());
            return Err(ArrowError::ComputeError(words));
        }
        let is_odd = |number: &f64| *number == 0.0 && number.is_sign_negative();
        if !numbers.values().iter().any(is_odd) {
            return Ok(Arc::clone(column));
        }
        Ok(Arc::new(numbers.unary::<_, Float64Type>(|number| if is_odd(&number) { 0.0 } else { number })) as ArrayRef)
    };
    let columns = schema.fields().iter().zip(batch.columns()).map(column).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema, columns)
}

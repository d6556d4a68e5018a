//! Reads the Parquet files of the warehouse.
//!
//! Promises: a file that is not as it was written is told as [`StoreError::Damaged`] with its path, whether it is gone,
//! torn, or holds what no decoder understands; the decoder never panics out of here, and never gives more or fewer rows
//! than were written. Whether the rows are those that were written is asked where that costs no reading of its own, and
//! by [`Store::inspect`].

use std::error::Error;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use camino::{Utf8Path, Utf8PathBuf};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::PageIndexPolicy;

use super::encodings::ROW_GROUP_ROWS;
use super::rows::{RowHasher, RowSum};
use super::{DataFile, ROW_COLUMN, Store, StoreError};

/// The rows of a file, or of a part of it, batch by batch.
pub struct Batches {
    path: Utf8PathBuf,
    reader: ParquetRecordBatchReader,
    /// How many rows are still to come.
    left: u64,
    has_ended: bool,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("path", &self.path).field("left", &self.left).finish_non_exhaustive()
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let read = decoding(&self.path, || self.reader.next().transpose());
        let found = match &read {
            Ok(Some(batch)) => batch.num_rows() as u64,
            _ => 0,
        };
        let read = match read {
            Ok(Some(_)) if found > self.left => Err(damaged(&self.path, "it has more rows than it should have")),
            Ok(None) if self.left > 0 => Err(damaged(&self.path, "it has fewer rows than it should have")),
            read => read,
        };
        self.left = self.left.saturating_sub(found);
        self.has_ended = !matches!(read, Ok(Some(_)));
        read.transpose()
    }
}

/// Reads a file batch by batch, the named columns only, the rows that do not count as well.
///
/// # Errors
/// When it is damaged, or the disk does not let it be read; so it is with each batch.
pub fn read_batches(store: &Store, file: &DataFile, columns: &[&str]) -> Result<Batches, StoreError> {
    let all = RowGroup { number: None, rows: usize::try_from(rows_of(file)).unwrap_or(usize::MAX) };
    read_row_group(store, file, &all, columns, None)
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
///
/// # Errors
/// As [`read_batches`].
pub fn row_groups(store: &Store, file: &DataFile) -> Result<Vec<RowGroup>, StoreError> {
    let rows = usize::try_from(rows_of(file)).unwrap_or(usize::MAX);
    if rows <= ROW_GROUP_ROWS || file.part.is_some() {
        // It has one, or shares one, and need not be opened to know that.
        return Ok(vec![RowGroup { number: None, rows }]);
    }
    let builder = open(store, file, ArrowReaderOptions::new())?;
    let groups = builder.metadata().row_groups().iter().enumerate();
    let rows_of = |rows: i64| usize::try_from(rows).unwrap_or_default();
    let groups: Vec<RowGroup> =
        groups.map(|(number, group)| RowGroup { number: Some(number), rows: rows_of(group.num_rows()) }).collect();
    if groups.iter().map(|group| group.rows).sum::<usize>() != rows {
        return Err(damaged(&store.path(file), &format!("it should have {rows} rows and has others")));
    }
    Ok(groups)
}

/// Reads the named columns of one row group; where `rows` are given, those of its rows only, which stand in order.
///
/// # Errors
/// As [`read_batches`].
pub fn read_row_group(
    store: &Store,
    file: &DataFile,
    group: &RowGroup,
    columns: &[&str],
    rows: Option<&[u32]>,
) -> Result<Batches, StoreError> {
    let builder = open(store, file, ArrowReaderOptions::new())?;
    let path = store.path(file);
    let reader = decoding(&path, || {
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        let mut builder = builder.with_projection(mask).with_batch_size(8192);
        if let Some(number) = group.number {
            builder = builder.with_row_groups(vec![number]);
        }
        // Where others share the file, rows are counted from the first of its own.
        let first = file.part.map(|part| usize::try_from(part.first_row).unwrap_or(usize::MAX));
        let all = match first {
            Some(_) => usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default(),
            None => group.rows,
        };
        let at = first.unwrap_or_default();
        if let Some(rows) = rows {
            let single = rows.iter().map(|row| at + *row as usize..at + *row as usize + 1);
            builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(single, all));
        } else if first.is_some() {
            let own = std::iter::once(at..at.saturating_add(group.rows).min(all));
            builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(own, all));
        }
        builder.build()
    })?;
    let left = rows.map_or(group.rows, <[u32]>::len) as u64;
    Ok(Batches { path, reader, left, has_ended: false })
}

/// Reads a file of row numbers, and makes sure that they are those that were written.
///
/// # Errors
/// As [`read_batches`].
pub fn read_row_numbers(store: &Store, file: &DataFile) -> Result<Vec<u32>, StoreError> {
    let mut rows = Vec::new();
    let mut sum = RowSum::default();
    for batch in read_batches(store, file, &[ROW_COLUMN])? {
        let batch = batch?;
        let failed = |source| StoreError::Rows { table: file.path.clone(), source };
        sum.merge(RowHasher::new(&batch.schema(), 1).and_then(|mut hasher| hasher.sum(&batch)).map_err(failed)?);
        let Some(numbers) = batch.column(0).as_primitive_opt::<Int64Type>() else { continue };
        rows.extend(numbers.values().iter().filter_map(|row| u32::try_from(*row).ok()));
    }
    if sum == file.sum { Ok(rows) } else { Err(damaged(&store.path(file), &other_sum(sum, file.sum))) }
}

/// Reads what a file says of its pages, which queries go by to pass over some.
pub(super) fn read_page_index(store: &Store, file: &DataFile) -> Result<(), StoreError> {
    open(store, file, ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional)).map(|_| ())
}

/// Says of a file that it does not say what it should.
pub(super) fn damaged(path: &Utf8Path, reason: &str) -> StoreError {
    StoreError::Damaged { path: path.to_path_buf(), reason: reason.to_owned() }
}

/// Says of a file that no decoder understands it.
pub(super) fn undecodable(path: &Utf8Path, why: &str) -> StoreError {
    damaged(path, &format!("it cannot be decoded: {why}"))
}

/// Says that rows are not those that were written.
pub(super) fn other_sum(found: RowSum, written: RowSum) -> String {
    format!("its rows add up to {found} and should to {written}")
}

/// Does what decodes a part of a file; where that fails or panics, the file is damaged, unless the disk refused.
pub(super) fn decoding<T, E: Error + 'static>(
    path: &Utf8Path,
    decode: impl FnOnce() -> Result<T, E>,
) -> Result<T, StoreError> {
    // The decoder is not used again once it has panicked.
    let error: Box<dyn Error> = match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(decoded)) => return Ok(decoded),
        Ok(Err(error)) => Box::new(error),
        Err(_) => "the decoder gave up".into(),
    };
    match refusal(error.as_ref()) {
        Some(source) => Err(StoreError::Read { path: path.to_path_buf(), source }),
        None => Err(undecodable(path, &error.to_string())),
    }
}

/// Returns how many rows a file has, with those that do not count.
fn rows_of(file: &DataFile) -> u64 {
    file.sum.rows + file.deletion_vector.as_ref().map_or(0, |without| without.sum.rows)
}

fn open(
    store: &Store,
    file: &DataFile,
    options: ArrowReaderOptions,
) -> Result<ParquetRecordBatchReaderBuilder<File>, StoreError> {
    store.assure(file)?;
    let path = store.path(file);
    let opened = File::open(&path).map_err(|source| StoreError::Read { path: path.clone(), source })?;
    decoding(&path, || ParquetRecordBatchReaderBuilder::try_new_with_options(opened, options))
}

/// Returns what the disk said, if it was the disk that refused. What cannot be unpacked is told as a disk's error too, but
/// has no number of the system.
fn refusal(error: &(dyn Error + 'static)) -> Option<io::Error> {
    let number = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    number.map(io::Error::from_raw_os_error).or_else(|| refusal(error.source()?))
}

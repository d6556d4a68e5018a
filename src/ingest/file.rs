//! Drives one file: bytes in, rows, quarantined records and the ledger out.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::Read;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};

use super::batch::{Failure, RowBuilder};
use super::cells::{CellTable, Cells, MOST_BYTES, Span};
use super::chunk::Chunk;
use super::column_fit::ColumnFit;
use super::csv::{Csv, too_long};
use super::decode::{Compression, Decoder};
use super::encoding::Text;
use super::header::Wanted;
use super::ndjson::Ndjson;
use super::problem::{FileProblem, ReadError};
use super::quarantine::{QuarantinedRecord, Reason};
use super::record::{Found, Records, SchemaDiff, Step, View};
use crate::digest::Digest;
use crate::project::{Format, Limits, NewColumns, SourceContract};
use crate::store::Ledger;

/// What must be known to read one file.
#[derive(Debug, Clone, Copy)]
pub struct FileInput<'a> {
    /// What the file should hold.
    pub contract: &'a SourceContract,
    /// Bounds on it. A record is never allowed more than 1 GiB.
    pub limits: &'a Limits,
    /// Columns whose values the file's path gives, with those values.
    pub captures: &'a [(String, String)],
    /// How its bytes are compressed, by its name; what they hold goes before that.
    pub compression: Compression,
    /// When it landed, which is what its times are held against; without, they are not.
    pub landed_at: Option<DateTime<Utc>>,
}

/// Takes what comes out of a file.
pub trait Sink {
    /// Why it can give up.
    type Error;

    /// Takes rows of [`row_schema`](super::row_schema), at least one, in the order of the file.
    fn rows(&mut self, batch: RecordBatch) -> Result<(), Self::Error>;

    /// Takes a record that is no row, in the order of the file; rows around it may have come before or come after.
    fn quarantine(&mut self, record: QuarantinedRecord<'_>) -> Result<(), Self::Error>;
}

/// Keeps nothing of what is read, for those who ask for counts alone.
#[derive(Debug)]
pub struct NullSink;

impl Sink for NullSink {
    type Error = Infallible;

    fn rows(&mut self, _: RecordBatch) -> Result<(), Infallible> {
        Ok(())
    }

    fn quarantine(&mut self, _: QuarantinedRecord<'_>) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What is known of a file that has been read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Digest of its decoded bytes.
    pub content: Digest,
    /// Its counts, which balance.
    pub ledger: Ledger,
    /// Names that the file has and the contract does not know, in the order of their first appearance; at most a
    /// hundred of them for NDJSON.
    pub unknown_columns: Vec<String>,
    /// Columns that the contract has and the file's header lacks; none of them is required.
    pub missing_columns: Vec<String>,
    /// Of the digests of values that the contract erases those of values that a record has.
    pub met: BTreeSet<Digest>,
    /// How many records were the header once more and were passed over, as the contract has it.
    pub repeated_headers: u64,
    /// Whether it has a header, as CSV may have.
    pub has_header: bool,
}

/// How much is done at a time. Rows, quarantined records and counts do not depend on it; the cut into batches does.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How many bytes are taken into memory; more where a record needs more.
    pub chunk_bytes: usize,
    /// How many rows a batch has at most.
    pub batch_rows: usize,
}

impl Pace {
    /// What suits files of any size.
    pub const USUAL: Self = Self { chunk_bytes: 2 << 20, batch_rows: 8192 };
    /// The least chunk, so that what a file starts with can be told from its first chunk: the longest signature.
    const LEAST_CHUNK_BYTES: usize = 16;
}

/// Reads one file to its end in one pass, in memory that depends on the limit of a record and not on the file.
///
/// Every byte of the decoded file belongs to one record, and every record is made into rows, quarantined, or blank.
///
/// # Errors
/// What is wrong with the file as a whole, with reading it, or with the sink; what the sink has taken by then is to be
/// thrown away.
pub fn read_file<S: Sink>(
    input: &FileInput<'_>,
    bytes: impl Read,
    sink: &mut S,
) -> Result<Outcome, ReadError<S::Error>> {
    read_at(Pace::USUAL, input, bytes, sink)
}

/// Reads one file as [`read_file`] does, at another pace: how tests show that nothing depends on it.
///
/// # Errors
/// As [`read_file`].
pub fn read_at<S: Sink>(
    pace: Pace,
    input: &FileInput<'_>,
    bytes: impl Read,
    sink: &mut S,
) -> Result<Outcome, ReadError<S::Error>> {
    let (pass, wanted) = Pass::new(pace, input, bytes, sink)?;
    match &input.contract.format {
        Format::Csv(format) => pass.run(Csv::new(format, wanted, input.limits.columns)?),
        Format::Ndjson(format) => {
            pass.run(Ndjson::new(&wanted, format, input.limits.nesting_depth, input.contract.encoding.name()))
        }
    }
}

/// What is known of a file whose beginning has been read.
#[derive(Debug)]
pub(super) struct Previewed<E> {
    /// Which names of the file and of the contract do not meet.
    pub(super) schema_diff: SchemaDiff,
    /// For each column of the contract, its name and what it made of its values.
    pub(super) columns: Vec<(String, ColumnFit)>,
    /// What ended the reading before the end of the file, or is wrong with the file as a whole.
    pub(super) ended: Option<ReadError<E>>,
}

/// Reads a file until the sink gives up, and says what was seen whatever comes.
///
/// # Errors
/// What keeps even the first byte from being read.
pub(super) fn preview_file<S: Sink>(
    pace: Pace,
    input: &FileInput<'_>,
    bytes: impl Read,
    sink: &mut S,
) -> Result<Previewed<S::Error>, ReadError<S::Error>> {
    let (pass, wanted) = Pass::new(pace, input, bytes, sink)?;
    Ok(match &input.contract.format {
        Format::Csv(format) => pass.preview(Csv::new(format, wanted, input.limits.columns)?),
        Format::Ndjson(format) => {
            pass.preview(Ndjson::new(&wanted, format, input.limits.nesting_depth, input.contract.encoding.name()))
        }
    })
}

impl<'s, R: Read, S: Sink> Pass<'s, R, S> {
    fn new(
        pace: Pace,
        input: &FileInput<'_>,
        bytes: R,
        sink: &'s mut S,
    ) -> Result<(Self, Wanted), ReadError<S::Error>> {
        let limit = input.limits.record_bytes.min(MOST_BYTES);
        let table = RowBuilder::new(input.contract, input.captures, input.landed_at)?;
        let wanted = Wanted::new(input.contract, input.captures);
        let decoder = Decoder::new(input.compression, bytes).map_err(ReadError::Read)?;
        let text = Text::new(decoder, input.contract.encoding);
        let chunk_bytes = pace.chunk_bytes.max(Pace::LEAST_CHUNK_BYTES);
        let chunk = Chunk::new(text, chunk_bytes, limit, *input.limits);
        let ledger = Ledger::default();
        let failures = Vec::new();
        let cells = Cells::default();
        let refuses_new = input.contract.new_columns == NewColumns::Refuse;
        let judges = input.contract.rejected_share < 1.0;
        let pass =
            Self { pace, limit, table, chunk, cells, failures, ledger, at: 0, line: 1, refuses_new, judges, sink };
        Ok((pass, wanted))
    }
}

/// One pass over one file.
struct Pass<'s, R: Read, S> {
    pace: Pace,
    /// The longest record.
    limit: usize,
    table: RowBuilder,
    chunk: Chunk<R>,
    /// The records of the chunk that are not with the sink yet.
    cells: Cells,
    /// The records of the chunk that are to be quarantined.
    failures: Vec<Failure>,
    ledger: Ledger,
    /// How much of the chunk is done with.
    at: usize,
    /// The physical line that starts there.
    line: u64,
    /// Whether names that the contract does not know keep the file out.
    refuses_new: bool,
    /// Whether a column that does not fit the file at all keeps it out; not where all of it may be quarantined.
    judges: bool,
    sink: &'s mut S,
}

impl<R: Read, S: Sink> Pass<'_, R, S> {
    fn run<F: Records>(mut self, mut records: F) -> Result<Outcome, ReadError<S::Error>> {
        self.walk(&mut records)?;
        self.ledger.bytes = self.chunk.base() + self.chunk.bytes().len() as u64;
        self.reject_unfit_columns(true, records.schema_diff())?;
        let (has_header, repeated_headers) = (records.has_header(), records.repeated_headers());
        let SchemaDiff { unknown: unknown_columns, missing: missing_columns } = records.finish()?;
        self.reject_new_names(&unknown_columns)?;
        if !self.ledger.balanced() {
            return Err(ReadError::Unbalanced(self.ledger));
        }
        let (content, ledger, met) = (self.chunk.digest(), self.ledger, self.table.into_met());
        Ok(Outcome { content, ledger, unknown_columns, missing_columns, met, repeated_headers, has_header })
    }

    fn preview<F: Records>(mut self, mut records: F) -> Previewed<S::Error> {
        let walked = self.walk(&mut records);
        let columns = self.table.fits().map(|(name, fit)| (name.to_owned(), fit.clone()));
        let (mut schema_diff, columns) = (records.schema_diff().clone(), columns.collect());
        // A file that was read to its end is judged as a run would.
        let judged = walked.and_then(|()| {
            self.reject_unfit_columns(true, &schema_diff)?;
            schema_diff = records.finish()?;
            self.reject_new_names(&schema_diff.unknown)?;
            Ok(())
        });
        Previewed { schema_diff, columns, ended: judged.err() }
    }

    /// Ends the reading of a file that a column does not fit at all.
    fn reject_unfit_columns(&self, at_end: bool, schema_diff: &SchemaDiff) -> Result<(), FileProblem> {
        if !self.judges {
            return Ok(());
        }
        let columns = self.table.unfit(at_end);
        if columns.is_empty() {
            Ok(())
        } else {
            Err(FileProblem::ColumnMismatch { columns, unknown: schema_diff.unknown.clone() })
        }
    }

    fn reject_new_names(&self, unknown: &[String]) -> Result<(), FileProblem> {
        if self.refuses_new && !unknown.is_empty() {
            return Err(FileProblem::NewColumns { unknown: unknown.to_vec() });
        }
        Ok(())
    }

    /// Reads all records to the end of the file.
    fn walk<F: Records>(&mut self, records: &mut F) -> Result<(), ReadError<S::Error>> {
        self.start()?;
        loop {
            let view = View { bytes: self.chunk.bytes(), ended: self.chunk.ended(), limit: self.limit };
            if self.at == view.bytes.len() && view.ended {
                break;
            }
            let at = self.at;
            match records.next(view, at, self.line, &mut self.cells)? {
                Step::Record { end, lines, rows } => {
                    self.cells.close(Span::new(at, end, self.line), rows);
                    self.pass_over(end, lines);
                    if self.cells.is_full(self.pace.batch_rows) {
                        self.flush(records)?;
                    }
                }
                Step::Blank { end, lines } => {
                    self.pass_over(end, lines);
                    self.ledger.skip((end - at) as u64);
                }
                Step::Broken { end, lines, reason, message } => {
                    let span = Span::new(at, end, self.line);
                    self.failures.push(Failure { span, reason, column: None, message });
                    self.pass_over(end, lines);
                    if self.failures.len() >= self.pace.batch_rows {
                        self.flush(records)?;
                    }
                }
                Step::TooLong => self.pass_over_long_line(records)?,
                Step::More => {
                    self.flush(records)?;
                    self.refill()?;
                }
            }
        }
        self.flush(records)
    }

    /// Takes in the first chunk and looks at what the file starts with.
    fn start(&mut self) -> Result<(), ReadError<S::Error>> {
        self.refill()?;
        if let Some(problem) = signature(self.chunk.bytes()) {
            return Err(problem.into());
        }
        if self.chunk.bytes().starts_with(BYTE_ORDER_MARK) {
            self.pass_over(BYTE_ORDER_MARK.len(), 0);
            self.ledger.skip(BYTE_ORDER_MARK.len() as u64);
        }
        Ok(())
    }

    fn pass_over(&mut self, end: usize, lines: u64) {
        self.ledger.records += 1;
        self.at = end;
        self.line += lines;
    }

    fn refill(&mut self) -> Result<(), ReadError<S::Error>> {
        self.chunk.refill(self.at)?;
        self.at = 0;
        Ok(())
    }

    /// Gives the sink all that has been found in the chunk so far.
    fn flush<F: Records>(&mut self, records: &F) -> Result<(), ReadError<S::Error>> {
        let bytes = self.chunk.bytes();
        let base = self.chunk.base();
        if !self.cells.spans().is_empty() {
            let (width, slots) = (records.width(), records.slots());
            let cells = CellTable { cells: &self.cells, width, slots, bytes, base };
            let batch = self.table.rows(cells, &mut self.failures);
            let (batch, late) = batch.map_err(ReadError::Batch)?;
            self.ledger.late += late;
            self.reject_unfit_columns(false, records.schema_diff())?;
            if F::HAS_HEADER {
                // Nothing of such a file needs to be read.
                self.reject_new_names(&records.schema_diff().unknown)?;
            }
            self.failures.sort_by_key(|failure| failure.span.start);
            let mut failed = self.failures.iter().filter(|failure| failure.column.is_some()).peekable();
            for rows in self.cells.spans().chunk_by(Span::is_of_one_record) {
                let span = rows[0];
                let rows = rows.len() as u64;
                match failed.next_if(|failure| failure.span.start == span.start) {
                    None => self.ledger.accept(span.length(), rows),
                    Some(failure) if failure.reason == Reason::Erased => self.ledger.erased_rows += rows,
                    Some(_) => {}
                }
            }
            if batch.num_rows() > 0 {
                self.sink.rows(batch).map_err(ReadError::Sink)?;
            }
            self.cells.clear();
        }
        for Failure { span, reason, column, message } in self.failures.drain(..) {
            self.ledger.quarantine(span.length());
            self.ledger.late += u64::from(reason == Reason::Late);
            self.ledger.erased += u64::from(reason == Reason::Erased);
            // Of a record that cannot be cut into fields nobody can tell whose it is.
            let is_kept = reason != Reason::Erased && (column.is_some() || !self.table.erases());
            let record = QuarantinedRecord {
                reason,
                column: column.map(|column| self.table.name(column)),
                message,
                offset: base + u64::from(span.start),
                line: span.line,
                length: span.length(),
                bytes: if is_kept { span.of(bytes) } else { &[] },
            };
            self.sink.quarantine(record).map_err(ReadError::Sink)?;
        }
        Ok(())
    }

    /// Quarantines a line that is longer than the limit, keeping no more of it than that.
    fn pass_over_long_line<F: Records>(&mut self, records: &F) -> Result<(), ReadError<S::Error>> {
        self.flush(records)?;
        let (offset, line) = (self.chunk.base() + self.at as u64, self.line);
        let kept = self.chunk.bytes()[self.at..self.at + self.limit].to_vec();
        loop {
            let (bytes, ended) = (self.chunk.bytes(), self.chunk.ended());
            match F::LINE_ENDS.find(bytes, self.at, ended) {
                Found::End(end) => {
                    self.at = end;
                    break;
                }
                Found::None => self.at = bytes.len(),
                Found::More => self.at = bytes.len() - 1,
            }
            if ended {
                break;
            }
            self.refill()?;
        }
        self.ledger.records += 1;
        self.line += 1;
        let length = self.chunk.base() + self.at as u64 - offset;
        self.ledger.quarantine(length);
        let message = too_long(self.limit);
        let bytes = if self.table.erases() { &[] } else { kept.as_slice() };
        let record = QuarantinedRecord { reason: Reason::Length, column: None, message, offset, line, length, bytes };
        self.sink.quarantine(record).map_err(ReadError::Sink)
    }
}

/// What some programs put at the start of UTF-8 text.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns what is wrong with a file that starts like this, if it is surely not text.
pub(super) fn signature(start: &[u8]) -> Option<FileProblem> {
    const SIGNATURES: [(&[u8], &str); 14] = [
        // The marks of UTF-32 start, or end, with those of UTF-16.
        (b"\xef\xbb\xbf\0", "UTF-32"),
        (b"\0\0\xfe\xff", "UTF-32"),
        // Files that were packed twice.
        (b"\x1f\x8b\x08", "gzip, packed once more"),
        (b"\x28\xb5\x2f\xfd", "Zstandard, packed once more"),
        (b"\xfd7zXZ\0", "xz, packed once more"),
        (b"PK\x03\x04", "a ZIP archive or a spreadsheet"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x04\x22\x4d\x18", "LZ4"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old spreadsheet or document"),
        (b"PAR1\x15", "Parquet"),
        (b"Obj\x01", "Avro"),
        (b"ORC\x0a", "ORC"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"%PDF-", "a PDF document"),
    ];
    // Letters with nothing between them but zero bytes.
    match start {
        [1..=255, 0, 1..=255, 0, ..] => return Some(FileProblem::Undeclared { encoding: "utf-16le" }),
        [0, 1..=255, 0, 1..=255, ..] => return Some(FileProblem::Undeclared { encoding: "utf-16be" }),
        _ => {}
    }
    let (_, looks_like) = SIGNATURES.iter().find(|(bytes, _)| start.starts_with(bytes))?;
    Some(FileProblem::NotText { looks_like })
}

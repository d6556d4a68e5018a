//! Landed files to typed rows: the bytes of a file go in, in one pass, and every record comes out as something.
//!
//! Finds the records itself instead of leaving that to a parser, because only then can it promise:
//!
//! - Every byte of the decoded file belongs to exactly one record, and every record is accepted, quarantined or blank;
//!   a [`Ledger`](crate::store::Ledger) that does not add up is an error.
//! - A record that is quarantined keeps its bytes, its place, the rule that it broke and the column.
//! - Values are exact: nothing is rounded, guessed or replaced, but for white space around values other than texts and for
//!   digits after the microsecond, which are cut off. What does not fit is quarantined.
//! - Memory depends on the limit of a record, not on the file; what comes out does not depend on the pieces in which
//!   the bytes come in.
//!
//! The reader of a file ([`read_file`]) knows nothing of other files or of where rows go: a [`Sink`] takes them. [`ingest`]
//! does that for all files of a dataset, and stores the rows. Neither compares rows of two records.

mod admission;
mod batch;
mod cells;
mod chunk;
mod column_fit;
mod condition;
mod cross_column;
mod csv;
mod dataset;
mod decimal_sum;
mod decode;
mod encoding;
mod erased;
mod erasure_search;
mod explode;
mod file;
mod header;
mod lateness;
mod listing;
mod locate;
mod names;
mod ndjson;
mod object;
mod overflow;
mod parquet_sink;
mod parse;
mod preview;
mod problem;
mod quarantine;
mod reader;
mod record;
mod rules;
mod sample;
mod split;
#[cfg(test)]
mod tests;

pub(crate) use admission::is_read_like;
pub use batch::{LINE_COLUMN, OFFSET_COLUMN, row_schema};
pub use csv::joined_names;
pub use dataset::{IngestError, Raw, ingest};
pub use decode::Compression;
pub use erased::meant;
pub use erasure_search::{Sought, seek};
pub use file::{FileInput, NullSink, Outcome, Pace, Sink, read_at, read_file};
pub use listing::{LandingFolder, ListingError};
pub use locate::Locator;
pub use parquet_sink::FILE_COLUMN;
pub(crate) use parquet_sink::{partitioner, stored_row_schema};
pub use parse::{Rank, Reader, ValueError, normalised, scalar};
pub use preview::{Drift, Drifts, drifts};
pub use problem::{ColumnMismatch, FileProblem, ReadError, names_apart};
pub use quarantine::{QuarantinedRecord, Reason, quoted};
pub use sample::{Beginning, CsvSample, CsvTrial, SampleRecord, beginning, split_csv, try_csv};

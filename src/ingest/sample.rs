//! A look at how a file begins, before anything is known of its format.

use std::convert::Infallible;
use std::io::Read;

use encoding_rs::Encoding;

use super::cells::Cells;
use super::decode::{Compression, Decoder};
use super::encoding::Text;
use super::file::{BYTE_ORDER_MARK, signature};
use super::problem::ReadError;
use super::record::{Line, LineEnds, View, is_blank};
use super::split::{Scan, Splitter};
use crate::project::CsvFormat;

/// How a file begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// Its first bytes, decoded.
    pub bytes: Vec<u8>,
    /// What its bytes stand for: what a byte order mark says, else what was declared.
    pub encoding: &'static Encoding,
}

/// Returns the first `most` decoded bytes of a file, or all if it has no more.
///
/// # Errors
/// A file that is no text, is damaged, or whose bytes cannot be had.
pub fn beginning(
    compression: Compression,
    declared: &'static Encoding,
    bytes: impl Read,
    most: usize,
) -> Result<Beginning, ReadError<Infallible>> {
    let decoder = Decoder::new(compression, bytes).map_err(ReadError::Read)?;
    let mut text = Text::new(decoder, declared);
    let mut start = vec![0; most.max(BYTE_ORDER_MARK.len())];
    let read = text.fill(&mut start).map_err(|error| text.decoder.explain(error, 0))?;
    start.truncate(read);
    match signature(&start) {
        Some(problem) => Err(problem.into()),
        None => Ok(Beginning { bytes: start, encoding: text.encoding() }),
    }
}

/// The records with which a CSV file begins, if it is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsvSample {
    /// The records, as the reader sees them.
    pub records: Vec<SampleRecord>,
    /// How many lines are no record.
    pub broken: usize,
}

/// A record at the beginning of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleRecord {
    /// Its fields.
    pub fields: Vec<String>,
    /// How many physical lines stand before it.
    pub before: u64,
    /// How many there are up to its end.
    pub until: u64,
}

/// Cuts the beginning of a file into records of CSV; `is_whole` says that nothing follows.
#[must_use]
pub fn split_csv(delimiter: u8, quote: u8, bytes: &[u8], is_whole: bool) -> CsvSample {
    let mut sample = CsvSample::default();
    let format = CsvFormat { delimiter, quote: Some(quote), ..CsvFormat::USUAL };
    let splitter = Splitter::from(&format);
    let view = View { bytes, ended: is_whole, limit: bytes.len() };
    let mut at = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let mut passed = 0;
    while at < bytes.len() {
        let line_end = match view.line(at, LineEnds::Any) {
            Line::End(end) => end,
            Line::TooLong | Line::More => break,
        };
        let blank = |&byte: &u8| byte != delimiter && (is_blank(byte) || matches!(byte, b'\n' | b'\r'));
        if bytes[at..line_end].iter().all(blank) {
            (at, passed) = (line_end, passed + 1);
            continue;
        }
        let mut cells = Cells::default();
        let mark = cells.mark();
        match splitter.scan(view, at, None, &mut cells) {
            Scan::Record { end, lines } => {
                let fields = cells.since(mark, bytes).map(|field| String::from_utf8_lossy(field.unwrap_or_default()));
                let fields = fields.map(std::borrow::Cow::into_owned).collect();
                let (before, until) = (passed, passed + lines);
                sample.records.push(SampleRecord { fields, before, until });
                (at, passed) = (end, until);
            }
            Scan::Broken { .. } => {
                sample.broken += 1;
                (at, passed) = (line_end, passed + 1);
            }
            Scan::More => break,
        }
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_the_records_that_are_whole() {
        let sample = split_csv(b';', b'"', b"\xef\xbb\xbfa;b\n\n1;\"x\ny\"\n\"2\"x;3\n4;5\n6;", false);
        let expected = [(["a", "b"], 0, 1), (["1", "x\ny"], 2, 4), (["4", "5"], 5, 6)];
        let expected = expected.map(|(fields, before, until)| {
            let fields = fields.map(str::to_owned).to_vec();
            SampleRecord { fields, before, until }
        });
        assert_eq!(sample, CsvSample { records: expected.to_vec(), broken: 1 });
        assert_eq!(split_csv(b';', b'"', b"6;", true).records[0].fields, ["6", ""]);
    }

    #[test]
    fn what_is_no_text_is_named() {
        let said = |compression, bytes: &[u8]| {
            let begun = beginning(compression, encoding_rs::UTF_8, bytes, 64);
            begun.map(|begun| begun.bytes).map_err(|error| error.to_string())
        };
        assert_eq!(said(Compression::Plain, b"abc"), Ok(b"abc".to_vec()));
        assert!(said(Compression::Plain, b"PK\x03\x04").unwrap_err().contains("a ZIP archive"));
        assert!(said(Compression::Gzip, b"\x01 no gzip, whatever the name says").unwrap_err().contains("damaged"));
        assert_eq!(said(Compression::Gzip, b"unpacked on the way"), Ok(b"unpacked on the way".to_vec()));
    }
}

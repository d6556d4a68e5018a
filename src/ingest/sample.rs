//! A look at how a file begins, before anything is known of its format.

use std::convert::Infallible;
use std::io::Read;

use encoding_rs::UTF_8;

use super::cells::Cells;
use super::decode::{Compression, Decoder};
use super::encoding::Text;
use super::file::{BYTE_ORDER_MARK, signature};
use super::problem::{FileProblem, ReadError};
use super::record::{Line, LineEnds, View, is_blank};
use super::split::{Scan, Splitter};
use crate::project::CsvFormat;

/// Returns the first `most` decoded bytes of a file, or all if it has no more.
///
/// # Errors
/// A file that is no text, is damaged, or whose bytes cannot be had.
pub fn beginning(compression: Compression, bytes: impl Read, most: usize) -> Result<Vec<u8>, ReadError<Infallible>> {
    let decoder = Decoder::new(compression, bytes).map_err(ReadError::Read)?;
    let mut text = Text::new(decoder, UTF_8);
    let mut start = vec![0; most.max(BYTE_ORDER_MARK.len())];
    let read = text.fill(&mut start).map_err(|error| text.decoder.explain(error, 0))?;
    start.truncate(read);
    match signature(&start) {
        Some(looks_like) => Err(FileProblem::NotText { looks_like }.into()),
        None => Ok(start),
    }
}

/// The records with which a CSV file begins, if it is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsvSample {
    /// The fields of each record, as the reader sees them.
    pub records: Vec<Vec<String>>,
    /// How many lines are no record.
    pub broken: usize,
}

/// Cuts the beginning of a file into records of CSV; `is_whole` says that nothing follows.
#[must_use]
pub fn split_csv(delimiter: u8, quote: u8, bytes: &[u8], is_whole: bool) -> CsvSample {
    let mut sample = CsvSample::default();
    let format = CsvFormat { delimiter, quote: Some(quote), ..CsvFormat::USUAL };
    let splitter = Splitter::from(&format);
    let view = View { bytes, ended: is_whole, limit: bytes.len() };
    let mut at = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    while at < bytes.len() {
        let line_end = match view.line(at, LineEnds::Any) {
            Line::End(end) => end,
            Line::TooLong | Line::More => break,
        };
        let blank = |&byte: &u8| byte != delimiter && (is_blank(byte) || matches!(byte, b'\n' | b'\r'));
        if bytes[at..line_end].iter().all(blank) {
            at = line_end;
            continue;
        }
        let mut cells = Cells::default();
        let mark = cells.mark();
        match splitter.scan(view, at, None, &mut cells) {
            Scan::Record { end, .. } => {
                let fields = cells.since(mark, bytes).map(|field| String::from_utf8_lossy(field.unwrap_or_default()));
                sample.records.push(fields.map(std::borrow::Cow::into_owned).collect());
                at = end;
            }
            Scan::Broken { .. } => {
                sample.broken += 1;
                at = line_end;
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
        let expected = [["a", "b"], ["1", "x\ny"], ["4", "5"]];
        assert_eq!(sample, CsvSample { records: expected.map(|r| r.map(str::to_owned).to_vec()).to_vec(), broken: 1 });
        assert_eq!(split_csv(b';', b'"', b"6;", true).records, [["6".to_owned(), String::new()]]);
    }

    #[test]
    fn what_is_no_text_is_named() {
        let said = |compression, bytes: &[u8]| beginning(compression, bytes, 64).map_err(|error| error.to_string());
        assert_eq!(said(Compression::Plain, b"abc"), Ok(b"abc".to_vec()));
        assert!(said(Compression::Plain, b"PK\x03\x04").unwrap_err().contains("a ZIP archive"));
        assert!(said(Compression::Gzip, b"\x01 no gzip, whatever the name says").unwrap_err().contains("damaged"));
        assert_eq!(said(Compression::Gzip, b"unpacked on the way"), Ok(b"unpacked on the way".to_vec()));
    }
}

//! A look at how a file begins, before anything is known of its format.

use std::convert::Infallible;
use std::io::Read;

use encoding_rs::Encoding;

use super::cells::{Cells, Mark};
use super::decode::{Compression, Decoder};
use super::encoding::Text;
use super::file::{BYTE_ORDER_MARK, signature};
use super::problem::ReadError;
use super::record::{Line, LineEnds, View, is_blank};
use super::split::{BrokenRecord, Scan, SplitError, Splitter};
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

/// How the beginning of a file fares as CSV of a certain form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsvTrial {
    /// How many records have each number of fields, in the order of their first appearance.
    pub widths: Vec<(usize, usize)>,
    /// How many lines are no record.
    pub broken: usize,
    /// How many of those tear a quote.
    pub torn: usize,
    /// How many fields stand between quotes.
    pub quoted: usize,
    /// How many of those hold something that needs them: a delimiter, a line end or a quote.
    pub needed: usize,
    /// How many fields come after another, and how many of those begin with a space or tab.
    pub later: usize,
    /// See `later`.
    pub spaced: usize,
    /// How many of the first fields were looked at for what stands between fields in other files.
    pub plain_of: usize,
    /// How many of those hold nothing of the kind.
    pub plain: usize,
}

/// Of a file that goes on behind its sample records longer than this do not count: a quote in the sample that does not close is given up as a reader gives it up, or
/// it would swallow all that follows.
const MOST_SAMPLE_RECORD: usize = 256 << 10;

/// How many times over, on average, the bytes of a sample may be looked at because of broken quotes.
const REPEATS: usize = 16;

/// Cuts the beginning of a file into records of CSV; `is_whole` says that nothing follows. Records of one line may have any
/// number of fields, those of several lines have `width`, if it is known.
#[must_use]
pub fn split_csv(format: &CsvFormat, width: Option<usize>, bytes: &[u8], is_whole: bool) -> CsvSample {
    let mut sample = CsvSample::default();
    walk(format, width, bytes, is_whole, |found| match found {
        Found::Record { cells, mark, before, until, .. } => {
            let fields = cells.since(mark, bytes).map(|field| String::from_utf8_lossy(field.unwrap_or_default()));
            let fields = fields.map(std::borrow::Cow::into_owned).collect();
            sample.records.push(SampleRecord { fields, before, until });
        }
        Found::Broken { .. } => sample.broken += 1,
    });
    sample
}

/// Tries a form of CSV on the beginning of a file, as [`split_csv`] reads it.
#[must_use]
pub fn try_csv(format: &CsvFormat, width: Option<usize>, bytes: &[u8], is_whole: bool) -> CsvTrial {
    const MOST_PLAIN: usize = 4096;
    let mut trial = CsvTrial::default();
    let is_usual = |byte: &u8| matches!(byte, b',' | b';' | b'\t' | b'|') && *byte != format.delimiter;
    walk(format, width, bytes, is_whole, |found| match found {
        Found::Broken { is_torn } => {
            trial.broken += 1;
            trial.torn += usize::from(is_torn);
        }
        Found::Record { cells, mark, at, end, .. } => {
            let fields = cells.since(mark, bytes).map(Option::unwrap_or_default);
            let mut count = 0;
            for field in fields {
                count += 1;
                if trial.plain_of < MOST_PLAIN {
                    trial.plain_of += 1;
                    // A comma among digits is one of a number.
                    let is_number =
                        field.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'.' | b' ' | b'-'));
                    trial.plain += usize::from(is_number || !field.iter().any(is_usual));
                }
                if count > 1 {
                    trial.later += 1;
                }
            }
            let (quoted, needed, spaced) = marks(format, &bytes[at..end]);
            trial.quoted += quoted;
            trial.needed += needed;
            trial.spaced += spaced;
            match trial.widths.iter_mut().find(|(known, _)| *known == count) {
                Some((_, records)) => *records += 1,
                None => trial.widths.push((count, 1)),
            }
        }
    });
    trial
}

/// Returns how many fields of a record stand between quotes, how many of those need them, and how many fields but the first
/// begin with a space or a tab.
fn marks(format: &CsvFormat, record: &[u8]) -> (usize, usize, usize) {
    let is_blank = |byte: u8| matches!(byte, b' ' | b'\t') && byte != format.delimiter;
    let (mut quoted, mut needed, mut spaced) = (0, 0, 0);
    let (mut at, mut is_first) = (0, true);
    while at < record.len() {
        let blanks = record[at..].iter().take_while(|&&byte| is_blank(byte)).count();
        spaced += usize::from(!is_first && blanks > 0);
        is_first = false;
        let start = if format.trims { at + blanks } else { at };
        let end_of_field = |from: usize| {
            let is_end = |&byte: &u8| byte == format.delimiter || matches!(byte, b'\n' | b'\r');
            record[from..].iter().position(is_end).map_or(record.len(), |length| from + length)
        };
        let mut after = end_of_field(start);
        if let Some(quote) = format.quote.filter(|quote| record.get(start) == Some(quote)) {
            // The record has been cut with success, so the quote closes.
            let (mut close, mut is_needed) = (start + 1, false);
            while close < record.len() {
                let byte = record[close];
                if format.escape == Some(byte) {
                    is_needed = true;
                    close += 2;
                    continue;
                }
                if byte == quote {
                    if record.get(close + 1) != Some(&quote) {
                        break;
                    }
                    is_needed = true;
                    close += 1;
                }
                is_needed |= byte == format.delimiter || matches!(byte, b'\n' | b'\r');
                close += 1;
            }
            quoted += 1;
            needed += usize::from(is_needed);
            after = end_of_field((close + 1).min(record.len()));
        } else if let Some(escape) = format.escape {
            let mut from = start;
            while let Some(place) = record[from..after].iter().position(|&byte| byte == escape) {
                from = (from + place + 2).min(record.len());
                after = end_of_field(from);
            }
        }
        if record.get(after) != Some(&format.delimiter) {
            break;
        }
        at = after + 1;
    }
    (quoted, needed, spaced)
}

/// What stands at a place of a sample.
enum Found<'c> {
    /// A record whose cells came since `mark`.
    Record { cells: &'c Cells, mark: Mark, at: usize, end: usize, before: u64, until: u64 },
    /// A line that is none.
    Broken { is_torn: bool },
}

fn walk(format: &CsvFormat, width: Option<usize>, bytes: &[u8], is_whole: bool, mut take: impl FnMut(Found<'_>)) {
    let splitter = Splitter { fills_short_rows: false, ..Splitter::from(format) };
    let limit = if is_whole { bytes.len() } else { bytes.len().min(MOST_SAMPLE_RECORD) };
    let view = View { bytes, ended: is_whole, limit };
    let mut at = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let (mut passed, mut repeated) = (0, 0);
    let mut cells = Cells::default();
    let mark = cells.mark();
    while at < bytes.len() {
        let line_end = match (View { limit: bytes.len(), ..view }).line(at, LineEnds::Any) {
            Line::End(end) => end,
            Line::TooLong | Line::More => break,
        };
        let blank = |&byte: &u8| byte != format.delimiter && (is_blank(byte) || matches!(byte, b'\n' | b'\r'));
        if bytes[at..line_end].iter().all(blank) {
            (at, passed) = (line_end, passed + 1);
            continue;
        }
        cells.return_to(mark);
        let is_cut = repeated > REPEATS * at + MOST_SAMPLE_RECORD;
        let scan = if is_cut {
            splitter.scan(View { bytes: &bytes[..line_end], ended: true, limit: line_end }, at, None, &mut cells)
        } else {
            splitter.scan(view, at, None, &mut cells)
        };
        let count = |cells: &Cells| cells.since(mark, bytes).count();
        let scan = match (scan, width) {
            // Quotes that join lines and leave fields out, or have too many, have torn, as a reader sees it.
            (Scan::Record { end, lines }, Some(width)) if lines > 1 && count(&cells) != width => {
                Scan::Broken { flaw: SplitError::Fields { found: count(&cells), lines }, reach: end }
            }
            (scan, _) => scan,
        };
        let scan = match (scan, width) {
            (Scan::Broken { flaw, reach }, Some(width))
                if format.keeps_stray_quotes && !(is_cut && flaw == SplitError::Open) =>
            {
                cells.return_to(mark);
                let found = splitter.scan_stray(view, BrokenRecord { at, flaw, reach }, width, &mut cells);
                if let Scan::Record { end, .. } = found {
                    repeated += reach.saturating_sub(end);
                }
                found
            }
            (scan, _) => scan,
        };
        match scan {
            Scan::Record { end, lines } => {
                take(Found::Record { cells: &cells, mark, at, end, before: passed, until: passed + lines });
                (at, passed) = (end, passed + lines);
            }
            Scan::Broken { flaw, reach } => {
                repeated += reach.saturating_sub(line_end);
                take(Found::Broken { is_torn: flaw != SplitError::Length || line_end - at <= view.limit });
                (at, passed) = (line_end, passed + 1);
            }
            Scan::More => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_the_records_that_are_whole() {
        let semicolons = CsvFormat { delimiter: b';', ..CsvFormat::USUAL };
        let sample = split_csv(&semicolons, None, b"\xef\xbb\xbfa;b\n\n1;\"x\ny\"\n\"2\"x;3\n4;5\n6;", false);
        let expected = [(["a", "b"], 0, 1), (["1", "x\ny"], 2, 4), (["4", "5"], 5, 6)];
        let expected = expected.map(|(fields, before, until)| {
            let fields = fields.map(str::to_owned).to_vec();
            SampleRecord { fields, before, until }
        });
        assert_eq!(sample, CsvSample { records: expected.to_vec(), broken: 1 });
        assert_eq!(split_csv(&semicolons, None, b"6;", true).records[0].fields, ["6", ""]);
    }

    #[test]
    fn a_quote_that_does_not_close_costs_its_line() {
        let mut text = b"1,\"torn\n".to_vec();
        (2..40_000).for_each(|n| text.extend(format!("{n},a word\n").bytes()));
        for is_whole in [false, true] {
            let trial = try_csv(&CsvFormat::USUAL, Some(2), &text, is_whole);
            assert_eq!((trial.widths.as_slice(), trial.broken, trial.torn), (&[(2, 39_998)][..], 1, 1), "{is_whole}");
        }
        // Quotes that join lines into one record of another width have torn too.
        let trial = try_csv(&CsvFormat::USUAL, Some(2), b"a,b\n1,\"x\n2,y\n3,\"z\n4,u\n", true);
        assert_eq!((trial.widths.as_slice(), trial.broken), (&[(2, 3)][..], 2));
        // A file that tears one at every line takes no more than a few passes.
        let many = b"\"a,b\n".repeat(100_000);
        assert_eq!(try_csv(&CsvFormat::USUAL, Some(2), &many, true).broken, 100_000);
    }

    #[test]
    fn a_trial_counts_what_speaks_for_a_form() {
        let text = b"a, b\n\"x\", \"y\"\n\"u, v\", 1\n";
        let trial = try_csv(&CsvFormat { trims: true, ..CsvFormat::USUAL }, None, text, true);
        assert_eq!((trial.quoted, trial.needed, trial.later, trial.spaced), (3, 1, 3, 3));
        let escaped = CsvFormat { escape: Some(b'\\'), delimiter: b'\t', ..CsvFormat::USUAL };
        let trial = try_csv(&escaped, None, b"a\\\tb\t\"c\\\"d\"\n", true);
        assert_eq!((trial.widths.as_slice(), trial.quoted, trial.needed), (&[(2, 1)][..], 1, 1));
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

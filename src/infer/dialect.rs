//! In what form a file is written, told from how it begins.

use camino::Utf8Path;
use chrono_tz::Tz;

use super::InferError;
use crate::ingest::{CsvSample, Reader, split_csv};
use crate::project::{ColumnType, CsvFormat, FieldNames, Format};

/// The form of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) format: Format,
    /// The fields of the first record of CSV.
    pub(super) first: Vec<String>,
}

/// What may stand between fields, the more usual first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
const QUOTES: [u8; 2] = [b'"', b'\''];

/// Tells the form from the beginning of a file.
pub(super) fn tell(path: &Utf8Path, sample: &[u8], is_whole: bool) -> Result<Dialect, InferError> {
    let text = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample).trim_ascii_start();
    let first_line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    match text.first() {
        None => {
            let help = "give a file with records";
            return Err(InferError::content(path, "is empty", help));
        }
        Some(b'{') if is_object(first_line) || (!is_whole && first_line.len() == text.len()) => {
            return Ok(Dialect { format: Format::Ndjson, first: Vec::new() });
        }
        Some(b'{' | b'[') if serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() => {
            let help = "write one object a line, for example with `jq -c '.[]'`";
            return Err(InferError::content(path, "is one JSON document, not one object a line", help));
        }
        _ => {}
    }
    if text.contains(&0) {
        let help = "opsmart takes in CSV and NDJSON of UTF-8 text";
        return Err(InferError::content(path, "is not text: it has zero bytes", help));
    }
    let (delimiter, quote, csv) = best_csv(sample, is_whole);
    let Some(first) = csv.records.into_iter().next() else {
        let help = "opsmart takes in CSV and NDJSON of UTF-8 text";
        return Err(InferError::content(path, "has no line that could be a record", help));
    };
    let header = is_header(&first);
    let names = if header { FieldNames::Header } else { FieldNames::Order };
    Ok(Dialect { format: Format::Csv(CsvFormat { delimiter, quote: Some(quote), names, ..CsvFormat::USUAL }), first })
}

fn is_object(line: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line).is_ok()
}

/// Returns the delimiter and quote with which most records are as wide as the first; without any, the file is one of
/// single fields.
fn best_csv(sample: &[u8], is_whole: bool) -> (u8, u8, CsvSample) {
    let mut best: Option<(f64, (u8, u8, CsvSample))> = None;
    for delimiter in DELIMITERS {
        for quote in QUOTES {
            // Apostrophes are parts of words, and in a file with quotes nothing else.
            if quote != QUOTES[0] && opened(sample, delimiter, quote) <= opened(sample, delimiter, QUOTES[0]) {
                continue;
            }
            let csv = split_csv(delimiter, quote, sample, is_whole);
            let width = csv.records.first().map_or(0, Vec::len);
            if width < 2 {
                continue;
            }
            let alike = csv.records.iter().filter(|record| record.len() == width).count();
            let share = share(alike, csv.records.len() + csv.broken);
            if share > 0.5 && best.as_ref().is_none_or(|(known, _)| share > *known) {
                best = Some((share, (delimiter, quote, csv)));
            }
        }
    }
    best.map_or_else(
        || (DELIMITERS[0], QUOTES[0], split_csv(DELIMITERS[0], QUOTES[0], sample, is_whole)),
        |(_, found)| found,
    )
}

/// Returns how many fields begin with a quote, as near as can be told without knowing where fields end.
fn opened(sample: &[u8], delimiter: u8, quote: u8) -> usize {
    let starts = |pair: &&[u8]| pair[1] == quote && (pair[0] == delimiter || matches!(pair[0], b'\n' | b'\r'));
    sample.windows(2).filter(starts).count() + usize::from(sample.first() == Some(&quote))
}

#[expect(clippy::cast_precision_loss, reason = "a share of what fits into a sample")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Returns whether the fields of the first record are names: none of them is a number or a time.
fn is_header(first: &[String]) -> bool {
    let kinds = [ColumnType::Float64, ColumnType::Date, ColumnType::Timestamp];
    let readers = kinds.map(|kind| Reader::new(kind, &[], Tz::UTC));
    let is_value = |field: &String| {
        let text = field.trim_ascii().as_bytes();
        readers.iter().flatten().any(|reader| reader.rank(text).is_some())
    };
    !first.iter().any(is_value) && first.iter().any(|field| !field.trim_ascii().is_empty())
}

impl Dialect {
    /// Says it in words.
    pub(super) fn words(&self) -> String {
        match &self.format {
            Format::Ndjson => "NDJSON".to_owned(),
            Format::Csv(CsvFormat { delimiter, quote, names, .. }) => {
                let delimiter =
                    if *delimiter == b'\t' { "tabs".to_owned() } else { format!("`{}`", char::from(*delimiter)) };
                let quote = if *quote == Some(b'\'') { ", quotes `'`" } else { "" };
                let header = if *names == FieldNames::Header { "with a header" } else { "without a header" };
                format!("CSV by {delimiter}{quote}, {header}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, delimiter: u8, quote: u8, header: bool) {
        let dialect = tell("a.csv".into(), text.as_bytes(), true).unwrap();
        let names = if header { FieldNames::Header } else { FieldNames::Order };
        let format = CsvFormat { delimiter, quote: Some(quote), names, ..CsvFormat::USUAL };
        assert_eq!(dialect.format, Format::Csv(format), "{text}");
    }

    #[test]
    fn the_delimiter_is_what_makes_all_records_alike() {
        check("a,b\n1,x\n2,y\n", b',', b'"', true);
        check("a;b\n1,5;2\n2,5;3\n", b';', b'"', true);
        check("a\tb\n1\tx, y\n2\tz\n", b'\t', b'"', true);
        check("a|b\n1|\"x|y\"\n2|z\n", b'|', b'"', true);
        check("a,b\n'x, y',1\n'z',2\n'u, v',3\n", b',', b'\'', true);
        check("a,b\nit's,1\n'tis,2\n", b',', b'"', true);
        check("name\nLin, Wei\nChen\nSmith\n", b',', b'"', true);
    }

    #[test]
    fn a_first_record_with_values_is_no_header() {
        check("1,x\n2,y\n", b',', b'"', false);
        check("IBM,2024-01-02\nIBM,2024-01-03\n", b',', b'"', false);
        check(",a,b\n0,1,2\n", b',', b'"', true);
    }

    #[test]
    fn json_is_one_object_a_line() {
        let tell = |text: &str| tell("a".into(), text.as_bytes(), true);
        assert_eq!(tell("\n{\"a\":1}\n{\"a\":2}\n").unwrap().format, Format::Ndjson);
        assert!(tell("[{\"a\":1},\n{\"a\":2}]\n").unwrap_err().to_string().contains("one JSON document"));
        assert!(tell("{\n\"a\":1}\n").unwrap_err().to_string().contains("one JSON document"));
        assert!(tell("").unwrap_err().to_string().contains("is empty"));
        assert!(tell("a\0b").unwrap_err().to_string().contains("zero bytes"));
    }
}

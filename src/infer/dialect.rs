//! In what form a file is written, told from how it begins.

use camino::Utf8Path;
use chrono_tz::Tz;

use super::InferError;
use crate::ingest::{CsvSample, Reader, SampleRecord, names_apart, quoted, split_csv};
use crate::project::{ColumnType, CsvFormat, FieldNames, Format, NdjsonFormat};

/// The form of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) format: Format,
    /// What each field of CSV is called: by the header, by its place, or by a name of its own where the header has one
    /// twice.
    pub(super) fields: Vec<String>,
    /// The names as the header has them; none where there is no header, or its names are not those of the fields.
    pub(super) header: Vec<String>,
    /// Where the header has a name twice, the format that reads the names off it all the same.
    pub(super) by_header: Option<CsvFormat>,
    /// What a person should confirm.
    pub(super) questions: Vec<String>,
}

/// What may stand between fields, the more usual first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
const QUOTES: [u8; 2] = [b'"', b'\''];

/// How many records may stand before the header.
const MOST_BEFORE: usize = 30;

/// What starts a line that is no record.
const COMMENT: &str = "#";

/// Tells the form from the beginning of a file.
pub(super) fn tell(path: &Utf8Path, sample: &[u8], is_whole: bool) -> Result<Dialect, InferError> {
    let sample = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample);
    let text = sample.trim_ascii_start();
    let first_line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    match text.first() {
        None => {
            let help = "give a file with records";
            return Err(InferError::content(path, "is empty", help));
        }
        Some(b'{') if is_object(first_line) || (!is_whole && first_line.len() == text.len()) => {
            let (fields, questions) = (Vec::new(), Vec::new());
            let format = Format::Ndjson(NdjsonFormat::USUAL);
            return Ok(Dialect { format, fields, header: Vec::new(), by_header: None, questions });
        }
        Some(b'{' | b'[') if serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() => {
            let help = "write one object a line, for example with `jq -c '.[]'`";
            return Err(InferError::content(path, "is one JSON document, not one object a line", help));
        }
        _ => {}
    }
    if text.contains(&0) {
        let help = "opsmart takes in CSV and NDJSON, which are text";
        return Err(InferError::content(path, "is not text: it has zero bytes", help));
    }
    // Spreadsheets tell each other the delimiter on a line of its own.
    let told = told_delimiter(first_line).filter(|_| text.len() == sample.len());
    let body = if told.is_some() { &sample[(first_line.len() + 1).min(sample.len())..] } else { sample };
    let (delimiter, quote, csv) = best_csv(body, is_whole, told);
    if csv.records.is_empty() {
        let help = "opsmart takes in CSV and NDJSON, which are text";
        return Err(InferError::content(path, "has no line that could be a record", help));
    }
    Ok(laid_out(delimiter, quote, &csv, u64::from(told.is_some())))
}

fn is_object(line: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line).is_ok()
}

/// Returns the delimiter that a line such as `sep=;` tells.
fn told_delimiter(line: &[u8]) -> Option<u8> {
    match line.trim_ascii_end().strip_prefix(b"sep=")? {
        [delimiter] => Some(*delimiter),
        [] => Some(b'\t').filter(|_| line.starts_with(b"sep=\t")),
        _ => None,
    }
}

/// Returns the delimiter and quote with which most records are alike in width; without any, the file is one of single
/// fields.
fn best_csv(sample: &[u8], is_whole: bool, told: Option<u8>) -> (u8, u8, CsvSample) {
    let mut best: Option<(f64, (u8, u8, CsvSample))> = None;
    for delimiter in DELIMITERS.into_iter().filter(|delimiter| told.is_none_or(|told| told == *delimiter)) {
        for quote in QUOTES {
            // Apostrophes are parts of words, and in a file with quotes nothing else.
            if quote != QUOTES[0] && opened(sample, delimiter, quote) <= opened(sample, delimiter, QUOTES[0]) {
                continue;
            }
            let csv = split_csv(delimiter, quote, sample, is_whole);
            let (width, alike) = usual_width(&csv.records);
            if width < 2 {
                continue;
            }
            let share = share(alike, csv.records.len() + csv.broken);
            if share > 0.5 && best.as_ref().is_none_or(|(known, _)| share > *known) {
                best = Some((share, (delimiter, quote, csv)));
            }
        }
    }
    let delimiter = told.unwrap_or(DELIMITERS[0]);
    best.map_or_else(|| (delimiter, QUOTES[0], split_csv(delimiter, QUOTES[0], sample, is_whole)), |(_, found)| found)
}

/// Returns how many fields most records have, and how many those are; of equals the width of the earlier.
fn usual_width(records: &[SampleRecord]) -> (usize, usize) {
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for width in records.iter().map(|record| record.fields.len()) {
        match counts.iter_mut().find(|(known, _)| *known == width) {
            Some((_, count)) => *count += 1,
            None => counts.push((width, 1)),
        }
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).unwrap_or_default()
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

/// Tells where the names are, and what stands before them; `told_lines` come before the sample's first.
fn laid_out(delimiter: u8, quote: u8, csv: &CsvSample, told_lines: u64) -> Dialect {
    let records = csv.records.as_slice();
    let (width, _) = usual_width(records);
    let width = if width < 2 { records[0].fields.len() } else { width };
    let mut start = first_record(records, width);
    let mut format = CsvFormat { delimiter, quote: Some(quote), ..CsvFormat::USUAL };
    format.skip_lines = told_lines;
    let mut questions = Vec::new();
    // A header is as wide as its records, wider where they leave fields out, or less wide by fields that nobody named.
    let rest = &records[start..];
    let named = start.checked_sub(1).map_or(0, |at| records[at].fields.len());
    let is_empty =
        |record: &SampleRecord| record.fields[named.min(record.fields.len())..].iter().all(|field| is_blank(field));
    let is_trailing = rest.iter().all(is_empty);
    let other = start.checked_sub(1).map(|at| &records[at]).filter(|header| {
        named > 1
            && is_header(&header.fields, rest)
            && (named < width && is_trailing || !is_header(&rest[0].fields, &rest[1..]))
    });
    if other.is_some() && named > width {
        start -= 1;
    } else if let Some(header) = other {
        let mut names: Vec<String> = if is_trailing { trimmed(&header.fields) } else { Vec::new() };
        names.resize(width, String::new());
        let fields = names_apart(&names);
        let listed = header.fields.iter().map(|name| quoted(name.trim_ascii().as_bytes())).collect::<Vec<_>>();
        let what = if is_trailing {
            format!("the header has {named} names for {width} fields, the last of which hold nothing")
        } else {
            format!(
                "the header has {named} names for {width} fields, which are called by their place: {}",
                listed.join(", ")
            )
        };
        format.skip_lines += header.until;
        questions.push(passed_over(format.skip_lines, &what));
        format.names = FieldNames::Listed(fields.clone());
        let header = if is_trailing { names } else { Vec::new() };
        return Dialect { format: Format::Csv(format), fields, header, by_header: None, questions };
    }
    let (before, rest) = records.split_at(start);
    let first = &rest[0];
    if !before.is_empty() {
        let is_comment = |record: &SampleRecord| record.fields[0].starts_with(COMMENT);
        if before.iter().all(is_comment) && !is_comment(first) && csv.broken == 0 {
            format.comment = Some(COMMENT.to_owned());
        } else {
            format.skip_lines += first.before;
            questions.push(passed_over(format.skip_lines, "something stands before the header"));
        }
    }
    if !is_header(&first.fields, &rest[1..]) {
        format.names = FieldNames::Order;
        let fields = (1..=first.fields.len()).map(|at| format!("column_{at}")).collect::<Vec<_>>();
        let shown = first.fields.iter().take(3).map(|field| quoted(field.as_bytes())).collect::<Vec<_>>().join(", ");
        questions
            .push(format!("no header is seen, for the first record has {shown}: columns are called by their place"));
        return Dialect { format: Format::Csv(format), fields, header: Vec::new(), by_header: None, questions };
    }
    let named = first.fields.len();
    let is_short = |record: &&SampleRecord| (2..named).contains(&record.fields.len());
    if rest[1..].iter().filter(is_short).count() * 2 > rest.len() - 1 {
        format.fills_short_rows = true;
        questions.push(format!(
            "most records have fewer fields than the {named} that the header names: those at the end are taken for empty"
        ));
    }
    let header = trimmed(&first.fields);
    let is_doubled = header.iter().enumerate().any(|(at, name)| header[..at].contains(name));
    if !is_doubled {
        let fields = header.clone();
        return Dialect { format: Format::Csv(format), fields, header, by_header: None, questions };
    }
    let fields = names_apart(&header);
    let by_header = Some(format.clone());
    format.skip_lines = told_lines + first.until;
    format.comment = None;
    format.names = FieldNames::Listed(fields.clone());
    Dialect { format: Format::Csv(format), fields, header, by_header, questions }
}

fn passed_over(lines: u64, what: &str) -> String {
    let lines = if lines == 1 { "first line is".to_owned() } else { format!("first {lines} lines are") };
    format!("{what}; the {lines} passed over: is it so in every file?")
}

fn is_blank(field: &str) -> bool {
    field.trim_ascii().is_empty()
}

fn trimmed(fields: &[String]) -> Vec<String> {
    fields.iter().map(|field| field.trim_ascii().to_owned()).collect()
}

/// Returns where records begin: at the first of the usual width that is no title with nothing beside it.
fn first_record(records: &[SampleRecord], width: usize) -> usize {
    let early = || records.iter().take(MOST_BEFORE + 1).enumerate();
    let is_wide = |record: &SampleRecord| record.fields.len() == width;
    let is_title =
        |record: &SampleRecord| width > 2 && record.fields.iter().filter(|field| !is_blank(field)).count() < 2;
    let is_comment = |record: &SampleRecord| record.fields[0].starts_with("# ");
    let is_first = |record: &SampleRecord| is_wide(record) && !is_title(record) && !is_comment(record);
    let found = early().find(|(at, record)| is_first(record) && is_header(&record.fields, &records[at + 1..]));
    // Without a header a title cannot be told from a record.
    let (at, _) = found.or_else(|| early().find(|(_, record)| is_wide(record))).unwrap_or((0, &records[0]));
    let plain = early().find(|(_, record)| is_wide(record)).map_or(0, |(at, _)| at);
    // A header further down counts only if nothing above it is a record.
    if records[plain..at].iter().all(|record| !is_first(record)) { at } else { plain }
}

/// Returns whether the fields of a record are names: none of them is a number or a time, unless they are years over
/// columns that have none.
fn is_header(fields: &[String], below: &[SampleRecord]) -> bool {
    let kinds = [ColumnType::Float64, ColumnType::Date, ColumnType::Timestamp];
    let readers = kinds.map(|kind| Reader::new(kind, &[], Tz::UTC));
    let is_value = |field: &String| {
        let text = field.trim_ascii().as_bytes();
        readers.iter().flatten().any(|reader| reader.rank(text).is_some())
    };
    let is_year = |field: &String| field.trim().parse::<u16>().is_ok_and(|year| (1900..=2100).contains(&year));
    let has_year_below = |at: usize| below.iter().any(|record| record.fields.get(at).is_some_and(is_year));
    let values = || fields.iter().enumerate().filter(|(_, field)| is_value(field));
    let are_years = values().count() > 1 && values().all(|(at, field)| is_year(field) && !has_year_below(at));
    (values().count() == 0 || are_years && !below.is_empty())
        && fields.iter().any(|field| !is_blank(field) && !is_value(field))
}

impl Dialect {
    /// Returns what stands between fields, if anything does.
    pub(super) fn delimiter(&self) -> Option<u8> {
        match &self.format {
            Format::Csv(format) => Some(format.delimiter),
            Format::Ndjson(_) => None,
        }
    }

    /// Returns whether it is JSON.
    pub(super) fn is_ndjson(&self) -> bool {
        matches!(self.format, Format::Ndjson(_))
    }

    /// Says it in words.
    pub(super) fn words(&self) -> String {
        match &self.format {
            Format::Ndjson(_) => "NDJSON".to_owned(),
            Format::Csv(CsvFormat { delimiter, quote, names, .. }) => {
                let delimiter =
                    if *delimiter == b'\t' { "tabs".to_owned() } else { format!("`{}`", char::from(*delimiter)) };
                let quote = if *quote == Some(b'\'') { ", quotes `'`" } else { "" };
                let header = if *names == FieldNames::Order { "without a header" } else { "with a header" };
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

    /// Tells how many lines are passed over, what starts a comment, and what fields are called.
    fn laid(text: &str) -> (u64, Option<String>, String) {
        let dialect = tell("a.csv".into(), text.as_bytes(), true).unwrap();
        let Format::Csv(format) = dialect.format else { panic!("{text}") };
        let is_header = format.names == FieldNames::Header;
        (
            format.skip_lines,
            format.comment,
            format!("{}{}", if is_header { "" } else { "listed " }, dialect.fields.join(" ")),
        )
    }

    #[test]
    fn what_stands_before_the_header_is_passed_over() {
        let header =
            |skip: u64, comment: Option<&str>, names: &str| (skip, comment.map(str::to_owned), names.to_owned());
        assert_eq!(laid("Report\nof June\n\nid,name\n1,a\n2,b\n3,c\n4,d\n"), header(3, None, "id name"));
        assert_eq!(laid("Report,,\n,,\nid,name,n\n1,a,2\n2,b,3\n"), header(2, None, "id name n"));
        assert_eq!(laid("# made\n# by night\nid,name\n1,a\n2,b\n3,c\n"), header(0, Some("#"), "id name"));
        assert_eq!(laid("#id,name\n1,a\n2,b\n"), header(0, None, "#id name"));
        assert_eq!(laid("sep=;\nid;name\n1;a\n"), header(1, None, "id name"));
        assert_eq!(laid("id,name,\n1,a,\n2,b,\n"), header(0, None, "id name "));
    }

    #[test]
    fn headers_that_do_not_name_each_field_are_replaced() {
        let listed = |skip: u64, names: &str| (skip, None, format!("listed {names}"));
        assert_eq!(laid("id;name\n1;a;\n2;b;\n"), listed(1, "id name column_3"));
        assert_eq!(laid("x,y\n1,2,3\n2,3,4\n"), listed(1, "column_1 column_2 column_3"));
        assert_eq!(laid("id,\"a\nb\",id\n1,2,3\n"), listed(2, "id a\nb id_2"));
        assert_eq!(laid("a,b,c\n1,x\n2,y\n3,z,w\n"), (0, None, "a b c".to_owned()));
        assert_eq!(laid("name,2023,2024\na,1,2\nb,3,4\n"), (0, None, "name 2023 2024".to_owned()));
        assert_eq!(laid("a,2023,2024\nb,2022,2025\n").2, "listed column_1 column_2 column_3");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let tell = |text: &str| tell("a".into(), text.as_bytes(), true);
        assert!(tell("\n{\"a\":1}\n{\"a\":2}\n").unwrap().is_ndjson());
        assert!(tell("[{\"a\":1},\n{\"a\":2}]\n").unwrap_err().to_string().contains("one JSON document"));
        assert!(tell("{\n\"a\":1}\n").unwrap_err().to_string().contains("one JSON document"));
        assert!(tell("").unwrap_err().to_string().contains("is empty"));
        assert!(tell("a\0b").unwrap_err().to_string().contains("zero bytes"));
    }
}

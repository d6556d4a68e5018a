//! In what form a file is written, told from how it begins.

use camino::Utf8Path;
use chrono_tz::Tz;

use super::InferError;
use super::column::{NULLS, WEAK_NULLS};
use super::json::{self, Json};
use super::trial::{Best, best, told_delimiter};
use crate::ingest::{CsvSample, Reader, SampleRecord, joined_names, names_apart, quoted, split_csv};
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
    /// Where several fields have no name, the format that reads the names off the header all the same, with those names.
    pub(super) by_header: Option<(CsvFormat, Vec<String>)>,
    /// What a person should confirm.
    pub(super) questions: Vec<String>,
    /// What would read records that the format does not read, in words.
    pub(super) hints: Vec<String>,
    /// Whether records with a quote that does not close tell what columns hold, too. Where there are few, they tell
    /// nothing.
    pub(super) counts_strays: bool,
}

/// How many records may stand before the header.
const MOST_BEFORE: usize = 30;

/// What starts a line that is no record.
const COMMENT: &str = "#";

/// Tells the form from the beginning of a file.
pub(super) fn tell(path: &Utf8Path, sample: &[u8], is_whole: bool) -> Result<Dialect, InferError> {
    let sample = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample);
    let text = sample.trim_ascii_start();
    if text.is_empty() {
        let help = "give a file with records";
        return Err(InferError::content(path, "is empty", help));
    }
    match json::tell(path, text, is_whole) {
        Some(Json::Lines) => {
            return Ok(Dialect {
                format: Format::Ndjson(NdjsonFormat::USUAL),
                fields: Vec::new(),
                header: Vec::new(),
                by_header: None,
                questions: Vec::new(),
                hints: Vec::new(),
                counts_strays: false,
            });
        }
        Some(Json::Other { what, help }) => return Err(InferError::content(path, what, &help)),
        None => {}
    }
    if text.contains(&0) {
        let help = "opsmart reads CSV and NDJSON, which are text";
        return Err(InferError::content(path, "is not text: it has zero bytes", help));
    }
    // Spreadsheets tell each other the delimiter on a line of its own.
    let first_line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let told = told_delimiter(first_line).filter(|_| text.len() == sample.len());
    let body = if told.is_some() { &sample[(first_line.len() + 1).min(sample.len())..] } else { sample };
    let Best { format, width, questions, hints } = best(body, is_whole, told);
    let csv = split_csv(&format, Some(width).filter(|width| *width > 1), body, is_whole);
    if csv.records.is_empty() {
        let help = "opsmart reads CSV and NDJSON, which are text";
        return Err(InferError::content(path, "has no line that could be a record", help));
    }
    let told_lines = u64::from(told.is_some());
    let mut dialect = laid_out(format.clone(), body, &csv, told_lines);
    if let Format::Csv(kept) = &dialect.format
        && kept.keeps_stray_quotes
    {
        let plain = CsvFormat { keeps_stray_quotes: false, ..format };
        let known = split_csv(&plain, Some(width), body, is_whole);
        let is_known = |record: &&SampleRecord| known.records.iter().all(|known| known.before != record.before);
        let mut strays = csv.records.iter().filter(is_known).map(|record| record.before);
        let first = strays.next();
        let many = (strays.count() + 1) * 10 > csv.records.len();
        dialect.counts_strays = many || known.records.is_empty() || {
            let told = laid_out(plain, body, &known, told_lines);
            let Format::Csv(found) = &told.format else { return Ok(told) };
            let is_same = CsvFormat { keeps_stray_quotes: true, ..found.clone() } == *kept;
            found.keeps_stray_quotes || !is_same || told.fields != dialect.fields
        };
        if let Some(before) = first {
            dialect.questions.push(format!(
                "a quote that does not close at the end of a field, as on line {}, is taken for text: is it?",
                before + told_lines + 1
            ));
        }
    }
    dialect.questions.splice(0..0, questions);
    dialect.hints = hints;
    Ok(dialect)
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

/// Tells where the names are, and what stands before them; `told_lines` come before the sample's first.
fn laid_out(format: CsvFormat, body: &[u8], csv: &CsvSample, told_lines: u64) -> Dialect {
    let records = csv.records.as_slice();
    let (width, _) = usual_width(records);
    let width = if width < 2 { records[0].fields.len() } else { width };
    let mut start = first_record(records, width);
    let mut format = CsvFormat { skip_lines: told_lines, ..format };
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
        format.skip_lines += header.before;
        questions.push(if format.skip_lines > 0 {
            passed_over(format.skip_lines, &what)
        } else {
            format!("{what}; a file with another header is refused: is it the same in every file?")
        });
        format.expected_header = Some(trimmed(&header.fields));
        format.names = FieldNames::Listed(fields.clone());
        let header = if is_trailing { names } else { Vec::new() };
        return Dialect {
            format: Format::Csv(format),
            fields,
            header,
            by_header: None,
            questions,
            hints: Vec::new(),
            counts_strays: false,
        };
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
    if !is_header(&first.fields, &rest[1..])
        && let Some(dialect) = named_by_line_above(&format, body, csv, start, told_lines)
    {
        return dialect;
    }
    if !is_header(&first.fields, &rest[1..]) {
        format.names = FieldNames::Order;
        let fields = (1..=first.fields.len()).map(|at| format!("column_{at}")).collect::<Vec<_>>();
        let shown = first.fields.iter().take(3).map(|field| quoted(field.as_bytes())).collect::<Vec<_>>().join(", ");
        questions
            .push(format!("no header is seen, for the first record has {shown}: columns are called by their place"));
        return Dialect {
            format: Format::Csv(format),
            fields,
            header: Vec::new(),
            by_header: None,
            questions,
            hints: Vec::new(),
            counts_strays: false,
        };
    }
    let named = first.fields.len();
    let is_short = |record: &&SampleRecord| (2..named).contains(&record.fields.len());
    if rest[1..].iter().filter(is_short).count() * 2 > rest.len() - 1 {
        format.fills_short_rows = true;
        questions.push(format!(
            "most records have fewer fields than the {named} that the header names: those at the end are taken for empty"
        ));
    }
    let header_rows = header_rows(rest);
    format.header_rows = u32::try_from(header_rows).unwrap_or(1);
    let rows = rest[..header_rows].iter().map(|row| trimmed(&row.fields)).collect::<Vec<_>>();
    let header = joined_names(&rows);
    if header_rows > 1 {
        let last = rows[header_rows - 1].iter().find(|name| !name.is_empty());
        questions.push(format!(
            "the header takes up {header_rows} lines, and its names are joined: is {} on the last of them a name and no value?",
            quoted(last.map_or("", String::as_str).as_bytes())
        ));
    }
    // A single field that reads like the header may well be a value.
    format.skips_repeated_header = named > 1;
    named_by_header(format, header, questions)
}

/// Calls fields by the names on the line above the first record, which is no record as the others are: something else stands
/// between its names, or a quote tears and the last of them is missing.
fn named_by_line_above(
    format: &CsvFormat,
    body: &[u8],
    csv: &CsvSample,
    start: usize,
    told_lines: u64,
) -> Option<Dialect> {
    const BETWEEN: [u8; 5] = *b",;\t| ";
    let rest = &csv.records[start..];
    let (first, width) = (&rest[0], rest[0].fields.len());
    let above = first.before.checked_sub(1)?;
    let line = body.split(|&byte| byte == b'\n').nth(usize::try_from(above).ok()?)?;
    let names_of = |form: &CsvFormat, width: usize| {
        let found = split_csv(form, Some(width), line, true).records;
        let [record] = found.as_slice() else { return None };
        let is_named = record.fields.len() == width && record.fields.iter().all(|name| !is_blank(name));
        (is_named && is_header(&record.fields, rest)).then(|| trimmed(&record.fields))
    };
    if width < 2 {
        return None;
    }
    let others = BETWEEN.into_iter().filter(|other| *other != format.delimiter);
    let other =
        others.map(|delimiter| CsvFormat { delimiter, ..format.clone() }).find_map(|form| names_of(&form, width));
    let mut format = format.clone();
    let (header, fields, what) = if let Some(names) = other {
        format.skip_lines = told_lines + first.before;
        let what = format!("something else stands between the {width} names of the header than between the fields");
        (names.clone(), names_apart(&names), format!("{what}, which are called so by their place"))
    } else {
        let is_trailing = rest.iter().all(|record| record.fields.last().is_none_or(|field| is_blank(field)));
        let is_record = csv.records[..start].iter().any(|record| record.before == above);
        if width < 3 || !is_trailing || is_record || format.quote.is_none() {
            return None;
        }
        let form = CsvFormat { keeps_stray_quotes: true, ..format.clone() };
        let mut names = names_of(&form, width - 1)?;
        format.keeps_stray_quotes = true;
        format.skip_lines = told_lines + above;
        format.expected_header = Some(names.clone());
        names.push(String::new());
        let what = format!(
            "the header tears a quote and has {} names for {width} fields, the last of which hold nothing",
            width - 1
        );
        (names.clone(), names_apart(&names), what)
    };
    let question = if format.skip_lines > 0 {
        passed_over(format.skip_lines, &what)
    } else {
        format!("{what}; a file with another header is refused: is it the same in every file?")
    };
    format.names = FieldNames::Listed(fields.clone());
    Some(Dialect {
        format: Format::Csv(format),
        fields,
        header,
        by_header: None,
        questions: vec![question],
        hints: Vec::new(),
        counts_strays: false,
    })
}

/// Calls fields by the names of a header; those that come several times by their number too.
fn named_by_header(mut format: CsvFormat, header: Vec<String>, mut questions: Vec<String>) -> Dialect {
    let mut fields: Vec<String> = Vec::with_capacity(header.len());
    let mut counts = std::collections::HashMap::<&str, usize>::new();
    for name in &header {
        let count = counts.entry(name).or_default();
        *count += 1;
        fields.push(if *count == 1 { name.clone() } else { format!("{name}#{count}") });
    }
    let nameless = header.iter().filter(|name| name.is_empty()).count();
    // A name such as `x#2` that the header has itself would be taken for the second `x`.
    let is_plain = fields.iter().zip(&header).all(|(field, name)| field == name || !header.contains(field));
    if nameless < 2 && is_plain {
        let format = Format::Csv(format);
        return Dialect { format, fields, header, by_header: None, questions, hints: Vec::new(), counts_strays: false };
    }
    let by_header = is_plain.then(|| (format.clone(), fields));
    let fields = names_apart(&header);
    if !is_plain {
        questions.push(
            "names of the header cannot be told apart by their number: fields are named in their order".to_owned(),
        );
    }
    format.expected_header = Some(header.clone());
    format.names = FieldNames::Listed(fields.clone());
    Dialect {
        format: Format::Csv(format),
        fields,
        header,
        by_header,
        questions,
        hints: Vec::new(),
        counts_strays: false,
    }
}

/// How many records a header may take up that is told.
const MOST_HEADER_ROWS: usize = 4;

/// Returns how many records the header takes up: those below its first are of it if they have words where columns hold
/// numbers and times, in two columns at least.
fn header_rows(records: &[SampleRecord]) -> usize {
    const LOOKED_AT: usize = 200;
    let mut rows = 1;
    while rows < MOST_HEADER_ROWS && rows < records.len() {
        let (row, below) = (&records[rows], &records[rows + 1..records.len().min(rows + 1 + LOOKED_AT)]);
        // The same once more is a header that comes again.
        let is_again = records[..rows].iter().any(|known| trimmed(&known.fields) == trimmed(&row.fields));
        if below.len() < 2 || is_again || row.fields.len() != records[0].fields.len() || !is_header(&row.fields, below)
        {
            break;
        }
        let is_of_values = |at: &usize| {
            let texts = below.iter().filter_map(|record| record.fields.get(*at)).filter(|field| !is_blank(field));
            let (mut count, mut values) = (0, 0);
            for text in texts {
                count += 1;
                values += usize::from(is_value(text));
            }
            count > 1 && values * 10 >= count * 9
        };
        let columns = (0..row.fields.len()).filter(is_of_values).collect::<Vec<_>>();
        let is_name = |at: &&usize| {
            let text = row.fields[**at].trim_ascii();
            text.contains(char::is_alphabetic) && !NULLS.contains(&text) && !WEAK_NULLS.contains(&text)
        };
        let named = columns.iter().filter(is_name).count();
        let unnamed = columns.iter().filter(|at| is_blank(&row.fields[**at])).count();
        if named < 2 || named + unnamed < columns.len() {
            break;
        }
        rows += 1;
    }
    rows
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

/// Returns whether a text is a number or a time.
pub(super) fn is_value(text: &str) -> bool {
    thread_local! {
        static READERS: Vec<Reader> = [ColumnType::Float64, ColumnType::Date, ColumnType::Timestamp]
            .iter()
            .filter_map(|kind| Reader::new(*kind, &[], Tz::UTC).ok())
            .collect();
    }
    READERS.with(|readers| readers.iter().any(|reader| reader.rank(text.trim_ascii().as_bytes()).is_some()))
}

/// Returns whether the fields of a record are names: none of them is a number or a time, unless they are years over
/// columns that have none.
fn is_header(fields: &[String], below: &[SampleRecord]) -> bool {
    let is_value = |field: &String| is_value(field);
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
            Format::Csv(csv) => {
                let delimiter = match csv.delimiter {
                    b'\t' => "tabs".to_owned(),
                    b' ' => "spaces".to_owned(),
                    other => quoted(&[other]),
                };
                let quote = match csv.quote {
                    Some(b'"') => String::new(),
                    Some(quote) => format!(", quotes {}", quoted(&[quote])),
                    None => ", no quotes".to_owned(),
                };
                let escape = csv.escape.map(|escape| format!(", escapes {}", quoted(&[escape]))).unwrap_or_default();
                let trim = if csv.trims { ", spaces around fields" } else { "" };
                let header = if csv.names == FieldNames::Order { "without a header" } else { "with a header" };
                format!("CSV by {delimiter}{quote}{escape}{trim}, {header}")
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
        let skips_repeated_header = header && dialect.fields.len() > 1;
        let format = CsvFormat { delimiter, quote: Some(quote), names, skips_repeated_header, ..CsvFormat::USUAL };
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
        // Between single fields stands what is nowhere in them.
        check("name\nLin, Wei\nChen\nSmith\n", b'\t', b'"', true);
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
        assert_eq!(laid("id;name\n1;a;\n2;b;\n"), listed(0, "id name column_3"));
        assert_eq!(laid("x,y\n1,2,3\n2,3,4\n"), listed(0, "column_1 column_2 column_3"));
        assert_eq!(laid("Report\nx,y\n1,2,3\n2,3,4\n3,4,5\n"), listed(1, "column_1 column_2 column_3"));
        assert_eq!(laid("id,\"a\nb\",id\n1,2,3\n"), (0, None, "id a\nb id#2".to_owned()));
        assert_eq!(laid("id,id,id#2\n1,2,3\n"), listed(0, "id id_2 id#2"));
        let expected = |text: &str| {
            let dialect = tell("a.csv".into(), text.as_bytes(), true).unwrap();
            let Format::Csv(format) = dialect.format else { panic!("{text}") };
            format.expected_header.unwrap_or_default().join(" ")
        };
        assert_eq!(expected("id;name\n1;a;\n2;b;\n"), "id name");
        assert_eq!(expected("x,y\n1,2,3\n2,3,4\n"), "x y");
        assert_eq!(laid("a,b,c\n1,x\n2,y\n3,z,w\n"), (0, None, "a b c".to_owned()));
        assert_eq!(laid("name,2023,2024\na,1,2\nb,3,4\n"), (0, None, "name 2023 2024".to_owned()));
        assert_eq!(laid("a,2023,2024\nb,2022,2025\n").2, "listed column_1 column_2 column_3");
    }

    #[test]
    fn headers_may_stand_above_each_other() {
        let rows = |text: &str| {
            let dialect = tell("a.csv".into(), text.as_bytes(), true).unwrap();
            let Format::Csv(format) = dialect.format else { panic!("{text}") };
            (format.header_rows, dialect.fields.join("|"), dialect.questions.len())
        };
        let merged = ",Q1,,Q2,\nregion,sales,cost,sales,cost\nNorth,1,2,3,4\nSouth,5,6,7,8\n";
        assert_eq!(rows(merged), (2, "region|Q1 sales|Q1 cost|Q2 sales|Q2 cost".to_owned(), 1));
        let units = "day,high,low\n,USD,EUR\n2024-01-01,1.5,2\n2024-01-02,2.5,3\n";
        assert_eq!(rows(units), (2, "day|high USD|low EUR".to_owned(), 1));
        let units = "name,high,low\n,USD,EUR\na,1.5,2\nb,2.5,3\n";
        assert_eq!(rows(units), (2, "name|high USD|low EUR".to_owned(), 1));
        // A record of words above numbers in one column alone, one that lacks values, and the same header again.
        assert_eq!(rows("id,n\na,unknown\nb,1\nc,2\n").0, 1);
        assert_eq!(rows("id,n,m\na,NA,n/a\nb,1,2\nc,2,3\n").0, 1);
        assert_eq!(rows("id,n,m\nid,n,m\nb,1,2\nc,2,3\n").0, 1);
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

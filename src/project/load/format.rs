//! Reads `format`: how the text of landed files is written.

use encoding_rs::{Encoding, REPLACEMENT, UTF_8};
use toml::de::DeValue;

use super::value::plain_all;
use crate::diagnostic::{Code, Diagnostic};
use crate::project::toml_reader::{Table, Value};
use crate::project::{CsvFormat, FieldNames, Format, Located, NdjsonFormat};

/// What `format` says, with the places that the rest of the contract refers to.
pub(super) struct Declared {
    /// What it is; nothing when that cannot be read.
    pub(super) format: Option<Format>,
    pub(super) encoding: &'static Encoding,
    /// Where `columns` lists the names of fields.
    pub(super) listed: Option<std::ops::Range<usize>>,
    /// The array that is made into rows.
    pub(super) explode: Option<Located>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Csv,
    Tsv,
    Ndjson,
}

pub(super) fn read(table: &mut Table<'_>) -> Declared {
    const KINDS: [(&str, Kind); 3] = [("csv", Kind::Csv), ("tsv", Kind::Tsv), ("ndjson", Kind::Ndjson)];
    let mut declared = Declared { format: None, encoding: UTF_8, listed: None, explode: None };
    if !table.has("format") {
        table.missing("format", "format = { type = \"csv\" }");
    }
    let Some(mut format) = table.table("format") else { return declared };
    if !format.has("type") {
        format.missing("type", "type = \"csv\"");
    }
    let kind = format.one_of("type", &KINDS);
    declared.encoding = encoding(&mut format);
    // Of a type that cannot be read, it is not known which keys it has.
    let csv = (kind != Some(Kind::Ndjson)).then(|| csv(&mut format, kind, &mut declared.listed));
    declared.explode = explode(&mut format, kind);
    format.finish();
    declared.format = match kind {
        Some(Kind::Ndjson) => Some(Format::Ndjson(NdjsonFormat { explode: names_of(declared.explode.as_ref()) })),
        Some(Kind::Csv | Kind::Tsv) => csv.map(Format::Csv),
        None => None,
    };
    declared
}

fn encoding(format: &mut Table<'_>) -> &'static Encoding {
    let Some(word) = format.text("encoding") else { return UTF_8 };
    let encoding = Encoding::for_label(word.text.as_bytes()).filter(|encoding| *encoding != REPLACEMENT);
    if encoding.is_none() {
        let help = "write a name such as `utf-8`, `utf-16le`, `gb18030`, `big5`, `shift_jis` or `windows-1252`";
        format.reject(&word, format!("there is no encoding `{}`", word.text), help);
    }
    encoding.unwrap_or(UTF_8)
}

/// Returns where the array is of which each element becomes a row.
fn explode(format: &mut Table<'_>, kind: Option<Kind>) -> Option<Located> {
    // CSV does not have the key, so it is asked for only to say more than that.
    if kind != Some(Kind::Ndjson) && !format.has("explode") {
        return None;
    }
    let word = format.text("explode")?;
    if let Some(Kind::Csv | Kind::Tsv) = kind {
        format.reject(
            &word,
            "`explode` is for NDJSON, and these files are CSV",
            "remove it: a record of CSV is one row",
        );
        return None;
    }
    Some(word)
}

fn names_of(path: Option<&Located>) -> Vec<String> {
    path.map(|path| path.text.split('.').map(str::to_owned).collect()).unwrap_or_default()
}

fn csv(format: &mut Table<'_>, kind: Option<Kind>, listed: &mut Option<std::ops::Range<usize>>) -> CsvFormat {
    let usual = if kind == Some(Kind::Tsv) { b'\t' } else { b',' };
    let delimiter = one_byte(format, "delimiter").unwrap_or(usual);
    let quote = match format.take("quote").and_then(|value| value.text()) {
        None => Some(b'"'),
        Some(word) if word.text.is_empty() => None,
        Some(word) => Some(byte_of(format, "quote", &word).unwrap_or(b'"')),
    };
    let escape = one_byte(format, "escape");
    for (first, second, is_same, help) in [
        ("delimiter", "quote", quote == Some(delimiter), "write different ones"),
        ("delimiter", "escape", escape == Some(delimiter), "write different ones"),
        ("quote", "escape", escape.is_some() && escape == quote, "leave `escape` out: doubled quotes are understood"),
    ] {
        if is_same {
            let message = format!("`{first}` and `{second}` are the same");
            format.report(Diagnostic::new(Code::InvalidValue, format.place(), message).help(help));
        }
    }
    let (names, expected_header) = names(format, listed);
    let mut csv = CsvFormat {
        delimiter,
        quote,
        escape,
        names,
        skip_lines: skip(format),
        comment: comment(format),
        fills_short_rows: format.one_of("short_rows", &[("set_aside", false), ("null", true)]).unwrap_or(false),
        keeps_stray_quotes: stray_quotes(format, quote),
        trims: format.take("trim").and_then(|value| value.boolean()).unwrap_or(false),
        expected_header,
        ..CsvFormat::USUAL
    };
    csv.header_rows = header_rows(format, csv.has_header());
    csv.skips_repeated_header = repeated_header(format, csv.has_header());
    csv
}

/// Returns where the names of the fields are, and those that the header must have if they are others.
fn names(format: &mut Table<'_>, listed: &mut Option<std::ops::Range<usize>>) -> (FieldNames, Option<Vec<String>>) {
    let header = format.take("header");
    let has_list = header.as_ref().is_some_and(|header| matches!(header.node(), DeValue::Array(_)));
    let expected = header.as_ref().filter(|_| has_list).map(|header| plain_all(header.list_of_text()));
    let is_there = header.as_ref().filter(|_| !has_list).and_then(Value::boolean);
    let Some(columns) = format.take("columns") else {
        if let Some(header) = header.filter(|_| has_list) {
            let help = "write `header = true`, or name the fields in `columns`, in the order of the file";
            header.reject("`header` lists names, and `columns` is missing", help);
        }
        let names = if is_there == Some(false) { FieldNames::Order } else { FieldNames::Header };
        return (names, None);
    };
    *listed = Some(columns.place().bytes);
    if let (Some(true), Some(header)) = (is_there, &header) {
        let message = "`header` and `columns` both name the fields";
        let help = "remove `columns`; where the fields are to be called otherwise, list the names of the header in \
                    `header`, and each file is held against them";
        let mistake = Diagnostic::new(Code::InvalidValue, header.place(), message);
        format.report(mistake.related(columns.place(), "here").help(help));
    }
    if let (Some([]), Some(header)) = (expected.as_deref(), &header) {
        header.reject("`header` is empty", "list the names that the header has, or leave it out");
    }
    let names = plain_all(format.distinct_texts("columns"));
    if names.is_empty() {
        columns.reject("`columns` is empty", "list the names of all fields in the order of the file, or leave it out");
    }
    (FieldNames::Listed(names), expected)
}

/// How many records a header may take up.
const MOST_HEADER_ROWS: i64 = 10;

fn header_rows(format: &mut Table<'_>, has_header: bool) -> u32 {
    let Some(value) = format.take("header_rows") else { return 1 };
    let Some(rows) = value.integer() else { return 1 };
    if !(1..=MOST_HEADER_ROWS).contains(&rows) {
        let help = "write how many records the header takes up, such as `2`; their names are joined";
        value.reject(format!("`header_rows` cannot be {rows}"), help);
        return 1;
    }
    if !has_header {
        value.reject("`header_rows` needs a header, and the files have none", "remove it");
    }
    u32::try_from(rows).unwrap_or(1)
}

fn repeated_header(format: &mut Table<'_>, has_header: bool) -> bool {
    const WHAT: [(&str, bool); 2] = [("read", false), ("skip", true)];
    let place = format.has("repeated_header").then(|| format.text("repeated_header")).flatten();
    let Some(word) = place else { return false };
    let Some((_, skips)) = WHAT.iter().find(|(name, _)| *name == word.text) else {
        let message = format!("`repeated_header` cannot be `{}`", word.text);
        format.reject(&word, message, "write `skip`, or leave it out");
        return false;
    };
    if !has_header {
        let message = "`repeated_header` needs a header, and the files have none";
        format.reject(&word, message, "remove it");
    }
    *skips
}

/// Returns whether quotes that do not close are text.
fn stray_quotes(format: &mut Table<'_>, quote: Option<u8>) -> bool {
    let place = format.has("stray_quotes").then(|| format.text("stray_quotes")).flatten();
    let Some(word) = place else { return false };
    let is_text = match word.text.as_str() {
        "set_aside" => false,
        "text" => true,
        other => {
            let message = format!("`stray_quotes` cannot be `{other}`");
            format.reject(&word, message, "write `text`, or leave it out");
            return false;
        }
    };
    if is_text && quote.is_none() {
        format.reject(&word, "`stray_quotes` needs a quote, and `quote` is empty", "remove it: all bytes are text");
    }
    is_text
}

fn skip(format: &mut Table<'_>) -> u64 {
    let Some(value) = format.take("skip") else { return 0 };
    let Some(lines) = value.integer() else { return 0 };
    u64::try_from(lines).unwrap_or_else(|_| {
        value.reject("`skip` is less than 0", "write the number of lines before the header or the first record");
        0
    })
}

fn comment(format: &mut Table<'_>) -> Option<String> {
    let word = format.text("comment")?;
    if word.text.is_empty() || word.text.contains(['\n', '\r']) {
        format.reject(&word, "`comment` is not the beginning of a line", "write one such as `#` or `--`");
    }
    Some(word.text)
}

fn one_byte(format: &mut Table<'_>, key: &'static str) -> Option<u8> {
    let word = format.text(key)?;
    byte_of(format, key, &word)
}

fn byte_of(format: &Table<'_>, key: &str, word: &Located) -> Option<u8> {
    let byte = match word.text.as_bytes() {
        // As it is written between single quotes, which TOML leaves as they are.
        b"\\t" => Some(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | b'\0') => Some(*byte),
        _ => None,
    };
    if byte.is_none() {
        let message = format!("`{key}` is not one ASCII character of a line");
        format.reject(word, message, "write one such as `,`, `;`, `|` or `\\t`");
    }
    byte
}

//! What comes out of whole files, whatever the pieces in which they come in.

use std::convert::Infallible;
use std::io::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::util::display::array_value_to_string;
use chrono::DateTime;
use chrono_tz::Tz;
use indexmap::IndexMap;
use proptest::prelude::*;

use super::file::{Pace, read_at};
use super::*;
use crate::diagnostic::SourceFile;
use crate::project::{FilesMode, Format, LandingPattern, Limits, Rules, SourceColumn, SourceContract, Words};
use crate::store::Ledger;

/// One record set aside, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Aside {
    reason: Reason,
    column: Option<String>,
    message: String,
    offset: u64,
    line: u64,
    length: u64,
    bytes: Vec<u8>,
}

/// Keeps all that comes out: rows as texts, `∅` for null.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Kept {
    rows: Vec<Vec<String>>,
    aside: Vec<Aside>,
}

impl Sink for Kept {
    type Error = Infallible;

    fn rows(&mut self, batch: RecordBatch) -> Result<(), Infallible> {
        assert!(batch.num_rows() > 0);
        for row in 0..batch.num_rows() {
            let text = |column: &ArrayRef| match column.as_primitive_opt::<TimestampMicrosecondType>() {
                _ if column.is_null(row) => "∅".to_owned(),
                Some(times) => format!("{:?}", DateTime::from_timestamp_micros(times.value(row)).unwrap()),
                None => array_value_to_string(column, row).unwrap(),
            };
            self.rows.push(batch.columns().iter().map(text).collect());
        }
        Ok(())
    }

    fn set_aside(&mut self, record: SetAside<'_>) -> Result<(), Infallible> {
        let SetAside { reason, column, message, offset, line, length, bytes } = record;
        let (column, bytes) = (column.map(str::to_owned), bytes.to_vec());
        self.aside.push(Aside { reason, column, message, offset, line, length, bytes });
        Ok(())
    }
}

/// A contract, and a file to read by it.
struct Case {
    contract: SourceContract,
    captures: Vec<(String, String)>,
    limits: Limits,
    compression: Compression,
    pace: Pace,
}

type Read = Result<(Kept, Outcome), ReadError<Infallible>>;

impl Case {
    fn csv(columns: &[(&str, &str)]) -> Self {
        Self::new(Format::Csv { delimiter: b',', quote: b'"', header: true }, columns)
    }

    fn ndjson(columns: &[(&str, &str)]) -> Self {
        Self::new(Format::Ndjson, columns)
    }

    /// Makes columns of the given names and types; `!` at the end of a type makes it required.
    fn new(format: Format, columns: &[(&str, &str)]) -> Self {
        let columns = columns.iter().map(|&(name, kind)| {
            let rules = Rules { required: kind.ends_with('!'), ..Rules::default() };
            let column = SourceColumn {
                kind: kind.trim_end_matches('!').parse().unwrap(),
                aliases: Vec::new(),
                null: vec![String::new()],
                formats: Vec::new(),
                rules,
                words: Words::default(),
            };
            (name.to_owned(), column)
        });
        let contract = SourceContract {
            name: "sample".into(),
            file: SourceFile::new("schemas/sources/sample.toml", ""),
            description: None,
            grain: None,
            from: LandingPattern::parse("in/*").unwrap(),
            format,
            files: FilesMode::Replace,
            key: Vec::new(),
            keep: None,
            parse_zone: Tz::UTC,
            rejected_share: 0.0,
            columns: columns.collect::<IndexMap<_, _>>(),
        };
        let limits = Limits { record_bytes: 64, file_bytes: 1 << 20, ..Limits::default() };
        let pace = Pace { chunk_bytes: 1 << 16, batch_rows: 100 };
        Self { contract, captures: Vec::new(), limits, compression: Compression::Plain, pace }
    }

    fn with(mut self, column: &str, change: impl FnOnce(&mut SourceColumn)) -> Self {
        change(&mut self.contract.columns[column]);
        self
    }

    fn read(&self, bytes: &[u8]) -> Read {
        let input = FileInput {
            contract: &self.contract,
            limits: &self.limits,
            captures: &self.captures,
            compression: self.compression,
        };
        let mut kept = Kept::default();
        let outcome = read_at(self.pace, &input, bytes, &mut kept)?;
        assert!(outcome.ledger.balanced());
        Ok((kept, outcome))
    }

    fn rows(&self, bytes: &[u8]) -> Vec<Vec<String>> {
        let (kept, _) = self.read(bytes).unwrap();
        assert_eq!(kept.aside, []);
        kept.rows
    }

    #[track_caller]
    fn problem(&self, bytes: &[u8]) -> FileProblem {
        match self.read(bytes) {
            Err(ReadError::File(problem)) => problem,
            Ok((_, outcome)) => panic!("expected a problem of the file, found {outcome:?}"),
            Err(error) => panic!("expected a problem of the file, found {error:?}"),
        }
    }

    /// Checks the one record of `bytes` that is set aside.
    #[track_caller]
    fn check(
        &self,
        bytes: &[u8],
        reason: Reason,
        column: Option<&str>,
        message: &str,
        (line, offset): (u64, u64),
        raw: &[u8],
    ) {
        let (kept, _) = self.read(bytes).unwrap();
        let expected = Aside {
            reason,
            column: column.map(str::to_owned),
            message: message.to_owned(),
            offset,
            line,
            length: raw.len() as u64,
            bytes: raw.to_vec(),
        };
        assert_eq!(kept.aside, [expected]);
    }
}

#[test]
fn rows_say_where_they_come_from() {
    let case = Case::csv(&[("id", "int64!"), ("name", "string")]);
    let (kept, outcome) = case.read(b"\xef\xbb\xbfname, id \r\n\"a\n\"\"b\"\"\",1\n\n  \rc,2").unwrap();
    assert_eq!(kept.rows, [["1", "a\n\"b\"", "2", "14"], ["2", "c", "6", "30"]]);
    let ledger = Ledger {
        records: 6,
        accepted: 2,
        quarantined: 0,
        blank: 4,
        bytes: 33,
        accepted_bytes: 15,
        quarantined_bytes: 0,
        blank_bytes: 18,
    };
    assert_eq!((outcome.ledger, outcome.unknown_columns), (ledger, Vec::new()));
}

#[test]
fn every_type_is_read() {
    let columns = [
        ("i", "int64"),
        ("f", "float64"),
        ("d", "decimal(6,2)"),
        ("b", "boolean"),
        ("s", "string"),
        ("day", "date"),
        ("at", "timestamp"),
    ];
    let expected = vec![
        vec!["-5", "1.5", "12.30", "true", " x ", "2026-01-31", "2026-01-31T00:00:00.000001Z", "2", "17"],
        vec!["∅", "∅", "∅", "∅", "∅", "∅", "∅", "3", "84"],
    ];
    let mut case = Case::csv(&columns);
    case.limits.record_bytes = 1000;
    let csv = b"i,f,d,b,s,day,at\n -5 ,1.5, 12.3,\"Yes\", x , 2026-01-31,2026-01-31T08:00:00.000001+08\n,,,,,,\n";
    assert_eq!(case.rows(csv), expected);
}

#[test]
fn quotes_that_tear_cost_one_line() {
    let case = Case::csv(&[("a", "int64"), ("b", "string")]);
    let open = "expected a closing quote, found none before the end of the file or the limit";
    case.check(b"a,b\n1,\"x\n2,y\n", Reason::Quote, None, open, (2, 4), b"1,\"x\n");
    let after = "expected a delimiter or a line end after a closing quote, found text";
    case.check(b"a,b\n1,\"x\r\n2,\"y\"\n3,z", Reason::Quote, None, after, (2, 4), b"1,\"x\r\n");
    let fields = "expected 2 fields, found 3 in 2 lines that quotes join";
    let texts = Case::csv(&[("a", "string"), ("b", "string")]);
    texts.check(b"a,b\n1,\"x\n2\",3\n4,z\n", Reason::Fields, None, fields, (2, 4), b"1,\"x\n");
    let (kept, _) = case.read(b"a,b\n1,\"x\n2,y\n3,\"z\"\"\"\n").unwrap();
    assert_eq!(kept.rows, [["2", "y", "3", "9"], ["3", "z\"", "4", "13"]]);
}

#[test]
fn a_quote_that_closes_beyond_the_limit_counts_as_open() {
    let case = Case::csv(&[("a", "int64"), ("b", "string")]);
    let text = format!("a,b\n1,\"{}\n{}\"\n", "x".repeat(40), "2,y\n".repeat(10));
    let (kept, outcome) = case.read(text.as_bytes()).unwrap();
    assert_eq!(
        kept.aside.iter().map(|aside| (aside.reason, aside.line)).collect::<Vec<_>>(),
        [(Reason::Quote, 2), (Reason::Quote, 13),]
    );
    assert_eq!(outcome.ledger.accepted, 10);
}

#[test]
fn a_wrong_number_of_fields_is_set_aside() {
    let case = Case::csv(&[("a", "int64"), ("b", "string")]);
    case.check(b"a,b\n1,x,y\n2,z\n", Reason::Fields, None, "expected 2 fields, found 3", (2, 4), b"1,x,y\n");
    case.check(b"a,b\n1,x\r2\r\n", Reason::Fields, None, "expected 2 fields, found 1", (3, 8), b"2\r\n");
}

#[test]
fn a_record_longer_than_the_limit_is_counted_whole_and_kept_in_part() {
    let message = "expected a record of at most 64 bytes (`limits.record_bytes`), found a longer one";
    for chunk_bytes in [8, 64, 1 << 16] {
        let mut case = Case::csv(&[("a", "string")]);
        case.pace.chunk_bytes = chunk_bytes;
        let text = format!("a\nx\n{}\r\ny\n", "z".repeat(500));
        let (kept, outcome) = case.read(text.as_bytes()).unwrap();
        let expected = Aside {
            reason: Reason::Length,
            column: None,
            message: message.into(),
            offset: 4,
            line: 3,
            length: 502,
            bytes: vec![b'z'; 64],
        };
        assert_eq!(kept.aside, [expected]);
        assert_eq!(kept.rows, [["x", "2", "2"], ["y", "4", "506"]]);
        assert_eq!(outcome.ledger.quarantined_bytes, 502);
        let mut case = Case::ndjson(&[("a", "string")]);
        case.pace.chunk_bytes = chunk_bytes;
        let (kept, _) = case.read(format!("{{\"a\":\"{}\"}}\n{{}}", "z".repeat(500)).as_bytes()).unwrap();
        assert_eq!((kept.aside[0].reason, kept.aside[0].length), (Reason::Length, 509));
        assert_eq!(kept.rows, [["∅", "2", "509"]]);
    }
}

#[test]
fn a_value_of_another_type_is_set_aside() {
    let case = Case::csv(&[("a", "int64"), ("b", "decimal(4,1)")]);
    let message = "expected a whole number, found `1.0`";
    case.check(b"a,b\n1.0,x\n", Reason::Type, Some("a"), message, (2, 4), b"1.0,x\n");
    let message = "expected a number with at most 1 digits after the point, found `1.25`";
    case.check(b"b,a\n1.25,1\n", Reason::Type, Some("b"), message, (2, 4), b"1.25,1\n");
    let case = Case::csv(&[("at", "timestamp")]);
    let message = "expected a time such as 2026-01-31T23:59:00Z, found `soon\\t`";
    case.check(b"at\nsoon\t\n", Reason::Type, Some("at"), message, (2, 3), b"soon\t\n");
    let case = case.with("at", |column| column.formats = vec!["%d.%m.%Y".into(), "%s".into()]);
    let message = "expected a time of the form `%d.%m.%Y` or `%s`, found `2026-01-31`";
    case.check(b"at\n2026-01-31\n", Reason::Type, Some("at"), message, (2, 3), b"2026-01-31\n");
}

#[test]
fn a_value_out_of_range_is_set_aside() {
    let case = Case::csv(&[("a", "int64")]);
    let message =
        "expected a whole number from -9223372036854775808 to 9223372036854775807, found `9223372036854775808`";
    case.check(b"a\n9223372036854775808\n", Reason::Range, Some("a"), message, (2, 2), b"9223372036854775808\n");
    let case = Case::csv(&[("a", "decimal(4,1)")]).with("a", |column| {
        column.rules.min = Some("-2".into());
        column.rules.max = Some("9.5".into());
    });
    case.check(b"a\n9.6\n9.50\n", Reason::Range, Some("a"), "expected at most 9.5, found `9.6`", (2, 2), b"9.6\n");
    case.check(b"a\n-2\n-2.1", Reason::Range, Some("a"), "expected at least -2, found `-2.1`", (3, 5), b"-2.1");
    let message = "expected a number with at most 3 digits before the point, found `1000`";
    case.check(b"a\n1000\n", Reason::Range, Some("a"), message, (2, 2), b"1000\n");
}

#[test]
fn a_missing_value_is_set_aside_where_one_is_required() {
    let case = Case::csv(&[("a", "int64!"), ("b", "string")]).with("a", |column| column.null.push("N/A".into()));
    let message = "expected a value, found `N/A`, which stands for null";
    case.check(b"a,b\nN/A,x\n", Reason::Null, Some("a"), message, (2, 4), b"N/A,x\n");
    case.check(b"a,b\n ,x\n", Reason::Null, Some("a"), "expected a value, found nothing", (2, 4), b" ,x\n");
    let mut case = Case::ndjson(&[("a", "int64"), ("b", "string")]);
    case.contract.key = vec!["a".into()];
    case.check(b"{}\n{\"a\":1}\n", Reason::NullKey, Some("a"), "expected a value, found null", (1, 0), b"{}\n");
}

#[test]
fn a_value_that_is_not_allowed_is_set_aside() {
    let case =
        Case::csv(&[("a", "string")]).with("a", |column| column.rules.values = vec!["new".into(), "open".into()]);
    let message = "expected one of `new`, `open`, found `Open`";
    case.check(b"a\nopen\nOpen\n", Reason::Enum, Some("a"), message, (3, 7), b"Open\n");
    let case = Case::csv(&[("a", "decimal(4,2)")]).with("a", |column| column.rules.values = vec!["1.5".into()]);
    let message = "expected one of `1.5`, found `1.51`";
    case.check(b"a\n1.50\n1.51\n", Reason::Enum, Some("a"), message, (3, 7), b"1.51\n");
}

#[test]
fn a_text_that_does_not_match_is_set_aside() {
    let case = Case::csv(&[("a", "string")]).with("a", |column| column.rules.pattern = Some("^[a-z]+@".into()));
    let message = "expected text that matches `^[a-z]+@`, found `x.y@z`";
    case.check(b"a\nx@z\nx.y@z\n", Reason::Pattern, Some("a"), message, (3, 6), b"x.y@z\n");
}

#[test]
fn bytes_that_are_not_utf_8_are_set_aside() {
    let case = Case::csv(&[("a", "string"), ("b", "int64")]);
    let message = "expected UTF-8 text, found `\\xe9t\\xe9`";
    case.check(b"a,b\nx,1\n\xe9t\xe9,2\n", Reason::Encoding, Some("a"), message, (3, 8), b"\xe9t\xe9,2\n");
    case.check(
        b"a,b\nx,\xff\n",
        Reason::Encoding,
        Some("b"),
        "expected UTF-8 text, found `\\xff`",
        (2, 4),
        b"x,\xff\n",
    );
    // Together these two cells are valid, but neither is alone.
    let (kept, _) = case.read(b"a,b\n\xe4\xb8,1\n\xad,2\n").unwrap();
    assert_eq!(kept.aside.len(), 2);
    let case = Case::ndjson(&[("a", "string")]);
    let message = "expected UTF-8 text, found other bytes at byte 7 of the line";
    case.check(b"{\"a\":\"\xe9\"}\n", Reason::Encoding, None, message, (1, 0), b"{\"a\":\"\xe9\"}\n");
}

#[test]
fn a_time_that_never_was_is_set_aside() {
    let mut case = Case::csv(&[("at", "timestamp")]);
    case.contract.parse_zone = Tz::America__New_York;
    let message = "expected a time that clocks in America/New_York have shown, found `2025-03-09 02:30`";
    case.check(b"at\n2025-03-09 02:30\n", Reason::DstGap, Some("at"), message, (2, 3), b"2025-03-09 02:30\n");
    assert_eq!(case.rows(b"at\n2025-11-02 01:30\n"), [["2025-11-02T05:30:00Z", "2", "3"]]);
    case.contract.parse_zone = Tz::Asia__Shanghai;
    assert_eq!(case.rows(b"at\n2025-03-09 02:30\n"), [["2025-03-08T18:30:00Z", "2", "3"]]);
    case.contract.parse_zone = Tz::Australia__Lord_Howe;
    assert_eq!(case.rows(b"at\n2025-04-06 01:45\n"), [["2025-04-05T14:45:00Z", "2", "3"]]);
}

#[test]
fn lines_that_are_not_one_object_are_set_aside() {
    let case = Case::ndjson(&[("a", "int64")]);
    let check = |line: &str, message: &str| {
        let bytes = format!("{{\"a\":1}}\n{line}\n");
        case.check(bytes.as_bytes(), Reason::Json, None, message, (2, 8), &bytes.as_bytes()[8..]);
    };
    let at = "expected one JSON object, found a mistake at byte";
    check("{\"a\":1", &format!("{at} 6 of the line: EOF while parsing an object"));
    check("{\"a\":01}", &format!("{at} 7 of the line: invalid number"));
    check("{\"a\":NaN}", &format!("{at} 6 of the line: expected value"));
    check("{\"a\":1}{\"a\":2}", &format!("{at} 8 of the line: trailing characters"));
    check("[1]", &format!("{at} 0 of the line: invalid type: sequence, expected an object"));
    check("{\"a\":\"\\ud800\"}", &format!("{at} 14 of the line: unexpected end of hex escape"));
}

#[test]
fn objects_are_read_by_name() {
    let case = Case::ndjson(&[("id", "int64!"), ("note", "string"), ("amount", "decimal(38,2)")])
        .with("id", |column| column.aliases = vec!["ticket_id".into(), "no".into()]);
    let lines = [
        r#"{"id":9007199254740993,"note":"a\u4e2d\n","amount":123456789012345678901234567890123456.78}"#,
        r#"{"no":3,"ticket_id":2,"note":{"x":[1, 2]},"amount":null,"new":[]}"#,
        r#"{"id":1,"ticket_id":2,"id":5,"note":true,"amount":1.50e1}"#,
        r#" { "\u0069d" : "7" , "note" : -0.10 } "#,
        "  ",
        r#"{"id":8,"note":[],"other":{"a":"}"}}"#,
    ];
    let mut case = case;
    case.limits.record_bytes = 200;
    let (kept, outcome) = case.read(lines.join("\r\n").as_bytes()).unwrap();
    assert_eq!(kept.aside, []);
    let values = kept.rows.iter().map(|row| row[..3].to_vec()).collect::<Vec<_>>();
    assert_eq!(
        values,
        [
            ["9007199254740993", "a中\n", "123456789012345678901234567890123456.78"],
            ["2", "{\"x\":[1, 2]}", "∅"],
            ["5", "true", "15.00"],
            ["7", "-0.10", "∅"],
            ["8", "[]", "∅"],
        ]
    );
    assert_eq!(outcome.unknown_columns, ["new", "other"]);
    assert_eq!((outcome.ledger.blank, outcome.ledger.accepted), (1, 5));
}

#[test]
fn nested_values_are_text_or_no_value_and_not_too_deep() {
    let mut case = Case::ndjson(&[("a", "int64"), ("b", "string")]);
    case.check(b"{\"a\":[1]}", Reason::Type, Some("a"), "expected a whole number, found `[1]`", (1, 0), b"{\"a\":[1]}");
    case.limits.record_bytes = 1 << 19;
    case.limits.file_bytes = 1 << 21;
    let nested = |name: &str, depth: usize| format!("{{\"{name}\":{}{}}}\n", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(case.rows(nested("b", 128).as_bytes()).len(), 1);
    assert_eq!(case.rows(nested("unknown", 100_000).as_bytes()).len(), 1);
    let (kept, _) = case.read(nested("b", 100_000).as_bytes()).unwrap();
    assert_eq!(kept.aside[0].reason, Reason::Json);
    assert!(kept.aside[0].message.ends_with("a value nested deeper than 128"), "{}", kept.aside[0].message);
}

#[test]
fn the_first_column_at_fault_is_named() {
    let case = Case::csv(&[("a", "int64"), ("b", "date!")]);
    let message = "expected a whole number, found `x`";
    case.check(b"b,a\n,x\n", Reason::Type, Some("a"), message, (2, 4), b",x\n");
}

#[test]
fn columns_come_from_the_header_the_order_or_the_path() {
    let mut case = Case::csv(&[("day", "date!"), ("a", "int64!"), ("b", "string")])
        .with("b", |column| column.aliases = vec!["note".into()]);
    case.captures = vec![("day".into(), "2026-01-31".into())];
    let (kept, outcome) = case.read(b"x,note,a,x,day\n0,n,1,0,never\n").unwrap();
    assert_eq!(kept.rows, [["2026-01-31", "1", "n", "2", "15"]]);
    assert_eq!(outcome.unknown_columns, ["x", "day"]);
    assert_eq!(case.rows(b"a\n1\n"), [["2026-01-31", "1", "∅", "2", "2"]]);
    case.contract.format = Format::Csv { delimiter: b'\t', quote: b'\'', header: false };
    assert_eq!(case.rows(b"1\t'it''s'\n"), [["2026-01-31", "1", "it's", "1", "0"]]);
    case.captures[0].1 = "yesterday".into();
    assert_eq!(
        case.problem(b"").to_string(),
        "the path gives column `day` a value that does not fit: expected a date such as 2026-01-31, found `yesterday`"
    );
}

#[test]
fn what_is_wrong_with_a_whole_file_is_said_once() {
    let case = Case::csv(&[("id", "int64!"), ("b", "string")]);
    let missing = FileProblem::MissingColumn { column: "id".into(), header: vec!["ID".into(), "b".into()] };
    assert_eq!(case.problem(b"ID,b\n1,2\n"), missing);
    assert_eq!(case.problem(b"id,b,id\n1,2,3\n"), FileProblem::DuplicateColumn { name: "id".into() });
    assert_eq!(case.problem(b"\n \n"), FileProblem::NoHeader);
    assert!(matches!(case.problem(b"\n\"id,b\n1,2\n"), FileProblem::BrokenHeader { line: 2, .. }));
    assert!(matches!(case.problem(&[b'x'; 500]), FileProblem::BrokenHeader { line: 1, .. }));
    assert!(matches!(case.problem(b"\xff\xfei\0d\0"), FileProblem::NotText { .. }));
    assert_eq!(case.problem(&vec![b'\n'; (1 << 20) + 1]), FileProblem::TooLarge { limit_bytes: 1 << 20 });
    assert_eq!(case.rows(b"id\n"), Vec::<Vec<String>>::new());
    let case = Case::ndjson(&[("id", "int64!")]);
    assert_eq!(case.rows(b""), Vec::<Vec<String>>::new());
}

#[test]
fn a_rule_that_does_not_work_is_no_fault_of_the_file() {
    let broken = |change: fn(&mut SourceColumn)| {
        let read = Case::csv(&[("a", "int64")]).with("a", change).read(b"a\n1\n");
        assert!(matches!(read, Err(ReadError::Contract { ref column, .. }) if column == "a"), "{read:?}");
    };
    broken(|column| column.rules.min = Some("x".into()));
    broken(|column| column.rules.pattern = Some("(".into()));
    broken(|column| {
        column.kind = crate::project::ColumnType::Date;
        column.formats = vec!["%Q".into()];
    });
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_files_are_read_member_after_member_and_to_the_end_or_not_at_all() {
    let mut case = Case::csv(&[("a", "int64")]);
    let text = (0..5000).map(|n| n.to_string() + "\n").collect::<String>();
    let zstd = |bytes: &[u8]| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    for (compression, encode) in [(Compression::Gzip, &gzip as &dyn Fn(&[u8]) -> Vec<u8>), (Compression::Zstd, &zstd)] {
        case.compression = compression;
        let whole = [encode(b"a\n"), encode(text.as_bytes())].concat();
        assert_eq!(case.rows(&whole).len(), 5000);
        for cut in [0, 1, 5, whole.len() / 2, whole.len() - 1] {
            let problem = case.problem(&whole[..cut]);
            assert!(matches!(problem, FileProblem::Truncated { .. }), "{compression} {cut} {problem:?}");
        }
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 0x55;
        damaged[whole.len() / 2 + 1] ^= 0x55;
        let problem = case.problem(&damaged);
        assert!(matches!(problem, FileProblem::Corrupt { .. } | FileProblem::Truncated { .. }), "{problem:?}");
        let problem = case.problem(&[whole, b"garbage after it".to_vec()].concat());
        assert!(matches!(problem, FileProblem::Corrupt { .. }), "{problem:?}");
        case.limits.file_bytes = 1000;
        assert_eq!(case.problem(&encode(text.as_bytes())), FileProblem::TooLarge { limit_bytes: 1000 });
        case.limits.file_bytes = 1 << 20;
    }
}

#[test]
fn a_file_that_tears_a_quote_in_every_line_takes_no_longer_than_its_size_allows() {
    let mut case = Case::csv(&[("a", "string"), ("b", "string")]);
    let header = (0..1000).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
    case.limits = Limits { record_bytes: 1 << 20, file_bytes: 1 << 30, ..Limits::default() };
    // Inside and outside quotes alike, each of these lines closes a quote or opens one for the next.
    let text = format!("a,b,{header}\n{}", "a\",\"b\n".repeat(100_000));
    let started = std::time::Instant::now();
    let (_, outcome) = case.read(text.as_bytes()).unwrap();
    assert_eq!(outcome.ledger.quarantined, 100_000);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn looking_ahead_is_given_up_and_taken_up_again_at_the_same_places_at_any_pace() {
    let mut case = Case::csv(&[("a", "string"), ("c7", "string")]);
    case.limits.record_bytes = 600;
    let header = (0..50).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
    let fine = format!("\"x\ny\"{}\n", ",".repeat(50));
    let text = format!("a,{header}\n{fine}{}{fine}{}{fine}", "a\",\"b\n".repeat(300), "plain\n".repeat(200));
    let (kept, _) = case.read(text.as_bytes()).unwrap();
    assert_eq!(kept.rows.len(), 3);
    // A torn line is found out by its fields when there is a look ahead, and by its quote when there is none.
    let count = |reason| kept.aside.iter().filter(|aside| aside.reason == reason).count();
    assert!(count(Reason::Quote) > 150 && count(Reason::Fields) > 250, "{:?}", kept.aside.len());
    check_paces(&mut case, text.as_bytes(), &PACES);
}

fn any_of(pieces: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(pieces).prop_map(<[u8]>::to_vec)
}

/// Pieces that CSV files are made of, most of them trouble.
fn csv_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => "[0-9]{1,3}".prop_map(String::into_bytes),
        6 => Just(b",".to_vec()),
        4 => any_of(&[b"\n", b"\r\n", b"\r", b"\n\n", b"\r\r\n"]),
        3 => any_of(&[b"\"", b"\"\"", b",\"", b"\",", b"\n\""]),
        2 => any_of(&[b" ", b"\t", b"\0", b"\xff", b"\xe4\xb8\xad"]),
        1 => (60_usize..200).prop_map(|length| vec![b'x'; length]),
        2 => Just(b"1,x\n2,\"y\"\n".to_vec()),
    ];
    (
        prop_oneof![Just("a,b\n"), Just("b,a\r\n"), Just("\u{feff}\na,b,c\r"), Just("\"a\",\"b\"\n"), Just("")],
        prop::collection::vec(piece, 0..80),
    )
        .prop_map(|(header, pieces)| [header.as_bytes(), &pieces.concat()].concat())
}

/// Pieces that NDJSON files are made of.
fn ndjson_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => prop_oneof![
            Just("{\"a\":1,\"b\":\"x\"}"), Just("{\"b\":null}"), Just("{\"a\":\"2\",\"b\":[1,\"\\n\"]}"), Just("{}"),
            Just(" { \"b\" : \"\\u4e2d\" , \"a\" : -3 } "), Just("{\"a\":1e2,\"c\":{}}"),
        ].prop_map(|text| text.as_bytes().to_vec()),
        4 => any_of(&[b"\n", b"\r\n", b"\r", b"\n\n"]),
        3 => "[{}\\[\\]:,\"a0-9\\\\ -]{1,4}".prop_map(String::into_bytes),
        1 => any_of(&[b"\0", b"\xff", b"\xe4\xb8\xad", b"\x1b"]),
        1 => (60_usize..200).prop_map(|length| vec![b'x'; length]),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Checks that the records in `kept` lie in the file one after another, and that those set aside are what the file has.
fn check_places(bytes: &[u8], kept: &Kept, outcome: &Outcome, limit: usize) {
    let mut places = kept
        .rows
        .iter()
        .map(|row| {
            let place = |at: usize| row[row.len() - at].parse::<u64>().unwrap();
            (place(1), place(2), 1)
        })
        .collect::<Vec<_>>();
    places.extend(kept.aside.iter().map(|aside| (aside.offset, aside.line, aside.length)));
    places.sort_unstable();
    assert!(places.windows(2).all(|pair| pair[0].0 + pair[0].2 <= pair[1].0 && pair[0].1 < pair[1].1), "{places:?}");
    assert!(kept.rows.is_sorted_by_key(|row| row[row.len() - 1].parse::<u64>().unwrap()));
    assert!(kept.aside.is_sorted_by_key(|aside| aside.offset));
    for aside in &kept.aside {
        let start = usize::try_from(aside.offset).unwrap();
        let length = usize::try_from(aside.length).unwrap();
        assert_eq!(aside.bytes, bytes[start..start + length.min(limit)]);
        assert!(length <= limit || aside.reason == Reason::Length);
    }
    assert_eq!(outcome.ledger.accepted, kept.rows.len() as u64);
    assert_eq!(outcome.ledger.quarantined, kept.aside.len() as u64);
    assert_eq!(outcome.ledger.bytes, bytes.len() as u64);
}

/// Checks one file at several paces: all of them must say the same, and what they say must add up.
fn check_paces(case: &mut Case, bytes: &[u8], paces: &[Pace]) {
    let mut said = Vec::new();
    for &pace in paces {
        case.pace = pace;
        said.push(match case.read(bytes) {
            Ok((kept, outcome)) => {
                check_places(bytes, &kept, &outcome, case.limits.record_bytes);
                Ok((kept, outcome))
            }
            Err(ReadError::File(problem)) => Err(problem),
            Err(error) => panic!("{error:?}"),
        });
    }
    let first = said[0].clone();
    for (said, pace) in said.iter().zip(paces).skip(1) {
        assert_eq!(said, &first, "{pace:?}");
    }
}

const PACES: [Pace; 4] = [
    Pace { chunk_bytes: 1 << 16, batch_rows: 1000 },
    Pace { chunk_bytes: 8, batch_rows: 3 },
    Pace { chunk_bytes: 13, batch_rows: 1 },
    Pace { chunk_bytes: 64, batch_rows: 2 },
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_csv_is_accounted_for_at_any_pace(bytes in csv_bytes(), cut in 0_usize..400) {
        let mut case = Case::csv(&[("a", "int64!"), ("b", "string")]);
        check_paces(&mut case, &bytes[..bytes.len().min(cut.max(20))], &PACES);
    }

    #[test]
    fn any_csv_without_header_is_accounted_for_at_any_pace(bytes in csv_bytes(), record_bytes in 1_usize..100) {
        let mut case = Case::new(Format::Csv { delimiter: b',', quote: b'"', header: false }, &[("b", "string"), ("a", "string")]);
        case.limits.record_bytes = record_bytes;
        check_paces(&mut case, &bytes, &PACES);
    }

    #[test]
    fn any_ndjson_is_accounted_for_at_any_pace(bytes in ndjson_bytes()) {
        check_paces(&mut Case::ndjson(&[("a", "int64"), ("b", "string")]), &bytes, &PACES);
    }

    #[test]
    fn plain_objects_are_what_serde_json_says(line in "\\{( ?\"(a|b|\\\\u0061|)\" ?:(1|-0\\.5e3|01|1\\.|-|\"x\\\\[nu\"/q]?(00e9|d83d)?\"|\"é\"|true|nul|null|\\[\\]) ?[,}]){0,4}[} ]?") {
        let mut case = Case::ndjson(&[("a", "string"), ("b", "string")]);
        case.limits.record_bytes = 1000;
        let (kept, _) = case.read(line.as_bytes()).unwrap();
        match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&line) {
            Ok(object) => {
                prop_assert_eq!(&kept.aside, &[]);
                for (at, name) in ["a", "b"].iter().enumerate() {
                    let shown = match object.get(*name) {
                        None | Some(serde_json::Value::Null) => "∅".to_owned(),
                        Some(serde_json::Value::String(text)) => text.clone(),
                        Some(serde_json::Value::Number(number)) => {
                            prop_assert_eq!(kept.rows[0][at].parse::<f64>().ok(), number.as_f64());
                            continue;
                        }
                        Some(other) => other.to_string(),
                    };
                    prop_assert_eq!(&kept.rows[0][at], &shown);
                }
            }
            Err(_) => prop_assert!(kept.rows.is_empty() || line.contains("\\u"), "{:?}", kept.rows),
        }
    }
}

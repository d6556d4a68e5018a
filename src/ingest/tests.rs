//! What comes out of whole files, whatever the pieces in which they come in.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::LazyLock;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::util::display::array_value_to_string;
use chrono::DateTime;
use chrono_tz::Tz;
use indexmap::IndexMap;
use proptest::prelude::*;

use super::*;
use crate::diagnostic::SourceFile;
use crate::project::{
    ColumnDoc, ColumnType, Comparison, Condition, CsvFormat, FieldNames, FilesMode, Format, LandingPattern, Limits,
    NdjsonFormat, NewColumns, Normaliser, Operand, Readiness, RecordRule, RuleReason, Rules, SourceColumn,
    SourceContract, Test,
};
use crate::store::Ledger;

/// One quarantined record, owned.
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

    fn quarantine(&mut self, record: QuarantinedRecord<'_>) -> Result<(), Infallible> {
        let QuarantinedRecord { reason, column, message, offset, line, length, bytes } = record;
        let (column, bytes) = (column.map(str::to_owned), bytes.to_vec());
        self.aside.push(Aside { reason, column, message, offset, line, length, bytes });
        Ok(())
    }
}

/// Made once: it takes longer than reading a small file.
static FROM: LazyLock<LandingPattern> = LazyLock::new(|| LandingPattern::parse("in/*").unwrap());

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
        Self::new(Format::Csv(CsvFormat::USUAL), columns)
    }

    fn ndjson(columns: &[(&str, &str)]) -> Self {
        Self::new(Format::Ndjson(NdjsonFormat::USUAL), columns)
    }

    /// Makes columns of the given names and types; `!` at the end of a type makes it required.
    fn new(format: Format, columns: &[(&str, &str)]) -> Self {
        let columns = columns.iter().map(|&(name, kind)| {
            let rules = Rules { required: kind.ends_with('!'), ..Rules::default() };
            let column = SourceColumn {
                null: vec![String::new()],
                rules,
                ..SourceColumn::of(kind.trim_end_matches('!').parse().unwrap())
            };
            (name.to_owned(), column)
        });
        let contract = SourceContract {
            erased: std::collections::BTreeMap::new(),
            name: "sample".into(),
            file: SourceFile::new("schemas/sources/sample.toml", ""),
            description: None,
            grain: None,
            owner: None,
            from: FROM.clone(),
            from_at: SourceFile::new("schemas/sources/sample.toml", "").whole(),
            format,
            encoding: encoding_rs::UTF_8,
            ready: Readiness::default(),
            files: FilesMode::Replace,
            key: Vec::new(),
            keep: None,
            parse_zone: Tz::UTC,
            // What is reported of files as a whole has tests of its own: here each record comes to something.
            rejected_share: 1.0,
            new_columns: NewColumns::Report,
            columns: columns.collect::<IndexMap<_, _>>(),
            rules: Vec::new(),
            late: None,
            count_repeated: false,
            partition: None,
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
            landed_at: None,
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

    /// Returns the one record of `bytes` that is quarantined.
    #[track_caller]
    fn quarantined(&self, bytes: &[u8]) -> Aside {
        let (kept, _) = self.read(bytes).unwrap();
        let [record] = <[Aside; 1]>::try_from(kept.aside).unwrap();
        record
    }
}

impl Aside {
    #[track_caller]
    fn stands_at(self, (line, offset): (u64, u64), raw: &[u8]) -> Self {
        assert_eq!((self.line, self.offset, self.length, &*self.bytes), (line, offset, raw.len() as u64, raw));
        self
    }

    #[track_caller]
    fn says(&self, reason: Reason, column: Option<&str>, message: &str) {
        assert_eq!((self.reason, self.column.as_deref(), &*self.message), (reason, column, message));
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
        rows: 2,
        bytes: 33,
        accepted_bytes: 15,
        quarantined_bytes: 0,
        blank_bytes: 18,
        late: 0,
        erased: 0,
        erased_rows: 0,
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
    case.quarantined(b"a,b\n1,\"x\n2,y\n").stands_at((2, 4), b"1,\"x\n").says(Reason::Quote, None, open);
    let after = "expected a delimiter or a line end after a closing quote, found text";
    case.quarantined(b"a,b\n1,\"x\r\n2,\"y\"\n3,z").stands_at((2, 4), b"1,\"x\r\n").says(Reason::Quote, None, after);
    let fields = "expected 2 fields, found 3 in 2 lines that quotes join";
    let texts = Case::csv(&[("a", "string"), ("b", "string")]);
    texts.quarantined(b"a,b\n1,\"x\n2\",3\n4,z\n").stands_at((2, 4), b"1,\"x\n").says(Reason::Fields, None, fields);
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
fn a_wrong_number_of_fields_is_quarantined() {
    let case = Case::csv(&[("a", "int64"), ("b", "string")]);
    case.quarantined(b"a,b\n1,x,y\n2,z\n").stands_at((2, 4), b"1,x,y\n").says(
        Reason::Fields,
        None,
        "expected 2 fields, found 3",
    );
    case.quarantined(b"a,b\n1,x\r2\r\n").stands_at((3, 8), b"2\r\n").says(
        Reason::Fields,
        None,
        "expected 2 fields, found 1",
    );
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
fn a_value_of_another_type_is_quarantined() {
    let case = Case::csv(&[("a", "int64"), ("b", "decimal(4,1)")]);
    let message = "expected a whole number, found `1.0`";
    case.quarantined(b"a,b\n1.0,x\n").stands_at((2, 4), b"1.0,x\n").says(Reason::Type, Some("a"), message);
    let message = "expected a number with at most 1 digits after the point, found `1.25`";
    case.quarantined(b"b,a\n1.25,1\n").stands_at((2, 4), b"1.25,1\n").says(Reason::Type, Some("b"), message);
    let case = Case::csv(&[("at", "timestamp")]);
    let message = "expected a time such as 2026-01-31T23:59:00Z, found `soon\\t`";
    case.quarantined(b"at\nsoon\t\n").stands_at((2, 3), b"soon\t\n").says(Reason::Type, Some("at"), message);
    let case = case.with("at", |column| column.formats = vec!["%d.%m.%Y".into(), "%s".into()]);
    let message = "expected a time of the form `%d.%m.%Y` or `%s`, found `2026-01-31`";
    case.quarantined(b"at\n2026-01-31\n").stands_at((2, 3), b"2026-01-31\n").says(Reason::Type, Some("at"), message);
}

#[test]
fn a_value_out_of_range_is_quarantined() {
    let case = Case::csv(&[("a", "int64")]);
    let message =
        "expected a whole number from -9223372036854775808 to 9223372036854775807, found `9223372036854775808`";
    case.quarantined(b"a\n9223372036854775808\n").stands_at((2, 2), b"9223372036854775808\n").says(
        Reason::Range,
        Some("a"),
        message,
    );
    let case = Case::csv(&[("a", "decimal(4,1)")]).with("a", |column| {
        column.rules.min = Some("-2".into());
        column.rules.max = Some("9.5".into());
    });
    case.quarantined(b"a\n9.6\n9.50\n").stands_at((2, 2), b"9.6\n").says(
        Reason::Range,
        Some("a"),
        "expected at most 9.5, found `9.6`",
    );
    case.quarantined(b"a\n-2\n-2.1").stands_at((3, 5), b"-2.1").says(
        Reason::Range,
        Some("a"),
        "expected at least -2, found `-2.1`",
    );
    let message = "expected a number with at most 3 digits before the point, found `1000`";
    case.quarantined(b"a\n1000\n").stands_at((2, 2), b"1000\n").says(Reason::Range, Some("a"), message);
}

#[test]
fn a_missing_value_is_quarantined_where_one_is_required() {
    let case = Case::csv(&[("a", "int64!"), ("b", "string")]).with("a", |column| column.null.push("N/A".into()));
    let message = "expected a value, found `N/A`, which stands for null";
    case.quarantined(b"a,b\nN/A,x\n").stands_at((2, 4), b"N/A,x\n").says(Reason::Null, Some("a"), message);
    case.quarantined(b"a,b\n ,x\n").stands_at((2, 4), b" ,x\n").says(
        Reason::Null,
        Some("a"),
        "expected a value, found nothing",
    );
    let mut case = Case::ndjson(&[("a", "int64"), ("b", "string")]);
    case.contract.key = vec!["a".into()];
    case.quarantined(b"{}\n{\"a\":1}\n").stands_at((1, 0), b"{}\n").says(
        Reason::NullKey,
        Some("a"),
        "expected a value, found null",
    );
}

#[test]
fn a_value_that_is_not_allowed_is_quarantined() {
    let case =
        Case::csv(&[("a", "string")]).with("a", |column| column.rules.values = vec!["new".into(), "open".into()]);
    let message = "expected one of `new`, `open`, found `Open`";
    case.quarantined(b"a\nopen\nOpen\n").stands_at((3, 7), b"Open\n").says(Reason::Enum, Some("a"), message);
    let case = Case::csv(&[("a", "decimal(4,2)")]).with("a", |column| column.rules.values = vec!["1.5".into()]);
    let message = "expected one of `1.5`, found `1.51`";
    case.quarantined(b"a\n1.50\n1.51\n").stands_at((3, 7), b"1.51\n").says(Reason::Enum, Some("a"), message);
}

#[test]
fn a_text_that_does_not_match_is_quarantined() {
    let case = Case::csv(&[("a", "string")]).with("a", |column| column.rules.pattern = Some("^[a-z]+@".into()));
    let message = "expected text that matches `^[a-z]+@`, found `x.y@z`";
    case.quarantined(b"a\nx@z\nx.y@z\n").stands_at((3, 6), b"x.y@z\n").says(Reason::Pattern, Some("a"), message);
}

#[test]
fn bytes_that_are_not_utf_8_are_quarantined() {
    let case = Case::csv(&[("a", "string"), ("b", "int64")]);
    let message = "expected UTF-8 text (`encoding` in `format`), found `\\xe9t\\xe9`";
    case.quarantined(b"a,b\nx,1\n\xe9t\xe9,2\n").stands_at((3, 8), b"\xe9t\xe9,2\n").says(
        Reason::Encoding,
        Some("a"),
        message,
    );
    case.quarantined(b"a,b\nx,\xff\n").stands_at((2, 4), b"x,\xff\n").says(
        Reason::Encoding,
        Some("b"),
        "expected UTF-8 text (`encoding` in `format`), found `\\xff`",
    );
    // Together these two cells are valid, but neither is alone.
    let (kept, _) = case.read(b"a,b\n\xe4\xb8,1\n\xad,2\n").unwrap();
    assert_eq!(kept.aside.len(), 2);
    let case = Case::ndjson(&[("a", "string")]);
    let message = "expected UTF-8 text (`encoding` in `format`), found other bytes at byte 7 of the line";
    case.quarantined(b"{\"a\":\"\xe9\"}\n").stands_at((1, 0), b"{\"a\":\"\xe9\"}\n").says(
        Reason::Encoding,
        None,
        message,
    );
}

#[test]
fn a_time_that_never_was_is_quarantined() {
    let mut case = Case::csv(&[("at", "timestamp")]);
    case.contract.parse_zone = Tz::America__New_York;
    let message = "expected a time that clocks in America/New_York have shown, found `2025-03-09 02:30`";
    case.quarantined(b"at\n2025-03-09 02:30\n").stands_at((2, 3), b"2025-03-09 02:30\n").says(
        Reason::DstGap,
        Some("at"),
        message,
    );
    assert_eq!(case.rows(b"at\n2025-11-02 01:30\n"), [["2025-11-02T05:30:00Z", "2", "3"]]);
    case.contract.parse_zone = Tz::Asia__Shanghai;
    assert_eq!(case.rows(b"at\n2025-03-09 02:30\n"), [["2025-03-08T18:30:00Z", "2", "3"]]);
    case.contract.parse_zone = Tz::Australia__Lord_Howe;
    assert_eq!(case.rows(b"at\n2025-04-06 01:45\n"), [["2025-04-05T14:45:00Z", "2", "3"]]);
}

#[test]
fn lines_that_are_not_one_object_are_quarantined() {
    let case = Case::ndjson(&[("a", "int64")]);
    let check = |line: &str, message: &str| {
        let bytes = format!("{{\"a\":1}}\n{line}\n");
        case.quarantined(bytes.as_bytes()).stands_at((2, 8), &bytes.as_bytes()[8..]).says(Reason::Json, None, message);
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
    case.quarantined(b"{\"a\":[1]}").stands_at((1, 0), b"{\"a\":[1]}").says(
        Reason::Type,
        Some("a"),
        "expected a whole number, found `[1]`",
    );
    case.limits.record_bytes = 1 << 19;
    case.limits.file_bytes = 1 << 21;
    let nested = |name: &str, depth: usize| format!("{{\"{name}\":{}{}}}\n", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(case.rows(nested("b", 128).as_bytes()).len(), 1);
    for (name, depth) in [("b", 129), ("b", 100_000), ("unknown", 129), ("unknown", 100_000)] {
        let (kept, _) = case.read(nested(name, depth).as_bytes()).unwrap();
        assert_eq!(kept.aside[0].reason, Reason::Json);
        let message = "expected values nested at most 128 deep (`limits.nesting_depth`), found deeper ones";
        assert_eq!(kept.aside[0].message, message);
    }
}

#[test]
fn the_first_column_at_fault_is_named() {
    let case = Case::csv(&[("a", "int64"), ("b", "date!")]);
    let message = "expected a whole number, found `x`";
    case.quarantined(b"b,a\n,x\n").stands_at((2, 4), b",x\n").says(Reason::Type, Some("a"), message);
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
    case.contract.format =
        Format::Csv(CsvFormat { delimiter: b'\t', quote: Some(b'\''), names: FieldNames::Order, ..CsvFormat::USUAL });
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
    let missing = FileProblem::MissingColumn { columns: vec!["id".into()], header: vec!["a".into(), "b".into()] };
    assert_eq!(case.problem(b"a,b\n1,2\n"), missing);
    assert_eq!(
        case.problem(b"id,b,id\n1,2,3\n"),
        FileProblem::DuplicateColumn { name: "id".into(), header: ["id", "b", "id"].map(str::to_owned).into() }
    );
    assert!(matches!(case.problem(b"\n\"id,b\n1,2\n"), FileProblem::BrokenHeader { line: 2, .. }));
    assert!(matches!(case.problem(&[b'x'; 500]), FileProblem::BrokenHeader { line: 1, .. }));
    assert_eq!(case.problem(b"i\0d\0"), FileProblem::Undeclared { encoding: "utf-16le" });
    assert_eq!(case.problem(b"\0i\0d").help(), "write `encoding = \"utf-16be\"` in `format`");
    assert!(matches!(case.problem(b"PK\x03\x04"), FileProblem::NotText { .. }));
    assert_eq!(case.problem(&vec![b'\n'; (1 << 20) + 1]), FileProblem::TooLarge { limit_bytes: 1 << 20 });
    assert_eq!(case.rows(b"id\n"), Vec::<Vec<String>>::new());
    // Nothing at all is a file of no records.
    for nothing in [&b""[..], b"\xef\xbb\xbf", b"\n \n", b"\xef\xbb\xbf\r\n", b"\xff\xfe"] {
        let (kept, outcome) = case.read(nothing).unwrap();
        assert_eq!((kept.rows.len(), outcome.ledger.accepted, outcome.has_header), (0, 0, false), "{nothing:?}");
    }
    let case = Case::ndjson(&[("id", "int64!")]);
    assert_eq!(case.rows(b""), Vec::<Vec<String>>::new());
}

#[test]
fn a_column_that_never_fits_ends_the_reading_of_a_long_file() {
    let mut case = Case::csv(&[("id", "int64!"), ("b", "string")]);
    let text = "id,b\n".to_owned() + &"x,\n".repeat(250_000);
    // All of it may be quarantined.
    assert_eq!(case.read(text.as_bytes()).unwrap().0.aside.len(), 250_000);
    case.contract.rejected_share = 0.99;
    let input = FileInput {
        contract: &case.contract,
        limits: &case.limits,
        captures: &case.captures,
        compression: case.compression,
        landed_at: None,
    };
    let mut kept = Kept::default();
    let error = read_at(case.pace, &input, text.as_bytes(), &mut kept).unwrap_err();
    assert_eq!(
        error.to_string(),
        "none of the first 100000 values of column `id` fits: expected a whole number, found `x` on line 2"
    );
    assert!(kept.aside.len() <= 100_000, "{}", kept.aside.len());
    // A value that fits has to come before, wherever the file is cut.
    for (text, is_read) in [("x,\n".repeat(99_999) + "1,\n", true), ("x,\n".repeat(100_000) + "1,\n", false)] {
        for batch_rows in [7, 4096, 1 << 20] {
            let pace = Pace { batch_rows, ..Pace::USUAL };
            let text = format!("id,b\n{text}");
            let read = read_at(pace, &input, text.as_bytes(), &mut Kept::default());
            assert_eq!(read.is_ok(), is_read, "{batch_rows}");
        }
    }
    // Each value counts once, however often it is looked at, and whatever rule it breaks.
    case.contract.columns["b"].rules.values = vec!["ok".into()];
    let text = "id,b\n".to_owned() + &"1,no\n".repeat(25);
    assert!(case.problem(text.as_bytes()).to_string().starts_with("none of the 25 values of column `b` fits"));
    let mut text = "id,b\n".to_owned().into_bytes();
    text.extend_from_slice(&b"1,\xff\n".repeat(19));
    assert_eq!(case.read(&text).unwrap().0.aside.len(), 19);
    text.extend_from_slice(b"1,\xff\n");
    assert!(case.problem(&text).to_string().starts_with("none of the 20 values of column `b` fits"));
    case.contract.columns["id"].normalise = vec![Normaliser::Amount];
    let text = "id,b\n".to_owned() + &"x,ok\n".repeat(20);
    assert!(case.problem(text.as_bytes()).to_string().starts_with("none of the 20 values of column `id` fits"));
    case.contract.columns["id"].normalise.clear();
    case.contract.columns["b"].rules.values.clear();
    // A shorter one is read to its end, and a value that fits makes it one of records again.
    let text = "id,b\n".to_owned() + &"x,\n".repeat(30);
    assert!(case.problem(text.as_bytes()).to_string().starts_with("none of the 30 values of column `id` fits"));
    assert_eq!(case.read((text + "1,\n").as_bytes()).unwrap().0.aside.len(), 30);
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

/// Writes a CSV file and its contract with another format.
fn formatted(columns: &[(&str, &str)], change: impl FnOnce(&mut CsvFormat)) -> Case {
    let mut format = CsvFormat::USUAL;
    change(&mut format);
    Case::new(Format::Csv(format), columns)
}

#[test]
fn lines_before_the_header_and_comments_are_blank() {
    let case = formatted(&[("a", "int64"), ("b", "string")], |format| {
        format.skip_lines = 2;
        format.comment = Some("--".into());
    });
    let (kept, outcome) = case.read(b"Report \"of\r\n\r\n-- by hand\na,b\r\n1,x\n--2,\"y\n3,-\n--").unwrap();
    assert_eq!(kept.aside, []);
    assert_eq!(kept.rows, [["1", "x", "5", "30"], ["3", "-", "7", "41"]]);
    assert_eq!((outcome.ledger.records, outcome.ledger.blank, outcome.ledger.blank_bytes), (8, 6, 39));
    assert_eq!(case.rows(b""), Vec::<Vec<String>>::new());
    for text in ["Report\n", "Report\n\n", "Report\n\n-"] {
        let problem = case.problem(text.as_bytes());
        assert!(matches!(problem, FileProblem::NoHeader | FileProblem::NoColumns { .. }), "{problem:?}");
    }
}

#[test]
fn a_header_that_is_not_the_expected_one_keeps_the_file_out() {
    let case = formatted(&[("a", "int64"), ("b", "string")], |format| {
        format.names = FieldNames::Listed(vec!["a".into(), "b".into(), "c".into()]);
        format.expected_header = Some(vec!["A".into(), "B".into()]);
    });
    assert_eq!(case.rows(b"\n A ,B\n1,x,\n"), [["1", "x", "3", "7"]]);
    assert_eq!(case.rows(b""), Vec::<Vec<String>>::new());
    let problem = case.problem(b"A,C\n1,x,\n");
    assert_eq!(
        problem.to_string(),
        "the header is not the one that the contract was written for: expected `B` as name 2, found `C`"
    );
    assert!(problem.help().contains("`header` of `format`"), "{}", problem.help());
    let said = case.problem(b"A,B,C\n1,x,\n").to_string();
    assert!(said.ends_with("expected 2 names, found 3"), "{said}");
    assert!(matches!(case.problem(b"1,x,\n2,y,\n"), FileProblem::OtherHeader { .. }));
}

#[test]
fn a_header_may_take_up_several_records_and_come_again() {
    let case = formatted(&[("region", "string"), ("a", "int64"), ("b", "int64")], |format| {
        format.header_rows = 2;
        format.skips_repeated_header = true;
    })
    .with("a", |column| column.aliases = vec!["Q1 sales".into()])
    .with("b", |column| column.aliases = vec!["Q2 cost".into()]);
    let text = b",Q1,,Q2,\nregion,sales,cost,sales,cost\nNorth,1,2,3,4\n,Q1,,Q2,\nregion,sales,cost,sales,cost\n\"South\",5,6,7,8\n";
    let (kept, outcome) = case.read(text).unwrap();
    assert_eq!(kept.rows, [["North", "1", "4", "3", "38"], ["South", "5", "8", "6", "90"]]);
    assert_eq!((outcome.repeated_headers, outcome.ledger.blank, outcome.ledger.records), (2, 4, 6));
    assert_eq!(outcome.unknown_columns, ["Q1 cost", "Q2 sales"]);
    assert_eq!(case.problem(b"a,b\n"), FileProblem::NoHeader);
    // Without the key the header is a record like any other.
    let case = formatted(&[("id", "string"), ("b", "string")], |_| {});
    assert_eq!(case.rows(b"id,b\n1,x\nid,b\n").len(), 2);
    let case = formatted(&[("id", "string"), ("b", "string")], |format| format.skips_repeated_header = true);
    let rows = case.rows(b"id,b\n1,x\n\xef\xbb\xbfid, b \nid,c\nid,b\n");
    assert_eq!(rows, [["1", "x", "2", "5"], ["id", "c", "4", "19"]]);
}

#[test]
fn a_record_with_other_delimiters_says_so() {
    let case = Case::csv(&[("a", "string"), ("b", "string"), ("c", "string")]);
    for (record, words) in [
        ("1;x;y", "expected 3 fields, found 1; it has 3 between semicolons, not commas"),
        ("1 \"x y\" z", "expected 3 fields, found 1; it has 3 between spaces, not commas"),
        ("1\tx\ty", "expected 3 fields, found 1; it has 3 between tabs, not commas"),
        ("1;x", "expected 3 fields, found 1"),
        ("1,x,y,z", "expected 3 fields, found 4"),
    ] {
        let (kept, _) = case.read(format!("a,b,c\n0,1,2\n{record}\n3,4,5\n").as_bytes()).unwrap();
        assert_eq!(kept.rows.len(), 2, "{record}");
        assert_eq!((kept.aside[0].reason, kept.aside[0].message.as_str()), (Reason::Fields, words), "{record}");
    }
}

#[test]
fn spaces_around_fields_go_where_the_contract_says_so() {
    let case = formatted(&[("a", "string"), ("b", "string")], |format| format.trims = true);
    assert_eq!(case.rows(b"a, b\n 1 , \"x, y\" \n"), [["1", "x, y", "2", "5"]]);
    let case = formatted(&[("a", "string"), ("b", "string")], |_| {});
    assert_eq!(case.rows(b"a, b\n 1 , x\n"), [[" 1 ", " x", "2", "5"]]);
}

#[test]
fn fields_can_be_named_in_the_contract() {
    let case = formatted(&[("a", "int64"), ("b", "string")], |format| {
        format.names = FieldNames::Listed(vec!["x".into(), "b".into(), "a".into()]);
    });
    let (kept, outcome) = case.read(b"0,y,1\n0,y\n").unwrap();
    assert_eq!(kept.rows, [["1", "y", "1", "0"]]);
    assert_eq!((kept.aside[0].reason, outcome.unknown_columns.len()), (Reason::Fields, 0));
}

#[test]
fn any_delimiter_quote_and_escape_will_do() {
    let tabs = formatted(&[("a", "string"), ("b", "string")], |format| {
        (format.delimiter, format.quote, format.escape) = (b'\t', None, Some(b'\\'));
    });
    assert_eq!(tabs.rows(b"a\tb\n\"1\\\t2\tC:\\\\x\\n\n"), [["\"1\t2", "C:\\x\\n", "2", "4"]]);
    let bars = formatted(&[("a", "string"), ("b", "string")], |format| {
        (format.delimiter, format.quote, format.escape) = (b'|', Some(b'\''), Some(b'\\'));
    });
    assert_eq!(bars.rows(b"a|b\n'1\\'|2'|'it''s'\n"), [["1'|2", "it's", "2", "4"]]);
}

#[test]
fn short_rows_are_filled_where_the_contract_says_so() {
    let case = formatted(&[("a", "int64"), ("b", "string!"), ("c", "string")], |format| format.fills_short_rows = true);
    let (kept, _) = case.read(b"a,b,c\n1,x\n2\n3,y,z\n4,y,z,\n").unwrap();
    assert_eq!(kept.rows, [["1", "x", "∅", "2", "6"], ["3", "y", "z", "4", "12"]]);
    let reasons = kept.aside.iter().map(|aside| (aside.reason, aside.line)).collect::<Vec<_>>();
    assert_eq!(reasons, [(Reason::Null, 3), (Reason::Fields, 5)]);
}

#[test]
fn stray_quotes_are_text_where_the_contract_says_so() {
    let mut case = formatted(&[("a", "string"), ("b", "string"), ("c", "string")], |format| {
        format.keeps_stray_quotes = true;
    });
    let text = br#"a,b,c
1,"x, y",z
2,"torn,z
0,plain,z
3,"a "b" c",z
4,""d, e",z
5,x,"
6,"u
""v",z
7,"p, q,z
8,"one "two, three" four",z
9,"first line
and "last" line",z
10,x,"first line
and "last" line"
12,x,"he said "hi" to
me"
11,"p""q" r","s
"#;
    for pace in PACES {
        case.pace = pace;
        let (kept, _) = case.read(text).unwrap();
        let rows = kept.rows.iter().map(|row| row[..3].join("|")).collect::<Vec<_>>();
        let expected = [
            "1|x, y|z",
            "2|\"torn|z",
            "0|plain|z",
            "3|a \"b\" c|z",
            "4|\"d, e|z",
            "5|x|\"",
            "6|u\n\"v|z",
            "8|one \"two, three\" four|z",
            "11|p\"q\" r|\"s",
        ];
        assert_eq!(rows, expected);
        // One with another number of fields either way, and a text of several lines.
        let lines = kept.aside.iter().map(|aside| aside.line).collect::<Vec<_>>();
        assert_eq!(lines, [10, 12, 13, 14, 15, 16, 17]);
    }
    // Without it each of them is quarantined.
    let plain = formatted(&[("a", "string"), ("b", "string"), ("c", "string")], |_| {});
    let (kept, _) = plain.read(text).unwrap();
    assert_eq!(kept.rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["1", "0", "6"]);
}

#[test]
fn a_header_with_a_stray_quote_names_the_columns_that_the_contract_knows() {
    let case = formatted(&[("\"a", "string"), ("b", "string"), ("c", "string")], |format| {
        format.keeps_stray_quotes = true;
    });
    assert_eq!(case.rows(b"\"a,b,\"c\"\n1,2,3\n"), [["1", "2", "3", "2", "9"]]);
    // Read as a quoted name with a quote in it, it has two names; no column is called like the first of them.
    let case = formatted(&[("a,b,\"c", "string"), ("d", "string")], |format| format.keeps_stray_quotes = true);
    assert_eq!(case.rows(b"\"a,b,\"c\",d\n1,2\n"), [["1", "2", "2", "11"]]);
}

#[test]
fn files_of_many_encodings_say_the_same() {
    let text = "名,额\r\n订单,1\r\n\"退\n款\",2\r\n";
    let mut case = Case::csv(&[("名", "string"), ("额", "int64")]);
    let expected = case.rows(text.as_bytes());
    let utf16: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    let rows = case.rows(&utf16);
    assert_eq!(
        rows.iter().map(|row| &row[..3]).collect::<Vec<_>>(),
        expected.iter().map(|row| &row[..3]).collect::<Vec<_>>()
    );
    case.contract.encoding = encoding_rs::GB18030;
    let (bytes, _, _) = encoding_rs::GB18030.encode(text);
    assert_eq!(case.rows(&bytes), expected);
    // The offset is one of the decoded text: the header takes 9 bytes of it, 7 of the file.
    let (kept, outcome) = case.read(b"\xc3\xfb,\xb6\xee\r\n\x81,1\n\xb6\xa9,2\n").unwrap();
    assert_eq!(kept.rows, [["订", "2", "3", "14"]]);
    assert_eq!(kept.aside.len(), 1);
    let Aside { reason, column, message, offset, bytes, .. } = &kept.aside[0];
    assert_eq!((reason, column.as_deref(), offset), (&Reason::Encoding, Some("名"), &9));
    assert_eq!(
        (message.as_str(), &bytes[..]),
        ("expected gb18030 text (`encoding` in `format`), found `\\xff\\x81`", &b"\xff\x81,1\n"[..])
    );
    assert_eq!(outcome.ledger.bytes, 20);
}

#[test]
fn headers_of_ten_thousand_columns_are_read_and_more_are_refused() {
    let names = (0..10_000).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
    let mut case = Case::csv(&[("c0", "int64"), ("c9999", "string")]);
    case.limits.record_bytes = 1 << 20;
    let line = (0..10_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",") + "\n";
    let rows = case.rows(format!("{names}\n{}", line.repeat(8)).as_bytes());
    assert_eq!((rows.len(), rows[7][1].as_str()), (8, "9999"));
    case.limits.columns = 9_999;
    let problem = case.problem(names.as_bytes());
    assert_eq!(problem, FileProblem::TooManyColumns { found: 10_000, limit: 9_999 });
    assert!(problem.help().contains("`columns = 50000`"), "{}", problem.help());
}

#[test]
fn fields_of_a_hundred_million_bytes_are_read_where_the_limit_allows_them() {
    let mut case = Case::csv(&[("a", "string"), ("b", "int64")]);
    case.limits = Limits { record_bytes: 120_000_000, file_bytes: 1 << 30, ..Limits::default() };
    case.pace = Pace::USUAL;
    let text = format!("a,b\n\"{}\n\",1\nx,2\n", "y\n".repeat(50_000_000));
    let (kept, outcome) = case.read(text.as_bytes()).unwrap();
    let found = kept.rows.iter().map(|row| (row[0].len(), row[1].as_str(), row[2].as_str())).collect::<Vec<_>>();
    assert_eq!(found, [(100_000_001, "1", "2"), (1, "2", "50000004")]);
    assert!(outcome.ledger.balanced());
}

#[test]
fn values_inside_objects_are_found_by_their_path() {
    let mut case = Case::ndjson(&[("channel", "string"), ("from", "string"), ("via", "string"), ("n", "int64")])
        .with("channel", |column| {
            column.path = vec!["via".into(), "channel".into()];
            column.aliases = vec!["channel".into()];
        })
        .with("from", |column| column.path = vec!["via".into(), "source".into(), "from".into()]);
    case.limits.record_bytes = 400;
    let lines = [
        r#"{"via":{"channel":"web","source":{"from":{"a":1},"to":2}},"n":1}"#,
        r#"{"n":2,"channel":"old"}"#,
        r#"{"channel":"old","via":{"channel":"new"},"n":3}"#,
        r#"{"via":null,"n":4}"#,
        r#"{"via":{"channel":"a","source":{"from":"b"}},"via":{"source":{}},"n":5}"#,
        r#"{"via":{"ch\u0061nnel":"escaped","source":null},"n":6}"#,
        r#"{"via.channel":"no path","n":7}"#,
    ];
    let (kept, outcome) = case.read(lines.join("\n").as_bytes()).unwrap();
    assert_eq!(kept.aside, []);
    let values = kept.rows.iter().map(|row| row[..4].to_vec()).collect::<Vec<_>>();
    assert_eq!(
        values,
        [
            ["web", "{\"a\":1}", r#"{"channel":"web","source":{"from":{"a":1},"to":2}}"#, "1"],
            ["old", "∅", "∅", "2"],
            ["new", "∅", r#"{"channel":"new"}"#, "3"],
            ["∅", "∅", "∅", "4"],
            ["∅", "∅", r#"{"source":{}}"#, "5"],
            ["escaped", "∅", r#"{"ch\u0061nnel":"escaped","source":null}"#, "6"],
            ["∅", "∅", "∅", "7"],
        ]
    );
    assert_eq!(outcome.unknown_columns, ["via.source.to", "via.channel"]);
    let line = b"{\"via\":\"web\"}";
    let message = "expected one JSON object, found a mistake at byte 13 of the line: `via` is no object, and the contract looks inside it";
    case.quarantined(line).stands_at((1, 0), line).says(Reason::Json, None, message);
}

/// Orders of several items each: every item is a row.
fn exploded(path: &str, columns: &[(&str, &str, &str)]) -> Case {
    let names = |path: &str| path.split('.').map(str::to_owned).collect::<Vec<_>>();
    let kinds = columns.iter().map(|&(name, kind, _)| (name, kind)).collect::<Vec<_>>();
    let mut case = Case::new(Format::Ndjson(NdjsonFormat { explode: names(path) }), &kinds);
    for (name, _, path) in columns.iter().filter(|(.., path)| !path.is_empty()) {
        case.contract.columns[*name].path = names(path);
    }
    case.limits.record_bytes = 400;
    case
}

fn items() -> Case {
    exploded("items", &[("id", "int64!", ""), ("no", "int64", "items.#"), ("sku", "string", "items.sku")])
}

#[test]
fn each_element_of_an_array_is_a_row() {
    let case = items();
    let lines = [
        r#"{"id":1,"items":[{"sku":"a"},{"sku":"b","n":2}]}"#,
        r#"{"items":[ null , {} ],"id":2}"#,
        r#"{"id":3}"#,
        r#"{"id":4,"items":null}"#,
        r#"{"id":5,"items":[]}"#,
        r#"{"id":6,"it\u0065ms":[{"s\u006bu":"\u00e9"}]}"#,
        r#"{"id":7,"items":[{"sku":"x"}],"items":[{"sku":"y"},{"sku":[1, 2]}]}"#,
    ];
    let (kept, outcome) = case.read(lines.join("\n").as_bytes()).unwrap();
    assert_eq!(kept.aside, []);
    let values = kept.rows.iter().map(|row| (row[..3].join(" "), row[3].as_str())).collect::<Vec<_>>();
    let expected = [
        ("1 1 a", "1"),
        ("1 2 b", "1"),
        ("2 1 ∅", "2"),
        ("2 2 ∅", "2"),
        ("3 ∅ ∅", "3"),
        ("4 ∅ ∅", "4"),
        ("5 ∅ ∅", "5"),
        ("6 1 é", "6"),
        ("7 1 y", "7"),
        ("7 2 [1, 2]", "7"),
    ];
    assert_eq!(values, expected.map(|(row, line)| (row.to_owned(), line)));
    assert_eq!((outcome.ledger.records, outcome.ledger.accepted, outcome.ledger.rows), (7, 7, 10));
    assert_eq!(outcome.ledger.accepted_bytes, outcome.ledger.bytes);
    assert_eq!(outcome.unknown_columns, ["items.n"]);
}

#[test]
fn an_element_can_be_a_value_or_its_text_and_lie_deep() {
    let tags = exploded(
        "post.tags",
        &[("id", "int64", ""), ("tag", "string", "post.tags"), ("who", "string", "post.by.name")],
    );
    let lines = [
        r#"{"id":1,"post":{"tags":["a","\u0062\n",3,null,{"x": [1]}],"by":{"name":"n"}}}"#,
        r#"{"id":2,"post":null}"#,
        r#"{"id":3,"post":{"tags":["x"]},"post":{"by":{}}}"#,
    ];
    let rows = tags.rows(lines.join("\n").as_bytes()).iter().map(|row| row[..3].join(" ")).collect::<Vec<_>>();
    assert_eq!(rows, ["1 a n", "1 b\n n", "1 3 n", "1 ∅ n", "1 {\"x\": [1]} n", "2 ∅ ∅", "3 ∅ ∅"]);
    // The column that is called as the array is its elements, beside what is inside them.
    let both = exploded("items", &[("items", "string", ""), ("sku", "string", "items.sku.id")])
        .with("sku", |column| column.aliases = vec!["sku".into()]);
    let text = br#"{"sku":"old","items":[{"sku":{"id":7}},{"sku":null},{"sku":{"id":8},"sku":{}}]}"#;
    let rows = both.rows(text).iter().map(|row| row[..2].join(" ")).collect::<Vec<_>>();
    assert_eq!(
        rows,
        [r#"{"sku":{"id":7}} 7"#, r#"{"sku":null} old"#, r#"{"sku":{"id":8},"sku":{}} ∅"#],
        "an alias stands in for what an element has not"
    );
}

#[test]
fn a_record_of_which_one_row_fails_is_quarantined_once_and_whole() {
    let case = items().with("sku", |column| column.rules.values = vec!["a".into(), "b".into()]);
    let good = "{\"id\":1,\"items\":[{\"sku\":\"a\"},{\"sku\":\"b\"}]}\n";
    let bad = "{\"id\":2,\"items\":[{\"sku\":\"a\"},{\"sku\":\"c\"},{\"sku\":\"d\"},{\"sku\":\"b\"}]}\n";
    let text = format!("{good}{bad}{good}");
    let message = "expected one of `a`, `b`, found `c`";
    case.quarantined(text.as_bytes()).stands_at((2, good.len() as u64), bad.as_bytes()).says(
        Reason::Enum,
        Some("sku"),
        message,
    );
    let (kept, outcome) = case.read(text.as_bytes()).unwrap();
    assert_eq!(kept.rows.iter().map(|row| row[3].as_str()).collect::<Vec<_>>(), ["1", "1", "3", "3"]);
    assert_eq!((outcome.ledger.accepted, outcome.ledger.quarantined, outcome.ledger.rows), (2, 1, 4));
    assert_eq!(outcome.ledger.quarantined_bytes, bad.len() as u64);
    // What repeats fails once, too, and where something is required nothing is made up.
    let case = items().with("sku", |column| column.rules.required = true);
    let text = b"{\"id\":\"x\",\"items\":[{\"sku\":\"a\"},{\"sku\":\"b\"}]}\n{\"id\":2,\"items\":[]}\n";
    let (kept, _) = case.read(text).unwrap();
    let told = kept.aside.iter().map(|aside| (aside.reason, aside.column.as_deref(), aside.line)).collect::<Vec<_>>();
    assert_eq!(told, [(Reason::Type, Some("id"), 1), (Reason::Null, Some("sku"), 2)]);
    assert_eq!(kept.rows, [[""; 0]; 0]);
}

#[test]
fn what_cannot_be_made_into_rows_is_quarantined() {
    let case = items();
    let check = |line: &str, message: &str| {
        case.quarantined(line.as_bytes()).stands_at((1, 0), line.as_bytes()).says(Reason::Json, None, message);
    };
    let no_array = |found: &str| format!("expected an array as `items` (`explode` in `format`), found `{found}`");
    check(r#"{"id":1,"items":{"sku":"a"}}"#, &no_array(r#"{"sku":"a"}"#));
    check(r#"{"id":1,"items":"[1]"}"#, &no_array("[1]"));
    check(r#"{"id":1,"items":"\u005b1]"}"#, &no_array("[1]"));
    check(r#"{"id":1,"items":""}"#, &no_array(""));
    check(r#"{"id":1,"items":7}"#, &no_array("7"));
    let no_object = "expected objects in `items`, which the contract looks inside, found `[3]` as element 2";
    check(r#"{"id":1,"items":[{},[3]]}"#, no_object);
    let at = "expected one JSON object, found a mistake at byte";
    check(r#"{"id":1,"items":[{"sku":"\ud800"}]}"#, &format!("{at} 33 of the line: unexpected end of hex escape"));
    let deep = exploded("a", &[("x", "string", "a.x.y")]);
    let line = br#"{"a":[{"x":{"y":1}},{"x":3}]}"#;
    let message = format!("{at} 27 of the line: `a.x` is no object, and the contract looks inside it");
    deep.quarantined(line).stands_at((1, 0), line).says(Reason::Json, None, &message);
    let mut case = exploded("a", &[("a", "string", "")]);
    case.limits.nesting_depth = 3;
    assert_eq!(case.rows(br#"{"a":[[[1]]]}"#).len(), 1);
    let line = br#"{"a":[[[[1]]]]}"#;
    let message = "expected values nested at most 3 deep (`limits.nesting_depth`), found deeper ones";
    case.quarantined(line).stands_at((1, 0), line).says(Reason::Json, None, message);
}

#[test]
fn a_record_makes_no_more_rows_than_its_limit_allows() {
    let mut case = exploded("a", &[("text", "string", ""), ("n", "int64", "a")]);
    let line = |text: usize, rows: usize| {
        format!("{{\"text\":\"{}\",\"a\":[{}0]}}\n", "x".repeat(text), "0,".repeat(rows - 1))
    };
    case.limits.record_bytes = 10_000;
    // Eight times ten thousand bytes, of which a row of two cells takes 32, and the text that it repeats.
    assert_eq!(case.rows(line(4000, 20).as_bytes()).len(), 20);
    let (kept, outcome) = case.read(line(4000, 21).as_bytes()).unwrap();
    assert_eq!((kept.aside[0].reason, kept.rows.len(), outcome.ledger.quarantined), (Reason::Length, 0, 1));
    assert_eq!(
        kept.aside[0].message,
        "expected rows of at most 80000 bytes in all (by `limits.record_bytes`), found more elements in `a`"
    );
    assert_eq!(case.rows(line(0, 2501).as_bytes()).len(), 2501);
    assert_eq!(case.read(line(0, 2502).as_bytes()).unwrap().0.aside[0].reason, Reason::Length);
    // Text that repeats in many records does not gather without end.
    case.limits.record_bytes = 1 << 20;
    case.limits.file_bytes = 1 << 30;
    case.pace = Pace::USUAL;
    let rows = case.rows(line(100_000, 80).repeat(20).as_bytes());
    assert!(rows.len() == 1600 && rows.iter().all(|row| row[0].len() == 100_000));
}

#[test]
fn values_that_repeat_count_once_for_a_file_as_a_whole() {
    let mut case = items();
    case.contract.rejected_share = 0.9;
    case.limits.record_bytes = 1000;
    let elements = vec!["{\"sku\":\"a\"}"; 30].join(",");
    let record = |id: &str| format!("{{\"id\":{id},\"items\":[{elements}]}}\n");
    // Nineteen records whose number is none, of thirty rows each, say nothing yet; the twentieth does.
    assert_eq!(case.read(record("\"x\"").repeat(19).as_bytes()).unwrap().0.aside.len(), 19);
    let said = case.problem(record("\"x\"").repeat(20).as_bytes()).to_string();
    assert!(said.starts_with("none of the 20 values of column `id` fits"), "{said}");
    assert_eq!(case.read((record("\"x\"").repeat(20) + &record("1")).as_bytes()).unwrap().1.ledger.rows, 30);
}

#[test]
fn what_is_unknown_is_taken_as_json() {
    let mut case =
        Case::csv(&[("id", "int64"), ("more", "string"), ("b", "string")]).with("more", |column| column.rest = true);
    case.limits.record_bytes = 200;
    let text = "x,id,\"say \"\"hi\"\"\",,b,x,more\n1,2,\"a \"\"q\"\"\n\t\\\",4,5,,z\n";
    let (kept, outcome) = case.read(text.as_bytes()).unwrap();
    let more = r#"{"say \"hi\"":"a \"q\"\n\t\\","x":"","more":"z"}"#;
    assert_eq!(kept.rows, [["2", more, "5", "2", "28"]]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(more).unwrap()["say \"hi\""], "a \"q\"\n\t\\");
    assert_eq!(outcome.unknown_columns, ["x", "say \"hi\"", "\"\"", "more"]);
    // Where all names are known there is nothing to take, and where a record ends early.
    assert_eq!(case.rows(b"id,b\n1,2\n"), [["1", "∅", "2", "2", "5"]]);
    let Format::Csv(format) = &mut case.contract.format else { unreachable!() };
    format.fills_short_rows = true;
    assert_eq!(
        case.rows(b"id,x,y\n1\n2,a\n").iter().map(|row| row[1].as_str()).collect::<Vec<_>>(),
        ["∅", "{\"x\":\"a\"}"]
    );
    case.quarantined(b"id,x\n1,\xff\n2,a\n").stands_at((2, 5), b"1,\xff\n").says(
        Reason::Encoding,
        Some("more"),
        "expected UTF-8 text (`encoding` in `format`), found `{\"x\":\"\\xff\"}`",
    );
}

#[test]
fn a_record_whose_rest_would_be_too_long_is_quarantined_with_all_its_lines() {
    use super::cells::Cells;
    use super::record::{Records, Step, View};
    let case = Case::csv(&[("id", "int64"), ("more", "string")]).with("more", |column| column.rest = true);
    let mut csv = super::csv::Csv::new(&CsvFormat::USUAL, super::header::Wanted::new(&case.contract, &[]), 9).unwrap();
    let bytes = format!("id,{}\n1,\"x\ny\"\n", "n".repeat(80));
    let (mut cells, start) = (Cells::default(), 84);
    let view = |limit: usize| View { bytes: bytes.as_bytes(), ended: true, limit };
    assert!(matches!(csv.next(view(100), 0, 1, &mut cells).unwrap(), Step::Blank { end: 84, .. }));
    // The object has 91 bytes, which is more than eight times 11.
    let Step::Broken { end, lines, reason, message } = csv.next(view(11), start, 2, &mut cells).unwrap() else {
        panic!()
    };
    assert_eq!((end, lines, reason), (bytes.len(), 2, Reason::Length));
    assert_eq!(
        message,
        "expected at most 88 bytes that the contract does not know (by `limits.record_bytes`), found more"
    );
    assert!(matches!(csv.next(view(12), start, 2, &mut cells).unwrap(), Step::Record { lines: 2, rows: 1, .. }));
}

#[test]
fn what_is_unknown_in_objects_is_taken_as_it_stands() {
    let mut case = Case::ndjson(&[("id", "int64"), ("from", "string"), ("more", "string")])
        .with("from", |column| column.path = vec!["via".into(), "from".into()])
        .with("more", |column| column.rest = true);
    case.limits.record_bytes = 400;
    let lines = [
        r#"{"id":1,"a": [1, {"x":"\u0041"}] ,"via":{"from":"w","source":"s","deep":{"k":1}},"z":null}"#,
        r#"{"id":2,"via":{"from":"w"}}"#,
        r#"{"a":1,"\u0061":2,"q\"\n":3,"more":4,"id":3}"#,
        r#"{"id":4,"via":{"gone":1},"via":{"kept":2},"via.kept":"literal"}"#,
        r#"{"id":5,"via":{"gone":1},"via":null}"#,
    ];
    let (kept, outcome) = case.read(lines.join("\n").as_bytes()).unwrap();
    assert_eq!(kept.aside, []);
    assert_eq!(
        kept.rows.iter().map(|row| row[2].as_str()).collect::<Vec<_>>(),
        [
            r#"{"a":[1, {"x":"\u0041"}],"z":null,"via.source":"s","via.deep":{"k":1}}"#,
            "∅",
            r#"{"a":2,"q\"\n":3,"more":4}"#,
            r#"{"via.kept":2}"#,
            "∅",
        ]
    );
    assert_eq!(outcome.unknown_columns, ["a", "via.source", "via.deep", "z", "q\"\n", "more", "via.gone", "via.kept"]);
    // What comes before the names of inner objects is the contract's, and may be longer than all of a record.
    let long = "v".repeat(200);
    let mut case = Case::ndjson(&[("x", "string"), ("more", "string")])
        .with("x", |column| column.path = vec![long.clone(), "x".into()])
        .with("more", |column| column.rest = true);
    case.limits.record_bytes = 1000;
    let record = |fields: usize| {
        let fields = (0..fields).map(|n| format!("\"{n:03}\":0")).collect::<Vec<_>>().join(",");
        format!("{{\"{long}\":{{{fields}}}}}\n")
    };
    assert_eq!(case.rows(record(35).as_bytes()).len(), 1);
    let (kept, _) = case.read(record(40).as_bytes()).unwrap();
    let message = "expected at most 8000 bytes that the contract does not know (by `limits.record_bytes`), found more";
    assert_eq!((kept.aside[0].reason, kept.aside[0].message.as_str()), (Reason::Length, message));
}

#[test]
fn each_row_has_what_is_unknown_in_its_element_and_its_record() {
    let mut case = exploded("items", &[("id", "int64", ""), ("sku", "string", "items.sku"), ("more", "string", "")])
        .with("more", |column| column.rest = true);
    case.limits.record_bytes = 400;
    let text = br#"{"id":1,"note":"n","items":[{"sku":"a","n":2},{"sku":"b"},null,{"n":3,"n":4}],"items.n":0}
{"id":2,"items":[{"n":5},{"sku":"c"}]}"#;
    let rows = case.rows(text).iter().map(|row| row[1..3].join(" ")).collect::<Vec<_>>();
    assert_eq!(
        rows,
        [
            r#"a {"note":"n","items.n":2}"#,
            r#"b {"note":"n","items.n":0}"#,
            r#"∅ {"note":"n","items.n":0}"#,
            r#"∅ {"note":"n","items.n":4}"#,
            r#"∅ {"items.n":5}"#,
            "c ∅",
        ]
    );
}

#[test]
fn a_record_that_breaks_a_rule_is_quarantined_under_its_name() {
    let mut case =
        Case::csv(&[("n", "int64"), ("d", "decimal(6,2)"), ("a", "timestamp"), ("b", "timestamp"), ("s", "string")]);
    case.limits.record_bytes = 200;
    let rule = |name: &str, text: &str, test, reason| {
        let left = text.split(' ').next().unwrap().to_owned();
        let condition = Condition { text: text.into(), left, is_negated: text.contains("!~"), test };
        RecordRule { name: name.into(), condition, reason }
    };
    let column = |name: &str| Operand::Column(name.into());
    let compare = |comparison, right: Operand| Test::Compare(comparison, vec![right]);
    case.contract.rules = vec![
        rule("after", "b >= a", compare(Comparison::GreaterOrEqual, column("a")), RuleReason::Ohlc),
        rule("paid", "n <= d", compare(Comparison::LessOrEqual, column("d")), RuleReason::Rule),
        rule("not_x", "s <> 'x'", compare(Comparison::NotEqual, Operand::Value("x".into())), RuleReason::Test),
        rule("positive", "d > 0", compare(Comparison::Greater, Operand::Value("0".into())), RuleReason::Rule),
        rule("no_bot", "s !~ 'bot'", Test::Matches("bot".into()), RuleReason::Bot),
        rule(
            "adds_up",
            "d <= n + 1 - n",
            Test::Compare(
                Comparison::LessOrEqual,
                vec![column("n"), Operand::Value("1".into()), Operand::Minus("n".into())],
            ),
            RuleReason::Sum,
        ),
    ];
    let head = "n,d,a,b,s\n";
    let fine = "1,1.00,2026-01-01T00:00Z,2026-01-01T00:00Z,y\n,,,,\n,,2026-01-01T00:00Z,,\n5,,,,\n";
    assert_eq!(case.rows(format!("{head}{fine}").as_bytes()).len(), 4);
    let check = |line: &str, column: &str, reason: Reason, message: &str| {
        let text = format!("{head}{fine}{line}\n");
        let place = (6, (head.len() + fine.len()) as u64);
        case.quarantined(text.as_bytes()).stands_at(place, format!("{line}\n").as_bytes()).says(
            reason,
            Some(column),
            message,
        );
    };
    check("2,1.99,,,", "n", Reason::Rule, "expected `n <= d` (rule `paid`), found `2` and `1.99`");
    check(",,,,x", "s", Reason::Test, "expected `s <> 'x'` (rule `not_x`), found `x`");
    check(",0.00,,,", "d", Reason::Rule, "expected `d > 0` (rule `positive`), found `0.00`");
    check(",,,,a bot", "s", Reason::Bot, "expected `s !~ 'bot'` (rule `no_bot`), found `a bot`");
    check("1,1.01,,,", "d", Reason::Sum, "expected `d <= n + 1 - n` (rule `adds_up`), found `1.01` and `1`");
    check(
        ",,2026-01-01T00:00:01Z,2026-01-01T00:00Z,",
        "b",
        Reason::Ohlc,
        "expected `b >= a` (rule `after`), found `2026-01-01T00:00:00Z` and `2026-01-01T00:00:01Z`",
    );
    // A value that cannot be read is reported before a rule, and costs the record once.
    let (kept, outcome) = case.read(format!("{head}x,0.00,,,x\n").as_bytes()).unwrap();
    assert_eq!((kept.aside[0].reason, outcome.ledger.quarantined), (Reason::Type, 1));
}

#[test]
fn a_mark_is_no_field_of_a_file() {
    let condition = |text: &str, is_negated, test| {
        let left = text.split(' ').next().unwrap().to_owned();
        Condition { text: text.into(), left, is_negated, test }
    };
    let true_if = vec![
        condition("s ~ 'bot'", false, Test::Matches("bot".into())),
        condition("n not in (1, 2)", true, Test::In(vec!["1".into(), "2".into()])),
    ];
    let mark = |case: &mut Case| {
        // First in the contract, so that it comes before what it goes by.
        let mark = SourceColumn::mark(true_if.clone(), ColumnDoc::default());
        case.contract.columns.shift_insert(0, "m".into(), mark);
    };
    let columns = [("n", "int64"), ("s", "string")];
    let expected = [
        ["false", "1", "∅", "2"],
        ["true", "∅", "a bot", "3"],
        ["true", "3", "x", "4"],
        ["false", "∅", "∅", "5"],
        ["false", "2", "x", "6"],
    ];
    let without_offset = |rows: Vec<Vec<String>>| rows.into_iter().map(|row| row[..4].to_vec()).collect::<Vec<_>>();
    let mut case = Case::csv(&columns);
    mark(&mut case);
    assert_eq!(row_schema(&case.contract).field(0).data_type(), &ColumnType::Boolean.arrow());
    assert!(!row_schema(&case.contract).field(0).is_nullable());
    assert_eq!(without_offset(case.rows(b"n,s\n1,\n,a bot\n3,x\n,\n2,x\n")), expected);
    // A field of its name is one that the contract does not know.
    let (kept, outcome) = case.read(b"n,m,s\n1,true,\n").unwrap();
    assert_eq!((kept.rows[0][0].as_str(), outcome.unknown_columns), ("false", vec!["m".to_owned()]));
    // Fields without names come in the order of the columns that are in files.
    let mut case = formatted(&columns, |format| format.names = FieldNames::Order);
    mark(&mut case);
    assert_eq!(case.rows(b"3,x\n"), [["true", "3", "x", "1", "0"]]);
    let mut case = Case::ndjson(&columns);
    mark(&mut case);
    let (kept, outcome) = case.read(b"{\"n\":1,\"m\":true}\n{\"s\":\"bot\"}\n").unwrap();
    assert_eq!(kept.rows, [["false", "1", "∅", "1", "0"], ["true", "∅", "bot", "2", "17"]]);
    assert_eq!(outcome.unknown_columns, ["m"]);
}

#[test]
fn texts_are_normalised_before_anything_else() {
    let mut case = Case::csv(&[("mail", "string"), ("sum", "decimal(9,2)"), ("ok", "boolean"), ("at", "timestamp")])
        .with("mail", |column| {
            column.normalise = vec![Normaliser::Email];
            column.rules.values = vec!["a@b.cn".into()];
        })
        .with("sum", |column| column.normalise = vec![Normaliser::Amount])
        .with("ok", |column| column.normalise = vec![Normaliser::Nfkc, Normaliser::Words])
        .with("at", |column| column.formats = vec!["epoch".into(), "%d.%m.%Y".into()]);
    case.limits.record_bytes = 200;
    let text =
        " A@B.cn ,\"￥1,234.5\",ＯＮ,1767225600\n\u{3000},,,1767225600123\n,(3),否,1767225600123456.9\n,,,01.01.2026\n";
    let rows = case.rows(format!("mail,sum,ok,at\n{text}").as_bytes());
    let values = rows.iter().map(|row| &row[..4]).collect::<Vec<_>>();
    assert_eq!(
        values,
        [
            ["a@b.cn", "1234.50", "true", "2026-01-01T00:00:00Z"],
            ["∅", "∅", "∅", "2026-01-01T00:00:00.123Z"],
            ["∅", "-3.00", "false", "2026-01-01T00:00:00.123456Z"],
            ["∅", "∅", "∅", "2026-01-01T00:00:00Z"],
        ]
    );
    let message = "expected an address such as name@example.com, found ` nobody`";
    case.quarantined(b"mail\n nobody\n").stands_at((2, 5), b" nobody\n").says(Reason::Type, Some("mail"), message);
    let message = "expected one of `a@b.cn`, found `B@B.cn`";
    case.quarantined(b"mail\nB@B.cn\n").stands_at((2, 5), b"B@B.cn\n").says(Reason::Enum, Some("mail"), message);
    let message = "expected gb18030 text (`encoding` in `format`), found `\\xff`";
    case.contract.encoding = encoding_rs::GB18030;
    case.quarantined(b"mail\n\xff\n").stands_at((2, 5), b"\xff\xff\n").says(
        Reason::Encoding,
        Some("mail"),
        "expected gb18030 text (`encoding` in `format`), found `\\xff\\xff`",
    );
    case.contract.encoding = encoding_rs::UTF_8;
    case.quarantined(b"mail\n\xff\n").stands_at((2, 5), b"\xff\n").says(
        Reason::Encoding,
        Some("mail"),
        &message.replace("gb18030", "UTF-8"),
    );
}

type Encode<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

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
    let bzip2 = |bytes: &[u8]| {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let xz = |bytes: &[u8]| {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let encoders: [(Compression, Encode<'_>); 4] =
        [(Compression::Gzip, &gzip), (Compression::Zstd, &zstd), (Compression::Bzip2, &bzip2), (Compression::Xz, &xz)];
    for (compression, encode) in encoders {
        let whole = [encode(b"a\n"), encode(text.as_bytes())].concat();
        // The content tells, whatever the name says.
        for named in [Compression::Plain, Compression::Gzip, Compression::Xz, compression] {
            case.compression = named;
            assert_eq!(case.rows(&whole).len(), 5000, "{compression} {named}");
        }
        assert_eq!(case.rows(format!("a\n{text}").as_bytes()).len(), 5000);
        // Of a file of no bytes nothing is missing.
        assert_eq!(case.rows(b""), Vec::<Vec<String>>::new());
        for cut in [1, 5, whole.len() / 2, whole.len() - 1] {
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
fn a_file_that_becomes_too_large_or_takes_too_long_is_given_up() {
    let mut case = Case::csv(&[("a", "int64")]);
    case.limits.file_bytes = 1 << 30;
    let bomb = zstd::encode_all(&[b"a\n".to_vec(), vec![b'\n'; 66 << 20]].concat()[..], 1).unwrap();
    let problem = case.problem(&bomb);
    assert!(matches!(problem, FileProblem::Expansion { limit: 500, .. }), "{problem:?}");
    assert!(problem.to_string().contains("`limits.expansion`") && problem.help().contains("expansion = "), "{problem}");
    case.limits.expansion = 1_000_000;
    assert_eq!(case.rows(&bomb), Vec::<Vec<String>>::new());
    case.limits.file_seconds = 0;
    assert!(matches!(case.problem(b"a\n1\n"), FileProblem::TooSlow { limit_seconds: 0, .. }));
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
    // Nor does one line of fields that each open a quote, where such quotes may be text.
    let mut case = formatted(&[("a", "string"), ("b", "string")], |format| format.keeps_stray_quotes = true);
    case.limits = Limits { record_bytes: 4 << 20, file_bytes: 1 << 30, ..Limits::default() };
    let (_, outcome) = case.read(format!("a,b\n{}\n", "\"a,".repeat(1_000_000)).as_bytes()).unwrap();
    assert_eq!(outcome.ledger.quarantined, 1);
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

#[test]
fn what_a_file_starts_with_is_told_at_any_pace() {
    let mut case = Case::ndjson(&[("a", "string")]);
    for start in [&b"SQLite format 3\0\n{}"[..], b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\n", b"%PDF-\n"] {
        assert!(matches!(case.problem(start), FileProblem::NotText { .. }), "{start:?}");
        check_paces(&mut case, start, &PACES);
    }
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
        prop::collection::vec(piece, 0..50),
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
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Pieces that NDJSON files are made of whose objects have arrays in them.
fn exploded_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => prop_oneof![
            Just("{\"a\":1,\"l\":[{\"b\":\"x\"},{\"b\":[1,\"\\n\"],\"c\":2}]}"), Just("{\"l\":[null]}"), Just("{\"a\":3}"),
            Just("{\"l\":[],\"a\":\"2\"}"), Just(" { \"l\" : [ { \"\\u0062\" : 1 } , { } ] , \"c\" : {} } "), Just("{\"l\":[1]}"),
            Just("{\"l\":{}}"), Just("{\"a\":\"x\",\"l\":[{},{},{},{}]}"), Just("{\"l\":[{\"b\":\"\\ud800\"}]}"),
        ].prop_map(|text| text.as_bytes().to_vec()),
        4 => any_of(&[b"\n", b"\r\n", b"\r", b"\n\n"]),
        3 => "[{}\\[\\]:,\"albc0-9\\\\ -]{1,4}".prop_map(String::into_bytes),
        1 => any_of(&[b"\xff", b"\xe4\xb8\xad"]),
        1 => (60_usize..200).prop_map(|length| vec![b'x'; length]),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Records of JSON: what stands in the place of the array, and what else there is.
fn exploded_record() -> impl Strategy<Value = (Option<Vec<&'static str>>, Option<&'static str>, bool)> {
    let element = prop::sample::select(
        &[
            "null",
            "{}",
            "{\"s\":\"a\"}",
            "{\"s\":1,\"n\":2}",
            "{\"n\": [1], \"n\":{}}",
            "{\"\\u0073\":\"\\u00e9\",\"x.y\":0}",
            "{\"s\":{\"a\":1},\"s\":null}",
            "[]",
            "3",
        ][..],
    );
    let array = prop::option::weighted(0.9, prop::collection::vec(element, 0..5));
    (array, prop::option::of(prop::sample::select(&["null", "{}", "\"[1]\"", "1"][..])), any::<bool>())
}

/// Checks that the records in `kept` lie in the file one after another, and that quarantined ones are what it has.
fn check_places(bytes: &[u8], kept: &Kept, outcome: &Outcome, limit: usize) {
    let mut places = kept
        .rows
        .iter()
        .map(|row| {
            let place = |at: usize| row[row.len() - at].parse::<u64>().unwrap();
            (place(1), place(2), 1)
        })
        .collect::<Vec<_>>();
    // Rows of one record come from one place, and one after another.
    places.dedup();
    let records = places.len();
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
    assert_eq!(outcome.ledger.accepted, records as u64);
    assert_eq!(outcome.ledger.rows, kept.rows.len() as u64);
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
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn any_csv_is_accounted_for_at_any_pace(bytes in csv_bytes(), cut in 0_usize..400) {
        let mut case = Case::csv(&[("a", "int64!"), ("b", "string")]);
        check_paces(&mut case, &bytes[..bytes.len().min(cut.max(20))], &PACES);
    }

    #[test]
    fn any_csv_without_header_is_accounted_for_at_any_pace(bytes in csv_bytes(), record_bytes in 1_usize..100) {
        let mut case = Case::new(Format::Csv(CsvFormat { names: FieldNames::Order, ..CsvFormat::USUAL }), &[("b", "string"), ("a", "string")]);
        case.limits.record_bytes = record_bytes;
        check_paces(&mut case, &bytes, &PACES);
    }

    #[test]
    fn any_csv_of_any_format_is_accounted_for_at_any_pace(bytes in csv_bytes(), dice: u16, record_bytes in 1_usize..100) {
        let bit = |at: u8| dice >> at & 1 == 1;
        let format = CsvFormat {
            delimiter: [b',', b'\t', b'1', b' '][usize::from(dice >> 8 & 3)],
            quote: (!bit(0)).then_some(b'"'),
            escape: bit(1).then_some(if bit(2) { b'\\' } else { b'x' }),
            names: if bit(3) { FieldNames::Listed(vec!["a".into(), "b".into()]) } else { FieldNames::Order },
            skip_lines: u64::from(dice >> 4 & 1) * 2,
            comment: bit(5).then(|| "1".to_owned()),
            fills_short_rows: bit(6),
            keeps_stray_quotes: bit(14),
            trims: bit(12),
            skips_repeated_header: bit(13),
            expected_header: None,
            header_rows: 1,
        };
        let mut case = Case::new(Format::Csv(format), &[("b", "string"), ("a", "string")]);
        case.limits.record_bytes = record_bytes;
        if bit(7) {
            let encodings = [encoding_rs::GB18030, encoding_rs::UTF_16LE, encoding_rs::SHIFT_JIS, encoding_rs::WINDOWS_1252];
            case.contract.encoding = encodings[usize::from(dice >> 10 & 3)];
            let said = PACES.map(|pace| {
                case.pace = pace;
                match case.read(&bytes) {
                    Ok(read) => Ok(read),
                    Err(ReadError::File(problem)) => Err(problem),
                    Err(error) => panic!("{error:?}"),
                }
            });
            prop_assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
            if let Ok((kept, Outcome { ledger, .. })) = &said[0] {
                prop_assert_eq!((ledger.accepted, ledger.quarantined), (kept.rows.len() as u64, kept.aside.len() as u64));
            }
        } else {
            check_paces(&mut case, &bytes, &PACES);
        }
    }

    #[test]
    fn any_ndjson_is_accounted_for_at_any_pace(bytes in ndjson_bytes()) {
        check_paces(&mut Case::ndjson(&[("a", "int64"), ("b", "string")]), &bytes, &PACES);
    }

    #[test]
    fn any_exploded_ndjson_is_accounted_for_at_any_pace(bytes in exploded_bytes(), record_bytes in 1_usize..100, rest: bool) {
        let columns = [("a", "int64", ""), ("n", "int64!", "l.#"), ("b", "string", "l.b"), ("more", "string", "")];
        let mut case = exploded("l", &columns).with("more", |column| column.rest = rest);
        case.limits.record_bytes = record_bytes;
        check_paces(&mut case, &bytes, &PACES);
    }

    #[test]
    fn any_rest_is_accounted_for_at_any_pace(csv in csv_bytes(), ndjson in ndjson_bytes(), fills_short_rows: bool) {
        let format = Format::Csv(CsvFormat { fills_short_rows, ..CsvFormat::USUAL });
        let columns = [("b", "string"), ("more", "string")];
        check_paces(&mut Case::new(format, &columns).with("more", |column| column.rest = true), &csv, &PACES);
        check_paces(&mut Case::ndjson(&columns).with("more", |column| column.rest = true), &ndjson, &PACES);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn exploded_objects_are_what_serde_json_says((elements, other, note) in exploded_record()) {
        use serde_json::Value;
        let columns = [("no", "int64", "l.#"), ("s", "string", "l.s"), ("l", "string", ""), ("more", "string", "")];
        let case = exploded("l", &columns).with("more", |column| column.rest = true);
        let mut fields = vec!["\"id\": 7".to_owned()];
        fields.extend(elements.as_ref().map(|elements| format!("\"l\": [ {} ]", elements.join(" ,"))));
        // Of two equal names the last counts.
        fields.extend(other.map(|other| format!("\"l\":{other}")));
        fields.extend(note.then(|| "\"note\" : [1, 2]".to_owned()));
        let line = format!("{{{}}}\n", fields.join(","));
        let (kept, outcome) = case.read(line.as_bytes()).unwrap();
        let elements = if other.is_some() { None } else { elements };
        let is_object = |element: &&str| element.starts_with('{') || *element == "null";
        let is_fine = other.is_none_or(|other| other == "null") && elements.iter().flatten().all(is_object);
        if !is_fine {
            prop_assert_eq!((kept.rows.len(), kept.aside.len(), outcome.ledger.quarantined), (0, 1, 1));
            return Ok(());
        }
        prop_assert_eq!(&kept.aside, &[]);
        let elements = elements.filter(|elements| !elements.is_empty());
        let expected: Vec<Option<&str>> = elements.map_or(vec![None], |elements| elements.into_iter().map(Some).collect());
        prop_assert_eq!(kept.rows.len(), expected.len());
        for (at, (element, row)) in expected.into_iter().zip(&kept.rows).enumerate() {
            let or_null = |text: Option<String>| text.unwrap_or_else(|| "∅".to_owned());
            prop_assert_eq!(&row[0], &or_null(element.map(|_| (at + 1).to_string())));
            prop_assert_eq!(&row[2], &or_null(element.filter(|element| *element != "null").map(str::to_owned)));
            let object: serde_json::Map<String, Value> =
                element.and_then(|element| serde_json::from_str(element).ok().flatten()).unwrap_or_default();
            prop_assert_eq!(&row[1], &or_null(object.get("s").and_then(|value| match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            })));
            let mut rest = serde_json::Map::from_iter([("id".to_owned(), Value::from(7))]);
            rest.extend(note.then(|| ("note".to_owned(), Value::from(vec![1, 2]))));
            rest.extend(object.into_iter().filter(|(name, _)| name != "s").map(|(name, value)| (format!("l.{name}"), value)));
            prop_assert_eq!(serde_json::from_str::<Value>(&row[3]).unwrap(), Value::Object(rest));
        }
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

//! Reading landed files: nothing vanishes, nothing depends on the pieces in which bytes come in, and clean files say
//! what independent readers say of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::convert::Infallible;
use std::io::{self, Read};
use std::sync::LazyLock;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, FixedOffset, TimeZone, Utc};
use opsmart::diagnostic::SourceFile;
use opsmart::ingest::{
    Compression, FileInput, FileProblem, Outcome, QuarantinedRecord, ReadError, Reason, Sink, read_file, row_schema,
};
use opsmart::project::{
    CsvFormat, FilesMode, Format, LandingPattern, Limits, NdjsonFormat, NewColumns, Readiness, Rules, SourceColumn,
    SourceContract,
};
use opsmart::store::Ledger;
use proptest::prelude::*;

/// One row: a value for each column of [`COLUMNS`], and where it comes from.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    id: i64,
    text: Option<String>,
    amount: Option<i128>,
    ratio: Option<f64>,
    open: Option<bool>,
    at: Option<i64>,
    line: i64,
    offset: i64,
}

const COLUMNS: [(&str, &str); 6] = [
    ("id", "int64"),
    ("text", "string"),
    ("amount", "decimal(38,4)"),
    ("ratio", "float64"),
    ("open", "boolean"),
    ("at", "timestamp"),
];

const CSV: Format = Format::Csv(CsvFormat::USUAL);
const NDJSON: Format = Format::Ndjson(NdjsonFormat::USUAL);

/// Made once: it takes longer than reading a small file.
static FROM: LazyLock<LandingPattern> = LazyLock::new(|| LandingPattern::parse("in/*").unwrap());

fn contract(format: Format) -> SourceContract {
    let columns = COLUMNS.map(|(name, kind)| {
        let column = SourceColumn {
            null: vec![String::new()],
            rules: Rules { required: name == "id", ..Rules::default() },
            ..SourceColumn::of(kind.parse().unwrap())
        };
        (name.to_owned(), column)
    });
    SourceContract {
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
        parse_zone: chrono_tz::Tz::UTC,
        // What is told of files as a whole has tests of its own: here each record comes to something.
        rejected_share: 1.0,
        new_columns: NewColumns::Report,
        columns: columns.into_iter().collect(),
        rules: Vec::new(),
        late: None,
        count_repeated: false,
        partition: None,
    }
}

/// Reason, column, message, offset, line, length and bytes of a record that was set aside.
type Aside = (Reason, Option<String>, String, u64, u64, u64, Vec<u8>);

/// All that comes out of a file.
#[derive(Debug, Default, Clone, PartialEq)]
struct Kept {
    rows: Vec<Row>,
    aside: Vec<Aside>,
}

impl Sink for Kept {
    type Error = Infallible;

    fn rows(&mut self, batch: RecordBatch) -> Result<(), Infallible> {
        let columns = batch.columns();
        assert_eq!(batch.schema(), row_schema(&contract(CSV)));
        let valid = |at: usize, row: usize| columns[at].is_valid(row);
        for row in 0..batch.num_rows() {
            self.rows.push(Row {
                id: columns[0].as_primitive::<Int64Type>().value(row),
                text: valid(1, row).then(|| columns[1].as_string::<i32>().value(row).to_owned()),
                amount: valid(2, row).then(|| columns[2].as_primitive::<Decimal128Type>().value(row)),
                ratio: valid(3, row).then(|| columns[3].as_primitive::<Float64Type>().value(row)),
                open: valid(4, row).then(|| columns[4].as_boolean().value(row)),
                at: valid(5, row).then(|| columns[5].as_primitive::<TimestampMicrosecondType>().value(row)),
                line: columns[6].as_primitive::<Int64Type>().value(row),
                offset: columns[7].as_primitive::<Int64Type>().value(row),
            });
        }
        Ok(())
    }

    fn quarantine(&mut self, record: QuarantinedRecord<'_>) -> Result<(), Infallible> {
        let QuarantinedRecord { reason, column, message, offset, line, length, bytes } = record;
        self.aside.push((reason, column.map(str::to_owned), message, offset, line, length, bytes.to_vec()));
        Ok(())
    }
}

/// Gives bytes out a few at a time, and now and then asks to be called again.
struct Pieces<'a> {
    bytes: &'a [u8],
    calls: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(11) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = (self.calls % 7 + 1).min(into.len());
        self.bytes.read(&mut into[..length])
    }
}

fn read(format: Format, record_bytes: usize, bytes: impl Read) -> Result<(Kept, Outcome), FileProblem> {
    let contract = contract(format);
    let limits = Limits { record_bytes, ..Limits::default() };
    let input = FileInput {
        contract: &contract,
        limits: &limits,
        captures: &[],
        compression: Compression::Plain,
        landed_at: None,
    };
    let mut kept = Kept::default();
    match read_file(&input, bytes, &mut kept) {
        Ok(outcome) => Ok((kept, outcome)),
        Err(ReadError::File(problem)) => Err(problem),
        Err(error) => panic!("{error:?}"),
    }
}

fn read_all(format: Format, bytes: &[u8]) -> Kept {
    let (kept, outcome) = read(format, 1 << 20, bytes).unwrap();
    assert!(outcome.ledger.balanced());
    kept
}

/// Checks that whatever the bytes are, they are accounted for, and the same when they come in pieces.
fn check_any(format: &Format, record_bytes: usize, bytes: &[u8]) {
    let whole = read(format.clone(), record_bytes, bytes);
    assert_eq!(whole, read(format.clone(), record_bytes, Pieces { bytes, calls: 0 }));
    let Ok((kept, Outcome { ledger, .. })) = whole else { return };
    assert!(ledger.balanced());
    if [&b"\xff\xfe"[..], b"\xfe\xff"].iter().any(|mark| bytes.starts_with(mark)) {
        // UTF-16 by its mark: what was read is not what the file has.
        return;
    }
    let Ledger { accepted, quarantined, bytes: length, quarantined_bytes, .. } = ledger;
    assert_eq!((accepted, quarantined, length), (kept.rows.len() as u64, kept.aside.len() as u64, bytes.len() as u64));
    assert_eq!(quarantined_bytes, kept.aside.iter().map(|aside| aside.5).sum::<u64>());

    // Where each record starts and how long it is at least; records must come one after another.
    let rows = kept.rows.iter().map(|row| (row.offset.cast_unsigned(), row.line.cast_unsigned(), 1));
    let aside = kept.aside.iter().map(|&(_, _, _, offset, line, length, _)| (offset, line, length));
    let mut places = rows.chain(aside).collect::<Vec<_>>();
    places.sort_unstable();
    for pair in places.windows(2) {
        assert!(pair[0].0 + pair[0].2 <= pair[1].0 && pair[0].1 < pair[1].1, "{places:?}");
    }
    for (reason, _, message, offset, line, length, kept) in &kept.aside {
        let start = usize::try_from(*offset).unwrap();
        let length = usize::try_from(*length).unwrap();
        assert_eq!(*kept, bytes[start..start + length.min(record_bytes)]);
        assert!(length <= record_bytes || *reason == Reason::Length);
        assert!(message.chars().all(|c| !c.is_control()), "{message:?}");
        assert_eq!(*line, 1 + count_lines(&bytes[..start], format));
    }

    // The first row's own bytes, read alone, are that row again.
    for row in kept.rows.iter().take(1) {
        let start = usize::try_from(row.offset).unwrap();
        let next = places.iter().map(|place| place.0).find(|&offset| offset > start as u64);
        let own = &bytes[start..next.map_or(bytes.len(), |next| usize::try_from(next).unwrap())];
        let header = match format {
            Format::Csv(_) => &bytes[..=bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap()],
            Format::Ndjson(_) => &[][..],
        };
        let (alone, _) = read(format.clone(), record_bytes, &[header, own].concat()[..]).unwrap();
        assert_eq!(alone.rows.len(), 1, "{:?}", String::from_utf8_lossy(own));
        assert_eq!(Row { line: row.line, offset: row.offset, ..alone.rows[0].clone() }, *row);
    }
}

/// Counts line ends in another way than the reader does.
fn count_lines(bytes: &[u8], format: &Format) -> u64 {
    let text = bytes.iter().map(|&byte| char::from(byte)).collect::<String>();
    let text = if matches!(format, Format::Ndjson(_)) { text } else { text.replace("\r\n", "\n").replace('\r', "\n") };
    text.matches('\n').count() as u64
}

/// What is put into files that were fine.
const TROUBLE: &[&[u8]] = &[b"\"", b"\n", b"\r", b"\0", b"\xff", b",", b"\"\n", b"{", b"}", b"\\", b"\xe4"];

/// How many files are made of one that was fine, which takes longer to think of than to mutilate.
const MUTILATED: usize = 10;

/// Where to change a file, what to put there, and how much to take away.
type Change = (prop::sample::Index, &'static [u8], usize);

/// Cuts, changes and inserts bytes of a file that was fine, in many ways.
fn mutilated(fine: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let change = (any::<prop::sample::Index>(), prop::sample::select(TROUBLE), 0_usize..3);
    let way = (prop::collection::vec(change, 0..6), prop::option::of(any::<prop::sample::Index>()));
    (fine, prop::collection::vec(way, MUTILATED))
        .prop_map(|(fine, ways)| ways.into_iter().map(|(changes, end)| mutilate(fine.clone(), changes, end)).collect())
}

fn mutilate(mut bytes: Vec<u8>, changes: Vec<Change>, end: Option<prop::sample::Index>) -> Vec<u8> {
    for (at, piece, gone) in changes {
        // The header stays as it is, or most files would end there.
        let start = bytes.iter().position(|&byte| byte == b'\n').map_or(0, |place| place + 1);
        let at = start + at.index(bytes.len() - start + 1);
        let gone = gone.min(bytes.len() - at);
        bytes.splice(at..at + gone, piece.iter().copied());
    }
    if let Some(end) = end {
        bytes.truncate(end.index(bytes.len() + 1));
    }
    bytes
}

/// A row to be written.
#[derive(Debug, Clone)]
struct Written {
    id: i64,
    text: String,
    amount: Option<i128>,
    ratio: Option<f64>,
    open: Option<bool>,
    at: Option<DateTime<FixedOffset>>,
}

impl Written {
    fn row(&self, line: i64, offset: i64) -> Row {
        Row {
            id: self.id,
            text: Some(self.text.clone()).filter(|text| !text.is_empty()),
            amount: self.amount,
            ratio: self.ratio,
            open: self.open,
            at: self.at.map(|at| at.timestamp_micros()),
            line,
            offset,
        }
    }

    /// Returns the texts of the cells, in the order of [`COLUMNS`].
    fn cells(&self) -> [String; 6] {
        [
            self.id.to_string(),
            self.text.clone(),
            self.amount.map(decimal).unwrap_or_default(),
            self.ratio.map(|ratio| ratio.to_string()).unwrap_or_default(),
            self.open.map(|open| open.to_string()).unwrap_or_default(),
            self.at.map(|at| at.to_rfc3339()).unwrap_or_default(),
        ]
    }
}

/// Writes a number of four digits after the point.
fn decimal(value: i128) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}.{:04}", value.unsigned_abs() / 10_000, value.unsigned_abs() % 10_000)
}

fn written() -> impl Strategy<Value = Written> {
    let id = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -9_i64..9];
    let text = prop_oneof!["[a-z]{0,12}", "[\"\n\r,\\\\ \ta订单é{}😀\u{0}]{0,9}"];
    let most = 10_i128.pow(38) - 1;
    let amount = prop::option::of(prop_oneof![-99_999_i128..99_999, Just(most), Just(-most)]);
    let ratio = prop::option::of(prop_oneof![prop::num::f64::NORMAL, -10.0..10.0_f64]);
    let at = (-62_000_000_000_000_000_i64..253_000_000_000_000_000, -1080_i32..1080).prop_map(|(micros, minutes)| {
        let zone = FixedOffset::east_opt(minutes * 60).unwrap();
        zone.from_utc_datetime(&DateTime::<Utc>::from_timestamp_micros(micros).unwrap().naive_utc())
    });
    let at = prop::option::of(at.prop_filter("four digits of years", |at| {
        use chrono::Datelike;
        (1..=9999).contains(&at.year())
    }));
    (id, text, amount, ratio, prop::option::of(any::<bool>()), at)
        .prop_map(|(id, text, amount, ratio, open, at)| Written { id, text, amount, ratio, open, at })
}

/// Writes a CSV file; every bit of `dice` decides whether a field is quoted without need, or how a line ends.
fn csv_file(rows: &[Written], dice: u64) -> Vec<u8> {
    let mut dice = (0..).map(|bit| dice >> (bit % 64) & 1 == 1);
    let mut file = b"id,text,amount,ratio,open,at\n".to_vec();
    for row in rows {
        for (at, cell) in row.cells().iter().enumerate() {
            if at > 0 {
                file.push(b',');
            }
            if cell.contains(['"', '\n', '\r', ',']) || dice.next() == Some(true) {
                file.extend(format!("\"{}\"", cell.replace('"', "\"\"")).bytes());
            } else {
                file.extend(cell.bytes());
            }
        }
        file.extend(if dice.next() == Some(true) { &b"\r\n"[..] } else { b"\n" });
    }
    file
}

/// Commas, quotes, backslashes and comments.
fn escaped() -> Format {
    Format::Csv(CsvFormat { escape: Some(b'\\'), comment: Some("#".into()), ..CsvFormat::USUAL })
}

/// Writes a file of that format.
fn escaped_file(rows: &[Written]) -> Vec<u8> {
    let mut file = b"id,text,amount,ratio,open,at\n".to_vec();
    for row in rows {
        let cells = row.cells().map(|cell| format!("\"{}\"", cell.replace('\\', "\\\\").replace('"', "\\\"")));
        // A comment before each record, with a quote that means nothing.
        file.extend(format!("#\"{}\n{}\n", row.id, cells.join(",")).bytes());
    }
    file
}

/// Writes an NDJSON file with names in an order that `turn` decides, and one name more.
fn ndjson_file(rows: &[Written], turn: usize) -> Vec<u8> {
    let mut file = Vec::new();
    for row in rows {
        let text = serde_json::to_string(&row.text).unwrap();
        let mut fields = COLUMNS
            .iter()
            .zip(row.cells())
            .map(|((name, _), cell)| match *name {
                "text" => format!("\"text\": {text}"),
                "at" if !cell.is_empty() => format!("\"at\" :\"{cell}\""),
                _ if cell.is_empty() => format!("\"{name}\":null"),
                _ => format!("\"{name}\":{cell}"),
            })
            .collect::<Vec<_>>();
        fields.push("\"more\":{\"id\":[1,\"}\"]}".to_owned());
        fields.rotate_left(turn % 7);
        file.extend(format!("{{{}}}\n", fields.join(",")).bytes());
    }
    file
}

/// Few rows, for files of which many are read.
fn few_rows() -> impl Strategy<Value = Vec<Written>> {
    prop::collection::vec(written(), 0..4)
}

fn rows() -> impl Strategy<Value = Vec<Written>> {
    prop::collection::vec(written(), 0..12)
}

proptest! {
    // Ten thousand mutilated files of each format: `MUTILATED` in each case.
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_mutilated_csv_file_is_accounted_for(
        files in mutilated((few_rows(), any::<u64>()).prop_map(|(rows, dice)| csv_file(&rows, dice))),
        record_bytes in 40_usize..400,
    ) {
        files.iter().for_each(|bytes| check_any(&CSV, record_bytes, bytes));
    }

    #[test]
    fn a_mutilated_ndjson_file_is_accounted_for(
        files in mutilated((few_rows(), 0_usize..7).prop_map(|(rows, turn)| ndjson_file(&rows, turn))),
        record_bytes in 40_usize..400,
    ) {
        files.iter().for_each(|bytes| check_any(&NDJSON, record_bytes, bytes));
    }

    #[test]
    fn any_bytes_are_accounted_for(bytes in prop::collection::vec(any::<u8>(), 0..300), record_bytes in 1_usize..400) {
        check_any(&NDJSON, record_bytes, &bytes);
        check_any(&CSV, record_bytes.max(40), &[b"id,text\n", &bytes[..]].concat());
    }

    #[test]
    fn a_clean_csv_file_says_what_another_reader_says(rows in rows(), dice: u64) {
        let file = csv_file(&rows, dice);
        let kept = read_all(CSV, &file);
        prop_assert_eq!(&kept.aside, &[]);
        let mut other = csv::Reader::from_reader(&file[..]);
        let others = other.records().collect::<Result<Vec<_>, _>>().unwrap();
        prop_assert_eq!(kept.rows.len(), others.len());
        for ((row, other), written) in kept.rows.iter().zip(&others).zip(&rows) {
            prop_assert_eq!(row, &written.row(row.line, row.offset));
            prop_assert_eq!(row.text.as_deref().unwrap_or_default(), &other[1]);
            prop_assert_eq!(row.id.to_string(), &other[0]);
            let place = usize::try_from(row.offset).unwrap();
            prop_assert_eq!(row.line.cast_unsigned(), 1 + count_lines(&file[..place], &CSV));
        }
    }

    #[test]
    fn a_mutilated_file_with_escapes_and_comments_is_accounted_for(
        files in mutilated(few_rows().prop_map(|rows| escaped_file(&rows))),
        record_bytes in 40_usize..400,
        fills_short_rows: bool,
    ) {
        let Format::Csv(format) = escaped() else { unreachable!() };
        let format = Format::Csv(CsvFormat { fills_short_rows, ..format });
        files.iter().for_each(|bytes| check_any(&format, record_bytes, bytes));
    }

    #[test]
    fn a_clean_file_with_escapes_and_comments_says_what_another_reader_says(rows in rows()) {
        let file = escaped_file(&rows);
        let kept = read_all(escaped(), &file);
        prop_assert_eq!(&kept.aside, &[]);
        let mut other = csv::ReaderBuilder::new()
            .escape(Some(b'\\'))
            .double_quote(false)
            .comment(Some(b'#'))
            .from_reader(&file[..]);
        let others = other.records().collect::<Result<Vec<_>, _>>().unwrap();
        prop_assert_eq!(kept.rows.len(), others.len());
        for ((row, other), written) in kept.rows.iter().zip(&others).zip(&rows) {
            prop_assert_eq!(row, &written.row(row.line, row.offset));
            prop_assert_eq!(row.text.as_deref().unwrap_or_default(), &other[1]);
        }
    }

    #[test]
    fn a_clean_file_says_the_same_in_any_encoding_and_compression(rows in rows(), dice: u64) {
        let file = csv_file(&rows, dice);
        let plain = read(CSV, 1 << 20, &file[..]).unwrap();
        let text = std::str::from_utf8(&file).unwrap();
        let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let (gb18030, _, _) = encoding_rs::GB18030.encode(text);
        for (encoding, bytes) in [(encoding_rs::UTF_16LE, &utf16[..]), (encoding_rs::GB18030, &gb18030)] {
            let packed = zstd::encode_all(bytes, 1).unwrap();
            let contract = SourceContract { encoding, ..contract(CSV) };
            let limits = Limits { record_bytes: 1 << 20, ..Limits::default() };
            let input =
                FileInput { contract: &contract, limits: &limits, captures: &[], compression: Compression::Plain, landed_at: None };
            let mut kept = Kept::default();
            let outcome = read_file(&input, Pieces { bytes: &packed, calls: 0 }, &mut kept).unwrap();
            prop_assert_eq!((kept, outcome), plain.clone());
        }
    }

    #[test]
    fn a_clean_ndjson_file_says_what_another_reader_says(rows in rows(), turn in 0_usize..7) {
        let file = ndjson_file(&rows, turn);
        let kept = read_all(NDJSON, &file);
        prop_assert_eq!(&kept.aside, &[]);
        let lines = std::str::from_utf8(&file).unwrap().lines();
        let others = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect::<Vec<_>>();
        prop_assert_eq!(kept.rows.len(), others.len());
        for ((row, other), written) in kept.rows.iter().zip(&others).zip(&rows) {
            prop_assert_eq!(row, &written.row(row.line, row.offset));
            prop_assert_eq!(Some(row.id), other["id"].as_i64());
            prop_assert_eq!(row.text.as_deref().unwrap_or_default(), other["text"].as_str().unwrap());
            // Without its feature for it, `serde_json` may miss the nearest float by one.
            let apart = row.ratio.unwrap_or_default() - other["ratio"].as_f64().unwrap_or_default();
            prop_assert!(apart.abs() <= 1e-15 * row.ratio.unwrap_or_default().abs());
            prop_assert_eq!(row.open, other["open"].as_bool());
        }
    }
}

#[test]
fn a_file_of_many_chunks_is_one_file() {
    let line = "1,\"a line\nend\",2.5,0.5,yes,2026-01-31T08:00:00Z\r\n";
    let count = (7 << 20) / line.len();
    let file = format!("id,text,amount,ratio,open,at\r\n{}", line.repeat(count));
    let kept = read_all(CSV, file.as_bytes());
    assert_eq!((kept.rows.len(), kept.aside.len()), (count, 0));
    for (at, row) in kept.rows.iter().enumerate() {
        let place = (2 + 2 * at, 30 + at * line.len());
        assert_eq!((usize::try_from(row.line).unwrap(), usize::try_from(row.offset).unwrap()), place);
        assert_eq!((row.text.as_deref(), row.amount), (Some("a line\nend"), Some(25_000)));
    }
}

//! Landed files: whatever the bytes, all of them are accounted for, and the pieces in which they come do not matter.

use std::convert::Infallible;
use std::sync::LazyLock;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::util::display::array_value_to_string;
use opsmart::diagnostic::SourceFile;
use opsmart::ingest::{
    Compression, FileInput, FileProblem, LINE_COLUMN, OFFSET_COLUMN, Outcome, Pace, QuarantinedRecord, ReadError,
    Reason, Sink, read_at,
};
use opsmart::project::{
    CsvFormat, FieldNames, FilesMode, Format, LandingPattern, Limits, NdjsonFormat, NewColumns, Normaliser, Readiness,
    Rules, SourceColumn, SourceContract,
};

/// Made once: it takes longer than reading a small file.
static FROM: LazyLock<LandingPattern> = LazyLock::new(|| LandingPattern::parse("in/*").expect("a pattern"));

/// One record set aside.
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

/// All that comes out of a file: of each row its values, offset and line.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Kept {
    rows: Vec<(Vec<String>, u64, u64)>,
    aside: Vec<Aside>,
}

impl Sink for Kept {
    type Error = Infallible;

    fn rows(&mut self, batch: RecordBatch) -> Result<(), Infallible> {
        assert!(batch.num_rows() > 0);
        let place = |name: &str, row: usize| {
            let column = batch.column_by_name(name).expect("every batch has it");
            column.as_primitive::<Int64Type>().value(row).cast_unsigned()
        };
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap_or_default());
            self.rows.push((values.collect(), place(OFFSET_COLUMN, row), place(LINE_COLUMN, row)));
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

/// Reads delimited text. Four bytes choose how it is written, the rest is the file.
pub(crate) fn csv(input: &[u8]) {
    let Some((&[dialect, more, limit, columns], bytes)) = input.split_first_chunk::<4>() else { return };
    let bit = |byte: u8, at: u8| byte >> at & 1 == 1;
    let format = CsvFormat {
        delimiter: [b',', b'\t', b';', b'|'][usize::from(dialect & 3)],
        quote: [Some(b'"'), None, Some(b'\''), Some(b'x')][usize::from(dialect >> 2 & 3)],
        escape: [None, Some(b'\\'), Some(b'y'), Some(b'0')][usize::from(dialect >> 4 & 3)],
        names: match dialect >> 6 {
            0 | 1 => FieldNames::Header,
            2 => FieldNames::Order,
            _ => FieldNames::Listed(vec!["b".into(), "x".into(), "a".into()]),
        },
        skip_lines: u64::from(more & 3),
        comment: bit(more, 2).then(|| "#1".to_owned()),
        fills_short_rows: bit(more, 3),
        keeps_stray_quotes: bit(more, 7),
        trims: bit(more, 4),
        skips_repeated_header: bit(more, 5),
        expected_header: None,
        header_rows: 1 + u32::from(bit(more, 6)),
    };
    check(&contract(Format::Csv(format), more, columns), limit, bytes);
}

/// Reads NDJSON. Three bytes choose what is wanted, the rest is the file.
pub(crate) fn ndjson(input: &[u8]) {
    let Some((&[more, limit, columns], bytes)) = input.split_first_chunk::<3>() else { return };
    let explode = if more & 8 == 8 { vec!["c".to_owned()] } else { Vec::new() };
    let is_exploded = !explode.is_empty();
    let contract = contract(Format::Ndjson(NdjsonFormat { explode }), more, columns);
    let Some((kept, limits)) = check(&contract, limit, bytes) else { return };
    if is_exploded
        || contract.encoding != encoding_rs::UTF_8
        || columns & 1 == 1
        || is_packed(bytes)
        || is_utf_16(bytes)
    {
        return;
    }
    // Where every column is a text, whatever another reader takes for an object is a row.
    let mut offset = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let is_row = kept.rows.iter().any(|row| row.1 == offset as u64);
        let object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line);
        let fits = line.len() <= limits.record_bytes && !bytes.starts_with(b"\xef\xbb\xbf");
        let leads_inside =
            object.as_ref().is_ok_and(|object| object.get("c").is_none_or(|c| c.is_object() || c.is_null()));
        if object.is_ok() && fits && leads_inside && depth(object.as_ref().ok()) <= limits.nesting_depth {
            assert!(is_row, "no row of {:?}", String::from_utf8_lossy(line));
        }
        assert!(!is_row || std::str::from_utf8(line).is_ok());
        offset += line.len();
    }
}

/// Returns how deep the values of an object are nested.
fn depth(object: Option<&serde_json::Map<String, serde_json::Value>>) -> usize {
    fn of(value: &serde_json::Value) -> usize {
        match value {
            serde_json::Value::Array(values) => 1 + values.iter().map(of).max().unwrap_or(0),
            serde_json::Value::Object(values) => 1 + values.values().map(of).max().unwrap_or(0),
            _ => 0,
        }
    }
    object.map_or(0, |object| object.values().map(of).max().unwrap_or(0))
}

/// Returns a contract: of texts, or of columns of every type with normalisers and rules.
fn contract(format: Format, more: u8, columns: u8) -> SourceContract {
    let is_json = matches!(format, Format::Ndjson(_));
    let mut texts = [("a", "string"), ("b", "string"), ("d", "string")].map(|(name, kind)| column(name, kind));
    if is_json {
        texts[2].1.path = vec!["c".into(), "d".into()];
    }
    let takes_rest = more & 128 == 128;
    texts[1].1.rest = takes_rest;
    let mut typed = [
        ("a", "int64"),
        ("b", "string"),
        ("f", "float64"),
        ("m", "decimal(9,2)"),
        ("o", "boolean"),
        ("t", "timestamp"),
        ("y", "date"),
    ]
    .map(|(name, kind)| column(name, kind));
    typed[0].1.rules.required = columns & 2 == 2;
    typed[1].1.normalise = match columns >> 2 & 7 {
        0 => vec![],
        1 => vec![Normaliser::Nfkc, Normaliser::Trim, Normaliser::Upper],
        2 => vec![Normaliser::Phone],
        3 => vec![Normaliser::Email],
        4 => vec![Normaliser::Currency],
        _ => vec![Normaliser::Trim, Normaliser::Lower],
    };
    typed[3].1.normalise = vec![if columns & 32 == 32 { Normaliser::DecimalComma } else { Normaliser::Amount }];
    typed[4].1.normalise = vec![Normaliser::Words];
    if columns & 64 == 64 {
        typed[5].1.formats = vec!["epoch".into(), "%d.%m.%Y %H:%M".into(), "%+".into()];
        typed[6].1.formats = vec!["%d/%m/%y".into(), "%j %Y".into()];
    }
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
        encoding: match more >> 4 & 7 {
            1 => encoding_rs::GB18030,
            2 => encoding_rs::UTF_16LE,
            3 => encoding_rs::SHIFT_JIS,
            4 => encoding_rs::ISO_2022_JP,
            _ => encoding_rs::UTF_8,
        },
        ready: Readiness::default(),
        files: FilesMode::Replace,
        key: Vec::new(),
        keep: None,
        parse_zone: if columns & 128 == 128 { chrono_tz::America::New_York } else { chrono_tz::UTC },
        // Each record comes to something, whatever the others do.
        rejected_share: 1.0,
        new_columns: if takes_rest { NewColumns::Take } else { NewColumns::Report },
        columns: if columns & 1 == 1 { typed.into_iter().collect() } else { texts.into_iter().collect() },
        rules: Vec::new(),
        late: None,
        count_repeated: false,
        partition: None,
    }
}

fn column(name: &str, kind: &str) -> (String, SourceColumn) {
    let kind = kind.parse().expect("a type");
    let column = SourceColumn { null: vec![String::new()], rules: Rules::default(), ..SourceColumn::of(kind) };
    (name.to_owned(), column)
}

/// Reads a file at three paces and checks that they say the same, and that what they say adds up.
fn check(contract: &SourceContract, limit: u8, bytes: &[u8]) -> Option<(Kept, Limits)> {
    const PACES: [(usize, usize); 3] = [(1 << 16, 1000), (8, 3), (61, 1)];
    let limits = Limits {
        record_bytes: if limit == 0 { 1 << 14 } else { usize::from(limit) },
        file_bytes: 1 << 20,
        columns: 100,
        nesting_depth: 16,
        ..Limits::default()
    };
    let input =
        FileInput { contract, limits: &limits, captures: &[], compression: Compression::Plain, landed_at: None };
    let mut first: Option<Result<(Kept, Outcome), FileProblem>> = None;
    for (chunk_bytes, batch_rows) in PACES {
        let mut kept = Kept::default();
        let said = match read_at(Pace { chunk_bytes, batch_rows }, &input, bytes, &mut kept) {
            Ok(outcome) => Ok((kept, outcome)),
            Err(ReadError::File(problem)) => Err(problem),
            Err(error) => panic!("{error:?}"),
        };
        match &first {
            None => first = Some(said),
            // Of what is damaged, how far a piece reaches may decide which of its faults is seen first.
            Some(Err(_)) if said.is_err() && is_packed(bytes) => {}
            Some(first) => assert_eq!(first, &said, "at {chunk_bytes} bytes and {batch_rows} rows"),
        }
    }
    let (kept, outcome) = first?.ok()?;
    add_up(&kept, &outcome, &limits);
    if contract.encoding == encoding_rs::UTF_8 && !is_packed(bytes) && !is_utf_16(bytes) {
        assert_eq!(outcome.ledger.bytes, bytes.len() as u64);
        for aside in &kept.aside {
            let start = usize::try_from(aside.offset).expect("inside the file");
            let length = usize::try_from(aside.length).expect("inside the file");
            assert_eq!(aside.bytes, bytes[start..start + length.min(limits.record_bytes)]);
        }
    }
    Some((kept, limits))
}

/// Checks that records lie one after another and that all of them, and all their bytes, are counted.
fn add_up(kept: &Kept, outcome: &Outcome, limits: &Limits) {
    let ledger = &outcome.ledger;
    assert!(ledger.balanced(), "{ledger:?}");
    assert_eq!(ledger.records, ledger.accepted + ledger.quarantined + ledger.blank);
    assert_eq!(ledger.bytes, ledger.accepted_bytes + ledger.quarantined_bytes + ledger.blank_bytes);
    assert_eq!(ledger.quarantined_bytes, kept.aside.iter().map(|aside| aside.length).sum::<u64>());
    // A row says where its record starts and not how long that is: it has at least one byte.
    let mut places: Vec<_> = kept.rows.iter().map(|row| (row.1, row.2, 1)).collect();
    places.dedup();
    assert_eq!((ledger.accepted, ledger.rows), (places.len() as u64, kept.rows.len() as u64));
    assert_eq!(ledger.quarantined, kept.aside.len() as u64);
    places.extend(kept.aside.iter().map(|aside| (aside.offset, aside.line, aside.length)));
    places.sort_unstable();
    for pair in places.windows(2) {
        assert!(pair[0].0 + pair[0].2 <= pair[1].0 && pair[0].1 < pair[1].1, "{places:?}");
    }
    assert!(places.last().is_none_or(|last| last.0 + last.2 <= ledger.bytes), "{places:?}");
    for aside in &kept.aside {
        assert!(aside.length > 0 && (aside.length <= limits.record_bytes as u64 || aside.reason == Reason::Length));
        assert!(aside.message.chars().all(|c| !c.is_control()), "{:?}", aside.message);
    }
}

fn is_packed(bytes: &[u8]) -> bool {
    [&b"\x1f\x8b"[..], b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ"].iter().any(|magic| bytes.starts_with(magic))
}

fn is_utf_16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}

//! Contracts read off files: whatever the file, its contract loads, and takes in every record that can be read at all.

use std::convert::Infallible;

use arrow::array::RecordBatch;
use camino::{Utf8Path, Utf8PathBuf};
use opsmart::infer::{InferError, Inferred, infer};
use opsmart::ingest::{Compression, FileInput, SetAside, Sink, read_file};
use opsmart::project::{self, Project};
use proptest::prelude::*;
use proptest::sample::select;

use crate::scratch::Scratch;

/// An empty project whose clocks change in spring and autumn.
fn scratch() -> Scratch {
    Scratch::with(&[("opsmart.toml", "reporting_zone = \"Europe/Berlin\"\n[paths]\nlanding = \"in\"\n")])
}

fn load(scratch: &Scratch) -> Project {
    project::load(scratch.root(), None).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)))
}

/// Keeps what was set aside.
#[derive(Default)]
struct Aside(Vec<String>);

impl Sink for Aside {
    type Error = Infallible;

    fn rows(&mut self, _: RecordBatch) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_aside(&mut self, record: SetAside<'_>) -> Result<(), Infallible> {
        self.0.push(format!("line {}: {:?} {}", record.line, record.column, record.message));
        Ok(())
    }
}

/// Infers a contract from a file, loads it, and reads the file by it; what no contract can read may be set aside, and
/// nothing else.
#[track_caller]
fn check(scratch: &Scratch, path: &Utf8Path) -> Result<Inferred, InferError> {
    let inferred = infer(&load(scratch), "seen", path)?;
    scratch.write("schemas/sources/seen.toml", &inferred.contract);
    let project = load(scratch);
    let contract = &project.sources["seen"];
    let limits = &project.settings.limits;
    let compression = Compression::of(path.as_str());
    let input = FileInput { contract, limits, captures: &[], compression };
    let mut aside = Aside::default();
    let outcome = read_file(&input, std::fs::File::open(path).unwrap(), &mut aside).unwrap();
    let ledger = outcome.ledger;
    let told = (inferred.records, inferred.broken);
    assert_eq!((ledger.accepted, ledger.quarantined), told, "{:?}\n{}", aside.0, inferred.contract);
    let count = |count: u64| f64::from(u32::try_from(count).unwrap());
    let allowed = (count(ledger.accepted + ledger.quarantined) * contract.rejected_share).floor();
    assert!(count(ledger.quarantined) <= allowed, "{}", inferred.contract);
    assert_eq!(outcome.unknown_columns.iter().filter(|name| !inferred.contract.contains(name.as_str())).count(), 0);
    std::fs::remove_file(scratch.path("schemas/sources/seen.toml")).unwrap();
    Ok(inferred)
}

fn inferred(name: &str, bytes: impl AsRef<[u8]>) -> Inferred {
    let scratch = scratch();
    std::fs::write(scratch.path(name), bytes).unwrap();
    check(&scratch, &scratch.path(name)).unwrap()
}

/// Returns whether a contract's comments say something, wherever its lines are broken.
fn says(inferred: &Inferred, words: &str) -> bool {
    inferred.contract.replace("\n# ", " ").contains(words)
}

/// Returns the line of a contract that declares a column.
#[track_caller]
fn declared<'a>(inferred: &'a Inferred, column: &str) -> &'a str {
    let line = inferred.contract.lines().find_map(|line| line.strip_prefix(&format!("{column} = ")));
    line.unwrap_or_else(|| panic!("no `{column}` in\n{}", inferred.contract))
}

#[test]
fn every_type_is_told_with_its_evidence() {
    let mut file = String::from("id,Amount,rate,open,day,at,when,seconds,ref no,note\n");
    for n in 1..=20 {
        let amount = if n == 7 { "?".to_owned() } else { format!("{}.{:02}", n * 100, n) };
        let ratio = format!("0.{}", "1234567890123");
        let note = if n == 3 { "" } else { "a, \"\"b\"\"" };
        file.push_str(&format!(
            "{n},{amount},{ratio},{},2024-01-{n:02},2024-01-{n:02}T08:00:00Z,{n}/01/2024 08:{n:02},{},00{n},\"{note}\"\n",
            if n % 2 == 0 { "yes" } else { "no" },
            1_700_000_000 + n
        ));
    }
    let found = inferred("a.csv", file);
    assert_eq!(declared(&found, "id"), "\"int64!\"");
    assert_eq!(declared(&found, "amount"), r#"{ type = "decimal(9,2)", aliases = ["Amount"], null = ["", "?"] }"#);
    assert_eq!(declared(&found, "rate"), "\"float64!\"");
    assert_eq!(declared(&found, "open"), "\"boolean!\"");
    assert_eq!(declared(&found, "day"), "\"date!\"");
    assert_eq!(declared(&found, "at"), "\"timestamp!\"");
    assert_eq!(declared(&found, "when"), r#"{ type = "timestamp!", format = "%d/%m/%Y %H:%M" }"#);
    assert_eq!(declared(&found, "seconds"), "\"int64!\"");
    assert_eq!(declared(&found, "ref_no"), r#"{ type = "string!", aliases = ["ref no"] }"#);
    assert_eq!(declared(&found, "note"), "\"string\"");
    assert!(found.contract.contains("key = [\"id\"]"), "{}", found.contract);
    for evidence in
        ["5.0 % null (`?` 1)", "could be times", "widest `1000.10`", "no int64 because of `100.01` on line 2"]
    {
        assert!(says(&found, evidence), "{evidence}\n{}", found.contract);
    }
}

#[test]
fn day_and_month_are_not_guessed() {
    let found = inferred("a.csv", "id,at\n1,03/04/2024\n2,05/06/2024\n");
    assert_eq!(declared(&found, "at"), "\"string!\"");
    assert!(found.contract.contains("#   { type = \"date\", format = \"%d/%m/%Y\" }\n"), "{}", found.contract);
    assert!(found.contract.contains("#   { type = \"date\", format = \"%m/%d/%Y\" }\n"), "{}", found.contract);
    assert!(found.questions.iter().any(|question| question.contains("fit every value and mean different days")));
    // Another column shows how this file writes days.
    let found = inferred("a.csv", "id,at,due\n1,03/04/2024,13/04/2024\n2,05/06/2024,14/04/2024\n");
    assert_eq!(declared(&found, "at"), r#"{ type = "date!", format = "%d/%m/%Y" }"#);
    assert!(says(&found, "`%m/%d/%Y` would fit as well; taken to be written like `due`"), "{}", found.contract);
    // Two columns that show two ways show nothing.
    let found = inferred("a.csv", "id,at,due,end\n1,03/04/2024,13/04/2024,04/13/2024\n");
    assert_eq!(declared(&found, "at"), "\"string!\"");
}

#[test]
fn seconds_since_1970_are_times_only_where_the_name_says_so() {
    let found = inferred(
        "a.csv",
        "created_at,size,made_at_ms\n1700000000,1700000000,1700000000000\n1700000001,1700000001,1700000000001\n",
    );
    assert_eq!(declared(&found, "created_at"), r#"{ type = "timestamp!", format = "%s" }"#);
    assert_eq!(declared(&found, "size"), "\"int64!\"");
    assert_eq!(declared(&found, "made_at_ms"), "\"int64!\"");
    assert!(found.contract.contains("milliseconds since 1970"), "{}", found.contract);
}

#[test]
fn local_times_that_never_were_are_a_question() {
    let found = inferred("a.csv", "id,at\n1,2024-03-31 02:30:00\n2,2024-03-31 04:30:00\n");
    assert!(found.contract.contains("parse_zone = \"UTC\""), "{}", found.contract);
    assert!(found.questions.iter().any(|question| question.contains("in which zone")), "{:?}", found.questions);
}

#[test]
fn a_key_is_written_only_if_it_is_called_like_one() {
    let found = inferred("a.csv", "id,updated_at\n1,2024-01-01T00:00:00Z\n2,2024-01-01T00:00:00Z\n");
    assert!(found.contract.contains("\nkey = [\"id\"]\nkeep = { latest = \"updated_at\" }\n"), "{}", found.contract);
    let found = inferred("a.csv", "name,x\na,1\nb,1\n");
    assert!(found.contract.contains("\n# key = [\"name\"]: unique here"), "{}", found.contract);
    let found = inferred("a.csv", "shop,day,n\na,2024-01-01,1\na,2024-01-02,1\nb,2024-01-01,1\nb,2024-01-02,1\n");
    assert!(found.contract.contains("\n# key = [\"shop\", \"day\"]: unique here"), "{}", found.contract);
    let found = inferred("a.csv", "id,updated_at\n1,2024-01-01\n1,2024-01-02\n1,2024-01-02\n");
    assert!(found.contract.contains("# `id` repeats"), "{}", found.contract);
}

#[test]
fn json_of_any_shape_is_taken_in() {
    let mut file = String::new();
    for n in 0..300 {
        file.push_str(&format!("{{\"userId\":{n},\"f{}\":true,\"tags\":[1,{{\"a\":2}}],\"\":null}}\n", n % 150));
    }
    let found = inferred("a.ndjson", file);
    assert_eq!(declared(&found, "user_id"), r#"{ type = "int64!", aliases = ["userId"] }"#);
    assert_eq!(declared(&found, "f149"), "\"boolean\"");
    assert_eq!(declared(&found, "tags"), "\"string!\"");
    assert_eq!(found.columns.len(), 153);
}

#[test]
fn names_that_no_contract_can_tell_apart_are_left_out_and_told() {
    let found = inferred("a.csv", ",a,a,A,订单,Select\n0,1,2,3,4,5\n1,1,2,3,4,5\n");
    assert_eq!(
        found.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["column_1", "a_2", "column_3", "select"]
    );
    assert!(found.contract.contains("# `a` stands several times in the header"), "{}", found.contract);
}

#[test]
fn records_that_cannot_be_read_are_counted_and_allowed_for() {
    let found = inferred("a.csv", "a,b\n1,2\n3\n4,5\n6,7\n8,\"9\"x\n");
    assert_eq!((found.records, found.broken), (3, 2));
    assert!(found.contract.contains("rejected_share = 0.4"), "{}", found.contract);
}

#[test]
fn the_samples_and_what_is_packed_are_taken_in() {
    let samples = Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data-samples");
    let scratch = scratch();
    let mut files = 0;
    for folder in samples.read_dir_utf8().unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        for file in folder.path().read_dir_utf8().unwrap() {
            check(&scratch, file.unwrap().path()).unwrap();
            files += 1;
        }
    }
    assert!(files > 10);
    let packed = zstd::encode_all(&b"a;b\n1;x\n"[..], 0).unwrap();
    assert_eq!(inferred("a.csv.zst", packed.clone()).records, 1);
    // Unpacked on the way, and packed without a name that says so.
    assert_eq!(inferred("a.csv.gz", b"id,name\n1,Lin\n2,Chen\n").records, 2);
    assert_eq!(inferred("a.csv", packed).records, 1);
}

#[test]
fn what_is_no_file_of_records_says_so() {
    let scratch = scratch();
    let gzip = b"\x1f\x8b\x08\x00garbage".as_slice();
    for (name, bytes, exit, message) in [
        ("empty.csv", &b""[..], 1, "is empty"),
        ("header.csv", b"id,name\n", 1, "has no records"),
        ("blank.csv", b"\n \n\n", 1, "is empty"),
        ("utf16.csv", b"\xff\xfea\0,\0b\0\n\0", 1, "has no records"),
        ("unmarked.csv", b"a\0,\0b\0\n\0", 1, "UTF-16 (declare it"),
        ("utf32.csv", b"\xff\xfe\0\0a\0\0\0", 1, "UTF-32"),
        ("binary.csv", b"\x7fELF\0\0\0\x01\x02\x03\n\0\0", 1, "zero bytes"),
        ("latin.csv", b"name\nM\xfcller\nJos\xe9\n", 1, "cannot be read, such as line 2: E_ENCODING"),
        ("garbage.csv.gz", b"\x01\x02id,name\n1,Lin\n2,Chen\n", 1, "damaged"),
        ("cut.csv.gz", gzip, 1, "gzip stream"),
        ("packed.csv", gzip, 1, "gzip stream"),
        ("sheet.csv", b"PK\x03\x04", 1, "looks like a ZIP archive"),
        ("array.json", b"[{\"a\":1}]", 1, "one object a line"),
        ("twice.csv", b"a,a\n1,2\n", 1, "has no column that a contract could name"),
        ("bell\u{7}.csv", b"id,name\n", 1, "has no records"),
    ] {
        std::fs::write(scratch.path(name), bytes).unwrap();
        let said = scratch.run(&["new", "source", "seen", "--from", name]).exits(exit);
        assert!(said.stderr.contains(message), "{name}: {}", said.stderr);
    }
    std::fs::create_dir(scratch.path("folder.csv")).unwrap();
    let status = std::process::Command::new("mkfifo").arg(scratch.path("pipe.csv")).status().unwrap();
    assert!(status.success());
    for (name, message) in [
        ("missing.csv", "does not exist"),
        ("header.csv/x", "does not exist"),
        ("folder.csv", "is a folder, not a file"),
        ("pipe.csv", "is not a plain file"),
    ] {
        let said = scratch.run(&["new", "source", "seen", "--from", name]).exits(2);
        assert!(said.stderr.contains(message), "{name}: {}", said.stderr);
    }
    assert!(!scratch.path("schemas").exists());
}

#[test]
fn a_file_elsewhere_is_to_be_put_into_the_landing_folder() {
    let (scratch, elsewhere) = (scratch(), Scratch::with(&[("calls-2024-01.csv", "id,n\n1,2\n2,3\n")]));
    let path = elsewhere.path("calls-2024-01.csv");
    let said = scratch.run(&["new", "source", "calls", "--from", path.as_str()]).exits(0);
    assert!(said.stderr.contains(&format!("put {path} into in/calls/")), "{}", said.stderr);
    let _ = scratch.run(&["test"]).exits(0);
    std::fs::create_dir_all(scratch.path("in/calls")).unwrap();
    std::fs::copy(path, scratch.path("in/calls/calls-2024-01.csv")).unwrap();
    let _ = scratch.run(&["run", "--select", "+stg_calls"]).exits(0);
    assert_eq!(scratch.rows("select accepted, quarantined from dq_ledger"), ["2,0"]);
    // Again: nothing is overwritten.
    let said = scratch.run(&["new", "source", "calls", "--from", "in/calls/calls-2024-01.csv"]).exits(2);
    assert!(said.stderr.contains("is taken by `schemas/sources/calls.toml`"), "{}", said.stderr);
    // A file in place is not to be put anywhere, and its neighbours are counted.
    std::fs::copy(scratch.path("in/calls/calls-2024-01.csv"), scratch.path("in/calls/calls-2024-02.csv")).unwrap();
    let said = scratch.run(&["new", "source", "again", "--from", "in/calls/calls-2024-01.csv"]).exits(0);
    assert!(!said.stderr.contains("  put ") && said.stderr.contains("matches 1 other file"), "{}", said.stderr);
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/again.toml")).unwrap();
    assert!(contract.contains("from = \"{landing}/calls/calls-*.csv\"\n"), "{contract}");
}

/// Texts of one kind, as a column of a real file may hold them.
fn column() -> impl Strategy<Value = BoxedStrategy<String>> {
    let stamp = |format: &'static str| {
        (0_i64..2_000_000_000)
            .prop_map(move |seconds| chrono::DateTime::from_timestamp(seconds, 0).unwrap().format(format).to_string())
            .boxed()
    };
    let nulls = select(vec!["", "?", "NULL", "N/A", "n/a", "-", "none", "NaN", " ", "\\N"]).prop_map(str::to_owned);
    let values = prop_oneof![
        Just(any::<i64>().prop_map(|n| n.to_string()).boxed()),
        Just((-99_i64..99).prop_map(|n| n.to_string()).boxed()),
        Just((-99_999_i64..99_999, 0_u8..12).prop_map(|(n, d)| format!("{n}.{:0w$}", 7, w = usize::from(d))).boxed()),
        Just("[0-9]{1,45}(\\.[0-9]{0,30})?".boxed()),
        Just(prop::num::f64::NORMAL.prop_map(|n| format!("{n:e}")).boxed()),
        Just(select(vec!["true", "false", "TRUE", "yes", "n", "0", "1", "是"]).prop_map(str::to_owned).boxed()),
        Just("0[0-9]{0,4}".boxed()),
        Just("[a-z]{1,3}".boxed()),
        Just("[\"'\n\r,;\t| a订é{}]{0,9}".boxed()),
        select(vec![
            "%Y-%m-%d",
            "%d/%m/%Y",
            "%m/%d/%Y",
            "%d.%m.%y",
            "%Y%m%d",
            "%s",
            "%Y-%m-%d %H:%M",
            "%Y-%m-%dT%H:%M:%SZ",
            "%Y-%m-%d %H:%M:%S%.f",
            "%d-%m-%Y %H:%M",
            "%m/%d/%y %I:%M %p",
            "%d %b %Y",
            "%Y%m%d%H%M%S",
            "%Y-%m-%d %H",
        ])
        .prop_map(stamp),
    ];
    (values, 0_u32..4, any::<bool>()).prop_map(move |(values, weight, is_padded)| {
        let padded = if is_padded { values.prop_map(|text| format!(" {text}\t")).boxed() } else { values };
        if weight == 0 { padded } else { prop_oneof![weight => nulls.clone(), 9 => padded].boxed() }
    })
}

/// Rows of columns of all kinds, with names.
fn table() -> impl Strategy<Value = (Vec<String>, Vec<Vec<String>>)> {
    let name = prop_oneof![
        4 => "[a-z]{1,6}(_id|_at|_date)?",
        1 => "[A-Z][a-z]{0,4}( [A-Z]?[a-z]{0,3})?",
        1 => select(vec!["", "order", "订单", "1st", "a", "A", "_x", "id", "updated_at"]).prop_map(str::to_owned),
    ];
    prop::collection::vec((name, column()), 1..6).prop_flat_map(|columns| {
        let (names, texts): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        (Just(names), prop::collection::vec(texts, 1..40))
    })
}

fn csv(names: &[String], rows: &[Vec<String>], delimiter: char, line_end: &str, dice: u64) -> String {
    let mut dice = (0..).map(|bit| dice >> (bit % 64) & 1 == 1);
    let mut file = if dice.next() == Some(true) { "\u{feff}".to_owned() } else { String::new() };
    for row in std::iter::once(names).chain(rows.iter().map(Vec::as_slice)) {
        let fields = row.iter().map(|field| {
            if field.contains(['"', '\n', '\r', delimiter]) || dice.next() == Some(true) {
                format!("\"{}\"", field.replace('"', "\"\""))
            } else {
                field.clone()
            }
        });
        file.push_str(&fields.collect::<Vec<_>>().join(&delimiter.to_string()));
        file.push_str(line_end);
    }
    file
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_contract_takes_in_the_file_that_it_was_read_off(
        (names, rows) in table(),
        delimiter in select(vec![',', ';', '\t', '|']),
        line_end in select(vec!["\n", "\r\n", "\r"]),
        dice: u64,
    ) {
        let scratch = scratch();
        let path = scratch.path("seen-1.csv");
        std::fs::write(&path, csv(&names, &rows, delimiter, line_end, dice)).unwrap();
        match check(&scratch, &path) {
            // Records of one field can all be blank, and names that are all alike name nothing.
            Err(InferError::Content { what, .. }) if names.len() < 3 => prop_assert!(what.starts_with("has no "), "{what}"),
            Ok(_) => {}
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn json_is_taken_in_as_well((names, rows) in table()) {
        let scratch = scratch();
        let path = scratch.path("seen-1.ndjson");
        let mut file = String::new();
        for row in &rows {
            let object: serde_json::Map<_, _> =
                names.iter().cloned().zip(row.iter().map(|text| match text.parse::<i64>() {
                    Ok(number) => number.into(),
                    Err(_) if text.is_empty() => serde_json::Value::Null,
                    Err(_) => text.clone().into(),
                })).collect();
            file.push_str(&serde_json::to_string(&object).unwrap());
            file.push('\n');
        }
        std::fs::write(&path, file).unwrap();
        let found = check(&scratch, &path).unwrap();
        prop_assert_eq!(found.records, rows.len() as u64);
    }

    #[test]
    fn any_bytes_give_a_contract_or_a_reason(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(select(b"a1,;\"'\n\r\t {}[]:0.-/?\xff\xe4".to_vec()), 0..200),
    ]) {
        let scratch = scratch();
        let path = scratch.path("seen.csv");
        std::fs::write(&path, &bytes).unwrap();
        match check(&scratch, &path) {
            Ok(_) | Err(InferError::Content { .. } | InferError::File { .. }) => {}
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}

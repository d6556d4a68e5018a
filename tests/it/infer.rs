//! Contracts read off files: whatever the file, its contract loads, and takes in every record that can be read at all.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Write as _;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;
use camino::{Utf8Path, Utf8PathBuf};
use opsmart::infer::{InferError, Inferred, infer};
use opsmart::ingest::{Compression, FileInput, QuarantinedRecord, Sink, read_file};
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

    fn quarantine(&mut self, record: QuarantinedRecord<'_>) -> Result<(), Infallible> {
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
    let input = FileInput { contract, limits, captures: &[], compression, landed_at: None };
    let mut aside = Aside::default();
    let outcome = read_file(&input, std::fs::File::open(path).unwrap(), &mut aside).unwrap();
    let ledger = outcome.ledger;
    let told = (inferred.records, inferred.broken);
    assert_eq!((ledger.accepted, ledger.quarantined), told, "{:?}\n{}", aside.0, inferred.contract);
    let count = |count: u64| f64::from(u32::try_from(count).unwrap());
    let allowed = (count(ledger.accepted + ledger.quarantined) * contract.rejected_share).floor();
    assert!(count(ledger.quarantined) <= allowed, "{}", inferred.contract);
    // Whatever is asked stands in the contract, too, where it is about.
    for question in &inferred.questions {
        assert!(says(&inferred, question), "{question}\n{}", inferred.contract);
    }
    // Only what has no name and holds nothing is left out.
    let is_left_out = |name: &&String| name.as_str() != "\"\"" && !inferred.contract.contains(name.as_str());
    assert_eq!(outcome.unknown_columns.iter().find(is_left_out), None);
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
    inferred.contract.replace("\n# ", " ").to_lowercase().contains(&words.to_lowercase())
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
    // What means "no value" in one column does so in all whose texts are no words.
    let (null, believed) = (r#"null = ["", "?"]"#, r#"min = "2000-01-01T00:00:00Z", not_future = "1d""#);
    assert_eq!(declared(&found, "id"), "\"int64!\"");
    assert_eq!(declared(&found, "amount"), format!(r#"{{ type = "decimal(18,4)", aliases = ["Amount"], {null} }}"#));
    assert_eq!(declared(&found, "rate"), format!(r#"{{ type = "float64", {null} }}"#));
    assert_eq!(declared(&found, "open"), format!(r#"{{ type = "boolean", {null} }}"#));
    let day = format!(r#"{{ type = "date", {null}, min = "2000-01-01", not_future = "1d" }}"#);
    assert_eq!(declared(&found, "day"), day);
    assert_eq!(declared(&found, "at"), format!(r#"{{ type = "timestamp", {null}, {believed} }}"#));
    let when = format!(r#"{{ type = "timestamp", format = "%d/%m/%Y %H:%M", {null}, {believed} }}"#);
    assert_eq!(declared(&found, "when"), when);
    assert_eq!(declared(&found, "seconds"), format!(r#"{{ type = "int64", {null} }}"#));
    assert_eq!(declared(&found, "ref_no"), r#"{ type = "string", aliases = ["ref no"] }"#);
    assert_eq!(declared(&found, "note"), "\"string\"");
    assert!(found.contract.contains("key = [\"id\"]"), "{}", found.contract);
    for evidence in
        ["1 of 20 null (`?` 1)", "could be times", "widest `1000.10`", "no int64 because of `100.01` on line 2"]
    {
        assert!(says(&found, evidence), "{evidence}\n{}", found.contract);
    }
}

#[test]
fn day_and_month_are_not_guessed() {
    let found = inferred("a.csv", "id,at\n1,03/04/2024\n2,05/06/2024\n");
    assert_eq!(declared(&found, "at"), "\"string\"");
    assert!(found.contract.contains("#   { type = \"date\", format = \"%d/%m/%Y\" }\n"), "{}", found.contract);
    assert!(found.contract.contains("#   { type = \"date\", format = \"%m/%d/%Y\" }\n"), "{}", found.contract);
    assert!(found.questions.iter().any(|question| question.contains("fit every value and mean different days")));
    // Another column shows how this file writes days.
    let found = inferred("a.csv", "id,at,due\n1,03/04/2024,13/04/2024\n2,05/06/2024,14/04/2024\n");
    let day = r#"{ type = "date", format = "%d/%m/%Y", min = "2000-01-01", not_future = "1d" }"#;
    assert_eq!(declared(&found, "at"), day);
    assert!(
        found.questions.iter().any(|it| it.contains("taken to be written like `due`: is it?")),
        "{:?}",
        found.questions
    );
    assert!(says(&found, "`%m/%d/%Y` would fit as well; taken to be written like `due`"), "{}", found.contract);
    // Two columns that show two ways show nothing.
    let found = inferred("a.csv", "id,at,due,end\n1,03/04/2024,13/04/2024,04/13/2024\n");
    assert_eq!(declared(&found, "at"), "\"string\"");
}

#[test]
fn seconds_since_1970_are_times_only_where_the_name_says_so() {
    let found = inferred(
        "a.csv",
        "created_at,size,made_at_ms,late\n1700000000,1700000000,1700000000000,1700000000000\n1700000001,1700000001,1700000000001,1700000000001\n",
    );
    let epoch = r#"{ type = "timestamp", format = "epoch", min = "2000-01-01T00:00:00Z", not_future = "1d" }"#;
    assert_eq!(declared(&found, "created_at"), epoch);
    assert_eq!(declared(&found, "size"), "\"int64\"");
    assert_eq!(declared(&found, "made_at_ms"), epoch);
    assert_eq!(declared(&found, "late"), "\"int64\"");
    let told = r#"could be times: `{ type = "timestamp", format = "epoch" }` reads them too"#;
    assert_eq!(found.contract.replace("\n# ", " ").matches(told).count(), 2, "{}", found.contract);
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
    assert_eq!(declared(&found, "user_id"), r#"{ type = "int64", aliases = ["userId"] }"#);
    assert_eq!(declared(&found, "f149"), "\"boolean\"");
    assert_eq!(declared(&found, "tags"), "\"string\"");
    assert_eq!(found.columns.len(), 153);
}

#[test]
fn a_name_that_stands_twice_is_told_apart_by_its_place() {
    let found = inferred("a.csv", "x,a,a,A,订单,Select\n0,1,2,3,4,5\n1,1,2,3,4,5\n");
    assert_eq!(
        found.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["x", "a", "a_2", "a_3", "column_5", "select"]
    );
    assert!(found.contract.contains("header = true }"), "{}", found.contract);
    // Another file may have it once.
    assert_eq!(declared(&found, "a_2"), r#"{ type = "int64", aliases = ["a#2"] }"#);
    assert_eq!(declared(&found, "a_3"), r#"{ type = "int64", aliases = ["A"] }"#);
    assert!(
        says(&found, "The header has `a` more than once: `a#2` is the second field of that name"),
        "{}",
        found.contract
    );
    // A header that has such a name itself, or several fields without one, is held against that of this file.
    let found = inferred("a.csv", "a,a,a#2,\n1,2,3,\n2,3,4,\n");
    assert!(
        found.contract.contains(r#"header = ["a", "a", "a#2", ""], columns = ["a", "a_2", "a#2", "column_4"] }"#),
        "{}",
        found.contract
    );
    assert!(
        found.questions.iter().any(|it| it.contains("a file with another header is refused")),
        "{:?}",
        found.questions
    );
    let found = inferred("a.csv", "id,,\n1,x,y\n2,z,u\n");
    assert!(found.contract.contains(r#"header = ["id", "", ""], columns = ["id", "column_2", "column_3"] }"#));
    let found = inferred("a.csv", "id,name,name,,\n1,Lin,x,,\n2,Wu,y,,\n");
    assert!(found.contract.contains("header = true }") && found.columns.len() == 3, "{}", found.contract);
    assert_eq!(declared(&found, "name_2"), r#"{ type = "string", aliases = ["name#2"] }"#);
    // Names of fields that hold nothing may be alike: such fields are passed over.
    let found = inferred("a.csv", "id,name,,\n1,Lin,,\n2,Wu,,\n");
    assert!(found.contract.contains("header = true }") && found.columns.len() == 2, "{}", found.contract);
}

#[test]
fn records_that_cannot_be_read_are_counted_and_allowed_for() {
    let found = inferred("a.csv", "a,b\n1,\"2, 3\"\n3\n4,5\n6,7\n8,\"9\"x,y\n");
    assert_eq!((found.records, found.broken), (3, 2));
    assert!(found.contract.contains("rejected_share = 0.4"), "{}", found.contract);
    let told = "2 of 5 records cannot be read with this `format`: line 3: E_FIELDS";
    assert!(found.questions.iter().any(|it| it.starts_with(told) && it.contains("`rejected_share` is 0.4")));
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
        ("word.csv", b"name\n", 1, "has no records"),
        ("blank.csv", b"\n \n\n", 1, "is empty"),
        ("utf16.csv", b"\xff\xfea\0b\0\n\0", 1, "has no records"),
        ("unmarked.csv", b"a\0b\0c\0\n\0", 1, "has no records"),
        ("utf32.csv", b"\xff\xfe\0\0a\0\0\0", 1, "UTF-32"),
        ("binary.csv", b"\x7fELF\0\0\0\x01\x02\x03\n\0\0", 1, "zero bytes"),
        ("garbage.csv.gz", b"\x01\x02id,name\n1,Lin\n2,Chen\n", 1, "damaged"),
        ("cut.csv.gz", gzip, 1, "gzip stream"),
        ("packed.csv", gzip, 1, "gzip stream"),
        ("sheet.csv", b"PK\x03\x04", 1, "looks like a ZIP archive"),
        ("array.json", b"[{\"a\":1}]", 1, "one object a line"),
        ("bell\u{7}.csv", b"name\n", 1, "has no records"),
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
        ("word.csv/x", "does not exist"),
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
    assert!(contract.contains("from = \"{landing}/calls/calls-{#}.csv\"\n"), "{contract}");
}

/// A file, what of its contract is written, what is asked, and the rows that come of it.
struct Walk {
    file: &'static str,
    bytes: Vec<u8>,
    declared: &'static [&'static str],
    asked: &'static [&'static str],
    rows: &'static [&'static str],
}

fn walk(
    file: &'static str,
    bytes: impl AsRef<[u8]>,
    declared: &'static [&'static str],
    asked: &'static [&'static str],
    rows: &'static [&'static str],
) -> Walk {
    Walk { file, bytes: bytes.as_ref().to_vec(), declared, asked, rows }
}

fn encoded(label: &str, text: &str) -> Vec<u8> {
    if let Some(mark) = label.strip_prefix("utf-16le") {
        return format!("{}{text}", if mark.is_empty() { "" } else { "\u{feff}" })
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
    }
    let (bytes, _, has_unknown) = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap().encode(text);
    assert!(!has_unknown);
    bytes.into_owned()
}

/// Reads a contract off each file, runs the project as it then stands, and looks at what came of it.
#[track_caller]
fn walk_all(walks: &[Walk]) {
    let usual = ["what tells two rows apart", "records with a time before"];
    for Walk { file, bytes, declared, asked, rows } in walks {
        let scratch = Scratch::with(&[("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"in\"\n")]);
        scratch.write(&format!("in/t/{file}"), "");
        std::fs::write(scratch.path(&format!("in/t/{file}")), bytes).unwrap();
        let from = format!("in/t/{file}");
        let said = scratch.run(&["new", "source", "t", "--from", &from, "--output", "json", "--quiet"]).exits(0);
        let told: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        let questions: Vec<&str> =
            told["questions"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        let questions: Vec<&str> =
            questions.into_iter().filter(|it| !usual.iter().any(|usual| it.starts_with(usual))).collect();
        let contract = std::fs::read_to_string(scratch.path("schemas/sources/t.toml")).unwrap();
        for line in *declared {
            assert!(contract.contains(line), "{file}: no `{line}` in\n{contract}");
        }
        assert_eq!(questions.len(), asked.len(), "{file}: {questions:#?}");
        for (question, asked) in questions.iter().zip(*asked) {
            assert!(question.contains(asked), "{file}: {question}");
        }
        let _ = scratch.run(&["run", "--quiet", "--select", "+stg_t"]).exits(0);
        let shown = scratch.run(&["show", "--format", "csv", "--limit", "0", "t"]).exits(0).stdout;
        assert_eq!(shown.lines().collect::<Vec<_>>(), *rows, "{file}\n{contract}");
        let lost = scratch.rows("select sum(quarantined) from dq_ledger");
        assert_eq!(lost, ["0"], "{file}\n{contract}");
    }
}

#[test]
fn numbers_are_read_as_the_file_shows_that_they_are_meant() {
    walk_all(&[
        // A decimal comma beside them says that points stand between thousands.
        walk(
            "excel.csv",
            "\u{feff}Kunde;Größe;Betrag\r\nMüller;12,50;1.200\r\nJosé;7,25;10.000\r\n",
            &[
                r#"groesse = { type = "decimal(18,4)", aliases = ["Größe"], normalise = ["decimal_comma"] }"#,
                r#"betrag = { type = "int64", aliases = ["Betrag"], normalise = ["decimal_comma"] }"#,
                "`1.200` is taken to be",
            ],
            &[],
            &["kunde,groesse,betrag", "Müller,12.5000,1200", "José,7.2500,10000"],
        ),
        // The delimiter says so as well, but has it confirmed.
        walk(
            "semicolons.csv",
            "id;n\n1;1.200\n2;10.000\n",
            &[r#"n = { type = "int64", normalise = ["decimal_comma"] }"#],
            &["`n`: `1.200` may be 1200 or 1.2, and every value may be read in both ways; taken for 1200 because `;`"],
            &["id,n", "1,1200", "2,10000"],
        ),
        // Nothing says which it is.
        walk(
            "unclear.csv",
            "id,n\n1,1.200\n2,10.000\n",
            &["#   { type = \"int64\", normalise = [\"decimal_comma\"] }\n#   \"decimal(18,7)\"\nn = \"string\"\n"],
            &[
                "`n`: `1.200` may be 1200 or 1.2, and every value may be read in both ways; it stays text until you choose",
            ],
            &["id,n", "1,1.200", "2,10.000"],
        ),
        // A fraction beside them says that points are points.
        walk(
            "points.csv",
            "id,n,x\n1,1.200,0.5\n2,10.000,3.25\n",
            &[r#"n = "decimal(18,7)""#, "`1.200` is taken to be written like `0.5` of `x`"],
            &[],
            &["id,n,x", "1,1.2000000,0.5000", "2,10.0000000,3.2500"],
        ),
        // A number below one has no thousands.
        walk(
            "below.csv",
            "id,n\n1,0.120\n2,10.000\n",
            &[r#"n = "decimal(18,7)""#],
            &[],
            &["id,n", "1,0.1200000", "2,10.0000000"],
        ),
        walk(
            "english.csv",
            "id,n\n1,\"1,200\"\n2,\"2,500,000\"\n",
            &[r#"n = { type = "int64", normalise = ["amount"] }"#],
            &[],
            &["id,n", "1,1200", "2,2500000"],
        ),
        walk(
            "quoted.csv",
            "id,n\n1,\"1,200\"\n2,\"2,500\"\n",
            &[r#"n = "string""#, r#"#   { type = "decimal(18,7)", normalise = ["decimal_comma"] }"#],
            &["`n`: `1,200` may be 1200 or 1.2"],
            &["id,n", "1,\"1,200\"", "2,\"2,500\""],
        ),
        walk(
            "money.csv",
            "id,price,cost,mixed\n1,\"$1,234.50\",12,$1.50\n2,($3.00),-,€2.50\n",
            &[r#"price = { type = "decimal(18,4)", normalise = ["amount"], null = ["", "-"] }"#, "mixed = \"string\""],
            &["`mixed`: amounts in `$` and `€`"],
            &["id,price,cost,mixed", "1,1234.5000,12.0000,$1.50", "2,-3.0000,,€2.50"],
        ),
        walk(
            "euros.csv",
            "id;preis\n1;1.234,50 €\n2;n/a\n3;7,00 €\n",
            &[
                r#"preis = { type = "decimal(18,4)", normalise = ["decimal_comma"], null = ["", "n/a"] }"#,
                "1 of 3 null",
            ],
            &[],
            &["id,preis", "1,1234.5000", "2,", "3,7.0000"],
        ),
        walk(
            "swiss.csv",
            "id;betrag\n1;1'200.50\n2;12.00\n",
            &[r#"betrag = { type = "decimal(18,4)", normalise = ["amount"] }"#],
            &[],
            &["id,betrag", "1,1200.5000", "2,12.0000"],
        ),
        walk(
            "french.csv",
            "id;montant\n1;1\u{202f}200,50\n2;12,00\n",
            &[r#"montant = { type = "decimal(18,4)", normalise = ["decimal_comma"] }"#],
            &[],
            &["id,montant", "1,1200.5000", "2,12.0000"],
        ),
        walk("exponents.csv", "id,x\n1,1.5e3\n2,2E-4\n", &["x = \"float64\""], &[], &["id,x", "1,1500.0", "2,0.0002"]),
        walk(
            "large.csv",
            "id,n\n9007199254740993,18446744073709551615\n9007199254740995,1\n",
            &["id = \"int64!\"", "n = \"string\"", "whole numbers beyond 64 bits"],
            &["`n`: whole numbers beyond 64 bits, so they stay text"],
            &["id,n", "9007199254740993,18446744073709551615", "9007199254740995,1"],
        ),
        walk(
            "codes.csv",
            "zip,address,phone\n01234,192.168.100.101,030 123 456\n98765,192.168.100.102,+49 30 123456\n",
            &["zip = \"string\"", "address = \"string\"", "phone = \"string\"", "`normalise = [\"phone\"]`"],
            &[],
            &["zip,address,phone", "01234,192.168.100.101,030 123 456", "98765,192.168.100.102,+49 30 123456"],
        ),
    ]);
}

/// Is asked of columns that Chinese names.
const NAMED: &str = "are of small Latin letters";

#[test]
fn text_of_any_encoding_is_read_and_the_encoding_written() {
    let chinese = "工单号,客户,是否升级\n1,王伟,是\n2,李娜,否\n";
    let rows = &["column_1,column_2,column_3", "1,王伟,true", "2,李娜,false"];
    walk_all(&[
        walk(
            "utf8.csv",
            chinese,
            &["column_2 = { type = \"string\", aliases = [\"客户\"], zh = \"客户\" }"],
            &[NAMED],
            rows,
        ),
        walk(
            "gb.csv",
            encoded("gb18030", chinese),
            &["encoding = \"gb18030\""],
            &["as gb18030 it has `工单号`, `客户`, `是否升级`: is that what it says?", NAMED],
            rows,
        ),
        walk("marked.csv", encoded("utf-16le with a mark", chinese), &["encoding = \"utf-16le\""], &[NAMED], rows),
        walk(
            "unmarked.csv",
            encoded("utf-16le", "id,name\n1,Lin\n2,José\n"),
            &["encoding = \"utf-16le\""],
            &[],
            &["id,name", "1,Lin", "2,José"],
        ),
        walk(
            "latin.csv",
            encoded("windows-1252", "id;Straße\n1;Am Weg 1\n2;Köln – €\n"),
            &["encoding = \"windows-1252\"", "strasse = "],
            &["as windows-1252 it has `Straße`, `Köln`"],
            &["id,strasse", "1,Am Weg 1", "2,Köln – €"],
        ),
    ]);
    // What is not UTF-8 stands far beyond the beginning.
    let mut bytes = "id,name\n".to_owned().into_bytes();
    (1..150_000).for_each(|n| bytes.extend(format!("{n},Lin\n").bytes()));
    bytes.extend(b"150000,M\xfcller\n");
    let found = inferred("late.csv", bytes);
    assert!(found.contract.contains("encoding = \"windows-1252\""), "{}", found.contract);
    assert_eq!((found.records, found.broken), (150_000, 0));
    // One damaged record among many of UTF-8 is damage.
    let found = inferred("a.csv", b"id,name\n1,M\xc3\xbcller\n2,Jos\xc3\xa9\n3,M\xfcller\n");
    assert_eq!((found.records, found.broken), (2, 1));
    assert!(!found.contract.contains("encoding = "), "{}", found.contract);
}

#[test]
fn files_as_programs_export_them_are_read_or_asked_about() {
    let packed = {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packer, b"id,name\n1,Lin\n2,Wu\n").unwrap();
        packer.finish().unwrap()
    };
    walk_all(&[
        walk(
            "tabs.tsv",
            "id\tname\n1\tLin, Wei\n2\tWu\n",
            &["delimiter = '\\t'"],
            &[],
            &["id,name", "1,\"Lin, Wei\"", "2,Wu"],
        ),
        walk(
            "report.csv",
            "Report: tickets\nGenerated 2024-06-01\n\nid,name,day\n1,Lin,2024-05-01\n2,Wu,2024-05-02\n3,Li,2024-05-03\n",
            &["skip = 3, header = true"],
            &["something stands before the header; the first 3 lines are passed over: is it so in every file?"],
            &["id,name,day", "1,Lin,2024-05-01", "2,Wu,2024-05-02", "3,Li,2024-05-03"],
        ),
        walk(
            "told.csv",
            "sep=;\nid;name\n1;Lin\n2;Wu\n",
            &["skip = 1, header = true"],
            &[],
            &["id,name", "1,Lin", "2,Wu"],
        ),
        walk(
            "remarks.csv",
            "# exported\n# at night, daily\nid,name\n1,Lin\n2,Wu\n3,Li\n",
            &["comment = \"#\", header = true"],
            &[],
            &["id,name", "1,Lin", "2,Wu", "3,Li"],
        ),
        walk(
            "bare.csv",
            "1,Lin\n2,Wu\n",
            &["header = false"],
            &["no header is seen, for the first record has `1`, `Lin`"],
            &["column_1,column_2", "1,Lin", "2,Wu"],
        ),
        walk(
            "years.csv",
            "area,2023,2024\nNorth,10,20\nSouth,30,40\n",
            &["aliases = [\"2023\"]"],
            &[],
            &["area,column_2,column_3", "North,10,20", "South,30,40"],
        ),
        walk(
            "trailing.csv",
            "id;name\n1;Lin;\n2;Wu;\n",
            &["header = [\"id\", \"name\"], columns = [\"id\", \"name\", \"column_3\"]"],
            &["2 names for 3 fields"],
            &["id,name", "1,Lin", "2,Wu"],
        ),
        walk(
            "short.csv",
            "id,name,note\n1,Lin\n2,Wu\n3,Li,late\n",
            &["short_rows = \"null\""],
            &["most records have fewer fields than the 3 that the header names"],
            &["id,name,note", "1,Lin,", "2,Wu,", "3,Li,late"],
        ),
        walk(
            "quoted.csv",
            "id,text\n1,\"two\nlines\"\n2,\"a \"\"word\"\", here\"\n",
            &["text = \"string\""],
            &[],
            &["id,text", "1,\"two", "lines\"", "2,\"a \"\"word\"\", here\""],
        ),
        walk("packed.csv.gz", packed, &["from = \"{landing}/t/packed.csv.gz\""], &[], &["id,name", "1,Lin", "2,Wu"]),
    ]);
}

#[test]
fn what_no_contract_says_by_itself_is_asked() {
    walk_all(&[
        walk(
            "nested.ndjson",
            "{\"id\":1,\"via\":{\"channel\":\"mail\"},\"tags\":[\"a\"],\"ts\":1717000000.5}\n{\"id\":2,\"via\":{\"channel\":\"web\"},\"tags\":[],\"ts\":1717000001}\n",
            &["via = \"string\"", "ts = { type = \"timestamp\", format = \"epoch\", min"],
            &["`via`: objects, kept as their text; a column with `path = \"via.channel\"` reads one field"],
            &[
                "id,via,tags,ts",
                "1,\"{\"\"channel\"\":\"\"mail\"\"}\",\"[\"\"a\"\"]\",2024-05-29T16:26:40.500Z",
                "2,\"{\"\"channel\"\":\"\"web\"\"}\",[],2024-05-29T16:26:41Z",
            ],
        ),
        walk(
            "days.csv",
            "id,day,total\n1,13/04/2024,10.50\n2,05/16/2024,12.25\n3,14/04/2024,n/a\n4,15/04/2024,1.00\nsum,,23.75\n",
            &["day = \"string\""],
            &[
                "`id`: 4 of 5 values read as int64, but not `sum` on line 6",
                "`day`: 3 of 4 values read as date of the form",
            ],
            &[
                "id,day,total",
                "1,13/04/2024,10.5000",
                "2,05/16/2024,12.2500",
                "3,14/04/2024,",
                "4,15/04/2024,1.0000",
                "sum,,23.7500",
            ],
        ),
        walk(
            "words.csv",
            "id,state\n1,启用\n2,停用\n",
            &["state = \"string\"", "`{ type = \"boolean\", normalise = [\"words\"] }` reads them too"],
            &[],
            &["id,state", "1,启用", "2,停用"],
        ),
    ]);
}

#[test]
fn shares_of_few_records_are_counts() {
    let found = inferred("a.csv", "id,state\n1,a\n2,\n3,b\n4,\n5,c\n6,d\n");
    assert!(says(&found, "2 of 6 null;") && !found.contract.contains(" %"), "{}", found.contract);
    let rows: Vec<String> = (0..300).map(|n| format!("{n},{}", if n % 3 == 0 { "" } else { "x" })).collect();
    let found = inferred("a.csv", format!("id,state\n{}\n", rows.join("\n")));
    assert!(says(&found, "100 of 300 null (33.3 %)"), "{}", found.contract);
}

/// Keeps the values of one column, as text.
struct Values {
    column: usize,
    values: Vec<String>,
    aside: Vec<String>,
}

impl Sink for Values {
    type Error = Infallible;

    fn rows(&mut self, batch: RecordBatch) -> Result<(), Infallible> {
        let array = batch.column(self.column);
        self.values.extend((0..array.len()).map(|row| array_value_to_string(array, row).unwrap()));
        Ok(())
    }

    fn quarantine(&mut self, record: QuarantinedRecord<'_>) -> Result<(), Infallible> {
        self.aside.push(format!("line {}: {:?} {}", record.line, record.column, record.message));
        Ok(())
    }
}

/// Infers a contract from `seen`, and reads `file` by it.
fn read_by_contract_of(name: &str, seen: &str, file: &str, column: usize) -> (Inferred, Values) {
    // No clock of UTC leaves an hour out.
    let scratch = Scratch::with(&[("opsmart.toml", "reporting_zone = \"UTC\"\n")]);
    scratch.write(name, seen);
    let inferred = infer(&load(&scratch), "seen", &scratch.path(name)).unwrap();
    scratch.write("schemas/sources/seen.toml", &inferred.contract);
    let project = load(&scratch);
    let (contract, limits) = (&project.sources["seen"], &project.settings.limits);
    let landed_at = Some("2026-01-01T00:00:00Z".parse().unwrap());
    let input = FileInput { contract, limits, captures: &[], compression: Compression::Plain, landed_at };
    let mut values = Values { column, values: Vec::new(), aside: Vec::new() };
    let outcome = read_file(&input, file.as_bytes(), &mut values).unwrap();
    assert_eq!(outcome.ledger.quarantined, values.aside.len() as u64);
    (inferred, values)
}

/// Returns a file of one column of texts beside another one, as CSV or as JSON with the texts in quotes.
fn of_texts(name: &str, texts: &[&str], is_json: bool) -> String {
    let mut file = if is_json { String::new() } else { format!("{name},other\n") };
    for text in texts {
        if is_json {
            writeln!(file, "{{\"{name}\":\"{text}\",\"other\":\"x\"}}").unwrap();
        } else {
            writeln!(file, "{text},x").unwrap();
        }
    }
    file
}

#[test]
fn texts_that_differ_never_become_one_value() {
    for (name, texts) in [
        ("app_version", &["1.1", "1.10", "1.2", "1.20"][..]),
        ("x", &["1.1", "1.10", "1.2", "1.20"]),
        ("release", &["1.1.24", "01.1.24", "2.3.23"]),
        ("x", &["1.1.24", "01.1.24", "2.3.23"]),
        ("user_pseudo_id", &["1234567890.1704067200", "1234567890.1704067201", "987654321.1704067201"]),
        ("client", &["1234567890.1704067200", "1234567890.1704067201", "987654321.1704067201"]),
        ("client", &["1234567890.1704067200", "1234567890.17040672", "987654321.1"]),
        ("part", &["1E5", "100000", "1E2"]),
        ("part", &["12e3", "12000", "5"]),
        ("sku", &["1E5", "2E5"]),
        ("zip", &["12345", "01234", "1234"]),
        ("phone", &["+491234", "491234", "00491234"]),
        ("order_no", &["007", "7", "07"]),
        ("code", &["true", "TRUE", "1", "yes"]),
        ("flag", &["true", "yes", "no"]),
        ("commit", &["1e10", "1E10", "10000000000"]),
        ("hash", &["00e1", "0e12", "00"]),
        ("number", &["18446744073709551615", "18446744073709551616", "1"]),
        ("isbn", &["9780306406157", "0306406152"]),
        ("week", &["2024-W05", "2024-W5", "2024-05"]),
        ("price_code", &["1,50", "1,5", "2,00"]),
        ("x", &["-0", "0", "1"]),
        ("x", &[".5", "0.5", "1.5"]),
        ("x", &["1.", "1", "2"]),
        ("x", &["1.5e3", "1500", "2.5e-4"]),
        ("x", &["0.12345678901234567", "0.123456789012345678", "0.5"]),
        ("status", &["NaN", "Infinity", "-Infinity"]),
    ] {
        for is_json in [false, true] {
            let texts: Vec<&str> = texts.iter().copied().filter(|text| is_json || !text.contains(',')).collect();
            if texts.is_empty() {
                continue;
            }
            let file = of_texts(name, &texts, is_json);
            let extension = if is_json { "ndjson" } else { "csv" };
            let (found, read) = read_by_contract_of(&format!("a.{extension}"), &file, &file, 0);
            assert_eq!(read.aside, Vec::<String>::new(), "{name} {texts:?}");
            let values: BTreeSet<&String> = read.values.iter().collect();
            assert_eq!(values.len(), texts.len(), "{name} {texts:?} {:?}\n{}", read.values, found.contract);
        }
    }
}

#[test]
fn what_stays_text_for_a_reason_is_asked() {
    for (name, texts, is_json, asked) in [
        (
            "x",
            &["1.1", "1.10"][..],
            false,
            "`x`: `1.1` and `1.10` would be one number, so it stays text; `decimal(18,4)`",
        ),
        (
            "flag",
            &["true", "yes", "no"],
            false,
            "`flag`: `true` and `yes` would be one value, so it stays text; `boolean`",
        ),
        (
            "part",
            &["1E5", "2E5"],
            false,
            "`part`: `1E5` on line 2 may be a code, so it stays text; `float64` reads every",
        ),
        ("x", &["0.5", "0.12345678901234567890123456789012345678901"], false, "has more digits than a float64 holds"),
        ("x", &["18446744073709551615", "1"], false, "`x`: whole numbers beyond 64 bits, so they stay text"),
        ("x", &["1.10.24", "2.3.23"], false, "may be a day with a year of two digits, or a code"),
        ("app_version", &["1.1", "1.2"], false, "`app_version` (decimal): taken for codes, so they stay text"),
        ("zip", &["12345", "54321"], false, "`zip` (int64): taken for codes, so they stay text"),
        ("user_id", &["12345", "54321"], true, "`user_id` (int64): taken for codes, so they stay text"),
        ("sessionid", &["12345", "54321"], true, "`sessionid` (int64): taken for codes, so they stay text"),
    ] {
        let file = of_texts(name, texts, is_json);
        let (found, _) = read_by_contract_of(if is_json { "a.ndjson" } else { "a.csv" }, &file, &file, 0);
        assert!(declared(&found, name).starts_with("\"string"), "{}", found.contract);
        assert!(found.questions.iter().any(|it| it.contains(asked)), "{asked}\n{:#?}", found.questions);
        assert!(says(&found, asked), "{asked}\n{}", found.contract);
    }
    // What is a number stays one: identifiers that are whole in CSV, numbers of JSON, amounts, measured values.
    for (name, file, kind) in [
        ("user_id", "user_id,other\n1,x\n2,x\n", "\"int64\""),
        ("user_id", "{\"user_id\":1}\n{\"user_id\":2}\n", "\"int64\""),
        ("x", "{\"x\":1.1}\n{\"x\":1.10}\n", "\"decimal(18,4)\""),
        ("x", "{\"x\":\"1.25\"}\n{\"x\":\"1.50\"}\n", "\"decimal(18,4)\""),
        ("paid", "{\"paid\":\"1.25\"}\n{\"paid\":\"1.50\"}\n", "\"decimal(18,4)\""),
        ("price", "price,other\n12,x\n13,x\n", "\"decimal(18,4)\""),
        ("x", "x,other\n0.30000000000000004,x\n1e300,x\n1.5e-3,x\n", "\"float64\""),
        ("x", "x,other\n1234567890.1704067200,x\n1234567890.1704067201,x\n", "\"decimal(38,14)\""),
    ] {
        let name_of_file = if file.starts_with('{') { "a.ndjson" } else { "a.csv" };
        assert_eq!(declared(&inferred(name_of_file, file), name), kind, "{file}");
    }
}

#[test]
fn an_active_key_is_called_like_that_of_its_own_records() {
    let keyed = |dataset: &str, file: &str| {
        let scratch = scratch();
        scratch.write("in/a.csv", file);
        let found = infer(&load(&scratch), dataset, &scratch.path("in/a.csv")).unwrap();
        let lines = found.contract.lines().filter(|line| line.starts_with("key =") || line.starts_with("keep ="));
        (lines.collect::<Vec<_>>().join(" "), found)
    };
    let t = "2024-01-02T10:00:00Z";
    for (dataset, header, rows, expected) in [
        (
            "tickets",
            "ticket_id,requester_id,updated_at",
            ["1,7,T", "2,8,T"],
            "key = [\"ticket_id\"] keep = { latest = \"updated_at\" }",
        ),
        ("comments", "id,ticket_id,created_at", ["1,7,T", "2,8,T"], "key = [\"id\"]"),
        ("calls", "call_id,agent_id", ["c-1,a", "c-2,b"], "key = [\"call_id\"]"),
        // What is called like something else's.
        ("comments", "ticket_id,author,created_at", ["1,a,T", "2,b,T"], ""),
        ("links", "contact_id,conversation_id,updated_at", ["1,7,T", "2,7,T"], ""),
        ("contact_conversations", "contact_id,conversation_id,x", ["1,7,a", "2,8,b"], ""),
        ("ticket_history", "id,ticket_id,updated_at", ["1,7,T", "2,8,T"], ""),
        ("ticket_history", "ticket_id,status,updated_at", ["1,new,T", "2,open,T"], ""),
        ("activity", "user_id,day,actions", ["1,2024-01-01,3", "2,2024-01-01,4"], ""),
        ("users", "email,name,updated_at", ["a@x.org,A,T", "b@x.org,B,T"], ""),
        ("visits", "day,n,x", ["2024-01-01,3,a", "2024-01-02,4,b"], ""),
        ("seen", "row_number,name,x", ["1,a,b", "2,b,c"], ""),
        ("seen", "number,name,x", ["1,a,b", "2,b,c"], ""),
        ("seen", "code,name,x", ["a,a,b", "b,b,c"], ""),
        // What has no value once, or repeats.
        ("tickets", "ticket_id,name,x", ["1,a,b", ",b,c"], ""),
        ("tickets", "ticket_id,name,updated_at", ["1,a,T", "1,b,T"], ""),
        // What does not tell when a whole record changed is not what keeps it.
        ("tickets", "ticket_id,created_at,x", ["1,T,a", "2,T,b"], "key = [\"ticket_id\"]"),
        ("tickets", "ticket_id,password_changed_at,x", ["1,T,a", "2,T,b"], "key = [\"ticket_id\"]"),
        ("tickets", "ticket_id,contact_updated_at,x", ["1,T,a", "2,T,b"], "key = [\"ticket_id\"]"),
    ] {
        let file = format!("{header}\n{}\n", rows.join("\n")).replace('T', t).replace("created_a2024", "created_at");
        let (lines, found) = keyed(dataset, &file);
        assert_eq!(lines, expected, "{dataset} {file}");
        let is_asked = found.questions.iter().any(|it| it.contains("no key is written, so every record stays"));
        assert_eq!(is_asked, expected.is_empty(), "{:#?}", found.questions);
    }
    // One record tells nothing.
    let (lines, found) = keyed("tickets", "ticket_id,x\n1,a\n");
    assert!(lines.is_empty() && found.questions.iter().any(|it| it.starts_with("what tells two rows apart")));
    let (_, found) = keyed("links", &format!("contact_id,conversation_id,updated_at\nc-1,1,{t}\nc-2,1,{t}\n"));
    assert!(
        found.contract.contains("\n# key = [\"contact_id\", \"conversation_id\"]: unique here"),
        "{}",
        found.contract
    );
    // Numbers from 1 on may begin anew in the next file.
    let rows = |from: usize| (from..from + 30).map(|n| format!("{n},x{n}\n")).collect::<String>();
    let (lines, found) = keyed("seen", &format!("id,name\n{}", rows(1)));
    assert_eq!(lines, "key = [\"id\"]");
    assert!(
        found.questions.iter().any(|it| it.starts_with("`id` counts the records of this file")),
        "{:?}",
        found.questions
    );
    let (_, found) = keyed("seen", &format!("id,name\n{}", rows(5)));
    assert!(!found.questions.iter().any(|it| it.contains("counts the records")), "{:?}", found.questions);
    let (_, found) = keyed("seen", "id,name\na-1,x\nA-1,y\n");
    assert!(found.questions.iter().any(|it| it.contains("`id` has `A-1` and `a-1`, which are two")));
    let (_, found) = keyed("seen", &format!("id,status_changed_at\n1,{t}\n2,{t}\n"));
    assert!(found.questions.iter().any(|it| it.contains("does `status_changed_at` tell the latest change")));
}

#[test]
fn later_months_take_no_rows_away_that_belong_to_a_foreign_key() {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"in\"\n"),
        (
            "in/memberships-2024-01.csv",
            "group_id,user_id,joined_at\ng1,u1,2024-01-02T10:00:00Z\ng2,u1,2024-01-03T10:00:00Z\n",
        ),
    ]);
    let _ = scratch.run(&["new", "source", "memberships", "--from", "in/memberships-2024-01.csv", "-q"]).exits(0);
    scratch.write(
        "in/memberships-2024-02.csv",
        "group_id,user_id,joined_at\ng1,u2,2024-02-02T10:00:00Z\ng2,,2024-02-03T10:00:00Z\n",
    );
    let _ = scratch.run(&["run", "--quiet", "--select", "+stg_memberships"]).exits(0);
    assert_eq!(scratch.rows("select sum(accepted), sum(clean), sum(superseded) from dq_ledger"), ["4,4,0"]);
}

#[test]
fn a_pattern_names_no_sister_feed() {
    let from = |file: &str, beside: &[(&str, &str)]| {
        let scratch = scratch();
        scratch.write(&format!("in/{file}"), "ticket_id,created_at\n1,2024-01-02T10:00:00Z\n");
        beside.iter().for_each(|(name, text)| scratch.write(&format!("in/{name}"), text));
        let found = infer(&load(&scratch), "t", &scratch.path(&format!("in/{file}"))).unwrap();
        let asked = found.questions.iter().filter(|it| it.contains("`from`")).cloned().collect::<Vec<_>>().join("; ");
        (found.landing.from, found.landing.others, asked)
    };
    let (same, more, other) =
        ("ticket_id,created_at\n2,x\n", "ticket_id,created_at,body\n1,x,y\n", "question,answer\na,b\n");
    let (pattern, others, asked) = from("tickets_2024-01.csv", &[("tickets_comments_2024-01.csv", more)]);
    assert_eq!((pattern.as_str(), others, asked.as_str()), ("{landing}/tickets_{#}.csv", 0, ""));
    let (pattern, others, asked) =
        from("tickets_2024-01.csv", &[("tickets_2024-02.csv", same), ("tickets_2024-03.csv", more)]);
    assert_eq!((pattern.as_str(), others), ("{landing}/tickets_{#}.csv", 2));
    assert_eq!(asked, "`from` matches `tickets_2024-03.csv`, with more or fewer columns: of this feed?");
    let (pattern, others, asked) = from("q1.csv", &[("q2.csv", other), ("quotes.csv", other)]);
    assert_eq!((pattern.as_str(), others), ("{landing}/q1.csv", 0));
    assert!(asked.starts_with("`from` names this file alone, because `q2.csv` would match, too"), "{asked}");
    let (pattern, _, asked) = from("ticket_data.csv", &[("ticket_comment_data.csv", more)]);
    assert_eq!((pattern.as_str(), asked.as_str()), ("{landing}/ticket_data.csv", ""));
    // What lands beside it and has the same columns is told, if the pattern does not take it.
    let (pattern, _, asked) =
        from("tickets_2024-01.csv", &[("tickets_2024-01 (copy).csv", same), ("tickets_x.csv", same)]);
    assert_eq!(pattern, "{landing}/tickets_{#}.csv");
    assert_eq!(
        asked,
        "`from` does not match `tickets_2024-01 (copy).csv`, `tickets_x.csv`, with the same columns: of this feed?"
    );
    // What cannot be read says nothing.
    let (pattern, others, asked) = from("tickets_1.csv", &[("tickets_2.csv", "PK\u{3}\u{4}"), ("tickets_3.csv", "")]);
    assert_eq!((pattern.as_str(), others, asked.as_str()), ("{landing}/tickets_{#}.csv", 2, ""));
}

#[test]
fn times_that_cannot_be_are_set_aside_with_their_reason() {
    let header = "id,created_at,due_at,born_on,day\n";
    let rows = |from: u32| {
        (from..from + 30).fold(String::new(), |mut text, n| {
            writeln!(
                text,
                "{n},2024-02-{:02}T10:00:00Z,2024-03-{:02}T10:00:00Z,1950-01-01,2024-02-{:02}",
                n % 28 + 1,
                n % 28 + 1,
                n % 28 + 1
            )
            .unwrap();
            text
        })
    };
    let scratch = Scratch::with(&[
        ("opsmart.toml", "[paths]\nlanding = \"in\"\n"),
        ("in/t-1.csv", &format!("{header}{}", rows(100))),
    ]);
    let said = scratch.run(&["new", "source", "t", "--from", "in/t-1.csv"]).exits(0);
    assert!(
        said.stderr.contains(
            "records with a time before `min` (`created_at`, `due_at`, `day`) or more than a day after \
        their file landed (`created_at`, `day`) are quarantined: is that right?"
        ),
        "{}",
        said.stderr
    );
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/t.toml")).unwrap();
    for line in [
        "created_at = { type = \"timestamp\", min = \"2000-01-01T00:00:00Z\", not_future = \"1d\" }\n",
        "due_at = { type = \"timestamp\", min = \"2000-01-01T00:00:00Z\" }\n",
        "born_on = \"date\"\n",
        "day = { type = \"date\", min = \"2000-01-01\", not_future = \"1d\" }\n",
    ] {
        assert!(contract.contains(line), "{line}\n{contract}");
    }
    scratch.write("schemas/sources/t.toml", &contract.replace("rejected_share = 0.01", "rejected_share = 0.2"));
    scratch.write("in/t-2.csv", &format!(
        "{header}{}1,1970-01-01T00:00:00Z,,,\n2,2124-01-01T00:00:00Z,,,\n3,,2124-01-01T00:00:00Z,1900-01-01,\n4,,1970-01-01T00:00:00Z,,\n5,,,,2124-01-01\n",
        rows(200)
    ));
    let said = scratch.run(&["run", "--select", "+stg_t"]).exits(0);
    assert!(said.stderr.contains("t            2       67        61            4"), "{}", said.stderr);
    assert_eq!(
        scratch.rows("select line, reason, column_name from dq_quarantine order by line"),
        ["32,E_RANGE,created_at", "33,E_FUTURE,created_at", "35,E_RANGE,due_at", "36,E_FUTURE,day"]
    );
}

#[test]
fn times_that_the_file_has_are_believed_or_asked_about() {
    let told = |name: &str, times: &[&str]| {
        let rows = times.iter().enumerate().map(|(n, time)| format!("{n},{time}\n")).collect::<String>();
        let found = inferred("a.csv", format!("n,{name}\n{rows}"));
        (declared(&found, name).to_owned(), found.questions.join("; "))
    };
    // What reaches far back is history.
    let (line, _) = told("day", &["1962-01-02", "2024-01-02"]);
    assert_eq!(line, "\"date\"");
    let (line, _) = told("day", &["1995-01-02", "2004-01-02"]);
    assert_eq!(line, "{ type = \"date\", min = \"1971-01-01\", not_future = \"1d\" }");
    let (line, _) = told("day", &["2000-06-01", "2000-06-02"]);
    assert_eq!(line, "{ type = \"date\", min = \"1971-01-01\", not_future = \"1d\" }");
    // What is there already is taken in, and asked about.
    let (line, asked) = told("created_at", &["2024-01-02T00:00:00Z", "1970-01-01T00:00:00Z", "2024-01-03T00:00:00Z"]);
    assert_eq!(line, "\"timestamp\"");
    assert!(
        asked.contains("`1970-01-01T00:00:00Z` on line 3 is a time that programs write where they know none"),
        "{asked}"
    );
    let (line, asked) = told("created_at", &["2024-01-02T00:00:00Z", "2124-01-01T00:00:00Z"]);
    assert_eq!(line, "\"timestamp\"");
    assert!(!asked.contains("not_future"), "what spans a lifetime is no feed: {asked}");
    let (line, asked) = told("created_at", &["2098-01-02T00:00:00Z", "2099-01-01T00:00:00Z"]);
    assert_eq!(line, "{ type = \"timestamp\", min = \"2000-01-01T00:00:00Z\" }");
    assert!(asked.contains("`2099-01-01T00:00:00Z` lies after"), "{asked}");
    // Where the future is usual nothing is asked.
    let (line, asked) = told("valid_to", &["2024-01-02", "9999-12-31"]);
    assert_eq!(line, "{ type = \"date\", min = \"2000-01-01\" }");
    assert!(!asked.contains("9999"), "{asked}");
}

#[test]
fn whoever_wants_no_words_is_told_how_many_questions_there_are() {
    let scratch = scratch();
    scratch.write("in/a.csv", "x,at\n1,03/04/2024\n1,05/06/2024\n");
    let said = scratch.run(&["new", "source", "t", "--from", "in/a.csv", "--quiet"]).exits(0);
    assert_eq!(said.stderr, "schemas/sources/t.toml: 2 questions to be decided by you\n");
    let said = scratch.run(&["new", "source", "u", "--from", "in/a.csv", "--quiet", "--output", "json"]).exits(0);
    assert_eq!(said.stderr, "schemas/sources/u.toml: 2 questions to be decided by you\n");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&said.stdout).unwrap()["questions"].as_array().unwrap().len(),
        2
    );
}

#[test]
fn a_file_may_have_as_many_columns_as_a_contract() {
    let wide = |columns: usize| {
        let row = |part: &dyn Fn(usize) -> String| (0..columns).map(part).collect::<Vec<_>>().join(",");
        format!("{}\n{}\n{}\n", row(&|n| format!("prop_{n}")), row(&|n| n.to_string()), row(&|n| (n + 1).to_string()))
    };
    let found = inferred("wide.csv", wide(3000));
    assert_eq!((found.columns.len(), declared(&found, "prop_2999")), (3000, "\"int64\""));
    // The loader reads no larger file, so the evidence of the last columns is left out.
    let found = inferred("wide.csv", wide(12_000));
    assert!(
        found.contract.len() < 1 << 20 && says(&found, "from here on without evidence"),
        "{}",
        found.contract.len()
    );
    let scratch =
        Scratch::with(&[("opsmart.toml", "[limits]\ncolumns = 100\n"), ("a.csv", &wide(101)), ("b.csv", &wide(100))]);
    let said = scratch.run(&["new", "source", "t", "--from", "a.csv"]).exits(1);
    assert!(said.stderr.contains("100 columns"), "{}", said.stderr);
    let _ = scratch.run(&["new", "source", "t", "--from", "b.csv"]).exits(0);
}

#[test]
fn the_test_of_a_new_source_holds_for_every_type_in_its_contract() {
    let scratch = scratch();
    scratch.write("in/t-1.csv", "call_id,at,amount,open,day,name\n1,2024-01-02T10:00:00Z,1.50,true,2024-01-02,a\n2,2024-01-03T10:00:00Z,2.25,false,2024-01-03,b\n");
    let _ = scratch.run(&["new", "source", "calls", "--from", "in/t-1.csv"]).exits(0);
    let _ = scratch.run(&["new", "model", "fct_call", "--from", "stg_calls"]).exits(0);
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/calls.toml")).unwrap();
    let (head, columns) = contract.split_once("[columns]\n").unwrap();
    let names = columns
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with('#'));
    let names = names.collect::<Vec<_>>();
    assert_eq!(names.len(), 6);
    for kind in ["string", "int64", "float64", "decimal(9,2)", "boolean", "date", "timestamp"] {
        let head = head.replace("keep = ", "# keep = ");
        let columns = names.iter().fold(String::new(), |mut text, name| {
            // Nobody says of an identifier that it is a time.
            let kind = if *name != "call_id" {
                kind
            } else if matches!(kind, "date" | "timestamp" | "boolean") {
                "string"
            } else {
                kind
            };
            writeln!(text, "{name} = \"{kind}{}\"", if *name == "call_id" { "!" } else { "" }).unwrap();
            text
        });
        scratch.write("schemas/sources/calls.toml", &format!("{head}[columns]\n{columns}"));
        let said = scratch.run(&["test"]).exits(0);
        assert!(
            said.stdout.contains("2 passed") || said.stderr.contains("2 passed"),
            "{kind}: {} {}",
            said.stdout,
            said.stderr
        );
    }
}

/// A column as files of one kind have it: what comes in row `n`, told by dice.
#[derive(Debug, Clone, Copy)]
enum Column {
    Whole(u32),
    Decimal(u32, u32),
    Measured,
    Day,
    Instant,
    Formatted(&'static str),
    Answer,
    Word(u64),
    Text,
    Code,
}

impl Column {
    fn text(self, dice: u64) -> String {
        let below = |most: u64| dice % most;
        let instant =
            || chrono::DateTime::from_timestamp(1_500_000_000 + i64::try_from(below(200_000_000)).unwrap(), 0).unwrap();
        match self {
            // Of any length up to so many digits.
            Self::Whole(digits) => below(10_u64.pow(1 + u32::try_from(dice >> 32).unwrap() % digits)).to_string(),
            Self::Decimal(whole, fraction) => {
                let digits = 1 + usize::try_from(dice >> 40).unwrap() % usize::try_from(fraction).unwrap();
                let part = format!("{:0width$}1", dice >> 20, width = digits);
                format!(
                    "{}.{}",
                    below(10_u64.pow(1 + u32::try_from(dice >> 32).unwrap() % whole)),
                    &part[part.len() - digits..]
                )
            }
            Self::Measured => format!("{}", f64::from(u32::try_from(dice >> 32).unwrap()) / 7.0e6),
            Self::Day => instant().date_naive().to_string(),
            Self::Instant => instant().to_rfc3339(),
            Self::Formatted(format) => instant().format(format).to_string(),
            Self::Answer => if below(2) == 0 { "yes" } else { "no" }.to_owned(),
            // The first few are usual.
            Self::Word(most) => format!("word {}", below(most * most).isqrt()),
            Self::Text => "é, word \"and\" more ".repeat(usize::try_from(below(40)).unwrap()).trim().to_owned() + "!",
            Self::Code => format!("{:05}", below(100_000)),
        }
    }
}

fn column_like_others() -> impl Strategy<Value = (Column, u64)> {
    let kind = prop_oneof![
        (1_u32..15).prop_map(Column::Whole),
        (1_u32..9, 1_u32..8).prop_map(|(whole, fraction)| Column::Decimal(whole, fraction)),
        Just(Column::Measured),
        Just(Column::Day),
        Just(Column::Instant),
        select(vec!["%d.%m.%Y %H:%M", "%Y/%m/%d", "%d %b %Y", "%Y-%m-%d %H:%M:%S"]).prop_map(Column::Formatted),
        Just(Column::Answer),
        (2_u64..40).prop_map(Column::Word),
        Just(Column::Text),
        Just(Column::Code),
    ];
    // One in so many records has no value; zero for none.
    (kind, select(vec![0_u64, 3, 50, 300]))
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
    fn texts_of_codes_stay_apart(
        name in select(vec!["x", "version", "user_id", "zip", "amount", "code", "at"]),
        texts in prop::collection::btree_set(
            "0?[0-9]{1,3}(\\.[0-9]{1,3}){0,2}|[0-9]{1,2}[eE][0-9]|[+-]?[0-9]{1,20}|0x[0-9a-f]{1,3}|\\.[0-9]|[0-9]{17}\\.[0-9]{3}",
            2..12,
        ),
        is_json: bool,
    ) {
        let texts = texts.iter().map(String::as_str).collect::<Vec<_>>();
        let file = of_texts(name, &texts, is_json);
        let (found, read) = read_by_contract_of(if is_json { "a.ndjson" } else { "a.csv" }, &file, &file, 0);
        let values: BTreeSet<&String> = read.values.iter().collect();
        prop_assert_eq!(values.len(), texts.len(), "{:?} {:?}\n{}", texts, read.values, found.contract);
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_contract_of_twenty_records_takes_in_the_next_thousands(
        columns in prop::collection::vec(column_like_others(), 1..6),
        seed: u64,
    ) {
        let dice = |row: u64, column: u64| xxhash(seed, row, column);
        let line = |row: u64| {
            let fields = columns.iter().zip(0..).map(|((column, gaps), at)| {
                let has_none = *gaps > 0 && dice(row, at + 100) % gaps == 0;
                let text = if has_none { String::new() } else { column.text(dice(row, at)) };
                format!("\"{}\"", text.replace('"', "\"\""))
            });
            format!("{row},{}\n", fields.collect::<Vec<_>>().join(","))
        };
        let header = (0..columns.len()).map(|at| format!("c{at}")).collect::<Vec<_>>().join(",");
        let file = |rows: std::ops::Range<u64>| format!("row,{header}\n{}", rows.map(line).collect::<String>());
        let (found, read) = read_by_contract_of("a.csv", &file(0..20), &file(0..2000), 0);
        prop_assert_eq!(read.aside, Vec::<String>::new(), "{}", found.contract);
        prop_assert_eq!(read.values.len(), 2000);
    }
}

/// Dice that fall the same in every run of a test.
fn xxhash(seed: u64, row: u64, column: u64) -> u64 {
    let mut value = seed ^ row.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ column.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    for _ in 0..2 {
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^= value >> 31;
    }
    value
}

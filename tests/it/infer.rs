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
    let input = FileInput { contract, limits, captures: &[], compression, landed_at: None };
    let mut aside = Aside::default();
    let outcome = read_file(&input, std::fs::File::open(path).unwrap(), &mut aside).unwrap();
    let ledger = outcome.ledger;
    let told = (inferred.records, inferred.broken);
    assert_eq!((ledger.accepted, ledger.quarantined), told, "{:?}\n{}", aside.0, inferred.contract);
    let count = |count: u64| f64::from(u32::try_from(count).unwrap());
    let allowed = (count(ledger.accepted + ledger.quarantined) * contract.rejected_share).floor();
    assert!(count(ledger.quarantined) <= allowed, "{}", inferred.contract);
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
        ["1 of 20 null (`?` 1)", "could be times", "widest `1000.10`", "no int64 because of `100.01` on line 2"]
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
        "created_at,size,made_at_ms,late\n1700000000,1700000000,1700000000000,1700000000000\n1700000001,1700000001,1700000000001,1700000000001\n",
    );
    assert_eq!(declared(&found, "created_at"), r#"{ type = "timestamp!", format = "epoch" }"#);
    assert_eq!(declared(&found, "size"), "\"int64!\"");
    assert_eq!(declared(&found, "made_at_ms"), r#"{ type = "timestamp!", format = "epoch" }"#);
    assert_eq!(declared(&found, "late"), "\"int64!\"");
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
    assert_eq!(declared(&found, "user_id"), r#"{ type = "int64!", aliases = ["userId"] }"#);
    assert_eq!(declared(&found, "f149"), "\"boolean\"");
    assert_eq!(declared(&found, "tags"), "\"string!\"");
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
    assert_eq!(declared(&found, "a_2"), r##"{ type = "int64", aliases = ["a#2"] }"##);
    assert_eq!(declared(&found, "a_3"), r#"{ type = "int64!", aliases = ["A"] }"#);
    assert!(
        says(&found, "The header has `a` more than once: `a#2` is the second field of that name"),
        "{}",
        found.contract
    );
    // A header that has such a name itself, or several fields without one, is held against that of this file.
    let found = inferred("a.csv", "a,a,a#2,\n1,2,3,\n2,3,4,\n");
    assert!(
        found.contract.contains(r##"header = ["a", "a", "a#2", ""], columns = ["a", "a_2", "a#2", "column_4"] }"##),
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
    assert_eq!(declared(&found, "name_2"), r##"{ type = "string", aliases = ["name#2"] }"##);
    // Names of fields that hold nothing may be alike: such fields are passed over.
    let found = inferred("a.csv", "id,name,,\n1,Lin,,\n2,Wu,,\n");
    assert!(found.contract.contains("header = true }") && found.columns.len() == 2, "{}", found.contract);
}

#[test]
fn records_that_cannot_be_read_are_counted_and_allowed_for() {
    let found = inferred("a.csv", "a,b\n1,\"2, 3\"\n3\n4,5\n6,7\n8,\"9\"x\n");
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
        ("header.csv", b"id,name\n", 1, "has no records"),
        ("blank.csv", b"\n \n\n", 1, "is empty"),
        ("utf16.csv", b"\xff\xfea\0,\0b\0\n\0", 1, "has no records"),
        ("unmarked.csv", b"a\0,\0b\0\n\0", 1, "has no records"),
        ("utf32.csv", b"\xff\xfe\0\0a\0\0\0", 1, "UTF-32"),
        ("binary.csv", b"\x7fELF\0\0\0\x01\x02\x03\n\0\0", 1, "zero bytes"),
        ("garbage.csv.gz", b"\x01\x02id,name\n1,Lin\n2,Chen\n", 1, "damaged"),
        ("cut.csv.gz", gzip, 1, "gzip stream"),
        ("packed.csv", gzip, 1, "gzip stream"),
        ("sheet.csv", b"PK\x03\x04", 1, "looks like a ZIP archive"),
        ("array.json", b"[{\"a\":1}]", 1, "one object a line"),
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
    let key = "what tells two rows apart";
    for Walk { file, bytes, declared, asked, rows } in walks {
        let scratch = Scratch::with(&[("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"in\"\n")]);
        scratch.write(&format!("in/t/{file}"), "");
        std::fs::write(scratch.path(&format!("in/t/{file}")), bytes).unwrap();
        let from = format!("in/t/{file}");
        let said = scratch.run(&["new", "source", "t", "--from", &from, "--output", "json", "--quiet"]).exits(0);
        let told: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        let questions: Vec<&str> =
            told["questions"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        let questions: Vec<&str> = questions.into_iter().filter(|it| !it.starts_with(key)).collect();
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
                r#"groesse = { type = "decimal(9,2)!", aliases = ["Größe"], normalise = ["decimal_comma"] }"#,
                r#"betrag = { type = "int64!", aliases = ["Betrag"], normalise = ["decimal_comma"] }"#,
                "`1.200` is taken to be",
            ],
            &[],
            &["kunde,groesse,betrag", "Müller,12.50,1200", "José,7.25,10000"],
        ),
        // The delimiter says so as well, but has it confirmed.
        walk(
            "semicolons.csv",
            "id;n\n1;1.200\n2;10.000\n",
            &[r#"n = { type = "int64!", normalise = ["decimal_comma"] }"#],
            &["`n`: `1.200` may be 1200 or 1.2, and every value may be read in both ways; taken for 1200 because `;`"],
            &["id,n", "1,1200", "2,10000"],
        ),
        // Nothing says which it is.
        walk(
            "unclear.csv",
            "id,n\n1,1.200\n2,10.000\n",
            &["#   { type = \"int64!\", normalise = [\"decimal_comma\"] }\n#   \"decimal(9,3)!\"\nn = \"string!\"\n"],
            &[
                "`n`: `1.200` may be 1200 or 1.2, and every value may be read in both ways; it stays text until you choose",
            ],
            &["id,n", "1,1.200", "2,10.000"],
        ),
        // A fraction beside them says that points are points.
        walk(
            "points.csv",
            "id,n,x\n1,1.200,0.5\n2,10.000,3.25\n",
            &[r#"n = "decimal(9,3)!""#, "`1.200` is taken to be written like `0.5` of `x`"],
            &[],
            &["id,n,x", "1,1.200,0.50", "2,10.000,3.25"],
        ),
        // A number below one has no thousands.
        walk(
            "below.csv",
            "id,n\n1,0.120\n2,10.000\n",
            &[r#"n = "decimal(9,3)!""#],
            &[],
            &["id,n", "1,0.120", "2,10.000"],
        ),
        walk(
            "english.csv",
            "id,n\n1,\"1,200\"\n2,\"2,500,000\"\n",
            &[r#"n = { type = "int64!", normalise = ["amount"] }"#],
            &[],
            &["id,n", "1,1200", "2,2500000"],
        ),
        walk(
            "quoted.csv",
            "id,n\n1,\"1,200\"\n2,\"2,500\"\n",
            &[r#"n = "string!""#, r#"#   { type = "decimal(9,3)!", normalise = ["decimal_comma"] }"#],
            &["`n`: `1,200` may be 1200 or 1.2"],
            &["id,n", "1,\"1,200\"", "2,\"2,500\""],
        ),
        walk(
            "money.csv",
            "id,price,cost,mixed\n1,\"$1,234.50\",12,$1.50\n2,($3.00),-,€2.50\n",
            &[r#"price = { type = "decimal(9,2)!", normalise = ["amount"] }"#, "mixed = \"string!\""],
            &["`mixed`: amounts in `$` and `€`"],
            &["id,price,cost,mixed", "1,1234.50,12,$1.50", "2,-3.00,,€2.50"],
        ),
        walk(
            "euros.csv",
            "id;preis\n1;1.234,50 €\n2;n/a\n3;7,00 €\n",
            &[r#"preis = { type = "decimal(9,2)", normalise = ["decimal_comma"], null = ["", "n/a"] }"#, "1 of 3 null"],
            &[],
            &["id,preis", "1,1234.50", "2,", "3,7.00"],
        ),
        walk(
            "swiss.csv",
            "id;betrag\n1;1'200.50\n2;12.00\n",
            &[r#"betrag = { type = "decimal(9,2)!", normalise = ["amount"] }"#],
            &[],
            &["id,betrag", "1,1200.50", "2,12.00"],
        ),
        walk(
            "french.csv",
            "id;montant\n1;1\u{202f}200,50\n2;12,00\n",
            &[r#"montant = { type = "decimal(9,2)!", normalise = ["decimal_comma"] }"#],
            &[],
            &["id,montant", "1,1200.50", "2,12.00"],
        ),
        walk("exponents.csv", "id,x\n1,1.5e3\n2,2E-4\n", &["x = \"float64!\""], &[], &["id,x", "1,1500.0", "2,0.0002"]),
        walk(
            "large.csv",
            "id,n\n9007199254740993,18446744073709551615\n9007199254740995,1\n",
            &["id = \"int64!\"", "n = \"string!\"", "whole numbers beyond 64 bits"],
            &[],
            &["id,n", "9007199254740993,18446744073709551615", "9007199254740995,1"],
        ),
        walk(
            "codes.csv",
            "zip,address,phone\n01234,192.168.100.101,030 123 456\n98765,192.168.100.102,+49 30 123456\n",
            &["zip = \"string!\"", "address = \"string!\"", "phone = \"string!\"", "`normalise = [\"phone\"]`"],
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
            &["column_2 = { type = \"string!\", aliases = [\"客户\"], zh = \"客户\" }"],
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
            &["text = \"string!\""],
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
            &["via = \"string!\"", "ts = { type = \"timestamp!\", format = \"epoch\" }"],
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
                "1,13/04/2024,10.50",
                "2,05/16/2024,12.25",
                "3,14/04/2024,",
                "4,15/04/2024,1.00",
                "sum,,23.75",
            ],
        ),
        walk(
            "words.csv",
            "id,state\n1,启用\n2,停用\n",
            &["state = \"string!\"", "`{ type = \"boolean\", normalise = [\"words\"] }` reads them too"],
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

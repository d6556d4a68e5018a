//! How landed files are written, as contracts are read off them: what a run takes in by such a contract is what the file
//! says, and what no contract can say is asked or refused, never changed on the way.

use std::io::Write as _;

use crate::scratch::Scratch;

fn project(zone: &str) -> Scratch {
    Scratch::with(&[("opsmart.toml", &format!("reporting_zone = \"{zone}\"\n[paths]\nlanding = \"in\"\n"))])
}

fn land(scratch: &Scratch, file: &str, bytes: impl AsRef<[u8]>) {
    let path = scratch.path(&format!("in/{file}"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Lands a file and has a contract read off it; returns the contract and the questions.
#[track_caller]
fn propose(scratch: &Scratch, name: &str, file: &str, bytes: impl AsRef<[u8]>) -> (String, Vec<String>) {
    land(scratch, file, bytes);
    let from = format!("in/{file}");
    let said = scratch.run(&["new", "source", name, "--from", &from, "--output", "json", "--quiet"]).exits(0);
    let told: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let questions = told["questions"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned());
    let questions =
        questions.filter(|it| !it.starts_with("what tells two rows apart") && !it.starts_with("records with a time"));
    let questions = questions.collect();
    (contract(scratch, name), questions)
}

fn contract(scratch: &Scratch, name: &str) -> String {
    std::fs::read_to_string(scratch.path(&format!("schemas/sources/{name}.toml"))).unwrap()
}

#[track_caller]
fn run(scratch: &Scratch, name: &str) -> String {
    scratch.run(&["run", "--select", &format!("+stg_{name}")]).exits(0).stderr
}

/// Returns the rows of a table as CSV, with a header.
#[track_caller]
fn shown(scratch: &Scratch, name: &str) -> Vec<String> {
    let said = scratch.run(&["show", "--format", "csv", "--limit", "0", name]).exits(0);
    said.stdout.lines().map(str::to_owned).collect()
}

/// Has a contract read off a file, runs, and compares all rows; nothing may be set aside.
#[track_caller]
fn reads(file: &str, bytes: impl AsRef<[u8]>, declared: &[&str], rows: &[&str]) {
    let scratch = project("UTC");
    let (contract, _) = propose(&scratch, "t", file, bytes);
    for line in declared {
        assert!(contract.contains(line), "{file}: no `{line}` in\n{contract}");
    }
    run(&scratch, "t");
    assert_eq!(shown(&scratch, "t"), rows, "{file}\n{contract}");
    assert_eq!(scratch.rows("select sum(quarantined) from dq_ledger"), ["0"], "{file}\n{contract}");
}

#[test]
fn a_zone_behind_a_time_is_read_and_not_taken_for_letters() {
    let scratch = project("Asia/Shanghai");
    for (name, first, second, format) in [
        ("bigquery", "2024-03-01 15:30:00 UTC", "2024-03-01 20:30:00 UTC", "%Y-%m-%d %H:%M:%S UTC"),
        ("compact", "20240301T153000Z", "20240301T203000Z", "%Y%m%dT%H%M%SZ"),
        ("small", "20240301T153000z", "20240301T203000z", "%Y%m%dT%H%M%Sz"),
        ("gmt", "31.01.2024 15:30 GMT", "31.01.2024 20:30 GMT", "%d.%m.%Y %H:%M GMT"),
        ("twelve", "01/31/2024 03:30:00 PM UTC", "01/31/2024 08:30:00 PM UTC", "%m/%d/%Y %I:%M:%S %p UTC"),
        ("brackets", "2024-03-01 15:30:00 (UTC)", "2024-03-01 20:30:00 (UTC)", "%Y-%m-%d %H:%M:%S (UTC)"),
        ("plus", "2024-03-01 23:30 UTC+8", "2024-03-02 04:30 UTC+8", "%Y-%m-%d %H:%M %Z"),
        (
            "java",
            "2024-03-01T16:30:00+01:00[Europe/Berlin]",
            "2024-03-01T21:30:00+01:00[Europe/Berlin]",
            "%Y-%m-%dT%H:%M:%S%z[%Z]",
        ),
        ("unix", "Fri Mar 01 15:30:00 UTC 2024", "Fri Mar 01 20:30:00 UTC 2024", "%a %b %d %H:%M:%S UTC %Y"),
    ] {
        let file = format!("id,started_at\n1,{first}\n2,{second}\n");
        let (contract, questions) = propose(&scratch, name, &format!("{name}/{name}.csv"), file);
        let declared = format!("started_at = {{ type = \"timestamp\", format = \"{format}\", min = ");
        assert!(contract.contains(&declared), "{name}: no `{declared}` in\n{contract}");
        assert_eq!(questions, [""; 0], "{name}");
        assert!(!contract.contains("parse_zone"), "{name}\n{contract}");
        run(&scratch, name);
        let day = if matches!(name, "gmt" | "twelve") { "2024-01-31" } else { "2024-03-01" };
        let rows = [format!("1,{day}T15:30:00Z"), format!("2,{day}T20:30:00Z")];
        assert_eq!(shown(&scratch, name)[1..], rows, "{name}\n{contract}");
    }
    let days =
        "select local_day(started_at, 'Asia/Shanghai') as day, count(*) as n from bigquery group by 1 order by 1";
    assert_eq!(scratch.rows(days), ["2024-03-01,1", "2024-03-02,1"]);
}

#[test]
fn an_abbreviation_of_several_zones_is_asked_about() {
    for (zone, name) in
        [("Asia/Shanghai", "CST"), ("America/New_York", "EST"), ("UTC", "MSK"), ("Europe/Berlin", "CEST")]
    {
        let scratch = project(zone);
        let file = format!("id,at\n1,2024-03-01 10:30:00 {name}\n2,2024-03-01 11:30:00 {name}\n");
        let (contract, questions) = propose(&scratch, "t", "t.csv", file);
        assert!(contract.contains("at = \"string\""), "{contract}");
        let [question] = questions.as_slice() else { panic!("{questions:?}") };
        assert!(
            question.contains(&format!("`at`: `{name}` may be of several zones"))
                && question.contains("`%Y-%m-%d %H:%M:%S %Z`"),
            "{question}"
        );
    }
    // Once somebody has said whose clocks they are, they are read, and those of others are not.
    let scratch = project("Asia/Shanghai");
    let file = "id,at\n1,2024-03-01 10:30:00 CST\n2,2024-07-01 10:30:00 CDT\n3,2024-07-01 10:30:00 PDT\n4,2024-03-01 16:30:00 UTC\n";
    let (contract, _) = propose(&scratch, "t", "t.csv", file);
    let contract = contract
        .replace("at = \"string\"", "at = { type = \"timestamp!\", format = \"%Y-%m-%d %H:%M:%S %Z\" }")
        .replace("rejected_share = 0.01", "rejected_share = 0.5\nparse_zone = \"America/Chicago\"");
    scratch.write("schemas/sources/t.toml", &contract);
    run(&scratch, "t");
    assert_eq!(
        shown(&scratch, "t"),
        ["id,at", "1,2024-03-01T16:30:00Z", "2,2024-07-01T15:30:00Z", "4,2024-03-01T16:30:00Z"]
    );
    let aside = scratch.rows("select reason, message from dq_quarantine");
    assert!(aside.len() == 1 && aside[0].starts_with("E_TYPE") && aside[0].contains("America/Chicago"), "{aside:?}");
}

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text.as_ref()).unwrap();
    packer.finish().unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn json_is_never_proposed_as_csv() {
    let objects = (1..=6).map(|n| format!("{{\"id\": {n}, \"status\": \"open\"}}")).collect::<Vec<_>>();
    let lines = objects.join("\n") + "\n";
    let commas = objects.join(",\n") + ",\n";
    let pretty = "{\n  \"id\": 1,\n  \"status\": \"open\"\n}\n{\n  \"id\": 2,\n  \"status\": \"new\"\n}\n";
    let array = format!("[\n{}\n]\n", objects.join(",\n"));
    for (file, bytes, words, help) in [
        ("pretty.ndjson", pretty.as_bytes().to_vec(), "not one object a line", "jq -c ."),
        ("pretty.txt", pretty.as_bytes().to_vec(), "not one object a line", "jq -c ."),
        ("pretty.csv.gz", gzip(pretty), "not one object a line", "jq -c ."),
        ("commas.ndjson", commas.as_bytes().to_vec(), "a comma behind its objects", "sed"),
        ("commas.txt", commas.as_bytes().to_vec(), "a comma behind its objects", "sed"),
        ("comment.jsonl", format!("# export\n{lines}").into_bytes(), "no JSON: `# export`", "grep '^{'"),
        (
            "rows.ndjson",
            b"[1,\"open\"]\n[2,\"new\"]\n[3,\"new\"]\n".to_vec(),
            "an array on each line",
            "jq -c '{id: .[0]",
        ),
        ("array.json", array.as_bytes().to_vec(), "one JSON document", "jq -c '.[]'"),
        ("array.csv", array.as_bytes().to_vec(), "one JSON document", "jq -c '.[]'"),
        (
            "marked.json",
            format!("\u{feff}\r\n\r\n{}", array.replace('\n', "\r\n")).into_bytes(),
            "one JSON document",
            ".[]",
        ),
        ("wide.json", utf16(&array), "one JSON document", "jq -c '.[]'"),
        (
            "large.json",
            format!("[\n{}{{}}]", "{\"id\": 1, \"status\": \"open\"},\n".repeat(50_000)).into_bytes(),
            "one JSON document",
            "jq -c '.[]'",
        ),
        ("matrix.json", b"[[1,\"a\"],[2,\"b\"]]".to_vec(), "one JSON document", "jq -c '.[] | {"),
        ("python.json", b"{'id': 1}\n{'id': 2}\n".to_vec(), "`{'id': 1}` is none", "if it is CSV"),
        ("named.json", b"id,status\n1,open\n".to_vec(), "is called like JSON", "if it is CSV"),
        ("named.ndjson.gz", gzip("id,status\n1,open\n"), "is called like JSON", "if it is CSV"),
    ] {
        let scratch = project("UTC");
        land(&scratch, file, bytes);
        let said = scratch.run(&["new", "source", "t", "--from", &format!("in/{file}")]).exits(1);
        assert!(said.stderr.contains(words) && said.stderr.contains(help), "{file}: {}", said.stderr);
        assert!(!scratch.path("schemas").exists(), "{file}");
    }
    for (file, bytes, accepted, aside) in [
        ("a.ndjson", lines.clone().into_bytes(), 6, 0),
        ("a.csv", lines.clone().into_bytes(), 6, 0),
        ("marked.jsonl", format!("\u{feff}\n\r\n{}", lines.replace('\n', "\r\n")).into_bytes(), 6, 0),
        ("wide.jsonl", utf16(&lines), 6, 0),
        ("packed.jsonl.gz", gzip(&lines), 6, 0),
        ("first.ndjson", lines.replacen("{\"id\": 1,", "{\"id\": 1", 1).into_bytes(), 5, 1),
        ("middle.ndjson", lines.replacen("\"open\"}\n{\"id\": 4", "\"open\"\n{\"id\": 4", 1).into_bytes(), 5, 1),
        ("single.ndjson", b"{\"id\": 1}\n{\"id\": 2\n".to_vec(), 1, 1),
    ] {
        let scratch = project("UTC");
        let (contract, questions) = propose(&scratch, "t", file, bytes);
        assert!(contract.contains("type = \"ndjson\""), "{file}\n{contract}");
        let told = questions.iter().filter(|it| it.contains("cannot be read")).count();
        assert_eq!(told, usize::from(aside > 0), "{file}: {questions:?}");
        run(&scratch, "t");
        let rows = scratch.rows("select accepted, quarantined from dq_ledger");
        assert_eq!(rows, [format!("{accepted},{aside}")], "{file}\n{contract}");
    }
}

#[test]
fn quotes_and_escapes_are_those_that_read_every_record() {
    reads(
        "spark.csv",
        "id,note,n\n1,\"he said \\\"no\\\"\",5\n2,plain,6\n3,\"a, b\",7\n4,\"say \\\"hi\\\", ok\",8\n",
        &["quote = '\"', escape = '\\'", "rejected_share = 0.01"],
        &["id,note,n", "1,\"he said \"\"no\"\"\",5", "2,plain,6", "3,\"a, b\",7", "4,\"say \"\"hi\"\", ok\",8"],
    );
    reads(
        "titles.tsv",
        "id\ttitle\n1\t\"Heroes\"_(album)\n2\tPlain\n3\t\"\n4\t\"A\"_and_\"B\"\n5\tOther_5\n",
        &["quote = \"\"", "rejected_share = 0.01"],
        &[
            "id,title",
            "1,\"\"\"Heroes\"\"_(album)\"",
            "2,Plain",
            "3,\"\"\"\"",
            "4,\"\"\"A\"\"_and_\"\"B\"\"\"",
            "5,Other_5",
        ],
    );
    reads(
        "outfile.txt",
        "1\ta\\\tb\t1\n2\tplain\t\\N\n3\tc\\\\c\t3\n4\tplain\t4\n",
        &["delimiter = '\\t', quote = \"\", escape = '\\', header = false"],
        &["column_1,column_2,column_3", "1,a\tb,1", "2,plain,", "3,c\\c,3", "4,plain,4"],
    );
    reads(
        "apostrophes.csv",
        "'id','note'\n'1','it''s'\n'2','a, b'\n",
        &["quote = \"'\""],
        &["id,note", "1,it's", "2,\"a, b\""],
    );
    reads(
        "spaced.csv",
        "id, note, n\n1, \"x, y\", 2\n2, \"z\" , 3\n",
        &["trim = true"],
        &["id,note,n", "1,\"x, y\",2", "2,z,3"],
    );
    for (delimiter, written) in [("~", "\"~\""), ("^", "\"^\""), ("\u{1}", "\"\\u0001\""), ("\u{1f}", "\"\\u001F\"")] {
        let text = "id,note,n\n1,\"x y\",2\n2,z,3\n".replace(',', delimiter);
        let declared = format!("delimiter = {written}");
        reads("rare.txt", text, &[&declared], &["id,note,n", "1,x y,2", "2,z,3"]);
    }
    // Where nothing reads all of them, it says what could.
    let scratch = project("UTC");
    let (contract, questions) =
        propose(&scratch, "t", "t.csv", "id,note\n\"1\",\"x, y\"\n\"2\",\"y\"z, w\n\"3\",\"z\"\n\"4\",\"u\"\n");
    let question = questions.iter().find(|it| it.contains("cannot be read")).unwrap();
    assert!(
        question.starts_with("1 of 4 records cannot be read with this `format`: line 3: E_QUOTE")
            && question.contains("`quote")
            && question.contains("`rejected_share` is 0.25 so that this file passes all the same: should it?"),
        "{question}"
    );
    assert!(contract.contains("rejected_share = 0.25"), "{contract}");
}

/// Returns forty records of a number, a text in quotes with a comma in it, and a number, with others in the place of some.
fn with_lines(header: &str, others: &[(usize, &str)]) -> String {
    let lines = (1..=40).map(|n| {
        let other = others.iter().find(|(at, _)| *at == n).map(|(_, line)| (*line).to_owned());
        other.unwrap_or_else(|| format!("{n},\"word {n}, and more\",{}", n * 2)) + "\n"
    });
    header.to_owned() + "\n" + &lines.collect::<String>()
}

#[test]
fn a_quote_that_does_not_close_is_text_where_its_record_is_whole_then() {
    let others = [
        (4, "4,\"torn word,8"),
        (9, "9,\"he said \"no, never\" to me,18"),
        (15, "15,\"a \"b\" c\",30"),
        (22, "22,w,\"44"),
    ];
    let scratch = project("UTC");
    let (contract, questions) = propose(&scratch, "t", "t.csv", with_lines("id,note,n", &others));
    assert!(contract.contains("quote = '\"', header = true, stray_quotes = \"text\""), "{contract}");
    // What such a record holds does not make text of a number.
    assert!(contract.contains("id = \"int64!\"") && contract.contains("n = \"int64\""), "{contract}");
    let told = "a quote that does not close at the end of a field, as on line 5, is taken for text: is it?";
    assert!(questions.iter().any(|it| it == told), "{questions:?}");
    let told = "2 of 40 records cannot be read with this `format`";
    assert!(questions.iter().any(|it| it.starts_with(told) && it.contains("line 23")), "{questions:?}");
    run(&scratch, "t");
    let rows = scratch.rows("select id, note, n from t where id in (3, 4, 15) order by id");
    assert_eq!(rows, ["3,\"word 3, and more\",6", "4,\"\"\"torn word\",8", "15,\"a \"\"b\"\" c\",30"]);
    assert_eq!(scratch.rows("select accepted, quarantined from dq_ledger"), ["38,2"]);
    // Only where it reads more, and not because a text has quotes in its middle.
    let (contract, _) = propose(&scratch, "u", "u.csv", with_lines("id,note,n", &[(7, "7,5\" pipe,14")]));
    assert!(!contract.contains("stray_quotes"), "{contract}");
    // Of a text of several lines no part is taken for a record.
    let others = [(12, "12,x,\"first line\nand \"last\" line\"")];
    let (contract, _) = propose(&scratch, "v", "v.csv", with_lines("id,note,n", &others));
    assert!(!contract.contains("stray_quotes"), "{contract}");
}

#[test]
fn a_header_with_a_stray_quote_is_one() {
    for (header, names) in [
        ("\"id,note,n", ["\"id", "note", "n"]),
        ("id,\"note,\"n\"", ["id", "\"note", "n"]),
        ("id,note,\"n", ["id", "note", "\"n"]),
    ] {
        let scratch = project("UTC");
        let (contract, _) = propose(&scratch, "t", "t.csv", with_lines(header, &[]));
        assert!(contract.contains("header = true, stray_quotes = \"text\""), "{header}\n{contract}");
        let stray = names.iter().find(|name| name.starts_with('"')).unwrap();
        let declared = format!("{} = {{ type = \"", stray.trim_start_matches('"'));
        assert!(contract.contains(&declared) && contract.contains(&format!("aliases = ['{stray}']")), "{contract}");
        run(&scratch, "t");
        assert_eq!(scratch.rows("select id, note, n from t where id = 3"), ["3,\"word 3, and more\",6"], "{header}");
        assert_eq!(scratch.rows("select accepted, quarantined from dq_ledger"), ["40,0"], "{header}");
    }
}

#[test]
fn a_header_that_is_written_unlike_its_records_names_them() {
    let scratch = project("UTC");
    let (contract, questions) = propose(&scratch, "t", "t.csv", with_lines("id;note;n", &[]));
    assert!(contract.contains("skip = 1, columns = [\"id\", \"note\", \"n\"]"), "{contract}");
    let told = "something else stands between the 3 names of the header than between the fields, which are called so by \
                their place; the first line is passed over: is it so in every file?";
    assert!(questions.iter().any(|it| it == told), "{questions:?}");
    run(&scratch, "t");
    assert_eq!(scratch.rows("select id, note, n from t where id = 3"), ["3,\"word 3, and more\",6"]);
    // A line of as many words that are values is no header.
    let (contract, _) = propose(&scratch, "u", "u.csv", with_lines("0;word;0", &[]));
    assert!(!contract.contains("columns = ["), "{contract}");
}

#[test]
fn a_header_without_records_is_worth_a_contract() {
    let scratch = project("UTC");
    let (contract, questions) = propose(&scratch, "t", "t-01.csv", "id;note;n\n");
    assert!(contract.contains("delimiter = \";\"") && contract.contains("id = \"string\""), "{contract}");
    let told = "the file has a header and no records, so that every column is text: of which type is each?";
    assert!(questions.iter().any(|it| it == told), "{questions:?}");
    run(&scratch, "t");
    land(&scratch, "t-02.csv", "id;note;n\n1;x;2\n");
    run(&scratch, "t");
    assert_eq!(scratch.rows("select id, note, n from t"), ["1,x,2"]);
}

#[test]
fn a_quote_that_never_closes_costs_its_line_alone() {
    for lines in [5_000, 30_000] {
        let mut text = "1\t\"torn cheap flights\t/page/1/some/long/path/to/pass/a/mebibyte\t1\n".to_owned();
        for n in 2..=lines {
            text.push_str(&format!("{n}\tword {n}\t/page/{n}/some/long/path/to/pass/a/mebibyte\t{}\n", n % 7));
        }
        let scratch = project("UTC");
        let (contract, questions) = propose(&scratch, "t", "t.txt", text);
        assert!(contract.contains("delimiter = '\\t'"), "{contract}");
        assert_eq!(contract.lines().filter(|line| line.starts_with("column_")).count(), 4, "{contract}");
        let quote_is_text = contract.contains("quote = \"\"") || contract.contains("stray_quotes = \"text\"");
        let told = questions.iter().any(|it| it.starts_with("1 of") && it.contains("cannot be read"));
        assert!(told != quote_is_text, "{questions:?}");
        run(&scratch, "t");
        let rows = scratch.rows("select accepted + quarantined, quarantined from dq_ledger");
        assert_eq!(rows, [format!("{lines},{}", u8::from(!quote_is_text))]);
    }
}

#[test]
fn names_that_come_several_times_are_told_apart_in_every_export() {
    let scratch = project("UTC");
    let first = "Issue key,Summary,Labels,Labels,Sprint,Story Points\nOPS-1,Login,urgent,web,Sprint 4,3\nOPS-2,Slow,x,y,Sprint 4,\n";
    let (contract, questions) = propose(&scratch, "issues", "issues-1.csv", first);
    assert!(contract.contains("header = true }"), "{contract}");
    assert!(contract.contains("labels = { type = \"string\", aliases = [\"Labels\"] }"), "{contract}");
    assert!(contract.contains("labels_2 = { type = \"string\", aliases = [\"Labels#2\"] }"), "{contract}");
    assert_eq!(questions, [""; 0]);
    // One label less, and other columns between.
    land(&scratch, "issues-2.csv", "Issue key,Sprint,Labels,Summary,Story Points\nOPS-3,Sprint 5,docs,Typo,1\n");
    // One more.
    land(
        &scratch,
        "issues-3.csv",
        "Issue key,Summary,Labels,Labels,Labels,Sprint,Story Points\nOPS-4,Crash,a,b,c,Sprint 5,2\n",
    );
    let said = run(&scratch, "issues");
    assert!(said.contains("the contract does not know Labels#3"), "{said}");
    assert_eq!(
        scratch.rows("select issue_key, summary, labels, labels_2, sprint from issues order by 1"),
        [
            "OPS-1,Login,urgent,web,Sprint 4",
            "OPS-2,Slow,x,y,Sprint 4",
            "OPS-3,Typo,docs,,Sprint 5",
            "OPS-4,Crash,a,b,Sprint 5"
        ]
    );
    // What came once and now comes twice is no more one field: nothing is published, and it is said what to write.
    land(
        &scratch,
        "issues-4.csv",
        "Issue key,Summary,Labels,Sprint,Sprint,Story Points\nOPS-5,Late,urgent,Sprint 4,Sprint 5,3\n",
    );
    let said = scratch.run(&["run", "--select", "+stg_issues"]).exits(1);
    assert!(
        said.stderr.contains("`in/issues-4.csv` cannot be ingested: column `Sprint` stands twice in the header")
            && said.stderr.contains("`aliases = [\"Sprint#2\"]`"),
        "{}",
        said.stderr
    );
    let declared = contract + "sprint_2 = { type = \"string\", aliases = [\"Sprint#2\"] }\n";
    scratch.write("schemas/sources/issues.toml", &declared);
    run(&scratch, "issues");
    let sprints = scratch.rows("select labels, sprint, sprint_2 from issues where issue_key = 'OPS-5'");
    assert_eq!(sprints, ["urgent,Sprint 4,Sprint 5"]);
}

#[test]
fn a_header_that_is_passed_over_is_held_against_the_one_of_the_contract() {
    let scratch = project("UTC");
    let (contract, questions) = propose(&scratch, "t", "t-1.csv", "id;name\n1;Lin;\n2;Wu;\n");
    assert!(contract.contains("header = [\"id\", \"name\"], columns = [\"id\", \"name\", \"column_3\"]"), "{contract}");
    assert!(questions.len() == 1 && questions[0].contains("2 names for 3 fields"), "{questions:?}");
    run(&scratch, "t");
    land(&scratch, "t-2.csv", "name;id\nChen;3;\n");
    let said = scratch.run(&["run", "--select", "+stg_t"]).exits(1);
    assert!(
        said.stderr.contains(
            "`in/t-2.csv` cannot be ingested: the header is not the one that the contract was written for: \
                              expected `id` as name 1, found `name`"
        ),
        "{}",
        said.stderr
    );
    assert_eq!(shown(&scratch, "t"), ["id,name", "1,Lin", "2,Wu"]);
}

#[test]
fn a_header_that_comes_again_is_no_row() {
    let scratch = project("UTC");
    let (contract, questions) =
        propose(&scratch, "t", "t.csv", "id,name\n1,Lin\n2,Wu\nid,name\n3,Chen\n\u{feff}id,name\n4,Smith\n");
    assert!(contract.contains("repeated_header = \"skip\""), "{contract}");
    assert!(
        questions.len() == 1 && questions[0].contains("the header comes again further down, 2 times"),
        "{questions:?}"
    );
    assert!(contract.contains("id = \"int64!\""), "{contract}");
    run(&scratch, "t");
    assert_eq!(shown(&scratch, "t"), ["id,name", "1,Lin", "2,Wu", "3,Chen", "4,Smith"]);
    assert_eq!(scratch.rows("select accepted, quarantined, blank from dq_ledger"), ["4,0,3"]);
    // One field that reads like the header may be a value.
    let (contract, _) = propose(&scratch, "one", "one.csv", "name\nLin\nname\nWu\n");
    assert!(!contract.contains("repeated_header"), "{contract}");
}

#[test]
fn headers_above_each_other_are_one() {
    reads(
        "sales.csv",
        ",Q1,,Q2,\nregion,sales,cost,sales,cost\nNorth,1,2,3,4\nSouth,5,6,7,8\n",
        &["header_rows = 2, header = true", "q1_sales = { type = \"int64\", aliases = [\"Q1 sales\"] }"],
        &["region,q1_sales,q1_cost,q2_sales,q2_cost", "North,1,2.0000,3,4.0000", "South,5,6.0000,7,8.0000"],
    );
}

#[test]
fn an_empty_file_is_one_of_no_records() {
    let scratch = project("UTC");
    propose(&scratch, "k", "k-01.csv", "id,v\n1,2\n2,3\n");
    run(&scratch, "k");
    land(&scratch, "k-02.csv", "");
    let said = scratch.run(&["run", "--select", "+stg_k", "--quiet"]).exits(0).stderr;
    assert_eq!(said, "warning: k: in/k-02.csv is empty, without even a header: ingested with no records\n");
    land(&scratch, "k-03.csv", "\u{feff}");
    land(&scratch, "k-04.csv", "\n \r\n\n");
    land(&scratch, "k-05.csv", "\u{feff}\r\n");
    let said = run(&scratch, "k");
    assert!(said.contains("more are empty, without even a header: ingested with no records"), "{said}");
    assert_eq!(
        scratch.rows("select file, accepted, quarantined from dq_ledger order by 1"),
        ["in/k-01.csv,2,0", "in/k-02.csv,0,0", "in/k-03.csv,0,0", "in/k-04.csv,0,0", "in/k-05.csv,0,0"]
    );
    // The same file with something in it is another.
    land(&scratch, "k-02.csv", "id,v\n3,4\n");
    run(&scratch, "k");
    assert_eq!(scratch.rows("select count(*) from k"), ["3"]);
    // Packed.
    let packed = project("UTC");
    propose(&packed, "k", "k-01.csv.gz", gzip("id,v\n1,2\n2,3\n"));
    land(&packed, "k-02.csv.gz", gzip(""));
    land(&packed, "k-03.csv.gz", "");
    run(&packed, "k");
    assert_eq!(packed.rows("select count(*) from k"), ["2"]);
    // Lines that are to be passed over, and nothing behind them, may be the beginning of a file.
    let skipping = project("UTC");
    let (contract, _) = propose(&skipping, "k", "k-01.csv", "Report\nid,v\n1,2\n2,3\n");
    assert!(contract.contains("skip = 1"), "{contract}");
    land(&skipping, "k-02.csv", "Report\n");
    let said = skipping.run(&["run", "--select", "+stg_k"]).exits(1);
    assert!(said.stderr.contains("`in/k-02.csv` cannot be ingested: the file has no header"), "{}", said.stderr);
}

#[test]
fn forgetting_what_was_never_taken_in_says_what_helps() {
    let scratch = project("UTC");
    propose(&scratch, "k", "k-01.csv", "id,v\n1,2\n2,3\n");
    run(&scratch, "k");
    land(&scratch, "k-02.csv", "other,names\n3,4\n");
    let _ = scratch.run(&["run", "--select", "+stg_k"]).exits(1);
    let said = scratch.run(&["forget", "in/k-02.csv"]).exits(2);
    assert!(
        said.stderr.contains("`in/k-02.csv` was never ingested, so there is nothing to forget")
            && said.stderr.contains("move it out of the landing folder"),
        "{}",
        said.stderr
    );
    let said = scratch.run(&["forget", "in/k-03.csv"]).exits(2);
    assert!(
        said.stderr.contains("`in/k-03.csv` was never ingested") && !said.stderr.contains("move it"),
        "{}",
        said.stderr
    );
}

#[test]
fn what_follows_a_packed_stream_is_padding_or_damage() {
    let text = "id,v\n1,2\n2,3\n";
    for padding in [&b"\n"[..], b"\r\n", b"\0\0\0\0", &[0; 4096]] {
        let bytes = [gzip(text), padding.to_vec()].concat();
        reads("k.csv.gz", bytes, &[], &["id,v", "1,2", "2,3"]);
    }
    let scratch = project("UTC");
    propose(&scratch, "k", "k-1.csv.gz", gzip(text));
    let whole = gzip(text);
    for bytes in [[whole.clone(), b"3,4\n".to_vec()].concat(), whole[..whole.len() - 3].to_vec()] {
        land(&scratch, "k-2.csv.gz", bytes);
        let said = scratch.run(&["run", "--select", "+stg_k"]).exits(1);
        assert!(said.stderr.contains("`in/k-2.csv.gz` cannot be ingested: the gzip stream"), "{}", said.stderr);
    }
}

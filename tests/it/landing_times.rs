//! Times held against the landing of their file: those after it, and those long before it.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

use crate::scratch::Scratch;

const LATE: &str = "late = { by = \"at\", after = \"3 days\" }\n";

fn contract(head: &str) -> String {
    format!(
        r#"from = "{{landing}}/orders-*.csv"
format = {{ type = "csv" }}
key = ["id"]
rejected_share = 0.9
parse_zone = "Asia/Shanghai"
{head}[columns]
id = "int64!"
at = {{ type = "timestamp!", not_future = "1h" }}
day = {{ type = "date", not_future = true }}
amount = "decimal(10,2)"
"#
    )
}

/// Writes a file as if it had landed then.
fn land(scratch: &Scratch, path: &str, text: &str, at: &str) {
    scratch.write(path, text);
    touch(scratch, path, at);
}

fn touch(scratch: &Scratch, path: &str, at: &str) {
    let at: DateTime<Utc> = at.parse().unwrap();
    let since = Duration::from_secs(at.timestamp().unsigned_abs());
    let file = std::fs::File::options().append(true).open(scratch.path(path)).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + since).unwrap();
}

fn orders(head: &str) -> Scratch {
    let scratch = Scratch::orders();
    scratch.write("schemas/sources/orders.toml", &contract(head));
    // It landed at four in the morning of the 2nd, in Shanghai.
    let text = "id,at,day,amount
1,2024-03-01T20:00:00Z,2024-03-01,1
2,2024-03-01T21:00:00Z,2024-03-02,1
3,2024-03-01T21:00:00.000001Z,2024-03-02,1
4,2024-03-01T20:00:00Z,2024-03-03,1
5,2024-02-27T20:00:00Z,,1
6,2024-02-27T19:59:59Z,,1
";
    land(&scratch, "landing/orders-1.csv", text, "2024-03-01T20:00:00Z");
    scratch
}

const REASONS: &str = "select line, reason, column_name from dq_quarantine order by line";

#[test]
fn a_time_after_the_landing_is_set_aside() {
    let scratch = orders("");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select id from orders order by id"), ["1", "2", "5", "6"]);
    assert_eq!(scratch.rows(REASONS), ["4,E_FUTURE,at", "5,E_FUTURE,day"]);
    assert_eq!(
        scratch.rows("select records, accepted, quarantined, blank, clean, late from dq_ledger"),
        ["7,4,2,1,4,0"]
    );
    let said = scratch.run(&["quarantine", "show"]).exits(0).stdout;
    assert_eq!(
        said,
        "landing/orders-1.csv:4: E_FUTURE in `at`: expected a time up to `2024-03-01T21:00:00Z`, found `2024-03-01T21:00:00.000001Z`
  3,»2024-03-01T21:00:00.000001Z«,2024-03-02,1
landing/orders-1.csv:5: E_FUTURE in `day`: expected a time up to `2024-03-02`, found `2024-03-03`
  4,2024-03-01T20:00:00Z,»2024-03-03«,1
"
    );
}

#[test]
fn the_same_bytes_do_not_land_later() {
    let scratch = orders("");
    let _ = scratch.run(&["run"]).exits(0);
    let aside = |n: usize| {
        // A contract of another shape reads everything again.
        scratch.write("schemas/sources/orders.toml", &contract(&format!("null = [\"\", \"none{n}\"]\n")));
        let _ = scratch.run(&["run"]).exits(0);
        scratch.rows(REASONS)
    };
    let expected = ["4,E_FUTURE,at", "5,E_FUTURE,day"];
    touch(&scratch, "landing/orders-1.csv", "2024-03-09T00:00:00Z");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(REASONS), expected);
    assert_eq!(aside(3), expected);
    // Touched again and read at once under another contract.
    touch(&scratch, "landing/orders-1.csv", "2024-03-10T00:00:00Z");
    assert_eq!(aside(4), expected);
    // Renamed: the new path is a copy of the old one, which stays admitted.
    std::fs::rename(scratch.path("landing/orders-1.csv"), scratch.path("landing/orders-2.csv")).unwrap();
    assert_eq!(aside(5), expected);
    assert_eq!(
        scratch.rows("select file, copy_of, quarantined, landed_at from dq_ledger order by sequence"),
        [
            "landing/orders-1.csv,,2,2024-03-01T20:00:00Z",
            "landing/orders-2.csv,landing/orders-1.csv,0,2024-03-10T00:00:00Z"
        ]
    );
    // Other bytes land when they land.
    land(&scratch, "landing/orders-2.csv", "id,at,day,amount\n7,2024-03-09T00:00:00Z,,1\n", "2024-03-10T00:00:00Z");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select id from orders where id > 6"), ["7"]);
}

#[test]
fn a_record_that_lands_long_after_its_time_is_counted() {
    let scratch = orders(LATE);
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select id from orders order by id"), ["1", "2", "5", "6"]);
    let counts = "select records, accepted, quarantined, blank, clean, late from dq_ledger";
    assert_eq!(scratch.rows(counts), ["7,4,2,1,4,1"]);
    // What becomes of them is part of the contract, so that a change of it reads the file again.
    scratch.write("schemas/sources/orders.toml", &contract(&LATE.replace(" }", ", then = \"set_aside\" }")));
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select id from orders order by id"), ["1", "2", "5"]);
    assert_eq!(scratch.rows(counts), ["7,3,3,1,3,1"]);
    assert_eq!(scratch.rows(REASONS), ["4,E_FUTURE,at", "5,E_FUTURE,day", "7,E_LATE,at"]);
    // A row that is kept and late may lose its key to another all the same; the sums do not know of lateness.
    scratch.write("schemas/sources/orders.toml", &contract(LATE));
    land(&scratch, "landing/orders-2.csv", "id,at,day,amount\n6,2024-03-02T00:00:00Z,,2\n", "2024-03-02T00:00:00Z");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(
        scratch.rows("select accepted, clean, superseded, late from dq_ledger order by sequence"),
        ["4,3,1,1", "1,1,0,0"]
    );
}

#[test]
fn a_late_day_is_past_as_a_whole() {
    let scratch = orders("late = { by = \"day\", after = \"36 hours\", then = \"set_aside\" }\n");
    // 36 hours before four in the morning of the 2nd it was four in the afternoon of the 29th.
    let text = "id,at,day,amount\n1,2024-03-01T00:00:00Z,2024-02-29,1\n2,2024-03-01T00:00:00Z,2024-02-28,1\n";
    land(&scratch, "landing/orders-1.csv", text, "2024-03-01T20:00:00Z");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(REASONS), ["3,E_LATE,day"]);
}

#[test]
fn the_documentation_tells_what_is_asked_of_times() {
    let scratch = orders(LATE);
    let _ = scratch.run(&["docs", "--quiet"]).exits(0);
    let page = std::fs::read_to_string(scratch.path("site/sources/orders.html")).unwrap();
    for words in [
        "at more than 3 days before landing: kept",
        "at most 1 hour after the landing of its file",
        "not after the landing of its file",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn bounds_of_times_are_of_iso_8601_whatever_the_files_write() {
    let scratch = Scratch::orders();
    scratch.write(
        "schemas/sources/orders.toml",
        r#"from = "{landing}/orders-*.csv"
format = { type = "csv" }
rejected_share = 0.9
parse_zone = "Asia/Shanghai"
[columns]
id = "int64!"
at = { type = "timestamp!", format = "%d.%m.%Y %H:%M", min = "2024-01-01T00:00:00Z", max = "2024-01-31T00:00:00+08:00" }
day = { type = "date", format = "%d/%m/%Y", min = "2024-01-02" }
amount = "decimal(10,2)"
"#,
    );
    // Eight in the morning in Shanghai is midnight of UTC.
    scratch.write(
        "landing/orders-1.csv",
        "id,at,day,amount
1,01.01.2024 08:00,02/01/2024,1
2,01.01.2024 07:59,,1
3,31.01.2024 00:00,,1
4,31.01.2024 00:01,,1
5,02.01.2024 00:00,01/01/2024,1
",
    );
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select id from orders order by id"), ["1", "3"]);
    assert_eq!(scratch.rows(REASONS), ["3,E_RANGE,at", "5,E_RANGE,at", "6,E_RANGE,day"]);
}

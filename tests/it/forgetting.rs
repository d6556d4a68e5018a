//! `opsmart forget`: landed files that are given up, and taken back.

use crate::scratch::Scratch;

const SECOND: &str =
    "id,at,amount\n2,2024-03-01T12:00:00Z,25.00\n3,2024-03-02T09:00:00Z,30.00\nx,2024-03-02T09:00:00Z,1\n";
const ROWS: &str = "select id, amount from orders order by id";
const TOTALS: &str = "select day, orders, amount from kpi_order_daily order by day";
const LEDGER: &str = "select file, sequence, records, accepted, quarantined, blank, clean, superseded, copy_of from dq_ledger order by sequence";

/// Two files: the second one changes the amount of 2, adds 3, and has a record that is set aside.
fn orders(head: &str) -> Scratch {
    let scratch = Scratch::orders();
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &format!("{head}{contract}"));
    let _ = scratch.run(&["run"]).exits(0);
    scratch.write("landing/orders-2.csv", SECOND);
    let _ = scratch.run(&["run"]).exits(0);
    scratch
}

#[test]
fn a_file_is_given_up_and_taken_back() {
    let scratch = orders("");
    let all = ["1,10.00", "2,25.00", "3,30.00"];
    assert_eq!(scratch.rows(ROWS), all);
    let ledger = ["landing/orders-1.csv,0,3,2,0,1,1,1,", "landing/orders-2.csv,1,4,2,1,1,2,0,"];
    assert_eq!(scratch.rows(LEDGER), ledger);
    // What landed in the meantime is none of its business, however wrong it is.
    scratch.write("landing/orders-3.csv", "no header of ours\n");
    let said = scratch.run(&["forget", "landing/orders-2.csv"]).exits(0);
    assert!(said.stderr.ends_with("\norders: 3 rows before, 2 now\n"), "{}", said.stderr);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00"]);
    assert_eq!(scratch.rows(TOTALS), ["2024-03-01,2,30.00"]);
    assert_eq!(scratch.rows("select count(*) from dq_quarantine"), ["0"]);
    assert_eq!(scratch.rows(LEDGER), ["landing/orders-1.csv,0,3,2,0,1,2,0,"]);
    assert_eq!(scratch.rows("select files, newest_file from feed_freshness"), ["1,landing/orders-1.csv"]);
    std::fs::remove_file(scratch.path("landing/orders-3.csv")).unwrap();

    // It stays forgotten: with nothing new, when it is touched, and under another contract.
    let said = scratch.run(&["run"]).exits(0);
    assert!(said.stderr.starts_with("nothing new:"), "{}", said.stderr);
    scratch.write("landing/orders-2.csv", SECOND);
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00"]);
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &contract.replace("decimal(10,2)", "decimal(12,2)"));
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00"]);
    scratch.age();
    let _ = scratch.run(&["run"]).exits(0);
    let plan = scratch.run(&["plan"]).exits(0).stdout;
    assert_eq!(plan, "nothing to do: 1 dataset and 2 tables are as they should be\n  orders: 1 file is forgotten\n");
    let plan: serde_json::Value =
        serde_json::from_str(&scratch.run(&["plan", "--output", "json"]).exits(0).stdout).unwrap();
    assert_eq!((&plan["datasets"][0]["known_files"], &plan["datasets"][0]["forgotten_files"]), (&1.into(), &1.into()));
    let list = scratch.run(&["forget"]).exits(0).stdout;
    assert!(list.contains("orders   landing/orders-2.csv"), "{list}");

    // It comes back where it was.
    let said = scratch.run(&["forget", "--undo", "landing/orders-2.csv"]).exits(0);
    assert!(said.stderr.ends_with("\norders: 2 rows before, 3 now\n"), "{}", said.stderr);
    assert_eq!(scratch.rows(ROWS), all);
    assert_eq!(scratch.rows(LEDGER), ledger);
    assert_eq!(scratch.rows("select reason from dq_quarantine"), ["E_TYPE"]);
    assert_eq!(scratch.run(&["forget"]).exits(0).stderr, "no file is forgotten\n");
    let history = scratch.run(&["history"]).exits(0).stdout;
    assert!(history.contains("  forget landing/orders-2.csv "), "{history}");
    assert!(history.contains("  forget --undo landing/orders-2.csv "), "{history}");
}

#[test]
fn only_what_was_taken_in_can_be_forgotten() {
    let scratch = Scratch::orders();
    assert_eq!(
        scratch.run(&["forget", "landing/orders-1.csv"]).exits(2).stderr,
        "error: nothing has been published yet\nhelp: `opsmart run` builds and publishes the tables\n"
    );
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(
        scratch.run(&["forget", "landing/order-1.csv"]).exits(2).stderr,
        "error: `landing/order-1.csv` was never ingested\nhelp: did you mean `landing/orders-1.csv`?\n"
    );
    assert_eq!(
        scratch.run(&["forget", "x"]).exits(2).stderr,
        "error: `x` was never ingested\nhelp: opsmart show \"select dataset, file from dq_ledger\" lists the files that were\n"
    );
    assert_eq!(
        scratch.run(&["forget", "--undo", "landing/orders-1.csv"]).exits(2).stderr,
        "error: `landing/orders-1.csv` is not forgotten\nhelp: `opsmart forget` lists what is forgotten\n"
    );
    // One wrong path, and nothing is forgotten.
    let _ = scratch.run(&["forget", "landing/orders-1.csv", "x"]).exits(2);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00"]);
    let _ = scratch.run(&["forget", "./landing/orders-1.csv"]).exits(0);
    assert_eq!(scratch.rows(ROWS), [""; 0]);
    assert_eq!(
        scratch.run(&["forget", "landing/orders-1.csv"]).exits(0).stderr,
        "`landing/orders-1.csv` is forgotten already\n"
    );
}

#[test]
fn other_bytes_under_a_forgotten_path_are_taken_in() {
    let scratch = orders("");
    let _ = scratch.run(&["forget", "landing/orders-2.csv"]).exits(0);
    scratch.write("landing/orders-2.csv", "id,at,amount\n4,2024-03-02T09:00:00Z,40.00\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00", "4,40.00"]);
    // The bytes that were forgotten are back, and what took their place is gone.
    scratch.write("landing/orders-2.csv", SECOND);
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00"]);
    let _ = scratch.run(&["forget", "--undo", "landing/orders-2.csv"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,25.00", "3,30.00"]);
    // Taking back what the path holds no more forgets that it was forgotten, and no more than that.
    let _ = scratch.run(&["forget", "landing/orders-2.csv"]).exits(0);
    scratch.write("landing/orders-2.csv", "id,at,amount\n4,2024-03-02T09:00:00Z,40.00\n");
    let _ = scratch.run(&["run"]).exits(0);
    let _ = scratch.run(&["forget", "--undo", "landing/orders-2.csv"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00", "4,40.00"]);
    scratch.write("landing/orders-2.csv", SECOND);
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,25.00", "3,30.00"]);
}

#[test]
fn a_copy_under_another_path_keeps_its_rows() {
    let scratch = orders("");
    scratch.write("landing/orders-3.csv", SECOND);
    let _ = scratch.run(&["run"]).exits(0);
    let said = scratch.run(&["forget", "landing/orders-2.csv"]).exits(0);
    let expected = "orders: 3 rows before, 3 now\n  `landing/orders-3.csv` holds the same as `landing/orders-2.csv` and is not forgotten\n";
    assert!(said.stderr.ends_with(expected), "{}", said.stderr);
    assert_eq!(scratch.rows(LEDGER), ["landing/orders-1.csv,0,3,2,0,1,1,1,", "landing/orders-3.csv,2,4,2,1,1,2,0,"]);
    let _ = scratch.run(&["forget", "landing/orders-3.csv"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00"]);
}

#[test]
fn of_snapshots_the_one_before_counts_again() {
    let scratch = orders("files = \"snapshot\"\n");
    assert_eq!(scratch.rows(ROWS), ["2,25.00", "3,30.00"]);
    let _ = scratch.run(&["forget", "landing/orders-2.csv"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00"]);
    let _ = scratch.run(&["forget", "--undo", "landing/orders-2.csv"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["2,25.00", "3,30.00"]);
    std::fs::remove_file(scratch.path("landing/orders-1.csv")).unwrap();
    assert!(scratch.run(&["forget", "landing/orders-2.csv"]).exits(1).stderr.starts_with(
        "error: `landing/orders-1.csv` has to be read again because it counts again, but it is no longer there as it \
             was\nhelp: put it back, or give its rows up: `opsmart forget landing/orders-1.csv`\n"
    ));
    assert_eq!(scratch.rows(ROWS), ["2,25.00", "3,30.00"]);
    let _ = scratch.run(&["forget", "landing/orders-2.csv", "landing/orders-1.csv"]).exits(0);
    assert_eq!(scratch.rows(ROWS), [""; 0]);
}

#[test]
fn the_one_before_counts_again_once_forgotten_bytes_are_back() {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
        (
            "schemas/sources/a.toml",
            "from = \"{landing}/a-*.csv\"\nformat = { type = \"csv\" }\nfiles = \"snapshot\"\n[columns]\nid = \"int64!\"\n",
        ),
        ("sql/staging/stg_a.sql", "select * from a\n"),
        ("sql/marts/fct_a.sql", "select * from stg_a\n"),
        ("landing/a-1.csv", "id\n1\n"),
        ("landing/a-2.csv", "id\n2\n"),
        ("landing/a-3.csv", "id\n3\n"),
    ]);
    let run = || scratch.run(&["run", "--quiet"]).exits(0);
    // Of files this old nobody reads the bytes to know that they are what they were.
    scratch.age();
    let _ = run();
    let _ = scratch.run(&["forget", "--quiet", "landing/a-1.csv", "landing/a-3.csv"]).exits(0);
    scratch.write("landing/a-1.csv", "id\n7\n");
    let _ = run();
    scratch.write("landing/a-3.csv", "id\n8\n");
    let _ = run();
    assert_eq!(scratch.rows("select id from fct_a"), ["8"]);
    scratch.write("landing/a-3.csv", "id\n3\n");
    scratch.write("landing/a-1.csv", "id\n1\n");
    let plan = scratch.run(&["plan"]).exits(0).stdout;
    assert!(plan.contains("read 2 changed, 1 that may count again"), "{plan}");
    let _ = run();
    assert_eq!(scratch.rows("select id from fct_a"), ["2"]);
    scratch.age();
    let _ = run();
    assert!(scratch.run(&["run"]).exits(0).stderr.starts_with("nothing new"));
    assert_eq!(scratch.rows("select id from fct_a"), ["2"]);
}

#[test]
fn files_are_given_up_and_taken_back_for_the_clock_of_the_runs() {
    let scratch = orders("");
    let at = ["--quiet", "--as-of", "2999-01-01"];
    let said = scratch.run(&[&["forget", "landing/orders-2.csv"], &at[..]].concat()).exits(2).stderr;
    assert!(said.contains("has not come yet"), "{said}");

    let scratch = Scratch::orders();
    scratch.write("sql/kpi/kpi_clock.sql", "select count(*) as n, cast($as_of as text) as at from fct_order\n");
    scratch.write("landing/orders-2.csv", SECOND);
    let clock = ["--quiet", "--as-of", "2024-07-01"];
    let steps: [&[&str]; 5] = [
        &["run"],
        &["forget", "landing/orders-2.csv"],
        &["forget", "--undo", "landing/orders-2.csv"],
        &["quarantine", "replay", "orders"],
        &["erase", "orders.id=1"],
    ];
    for step in steps {
        let _ = scratch.run(&[step, &clock].concat()).exits(0);
        assert_eq!(scratch.rows("select left(at, 10) from kpi_clock"), ["2024-07-01"], "{step:?}");
        let _ = scratch.run(&[&["run"], &clock[..]].concat()).exits(0);
    }
}

#[test]
fn a_file_that_is_gone_can_be_forgotten_and_not_taken_back() {
    let scratch = orders("");
    std::fs::remove_file(scratch.path("landing/orders-2.csv")).unwrap();
    // A changed contract has to read it, and cannot, until it is given up.
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &contract.replace("decimal(10,2)", "decimal(12,2)"));
    let said = scratch.run(&["run"]).exits(1).stderr;
    assert!(
        said.ends_with("help: put it back, or give its rows up: `opsmart forget landing/orders-2.csv`\n"),
        "{said}"
    );
    let _ = scratch.run(&["forget", "landing/orders-2.csv"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00"]);
    let said = scratch.run(&["forget", "--undo", "landing/orders-2.csv"]).exits(1).stderr;
    assert!(said.contains("`landing/orders-2.csv` has to be read again because it counts again"), "{said}");
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00"]);
    let said = scratch.run(&["run"]).exits(0);
    assert!(said.stderr.starts_with("nothing new:"), "{}", said.stderr);
}

#[test]
fn what_was_appended_to_a_path_goes_and_comes_together() {
    let scratch = orders("files = \"append\"\n");
    scratch.write("landing/orders-2.csv", "id,at,amount\n4,2024-03-02T09:00:00Z,40.00\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,25.00", "3,30.00", "4,40.00"]);
    let _ = scratch.run(&["forget", "landing/orders-2.csv"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00"]);
    scratch.write("landing/orders-2.csv", SECOND);
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00"]);
}

#[test]
fn forgetting_waits_for_no_other_run_and_a_rollback_holds_it() {
    let scratch = orders("");
    let lock = std::fs::File::create(scratch.path("warehouse/locks/job-orders.lock")).unwrap();
    lock.lock().unwrap();
    let said = scratch.run(&["forget", "landing/orders-2.csv"]).exits(75).stderr;
    assert!(said.contains("another run holds `job-orders`"), "{said}");
    drop(lock);
    // A failed check publishes nothing, and nothing is forgotten.
    scratch.write("sql/checks/assert_three.sql", "select n from (select count(*) as n from fct_order) where n < 3\n");
    let _ = scratch.run(&["forget", "landing/orders-2.csv"]).exits(1);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,25.00", "3,30.00"]);
    assert_eq!(scratch.run(&["forget"]).exits(0).stderr, "no file is forgotten\n");
    std::fs::remove_file(scratch.path("sql/checks/assert_three.sql")).unwrap();
    // It went back to the first file alone, and then 1 and 2 as well.
    let _ = scratch.run(&["rollback"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00"]);
    let _ = scratch.run(&["forget", "landing/orders-1.csv"]).exits(3);
    assert_eq!(scratch.rows(ROWS), ["1,10.00", "2,20.00"]);
    let _ = scratch.run(&["release"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["2,25.00", "3,30.00"]);
}

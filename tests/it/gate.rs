//! `max_change`: numbers that move by more than was agreed are stored and wait for a release.

use serde_json::{Value, json};

use crate::scratch::{Said, Scratch};

/// A project that has published once: the first of March has 2 orders of 30.00 together.
fn published(max_change: &str) -> Scratch {
    let scratch = Scratch::orders();
    agree(&scratch, max_change);
    let _ = run(&scratch).exits(0);
    scratch
}

/// Writes into the contract how far the amount of a day may move.
fn agree(scratch: &Scratch, max_change: &str) {
    let contract = format!("key = [\"day\"]\n[columns]\namount = {{ max_change = {max_change} }}\n");
    scratch.write("schemas/models/kpi_order_daily.toml", &contract);
}

fn run(scratch: &Scratch) -> Said {
    scratch.run(&["run", "--as-of", "2024-07-01"])
}

/// Lands a second file with these records, and runs.
fn land(scratch: &Scratch, records: &str) -> Said {
    scratch.write("landing/orders-2.csv", &format!("id,at,amount\n{records}"));
    run(scratch)
}

/// Lands a second file with these records; returns what the run tells machines.
fn told(scratch: &Scratch, records: &str) -> Value {
    scratch.write("landing/orders-2.csv", &format!("id,at,amount\n{records}"));
    let said = scratch.run(&["run", "--quiet", "--output", "json", "--as-of", "2024-07-01"]);
    let told: Value = serde_json::from_str(&said.stdout).unwrap();
    // What waits is seen by whoever looks at exit codes alone.
    let exit = if told["held"].is_null() { 0 } else { 3 };
    assert_eq!((said.exit, &told["exit"]), (exit, &json!(exit)), "{told}");
    told
}

fn amounts(scratch: &Scratch) -> Vec<String> {
    scratch.rows("select amount from kpi_order_daily order by day")
}

/// The first of March goes from 30.00 to 36.00.
const TO_36: &str = "3,2024-03-01T12:00:00Z,6.00\n";
const TO_36_01: &str = "3,2024-03-01T12:00:00Z,6.01\n";

#[test]
fn what_moved_too_far_waits_is_shown_and_is_released() {
    let scratch = published("\"20%\"");
    let said = land(&scratch, TO_36_01).exits(3).stderr;
    assert!(
        said.contains(
            "moved[kpi_order_daily.amount]: 1 row moved by more than 20%\n  day 2024-03-01: 30.00 -> 36.01 (+20.0%)\n"
        ),
        "{said}"
    );
    assert!(said.contains(", which waits, as of 2024-07-01 00:00 UTC"), "{said}");
    assert!(said.contains(" stays current until `opsmart release`, because of numbers that moved by more than agreed: kpi_order_daily.amount; `opsmart diff` shows what waits\n"), "{said}");
    assert!(!said.contains("rollback"), "{said}");
    assert_eq!(amounts(&scratch), ["30.00"]);

    let diff = scratch.run(&["diff", "--table", "kpi_order_daily", "--rows", "1"]).exits(0).stdout;
    assert!(diff.ends_with("changed  day 2024-03-01: orders 2 -> 3, amount 30.00 -> 36.01\n"), "{diff}");
    let history = scratch.run(&["history"]).exits(0).stdout;
    let newest = history.lines().nth(1).unwrap();
    assert!(newest.contains("  held  "), "{history}");
    assert!(newest.ends_with("  numbers that moved by more than agreed: kpi_order_daily.amount"), "{history}");

    let _ = scratch.run(&["report", "--quiet"]).exits(0);
    let page = std::fs::read_to_string(scratch.path("report.html")).unwrap();
    assert!(page.contains("\"held_for\":[\"kpi_order_daily.amount\"]"));

    let released = scratch.run(&["release"]).exits(0);
    assert!(released.stderr.contains("is current"), "{}", released.stderr);
    assert_eq!(amounts(&scratch), ["36.01"]);
    // It is in force now, and what comes next is held against it.
    assert!(scratch.run(&["history"]).exits(0).stdout.lines().nth(1).unwrap().ends_with("current"));
    let said = land(&scratch, "3,2024-03-01T12:00:00Z,10.00\n").exits(0).stderr;
    assert!(said.contains("Published to "), "{said}");
    assert_eq!(amounts(&scratch), ["40.00"]);
}

#[test]
fn machines_are_told_why_it_waits_as_long_as_it_does() {
    let scratch = published("\"20%\"");
    let report = told(&scratch, "3,2024-03-01T12:00:00Z,15.00\n");
    assert_eq!((&report["status"], &report["held_for"]), (&json!("held"), &json!(["kpi_order_daily.amount"])));
    let moved = json!([{
        "table": "kpi_order_daily", "column": "amount", "allowed": "20%", "rows": 1,
        "examples": [{
            "key": {"day": "2024-03-01"}, "column": "amount", "before": "30.00", "after": "45.00",
            "by": 15.0, "relative": 0.5,
        }],
    }]);
    assert_eq!(report["moved"], moved);
    let history: Value = serde_json::from_str(&scratch.run(&["history", "--output", "json"]).exits(0).stdout).unwrap();
    assert_eq!((&history[0]["status"], &history[0]["report"]["moved"]), (&json!("held"), &moved));
    let in_force = report["held"].clone();

    // A later run builds on what waits, is not asked, and says the same.
    let later = told(&scratch, "3,2024-03-01T12:00:00Z,60.00\n");
    assert_eq!((&later["status"], &later["moved"]), (&json!("held"), &json!([])));
    assert_eq!((&later["held"], &later["held_for"]), (&in_force, &json!(["kpi_order_daily.amount"])));
    // The second time it is remembered.
    scratch.age();
    let _ = run(&scratch).exits(3);
    for _ in 0..2 {
        let said = scratch.run(&["run", "--quiet", "--output", "json", "--as-of", "2024-07-01"]).exits(3);
        assert_eq!(said.stderr.lines().count(), 1, "{}", said.stderr);
        assert!(said.stderr.contains(" stays current until `opsmart release`, because of "), "{}", said.stderr);
        let idle: Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!((&idle["status"], &idle["held"]), (&json!("nothing-new"), &in_force));
        assert_eq!(idle["held_for"], json!(["kpi_order_daily.amount"]));
    }
    assert_eq!(amounts(&scratch), ["30.00"]);
    let _ = scratch.run(&["release"]).exits(0);
    assert_eq!(amounts(&scratch), ["90.00"]);
}

#[test]
fn whoever_asks_for_quiet_hears_of_it() {
    let scratch = published("\"20%\"");
    scratch.write("landing/orders-2.csv", &format!("id,at,amount\n{TO_36_01}"));
    let said = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(3).stderr;
    assert!(said.starts_with("moved[kpi_order_daily.amount]: 1 row moved by more than 20%\n"), "{said}");
}

#[test]
fn exactly_what_was_agreed_is_in_force() {
    let scratch = published("\"20%\"");
    assert_eq!(told(&scratch, TO_36)["status"], "published");
    assert_eq!(amounts(&scratch), ["36.00"]);
}

#[test]
fn a_number_is_what_it_may_move_by() {
    let scratch = published("6");
    assert_eq!(told(&scratch, TO_36)["status"], "published");
    let report = told(&scratch, "3,2024-03-01T12:00:00Z,12.01\n");
    assert_eq!((&report["status"], &report["moved"][0]["allowed"]), (&json!("held"), &json!("6")));
}

#[test]
fn rows_that_come_or_go_and_nulls_do_not_count_and_zero_does() {
    let scratch = published("\"0%\"");
    // A day comes, and one goes.
    assert_eq!(told(&scratch, "3,2024-03-02T12:00:00Z,1\n")["status"], "published");
    assert_eq!(told(&scratch, "3,2024-03-03T12:00:00Z,\n4,2024-03-04T12:00:00Z,0\n")["status"], "published");
    assert_eq!(amounts(&scratch), ["30.00", "\"\"", "0.00"]);
    // A day without an amount gets one, and loses it.
    assert_eq!(told(&scratch, "3,2024-03-03T12:00:00Z,5\n4,2024-03-04T12:00:00Z,0\n")["status"], "published");
    assert_eq!(told(&scratch, "3,2024-03-03T12:00:00Z,\n4,2024-03-04T12:00:00Z,0\n")["status"], "published");
    agree(&scratch, "\"900%\"");
    let report = told(&scratch, "3,2024-03-03T12:00:00Z,\n4,2024-03-04T12:00:00Z,0.01\n");
    assert_eq!(report["moved"][0]["examples"][0]["relative"], Value::Null);
    assert_eq!(report["status"], "held");
}

#[test]
fn the_first_time_there_is_nothing_to_compare_with() {
    let scratch = Scratch::orders();
    scratch.write("sql/marts/fct_amount.sql", "select id, amount from stg_orders\n");
    let _ = run(&scratch).exits(0);
    scratch.write("sql/marts/fct_doubled.sql", "select id, 2 * amount as amount from stg_orders\n");
    scratch.write("schemas/models/fct_doubled.toml", "key = [\"id\"]\ncolumns.amount = { max_change = 0 }\n");
    assert_eq!(told(&scratch, TO_36)["status"], "published");
}

#[test]
fn another_limit_builds_nothing() {
    let scratch = published("\"20%\"");
    agree(&scratch, "\"1%\"");
    let said = run(&scratch).exits(0).stderr;
    assert!(said.starts_with("nothing new"), "{said}");
    // The SQL is another one, and what comes of it is held against what is in force.
    scratch.write(
        "sql/kpi/kpi_order_daily.sql",
        "select day, count(*) as orders, sum(amount) * 2 as amount from fct_order group by day\n",
    );
    let said = run(&scratch).exits(3).stderr;
    assert!(said.contains("(+100.0%)"), "{said}");
    assert_eq!(amounts(&scratch), ["30.00"]);
}

#[test]
fn after_a_rollback_nothing_is_asked() {
    let scratch = published("\"20%\"");
    assert_eq!(told(&scratch, TO_36)["status"], "published");
    let _ = scratch.run(&["rollback", "--quiet"]).exits(0);
    let report = told(&scratch, "3,2024-03-01T12:00:00Z,600.00\n");
    assert_eq!((&report["status"], &report["moved"], &report["held_for"]), (&json!("held"), &json!([]), &json!([])));
    let said = run(&scratch).exits(3).stderr;
    assert!(said.contains("A rollback holds snapshot "), "{said}");
}

#[test]
fn a_rollback_takes_the_place_of_what_waits() {
    let scratch = published("\"20%\"");
    assert_eq!(told(&scratch, TO_36)["status"], "published");
    assert_eq!(told(&scratch, "3,2024-03-01T12:00:00Z,600.00\n")["status"], "held");
    let said = scratch.run(&["rollback", "--output", "json"]).exits(0);
    let reference: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(reference["held"].as_object().unwrap().keys().collect::<Vec<_>>(), ["waiting"]);
    assert_eq!(amounts(&scratch), ["30.00"]);
    let said = run(&scratch).exits(3).stderr;
    assert!(said.contains("A rollback holds snapshot "), "{said}");
    let _ = scratch.run(&["release"]).exits(0);
    assert_eq!(amounts(&scratch), ["630.00"]);
}

#[test]
fn the_greatest_movements_are_shown_and_the_others_counted() {
    let scratch = published("\"20%\"");
    scratch.write(
        "opsmart.toml",
        "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n[limits]\nfinding_rows = 1\n",
    );
    assert_eq!(told(&scratch, "3,2024-03-02T12:00:00Z,10\n")["status"], "published");
    let said = land(&scratch, "1,2024-03-01T12:00:00Z,40\n3,2024-03-02T12:00:00Z,1\n").exits(3).stderr;
    // From 30 to 60, and from 10 to 1.
    assert!(
        said.contains("2 rows moved by more than 20%\n  day 2024-03-01: 30.00 -> 60.00 (+100.0%)\n  and 1 more\n"),
        "{said}"
    );
}

#[test]
fn a_rollback_is_seen_at_each_run_and_moves_no_number_of_success() {
    let scratch = published("\"900%\"");
    let _ = land(&scratch, TO_36).exits(0);
    let numbers = || std::fs::read_to_string(scratch.path("orders.prom")).unwrap();
    let number = |name: &str| {
        let text = numbers();
        let line = text.lines().find(|line| line.starts_with(&format!("opsmart_job_{name}{{"))).unwrap();
        line.rsplit_once(' ').unwrap().1.to_owned()
    };
    let run = |as_of: &str, flags: &[&str], exit: i32| {
        let arguments = [&["run", "orders", "--metrics", "orders.prom", "--as-of", as_of][..], flags].concat();
        scratch.run(&arguments).exits(exit)
    };
    let _ = run("2024-07-01", &["--quiet"], 0);
    assert_eq!((number("held"), number("warnings")), ("0".to_owned(), "0".to_owned()));
    let (succeeded, in_force) = (number("last_success_timestamp_seconds"), number("in_force_as_of_timestamp_seconds"));
    assert_eq!(in_force, "1719792000");
    let _ = scratch.run(&["rollback", "--quiet"]).exits(0);
    // One that builds, and one with nothing to do; the second time that is remembered.
    scratch.write("landing/orders-3.csv", "id,at,amount\n4,2024-03-01T12:00:00Z,1.00\n");
    for _ in 0..3 {
        scratch.age();
        let said = run("2024-07-02", &["--quiet", "--exit-on-skip"], 3).stderr;
        assert!(said.starts_with("A rollback holds snapshot "), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!((number("held"), number("last_exit_code")), ("1".to_owned(), "3".to_owned()));
        assert_eq!(number("last_success_timestamp_seconds"), succeeded);
        assert_eq!(number("in_force_as_of_timestamp_seconds"), in_force);
    }
    let newest: Value = serde_json::from_str(&scratch.run(&["history", "--output", "json"]).exits(0).stdout).unwrap();
    assert_eq!(newest[0]["exit"], 3);
    let _ = scratch.run(&["release", "--quiet"]).exits(0);
    assert_eq!(run("2024-07-02", &["--quiet"], 0).stderr, "");
    assert_eq!((number("held"), number("in_force_as_of_timestamp_seconds")), ("0".to_owned(), "1719878400".to_owned()));
    assert_ne!(number("last_success_timestamp_seconds"), succeeded);
}

#[test]
fn a_promise_that_only_warns_is_seen_at_each_run_and_by_exit_code_where_that_is_asked_for() {
    let scratch = Scratch::orders();
    scratch.write("schemas/models/fct_order.toml", "[columns]\namount = { max = 15, severity = \"warn\" }\n");
    let words = "warning: 1 failed check that only warns, see opsmart show dq_check_result: fct_order.amount.max\n";
    for flags in [&[][..], &["--exit-on-skip"], &[]] {
        scratch.age();
        let arguments = [&["run", "--quiet", "--as-of", "2024-07-01"][..], flags].concat();
        let said = scratch.run(&arguments);
        assert_eq!((said.exit, said.stderr.as_str()), (if flags.is_empty() { 0 } else { 99 }, words));
    }
    for flags in [&["--exit-on-warn"][..], &["--exit-on-warn", "--exit-on-skip"]] {
        let said = scratch.run(&[&["run", "--as-of", "2024-07-01", "--metrics", "m.prom"], flags].concat());
        assert_eq!(said.exit, 4, "{}", said.stderr);
        assert!(said.stderr.contains("1 warning of an earlier run still stands"), "{}", said.stderr);
        let numbers = std::fs::read_to_string(scratch.path("m.prom")).unwrap();
        assert!(numbers.contains("\nopsmart_job_warnings{job=\"all\"} 1\n"), "{numbers}");
    }
    scratch.write("schemas/models/fct_order.toml", "[columns]\namount = { max = 20, severity = \"warn\" }\n");
    assert_eq!(scratch.run(&["run", "--quiet", "--exit-on-warn", "--as-of", "2024-07-01"]).exits(0).stderr, "");
}

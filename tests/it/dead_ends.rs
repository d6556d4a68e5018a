//! Ways that end nowhere: no landing folder, no file in it, something else in its place. No run takes that for "no data".

use std::process::Command;

use serde_json::Value;

use crate::scratch::{Said, Scratch};

/// Returns the JSON document with which a command ended.
#[track_caller]
fn document(said: &Said) -> Value {
    serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap()
}

fn newest_record(scratch: &Scratch) -> Value {
    let said = scratch.run(&["history", "--limit", "1", "--output", "json"]).exits(0);
    document(&said)[0].clone()
}

#[test]
fn a_landing_folder_that_is_not_there_stops_the_run() {
    let scratch = Scratch::orders();
    std::fs::rename(scratch.path("landing"), scratch.path("unmounted")).unwrap();
    let said = scratch.run(&["run", "--quiet", "--output", "json"]).exits(75);
    assert!(said.stderr.contains("/landing` of dataset `orders` is not there"), "{}", said.stderr);
    assert!(said.stderr.contains("`from` in schemas/sources/orders.toml:1"), "{}", said.stderr);
    let told = document(&said);
    assert!(told["error"].as_str().unwrap().contains("is not there"), "{told}");
    assert!(told["help"].as_str().unwrap().contains("mount it"), "{told}");
    assert_eq!(newest_record(&scratch)["exit"], 75);
    assert!(!scratch.path("warehouse/refs/main").exists(), "nothing is published");
    let _ = scratch.run(&["plan"]).exits(75);

    std::fs::rename(scratch.path("unmounted"), scratch.path("landing")).unwrap();
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    assert_eq!(scratch.rows("select count(*) from fct_order"), ["2"]);
}

#[test]
fn a_folder_that_goes_away_is_seen_by_a_run_that_would_have_nothing_to_do() {
    let scratch = Scratch::orders();
    scratch.age();
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let _ = scratch.run(&["run", "--exit-on-skip"]).exits(99);
    assert_eq!(scratch.remembered_runs().len(), 1, "the idle run is remembered");
    std::fs::rename(scratch.path("landing"), scratch.path("unmounted")).unwrap();
    let _ = scratch.run(&["run", "--quiet"]).exits(75);
    assert_eq!(scratch.rows("select count(*) from fct_order"), ["2"], "what was published stands");
    std::fs::rename(scratch.path("unmounted"), scratch.path("landing")).unwrap();
    let _ = scratch.run(&["run", "--exit-on-skip"]).exits(99);
}

#[test]
fn a_job_does_not_need_the_folders_of_others() {
    let scratch = Scratch::orders();
    scratch.write("jobs/refunds.toml", "ingest = [\"refunds\"]\n");
    scratch.write(
        "schemas/sources/refunds.toml",
        "from = \"elsewhere/refunds-*.csv\"\nformat = { type = \"csv\" }\n[columns]\nid = \"int64!\"\n",
    );
    scratch.write("sql/staging/stg_refunds.sql", "select id from refunds\n");
    scratch.write("sql/marts/fct_refund.sql", "select id from stg_refunds\n");
    let _ = scratch.run(&["run", "orders"]).exits(0);
    let _ = scratch.run(&["run", "refunds"]).exits(75);
    let _ = scratch.run(&["run"]).exits(75);
    let said = scratch.run(&["show", "refunds"]).exits(2);
    assert!(said.stderr.contains("nothing of dataset `refunds` has been ingested yet"), "{}", said.stderr);
    assert!(said.stderr.contains("opsmart run --select source:refunds+"), "{}", said.stderr);
    let said = scratch.run(&["show", "stg_refunds"]).exits(2);
    assert!(said.stderr.contains("nothing of dataset `refunds` has been ingested yet"), "{}", said.stderr);
    scratch.write("elsewhere/refunds-1.csv", "id\n7\n");
    let _ = scratch.run(&["run", "--select", "source:refunds+"]).exits(0);
    assert_eq!(scratch.rows("select id from refunds"), ["7"]);
}

#[test]
fn a_folder_without_files_is_told_even_to_who_asked_for_quiet() {
    let scratch = Scratch::orders();
    std::fs::remove_file(scratch.path("landing/orders-1.csv")).unwrap();
    let warning = "warning: no file of orders has landed as `landing/orders-*.csv`";
    let said = scratch.run(&["run", "--quiet", "--output", "json"]).exits(0);
    assert!(said.stderr.contains(warning), "{}", said.stderr);
    let nothing_landed = serde_json::json!([["orders", "landing/orders-*.csv"]]);
    assert_eq!(document(&said)["nothing_landed"], nothing_landed);
    assert_eq!(newest_record(&scratch)["report"]["nothing_landed"], nothing_landed);
    // It has been said, and every run of a schedule is not the place to say it again.
    assert_eq!(scratch.run(&["run", "--quiet"]).exits(0).stderr, "");
    assert!(scratch.run(&["run"]).exits(0).stderr.contains(warning));
    let planned = document(&scratch.run(&["plan", "--output", "json"]).exits(0));
    assert_eq!(planned["datasets"][0]["nothing_landed"], "landing/orders-*.csv");
}

#[test]
fn what_is_no_plain_file_stops_the_run_and_the_way_out_is_told() {
    let scratch = Scratch::orders();
    let path = scratch.path("landing/orders-2.csv");
    let refused = |what: &str| {
        let said = scratch.run(&["run"]).exits(1);
        assert!(said.stderr.contains(&format!("`landing/orders-2.csv` is {what}")), "{}", said.stderr);
        assert!(said.stderr.contains("help: put a plain file in its place"), "{}", said.stderr);
    };
    std::fs::create_dir(&path).unwrap();
    refused("a folder");
    std::fs::remove_dir(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    refused("not a plain file");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("../opsmart.toml", &path).unwrap();
    refused("a link to a file elsewhere");
    std::fs::remove_file(&path).unwrap();
    // What the pattern does not match is nobody's business.
    std::fs::create_dir(scratch.path("landing/archive")).unwrap();
    let _ = scratch.run(&["run"]).exits(0);
}

#[test]
fn a_folder_on_the_way_of_two_stars_is_no_file() {
    let scratch = Scratch::orders();
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &contract.replace("{landing}/orders-*.csv", "{landing}/**/*"));
    scratch.write("landing/2024/03/orders-2.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,5.00\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select count(*) from fct_order"), ["3"]);
}

#[test]
fn a_misspelt_column_is_told_when_a_promise_breaks_too() {
    let scratch = Scratch::orders();
    scratch.write("schemas/models/fct_order.toml", "[columns]\namount = { required = true }\n");
    scratch.write("landing/orders-1.csv", "id,at,amuont\n1,2024-03-01T10:00:00Z,10.00\n");
    let said = scratch.run(&["run", "--quiet", "--output", "json"]).exits(1);
    for words in
        ["note: orders: the contract does not know amuont", "note: orders: a file that was read has no column amount"]
    {
        assert!(said.stderr.contains(words), "{}", said.stderr);
    }
    for dataset in [&document(&said)["datasets"][0], &newest_record(&scratch)["report"]["datasets"][0]] {
        assert_eq!(dataset["dataset"], "orders");
        assert_eq!(dataset["unknown_columns"], serde_json::json!(["amuont"]));
        assert_eq!(dataset["missing_columns"], serde_json::json!(["amount"]));
    }
    // A run that failed built nothing that counts.
    assert_eq!(newest_record(&scratch)["report"]["tables"], Value::Null);

    scratch.write("schemas/models/fct_order.toml", "");
    let said = scratch.run(&["run"]).exits(0);
    assert!(said.stderr.contains("  orders: a file that was read has no column amount\n"), "{}", said.stderr);
}

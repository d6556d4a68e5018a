//! What is published, when it changes, and when it must not.

use std::fs::File;

use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::scratch::{Scratch, is_thorough};

#[test]
fn a_second_run_with_nothing_new_writes_nothing() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run"]).exits(0);
    let before = scratch.files("warehouse");
    let said = scratch.run(&["run"]).exits(0);
    assert!(said.stderr.starts_with("nothing new"), "{}", said.stderr);
    assert_eq!(scratch.files("warehouse"), before);
    let _ = scratch.run(&["run", "--exit-on-skip"]).exits(99);
}

/// Returns the tables that a run built.
fn built(scratch: &Scratch) -> Vec<String> {
    let said = scratch.run(&["run", "--output", "json"]).exits(0);
    let report: serde_json::Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    report["tables"].as_array().unwrap().iter().map(|table| table["table"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_edit_rebuilds_what_it_changes_and_no_more() {
    let scratch = Scratch::orders();
    assert_eq!(built(&scratch), ["fct_order", "kpi_order_daily"]);
    // A comment, white space and the case of keywords mean nothing.
    scratch.write(
        "sql/marts/fct_order.sql",
        "-- Orders.\nSELECT id,\n  local_day(at, $reporting_zone) AS day, amount FROM stg_orders\n",
    );
    assert_eq!(built(&scratch), [""; 0]);
    // Another text with the same result: it is built, and what reads it is not.
    scratch.write("sql/marts/fct_order.sql", "select id, local_day(at, $reporting_zone) as day, amount + 0 as amount from (select id, at, cast(amount as decimal(9,2)) as amount from stg_orders) as o\n");
    let first = built(&scratch);
    assert_eq!(first[0], "fct_order");
    // Another result: both are.
    scratch.write(
        "sql/marts/fct_order.sql",
        "select id, local_day(at, $reporting_zone) as day, amount * 2 as amount from stg_orders\n",
    );
    assert_eq!(built(&scratch), ["fct_order", "kpi_order_daily"]);
    assert_eq!(scratch.rows("select cast(amount as decimal(10,2)) from kpi_order_daily"), ["60.00"]);
}

#[test]
fn equal_content_stops_the_wave() {
    let scratch = Scratch::orders();
    let _ = built(&scratch);
    scratch.write(
        "sql/marts/fct_order.sql",
        "select id, local_day(at, $reporting_zone) as day, amount from stg_orders where id > 0\n",
    );
    assert_eq!(built(&scratch), ["fct_order"]);
}

#[test]
fn new_words_rewrite_what_is_told_and_rebuild_nothing() {
    let scratch = Scratch::orders();
    let _ = built(&scratch);
    scratch.write(
        "schemas/columns.toml",
        "[amount]\ndescription = \"What was paid\"\nunit = \"CNY\"\nen = \"Amount\"\nzh = \"金额\"\n",
    );
    assert_eq!(built(&scratch), [""; 0]);
    let views = std::fs::read_to_string(scratch.path("warehouse/published/current/views.sql")).unwrap();
    assert!(views.contains("'Amount | 金额 | What was paid | [CNY]'"), "{views}");
}

#[test]
fn a_broken_promise_keeps_yesterdays_numbers_and_names_rows() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run"]).exits(0);
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T09:00:00Z,-5.00\n");
    let said = scratch.run(&["run"]).exits(1);
    assert!(
        said.stderr.contains("failed[fct_order.amount.min]: `amount` of `fct_order` must be at least 0"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("id 3, day 2024-03-02, amount -5.00"), "{}", said.stderr);
    assert_eq!(scratch.rows("select count(*), sum(amount) from fct_order"), ["2,30.00"]);
    // The file was never admitted, so mending it is enough.
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T09:00:00Z,5.00\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select count(*), sum(amount) from fct_order"), ["3,35.00"]);
}

#[test]
fn a_new_promise_is_asked_about_although_nothing_is_built() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run"]).exits(0);
    scratch.write("schemas/models/fct_order.toml", "key = [\"id\"]\n[columns]\namount = { max = 15 }\n");
    let said = scratch.run(&["run"]).exits(1);
    assert!(said.stderr.contains("failed[fct_order.amount.max]"), "{}", said.stderr);
    scratch.write("schemas/models/fct_order.toml", "key = [\"id\"]\n[columns]\namount = { max = 25 }\n");
    assert_eq!(built(&scratch), [""; 0]);
    let said = scratch.run(&["run"]).exits(0);
    assert!(said.stderr.starts_with("nothing new"), "{}", said.stderr);
}

#[test]
fn a_model_that_is_gone_is_published_no_more() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run"]).exits(0);
    std::fs::remove_file(scratch.path("sql/kpi/kpi_order_daily.sql")).unwrap();
    std::fs::remove_file(scratch.path("sql/checks/assert_days_add_up.sql")).unwrap();
    assert_eq!(built(&scratch), [""; 0]);
    assert!(!scratch.path("warehouse/published/current/kpi_order_daily").exists());
    assert!(scratch.path("warehouse/published/current/fct_order").exists());
    let _ = scratch.run(&["run", "--exit-on-skip"]).exits(99);
}

#[test]
fn a_failing_check_of_the_project_publishes_nothing() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run"]).exits(0);
    scratch.write("sql/checks/assert_no_order_two.sql", "select id from fct_order where id = 2\n");
    let said = scratch.run(&["run"]).exits(1);
    assert!(said.stderr.contains("failed[assert_no_order_two]"), "{}", said.stderr);
    assert!(said.stderr.contains("\n  id 2\n"), "{}", said.stderr);
}

#[test]
fn a_missing_file_of_the_warehouse_is_told_and_not_taken_for_no_rows() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run"]).exits(0);
    for entry in std::fs::read_dir(scratch.path("warehouse/data/fct_order/all")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for command in [
        &["show", "fct_order"][..],
        &["why", "kpi_order_daily", "orders=2"],
        &["why", "kpi_order_daily", "orders=2", "--evaluate", "0"],
    ] {
        let said = scratch.run(command).exits(1);
        assert!(said.stderr.contains("it is missing"), "{command:?}: {}", said.stderr);
    }
    scratch.write(
        "sql/kpi/kpi_order_daily.sql",
        "select day, count(id) as orders, sum(amount) as amount from fct_order group by day\n",
    );
    let said = scratch.run(&["run"]).exits(1);
    assert!(said.stderr.contains("it is missing"), "{}", said.stderr);
    // A rebuild of the table itself mends it.
    scratch.write(
        "sql/marts/fct_order.sql",
        "select id + 0 as id, local_day(at, $reporting_zone) as day, amount from stg_orders\n",
    );
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select count(*) from fct_order"), ["2"]);
}

#[test]
fn what_is_no_number_is_not_published() {
    let scratch = Scratch::orders();
    scratch.write(
        "sql/kpi/kpi_order_share.sql",
        "select id, cast(id as double) / cast(id - 1 as double) as share from fct_order\n",
    );
    let said = scratch.run(&["run"]).exits(1);
    assert!(said.stderr.contains("column `share` holds NaN or infinity"), "{}", said.stderr);
}

#[test]
fn a_named_window_without_order_is_a_mistake() {
    let scratch = Scratch::orders();
    scratch.write(
        "sql/kpi/kpi_order_rank.sql",
        "select id, row_number() over w as n from fct_order window w as (partition by amount)\n",
    );
    let said = scratch.run(&["check"]).exits(2);
    assert!(said.stderr.contains("`row_number` depends on the order of rows"), "{}", said.stderr);
    scratch.write(
        "sql/kpi/kpi_order_rank.sql",
        "select id, row_number() over w as n from fct_order window w as (partition by amount order by id)\n",
    );
    let _ = scratch.run(&["check"]).exits(0);
}

#[test]
fn a_rollback_holds_until_it_is_released() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run"]).exits(0);
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T09:00:00Z,5.00\n");
    let _ = scratch.run(&["run"]).exits(0);
    let _ = scratch.run(&["rollback"]).exits(0);
    assert_eq!(scratch.rows("select count(*) from fct_order"), ["2"]);
    scratch.write("landing/orders-3.csv", "id,at,amount\n4,2024-03-02T09:00:00Z,5.00\n");
    let said = scratch.run(&["run"]).exits(3);
    assert!(said.stderr.contains("which waits"), "{}", said.stderr);
    assert_eq!(scratch.rows("select count(*) from fct_order"), ["2"]);
    let current = std::fs::read_link(scratch.path("warehouse/published/current")).unwrap();
    let _ = scratch.run(&["release"]).exits(0);
    assert_eq!(scratch.rows("select count(*) from fct_order"), ["4"]);
    assert_ne!(std::fs::read_link(scratch.path("warehouse/published/current")).unwrap(), current);
    let _ = scratch.run(&["rollback", "zz"]).exits(2);
}

#[test]
fn an_as_of_before_the_published_one_is_refused() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run", "--as-of", "2024-07-02"]).exits(0);
    let said = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(2);
    assert!(said.stderr.contains("is before 2024-07-02"), "{}", said.stderr);
}

#[test]
fn only_tables_that_use_the_clock_depend_on_it() {
    let scratch = Scratch::orders();
    scratch.write(
        "sql/kpi/kpi_order_age.sql",
        "select id, local_day($as_of, $reporting_zone) - day as days from fct_order\n",
    );
    let at = |day: &str| {
        let said = scratch.run(&["run", "--output", "json", "--as-of", day]).exits(0);
        let report: serde_json::Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
        report["tables"].as_array().unwrap().iter().map(|t| t["table"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(at("2024-03-02"), ["fct_order", "kpi_order_age", "kpi_order_daily"]);
    assert_eq!(at("2024-03-03"), ["kpi_order_age"]);
    assert_eq!(scratch.rows("select max(days) from kpi_order_age"), ["2"]);
}

#[test]
fn the_result_does_not_depend_on_how_many_threads_worked() {
    let content = |threads: &str| {
        let scratch = Scratch::copy_of(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data-samples").as_path());
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["jobs", "sql", "schemas", "data-samples"] {
            crate::scratch::copy(&root.join(folder), scratch.path(folder).as_std_path());
        }
        std::fs::copy(root.join("opsmart.toml"), scratch.path("opsmart.toml")).unwrap();
        let status = scratch
            .command(&["run", "--quiet", "--as-of", "2024-07-01"])
            .args((!is_thorough()).then_some("market"))
            .env("OPSMART_THREADS", threads)
            .status()
            .unwrap();
        assert!(status.success());
        let reference: serde_json::Value =
            serde_json::from_slice(&std::fs::read(scratch.path("warehouse/refs/main")).unwrap()).unwrap();
        let snapshot = format!("warehouse/snapshots/{}.json", reference["snapshot"].as_str().unwrap());
        let snapshot: serde_json::Value =
            serde_json::from_slice(&std::fs::read(scratch.path(&snapshot)).unwrap()).unwrap();
        let tables = snapshot["tables"].as_object().unwrap().clone();
        tables
            .into_iter()
            .map(|(name, entry)| (name, entry["content"].clone()))
            .filter(|(name, _)| name != "dq_ledger")
            .collect::<Vec<_>>()
    };
    assert_eq!(content("1"), content("8"));
}

#[test]
fn published_files_are_plain_parquet_with_plain_types() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run"]).exits(0);
    let current = scratch.path("warehouse/published/current");
    let read = |table: &str| {
        SerializedFileReader::new(File::open(current.join(table).join("part-0.parquet")).unwrap()).unwrap()
    };
    let rows: Vec<String> =
        read("kpi_order_daily").get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
    assert_eq!(rows, ["{day: 2024-03-01, orders: 2, amount: 30.00}"]);
    for table in ["fct_order", "dq_ledger", "dq_quarantine", "_metadata"] {
        let reader = read(table);
        let schema = reader.metadata().file_metadata().schema_descr();
        assert!(schema.columns().iter().all(|column| column.max_def_level() <= 1), "{table} has nested columns");
    }
    let columns = scratch.path("warehouse/published/current/_metadata");
    assert!(columns.exists());
}

#[test]
fn a_remembered_run_sees_every_change() {
    let scratch = Scratch::orders();
    let run = |exit: i32| {
        scratch.age();
        scratch.run(&["run", "--exit-on-skip"]).exits(exit)
    };
    let settle = || {
        let _ = run(99);
        assert_eq!(scratch.remembered_runs().len(), 1, "the idle run is remembered");
        let _ = run(99);
    };
    let _ = run(0);
    settle();
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,5.00\n");
    let _ = run(0);
    settle();
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,6.00\n");
    let _ = run(0);
    settle();
    scratch.write("sql/kpi/kpi_order_daily.sql", "select day, count(*) as orders from fct_order group by day\n");
    let _ = run(0);
    settle();
    // A clock that moves on is another question, and so is another selection.
    let _ = scratch.run(&["run", "--exit-on-skip", "--select", "fct_order"]).exits(99);
    // Readers have lost their way to the tables; the run that finds nothing new shows it to them again.
    std::fs::remove_file(scratch.path("warehouse/published/current")).unwrap();
    let _ = run(99);
    assert!(scratch.path("warehouse/published/current").exists());
    let _ = scratch.run(&["rollback"]).exits(0);
    let said = run(3);
    assert!(said.stderr.contains("rollback"), "{}", said.stderr);
}

#[test]
fn a_remembered_check_sees_every_change() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["check"]).exits(0);
    assert!(scratch.files("warehouse").is_empty(), "who only checks gets no warehouse");
    let _ = scratch.run(&["run"]).exits(0);
    scratch.age();
    for _ in 0..2 {
        assert_eq!(scratch.run(&["check"]).exits(0).stderr, "ok: 1 job, 1 dataset, 3 models, 1 check\n");
    }
    // What it said, and which queries were tried over empty tables.
    assert_eq!(scratch.files("warehouse/memos").len(), 2);
    scratch.write("sql/marts/fct_order.sql", "select id, att from stg_orders\n");
    scratch.age();
    assert!(scratch.run(&["check"]).exits(2).stderr.contains("att"));
}

//! `opsmart diff`: what became of the rows from one snapshot to another, told from the landed files by hand.

use std::sync::Arc;

use opsmart::store::{LocalDisk, Store};
use serde_json::{Value, json};

use crate::kept_rows::noise;
use crate::scratch::Scratch;

/// A project that has published once: orders 1 and 2, of 10.00 and 20.00, on the first of March.
fn published() -> Scratch {
    let scratch = Scratch::orders();
    scratch.write("schemas/models/kpi_order_daily.toml", "key = [\"day\"]\n");
    run(&scratch);
    scratch
}

/// Runs; what it builds waits where something is held.
fn run(scratch: &Scratch) {
    let said = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]);
    assert!([0, 3].contains(&said.exit), "{}", said.stderr);
}

/// Lands a second file with these records, and publishes.
fn land(scratch: &Scratch, records: &str) {
    scratch.write("landing/orders-2.csv", &format!("id,at,amount\n{records}"));
    run(scratch);
}

/// Order 2 becomes one of 25.00, and order 3 comes a day later.
const CHANGE_AND_ADD: &str = "2,2024-03-01T12:00:00Z,25.00\n3,2024-03-02T10:00:00Z,5.00\n";

fn told(scratch: &Scratch, arguments: &[&str]) -> Value {
    let said = scratch.run(&[&["diff", "--output", "json"], arguments].concat()).exits(0);
    serde_json::from_str(&said.stdout).unwrap()
}

/// Returns what is told of one table.
fn of(scratch: &Scratch, table: &str, arguments: &[&str]) -> Value {
    told(scratch, &[&["--table", table], arguments].concat())["tables"][0].clone()
}

/// Returns the rows of a table before and after, those added, removed, changed and unchanged.
fn counts(table: &Value) -> Value {
    ["rows_before", "rows_after", "added", "removed", "changed", "unchanged"].map(|name| table[name].clone()).into()
}

#[test]
fn rows_are_counted_by_the_key_of_each_table() {
    let scratch = published();
    land(&scratch, CHANGE_AND_ADD);
    let document = told(&scratch, &[]);
    let tables = document["tables"].as_array().unwrap();
    let names: Vec<&Value> = tables.iter().map(|table| &table["table"]).collect();
    assert_eq!(names, ["dq_check_result", "dq_ledger", "fct_order", "kpi_order_daily", "orders"]);
    assert_eq!(document["equal"], json!(["dq_check_row", "dq_quarantine"]));
    assert_eq!((&tables[2]["key"], counts(&tables[2])), (&json!(["id"]), json!([2, 3, 1, 0, 1, 1])));
    assert_eq!((&tables[3]["key"], counts(&tables[3])), (&json!(["day"]), json!([1, 2, 1, 0, 1, 0])));
    assert_eq!((&tables[4]["key"], counts(&tables[4])), (&json!(["id"]), json!([2, 3, 1, 0, 1, 1])));
    // The ledger has no key: its row of the first file, of which one is superseded now, is another one, and the second
    // file has one too.
    assert_eq!((&tables[1]["key"], counts(&tables[1])), (&json!([]), json!([1, 2, 2, 1, null, 0])));
    assert_eq!(document["before"]["as_of"], "2024-07-01T00:00:00.000000Z");

    let said = scratch.run(&["diff", "--table", "fct_order"]).exits(0);
    let lines: Vec<Vec<&str>> = said.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["Table", "before", "after", "added", "removed", "changed", "unchanged"]);
    assert_eq!(lines[1], ["fct_order", "2", "3", "1", "0", "1", "1"]);
    assert!(said.stderr.ends_with(": 1 table differs, 0 the same\n"), "{}", said.stderr);
}

#[test]
fn back_and_forth_are_each_others_mirror() {
    let scratch = published();
    land(&scratch, CHANGE_AND_ADD);
    let document = told(&scratch, &[]);
    let (before, after) =
        (document["before"]["snapshot"].as_str().unwrap(), document["after"]["snapshot"].as_str().unwrap());
    // A beginning of a name will do.
    assert_eq!(counts(&of(&scratch, "fct_order", &[&before[..8], &after[..8]])), json!([2, 3, 1, 0, 1, 1]));
    assert_eq!(counts(&of(&scratch, "fct_order", &[after, before])), json!([3, 2, 0, 1, 1, 1]));
    assert_eq!(of(&scratch, "fct_order", &[after, after]), Value::Null);
}

#[test]
fn the_rows_with_the_least_keys_are_shown() {
    let scratch = published();
    land(
        &scratch,
        "1,2024-03-01T12:00:00Z,\n2,2024-03-01T12:00:00Z,25.00\n9,2024-03-02T10:00:00Z,\n3,2024-03-02T10:00:00Z,5.00\n",
    );
    let rows = of(&scratch, "fct_order", &["--rows", "1"])["rows"].clone();
    let expected = json!({
        "added": [{"id": "3", "day": "2024-03-02", "amount": "5.00"}],
        "removed": [],
        "changed": [{"key": {"id": "1"}, "columns": [{"column": "amount", "before": "10.00", "after": null}]}],
    });
    assert_eq!(rows, expected);
    let said = scratch.run(&["diff", "--table", "fct_order", "--rows", "9"]).exits(0).stdout;
    let shown = "\nfct_order\n  added    id 3, day 2024-03-02, amount 5.00\n  added    id 9, day 2024-03-02, amount null\n  \
                 changed  id 1: amount 10.00 -> null\n  changed  id 2: amount 20.00 -> 25.00\n";
    assert!(said.ends_with(shown), "{said}");
    // Seen from the other side they went.
    let [after, before] = ["after", "before"].map(|side| told(&scratch, &[])[side]["snapshot"].clone());
    let back = of(&scratch, "fct_order", &[after.as_str().unwrap(), before.as_str().unwrap(), "--rows", "1"]);
    assert_eq!(back["rows"]["removed"], expected["added"]);
}

#[test]
fn nulls_are_values_like_others() {
    let scratch = published();
    land(&scratch, "3,2024-03-02T10:00:00Z,\n4,2024-03-02T10:00:00Z,\n");
    // Order 3 stays without an amount, order 4 gets one.
    scratch.write("landing/orders-3.csv", "id,at,amount\n3,2024-03-02T11:00:00Z,\n4,2024-03-02T11:00:00Z,1\n");
    run(&scratch);
    assert_eq!(counts(&of(&scratch, "fct_order", &[])), json!([4, 4, 0, 0, 1, 3]));
}

#[test]
fn equal_rows_of_a_table_without_a_key_are_counted() {
    let scratch = Scratch::orders();
    scratch.write("sql/marts/fct_amount.sql", "select amount from stg_orders\n");
    run(&scratch);
    // 10 and 20 become 10, 10, 10 and a null.
    land(&scratch, "2,2024-03-01T12:00:00Z,10\n3,2024-03-01T12:00:00Z,10\n4,2024-03-01T12:00:00Z,\n");
    let table = of(&scratch, "fct_amount", &["--rows", "5"]);
    assert_eq!((&table["whole_rows"], counts(&table)), (&json!("it has no key"), json!([2, 4, 3, 1, null, 1])));
    assert_eq!(table["rows"]["added"], json!([{"amount": null}, {"amount": "10.00"}]));
    assert_eq!(table["rows"]["removed"], json!([{"amount": "20.00"}]));
}

#[test]
fn a_key_that_comes_twice_tells_nothing_apart() {
    let scratch = Scratch::orders();
    scratch.write("sql/marts/fct_amount.sql", "select amount from stg_orders\n");
    land(&scratch, "2,2024-03-01T12:00:00Z,10\n");
    scratch.write("schemas/models/fct_amount.toml", "key = [\"amount\"]\n");
    land(&scratch, "2,2024-03-01T12:00:00Z,20\n");
    // From 10 and 10 to 10 and 20.
    let table = of(&scratch, "fct_amount", &[]);
    assert_eq!((&table["key"], counts(&table)), (&json!([]), json!([2, 2, 1, 1, null, 1])));
    assert_eq!(table["whole_rows"], "its key comes more than once");
}

#[test]
fn a_key_of_all_columns_is_a_key() {
    let scratch = Scratch::orders();
    scratch.write("sql/marts/fct_id.sql", "select id from stg_orders\n");
    scratch.write("schemas/models/fct_id.toml", "key = [\"id\"]\n");
    run(&scratch);
    land(&scratch, "3,2024-03-01T12:00:00Z,10\n");
    let table = of(&scratch, "fct_id", &[]);
    assert_eq!((&table["key"], counts(&table)), (&json!(["id"]), json!([2, 3, 1, 0, 0, 2])));
}

#[test]
fn columns_that_came_went_or_changed_their_type_are_told() {
    let scratch = published();
    scratch.write("sql/checks/assert_days_add_up.sql", "select 1 from kpi_order_daily where day is null\n");
    scratch.write(
        "sql/kpi/kpi_order_daily.sql",
        "select day, cast(count(*) as double) as orders, max(amount) as greatest from fct_order group by day\n",
    );
    run(&scratch);
    let table = of(&scratch, "kpi_order_daily", &[]);
    let expected = json!({
        "added": ["greatest"],
        "removed": ["amount"],
        "retyped": [{"column": "orders", "before": "int64", "after": "float64"}],
    });
    // There are two orders a day, as before.
    assert_eq!((&table["columns"], counts(&table)), (&expected, json!([1, 1, 0, 0, 0, 1])));
    let said = scratch.run(&["diff", "--table", "kpi_order_daily"]).exits(0).stdout;
    assert!(said.contains("new greatest; gone amount; orders was int64 and is float64"), "{said}");
}

#[test]
fn a_table_of_one_snapshot_alone_is_all_new_or_all_gone() {
    let scratch = published();
    scratch.write("sql/marts/fct_amount.sql", "select amount from stg_orders\n");
    std::fs::remove_file(scratch.path("sql/checks/assert_days_add_up.sql")).unwrap();
    std::fs::remove_file(scratch.path("sql/kpi/kpi_order_daily.sql")).unwrap();
    std::fs::remove_file(scratch.path("schemas/models/kpi_order_daily.toml")).unwrap();
    run(&scratch);
    assert_eq!(counts(&of(&scratch, "fct_amount", &[])), json!([null, 2, 2, 0, null, 0]));
    let gone = of(&scratch, "kpi_order_daily", &["--rows", "5"]);
    assert_eq!(counts(&gone), json!([1, null, 0, 1, null, 0]));
    assert_eq!(gone["rows"]["removed"], json!([{"day": "2024-03-01", "orders": "2", "amount": "30.00"}]));
}

#[test]
fn partitions_with_the_same_rows_are_not_read() {
    let scratch = Scratch::orders();
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &format!("partition = {{ day = \"at\" }}\n{contract}"));
    scratch.write("schemas/models/fct_order.toml", "key = [\"id\"]\npartition = { day = \"day\" }\n");
    run(&scratch);
    land(&scratch, "3,2024-03-02T10:00:00Z,5.00\n");
    scratch.write("landing/orders-3.csv", "id,at,amount\n3,2024-03-02T11:00:00Z,6.00\n4,2024-03-03T11:00:00Z,1.00\n");
    run(&scratch);
    // Without it not a row of the first of March can be read.
    let store = Store::open(&scratch.path("warehouse"), Arc::new(LocalDisk));
    let (_, snapshot) = store.current().unwrap().unwrap();
    let state = store.table("fct_order", &snapshot.tables["fct_order"].state).unwrap();
    let first_of_march = Some(19_783);
    let file = state.files.iter().find(|file| file.partitions.iter().any(|(key, _)| *key == first_of_march)).unwrap();
    assert_eq!(file.partitions.len(), 1, "{file:?}");
    std::fs::remove_file(store.path(file)).unwrap();
    let table = of(&scratch, "fct_order", &["--rows", "5"]);
    assert_eq!((&table["partitions"], counts(&table)), (&json!({"read": 2, "all": 3}), json!([3, 4, 1, 0, 1, 2])));
    assert_eq!(
        table["rows"]["changed"],
        json!([{"key": {"id": "3"}, "columns": [{"column": "amount", "before": "5.00", "after": "6.00"}]}])
    );
}

#[test]
fn a_row_that_moves_to_another_partition_is_the_same_row() {
    let scratch = Scratch::orders();
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &format!("partition = {{ day = \"at\" }}\n{contract}"));
    scratch.write("schemas/models/fct_order.toml", "key = [\"id\"]\npartition = { day = \"day\" }\n");
    run(&scratch);
    land(&scratch, "2,2024-03-02T10:00:00Z,20.00\n");
    let table = of(&scratch, "fct_order", &[]);
    assert_eq!((&table["partitions"], counts(&table)), (&json!({"read": 2, "all": 2}), json!([2, 2, 0, 0, 1, 1])));
}

#[test]
fn movements_of_numbers_begin_with_the_greatest_share() {
    let scratch = published();
    // The first of March goes from 2 orders of 30.00 to 3 of 75.00.
    land(&scratch, "3,2024-03-01T10:00:00Z,45.00\n4,2024-03-02T10:00:00Z,5.00\n");
    let document = told(&scratch, &["--kpi"]);
    let tables = document["tables"].as_array().unwrap();
    assert_eq!((tables.len(), &tables[0]["table"]), (1, &json!("kpi_order_daily")));
    let key = json!({"day": "2024-03-01"});
    assert_eq!(
        tables[0]["movements"],
        json!([
            {"key": key, "column": "amount", "before": "30.00", "after": "75.00", "by": 45.0, "relative": 1.5},
            {"key": key, "column": "orders", "before": "2", "after": "3", "by": 1.0, "relative": 0.5},
        ])
    );
    assert_eq!(told(&scratch, &["--kpi", "--rows", "1"])["tables"][0]["movements"].as_array().unwrap().len(), 1);
    let said = scratch.run(&["diff", "--kpi"]).exits(0).stdout;
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[4], ["kpi_order_daily", "day", "2024-03-01", "amount", "30.00", "75.00", "+45", "+150.0%"]);
    assert_eq!(lines[5], ["kpi_order_daily", "day", "2024-03-01", "orders", "2", "3", "+1", "+50.0%"]);
    // Any table may be asked for, and what was zero has moved furthest.
    land(&scratch, "1,2024-03-01T12:00:00Z,0\n2,2024-03-01T12:00:00Z,40.00\n");
    land(&scratch, "1,2024-03-01T12:00:00Z,0.01\n2,2024-03-01T12:00:00Z,10.00\n");
    let moved = of(&scratch, "fct_order", &["--kpi"])["movements"].clone();
    let told: Vec<(&Value, &Value)> =
        moved.as_array().unwrap().iter().map(|movement| (&movement["by"], &movement["relative"])).collect();
    assert_eq!(told, [(&json!(0.01), &Value::Null), (&json!(-30.0), &json!(-0.75))]);
}

#[test]
fn what_does_not_fit_into_memory_is_compared_in_slices() {
    let scratch = Scratch::orders();
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &format!("{contract}note = \"string\"\n"));
    scratch.write("sql/staging/stg_orders.sql", "select id, at, amount, note from orders\n");
    scratch.write("sql/marts/fct_note.sql", "select id, note from stg_orders\n");
    // Every thousandth order has another note the second time.
    for time in 0..2 {
        let note = |id: i64| noise(if id % 1000 == 0 { id + time } else { id });
        let record = |id: i64| format!("{id},2024-03-02T10:00:00Z,1.00,{}\n", note(id));
        let records: String = (1..=60_000).map(record).collect();
        scratch.write("landing/orders-1.csv", &format!("id,at,amount,note\n{records}"));
        run(&scratch);
    }
    let settings = "memory = \"2MB\"\nreporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n";
    scratch.write("opsmart.toml", settings);
    let orders = of(&scratch, "orders", &["--rows", "2"]);
    assert_eq!(counts(&orders), json!([60_000, 60_000, 0, 0, 60, 59_940]));
    let keys: Vec<&Value> = orders["rows"]["changed"].as_array().unwrap().iter().map(|row| &row["key"]["id"]).collect();
    assert_eq!(keys, ["1000", "2000"]);
    // Without a key as well.
    assert_eq!(counts(&of(&scratch, "fct_note", &[])), json!([60_000, 60_000, 60, 60, null, 59_940]));
}

#[test]
fn while_something_waits_it_is_compared_with_what_is_in_force() {
    let scratch = published();
    land(&scratch, CHANGE_AND_ADD);
    let _ = scratch.run(&["rollback", "--quiet"]).exits(0);
    land(&scratch, "3,2024-03-02T10:00:00Z,5.00\n4,2024-03-02T10:00:00Z,5.00\n");
    // In force are orders 1 and 2; waiting, 3 and 4 as well, with the runs between them.
    assert_eq!(counts(&of(&scratch, "fct_order", &[])), json!([2, 4, 2, 0, 0, 2]));
}

#[test]
fn what_cannot_be_compared_ends_with_2() {
    let scratch = Scratch::orders();
    let nothing = scratch.run(&["diff"]).exits(2).stderr;
    assert!(nothing.contains("nothing has been published yet"), "{nothing}");
    run(&scratch);
    let first = scratch.run(&["diff"]).exits(2).stderr;
    assert!(first.contains("there is no other snapshot before"), "{first}");
    land(&scratch, CHANGE_AND_ADD);
    let unknown = scratch.run(&["diff", "--table", "fct_ordr"]).exits(2).stderr;
    assert!(
        unknown.contains("there is no table `fct_ordr` in either snapshot\nhelp: did you mean `fct_order`?"),
        "{unknown}"
    );
    let snapshot = scratch.run(&["diff", "zz"]).exits(2).stderr;
    assert!(snapshot.contains("no snapshot begins with `zz`"), "{snapshot}");
    let _ = scratch.run(&["diff", "--rows", "10001"]).exits(2);
}

#[test]
fn nothing_is_left_behind() {
    let scratch = published();
    land(&scratch, CHANGE_AND_ADD);
    let files = || scratch.files("warehouse").into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let before = files();
    let _ = told(&scratch, &["--rows", "3"]);
    let of_locks = |path: &std::path::PathBuf| path.to_string_lossy().ends_with(".lock");
    let new: Vec<_> = files().into_iter().filter(|path| !before.contains(path) && !of_locks(path)).collect();
    assert!(new.is_empty(), "{new:?}");
}

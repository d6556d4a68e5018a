//! What lies inside records: arrays that are made into rows, and fields that no contract knows, up to the models that
//! read them.

use crate::scratch::Scratch;

const CONTRACT: &str = "schemas/sources/orders.toml";
const LEDGER: &str = "select records, accepted, quarantined, blank, rows, clean, exact_duplicates, superseded from dq_ledger \
    order by sequence";

/// Orders of several items, one row each; a later version of an item supersedes an earlier one.
fn items() -> Scratch {
    Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
        ("jobs/orders.toml", "ingest = [\"orders\"]\n"),
        (
            CONTRACT,
            r#"from = "{landing}/orders-*.ndjson"
format = { type = "ndjson", explode = "items" }
key = ["id", "item"]
keep = { latest = "at" }
rejected_share = 0.5
new_columns = "take"
[columns]
id = "int64!"
at = "timestamp!"
item = { type = "int64!", path = "items.#" }
sku = { type = "string!", path = "items.sku" }
more = { type = "string", rest = true }
"#,
        ),
        (
            "sql/staging/stg_order_items.sql",
            "select id, item, sku, json_text(more, 'note') as note, json_text(more, 'items.tags.1') as second_tag,
try_cast(json_text(more, 'items.size.cm') as bigint) as cm from orders
",
        ),
        ("sql/marts/fct_order_item.sql", "select id, item, sku, note, second_tag, cm from stg_order_items\n"),
        (
            "landing/orders-1.ndjson",
            r#"{"id":1,"at":"2024-03-01T10:00:00Z","note":"a \"b\"","items":[{"sku":"x","tags":[1,"two"]},{"sku":"y","size":{"cm":30}}]}
{"id":2,"at":"2024-03-01T10:00:00Z","items":[{"sku":"x"},{"sku":null},{"sku":3}]}

{"id":3,"at":"2024-03-01T10:00:00Z","items":[{"sku":"z"}]}
"#,
        ),
    ])
}

#[test]
fn items_become_rows_and_what_no_column_knows_is_read_in_sql() {
    let scratch = items();
    let said = scratch.run(&["run"]).exits(0);
    let rows = "select id, item, sku, note, second_tag, cm from fct_order_item order by id, item";
    assert_eq!(scratch.rows(rows), ["1,1,x,\"a \"\"b\"\"\",two,", "1,2,y,\"a \"\"b\"\"\",,30", "3,1,z,,,"]);
    // Three records of which one has an item without a name: it is set aside whole, and once.
    assert_eq!(scratch.rows(LEDGER), ["4,2,1,1,3,3,0,0"]);
    assert_eq!(scratch.rows("select line, reason, column_name from dq_quarantine"), ["2,E_NULL,sku"]);
    assert_eq!(
        scratch.rows("select unknown_columns from dq_ledger"),
        ["\"note, items.tags, items.size\""],
        "what is taken is reported all the same"
    );
    let shown: Vec<Vec<&str>> = said.stderr.lines().map(|line| line.split_whitespace().collect()).collect();
    let table = shown.iter().position(|line| line.first() == Some(&"Dataset")).unwrap();
    assert_eq!(shown[table][5..8], ["blank", "rows", "clean"], "{}", said.stderr);
    assert_eq!(shown[table + 1][..8], ["orders", "1", "4", "2", "1", "1", "3", "3"], "{}", said.stderr);
}

#[test]
fn the_equation_of_rows_holds_when_items_are_superseded_and_repeated() {
    let scratch = items();
    scratch.write(
        "landing/orders-2.ndjson",
        r#"{"id":1,"at":"2024-03-02T10:00:00Z","items":[{"sku":"new"}]}
{"id":3,"at":"2024-03-01T10:00:00Z","items":[{"sku":"z"},{"sku":"zz"}]}
"#,
    );
    let said = scratch.run(&["run", "--output", "json"]).exits(0).stdout;
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let dataset = &report["datasets"][0];
    assert_eq!(
        (dataset["accepted"].as_u64(), dataset["rows"].as_u64(), dataset["clean"].as_u64()),
        (Some(4), Some(6), Some(4))
    );
    // The later file has a later version of one item, and says another once more.
    assert_eq!(scratch.rows(LEDGER), ["4,2,1,1,3,1,1,1", "2,2,0,0,3,3,0,0"]);
    assert_eq!(
        scratch.rows("select id, item, sku from fct_order_item order by id, item"),
        ["1,1,new", "1,2,y", "3,1,z", "3,2,zz"]
    );
}

#[test]
fn of_elements_of_one_key_the_later_stays() {
    let scratch = items();
    let contract = std::fs::read_to_string(scratch.path(CONTRACT)).unwrap();
    scratch.write(CONTRACT, &contract.replace("key = [\"id\", \"item\"]", "key = [\"id\", \"sku\"]"));
    scratch.write(
        "landing/orders-1.ndjson",
        "{\"id\":1,\"at\":\"2024-03-01T10:00:00Z\",\"items\":[{\"sku\":\"x\"},{\"sku\":\"y\"},{\"sku\":\"x\"}]}\n",
    );
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select sku, item from fct_order_item order by sku"), ["x,3", "y,2"]);
    assert_eq!(scratch.rows(LEDGER), ["1,1,0,0,3,2,0,1"]);
}

#[test]
fn a_record_with_an_item_at_fault_is_shown_with_that_item_marked_and_comes_in_once_it_fits() {
    let scratch = items();
    let contract = std::fs::read_to_string(scratch.path(CONTRACT)).unwrap();
    let narrow = contract.replace("\"string!\", path", "\"string!\", values = [\"x\", \"y\", \"z\"], path");
    scratch.write(CONTRACT, &narrow);
    scratch.write(
        "landing/orders-1.ndjson",
        r#"{"id":1,"at":"2024-03-01T10:00:00Z","items":[{"sku":"x"},{"sku":"q"}]}
{"id":2,"at":"2024-03-01T10:00:00Z","items":[{"sku":"x"}]}
"#,
    );
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(
        scratch.run(&["quarantine", "show"]).exits(0).stdout,
        "landing/orders-1.ndjson:1: E_ENUM in `sku`: expected one of `x`, `y`, `z`, found `q`\n  \
         {\"id\":1,\"at\":\"2024-03-01T10:00:00Z\",\"items\":[{\"sku\":\"x\"},{\"sku\":\"»q«\"}]}\n"
    );
    scratch.write(CONTRACT, &contract);
    let _ = scratch.run(&["quarantine", "replay", "orders"]).exits(0);
    assert_eq!(scratch.rows(LEDGER), ["2,2,0,0,3,3,0,0"]);
}

#[test]
fn a_contract_that_begins_to_make_rows_or_to_take_reads_its_files_again() {
    let scratch = items();
    let contract = std::fs::read_to_string(scratch.path(CONTRACT)).unwrap();
    let plain = contract
        .replace(", explode = \"items\"", "")
        .replace("key = [\"id\", \"item\"]", "key = [\"id\"]")
        .replace("item = { type = \"int64!\", path = \"items.#\" }\n", "item = \"int64\"\n")
        .replace("sku = { type = \"string!\", path = \"items.sku\" }", "sku = \"string\"")
        .replace("new_columns = \"take\"\n", "")
        .replace(", rest = true", "");
    scratch.write(CONTRACT, &plain);
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(LEDGER), ["4,3,0,1,3,3,0,0"]);
    assert_eq!(scratch.rows("select distinct more from orders"), ["\"\""]);
    scratch.write(CONTRACT, &contract);
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(LEDGER), ["4,2,1,1,3,3,0,0"]);
    assert_eq!(scratch.rows("select count(more) from orders"), ["2"]);
}

#[test]
fn records_that_make_several_rows_are_late_once() {
    let scratch = items();
    let contract = std::fs::read_to_string(scratch.path(CONTRACT)).unwrap();
    scratch.write(CONTRACT, &contract.replace("[columns]", "late = { by = \"at\", after = \"1 day\" }\n[columns]"));
    let _ = scratch.run(&["run"]).exits(0);
    // Of the two records, and not of their three rows.
    assert_eq!(scratch.rows("select accepted, rows, late from dq_ledger"), ["2,3,2"]);
}

#[test]
fn unknown_columns_of_csv_are_taken() {
    let scratch = Scratch::orders();
    let contract = std::fs::read_to_string(scratch.path(CONTRACT)).unwrap();
    let contract =
        contract.replace("[columns]", "new_columns = \"take\"\n[columns]\nmore = { type = \"string\", rest = true }");
    scratch.write(CONTRACT, &contract);
    scratch.write("sql/staging/stg_orders.sql", "select id, at, amount, json_text(more, 'tip') as tip from orders\n");
    scratch.write(
        "sql/marts/fct_order.sql",
        "select id, local_day(at, $reporting_zone) as day, amount, tip from stg_orders\n",
    );
    scratch.write(
        "landing/orders-2.csv",
        "id,at,tip,amount,\n3,2024-03-01T12:00:00Z,\"say \"\"1\"\"\",5.00,x\n4,2024-03-01T12:00:00Z,,5.00,\n",
    );
    let _ = scratch.run(&["run"]).exits(0);
    // An empty text is one, and where nothing is unknown there is none.
    assert_eq!(
        scratch.rows("select id, tip, tip is null from fct_order order by id"),
        ["1,,true", "2,,true", "3,\"say \"\"1\"\"\",false", "4,,false"]
    );
    assert_eq!(
        scratch.rows("select distinct unknown_columns from dq_ledger where unknown_columns is not null"),
        ["\"tip, \"\"\"\"\""]
    );
}

#[test]
fn a_path_that_is_no_text_is_a_mistake_of_the_model() {
    let scratch = items();
    scratch.write("sql/marts/fct_order_item.sql", "select json_text(id, 'a') as a from stg_order_items\n");
    let said = scratch.run(&["check"]).exits(2).stderr;
    assert!(said.contains("`json_text` takes a JSON text first, not Int64"), "{said}");
    scratch.write("sql/marts/fct_order_item.sql", "select json_text(sku) as a from stg_order_items\n");
    let said = scratch.run(&["check"]).exits(2).stderr;
    assert!(said.contains("for example json_text(more, 'via.source')"), "{said}");
}

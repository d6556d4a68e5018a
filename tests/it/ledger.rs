//! No row vanishes: the ledger of datasets over the lives of their files.

use crate::scratch::Scratch;

const LEDGER: &str = "select file, records, accepted, quarantined, blank, rows, clean, exact_duplicates, superseded, late, quarantined_in_clean, copy_of from dq_ledger order by sequence";

#[test]
fn a_landed_file_s_records_are_all_accounted_for() {
    let scratch = Scratch::orders();
    scratch.write(
        "landing/orders-2.csv",
        "id,at,amount
2,2024-03-02T09:00:00Z,25.00
2,2024-03-02T09:00:00Z,25.00

x,2024-03-02T09:00:00Z,1.00
4,2024-03-02T09:00:00Z
1,2024-02-01T00:00:00Z,9.00
",
    );
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(
        scratch.rows(LEDGER),
        ["landing/orders-1.csv,3,2,0,1,2,1,0,1,0,0,", "landing/orders-2.csv,7,3,2,2,3,1,1,1,0,0,"]
    );
    assert_eq!(
        scratch.rows(
            "select line, byte_offset, reason, column_name, arrow_cast(record, 'Utf8') from dq_quarantine order by line"
        ),
        ["5,72,E_TYPE,id,\"x,2024-03-02T09:00:00Z,1.00", "\"", "6,100,E_FIELDS,,\"4,2024-03-02T09:00:00Z", "\""]
    );
}

/// Returns the rows of the dataset as its KPI sees them.
fn orders(scratch: &Scratch) -> Vec<String> {
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    scratch.rows("select id, day, amount from fct_order order by id")
}

#[test]
fn a_row_that_moves_and_comes_back_is_where_it_belongs() {
    let scratch = Scratch::orders();
    assert_eq!(orders(&scratch), ["1,2024-03-01,10.00", "2,2024-03-01,20.00"]);
    // A later version moves order 2 to another day.
    scratch.write("landing/orders-2.csv", "id,at,amount\n2,2024-03-04T09:00:00Z,22.00\n");
    assert_eq!(orders(&scratch), ["1,2024-03-01,10.00", "2,2024-03-04,22.00"]);
    // The file is corrected and no longer has it: the version that it had superseded comes back.
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-04T09:00:00Z,30.00\n");
    assert_eq!(orders(&scratch), ["1,2024-03-01,10.00", "2,2024-03-01,20.00", "3,2024-03-04,30.00"]);
    // A removed file stays admitted.
    std::fs::remove_file(scratch.path("landing/orders-2.csv")).unwrap();
    assert_eq!(orders(&scratch).len(), 3);
    // A copy under another name counts once, and is told.
    scratch.write("landing/orders-9.csv", "id,at,amount\n3,2024-03-04T09:00:00Z,30.00\n");
    assert_eq!(orders(&scratch).len(), 3);
    assert_eq!(
        scratch.rows("select file, copy_of, clean from dq_ledger where copy_of is not null"),
        ["landing/orders-9.csv,landing/orders-2.csv,0"]
    );
}

#[test]
fn of_versions_of_one_age_the_later_path_decides_whichever_landed_first() {
    let contract = r#"from = "landing/orders-*.csv"
format = { type = "csv" }
key = ["id"]
keep = { latest = "at" }
[columns]
id = "int64!"
at = "timestamp!"
amount = "decimal(10,2)"
"#;
    let file = |amount: u8| format!("id,at,amount\n1,2024-03-01T10:00:00Z,{amount}\n");
    let scratch = Scratch::orders();
    scratch.write("schemas/sources/orders.toml", contract);
    let lands = |name: &str, amount: u8| {
        scratch.write(&format!("landing/{name}.csv"), &file(amount));
        orders(&scratch)
    };
    assert_eq!(lands("orders-1", 1), ["1,2024-03-01,1.00"]);
    assert_eq!(lands("orders-10", 10), ["1,2024-03-01,10.00"]);
    // One that comes late stands where a run from nothing would find it, and so does one that is corrected.
    assert_eq!(lands("orders-9", 9), ["1,2024-03-01,10.00"]);
    assert_eq!(lands("orders-1", 2), ["1,2024-03-01,10.00"]);
    // A copy counts as the first of the paths that hold it.
    assert_eq!(lands("orders-2", 10), ["1,2024-03-01,9.00"]);
    assert_eq!(
        scratch.rows("select file, copy_of from dq_ledger where copy_of is not null"),
        ["landing/orders-10.csv,landing/orders-2.csv"]
    );
    std::fs::remove_dir_all(scratch.path("warehouse")).unwrap();
    assert_eq!(orders(&scratch), ["1,2024-03-01,9.00"]);
    scratch.write("schemas/sources/orders.toml", &contract.replace("latest", "first"));
    assert_eq!(orders(&scratch), ["1,2024-03-01,2.00"]);
}

#[test]
fn files_that_change_mean_what_the_contract_says() {
    let contract = |mode: &str| {
        format!(
            r#"from = "landing/orders-*.csv"
format = {{ type = "csv" }}
files = "{mode}"
[columns]
id = "int64!"
at = "timestamp!"
amount = "decimal(10,2)"
"#
        )
    };
    let day_two = "id,at,amount\n3,2024-03-02T10:00:00Z,30.00\n";
    for (mode, expected) in [("replace", vec!["3"]), ("append", vec!["1", "2", "3"]), ("snapshot", vec!["3"])] {
        let scratch = Scratch::orders();
        scratch.write("schemas/sources/orders.toml", &contract(mode));
        assert_eq!(orders(&scratch).len(), 2, "{mode}");
        scratch.write("landing/orders-1.csv", day_two);
        let _ = orders(&scratch);
        assert_eq!(scratch.rows("select id from fct_order order by id"), expected, "{mode}");
    }
    // A snapshot's newest file is the whole truth, under whatever name it comes.
    let scratch = Scratch::orders();
    scratch.write("schemas/sources/orders.toml", &contract("snapshot"));
    let _ = orders(&scratch);
    scratch.write("landing/orders-2.csv", day_two);
    let _ = orders(&scratch);
    assert_eq!(scratch.rows("select id from fct_order"), ["3"]);
}

#[test]
fn a_change_of_what_files_mean_counts_from_then_on() {
    let contract = |mode: &str| {
        format!(
            r#"from = "landing/orders-*.csv"
format = {{ type = "csv" }}
files = "{mode}"
[columns]
id = "int64!"
at = "timestamp!"
amount = "decimal(10,2)"
"#
        )
    };
    let ids = |scratch: &Scratch| {
        let _ = orders(scratch);
        scratch.rows("select id from fct_order order by id")
    };
    let scratch = Scratch::orders();
    scratch.write("schemas/sources/orders.toml", &contract("append"));
    assert_eq!(ids(&scratch), ["1", "2"]);
    scratch.write("landing/orders-1.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,30.00\n");
    scratch.write("landing/orders-2.csv", "id,at,amount\n4,2024-03-02T10:00:00Z,40.00\n");
    assert_eq!(ids(&scratch), ["1", "2", "3", "4"]);
    scratch.write("schemas/sources/orders.toml", &contract("replace"));
    assert_eq!(ids(&scratch), ["3", "4"]);
    scratch.write("schemas/sources/orders.toml", &contract("snapshot"));
    assert_eq!(ids(&scratch), ["4"]);
    scratch.write("schemas/sources/orders.toml", &contract("replace"));
    assert_eq!(ids(&scratch), ["3", "4"]);
}

#[test]
fn values_from_the_path_are_part_of_a_file_s_identity() {
    let scratch = Scratch::orders();
    scratch.write(
        "schemas/sources/stock.toml",
        r#"from = "landing/stock/{day}/all.csv"
format = { type = "csv" }
[columns]
day = "date!"
sku = "string!"
n = "int64"
"#,
    );
    scratch.write("sql/staging/stg_stock.sql", "select day, sku, n from stock\n");
    scratch.write("sql/marts/fct_stock.sql", "select day, sku, n from stg_stock\n");
    // Two days' equal dumps stay two.
    scratch.write("landing/stock/2024-03-01/all.csv", "sku,n\na,1\n");
    scratch.write("landing/stock/2024-03-02/all.csv", "sku,n\na,1\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select day, sku, n from fct_stock order by day"), ["2024-03-01,a,1", "2024-03-02,a,1"]);
}

#[test]
fn too_many_rejected_records_of_one_file_stop_the_run() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run"]).exits(0);
    scratch.write(
        "landing/orders-2.csv",
        "id,at,amount\n5,2024-03-02T09:00:00Z,1.00\nx,2024-03-02T09:00:00Z,1.00\ny,2024-03-02T09:00:00Z,1.00\n",
    );
    let said = scratch.run(&["run"]).exits(1);
    assert_eq!(
        said.stderr,
        "error: 2 of the 3 records of `landing/orders-2.csv` do not fit the contract; its `rejected_share` allows 1
  landing/orders-2.csv:3: E_TYPE in `id`: expected a whole number, found `x`
  landing/orders-2.csv:4: E_TYPE in `id`: expected a whole number, found `y`
help: fix the file, the contract, or its `rejected_share`; nothing of this run was published
"
    );
    assert_eq!(scratch.rows("select count(*) from fct_order"), ["2"]);
}

#[test]
fn a_changed_contract_reads_again_and_says_when_it_cannot() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run"]).exits(0);
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &contract.replace("decimal(10,2)\"", "decimal(12,3)\""));
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select amount from fct_order order by id"), ["10.000", "20.000"]);
    std::fs::remove_file(scratch.path("landing/orders-1.csv")).unwrap();
    scratch.write("schemas/sources/orders.toml", &contract);
    let said = scratch.run(&["run"]).exits(1);
    assert!(
        said.stderr.contains("`landing/orders-1.csv` has to be read again because the contract of `orders` changed"),
        "{}",
        said.stderr
    );
    assert_eq!(scratch.rows("select amount from fct_order order by id"), ["10.000", "20.000"]);
}

#[test]
fn a_link_out_of_the_landing_folder_is_refused() {
    let scratch = Scratch::orders();
    scratch.write("elsewhere/secret.csv", "id,at,amount\n8,2024-03-02T09:00:00Z,1.00\n");
    std::os::unix::fs::symlink(scratch.path("elsewhere/secret.csv"), scratch.path("landing/orders-8.csv")).unwrap();
    let said = scratch.run(&["run"]).exits(1);
    assert!(said.stderr.contains("a link to a file elsewhere"), "{}", said.stderr);
}

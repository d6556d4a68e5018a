//! Rows of datasets without a key that equal an earlier one: counted where the contract asks, and never dropped.

use crate::scratch::Scratch;

const CONTRACT: &str = r#"from = "{landing}/orders-*.csv"
format = { type = "csv" }
rejected_share = 0.5
[columns]
id = "int64!"
at = "timestamp!"
amount = "decimal(10,2)"
"#;
const COUNTS: &str = "select file, accepted, clean, exact_duplicates, repeated from dq_ledger order by sequence";

#[test]
fn rows_that_repeat_earlier_ones_are_counted_and_stay() {
    let scratch = Scratch::orders();
    std::fs::remove_file(scratch.path("schemas/models/fct_order.toml")).unwrap();
    let counted = format!("count_repeated = true\n{CONTRACT}");
    scratch.write("schemas/sources/orders.toml", &counted);
    // Once with another text for the same amount, once with none, twice; 1 of 11 o'clock is no repetition.
    scratch.write(
        "landing/orders-1.csv",
        "id,at,amount
1,2024-03-01T10:00:00Z,10.00
2,2024-03-01T11:00:00Z,
1,2024-03-01T10:00:00+00:00,10
1,2024-03-01T11:00:00Z,10.00
2,2024-03-01T11:00:00Z,
2,2024-03-01T11:00:00Z,
2,2024-03-01T11:00:00Z,0
",
    );
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(COUNTS), ["landing/orders-1.csv,7,7,0,3"]);
    // Across files the later one repeats; a copy of a file has nothing of its own.
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-01T10:00:00Z,1\n1,2024-03-01T11:00:00Z,10\n");
    scratch.write("landing/orders-3.csv", "id,at,amount\n3,2024-03-01T10:00:00Z,1\n1,2024-03-01T11:00:00Z,10\n");
    let _ = scratch.run(&["run"]).exits(0);
    let expected = ["landing/orders-1.csv,7,7,0,3", "landing/orders-2.csv,2,2,0,1", "landing/orders-3.csv,0,0,0,0"];
    assert_eq!(scratch.rows(COUNTS), expected);
    assert_eq!(scratch.rows("select count(*) from orders"), ["9"]);
    // Against the engine: rows that are there less the different ones.
    assert_eq!(scratch.rows("select count(*) from (select distinct * from orders)"), ["5"]);
    // Whoever does not ask is not told, and a change of that does not read files again.
    scratch.age();
    let _ = scratch.run(&["run"]).exits(0);
    scratch.write("schemas/sources/orders.toml", CONTRACT);
    scratch.age();
    let said = scratch.run(&["run", "--output", "json"]).exits(0).stdout;
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["datasets"][0]["files_read"], 0, "{said}");
    assert_eq!(scratch.rows("select distinct repeated from dq_ledger"), ["\"\""]);
    assert_eq!(scratch.rows("select count(*) from orders"), ["9"]);
}

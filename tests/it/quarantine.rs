//! The records that were set aside: listed, shown, and taken in once the contract fits; and files that do not hold
//! still.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::scratch::Scratch;

const CONTRACT: &str = r#"from = "{landing}/orders-*.csv"
format = { type = "csv" }
key = ["id"]
keep = { latest = "at" }
rejected_share = 0.9
[columns]
id = "int64!"
at = "timestamp!"
amount = "decimal(10,2)"
"#;

fn orders() -> Scratch {
    let scratch = Scratch::orders();
    scratch.write("schemas/sources/orders.toml", CONTRACT);
    scratch.write(
        "landing/orders-1.csv",
        "id,at,amount\n1,2024-03-01T10:00:00Z,10.00\n2,2024-03-01T11:00:00Z,\"￥20\"\n3,soon,5\n4,2024-03-01T12:00:00Z\n",
    );
    scratch
}

#[test]
fn records_that_were_set_aside_are_listed_and_shown() {
    let scratch = orders();
    assert!(scratch.run(&["quarantine", "ls"]).exits(0).stderr.contains("no records are quarantined"));
    let _ = scratch.run(&["run"]).exits(0);
    let said = scratch.run(&["quarantine", "ls"]).exits(0).stdout;
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines,
        [
            vec!["Dataset", "file", "reason", "column", "records"],
            vec!["orders", "landing/orders-1.csv", "E_FIELDS", "1"],
            vec!["orders", "landing/orders-1.csv", "E_TYPE", "amount", "1"],
            vec!["orders", "landing/orders-1.csv", "E_TYPE", "at", "1"],
        ]
    );
    let said = scratch.run(&["quarantine", "show"]).exits(0).stdout;
    assert_eq!(
        said,
        r#"landing/orders-1.csv:3: E_TYPE in `amount`: expected a number with at most 2 digits after the point, found `￥20`
  2,2024-03-01T11:00:00Z,"»￥20«"
landing/orders-1.csv:4: E_TYPE in `at`: expected a time such as 2026-01-31T23:59:00Z, found `soon`
  3,»soon«,5
landing/orders-1.csv:5: E_FIELDS: expected 3 fields, found 2
  4,2024-03-01T12:00:00Z
"#
    );
    let said = scratch.run(&["quarantine", "show", "orders", "--reason", "E_TYPE", "--limit", "1"]).exits(0);
    assert_eq!((said.stdout.lines().count(), said.stderr.contains("the first 1 records")), (2, true));
    let said = scratch.run(&["quarantine", "show", "--file", "landing/orders-1.csv", "--output", "json"]).exits(0);
    let records: serde_json::Value = serde_json::from_str(said.stdout.trim()).unwrap();
    assert_eq!((records[1]["line"].as_i64(), records[1]["at_fault"].to_string()), (Some(4), "[2,6]".to_owned()));
    assert!(scratch.run(&["quarantine", "ls", "order"]).exits(2).stderr.contains("did you mean `orders`?"));
    let _ = scratch.run(&["quarantine", "ls", "--reason", "E_NONE"]).exits(2);
}

#[test]
fn records_come_in_at_their_place_once_the_contract_fits() {
    let scratch = orders();
    let _ = scratch.run(&["run"]).exits(0);
    assert!(
        scratch
            .run(&["quarantine", "replay", "orders"])
            .exits(0)
            .stderr
            .contains("orders: 3 quarantined before, 3 now")
    );
    let mended = CONTRACT
        .replace("\"csv\" }", "\"csv\", short_rows = \"null\" }")
        .replace("\"decimal(10,2)\"", "{ type = \"decimal(10,2)\", normalise = [\"amount\"] }");
    scratch.write("schemas/sources/orders.toml", &mended);
    let said = scratch.run(&["quarantine", "replay", "orders"]).exits(0);
    assert!(said.stderr.contains("orders: 3 quarantined before, 1 now"), "{}", said.stderr);
    assert_eq!(scratch.rows("select id, amount from orders order by id"), ["1,10.00", "2,20.00", "4,"]);
    assert_eq!(scratch.rows("select records, accepted, quarantined, blank from dq_ledger"), ["5,3,1,1"]);
    assert_eq!(scratch.rows("select orders, amount from kpi_order_daily"), ["3,30.00"]);
}

#[test]
fn a_rule_across_columns_is_kept_or_told() {
    let scratch = Scratch::orders();
    scratch.write("schemas/sources/orders.toml", &format!("{CONTRACT}[rules]\npaid = \"amount > 0\"\n"));
    scratch.write("landing/orders-1.csv", "id,at,amount\n1,2024-03-01T10:00:00Z,0.00\n2,2024-03-01T10:00:00Z,1\n");
    let _ = scratch.run(&["run"]).exits(0);
    let said = scratch.run(&["quarantine", "show"]).exits(0).stdout;
    assert_eq!(
        said,
        "landing/orders-1.csv:2: E_RULE in `amount`: expected `amount > 0` (rule `paid`), found `0.00`\n  \
         1,2024-03-01T10:00:00Z,»0.00«\n"
    );
    assert_eq!(scratch.rows("select id from orders"), ["2"]);
}

#[test]
fn a_file_that_does_not_hold_still_is_not_taken_in() {
    let scratch = Scratch::orders();
    let mut file = std::fs::File::options().append(true).open(scratch.path("landing/orders-1.csv")).unwrap();
    let lines = |from: usize, count: usize| {
        (from..from + count).map(|id| id.to_string() + ",2024-03-01T10:00:00Z,1.00\n").collect::<String>()
    };
    file.write_all(lines(10, 200_000).as_bytes()).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = 1_000_000;
            while !is_over.load(Ordering::Relaxed) {
                file.write_all(lines(next, 1).as_bytes()).unwrap();
                next += 1;
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        let said = scratch.run(&["run"]);
        is_over.store(true, Ordering::Relaxed);
        let said = said.exits(75);
        assert!(said.stderr.contains("`landing/orders-1.csv` changes while it is read"), "{}", said.stderr);
    });
    let _ = scratch.run(&["run"]).exits(0);
    let landed = std::fs::read_to_string(scratch.path("landing/orders-1.csv")).unwrap().lines().count() - 1;
    assert_eq!(scratch.rows("select count(*) from orders"), [landed.to_string()]);
}

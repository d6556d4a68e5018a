//! Functions that a project writes in SQL: what stands for a call, and what a changed function rebuilds.

use crate::scratch::Scratch;

fn shop() -> Scratch {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
        (
            "schemas/sources/orders.toml",
            r#"from = "{landing}/orders.csv"
format = { type = "csv" }
key = ["id"]
[columns]
id = "int64!"
amount = "decimal(10,2)"
items = "int64"
"#,
        ),
        ("sql/staging/stg_orders.sql", "select id, amount, items from orders\n"),
        ("sql/marts/fct_order.sql", "select id, per(amount, items) as price, PER(items, 2) as pairs from stg_orders\n"),
        ("sql/marts/fct_plain.sql", "select id, amount from stg_orders\n"),
        (
            "schemas/models/fct_plain.toml",
            "key = [\"id\"]\n[checks]\ncheap = { holds = \"per(amount, 1) < 100\", severity = \"warn\" }\n",
        ),
        (
            "sql/functions/per.sql",
            "-- What one of `n` is.\ncreate function per(total double, n double) returns double return digits(total / nullif(n, 0))\n",
        ),
        ("sql/functions/digits.sql", "create function digits(n double) returns double return round(n, 2)\n"),
    ]);
    scratch.write("landing/orders.csv", "id,amount,items\n1,10.00,3\n2,5.00,0\n3,,2\n");
    scratch
}

fn run(scratch: &Scratch) -> Vec<String> {
    let said = scratch.run(&["run", "--output", "json", "--as-of", "2024-07-01"]).exits(0);
    let document: serde_json::Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    let tables = document["tables"].as_array().unwrap();
    tables.iter().map(|table| table["table"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_function_stands_in_for_its_calls() {
    let scratch = shop();
    assert_eq!(run(&scratch), ["fct_order", "fct_plain"]);
    assert_eq!(scratch.rows("select * from fct_order order by id"), ["1,3.33,1.5", "2,,0.0", "3,,1.0"]);
    // Also in what a person types, and to the landed lines.
    assert_eq!(scratch.rows("select per(id, 4) as quarter from fct_plain order by id"), ["0.25", "0.5", "0.75"]);
    let why = scratch.run(&["why", "fct_order", "id=1"]).exits(0);
    assert!(why.stdout.contains("orders.csv"), "{}", why.stdout);
    let _ = scratch.run(&["verify"]).exits(0);
}

#[test]
fn a_changed_function_rebuilds_what_calls_it() {
    let scratch = shop();
    run(&scratch);
    assert_eq!(run(&scratch), [""; 0]);
    // Comments and white space are no change.
    let text = "create function digits(n double)\nreturns double\n-- Two of them.\nreturn round(n, 2)\n";
    scratch.write("sql/functions/digits.sql", text);
    assert_eq!(run(&scratch), [""; 0]);
    scratch.write("sql/functions/digits.sql", &text.replace("round(n, 2)", "round(n, 1)"));
    assert_eq!(run(&scratch), ["fct_order"]);
    assert_eq!(scratch.rows("select price from fct_order where id = 1"), ["3.3"]);
    // A condition in a contract is asked again as well, also where a type alone is another.
    scratch.write(
        "sql/functions/per.sql",
        "create function per(total bigint, n double) returns double return digits(total / nullif(n, 0) * 9.91)\n",
    );
    assert!(!scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0).stderr.contains("fct_plain.cheap"));
    scratch.write("landing/orders.csv", "id,amount,items\n1,10.90,3\n");
    assert!(!scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0).stderr.contains("fct_plain.cheap"));
    scratch.write(
        "sql/functions/per.sql",
        "create function per(total double, n double) returns double return digits(total / nullif(n, 0) * 9.91)\n",
    );
    assert!(scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0).stderr.contains("fct_plain.cheap"));
    scratch.write(
        "sql/functions/per.sql",
        "create function per(total double, n double) returns double return total * 50\n",
    );
    let said = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0);
    assert!(said.stderr.contains("fct_plain.cheap"), "{}", said.stderr);
}

#[test]
fn calls_in_calls_do_not_grow_without_end() {
    let scratch = shop();
    scratch.write("sql/functions/both.sql", "create function both(a double) returns double return a * a + a\n");
    let mut call = "amount".to_owned();
    for _ in 0..12 {
        call = format!("both({call})");
    }
    scratch.write("sql/marts/fct_plain.sql", &format!("select id, {call} as amount from stg_orders\n"));
    let refused = |scratch: &Scratch| {
        let said = scratch.run(&["check"]).exits(2);
        assert!(said.stderr.contains("E0322") && said.stderr.contains("sql/marts/fct_plain.sql:1:"), "{}", said.stderr);
    };
    refused(&scratch);
    // Few expressions, each a chain that goes deep.
    let chain = format!("create function both(a double) returns double return a{}\n", " - 1".repeat(400));
    scratch.write("sql/functions/both.sql", &chain);
    refused(&scratch);
    scratch.write("sql/marts/fct_plain.sql", "select id, both(both(amount)) as amount from stg_orders\n");
    let _ = scratch.run(&["check"]).exits(0);
}

#[test]
fn an_argument_is_no_parameter_of_the_same_name() {
    let scratch = shop();
    scratch.write(
        "sql/marts/fct_named.sql",
        "select id, per(n, total) as turned, per(\"N\", total) as upper from (select id, items as n, id * 2 as total, 8 as \"N\" from stg_orders) as t\n",
    );
    run(&scratch);
    assert_eq!(scratch.rows("select turned, upper from fct_named order by id"), ["1.5,4.0", "0.0,2.0", "0.33,1.33"]);
}

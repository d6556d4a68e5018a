//! `opsmart why`: the rows that a row was made of, and the records that could have counted.

use serde_json::{Value, json};

use crate::scratch::Scratch;

/// Orders on three days, and three records that do not fit.
fn published() -> Scratch {
    let scratch = Scratch::orders();
    scratch.write(
        "landing/orders-2.csv",
        "id,at,amount\n3,2024-03-02T10:00:00Z,5.00\n4,2024-03-01T12:00:00Z,much\n5,2024-03-02T12:00:00Z,more\n6,soon,1\n7,2024-03-03T10:00:00Z,1\n8,2024-03-03T10:00:00Z,1\n",
    );
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    scratch
}

fn told(scratch: &Scratch, arguments: &[&str]) -> Vec<Value> {
    let said = scratch.run(&[&["why"], arguments, &["--output", "json"]].concat()).exits(0);
    serde_json::from_str(&said.stdout).unwrap()
}

/// Returns each table that is told of, how many of its rows count, and the records that could have.
fn counts(parts: &[Value]) -> Vec<String> {
    let line =
        |part: &Value| format!("{} {}+{}", part["table"].as_str().unwrap(), part["count"], part["set_aside_count"]);
    parts.iter().map(line).collect()
}

#[test]
fn a_row_is_followed_to_the_lines_that_it_was_made_of() {
    let scratch = published();
    let parts = told(&scratch, &["kpi_order_daily", "day=2024-03-01"]);
    // Of two of the three it is known, or may be, that they are of that day.
    assert_eq!(counts(&parts), ["kpi_order_daily 1+0", "fct_order 2+0", "orders 2+2"]);
    assert_eq!(parts[0]["rows"], json!([{ "day": "2024-03-01", "orders": 2, "amount": 30.00 }]));
    assert_eq!(parts[1]["read_by"], json!(["kpi_order_daily"]));
    let places = |part: &Value| {
        let place = |row: &Value| format!("{}:{}", row["_file"].as_str().unwrap(), row["_line"]);
        part["rows"].as_array().unwrap().iter().map(place).collect::<Vec<_>>()
    };
    assert_eq!(places(&parts[2]), ["landing/orders-1.csv:2", "landing/orders-1.csv:3"]);
    let aside: Vec<_> =
        parts[2]["set_aside"].as_array().unwrap().iter().map(|record| record["line"].as_i64()).collect();
    assert_eq!(aside, [Some(3), Some(5)]);
    let said = scratch.run(&["why", "kpi_order_daily", "day=2024-03-01", "--limit", "1"]).exits(0).stdout;
    assert!(said.contains("orders: 2 rows where"), "{said}");
    assert!(said.contains(" landing/orders-1.csv      2   1") && said.contains(" and 1 more\n"), "{said}");
    assert!(said.contains(" set aside, and could have counted: 2 records\n"), "{said}");
    assert!(said.contains("landing/orders-2.csv:3  E_TYPE"), "{said}");
}

#[test]
fn what_the_query_says_of_itself_does_not_narrow_what_was_asked() {
    let scratch = published();
    scratch.write("sql/marts/dim_day.sql", "select distinct day, day > '2024-01-01' as is_new from fct_order\n");
    scratch.write(
        "sql/kpi/kpi_pair.sql",
        "select o.id, d.is_new, n.all_orders from fct_order as o\n\
         left join dim_day as d on d.day = o.day\n\
         cross join (select count(*) as all_orders from kpi_order_daily) as n\n\
         where o.amount > 1\n",
    );
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    let parts = told(&scratch, &["kpi_pair", "id=3"]);
    let told: Vec<(&str, Option<&str>, &Value)> = parts
        .iter()
        .map(|part| (part["table"].as_str().unwrap(), part["condition"].as_str(), &part["count"]))
        .collect();
    // The days are joined by another column, so all of them may count; of the orders it is known which one does.
    assert_eq!(told[0].0, "kpi_pair");
    let of = |name: &str| told.iter().find(|part| part.0 == name).unwrap();
    assert_eq!((of("dim_day").1, of("dim_day").2), (None, &json!(3)));
    assert_eq!((of("kpi_order_daily").1, of("kpi_order_daily").2), (None, &json!(3)));
    assert_eq!(of("fct_order").2, &json!(1));
    assert!(of("fct_order").1.unwrap().contains("id = 3"), "{told:?}");
    assert_eq!(of("orders").2, &json!(1));
    let said = scratch.run(&["why", "kpi_pair", "id=3"]).exits(0).stdout;
    assert!(said.contains("dim_day: any of its 3 rows, for kpi_pair\n"), "{said}");
}

#[test]
fn what_cannot_be_asked_is_told() {
    let scratch = published();
    for (arguments, words) in [
        (&["fct_orders", "id=1"][..], "there is no table `fct_orders` in force\nhelp: did you mean `fct_order`?"),
        (&["fct_order", "days=2024-03-01"], "there is no column `days`\nhelp: did you mean `day`?"),
        (&["fct_order", "day=yesterday"], "`yesterday` is no value of `day`, of type Date32"),
        (&["fct_order", "day"], "`day` is not a condition\nhelp: write COLUMN=VALUE, such as day=2024-06-30"),
    ] {
        let said = scratch.run(&[&["why"], arguments].concat()).exits(2).stderr;
        assert!(said.contains(words), "{said}");
    }
    // No such row was made of no rows.
    assert_eq!(counts(&told(&scratch, &["fct_order", "id=77"])), ["fct_order 0+0", "orders 0+0"]);
    // Of a time that cannot be read nothing is known.
    assert_eq!(counts(&told(&scratch, &["fct_order", "day=null"])), ["fct_order 0+0", "orders 0+1"]);
}

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
    // The days are joined by another column, of which the order has one value.
    assert_eq!(told[0].0, "kpi_pair");
    let of = |name: &str| told.iter().find(|part| part.0 == name).unwrap();
    assert_eq!((of("dim_day").1, of("dim_day").2), (Some("\"day\" = CAST('2024-03-02' AS DATE)"), &json!(1)));
    assert_eq!((of("kpi_order_daily").1, of("kpi_order_daily").2), (None, &json!(3)));
    assert_eq!(of("fct_order").2, &json!(1));
    assert!(of("fct_order").1.unwrap().contains("id = 3"), "{told:?}");
    assert_eq!(of("orders").2, &json!(1));
    let said = scratch.run(&["why", "kpi_pair", "id=3"]).exits(0).stdout;
    assert!(said.contains("kpi_order_daily: any of its 3 rows, for kpi_pair\n"), "{said}");
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

const SALES: &[&str] = &[
    "id,shop,day,amount",
    "1,a,2024-03-01,10",
    "2,a,2024-03-02,20",
    "3,b,2024-03-01,30",
    "4,b,2024-03-03,40",
    "5,c,2024-03-02,50",
    "6,,2024-03-02,60",
    "7,a,,70",
    "8,d,2024-03-01,80",
];
const SHOPS: &[&str] = &["shop,region", "a,north", "b,north", "c,south", "e,south", ",nowhere"];
const TARGETS: &[&str] =
    &["region,day,target", "north,2024-03-01,5", "north,2024-03-02,6", "south,2024-03-02,7", "south,2024-03-03,8"];

/// A project of one model over sales, shops and targets, of which only some lines have landed.
fn of_model(sql: &str, sales: &[&str], shops: &[&str], targets: &[&str]) -> Scratch {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
        ("jobs/all.toml", "ingest = [\"sales\", \"shops\", \"targets\"]\n"),
        ("sql/staging/stg_sales.sql", "select * from sales\n"),
        ("sql/staging/stg_shops.sql", "select * from shops\n"),
        ("sql/staging/stg_targets.sql", "select * from targets\n"),
        ("sql/marts/fct_answer.sql", sql),
    ]);
    for (name, lines, columns) in [
        ("sales", sales, "id = \"int64!\"\nshop = \"string\"\nday = \"date\"\namount = \"int64\"\n"),
        ("shops", shops, "shop = \"string\"\nregion = \"string\"\n"),
        ("targets", targets, "region = \"string!\"\nday = \"date!\"\ntarget = \"int64\"\n"),
    ] {
        let contract =
            format!("from = \"{{landing}}/{name}.csv\"\nformat = {{ type = \"csv\" }}\n[columns]\n{columns}");
        scratch.write(&format!("schemas/sources/{name}.toml"), &contract);
        scratch.write(&format!("landing/{name}.csv"), &format!("{}\n", lines.join("\n")));
    }
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    scratch
}

/// Asks for a row of a model, and returns the lines of each dataset that are told; all where a dataset is read as a whole.
/// What comes of these lines alone must be the row that was asked for.
fn lines(sql: &str, asked: &str) -> [Option<usize>; 3] {
    let scratch = of_model(sql, SALES, SHOPS, TARGETS);
    let parts = told(&scratch, &["fct_answer", asked, "--limit", "1000"]);
    let mut numbers = [None; 3];
    let mut landed = Vec::new();
    for (at, (name, lines)) in [("sales", SALES), ("shops", SHOPS), ("targets", TARGETS)].into_iter().enumerate() {
        let part = parts.iter().find(|part| part["table"] == name);
        let rows = part.map(|part| part["rows"].as_array().unwrap().clone()).unwrap_or_default();
        let is_whole = part.is_some_and(|part| part["condition"].is_null());
        numbers[at] = (!is_whole).then_some(rows.len());
        let line = |row: &Value| lines[usize::try_from(row["_line"].as_u64().unwrap()).unwrap() - 1];
        let told: Vec<&str> = if is_whole { lines.to_vec() } else { rows.iter().map(line).collect() };
        let header = if is_whole { None } else { Some(lines[0]) };
        landed.push(header.into_iter().chain(told).collect::<Vec<&str>>());
    }
    let again = of_model(sql, &landed[0], &landed[1], &landed[2]);
    let (column, value) = asked.split_once('=').unwrap();
    let row = |scratch: &Scratch| {
        let condition = if value == "null" { format!("{column} is null") } else { format!("{column} = '{value}'") };
        let mut rows = scratch.rows(&format!("select * from fct_answer where {condition}"));
        rows.sort();
        rows
    };
    assert!(!row(&scratch).is_empty(), "{sql}");
    assert_eq!(row(&again), row(&scratch), "{sql}\n{parts:#?}");
    numbers
}

#[test]
fn values_are_carried_through_joins_by_columns_that_nobody_asked_of() {
    let some = |counts: [usize; 3]| counts.map(Some);
    let join = |kind: &str| {
        format!("select s.id, s.amount, r.region from stg_sales as s {kind} join stg_shops as r on s.shop = r.shop\n")
    };
    for kind in ["inner", "left", "right", "full"] {
        // A full join needs all rows of both sides, unless the asked column makes one of them inner.
        assert_eq!(lines(&join(kind), "id=3"), some([1, 1, 0]), "{kind}");
    }
    // Three sales in the south or north, by their shop.
    assert_eq!(lines(&join("inner"), "region=south"), some([1, 2, 0]));
    // The shop without sales is one that is left over.
    assert_eq!(lines(&join("right"), "region=south"), some([1, 2, 0]));
    // From the first table to the third by way of the second, and by two columns at once.
    let three = "select s.id, t.target from stg_sales as s inner join stg_shops as r on s.shop = r.shop \
                 inner join stg_targets as t on t.region = r.region and t.day = s.day\n";
    assert_eq!(lines(three, "id=1"), some([1, 1, 1]));
    assert_eq!(lines(three, "target=7"), some([1, 1, 1]));
    // Rows that are counted for each.
    let counted = "select r.shop, (select count(*) from stg_sales as s where s.shop = r.shop) as sales, r.region \
                   from stg_shops as r\n";
    assert_eq!(lines(counted, "region=south"), some([1, 2, 0]));
    // A row without a value matches none, unless that is what is asked.
    assert_eq!(lines(&join("left"), "id=6"), some([1, 0, 0]));
    let null_safe =
        "select s.id, r.region from stg_sales as s inner join stg_shops as r on s.shop is not distinct from r.shop\n";
    assert_eq!(lines(null_safe, "id=6"), some([1, 1, 0]));
}

#[test]
fn what_must_be_there_or_must_not_is_told() {
    let some = |counts: [usize; 3]| counts.map(Some);
    let is_in = "select id, shop from stg_sales where shop in (select shop from stg_shops where region = 'north')\n";
    assert_eq!(lines(is_in, "id=3"), some([1, 1, 0]));
    let exists =
        "select s.id from stg_sales as s where not exists (select 1 from stg_shops as r where r.shop = s.shop)\n";
    assert_eq!(lines(exists, "id=8"), some([1, 0, 0]));
    // One row without a value decides over all of them.
    let not_in = "select r.shop, r.region from stg_shops as r where r.shop not in (select shop from stg_sales where shop is not null)\n";
    assert_eq!(lines(not_in, "region=south")[1], Some(2));
}

#[test]
fn a_window_is_made_of_the_partitions_of_the_rows_that_were_asked_for() {
    let some = |counts: [usize; 3]| counts.map(Some);
    let ranked = "select id, shop, day, row_number() over (partition by shop order by id) as n, \
                  sum(amount) over (partition by shop) as all_of_shop from stg_sales\n";
    assert_eq!(lines(ranked, "id=2"), some([3, 0, 0]));
    assert_eq!(lines(ranked, "id=6"), some([1, 0, 0]));
    assert_eq!(lines(ranked, "day=2024-03-03"), some([2, 0, 0]));
    // Over all rows, any may count.
    assert_eq!(lines("select id, row_number() over (order by id) as n from stg_sales\n", "id=2")[0], None);
    // The shops of the partitions of a window that is read through a join.
    let joined = "select w.id, w.all_of_shop, r.region from (select id, shop, sum(amount) over (partition by shop) as all_of_shop \
                  from stg_sales) as w inner join stg_shops as r on w.shop = r.shop\n";
    assert_eq!(lines(joined, "region=north"), some([5, 2, 0]));
    assert_eq!(lines(joined, "id=4"), some([2, 1, 0]));
}

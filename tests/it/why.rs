//! `opsmart why`: the rows that a row was made of, and the records that could have counted.

use std::sync::{Arc, Mutex, Weak};

use serde_json::{Value, json};

use crate::scratch::{Scratch, is_thorough};

/// Orders on three days, and three records that do not fit.
fn published() -> Scratch {
    let scratch = Scratch::orders();
    scratch.write(
        "landing/orders-2.csv",
        "id,at,amount
3,2024-03-02T10:00:00Z,5.00
4,2024-03-01T12:00:00Z,much
5,2024-03-02T12:00:00Z,more
6,soon,1
7,2024-03-03T10:00:00Z,1
8,2024-03-03T10:00:00Z,1
",
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
    assert!(said.contains(" quarantined, and could have counted: 2 records\n"), "{said}");
    assert!(said.contains("landing/orders-2.csv:3  E_TYPE"), "{said}");
}

#[test]
fn what_the_query_says_of_itself_does_not_narrow_what_was_asked() {
    let scratch = published();
    scratch.write("sql/marts/dim_day.sql", "select distinct day, day > '2024-01-01' as is_new from fct_order\n");
    scratch.write(
        "sql/kpi/kpi_pair.sql",
        "select o.id, d.is_new, n.all_orders from fct_order as o
left join dim_day as d on d.day = o.day
cross join (select count(*) as all_orders from kpi_order_daily) as n
where o.amount > 1
",
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
    // All days are counted, so that all of their orders are.
    assert_eq!((of("kpi_order_daily").1, of("kpi_order_daily").2), (None, &json!(3)));
    assert_eq!((of("fct_order").1, of("fct_order").2), (None, &json!(5)));
    assert_eq!((of("orders").1, of("orders").2), (None, &json!(5)));
    let said = scratch.run(&["why", "kpi_pair", "id=3"]).exits(0).stdout;
    assert!(said.contains("kpi_order_daily: 3 rows, by evaluation over "), "{said}");
    let parts = self::told(&scratch, &["kpi_pair", "id=3", "--evaluate", "0"]);
    let fct_order = parts.iter().find(|part| part["table"] == "fct_order").unwrap();
    assert_eq!(fct_order["count"], json!(1), "{parts:#?}");
    assert!(fct_order["condition"].as_str().unwrap().contains("id = 3"), "{parts:#?}");
    let said = scratch.run(&["why", "kpi_pair", "id=3", "--evaluate", "0"]).exits(0).stdout;
    assert!(said.contains("kpi_order_daily: any of its 3 rows, for kpi_pair\n"), "{said}");
}

#[test]
fn what_cannot_be_asked_is_told() {
    let scratch = published();
    for (arguments, words) in [
        (&["fct_orders", "id=1"][..], "there is no current table `fct_orders`\nhelp: did you mean `fct_order`?"),
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
        let is_whole = part.is_some_and(|part| part["found"] == "nothing");
        assert!(part.is_none_or(|part| part["is_enough"] != false), "{sql}\n{parts:#?}");
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
    // A shop without sales is in no row, unless it is one that is left over.
    assert_eq!(lines(&join("inner"), "region=south"), some([1, 1, 0]));
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
    // Shops with sales are kept out by a sale, and the shop that is not has none.
    let not_in = "select r.shop, r.region from stg_shops as r where r.shop not in (select shop from stg_sales where shop is not null)\n";
    assert_eq!(lines(not_in, "region=south"), some([0, 1, 0]));
}

#[test]
fn a_window_is_made_of_the_partitions_of_the_rows_that_were_asked_for() {
    let some = |counts: [usize; 3]| counts.map(Some);
    let ranked = "select id, shop, day, row_number() over (partition by shop order by id) as n, \
                  sum(amount) over (partition by shop) as all_of_shop from stg_sales\n";
    assert_eq!(lines(ranked, "id=2"), some([3, 0, 0]));
    assert_eq!(lines(ranked, "id=6"), some([1, 0, 0]));
    assert_eq!(lines(ranked, "day=2024-03-03"), some([2, 0, 0]));
    // Over all rows, those before it.
    assert_eq!(lines("select id, row_number() over (order by id) as n from stg_sales\n", "id=2"), some([2, 0, 0]));
    // The shops of the partitions of a window that is read through a join.
    let joined = "select w.id, w.all_of_shop, r.region from (select id, shop, sum(amount) over (partition by shop) as all_of_shop \
                  from stg_sales) as w inner join stg_shops as r on w.shop = r.shop\n";
    assert_eq!(lines(joined, "region=north"), some([5, 2, 0]));
    assert_eq!(lines(joined, "id=4"), some([2, 1, 0]));
}

#[test]
fn steps_that_no_condition_passes_are_evaluated() {
    let some = |counts: [usize; 3]| counts.map(Some);
    // Every grouping set has the shop, and one of them no day.
    let sets = "select shop, coalesce(cast(day as text), 'all') as day, sum(amount) as amount, \
                shop || ':' || coalesce(cast(day as text), 'all') as name from stg_sales \
                where day is not null group by grouping sets ((shop, day), (shop))\n";
    assert_eq!(lines(sets, "name=a:2024-03-01"), some([1, 0, 0]));
    assert_eq!(lines(sets, "name=b:all"), some([2, 0, 0]));
    // The day before, and the one a week before that.
    let lag = "select id, lag(amount) over (order by id) as before, lag(amount, 3) over (order by id) as before_3 \
               from stg_sales\n";
    assert_eq!(lines(lag, "id=2"), some([2, 0, 0]));
    assert_eq!(lines(lag, "id=8"), some([4, 0, 0]));
    // The last two rows up to this one.
    let frame = "select id, sum(amount) over (order by id rows between 1 preceding and current row) as two \
                 from stg_sales\n";
    assert_eq!(lines(frame, "id=5"), some([2, 0, 0]));
    let range = "select id, count(*) over (order by day range between interval '1 day' preceding and current row) as n \
                 from stg_sales where day is not null\n";
    assert_eq!(lines(range, "id=4"), some([4, 0, 0]));
    // Of the latest day one sale, and of all that was ever sold every sale.
    let clock = "with clock as (select max(day) as last_day from stg_sales) \
                 select s.id, s.day < clock.last_day as is_over from stg_sales as s cross join clock\n";
    assert_eq!(lines(clock, "id=1"), some([2, 0, 0]));
    assert_eq!(lines(clock, "id=4"), some([1, 0, 0]));
    let total =
        "select s.id, t.amount from stg_sales as s cross join (select sum(amount) as amount from stg_sales) as t\n";
    assert_eq!(lines(total, "id=1"), some([8, 0, 0]));
    // Each branch of a union by itself.
    let union = "select 'sale' as kind, count(*) as n from stg_sales union all \
                 select 'shop' as kind, count(*) as n from stg_shops\n";
    assert_eq!(lines(union, "kind=shop"), some([0, 5, 0]));
    // The first sales by amount, and those that come behind them.
    let limit = "select id, amount from (select id, amount from stg_sales order by amount desc limit 2) as top\n";
    assert_eq!(lines(limit, "id=7"), some([1, 0, 0]));
    // Sales that lead on to each other, round by round.
    let recursive = "with recursive chain as (select id, id as first_id from stg_sales where id = 1 union all \
                     select s.id, chain.first_id from chain inner join stg_sales as s on s.id = chain.id + 1 where s.id < 5) \
                     select id, first_id from chain\n";
    assert_eq!(lines(recursive, "id=3"), some([3, 0, 0]));
    // One value of a subquery, and rows that have to be there for others to count.
    let scalar = "select id, (select max(target) from stg_targets) as target from stg_sales\n";
    assert_eq!(lines(scalar, "id=1"), some([1, 0, 1]));
    let distinct = "select count(distinct shop) as shops, 'all' as of_what from stg_sales\n";
    assert_eq!(lines(distinct, "of_what=all"), some([5, 0, 0]));
}

#[test]
fn what_kept_other_rows_out_is_told_where_they_would_come_in_without_it() {
    // A shop's first sale was the day before, which is why its second is not counted as new.
    let new = "with firsts as (select shop, min(day) as first_day from stg_sales where shop is not null group by shop), \
               sales as (select s.day, s.id, f.first_day from stg_sales as s left join firsts as f on s.shop = f.shop) \
               select day, count(*) as sales, count(*) filter (where first_day = day) as new from sales \
               where day is not null group by day\n";
    assert_eq!(lines(new, "day=2024-03-02"), [Some(4), Some(0), Some(0)]);
    // The second sale of a shop is told for another reason; alone it would make that shop one with a single day.
    let kept = "with shops as (select shop, min(day) as first_day, max(day) as last_day from stg_sales group by shop) \
                select last_day, count(*) as shops, max(n) as n from shops \
                cross join (select max(id) as n from stg_sales where shop = 'a' and day is not null) as m \
                where first_day = last_day group by last_day\n";
    assert_eq!(lines(kept, "last_day=2024-03-02"), [Some(4), Some(0), Some(0)]);
}

#[test]
fn an_evaluation_keeps_within_its_bound_and_says_so() {
    let scratch = of_model("select id, row_number() over (order by id) as n from stg_sales\n", SALES, SHOPS, TARGETS);
    let parts = told(&scratch, &["fct_answer", "id=2", "--evaluate", "10"]);
    assert_eq!((&parts[1]["found"], &parts[1]["count"]), (&json!("nothing"), &json!(8)));
    assert_eq!(parts[1]["rows"], json!([]));
    let reason = "an evaluation has more than 10 rows in its steps; --evaluate ROWS allows more";
    assert_eq!(parts[1]["not_followed"], json!(reason));
    let said = scratch.run(&["why", "fct_answer", "id=2", "--evaluate", "0"]).exits(0).stdout;
    let none =
        "sales: any of its 8 rows, for fct_answer\n conditions lead no further, and --evaluate 0 evaluates nothing\n";
    assert!(said.contains(none), "{said}");
    let said = scratch.run(&["why", "fct_answer", "id=2"]).exits(0).stdout;
    assert!(said.contains("sales: 2 rows, by evaluation over "), "{said}");
    // Where a condition says as much, it is told.
    let said = scratch.run(&["why", "fct_answer", "n=2", "--evaluate", "0"]).exits(0).stdout;
    assert!(said.contains("fct_answer: 1 row where n = 2\n"), "{said}");
}

#[test]
fn a_row_leads_to_what_it_references() {
    let scratch = published();
    scratch.write(
        "schemas/sources/shops.toml",
        "from = \"{landing}/shops.csv\"\nformat = { type = \"csv\" }\n[columns]\nshop = \"string!\"\n",
    );
    scratch.write(
        "schemas/sources/visits.toml",
        r#"from = "{landing}/visits.csv"
format = { type = "csv" }
[columns]
id = "int64!"
shop = { type = "string", references = "shops.shop" }
"#,
    );
    scratch.write("landing/shops.csv", "shop\na\nb\nb\n");
    scratch.write("landing/visits.csv", "id,shop\n1,b\n2,\n");
    scratch.write("sql/staging/stg_visits.sql", "select * from visits\n");
    scratch.write("sql/marts/fct_visit.sql", "select * from stg_visits\n");
    scratch.write("jobs/visits.toml", "ingest = [\"shops\", \"visits\"]\n");
    let _ = scratch.run(&["run", "visits", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    let parts = told(&scratch, &["fct_visit", "id=1"]);
    assert_eq!(counts(&parts), ["fct_visit 1+0", "visits 1+0", "shops 1+0"]);
    assert_eq!((&parts[2]["read_by"], &parts[2]["rows"][0]["_line"]), (&json!(["visits"]), &json!(3)));
    assert_eq!(counts(&told(&scratch, &["fct_visit", "id=2"])), ["fct_visit 1+0", "visits 1+0", "shops 0+0"]);
}

/// The shipped project with its tables, for tests that only ask; one at a time, which goes with the last of them.
fn shipped() -> Arc<Scratch> {
    static SHARED: Mutex<Weak<Scratch>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap();
    if let Some(scratch) = shared.upgrade() {
        return scratch;
    }
    let scratch = Arc::new(crate::sample::shipped());
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    *shared = Arc::downgrade(&scratch);
    scratch
}

/// Returns the names of the datasets and of the tables of the layers in some folders, as the shipped project has them.
fn names(scratch: &Scratch, folder: &str, suffix: &str) -> Vec<String> {
    let mut names: Vec<String> = scratch
        .files(folder)
        .iter()
        .filter_map(|(path, _)| path.file_name()?.to_str()?.strip_suffix(suffix).map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// Returns the columns of a table's key, in a list of SQL, where its contract says one.
fn key(scratch: &Scratch, table: &str) -> Option<String> {
    let contract = std::fs::read_to_string(scratch.path(&format!("schemas/models/{table}.toml"))).unwrap();
    let key = contract.lines().find_map(|line| line.strip_prefix("key = [")?.strip_suffix(']'))?;
    Some(key.replace('"', ""))
}

/// Returns the names of the columns of a table's first row that are not null, in a list of SQL.
fn columns(scratch: &Scratch, table: &str) -> String {
    let said = scratch.run(&["show", table, "--output", "json", "--limit", "1"]).exits(0);
    let row: Value = serde_json::from_str(&said.stdout).unwrap();
    row.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Returns conditions that a row in the middle of a table fulfils, by its key or else by what it says.
fn middle_row(scratch: &Scratch, table: &str) -> Vec<String> {
    let keys = key(scratch, table).unwrap_or_else(|| columns(scratch, table));
    let order =
        format!("select row_number() over (order by {keys}) as place, count(*) over () as rows, * from {table}");
    let sql = format!("select {keys} from ({order}) where place = rows / 2 + 1");
    let said = scratch.run(&["show", &sql, "--output", "json"]).exits(0);
    let found: Value = serde_json::from_str(&said.stdout).unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    found.as_object().unwrap().iter().map(|(column, value)| format!("{column}={}", text(value))).collect()
}

/// Shares of all landed rows of a dataset that may be told for one row, where it is not one of a day or an entity:
/// of running totals, and of series whose averages, drawdowns or ranks go back to their beginning.
const WIDE: &[&str] =
    &["kpi_headline", "kpi_monthly", "perf_scorecard", "perf_team_month", "risk_events", "risk_kri_daily"];

#[test]
fn every_shipped_table_is_followed_to_landed_lines() {
    let scratch = shipped();
    let datasets = names(&scratch, "schemas/sources", ".toml");
    let count = |dataset: &String| {
        let rows = scratch.rows(&format!("select count(*) from {dataset}"));
        (dataset.clone(), rows[0].parse::<u64>().unwrap())
    };
    let landed: std::collections::BTreeMap<String, u64> = datasets.iter().map(count).collect();
    let facts: std::collections::BTreeMap<String, u64> =
        names(&scratch, "sql/marts", ".sql").iter().filter(|name| name.starts_with("fct_")).map(count).collect();
    let tables: Vec<String> = ["marts", "kpi", "performance", "risk"]
        .iter()
        .flat_map(|layer| names(&scratch, &format!("sql/{layer}"), ".sql"))
        .collect();
    assert!(tables.len() > 35, "{tables:?}");
    let step = if is_thorough() { 1 } else { 4 };
    let tables: Vec<String> = tables.into_iter().step_by(step).collect();
    // Each is a process of its own, and there are many.
    let ask = |tables: &[String]| {
        for table in tables {
            let row = middle_row(&scratch, table);
            let arguments: Vec<&str> = std::iter::once(table.as_str())
                .chain(row.iter().map(String::as_str))
                .chain(["--limit", "100000"])
                .collect();
            let parts = told(&scratch, &arguments);
            // A table without a key may have rows that are alike.
            let asked = parts[0]["count"].as_u64().unwrap();
            assert!(asked == 1 || asked > 1 && key(&scratch, table).is_none(), "{table} {row:?}: {asked} rows");
            let mut lines = 0;
            for part in &parts {
                let name = part["table"].as_str().unwrap();
                let is_followed = part["found"] == "conditions" || part["is_enough"] == true;
                assert!(is_followed, "{table} {row:?}: {name} {} {}", part["found"], part["not_followed"]);
                // Up to when a feed is known, and what is astray in it, is a matter of all of its rows.
                let is_by_feed =
                    part["read_by"].as_array().unwrap().iter().any(|by| by.as_str().unwrap().ends_with("_feed"));
                if let Some(all) = facts.get(name).filter(|all| **all > 1000 && !is_by_feed) {
                    let is_wide = WIDE.contains(&table.as_str());
                    assert!(
                        is_wide || part["count"].as_u64().unwrap() * 2 < *all,
                        "{table} {row:?}: {} of {all} rows of {name}",
                        part["count"]
                    );
                }
                let Some(all) = landed.get(name) else { continue };
                let rows = part["rows"].as_array().unwrap();
                assert!(rows.iter().all(|row| row["_file"].is_string() && row["_line"].is_u64()), "{table}: {name}");
                assert_eq!(Some(rows.len() as u64), part["count"].as_u64(), "{table}: {name}");
                lines += rows.len();
                // Small tables of reference data may count as a whole.
                let has_feed =
                    parts.iter().any(|part| part["table"].as_str().unwrap().ends_with("_feed") && part["count"] != 0);
                if *all > 1000 && !has_feed && !WIDE.contains(&table.as_str()) {
                    assert!(rows.len() as u64 * 2 < *all, "{table} {row:?}: {} of {all} lines of {name}", rows.len());
                }
            }
            // The calendar and the cells of the matrix are there without a line.
            assert!(lines > 0 || ["dim_date", "risk_matrix"].contains(&table.as_str()), "{table} {row:?}");
        }
    };
    std::thread::scope(|scope| {
        let (first, second) = tables.split_at(tables.len() / 2);
        let other = scope.spawn(|| ask(second));
        ask(first);
        other.join().unwrap();
    });
}

/// Lands of the shipped files only the lines that were told, makes a table of them, and returns what a query says then.
fn landed_alone(parts: &[Value], table: &str, sql: &str) -> Vec<String> {
    use std::collections::{BTreeMap, BTreeSet};
    use std::io::{Read, Write};
    let scratch = crate::sample::shipped();
    let mut told: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for row in parts
        .iter()
        .filter(|part| part["rows"][0]["_file"].is_string())
        .flat_map(|part| part["rows"].as_array().unwrap())
    {
        let line = usize::try_from(row["_line"].as_u64().unwrap()).unwrap();
        told.entry(row["_file"].as_str().unwrap().to_owned()).or_default().insert(line);
    }
    for (path, bytes) in scratch.files("data-samples") {
        let landed = path.strip_prefix(scratch.root()).unwrap().to_str().unwrap().to_owned();
        if !(landed.contains(".csv") || landed.contains(".ndjson")) {
            continue;
        }
        let is_packed = std::path::Path::new(&landed).extension().is_some_and(|suffix| suffix == "gz");
        let mut text = bytes;
        if is_packed {
            let mut unpacked = Vec::new();
            let _ = flate2::read::MultiGzDecoder::new(text.as_slice()).read_to_end(&mut unpacked).unwrap();
            text = unpacked;
        }
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let mut kept = if landed.contains(".csv") { lines[0].to_vec() } else { Vec::new() };
        for &line in told.get(&landed).into_iter().flatten() {
            // A record may go on behind the end of its line.
            let mut quotes = 0;
            for line in &lines[line - 1..] {
                kept.extend(*line);
                quotes += line.iter().filter(|byte| **byte == b'"').count();
                if quotes % 2 == 0 {
                    break;
                }
            }
        }
        if is_packed {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(&kept).unwrap();
            kept = packed.finish().unwrap();
        }
        std::fs::write(&path, kept).unwrap();
    }
    // What is promised of whole tables does not hold of a few lines.
    for folder in ["schemas/models", "sql/checks", "jobs"] {
        std::fs::remove_dir_all(scratch.path(folder)).unwrap();
    }
    let datasets = names(&scratch, "schemas/sources", ".toml");
    scratch.write("jobs/all.toml", &format!("ingest = {datasets:?}\n"));
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01", "--select", &format!("+{table}")]).exits(0);
    scratch.rows(sql)
}

#[test]
fn the_lines_that_are_told_alone_make_the_row_again() {
    let scratch = shipped();
    // Grouping sets, unions, windows, `lag`, a recursion, ranks, and days of the clock.
    let tables = [
        "fct_funnel_step",
        "fct_ticket_event",
        "kpi_backlog_daily",
        "kpi_daily",
        "kpi_retention_cohort",
        "kpi_support_daily",
        "kpi_user_activity_daily",
        "perf_agent_month",
        "risk_market_daily",
    ];
    for table in tables.into_iter().step_by(if is_thorough() { 1 } else { 4 }) {
        let row = middle_row(&scratch, table);
        let arguments: Vec<&str> =
            std::iter::once(table).chain(row.iter().map(String::as_str)).chain(["--limit", "100000"]).collect();
        let parts = told(&scratch, &arguments);
        let is = |condition: &String| {
            let (column, value) = condition.split_once('=').unwrap();
            format!("{column} = '{value}'")
        };
        let sql = format!("select * from {table} where {}", row.iter().map(is).collect::<Vec<_>>().join(" and "));
        let before = scratch.rows(&sql);
        assert_eq!(before.len(), 1, "{sql}");
        assert_eq!(landed_alone(&parts, table, &sql), before, "{table} {row:?}");
    }
}

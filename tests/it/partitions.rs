//! Tables in parts: what is made again, what is said of it, and that promises hold of all parts.

use crate::scratch::Scratch;

/// A project of sales by day, from a file for each day.
fn sales() -> Scratch {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"Asia/Shanghai\"\n[paths]\nlanding = \"landing\"\n"),
        ("jobs/sales.toml", "ingest = [\"sales\", \"shops\"]\n"),
        (
            "schemas/sources/sales.toml",
            r#"from = "{landing}/sales-*.csv"
format = { type = "csv" }
key = ["id"]
keep = { latest = "version" }
partition = { day = "sold_at" }
[columns]
id = "int64!"
version = "int64!"
sold_at = "timestamp"
shop = "string"
amount = "int64"
"#,
        ),
        (
            "schemas/sources/shops.toml",
            "from = \"{landing}/shops.csv\"\nformat = { type = \"csv\" }\n[columns]\nshop = \"string!\"\nname = \"string\"\n",
        ),
        ("sql/staging/stg_sales.sql", "select *, local_day(sold_at, $reporting_zone) as day from sales\n"),
        ("sql/staging/stg_shops.sql", "select * from shops\n"),
        ("sql/marts/fct_sale.sql", "select id, day, shop, amount from stg_sales\n"),
        (
            "schemas/models/fct_sale.toml",
            "key = [\"id\"]\npartition = { day = \"day\" }\n[columns]\namount = { min = 0 }\n",
        ),
        (
            "sql/kpi/kpi_sale_daily.sql",
            "select day, count(*) as sales, sum(amount) as amount from fct_sale group by day\n",
        ),
        (
            "schemas/models/kpi_sale_daily.toml",
            "key = [\"day\"]\npartition = { day = \"day\" }\n[columns]\nsales = { max = 3 }\n",
        ),
        ("landing/shops.csv", "shop,name\na,Alpha\nb,Beta\n"),
    ]);
    for day in 1..=5 {
        let (id, other) = (day * 10, day * 10 + 1);
        scratch.write(
            &format!("landing/sales-0{day}.csv"),
            &format!("id,version,sold_at,shop,amount\n{id},1,2024-03-0{day}T01:00:00Z,a,5\n{other},1,2024-03-0{day}T02:00:00Z,b,7\n"),
        );
    }
    scratch
}

/// Runs, and returns of each table that was built how many of its partitions were made and how many there are.
fn made(scratch: &Scratch) -> Vec<String> {
    let said = scratch.run(&["run", "--as-of", "2024-07-01", "--output", "json"]).exits(0);
    let report: serde_json::Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    let told = |table: &serde_json::Value| {
        let parts = &table["partitions"];
        format!("{} {}/{}", table["table"].as_str().unwrap(), parts["made"], parts["all"])
    };
    report["tables"].as_array().unwrap().iter().map(told).collect()
}

fn late(scratch: &Scratch, name: &str, rows: &str) {
    scratch.write(&format!("landing/sales-{name}.csv"), &format!("id,version,sold_at,shop,amount\n{rows}\n"));
}

#[test]
fn a_table_by_partitions_over_data_without_any_sees_every_change() {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
        ("jobs/all.toml", "ingest = [\"sales\"]\n"),
        (
            "schemas/sources/sales.toml",
            "from = \"{landing}/sales-*.csv\"\nformat = { type = \"csv\" }\n[columns]\nday = \"date\"\nn = \"int64\"\n",
        ),
        ("sql/staging/stg_sales.sql", "select day, n from sales\n"),
        ("sql/intermediate/int_sales.sql", "select day, n from stg_sales\n"),
        ("sql/marts/fct_sale.sql", "select day, n from int_sales where n > 1\n"),
        ("schemas/models/fct_sale.toml", "partition = { day = \"day\" }\n"),
        ("landing/sales-1.csv", "day,n\n2024-03-01,2\n2024-03-02,3\n"),
    ]);
    let rows = || scratch.rows("select day, n from fct_sale order by day");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(rows(), ["2024-03-01,2", "2024-03-02,3"]);
    scratch.write("landing/sales-1.csv", "day,n\n2024-03-01,1\n2024-03-02,4\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(rows(), ["2024-03-02,4"]);
    let _ = scratch.run(&["verify"]).exits(0);
}

#[test]
fn a_late_row_makes_its_day_again() {
    let scratch = sales();
    assert_eq!(made(&scratch), ["fct_sale 5/5", "kpi_sale_daily 5/5"]);
    late(&scratch, "late", "99,1,2024-03-02T03:00:00Z,a,1");
    let plan = scratch.run(&["plan", "--as-of", "2024-07-01"]).exits(0).stdout;
    assert!(plan.contains("fct_sale        build if sales changes; the days that change there"), "{plan}");
    assert_eq!(made(&scratch), ["fct_sale 1/5", "kpi_sale_daily 1/5"]);
    // Of a day that nobody knew there is one more.
    late(&scratch, "new", "100,1,2024-03-09T03:00:00Z,a,1");
    assert_eq!(made(&scratch), ["fct_sale 1/6", "kpi_sale_daily 1/6"]);
    // At 17:00 in UTC it is the next day in Shanghai.
    late(&scratch, "night", "101,1,2024-03-09T17:00:00Z,a,1");
    assert_eq!(made(&scratch), ["fct_sale 1/7", "kpi_sale_daily 1/7"]);
    assert_eq!(
        scratch.rows("select day, sales from kpi_sale_daily where day > '2024-03-08' order by day"),
        ["2024-03-09,1", "2024-03-10,1"]
    );
}

#[test]
fn the_rows_that_were_read_for_a_table_are_told() {
    let scratch = sales();
    scratch.write("schemas/models/kpi_sale_daily.toml", "key = [\"day\"]\n");
    scratch.write(
        "sql/marts/fct_neighbour.sql",
        "select a.id, b.id as other from fct_sale as a inner join fct_sale as b on a.shop = b.shop inner join stg_shops as s on a.shop = s.shop\n",
    );
    let read = |arguments: &[&str]| {
        let said = scratch.run(&[&["run", "--as-of", "2024-07-01", "--output", "json"], arguments].concat()).exits(0);
        let report: serde_json::Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
        let tables = report["tables"].as_array().unwrap().iter();
        tables
            .map(|table| (table["table"].as_str().unwrap().to_owned(), table["rows_read"].as_u64().unwrap()))
            .collect()
    };
    let all: std::collections::BTreeMap<String, u64> = read(&[]);
    assert_eq!((all["fct_sale"], all["kpi_sale_daily"]), (10, 10));
    // Twice all sales, and the shops.
    assert_eq!(all["fct_neighbour"], 10 + 10 + 2);
    // What a filter drops was read as well.
    scratch.write("sql/kpi/kpi_dear.sql", "select id from fct_sale where amount > 5\n");
    let dear: std::collections::BTreeMap<String, u64> = read(&[]);
    assert_eq!(dear["kpi_dear"], 10);
    let told = scratch.run(&["history", "--tables"]).exits(0).stdout;
    assert!(told.lines().next().unwrap().contains("rows  rows read  seconds"), "{told}");
}

#[test]
fn a_row_that_moves_makes_both_days_again_and_one_that_changes_nothing_none() {
    let scratch = sales();
    made(&scratch);
    late(&scratch, "moved", "20,2,2024-03-04T03:00:00Z,a,5");
    assert_eq!(made(&scratch), ["fct_sale 2/5", "kpi_sale_daily 2/5"]);
    assert_eq!(
        scratch.rows("select day, sales, amount from kpi_sale_daily order by day"),
        ["2024-03-01,2,12", "2024-03-02,1,7", "2024-03-03,2,12", "2024-03-04,3,17", "2024-03-05,2,12"]
    );
    // What is superseded already moves nothing.
    late(&scratch, "older", "20,0,2024-03-05T03:00:00Z,a,5");
    assert!(made(&scratch).is_empty());
    // A sale moves to another shop: its day is made again, and comes out equal where nobody asks for shops.
    late(&scratch, "shop", "30,2,2024-03-03T01:00:00Z,b,5");
    let before = scratch.files("warehouse/data/kpi_sale_daily");
    assert_eq!(made(&scratch), ["fct_sale 1/5", "kpi_sale_daily 1/5"]);
    assert_eq!(scratch.files("warehouse/data/kpi_sale_daily"), before);
}

#[test]
fn a_day_that_empties_and_a_day_without_a_day_are_partitions_too() {
    let scratch = sales();
    scratch.write("schemas/models/kpi_sale_daily.toml", "partition = { day = \"day\" }\n");
    made(&scratch);
    late(&scratch, "undated", "40,2,,a,5\n41,2,,b,7");
    // The fourth of March has none any longer, and there is one of nulls.
    assert_eq!(made(&scratch), ["fct_sale 2/5", "kpi_sale_daily 2/5"]);
    assert_eq!(
        scratch.rows("select day, sales from kpi_sale_daily order by day nulls first"),
        [",2", "2024-03-01,2", "2024-03-02,2", "2024-03-03,2", "2024-03-05,2"]
    );
    // Given up, the file gives both rows back to their day.
    let said = scratch.run(&["forget", "landing/sales-undated.csv"]).exits(0);
    assert!(said.stderr.contains("kpi_sale_daily"), "{}", said.stderr);
    assert_eq!(
        scratch.rows("select day, sales from kpi_sale_daily order by day nulls first"),
        ["2024-03-01,2", "2024-03-02,2", "2024-03-03,2", "2024-03-04,2", "2024-03-05,2"]
    );
}

#[test]
fn an_input_that_is_read_as_a_whole_makes_all_again_and_the_plan_says_why() {
    let scratch = sales();
    scratch.write(
        "sql/marts/fct_sale.sql",
        "select sales.id, sales.day, shops.name as shop, sales.amount from stg_sales as sales left join stg_shops as shops on sales.shop = shops.shop\n",
    );
    made(&scratch);
    scratch.write("landing/shops.csv", "shop,name\na,Alpha\nb,Bravo\n");
    let plan = scratch.run(&["plan", "--as-of", "2024-07-01"]).exits(0).stdout;
    assert!(plan.contains("; as a whole for `shops`: it has no partitions"), "{plan}");
    // Every day has a sale of that shop.
    assert_eq!(made(&scratch), ["fct_sale 5/5", "kpi_sale_daily 5/5"]);
    late(&scratch, "late", "99,1,2024-03-02T03:00:00Z,b,1");
    assert_eq!(made(&scratch), ["fct_sale 1/5", "kpi_sale_daily 1/5"]);
    assert_eq!(scratch.rows("select shop from fct_sale where id = 99"), ["Bravo"]);
}

#[test]
fn a_promise_is_broken_by_a_part_as_by_the_whole() {
    let scratch = sales();
    made(&scratch);
    // More sales a day than may be, on one day of five.
    late(&scratch, "many", "97,1,2024-03-02T03:00:00Z,a,1\n98,1,2024-03-02T03:00:00Z,a,1");
    let said = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(1).stderr;
    assert!(said.contains("`sales` of `kpi_sale_daily` must be at most 3"), "{said}");
    std::fs::remove_file(scratch.path("landing/sales-many.csv")).unwrap();
    // The key of a table need not have its day: two partitions may break it together.
    scratch.write(
        "sql/staging/stg_sales.sql",
        "select id % 50 as id, version, sold_at, shop, amount, local_day(sold_at, $reporting_zone) as day from sales\n",
    );
    made(&scratch);
    late(&scratch, "twice", "61,1,2024-03-05T03:00:00Z,a,1");
    let said = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(1).stderr;
    assert!(said.contains("the key (id) of `fct_sale` must be unique"), "{said}");
}

#[test]
fn a_table_that_is_told_apart_from_now_on_is_made_anew_once() {
    let scratch = sales();
    scratch.write("schemas/models/kpi_sale_daily.toml", "key = [\"day\"]\n");
    assert_eq!(made(&scratch), ["fct_sale 5/5", "kpi_sale_daily null/null"]);
    scratch.write("schemas/models/kpi_sale_daily.toml", "key = [\"day\"]\npartition = { day = \"day\" }\n");
    assert_eq!(made(&scratch), ["kpi_sale_daily 5/5"]);
    late(&scratch, "late", "99,1,2024-03-02T03:00:00Z,a,1");
    assert_eq!(made(&scratch), ["fct_sale 1/5", "kpi_sale_daily 1/5"]);
}

#[test]
fn a_partition_goes_by_a_column_that_is_there_and_fits() {
    let scratch = sales();
    scratch.write("schemas/models/kpi_sale_daily.toml", "partition = { day = \"dy\" }\n");
    let said = scratch.run(&["check"]).exits(2).stderr;
    let expected = "error[E0402]: `partition` names the column `dy`, which `kpi_sale_daily` does not have\n --> schemas/models/kpi_sale_daily.toml:1:22\n";
    assert!(said.starts_with(expected), "{said}");
    scratch.write("schemas/models/kpi_sale_daily.toml", "partition = { day = \"sales\" }\n");
    let said = scratch.run(&["check"]).exits(2).stderr;
    assert!(said.contains("error[E0403]: `partition` cannot go by the day of `sales`, of type `int64`"), "{said}");
}

#[test]
fn a_day_with_a_reach_is_made_of_the_days_that_it_reaches() {
    let scratch = sales();
    scratch.write(
        "sql/kpi/kpi_sale_2d.sql",
        "select day, cast(sum(sales) over (order by day rows between unbounded preceding and current row) as bigint) as sales
from kpi_sale_daily
",
    );
    scratch.write(
        "schemas/models/kpi_sale_2d.toml",
        "key = [\"day\"]\npartition = { day = \"day\" }\nreach = { before = \"1 day\" }\n",
    );
    // The day after the last could have rows too: a left join would make some.
    assert_eq!(made(&scratch), ["fct_sale 5/5", "kpi_sale_daily 5/5", "kpi_sale_2d 6/6"]);
    let rows = || scratch.rows("select day, sales from kpi_sale_2d order by day");
    // The query asks for all days before; the contract says that there is but one.
    assert_eq!(rows(), ["2024-03-01,2", "2024-03-02,4", "2024-03-03,4", "2024-03-04,4", "2024-03-05,4"]);
    late(&scratch, "late", "99,1,2024-03-02T03:00:00Z,a,1");
    assert_eq!(made(&scratch), ["fct_sale 1/5", "kpi_sale_daily 1/5", "kpi_sale_2d 2/6"]);
    assert_eq!(rows(), ["2024-03-01,2", "2024-03-02,5", "2024-03-03,5", "2024-03-04,4", "2024-03-05,4"]);
}

#[test]
fn a_late_row_counts_its_day_its_week_and_its_month_anew() {
    let scratch = sales();
    scratch.write(
        "schemas/metrics/shop.toml",
        "from = \"fct_sale\"\ntime = \"day\"\nby = [\"shop\"]\n[shops]\nvalue = \"count(distinct amount)\"\nunit = \"prices\"\nen = \"Prices\"\n",
    );
    scratch.write("schemas/models/kpi_sale_daily.toml", "partition = { day = \"day\" }\n");
    // Two days of April are a Friday and the Monday after it.
    late(&scratch, "april", "60,1,2024-04-05T03:00:00Z,a,1\n61,1,2024-04-08T03:00:00Z,a,1\n62,1,,a,1");
    let counted =
        |scratch: &Scratch| made(scratch).into_iter().filter(|table| table.contains("_sale_")).collect::<Vec<_>>();
    let by_shop = |period: &str| {
        scratch.rows(&format!(
            "select {period}, value from metric_{period} where scope_type = 'total' and value > 0 order by {period}"
        ))
    };
    // 2024-03-01 is a Friday. Rows without a day are a part of their own, of which nothing is counted.
    assert_eq!(
        counted(&scratch),
        ["kpi_sale_daily 8/8", "metric_fct_sale_day 8/8", "metric_fct_sale_month 3/3", "metric_fct_sale_week 5/5"]
    );
    assert_eq!(by_shop("week"), ["2024-02-26,2.0", "2024-03-04,2.0", "2024-04-01,1.0", "2024-04-08,1.0"]);
    assert_eq!(by_shop("month"), ["2024-03-01,2.0", "2024-04-01,1.0"]);
    late(&scratch, "late", "99,1,2024-03-02T03:00:00Z,a,9");
    let plan = scratch.run(&["plan", "--as-of", "2024-07-01"]).exits(0).stdout;
    assert!(plan.contains("metric_fct_sale_week   build if fct_sale changes; the weeks that change there"), "{plan}");
    assert_eq!(
        counted(&scratch),
        ["kpi_sale_daily 1/8", "metric_fct_sale_day 1/8", "metric_fct_sale_month 1/3", "metric_fct_sale_week 1/5"]
    );
    assert_eq!(by_shop("week"), ["2024-02-26,3.0", "2024-03-04,2.0", "2024-04-01,1.0", "2024-04-08,1.0"]);
    assert_eq!(by_shop("month"), ["2024-03-01,3.0", "2024-04-01,1.0"]);
    // What is gone from a month goes from it.
    late(&scratch, "april", "61,1,2024-04-08T03:00:00Z,a,1");
    assert_eq!(
        counted(&scratch),
        ["kpi_sale_daily 2/6", "metric_fct_sale_day 2/6", "metric_fct_sale_month 2/2", "metric_fct_sale_week 2/3"]
    );
    assert_eq!(by_shop("week"), ["2024-02-26,3.0", "2024-03-04,2.0", "2024-04-08,1.0"]);
    let _ = scratch.run(&["verify"]).exits(0);
}

#[test]
fn a_model_with_a_reach_means_something_else_once_an_input_has_no_days_any_more() {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
        ("sql/staging/stg_a.sql", "select * from a\n"),
        ("sql/marts/fct_r.sql", "select d as day, n, sum(n) over () as total from stg_a\n"),
        ("schemas/models/fct_r.toml", "partition = { day = \"day\" }\nreach = { before = \"1 day\" }\n"),
        ("landing/a-1.csv", "d,n\n2024-01-01,1\n2024-01-02,10\n2024-01-03,100\n2024-01-04,1000\n"),
    ]);
    let contract =
        "from = \"{landing}/a-*.csv\"\nformat = { type = \"csv\" }\n[columns]\nd = \"date!\"\nn = \"int64\"\n";
    let totals = |partition: &str| {
        scratch.write("schemas/sources/a.toml", &format!("{partition}{contract}"));
        let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
        scratch.rows("select total from fct_r order by day")
    };
    let by_day = "partition = { day = \"d\" }\n";
    assert_eq!(totals(by_day), ["1", "11", "110", "1100"]);
    assert_eq!(totals(""), ["1111", "1111", "1111", "1111"]);
    assert_eq!(totals(by_day), ["1", "11", "110", "1100"]);
}

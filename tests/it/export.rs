//! Metrics as other programs read them: which way each goes, what its SQL comes to, and what the folder is allowed to
//! lose. Programs that read the files are in `tests/readers`, `tests/cube` and `tests/superset`.

use std::collections::BTreeMap;

use crate::scratch::Scratch;

const METRICS: &str = r#"from = "fct_order"
time = "day"
where = "amount > $least"

[orders]
value = "count(*)"
unit = "CNY"
en = "Orders {{ 7 * 7 }}"
zh = "订单: # 数"

[cheap]
value = "count(*) filter (where amount < 15)"
unit = "CNY"
en = "Cheap orders"

[days]
value = "count(distinct day) filter (where amount <> 10)"
unit = "CNY"
en = "Days"

[revenue]
value = "sum(amount)"
unit = "CNY"
en = "Revenue"

[basket]
numerator = "sum(amount)"
denominator = "count(*) filter (where amount >= 20)"
unit = "CNY"
en = "Basket"

[middle]
value = "median(amount)"
sample = "count(amount)"
unit = "CNY"
en = "Median"

[two_days]
of = "revenue"
over = "2 days"
unit = "CNY"
en = "Revenue of two days"

[halved]
value = "sum(amount / 2)"
unit = "CNY"
en = "Halves"

[odd]
value = "count(*) filter (where is_odd(id))"
unit = "CNY"
en = "Odd"

[late]
value = "count(*)"
time = "at"
unit = "CNY"
en = "By instant"

[hidden]
from = "int_order"
value = "count(*)"
unit = "CNY"
en = "Of what is not published"
"#;

fn project() -> Scratch {
    let scratch = Scratch::orders();
    scratch.write(
        "opsmart.toml",
        "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n[vars]\nleast = 5\nmin_sample = 3\n",
    );
    scratch.write("schemas/metrics/shop.toml", METRICS);
    scratch.write(
        "sql/functions/is_odd.sql",
        "-- An odd number.\ncreate function is_odd(n bigint) returns boolean return n % 2 = 1\n",
    );
    scratch.write(
        "sql/intermediate/int_order.sql",
        "select id, local_day(at, $reporting_zone) as day, amount from stg_orders\n",
    );
    scratch.write(
        "sql/marts/fct_order.sql",
        "select id, at, local_day(at, $reporting_zone) as day, amount from stg_orders\n",
    );
    scratch.write(
        "landing/orders-2.csv",
        "id,at,amount\n3,2024-03-02T10:00:00Z,30.00\n4,,40.00\n5,2024-03-02T10:00:00Z,4.00\n",
    );
    scratch.write(
        "schemas/sources/orders.toml",
        r#"from = "{landing}/orders-*.csv"
format = { type = "csv" }
[columns]
id = "int64!"
at = "timestamp"
amount = "decimal(10,2)"
"#,
    );
    scratch
}

fn with_values(scratch: &Scratch) {
    scratch.write("sql/kpi/kpi_daily.sql", "select * from metric_day\n");
    scratch.write("schemas/models/kpi_daily.toml", "key = [\"day\", \"metric_id\", \"scope_type\", \"scope_id\"]\n");
}

/// Every metric of a model of Ossie with its expression. What is no name is JSON there, too.
fn expressions(scratch: &Scratch, path: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(scratch.path(path)).unwrap();
    let (_, metrics) = text.split_once("\nmetrics:\n").unwrap();
    let metrics = metrics.split("  - name: ").skip(1).map(|metric| {
        let name = metric.lines().next().unwrap().to_owned();
        let (_, sql) = metric.split_once("expression: ").unwrap();
        let sql = sql.lines().next().unwrap();
        (name, serde_json::from_str(sql).unwrap_or_else(|_| sql.to_owned()))
    });
    metrics.collect()
}

#[test]
fn each_metric_is_sql_over_rows_or_a_value_of_a_table() {
    let scratch = project();
    with_values(&scratch);
    let _ = scratch.run(&["check"]).exits(0);
    let said = scratch.run(&["export", "ossie", "--to", "model"]).exits(0);
    assert_eq!(
        said.stdout,
        "over the rows of fct_order: shop_basket, shop_cheap, shop_days, shop_middle, shop_orders, shop_revenue\n\
         as values of kpi_daily: shop_halved, shop_hidden, shop_late, shop_odd, shop_two_days\n"
    );
    assert_eq!(said.stderr, "wrote model: 11 metrics\n");
    assert!(!scratch.path("warehouse").exists(), "nothing was read and nothing built");
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    let sql = expressions(&scratch, "model/opsmart.yaml");
    // Orders of 10, 20 and 30 count; 40 has no day, and 4 is not above the least.
    for (metric, value) in [
        ("shop_orders", "3"),
        ("shop_cheap", "1"),
        ("shop_days", "2"),
        ("shop_revenue", "60.00"),
        // 60 over the two of at least 20.
        ("shop_basket", "30.0"),
    ] {
        let found = scratch.rows(&format!("select {} from fct_order", sql[metric]));
        assert_eq!(found, [value], "{metric}: {}", sql[metric]);
    }
    // A sample of three gives a median, one of two does not.
    let by_day = |metric: &str| {
        format!("select day, {} from fct_order where day is not null group by day order by day", sql[metric])
    };
    let median = scratch.rows(&format!("select {} from fct_order", sql["shop_middle"]));
    assert!((median[0].parse::<f64>().unwrap() - 20.0).abs() < 1e-9, "{median:?}");
    assert_eq!(scratch.rows(&by_day("shop_middle")), ["2024-03-01,", "2024-03-02,"]);
    // What is read as values has those of a day, and none of two.
    let values = |sql: &str, by: &str| scratch.rows(&format!("select {sql} from kpi_daily {by}"));
    assert_eq!(
        values(&format!("day, {}", sql["shop_two_days"]), "group by day order by day"),
        ["2024-03-01,", "2024-03-02,60.0"]
    );
    assert_eq!(values(&sql["shop_two_days"], ""), ["\"\""]);
    assert_eq!(
        values(&sql["shop_hidden"], "where day = '2024-03-02'"),
        scratch.rows("select value from metric_day where metric_id = 'shop_hidden' and day = '2024-03-02'")
    );
    let text = std::fs::read_to_string(scratch.path("model/opsmart.yaml")).unwrap();
    assert!(text.contains("- \"Orders \\x7b{ 7 * 7 }}\"\n        - \"订单: # 数\"\n"), "{text}");
}

#[test]
fn a_metric_that_no_table_has_is_left_out_with_its_reason() {
    let scratch = project();
    let said = scratch.run(&["export", "ossie", "--to", "model", "--output", "json"]).exits(0);
    let told: serde_json::Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    let reason = |id: &str| -> &str {
        let left_out = told["left_out"].as_array().unwrap();
        left_out.iter().find(|one| one["metric_id"] == id).unwrap()["because"].as_str().unwrap()
    };
    assert_eq!(reason("shop_two_days"), "is made of other metrics");
    assert_eq!(reason("shop_halved"), "says `amount / 2`, which engines do not share");
    assert_eq!(reason("shop_odd"), "says `is_odd(id)`, which engines do not share");
    assert_eq!(reason("shop_late"), "cuts the days of `at`, which is an instant");
    assert_eq!(reason("shop_hidden"), "is counted from `int_order`, which is not published");
    assert_eq!(told["metrics"].as_array().unwrap().len(), 6);
    let said = scratch.run(&["export", "ossie", "--to", "model"]).exits(0);
    let line = "left out: shop_two_days is made of other metrics, and no published table has its values\n";
    assert!(said.stdout.contains(line), "{}", said.stdout);
    assert!(!expressions(&scratch, "model/opsmart.yaml").contains_key("shop_two_days"));
}

#[test]
fn a_project_without_metrics_has_nothing_to_export() {
    let scratch = Scratch::orders();
    let said = scratch.run(&["export", "cube", "--to", "model"]).exits(2);
    assert!(said.stderr.contains("the project declares no metrics"), "{}", said.stderr);
    assert!(!scratch.path("model").exists());
}

#[test]
fn cubes_have_measures_with_filters_and_ratios_of_two_measures() {
    let scratch = project();
    with_values(&scratch);
    let _ = scratch.run(&["export", "cube", "--to", "model", "--schema", "main"]).exits(0);
    let cube = std::fs::read_to_string(scratch.path("model/cubes/fct_order.yml")).unwrap();
    for text in [
        "    sql_table: main.fct_order\n",
        "      - name: day\n        sql: \"{CUBE}.day\"\n        type: time\n",
        "      - name: shop_cheap\n        type: count\n        sql: \"{CUBE}.day\"\n        filters:\n          - sql: \"({CUBE}.amount > 5) and ({CUBE}.amount < 15)\"\n",
        "      - name: shop_days\n        type: count_distinct\n",
        "      - name: shop_basket__numerator\n        type: sum\n",
        "      - name: shop_basket\n        type: number\n        sql: \"cast({shop_basket__numerator} as double precision) / nullif({shop_basket__denominator}, 0)\"\n",
        "        title: \"Orders \\x7b{ 7 * 7 }}\"\n",
    ] {
        assert!(cube.contains(text), "{text} in {cube}");
    }
    let views = std::fs::read_to_string(scratch.path("model/views/shop.yml")).unwrap();
    let first = "views:\n  - name: shop_of_fct_order\n    cubes:\n      - join_path: fct_order\n        includes:\n          - shop_basket\n";
    assert!(views.starts_with(first), "{views}");
    // A table that is gone takes its file along; what others wrote stays.
    scratch.write("model/cubes/mine.yml", "cubes: []\n");
    std::fs::remove_file(scratch.path("sql/kpi/kpi_daily.sql")).unwrap();
    std::fs::remove_file(scratch.path("schemas/models/kpi_daily.toml")).unwrap();
    let _ = scratch.run(&["export", "cube", "--to", "model"]).exits(0);
    assert!(!scratch.path("model/cubes/kpi_daily.yml").exists() && scratch.path("model/cubes/mine.yml").exists());
}

#[test]
fn what_the_command_did_not_write_is_left_alone() {
    let scratch = project();
    scratch.write("mine/a.txt", "mine");
    let said = scratch.run(&["export", "ossie", "--to", "mine"]).exits(2);
    assert!(said.stderr.contains("`mine` holds files that `opsmart export ossie` did not write"), "{}", said.stderr);
    let _ = scratch.run(&["export", "cube", "--to", "cube"]).exits(0);
    let said = scratch.run(&["export", "ossie", "--to", "cube"]).exits(2);
    assert!(said.stderr.contains("`cube` holds files"), "{}", said.stderr);
    // A folder in it that leads elsewhere is not followed.
    std::fs::remove_dir_all(scratch.path("cube/cubes")).unwrap();
    std::os::unix::fs::symlink(scratch.path("mine"), scratch.path("cube/cubes")).unwrap();
    let said = scratch.run(&["export", "cube", "--to", "cube"]).exits(2);
    assert!(
        said.stderr.contains("a folder on the way to `cube/cubes/fct_order.yml` is a link or a file"),
        "{}",
        said.stderr
    );
    assert_eq!(scratch.files("mine").len(), 1);
    let said = scratch.run(&["export", "superset", "--to", "mine/a.txt"]).exits(2);
    assert!(said.stderr.contains("`mine/a.txt` is there, and is no ZIP file"), "{}", said.stderr);
    assert_eq!(std::fs::read_to_string(scratch.path("mine/a.txt")).unwrap(), "mine");
}

#[test]
fn one_project_gives_one_bundle_with_the_database_that_is_named() {
    let scratch = project();
    with_values(&scratch);
    let uri = "duckdb:////srv/it's.duckdb";
    let _ = scratch.run(&["export", "superset", "--uri", uri]).exits(0);
    let first = std::fs::read(scratch.path("superset.zip")).unwrap();
    let _ = scratch.run(&["export", "superset", "--uri", uri]).exits(0);
    assert!(first == std::fs::read(scratch.path("superset.zip")).unwrap());
    let text = String::from_utf8_lossy(&first);
    for part in [
        "opsmart/metadata.yaml",
        "opsmart/databases/opsmart.yaml",
        "opsmart/datasets/opsmart/fct_order.yaml",
        "sqlalchemy_uri: \"duckdb:////srv/it's.duckdb\"\n",
        "  - metric_name: shop_revenue\n    verbose_name: Revenue\n    expression: \"coalesce(sum(case when (amount > 5) and (day is not null) then amount end), 0)\"\n",
        "main_dttm_col: day\n",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

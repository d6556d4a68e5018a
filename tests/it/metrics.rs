//! Metrics of a few rows, worked by hand. `metric_law.rs` tries random ones.

use crate::scratch::Scratch;

/// Returns a project with one metric, `shop_x`, over sales that landed as `rows`.
fn shop(rows: &str, metric: &str) -> Scratch {
    let contract = r#"from = "{landing}/sales*.csv"
format = { type = "csv" }
[columns]
day = "date"
kind = "string"
amount = "decimal(10,2)"
cost = "decimal(10,2)"
"#;
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\npaths.landing = \"landing\"\nvars.min_sample = 2\n"),
        ("jobs/all.toml", "ingest = [\"sales\"]\n"),
        ("schemas/sources/sales.toml", contract),
        ("sql/staging/stg_sales.sql", "select day, kind, amount, cost from sales\n"),
        ("sql/marts/fct_sale.sql", "select day, kind, amount, cost from stg_sales\n"),
        ("landing/sales.csv", &format!("day,kind,amount,cost\n{rows}")),
    ]);
    scratch.write(
        "schemas/metrics/shop.toml",
        &format!("from = \"fct_sale\"\ntime = \"day\"\n[x]\n{metric}unit = \"yuan\"\nen = \"X\"\n"),
    );
    scratch
}

/// Runs a project, and returns the values of the whole by day, by week and by month, each with `n`.
fn values(scratch: &Scratch) -> [Vec<String>; 3] {
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01T00:00:00Z"]).exits(0);
    ["day", "week", "month"].map(|period| {
        scratch.rows(&format!("select {period}, value, n from metric_{period} where scope_type = 'total' order by 1"))
    })
}

#[test]
fn a_sum_without_values_is_nothing_beside_others() {
    // On Monday nothing was spent, on Tuesday nothing was earned, on Wednesday neither.
    let rows = "2024-06-03,a,10.00,\n2024-06-04,a,,4.00\n2024-06-05,a,,\n";
    for (metric, [monday, tuesday, wednesday, all]) in [
        ("value = \"sum(amount) - sum(cost)\"\n", [10.0, -4.0, 0.0, 6.0]),
        ("value = \"-(2 * sum(amount) + sum(cost))\"\n", [-20.0, -4.0, 0.0, -24.0]),
        ("value = \"count(*) - sum(amount)\"\n", [-9.0, 1.0, 1.0, -7.0]),
        ("value = \"coalesce(sum(amount) - sum(cost), 0)\"\n", [10.0, -4.0, 0.0, 6.0]),
        (
            "value = \"sum(amount) filter (where kind = 'a') - sum(cost) filter (where kind = 'b')\"\n",
            [10.0, 0.0, 0.0, 10.0],
        ),
        ("numerator = \"sum(amount) - sum(cost)\"\ndenominator = \"count(*)\"\n", [10.0, -4.0, 0.0, 2.0]),
        ("numerator = \"count(*)\"\ndenominator = \"sum(amount) + sum(cost)\"\n", [0.1, 0.25, f64::NAN, 0.214_286]),
    ] {
        let text = |value: f64| if value.is_nan() { String::new() } else { format!("{value:?}") };
        let number = |line: &String| line.split(',').nth(1).unwrap().to_owned();
        let [days, weeks, months] =
            values(&shop(rows, metric)).map(|lines| lines.iter().map(number).collect::<Vec<_>>());
        assert_eq!(days, [monday, tuesday, wednesday].map(text), "{metric}");
        assert_eq!((weeks, months), (vec![text(all)], vec![text(all)]), "{metric}");
    }
}

#[test]
fn a_balance_and_a_stock_of_a_difference_count_each_of_its_sums() {
    let rows = "2024-06-03,a,10.00,\n2024-06-04,a,,4.00\n";
    let [days, ..] = values(&shop(rows, "value = \"sum(amount) - sum(cost)\"\nas = \"balance\"\n"));
    assert_eq!(days, ["2024-06-03,10.0,10", "2024-06-04,6.0,6"]);
    let stock = "value = \"sum(amount) - sum(cost)\"\nas = \"stock\"\nfrom_time = \"day\"\nto_time = \"until\"\n";
    let scratch = shop(rows, stock);
    scratch.write("sql/marts/fct_sale.sql", "select day, cast(null as date) as until, amount, cost from stg_sales\n");
    let metrics = "schemas/metrics/shop.toml";
    let text = std::fs::read_to_string(scratch.path(metrics)).unwrap();
    scratch.write(metrics, &text.replace("time = \"day\"\n[x]", "[x]"));
    assert_eq!(values(&scratch)[0], ["2024-06-03,10.0,10", "2024-06-04,6.0,6"]);
}

#[test]
fn a_percentile_rests_on_the_values_that_it_puts_in_order() {
    // Three rows, of which two have an amount.
    let rows = "2024-06-03,a,1.00,1.00\n2024-06-03,a,2.00,\n2024-06-03,b,,\n";
    for (value, n) in [
        ("percentile_cont(0.5) within group (order by amount)", 2),
        ("percentile_cont(0.5) within group (order by amount) filter (where kind = 'a' and amount < 2)", 1),
        ("percentile_cont(amount, 0.5)", 2),
        ("quantile_cont(amount, 0.5)", 2),
        ("first_value(amount order by cost)", 2),
        ("stddev_pop(amount)", 2),
        ("avg(cost)", 1),
        ("corr(amount, cost)", 3),
    ] {
        let [days, ..] = values(&shop(rows, &format!("value = \"{value}\"\n")));
        let [day] = days.as_slice() else { panic!("{value}: {days:?}") };
        assert_eq!(day.rsplit(',').next(), Some(n.to_string().as_str()), "{value}: {day}");
    }
}

#[test]
fn a_mean_and_a_median_of_decimals_are_not_cut() {
    // Amounts of 1.00, 1.00, 0.00 and 8.68 and costs of 8.68 and -1.43.
    let rows = "2024-06-03,a,1.00,8.68\n2024-06-03,a,1.00,-1.43\n2024-06-03,a,0.00,\n";
    for (value, is) in [
        ("median(cost)", 3.625),
        ("median(distinct cost)", 3.625),
        ("percentile_cont(cost, 0.5)", 3.625),
        ("avg(amount)", 0.666_667),
        ("avg(distinct amount) + avg(amount)", 1.166_667),
        ("mean(amount) filter (where kind = 'a')", 0.666_667),
    ] {
        let [days, weeks, _] = values(&shop(rows, &format!("value = \"{value}\"\n")));
        for line in [&days[0], &weeks[0]] {
            assert_eq!(line.split(',').nth(1), Some(format!("{is:?}").as_str()), "{value}: {line}");
        }
    }
}

#[test]
fn metrics_of_one_table_stand_side_by_side_whatever_they_cast() {
    let rows = "2024-06-03,a,1.50,8.68\n2024-06-03,a,1.00,-1.43\n";
    let scratch = shop(rows, "value = \"max(amount)\"\n");
    let metrics =
        ["max(cast(amount as bigint))", "max(cast(amount as double))", "avg(amount)", "avg(cast(amount as bigint))"];
    let mut text = std::fs::read_to_string(scratch.path("schemas/metrics/shop.toml")).unwrap();
    for (number, value) in metrics.iter().enumerate() {
        text.push_str(&format!("[y{number}]\nvalue = \"{value}\"\nunit = \"yuan\"\nen = \"Y\"\n"));
    }
    scratch.write("schemas/metrics/shop.toml", &text);
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01T00:00:00Z"]).exits(0);
    let days = scratch.rows("select metric_id, value from metric_day order by metric_id");
    assert_eq!(days, ["shop_x,1.5", "shop_y0,1.0", "shop_y1,1.5", "shop_y2,1.25", "shop_y3,1.0"]);
}

#[test]
fn weeks_begin_on_the_day_that_the_project_says() {
    // A Saturday, a Sunday and a Monday.
    let rows = "2024-06-08,a,1.00,\n2024-06-09,a,2.00,\n2024-06-10,a,4.00,\n";
    let settings = |week_start: &str| {
        format!("reporting_zone = \"UTC\"\n{week_start}\npaths.landing = \"landing\"\nvars.min_sample = 2\n")
    };
    for (week_start, sums, medians) in [
        ("", ["2024-06-03,3.0,2", "2024-06-10,4.0,1"].as_slice(), ["2024-06-03,1.5,2", "2024-06-10,4.0,1"].as_slice()),
        (
            "week_start = \"sunday\"",
            &["2024-06-02,1.0,1", "2024-06-09,6.0,2"],
            &["2024-06-02,1.0,1", "2024-06-09,3.0,2"],
        ),
        ("week_start = \"saturday\"", &["2024-06-08,7.0,3"], &["2024-06-08,2.0,3"]),
    ] {
        for (value, weeks) in [("sum(amount)", sums), ("median(amount)", medians)] {
            let scratch = shop(rows, &format!("value = \"{value}\"\n"));
            scratch.write("opsmart.toml", &settings(week_start));
            assert_eq!(values(&scratch)[1], weeks, "{week_start} {value}");
        }
    }
}

#[test]
fn another_day_of_the_week_rebuilds_what_has_weeks() {
    let scratch = shop("2024-06-08,a,1.00,\n", "value = \"median(amount)\"\n");
    scratch.write(
        "sql/kpi/kpi_week.sql",
        "select day, day - cast((extract(isodow from day) - $week_start + 7) % 7 as int) as week from fct_sale\n",
    );
    let settings = std::fs::read_to_string(scratch.path("opsmart.toml")).unwrap();
    let built = |week_start: &str| -> Vec<String> {
        scratch.write("opsmart.toml", &format!("{week_start}{settings}"));
        let said = scratch.run(&["run", "--as-of", "2024-07-01T00:00:00Z", "--output", "json"]).exits(0);
        let report: serde_json::Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
        let tables = report["tables"].as_array().unwrap().iter();
        tables.map(|table| table["table"].as_str().unwrap().to_owned()).collect()
    };
    assert!(built("").contains(&"metric_month".to_owned()));
    assert_eq!(built("week_start = \"monday\"\n"), [""; 0]);
    let mut weekly = built("week_start = \"sunday\"\n");
    weekly.sort();
    assert_eq!(weekly, ["kpi_week", "metric_fct_sale_week", "metric_week"]);
    assert_eq!(scratch.rows("select week from kpi_week"), ["2024-06-02"]);
}

#[test]
fn a_late_row_counts_its_week_anew_whichever_day_that_begins_on() {
    let scratch = shop("2024-06-08,a,1.00,\n2024-06-09,a,2.00,\n2024-06-16,a,4.00,\n", "value = \"median(amount)\"\n");
    let settings = std::fs::read_to_string(scratch.path("opsmart.toml")).unwrap();
    scratch.write("opsmart.toml", &format!("week_start = \"sunday\"\n{settings}"));
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/sales.toml")).unwrap();
    scratch.write(
        "schemas/sources/sales.toml",
        &contract.replace("[columns]", "partition = { day = \"day\" }\n[columns]"),
    );
    scratch.write("schemas/models/fct_sale.toml", "partition = { day = \"day\" }\n");
    assert_eq!(values(&scratch)[1], ["2024-06-02,1.0,1", "2024-06-09,2.0,1", "2024-06-16,4.0,1"]);
    scratch.write("landing/sales-late.csv", "day,kind,amount,cost\n2024-06-15,a,5.00,\n");
    let plan = scratch.run(&["plan", "--as-of", "2024-07-01T00:00:00Z"]).exits(0).stdout;
    assert!(plan.contains("build if fct_sale changes; the weeks that change there"), "{plan}");
    assert_eq!(values(&scratch)[1], ["2024-06-02,1.0,1", "2024-06-09,3.5,2", "2024-06-16,4.0,1"]);
}

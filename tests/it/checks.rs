//! Promises: each passed and failed, its limits, what a warning means, and when it is asked again.
//!
//! Every expected count is worked out by hand from the few rows that stand here.

use crate::scratch::Scratch;

const READINGS: &str = "id,day,at,shop,amount,parent
1,2024-03-01,2024-03-01T12:00:00Z,a,10.00,
2,2024-03-02,2024-03-02T12:00:00Z,a,11.00,1
3,2024-03-03,2024-03-03T12:00:00Z,a,10.00,1
4,2024-03-05,2024-03-05T12:00:00Z,b,12.00,9
5,2024-03-06,2024-03-06T12:00:00Z,,13.00,3
6,2024-03-06,2024-03-06T12:00:00Z,b,13.00,3
";

/// Readings of meters in shops, by day; the fourth of March is missing.
fn readings(contract: &str) -> Scratch {
    Scratch::with(&[
        ("opsmart.toml", "[paths]\nlanding = \"landing\"\n[vars]\nleast = 10\n"),
        ("jobs/readings.toml", "ingest = [\"readings\"]\ntables = [\"fct_reading\", \"kpi_reading_daily\"]\n"),
        ("jobs/shops.toml", "ingest = [\"shops\"]\ntables = [\"dim_shop\"]\n"),
        (
            "schemas/sources/readings.toml",
            r#"from = "{landing}/readings-*.csv"
format = { type = "csv" }
[columns]
id = "int64!"
day = "date!"
at = "timestamp!"
shop = "string"
amount = "decimal(10,2)"
parent = "int64"
"#,
        ),
        (
            "schemas/sources/shops.toml",
            "from = \"{landing}/shops.csv\"\nformat = { type = \"csv\" }\nfiles = \"snapshot\"\n[columns]\nshop = \"string!\"\n",
        ),
        (
            "schemas/sources/days.toml",
            "from = \"{landing}/days.csv\"\nformat = { type = \"csv\" }\n[columns]\nday = \"date!\"\nis_open = \"boolean!\"\n",
        ),
        ("sql/staging/stg_readings.sql", "select id, day, at, shop, amount, parent from readings\n"),
        ("sql/staging/stg_shops.sql", "select shop from shops\n"),
        ("sql/staging/stg_days.sql", "select day, is_open from days\n"),
        ("sql/marts/fct_reading.sql", "select id, day, at, shop, amount, parent from stg_readings\n"),
        ("sql/marts/dim_shop.sql", "select shop from stg_shops\n"),
        ("sql/marts/dim_day.sql", "select day, is_open from stg_days\n"),
        (
            "sql/kpi/kpi_reading_daily.sql",
            "select day, count(*) as readings, sum(amount) as amount from fct_reading group by day\n",
        ),
        ("schemas/models/fct_reading.toml", contract),
        ("landing/readings-1.csv", READINGS),
        ("landing/shops.csv", "shop\na\nb\n"),
        (
            "landing/days.csv",
            "day,is_open\n2024-03-01,yes\n2024-03-02,yes\n2024-03-03,yes\n2024-03-04,no\n2024-03-05,yes\n2024-03-06,yes\n",
        ),
    ])
}

/// Returns the promises of `fct_reading` as `name state failing/tested`.
fn results(scratch: &Scratch) -> Vec<String> {
    let sql = "select concat(substr(check_name, 13), ' ', state, ' ', cast(failing_rows as varchar), '/', cast(tested_rows as varchar)) \
               from dq_check_result where check_name like 'fct_reading.%' order by check_name";
    scratch.rows(sql)
}

/// Runs the project with every check as a warning, and compares what each came to.
#[track_caller]
fn judged(checks: &[(&str, &str)]) {
    let mut contract = String::from("[checks]\n");
    let mut expected = Vec::new();
    for (check, outcome) in checks {
        let (name, question) = check.split_once(" = { ").unwrap();
        contract.push_str(&format!("{name} = {{ severity = \"warn\", {question}\n"));
        expected.push(format!("{name} {outcome}"));
    }
    expected.sort();
    let scratch = readings(&contract);
    let _ = scratch.run(&["run", "--as-of", "2024-03-08"]).exits(0);
    assert_eq!(results(&scratch), expected);
}

#[test]
fn rows_are_judged_one_by_one() {
    judged(&[
        ("once_a_day = { unique = \"day\" }", "warned 1/6"),
        ("once_a_shop = { unique = \"shop\" }", "warned 2/5"),
        ("once_a_day_and_shop = { unique = [\"day\", \"shop\"] }", "passed 0/5"),
        ("once_a_shop_of_b = { unique = \"shop\", where = \"shop = 'b' and id < 6\" }", "passed 0/1"),
        ("parents = { relation = \"parent\", to = \"fct_reading.id\" }", "warned 1/5"),
        ("shops = { relation = \"shop\", to = \"dim_shop\" }", "passed 0/5"),
        (
            "both = { relation = [\"id\", \"day\"], to = { table = \"fct_reading\", columns = [\"id\", \"day\"] } }",
            "passed 0/6",
        ),
        (
            "parents_of_late = { relation = \"parent\", to = \"fct_reading.id\", where = \"day > date '2024-03-05'\" }",
            "passed 0/2",
        ),
        ("large = { holds = \"amount > $least\" }", "warned 2/6"),
        ("no_first_child = { holds = \"parent > 1\" }", "warned 2/6"),
        ("commented = { holds = \"amount >= 10 -- all of them\" }", "passed 0/6"),
        ("either = { holds = \"amount > 12 or id < 5\" }", "passed 0/6"),
    ]);
}

#[test]
fn a_limit_that_is_met_exactly_is_kept() {
    judged(&[
        ("one_row = { unique = \"day\", max_rows = 1 }", "passed 1/6"),
        ("no_row = { unique = \"day\", max_rows = 0 }", "warned 1/6"),
        ("two_rows = { holds = \"amount > 10\", max_rows = 2 }", "passed 2/6"),
        ("fifth = { relation = \"parent\", to = \"fct_reading.id\", max_share = 0.2 }", "passed 1/5"),
        ("less_than_a_fifth = { relation = \"parent\", to = \"fct_reading.id\", max_share = 0.19 }", "warned 1/5"),
        ("both_limits = { holds = \"amount > 10\", max_rows = 1, max_share = 0.5 }", "warned 2/6"),
        ("enough = { holds = \"amount > 10\", min_rows = 6 }", "warned 2/6"),
        ("too_few = { holds = \"amount > 10\", min_rows = 7 }", "skipped 0/6"),
    ]);
}

#[test]
fn a_table_is_judged_as_a_whole() {
    judged(&[
        ("six = { rows = { min = 6, max = 6 } }", "passed 0/1"),
        ("seven = { rows = { min = 7 } }", "warned 1/1"),
        ("five = { rows = { max = 5 } }", "warned 1/1"),
        ("two_of_b = { rows = { min = 2, max = 2 }, where = \"shop = 'b'\" }", "passed 0/1"),
        ("two_shops = { distinct = \"shop\", min = 2, max = 2 }", "passed 0/1"),
        ("three_shops = { distinct = \"shop\", min = 3 }", "warned 1/1"),
        // The clock says 8 March, midnight; the newest reading is of 6 March, noon.
        ("two_days_old = { newest = \"day\", within = \"2 days\" }", "passed 0/1"),
        ("a_day_old = { newest = \"day\", within = \"1 day\" }", "warned 1/1"),
        ("old_instant = { newest = \"at\", within = \"36 hours\" }", "passed 0/1"),
        ("older_instant = { newest = \"at\", within = \"35 hours\" }", "warned 1/1"),
        ("nothing_is_not_new = { newest = \"day\", within = \"9 days\", where = \"id > 6\" }", "warned 1/1"),
    ]);
}

#[test]
fn sequences_are_judged_in_their_order() {
    judged(&[
        // 10, 11, 10, 12, 13 and 13.
        ("up = { never_falls = \"amount\", order = \"day\" }", "warned 1/6"),
        ("up_in_shops = { never_falls = \"amount\", order = \"day\", per = \"shop\" }", "warned 1/6"),
        ("up_in_b = { never_falls = \"amount\", order = \"day\", where = \"shop = 'b'\" }", "passed 0/2"),
        ("down = { never_rises = \"amount\", order = \"day\" }", "warned 3/6"),
        ("every_day = { no_gaps = \"day\" }", "warned 1/5"),
        ("every_day_of_shops = { no_gaps = \"day\", per = [\"shop\"] }", "passed 0/6"),
        (
            "open_days = { no_gaps = \"day\", calendar = { table = \"dim_day\", day = \"day\", where = \"is_open\" } }",
            "passed 0/5",
        ),
        ("calendar_days = { no_gaps = \"day\", calendar = { table = \"dim_day\", day = \"day\" } }", "warned 1/5"),
        (
            "open_days_of_b = { no_gaps = \"day\", per = \"shop\", calendar = { table = \"dim_day\", day = \"day\" } }",
            "passed 0/6",
        ),
    ]);
}

#[test]
fn two_tables_tell_the_same() {
    judged(&[
        ("by_day = { equal = \"sum(amount)\", by = \"day\", to = { table = \"kpi_reading_daily\" } }", "passed 0/5"),
        (
            "counts = { equal = \"count(*)\", by = \"day\", to = { table = \"kpi_reading_daily\", value = \"sum(readings)\" } }",
            "passed 0/5",
        ),
        ("in_all = { equal = \"sum(amount)\", to = { table = \"kpi_reading_daily\" } }", "passed 0/1"),
        // On 6 March one of two readings has no shop.
        (
            "with_shop = { equal = \"count(*)\", by = \"day\", to = { table = \"fct_reading\", where = \"shop is not null\" } }",
            "warned 1/5",
        ),
        // Without the first reading 1 March is missing there, and the sums are 10.00 apart.
        (
            "a_day_is_missing = { equal = \"sum(amount)\", by = \"day\", to = { table = \"fct_reading\", where = \"id <> 1\" } }",
            "warned 1/5",
        ),
        (
            "ten_apart = { equal = \"sum(amount)\", tolerance = 10, to = { table = \"fct_reading\", where = \"id <> 1\" } }",
            "passed 0/1",
        ),
        (
            "nearly_ten_apart = { equal = \"sum(amount)\", tolerance = 9.99, to = { table = \"fct_reading\", where = \"id <> 1\" } }",
            "warned 1/1",
        ),
        ("last_day = { equal = \"max(day)\", to = { table = \"dim_day\" } }", "passed 0/1"),
        ("first_day = { equal = \"max(day)\", to = { table = \"dim_day\", value = \"min(day)\" } }", "warned 1/1"),
        (
            "here_only = { equal = \"count(*)\", where = \"shop = 'b'\", to = { table = \"fct_reading\", where = \"id in (4, 6)\" } }",
            "passed 0/1",
        ),
    ]);
}

/// Writes one reading a day from 1 March on.
fn days(scratch: &Scratch, shop: &str, amounts: &[i64]) {
    let mut text = String::from("id,day,at,shop,amount,parent\n");
    for (day, amount) in (1..).zip(amounts) {
        text.push_str(&format!("{day},2024-03-{day:02},2024-03-{day:02}T12:00:00Z,{shop},{amount},\n"));
    }
    scratch.write(&format!("landing/readings-{shop}.csv"), &text);
}

/// Judges the newest of `amounts` by the others.
fn usual(amounts: &[i64], check: &str) -> Vec<String> {
    let scratch = readings(&format!(
        "[checks]\nusual = {{ usual = \"sum(amount)\", day = \"day\", severity = \"warn\", {check} }}\n"
    ));
    std::fs::remove_file(scratch.path("landing/readings-1.csv")).unwrap();
    days(&scratch, "a", amounts);
    let _ = scratch.run(&["run", "--as-of", "2024-04-01"]).exits(0);
    results(&scratch)
}

#[test]
fn the_newest_day_is_judged_by_the_days_before_it() {
    // Median 11 and median deviation 1: 16 is 0.6745 * 5 = 3.3725 deviations away, 17 is 4.047.
    let history = [10, 12, 11, 10, 12, 11, 10, 12];
    let with = |newest: i64| [history.as_slice(), &[newest]].concat();
    assert_eq!(usual(&with(16), "max_z = 3.5"), ["usual passed 0/1"]);
    assert_eq!(usual(&with(17), "max_z = 3.5"), ["usual warned 1/1"]);
    assert_eq!(usual(&with(16), "max_z = 3.3725"), ["usual passed 0/1"]);
    assert_eq!(usual(&with(16), "max_z = 3.3724"), ["usual warned 1/1"]);
    assert_eq!(usual(&with(6), "max_z = 3.3724"), ["usual warned 1/1"]);
    // Eight days are a history, nine are not there.
    assert_eq!(usual(&with(17), "min_points = 9"), ["usual skipped 0/0"]);
    // Only the day before the last has 17.
    let earlier = [with(17), vec![11]].concat();
    assert_eq!(usual(&earlier, "newest_days = 1"), ["usual passed 0/1"]);
    assert_eq!(usual(&earlier, "newest_days = 2"), ["usual warned 1/2"]);
    // The last three days alone have no spread, so they say nothing.
    let steady = [10, 12, 11, 11, 11, 40];
    assert_eq!(usual(&steady, "history_days = 3, min_points = 3"), ["usual skipped 0/0"]);
    assert_eq!(usual(&steady, "history_days = 4, min_points = 4"), ["usual warned 1/1"]);
}

#[test]
fn a_day_that_is_not_complete_is_neither_judged_nor_compared_with() {
    // Eight days about 11, then 40, then half a day of 1.
    let amounts = [10, 12, 11, 10, 12, 11, 10, 12, 40, 1];
    let judged = |complete: &str| {
        let scratch = readings("[checks]\nusual = { usual = \"sum(amount)\", day = \"day\", severity = \"warn\" }\n");
        std::fs::remove_file(scratch.path("landing/readings-1.csv")).unwrap();
        scratch.write(
            "sql/marts/fct_reading.sql",
            &format!("select id, day, at, shop, amount, parent, {complete} from stg_readings\n"),
        );
        days(&scratch, "a", &amounts);
        let _ = scratch.run(&["run", "--as-of", "2024-03-10"]).exits(0);
        let said = results(&scratch);
        (said, scratch.rows("select message from dq_check_result where kind = 'usual'").concat())
    };
    let (said, message) = judged("day < date '2024-03-10' as is_complete");
    assert_eq!(said, ["usual warned 1/1"]);
    assert!(message.contains("on the newest complete day: at most"), "{message}");
    // The 9th is not complete either: the 8th is judged, and has seven days before it only.
    assert_eq!(judged("day < date '2024-03-09' as is_complete").0, ["usual skipped 0/0"]);
    // Another meaning of the word is no answer: the newest day is judged, whatever it is.
    let (said, message) = judged("'yes' as is_complete");
    assert_eq!(said, ["usual warned 1/1"]);
    assert!(message.contains("on the newest day: at most"), "{message}");
}

#[test]
fn a_day_is_not_part_of_its_own_past() {
    // Seven days of 10 and one of 18: median 10, median deviation 0, mean deviation 1, so 15 is 5 / 1.253314 = 3.989
    // deviations away. With itself in its past the mean deviation were 13 / 9, and it 2.762 away.
    let amounts = [10, 10, 10, 18, 10, 10, 10, 10, 15];
    assert_eq!(usual(&amounts, "max_z = 3.5"), ["usual warned 1/1"]);
    assert_eq!(usual(&amounts, "max_z = 4"), ["usual passed 0/1"]);
}

#[test]
fn days_of_the_week_and_groups_have_histories_of_their_own() {
    // Every seventh day has about 50; the newest day is one of them.
    let mut amounts = Vec::new();
    for week in 0..4 {
        amounts.extend([10, 11, 10, 12, 11, 10]);
        amounts.push([50, 52, 51, 51][week]);
    }
    assert_eq!(usual(&amounts, "history_days = 21, min_points = 3"), ["usual warned 1/1"]);
    assert_eq!(usual(&amounts, "history_days = 21, min_points = 3, same_weekday = true"), ["usual passed 0/1"]);
    let scratch =
        readings("[checks]\nusual = { usual = \"sum(amount)\", day = \"day\", per = \"shop\", severity = \"warn\" }\n");
    std::fs::remove_file(scratch.path("landing/readings-1.csv")).unwrap();
    days(&scratch, "a", &[10, 12, 11, 10, 12, 11, 10, 12, 11]);
    days(&scratch, "b", &[90, 92, 91, 90, 92, 91, 90, 92, 40]);
    let _ = scratch.run(&["run", "--as-of", "2024-04-01"]).exits(0);
    assert_eq!(results(&scratch), ["usual warned 1/2"]);
    let row = scratch.rows("select row_json from dq_check_row")[0].replace("\"\"", "\"");
    // 0.6745 * (40 - 91) / 1.
    assert!(row.contains("\"shop\":\"b\"") && row.contains("\"z\":\"-34.3995\""), "{row}");
}

#[test]
fn columns_take_limits_too() {
    let scratch = readings(
        r#"key = ["id"]
[columns]
shop = { required = true, max_share = 0.2, relation = "dim_shop" }
amount = { max = 12, max_rows = 2 }
day = { unique = true, severity = "warn" }
parent = { relation = "fct_reading.id", severity = "warn" }
"#,
    );
    let _ = scratch.run(&["run", "--as-of", "2024-03-08"]).exits(0);
    assert_eq!(
        results(&scratch),
        [
            "amount.max passed 2/6",
            "day.unique warned 1/6",
            "key.required passed 0/6",
            "key.unique passed 0/6",
            "parent.relation warned 1/5",
            "shop.relation passed 0/5",
            "shop.required passed 1/6",
        ]
    );
    // What is tolerated is kept to be looked at, as what warns is.
    let sql = "select check_name, row_number, row_json from dq_check_row where check_name like '%.parent%' or check_name like '%.day%' order by 1, 2";
    assert_eq!(
        scratch.rows(sql),
        [
            "fct_reading.day.unique,1,\"{\"\"day\"\":\"\"2024-03-06\"\",\"\"rows\"\":\"\"2\"\"}\"",
            "fct_reading.parent.relation,1,\"{\"\"id\"\":\"\"4\"\",\"\"day\"\":\"\"2024-03-05\"\",\"\"at\"\":\"\"2024-03-05T12:00:00Z\"\",\"\"shop\"\":\"\"b\"\",\"\"amount\"\":\"\"12.00\"\",\"\"parent\"\":\"\"9\"\"}\"",
        ]
    );
    assert_eq!(
        scratch.rows("select check_name from dq_check_row group by 1 order by 1"),
        [
            "fct_reading.amount.max",
            "fct_reading.day.unique",
            "fct_reading.parent.relation",
            "fct_reading.shop.required"
        ]
    );
}

#[test]
fn what_breaks_a_promise_is_kept_up_to_a_limit_and_always_the_same() {
    let scratch = readings("[checks]\nlarge = { holds = \"amount > 100\", severity = \"warn\" }\n");
    scratch.write("opsmart.toml", "[paths]\nlanding = \"landing\"\n[limits]\nfinding_rows = 2\n");
    // The last come first, and the least are kept all the same.
    let (head, rows) = READINGS.split_once('\n').unwrap();
    let backwards: Vec<&str> = rows.lines().rev().collect();
    scratch.write("landing/readings-1.csv", &format!("{head}\n{}\n", backwards.join("\n")));
    let said = scratch.run(&["run", "--as-of", "2024-03-08"]).exits(0);
    assert!(said.stderr.contains("  and 4 more\n"), "{}", said.stderr);
    let rows = scratch.rows("select substr(row_json, 2, 8) from dq_check_row order by row_number");
    assert_eq!(rows, ["\"\"\"id\"\":\"\"1\"\"\"", "\"\"\"id\"\":\"\"2\"\"\""]);
}

#[test]
fn an_error_publishes_nothing_and_says_where_its_rows_lie() {
    let scratch = readings(
        "[checks]\nparents = { relation = \"parent\", to = \"fct_reading.id\" }\nsmall = { holds = \"amount < 13\", severity = \"warn\" }\n",
    );
    let said = scratch.run(&["run", "--as-of", "2024-03-08", "--output", "json"]).exits(1);
    let lines: Vec<&str> = said.stderr.lines().filter(|line| line.contains('[')).collect();
    assert!(
        lines[0].starts_with(
            "failed[fct_reading.parents]: `parent` of `fct_reading` must be found as `id` of `fct_reading`"
        ),
        "{}",
        said.stderr
    );
    assert!(
        lines[1].starts_with("warned[fct_reading.small]: `amount < 13` must hold in `fct_reading`"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("error: 1 failed check, nothing published"), "{}", said.stderr);
    let failure: serde_json::Value = serde_json::from_str(said.stdout.trim()).unwrap();
    assert_eq!(failure["findings"][1]["severity"], "warn");
    let record = said.stderr.split('`').find(|word| word.ends_with("run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    assert_eq!(record["findings"][0]["check"], "fct_reading.parents");
    assert_eq!(record["findings"][0]["tested"], 5);
    assert_eq!(record["findings"][0]["examples"][0]["id"], "4");
    assert!(!scratch.path("warehouse/refs/main").exists());
}

#[test]
fn a_warning_is_published_told_and_remembered() {
    let scratch =
        readings("[checks]\nparents = { relation = \"parent\", to = \"fct_reading.id\", severity = \"warn\" }\n");
    let said = scratch.run(&["run", "--as-of", "2024-03-08", "--output", "json"]).exits(0);
    assert!(said.stderr.contains("warned[fct_reading.parents]"), "{}", said.stderr);
    assert!(said.stderr.contains("0 checks passed, 1 warning,"), "{}", said.stderr);
    let report: serde_json::Value = serde_json::from_str(said.stdout.trim()).unwrap();
    assert_eq!(report["warnings"][0]["check"], "fct_reading.parents");
    assert_eq!(report["warnings"][0]["rows"], 1);
    // Nothing changed: it is not asked again, still told, and nothing is written.
    let before = scratch.files("warehouse");
    let said = scratch.run(&["run", "--as-of", "2024-03-08", "--output", "json"]).exits(0);
    assert!(said.stderr.contains("1 warning of an earlier run still stands"), "{}", said.stderr);
    let report: serde_json::Value = serde_json::from_str(said.stdout.trim()).unwrap();
    assert_eq!(report["status"], "nothing-new");
    assert_eq!(report["standing_warnings"], serde_json::json!(["fct_reading.parents"]));
    assert_eq!(scratch.files("warehouse"), before);
    // Something else is published: the warning is carried along, with the clock of the run that asked, and its files.
    let files = || {
        ["dq_check_result", "dq_check_row"]
            .map(|table| scratch.path("warehouse/published/current").join(table).canonicalize_utf8().unwrap())
    };
    let before = files();
    scratch.write("landing/shops.csv", "shop\na\nb\nc\n");
    let said = scratch.run(&["run", "--as-of", "2024-03-09"]).exits(0);
    assert!(said.stderr.contains("1 warning of an earlier run still stands"), "{}", said.stderr);
    assert_eq!(
        scratch.rows("select state, severity, kind, table_name, share, asked_at from dq_check_result"),
        ["warned,warn,relation,fct_reading,0.2,2024-03-08T00:00:00Z"]
    );
    assert_eq!(files(), before);
    // Another promise is asked: what breaks promises is as it was.
    scratch.write("schemas/models/dim_shop.toml", "key = [\"shop\"]\n");
    let _ = scratch.run(&["run", "--as-of", "2024-03-09"]).exits(0);
    let [results_after, rows_after] = files();
    assert_ne!(results_after, before[0]);
    assert_eq!(rows_after, before[1]);
    // Mended data ends it, and its rows go.
    scratch
        .write("landing/readings-2.csv", "id,day,at,shop,amount,parent\n9,2024-03-06,2024-03-06T12:00:00Z,a,10.00,\n");
    let said = scratch.run(&["run", "--as-of", "2024-03-09"]).exits(0);
    assert!(!said.stderr.contains("warning"), "{}", said.stderr);
    assert_eq!(results(&scratch), ["parents passed 0/5"]);
    assert_eq!(scratch.rows("select * from dq_check_row"), [""; 0]);
}

#[test]
fn a_change_of_severity_is_a_change() {
    let contract = |severity: &str| {
        format!("[checks]\nparents = {{ relation = \"parent\", to = \"fct_reading.id\", severity = \"{severity}\" }}\n")
    };
    let scratch = readings(&contract("warn"));
    let _ = scratch.run(&["run", "--as-of", "2024-03-08"]).exits(0);
    scratch.write("schemas/models/fct_reading.toml", &contract("error"));
    let said = scratch.run(&["run", "--as-of", "2024-03-08"]).exits(1);
    assert!(said.stderr.contains("failed[fct_reading.parents]"), "{}", said.stderr);
}

#[test]
fn a_promise_that_is_taken_back_is_forgotten() {
    let scratch = readings("[checks]\nsmall = { holds = \"amount < 13\", severity = \"warn\" }\n");
    let _ = scratch.run(&["run", "--as-of", "2024-03-08"]).exits(0);
    scratch.write("schemas/models/fct_reading.toml", "key = [\"id\"]\n");
    let said = scratch.run(&["plan", "--as-of", "2024-03-08"]).exits(0);
    assert!(said.stdout.contains("Dropped\n  fct_reading.small  no longer run\n"), "{}", said.stdout);
    let said = scratch.run(&["run", "--as-of", "2024-03-08"]).exits(0);
    assert!(!said.stderr.contains("warning"), "{}", said.stderr);
    assert_eq!(results(&scratch), ["key.required passed 0/6", "key.unique passed 0/6"]);
    let _ = scratch.run(&["run", "--as-of", "2024-03-08", "--exit-on-skip"]).exits(99);
}

#[test]
fn a_change_is_measured_against_what_is_published() {
    let scratch = readings("[checks]\nsize = { row_change = { up = 0.5, down = 0.5 } }\n");
    let rows = |count: i64| days(&scratch, "1", &vec![10; usize::try_from(count).unwrap()]);
    let run = |exit: i32| scratch.run(&["run", "--as-of", "2024-03-08"]).exits(exit);
    rows(4);
    let said = run(0);
    assert!(said.stderr.contains("0 checks passed, 1 skipped"), "{}", said.stderr);
    assert_eq!(results(&scratch), ["size skipped 0/0"]);
    // An idle run compares nothing with itself.
    let _ = scratch.run(&["run", "--as-of", "2024-03-08", "--exit-on-skip"]).exits(99);
    // By exactly one half, up and down.
    rows(6);
    let _ = run(0);
    assert_eq!(results(&scratch), ["size passed 0/1"]);
    rows(3);
    let _ = run(0);
    rows(5);
    let said = run(1);
    assert!(said.stderr.contains("published_rows 3, rows 5"), "{}", said.stderr);
    rows(1);
    let said = run(1);
    assert!(
        said.stderr.contains("must not grow by more than 0.5 or shrink by more than 0.5 of its published rows"),
        "{}",
        said.stderr
    );
    rows(4);
    let _ = run(0);
}

#[test]
fn a_change_of_few_rows_is_skipped() {
    let scratch = readings("[checks]\nsize = { row_change = { up = 0 }, min_rows = 5 }\n");
    let run = || scratch.run(&["run", "--as-of", "2024-03-08"]);
    days(&scratch, "1", &[10; 4]);
    let _ = run().exits(0);
    days(&scratch, "1", &[10; 5]);
    let _ = run().exits(0);
    assert_eq!(results(&scratch), ["size skipped 0/4"]);
    days(&scratch, "1", &[10; 6]);
    let _ = run().exits(1);
}

#[test]
fn a_promise_is_asked_again_when_the_table_that_it_leads_to_changes() {
    let scratch = readings("[columns]\nshop = { relation = \"dim_shop\" }\n");
    let _ = scratch.run(&["run", "--as-of", "2024-03-08"]).exits(0);
    scratch.write("landing/shops.csv", "shop\na\n");
    // This job knows nothing of readings.
    let said = scratch.run(&["plan", "shops", "--as-of", "2024-03-08"]).exits(0);
    assert!(said.stdout.contains("fct_reading  run if dim_shop changes"), "{}", said.stdout);
    let said = scratch.run(&["run", "shops", "--as-of", "2024-03-08"]).exits(1);
    assert!(said.stderr.contains("failed[fct_reading.shop.relation]"), "{}", said.stderr);
    assert_eq!(scratch.rows("select shop from dim_shop order by shop"), ["a", "b"]);
    scratch.write("landing/shops.csv", "shop\na\nb\nc\n");
    let _ = scratch.run(&["run", "shops", "--as-of", "2024-03-08"]).exits(0);
    let _ = scratch.run(&["run", "--as-of", "2024-03-08", "--exit-on-skip"]).exits(99);
}

#[test]
fn a_promise_about_a_table_that_was_never_built_waits_for_it() {
    let scratch = readings("[columns]\nshop = { relation = \"dim_shop\" }\n");
    scratch.write("landing/shops.csv", "shop\na\n");
    let said = scratch.run(&["run", "readings", "--as-of", "2024-03-08"]).exits(0);
    assert!(said.stderr.contains("1 skipped"), "{}", said.stderr);
    assert_eq!(results(&scratch), ["shop.relation skipped 0/0"]);
    let _ = scratch.run(&["run", "readings", "--as-of", "2024-03-08", "--exit-on-skip"]).exits(99);
    let said = scratch.run(&["run", "shops", "--as-of", "2024-03-08"]).exits(1);
    assert!(said.stderr.contains("failed[fct_reading.shop.relation]"), "{}", said.stderr);
}

#[test]
fn only_a_promise_about_the_clock_is_asked_again_when_it_moves() {
    let scratch = readings(
        "[checks]\nfresh = { newest = \"day\", within = \"3 days\", severity = \"warn\" }\nsize = { rows = { min = 1 } }\n",
    );
    let asked = |day: &str| {
        let said = scratch.run(&["run", "--as-of", day, "--output", "json"]).exits(0);
        let report: serde_json::Value = serde_json::from_str(said.stdout.trim()).unwrap();
        (report["checks"].as_u64().unwrap(), report["warnings"].as_array().unwrap().len())
    };
    assert_eq!(asked("2024-03-08"), (2, 0));
    assert_eq!(asked("2024-03-09"), (1, 0));
    assert_eq!(asked("2024-03-10"), (0, 1));
    assert_eq!(results(&scratch), ["fresh warned 1/1", "size passed 0/1"]);
}

#[test]
fn a_query_has_severity_and_limits_by_its_contract() {
    let scratch = readings("");
    scratch.write("sql/checks/assert_small.sql", "-- Small ones only.\nselect * from fct_reading where amount > 12\n");
    let said = scratch.run(&["run", "--as-of", "2024-03-08"]).exits(1);
    assert!(
        said.stderr.contains("failed[assert_small]: `sql/checks/assert_small.sql` must return no rows"),
        "{}",
        said.stderr
    );
    // Two of six rows.
    let with = |contract: &str| {
        scratch.write("schemas/models/assert_small.toml", contract);
        let _ = scratch.run(&["run", "--as-of", "2024-03-08"]).exits(0);
        scratch.rows("select table_name, kind, state, failing_rows, tested_rows, threshold from dq_check_result")
    };
    assert_eq!(with("severity = \"warn\"\n"), [",assert,warned,2,,"]);
    assert_eq!(with("max_rows = 2\n"), [",assert,passed,2,,max_rows 2"]);
    assert_eq!(with("of = \"fct_reading\"\nmin_rows = 7\n"), ["fct_reading,assert,skipped,0,6,min_rows 7"]);
    assert_eq!(with("of = \"fct_reading\"\nmax_share = 0.34\n"), ["fct_reading,assert,passed,2,6,max_share 0.34"]);
    scratch.write("schemas/models/assert_small.toml", "of = \"fct_reading\"\nmax_share = 0.33\n");
    let said = scratch.run(&["run", "--as-of", "2024-03-08"]).exits(1);
    assert!(said.stderr.contains("2 of 6 rows fail (max_share 0.33)"), "{}", said.stderr);
}

#[test]
fn a_check_cannot_read_what_the_checks_said() {
    let scratch = readings("");
    scratch.write("sql/checks/assert_circle.sql", "select * from dq_check_result where state = 'warned'\n");
    let said = scratch.run(&["check"]).exits(2);
    assert!(said.stderr.contains("error[E0203]: `assert_circle` must not read `dq_check_result`"), "{}", said.stderr);
}

#[test]
fn a_warehouse_of_another_format_is_told_apart_from_a_damaged_one() {
    let scratch = readings("");
    let old = b"{\"format\":1,\"parent\":null}";
    let id = opsmart::digest::Digest::of(old);
    scratch.write(&format!("warehouse/snapshots/{id}.json"), std::str::from_utf8(old).unwrap());
    scratch.write("warehouse/refs/main", &format!("{{\"snapshot\":\"{id}\",\"held\":null}}"));
    let said = scratch.run(&["run"]).exits(1);
    assert!(
        said.stderr.contains("is written in format 1, and this opsmart reads and writes format 4"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("help: use the opsmart that wrote it, or remove `refs/main`"), "{}", said.stderr);
    std::fs::remove_file(scratch.path("warehouse/refs/main")).unwrap();
    let _ = scratch.run(&["run", "--as-of", "2024-03-08"]).exits(0);
    // So is one that says more than this version knows.
    let main = std::fs::read_to_string(scratch.path("warehouse/refs/main")).unwrap();
    let main: serde_json::Value = serde_json::from_str(&main).unwrap();
    let newest = format!("warehouse/snapshots/{}.json", main["snapshot"].as_str().unwrap());
    let newest = std::fs::read_to_string(scratch.path(&newest)).unwrap().replacen('{', "{\"future\":1,", 1);
    let id = opsmart::digest::Digest::of(newest.as_bytes());
    scratch.write(&format!("warehouse/snapshots/{id}.json"), &newest);
    scratch.write("warehouse/refs/main", &format!("{{\"snapshot\":\"{id}\",\"held\":null}}"));
    let said = scratch.run(&["run"]).exits(1);
    assert!(said.stderr.contains("was written by a newer opsmart: unknown field `future`"), "{}", said.stderr);
    assert!(said.stderr.contains("help: use the opsmart that wrote it"), "{}", said.stderr);
}

#[test]
fn every_example_of_the_docs_is_a_contract() {
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/checks.md")).unwrap();
    let examples: Vec<&str> = docs.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() > 12, "{}", examples.len());
    let scratch = crate::sample::shipped();
    // Where there is a warehouse, what has not changed is not judged again.
    std::fs::create_dir(scratch.path("warehouse")).unwrap();
    for example in examples {
        let path = example.lines().next().unwrap().strip_prefix("# ").unwrap();
        let before = std::fs::read_to_string(scratch.path(path)).ok();
        scratch.write(path, example);
        let _ = scratch.run(&["check"]).exits(0);
        match before {
            Some(before) => scratch.write(path, &before),
            None => std::fs::remove_file(scratch.path(path)).unwrap(),
        }
    }
}

//! The shipped models of user events: what tells one event from another, what an event is, which session it is in, and
//! what one wrong time stamp may move.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};

use crate::sample::shipped;
use crate::scratch::Scratch;

const HEADER: &str = "user_id,session_id,event,timestamp,platform,acquisition_channel,user_cohort,user_lifecycle";
const EVENTS: &str = "data-samples/behaviour/clickstream-2024-h1.csv.gz";
const LATE: &str = "data-samples/behaviour/clickstream-2024-06-30-late.csv";

/// The shipped project without its own events.
fn without_events() -> Scratch {
    let scratch = shipped();
    for path in [EVENTS, LATE] {
        std::fs::remove_file(scratch.path(path)).unwrap();
    }
    scratch
}

/// Lands events in the form of the tracker, one text a line.
fn land(scratch: &Scratch, name: &str, lines: &[String]) {
    let text = format!("{HEADER}\n{}\n", lines.join("\n"));
    scratch.write(&format!("data-samples/behaviour/clickstream-{name}.csv"), &text);
}

fn event(user: &str, name: &str, at: &str) -> String {
    format!("{user},s1,{name},{at},desktop,email,2024-01,new")
}

/// Puts `new` in the place of `old` in a file of the project.
fn change(scratch: &Scratch, path: &str, old: &str, new: &str) {
    let text = std::fs::read_to_string(scratch.path(path)).unwrap();
    assert!(text.contains(old), "{path} has no {old}");
    scratch.write(path, &text.replace(old, new));
}

fn behaviour(scratch: &Scratch, as_of: &str) {
    let _ = scratch.run(&["run", "behaviour", "--quiet", "--as-of", as_of]).exits(0);
}

/// Puts lines at the end of a file of the project.
fn append(scratch: &Scratch, path: &str, lines: &[String]) {
    let text = std::fs::read_to_string(scratch.path(path)).unwrap();
    scratch.write(path, &format!("{}\n{}\n", text.trim_end(), lines.join("\n")));
}

#[test]
fn what_is_astray_or_unknown_moves_no_number_and_is_told() {
    let tables = [
        "dim_event_feed",
        "dim_user",
        "kpi_user_activity_daily",
        "kpi_funnel_daily",
        "kpi_retention_cohort",
        "dim_price_feed",
        "kpi_market_daily",
        "risk_market_daily",
        "dim_competitor_feed",
        "kpi_competitor_price",
        "kpi_headline",
        "kpi_daily",
        "kpi_monthly",
        "perf_scorecard",
        "risk_kri_daily",
        "risk_events",
    ];
    let of = |scratch: &Scratch, table: &str| {
        let mut rows = scratch.rows(&format!("select * from {table}"));
        rows.sort();
        rows
    };
    let run = |scratch: &Scratch| {
        let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-02"]).exits(0);
    };
    let plain = shipped();
    run(&plain);
    // The report shows a band as one, which the tables of values have only the middle of.
    let _ = plain.run(&["report", "--to", "report.html"]).exits(0);
    let report = std::fs::read_to_string(plain.path("report.html")).unwrap();
    let (_, data) = report.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    let data: serde_json::Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    assert_eq!(data["grids"]["bands"]["rows"].as_array().unwrap().len(), 2);
    let other = shipped();
    let strays = [
        "1970-01-01 08:00:00",
        "2023-03-05 10:00:00",
        // The day after the last one, of which less than a fiftieth of a usual day has come.
        "2024-07-01 10:00:00",
        "2025-06-20 10:00:00",
        "2124-01-01 10:00:00",
    ];
    append(&other, LATE, &strays.map(|at| event("user_0355", "home", at)));
    let price = |day: &str| format!("MSFT,{day},27.66,28.10,27.55,27.98,9383875,24.710708");
    append(&other, "data-samples/market/prices-2013-03-corrections.csv", &["1970-01-02", "2124-03-27"].map(price));
    let seen = |day: &str| format!("{day} 06:07:00,silkroad,SI-010,sku_10,229.00,,CNY,yes");
    let header = "observed_at,competitor,sku_ext,sku,list_price,promo_price,currency,in_stock";
    let lines = ["1970-04-01", "2124-04-01"].map(seen).join("\n");
    other.write("data-samples/market/competitor_prices-2124.csv", &format!("{header}\n{lines}\n"));
    // The two prices are all of their file, so a contract that takes neither must not stop for it.
    change(&other, "schemas/sources/competitor_prices.toml", "rejected_share = 0.05", "rejected_share = 1.0");
    append(
        &other,
        "data-samples/governance/kpi_targets.csv",
        &["support_csat_rate,channel,telephone,2024-01-01,,higher,0.9,,,,,".to_owned()],
    );
    append(
        &other,
        "data-samples/governance/kri_thresholds.csv",
        &["support_csat_rate_27d,Good ratings,operational,lower,0.8,0.7,support".to_owned()],
    );
    run(&other);
    for table in tables {
        assert!(of(&plain, table) == of(&other, table), "{table} moved");
    }
    // Each is told with its record: by a check, or set aside where the contract does not take it.
    let found = |check: &str, dataset: &str| {
        other.rows(&format!(
            "select row_json from dq_check_row where check_name = '{check}' union all \
             select message from dq_quarantine where dataset = '{dataset}'"
        ))
    };
    for (dataset, years) in [
        ("user_events", &["1970", "2023", "2024-07-01", "2025", "2124"] as &[&str]),
        ("market_prices", &["1970", "2124"]),
        ("competitor_prices", &["1970", "2124"]),
    ] {
        let found = found("assert_no_row_is_astray", dataset);
        for year in years {
            assert!(found.iter().any(|row| row.contains(year)), "{year} of {dataset} in {found:?}");
        }
    }
    let found = found("assert_targets_and_limits_are_used", "kri_thresholds");
    for line in ["there is no channel `telephone`", "nothing measures `support_csat_rate_27d`"] {
        assert!(found.iter().any(|row| row.contains(line)), "{line} in {found:?}");
    }
    let mut checked = found.iter().filter(|row| row.contains("finding"));
    assert!(checked.all(|row| row.contains("governance/k")), "{found:?} name their files");
}

#[test]
fn two_events_of_one_second_are_two_where_any_column_differs() {
    let scratch = without_events();
    change(
        &scratch,
        "schemas/sources/user_events.toml",
        "user_id             = ",
        "product_id = \"string\"\nuser_id = ",
    );
    let view = |product: &str| format!("u1,s1,product_view,2024-03-01 10:00:00,desktop,email,2024-01,new,{product}");
    // The second view of p1 is the first one, sent again.
    let text = format!("{HEADER},product_id\n{}\n{}\n{}\n", view("p1"), view("p2"), view("p1"));
    scratch.write("data-samples/behaviour/clickstream-1.csv", &text);
    land(&scratch, "2", &[event("u1", "home", "2024-03-01 10:00:01"), event("u1", "home", "2024-03-02 10:00:01")]);
    behaviour(&scratch, "2024-07-02");
    assert_eq!(
        scratch
            .rows("select event_name, event_number from fct_event where event_day = date '2024-03-01' order by 1, 2"),
        ["home,1", "product_view,1", "product_view,2"]
    );
    assert_eq!(scratch.rows("select page_views from fct_session order by started_at"), ["3", "1"]);
}

#[test]
fn an_event_id_is_the_key_where_the_feed_has_one() {
    let scratch = without_events();
    let contract = "schemas/sources/user_events.toml";
    change(&scratch, contract, "count_repeated = true\n", "key = [\"event_id\"]\n");
    change(&scratch, contract, "user_id             = ", "event_id = \"string!\"\nuser_id = ");
    let view = |id: &str| format!("u1,s1,product_view,2024-03-01 10:00:00,desktop,email,2024-01,new,{id}");
    let text = format!("{HEADER},event_id\n{}\n{}\n{}\n", view("e1"), view("e2"), view("e1"));
    scratch.write("data-samples/behaviour/clickstream-1.csv", &text);
    behaviour(&scratch, "2024-07-02");
    // Alike in all but their ids, they are two events, and the key of the model holds.
    assert_eq!(scratch.rows("select event_number from fct_event order by event_number"), ["1", "2"]);
    assert_eq!(scratch.rows("select clean, exact_duplicates from dq_ledger where dataset = 'user_events'"), ["2,1"]);
}

#[test]
fn one_line_declares_what_an_event_is() {
    let scratch = without_events();
    land(
        &scratch,
        "1",
        &[event("u1", "home", "2024-03-01 10:00:00"), event("u1", "order_completed", "2024-03-01 10:00:05")],
    );
    behaviour(&scratch, "2024-07-02");
    let converted = "select conversion_rate from kpi_user_activity_daily where scope_type = 'all'";
    assert_eq!(scratch.rows(converted), ["0.0"]);
    let warned = scratch.rows("select row_json from dq_check_row where check_name = 'assert_event_names_are_known'");
    assert_eq!(warned.len(), 1, "{warned:?}");
    for part in ["order_completed", "0.5"] {
        assert!(warned[0].contains(part), "{part} in {warned:?}");
    }
    // A funnel of an event that nobody knows stops nothing, and is told.
    let found = "select row_json from dq_check_row where check_name = 'assert_funnels_and_prices_lead_somewhere'";
    append(&scratch, "data-samples/behaviour/funnels.csv", &["trip,1,Beams,,teleport,,60".to_owned()]);
    behaviour(&scratch, "2024-07-02");
    let told = scratch.rows(found);
    assert!(told.iter().any(|row| row.contains("trip, step 1") && row.contains("teleport")), "{told:?}");
    let map = "data-samples/behaviour/event_map.csv";
    let text = std::fs::read_to_string(scratch.path(map)).unwrap();
    scratch.write(map, &format!("{}\norder_completed,key_event,,\n", text.trim_end()));
    behaviour(&scratch, "2024-07-02");
    assert_eq!(scratch.rows(converted), ["1.0"]);
    assert_eq!(
        scratch.rows("select state from dq_check_result where check_name = 'assert_event_names_are_known'"),
        ["passed"]
    );
}

#[test]
fn whoever_never_stops_has_one_session_after_another() {
    let scratch = without_events();
    // An event every twenty minutes for ten days, and sessions of three days at most.
    let first: DateTime<Utc> = "2024-03-01T00:00:00Z".parse().unwrap();
    let events: Vec<String> = (0..720)
        .map(|number| first + TimeDelta::minutes(20 * number))
        .map(|at| event("kiosk", "home", &at.format("%Y-%m-%d %H:%M:%S").to_string()))
        .collect();
    land(&scratch, "1", &events);
    behaviour(&scratch, "2024-07-02");
    // 217 events from 0 to 72 hours, both included; the next session begins 20 minutes later.
    assert_eq!(
        scratch.rows("select started_at, events, duration_seconds from fct_session order by started_at"),
        [
            "2024-02-29T16:00:00Z,217,259200.0",
            "2024-03-03T16:20:00Z,217,259200.0",
            "2024-03-06T16:40:00Z,217,259200.0",
            "2024-03-09T17:00:00Z,69,81600.0"
        ]
    );
    assert_eq!(scratch.rows("select count(*) from fct_event where session_id is null"), ["0"]);
}

#[test]
fn rows_that_are_final_never_change() {
    let scratch = without_events();
    let contract = "schemas/sources/user_events.toml";
    change(&scratch, contract, "# late = ", "late = ");
    let text = std::fs::read_to_string(scratch.path(contract)).unwrap();
    // Whatever share of a file is late, the others count.
    let text: String = text
        .lines()
        .map(|line| if line.starts_with("rejected_share") { "rejected_share = 1.0" } else { line })
        .fold(String::new(), |mut all, line| {
            let _ = writeln!(all, "{line}");
            all
        });
    scratch.write(contract, &text);
    change(&scratch, "opsmart.toml", "late_events_are_set_aside = false", "late_events_are_set_aside = true");
    let landed = |name: &str, lines: &[String], at: &str| {
        land(&scratch, name, lines);
        let at: DateTime<Utc> = at.parse().unwrap();
        let path = scratch.path(&format!("data-samples/behaviour/clickstream-{name}.csv"));
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(at.timestamp().unsigned_abs())).unwrap();
    };
    // One user comes each day at noon, Shanghai time, and each day's file lands at its end.
    for day in 1..=14 {
        let at = format!("2024-03-{day:02} 12:00:00");
        landed(&format!("{day:02}"), &[event("u1", "home", &at)], &format!("2024-03-{day:02}T15:00:00Z"));
    }
    behaviour(&scratch, "2024-07-02");
    let rows =
        "select * from kpi_user_activity_daily where day <= date '2024-03-07' and scope_type = 'all' order by day";
    let before = scratch.rows(rows);
    // Three late days and three days of the longest session: the 7th is final once the 14th has begun.
    let finals = "select count(*), max(day) from kpi_user_activity_daily where scope_type = 'all' and is_final";
    assert_eq!(scratch.rows(finals), ["7,2024-03-07"]);
    // Three days late is in time, and a second more is not.
    landed(
        "15",
        &[
            event("u2", "purchase", "2024-03-07 12:00:00"),
            event("u2", "purchase", "2024-03-11 22:59:59"),
            event("u2", "purchase", "2024-03-11 23:00:00"),
        ],
        "2024-03-14T15:00:00Z",
    );
    behaviour(&scratch, "2024-07-02");
    assert_eq!(scratch.rows(rows), before);
    assert_eq!(
        scratch.rows("select day, dau from kpi_user_activity_daily where scope_type = 'all' and dau > 1"),
        ["2024-03-11,2"]
    );
    assert_eq!(
        scratch.rows("select reason, count(*) from dq_quarantine where dataset = 'user_events' group by reason"),
        ["E_LATE,2"]
    );
}

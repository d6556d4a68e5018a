//! The report: what is in it, and that nothing in the data can become more than text.

use std::path::Path;

use serde_json::{Value, json};

use crate::scratch::Scratch;

/// A project with every table that the report has a part for, whose texts would like to be scripts.
fn everything() -> Scratch {
    Scratch::copy_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/project"))
}

fn report(scratch: &Scratch) -> String {
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    let _ = scratch.run(&["report", "--to", "out/report.html"]).exits(0);
    std::fs::read_to_string(scratch.path("out/report.html")).unwrap()
}

/// The data that a page draws.
fn data(html: &str) -> Value {
    let (_, rest) = html.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_part_is_there_when_its_table_is() {
    let page = data(&report(&everything()));
    assert_eq!(
        names(&page["grids"]),
        [
            "backlog",
            "checks",
            "events",
            "freshness",
            "indicators",
            "ledger",
            "matrix",
            "metrics",
            "monthly",
            "quarantine",
            "register",
            "scorecard",
            "teams"
        ]
    );
    let page = data(&report(&Scratch::orders()));
    assert_eq!(names(&page["grids"]), ["checks", "freshness", "ledger", "quarantine"]);
    assert_eq!(page["daily"], Value::Null);
    let trend = &page["trends"][0];
    assert_eq!(trend["table"], "kpi_order_daily");
    // Two orders of 10 and 20 on one day; 19783 days after 1970-01-01 is 2024-03-01.
    assert_eq!(
        trend["series"],
        json!([{ "key": [], "first": 19_783, "days": 1, "values": [[2.0], [30.0]], "newest": null, "told": [] }])
    );
    let tables: Vec<(&str, u64, &str)> = page["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| {
            let text = |key: &str| table[key].as_str().unwrap_or_default();
            (text("name"), table["rows"].as_u64().unwrap(), text("newest"))
        })
        .filter(|(name, ..)| !name.starts_with("dq_"))
        .collect();
    assert_eq!(tables, [("fct_order", 2, "2024-03-01T00:00Z"), ("kpi_order_daily", 1, "2024-03-01T00:00Z")]);
}

#[test]
fn figures_are_those_of_the_tables() {
    let page = data(&report(&everything()));
    let daily = &page["daily"];
    assert_eq!((daily["of"].as_u64(), daily["series"].as_array().unwrap().len()), (Some(3), 3));
    let series = &daily["series"][2];
    // The whole first, then the channel.
    assert_eq!(series["key"], json!(["visits", "channel", "<img src=x onerror=window.hostile=7>"]));
    let total = &daily["series"][1];
    assert_eq!(total["key"], json!(["visits", "total", "all"]));
    // 400 days to 2024-06-30, which is day 19904; the last two are not complete.
    assert_eq!((total["first"].as_i64(), total["days"].as_u64()), (Some(19_505), Some(400)));
    assert_eq!(total["newest"], 397);
    assert_eq!(total["values"][1], json!([210.0]), "a target that never changes is said once");
    let value = total["values"][0][397].as_f64().unwrap();
    let expected = 200.0 * (1.0 + 0.2 * (19_902.0_f64 / 7.0).sin());
    assert!((value - expected).abs() < 1e-5, "{value} {expected}");
    // 9 + 3 tickets on the first day of the backlog, 12 and 8 on the others.
    let tickets: Vec<&Value> = page["grids"]["backlog"]["rows"].as_array().unwrap().iter().map(|row| &row[1]).collect();
    assert_eq!(tickets, [&json!(12), &json!(12), &json!(8)]);
    // A table with several rows for one day and page cannot be drawn, and is not.
    let mixed = page["trends"].as_array().unwrap().iter().find(|trend| trend["table"] == "kpi_visit_daily").unwrap();
    assert_eq!((&mixed["series"], &mixed["mixed"]), (&json!([]), &json!(3)));
}

#[test]
fn what_the_data_say_never_becomes_markup() {
    let html = report(&everything());
    for hostile in ["<script>window", "<img src", "<svg onload", "<b>", "</td>", "<i>"] {
        assert!(!html.contains(hostile), "{hostile}");
    }
    assert_eq!(html.matches("<script").count(), 3);
    assert_eq!(html.matches("</script").count(), 3);
    // And yet it is all there.
    let metrics = &data(&html)["grids"]["metrics"]["rows"];
    assert_eq!(metrics[1][2], "Visits <script>window.hostile = 6</script>");
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn one_snapshot_gives_one_page() {
    let scratch = everything();
    let first = report(&scratch);
    let _ = scratch.run(&["report", "--to", "out/report.html"]).exits(0);
    assert_eq!(first, std::fs::read_to_string(scratch.path("out/report.html")).unwrap());
    // Nothing lies beside it: it was written under another name and put in place.
    assert_eq!(scratch.files("out").len(), 1);
    let _ = scratch.run(&["report", "--to", "out/report.html", "--lang", "zh"]).exits(0);
    let chinese = std::fs::read_to_string(scratch.path("out/report.html")).unwrap();
    assert_eq!(first.replacen("lang=\"en\"", "lang=\"zh\"", 1), chinese);
}

#[test]
fn the_page_of_a_project_can_be_read_by_machines_too() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    let said = scratch.run(&["report", "--output", "json"]).exits(0);
    let told: Value = serde_json::from_str(said.stdout.trim()).unwrap();
    let bytes = std::fs::metadata(scratch.path("report.html")).unwrap().len();
    assert_eq!((&told["file"], &told["bytes"], &told["tables"]), (&json!("report.html"), &json!(bytes), &json!(6)));
}

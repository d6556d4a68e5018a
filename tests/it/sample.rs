//! The project that is shipped: its golden tests, its words, its plan, and its figures.

use std::path::Path;

use crate::scratch::{Scratch, copy};

pub(crate) fn shipped() -> Scratch {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = Scratch::empty();
    for folder in ["jobs", "sql", "schemas", "data-samples", "tests/models", "tests/functions"] {
        copy(&root.join(folder), scratch.path(folder).as_std_path());
    }
    std::fs::copy(root.join("opsmart.toml"), scratch.path("opsmart.toml")).unwrap();
    scratch
}

#[test]
fn every_model_and_function_has_a_golden_test_and_passes_it() {
    let scratch = shipped();
    let said = scratch.run(&["test", "--output", "json"]).exits(0);
    let result: serde_json::Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    let mut tested = 0;
    for folder in std::fs::read_dir(scratch.path("sql")).unwrap().map(|entry| entry.unwrap().path()) {
        if folder.ends_with("checks") {
            continue;
        }
        let tests = scratch.path(if folder.ends_with("functions") { "tests/functions" } else { "tests/models" });
        for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            tested += 1;
            let test = tests.join(file.with_extension("slt").file_name().unwrap().to_str().unwrap());
            assert!(test.exists(), "{test} is missing");
        }
    }
    assert_eq!(result["passed"], tested);
}

#[test]
fn the_ledger_of_the_samples_closes_and_every_table_is_told_in_words() {
    let scratch = shipped();
    let _ = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0);
    assert_eq!(
        scratch.rows("select file from dq_ledger where records <> accepted + quarantined + blank or rows <> clean + exact_duplicates + superseded + quarantined_in_clean"),
        [""; 0]
    );
    // Counted with Python's csv and json modules when the samples were made; see data-samples/README.md.
    assert_eq!(
        scratch.rows("select dataset, sum(accepted), sum(quarantined), sum(clean) from dq_ledger group by dataset order by dataset"),
        [
            "agents,15,1,15",
            "calendar,103,1,102",
            "competitor_prices,1306,5,1305",
            "csat_responses,1273,3,1270",
            "event_map,19,0,19",
            "funnels,12,1,11",
            "kpi_targets,63,1,63",
            "kri_thresholds,10,0,10",
            "market_prices,12259,3,12249",
            "own_prices,14,1,13",
            "risk_register,29,4,28",
            "ticket_events,14531,6,14519",
            "tickets,1165,6,1020",
            "user_events,31255,4,31255"
        ]
    );
    // The metadata is what BI tools show, so every published column must have all of its words.
    let files = scratch.files("warehouse/published/current/_metadata");
    assert_eq!(files.len(), 1);
    let sql = scratch.path("warehouse/published/current/views.sql");
    let views = std::fs::read_to_string(sql).unwrap();
    for line in views.lines().filter(|line| line.starts_with("comment on column")) {
        assert_eq!(line.matches(" | ").count(), 3, "{line}");
    }
    crate::data_model::tells_of(&views);
}

#[test]
fn two_plans_of_one_project_are_the_same_byte_for_byte() {
    let scratch = shipped();
    let plan = || scratch.run(&["plan", "--as-of", "2024-07-01", "--output", "json"]).exits(0).stdout;
    let first = plan();
    assert_eq!(first, plan());
    let _ = scratch.run(&["run", "--as-of", "2024-07-01", "--quiet"]).exits(0);
    let datasets = scratch.files("schemas/sources").len();
    let tables: usize =
        ["marts", "kpi", "performance", "risk"].iter().map(|layer| scratch.files(&format!("sql/{layer}")).len()).sum();
    // Metrics are tables, too: those that they are compiled to.
    let said = scratch.run(&["plan", "--as-of", "2024-07-01"]).exits(0).stdout;
    let metrics = scratch.run(&["show", "--sql", "metric_counted"]).exits(0).stdout;
    let counted = metrics.matches("select * from metric_").count();
    let periods = ["week", "month"].map(|grain| {
        let select = scratch.run(&["show", "--sql", &format!("metric_{grain}")]).exits(0).stdout;
        select.matches("select * from metric_").count()
    });
    let tables = tables
        + counted
        + periods.iter().sum::<usize>()
        + ["metric_counted", "metric_day", "metric_week", "metric_month", "dim_metric"].len();
    assert_eq!(said, format!("nothing to do: {datasets} datasets and {tables} tables are as they should be\n"));
}

#[test]
fn a_job_reaches_what_it_names_and_all_that_depends_on_it() {
    let scratch = shipped();
    let _ = scratch.run(&["run", "market", "--as-of", "2024-07-01", "--quiet"]).exits(0);
    let tables = scratch.rows("select count(*) from kpi_market_daily");
    assert_eq!(tables, ["12249"]);
}

#[test]
fn what_is_wrong_with_targets_and_limits_is_told() {
    let scratch = shipped();
    let append = |file: &str, line: &str| {
        let path = format!("data-samples/governance/{file}.csv");
        let text = std::fs::read_to_string(scratch.path(&path)).unwrap();
        scratch.write(&path, &format!("{text}{line}\n"));
    };
    let lines = |file: &str| {
        let path = scratch.path(&format!("data-samples/governance/{file}.csv"));
        std::fs::read_to_string(path).unwrap().lines().count()
    };
    let targets = lines("kpi_targets");
    append("kpi_targets", "support_created,total,all,2024-01-01,,higher,50,60,40,,,");
    append("kpi_targets", "support_solved,total,all,2024-01-01,,higher,50,,,-0.25,,");
    append("kpi_targets", "agent_reopen_rate,group,chat,2024-01-01,,lower,0.08,0.2,0.03,0.35,,");
    append("kpi_targets", "support_backlog,total,all,2024-01-01,,band,50,,,,90,40");
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    let rows = scratch.rows("select check_name, row_json from dq_check_row order by check_name").join("\n");
    for told in [
        "floor 60.0000, target 50.0000 and stretch 40.0000 are out of order where higher is better",
        "assert_scorecard_weights_are_whole",
        "agent_01",
        "1.25",
    ] {
        assert!(rows.contains(told), "{told}\n{rows}");
    }
    let quarantined = "select line, reason from dq_quarantine where dataset = 'kpi_targets' and line >";
    let (negative, band) = (targets + 2, targets + 4);
    assert_eq!(
        scratch.rows(&format!("{quarantined} {targets} order by line")),
        [format!("{negative},E_RANGE"), format!("{band},E_RULE")]
    );
    // Amber beyond red: nothing is judged by it, and nothing published.
    append("kri_thresholds", "support_created,More than usual,operational,higher,90,60,support");
    let said = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(1);
    assert!(said.stderr.contains("failed[dim_kri_threshold.red_is_worse]"), "{}", said.stderr);
}

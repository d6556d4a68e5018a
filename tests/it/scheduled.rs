//! What schedulers and those who watch runs rely on: how a run ends when it is told to, and what it says where.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::scratch::Scratch;

/// How long a run may take to end (docs/schedulers.md).
const TO_END: Duration = Duration::from_secs(25);

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Returns the fields of the log lines with a message.
fn fields<'l>(lines: &'l [Value], message: &str) -> Vec<&'l Value> {
    lines.iter().map(|line| &line["fields"]).filter(|fields| fields["message"] == message).collect()
}

/// Sends SIGTERM to a run once `is_ready`, and returns its exit code and how long it took to end.
fn terminated(scratch: &Scratch, arguments: &[&str], is_ready: impl Fn() -> bool) -> (Option<i32>, Duration) {
    let mut child = scratch.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !is_ready() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = Instant::now();
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    (child.wait().unwrap().code(), sent.elapsed())
}

#[test]
fn a_run_in_a_long_query_ends_soon_when_it_is_told_to() {
    let scratch = Scratch::orders();
    let mut orders = String::from("id,at,amount\n");
    (1..200_000).for_each(|id| orders.push_str(&format!("{id},2024-03-02T10:00:00Z,1.00\n")));
    scratch.write("landing/orders-1.csv", &orders);
    // Twenty thousand million pairs, of which none stays.
    scratch.write(
        "sql/kpi/kpi_pairs.sql",
        "select count(*) as pairs from fct_order as a inner join fct_order as b on a.amount + b.id < a.id - b.amount - 200000\n",
    );
    let is_building = || scratch.path("warehouse/data/fct_order/all").exists();
    let (exit, took) = terminated(&scratch, &["run", "--quiet"], is_building);
    assert_eq!(exit, Some(143));
    assert!(took < TO_END, "{took:?}");
    assert!(!scratch.path("warehouse/refs/main").exists());
    let records = scratch.run(&["history", "--output", "json"]).exits(0).stdout;
    assert_eq!(json(&records)[0]["status"], "interrupted");
}

#[test]
fn a_run_that_waits_for_a_lock_ends_soon_when_it_is_told_to() {
    let scratch = Scratch::orders();
    std::fs::create_dir_all(scratch.path("warehouse/locks")).unwrap();
    let lock = std::fs::File::create(scratch.path("warehouse/locks/job-orders.lock")).unwrap();
    lock.lock().unwrap();
    let started = Instant::now();
    let is_waiting = || started.elapsed() > Duration::from_secs(2);
    let (exit, took) = terminated(&scratch, &["run", "orders", "--on-locked", "wait=10m"], is_waiting);
    // Nothing has begun that would have to be cleaned up, so the signal itself may end it.
    assert!(exit.is_none_or(|exit| exit == 143), "{exit:?}");
    assert!(took < TO_END, "{took:?}");
}

#[test]
fn machines_are_told_of_a_run_that_was_skipped_and_of_one_that_failed() {
    let scratch = Scratch::orders();
    std::fs::create_dir_all(scratch.path("warehouse/locks")).unwrap();
    let lock = std::fs::File::create(scratch.path("warehouse/locks/job-orders.lock")).unwrap();
    lock.lock().unwrap();
    let said = scratch.run(&["run", "orders", "--on-locked", "skip", "--output", "json"]).exits(0);
    assert_eq!(json(&said.stdout), serde_json::json!({ "status": "skipped", "held": "job-orders" }));
    let said = scratch.run(&["run", "orders", "--output", "json"]).exits(75);
    let told = json(&said.stdout);
    assert_eq!((&told["status"], &told["exit"]), (&"failed".into(), &75.into()));
    assert!(told["error"].as_str().unwrap().contains("another run holds `job-orders`"), "{told}");
    drop(lock);

    // One that waits takes its turn as soon as there is one.
    let lock = std::fs::File::create(scratch.path("warehouse/locks/job-orders.lock")).unwrap();
    lock.lock().unwrap();
    let waiting = scratch.command(&["run", "orders", "--quiet", "--on-locked", "wait=60s"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    drop(lock);
    assert!(waiting.wait_with_output().unwrap().status.success());
}

#[test]
fn log_lines_are_json_where_that_is_asked_for_and_stdout_ends_with_the_report() {
    let scratch = Scratch::orders();
    let said = scratch.run(&["run", "--quiet", "--log-format", "json", "--output", "json"]).exits(0);
    assert_eq!(said.stdout.lines().count(), 1, "{}", said.stdout);
    let report = json(&said.stdout);
    assert_eq!(report["status"], "published");
    let lines: Vec<Value> = said.stderr.lines().map(json).collect();
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["fields"].is_object(), "{line}");
    }
    assert_eq!(fields(&lines, "run started")[0]["run"], report["run"]);
    assert_eq!(fields(&lines, "run ended")[0]["snapshot"], report["snapshot"]);
    assert_eq!(fields(&lines, "dataset is up to date")[0]["accepted"], 2);
    let built: Vec<&Value> = fields(&lines, "model built").into_iter().map(|fields| &fields["table"]).collect();
    assert_eq!(built, ["fct_order", "kpi_order_daily"]);

    // Without that there are no log lines unless something is strange.
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,1.00\n");
    assert_eq!(scratch.run(&["run", "--quiet"]).exits(0).stderr, "");
}

/// Returns the events that the newest run left.
fn events(scratch: &Scratch) -> Vec<Value> {
    let mut runs: Vec<_> =
        std::fs::read_dir(scratch.path("warehouse/runs")).unwrap().map(|run| run.unwrap().path()).collect();
    runs.sort();
    std::fs::read_to_string(runs.last().unwrap().join("lineage.ndjson")).unwrap().lines().map(json).collect()
}

#[test]
fn lineage_tells_which_columns_of_which_files_a_table_comes_from() {
    let scratch = Scratch::orders();
    let parent = "airflow/dag.run/0197c3f0-0000-7000-8000-000000000001";
    let mut run = scratch.command(&["run", "orders", "--quiet"]);
    let run = run.env("OPENLINEAGE_PARENT_ID", parent).env("OPENLINEAGE_NAMESPACE", "desk");
    assert!(run.status().unwrap().success());
    let events = events(&scratch);
    let [start, end] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&start["eventType"], &end["eventType"]), (&"START".into(), &"COMPLETE".into()));
    assert_eq!(start["run"], end["run"]);
    assert!(start["eventTime"].as_str() < end["eventTime"].as_str());
    assert_eq!((&end["job"]["namespace"], &end["job"]["name"]), (&"desk".into(), &"orders".into()));
    assert_eq!(end["run"]["facets"]["parent"]["job"], serde_json::json!({ "namespace": "airflow", "name": "dag.run" }));

    let root = scratch.root().canonicalize_utf8().unwrap();
    let landed = root.join("landing/orders-*.csv").into_string();
    let table = |name: &str| root.join("warehouse/published/current").join(name).into_string();
    let names = |datasets: &Value| {
        datasets.as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&end["inputs"]), [landed.as_str()]);
    assert_eq!(names(&end["outputs"]), [table("fct_order"), table("kpi_order_daily")]);
    let types = &end["inputs"][0]["facets"]["schema"]["fields"];
    assert_eq!((&types[2]["name"], &types[2]["type"]), (&"amount".into(), &"decimal(10,2)".into()));

    let field = |name: &str, field: &str| serde_json::json!({ "namespace": "file", "name": name, "field": field });
    let orders = &end["outputs"][0]["facets"]["columnLineage"];
    assert_eq!(orders["fields"]["day"]["inputFields"], serde_json::json!([field(&landed, "at")]));
    let days = &end["outputs"][1];
    let lineage = &days["facets"]["columnLineage"];
    let from = table("fct_order");
    assert_eq!(lineage["fields"]["amount"]["inputFields"], serde_json::json!([field(&from, "amount")]));
    assert_eq!(lineage["fields"]["orders"]["inputFields"], serde_json::json!([]));
    assert_eq!(lineage["dataset"], serde_json::json!([field(&from, "day")]));
    assert_eq!(days["outputFacets"]["outputStatistics"]["rowCount"], 1);
}

#[test]
fn lineage_of_a_run_that_failed_has_what_was_read_and_why_it_failed() {
    let scratch = Scratch::orders();
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,-1.00\n");
    let _ = scratch.run(&["run", "--quiet"]).exits(1);
    let events = events(&scratch);
    let end = &events[1];
    assert_eq!((&end["eventType"], &end["job"]["name"]), (&"FAIL".into(), &"all".into()));
    assert_eq!(end["run"]["facets"]["errorMessage"]["message"], "1 failed check, nothing published");
    assert_eq!(end["inputs"].as_array().unwrap().len(), 1);
    assert_eq!(end["outputs"], serde_json::json!([]));
}

#[test]
fn numbers_about_runs_are_in_a_file_that_is_whole_after_each() {
    let scratch = Scratch::orders();
    let run = |exit: i32| {
        let said = scratch.run(&["run", "orders", "--quiet", "--metrics", "metrics/orders.prom"]);
        let _ = said.exits(exit);
        std::fs::read_to_string(scratch.path("metrics/orders.prom")).unwrap()
    };
    let value = |text: &str, series: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')).map(str::to_owned);
        found.unwrap_or_else(|| panic!("no {series} in {text}"))
    };
    let clean = "opsmart_job_rows{job=\"orders\",dataset=\"orders\",stage=\"clean\"}";
    let (code, success) =
        ("opsmart_job_last_exit_code{job=\"orders\"}", "opsmart_job_last_success_timestamp_seconds{job=\"orders\"}");
    let first = run(0);
    assert_eq!((value(&first, code), value(&first, clean)), ("0".to_owned(), "2".to_owned()));

    // Nothing new is success, and a failure is none.
    let idle = run(0);
    assert_eq!(value(&idle, clean), "2");
    assert!(value(&idle, success) > value(&first, success));
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,-1.00\n");
    let failed = run(1);
    assert_eq!((value(&failed, code), value(&failed, clean)), ("1".to_owned(), "2".to_owned()));
    assert_eq!(value(&failed, success), value(&idle, success));

    // Also a project that cannot be read is told of.
    scratch.write("jobs/orders.toml", "ingest = [\"nothing\"]\n");
    assert_eq!(value(&run(2), code), "2");
    assert_eq!(std::fs::read_dir(scratch.path("metrics")).unwrap().count(), 1, "nothing else is left beside it");
    let said = scratch.run(&["run", "--metrics", "metrics"]).exits(2);
    assert!(said.stderr.contains("name a file in it: --metrics metrics/opsmart.prom"), "{}", said.stderr);
}

#[test]
fn a_run_that_cannot_look_at_a_signal_ends_at_the_second_one() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    // Whoever reads the state of the dataset waits until somebody writes it: nobody does.
    let [(state, _)] = scratch.files("warehouse/tables/orders").try_into().unwrap();
    std::fs::remove_file(&state).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&state).status().unwrap().success());
    let log = scratch.path("log");
    let mut command = scratch.command(&["run", "--quiet"]);
    command.env("OPSMART_LOG", "info").stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    while !std::fs::read_to_string(&log).unwrap().contains("run started") {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    // It waits for the signal before it begins, in a thread that does nothing else.
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(500));
        let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(std::fs::read_to_string(&log).unwrap().contains("ended in the middle of its work"));
}

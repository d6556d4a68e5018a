//! What schedulers rely on: how a run ends when it is told to, what it says of a lock, and where it says what.

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

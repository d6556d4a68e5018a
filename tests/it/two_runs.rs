//! Two runs at once, and eight.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::scratch::Scratch;

/// A project with two jobs that share nothing, and a lock that a test can hold.
fn two_jobs() -> Scratch {
    let scratch = Scratch::orders();
    scratch.add_refunds();
    scratch
}

#[test]
fn runs_of_different_jobs_at_once_both_publish() {
    for _ in 0..5 {
        let scratch = two_jobs();
        let spawn = |job| scratch.command(&["run", job, "--quiet"]).stderr(Stdio::piped()).spawn().unwrap();
        let (first, second) = (spawn("orders"), spawn("refunds"));
        for child in [first, second] {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(scratch.rows("select count(*) from fct_order"), ["2"]);
        assert_eq!(scratch.rows("select count(*) from fct_refund"), ["1"]);
        assert_eq!(scratch.rows("select dataset from dq_ledger order by 1"), ["orders", "refunds"]);
    }
}

#[test]
fn eight_runs_of_one_project_at_once_publish_one_truth() {
    let scratch = Scratch::orders();
    let spawn =
        |_| scratch.command(&["run", "--quiet", "--on-locked", "wait=60s"]).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<_> = (0..8).map(spawn).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(scratch.rows("select orders, amount from kpi_order_daily"), ["2,30.00"]);
    let history = scratch.run(&["history"]).exits(0);
    assert_eq!(history.stdout.lines().count(), 2, "one run did the work:\n{}", history.stdout);
}

#[test]
fn eight_runs_of_different_jobs_at_once_all_publish_beside_gc() {
    let scratch = Scratch::empty();
    scratch.write("opsmart.toml", "[paths]\nlanding = \"landing\"\n");
    for number in 1..=8 {
        let contract = format!(
            "from = \"{{landing}}/d{number}-*.csv\"\nformat = {{ type = \"csv\" }}\n[columns]\nid = \"int64!\"\n"
        );
        scratch.write(&format!("jobs/j{number}.toml"), &format!("ingest = [\"d{number}\"]\n"));
        scratch.write(&format!("schemas/sources/d{number}.toml"), &contract);
        scratch.write(&format!("sql/staging/stg_d{number}.sql"), &format!("select id from d{number}\n"));
        scratch.write(&format!("sql/marts/fct_d{number}.sql"), &format!("select id from stg_d{number}\n"));
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let remover = scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                if scratch.path("warehouse/refs/main").exists() {
                    let _ = scratch.run(&["gc", "--keep", "1", "--quiet"]).exits(0);
                }
            }
        });
        for round in 1..=4 {
            let children = (1..=8).map(|number| {
                scratch.write(&format!("landing/d{number}-{round}.csv"), &format!("id\n{round}\n"));
                let mut run = scratch.command(&["run", &format!("j{number}"), "--quiet"]);
                run.stderr(Stdio::piped()).spawn().unwrap()
            });
            for child in children.collect::<Vec<_>>() {
                let output = child.wait_with_output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
            for number in 1..=8 {
                let rows = scratch.rows(&format!("select count(*), max(id) from fct_d{number}"));
                assert_eq!(rows, [format!("{round},{round}")], "job {number}");
            }
            assert_eq!(scratch.rows("select count(*), sum(clean) from dq_ledger"), [format!("{0},{0}", 8 * round)]);
        }
        is_over.store(true, Ordering::SeqCst);
        remover.join().unwrap();
    });
    let _ = scratch.run(&["verify", "--files", "--quiet"]).exits(0);
}

#[test]
fn a_second_run_of_a_job_fails_waits_or_skips_as_it_is_told() {
    let scratch = Scratch::orders();
    std::fs::create_dir_all(scratch.path("warehouse/locks")).unwrap();
    let lock = std::fs::File::create(scratch.path("warehouse/locks/job-orders.lock")).unwrap();
    lock.lock().unwrap();
    let said = scratch.run(&["run", "orders"]).exits(75);
    assert!(said.stderr.contains("another run holds `job-orders`"), "{}", said.stderr);
    let _ = scratch.run(&["run", "orders", "--on-locked", "skip"]).exits(0);
    let _ = scratch.run(&["run", "orders", "--on-locked", "skip", "--exit-on-skip"]).exits(99);
    let _ = scratch.run(&["run", "orders", "--on-locked", "wait=1s"]).exits(75);
    drop(lock);
    let _ = scratch.run(&["run", "orders"]).exits(0);
}

#[test]
fn a_run_that_waited_runs_the_project_that_is_there_by_then() {
    let scratch = Scratch::orders();
    std::fs::create_dir_all(scratch.path("warehouse/locks")).unwrap();
    let lock = std::fs::File::create(scratch.path("warehouse/locks/job-orders.lock")).unwrap();
    lock.lock().unwrap();
    let mut child =
        scratch.command(&["run", "orders", "--on-locked", "wait=60s"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut words = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    words.read_line(&mut line).unwrap();
    assert!(line.starts_with("waiting: "), "{line}");
    scratch.write("sql/marts/fct_order.sql", "select id, date '2024-05-05' as day, amount from stg_orders\n");
    drop(lock);
    words.read_to_string(&mut line).unwrap();
    assert!(child.wait().unwrap().success(), "{line}");
    assert_eq!(scratch.rows("select distinct day from fct_order"), ["2024-05-05"]);
}

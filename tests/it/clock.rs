//! Clocks that are wrong: that of the machine, and the times of files.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use opsmart::store::{LocalDisk, SnapshotRef, Store};
use serde_json::Value;

use crate::scratch::Scratch;

fn report(scratch: &Scratch) -> Value {
    let said = scratch.run(&["run", "--output", "json"]).exits(0);
    serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap()
}

fn count(scratch: &Scratch) -> Vec<String> {
    scratch.rows("select count(*) from fct_order")
}

/// Publishes again what is in force, as a run would have whose machine is so far ahead.
fn ahead(scratch: &Scratch, by: Duration) -> DateTime<Utc> {
    let store = Store::open(&scratch.path("warehouse"), Arc::new(LocalDisk));
    let (reference, mut snapshot) = store.newest().unwrap().unwrap();
    snapshot.parent = Some(reference.snapshot.clone());
    snapshot.as_of = Utc::now() + by;
    let id = store.put_snapshot(&snapshot).unwrap();
    store.commit(Some(&reference), &SnapshotRef { snapshot: id, held: None }).unwrap();
    snapshot.as_of
}

#[test]
fn a_clock_that_goes_back_stands_where_it_was_published() {
    let scratch = Scratch::orders();
    scratch.write("sql/kpi/kpi_clock.sql", "select count(*) as n, cast($as_of as text) as at from fct_order\n");
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let published = ahead(&scratch, Duration::from_hours(24 * 40));
    // The first run makes what uses the clock anew, the next has nothing to do, and both stay at that time.
    for status in ["published", "nothing-new", "nothing-new"] {
        let report = report(&scratch);
        assert_eq!(report["status"], status, "{report}");
        let as_of: DateTime<Utc> = report["as_of"].as_str().unwrap().parse().unwrap();
        assert_eq!(as_of.timestamp_micros(), published.timestamp_micros());
    }
    // Each run says so, also to who asked for quiet, and machines are told.
    for _ in 0..2 {
        let said = scratch.run(&["run", "--quiet"]).exits(0).stderr;
        assert!(said.starts_with("warning: the tables are published as of 20"), "{said}");
        assert!(said.contains("`opsmart run --allow-earlier` goes back to the clock of this machine"), "{said}");
    }
    assert!(report(&scratch)["clock_warning"].as_str().unwrap().starts_with("the tables are published as of "));
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T09:00:00Z,5.00\n");
    assert_eq!(report(&scratch)["status"], "published");
    assert_eq!(count(&scratch), ["3"]);
    // Neither clock is one that a person may ask for.
    let said = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(2).stderr;
    assert!(said.contains("--as-of 2024-07-01T00:00:00+00:00 is before"), "{said}");
    assert!(said.contains("help: leave --as-of out, or give a later one"), "{said}");
    let said = scratch.run(&["run", "--as-of", "2999-01-01"]).exits(2).stderr;
    assert!(said.contains("has not come yet") && said.contains("help: leave --as-of out"), "{said}");
    // What was the newest a moment ago counts as new, however the snapshots' own clocks stand.
    let _ = scratch.run(&["gc", "--keep", "1d", "--quiet"]).exits(0);
    let _ = scratch.run(&["rollback", "--quiet"]).exits(0);
    assert_eq!(count(&scratch), ["2"]);
}

#[test]
fn a_clock_that_was_wrong_is_left_when_somebody_says_so() {
    let scratch = Scratch::orders();
    scratch.write("sql/kpi/kpi_clock.sql", "select count(*) as n, cast($as_of as text) as at from fct_order\n");
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    let right = scratch.rows("select at from kpi_clock");
    let _ = ahead(&scratch, Duration::from_hours(24 * 365 * 64));
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    assert!(scratch.rows("select at from kpi_clock")[0].starts_with("209"));
    let said = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(2).stderr;
    assert!(said.contains("say --allow-earlier"), "{said}");
    // All is as if the wrong clock had never been there, and stays so without the flag.
    let said = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01", "--allow-earlier"]).exits(0).stderr;
    assert_eq!(said, "");
    assert_eq!(scratch.rows("select at from kpi_clock"), right);
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01", "--exit-on-skip"]).exits(99);
    let _ = scratch.run(&["verify", "--files", "--quiet"]).exits(0);
    // Without a time it is that of the machine, even where no table uses it.
    std::fs::remove_file(scratch.path("sql/kpi/kpi_clock.sql")).unwrap();
    let published = ahead(&scratch, Duration::from_hours(24 * 40));
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let said = scratch.run(&["run", "--quiet", "--allow-earlier", "--output", "json"]).exits(0);
    let told: Value = serde_json::from_str(&said.stdout).unwrap();
    let as_of: DateTime<Utc> = told["as_of"].as_str().unwrap().parse().unwrap();
    assert!(as_of < published && told["in_force_as_of"] == told["as_of"], "{told}");
    assert_eq!((&told["clock_warning"], said.stderr.as_str()), (&Value::Null, ""));
    let report = report(&scratch);
    assert_eq!((&report["status"], &report["clock_warning"]), (&Value::from("nothing-new"), &Value::Null), "{report}");
}

#[test]
fn a_clock_that_leaps_is_told_when_it_publishes() {
    let scratch = Scratch::orders();
    scratch.write("sql/kpi/kpi_clock.sql", "select count(*) as n, cast($as_of as text) as at from fct_order\n");
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_719_800_000);
    let land = |name: &str, id: u32| {
        scratch.write(name, &format!("id,at,amount\n{id},2024-03-02T09:00:00Z,5.00\n"));
        File::options().write(true).open(scratch.path(name)).unwrap().set_modified(long_ago).unwrap();
    };
    land("landing/orders-1.csv", 1);
    // Whoever says which time it is has thought of it.
    let said = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0).stderr;
    assert_eq!(said, "");
    let said = scratch.run(&["run", "--quiet"]).exits(0).stderr;
    assert!(said.starts_with("warning: the clock of this machine says 20"), "{said}");
    assert!(said.contains(" days after all that has landed and was published; "), "{said}");
    // The next one goes on from there.
    land("landing/orders-2.csv", 2);
    assert_eq!(scratch.run(&["run", "--quiet"]).exits(0).stderr, "");
}

#[test]
fn files_of_any_time_are_taken_in_once() {
    let scratch = Scratch::orders();
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T09:00:00Z,5.00\n");
    let set = |path: &str, time: SystemTime| {
        File::options().write(true).open(scratch.path(path)).unwrap().set_modified(time).unwrap();
    };
    let day = Duration::from_hours(24);
    set("landing/orders-1.csv", SystemTime::now() + 400 * day);
    set("landing/orders-2.csv", SystemTime::UNIX_EPOCH + day);
    assert_eq!(report(&scratch)["status"], "published");
    assert_eq!(count(&scratch), ["3"]);
    // Their time tells nothing, so they are read again; their bytes tell that nothing is new.
    let _ = scratch.run(&["run", "--quiet", "--exit-on-skip"]).exits(99);
    // Whatever their times become.
    set("landing/orders-1.csv", SystemTime::UNIX_EPOCH + 2 * day);
    set("landing/orders-2.csv", SystemTime::now() + 400 * day);
    // The ledger tells when they landed; no row changes.
    assert_eq!(report(&scratch)["tables"], Value::Array(Vec::new()));
    assert_eq!(count(&scratch), ["3"]);
    let _ = scratch.run(&["run", "--quiet", "--exit-on-skip"]).exits(99);
    // One that changes in place, under a time of before, is seen.
    scratch.write("landing/orders-1.csv", "id,at,amount\n1,2024-03-01T10:00:00Z,11.00\n2,2024-03-01T11:00:00Z,20.00\n");
    set("landing/orders-1.csv", SystemTime::UNIX_EPOCH + 2 * day);
    assert_eq!(report(&scratch)["status"], "published");
    assert_eq!(scratch.rows("select sum(amount) from fct_order"), ["36.00"]);
    let _ = scratch.run(&["verify", "--files", "--quiet"]).exits(0);
}

#[test]
fn snapshots_from_the_future_are_new_to_gc() {
    let scratch = Scratch::orders();
    for number in 2..5 {
        let _ = scratch.run(&["run", "--quiet"]).exits(0);
        let order = format!("id,at,amount\n{number},2024-03-02T09:00:00Z,5.00\n");
        scratch.write(&format!("landing/orders-{number}.csv"), &order);
    }
    for (snapshot, _) in scratch.files("warehouse/snapshots") {
        File::open(snapshot).unwrap().set_modified(SystemTime::now() + Duration::from_hours(24 * 365)).unwrap();
    }
    let said = scratch.run(&["gc", "--keep", "1d"]).exits(0).stderr;
    assert_eq!(said, "nothing to remove; 3 snapshots stay\n");
    let _ = scratch.run(&["gc", "--keep", "1", "--quiet"]).exits(0);
    assert_eq!(scratch.files("warehouse/snapshots").len(), 1);
    let _ = scratch.run(&["verify", "--files", "--quiet"]).exits(0);
}

#[test]
fn history_tells_the_newest_first_and_which_is_in_force() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let [first] = runs(&scratch).try_into().unwrap();
    // The machine's clock was a year ahead then, and is right now.
    let ahead = first.replacen(&first[..4], &(first[..4].parse::<u32>().unwrap() + 1).to_string(), 1);
    let folder = |run: &str| scratch.path("warehouse/runs").join(run);
    std::fs::rename(folder(&first), folder(&ahead)).unwrap();
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T09:00:00Z,5.00\n");
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let listed = scratch.run(&["history"]).exits(0).stdout;
    let in_force: Vec<&str> = listed.lines().filter(|line| line.ends_with("current")).collect();
    assert_eq!(in_force.len(), 1, "{listed}");
    assert_ne!(in_force[0].split_whitespace().next(), Some(first.as_str()), "{listed}");
    // Names begin with the clock of their machine, and it is by them that runs are listed.
    assert!(listed.lines().nth(1).unwrap().trim_start().starts_with(&first), "{listed}");
    assert_eq!(listed.lines().count(), 3, "{listed}");
}

fn runs(scratch: &Scratch) -> Vec<String> {
    let folder = scratch.path("warehouse/runs");
    folder.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect()
}

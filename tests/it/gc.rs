//! `opsmart gc`: what no kept snapshot needs goes, and nothing that anybody needs.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use camino::Utf8Path;
use opsmart::run::Exit;
use opsmart::run::RunError;
use opsmart::store::{Keep, LocalDisk, Snapshot, Store};

use crate::faults::{FailingDisk, run_on};
use crate::scratch::{Scratch, is_thorough};

/// A project that has published so many times, each time with one order more.
fn published(times: u32) -> Scratch {
    let scratch = Scratch::orders();
    for number in 1..=times {
        land(&scratch, number);
        let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    }
    scratch
}

/// Lands the file with the order of that number, in place of the one that the project comes with.
fn land(scratch: &Scratch, number: u32) {
    scratch.write(&format!("landing/orders-{number}.csv"), &format!("id,at,amount\n{number},2024-03-01T10:00:00Z,1\n"));
}

fn open(scratch: &Scratch) -> Store {
    Store::open(&scratch.path("warehouse"), Arc::new(LocalDisk))
}

/// Returns the files below the folders that hold what snapshots name, relative to the warehouse.
fn lying(scratch: &Scratch) -> BTreeSet<String> {
    let root = scratch.path("warehouse");
    let found = ["snapshots", "tables", "checks", "manifests", "data"]
        .into_iter()
        .flat_map(|folder| scratch.files(&format!("warehouse/{folder}")))
        .map(|(path, _)| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
    found.collect()
}

/// Returns what a snapshot names, directly and by its states, told from the files and not by the code under test.
fn named(scratch: &Scratch, id: &str) -> BTreeSet<String> {
    let root = scratch.path("warehouse");
    let read =
        |path: &str| -> serde_json::Value { serde_json::from_slice(&std::fs::read(root.join(path)).unwrap()).unwrap() };
    let mut found = BTreeSet::from([format!("snapshots/{id}.json")]);
    let snapshot = read(&format!("snapshots/{id}.json"));
    found.insert(format!("checks/{}.json", snapshot["outcomes"].as_str().unwrap()));
    found.insert(format!("manifests/{}.json", snapshot["manifest"].as_str().unwrap()));
    for (table, entry) in snapshot["tables"].as_object().unwrap() {
        let state = format!("tables/{table}/{}.json", entry["state"].as_str().unwrap());
        paths_in(&read(&state), &mut found);
        found.insert(state);
    }
    found
}

/// Collects every text in a document that is the path of a data file.
fn paths_in(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::String(text) if text.starts_with("data/") => drop(found.insert(text.clone())),
        serde_json::Value::Array(items) => items.iter().for_each(|item| paths_in(item, found)),
        serde_json::Value::Object(items) => items.values().for_each(|item| paths_in(item, found)),
        _ => {}
    }
}

/// Returns the snapshots in the line of the newest one, newest first.
fn line(scratch: &Scratch) -> Vec<String> {
    let store = open(scratch);
    let newest = store.reference().unwrap().unwrap().newest().clone();
    store.line(&newest).map(|found| found.unwrap().0.to_string()).collect()
}

/// Asserts that exactly what these snapshots name lies in the warehouse.
#[track_caller]
fn assert_only(scratch: &Scratch, snapshots: &[&String]) {
    let needed: BTreeSet<String> = snapshots.iter().flat_map(|id| named(scratch, id)).collect();
    let lying = lying(scratch);
    assert_eq!(lying.difference(&needed).collect::<Vec<_>>(), Vec::<&String>::new(), "left behind");
    assert_eq!(needed.difference(&lying).collect::<Vec<_>>(), Vec::<&String>::new(), "missing");
}

fn orders(scratch: &Scratch) -> Vec<String> {
    scratch.rows("select id from fct_order order by id")
}

#[test]
fn what_no_kept_snapshot_names_goes_and_all_else_stays() {
    let scratch = published(4);
    let before = line(&scratch);
    assert_eq!(before.len(), 4);
    let files = lying(&scratch);
    let said = scratch.run(&["gc", "--keep", "2", "--dry-run", "--output", "json"]).exits(0);
    let told: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(lying(&scratch), files, "a dry run removes nothing");
    let said = scratch.run(&["gc", "--keep", "2", "--output", "json"]).exits(0);
    let mut removed: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    removed["dry_run"] = true.into();
    assert_eq!(told, removed, "a dry run says what is removed");
    assert_eq!(removed["snapshots"], serde_json::json!([before[3], before[2]]));
    assert_eq!((&removed["kept"], &removed["runs"]), (&2.into(), &2.into()));
    assert_eq!(line(&scratch), before[..2]);
    assert_only(&scratch, &[&before[0], &before[1]]);
    assert_eq!(orders(&scratch), ["1", "2", "3", "4"]);

    // Twice is as once.
    let said = scratch.run(&["gc", "--keep", "2"]).exits(0);
    assert_eq!(said.stderr, "nothing to remove; 2 snapshots stay\n");

    // The next run has nothing to do, and one with something new goes on from what is left.
    assert!(scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0).stderr.starts_with("nothing new"));
    land(&scratch, 5);
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    assert_eq!(orders(&scratch), ["1", "2", "3", "4", "5"]);
}

#[test]
fn a_rollback_goes_to_what_is_kept_and_says_what_was_removed() {
    let scratch = published(4);
    let before = line(&scratch);
    let _ = scratch.run(&["gc", "--keep", "2"]).exits(0);
    let said = scratch.run(&["rollback", &before[2]]).exits(2).stderr;
    assert_eq!(
        said,
        format!(
            "error: snapshot {} was removed by `opsmart gc`\nhelp: `opsmart history` lists the snapshots; older ones were \
             removed by `opsmart gc`\n",
            &before[2][..12]
        )
    );
    let said = scratch.run(&["rollback", "0000"]).exits(2).stderr;
    assert!(said.contains("no snapshot begins with `0000`") && said.contains("older ones were removed"), "{said}");
    let _ = scratch.run(&["rollback", &before[1][..12]]).exits(0);
    assert_eq!(orders(&scratch), ["1", "2", "3"]);
    let said = scratch.run(&["rollback"]).exits(2).stderr;
    assert!(said.ends_with("help: those before it were removed by `opsmart gc`\n"), "{said}");
    let _ = scratch.run(&["release"]).exits(0);
    assert_eq!(orders(&scratch), ["1", "2", "3", "4"]);
}

#[test]
fn what_is_in_force_and_what_waits_both_stay() {
    let scratch = published(4);
    let before = line(&scratch);
    let _ = scratch.run(&["rollback", &before[3]]).exits(0);
    land(&scratch, 5);
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(3);
    let newest = line(&scratch)[0].clone();
    let _ = scratch.run(&["gc", "--keep", "0d"]).exits(0);
    assert_only(&scratch, &[&newest, &before[3]]);
    assert_eq!(orders(&scratch), ["1"]);
    let listed = scratch.run(&["history"]).exits(0).stdout;
    let ends: Vec<&str> = listed.lines().skip(1).filter_map(|line| line.split("  ").last()).map(str::trim).collect();
    assert_eq!(ends, [&newest[..12], "removed", "removed", "removed", "current"], "{listed}");
    // The line from the newest does not lead to it any more.
    let _ = scratch.run(&["rollback", &before[3][..12]]).exits(0);
    let _ = scratch.run(&["release"]).exits(0);
    assert_eq!(orders(&scratch), ["1", "2", "3", "4", "5"]);
    let _ = scratch.run(&["gc", "--keep", "0d"]).exits(0);
    assert_only(&scratch, &[&newest]);
}

#[test]
fn a_span_keeps_what_was_the_newest_within_it() {
    let scratch = published(3);
    let before = line(&scratch);
    let said = scratch.run(&["gc"]).exits(0);
    assert_eq!(said.stderr, "nothing to remove; 3 snapshots stay\n");
    let follow = |id: &str, days: u64| {
        let file = std::fs::File::open(scratch.path(&format!("warehouse/snapshots/{id}.json"))).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(24 * days)).unwrap();
    };
    // The oldest was the newest until 31 days ago; the one after it until two days ago.
    follow(&before[2], 40);
    follow(&before[1], 31);
    follow(&before[0], 2);
    let _ = scratch.run(&["gc"]).exits(0);
    assert_eq!(line(&scratch), before[..2]);
    let _ = scratch.run(&["gc", "--keep", "1d"]).exits(0);
    assert_eq!(line(&scratch), before[..1]);
}

#[test]
fn before_the_first_publication_there_is_nothing_to_keep() {
    let scratch = Scratch::orders();
    assert!(scratch.run(&["gc"]).exits(2).stderr.contains("nothing has been published yet"));
    let said = scratch.run(&["gc", "--keep", "0"]).exits(2).stderr;
    assert!(said.contains("write a span such as 30d, 12h or 0d, or a count from 1"), "{said}");
}

#[test]
fn files_of_others_and_links_stay() {
    let scratch = published(2);
    let elsewhere = Scratch::with(&[("kept/0123456789abcdef0123456789abcdef.parquet", "mine")]);
    scratch.write("warehouse/data/README.md", "ours");
    scratch.write("warehouse/data/fct_order/all/notes.parquet", "ours");
    std::os::unix::fs::symlink(elsewhere.path("kept"), scratch.path("warehouse/data/linked")).unwrap();
    let _ = scratch.run(&["gc", "--keep", "1"]).exits(0);
    assert!(scratch.path("warehouse/data/README.md").exists());
    assert!(scratch.path("warehouse/data/fct_order/all/notes.parquet").exists());
    assert!(elsewhere.path("kept/0123456789abcdef0123456789abcdef.parquet").exists());
}

/// Kills a run before it publishes, so that it leaves files that nothing names.
fn crash(scratch: &Scratch, arguments: &[&str], point: &str) {
    let mut command = scratch.command(arguments);
    let status = command.env("OPSMART_CRASH_AT", point).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), None, "{point} was not reached");
}

#[test]
fn what_a_killed_run_left_goes_once_nobody_makes_files() {
    let scratch = published(2);
    let before = line(&scratch);
    let clean = lying(&scratch);
    land(&scratch, 3);
    crash(&scratch, &["run", "--quiet"], "flip.before-reference");
    let left = lying(&scratch).len() - clean.len();
    assert!(left > 5, "{left}");
    // Somebody makes a file, and it might be any of these.
    let store = open(&scratch);
    let column = arrow::datatypes::Field::new("id", arrow::datatypes::DataType::Int64, true);
    let schema = Arc::new(arrow::datatypes::Schema::new(vec![column]));
    let file = store.create_parquet("fct_order", &schema, 1).unwrap();
    let said = scratch.run(&["gc"]).exits(0).stderr;
    assert!(said.starts_with("nothing to remove; 3 snapshots stay\n"), "{said}");
    assert!(said.ends_with("  1 file that no snapshot names waits until nobody makes files\n"), "{said}");
    assert_eq!(lying(&scratch).len(), clean.len() + left + 1);
    file.discard();
    drop(store);
    let _ = scratch.run(&["gc"]).exits(0);
    assert_eq!(lying(&scratch), clean);
    assert_only(&scratch, &before.iter().collect::<Vec<_>>());
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    assert_eq!(orders(&scratch), ["1", "2", "3"]);
}

#[test]
fn a_snapshot_that_somebody_reads_stays_until_he_has_done() {
    let scratch = published(3);
    let before = line(&scratch);
    let reader = open(&scratch);
    let id = opsmart::digest::Digest::parse(&before[2]).unwrap();
    let snapshot: Snapshot = reader.snapshot(&id).unwrap();
    let said = scratch.run(&["gc", "--keep", "1"]).exits(0).stderr;
    assert!(said.contains("; 2 snapshots stay\n  1 of them only because somebody reads it now\n"), "{said}");
    assert_only(&scratch, &[&before[0], &before[2]]);
    // It was reached through one that is gone; it stays all the same, and so does what it names.
    let said = scratch.run(&["gc", "--keep", "1"]).exits(0).stderr;
    assert!(said.contains("1 of them only because somebody reads it now"), "{said}");
    assert_only(&scratch, &[&before[0], &before[2]]);
    for (table, entry) in &snapshot.tables {
        let state = reader.table(table, &entry.state).unwrap();
        state.files.iter().for_each(|file| reader.assure(file).unwrap());
    }
    drop(reader);
    let _ = scratch.run(&["gc", "--keep", "1"]).exits(0);
    assert_only(&scratch, &[&before[0]]);
}

#[test]
fn a_run_under_way_keeps_what_it_starts_from_and_what_it_has_made() {
    let scratch = published(2);
    let mut big = String::from("id,at,amount\n");
    (10..400_000).for_each(|id| big.push_str(&format!("{id},2024-03-02T10:00:00Z,1.00\n")));
    scratch.write("landing/orders-9.csv", &big);
    let stored = || std::fs::read_dir(scratch.path("warehouse/data/orders/all")).unwrap().count();
    let before = stored();
    let mut child = scratch.command(&["run", "--quiet", "orders"]).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id().to_string();
    let signal = |name: &str| {
        let status = std::process::Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    };
    loop {
        while stored() == before {
            assert!(child.try_wait().unwrap().is_none(), "the run ended by itself");
            std::thread::sleep(Duration::from_millis(1));
        }
        signal("-STOP");
        if stored() > before {
            break;
        }
        // What it made of a file that is as it was is gone again already.
        signal("-CONT");
    }
    // Another takes its place, as far as snapshots go: the paused run reads the one before.
    let begun = line(&scratch)[0].clone();
    let copy = run_on_another_dataset(&scratch);
    let said = scratch.run(&["gc", "--keep", "1"]).exits(0).stderr;
    assert!(said.contains("that no snapshot names wait"), "{said}");
    assert!(line(&scratch)[0] == copy && scratch.path(&format!("warehouse/snapshots/{begun}.json")).exists());
    signal("-CONT");
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(scratch.rows("select count(*) from fct_order"), ["399992"]);
    let newest = line(&scratch)[0].clone();
    let _ = scratch.run(&["gc", "--keep", "1"]).exits(0);
    assert_only(&scratch, &[&newest]);
    assert_eq!(scratch.rows("select count(*) from fct_order"), ["399992"]);
}

/// Publishes a table that has nothing to do with orders, and returns the snapshot.
fn run_on_another_dataset(scratch: &Scratch) -> String {
    scratch.add_refunds();
    let _ = scratch.run(&["run", "--quiet", "refunds"]).exits(0);
    line(scratch)[0].clone()
}

#[test]
fn beside_runs_and_readers_nothing_is_lost() {
    let scratch = published(1);
    let rounds = 12;
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let remover = scope.spawn(|| {
            let mut times = 0;
            while !is_over.load(Ordering::SeqCst) {
                let _ = scratch.run(&["gc", "--keep", "1", "--quiet"]).exits(0);
                times += 1;
            }
            times
        });
        let reader = scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let [told] = scratch
                    .rows("select sum(orders) = (select count(*) from fct_order) from kpi_order_daily")
                    .try_into()
                    .unwrap();
                assert_eq!(told, "true");
            }
        });
        for number in 2..=rounds {
            land(&scratch, number);
            let _ = scratch.run(&["run", "--quiet"]).exits(0);
        }
        is_over.store(true, Ordering::SeqCst);
        assert!(remover.join().unwrap() > 0);
        reader.join().unwrap();
    });
    assert_eq!(scratch.rows("select count(*) from fct_order"), [rounds.to_string()]);
    let _ = scratch.run(&["gc", "--keep", "1"]).exits(0);
    assert_only(&scratch, &[&line(&scratch)[0]]);
}

#[test]
fn killed_at_any_point_it_leaves_the_tables_whole_and_ends_the_next_time() {
    for point in ["gc.after-snapshots", "gc.after-states", "gc.after-files"] {
        let scratch = published(3);
        let newest = line(&scratch)[0].clone();
        crash(&scratch, &["gc", "--keep", "1"], point);
        assert_eq!(line(&scratch), std::slice::from_ref(&newest), "{point}");
        assert_eq!(orders(&scratch), ["1", "2", "3"]);
        land(&scratch, 4);
        let _ = scratch.run(&["run", "--quiet"]).exits(0);
        assert_eq!(orders(&scratch), ["1", "2", "3", "4"]);
        let _ = scratch.run(&["gc", "--keep", "2"]).exits(0);
        assert_only(&scratch, &[&line(&scratch)[0], &newest]);
    }
}

#[test]
fn whichever_call_fails_every_snapshot_that_is_there_is_whole() {
    let start = published(4);
    let all = line(&start);
    let step = if is_thorough() { 1 } else { 4 };
    for (after, first) in [(false, 1), (true, step)] {
        let mut fails_at = first;
        loop {
            let scratch = Scratch::copy_of_links(start.root().as_std_path());
            let disk = FailingDisk { calls: Arc::default(), fails_at, after };
            let store = Store::open(&scratch.path("warehouse"), Arc::new(disk.clone()));
            let outcome = store.remove_garbage(Keep::Newest(1), false);
            for id in all.iter().filter(|id| scratch.path(&format!("warehouse/snapshots/{id}.json")).exists()) {
                assert_eq!(named(&scratch, id).difference(&lying(&scratch)).count(), 0, "call {fails_at}");
            }
            if count(&disk.calls) < fails_at {
                outcome.unwrap();
                break;
            }
            if let Err(error) = outcome {
                assert_eq!(RunError::from(error).exit(), Exit::Temporary, "call {fails_at}");
            }
            run_on(&scratch, Arc::new(LocalDisk), "next").unwrap();
            drop(store);
            // A process that another test starts shares our locks for the moment until it is another program.
            while open(&scratch).remove_garbage(Keep::Newest(1), false).unwrap().waiting > 0 {}
            assert_only(&scratch, &[&line(&scratch)[0]]);
            fails_at += step;
        }
        assert!(fails_at > 20, "only {fails_at} calls were made");
    }
}

fn count(calls: &AtomicUsize) -> usize {
    calls.load(Ordering::SeqCst)
}

#[test]
fn what_a_kept_snapshot_needs_and_cannot_be_read_keeps_everything() {
    let scratch = published(3);
    let before = line(&scratch);
    let state = named(&scratch, &before[1]).into_iter().find(|path| path.starts_with("tables/fct_order/")).unwrap();
    scratch.write(&format!("warehouse/{state}"), "{}");
    let files = lying(&scratch);
    let said = scratch.run(&["gc", "--keep", "2"]).exits(1).stderr;
    assert!(said.contains("is damaged: its content is not what its name says"), "{said}");
    assert_eq!(lying(&scratch), files);
    // Where it is to go anyway, it goes.
    let _ = scratch.run(&["gc", "--keep", "1"]).exits(0);
    assert_only(&scratch, &[&before[0]]);
}

#[test]
fn the_rows_of_a_forgotten_file_leave_the_disk() {
    let scratch = Scratch::orders();
    scratch.write("landing/orders-2.csv", "id,at,amount\n7,2024-03-01T10:00:00Z,77.77\nx,2024-03-01T10:00:00Z,1\n");
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let with_it = lying(&scratch);
    let _ = scratch.run(&["forget", "landing/orders-2.csv", "--quiet"]).exits(0);
    let _ = scratch.run(&["gc", "--keep", "0d"]).exits(0);
    assert_only(&scratch, &[&line(&scratch)[0]]);
    let rows = |path: &&String| path.starts_with("data/") && !path.contains("/dq_check_");
    let still = lying(&scratch);
    let stays: Vec<&String> = with_it.iter().filter(rows).filter(|path| still.contains(*path)).collect();
    // The rows of the other file alone, and they alone.
    assert_eq!(stays.len(), 1, "{stays:?}");
    assert!(stays[0].starts_with("data/orders/"), "{stays:?}");

    // Readers have a day to leave; then their generation goes as well, and with it the last links to those rows.
    let generations =
        || scratch.path("warehouse/published/gen").read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
    assert_eq!(generations().count(), 2);
    let age = |folder: &Utf8Path| {
        let two_days_ago = SystemTime::now() - Duration::from_hours(48);
        std::fs::File::open(folder).unwrap().set_modified(two_days_ago).unwrap();
    };
    generations().for_each(|generation| age(&generation));
    for table in scratch.path("warehouse/published/tables").read_dir_utf8().unwrap() {
        table.unwrap().path().read_dir_utf8().unwrap().for_each(|folder| age(folder.unwrap().path()));
    }
    let said = scratch.run(&["gc", "--keep", "0d"]).exits(0).stderr;
    assert_eq!(said, "removed 1 generation, 0 bytes; 1 snapshot stays\n");
    assert_eq!(generations().count(), 1);
    let folders = scratch.path("warehouse/published/tables/fct_order").read_dir_utf8().unwrap().count();
    assert_eq!(folders, 1);
}

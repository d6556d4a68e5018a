//! All or nothing: whatever fails, and whenever the process dies, readers see the tables of before or those of after.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::{Decimal128Type, Int64Type};
use camino::Utf8Path;
use opsmart::engine::Resources;
use opsmart::plan::{Workspace, scope};
use opsmart::project;
use opsmart::run::{Exit, RunError, RunOptions, RunReport, run};
use opsmart::store::{Disk, LocalDisk, NewFile, Store};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::scratch::{Scratch, is_thorough};

/// A disk whose n-th call fails, before it has done anything or after it has done everything.
#[derive(Debug, Clone)]
pub(crate) struct FailingDisk {
    pub(crate) calls: Arc<AtomicUsize>,
    pub(crate) fails_at: usize,
    pub(crate) after: bool,
}

impl FailingDisk {
    fn call<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        if self.calls.fetch_add(1, Ordering::SeqCst) + 1 != self.fails_at {
            return work();
        }
        if self.after {
            work()?;
        }
        Err(full())
    }
}

struct FailingFile {
    inner: Box<dyn NewFile>,
    disk: FailingDisk,
}

impl Write for FailingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let inner = &mut self.inner;
        self.disk.call(|| inner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl NewFile for FailingFile {
    fn finish(&mut self) -> io::Result<()> {
        let inner = &mut self.inner;
        self.disk.call(|| inner.finish())
    }
}

impl Disk for FailingDisk {
    fn read(&self, path: &Utf8Path) -> io::Result<Vec<u8>> {
        LocalDisk.read(path)
    }

    fn create(&self, path: &Utf8Path) -> io::Result<Box<dyn NewFile>> {
        let inner = self.call(|| LocalDisk.create(path))?;
        Ok(Box::new(FailingFile { inner, disk: self.clone() }))
    }

    fn sync(&self, path: &Utf8Path) -> io::Result<()> {
        self.call(|| LocalDisk.sync(path))
    }

    fn replace(&self, path: &Utf8Path, bytes: &[u8]) -> io::Result<()> {
        self.call(|| LocalDisk.replace(path, bytes))
    }

    fn link(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        self.call(|| LocalDisk.link(from, to))
    }

    fn point(&self, path: &Utf8Path, target: &Utf8Path) -> io::Result<()> {
        self.call(|| LocalDisk.point(path, target))
    }

    fn rename_folder(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        self.call(|| LocalDisk.rename_folder(from, to))
    }

    fn remove(&self, path: &Utf8Path) -> io::Result<()> {
        self.call(|| LocalDisk.remove(path))
    }
}

/// Runs a project in this process, on the given disk.
pub(crate) fn run_on(scratch: &Scratch, disk: Arc<dyn Disk>, name: &str) -> Result<RunReport, RunError> {
    let loaded = project::load(scratch.root(), None).unwrap();
    let digest = project::digest(&loaded, None);
    let workspace = Arc::new(Workspace::compile(loaded).unwrap());
    let scope = scope(&workspace, &[], &BTreeSet::default(), &BTreeSet::default());
    let store = Store::open(&scratch.path("warehouse"), disk);
    // So few that tables of a few rows are made in several groups.
    let resources = Resources { memory_bytes: 256 << 20, threads: 2, group_rows: 4, ..Resources::for_binding() };
    let as_of = "2024-07-01T00:00:00Z".parse().ok();
    let job = RunOptions {
        allow_earlier: false,
        store: &store,
        scope: &scope,
        as_of,
        resources,
        id: name.to_owned(),
        project: digest,
        memo: None,
        forget: None,
        record: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(&workspace, &job, &mut |_| {}))
}

/// The numbers of orders and their sums, in cents, as two tables of one generation tell them.
fn published_sums(generation: &Utf8Path) -> ((i64, i128), (i64, i128)) {
    let read = |table: &str, count: Option<&str>| {
        let mut rows = (0, 0);
        for entry in generation.join(table).read_dir_utf8().unwrap() {
            let file = File::open(entry.unwrap().path()).unwrap();
            for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
                let batch = batch.unwrap();
                rows.0 += match count {
                    Some(column) => {
                        batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().iter().flatten().sum()
                    }
                    None => i64::try_from(batch.num_rows()).unwrap(),
                };
                rows.1 += batch
                    .column_by_name("amount")
                    .unwrap()
                    .as_primitive::<Decimal128Type>()
                    .iter()
                    .flatten()
                    .sum::<i128>();
            }
        }
        rows
    };
    (read("fct_order", None), read("kpi_order_daily", Some("orders")))
}

const SECOND_FILE: &str = "id,at,amount\n2,2024-03-02T09:00:00Z,25.00\n3,2024-03-02T10:00:00Z,40.00\nbroken\n";
const BEFORE: (i64, i128) = (2, 3000);
const AFTER: (i64, i128) = (3, 7500);

/// A project that has published once, with a second file landed since.
fn published_once() -> Scratch {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0);
    scratch.write("landing/orders-2.csv", SECOND_FILE);
    scratch
}

/// Asserts that readers see one of the two truths, whole.
#[track_caller]
fn assert_whole(scratch: &Scratch) -> (i64, i128) {
    let current = scratch.path("warehouse/published/current").canonicalize_utf8().unwrap();
    let (orders, days) = published_sums(&current);
    assert_eq!(orders, days, "two tables of one generation contradict each other");
    assert!(orders == BEFORE || orders == AFTER, "{orders:?}");
    orders
}

#[test]
fn publishing_is_all_or_nothing_whichever_call_fails() {
    let start = published_once();
    let step = if is_thorough() { 1 } else { 4 };
    for (after, first) in [(false, 1), (true, step)] {
        let mut fails_at = first;
        loop {
            let scratch = Scratch::copy_of_links(start.root().as_std_path());
            let disk = FailingDisk { calls: Arc::default(), fails_at, after };
            let outcome = run_on(&scratch, Arc::new(disk.clone()), "faulty");
            assert_whole(&scratch);
            if disk.calls.load(Ordering::SeqCst) < fails_at {
                outcome.unwrap();
                break;
            }
            if let Err(error) = outcome {
                assert_eq!(error.exit(), Exit::Temporary, "call {fails_at}: {error}");
                assert!(error.in_full().contains(", because "), "call {fails_at}: {}", error.in_full());
                assert!(error.help().is_some(), "call {fails_at}: {error}");
            }
            run_on(&scratch, Arc::new(LocalDisk), "next").unwrap();
            assert_eq!(assert_whole(&scratch), AFTER, "the run after the fault at call {fails_at}");
            assert_eq!(scratch.rows("select count(*) from dq_quarantine"), ["1"]);
            fails_at += step;
        }
        assert!(fails_at > 20, "only {fails_at} calls were made");
    }
}

#[test]
fn a_killed_process_leaves_a_whole_truth_and_the_next_run_mends_the_rest() {
    let points = [
        "publish.before-snapshot",
        "flip.before-sync",
        "flip.before-reference",
        "flip.after-reference",
        "published.before-generation",
        "published.before-current",
        "published.after-current",
    ];
    let start = published_once();
    for point in points {
        let scratch = Scratch::copy_of_links(start.root().as_std_path());
        let status = scratch.command(&["run", "--quiet"]).env("OPSMART_CRASH_AT", point).status().unwrap();
        assert_eq!(status.code(), None, "{point} was not reached");
        assert_whole(&scratch);
        let _ = scratch.run(&["run", "--quiet"]).exits(0);
        assert_eq!(assert_whole(&scratch), AFTER, "after {point}");
    }
}

#[test]
fn a_reader_beside_killed_runs_never_sees_a_mixture() {
    let scratch = published_once();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !is_over.load(Ordering::SeqCst) {
                // Pinned: the link is followed once, as views.sql does it.
                let current = scratch.path("warehouse/published/current").canonicalize_utf8().unwrap();
                let (orders, days) = published_sums(&current);
                assert_eq!(orders, days);
                reads += 1;
            }
            reads
        });
        for round in 0..25_u64 {
            let amount = round % 7;
            scratch.write("landing/orders-3.csv", &format!("id,at,amount\n9,2024-03-05T09:00:00Z,{amount}.00\n"));
            let mut child = scratch.command(&["run", "--quiet"]).stderr(std::process::Stdio::null()).spawn().unwrap();
            // Spread over the whole of a run by a fixed sequence, so that a failure can be repeated.
            std::thread::sleep(Duration::from_millis(round * 37 % 400));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        is_over.store(true, Ordering::SeqCst);
        assert!(reader.join().unwrap() > 0);
    });
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let current = scratch.path("warehouse/published/current").canonicalize_utf8().unwrap();
    assert_eq!(published_sums(&current).0, (4, AFTER.1 + 300));
}

#[test]
fn an_interrupted_run_says_so_and_publishes_nothing() {
    for (signal, exit) in [("-INT", 130), ("-TERM", 143)] {
        interrupted(signal, exit);
    }
}

fn interrupted(signal: &str, exit: i32) {
    let scratch = published_once();
    let mut big = String::from("id,at,amount\n");
    (10..600_000).for_each(|id| big.push_str(&format!("{id},2024-03-02T10:00:00Z,1.00\n")));
    scratch.write("landing/orders-3.csv", &big);
    let stored = || std::fs::read_dir(scratch.path("warehouse/data/orders/all")).unwrap().count();
    let before = stored();
    let mut child = scratch.command(&["run", "--quiet"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    // The large file is the last to be read, and takes a while.
    while stored() < before + 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(exit));
    assert_eq!(assert_whole(&scratch), BEFORE);
}

#[test]
fn a_disk_that_refuses_says_where_why_and_what_to_do() {
    let scratch = Scratch::orders();
    // Modes do not stop whoever may do everything, and a folder in a file's place stops everybody.
    std::fs::create_dir_all(scratch.path("warehouse/locks/job-orders.lock")).unwrap();
    let said = scratch.run(&["run", "--output", "json"]).exits(75);
    let path = scratch.path("warehouse/locks/job-orders.lock").canonicalize_utf8().unwrap();
    assert!(said.stderr.contains(&format!("cannot lock `{path}`\n  because Is a directory")), "{}", said.stderr);
    assert!(said.stderr.contains("help: a file stands where a folder should be"), "{}", said.stderr);
    let told: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert!(told["error"].as_str().unwrap().contains("because Is a directory"), "{told}");
    assert!(told["help"].as_str().unwrap().contains("move it away"), "{told}");
    std::fs::remove_dir(path).unwrap();

    // So does a folder under the name of the tables of a dataset; the record keeps the reason.
    scratch.write("warehouse/data/orders", "");
    let _ = scratch.run(&["run"]).exits(75);
    let said = scratch.run(&["history", "--output", "json"]).exits(0);
    let records: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert!(records[0]["error"].as_str().unwrap().contains("`, because Not a directory"), "{}", said.stdout);
    assert!(records[0]["help"].as_str().unwrap().contains("move it away"), "{}", said.stdout);
    std::fs::remove_file(scratch.path("warehouse/data/orders")).unwrap();

    // And where queries spill.
    std::fs::remove_dir_all(scratch.path("warehouse/tmp")).unwrap();
    scratch.write("warehouse/tmp", "");
    let said = scratch.run(&["run"]).exits(75).stderr;
    assert!(
        said.contains("error: the engine failed: IO error: cannot make `") && said.contains("Not a directory"),
        "{said}"
    );
    assert!(said.contains("help: a file stands where a folder should be"), "{said}");
    std::fs::remove_file(scratch.path("warehouse/tmp")).unwrap();
    let _ = scratch.run(&["run"]).exits(0);
}

#[test]
fn a_report_that_cannot_be_written_says_where_it_could() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run"]).exits(0);
    let said = scratch.run(&["report", "--to", "landing"]).exits(2);
    assert!(said.stderr.contains("name a file in it: --to landing/report.html"), "{}", said.stderr);
    let said = scratch.run(&["report", "--to", "opsmart.toml/report.html"]).exits(2);
    assert!(said.stderr.contains("cannot write `opsmart.toml/report.html`: Not a directory"), "{}", said.stderr);
    let said = scratch.run(&["docs", "--to", "opsmart.toml"]).exits(2);
    assert!(said.stderr.contains("--to opsmart.toml is a file"), "{}", said.stderr);
    let _ = scratch.run(&["report", "--to", "new/folder/report.html"]).exits(0);
    assert!(scratch.path("new/folder/report.html").is_file());
}

/// Returns status, error and last column of the newest run that `history` lists.
fn newest_run(scratch: &Scratch) -> (String, String, String) {
    let json = scratch.run(&["history", "--limit", "1", "--output", "json"]).exits(0);
    let record: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let text = |key: &str| record[0][key].as_str().unwrap_or_default().to_owned();
    let listed = scratch.run(&["history", "--limit", "1"]).exits(0).stdout;
    (text("status"), text("error"), listed.lines().nth(1).unwrap_or_default().to_owned())
}

#[test]
fn a_killed_run_is_listed_as_one_that_was_interrupted() {
    let scratch = published_once();
    let crash = |point: &str| {
        let mut run = scratch.command(&["run", "orders"]);
        let status = run.env("OPSMART_CRASH_AT", point).stderr(std::process::Stdio::null()).status().unwrap();
        assert_eq!(status.code(), None, "{point} was not reached");
    };
    crash("publish.before-snapshot");
    let (status, error, listed) = newest_run(&scratch);
    assert_eq!(status, "interrupted");
    assert!(error.contains("ended without a word"), "{error}");
    assert!(listed.contains("orders  interrupted"), "{listed}");

    // Its tables are in force, and it could not tell.
    crash("flip.after-reference");
    let (status, _, listed) = newest_run(&scratch);
    assert_eq!(status, "interrupted");
    assert!(listed.ends_with("current"), "{listed}");

    // A run that has nothing to do leaves no trace, not even that it began.
    let runs = || std::fs::read_dir(scratch.path("warehouse/runs")).unwrap().count();
    let before = runs();
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(runs(), before);
    scratch.write("landing/orders-3.csv", "id,at,amount\n9,2024-03-05T09:00:00Z,1.00\n");
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let mut told = scratch.rows("select status from ops_run order by started_at");
    told.sort();
    assert_eq!(told, ["interrupted", "interrupted", "published", "published"]);
}

#[test]
fn a_run_under_way_is_listed_until_it_is_killed() {
    let scratch = published_once();
    let mut big = String::from("id,at,amount\n");
    (10..600_000).for_each(|id| big.push_str(&format!("{id},2024-03-02T10:00:00Z,1.00\n")));
    scratch.write("landing/orders-3.csv", &big);
    let mut child = scratch.command(&["run", "--quiet"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut statuses = BTreeSet::new();
    while !statuses.contains("running") && child.try_wait().unwrap().is_none() {
        statuses.insert(newest_run(&scratch).0);
    }
    assert!(statuses.contains("running"), "{statuses:?}");
    // It must not come to its end before everything has been asked.
    let stop = std::process::Command::new("kill").args(["-STOP", &child.id().to_string()]).status().unwrap();
    assert!(stop.success());
    let said = scratch.run(&["run"]).exits(75);
    let holder = format!("another run holds `job-orders`: process {} since 2", child.id());
    assert!(said.stderr.contains(&holder), "{}", said.stderr);
    let said = scratch.run(&["run", "--on-locked", "wait=1s"]).exits(75);
    assert!(said.stderr.contains(&format!("waiting: {holder}")), "{}", said.stderr);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(newest_run(&scratch).0, "interrupted");
}

//! Files of the warehouse that are torn, changed or gone: an error that names the file and what repairs it, or the right
//! answer, and never a panic or a damaged row in a new file.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use opsmart::engine::Resources;
use opsmart::run::{Exit, RunError};
use opsmart::store::{CheckResults, LocalDisk, Snapshot, SnapshotRef, Store, StoreError, TableState, schema_of};
use opsmart::tables::SnapshotSchema;

use crate::faults::run_on;
use crate::scratch::{Said, Scratch};

const DAYS: &str = "select orders, amount from kpi_order_daily";

/// A project that has published once, all of whose files are old enough to be believed.
fn published() -> Scratch {
    let scratch = Scratch::orders();
    scratch.age();
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    scratch
}

fn open(scratch: &Scratch) -> Store {
    Store::open(&scratch.path("warehouse"), Arc::new(LocalDisk))
}

type Everything = (SnapshotRef, Snapshot, Vec<TableState>, CheckResults);

/// Reads everything that the reference leads to.
fn everything(store: &Store) -> Result<Everything, StoreError> {
    let (reference, snapshot) = store.current()?.expect("something was published");
    let states = snapshot.tables.iter().map(|(table, entry)| store.table(table, &entry.state));
    let states = states.collect::<Result<_, _>>()?;
    let outcomes = store.outcomes(&snapshot.check_results)?;
    Ok((reference, snapshot, states, outcomes))
}

/// One file of each kind that leads to rows.
fn manifests(scratch: &Scratch) -> [Utf8PathBuf; 5] {
    let (reference, snapshot, ..) = everything(&open(scratch)).unwrap();
    [
        "refs/main".to_owned(),
        format!("snapshots/{}.json", reference.snapshot),
        format!("tables/fct_order/{}.json", snapshot.tables["fct_order"].state),
        format!("checks/{}.json", snapshot.check_results),
        format!("manifests/{}.json", snapshot.manifest.unwrap()),
    ]
    .map(|path| scratch.path("warehouse").join(path))
}

/// Returns what a file may look like after a crash of a disk that does not do as it says, or after a bit has fallen over.
fn damages(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let torn = (0..bytes.len()).map(|length| bytes[..length].to_vec());
    let turned = (0..bytes.len()).step_by(7).flat_map(|place| {
        [0x01, 0x20, 0x80].map(|bit| {
            let mut changed = bytes.to_vec();
            changed[place] ^= bit;
            changed
        })
    });
    // What a file system shows of blocks that were never written.
    let zeroed = (0..bytes.len()).step_by(7).map(|place| [&bytes[..place], &vec![0; bytes.len() - place]].concat());
    torn.chain(turned).chain(zeroed)
}

/// Asserts that an error names a file that is not as it was written, and what to do.
#[track_caller]
fn assert_told(error: StoreError, damaged: &Utf8Path) {
    let StoreError::Damaged { path, .. } = &error else { panic!("{damaged}: {error}") };
    // A reference that leads elsewhere leads to a snapshot that is not there.
    let is_led_astray = damaged.ends_with("refs/main") && path.parent().is_some_and(|path| path.ends_with("snapshots"));
    assert!(path == damaged || is_led_astray, "{damaged}: {error}");
    let error = RunError::from(error);
    assert_eq!(error.exit(), Exit::Data, "{error}");
    assert!(error.help().unwrap().contains("restore the file from a backup, or remove `refs/main`"), "{error}");
}

#[test]
fn a_manifest_that_is_torn_anywhere_is_named() {
    let scratch = published();
    let whole = everything(&open(&scratch)).unwrap();
    let mut tried = 0;
    for path in manifests(&scratch) {
        let bytes = std::fs::read(&path).unwrap();
        for damaged in damages(&bytes) {
            std::fs::write(&path, &damaged).unwrap();
            // Nothing but the whole truth may be read from it.
            match everything(&open(&scratch)) {
                Ok(read) => assert_eq!(read, whole, "{path}: {}", String::from_utf8_lossy(&damaged)),
                Err(error) => assert_told(error, &path),
            }
            tried += 1;
        }
        std::fs::write(&path, &bytes).unwrap();
    }
    assert!(tried > 5_000, "only {tried} damages were tried");
    assert_eq!(everything(&open(&scratch)).unwrap(), whole);
}

#[test]
fn a_run_over_a_torn_reference_changes_nothing() {
    let scratch = published();
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T09:00:00Z,5.00\n");
    let path = scratch.path("warehouse/refs/main");
    let bytes = std::fs::read(&path).unwrap();
    let before = scratch.files("warehouse/snapshots");
    for damaged in damages(&bytes).step_by(5) {
        std::fs::write(&path, &damaged).unwrap();
        match run_on(&scratch, Arc::new(LocalDisk), "torn") {
            Ok(_) => panic!("published on top of {}", String::from_utf8_lossy(&damaged)),
            Err(RunError::Store(error)) => assert_told(error, &path),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(std::fs::read(&path).unwrap(), damaged);
    }
    assert!(scratch.files("warehouse/snapshots") == before);
    std::fs::write(&path, &bytes).unwrap();
    run_on(&scratch, Arc::new(LocalDisk), "whole").unwrap();
    assert_eq!(scratch.rows("select count(*) from fct_order"), ["3"]);
}

#[test]
fn every_command_names_what_is_torn_or_answers_rightly() {
    let start = published();
    let count = manifests(&start).len();
    for number in 0..count {
        for is_short in [true, false] {
            let scratch = Scratch::copy_of_links(start.root().as_std_path());
            let path = manifests(&scratch)[number].clone();
            let bytes = std::fs::read(&path).unwrap();
            let damaged = if is_short { bytes[..bytes.len() / 2].to_vec() } else { bytes.to_ascii_uppercase() };
            std::fs::write(&path, damaged).unwrap();
            // Another order, so that `run` and `plan` have something to do.
            scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T09:00:00Z,5.00\n");
            let mut told = 0;
            for arguments in [
                &["show", "--format", "csv", DAYS][..],
                &["verify", "--files"],
                &["gc", "--keep", "1"],
                &["history"],
                &["report", "--to", "report.html"],
                &["rollback"],
                &["release"],
                &["plan"],
                &["run", "--quiet"],
            ] {
                let said = scratch.run(arguments);
                match said.exit {
                    // What it reads is whole.
                    0 => {
                        assert!(arguments[0] != "show" || said.stdout == "orders,amount\n2,30.00\n", "{}", said.stdout);
                    }
                    1 => {
                        let name = path.file_name().unwrap();
                        let is_named =
                            said.stderr.contains(name) || (number == 0 && said.stderr.contains("/snapshots/"));
                        assert!(is_named && said.stderr.contains("is damaged"), "{arguments:?}: {}", said.stderr);
                        assert!(said.stderr.contains("help: restore the file from a backup"), "{}", said.stderr);
                        told += 1;
                    }
                    // There is nothing to roll back to or to release.
                    2 => assert!(matches!(arguments[0], "rollback" | "release"), "{arguments:?}: {}", said.stderr),
                    exit => panic!("{arguments:?} ended with {exit}: {}", said.stderr),
                }
            }
            assert!(told > 0, "{path} is read by nobody");
            // What the help says repairs it.
            if scratch.run(&["run", "--quiet"]).exit != 0 {
                std::fs::remove_file(scratch.path("warehouse/refs/main")).unwrap();
            }
            let _ = scratch.run(&["run", "--quiet"]).exits(0);
            assert_eq!(scratch.rows("select count(*), sum(amount) from fct_order"), ["3,35.00"]);
            let _ = scratch.run(&["verify", "--files"]).exits(0);
        }
    }
}

#[test]
fn what_readers_open_comes_back_with_the_next_run() {
    let scratch = published();
    let run = || {
        scratch.age();
        scratch.run(&["run", "--quiet", "--exit-on-skip", "--as-of", "2024-07-01"]).exits(99)
    };
    // Remembered as having nothing to do, which must not keep it from looking.
    let _ = run();
    // Names and digests, because bytes are more than a failed test should print.
    let shown = || {
        let files = scratch.files("warehouse/published/current");
        files.into_iter().map(|(path, bytes)| (path, opsmart::digest::Digest::of(&bytes))).collect::<Vec<_>>()
    };
    let whole = shown();
    let generation = scratch.path("warehouse/published/current").canonicalize_utf8().unwrap();
    let current = scratch.path("warehouse/published/current");
    let folder = current.join("fct_order").canonicalize_utf8().unwrap();
    let remove = |path: &Utf8Path| {
        if path.symlink_metadata().unwrap().is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    };
    for gone in [
        scratch.path("warehouse/published"),
        scratch.path("warehouse/published/tables"),
        scratch.path("warehouse/published/gen"),
        scratch.path("warehouse/published/current"),
        generation.clone(),
        generation.join("views.sql"),
        generation.join("_metadata"),
        generation.join("ops_run/part-0.parquet"),
        folder.join("part-0.parquet"),
        folder,
    ] {
        remove(&gone);
        let _ = run();
        assert_eq!(shown(), whole, "without {gone}");
    }
    // Or it leads elsewhere.
    std::fs::remove_file(&current).unwrap();
    symlink("gen/nowhere", &current).unwrap();
    let _ = run();
    assert_eq!(shown(), whole);
}

#[test]
fn rows_that_are_gone_are_named_where_readers_should_see_them() {
    let scratch = published();
    let [file] = scratch.files("warehouse/data/fct_order").try_into().unwrap();
    std::fs::remove_file(&file.0).unwrap();
    std::fs::remove_dir_all(scratch.path("warehouse/published")).unwrap();
    let said = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(1);
    let name = file.0.file_name().unwrap().to_str().unwrap();
    assert!(said.stderr.contains(name) && said.stderr.contains("is damaged: it is missing"), "{}", said.stderr);
    assert!(said.stderr.contains("help: restore the file from a backup, or remove `refs/main`"), "{}", said.stderr);
    std::fs::write(&file.0, &file.1).unwrap();
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    assert!(scratch.path("warehouse/published/current/fct_order/part-0.parquet").exists());

    // Where there is no backup.
    std::fs::remove_file(&file.0).unwrap();
    std::fs::remove_file(scratch.path("warehouse/refs/main")).unwrap();
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    assert_eq!(scratch.rows(DAYS), ["2,30.00"]);
    let _ = scratch.run(&["verify", "--files"]).exits(0);
}

#[test]
fn a_state_that_is_gone_is_named_by_what_needs_it() {
    let scratch = published();
    let state = manifests(&scratch)[2].clone();
    std::fs::remove_file(&state).unwrap();
    let said = scratch.run(&["show", "fct_order"]).exits(1).stderr;
    assert!(said.contains(state.file_name().unwrap()) && said.contains("is damaged: it is missing"), "{said}");
    // Another job that has nothing to do with the table publishes the same snapshot.
    scratch.write("jobs/refunds.toml", "ingest = [\"refunds\"]\n");
    scratch.write(
        "schemas/sources/refunds.toml",
        "from = \"{landing}/refunds-*.csv\"\nformat = { type = \"csv\" }\n[columns]\nid = \"int64!\"\n",
    );
    scratch.write("landing/refunds-1.csv", "id\n7\n");
    let said = scratch.run(&["run", "refunds"]).exits(1).stderr;
    assert!(said.contains(state.file_name().unwrap()) && said.contains("is damaged: it is missing"), "{said}");
    std::fs::remove_file(scratch.path("warehouse/refs/main")).unwrap();
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    assert_eq!(scratch.rows(DAYS), ["2,30.00"]);
}

#[test]
fn without_locks_and_with_any_memo_runs_go_on() {
    let scratch = published();
    let run = |exit: i32| {
        scratch.age();
        scratch.run(&["run", "--quiet", "--exit-on-skip"]).exits(exit)
    };
    let _ = run(99);
    let _ = run(99);
    let memos = scratch.files("warehouse/memos");
    assert_eq!((memos.len(), scratch.remembered_runs().len()), (2, 1), "an idle run, and what models bind to");
    for number in 2..6_usize {
        for (path, bytes) in &memos {
            let few = damages(bytes).count() / 8;
            for damaged in damages(bytes).skip(number * 31).step_by(few) {
                std::fs::write(path, damaged).unwrap();
                let _ = run(99);
            }
            std::fs::write(path, damages(bytes).nth(number * 61).unwrap()).unwrap();
        }
        std::fs::remove_dir_all(scratch.path("warehouse/locks")).unwrap();
        let order = format!("id,at,amount\n{},2024-03-02T10:00:00Z,5.00\n", number + 1);
        scratch.write(&format!("landing/orders-{number}.csv"), &order);
        let _ = run(0);
        assert_eq!(scratch.rows("select count(*) from fct_order"), [(number + 1).to_string()]);
    }
}

#[test]
fn what_was_about_to_be_named_goes_with_the_garbage() {
    let scratch = published();
    let left = ["refs/.main", "published/.current", "memos/.run-1a2b.memo", "runs/x/.run.json"]
        .map(|name| format!("warehouse/{name}.0123456789abcdef0123456789abcdef"));
    left.iter().for_each(|path| scratch.write(path, "half"));
    scratch.write("warehouse/refs/.notes", "ours");
    // By this mark it is known that nobody writes there any more.
    scratch.write("warehouse/runs/x/started.json", "{}");
    let _ = scratch.run(&["gc"]).exits(0);
    assert!(left.iter().all(|path| !scratch.path(path).exists()));
    assert!(scratch.path("warehouse/refs/.notes").exists());
    assert_eq!(scratch.rows(DAYS), ["2,30.00"]);
}

/// A project told apart by day that has published, its tables of two days in one file each.
fn of_two_days() -> Scratch {
    let scratch = Scratch::orders();
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &format!("partition = {{ day = \"at\" }}\n{contract}"));
    scratch.write("schemas/models/fct_order.toml", "key = [\"id\"]\npartition = { day = \"day\" }\n");
    scratch.write("schemas/models/kpi_order_daily.toml", "key = [\"day\"]\npartition = { day = \"day\" }\n");
    scratch.write(
        "landing/orders-1.csv",
        "id,at,amount\n1,2024-03-01T10:00:00Z,10.00\n2,2024-03-01T11:00:00Z,20.00\n3,2024-03-02T10:00:00Z,30.00\n",
    );
    scratch.age();
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    scratch
}

/// Returns the one data file of a table.
fn data_file(scratch: &Scratch, table: &str) -> Utf8PathBuf {
    let [(path, _)] = scratch.files(&format!("warehouse/data/{table}")).try_into().unwrap();
    Utf8PathBuf::from_path_buf(path).unwrap()
}

/// Asserts that a command tells of a damaged file, what is wrong with it, and what to do.
#[track_caller]
fn assert_names(said: &Said, file: &Utf8Path, reason: &str) {
    assert_eq!(said.exit, 1, "{}", said.stderr);
    let words = format!("{}` is damaged: {reason}", file.file_name().unwrap());
    assert!(said.stderr.contains(&words), "{words}: {}", said.stderr);
    assert!(said.stderr.contains("help: restore the file from a backup, or remove `refs/main`"), "{}", said.stderr);
    assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
}

/// Returns a file with one bit turned.
fn with_turned_bit(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut turned = bytes.to_vec();
    turned[bit / 8] ^= 1 << (bit % 8);
    turned
}

#[test]
fn a_run_names_the_data_file_that_is_torn_or_gone() {
    // The landed rows are written anew with those that come, and so is the other day of a table that is told apart.
    for (start, table) in [(published(), "orders"), (of_two_days(), "orders"), (of_two_days(), "fct_order")] {
        start.write("landing/orders-2.csv", "id,at,amount\n4,2024-03-02T09:00:00Z,5.00\n");
        let before = start.files("warehouse/snapshots");
        let file = data_file(&start, table);
        let bytes = std::fs::read(&file).unwrap();
        let run = || start.run(&["run", "--quiet", "--as-of", "2024-07-01"]);

        std::fs::write(&file, &bytes[..1000]).unwrap();
        let reason = format!("it has 1000 bytes and should have {}", bytes.len());
        assert_names(&run(), &file, &reason);
        // As long as it was, so that it is found out while it is read.
        std::fs::write(&file, [&bytes[..bytes.len() - 4], b"PAR2"].concat()).unwrap();
        assert_names(&run(), &file, "it cannot be decoded: ");
        std::fs::remove_file(&file).unwrap();
        assert_names(&run(), &file, "it is missing");
        std::fs::remove_dir_all(start.path("warehouse/data")).unwrap();
        let said = run().exits(1).stderr;
        assert!(said.contains("is damaged: it is missing") && said.contains("help: restore the file"), "{said}");

        assert!(start.files("warehouse/snapshots") == before);
        std::fs::remove_file(start.path("warehouse/refs/main")).unwrap();
        let _ = run().exits(0);
        let _ = start.run(&["verify", "--files"]).exits(0);
    }
}

#[test]
fn whatever_bit_turns_in_a_data_file_it_is_told_and_nothing_panics() {
    let scratch = published();
    let file = data_file(&scratch, "dq_check_result");
    let bytes = std::fs::read(&file).unwrap();
    let store = open(&scratch);
    let (_, snapshot) = store.current().unwrap().unwrap();
    let state = store.table("dq_check_result", &snapshot.tables["dq_check_result"].state).unwrap();
    let schema = schema_of(&state.columns);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let resources = Resources { threads: 2, ..Resources::for_binding() };
    let sql = "select * from dq_check_result where failing_rows >= 0 order by check_name limit 3";
    let query = async || {
        let session = Arc::new(SnapshotSchema::new(&store, Some(&snapshot))).session(&resources)?;
        session.sql(sql).await?.collect().await
    };
    let mut unreadable = Vec::new();
    for bit in (0..bytes.len() * 8).step_by(61) {
        std::fs::write(&file, with_turned_bit(&bytes, bit)).unwrap();
        assert!(store.damage(&state.files[0], &schema, None).unwrap().is_some(), "bit {bit} was not found");
        // A value that is another one no query finds.
        if let Err(error) = runtime.block_on(query()) {
            let Some(told) = StoreError::damage_behind(&error) else { panic!("bit {bit}: {error}") };
            assert_told(told, &file);
            unreadable.push(bit);
        }
    }
    assert!(unreadable.len() > 50, "only {} files could not be read", unreadable.len());
    for bit in unreadable.into_iter().step_by(19) {
        std::fs::write(&file, with_turned_bit(&bytes, bit)).unwrap();
        assert_names(&scratch.run(&["show", sql]), &file, "");
        for files in [&["verify"][..], &["verify", "--files"]] {
            let said = scratch.run(files).exits(1);
            assert!(said.stdout.contains(file.file_name().unwrap()), "bit {bit}: {}", said.stdout);
            assert!(!said.stderr.contains("panicked"), "bit {bit}: {}", said.stderr);
        }
    }
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(store.damage(&state.files[0], &schema, None).unwrap(), None);
    assert_eq!(runtime.block_on(query()).unwrap().len(), 1);
}

#[test]
fn a_row_that_is_copied_is_the_one_that_was_written() {
    let file_of = |scratch: &Scratch, table: &str| (data_file(scratch, table), table.to_owned());
    let mut copied = 0;
    // Rows of days that are not made again, and landed rows that share a file with those that come.
    for table in ["fct_order", "orders"] {
        let start = of_two_days();
        start.write("landing/orders-2.csv", "id,at,amount\n4,2024-03-02T09:00:00Z,5.00\n");
        let (file, table) = file_of(&start, table);
        let bytes = std::fs::read(&file).unwrap();
        let store = open(&start);
        let (_, snapshot) = store.current().unwrap().unwrap();
        let state = store.table(&table, &snapshot.tables[&table].state).unwrap();
        let [stored] = state.files.as_slice() else { panic!("{table} has {} files", state.files.len()) };
        let schema = schema_of(&state.columns);
        for bit in (0..bytes.len() * 8).step_by(7) {
            std::fs::write(&file, with_turned_bit(&bytes, bit)).unwrap();
            // A value became another one, which nothing but the sum over the rows tells.
            let damage = store.damage(stored, &schema, state.partition.as_ref()).unwrap();
            if damage.is_none_or(|reason| !reason.contains("add up to")) {
                continue;
            }
            let before = start.files("warehouse/snapshots");
            let said = start.run(&["run", "--quiet", "--as-of", "2024-07-01"]);
            assert!(start.files("warehouse/snapshots") == before, "{table}, bit {bit}: {}", said.stderr);
            assert_names(&said, &file, "its rows add up to ");
            copied += 1;
            if copied % 4 == 0 {
                break;
            }
        }
        std::fs::write(&file, &bytes).unwrap();
        let _ = start.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
        assert_eq!(start.rows("select count(*), sum(amount) from fct_order"), ["4,65.00"]);
        let _ = start.run(&["verify", "--files"]).exits(0);
    }
    assert_eq!(copied, 8);
}

#[test]
fn every_document_that_is_damaged_is_told_with_the_files() {
    let scratch = published();
    let (_, snapshot, ..) = everything(&open(&scratch)).unwrap();
    let state =
        scratch.path(&format!("warehouse/tables/kpi_order_daily/{}.json", snapshot.tables["kpi_order_daily"].state));
    let outcomes = scratch.path(&format!("warehouse/checks/{}.json", snapshot.check_results));
    let verify = |exit: i32| scratch.run(&["verify", "--files", "--output", "json"]).exits(exit);
    let document = |said: &Said| serde_json::from_str::<serde_json::Value>(&said.stdout).unwrap();
    assert_eq!(document(&verify(0))["documents"], serde_json::json!([]));
    let bytes = std::fs::read(&outcomes).unwrap();
    std::fs::write(&outcomes, &bytes[..bytes.len() / 2]).unwrap();
    std::fs::remove_file(&state).unwrap();
    let said = verify(1);
    assert_names(&said, &outcomes, "its content is not what its name says");
    assert_names(&said, &state, "it is missing");
    let told = document(&said);
    assert_eq!((&told["sound"], told["documents"].as_array().unwrap().len()), (&false.into(), 2));
    // The others are verified all the same.
    assert!(told["tables"].as_array().unwrap().iter().any(|table| table["remade"] == "same"), "{}", said.stdout);
    std::fs::remove_file(&outcomes).unwrap();
    assert_names(&verify(1), &outcomes, "it is missing");
}

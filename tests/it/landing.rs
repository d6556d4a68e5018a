//! What lands and is not to be taken in yet, or not at all: files that are still being written, links that lead
//! elsewhere, what is no file, and names that cannot be written down.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use crate::scratch::Scratch;

const SECOND: &str = "id,at,amount\n3,2024-03-02T10:00:00Z,5.00\n";
const FILES: &str = "select file from dq_ledger order by file";

/// The project of orders, with `lines` at the head of their contract.
fn orders_with(lines: &str) -> Scratch {
    let scratch = Scratch::orders();
    let contract = fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &format!("{lines}\n{contract}"));
    scratch
}

/// Makes a file look as if it had been written to so long ago; a negative number is a time that has not come yet.
fn written_ago(scratch: &Scratch, path: &str, seconds: i64) {
    let now = SystemTime::now();
    let apart = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { now + apart } else { now - apart };
    File::options().write(true).open(scratch.path(path)).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_file_that_was_just_written_is_left_for_a_later_run() {
    let scratch = orders_with("settled = \"10m\"");
    written_ago(&scratch, "landing/orders-1.csv", 601);
    for seconds in [590, 1, -3600] {
        scratch.write("landing/orders-2.csv", SECOND);
        written_ago(&scratch, "landing/orders-2.csv", seconds);
        let plan = scratch.run(&["plan"]).exits(0).stdout;
        let left = "leave landing/orders-2.csv for a later run (written to less than 600 s ago)";
        assert!(plan.contains(left), "{plan}");
        let said = scratch.run(&["run", "--quiet", "--output", "json"]).exits(0);
        let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        let expected = serde_json::json!([{
            "dataset": "orders",
            "path": "landing/orders-2.csv",
            "because": "unsettled",
            "message": "written to less than 600 s ago",
        }]);
        assert_eq!(report["left"], expected);
        assert_eq!(scratch.rows(FILES), ["landing/orders-1.csv"]);
    }
    written_ago(&scratch, "landing/orders-2.csv", 601);
    let said = scratch.run(&["run"]).exits(0);
    assert!(!said.stderr.contains("Left"), "{}", said.stderr);
    assert_eq!(scratch.rows(FILES), ["landing/orders-1.csv", "landing/orders-2.csv"]);
}

#[test]
fn a_file_that_is_being_rewritten_keeps_its_old_rows() {
    let scratch = orders_with("settled = \"10m\"");
    written_ago(&scratch, "landing/orders-1.csv", 3600);
    let _ = scratch.run(&["run"]).exits(0);
    scratch.write("landing/orders-1.csv", "id,at,amount\n1,2024-03-");
    let said = scratch.run(&["run"]).exits(0);
    let left = "Left for a later run: landing/orders-1.csv (written to less than 600 s ago)\n";
    assert!(said.stderr.contains(left), "{}", said.stderr);
    assert_eq!(scratch.rows("select count(*) from fct_order"), ["2"]);
    // A contract that reads it differently needs its bytes, and they are not there yet.
    let contract = fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &contract.replace("(10,2)", "(12,2)"));
    let said = scratch.run(&["run"]).exits(75);
    let expected = "error: `landing/orders-1.csv` has to be read again because the contract of `orders` changed, and it is not whole yet: written to less than 600 s ago\nhelp: run again when it is whole\n";
    assert_eq!(said.stderr, expected);
}

#[test]
fn a_file_without_its_marker_is_left_for_a_later_run() {
    let scratch = orders_with("marker = \"{path}.done\"");
    let contract = fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    // The markers match, too, and are no landed files for that.
    scratch.write("schemas/sources/orders.toml", &contract.replace("orders-*.csv", "orders-*"));
    scratch.write("landing/orders-1.csv.done", "");
    scratch.write("landing/orders-2.csv", SECOND);
    for _ in 0..3 {
        scratch.age();
        let said = scratch.run(&["run"]).exits(0);
        let left = "Left for a later run: landing/orders-2.csv (`landing/orders-2.csv.done` is not there)\n";
        assert!(said.stderr.contains(left), "{}", said.stderr);
        assert_eq!(scratch.rows(FILES), ["landing/orders-1.csv"]);
    }
    // What is no plain file marks nothing.
    symlink("orders-1.csv.done", scratch.path("landing/orders-2.csv.done")).unwrap();
    let plan = scratch.run(&["plan", "--output", "json"]).exits(0).stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["datasets"][0]["left"][0]["because"], "unmarked");
    fs::remove_file(scratch.path("landing/orders-2.csv.done")).unwrap();
    scratch.write("landing/orders-2.csv.done", "");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(FILES), ["landing/orders-1.csv", "landing/orders-2.csv"]);
    // Whoever tidies up the markers takes nothing back, and a dataset without them still reads what it knows.
    fs::remove_file(scratch.path("landing/orders-1.csv.done")).unwrap();
    let contract = fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &contract.replace("(10,2)", "(12,2)"));
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select count(*) from fct_order"), ["3"]);
}

#[test]
fn a_run_that_left_a_file_alone_is_not_remembered_as_idle() {
    // Of the marker, which the pattern does not match, no stamp of the landing folder tells.
    let scratch = orders_with("marker = \"{folder}/_SUCCESS\"");
    let run = |exit: i32| {
        scratch.age();
        scratch.run(&["run", "--exit-on-skip"]).exits(exit)
    };
    let _ = run(0);
    for _ in 0..2 {
        let said = run(99);
        let left = "Left for a later run: landing/orders-1.csv (`landing/_SUCCESS` is not there)\n";
        assert!(said.stderr.contains(left), "{}", said.stderr);
        assert!(!said.stderr.contains("No file"), "{}", said.stderr);
        assert!(scratch.remembered_runs().is_empty());
    }
    scratch.write("landing/_SUCCESS", "");
    let _ = run(0);
    assert_eq!(scratch.rows(FILES), ["landing/orders-1.csv"]);
    let _ = run(99);
    assert_eq!(scratch.remembered_runs().len(), 1, "now there is nothing to do indeed");
}

#[test]
fn a_folder_of_paths_may_end_in_a_slash() {
    let scratch = Scratch::orders();
    scratch.write("opsmart.toml", "[paths]\nlanding = \"landing/\"\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(FILES), ["landing/orders-1.csv"]);
}

/// Lands something in a project of orders whose pattern crosses folders, and returns how its run ended and what it said.
#[track_caller]
fn land(exit: i32, land: impl FnOnce(&Scratch)) -> (Scratch, String) {
    let scratch = Scratch::orders();
    let contract = fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &contract.replace("/orders-*.csv", "/**/orders-*"));
    scratch.write("elsewhere/orders-9.csv", SECOND);
    land(&scratch);
    let said = scratch.run(&["run", "--quiet"]).exits(exit).stderr;
    (scratch, said)
}

#[track_caller]
fn refused(what: &str, put: impl FnOnce(&Scratch)) {
    let (scratch, said) = land(1, put);
    assert!(said.contains(what), "{said}");
    assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "{said:?}");
    assert!(!scratch.path("warehouse/refs/main").exists(), "nothing is published");
}

#[test]
fn links_stay_inside_the_landing_folder() {
    refused("`landing/orders-2.csv` is a link to a file elsewhere", |scratch| {
        symlink("../elsewhere/orders-9.csv", scratch.path("landing/orders-2.csv")).unwrap();
    });
    refused("`landing/orders-2.csv` is a link to a file elsewhere", |scratch| {
        symlink("/dev/zero", scratch.path("landing/orders-2.csv")).unwrap();
    });
    refused("`landing/more` is a link to a folder elsewhere", |scratch| {
        symlink(scratch.path("elsewhere"), scratch.path("landing/more")).unwrap();
    });
    refused("`landing/more` is a link to a folder elsewhere", |scratch| {
        symlink("..", scratch.path("landing/more")).unwrap();
    });
    refused("`landing/more` is a link that leads in a cycle", |scratch| {
        symlink(".", scratch.path("landing/more")).unwrap();
    });
    refused("`landing/orders-2.csv` is a link to nowhere", |scratch| {
        symlink("orders-2.csv", scratch.path("landing/orders-2.csv")).unwrap();
    });
    // A chain of links whose last leads out.
    refused("`landing/orders-2.csv` is a link to a file elsewhere", |scratch| {
        symlink("../elsewhere/orders-9.csv", scratch.path("landing/step")).unwrap();
        symlink("step", scratch.path("landing/orders-2.csv")).unwrap();
    });
    let (scratch, _) = land(0, |scratch| {
        scratch.write("landing/whole/second", SECOND);
        symlink("whole/second", scratch.path("landing/orders-2.csv")).unwrap();
    });
    assert_eq!(scratch.rows(FILES), ["landing/orders-1.csv", "landing/orders-2.csv"]);
}

#[test]
fn what_is_no_plain_file_is_neither_read_nor_waited_for() {
    let pipe = |scratch: &Scratch, name: &str| {
        let status = std::process::Command::new("mkfifo").arg(scratch.path(name)).status().unwrap();
        assert!(status.success());
    };
    refused("`landing/orders-2.csv` is not a plain file", |scratch| pipe(scratch, "landing/orders-2.csv"));
    refused("`landing/orders-2.csv` is not a plain file", |scratch| {
        pipe(scratch, "landing/pipe");
        symlink("pipe", scratch.path("landing/orders-2.csv")).unwrap();
    });
    refused("`landing/orders-2.csv` is not a plain file", |scratch| {
        drop(std::os::unix::net::UnixListener::bind(scratch.path("landing/orders-2.csv")).unwrap());
    });
    // What does not match is nobody's business.
    let _ = land(0, |scratch| pipe(scratch, "landing/pipe"));
}

#[test]
fn names_that_cannot_be_written_down_are_refused_and_others_are_names() {
    let write = |scratch: &Scratch, name: &[u8]| {
        let path = scratch.path("landing").as_std_path().join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, SECOND).unwrap();
    };
    for (name, what) in [
        (&b"orders-\xff.csv"[..], "`landing/orders-\u{fffd}.csv` is a file whose name is not UTF-8"),
        (b"\xff/orders-2.csv", "`landing/\u{fffd}` is a folder whose name is not UTF-8"),
        (b"orders-\n2.csv", "`landing/orders-\\n2.csv` is a file with a control character in its path"),
        (b"a\nb/orders-2.csv", "`landing/a\\nb/orders-2.csv` is a file with a control character in its path"),
        (b"orders-\x1b[31m.csv", "`landing/orders-\\u{1b}[31m.csv` is a file with a control character in its path"),
        (b"orders-\xc2\x9b.csv", "`landing/orders-\\u{9b}.csv` is a file with a control character in its path"),
        (b"orders-2.csv#12", "`landing/orders-2.csv#12` is a file whose name ends as that of an unfinished upload"),
    ] {
        refused(what, |scratch| write(scratch, name));
    }
    for name in [
        "orders-😀.csv",
        "orders-'q' \"q\".csv",
        "orders-%2e%2e%2f%41.csv",
        "%2e%2e/orders-2.csv",
        "orders-*?[]{}.csv",
        "orders-\\x.csv",
        "orders-a#b;$(x)&c=d:e.csv",
        "orders-..",
        "orders-e\u{301}.csv",
    ] {
        let (scratch, _) = land(0, |scratch| write(scratch, name.as_bytes()));
        let path = format!("landing/{name}");
        let found =
            scratch.rows(&format!("select accepted from dq_ledger where file = '{}'", path.replace('\'', "''")));
        assert_eq!(found, ["1"], "{name}");
    }
}

#[test]
fn many_tiny_files_share_one_and_come_and_go_one_by_one() {
    let scratch = Scratch::orders();
    std::fs::remove_file(scratch.path("landing/orders-1.csv")).unwrap();
    let file = |number: u32, amount: u32| {
        scratch.write(
            &format!("landing/orders-{number}.csv"),
            &format!("id,at,amount\n{number},2024-03-01T10:00:00Z,{amount}.00\n"),
        );
    };
    (0..100).for_each(|number| file(number, 1));
    // A header alone, and a record that does not fit.
    scratch.write("landing/orders-200.csv", "id,at,amount\n");
    scratch
        .write("landing/orders-201.csv", "id,at,amount\n201,2024-03-01T10:00:00Z,1.00\nx,2024-03-01T10:00:00Z,1.00\n");
    let _ = scratch.run(&["run"]).exits(0);
    let total = || scratch.rows("select count(*), cast(sum(amount) as decimal(10,2)) from fct_order");
    assert_eq!(total(), ["101,101.00"]);
    assert_eq!(scratch.rows("select count(*), sum(records), sum(quarantined) from dq_ledger"), ["102,204,1"]);
    let stored = || std::fs::read_dir(scratch.path("warehouse/data/orders/all")).unwrap().count();
    // The rows of all files.
    assert_eq!(stored(), 1);
    // One changes, one is given up, one comes: the others stay where they are.
    file(7, 5);
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(total(), ["101,105.00"]);
    let _ = scratch.run(&["forget", "landing/orders-8.csv"]).exits(0);
    file(300, 2);
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(total(), ["101,106.00"]);
    let lines = scratch.rows("select id, amount from fct_order where id in (6, 7, 8, 9, 201, 300) order by id");
    assert_eq!(lines, ["6,1.00", "7,5.00", "9,1.00", "201,1.00", "300,2.00"]);
    let _ = scratch.run(&["gc", "--keep", "1"]).exits(0);
    let _ = scratch.run(&["verify", "--files"]).exits(0);
    // One that cannot be read is named, whichever it is.
    scratch.write("landing/orders-301.csv", "id,at,amount\n301,2024-03-01T10:00:00Z,1.00\n");
    scratch.write("landing/orders-302.csv", "no,header\n1,2\n");
    let said = scratch.run(&["run", "--quiet"]).exits(1);
    assert!(said.stderr.contains("`landing/orders-302.csv` cannot be ingested"), "{}", said.stderr);
}

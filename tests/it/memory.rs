//! Queries that do not fit into the memory that they may use: they work through the disk, or end with an error that
//! names the part of the query and what to do. And what each landed file takes, however small it is.

use std::process::Stdio;
use std::time::Duration;

use crate::scratch::Scratch;

/// A project with a table of so many pairs of numbers as a few megabytes hold.
fn pairs() -> Scratch {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "[paths]\nlanding = \"landing\"\n"),
        ("jobs/numbers.toml", "ingest = [\"numbers\"]\n"),
        (
            "schemas/sources/numbers.toml",
            "from = \"{landing}/numbers-*.csv\"\nformat = { type = \"csv\" }\n[columns]\nn = \"int64!\"\n",
        ),
        ("sql/staging/stg_numbers.sql", "select n from numbers\n"),
        (
            "sql/marts/fct_pair.sql",
            "select a.n * 1000 + b.n as id, b.n as other from stg_numbers a cross join stg_numbers b\n",
        ),
    ]);
    let mut numbers = String::from("n\n");
    (0..600).for_each(|n| numbers.push_str(&format!("{n}\n")));
    scratch.write("landing/numbers-1.csv", &numbers);
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    scratch
}

#[test]
fn a_join_that_does_not_fit_works_through_the_disk() {
    let scratch = pairs();
    scratch.write(
        "sql/marts/fct_joined.sql",
        "select a.id, a.other + b.other as both from fct_pair a join fct_pair b on a.id = b.id\n",
    );
    // The hash table of one side alone takes more than this.
    let _ = scratch.run(&["run", "--quiet", "--memory", "12MB", "--threads", "1"]).exits(0);
    // Twice the sum of 0 to 599, 600 times.
    assert_eq!(scratch.rows("select count(*), sum(both) from fct_joined"), ["360000,215640000"]);
    assert!(!scratch.path("warehouse/tmp").read_dir_utf8().unwrap().any(|left| left.is_ok()), "spills are left");
}

#[test]
fn a_window_that_does_not_fit_is_named_with_what_to_do() {
    let scratch = pairs();
    scratch.write("sql/marts/fct_quarter.sql", "select id, ntile(4) over (order by id) as quarter from fct_pair\n");
    let said = scratch.run(&["run", "--memory", "6MB", "--threads", "2"]).exits(1).stderr;
    let expected = "error: `fct_quarter` needs more memory than it may use: a window (WindowAggExec) asked for more than \
                    there was\nhelp: give it more with --memory or `memory` in opsmart.toml, or let it have smaller \
                    partitions: PARTITION BY one more column, or a table made by partitions";
    assert!(said.contains(expected), "{said}");
    let _ = scratch.run(&["run", "--quiet", "--memory", "256MB"]).exits(0);
    assert_eq!(
        scratch.rows("select min(n), max(n) from (select count(*) as n from fct_quarter group by quarter)"),
        ["90000,90000"]
    );
    // One that lets go of rows on the way fits at any size.
    scratch.write("sql/marts/fct_number.sql", "select id, row_number() over (order by id) as number from fct_pair\n");
    let _ = scratch.run(&["run", "--quiet", "--memory", "6MB", "--threads", "2"]).exits(0);
    assert_eq!(scratch.rows("select max(number) from fct_number"), ["360000"]);
}

#[test]
fn models_that_fit_alone_and_not_together_are_built_one_after_the_other() {
    let scratch = pairs();
    for (name, parts) in [("fct_half", 2), ("fct_quarter", 4), ("fct_tenth", 10)] {
        let sql = format!("select id, ntile({parts}) over (order by id) as part from fct_pair\n");
        scratch.write(&format!("sql/marts/{name}.sql"), &sql);
    }
    let arguments = ["run", "--memory", "12MB", "--threads", "2", "--at-once", "3"];
    let _ = scratch.run(&arguments).exits(0);
    for (name, parts) in [("fct_half", 2), ("fct_quarter", 4), ("fct_tenth", 10)] {
        let rows = format!("select count(distinct part), count(*) from {name}");
        assert_eq!(scratch.rows(&rows), [format!("{parts},360000")]);
    }
}

/// A project in which so many files of one row land.
fn tiny_files(files: u32) -> Scratch {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "[paths]\nlanding = \"landing\"\n"),
        ("jobs/readings.toml", "ingest = [\"readings\"]\n"),
        (
            "schemas/sources/readings.toml",
            r#"from = "{landing}/readings-*.csv"
format = { type = "csv" }
key = ["id"]
keep = { latest = "at" }
partition = { day = "at" }
[columns]
id = "int64!"
name = "string"
at = "timestamp!"
"#,
        ),
        ("sql/staging/stg_readings.sql", "select * from readings\n"),
    ]);
    (0..files).for_each(|number| land_reading(&scratch, number));
    scratch.age();
    scratch
}

fn land_reading(scratch: &Scratch, number: u32) {
    let at = format!("2026-{:02}-{:02}T{:02}:00:00Z", 1 + number % 12, 1 + number % 28, number % 24);
    let rows = format!("id,name,at\n{number},name-{},{at}\n", number % 97);
    scratch.write(&format!("landing/readings-{number:06}.csv"), &rows);
}

/// Runs a command that must succeed, and returns the most memory that it held, in bytes.
fn peak(scratch: &Scratch, arguments: &[&str]) -> u64 {
    let mut child = scratch.command(arguments).stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    // The most so far is told until the process ends, and it ends long after it held the most.
    let ended = loop {
        let told = std::fs::read_to_string(&status).unwrap_or_default();
        let kib = told.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak = kib.map_or(peak, |kib| kib.parse().unwrap());
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(ended.success() && peak > 0, "{arguments:?}: {ended}");
    peak * 1024
}

#[test]
fn a_landed_file_of_one_row_takes_little_memory() {
    const FEW: u32 = 1000;
    const MANY: u32 = 11_000;
    let peaks = |files| {
        let scratch = tiny_files(files);
        let first = peak(&scratch, &["run", "--quiet", "--threads", "2"]);
        let idle = peak(&scratch, &["run", "--quiet", "--threads", "2"]);
        land_reading(&scratch, files);
        let one_more = peak(&scratch, &["run", "--quiet", "--threads", "2"]);
        let expected = [format!("{},{},{}", files + 1, files + 1, files + 1)];
        assert_eq!(scratch.rows("select count(*), count(distinct file), sum(clean) from dq_ledger"), expected);
        [first, idle, one_more]
    };
    let (few, many) = (peaks(FEW), peaks(MANY));
    for (what, (few, many)) in ["first run", "nothing new", "one more file"].iter().zip(few.iter().zip(many)) {
        assert!(many > *few, "{what}: {few} and {many} bytes");
        let of_each = (many - few) / u64::from(MANY - FEW);
        // Its path, its stamp, its identity and counts, a few times over while they are put in order.
        assert!(of_each < 3000, "{what}: {of_each} bytes of memory for each file");
    }
}

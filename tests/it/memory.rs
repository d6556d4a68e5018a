//! Queries that do not fit into the memory that they may use: they work through the disk, or end with an error that
//! names the part of the query and what to do.

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

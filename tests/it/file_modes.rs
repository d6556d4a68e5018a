//! What `files` says of a file that changed under its name, and of several files.

use crate::scratch::Scratch;

const ROWS: &str = "select id, amount from orders order by id, amount";
const LEDGER: &str = "select file, sequence, accepted, clean from dq_ledger order by sequence";
const BALANCED: &str = "select count(*) from dq_ledger where records <> accepted + quarantined + blank or \
    rows <> clean + exact_duplicates + superseded + quarantined_in_clean";

/// A dataset without a key, so that nothing but files decides which rows there are: 1 and 2 in one file, 3 in another.
fn orders(mode: &str) -> Scratch {
    let scratch = Scratch::orders();
    std::fs::remove_file(scratch.path("schemas/models/fct_order.toml")).unwrap();
    scratch.write(
        "schemas/sources/orders.toml",
        &format!(
            r#"from = "{{landing}}/orders-*.csv"
format = {{ type = "csv" }}
{mode}[columns]
id = "int64!"
at = "timestamp!"
amount = "decimal(10,2)"
"#
        ),
    );
    land(&scratch, 1, &[(1, 10), (2, 20)]);
    land(&scratch, 2, &[(3, 30)]);
    scratch
}

fn land(scratch: &Scratch, file: u8, rows: &[(u8, u8)]) {
    let rows = rows.iter().map(|(id, amount)| format!("{id},2024-03-01T10:00:00Z,{amount}\n"));
    scratch.write(&format!("landing/orders-{file}.csv"), &format!("id,at,amount\n{}", rows.collect::<String>()));
}

/// Runs, and returns the rows and the ledger; the KPI downstream must have the same orders.
#[track_caller]
fn run(scratch: &Scratch) -> (Vec<String>, Vec<String>) {
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(BALANCED), ["0"]);
    assert_eq!(
        scratch.rows("select coalesce(sum(orders), 0) from kpi_order_daily"),
        scratch.rows("select count(*) from orders")
    );
    (scratch.rows(ROWS), scratch.rows(LEDGER))
}

fn told(rows: &[&str], ledger: &[&str]) -> (Vec<String>, Vec<String>) {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    (owned(rows), owned(ledger))
}

#[test]
fn replaced_content_takes_the_place_of_the_old() {
    // It is the default, too.
    for mode in ["files = \"replace\"\n", ""] {
        let scratch = orders(mode);
        let both = ["1,10.00", "2,20.00", "3,30.00"];
        assert_eq!(run(&scratch), told(&both, &["landing/orders-1.csv,0,2,2", "landing/orders-2.csv,1,1,1"]));
        land(&scratch, 1, &[(2, 25), (4, 40)]);
        let ledger = ["landing/orders-2.csv,1,1,1", "landing/orders-1.csv,2,2,2"];
        assert_eq!(run(&scratch), told(&["2,25.00", "3,30.00", "4,40.00"], &ledger));
        // What is removed stays, until something takes its place.
        std::fs::remove_file(scratch.path("landing/orders-1.csv")).unwrap();
        assert_eq!(run(&scratch), told(&["2,25.00", "3,30.00", "4,40.00"], &ledger));
        // A file may come out with no rows at all.
        land(&scratch, 2, &[]);
        let ledger = ["landing/orders-1.csv,2,2,2", "landing/orders-2.csv,3,0,0"];
        assert_eq!(run(&scratch), told(&["2,25.00", "4,40.00"], &ledger));
    }
}

#[test]
fn appended_content_comes_on_top_of_the_old() {
    let scratch = orders("files = \"append\"\n");
    let _ = run(&scratch);
    land(&scratch, 1, &[(2, 25), (4, 40)]);
    let rows = ["1,10.00", "2,20.00", "2,25.00", "3,30.00", "4,40.00"];
    let ledger = ["landing/orders-1.csv,0,2,2", "landing/orders-2.csv,1,1,1", "landing/orders-1.csv,2,2,2"];
    assert_eq!(run(&scratch), told(&rows, &ledger));
    // Content that was there before counts once, and the ledger says so.
    land(&scratch, 1, &[(1, 10), (2, 20)]);
    let ledger = [&ledger[..], &["landing/orders-1.csv,3,0,0"]].concat();
    assert_eq!(run(&scratch), told(&rows, &ledger));
}

#[test]
fn the_newest_snapshot_drops_what_it_lacks() {
    let scratch = orders("files = \"snapshot\"\n");
    // Of files that come together the last in order counts.
    assert_eq!(run(&scratch), told(&["3,30.00"], &["landing/orders-2.csv,1,1,1"]));
    land(&scratch, 10, &[(2, 25), (3, 30)]);
    assert_eq!(run(&scratch), told(&["2,25.00", "3,30.00"], &["landing/orders-10.csv,2,2,2"]));
    // The newest lacks 2, which goes from everything that is published.
    land(&scratch, 11, &[(3, 35)]);
    assert_eq!(run(&scratch), told(&["3,35.00"], &["landing/orders-11.csv,3,1,1"]));
    // An older file that is written again is the newest; the same bytes again are not.
    land(&scratch, 1, &[(1, 11)]);
    assert_eq!(run(&scratch), told(&["1,11.00"], &["landing/orders-1.csv,4,1,1"]));
    land(&scratch, 10, &[(2, 25), (3, 30)]);
    assert_eq!(run(&scratch), told(&["1,11.00"], &["landing/orders-1.csv,4,1,1"]));
    // An empty one empties the dataset.
    land(&scratch, 12, &[]);
    assert_eq!(run(&scratch), told(&[], &["landing/orders-12.csv,5,0,0"]));
}

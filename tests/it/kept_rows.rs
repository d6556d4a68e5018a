//! Large landed files lose rows without being written again, and no query notices: what queries say of them is
//! compared with a map that knows one row per key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::scratch::Scratch;

/// A version of an order: its amount, its second, and a text that does not compress.
type Version = (i64, i64, String);

/// A text of 40 letters that looks like chance (xorshift, Marsaglia 2003).
pub(crate) fn noise(seed: i64) -> String {
    let mut state = seed.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'a' + u8::try_from(state % 26).unwrap())
    };
    (0..40).map(|_| letter()).collect()
}

fn file(rows: &[(i64, Version)]) -> String {
    let mut text = "id,second,amount,note\n".to_owned();
    for (id, (amount, second, note)) in rows {
        writeln!(text, "{id},{second},{amount},{note}").unwrap();
    }
    text
}

/// Asserts that queries of every kind say what `rows` do.
#[track_caller]
fn compare(scratch: &Scratch, rows: &BTreeMap<i64, Version>) {
    let ask = |sql: &str| scratch.run(&["show", "--quiet", "--format", "csv", sql]).exits(0).stdout;
    let amounts = || rows.values().map(|version| version.0);
    assert_eq!(
        ask("select count(*) as n, sum(amount) as s, min(amount) as least, max(amount) as most from orders"),
        format!(
            "n,s,least,most\n{},{},{},{}\n",
            rows.len(),
            amounts().sum::<i64>(),
            amounts().min().unwrap(),
            amounts().max().unwrap()
        )
    );
    assert_eq!(ask("select count(*) as n from orders"), format!("n\n{}\n", rows.len()));
    let few = rows.iter().filter(|(_, version)| version.0 % 7 == 0 && version.1 > 1).map(|(id, _)| id);
    assert_eq!(
        ask("select count(*) as n, sum(id) as s from orders where amount % 7 = 0 and second > 1"),
        format!("n,s\n{},{}\n", few.clone().count(), few.sum::<i64>())
    );
    let mut last = String::from("id,note\n");
    for (id, (_, _, note)) in rows.iter().rev().take(3) {
        writeln!(last, "{id},{note}").unwrap();
    }
    assert_eq!(ask("select id, note from orders order by id desc limit 3"), last);
    assert_eq!(
        ask("select count(*) as n from orders a inner join orders b on a.id = b.id and a.note = b.note"),
        format!("n\n{}\n", rows.len())
    );
}

fn keep(rows: &mut BTreeMap<i64, Version>, more: &[(i64, Version)]) {
    for (id, version) in more {
        let known = rows.entry(*id).or_insert_with(|| version.clone());
        // A tie goes to the later one.
        if version.1 >= known.1 {
            known.clone_from(version);
        }
    }
}

#[test]
fn a_large_file_loses_rows_in_place_and_gets_them_back() {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
        ("jobs/orders.toml", "ingest = [\"orders\"]\n"),
        (
            "schemas/sources/orders.toml",
            r#"from = "{landing}/orders-*.csv"
format = { type = "csv" }
key = ["id"]
keep = { latest = "second" }
[columns]
id = "int64!"
second = "int64!"
amount = "int64"
note = "string"
"#,
        ),
        ("sql/staging/stg_orders.sql", "select id, amount from orders\n"),
        ("sql/marts/fct_order.sql", "select count(*) as orders, sum(amount) as amount from stg_orders\n"),
    ]);
    // Every 97th row is a later version of the one before, and every 101st says the same once more.
    let large: Vec<(i64, Version)> = (0..60_000)
        .map(|n| match n {
            n if n % 101 == 100 => (n - 2, (n - 2, 1, noise(n - 2))),
            n if n % 97 == 96 => (n - 1, (n, 2, noise(n))),
            n => (n, (n, 1, noise(n))),
        })
        .collect();
    scratch.write("landing/orders-1.csv", &file(&large));
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let mut first = BTreeMap::new();
    keep(&mut first, &large);
    compare(&scratch, &first);
    let large_files =
        || scratch.files("warehouse/data/orders").iter().filter(|(_, bytes)| bytes.len() > 1 << 20).count();
    assert_eq!(large_files(), 1, "the file was written again");

    // A late file takes rows of the large one away, and brings some that are older than what is there.
    let mut late: Vec<(i64, Version)> = (0..300).map(|n| (n * 199, (-n, 2, noise(-n)))).collect();
    late.extend((0..50).map(|n| (n * 201 + 1, (n, 0, noise(n)))));
    scratch.write("landing/orders-2.csv", &file(&late));
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let mut second = first.clone();
    keep(&mut second, &late);
    compare(&scratch, &second);
    assert_eq!(large_files(), 1, "the file was written again");
    let ledger = "select file, accepted, clean, exact_duplicates, superseded from dq_ledger order by file";
    let ledger = scratch.run(&["show", "--quiet", "--format", "csv", ledger]).exits(0).stdout;
    // Of rows that are equal in every column one is clean or superseded, and the others are duplicates.
    let doubles = large.len() - large.iter().collect::<BTreeSet<_>>().len();
    let clean_of_late = second.iter().filter(|(id, version)| late.contains(&(**id, (*version).clone()))).count();
    let clean_of_large = second.len() - clean_of_late;
    assert_eq!(
        ledger,
        format!(
            "file,accepted,clean,exact_duplicates,superseded
landing/orders-1.csv,60000,{clean_of_large},{doubles},{}
landing/orders-2.csv,350,{clean_of_late},0,{}
",
            60_000 - clean_of_large - doubles,
            350 - clean_of_late
        )
    );

    // What the late file said is taken back: the rows that had lost to it return.
    scratch.write("landing/orders-2.csv", &file(&[(1_000_000, (5, 5, noise(5)))]));
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    keep(&mut first, &[(1_000_000, (5, 5, noise(5)))]);
    compare(&scratch, &first);

    // A file that loses most of its rows is written again without them.
    let newer: Vec<(i64, Version)> = (0..50_000).map(|n| (n, (n + 1, 9, noise(n + 1)))).collect();
    scratch.write("landing/orders-3.csv", &file(&newer));
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    keep(&mut first, &newer);
    compare(&scratch, &first);
}

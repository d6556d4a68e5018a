//! A reader that reads all the time beside one publication after the other.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::AsArray;
use arrow::datatypes::{Decimal128Type, Int64Type};
use camino::Utf8Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::scratch::Scratch;

/// So many orders, whose amount is the number of the publication.
const ORDERS: i64 = 500;

/// How often a reader opens tables and what becomes of it.
#[derive(Debug, Default)]
struct Reads {
    tables: usize,
    pairs: usize,
    missing: usize,
    seen: BTreeSet<i128>,
}

/// Reads a table as `published/current/<table>/*.parquet`; returns the amounts that occur in it and the sum of orders.
///
/// # Errors
/// When a file is missing, because `current` moved meanwhile.
fn amounts(folder: &Utf8Path, orders: Option<&str>) -> io::Result<(BTreeSet<i128>, i64)> {
    let (mut found, mut rows) = (BTreeSet::new(), 0);
    for entry in folder.read_dir_utf8()? {
        let file = File::open(entry?.path())?;
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let column = |name: &str| batch.column_by_name(name).unwrap();
            found.extend(column("amount").as_primitive::<Decimal128Type>().values().iter().copied());
            rows += match orders {
                Some(name) => column(name).as_primitive::<Int64Type>().values().iter().sum(),
                None => i64::try_from(batch.num_rows()).unwrap(),
            };
        }
    }
    Ok((found, rows))
}

/// Reads until it is over: one table through `current`, and both below the folder that it leads to.
fn read(scratch: &Scratch, is_over: &AtomicBool) -> Reads {
    let current = scratch.path("warehouse/published/current");
    let mut reads = Reads::default();
    while !is_over.load(Ordering::SeqCst) {
        match amounts(&current.join("fct_order"), None) {
            Ok((found, rows)) => {
                assert_eq!((found.len(), rows), (1, ORDERS), "one table holds rows of two publications");
                reads.seen.extend(found);
                reads.tables += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => reads.missing += 1,
            Err(error) => panic!("{error}"),
        }
        // A generation stays, so that below it nothing is ever missing.
        let generation = current.canonicalize_utf8().unwrap();
        let (orders, rows) = amounts(&generation.join("fct_order"), None).unwrap();
        let (days, counted) = amounts(&generation.join("kpi_order_amount"), Some("orders")).unwrap();
        assert_eq!((orders, rows), (days, counted), "two tables of one generation contradict each other");
        reads.pairs += 1;
    }
    reads
}

#[test]
#[expect(clippy::print_stdout, reason = "`make faults` shows these figures")]
fn see_one_publication_at_a_time() {
    let publications = std::env::var("PUBLICATIONS").map_or(24, |count| count.parse().unwrap());
    let scratch = Scratch::orders();
    scratch.write("sql/kpi/kpi_order_amount.sql", "select amount, count(*) as orders from fct_order group by amount\n");
    let publish = |number: usize| {
        // In place of the file before it, so that every row of both tables changes.
        let mut orders = String::from("id,at,amount\n");
        (0..ORDERS).for_each(|id| orders.push_str(&format!("{id},2024-03-01T10:00:00Z,{number}.00\n")));
        scratch.write("landing/next", &orders);
        std::fs::rename(scratch.path("landing/next"), scratch.path("landing/orders-1.csv")).unwrap();
        let _ = scratch.run(&["run", "--quiet"]).exits(0);
    };
    publish(1);
    let is_over = AtomicBool::new(false);
    let reads = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&scratch, &is_over));
        for number in 2..=publications {
            publish(number);
            if number % 50 == 0 {
                let _ = scratch.run(&["gc", "--keep", "1", "--quiet"]).exits(0);
            }
            assert!(!reader.is_finished(), "the reader has given up after {number} publications");
        }
        is_over.store(true, Ordering::SeqCst);
        reader.join().unwrap()
    });
    println!(
        "{publications} publications: {} reads of one table, {} of two, {} with a file missing; {} publications seen",
        reads.tables,
        reads.pairs,
        reads.missing,
        reads.seen.len()
    );
    assert!(reads.pairs > publications && reads.seen.len() > publications / 2, "{reads:?}");
}

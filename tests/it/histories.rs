//! Whatever happens to the landed files, the tables are what their definition says: random histories of files that
//! come, change, are copied and go, beside a model of the rules that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type, TimestampMicrosecondType};
use opsmart::store::LocalDisk;
use proptest::prelude::*;

use crate::faults::run_on;
use crate::scratch::Scratch;

/// An order: id, second of its version, amount in whole units.
type Order = (i64, i64, i64);

/// Something that happens in the landing folder.
#[derive(Debug, Clone)]
enum Event {
    /// A file comes, or takes another's place.
    Write(u8, Vec<Order>),
    /// A file's content comes again under another name.
    Copy(u8, u8),
    /// A file goes.
    Remove(u8),
}

fn order() -> impl Strategy<Value = Order> {
    (0..5_i64, 0..4_i64, 0..3_i64)
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..4_u8, prop::collection::vec(order(), 1..8)).prop_map(|(file, orders)| Event::Write(file, orders)),
        1 => (0..4_u8, 0..4_u8).prop_map(|(from, to)| Event::Copy(from, to)),
        1 => (0..4_u8).prop_map(Event::Remove),
    ]
}

/// The rules, told as simply as they can be.
#[derive(Debug, Default)]
struct Model {
    /// What lies in the landing folder.
    landing: BTreeMap<u8, Vec<Order>>,
    /// What is admitted, by the number of its file: the order in which it counts.
    admitted: BTreeMap<u8, Vec<Order>>,
}

impl Model {
    fn happens(&mut self, event: &Event) {
        match event {
            Event::Write(file, orders) => drop(self.landing.insert(*file, orders.clone())),
            Event::Copy(from, to) => {
                if let Some(orders) = self.landing.get(from).cloned() {
                    self.landing.insert(*to, orders);
                }
            }
            Event::Remove(file) => drop(self.landing.remove(file)),
        }
    }

    fn run(&mut self) {
        self.admitted.extend(self.landing.clone());
    }

    /// Returns the rows in the order in which they count; a content counts once.
    fn rows(&self) -> Vec<Order> {
        let mut seen = BTreeSet::new();
        self.admitted.values().filter(|content| seen.insert((*content).clone())).flatten().copied().collect()
    }

    fn kept(&self) -> BTreeSet<Order> {
        let mut kept: BTreeMap<i64, Order> = BTreeMap::new();
        for row in self.rows() {
            if kept.get(&row.0).is_none_or(|known| row.1 >= known.1) {
                kept.insert(row.0, row);
            }
        }
        kept.into_values().collect()
    }

    /// Returns how many rows are duplicates of another, and how many are superseded.
    fn lost(&self) -> (i64, i64) {
        let rows = self.rows();
        let distinct = rows.iter().collect::<BTreeSet<_>>().len();
        let kept = self.kept().len();
        (i64::try_from(rows.len() - distinct).unwrap(), i64::try_from(distinct - kept).unwrap())
    }
}

fn file(scratch: &Scratch, number: u8) -> camino::Utf8PathBuf {
    scratch.path(&format!("landing/orders-{number}.csv"))
}

fn land(scratch: &Scratch, model: &Model) {
    for number in 0..4 {
        let path = file(scratch, number);
        let Some(orders) = model.landing.get(&number) else {
            let _ = std::fs::remove_file(path);
            continue;
        };
        let mut text = String::from("id,at,amount\n");
        for (id, second, amount) in orders {
            text.push_str(&format!("{id},2024-03-01T00:00:0{second}Z,{amount}\n"));
        }
        if std::fs::read_to_string(&path).is_ok_and(|known| known == text) {
            continue;
        }
        std::fs::write(path, text).unwrap();
    }
}

fn published(scratch: &Scratch, table: &str) -> Vec<RecordBatch> {
    let folder = scratch.path("warehouse/published/current").join(table);
    let read = |path: &camino::Utf8Path| {
        let file = std::fs::File::open(path).unwrap();
        let builder = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        builder.build().unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    folder.read_dir_utf8().unwrap().flat_map(|entry| read(entry.unwrap().path())).collect()
}

fn kept(scratch: &Scratch) -> BTreeSet<Order> {
    let rows = |batch: &RecordBatch| {
        let id = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec();
        let at = batch.column_by_name("at").unwrap().as_primitive::<TimestampMicrosecondType>().values().to_vec();
        let amount = batch.column_by_name("amount").unwrap().as_primitive::<Decimal128Type>().values().to_vec();
        let second = |micros: i64| micros / 1_000_000 % 60;
        (0..batch.num_rows())
            .map(|n| (id[n], second(at[n]), i64::try_from(amount[n] / 100).unwrap()))
            .collect::<Vec<_>>()
    };
    let all: Vec<Order> = published(scratch, "fct_order").iter().flat_map(rows).collect();
    let distinct: BTreeSet<Order> = all.iter().copied().collect();
    assert_eq!(all.len(), distinct.len(), "a row is there twice");
    distinct
}

fn total(scratch: &Scratch, column: &str) -> i64 {
    let sum = |batch: &RecordBatch| -> i64 {
        batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().iter().flatten().sum()
    };
    published(scratch, "dq_ledger").iter().map(sum).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_tables_are_what_the_files_say(events in prop::collection::vec(prop::collection::vec(event(), 1..4), 1..6)) {
        let scratch = Scratch::orders();
        scratch.write("sql/marts/fct_order.sql", "select id, at, local_day(at, $reporting_zone) as day, amount from stg_orders\n");
        std::fs::remove_file(file(&scratch, 1)).unwrap();
        let mut model = Model::default();
        for (number, events) in events.iter().enumerate() {
            events.iter().for_each(|event| model.happens(event));
            land(&scratch, &model);
            model.run();
            run_on(&scratch, Arc::new(LocalDisk), &format!("run-{number}")).unwrap();
            prop_assert_eq!(kept(&scratch), model.kept());
            let (duplicates, superseded) = model.lost();
            prop_assert_eq!(total(&scratch, "exact_duplicates"), duplicates);
            prop_assert_eq!(total(&scratch, "superseded"), superseded);
            prop_assert_eq!(total(&scratch, "accepted"), i64::try_from(model.rows().len()).unwrap());
            prop_assert_eq!(total(&scratch, "clean"), i64::try_from(model.kept().len()).unwrap());
        }
    }
}

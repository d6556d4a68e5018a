//! Whatever the rows and the slices, the counts are those of a simple model.

use std::collections::BTreeMap;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::MemTable;
use proptest::prelude::*;

use super::*;
use crate::engine::{self, Resources};
use crate::project::ColumnType;

type Cell = Option<i64>;

/// Counts what became of rows with a key and a value, as the query does it.
fn counted(before: &[(Cell, Cell)], after: &[(Cell, Cell)], is_whole: bool, slices: u32) -> Counts {
    let column = |name: &str| Common { name: name.to_owned(), kind: ColumnType::Int64, is_same_type: true };
    let (key, value) = (column("k"), column("v"));
    let terms = if is_whole {
        Terms { key: vec![key, value], others: Vec::new(), is_whole }
    } else {
        Terms { key: vec![key], others: vec![value], is_whole }
    };
    let schema = Arc::new(Schema::new(["k", "v"].map(|name| Field::new(name, DataType::Int64, true)).to_vec()));
    let table = |rows: &[(Cell, Cell)]| {
        let keys: Int64Array = rows.iter().map(|(key, _)| *key).collect();
        let values: Int64Array = rows.iter().map(|(_, value)| *value).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(keys), Arc::new(values)]).unwrap();
        Arc::new(MemTable::try_new(Arc::clone(&schema), vec![vec![batch]]).unwrap())
    };
    let session = engine::session(&Resources { threads: 2, ..Resources::for_binding() }).unwrap();
    session.register_table(BEFORE, table(before)).unwrap();
    session.register_table(AFTER, table(after)).unwrap();
    // What is shown must not change what is counted.
    let mut tally = Tally::new(&terms).show(usize::from(slices > 1)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(fold(&session, &terms, slices, &mut tally)).unwrap();
    tally.counts
}

fn cells() -> impl Strategy<Value = Cell> {
    proptest::option::of(0..6_i64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn rows_of_one_key_are_held_against_each_other(
        before in proptest::collection::btree_map(cells(), cells(), 0..7),
        after in proptest::collection::btree_map(cells(), cells(), 0..7),
        slices in prop_oneof![Just(1_u32), Just(8)],
    ) {
        let rows = |side: &BTreeMap<Cell, Cell>| side.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>();
        let found = counted(&rows(&before), &rows(&after), false, slices);
        let mut expected = Counts::default();
        for (key, value) in &before {
            match after.get(key) {
                None => expected.removed += 1,
                Some(now) if now == value => expected.same += 1,
                Some(_) => expected.changed += 1,
            }
        }
        expected.added = after.keys().filter(|key| !before.contains_key(key)).count() as u64;
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn equal_rows_cancel_out_one_by_one(
        before in proptest::collection::vec((cells(), cells()), 0..12),
        after in proptest::collection::vec((cells(), cells()), 0..12),
        slices in prop_oneof![Just(1_u32), Just(8)],
    ) {
        let found = counted(&before, &after, true, slices);
        let mut left = after.clone();
        let mut removed = 0;
        for row in &before {
            match left.iter().position(|other| other == row) {
                Some(at) => drop(left.swap_remove(at)),
                None => removed += 1,
            }
        }
        prop_assert_eq!((found.removed, found.added, found.changed), (removed, left.len() as u64, 0));
    }
}

//! `opsmart verify`: tables come out the same again, and files hold what was written.

use std::collections::BTreeSet;
use std::sync::Arc;

use opsmart::store::{LocalDisk, Store};
use serde_json::Value;

use crate::kept_rows::noise;
use crate::scratch::Scratch;

/// A project that has published twice, told apart by day.
fn published() -> Scratch {
    let scratch = Scratch::orders();
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &format!("partition = {{ day = \"at\" }}\n{contract}"));
    scratch.write("schemas/models/fct_order.toml", "key = [\"id\"]\npartition = { day = \"day\" }\n");
    scratch.write("schemas/models/kpi_order_daily.toml", "key = [\"day\"]\npartition = { day = \"day\" }\n");
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,5.00\nx,2024-03-02T10:00:00Z,1\n");
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    scratch
}

fn open(scratch: &Scratch) -> Store {
    Store::open(&scratch.path("warehouse"), Arc::new(LocalDisk))
}

/// Returns what is told of each table.
fn told(scratch: &Scratch, arguments: &[&str], exit: i32) -> Vec<Value> {
    let said = scratch.run(&[&["verify", "--output", "json"], arguments].concat()).exits(exit);
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(document["sound"], exit == 0);
    document["tables"].as_array().unwrap().clone()
}

#[test]
fn what_is_published_comes_out_the_same_and_nothing_changes() {
    let scratch = published();
    let everything = || scratch.files("warehouse").into_iter().map(|(path, _)| path).collect::<BTreeSet<_>>();
    let before = everything();
    for files in [&[][..], &["--files"]] {
        let found = told(&scratch, files, 0);
        let made: Vec<(&str, Option<&str>)> =
            found.iter().map(|table| (table["table"].as_str().unwrap(), table["remade"].as_str())).collect();
        assert_eq!(
            made,
            [
                ("dq_check_result", None),
                ("dq_check_row", None),
                ("dq_ledger", None),
                ("dq_quarantine", None),
                ("fct_order", Some("same")),
                ("kpi_order_daily", Some("same")),
                ("orders", None),
            ]
        );
        let read = |table: usize| found[table]["files_read"].as_u64().unwrap();
        // Two contents and what was gathered of them, one record that was set aside, the ledger.
        assert_eq!(read(6), 5);
        assert_eq!(read(4) > 0, !files.is_empty());
    }
    let after = everything();
    let new: Vec<_> = after.difference(&before).filter(|path| !path.to_string_lossy().ends_with(".lock")).collect();
    assert!(new.is_empty(), "{new:?}");
    assert!(before.is_subset(&after));
}

/// Puts a snapshot in force whose `table` has the rows of the snapshot before, and says that they were made as those now.
fn falsify(scratch: &Scratch, table: &str) {
    let store = open(scratch);
    let newest = store.reference().unwrap().unwrap().newest().clone();
    let [(id, mut now), (_, before)] = store.line(&newest).map(Result::unwrap).collect::<Vec<_>>().try_into().unwrap();
    let entry = now.tables.get_mut(table).unwrap();
    let fingerprint = entry.build_hash.clone();
    *entry = before.tables[table].clone();
    entry.build_hash = fingerprint;
    now.parent = Some(id);
    let false_one = store.put_snapshot(&now).unwrap();
    scratch.write("warehouse/refs/main", &format!("{{\"snapshot\":\"{false_one}\",\"held\":null}}"));
}

#[test]
fn a_table_that_is_not_what_its_query_gives_is_found_with_the_partitions_that_differ() {
    let scratch = published();
    falsify(&scratch, "kpi_order_daily");
    let found = told(&scratch, &["kpi_order_daily", "fct_order"], 1);
    assert_eq!((&found[0]["table"], &found[0]["remade"]), (&"fct_order".into(), &"same".into()));
    let table = &found[1];
    assert_eq!((&table["remade"], &table["rows"], &table["rows_made"]), (&"different".into(), &1.into(), &2.into()));
    assert_eq!((&table["partitions"], &table["of"]), (&serde_json::json!(["2024-03-02"]), &2.into()));
    let said = scratch.run(&["verify", "kpi_order_daily"]).exits(1);
    assert!(said.stdout.contains("DIFFERS: 2 rows come out; 1 of 2 partitions: 2024-03-02"), "{}", said.stdout);
    assert!(said.stderr.contains("1 not as published"), "{}", said.stderr);
}

#[test]
fn one_partition_is_verified_by_itself() {
    let scratch = published();
    falsify(&scratch, "kpi_order_daily");
    let of = |day: &str, exit: i32| {
        let found = told(&scratch, &["kpi_order_daily", "--partition", day], exit);
        (found[0]["remade"].as_str().unwrap().to_owned(), found[0]["rows"].as_u64().unwrap())
    };
    assert_eq!(of("2024-03-01", 0), ("same".to_owned(), 1));
    // The false table has no such day.
    assert_eq!(of("2024-03-02", 1), ("different".to_owned(), 0));
    assert_eq!(of("2024-03-03", 0), ("same".to_owned(), 0));
    assert_eq!(of("null", 0), ("same".to_owned(), 0));
    let said = scratch.run(&["verify", "kpi_order_daily", "--partition", "2024-03-01", "2024-03-02"]).exits(1);
    assert!(said.stdout.contains("DIFFERS: 2 rows come out; 1 of 2 partitions: 2024-03-02"), "{}", said.stdout);
    assert!(said.stderr.starts_with("verified 2 partitions of `kpi_order_daily` of snapshot "), "{}", said.stderr);

    // Of a table that no query makes, the files that have it are read.
    let files = |day: &str| told(&scratch, &["orders", "--partition", day], 0)[0]["files_read"].as_u64().unwrap();
    assert_eq!((files("2024-03-02"), files("2024-03-03")), (2, 0));

    let refused = |arguments: &[&str]| scratch.run(&[&["verify"], arguments].concat()).exits(2).stderr;
    let said = refused(&["kpi_order_daily", "--partition", "2024-3-1"]);
    assert!(
        said.contains("`kpi_order_daily` has no partition `2024-3-1`\nhelp: days are written as 2024-07-01"),
        "{said}"
    );
    assert!(refused(&["dq_ledger", "--partition", "0"]).contains("`dq_ledger` has no partitions\nhelp: "));
    let two = refused(&["kpi_order_daily", "fct_order", "--partition", "null"]);
    assert!(two.contains("partitions are those of one table\nhelp: "), "{two}");
    assert!(refused(&["--partition", "2024-03-01"]).contains("required"));
}

#[test]
fn a_table_that_cannot_be_made_again_is_told_and_no_finding() {
    let scratch = published();
    scratch.write(
        "sql/kpi/kpi_order_daily.sql",
        "select day, count(*) as orders, min(amount) as amount from fct_order group by day\n",
    );
    let found = told(&scratch, &["kpi_order_daily"], 0);
    assert_eq!(found[0]["remade"], "not");
    assert!(found[0]["reason"].as_str().unwrap().starts_with("its SQL is not the one that made it"), "{found:?}");
    std::fs::remove_file(scratch.path("sql/checks/assert_days_add_up.sql")).unwrap();
    std::fs::remove_file(scratch.path("sql/kpi/kpi_order_daily.sql")).unwrap();
    std::fs::remove_file(scratch.path("schemas/models/kpi_order_daily.toml")).unwrap();
    assert_eq!(told(&scratch, &["kpi_order_daily"], 0)[0]["reason"], "the project has no such table any more");
    let said = scratch.run(&["verify", "fct_orders"]).exits(2).stderr;
    assert!(said.contains("there is no current table `fct_orders`\nhelp: did you mean `fct_order`?"), "{said}");
}

#[test]
fn the_clock_and_the_inputs_are_those_of_the_run_that_made_the_table() {
    let scratch = published();
    scratch.add_refunds();
    scratch.write("sql/kpi/kpi_age.sql", "select id, $as_of as at from fct_order\n");
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    scratch.write("landing/refunds-2.csv", "id\n8\n");
    let _ = scratch.run(&["run", "refunds", "--quiet", "--as-of", "2024-07-02"]).exits(0);
    // Left behind by a run that was told to: it was made from the orders of before.
    scratch.write("landing/orders-3.csv", "id,at,amount\n4,2024-03-02T10:00:00Z,5.00\n");
    let excluded = ["run", "--quiet", "--as-of", "2024-07-03", "--exclude", "kpi_age"];
    let _ = scratch.run(&excluded).exits(0);
    assert_eq!(scratch.rows("select count(*) from kpi_age"), ["3"]);
    let found = told(&scratch, &[], 0);
    let remade = |name: &str| found.iter().find(|table| table["table"] == name).unwrap()["remade"].clone();
    for table in ["kpi_age", "fct_refund", "fct_order", "kpi_order_daily"] {
        assert_eq!(remade(table), "same", "{table}");
    }
}

#[test]
fn a_damaged_file_is_found() {
    let scratch = published();
    let store = open(&scratch);
    let (_, snapshot) = store.current().unwrap().unwrap();
    let state = store.table("fct_order", &snapshot.tables["fct_order"].state).unwrap();
    let file = store.path(&state.files[0]);
    let good = std::fs::read(&file).unwrap();
    let damage = |bytes: &[u8], words: &str| {
        std::fs::write(&file, bytes).unwrap();
        let found = told(&scratch, &["fct_order", "--files"], 1);
        let [damaged] = <[Value; 1]>::try_from(found[0]["damaged"].as_array().unwrap().clone()).unwrap();
        assert_eq!(damaged["file"], state.files[0].path);
        assert!(damaged["reason"].as_str().unwrap().contains(words), "{damaged}");
    };
    damage(&good[..good.len() - 1], "bytes and should have");
    let mut flipped = good.clone();
    flipped[10] ^= 0xff;
    damage(&flipped, "");
    std::fs::remove_file(&file).unwrap();
    let found = told(&scratch, &["fct_order", "--files"], 1);
    assert_eq!(found[0]["damaged"][0]["reason"], "it is missing");
    // What a query reads that is damaged makes it fail, and nothing else.
    let found = told(&scratch, &["fct_order", "kpi_order_daily"], 1);
    assert_eq!((&found[0]["remade"], &found[1]["remade"]), (&"same".into(), &"failed".into()));
    assert!(found[1]["reason"].as_str().unwrap().contains("is missing"), "{found:?}");
    std::fs::write(&file, &good).unwrap();
    let _ = told(&scratch, &["fct_order", "--files"], 0);
}

#[test]
fn rows_that_decode_and_are_others_are_told_by_their_sum() {
    let scratch = published();
    let store = open(&scratch);
    let (_, snapshot) = store.current().unwrap().unwrap();
    let state = store.table("fct_order", &snapshot.tables["fct_order"].state).unwrap();
    let mut file = state.files[0].clone();
    let schema = opsmart::store::schema_of(&state.columns);
    let damage = |file: &opsmart::store::DataFile| store.damage(file, &schema, state.partition.as_ref()).unwrap();
    assert_eq!(damage(&file), None);
    file.partitions[0].0 = None;
    assert_eq!(damage(&file).unwrap(), "its rows are in other partitions than they should be");
    file.sum.sum = file.sum.sum.wrapping_add(1);
    assert!(damage(&file).unwrap().starts_with("its rows add up to 2:"), "{:?}", damage(&file));
    file.sum.rows += 1;
    assert_eq!(damage(&file).unwrap(), "it has fewer rows than it should have");
}

#[test]
fn rows_that_a_large_file_lost_do_not_count() {
    let scratch = Scratch::orders();
    let contract = std::fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
    scratch.write("schemas/sources/orders.toml", &format!("{contract}note = \"string\"\n"));
    let mut big = String::from("id,at,amount,note\n");
    (10..60_000).for_each(|id| big.push_str(&format!("{id},2024-03-02T10:00:00Z,1.00,{}\n", noise(id))));
    scratch.write("landing/orders-2.csv", &big);
    scratch.write(
        "landing/orders-3.csv",
        "id,at,amount,note\n11,2024-03-03T10:00:00Z,1.00,a\n500,2024-03-03T10:00:00Z,2.00,b\n",
    );
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let store = open(&scratch);
    let (_, snapshot) = store.current().unwrap().unwrap();
    let state = store.table("orders", &snapshot.tables["orders"].state).unwrap();
    assert!(state.files.iter().any(|file| file.deletion_vector.is_some()), "the file is taken as it is");
    let _ = told(&scratch, &["--files"], 0);
}

//! Warehouses that an earlier release wrote: this one reads nothing anew and builds nothing anew.

use std::collections::BTreeMap;

use crate::scratch::Scratch;

const CLOCK: &str = "2024-07-01T00:00:00Z";

fn project(name: &str) -> Scratch {
    let scratch = Scratch::copy_of(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade").join(name));
    scratch.age();
    scratch
}

/// Takes the landed files away, as who archives them does.
fn archive(scratch: &Scratch) {
    for file in std::fs::read_dir(scratch.path("landing")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
}

/// Returns what stands in the snapshot in force: of each table its fingerprint, its content and where its state is.
fn tables(scratch: &Scratch) -> BTreeMap<String, (String, String, String)> {
    let read = |path: String| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(scratch.path(&path)).unwrap()).unwrap()
    };
    let reference = read("warehouse/refs/main".to_owned());
    let snapshot = read(format!("warehouse/snapshots/{}.json", reference["snapshot"].as_str().unwrap()));
    let text = |entry: &serde_json::Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let tables = snapshot["tables"].as_object().unwrap().iter();
    tables
        .map(|(name, entry)| (name.clone(), (text(entry, "fingerprint"), text(entry, "content"), text(entry, "state"))))
        .collect()
}

fn run(scratch: &Scratch) -> serde_json::Value {
    let said = scratch.run(&["run", "--as-of", CLOCK, "--output", "json"]).exits(0);
    serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn an_upgrade_reads_and_builds_nothing_even_where_landed_files_are_gone() {
    let scratch = project("shop");
    archive(&scratch);
    let before = tables(&scratch);
    assert_eq!(before.len(), 14);
    let said = scratch.run(&["run", "--as-of", CLOCK]).exits(0);
    assert!(said.stderr.starts_with("nothing new: "), "{}", said.stderr);
    assert_eq!(tables(&scratch), before);
    let said = scratch.run(&["verify", "--files"]).exits(0);
    assert!(said.stderr.contains("all as published"), "{}", said.stderr);
}

#[test]
fn an_upgrade_knows_the_landed_files_that_are_still_there() {
    let scratch = project("shop");
    let before = tables(&scratch);
    // They are copies, with other inodes, so that only their bytes tell what they are.
    let report = run(&scratch);
    assert_eq!(report["tables"].as_array().unwrap().len(), 0, "{report}");
    let contents = |tables: BTreeMap<String, (String, String, String)>| -> BTreeMap<String, (String, String)> {
        tables.into_iter().map(|(name, (fingerprint, content, _))| (name, (fingerprint, content))).collect()
    };
    assert_eq!(contents(tables(&scratch)), contents(before));
    let said = scratch.run(&["run", "--as-of", CLOCK]).exits(0);
    assert!(said.stderr.starts_with("nothing new: "), "{}", said.stderr);
}

#[test]
fn what_lands_after_an_upgrade_rebuilds_what_it_touches() {
    let scratch = project("shop");
    archive(&scratch);
    scratch.write("landing/rates-3.csv", "day,rate\n2024-06-05,7.5\n");
    let report = run(&scratch);
    assert_eq!(report["tables"].as_array().unwrap().len(), 0, "{report}");
    scratch.write("landing/visits-9.csv", "user_id,at,page\nu9,2024-06-09T10:00:00Z,/\n");
    let report = run(&scratch);
    let built: Vec<&str> =
        report["tables"].as_array().unwrap().iter().map(|table| table["table"].as_str().unwrap()).collect();
    assert_eq!(built, ["fct_visit"]);
    assert_eq!(scratch.rows("select user_id, count(*) from fct_visit group by 1 order by 1"), ["u1,2", "u9,1"]);
}

/// When calls began and on which day that was in the zone of the project, as published.
fn calls(scratch: &Scratch) -> Vec<String> {
    scratch.rows("select call_id, started_at, day from fct_call order by 1")
}

#[test]
fn times_with_a_zone_in_their_format_are_read_again() {
    let scratch = project("calls");
    assert_eq!(calls(&scratch)[0], "1,2024-03-01T07:30:00Z,2024-03-01");
    let _ = run(&scratch);
    let right =
        ["1,2024-03-01T15:30:00Z,2024-03-01", "2,2024-03-01T17:30:00Z,2024-03-02", "3,2024-03-02T15:30:00Z,2024-03-02"];
    assert_eq!(calls(&scratch), right);
    let said = scratch.run(&["run", "--as-of", CLOCK]).exits(0);
    assert!(said.stderr.starts_with("nothing new: "), "{}", said.stderr);
}

#[test]
fn a_file_that_is_gone_keeps_the_times_that_were_read_until_it_comes_back() {
    let scratch = project("calls");
    let path = scratch.path("landing/calls-2.csv");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let said = scratch.run(&["run", "--as-of", CLOCK]).exits(0);
    assert!(
        said.stderr.contains("warning: calls: this version reads landing/calls-2.csv differently"),
        "{}",
        said.stderr
    );
    assert_eq!(
        calls(&scratch),
        ["1,2024-03-01T15:30:00Z,2024-03-01", "2,2024-03-01T17:30:00Z,2024-03-02", "3,2024-03-02T07:30:00Z,2024-03-02"]
    );
    let said = scratch.run(&["run", "--as-of", CLOCK]).exits(0);
    assert!(said.stderr.starts_with("nothing new: "), "{}", said.stderr);
    std::fs::write(&path, bytes).unwrap();
    scratch.age();
    let _ = run(&scratch);
    assert_eq!(calls(&scratch)[2], "3,2024-03-02T15:30:00Z,2024-03-02");
}

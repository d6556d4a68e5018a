//! Branches: tables beside the current ones, over the same files, and how they come into force.

use std::collections::BTreeSet;

use crate::scratch::Scratch;

/// The KPI of orders by day, and another one: its largest order.
const SUM: &str = "select day, count(*) as orders, sum(amount) as amount from fct_order group by day\n";
const MOST: &str = "select day, count(*) as orders, max(amount) as amount from fct_order group by day\n";

const AMOUNTS: &str = "select day, amount from kpi_order_daily order by day";

fn run(scratch: &Scratch, arguments: &[&str]) -> String {
    let fixed = ["run", "--as-of", "2024-07-01"];
    scratch.run(&[&fixed, arguments].concat()).exits(0).stderr
}

/// A project that has published the sum, and built the largest order on a branch.
fn forked() -> Scratch {
    let scratch = Scratch::orders();
    run(&scratch, &[]);
    scratch.write("sql/kpi/kpi_order_daily.sql", MOST);
    run(&scratch, &["--branch", "largest"]);
    scratch
}

fn rows(scratch: &Scratch, arguments: &[&str]) -> String {
    scratch.run(&[&["show", AMOUNTS, "--format", "csv"], arguments].concat()).exits(0).stdout
}

fn parquet(scratch: &Scratch, folder: &str) -> BTreeSet<std::path::PathBuf> {
    scratch.files(folder).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn a_branch_has_tables_of_its_own_and_shares_what_is_equal() {
    let scratch = Scratch::orders();
    scratch.age();
    run(&scratch, &[]);
    let (orders, facts) = (parquet(&scratch, "warehouse/data/orders"), parquet(&scratch, "warehouse/data/fct_order"));
    let published = parquet(&scratch, "warehouse/published");
    scratch.write("sql/kpi/kpi_order_daily.sql", MOST);
    let plan = scratch.run(&["plan", "--branch", "largest", "--as-of", "2024-07-01"]).exits(0).stdout;
    assert!(plan.contains("0 files to read; 1 of 2 tables to build"), "{plan}");
    assert!(!scratch.path("warehouse/refs/largest").exists());
    let said = run(&scratch, &["--branch", "largest"]);
    assert!(said.contains("warehouse/branches/largest/current"), "{said}");
    assert_eq!(rows(&scratch, &[]), "day,amount\n2024-03-01,30.00\n");
    assert_eq!(rows(&scratch, &["--branch", "largest"]), "day,amount\n2024-03-01,20.00\n");
    // Nothing was written that is there already, and readers of main see what they saw.
    assert_eq!(parquet(&scratch, "warehouse/data/orders"), orders);
    assert_eq!(parquet(&scratch, "warehouse/data/fct_order"), facts);
    assert_eq!(parquet(&scratch, "warehouse/published"), published);
    assert!(scratch.path("warehouse/branches/largest/current/kpi_order_daily/part-0.parquet").exists());
    assert!(scratch.run(&["branch", "ls"]).exits(0).stdout.contains("ahead of main"));
    let history = scratch.run(&["history"]).exits(0).stdout;
    assert!(history.contains("all on largest"), "{history}");
    // What it built comes into force as it is.
    let said = scratch.run(&["publish", "--from", "largest"]).exits(0).stderr;
    assert!(said.contains("of `largest` is current"), "{said}");
    assert_eq!(rows(&scratch, &[]), "day,amount\n2024-03-01,20.00\n");
    assert!(scratch.run(&["branch", "ls"]).exits(0).stdout.contains("as main"));
    assert!(run(&scratch, &[]).contains("nothing new"));
    let again = scratch.run(&["publish", "--from", "largest"]).exits(0).stderr;
    assert_eq!(again, "the tables of `largest` are those of main\n");
}

#[test]
fn a_branch_that_main_left_behind_is_built_anew_before_it_comes_into_force() {
    let scratch = forked();
    scratch.write("sql/kpi/kpi_order_daily.sql", SUM);
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,5.00\n");
    scratch.age();
    run(&scratch, &[]);
    let refused = scratch.run(&["publish", "--from", "largest"]).exits(2).stderr;
    assert!(refused.contains("main has moved on since branch `largest` was built"), "{refused}");
    assert!(refused.contains("`opsmart run --branch largest` builds it upon what is there now"), "{refused}");
    assert!(scratch.run(&["branch", "ls"]).exits(0).stdout.contains("left behind by main"));
    scratch.write("sql/kpi/kpi_order_daily.sql", MOST);
    // The orders that landed are main's already.
    let plan = scratch.run(&["plan", "--branch", "largest", "--as-of", "2024-07-01"]).exits(0).stdout;
    assert!(plan.contains("0 files to read; 1 of 2 tables to build"), "{plan}");
    run(&scratch, &["--branch", "largest"]);
    let both = "day,amount\n2024-03-01,20.00\n2024-03-02,5.00\n";
    assert_eq!(rows(&scratch, &["--branch", "largest"]), both);
    let _ = scratch.run(&["publish", "--from", "largest"]).exits(0);
    assert_eq!(rows(&scratch, &[]), both);
}

#[test]
fn a_branch_is_held_and_released_by_itself() {
    let scratch = forked();
    let _ = scratch.run(&["rollback", "--branch", "largest"]).exits(0);
    assert_eq!(rows(&scratch, &["--branch", "largest"]), "day,amount\n2024-03-01,30.00\n");
    let refused = scratch.run(&["publish", "--from", "largest"]).exits(2).stderr;
    assert!(refused.contains("branch `largest` is held"), "{refused}");
    let _ = scratch.run(&["release", "--branch", "largest"]).exits(0);
    // On main, what comes from a branch waits like anything else after a rollback.
    let _ = scratch.run(&["publish", "--from", "largest"]).exits(0);
    let _ = scratch.run(&["rollback"]).exits(0);
    scratch.write("sql/kpi/kpi_order_daily.sql", &MOST.replace("max", "min"));
    run(&scratch, &["--branch", "least"]);
    let said = scratch.run(&["publish", "--from", "least"]).exits(3).stderr;
    assert!(said.contains("of `least` waits for `opsmart release`"), "{said}");
    assert_eq!(rows(&scratch, &[]), "day,amount\n2024-03-01,30.00\n");
    let _ = scratch.run(&["release"]).exits(0);
    assert_eq!(rows(&scratch, &[]), "day,amount\n2024-03-01,10.00\n");
}

#[test]
fn what_a_branch_needs_stays_until_it_is_removed() {
    let scratch = forked();
    let before = parquet(&scratch, "warehouse/data");
    let _ = scratch.run(&["gc", "--keep", "1"]).exits(0);
    assert_eq!(parquet(&scratch, "warehouse/data"), before);
    assert_eq!(rows(&scratch, &["--branch", "largest"]), "day,amount\n2024-03-01,20.00\n");
    assert_eq!(scratch.run(&["branch", "rm", "largest"]).exits(0).stderr, "removed branch `largest`\n");
    let _ = scratch.run(&["gc", "--keep", "1"]).exits(0);
    let after = parquet(&scratch, "warehouse/data");
    assert!(after.is_subset(&before) && after.len() < before.len());
    assert!(!scratch.path("warehouse/branches/largest").exists());
    assert_eq!(rows(&scratch, &[]), "day,amount\n2024-03-01,30.00\n");
}

#[test]
fn a_branch_that_is_not_there_is_told() {
    let scratch = forked();
    for command in [
        &["show", "kpi_order_daily", "--branch", "largets"][..],
        &["publish", "--from", "largets"],
        &["branch", "rm", "largets"],
    ] {
        let said = scratch.run(command).exits(2).stderr;
        assert!(said.contains("there is no branch `largets`\nhelp: did you mean `largest`?"), "{said}");
    }
    assert!(scratch.run(&["branch", "rm", "main"]).exits(2).stderr.contains("`main` is what readers see"));
    for name in ["../main", "", "a/b", ".x"] {
        let _ = scratch.run(&["run", "--branch", name]).exits(2);
    }
    assert!(!scratch.path("warehouse/main").exists());
    // By its own name main is what it is without.
    assert_eq!(rows(&scratch, &["--branch", "main"]), rows(&scratch, &[]));
}

//! What `check` warns of, beside the words of each warning in `tests/errors`.

use std::path::Path;

use crate::sample::shipped;
use crate::scratch::Scratch;

fn warned() -> Scratch {
    Scratch::copy_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors/W0302_xor_for_power"))
}

#[test]
fn warnings_are_told_each_time_and_fail_nothing() {
    let project = warned();
    let first = project.run(&["check"]).exits(0);
    assert!(first.stderr.ends_with("ok: 0 jobs, 1 dataset, 3 models, 0 checks, 2 warnings\n"), "{}", first.stderr);
    project.write("landing/orders-1.csv", "id,at,amount,status\n1,2024-03-01T10:00:00Z,10.00,open\n");
    // From here on there is a warehouse in which answers are remembered.
    let run = project.run(&["run"]).exits(0);
    assert!(!run.stderr.contains("W0302"), "{}", run.stderr);
    for _ in 0..2 {
        assert_eq!(project.run(&["check"]).exits(0).stderr, first.stderr);
    }
    project.write("sql/marts/fct_power.sql", "select id, power(2, 3) as eight from stg_orders\n");
    assert_eq!(project.run(&["check"]).exits(0).stderr, "ok: 0 jobs, 1 dataset, 3 models, 0 checks\n");
}

#[test]
fn who_asks_for_quiet_is_told_how_many() {
    let said = warned().run(&["check", "--quiet"]).exits(0);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str()),
        ("", "2 warnings: `opsmart check` shows what and where\n")
    );
}

#[test]
fn machines_are_told_of_each() {
    let said = warned().run(&["check", "--output", "json"]).exits(0);
    let document: serde_json::Value = serde_json::from_str(said.stdout.trim()).unwrap();
    assert_eq!(document["status"], "ok");
    let place =
        |warning: &serde_json::Value| (warning["code"].clone(), warning["line"].clone(), warning["column"].clone());
    let places: Vec<_> = document["warnings"].as_array().unwrap().iter().map(place).collect();
    assert_eq!(places, [("W0302".into(), 1.into(), 12.into()), ("W0302".into(), 1.into(), 28.into())]);
}

#[test]
fn what_is_shipped_is_not_warned_of() {
    let said = shipped().run(&["check"]).exits(0);
    assert!(said.stderr.starts_with("ok: ") && !said.stderr.contains("warning"), "{}", said.stderr);
    let starter = Scratch::empty();
    let _ = starter.run(&["init", "desk"]).exits(0);
    let said = starter.run(&["check", "--project-dir", "desk"]).exits(0);
    assert!(said.stderr.starts_with("ok: ") && !said.stderr.contains("warning"), "{}", said.stderr);
}

#[test]
fn a_slip_in_the_name_of_a_function_leads_to_none_that_is_refused() {
    for (written, proposed) in [
        ("nw()", "use `$as_of`, the one clock of a run"),
        ("curent_date()", "use `$as_of`, the one clock of a run"),
        ("first_valu(id)", "did you mean `first_value`?"),
        ("locl_day(at, 'UTC')", "did you mean `local_day`?"),
    ] {
        let project = warned();
        project.write("sql/marts/fct_power.sql", &format!("select id, {written} as x from stg_orders\n"));
        let said = project.run(&["check"]).exits(2);
        assert!(said.stderr.contains(proposed), "{written}: {}", said.stderr);
    }
    for written in ["randm()", "any_valu(id)", "uuidd()"] {
        let project = warned();
        project.write("sql/marts/fct_power.sql", &format!("select {written} as x from stg_orders\n"));
        let said = project.run(&["check"]).exits(2);
        for refused in ["`rand`", "`random`", "`any_value`", "`uuid`"] {
            assert!(!said.stderr.contains(refused), "{written}: {}", said.stderr);
        }
    }
}

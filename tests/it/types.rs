//! What a column of a model is of, where its query leaves several types to choose from.

use crate::scratch::Scratch;

/// Publishes models without any inputs.
fn published(models: &[(&str, &str)]) -> Scratch {
    let scratch = Scratch::with(&[("opsmart.toml", "reporting_zone = \"UTC\"\n")]);
    for (name, sql) in models {
        scratch.write(&format!("sql/{name}.sql"), &format!("{sql}\n"));
    }
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    scratch
}

#[test]
fn a_case_and_a_union_are_of_the_type_that_all_their_branches_can_be() {
    let scratch = published(&[
        (
            "marts/fct_case",
            "select k, case when n = 0 then 0 else k * 1.0 / n end as share from (values (1, 0), (1, 4), (7, 2)) as t(k, n)",
        ),
        ("marts/fct_union", "select 1 as x union all select 2.75 as x"),
        (
            "marts/fct_sum",
            "select sum(case when k = 1 then 0 else 0.25 end) as x, max(case when k = 1 then 0 else 0.25 end) as most from (values (1), (2), (3)) as t(k)",
        ),
        (
            "marts/fct_scale",
            "select arrow_cast(1, 'Decimal128(9, 1)') as x union all select arrow_cast(0.125, 'Decimal128(12, 3)')",
        ),
        (
            "marts/fct_time",
            "select cast('2024-03-01' as date) as at union all select cast('2024-03-02T10:30:00' as timestamp)",
        ),
        ("marts/fct_group", "select x, count(*) as n from (select 1 as x union all select 1.5 as x) group by x"),
        ("marts/fct_text", "select 1 as x union all select 'one' as x"),
    ]);
    assert_eq!(scratch.rows("select k, share from fct_case order by k, share"), ["1,0.0", "1,0.25", "7,3.5"]);
    assert_eq!(scratch.rows("select x from fct_union order by x"), ["1.0", "2.75"]);
    assert_eq!(scratch.rows("select x, most from fct_sum"), ["0.5,0.25"]);
    assert_eq!(scratch.rows("select x from fct_scale order by x"), ["0.125", "1.000"]);
    assert_eq!(scratch.rows("select at from fct_time order by at"), ["2024-03-01T00:00:00Z", "2024-03-02T10:30:00Z"]);
    assert_eq!(scratch.rows("select x, n from fct_group order by x"), ["1.0,1", "1.5,1"]);
    assert_eq!(scratch.rows("select x from fct_text order by x"), ["1", "one"]);
}

#[test]
fn there_is_one_zero() {
    let scratch = published(&[("marts/fct_zero", "select 0.0 as x")]);
    scratch.write("sql/marts/fct_zero.sql", "select -cast(0 as double) as x\n");
    let said = scratch.run(&["run", "--output", "json", "--as-of", "2024-07-01"]).exits(0).stdout;
    let report: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(report["tables"][0]["changed"], false, "{said}");
    assert_eq!(scratch.rows("select x from fct_zero"), ["0.0"]);
}

#[test]
fn a_view_has_the_same_types_for_those_who_read_it_as_a_table() {
    let view = "select k, case when k = 1 then 0 else 0.25 * k end as share from (values (1), (2), (3)) as t(k)";
    let mart = "select k, share, share * 2 as twice, share > 0.6 as is_big from int_share";
    let expected = ["1,0.0,0.0,false", "2,0.5,1.0,false", "3,0.75,1.5,true"];
    let scratch = published(&[("intermediate/int_share", view), ("marts/fct_share", mart)]);
    assert_eq!(scratch.rows("select * from fct_share order by k"), expected);
    scratch.write("schemas/models/int_share.toml", "stored = true\n");
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    assert_eq!(scratch.rows("select * from fct_share order by k"), expected);
}

#[test]
fn a_union_of_buckets_of_two_types_is_proved_of_neither() {
    let contract = |name: &str, kind: &str| {
        format!(
            r#"from = "{{landing}}/{name}-*.csv"
format = {{ type = "csv" }}
partition = {{ bucket = "u", buckets = 4 }}
[columns]
u = "{kind}"
n = "int64"
"#
        )
    };
    for (one, other) in
        [("int64", "string"), ("string", "int64"), ("decimal(9,1)", "int64"), ("decimal(9,2)", "decimal(9,1)")]
    {
        let project = |scratch: &Scratch| {
            scratch.write("schemas/sources/a.toml", &contract("a", one));
            scratch.write("schemas/sources/b.toml", &contract("b", other));
            scratch.write("schemas/models/fct_u.toml", "partition = { bucket = \"u\", buckets = 4 }\n");
            scratch.write("landing/a-1.csv", "u,n\n1,1\n2,1\n3,1\n");
            scratch.write("landing/b-1.csv", "u,n\n1,10\n2,10\n3,10\n");
        };
        let scratch = Scratch::with(&[
            ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
            ("sql/staging/stg_a.sql", "select u, n from a\n"),
            ("sql/staging/stg_b.sql", "select u, n from b\n"),
            ("sql/marts/fct_u.sql", "select u, n from stg_a union all select u, n from stg_b\n"),
        ]);
        project(&scratch);
        let run = || scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
        let _ = run();
        for late in 4..8 {
            scratch.write(&format!("landing/b-{late}.csv"), &format!("u,n\n{late},10\n"));
            let _ = run();
        }
        let rows = || scratch.rows("select u, n from fct_u order by u, n");
        let after_changes = rows();
        assert_eq!(after_changes.len(), 10, "{one} and {other}: {after_changes:?}");
        std::fs::remove_dir_all(scratch.path("warehouse")).unwrap();
        let _ = run();
        assert_eq!(rows(), after_changes, "{one} and {other}");
    }
}

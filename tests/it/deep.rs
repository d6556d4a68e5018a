//! SQL of any length and depth is let through or a mistake at its place; it never ends the process.

use proptest::prelude::*;

use crate::scratch::Scratch;

const SETTINGS: &str = "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n";
const CONTRACT: &str =
    "from = \"{landing}/t-*.csv\"\nformat = { type = \"csv\" }\n[columns]\nid = \"int64!\"\nat = \"timestamp\"\n";

/// What is made longer or deeper: of an expression what stands before, in and after it, so many times; or what stands
/// between its links.
enum Shape {
    Nested(&'static str, &'static str, &'static str),
    Chain(&'static str, &'static str),
}

impl Shape {
    fn of(&self, size: usize) -> String {
        match self {
            Self::Nested(before, inside, after) => format!("{}{inside}{}", before.repeat(size), after.repeat(size)),
            Self::Chain(link, between) => vec![*link; size].join(between),
        }
    }
}

/// Shapes of a value.
const VALUES: &[Shape] = &[
    Shape::Chain("id = 1", " or "),
    Shape::Chain("id = 1", " and "),
    Shape::Chain("id", " + "),
    Shape::Chain("1", " * "),
    Shape::Chain("'x'", " || "),
    Shape::Chain("id", " is distinct from "),
    Shape::Chain("'a'", " like "),
    Shape::Chain("case when id = 1 then 2 end", " + "),
    Shape::Nested("(", "id", ")"),
    Shape::Nested("(1 + ", "id", ")"),
    Shape::Nested("abs(", "id", ")"),
    Shape::Nested("coalesce(id, ", "1", ")"),
    Shape::Nested("nullif(", "id", ", 1)"),
    Shape::Nested("case when id > 1 then ", "1", " else 0 end"),
    Shape::Nested("case when id > 1 then 1 else ", "0", " end"),
    Shape::Nested("not ", "(id = 1)", ""),
    Shape::Nested("- ", "id", ""),
    Shape::Nested("cast(", "id", " as bigint)"),
    Shape::Nested("", "id", "::bigint"),
    Shape::Nested("", "id", " is null"),
    Shape::Nested("", "make_array(1)", "[1]"),
    Shape::Nested("[", "1", "]"),
    Shape::Nested("{a: ", "1", "}"),
    Shape::Nested("(select max(", "id", ") from stg_t)"),
    Shape::Nested("exists (select 1 from stg_t where ", "true", ")"),
    Shape::Nested("id in (select id from stg_t where ", "true", ")"),
    Shape::Nested("id between 1 and ", "5", ""),
    Shape::Nested("sum(", "id", ") over ()"),
    Shape::Nested("concat('x', ", "'x'", ")"),
    Shape::Nested("array_length([", "1", "])"),
];

/// Shapes of a query.
const QUERIES: &[Shape] = &[
    Shape::Chain("select id from stg_t", " union all "),
    Shape::Chain("select id from stg_t", " union "),
    Shape::Chain("select id from stg_t", " except "),
    Shape::Nested("(select id from stg_t union all ", "select id from stg_t", ")"),
    Shape::Nested("select id from stg_t union all (", "select id from stg_t", ")"),
    Shape::Nested("select id from (", "select id from stg_t", ") as q"),
    Shape::Nested("with c as (", "select id from stg_t", ") select id from c"),
    Shape::Nested("select a.id from stg_t as a, lateral (", "select id from stg_t", ") as b"),
    Shape::Nested("select id from stg_t where id in (", "select id from stg_t", ")"),
    Shape::Nested("/*", " select id from stg_t ", "*/"),
];

/// Queries whose parts are numbered.
fn numbered(size: usize) -> Vec<String> {
    let each = |from: usize, part: &dyn Fn(usize) -> String, between: &str| {
        (from..size).map(part).collect::<Vec<_>>().join(between)
    };
    let ctes = |body: &dyn Fn(usize) -> String| {
        let rest = each(1, &|n| format!(", c{n} as ({})", body(n - 1)), "");
        format!("with c0 as (select id from stg_t){rest} select id from c{}", size.max(1) - 1)
    };
    vec![
        format!("select id, id in ({}) as x from stg_t", each(0, &|n| n.to_string(), ", ")),
        format!("select id, case {} end as x from stg_t", each(0, &|n| format!("when id = {n} then {n}"), " ")),
        format!("select {} from stg_t", each(0, &|n| format!("id + {n} as c{n}"), ", ")),
        format!("select id from (values {}) as v(id)", each(0, &|n| format!("({n})"), ", ")),
        format!("select t0.id from stg_t as t0{}", each(1, &|n| format!(" join stg_t as t{n} on t{n}.id = t0.id"), "")),
        format!("select t0.id from {}", each(0, &|n| format!("stg_t as t{n}"), ", ")),
        ctes(&|n| format!("select id from c{n} where id <> {n}")),
        ctes(&|n| format!("select id from c{n} union all select id from c{n}")),
        ctes(&|n| format!("select a.id from c{n} as a join c{n} as b on a.id = b.id")),
    ]
}

fn project() -> Scratch {
    Scratch::with(&[
        ("opsmart.toml", SETTINGS),
        ("schemas/sources/t.toml", CONTRACT),
        ("sql/staging/stg_t.sql", "select id, at from t\n"),
    ])
}

/// Checks one project with all queries as models; what is wrong has to be told at a place of its file.
fn check(queries: &[String]) {
    let scratch = project();
    for (number, query) in queries.iter().enumerate() {
        scratch.write(&format!("sql/marts/fct_{number:03}.sql"), query);
    }
    let said = scratch.run(&["check", "--output", "json"]);
    let begins = |number: usize| queries[number].chars().take(100).collect::<String>();
    assert!(matches!(said.exit, 0 | 2), "exit {}: {}", said.exit, said.stderr.chars().take(2000).collect::<String>());
    if said.exit == 0 {
        return;
    }
    let document: serde_json::Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    for mistake in document["mistakes"].as_array().unwrap() {
        let file = mistake["file"].as_str().unwrap();
        let number: usize = file.trim_start_matches("sql/marts/fct_").trim_end_matches(".sql").parse().unwrap();
        let message = mistake["message"].as_str().unwrap();
        assert!(!message.contains("recursion") && message.len() < 500, "{}: {message}", begins(number));
    }
}

#[test]
fn long_and_deep_sql_is_right_or_a_mistake() {
    for size in [20, 200, 2_000, 20_000] {
        let values = VALUES.iter().map(|shape| format!("select id, {} as x from stg_t\n", shape.of(size)));
        let queries = QUERIES.iter().map(|shape| format!("{}\n", shape.of(size)));
        // Of very many columns a right query takes its time.
        let numbered = if size > 2_000 { Vec::new() } else { numbered(size) };
        let all: Vec<String> = values.chain(queries).chain(numbered).filter(|sql| sql.len() < 1_000_000).collect();
        check(&all);
    }
}

#[test]
fn what_people_write_is_not_too_deep() {
    let usual: [String; 9] = [
        QUERIES[0].of(300),
        format!("select id, {} as x from stg_t", VALUES[0].of(500)),
        format!("select id, {} as x from stg_t", VALUES[2].of(900)),
        format!("select id, {} as x from stg_t", VALUES[3].of(900)),
        format!("select id, {} as x from stg_t", VALUES[7].of(250)),
        format!("select id, id{} as x from stg_t", " * 2 / 2".repeat(450)),
        format!("select id, {} as x from stg_t", VALUES[8].of(60)),
        format!("select id, {} as x from stg_t", VALUES[14].of(50)),
        numbered(100).swap_remove(6),
    ];
    let scratch = project();
    for (number, query) in usual.iter().enumerate() {
        scratch.write(&format!("sql/marts/fct_{number:03}.sql"), query);
    }
    // A hundred views, each of the one before.
    for number in 1..100 {
        let query = format!("select id from int_v{:03} where id <> {number}\n", number - 1);
        scratch.write(&format!("sql/intermediate/int_v{number:03}.sql"), &query);
    }
    scratch.write("sql/intermediate/int_v000.sql", "select id from stg_t\n");
    scratch.write("sql/marts/fct_views.sql", "select id from int_v099\n");
    scratch.write("landing/t-1.csv", "id,at\n1,2024-01-01T00:00:00Z\n");
    let _ = scratch.run(&["check"]).exits(0);
    let _ = scratch.run(&["run"]).exits(0);
}

#[test]
fn views_that_multiply_are_a_mistake() {
    let scratch = project();
    scratch.write("sql/intermediate/int_v000.sql", "select id from stg_t\n");
    for number in 1..40 {
        let before = format!("int_v{:03}", number - 1);
        let query = format!("select a.id from {before} as a join {before} as b on a.id = b.id\n");
        scratch.write(&format!("sql/intermediate/int_v{number:03}.sql"), &query);
    }
    scratch.write("sql/marts/fct_views.sql", "select id from int_v039\n");
    let said = scratch.run(&["check"]).exits(2);
    assert!(said.stderr.contains("error[E0322]"), "{}", said.stderr);
    assert!(said.stderr.contains("sql/intermediate/int_v010.sql:1:18"), "{}", said.stderr);
}

#[test]
fn an_expression_in_a_contract_is_as_little_too_deep() {
    for shape in [&VALUES[0], &VALUES[8], &VALUES[13]] {
        for size in [20, 20_000] {
            let scratch = project();
            scratch.write("sql/marts/fct_t.sql", "select id from stg_t\n");
            let condition = format!("({}) is not null", shape.of(size));
            scratch.write("schemas/models/fct_t.toml", &format!("[checks]\nodd = {{ assert = \"{condition}\" }}\n"));
            let said = scratch.run(&["check"]);
            assert!(matches!(said.exit, 0 | 2), "exit {}: {}", said.exit, said.stderr.len());
        }
    }
}

/// A value with others in it, of random shapes and sizes.
fn value(depth: u32) -> BoxedStrategy<String> {
    let leaf =
        prop_oneof![Just("id".to_owned()), Just("1".to_owned()), Just("null".to_owned()), Just("'x'".to_owned())];
    leaf.prop_recursive(depth, 2_000, 4, |inner| {
        prop_oneof![
            (inner.clone(), 1..400_usize, 0..VALUES.len()).prop_map(|(inside, size, shape)| match &VALUES[shape] {
                Shape::Nested(before, _, after) => {
                    let size = size % 40;
                    format!("{}{inside}{}", before.repeat(size), after.repeat(size))
                }
                Shape::Chain(_, between) => format!("({})", vec![inside.as_str(); size % 60].join(between)),
            }),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(({a}) = ({b}))")),
            prop::collection::vec(inner, 1..20).prop_map(|parts| format!("concat({})", parts.join(", "))),
        ]
    })
    .prop_filter("a file has a megabyte at most", |sql| sql.len() < 500_000)
    .boxed()
}

/// How many random projects are checked: a few, or as many as `OPSMART_STRESS` says.
fn cases() -> u32 {
    std::env::var("OPSMART_STRESS").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn random_sql_is_right_or_a_mistake(values in prop::collection::vec(value(6), 10)) {
        let queries: Vec<String> = values.iter().map(|value| format!("select id, {value} as x from stg_t\n")).collect();
        check(&queries);
    }
}

//! What `check` finds right does not fail in a run for its SQL, and what fails says where.

use std::collections::BTreeMap;

use crate::scratch::{Said, Scratch};

/// Expressions that fail whatever the data, or do not bind, and what of them is to blame.
const WRONG: &[(&str, &str, &str)] = &[
    // Literals of another type than what they meet.
    ("E0321", "coalesce(id, 'none')", "'none'"),
    ("E0305", "coalesce(day, 'never')", "coalesce"),
    ("E0321", "nullif(id, 'none')", "'none'"),
    ("E0321", "greatest(id, 'none')", "'none'"),
    ("E0321", "id = 'x'", "'x'"),
    ("E0321", "id in (1, 'b')", "'b'"),
    ("E0321", "id between 'a' and 5", "'a'"),
    ("E0321", "day = 'heute'", "'heute'"),
    ("E0321", "day > '2024-02-30'", "'2024-02-30'"),
    ("E0321", "at < 'gestern'", "'gestern'"),
    ("E0304", "flag = 'maybe'", "flag"),
    ("E0321", "amount > 'much'", "'much'"),
    ("E0321", "share = 'half'", "'half'"),
    ("E0321", "case id when 'x' then 1 end", "'x'"),
    ("E0321", "case when id > 1 then day else 'never' end", "'never'"),
    ("E0321", "case when id = 'x' then 1 else 2 end", "'x'"),
    ("E0321", "not (id = 'x')", "'x'"),
    ("E0321", "word = 'ok' and id = 'x'", "'x'"),
    ("E0321", "lag(id, 1, 'none') over (order by id)", "lag(id, 1, 'none'"),
    // Casts of literals.
    ("E0321", "cast('x' as int)", "'x'"),
    ("E0321", "'x'::bigint", "'x'"),
    ("E0321", "cast('99999999999999999999' as bigint)", "'99999999999999999999'"),
    ("E0321", "cast('maybe' as boolean)", "'maybe'"),
    ("E0321", "cast('1,5' as double)", "'1,5'"),
    ("E0321", "cast('12.3.4' as decimal(10,2))", "'12.3.4'"),
    ("E0321", "cast(300 as tinyint)", "300"),
    ("E0321", "cast(12345 as decimal(4,2))", "12345"),
    ("E0321", "date '2024-13-01'", "'2024-13-01'"),
    ("E0321", "date 'heute'", "'heute'"),
    ("E0321", "timestamp 'heute'", "'heute'"),
    ("E0321", "timestamp '2024-01-01 25:00:00'", "'2024-01-01 25:00:00'"),
    ("E0304", "interval '1 fortnight'", "'1 fortnight'"),
    ("E0304", "at - interval 'x'", "'x'"),
    ("E0304", "cast(word as number)", "number"),
    // Arithmetic.
    ("E0321", "1 / 0", "1 / 0"),
    ("E0321", "id / 0", "id / 0"),
    ("E0321", "id % 0", "id % 0"),
    ("E0321", "amount / 0", "amount / 0"),
    ("E0321", "id / (2 - 2)", "id / (2 - 2"),
    // In a chain it is the first link that fails, and what is written as numbers is computed by itself.
    ("E0321", "9223372036854775807 + 1", "9223372036854775807 + 1"),
    ("E0321", "9223372036854775807 + 1 + 2 - id", "9223372036854775807 + 1"),
    ("E0321", "id + 2 * 9223372036854775807 + 1", "2 * 9223372036854775807"),
    ("E0321", "id * 2 / 0 * 3 + 1", "id * 2 / 0"),
    // Parts of dates, formats, zones.
    ("E0321", "date_trunc('fortnight', at)", "date_trunc('fortnight', at"),
    ("E0321", "date_part('fortnight', at)", "date_part('fortnight', at"),
    ("E0321", "extract(fortnight from at)", "at"),
    ("E0321", "date_bin(interval '0 seconds', at)", "date_bin(interval '0 seconds', at"),
    ("E0321", "to_char(at, '%Q')", "to_char(at, '%Q'"),
    ("E0321", "to_timestamp(word, '%Q')", "to_timestamp(word, '%Q'"),
    ("E0321", "to_date(word, '%Y-%Q')", "to_date(word, '%Y-%Q'"),
    ("E0321", "local_day(at, 'Mars/Base')", "local_day(at, 'Mars/Base'"),
    ("E0321", "at at time zone 'Mars/Base'", "at at time zone 'Mars/Base'"),
    ("E0321", "make_date(2024, 13, 1)", "make_date(2024, 13, 1"),
    // Patterns.
    ("E0321", "regexp_like(word, '(')", "regexp_like(word, '('"),
    ("E0321", "regexp_replace(word, '[', '')", "regexp_replace(word, '[', ''"),
    ("E0321", "regexp_match(word, '*')[1]", "regexp_match(word, '*'"),
    ("E0321", "word ~ '('", "word ~ '('"),
    ("E0321", "word !~ '('", "word !~ '('"),
    ("E0311", "word similar to '('", "word similar to '('"),
    // Arguments that no function takes.
    ("E0321", "ntile(0) over (order by id)", "ntile(0"),
    ("E0321", "ntile(id) over (order by id)", "ntile(id"),
    ("E0321", "lag(id, id) over (order by at)", "lag(id, id"),
    ("E0321", "lead(word, id) over (order by at)", "lead(word, id"),
    ("E0321", "nth_value(id, id) over (order by at)", "nth_value(id, id"),
    ("E0321", "ema(share, 0) over (order by id)", "ema(share, 0"),
    ("E0321", "bool_or(flag) over (order by id rows between 1 preceding and 1 following)", "bool_or(flag"),
    ("E0321", "bool_and(flag) over (order by id rows 2 preceding)", "bool_and(flag"),
    ("E0321", "substr(word, 1, -1)", "word, 1, -1"),
    ("E0321", "split_part(word, ',', 0)", "split_part(word, ',', 0"),
    ("E0321", "chr(-1)", "chr(-1"),
    ("E0321", "factorial(-1)", "factorial(-1"),
    ("E0321", "encode(word, 'base99')", "encode(word, 'base99'"),
    ("E0321", "encode(digest(word, 'md99'), 'hex')", "digest(word, 'md99'"),
    ("E0321", "range(1, 100000000000)[1]", "range(1, 100000000000"),
    ("E0321", "repeat(word, 100000000000)", "repeat(word, 100000000000"),
    ("E0321", "repeat('x', 100000000000)", "repeat('x', 100000000000"),
    // Functions and types.
    ("E0305", "sum(word) over ()", "sum"),
    ("E0305", "avg(flag) over ()", "avg"),
    ("E0305", "round(id, 'x')", "round"),
    ("E0305", "upper(id)", "upper"),
    ("E0305", "abs(word)", "abs"),
    ("E0305", "power(id)", "power"),
    ("E0305", "row_number()", "row_number"),
    ("E0305", "mod(id, 2)", "mod"),
    ("E0305", "iff(id > 1, 1, 0)", "iff"),
    ("E0305", "datediff('day', at, at)", "datediff"),
    ("E0304", "unnest(id)", "unnest"),
    ("E0304", "word like 5", "like"),
    ("E0323", "id // 2", "id // 2"),
    ("E0301", "id div 2", "div"),
    ("E0323", "word -> 'a'", "word -> 'a'"),
    ("E0323", "word collate nocase", "word"),
    // Subqueries.
    ("E0320", "(select max(b.id) from stg_events as b where b.at < stg_events.at)", "select max"),
    ("E0324", "exists (select 1)", "select 1"),
    ("E0320", "exists (select 1 from stg_events as b where b.id > stg_events.id)", "select 1"),
    ("E0311", "id in (select b.id from stg_events as b where b.word = stg_events.word)", "id in"),
    ("E0304", "(select id, at from stg_events as b)", "select id, at"),
    ("E0303", "(select nosuch from stg_events as b)", "nosuch"),
];

/// Queries of which the same is true.
const WRONG_QUERIES: &[(&str, &str, &str)] = &[
    ("E0305", "select sum(word) as x from stg_events", "sum"),
    ("E0305", "select sum(id > 1) as x from stg_events", "sum"),
    ("E0305", "select median(word) as x from stg_events", "median"),
    ("E0305", "select count_if(id > 1) as x from stg_events", "count_if"),
    // No ORDER BY makes these the same each time.
    ("E0307", "select any_value(id order by id) as x from stg_events", "any_value"),
    (
        "E0307",
        "select approx_percentile_cont(0.5) within group (order by id) as x from stg_events",
        "approx_percentile_cont",
    ),
    ("E0305", "select arg_max(id, at) as x from stg_events", "arg_max"),
    ("E0305", "select listagg(word, ', ') as x from stg_events", "listagg"),
    ("E0321", "select percentile_cont(2) within group (order by id) as x from stg_events", "percentile_cont"),
    ("E0321", "select string_agg(word, word order by id) as x from stg_events", "string_agg(word, word"),
    ("E0321", "select id from stg_events where day >= 'heute'", "'heute'"),
    ("E0321", "select id from stg_events group by id having sum(amount) > 'much'", "'much'"),
    ("E0321", "select a.id from stg_events as a join stg_events as b on a.id = b.id and b.day = 'heute'", "'heute'"),
    ("E0321", "select id from stg_events order by id = 'x', id limit 5", "'x'"),
    ("E0321", "with a as (select id from stg_events where id = 'x') select id from a", "'x'"),
    ("E0321", "select id from (values (1), ('x')) as v(id)", "'x'"),
    ("E0321", "select sum(id) filter (where 'x') as x from stg_events", "'x'"),
    ("E0304", "select id from stg_events where word", "word"),
    ("E0304", "select count(*) as n from stg_events where count(*) > 1", "where"),
    ("E0304", "select id from stg_events group by id having at > $as_of", "at > $as_of"),
    ("E0304", "select sum(id) over w as x from stg_events", "w as"),
    ("E0304", "select id from stg_events order by 5", "5"),
    ("E0304", "select max(id) as x from stg_events group by 5", "5"),
    ("E0303", "select id from stg_events order by nosuch", "nosuch"),
    ("E0303", "select a.id from stg_events as a join stg_events as b using (nosuch)", "nosuch"),
    (
        "E0320",
        "select a.id, c.at from stg_events as a, lateral (select b.at from stg_events as b where b.at < a.at order by b.at limit 1) as c",
        "select b.at",
    ),
    ("E0320", "select id, w from stg_events, unnest(string_to_array(word, ' ')) as u(w)", "unnest"),
    ("E0323", "select * from (select id, word from stg_events) pivot (count(*) for word in ('a', 'b'))", "pivot"),
    ("E0323", "select * from (select id, share from stg_events) unpivot (v for k in (share))", "unpivot"),
    (
        "E0323",
        "select a.id from stg_events a asof join stg_events b match_condition (a.at >= b.at) on a.id = b.id",
        "asof",
    ),
    ("E0323", "select a.id from stg_events a semi join stg_events b on a.id = b.id", "semi"),
    ("E0323", "select a.id from stg_events a anti join stg_events b on a.id = b.id", "anti"),
    ("E0323", "select top 5 id from stg_events", "top"),
    ("E0323", "select from stg_events", "select"),
];

/// Expressions that can be computed for some rows, and are none of `check`'s business.
const RIGHT: &[&str] = &[
    "coalesce(id, '5')",
    "day = '2024-01-31'",
    "cast(word as bigint) is null and false",
    "try_cast(word as bigint)",
    "try_cast('x' as bigint)",
    "id / nullif(id, 0)",
    "amount / 2",
    "date_trunc('week', at)",
    "extract(dow from day)",
    "date_part('epoch', at)",
    "to_char(at, '%Y-%m-%d %H:%M')",
    "to_timestamp('31.01.2024', '%d.%m.%Y')",
    "case when word = 'nosuch' then to_timestamp(word, '%d.%m.%Y') end",
    "case when word = 'nosuch' then to_date(word, '%d.%m.%Y') end",
    "case when word = 'nosuch' then cast(word as date) end",
    "case when false then 1 / 0 else 1 end",
    // For some values of the column it fits.
    "case when id < 0 then id + 9223372036854775807 + 1000 end",
    "case when id > 100 then id - 9223372036854775807 - 100 end",
    "local_day(at, $reporting_zone)",
    "local_day($as_of, 'Asia/Shanghai')",
    "at at time zone 'Asia/Shanghai'",
    "make_date(2024, 2, 28)",
    "case when id = 99 then make_date(2024, 2, id) end",
    "regexp_like(word, '^a.*(b|c)$')",
    "regexp_replace(word, '\\s+', ' ', 'g')",
    "regexp_match(word, '(\\w+)')[1]",
    "word ~ '^a'",
    "word like 'a%'",
    "ntile(4) over (order by id)",
    "lag(id, 2) over (order by id)",
    "lag(id, 1, 0) over (order by id)",
    "first_value(word) over (order by id)",
    "nth_value(id, 2) over (order by id)",
    "ema(share, 3) over (order by id)",
    "sum(amount) over (order by id rows between 2 preceding and current row)",
    "min(word) over (order by id rows between 1 preceding and 1 following)",
    "avg(share) over (order by id rows 3 preceding)",
    "count(*) over (order by id rows 3 preceding)",
    "bool_or(flag) over (order by id rows unbounded preceding)",
    "substr(word, 2, 3)",
    "split_part(word, ' ', 2)",
    "lpad(word, 20, '-')",
    "left(word, 2) || right(word, 2)",
    "strpos(word, 'a')",
    "chr(65)",
    "array_length(string_to_array(word, ' '))",
    "unnest(string_to_array(word, ' '))",
    "json_text(word, 'a.b')",
    "wilson_lower(cast(id as double), 10)",
    "round(share, 2)",
    "greatest(id, 5)",
    "date_bin(interval '15 minutes', at)",
    "at + interval '1 day'",
    "day - date '2024-01-01'",
    "cast(share as decimal(10,2))",
    "cast(at as date)",
    "cast(id as varchar)",
    "md5(word)",
    "(select max(b.id) from stg_events as b)",
    "(select max(b.id) from stg_events as b where b.word = stg_events.word)",
    "concat(word, id, share)",
    "array_to_string(make_array('a', word), ',')",
    "range(1, 5)[2]",
    "repeat(word, 2)",
    "power(2, id)",
    "decode(encode(word, 'base64'), 'base64') is null",
];

/// What a project of one dataset has besides models.
const PROJECT: &[(&str, &str)] = &[
    ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
    (
        "schemas/sources/events.toml",
        r#"from = "{landing}/events-*.csv"
format = { type = "csv" }
[columns]
id = "int64!"
at = "timestamp!"
day = "date"
amount = "decimal(10,2)"
share = "float64"
word = "string"
flag = "boolean"
"#,
    ),
    ("sql/staging/stg_events.sql", "select id, at, day, amount, share, word, flag from events\n"),
    (
        "landing/events-1.csv",
        "id,at,day,amount,share,word,flag
1,2024-03-01T10:00:00Z,2024-03-01,10.00,0.5,a b,true
2,2024-03-02T10:00:00Z,2024-03-02,0.00,0.0,c,false
3,2024-03-03T10:00:00Z,,,,,
",
    ),
];

fn query_of(expression: &str) -> String {
    format!("select\n    id,\n    {expression} as x\nfrom stg_events\n")
}

/// Mistakes of each model: code, line and column, message.
fn mistakes(said: &Said) -> BTreeMap<String, Vec<(String, u64, u64, String)>> {
    let document: serde_json::Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for mistake in document["mistakes"].as_array().unwrap() {
        let text = |key: &str| mistake[key].as_str().unwrap().to_owned();
        let number = |key: &str| mistake[key].as_u64().unwrap();
        let told = (text("code"), number("line"), number("column"), text("message"));
        found.entry(text("file")).or_default().push(told);
    }
    found
}

/// Words of the engine about itself.
const OF_THE_ENGINE: &[&str] = &[
    "bug report",
    "internal error",
    "Internal error",
    "Arrow error",
    "DataFusion",
    "Utf8",
    "Int64",
    "Span(",
    "Ident {",
    "ast node",
    "not implemented",
    "Error during planning",
    "External error",
    "Execution error",
    "signature",
];

#[test]
fn what_fails_whatever_the_data_is_a_mistake_at_its_place() {
    let queries: Vec<(&str, String, &str)> = WRONG
        .iter()
        .map(|(code, expression, to_blame)| (*code, query_of(expression), *to_blame))
        .chain(WRONG_QUERIES.iter().map(|(code, query, to_blame)| (*code, format!("{query}\n"), *to_blame)))
        .collect();
    let scratch = Scratch::with(PROJECT);
    for (number, (_, query, _)) in queries.iter().enumerate() {
        scratch.write(&format!("sql/marts/fct_{number:03}.sql"), query);
    }
    let said = scratch.run(&["check", "--output", "json"]).exits(2);
    let found = mistakes(&said);
    let mut wrong = Vec::new();
    for (number, (code, query, to_blame)) in queries.iter().enumerate() {
        let file = format!("sql/marts/fct_{number:03}.sql");
        let none = Vec::new();
        let told = found.get(&file).unwrap_or(&none);
        let at = query.find(to_blame).unwrap();
        let line = query[..at].matches('\n').count() as u64 + 1;
        let column = query[..at].rsplit('\n').next().unwrap().chars().count() as u64 + 1;
        if !told.iter().any(|(known, l, c, _)| known == code && (*l, *c) == (line, column)) {
            wrong.push(format!("{query}  expected {code} at {line}:{column}, got {told:?}"));
        }
        for (_, _, _, message) in told {
            if let Some(word) = OF_THE_ENGINE.iter().find(|word| message.contains(**word)) {
                wrong.push(format!("{query}  says `{word}`: {message}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), queries.len(), wrong.join("\n"));
}

#[test]
fn what_can_be_computed_is_right_and_runs() {
    let scratch = Scratch::with(PROJECT);
    for (number, expression) in RIGHT.iter().enumerate() {
        scratch.write(&format!("sql/marts/fct_{number:03}.sql"), &query_of(expression));
    }
    let _ = scratch.run(&["check"]).exits(0);
    let _ = scratch.run(&["run"]).exits(0);
}

/// A run that fails says where, and over which values.
#[test]
fn what_fails_for_a_value_is_told_with_its_place_and_the_value() {
    for (query, at, words) in [
        ("select id, cast(word as bigint) as n from stg_events", "1:17", "word = 'a b'"),
        ("select id, 100 / cast(amount as bigint) as n from stg_events", "1:12", "amount = 0.00"),
        ("select id from stg_events where cast(word as date) > date '2024-01-01'", "1:38", "word = 'a b'"),
        ("select sum(cast(word as bigint)) as n from stg_events", "1:17", "word = 'a b'"),
        ("select count(*) as n from stg_events group by cast(word as int)", "1:52", "word = 'a b'"),
        ("select id, 1 + id * 4611686018427387904 - 7 + id as n from stg_events", "1:16", "id = 2"),
        ("select id, id + 9223372036854775805 + id - 9 as n from stg_events", "1:12", "id = 2"),
        (
            "with words as (select id, word as text from stg_events) select id, cast(text as bigint) as n from words where id < 3",
            "1:73",
            "text = 'a b'",
        ),
    ] {
        let scratch = Scratch::with(PROJECT);
        scratch.write("sql/marts/fct_x.sql", query);
        let _ = scratch.run(&["check"]).exits(0);
        let said = scratch.run(&["run"]).exits(1);
        let place = format!("error: `fct_x` failed at sql/marts/fct_x.sql:{at}: ");
        assert!(said.stderr.contains(&place) && said.stderr.contains(words), "{query}\n{}", said.stderr);
        assert!(OF_THE_ENGINE.iter().all(|word| !said.stderr.contains(word)), "{query}\n{}", said.stderr);
    }
}

/// The place is in the view that has the expression, not in the table that is built of it.
#[test]
fn what_fails_in_a_view_is_told_of_the_view() {
    let scratch = Scratch::with(PROJECT);
    scratch
        .write("sql/intermediate/int_numbers.sql", "select\n    id,\n    cast(word as bigint) as n\nfrom stg_events\n");
    scratch.write("sql/marts/fct_x.sql", "select sum(n) as n from int_numbers\n");
    scratch.write("sql/checks/assert_x.sql", "select id from stg_events where cast(word as double) > 5\n");
    let said = scratch.run(&["run"]).exits(1);
    let place = "error: `fct_x` failed at sql/intermediate/int_numbers.sql:3:10: 'a b' is no whole number, in `CAST(word AS BIGINT)` where word = 'a b'";
    assert!(said.stderr.contains(place), "{}", said.stderr);
    scratch.write("sql/intermediate/int_numbers.sql", "select id, id as n from stg_events\n");
    let said = scratch.run(&["run"]).exits(1);
    let place = "error: check `assert_x` failed to run at sql/checks/assert_x.sql:1:38: 'a b' is no number";
    assert!(said.stderr.contains(place), "{}", said.stderr);
}

/// A project of a small and a large dataset, with a stored model of each, and one of both.
fn of_sales(model: &str) -> Scratch {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
        (
            "schemas/sources/sales.toml",
            r#"from = "{landing}/sales/*.ndjson"
format = { type = "ndjson" }
[columns]
id = "int64!"
shop = "string"
items = "int64"
note = "string"
"#,
        ),
        (
            "schemas/sources/shops.toml",
            "from = \"{landing}/shops.csv\"\nformat = { type = \"csv\" }\n[columns]\nshop = \"string!\"\nrate = \"string\"\n",
        ),
        (
            "landing/sales/1.ndjson",
            "{\"id\":1,\"shop\":\"a\",\"items\":4,\"note\":\"7\"}\n{\"id\":2,\"shop\":\"b\",\"items\":0,\"note\":\"8\"}\n",
        ),
        (
            "landing/sales/2.ndjson",
            "{\"id\":3,\"shop\":\"b\",\"items\":9000000000000000000,\"note\":\"9\"}\n{\"id\":4,\"shop\":\"b\",\"items\":9000000000000000000,\"note\":\"ten\"}\n{\"id\":5,\"shop\":\"c\",\"items\":1,\"note\":\"1\"}\n",
        ),
        ("landing/shops.csv", "shop,rate\na,0.5\nb,high\nc,1\n"),
        ("sql/staging/stg_sales.sql", "select id, shop, items, trim(note) as note from sales\n"),
        ("sql/staging/stg_shops.sql", "select shop, rate from shops\n"),
        ("sql/marts/fct_sale.sql", "select id, shop, items, note as remark from stg_sales\n"),
        ("sql/marts/dim_shop.sql", "select shop, rate as tariff from stg_shops\n"),
    ]);
    scratch.write("sql/kpi/kpi_x.sql", model);
    scratch
}

/// From the value that made an expression fail to the line that it landed in, however many models are between them.
#[test]
fn what_fails_for_a_value_is_told_with_the_record_that_it_came_from() {
    for (model, words) in [
        (
            "select id, cast(remark as bigint) as n from fct_sale\n",
            "error: `kpi_x` failed at sql/kpi/kpi_x.sql:1:17: 'ten' is no whole number, in `CAST(remark AS BIGINT)` where remark = 'ten'
record: landing/sales/2.ndjson:2
help: ",
        ),
        (
            "select shop, sum(100 / items) as n from fct_sale group by shop\n",
            "error: `kpi_x` failed at sql/kpi/kpi_x.sql:1:18: division by zero, in `100 / items` where items = 0
record: landing/sales/1.ndjson:2
help: ",
        ),
        // A filter above, and another table beside it, do not lead astray.
        (
            "select s.id, cast(d.tariff as double) as n from fct_sale as s inner join dim_shop as d on d.shop = s.shop where s.id > 2\n",
            "error: `kpi_x` failed at sql/kpi/kpi_x.sql:1:19: 'high' is no number, in `CAST(d.tariff AS DOUBLE)` where tariff = 'high'
record: landing/shops.csv:3
help: ",
        ),
        // A subquery that is asked for each row, and one that is asked once.
        (
            "select s.id, (select max(cast(d.tariff as double)) from dim_shop as d where d.shop = s.shop) as n from fct_sale as s\n",
            "error: `kpi_x` failed at sql/kpi/kpi_x.sql:1:31: 'high' is no number, in `CAST(d.tariff AS DOUBLE)` where tariff = 'high'
record: landing/shops.csv:3
help: ",
        ),
        (
            "select id from fct_sale where id in (select cast(remark as bigint) from fct_sale)\n",
            "error: `kpi_x` failed at sql/kpi/kpi_x.sql:1:50: 'ten' is no whole number, in `CAST(remark AS BIGINT)` where remark = 'ten'
record: landing/sales/2.ndjson:2
help: ",
        ),
        // What is computed of many records is told with all of them.
        (
            "with shops as (select shop, count(*) as n from fct_sale group by shop) select shop, 1 / (n - 3) as x from shops\n",
            "error: `kpi_x` failed at sql/kpi/kpi_x.sql:1:85: division by zero, in `1 / (n - 3)` where n = 3
records: landing/sales/1.ndjson:2, landing/sales/2.ndjson:1, landing/sales/2.ndjson:2
help: ",
        ),
    ] {
        let said = of_sales(model).run(&["run"]).exits(1);
        assert!(said.stderr.contains(words), "{model}\n{}", said.stderr);
    }
}

#[test]
fn what_overflows_is_told_with_its_group_and_its_records() {
    for (model, words) in [
        (
            "select id, items * 2 as n from fct_sale\n",
            "error: `kpi_x` failed at sql/kpi/kpi_x.sql:1:12: integer overflow in `fct_sale.items * 2`: 9000000000000000000 * 2 does not fit into its type, in `items * 2` where items = 9000000000000000000
record: landing/sales/2.ndjson:1
",
        ),
        (
            "select shop, sum(items) as n from fct_sale group by shop\n",
            "error: `kpi_x` failed at sql/kpi/kpi_x.sql:1:14: integer overflow: a bigint ends at 9223372036854775807; sum decimals or doubles, in `sum(items)` where shop = 'b'
records: any of 3: landing/sales/1.ndjson:2, landing/sales/2.ndjson:1, landing/sales/2.ndjson:2
",
        ),
        (
            "select sum(items) as n from fct_sale\n",
            "error: `kpi_x` failed at sql/kpi/kpi_x.sql:1:8: integer overflow: a bigint ends at 9223372036854775807; sum decimals or doubles, in `sum(items)`
records: any of 5: landing/sales/1.ndjson:1, landing/sales/1.ndjson:2, landing/sales/2.ndjson:1 and 2 more
",
        ),
        (
            "select upper(shop) as name, sum(items) filter (where id <> 2) as n from fct_sale group by upper(shop)\n",
            "error: `kpi_x` failed at sql/kpi/kpi_x.sql:1:29: integer overflow: a bigint ends at 9223372036854775807; sum decimals or doubles, in `sum(items) FILTER (WHERE id <> 2)` where upper(shop) = 'B'
records: any of 2: landing/sales/2.ndjson:1, landing/sales/2.ndjson:2
",
        ),
        (
            "select id, sum(items) over (partition by shop order by id) as n from fct_sale\n",
            "error: `kpi_x` failed at sql/kpi/kpi_x.sql:1:12: integer overflow: a bigint ends at 9223372036854775807; sum decimals or doubles, in `sum(items) OVER (PARTITION BY shop ORDER BY id)` where shop = 'b'
records: any of 3: landing/sales/1.ndjson:2, landing/sales/2.ndjson:1, landing/sales/2.ndjson:2
",
        ),
    ] {
        let said = of_sales(model).run(&["run"]).exits(1);
        assert!(said.stderr.contains(words), "{model}\n{}", said.stderr);
    }
}

#[test]
fn a_check_that_fails_for_a_value_is_told_with_its_record() {
    let scratch = of_sales("select id, remark from fct_sale\n");
    scratch.write("sql/checks/assert_x.sql", "select id from kpi_x where cast(remark as bigint) > 100\n");
    let said = scratch.run(&["run"]).exits(1);
    let words = "error: check `assert_x` failed to run at sql/checks/assert_x.sql:1:33: 'ten' is no whole number, in `CAST(remark AS BIGINT)` where remark = 'ten'\nrecord: landing/sales/2.ndjson:2\n";
    assert!(said.stderr.contains(words), "{}", said.stderr);
    scratch.write("sql/checks/assert_x.sql", "select id from kpi_x where id < 0\n");
    scratch.write("schemas/models/kpi_x.toml", "[checks]\nsmall = { holds = \"cast(remark as bigint) < 100\" }\n");
    let said = scratch.run(&["run", "--output", "json"]).exits(1);
    let words = "error: check `kpi_x.small` failed to run at schemas/models/kpi_x.toml:2:1: 'ten' is no whole number";
    assert!(said.stderr.contains(words), "{}", said.stderr);
    let document: serde_json::Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(document["records"], serde_json::json!({ "count": 1, "first": ["landing/sales/2.ndjson:2"] }));
}

/// What is wrong with a derived row leads to what landed.
#[test]
fn a_broken_promise_is_told_with_the_records_behind_its_first_row() {
    for (contract, words) in [
        (
            "[checks]\nfew = { holds = \"items < 1000\" }\n",
            "failed[kpi_x.few]: `items < 1000` must hold in `kpi_x`\n  \
             shop b, items 18000000000000000000\n    \
             from landing/sales/1.ndjson:2, landing/sales/2.ndjson:1, landing/sales/2.ndjson:2\n",
        ),
        (
            "[columns]\nshop = { values = [\"a\", \"b\"] }\n",
            "failed[kpi_x.shop.values]: `shop` of `kpi_x` must be one of a, b\n  \
             shop c, items 1\n    \
             from landing/sales/2.ndjson:3\n",
        ),
    ] {
        let scratch =
            of_sales("select shop, sum(cast(items as decimal(38, 0))) as items from fct_sale group by shop\n");
        scratch.write("schemas/models/kpi_x.toml", contract);
        let said = scratch.run(&["run"]).exits(1);
        assert!(said.stderr.contains(words), "{}", said.stderr);
    }
    // Rows that are equal in their key, and no others.
    let scratch = of_sales(
        "select f.shop, d.tariff from fct_sale as f inner join dim_shop as d on d.shop = f.shop where f.id <> 4\n",
    );
    scratch.write("schemas/models/kpi_x.toml", "key = [\"shop\"]\n");
    let said = scratch.run(&["run"]).exits(1);
    let words = "failed[kpi_x.key.unique]: the key (shop) of `kpi_x` must be unique\n  \
                 shop b, rows 2\n    \
                 from landing/sales/1.ndjson:2, landing/sales/2.ndjson:1\n";
    assert!(said.stderr.contains(words), "{}", said.stderr);
    let record =
        said.stderr.lines().find_map(|line| line.split("; `").nth(1)?.strip_suffix("` keeps these rows")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(scratch.path(record)).unwrap()).unwrap();
    assert_eq!(record["findings"][0]["records"]["count"], 2, "{record:#}");
}

/// What the data brings to a query that reads files is no damage of these files.
#[test]
fn a_query_that_fails_over_a_stored_file_is_no_damage() {
    let scratch = Scratch::with(PROJECT);
    scratch.write("sql/marts/fct_event.sql", "select id, word from stg_events\n");
    let _ = scratch.run(&["run"]).exits(0);
    for query in [
        "select to_timestamp(word, '%Y-%m-%d') as x from fct_event",
        "select make_date(2024, 2, id + 28) as x from fct_event",
        "select chr(0 - id) as x from fct_event",
        "select id from fct_event where to_date(word, '%Y') > '2024-01-01'",
    ] {
        let said = scratch.run(&["show", query]).exits(1);
        assert!(!said.stderr.contains("damaged") && !said.stderr.contains("refs/main"), "{query}\n{}", said.stderr);
    }
}

/// `show` ends what does not end by itself, and says how to let it run longer.
#[test]
fn a_query_that_never_ends_is_ended() {
    let scratch = Scratch::with(PROJECT);
    scratch.write("sql/marts/fct_event.sql", "select id, word from stg_events\n");
    let _ = scratch.run(&["run"]).exits(0);
    let endless = "with recursive n as (select 1 as i union all select i + 1 from n) select count(*) as c from n";
    let said = scratch.run(&["show", "--timeout", "1s", endless]).exits(1);
    assert!(said.stderr.contains("took longer than 1 s"), "{}", said.stderr);
    scratch.write("sql/marts/fct_endless.sql", endless);
    scratch.write("opsmart.toml", "reporting_zone = \"UTC\"\nquery_timeout = \"1s\"\n[paths]\nlanding = \"landing\"\n");
    let said = scratch.run(&["run"]).exits(1);
    assert!(said.stderr.contains("`fct_endless` took longer than 1 s"), "{}", said.stderr);
}

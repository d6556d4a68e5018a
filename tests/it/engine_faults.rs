//! What the engine answers wrongly, and what is done about each.
//!
//! Every fault is asked of the engine as it is, so that a version that no longer has it fails the test: then what was
//! done about it can go. The right answer is by the definition of SQL, and DuckDB and `PostgreSQL` give it.

use datafusion::prelude::SessionContext;
use opsmart::diagnostic::SourceFile;
use opsmart::engine::{Resources, session};
use opsmart::plan::{Query, plan_query};

const TABLES: &[&str] = &[
    "create table people(id int, z int) as values (1, 10), (2, 20), (null, 30), (4, 40)",
    "create table barred(id int, z int) as values (1, 5), (null, 50)",
    "create table asked(k int) as values (1), (2), (3)",
    "create table given(v int) as values (1), (1), (3)",
    "create table parts(id int, y int) as values (1, 1), (2, 2)",
    "create table amounts(d decimal(20, 4)) as values (1.2345), (1.2399), (1.25)",
    "create table means(k int, d decimal(20, 4)) as values (1, 1), (1, 2), (1, 2), (2, 1), (2, 2), (2, 2), (3, -1), (3, -2), (3, -2)",
    "create table texts(s varchar) as values (null), ('abc')",
    "create table numbers(i bigint) as values (null), (1)",
    "create table big(n bigint) as values (9223372036854775807), (1)",
    "create table long(n decimal(38, 0)) as values (cast('99999999999999999999999999999999999999' as decimal(38, 0))), (1)",
    "create table spans(a timestamp, b timestamp) as values \
     (timestamp '2024-01-01 00:00:00', timestamp '2024-01-01 00:00:12.842'), \
     (timestamp '2024-01-01 00:00:00', timestamp '2024-01-02 01:00:00')",
    "create table plan(k int, target int) as values (1, 10), (2, 20)",
    "create table done(k int, solved int) as values (2, 18), (4, 7)",
    "create table lefts(k int, v int) as values (1, 10), (1, 20)",
    "create table rights(k int, w int) as values (1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6)",
];

/// What we make of it.
enum Ours {
    /// It is refused, with this code.
    Refused(&'static str),
    /// It is answered rightly.
    Right(&'static [&'static str]),
    /// It ends with an error that has these words.
    Fails(&'static str),
}

/// What the engine says of a query that it plans and then does not get to its end.
const FAILS: &str = "fails";

struct Fault {
    /// Where it is reported, or what it is.
    about: &'static str,
    sql: &'static str,
    /// What the engine says.
    wrong: &'static [&'static str],
    ours: Ours,
}

use Ours::{Fails, Refused, Right};

const FAULTS: &[Fault] = &[
    Fault {
        about: "the mean of decimals is cut and not rounded",
        sql: "select avg(d) as grouped from means group by k union all select avg(d) over () from means where k = 3 \
              union all select avg(distinct d) from means where k = 2 order by grouped",
        wrong: &["-1.66666666", "-1.66666666", "-1.66666666", "-1.66666666", "1.50000000", "1.66666666", "1.66666666"],
        ours: Right(&[
            "-1.66666667",
            "-1.66666667",
            "-1.66666667",
            "-1.66666667",
            "1.50000000",
            "1.66666667",
            "1.66666667",
        ]),
    },
    Fault {
        about: "also where it has as many digits as there can be",
        sql: "select avg(cast(d as decimal(38, 4))) as mean from means where k = 1",
        wrong: &["1.66666666"],
        ours: Right(&["1.66666667"]),
    },
    Fault {
        about: "calls that differ in a cast alone have one name",
        sql: "select count(distinct cast(v as int)) as a, count(distinct cast(v as varchar)) as b from given",
        wrong: &["Schema error: Schema contains duplicate unqualified field name \"count(DISTINCT given.v)\""],
        ours: Refused("E0304"),
    },
    Fault {
        about: "apache/datafusion#25401: a grouped aggregate that does not depend on an order fails with one",
        sql: "select max(v order by v desc) from lefts group by k",
        wrong: &[FAILS],
        ours: Right(&["20"]),
    },
    Fault {
        about: "apache/datafusion#25401: or panics",
        sql: "select avg(v order by v) from lefts group by k",
        wrong: &[FAILS],
        ours: Right(&["15.0"]),
    },
    Fault {
        about: "apache/datafusion#25398: an order with one expression twice fails",
        sql: "select first_value(v order by v desc, v) from lefts group by k",
        wrong: &[FAILS],
        ours: Right(&["20"]),
    },
    Fault {
        about: "apache/datafusion#25398: and so in DISTINCT ON",
        sql: "select distinct on (k) v from lefts order by k, v desc, k",
        wrong: &[FAILS],
        ours: Right(&["20"]),
    },
    Fault {
        about: "apache/datafusion#25052: rows of a join are believed to be in the order of both sides",
        sql: "with l as (select k, v, sum(v) over (partition by k order by v) as s from lefts), \
              r as (select k, sum(w) over (partition by k order by w) as m from rights) \
              select l.v from l join r on l.k = r.k where s > 0 and m > 0 order by l.k, l.v limit 3",
        wrong: &["10", "20", "10"],
        ours: Right(&["10", "10", "10"]),
    },
    Fault {
        about: "a constant that an instant of whole seconds is compared with is cut to whole seconds",
        sql: "select k from asked where to_timestamp_seconds(k) = timestamp '1970-01-01 00:00:02.5' order by k",
        wrong: &["2"],
        ours: Right(&[]),
    },
    Fault {
        about: "apache/datafusion#25336: a condition on the rows of NOT IN is not asked of its nulls",
        sql: "select id from people where id not in (select b.id from barred as b where b.z < people.z) order by id",
        wrong: &[],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#25480: NOT IN loses a condition that is the same equality",
        sql: "select id from people where id not in (select b.id from barred as b where b.id = people.id) order by id",
        wrong: &[],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#25340: NOT IN of a constant forgets nulls",
        sql: "select id from people where 3 not in (select id from barred) order by id",
        wrong: &["1", "2", "4", "-"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#25347: so does NOT IN of a constant with a condition",
        sql: "select k from asked where 3 not in (select id from barred where barred.z <> asked.k) order by k",
        wrong: &["1", "2", "3"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#8241: NOT IN below OR forgets nulls",
        sql: "select k from asked where k not in (select id from barred) or k = 1 order by k",
        wrong: &["1", "2", "3"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#8241: IN forgets nulls where it is part of another expression",
        sql: "select k from asked where (k in (select id from barred)) is null order by k",
        wrong: &[],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#25258: ANY of a table of the same name is compared with itself",
        sql: "select k from asked where k > any (select k from asked) order by k",
        wrong: &[],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#25258: so is ALL",
        sql: "select k from asked where k >= all (select k from asked where k < 3) order by k",
        wrong: &["1", "2", "3"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#25283: EXISTS drops an OFFSET",
        sql: "select k from asked where exists (select * from given where given.v = asked.k offset 1) order by k",
        wrong: &["1", "3"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#24960: an aggregate without GROUP BY always has a row",
        sql: "select k from asked where exists (select count(*) from given where given.v = asked.k) order by k",
        wrong: &["1", "3"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#25519: so do grouping sets with the empty one",
        sql: "select k from asked where exists (select 1 from given where given.v = asked.k group by rollup(given.v)) \
              order by k",
        wrong: &["1", "3"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#25507: a condition below an outer join is asked above it",
        sql: "select k from asked where exists (select 1 from given left join (select * from parts where parts.y = \
              asked.k) as p on given.v = p.id where p.y is null) order by k",
        wrong: &[],
        ours: Refused("E0311"),
    },
    Fault {
        about: "a window of a correlated subquery runs over the rows of all",
        sql: "select k from asked where exists (select 1 from (select v, row_number() over (order by v desc) as n \
              from given where given.v = asked.k) as w where n = 1) order by k",
        wrong: &["3"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "a HAVING of a lateral query chooses no rows",
        sql: "select k, n from asked cross join lateral (select count(*) as n from given where given.v = asked.k \
              having count(*) > 5) as l order by k",
        wrong: &["1 -", "2 -", "3 -"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#12955: INTERSECT ALL does not count",
        sql: "select v from given intersect all select k from asked order by v",
        wrong: &["1", "1", "3"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#12956: EXCEPT ALL does not count",
        sql: "select v from given except all select k from asked where k < 2 order by v",
        wrong: &["3"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#23095: a decimal is compared as it was before it was cut",
        sql: "select d from amounts where cast(d as decimal(20, 2)) = 1.23",
        wrong: &[],
        ours: Right(&["1.2345"]),
    },
    Fault {
        about: "apache/datafusion#23095: also where the cast stands in a query further in",
        sql: "select d from (select d, cast(d as decimal(20, 2)) as c from amounts) as t where c = 1.23",
        wrong: &[],
        ours: Right(&["1.2345"]),
    },
    Fault {
        about: "apache/datafusion#23095: also where it was cut to an integer",
        sql: "select count(*) as n from amounts where cast(d as bigint) = 1",
        wrong: &["0"],
        ours: Right(&["3"]),
    },
    Fault {
        about: "apache/datafusion#22142: an integer is compared as it was before it became none",
        sql: "select n from big where try_cast(n as int) > 0 order by n",
        wrong: &["1", "9223372036854775807"],
        ours: Right(&["1"]),
    },
    Fault {
        about: "apache/datafusion#22142: or before it could not be cast",
        sql: "select count(*) as n from big where cast(n as int) > 0",
        wrong: &["2"],
        ours: Fails("9223372036854775807"),
    },
    Fault {
        about: "apache/datafusion#25095: a time of day in a zone is compared as if it were one in UTC",
        sql: "select count(*) as n from spans where b at time zone 'Asia/Shanghai' = \
              arrow_cast('2024-01-01T17:00:00Z', 'Timestamp(Nanosecond, Some(\"UTC\"))')",
        wrong: &["0"],
        ours: Right(&["1"]),
    },
    Fault {
        about: "what is constant on one side of an outer join is taken for constant where it is null",
        sql: "select p.k, q.solved, row_number() over (order by q.solved, p.k) as r from plan as p \
              left join (select k, solved from done where solved = 18) as q on p.k = q.k order by r",
        wrong: &["1 - 1", "2 18 2"],
        ours: Right(&["2 18 1", "1 - 2"]),
    },
    Fault {
        about: "so it is on both sides of a full join",
        sql: "select p.t, q.d, row_number() over (order by p.t, q.d) as r from (select k, 't' as t from plan) as p \
              full join (select k, 'd' as d from done) as q on p.k = q.k order by r",
        wrong: &["t d 1", "- d 2", "t - 3"],
        ours: Right(&["t d 1", "t - 2", "- d 3"]),
    },
    Fault {
        about: "apache/datafusion#24246: what is null and itself come to 0",
        sql: "select i ^ i as r from numbers order by r",
        wrong: &["0", "0"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#24246: a list that is written out is asked as IN is",
        sql: "select array_has([i, 1], 2) as r from numbers where i is null",
        wrong: &["-"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#22263: SIMILAR TO knows no % and _",
        sql: "select 'abc' similar to 'a%' as r",
        wrong: &["false"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#24379: what is null does not match and does not fail to",
        sql: "select s ~ '.*' as r from texts order by r",
        wrong: &["false", "true"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "apache/datafusion#24246: nor is it outside two lists",
        sql: "select i in (1) and i in (2) as r from numbers where i is null",
        wrong: &["false"],
        ours: Refused("E0311"),
    },
    Fault {
        about: "the median of decimals has no more digits than they have",
        sql: "select median(d) as r from (values (cast(8.68 as decimal(10, 2))), (cast(-1.43 as decimal(10, 2)))) as t(d)",
        wrong: &["3.62"],
        ours: Right(&["3.625"]),
    },
    Fault {
        about: "so it is in groups, of different values and in windows",
        sql: "select median(d) as g, median(distinct d) as q, \
              (select max(m) from (select median(d) over (order by d rows between 1 preceding and current row) as m \
              from amounts) as w where m < 1.25) as w \
              from amounts where d > 1.2345 group by d < 9",
        wrong: &["1.2449 1.2449 1.2449"],
        ours: Right(&["1.24495 1.24495 1.24495"]),
    },
    Fault {
        about: "a part of a length of time is whole, the seconds of its epoch too",
        sql: "select extract(epoch from b - a) as r from spans order by b",
        wrong: &["12.0", "90000.0"],
        ours: Refused("E0310"),
    },
    Fault {
        about: "a comparison of intervals goes by days before hours",
        sql: "select b - a > interval '1 day' as r from spans order by b",
        wrong: &["false", "false"],
        ours: Refused("E0310"),
    },
    Fault {
        about: "a length of time as a number counts the unit of the instants",
        sql: "select cast(b - a as bigint) as r from spans order by b",
        wrong: &["12842000000", "90000000000000"],
        ours: Refused("E0310"),
    },
    Fault {
        about: "to_char takes no pattern for a length of time",
        sql: "select to_char(b - a, '%H') as r from spans where b < timestamp '2024-01-02'",
        wrong: &["0 days 0 hours 0 mins 12.842000000 secs"],
        ours: Refused("E0310"),
    },
    Fault {
        about: "apache/datafusion#22881: the key that FULL JOIN USING merges is that of the left side",
        sql: "select k from plan full join done using (k) order by k",
        wrong: &["1", "2", "-"],
        ours: Right(&["1", "2", "4"]),
    },
    Fault {
        about: "apache/datafusion#22881: that of RIGHT JOIN too",
        sql: "select k, target, solved from plan right join done using (k) order by k",
        wrong: &["2 20 18", "- - 7"],
        ours: Right(&["2 20 18", "4 - 7"]),
    },
    Fault {
        about: "apache/datafusion#22881: and that of NATURAL JOIN",
        sql: "select k, solved from plan natural full join done order by k",
        wrong: &["1 -", "2 18", "- 7"],
        ours: Right(&["1 -", "2 18", "4 7"]),
    },
    Fault {
        about: "`*` takes the merged key of the table whose name comes first, whichever side that is",
        sql: "select * from plan left join done using (k) order by target",
        wrong: &["10 - -", "20 2 18"],
        ours: Right(&["10 1 -", "20 2 18"]),
    },
    Fault {
        about: "apache/datafusion#3520: integers wrap around",
        sql: "select n + 1 as r from big order by r",
        wrong: &["-9223372036854775808", "2"],
        ours: Fails("integer overflow in `big.n + 1`: 9223372036854775807 + 1"),
    },
    Fault {
        about: "apache/datafusion#3520: also where they are multiplied",
        sql: "select n * 2 as r from big order by r",
        wrong: &["-2", "2"],
        ours: Fails("integer overflow in `big.n * 2`"),
    },
    Fault {
        about: "apache/datafusion#3520: or change their sign",
        sql: "select -(-n - 1) as r from big order by r",
        wrong: &["-9223372036854775808", "2"],
        ours: Fails("integer overflow in `-(-big.n - 1)`"),
    },
    Fault {
        about: "apache/datafusion#3520: or are summed",
        sql: "select sum(n) as r from big",
        wrong: &["-9223372036854775808"],
        ours: Fails("integer overflow in `sum(big.n)`"),
    },
    Fault {
        about: "apache/datafusion#3520: by group",
        sql: "select sum(n) as r from big group by n > 5 or n < 5",
        wrong: &["-9223372036854775808"],
        ours: Fails("integer overflow in `sum(big.n)`"),
    },
    Fault {
        about: "apache/datafusion#3520: or those that differ",
        sql: "select sum(distinct n) as r, count(*) as c, min(n) as m from big",
        wrong: &["-9223372036854775808 2 1"],
        ours: Fails("integer overflow in `sum(DISTINCT big.n)`"),
    },
    Fault {
        about: "apache/datafusion#3520: or those of a frame",
        sql: "select sum(n) over (order by n rows between 1 preceding and 1 following) as r from big order by r",
        wrong: &["-9223372036854775808", "-9223372036854775808"],
        ours: Fails("integer overflow in `sum(big.n) ORDER BY"),
    },
    Fault {
        about: "apache/datafusion#16406: a decimal may have more digits than there are",
        sql: "select n + 1 > n as r from long order by n",
        wrong: &["true", "true"],
        ours: Fails("decimal overflow in `long.n + 1`: the result has more than 38 digits"),
    },
    Fault {
        about: "apache/datafusion#16406: so may a sum",
        sql: "select sum(n) > 0 as r from long",
        wrong: &["true"],
        ours: Fails("decimal overflow in `sum(long.n)`"),
    },
];

async fn with_tables(session: SessionContext) -> SessionContext {
    for table in TABLES {
        session.sql(table).await.unwrap().collect().await.unwrap();
    }
    session
}

fn lines(batches: &[arrow::array::RecordBatch]) -> Vec<String> {
    let options = arrow::util::display::FormatOptions::default().with_null("-");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        let line = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" ");
        lines.extend((0..batch.num_rows()).map(line));
    }
    lines
}

fn ours() -> SessionContext {
    session(&Resources { memory_bytes: 1 << 28, threads: 2, ..Resources::for_binding() }).unwrap()
}

/// Whether a chain of operators is computed as one function or link by link, its value and its name are the same.
#[tokio::test]
async fn a_chain_of_operators_is_computed_as_the_engine_does() {
    let (engine, ours) = (with_tables(SessionContext::new()).await, with_tables(ours()).await);
    let long = |link: &str, links: usize| format!("id{}", link.repeat(links));
    let chains: Vec<String> = [
        "id + 1 + z",
        "id - 1 + z * 2 - -id",
        "- - -id",
        "-(id + z) * 3",
        "id * z / 3 * 7 % 5 - 1",
        "1 + 2 + id + (3 - 4 - id) - 5",
        "(1 + 2) * (id - 3) * (z - id - 4)",
        "2 * 3 - 4 * 5",
        "id + cast(z as bigint) - 3 + cast(2 as double) + id",
        "id + null - 1",
        "cast(id as decimal(38, 2)) * 2 + cast(z as decimal(30, 4)) - id / 3",
        "coalesce(id + 1 + z, 0) - 1 - z",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([long(" + 1", 300), long(" - z + id", 130), long(" * 3 / 3", 130), format!("{}id", "- ".repeat(8))])
    .collect();
    for chain in chains {
        for sql in [
            format!("select {chain} from people"),
            format!("select sum({chain}), count(*) from people where {chain} is not null group by {chain}"),
        ] {
            let right = engine.sql(&sql).await.unwrap();
            let file = SourceFile::new("q.sql", sql.as_str());
            let plan = plan_query(&ours.state(), &file, &Query::parse(&file).unwrap()).unwrap();
            let got = ours.execute_logical_plan(plan).await.unwrap();
            let names = |fields: &arrow::datatypes::Fields| fields.iter().map(|f| f.name().clone()).collect::<Vec<_>>();
            let about = sql.chars().take(100).collect::<String>();
            assert_eq!(names(got.schema().fields()), names(right.schema().fields()), "{about}");
            let sorted = |mut lines: Vec<String>| {
                lines.sort();
                lines
            };
            let got = sorted(lines(&got.collect().await.unwrap()));
            assert_eq!(got, sorted(lines(&right.collect().await.unwrap())), "{about}");
        }
    }
}

#[tokio::test]
async fn the_engine_still_has_every_fault_that_something_is_done_about() {
    let engine = with_tables(SessionContext::new()).await;
    let mut gone = Vec::new();
    for Fault { about, sql, wrong, .. } in FAULTS {
        let said = match engine.sql(sql).await {
            Ok(frame) => frame.collect().await.map_or_else(|_| vec![FAILS.to_owned()], |batches| lines(&batches)),
            Err(error) => vec![error.strip_backtrace()],
        };
        if said != *wrong {
            gone.push(format!("{about}\n  {sql}\n  {said:?}"));
        }
    }
    assert!(gone.is_empty(), "what is done about these can go, or do another thing:\n{}", gone.join("\n"));
}

#[tokio::test]
async fn no_fault_of_the_engine_gets_through() {
    let session = with_tables(ours()).await;
    let mut open = Vec::new();
    for Fault { about, sql, ours, .. } in FAULTS {
        let file = SourceFile::new("q.sql", *sql);
        let query = Query::parse(&file).unwrap();
        let said = match plan_query(&session.state(), &file, &query) {
            Err(mistakes) => {
                let codes: Vec<&str> = mistakes.iter().map(|mistake| mistake.code.as_str()).collect();
                assert!(mistakes.iter().all(|mistake| mistake.help.is_some()), "{about}: no way out");
                format!("refused: {}", codes.join(" "))
            }
            Ok(plan) => match session.execute_logical_plan(plan).await.unwrap().collect().await {
                Ok(batches) => lines(&batches).join("\n"),
                Err(error) => format!("failed: {}", error.strip_backtrace()),
            },
        };
        let is_right = match ours {
            Refused(code) => said == format!("refused: {code}"),
            Right(right) => said == right.join("\n"),
            Fails(words) => said.starts_with("failed: ") && said.contains(words),
        };
        if !is_right {
            open.push(format!("{about}\n  {sql}\n  {said}"));
        }
    }
    assert!(open.is_empty(), "{}", open.join("\n"));
}

#[tokio::test]
async fn what_is_like_a_fault_and_is_none_gets_through() {
    let session = with_tables(ours()).await;
    let cases: &[(&str, &[&str])] = &[
        ("select row_number() over (order by k * 2, -k) as n from asked order by n", &["1", "2", "3"]),
        ("select sum(k) over (partition by k % 2 order by k + 1) as n from asked order by n", &["1", "2", "4"]),
        ("select row_number() over (order by abs(seconds_between(a, b))) as n from spans order by n", &["1", "2"]),
        ("select id from people where id not in (select id from barred where id is not null) order by id", &["2", "4"]),
        ("select k from asked where not (k in (select v from given)) order by k", &["2"]),
        (
            "select k from asked where k in (select v from given where given.v = asked.k) or k = 2 order by k",
            &["1", "2", "3"],
        ),
        ("select k from asked where not exists (select 1 from given where given.v = asked.k) order by k", &["2"]),
        (
            "select k from asked where exists (select 1 from given where given.v = asked.k group by v having count(*) > 1)",
            &["1"],
        ),
        (
            "select k, (select count(*) from given where given.v = asked.k) as n from asked order by k",
            &["1 2", "2 0", "3 1"],
        ),
        (
            "select k from asked where exists (select 1 from given left join parts on given.v = parts.id \
             where given.v = asked.k and parts.y is null)",
            &["3"],
        ),
        ("select k from asked where k > any (select b.k from asked as b) order by k", &["2", "3"]),
        ("select k from asked where k >= all (select v from given) order by k", &["3"]),
        ("select v from given intersect select k from asked order by v", &["1", "3"]),
        ("select d from amounts where round(d, 2) = 1.23", &["1.2345"]),
        ("select d from amounts where cast(d as decimal(22, 5)) = 1.25", &["1.2500"]),
        ("select b - a > interval '24 hours' as r from spans order by b", &["false", "true"]),
        ("select seconds_between(a, b) as r from spans order by b", &["12.842", "90000.0"]),
        ("select s ~ 'a.*' as r from texts order by r", &["true", "-"]),
        // Of a merged key each side may still be asked.
        (
            "select plan.k as p, done.k as d, k from plan full join done using (k) order by k",
            &["1 - 1", "2 2 2", "- 4 4"],
        ),
        (
            "select count(*) as n from plan full join done using (k) where k > 1 group by k having k < 9 order by k",
            &["1", "1"],
        ),
        ("select * from plan right join done using (k) order by k", &["20 2 18", "- 4 7"]),
        ("select k + 1 as r from plan full join done using (k) order by k + 1", &["2", "3", "5"]),
        ("select sum(target) as t from plan full join done using (k) group by k order by k desc", &["-", "20", "10"]),
        (
            "with j as (select k, solved from plan full join done using (k)) \
             select k, count(*) over (order by k) as n from (select k from j natural left join done) as x order by k",
            &["1 1", "2 2", "4 3"],
        ),
        (
            "select k from plan left join done using (k) full join (select 9 as k) as more using (k) order by k",
            &["1", "2", "9"],
        ),
        (
            "select k from (select k from plan union all select k from plan right join done using (k)) as u order by k",
            &["1", "2", "2", "4"],
        ),
        // What fits is what it was.
        ("select sum(n) as r from (select n from big union all select -1) as t where n <> 2", &["9223372036854775807"]),
        ("select sum(n - 1) as r, sum(cast(n as double)) as d from big where n < 5", &["0 1.0"]),
        (
            "select sum(n) filter (where n > 5) as r, sum(n) filter (where n > 9223372036854775807) as q from big",
            &["9223372036854775807 -"],
        ),
        (
            "select n % 2 as g, sum(n) as r from (select * from big union all select null) as t where n is null or n < 5 group by 1 order by 1",
            &["1 1", "- -"],
        ),
        ("select sum(distinct n) as r from (values (2), (2), (3)) as t(n)", &["5"]),
        ("select sum(d) as r from amounts", &["3.7244"]),
        ("select -n as r, n - 1 as q, 2 * n as p from big where n < 5", &["-1 0 2"]),
    ];
    for (sql, right) in cases {
        let file = SourceFile::new("q.sql", *sql);
        let plan = match plan_query(&session.state(), &file, &Query::parse(&file).unwrap()) {
            Ok(plan) => plan,
            Err(mistakes) => panic!("{sql}\n{}", mistakes.render(false)),
        };
        let batches = session.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
        assert_eq!(lines(&batches), *right, "{sql}");
    }
}

/// DataFusion takes the rows under grouping sets for sorted by what is constant in them, also where a set leaves it out.
#[tokio::test]
async fn groups_come_out_once_and_in_order() {
    let one = |mut config: datafusion::prelude::SessionConfig| {
        config.options_mut().execution.target_partitions = 1;
        SessionContext::new_with_config(config)
    };
    let ours = || session(&Resources { memory_bytes: 1 << 28, threads: 1, ..Resources::for_binding() }).unwrap();
    let cases: [(&str, &[&str], &[&str]); 2] = [
        (
            "select j, sum(k) as s from (select 'x' as j, k from asked union all select 'x' as j, k from asked) as t \
             group by grouping sets ((j), ()) order by j, s",
            &["x 6", "x 6", "- 12"],
            &["x 12", "- 12"],
        ),
        (
            "select v, y, count(*) as n from (select v, y from given left join parts on v = id) as t where v = 1 \
             group by cube(v, y) order by v, y",
            &["1 1 2", "- 1 2", "1 - 2", "- - 2"],
            &["1 1 2", "1 - 2", "- 1 2", "- - 2"],
        ),
    ];
    for (sql, wrong, right) in cases {
        let engine = with_tables(one(datafusion::prelude::SessionConfig::new())).await;
        assert_eq!(lines(&engine.sql(sql).await.unwrap().collect().await.unwrap()), *wrong, "the rule can go: {sql}");
        let ours = with_tables(ours()).await;
        assert_eq!(lines(&ours.sql(sql).await.unwrap().collect().await.unwrap()), *right, "{sql}");
    }
}

/// A key that is constant is missed in the sets that leave it out. Such keys are refused.
#[tokio::test]
async fn groups_by_a_constant_are_those_of_no_set() {
    let sql = "select count(*) as n from asked cross join given group by rollup(coalesce('x', null), v) order by n";
    let config = datafusion::prelude::SessionConfig::new().with_target_partitions(4).with_batch_size(2);
    let engine = with_tables(SessionContext::new_with_config(config)).await;
    let found = lines(&engine.sql(sql).await.unwrap().collect().await.unwrap());
    assert_ne!(found, ["3", "6", "9", "9"], "the refusal can go");
    let ours = with_tables(ours()).await;
    let file = SourceFile::new("q.sql", sql);
    let mistakes = plan_query(&ours.state(), &file, &Query::parse(&file).unwrap()).unwrap_err();
    assert_eq!(mistakes.iter().map(|mistake| mistake.code.as_str()).collect::<Vec<_>>(), ["E0311"]);
    // In all sets alike, and beside them, it does no harm.
    let sql = "select 'x' as k, v, count(*) as n from asked cross join given group by grouping sets ((v, 'x'), ('x')) order by n";
    let file = SourceFile::new("q.sql", sql);
    let plan = plan_query(&ours.state(), &file, &Query::parse(&file).unwrap()).unwrap();
    let batches = ours.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
    assert_eq!(lines(&batches), ["x 3 3", "x 1 6", "x - 9"]);
}

/// Writes tables into files, and opens these.
async fn over_parquet(session: SessionContext, tables: &[(&str, String)]) -> (tempfile::TempDir, SessionContext) {
    let folder = tempfile::tempdir().unwrap();
    for (name, rows) in tables {
        let file = folder.path().join(format!("{name}.parquet"));
        let file = file.to_str().unwrap();
        let copy = format!("copy ({rows}) to '{file}' stored as parquet");
        SessionContext::new().sql(&copy).await.unwrap().collect().await.unwrap();
        session.register_parquet(*name, file, datafusion::prelude::ParquetReadOptions::default()).await.unwrap();
    }
    (folder, session)
}

/// DataFusion takes a filter that a join makes of the rows on one side below outer joins on the other, where it takes rows
/// away from scans that were to be filled with nulls.
#[tokio::test]
async fn a_filter_that_a_join_makes_takes_no_row_away() {
    let agents = "select arrow_cast(case when n = 12 then 'unknown' else 'agent_' || lpad(cast(n as varchar), 2, '0') end, \
                  'Utf8') as id, n = 13 as is_bot from unnest(range(1, 14)) as t(n)";
    // Of 14 solvers three are no agents.
    let solves = "select 'agent_' || lpad(cast(case when n % 14 >= 11 then n % 14 + 60 else n % 14 + 1 end as varchar), \
                  2, '0') as id from unnest(range(0, 100)) as t(n)";
    let tables = [("agent", agents.to_owned()), ("solve", solves.to_owned())];
    let sql = "with agents as (select * from agent where not is_bot), bots as (select id from agent where is_bot), \
               acts as (select id from solve where id is not null), \
               s as (select coalesce(agents.id, 'unknown') as id from acts left join agents on acts.id = agents.id \
               left join bots on acts.id = bots.id where bots.id is null) \
               select count(*) as n, count(distinct s.id) as agents from s inner join agents on s.id = agents.id";
    let mut config = datafusion::prelude::SessionConfig::new();
    config.options_mut().execution.parquet.pushdown_filters = true;
    let (_folder, engine) = over_parquet(SessionContext::new_with_config(config), &tables).await;
    let said = lines(&engine.sql(sql).await.unwrap().collect().await.unwrap());
    assert_eq!(said, ["79 11"], "the engine is right by now: leave the option alone");
    let (_folder, ours) = over_parquet(ours(), &tables).await;
    assert_eq!(lines(&ours.sql(sql).await.unwrap().collect().await.unwrap()), ["100 12"]);
}

/// What DataFusion does not compute exactly, and nothing is done about but to say so in `docs/sql.md`.
#[tokio::test]
async fn the_place_between_two_values_has_six_digits() {
    for session in [SessionContext::new(), ours()] {
        let third = "select percentile_cont(x, 1.0 / 3.0) as p from (values (0.0), (3000000.0)) as t(x)";
        let said = lines(&session.sql(third).await.unwrap().collect().await.unwrap());
        assert_eq!(said, ["999999.0"], "the table of differences need not say so any more");
    }
}

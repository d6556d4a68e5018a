//! Base models: several feeds that are one dataset, joined before staging tidies it.

use crate::scratch::Scratch;

/// A help desk whose history, comments and users are three feeds.
fn desk(history: &[&str], comments: &[&str], users: &[&str]) -> Scratch {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
        ("jobs/desk.toml", "ingest = [\"history\", \"comments\", \"users\"]\n"),
        (
            "schemas/sources/history.toml",
            r#"from = "{landing}/history-*.csv"
format = { type = "csv" }
key = ["change_id"]
[columns]
change_id = "int64!"
ticket_id = "int64!"
user_id = "int64!"
status = "string!"
at = "timestamp!"
"#,
        ),
        (
            "schemas/sources/comments.toml",
            r#"from = "{landing}/comments-*.csv"
format = { type = "csv" }
key = ["comment_id"]
[columns]
comment_id = "int64!"
ticket_id = "int64!"
user_id = "int64!"
posted_at = "timestamp!"
"#,
        ),
        (
            "schemas/sources/users.toml",
            r#"from = "{landing}/users-*.csv"
format = { type = "csv" }
key = ["user_id"]
keep = { latest = "changed_at" }
[columns]
user_id = "int64!"
role = "string!"
changed_at = "timestamp!"
"#,
        ),
        // One base model may read another.
        ("sql/base/base_users.sql", "select user_id, upper(role) as role from users\n"),
        (
            "sql/base/base_ticket_events.sql",
            "select 's' || cast(change_id as text) as event_id, ticket_id, h.user_id, u.role, status as what, at as occurred_at
from history as h left join base_users as u on h.user_id = u.user_id
union all
select 'c' || cast(comment_id as text), ticket_id, c.user_id, u.role, 'comment', posted_at
from comments as c left join base_users as u on c.user_id = u.user_id
",
        ),
        (
            "sql/staging/stg_ticket_events.sql",
            "select event_id, ticket_id, coalesce(role, 'unknown') as role, what, occurred_at from base_ticket_events\n",
        ),
        ("sql/marts/fct_ticket_event.sql", "select * from stg_ticket_events\n"),
        (
            "sql/kpi/kpi_role_daily.sql",
            "select local_day(occurred_at, $reporting_zone) as day, role, count(*) as events, count(*) filter (where what = 'comment') as comments from fct_ticket_event group by local_day(occurred_at, $reporting_zone), role\n",
        ),
    ]);
    for (feed, files) in [("history", history), ("comments", comments), ("users", users)] {
        files.iter().enumerate().for_each(|(at, text)| land(&scratch, feed, at, text));
    }
    scratch
}

fn land(scratch: &Scratch, feed: &str, at: usize, text: &str) {
    let header = match feed {
        "history" => "change_id,ticket_id,user_id,status,at",
        "comments" => "comment_id,ticket_id,user_id,posted_at",
        _ => "user_id,role,changed_at",
    };
    scratch.write(&format!("landing/{feed}-{at}.csv"), &format!("{header}\n{text}"));
}

fn run(scratch: &Scratch) -> [Vec<String>; 2] {
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    [
        scratch.rows("select * from fct_ticket_event order by event_id"),
        scratch.rows("select * from kpi_role_daily order by day, role"),
    ]
}

const HISTORY: [&str; 2] = [
    "1,7,1,open,2024-03-01T10:00:00Z\n2,7,2,solved,2024-03-02T10:00:00Z\n",
    // Late, and an earlier version of a change that is there already in other words.
    "3,8,3,open,2024-03-01T09:00:00Z\n",
];
const COMMENTS: [&str; 2] =
    ["1,7,2,2024-03-01T12:00:00Z\n", "2,7,1,2024-03-01T13:00:00Z\n3,8,2,2024-03-02T08:00:00Z\n"];
const USERS: [&str; 2] = [
    "1,end-user,2024-01-01T00:00:00Z\n2,agent,2024-01-01T00:00:00Z\n",
    "3,end-user,2024-02-01T00:00:00Z\n2,admin,2024-03-01T00:00:00Z\n",
];

#[test]
fn late_files_of_each_feed_come_to_what_all_files_at_once_do() {
    let at_once = run(&desk(&HISTORY, &COMMENTS, &USERS));
    // By hand: changes and comments, with the latest role of who made them.
    assert_eq!(
        at_once[0],
        [
            "c1,7,ADMIN,comment,2024-03-01T12:00:00Z",
            "c2,7,END-USER,comment,2024-03-01T13:00:00Z",
            "c3,8,ADMIN,comment,2024-03-02T08:00:00Z",
            "s1,7,END-USER,open,2024-03-01T10:00:00Z",
            "s2,7,ADMIN,solved,2024-03-02T10:00:00Z",
            "s3,8,END-USER,open,2024-03-01T09:00:00Z",
        ]
    );
    assert_eq!(at_once[1], ["2024-03-01,ADMIN,1,1", "2024-03-01,END-USER,3,1", "2024-03-02,ADMIN,2,1"]);
    // The second file of each feed comes late, in every order of the three.
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let scratch = desk(&HISTORY[..1], &COMMENTS[..1], &USERS[..1]);
        let mut last = run(&scratch);
        for feed in order {
            let (name, text) = [("history", HISTORY[1]), ("comments", COMMENTS[1]), ("users", USERS[1])][feed];
            land(&scratch, name, 1, text);
            let now = run(&scratch);
            assert_ne!(now, last, "{name} changes nothing");
            last = now;
        }
        assert_eq!(last, at_once, "{order:?}");
        let said = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0);
        assert!((said.stdout + &said.stderr).contains("nothing new"), "{order:?}");
    }
}

#[test]
fn a_base_model_is_a_view_unless_it_is_stored() {
    let scratch = desk(&HISTORY, &COMMENTS, &USERS);
    let as_view = run(&scratch);
    assert!(!scratch.path("warehouse/tables/base_ticket_events").exists());
    scratch.write("schemas/models/base_ticket_events.toml", "stored = true\n");
    assert_eq!(run(&scratch), as_view);
    assert!(scratch.path("warehouse/tables/base_ticket_events").exists());
    // It is no table of readers.
    assert!(!scratch.path("warehouse/published/current/base_ticket_events").exists());
    assert_eq!(scratch.rows("select count(*) from base_ticket_events"), ["6"]);
}

#[test]
fn golden_tests_put_rows_in_the_place_of_base_models_and_of_what_they_read() {
    let scratch = desk(&HISTORY, &COMMENTS, &USERS);
    scratch.write(
        "tests/models/stg_ticket_events.slt",
        "statement ok
create table base_ticket_events (event_id text, ticket_id bigint, user_id bigint, role text, what text, occurred_at timestamp) as values
  ('c1', 7, 1, null, 'comment', '2024-03-01T12:00:00')

query TIT rowsort
select event_id, ticket_id, role from stg_ticket_events
----
c1 7 unknown
",
    );
    scratch.write(
        "tests/models/base_ticket_events.slt",
        "statement ok
create table users (user_id bigint, role text) as values
  (1, 'agent')

statement ok
create table history (change_id bigint, ticket_id bigint, user_id bigint, status text, at timestamp) as values
  (5, 7, 1, 'open', '2024-03-01T12:00:00')

statement ok
create table comments (comment_id bigint, ticket_id bigint, user_id bigint, posted_at timestamp) as values
  (6, 7, 2, '2024-03-01T12:00:00')

query TTT rowsort
select event_id, role, what from base_ticket_events
----
c6 NULL comment
s5 AGENT open
",
    );
    let said = scratch.run(&["test"]).exits(0);
    assert!((said.stdout + &said.stderr).contains("2 passed, 0 failed"));
}

#[test]
fn base_models_are_selected_shown_and_followed_like_others() {
    let scratch = desk(&HISTORY, &COMMENTS, &USERS);
    let _ = run(&scratch);
    let told = scratch.run(&["why", "fct_ticket_event", "event_id=c3", "--output", "json"]).exits(0);
    let parts: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    let lines: Vec<String> = parts
        .as_array()
        .unwrap()
        .iter()
        .filter(|part| part["count"] != 0)
        .flat_map(|part| part["rows"].as_array().unwrap().iter())
        .filter_map(|row| Some(format!("{}:{}", row["_file"].as_str()?, row["_line"])))
        .collect();
    assert_eq!(lines, ["landing/users-1.csv:3", "landing/comments-1.csv:3"]);
    // Of a project with nothing to do a plan tells nothing more.
    let comments = std::fs::read_to_string(scratch.path("landing/comments-1.csv")).unwrap();
    scratch.write("landing/comments-2.csv", &comments);
    let by_path = scratch.run(&["plan", "--select", "path:sql/base+", "--as-of", "2024-07-02"]).exits(0).stdout;
    assert!(by_path.contains("fct_ticket_event") && by_path.contains("kpi_role_daily"), "{by_path}");
    let _ = scratch.run(&["docs", "--to", "site"]).exits(0);
    let page = std::fs::read_to_string(scratch.path("site/tables/base_ticket_events.html")).unwrap();
    assert!(page.contains("base_users"), "{page}");
}

#[test]
fn a_base_model_is_written_by_new_model() {
    let scratch = desk(&HISTORY, &COMMENTS, &USERS);
    let _ = scratch.run(&["new", "model", "base_history"]).exits(0);
    let sql = std::fs::read_to_string(scratch.path("sql/base/base_history.sql")).unwrap();
    assert!(sql.contains("from history"), "{sql}");
    let _ = scratch.run(&["new", "model", "stg_history"]).exits(0);
    let sql = std::fs::read_to_string(scratch.path("sql/staging/stg_history.sql")).unwrap();
    assert!(sql.contains("from base_history"), "{sql}");
    let _ = scratch.run(&["check"]).exits(0);
    let _ = scratch.run(&["test"]).exits(0);
}

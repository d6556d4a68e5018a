//! The tables of the support desk beside a second implementation: random histories of tickets, told by definitions
//! that know nothing of SQL.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::Read;

use chrono::{DateTime, Datelike, NaiveDate};
use serde_json::json;

use crate::sample::shipped;
use crate::scratch::{Scratch, is_thorough};

const FIRST: i64 = 1_709_251_200; // 2024-03-01T00:00:00Z
const DAY: i64 = 86_400;
const PEOPLE: [&str; 4] = ["agent_01", "agent_05", "stranger_1", "stranger_2"];
const KNOWN: [&str; 2] = ["agent_01", "agent_05"];

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

#[derive(Debug, Clone)]
struct Change {
    id: i64,
    at: i64,
    field: &'static str,
    value: Option<String>,
    previous: Option<String>,
    actor: String,
    role: &'static str,
}

#[derive(Debug, Clone)]
struct Ticket {
    id: i64,
    created: i64,
    updated: i64,
    fields: BTreeMap<&'static str, Option<String>>,
    changes: Vec<Change>,
}

fn ticket(id: i64, dice: &mut Dice) -> Ticket {
    let created = FIRST + i64::try_from(dice.below(30 * 86_400)).unwrap();
    let mode = dice.below(4); // whole history, changes only, changes that name the value before, no history
    let mut fields = BTreeMap::from([("status", Some("new".to_owned()))]);
    fields.insert("priority", (dice.below(2) == 0).then(|| dice.one(&["low", "high"]).to_owned()));
    fields.insert("group_id", (dice.below(3) > 0).then(|| dice.one(&["chat", "all", "email"]).to_owned()));
    fields.insert("assignee_id", (dice.below(3) == 0).then(|| dice.one(&PEOPLE).to_owned()));
    let mut ticket = Ticket { id, created, updated: created, fields, changes: Vec::new() };
    let mut next = id * 1000;
    let mut add = |ticket: &mut Ticket, at, field, value: Option<&str>, previous, actor: &str, role| {
        next += 1;
        let value = value.map(str::to_owned);
        ticket.changes.push(Change { id: next, at, field, value, previous, actor: actor.to_owned(), role });
    };
    if mode == 0 {
        for (field, value) in ticket.fields.clone() {
            if let Some(value) = value {
                add(&mut ticket, created, field, Some(&value), None, "system", "system");
            }
        }
    }
    match dice.below(4) {
        0 => add(&mut ticket, created, "comment_public", Some("x"), None, "user", "end-user"),
        1 => add(&mut ticket, created, "comment_public", Some("x"), None, dice.one(&PEOPLE), "agent"),
        2 => add(&mut ticket, created, "comment_private", Some("x"), None, dice.one(&PEOPLE), "agent"),
        _ => (),
    }
    let mut at = created;
    let mut snapshots = vec![(created, ticket.fields.clone())];
    for _ in 0..dice.below(12) {
        let wait = [0, 1, 59, 3_600, 7_777, DAY, 3 * DAY, 9 * DAY][dice.below(8)];
        at += wait;
        if wait > 0 {
            snapshots.push((at, ticket.fields.clone()));
        }
        let role = dice.one(&["agent", "admin", "end-user", "system", "bot"]);
        let actor = if matches!(role, "agent" | "admin") { dice.one(&PEOPLE) } else { role };
        let field = dice.one(&[
            "status",
            "status",
            "status",
            "priority",
            "group_id",
            "assignee_id",
            "comment_public",
            "comment_public",
            "comment_private",
        ]);
        let value = match field {
            "status" => Some(dice.one(&["open", "pending", "hold", "solved", "solved", "closed", "deleted", "new"])),
            "priority" => Some(dice.one(&["low", "normal", "high", "urgent"])),
            "group_id" => Some(dice.one(&["chat", "all", "email"])),
            "assignee_id" => (dice.below(4) > 0).then(|| dice.one(&PEOPLE)),
            _ => Some("x"),
        };
        let before = ticket.fields.get(field).cloned().flatten();
        let previous = if mode == 2 { before } else { None };
        add(&mut ticket, at, field, value, previous, actor, role);
        if let Some(field) = ticket.fields.get_mut(field) {
            *field = value.map(str::to_owned);
        }
        snapshots.last_mut().unwrap().1.clone_from(&ticket.fields);
    }
    // The row is as new as its history, older, or newer.
    let (updated, row) =
        if dice.below(4) == 0 { &snapshots[dice.below(snapshots.len())] } else { &snapshots[snapshots.len() - 1] };
    ticket.updated = *updated;
    ticket.fields.clone_from(row);
    if mode == 3 {
        ticket.changes.clear();
    } else if dice.below(6) == 0
        && let Some(last) = ticket.changes.iter().rposition(|change| change.field == "status")
    {
        ticket.changes.remove(last);
    }
    ticket
}

fn land(scratch: &Scratch, tickets: &[Ticket]) {
    std::fs::remove_dir_all(scratch.path("data-samples/tickets")).unwrap();
    let (mut rows, mut changes) = (String::new(), String::new());
    let time = |at: i64| DateTime::from_timestamp(at, 0).unwrap().to_rfc3339();
    for ticket in tickets {
        let mut row = json!({"id": ticket.id, "created_at": time(ticket.created), "updated_at": time(ticket.updated),
            "via_channel": "web", "requester_id": format!("u{}", ticket.id)});
        for (field, value) in &ticket.fields {
            row[field] = json!(value);
        }
        writeln!(rows, "{row}").unwrap();
        for change in &ticket.changes {
            let line = json!({"event_id": change.id, "ticket_id": ticket.id, "updated": time(change.at),
                "field_name": change.field, "value": change.value, "previous_value": change.previous,
                "user_id": change.actor, "user_role": change.role});
            writeln!(changes, "{line}").unwrap();
        }
    }
    scratch.write("data-samples/tickets/tickets-2024-03.ndjson", &rows);
    scratch.write("data-samples/tickets/ticket_events-2024-03.ndjson", &changes);
    scratch.write(
        "data-samples/tickets/csat_responses-2024-03.csv",
        "response_id,survey_type,object_type,object_id,user_id,offered_at,answered_at,score,scale_min,scale_max,channel,agent_id,comment,updated_at\n",
    );
}

/// What the definitions say of a ticket.
#[derive(Debug)]
struct Meant {
    id: i64,
    created: i64,
    newest: i64,
    status: String,
    priority: String,
    first_priority: String,
    group: String,
    /// When each stretch of one status began, and which.
    stretches: Vec<(i64, String)>,
    solves: Vec<Solve>,
    reopens: Vec<i64>,
    first_reply: Option<(i64, String)>,
    touches: usize,
}

#[derive(Debug)]
struct Solve {
    at: i64,
    by: Option<String>,
    group: String,
    reopened: Option<i64>,
    touches: usize,
}

fn is_done(status: &str) -> bool {
    matches!(status, "solved" | "closed")
}

fn is_unfinished(status: &str) -> bool {
    !is_done(status) && status != "deleted"
}

fn meant(ticket: &Ticket) -> Meant {
    let mut changes = ticket.changes.clone();
    changes.sort_by_key(|change| (change.at, change.id));
    let of = |field: &'static str| changes.iter().filter(move |change| change.field == field);
    let row = |field: &str| ticket.fields[field].clone();

    // Every status with its time, in order: what the history lacks at its beginning and at its end is put there.
    let mut statuses: Vec<(i64, String, Option<&Change>)> =
        of("status").map(|change| (change.at, change.value.clone().unwrap(), Some(change))).collect();
    let last = statuses.last().map(|(at, status, _)| (*at, status.clone()));
    if statuses.first().is_none_or(|first| first.0 > ticket.created) {
        let before = of("status").next().and_then(|change| change.previous.clone());
        let never = statuses.is_empty() && ticket.updated <= ticket.created;
        let first = before.or_else(|| if never { row("status") } else { None });
        statuses.insert(0, (ticket.created, first.unwrap_or_else(|| "new".to_owned()), None));
    }
    let now = row("status").unwrap();
    if last.is_none_or(|(at, status)| status != now && ticket.updated >= at) {
        statuses.push((ticket.updated, now, None));
    }

    let person = |change: &Change| matches!(change.role, "agent" | "admin");
    let touches_until = |end: i64| of("comment_public").filter(|change| person(change) && change.at <= end).count();
    let value_at = |field: &'static str, at: i64| {
        let before = of(field).rfind(|change| change.at <= at).map(|change| change.value.clone());
        let after = || of(field).next().map(|change| change.previous.clone());
        before.or_else(after).unwrap_or_else(|| row(field))
    };

    let (mut stretches, mut solves, mut reopens): (Vec<(i64, String)>, Vec<Solve>, Vec<i64>) = Default::default();
    let mut was_done = false; // before it was deleted, if it was
    let mut first_closed = None;
    for (at, status, change) in statuses {
        if stretches.last().is_some_and(|(_, before)| *before == status) {
            continue;
        }
        if is_done(&status) && !was_done {
            let by = match change {
                Some(change) if person(change) => Some(change.actor.clone()),
                _ => value_at("assignee_id", at),
            };
            let group = value_at("group_id", at).unwrap_or_else(|| "none".to_owned());
            solves.push(Solve { at, by, group, reopened: None, touches: touches_until(at) });
        }
        if is_unfinished(&status) && was_done {
            solves.last_mut().unwrap().reopened = Some(at);
            reopens.push(at);
        }
        if status == "closed" && first_closed.is_none() {
            first_closed = Some(at);
        }
        if status != "deleted" {
            was_done = is_done(&status);
        }
        stretches.push((at, status));
    }

    let opening = of("comment_public")
        .find(|change| !matches!(change.role, "bot" | "system"))
        .filter(|change| change.at <= ticket.created)
        .map(|change| change.id);
    let first_reply = of("comment_public")
        .filter(|change| person(change) && Some(change.id) != opening)
        .find(|change| first_closed.is_none_or(|closed| change.at <= closed))
        .map(|change| (change.at, change.actor.clone()));
    let newer = |field: &'static str| {
        of(field).rfind(|change| change.at > ticket.updated).map_or_else(|| row(field), |change| change.value.clone())
    };
    let begins = changes.iter().any(|change| !change.field.starts_with("comment") && change.at <= ticket.created);
    let first_priority = of("priority").next().map_or_else(
        || row("priority"),
        |change| match (&change.previous, begins, ticket.updated < change.at) {
            (Some(previous), ..) => Some(previous.clone()),
            (None, true, _) => change.value.clone(),
            (None, false, true) => row("priority"),
            (None, false, false) => None,
        },
    );
    Meant {
        id: ticket.id,
        created: ticket.created,
        newest: changes.iter().map(|change| change.at).chain([ticket.updated]).max().unwrap(),
        status: stretches.last().unwrap().1.clone(),
        priority: newer("priority").unwrap_or_else(|| "none".to_owned()),
        first_priority: first_priority.unwrap_or_default(),
        group: newer("group_id").unwrap_or_else(|| "none".to_owned()),
        touches: solves.last().map_or_else(|| touches_until(i64::MAX), |solve| touches_until(solve.at)),
        stretches,
        solves,
        reopens,
        first_reply,
    }
}

/// The day in Shanghai.
fn day(at: i64) -> NaiveDate {
    DateTime::from_timestamp(at + 8 * 3600, 0).unwrap().date_naive()
}

fn month(at: i64) -> NaiveDate {
    day(at).with_day(1).unwrap()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn random_histories_of_tickets_come_out_as_they_are_defined() {
    for seed in 1..=if is_thorough() { 3 } else { 1 } {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
        let tickets: Vec<Ticket> = (1..=200).map(|id| ticket(id, &mut dice)).collect();
        let scratch = shipped();
        land(&scratch, &tickets);
        let _ = scratch
            .run(&[
                "run",
                "--as-of",
                "2024-12-01",
                "--quiet",
                "--select",
                "fct_ticket",
                "fct_ticket_solve",
                "kpi_support_daily",
                "kpi_agent_month",
                "kpi_team_month",
                "kpi_backlog_daily",
                "--exclude",
                "kpi_daily",
                "kpi_monthly",
                "kpi_headline",
                "risk_*",
                "perf_*",
                "dim_user",
                "kpi_satisfaction",
            ])
            .exits(0);
        let meant: Vec<Meant> = tickets.iter().map(meant).collect();
        compare(&scratch, &meant);
    }
}

fn compare(scratch: &Scratch, meant: &[Meant]) {
    let text = |at: Option<i64>, created: i64| at.map(|at| (at - created).to_string()).unwrap_or_default();
    let got = scratch.rows(
        "select ticket_id, status, priority, first_priority, group_id, solver_id, first_reply_agent_id, solves, reopens, touches, \
         cast(round(first_reply_minutes * 60) as bigint), cast(round(first_resolution_minutes * 60) as bigint), \
         cast(round(full_resolution_minutes * 60) as bigint) from fct_ticket",
    );
    let expected = meant.iter().map(|ticket| {
        let solver = ticket.solves.last().and_then(|solve| solve.by.clone()).unwrap_or_default();
        let (replied, by) = ticket.first_reply.clone().unzip();
        let first = ticket.solves.first().map(|solve| solve.at);
        let last = ticket.solves.last().map(|solve| solve.at);
        format!(
            "{},{},{},{},{},{solver},{},{},{},{},{},{},{}",
            ticket.id,
            ticket.status,
            ticket.priority,
            ticket.first_priority,
            ticket.group,
            by.unwrap_or_default(),
            ticket.solves.len(),
            ticket.reopens.len(),
            ticket.touches,
            text(replied, ticket.created),
            text(first, ticket.created),
            text(last, ticket.created)
        )
    });
    assert_eq!(sorted(got), sorted(expected.collect()));

    let got = scratch.rows(
        "select ticket_id, solve_number, solver_id, group_id, touches, cast(round(resolution_minutes * 60) as bigint), \
         cast(extract(epoch from reopened_at) as bigint) from fct_ticket_solve",
    );
    let expected = meant.iter().flat_map(|ticket| {
        ticket.solves.iter().enumerate().map(|(number, solve)| {
            format!(
                "{},{},{},{},{},{},{}",
                ticket.id,
                number + 1,
                solve.by.clone().unwrap_or_default(),
                solve.group,
                solve.touches,
                solve.at - ticket.created,
                text(solve.reopened, 0)
            )
        })
    });
    assert_eq!(sorted(got), sorted(expected.collect()));

    let kept: Vec<&Meant> = meant.iter().filter(|ticket| ticket.status != "deleted").collect();
    let first = meant.iter().map(|ticket| day(ticket.created)).min().unwrap();
    let last = meant.iter().map(|ticket| day(ticket.newest)).max().unwrap();
    let expected: Vec<String> = first
        .iter_days()
        .take_while(|day| *day <= last)
        .map(|today| {
            let solves = kept.iter().flat_map(|ticket| &ticket.solves).filter(|solve| day(solve.at) == today).count();
            let reopens = kept.iter().flat_map(|ticket| &ticket.reopens).filter(|at| day(**at) == today).count();
            let backlog = kept.iter().filter(|ticket| {
                ticket
                    .stretches
                    .iter()
                    .rfind(|stretch| day(stretch.0) <= today)
                    .is_some_and(|last| is_unfinished(&last.1))
            });
            format!(
                "{today},{},{solves},{reopens},{},{},{solves}",
                kept.iter().filter(|ticket| day(ticket.created) == today).count(),
                meant.iter().filter(|ticket| ticket.status == "deleted" && day(ticket.created) == today).count(),
                backlog.count()
            )
        })
        .collect();
    let got = scratch.rows(
        "select day, created, solved, reopened, deleted, backlog_eod, resolved_tickets from kpi_support_daily \
         where scope_type = 'all' order by day",
    );
    assert_eq!(got, expected);
    let differ = "select a.day from kpi_support_daily as a left join (select day, sum(tickets) as tickets from \
        kpi_backlog_daily group by day) as b on a.day = b.day where scope_type = 'all' and backlog_eod <> coalesce(tickets, 0)";
    assert_eq!(scratch.rows(differ), [""; 0]);

    // Agents, strangers together as one, and teams.
    let known: BTreeSet<&str> = KNOWN.into();
    let mut agents: BTreeMap<(NaiveDate, String), (usize, usize)> = BTreeMap::new();
    let mut teams: BTreeMap<(NaiveDate, String), (usize, usize)> = BTreeMap::new();
    for solve in kept.iter().flat_map(|ticket| &ticket.solves) {
        let reopened = usize::from(solve.reopened.is_some());
        if let Some(by) = &solve.by {
            let by = if known.contains(by.as_str()) { by.clone() } else { "unknown".to_owned() };
            let of = agents.entry((month(solve.at), by)).or_default();
            *of = (of.0 + 1, of.1 + reopened);
        }
        let of = teams.entry((month(solve.at), solve.group.clone())).or_default();
        *of = (of.0 + 1, of.1 + reopened);
    }
    let lines = |of: &BTreeMap<(NaiveDate, String), (usize, usize)>| -> Vec<String> {
        of.iter().map(|((month, who), (solves, reopens))| format!("{month},{who},{solves},{reopens}")).collect()
    };
    let of_agents = "select month, agent_id, solved, reopened_tickets from kpi_agent_month where solved > 0";
    assert_eq!(sorted(scratch.rows(of_agents)), lines(&agents));
    let of_teams = "select month, scope_id, solved, reopened_tickets from kpi_team_month \
        where scope_type = 'group' and solved > 0";
    assert_eq!(sorted(scratch.rows(of_teams)), lines(&teams));
}

const SUPPORT: &[&str] = &[
    "--select",
    "fct_ticket",
    "fct_ticket_solve",
    "kpi_support_daily",
    "kpi_agent_month",
    "kpi_team_month",
    "--exclude",
    "kpi_daily",
    "kpi_monthly",
    "kpi_headline",
    "risk_*",
    "perf_*",
    "dim_user",
    "kpi_satisfaction",
    "kpi_backlog_daily",
];

#[test]
fn a_day_that_is_final_never_changes() {
    let scratch = shipped();
    let settings = std::fs::read_to_string(scratch.path("opsmart.toml")).unwrap();
    let settings = settings.replace("late_tickets_are_set_aside = false", "late_tickets_are_set_aside = true ");
    scratch.write("opsmart.toml", &settings);
    let _ = scratch.run(&[&["run", "--as-of", "2024-07-01", "--quiet"], SUPPORT].concat()).exits(0);
    let every = "select * from kpi_support_daily";
    let before = scratch.rows(&format!("{every} where is_final"));
    assert!(before.len() > 1000, "{}", before.len());
    // The last day but 30 is 30 May; later ones are not final.
    assert_eq!(scratch.rows("select max(day) from kpi_support_daily where is_final"), ["2024-05-30"]);

    // Of every tenth closed ticket of the spring: reopened in July, answered, given to another, solved again, rated by
    // history and by survey, and followed by a new one on its topic. And rows that land late: a ticket and a change of
    // three days before the feed's newest time.
    let old = scratch.rows(
        "select ticket_id, requester_id, category, group_id from fct_ticket where status = 'closed' and ticket_id % 10 = 0",
    );
    assert!(old.len() > 50, "{}", old.len());
    let (mut rows, mut changes, mut surveys) = (String::new(), String::new(), String::new());
    let mut id = 9_000_000;
    for (number, line) in old.iter().enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        let ticket: i64 = fields[0].parse().unwrap();
        let told = [
            ("status", "open", "2024-07-02T01:00:00Z"),
            ("comment_public", "x", "2024-07-02T02:00:00Z"),
            ("assignee_id", "agent_05", "2024-07-02T03:00:00Z"),
            ("status", "solved", "2024-07-02T04:00:00Z"),
            ("satisfaction_rating", "bad", "2024-07-02T05:00:00Z"),
            ("status", "closed", "2024-07-06T04:00:00Z"),
        ];
        for (field, value, at) in told {
            id += 1;
            writeln!(
                changes,
                "{}",
                json!({"event_id": id, "ticket_id": ticket, "updated": at, "field_name": field,
                "value": value, "user_id": "agent_05", "user_role": "agent"})
            )
            .unwrap();
        }
        writeln!(
            rows,
            "{}",
            json!({"id": 8_000_000 + number, "created_at": "2024-07-02T06:00:00Z",
            "updated_at": "2024-07-02T06:00:00Z", "status": "new", "via_channel": "web", "requester_id": fields[1],
            "category": fields[2], "group_id": fields[3]})
        )
        .unwrap();
        writeln!(surveys, "{},csat,ticket,{ticket},u,2024-07-02T04:00:00Z,2024-07-02T05:00:00Z,1,1,5,web,agent_05,,2024-07-02T05:00:00Z",
            7_000_000 + number).unwrap();
    }
    let late = json!({"id": 8_999_999, "created_at": "2024-06-28T00:00:00Z", "updated_at": "2024-06-28T00:00:00Z",
        "status": "open", "priority": "urgent", "via_channel": "chat", "requester_id": "late", "group_id": "chat"});
    writeln!(rows, "{late}").unwrap();
    let recent =
        scratch.rows("select ticket_id from fct_ticket where status = 'solved' order by ticket_id desc limit 1");
    let late = json!({"event_id": 9_999_999, "ticket_id": recent[0].parse::<i64>().unwrap(),
        "updated": "2024-06-28T00:00:00Z", "field_name": "comment_public", "value": "x", "user_id": "agent_05",
        "user_role": "agent"});
    writeln!(changes, "{late}").unwrap();
    scratch.write("data-samples/tickets/tickets-2024-07.ndjson", &rows);
    scratch.write("data-samples/tickets/ticket_events-2024-07.ndjson", &changes);
    let header = "response_id,survey_type,object_type,object_id,user_id,offered_at,answered_at,score,scale_min,scale_max,channel,agent_id,comment,updated_at";
    scratch.write("data-samples/tickets/csat_responses-2024-07.csv", &format!("{header}\n{surveys}"));
    let _ = scratch.run(&[&["run", "--as-of", "2024-08-01", "--quiet"], SUPPORT].concat()).exits(0);

    let after: BTreeSet<String> = scratch.rows(every).into_iter().collect();
    let changed: Vec<&String> = before.iter().filter(|row| !after.contains(*row)).collect();
    assert!(changed.is_empty(), "{} of {}: {:#?}", changed.len(), before.len(), &changed[..changed.len().min(5)]);
    assert_eq!(
        scratch.rows("select reopened from kpi_support_daily where scope_type = 'all' and day = date '2024-07-02'"),
        [old.len().to_string()]
    );
    // Without the setting no day is final, because a row that lands in a year would restate it.
    scratch.write(
        "opsmart.toml",
        &settings.replace("late_tickets_are_set_aside = true", "late_tickets_are_set_aside = false"),
    );
    let _ = scratch.run(&[&["run", "--as-of", "2024-08-01", "--quiet"], SUPPORT].concat()).exits(0);
    assert_eq!(scratch.rows("select count(*) from kpi_support_daily where is_final"), ["0"]);
}

/// Lands the text of a sample again, changed; a packed one unpacked.
fn land_again(scratch: &Scratch, path: &str, change: impl Fn(String) -> String) {
    let bytes = std::fs::read(scratch.path(path)).unwrap();
    std::fs::remove_file(scratch.path(path)).unwrap();
    let mut text = Vec::new();
    let plain = path.strip_suffix(".gz");
    if plain.is_some() {
        let _ = flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut text).unwrap();
    } else {
        text = bytes;
    }
    // Some lines are not UTF-8 on purpose, and set aside for it.
    let lines: Vec<String> =
        text.split(|byte| *byte == b'\n').filter_map(|line| String::from_utf8(line.to_vec()).ok()).collect();
    scratch.write(plain.unwrap_or(path), &change(lines.join("\n")));
}

#[test]
fn a_group_that_is_called_all_and_agents_whom_nobody_listed_stop_nothing() {
    let scratch = shipped();
    let months = ["01", "02", "03", "04", "05", "06"];
    for month in months {
        land_again(&scratch, &format!("data-samples/tickets/tickets-2024-{month}.ndjson.gz"), |text| {
            text.replace("\"group_id\":\"chat\"", "\"group_id\":\"all\"")
        });
        land_again(&scratch, &format!("data-samples/tickets/ticket_events-2024-{month}.ndjson.gz"), |text| {
            text.replace(
                "\"field_name\":\"group_id\",\"value\":\"chat\"",
                "\"field_name\":\"group_id\",\"value\":\"all\"",
            )
        });
    }
    // Group chat is called all; three agents are not on the list.
    land_again(&scratch, "data-samples/governance/agents.csv", |text| {
        let left: Vec<&str> =
            text.lines().filter(|line| !["agent_06", "agent_12", "agent_13"].contains(&&line[..8])).collect();
        left.join("\n").replace(",chat,Live chat,", ",all,Live chat,") + "\n"
    });
    let said = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0);
    assert!(said.stderr.contains("warned[assert_members_are_known]"), "{}", said.stderr);
    assert_eq!(
        scratch.rows("select row_json from dq_check_row where check_name = 'assert_members_are_known'").len(),
        3,
        "{}",
        said.stderr
    );
    assert_eq!(
        scratch.rows("select failing_rows from dq_check_result where check_name = 'assert_members_are_known'"),
        ["3"]
    );

    // Totals are those of the samples as they are, and no number of an agent is lost.
    let created = "select sum(created) from kpi_support_daily where scope_type = ";
    assert_eq!(scratch.rows(&format!("{created}'all'")), ["1011"]);
    assert_eq!(scratch.rows(&format!("{created}'channel_group_priority'")), ["1011"]);
    let all = scratch.rows(&format!("{created}'group' and group_id = 'all'"));
    assert_eq!(all, scratch.rows("select count(*) from fct_ticket where group_id = 'all' and not is_deleted"));
    assert_eq!(
        scratch.rows("select sum(solved) from kpi_agent_month"),
        scratch.rows("select count(*) from fct_ticket_solve where not is_deleted and solver_id is not null and solver_id <> 'bot_01'")
    );
    assert_ne!(scratch.rows("select sum(solved) from kpi_agent_month where agent_id = 'unknown'"), [""]);
    assert_eq!(scratch.rows("select count(*) from perf_agent_month where agent_id = 'unknown' and is_eligible"), ["0"]);
    assert_eq!(scratch.rows("select count(*) from perf_team_month where group_id = 'all'"), ["6"]);
}

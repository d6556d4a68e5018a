//! References between landed datasets: a row whose value is not found is set aside, and comes and goes with what it
//! references.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex};

use camino::Utf8Path;
use opsmart::digest::Digest;
use opsmart::store::{Disk, LocalDisk, NewFile, Store};
use proptest::prelude::*;

use crate::faults::run_on;
use crate::kept_rows::noise;
use crate::scratch::{Scratch, copy};

const AGENTS: &str = r#"from = "{landing}/agents-*.csv"
format = { type = "csv" }
key = ["agent_id"]
[columns]
agent_id = "int64!"
name = "string"
"#;
const TICKETS: &str = r#"from = "{landing}/tickets-*.csv"
format = { type = "csv" }
key = ["ticket_id"]
keep = { latest = "at" }
rejected_share = 0.9
[columns]
ticket_id = "int64!"
at = "timestamp!"
agent_id = { type = "int64", aliases = ["agent"], references = "agents.agent_id" }
"#;

const ROWS: &str = "select ticket_id, agent_id from tickets order by ticket_id";
const LEDGER: &str = "select file, accepted, clean, exact_duplicates, superseded, quarantined, quarantined_in_clean \
    from dq_ledger where dataset = 'tickets' order by sequence";
const ASIDE: &str = "select dataset, file, line, byte_offset, reason, column_name, message from dq_quarantine \
    order by dataset, file, line";

/// Tickets that reference agents, each with tables of their own.
fn desk(tickets: &str) -> Scratch {
    Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
        ("jobs/agents.toml", "ingest = [\"agents\"]\n"),
        ("jobs/tickets.toml", "ingest = [\"tickets\"]\n"),
        ("schemas/sources/agents.toml", AGENTS),
        ("schemas/sources/tickets.toml", TICKETS),
        ("sql/staging/stg_agents.sql", "select agent_id, name from agents\n"),
        ("sql/staging/stg_tickets.sql", "select ticket_id, at, agent_id from tickets\n"),
        ("sql/marts/dim_agent.sql", "select agent_id, name from stg_agents\n"),
        ("sql/marts/fct_ticket.sql", "select ticket_id, at, agent_id from stg_tickets\n"),
        ("sql/kpi/kpi_tickets.sql", "select count(*) as tickets from fct_ticket\n"),
        ("landing/agents-1.csv", "agent_id,name\n7,Ada\n8,Bo\n"),
        ("landing/tickets-1.csv", tickets),
    ])
}

/// Three tickets of an agent who is there, of one who is not, and of none.
fn three_tickets() -> Scratch {
    desk(
        "ticket_id,at,agent
1,2024-03-01T10:00:00Z,7
2,2024-03-01T11:00:00Z,17
3,2024-03-01T12:00:00Z,
x,2024-03-01T12:00:00Z,7
",
    )
}

#[test]
fn a_row_that_leads_nowhere_is_set_aside_with_what_it_says() {
    let scratch = three_tickets();
    let said = scratch.run(&["run"]).exits(0);
    assert!(
        said.stderr.contains(
            "\n  tickets: 1 more quarantined, for a value that is not found where it references\n  2 quarantined, each with its reason"
        ),
        "{}",
        said.stderr
    );
    assert_eq!(scratch.rows(ROWS), ["1,7", "3,"]);
    assert_eq!(scratch.rows("select tickets from kpi_tickets"), ["2"]);
    assert_eq!(
        scratch.rows(ASIDE),
        [
            "tickets,landing/tickets-1.csv,3,,E_FK,agent_id,\"expected a value of `agents.agent_id`, found `17`\"",
            "tickets,landing/tickets-1.csv,5,94,E_TYPE,ticket_id,\"expected a whole number, found `x`\"",
        ]
    );
    assert_eq!(scratch.rows(LEDGER), ["landing/tickets-1.csv,3,2,0,0,1,1"]);
    assert_eq!(scratch.rows("select rejected_share from dq_ledger where dataset = 'tickets'"), ["0.5"]);
    assert_eq!(scratch.rows("select dataset, quarantined from feed_freshness"), ["agents,0", "tickets,2"]);
    let said = scratch.run(&["quarantine", "ls", "tickets"]).exits(0).stdout;
    let lines: Vec<Vec<&str>> = said.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines,
        [
            ["tickets", "landing/tickets-1.csv", "E_FK", "agent_id", "1"],
            ["tickets", "landing/tickets-1.csv", "E_TYPE", "ticket_id", "1"],
        ]
    );
    assert_eq!(
        scratch.run(&["quarantine", "show"]).exits(0).stdout,
        r#"landing/tickets-1.csv:3: E_FK in `agent_id`: expected a value of `agents.agent_id`, found `17`
  {"ticket_id":"2","at":"2024-03-01T11:00:00Z","agent_id":"»17«"}
landing/tickets-1.csv:5: E_TYPE in `ticket_id`: expected a whole number, found `x`
  »x«,2024-03-01T12:00:00Z,7
"#
    );
    let said = scratch.run(&["quarantine", "show", "--reason", "E_FK", "--output", "json"]).exits(0).stdout;
    let records: serde_json::Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!((&records[0]["line"], &records[0]["byte_offset"]), (&3.into(), &serde_json::Value::Null));
    let record: serde_json::Value = serde_json::from_str(records[0]["record"].as_str().unwrap()).unwrap();
    let expected = serde_json::json!({ "ticket_id": "2", "at": "2024-03-01T11:00:00Z", "agent_id": "17" });
    assert_eq!(record, expected);
}

#[test]
fn a_row_comes_and_goes_with_what_it_references() {
    let scratch = three_tickets();
    scratch.age();
    let _ = scratch.run(&["run"]).exits(0);
    let (with, without) = (["1,7", "2,17", "3,"], ["1,7", "3,"]);
    let aside = || scratch.rows("select message from dq_quarantine where reason = 'E_FK' order by message").len();
    assert_eq!((scratch.rows(ROWS), aside()), (without.map(str::to_owned).to_vec(), 1));
    // It lands late. No file of tickets is read again.
    scratch.write("landing/agents-2.csv", "agent_id,name\n17,Cy\n");
    let said = scratch.run(&["run", "--output", "json"]).exits(0).stdout;
    let report: serde_json::Value = serde_json::from_str(said.trim()).unwrap();
    let tickets = &report["datasets"][1];
    assert_eq!(
        (&tickets["dataset"], &tickets["files_read"], &tickets["clean"]),
        (&"tickets".into(), &0.into(), &3.into())
    );
    assert_eq!((scratch.rows(ROWS), aside()), (with.map(str::to_owned).to_vec(), 0));
    assert_eq!(scratch.rows(LEDGER), ["landing/tickets-1.csv,3,3,0,0,1,0"]);
    assert_eq!(scratch.rows("select tickets from kpi_tickets"), ["3"]);
    // Its file is given up, and taken back.
    let _ = scratch.run(&["forget", "landing/agents-2.csv"]).exits(0);
    assert_eq!((scratch.rows(ROWS), aside()), (without.map(str::to_owned).to_vec(), 1));
    assert_eq!(scratch.rows(LEDGER), ["landing/tickets-1.csv,3,2,0,0,1,1"]);
    assert_eq!(scratch.rows("select tickets from kpi_tickets"), ["2"]);
    let _ = scratch.run(&["forget", "--undo", "landing/agents-2.csv"]).exits(0);
    assert_eq!((scratch.rows(ROWS), aside()), (with.map(str::to_owned).to_vec(), 0));
    // Its file is replaced by one that does not have it.
    scratch.write("landing/agents-2.csv", "agent_id,name\n18,Di\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!((scratch.rows(ROWS), aside()), (without.map(str::to_owned).to_vec(), 1));
    // The reference is taken out of the contract.
    scratch.write("schemas/sources/tickets.toml", &TICKETS.replace(", references = \"agents.agent_id\"", ""));
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!((scratch.rows(ROWS), aside()), (with.map(str::to_owned).to_vec(), 0));
}

#[test]
fn a_row_that_is_set_aside_gives_no_older_version_back() {
    let scratch = desk(
        "ticket_id,at,agent_id
1,2024-03-01T10:00:00Z,7
1,2024-03-02T10:00:00Z,17
1,2024-03-02T10:00:00Z,17
2,2024-03-01T10:00:00Z,17
",
    );
    // Of the second ticket the version that leads nowhere is the older one: nobody asks it.
    scratch.write("landing/tickets-2.csv", "ticket_id,at,agent_id\n2,2024-03-03T10:00:00Z,8\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["2,8"]);
    assert_eq!(scratch.rows(LEDGER), ["landing/tickets-1.csv,4,0,1,2,0,1", "landing/tickets-2.csv,1,1,0,0,0,0"]);
    assert_eq!(scratch.rows("select line from dq_quarantine"), ["4"]);
    scratch.write("landing/agents-2.csv", "agent_id,name\n17,Cy\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,17", "2,8"]);
}

#[test]
fn rows_that_are_set_aside_are_not_counted_as_repeated() {
    let scratch = desk("ticket_id,at,agent_id\n1,2024-03-01T10:00:00Z,7\n1,2024-03-01T10:00:00Z,7\n");
    let repeated = "from = \"{landing}/tickets-*.csv\"\nformat = { type = \"csv\" }\ncount_repeated = true\nrejected_share = 0.9\n";
    let columns = &TICKETS[TICKETS.find("[columns]").unwrap()..];
    scratch.write("schemas/sources/tickets.toml", &format!("{repeated}{columns}"));
    let lines = "2,2024-03-01T10:00:00Z,17\n".repeat(3) + "1,2024-03-01T10:00:00Z,7\n3,2024-03-01T10:00:00Z,17\n";
    scratch.write("landing/tickets-2.csv", &format!("ticket_id,at,agent_id\n{lines}"));
    let counts = "select accepted, clean, repeated, quarantined_in_clean from dq_ledger where dataset = 'tickets' order by sequence";
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(counts), ["2,2,1,0", "5,1,1,4"]);
    scratch.write("landing/agents-2.csv", "agent_id,name\n17,Cy\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(counts), ["2,2,1,0", "5,5,3,0"]);
}

#[test]
fn long_rows_are_set_aside_as_whole_as_short_ones() {
    let mut lines = String::from("ticket_id,at,agent_id,note\n");
    for id in 0..12 {
        let agent = if id == 5 { 7 } else { 17 };
        writeln!(lines, "{id},2024-03-01T10:00:00Z,{agent},{}", "\"\"".repeat(400_000)).unwrap();
    }
    let scratch = desk(&lines.replace(",\"\"", ",\"\"\"").replace("\"\n", "\"\"\n"));
    let contract = TICKETS.replace("0.9", "0.95") + "note = \"string\"\n";
    scratch.write("schemas/sources/tickets.toml", &contract);
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select ticket_id, length(note) from tickets"), ["5,400000"]);
    // A quote in a JSON text is escaped.
    let aside = "select line, length(arrow_cast(record, 'Utf8')) > 800000, arrow_cast(record, 'Utf8') like '%\"agent_id\":\"17\"%' from dq_quarantine order by line";
    let lines = (2..14).filter(|line| *line != 7).map(|line| format!("{line},true,true"));
    assert_eq!(scratch.rows(aside), lines.collect::<Vec<_>>());
    let shown = scratch.run(&["quarantine", "show", "--limit", "1"]).exits(0).stdout;
    assert!(shown.contains("\"agent_id\":\"»17«\",\"note\":\"\\\"\\\"") && shown.ends_with("…\n"), "{}", shown.len());
}

#[test]
fn too_many_rows_of_a_file_that_lead_nowhere_stop_the_run() {
    let scratch = three_tickets();
    let _ = scratch.run(&["run"]).exits(0);
    let few = TICKETS.replace("rejected_share = 0.9", "rejected_share = 0.4");
    // What was taken in by a higher share stays, until what it references moves.
    scratch.write("schemas/sources/tickets.toml", &few);
    let _ = scratch.run(&["run"]).exits(0);
    scratch.write("landing/agents-2.csv", "agent_id,name\n9,Ed\n");
    let said = scratch.run(&["run", "--output", "json"]).exits(1);
    assert_eq!(
        said.stderr,
        "error: 2 of the 4 records of `landing/tickets-1.csv` do not fit the contract, 1 of them for a value that is not found where it references; its `rejected_share` allows 1
  landing/tickets-1.csv:3: E_FK in `agent_id`: expected a value of `agents.agent_id`, found `17`
help: let what is referenced land, fix the file, or raise its `rejected_share`; nothing of this run was published
"
    );
    let failure: serde_json::Value = serde_json::from_str(said.stdout.trim()).unwrap();
    assert_eq!((&failure["status"], &failure["exit"]), (&"failed".into(), &1.into()));
    assert_eq!(scratch.rows("select count(*) from dim_agent"), ["2"]);
    // With the agent all is well, and a new file is judged by itself.
    scratch.write("landing/agents-2.csv", "agent_id,name\n17,Cy\n");
    let _ = scratch.run(&["run"]).exits(0);
    scratch.write("landing/tickets-2.csv", "ticket_id,at,agent_id\n4,2024-03-01T10:00:00Z,99\n");
    let said = scratch.run(&["run"]).exits(1);
    assert!(said.stderr.starts_with("error: 1 of the 1 records of `landing/tickets-2.csv` "), "{}", said.stderr);
    assert_eq!(scratch.rows(ROWS), ["1,7", "2,17", "3,"]);
}

#[test]
fn a_chain_of_references_is_followed_in_one_run() {
    let scratch = three_tickets();
    scratch.write(
        "schemas/sources/agents.toml",
        &format!(
            "rejected_share = 1\n{AGENTS}team = {{ type = \"string\", references = \"teams.team\" }}\ngrade = {{ type = \"decimal(4,1)\", references = \"grades.grade\" }}\n"
        ),
    );
    scratch.write("landing/agents-1.csv", "agent_id,name,team,grade\n7,Ada,red,1.5\n17,Cy,blue,2\n8,Bo,green,3\n");
    let teams = "from = \"{landing}/teams-*.csv\"\nformat = { type = \"csv\" }\n[columns]\nteam = \"string\"\n";
    scratch.write("schemas/sources/teams.toml", teams);
    let grades = "from = \"{landing}/grades.csv\"\nformat = { type = \"csv\" }\n[columns]\ngrade = \"decimal(4,1)\"\n";
    scratch.write("schemas/sources/grades.toml", grades);
    scratch.write("landing/grades.csv", "grade\n1.50\n2.0\n");
    scratch.write("landing/teams-1.csv", "team\nred\n\"\"\nred\n");
    scratch.write("landing/teams-2.csv", "team\nblue\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select agent_id from dim_agent order by 1"), ["7", "17"]);
    assert_eq!(scratch.rows(ROWS), ["1,7", "2,17", "3,"]);
    // Of two columns that lead nowhere the first one is told.
    let aside = "select dataset, column_name, message from dq_quarantine where reason = 'E_FK' order by dataset, line";
    assert_eq!(scratch.rows(aside), ["agents,team,\"expected a value of `teams.team`, found `green`\""]);
    // A team goes, and with it its agent, and with that the ticket.
    let _ = scratch.run(&["forget", "landing/teams-2.csv"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,7", "3,"]);
    assert_eq!(
        scratch.rows(aside),
        [
            "agents,team,\"expected a value of `teams.team`, found `blue`\"",
            "agents,team,\"expected a value of `teams.team`, found `green`\"",
            "tickets,agent_id,\"expected a value of `agents.agent_id`, found `17`\"",
        ]
    );
    let _ = scratch.run(&["forget", "--undo", "landing/teams-2.csv"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,7", "2,17", "3,"]);
    scratch.write("landing/grades.csv", "grade\n1.5\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,7", "3,"]);
}

#[test]
fn a_plan_says_what_follows_a_reference_and_the_run_stops_where_nothing_moved() {
    let scratch = three_tickets();
    scratch.age();
    let _ = scratch.run(&["run"]).exits(0);
    let plan = |line: &str| {
        let said = scratch.run(&["plan"]).exits(0).stdout;
        assert!(said.lines().any(|told| told.trim() == line), "{line}\n{said}");
    };
    let cleaned = || scratch.files("warehouse/tables/tickets").len();
    assert!(scratch.run(&["plan"]).exits(0).stdout.starts_with("nothing to do: 2 datasets and 3 tables"));
    let before = cleaned();
    // The same rows in another order: the agents come out equal.
    scratch.write("landing/agents-1.csv", "agent_id,name\n8,Bo\n7,Ada\n");
    plan("tickets  clean if agents changes, 1 file is known");
    let said = scratch.run(&["run"]).exits(0);
    assert_eq!((said.stderr.contains("kpi_tickets"), cleaned()), (false, before), "{}", said.stderr);
    // A run that leaves tickets alone leaves them for the next.
    scratch.write("landing/agents-2.csv", "agent_id,name\n17,Cy\n");
    let _ = scratch.run(&["run", "--exclude", "tickets"]).exits(0);
    assert_eq!((scratch.rows(ROWS).len(), cleaned()), (2, before));
    plan("tickets  clean: a dataset that it references changed, 1 file is known");
    let json: serde_json::Value =
        serde_json::from_str(&scratch.run(&["plan", "--output", "json"]).exits(0).stdout).unwrap();
    assert_eq!(json["datasets"][1]["because"], "a dataset that it references changed");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows(ROWS).len(), 3);
    // A contract that references something else is another contract.
    scratch.write("schemas/sources/tickets.toml", &TICKETS.replace(", references = \"agents.agent_id\"", ""));
    plan("tickets  clean: its contract changed, 1 file is known");
}

#[test]
fn a_job_takes_in_what_it_references_and_cleans_what_references_it() {
    let scratch = three_tickets();
    // The job of tickets takes in agents.
    let _ = scratch.run(&["run", "tickets"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,7", "3,"]);
    // The job of agents takes in no tickets, and brings those up to date that are there.
    scratch.write("landing/agents-2.csv", "agent_id,name\n17,Cy\n");
    scratch.write("landing/tickets-2.csv", "ticket_id,at,agent_id\n4,2024-03-01T10:00:00Z,17\n");
    let _ = scratch.run(&["run", "agents"]).exits(0);
    assert_eq!(scratch.rows(ROWS), ["1,7", "2,17", "3,"]);
    assert_eq!(scratch.rows("select tickets from kpi_tickets"), ["3"]);
    scratch.write("landing/agents-2.csv", "agent_id,name\n17,Cy\n18,Di\n");
    scratch.write("landing/tickets-3.csv", "ticket_id,at,agent_id\n5,2024-03-01T10:00:00Z,18\n");
    let said = scratch.run(&["quarantine", "replay", "tickets"]).exits(0);
    assert!(said.stderr.ends_with("tickets: 1 quarantined before, 1 now\n"), "{}", said.stderr);
    assert_eq!(scratch.rows(ROWS), ["1,7", "2,17", "3,", "4,17", "5,18"]);
    // A selector follows references as it does reads.
    let selected = |selector: &str| {
        let said = scratch.run(&["plan", "--select", selector, "--output", "json"]).exits(0).stdout;
        let plan: serde_json::Value = serde_json::from_str(&said).unwrap();
        let names = plan["datasets"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(selected("+fct_ticket"), ["agents", "tickets"]);
    assert_eq!(selected("source:agents+"), ["agents", "tickets"]);
    // A view is computed without what its datasets only reference.
    assert_eq!(scratch.rows("select count(*) from stg_tickets"), ["5"]);
}

#[test]
fn the_documentation_shows_where_a_reference_leads() {
    let scratch = three_tickets();
    let _ = scratch.run(&["docs"]).exits(0);
    let page = std::fs::read_to_string(scratch.path("site/sources/tickets.html")).unwrap();
    let (_, column) = page.split_once("<tr id=\"agent_id\">").unwrap();
    assert!(column.split_once("</tr>").unwrap().0.contains("found in agents.agent_id"), "{column}");
    // The drawing has what it references, and what is made from that does not follow.
    assert!(page.contains(">agents</text>") && !page.contains(">dim_agent</text>"), "{page}");
}

#[test]
fn datasets_that_reference_each_other_are_refused() {
    let scratch = three_tickets();
    let own = AGENTS.to_owned() + "lead_id = { type = \"int64\", references = \"agents.agent_id\" }\n";
    scratch.write("schemas/sources/agents.toml", &own);
    let said = scratch.run(&["check"]).exits(2).stderr;
    let expected = "error[E0202]: datasets reference each other in a cycle: agents -> agents\n --> schemas/sources/agents.toml:7:43\n";
    assert!(said.starts_with(expected), "{said}");
}

/// A disk on which a command runs before the first file of the tickets is written.
#[derive(Debug)]
struct Interrupted(Mutex<Option<Command>>);

impl Disk for Interrupted {
    fn create(&self, path: &Utf8Path) -> io::Result<Box<dyn NewFile>> {
        if path.as_str().contains("/data/tickets/")
            && let Some(mut command) = self.0.lock().unwrap().take()
        {
            assert!(command.status()?.success());
        }
        LocalDisk.create(path)
    }

    fn read(&self, path: &Utf8Path) -> io::Result<Vec<u8>> {
        LocalDisk.read(path)
    }

    fn sync(&self, path: &Utf8Path) -> io::Result<()> {
        LocalDisk.sync(path)
    }

    fn replace(&self, path: &Utf8Path, bytes: &[u8]) -> io::Result<()> {
        LocalDisk.replace(path, bytes)
    }

    fn link(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        LocalDisk.link(from, to)
    }

    fn point(&self, path: &Utf8Path, target: &Utf8Path) -> io::Result<()> {
        LocalDisk.point(path, target)
    }

    fn rename_folder(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        LocalDisk.rename_folder(from, to)
    }

    fn remove(&self, path: &Utf8Path) -> io::Result<()> {
        LocalDisk.remove(path)
    }
}

#[test]
fn a_run_starts_again_when_what_it_referenced_was_published_meanwhile() {
    let scratch = three_tickets();
    run_on(&scratch, Arc::new(LocalDisk), "first").unwrap();
    let tickets = "ticket_id,at,agent_id\n4,2024-03-01T10:00:00Z,17\n5,2024-03-01T10:00:00Z,7\n";
    scratch.write("landing/tickets-2.csv", tickets);
    // While the tickets are being read, their agent lands, and a run publishes it that leaves them alone.
    scratch.write("later/agents-2.csv", "agent_id,name\n17,Cy\n");
    let mut command = Command::new("sh");
    let run = "cp later/* landing/ && exec \"$1\" run agents --exclude tickets --as-of 2024-07-01 --quiet";
    command.current_dir(scratch.root()).args(["-c", run, "sh", env!("CARGO_BIN_EXE_opsmart")]);
    run_on(&scratch, Arc::new(Interrupted(Mutex::new(Some(command)))), "second").unwrap();
    assert_eq!(scratch.rows("select agent_id from agents order by 1"), ["7", "8", "17"]);
    assert_eq!(scratch.rows(ROWS), ["1,7", "2,17", "3,", "4,17", "5,7"]);
}

#[test]
fn large_files_lose_rows_in_place_on_both_sides() {
    const ROWS: i64 = 60_000;
    let scratch = desk("");
    scratch.write(
        "schemas/sources/agents.toml",
        &format!("keep = {{ latest = \"version\" }}\n{AGENTS}version = \"int64!\"\ncode = \"int64!\"\n"),
    );
    let tickets = TICKETS.replace("agents.agent_id", "agents.code").replace("0.9", "0.01") + "note = \"string\"\n";
    scratch.write("schemas/sources/tickets.toml", &tickets);
    let agents = |ids: &mut dyn Iterator<Item = i64>, version: i64| {
        let line = |id: i64| format!("{id},{},{version},{}\n", noise(id), id + version * 1_000_000);
        "agent_id,name,version,code\n".to_owned() + &ids.map(line).collect::<String>()
    };
    scratch.write("landing/agents-1.csv", &agents(&mut (0..ROWS), 1));
    // A ticket for each code, in another order, and one in a thousand of a code that is not there.
    let agent = |ticket: i64| if ticket % 1000 == 999 { -1 } else { ticket * 7919 % ROWS };
    let line = |id: i64| format!("{id},2024-03-01T10:00:00Z,{},{}\n", agent(id) + 1_000_000, noise(id));
    let lines: String = (0..ROWS).map(line).collect();
    scratch.write("landing/tickets-1.csv", &format!("ticket_id,at,agent_id,note\n{lines}"));
    let compare = |gone: &[i64]| {
        let strays: Vec<i64> = (0..ROWS).filter(|id| agent(*id) == -1 || gone.contains(&agent(*id))).collect();
        let kept = ROWS - i64::try_from(strays.len()).unwrap();
        let sum = ROWS * (ROWS - 1) / 2 - strays.iter().sum::<i64>();
        assert_eq!(scratch.rows("select count(*), sum(ticket_id) from tickets"), [format!("{kept},{sum}")]);
        assert_eq!(scratch.rows("select tickets from kpi_tickets"), [kept.to_string()]);
        let lines = scratch.rows("select line from dq_quarantine order by line");
        assert_eq!(lines, strays.iter().map(|id| (id + 2).to_string()).collect::<Vec<_>>());
        for dataset in ["agents", "tickets"] {
            let files = scratch.files(&format!("warehouse/data/{dataset}"));
            assert_eq!(files.iter().filter(|(_, bytes)| bytes.len() > 1 << 20).count(), 1, "{dataset}");
        }
        strays.len()
    };
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    assert_eq!(compare(&[]), 60);
    // Three agents get other codes, so that three rows of their large file do not count.
    let gone = [5, 30_000, 59_999];
    scratch.write("landing/agents-2.csv", &agents(&mut gone.into_iter(), 2));
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    assert_eq!(compare(&gone), 63);
}

/// What lands: of a number, the agents of a file, or its tickets with their agents.
#[derive(Debug, Clone)]
enum Event {
    Agents(u8, Vec<i64>),
    Tickets(u8, Vec<(i64, i64)>),
    /// Run.
    Run,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0..3_u8, prop::collection::btree_set(0..6_i64, 0..4))
            .prop_map(|(file, agents)| Event::Agents(file, agents.into_iter().collect())),
        2 => (0..3_u8, prop::collection::vec((0..5_i64, 0..7_i64), 0..6))
            .prop_map(|(file, tickets)| Event::Tickets(file, tickets)),
        3 => Just(Event::Run),
    ]
}

/// Returns the content of every table but the ledger, which tells when files landed.
fn contents(scratch: &Scratch) -> BTreeMap<String, Digest> {
    let store = Store::open(&scratch.path("warehouse"), Arc::new(LocalDisk));
    let snapshot = store.snapshot(&store.reference().unwrap().unwrap().snapshot).unwrap();
    let entries = snapshot.tables.into_iter().filter(|(name, _)| name != "dq_ledger");
    entries.map(|(name, entry)| (name, entry.content_hash)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_history_the_tables_are_those_of_a_first_run(events in prop::collection::vec(event(), 4..16)) {
        let scratch = desk("ticket_id,at,agent_id\n");
        scratch.write("schemas/sources/tickets.toml", &TICKETS.replace("0.9", "1"));
        // No two versions are of one moment, so that it does not matter which file was admitted first.
        let mut moment = 0;
        for (number, event) in events.iter().chain([&Event::Run]).enumerate() {
            match event {
                Event::Agents(file, agents) => {
                    let mut text = String::from("agent_id,name\n");
                    agents.iter().for_each(|id| writeln!(text, "{id},").unwrap());
                    scratch.write(&format!("landing/agents-{file}.csv"), &text);
                }
                Event::Tickets(file, tickets) => {
                    let mut text = String::from("ticket_id,at,agent_id\n");
                    for (ticket, agent) in tickets {
                        moment += 1;
                        writeln!(text, "{ticket},2024-03-01T10:{:02}:{:02}Z,{agent}", moment / 60, moment % 60).unwrap();
                    }
                    scratch.write(&format!("landing/tickets-{file}.csv"), &text);
                }
                Event::Run => drop(run_on(&scratch, Arc::new(LocalDisk), &format!("run-{number}")).unwrap()),
            }
        }
        let fresh = Scratch::empty();
        for folder in ["landing", "schemas", "sql", "jobs"] {
            copy(scratch.path(folder).as_std_path(), fresh.path(folder).as_std_path());
        }
        fresh.write("opsmart.toml", &std::fs::read_to_string(scratch.path("opsmart.toml")).unwrap());
        run_on(&fresh, Arc::new(LocalDisk), "first").unwrap();
        prop_assert_eq!(contents(&scratch), contents(&fresh));
    }
}

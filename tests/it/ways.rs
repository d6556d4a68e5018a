//! The ways in: what `init` and `new` write works as it stands.

use crate::scratch::Scratch;

fn desk() -> Scratch {
    let scratch = Scratch::empty();
    let _ = scratch.run(&["init"]).exits(0);
    scratch
}

#[test]
fn a_new_project_runs_and_every_published_column_has_words() {
    let scratch = desk();
    let _ = scratch.run(&["check"]).exits(0);
    let _ = scratch.run(&["test"]).exits(0);
    let _ = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0);
    // Counted in the sample by hand: 13 records, one solved "yesterday", and ticket 1005 in two versions.
    assert_eq!(
        scratch.rows("select accepted, quarantined, clean from dq_ledger where dataset = 'tickets'"),
        ["12,1,11"]
    );
    assert_eq!(
        scratch
            .rows("select value from kpi_daily where metric_id = 'support_created' and scope_id = 'all' order by day"),
        ["3.0", "3.0", "2.0", "3.0"]
    );
    let views = std::fs::read_to_string(scratch.path("warehouse/published/current/views.sql")).unwrap();
    for line in views.lines().filter(|line| line.starts_with("comment on column") && !line.contains("_metadata")) {
        assert_eq!(line.matches(" | ").count(), 3, "{line}");
    }
}

#[test]
fn the_tests_of_a_new_project_hold_in_every_zone() {
    let scratch = desk();
    let settings = std::fs::read_to_string(scratch.path("opsmart.toml")).unwrap();
    for zone in
        ["UTC", "Asia/Shanghai", "America/Los_Angeles", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata"]
    {
        let changed = settings.replace("reporting_zone = \"UTC\"", &format!("reporting_zone = \"{zone}\""));
        assert_eq!(changed == settings, zone == "UTC");
        scratch.write("opsmart.toml", &changed);
        let _ = scratch.run(&["test"]).exits(0);
    }
}

#[test]
fn a_line_of_targets_that_says_nothing_is_told() {
    let scratch = desk();
    let targets = std::fs::read_to_string(scratch.path("landing/kpi_targets.csv")).unwrap();
    let more = "support_solvd,total,all,2024-01-01,3\nsupport_created,total,all,2024-01-01,3\nsupport_solved,agent,ann,2024-01-01,3\n";
    scratch.write("landing/kpi_targets.csv", &format!("{targets}{more}"));
    let _ = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0);
    // A metric that is not declared, and one that does not say which direction is better.
    assert_eq!(
        scratch.rows("select check_name from dq_check_result where state = 'warned' order by check_name"),
        ["dim_kpi_target.metric_id.relation", "kpi_daily.targets_are_compared"]
    );
    assert_eq!(scratch.rows("select column_name from dq_quarantine where dataset = 'kpi_targets'"), ["scope_type"]);
}

#[test]
fn a_stray_time_moves_no_number_of_a_new_project() {
    let kpis =
        "select day, metric_id, scope_id, value, rag, is_complete from kpi_daily order by day, metric_id, scope_id";
    let day = |n: u32| format!("2024-06-{n:02}T08:05:00Z");
    let usual = (1..=28).map(|n| format!("{},{1},{1},,email,normal,open\n", 2000 + n, day(n))).collect::<String>();
    let file = |strays: &str| format!("id,created_at,updated_at,solved_at,channel,priority,status\n{usual}{strays}");
    let scratch = desk();
    scratch.write("landing/tickets-2024-07.csv", &file(""));
    let _ = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0);
    let expected = scratch.rows(kpis);
    let other = desk();
    let (first, last, usual) = ("1970-01-01T00:00:00Z", "2124-01-01T00:00:00Z", "2024-06-06T08:00:00Z");
    other.write(
        "landing/tickets-2024-07.csv",
        &file(&format!(
            "1,{first},{usual},,email,normal,open
2,{usual},{last},,email,normal,open
3,{usual},{usual},{last},email,normal,solved
"
        )),
    );
    let said = other.run(&["run", "--as-of", "2024-07-01"]).exits(0);
    assert_eq!(other.rows(kpis), expected);
    assert_eq!(
        other.rows("select line, reason, column_name from dq_quarantine where file like '%07.csv' order by line"),
        ["30,E_RANGE,created_at", "31,E_FUTURE,updated_at", "32,E_FUTURE,solved_at"]
    );
    // The sample's own record besides.
    assert!(
        said.stderr.lines().any(|line| line.starts_with(" tickets          2       46        40            4")),
        "{}",
        said.stderr
    );
}

#[test]
fn a_new_project_gets_a_folder_to_itself() {
    let scratch =
        Scratch::with(&[("desk/notes/a.txt", "mine"), ("desk/.git/config", "mine"), ("hidden/.gitignore", "mine")]);
    let before = scratch.files(".");
    for folder in ["desk", "."] {
        let said = scratch.run(&["init", folder]).exits(2);
        let has = if folder == "desk" { "`notes`" } else { "`desk`, `hidden`" };
        assert_eq!(
            said.stderr,
            format!(
                "error: `{folder}` is not empty: it has {has}
help: name a new folder, for example `opsmart init my-project`; names that begin with a dot do not count
"
            )
        );
    }
    // What does not count is not overwritten either.
    let said = scratch.run(&["init", "hidden"]).exits(2);
    assert_eq!(
        said.stderr,
        "error: `.gitignore` is there already, and nothing is overwritten
help: choose another name or folder, or move them away
"
    );
    assert_eq!(scratch.files("."), before);
    std::fs::remove_dir_all(scratch.path("desk/notes")).unwrap();
    let _ = scratch.run(&["init", "desk"]).exits(0);
    let said = scratch.run(&["init", "desk"]).exits(2);
    assert!(said.stderr.starts_with("error: `desk` is a project already: it has `opsmart.toml`\n"), "{}", said.stderr);
}

#[test]
fn a_model_of_every_layer_passes_as_it_is_written() {
    let scratch = desk();
    let new = |name: &str, from: &[&str]| {
        let arguments = [&["new", "model", name][..], from].concat();
        let _ = scratch.run(&arguments).exits(0);
        let _ = scratch.run(&["test", name]).exits(0);
    };
    for (name, from) in [
        ("stg_tickets_again", "tickets"),
        ("int_tickets_sorted", "stg_tickets"),
        ("dim_ticket", "int_tickets_sorted"),
        ("fct_ticket_again", "fct_ticket"),
        ("kpi_ticket", "fct_ticket"),
        ("kpi_metric", "dim_metric"),
        ("perf_desk", "kpi_daily"),
        ("risk_desk", "kpi_daily"),
        ("risk_desk_again", "risk_desk"),
    ] {
        new(name, &["--from", from]);
    }
    // By the name alone, and where the name says nothing.
    new("int_tickets", &[]);
    new("kpi_visits_daily", &[]);
    let said = scratch.run(&["check"]).exits(0);
    assert_eq!(said.stderr, "ok: 1 job, 2 datasets, 17 models, 4 metrics, 1 check\n");
    let _ = scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0);
    let columns = scratch.rows("select count(*) from kpi_daily k join risk_desk_again r on k.day = r.day and k.metric_id = r.metric_id and k.scope_type = r.scope_type and k.scope_id = r.scope_id and k.value = r.value");
    // 48 rows, of which two have no value.
    assert_eq!(columns, ["46"]);
    assert_eq!(scratch.rows("select count(*) from fct_ticket_again"), ["11"]);
}

#[test]
fn a_column_called_like_a_word_of_sql_is_quoted() {
    let scratch = Scratch::with(&[
        ("opsmart.toml", ""),
        (
            "schemas/sources/order.toml",
            r#"from = "in/*.csv"
format = { type = "csv" }
[columns]
order = "int64!"
select = "string"
date = "date"
primary = "boolean"
timestamp = "timestamp"
interval = "decimal(2,2)"
"#,
        ),
    ]);
    let _ = scratch.run(&["new", "model", "stg_order"]).exits(0);
    let _ = scratch.run(&["new", "model", "fct_order", "--from", "stg_order"]).exits(0);
    let _ = scratch.run(&["check"]).exits(0);
    let _ = scratch.run(&["test"]).exits(0);
}

#[test]
fn checks_and_jobs_work_as_they_are_written() {
    let scratch = desk();
    for (name, on) in [
        ("ledger_adds_up", None),
        ("assert_no_ticket_from_the_future", Some("fct_ticket")),
        ("metrics_have_ids", Some("dim_metric")),
        ("days_are_over", Some("kpi_daily")),
    ] {
        let mut arguments = vec!["new", "check", name];
        arguments.extend(on.iter().flat_map(|table| ["--on", table]));
        let _ = scratch.run(&arguments).exits(0);
    }
    let _ = scratch.run(&["new", "job", "tickets"]).exits(0);
    let _ = scratch.run(&["new", "job", "all", "--ingest", "tickets"]).exits(0);
    let said = scratch.run(&["check"]).exits(0);
    assert_eq!(said.stderr, "ok: 3 jobs, 2 datasets, 6 models, 4 metrics, 5 checks\n");
    let _ = scratch.run(&["run", "tickets", "--as-of", "2024-07-01"]).exits(0);
    // The clock before the last ticket makes those after it a finding: the check can fail.
    let other = desk();
    let _ = other.run(&["new", "check", "no_future", "--on", "fct_ticket"]).exits(0);
    let said = other.run(&["run", "--as-of", "2024-06-05"]).exits(1);
    assert!(said.stderr.contains("failed[assert_no_future]"), "{}", said.stderr);
}

#[test]
fn a_wrong_name_or_table_is_an_error_with_the_rule() {
    let scratch = desk();
    let before = scratch.files(".");
    for (arguments, message, help) in [
        (&["model", "tickets_daily"][..], "does not say which layer", "names of models start with `base_`"),
        (&["model", "Fct_a"], "cannot be a name", "names are of `a` to `z`"),
        (&["model", "fct_"], "is only a prefix", "what comes after"),
        (&["model", "fct_ticket"], "is taken by `sql/marts/fct_ticket.sql`", "choose another"),
        (&["model", "assert_a"], "is the name of a check", "opsmart new check"),
        (&["model", "dq_a"], "cannot be a name", "kept for"),
        (&["model", "kpi_a", "--from", "stg_tickets"], "may not read `stg_tickets`", "reads marts, kpi"),
        (&["model", "fct_a", "--from", "tickets"], "which is a landed dataset", "reads staging, intermediate, marts"),
        (&["model", "fct_a", "--from", "stg_tickts"], "there is no table `stg_tickts`", "did you mean `stg_tickets`?"),
        (&["check", "a", "--on", "tickets"], "may not read `tickets`", "staging model"),
        (&["check", "a", "--on", "assert_tickets_add_up"], "is a check itself", "name a model"),
        (&["check", "assert_"], "is only a prefix", "asserted"),
        (&["job", "support"], "is taken by `jobs/support.toml`", "choose another"),
        (&["job", "other"], "there is no dataset `other`", "there are: kpi_targets, tickets"),
        (&["job", "other", "--ingest", "ticket"], "there is no dataset `ticket`", "did you mean `tickets`?"),
    ] {
        let said = scratch.run(&[&["new"][..], arguments].concat()).exits(2);
        assert!(said.stderr.contains(message) && said.stderr.contains(help), "{arguments:?}\n{}", said.stderr);
    }
    assert_eq!(scratch.files("."), before);
}

#[test]
fn completions_are_printed_for_every_shell() {
    let scratch = Scratch::empty();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = scratch.run(&["completions", shell]).exits(0);
        assert!(
            said.stdout.contains("OPSMART_COMPLETE") && said.stdout.contains("opsmart"),
            "{shell}: {}",
            said.stdout
        );
        assert_eq!(said.stderr, "");
    }
}

/// What a shell is told of how a line goes on whose last word is begun, or is still empty.
fn completed(scratch: &Scratch, words: &[&str]) -> Vec<String> {
    let line = [&["--", "opsmart"], words].concat();
    let place = (line.len() - 2).to_string();
    let mut command = scratch.command(&line);
    let _ = command.env("OPSMART_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", place).env("_CLAP_IFS", "\n");
    let output = command.output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_is_told_the_names_of_the_project() {
    let scratch = Scratch::orders();
    scratch.add_refunds();
    scratch.write("schemas/models/fct_order.toml", "tags = [\"daily\"]\nowner = \"desk\"\n");
    scratch.write(
        "schemas/metrics/shop.toml",
        "from = \"fct_order\"\ntime = \"day\"\n[orders]\nvalue = \"count(*)\"\nunit = \"orders\"\nen = \"Orders\"\n",
    );
    let _ = scratch.run(&["run", "--as-of", "2024-07-01", "--quiet"]).exits(0);
    assert_eq!(completed(&scratch, &["rollb"]), ["rollback"]);
    assert_eq!(completed(&scratch, &["run", "o"]), ["orders"]);
    assert_eq!(completed(&scratch, &["show", "fct_"]), ["fct_order", "fct_refund"]);
    assert_eq!(completed(&scratch, &["why", "kpi"]), ["kpi_order_daily"]);
    assert_eq!(completed(&scratch, &["query", "sh"]), ["shop.orders"]);
    assert_eq!(completed(&scratch, &["quarantine", "ls", "ref"]), ["refunds"]);
    assert_eq!(completed(&scratch, &["ls", "tag:"]), ["tag:daily"]);
    assert_eq!(completed(&scratch, &["run", "--select", "owner:"]), ["owner:desk"]);
    assert_eq!(completed(&scratch, &["show", "--branch", "m"]), ["main"]);
    // Branches are those of the warehouse of an environment, however it is named.
    scratch.write("opsmart.toml", "[paths]\nlanding = \"landing\"\n[env.dev]\nwarehouse = \"other\"\n");
    assert!(completed(&scratch, &["--env", "dev", "show", "--branch", "m"]).is_empty());
    assert_eq!(completed(&scratch, &["--env", "nosuch", "show", "--branch", "m"]), [""; 0]);
    assert_eq!(completed(&scratch, &["show", "--branch", "m"]), ["main"]);
    // From elsewhere, and where there is nothing to tell or something is wrong.
    let elsewhere = Scratch::empty();
    assert_eq!(completed(&elsewhere, &["-C", scratch.root().as_str(), "show", "kpi"]), ["kpi_order_daily"]);
    assert!(completed(&elsewhere, &["show", "kpi"]).is_empty());
    scratch.write("jobs/orders.toml", "ingest = [");
    assert!(completed(&scratch, &["show", "kpi"]).is_empty());
    assert_eq!(completed(&scratch, &["rollb"]), ["rollback"]);
}

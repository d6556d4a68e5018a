//! Strange machines and hostile words: output that cannot be written, names in the place of files, text that steers a
//! terminal, tests that reach outside, secrets in logs.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::process::{Command, Stdio};

use crate::scratch::Scratch;

/// A project that has published twice, so that every command has something to say.
fn published_twice() -> Scratch {
    let scratch = Scratch::orders();
    scratch.write("jobs/orders.toml", "ingest = [\"orders\"]\nschedule = \"15 * * * *\"\n");
    scratch.write("sql/checks/assert_few.sql", "select id from fct_order where amount > 15\n");
    scratch.write("schemas/models/fct_order.toml", "key = [\"id\"]\n[columns]\namount = { min = 0 }\n");
    scratch.write(
        "tests/models/stg_orders.slt",
        "statement ok\ncreate table orders (id int) as values (1)\n\nquery I\nselect id from stg_orders\n----\n1\n",
    );
    std::fs::remove_file(scratch.path("sql/checks/assert_few.sql")).unwrap();
    scratch.write(
        "schemas/metrics/shop.toml",
        "from = \"fct_order\"\ntime = \"day\"\n[orders]\nvalue = \"count(*)\"\nunit = \"orders\"\nen = \"Orders\"\n",
    );
    scratch.write("landing/orders-0.csv", "id,at,amount\n9,never,1.00\n8,2024-03-01T10:00:00Z,1.00\n");
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,7.00\n");
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let _ = scratch.run(&["run", "--branch", "try", "--quiet"]).exits(0);
    scratch
}

/// Every command that has an answer on stdout, with the arguments that make it give one.
const ANSWERS: &[&[&str]] = &[
    &["--help"],
    &["run", "--help"],
    &["--version"],
    &["check", "--output", "json"],
    &["ls"],
    &["ls", "--output", "json"],
    &["plan"],
    &["plan", "--output", "json"],
    &["run", "--output", "json"],
    &["run", "--output", "json", "--exit-on-skip"],
    &["test", "--output", "json"],
    &["show", "fct_order"],
    &["show", "fct_order", "--format", "csv"],
    &["show", "fct_order", "--format", "json"],
    &["show", "select * from fct_order", "--output", "json"],
    &["query", "shop.orders"],
    &["query", "shop.orders", "--format", "csv"],
    &["query", "shop.orders", "--sql"],
    &["query", "shop.orders", "--output", "json"],
    &["why", "fct_order", "id=1"],
    &["why", "fct_order", "id=1", "--output", "json"],
    &["history"],
    &["history", "--tables"],
    &["history", "--output", "json"],
    &["quarantine", "ls"],
    &["quarantine", "ls", "--output", "json"],
    &["quarantine", "show"],
    &["quarantine", "show", "--output", "json"],
    &["quarantine", "replay", "orders", "--output", "json"],
    &["forget", "--output", "json"],
    &["report", "--output", "json"],
    &["docs", "--output", "json"],
    &["export", "ossie", "--to", "ossie"],
    &["export", "cube", "--to", "cube", "--output", "json"],
    &["export", "superset", "--to", "superset.zip"],
    &["generate", "cron"],
    &["generate", "cron", "--output", "json"],
    &["generate", "airflow"],
    &["generate", "systemd"],
    &["generate", "kubernetes", "--image", "x"],
    &["branch", "ls"],
    &["branch", "ls", "--output", "json"],
    &["publish", "--from", "try", "--output", "json"],
    &["diff"],
    &["diff", "--output", "json"],
    &["verify"],
    &["verify", "--output", "json"],
    &["gc", "--dry-run", "--output", "json"],
    &["completions", "bash"],
    &["completions", "fish"],
    &["rollback", "--output", "json"],
    &["release", "--output", "json"],
    &["branch", "rm", "try", "--output", "json"],
    &["erase", "orders.id=1", "--output", "json"],
    &["new", "job", "another", "--ingest", "orders", "--output", "json"],
    &["init", "fresh", "--output", "json"],
];

#[test]
fn an_answer_that_cannot_be_written_is_not_done() {
    let scratch = published_twice();
    for arguments in ANSWERS {
        let mut command = scratch.command(arguments);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let said = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(75), "{arguments:?}: {stderr}");
        let told = stderr.lines().filter(|line| line.starts_with("error: cannot write to stdout: ")).count();
        assert_eq!(told, 1, "{arguments:?}: {stderr}");
    }
    // No command is left out: each of them stands in the list above.
    let help = scratch.run(&["--help"]).exits(0).stdout;
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let commands = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for command in commands.filter(|command| !command.is_empty() && *command != "help") {
        assert!(ANSWERS.iter().any(|arguments| arguments[0] == command), "`{command}` is not tried");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_mistake() {
    let scratch = published_twice();
    for arguments in [&["show", "fct_order", "--format", "csv"][..], &["--help"], &["completions", "bash"], &["plan"]] {
        let mut child = scratch.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let said = child.wait_with_output().unwrap();
        assert_eq!((said.status.code(), said.stderr.as_slice()), (Some(0), &b""[..]), "{arguments:?}");
    }
}

#[test]
fn a_failure_keeps_its_own_exit_code_where_it_cannot_be_told_to_machines() {
    let scratch = Scratch::orders();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let said = scratch.command(&["run", "nothing", "--output", "json"]).stdout(full).output().unwrap();
    assert_eq!(said.status.code(), Some(2));
    assert!(String::from_utf8(said.stderr).unwrap().contains("error: cannot write to stdout: "));
}

#[test]
fn nothing_but_a_plain_file_is_replaced() {
    let scratch = published_twice();
    let pipe = scratch.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    scratch.write("real.txt", "mine\n");
    symlink("real.txt", scratch.path("link")).unwrap();
    symlink("nowhere", scratch.path("dangling")).unwrap();
    std::os::unix::net::UnixListener::bind(scratch.path("socket")).unwrap();
    let kinds = [
        ("pipe", "a pipe"),
        ("link", "a link"),
        ("dangling", "a link"),
        ("socket", "a socket"),
        ("/dev/null", "a device"),
        ("/dev/stdout", "a link"),
        ("landing", "a folder"),
    ];
    for (path, kind) in kinds {
        for arguments in [&["report", "--to", path][..], &["run", "--metrics", path]] {
            let said = scratch.run(arguments).exits(2).stderr;
            assert!(said.contains(&format!("{path} is {kind}, and ")), "{arguments:?}: {said}");
        }
    }
    // A folder of ours, in which somebody put something else in the place of a file of ours.
    let _ = scratch.run(&["docs", "--to", "site", "--quiet"]).exits(0);
    let _ = scratch.run(&["generate", "cron", "--to", "cron", "--quiet"]).exits(0);
    for (file, arguments) in [
        ("site/index.html", &["docs", "--to", "site"][..]),
        ("site/opsmart-docs.json", &["docs", "--to", "site"]),
        ("cron/opsmart.crontab", &["generate", "cron", "--to", "cron"]),
    ] {
        let text = std::fs::read_to_string(scratch.path(file)).unwrap();
        for is_pipe in [true, false] {
            std::fs::remove_file(scratch.path(file)).unwrap();
            if is_pipe {
                assert!(Command::new("mkfifo").arg(scratch.path(file)).status().unwrap().success());
            } else {
                symlink(scratch.path("real.txt"), scratch.path(file)).unwrap();
            }
            let _ = scratch.run(arguments).exits(2);
            assert!(!scratch.path(file).symlink_metadata().unwrap().is_file(), "{file}");
        }
        std::fs::remove_file(scratch.path(file)).unwrap();
        scratch.write(file, &text);
    }
    assert_eq!(std::fs::read_to_string(scratch.path("real.txt")).unwrap(), "mine\n");
    assert!(pipe.symlink_metadata().unwrap().file_type().is_fifo());
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

/// What steers a terminal, hides, or turns a line around.
const ODD: &str = "\u{1b}[31m\u{7}\u{9b}1m\u{202e}\u{2066}\u{200b}\u{feff}\u{61c}\u{7f}";

fn is_odd(c: char) -> bool {
    (c.is_control() && c != '\n') || "\u{202e}\u{2066}\u{200b}\u{feff}\u{61c}".contains(c)
}

#[test]
fn nothing_that_landed_steers_a_terminal() {
    let scratch = Scratch::orders();
    scratch.write(
        "schemas/sources/orders.toml",
        r#"from = "{landing}/orders-*.csv"
format = { type = "csv" }
rejected_share = 0.9
[columns]
id = "int64!"
at = "timestamp!"
amount = "decimal(10,2)"
name = "string"
"#,
    );
    scratch.write("sql/staging/stg_orders.sql", "select id, at, amount, name from orders\n");
    scratch.write(
        "sql/marts/fct_order.sql",
        "select id, local_day(at, $reporting_zone) as day, amount, name from stg_orders\n",
    );
    scratch.write("schemas/models/fct_order.toml", "key = [\"name\"]\n[columns]\namount = { min = 0 }\n");
    scratch.write("sql/checks/assert_none.sql", "select name, id from fct_order\n");
    // A header, a value that does not fit, a value in a row that breaks a promise, each with a line end in it as well.
    let cell = format!("\"{ODD}\nerror: all is lost\"");
    let landed = format!("id,at,amount,name,{cell}\n1,2024-03-01T10:00:00Z,-1,{cell},x\n{cell},{cell},1,a,x\n");
    std::fs::remove_file(scratch.path("landing/orders-1.csv")).unwrap();
    scratch.write(&format!("landing/orders-{}.csv", "\u{202e}1"), &landed);
    let harmless = |arguments: &[&str], exit: i32| {
        let said = scratch.run(arguments).exits(exit);
        for (what, text) in [("stdout", &said.stdout), ("stderr", &said.stderr)] {
            assert!(!text.contains(is_odd), "{what} of {arguments:?}: {text:?}");
            assert!(!text.lines().any(|line| line == "error: all is lost\""), "{what} of {arguments:?}: {text}");
        }
        said
    };
    let _ = harmless(&["plan"], 0);
    let said = harmless(&["run"], 1).stderr;
    assert!(said.contains("the contract does not know ") && said.contains("\\u{1b}[31m"), "{said}");
    assert!(said.contains("failed[assert_none]"), "{said}");
    let _ = harmless(&["run", "--output", "json"], 1);
    let _ = harmless(&["run", "--log-format", "json"], 1);
    let _ = harmless(&["history"], 0);
    scratch.write("sql/checks/assert_none.sql", "select name, id from fct_order where false\n");
    scratch.write("schemas/models/fct_order.toml", "[columns]\nname = { values = [\"a\"], severity = \"warn\" }\n");
    let mut told = harmless(&["run"], 0).stderr;
    told.push_str(&harmless(&["show", "fct_order"], 0).stdout);
    let _ = harmless(&["show", "fct_order", "--format", "json"], 0);
    let _ = harmless(&["show", &format!("select 1 as \"{ODD}\"")], 0);
    let _ = harmless(&["show", &format!("select * from \"{ODD}\"")], 2);
    let _ = harmless(&["why", "fct_order", "id=1"], 0);
    let _ = harmless(&["quarantine", "ls"], 0);
    let _ = harmless(&["quarantine", "show"], 0);
    let _ = harmless(&["diff", ODD], 2);
    let _ = harmless(&["run", ODD], 2);
    let _ = harmless(&[ODD], 2);
    let _ = harmless(&["forget", ODD], 2);
    assert!(told.contains("\\u{1b}[31m"), "{told}");
    // Machines get the data as it is.
    let csv = scratch.run(&["show", "select name from fct_order where id = 1", "--format", "csv"]).exits(0).stdout;
    assert!(csv.contains(ODD), "{csv:?}");
    let json = scratch.run(&["show", "select name from fct_order where id = 1", "--format", "json"]).exits(0).stdout;
    let row: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(row["name"], format!("{ODD}\nerror: all is lost"));
    // So it is with what a project says.
    scratch.write("sql/marts/fct_order.sql", &format!("select id, '{ODD}' as \"{ODD}\", nothing from stg_orders\n"));
    let _ = harmless(&["check"], 2);
    let _ = harmless(&["check", "--output", "json"], 2);
    scratch.write("sql/marts/fct_order.sql", "select id, name from stg_orders\n");
    scratch.write("opsmart.toml", &format!("\"{ODD}\" = 1\n"));
    let _ = harmless(&["check"], 2);
}

#[test]
fn a_test_can_do_no_more_than_a_model() {
    let scratch = Scratch::orders();
    let asks = "query I\nselect id from stg_orders\n----\n";
    scratch.write("secret.slt", "query T\nselect 'root:x:0'\n----\nsomething else\n");
    let refused = |text: &str, words: &str| {
        scratch.write("tests/models/stg_orders.slt", text);
        let mut command = scratch.command(&["test"]);
        let said = command.env("OPENLINEAGE_API_KEY", "k3y").output().unwrap();
        let told = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(1), "{text}: {told}");
        assert!(told.contains(words), "{text}: {told}");
        assert!(!told.contains("k3y") && !told.contains("root:x:0"), "{text}: {told}");
        // Nor does it when what is expected is written.
        let _ = scratch.run(&["test", "--bless"]).exits(1);
        assert_eq!(std::fs::read_to_string(scratch.path("tests/models/stg_orders.slt")).unwrap(), text);
    };
    let at = |line: u32, what: &str| format!("tests/models/stg_orders.slt:{line}: `{what}` is not for tests of models");
    refused(
        &format!("control substitution on\n\nquery T\nselect '$OPENLINEAGE_API_KEY'\n----\n\n{asks}"),
        &at(1, "control substitution"),
    );
    refused(&format!("include /etc/passwd\n\n{asks}"), &at(1, "include"));
    refused(&format!("\ninclude ../../secret.slt\n\n{asks}"), &at(2, "include"));
    refused(&format!("include stg_orders.slt\n\n{asks}"), &at(1, "include"));
    refused(&format!("system ok\ncat /etc/passwd\n\n{asks}"), &at(1, "system"));
    refused(&format!("sleep 1000h\n\n{asks}"), &at(1, "sleep"));
    refused(&format!("halt\n\n{asks}"), &at(1, "halt"));
    refused("", "asks nothing");
    refused("# to be written\n", "asks nothing");
    refused("statement ok\nselect id from stg_orders\n", "asks nothing");
    refused(
        "statement ok\ncreate table orders (at timestamp) as values (now())\n\nquery T\nselect at from stg_orders\n----\n",
        "`now` gives another result each time",
    );
    refused("query T\nselect random()\n----\n1\n", "`random` gives another result each time");
    refused(
        "statement ok\ncreate table orders as select * from '/etc/passwd'\n\nquery I\nselect 1\n----\n1\n",
        "/etc/passwd",
    );

    let path = scratch.path("tests/models/stg_orders.slt");
    let unreadable = |why: &str| {
        let said = scratch.run(&["test"]).exits(1).stderr;
        assert!(said.contains(&format!("`tests/models/stg_orders.slt` cannot be read: {why}")), "{said}");
        let _ = scratch.run(&["test", "--bless"]).exits(1);
        std::fs::remove_file(&path).unwrap();
    };
    std::fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    unreadable("it is not a file");
    let elsewhere = Scratch::with(&[("secret.slt", "query T\nselect 'root:x:0'\n----\n")]);
    symlink(elsewhere.path("secret.slt"), &path).unwrap();
    unreadable("it leads out of the project");
    symlink("stg_orders.slt", &path).unwrap();
    let _ = scratch.run(&["test"]).exits(1);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    unreadable("it is larger than 1 MiB");
    std::fs::write(&path, b"# \xff\n").unwrap();
    unreadable("it is not UTF-8 text");
}

#[test]
fn what_a_test_gives_has_to_fit() {
    let scratch = Scratch::orders();
    let given = |columns: &str, rows: &str| {
        let test = format!(
            "# orders

statement ok
create table orders ({columns}) as values
{rows}

query ITR rowsort
select id, at, amount from stg_orders
----
"
        );
        scratch.write("tests/models/stg_orders.slt", &test);
        scratch.run(&["test"]).exits(1).stderr
    };
    for (columns, rows, told) in [
        (
            "id text",
            "  ('1'),\n  ('two'),\n  (null)",
            "6: `two` is no value of column `id` of `orders`, which is int64",
        ),
        ("id int", "  (1),\n  (2.5)", "6: `2.5` is no value of column `id` of `orders`, which is int32"),
        ("id double", "  (1),\n  (2.5)", "6: `2.5` is no value of column `id` of `orders`, which is int64"),
        (
            "id int, at text",
            "  (1, '2024-03-01T10:00:00Z'),\n  (2,\n   'yesterday')",
            "7: `yesterday` is no value of column `at` of `orders`, which is timestamp",
        ),
        (
            "amount text",
            "  ('10.00'), ('10.005')",
            "5: `10.005` is no value of column `amount` of `orders`, which is decimal(10,2)",
        ),
        (
            "amount bigint",
            "  (100000000)",
            "5: `100000000` is no value of column `amount` of `orders`, which is decimal(10,2)",
        ),
        ("id boolean", "  ('maybe')", "5: `maybe` is no value of column `id` of `orders`, which is boolean"),
    ] {
        let said = given(columns, rows);
        assert!(said.contains(&format!("tests/models/stg_orders.slt:{told}")), "{said}");
    }
    // What fits is given, whatever it is written as.
    scratch.write(
        "tests/models/stg_orders.slt",
        "statement ok
create table orders (id text, at text, amount text) as values
  ('1', '2024-03-01T12:00:00+02:00', '10.5'),
  (null, null, null)

query ITR rowsort
select id, at, amount from stg_orders
----
1 2024-03-01T10:00:00Z 10.50
NULL NULL NULL
",
    );
    let _ = scratch.run(&["test"]).exits(0);
    let told = given("id int) as values (1)\n\nstatement ok\ncreate table orders (id int", "  (1)");
    assert!(told.contains("table `orders` is given already"), "{told}");
}

#[test]
fn no_log_line_holds_a_secret() {
    for level in ["trace", "ureq=trace,ureq_proto=trace,debug"] {
        let scratch = Scratch::orders();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = std::thread::spawn(move || {
            // One is enough: what is not taken is not followed by another.
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            let mut buffer = [0; 1 << 16];
            while !String::from_utf8_lossy(&seen).contains("\r\n\r\n") {
                let read = std::io::Read::read(&mut stream, &mut buffer).unwrap();
                seen.extend_from_slice(&buffer[..read]);
            }
            let head = String::from_utf8_lossy(&seen).to_lowercase();
            assert!(head.contains("authorization: bearer k3y-of-mine"), "{head}");
            let answer = "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let said = scratch
            .command(&["run", "--quiet"])
            .env("OPSMART_LOG", level)
            .env("OPENLINEAGE_URL", format!("http://me:w0rd@{address}?token=t0ken"))
            .env("OPENLINEAGE_API_KEY", "k3y-of-mine")
            .output()
            .unwrap();
        answers.join().unwrap();
        let told = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(0), "{told}");
        assert!(told.contains("lineage is sent"), "{level}: {told}");
        for secret in ["k3y-of-mine", "w0rd", "t0ken"] {
            assert!(!told.contains(secret), "{level}: {secret}");
        }
    }
}

#[test]
fn a_command_that_does_not_exist_leads_to_those_that_do() {
    let scratch = Scratch::empty();
    let said = scratch.run(&["serve"]).exits(2).stderr;
    assert!(!said.contains("'erase'"), "{said}");
    assert!(said.contains("there are: init, new, check, ls, plan, run, "), "{said}");
    let said = scratch.run(&["generate", "cronn"]).exits(2).stderr;
    assert!(said.contains("'cron'"), "{said}");
    let said = scratch.run(&["quarantine", "erase"]).exits(2).stderr;
    assert!(said.contains("there are: ls, show, replay"), "{said}");
    assert!(scratch.run(&["rnu"]).exits(2).stderr.contains("'run'"));
}

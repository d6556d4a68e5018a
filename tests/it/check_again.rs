//! A check that remembers what it bound before says what one without a memory says, whatever has changed meanwhile, and
//! so does whatever else reads the project.

use crate::scratch::{Said, Scratch};

/// Columns, SQL, functions, metrics and partitions that lean on each other.
fn project() -> Scratch {
    let project = Scratch::orders();
    project.write("opsmart.toml", "reporting_zone = \"UTC\"\npaths.landing = \"landing\"\nvars.part = 2\n");
    project.write("sql/functions/part_of.sql", "create function part_of(x bigint) returns bigint\nreturn x / 2\n");
    project.write("sql/intermediate/int_marked.sql", "select id, at, amount, 'o' as mark from stg_orders\n");
    project.write(
        "sql/marts/fct_order.sql",
        "select id, local_day(at, $reporting_zone) as day, amount, part_of(id) as part, mark from int_marked\n",
    );
    project.write("sql/kpi/kpi_marked.sql", "select mark, regexp_like(mark, 'o+') as is_marked from fct_order\n");
    project.write("sql/marts/fct_amount.sql", "select id, amount / $part as half from stg_orders\n");
    project.write("schemas/models/kpi_marked.toml", "[columns]\nmark = { values = [\"o\"] }\n");
    project.write(
        "schemas/metrics/shop.toml",
        "from = \"fct_order\"\ntime = \"day\"\nby = [\"mark\"]\n[amount]\nvalue = \"sum(amount)\"\nunit = \"EUR\"\nen = \"Amount\"\n",
    );
    std::fs::create_dir_all(project.path("warehouse")).unwrap();
    project
}

/// What a command says of the project as it stands, where nothing is remembered of it.
fn without_memory(project: &Scratch, command: &[&str]) -> Said {
    let copy = Scratch::copy_of_links(project.root().as_std_path());
    std::fs::remove_dir_all(copy.path("warehouse")).unwrap();
    copy.run(command)
}

#[track_caller]
fn says_the_same(project: &Scratch, of: &str) -> i32 {
    // Columns and types of all that is declared, by what was bound before this change and then by what `check` bound.
    let (list, check): (&[&str], &[&str]) = (&["ls", "--output", "json"], &["check"]);
    let fresh = [list, check].map(|command| without_memory(project, command));
    for (command, fresh) in [(list, &fresh[0]), (check, &fresh[1]), (list, &fresh[0])] {
        let said = project.run(command);
        assert_eq!((said.exit, &said.stdout, &said.stderr), (fresh.exit, &fresh.stdout, &fresh.stderr), "{of}");
    }
    fresh[1].exit
}

/// Files that are written, one change after the other, and whether the project is right with them.
const CHANGES: &[(&str, &str, bool)] = &[
    ("sql/staging/stg_orders.sql", "-- a comment\nselect id, at, amount from orders\n", true),
    ("sql/staging/stg_orders.sql", "select id, at, amount as price from orders\n", false),
    ("sql/staging/stg_orders.sql", "select id, at, cast(amount as bigint) as amount from orders\n", true),
    ("sql/staging/stg_orders.sql", "select id, at, cast(amount as varchar) as amount from orders\n", false),
    ("sql/staging/stg_orders.sql", "select id, cast(at as varchar) as at, amount from orders\n", false),
    ("sql/staging/stg_orders.sql", "select id, at, amount from orders where id <> 1 / 0\n", false),
    ("sql/staging/stg_orders.sql", "select id, at, amount from orders where id <> 2 ^ 3\n", true),
    ("opsmart.toml", "reporting_zone = \"UTC\"\npaths.landing = \"landing\"\nvars.part = 0\n", false),
    ("opsmart.toml", "reporting_zone = \"UTC\"\npaths.landing = \"landing\"\nvars.part = \"a\"\n", false),
    ("opsmart.toml", "reporting_zone = \"UTC\"\npaths.landing = \"landing\"\n", false),
    ("opsmart.toml", "reporting_zone = \"Asia/Shanghai\"\npaths.landing = \"landing\"\nvars.part = 3\n", true),
    ("sql/functions/part_of.sql", "create function part_of(x varchar) returns bigint\nreturn length(x)\n", true),
    ("sql/functions/part_of.sql", "create function part_of(x bigint) returns varchar\nreturn x || ''\n", true),
    ("sql/functions/part_of.sql", "create function part_of(x bigint) returns bigint\nreturn x / 0\n", false),
    ("sql/intermediate/int_marked.sql", "select id, at, amount, 1 as mark from stg_orders\n", false),
    ("sql/intermediate/int_marked.sql", "select id, at, amount, null as mark from stg_orders\n", false),
    ("sql/intermediate/int_marked.sql", "select id, at, amount, 'x' as mark from stg_orders limit 3\n", false),
    ("schemas/models/fct_order.toml", "key = [\"mark\"]\n", true),
    ("schemas/models/fct_order.toml", "partition = { day = \"mark\" }\n", false),
    ("schemas/models/fct_order.toml", "partition = { day = \"day\" }\n", true),
    ("schemas/models/int_marked.toml", "stored = true\n", true),
    ("schemas/models/int_marked.toml", "stored = true\n[columns]\nmark = { min = \"1\", max = \"x\" }\n", true),
    ("schemas/models/int_marked.toml", "stored = true\n[columns]\nmask = { min = \"1\" }\n", false),
    (
        "schemas/sources/orders.toml",
        "from = \"{landing}/orders-*.csv\"\nformat = { type = \"csv\" }\n[columns]\nid = \"text!\"\nat = \"timestamp!\"\namount = \"float64\"\n",
        false,
    ),
    (
        "schemas/metrics/shop.toml",
        "from = \"fct_order\"\ntime = \"day\"\nby = [\"mark\"]\n[amount]\nvalue = \"sum(price)\"\nunit = \"EUR\"\nen = \"Amount\"\n",
        false,
    ),
    (
        "schemas/metrics/shop.toml",
        "from = \"fct_order\"\ntime = \"mark\"\n[amount]\nvalue = \"sum(amount)\"\nunit = \"EUR\"\nen = \"Amount\"\n",
        false,
    ),
    (
        "schemas/metrics/shop.toml",
        "from = \"fct_order\"\ntime = \"day\"\nfeed = \"fct_amount\"\n[amount]\nvalue = \"sum(amount)\"\nunit = \"EUR\"\nen = \"Amount\"\n",
        false,
    ),
];

#[test]
fn it_says_what_a_check_without_a_memory_says() {
    let project = project();
    assert_eq!(says_the_same(&project, "the project"), 0);
    let (mut right, mut wrong) = (0, 0);
    for (path, text, is_right) in CHANGES {
        let before = std::fs::read_to_string(project.path(path)).ok();
        project.write(path, text);
        let exit = says_the_same(&project, text);
        assert_eq!(exit == 0, *is_right, "{path}: {text}\n{}", without_memory(&project, &["check"]).stderr);
        if *is_right {
            right += 1;
        } else {
            wrong += 1;
        }
        // Once more, now that this has been seen, and then as it was.
        says_the_same(&project, text);
        if *is_right {
            continue;
        }
        match before {
            Some(before) => project.write(path, &before),
            None => std::fs::remove_file(project.path(path)).unwrap(),
        }
        assert_eq!(says_the_same(&project, path), 0, "{path} as it was");
    }
    assert!(right > 5 && wrong > 10, "{right} right, {wrong} wrong");
}

#[test]
fn a_model_that_is_gone_is_missed() {
    let project = project();
    assert_eq!(says_the_same(&project, "the project"), 0);
    for path in ["sql/intermediate/int_marked.sql", "sql/marts/fct_order.sql", "sql/functions/part_of.sql"] {
        let text = std::fs::read_to_string(project.path(path)).unwrap();
        std::fs::remove_file(project.path(path)).unwrap();
        assert_ne!(says_the_same(&project, path), 0, "{path}");
        project.write(path, &text);
        assert_eq!(says_the_same(&project, path), 0, "{path}");
    }
}

#[test]
fn what_a_run_bound_is_tried_by_the_next_check() {
    let project = project();
    // It binds, and fails in every run that meets a row.
    project.write("sql/staging/stg_orders.sql", "select id, at, amount from orders where id <> 1 / 0\n");
    let _ = project.run(&["run", "--as-of", "2024-07-01", "--quiet"]);
    assert!(project.files("warehouse/memos").iter().any(|(path, _)| path.file_name().unwrap() == "compiled.memo"));
    assert!(says_the_same(&project, "after a run") != 0);
    project.write("sql/staging/stg_orders.sql", "select id, at, amount from orders\n");
    let _ = project.run(&["run", "--as-of", "2024-07-01", "--quiet"]).exits(0);
    assert_eq!(says_the_same(&project, "after it is right"), 0);
}

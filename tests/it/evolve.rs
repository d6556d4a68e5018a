//! Contracts and files change: what is refused, what is told before a run, and what is read again.

use std::fmt::Write as _;

use crate::scratch::Scratch;

const ORDERS: &str = "schemas/sources/orders.toml";

/// Puts `line` before the columns of the contract of orders.
fn says(scratch: &Scratch, line: &str) {
    let contract = std::fs::read_to_string(scratch.path(ORDERS)).unwrap();
    scratch.write(ORDERS, &contract.replace("[columns]", &format!("{line}\n[columns]")));
}

/// Returns so many orders with ids from 10 on, whose amounts are all the same text.
fn orders(count: u64, amount: &str) -> String {
    (10..10 + count).fold("id,at,amount\n".to_owned(), |mut text, id| {
        writeln!(text, "{id},2024-03-01T12:00:00Z,{amount}").unwrap();
        text
    })
}

fn amounts(scratch: &Scratch) -> Vec<String> {
    scratch.rows("select count(*), cast(sum(amount) as decimal(10,2)) from fct_order")
}

#[test]
fn a_new_column_is_left_out_or_keeps_the_file_out() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run"]).exits(0);
    says(&scratch, "new_columns = \"refuse\"");
    scratch.write("landing/orders-2.csv", "id,at,tip,amount,\n3,2024-03-01T12:00:00Z,1,5.00,x\n");
    let said = scratch.run(&["run", "--quiet"]).exits(1);
    assert_eq!(
        said.stderr,
        r#"error: `landing/orders-2.csv` cannot be ingested: the file has what the contract does not know: `tip`, `""`
help: declare them under `[columns]` in the contract, as other names of a column under its `aliases`, or leave them out with `new_columns = "report"`; nothing of this run was published
"#
    );
    assert_eq!(amounts(&scratch), ["2,30.00"]);
    // What a file lacks is no new column, and a file without rows has its header all the same.
    scratch.write("landing/orders-2.csv", "id,at,tip\n");
    let said = scratch.run(&["run", "--quiet"]).exits(1);
    assert!(said.stderr.contains("does not know: `tip`\n"), "{}", said.stderr);
    scratch.write("landing/orders-2.csv", "id,at\n3,2024-03-01T12:00:00Z\n");
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(amounts(&scratch), ["3,30.00"]);
    let contract = std::fs::read_to_string(scratch.path(ORDERS)).unwrap();
    scratch.write(ORDERS, &contract.replace("\"refuse\"", "\"report\""));
    scratch.write("landing/orders-3.csv", "id,at,tip,amount\n4,2024-03-01T12:00:00Z,1,5.00\n");
    let said = scratch.run(&["run"]).exits(0);
    assert!(said.stderr.contains("orders: the contract does not know tip"), "{}", said.stderr);
    assert_eq!(amounts(&scratch), ["4,35.00"]);
}

/// The project of orders, landing as JSON.
fn orders_of_json() -> Scratch {
    let scratch = Scratch::orders();
    std::fs::remove_file(scratch.path("landing/orders-1.csv")).unwrap();
    let contract = std::fs::read_to_string(scratch.path(ORDERS)).unwrap();
    let contract = contract.replace("*.csv", "*.ndjson").replace("\"csv\"", "\"ndjson\"");
    scratch.write(ORDERS, &contract.replace("\"timestamp!\"", "{ type = \"timestamp!\", path = \"times.made\" }"));
    scratch
}

#[test]
fn a_new_name_of_any_object_keeps_the_file_out() {
    let scratch = orders_of_json();
    says(&scratch, "new_columns = \"refuse\"");
    scratch.write(
        "landing/orders-1.ndjson",
        r#"{"id":1,"times":{"made":"2024-03-01T10:00:00Z"}}
{"id":2,"tip":1,"times":{"made":"2024-03-01T10:00:00Z","paid":null}}
"#,
    );
    let said = scratch.run(&["run", "--quiet"]).exits(1);
    assert!(said.stderr.contains("does not know: `tip`, `times.paid`\n"), "{}", said.stderr);
}

#[test]
fn a_required_path_that_no_record_has_is_one_finding() {
    let scratch = orders_of_json();
    let records = |count: u64| {
        (1..=count).fold(String::new(), |mut text, id| {
            writeln!(text, "{{\"id\":{id},\"made\":\"2024-03-01T10:00:00Z\"}}").unwrap();
            text
        })
    };
    scratch.write("landing/orders-1.ndjson", &records(20));
    let said = scratch.run(&["run", "--quiet"]).exits(1);
    assert_eq!(
        said.stderr,
        "error: `landing/orders-1.ndjson` cannot be ingested: column `at` is required, and none of the 20 records has a value for it
help: fix the file, or say in the contract where it is now, with `aliases` or `path`; the contract does not know `made`; nothing of this run was published
"
    );
    // So few say nothing of the file, and count one by one.
    scratch.write("landing/orders-1.ndjson", &records(19));
    let said = scratch.run(&["run", "--quiet"]).exits(1);
    assert!(said.stderr.starts_with("error: 19 of the 19 records"), "{}", said.stderr);
}

#[test]
fn a_column_that_is_gone_is_told_of_objects_as_of_headers() {
    let scratch = orders_of_json();
    let records = |count: u64, amount: &str| {
        (1..=count).fold(String::new(), |mut text, id| {
            writeln!(text, "{{\"id\":{id},\"times\":{{\"made\":\"2024-03-01T10:00:00Z\"}}{amount}}}").unwrap();
            text
        })
    };
    let told = |scratch: &Scratch| {
        let plan = planned(scratch)["datasets"][0]["drift"].clone();
        let said = scratch.run(&["run"]).exits(0).stderr;
        (plan, said.contains("orders: a file that was read has no column amount"))
    };
    scratch.write("landing/orders-1.ndjson", &records(40, ",\"amount\":1.00"));
    assert_eq!(told(&scratch), (serde_json::json!([]), false));
    scratch.write("landing/orders-2.ndjson", &records(20, ""));
    let (plan, is_told) = told(&scratch);
    assert_eq!((plan[0]["missing_columns"].clone(), is_told), (serde_json::json!(["amount"]), true));
    // No value is a value, and so few records say nothing.
    scratch.write("landing/orders-2.ndjson", &records(20, ",\"amount\":null"));
    assert_eq!(told(&scratch), (serde_json::json!([]), false));
    scratch.write("landing/orders-2.ndjson", &records(19, ""));
    assert_eq!(told(&scratch), (serde_json::json!([]), false));
}

#[test]
fn a_required_column_that_the_header_lacks_is_one_finding() {
    let scratch = Scratch::orders();
    scratch.write("landing/orders-2.csv", &orders(300, "5.00").replace("id,at,amount", "id,made,amount"));
    let said = scratch.run(&["run", "--quiet"]).exits(1);
    assert_eq!(
        said.stderr,
        "error: `landing/orders-2.csv` cannot be ingested: column `at` is required, but the header has only `id`, `made`, \
         `amount`\nhelp: fix the file or the contract; nothing of this run was published\n"
    );
    scratch.write("landing/orders-2.csv", "no,made,amount\n3,2024-03-01T12:00:00Z,5.00\n");
    let said = scratch.run(&["run", "--quiet"]).exits(1);
    assert!(
        said.stderr.contains("cannot be ingested: columns `id`, `at` are required, but the header has only"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_column_that_fits_no_more_is_one_finding() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["run"]).exits(0);
    scratch.write("landing/orders-2.csv", &orders(300, "\"12,50\""));
    let said = scratch.run(&["run", "--quiet"]).exits(1);
    assert_eq!(
        said.stderr,
        "error: `landing/orders-2.csv` cannot be ingested: none of the 300 values of column `amount` fits: expected a number with at most 2 digits after the point, found `12,50` on line 2
help: fix the file, or say in the contract what the values are now: their type, `format`, `normalise`, or what they must keep to; nothing of this run was published
"
    );
    assert_eq!(amounts(&scratch), ["2,30.00"]);
    // One value that fits, and it is records again, each by itself.
    scratch.write("landing/orders-2.csv", &(orders(300, "\"12,50\"") + "9,2024-03-01T12:00:00Z,1.00\n"));
    let said = scratch.run(&["run", "--quiet"]).exits(1);
    assert!(said.stderr.starts_with("error: 300 of the 301 records"), "{}", said.stderr);
    // Where all of a file may be set aside, all of it is.
    let contract = std::fs::read_to_string(scratch.path(ORDERS)).unwrap();
    scratch.write(ORDERS, &contract.replace("rejected_share = 0.5", "rejected_share = 1"));
    scratch.write("landing/orders-2.csv", &orders(300, "\"12,50\""));
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select reason, count(*) from dq_quarantine group by reason"), ["E_TYPE,300"]);
}

fn planned(scratch: &Scratch) -> serde_json::Value {
    let said = scratch.run(&["plan", "--output", "json"]).exits(0);
    serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap()
}

/// Returns what a run would read, as dataset, file and reason.
fn would_read(scratch: &Scratch) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let plan = planned(scratch);
    let of = |dataset: &serde_json::Value| {
        let name = text(&dataset["name"]);
        let files = dataset["read"].as_array().unwrap().clone();
        files.into_iter().map(move |file| format!("{name} {} {}", text(&file["path"]), text(&file["because"])))
    };
    plan["datasets"].as_array().unwrap().iter().flat_map(of).collect()
}

#[test]
fn a_plan_tells_what_a_run_would_meet() {
    let scratch = Scratch::orders();
    scratch.age();
    let _ = scratch.run(&["run"]).exits(0);
    scratch.write("landing/orders-2.csv", "id,at,tip\n3,2024-03-01T12:00:00Z,1\nx,2024-03-01T12:00:00Z,1\n4\n");
    scratch.write("landing/orders-3.csv", "id,at,tip\n5,2024-03-01T12:00:00Z,1\n");
    scratch.write("landing/orders-4.csv", "id,amount\n6,1.00\n");
    scratch.write("landing/orders-5.csv", "PK\u{3}\u{4}");
    let before = scratch.files("warehouse");
    let said = scratch.run(&["plan"]).exits(0);
    let (_, told) = said.stdout.split_once("Not as the contract says\n").unwrap();
    let (told, _) = told.split_once("\n\n").unwrap();
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "  orders  landing/orders-2.csv and 1 more: the contract does not know `tip`",
            "  orders  landing/orders-2.csv and 1 more: has no `amount`, which the contract can do without",
            "  orders  landing/orders-2.csv: line 3: E_TYPE in `id`: expected a whole number, found `x`",
            "  orders  landing/orders-2.csv: line 4: E_FIELDS: expected 3 fields, found 1",
            "  orders  landing/orders-4.csv: cannot be ingested: column `at` is required, but the header has only `id`, `amount`",
            "  orders  landing/orders-5.csv: cannot be ingested: the file is no text that can be read, but looks like a ZIP archive or a spreadsheet",
        ]
    );
    let drift = planned(&scratch)["datasets"][0]["drift"].clone();
    assert_eq!(
        drift[1],
        serde_json::json!({
            "path": "landing/orders-3.csv", "problem": null, "unknown_columns": ["tip"],
            "missing_columns": ["amount"], "misfits": [],
        })
    );
    assert_eq!(drift.as_array().unwrap().len(), 4);
    assert_eq!(scratch.files("warehouse"), before);
    // A contract that refuses new columns says so beforehand.
    says(&scratch, "new_columns = \"refuse\"");
    let drift = planned(&scratch)["datasets"][0]["drift"].clone();
    assert_eq!(drift[1]["problem"], "the file has what the contract does not know: `tip`");
}

#[test]
fn a_plan_never_fails_because_of_a_file() {
    let scratch = Scratch::orders();
    scratch.write("landing/orders-2.csv", "");
    scratch.write("landing/orders-3.csv", "id,at,amount\n1,\"torn\n");
    std::fs::write(scratch.path("landing/orders-4.csv"), [0x1f, 0x8b, 8, 0, 0]).unwrap();
    // So long a record is not waited for.
    scratch.write("landing/orders-5.csv", &format!("id,at,amount\n{}\n", "x".repeat(3 << 20)));
    scratch.write("landing/orders-6.csv", &orders(30, "\"12,50\""));
    let many = orders(1000, "5.00");
    let (head, tail) = many.split_at(many.find("\n12,").unwrap() + 1);
    scratch.write("landing/orders-7.csv", &format!("{head}torn\n,2024-03-01T12:00:00Z,1.00\n{tail}"));
    let drift = planned(&scratch)["datasets"][0]["drift"].clone();
    let told = drift.as_array().unwrap().iter().map(|file| {
        let words = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        let misfits = file["misfits"].as_array().unwrap().iter().map(words).collect::<Vec<_>>();
        format!("{}: {} | {}", words(&file["path"]), words(&file["problem"]), misfits.join("; "))
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "landing/orders-3.csv: - | line 2: E_QUOTE: expected a closing quote, found none before the end of the file or \
             the limit",
            "landing/orders-4.csv: the gzip stream ends too early, after 0 decoded bytes: the file is truncated | ",
            "landing/orders-6.csv: none of the 30 values of column `amount` fits: expected a number with at most 2 digits \
             after the point, found `12,50` on line 2 | ",
            "landing/orders-7.csv: - | line 5: E_NULL_KEY in `id`: expected a value, found nothing; line 4: E_FIELDS: expected \
             3 fields, found 1",
        ]
    );
}

#[test]
fn a_plan_looks_at_the_beginning_of_a_hundred_files() {
    let scratch = orders_of_json();
    for file in 1..=101 {
        scratch.write(&format!("landing/orders-{file}.ndjson"), "{\"id\":1,\"tip\":2}\n");
    }
    let long = "{\"id\":1,\"times\":{\"made\":\"2024-03-01T10:00:00Z\"}}\n".repeat(100_000) + "{\"late\":1}\n";
    scratch.write("landing/orders-1.ndjson", &long);
    let said = scratch.run(&["plan"]).exits(0);
    let told = said.stdout.lines().filter(|line| line.starts_with("  orders ")).skip(1).collect::<Vec<_>>();
    assert_eq!(
        told,
        [
            "  orders  landing/orders-2.ndjson and 98 more: the contract does not know `tip`",
            "  orders  landing/orders-2.ndjson and 98 more: required `at` has no value in the first record",
            "  orders  1 more file not looked at",
        ]
    );
    assert_eq!(planned(&scratch)["datasets"][0]["not_looked_at"], 1);
}

#[test]
fn a_contract_reads_again_what_it_governs_and_no_more() {
    let scratch = Scratch::orders();
    scratch.write("landing/refunds-1.csv", "id,amount\n1,5.00\n");
    scratch.write(
        "schemas/sources/refunds.toml",
        r#"from = "{landing}/refunds-*.csv"
format = { type = "csv" }
[columns]
id = "int64!"
amount = "decimal(10,2)"
"#,
    );
    scratch.age();
    let _ = scratch.run(&["run"]).exits(0);
    let contract = std::fs::read_to_string(scratch.path(ORDERS)).unwrap();
    let none = [""; 0];
    assert_eq!(would_read(&scratch), none);
    // Words, checks of models, and what decides about files that come.
    let words = contract.replace(
        "amount = \"decimal(10,2)\"",
        "amount = { type = \"decimal(10,2)\", description = \"Paid\", unit = \"CNY\", en = \"Amount\", zh = \"金额\" }",
    );
    scratch.write(ORDERS, &format!("description = \"Orders\"\ngrain = \"one row per order\"\n{words}"));
    scratch
        .write("schemas/columns.toml", "[id]\ndescription = \"Order\"\nunit = \"id\"\nen = \"Order\"\nzh = \"订单\"\n");
    assert_eq!(would_read(&scratch), none);
    scratch.write(
        "schemas/models/fct_order.toml",
        "key = [\"id\"]\n[columns]\namount = { min = 0, max = 1000 }\n[checks]\nno_loss = { row_change = { down = 0.1 } }\n",
    );
    assert_eq!(would_read(&scratch), none);
    scratch.write(ORDERS, &contract.replace("rejected_share = 0.5", "rejected_share = 0.25\nnew_columns = \"refuse\""));
    assert_eq!(would_read(&scratch), none);
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(would_read(&scratch), none);
    // Every other key makes something else of the bytes, and of its own dataset alone.
    let again = ["orders landing/orders-1.csv contract"];
    for (old, new) in [
        ("decimal(10,2)", "decimal(12,2)"),
        ("\"decimal(10,2)\"", "\"decimal(10,2)!\""),
        ("\"decimal(10,2)\"", "{ type = \"decimal(10,2)\", min = 1 }"),
        ("\"decimal(10,2)\"", "{ type = \"decimal(10,2)\", aliases = [\"paid\"] }"),
        ("\"decimal(10,2)\"", "\"decimal(10,2)\"\nnote = \"string\""),
        ("type = \"csv\"", "type = \"csv\", short_rows = \"null\""),
        ("type = \"csv\"", "type = \"csv\", encoding = \"gb18030\""),
        ("[columns]", "null = [\"-\"]\n[columns]"),
        ("[columns]", "parse_zone = \"Asia/Shanghai\"\n[columns]"),
        ("[columns]", "[rules]\npriced = \"amount > 0\"\n[columns]"),
        ("\"decimal(10,2)\"", "\"decimal(10,2)\"\nis_free = { type = \"boolean\", true_if = \"amount = 0\" }"),
    ] {
        scratch.write(ORDERS, &contract.replace(old, new));
        assert_eq!(would_read(&scratch), again, "{new}");
    }
    scratch.write(ORDERS, &contract);
    assert_eq!(would_read(&scratch), none);
    // And so says the run that does it.
    scratch.write(ORDERS, &contract.replace("decimal(10,2)", "decimal(12,2)"));
    let said = scratch.run(&["run", "--output", "json"]).exits(0);
    let report: serde_json::Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    let read = report["datasets"].as_array().unwrap().iter();
    let read = read.map(|dataset| (dataset["dataset"].as_str().unwrap(), dataset["files_read"].as_u64().unwrap()));
    assert_eq!(read.filter(|(_, files)| *files > 0).collect::<Vec<_>>(), [("orders", 1)]);
    assert_eq!(would_read(&scratch), none);
}

#[test]
fn a_mark_or_rule_that_means_something_else_reads_its_dataset_again() {
    let scratch = Scratch::orders();
    scratch.write("landing/refunds-1.csv", "id,amount\n1,5.00\n");
    let contract = std::fs::read_to_string(scratch.path(ORDERS)).unwrap()
        + "is_small = { type = \"boolean\", true_if = [\"amount < 15\"] }\n[rules]\npriced = \"amount > 0\"\n";
    scratch.write(ORDERS, &contract);
    let refunds = contract.replace("orders-*", "refunds-*").replace("at = \"timestamp!\"\n", "");
    scratch.write("schemas/sources/refunds.toml", &refunds.replace("keep = { latest = \"at\" }\n", ""));
    scratch.age();
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select id, is_small from orders order by id"), ["1,true", "2,false"]);
    for (old, new) in [
        ("\"amount < 15\"", "\" amount  <15\""),
        ("\"amount > 0\"", "{ rule = \"amount>0\", reason = \"E_RULE\" }"),
        ("[\"amount < 15\"]", "\"amount < 15\", en = \"Small\""),
    ] {
        scratch.write(ORDERS, &contract.replace(old, new));
        assert_eq!(would_read(&scratch), [""; 0], "{new}");
    }
    for (old, new) in [
        ("\"amount < 15\"", "\"amount <= 15\""),
        ("\"amount < 15\"", "\"amount < 15\", \"id = 2\""),
        ("\"amount > 0\"", "\"amount > 10\""),
        ("\"amount > 0\"", "{ rule = \"amount > 0\", reason = \"E_TEST\" }"),
    ] {
        scratch.write(ORDERS, &contract.replace(old, new));
        assert_eq!(would_read(&scratch), ["orders landing/orders-1.csv contract"], "{new}");
    }
    scratch.write(ORDERS, &contract.replace("amount < 15", "amount > 15"));
    let _ = scratch.run(&["run"]).exits(0);
    assert_eq!(scratch.rows("select id, is_small from orders order by id"), ["1,false", "2,true"]);
    assert_eq!(would_read(&scratch), [""; 0]);
}

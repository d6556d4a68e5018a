//! `opsmart ls`, and who answers for what a project declares.

use std::collections::BTreeMap;

use crate::sample::shipped;
use crate::scratch::Scratch;

fn nodes(scratch: &Scratch, arguments: &[&str]) -> Vec<serde_json::Value> {
    let said = scratch.run(&[&["ls", "--output", "json"], arguments].concat()).exits(0);
    let document: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(document["version"], 1);
    document["nodes"].as_array().unwrap().clone()
}

fn names(scratch: &Scratch, arguments: &[&str]) -> Vec<String> {
    nodes(scratch, arguments).iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn everything_that_check_counts_is_listed_once_and_reads_what_is_there() {
    let scratch = shipped();
    let said = scratch.run(&["check", "--output", "json"]).exits(0);
    let counts: serde_json::Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    let all = nodes(&scratch, &[]);
    let mut of_kind: BTreeMap<&str, usize> = BTreeMap::new();
    // What metrics are compiled to is listed and not counted.
    for node in all.iter().filter(|node| node["file"] != "schemas/metrics") {
        *of_kind.entry(node["kind"].as_str().unwrap()).or_default() += 1;
    }
    for (kind, key) in
        [("dataset", "datasets"), ("model", "models"), ("metric", "metrics"), ("check", "checks"), ("job", "jobs")]
    {
        assert_eq!(of_kind[kind], counts[key], "{kind}");
    }
    assert_eq!(of_kind["function"], scratch.files("sql/functions").len());
    let ids: Vec<&str> = all.iter().map(|node| node["id"].as_str().unwrap()).collect();
    for node in &all {
        let id = node["id"].as_str().unwrap();
        assert_eq!(ids.iter().filter(|other| **other == id).count(), 1, "{id}");
        for read in node["reads"].as_array().unwrap() {
            let read = read.as_str().unwrap();
            assert!(ids.contains(&read) || read.starts_with("model.dq_"), "{id} reads {read}");
        }
        let file = node["file"].as_str().unwrap();
        let text = std::fs::read_to_string(scratch.path(file)).unwrap_or_default();
        if node["kind"] == "metric" {
            // Its line is that of its table.
            let line = usize::try_from(node["line"].as_u64().unwrap()).unwrap();
            let key = node["metric"]["key"].as_str().unwrap();
            assert_eq!(text.lines().nth(line - 1), Some(format!("[{key}]").as_str()), "{id}");
        }
    }
    assert_eq!(nodes(&scratch, &[]), all);
}

#[test]
fn selectors_choose_and_kinds_leave() {
    let scratch = Scratch::orders();
    scratch.write(
        "schemas/metrics/shop.toml",
        "from = \"fct_order\"\ntime = \"day\"\nowner = \"sales\"\ntags = [\"money\"]\n[orders]\nvalue = \"count(*)\"\nunit = \"orders\"\nen = \"Orders\"\n[share]\nvalue = \"orders / orders\"\nunit = \"share\"\nen = \"All\"\n",
    );
    scratch.write("schemas/models/kpi_order_daily.toml", "owner = \"sales\"\ntags = [\"money\"]\n");
    scratch.write("schemas/models/assert_days_add_up.toml", "owner = \"data-team\"\n");
    assert_eq!(names(&scratch, &["+fct_order"]), ["dataset.orders", "model.fct_order", "model.stg_orders"]);
    assert_eq!(names(&scratch, &["shop.orders", "shop_share"]), ["metric.shop_orders", "metric.shop_share"]);
    assert_eq!(names(&scratch, &["owner:sales"]), ["model.kpi_order_daily", "metric.shop_orders", "metric.shop_share"]);
    assert_eq!(names(&scratch, &["owner:data-team"]), ["check.assert_days_add_up"]);
    assert_eq!(names(&scratch, &["--kind", "check,job"]), ["check.assert_days_add_up", "job.orders"]);
    assert_eq!(names(&scratch, &["tag:money", "--kind", "metric"]).len(), 2);
    let share = &nodes(&scratch, &["shop.share"])[0];
    assert_eq!(share["reads"], serde_json::json!(["metric.shop_orders"]));
    assert_eq!(share["metric"]["parts"], serde_json::json!(["shop_orders"]));
    let orders = &nodes(&scratch, &["shop.orders"])[0];
    assert_eq!(orders["reads"], serde_json::json!(["model.fct_order"]));
    assert!(scratch.run(&["ls", "order"]).exits(2).stderr.contains("did you mean `orders`?"));
    assert!(scratch.run(&["ls", "owner:sale"]).exits(2).stderr.contains("did you mean `sales`?"));
    // A control character of a file does not reach a terminal.
    scratch.write("schemas/models/kpi_order_daily.toml", "tags = [\"a\\u001b[31m\"]\n");
    assert!(!scratch.run(&["ls"]).exits(0).stdout.contains('\u{1b}'));
}

#[test]
fn who_answers_is_selected_and_shown_and_rebuilds_nothing() {
    let scratch = Scratch::orders();
    let run = || scratch.run(&["run", "--as-of", "2024-07-01"]).exits(0).stderr;
    scratch.age();
    let _ = run();
    let own = |owner: &str| {
        let contract = std::fs::read_to_string(scratch.path("schemas/sources/orders.toml")).unwrap();
        let plain: String =
            contract.lines().filter(|line| !line.starts_with("owner")).map(|line| format!("{line}\n")).collect();
        scratch.write("schemas/sources/orders.toml", &format!("owner = \"{owner}\"\n{plain}"));
        scratch.write(
            "schemas/models/fct_order.toml",
            &format!("owner = \"{owner}\"\nkey = [\"id\"]\n[columns]\namount = {{ min = 0 }}\n"),
        );
        scratch.write("schemas/models/assert_days_add_up.toml", &format!("owner = \"{owner}\"\n"));
        scratch.write("jobs/orders.toml", &format!("owner = \"{owner}\"\ningest = [\"orders\"]\n"));
    };
    own("shop");
    let plan = scratch.run(&["plan", "--as-of", "2024-07-01"]).exits(0).stdout;
    assert!(plan.starts_with("nothing to do"), "{plan}");
    own("desk");
    let plan = scratch.run(&["plan", "--as-of", "2024-07-01"]).exits(0).stdout;
    assert!(plan.starts_with("nothing to do"), "{plan}");
    assert_eq!(
        names(&scratch, &["owner:desk"]),
        ["dataset.orders", "model.fct_order", "check.assert_days_add_up", "job.orders"]
    );
    let said = scratch.run(&["plan", "--select", "owner:desk", "--as-of", "2024-07-01"]).exits(0).stdout;
    assert!(said.starts_with("nothing to do"), "{said}");
    let _ = scratch.run(&["docs", "--to", "site"]).exits(0);
    for page in ["sources/orders.html", "tables/fct_order.html", "tables/assert_days_add_up.html", "jobs/orders.html"] {
        let text = std::fs::read_to_string(scratch.path(&format!("site/{page}"))).unwrap();
        assert!(text.contains("desk") && text.contains("负责人"), "{page}");
    }
    scratch.write("schemas/models/fct_order.toml", "owner = \" \"\n");
    assert!(scratch.run(&["check"]).exits(2).stderr.contains("this names nobody"));
}

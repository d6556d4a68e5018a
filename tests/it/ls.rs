//! `opsmart ls`, and who answers for what a project declares.

use std::collections::BTreeMap;

use crate::sample::shipped;
use crate::scratch::Scratch;

fn nodes(scratch: &Scratch, arguments: &[&str]) -> Vec<serde_json::Value> {
    let said = scratch.run(&[&["ls", "--output", "json"], arguments].concat()).exits(0);
    let document: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(document["manifest_version"], 1);
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

fn manifest(scratch: &Scratch) -> serde_json::Value {
    let text = std::fs::read_to_string(scratch.path("warehouse/published/current/manifest.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_is_declared_is_published_with_the_tables_it_tells_of() {
    let scratch = Scratch::orders();
    let run =
        |more: &[&str]| scratch.run(&[&["run", "--as-of", "2024-07-01", "--output", "json"], more].concat()).exits(0);
    let _ = run(&[]);
    let first = manifest(&scratch);
    let listed = nodes(&scratch, &[]);
    assert_eq!(first["nodes"].as_array(), Some(&listed));
    let current = std::fs::read_link(scratch.path("warehouse/published/current")).unwrap();
    assert_eq!(first["snapshot"].as_str(), current.file_name().and_then(|name| name.to_str()));
    assert_eq!(first["as_of"], "2024-07-01T00:00:00.000000Z");
    // Made again from the snapshot it is the same, byte for byte.
    let path = scratch.path("warehouse/published/current/manifest.json");
    let before = std::fs::read(&path).unwrap();
    std::fs::remove_dir_all(scratch.path("warehouse/published")).unwrap();
    let _ = run(&[]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    // Another owner is another manifest, in a snapshot of its own with the same files of tables.
    let files = scratch.files("warehouse/data");
    scratch
        .write("schemas/models/fct_order.toml", "owner = \"desk\"\nkey = [\"id\"]\n[columns]\namount = { min = 0 }\n");
    let _ = run(&[]);
    let second = manifest(&scratch);
    assert_ne!(second["snapshot"], first["snapshot"]);
    let node = |of: &serde_json::Value| {
        of["nodes"].as_array().unwrap().iter().find(|node| node["id"] == "model.fct_order").unwrap().clone()
    };
    assert_eq!((node(&first)["owner"].as_str(), node(&second)["owner"].as_str()), (None, Some("desk")));
    assert_eq!(scratch.files("warehouse/data"), files);
    // What was made current again has its own.
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,5.00\n");
    scratch.write("schemas/models/fct_order.toml", "owner = \"shop\"\nkey = [\"id\"]\n");
    let _ = run(&[]);
    assert_eq!(node(&manifest(&scratch))["owner"], "shop");
    let _ = scratch.run(&["rollback"]).exits(0);
    assert_eq!(manifest(&scratch), second);
}

#[test]
fn a_new_metric_is_declared_without_touching_what_is_there() {
    let scratch = Scratch::orders();
    let file = || std::fs::read_to_string(scratch.path("schemas/metrics/shop.toml")).unwrap_or_default();
    let told = |arguments: &[&str]| scratch.run(&[&["new", "metric"], arguments].concat()).exits(2).stderr;
    assert!(told(&["shop"]).contains("write its area and its key"));
    assert!(told(&["Shop.a"]).contains("cannot be a name"));
    assert!(told(&["shop.orders"]).contains("name the table whose rows it counts with --from"));
    assert!(told(&["shop.orders", "--from", "fct_ordr"]).contains("did you mean `fct_order`?"));
    // What does not bind is shown where it would stand, and is not left.
    let mistaken = told(&["shop.orders", "--from", "fct_order", "--value", "sum(amont)"]);
    assert!(
        mistaken.contains("schemas/metrics/shop.toml:5:") && mistaken.contains("did you mean `amount`?"),
        "{mistaken}"
    );
    assert!(!scratch.path("schemas/metrics/shop.toml").exists());
    let said = scratch.run(&["new", "metric", "shop.orders", "--from", "fct_order"]).exits(0).stderr;
    let first =
        "from = \"fct_order\"\ntime = \"day\"\n\n[orders]\nvalue = \"count(*)\"\nunit = \"rows\"\nen = \"Orders\"\n";
    assert_eq!(file(), first);
    assert!(said.contains("schemas/metrics/shop.toml") && said.contains("opsmart query shop.orders"), "{said}");
    // A file whose last line does not end, as an editor may leave it.
    let commented = format!("{first}# the end");
    scratch.write("schemas/metrics/shop.toml", &commented);
    assert!(told(&["shop.orders"]).contains("is declared in `schemas/metrics/shop.toml:4`"));
    assert!(told(&["shop.time"]).contains("is a key of areas"));
    assert!(told(&["shop.revenue", "--value", "sum(amont)"]).contains("did you mean `amount`?"));
    assert_eq!(file(), commented);
    let more = [
        "new",
        "metric",
        "shop.revenue",
        "--value",
        "sum(amount)",
        "--unit",
        "CNY",
        "--en",
        "Revenue \"all\"",
        "--better",
        "higher",
    ];
    let _ = scratch.run(&more).exits(0);
    assert_eq!(
        file(),
        format!(
            "{commented}\n\n[revenue]\nvalue = \"sum(amount)\"\nunit = \"CNY\"\nen = 'Revenue \"all\"'\nbetter = \"higher\"\n"
        )
    );
    let _ = scratch.run(&["new", "metric", "shop.days", "--from", "kpi_order_daily"]).exits(0);
    assert!(file().ends_with(
        "[days]\nfrom = \"kpi_order_daily\"\ntime = \"day\"\nvalue = \"count(*)\"\nunit = \"rows\"\nen = \"Days\"\n"
    ));
    let _ = scratch.run(&["run", "--as-of", "2024-07-01", "--quiet"]).exits(0);
    let said = scratch.run(&["query", "shop.orders", "shop.revenue", "shop.days", "--format", "csv"]).exits(0).stdout;
    assert_eq!(said.lines().nth(1), Some("2024-03-01,total,all,2.0,30.0,1.0,false"));
    let _ = scratch.run(&["check"]).exits(0);
}

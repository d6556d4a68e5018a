//! The documentation of a project: its pages, where columns come from, and what the folder is allowed to lose.

use std::collections::BTreeSet;
use std::path::Path;

use crate::scratch::Scratch;

fn page(scratch: &Scratch, path: &str) -> String {
    read(scratch.path("site").join(path).as_std_path()).unwrap()
}

/// A page, with the slashes of its links as a browser reads them.
fn read(path: &Path) -> std::io::Result<String> {
    Ok(std::fs::read_to_string(path)?.replace("&#x2f;", "/"))
}

/// The row of a column in its page.
fn row<'p>(page: &'p str, column: &str) -> &'p str {
    let (_, rest) = page.split_once(&format!("<tr id=\"{column}\">")).unwrap();
    rest.split_once("</tr>").unwrap().0
}

/// Every `href` and `src` of a page.
fn links(page: &str) -> Vec<&str> {
    let after = |attribute: &str| -> Vec<&str> {
        page.split(attribute).skip(1).map(|rest| rest.split_once('"').unwrap().0).collect()
    };
    [after("href=\""), after("src=\"")].concat()
}

#[test]
fn every_table_has_a_page_before_anything_is_published() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["docs"]).exits(0);
    let found: BTreeSet<String> = scratch
        .files("site")
        .into_iter()
        .map(|(path, _)| path.strip_prefix(scratch.path("site")).unwrap().to_str().unwrap().to_owned())
        .collect();
    let expected = [
        "index.html",
        "jobs/orders.html",
        "opsmart-docs.json",
        "site.js",
        "sources/orders.html",
        "style.css",
        "tables/assert_days_add_up.html",
        "tables/dq_check_result.html",
        "tables/dq_check_row.html",
        "tables/dq_ledger.html",
        "tables/dq_quarantine.html",
        "tables/fct_order.html",
        "tables/kpi_order_daily.html",
        "tables/stg_orders.html",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
    assert!(page(&scratch, "index.html").contains("Nothing has been published yet."));
    assert!(!scratch.path("warehouse").exists(), "documenting a project writes nothing else");
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    let _ = scratch.run(&["docs"]).exits(0);
    let fact = page(&scratch, "tables/fct_order.html");
    assert!(fact.contains("<dt><span lang=\"en\">Rows</span><span lang=\"zh\">行数</span></dt><dd>2</dd>"), "{fact}");
    assert!(fact.contains("<dd>2024-03-01</dd>"));
}

#[test]
fn a_search_finds_tables_by_the_labels_of_their_columns_in_both_languages() {
    let scratch = crate::sample::shipped();
    let _ = scratch.run(&["docs"]).exits(0);
    let index = page(&scratch, "index.html");
    let found = |word: &str| -> Vec<&str> {
        index
            .split("<tr data-words=\"")
            .skip(1)
            .filter_map(|rest| rest.split_once('"'))
            .filter(|(words, _)| words.contains(word))
            .filter_map(|(_, rest)| rest.split_once("<code>")?.1.split_once("</code>").map(|(name, _)| name))
            .collect()
    };
    // `首次回复` is in the labels of first replies, which the tables of tickets and of the support desk have.
    for table in ["fct_ticket", "kpi_support_daily", "kpi_agent_month"] {
        assert!(found("首次回复").contains(&table), "{table} in {:?}", found("首次回复"));
    }
    // A label of the suite's own tables, and one in English.
    assert!(found("隔离").contains(&"dq_ledger"), "{:?}", found("隔离"));
    assert!(found("daily active").contains(&"kpi_user_activity_daily"), "{:?}", found("daily active"));
    assert!(!found("首次回复").contains(&"fct_price"));
}

#[test]
fn links_lead_to_pages_that_exist_and_nowhere_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = Scratch::empty();
    for folder in ["jobs", "sql", "schemas"] {
        crate::scratch::copy(&root.join(folder), scratch.path(folder).as_std_path());
    }
    std::fs::copy(root.join("opsmart.toml"), scratch.path("opsmart.toml")).unwrap();
    let _ = scratch.run(&["docs"]).exits(0);
    let mut seen = 0;
    for (path, _) in scratch.files("site") {
        if path.extension().is_none_or(|extension| extension != "html") {
            continue;
        }
        let text = read(&path).unwrap();
        for link in links(&text).into_iter().filter(|link| !link.starts_with("data:")) {
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let there =
                read(&target).unwrap_or_else(|_| panic!("{} links to {link}, which is not there", path.display()));
            assert!(
                anchor.is_empty() || there.contains(&format!(" id=\"{anchor}\"")),
                "{} links to {link}, whose place is not there",
                path.display()
            );
        }
    }
    assert!(seen > 1000, "{seen} links");
}

#[test]
fn columns_are_followed_through_views_to_what_is_stored() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["docs"]).exits(0);
    // fct_order reads stg_orders, which is a view over the landed dataset.
    let fact = page(&scratch, "tables/fct_order.html");
    let day = row(&fact, "day");
    assert!(day.contains("<a href=\"../sources/orders.html#at\">orders.at</a>"), "{day}");
    assert!(!day.contains("stg_orders"), "{day}");
    assert!(day.contains("<a href=\"../tables/kpi_order_daily.html#day\">kpi_order_daily.day</a>"), "{day}");
    assert!(row(&fact, "amount").contains("at least 0"));
    // Its key and the least amount are promises, each with a name.
    for promise in ["fct_order.key.unique", "fct_order.amount.min"] {
        assert!(fact.contains(&format!("<code>{promise}</code>")), "{promise} in {fact}");
    }
    // A count comes from no column; which rows it counts is decided by the day.
    let kpi = page(&scratch, "tables/kpi_order_daily.html");
    assert!(!row(&kpi, "orders").contains("fct_order"));
    assert!(row(&kpi, "amount").contains("fct_order.amount"));
    let (_, also) = kpi.split_once("Also depends on").unwrap();
    assert!(also.split_once("</details>").unwrap().0.contains("fct_order.day"));
    // SQL names the tables that it reads as links.
    assert!(kpi.contains("<a href=\"../tables/fct_order.html\">fct_order</a>"));
}

#[test]
fn pages_of_what_is_gone_go_and_nothing_else_does() {
    let scratch = Scratch::orders();
    let _ = scratch.run(&["docs"]).exits(0);
    scratch.write("site/notes.txt", "mine");
    std::fs::remove_file(scratch.path("sql/checks/assert_days_add_up.sql")).unwrap();
    let said = scratch.run(&["docs"]).exits(0);
    assert!(said.stderr.ends_with(", 1 old file removed\n"), "{}", said.stderr);
    assert!(!scratch.path("site/tables/assert_days_add_up.html").exists());
    assert!(scratch.path("site/notes.txt").exists(), "what we did not write stays");
    // A list that leads out of the folder is not followed.
    scratch.write("site/opsmart-docs.json", "{\"files\": [\"../opsmart.toml\", \"tables/../../jobs/orders.toml\"]}");
    let _ = scratch.run(&["docs"]).exits(0);
    assert!(scratch.path("opsmart.toml").exists() && scratch.path("jobs/orders.toml").exists());
}

#[test]
fn a_folder_that_is_not_ours_is_refused_and_left_alone() {
    let scratch = Scratch::orders();
    scratch.write("www/index.html", "mine");
    let said = scratch.run(&["docs", "--to", "www"]).exits(2);
    assert!(said.stderr.contains("`www` holds files that `opsmart docs` did not write"), "{}", said.stderr);
    assert_eq!(scratch.files("www").len(), 1);
    std::fs::write(scratch.path("www/opsmart-docs.json"), "something else").unwrap();
    let _ = scratch.run(&["docs", "--to", "www"]).exits(2);
    assert_eq!(std::fs::read_to_string(scratch.path("www/index.html")).unwrap(), "mine");
}

#[test]
fn one_project_gives_one_site_and_nothing_in_it_becomes_markup() {
    let scratch = Scratch::copy_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/project"));
    let _ = scratch.run(&["docs"]).exits(0);
    let first = scratch.files("site");
    for (path, bytes) in &first {
        let text = String::from_utf8_lossy(bytes);
        for hostile in ["<script>", "<img", "<svg onload", "<b>", "<i>"] {
            assert!(!text.contains(hostile), "{}: {hostile}", path.display());
        }
    }
    let _ = scratch.run(&["docs"]).exits(0);
    assert!(first == scratch.files("site"));
}

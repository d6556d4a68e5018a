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

#[test]
fn a_metric_has_a_page_with_its_formula_its_values_and_who_reads_it() {
    let scratch = Scratch::orders();
    scratch.write(
        "schemas/metrics/shop.toml",
        r#"from = "fct_order"
time = "day"
owner = "sales"

# What comes in.
[revenue]
value = "sum(amount)"
unit = "CNY"
decimals = 2
better = "higher"
en = "Revenue"
zh = "收入"

# Per order.
[basket]
numerator = "sum(amount)"
denominator = "count(*)"
unit = "CNY"
decimals = 2
en = "Basket"

[revenue_share]
value = "revenue / (revenue over 2 days)"
unit = "share"
en = "Share of two days"
"#,
    );
    scratch.write("sql/kpi/kpi_revenue.sql", "select day, value from metric_day where metric_id = 'shop_revenue'\n");
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,1200.50\n4,2024-03-04T11:00:00Z,7\n");
    scratch.write(
        "sql/marts/dim_kpi_target.sql",
        "select 'shop_revenue' as metric_id, 31.5 as target union all select 'shop_basket' as metric_id, 9.75 as target\n",
    );
    let _ = scratch.run(&["docs"]).exits(0);
    assert!(page(&scratch, "metrics/shop_revenue.html").contains("Nothing has been published yet"));
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    let _ = scratch.run(&["docs"]).exits(0);
    let revenue = page(&scratch, "metrics/shop_revenue.html");
    // Without a feed the last day is not complete. A day without orders has 0: 30, 1,200.5, 0, 7.
    for text in [
        "<strong>0.00</strong>",
        "aria-label=\"shop.revenue, total: 0.00 – 1,200.50, 2024-03-01 – 2024-03-04\"",
        "<dd>sales</dd>",
        "收入",
        "<a href=\"../tables/fct_order.html\"><code>fct_order</code></a>",
        "<a href=\"../tables/fct_order.html#day\"><code>day</code></a>",
        "<a href=\"../metrics/shop_revenue_share.html\"><code>shop.revenue_share</code></a>",
        "<a href=\"../tables/kpi_revenue.html\"><code>kpi_revenue</code></a>",
        "<td class=\"nb\">31.5</td>",
        "schemas/metrics/shop.toml:6",
    ] {
        assert!(revenue.contains(text), "{text} in {revenue}");
    }
    let (_, declared) = revenue.split_once("Declaration").unwrap();
    assert!(declared.contains("[revenue]") && declared.contains("收入"), "{declared}");
    for text in ["9.75", "Per order", "[basket]"] {
        assert!(!revenue.contains(text), "{text} is of another metric");
    }
    // What is drawn leads from the landed file through the table to the metric, and on to what is made of it.
    let drawn = |page: &str| page.split("<svg width").nth(1).map_or(String::new(), str::to_owned);
    for node in
        ["sources/orders.html", "tables/fct_order.html", "metrics/shop_revenue_share.html", "tables/kpi_revenue"]
    {
        assert!(drawn(&revenue).contains(node), "{node} in {revenue}");
    }
    let share = page(&scratch, "metrics/shop_revenue_share.html");
    let (_, made_of) = share.split_once("Made of").unwrap();
    assert!(made_of.contains("<a href=\"../metrics/shop_revenue.html\"><code>shop.revenue</code></a>"), "{share}");
    // 1,200.5 of the 1,230.5 of two days, 0 of 1,200.5; the fourth day is not complete.
    assert!(share.contains("shop.revenue_share, total: 0.0 % – 100.0 %"), "{share}");
    // The table and the index lead to it.
    assert!(page(&scratch, "tables/fct_order.html").contains("<code>shop.basket</code>"));
    assert!(!page(&scratch, "tables/kpi_revenue.html").contains("<code>shop.basket</code>"));
    let index = page(&scratch, "index.html");
    let (_, row) = index.split_once("<code>shop.revenue</code>").unwrap();
    let row = row.split_once("</tr>").unwrap().0;
    for text in ["Revenue", "收入", "sum(amount)", "CNY", "0.00", "2024-03-03"] {
        assert!(row.contains(text), "{text} in {row}");
    }
    assert!(index.contains("data-words=\"shop_revenue shop.revenue revenue 收入 sum(amount) cny sales"), "{index}");
}

#[test]
fn a_metric_without_a_whole_shows_its_scopes() {
    let scratch = Scratch::orders();
    scratch.write(
        "schemas/metrics/shop.toml",
        "from = \"fct_order\"\ntime = \"day\"\nby = [{ order = \"id\" }]\ntotal = false\n[revenue]\nvalue = \"sum(amount)\"\nunit = \"CNY\"\nen = \"Revenue\"\n",
    );
    let _ = scratch.run(&["run", "--quiet", "--as-of", "2024-07-01"]).exits(0);
    let _ = scratch.run(&["docs"]).exits(0);
    let revenue = page(&scratch, "metrics/shop_revenue.html");
    for text in ["<span class=\"scope\">order 1</span>", "<span class=\"scope\">order 2</span>", "order (id)"] {
        assert!(revenue.contains(text), "{text} in {revenue}");
    }
    assert!(!revenue.contains("<span class=\"scope\">total</span>"));
    // One of many values would not be that of the metric.
    let index = page(&scratch, "index.html");
    let (_, row) = index.split_once("<code>shop.revenue</code>").unwrap();
    assert!(row.split_once("</tr>").unwrap().0.contains("<td class=\"n\">–</td>"));
}

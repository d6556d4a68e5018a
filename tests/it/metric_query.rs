//! `opsmart query`: metrics that somebody asks for are those of the tables of metrics, and for other scopes and rows what
//! their definitions say.

use std::collections::{BTreeMap, BTreeSet};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::RowGroupMetaData;

use crate::sample::shipped;
use crate::scratch::{Scratch, is_thorough};

/// The rows of a CSV text, by column.
fn table(csv: &str) -> Vec<BTreeMap<String, String>> {
    // Which of the two zeros a sum is depends on the order in which it adds.
    let cell = |cell: &str| if cell == "-0.0" { "0.0".to_owned() } else { cell.to_owned() };
    let mut lines = csv.lines().map(|line| line.split(',').map(cell).collect::<Vec<_>>());
    let head = lines.next().unwrap();
    lines.map(|cells| head.iter().cloned().zip(cells).collect()).collect()
}

/// The values of one metric: by period, scope type and scope.
type Values = BTreeMap<(String, String, String), (String, bool)>;

fn stored(scratch: &Scratch, grain: &str) -> BTreeMap<String, Values> {
    let sql = format!("select {grain}, metric_id, scope_type, scope_id, value, is_complete from metric_{grain}");
    let said = scratch.run(&["show", &sql, "--format", "csv"]).exits(0);
    let mut metrics: BTreeMap<String, Values> = BTreeMap::new();
    for row in table(&said.stdout) {
        let key = [grain, "scope_type", "scope_id"].map(|column| row[column].clone());
        let values = metrics.entry(row["metric_id"].clone()).or_default();
        let _ = values.insert(key.into(), (row["value"].clone(), row["is_complete"] == "true"));
    }
    metrics
}

/// Asks for metrics, and returns the cells of each, with what is said of all in a row.
fn asked(scratch: &Scratch, grain: &str, ids: &[&str], more: &[&str]) -> BTreeMap<String, Values> {
    let arguments = [&["query", "--format", "csv", "--grain", grain], more, ids].concat();
    let said = scratch.run(&arguments).exits(0);
    let mut metrics: BTreeMap<String, Values> = BTreeMap::new();
    let mut last = None;
    for row in table(&said.stdout) {
        let key: (String, String, String) = [grain, "scope_type", "scope_id"].map(|column| row[column].clone()).into();
        assert!(last.as_ref().is_none_or(|last| *last < key), "{key:?} is not in order");
        for id in ids {
            let values = metrics.entry((*id).to_owned()).or_default();
            let _ = values.insert(key.clone(), (row[*id].clone(), row["is_complete"] == "true"));
        }
        last = Some(key);
    }
    metrics
}

#[test]
fn for_declared_scopes_it_is_what_the_tables_of_metrics_hold() {
    let scratch = shipped();
    let _ = scratch.run(&["run", "--as-of", "2024-07-01", "--quiet"]).exits(0);
    let by_day = stored(&scratch, "day");
    let mut of_scope: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (id, values) in &by_day {
        for (_, scope, _) in values.keys() {
            let _ = of_scope.entry(scope).or_default().insert(id);
        }
    }
    assert!(of_scope.len() > 6, "{of_scope:?}");
    if !is_thorough() {
        of_scope.retain(|scope, _| ["total", "channel", "instrument"].contains(scope));
    }
    // All metrics of a scope at once: a row holds where one of them does, and is complete where all are.
    for grain in ["day", "week", "month"] {
        let stored = stored(&scratch, grain);
        for (scope, ids) in &of_scope {
            let ids: Vec<&str> = ids.iter().copied().collect();
            let asked = asked(&scratch, grain, &ids, &["--by", scope]);
            let mut keys = BTreeSet::new();
            for id in &ids {
                for (key, (value, _)) in stored[*id].iter().filter(|(key, _)| key.1 == *scope) {
                    assert_eq!(asked[*id].get(key).map(|(value, _)| value), Some(value), "{id} {key:?} by {grain}");
                    let _ = keys.insert(key.clone());
                }
            }
            for (key, (_, is_complete)) in &asked[ids[0]] {
                let of_key: Vec<_> = ids.iter().filter_map(|id| stored[*id].get(key)).collect();
                assert_eq!(*is_complete, of_key.len() == ids.len() && of_key.iter().all(|(_, is)| *is), "{key:?}");
            }
            assert_eq!(asked[ids[0]].keys().cloned().collect::<BTreeSet<_>>(), keys, "{scope} by {grain}");
        }
    }
    // Some by themselves, and some days of them: the days before are not read, and the scopes of them are still there.
    for (id, values) in by_day.iter().step_by(if is_thorough() { 3 } else { 9 }) {
        let scope = &values.keys().next().unwrap().1;
        let days: BTreeSet<&str> = values.keys().map(|(day, ..)| day.as_str()).collect();
        let days: Vec<&str> = days.into_iter().collect();
        let range = [days[days.len() - 4], days[days.len() - 2]];
        let some = asked(&scratch, "day", &[id], &["--by", scope, "--since", range[0], "--until", range[1]]);
        let held: Values = values
            .iter()
            .filter(|(key, _)| key.1 == *scope && range[0] <= key.0.as_str() && key.0.as_str() <= range[1])
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert!(!held.is_empty(), "{id}");
        assert_eq!(some[id], held, "{id}");
    }
}

/// Sales of three days in two files, with a partition for each day.
fn sales() -> Scratch {
    let scratch = project();
    let _ = scratch.run(&["run", "--as-of", "2024-03-09", "--quiet"]).exits(0);
    scratch.write(
        "landing/sales-2.csv",
        "id,at,shop,kind,buyer,amount\n4,2024-03-03T01:00:00Z,north,a,x,40.00\n5,2024-03-03T02:00:00Z,,a,,50.00\n",
    );
    let _ = scratch.run(&["run", "--as-of", "2024-03-10", "--quiet"]).exits(0);
    scratch
}

fn project() -> Scratch {
    Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"Asia/Shanghai\"\n[paths]\nlanding = \"landing\"\n[vars]\nleast = 20\n"),
        ("jobs/sales.toml", "ingest = [\"sales\"]\n"),
        (
            "schemas/sources/sales.toml",
            r#"from = "{landing}/sales-*.csv"
format = { type = "csv" }
key = ["id"]
partition = { day = "at" }
[columns]
id = "int64!"
at = "timestamp!"
shop = "string"
kind = "string"
buyer = "string"
amount = "decimal(10,2)"
"#,
        ),
        ("schemas/models/fct_sale.toml", "key = [\"id\"]\npartition = { day = \"at\" }\n"),
        ("sql/staging/stg_sales.sql", "select id, at, shop, kind, buyer, amount from sales\n"),
        ("sql/marts/fct_sale.sql", "select id, at, shop, kind, buyer, amount from stg_sales\n"),
        (
            "schemas/metrics/shop.toml",
            r#"from = "fct_sale"
time = "at"
by = ["shop"]
[sales]
value = "count(*)"
unit = "sales"
en = "Sales"
[revenue]
value = "sum(amount)"
unit = "CNY"
en = "Revenue"
[buyers]
value = "count(distinct buyer)"
unit = "people"
en = "Buyers"
[middle]
value = "median(amount)"
unit = "CNY"
en = "Middle sale"
[big_share]
numerator = "count(*) filter (where amount >= $least)"
denominator = "count(*)"
unit = "share"
en = "Big sales"
[sales_2d]
of = "sales"
over = "2 days"
unit = "sales"
en = "Sales of two days"
[ever]
value = "count(*)"
as = "balance"
unit = "sales"
en = "Sales so far"
[per_buyer]
value = "revenue / buyers"
unit = "CNY"
en = "Revenue per buyer"
"#,
        ),
        // 16:30 in London is the next day in Shanghai.
        (
            "landing/sales-1.csv",
            "id,at,shop,kind,buyer,amount\n1,2024-03-01T01:00:00Z,north,a,x,10.00\n2,2024-03-01T02:00:00Z,north,b,y,20.00\n3,2024-03-01T16:30:00Z,south,a,x,30.00\n",
        ),
    ])
}

fn rows(scratch: &Scratch, arguments: &[&str]) -> Vec<String> {
    let said = scratch.run(&[&["query", "--format", "csv"], arguments].concat()).exits(0);
    said.stdout.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_condition_chooses_rows_and_any_column_is_a_scope() {
    let scratch = sales();
    let all = ["shop.sales", "shop.revenue", "shop.buyers", "shop.middle", "shop.big_share", "shop.ever"];
    let more = ["shop.sales_2d", "shop.per_buyer", "--where", "kind = 'a'"];
    assert_eq!(
        rows(&scratch, &[&all[..], &more[..]].concat()),
        [
            // One sale of a kind on each of three days: 10, 30, and 40 with 50. The first window is not full.
            "2024-03-01,total,all,1.0,10.0,1.0,10.0,0.0,1.0,,10.0,false",
            "2024-03-02,total,all,1.0,30.0,1.0,30.0,1.0,2.0,2.0,30.0,true",
            "2024-03-03,total,all,2.0,90.0,1.0,45.0,1.0,4.0,3.0,90.0,false",
        ]
    );
    assert_eq!(
        rows(&scratch, &["shop_sales", "shop_buyers", "--by", "kind", "--by", "shop,kind", "--since", "2024-03-02"]),
        [
            "2024-03-02,kind,a,1.0,1.0,true",
            "2024-03-02,kind,b,0.0,0.0,true",
            "2024-03-02,shop_kind,none / a,0.0,0.0,true",
            "2024-03-02,shop_kind,north / a,0.0,0.0,true",
            "2024-03-02,shop_kind,north / b,0.0,0.0,true",
            "2024-03-02,shop_kind,south / a,1.0,1.0,true",
            "2024-03-03,kind,a,2.0,1.0,false",
            "2024-03-03,kind,b,0.0,0.0,false",
            "2024-03-03,shop_kind,none / a,1.0,0.0,false",
            "2024-03-03,shop_kind,north / a,1.0,1.0,false",
            "2024-03-03,shop_kind,north / b,0.0,0.0,false",
            "2024-03-03,shop_kind,south / a,0.0,0.0,false",
        ]
    );
}

#[test]
fn a_total_is_of_all_days_from_one_to_another() {
    let scratch = sales();
    let ids = ["shop.sales", "shop.buyers", "shop.middle", "shop.big_share", "shop.ever", "shop.sales_2d"];
    let total = |more: &[&str]| rows(&scratch, &[&ids[..], &["--grain", "total"], more].concat());
    // Sales of 10, 20, 30, 40 and 50; x, y and nobody; at the end five ever and two in two days.
    assert_eq!(total(&[]), ["2024-03-01,2024-03-03,total,all,5.0,2.0,30.0,0.8,5.0,3.0,false"]);
    assert_eq!(total(&["--since", "2024-03-02"]), ["2024-03-02,2024-03-03,total,all,3.0,1.0,40.0,1.0,5.0,3.0,false"]);
    assert_eq!(
        total(&["--until", "2024-03-02"]),
        ["2024-03-01,2024-03-02,total,all,3.0,2.0,20.0,0.666667,3.0,3.0,true"]
    );
    // A day that is not known is missing.
    assert_eq!(
        total(&["--since", "2024-02-29", "--until", "2024-03-02"]),
        ["2024-02-29,2024-03-02,total,all,3.0,2.0,20.0,0.666667,3.0,3.0,false"]
    );
    let by_shop = ["shop.per_buyer", "--by", "shop", "--by", "total", "--grain", "total", "--until", "2024-03-02"];
    assert_eq!(
        rows(&scratch, &by_shop),
        [
            "2024-03-01,2024-03-02,shop,none,,true",
            "2024-03-01,2024-03-02,shop,north,15.0,true",
            "2024-03-01,2024-03-02,shop,south,30.0,true",
            "2024-03-01,2024-03-02,total,all,30.0,true",
        ]
    );
    // Weeks and months are whole, whatever day of them is asked for.
    let week = ["shop.sales", "--grain", "week", "--since", "2024-03-03", "--until", "2024-03-03"];
    assert_eq!(rows(&scratch, &week), ["2024-02-26,total,all,5.0,false"]);
}

#[test]
fn partitions_of_days_that_nobody_asks_for_are_not_read() {
    let scratch = sales();
    scratch.write(
        "sql/marts/dim_sale_feed.sql",
        "select min(local_day(at, $reporting_zone)) as first_day, max(local_day(at, $reporting_zone)) as last_day,\n  max(local_day(at, $reporting_zone)) as complete_until\nfrom fct_sale\n",
    );
    let declared = std::fs::read_to_string(scratch.path("schemas/metrics/shop.toml")).unwrap();
    scratch.write("schemas/metrics/shop.toml", &format!("feed = \"dim_sale_feed\"\n{declared}"));
    let before: Vec<_> = scratch.files("warehouse/data/fct_sale").into_iter().map(|(path, _)| path).collect();
    scratch.write(
        "landing/sales-3.csv",
        "id,at,shop,kind,buyer,amount\n6,2024-03-08T01:00:00Z,north,a,x,40.00\n7,2024-03-09T01:00:00Z,north,a,x,40.00\n",
    );
    let _ = scratch.run(&["run", "--as-of", "2024-03-10", "--quiet"]).exits(0);
    for path in &before {
        let mut bytes = std::fs::read(path).unwrap();
        // All of its pages, and nothing of what is said about them.
        let file = std::fs::File::open(path).unwrap();
        let metadata = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().metadata().clone();
        for column in metadata.row_groups().iter().flat_map(RowGroupMetaData::columns) {
            let (start, length) = column.byte_range();
            let (start, length) = (usize::try_from(start).unwrap(), usize::try_from(length).unwrap());
            bytes[start..start + length].fill(0xff);
        }
        let mut permissions = std::fs::metadata(path).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
        std::fs::set_permissions(path, permissions).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let of_last_days = ["shop.sales", "shop.buyers", "shop.sales_2d", "--since", "2024-03-09"];
    assert_eq!(rows(&scratch, &of_last_days), ["2024-03-09,total,all,1.0,1.0,2.0,false"]);
    assert!(scratch.run(&["query", "shop.sales"]).exit != 0);
    // What has come together since the first day is made of all days.
    assert!(scratch.run(&["query", "shop.ever", "--since", "2024-03-09"]).exit != 0);
}

#[test]
fn what_cannot_be_answered_is_told_where_it_is_asked() {
    let scratch = sales();
    let told = |arguments: &[&str]| scratch.run(&[&["query"], arguments].concat()).exits(2).stderr;
    assert!(told(&["shop.sale"]).contains("there is no metric `shop.sale`"));
    assert!(told(&["shop.sales", "shop_sale"]).contains("--> query:1:12"));
    assert!(told(&["shop.sales", "--by", "shop,knd"]).contains("--> query --by:1:6"));
    let unknown = told(&["shop.per_buyer", "--where", "amount > 0 and colour = 'red'"]);
    assert!(unknown.contains("--> query --where:1:16"), "{unknown}");
    assert!(unknown.contains("from which `shop_buyers`, of which `shop_per_buyer` is made, is counted"), "{unknown}");
    assert!(told(&["shop.sales", "--where", "count(*) > 1"]).contains("--> query --where:1:1"));
    assert!(told(&["shop.sales", "--where", "amount >"]).contains("--> query --where:1:"));
    assert!(told(&["shop.sales", "--where", "id in (select 1)) or (true"]).contains("--> query --where:1:"));
    assert!(told(&["shop.sales", "--where", "id in (select id from stg_sales)"]).contains("--> query --where:1:"));
    assert!(told(&["shop.sales", "--where", "amount > $most"]).contains("`$most` is not declared"));
    assert!(told(&["shop.sales", "--since", "2024-03-02", "--until", "2024-03-01"]).contains("is after"));
    assert!(told(&["shop.sales", "--since", "yesterday"]).contains("write a day such as 2024-05-01"));
    let fresh = Scratch::orders();
    assert!(fresh.run(&["query", "shop.sales"]).exits(2).stderr.contains("the project declares none"));
    let said = project().run(&["query", "shop.sales"]).exits(2).stderr;
    assert!(said.contains("nothing has been published yet"), "{said}");
}

#[test]
fn what_is_printed_as_sql_is_what_is_computed() {
    let scratch = sales();
    let question = ["shop.sales", "shop.per_buyer", "--by", "kind", "--where", "amount < 45", "--grain", "month"];
    let sql = scratch.run(&[&["query", "--sql"], &question[..]].concat()).exits(0).stdout;
    let sql = sql.replace("$reporting_zone", "'Asia/Shanghai'").replace("$as_of", "timestamp '2024-03-10T00:00:00Z'");
    let said = scratch.run(&["show", &sql, "--format", "csv"]).exits(0);
    let rows: Vec<String> = said.stdout.lines().skip(1).map(str::to_owned).collect();
    assert_eq!(rows, self::rows(&scratch, &question));
    assert_eq!(rows.len(), 2);
}

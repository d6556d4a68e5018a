//! Tables about the warehouse itself, beside those that a run publishes: what each column means, what runs did, how
//! large and how fresh things are.
//!
//! They are made whenever `published/` is brought in line with the reference, so they are of that moment. They are no
//! part of a snapshot and nothing is built from them: two warehouses with the same tables have run at other times.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{ColumnState, Snapshot, Store, StoreError, TableState};
use crate::digest::Digest;
use crate::project::ColumnType;

/// The table that describes the columns of all published tables.
pub const METADATA: &str = "_metadata";

/// Every table about the warehouse.
pub const OPS_TABLES: [&str; 4] = [METADATA, "ops_run", "ops_table", "feed_freshness"];

/// How many runs `ops_run` tells of, the newest: all of them are in the folder of runs.
const RUNS: usize = 500;

/// A table about the warehouse: its columns with their words, and its rows.
pub(super) struct About {
    pub(super) state: TableState,
    pub(super) batch: RecordBatch,
}

/// Name, description, unit, labels in English and Chinese, and the values.
type Column = (&'static str, &'static str, &'static str, &'static str, &'static str, ArrayRef);

/// Makes the tables about the warehouse: the one of columns last, because it tells of the others too. `published` are the
/// tables of the snapshot that readers see, `all` also those that they do not.
pub(super) fn make(
    store: &Store,
    snapshot: &Snapshot,
    published: &[TableState],
    all: &[TableState],
) -> Result<Vec<About>, StoreError> {
    let runs = runs(store);
    let mut about = vec![
        table(
            "ops_run",
            "Runs that published, failed or were interrupted, the newest 500; an idle run leaves no trace",
            "one row per run",
            ops_run(&runs),
        )?,
        table(
            "ops_table",
            "Current tables: rows, bytes, and which run built them last",
            "one row per table",
            ops_table(snapshot, all, &runs),
        )?,
        table(
            "feed_freshness",
            "Landed datasets: how much came, when it landed last, and how far that is behind the clock",
            "one row per landed dataset",
            feed_freshness(snapshot, all),
        )?,
    ];
    let described: Vec<&TableState> = published.iter().chain(about.iter().map(|about| &about.state)).collect();
    let metadata = table(
        METADATA,
        "What each published column means",
        "one row per published column",
        metadata(&described, &about, snapshot),
    )?;
    about.push(metadata);
    Ok(about)
}

fn table(name: &str, description: &str, grain: &str, columns: Vec<Column>) -> Result<About, StoreError> {
    let word = |text: &str| Some(text.to_owned());
    let state = |(name, description, unit, en, zh, array): &Column| ColumnState {
        name: (*name).to_owned(),
        kind: ColumnType::from_arrow(array.data_type()).unwrap_or(ColumnType::String),
        description: word(description),
        unit: word(unit),
        en: word(en),
        zh: word(zh),
    };
    let state = TableState {
        table: name.to_owned(),
        is_published: true,
        description: word(description),
        grain: word(grain),
        columns: columns.iter().map(state).collect(),
        build_hash: Digest::of(name.as_bytes()),
        partition: None,
        files: Vec::new(),
        built_from: None,
        landed: None,
    };
    let fields = columns.iter().map(|(name, .., array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(.., array)| array).collect();
    let batch =
        RecordBatch::try_new(schema, arrays).map_err(|source| StoreError::Rows { table: name.to_owned(), source })?;
    Ok(About { state, batch })
}

/// Returns the records of the newest runs that have ended, oldest first.
fn runs(store: &Store) -> Vec<Value> {
    store.runs(RUNS).into_iter().filter(|run| run["status"] != "running").collect()
}

fn ops_run(runs: &[Value]) -> Vec<Column> {
    let text = |get: &dyn Fn(&Value) -> Option<String>| texts(runs.iter().map(get));
    let word = |path: &'static str| text(&move |run| run.pointer(path)?.as_str().map(str::to_owned));
    let instant = |path: &'static str| instants(runs.iter().map(|run| run.pointer(path)?.as_str()?.parse().ok()));
    let whole = |path: &'static str| wholes(runs.iter().map(|run| run.pointer(path)?.as_i64()));
    let sum = |list: &'static str, of: &'static str| {
        wholes(runs.iter().map(|run| {
            let items = run.pointer(list)?.as_array()?;
            Some(items.iter().filter_map(|item| item[of].as_i64()).sum())
        }))
    };
    let count = |list: &'static str| wholes(runs.iter().map(|run| whole_of(run.pointer(list)?.as_array()?.len())));
    let seconds = runs.iter().map(|run| run.pointer("/report/seconds")?.as_f64());
    let chosen = |run: &Value| {
        let names: Vec<&str> = ["jobs", "select"]
            .iter()
            .filter_map(|key| run[key].as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        Some(if names.is_empty() { "all".to_owned() } else { names.join(" ") })
    };
    vec![
        ("run_id", "Run", "id", "Run", "运行", word("/run")),
        ("started_at", "When the run started", "timestamp", "Started", "开始时间", instant("/started_at")),
        ("ended_at", "When the run ended", "timestamp", "Ended", "结束时间", instant("/ended_at")),
        ("chosen", "Jobs and selectors of the run; `all` without any", "name", "Chosen", "选择范围", text(&chosen)),
        ("status", "published, held, failed or interrupted", "category", "Status", "状态", word("/status")),
        ("exit_code", "Exit code of the command", "code", "Exit code", "退出码", whole("/exit")),
        ("as_of", "The logical clock of the run", "timestamp", "As of", "截至时间", instant("/report/as_of")),
        ("seconds", "How long the run took", "seconds", "Seconds", "耗时", Arc::new(seconds.collect::<Float64Array>())),
        (
            "files_read",
            "Landed files that the run read",
            "count",
            "Files read",
            "读取文件数",
            sum("/report/datasets", "files_read"),
        ),
        ("tables_built", "Tables that the run built", "count", "Tables built", "构建表数", count("/report/tables")),
        (
            "rows_built",
            "Rows of the tables that the run built",
            "count",
            "Rows built",
            "构建行数",
            sum("/report/tables", "rows"),
        ),
        (
            "checks_passed",
            "Checks that the run ran and that passed",
            "count",
            "Checks passed",
            "通过检查数",
            whole("/report/checks"),
        ),
        ("warnings", "Checks that failed and only warn", "count", "Warnings", "警告数", count("/report/warnings")),
        ("findings", "Checks that failed and stopped the run", "count", "Findings", "未通过检查数", count("/findings")),
        ("branch", "Branch on which the run built; nothing of main", "name", "Branch", "分支", word("/branch")),
        ("snapshot", "Snapshot that the run made", "digest", "Snapshot", "快照", word("/report/snapshot")),
        ("error", "Why the run failed", "text", "Error", "错误", word("/error")),
    ]
}

fn ops_table(snapshot: &Snapshot, tables: &[TableState], runs: &[Value]) -> Vec<Column> {
    // The newest run that built a table is the last in the list that names it.
    let built = |table: &TableState| {
        runs.iter().rev().find_map(|run| {
            let built = run.pointer("/report/tables")?.as_array()?;
            built.iter().find(|built| built["table"] == table.table.as_str()).map(|built| (run, built))
        })
    };
    let last: Vec<_> = tables.iter().map(built).collect();
    let seconds = last.iter().map(|last| last.and_then(|(_, built)| built["seconds"].as_f64()));
    let content = |table: &TableState| Some(snapshot.tables.get(&table.table)?.content_hash.to_string());
    vec![
        ("table_name", "Table", "name", "Table", "表", texts(tables.iter().map(|table| Some(table.table.clone())))),
        (
            "is_published",
            "Whether readers see it; landed datasets and stored steps in between they do not",
            "boolean",
            "Published",
            "是否发布",
            Arc::new(tables.iter().map(|table| Some(table.is_published)).collect::<BooleanArray>()),
        ),
        (
            "table_rows",
            "Rows",
            "count",
            "Rows",
            "行数",
            wholes(tables.iter().map(|table| i64::try_from(table.rows()).ok())),
        ),
        (
            "table_bytes",
            "Bytes of its Parquet files",
            "bytes",
            "Bytes",
            "字节数",
            wholes(
                tables.iter().map(|table| i64::try_from(table.files.iter().map(|file| file.bytes).sum::<u64>()).ok()),
            ),
        ),
        (
            "files",
            "Its Parquet files",
            "count",
            "Files",
            "文件数",
            wholes(tables.iter().map(|table| whole_of(table.files.len()))),
        ),
        (
            "columns",
            "Its columns",
            "count",
            "Columns",
            "列数",
            wholes(tables.iter().map(|table| whole_of(table.columns.len()))),
        ),
        (
            "content",
            "Digest of its rows, whatever their order and files",
            "digest",
            "Content",
            "内容摘要",
            texts(tables.iter().map(content)),
        ),
        (
            "built_run_id",
            "Run that built it last, of those in ops_run",
            "id",
            "Built by run",
            "构建运行",
            texts(last.iter().map(|last| Some((*last)?.0["run"].as_str()?.to_owned()))),
        ),
        (
            "built_at",
            "When that run ended",
            "timestamp",
            "Built at",
            "构建时间",
            instants(last.iter().map(|last| (*last)?.0["ended_at"].as_str()?.parse().ok())),
        ),
        (
            "built_seconds",
            "How long that took",
            "seconds",
            "Built in",
            "构建耗时",
            Arc::new(seconds.collect::<Float64Array>()),
        ),
    ]
}

fn feed_freshness(snapshot: &Snapshot, tables: &[TableState]) -> Vec<Column> {
    let feeds: Vec<_> = tables.iter().filter_map(|table| Some((table, table.landed.as_ref()?))).collect();
    let newest: Vec<_> = feeds
        .iter()
        .map(|(_, landed)| landed.remembered().max_by_key(|path| (path.landed_at, path.sequence)))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds between two instants stay far below 2^53")]
    let hours = newest.iter().map(|newest| {
        let behind = (snapshot.as_of - (*newest)?.landed_at).num_milliseconds() as f64 / 3_600_000.0;
        Some((behind.max(0.0) * 100.0).round() / 100.0)
    });
    let sum = |of: &dyn Fn(&super::Ledger) -> u64, beside: &dyn Fn(&super::CleanCounts) -> u64| {
        wholes(feeds.iter().map(|(_, landed)| {
            let of_contents = landed.contents.values().map(|content| of(&content.ledger)).sum::<u64>();
            i64::try_from(of_contents + beside(&landed.counts)).ok()
        }))
    };
    vec![
        (
            "dataset",
            "Landed dataset",
            "name",
            "Dataset",
            "数据集",
            texts(feeds.iter().map(|(table, _)| Some(table.table.clone()))),
        ),
        (
            "files",
            "Admitted files",
            "count",
            "Files",
            "文件数",
            wholes(feeds.iter().map(|(_, landed)| whole_of(landed.remembered().count()))),
        ),
        (
            "newest_file",
            "The file that landed last",
            "path",
            "Newest file",
            "最新文件",
            texts(newest.iter().map(|newest| Some((*newest)?.path.to_string()))),
        ),
        (
            "newest_landed_at",
            "When it had landed",
            "timestamp",
            "Landed last",
            "最近到达时间",
            instants(newest.iter().map(|newest| Some((*newest)?.landed_at))),
        ),
        (
            "hours_behind",
            "Hours from then to the clock of the current tables; 0 when it landed after it",
            "hours",
            "Hours behind",
            "滞后小时",
            Arc::new(hours.collect::<Float64Array>()),
        ),
        (
            "records",
            "Records of all contents read",
            "count",
            "Records",
            "记录数",
            sum(&|ledger| ledger.records, &|_| 0),
        ),
        (
            "quarantined",
            "Quarantined records",
            "count",
            "Quarantined",
            "隔离",
            sum(&|ledger| ledger.quarantined, &|counts| counts.quarantined_in_clean),
        ),
        (
            "table_rows",
            "Rows of the dataset",
            "count",
            "Rows",
            "行数",
            wholes(feeds.iter().map(|(table, _)| i64::try_from(table.rows()).ok())),
        ),
        (
            "as_of",
            "The clock of the current tables",
            "timestamp",
            "As of",
            "截至时间",
            instants(feeds.iter().map(|_| Some(snapshot.as_of))),
        ),
    ]
}

fn metadata(tables: &[&TableState], about: &[About], snapshot: &Snapshot) -> Vec<Column> {
    let rows: Vec<(&TableState, i64, &ColumnState)> = tables
        .iter()
        .flat_map(|table| (1..).zip(&table.columns).map(move |(at, column)| (*table, at, column)))
        .collect();
    let of_table = |get: &dyn Fn(&TableState) -> Option<String>| texts(rows.iter().map(|(table, ..)| get(table)));
    let of_column = |get: &dyn Fn(&ColumnState) -> Option<String>| texts(rows.iter().map(|(.., column)| get(column)));
    let count = |table: &TableState| match about.iter().find(|about| about.state.table == table.table) {
        Some(about) => whole_of(about.batch.num_rows()),
        None => i64::try_from(table.rows()).ok(),
    };
    vec![
        ("table_name", "Table", "name", "Table", "表", of_table(&|table| Some(table.table.clone()))),
        (
            "table_description",
            "What the table holds",
            "text",
            "Table description",
            "表说明",
            of_table(&|table| table.description.clone()),
        ),
        ("grain", "What one row stands for", "text", "Grain", "粒度", of_table(&|table| table.grain.clone())),
        (
            "table_rows",
            "Rows of the table",
            "count",
            "Rows",
            "行数",
            wholes(rows.iter().map(|(table, ..)| count(table))),
        ),
        (
            "column_position",
            "Place of the column in the table, from 1",
            "number",
            "Position",
            "列序",
            wholes(rows.iter().map(|(_, at, _)| Some(*at))),
        ),
        ("column_name", "Column", "name", "Column", "列", of_column(&|column| Some(column.name.clone()))),
        (
            "column_type",
            "Type of the column",
            "name",
            "Type",
            "类型",
            of_column(&|column| Some(column.kind.to_string())),
        ),
        (
            "description",
            "What the column means",
            "text",
            "Description",
            "说明",
            of_column(&|column| column.description.clone()),
        ),
        ("unit", "What its numbers count or measure", "text", "Unit", "单位", of_column(&|column| column.unit.clone())),
        ("label_en", "Label in English", "text", "English label", "英文名", of_column(&|column| column.en.clone())),
        ("label_zh", "Label in Chinese", "text", "Chinese label", "中文名", of_column(&|column| column.zh.clone())),
        (
            "as_of",
            "The clock of the current tables",
            "timestamp",
            "As of",
            "截至时间",
            instants(rows.iter().map(|_| Some(snapshot.as_of))),
        ),
        ("run_id", "Run that built the current tables", "id", "Run", "运行", of_table(&|_| Some(snapshot.run.clone()))),
    ]
}

fn texts(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn wholes(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn instants(values: impl Iterator<Item = Option<DateTime<Utc>>>) -> ArrayRef {
    let micros = values.map(|value| value.map(|value| value.timestamp_micros()));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn whole_of(count: usize) -> Option<i64> {
    i64::try_from(count).ok()
}

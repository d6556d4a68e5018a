//! Asks the published tables what the page shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use datafusion::common::Result;
use datafusion::prelude::SessionContext;
use serde_json::Value;

use super::cells::{Column, Grid, cut, rows, value};
use super::{CHARACTERS, DAYS, GROUPS, Limits, MONTHS, Page, RUNS, RunAbout, SERIES, TableAbout, series};
use crate::digest::Digest;
use crate::engine::read_only;
use crate::project::ColumnType;
use crate::sql_text::{identifier, text};
use crate::store::{METADATA, Snapshot, TableState};

/// What a page is made from.
#[derive(Debug)]
pub struct Published<'a> {
    /// The snapshot's name.
    pub id: &'a Digest,
    /// The current snapshot.
    pub snapshot: &'a Snapshot,
    /// Its published tables, by name.
    pub tables: &'a [Arc<TableState>],
    /// The model whose rows end the report of a run.
    pub headline: Option<&'a str>,
    /// The records of runs, oldest first.
    pub runs: &'a [Value],
}

/// The table that tells how far landed datasets are behind. It is derived from the warehouse, and may be gone.
const FEEDS: &str = "feed_freshness";

/// A part of the page that shows rows of a table as they are.
struct Part {
    /// The name by which the page knows it.
    name: &'static str,
    table: &'static str,
    /// The columns without which there is nothing to show.
    needs: &'static [&'static str],
    /// Which rows.
    only: &'static str,
    /// In what order, before all columns.
    order: &'static str,
    /// How many at most.
    rows: usize,
}

const BY_MONTH: &str = "qualify dense_rank() over (order by month desc) <= $months";

const PARTS: [Part; 13] = [
    Part {
        name: "metrics",
        table: "dim_metric",
        needs: &["metric_id", "name_en", "name_zh"],
        only: "",
        order: "metric_id",
        rows: 1000,
    },
    Part {
        name: "agents",
        table: "dim_agent",
        needs: &["agent_id", "agent_name"],
        only: "",
        order: "agent_id",
        rows: 2000,
    },
    // Bands, which the tables of values have only the middle of.
    Part {
        name: "bands",
        table: "dim_kpi_target",
        needs: &["metric_id", "scope_type", "scope_id", "direction", "band_low", "band_high", "valid_from", "valid_to"],
        only: "where direction = 'band' and band_low is not null and band_high is not null",
        order: "metric_id, scope_type, scope_id, valid_from",
        rows: 1000,
    },
    Part {
        name: "monthly",
        table: "kpi_monthly",
        needs: &["month", "metric_id", "scope_type", "scope_id", "value"],
        only: "qualify row_number() over (partition by metric_id, scope_type, scope_id order by month desc) <= $months",
        order: "case when scope_type = 'total' then 0 else 1 end, scope_type, scope_id, metric_id, month",
        rows: 20_000,
    },
    Part {
        name: "scorecard",
        table: "perf_scorecard",
        needs: &["month", "scope_type", "scope_id", "metric_id", "actual", "target", "attainment", "rag"],
        only: BY_MONTH,
        order: "month desc, scope_type, scope_id, metric_id",
        rows: 20_000,
    },
    Part {
        name: "teams",
        table: "perf_team_month",
        needs: &["month", "group_id"],
        only: BY_MONTH,
        order: "month desc, group_id",
        rows: 2000,
    },
    Part {
        name: "people",
        table: "perf_agent_month",
        needs: &["month", "agent_id"],
        only: BY_MONTH,
        order: "month desc, agent_id",
        rows: 5000,
    },
    Part {
        name: "matrix",
        table: "risk_matrix",
        needs: &["basis", "probability", "impact", "score", "level", "risks"],
        only: "",
        order: "basis, probability, impact",
        rows: 50,
    },
    Part {
        name: "register",
        table: "risk_register_current",
        needs: &["risk_id", "title", "probability", "impact"],
        only: "",
        order: "risk_id",
        rows: 500,
    },
    Part {
        name: "events",
        table: "risk_events",
        needs: &["kri_id", "opened_on", "closed_on"],
        only: "",
        order: "case when closed_on is null then 0 else 1 end, opened_on desc, kri_id",
        rows: 300,
    },
    Part {
        name: "indicators",
        table: "risk_kri_daily",
        needs: &["kri_id", "day", "state"],
        only: "qualify row_number() over (partition by kri_id order by day desc) <= 91",
        order: "kri_id, day",
        rows: 10_000,
    },
    Part {
        name: "thresholds",
        table: "dim_kri_threshold",
        needs: &["kri_id", "kri_name"],
        only: "",
        order: "kri_id",
        rows: 1000,
    },
    Part {
        name: "checks",
        table: "dq_check_result",
        needs: &["check_name", "state"],
        only: "",
        order: "case when state = 'passed' then 1 else 0 end, check_name",
        rows: 1000,
    },
];

/// A part of the page that shows what a query says of a table.
struct Summary {
    name: &'static str,
    table: &'static str,
    needs: &'static [&'static str],
    sql: &'static str,
    rows: usize,
}

const SUMMARIES: [Summary; 3] = [
    Summary {
        name: "ledger",
        table: "dq_ledger",
        needs: &[
            "dataset",
            "records",
            "accepted",
            "quarantined",
            "blank",
            "rows",
            "clean",
            "exact_duplicates",
            "superseded",
        ],
        sql: "select dataset, count(*) as files, sum(records) as records, sum(accepted) as accepted, \
              sum(quarantined) as quarantined, sum(blank) as blank, sum(rows) as rows, sum(clean) as clean, \
              sum(exact_duplicates) as exact_duplicates, sum(superseded) as superseded, sum(late) as late, \
              sum(quarantined_in_clean) as quarantined_in_clean, max(landed_at) as landed_at \
              from dq_ledger group by dataset order by dataset",
        rows: 500,
    },
    Summary {
        name: "quarantine",
        table: "dq_quarantine",
        needs: &["dataset", "reason", "column_name", "message"],
        sql: "select dataset, reason, column_name, count(*) as records, min(message) as message from dq_quarantine \
              group by dataset, reason, column_name order by records desc, dataset, reason, column_name",
        rows: 200,
    },
    Summary {
        name: "backlog",
        table: "kpi_backlog_daily",
        needs: &[
            "day",
            "status",
            "group_id",
            "tickets",
            "age_0_1",
            "age_1_3",
            "age_3_7",
            "age_7_14",
            "age_14_30",
            "age_over_30",
        ],
        // Where the table has totals of its own, these stand for all; adding the parts to them would count twice.
        sql: "with kept as (select * from kpi_backlog_daily \
              qualify (group_id = 'all') = (max(case when group_id = 'all' then 1 else 0 end) over () = 1) \
              and (status = 'all') = (max(case when status = 'all' then 1 else 0 end) over () = 1)) \
              select day, sum(tickets) as tickets, sum(age_0_1) as age_0_1, sum(age_1_3) as age_1_3, \
              sum(age_3_7) as age_3_7, sum(age_7_14) as age_7_14, sum(age_14_30) as age_14_30, \
              sum(age_over_30) as age_over_30 from kept \
              where day > (select max(day) from kpi_backlog_daily) - interval '$days days' group by day order by day",
        rows: DAYS as usize,
    },
];

/// Gathers what the page shows, through a session over the snapshot of `from`; what `feed_freshness` says is left
/// out where it cannot be read.
///
/// # Errors
/// When a published table cannot be read.
pub async fn gather(session: &SessionContext, from: &Published<'_>) -> Result<Page> {
    let table = |name: &str| from.tables.iter().find(|state| state.table == name);
    let mut grids = BTreeMap::new();
    for part in &PARTS {
        if let Some(state) = table(part.table).filter(|state| has(state, part.needs)) {
            let names: Vec<&str> = shown(state).collect();
            let columns = names.iter().map(|name| identifier(name)).collect::<Vec<_>>().join(", ");
            let only = part.only.replace("$months", &MONTHS.to_string());
            // All columns last, so that rows which are equal so far do not change places.
            let order = format!("order by {}, {columns}", part.order);
            let sql = format!("select {columns} from {} {only} {order}", identifier(part.table));
            grids.insert(part.name, grid(session, state, &sql, part.rows).await?);
        }
    }
    for part in &SUMMARIES {
        if let Some(state) = table(part.table).filter(|state| has(state, part.needs)) {
            let sql = part.sql.replace("$days", &DAYS.to_string());
            grids.insert(part.name, grid(session, state, &sql, part.rows).await?);
        }
    }
    if let Some(state) = from.headline.and_then(table).filter(|state| state.columns.len() >= 2) {
        let sql = format!("select * from {} order by 1", identifier(&state.table));
        grids.insert("headline", grid(session, state, &sql, 100).await?);
    }
    if session.table_provider(FEEDS).await.is_ok() && session.table_provider(METADATA).await.is_ok() {
        grids.insert("freshness", feeds(session).await?);
    }
    let mut daily = None;
    let mut trends = Vec::new();
    for state in from.tables.iter().filter(|state| state.table.starts_with("kpi_")) {
        if state.table == "kpi_daily" {
            daily = series::of_kpis(session, state).await?;
        }
        if (state.table != "kpi_daily" || daily.is_none())
            && let Some(found) = series::of_table(session, state).await?
        {
            trends.push(found);
        }
    }
    let mut tables = Vec::new();
    for state in from.tables {
        tables.push(about(session, from, state).await?);
    }
    Ok(Page {
        snapshot: from.id.to_string(),
        run: from.snapshot.run.clone(),
        as_of: crate::instant::text(&from.snapshot.as_of),
        limits: Limits {
            days: DAYS,
            series: SERIES,
            groups: GROUPS,
            months: MONTHS,
            characters: CHARACTERS,
            runs: RUNS,
        },
        tables,
        grids,
        daily,
        trends,
        runs: from.runs.iter().rev().take(RUNS).map(run).collect(),
    })
}

/// Returns how far each landed dataset is behind.
async fn feeds(session: &SessionContext) -> Result<Grid> {
    let columns = format!(
        "select column_name, column_type, unit, label_en, label_zh, description from {METADATA} \
         where table_name = {} order by column_position",
        text(FEEDS)
    );
    let column = |row: Vec<Value>| {
        let mut words = row.into_iter().map(|word| word.as_str().map(str::to_owned));
        let mut next = || words.next().flatten();
        let (name, kind) = (next().unwrap_or_default(), next().unwrap_or_default());
        Column { name, kind, unit: next(), en: next(), zh: next(), description: next() }
    };
    let columns: Vec<Column> = rows(&query(session, &columns).await?).into_iter().map(column).collect();
    let names = columns.iter().map(|column| identifier(&column.name)).collect::<Vec<_>>().join(", ");
    let rows = rows(&query(session, &format!("select {names} from {FEEDS} order by dataset")).await?);
    Ok(Grid { table: FEEDS.to_owned(), columns, rows, is_cut: false })
}

/// Runs a query of ours.
pub(super) async fn query(session: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    session.sql_with_options(sql, read_only()).await?.collect().await
}

pub(super) fn has(state: &TableState, needs: &[&str]) -> bool {
    needs.iter().all(|need| state.columns.iter().any(|column| column.name == *need))
}

/// Returns the columns that people can read.
pub(super) fn shown(state: &TableState) -> impl Iterator<Item = &str> {
    state.columns.iter().filter(|column| column.kind != ColumnType::Bytes).map(|column| column.name.as_str())
}

pub(super) async fn grid(session: &SessionContext, state: &TableState, sql: &str, limit: usize) -> Result<Grid> {
    let frame = session.sql_with_options(sql, read_only()).await?.limit(0, Some(limit + 1))?;
    let columns = frame.schema().fields().iter().map(|field| Column::of(state, field.name())).collect();
    let mut rows = rows(&frame.collect().await?);
    let is_cut = rows.len() > limit;
    rows.truncate(limit);
    Ok(Grid { table: state.table.clone(), columns, rows, is_cut })
}

/// Returns how new the newest row of a table is: the latest of its days and instants that is not after the clock.
///
/// # Errors
/// When the table cannot be read.
pub async fn newest(session: &SessionContext, as_of: &DateTime<Utc>, state: &TableState) -> Result<Option<String>> {
    let clock = instant(&text(&crate::instant::text(as_of)));
    let times = state.columns.iter().filter(|column| matches!(column.kind, ColumnType::Date | ColumnType::Timestamp));
    let times: Vec<String> = times
        .map(|column| instant(&identifier(&column.name)))
        .map(|time| format!("max({time}) filter (where {time} <= {clock})"))
        .collect();
    if times.is_empty() {
        return Ok(None);
    }
    let sql = format!("select greatest({}, null) from {}", times.join(", "), identifier(&state.table));
    let batches = query(session, &sql).await?;
    let batch = batches.iter().find(|batch| batch.num_rows() > 0);
    Ok(batch.and_then(|batch| value(batch.column(0).as_ref(), 0).as_str().map(str::to_owned)))
}

/// Returns SQL that takes a day for its first moment, so that days and instants can be compared.
fn instant(sql: &str) -> String {
    format!("arrow_cast({sql}, 'Timestamp(Microsecond, Some(\"UTC\"))')")
}

async fn about(session: &SessionContext, from: &Published<'_>, state: &TableState) -> Result<TableAbout> {
    Ok(TableAbout {
        name: state.table.clone(),
        description: state.description.clone(),
        grain: state.grain.clone(),
        rows: state.rows(),
        columns: state.columns.len(),
        newest: newest(session, &from.snapshot.as_of, state).await?,
    })
}

/// Returns what the record of a run says; what it does not say is left empty.
fn run(record: &Value) -> RunAbout {
    let text = |value: &Value| cut(value.as_str().unwrap_or_default());
    let report = &record["report"];
    let chosen: Vec<String> =
        ["jobs", "select"].iter().flat_map(|key| record[key].as_array().into_iter().flatten()).map(text).collect();
    let list = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    let table = |table: &Value| {
        (
            text(&table["table"]),
            table["rows"].as_u64().unwrap_or(0),
            hundredths(table["seconds"].as_f64().unwrap_or(0.0)),
        )
    };
    RunAbout {
        run: text(&record["run"]),
        status: text(&record["status"]),
        started_at: text(&record["started_at"]),
        chosen: chosen.join(" "),
        seconds: report["seconds"].as_f64().map(hundredths),
        tables: list("tables").iter().map(table).collect(),
        records: list("datasets").iter().filter_map(|dataset| dataset["records"].as_u64()).sum(),
        error: record["error"].as_str().map(cut),
        held_for: list("held_for").iter().map(text).collect(),
    }
}

fn hundredths(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

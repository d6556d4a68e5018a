//! What a snapshot says of each metric: its days, and what published tables have agreed for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::prelude::SessionContext;

use super::cells::Grid;
use super::gather::{grid, has, shown};
use super::series::{self, Series};
use crate::sql_text::identifier;
use crate::store::TableState;

/// The tables of targets and limits, and the column of each that names a metric.
const AGREED: [(&str, &str); 2] = [("dim_kpi_target", "metric_id"), ("dim_kri_threshold", "kri_id")];

/// Rows of a table of targets or limits that are read at most.
const AGREED_ROWS: usize = 5000;

/// What a snapshot says of a metric.
#[derive(Debug, Default)]
pub struct MetricNow {
    /// Its series; the key of each is metric, type of scope and scope.
    pub series: Vec<Series>,
    /// Its targets and limits, table by table.
    pub agreed: Vec<Grid>,
}

/// Returns what `days`, a table with a row per day, metric and scope, says of each metric, the whole before its scopes,
/// and what the published ones of `tables` have agreed for it. Holds as many series as the page of a report.
///
/// # Errors
/// When a table cannot be read.
pub async fn metrics(
    session: &SessionContext,
    days: Option<&TableState>,
    tables: &[Arc<TableState>],
) -> Result<BTreeMap<String, MetricNow>> {
    let mut metrics: BTreeMap<String, MetricNow> = BTreeMap::new();
    let daily = match days {
        Some(state) => series::of_kpis(session, state).await?,
        None => None,
    };
    for series in daily.into_iter().flat_map(|daily| daily.series) {
        if let Some(metric) = series.key.first().cloned().flatten() {
            metrics.entry(metric).or_default().series.push(series);
        }
    }
    for (table, key) in AGREED {
        let published = tables.iter().find(|state| state.table == table && state.is_published);
        let Some(state) = published.filter(|state| has(state, &[key])) else { continue };
        let names: Vec<&str> = shown(state).collect();
        let columns = names.iter().map(|name| identifier(name)).collect::<Vec<_>>().join(", ");
        let sql = format!("select {columns} from {} order by {columns}", identifier(table));
        let Grid { columns, rows, .. } = grid(session, state, &sql, AGREED_ROWS).await?;
        let Some(at) = columns.iter().position(|column| column.name == key) else { continue };
        let mut by_metric: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for row in rows {
            if let Some(metric) = row[at].as_str().map(str::to_owned) {
                by_metric.entry(metric).or_default().push(row);
            }
        }
        for (metric, rows) in by_metric {
            let grid = Grid { table: table.to_owned(), columns: columns.clone(), rows, is_cut: false };
            metrics.entry(metric).or_default().agreed.push(grid);
        }
    }
    Ok(metrics)
}

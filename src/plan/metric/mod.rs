//! Metrics, compiled to tables: what `schemas/metrics/` declares becomes SELECTs that are bound, proved, hashed and run
//! like those of `sql/`.
//!
//! | table | one row per | made from | written by |
//! |---|---|---|---|
//! | `metric_<table>_day` (stored) | day, metric and scope that has rows | a table: one scan for all metrics whose rows and scopes are the same | `rows` |
//! | `metric_<table>_spans` (stored) | day, metric and scope on which something changes | a table: stocks, and windows over rows | `rows` |
//! | `metric_<table>_week`, `_month` (stored) | period, metric and scope that has rows | a table: what does not add up | `rows` |
//! | `metric_counted` (stored) | day, metric and scope of every series | the above | `series` |
//! | `metric_day`, `metric_week`, `metric_month` (stored) | period, metric and scope | the above, and arithmetic of metrics | `series`, `periods` |
//! | `dim_metric` (published) | metric | the declarations; not where the project writes its own | `columns` |
//!
//! If a table is partitioned by the day on which its metrics count, `metric_<table>_day` is built by the same partitions,
//! and `_week` and `_month` by their weeks and months. Promises: what adds up is added up, and all else is counted anew
//! from rows, in every period and scope; a mistake in a declaration is found where it is written. Does not know the data,
//! nor the names of any metric.

mod about;
mod ask;
mod columns;
mod formula;
mod periods;
mod portable;
mod probe;
mod resolve;
mod rows;
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};
use datafusion::execution::context::SessionState;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};
use crate::project::{DayReach, Layer, Metric, MetricTime, Model, PartitionBy, Project};
pub use about::MetricAbout;
pub use ask::{MetricQuestion, MetricSelect, metric_select};
pub use portable::{PortableAggregate, PortableMetric, PortableSide, portable};
pub(super) use probe::{probe, probe_feed};
pub(super) use resolve::Resolved;
use rows::Narrowing;

/// Where declarations lie; a table that they are compiled to has no file of its own.
const FOLDER: &str = "schemas/metrics";

/// The table of all series that are counted from rows.
pub(super) const COUNTED: &str = "metric_counted";

/// The table of the metrics themselves, unless the project writes one.
const DIMENSION: &str = "dim_metric";

/// The tables that metrics are compiled to, by name, with the metrics of which each must be bound first.
#[derive(Debug, Default)]
pub(super) struct MetricTables {
    /// Of each table that is counted from rows, the ids of its metrics.
    pub(super) counted: BTreeMap<String, Vec<String>>,
    /// What each metric is, by its id.
    pub(super) about: BTreeMap<String, MetricAbout>,
}

/// The length of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// A day of the reporting zone.
    Day,
    /// A week, from this day on.
    Week(Weekday),
    /// A month of the calendar.
    Month,
    /// All days that are asked for, together; of no stored table.
    Total,
}

impl Grain {
    /// Returns the column that says of which period a row is: its first day.
    fn column(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week(_) => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// Returns the first day of the period of a day; of all days together, some day.
    fn start_of(self, day: &str) -> String {
        match self {
            Self::Day => day.to_owned(),
            Self::Week(Weekday::Mon) => format!("cast(date_trunc('week', {day}) as date)"),
            Self::Week(first) => {
                let after_monday = first.num_days_from_monday();
                format!("cast(date_trunc('week', {day} - {after_monday}) as date) + {after_monday}")
            }
            Self::Month => format!("cast(date_trunc('month', {day}) as date)"),
            Self::Total => format!("case when {day} is not null then date '1970-01-01' end"),
        }
    }

    /// Returns the days of all periods that hold some of `days`.
    fn whole_periods(self, days: Range) -> Range {
        let first = |day: NaiveDate| match self {
            Self::Day | Self::Total => Some(day),
            Self::Week(first) => day.checked_sub_days(Days::new(day.weekday().days_since(first).into())),
            Self::Month => day.with_day(1),
        };
        let last = |day: NaiveDate| match self {
            Self::Day | Self::Total => Some(day),
            Self::Week(_) => first(day)?.checked_add_days(Days::new(6)),
            Self::Month => first(day)?.checked_add_months(Months::new(1))?.pred_opt(),
        };
        Range { since: days.since.and_then(first), until: days.until.and_then(last) }
    }
}

/// Days, from one to another; without one of them, from the first or to the last that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// The first day.
    pub since: Option<NaiveDate>,
    /// The last day.
    pub until: Option<NaiveDate>,
}

impl Range {
    /// Returns the same with so many days before it.
    fn reaching_back(self, days: u32) -> Self {
        Self { since: self.since.and_then(|since| since.checked_sub_days(Days::new(days.into()))), ..self }
    }
}

impl fmt::Display for Grain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.column())
    }
}

/// How a metric is counted from rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Counted {
    /// Over the rows of a period.
    Period,
    /// Over the rows of so many days that end with each day.
    Spread(u32),
    /// Different values over so many days that end with each day.
    Distinct { of: String, filter: Option<String>, days: u32 },
    /// Different values, each on its first day.
    First { of: String, filter: Option<String> },
    /// Over the rows that hold the end of each day.
    Stock,
}

impl Counted {
    /// Returns whether several metrics can be counted so in one scan.
    fn is_shared(&self) -> bool {
        !matches!(self, Self::Distinct { .. } | Self::First { .. })
    }
}

/// Adds the tables of the project's metrics to its models, with their contracts.
pub(super) fn add_tables(project: &mut Project, session: &SessionState, mistakes: &mut Diagnostics) -> MetricTables {
    let headline = resolve::headline(project, mistakes);
    if project.metrics.is_empty() {
        return MetricTables::default();
    }
    let metrics = project.metrics.clone();
    let Some(resolved) = resolve::all(&metrics, project, session, mistakes) else { return MetricTables::default() };
    resolve::check_headline(project, &resolved, mistakes);
    let mut tables = MetricTables { about: about::about(&resolved, &headline), ..MetricTables::default() };
    let week = Grain::Week(project.settings.week_start);
    let mut made: Vec<(String, Layer, String)> = Vec::new();
    let by_table = by_table(&resolved);
    for (table, metrics) in &by_table {
        for (suffix, grain, metrics) in parts_of(metrics, &[week, Grain::Month]) {
            let name = format!("metric_{table}_{suffix}");
            let ids = metrics.iter().map(|metric| metric.metric.id.clone()).collect();
            made.push((
                name.clone(),
                Layer::Metrics,
                rows::select(table, &rows::groups(&metrics), grain, &Narrowing::default()),
            ));
            tables.counted.insert(name, ids);
        }
    }
    made.push((
        COUNTED.to_owned(),
        Layer::Metrics,
        series::counted(&resolved.iter().collect::<Vec<_>>(), &series::tables_by_day(&by_table)),
    ));
    made.push(("metric_day".to_owned(), Layer::Metrics, series::days(&resolved)));
    made.push((
        "metric_week".to_owned(),
        Layer::Metrics,
        periods::select(&resolved, &by_table, week, Range::default()),
    ));
    made.push((
        "metric_month".to_owned(),
        Layer::Metrics,
        periods::select(&resolved, &by_table, Grain::Month, Range::default()),
    ));
    made.push((DIMENSION.to_owned(), Layer::Marts, columns::dim_metric(&resolved, &headline)));
    let first = metrics.values().next().map(|metric| metric.file.clone());
    for (name, layer, sql) in made {
        let written = project.models.get(&name).filter(|model| !is_compiled(model));
        if written.is_some() && name == DIMENSION {
            // A project may keep its own list of metrics.
            continue;
        }
        if let Some(written) = written {
            let message = format!("`{name}` is a table that metrics are compiled to");
            let mut mistake = Diagnostic::new(Code::DuplicateStem, written.file.whole(), message)
                .help("rename this one, or declare no metrics");
            if let Some(file) = &first {
                mistake = mistake.related(file.whole(), "metrics are declared here");
            }
            mistakes.push(mistake);
            continue;
        }
        let partition = partition_of(project, &name, &by_table, &resolved);
        let contract = columns::contract(&name, &resolved, partition);
        project.contracts.insert(name.clone(), contract);
        let file = SourceFile::new(format!("{FOLDER} ({name})"), sql);
        project.models.insert(name.clone(), Model { name, layer, file });
    }
    tables
}

/// Returns whether a model is one that metrics are compiled to, and not a file of `sql/`.
#[must_use]
pub fn is_compiled(model: &Model) -> bool {
    model.file.path.as_str().starts_with(FOLDER)
}

/// Tables that the metrics of one table are counted to: the suffix of the name, the length of periods, the metrics.
type Parts<'a> = Vec<(&'static str, Grain, Vec<&'a Resolved<'a>>)>;

/// Returns the tables that the metrics of one table are counted to: by day, those that change from day to day, and by
/// each of the `longer` periods those that are counted anew.
fn parts_of<'a>(metrics: &[&'a Resolved<'a>], longer: &[Grain]) -> Parts<'a> {
    let (spans, periods): (Vec<&Resolved<'_>>, Vec<&Resolved<'_>>) =
        metrics.iter().partition(|metric| metric.counted != Counted::Period);
    let recounted: Vec<&Resolved<'_>> = periods.iter().copied().filter(|metric| metric.is_recounted()).collect();
    let mut parts = vec![("day", Grain::Day, periods), ("spans", Grain::Day, spans)];
    parts.extend(longer.iter().map(|grain| (grain.column(), *grain, recounted.clone())));
    parts.retain(|(_, _, metrics)| !metrics.is_empty());
    parts
}

/// The metrics that are counted from rows, by table.
fn by_table<'a>(resolved: &'a [Resolved<'a>]) -> BTreeMap<&'a str, Vec<&'a Resolved<'a>>> {
    let mut tables: BTreeMap<&str, Vec<&Resolved<'_>>> = BTreeMap::new();
    for metric in resolved {
        if let (Some(rows), resolve::Kind::Rows { .. }) = (&metric.metric.rows, &metric.kind) {
            tables.entry(rows.from.text.as_str()).or_default().push(metric);
        }
    }
    tables
}

/// What is counted from a table whose partitions are the days that its rows count on is built by partitions, too: by days,
/// or by the weeks and months that they are in.
fn partition_of(
    project: &Project,
    name: &str,
    by_table: &BTreeMap<&str, Vec<&Resolved<'_>>>,
    resolved: &[Resolved<'_>],
) -> Option<(PartitionBy, Option<DayReach>)> {
    let first = project.settings.week_start;
    let week = (Grain::Week(first), Some(DayReach::Week(first)));
    let grains = [(Grain::Day, None), week, (Grain::Month, Some(DayReach::Month))];
    let counted = name.strip_prefix("metric_")?;
    let (table, grain, reach) = grains
        .into_iter()
        .find_map(|(grain, reach)| Some((counted.strip_suffix(&format!("_{grain}"))?, grain, reach)))?;
    by_table.get(table)?;
    let Some(PartitionBy::Day { column, zone }) = &project.contracts.get(table)?.partition else { return None };
    let is_of_day = |metric: &&Resolved<'_>| {
        let rows = metric.metric.rows.as_ref().filter(|rows| rows.from.text == table);
        let is_counted = metric.counted == Counted::Period;
        rows.is_some_and(|rows| {
            !is_counted
                || matches!(&rows.time, MetricTime::At(time) | MetricTime::Balance(time) if time.text == *column)
        })
    };
    let mut of_table =
        resolved.iter().filter(|metric| metric.metric.rows.as_ref().is_some_and(|rows| rows.from.text == table));
    let by = PartitionBy::Day { column: grain.column().to_owned(), zone: *zone };
    of_table.all(|metric| is_of_day(&metric)).then_some((by, reach))
}

/// The types of scope of a metric.
fn scope_types(metric: &Metric) -> BTreeSet<&str> {
    let Some(rows) = &metric.rows else { return BTreeSet::new() };
    let total = rows.has_total.then_some("total");
    total.into_iter().chain(rows.by.iter().map(|scope| scope.name.text.as_str())).collect()
}

//! Tables with a row a day, as series that a chart can draw.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type};
use datafusion::common::Result;
use datafusion::prelude::SessionContext;
use serde::Serialize;

use super::cells::Column;
use super::gather::query;
use super::{DAYS, GROUPS, SERIES};
use crate::project::ColumnType;
use crate::sql_text::identifier;
use crate::store::TableState;

/// The series of one table.
#[derive(Debug, Serialize)]
pub struct Daily {
    /// The published table.
    pub table: String,
    /// What the table holds.
    pub description: Option<String>,
    /// The columns that tell one series from another.
    pub dimensions: Vec<Column>,
    /// The columns that series have values of.
    pub measures: Vec<Column>,
    /// The columns that series have one value of, that of the newest complete day.
    pub told: Vec<Column>,
    /// The series.
    pub series: Vec<Series>,
    /// How many series the table has.
    pub of: usize,
    /// Series left out because the table has several rows for one of their days.
    pub mixed: usize,
}

/// One series: what a table says of one group, day by day.
#[derive(Debug, Serialize)]
pub struct Series {
    /// The value of each dimension.
    pub key: Vec<Option<String>>,
    /// The first day, as days since 1970-01-01.
    pub first: i32,
    /// How many days there are.
    pub days: usize,
    /// Of each measure a value for each day; empty when there is none, one value when all are equal.
    pub values: Vec<Vec<Option<f64>>>,
    /// The newest day that is complete and has a value, or else has a value, counted from the first; none if no day has.
    pub newest: Option<usize>,
    /// What is shown of that day.
    pub told: Vec<Option<f64>>,
}

/// Measures of `kpi_daily` that the page draws; those that the table lacks are left out.
const DRAWN: [&str; 6] = ["value", "target", "trailing_28_mean", "rag", "is_anomaly", "is_complete"];

/// Measures of `kpi_daily` that the page shows of the newest complete day alone.
const TOLD: [&str; 6] = ["attainment", "delta_pct", "prev_day", "prev_week", "prev_year", "n"];

/// Returns the series of `kpi_daily`, of the whole company first.
pub(super) async fn of_kpis(session: &SessionContext, state: &TableState) -> Result<Option<Daily>> {
    let has = |name: &str| state.columns.iter().any(|column| column.name == name);
    let dimensions = ["metric_id", "scope_type", "scope_id"];
    if !(dimensions.iter().all(|name| has(name)) && has("value") && is_daily(state)) {
        return Ok(None);
    }
    let drawn: Vec<&str> = DRAWN.into_iter().filter(|name| has(name)).collect();
    let told: Vec<&str> = TOLD.into_iter().filter(|name| has(name)).collect();
    let first = "case when scope_type = 'total' then 0 else 1 end";
    let query = SeriesQuery { dimensions: &dimensions, drawn: &drawn, told: &told, place: first, limit: SERIES };
    query.run(session, state).await.map(Some)
}

/// Returns the series of any other table with a row a day: its text columns tell series apart, its numbers are drawn.
pub(super) async fn of_table(session: &SessionContext, state: &TableState) -> Result<Option<Daily>> {
    if !is_daily(state) {
        return Ok(None);
    }
    let named = |of: fn(ColumnType) -> bool| -> Vec<&str> {
        state.columns.iter().filter(|column| of(column.kind)).map(|column| column.name.as_str()).collect()
    };
    let dimensions = named(|kind| kind == ColumnType::String);
    let mut measures = named(ColumnType::is_number);
    if measures.is_empty() {
        return Ok(None);
    }
    measures.extend(state.columns.iter().map(|column| column.name.as_str()).find(|name| *name == "is_complete"));
    let totals: Vec<String> =
        dimensions.iter().map(|name| format!("case when {} = 'all' then 0 else 1 end", identifier(name))).collect();
    let first = if totals.is_empty() { "0".to_owned() } else { totals.join(" + ") };
    let query = SeriesQuery { dimensions: &dimensions, drawn: &measures, told: &[], place: &first, limit: GROUPS };
    query.run(session, state).await.map(Some)
}

fn is_daily(state: &TableState) -> bool {
    state.columns.iter().any(|column| column.name == "day" && column.kind == ColumnType::Date)
}

/// Which series are read of a table with a row a day, and what of them.
struct SeriesQuery<'a> {
    /// The columns that tell one series from another.
    dimensions: &'a [&'a str],
    /// The measures of every day.
    drawn: &'a [&'a str],
    /// The measures of the newest complete day alone.
    told: &'a [&'a str],
    /// An expression over the dimensions: series with a lesser one come first, and of equals the first by name.
    place: &'a str,
    /// How many series are read at most.
    limit: usize,
}

impl SeriesQuery<'_> {
    /// Reads the last days of the series.
    async fn run(&self, session: &SessionContext, state: &TableState) -> Result<Daily> {
        let Self { dimensions, drawn, told, .. } = self;
        let batches = query(session, &self.sql(&state.table)).await?;
        let (series, mixed) = collect(&batches, dimensions.len(), drawn, told);
        let of = batches.iter().find(|batch| batch.num_rows() > 0).map_or(0, |batch| {
            batch
                .column(0)
                .as_primitive_opt::<Int64Type>()
                .map_or(0, |counts| usize::try_from(counts.value(0)).unwrap_or(0))
        });
        Ok(Daily {
            table: state.table.clone(),
            description: state.description.clone(),
            dimensions: dimensions.iter().map(|name| Column::of(state, name)).collect(),
            measures: drawn.iter().map(|name| Column::of(state, name)).collect(),
            told: told.iter().map(|name| Column::of(state, name)).collect(),
            series,
            of,
            mixed,
        })
    }

    fn sql(&self, table: &str) -> String {
        let Self { dimensions, drawn, told, place, limit } = self;
        // Dimensions stand before something else everywhere, so each brings its comma; there may be none.
        let each = |write: &dyn Fn(&str) -> String| -> String {
            dimensions.iter().map(|name| write(&identifier(name)) + ", ").collect()
        };
        let values: Vec<String> =
            drawn.iter().chain(*told).map(|name| format!("{} as {}", as_number(name), identifier(name))).collect();
        let sorted = each(&|name| format!("{name} nulls first"));
        let of_days = each(&|name| format!("d.{name} nulls first"));
        let same = each(&|name| format!("(d.{name} is not distinct from c.{name})")).replace("), ", ") and ");
        // No stored column begins with `_`, so these names are free.
        format!(
            "with days as (select *, {place} as _place from {table} where day is not null), \
             groups as (select {keys} _place, max(day) as _last from days group by {keys} _place), \
             chosen as (select *, count(*) over () as _all from groups order by _place, {sorted} _last limit {limit}) \
             select c._all, {texts} d.day, {values} from days as d \
             inner join chosen as c on {same} d._place = c._place \
             where d.day > c._last - interval '{DAYS} days' order by d._place, {of_days} d.day",
            table = identifier(table),
            keys = each(&str::to_owned),
            texts = each(&|name| format!("d.{name}")),
            values = values.join(", "),
        )
    }
}

/// Returns the expression that makes a number of a measure: a colour becomes its place, a truth 1.
fn as_number(name: &str) -> String {
    let column = format!("d.{}", identifier(name));
    match name {
        "rag" => format!("case {column} when 'green' then 1.0 when 'amber' then 2.0 when 'red' then 3.0 else 0.0 end"),
        _ if name.starts_with("is_") => format!("case when {column} then 1.0 when not {column} then 0.0 end"),
        _ => format!("cast({column} as double)"),
    }
}

/// What tells one series from another.
type Key = Vec<Option<String>>;

/// The values of each day.
type Days = BTreeMap<i32, Vec<Option<f64>>>;

/// Puts rows together that are sorted by series and day; returns the series and how many could not be drawn.
fn collect(batches: &[RecordBatch], dimensions: usize, drawn: &[&str], told: &[&str]) -> (Vec<Series>, usize) {
    let mut found: Vec<(Key, Days, bool)> = Vec::new();
    for batch in batches {
        let Some(days) = batch.column(1 + dimensions).as_primitive_opt::<Date32Type>() else { continue };
        for row in 0..batch.num_rows() {
            let key: Key = (1..=dimensions)
                .map(|column| {
                    let texts = batch.column(column).as_string_opt::<i32>()?;
                    texts.is_valid(row).then(|| super::cells::cut(texts.value(row)))
                })
                .collect();
            let values = (0..drawn.len() + told.len())
                .map(|measure| {
                    let numbers = batch.column(2 + dimensions + measure).as_primitive_opt::<Float64Type>()?;
                    numbers.is_valid(row).then(|| numbers.value(row)).filter(|number| number.is_finite())
                })
                .collect();
            if found.last().is_none_or(|(last, _, _)| *last != key) {
                found.push((key, BTreeMap::new(), false));
            }
            if let Some((_, known, is_mixed)) = found.last_mut() {
                *is_mixed |= known.insert(days.value(row), values).is_some();
            }
        }
    }
    let mixed = found.iter().filter(|(_, _, is_mixed)| *is_mixed).count();
    let plain = found.into_iter().filter(|(_, _, is_mixed)| !is_mixed);
    (plain.filter_map(|(key, known, _)| series(key, &known, drawn)).collect(), mixed)
}

/// Makes a series of what is known of each day: first the measures `drawn`, then those that are shown of one day.
fn series(key: Key, known: &Days, drawn: &[&str]) -> Option<Series> {
    let (first, last) = (*known.keys().next()?, *known.keys().next_back()?);
    let values = (0..drawn.len())
        .map(|measure| {
            let all: Vec<Option<f64>> =
                (first..=last).map(|day| known.get(&day).and_then(|values| values[measure])).collect();
            match all.first() {
                Some(None) if all.iter().all(Option::is_none) => Vec::new(),
                Some(one) if one.is_some() && all.iter().all(|value| value == one) => vec![*one],
                _ => all,
            }
        })
        .collect();
    let of = |name: &str| drawn.iter().position(|measure| *measure == name);
    let has_value = |values: &[Option<f64>]| of("value").is_some_and(|value| values[value].is_some());
    let is_complete = |values: &[Option<f64>]| of("is_complete").is_none_or(|flag| values[flag] != Some(0.0));
    let newest = known.iter().rev().find(|(_, values)| has_value(values) && is_complete(values));
    let newest = newest.or_else(|| known.iter().rev().find(|(_, values)| has_value(values)));
    let told = newest.map_or_else(Vec::new, |(_, values)| values[drawn.len()..].to_vec());
    let place = |day: i32| usize::try_from(day - first).unwrap_or(0);
    Some(Series { key, first, days: place(last) + 1, values, newest: newest.map(|(day, _)| place(*day)), told })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Day = (i32, [Option<f64>; 3]);

    fn made(drawn: &[&str], days: &[Day]) -> Series {
        let known = days.iter().map(|(day, values)| (*day, values.to_vec())).collect();
        series(vec![], &known, drawn).unwrap()
    }

    #[test]
    fn a_missing_day_is_a_gap_and_equal_values_are_said_once() {
        let (one, two, five) = (Some(1.0), Some(2.0), Some(5.0));
        let drawn = ["value", "target", "trailing_28_mean"];
        let both = made(&drawn, &[(10, [one, five, None]), (11, [two, five, None])]);
        assert_eq!(both.values, vec![vec![one, two], vec![five], vec![]]);
        let gap = made(&drawn, &[(10, [one, None, None]), (12, [one, None, None])]);
        assert_eq!((gap.first, gap.days), (10, 3));
        // Not "equal on all days": day 11 has no value.
        assert_eq!(gap.values, vec![vec![one, None, one], vec![], vec![]]);
    }

    #[test]
    fn what_is_told_is_told_of_the_newest_complete_day() {
        let (no, yes) = (Some(0.0), Some(1.0));
        let drawn = ["value", "is_complete"];
        let days =
            [(10, [Some(7.0), yes, Some(70.0)]), (11, [None, yes, Some(80.0)]), (12, [Some(9.0), no, Some(90.0)])];
        let found = made(&drawn, &days);
        assert_eq!((found.newest, found.told), (Some(0), vec![Some(70.0)]));
        // Where no day is complete, the newest with a value must do.
        let found = made(&drawn, &[(10, [Some(7.0), no, Some(70.0)]), (11, [Some(8.0), no, Some(80.0)])]);
        assert_eq!((found.newest, found.told), (Some(1), vec![Some(80.0)]));
        let found = made(&drawn, &[(10, [None, yes, None])]);
        assert_eq!((found.newest, found.told), (None, vec![]));
    }
}

//! A line of values by day, as a drawing that a template can write as SVG.

use chrono::{Days, NaiveDate};
use serde::Serialize;

use crate::report::Series;

/// The drawing's own units; the page scales it to its width.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 120.0;
const MARGIN: f64 = 6.0;

/// A line, and what stands at the ends of its axes.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    /// What the line is of.
    scope: String,
    /// The line, interrupted where there is no value.
    path: String,
    least: String,
    most: String,
    first: String,
    last: String,
    /// The newest value of a complete day, or else the newest.
    pub(super) newest: String,
    /// The day of that.
    pub(super) day: String,
}

/// Draws the first measure of a series; `None` where it has no value. `show` writes a value.
pub(super) fn draw(series: &Series, show: impl Fn(f64) -> String) -> Option<Chart> {
    let values = series.values.first()?;
    let newest = series.newest?;
    // Where all days are equal, one value stands for them.
    let value = |day: usize| if values.len() == 1 { values[0] } else { values.get(day).copied().flatten() };
    let known: Vec<f64> = (0..series.days).filter_map(value).collect();
    let (least, most) = known.iter().fold((f64::MAX, f64::MIN), |(least, most), at| (least.min(*at), most.max(*at)));
    let height = if most > least { most - least } else { 1.0 };
    #[expect(clippy::cast_precision_loss, reason = "a drawing has few days")]
    let across = |day: usize| MARGIN + (WIDTH - 2.0 * MARGIN) * day as f64 / (series.days.max(2) - 1) as f64;
    let up = |value: f64| HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * (value - least) / height;
    let mut path = String::new();
    for day in 0..series.days {
        let Some(at) = value(day) else { continue };
        let goes_on = day > 0 && value(day - 1).is_some();
        // A day between two without values is a dot: a line of no length with round ends.
        let dot = if goes_on || (day + 1 < series.days && value(day + 1).is_some()) { "" } else { "h0" };
        path.push_str(&format!("{}{:.1} {:.1}{dot}", if goes_on { "L" } else { "M" }, across(day), up(at)));
    }
    let scope = match (series.key.get(1).cloned().flatten().as_deref(), series.key.get(2).cloned().flatten()) {
        (Some("total") | None, _) => "total".to_owned(),
        (Some(kind), scope) => format!("{kind} {}", scope.unwrap_or_default()),
    };
    Some(Chart {
        scope,
        path,
        least: show(least),
        most: show(most),
        first: day_of(series, 0),
        last: day_of(series, series.days - 1),
        newest: value(newest).map(show)?,
        day: day_of(series, newest),
    })
}

fn day_of(series: &Series, day: usize) -> String {
    let days = u64::try_from(i64::from(series.first) + i64::try_from(day).unwrap_or(0)).unwrap_or(0);
    NaiveDate::default().checked_add_days(Days::new(days)).map_or_else(String::new, |day| day.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(days: usize, values: Vec<Option<f64>>, newest: Option<usize>) -> Series {
        let key = ["shop_sales", "country", "CH"].map(|word| Some(word.to_owned())).to_vec();
        Series { key, first: 19_783, days, values: vec![values], newest, told: Vec::new() }
    }

    #[test]
    fn a_line_ends_where_values_do_and_a_single_day_is_a_dot() {
        let values = vec![Some(1.0), Some(3.0), None, Some(2.0)];
        let chart = draw(&series(4, values, Some(1)), |value| value.to_string()).unwrap();
        // 640 wide and 120 high with a margin of 6: the third of four days is at 6 + 628 * 2 / 3.
        assert_eq!(chart.path, "M6.0 114.0L215.3 6.0M634.0 60.0h0");
        assert_eq!((chart.least.as_str(), chart.most.as_str()), ("1", "3"));
        assert_eq!((chart.first.as_str(), chart.last.as_str()), ("2024-03-01", "2024-03-04"));
        assert_eq!((chart.newest.as_str(), chart.day.as_str()), ("3", "2024-03-02"));
        assert_eq!(chart.scope, "country CH");
    }

    #[test]
    fn equal_days_are_a_flat_line_and_days_without_values_none() {
        let flat = draw(&series(3, vec![Some(5.0)], Some(2)), |value| value.to_string()).unwrap();
        assert_eq!(flat.path, "M6.0 114.0L320.0 114.0L634.0 114.0");
        assert!(draw(&series(3, Vec::new(), None), |value| value.to_string()).is_none());
    }
}

//! What a metric is compiled to, for those that show it or hand it on.

use std::collections::{BTreeMap, BTreeSet};

use super::Counted;
use super::columns::{formula, roll_up};
use super::resolve::{Kind, Resolved};
use crate::project::{Formula, MetricTime};

/// What a metric is, besides what its declaration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricAbout {
    /// Its formula in words, or else as it is written.
    pub formula: String,
    /// How a week or month follows from its days, as `dim_metric` has it.
    pub roll_up: &'static str,
    /// Whether it is a numerator over a denominator.
    pub is_ratio: bool,
    /// The table whose rows it is counted from; `None` if it is made of other metrics.
    pub table: Option<String>,
    /// The types of scope that it has rows of.
    pub scopes: BTreeSet<String>,
    /// The metrics that it is made of, as its formula names them.
    pub uses: BTreeSet<String>,
    /// Its place among the headline, from 1.
    pub headline: Option<usize>,
    /// The least sample that gives a value; 0 if it asks for none.
    pub min_sample: i64,
    /// Whether its value over any rows is its formula over those rows: a row counts on one day, and no value looks back,
    /// runs on, or is the mean of days.
    pub is_of_its_rows: bool,
}

/// Returns of each metric, by its id, what it is.
pub(super) fn about(metrics: &[Resolved<'_>], headline: &[String]) -> BTreeMap<String, MetricAbout> {
    metrics.iter().map(|metric| (metric.metric.id.clone(), one(metric, headline))).collect()
}

fn one(resolved: &Resolved<'_>, headline: &[String]) -> MetricAbout {
    let metric = resolved.metric;
    let rows = metric.rows.as_ref().filter(|_| matches!(resolved.kind, Kind::Rows { .. }));
    let is_of_its_rows = rows.is_some_and(|rows| matches!(rows.time, MetricTime::At(_)))
        && resolved.counted == Counted::Period
        && !metric.is_per_day
        && !matches!(metric.formula, Formula::Of { .. });
    MetricAbout {
        formula: formula(metric),
        roll_up: roll_up(resolved),
        is_ratio: resolved.is_ratio(),
        table: rows.map(|rows| rows.from.text.clone()),
        scopes: resolved.scopes.clone(),
        uses: resolved.uses.clone(),
        headline: headline.iter().position(|id| *id == metric.id).map(|at| at + 1),
        min_sample: resolved.min_sample,
        is_of_its_rows,
    }
}

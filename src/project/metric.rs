//! What `schemas/metrics/<area>.toml` declares: numbers, and the rows that they are counted from.
//!
//! The text of an expression is kept as it is written, with its place; whether it makes sense is asked by
//! [`crate::plan`], when the columns of the table are known.

use std::ops::Range;

use super::job::Located;
use crate::diagnostic::SourceFile;

/// One metric.
///
/// - `id` is `<area>_<key>`, and no two metrics of a project share it.
#[derive(Debug, Clone)]
pub struct Metric {
    /// The name that tables know it by.
    pub id: String,
    /// The area: the stem of its file.
    pub area: String,
    /// The key of its table in the file.
    pub key: Located,
    /// The file that declares it.
    pub file: SourceFile,
    /// What it counts.
    pub formula: Formula,
    /// The rows that it is counted from; of metrics of metrics, none.
    pub rows: Option<MetricRows>,
    /// The keys about rows that stand in its own table, and not in that of its area.
    pub own_keys: Vec<Located>,
    /// A condition on rows that keep their period from being complete.
    pub open: Option<Located>,
    /// The days for which a scope without rows stands as it stood last, where one is looked for across scopes.
    pub carry: Option<DayCount>,
    /// How many values it rests on, an aggregate; below `$min_sample` there is no value.
    pub sample: Option<Located>,
    /// The days after the end of a period until which it may change.
    pub settle: Option<DayCount>,
    /// Whether a period that is longer than a day has the mean of its days.
    pub is_per_day: bool,
    /// Which direction is better.
    pub better: Option<Better>,
    /// What its values count or measure.
    pub unit: String,
    /// How many decimals are shown; of a ratio three, of another metric as many as of that one, unless it says so.
    pub decimals: u8,
    /// The least difference that matters.
    pub material: Option<Material>,
    /// Names, and the formula in words.
    pub doc: MetricDoc,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Words by which it is selected.
    pub tags: Vec<String>,
}

impl Metric {
    /// Returns the id of the metric that a word of this one means: a key of its own area, or `area.key`.
    #[must_use]
    pub fn id_of(&self, word: &str) -> String {
        match word.split_once('.') {
            Some((area, key)) => format!("{area}_{key}"),
            None => format!("{}_{word}", self.area),
        }
    }
}

/// What a metric counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Formula {
    /// `value`: an aggregate over rows, or arithmetic of other metrics.
    Value(Located),
    /// `numerator` and `denominator`: two aggregates over rows, or two expressions of other metrics.
    Ratio {
        /// What is divided.
        numerator: Located,
        /// What it is divided by.
        denominator: Located,
    },
    /// `of`: another metric, over a trailing window.
    Of {
        /// The other metric.
        metric: Located,
        /// The days that end with the period.
        over: DayCount,
    },
}

/// The rows that a metric is counted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricRows {
    /// The table.
    pub from: Located,
    /// When a row counts.
    pub time: MetricTime,
    /// The condition on rows that count.
    pub filter: Option<Located>,
    /// The scopes beside the whole.
    pub by: Vec<MetricScope>,
    /// Whether there are rows of the whole, `total`.
    pub has_total: bool,
    /// The table of one row that says from when and until when rows are known.
    pub feed: Option<Located>,
    /// The days that end with the period, if they and not the period are what rows are counted over.
    pub over: Option<DayCount>,
    /// Which days a series has.
    pub spine: Spine,
}

/// When a row counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricTime {
    /// On the day of a column, a date or an instant.
    At(Located),
    /// From the day of a column on: a value is the sum of all changes up to the end of a day.
    Balance(Located),
    /// On the first day of a column on which its scope has the value that is counted.
    First(Located),
    /// At the end of each day from that of one column until before that of another, or for ever.
    Stock {
        /// The column that says from when.
        from: Located,
        /// The column that says until when; null is for ever.
        to: Located,
    },
}

/// A kind of scope: each combination of values of its columns is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricScope {
    /// What `scope_type` says.
    pub name: Located,
    /// The columns whose values `scope_id` says.
    pub columns: Vec<Located>,
}

/// Which days the series of a metric have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spine {
    /// Every day that the feed knows.
    #[default]
    Calendar,
    /// Days that have rows.
    Observed,
}

/// A number of days that a file names, itself or by a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayCount {
    /// How many.
    pub days: NumberOfDays,
    /// Where it stands.
    pub bytes: Range<usize>,
}

/// How many days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberOfDays {
    /// So many, from 1 to 3,660.
    Count(u32),
    /// As many as a variable says, without its dollar.
    Variable(String),
}

/// Which direction is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// More.
    Higher,
    /// Less.
    Lower,
    /// What lies in a band.
    Band,
}

impl Better {
    /// Returns the word of files and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
            Self::Band => "band",
        }
    }
}

/// The least difference that matters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Material {
    /// In the metric's own unit.
    pub absolute: Option<f64>,
    /// As a share of what is compared with.
    pub share: Option<f64>,
}

/// What people read of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetricDoc {
    /// Its English name.
    pub en: String,
    /// Its Chinese name.
    pub zh: Option<String>,
    /// How it is computed, in words.
    pub formula: Option<String>,
}

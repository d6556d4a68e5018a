//! The checks of a table as a whole that a contract declares, and how rows that fail a check are judged.

use serde::{Deserialize, Serialize};

use super::job::Located;

/// What a failed check means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing is published.
    #[default]
    Error,
    /// It is printed and remembered, and the tables are published.
    Warn,
}

impl Severity {
    /// Returns the word for it in contracts and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
        }
    }
}

/// When a check fails, and what that means.
///
/// - Without `max_rows` and `max_share` one row breaks it; with both, more than either allows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// What a failed check means.
    pub severity: Severity,
    /// How many rows may break it.
    pub max_rows: Option<u64>,
    /// Which share of the tested rows may break it.
    pub max_share: Option<f64>,
    /// How many rows must be tested for it to be judged at all.
    pub min_rows: u64,
}

impl Terms {
    /// Returns whether `failing` of `tested` rows are few enough.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
    pub fn allow(&self, failing: u64, tested: u64) -> bool {
        if failing == 0 {
            return true;
        }
        // The nearest float of a quotient is the nearest float of the same number written in decimals, so a share that
        // is exactly the limit keeps it.
        let in_share = |share: f64| tested > 0 && failing as f64 / tested as f64 <= share;
        (self.max_rows.is_some() || self.max_share.is_some())
            && self.max_rows.is_none_or(|rows| failing <= rows)
            && self.max_share.is_none_or(in_share)
    }

    /// Returns the limits in words, if there are any.
    #[must_use]
    pub fn threshold(&self) -> Option<String> {
        let rows = self.max_rows.map(|rows| format!("max_rows {rows}"));
        let share = self.max_share.map(|share| format!("max_share {share}"));
        let sample = (self.min_rows > 1).then(|| format!("min_rows {}", self.min_rows));
        let all: Vec<String> = [rows, share, sample].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// One check of `[checks]`.
#[derive(Debug, Clone)]
pub struct CheckDeclaration {
    /// Its name, unique in its contract.
    pub name: Located,
    /// What it asks.
    pub question: Rule,
    /// SQL that chooses the rows that it is about; all of them without.
    pub filter: Option<Located>,
    /// How it is judged.
    pub terms: Terms,
}

/// What a check of `[checks]` asks.
#[derive(Debug, Clone)]
pub enum Rule {
    /// The values of these columns together do not come twice; rows with a null among them are passed over.
    Unique {
        /// The columns.
        columns: Vec<Located>,
    },
    /// The values of these columns are found in another table; rows with a null among them are passed over.
    Relation {
        /// The columns.
        columns: Vec<Located>,
        /// Where they are found.
        to: To,
    },
    /// A condition that no row breaks; a null keeps it.
    Holds {
        /// The condition, in SQL.
        condition: Located,
    },
    /// How many rows there are.
    Rows {
        /// At least.
        min: Option<u64>,
        /// At most.
        max: Option<u64>,
    },
    /// By which share of the published rows their number may change.
    RowChange {
        /// Growing.
        up: Option<f64>,
        /// Shrinking.
        down: Option<f64>,
    },
    /// The greatest value of a date or timestamp is not far behind the clock.
    Newest(Newest),
    /// How many distinct values a column has; nulls are none.
    Distinct {
        /// The column.
        column: Located,
        /// At least.
        min: Option<u64>,
        /// At most.
        max: Option<u64>,
    },
    /// A column does not fall, or does not rise, from one row to the next.
    Monotone(Monotone),
    /// Between the first and the last day none is missing.
    NoGaps(NoGaps),
    /// A value equals that of another table.
    Equal(Equation),
    /// The newest days are not far from the days before them.
    Usual(Usual),
}

impl Rule {
    /// Returns the key that asks it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unique { .. } => "unique",
            Self::Relation { .. } => "relation",
            Self::Holds { .. } => "holds",
            Self::Rows { .. } => "rows",
            Self::RowChange { .. } => "row_change",
            Self::Newest(_) => "newest",
            Self::Distinct { .. } => "distinct",
            Self::Monotone(Monotone { is_falling: false, .. }) => "never_falls",
            Self::Monotone(Monotone { is_falling: true, .. }) => "never_rises",
            Self::NoGaps(_) => "no_gaps",
            Self::Equal(_) => "equal",
            Self::Usual(_) => "usual",
        }
    }
}

/// Columns of another table.
#[derive(Debug, Clone)]
pub struct To {
    /// The table.
    pub table: Located,
    /// Its columns, one for each of ours; empty where they are called the same.
    pub columns: Vec<Located>,
}

/// How far the greatest value of a column may be behind the clock.
#[derive(Debug, Clone)]
pub struct Newest {
    /// The column.
    pub column: Located,
    /// How far at most, in seconds.
    pub within_seconds: i64,
    /// The same as it is written.
    pub within: Located,
}

/// A column whose values go one way in an order of the rows.
#[derive(Debug, Clone)]
pub struct Monotone {
    /// The column.
    pub column: Located,
    /// Whether it must not rise; otherwise it must not fall.
    pub is_falling: bool,
    /// What orders the rows.
    pub order: Located,
    /// The columns whose values make a sequence of its own.
    pub per: Vec<Located>,
}

/// Days of which none is missing.
#[derive(Debug, Clone)]
pub struct NoGaps {
    /// The column of days.
    pub day: Located,
    /// The columns whose values make a sequence of its own.
    pub per: Vec<Located>,
    /// The table that says which days there are; every day without.
    pub calendar: Option<Calendar>,
}

/// A table of days.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// The table.
    pub table: Located,
    /// Its column of days.
    pub day: Located,
    /// SQL that chooses the days that count.
    pub filter: Option<Located>,
}

/// What two tables must agree on.
#[derive(Debug, Clone)]
pub struct Equation {
    /// This side.
    pub here: Side,
    /// The other table.
    pub table: Located,
    /// What is asked of it.
    pub there: Side,
    /// SQL that chooses its rows.
    pub there_filter: Option<Located>,
    /// How far the two may be apart; nothing stands for equal.
    pub tolerance: Option<f64>,
}

/// One side of an equation: an aggregate, for each value of some columns.
#[derive(Debug, Clone)]
pub struct Side {
    /// The aggregate, in SQL.
    pub value: Located,
    /// The columns that group it; none for the table as a whole.
    pub by: Vec<Located>,
}

/// How the newest days are compared with the days before them.
#[derive(Debug, Clone)]
pub struct Usual {
    /// The aggregate of a day, in SQL.
    pub value: Located,
    /// The column of days.
    pub day: Located,
    /// The columns whose values make a history of its own.
    pub per: Vec<Located>,
    /// How many robust standard deviations a value may be away from the median.
    pub max_z: f64,
    /// How many days before a day are its history.
    pub history_days: u64,
    /// How many of them must have a value.
    pub min_points: u64,
    /// How many days are judged, counted from the newest.
    pub newest_days: u64,
    /// Whether only the same days of the week are compared.
    pub same_weekday: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(max_rows: Option<u64>, max_share: Option<f64>) -> Terms {
        Terms { max_rows, max_share, ..Terms::default() }
    }

    #[test]
    fn one_row_fails_a_check_without_limits() {
        assert!(terms(None, None).allow(0, 10));
        assert!(!terms(None, None).allow(1, 10));
    }

    #[test]
    fn exactly_the_limit_is_allowed() {
        assert!(terms(Some(3), None).allow(3, 10));
        assert!(!terms(Some(3), None).allow(4, 1000));
        // 0.15 has no exact float: the limit must not be missed by its last digit.
        assert!(terms(None, Some(0.15)).allow(15, 100));
        assert!(!terms(None, Some(0.15)).allow(16, 100));
        assert!(terms(Some(2), Some(0.5)).allow(2, 4));
        assert!(!terms(Some(2), Some(0.5)).allow(2, 3));
        assert!(!terms(Some(1), Some(0.5)).allow(2, 4));
    }

    #[test]
    fn limits_are_told_in_the_words_of_the_contract() {
        assert_eq!(terms(None, None).threshold(), None);
        let all = Terms { min_rows: 20, ..terms(Some(2), Some(0.01)) };
        assert_eq!(all.threshold().unwrap(), "max_rows 2, max_share 0.01, min_rows 20");
    }
}

//! When a job runs, in a form that can be told to any scheduler.

use super::job::Located;

/// The times of a job: every minute of a day that all of its parts name.
///
/// - Lists are sorted, have each number once, and are never empty.
/// - At least one day of some year is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// As it is written: five fields of cron.
    pub word: Located,
    /// Minutes of the hour, 0 to 59.
    pub minutes: Vec<u16>,
    /// Hours of the day, 0 to 23.
    pub hours: Vec<u16>,
    /// Months of the year, 1 to 12.
    pub months: Vec<u16>,
    /// Days in these months.
    pub days: Days,
}

/// Days on which a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Days {
    /// Every day.
    Every,
    /// Days of the month, 1 to 31.
    OfMonth(Vec<u16>),
    /// Days of the week, 0 to 6 from Sunday.
    OfWeek(Vec<u16>),
    /// Days that are one of these days of the month, or one of those of the week.
    Either(Vec<u16>, Vec<u16>),
}

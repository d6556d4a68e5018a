//! Times beside the landing of their file: those that lie after it, and those that it comes long after.
//!
//! The landing is the only clock that is asked, so that a file means the same whenever it is read. A day is judged as a
//! whole, in the contract's zone: today is not after the landing, and a day is long past once its end is.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::cells::Span;
use super::parse::ValueError;
use super::quarantine::Reason;
use crate::project::{ColumnType, SourceContract, ThenLate};

/// What a contract says of times and landing, ready to be asked of the rows of one file.
#[derive(Debug)]
pub(super) struct LatenessLimits {
    not_future: Vec<Limit>,
    late: Option<(Limit, ThenLate)>,
}

/// The last value of a column that is not after the landing, or the first that is not late.
#[derive(Debug)]
struct Limit {
    /// The column's place in the contract.
    column: usize,
    value: i64,
    /// The value as people write it.
    text: String,
}

impl LatenessLimits {
    /// Makes ready what a contract says, for a file that landed at that time. Without a time nothing is asked.
    pub(super) fn new(contract: &SourceContract, landed_at: Option<DateTime<Utc>>) -> Self {
        let Some(landed_at) = landed_at else { return Self { not_future: Vec::new(), late: None } };
        let limit = |column: usize, instant: DateTime<Utc>| {
            let kind = contract.columns.get_index(column)?.1.kind;
            let local = instant.with_timezone(&contract.parse_zone).date_naive();
            Some(match kind {
                ColumnType::Date => {
                    Limit { column, value: i64::from(Date32Type::from_naive_date(local)), text: local.to_string() }
                }
                _ => Limit {
                    column,
                    value: instant.timestamp_micros(),
                    text: instant.to_rfc3339_opts(SecondsFormat::AutoSi, true),
                },
            })
        };
        let after = |seconds: u64| i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds);
        let tolerances = contract.columns.values().enumerate();
        let not_future = tolerances.filter_map(|(at, column)| {
            let latest = landed_at.checked_add_signed(after(column.not_future?)?)?;
            limit(at, latest)
        });
        let late = contract.late.as_ref().and_then(|late| {
            let earliest = landed_at.checked_sub_signed(after(late.after_seconds)?)?;
            Some((limit(contract.columns.get_index_of(&late.by)?, earliest)?, late.then))
        });
        Self { not_future: not_future.collect(), late }
    }

    /// Tells `fail` of each row with a time after the landing, and of each late one that is to be quarantined.
    pub(super) fn check(&self, columns: &[ArrayRef], mut fail: impl FnMut(usize, usize, &dyn Fn() -> ValueError)) {
        for limit in &self.not_future {
            let array = &columns[limit.column];
            rows(array, |value| value > limit.value, &mut |row| {
                let misfit = || ValueError {
                    reason: Reason::Future,
                    message: format!("expected a time up to `{}`, found `{}`", limit.text, shown(array, row)),
                };
                fail(row, limit.column, &misfit);
            });
        }
        let Some((limit, ThenLate::SetAside)) = &self.late else { return };
        let array = &columns[limit.column];
        rows(array, |value| value < limit.value, &mut |row| {
            let misfit = || ValueError {
                reason: Reason::Late,
                message: format!("expected a time from `{}` on, found `{}`", limit.text, shown(array, row)),
            };
            fail(row, limit.column, &misfit);
        });
    }

    /// Counts the records with late rows among those whose rows are kept, where `keep` is empty all of them.
    pub(super) fn kept_late(&self, columns: &[ArrayRef], spans: &[Span], keep: &[bool]) -> u64 {
        let Some((limit, ThenLate::Keep)) = &self.late else { return 0 };
        let (mut late, mut last) = (0, None);
        rows(&columns[limit.column], |value| value < limit.value, &mut |row| {
            let is_kept = keep.get(row).copied().unwrap_or(true);
            late += u64::from(is_kept && last.replace(spans[row].start) != Some(spans[row].start));
        });
        late
    }
}

/// Names each row whose value is there and is wanted.
fn rows(array: &ArrayRef, is_wanted: impl Fn(i64) -> bool, found: &mut dyn FnMut(usize)) {
    match array.data_type() {
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>();
            (0..days.len()).filter(|&row| days.is_valid(row) && is_wanted(days.value(row).into())).for_each(found);
        }
        DataType::Timestamp(..) => {
            let instants = array.as_primitive::<TimestampMicrosecondType>();
            (0..instants.len()).filter(|&row| instants.is_valid(row) && is_wanted(instants.value(row))).for_each(found);
        }
        // The loader lets no other type through.
        _ => {}
    }
}

fn shown(array: &ArrayRef, row: usize) -> String {
    match array.data_type() {
        DataType::Timestamp(..) => {
            DateTime::from_timestamp_micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
                .map_or_else(String::new, |instant| instant.to_rfc3339_opts(SecondsFormat::AutoSi, true))
        }
        _ => arrow::util::display::array_value_to_string(array, row).unwrap_or_default(),
    }
}

//! By how much numbers moved.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use arrow::error::ArrowError;

use crate::project::Limit;

/// Floats that are as close as this share of the greater one are the same: the last digits of a sum depend on how the
/// rows were split among threads.
const SAME_FLOATS: f64 = 1e-12;

/// By how much a number moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change {
    /// The difference; without end where one of the two is no finite number.
    pub(super) by: f64,
    /// The difference as a share of what was; nothing where that was zero.
    pub(super) relative: Option<f64>,
}

impl Change {
    fn of(by: f64, before: f64) -> Self {
        let relative = (before != 0.0).then(|| by / before.abs());
        // Beyond all numbers, or from there, any share is exceeded.
        Self { by, relative: relative.map(|share| if share.is_nan() { by } else { share }) }
    }

    /// Returns whether a number may move so far. What begins at zero exceeds every share.
    pub(super) fn is_within(&self, limit: Limit) -> bool {
        match limit {
            Limit::Share(share) => self.relative.is_some_and(|relative| relative.abs() <= share),
            Limit::By(most) => self.by.abs() <= most,
        }
    }
}

/// Returns of each row by how much its number moved; nothing where it did not, or where there is none on one side.
pub(super) fn changes(before: &ArrayRef, after: &ArrayRef) -> Result<Vec<Option<Change>>, ArrowError> {
    let is_there = |row: usize| before.is_valid(row) && after.is_valid(row);
    let rows = 0..before.len();
    Ok(match (before.data_type(), after.data_type()) {
        (DataType::Int64, DataType::Int64) => {
            let (before, after) = (before.as_primitive::<Int64Type>(), after.as_primitive::<Int64Type>());
            let of = |row| exact(before.value(row).into(), after.value(row).into(), 0);
            rows.map(|row| is_there(row).then(|| of(row)).flatten()).collect()
        }
        (DataType::Decimal128(_, scale), DataType::Decimal128(_, same)) if scale == same => {
            let (before, after) = (before.as_primitive::<Decimal128Type>(), after.as_primitive::<Decimal128Type>());
            let of = |row| exact(before.value(row), after.value(row), *scale);
            rows.map(|row| is_there(row).then(|| of(row)).flatten()).collect()
        }
        (DataType::Float64, DataType::Float64) => {
            let (before, after) = (before.as_primitive::<Float64Type>(), after.as_primitive::<Float64Type>());
            let of = |row| near(before.value(row), after.value(row));
            rows.map(|row| is_there(row).then(|| of(row)).flatten()).collect()
        }
        (before, after) => {
            return Err(ArrowError::InvalidArgumentError(format!("{before} and {after} are not numbers of one type")));
        }
    })
}

/// Compares whole numbers of units, of which there are ten to the power of `scale` in one.
///
/// The nearest float of a quotient is the nearest float of the same number written in decimals, so a change that is
/// exactly the limit is within it.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 units the last digits of a share do not matter")]
fn exact(before: i128, after: i128, scale: i8) -> Option<Change> {
    if before == after {
        return None;
    }
    let units = after.abs_diff(before) as f64;
    let units = if after < before { -units } else { units };
    let share = Change::of(units, before as f64).relative;
    Some(Change { by: units / 10f64.powi(scale.into()), relative: share })
}

fn near(before: f64, after: f64) -> Option<Change> {
    if before.total_cmp(&after).is_eq() {
        return None;
    }
    let by = after - before;
    if by.is_nan() {
        return Some(Change::of(f64::INFINITY, before));
    }
    let slack = SAME_FLOATS * before.abs().max(after.abs());
    if by.is_finite() && by.abs() <= slack { None } else { Some(Change::of(by, before)) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, Int64Array};

    use super::*;

    #[test]
    fn a_change_is_told_as_such_and_as_a_share_of_what_was() {
        let before: ArrayRef = Arc::new(Int64Array::from(vec![Some(100), Some(-10), Some(0), Some(7), None, Some(1)]));
        let after: ArrayRef = Arc::new(Int64Array::from(vec![Some(80), Some(-5), Some(3), Some(7), Some(1), None]));
        let change = |by, relative| Some(Change { by, relative });
        assert_eq!(
            changes(&before, &after).unwrap(),
            [change(-20.0, Some(-0.2)), change(5.0, Some(0.5)), change(3.0, None), None, None, None]
        );
    }

    #[test]
    fn exactly_the_limit_is_within_it() {
        let decimals = |units: i128| -> ArrayRef {
            Arc::new(Decimal128Array::from(vec![units]).with_precision_and_scale(10, 2).unwrap())
        };
        let change = |before, after| changes(&decimals(before), &decimals(after)).unwrap()[0].unwrap();
        // 29 % of 100.00, where neither 0.29 nor the product of floats is exact.
        assert!(change(10_000, 12_900).is_within(Limit::Share(0.29)));
        assert!(!change(10_000, 12_901).is_within(Limit::Share(0.29)));
        assert!(change(1010, 1111).is_within(Limit::Share(0.1)));
        assert!(change(110, 140).is_within(Limit::By(0.3)));
        assert!(!change(110, 141).is_within(Limit::By(0.3)));
        assert!(!change(0, 1).is_within(Limit::Share(10.0)));
        assert!(change(0, 1).is_within(Limit::By(0.01)));
    }

    #[test]
    fn the_greatest_decimals_do_not_overflow() {
        let most = 10_i128.pow(38) - 1;
        let change = exact(-most, most, 0).unwrap();
        assert!(change.by > 1.9e38 && change.relative == Some(2.0), "{change:?}");
    }

    #[test]
    fn floats_have_not_moved_in_their_last_digits_but_to_and_from_what_is_no_number() {
        assert_eq!(near(0.1 + 0.2, 0.3), None);
        assert_eq!(near(0.0, -0.0), None);
        assert!(near(1.0, 1.000_001).is_some());
        assert_eq!(near(f64::NAN, f64::NAN), None);
        assert_eq!(near(f64::INFINITY, f64::INFINITY), None);
        for (before, after) in [(1.0, f64::NAN), (f64::NAN, 1.0), (1.0, f64::INFINITY), (f64::INFINITY, 1.0)] {
            let change = near(before, after).unwrap();
            assert!(!change.is_within(Limit::Share(1e9)) && !change.is_within(Limit::By(1e9)), "{before} {after}");
        }
    }
}

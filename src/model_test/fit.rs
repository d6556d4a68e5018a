//! Whether what a test gives fits the columns that it is given for.
//!
//! Whoever writes `'yesterday'` for a time, or 1.5 for a whole number, does not mean null or 1. A value that would become
//! another one is a mistake of the test.

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::{CastOptions, cast_with_options, kernels::cmp::distinct};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;

/// A value that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValueMismatch {
    /// Its row, from 0.
    pub(super) row: usize,
    /// How it is written.
    pub(super) value: String,
}

/// Brings given values to a type.
///
/// # Errors
/// The first value that is none of that type, or would be changed; and what has no values of that type at all.
pub(super) fn fit(given: &ArrayRef, to: &DataType) -> Result<Result<ArrayRef, ValueMismatch>, ArrowError> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let column = cast_with_options(given, to, &options)?;
    // A column of nothing but nulls has no list of them.
    let nulls = given.logical_nulls();
    let is_lost = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) && column.is_null(row);
    let is_other = changed(given, &column)?;
    let is_misfit = |row: &usize| is_lost(*row) || is_other.as_ref().is_some_and(|other| other.value(*row));
    match (0..given.len()).find(is_misfit) {
        Some(row) => Ok(Err(ValueMismatch { row, value: array_value_to_string(given, row)? })),
        None => Ok(Ok(column)),
    }
}

/// Returns which values say something else than those given, where a type can be found in which both can be compared.
fn changed(given: &ArrayRef, column: &ArrayRef) -> Result<Option<BooleanArray>, ArrowError> {
    let (from, to) = (given.data_type(), column.data_type());
    let is_text = matches!(from, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let wide = if to.is_floating() {
        // What a double cannot hold is not what a test is about.
        return Ok(None);
    } else if to.is_numeric() && from.is_floating() {
        DataType::Float64
    } else if to.is_numeric() && (from.is_numeric() || is_text) {
        DataType::Decimal256(76, 30)
    } else if to.is_temporal() && (from.is_temporal() || is_text) {
        // Days go further than nanoseconds do.
        let is_day = |kind: &DataType| matches!(kind, DataType::Date32 | DataType::Date64);
        let unit = if is_day(from) || is_day(to) { TimeUnit::Microsecond } else { TimeUnit::Nanosecond };
        DataType::Timestamp(unit, Some("UTC".into()))
    } else {
        return Ok(None);
    };
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let widened = |array: &ArrayRef| cast_with_options(array, &wide, &options);
    let (Ok(was), Ok(is)) = (widened(given), widened(column)) else { return Ok(None) };
    let differ = distinct(&was, &is)?;
    // Where one of them does not go that far nothing is known.
    Ok(Some((0..differ.len()).map(|row| Some(was.is_valid(row) && is.is_valid(row) && differ.value(row))).collect()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Float64Array, Int64Array, StringArray, new_null_array};

    use super::*;

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn misfit(given: &ArrayRef, to: &DataType) -> Option<(usize, String)> {
        fit(given, to).unwrap().err().map(|misfit| (misfit.row, misfit.value))
    }

    #[test]
    fn what_is_no_value_or_would_become_another_is_told() {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let decimal = DataType::Decimal128(10, 2);
        for (good, bad, to) in [
            ("7", "seven", DataType::Int64),
            ("7", "7.5", DataType::Int64),
            ("7.50", "7.505", decimal.clone()),
            ("0.5", "half", DataType::Float64),
            ("true", "maybe", DataType::Boolean),
            ("2024-06-01", "2024-06-31", DataType::Date32),
            ("2024-06-01", "2024-06-01T10:00:00", DataType::Date32),
            ("2024-06-01T10:00:00+02:00", "yesterday", instant.clone()),
            ("2024-06-01 10:00:00.000001", "2024-06-01 10:00:00.0000001", instant),
        ] {
            assert_eq!(misfit(&texts(&[Some(good), None]), &to), None, "{good} as {to}");
            assert_eq!(misfit(&texts(&[Some(good), None, Some(bad)]), &to), Some((2, bad.to_owned())), "{bad} as {to}");
        }
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 1.5]));
        assert_eq!(misfit(&numbers, &DataType::Int64), Some((1, "1.5".to_owned())));
        assert_eq!(misfit(&numbers, &decimal), None);
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 3_000_000_000]));
        assert_eq!(misfit(&numbers, &DataType::Int32), Some((1, "3000000000".to_owned())));
        assert_eq!(misfit(&numbers, &DataType::Float64), None);
        // Nanoseconds end in 2262, and days go further.
        let days: ArrayRef = Arc::new(Date32Array::from(vec![2_932_896]));
        assert_eq!(misfit(&days, &DataType::Date64), None);
        assert_eq!(misfit(&new_null_array(&DataType::Null, 2), &DataType::Int64), None);
    }
}

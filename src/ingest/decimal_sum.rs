//! Compares numbers with sums of numbers: exactly, or in floats where one of them is a float.

use std::borrow::Cow;
use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, i256};

use crate::project::Comparison;

/// A number of each row, or one for all rows.
#[derive(Debug)]
pub(super) struct Addend<'a> {
    /// The numbers; those of null rows mean nothing.
    pub(super) values: &'a ArrayRef,
    /// Whether the first of them stands for all rows.
    pub(super) is_constant: bool,
    /// Whether it is taken away.
    pub(super) is_minus: bool,
}

/// Returns of each row whether the number in `left` and the sum keep to a comparison; what is said of a row in which one
/// of the numbers is null means nothing.
pub(super) fn compare_with_sum(comparison: Comparison, left: &ArrayRef, addends: &[Addend<'_>]) -> BooleanBuffer {
    let mut arrays = addends.iter().map(|addend| addend.values).chain([left]);
    if arrays.any(|array| *array.data_type() == DataType::Float64) {
        compare_floats(comparison, left, addends)
    } else {
        compare_exactly(comparison, left, addends)
    }
}

/// Numbers, each to be multiplied by one factor.
struct Factored<'a, T: Clone> {
    values: Cow<'a, [T]>,
    is_constant: bool,
    factor: T,
}

impl<T: Copy> Factored<'_, T> {
    #[inline]
    fn at(&self, row: usize) -> T {
        self.values[if self.is_constant { 0 } else { row }]
    }
}

fn compare_floats(comparison: Comparison, left: &ArrayRef, addends: &[Addend<'_>]) -> BooleanBuffer {
    let addends = addends.iter().map(|addend| Factored {
        values: floats(addend.values),
        is_constant: addend.is_constant,
        factor: if addend.is_minus { -1.0 } else { 1.0 },
    });
    let addends: Vec<Factored<f64>> = addends.collect();
    let left = floats(left);
    BooleanBuffer::collect_bool(left.len(), |row| {
        let sum: f64 = addends.iter().map(|addend| addend.at(row) * addend.factor).sum();
        // Every number is finite, so that a sum may be infinite, but is never NaN.
        comparison.allows(left[row].partial_cmp(&sum).unwrap_or(Ordering::Equal))
    })
}

fn compare_exactly(comparison: Comparison, left: &ArrayRef, addends: &[Addend<'_>]) -> BooleanBuffer {
    let left_side = Addend { values: left, is_constant: false, is_minus: true };
    let all = || addends.iter().chain([&left_side]);
    let most = all().map(|addend| scale(addend.values)).max().unwrap_or_default();
    let differences = all().map(|addend| {
        // At most 38 digits, which 128 bits hold.
        let power = 10_i128.pow(most - scale(addend.values));
        Factored {
            values: whole(addend.values),
            is_constant: addend.is_constant,
            factor: if addend.is_minus { -power } else { power },
        }
    });
    let differences: Vec<Factored<i128>> = differences.collect();
    BooleanBuffer::collect_bool(left.len(), |row| {
        let sign = narrow_sign(&differences, row).unwrap_or_else(|| wide_sign(&differences, row));
        comparison.allows(sign.reverse())
    })
}

/// Returns how the sum of a row compares with 0; nothing where 128 bits do not hold it.
#[inline]
fn narrow_sign(addends: &[Factored<'_, i128>], row: usize) -> Option<Ordering> {
    let add = |sum: i128, addend: &Factored<i128>| sum.checked_add(addend.at(row).checked_mul(addend.factor)?);
    addends.iter().try_fold(0, add).map(|sum| sum.cmp(&0))
}

/// Returns how the sum of a row compares with 0, whatever its size.
#[cold]
fn wide_sign(addends: &[Factored<'_, i128>], row: usize) -> Ordering {
    // A product has at most 76 digits, and 256 bits hold it, but not every sum of such. So the halves are added apart.
    let half = i256::from_i128(10_i128.pow(38));
    let (mut high, mut low) = (i256::ZERO, i256::ZERO);
    for addend in addends {
        let product = i256::from_i128(addend.at(row)).wrapping_mul(i256::from_i128(addend.factor));
        high = high.wrapping_add(product.wrapping_div(half));
        low = low.wrapping_add(product.wrapping_rem(half));
    }
    // What the low halves carry over leaves less of them than one of a high half.
    high = high.wrapping_add(low.wrapping_div(half));
    low = low.wrapping_rem(half);
    high.cmp(&i256::ZERO).then(low.cmp(&i256::ZERO))
}

/// Returns how many digits of a number are after the point.
fn scale(array: &ArrayRef) -> u32 {
    match array.data_type() {
        DataType::Decimal128(_, scale) => scale.unsigned_abs().into(),
        _ => 0,
    }
}

/// Returns the digits of exact numbers.
fn whole(array: &ArrayRef) -> Cow<'_, [i128]> {
    match array.data_type() {
        DataType::Decimal128(..) => Cow::Borrowed(array.as_primitive::<Decimal128Type>().values()),
        _ => array.as_primitive::<Int64Type>().values().iter().map(|&value| value.into()).collect(),
    }
}

/// Returns numbers as floats, each as near as 64 bits are.
#[expect(clippy::cast_precision_loss, reason = "the nearest number of 64 bits is what is asked for")]
fn floats(array: &ArrayRef) -> Cow<'_, [f64]> {
    if *array.data_type() == DataType::Float64 {
        return Cow::Borrowed(array.as_primitive::<Float64Type>().values());
    }
    let power = 10_f64.powi(scale(array).cast_signed());
    whole(array).iter().map(|&value| value as f64 / power).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, Float64Array, Int64Array};

    use super::*;

    fn decimal(value: i128, scale: i8) -> ArrayRef {
        Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale).unwrap())
    }

    fn order(left: &ArrayRef, addends: &[(&ArrayRef, bool)]) -> Ordering {
        let addend = |&(values, is_minus): &(&'_ ArrayRef, bool)| (values.clone(), is_minus);
        let arrays: Vec<(ArrayRef, bool)> = addends.iter().map(addend).collect();
        let addends: Vec<Addend> =
            arrays.iter().map(|(values, is_minus)| Addend { values, is_constant: true, is_minus: *is_minus }).collect();
        let is = |comparison| compare_with_sum(comparison, left, &addends).value(0);
        match (is(Comparison::Less), is(Comparison::Equal), is(Comparison::Greater)) {
            (true, false, false) => Ordering::Less,
            (false, true, false) => Ordering::Equal,
            (false, false, true) => Ordering::Greater,
            both => panic!("{both:?}"),
        }
    }

    #[test]
    fn numbers_of_different_scales_are_compared_exactly() {
        let most = 10_i128.pow(38) - 1;
        let cases = [
            ((15, 1), (150, 2), Ordering::Equal),
            ((9_007_199_254_740_993, 0), (9_007_199_254_740_992, 0), Ordering::Greater),
            ((most, 0), (most, 38), Ordering::Greater),
            ((-most, 0), (most, 38), Ordering::Less),
            ((most, 38), (most, 0), Ordering::Less),
            ((most, 38), (1, 0), Ordering::Less),
        ];
        for ((left, left_scale), (right, right_scale), expected) in cases {
            let (left, right) = (decimal(left, left_scale), decimal(right, right_scale));
            assert_eq!(order(&left, &[(&right, false)]), expected, "{left:?} {right:?}");
        }
        let real: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
        assert_eq!(order(&real, &[(&decimal(15, 1), false)]), Ordering::Equal);
        let (zero, minus_zero): (ArrayRef, ArrayRef) =
            (Arc::new(Float64Array::from(vec![0.0])), Arc::new(Float64Array::from(vec![-0.0])));
        assert_eq!(order(&zero, &[(&minus_zero, false)]), Ordering::Equal);
    }

    #[test]
    fn sums_have_no_end() {
        let most = 10_i128.pow(38) - 1;
        let (large, small) = (decimal(most, 0), decimal(most, 38));
        // Far beyond 256 bits: twenty times 10^76 and more.
        let many = vec![(&large, false); 20];
        let with_small: Vec<(&ArrayRef, bool)> = many.iter().copied().chain([(&small, false)]).collect();
        assert_eq!(order(&large, &with_small), Ordering::Less);
        let taken: Vec<(&ArrayRef, bool)> = with_small.iter().copied().chain(vec![(&large, true); 19]).collect();
        // What is left of it is `large + small`, more than `large` by less than one.
        assert_eq!(order(&large, &taken), Ordering::Less);
        let back: Vec<(&ArrayRef, bool)> = taken.iter().copied().chain([(&small, true)]).collect();
        assert_eq!(order(&large, &back), Ordering::Equal);
        let below: Vec<(&ArrayRef, bool)> = back.iter().copied().chain([(&small, true)]).collect();
        assert_eq!(order(&large, &below), Ordering::Greater);
        let whole = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
        assert_eq!(order(&whole(i64::MIN), &[(&whole(i64::MAX), true), (&whole(-1), false)]), Ordering::Equal);
        assert_eq!(order(&whole(i64::MAX), &[(&whole(i64::MAX), false), (&whole(1), false)]), Ordering::Less);
        assert_eq!(order(&whole(0), &[(&whole(i64::MIN), true)]), Ordering::Less);
    }
}

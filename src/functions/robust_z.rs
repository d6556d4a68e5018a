//! `robust_z(value, history, least)`: how many robust standard deviations a value lies from the median of its history.
//!
//! With m the median of the history and d the distances from it: 0.6745·(value − m) / median(d), or, where that median is
//! 0, (value − m) / (1.253314·mean(d)); to four digits. Null when the value is, when fewer than `least` values of the
//! history are known, or when all of them are one number.
//! Source: B. Iglewicz and D. Hoaglin, "How to Detect and Handle Outliers", ASQC (1993). Beyond 3.5 a value stands out.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::type_name;

/// Returns the function.
pub(super) fn robust_z() -> ScalarUDF {
    ScalarUDF::from(RobustZ { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RobustZ {
    signature: Signature,
}

impl ScalarUDFImpl for RobustZ {
    fn name(&self) -> &'static str {
        "robust_z"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [value, history, least] = given else {
            return plan_err!(
                "`robust_z` takes a value, the values before it and how many must be known, \
                 for example robust_z(value, array_agg(value) over before, 8)"
            );
        };
        let is_number = |kind: &DataType| kind.is_numeric() || *kind == DataType::Null;
        if !is_number(value) {
            return plan_err!("`robust_z` takes a number first, not a {}", type_name(value));
        }
        let is_list = match history {
            DataType::List(of) | DataType::LargeList(of) => is_number(of.data_type()),
            other => *other == DataType::Null,
        };
        if !is_list {
            return plan_err!("`robust_z` takes a list of numbers second, not a {}", type_name(history));
        }
        if !least.is_integer() {
            return plan_err!("`robust_z` takes a whole number third, not a {}", type_name(least));
        }
        let numbers = Arc::new(Field::new_list_field(DataType::Float64, true));
        Ok(vec![DataType::Float64, DataType::List(numbers), DataType::Int64])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [values, histories, least] = arrays.as_slice() else {
            return exec_err!("`robust_z` takes three arguments");
        };
        let (values, least) = (values.as_primitive::<Float64Type>(), least.as_primitive::<Int64Type>());
        let histories = histories.as_list::<i32>();
        let mut known = Vec::new();
        let scores: Float64Array = (0..values.len())
            .map(|row| {
                if values.is_null(row) || histories.is_null(row) || least.is_null(row) {
                    return None;
                }
                let history = histories.value(row);
                known.clear();
                known.extend(history.as_primitive::<Float64Type>().iter().flatten());
                let least = usize::try_from(least.value(row)).unwrap_or(0);
                if known.len() < least { None } else { score(values.value(row), &mut known) }
            })
            .collect();
        let scores: ArrayRef = Arc::new(scores);
        if all_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&scores, 0)?));
        }
        Ok(ColumnarValue::Array(scores))
    }
}

/// Returns the score of a value; `history` is used up.
fn score(value: f64, history: &mut [f64]) -> Option<f64> {
    let centre = median(history)?;
    for value in history.iter_mut() {
        // Distances that are equal but for the last bit are equal.
        *value = round((*value - centre).abs(), 1e9);
    }
    let (factor, spread) = match median(history)? {
        spread if spread > 0.0 => (0.6745, spread),
        #[expect(clippy::cast_precision_loss, reason = "a history is short")]
        _ => (1.0, 1.253_314 * history.iter().sum::<f64>() / history.len() as f64),
    };
    (spread > 0.0).then(|| round(factor * (value - centre) / spread, 1e4))
}

/// Returns the middle of some values, or the mean of the two middle ones; `None` of none.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 { Some(upper) } else { values.get(middle - 1).map(|lower| f64::midpoint(*lower, upper)) }
}

fn round(value: f64, digits: f64) -> f64 {
    (value * digits).round() / digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_that_of_the_formula() {
        // Median 5, distances 4 3 1 0 0 1 3 4 sorted 0 0 1 1 3 3 4 4, their median 2: 0.6745 * 7 / 2.
        assert_eq!(score(12.0, &mut [1.0, 2.0, 4.0, 5.0, 5.0, 6.0, 8.0, 9.0]), Some(2.3608));
        // Distances 0 0 0 0 0 8: their median is 0, the mean 8 / 6, so 6 / (1.253314 * 4 / 3).
        assert_eq!(score(8.0, &mut [2.0, 2.0, 2.0, 2.0, 2.0, 10.0]), Some(3.5905));
        assert_eq!(score(8.0, &mut [2.0, 2.0, 2.0]), None);
        assert_eq!(score(8.0, &mut []), None);
    }
}

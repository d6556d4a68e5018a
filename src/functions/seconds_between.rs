//! `seconds_between(start, end)`: the exact length of time from one instant to another, in seconds.
//!
//! The result is end − start, with its fraction, as the nearest double: negative where the end comes first, and null
//! where either is null. A date is its first instant, and an instant without a zone is of UTC, as everywhere in SQL here.
//! DataFusion's `extract(epoch from end - start)` cuts off the fraction of all that is longer than a second.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, PrimitiveArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::type_name;
use crate::project::timestamp;

const SECOND: i64 = 1_000_000_000;

/// Returns the function.
pub(super) fn seconds_between() -> ScalarUDF {
    ScalarUDF::from(SecondsBetween { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SecondsBetween {
    signature: Signature,
}

impl ScalarUDFImpl for SecondsBetween {
    fn name(&self) -> &'static str {
        "seconds_between"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [start, end] = given else {
            return plan_err!(
                "`seconds_between` takes a start and an end, for example seconds_between(created_at, solved_at)"
            );
        };
        Ok(vec![instant_type(start, "start")?, instant_type(end, "end")?])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn evaluate_bounds(&self, _: &[&Interval]) -> Result<Interval> {
        // Without a type, as by default, a function around this one cannot be sorted by.
        Interval::make_unbounded(&DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [start, end] = args.args.as_slice() else {
            return exec_err!("`seconds_between` takes two arguments");
        };
        let all_scalar = matches!((start, end), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if all_scalar { 1 } else { args.number_rows };
        let (start, end) = (Instants::of(&start.to_array(rows)?)?, Instants::of(&end.to_array(rows)?)?);
        let seconds: Float64Array =
            (0..rows).map(|row| Some(seconds(end.nanoseconds(row)? - start.nanoseconds(row)?))).collect();
        let seconds: ArrayRef = Arc::new(seconds);
        if all_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&seconds, 0)?));
        }
        Ok(ColumnarValue::Array(seconds))
    }
}

fn instant_type(given: &DataType, which: &str) -> Result<DataType> {
    match given {
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => Ok(given.clone()),
        DataType::Null => Ok(timestamp()),
        _ => plan_err!("`seconds_between` takes timestamps or dates, and its {which} is a {}", type_name(given)),
    }
}

/// Instants as counts of a unit since 1970-01-01T00:00Z.
struct Instants {
    counts: PrimitiveArray<TimestampNanosecondType>,
    /// How long the unit is, in nanoseconds.
    unit: i64,
}

impl Instants {
    fn of(array: &ArrayRef) -> Result<Self> {
        let (counts, unit) = match array.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => (counts::<TimestampSecondType>(array), SECOND),
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                (counts::<TimestampMillisecondType>(array), SECOND / 1_000)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                (counts::<TimestampMicrosecondType>(array), SECOND / 1_000_000)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => (counts::<TimestampNanosecondType>(array), 1),
            DataType::Date32 => (counts::<Date32Type>(array), 86_400 * SECOND),
            DataType::Date64 => (counts::<Date64Type>(array), SECOND / 1_000),
            DataType::Null => (counts::<TimestampMicrosecondType>(&cast(array, &timestamp())?), 1),
            other => return exec_err!("`seconds_between` takes timestamps or dates, not {other}"),
        };
        Ok(Self { counts, unit })
    }

    fn nanoseconds(&self, row: usize) -> Option<i128> {
        self.counts.is_valid(row).then(|| i128::from(self.counts.value(row)) * i128::from(self.unit))
    }
}

fn counts<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &ArrayRef) -> PrimitiveArray<TimestampNanosecondType> {
    array.as_primitive::<T>().unary(Into::into)
}

/// Returns a length of time in seconds: the double next to it.
#[expect(clippy::cast_precision_loss, reason = "what is beyond 2^53 is rounded")]
fn seconds(nanoseconds: i128) -> f64 {
    const SECOND_128: i128 = SECOND as i128;
    /// Whole numbers up to here are doubles, and dividing two doubles rounds once.
    const EXACT: u128 = 1 << 53;
    const MICROSECONDS: i128 = 1_000;
    if nanoseconds.unsigned_abs() <= EXACT {
        nanoseconds as f64 / 1e9
    } else if nanoseconds % MICROSECONDS == 0 && (nanoseconds / MICROSECONDS).unsigned_abs() <= EXACT {
        (nanoseconds / MICROSECONDS) as f64 / 1e6
    } else {
        (nanoseconds / SECOND_128) as f64 + (nanoseconds % SECOND_128) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        Date32Array, Date64Array, NullArray, TimestampMicrosecondArray, TimestampMillisecondArray,
        TimestampNanosecondArray, TimestampSecondArray,
    };
    use datafusion::arrow::datatypes::{Field, Float64Type};
    use datafusion::common::config::ConfigOptions;

    use super::*;

    /// Calls the function as the engine does.
    fn call(start: ColumnarValue, end: ColumnarValue, rows: usize) -> ColumnarValue {
        let field = |value: &ColumnarValue| Arc::new(Field::new("a", value.data_type(), true));
        let args = ScalarFunctionArgs {
            arg_fields: vec![field(&start), field(&end)],
            args: vec![start, end],
            number_rows: rows,
            return_field: Arc::new(Field::new("r", DataType::Float64, true)),
            config_options: Arc::new(ConfigOptions::default()),
        };
        seconds_between().invoke_with_args(args).unwrap()
    }

    #[track_caller]
    fn check(start: impl Array + 'static, end: impl Array + 'static, expected: &[Option<f64>]) {
        let rows = start.len();
        let array = |array: ArrayRef| ColumnarValue::Array(array);
        let found = call(array(Arc::new(start)), array(Arc::new(end)), rows).into_array(rows).unwrap();
        assert_eq!(found.as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn fractions_stay_however_long_the_time() {
        check(
            TimestampMicrosecondArray::from(vec![0, 0, 0, 12_842_000, -1, 1]).with_timezone("UTC"),
            TimestampMicrosecondArray::from(vec![12_842_000, 842_000, 86_400_000_001, 0, 1, i64::MAX]),
            &[
                Some(12.842),
                Some(0.842),
                Some(86_400.000_001),
                Some(-12.842),
                Some(0.000_002),
                Some(9_223_372_036_854.775),
            ],
        );
        check(
            TimestampNanosecondArray::from(vec![0, 0, -7]),
            TimestampNanosecondArray::from(vec![1, 1_000_000_001, i64::MAX - 7]),
            &[Some(1e-9), Some(1.000_000_001), Some(9_223_372_036.854_776)],
        );
    }

    #[test]
    fn units_zones_and_dates_mix() {
        check(
            TimestampSecondArray::from(vec![Some(60), None, Some(i64::MIN)]),
            TimestampMillisecondArray::from(vec![Some(60_001), Some(1), Some(0)]).with_timezone("+08:00"),
            &[Some(0.001), None, Some(9_223_372_036_854_775_808.0)],
        );
        check(
            Date32Array::from(vec![0, 1]),
            Date64Array::from(vec![86_400_000, 0]),
            &[Some(86_400.0), Some(-86_400.0)],
        );
        check(Date32Array::from(vec![1]), TimestampNanosecondArray::from(vec![86_400_500_000_000]), &[Some(0.5)]);
        check(NullArray::new(1), Date32Array::from(vec![1]), &[None]);
    }

    #[test]
    fn single_values_give_a_single_value() {
        let day = |days| ColumnarValue::Scalar(ScalarValue::Date32(Some(days)));
        let ColumnarValue::Scalar(found) = call(day(0), day(2), 7) else { panic!("an array") };
        assert_eq!(found, ScalarValue::Float64(Some(172_800.0)));
        let nothing = ColumnarValue::Scalar(ScalarValue::Null);
        let ColumnarValue::Scalar(found) = call(day(0), nothing, 7) else { panic!("an array") };
        assert_eq!(found, ScalarValue::Float64(None));
    }

    #[test]
    fn other_types_are_told_at_binding() {
        let told = |types: &[DataType]| seconds_between().coerce_types(types).unwrap_err().strip_backtrace();
        assert!(told(&[DataType::Utf8, DataType::Date32]).contains("its start is a string"));
        assert!(told(&[DataType::Date32]).contains("takes a start and an end"));
    }
}

//! `ema(value, n) over (…)`: the exponential moving average of `n` periods.
//!
//! With α = 2 / (n + 1): the first value as it is, then α·value + (1 − α)·previous. Null until `n` values have been
//! seen; a null value leaves the average as it was and counts for nothing. The window's ORDER BY must be total.
//! Source: the usual definition, as in pandas `ewm(span=n, adjust=False, min_periods=n, ignore_na=True).mean()`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{LimitEffect, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};
use datafusion::physical_plan::PhysicalExpr;

/// Returns the function.
pub(super) fn ema() -> WindowUDF {
    let arguments = vec![DataType::Float64, DataType::Int64];
    WindowUDF::from(Ema { signature: Signature::exact(arguments, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Ema {
    signature: Signature,
}

impl WindowUDFImpl for Ema {
    fn name(&self) -> &'static str {
        "ema"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Evaluator))
    }

    fn field(&self, arguments: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Field::new(arguments.name(), DataType::Float64, true).into())
    }

    fn limit_effect(&self, _: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::Unknown
    }
}

#[derive(Debug)]
struct Evaluator;

impl PartitionEvaluator for Evaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let periods = values[1].as_primitive::<Int64Type>();
        if rows > 0 && (periods.is_null(0) || periods.value(0) < 1) {
            return exec_err!("`ema` takes a number of periods of 1 or more second");
        }
        let periods = if rows > 0 { periods.value(0) } else { 1 };
        Ok(Arc::new(averages(values[0].as_primitive::<Float64Type>(), periods)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number of periods is small")]
fn averages(values: &Float64Array, periods: i64) -> Float64Array {
    let alpha = 2.0 / (periods as f64 + 1.0);
    let mut average: Option<f64> = None;
    let mut seen = 0;
    let next = |value: Option<f64>| {
        if let Some(value) = value {
            seen += 1;
            average = Some(average.map_or(value, |before| alpha * value + (1.0 - alpha) * before));
        }
        average.filter(|_| seen >= periods)
    };
    values.iter().map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_of_three_starts_with_the_third_value() {
        let values = Float64Array::from(vec![Some(2.0), Some(4.0), None, Some(8.0)]);
        // alpha = 0.5: 2, 3, (null keeps 3), 5.5
        assert_eq!(averages(&values, 3), Float64Array::from(vec![None, None, None, Some(5.5)]));
    }
}

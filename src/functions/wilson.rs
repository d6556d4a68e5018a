//! `wilson_lower(positive, n)`: the lower bound of the Wilson score interval at 95 %.
//!
//! With p = positive / n and z = 1.959964:
//! (p + z²/2n − z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n). Null when `n` is null or not positive, or `positive` is null.
//! Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// The 97.5th percentile of the standard normal distribution.
const Z: f64 = 1.959_964;

/// Returns the function.
pub(super) fn wilson_lower() -> ScalarUDF {
    let both = vec![DataType::Float64, DataType::Float64];
    ScalarUDF::from(WilsonLower { signature: Signature::exact(both, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WilsonLower {
    signature: Signature,
}

impl ScalarUDFImpl for WilsonLower {
    fn name(&self) -> &'static str {
        "wilson_lower"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let (positive, n) = (arrays[0].as_primitive::<Float64Type>(), arrays[1].as_primitive::<Float64Type>());
        let bounds: Float64Array = positive.iter().zip(n).map(|(positive, n)| lower_bound(positive?, n?)).collect();
        let bounds: ArrayRef = Arc::new(bounds);
        if all_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&bounds, 0)?));
        }
        Ok(ColumnarValue::Array(bounds))
    }
}

fn lower_bound(positive: f64, n: f64) -> Option<f64> {
    if n <= 0.0 {
        return None;
    }
    let p = positive / n;
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some((p + Z * Z / (2.0 * n) - spread) / (1.0 + Z * Z / n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_that_of_the_formula() {
        // Worked by hand for 8 of 10: centre 0.8 + 0.19207 = 0.99207, spread 0.30911, divisor 1.38415.
        let bound = lower_bound(8.0, 10.0).unwrap();
        assert!((bound - 0.490_16).abs() < 1e-4, "{bound}");
        assert!(lower_bound(0.0, 5.0).unwrap().abs() < 1e-12);
        assert_eq!(lower_bound(0.0, 0.0), None);
    }
}

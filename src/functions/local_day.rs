//! `local_day(instant, zone)`: the calendar day of an instant in a time zone.
//!
//! Which day that is says [`LocalDays`]; the zone is an IANA name. A date is its own day in every zone.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Date32Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::type_name;
use crate::local_days::LocalDays;
use crate::project::timestamp;

/// Returns the function.
pub(super) fn local_day() -> ScalarUDF {
    ScalarUDF::from(LocalDay { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LocalDay {
    signature: Signature,
}

impl ScalarUDFImpl for LocalDay {
    fn name(&self) -> &'static str {
        "local_day"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [instant, zone] = given else {
            return plan_err!(
                "`local_day` takes an instant and a zone, for example local_day(created_at, 'Asia/Shanghai')"
            );
        };
        if !matches!(instant, DataType::Timestamp(_, _) | DataType::Date32 | DataType::Null) {
            return plan_err!("`local_day` takes a timestamp first, not a {}", type_name(instant));
        }
        if !matches!(zone, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8) {
            return plan_err!("`local_day` takes the name of a zone second, not a {}", type_name(zone));
        }
        let instant = if *instant == DataType::Date32 { DataType::Date32 } else { timestamp() };
        Ok(vec![instant, DataType::Utf8])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [instants, zones] = args.args.as_slice() else {
            return exec_err!("`local_day` takes two arguments");
        };
        if instants.data_type() == DataType::Date32 {
            return Ok(instants.clone());
        }
        let all_scalar = matches!((instants, zones), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if all_scalar { 1 } else { args.number_rows };
        let instants = cast(&instants.to_array(rows)?, &timestamp())?;
        let instants = instants.as_primitive::<TimestampMicrosecondType>();
        let days: Date32Array = match zones {
            ColumnarValue::Scalar(zone) => match zone_name(zone)? {
                None => Date32Array::new_null(rows),
                Some(name) => {
                    let mut clock = LocalDays::new(parse_zone(&name)?);
                    instants.iter().map(|micros| clock.of(micros?)).collect()
                }
            },
            ColumnarValue::Array(zones) => {
                let zones = cast(zones, &DataType::Utf8)?;
                let zones: &StringArray = zones.as_string::<i32>();
                let mut clock: Option<(String, LocalDays)> = None;
                let mut days = Vec::with_capacity(rows);
                for row in 0..rows {
                    if instants.is_null(row) || zones.is_null(row) {
                        days.push(None);
                        continue;
                    }
                    let name = zones.value(row);
                    if clock.as_ref().is_none_or(|(known, _)| known != name) {
                        clock = Some((name.to_owned(), LocalDays::new(parse_zone(name)?)));
                    }
                    days.push(clock.as_mut().and_then(|(_, clock)| clock.of(instants.value(row))));
                }
                days.into()
            }
        };
        let days: ArrayRef = Arc::new(days);
        if all_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&days, 0)?));
        }
        Ok(ColumnarValue::Array(days))
    }
}

fn zone_name(zone: &ScalarValue) -> Result<Option<String>> {
    match zone {
        ScalarValue::Utf8(name) | ScalarValue::Utf8View(name) | ScalarValue::LargeUtf8(name) => Ok(name.clone()),
        ScalarValue::Null => Ok(None),
        other => exec_err!("`local_day` takes the name of a zone second, not {other}"),
    }
}

fn parse_zone(name: &str) -> Result<Tz> {
    name.parse::<Tz>().or_else(|_| exec_err!("`{name}` is not the name of a time zone, such as `Asia/Shanghai`"))
}

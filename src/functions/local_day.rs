//! `local_day(instant, zone)`: the calendar day of an instant in a time zone.
//!
//! Days begin at local midnight, or at the first instant after it where clocks were set forward over midnight. The
//! zone is an IANA name; rules are those of the tz database in `chrono-tz`.

use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate};
use chrono_tz::Tz;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Date32Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::project::timestamp;

/// Days from the first day of the common era to 1970-01-01, the origin of `Date32`.
const EPOCH_FROM_CE: i32 = 719_163;

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
        if !matches!(instant, DataType::Timestamp(_, _) | DataType::Null) {
            return plan_err!("`local_day` takes a timestamp first, not {instant}");
        }
        if !matches!(zone, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8) {
            return plan_err!("`local_day` takes the name of a zone second, not {zone}");
        }
        Ok(vec![timestamp(), DataType::Utf8])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [instants, zones] = args.args.as_slice() else {
            return exec_err!("`local_day` takes two arguments");
        };
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

/// Looks days up in one zone, remembering the last day's bounds because neighbours in a column often share it.
#[derive(Debug)]
pub struct LocalDays {
    zone: Tz,
    known: Option<(std::ops::Range<i64>, i32)>,
}

impl LocalDays {
    /// Prepares for a zone.
    #[must_use]
    pub fn new(zone: Tz) -> Self {
        Self { zone, known: None }
    }

    /// Returns the local day of an instant, in days since 1970-01-01; nothing for instants beyond the calendar.
    pub fn of(&mut self, micros: i64) -> Option<i32> {
        const HOUR: i64 = 3_600_000_000;
        if let Some((hour, day)) = &self.known
            && hour.contains(&micros)
        {
            return Some(*day);
        }
        let local = DateTime::from_timestamp_micros(micros)?.with_timezone(&self.zone);
        let day = local.date_naive().num_days_from_ce() - EPOCH_FROM_CE;
        // Offsets change on quarter hours at the finest, so a quarter of an hour lies within one local day.
        let start = micros.div_euclid(HOUR / 4) * (HOUR / 4);
        self.known =
            (local.date_naive() >= NaiveDate::from_ymd_opt(1972, 1, 1)?).then_some((start..start + HOUR / 4, day));
        Some(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(instant: &str, zone: &str) -> String {
        let micros = instant.parse::<DateTime<chrono::Utc>>().unwrap().timestamp_micros();
        let days = LocalDays::new(zone.parse().unwrap()).of(micros).unwrap();
        NaiveDate::from_num_days_from_ce_opt(days + EPOCH_FROM_CE).unwrap().to_string()
    }

    #[test]
    fn a_day_begins_at_local_midnight() {
        assert_eq!(day("2024-03-13T15:59:59.999999Z", "Asia/Shanghai"), "2024-03-13");
        assert_eq!(day("2024-03-13T16:00:00Z", "Asia/Shanghai"), "2024-03-14");
        assert_eq!(day("1969-12-31T23:00:00Z", "UTC"), "1969-12-31");
    }

    #[test]
    fn a_day_that_a_country_skipped_does_not_exist() {
        // Samoa crossed the date line at the end of 2011-12-29: the 30th never was.
        assert_eq!(day("2011-12-30T09:59:59Z", "Pacific/Apia"), "2011-12-29");
        assert_eq!(day("2011-12-30T10:00:00Z", "Pacific/Apia"), "2011-12-31");
    }

    #[test]
    fn remembering_the_last_quarter_of_an_hour_changes_nothing() {
        let zone: Tz = "Australia/Lord_Howe".parse().unwrap();
        let mut clock = LocalDays::new(zone);
        let start = "2024-04-05T00:00:00Z".parse::<DateTime<chrono::Utc>>().unwrap().timestamp_micros();
        for minute in 0..4 * 24 * 60 {
            let micros = start + minute * 60_000_000;
            assert_eq!(clock.of(micros), LocalDays::new(zone).of(micros));
        }
    }
}

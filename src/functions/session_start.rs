//! `session_start(occurred_at, gap_seconds, max_seconds) over (partition by … order by occurred_at, …)`: when the session
//! of an event began.
//!
//! A session begins with the first event, with an event after a silence of more than `gap_seconds`, and with an event
//! that comes more than `max_seconds` after the beginning of the session before it. So every event is in exactly one
//! session, no session is longer than `max_seconds`, and none has a longer silence than `gap_seconds`. An event without
//! a time has no session.
//! Source: sessions as in Google Analytics 4, with a limit to their length as in Snowplow's; where Snowplow drops what
//! comes after the limit, it begins the next session here.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{LimitEffect, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};
use datafusion::physical_plan::PhysicalExpr;

use super::type_name;
use crate::project::timestamp;

const MICROS: i64 = 1_000_000;

/// Returns the function.
pub(super) fn session_start() -> WindowUDF {
    WindowUDF::from(SessionStart { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SessionStart {
    signature: Signature,
}

impl WindowUDFImpl for SessionStart {
    fn name(&self) -> &'static str {
        "session_start"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [instant, gap, longest] = given else {
            return plan_err!(
                "`session_start` takes an instant and two numbers of seconds, for example session_start(occurred_at, \
                 1800, 86400)"
            );
        };
        if !matches!(instant, DataType::Timestamp(_, _) | DataType::Null) {
            return plan_err!("`session_start` takes a timestamp first, not a {}", type_name(instant));
        }
        if let Some(other) = [gap, longest].into_iter().find(|kind| !kind.is_integer()) {
            return plan_err!("`session_start` takes whole seconds second and third, not a {}", type_name(other));
        }
        Ok(vec![timestamp(), DataType::Int64, DataType::Int64])
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Evaluator))
    }

    fn field(&self, arguments: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Field::new(arguments.name(), timestamp(), true).into())
    }

    fn limit_effect(&self, _: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::Unknown
    }
}

#[derive(Debug)]
struct Evaluator;

impl PartitionEvaluator for Evaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let instants = cast(&values[0], &timestamp())?;
        let seconds = |at: usize| -> Result<i64> {
            let given = values[at].as_primitive::<Int64Type>();
            match (rows > 0 && given.is_valid(0)).then(|| given.value(0)) {
                Some(seconds) if seconds >= 0 => Ok(seconds.saturating_mul(MICROS)),
                None if rows == 0 => Ok(0),
                _ => exec_err!("`session_start` takes numbers of seconds of 0 or more"),
            }
        };
        let starts = starts(instants.as_primitive::<TimestampMicrosecondType>(), seconds(1)?, seconds(2)?);
        if let Some(starts) = starts {
            Ok(Arc::new(starts.with_timezone("UTC")))
        } else {
            exec_err!("`session_start` takes events in the order of their time: put it first in `order by`")
        }
    }
}

/// Returns when the session of each instant began, or `None` if the instants are not in order.
fn starts(instants: &TimestampMicrosecondArray, gap: i64, longest: i64) -> Option<TimestampMicrosecondArray> {
    let mut starts = TimestampMicrosecondArray::builder(instants.len());
    let mut session: Option<(i64, i64)> = None;
    for instant in instants {
        let Some(instant) = instant else {
            starts.append_null();
            continue;
        };
        let start = match session {
            Some((_, before)) if instant < before => return None,
            Some((start, before))
                if instant.saturating_sub(before) <= gap && instant.saturating_sub(start) <= longest =>
            {
                start
            }
            _ => instant,
        };
        session = Some((start, instant));
        starts.append_value(start);
    }
    Some(starts.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seconds: &[i64], gap: i64, longest: i64) -> Vec<i64> {
        let instants: TimestampMicrosecondArray = seconds.iter().map(|second| Some(second * MICROS)).collect();
        let starts = starts(&instants, gap * MICROS, longest * MICROS).unwrap();
        starts.iter().flatten().map(|start| start / MICROS).collect()
    }

    #[test]
    fn a_silence_or_the_longest_session_begins_the_next_one() {
        // Both limits belong to the session: 10 after 0, 25 after 0. The session that begins at 26 lasts until 51.
        assert_eq!(of(&[0, 10, 20, 25, 26, 36, 46, 51, 52, 63], 10, 25), [0, 0, 0, 0, 26, 26, 26, 26, 52, 63]);
    }

    #[test]
    fn an_event_without_a_time_has_no_session_and_ends_none() {
        let instants = TimestampMicrosecondArray::from(vec![Some(0), None, Some(5)]);
        assert_eq!(starts(&instants, 10, 10), Some(TimestampMicrosecondArray::from(vec![Some(0), None, Some(0)])));
    }

    #[test]
    fn events_must_come_in_the_order_of_their_time() {
        assert_eq!(starts(&TimestampMicrosecondArray::from(vec![Some(5), Some(4)]), 10, 10), None);
    }
}

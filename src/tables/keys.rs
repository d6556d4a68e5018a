//! The partitions of rows, said in the terms of a query.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::Days;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility, cast, lit,
};

use crate::partition::{PartitionKey, Partitioner, day_of};
use crate::project::PartitionBy;

/// Returns the condition that the value in `column`, of type `kind`, leads to one of `keys`.
///
/// # Errors
/// When a key is no day of the calendar.
pub fn are_among(by: &PartitionBy, column: &Expr, kind: &DataType, keys: &BTreeSet<PartitionKey>) -> Result<Expr> {
    let mut wanted = lit(false);
    if keys.contains(&None) {
        wanted = wanted.or(column.clone().is_null());
    }
    let is_plain_day = matches!((by, kind), (PartitionBy::Day { .. }, DataType::Date32));
    let key = if is_plain_day {
        cast(column.clone(), DataType::Date32)
    } else {
        ScalarUDF::from(KeyOf::new(by, kind, Volatility::Immutable)).call(vec![cast(column.clone(), kind.clone())])
    };
    for (first, last) in runs(keys) {
        let value = |key: i32| {
            if is_plain_day { ScalarValue::Date32(Some(key)) } else { ScalarValue::Int32(Some(key)) }
        };
        let mut among = key.clone().gt_eq(lit(value(first))).and(key.clone().lt_eq(lit(value(last))));
        if let (PartitionBy::Day { .. }, false) = (by, is_plain_day) {
            // Wide enough for every zone, and what a file's statistics can tell of.
            among = column.clone().gt_eq(instant(first, -1)?).and(column.clone().lt(instant(last, 2)?)).and(among);
        }
        wanted = wanted.or(among);
    }
    Ok(wanted)
}

/// Returns what to order rows by, so that those of a partition stand together.
///
/// The function is said to be volatile so that nothing is concluded of it: where the column is the same in all rows of an
/// input, the engine leaves the sort out, and forgets on the way up why it might.
pub fn in_order(by: &PartitionBy, column: &Expr, kind: &DataType) -> Sort {
    let key = ScalarUDF::from(KeyOf::new(by, kind, Volatility::Volatile));
    key.call(vec![cast(column.clone(), kind.clone())]).sort(true, true)
}

/// Returns the keys but that of nulls, those that follow one another together.
fn runs(keys: &BTreeSet<PartitionKey>) -> Vec<(i32, i32)> {
    let mut runs: Vec<(i32, i32)> = Vec::new();
    for key in keys.iter().flatten() {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*key) => *last = *key,
            _ => runs.push((*key, *key)),
        }
    }
    runs
}

/// Returns the first instant, in UTC, of the day `more` days after another.
fn instant(day: i32, more: i64) -> Result<Expr> {
    let shift = Days::new(more.unsigned_abs());
    let moved =
        day_of(day).and_then(|day| if more < 0 { day.checked_sub_days(shift) } else { day.checked_add_days(shift) });
    let Some(moved) = moved else {
        return Err(DataFusionError::Execution(format!("the day {day} is beyond the calendar")));
    };
    let micros = moved.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros();
    Ok(lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))))
}

/// Tells the partition that a value leads to.
#[derive(Debug, PartialEq, Eq, Hash)]
struct KeyOf {
    by: PartitionBy,
    signature: Signature,
}

impl KeyOf {
    fn new(by: &PartitionBy, kind: &DataType, volatility: Volatility) -> Self {
        let signature = Signature::new(TypeSignature::Exact(vec![kind.clone()]), volatility);
        Self { by: by.clone(), signature }
    }
}

impl ScalarUDFImpl for KeyOf {
    fn name(&self) -> &'static str {
        "partition_key"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [values] = args.args.as_slice() else { return exec_err!("`partition_key` takes one argument") };
        let values = values.to_array(args.number_rows)?;
        let schema = Schema::new(vec![Field::new(self.by.column(), values.data_type().clone(), true)]);
        let Some(mut partitioner) = Partitioner::new(&self.by, &schema) else {
            return exec_err!("rows are not told apart by a {}", values.data_type());
        };
        Ok(ColumnarValue::Array(Arc::new(partitioner.keys_of(&values)?)))
    }
}

//! Which rows are the same ones, though they were made at another time.
//!
//! Floats are compared as if they had half of their digits, because the last ones of a sum depend on how its rows were
//! split. Lists and structures are not compared.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::prelude::lit;

use crate::plan::Table;

/// So many values of a column are listed; of more, the least and the greatest are told.
const LISTED: usize = 200;

/// Returns a condition that all of some rows of a table fulfil: the values that their columns have.
pub(super) fn necessary(rows: &RecordBatch, table: &Table) -> Expr {
    let mut all = Vec::new();
    for (field, values) in table.schema.fields().iter().zip(rows.columns()) {
        let kind = values.data_type();
        let is_exact = kind.is_integer()
            || kind.is_temporal()
            || matches!(kind, DataType::Utf8 | DataType::Boolean | DataType::Decimal128(..));
        if !is_exact {
            continue;
        }
        all.extend(among_values(&Expr::Column(Column::from_name(field.name())), values));
    }
    conjunction(all).unwrap_or_else(|| lit(rows.num_rows() > 0))
}

/// Returns the condition that a column has one of some values, or none where that is not known.
fn among_values(column: &Expr, values: &ArrayRef) -> Option<Expr> {
    let mut found: Vec<ScalarValue> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for row in 0..values.len() {
        let value = ScalarValue::try_from_array(values, row).ok()?;
        if !value.is_null() && known.insert(value.clone()) {
            found.push(value);
        }
    }
    found.sort_by(|one, other| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal));
    let is_one = match (found.first().cloned(), found.last().cloned()) {
        (Some(first), Some(last)) if found.len() > LISTED => column.clone().between(lit(first), lit(last)),
        (Some(first), Some(_)) if found.len() == 1 => column.clone().eq(lit(first)),
        (Some(_), Some(_)) => column.clone().in_list(found.into_iter().map(lit).collect(), false),
        _ => return Some(column.clone().is_null()),
    };
    Some(if values.null_count() > 0 { is_one.or(column.clone().is_null()) } else { is_one })
}

/// Returns which rows of the result of the query of a table are among some stored rows of it; nothing if one of these is
/// not in the result.
pub(super) fn among(result: &RecordBatch, stored: &RecordBatch, table: &Table) -> Result<Option<Vec<bool>>> {
    let columns = stored.columns().get(..table.schema.fields().len()).unwrap_or_default();
    let as_stored = |(made, stored): (&ArrayRef, &ArrayRef)| Ok(cast(made, stored.data_type())?);
    let made = result.columns().iter().zip(columns).map(as_stored).collect::<Result<Vec<_>>>()?;
    let Some((stored, made)) = keys(columns, &made)? else { return Ok(Some(vec![true; result.num_rows()])) };
    let mut wanted: HashMap<OwnedRow, bool> = stored.into_iter().map(|key| (key, false)).collect();
    let mut is_wanted = Vec::with_capacity(made.len());
    for key in made {
        let found = wanted.get_mut(&key);
        is_wanted.push(found.is_some());
        found.into_iter().for_each(|found| *found = true);
    }
    Ok(wanted.values().all(|found| *found).then_some(is_wanted))
}

/// Returns whether the wanted rows of a result are all in another one.
pub(super) fn are_among(result: &RecordBatch, is_wanted: &[bool], other: &RecordBatch) -> Result<bool> {
    let Some((rows, others)) = keys(result.columns(), other.columns())? else {
        return Ok(other.num_rows() >= is_wanted.iter().filter(|is_wanted| **is_wanted).count());
    };
    let mut left: HashMap<OwnedRow, usize> = HashMap::new();
    others.into_iter().for_each(|key| *left.entry(key).or_default() += 1);
    let mut wanted = rows.into_iter().zip(is_wanted).filter(|(_, is_wanted)| **is_wanted);
    Ok(wanted
        .all(|(key, _)| left.get_mut(&key).is_some_and(|left| left.checked_sub(1).map(|less| *left = less).is_some())))
}

/// Returns what rows are compared by; nothing if there is no such column.
fn keys(one: &[ArrayRef], other: &[ArrayRef]) -> Result<Option<(Vec<OwnedRow>, Vec<OwnedRow>)>> {
    let (mut these, mut those) = (Vec::new(), Vec::new());
    for (one, other) in one.iter().zip(other).filter(|(one, _)| !one.data_type().is_nested()) {
        let kind = if one.data_type().is_floating() { DataType::Float32 } else { one.data_type().clone() };
        these.push(cast(one, &kind)?);
        those.push(cast(other, &kind)?);
    }
    if these.is_empty() {
        return Ok(None);
    }
    let converter = RowConverter::new(these.iter().map(|column| SortField::new(column.data_type().clone())).collect())?;
    let all = |columns: &[ArrayRef]| {
        let rows = converter.convert_columns(columns)?;
        Ok::<Vec<OwnedRow>, datafusion::common::DataFusionError>(rows.iter().map(|row| row.owned()).collect())
    };
    Ok(Some((all(&these)?, all(&those)?)))
}

//! Rows of a table as JSON that a page can show.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Days, NaiveDate};
use serde::Serialize;
use serde_json::Value;

use super::CHARACTERS;
use crate::store::{ColumnState, TableState};

/// The largest whole number that JavaScript holds exactly.
const LARGEST_EXACT: u64 = (1 << 53) - 1;

/// Some rows of a table.
#[derive(Debug, Serialize)]
pub struct Grid {
    /// The published table.
    pub table: String,
    /// What its columns are called.
    pub columns: Vec<Column>,
    /// Its rows, a value for each column.
    pub rows: Vec<Vec<Value>>,
    /// Whether there are more rows than these.
    pub is_cut: bool,
}

/// A column and its words.
#[derive(Debug, Clone, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as a contract writes it.
    pub kind: String,
    /// What it counts or measures.
    pub unit: Option<String>,
    /// Its label in English.
    pub en: Option<String>,
    /// Its label in Chinese.
    pub zh: Option<String>,
    /// What it means.
    pub description: Option<String>,
}

impl Column {
    /// Returns the column called `name` with the words that the published table has for it.
    pub(super) fn of(state: &TableState, name: &str) -> Self {
        let words = state.columns.iter().find(|column| column.name == name);
        let word = |get: fn(&ColumnState) -> &Option<String>| words.and_then(|column| get(column).clone());
        Self {
            name: name.to_owned(),
            kind: words.map_or_else(String::new, |column| column.kind.to_string()),
            unit: word(|column| &column.unit),
            en: word(|column| &column.en),
            zh: word(|column| &column.zh),
            description: word(|column| &column.description),
        }
    }
}

/// Returns the rows of batches as JSON values.
pub(super) fn rows(batches: &[RecordBatch]) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            rows.push(batch.columns().iter().map(|column| value(column.as_ref(), row)).collect());
        }
    }
    rows
}

/// Returns one value: numbers as numbers where JavaScript holds them exactly, days and instants as ISO 8601 text.
pub(super) fn value(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Int64 => whole(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => number(column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, _) => {
            let text = column.as_primitive::<Decimal128Type>().value_as_string(row);
            text.parse().map_or(Value::String(text), number)
        }
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Date32 => day(column.as_primitive::<Date32Type>().value(row)).into(),
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            DateTime::from_timestamp_micros(micros)
                .map_or(Value::Null, |instant| instant.format("%Y-%m-%dT%H:%MZ").to_string().into())
        }
        DataType::Utf8 => cut(column.as_string::<i32>().value(row)).into(),
        // Whatever else a query may give back is shown as the engine writes it.
        _ => ArrayFormatter::try_new(column, &FormatOptions::default())
            .map_or(Value::Null, |formatter| cut(&formatter.value(row).to_string()).into()),
    }
}

fn whole(value: i64) -> Value {
    if value.unsigned_abs() > LARGEST_EXACT { value.to_string().into() } else { value.into() }
}

fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn day(days: i32) -> String {
    let epoch = NaiveDate::default();
    let distance = Days::new(u64::from(days.unsigned_abs()));
    let day = if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) };
    day.map_or_else(|| days.to_string(), |day| day.to_string())
}

/// Returns the beginning of a text that is too long for a page.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray};
    use serde_json::json;

    use super::*;

    #[test]
    fn values_keep_what_they_say() {
        let decimal = Decimal128Array::from(vec![12_345]).with_precision_and_scale(10, 2).unwrap();
        let columns: Vec<(ArrayRef, Value)> = vec![
            (Arc::new(Int64Array::from(vec![7])), json!(7)),
            // 2^53 + 1 would come out as 2^53 in a browser.
            (Arc::new(Int64Array::from(vec![9_007_199_254_740_993])), json!("9007199254740993")),
            (Arc::new(Float64Array::from(vec![0.25])), json!(0.25)),
            (Arc::new(decimal), json!(123.45)),
            (Arc::new(Date32Array::from(vec![19_783])), json!("2024-03-01")),
            (Arc::new(Date32Array::from(vec![-1])), json!("1969-12-31")),
            (Arc::new(StringArray::from(vec![Some("<b>")])), json!("<b>")),
            (Arc::new(StringArray::from(vec![None::<&str>])), json!(null)),
        ];
        for (column, expected) in columns {
            assert_eq!(value(column.as_ref(), 0), expected);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "漢".repeat(CHARACTERS + 5);
        assert_eq!(cut(&text).chars().count(), CHARACTERS + 1);
        assert_eq!(cut("short"), "short");
    }
}

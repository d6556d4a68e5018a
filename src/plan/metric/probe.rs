//! Binds every expression of a declaration on its own, so that a mistake is told where it is written and not in the SQL
//! that is made of it.

use std::ops::Range;

use datafusion::arrow::datatypes::{DataType, Schema};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place, SourceFile, did_you_mean};
use crate::plan::check::Scope;
use crate::project::{ColumnType, Formula, Located, Metric, MetricTime};

/// Reports what is wrong with the columns and expressions of metrics over the table that they are counted from.
pub(in crate::plan) fn probe(metrics: &[&Metric], scope: &Scope<'_>, schema: &Schema, mistakes: &mut Diagnostics) {
    let mut aggregates: Vec<&Located> = metrics.iter().flat_map(|metric| aggregates_of(metric)).collect();
    let mut conditions: Vec<&Located> = metrics.iter().flat_map(|metric| conditions_of(metric)).collect();
    // Many metrics say the same.
    for words in [&mut aggregates, &mut conditions] {
        words.sort_by(|one, other| one.text.cmp(&other.text));
        words.dedup_by(|one, other| one.text == other.text);
    }
    let kinds = scope.all_sound(&aggregates, &conditions);
    let are_sound = kinds.is_some_and(|kinds| kinds.iter().take(aggregates.len()).all(is_number));
    for metric in metrics {
        probe_columns(metric, schema, mistakes);
        if !are_sound {
            let scope = Scope { file: &metric.file, ..*scope };
            probe_expressions(metric, &scope, mistakes);
        }
    }
}

fn is_number(kind: &DataType) -> bool {
    kind.is_numeric() || *kind == DataType::Null
}

fn aggregates_of(metric: &Metric) -> Vec<&Located> {
    let formula = match &metric.formula {
        Formula::Value(value) => vec![value],
        Formula::Ratio { numerator, denominator } => vec![numerator, denominator],
        Formula::Of { .. } => Vec::new(),
    };
    formula.into_iter().chain(&metric.sample).collect()
}

fn conditions_of(metric: &Metric) -> Vec<&Located> {
    let filter = metric.rows.iter().filter_map(|rows| rows.filter.as_ref());
    filter.chain(&metric.open).collect()
}

fn probe_expressions(metric: &Metric, scope: &Scope<'_>, mistakes: &mut Diagnostics) {
    for condition in conditions_of(metric) {
        scope.condition(condition, mistakes);
    }
    for word in aggregates_of(metric) {
        if let Some(bound) = scope.aggregate(word, &[], mistakes)
            && !is_number(&bound.kind)
        {
            let kind =
                ColumnType::from_arrow(&bound.kind).map_or_else(|| bound.kind.to_string(), |kind| kind.to_string());
            let message = format!("this is of type {kind}, and a metric is a number");
            mistakes.push(Diagnostic::new(Code::MetricFormula, metric.file.at(word.bytes.clone()), message));
        }
    }
}

fn probe_columns(metric: &Metric, schema: &Schema, mistakes: &mut Diagnostics) {
    let Some(rows) = &metric.rows else { return };
    let columns = match &rows.time {
        MetricTime::At(column) | MetricTime::Balance(column) | MetricTime::First(column) => vec![column],
        MetricTime::Stock { from, to } => vec![from, to],
    };
    for column in columns {
        let Some(kind) = column_type(metric, column, schema, mistakes) else { continue };
        if !matches!(kind, DataType::Date32 | DataType::Timestamp(..)) {
            let kind = ColumnType::from_arrow(&kind).map_or_else(|| kind.to_string(), |kind| kind.to_string());
            let message = format!("`{}` is of type {kind}, and rows count on a date or a timestamp", column.text);
            mistakes.push(Diagnostic::new(Code::RuleType, metric.file.at(column.bytes.clone()), message));
        }
    }
    for column in rows.by.iter().flat_map(|scope| &scope.columns) {
        column_type(metric, column, schema, mistakes);
    }
}

/// Reports what a table that says from when and until when rows are known lacks.
pub(in crate::plan) fn probe_feed(metric: &Metric, feed: &Located, schema: &Schema, mistakes: &mut Diagnostics) {
    for name in ["first_day", "last_day", "complete_until"] {
        let field = schema.field_with_name(name);
        if field.as_ref().is_ok_and(|field| *field.data_type() == DataType::Date32) {
            continue;
        }
        let message = match field {
            Ok(_) => format!("`{name}` of `{}` is no date", feed.text),
            Err(_) => format!("`{}` has no column `{name}`", feed.text),
        };
        mistakes.push(Diagnostic::new(Code::UnknownColumn, metric.file.at(feed.bytes.clone()), message).help(
            "a feed is a table of one row with the dates `first_day`, `last_day` and `complete_until`, \
                 the first day that is not over yet",
        ));
    }
}

fn column_type(metric: &Metric, word: &Located, schema: &Schema, mistakes: &mut Diagnostics) -> Option<DataType> {
    if let Ok(field) = schema.field_with_name(&word.text) {
        return Some(field.data_type().clone());
    }
    let table = metric.rows.as_ref().map_or("", |rows| rows.from.text.as_str());
    let names = schema.fields().iter().map(|field| field.name().as_str());
    mistakes.push(
        Diagnostic::new(
            Code::UnknownColumn,
            metric.file.at(word.bytes.clone()),
            format!("`{table}` has no column `{}`", word.text),
        )
        .maybe_help(did_you_mean(&word.text, names)),
    );
    None
}

/// Returns the place in a declaration of bytes of one of its texts.
pub(super) fn in_file(file: &SourceFile, word: &Located, bytes: &Range<usize>) -> Place {
    let written = file.text.get(word.bytes.clone()).unwrap_or_default();
    // TOML passes over a line end after `"""`. Where escapes make the two texts differ, the place is the whole.
    let skipped = written.strip_suffix(word.text.as_str()).filter(|before| before.trim().is_empty());
    match skipped {
        Some(skipped) if !bytes.is_empty() => {
            let start = word.bytes.start + skipped.len();
            file.at(start + bytes.start..start + bytes.end)
        }
        _ => file.at(word.bytes.clone()),
    }
}

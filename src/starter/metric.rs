//! A new metric: a table in the file of its area, with what the columns of its table tell.

use arrow::datatypes::{DataType, Schema};
use camino::Utf8PathBuf;

use super::model::{capitalised, toml_text};
use super::name::{check_file_name, unknown_table};
use super::{NewFile, StarterError};
use crate::plan::Workspace;
use crate::project::{Metric, PartitionBy};

/// How many scopes are proposed.
const MOST_SCOPES: usize = 3;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct MetricDraft<'a> {
    /// Its name, `area.key`.
    pub name: &'a str,
    /// The table whose rows it counts; by default that of its area.
    pub from: Option<&'a str>,
    /// Its formula.
    pub value: &'a str,
    /// What it counts.
    pub unit: &'a str,
    /// Its name in English; by default made of the key.
    pub en: Option<&'a str>,
    /// Which values are better: `higher`, `lower`, or those in a `band`.
    pub better: Option<&'a str>,
}

/// Returns the end of the file of an area, which declares a metric; of an area that is new, the whole file.
///
/// It counts on the day of the partition of its table, or else of the date or time that looks most like it, by the columns
/// that have a list of values, and with the feed that other metrics of the table have.
///
/// # Errors
/// A name that is none or is taken, and a table that is not there or has no date.
pub fn new_metric(workspace: &Workspace, draft: &MetricDraft<'_>) -> Result<NewFile, StarterError> {
    let Some((area, key)) = draft.name.split_once('.') else {
        let help = "write its area and its key, such as `support.created`";
        return Err(StarterError::new(format!("`{}` is no name of a metric", draft.name), help));
    };
    check_file_name(area)?;
    check_file_name(key)?;
    let metrics = &workspace.project.metrics;
    if let Some(metric) = metrics.get(&format!("{area}_{key}")) {
        let (line, _) = metric.file.at(metric.key.bytes.clone()).line_column();
        let message =
            format!("the metric `{}.{}` is declared in `{}:{line}`", metric.area, metric.key.text, metric.file.path);
        return Err(StarterError::new(message, "choose another name"));
    }
    let file = metrics.values().find(|metric| metric.area == area).map(|metric| &metric.file);
    let declared = file.and_then(|file| toml::from_str::<toml::Table>(&file.text).ok()).unwrap_or_default();
    if declared.contains_key(key) {
        return Err(StarterError::new(format!("`{key}` is a key of areas"), "choose another name"));
    }
    let of_area = declared.get("from").and_then(toml::Value::as_str);
    let Some(from) = draft.from.or(of_area) else {
        let help = "name the table whose rows it counts with --from, such as `--from fct_ticket`";
        return Err(StarterError::new(format!("the area `{area}` has no table yet"), help));
    };
    let table = workspace.tables.get(from).ok_or_else(|| unknown_table(workspace, from))?;
    let rows = if of_area == Some(from) { String::new() } else { rows(workspace, from, &table.schema, &declared)? };
    let en = draft.en.map_or_else(|| capitalised(&key.replace('_', " ")), str::to_owned);
    let better = draft.better.map_or_else(String::new, |better| format!("better = {}\n", toml_text(better)));
    let own = format!(
        "value = {}\nunit = {}\nen = {}\n{better}",
        toml_text(draft.value),
        toml_text(draft.unit),
        toml_text(&en)
    );
    // Of an area that is new the rows are those of all its metrics.
    let text = if file.is_none() { format!("{rows}\n[{key}]\n{own}") } else { format!("\n[{key}]\n{rows}{own}") };
    Ok(NewFile::new(Utf8PathBuf::from(format!("schemas/metrics/{area}.toml")), text))
}

/// Returns which rows are counted, when, and by what; what the area says of other rows is taken away.
fn rows(workspace: &Workspace, from: &str, schema: &Schema, area: &toml::Table) -> Result<String, StarterError> {
    let mut text = format!("from = {}\n", toml_text(from));
    text.push_str(&format!("time = {}\n", toml_text(&time(workspace, from, schema)?)));
    if area.contains_key("where") {
        text.push_str("where = \"\"\n");
    }
    let scopes = scopes(workspace, from);
    if !scopes.is_empty() || area.contains_key("by") {
        let list: Vec<String> = scopes.iter().map(|scope| toml_text(scope)).collect();
        text.push_str(&format!("by = [{}]\n", list.join(", ")));
    }
    let feed = feed(workspace, from);
    if feed.is_some() || area.contains_key("feed") {
        text.push_str(&format!("feed = {}\n", toml_text(&feed.unwrap_or_default())));
    }
    Ok(text)
}

/// Returns the column that says on which day a row counts.
fn time(workspace: &Workspace, from: &str, schema: &Schema) -> Result<String, StarterError> {
    let contract = workspace.project.contracts.get(from);
    if let Some(PartitionBy::Day { column, .. }) = contract.and_then(|contract| contract.partition.as_ref()) {
        return Ok(column.clone());
    }
    let rank = |name: &str| match name {
        "day" | "date" => 0,
        "created_day" | "created_at" | "created_date" => 1,
        _ if name.ends_with("_day") || name.ends_with("_date") => 2,
        _ => 3,
    };
    let is_time = |kind: &DataType| matches!(kind, DataType::Date32 | DataType::Timestamp(..));
    let times = schema.fields().iter().filter(|field| is_time(field.data_type())).map(|field| field.name());
    times.min_by_key(|name| rank(name)).cloned().ok_or_else(|| {
        let help = "rows count on the day of a date or timestamp: add one to its SELECT, or name another table";
        StarterError::new(format!("`{from}` has no column of a date or time"), help)
    })
}

/// Returns the columns that have a list of values.
fn scopes(workspace: &Workspace, from: &str) -> Vec<String> {
    let contract = workspace.project.contracts.get(from);
    let columns = contract.into_iter().flat_map(|contract| &contract.columns);
    columns
        .filter(|(_, column)| !column.rules.values.is_empty())
        .map(|(name, _)| name.clone())
        .take(MOST_SCOPES)
        .collect()
}

/// Returns the feed that other metrics of the table have.
fn feed(workspace: &Workspace, from: &str) -> Option<String> {
    let rows = |metric: &Metric| metric.rows.clone().filter(|rows| rows.from.text == from);
    workspace.project.metrics.values().filter_map(rows).find_map(|rows| Some(rows.feed?.text))
}

//! A bundle of datasets for Apache Superset: the tables, their columns and metrics, and the database that they are in.

use super::yaml::Yaml;
use super::{Column, File, Measure, Model, Source, Table, sql_name, zip};
use crate::digest::Parts;
use crate::plan::{PortableMetric, Workspace};
use crate::project::{ColumnType, MetricTime};

/// The database that datasets are in where nothing else is said: a file of DuckDB with the published views.
pub const DEFAULT_URI: &str = "duckdb:///opsmart.duckdb";

/// The folder that all files of the bundle are in, and the name of the database.
const NAME: &str = "opsmart";

/// Returns why Superset cannot say a metric, if so: it runs the templates of Jinja over SQL.
#[must_use]
pub fn speaks(metric: &PortableMetric) -> Option<String> {
    let is_template = ["{{", "{%", "{#"].iter().any(|begin| metric.value.contains(begin));
    is_template.then(|| "has braces that begin a template".to_owned())
}

/// Returns the bundle as a ZIP archive; `None` if it is larger than the format can say.
#[must_use]
pub fn superset(workspace: &Workspace, model: &Model<'_>, schema: Option<&str>, uri: &str) -> Option<Vec<u8>> {
    let metadata = Yaml::map([
        ("version", Some("1.0.0".into())),
        ("type", Some("SqlaTable".into())),
        ("timestamp", Some("1980-01-01T00:00:00+00:00".into())),
    ]);
    let database = Yaml::map([
        ("database_name", Some(NAME.into())),
        ("sqlalchemy_uri", Some(uri.into())),
        ("expose_in_sqllab", Some(true.into())),
        ("allow_dml", Some(false.into())),
        // Superset does not import a database without it.
        ("extra", Some(Yaml::map([("allows_virtual_table_explore", Some(true.into()))]))),
        ("uuid", Some(uuid("database").into())),
        ("version", Some("1.0.0".into())),
    ]);
    let mut files = vec![("metadata.yaml".to_owned(), metadata), (format!("databases/{NAME}.yaml"), database)];
    for table in model.tables.values() {
        files.push((format!("datasets/{NAME}/{}.yaml", table.name), dataset(workspace, model, table, schema)));
    }
    let file =
        |(path, yaml): (String, Yaml)| File { path: format!("{NAME}/{path}"), bytes: yaml.to_string().into_bytes() };
    zip::archive(&files.into_iter().map(file).collect::<Vec<_>>())
}

fn dataset(workspace: &Workspace, model: &Model<'_>, table: &Table, schema: Option<&str>) -> Yaml {
    let metrics: Vec<Yaml> = model.measures_of(&table.name).map(|measure| metric(workspace, measure)).collect();
    let days = model.measures_of(&table.name).find_map(day);
    Yaml::map([
        ("table_name", Some(table.name.as_str().into())),
        ("main_dttm_col", days.map(Yaml::from)),
        ("description", table.description.as_deref().map(Yaml::from)),
        ("schema", schema.map(Yaml::from)),
        ("uuid", Some(uuid(&table.name).into())),
        ("database_uuid", Some(uuid("database").into())),
        ("columns", Some(Yaml::List(table.columns.iter().map(column).collect()))),
        ("metrics", Some(Yaml::List(metrics))),
        ("version", Some("1.0.0".into())),
    ])
}

/// Returns the column with the days of a measure.
fn day(measure: &Measure<'_>) -> Option<String> {
    match (measure.source, &measure.metric.rows) {
        (Source::Series(series), _) => Some(series.column().to_owned()),
        (Source::Rows, Some(rows)) => match &rows.time {
            MetricTime::At(time) => Some(time.text.clone()),
            _ => None,
        },
        (Source::Rows, None) => None,
    }
}

fn column(column: &Column) -> Yaml {
    let kind = match column.kind {
        ColumnType::Int64 => "BIGINT".to_owned(),
        ColumnType::Float64 => "DOUBLE".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("DECIMAL({precision}, {scale})"),
        ColumnType::Boolean => "BOOLEAN".to_owned(),
        ColumnType::Date => "DATE".to_owned(),
        ColumnType::Timestamp => "TIMESTAMP WITH TIME ZONE".to_owned(),
        ColumnType::String | ColumnType::Bytes => "VARCHAR".to_owned(),
    };
    Yaml::map([
        ("column_name", Some(column.name.as_str().into())),
        ("verbose_name", label(column.doc.en.as_deref(), column.doc.zh.as_deref()).map(Yaml::from)),
        ("description", column.doc.description.as_deref().map(Yaml::from)),
        ("type", Some(kind.into())),
        ("is_dttm", Some(column.is_time().into())),
        ("is_active", Some(true.into())),
        ("groupby", Some(true.into())),
        ("filterable", Some(true.into())),
    ])
}

fn metric(workspace: &Workspace, measure: &Measure<'_>) -> Yaml {
    let of = measure.metric;
    let decimals = of.decimals;
    let format =
        if measure.is_share() { format!(".{}%", decimals.saturating_sub(2).max(1)) } else { format!(",.{decimals}f") };
    let description = format!("{}. Unit: {}", measure.description(), of.unit);
    Yaml::map([
        ("metric_name", Some(measure.name.as_str().into())),
        ("verbose_name", label(Some(&of.doc.en), of.doc.zh.as_deref()).map(Yaml::from)),
        ("expression", Some(measure.sql(workspace, &|column| sql_name(column)).into())),
        ("description", Some(description.into())),
        ("d3format", Some(format.into())),
    ])
}

/// Returns both names, for Superset shows one.
fn label(en: Option<&str>, zh: Option<&str>) -> Option<String> {
    let both: Vec<&str> = [en, zh].into_iter().flatten().collect();
    (!both.is_empty()).then(|| both.join(" · "))
}

/// Returns a UUID that is always the same for a name, so that a bundle that is imported again replaces the one before:
/// version 8, whose bits mean nothing.
fn uuid(name: &str) -> String {
    let mut parts = Parts::of("superset");
    parts.add(name);
    let digest = parts.digest().to_string();
    let hex: String = digest.chars().filter(char::is_ascii_hexdigit).take(32).collect();
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

//! The core specification of Apache Ossie (incubating), formerly Open Semantic Interchange, version 0.2.0.dev0: one
//! model a document.

use super::yaml::Yaml;
use super::{Column, File, Measure, Model, Table, sql_name};
use crate::plan::Workspace;
use crate::project::ColumnType;

/// The version of the specification that is written.
const VERSION: &str = "0.2.0.dev0";

/// Returns the model in one file; `schema` is where readers have the published tables.
#[must_use]
pub fn ossie(workspace: &Workspace, model: &Model<'_>, schema: Option<&str>) -> Vec<File> {
    let datasets = model.tables.values().map(|table| dataset(table, schema));
    let metrics = model.measures.iter().map(|measure| metric(workspace, measure));
    let document = Yaml::map([
        ("version", Some(VERSION.into())),
        ("name", Some("opsmart".into())),
        ("description", Some("Published tables, and the metrics that are counted from them".into())),
        ("datasets", Some(Yaml::List(datasets.collect()))),
        ("metrics", Some(Yaml::List(metrics.collect()))),
    ]);
    vec![File { path: "opsmart.yaml".to_owned(), bytes: document.to_string().into_bytes() }]
}

fn dataset(table: &Table, schema: Option<&str>) -> Yaml {
    let name = sql_name(&table.name);
    Yaml::map([
        ("name", Some(table.name.as_str().into())),
        ("source", Some(schema.map_or(name.clone(), |schema| format!("{}.{name}", sql_name(schema))).into())),
        ("primary_key", (!table.key.is_empty()).then(|| Yaml::texts(table.key.iter().map(String::as_str)))),
        ("description", table.description.as_deref().map(Yaml::from)),
        ("fields", Some(Yaml::List(table.columns.iter().map(field).collect()))),
    ])
}

fn field(column: &Column) -> Yaml {
    let kind = match column.kind {
        ColumnType::Int64 => "Integer",
        ColumnType::Float64 => "Float",
        ColumnType::Decimal { .. } => "Decimal",
        ColumnType::Boolean => "Boolean",
        ColumnType::Date => "Date",
        ColumnType::Timestamp => "DateTimeTz",
        ColumnType::String | ColumnType::Bytes => "String",
    };
    let labels: Vec<&str> = [&column.doc.en, &column.doc.zh].into_iter().flatten().map(String::as_str).collect();
    Yaml::map([
        ("name", Some(column.name.as_str().into())),
        ("expression", Some(expression(sql_name(&column.name)))),
        ("dimension", Some(Yaml::map([("is_time", Some(column.is_time().into()))]))),
        ("description", column.doc.description.as_deref().map(Yaml::from)),
        ("datatype", Some(kind.into())),
        ("ai_context", (!labels.is_empty()).then(|| Yaml::map([("synonyms", Some(Yaml::texts(labels)))]))),
    ])
}

fn metric(workspace: &Workspace, measure: &Measure<'_>) -> Yaml {
    let of = &measure.metric;
    let sql = measure.sql(workspace, &|column| format!("{}.{}", sql_name(&measure.table), sql_name(column)));
    let synonyms = Yaml::texts([Some(of.doc.en.as_str()), of.doc.zh.as_deref()].into_iter().flatten());
    let better = of.better.map(|better| format!("; better: {}", better.as_str()));
    let instructions = format!("Unit: {}{}", of.unit, better.unwrap_or_default());
    Yaml::map([
        ("name", Some(measure.name.as_str().into())),
        ("expression", Some(expression(sql))),
        ("description", Some(measure.description().into())),
        ("ai_context", Some(Yaml::map([("instructions", Some(instructions.into())), ("synonyms", Some(synonyms))]))),
    ])
}

fn expression(sql: String) -> Yaml {
    let dialect = Yaml::map([("dialect", Some("ANSI_SQL".into())), ("expression", Some(sql.into()))]);
    Yaml::map([("dialects", Some(Yaml::List(vec![dialect])))])
}

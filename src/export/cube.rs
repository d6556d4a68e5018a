//! A data model for Cube: a cube for each table, and for each area and table a view with its measures.
//!
//! A count or sum with a condition is a measure with filters, so that Cube can aggregate it beforehand; a ratio is a
//! number over two measures that are not public; everything else is a number with its expression.

use std::collections::{BTreeMap, BTreeSet};

use super::yaml::Yaml;
use super::{Column, File, Measure, Model, Source, Table, sql_name};
use crate::plan::{PortableAggregate, PortableMetric, PortableSide, Workspace, portable};
use crate::project::ColumnType;

/// Aggregates that Cube has types of measures for.
const TYPES: [&str; 5] = ["count", "sum", "min", "max", "avg"];

/// Characters that begin a reference, or are changed, where Cube reads SQL.
const TAKEN: [char; 4] = ['{', '}', '`', '\\'];

/// Returns why Cube cannot say a metric, if so.
#[must_use]
pub fn speaks(metric: &PortableMetric) -> Option<String> {
    metric.value.contains(TAKEN).then(|| "has a brace, a backtick or a backslash".to_owned())
}

/// Returns the files of the folder `model` of a Cube project; `schema` is where Cube finds the published tables.
#[must_use]
pub fn cube(workspace: &Workspace, model: &Model<'_>, schema: Option<&str>) -> Vec<File> {
    let mut files = Vec::new();
    for table in model.tables.values() {
        let cubes = Yaml::map([("cubes", Some(Yaml::List(vec![of_table(workspace, model, table, schema)])))]);
        files.push(File { path: format!("cubes/{}.yml", table.name), bytes: cubes.to_string().into_bytes() });
    }
    for (area, views) in views(model) {
        let views = Yaml::map([("views", Some(Yaml::List(views)))]);
        files.push(File { path: format!("views/{area}.yml"), bytes: views.to_string().into_bytes() });
    }
    files
}

fn of_table(workspace: &Workspace, model: &Model<'_>, table: &Table, schema: Option<&str>) -> Yaml {
    let name = sql_name(&table.name);
    let measures = model.measures_of(&table.name).flat_map(|measure| measures(workspace, measure));
    Yaml::map([
        ("name", Some(table.name.as_str().into())),
        ("sql_table", Some(schema.map_or(name.clone(), |schema| format!("{}.{name}", sql_name(schema))).into())),
        ("description", table.description.as_deref().map(Yaml::from)),
        ("dimensions", Some(Yaml::List(table.columns.iter().map(|column| dimension(table, column)).collect()))),
        ("measures", Some(Yaml::List(measures.collect()))),
    ])
}

fn dimension(table: &Table, column: &Column) -> Yaml {
    let kind = match column.kind {
        ColumnType::Int64 | ColumnType::Float64 | ColumnType::Decimal { .. } => "number",
        ColumnType::Boolean => "boolean",
        ColumnType::Date | ColumnType::Timestamp => "time",
        ColumnType::String | ColumnType::Bytes => "string",
    };
    let is_key = table.key.contains(&column.name);
    Yaml::map([
        ("name", Some(member(&column.name).into())),
        ("sql", Some(reference(&column.name).into())),
        ("type", Some(kind.into())),
        ("primary_key", is_key.then(|| true.into())),
        ("public", is_key.then(|| true.into())),
        ("title", column.doc.en.as_deref().map(Yaml::from)),
        ("description", column.doc.description.as_deref().map(Yaml::from)),
        ("meta", column.doc.zh.as_deref().map(|zh| Yaml::map([("title_zh", Some(zh.into()))]))),
    ])
}

/// Returns a name as Cube allows it.
fn member(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn reference(column: &str) -> String {
    format!("{{CUBE}}.{}", sql_name(column))
}

/// Returns the measure, before it the parts that it is made of.
fn measures(workspace: &Workspace, measure: &Measure<'_>) -> Vec<Yaml> {
    let number = |sql: String| vec![("type", Some(Yaml::from("number"))), ("sql", Some(sql.into()))];
    let found = match measure.source {
        Source::Rows => portable(workspace, &measure.metric.id, &reference).ok(),
        Source::Series(_) => None,
    };
    let Some(found) = found else { return vec![public(measure, number(measure.sql(workspace, &reference)))] };
    let PortableMetric { time, numerator, denominator, value, has_sample, .. } = &found;
    let time = reference(time);
    match (typed(numerator, &time), denominator) {
        (Some(parts), None) if !has_sample => vec![public(measure, parts)],
        (Some(above), Some(below)) if !has_sample && typed(below, &time).is_some() => {
            let names = ["numerator", "denominator"].map(|side| format!("{}__{side}", measure.name));
            let hidden = |name: &str, parts: Vec<(&'static str, Option<Yaml>)>| {
                let name = ("name", Some(name.into()));
                Yaml::map([name].into_iter().chain(parts).chain([("public", Some(false.into()))]))
            };
            let divided = format!("cast({{{}}} as double precision) / nullif({{{}}}, 0)", names[0], names[1]);
            vec![
                hidden(&names[0], above),
                hidden(&names[1], typed(below, &time).unwrap_or_default()),
                public(measure, number(divided)),
            ]
        }
        _ => vec![public(measure, number(value.clone()))],
    }
}

/// Returns the type, expression and filters of a side that is one aggregate with a type in Cube.
fn typed(side: &PortableSide, time: &str) -> Option<Vec<(&'static str, Option<Yaml>)>> {
    let PortableAggregate { function, is_distinct, of, condition } = side.aggregate.as_ref()?;
    let kind = match (function.as_str(), is_distinct) {
        ("count", true) => "count_distinct",
        (kind, false) if TYPES.contains(&kind) => kind,
        _ => return None,
    };
    // A count of rows counts their days.
    let of = of.as_deref().unwrap_or(time);
    let filter = condition.as_deref().map(|sql| Yaml::List(vec![Yaml::map([("sql", Some(sql.into()))])]));
    Some(vec![("type", Some(kind.into())), ("sql", Some(of.into())), ("filters", filter)])
}

fn public(measure: &Measure<'_>, parts: Vec<(&'static str, Option<Yaml>)>) -> Yaml {
    let of = measure.metric;
    let meta = Yaml::map([
        ("title_zh", of.doc.zh.as_deref().map(Yaml::from)),
        ("unit", Some(of.unit.as_str().into())),
        ("better", of.better.map(|better| better.as_str().into())),
        ("owner", of.owner.as_deref().map(Yaml::from)),
    ]);
    let words = [
        ("format", measure.is_share().then(|| "percent".into())),
        ("title", Some(of.doc.en.as_str().into())),
        ("description", Some(measure.description().into())),
        ("meta", Some(meta)),
    ];
    Yaml::map([("name", Some(measure.name.as_str().into()))].into_iter().chain(parts).chain(words))
}

/// Returns the views of each area. Measures of two tables have no rows in common, so that each table has its own view.
fn views(model: &Model<'_>) -> BTreeMap<String, Vec<Yaml>> {
    let mut areas: BTreeMap<&str, BTreeMap<&str, Vec<&Measure<'_>>>> = BTreeMap::new();
    for measure in &model.measures {
        let tables = areas.entry(&measure.metric.area).or_default();
        tables.entry(&measure.table).or_default().push(measure);
    }
    let view = |area: &str, table: &str, measures: &[&Measure<'_>]| {
        let members: BTreeSet<String> =
            measures.iter().flat_map(|of| dimensions(of)).map(|name| member(&name)).collect();
        let includes = measures.iter().map(|of| of.name.clone()).chain(members);
        let cube = Yaml::map([("join_path", Some(table.into())), ("includes", Some(Yaml::texts(includes)))]);
        Yaml::map([("name", Some(format!("{area}_of_{table}").into())), ("cubes", Some(Yaml::List(vec![cube])))])
    };
    areas
        .into_iter()
        .map(|(area, tables)| {
            let views = tables.iter().map(|(table, measures)| view(area, table, measures));
            (area.to_owned(), views.collect())
        })
        .collect()
}

/// Returns the columns by which a measure is cut: its day and scopes.
fn dimensions(measure: &Measure<'_>) -> Vec<String> {
    match measure.source {
        Source::Series(series) => [series.column(), "scope_type", "scope_id"].map(str::to_owned).to_vec(),
        Source::Rows => {
            let rows = measure.metric.rows.iter();
            let scopes = rows.clone().flat_map(|rows| &rows.by).flat_map(|scope| &scope.columns);
            let day = rows.filter_map(|rows| match &rows.time {
                crate::project::MetricTime::At(time) => Some(time),
                _ => None,
            });
            day.chain(scopes).map(|word| word.text.clone()).collect()
        }
    }
}

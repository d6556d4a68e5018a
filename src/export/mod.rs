//! The metrics of a project as semantic models that other programs read: Apache Ossie, Cube, Superset.
//!
//! [`Model`] is what they have in common: published tables with columns and words, and measures over their rows. A
//! metric that is an aggregate of the rows of a published table is given as such, and can be cut by any column. What a
//! target has no words for (windows, stocks, arithmetic of metrics) is read from the published tables with a row per
//! period, metric and scope; where there is none, it is left out, and the model says so. Each target is a pure function
//! of the model.
//!
//! Promises: no metric is dropped in silence; the same project gives the same bytes; no word of a project becomes syntax
//! of the file that it is written to. It reads no data and writes no file.

mod cube;
mod ossie;
mod superset;
mod yaml;
mod zip;

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::datatypes::DataType;

pub use cube::{cube, speaks as cube_speaks};
pub use ossie::ossie;
pub use superset::{DEFAULT_URI, speaks as superset_speaks, superset};

use crate::plan::{Kind, PortableMetric, Workspace, portable};
use crate::project::{ColumnDoc, ColumnType, Metric};

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path in the folder.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// The published tables that metrics are read from, and the metrics.
#[derive(Debug)]
pub struct Model<'a> {
    /// The tables, by name.
    tables: BTreeMap<String, Table>,
    /// The measures, by metric; those of series by day before week and month.
    measures: Vec<Measure<'a>>,
    /// The metrics that no table has, and why.
    left_out: Vec<(&'a str, String)>,
}

/// A published table.
#[derive(Debug)]
struct Table {
    name: String,
    description: Option<String>,
    key: Vec<String>,
    columns: Vec<Column>,
}

/// A column of a published table.
#[derive(Debug)]
struct Column {
    name: String,
    kind: ColumnType,
    doc: ColumnDoc,
}

impl Column {
    fn is_time(&self) -> bool {
        matches!(self.kind, ColumnType::Date | ColumnType::Timestamp)
    }
}

/// A number over the rows of a table.
#[derive(Debug)]
struct Measure<'a> {
    /// Its name, which no other measure has.
    name: String,
    metric: &'a Metric,
    table: String,
    /// The formula in words, or as it is written.
    formula: String,
    source: Source,
}

/// What a measure is made of.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// The rows that the metric counts.
    Rows,
    /// Values by period, metric and scope.
    Series(Series),
}

/// The column of a table of values that says of which period each is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Series {
    Day,
    Week,
    Month,
}

impl Series {
    const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    fn column(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The table that has all metrics by such periods, and is not published.
    fn compiled(self) -> &'static str {
        match self {
            Self::Day => "metric_day",
            Self::Week => "metric_week",
            Self::Month => "metric_month",
        }
    }
}

/// Where the metrics of a model went.
#[derive(Debug)]
pub struct Told<'a> {
    /// The ids of metrics that are aggregates over rows, by the table that they are of.
    pub from_rows: BTreeMap<&'a str, Vec<&'a str>>,
    /// The ids of metrics that are read as values, by those tables.
    pub from_values: BTreeMap<Vec<&'a str>, Vec<&'a str>>,
    /// The ids of metrics that no published table has, and why.
    pub left_out: &'a [(&'a str, String)],
}

impl<'a> Model<'a> {
    /// Reads the model off a project; `speaks` says why a target cannot say a metric that is SQL over rows, if so.
    #[must_use]
    pub fn of(workspace: &'a Workspace, speaks: fn(&PortableMetric) -> Option<String>) -> Self {
        let series = series(workspace);
        let ids: BTreeSet<&str> = workspace.metrics().keys().map(String::as_str).collect();
        let mut model = Model { tables: BTreeMap::new(), measures: Vec::new(), left_out: Vec::new() };
        for (id, about) in workspace.metrics() {
            let metric = &workspace.project.metrics[id];
            let measure = |name: String, table: &str, source| Measure {
                name,
                metric,
                table: table.to_owned(),
                formula: about.formula.clone(),
                source,
            };
            let of_rows = portable(workspace, id, &|column| column.to_owned());
            let of_rows = of_rows.and_then(|found| speaks(&found).map_or(Ok(found), Err));
            match of_rows {
                Ok(found) => model.measures.push(measure(id.clone(), &found.table, Source::Rows)),
                Err(reason) if series.is_empty() => model.left_out.push((id, reason)),
                Err(_) => {
                    for (series, table) in &series {
                        let mut name = id.clone();
                        if *series != Series::Day {
                            name = format!("{id}_{}", series.column());
                        }
                        // A metric may be called like another one by month.
                        while name != *id && ids.contains(name.as_str()) {
                            name.push('_');
                        }
                        model.measures.push(measure(name, table, Source::Series(*series)));
                    }
                }
            }
        }
        for measure in &model.measures {
            if !model.tables.contains_key(&measure.table) {
                model.tables.insert(measure.table.clone(), table(workspace, &measure.table));
            }
        }
        model
    }

    /// Tells where each metric went.
    #[must_use]
    pub fn told(&self) -> Told<'_> {
        let mut from_rows: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut tables: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for measure in &self.measures {
            let (id, table) = (measure.metric.id.as_str(), measure.table.as_str());
            match measure.source {
                Source::Rows => from_rows.entry(table).or_default().push(id),
                Source::Series(_) => tables.entry(id).or_default().push(table),
            }
        }
        let mut from_values: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
        for (id, tables) in tables {
            from_values.entry(tables).or_default().push(id);
        }
        Told { from_rows, from_values, left_out: &self.left_out }
    }

    /// Returns whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.measures.is_empty()
    }

    fn measures_of<'m>(&'m self, table: &'m str) -> impl Iterator<Item = &'m Measure<'a>> {
        self.measures.iter().filter(move |measure| measure.table == table)
    }
}

impl Measure<'_> {
    /// Returns the measure as one SQL expression, in which `column` writes the names of columns.
    fn sql(&self, workspace: &Workspace, column: &dyn Fn(&str) -> String) -> String {
        match self.source {
            Source::Rows => portable(workspace, &self.metric.id, column).map_or_else(|why| why, |found| found.value),
            Source::Series(series) => value_of_series(&self.metric.id, series, column),
        }
    }

    /// Returns what people are told of it: the formula, and how to read a value of a series.
    fn description(&self) -> String {
        match self.source {
            Source::Rows => self.formula.clone(),
            Source::Series(series) => format!(
                "{}. Of one {} and one scope; of several scopes together it is that of the whole",
                self.formula,
                series.column()
            ),
        }
    }

    fn is_share(&self) -> bool {
        self.metric.unit == "share"
    }
}

/// Returns the value of a metric in a table of values. Values do not add up: in a group of one period it is that of the
/// one scope, or of the whole, and in any other group there is none.
fn value_of_series(id: &str, series: Series, column: &dyn Fn(&str) -> String) -> String {
    let [period, metric, kind, scope, value] =
        [series.column(), "metric_id", "scope_type", "scope_id", "value"].map(column);
    let id = crate::sql_text::text(id);
    format!(
        "case when min({period}) <> max({period}) then null \
         when min({kind}) = max({kind}) and min({scope}) = max({scope}) \
         then max(case when {metric} = {id} then {value} end) \
         else max(case when {metric} = {id} and {kind} = 'total' then {value} end) end"
    )
}

/// Returns the published tables that have every metric by some period: those with a row per period, metric and scope
/// that are made from what metrics are compiled to.
fn series(workspace: &Workspace) -> BTreeMap<Series, String> {
    let mut found = BTreeMap::new();
    for series in Series::ALL {
        let key = BTreeSet::from([series.column(), "metric_id", "scope_type", "scope_id"]);
        let is_one = |name: &&String| {
            let table = &workspace.tables[*name];
            let contract = workspace.project.contracts.get(*name);
            let is_keyed = contract.is_some_and(|of| of.key.iter().map(String::as_str).collect::<BTreeSet<_>>() == key);
            let is_number =
                table.schema.field_with_name("value").is_ok_and(|field| *field.data_type() == DataType::Float64);
            table.kind == Kind::Published
                && is_keyed
                && is_number
                && workspace.upstream(&BTreeSet::from([(*name).clone()])).contains(series.compiled())
        };
        if let Some(name) = workspace.tables.keys().find(is_one) {
            found.insert(series, name.clone());
        }
    }
    found
}

fn table(workspace: &Workspace, name: &str) -> Table {
    let contract = workspace.project.contracts.get(name);
    let columns = workspace.tables[name].schema.fields().iter().filter_map(|field| {
        let own = contract.and_then(|contract| contract.columns.get(field.name())).map(|column| column.doc.clone());
        let kind = ColumnType::from_arrow(field.data_type()).filter(|kind| *kind != ColumnType::Bytes)?;
        let doc = workspace.project.column_doc(field.name(), &own.unwrap_or_default());
        Some(Column { name: field.name().clone(), kind, doc })
    });
    let told = contract.and_then(|contract| match (&contract.description, &contract.grain) {
        (Some(description), Some(grain)) => Some(format!("{description}; {grain}")),
        (one, other) => one.clone().or_else(|| other.clone()),
    });
    Table {
        name: name.to_owned(),
        description: told,
        key: contract.map_or_else(Vec::new, |contract| contract.key.clone()),
        columns: columns.collect(),
    }
}

/// Returns a name as SQL writes it: in quotes where it must.
fn sql_name(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_');
    if is_plain { name.to_owned() } else { crate::sql_text::identifier(name) }
}

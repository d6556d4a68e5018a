//! What a project consists of, as a document that other programs read: its datasets, models, metrics, checks, jobs and
//! functions, with their files, columns and owners, and what each reads. `opsmart ls` prints it, and each run publishes it
//! beside its tables (`docs/manifest.md`).
//!
//! Promises: a pure function of the project, in an order of its own, so that two of one project are the same byte for
//! byte. Does not know the warehouse.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::diagnostic::SourceFile;
use crate::plan::{Kind, MetricAbout, Table, Workspace, is_compiled, select};
use crate::project::{ColumnDoc, ColumnType, Job, Metric, SourceContract};

/// The version of the document. It is raised when a program that reads it could no longer do so.
pub const VERSION: u32 = 1;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// A source with a contract.
    Dataset,
    /// A SELECT, of `sql/` or what metrics are compiled to.
    Model,
    /// A number that `schemas/metrics/` declares.
    Metric,
    /// A query of `sql/checks/`.
    Check,
    /// A job.
    Job,
    /// A function in SQL.
    Function,
}

impl NodeKind {
    /// Returns the word of files and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Model => "model",
            Self::Metric => "metric",
            Self::Check => "check",
            Self::Job => "job",
            Self::Function => "function",
        }
    }
}

/// Something that a project declares.
#[derive(Debug, Clone, Serialize)]
pub struct Node {
    /// `<kind>.<name>`, which no other node has.
    pub id: String,
    /// What it is.
    pub kind: NodeKind,
    /// Its name.
    pub name: String,
    /// The file that declares it; of what metrics are compiled to, their folder.
    pub file: String,
    /// The line at which it begins.
    pub line: usize,
    /// What it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What one row stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grain: Option<String>,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Words by which it is selected.
    pub tags: Vec<String>,
    /// Of a model what is made of its rows: `view`, `stored` or `published`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<&'static str>,
    /// Columns whose values together are unique.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// Its columns, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnNode>,
    /// What is said of a metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<MetricNode>,
    /// The ids of what it reads, directly: of a dataset what it references, of a job what it ingests and refreshes.
    pub reads: Vec<String>,
}

/// A column.
#[derive(Debug, Clone, Serialize)]
pub struct ColumnNode {
    /// Its name.
    pub name: String,
    /// Its type, as contracts write it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its words.
    #[serde(flatten)]
    pub doc: Words,
}

/// What people read of a column.
#[derive(Debug, Clone, Serialize)]
pub struct Words {
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    en: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zh: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// What is said of a metric.
#[derive(Debug, Clone, Serialize)]
pub struct MetricNode {
    area: String,
    key: String,
    en: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    zh: Option<String>,
    unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    decimals: u8,
    formula: String,
    roll_up: &'static str,
    is_ratio: bool,
    scopes: BTreeSet<String>,
    /// The table whose rows are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    /// The metrics that it is made of.
    parts: BTreeSet<String>,
}

impl MetricNode {
    /// Returns whether it is called `area.key`.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        name.split_once('.') == Some((self.area.as_str(), self.key.as_str()))
    }
}

/// What a project consists of.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// The version of the document.
    pub manifest_version: u32,
    /// The version of the program that wrote it.
    pub opsmart_version: &'static str,
    /// The zone whose days are those of reports.
    pub reporting_zone: &'static str,
    /// Everything that the project declares, by kind and name.
    pub nodes: Vec<Node>,
}

/// Returns what a project consists of.
#[must_use]
pub fn manifest(workspace: &Workspace) -> Manifest {
    Manifest {
        manifest_version: VERSION,
        opsmart_version: env!("CARGO_PKG_VERSION"),
        reporting_zone: workspace.project.settings.reporting_zone.name(),
        nodes: nodes(workspace),
    }
}

/// Returns everything that a project declares, by kind and name.
fn nodes(workspace: &Workspace) -> Vec<Node> {
    let project = &workspace.project;
    let mut nodes: Vec<Node> = project.sources.values().map(|source| dataset(workspace, source)).collect();
    nodes.extend(workspace.tables.iter().map(|(name, table)| model(workspace, name, table)));
    nodes.extend(
        project.metrics.values().filter_map(|one| Some(metric(workspace, one, workspace.metrics().get(&one.id)?))),
    );
    nodes.extend(project.jobs.iter().map(|(name, one)| job(workspace, name, one)));
    nodes.extend(project.functions.values().map(|function| node(NodeKind::Function, &function.name, &function.file)));
    nodes.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
    nodes
}

/// A node of which nothing is known but its file.
fn node(kind: NodeKind, name: &str, file: &SourceFile) -> Node {
    Node {
        id: format!("{}.{name}", kind.as_str()),
        kind,
        name: name.to_owned(),
        file: file.path.to_string(),
        line: 1,
        description: None,
        grain: None,
        owner: None,
        tags: Vec::new(),
        stored: None,
        key: Vec::new(),
        columns: Vec::new(),
        metric: None,
        reads: Vec::new(),
    }
}

fn dataset(workspace: &Workspace, source: &SourceContract) -> Node {
    let columns =
        source.columns.iter().map(|(name, column)| self::column(workspace, name, column.kind.to_string(), &column.doc));
    Node {
        description: source.description.clone(),
        grain: source.grain.clone(),
        owner: source.owner.clone(),
        key: source.key.clone(),
        columns: columns.collect(),
        reads: source.referenced().into_iter().map(|name| id(workspace, name)).collect(),
        ..node(NodeKind::Dataset, &source.name, &source.file)
    }
}

fn model(workspace: &Workspace, name: &str, table: &Table) -> Node {
    let model = &workspace.project.models[name];
    let contract = workspace.project.contracts.get(name);
    let columns = table.schema.fields().iter().filter(|_| table.kind != Kind::Check).map(|field| {
        let own = contract.and_then(|contract| contract.columns.get(field.name())).map(|column| column.doc.clone());
        let kind = ColumnType::from_arrow(field.data_type());
        let kind = kind.map_or_else(|| field.data_type().to_string(), |kind| kind.to_string());
        column(workspace, field.name(), kind, &own.unwrap_or_default())
    });
    let kind = if table.kind == Kind::Check { NodeKind::Check } else { NodeKind::Model };
    let mut node = Node {
        stored: match table.kind {
            Kind::View => Some("view"),
            Kind::Stored => Some("stored"),
            Kind::Published => Some("published"),
            Kind::Check => None,
        },
        columns: columns.collect(),
        reads: table.reads.iter().map(|name| id(workspace, name)).collect(),
        ..node(kind, name, &model.file)
    };
    if is_compiled(model) {
        "schemas/metrics".clone_into(&mut node.file);
    }
    if let Some(contract) = contract {
        node.description.clone_from(&contract.description);
        node.grain.clone_from(&contract.grain);
        node.owner.clone_from(&contract.owner);
        node.tags.clone_from(&contract.tags);
        node.key.clone_from(&contract.key);
    }
    node
}

fn metric(workspace: &Workspace, metric: &Metric, about: &MetricAbout) -> Node {
    let rows = metric.rows.as_ref().filter(|_| about.table.is_some());
    let tables = rows.iter().flat_map(|rows| std::iter::once(&rows.from).chain(&rows.feed));
    let mut reads: Vec<String> = tables.map(|table| id(workspace, &table.text)).collect();
    reads.extend(about.uses.iter().map(|name| format!("metric.{name}")));
    let place = metric.file.at(metric.key.bytes.clone());
    Node {
        line: place.line_column().0,
        description: Some(metric.doc.en.clone()),
        owner: metric.owner.clone(),
        tags: metric.tags.clone(),
        metric: Some(MetricNode {
            area: metric.area.clone(),
            key: metric.key.text.clone(),
            en: metric.doc.en.clone(),
            zh: metric.doc.zh.clone(),
            unit: metric.unit.clone(),
            direction: metric.better.map(crate::project::Better::as_str),
            decimals: metric.decimals,
            formula: about.formula.clone(),
            roll_up: about.roll_up,
            is_ratio: about.is_ratio,
            scopes: about.scopes.clone(),
            table: about.table.clone(),
            parts: about.uses.clone(),
        }),
        reads,
        ..node(NodeKind::Metric, &metric.id, &metric.file)
    }
}

fn job(workspace: &Workspace, name: &str, job: &Job) -> Node {
    let chosen = job.tables.iter().filter_map(|selector| select(workspace, &selector.text).ok()).flatten();
    let reads: BTreeSet<String> = job.ingest.iter().map(|dataset| dataset.text.clone()).chain(chosen).collect();
    Node {
        description: job.description.clone(),
        owner: job.owner.clone(),
        reads: reads.iter().map(|name| id(workspace, name)).collect(),
        ..node(NodeKind::Job, name, &job.file)
    }
}

/// Returns the id of what SQL reads by a name: a dataset, a model, or one of the tables about the warehouse, which have no
/// node.
fn id(workspace: &Workspace, name: &str) -> String {
    if workspace.project.sources.contains_key(name) { format!("dataset.{name}") } else { format!("model.{name}") }
}

fn column(workspace: &Workspace, name: &str, kind: String, own: &ColumnDoc) -> ColumnNode {
    let ColumnDoc { description, unit, en, zh } = workspace.project.column_doc(name, own);
    ColumnNode { name: name.to_owned(), kind, doc: Words { unit, en, zh, description } }
}

//! What a run read and made, as events of OpenLineage 2-0-2: which columns come from which.
//!
//! A run is one run of a job there. Datasets are files of this machine, so that jobs of others that read or write the
//! same paths are joined to ours: a landed dataset is the pattern of its files, a published table its folder.

use std::collections::BTreeSet;

use chrono::Utc;
use serde_json::{Value, json};

use super::record::{Record, RunProgress};
use super::{Exit, RunError};
use crate::digest::Digest;
use crate::plan::{Lineage, Origin, Workspace, lineage};
use crate::store::ColumnState;

const PRODUCER: &str = concat!("https://crates.io/crates/opsmart/", env!("CARGO_PKG_VERSION"));

/// The run of another system that a run belongs to, and the namespace of its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The namespace of our jobs.
    pub namespace: String,
    /// Namespace, name and id of the run that started this one.
    pub parent: Option<(String, String, String)>,
}

impl Surroundings {
    /// Reads the values of `OPENLINEAGE_NAMESPACE` and `OPENLINEAGE_PARENT_ID`; what cannot be read does not count.
    #[must_use]
    pub fn read(namespace: Option<String>, parent: Option<&str>) -> Self {
        // `namespace/name/id`; a namespace may have slashes of its own.
        let parent = parent.and_then(|parent| {
            let (rest, run) = parent.rsplit_once('/')?;
            let (namespace, name) = rest.rsplit_once('/')?;
            let run = uuid::Uuid::parse_str(run).ok()?;
            Some((namespace.to_owned(), name.to_owned(), run.to_string()))
        });
        let namespace = namespace.filter(|namespace| !namespace.is_empty()).unwrap_or_else(|| "opsmart".to_owned());
        Self { namespace, parent }
    }
}

/// Returns the two events of a run that has ended, one a line.
pub(super) fn events(record: &Record<'_>, exit: Exit, error: Option<&RunError>, told: RunProgress<'_>) -> String {
    let kind = match (exit, error) {
        (Exit::Interrupted | Exit::Terminated, _) => "ABORT",
        (_, Some(_)) => "FAIL",
        _ => "COMPLETE",
    };
    let start = event(record, "START", &crate::instant::text(&record.started));
    let mut end = event(record, kind, &crate::instant::text(&Utc::now()));
    if let Some(error) = error {
        end["run"]["facets"]["errorMessage"] =
            facet("1-0-1/ErrorMessageRunFacet", json!({ "message": error.in_full(), "programmingLanguage": "rust" }));
    }
    let (inputs, outputs) = datasets(record, told);
    end["inputs"] = inputs;
    end["outputs"] = outputs;
    format!("{start}\n{end}\n")
}

fn event(record: &Record<'_>, kind: &str, at: &str) -> Value {
    let mut run = json!({
        "processing_engine": facet(
            "1-1-1/ProcessingEngineRunFacet",
            json!({ "name": "opsmart", "version": env!("CARGO_PKG_VERSION") }),
        ),
    });
    if let Some((namespace, name, id)) = &record.surroundings.parent {
        let parent = json!({ "run": { "runId": id }, "job": { "namespace": namespace, "name": name } });
        run["parent"] = facet("1-2-0/ParentRunFacet", parent);
    }
    let mut job = json!({
        "jobType": facet(
            "2-0-4/JobTypeJobFacet",
            json!({ "processingType": "BATCH", "integration": "OPSMART", "jobType": "JOB" }),
        ),
    });
    let description = match record.jobs {
        [name] => record.workspace.project.jobs.get(name).and_then(|job| job.description.as_ref()),
        _ => None,
    };
    if let Some(description) = description {
        job["documentation"] = facet("1-1-0/DocumentationJobFacet", json!({ "description": description }));
    }
    json!({
        "eventType": kind,
        "eventTime": at,
        "run": { "runId": run_id(record.id), "facets": run },
        "job": { "namespace": record.surroundings.namespace, "name": record.name(), "facets": job },
        "inputs": [],
        "outputs": [],
        "producer": PRODUCER,
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    })
}

/// Returns the id of a run, which is made of its name, so that whoever knows the one knows the other.
fn run_id(name: &str) -> String {
    let digits = Digest::of(name.as_bytes());
    let bytes = u128::from_str_radix(digits.as_str(), 16).unwrap_or_default().to_be_bytes();
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

fn facet(schema: &str, mut facet: Value) -> Value {
    let name = schema.rsplit('/').next().unwrap_or_default();
    facet["_producer"] = PRODUCER.into();
    facet["_schemaURL"] = format!("https://openlineage.io/spec/facets/{schema}.json#/$defs/{name}").into();
    facet
}

/// Returns what was read, and what was made of it. A run that failed made nothing.
fn datasets(record: &Record<'_>, told: RunProgress<'_>) -> (Value, Value) {
    let workspace = record.workspace;
    let (read, report) = match told {
        RunProgress::Ended(report) => (report.datasets.as_slice(), Some(report)),
        RunProgress::Interrupted(read) => (read, None),
    };
    let read = read.iter().filter(|dataset| dataset.files_read > 0).map(|dataset| dataset.dataset.clone());
    let mut inputs: BTreeSet<String> = read.collect();
    let mut outputs = Vec::new();
    if let Some(report) = report.filter(|report| !report.tables.is_empty()) {
        // Where it cannot be told which columns come from which, the tables are told without.
        let known = lineage(workspace, report.tables.iter().map(|table| &table.table)).unwrap_or_default();
        for table in &report.tables {
            let lineage = known.get(&table.table).cloned().unwrap_or_default();
            inputs.extend(origins(&lineage).map(|origin| origin.table.clone()));
            outputs.push(output(record, &table.table, table.rows, &lineage));
        }
        inputs.retain(|input| report.tables.iter().all(|table| table.table != *input));
    }
    let inputs = inputs.iter().filter_map(|name| dataset(record, name));
    (inputs.collect(), outputs.into())
}

fn origins(lineage: &Lineage) -> impl Iterator<Item = &Origin> {
    lineage.columns.iter().flat_map(|(_, origins)| origins).chain(&lineage.rows)
}

fn output(record: &Record<'_>, table: &str, rows: u64, lineage: &Lineage) -> Value {
    let mut output = dataset(record, table).unwrap_or_default();
    let fields: serde_json::Map<String, Value> = lineage
        .columns
        .iter()
        .map(|(column, from)| (column.clone(), json!({ "inputFields": input_fields(record, from) })))
        .collect();
    let rows_from = input_fields(record, &lineage.rows);
    output["facets"]["columnLineage"] =
        facet("1-2-0/ColumnLineageDatasetFacet", json!({ "fields": fields, "dataset": rows_from }));
    output["outputFacets"] = json!({
        "outputStatistics": facet("1-0-2/OutputStatisticsOutputDatasetFacet", json!({ "rowCount": rows })),
    });
    output
}

fn input_fields(record: &Record<'_>, origins: &BTreeSet<Origin>) -> Vec<Value> {
    let field = |origin: &Origin| {
        let name = name_of(record, &origin.table)?;
        Some(json!({ "namespace": "file", "name": name, "field": origin.column }))
    };
    origins.iter().filter_map(field).collect()
}

/// Returns a landed dataset or a table with its columns; nothing for what lies nowhere.
fn dataset(record: &Record<'_>, table: &str) -> Option<Value> {
    let Workspace { project, .. } = record.workspace;
    let columns = match project.sources.get(table) {
        Some(source) => crate::clean::columns(project, source),
        None => crate::transform::columns(record.workspace, table),
    };
    let field = |column: &ColumnState| {
        let mut field = json!({ "name": column.name, "type": column.kind });
        if let Some(description) = &column.description {
            field["description"] = description.as_str().into();
        }
        field
    };
    let fields: Vec<Value> = columns.iter().map(field).collect();
    Some(json!({
        "namespace": "file",
        "name": name_of(record, table)?,
        "facets": { "schema": facet("1-2-0/SchemaDatasetFacet", json!({ "fields": fields })) },
    }))
}

fn name_of(record: &Record<'_>, table: &str) -> Option<String> {
    let Workspace { project, tables, .. } = record.workspace;
    let path = match project.sources.get(table) {
        Some(source) => project.root.join(source.from.to_string()),
        None if tables.contains_key(table) => record.store.published().join("current").join(table),
        // Of our own tables some are only made when everything else is known.
        None => return None,
    };
    Some(path.into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_told_by_three_words_of_which_the_first_may_have_slashes() {
        let id = "0197c3f0-0000-7000-8000-000000000001";
        let read = |text: &str| Surroundings::read(None, Some(text)).parent;
        let told = |namespace: &str| Some((namespace.to_owned(), "dag.task".to_owned(), id.to_owned()));
        assert_eq!(read(&format!("airflow/dag.task/{id}")), told("airflow"));
        assert_eq!(read(&format!("http://host/a/dag.task/{id}")), told("http://host/a"));
        assert_eq!(read("airflow/dag.task/7"), None);
        assert_eq!(read(id), None);
        assert_eq!(Surroundings::read(Some(String::new()), None).namespace, "opsmart");
    }

    #[test]
    fn the_id_of_a_run_is_a_uuid_of_its_name() {
        let id = run_id("20240701T000000000Z-abcdef");
        assert_eq!(id, run_id("20240701T000000000Z-abcdef"));
        assert_ne!(id, run_id("20240701T000000000Z-abcdee"));
        assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 8);
    }
}

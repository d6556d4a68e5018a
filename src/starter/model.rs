//! A new model: its SQL, its contract and its golden test.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use super::name::{self, unknown_table};
use super::rows;
use super::{NewFile, StarterError};
use crate::diagnostic::SourceFile;
use crate::plan::{Workspace, source_schema, sql_name};
use crate::project::{ColumnType, Layer, Model, SourceContract};

/// What a new model reads.
#[derive(Debug, Clone)]
pub struct Read {
    table: String,
    schema: SchemaRef,
    key: Vec<String>,
    grain: Option<String>,
}

impl Read {
    /// A landed dataset that has no contract yet, by its columns.
    #[must_use]
    pub fn new_dataset(name: &str, columns: &[(String, ColumnType)], key: &[String]) -> Self {
        let fields = columns.iter().map(|(name, kind)| Field::new(name, kind.arrow(), true)).collect::<Vec<_>>();
        let grain = match key {
            [] => format!("one row per record of {name}"),
            key => grain(key, name),
        };
        let schema = Arc::new(Schema::new(fields));
        Self { table: name.to_owned(), schema, key: key.to_vec(), grain: Some(grain) }
    }

    /// A landed dataset.
    fn dataset(contract: &SourceContract) -> Self {
        Self {
            table: contract.name.clone(),
            schema: source_schema(contract),
            key: contract.key.clone(),
            grain: contract.grain.clone(),
        }
    }

    /// A dataset or model of the project.
    fn table(workspace: &Workspace, table: &str) -> Result<Self, StarterError> {
        if let Some(contract) = workspace.project.sources.get(table) {
            return Ok(Self::dataset(contract));
        }
        let model = workspace.tables.get(table).ok_or_else(|| unknown_table(workspace, table))?;
        let contract = workspace.project.contracts.get(table);
        Ok(Self {
            table: table.to_owned(),
            schema: model.schema.clone(),
            key: contract.map(|contract| contract.key.clone()).unwrap_or_default(),
            grain: contract.and_then(|contract| contract.grain.clone()),
        })
    }
}

/// Returns the files of a new model that selects the columns of `from`.
///
/// Without `from` it reads what its name tells: `stg_calls` the dataset `calls`, `fct_call` the staging model
/// `stg_call` or `stg_calls`; and where there is no such table, a row that stands in its SQL.
///
/// # Errors
/// A name that cannot be a model's, or a table that it may not read.
pub fn new_model(workspace: &Workspace, name: &str, from: Option<&str>) -> Result<Vec<NewFile>, StarterError> {
    let layer = name::layer(&workspace.project, name)?;
    let guessed = || guess(workspace, layer, name);
    let files = match from.map(str::to_owned).or_else(guessed) {
        Some(table) => {
            let read = Read::table(workspace, &table)?;
            check_may_read(workspace, layer, name, &table)?;
            model(layer, name, &read)
        }
        None => of_its_own(layer, name),
    };
    check_binds(workspace, layer, name, &files)?;
    Ok(files)
}

/// Returns the staging model of a dataset and its test, but no contract: the dataset has one.
#[must_use]
pub fn staging(read: &Read) -> Vec<NewFile> {
    let mut files = model(Layer::Staging, &format!("stg_{}", read.table), read);
    files.retain(|file| file.path.extension() != Some("toml"));
    files
}

/// Returns the table that a name tells to read, if the project has it.
fn guess(workspace: &Workspace, layer: Layer, name: &str) -> Option<String> {
    let stem = stem(layer, name);
    match layer {
        Layer::Base => Some(stem.to_owned()).filter(|stem| workspace.project.sources.contains_key(stem)),
        Layer::Staging => {
            let tables = [format!("base_{stem}"), stem.to_owned()];
            let is_known =
                |table: &String| workspace.tables.contains_key(table) || workspace.project.sources.contains_key(table);
            tables.into_iter().find(is_known)
        }
        Layer::Intermediate | Layer::Marts => {
            let tables = [format!("stg_{stem}"), format!("stg_{stem}s")];
            tables.into_iter().find(|table| workspace.tables.contains_key(table))
        }
        _ => None,
    }
}

fn stem(layer: Layer, name: &str) -> &str {
    layer.prefixes().iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

fn check_may_read(workspace: &Workspace, layer: Layer, name: &str, table: &str) -> Result<(), StarterError> {
    let read = workspace.project.models.get(table).map(|model| model.layer);
    let may = match read {
        Some(read) => layer.may_read(read),
        None => matches!(layer, Layer::Base | Layer::Staging),
    };
    if may {
        return Ok(());
    }
    let rule = match layer {
        Layer::Base | Layer::Staging => {
            format!("a model of `{}` reads landed datasets and base models", layer.folder())
        }
        _ => {
            let folders = Layer::ALL.into_iter().filter(|other| layer.may_read(*other)).map(Layer::folder);
            format!("a model of `{}` reads {}", layer.folder(), folders.collect::<Vec<_>>().join(", "))
        }
    };
    let what = read.map_or("a landed dataset".to_owned(), |read| format!("of layer `{}`", read.folder()));
    let message = format!("`{name}` may not read `{table}`, which is {what}");
    Err(StarterError::new(message, rule))
}

/// Asks the binder, so that nothing is written that `opsmart check` would refuse.
fn check_binds(workspace: &Workspace, layer: Layer, name: &str, files: &[NewFile]) -> Result<(), StarterError> {
    let mut project = workspace.project.clone();
    for file in files.iter().filter(|file| file.path.extension() == Some("sql")) {
        let file = SourceFile::new(file.path.clone(), file.text.as_str());
        project.models.insert(name.to_owned(), Model { name: name.to_owned(), layer, file });
    }
    Workspace::compile(project).map(|_| ()).map_err(|mistakes| {
        let words = mistakes.iter().map(|mistake| mistake.message.clone()).collect::<Vec<_>>().join("; ");
        StarterError::new(format!("a model of these columns does not bind: {words}"), "write it by hand")
    })
}

fn model(layer: Layer, name: &str, read: &Read) -> Vec<NewFile> {
    let columns = rows::columns(&read.schema, &read.key, layer.is_published());
    let table = &read.table;
    let grain = read.grain.clone().unwrap_or_else(|| grain(&read.key, table));
    let import = import_name(table);
    let last = if matches!(layer, Layer::Base | Layer::Staging) { "renamed" } else { "final" };
    let sql = format!(
        "-- {}.\nwith\n\n{import} as (\n\n    select * from {}\n\n),\n\n{last} as (\n\n    select\n{}\n    from \
         {import}\n\n)\n\nselect * from {last}\n",
        capitalised(&grain),
        sql_name(table),
        rows::select_list(&columns)
    );
    let about = format!("A row of `{table}` comes through as it is.");
    let test = rows::golden_test(&about, table, name, &columns);
    files(layer, name, &sql, &contract(layer, &format!("Rows of {table}"), &grain, &read.key), &test)
}

/// A model of one row that stands in its SQL: for tables of constants, and to start from.
fn of_its_own(layer: Layer, name: &str) -> Vec<NewFile> {
    let stem = stem(layer, name);
    let import = import_name(stem);
    let sql = format!(
        "-- One row per day.\nwith\n\n{import} as (\n\n    -- What stands here until a table is read.\n    select * from \
         (\n        values\n            (date '2024-01-31', 1)\n    ) as {import} (day, {COUNT})\n\n),\n\nfinal as (\n\n    \
         select\n        ---------- numbers\n        {COUNT},\n\n        ---------- dates\n        day\n\n    from \
         {import}\n\n)\n\nselect * from final\n"
    );
    let test = format!(
        "# The one row that stands in the SQL.\nquery TI rowsort\nselect day, {COUNT} from {name}\n----\n2024-01-31 1\n"
    );
    let key = ["day".to_owned()];
    files(layer, name, &sql, &contract(layer, &format!("Days of {stem}"), "one row per day", &key), &test)
}

/// The one measure of a model of its own.
const COUNT: &str = "events";

fn files(layer: Layer, name: &str, sql: &str, contract: &str, test: &str) -> Vec<NewFile> {
    vec![
        NewFile::new(format!("sql/{}/{name}.sql", layer.folder()), sql),
        NewFile::new(format!("schemas/models/{name}.toml"), contract),
        NewFile::new(format!("tests/models/{name}.slt"), test),
    ]
}

fn contract(layer: Layer, description: &str, grain: &str, key: &[String]) -> String {
    let mut text = format!("description = {}\ngrain = {}\n", toml_text(description), toml_text(grain));
    // Only of what is stored can rows be asked.
    if layer.is_published() && !key.is_empty() {
        let names = key.iter().map(|column| toml_text(column)).collect::<Vec<_>>().join(", ");
        text.push_str(&format!("key = [{names}]\n"));
    }
    text
}

fn grain(key: &[String], table: &str) -> String {
    match key {
        [] => format!("one row per row of {table}"),
        key => format!("one row per {}", key.join(", ")),
    }
}

/// Returns a name for the rows of a table inside a query.
pub(super) fn import_name(table: &str) -> String {
    let layer = Layer::of(table);
    let stem = layer.map_or(table, |layer| stem(layer, table));
    match layer {
        None => format!("{stem}_landed"),
        // A name that means something else in SQL.
        Some(_) if sql_name(stem) != stem => format!("{stem}_rows"),
        Some(_) => stem.to_owned(),
    }
}

pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    // A comment of SQL ends with its line.
    (first + chars.as_str()).replace(['\n', '\r'], " ")
}

/// Returns a text as TOML writes it.
pub(super) fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

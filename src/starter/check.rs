//! A new check: a query that must return no rows.

use arrow::datatypes::{DataType, Field};

use super::model::import_name;
use super::name::{check_table_name, unknown_table};
use super::{NewFile, StarterError};
use crate::plan::{Kind, Workspace, sql_name};
use crate::project::Layer;

/// Words in the names of columns that speak of times to come.
const TO_COME: [&str; 10] =
    ["due", "valid", "expire", "expiry", "until", "next", "planned", "review", "target", "schedule"];

/// Returns the file of a new check; `assert_` is put before its name where it is missing.
///
/// On a table with times it asks that none of them is still to come, on another that its key or first column is not
/// null; without a table, that the ledger accounts for every record.
///
/// # Errors
/// A name that cannot be a check's, or a table that a check cannot read.
pub fn new_check(workspace: &Workspace, name: &str, on: Option<&str>) -> Result<Vec<NewFile>, StarterError> {
    let prefixes = Layer::Checks.prefixes();
    let is_prefixed = prefixes.iter().any(|prefix| name.starts_with(prefix));
    let name = if is_prefixed { name.to_owned() } else { format!("{}{name}", prefixes[0]) };
    check_table_name(&workspace.project, &name)?;
    if prefixes.contains(&name.as_str()) {
        return Err(StarterError::new(format!("`{name}` is only a prefix"), "write after it what is asserted"));
    }
    let sql = match on {
        Some(table) => asked_of(workspace, table)?,
        None => LEDGER.to_owned(),
    };
    Ok(vec![NewFile::new(format!("sql/{}/{name}.sql", Layer::Checks.folder()), sql)])
}

const LEDGER: &str = "\
-- Every record of every landed file is a row, quarantined, or blank.
with

files as (

    select * from dq_ledger

)

select
    dataset,
    file,
    records,
    accepted,
    quarantined,
    blank

from files

where records <> accepted + quarantined + blank
";

fn asked_of(workspace: &Workspace, table: &str) -> Result<String, StarterError> {
    if workspace.project.sources.contains_key(table) {
        let message = format!("a check may not read `{table}`, which is a landed dataset");
        return Err(StarterError::new(message, "name the staging model that reads it"));
    }
    let model = workspace.tables.get(table).ok_or_else(|| unknown_table(workspace, table))?;
    if model.kind == Kind::Check {
        return Err(StarterError::new(format!("`{table}` is a check itself"), "name a model"));
    }
    let key = workspace.project.contracts.get(table).map(|contract| contract.key.clone()).unwrap_or_default();
    let fields = model.schema.fields();
    let may_come = |field: &Field| TO_COME.iter().any(|word| field.name().contains(word));
    let time = fields.iter().find(|field| is_time(field.data_type()) && !may_come(field));
    let (rule, condition) = if let Some(field) = time {
        let name = sql_name(field.name());
        let day = match field.data_type() {
            DataType::Timestamp(..) => format!("local_day({name}, $reporting_zone)"),
            _ => name,
        };
        // Days, because the clock is cut to the project's tick, and rows of the current one are no mistake.
        let condition = format!("{day} > local_day($as_of, $reporting_zone)");
        (format!("No `{}` of {table} lies on a day that has not come.", field.name()), condition)
    } else {
        let first = fields.first().map(|field| field.name().clone());
        let columns = if key.is_empty() { first.into_iter().collect() } else { key };
        let names = columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(" and ");
        let nulls = columns.iter().map(|column| format!("{} is null", sql_name(column))).collect::<Vec<_>>();
        (format!("Every row of {table} has {names}."), nulls.join("\n    or "))
    };
    let import = import_name(table);
    Ok(format!(
        "-- {rule}\nwith\n\n{import} as (\n\n    select * from {table}\n\n)\n\nselect * from {import}\n\nwhere {condition}\n"
    ))
}

fn is_time(kind: &DataType) -> bool {
    match kind {
        DataType::Date32 => true,
        DataType::Timestamp(_, zone) => zone.as_deref() == Some("UTC"),
        _ => false,
    }
}

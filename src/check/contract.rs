//! The promises of a contract, each as a question in SQL.

use arrow::datatypes::{DataType, Schema};
use datafusion::prelude::SessionContext;

use super::{CheckError, Finding, rows};
use crate::engine::read_only;
use crate::project::ModelContract;
use crate::quote::{identifier, text};

/// One promise: the SELECT returns the rows that break it.
#[derive(Debug)]
pub(super) struct Promise {
    check: String,
    message: String,
    sql: String,
}

/// Returns the promises of a contract: its key, then its columns' rules in order.
pub(super) fn promises(table: &str, contract: &ModelContract, schema: &Schema) -> Vec<Promise> {
    let mut promises = Vec::new();
    let from = format!("select * from {}", identifier(table));
    if !contract.key.is_empty() {
        let key = contract.key.iter().map(|column| identifier(column)).collect::<Vec<_>>().join(", ");
        let missing = contract
            .key
            .iter()
            .map(|column| format!("{} is null", identifier(column)))
            .collect::<Vec<_>>()
            .join(" or ");
        promises.push(Promise {
            check: format!("{table}.key"),
            message: format!("the key ({}) of `{table}` must not be null", contract.key.join(", ")),
            sql: format!("{from} where {missing}"),
        });
        promises.push(Promise {
            check: format!("{table}.key"),
            message: format!("the key ({}) of `{table}` must be unique", contract.key.join(", ")),
            sql: format!(
                "select {key}, count(*) as \"rows\" from {} group by {key} having count(*) > 1",
                identifier(table)
            ),
        });
    }
    for (column, rules) in contract.columns.iter().map(|(column, of)| (column, &of.rules)) {
        let Ok(field) = schema.field_with_name(column) else { continue };
        let name = identifier(column);
        let mut promise = |rule: &str, words: String, broken: String| {
            promises.push(Promise {
                check: format!("{table}.{column}.{rule}"),
                message: format!("`{column}` of `{table}` {words}"),
                sql: format!("{from} where {broken}"),
            });
        };
        if rules.required {
            promise("required", "must not be null".to_owned(), format!("{name} is null"));
        }
        if !rules.values.is_empty() {
            let values =
                rules.values.iter().map(|value| literal(value, field.data_type())).collect::<Vec<_>>().join(", ");
            promise(
                "values",
                format!("must be one of {}", rules.values.join(", ")),
                format!("{name} not in ({values})"),
            );
        }
        if let Some(min) = &rules.min {
            promise("min", format!("must be at least {min}"), format!("{name} < {}", literal(min, field.data_type())));
        }
        if let Some(max) = &rules.max {
            promise("max", format!("must be at most {max}"), format!("{name} > {}", literal(max, field.data_type())));
        }
        if let Some(pattern) = &rules.pattern {
            let broken = format!("not regexp_like({name}, {})", text(pattern));
            promise("pattern", format!("must match `{pattern}`"), broken);
        }
    }
    promises
}

/// Asks about one promise.
pub(super) async fn ask(
    session: &SessionContext,
    promise: &Promise,
    limit: usize,
) -> Result<Option<Finding>, CheckError> {
    let failed = |error| CheckError { check: promise.check.clone(), error };
    let frame = session.sql_with_options(&promise.sql, read_only()).await.map_err(failed)?;
    let (rows, examples) = rows::count_and_keep(frame, limit).await.map_err(failed)?;
    if rows == 0 {
        return Ok(None);
    }
    Ok(Some(Finding { check: promise.check.clone(), message: promise.message.clone(), rows, examples }))
}

fn literal(value: &str, kind: &DataType) -> String {
    format!("arrow_cast({}, {})", text(value), text(&kind.to_string()))
}

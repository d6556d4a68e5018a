//! Asks of built tables whether they keep their promises, before anyone sees them.
//!
//! Promises are those of a contract (key, required, values, min, max, pattern) and those of `sql/checks/`: a query
//! that returns what is wrong. A broken promise is data, a [`Finding`], and not an `Err`: all of them are collected,
//! each with the rows that break it. Only what was kept becomes [`Checked`], and only that can be published.

mod contract;
mod rows;

pub use rows::Row;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use datafusion::common::DataFusionError;
use datafusion::prelude::SessionContext;
use serde::Serialize;

use crate::digest::Digest;
use crate::plan::{Suite, plan_statement};
use crate::store::TableState;
use crate::transform::value_at;

/// A promise that the data broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The promise: a check's name, or a table's with the rule of its contract.
    pub check: String,
    /// What is wrong.
    pub message: String,
    /// How many rows break it.
    pub rows: u64,
    /// The first of them.
    pub examples: Vec<Row>,
}

/// What the checks said.
#[derive(Debug)]
pub enum Verdict {
    /// Every promise was kept.
    Kept(Checked),
    /// Some were not.
    Broken {
        /// Each of them.
        findings: Vec<Finding>,
    },
}

/// Tables that keep their promises. Only [`check`] makes it.
#[derive(Debug)]
pub struct Checked {
    pub(crate) tables: Vec<TableState>,
    pub(crate) passed: BTreeMap<String, Digest>,
    /// How many promises were asked about.
    pub asked: usize,
}

/// Why a check could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("check `{check}` failed to run: {}", error.find_root().strip_backtrace().lines().next().unwrap_or_default())]
pub struct CheckError {
    /// The check.
    pub check: String,
    /// What DataFusion says.
    pub error: DataFusionError,
}

/// Asks what `asked` names, each with its fingerprint: a model's name stands for its contract, any other for a query of
/// `sql/checks/`. Everything that they read must be known to `session`, `tables` among it.
///
/// # Errors
/// When a check cannot be run.
pub async fn check(
    session: &SessionContext,
    suite: &Suite,
    as_of: DateTime<Utc>,
    tables: Vec<TableState>,
    asked: BTreeMap<String, Digest>,
) -> Result<Verdict, CheckError> {
    let limit = suite.project.settings.limits.finding_rows;
    let mut findings = Vec::new();
    let mut count = 0;
    for name in asked.keys() {
        let Some(table) = suite.tables.get(name) else { continue };
        if let Some(contract) = suite.project.contracts.get(name).filter(|_| table.kind.is_stored()) {
            for promise in contract::promises(name, contract, &table.schema) {
                count += 1;
                findings.extend(contract::ask(session, &promise, limit).await?);
            }
        } else {
            count += 1;
            findings.extend(ask(session, suite, as_of, name, limit).await?);
        }
    }
    if findings.is_empty() {
        return Ok(Verdict::Kept(Checked { tables, passed: asked, asked: count }));
    }
    Ok(Verdict::Broken { findings })
}

/// Runs one query of `sql/checks/`: its rows are what is wrong.
async fn ask(
    session: &SessionContext,
    suite: &Suite,
    as_of: DateTime<Utc>,
    name: &str,
    limit: usize,
) -> Result<Option<Finding>, CheckError> {
    let Some(table) = suite.tables.get(name) else { return Ok(None) };
    let failed = |error| CheckError { check: name.to_owned(), error };
    let statement = table.query.statement(|variable| value_at(suite, as_of, variable));
    let plan = plan_statement(&session.state(), statement).map_err(failed)?;
    let frame = session.execute_logical_plan(plan).await.map_err(failed)?;
    let (rows, examples) = rows::count_and_keep(frame, limit).await.map_err(failed)?;
    if rows == 0 {
        return Ok(None);
    }
    let file = &suite.project.models[name].file.path;
    let message = format!("`{file}` must return no rows and returns {rows}");
    Ok(Some(Finding { check: name.to_owned(), message, rows, examples }))
}

//! Asks of built tables whether they keep their promises, before anyone sees them.
//!
//! Promises are those of contracts and those of `sql/checks/`, each a query that returns what is wrong
//! ([`crate::plan`] makes them). A broken promise is data, a [`FailedCheck`], and not an `Err`: all of them are collected,
//! each with rows that break it. One that only warns does not stand in the way and is remembered. Only tables whose
//! promises were kept, but for warnings, become [`Checked`], and only that can be published.

mod changed;
mod rows;

pub use changed::ChangedPartitions;

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use datafusion::common::DataFusionError;
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use serde::Serialize;

use crate::diagnostic::SourceFile;
use crate::digest::Digest;
use crate::plan::{Check, Denominator, PUBLISHED_ROWS, Query, SqlFunctions, plan_statement};
use crate::project::{Severity, Variable};
use crate::store::{CheckResult, CheckResults, CheckStatus, TableState};
use crate::top_k::Row;
use crate::transform::{Blame, QueryContext, Records, Source, blame_of, value_at};

/// A promise that the data broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedCheck {
    /// The promise: a check's name, or a table's with the rule of its contract.
    pub check: String,
    /// What it means.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// How many rows break it.
    pub rows: u64,
    /// How many rows it was asked of, where that is known.
    pub tested: Option<u64>,
    /// How many may break it, where some may.
    pub threshold: Option<String>,
    /// The first of the rows that break it.
    pub examples: Vec<Row>,
    /// What leads to the first of them, where it is to be followed.
    #[serde(skip)]
    pub source: Option<Box<Source>>,
    /// The landed records that the first of them comes from, where that was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<Records>,
}

/// What the checks said.
#[derive(Debug)]
pub enum Verdict {
    /// Every promise was kept, but for warnings.
    Passed(Checked),
    /// Some were not.
    Failed {
        /// Each of them, warnings last.
        findings: Vec<FailedCheck>,
    },
}

/// Tables that keep their promises. Only [`check`] makes it.
#[derive(Debug)]
pub struct Checked {
    pub(crate) tables: Vec<TableState>,
    pub(crate) fingerprints: BTreeMap<String, Digest>,
    pub(crate) outcomes: CheckResults,
    /// How many promises were kept.
    pub passed: usize,
    /// How many could not be judged.
    pub skipped: usize,
    /// The promises that were broken and only warn.
    pub warnings: Vec<FailedCheck>,
}

/// A promise to ask about.
#[derive(Debug)]
pub struct CheckRun<'a> {
    /// The promise.
    pub promise: &'a Check,
    /// Its fingerprint.
    pub fingerprint: Digest,
    /// A table that it reads and that was never built, if there is one.
    pub missing: Option<String>,
    /// The rows of its own table that were published before.
    pub published_rows: Option<u64>,
    /// What changed since it was kept by every row, where that is known.
    pub since: Option<ChangedPartitions>,
}

/// Why a check could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("check `{check}` failed to run{}", blame.words())]
pub struct CheckError {
    /// The check.
    pub check: String,
    /// What DataFusion says.
    pub error: DataFusionError,
    /// What made it fail.
    pub blame: Box<Blame>,
}

/// Asks `questions`. Everything that they read must be known to the session, `tables` among it.
///
/// # Errors
/// When a check cannot be run.
pub async fn check(
    context: QueryContext<'_>,
    tables: Vec<TableState>,
    questions: Vec<CheckRun<'_>>,
) -> Result<Verdict, CheckError> {
    let mut checked = Checked {
        tables,
        fingerprints: BTreeMap::new(),
        outcomes: BTreeMap::new(),
        passed: 0,
        skipped: 0,
        warnings: Vec::new(),
    };
    let mut errors = Vec::new();
    for question in questions {
        let promise = question.promise;
        let answer = match ask(context, &question).await {
            Ok(answer) => answer,
            Err(error) => {
                let plan = planned(
                    context.session,
                    &context.workspace.functions,
                    &promise.failing,
                    values(context, question.published_rows),
                )
                .ok();
                let blame = Box::new(blame_of(context, &promise.name, plan, &error).await);
                return Err(CheckError { check: promise.name.clone(), error, blame });
            }
        };
        match answer.state {
            Status::Passed => checked.passed += 1,
            Status::Skipped => checked.skipped += 1,
            Status::Failed if promise.terms.severity == Severity::Warn => {
                checked.warnings.push(finding(promise, &answer));
            }
            Status::Failed => {
                let plan = planned(
                    context.session,
                    &context.workspace.functions,
                    &promise.failing,
                    values(context, question.published_rows),
                )
                .ok();
                let source = plan.zip(answer.first.as_ref()).and_then(|(plan, row)| Source::of_finding(&plan, row));
                errors.push(FailedCheck { source: source.map(Box::new), ..finding(promise, &answer) });
            }
        }
        checked.outcomes.insert(promise.name.clone(), outcome(promise, context.as_of, &answer));
        checked.fingerprints.insert(promise.name.clone(), question.fingerprint);
    }
    if errors.is_empty() {
        return Ok(Verdict::Passed(checked));
    }
    errors.extend(checked.warnings);
    Ok(Verdict::Failed { findings: errors })
}

enum Status {
    Passed,
    Failed,
    Skipped,
}

/// What the data says to one question.
struct Answer {
    state: Status,
    failing: u64,
    tested: Option<u64>,
    rows: Vec<Row>,
    /// The first of them as it is.
    first: Option<RecordBatch>,
}

/// Returns the values of the variables of a promise.
fn values(context: QueryContext<'_>, published_rows: Option<u64>) -> impl Fn(&str) -> Option<Variable> + Copy {
    move |variable| match variable {
        PUBLISHED_ROWS => published_rows.and_then(|rows| i64::try_from(rows).ok()).map(Variable::Integer),
        variable => value_at(context.workspace, context.as_of, variable),
    }
}

async fn ask(context: QueryContext<'_>, question: &CheckRun<'_>) -> Result<Answer, DataFusionError> {
    let QueryContext { session, workspace, .. } = context;
    let functions = &workspace.functions;
    let CheckRun { promise, published_rows, missing, since, .. } = question;
    let not_judged = |tested: u64| Answer {
        state: Status::Skipped,
        failing: 0,
        tested: Some(tested),
        rows: Vec::new(),
        first: None,
    };
    if missing.is_some() {
        return Ok(not_judged(0));
    }
    let value = values(context, *published_rows);
    // A change is judged by what it is a change of, and there is none of nothing.
    if promise.reads_published_rows() {
        let before = published_rows.unwrap_or(0);
        if before < promise.terms.min_rows.max(1) {
            return Ok(not_judged(before));
        }
    }
    let tested = match &promise.denominator {
        Denominator::Rows(sql) => Some(rows::count(frame(session, functions, sql, value).await?).await?),
        Denominator::OneValue => Some(1),
        Denominator::Unknown => None,
    };
    if let Some(tested) = tested.filter(|tested| !promise.reads_published_rows() && *tested < promise.terms.min_rows) {
        return Ok(not_judged(tested));
    }
    let limit = workspace.project.settings.limits.finding_rows;
    let narrow = match since {
        Some(since) => {
            changed::plan(context, promise, since, |session| planned(session, functions, &promise.failing, value))
                .await?
        }
        None => None,
    };
    let frame = match narrow {
        Some((session, plan)) => session.execute_logical_plan(plan).await?,
        None => frame(session, functions, &promise.failing, value).await?,
    };
    let (failing, rows, first) = rows::count_and_keep(frame, limit).await?;
    let state = if promise.terms.allow(failing, tested.unwrap_or(0)) { Status::Passed } else { Status::Failed };
    Ok(Answer { state, failing, tested, rows, first })
}

async fn frame(
    session: &SessionContext,
    functions: &SqlFunctions,
    sql: &str,
    value: impl Fn(&str) -> Option<Variable>,
) -> Result<DataFrame, DataFusionError> {
    session.execute_logical_plan(planned(session, functions, sql, value)?).await
}

fn planned(
    session: &SessionContext,
    functions: &SqlFunctions,
    sql: &str,
    value: impl Fn(&str) -> Option<Variable>,
) -> Result<LogicalPlan, DataFusionError> {
    let query = Query::parse_with(&SourceFile::new("check", sql), functions)
        .map_err(|mistake| DataFusionError::Plan(mistake.message))?;
    plan_statement(&session.state(), query.statement(value))
}

fn finding(promise: &Check, answer: &Answer) -> FailedCheck {
    FailedCheck {
        check: promise.name.clone(),
        severity: promise.terms.severity,
        message: promise.message.clone(),
        rows: answer.failing,
        tested: answer.tested,
        threshold: promise.terms.threshold(),
        examples: answer.rows.clone(),
        source: None,
        records: None,
    }
}

fn outcome(promise: &Check, as_of: DateTime<Utc>, answer: &Answer) -> CheckResult {
    CheckResult {
        table: promise.table.clone(),
        kind: promise.kind.to_owned(),
        severity: promise.terms.severity,
        state: match answer.state {
            Status::Passed => CheckStatus::Passed,
            Status::Failed => CheckStatus::Warned,
            Status::Skipped => CheckStatus::Skipped,
        },
        failing_rows: answer.failing,
        tested_rows: answer.tested,
        threshold: promise.terms.threshold(),
        message: promise.message.clone(),
        asked_at: as_of,
        rows: answer.rows.iter().filter_map(|row| serde_json::to_string(row).ok()).collect(),
    }
}

/// Returns the names of those that only warn.
#[must_use]
pub fn warned(outcomes: &CheckResults) -> BTreeSet<String> {
    let is_warned = |outcome: &CheckResult| outcome.state == CheckStatus::Warned;
    outcomes.iter().filter(|(_, outcome)| is_warned(outcome)).map(|(name, _)| name.clone()).collect()
}

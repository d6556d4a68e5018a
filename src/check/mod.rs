//! Runs checks over built tables, before anyone sees them.
//!
//! A check is that of a contract or of `sql/checks/`, each a query that returns what is wrong ([`crate::plan`] makes them).
//! A failed check is data, a [`FailedCheck`], and not an `Err`: all of them are collected, each with rows that fail it. One
//! that only warns does not stand in the way and is remembered. Only tables whose checks passed, but for warnings, become
//! [`Checked`], and only that can be published.

mod changed;
mod rows;

pub use changed::ChangedPartitions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use datafusion::common::DataFusionError;
use datafusion::common::runtime::SpawnedTask;
use datafusion::logical_expr::LogicalPlan;
use futures::{StreamExt, stream};
use serde::Serialize;

use crate::diagnostic::SourceFile;
use crate::digest::Digest;
use crate::plan::{Check, Denominator, PUBLISHED_ROWS, Query, plan_statement};
use crate::project::{Severity, Variable};
use crate::store::{CheckResult, CheckResults, CheckStatus, TableState};
use crate::tables::QueryContext;
use crate::top_k::Row;
use crate::transform::{Blame, Records, Source, blame, is_out_of_memory};

/// A check that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedCheck {
    /// The check: its own name, or a table's with the rule of its contract.
    pub check: String,
    /// What it means.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// How many rows break it.
    pub rows: u64,
    /// How many rows it ran over, where that is known.
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
    /// Every check passed, but for warnings.
    Passed(Checked),
    /// Some were not.
    Failed {
        /// Each of them, warnings last.
        findings: Vec<FailedCheck>,
    },
}

/// Tables whose checks passed. Only [`check`] makes it.
#[derive(Debug)]
pub struct Checked {
    pub(crate) tables: Vec<TableState>,
    pub(crate) run_hashes: BTreeMap<String, Digest>,
    pub(crate) results: CheckResults,
    /// How many checks passed.
    pub passed: usize,
    /// How many could not be judged.
    pub skipped: usize,
    /// The checks that failed and only warn.
    pub warnings: Vec<FailedCheck>,
}

/// A check to run.
#[derive(Debug)]
pub struct CheckRun {
    /// The check.
    pub check: Check,
    /// Digest of the check and of what it reads.
    pub run_hash: Digest,
    /// A table that it reads and that was never built, if there is one.
    pub missing: Option<String>,
    /// The rows of its own table that were published before.
    pub published_rows: Option<u64>,
    /// What changed since it passed with every row, where that is known.
    pub changed: Option<ChangedPartitions>,
}

/// Why a check could not be run.
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

/// Runs checks, so many `at_once`. Everything that they read must be known to the session, `tables` among it.
///
/// # Errors
/// The first check, in their order, that cannot be run.
pub async fn check(
    context: &QueryContext,
    tables: Vec<TableState>,
    runs: Vec<CheckRun>,
    at_once: usize,
) -> Result<Verdict, CheckError> {
    let mut checked = Checked {
        tables,
        run_hashes: BTreeMap::new(),
        results: BTreeMap::new(),
        passed: 0,
        skipped: 0,
        warnings: Vec::new(),
    };
    let mut errors = Vec::new();
    for (run, answer) in answers(context, runs, at_once).await {
        let check = &run.check;
        let plan = || planned(context, &check.failing, |variable| value(context, &run, variable)).ok();
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let blame = Box::new(blame(context, &check.name, plan(), &error).await);
                return Err(CheckError { check: check.name.clone(), error, blame });
            }
        };
        match answer.state {
            Status::Passed => checked.passed += 1,
            Status::Skipped => checked.skipped += 1,
            Status::Failed if check.terms.severity == Severity::Warn => checked.warnings.push(finding(check, &answer)),
            Status::Failed => {
                let source = plan().zip(answer.first.as_ref()).and_then(|(plan, row)| Source::of_finding(&plan, row));
                errors.push(FailedCheck { source: source.map(Box::new), ..finding(check, &answer) });
            }
        }
        checked.results.insert(check.name.clone(), result(check, context.as_of, &answer));
        checked.run_hashes.insert(check.name.clone(), run.run_hash.clone());
    }
    if errors.is_empty() {
        return Ok(Verdict::Passed(checked));
    }
    errors.extend(checked.warnings);
    Ok(Verdict::Failed { findings: errors })
}

/// Runs checks side by side and returns what the data says to each, in their order, as far as the first that fails to run.
/// One that finds no memory beside others is run once more, alone.
async fn answers(
    context: &QueryContext,
    runs: Vec<CheckRun>,
    at_once: usize,
) -> Vec<(Arc<CheckRun>, Result<Answer, DataFusionError>)> {
    let tasks = runs.into_iter().map(|run| async {
        let (context, run) = (context.clone(), Arc::new(run));
        let of_task = Arc::clone(&run);
        let task = SpawnedTask::spawn(async move { ask(&context, &of_task).await });
        let answer = task.join_unwind().await;
        (run, answer.unwrap_or_else(|error| Err(DataFusionError::Execution(error.to_string()))))
    });
    let mut tasks = stream::iter(tasks).buffered(at_once.max(1));
    let mut all = Vec::new();
    let wants_memory = |answer: &Result<Answer, _>| at_once > 1 && answer.as_ref().is_err_and(is_out_of_memory);
    while let Some((run, answer)) = tasks.next().await {
        let is_last = answer.is_err() && !wants_memory(&answer);
        all.push((run, answer));
        if is_last {
            break;
        }
    }
    drop(tasks);
    for (run, answer) in &mut all {
        if wants_memory(answer) {
            *answer = ask(context, run).await;
        }
    }
    all
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

/// Returns the value of a variable of a check.
fn value(context: &QueryContext, run: &CheckRun, variable: &str) -> Option<Variable> {
    match variable {
        PUBLISHED_ROWS => run.published_rows.and_then(|rows| i64::try_from(rows).ok()).map(Variable::Integer),
        variable => context.value(variable),
    }
}

async fn ask(context: &QueryContext, run: &CheckRun) -> Result<Answer, DataFusionError> {
    let CheckRun { check, published_rows, missing, changed, .. } = run;
    let skipped = |tested: u64| Answer {
        state: Status::Skipped,
        failing: 0,
        tested: Some(tested),
        rows: Vec::new(),
        first: None,
    };
    if missing.is_some() {
        return Ok(skipped(0));
    }
    let value = |variable: &str| value(context, run, variable);
    // A change is judged by what it is a change of, and there is none of nothing.
    if check.reads_published_rows() {
        let before = published_rows.unwrap_or(0);
        if before < check.terms.min_rows.max(1) {
            return Ok(skipped(before));
        }
    }
    let tested = match &check.denominator {
        Denominator::Rows(sql) => {
            let frame = context.session.execute_logical_plan(planned(context, sql, value)?).await?;
            Some(rows::count(frame).await?)
        }
        Denominator::OneValue => Some(1),
        Denominator::Unknown => None,
    };
    if let Some(tested) = tested.filter(|tested| !check.reads_published_rows() && *tested < check.terms.min_rows) {
        return Ok(skipped(tested));
    }
    let failing = |context: &QueryContext| planned(context, &check.failing, value);
    let narrow = match changed {
        Some(changed) => changed::plan(context, check, changed, failing).await?,
        None => None,
    };
    let frame = match narrow {
        Some((session, plan)) => session.execute_logical_plan(plan).await?,
        None => context.session.execute_logical_plan(failing(context)?).await?,
    };
    let limit = context.workspace.project.settings.limits.finding_rows;
    let (failing, rows, first) = rows::count_and_keep(frame, limit).await?;
    let state = if check.terms.allow(failing, tested.unwrap_or(0)) { Status::Passed } else { Status::Failed };
    Ok(Answer { state, failing, tested, rows, first })
}

fn planned(
    context: &QueryContext,
    sql: &str,
    value: impl Fn(&str) -> Option<Variable>,
) -> Result<LogicalPlan, DataFusionError> {
    let query = Query::parse_with(&SourceFile::new("check", sql), &context.workspace.functions)
        .map_err(|mistake| DataFusionError::Plan(mistake.message))?;
    plan_statement(&context.session.state(), query.statement(value))
}

fn finding(check: &Check, answer: &Answer) -> FailedCheck {
    FailedCheck {
        check: check.name.clone(),
        severity: check.terms.severity,
        message: check.message.clone(),
        rows: answer.failing,
        tested: answer.tested,
        threshold: check.terms.threshold(),
        examples: answer.rows.clone(),
        source: None,
        records: None,
    }
}

fn result(check: &Check, as_of: DateTime<Utc>, answer: &Answer) -> CheckResult {
    CheckResult {
        table: check.table.clone(),
        kind: check.kind.to_owned(),
        severity: check.terms.severity,
        state: match answer.state {
            Status::Passed => CheckStatus::Passed,
            Status::Failed => CheckStatus::Warned,
            Status::Skipped => CheckStatus::Skipped,
        },
        failing_rows: answer.failing,
        tested_rows: answer.tested,
        threshold: check.terms.threshold(),
        message: check.message.clone(),
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

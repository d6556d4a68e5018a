//! Asks of built tables whether they keep their promises, before anyone sees them.
//!
//! Promises are those of contracts and those of `sql/checks/`, each a query that returns what is wrong
//! ([`crate::plan`] makes them). A broken promise is data, a [`Finding`], and not an `Err`: all of them are collected,
//! each with rows that break it. One that only warns does not stand in the way and is remembered. Only tables whose
//! promises were kept, but for warnings, become [`Checked`], and only that can be published.

mod changed;
mod rows;

pub use changed::Since;

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
use crate::least::Row;
use crate::plan::{PUBLISHED_ROWS, Promise, Query, SqlFunctions, Tested, plan_statement};
use crate::project::{Severity, Variable};
use crate::store::{Outcome, OutcomeState, Outcomes, TableState};
use crate::transform::{Blame, Records, Scene, Source, blame_of, value_at};

/// A promise that the data broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
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
    Kept(Checked),
    /// Some were not.
    Broken {
        /// Each of them, warnings last.
        findings: Vec<Finding>,
    },
}

/// Tables that keep their promises. Only [`check`] makes it.
#[derive(Debug)]
pub struct Checked {
    pub(crate) tables: Vec<TableState>,
    pub(crate) fingerprints: BTreeMap<String, Digest>,
    pub(crate) outcomes: Outcomes,
    /// How many promises were kept.
    pub kept: usize,
    /// How many could not be judged.
    pub not_judged: usize,
    /// The promises that were broken and only warn.
    pub warnings: Vec<Finding>,
}

/// A promise to ask about.
#[derive(Debug)]
pub struct Question<'a> {
    /// The promise.
    pub promise: &'a Promise,
    /// Its fingerprint.
    pub fingerprint: Digest,
    /// A table that it reads and that was never built, if there is one.
    pub missing: Option<String>,
    /// The rows of its own table that were published before.
    pub published_rows: Option<u64>,
    /// What changed since it was kept by every row, where that is known.
    pub since: Option<Since>,
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
    scene: Scene<'_>,
    tables: Vec<TableState>,
    questions: Vec<Question<'_>>,
) -> Result<Verdict, CheckError> {
    let mut checked = Checked {
        tables,
        fingerprints: BTreeMap::new(),
        outcomes: BTreeMap::new(),
        kept: 0,
        not_judged: 0,
        warnings: Vec::new(),
    };
    let mut errors = Vec::new();
    for question in questions {
        let promise = question.promise;
        let answer = match ask(scene, &question).await {
            Ok(answer) => answer,
            Err(error) => {
                let plan = planned(
                    scene.session,
                    &scene.suite.functions,
                    &promise.failing,
                    values(scene, question.published_rows),
                )
                .ok();
                let blame = Box::new(blame_of(scene, &promise.name, plan, &error).await);
                return Err(CheckError { check: promise.name.clone(), error, blame });
            }
        };
        match answer.state {
            State::Kept => checked.kept += 1,
            State::NotJudged => checked.not_judged += 1,
            State::Broken if promise.terms.severity == Severity::Warn => {
                checked.warnings.push(finding(promise, &answer));
            }
            State::Broken => {
                let plan = planned(
                    scene.session,
                    &scene.suite.functions,
                    &promise.failing,
                    values(scene, question.published_rows),
                )
                .ok();
                let source = plan.zip(answer.first.as_ref()).and_then(|(plan, row)| Source::of_finding(&plan, row));
                errors.push(Finding { source: source.map(Box::new), ..finding(promise, &answer) });
            }
        }
        checked.outcomes.insert(promise.name.clone(), outcome(promise, scene.as_of, &answer));
        checked.fingerprints.insert(promise.name.clone(), question.fingerprint);
    }
    if errors.is_empty() {
        return Ok(Verdict::Kept(checked));
    }
    errors.extend(checked.warnings);
    Ok(Verdict::Broken { findings: errors })
}

enum State {
    Kept,
    Broken,
    NotJudged,
}

/// What the data says to one question.
struct Answer {
    state: State,
    failing: u64,
    tested: Option<u64>,
    rows: Vec<Row>,
    /// The first of them as it is.
    first: Option<RecordBatch>,
}

/// Returns the values of the variables of a promise.
fn values(scene: Scene<'_>, published_rows: Option<u64>) -> impl Fn(&str) -> Option<Variable> + Copy {
    move |variable| match variable {
        PUBLISHED_ROWS => published_rows.and_then(|rows| i64::try_from(rows).ok()).map(Variable::Integer),
        variable => value_at(scene.suite, scene.as_of, variable),
    }
}

async fn ask(scene: Scene<'_>, question: &Question<'_>) -> Result<Answer, DataFusionError> {
    let Scene { session, suite, .. } = scene;
    let functions = &suite.functions;
    let Question { promise, published_rows, missing, since, .. } = question;
    let not_judged = |tested: u64| Answer {
        state: State::NotJudged,
        failing: 0,
        tested: Some(tested),
        rows: Vec::new(),
        first: None,
    };
    if missing.is_some() {
        return Ok(not_judged(0));
    }
    let value = values(scene, *published_rows);
    // A change is judged by what it is a change of, and there is none of nothing.
    if promise.reads_published_rows() {
        let before = published_rows.unwrap_or(0);
        if before < promise.terms.min_rows.max(1) {
            return Ok(not_judged(before));
        }
    }
    let tested = match &promise.tested {
        Tested::Rows(sql) => Some(rows::count(frame(session, functions, sql, value).await?).await?),
        Tested::OneValue => Some(1),
        Tested::Unknown => None,
    };
    if let Some(tested) = tested.filter(|tested| !promise.reads_published_rows() && *tested < promise.terms.min_rows) {
        return Ok(not_judged(tested));
    }
    let limit = suite.project.settings.limits.finding_rows;
    let narrow = match since {
        Some(since) => {
            changed::plan(scene, promise, since, |session| planned(session, functions, &promise.failing, value)).await?
        }
        None => None,
    };
    let frame = match narrow {
        Some((session, plan)) => session.execute_logical_plan(plan).await?,
        None => frame(session, functions, &promise.failing, value).await?,
    };
    let (failing, rows, first) = rows::count_and_keep(frame, limit).await?;
    let state = if promise.terms.allow(failing, tested.unwrap_or(0)) { State::Kept } else { State::Broken };
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

fn finding(promise: &Promise, answer: &Answer) -> Finding {
    Finding {
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

fn outcome(promise: &Promise, as_of: DateTime<Utc>, answer: &Answer) -> Outcome {
    Outcome {
        table: promise.table.clone(),
        kind: promise.kind.to_owned(),
        severity: promise.terms.severity,
        state: match answer.state {
            State::Kept => OutcomeState::Kept,
            State::Broken => OutcomeState::Warned,
            State::NotJudged => OutcomeState::NotJudged,
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
pub fn warned(outcomes: &Outcomes) -> BTreeSet<String> {
    let is_warned = |outcome: &Outcome| outcome.state == OutcomeState::Warned;
    outcomes.iter().filter(|(_, outcome)| is_warned(outcome)).map(|(name, _)| name.clone()).collect()
}

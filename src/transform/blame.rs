//! Finds the expression, the place in the SQL, and the row for which a query failed.
//!
//! The engine says what went wrong, of a value, and not where: by then expressions are columns of batches. So a query that
//! failed is done again step by step, each after what it is made from, and the expressions of each step are computed over
//! its rows until one fails: its smallest part that does, with the values it was given. That takes as long as the query
//! did, a few times at most, and ends after a while without an answer.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Utc};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::query_of;
use crate::engine::shortest;
use crate::plan::{Suite, Told, WrittenAt, computable, is_of_the_query, locate, plain, said_of};

/// How long the expression that failed is looked for.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many characters of a value are told.
const MOST_LETTERS: usize = 100;

/// What made a query fail.
#[derive(Debug, Clone)]
pub struct Blame {
    /// What went wrong, and what to do.
    pub told: Told,
    /// Where the expression that failed is written, as far as that is known.
    pub written: Option<WrittenAt>,
    /// The columns that it was computed of, with their values in the row that made it fail.
    pub values: Vec<(String, String)>,
}

impl Blame {
    /// What is known of an error by its words alone.
    fn by_words(suite: &Suite, name: &str, error: &DataFusionError) -> Self {
        Self { told: plain(error), written: said_of(suite, name, error), values: Vec::new() }
    }

    /// Returns where and over what it was, to follow the name of the query.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = String::new();
        if let Some(written) = &self.written {
            words.push_str(&format!(" at {written}"));
        }
        words.push_str(&format!(": {}", self.told.message));
        if let Some(text) = self.written.as_ref().and_then(|written| written.text.as_ref()) {
            words.push_str(&format!(", in `{text}`"));
        }
        if !self.values.is_empty() {
            let values = self.values.iter().map(|(column, value)| format!("{column} = {value}"));
            words.push_str(&format!(" where {}", values.collect::<Vec<_>>().join(" and ")));
        }
        words
    }
}

/// Finds what made the query of `name` fail with `error`. What it reads must be known to the session.
pub(super) async fn blame(
    session: &SessionContext,
    suite: &Suite,
    name: &str,
    as_of: DateTime<Utc>,
    error: &DataFusionError,
) -> Blame {
    let known = Blame::by_words(suite, name, error);
    if !is_of_the_query(error) {
        return known;
    }
    let Some(table) = suite.tables.get(name) else { return known };
    let Ok(plan) = query_of(session, suite, table, as_of) else { return known };
    let search = Search { session, suite, name };
    match tokio::time::timeout(PATIENCE, search.run(&plan)).await {
        Ok(Some(found)) => found,
        _ => known,
    }
}

#[derive(Clone, Copy)]
struct Search<'a> {
    session: &'a SessionContext,
    suite: &'a Suite,
    name: &'a str,
}

/// A step of a query, with the model in whose SQL it stands.
struct Step {
    owner: String,
    node: LogicalPlan,
}

/// An expression that failed over one row.
struct Failure {
    expression: Expr,
    error: DataFusionError,
    row: RecordBatch,
}

impl Search<'_> {
    async fn run(self, plan: &LogicalPlan) -> Option<Blame> {
        let mut steps = Vec::new();
        self.steps(plan, self.name, &mut steps);
        for step in &steps {
            if let Some(found) = self.look(step, false).await {
                return Some(found);
            }
        }
        // The engine may have asked of a row what the query would have filtered out first.
        for step in &steps {
            if let Some(found) = self.look(step, true).await {
                return Some(found);
            }
        }
        None
    }

    /// Returns the steps of a plan, each after those that it is made from.
    fn steps(self, plan: &LogicalPlan, owner: &str, steps: &mut Vec<Step>) {
        let owner = match plan {
            LogicalPlan::SubqueryAlias(alias) if self.suite.tables.contains_key(alias.alias.table()) => {
                alias.alias.table()
            }
            _ => owner,
        };
        for input in plan.inputs() {
            self.steps(input, owner, steps);
        }
        let mut subqueries = Vec::new();
        let _ = plan.apply_subqueries(|inner| {
            subqueries.push(inner.clone());
            Ok(TreeNodeRecursion::Jump)
        });
        subqueries.iter().for_each(|inner| self.steps(inner, owner, steps));
        let mut can_fail = false;
        let _ = plan.apply_expressions(|expression| {
            can_fail |= may_fail(expression);
            Ok(TreeNodeRecursion::Continue)
        });
        if can_fail {
            steps.push(Step { owner: owner.to_owned(), node: plan.clone() });
        }
    }

    /// Computes the expressions of a step over the rows that it is made from.
    async fn look(self, step: &Step, without_filters: bool) -> Option<Blame> {
        let mut expressions = Vec::new();
        let _ = step.node.apply_expressions(|expression| {
            parts_of_condition(expression, without_filters, &mut expressions);
            Ok(TreeNodeRecursion::Continue)
        });
        expressions.retain(may_fail);
        for input in step.node.inputs() {
            let input = if without_filters { unfiltered(input).ok()? } else { input.clone() };
            let schema = Arc::clone(input.schema());
            // Each side of a join has its own columns.
            let own: Vec<Expr> = expressions.iter().filter(|expression| is_of(expression, &schema)).cloned().collect();
            if own.is_empty() {
                continue;
            }
            if let Ok(Some(failure)) = self.compute(input, &schema, &own).await {
                return Some(self.blame(step, &schema, &failure));
            }
        }
        None
    }

    async fn compute(self, input: LogicalPlan, schema: &DFSchema, expressions: &[Expr]) -> Result<Option<Failure>> {
        let state = self.session.state();
        let physical: Vec<_> = expressions
            .iter()
            .filter_map(|expression| Some((expression, computable(&state, expression, schema).ok()?)))
            .collect();
        let frame = self.session.execute_logical_plan(input).await?;
        let context = Arc::new(frame.task_ctx());
        let mut batches = execute_stream(frame.create_physical_plan().await?, context)?;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            for (expression, physical) in &physical {
                if physical.evaluate(&batch).is_ok() {
                    continue;
                }
                // Halves, of which one fails, until it is one row.
                let mut rows = batch.clone();
                while rows.num_rows() > 1 {
                    let half = rows.num_rows() / 2;
                    let first = rows.slice(0, half);
                    rows = match physical.evaluate(&first) {
                        Err(_) => first,
                        Ok(_) => rows.slice(half, rows.num_rows() - half),
                    };
                }
                if let Err(error) = physical.evaluate(&rows) {
                    let whole = Failure { expression: (*expression).clone(), error, row: rows };
                    return Ok(Some(self.smallest(whole, schema)));
                }
            }
        }
        Ok(None)
    }

    /// Returns the smallest part of an expression that fails over the same row.
    fn smallest(self, mut failure: Failure, schema: &DFSchema) -> Failure {
        loop {
            let mut part = None;
            let _ = failure.expression.apply_children(|child| {
                part = self.error(child, schema, &failure.row).map(|error| (child.clone(), error));
                Ok(if part.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            });
            let part = part.or_else(|| {
                let fails = |part: &Expr| self.error(part, schema, &failure.row).is_some();
                let beginning = shortest(&failure.expression, fails)?;
                let error = self.error(&beginning, schema, &failure.row)?;
                Some((beginning, error))
            });
            match part {
                Some((expression, error)) => failure = Failure { expression, error, row: failure.row },
                None => return failure,
            }
        }
    }

    /// Returns with what an expression fails over a row, if it does.
    fn error(self, expression: &Expr, schema: &DFSchema, row: &RecordBatch) -> Option<DataFusionError> {
        computable(&self.session.state(), expression, schema).ok()?.evaluate(row).err()
    }

    fn blame(self, step: &Step, schema: &DFSchema, failure: &Failure) -> Blame {
        let mut values: Vec<(String, String)> = Vec::new();
        let _ = failure.expression.apply(|part| {
            if let Expr::Column(column) = part
                && let Some(at) = schema.maybe_index_of_column(column)
            {
                let value = shown(&failure.row, at);
                if !values.iter().any(|(name, _)| *name == column.name) {
                    values.push((column.name.clone(), value));
                }
            }
            Ok(TreeNodeRecursion::Continue)
        });
        let written = locate(self.suite, &step.owner, &failure.expression);
        Blame { told: plain(&failure.error), written, values }
    }
}

/// Returns a value of a row as it stands in SQL.
fn shown(row: &RecordBatch, column: usize) -> String {
    let array = row.column(column);
    let options = FormatOptions::default().with_null("null");
    let Ok(formatter) = ArrayFormatter::try_new(array, &options) else { return "?".to_owned() };
    let text = formatter.value(0).to_string();
    if array.is_null(0) {
        return "null".to_owned();
    }
    let cut: String = text.chars().take(MOST_LETTERS).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    if array.data_type().is_numeric() || array.data_type() == &arrow::datatypes::DataType::Boolean {
        format!("{cut}{dots}")
    } else {
        format!("'{}{dots}'", cut.escape_debug())
    }
}

/// Returns whether an expression can fail over some values.
fn may_fail(expression: &Expr) -> bool {
    let mut may = false;
    let _ = expression.apply(|part| {
        may |= match part {
            Expr::Cast(_) | Expr::ScalarFunction(_) | Expr::Negative(_) | Expr::SimilarTo(_) | Expr::Like(_) => true,
            Expr::BinaryExpr(binary) => !matches!(
                binary.op,
                Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
                    | Operator::And
                    | Operator::Or
                    | Operator::IsDistinctFrom
                    | Operator::IsNotDistinctFrom
            ),
            _ => false,
        };
        Ok(if may { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    may
}

/// Adds what can be computed of one row: of an aggregate or a window its arguments, of a condition, if that is asked, each
/// of its parts.
fn parts_of_condition(expression: &Expr, split: bool, found: &mut Vec<Expr>) {
    let has_rows = |expression: &Expr| {
        expression
            .exists(|part| {
                Ok(matches!(part, Expr::AggregateFunction(_) | Expr::WindowFunction(_) | Expr::GroupingSet(_)))
            })
            .unwrap_or(true)
    };
    let is_and = matches!(expression, Expr::BinaryExpr(binary) if binary.op == Operator::And);
    if has_rows(expression) || split && is_and {
        let _ = expression.apply_children(|part| {
            parts_of_condition(part, split, found);
            Ok(TreeNodeRecursion::Continue)
        });
    } else {
        found.push(expression.clone());
    }
}

/// Returns whether all columns of an expression are in `schema`.
fn is_of(expression: &Expr, schema: &DFSchema) -> bool {
    expression.column_refs().iter().all(|column| schema.maybe_index_of_column(column).is_some())
}

/// Returns a plan without its filters.
fn unfiltered(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.clone().transform_down(|node| {
        Ok(match node {
            LogicalPlan::Filter(filter) => Transformed::yes(Arc::unwrap_or_clone(filter.input)),
            node => Transformed::no(node),
        })
    })?;
    Ok(changed.data)
}

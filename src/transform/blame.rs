//! Finds the expression, the place in the SQL, and the row for which a query failed.
//!
//! The engine says what went wrong, of a value, and not where: by then expressions are columns of batches. So a query that
//! failed is done again step by step, each after what it is made from, and the expressions of each step are computed over
//! its rows until one fails: its smallest part that does, with the values it was given. That takes as long as the query
//! did, a few times at most, and ends after a while without an answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::functions::math::expr_fn::abs;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, LogicalPlan, LogicalPlanBuilder, Operator, Window, cast, lit,
};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use serde::Serialize;

use crate::engine::{shortest, unchecked};
use crate::plan::{PlainError, Workspace, WrittenAt, computable, declared_at, is_of_the_query, locate, plain, said_of};
use crate::tables::QueryContext;

/// How long the expression that failed is looked for.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the size of a group is called.
const SIZE: &str = "__size";

/// How many characters of a value are told.
const MOST_LETTERS: usize = 100;

/// Rows that somebody asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Returns these rows and no others.
    pub plan: LogicalPlan,
    /// A plan that the rows go through, and the places of its columns that matter.
    pub columns: (LogicalPlan, Vec<usize>),
}

impl Source {
    /// Returns what leads to a row of a query for what is wrong: the columns matter that its last condition is about.
    #[must_use]
    pub fn of_finding(query: &LogicalPlan, row: &RecordBatch) -> Option<Self> {
        let mut below = query;
        let columns = loop {
            match below {
                LogicalPlan::Filter(filter) => {
                    let input = filter.input.as_ref();
                    break (input.clone(), columns_of(&filter.predicate, input.schema()));
                }
                LogicalPlan::Projection(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::Sort(_)
                | LogicalPlan::Limit(_)
                | LogicalPlan::Distinct(Distinct::All(_)) => below = below.inputs().first().copied()?,
                _ => break (query.clone(), Vec::new()),
            }
        };
        Some(Self { plan: rows_like(query.clone(), row).ok()?, columns })
    }
}

/// The landed records that something comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Records {
    /// How many there are.
    pub count: u64,
    /// File and line of the first of them.
    pub first: Vec<String>,
    /// Why it is not known which they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfollowed: Option<String>,
}

impl Records {
    /// Returns them in words: the first, and how many more there are.
    #[must_use]
    pub fn words(&self) -> String {
        if let Some(why) = &self.unfollowed {
            return format!("not traced: {why}");
        }
        let more = self.count.saturating_sub(self.first.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", self.first.join(", "))
    }
}

/// What made a query fail.
#[derive(Debug, Clone)]
pub struct Blame {
    /// What went wrong, and what to do.
    pub told: PlainError,
    /// Where the expression that failed is written, as far as that is known.
    pub written: Option<WrittenAt>,
    /// The columns that it was computed of, with their values in the row that made it fail.
    pub values: Vec<(String, String)>,
    /// The rows with these values, if they are known.
    pub source: Option<Box<Source>>,
    /// Whether they failed only together.
    pub is_by_many: bool,
    /// The landed records that they come from, if they were looked for and are known.
    pub records: Option<Records>,
}

impl Blame {
    /// What is known of an error by its words alone.
    fn by_words(workspace: &Workspace, name: &str, error: &DataFusionError) -> Self {
        let written = said_of(workspace, name, error).or_else(|| declared_at(workspace, name, None));
        let told = plain(error);
        Self { told, written, values: Vec::new(), source: None, is_by_many: false, records: None }
    }

    /// Returns in words which landed records it comes from, if that was looked for.
    #[must_use]
    pub fn record(&self) -> Option<String> {
        let records = self.records.as_ref()?;
        let of =
            if self.is_by_many && records.count > 1 { format!("any of {}: ", records.count) } else { String::new() };
        let label = if records.count > 1 { "records" } else { "record" };
        Some(format!("{label}: {of}{}", records.words()))
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

/// Finds what made the query of `name`, a model or a check, fail with `error`. What it reads must be known to the session.
///
/// A check of a contract has no query of its own; it is the `other` plan.
pub async fn blame(context: &QueryContext, name: &str, other: Option<LogicalPlan>, error: &DataFusionError) -> Blame {
    let QueryContext { session, workspace, .. } = context;
    let known = Blame::by_words(workspace, name, error);
    if !is_of_the_query(error) {
        return known;
    }
    let own = workspace.tables.get(name).and_then(|table| context.plan(table).ok());
    let Some(plan) = own.or(other) else { return known };
    let search = Search { session, workspace, name };
    match tokio::time::timeout(PATIENCE, search.run(&plan)).await {
        Ok(Some(found)) => found,
        _ => known,
    }
}

#[derive(Clone, Copy)]
struct Search<'a> {
    session: &'a SessionContext,
    workspace: &'a Workspace,
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

/// A group or a window of rows, and the function that failed over them.
struct OverRows<'a> {
    function: &'a Expr,
    arguments: &'a [Expr],
    filter: Option<&'a Expr>,
    /// What tells the groups, or the partitions, apart.
    keys: &'a [Expr],
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
        // No row fails for itself, but many may do so together.
        for step in &steps {
            if let Some(found) = self.look_at_groups(step).await {
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
            LogicalPlan::SubqueryAlias(alias) if self.workspace.tables.contains_key(alias.alias.table()) => {
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
            if let Ok(Some(failure)) = self.compute(input.clone(), &schema, &own).await {
                return Some(self.blame(step, input, &failure));
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
            if batch.num_rows() == 0 {
                continue;
            }
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

    fn blame(self, step: &Step, input: LogicalPlan, failure: &Failure) -> Blame {
        let schema = Arc::clone(input.schema());
        let columns = columns_of(&failure.expression, &schema);
        let mut values: Vec<(String, String)> = Vec::new();
        for &at in &columns {
            let name = schema.field(at).name();
            if !values.iter().any(|(known, _)| known == name) {
                values.push((name.clone(), shown(&failure.row, at)));
            }
        }
        let written = self.written(step, &failure.expression);
        let like = || rows_like(input.clone(), &failure.row).ok();
        let source = (!columns.is_empty()).then(like).flatten();
        let source = source.map(|plan| Box::new(Source { plan, columns: (input, columns) }));
        Blame { told: plain(&failure.error), written, values, source, is_by_many: false, records: None }
    }

    /// Returns what people call the keys of a group by.
    fn name_of(self, step: &Step, key: &Expr) -> String {
        match bare(key) {
            Expr::Column(column) => column.name.clone(),
            other => {
                let text = locate(self.workspace, &step.owner, other).and_then(|written| written.text);
                text.unwrap_or_else(|| unchecked(other).human_display().to_string())
            }
        }
    }

    fn written(self, step: &Step, expression: &Expr) -> Option<WrittenAt> {
        let in_query = locate(self.workspace, &step.owner, expression);
        in_query.or_else(|| declared_at(self.workspace, self.name, Some(expression)))
    }

    /// Computes the aggregates and windows of a step one by one.
    async fn look_at_groups(self, step: &Step) -> Option<Blame> {
        let (input, functions) = match &step.node {
            LogicalPlan::Aggregate(node) => (&node.input, &node.aggr_expr),
            LogicalPlan::Window(node) => (&node.input, &node.window_expr),
            _ => return None,
        };
        for function in functions {
            let over = match (&step.node, bare(function)) {
                (LogicalPlan::Aggregate(node), Expr::AggregateFunction(call)) => OverRows {
                    function,
                    arguments: &call.params.args,
                    filter: call.params.filter.as_deref(),
                    keys: &node.group_expr,
                },
                (_, Expr::WindowFunction(call)) => OverRows {
                    function,
                    arguments: &call.params.args,
                    filter: call.params.filter.as_deref(),
                    keys: &call.params.partition_by,
                },
                _ => continue,
            };
            let plan = over.plan(&step.node, input.as_ref().clone()).ok()?;
            let Err(error) = self.compute_rows(plan).await else { continue };
            // Where the function is not named, a row failed in it that the query has filtered out.
            let mut told = plain(&error);
            let named = format!(" in `{}", name_of_function(bare(function)));
            let Some((before, after)) = told.message.split_once(&named) else { continue };
            let written = self.written(step, bare(function));
            if written.as_ref().is_some_and(|written| written.text.is_some()) {
                let after = after.split_once('`').map_or("", |(_, after)| after);
                told.message = format!("{before}{after}");
            }
            let schema = input.schema();
            let (rows, values) = self.group(step, input, &over).await.unwrap_or_default();
            let columns: BTreeSet<usize> =
                over.arguments.iter().flat_map(|argument| columns_of(argument, schema)).collect();
            let counted = rows
                .into_iter()
                .chain(over.filter.cloned())
                .chain(over.arguments.iter().map(|argument| argument.clone().is_not_null()));
            let plan = conjunction(counted)
                .and_then(|rows| LogicalPlanBuilder::from(input.as_ref().clone()).filter(rows).ok()?.build().ok());
            let columns = (input.as_ref().clone(), columns.into_iter().collect());
            let source = plan.map(|plan| Box::new(Source { plan, columns }));
            return Some(Blame { told, written, values, source, is_by_many: true, records: None });
        }
        None
    }

    /// Returns the group over which a function fails: a condition for its rows, and its keys with their values. Tried are
    /// those with the greatest sums.
    async fn group(
        self,
        step: &Step,
        input: &Arc<LogicalPlan>,
        over: &OverRows<'_>,
    ) -> Option<(Option<Expr>, Vec<(String, String)>)> {
        let argument = over.arguments.first().filter(|_| !over.keys.is_empty())?;
        if over.keys.iter().any(|key| matches!(key, Expr::GroupingSet(_))) {
            return None;
        }
        let size = cast(argument.clone(), DataType::Float64);
        let counted = || {
            let counted = LogicalPlanBuilder::from(input.as_ref().clone());
            over.filter.map_or_else(|| Ok(counted.clone()), |filter| counted.clone().filter(filter.clone()))
        };
        for size in [sum(size.clone()), sum(abs(size))] {
            let greatest = counted()
                .and_then(|rows| rows.aggregate(over.keys.to_vec(), vec![size.alias(SIZE)]))
                .and_then(|groups| groups.sort(vec![abs(Expr::Column(Column::from_name(SIZE))).sort(false, false)]))
                .and_then(|groups| groups.limit(0, Some(1))?.build());
            let Ok(Some(row)) = self.compute_rows(greatest.ok()?).await else { return None };
            let is_it = |(at, key): (usize, &Expr)| is_value(key.clone(), row.column(at));
            let rows =
                over.keys.iter().enumerate().map(is_it).collect::<Result<Vec<_>>>().ok().and_then(conjunction)?;
            let of_group = LogicalPlanBuilder::from(input.as_ref().clone()).filter(rows.clone()).ok()?.build().ok()?;
            if self.compute_rows(over.plan(&step.node, of_group).ok()?).await.is_err() {
                let named = |(at, key): (usize, &Expr)| (self.name_of(step, key), shown(&row, at));
                return Some((Some(rows), over.keys.iter().enumerate().map(named).collect()));
            }
        }
        None
    }

    /// Runs a plan to its end, and returns its first row.
    async fn compute_rows(self, plan: LogicalPlan) -> Result<Option<RecordBatch>> {
        let mut rows = self.session.execute_logical_plan(plan).await?.execute_stream().await?;
        let mut first = None;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            if first.is_none() && batch.num_rows() > 0 {
                first = Some(batch.slice(0, 1));
            }
        }
        Ok(first)
    }
}

impl OverRows<'_> {
    /// Returns the plan of the function alone, over the rows of `input`.
    fn plan(&self, node: &LogicalPlan, input: LogicalPlan) -> Result<LogicalPlan> {
        let (input, function) = (Arc::new(input), vec![self.function.clone()]);
        Ok(match node {
            LogicalPlan::Aggregate(node) => {
                LogicalPlan::Aggregate(Aggregate::try_new(input, node.group_expr.clone(), function)?)
            }
            _ => LogicalPlan::Window(Window::try_new(function, input)?),
        })
    }
}

/// Returns an expression without the name that it is given.
fn bare(expression: &Expr) -> &Expr {
    match expression {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}

fn name_of_function(function: &Expr) -> &str {
    match function {
        Expr::AggregateFunction(call) => call.func.name(),
        Expr::WindowFunction(call) => call.fun.name(),
        _ => "",
    }
}

/// Returns the places of the columns that an expression names.
fn columns_of(expression: &Expr, schema: &DFSchema) -> Vec<usize> {
    let mut columns = Vec::new();
    let _ = expression.apply(|part| {
        if let Expr::Column(column) = part {
            columns.extend(schema.maybe_index_of_column(column).filter(|at| !columns.contains(at)));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    columns
}

/// Returns the rows of a plan that are like a row of it.
fn rows_like(input: LogicalPlan, row: &RecordBatch) -> Result<LogicalPlan> {
    let columns: Vec<(Column, &ArrayRef)> = input.schema().columns().into_iter().zip(row.columns()).collect();
    // The last digits of a float depend on how the rows of its sum were split.
    let is_exact =
        |(_, values): &&(Column, &ArrayRef)| !values.data_type().is_nested() && !values.data_type().is_floating();
    let exact: Vec<_> = columns.iter().filter(is_exact).collect();
    let told = if exact.is_empty() { columns.iter().collect() } else { exact };
    let told = told.into_iter().map(|(column, values)| is_value(Expr::Column(column.clone()), values));
    match conjunction(told.collect::<Result<Vec<_>>>()?) {
        Some(condition) => LogicalPlanBuilder::from(input).filter(condition)?.build(),
        None => Ok(input),
    }
}

/// Returns the condition that an expression has the first of some values.
fn is_value(expression: Expr, values: &ArrayRef) -> Result<Expr> {
    let value = ScalarValue::try_from_array(values, 0)?;
    Ok(if value.is_null() { expression.is_null() } else { expression.eq(lit(value)) })
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
    if array.data_type().is_numeric() || array.data_type() == &DataType::Boolean {
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
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) => true,
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

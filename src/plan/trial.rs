//! Tries a bound query without data: what fails here fails in every run.
//!
//! - Every expression without columns is computed.
//! - A call with some arguments that are given, such as the pattern of a `regexp_like`, is computed with values of all
//!   kinds for the others. If it fails for each of them, the given ones are wrong.
//! - Aggregates and window functions with more than one argument are computed over a few rows.
//! - The whole query is planned down to what would run.
//!
//! Promises: what it finds wrong is wrong. What is data-dependent, such as a cast of a column, is not judged.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    new_null_array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, TableScan, Volatility, WindowFunctionDefinition,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::parquet::errors::ParquetError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::collect;
use serde::{Deserialize, Serialize};

use super::places::{self, InnerKind};
use super::query::Query;
use super::remembered::Remembered;
use super::words::{PlainError, plain, plain_text};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place, SourceFile};
use crate::digest::{Digest, Parts};
use crate::engine::{links, shortest, unchecked};

/// What an expression may ask for at once, before it is taken for a slip.
const MOST_REPEATED: f64 = 10_000_000.0;

/// What has been tried and fails for nothing that is written in it, and what models bound to.
#[derive(Debug, Default)]
pub struct CompileCache {
    /// Whether nothing more is tried: what is not known is bound, and no more.
    is_recalled_only: bool,
    /// Calls, as they are printed.
    calls: Mutex<BTreeSet<String>>,
    /// What was known before.
    known: CompileMemo,
    /// What was met now, and is known or went well.
    sound: Mutex<CompileMemo>,
}

/// What need not be tried again by the same program.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CompileMemo {
    /// Queries, by their digests.
    queries: BTreeSet<String>,
    /// Models, by the digests of all that their binding can see.
    models: BTreeMap<String, Remembered>,
}

impl CompileCache {
    /// Begins with what [`CompileCache::sound`] told of before.
    #[must_use]
    pub fn with(known: CompileMemo) -> Self {
        Self { known, ..Self::default() }
    }

    /// Begins with what [`CompileCache::sound`] told of before, and tries nothing more: models that are known are not bound
    /// again.
    #[must_use]
    pub fn recalled(known: CompileMemo) -> Self {
        let met = CompileMemo { queries: known.queries.clone(), models: BTreeMap::new() };
        Self { is_recalled_only: true, known, sound: Mutex::new(met), ..Self::default() }
    }

    /// Returns whether what is not known is tried.
    pub(super) fn tries(&self) -> bool {
        !self.is_recalled_only
    }

    /// Returns whether there is more to remember than there was.
    #[must_use]
    pub fn has_news(&self) -> bool {
        let known = &self.known.models;
        locked(&self.sound).models.keys().any(|key| !known.contains_key(key))
    }

    /// Returns what was met and need not be tried again.
    #[must_use]
    pub fn sound(&self) -> CompileMemo {
        locked(&self.sound).clone()
    }

    /// Returns what a model bound to before, and remembers that it was met.
    pub(super) fn bound_before(&self, key: &Digest) -> Option<&Remembered> {
        let known = self.known.models.get(key.as_str()).filter(|known| known.is_tried || !self.tries())?;
        self.bound(key, known.clone());
        Some(known)
    }

    /// Remembers what a model bound to.
    pub(super) fn bound(&self, key: &Digest, model: Remembered) {
        locked(&self.sound).models.insert(key.as_str().to_owned(), model);
    }

    /// Returns whether a query was tried before, and remembers that it was met.
    pub(super) fn has(&self, text: &str, plan: &LogicalPlan) -> bool {
        let key = key(text, plan);
        let has = self.known.queries.contains(&key);
        if has {
            locked(&self.sound).queries.insert(key);
        }
        has
    }

    fn went_well(&self, text: &str, plan: &LogicalPlan) {
        locked(&self.sound).queries.insert(key(text, plan));
    }

    fn is_sound(&self, call: &str) -> bool {
        locked(&self.calls).contains(call)
    }

    fn remember(&self, call: String) {
        locked(&self.calls).insert(call);
    }
}

/// Returns what tells a query and the types of what it reads from others.
fn key(text: &str, plan: &LogicalPlan) -> String {
    let mut parts = Parts::of("tried");
    parts.add(text);
    parts.add(plan.display_indent_schema().to_string());
    parts.digest().as_str().to_owned()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A query to try.
#[derive(Clone, Copy)]
pub(super) struct Trial<'a> {
    pub(super) session: &'a SessionState,
    pub(super) file: &'a SourceFile,
    pub(super) query: &'a Query,
    pub(super) tried: &'a CompileCache,
}

/// An expression that fails whatever the data.
struct Failing {
    expression: Expr,
    told: PlainError,
    /// What the expression stands in, the nearest first.
    around: Vec<Expr>,
}

impl Trial<'_> {
    /// Returns what is wrong with `plan`, the query as it is bound; with `whole`, the same over the views that it reads.
    pub(super) fn run(self, plan: &LogicalPlan, whole: &LogicalPlan) -> Diagnostics {
        let mut mistakes = self.values(plan);
        if mistakes.is_empty()
            && let Err(error) = self.plan_physically(whole)
            && is_of_the_query(&error)
        {
            mistakes.extend(self.not_planned(plan, whole, &error));
        }
        if mistakes.is_empty() {
            self.tried.went_well(self.query.canonical(), whole);
        }
        mistakes
    }

    /// Returns the mistakes of values that are written in a query.
    pub(super) fn values(self, plan: &LogicalPlan) -> Diagnostics {
        let mut mistakes = Diagnostics::default();
        let mut taken: BTreeSet<(usize, usize)> = BTreeSet::new();
        for failing in self.failing(plan) {
            mistakes.push(self.mistake(&failing, &mut taken));
        }
        mistakes
    }

    /// Returns the expressions of a plan that fail whatever the data, the smallest ones.
    fn failing(self, plan: &LogicalPlan) -> Vec<Failing> {
        let mut found = Vec::new();
        let _ = plan.apply_with_subqueries(|node| {
            let schema = input_schema(node);
            node.apply_expressions(|expression| {
                self.examine(expression, &schema, &mut Vec::new(), &mut found);
                Ok(TreeNodeRecursion::Continue)
            })
        });
        found
    }

    fn examine(self, expression: &Expr, schema: &DFSchema, around: &mut Vec<Expr>, found: &mut Vec<Failing>) {
        if matches!(expression, Expr::Literal(..) | Expr::Column(_)) {
            return;
        }
        if let Some(told) = asks_too_much(expression) {
            found.push(Failing { expression: expression.clone(), told, around: around.clone() });
            return;
        }
        let before = found.len();
        let error = if is_constant(expression) {
            match self.compute(expression) {
                Ok(_) => return,
                Err(error) => Some(error),
            }
        } else {
            None
        };
        around.insert(0, expression.clone());
        self.examine_parts(expression, schema, around, found);
        around.remove(0);
        if found.len() > before {
            return;
        }
        if let Some(error) = error {
            let part = shortest(expression, |part| self.compute(part).is_err());
            found.push(Failing {
                expression: part.unwrap_or_else(|| expression.clone()),
                told: plain(&error),
                around: around.clone(),
            });
            return;
        }
        // Of a chain of operators each link may fail by itself; of the others it is judged as a whole.
        let parts = links(expression, is_constant);
        for part in parts.as_deref().unwrap_or(std::slice::from_ref(expression)) {
            if let Err(error) = self.try_call(part, schema) {
                found.push(Failing { expression: part.clone(), told: plain(&error), around: around.clone() });
                return;
            }
        }
    }

    fn examine_parts(self, expression: &Expr, schema: &DFSchema, around: &mut Vec<Expr>, found: &mut Vec<Failing>) {
        // What a CASE never comes to is not computed.
        if let Expr::Case(case) = expression
            && case.expr.is_none()
        {
            for (when, then) in &case.when_then_expr {
                self.examine(when, schema, around, found);
                let known = if is_constant(when) { self.compute(when).ok() } else { None };
                match known {
                    Some(ScalarValue::Boolean(Some(true))) => return self.examine(then, schema, around, found),
                    Some(ScalarValue::Boolean(_) | ScalarValue::Null) => {}
                    _ => self.examine(then, schema, around, found),
                }
            }
            if let Some(other) = &case.else_expr {
                self.examine(other, schema, around, found);
            }
            return;
        }
        let _ = expression.apply_children(|part| {
            self.examine(part, schema, around, found);
            Ok(TreeNodeRecursion::Continue)
        });
    }

    /// Computes an expression without columns.
    fn compute(self, expression: &Expr) -> Result<ScalarValue> {
        let batch = one_row()?;
        let schema = DFSchema::empty();
        let physical = match self.simple(expression.clone(), &schema)? {
            Expr::Literal(value, _) => return Ok(value),
            simple => self.session.create_physical_expr(simple, &schema)?,
        };
        ScalarValue::try_from_array(&physical.evaluate(&batch)?.into_array(1)?, 0)
    }

    fn simple(self, expression: Expr, schema: &DFSchema) -> Result<Expr> {
        simple(self.session, expression, schema)
    }

    /// Computes a call whose given arguments may be wrong, with values of all kinds for the others.
    fn try_call(self, expression: &Expr, schema: &DFSchema) -> Result<()> {
        match expression {
            Expr::AggregateFunction(call) if call.params.args.len() > 1 => self.over_rows(expression, schema),
            Expr::WindowFunction(call) => {
                let own = matches!(call.fun, WindowFunctionDefinition::WindowUDF(_));
                let enough = if own { 1 } else { 2 };
                // Not every aggregate can take rows out again.
                let slides = !own && !call.params.window_frame.start_bound.is_unbounded();
                if slides || call.params.args.len() >= enough { self.over_rows(expression, schema) } else { Ok(()) }
            }
            Expr::ScalarFunction(call) => {
                let name = call.func.name();
                if let Some(error) = wrong_format(name, &call.args) {
                    return Err(error);
                }
                let has_given = call.args.iter().any(is_constant);
                let is_judged =
                    has_given && !reads_text(name) && call.func.signature().volatility == Volatility::Immutable;
                if is_judged { self.for_any_values(expression, schema) } else { Ok(()) }
            }
            Expr::BinaryExpr(binary) => {
                let can_fail = matches!(
                    binary.op,
                    Operator::Divide
                        | Operator::Modulo
                        | Operator::RegexMatch
                        | Operator::RegexIMatch
                        | Operator::RegexNotMatch
                        | Operator::RegexNotIMatch
                        | Operator::BitwiseShiftLeft
                        | Operator::BitwiseShiftRight
                );
                let has_given = is_constant(&binary.left) || is_constant(&binary.right);
                if can_fail && has_given { self.for_any_values(expression, schema) } else { Ok(()) }
            }
            Expr::SimilarTo(_) | Expr::Like(_) => self.for_any_values(expression, schema),
            Expr::Cast(cast) => {
                if let DataType::Timestamp(_, Some(zone)) = cast.field.data_type() {
                    zone.parse::<Tz>()?;
                }
                let from = cast.expr.get_type(schema);
                let is_text = from.as_ref().map_or(true, |kind| {
                    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
                        || kind.is_nested()
                        || matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
                });
                if is_text { Ok(()) } else { self.for_any_values(expression, schema) }
            }
            _ => Ok(()),
        }
    }

    /// Succeeds if the expression can be computed for some values of what is not given.
    fn for_any_values(self, expression: &Expr, schema: &DFSchema) -> Result<()> {
        let mut columns = Vec::new();
        let Ok(call) = with_columns_for_parts(expression, schema, &mut columns) else { return Ok(()) };
        let shown = format!("{call} over {columns:?}");
        if self.tried.is_sound(&shown) {
            return Ok(());
        }
        if !columns.iter().all(has_samples) {
            return Ok(());
        }
        let batch = sample(&columns)?;
        let own = DFSchema::try_from(batch.schema().as_ref().clone())?;
        let physical = self.session.create_physical_expr(self.simple(call, &own)?, &own)?;
        let mut first = None;
        if let Err(error) = physical.evaluate(&batch) {
            first = Some(error);
            // Of nulls most things are null.
            for row in 0..batch.num_rows() - 1 {
                if physical.evaluate(&batch.slice(row, 1)).is_ok() {
                    first = None;
                    break;
                }
            }
        }
        if let Some(error) = first {
            return Err(error);
        }
        self.tried.remember(shown);
        Ok(())
    }

    /// Computes an aggregate or a window function over a few rows.
    fn over_rows(self, expression: &Expr, schema: &DFSchema) -> Result<()> {
        let mut columns = Vec::new();
        let Ok(call) = with_columns_for_parts(expression, schema, &mut columns) else { return Ok(()) };
        let shown = format!("{call} over {columns:?}");
        if self.tried.is_sound(&shown) {
            return Ok(());
        }
        let batch = sample(&columns)?;
        let rows = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        let scan = LogicalPlanBuilder::scan("rows", provider_as_source(Arc::new(rows)), None)?;
        let call = call.transform(|part| {
            Ok(match part {
                Expr::Column(column) => Transformed::yes(Expr::Column(Column::new(Some("rows"), column.name))),
                part => Transformed::no(part),
            })
        })?;
        let plan = match &call.data {
            Expr::WindowFunction(_) => scan.window([call.data])?,
            _ => scan.aggregate(Vec::<Expr>::new(), [call.data])?,
        };
        self.execute(&plan.build()?)?;
        self.tried.remember(shown);
        Ok(())
    }

    fn execute(self, plan: &LogicalPlan) -> Result<()> {
        let runtime = runtime()?;
        runtime.block_on(async {
            let plan = self.session.create_physical_plan(plan).await?;
            collect(plan, self.session.task_ctx()).await.map(|_| ())
        })
    }

    fn plan_physically(self, plan: &LogicalPlan) -> Result<()> {
        runtime()?.block_on(self.session.create_physical_plan(plan)).map(|_| ())
    }

    fn mistake(self, failing: &Failing, taken: &mut BTreeSet<(usize, usize)>) -> Diagnostic {
        let Failing { expression, told, around } = failing;
        let expression = &unchecked(expression);
        let at = self.place(expression, around, taken);
        let message = called(expression).map_or_else(|| told.message.clone(), |name| with_name(name, &told.message));
        Diagnostic::new(Code::NeverWorks, at, message).label("fails whatever the data").maybe_help(told.help.clone())
    }

    /// Returns where an expression is written, or else the nearest that it stands in.
    fn place(self, expression: &Expr, around: &[Expr], taken: &mut BTreeSet<(usize, usize)>) -> Place {
        let mut own = places::of(self.query, self.file, expression);
        if own.len() > 1 {
            // What it stands in tells which of them it is.
            for outer in around {
                let outer = places::of(self.query, self.file, outer);
                let inside: Vec<Range<usize>> = own
                    .iter()
                    .filter(|at| outer.iter().any(|outer| outer.start <= at.start && at.end <= outer.end))
                    .cloned()
                    .collect();
                if !inside.is_empty() {
                    own = inside;
                    break;
                }
            }
        }
        if own.is_empty()
            && let Some(name) = called(expression)
            && let Some(at) = places::of_word(self.query, self.file, name)
        {
            own.push(at);
        }
        let found = own.iter().find(|at| !taken.contains(&(at.start, at.end))).or(own.first()).cloned();
        let found = found
            .or_else(|| around.iter().find_map(|outer| places::of(self.query, self.file, outer).into_iter().next()));
        match found {
            Some(at) => {
                taken.insert((at.start, at.end));
                self.file.at(at)
            }
            None => self.file.whole(),
        }
    }

    /// Says why a query that means something cannot be planned.
    fn not_planned(self, plan: &LogicalPlan, whole: &LogicalPlan, error: &DataFusionError) -> Diagnostics {
        let words = error.find_root().strip_backtrace();
        let mut columns = BTreeSet::new();
        if let Ok(optimized) = self.session.optimize(whole) {
            columns.extend(
                outer_columns(&optimized).iter().filter_map(|c| places::of_column(self.file, c)).map(|at| at.start),
            );
        }
        if columns.is_empty() && is_about_outer_columns(&words) {
            columns
                .extend(outer_columns(plan).iter().filter_map(|c| places::of_column(self.file, c)).map(|at| at.start));
        }
        let inner = places::inner(self.query, self.file);
        let mut told = BTreeSet::new();
        let mut mistakes = Diagnostics::default();
        for column in columns {
            let around = inner.iter().filter(|inner| inner.bytes.contains(&column));
            let Some(inner) = around.min_by_key(|inner| inner.bytes.len()) else { continue };
            if told.insert(inner.bytes.start) {
                mistakes.push(self.correlated(inner.kind, inner.bytes.clone()));
            }
        }
        if !mistakes.is_empty() {
            return mistakes;
        }
        if is_about_outer_columns(&words)
            && let Some(inner) = inner.iter().find(|inner| inner.kind != InnerKind::Derived).or(inner.first())
        {
            let has_outer = !outer_columns(plan).is_empty();
            if has_outer {
                return self.correlated(inner.kind, inner.bytes.clone()).into();
            }
            return Diagnostic::new(
                Code::NotPlanned,
                self.file.at(inner.bytes.clone()),
                "this subquery cannot be computed here",
            )
            .help("join what it selects, or select from a table in it")
            .into();
        }
        let at = super::bind::place_of_quoted(self.file, self.query, &words);
        let told = plain_text(&words);
        // A literal that the planner computes, deep in what it made of the query.
        let literal = words.split('\'').nth(1).and_then(|literal| {
            let value = Expr::Literal(ScalarValue::Utf8(Some(literal.to_owned())), None);
            places::of(self.query, self.file, &value).into_iter().next()
        });
        let at = literal.map(|at| self.file.at(at)).or(at).unwrap_or_else(|| self.file.whole());
        Diagnostic::new(Code::NotPlanned, at, format!("this query cannot be run: {}", told.message))
            .maybe_help(told.help)
            .into()
    }

    fn correlated(self, kind: InnerKind, at: Range<usize>) -> Diagnostic {
        let (message, help) = match kind {
            InnerKind::Function => (
                "a function in FROM cannot take columns of the tables beside it",
                "make the rows in the SELECT list: `select id, unnest(string_to_array(tags, ' ')) as tag from t`",
            ),
            InnerKind::Lateral => (
                "a lateral subquery can only be matched by equality, and without ORDER BY and LIMIT",
                "join the table and keep one row of each: `row_number() over (partition by … order by …) as n`, and `where n = 1` in \
                 a query around it",
            ),
            InnerKind::Condition => (
                "EXISTS and IN over the rows around them cannot be computed here",
                "write them into WHERE, matched by equality; elsewhere LEFT JOIN the distinct values and ask `is not null` of one",
            ),
            InnerKind::Expression | InnerKind::Derived => (
                "this subquery depends on the row around it in a way that cannot be computed",
                "it may only be matched by equality. Join the table instead and group, or keep one row of each: \
                 `row_number() over (partition by … order by …) as n`, and `where n = 1` in a query around it",
            ),
        };
        Diagnostic::new(Code::Correlated, self.file.at(at), message).help(help)
    }
}

/// Returns an expression as the optimiser leaves it; some functions exist only before that.
fn simple(session: &SessionState, expression: Expr, schema: &DFSchema) -> Result<Expr> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .with_config_options(Arc::clone(session.config_options()))
        .with_query_execution_start_time(session.execution_props().query_execution_start_time)
        .build();
    ExprSimplifier::new(context).simplify(expression)
}

/// Returns an expression over columns of `schema` as it is computed.
///
/// # Errors
/// When it cannot be computed, whatever the rows.
pub fn computable(session: &SessionState, expression: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
    session.create_physical_expr(simple(session, expression.clone(), schema)?, schema)
}

/// Returns the name of the function that an expression calls.
fn called(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::ScalarFunction(call) => Some(call.func.name()),
        Expr::AggregateFunction(call) => Some(call.func.name()),
        Expr::WindowFunction(call) => Some(call.fun.name()),
        _ => None,
    }
}

fn with_name(name: &str, message: &str) -> String {
    if message.contains(&format!("`{name}`")) || message.starts_with(&format!("{name} ")) {
        message.to_owned()
    } else {
        format!("`{name}`: {message}")
    }
}

/// Returns whether an error comes of the query, and not of a disk or a lack of memory.
#[must_use]
pub fn is_of_the_query(error: &DataFusionError) -> bool {
    // What a condition fails over that is asked while a file is read comes out as an error of Arrow within others.
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let of_arrow = error.downcast_ref::<ArrowError>();
        if of_arrow.is_some_and(|error| !matches!(error, ArrowError::IoError(..) | ArrowError::ExternalError(_)))
            || matches!(error.downcast_ref(), Some(ParquetError::ArrowError(_)))
        {
            return true;
        }
        cause = error.source();
    }
    !matches!(
        error.find_root(),
        DataFusionError::IoError(_)
            | DataFusionError::ObjectStore(_)
            | DataFusionError::ParquetError(_)
            | DataFusionError::ResourcesExhausted(_)
            | DataFusionError::External(_)
    )
}

fn is_about_outer_columns(words: &str) -> bool {
    ["OuterReferenceColumn", "ScalarSubquery", "Subquery", "subquery", "LATERAL", "lateral", "Exists", "outer_ref"]
        .iter()
        .any(|word| words.contains(word))
}

/// Returns the columns of outer queries that are left in a plan.
fn outer_columns(plan: &LogicalPlan) -> Vec<Column> {
    let mut found = Vec::new();
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::OuterReferenceColumn(_, column) = part {
                    found.push(column.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    found
}

/// Returns the columns that the expressions of a node may name.
fn input_schema(node: &LogicalPlan) -> DFSchema {
    let mut inputs = node.inputs().into_iter();
    let Some(first) = inputs.next() else { return node.schema().as_ref().clone() };
    let mut schema = first.schema().as_ref().clone();
    inputs.for_each(|input| schema.merge(input.schema()));
    schema
}

/// Returns whether an expression has one value, whatever the rows.
fn is_constant(expression: &Expr) -> bool {
    let mut constant = true;
    let _ = expression.apply(|part| {
        constant = match part {
            Expr::Column(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::ScalarVariable(..)
            | Expr::AggregateFunction(_)
            | Expr::WindowFunction(_)
            | Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::SetComparison(_)
            | Expr::ScalarSubquery(_)
            | Expr::GroupingSet(_)
            | Expr::Placeholder(_)
            | Expr::Unnest(_) => false,
            Expr::ScalarFunction(call) => call.func.signature().volatility == Volatility::Immutable,
            Expr::Alias(_)
            | Expr::Literal(..)
            | Expr::BinaryExpr(_)
            | Expr::Like(_)
            | Expr::SimilarTo(_)
            | Expr::Not(_)
            | Expr::IsNotNull(_)
            | Expr::IsNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Negative(_)
            | Expr::Between(_)
            | Expr::Case(_)
            | Expr::Cast(_)
            | Expr::TryCast(_)
            | Expr::InList(_) => true,
            _ => false,
        };
        Ok(if constant { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    constant
}

/// Returns whether a function reads values out of texts, so that it depends on the text whether it can.
fn reads_text(function: &str) -> bool {
    let makes_text = matches!(function, "to_char" | "to_hex");
    function.starts_with("to_") && !makes_text
        || matches!(function, "decode" | "arrow_cast" | "arrow_try_cast" | "arrow_field")
}

/// Returns what is wrong with a format of dates that is given.
fn wrong_format(function: &str, arguments: &[Expr]) -> Option<DataFusionError> {
    let has_formats =
        function == "to_char" || function.starts_with("to_timestamp") || function == "to_date" || function == "to_time";
    if !has_formats || arguments.len() < 2 {
        return None;
    }
    for argument in &arguments[1..] {
        let Expr::Literal(
            ScalarValue::Utf8(Some(format))
            | ScalarValue::LargeUtf8(Some(format))
            | ScalarValue::Utf8View(Some(format)),
            _,
        ) = argument
        else {
            continue;
        };
        // `%c` and the like are parts of chrono's language too, so only what it does not know is wrong.
        if chrono::format::StrftimeItems::new(format).any(|item| matches!(item, chrono::format::Item::Error)) {
            return Some(DataFusionError::Execution(format!(
                "'{format}' is no format of dates: after a `%` stands one of Y m d H M S and others, as in '%Y-%m-%d %H:%M:%S'"
            )));
        }
    }
    None
}

/// Returns what is wrong with an expression that would make more than fits into memory.
fn asks_too_much(expression: &Expr) -> Option<PlainError> {
    let Expr::ScalarFunction(call) = expression else { return None };
    let name = call.func.name();
    if !matches!(
        name,
        "range" | "generate_series" | "repeat" | "lpad" | "rpad" | "array_repeat" | "array_resize" | "space"
    ) {
        return None;
    }
    let numbers: Vec<f64> = call.args.iter().filter_map(number).collect();
    let most = match name {
        "range" | "generate_series" => match numbers.as_slice() {
            [end] => end.abs(),
            [start, end] => (end - start).abs(),
            [start, end, step, ..] if *step != 0.0 => ((end - start) / step).abs(),
            _ => 0.0,
        },
        _ => numbers.iter().copied().fold(0.0, f64::max),
    };
    (most > MOST_REPEATED).then(|| PlainError {
        message: format!("`{name}` would make {most} values for each row"),
        help: Some(format!("up to {MOST_REPEATED} can be made at once")),
    })
}

fn number(expression: &Expr) -> Option<f64> {
    match expression {
        Expr::Literal(value, _) if value.data_type().is_numeric() => value.to_string().parse().ok(),
        Expr::Cast(cast) => number(&cast.expr),
        Expr::Negative(inner) => Some(-number(inner)?),
        Expr::Alias(alias) => number(&alias.expr),
        _ => None,
    }
}

/// Returns a call with a column for each of its arguments that is not given, and adds the types of these to `columns`.
fn with_columns_for_parts(expression: &Expr, schema: &DFSchema, columns: &mut Vec<DataType>) -> Result<Expr> {
    let changed = expression.clone().map_children(|part| {
        if is_constant(&part) {
            return Ok(Transformed::no(part));
        }
        let kind = part.get_type(schema)?;
        columns.push(kind);
        Ok(Transformed::yes(Expr::Column(Column::from_name(format!("c{}", columns.len() - 1)))))
    })?;
    Ok(changed.data)
}

/// Returns whether [`sample`] has values of a type.
fn has_samples(kind: &DataType) -> bool {
    kind.is_numeric()
        || matches!(
            kind,
            DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
                | DataType::Boolean
                | DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(..)
        )
}

/// Returns a few rows with values of all kinds: a row of plain ones first, a row of nulls last.
fn sample(columns: &[DataType]) -> Result<RecordBatch> {
    let rows = 7;
    let numbers: ArrayRef =
        Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(0), Some(7), Some(-1), Some(100), None]));
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for kind in columns {
        let array: ArrayRef = match kind {
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView => {
                let texts = [
                    Some("1"),
                    Some("a"),
                    Some("2024-01-31"),
                    Some(""),
                    Some("é x"),
                    Some("2024-01-31T10:00:00Z"),
                    None,
                ];
                cast(&StringArray::from(texts.to_vec()), kind)?
            }
            DataType::Boolean => Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(false),
                Some(true),
                Some(true),
                Some(false),
                Some(true),
                None,
            ])),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                let values = vec![Some(1.0), Some(2.0), Some(0.0), Some(0.5), Some(-1.0), Some(100.0), None];
                cast(&Float64Array::from(values), kind)?
            }
            kind if kind.is_numeric() => cast(&numbers, kind)?,
            DataType::Date32 | DataType::Date64 => {
                let days = vec![Some(19_753), Some(0), Some(19_782), Some(20_000), Some(-1), Some(11_016), None];
                cast(&Date32Array::from(days), kind)?
            }
            DataType::Timestamp(unit, _) => {
                let days = vec![Some(19_753), Some(0), Some(19_782), Some(20_000), Some(-1), Some(11_016), None];
                let without_zone = cast(&Date32Array::from(days), &DataType::Timestamp(*unit, None))?;
                cast(&without_zone, kind)?
            }
            kind => new_null_array(kind, rows),
        };
        arrays.push(array);
    }
    let fields: Vec<Field> = arrays
        .iter()
        .enumerate()
        .map(|(at, array)| Field::new(format!("c{at}"), array.data_type().clone(), true))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}

fn one_row() -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?)
}

/// Nothing is waited for, but some operators start tasks.
fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().thread_stack_size(super::depth::STACK_BYTES).build().map_err(DataFusionError::IoError)
}

/// Returns a plan in which the queries of views stand where they are read.
///
/// # Errors
/// Whatever `view` says.
pub(super) fn with_views(
    plan: &LogicalPlan,
    view: impl Fn(&str) -> Result<Option<Arc<LogicalPlan>>>,
) -> Result<LogicalPlan> {
    let changed = plan.clone().transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(TableScan { table_name, projection: None, filters, fetch: None, .. }) = &node else {
            return Ok(Transformed::no(node));
        };
        match view(table_name.table())? {
            Some(inner) if filters.is_empty() => {
                let inner = LogicalPlanBuilder::from(Arc::unwrap_or_clone(inner)).alias(table_name.clone())?.build()?;
                Ok(Transformed::yes(inner))
            }
            _ => Ok(Transformed::no(node)),
        }
    })?;
    Ok(changed.data)
}

//! Runs a query step by step and remembers of every row which rows of the step before it was made of.
//!
//! Every operator of an optimised plan is run for itself over the rows that the ones below it returned, each with its
//! number, so that what an operator hands on of a row tells which one it was. The rows of groups are found by their keys,
//! and those of window frames by the least and greatest place in them.
//!
//! All rows of all steps are kept, so that there is a bound on both their number and their memory.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt64Array, new_null_array,
};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, UInt64Type};
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::catalog::MemTable;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DFSchemaRef, DataFusionError, JoinType, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::functions_aggregate::first_last::{first_value_udaf, last_value_udaf};
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::{
    AggregateFunction, NullTreatment, Sort as SortExpr, WindowFunction, WindowFunctionParams,
};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, GroupingSet, Join, LogicalPlan, LogicalPlanBuilder, Projection, RecursiveQuery,
    TableScan, Window, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SessionContext, when};
use futures::StreamExt;
use futures::future::BoxFuture;

use super::numbered::Stored;
use super::trace::{Frames, Node, Origin, Reach, Spec};
use crate::transform::is_out_of_memory;

/// What the number of a row is called beside its columns.
const ROW: &str = "__row";
const LEFT_ROW: &str = "__left_row";
const RIGHT_ROW: &str = "__right_row";

/// So many rounds of a recursive query are followed.
const MOST_ROUNDS: usize = 100;

/// Why a query was not evaluated to its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// More rows than may be kept.
    Rows,
    /// More memory than may be used.
    Memory,
    /// A step of a recursion is of a kind that is not followed.
    Recursion,
    /// The query failed.
    Failed(DataFusionError),
}

impl From<DataFusionError> for Halt {
    fn from(error: DataFusionError) -> Self {
        if is_out_of_memory(&error) { Self::Memory } else { Self::Failed(error) }
    }
}

impl From<arrow::error::ArrowError> for Halt {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::from(DataFusionError::from(error))
    }
}

/// How much may be kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) rows: u64,
    pub(super) bytes: usize,
}

/// The rows that a scan returned, with their numbers in the table.
#[derive(Clone)]
struct Scanned {
    rows: RecordBatch,
    numbers: Arc<Vec<u64>>,
}

/// An evaluation under way.
pub(super) struct Evaluation<'a> {
    session: &'a SessionContext,
    tables: &'a HashMap<String, Stored<'a>>,
    bounds: Bounds,
    /// How many rows were kept up to now.
    pub(super) rows: u64,
    bytes: usize,
    scans: HashMap<TableScan, Scanned>,
    /// What recursive queries returned in the round before, by their names.
    rounds: HashMap<String, Arc<Node>>,
}

impl<'a> Evaluation<'a> {
    /// Begins one. The session has one thread, so that rows keep their order, and `tables` has what the query reads.
    pub(super) fn new(session: &'a SessionContext, tables: &'a HashMap<String, Stored<'a>>, bounds: Bounds) -> Self {
        Self { session, tables, bounds, rows: 0, bytes: 0, scans: HashMap::new(), rounds: HashMap::new() }
    }

    /// Evaluates an optimised plan.
    pub(super) fn node<'b>(&'b mut self, plan: &'b LogicalPlan) -> BoxFuture<'b, Result<Node, Halt>> {
        Box::pin(async move {
            if !self.reads(plan)? {
                let rows = self.run(plan.clone()).await?;
                return Ok(node(plan.schema(), positional(rows.columns(), rows.num_rows())?, Origin::Constant, true));
            }
            if plan.expressions().iter().any(has_subquery) {
                return self.opaque(plan).await;
            }
            match plan {
                LogicalPlan::TableScan(scan) if self.rounds.contains_key(scan.table_name.table()) => self.round(scan),
                LogicalPlan::TableScan(scan) => self.scan(scan).await,
                LogicalPlan::RecursiveQuery(query) if !query.is_distinct => {
                    let halted = match self.recursion(query).await {
                        Err(Halt::Recursion) => self.opaque(plan).await,
                        other => other,
                    };
                    let _ = self.rounds.remove(&query.name);
                    halted
                }
                LogicalPlan::SubqueryAlias(_) | LogicalPlan::Repartition(_) => {
                    let input = self.node(only_input(plan)).await?;
                    let (rows, is_row_local) = (input.rows.clone(), input.is_row_local);
                    Ok(node(plan.schema(), rows, Origin::Same(Box::new(input)), is_row_local))
                }
                LogicalPlan::Projection(projection) => {
                    let input = self.node(&projection.input).await?;
                    let mut columns = projection.expr.clone();
                    columns.push(column(ROW));
                    let over = Arc::new(source(&input, ROW)?);
                    let step = LogicalPlan::Projection(Projection::try_new(columns, over)?);
                    self.passing(plan, input, step).await
                }
                LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::Unnest(_) => {
                    let input = self.node(only_input(plan)).await?;
                    let over = source(&input, ROW)?;
                    let step = plan.with_new_exprs(plan.expressions(), vec![over])?;
                    self.passing(plan, input, step).await
                }
                LogicalPlan::Union(union) => {
                    let mut inputs = Vec::with_capacity(union.inputs.len());
                    for input in &union.inputs {
                        inputs.push(self.node(input).await?);
                    }
                    let rows = stacked(&union.schema, &inputs)?;
                    self.keep(&rows)?;
                    let is_row_local = inputs.iter().all(|input| input.is_row_local);
                    Ok(node(plan.schema(), rows, Origin::Union(inputs), is_row_local))
                }
                LogicalPlan::Join(join) => self.join(plan, join).await,
                LogicalPlan::Aggregate(aggregate) => {
                    let input = self.node(&aggregate.input).await?;
                    self.aggregate(plan.schema(), input, &aggregate.group_expr, &aggregate.aggr_expr).await
                }
                LogicalPlan::Distinct(Distinct::All(below)) => {
                    let columns: Vec<Expr> = below.schema().columns().into_iter().map(Expr::Column).collect();
                    let input = self.node(below).await?;
                    self.aggregate(plan.schema(), input, &columns, &[]).await
                }
                LogicalPlan::Window(window) => self.window(plan, window).await,
                _ => self.opaque(plan).await,
            }
        })
    }

    /// Runs an evaluated plan again, of each table over some rows only.
    pub(super) async fn again(
        &mut self,
        plan: &LogicalPlan,
        wanted: impl Fn(&str, u64) -> bool + Copy,
    ) -> Result<RecordBatch, Halt> {
        let narrowed = |below: LogicalPlan| {
            let LogicalPlan::TableScan(scan) = &below else { return Ok(Transformed::no(below)) };
            let Some(scanned) = self.scans.get(scan) else { return Ok(Transformed::no(below)) };
            let table = scan.table_name.table();
            let is_wanted: BooleanArray = scanned.numbers.iter().map(|&number| Some(wanted(table, number))).collect();
            let rows = filter_record_batch(&scanned.rows, &is_wanted)?;
            Ok(Transformed::yes(source_of(&rows, &scan.projected_schema, None)?))
        };
        let plan = plan.clone().transform_down_with_subqueries(narrowed)?.data;
        self.run(plan).await
    }

    /// Returns whether a plan reads a table, and not only constants.
    fn reads(&self, plan: &LogicalPlan) -> Result<bool, Halt> {
        let mut found = false;
        plan.apply_with_subqueries(|below| {
            if let LogicalPlan::TableScan(scan) = below {
                let name = scan.table_name.table();
                found |= self.tables.contains_key(name) || self.rounds.contains_key(name);
            }
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        Ok(found)
    }

    /// Runs a plan as it stands, and returns its rows.
    async fn run(&mut self, plan: LogicalPlan) -> Result<RecordBatch, Halt> {
        let state = self.session.state();
        let physical = state.query_planner().create_physical_plan(&plan, &state).await?;
        let schema = physical.schema();
        let mut stream = execute_stream(physical, self.session.task_ctx())?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            self.rows += batch.num_rows() as u64;
            if self.rows > self.bounds.rows {
                return Err(Halt::Rows);
            }
            if batch.num_rows() > 0 {
                batches.push(batch);
            }
        }
        if schema.fields().is_empty() {
            let rows = batches.iter().map(RecordBatch::num_rows).sum();
            return Ok(positional(&[], rows)?);
        }
        let rows = concat_batches(&schema, &batches)?;
        self.keep(&rows)?;
        Ok(rows)
    }

    /// Counts the memory of rows that are kept.
    fn keep(&mut self, rows: &RecordBatch) -> Result<(), Halt> {
        self.bytes = self.bytes.saturating_add(rows.get_array_memory_size());
        if self.bytes > self.bounds.bytes { Err(Halt::Memory) } else { Ok(()) }
    }

    async fn scan(&mut self, scan: &TableScan) -> Result<Node, Halt> {
        let table = scan.table_name.table().to_owned();
        let scanned = self.scanned(scan).await?;
        let origin = Origin::Scan { table, numbers: Arc::clone(&scanned.numbers) };
        Ok(node(&scan.projected_schema, scanned.rows, origin, true))
    }

    async fn scanned(&mut self, scan: &TableScan) -> Result<Scanned, Halt> {
        if let Some(known) = self.scans.get(scan) {
            return Ok(known.clone());
        }
        let tables = self.tables;
        let stored = &tables[scan.table_name.table()];
        let projected: Vec<String> = scan.projected_schema.fields().iter().map(|field| field.name().clone()).collect();
        let filter = conjunction(scan.filters.iter().cloned());
        let mut columns = projected.clone();
        for needed in filter.iter().flat_map(Expr::column_refs) {
            if !columns.contains(&needed.name) {
                columns.push(needed.name.clone());
            }
        }
        if columns.is_empty() {
            columns.extend(stored.state.columns.first().map(|column| column.name.clone()));
        }
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut numbers = Vec::new();
        let mut predicate = None;
        let session = self.session;
        let (rows, bounds) = (&mut self.rows, self.bounds);
        let pick = |first: u64, batch: RecordBatch| {
            let numbered = UInt64Array::from_iter_values(first..first + batch.num_rows() as u64);
            let (batch, numbered) = match &filter {
                None => (batch, numbered),
                Some(filter) => {
                    if predicate.is_none() {
                        let schema = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &batch.schema())?;
                        predicate = Some(session.create_physical_expr(filter.clone(), &schema)?);
                    }
                    let Some(predicate) = &predicate else { return Ok(()) };
                    let passes = predicate.evaluate(&batch)?.into_array(batch.num_rows())?;
                    let passes = passes.as_boolean();
                    let numbered = arrow::compute::filter(&numbered, passes)?;
                    (filter_record_batch(&batch, passes)?, numbered.as_primitive::<UInt64Type>().clone())
                }
            };
            *rows += batch.num_rows() as u64;
            if *rows > bounds.rows {
                return Err(Halt::Rows);
            }
            numbers.extend(numbered.values());
            batches.push(positional(&batch.columns()[..projected.len()], batch.num_rows())?);
            Ok(())
        };
        stored.read(session, &columns, pick).await?;
        let types = scan.projected_schema.fields().iter().map(|field| field.data_type().clone());
        let schema = Arc::new(Schema::new(fields(types)));
        let mut rows = match batches.first() {
            Some(first) if first.num_columns() == 0 => positional(&[], numbers.len())?,
            _ => concat_batches(&schema, &batches)?,
        };
        if let Some(fetch) = scan.fetch.filter(|&fetch| fetch < numbers.len()) {
            numbers.truncate(fetch);
            rows = rows.slice(0, fetch);
        }
        self.keep(&rows)?;
        let scanned = Scanned { rows, numbers: Arc::new(numbers) };
        self.scans.insert(scan.clone(), scanned.clone());
        Ok(scanned)
    }

    /// Evaluates a step that hands on rows of its input, or makes rows of single ones, with their numbers at the end.
    async fn passing(&mut self, plan: &LogicalPlan, input: Node, step: LogicalPlan) -> Result<Node, Halt> {
        let rows = self.run(step).await?;
        let (last, columns) = rows.columns().split_last().ok_or_else(no_number)?;
        let from = numbers(last);
        let is_row_local = input.is_row_local && !matches!(plan, LogicalPlan::Limit(_) | LogicalPlan::Sort(_));
        let rows = positional(columns, rows.num_rows())?;
        let origin = match plan {
            LogicalPlan::Filter(_) => Origin::Kept { input: Box::new(input), from },
            // Rows that are passed over say which ones follow.
            LogicalPlan::Limit(limit) if limit.skip.is_some() => Origin::All(vec![input]),
            _ => Origin::Each { input: Box::new(input), from },
        };
        Ok(node(plan.schema(), rows, origin, is_row_local))
    }

    /// Evaluates a part of a plan of which no more is known than what it reads.
    async fn opaque(&mut self, plan: &LogicalPlan) -> Result<Node, Halt> {
        let (mut scans, mut is_round) = (Vec::new(), false);
        plan.apply_with_subqueries(|below| {
            if let LogicalPlan::TableScan(scan) = below {
                let name = scan.table_name.table();
                is_round |= self.rounds.contains_key(name);
                if self.tables.contains_key(name) {
                    scans.push(scan.clone());
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        if is_round {
            return Err(Halt::Recursion);
        }
        let mut inputs = Vec::new();
        for scan in scans {
            inputs.push(self.scan(&scan).await?);
        }
        let rows = self.run(plan.clone()).await?;
        let rows = positional(rows.columns(), rows.num_rows())?;
        Ok(node(plan.schema(), rows, Origin::All(inputs), false))
    }

    /// Evaluates a recursive query round by round.
    async fn recursion(&mut self, query: &RecursiveQuery) -> Result<Node, Halt> {
        let mut last = Arc::new(self.node(&query.static_term).await?);
        let mut rounds = Vec::new();
        while last.rows.num_rows() > 0 {
            if rounds.len() == MOST_ROUNDS {
                return Err(Halt::Recursion);
            }
            let rows = last.rows.clone();
            rounds.push(node(&query.schema, rows, Origin::Round(Arc::clone(&last)), last.is_row_local));
            self.rounds.insert(query.name.clone(), last);
            let next = self.node(&query.recursive_term).await?;
            let rows = stacked(&query.schema, std::slice::from_ref(&next))?;
            let is_row_local = next.is_row_local;
            last = Arc::new(node(&query.schema, rows, Origin::Same(Box::new(next)), is_row_local));
        }
        let rows = stacked(&query.schema, &rounds)?;
        self.keep(&rows)?;
        let is_row_local = rounds.iter().all(|round| round.is_row_local);
        Ok(node(&query.schema, rows, Origin::Union(rounds), is_row_local))
    }

    /// Returns what a recursive query reads of its round before.
    fn round(&self, scan: &TableScan) -> Result<Node, Halt> {
        let last = self.rounds.get(scan.table_name.table()).filter(|_| scan.filters.is_empty() && scan.fetch.is_none());
        let last = last.ok_or(Halt::Recursion)?;
        let of = |at: &usize| Arc::clone(last.rows.column(*at));
        let columns: Vec<ArrayRef> = match &scan.projection {
            Some(projection) => projection.iter().map(of).collect(),
            None => last.rows.columns().to_vec(),
        };
        let rows = positional(&columns, last.rows.num_rows())?;
        Ok(node(&scan.projected_schema, rows, Origin::Round(Arc::clone(last)), last.is_row_local))
    }

    async fn join(&mut self, plan: &LogicalPlan, join: &Join) -> Result<Node, Halt> {
        let left = self.node(&join.left).await?;
        let right = self.node(&join.right).await?;
        let over = (Arc::new(source(&left, LEFT_ROW)?), Arc::new(source(&right, RIGHT_ROW)?));
        let of_kind = |kind: JoinType, null_aware: bool| {
            let join = Join::try_new(
                Arc::clone(&over.0),
                Arc::clone(&over.1),
                join.on.clone(),
                join.filter.clone(),
                kind,
                join.join_constraint,
                join.null_equality,
                null_aware,
            )?;
            Ok::<LogicalPlan, DataFusionError>(LogicalPlan::Join(join))
        };
        let (of_left, of_right) = (left.rows.num_columns(), right.rows.num_columns());
        let rows = self.run(of_kind(join.join_type, join.null_aware)?).await?;
        let is_row_local = left.is_row_local && right.is_row_local;
        let both = |rows: &RecordBatch| {
            (some_numbers(rows.column(of_left)), some_numbers(rows.column(of_left + 1 + of_right)))
        };
        match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                let (from_left, from_right) = both(&rows);
                let columns: Vec<ArrayRef> = (0..rows.num_columns())
                    .filter(|&at| at != of_left && at != of_left + 1 + of_right)
                    .map(|at| Arc::clone(rows.column(at)))
                    .collect();
                let kept = (
                    join.join_type != JoinType::Inner && join.join_type != JoinType::Right,
                    matches!(join.join_type, JoinType::Right | JoinType::Full),
                );
                let rows = positional(&columns, rows.num_rows())?;
                let is_row_local = is_row_local && join.join_type == JoinType::Inner;
                let origin =
                    Origin::Joined { left: Box::new(left), right: Box::new(right), from_left, from_right, stays: kept };
                Ok(node(plan.schema(), rows, origin, is_row_local))
            }
            JoinType::LeftSemi
            | JoinType::LeftAnti
            | JoinType::LeftMark
            | JoinType::RightSemi
            | JoinType::RightAnti
            | JoinType::RightMark => {
                let is_left = matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark);
                let width = if is_left { of_left } else { of_right };
                let from = numbers(rows.column(width));
                let columns: Vec<ArrayRef> =
                    (0..rows.num_columns()).filter(|&at| at != width).map(|at| Arc::clone(rows.column(at))).collect();
                let rows = positional(&columns, rows.num_rows())?;
                let matched = self.run(of_kind(JoinType::Inner, false)?).await?;
                let (from_left, from_right) = both(&matched);
                let mut matching: HashMap<usize, usize> = HashMap::new();
                for pair in from_left.into_iter().zip(from_right) {
                    let (Some(one), Some(other)) = (if is_left { pair } else { (pair.1, pair.0) }) else { continue };
                    matching.entry(one).and_modify(|least| *least = (*least).min(other)).or_insert(other);
                }
                let is_row_local = is_row_local && matches!(join.join_type, JoinType::LeftSemi | JoinType::RightSemi);
                let (input, other) = if is_left { (left, right) } else { (right, left) };
                let origin = Origin::Matched { input: Box::new(input), other: Box::new(other), from, matching };
                Ok(node(plan.schema(), rows, origin, is_row_local))
            }
        }
    }

    async fn aggregate(
        &mut self,
        schema: &DFSchemaRef,
        input: Node,
        group_by: &[Expr],
        aggregates: &[Expr],
    ) -> Result<Node, Halt> {
        let over = Arc::new(source(&input, ROW)?);
        // If every value is one of a single row, these rows are enough.
        let deciding: Option<Vec<Expr>> = if aggregates.is_empty() {
            Some(vec![first_row(vec![column(ROW).sort(true, false)], None)])
        } else {
            aggregates.iter().map(deciding).collect()
        };
        let is_decided = deciding.is_some();
        let named = deciding.into_iter().flatten().enumerate().map(|(at, row)| row.alias(format!("__deciding_{at}")));
        let all: Vec<Expr> = aggregates.iter().cloned().chain(named).collect();
        let step = LogicalPlan::Aggregate(Aggregate::try_new(Arc::clone(&over), group_by.to_vec(), all)?);
        let rows = self.run(step).await?;
        let width = schema.fields().len();
        let (keys, sets) = grouping(group_by);
        let is_set = matches!(group_by, [Expr::GroupingSet(_)]);
        let mut columns: Vec<Expr> =
            keys.iter().enumerate().map(|(at, key)| key.clone().unalias().alias(format!("__key_{at}"))).collect();
        columns.push(column(ROW));
        let of_rows = self.run(LogicalPlan::Projection(Projection::try_new(columns, over)?)).await?;

        // The keys of the groups, and in a column behind them which of the keys are left out.
        let out = |at: usize| Arc::clone(rows.column(at));
        let mask = (1_u64 << keys.len().min(63)) - 1;
        let left_out: Vec<u64> = if is_set {
            let ids = cast(rows.column(keys.len()), &DataType::UInt64)?;
            ids.as_primitive::<UInt64Type>().values().iter().map(|id| id & mask).collect()
        } else {
            vec![0; rows.num_rows()]
        };
        let mut types: Vec<SortField> =
            (0..keys.len()).map(|at| SortField::new(rows.column(at).data_type().clone())).collect();
        types.push(SortField::new(DataType::UInt64));
        let converter = RowConverter::new(types)?;
        let mut key_columns: Vec<ArrayRef> = (0..keys.len()).map(out).collect();
        key_columns.push(Arc::new(UInt64Array::from(left_out)));
        let mut groups: Vec<Vec<usize>> = vec![Vec::new(); rows.num_rows()];
        let mut places: HashMap<OwnedRow, Vec<usize>> = HashMap::new();
        for (group, key) in converter.convert_columns(&key_columns)?.iter().enumerate() {
            places.entry(key.owned()).or_default().push(group);
        }
        let from = numbers(of_rows.column(keys.len()));
        for set in sets {
            let mut id = 0_u64;
            let mut masked = Vec::with_capacity(keys.len() + 1);
            for (at, kept) in set.iter().enumerate() {
                id = (id << 1) | u64::from(!kept);
                let key = cast(of_rows.column(at), rows.column(at).data_type())?;
                masked.push(if *kept { key } else { new_null_array(key.data_type(), key.len()) });
            }
            masked.push(Arc::new(UInt64Array::from(vec![id; from.len()])));
            for (at, key) in converter.convert_columns(&masked)?.iter().enumerate() {
                for &group in places.get(&key.owned()).into_iter().flatten() {
                    if groups[group].last() != Some(&from[at]) {
                        groups[group].push(from[at]);
                    }
                }
            }
            self.rows += from.len() as u64;
        }
        let deciding = is_decided.then(|| {
            let found: Vec<Vec<Option<usize>>> =
                (width..rows.num_columns()).map(|at| some_numbers(rows.column(at))).collect();
            let of_group = |group: usize| {
                let mut rows: Vec<usize> = found.iter().filter_map(|column| column[group]).collect();
                if rows.is_empty() && !keys.is_empty() {
                    // The group is there because of a row in which there is no value.
                    rows.extend(groups[group].first());
                }
                rows
            };
            (0..rows.num_rows()).map(of_group).collect()
        });
        let rows = positional(&rows.columns()[..width], rows.num_rows())?;
        let origin = Origin::Grouped { input: Box::new(input), groups, deciding };
        Ok(node(schema, rows, origin, false))
    }

    async fn window(&mut self, plan: &LogicalPlan, window: &Window) -> Result<Node, Halt> {
        let input = self.node(&window.input).await?;
        let width = window.schema.fields().len();
        let functions: Vec<&WindowFunction> = window.window_expr.iter().filter_map(function).collect();
        if functions.len() != window.window_expr.len() {
            return self.opaque(plan).await;
        }
        // How its rows are dealt out and sorted, mostly in one way.
        let specs_of =
            |function: &&WindowFunction| (function.params.partition_by.clone(), function.params.order_by.clone());
        let (specs, spec_of) = told_apart(functions.iter().map(specs_of));
        let mut step = Arc::new(source(&input, ROW)?);
        for (at, (partition_by, order_by)) in specs.iter().enumerate() {
            let place = window_function(row_number_udwf().into(), Vec::new(), partition_by, order_by, up_to_here());
            let place = place.alias(format!("__place_{at}"));
            // In one step with the functions of its kind, so that rows which are equal in the order stand alike.
            let mut all: Vec<Expr> = if at == 0 { window.window_expr.clone() } else { Vec::new() };
            all.push(place);
            step = Arc::new(LogicalPlan::Window(Window::try_new(all, step)?));
        }
        let framed =
            functions.iter().zip(&spec_of).map(|(function, &spec)| (spec, function.params.window_frame.clone()));
        let (frames, frame_of) = told_apart(framed);
        for (at, (spec, frame)) in frames.iter().enumerate() {
            let (partition_by, order_by) = &specs[*spec];
            let place = column(&format!("__place_{spec}"));
            let by_place = vec![place.clone().sort(true, false)];
            let order_by = if frame.units == WindowFrameUnits::Rows { &by_place } else { order_by };
            let of = |function: WindowFunctionDefinition, name: &str| {
                window_function(function, vec![place.clone()], partition_by, order_by, frame.clone())
                    .alias(format!("__{name}_{at}"))
            };
            let both = vec![of(min_udaf().into(), "first"), of(max_udaf().into(), "last")];
            step = Arc::new(LogicalPlan::Window(Window::try_new(both, step)?));
        }
        // The columns, the number of the row in the input, and what tells the rows of frames.
        let inner = step.schema().columns();
        let of_input = input.rows.num_columns();
        let mut columns: Vec<Expr> = inner[..of_input].iter().cloned().map(Expr::Column).collect();
        columns.extend(inner[of_input + 1..=width].iter().cloned().map(Expr::Column));
        columns.push(column(ROW));
        columns.extend((0..specs.len()).map(|at| column(&format!("__place_{at}"))));
        for at in 0..frames.len() {
            columns.push(column(&format!("__first_{at}")));
            columns.push(column(&format!("__last_{at}")));
        }
        let keys_from = columns.len();
        for (at, (partition_by, _)) in specs.iter().enumerate() {
            let named = |(of, key): (usize, &Expr)| key.clone().unalias().alias(format!("__key_{at}_{of}"));
            columns.extend(partition_by.iter().enumerate().map(named));
        }
        let mut arguments = Vec::new();
        for (at, function) in functions.iter().enumerate() {
            let argument = function.params.args.first().filter(|_| decides(function)).cloned();
            let argument = match (argument, &function.params.filter) {
                (Some(argument), Some(filter)) => Some(when(filter.as_ref().clone(), argument).end()?),
                (argument, _) => argument,
            };
            arguments.push(argument.is_some().then_some(columns.len()));
            columns.extend(argument.map(|argument| argument.alias(format!("__argument_{at}"))));
        }
        let rows = self.run(LogicalPlan::Projection(Projection::try_new(columns, step)?)).await?;
        let number = |at: usize| some_numbers(rows.column(at));
        let mut key_at = keys_from;
        let mut told = Vec::new();
        for (at, (partition_by, _)) in specs.iter().enumerate() {
            let keys = &rows.columns()[key_at..key_at + partition_by.len()];
            key_at += partition_by.len();
            told.push(spec(keys, &number(width + 1 + at))?);
        }
        let of_functions = functions.iter().enumerate().map(|(at, function)| {
            let from = width + 1 + specs.len() + 2 * frame_of[at];
            let (first, last) = (number(from), number(from + 1));
            let values = match arguments[at] {
                Some(argument) => {
                    let given = rows.column(argument);
                    let result = cast(rows.column(of_input + at), given.data_type())?;
                    let converter = RowConverter::new(vec![SortField::new(given.data_type().clone())])?;
                    let given = converter.convert_columns(&[Arc::clone(given)])?;
                    Some((given, converter.convert_columns(&[result])?))
                }
                None => None,
            };
            Ok::<Frames, Halt>(Frames { spec: spec_of[at], reach: reach(function), first, last, values })
        });
        let functions = of_functions.collect::<Result<Vec<_>, _>>()?;
        let from = numbers(rows.column(width));
        let rows = positional(&rows.columns()[..width], rows.num_rows())?;
        let origin = Origin::Windowed { input: Box::new(input), from, specs: told, functions };
        Ok(node(plan.schema(), rows, origin, false))
    }
}

fn node(schema: &DFSchemaRef, rows: RecordBatch, origin: Origin, is_row_local: bool) -> Node {
    Node { schema: Arc::clone(schema), rows, origin, is_row_local }
}

fn no_number() -> Halt {
    Halt::Failed(DataFusionError::Internal("a step returns the numbers of its rows".to_owned()))
}

fn only_input(plan: &LogicalPlan) -> &LogicalPlan {
    // Whoever asks has looked at what it is.
    plan.inputs().first().copied().unwrap_or(plan)
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

fn has_subquery(expression: &Expr) -> bool {
    let asks = |inner: &Expr| {
        Ok(matches!(
            inner,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
        ))
    };
    expression.exists(asks).unwrap_or(true)
}

fn fields(types: impl Iterator<Item = DataType>) -> Vec<Field> {
    types.enumerate().map(|(at, kind)| Field::new(format!("c{at}"), kind, true)).collect()
}

/// Returns columns under names that say their places.
fn positional(columns: &[ArrayRef], rows: usize) -> Result<RecordBatch, DataFusionError> {
    let schema = Arc::new(Schema::new(fields(columns.iter().map(|column| column.data_type().clone()))));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns.to_vec(), &options)?)
}

/// Returns a plan of the rows of a node under the names that the plan knows them by, with their numbers under `row`.
fn source(node: &Node, row: &str) -> Result<LogicalPlan, DataFusionError> {
    source_of(&node.rows, &node.schema, Some(row))
}

fn source_of(rows: &RecordBatch, schema: &DFSchema, row: Option<&str>) -> Result<LogicalPlan, DataFusionError> {
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(UInt64Array::from_iter_values(0..rows.num_rows() as u64)));
    let numbered = positional(&columns, rows.num_rows())?;
    let table = MemTable::try_new(numbered.schema(), vec![vec![numbered]])?;
    let scan = LogicalPlanBuilder::scan("rows", provider_as_source(Arc::new(table)), None)?.build()?;
    let at = |at: usize| Expr::Column(Column::new(Some("rows"), format!("c{at}")));
    let named = schema.iter().enumerate().map(|(place, (qualifier, field))| match qualifier {
        Some(qualifier) => at(place).alias_qualified(Some(qualifier.clone()), field.name()),
        None => at(place).alias(field.name()),
    });
    let number = row.map(|row| at(rows.num_columns()).alias(row));
    Ok(LogicalPlan::Projection(Projection::try_new(named.chain(number).collect(), Arc::new(scan))?))
}

/// Returns the rows of the inputs of a union.
fn stacked(schema: &DFSchema, inputs: &[Node]) -> Result<RecordBatch, DataFusionError> {
    let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
    let as_types = |input: &Node| {
        let columns = input.rows.columns().iter().zip(&types).map(|(column, kind)| cast(column, kind));
        positional(&columns.collect::<Result<Vec<_>, _>>()?, input.rows.num_rows())
    };
    let batches = inputs.iter().map(as_types).collect::<Result<Vec<_>, _>>()?;
    if types.is_empty() {
        return positional(&[], batches.iter().map(RecordBatch::num_rows).sum());
    }
    Ok(concat_batches(&Arc::new(Schema::new(fields(types.into_iter()))), &batches)?)
}

fn numbers(column: &ArrayRef) -> Vec<usize> {
    some_numbers(column).into_iter().flatten().collect()
}

fn some_numbers(column: &ArrayRef) -> Vec<Option<usize>> {
    let column = column.as_primitive::<UInt64Type>();
    column.iter().map(|number| number.and_then(|number| usize::try_from(number).ok())).collect()
}

/// Returns the keys of a GROUP BY, and of each grouping set which of them it has.
fn grouping(group_by: &[Expr]) -> (Vec<Expr>, Vec<Vec<bool>>) {
    let [Expr::GroupingSet(set)] = group_by else {
        let mut keys: Vec<Expr> = Vec::new();
        group_by.iter().for_each(|key| {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        });
        let all = vec![true; keys.len()];
        return (keys, vec![all]);
    };
    let keys: Vec<Expr> = set.distinct_expr().into_iter().cloned().collect();
    let count = keys.len();
    let sets = match set {
        GroupingSet::Rollup(_) => (0..=count).map(|first| (0..count).map(|at| at < first).collect()).collect(),
        GroupingSet::Cube(_) => {
            (0..1_usize << count.min(20)).map(|set| (0..count).map(|at| set >> at & 1 == 1).collect()).collect()
        }
        GroupingSet::GroupingSets(sets) => {
            sets.iter().map(|set| keys.iter().map(|key| set.contains(key)).collect()).collect()
        }
    };
    (keys, sets)
}

/// Returns an aggregate that has the number of the row that comes first in an order, among those that pass.
fn first_row(order: Vec<SortExpr>, filter: Option<Expr>) -> Expr {
    let filter = filter.map(Box::new);
    Expr::AggregateFunction(AggregateFunction::new_udf(
        first_value_udaf(),
        vec![column(ROW)],
        false,
        filter,
        order,
        None,
    ))
}

/// Returns an aggregate that has the number of the row whose value another one returns; nothing if it makes its value
/// from many.
fn deciding(aggregate: &Expr) -> Option<Expr> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = aggregate.clone().unalias_nested().data else {
        return None;
    };
    let argument = params.args.first()?.clone();
    let filter = params.filter.map(|filter| *filter);
    let not_null = || {
        let is = argument.clone().is_not_null();
        Some(filter.clone().map_or(is.clone(), |filter| filter.and(is)))
    };
    let ignores = params.null_treatment == Some(NullTreatment::IgnoreNulls);
    match func.name() {
        "min" => Some(first_row(vec![argument.clone().sort(true, false)], not_null())),
        "max" => Some(first_row(vec![argument.clone().sort(false, false)], not_null())),
        "first_value" if !params.order_by.is_empty() => {
            Some(first_row(params.order_by, if ignores { not_null() } else { filter }))
        }
        "last_value" if !params.order_by.is_empty() => {
            let filter = if ignores { not_null() } else { filter }.map(Box::new);
            let last =
                AggregateFunction::new_udf(last_value_udaf(), vec![column(ROW)], false, filter, params.order_by, None);
            Some(Expr::AggregateFunction(last))
        }
        _ => None,
    }
}

fn function(expression: &Expr) -> Option<&WindowFunction> {
    match expression {
        Expr::WindowFunction(function) => Some(function),
        Expr::Alias(alias) => function(&alias.expr),
        _ => None,
    }
}

fn window_function(
    fun: WindowFunctionDefinition,
    args: Vec<Expr>,
    partition_by: &[Expr],
    order_by: &[SortExpr],
    window_frame: WindowFrame,
) -> Expr {
    let params = WindowFunctionParams {
        args,
        partition_by: partition_by.to_vec(),
        order_by: order_by.to_vec(),
        window_frame,
        filter: None,
        null_treatment: None,
        distinct: false,
    };
    Expr::WindowFunction(Box::new(WindowFunction { fun, params }))
}

fn up_to_here() -> WindowFrame {
    let unbounded = WindowFrameBound::Preceding(ScalarValue::UInt64(None));
    WindowFrame::new_bounds(WindowFrameUnits::Rows, unbounded, WindowFrameBound::CurrentRow)
}

/// Returns whether the frame of a function stands where it does by counting rows, so that it reaches further if some of
/// its rows are not there.
fn counts_rows(frame: &WindowFrame) -> bool {
    let is_counted = |bound: &WindowFrameBound| !bound.is_unbounded() && !matches!(bound, WindowFrameBound::CurrentRow);
    frame.units != WindowFrameUnits::Range && (is_counted(&frame.start_bound) || is_counted(&frame.end_bound))
}

/// Returns whether the value of a function is that of one row of its frame.
fn decides(function: &WindowFunction) -> bool {
    let is_one =
        matches!(&function.fun, WindowFunctionDefinition::AggregateUDF(fun) if ["min", "max"].contains(&fun.name()));
    is_one && !counts_rows(&function.params.window_frame)
}

/// Returns which rows of its partition a function looks at.
fn reach(function: &WindowFunction) -> Reach {
    let params = &function.params;
    let WindowFunctionDefinition::WindowUDF(fun) = &function.fun else {
        return if decides(function) { Reach::Deciding } else { Reach::Frame };
    };
    let by = || match params.args.get(1) {
        None => Some(1),
        Some(Expr::Literal(value, _)) => match value.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(by))) => Some(by),
            _ => None,
        },
        Some(_) => None,
    };
    let ignores = params.null_treatment == Some(NullTreatment::IgnoreNulls);
    match (fun.name(), ignores) {
        ("row_number" | "rank" | "dense_rank" | "ema", _) | ("lag", true) => Reach::Before,
        ("lead", true) => Reach::After,
        ("lag", false) => by().map_or(Reach::Partition, |by| Reach::Offset(by.saturating_neg())),
        ("lead", false) => by().map_or(Reach::Partition, Reach::Offset),
        ("first_value", false) if params.window_frame.start_bound.is_unbounded() => Reach::First,
        ("last_value", false) if params.window_frame.end_bound.is_unbounded() => Reach::Last,
        ("first_value" | "last_value" | "nth_value", _) => Reach::Frame,
        _ => Reach::Partition,
    }
}

/// Returns each value once, and of each that is given the place of its equal among these.
fn told_apart<T: PartialEq>(given: impl Iterator<Item = T>) -> (Vec<T>, Vec<usize>) {
    let (mut known, mut places): (Vec<T>, Vec<usize>) = (Vec::new(), Vec::new());
    for value in given {
        let place = known.iter().position(|one| *one == value).unwrap_or(known.len());
        if place == known.len() {
            known.push(value);
        }
        places.push(place);
    }
    (known, places)
}

/// Returns how rows are dealt out by keys, and how they stand in their partitions.
fn spec(keys: &[ArrayRef], places: &[Option<usize>]) -> Result<Spec, Halt> {
    let mut partition_of = vec![0; places.len()];
    let mut members: Vec<Vec<usize>> = Vec::new();
    if keys.is_empty() {
        members.push(vec![0; places.len()]);
    } else {
        let types = keys.iter().map(|key| SortField::new(key.data_type().clone())).collect();
        let rows = RowConverter::new(types)?.convert_columns(keys)?;
        let mut known: HashMap<&[u8], usize> = HashMap::new();
        let keys: Vec<_> = rows.iter().collect();
        for (row, key) in keys.iter().enumerate() {
            let partition = *known.entry(key.as_ref()).or_insert_with(|| {
                members.push(Vec::new());
                members.len() - 1
            });
            partition_of[row] = partition;
            members[partition].push(0);
        }
    }
    for (row, place) in places.iter().enumerate() {
        let (Some(place), partition) = (place, partition_of[row]) else { continue };
        if let Some(member) = members[partition].get_mut(place.wrapping_sub(1)) {
            *member = row;
        }
    }
    let places = places.iter().map(|place| place.unwrap_or(1).saturating_sub(1)).collect();
    Ok(Spec { partition_of, members, places })
}

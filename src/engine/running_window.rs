//! Computes windows that run along their rows.
//!
//! DataFusion 55.2 computes a window over sorted rows one partition and one row at a time, each result a value of its
//! own, which costs more than the sort before it. Where every function of a window is told by the rows up to the current
//! one (a row before, a number, a running count or sum), whole batches are computed here at once, and no more is kept
//! of what has passed than the last results. Everything else stays with DataFusion.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveBuilder, RecordBatch, UInt64Builder,
    make_comparator,
};
use arrow::compute::{SortOptions, concat, partition, take};
use arrow::datatypes::{
    ArrowNativeType, DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float64Type, Int64Type, Schema, SchemaRef,
    UInt64Type,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, StandardWindowExpr, WindowExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowUDFExpr};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode, PlanProperties};
use futures::StreamExt;

use super::replaced;
use crate::functions::sum;

/// How many rows back a function may look; so many are kept.
const FARTHEST: usize = 1024;

#[derive(Debug)]
pub(super) struct WindowsRun;

impl PhysicalOptimizerRule for WindowsRun {
    fn name(&self) -> &'static str {
        "windows_run"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let run = |node: Arc<dyn ExecutionPlan>| {
            Ok(match RunningWindow::of(&node)? {
                Some(running) => Transformed::yes(Arc::new(running) as Arc<dyn ExecutionPlan>),
                None => Transformed::no(node),
            })
        };
        plan.transform_up(run).map(|transformed| transformed.data)
    }
}

/// A function of the rows of a partition up to the current one.
#[derive(Debug, Clone)]
enum Function {
    /// The number of the row.
    Number,
    /// How many values there have been.
    Count(Arc<dyn PhysicalExpr>),
    /// The sum of the values, and what it is called.
    Sum(Arc<dyn PhysicalExpr>, String),
    /// The value so many rows before.
    Before(Arc<dyn PhysicalExpr>, usize),
}

impl Function {
    /// Tells what a window expression computes, if it is one of these.
    fn of(window: &dyn WindowExpr, input: &Schema) -> Result<Option<Self>> {
        if let Some(standard) = window.as_any().downcast_ref::<StandardWindowExpr>() {
            return Self::of_standard(standard);
        }
        match window.as_any().downcast_ref::<PlainAggregateWindowExpr>() {
            Some(aggregate) => Self::of_aggregate(aggregate, input),
            None => Ok(None),
        }
    }

    fn of_standard(window: &StandardWindowExpr) -> Result<Option<Self>> {
        /// Farther from the first row than any function may look.
        const HERE: usize = 1 << 40;
        let Some(function) = window.get_standard_func_expr().as_any().downcast_ref::<WindowUDFExpr>() else {
            return Ok(None);
        };
        match (function.fun().name(), function.args()) {
            ("row_number", _) => Ok(Some(Self::Number)),
            ("lag" | "lead", [value, arguments @ ..]) => {
                // Whether it was turned round or passes over nulls, only the rows that it asks for tell.
                let asked = window.get_standard_func_expr().create_evaluator()?.get_range(HERE, 2 * HERE)?;
                let distance = HERE.saturating_sub(asked.start);
                let looks_back = asked.end == HERE + 1 && (1..=FARTHEST).contains(&distance);
                let fills = arguments.get(1).is_some_and(|default| {
                    default.downcast_ref::<Literal>().is_none_or(|literal| !literal.value().is_null())
                });
                Ok((looks_back && !fills).then(|| Self::Before(Arc::clone(value), distance)))
            }
            _ => Ok(None),
        }
    }

    fn of_aggregate(window: &PlainAggregateWindowExpr, input: &Schema) -> Result<Option<Self>> {
        let frame = window.get_window_frame();
        let runs = frame.units == WindowFrameUnits::Rows
            && frame.start_bound.is_unbounded()
            && frame.end_bound == WindowFrameBound::CurrentRow;
        let aggregate = window.get_aggregate_expr();
        // Nothing else says whether it counts some rows only.
        let filters = !format!("{window:?}").ends_with("filter: None }");
        if !runs || filters || aggregate.is_distinct() || !aggregate.order_bys().is_empty() {
            return Ok(None);
        }
        let field = window.field()?;
        Ok(match (aggregate.fun().name(), aggregate.expressions().as_slice(), field.data_type()) {
            ("count", [value], DataType::Int64) => Some(Self::Count(Arc::clone(value))),
            (
                "sum",
                [value],
                sum @ (DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::Decimal128(..)),
            ) if std::mem::discriminant(&value.data_type(input)?) == std::mem::discriminant(sum) => {
                Some(Self::Sum(Arc::clone(value), aggregate.name().to_owned()))
            }
            _ => None,
        })
    }

    /// Returns the results for the rows of a batch. `kept` is what stays of a partition for the batch after this one.
    fn results(
        &self,
        batch: &RecordBatch,
        partitions: &Partitions,
        kept: &mut Option<ArrayRef>,
        kind: &DataType,
    ) -> Result<ArrayRef> {
        let values = |expression: &Arc<dyn PhysicalExpr>| expression.evaluate(batch)?.into_array(batch.num_rows());
        Ok(match self {
            Self::Number => {
                running::<UInt64Type>(partitions, kept, kind, |before, _| Ok(Some(before.unwrap_or_default() + 1)))?
            }
            Self::Count(value) => {
                let nulls = values(value)?.logical_nulls();
                let counts = |row| i64::from(nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)));
                running::<Int64Type>(partitions, kept, kind, |before, row| {
                    Ok(Some(before.unwrap_or_default() + counts(row)))
                })?
            }
            Self::Sum(value, name) => {
                let values = values(value)?;
                match kind {
                    DataType::Int64 => sums::<Int64Type>(&values, partitions, kept, kind, name)?,
                    DataType::UInt64 => sums::<UInt64Type>(&values, partitions, kept, kind, name)?,
                    DataType::Float64 => sums::<Float64Type>(&values, partitions, kept, kind, name)?,
                    _ => sums::<Decimal128Type>(&values, partitions, kept, kind, name)?,
                }
            }
            Self::Before(value, distance) => before(&values(value)?, *distance, partitions, kept)?,
        })
    }
}

/// Returns the running sum of `values`, null until there is one.
fn sums<T: ArrowPrimitiveType<Native: ArrowNativeTypeOp>>(
    values: &ArrayRef,
    partitions: &Partitions,
    kept: &mut Option<ArrayRef>,
    kind: &DataType,
    name: &str,
) -> Result<ArrayRef> {
    let values = values.as_primitive::<T>();
    // Of decimals 38 digits end before their 128 bits do.
    let end = match kind {
        DataType::Decimal128(..) => T::Native::usize_as(10).pow_checked(u32::from(DECIMAL128_MAX_PRECISION)).ok(),
        _ => None,
    };
    let is_beyond =
        |sum: T::Native| end.is_some_and(|end| sum.is_ge(end) || sum.is_le(T::Native::ZERO.sub_wrapping(end)));
    running::<T>(partitions, kept, kind, |before, row| {
        if values.is_null(row) {
            return Ok(before);
        }
        let sum = before.unwrap_or_default().add_checked(values.value(row)).ok().filter(|sum| !is_beyond(*sum));
        sum.map(Some).ok_or_else(|| sum::does_not_fit(name, kind))
    })
}

/// Returns for every row what `step` makes of the result of the row before and the row. Keeps the last result.
fn running<T: ArrowPrimitiveType>(
    partitions: &Partitions,
    kept: &mut Option<ArrayRef>,
    kind: &DataType,
    step: impl Fn(Option<T::Native>, usize) -> Result<Option<T::Native>>,
) -> Result<ArrayRef> {
    let mut results = PrimitiveBuilder::<T>::with_capacity(partitions.rows()).with_data_type(kind.clone());
    let open = kept.take().filter(|_| partitions.goes_on);
    let mut result = open.and_then(|open| open.is_valid(0).then(|| open.as_primitive::<T>().value(0)));
    for (number, rows) in partitions.ranges.iter().enumerate() {
        if number > 0 {
            result = None;
        }
        for row in rows.clone() {
            result = step(result, row)?;
            results.append_option(result);
        }
    }
    let mut last = PrimitiveBuilder::<T>::with_capacity(1).with_data_type(kind.clone());
    last.append_option(result);
    *kept = Some(Arc::new(last.finish()));
    Ok(Arc::new(results.finish()))
}

/// Returns for every row the value `distance` rows before it. Keeps the last values of the partition.
fn before(
    values: &ArrayRef,
    distance: usize,
    partitions: &Partitions,
    kept: &mut Option<ArrayRef>,
) -> Result<ArrayRef> {
    let open = kept.take().filter(|_| partitions.goes_on);
    let passed = open.as_ref().map_or(0, Array::len);
    let all = match open {
        Some(open) => concat(&[&open, values])?,
        None => Arc::clone(values),
    };
    let mut places = UInt64Builder::with_capacity(values.len());
    let mut first = 0;
    for (number, rows) in partitions.ranges.iter().enumerate() {
        first = if number == 0 { 0 } else { passed + rows.start };
        for row in rows.clone() {
            let place = (passed + row).checked_sub(distance).filter(|place| *place >= first);
            places.append_option(place.map(|place| place as u64));
        }
    }
    let from = first.max(all.len().saturating_sub(distance));
    *kept = Some(all.slice(from, all.len() - from));
    Ok(take(&all, &places.finish(), None)?)
}

/// Which rows of a batch are of one partition.
struct Partitions {
    ranges: Vec<Range<usize>>,
    /// Whether the first is the last one of the batch before.
    goes_on: bool,
}

impl Partitions {
    fn rows(&self) -> usize {
        self.ranges.last().map_or(0, |last| last.end)
    }
}

/// A window whose functions all run along its rows.
#[derive(Debug)]
struct RunningWindow {
    /// The same as DataFusion computes it.
    window: Arc<dyn ExecutionPlan>,
    partition_by: Vec<Arc<dyn PhysicalExpr>>,
    functions: Vec<Function>,
}

impl RunningWindow {
    fn of(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        let Some(window) = node.downcast_ref::<BoundedWindowAggExec>() else { return Ok(None) };
        let [first, ..] = window.window_expr() else { return Ok(None) };
        if window.input_order_mode != InputOrderMode::Sorted {
            return Ok(None);
        }
        let input = window.input().schema();
        let functions = window.window_expr().iter().map(|window| Function::of(window.as_ref(), &input));
        let functions = functions.collect::<Result<Option<Vec<_>>>>()?;
        let partition_by = first.partition_by().to_vec();
        Ok(functions.map(|functions| Self { window: Arc::clone(node), partition_by, functions }))
    }
}

impl DisplayAs for RunningWindow {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunningWindow: {:?}", self.functions)
    }
}

impl ExecutionPlan for RunningWindow {
    fn name(&self) -> &'static str {
        "RunningWindow"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.window.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.window.children()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        each: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.window.apply_expressions(each)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let window = replaced(Arc::clone(&self.window), children)?;
        Ok(Arc::new(Self { window, partition_by: self.partition_by.clone(), functions: self.functions.clone() }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let [input] = self.children()[..] else {
            return Err(DataFusionError::Internal("`RunningWindow` has one input".to_owned()));
        };
        let input = input.execute(partition, context)?;
        let schema = self.schema();
        let mut walk = Walk {
            schema: Arc::clone(&schema),
            partition_by: self.partition_by.clone(),
            last: None,
            functions: self.functions.iter().map(|function| (function.clone(), None)).collect(),
        };
        let rows = input.map(move |batch| batch.and_then(|batch| walk.batch(&batch)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// A walk along the rows of one stream.
struct Walk {
    /// The columns of the input, and one for each function.
    schema: SchemaRef,
    partition_by: Vec<Arc<dyn PhysicalExpr>>,
    /// What the last row so far is partitioned by.
    last: Option<Vec<ArrayRef>>,
    /// Each function with what it keeps of the open partition.
    functions: Vec<(Function, Option<ArrayRef>)>,
}

impl Walk {
    /// Adds the results to the next batch.
    fn batch(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        if batch.num_rows() == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let partitions = self.partitions(batch)?;
        let mut columns = batch.columns().to_vec();
        for (function, kept) in &mut self.functions {
            let kind = self.schema.field(columns.len()).data_type();
            columns.push(function.results(batch, &partitions, kept, kind)?);
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    fn partitions(&mut self, batch: &RecordBatch) -> Result<Partitions> {
        let rows = batch.num_rows();
        let keys = self.partition_by.iter().map(|key| key.evaluate(batch)?.into_array(rows));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let ranges = if keys.is_empty() { std::iter::once(0..rows).collect() } else { partition(&keys)?.ranges() };
        let mut goes_on = self.last.is_some();
        for (last, keys) in self.last.iter().flatten().zip(&keys) {
            goes_on &= make_comparator(last, keys, SortOptions::default())?(0, 0).is_eq();
        }
        // A copy, so that a row does not keep its batch.
        let last = keys.iter().map(|keys| take(keys, &arrow::array::UInt64Array::from(vec![rows as u64 - 1]), None));
        self.last = Some(last.collect::<std::result::Result<_, _>>()?);
        Ok(Partitions { ranges, goes_on })
    }
}

#[cfg(test)]
mod tests {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    use datafusion::physical_plan::displayable;
    use datafusion::prelude::SessionContext;

    use crate::engine::{Resources, session};

    const ROWS: &str = "
        select 1 as place, 'a' as key, 5 as n, 1.5::decimal(18,2) as price, 0.1::double as share
        union all select 2, 'a', null, null, null
        union all select 3, 'a', 7, 2.25, 0.2
        union all select 4, null, 1, -1, -0.0
        union all select 5, null, null, null, 0.3
        union all select 6, 'b', null, null, null
        union all select 7, 'b', 9223372036854775000, 4, 0.4
        union all select 8, 'b', -1, 0.25, 0.5
        union all select 9, 'c', 2, 3, 0.6";

    const RUNS: &str = "rows between unbounded preceding and current row";

    async fn lines(session: &SessionContext, batch_rows: usize, select: &str) -> Vec<String> {
        let size = batch_rows.to_string();
        session.state_ref().write().config_mut().options_mut().set("datafusion.execution.batch_size", &size).unwrap();
        let batches = session.sql(&format!("with t as ({ROWS}) {select}")).await.unwrap().collect().await.unwrap();
        let options = FormatOptions::default().with_null("-");
        let mut lines = Vec::new();
        for batch in &batches {
            let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap());
            let columns = columns.collect::<Vec<_>>();
            let line = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" ");
            lines.extend((0..batch.num_rows()).map(line));
        }
        lines.sort();
        lines
    }

    fn here() -> SessionContext {
        session(&Resources { threads: 2, ..Resources::for_binding() }).unwrap()
    }

    #[tokio::test]
    async fn results_are_those_of_the_definition_wherever_batches_end() {
        let select = format!(
            "select place, row_number() over w, lag(n) over w, lag(n, 2) over w, count(n) over ({0}), sum(n) over ({0}) \
             from t window w as (partition by key order by place)",
            format_args!("partition by key order by place {RUNS}"),
        );
        let expected = [
            "1 1 - - 1 5",
            "2 2 5 - 1 5",
            "3 3 - 5 2 12",
            "4 1 - - 1 1",
            "5 2 1 - 1 1",
            "6 1 - - 0 -",
            "7 2 - - 1 9223372036854775000",
            "8 3 9223372036854775000 - 2 9223372036854774999",
            "9 1 - - 1 2",
        ];
        for batch_rows in [1, 2, 3, 4, 8192] {
            assert_eq!(lines(&here(), batch_rows, &select).await, expected, "{batch_rows}");
        }
    }

    #[tokio::test]
    async fn a_sum_that_does_not_fit_is_an_error() {
        for (values, kind) in [
            ("(1, '9223372036854775807'), (2, '1')", "bigint"),
            ("(1, '-9223372036854775807'), (2, '-2')", "bigint"),
            ("(1, '99999999999999999999999999999999999999'), (2, '1')", "decimal(38, 0)"),
        ] {
            let sql = format!(
                "select sum(cast(n as {kind})) over (order by place {RUNS}) as s from (values {values}) as t(place, n)"
            );
            let error = here().sql(&sql).await.unwrap().collect().await.unwrap_err().strip_backtrace();
            assert!(error.contains("overflow in `sum("), "{error}");
        }
    }

    #[tokio::test]
    async fn windows_come_out_as_with_datafusion() {
        let cases = [
            // Whether all of it runs here, and the window.
            (true, "row_number() over (partition by key, n order by place)".to_owned()),
            (true, "row_number() over (order by place)".to_owned()),
            (true, "lag(key, 3) over (order by place desc)".to_owned()),
            (true, "lag(price) over (partition by key order by place), row_number() over (partition by key order by place)".to_owned()),
            (true, format!("sum(price) over (partition by key order by place {RUNS})")),
            (true, format!("sum(share) over (order by place {RUNS}), count(*) over (order by place {RUNS})")),
            (true, format!("sum(n % 5) over (order by place {RUNS})")),
            (false, format!("sum(n % 5) filter (where n > 1) over (order by place {RUNS})")),
            (false, "sum(n) over (order by key)".to_owned()),
            (false, format!("min(n) over (order by place {RUNS})")),
            (false, "sum(n) over (order by place rows between 1 preceding and current row)".to_owned()),
            (false, "lag(n, 1, 0) over (order by place)".to_owned()),
            (false, "lag(n) ignore nulls over (order by place)".to_owned()),
            (false, "lag(n, 0) over (order by place)".to_owned()),
            (false, "lag(n, -1) over (order by place)".to_owned()),
            (false, "lead(n) over (order by place)".to_owned()),
            (false, "rank() over (partition by key order by place)".to_owned()),
            (false, "row_number() over (order by place), lead(n) over (order by place)".to_owned()),
        ];
        for (runs, window) in cases {
            let select = format!("select place, {window} from t");
            let plan = here().sql(&format!("with t as ({ROWS}) {select}")).await.unwrap();
            let plan = plan.create_physical_plan().await.unwrap();
            let shown = displayable(plan.as_ref()).indent(false).to_string();
            assert_eq!((shown.contains("RunningWindow"), shown.contains("WindowAggExec")), (runs, !runs), "{shown}");
            let plain = lines(&SessionContext::new(), 8192, &select).await;
            for batch_rows in [1, 2, 3, 8192] {
                assert_eq!(lines(&here(), batch_rows, &select).await, plain, "{window}");
            }
        }
    }
}

//! Keeps what holds of some rows from being believed of rows of nulls.
//!
//! DataFusion 55.2 remembers which columns of its rows are constant, equal or sorted, and believes the same of the rows
//! that an outer join fills with nulls, and of those in which grouping sets leave a column out (apache/datafusion#16965).
//! So it left sorts out that were needed: windows numbered such rows out of order, and groups came out twice. The side
//! of an outer join that may be filled with nulls, and the rows under grouping sets, go through a step of which nothing
//! of that is known; it hands rows on as they are.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, JoinType, Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};

use super::replaced;

/// Puts [`PlainRows`] where they are needed. It goes first, as other rules ask what is known of rows.
#[derive(Debug)]
pub(super) struct NullRowsAreUnlike;

impl PhysicalOptimizerRule for NullRowsAreUnlike {
    fn name(&self) -> &'static str {
        "null_rows_are_unlike"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let plain = |node: Arc<dyn ExecutionPlan>| {
            let unlike = unlike(node.as_ref());
            if !unlike.contains(&true) {
                return Ok(Transformed::no(node));
            }
            let inputs = node.children().into_iter().zip(unlike).map(|(input, is_unlike)| {
                if is_unlike { Arc::new(PlainRows::of(Arc::clone(input))) } else { Arc::clone(input) }
            });
            let inputs = inputs.collect();
            replaced(node, inputs).map(Transformed::yes)
        };
        plan.transform_up(plain).map(|transformed| transformed.data)
    }
}

/// Returns for each input of a node whether rows come out of it that have nulls where those of the input have none.
fn unlike(node: &dyn ExecutionPlan) -> Vec<bool> {
    let hash = node.downcast_ref::<HashJoinExec>().map(|join| *join.join_type());
    let merge = || node.downcast_ref::<SortMergeJoinExec>().map(SortMergeJoinExec::join_type);
    let loops = || node.downcast_ref::<NestedLoopJoinExec>().map(|join| *join.join_type());
    match hash.or_else(merge).or_else(loops) {
        Some(JoinType::Left) => vec![false, true],
        Some(JoinType::Right) => vec![true, false],
        Some(JoinType::Full) => vec![true, true],
        Some(_) => Vec::new(),
        None => match node.downcast_ref::<AggregateExec>() {
            // What a partial aggregate gives has the nulls already.
            Some(aggregate) => {
                use AggregateMode::{Partial, Single, SinglePartitioned};
                let is_first = matches!(aggregate.mode(), Partial | Single | SinglePartitioned);
                vec![is_first && aggregate.group_expr().has_grouping_set()]
            }
            None => Vec::new(),
        },
    }
}

/// Rows of which nothing is known.
#[derive(Debug)]
struct PlainRows {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl PlainRows {
    fn of(input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            input.output_partitioning().clone(),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        let properties = properties
            .with_evaluation_type(input.properties().evaluation_type)
            .with_scheduling_type(input.properties().scheduling_type);
        Self { input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for PlainRows {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainRows")
    }
}

impl ExecutionPlan for PlainRows {
    fn name(&self) -> &'static str {
        "PlainRows"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match <[_; 1]>::try_from(children) {
            Ok([input]) => Ok(Arc::new(Self::of(input))),
            Err(_) => Err(DataFusionError::Internal("`PlainRows` has one input".to_owned())),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        match inputs {
            [input] => Ok(Arc::clone(input)),
            _ => Err(DataFusionError::Internal("`PlainRows` has one input".to_owned())),
        }
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}

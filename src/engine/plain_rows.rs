//! A step that hands rows on as they are, and lets less be believed of them.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::projection::{ProjectionExec, make_with_child};
use datafusion::physical_plan::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};

/// What of the rows of an input still holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known {
    /// Nothing.
    Nothing,
    /// Which columns are constant or equal, and not in which order rows come.
    AllButOrder,
}

/// Rows of which less is known than of those of the input.
#[derive(Debug)]
pub(super) struct PlainRows {
    input: Arc<dyn ExecutionPlan>,
    known: Known,
    properties: Arc<PlanProperties>,
}

impl PlainRows {
    /// Lets only what is `known` be believed of rows.
    pub(super) fn over(input: Arc<dyn ExecutionPlan>, known: Known) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self::of(input, known))
    }

    fn of(input: Arc<dyn ExecutionPlan>, known: Known) -> Self {
        let equal = match known {
            Known::Nothing => EquivalenceProperties::new(input.schema()),
            Known::AllButOrder => {
                let mut equal = input.equivalence_properties().clone();
                equal.clear_orderings();
                equal
            }
        };
        let properties = PlanProperties::new(
            equal,
            input.output_partitioning().clone(),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        let properties = properties
            .with_evaluation_type(input.properties().evaluation_type)
            .with_scheduling_type(input.properties().scheduling_type);
        Self { input, known, properties: Arc::new(properties) }
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
            Ok([input]) => Ok(Self::over(input, self.known)),
            Err(_) => Err(DataFusionError::Internal("`PlainRows` has one input".to_owned())),
        }
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // It does nothing that several could do side by side.
        vec![false]
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

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        // As a filter does: columns that nobody wants are left out before.
        if projection.expr().len() >= projection.input().schema().fields().len() {
            return Ok(None);
        }
        Ok(Some(Self::over(make_with_child(projection, &self.input)?, self.known)))
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

//! Runs a check over the partitions that changed, and over no others.
//!
//! If a check passed with every row, only rows of changed partitions can fail it now, provided that each row of its query
//! is made from one partition of the changed tables, and says from which. [`Workspace::leads`] proves that of the query.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;

use crate::partition::PartitionKey;
use crate::plan::{Check, Workspace};
use crate::store::TableState;
use crate::tables::{QueryContext, Slices, are_among};

/// What changed of a check's inputs since it passed with every row.
#[derive(Debug)]
pub struct ChangedPartitions {
    /// The inputs that changed, as they are now.
    pub tables: BTreeMap<String, TableState>,
    /// The partitions of them in which rows came or went.
    pub keys: BTreeSet<PartitionKey>,
}

/// Returns the plan of the rows that fail a check in partitions that changed, and the session in which it runs; `None`
/// where there may be others.
pub(super) async fn plan(
    context: &QueryContext,
    check: &Check,
    changed: &ChangedPartitions,
    plan: impl Fn(&QueryContext) -> Result<LogicalPlan>,
) -> Result<Option<(SessionContext, LogicalPlan)>> {
    let Some(by) = changed.tables.values().next().and_then(|state| state.partition.as_ref()) else { return Ok(None) };
    let Some(at) = leading(&context.workspace, &plan(context)?, changed) else { return Ok(None) };
    let reads = context.workspace.tables.get(&check.name).map_or(&check.inputs, |query| &query.reads);
    let slices = Slices { states: &changed.tables, keys: &changed.keys };
    let narrowed = context.narrowed(&check.inputs, reads, slices).await?;
    let plan = plan(&narrowed)?;
    let column = Expr::Column(plan.schema().columns()[at].clone());
    let among = are_among(by, &column, plan.schema().field(at).data_type(), &changed.keys)?;
    Ok(Some((narrowed.session, LogicalPlanBuilder::from(plan).filter(among)?.build()?)))
}

/// Returns a column of a plan that leads to the partitions of all tables that changed.
fn leading(workspace: &Workspace, plan: &LogicalPlan, changed: &ChangedPartitions) -> Option<usize> {
    workspace.leads(plan, &changed.tables.keys().map(String::as_str).collect::<Vec<_>>())
}

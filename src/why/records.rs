//! From rows of a query that is not, or not yet, a published table to the records that landed.
//!
//! Rows that make an expression fail, or that fail a check, are told by the plan that returns them. It is evaluated step
//! by step, as the query of a table is, and what it was made of is followed on from there; only by way of tables from which
//! the columns come that are asked about, so that what was only joined to them is not told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::lit;

use super::evaluate::{Bounds, Evaluation, Halt};
use super::numbered::Stored;
use super::trace::{Effort, traced};
use super::{How, Known, Unfollowed, WhyError, WhyRequest, followed, in_order};
use crate::engine::Resources;
use crate::ingest::{FILE_COLUMN, LINE_COLUMN};
use crate::plan::tables_behind;
use crate::store::TableState;
use crate::tables::{QueryContext, SnapshotSchema};
use crate::transform::{Records, Source};

/// How long is spent on it: whoever waits has a failure to see to.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many rows the steps of one query may have together.
const MOST_ROWS: u64 = 2_000_000;

/// How much memory they may take.
const MOST_BYTES: usize = 1 << 30;

/// How many records are told.
const TOLD: usize = 3;

/// Returns the landed records that some rows come from; nothing where these come from no record at all, such as rows of
/// values that stand in the SQL.
///
/// It never fails: why it found nothing is told instead.
pub async fn records(
    context: &QueryContext,
    tables: &Arc<SnapshotSchema>,
    resources: &Resources,
    of: &Source,
) -> Option<Records> {
    let QueryContext { store, workspace, as_of, .. } = context;
    let memory_bytes = resources.memory_bytes.min(MOST_BYTES);
    let resources = &Resources { memory_bytes, ..resources.clone() };
    let asked = WhyRequest { store, workspace, tables, as_of: *as_of, resources, rows: TOLD, evaluate: MOST_ROWS };
    let found = match tokio::time::timeout(PATIENCE, found(asked, of)).await {
        Ok(Ok(Ok(found))) => return found.filter(|found| found.count > 0),
        Ok(Ok(Err(why))) => reason(why),
        Ok(Err(error)) => {
            tracing::debug!("records behind rows are not found: {error}");
            "what they were made of cannot be read".to_owned()
        }
        Err(_) => format!("it takes longer than {} s", PATIENCE.as_secs()),
    };
    Some(Records { count: 0, first: Vec::new(), unfollowed: Some(found) })
}

fn reason(why: Unfollowed) -> String {
    match why {
        Unfollowed::Rows(most) => format!("the steps of a query on the way have more than {most} rows"),
        Unfollowed::Memory => "the steps of a query on the way take more memory than they may".to_owned(),
        Unfollowed::Steps => "a step of a query on the way cannot be evaluated by itself".to_owned(),
        Unfollowed::OtherRows => "a query on the way returns other rows each time".to_owned(),
    }
}

async fn found(asked: WhyRequest<'_>, of: &Source) -> Result<Result<Option<Records>, Unfollowed>, WhyError> {
    let (plan, columns) = &of.columns;
    let mut by = tables_behind(asked.workspace, plan, columns).map_err(WhyError::engine)?;
    if by.is_empty() {
        let columns: Vec<usize> = (0..plan.schema().fields().len()).collect();
        by = tables_behind(asked.workspace, plan, &columns).map_err(WhyError::engine)?;
    }
    let all: BTreeSet<String> =
        asked.workspace.tables.keys().chain(asked.workspace.project.sources.keys()).cloned().collect();
    // A count comes from no column, and from rows all the same.
    let only = if by.is_empty() { &all } else { &by };
    let in_order = in_order(asked).map_err(WhyError::Engine)?;
    let states = read_by(asked, &of.plan)?;
    let mut stored = HashMap::new();
    for (name, state) in &states {
        let is_landed = asked.workspace.project.sources.contains_key(name);
        stored.insert(name.clone(), Stored { store: asked.store, state, is_landed });
    }
    let mut evaluation =
        Evaluation::new(&in_order, &stored, Bounds { rows: asked.evaluate, bytes: asked.resources.memory_bytes });
    let evaluated = async {
        let plan = in_order.state().optimize(&of.plan)?;
        let node = evaluation.node(&plan).await?;
        Ok::<_, Halt>(traced(&node, &vec![true; node.rows.num_rows()], Effort::Made))
    };
    let rows = match evaluated.await {
        Ok(rows) => rows,
        Err(Halt::Rows) => return Ok(Err(Unfollowed::Rows(asked.evaluate))),
        Err(Halt::Memory) => return Ok(Err(Unfollowed::Memory)),
        Err(Halt::Recursion) => return Ok(Err(Unfollowed::Steps)),
        Err(Halt::Failed(error)) => match WhyError::engine(error) {
            store @ WhyError::Store(_) => return Err(store),
            error => {
                tracing::debug!("the steps behind rows cannot be evaluated: {error}");
                return Ok(Err(Unfollowed::Steps));
            }
        },
    };
    let known = |(name, numbers)| {
        let possible = Some(lit(false));
        (name, Known { possible, numbers: Some(numbers), is_enough: true, ..Known::default() })
    };
    let parts = followed(asked, &in_order, rows.into_iter().map(known).collect(), Some(only)).await?;
    let mut records = Records { count: 0, first: Vec::new(), unfollowed: None };
    for part in &parts {
        if let How::Nothing(why) = part.how {
            return Ok(Err(why));
        }
        if asked.workspace.project.sources.contains_key(&part.table) {
            records.count += part.count;
            records.first.extend(part.rows.iter().flat_map(places));
        }
    }
    records.first.truncate(TOLD);
    Ok(Ok(Some(records)))
}

/// Returns the states of the tables that a plan reads.
fn read_by(asked: WhyRequest<'_>, plan: &LogicalPlan) -> Result<BTreeMap<String, Arc<TableState>>, WhyError> {
    let mut names = BTreeSet::new();
    let known =
        |name: &str| asked.workspace.project.sources.contains_key(name) || asked.workspace.tables.contains_key(name);
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            names.extend(Some(scan.table_name.table().to_owned()).filter(|name| known(name)));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(WhyError::Engine)?;
    let mut states = BTreeMap::new();
    for name in names {
        if let Some(state) = asked.tables.state(&name)? {
            states.insert(name, state);
        }
    }
    Ok(states)
}

/// Returns file and line of each row.
fn places(rows: &RecordBatch) -> Vec<String> {
    let (Some(files), Some(lines)) = (rows.column_by_name(FILE_COLUMN), rows.column_by_name(LINE_COLUMN)) else {
        return Vec::new();
    };
    let (Some(files), Some(lines)) = (files.as_string_opt::<i32>(), lines.as_primitive_opt::<Int64Type>()) else {
        return Vec::new();
    };
    files.iter().zip(lines).filter_map(|(file, line)| Some(format!("{}:{}", file?, line?))).collect()
}

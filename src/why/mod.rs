//! Which rows a row was made of, down to the files that landed.
//!
//! What is asked of a table is a condition on its columns. The optimiser pushes it through the query of the table as far as
//! it holds, and what arrives at an input is the condition on that input's rows; with it the same is done again, until the
//! landed datasets, whose rows know their file and line. Where it holds no further, at joins and windows, values of the
//! rows that count are read and carried on.
//!
//! Promises: a row of an input that counts is told, and a record that was set aside and could have counted is told too. It
//! may tell rows that do not count: of an input on which the query lets neither say anything (under a LIMIT, joined by no
//! equality, or by very many values) all rows may, and it is told as read as a whole and not followed.

mod aside;
mod carry;
mod condition;

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::prelude::{DataFrame, SessionContext};

pub use aside::AsideRecord;
pub use condition::{Condition, ConditionError};

use crate::engine::{self, Resources};
use crate::ingest::{FILE_COLUMN, LINE_COLUMN};
use crate::plan::{Suite, Table};
use crate::run::RunError;
use crate::store::{Snapshot, Store, TableState};
use crate::transform::{query_of, register_stored, register_views, register_with};

/// What is asked, and where.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The warehouse.
    pub store: &'a Store,
    /// The project.
    pub suite: &'a Suite,
    /// The tables.
    pub snapshot: &'a Snapshot,
    /// What queries may use.
    pub resources: &'a Resources,
    /// How many rows of each table are told.
    pub rows: usize,
}

/// The rows of one table that were asked for, or that they were made of.
#[derive(Debug)]
pub struct Part {
    /// The table.
    pub table: String,
    /// The tables that read it, among those told before; none of the one that was asked.
    pub read_by: Vec<String>,
    /// What is known of the rows that count, in SQL; nothing if all of them may.
    pub condition: Option<String>,
    /// How many there are.
    pub count: u64,
    /// The first of them; none where the table is read as a whole.
    pub rows: Vec<RecordBatch>,
    /// How many records were set aside that could have counted.
    pub aside_count: u64,
    /// The first of them.
    pub aside: Vec<AsideRecord>,
}

/// What is known of the rows of a table that count.
struct Known {
    /// Nothing if all of them may.
    condition: Option<Expr>,
    read_by: Vec<String>,
}

/// Tells which rows of `table` fulfil `condition`, and of which rows of other tables they were made: those closest first,
/// landed datasets last.
///
/// # Errors
/// When a table cannot be read, or the engine does not do what it has done before.
pub async fn why(asked: Asked<'_>, table: &str, condition: &Condition) -> Result<Vec<Part>, RunError> {
    let session = engine::session(asked.resources).map_err(RunError::Engine)?;
    let mut known = BTreeMap::new();
    let first = Known { condition: Some(condition.expression().clone()), read_by: Vec::new() };
    known.insert(table.to_owned(), first);
    let mut parts = Vec::new();
    // Whoever reads a table stands behind it.
    let datasets = asked.suite.project.sources.keys().rev();
    let order: Vec<&String> = asked.suite.order.iter().rev().chain(datasets).collect();
    for name in order {
        let Some(of) = known.remove(name) else { continue };
        let Some(entry) = asked.snapshot.tables.get(name) else { continue };
        let state = asked.store.table(name, &entry.state)?;
        if let (Some(expression), Some(made)) = (&of.condition, asked.suite.tables.get(name)) {
            for (input, condition) in arriving(asked, &session, made, expression).await? {
                let entry = known.entry(input).or_insert(Known { condition: condition.clone(), read_by: Vec::new() });
                if !entry.read_by.is_empty() {
                    entry.condition = either(entry.condition.take(), condition);
                }
                entry.read_by.push(name.clone());
            }
        }
        parts.push(part(asked, &session, &state, of).await?);
    }
    Ok(parts)
}

/// Returns what arrives at each input of a table of a condition on its rows.
async fn arriving(
    asked: Asked<'_>,
    session: &SessionContext,
    table: &Table,
    condition: &Expr,
) -> Result<BTreeMap<String, Option<Expr>>, RunError> {
    for input in &table.inputs {
        if let Some(entry) = asked.snapshot.tables.get(input) {
            let state = asked.store.table(input, &entry.state)?;
            register_stored(session, asked.store, &state).map_err(RunError::engine)?;
        }
    }
    let arrive = async {
        register_views(session, asked.suite, &table.reads, asked.snapshot.as_of)?;
        let plan = query_of(session, asked.suite, table, asked.snapshot.as_of)?;
        let filtered =
            LogicalPlanBuilder::from(plan.clone()).filter(condition::on(condition, &plan, table)?)?.build()?;
        let state = session.state();
        let without = state.optimize(&plan)?;
        let with = carry::carried(session, state.optimize(&filtered)?, &without).await?;
        Ok::<_, DataFusionError>((condition::of_scans(&with), condition::of_scans(&without)))
    };
    let (mut with, without) = arrive.await.map_err(RunError::Engine)?;
    let mut found = BTreeMap::new();
    for input in &table.inputs {
        // An input that is not read at all any more has no row that counts.
        let Some(condition) = with.remove(input) else {
            found.insert(input.clone(), Some(datafusion::prelude::lit(false)));
            continue;
        };
        // What the query says of itself does not come of what was asked.
        let is_asked = without.get(input) != Some(&condition);
        found.insert(input.clone(), condition.filter(|_| is_asked));
    }
    for view in &table.reads {
        if !table.inputs.contains(view) {
            session.deregister_table(view.as_str()).map_err(RunError::Engine)?;
        }
    }
    Ok(found)
}

/// Returns a condition that holds where one of two does; nothing if one of them is always true.
fn either(one: Option<Expr>, other: Option<Expr>) -> Option<Expr> {
    match (one, other) {
        (Some(one), Some(other)) if one == other => Some(one),
        (Some(one), Some(other)) => Some(one.or(other)),
        _ => None,
    }
}

/// Reads the rows of a table of which something is known.
async fn part(asked: Asked<'_>, session: &SessionContext, state: &TableState, known: Known) -> Result<Part, RunError> {
    let name = state.table.as_str();
    let mut part = Part {
        table: name.to_owned(),
        read_by: known.read_by,
        condition: known.condition.as_ref().map(condition::text),
        count: state.rows(),
        rows: Vec::new(),
        aside_count: 0,
        aside: Vec::new(),
    };
    let Some(condition) = known.condition else { return Ok(part) };
    let contract = asked.suite.project.sources.get(name);
    // Where each row came from stands behind its columns, and no query sees it.
    let origin = [Field::new(FILE_COLUMN, DataType::Utf8, true), Field::new(LINE_COLUMN, DataType::Int64, true)];
    let behind = if contract.is_some() { &origin[..] } else { &[] };
    register_with(session, asked.store, state, behind).map_err(RunError::engine)?;
    let read = async {
        let rows = session.table(name).await?.filter(condition.clone())?;
        let count = rows.clone().count().await?;
        Ok((count, first(rows, state, contract.is_some(), asked.rows).await?))
    };
    let (count, rows) = read.await.map_err(RunError::engine)?;
    part.count = u64::try_from(count).unwrap_or(u64::MAX);
    part.rows = rows;
    if let Some(contract) = contract {
        (part.aside_count, part.aside) = aside::records(asked, session, contract, &condition).await?;
    }
    Ok(part)
}

/// Returns the first rows: of a landed dataset in the order of its files, of others in that of their columns.
async fn first(
    rows: DataFrame,
    state: &TableState,
    is_landed: bool,
    most: usize,
) -> Result<Vec<RecordBatch>, DataFusionError> {
    let column = |name: &str| Expr::Column(datafusion::common::Column::from_name(name));
    let columns = state.columns.iter().map(|known| column(&known.name));
    let order: Vec<Expr> = if is_landed {
        [FILE_COLUMN, LINE_COLUMN].map(column).into_iter().chain(columns).collect()
    } else {
        columns.collect()
    };
    let sort = order.iter().map(|column| column.clone().sort(true, true)).collect();
    rows.select(order)?.sort(sort)?.limit(0, Some(most))?.collect().await
}

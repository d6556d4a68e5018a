//! Which rows a row was made of, down to the files that landed.
//!
//! What is asked of a table is a condition on its columns. The optimiser pushes it through the query of the table as far as
//! it holds, and what arrives at an input is the condition on that input's rows; with it the same is done again, until the
//! landed datasets, whose rows know their file and line. Where it holds no further, at joins and windows, values of the
//! rows that count are read and carried on.
//!
//! Such a condition may hold for rows that do not count, and of some inputs there is none. So the query is evaluated as
//! well ([`evaluate`]): step by step, each of its rows with the rows that it was made of. Where a condition picks out the
//! same rows, it is told with them.
//!
//! Promises: the rows of the inputs that evaluation tells are enough to make the row again, which is tried, and it is said
//! where they are not. Where an evaluation would take more than it may, the rows that fulfil the conditions are told, some
//! of which may not count, and an input without a condition is told as read as a whole and not followed. A record that
//! was quarantined and could have counted is told too: one that could fulfil the conditions.

mod condition;
mod evaluate;
mod numbered;
mod quarantined;
mod records;
mod same;
mod trace;
mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, RecordBatch};
use chrono::{DateTime, Utc};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::{DataFrame, SessionContext, lit};

pub use condition::{Condition, ConditionError};
pub use quarantined::PossibleRecord;
pub use records::records;

use self::evaluate::{Bounds, Evaluation, Halt};
use self::numbered::{Numbers, Stored};
use self::trace::{Effort, Found, traced};
use crate::engine::Resources;
use crate::ingest::{FILE_COLUMN, LINE_COLUMN};
use crate::plan::{Table, Workspace};
use crate::store::{Store, StoreError, TableState};
use crate::tables::{QueryContext, SnapshotSchema, stored_with};

/// Why rows were not followed.
#[derive(Debug, thiserror::Error)]
pub enum WhyError {
    /// The warehouse cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine does not do what it has done before.
    #[error(transparent)]
    Engine(DataFusionError),
}

impl WhyError {
    /// Wraps what DataFusion says, unless it only hands on what the store said, or a damaged file led to it.
    #[must_use]
    pub fn engine(error: DataFusionError) -> Self {
        if let Some(damage) = StoreError::damage_behind(&error) {
            return Self::Store(damage);
        }
        match error {
            DataFusionError::External(inner) => match inner.downcast::<StoreError>() {
                Ok(store) => Self::Store(*store),
                Err(inner) => Self::Engine(DataFusionError::External(inner)),
            },
            error => Self::Engine(error),
        }
    }
}

/// What is asked, and where.
#[derive(Debug, Clone, Copy)]
pub struct WhyRequest<'a> {
    /// The warehouse.
    pub store: &'a Store,
    /// The project.
    pub workspace: &'a Arc<Workspace>,
    /// The tables.
    pub tables: &'a Arc<SnapshotSchema>,
    /// The clock that the tables are made for.
    pub as_of: DateTime<Utc>,
    /// What queries may use.
    pub resources: &'a Resources,
    /// How many rows of each table are told.
    pub rows: usize,
    /// How many rows the evaluation of one query may keep; none where it is zero.
    pub evaluate: u64,
}

impl WhyRequest<'_> {
    fn context(&self, session: &SessionContext) -> QueryContext {
        QueryContext {
            store: self.store.clone(),
            session: session.clone(),
            workspace: Arc::clone(self.workspace),
            as_of: self.as_of,
        }
    }
}

/// How it was found which rows of a table count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// By a condition, in SQL, that all of them fulfil, and maybe some that do not count.
    Conditions(String),
    /// By evaluating the queries of the tables that read it.
    Evaluation {
        /// How many rows their steps had.
        over: u64,
        /// Whether these rows alone made the rows of those tables again.
        is_enough: bool,
    },
    /// Not: all rows may count.
    Nothing(Unfollowed),
}

/// Why it was not found which rows of a table count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfollowed {
    /// The query takes more steps than may be kept; so many rows may be.
    Rows(u64),
    /// They take more memory than queries may use.
    Memory,
    /// A step of the query cannot be run for itself.
    Steps,
    /// The query does not return the rows any more that it returned when they were stored.
    OtherRows,
}

/// The rows of one table that were asked for, or that they were made of.
#[derive(Debug)]
pub struct Part {
    /// The table.
    pub table: String,
    /// The tables that read it, among those told before; none of the one that was asked.
    pub read_by: Vec<String>,
    /// How the rows were found.
    pub how: How,
    /// How many there are.
    pub count: u64,
    /// The first of them; none where the table is read as a whole.
    pub rows: Vec<RecordBatch>,
    /// How many records were quarantined that could have counted.
    pub quarantined_count: u64,
    /// The first of them.
    pub quarantined: Vec<PossibleRecord>,
}

/// What is known of the rows of a table that count.
#[derive(Default)]
struct Known {
    /// Why all of them may.
    unfollowed: Option<Unfollowed>,
    /// Those that fulfil a condition.
    condition: Option<Expr>,
    /// And these.
    numbers: Option<Numbers>,
    /// What rows that are not there would have to fulfil to count; nothing if any could.
    possible: Option<Expr>,
    over: u64,
    is_enough: bool,
    read_by: Vec<String>,
}

/// What a table says of one of its inputs.
struct Arrived {
    which: InputRows,
    possible: Option<Expr>,
}

/// Which rows of an input count.
enum InputRows {
    Fulfilling(Expr),
    Evaluated { numbers: Numbers, over: u64, is_enough: bool },
    Any(Unfollowed),
}

impl Known {
    fn add(&mut self, reader: &str, arrived: Arrived) {
        let is_first = self.read_by.is_empty();
        self.read_by.push(reader.to_owned());
        self.possible = if is_first { arrived.possible } else { either(self.possible.take(), arrived.possible) };
        match arrived.which {
            InputRows::Any(why) => self.unfollowed = Some(self.unfollowed.unwrap_or(why)),
            InputRows::Fulfilling(condition) => {
                self.condition = match self.condition.take() {
                    None => Some(condition),
                    known => either(known, Some(condition)),
                }
            }
            InputRows::Evaluated { numbers, over, is_enough } => {
                self.is_enough = is_enough && (self.numbers.is_none() || self.is_enough);
                self.numbers.get_or_insert_default().extend(numbers);
                self.over += over;
            }
        }
    }
}

/// Tells which rows of `table` fulfil `condition`, and of which rows of other tables they were made: those closest first,
/// landed datasets last.
///
/// # Errors
/// When a table cannot be read, or the engine does not do what it has done before.
pub async fn why(asked: WhyRequest<'_>, table: &str, condition: &Condition) -> Result<Vec<Part>, WhyError> {
    let condition = Some(condition.expression().clone());
    let first = Known { condition: condition.clone(), possible: condition, ..Known::default() };
    let in_order = in_order(asked).map_err(WhyError::Engine)?;
    followed(asked, &in_order, BTreeMap::from([(table.to_owned(), first)]), None).await
}

/// Follows rows of tables to those that they were made of; with `only`, to those of some tables, and to no record that was
/// quarantined or is only referenced.
async fn followed(
    asked: WhyRequest<'_>,
    in_order: &SessionContext,
    mut known: BTreeMap<String, Known>,
    only: Option<&BTreeSet<String>>,
) -> Result<Vec<Part>, WhyError> {
    let session = asked.tables.session(asked.resources).map_err(WhyError::Engine)?;
    let mut parts = Vec::new();
    // Whoever reads a table stands behind it.
    let order: Vec<&String> = asked.workspace.order.iter().rev().chain(asked.workspace.datasets.iter().rev()).collect();
    for name in order {
        let Some(mut of) = known.remove(name) else { continue };
        if only.is_some_and(|only| !only.contains(name)) {
            continue;
        }
        let Some(state) = asked.tables.state(name)? else { continue };
        let is_landed = asked.workspace.project.sources.contains_key(name);
        let stored = Stored { store: asked.store, state: &state, is_landed };
        if let (Some(condition), Some(numbers)) = (&of.condition, &mut of.numbers) {
            numbers.extend(fulfilling(in_order, &stored, condition).await.map_err(WhyError::engine)?);
            of.condition = None;
        }
        let rows = match &of.numbers {
            Some(numbers) if of.unfollowed.is_none() => {
                Some(stored.rows(in_order, numbers).await.map_err(WhyError::engine)?)
            }
            _ => None,
        };
        if let (None, Some(made)) = (of.unfollowed, asked.workspace.tables.get(name)) {
            let wanted = match (&rows, &of.condition) {
                (Some(rows), _) => Wanted::Rows(rows),
                (None, Some(condition)) => Wanted::Fulfilling(condition),
                (None, None) => continue,
            };
            let started = Instant::now();
            for (input, arrived) in arriving(asked, [&session, in_order], made, wanted, of.possible.as_ref()).await? {
                known.entry(input).or_default().add(name, arrived);
            }
            tracing::debug!(
                table = name,
                elapsed_ms = started.elapsed().as_millis(),
                "rows are followed to the inputs"
            );
        }
        if let Some(contract) =
            asked.workspace.project.sources.get(name).filter(|_| of.unfollowed.is_none() && only.is_none())
        {
            let counting = match (&rows, &of.condition) {
                (Some(rows), _) => rows.clone(),
                (None, condition) => {
                    let condition = condition.clone().unwrap_or_else(|| lit(true));
                    let numbers = fulfilling(in_order, &stored, &condition).await.map_err(WhyError::engine)?;
                    stored.rows(in_order, &numbers).await.map_err(WhyError::engine)?
                }
            };
            for (column, reference) in contract.references() {
                let Some(values) = counting.column_by_name(column) else { continue };
                let Some(state) = asked.tables.state(&reference.dataset)? else { continue };
                let other = Stored { store: asked.store, state: &state, is_landed: true };
                let found = found_in(in_order, &other, &reference.column, values).await.map_err(WhyError::engine)?;
                let which = InputRows::Evaluated { numbers: found, over: state.rows(), is_enough: true };
                // It is there already, so that no other record has to be.
                let arrived = Arrived { which, possible: Some(lit(false)) };
                known.entry(reference.dataset.clone()).or_default().add(name, arrived);
            }
        }
        let as_much = match (&of.possible, &of.numbers) {
            (Some(possible), Some(numbers)) if only.is_none() => {
                fulfilling(in_order, &stored, possible).await.map_err(WhyError::engine)? == *numbers
            }
            _ => false,
        };
        if as_much && of.unfollowed.is_none() {
            of.condition.clone_from(&of.possible);
        }
        parts.push(part(asked, &session, &state, of, rows).await?);
    }
    Ok(parts)
}

/// Returns of each value the first row of a table that has it.
async fn found_in(
    session: &SessionContext,
    table: &Stored<'_>,
    column: &str,
    values: &ArrayRef,
) -> Result<Numbers, DataFusionError> {
    let mut missing = HashSet::new();
    for row in (0..values.len()).filter(|&row| values.is_valid(row)) {
        missing.insert(ScalarValue::try_from_array(values, row)?);
    }
    let mut found = Numbers::new();
    let pick = |first: u64, batch: RecordBatch| {
        for (number, row) in (first..).zip(0..batch.num_rows()) {
            if missing.remove(&ScalarValue::try_from_array(batch.column(0), row)?) {
                found.insert(number);
            }
        }
        Ok::<(), DataFusionError>(())
    };
    table.read(session, &[column.to_owned()], pick).await?;
    Ok(found)
}

/// Opens a session that returns rows in the order in which it reads them, and makes joins of subqueries.
fn in_order(asked: WhyRequest<'_>) -> Result<SessionContext, DataFusionError> {
    let session = asked.tables.session(&Resources { threads: 1, ..asked.resources.clone() })?;
    session.state_ref().write().config_mut().options_mut().optimizer.enable_physical_uncorrelated_scalar_subquery =
        false;
    Ok(session)
}

/// Rows of a table.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Fulfilling(&'a Expr),
    Rows(&'a RecordBatch),
}

/// Returns what arrives at each input of a table of what is known of its rows: by evaluation, or by conditions where that
/// would take too much.
async fn arriving(
    asked: WhyRequest<'_>,
    [session, in_order]: [&SessionContext; 2],
    table: &Table,
    wanted: Wanted<'_>,
    possible: Option<&Expr>,
) -> Result<BTreeMap<String, Arrived>, WhyError> {
    let mut states = BTreeMap::new();
    for input in &table.inputs {
        if let Some(state) = asked.tables.state(input)? {
            states.insert(input.clone(), state);
        }
    }
    // Both sessions look for tables in one place.
    asked.context(session).register_views(&table.reads).map_err(WhyError::engine)?;
    let all_inputs =
        |condition: Option<Expr>| table.inputs.iter().map(|input| (input.clone(), condition.clone())).collect();
    let possible: BTreeMap<String, Option<Expr>> = match possible {
        Some(condition) if *condition == lit(false) => all_inputs(Some(lit(false))),
        Some(condition) => conditions(asked, session, table, condition).await?,
        None => all_inputs(None),
    };
    let mut found = BTreeMap::new();
    let evaluated = if matches!(wanted, Wanted::Rows(rows) if rows.num_rows() == 0) {
        Ok(Evaluated { rows: Found::new(), over: 0, is_enough: true })
    } else if asked.evaluate == 0 {
        Err(Unfollowed::Rows(0))
    } else {
        let stored = states.iter().map(|(name, state)| {
            let is_landed = asked.workspace.project.sources.contains_key(name);
            (name.clone(), Stored { store: asked.store, state, is_landed })
        });
        evaluated(asked, in_order, table, wanted, &stored.collect()).await?
    };
    match evaluated {
        Ok(Evaluated { mut rows, over, is_enough }) => {
            for (input, possible) in possible {
                let numbers = rows.remove(&input).unwrap_or_default();
                found.insert(input, Arrived { which: InputRows::Evaluated { numbers, over, is_enough }, possible });
            }
        }
        Err(why) => {
            let told = match wanted {
                Wanted::Fulfilling(_) => possible.clone(),
                Wanted::Rows(rows) => conditions(asked, session, table, &same::necessary(rows, table)).await?,
            };
            for (input, condition) in told {
                let which = match condition {
                    Some(condition) => InputRows::Fulfilling(condition),
                    None if states.get(&input).is_none_or(|state| state.rows() == 0) => {
                        InputRows::Fulfilling(lit(false))
                    }
                    None => InputRows::Any(why),
                };
                let possible = possible.get(&input).cloned().flatten();
                found.insert(input, Arrived { which, possible });
            }
        }
    }
    for view in table.reads.iter().filter(|read| !table.inputs.contains(*read)) {
        session.deregister_table(view.as_str()).map_err(WhyError::Engine)?;
    }
    Ok(found)
}

/// Returns what arrives at each input of a table of a condition on its rows; nothing where all rows of the input may count.
async fn conditions(
    asked: WhyRequest<'_>,
    session: &SessionContext,
    table: &Table,
    condition: &Expr,
) -> Result<BTreeMap<String, Option<Expr>>, WhyError> {
    let arrive = async {
        let plan = asked.context(session).plan(table)?;
        let without = session.state().optimize(&plan)?;
        let with = narrowed(session, plan, &without, table, condition).await?;
        Ok::<_, DataFusionError>((condition::of_scans(&with), condition::of_scans(&without)))
    };
    let (mut with, without) = arrive.await.map_err(WhyError::engine)?;
    let mut found = BTreeMap::new();
    for input in &table.inputs {
        // An input that is not read at all any more has no row that counts.
        let Some(condition) = with.remove(input) else {
            found.insert(input.clone(), Some(lit(false)));
            continue;
        };
        // What the query says of itself does not come of what was asked.
        let is_asked = without.get(input) != Some(&condition);
        found.insert(input.clone(), condition.filter(|_| is_asked));
    }
    Ok(found)
}

/// Returns the optimised plan of a query of which only rows that fulfil a condition are wanted.
async fn narrowed(
    session: &SessionContext,
    plan: LogicalPlan,
    without: &LogicalPlan,
    table: &Table,
    condition: &Expr,
) -> Result<LogicalPlan, DataFusionError> {
    let filtered = session.state().optimize(&filtered(plan, table, condition)?)?;
    values::carried(session, filtered, without).await
}

/// Returns the plan of a query of which only rows that fulfil a condition are wanted.
fn filtered(plan: LogicalPlan, table: &Table, condition: &Expr) -> Result<LogicalPlan, DataFusionError> {
    let condition = condition::on(condition, &plan, table)?;
    LogicalPlanBuilder::from(plan).filter(condition)?.build()
}

/// What the evaluation of a query came to.
struct Evaluated {
    rows: Found,
    over: u64,
    is_enough: bool,
}

/// Evaluates the query of a table and returns the rows of its inputs that the wanted ones were made of.
async fn evaluated(
    asked: WhyRequest<'_>,
    session: &SessionContext,
    table: &Table,
    wanted: Wanted<'_>,
    stored: &HashMap<String, Stored<'_>>,
) -> Result<Result<Evaluated, Unfollowed>, WhyError> {
    let bounds = Bounds { rows: asked.evaluate, bytes: asked.resources.memory_bytes };
    let mut halted = Halt::Rows;
    // To carry values takes long where a query has many parts, and spares rows where there are many.
    for is_carried in [false, true] {
        let mut evaluation = Evaluation::new(session, stored, bounds);
        let evaluate = async {
            let plan = asked.context(session).plan(table)?;
            let necessary = match wanted {
                Wanted::Fulfilling(condition) => condition.clone(),
                Wanted::Rows(rows) => same::necessary(rows, table),
            };
            let plan = if is_carried {
                let without = session.state().optimize(&plan)?;
                narrowed(session, plan, &without, table, &necessary).await?
            } else {
                session.state().optimize(&filtered(plan, table, &necessary)?)?
            };
            traced_to_inputs(&mut evaluation, &plan, wanted, table).await
        };
        let started = Instant::now();
        let found = evaluate.await;
        tracing::debug!(is_carried, elapsed_ms = started.elapsed().as_millis(), "query is evaluated");
        match found {
            Ok(found) => return Ok(found),
            Err(Halt::Failed(error)) => match WhyError::engine(error) {
                store @ WhyError::Store(_) => return Err(store),
                error => {
                    tracing::debug!("the steps of a query cannot be evaluated: {error}");
                    return Ok(Err(Unfollowed::Steps));
                }
            },
            Err(halt) => halted = halt,
        }
    }
    Ok(Err(if matches!(halted, Halt::Memory) { Unfollowed::Memory } else { Unfollowed::Rows(asked.evaluate) }))
}

/// Evaluates a plan and returns the rows of its inputs that the wanted ones were made of: as few as make them again.
async fn traced_to_inputs(
    evaluation: &mut Evaluation<'_>,
    plan: &LogicalPlan,
    wanted: Wanted<'_>,
    table: &Table,
) -> Result<Result<Evaluated, Unfollowed>, Halt> {
    let node = evaluation.node(plan).await?;
    let is_wanted = match wanted {
        Wanted::Fulfilling(_) => vec![true; node.rows.num_rows()],
        Wanted::Rows(rows) => match same::among(&node.rows, rows, table)? {
            Some(is_wanted) => is_wanted,
            None => return Ok(Err(Unfollowed::OtherRows)),
        },
    };
    let over = evaluation.rows;
    let mut all = Found::new();
    for effort in [Effort::Made, Effort::KeptOut, Effort::Whole] {
        all = traced(&node, &is_wanted, effort);
        let of = |table: &str, number: u64| all.get(table).is_some_and(|numbers| numbers.contains(&number));
        let again = evaluation.again(plan, of).await?;
        if same::are_among(&node.rows, &is_wanted, &again)? {
            return Ok(Ok(Evaluated { rows: all, over, is_enough: true }));
        }
    }
    Ok(Ok(Evaluated { rows: all, over, is_enough: false }))
}

/// Returns the numbers of the rows of a table that fulfil a condition.
async fn fulfilling(
    session: &SessionContext,
    stored: &Stored<'_>,
    condition: &Expr,
) -> Result<Numbers, DataFusionError> {
    let columns: Vec<String> = stored.state.columns.iter().map(|column| column.name.clone()).collect();
    let schema = crate::store::schema_of(&stored.state.columns);
    let schema = datafusion::common::DFSchema::try_from(schema.as_ref().clone())?;
    let condition = session.create_physical_expr(condition.clone(), &schema)?;
    let mut found = Numbers::new();
    let pick = |first: u64, batch: RecordBatch| {
        let passes = condition.evaluate(&batch)?.into_array(batch.num_rows())?;
        let passes = arrow::array::AsArray::as_boolean(&passes);
        found.extend((first..).zip(passes).filter(|(_, passes)| *passes == Some(true)).map(|(number, _)| number));
        Ok::<(), DataFusionError>(())
    };
    stored.read(session, &columns, pick).await?;
    Ok(found)
}

/// Returns a condition that holds where one of two does; nothing if one of them is always true.
fn either(one: Option<Expr>, other: Option<Expr>) -> Option<Expr> {
    match (one, other) {
        (Some(one), Some(other)) if one == other || other == lit(false) => Some(one),
        (Some(one), Some(other)) if one == lit(false) => Some(other),
        (Some(one), Some(other)) => Some(one.or(other)),
        _ => None,
    }
}

/// Returns what is told of a table: the first of `rows`, or of those that fulfil a condition.
async fn part(
    asked: WhyRequest<'_>,
    session: &SessionContext,
    state: &TableState,
    known: Known,
    rows: Option<RecordBatch>,
) -> Result<Part, WhyError> {
    let name = state.table.as_str();
    let how = match (known.unfollowed, &known.condition) {
        (Some(why), _) => How::Nothing(why),
        (None, Some(condition)) => How::Conditions(condition::text(condition)),
        _ => How::Evaluation { over: known.over, is_enough: known.is_enough },
    };
    let mut part = Part {
        table: name.to_owned(),
        read_by: known.read_by,
        how,
        count: state.rows(),
        rows: Vec::new(),
        quarantined_count: 0,
        quarantined: Vec::new(),
    };
    let contract = asked.workspace.project.sources.get(name);
    let stored = Stored { store: asked.store, state, is_landed: contract.is_some() };
    let frame = match (rows, known.condition) {
        _ if known.unfollowed.is_some() => return Ok(part),
        (Some(rows), _) => session.read_batch(rows).map_err(WhyError::Engine)?,
        (None, condition) => {
            // Where each row came from stands behind its columns, and no query sees it.
            let rows = stored_with(asked.store, state, &stored.behind()).map_err(WhyError::engine)?;
            let all = session.read_table(rows).map_err(WhyError::engine)?;
            all.filter(condition.unwrap_or_else(|| lit(true))).map_err(WhyError::engine)?
        }
    };
    let read = async {
        let count = frame.clone().count().await?;
        Ok((count, first(frame, state, contract.is_some(), asked.rows).await?))
    };
    let (count, rows) = read.await.map_err(WhyError::engine)?;
    part.count = u64::try_from(count).unwrap_or(u64::MAX);
    part.rows = rows;
    // Of a row that is there no other record could have been one.
    if let Some(contract) = contract.filter(|_| known.possible != Some(lit(false))) {
        let possible = known.possible.unwrap_or_else(|| lit(true));
        (part.quarantined_count, part.quarantined) = quarantined::records(asked, session, contract, &possible).await?;
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

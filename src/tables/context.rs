//! What a query is planned and run with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::common::Result;
use datafusion::datasource::view::ViewTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use super::{stored, stored_part};
use crate::engine;
use crate::partition::PartitionKey;
use crate::plan::{CLOCK, Kind, Table, Workspace, plan_statement, variable_value};
use crate::project::Variable;
use crate::store::{Store, TableState};

/// What a query is planned and run with: the warehouse, a session that knows its tables, the project and the clock.
///
/// A clone is cheap and stands for the same: what one registers the other sees.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a session has none")]
pub struct QueryContext {
    /// The warehouse.
    pub store: Store,
    /// The session, which knows the tables.
    pub session: SessionContext,
    /// The project.
    pub workspace: Arc<Workspace>,
    /// The logical clock.
    pub as_of: DateTime<Utc>,
}

/// Some partitions of some tables.
#[derive(Debug, Clone, Copy)]
pub struct Slices<'a> {
    /// The tables, by name.
    pub states: &'a BTreeMap<String, TableState>,
    /// Which partitions of each.
    pub keys: &'a BTreeSet<PartitionKey>,
}

impl QueryContext {
    /// Returns the same with another session.
    #[must_use]
    pub fn with_session(&self, session: SessionContext) -> Self {
        Self { session, ..self.clone() }
    }

    /// Returns the value of a variable.
    #[must_use]
    pub fn value(&self, variable: &str) -> Option<Variable> {
        value_at(&self.workspace, self.as_of, variable)
    }

    /// Plans the query of a table. What it reads must be known to the session.
    ///
    /// # Errors
    /// When it does not bind; a compiled workspace rules that out.
    pub fn plan(&self, table: &Table) -> Result<LogicalPlan> {
        query_of(&self.session, &self.workspace, table, self.as_of)
    }

    /// Registers a stored table under its name, in place of what the name stood for.
    ///
    /// # Errors
    /// As [`stored`].
    pub fn register(&self, state: &TableState) -> Result<()> {
        self.session.deregister_table(state.table.as_str())?;
        self.session.register_table(state.table.as_str(), stored(&self.store, state)?)?;
        Ok(())
    }

    /// Registers a view under its name. What it reads must be known to the session.
    ///
    /// # Errors
    /// When its SQL does not bind; a compiled workspace rules that out.
    pub fn register_view(&self, name: &str) -> Result<()> {
        let Some(table) = self.workspace.tables.get(name) else { return Ok(()) };
        let plan = self.plan(table)?;
        self.session.deregister_table(name)?;
        self.session.register_table(name, Arc::new(ViewTable::new(plan, None)))?;
        Ok(())
    }

    /// Registers the views among `reads`, and those that they read. What these read must be known to the session.
    ///
    /// # Errors
    /// As [`Self::register_view`].
    pub fn register_views(&self, reads: &BTreeSet<String>) -> Result<()> {
        let views = views(&self.workspace, reads);
        let mut views = self.workspace.order.iter().filter(|name| views.contains(name.as_str()));
        views.try_for_each(|view| self.register_view(view))
    }

    /// Returns the same with a session that knows `inputs`, of those in `slices` some partitions only, and the views among
    /// `reads` over them.
    ///
    /// # Errors
    /// As [`stored`].
    pub async fn narrowed(
        &self,
        inputs: &BTreeSet<String>,
        reads: &BTreeSet<String>,
        slices: Slices<'_>,
    ) -> Result<Self> {
        let narrowed = self.with_session(engine::beside(&self.session));
        for input in inputs {
            let table = match slices.states.get(input) {
                Some(state) => stored_part(&self.store, input, state, slices.keys)?,
                None => self.session.table_provider(input.as_str()).await?,
            };
            narrowed.session.register_table(input.as_str(), table)?;
        }
        narrowed.register_views(reads)?;
        Ok(narrowed)
    }
}

/// Returns the views among `reads`, and those that they read.
fn views<'a>(workspace: &'a Workspace, reads: &'a BTreeSet<String>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![reads];
    while let Some(reads) = open.pop() {
        for read in reads {
            if let Some(view) = workspace.tables.get(read).filter(|view| view.kind == Kind::View)
                && found.insert(read.as_str())
            {
                open.push(&view.reads);
            }
        }
    }
    found
}

/// Returns the value of a variable in a run whose clock says `as_of`.
#[must_use]
pub fn value_at(workspace: &Workspace, as_of: DateTime<Utc>, name: &str) -> Option<Variable> {
    if name == CLOCK { Some(Variable::Timestamp(as_of)) } else { variable_value(&workspace.project.settings, name) }
}

/// Plans the query of a table in a run whose clock says `as_of`. What it reads must be known to the session.
///
/// # Errors
/// When it does not bind; a compiled workspace rules that out.
pub fn query_of(
    session: &SessionContext,
    workspace: &Workspace,
    table: &Table,
    as_of: DateTime<Utc>,
) -> Result<LogicalPlan> {
    plan_statement(&session.state(), table.query.statement(|variable| value_at(workspace, as_of, variable)))
}

//! The tables of a snapshot, as a schema of DataFusion.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use super::{stored, stored_part};
use crate::digest::Digest;
use crate::engine::{self, Resources};
use crate::partition::PartitionKey;
use crate::store::{OPS_TABLES, Snapshot, Store, StoreError, TableState};

/// The tables of a snapshot: each is opened by its name, when a query or somebody else first asks for it.
///
/// The tables about the warehouse (`ops_run` and the like) are among them. Views are not, whose SQL is the project's: who
/// has one adds them ([`super::QueryContext::register_views`]).
#[derive(Debug)]
pub struct SnapshotSchema {
    store: Store,
    /// By which digest the state of each table is found.
    entries: BTreeMap<String, Digest>,
    /// The partitions that are read, where not all are.
    partitions: Option<BTreeSet<PartitionKey>>,
    /// States that were read, and those that stand in for what the snapshot has.
    states: Mutex<BTreeMap<String, Arc<TableState>>>,
    /// Tables that are open.
    open: Mutex<BTreeMap<String, Arc<dyn TableProvider>>>,
}

impl SnapshotSchema {
    /// Takes the tables of `snapshot`, or none.
    #[must_use]
    pub fn new(store: &Store, snapshot: Option<&Snapshot>) -> Self {
        let tables = snapshot.into_iter().flat_map(|snapshot| &snapshot.tables);
        Self {
            store: store.clone(),
            entries: tables.map(|(name, entry)| (name.clone(), entry.state.clone())).collect(),
            partitions: None,
            states: Mutex::default(),
            open: Mutex::default(),
        }
    }

    /// Puts a state in the place of what the snapshot has under a name.
    #[must_use]
    pub fn with_state(self, name: &str, state: TableState) -> Self {
        locked(&self.states).insert(name.to_owned(), Arc::new(state));
        self
    }

    /// Leaves of every table some partitions only.
    #[must_use]
    pub fn with_partitions(self, partitions: BTreeSet<PartitionKey>) -> Self {
        Self { partitions: Some(partitions), ..self }
    }

    /// Opens a session in which names without a schema are those of its tables.
    ///
    /// # Errors
    /// When the engine does not start.
    pub fn session(self: &Arc<Self>, resources: &Resources) -> Result<SessionContext> {
        engine::over(engine::session(resources)?, Arc::clone(self) as Arc<dyn SchemaProvider>)
    }

    /// Opens a session beside another, which has its memory, in which names without a schema are those of its tables.
    ///
    /// # Errors
    /// As [`Self::session`].
    pub fn session_beside(self: &Arc<Self>, session: &SessionContext) -> Result<SessionContext> {
        engine::over(engine::beside(session), Arc::clone(self) as Arc<dyn SchemaProvider>)
    }

    /// Returns the state of a table, or `None` if there is no such table or it is one about the warehouse.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn state(&self, name: &str) -> Result<Option<Arc<TableState>>, StoreError> {
        if let Some(known) = locked(&self.states).get(name) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(digest) = self.entries.get(name) else { return Ok(None) };
        let state = Arc::new(self.store.table(name, digest)?);
        locked(&self.states).insert(name.to_owned(), Arc::clone(&state));
        Ok(Some(state))
    }

    /// Opens a table, or returns it if it is open. Returns `None` if there is no such table.
    ///
    /// # Errors
    /// As [`stored`].
    pub fn open(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = locked(&self.open).get(name) {
            return Ok(Some(Arc::clone(table)));
        }
        let external = |error: StoreError| DataFusionError::External(Box::new(error));
        let table: Arc<dyn TableProvider> = match (self.state(name).map_err(external)?, &self.partitions) {
            (Some(state), Some(partitions)) => stored_part(&self.store, name, &state, partitions)?,
            (Some(state), None) => stored(&self.store, &state)?,
            (None, _) if OPS_TABLES.contains(&name) => {
                let (schema, batches) = self.store.about(name).map_err(external)?;
                Arc::new(MemTable::try_new(schema, vec![batches])?)
            }
            (None, _) => return Ok(None),
        };
        locked(&self.open).insert(name.to_owned(), Arc::clone(&table));
        Ok(Some(table))
    }
}

#[async_trait]
impl SchemaProvider for SnapshotSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = self.entries.keys().cloned().collect();
        names.extend(locked(&self.states).keys().cloned());
        names.extend(locked(&self.open).keys().cloned());
        names.into_iter().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.open(name)
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(locked(&self.open).insert(name, table))
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(locked(&self.open).remove(name))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.entries.contains_key(name)
            || OPS_TABLES.contains(&name)
            || locked(&self.states).contains_key(name)
            || locked(&self.open).contains_key(name)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

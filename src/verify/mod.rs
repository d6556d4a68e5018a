//! Makes published tables once more and reads stored files once more, and says what is not as it was written down.
//!
//! Promises: a table is made by the code that a run makes it with, from the very rows that it was made from, and for the
//! clock of then; what comes out is compared and thrown away, so that nothing changes. It knows nothing of landed files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use serde::Serialize;

use crate::digest::Digest;
use crate::engine::Resources;
use crate::partition::{PartitionKey, name_of};
use crate::plan::{Table, Workspace, build_hash};
use crate::run::{Exit, RunError};
use crate::store::{
    DataFile, FileRole, ROW_COLUMN, RowSum, Snapshot, SnapshotRef, Store, StoreError, TableEntry, TableState, schema_of,
};
use crate::system_tables::SystemTable;
use crate::tables::{QueryContext, SnapshotSchema};
use crate::transform::{PartitionBuild, PartitionInputs, transform};

/// What came of making a table again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "remade")]
pub enum Remade {
    /// The same rows.
    Same,
    /// Other rows.
    Different {
        /// How many.
        rows_made: u64,
        /// The partitions that differ, of a table that has some.
        partitions: Vec<String>,
        /// How many partitions there are.
        of: usize,
    },
    /// Its query fails.
    Failed {
        /// Why.
        reason: String,
    },
    /// It was not rebuilt.
    Not {
        /// Why.
        reason: &'static str,
    },
}

/// A file that does not hold what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The file, as a path in the warehouse.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What was found of one table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verified {
    /// The table.
    pub table: String,
    /// Its rows, as published.
    pub rows: u64,
    /// What came of rebuilding it; nothing of a table that no query makes.
    #[serde(flatten)]
    pub remade: Option<Remade>,
    /// How many of its files were read.
    pub files_read: usize,
    /// The files that are damaged.
    pub damaged: Vec<Damage>,
    /// How long it took.
    pub seconds: f64,
}

impl Verified {
    /// Returns whether everything that was looked at is as it should be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty() && !matches!(self.remade, Some(Remade::Different { .. } | Remade::Failed { .. }))
    }
}

/// The tables that are verified.
#[derive(Clone, Copy, Debug)]
pub struct VerifyRequest<'a> {
    /// The warehouse.
    pub store: &'a Store,
    /// The project.
    pub workspace: &'a Arc<Workspace>,
    /// The name of the snapshot.
    pub id: &'a Digest,
    /// What it holds.
    pub snapshot: &'a Snapshot,
    /// What queries may use.
    pub resources: &'a Resources,
}

/// Reads every document that a reference leads to: snapshots, states of tables, results of checks. Returns those that
/// are damaged; a run would stop at the first of them.
///
/// # Errors
/// When the disk does not let one be read.
pub fn documents(store: &Store, reference: &SnapshotRef) -> Result<Vec<Damage>, StoreError> {
    let mut damaged = BTreeMap::new();
    let mut note = |read: Result<(), StoreError>| match read {
        Err(StoreError::Damaged { path, reason }) => {
            let file = path.strip_prefix(store.root()).unwrap_or(&path).to_string();
            damaged.insert(file, reason);
            Ok(())
        }
        read => read,
    };
    for id in BTreeSet::from([&reference.snapshot, reference.newest()]) {
        let snapshot = match store.snapshot(id) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                note(Err(error))?;
                continue;
            }
        };
        for (table, entry) in &snapshot.tables {
            note(store.table(table, &entry.state).map(drop))?;
        }
        note(store.outcomes(&snapshot.check_results).map(drop))?;
        if let Some(manifest) = &snapshot.manifest {
            note(store.manifest(manifest).map(drop))?;
        }
    }
    Ok(damaged.into_iter().map(|(file, reason)| Damage { file, reason }).collect())
}

/// Which partitions of a table are verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of it.
    All,
    /// Some, of a table that has partitions.
    Some(BTreeSet<PartitionKey>),
}

impl Selection {
    fn has(&self, key: PartitionKey) -> bool {
        match self {
            Self::All => true,
            Self::Some(keys) => keys.contains(&key),
        }
    }

    /// Returns whether a file has something that is verified.
    fn is_in(&self, holds: FileRole, file: &DataFile) -> bool {
        match self {
            Self::All => true,
            Self::Some(_) => holds == FileRole::Rows && file.partitions.iter().any(|(key, _)| self.has(*key)),
        }
    }
}

/// Verifies a table of the snapshot: rebuilds it if a query makes it, and reads its files if none does or if `files`
/// says so.
///
/// # Errors
/// When the warehouse cannot be read or written, or the engine does not start.
pub async fn verify(of: VerifyRequest<'_>, name: &str, which: &Selection, files: bool) -> Result<Verified, RunError> {
    let started = Instant::now();
    let Some(entry) = of.snapshot.tables.get(name) else {
        return Err(RunError::MissingInput { table: name.to_owned(), input: name.to_owned() });
    };
    let state = of.store.table(name, &entry.state)?;
    let is_given = state.landed.is_some() || SystemTable::ALL.iter().any(|own| own.name() == name);
    let rows = match which {
        Selection::All => entry.rows,
        Selection::Some(_) => sums(&state, which).values().map(|sum| sum.rows).sum(),
    };
    let remade = if is_given { None } else { Some(Verification { of, name, entry, which }.remade(&state).await?) };
    let (files_read, damaged) =
        if is_given || files { damaged(of.store, state, which).await? } else { (0, Vec::new()) };
    let seconds = started.elapsed().as_secs_f64();
    Ok(Verified { table: name.to_owned(), rows, remade, files_read, damaged, seconds })
}

/// The verification of one table that a query makes.
struct Verification<'a> {
    of: VerifyRequest<'a>,
    name: &'a str,
    /// What the snapshot says of it.
    entry: &'a TableEntry,
    which: &'a Selection,
}

impl Verification<'_> {
    /// Rebuilds the table, and compares it with how it was published.
    async fn remade(&self, published: &TableState) -> Result<Remade, RunError> {
        let Some(table) = self.of.workspace.tables.get(self.name).filter(|table| table.kind.is_stored()) else {
            return Ok(Remade::Not { reason: "the project has no such table any more" });
        };
        let Some(origin) = self.origin(table)? else {
            return Ok(Remade::Not { reason: "its SQL is not the one that made it, or what it was made from is gone" });
        };
        let made = match self.make(table, &origin).await {
            Ok(made) => made,
            Err(error) if error.exit() == Exit::Data => return Ok(Remade::Failed { reason: error.in_full() }),
            Err(error) => return Err(error),
        };
        made.files.iter().for_each(|file| self.of.store.discard(file));
        let (now, was) = (sums(&made, self.which), sums(published, self.which));
        let is_same =
            if *self.which == Selection::All { made.content_hash() == self.entry.content_hash } else { now == was };
        if is_same {
            return Ok(Remade::Same);
        }
        let keys: BTreeSet<_> = now.keys().chain(was.keys()).copied().collect();
        let by = made.partition.as_ref().filter(|by| published.partition.as_ref() == Some(by));
        let differing = keys.iter().filter(|key| now.get(key) != was.get(key));
        let partitions = by.map(|by| differing.map(|key| name_of(by, *key)).collect()).unwrap_or_default();
        Ok(Remade::Different { rows_made: made.rows(), partitions, of: keys.len() })
    }

    /// Finds the tables and the clock that the table was built with: those of the newest snapshot in which its
    /// fingerprint is theirs. A run that did not reach the table may have moved them on since.
    fn origin(&self, table: &Table) -> Result<Option<Snapshot>, StoreError> {
        for found in self.of.store.line(self.of.id) {
            let (id, snapshot) = found?;
            if snapshot.tables.get(self.name).is_none_or(|known| known.build_hash != self.entry.build_hash) {
                return Ok(None);
            }
            let content = |input: &str| snapshot.tables.get(input).map(|input| input.content_hash.clone());
            if build_hash(table, snapshot.as_of, content) == self.entry.build_hash {
                // From here on it stays until this has come to its end.
                return match self.of.store.snapshot(&id) {
                    Err(_) if !self.of.store.has_snapshot(&id) => Ok(None),
                    kept => kept.map(Some),
                };
            }
        }
        Ok(None)
    }

    async fn make(&self, table: &Table, origin: &Snapshot) -> Result<TableState, RunError> {
        let tables = Arc::new(SnapshotSchema::new(self.of.store, Some(origin)));
        let context = QueryContext {
            store: self.of.store.clone(),
            session: tables.session(self.of.resources).map_err(RunError::Engine)?,
            workspace: Arc::clone(self.of.workspace),
            as_of: origin.as_of,
        };
        context.register_views(&table.reads).map_err(RunError::engine)?;
        let mut partition_build = self.partition_build(table, origin, &tables)?;
        if let Selection::Some(keys) = self.which {
            partition_build = partition_build.map(|partition_build| partition_build.only(keys.clone()));
        }
        let fingerprint = self.entry.build_hash.clone();
        Ok(transform(&context, self.name, fingerprint, partition_build.as_ref(), &AtomicBool::new(false)).await?.state)
    }

    /// Prepares to build all partitions of a table, if that is how it is built.
    fn partition_build(
        &self,
        table: &Table,
        origin: &Snapshot,
        tables: &SnapshotSchema,
    ) -> Result<Option<PartitionBuild>, StoreError> {
        let Some(partitioned) = &table.partitioned else { return Ok(None) };
        let mut aligned = BTreeMap::new();
        for name in &partitioned.aligned {
            match tables.state(name)? {
                Some(state) if state.partition.is_some() => aligned.insert(name.clone(), TableState::clone(&state)),
                _ => return Ok(None),
            };
        }
        let content = |input: &str| origin.tables.get(input).map(|input| input.content_hash.clone());
        let inputs = PartitionInputs { as_of: origin.as_of, aligned, content };
        Ok(Some(PartitionBuild::new(table, partitioned, inputs, None, self.of.resources.group_rows)))
    }
}

/// Returns the sums of the partitions that are verified.
fn sums(state: &TableState, which: &Selection) -> BTreeMap<PartitionKey, RowSum> {
    let mut sums = state.partition_sums();
    sums.retain(|key, _| which.has(*key));
    sums
}

/// Reads every file of a table that has something which is verified; returns how many, and those that are damaged.
async fn damaged(store: &Store, state: TableState, which: &Selection) -> Result<(usize, Vec<Damage>), RunError> {
    let (store, which) = (store.clone(), which.clone());
    let work = move || {
        let (mut read, mut damaged) = (BTreeSet::new(), Vec::new());
        for (holds, file) in state.data_files().into_iter().filter(|(holds, file)| which.is_in(*holds, file)) {
            // A file is named with the rows that it lost, and as a whole.
            if !read.insert((&file.path, file.deletion_vector.as_ref().map(|without| &without.path))) {
                continue;
            }
            let by = state.partition.as_ref().filter(|_| holds == FileRole::Rows);
            if let Some(reason) = store.damage(file, &schema(&state, holds), by)? {
                damaged.push(Damage { file: file.path.clone(), reason });
            }
        }
        Ok((read.len(), damaged))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(found) => found,
        Err(error) => Err(RunError::Engine(DataFusionError::Execution(error.to_string()))),
    }
}

/// Returns the columns that count of a file of a table.
fn schema(state: &TableState, holds: FileRole) -> SchemaRef {
    match holds {
        FileRole::Rows => schema_of(&state.columns),
        FileRole::Quarantine => SystemTable::Quarantine.schema(),
        FileRole::Ledger => SystemTable::Ledger.schema(),
        FileRole::RowNumbers => Arc::new(Schema::new(vec![Field::new(ROW_COLUMN, DataType::Int64, true)])),
    }
}

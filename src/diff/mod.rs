//! Compares the rows of a table in two snapshots.
//!
//! Promises: rows of one key are held against each other, and rows of a table without a key are compared whole; what is
//! known to be the same from the sums of partitions is not read; beside what queries may use, nothing is held in memory
//! but the few rows that are shown. It knows nothing of projects, runs, or why anybody asks.

mod change;
mod columns;
mod query;
mod slice;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::common::{DataFusionError, Result};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use serde::Serialize;

use crate::partition::PartitionKey;
use crate::project::MaxChange;
use crate::store::{Store, TableState};
use crate::tables::SnapshotSchema;
use crate::transform::is_out_of_memory;

pub use columns::{ColumnChanges, Retyped};
pub use tally::{ChangedRow, ChangedValue, Movement, Rows};

use columns::{Common, common};
use query::{AFTER, BEFORE, Terms};
use slice::Slice;
use tally::{Counts, Tally};

/// How many rows a batch has where memory is short.
const SMALL_BATCH: usize = 1024;

/// Into how many slices what does not fit into memory is cut at most. Each of them reads all files.
const MOST_SLICES: u32 = 512;

/// A table in two snapshots.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The warehouse.
    pub store: &'a Store,
    /// Its name.
    pub table: &'a str,
    /// How it was and how it is.
    pub versions: Versions<'a>,
    /// The columns that tell its rows apart; empty if it has no key.
    pub key: &'a [String],
}

/// What two snapshots have of a table.
#[derive(Debug, Clone, Copy)]
pub enum Versions<'a> {
    /// Both have it.
    Both {
        /// How it was.
        before: &'a TableState,
        /// How it is.
        after: &'a TableState,
    },
    /// Only the later one has it.
    Came(&'a TableState),
    /// Only the earlier one has it.
    Went(&'a TableState),
}

/// How much is shown beside the counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown {
    /// How many rows that were added, removed and changed each, those with the least keys.
    pub rows: usize,
    /// How many movements of numbers, the greatest shares first.
    pub movements: usize,
}

/// How a table differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableDiff {
    /// The table.
    pub table: String,
    /// The columns by which rows were told apart; empty if they were compared whole.
    pub key: Vec<String>,
    /// Why they were compared whole, if they were.
    pub whole_rows: Option<&'static str>,
    /// Its rows before; nothing if it was not there.
    pub rows_before: Option<u64>,
    /// Its rows now; nothing if it is gone.
    pub rows_after: Option<u64>,
    /// Rows that came.
    pub added: u64,
    /// Rows that went.
    pub removed: u64,
    /// Rows that have other values; nothing where rows are compared whole.
    pub changed: Option<u64>,
    /// Rows that are as they were, in the columns that both have.
    pub unchanged: u64,
    /// Of a table with partitions, those that were read.
    pub partitions: Option<PartitionsRead>,
    /// How its columns differ.
    pub columns: ColumnChanges,
    /// The rows that are shown.
    pub rows: Rows,
    /// The movements that are shown.
    pub movements: Vec<Movement>,
}

/// How many partitions of a table had to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PartitionsRead {
    /// Those whose rows differ.
    pub read: usize,
    /// All of them.
    pub all: usize,
}

/// Numbers of a column that moved by more than they may.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExceededChange {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// By how much they may move, as the contract has it.
    pub allowed: String,
    /// How many moved further.
    pub rows: u64,
    /// The greatest of those movements.
    pub examples: Vec<Movement>,
}

/// Why two tables could not be compared.
#[derive(Debug, thiserror::Error)]
#[error("the rows of `{table}` cannot be compared: {}", first_words(error))]
pub struct DiffError {
    /// The table.
    pub table: String,
    /// What DataFusion says.
    pub error: DataFusionError,
}

/// Compares a table. `session` gives what queries may use; its tables stay as they are.
///
/// # Errors
/// When files are missing or damaged, or the query needs more memory or room on the disk than there is.
pub async fn diff(session: &SessionContext, pair: Pair<'_>, shown: Shown) -> Result<TableDiff, DiffError> {
    compare(session, pair, shown).await.map_err(|error| DiffError { table: pair.table.to_owned(), error })
}

/// Returns the columns in which numbers moved by more than `limits` allow, each with so many examples at most. Rows that
/// one side alone has do not count, nor do nulls.
///
/// # Errors
/// As [`diff`].
pub async fn moved(
    session: &SessionContext,
    pair: Pair<'_>,
    limits: &BTreeMap<&str, &MaxChange>,
    examples: usize,
) -> Result<Vec<ExceededChange>, DiffError> {
    beyond(session, pair, limits, examples).await.map_err(|error| DiffError { table: pair.table.to_owned(), error })
}

async fn compare(session: &SessionContext, pair: Pair<'_>, shown: Shown) -> Result<TableDiff> {
    let sides = Sides::of(pair);
    let mut whole_rows = sides.why_whole(pair.key);
    let mut terms = if whole_rows.is_some() { sides.whole() } else { sides.keyed(pair.key) };
    let tally = |terms: &Terms| {
        let tally = Tally::new(terms).show(shown.rows)?;
        let numbers = numbers(terms);
        if shown.movements == 0 || numbers.is_empty() { Ok(tally) } else { tally.watch(numbers, None, shown.movements) }
    };
    let mut found = sides.read(session, pair.store, &terms, &tally).await?;
    if whole_rows.is_none() && !sides.are_told_apart(found.counts) {
        whole_rows = Some("its key comes more than once");
        terms = sides.whole();
        found = sides.read(session, pair.store, &terms, &tally).await?;
    }
    let counts = found.counts;
    let (rows, seen) = found.finish()?;
    let rows_before = sides.before.rows();
    let (is_before, is_after) =
        (!matches!(pair.versions, Versions::Came(_)), !matches!(pair.versions, Versions::Went(_)));
    Ok(TableDiff {
        table: pair.table.to_owned(),
        key: if whole_rows.is_none() { pair.key.to_vec() } else { Vec::new() },
        whole_rows,
        rows_before: is_before.then_some(rows_before),
        rows_after: is_after.then(|| sides.after.rows()),
        added: counts.added,
        removed: counts.removed,
        changed: whole_rows.is_none().then_some(counts.changed),
        unchanged: rows_before - (counts.removed + counts.changed).min(rows_before),
        partitions: sides.partitions.as_ref().map(|(keys, all)| PartitionsRead { read: keys.len(), all: *all }),
        columns: sides.changes,
        rows,
        movements: seen.into_iter().flat_map(|seen| seen.greatest).collect(),
    })
}

async fn beyond(
    session: &SessionContext,
    pair: Pair<'_>,
    limits: &BTreeMap<&str, &MaxChange>,
    examples: usize,
) -> Result<Vec<ExceededChange>> {
    let sides = Sides::of(pair);
    if sides.why_whole(pair.key).is_some() {
        return Ok(Vec::new());
    }
    let mut terms = sides.keyed(pair.key);
    terms.others.retain(|column| column.kind.is_number() && limits.contains_key(column.name.as_str()));
    if terms.others.is_empty() {
        return Ok(Vec::new());
    }
    let tally = |terms: &Terms| {
        let limit = |name: &String| limits.get(name.as_str()).map(|allowed| allowed.limit);
        let mut columns = terms.others.iter().enumerate();
        let watch = |tally: Tally, (at, column): (usize, &Common)| tally.watch(vec![at], limit(&column.name), examples);
        columns.try_fold(Tally::new(terms), watch)
    };
    let (_, seen) = sides.read(session, pair.store, &terms, &tally).await?.finish()?;
    let found = terms.others.iter().zip(seen).filter(|(_, seen)| seen.count > 0);
    let moved = found.map(|(column, seen)| ExceededChange {
        table: pair.table.to_owned(),
        column: column.name.clone(),
        allowed: limits.get(column.name.as_str()).map(|allowed| allowed.written.text.clone()).unwrap_or_default(),
        rows: seen.count,
        examples: seen.greatest,
    });
    Ok(moved.collect())
}

/// Returns the places of the numbers among the columns that may differ.
fn numbers(terms: &Terms) -> Vec<usize> {
    let columns = terms.others.iter().enumerate();
    columns.filter(|(_, column)| column.kind.is_number()).map(|(at, _)| at).collect()
}

/// Both sides of a comparison, and what they have in common.
struct Sides {
    before: TableState,
    after: TableState,
    columns: Vec<Common>,
    changes: ColumnChanges,
    /// The partitions whose rows differ, and how many there are, where that can be told.
    partitions: Option<(BTreeSet<PartitionKey>, usize)>,
}

impl Sides {
    fn of(pair: Pair<'_>) -> Self {
        // A table that is not there has the columns of the other side, and no rows.
        let empty = |other: &TableState| TableState { files: Vec::new(), landed: None, ..other.clone() };
        let (before, after) = match pair.versions {
            Versions::Both { before, after } => (before.clone(), after.clone()),
            Versions::Came(after) => (empty(after), after.clone()),
            Versions::Went(before) => (before.clone(), empty(before)),
        };
        let (columns, changes) = common(&before.columns, &after.columns);
        let partitions = differing(&before, &after);
        Self { before, after, columns, changes, partitions }
    }

    /// Says why rows have to be compared whole, if they have to.
    fn why_whole(&self, key: &[String]) -> Option<&'static str> {
        let is_common = |name: &String| self.columns.iter().any(|column| column.name == *name && column.is_same_type);
        if key.is_empty() {
            Some("it has no key")
        } else if key.iter().all(is_common) {
            None
        } else {
            Some("its key is not the same on both sides")
        }
    }

    fn keyed(&self, key: &[String]) -> Terms {
        let named = |name: &String| self.columns.iter().find(|column| column.name == *name).cloned();
        let others = self.columns.iter().filter(|column| !key.contains(&column.name));
        Terms { key: key.iter().filter_map(named).collect(), others: others.cloned().collect(), is_whole: false }
    }

    fn whole(&self) -> Terms {
        Terms { key: self.columns.clone(), others: Vec::new(), is_whole: true }
    }

    /// Returns how many rows of each side are read.
    fn rows_read(&self) -> (u64, u64) {
        let of = |side: &TableState| match &self.partitions {
            Some((keys, _)) => {
                let sums = side.partition_sums();
                keys.iter().filter_map(|key| sums.get(key)).map(|sum| sum.rows).sum()
            }
            None => side.rows(),
        };
        (of(&self.before), of(&self.after))
    }

    /// Returns whether each row met one of the other side at most: then none was counted twice.
    fn are_told_apart(&self, counts: Counts) -> bool {
        let both = counts.same + counts.changed;
        self.rows_read() == (both + counts.removed, both + counts.added)
    }

    /// Compares the rows that have to be read, in as many slices as it takes to fit into memory.
    async fn read(
        &self,
        session: &SessionContext,
        store: &Store,
        terms: &Terms,
        tally: &impl Fn(&Terms) -> Result<Tally, ArrowError>,
    ) -> Result<Tally> {
        if terms.key.is_empty() {
            // No column is left by which any row could be the same one.
            let mut tally = tally(terms)?;
            (tally.counts.removed, tally.counts.added) = self.rows_read();
            return Ok(tally);
        }
        let mut sides = SnapshotSchema::new(store, None)
            .with_state(BEFORE, self.before.clone())
            .with_state(AFTER, self.after.clone());
        if let Some((keys, _)) = &self.partitions {
            sides = sides.with_partitions(keys.clone());
        }
        let session = Arc::new(sides).session_beside(session)?;
        let mut slices = 1;
        loop {
            let mut found = tally(terms)?;
            match fold(&session, terms, slices, &mut found).await {
                // One side of a join is held in memory.
                Err(error) if is_out_of_memory(&error) && slices < MOST_SLICES => {
                    slices *= 8;
                    let state = session.state_ref();
                    let mut state = state.write();
                    state.config_mut().options_mut().execution.batch_size = ConfigNonZeroUsize::try_new(SMALL_BATCH)?;
                }
                outcome => return outcome.map(|()| found),
            }
        }
    }
}

/// Returns the partitions of two states whose rows differ, and how many there are; nothing where sums do not tell.
fn differing(before: &TableState, after: &TableState) -> Option<(BTreeSet<PartitionKey>, usize)> {
    let columns = |state: &TableState| -> Vec<_> {
        state.columns.iter().map(|column| (column.name.clone(), column.kind)).collect()
    };
    if before.partition.is_none() || before.partition != after.partition || columns(before) != columns(after) {
        return None;
    }
    let (was, is) = (before.partition_sums(), after.partition_sums());
    let all: BTreeSet<PartitionKey> = was.keys().chain(is.keys()).copied().collect();
    let count = all.len();
    Some((all.into_iter().filter(|key| was.get(key) != is.get(key)).collect(), count))
}

/// Counts the rows of both sides, one slice after the other.
async fn fold(session: &SessionContext, terms: &Terms, slices: u32, tally: &mut Tally) -> Result<()> {
    for number in 0..slices {
        let plan = query::plan(session, terms, Slice { number, of: slices }, tally.needs_values()).await?;
        let mut stream = session.execute_logical_plan(plan).await?.execute_stream().await?;
        while let Some(batch) = stream.next().await {
            tally.take(&batch?)?;
        }
    }
    Ok(())
}

/// Returns what DataFusion says, without the list of those that have taken memory.
fn first_words(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    let line = text.lines().next().unwrap_or_default();
    line.split(" with top memory consumers").next().unwrap_or(line).to_owned()
}

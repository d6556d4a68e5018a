//! Makes the rows of all landed files of a dataset keep its contract together: one row per key, the right one.
//!
//! Promises: `rows = clean + exact duplicates + superseded + quarantined in clean`, for every file, checked
//! on every run; a row that loses its winner comes back, because every run decides anew from all files that live. Of
//! the rows nothing is copied that need not be: a large file becomes part of the dataset as it is, with a note of
//! the few rows that it loses, and what was copied once serves again. Keys are compared, not only hashed, and memory
//! stays small beside the rows: a few bytes for each.
//!
//! It knows nothing of how files are parsed or what models make of the rows.

mod gather;
mod in_parallel;
mod keep;
mod ledger_table;
mod marks;

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::ingest::Raw;
use crate::plan::{dataset_fingerprint, in_order, live_paths};
use crate::project::{Project, SourceContract};
use crate::store::{CleanCounts, ColumnState, Content, DataFile, Landed, Partition, Store, StoreError, TableState};

/// A dataset, cleaned. Only [`clean`] makes it.
#[derive(Debug)]
pub struct Cleaned {
    pub(crate) state: TableState,
    /// What became of the dataset's rows, all files together.
    pub counts: CleanCounts,
}

/// Why a dataset could not be cleaned.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// Rows could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Rows were lost on the way: a mistake of ours.
    #[error("the rows of `{file}` do not add up: {counts:?} of {rows}")]
    Unbalanced {
        /// The file.
        file: String,
        /// What the rows became.
        counts: CleanCounts,
        /// How many its records made.
        rows: u64,
    },
    /// The work was given up: a mistake of ours.
    #[error("cleaning `{dataset}` was given up: {reason}")]
    Bug {
        /// The dataset.
        dataset: String,
        /// Why.
        reason: String,
    },
}

/// One landed content in the order in which it counts.
#[derive(Debug, Clone)]
struct Part {
    identity: String,
    content: Content,
}

/// Decides among the rows of all files that live, and makes the dataset's state. What `before` copied serves again.
///
/// # Errors
/// When rows cannot be read or written.
pub async fn clean(
    store: &Store,
    project: &Project,
    contract: &SourceContract,
    raw: Raw,
    before: Option<&Landed>,
) -> Result<Cleaned, CleanError> {
    let (store, contract) = (store.clone(), contract.clone());
    let before = before.map(|before| before.gathered.clone());
    let columns = columns(project, &contract);
    let dataset = contract.name.clone();
    let work = move || clean_blocking(&store, &contract, columns, raw, before.as_ref());
    match tokio::task::spawn_blocking(work).await {
        Ok(cleaned) => cleaned,
        Err(error) => Err(CleanError::Bug { dataset, reason: error.to_string() }),
    }
}

/// Returns the columns of a dataset with the words that describe them.
#[must_use]
pub fn columns(project: &Project, contract: &SourceContract) -> Vec<ColumnState> {
    let describe = |(name, column): (&String, &crate::project::SourceColumn)| {
        let words = project.words(name, &column.words);
        ColumnState {
            name: name.clone(),
            kind: column.kind,
            description: words.description,
            unit: words.unit,
            en: words.en,
            zh: words.zh,
        }
    };
    contract.columns.iter().map(describe).collect()
}

fn clean_blocking(
    store: &Store,
    contract: &SourceContract,
    columns: Vec<ColumnState>,
    raw: Raw,
    before: Option<&BTreeMap<Digest, DataFile>>,
) -> Result<Cleaned, CleanError> {
    let live = live_paths(contract.files, &raw.paths);
    let parts: Vec<Part> = in_order(&live)
        .into_iter()
        .filter_map(|identity| Some(Part { content: raw.contents.get(&identity)?.clone(), identity }))
        .collect();
    let decided = keep::decide(store, contract, &parts)?;
    let (files, gathered) = gather::gather(store, contract, &parts, &decided, before)?;
    let mut counts = CleanCounts::default();
    let mut of_content = BTreeMap::new();
    for (part, decision) in parts.iter().zip(decided) {
        let rows = part.content.ledger.rows;
        if decision.counts.total() != rows || !part.content.ledger.balanced() {
            let file = live
                .iter()
                .find(|path| path.content == part.identity)
                .map_or_else(String::new, |path| path.path.clone());
            return Err(CleanError::Unbalanced { file, counts: decision.counts, rows });
        }
        counts.add(&decision.counts);
        of_content.insert(part.identity.clone(), decision.counts);
    }
    let fingerprint = dataset_fingerprint(contract, &raw.shape, &raw.paths);
    let ledger = ledger_table::write(store, contract, &raw, &of_content)?;
    let state = TableState {
        table: raw.dataset.clone(),
        is_published: false,
        description: contract.description.clone(),
        grain: contract.grain.clone(),
        columns,
        fingerprint: fingerprint.clone(),
        partitions: vec![Partition { key: None, fingerprint, files }],
        landed: Some(Landed {
            shape: raw.shape,
            next_sequence: raw.next_sequence,
            paths: raw.paths,
            contents: raw.contents,
            counts,
            gathered,
            ledger,
        }),
    };
    Ok(Cleaned { state, counts })
}

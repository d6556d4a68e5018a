//! Makes the rows of all landed files of a dataset keep its contract together: one row per key, the right one.
//!
//! Promises: `rows = clean + exact duplicates + superseded + quarantined in clean`, for every file, checked
//! on every run; a row comes back once the row that superseded it is gone, and a quarantined one once its value is found
//! in the dataset that it references: what is decided is what a run over all live files would decide (`incremental`). Of
//! the rows nothing is copied that need not be: a large file becomes part of the dataset as it is, with a note of the few
//! rows that it loses, and what was copied once serves again. Keys are compared, not only hashed, and memory stays small
//! beside the rows: a few bytes for each.
//!
//! It knows nothing of how files are parsed or what models make of the rows.

mod compact;
mod dedup;
mod in_parallel;
mod incremental;
mod ledger_table;
mod reference;
mod repeat_filter;
mod spill;

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::ingest::{Raw, is_read_like};
use crate::landed::{dataset_build_hash, in_order, live_paths};
use crate::project::{Project, SourceContract};
use crate::store::{
    CleanCounts, ColumnState, DataFile, DatasetManifest, FileContent, Shared, Store, StoreError, TableState,
};

use reference::{KeptRows, OfPart};

/// What other datasets may reference of a dataset: its clean rows.
#[derive(Debug, Clone)]
pub struct Referenced {
    files: Vec<DataFile>,
    content: Digest,
    /// How many rows may be missing because records were erased.
    erased: u64,
}

impl Referenced {
    /// Returns what a dataset has.
    #[must_use]
    pub fn of(state: &TableState) -> Self {
        let erased = state.landed.as_ref().map_or(0, |landed| landed.erased);
        Self { files: state.files.clone(), content: state.content_hash(), erased }
    }
}

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
    /// Too many of a file's records are quarantined.
    #[error(
        "{quarantined} of the {records} records of `{path}` do not fit the contract, {unfound} of them for a value that is \
         not found where it references; its `rejected_share` allows {allowed}"
    )]
    Rejected {
        /// The file.
        path: String,
        /// How many are quarantined.
        quarantined: u64,
        /// How many of those for what they reference.
        unfound: u64,
        /// Of how many, blank ones left out.
        records: u64,
        /// How many the contract allows of so many.
        allowed: u64,
        /// The first few that are quarantined for what they reference: line, rule, column and message.
        examples: Vec<String>,
    },
    /// The work was given up: a mistake of ours.
    #[error("cleaning `{dataset}` stopped: {reason}")]
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
    identity: Digest,
    content: Shared<FileContent>,
}

/// Decides among the rows of all files that live, and makes the dataset's state. What `before` copied serves again;
/// `referenced` has every dataset that the contract references.
///
/// # Errors
/// When rows cannot be read or written, or when more of them are quarantined than the contract allows.
pub async fn clean(
    store: &Store,
    project: &Project,
    raw: Raw,
    referenced: BTreeMap<String, Referenced>,
    before: Option<&Shared<DatasetManifest>>,
) -> Result<Cleaned, CleanError> {
    let contract = project.sources[&raw.dataset].clone();
    let columns = columns(project, &contract);
    let dataset = contract.name.clone();
    let cleaning = Cleaning { store: store.clone(), contract, columns, referenced, before: before.cloned() };
    match tokio::task::spawn_blocking(move || cleaning.run(raw)).await {
        Ok(cleaned) => cleaned,
        Err(error) => Err(CleanError::Bug { dataset, reason: error.to_string() }),
    }
}

/// Returns the columns of a dataset with their descriptions.
#[must_use]
pub fn columns(project: &Project, contract: &SourceContract) -> Vec<ColumnState> {
    let describe = |(name, column): (&String, &crate::project::SourceColumn)| {
        let doc = project.column_doc(name, &column.doc);
        ColumnState {
            name: name.clone(),
            kind: column.kind,
            description: doc.description,
            unit: doc.unit,
            en: doc.en,
            zh: doc.zh,
        }
    };
    contract.columns.iter().map(describe).collect()
}

/// The cleaning of one dataset: all that is known before its rows are read.
struct Cleaning {
    store: Store,
    contract: SourceContract,
    columns: Vec<ColumnState>,
    /// Every dataset that the contract references.
    referenced: BTreeMap<String, Referenced>,
    /// The dataset as it was cleaned last.
    before: Option<Shared<DatasetManifest>>,
}

impl Cleaning {
    fn run(self, raw: Raw) -> Result<Cleaned, CleanError> {
        let Self { store, contract, columns, referenced, before } = self;
        let (store, contract, before) = (&store, &contract, before.as_deref());
        let Raw { dataset, read_hash, next_sequence, paths, mut contents, .. } = raw;
        let live = live_paths(contract.files, &paths);
        for (place, identity) in (0..).zip(in_order(&live)) {
            if let Some(content) = contents.get_mut(identity).filter(|content| content.counted_as != place) {
                content.change().counted_as = place;
            }
        }
        let mut parts = Vec::with_capacity(live.len());
        let counted = in_order(&live).filter_map(|identity| contents.get_key_value(identity));
        parts.extend(counted.map(|(identity, content)| Part { identity: identity.clone(), content: content.clone() }));
        let dedup_hash = incremental::rules(contract, &read_hash);
        let known = match before
            .filter(|before| before.dedup_hash == dedup_hash && is_read_like(&contents, &before.contents))
        {
            Some(before) => incremental::decide(store, contract, &parts, before)?,
            None => None,
        };
        let mut decided = match known {
            Some(decided) => decided,
            None => dedup::decide(store, contract, &parts)?,
        };
        let mut remembered = BTreeMap::new();
        for (part, decision) in parts.iter().zip(&mut decided) {
            if let Some(known) = incremental::remembered(store, contract, decision)? {
                decision.stored = Some(known.dropped.clone());
                remembered.insert(part.identity.clone(), known);
            }
        }
        // Each of these may have been what a row references, or have superseded a row that now counts.
        let gone = parts.iter().map(|part| part.content.ledger.erased_rows).sum::<u64>()
            + referenced.values().map(|other| other.erased).sum::<u64>();
        let kept = KeptRows { store, contract, parts: &parts, decided: &mut decided };
        let mut quarantined = kept.quarantine_strays(&referenced, gone)?;
        let erased = if gone == 0 {
            0
        } else {
            gone + quarantined.of_parts.values().map(|of_part| of_part.excused).sum::<u64>()
        };
        let (files, compacted) =
            compact::gather(store, contract, &parts, &decided, before.map(|before| &before.compacted))?;
        let mut counts = CleanCounts::default();
        for (number, (part, decision)) in parts.iter().zip(&decided).enumerate() {
            let rows = part.content.ledger.rows;
            let file = || live.iter().find(|path| path.content == part.identity).map_or("", |path| &*path.path);
            if decision.counts.total() != rows || !part.content.ledger.balanced() {
                return Err(CleanError::Unbalanced { file: file().to_owned(), counts: decision.counts, rows });
            }
            if let Some(of_part) = quarantined.of_parts.remove(&number) {
                reject_if_too_many(contract, file(), part, &decision.counts, &of_part)?;
            }
            counts.add(&decision.counts);
        }
        let referenced = referenced.iter().map(|(name, other)| (name.clone(), other.content.clone())).collect();
        let build_hash = dataset_build_hash(contract, &read_hash, &paths, &referenced);
        let ledger = ledger_table::write(store, contract, &live, (&parts, &decided))?;
        let state = TableState {
            table: dataset,
            is_published: false,
            description: contract.description.clone(),
            grain: contract.grain.clone(),
            columns,
            build_hash,
            partition: contract.partition.clone(),
            files,
            built_from: None,
            landed: Some(Shared::from(DatasetManifest {
                read_hash,
                next_sequence,
                paths,
                contents,
                counts,
                quarantined: quarantined.file,
                referenced,
                erased,
                dedup: remembered,
                dedup_hash,
                compacted,
                ledger,
            })),
        };
        Ok(Cleaned { state, counts })
    }
}

/// Counts what ingest quarantined and what was quarantined here together.
fn reject_if_too_many(
    contract: &SourceContract,
    path: &str,
    part: &Part,
    counts: &CleanCounts,
    of_part: &OfPart,
) -> Result<(), CleanError> {
    let ledger = &part.content.ledger;
    // Where a record makes several rows, each of them may be quarantined here.
    let records = ledger.rows + ledger.misfits() + ledger.erased_rows;
    let unfound = counts.quarantined_in_clean - of_part.excused;
    let quarantined = ledger.misfits() + unfound;
    let allowed = contract.may_reject(records);
    if quarantined <= allowed {
        return Ok(());
    }
    let examples = of_part.examples.iter().map(|example| format!("{path}:{example}")).collect();
    Err(CleanError::Rejected { path: path.to_owned(), quarantined, unfound, records, allowed, examples })
}

//! The suite's own tables about landed files: the parts that the datasets' states hold, side by side.

use std::collections::BTreeMap;

use crate::digest::{Digest, Parts};
use crate::plan::OwnTable;
use crate::store::{ColumnState, DataFile, Partition, TableState};

/// Puts one of these tables together from the states of all datasets: a partition for each.
pub(super) fn assemble(own: OwnTable, datasets: &BTreeMap<String, TableState>) -> TableState {
    let mut partitions = Vec::new();
    for (name, state) in datasets {
        let Some(landed) = &state.landed else { continue };
        let files: Vec<DataFile> = match own {
            OwnTable::Ledger => vec![landed.ledger.clone()],
            OwnTable::Quarantine => {
                let at_ingest = landed.contents.values().filter_map(|content| content.quarantine.clone());
                at_ingest.chain(landed.set_aside.clone()).collect()
            }
            OwnTable::CheckResult | OwnTable::CheckRow => continue,
        };
        partitions.push(Partition { key: Some(name.clone()), fingerprint: state.fingerprint.clone(), files });
    }
    let mut fingerprint = Parts::of("own");
    partitions.iter().for_each(|partition| fingerprint.add(partition.fingerprint.as_str()));
    state(own, fingerprint.digest(), partitions)
}

/// Returns the state of one of the suite's own tables.
pub(super) fn state(own: OwnTable, fingerprint: Digest, partitions: Vec<Partition>) -> TableState {
    let columns = own.columns().map(|(name, kind, words)| ColumnState {
        name: name.to_owned(),
        kind,
        description: words.description,
        unit: words.unit,
        en: words.en,
        zh: words.zh,
    });
    TableState {
        table: own.name().to_owned(),
        is_published: true,
        description: Some(own.description().to_owned()),
        grain: Some(own.grain().to_owned()),
        columns: columns.collect(),
        fingerprint,
        partitions,
        landed: None,
    }
}

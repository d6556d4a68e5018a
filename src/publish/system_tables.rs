//! opsmart's own tables about landed files: the parts that the datasets' states hold, side by side.

use std::collections::BTreeMap;

use crate::digest::{Digest, Parts};
use crate::store::{ColumnState, DataFile, TableState};
use crate::system_tables::SystemTable;

/// Puts one of these tables together from the states of all datasets.
pub(super) fn assemble(own: SystemTable, datasets: &BTreeMap<String, TableState>) -> TableState {
    let mut files = Vec::new();
    let mut build_hash = Parts::of("own");
    for state in datasets.values() {
        let Some(landed) = &state.landed else { continue };
        match own {
            SystemTable::Ledger => files.push(landed.ledger.clone()),
            SystemTable::Quarantine => {
                files.extend(landed.contents.values().filter_map(|content| content.quarantine.as_deref().cloned()));
                files.extend(landed.quarantined.clone());
            }
            SystemTable::CheckResult | SystemTable::CheckRow => continue,
        }
        build_hash.add(state.build_hash.as_str());
    }
    state(own, build_hash.digest(), files)
}

/// Returns the state of one of opsmart's own tables.
pub(super) fn state(own: SystemTable, build_hash: Digest, files: Vec<DataFile>) -> TableState {
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
        build_hash,
        partition: None,
        files,
        built_from: None,
        landed: None,
    }
}

//! Reads `schemas/erased.toml`: whose records are never taken in.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, did_you_mean};
use crate::digest::Digest;
use crate::project::SourceContract;
use crate::project::toml_reader::{self, Table};

/// Puts what the file says into the contracts of the datasets that it names.
pub(super) fn read(file: &SourceFile, sources: &mut BTreeMap<String, SourceContract>, found: &mut Diagnostics) {
    toml_reader::read(file, found, |table| {
        for entry in table.entries() {
            let name = &entry.name;
            if !sources.contains_key(&name.text) {
                let help = did_you_mean(&name.text, sources.keys().map(String::as_str));
                let mistake = Diagnostic::new(
                    Code::UnknownDataset,
                    table.at(name.bytes.clone()),
                    format!("there is no dataset `{}`", name.text),
                );
                table.report(mistake.help(help.unwrap_or_else(|| "name one of `schemas/sources/`".to_owned())));
                continue;
            }
            let (Some(contract), Some(columns)) = (sources.get_mut(&name.text), entry.table()) else { continue };
            of_dataset(&columns, contract);
        }
        Some(())
    });
}

fn of_dataset(table: &Table<'_>, contract: &mut SourceContract) {
    for entry in table.entries() {
        let name = &entry.name;
        if !contract.columns.contains_key(&name.text) {
            let help = did_you_mean(&name.text, contract.columns.keys().map(String::as_str));
            let mistake = Diagnostic::new(
                Code::ContractColumn,
                table.at(name.bytes.clone()),
                format!("`{}` has no column `{}`", contract.name, name.text),
            );
            table.report(mistake.help(help.unwrap_or_else(|| "name one that the contract declares".to_owned())));
            continue;
        }
        let mut digests = BTreeSet::new();
        for word in entry.list_of_text() {
            match Digest::parse(&word.text) {
                Some(digest) => drop(digests.insert(digest)),
                None => table.reject(
                    &word,
                    format!("`{}` is no digest", word.text),
                    "`opsmart erase DATASET.COLUMN=VALUE` writes the digests of values",
                ),
            }
        }
        contract.erased.insert(name.text.clone(), digests);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mistakes;

    #[test]
    fn datasets_columns_and_digests_are_checked_where_they_stand() {
        let contract = "from = \"{landing}/a.csv\"\nformat = { type = \"csv\" }\n[columns]\nid = \"string!\"\n";
        let erased = "[b]\n[a]\nuser = []\nid = [\"me\", \"0123456789abcdef0123456789abcdef\"]\n";
        assert_eq!(
            mistakes(&[("schemas/sources/a.toml", contract), ("schemas/erased.toml", erased)]),
            [
                "schemas/erased.toml:1:2 E0204 there is no dataset `b` @b",
                "schemas/erased.toml:3:1 E0402 `a` has no column `user` @user",
                "schemas/erased.toml:4:8 E0107 `me` is no digest @me",
            ]
        );
    }
}

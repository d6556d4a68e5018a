//! Reads `schemas/columns.toml`, and the words that describe a column wherever they stand.

use indexmap::IndexMap;

use super::value::{NAME_RULE, is_name, plain};
use crate::diagnostic::{Diagnostics, SourceFile};
use crate::project::ColumnDoc;
use crate::project::toml_reader::{self, Table};

/// Returns the words of every column that the dictionary knows.
pub(super) fn read(file: &SourceFile, found: &mut Diagnostics) -> IndexMap<String, ColumnDoc> {
    let dictionary = toml_reader::read(file, found, |table| {
        let mut dictionary = IndexMap::new();
        for entry in table.entries() {
            if !is_name(&entry.name.text) {
                table.reject(&entry.name, format!("`{}` cannot name a column", entry.name.text), NAME_RULE);
            }
            let Some(mut column) = entry.table() else { continue };
            dictionary.insert(entry.name.text, words(&mut column));
            column.finish();
        }
        Some(dictionary)
    });
    dictionary.unwrap_or_default()
}

/// Returns the words that a column's table has.
pub(super) fn words(column: &mut Table<'_>) -> ColumnDoc {
    ColumnDoc {
        description: plain(column.text("description")),
        unit: plain(column.text("unit")),
        en: plain(column.text("en")),
        zh: plain(column.text("zh")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mistakes;

    #[test]
    fn the_dictionary_knows_words_only() {
        let text = "day = { en = \"Day\", type = \"date\" }\nDay = {}\n";
        assert_eq!(
            mistakes(&[("schemas/columns.toml", text)]),
            [
                "schemas/columns.toml:1:21 E0104 there is no key `type` here @type",
                "schemas/columns.toml:2:1 E0107 `Day` cannot name a column @Day",
            ]
        );
    }
}

//! Reads `schemas/models/<name>.toml`: what a published or stored table promises.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use toml::de::DeValue;

use super::column::{check_name, pattern};
use super::dictionary::words;
use super::files::Leaf;
use super::names::Names;
use super::value::{plain, plain_all};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, did_you_mean};
use crate::project::toml_reader::{self, Table, Value};
use crate::project::{Layer, ModelColumn, ModelContract, ModelPlaces, Rules};

/// Returns every model's contract that can be read.
pub(super) fn read_all(names: &Names, found: &mut Diagnostics) -> BTreeMap<String, ModelContract> {
    let mut contracts = BTreeMap::new();
    for (name, leaf) in &names.contracts {
        if !names.sql.contains(name) {
            found.push(without_model(name, leaf, names));
        }
        let Some(file) = &leaf.file else { continue };
        let layer = names.models.get(name).map(|model| model.layer).or_else(|| Layer::of(name));
        if let Some(contract) = toml_reader::read(file, found, |table| Some(read(file, table, layer))) {
            contracts.insert(name.clone(), contract);
        }
    }
    contracts
}

fn without_model(name: &str, leaf: &Leaf, names: &Names) -> Diagnostic {
    let message = format!("there is no model `{name}` for this contract");
    let help = did_you_mean(name, names.models.keys().map(String::as_str)).unwrap_or_else(|| {
        let folder = Layer::of(name).map_or("…", Layer::folder);
        format!("write `sql/{folder}/{name}.sql`, or remove the contract")
    });
    Diagnostic::new(Code::NoSuchModel, leaf.named().whole(), message).help(help)
}

fn read(file: &SourceFile, mut table: Table<'_>, layer: Option<Layer>) -> ModelContract {
    let description = plain(table.text("description"));
    let grain = plain(table.text("grain"));
    let key = table.distinct_texts("key");
    let tags = plain_all(table.distinct_texts("tags"));
    let stored = stored(&mut table, layer);
    let mut places = ModelPlaces { key: key.iter().map(|word| word.bytes.clone()).collect(), columns: Vec::new() };
    let mut columns = IndexMap::new();
    for entry in table.names("columns") {
        check_name(&entry);
        let Some(column) = column(&entry) else { continue };
        places.columns.push(entry.name.bytes.clone());
        columns.insert(entry.name.text, column);
    }
    table.finish();
    ModelContract { file: file.clone(), description, grain, key: plain_all(key), tags, stored, columns, places }
}

/// Only a view can be chosen to be stored; what is published always is.
fn stored(table: &mut Table<'_>, layer: Option<Layer>) -> bool {
    let Some(value) = table.take("stored") else { return false };
    if let Some(layer) = layer.filter(|layer| !matches!(layer, Layer::Staging | Layer::Intermediate)) {
        let always = if layer.is_published() { "always" } else { "never" };
        let message = format!("tables in `sql/{}/` are {always} stored", layer.folder());
        value.reject(message, "remove `stored`");
    }
    value.boolean().unwrap_or(false)
}

fn column(entry: &Value<'_>) -> Option<ModelColumn> {
    let mut table = entry.table()?;
    let required = table.boolean("required").unwrap_or(false);
    let values = values(&mut table);
    let min = plain(table.take("min").and_then(|value| value.scalar()));
    let max = plain(table.take("max").and_then(|value| value.scalar()));
    let pattern = plain(pattern(&mut table));
    let words = words(&mut table);
    table.finish();
    Some(ModelColumn { rules: Rules { required, values, min, max, pattern }, words })
}

fn values(table: &mut Table<'_>) -> Vec<String> {
    let Some(list) = table.take("values") else { return Vec::new() };
    let items = list.list();
    if items.is_empty() && matches!(list.node(), DeValue::Array(_)) {
        list.reject("`values` is empty, so no value could be right", "list the values, or leave `values` out");
    }
    items.iter().filter_map(Value::scalar).map(|word| word.text).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::mistakes;

    #[test]
    fn each_promise_is_checked_where_it_stands() {
        let cases = [
            ("stored = true", "1:10 E0107 tables in `sql/marts/` are always stored @true"),
            ("columns.a.pattern = \"(\"", "1:22 E0107 `pattern` is not a regular expression: unclosed group @("),
            ("columns.a.values = []", "1:20 E0107 `values` is empty, so no value could be right @[]"),
            ("columns.a = \"int64\"", "1:13 E0106 `a` is text, expected a table @\"int64\""),
            ("columns.a.type = \"int64\"", "1:11 E0104 there is no key `type` here @type"),
            ("columns._a = {}", "1:9 E0107 the column `_a` starts with `_` @_a"),
        ];
        for (text, expected) in cases {
            let files = [("sql/marts/fct_a.sql", ""), ("schemas/models/fct_a.toml", text)];
            assert_eq!(mistakes(&files), [format!("schemas/models/fct_a.toml:{expected}")], "{text}");
        }
        assert_eq!(mistakes(&[("sql/staging/stg_a.sql", ""), ("schemas/models/stg_a.toml", "stored = true")]), [""; 0]);
    }
}

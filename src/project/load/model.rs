//! Reads `schemas/models/<name>.toml`: the checks of a published or stored table, or how a query of `sql/checks/` is
//! judged.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use indexmap::IndexMap;
use toml::de::DeValue;

use super::check::{self, terms};
use super::column::{check_name, pattern};
use super::dictionary::words;
use super::files::Leaf;
use super::names::Names;
use super::partition;
use super::value::{owner, plain, plain_all};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, did_you_mean};
use crate::project::toml_reader::{self, Table, Value};
use crate::project::{Layer, Limit, MaxChange, ModelColumn, ModelContract, ModelPlaces, Rules, Settings, Terms};

/// Returns every model's contract that can be read.
pub(super) fn read_all(
    names: &Names,
    settings: Option<&Settings>,
    found: &mut Diagnostics,
) -> BTreeMap<String, ModelContract> {
    let zone = settings.map_or(Tz::UTC, |settings| settings.reporting_zone);
    let mut contracts = BTreeMap::new();
    for (name, leaf) in &names.contracts {
        if !names.sql.contains(name) {
            found.push(without_model(name, leaf, names));
        }
        let Some(file) = &leaf.file else { continue };
        let layer = names.models.get(name).map(|model| model.layer).or_else(|| Layer::of(name));
        if let Some(contract) = toml_reader::read(file, found, |table| Some(read(file, table, layer, zone))) {
            contracts.insert(name.clone(), contract);
        }
    }
    contracts
}

fn without_model(name: &str, leaf: &Leaf, names: &Names) -> Diagnostic {
    let message = format!("there is no model `{name}` for this contract");
    let help = if Layer::Metrics.prefixes().iter().any(|prefix| name.starts_with(prefix)) {
        "the tables of metrics take no contract: check a table that reads them, or write a query in `sql/checks/`"
            .to_owned()
    } else {
        did_you_mean(name, names.models.keys().map(String::as_str)).unwrap_or_else(|| {
            let folder = Layer::of(name).map_or("…", Layer::folder);
            format!("write `sql/{folder}/{name}.sql`, or remove the contract")
        })
    };
    Diagnostic::new(Code::NoSuchModel, leaf.named().whole(), message).help(help)
}

fn read(file: &SourceFile, mut table: Table<'_>, layer: Option<Layer>, zone: Tz) -> ModelContract {
    let mut contract = ModelContract {
        file: file.clone(),
        description: plain(table.text("description")),
        grain: None,
        key: Vec::new(),
        owner: owner(&mut table),
        tags: plain_all(table.distinct_texts("tags")),
        stored: false,
        partition: None,
        reach: None,
        columns: IndexMap::new(),
        checks: Vec::new(),
        terms: Terms::default(),
        of: None,
        places: ModelPlaces::default(),
    };
    if layer == Some(Layer::Checks) {
        contract.of = table.text("of");
        contract.terms = terms(&mut table);
        sample_needed(&table, &contract);
        table.finish();
        return contract;
    }
    contract.grain = plain(table.text("grain"));
    let key = table.distinct_texts("key");
    contract.places.key = key.iter().map(|word| word.bytes.clone()).collect();
    contract.key = plain_all(key);
    contract.stored = stored(&mut table, layer);
    if let Some((by, word)) = partition::read(&mut table, zone) {
        contract.partition = Some(by);
        contract.places.partition = word.bytes;
    }
    contract.reach = partition::reach(&mut table, contract.partition.as_ref());
    for entry in table.names("columns") {
        check_name(&entry);
        let Some(column) = column(&entry) else { continue };
        contract.places.columns.push(entry.name.bytes.clone());
        keyed(&entry, &column, &contract.key, &table);
        contract.columns.insert(entry.name.text, column);
    }
    contract.checks = check::read_all(&mut table);
    table.finish();
    contract
}

/// A query alone does not say how many rows it tested.
fn sample_needed(table: &Table<'_>, contract: &ModelContract) {
    let needs_sample = contract.terms.max_share.is_some() || contract.terms.min_rows > 0;
    if needs_sample && !table.has("of") {
        table.missing("of", "of = \"fct_ticket\"");
    }
}

/// Only a view can be chosen to be stored; what is published always is.
fn stored(table: &mut Table<'_>, layer: Option<Layer>) -> bool {
    let Some(value) = table.take("stored") else { return false };
    if let Some(layer) = layer.filter(|layer| !matches!(layer, Layer::Base | Layer::Staging | Layer::Intermediate)) {
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
    let unique = table.boolean("unique").unwrap_or(false);
    let relation = table.take("relation").and_then(|value| check::to(&value));
    let max_change = table.take("max_change").and_then(|value| max_change(&value));
    let terms = terms(&mut table);
    let rules = Rules { required, values, min, max, pattern };
    if terms != Terms::default() && rules == Rules::default() && !unique && relation.is_none() {
        let message = format!("`{}` checks nothing", entry.name.text);
        let mistake = Diagnostic::new(Code::InvalidValue, entry.at(entry.name.bytes.clone()), message);
        entry.report(mistake.help("add a rule such as `required = true`, or take the limits out"));
    }
    let words = words(&mut table);
    table.finish();
    Some(ModelColumn { rules, unique, relation, max_change, terms, doc: words })
}

/// Rows are held against those of before by their key, which never moves itself.
fn keyed(entry: &Value<'_>, column: &ModelColumn, key: &[String], table: &Table<'_>) {
    let Some(max_change) = &column.max_change else { return };
    let name = &entry.name.text;
    if !table.has("key") {
        let help = "write `key = [\"…\"]`, the columns that tell one row from another";
        table.reject(&max_change.written, "`max_change` needs the `key` of the table", help);
    } else if key.contains(name) {
        table.reject(&max_change.written, format!("`{name}` is part of the key, so it never moves"), "remove it here");
    }
}

/// Returns how far numbers may move.
fn max_change(value: &Value<'_>) -> Option<MaxChange> {
    const HELP: &str = "write a share such as `\"20%\"`, or by how much it may move, such as `5`";
    let limit = match value.node() {
        DeValue::String(text) => {
            let share = text.strip_suffix('%').map(str::trim_end).filter(|digits| is_plain_number(digits));
            // The point is shifted before there is a float, so that "0.1%" is the one that 0.001 is.
            let share = share.and_then(|digits| format!("{digits}e-2").parse::<f64>().ok());
            share.filter(|share| share.is_finite()).map(Limit::Share)
        }
        DeValue::Integer(_) | DeValue::Float(_) => Some(value.number()?).filter(|most| *most >= 0.0).map(Limit::By),
        _ => {
            value.wrong_type("a share such as `\"20%\"`, or a number");
            return None;
        }
    };
    let written = value.scalar()?;
    let Some(limit) = limit else {
        value.reject(format!("`max_change` cannot be `{}`", written.text), HELP);
        return None;
    };
    Some(MaxChange { limit, written })
}

/// Returns whether a text is digits, perhaps with a point among them.
fn is_plain_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    [whole, fraction].iter().all(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
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
    use super::super::load;
    use super::super::tests::{folder, mistakes, path};
    use super::*;

    #[test]
    fn each_check_is_read_where_it_stands() {
        let cases = [
            ("stored = true", "1:10 E0107 tables in `sql/marts/` are always stored @true"),
            (
                "partition = { day = \"a\" }\nreach = { before = \"36h\" }",
                "2:21 E0107 `before` is not a number of days up to 3660 @36h",
            ),
            ("partition = { day = \"a\" }\nreach = {}", "2:9 E0105 `before` is missing @{}"),
            (
                "reach = { before = \"3 days\" }",
                "1:9 E0107 `reach` is for tables with partitions by day @{ before = \"3 days\" }",
            ),
            ("partition = { day = 3 }", "1:21 E0106 `day` is an integer, expected text @3"),
            ("columns.a.pattern = \"(\"", "1:22 E0107 `pattern` is not a regular expression: unclosed group @("),
            ("columns.a.values = []", "1:20 E0107 `values` is empty, so no value could be right @[]"),
            ("columns.a = \"int64\"", "1:13 E0106 `a` is text, expected a table @\"int64\""),
            ("columns.a.type = \"int64\"", "1:11 E0104 there is no key `type` here @type"),
            ("columns.a.relation = 1", "1:22 E0106 `relation` is an integer, expected text @1"),
            ("columns.a = { required = true, max_share = 2 }", "1:44 E0107 `max_share` cannot be 2 @2"),
            ("columns.a = { max_rows = 2 }", "1:9 E0107 `a` checks nothing @a"),
            ("columns.a.max_change = \"20%\"", "1:25 E0107 `max_change` needs the `key` of the table @20%"),
            ("key = [\"a\"]\ncolumns.a.max_change = 5", "2:24 E0107 `a` is part of the key, so it never moves @5"),
            ("key = [\"b\"]\ncolumns.a.max_change = \"20\"", "2:25 E0107 `max_change` cannot be `20` @20"),
            ("key = [\"b\"]\ncolumns.a.max_change = \"-1%\"", "2:25 E0107 `max_change` cannot be `-1%` @-1%"),
            ("key = [\"b\"]\ncolumns.a.max_change = -0.5", "2:24 E0107 `max_change` cannot be `-0.5` @-0.5"),
            (
                "key = [\"b\"]\ncolumns.a.max_change = true",
                "2:24 E0106 `max_change` is a boolean, expected a share such as `\"20%\"`, or a number @true",
            ),
            ("key = [\"b\"]\ncolumns.a = { max_change = 1, severity = \"warn\" }", "2:9 E0107 `a` checks nothing @a"),
            ("of = \"fct_b\"", "1:1 E0104 there is no key `of` here @of"),
            ("columns._a = {}", "1:9 E0107 the column `_a` starts with `_` @_a"),
        ];
        for (text, expected) in cases {
            let files = [("sql/marts/fct_a.sql", ""), ("schemas/models/fct_a.toml", text)];
            assert_eq!(mistakes(&files), [format!("schemas/models/fct_a.toml:{expected}")], "{text}");
        }
        assert_eq!(mistakes(&[("sql/staging/stg_a.sql", ""), ("schemas/models/stg_a.toml", "stored = true")]), [""; 0]);
    }

    #[test]
    fn a_share_is_the_float_that_its_decimals_are() {
        let of = |text: &str| {
            let contract = format!("key = [\"b\"]\ncolumns.a.max_change = {text}");
            let settings = ("opsmart.toml", "[paths]\nlanding = \"in\"\n");
            let files = [settings, ("sql/marts/fct_a.sql", ""), ("schemas/models/fct_a.toml", contract.as_str())];
            let folder = folder(files);
            let project = load(path(&folder), None).unwrap();
            project.contracts["fct_a"].columns["a"].max_change.as_ref().unwrap().limit
        };
        assert_eq!(of("\"20%\""), Limit::Share(0.2));
        assert_eq!(of("\"0.1 %\""), Limit::Share(0.001));
        assert_eq!(of("\"0%\""), Limit::Share(0.0));
        assert_eq!(of("2.5"), Limit::By(2.5));
        assert_eq!(of("3"), Limit::By(3.0));
    }

    #[test]
    fn the_contract_of_a_query_says_how_it_is_judged() {
        let cases = [
            ("severity = \"warn\"", None),
            ("max_share = 0.1\nof = \"fct_a\"", None),
            ("max_share = 0.1", Some("1:1 E0105 `of` is missing @")),
            ("key = [\"a\"]", Some("1:1 E0104 there is no key `key` here @key")),
        ];
        for (text, expected) in cases {
            let files = [("sql/checks/assert_a.sql", ""), ("schemas/models/assert_a.toml", text)];
            let expected: Vec<_> =
                expected.iter().map(|words| format!("schemas/models/assert_a.toml:{words}")).collect();
            assert_eq!(mistakes(&files), expected, "{text}");
        }
    }
}

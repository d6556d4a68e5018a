//! Checks that what `explode` makes into rows is read by some column, and that `#` stands where it means something.

use super::column::Declared;
use super::format;
use super::source::Columns;
use crate::diagnostic::{Code, Diagnostic};
use crate::project::toml_reader::Table;
use crate::project::{ColumnType, Format, Located, PLACE};

pub(super) fn check(table: &Table<'_>, columns: &Columns, format: &format::Declared) {
    // Of CSV no path means anything, and of what cannot be read it is not known.
    if !matches!(format.format, Some(Format::Ndjson(_))) {
        return;
    }
    if let Some(explode) = &format.explode
        && let Some(message) = mistake(&explode.text)
    {
        let help = "write the names of nested objects with dots between them, such as `items` or `order.items`";
        table.reject(explode, message, help);
        return;
    }
    let array = format.explode.as_ref().map(|explode| explode.text.as_str());
    for declared in columns.values() {
        check_place(table, declared, array);
    }
    if let Some(explode) = &format.explode
        && !columns.iter().any(|(name, declared)| is_of(&explode.text, name, declared))
    {
        let message = format!("no column is read from the elements of `{}`", explode.text);
        let help = format!("declare one, such as `name = {{ type = \"string\", path = \"{}.name\" }}`", explode.text);
        table.reject(explode, message, help);
    }
}

/// Returns what is wrong with the path of an array.
fn mistake(array: &str) -> Option<String> {
    if array.split('.').any(str::is_empty) {
        return Some("`explode` has an empty name in it".to_owned());
    }
    let has_place = array.split('.').any(|name| name == PLACE);
    has_place.then(|| format!("`explode` has `{PLACE}` in it, which stands for places of elements"))
}

/// Returns whether a column is the elements of `array`, something inside them, or their place.
fn is_of(array: &str, name: &str, declared: &Declared) -> bool {
    let is_at = |path: &str| path.strip_prefix(array).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let own = declared.path.as_ref().map_or(name, |path| &path.text);
    is_at(own) || declared.aliases.iter().any(|alias| is_at(&alias.text))
}

/// The place of an element stands directly below the array, and is a whole number.
fn check_place(table: &Table<'_>, declared: &Declared, array: Option<&str>) {
    let Some(path) = declared.path.as_ref().filter(|path| path.text.split('.').any(|name| name == PLACE)) else {
        return;
    };
    if path.text.strip_suffix(PLACE).and_then(|above| above.strip_suffix('.')) != array || array.is_none() {
        misplaced(table, path, array);
    } else if let Some(column) = declared.column.as_ref().filter(|column| column.kind != ColumnType::Int64) {
        let message = format!("the place of an element is no value of type `{}`", column.kind);
        let at = table.at(declared.type_bytes.clone());
        table.report(Diagnostic::new(Code::RuleType, at, message).help("write `int64`: places are counted from 1"));
    }
}

fn misplaced(table: &Table<'_>, path: &Located, array: Option<&str>) {
    let message = format!("`{PLACE}` stands for the place of an element, and there is none at `{}`", path.text);
    let help = match array {
        Some(array) => format!("write `{array}.{PLACE}`"),
        None => "name the array as `explode` in `format`, and write its path before it".to_owned(),
    };
    table.reject(path, message, help);
}

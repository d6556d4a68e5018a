//! Checks that one column has what the contract does not know, if `new_columns` takes it, and none otherwise.

use super::source::Columns;
use crate::diagnostic::{Code, Diagnostic};
use crate::project::NewColumns;
use crate::project::toml_reader::Table;

const TAKE: &str = "new_columns = \"take\"";

pub(super) fn check(table: &mut Table<'_>, columns: &Columns, new_columns: NewColumns) {
    let mut found = columns.values().filter_map(|declared| Some((declared, declared.rest.clone()?)));
    let Some((first, first_rest)) = found.next() else {
        if new_columns == NewColumns::Take
            && let Some(word) = table.text("new_columns")
        {
            let help = "declare one: `more = { type = \"string\", rest = true }`";
            table.reject(&word, "`new_columns` is `take`, and no column has `rest`", help);
        }
        return;
    };
    for (_, rest) in found {
        let mistake = Diagnostic::new(Code::InvalidValue, table.at(rest), "two columns have `rest`");
        table.report(mistake.related(table.at(first_rest.clone()), "the first").help("remove one of them"));
    }
    if new_columns != NewColumns::Take {
        let message = format!("`rest` without `{TAKE}`: nothing is taken that the contract does not know");
        let mistake = Diagnostic::new(Code::InvalidValue, table.at(first_rest), message);
        table.report(mistake.help(format!("write `{TAKE}` above the columns, or remove it here")));
    }
    let name = &first.name.text;
    for other in first.path.iter().chain(&first.aliases) {
        let message = format!("`{name}` has what no other column has, so it has no other names");
        table.reject(other, message, "remove it here");
    }
}

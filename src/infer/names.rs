//! Names of fields to names of columns.

use std::collections::BTreeSet;

use crate::project::is_name;

/// Returns a column's name for each field's name, all different and none of `avoided`; a name that can stay does.
pub(super) fn column_names(fields: &[String], avoided: &[String]) -> Vec<String> {
    let mut taken: BTreeSet<String> = fields.iter().chain(avoided).filter(|field| is_name(field)).cloned().collect();
    let named = fields.iter().enumerate().map(|(at, field)| {
        if is_name(field) {
            return field.clone();
        }
        let base = snake(field).unwrap_or_else(|| format!("column_{}", at + 1));
        // A suffix for every name but the first; there are more numbers than fields.
        let mut names = std::iter::once(base.clone()).chain((2..).map(|number| format!("{base}_{number}")));
        let name = names.find(|name| !taken.contains(name)).unwrap_or(base);
        taken.insert(name.clone());
        name
    });
    named.collect()
}

/// Returns a name in words of small letters; nothing if no letter of it can stay.
fn snake(field: &str) -> Option<String> {
    let mut name = String::new();
    let mut last = None;
    for c in field.chars() {
        let starts_word = c.is_ascii_uppercase() && last.is_some_and(|last: char| last.is_ascii_lowercase());
        if (starts_word || !c.is_ascii_alphanumeric()) && !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        }
        last = Some(c);
    }
    let name = name.trim_end_matches('_');
    if name.is_empty() || !name.contains(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    Some(if is_name(name) { name.to_owned() } else { format!("n_{name}") })
}

/// Returns the words of a column's name.
pub(super) fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split('_')
}

/// Returns whether a column is called like something that tells rows apart.
pub(super) fn is_identifier(name: &str) -> bool {
    const LIKE: [&str; 9] = ["id", "uuid", "guid", "key", "number", "no", "code", "nr", "ref"];
    words(name).last().is_some_and(|word| LIKE.contains(&word))
}

/// Returns whether a column is called like a time.
pub(super) fn is_time(name: &str) -> bool {
    const LIKE: [&str; 12] =
        ["at", "time", "ts", "timestamp", "date", "day", "dt", "created", "updated", "modified", "epoch", "unix"];
    words(name).any(|word| LIKE.contains(&word))
}

/// Returns whether a column is called like the time of a row's last change.
pub(super) fn is_change(name: &str) -> bool {
    const LIKE: [&str; 7] = ["updated", "modified", "changed", "update", "change", "modification", "version"];
    words(name).any(|word| LIKE.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words_and_stay_apart() {
        let fields = ["Adj Close", "adj_close", "createdAt", "2024", "订单号", "", "ID", "id", "_x", "A/B test", "1st"];
        assert_eq!(
            column_names(&fields.map(str::to_owned), &["x".to_owned()]),
            [
                "adj_close_2",
                "adj_close",
                "created_at",
                "column_4",
                "column_5",
                "column_6",
                "id_2",
                "id",
                "x_2",
                "a_b_test",
                "n_1st"
            ]
        );
    }

    #[test]
    fn names_tell_identifiers_and_times() {
        assert!(is_identifier("ticket_id") && is_identifier("number") && !is_identifier("idle"));
        assert!(is_time("created_at") && !is_time("rate"));
        assert!(is_change("sys_updated_at") && !is_change("created_at"));
    }
}

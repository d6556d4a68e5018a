//! Names of fields to names of columns.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::project::is_name;

/// Returns a column's name for each field's name, all different; a name that can stay does.
pub(super) fn column_names(fields: &[String]) -> Vec<String> {
    let mut taken: BTreeSet<String> = fields.iter().filter(|field| is_name(field)).cloned().collect();
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
    let field = &latin(field);
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

/// Returns a text with its letters as English keyboards have them: `ä` as `ae`, `ß` as `ss`, others without their marks.
fn latin(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.nfc() {
        let spelled = match c {
            'ä' | 'æ' => "ae",
            'ö' | 'ø' | 'œ' => "oe",
            'ü' => "ue",
            'ß' | 'ẞ' => "ss",
            'å' => "aa",
            'Ä' | 'Æ' => "AE",
            'Ö' | 'Ø' | 'Œ' => "OE",
            'Ü' => "UE",
            'Å' => "AA",
            'ł' => "l",
            'Ł' => "L",
            'đ' | 'ð' => "d",
            'Đ' | 'Ð' => "D",
            'þ' | 'Þ' => "th",
            'ı' => "i",
            _ => {
                plain.extend(c.nfkd().filter(|part| !is_combining_mark(*part)));
                continue;
            }
        };
        plain.push_str(spelled);
    }
    plain
}

/// Returns whether a text has letters of scripts that stand for words, in which no column can be named.
pub(super) fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{2ffff}'))
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

/// Returns whether a column, or its field in the file, is called like a time.
pub(super) fn is_time(name: &str, field: &str) -> bool {
    const LIKE: [&str; 16] = [
        "at",
        "time",
        "ts",
        "timestamp",
        "date",
        "day",
        "dt",
        "created",
        "updated",
        "modified",
        "epoch",
        "unix",
        "zeit",
        "datum",
        "uhrzeit",
        "fecha",
    ];
    words(name).any(|word| LIKE.contains(&word))
        || ["时间", "日期", "時間", "日時"].iter().any(|word| field.contains(word))
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
            column_names(&fields.map(str::to_owned)),
            [
                "adj_close_2",
                "adj_close",
                "created_at",
                "column_4",
                "column_5",
                "column_6",
                "id_2",
                "id",
                "x",
                "a_b_test",
                "n_1st"
            ]
        );
    }

    #[test]
    fn letters_keep_their_sound() {
        let fields = [
            "Größe",
            "GRÖSSE",
            "Straße Nr.",
            "Prénom",
            "Año",
            "Łódź",
            "Zu\u{308}rich",
            "Wert (€)",
            "№",
            "ＩＤ",
            "订单",
        ];
        assert_eq!(
            column_names(&fields.map(str::to_owned)),
            ["groesse", "groesse_2", "strasse_nr", "prenom", "ano", "lodz", "zuerich", "wert", "no", "id", "column_11"]
        );
    }

    #[test]
    fn names_tell_identifiers_and_times() {
        assert!(is_identifier("ticket_id") && is_identifier("number") && !is_identifier("idle"));
        assert!(is_time("created_at", "") && !is_time("rate", "") && is_time("column_3", "创建时间"));
        assert!(is_change("sys_updated_at") && !is_change("created_at"));
    }
}

//! Reads `rules`: what the values of one record must keep to together.

use super::bound::{self, Bound};
use super::source::Columns;
use super::value::{NAME_RULE, is_name};
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::project::toml_reader::{Table, Value};
use crate::project::{ColumnType, Comparison, Operand, RecordRule, Spelled};

const EXAMPLE: &str = "write a column, one of `=`, `<>`, `<`, `<=`, `>`, `>=`, and a column or a value, such as \
                       `ended_at >= started_at`, `amount > 0` or `status <> 'new'`";

/// Returns every rule that can be read.
pub(super) fn read_all(table: &mut Table<'_>, columns: &Columns) -> Vec<RecordRule> {
    table.names("rules").iter().filter_map(|entry| read(entry, columns)).collect()
}

fn read(entry: &Value<'_>, columns: &Columns) -> Option<RecordRule> {
    if !is_name(&entry.name.text) {
        let message = format!("`{}` cannot name a rule", entry.name.text);
        let at = entry.at(entry.name.bytes.clone());
        entry.report(Diagnostic::new(Code::InvalidValue, at, message).help(NAME_RULE));
    }
    let word = entry.text()?;
    let Some((left, comparison, right)) = parts(&word.text) else {
        entry.reject(format!("the rule `{}` is no comparison", entry.name.text), EXAMPLE);
        return None;
    };
    let left_kind = kind(entry, &word, columns, left)?;
    let right = if is_name(right) && right != "true" && right != "false" {
        let right_kind = kind(entry, &word, columns, right)?;
        if !compares(left_kind, right_kind) {
            let message = format!("`{left}` is of type `{left_kind}` and `{right}` of type `{right_kind}`");
            let mistake = Diagnostic::new(Code::RuleType, place(entry, &word, right), message);
            entry.report(mistake.help("compare two numbers, or two columns of one type"));
        }
        Operand::Column(right.to_owned())
    } else {
        let is_quoted = right.len() > 1 && right.starts_with('\'') && right.ends_with('\'');
        let text = if is_quoted { right[1..right.len() - 1].replace("''", "'") } else { right.to_owned() };
        if !is_value(left_kind, &text, is_quoted) {
            let message = format!("`{right}` is not a value of type `{left_kind}`");
            let help = match left_kind {
                ColumnType::String => "write text in single quotes".to_owned(),
                ColumnType::Boolean => "write `true` or `false`".to_owned(),
                kind => format!("write a value such as `{}`", bound::example(kind)),
            };
            entry.report(Diagnostic::new(Code::RuleType, place(entry, &word, right), message).help(help));
        }
        Operand::Value(text)
    };
    Some(RecordRule { name: entry.name.text.clone(), left: left.to_owned(), comparison, right })
}

/// Splits `left op right`; nothing where it is none.
fn parts(text: &str) -> Option<(&str, Comparison, &str)> {
    let at = text.find(['<', '>', '='])?;
    let (sign, comparison) = Comparison::SIGNS.iter().find(|(sign, _)| text[at..].starts_with(sign))?;
    let (left, right) = (text[..at].trim(), text[at + sign.len()..].trim());
    let is_plain = right.starts_with('\'') || !right.contains(['<', '>', '=', ' ']);
    (is_name(left) && !right.is_empty() && is_plain).then_some((left, *comparison, right))
}

/// Returns the type of a column that a rule names; nothing, with a mistake, where there is none.
fn kind(entry: &Value<'_>, word: &Spelled, columns: &Columns, name: &str) -> Option<ColumnType> {
    if let Some(declared) = columns.get(name) {
        return declared.column.as_ref().map(|column| column.kind);
    }
    let message = format!("the rule `{}` names the column `{name}`, which is not declared", entry.name.text);
    let help = did_you_mean(name, columns.keys().map(String::as_str))
        .unwrap_or_else(|| "declare it under `[columns]`; text stands in single quotes".to_owned());
    entry.report(Diagnostic::new(Code::ContractColumn, place(entry, word, name), message).help(help));
    None
}

/// Returns where a part of the rule stands.
fn place(entry: &Value<'_>, word: &Spelled, part: &str) -> crate::diagnostic::Place {
    let whole = entry.at(word.bytes.clone());
    let written = &whole.file.text[whole.bytes.clone()];
    // What stands on the right is looked for from the right, so that it is not found inside the name on the left.
    match written.rfind(part) {
        Some(start) => entry.at(whole.bytes.start + start..whole.bytes.start + start + part.len()),
        None => whole,
    }
}

fn compares(left: ColumnType, right: ColumnType) -> bool {
    let is_number = |kind| matches!(kind, ColumnType::Int64 | ColumnType::Float64 | ColumnType::Decimal { .. });
    left == right || (is_number(left) && is_number(right))
}

fn is_value(kind: ColumnType, text: &str, is_quoted: bool) -> bool {
    match kind {
        ColumnType::String => is_quoted,
        ColumnType::Boolean => matches!(text, "true" | "false"),
        _ => Bound::parse(text, kind).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mistakes;

    #[test]
    fn each_rule_is_checked_where_it_stands() {
        let found = |rule: &str| {
            let text = format!(
                "from = \"in/a.csv\"\nformat = {{ type = \"csv\" }}\n[columns]\nid = \"int64!\"\nat = \"timestamp\"\n\
                 b = \"boolean\"\ns = \"string\"\nd = \"decimal(4,1)\"\n[rules]\n{rule}\n"
            );
            let found = mistakes(&[("schemas/sources/a.toml", &text)]);
            found.iter().map(|found| found.trim_start_matches("schemas/sources/a.toml:").to_owned()).collect::<Vec<_>>()
        };
        for right in ["id > 0", "id<d", "d <> 1.5", "s = 'a <b'", "s = ''''", "b = true", "at < 2024-01-31T08:00:00Z"] {
            assert_eq!(found(&format!("r = \"{right}\"")), [""; 0], "{right}");
        }
        let cases = [
            ("r = 1", "10:5 E0106 `r` is an integer, expected text @1"),
            ("R = \"id > 0\"", "10:1 E0107 `R` cannot name a rule @R"),
            ("r = \"id\"", "10:6 E0107 the rule `r` is no comparison @id"),
            ("r = \"id > d and id < 5\"", "10:6 E0107 the rule `r` is no comparison @id > d and id < 5"),
            ("r = \"id == d\"", "10:6 E0107 the rule `r` is no comparison @id == d"),
            ("r = \"idd > 0\"", "10:6 E0402 the rule `r` names the column `idd`, which is not declared @idd"),
            ("r = \"id > dd\"", "10:11 E0402 the rule `r` names the column `dd`, which is not declared @dd"),
            ("r = \"id > at\"", "10:11 E0403 `id` is of type `int64` and `at` of type `timestamp` @at"),
            ("r = \"id > 1.5\"", "10:11 E0403 `1.5` is not a value of type `int64` @1.5"),
            ("r = \"s > 1.5\"", "10:10 E0403 `1.5` is not a value of type `string` @1.5"),
            (
                "r = \"at > '2024-01-31'\"",
                "10:11 E0403 `'2024-01-31'` is not a value of type `timestamp` @'2024-01-31'",
            ),
        ];
        for (rule, expected) in cases {
            assert_eq!(found(rule), [expected], "{rule}");
        }
    }
}

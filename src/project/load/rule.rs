//! Reads `rules`, what the values of one record must keep to together, and `true_if`, what makes marks true.

use toml::de::DeValue;

use super::condition::{self, Reader};
use super::source::Columns;
use super::value::{NAME_RULE, is_name};
use crate::diagnostic::{Code, Diagnostic};
use crate::project::toml_reader::{Table, Value};
use crate::project::{RecordRule, RuleReason};

/// Returns every rule that can be read.
pub(super) fn read_all(table: &mut Table<'_>, columns: &Columns) -> Vec<RecordRule> {
    let entries = table.names("rules");
    entries.iter().filter_map(|entry| read(table, entry, columns)).collect()
}

fn read(table: &Table<'_>, entry: &Value<'_>, columns: &Columns) -> Option<RecordRule> {
    let name = &entry.name.text;
    if !is_name(name) {
        let at = entry.at(entry.name.bytes.clone());
        let message = format!("`{name}` cannot name a rule");
        entry.report(Diagnostic::new(Code::InvalidValue, at, message).help(NAME_RULE));
    }
    let (word, reason) = match entry.node() {
        DeValue::String(_) => (entry.text(), None),
        DeValue::Table(_) => {
            let mut rule = entry.table()?;
            let word = rule.required_text("rule", "rule = \"high >= low\"");
            let reason = rule.one_of("reason", &RuleReason::NAMES);
            rule.finish();
            (word, reason)
        }
        _ => {
            entry.wrong_type("a rule such as `\"amount > 0\"`, or a table with `rule`");
            return None;
        }
    };
    let subject = format!("the rule `{name}`");
    let condition = condition::read(Reader { table, columns, subject: &subject, is_of_mark: false }, &word?)?;
    Some(RecordRule { name: name.clone(), condition, reason: reason.unwrap_or(RuleReason::Rule) })
}

/// Gives the marks among the columns the conditions that make them true.
pub(super) fn read_marks(table: &Table<'_>, columns: &mut Columns) {
    for at in 0..columns.len() {
        let Some(words) = &columns[at].true_if else { continue };
        let reader = Reader { table, columns, subject: "`true_if`", is_of_mark: true };
        let conditions = words.iter().filter_map(|word| condition::read(reader, word)).collect();
        if let Some(column) = &mut columns[at].column {
            column.true_if = conditions;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mistakes;

    /// Returns the mistakes of a contract of columns of every type whose rules begin on line 13.
    fn found(rules: &str) -> Vec<String> {
        let head = r#"from = "in/a.csv"
format = { type = "csv" }
[columns]
id = "int64!"
at = "timestamp"
b = "boolean"
s = "string"
d = "decimal(4,1)"
f = "float64"
day = "date"
m = { type = "boolean", true_if = "s = 'x'" }
[rules]
"#;
        of_contract(&format!("{head}{rules}\n"))
    }

    fn of_contract(text: &str) -> Vec<String> {
        let found = mistakes(&[("schemas/sources/a.toml", text)]);
        found.iter().map(|found| found.trim_start_matches("schemas/sources/a.toml:").to_owned()).collect()
    }

    #[test]
    fn a_rule_is_a_condition_or_a_table_with_one() {
        for rule in [
            "r = \"id > 0\"",
            "r = { rule = \"id > 0\" }",
            "r = { rule = \"m = false\", reason = \"E_BOT\" }",
            "[rules.r]\nrule = \"id > 0\"\nreason = \"E_OHLC\"",
        ] {
            assert_eq!(found(rule), [""; 0], "{rule}");
        }
        let cases = [
            (
                "r = 1",
                "13:5 E0106 `r` is an integer, expected a rule such as `\"amount > 0\"`, or a table with `rule` @1",
            ),
            ("R = \"id > 0\"", "13:1 E0107 `R` cannot name a rule @R"),
            ("r = {}", "13:5 E0105 `rule` is missing @{}"),
            ("r = { rule = 1 }", "13:14 E0106 `rule` is an integer, expected text @1"),
            ("r = { rule = \"id > 0\", reason = \"E_NONE\" }", "13:34 E0107 `reason` cannot be `E_NONE` @E_NONE"),
            ("r = { rule = \"id > 0\", because = \"x\" }", "13:24 E0104 there is no key `because` here @because"),
            (
                "r = { rule = \"idd > 0\" }",
                "13:15 E0402 the rule `r` names the column `idd`, which is not declared @idd",
            ),
        ];
        for (rule, expected) in cases {
            assert_eq!(found(rule), [expected], "{rule}");
        }
    }

    #[test]
    fn each_condition_is_checked_where_it_stands() {
        for condition in [
            "id > 0",
            "id>0",
            "id < d",
            "d <> 1.5",
            "d = -1.5",
            "s = 'a <b'",
            "s = ''''",
            "b = true",
            "at < 2024-01-31T08:00:00Z",
            "at < 2024-01-31T08:00:00.5+08:00",
            "day >= 2024-01-31",
            "f > 1e-9",
            "id = d + id - 1",
            "id=d-1",
            "id <= -d + 0.25",
            "d <= f + 1e-9",
            "s ~ '^[a-z]+$'",
            "s !~ '(?i)bot'",
            "s in ('a', 'b,)')",
            "id not in (1, -2)",
            "b in (true)",
            "day in (2024-01-31)",
            "s is null",
            "s is not null",
            "m = true",
        ] {
            assert_eq!(found(&format!("r = \"{condition}\"")), [""; 0], "{condition}");
        }
        let cases = [
            ("", "13:6 E0107 expected a column, found the end @"),
            ("5 > id", "13:6 E0107 expected a column, found `5` @5"),
            ("id", "13:8 E0107 expected a comparison, found the end @"),
            ("id ! 5", "13:9 E0107 expected a comparison, found `!` @!"),
            ("id >", "13:10 E0107 expected a value, found the end @"),
            ("id == d", "13:10 E0107 expected a value, found `=` @="),
            ("id > d and id < 5", "13:13 E0107 expected nothing more, found `and` @and"),
            ("id > d +", "13:14 E0107 expected a value, found the end @"),
            ("idd > 0", "13:6 E0402 the rule `r` names the column `idd`, which is not declared @idd"),
            ("id > dd", "13:11 E0402 the rule `r` names the column `dd`, which is not declared @dd"),
            ("id = d + dd", "13:15 E0402 the rule `r` names the column `dd`, which is not declared @dd"),
            ("id > at", "13:11 E0403 `id` is of type `int64` and `at` of type `timestamp` @at"),
            ("id > d + s", "13:15 E0403 `id` is of type `int64` and `s` of type `string` @s"),
            ("s = s + s", "13:12 E0403 `+` is for numbers, and the column on the left is of type `string` @+"),
            ("day > -day", "13:12 E0403 `-` is for numbers, and the column on the left is of type `date` @-"),
            ("id > 1.5", "13:11 E0403 `1.5` is not a value of type `int64` @1.5"),
            ("id > 10-3", "13:11 E0403 `10-3` is not a value of type `int64` @10-3"),
            ("id > d + 1e3", "13:15 E0403 `1e3` is not a value of type `decimal(38,0)` @1e3"),
            ("id > '5'", "13:11 E0403 `'5'` is not a value of type `int64` @'5'"),
            ("s > 1.5", "13:10 E0403 `1.5` is not a value of type `string` @1.5"),
            ("b = 1", "13:10 E0403 `1` is not a value of type `boolean` @1"),
            ("at > '2024-01-31'", "13:11 E0403 `'2024-01-31'` is not a value of type `timestamp` @'2024-01-31'"),
            ("at > 2024-01-31", "13:11 E0403 `2024-01-31` is not a value of type `timestamp` @2024-01-31"),
            ("s > 'it''s", "13:10 E0107 a quote does not close @'it''s"),
            ("id ~ '1'", "13:9 E0403 `~` does not fit a column of type `int64` @~"),
            ("s ~ s", "13:10 E0107 expected a regular expression in single quotes, found `s` @s"),
            ("s ~", "13:9 E0107 expected a regular expression in single quotes, found the end @"),
            ("s ~ '['", "13:10 E0107 `'['` is not a regular expression: unclosed character class @'['"),
            ("s in 'a'", "13:11 E0107 expected `(`, found `'a'` @'a'"),
            ("s in ()", "13:12 E0107 expected a value, found `)` @)"),
            ("s in ('a' 'b')", "13:16 E0107 expected `,` or `)`, found `'b'` @'b'"),
            ("s in ('a'", "13:15 E0107 expected `,` or `)`, found the end @"),
            ("s in ('a', b)", "13:17 E0403 `b` is not a value of type `string` @b"),
            ("id in (1, 2.5)", "13:16 E0403 `2.5` is not a value of type `int64` @2.5"),
            ("b in (-true)", "13:12 E0403 `-` is for numbers, and the column on the left is of type `boolean` @-"),
            ("day in (-2024-01-31)", "13:14 E0403 `-` is for numbers, and the column on the left is of type `date` @-"),
            ("s not like 'a'", "13:12 E0107 expected `in`, found `like` @like"),
            ("s is 5", "13:11 E0107 expected `null`, found `5` @5"),
        ];
        for (condition, expected) in cases {
            assert_eq!(found(&format!("r = \"{condition}\"")), [expected], "{condition}");
        }
        // What is written with escapes hides where the rest stands, and the whole text is marked.
        assert_eq!(found(r#"r = "s ~ '\\d' x""#), [r"13:6 E0107 expected nothing more, found `x` @s ~ '\\d' x"]);
        assert_eq!(
            found(r#"r = "x ~ '\\d'""#),
            ["13:6 E0402 the rule `r` names the column `x`, which is not declared @x"]
        );
        assert_eq!(found(r"r = 's \d'"), [r"13:8 E0107 expected a comparison, found `\` @\"]);
    }

    #[test]
    fn a_mark_goes_by_what_files_give() {
        let found = |column: &str| {
            of_contract(&format!(
                r#"from = "in/{{day}}-*.csv"
format = {{ type = "csv" }}
key = ["m"]
[columns]
day = "date"
s = "string"
m = {{ type = "boolean", true_if = ["s is null", "day < 2024-01-01"], en = "M" }}
o = {{ type = "string", aliases = ["m"] }}
{column}
"#
            ))
        };
        assert_eq!(found("n = { type = \"boolean\", true_if = \"s ~ 'x'\" }"), [""; 0]);
        let cases = [
            ("n = { true_if = \"s = 'x'\" }", "9:5 E0105 `type` is missing @{ true_if = \"s = 'x'\" }"),
            (
                "n = { type = \"int64\", true_if = \"s = 'x'\" }",
                "9:34 E0403 `true_if` does not fit a column of type `int64` @s = 'x'",
            ),
            (
                "n = { type = \"boolean!\", true_if = \"s = 'x'\" }",
                "9:15 E0107 a column with `true_if` is never null, so `!` does not go with it @boolean!",
            ),
            ("n = { type = \"boolean\", true_if = [] }", "9:35 E0107 `true_if` is empty, so nothing would be true @[]"),
            (
                "n = { type = \"boolean\", true_if = true }",
                "9:35 E0106 `true_if` is a boolean, expected text or a list of texts @true",
            ),
            (
                "n = { type = \"boolean\", true_if = [\"s = 'x'\", \"x = 1\"] }",
                "9:48 E0402 `true_if` names the column `x`, which is not declared @x",
            ),
            (
                "n = { type = \"boolean\", true_if = \"m = true\" }",
                "9:36 E0107 `m` is a mark itself, and `true_if` goes by what files and paths give @m",
            ),
            (
                "n = { type = \"boolean\", true_if = \"s = 'x'\", unknown = 1 }",
                "9:46 E0104 there is no key `unknown` here @unknown",
            ),
        ];
        for (column, expected) in cases {
            assert_eq!(found(column), [expected], "{column}");
        }
        for (key, value) in [
            ("aliases", "[\"x\"]"),
            ("path", "\"x.y\""),
            ("normalise", "[\"words\"]"),
            ("values", "[\"true\"]"),
            ("min", "1"),
            ("max", "2"),
            ("pattern", "\"x\""),
            ("null", "[\"-\"]"),
            ("format", "\"%F\""),
            ("not_future", "2"),
        ] {
            let column = format!("n = {{ type = \"boolean\", true_if = \"s = 'x'\", {key} = {value} }}");
            let marked = value.trim_matches('"');
            let at = column.rfind(marked).unwrap() + 1;
            assert_eq!(found(&column), [format!("9:{at} E0107 `{key}` does not go with `true_if` @{marked}")]);
        }
    }

    #[test]
    fn the_path_gives_no_mark() {
        let found = of_contract(
            r#"from = "in/{m}.csv"
format = { type = "csv" }
[columns]
s = "string"
m = { type = "boolean", true_if = "s is null" }
"#,
        );
        assert_eq!(found, ["1:13 E0404 `m` has `true_if`, so it cannot be read from the path of the file @m"]);
    }
}

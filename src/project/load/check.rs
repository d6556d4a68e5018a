//! Reads `[checks]` of a model's contract, and the keys that say how rows that fail a check are judged.

use toml::de::DeValue;

use super::value::{NAME_RULE, is_name, number, sql};
use crate::diagnostic::{Code, Diagnostic};
use crate::project::toml_reader::{Table, Value, listed};
use crate::project::{
    Calendar, CheckDeclaration, Equation, Located, Monotone, Newest, NoGaps, Rule, Severity, Side, Terms, To, Usual,
};

/// The keys of which a check has exactly one: what it asks.
const QUESTIONS: [&str; 12] = [
    "unique",
    "relation",
    "holds",
    "rows",
    "row_change",
    "newest",
    "distinct",
    "never_falls",
    "never_rises",
    "no_gaps",
    "equal",
    "usual",
];

/// Returns the checks of a contract, in order.
pub(super) fn read_all(table: &mut Table<'_>) -> Vec<CheckDeclaration> {
    table.names("checks").iter().filter_map(read).collect()
}

fn read(entry: &Value<'_>) -> Option<CheckDeclaration> {
    let name = entry.name.clone();
    let refuse = |message: String, help: &str| {
        entry.report(Diagnostic::new(Code::InvalidValue, entry.at(name.bytes.clone()), message).help(help));
    };
    if name.text == "key" {
        refuse("a check cannot be called `key`".to_owned(), "the checks of the table's key are; rename it");
    } else if !is_name(&name.text) {
        refuse(format!("`{}` cannot name a check", name.text), NAME_RULE);
    }
    let mut table = entry.table()?;
    let asked: Vec<&str> = QUESTIONS.into_iter().filter(|key| table.has(key)).collect();
    let [kind] = asked.as_slice() else {
        let message = match asked.as_slice() {
            [] => format!("the check `{}` asks nothing", name.text),
            all => format!("the check `{}` asks {} questions", name.text, all.len()),
        };
        refuse(message, &format!("give it one of {}", listed(QUESTIONS)));
        return None;
    };
    let question = question(&mut table, kind);
    // How many of the published rows a filter would have chosen is not known.
    let filter = if *kind == "row_change" { None } else { sql(&mut table, "where") };
    let terms = match *kind {
        "rows" | "newest" | "distinct" => Terms { severity: severity(&mut table), ..Terms::default() },
        "row_change" => Terms {
            severity: severity(&mut table),
            min_rows: count(&mut table, "min_rows", 1).unwrap_or(0),
            ..Terms::default()
        },
        // A day without a history is not judged, and neither is a table of such days.
        "usual" => {
            let terms = terms(&mut table);
            Terms { min_rows: terms.min_rows.max(1), ..terms }
        }
        _ => terms(&mut table),
    };
    table.finish();
    Some(CheckDeclaration { name, question: question?, filter, terms })
}

/// Reads the keys that say how rows that fail a check are judged.
pub(super) fn terms(table: &mut Table<'_>) -> Terms {
    let severity = severity(table);
    let max_rows = count(table, "max_rows", 0);
    let max_share = number(table, "max_share", |share| (0.0..=1.0).contains(&share), "a share from 0 to 1");
    let min_rows = count(table, "min_rows", 1).unwrap_or(0);
    Terms { severity, max_rows, max_share, min_rows }
}

fn severity(table: &mut Table<'_>) -> Severity {
    let choices = [("error", Severity::Error), ("warn", Severity::Warn)];
    table.one_of("severity", &choices).unwrap_or_default()
}

/// Reads what a relation leads to: `table`, `table.column`, or a table with both.
pub(super) fn to(value: &Value<'_>) -> Option<To> {
    if let DeValue::Table(_) = value.node() {
        let mut table = value.table()?;
        let target = table.required_text("table", "table = \"dim_agent\"");
        let columns = names(&mut table, "columns");
        table.finish();
        return Some(To { table: target?, columns });
    }
    let word = value.text()?;
    let Some((table, column)) = word.text.split_once('.') else { return Some(To { table: word, columns: Vec::new() }) };
    let start = word.bytes.start;
    let dot = start + table.len();
    Some(To {
        table: Located { text: table.to_owned(), bytes: start..dot },
        columns: vec![Located { text: column.to_owned(), bytes: dot + 1..word.bytes.end }],
    })
}

fn question(table: &mut Table<'_>, kind: &str) -> Option<Rule> {
    Some(match kind {
        "unique" => Rule::Unique { columns: some_names(table, "unique")? },
        "relation" => {
            let columns = some_names(table, "relation");
            if !table.has("to") {
                table.missing("to", "to = \"dim_agent\"");
            }
            let to = table.take("to").and_then(|value| to(&value));
            Rule::Relation { columns: columns?, to: to? }
        }
        "holds" => Rule::Holds { condition: sql(table, "holds")? },
        "rows" => {
            let (min, max) = range(table, "rows")?;
            Rule::Rows { min, max }
        }
        "row_change" => {
            let mut limits = table.table("row_change")?;
            let is_share = |share: f64| share >= 0.0;
            let up = number(&mut limits, "up", is_share, "a share such as `0.5`");
            let down = number(&mut limits, "down", is_share, "a share such as `0.1`");
            if !limits.has("up") && !limits.has("down") {
                limits.missing("up", "row_change = { up = 0.5, down = 0.1 }");
            }
            limits.finish();
            Rule::RowChange { up, down }
        }
        "newest" => {
            let column = table.text("newest");
            let within = table.required_text("within", "within = \"2 days\"")?;
            let seconds = parse_age(&within.text);
            if seconds.is_none() {
                table.reject(
                    &within,
                    format!("`{}` is not a length of time", within.text),
                    "write `2 days`, `36 hours` or `90 minutes`",
                );
            }
            Rule::Newest(Newest { column: column?, within_seconds: seconds?, within })
        }
        "distinct" => {
            let column = table.text("distinct");
            let min = count(table, "min", 0);
            let max = count(table, "max", 0);
            bounds_needed(table, min, max);
            Rule::Distinct { column: column?, min, max }
        }
        "never_falls" | "never_rises" => {
            let is_falling = kind == "never_rises";
            let column = table.text(if is_falling { "never_rises" } else { "never_falls" });
            let order = table.required_text("order", "order = \"day\"");
            let per = names(table, "per");
            Rule::Monotone(Monotone { column: column?, is_falling, order: order?, per })
        }
        "no_gaps" => {
            let day = table.text("no_gaps");
            let per = names(table, "per");
            let calendar = if table.has("calendar") { Some(calendar(table)?) } else { None };
            Rule::NoGaps(NoGaps { day: day?, per, calendar })
        }
        "equal" => Rule::Equal(equal(table)?),
        _ => Rule::Usual(usual(table)?),
    })
}

fn calendar(table: &mut Table<'_>) -> Option<Calendar> {
    let mut of = table.table("calendar")?;
    let name = of.required_text("table", "table = \"dim_day\"");
    let day = of.required_text("day", "day = \"day\"");
    let filter = sql(&mut of, "where");
    of.finish();
    Some(Calendar { table: name?, day: day?, filter })
}

fn equal(table: &mut Table<'_>) -> Option<Equation> {
    let value = sql(table, "equal");
    let by = names(table, "by");
    let tolerance = number(table, "tolerance", |number| number >= 0.0, "a number such as `0.01`");
    if !table.has("to") {
        table.missing("to", "to = { table = \"fct_ticket\", value = \"count(*)\", by = \"created_day\" }");
    }
    let mut to = table.table("to")?;
    let name = to.required_text("table", "table = \"fct_ticket\"");
    let there_value = sql(&mut to, "value");
    let there_by = if to.has("by") { names(&mut to, "by") } else { by.clone() };
    let there_filter = sql(&mut to, "where");
    if there_by.len() != by.len() {
        let message = format!("`by` names {} here and {} there", columns_of(by.len()), columns_of(there_by.len()));
        to.report(
            Diagnostic::new(Code::InvalidValue, to.place(), message)
                .help("name as many columns on both sides, in the same order"),
        );
        return None;
    }
    to.finish();
    let value = value?;
    let there = Side { value: there_value.unwrap_or_else(|| value.clone()), by: there_by };
    Some(Equation { here: Side { value, by }, table: name?, there, there_filter, tolerance })
}

fn columns_of(count: usize) -> String {
    format!("{count} column{}", if count == 1 { "" } else { "s" })
}

fn usual(table: &mut Table<'_>) -> Option<Usual> {
    let value = sql(table, "usual");
    let day = table.required_text("day", "day = \"day\"");
    let per = names(table, "per");
    let max_z = number(table, "max_z", |z| z > 0.0, "a number above 0").unwrap_or(3.5);
    let history_days = count(table, "history_days", 1).unwrap_or(56);
    let min_points = count(table, "min_points", 2).unwrap_or(8);
    let newest_days = count(table, "newest_days", 1).unwrap_or(1);
    let same_weekday = table.boolean("same_weekday").unwrap_or(false);
    let possible = if same_weekday { history_days / 7 } else { history_days };
    if min_points > possible {
        let message =
            format!("a history of {history_days} days has {possible} points at most, and `min_points` is {min_points}");
        table.report(
            Diagnostic::new(Code::InvalidValue, table.place(), message)
                .help("no day would ever be judged; raise `history_days` or lower `min_points`"),
        );
    }
    Some(Usual { value: value?, day: day?, per, max_z, history_days, min_points, newest_days, same_weekday })
}

/// Returns the names that the text or list of `key` gives; one that stands in it twice is a mistake.
fn names(table: &mut Table<'_>, key: &'static str) -> Vec<Located> {
    let Some(value) = table.take(key) else { return Vec::new() };
    let mut distinct = Vec::<Located>::new();
    for word in value.text_or_list() {
        if distinct.iter().any(|known| known.text == word.text) {
            table.reject(&word, format!("`{}` stands in `{key}` twice", word.text), "remove it here");
        } else {
            distinct.push(word);
        }
    }
    distinct
}

fn some_names(table: &mut Table<'_>, key: &'static str) -> Option<Vec<Located>> {
    let names = names(table, key);
    if names.is_empty()
        && let Some(value) = table.take(key)
        && matches!(value.node(), DeValue::Array(_))
    {
        value.reject(format!("`{key}` names no column"), format!("write `{key} = [\"column\"]`"));
    }
    (!names.is_empty()).then_some(names)
}

fn range(table: &mut Table<'_>, key: &'static str) -> Option<(Option<u64>, Option<u64>)> {
    let mut limits = table.table(key)?;
    let min = count(&mut limits, "min", 0);
    let max = count(&mut limits, "max", 0);
    bounds_needed(&limits, min, max);
    limits.finish();
    Some((min, max))
}

fn bounds_needed(table: &Table<'_>, min: Option<u64>, max: Option<u64>) {
    if !table.has("min") && !table.has("max") {
        table.missing("min", "min = 1");
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        let message = format!("`min` {min} is greater than `max` {max}");
        table.report(Diagnostic::new(Code::InvalidValue, table.place(), message).help("swap them"));
    }
}

fn count(table: &mut Table<'_>, key: &'static str, least: u64) -> Option<u64> {
    let value = table.take(key)?;
    let count = value.integer()?;
    let count = u64::try_from(count).ok().filter(|count| *count >= least);
    if count.is_none() {
        value.reject(
            format!("`{key}` must be a whole number of at least {least}"),
            format!("write `{key} = {}`", least.max(1)),
        );
    }
    count
}

/// Returns the seconds that a text such as `36 hours` stands for.
fn parse_age(text: &str) -> Option<i64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let seconds = match unit.trim() {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3600,
        "day" | "days" => 86_400,
        _ => return None,
    };
    // A thousand years keep every date within what a timestamp can hold.
    number.parse::<u32>().ok().map(|number| i64::from(number) * seconds).filter(|seconds| *seconds <= 31_556_952_000)
}

#[cfg(test)]
mod tests {
    use super::super::tests::mistakes;
    use super::parse_age;

    #[test]
    fn each_key_of_a_check_is_checked_where_it_stands() {
        let cases = [
            ("a = {}", "1:8 E0107 the check `a` asks nothing @a"),
            ("a = { holds = \"x\", unique = \"y\" }", "1:8 E0107 the check `a` asks 2 questions @a"),
            ("key = { unique = \"y\" }", "1:8 E0107 a check cannot be called `key` @key"),
            ("A = { unique = \"y\" }", "1:8 E0107 `A` cannot name a check @A"),
            ("a = { unique = [] }", "1:23 E0107 `unique` names no column @[]"),
            ("a = { unique = [\"x\", \"x\"] }", "1:30 E0107 `x` stands in `unique` twice @x"),
            ("a = { holds = \" \" }", "1:23 E0107 `holds` is empty @ "),
            ("a = { relation = \"x\" }", "1:12 E0105 `to` is missing @{ relation = \"x\" }"),
            ("a = { rows = {} }", "1:21 E0105 `min` is missing @{}"),
            ("a = { rows = { min = 3, max = 2 } }", "1:21 E0107 `min` 3 is greater than `max` 2 @{ min = 3, max = 2 }"),
            ("a = { rows = { min = 3 }, max_rows = 2 }", "1:34 E0104 there is no key `max_rows` here @max_rows"),
            ("a = { row_change = {} }", "1:27 E0105 `up` is missing @{}"),
            ("a = { row_change = { up = 1 }, where = \"b\" }", "1:39 E0104 there is no key `where` here @where"),
            ("a = { newest = \"x\", within = \"2 weeks\" }", "1:38 E0107 `2 weeks` is not a length of time @2 weeks"),
            ("a = { holds = \"x\", severity = \"info\" }", "1:39 E0107 `severity` cannot be `info` @info"),
            ("a = { holds = \"x\", max_share = 1.5 }", "1:39 E0107 `max_share` cannot be 1.5 @1.5"),
            ("a = { holds = \"x\", max_rows = -1 }", "1:38 E0107 `max_rows` must be a whole number of at least 0 @-1"),
            (
                "a = { equal = \"x\", by = \"d\", to = { table = \"t\", by = [\"d\", \"e\"] } }",
                "1:42 E0107 `by` names 1 column here and 2 columns there @{ table = \"t\", by = [\"d\", \"e\"] }",
            ),
            (
                "a = { usual = \"x\", day = \"d\", same_weekday = true, history_days = 28 }",
                "1:12 E0107 a history of 28 days has 4 points at most, and `min_points` is 8 @{ usual = \"x\", day = \"d\", same_weekday = true, history_days = 28 }",
            ),
        ];
        for (text, expected) in cases {
            let text = format!("checks.{text}");
            let files = [("sql/marts/fct_a.sql", ""), ("schemas/models/fct_a.toml", text.as_str())];
            assert_eq!(mistakes(&files), [format!("schemas/models/fct_a.toml:{expected}")], "{text}");
        }
    }

    #[test]
    fn a_length_of_time_is_a_number_and_a_unit() {
        assert_eq!(parse_age("2 days"), Some(172_800));
        assert_eq!(parse_age("36 hours"), Some(129_600));
        assert_eq!(parse_age("1 minute"), Some(60));
        for text in ["", "2", "days", "-1 days", "2d", "1.5 hours", "4000000000 days"] {
            assert_eq!(parse_age(text), None, "{text}");
        }
    }
}

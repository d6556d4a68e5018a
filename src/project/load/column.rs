//! Reads one column of a landed dataset's contract.

use std::fmt::Write;
use std::ops::Range;

use chrono::format::{Fixed, Item, Parsed, StrftimeItems};
use chrono::{DateTime, NaiveDate};
use regex::Regex;
use toml::de::DeValue;

use super::bound::{self, Bound};
use super::dictionary::words;
use super::value::{NAME_RULE, duration, is_name, plain, plain_all};
use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::project::toml_reader::{Table, Value, listed};
use crate::project::{ColumnType, ForeignKey, Located, Normaliser, Rules, SourceColumn};

/// What people call types elsewhere, and what they are called here.
const KNOWN_ELSEWHERE: [(&str, &str); 14] = [
    ("int", "int64"),
    ("integer", "int64"),
    ("bigint", "int64"),
    ("long", "int64"),
    ("float", "float64"),
    ("double", "float64"),
    ("number", "float64"),
    ("numeric", "decimal(18,2)"),
    ("bool", "boolean"),
    ("text", "string"),
    ("varchar", "string"),
    ("utf8", "string"),
    ("datetime", "timestamp"),
    ("timestamptz", "timestamp"),
];

/// The format of times that are counted since 1970.
const EPOCH: &str = "epoch";

/// A column as it is declared, with the places that other parts of the contract refer to.
pub(super) struct Declared {
    /// Its name.
    pub(super) name: Located,
    /// Its other names.
    pub(super) aliases: Vec<Located>,
    /// Where NDJSON has it.
    pub(super) path: Option<Located>,
    /// Where its type is written.
    pub(super) type_bytes: Range<usize>,
    /// Of a mark, the conditions that make it true, which are read once all columns are known.
    pub(super) true_if: Option<Vec<Located>>,
    /// Where it is said that it has what no other column has.
    pub(super) rest: Option<Range<usize>>,
    /// What it is; nothing when its type cannot be read.
    pub(super) column: Option<SourceColumn>,
}

impl Declared {
    fn new(entry: &Value<'_>, type_bytes: Range<usize>) -> Self {
        Self {
            name: entry.name.clone(),
            aliases: Vec::new(),
            path: None,
            type_bytes,
            true_if: None,
            rest: None,
            column: None,
        }
    }
}

/// Reads one entry of `[columns]`; `null` are the texts that mean "no value" in the whole dataset.
pub(super) fn read(entry: &Value<'_>, null: &[String]) -> Declared {
    check_name(entry);
    match entry.node() {
        DeValue::Table(_) => entry
            .table()
            .map(|table| if table.has("true_if") { read_mark(entry, table) } else { read_table(entry, table, null) }),
        DeValue::String(_) => entry.text().map(|word| read_type(entry, word, null)),
        _ => {
            entry.wrong_type("a type such as `\"int64!\"`, or a table with `type`");
            None
        }
    }
    // A column that cannot be read is declared all the same: what names it is right.
    .unwrap_or_else(|| Declared::new(entry, entry.place().bytes))
}

fn read_type(entry: &Value<'_>, word: Located, null: &[String]) -> Declared {
    let column = kind(entry, &word).map(|(kind, required)| SourceColumn {
        null: null.to_vec(),
        rules: Rules { required, ..Rules::default() },
        ..SourceColumn::of(kind)
    });
    Declared { column, ..Declared::new(entry, word.bytes) }
}

/// Reports a column that cannot be called so.
pub(super) fn check_name(entry: &Value<'_>) {
    let name = entry.name.text.as_str();
    let (message, help) = if name.starts_with('_') {
        (format!("the column `{name}` starts with `_`"), "such names are kept for where a row came from; rename it")
    } else if is_name(name) {
        return;
    } else {
        (format!("`{name}` cannot name a column"), NAME_RULE)
    };
    let at = entry.at(entry.name.bytes.clone());
    entry.report(Diagnostic::new(Code::InvalidValue, at, message).help(help));
}

fn read_table(entry: &Value<'_>, mut table: Table<'_>, null: &[String]) -> Declared {
    let word = table.required_text("type", "type = \"string\"");
    let type_bytes = word.as_ref().map_or_else(|| table.place().bytes, |word| word.bytes.clone());
    let kind = word.and_then(|word| kind(entry, &word));
    let rule_kind = kind.map(|(kind, _)| kind);
    let aliases = table.list_of_text("aliases");
    let path = path(&mut table);
    let values = values(&mut table, rule_kind);
    let (min, max) = range(&mut table, rule_kind);
    let pattern = pattern(&mut table);
    if let (Some(word), Some(kind)) = (&pattern, rule_kind)
        && kind != ColumnType::String
    {
        misfit(&table, word.bytes.clone(), "pattern", kind, "it is for `string`");
    }
    let own_null = table.take("null").map(|value| plain_all(value.list_of_text()));
    let formats = formats(&mut table, rule_kind);
    let normalise = normalise(&mut table, rule_kind);
    let not_future = not_future(&mut table, rule_kind);
    let references = references(&mut table);
    let rest = rest(&mut table, rule_kind);
    let words = words(&mut table);
    table.finish();
    let column = kind.map(|(kind, required)| SourceColumn {
        kind,
        path: path.as_ref().map(|path| path.text.split('.').map(str::to_owned).collect()).unwrap_or_default(),
        aliases: plain_all(aliases.clone()),
        normalise,
        null: own_null.unwrap_or_else(|| null.to_vec()),
        formats: plain_all(formats),
        rules: Rules { required, values, min, max, pattern: plain(pattern) },
        not_future,
        true_if: Vec::new(),
        references,
        rest: rest.is_some(),
        doc: words,
    });
    Declared { aliases, path, rest, column, ..Declared::new(entry, type_bytes) }
}

/// Reads a column that is true where conditions on other columns say so, and so is not read from files.
fn read_mark(entry: &Value<'_>, mut table: Table<'_>) -> Declared {
    const OF_FILES: [&str; 10] =
        ["aliases", "path", "normalise", "values", "min", "max", "pattern", "null", "format", "not_future"];
    let word = table.required_text("type", "type = \"boolean\"");
    let type_bytes = word.as_ref().map_or_else(|| table.place().bytes, |word| word.bytes.clone());
    let true_if = table.take("true_if");
    let conditions = true_if.as_ref().map(Value::text_or_list).unwrap_or_default();
    if let Some(true_if) = &true_if {
        if let Some((kind, required)) = word.and_then(|word| kind(entry, &word)) {
            if kind != ColumnType::Boolean {
                misfit(&table, true_if.place().bytes, "true_if", kind, "it is for `boolean`");
            } else if required {
                let message = "a column with `true_if` is never null, so `!` does not go with it";
                let mistake = Diagnostic::new(Code::InvalidValue, table.at(type_bytes.clone()), message);
                table.report(mistake.help("write `boolean`"));
            }
        }
        if matches!(true_if.node(), DeValue::Array(items) if items.is_empty()) {
            true_if.reject("`true_if` is empty, so nothing would be true", "list what makes the column true");
        }
    }
    for key in OF_FILES {
        if let Some(value) = table.take(key) {
            let message = format!("`{key}` does not go with `true_if`");
            value.reject(message, "conditions give the column its value, and nothing is read; remove it");
        }
    }
    let words = words(&mut table);
    table.finish();
    let column = SourceColumn::mark(Vec::new(), words);
    Declared { true_if: Some(conditions), column: Some(column), ..Declared::new(entry, type_bytes) }
}

/// Returns the path of a value inside nested objects.
fn path(table: &mut Table<'_>) -> Option<Located> {
    let word = table.text("path")?;
    if word.text.split('.').any(str::is_empty) {
        let help = "write the names of nested objects with dots between them, such as `via.channel`";
        table.reject(&word, "`path` has an empty name in it", help);
    }
    Some(word)
}

/// Returns the type that a word such as `int64!` names, and whether a null is a mistake.
fn kind(entry: &Value<'_>, word: &Located) -> Option<(ColumnType, bool)> {
    let (name, required) = word.text.strip_suffix('!').map_or((word.text.as_str(), false), |name| (name, true));
    let kind = name.parse::<ColumnType>().ok();
    if kind.is_none() {
        let lower = name.to_lowercase();
        let elsewhere = KNOWN_ELSEWHERE.iter().find(|(other, _)| *other == lower);
        let help = if lower.starts_with("decimal") {
            "write its digits, all and after the point, at most 38: `decimal(18,2)`".to_owned()
        } else if let Some((_, ours)) = elsewhere {
            format!("it is called `{ours}` here")
        } else {
            did_you_mean(name, ColumnType::NAMES)
                .unwrap_or_else(|| format!("the types are {}", listed(ColumnType::NAMES)))
        };
        let at = entry.at(word.bytes.clone());
        entry.report(Diagnostic::new(Code::UnknownType, at, format!("there is no type `{name}`")).help(help));
    }
    kind.map(|kind| (kind, required))
}

fn values(table: &mut Table<'_>, kind: Option<ColumnType>) -> Vec<String> {
    let Some(list) = table.take("values") else { return Vec::new() };
    let items = list.list();
    if items.is_empty() && matches!(list.node(), DeValue::Array(_)) {
        list.reject("`values` is empty, so no value could be right", "list the values, or leave `values` out");
    }
    match kind {
        Some(ColumnType::String) => items.iter().filter_map(Value::text).map(|word| word.text).collect(),
        Some(kind @ ColumnType::Int64) => {
            let words = items.iter().filter_map(Value::scalar).collect::<Vec<_>>();
            for word in words.iter().filter(|word| Bound::parse(&word.text, kind).is_none()) {
                not_a_value(table, word, kind);
            }
            plain_all(words)
        }
        Some(kind) => {
            misfit(table, list.place().bytes, "values", kind, "it is for `string` and `int64`");
            Vec::new()
        }
        None => Vec::new(),
    }
}

fn range(table: &mut Table<'_>, kind: Option<ColumnType>) -> (Option<String>, Option<String>) {
    let min = table.take("min").and_then(|value| value.scalar());
    let max = table.take("max").and_then(|value| value.scalar());
    if let Some(kind) = kind {
        let bound = |key, word: &Option<Located>| {
            let word = word.as_ref()?;
            if !kind.has_range() {
                misfit(table, word.bytes.clone(), key, kind, "it is for numbers, dates and timestamps");
                return None;
            }
            let bound = Bound::parse(&word.text, kind);
            if bound.is_none() {
                not_a_value(table, word, kind);
            }
            Some((bound?, word.bytes.clone()))
        };
        if let (Some((least, least_bytes)), Some((greatest, greatest_bytes))) = (bound("min", &min), bound("max", &max))
            && least > greatest
        {
            let mistake = Diagnostic::new(Code::RuleType, table.at(least_bytes), "`min` is greater than `max`");
            table.report(mistake.related(table.at(greatest_bytes), "`max`").help("no value could be right; swap them"));
        }
    }
    (plain(min), plain(max))
}

/// Returns the regular expression `pattern`, after a trial.
pub(super) fn pattern(table: &mut Table<'_>) -> Option<Located> {
    let word = table.text("pattern")?;
    if let Some(why) = why_no_regex(&word.text) {
        table.reject(&word, format!("`pattern` is not a regular expression: {why}"), REGEX_RULE);
    }
    Some(word)
}

/// What a regular expression looks like, told to people.
pub(super) const REGEX_RULE: &str = "its grammar is that of Rust's `regex`";

/// Returns what keeps a text from being a regular expression, if anything does.
pub(super) fn why_no_regex(text: &str) -> Option<String> {
    // The error draws the expression over several lines and says what is wrong on the last.
    let drawn = Regex::new(text).err()?.to_string();
    Some(drawn.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
}

fn normalise(table: &mut Table<'_>, kind: Option<ColumnType>) -> Vec<Normaliser> {
    let mut chosen = Vec::new();
    let names = Normaliser::NAMES.map(|(name, _)| name);
    for word in table.distinct_texts("normalise") {
        let Some((_, normaliser)) = Normaliser::NAMES.iter().find(|(name, _)| *name == word.text) else {
            let help = did_you_mean(&word.text, names).unwrap_or_else(|| format!("there are {}", listed(names)));
            table.reject(&word, format!("there is no normaliser `{}`", word.text), help);
            continue;
        };
        if let Some(kind) = kind
            && !normaliser.fits(kind)
        {
            let fitting = Normaliser::NAMES.iter().filter(|(_, other)| other.fits(kind)).map(|(name, _)| *name);
            misfit(table, word.bytes.clone(), &word.text, kind, &format!("for it there are {}", listed(fitting)));
        }
        chosen.push(*normaliser);
    }
    chosen
}

fn formats(table: &mut Table<'_>, kind: Option<ColumnType>) -> Vec<Located> {
    let Some(value) = table.take("format") else { return Vec::new() };
    let formats = value.text_or_list();
    match kind {
        Some(ColumnType::Date | ColumnType::Timestamp) => {
            let is_epoch = |word: &Located| word.text == EPOCH && kind == Some(ColumnType::Timestamp);
            for word in formats.iter().filter(|word| !is_epoch(word) && !tells_the_day(&word.text)) {
                let message = format!("`{}` is not a format that tells the day", word.text);
                table.reject(word, message, "write it as in strftime, such as `%d.%m.%Y` or `%Y-%m-%d %H:%M:%S`");
            }
        }
        Some(kind) => misfit(table, value.place().bytes, "format", kind, "it is for `date` and `timestamp`"),
        None => {}
    }
    formats
}

/// Returns whether a value written in this format can be read back and tells its day.
fn tells_the_day(format: &str) -> bool {
    // The name of a zone is written in one way and read in others.
    let is_zone = |item: &Item<'_>| *item == Item::Fixed(Fixed::TimezoneName);
    let items = StrftimeItems::new(format).filter(|item| !is_zone(item)).collect::<Vec<_>>();
    if items.iter().any(|item| matches!(item, Item::Error)) {
        return false;
    }
    let Some(sample) = DateTime::from_timestamp(981_173_106, 0).map(|instant| instant.fixed_offset()) else {
        return false;
    };
    let mut written = String::new();
    let mut read = Parsed::new();
    write!(written, "{}", sample.format_with_items(items.iter())).is_ok()
        && chrono::format::parse(&mut read, &written, items.iter()).is_ok()
        && day(&read) == Some(sample.date_naive())
}

fn day(read: &Parsed) -> Option<NaiveDate> {
    let from_instant = || read.to_naive_datetime_with_offset(0).ok().map(|instant| instant.date());
    read.to_naive_date().ok().or_else(from_instant)
}

/// Returns how many seconds after the landing of its file a value may lie.
fn not_future(table: &mut Table<'_>, kind: Option<ColumnType>) -> Option<u64> {
    let value = table.take("not_future")?;
    if let Some(kind) = kind
        && !matches!(kind, ColumnType::Date | ColumnType::Timestamp)
    {
        misfit(table, value.place().bytes, "not_future", kind, "it is for `date` and `timestamp`");
        return None;
    }
    match value.node() {
        DeValue::Boolean(_) => value.boolean()?.then_some(0),
        DeValue::String(_) => duration(&value).map(|apart| apart.as_secs()),
        _ => {
            value.wrong_type("`true`, or how far the clocks may be apart, such as `\"1h\"`");
            None
        }
    }
}

/// Returns the column of another dataset in which values must be found; whether there is one is asked once all
/// contracts have been read.
fn references(table: &mut Table<'_>) -> Option<ForeignKey> {
    let word = table.text("references")?;
    let parts = word.text.split_once('.').filter(|(dataset, column)| is_name(dataset) && is_name(column));
    let Some((dataset, column)) = parts else {
        let message = format!("`{}` is not a column of a dataset", word.text);
        table.reject(&word, message, "write both with a dot between them, such as `agents.agent_id`");
        return None;
    };
    Some(ForeignKey { dataset: dataset.to_owned(), column: column.to_owned(), bytes: word.bytes })
}

/// Returns where it is said that the column has what no other column has.
fn rest(table: &mut Table<'_>, kind: Option<ColumnType>) -> Option<Range<usize>> {
    let value = table.take("rest")?;
    let bytes = value.place().bytes;
    if !value.boolean()? {
        return None;
    }
    if let Some(kind) = kind.filter(|kind| *kind != ColumnType::String) {
        misfit(table, bytes.clone(), "rest", kind, "it is for `string`: its values are JSON objects, as text");
    }
    Some(bytes)
}

fn misfit(table: &Table<'_>, bytes: Range<usize>, key: &str, kind: ColumnType, help: &str) {
    let message = format!("`{key}` does not fit a column of type `{kind}`");
    table.report(Diagnostic::new(Code::RuleType, table.at(bytes), message).help(help));
}

fn not_a_value(table: &Table<'_>, word: &Located, kind: ColumnType) {
    let message = format!("`{}` is not a value of type `{kind}`", word.text);
    let help = format!("write a value such as `{}`", bound::example(kind));
    table.report(Diagnostic::new(Code::RuleType, table.at(word.bytes.clone()), message).help(help));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_tells_the_day() {
        for format in [
            "%Y-%m-%d",
            "%d/%m/%y",
            "%Y%m%d",
            "%F %T",
            "%s",
            "%+",
            "%d %b %Y %H:%M:%S %z",
            "%Y-%j",
            "%m/%d/%Y %I:%M %p",
        ] {
            assert!(tells_the_day(format), "{format}");
        }
        for format in ["", "%H:%M", "%Y-%m", "%Q", "%", "yyyy-mm-dd", "%d.%m."] {
            assert!(!tells_the_day(format), "{format}");
        }
    }
}

//! Reads `opsmart.toml` and applies the chosen environment.

use std::time::Duration;

use chrono::{FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc, Weekday};
use chrono_tz::Tz;
use indexmap::IndexMap;
use toml::de::DeValue;
use toml::value::{Date, Datetime, Offset, Time};

use super::names::Names;
use super::value::{NAME_RULE, duration, is_name, size, zone};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place, SourceFile, did_you_mean};
use crate::project::settings::WAREHOUSE;
use crate::project::toml_reader::{self, Table, Value, float, integer, listed};
use crate::project::{Limits, Located, Settings, Tick, Variable};

/// Names of variables that are built in.
const BUILT_IN: [&str; 3] = ["as_of", "reporting_zone", "week_start"];

/// The days on which weeks can begin.
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Mon),
    ("tuesday", Weekday::Tue),
    ("wednesday", Weekday::Wed),
    ("thursday", Weekday::Thu),
    ("friday", Weekday::Fri),
    ("saturday", Weekday::Sat),
    ("sunday", Weekday::Sun),
];

/// Returns what the file says for the environment `env`; nothing when it does not parse or `env` is not declared,
/// because then it is not known which folders there are.
pub(super) fn read(file: &SourceFile, env: Option<&str>, names: &Names, found: &mut Diagnostics) -> Option<Settings> {
    toml_reader::read(file, found, |mut table| {
        let mut part = Part::read(&mut table);
        let tick = [("day", Tick::Day), ("hour", Tick::Hour), ("minute", Tick::Minute)];
        let tick = table.one_of("tick", &tick).unwrap_or(Tick::Day);
        let reporting_zone = zone(&mut table, "reporting_zone").unwrap_or(Tz::UTC);
        let week_start = table.one_of("week_start", &WEEKDAYS).unwrap_or(Weekday::Mon);
        let headline = table.text("headline");
        if let Some(word) = &headline {
            check_headline(&table, word, names);
        }
        let headline_metrics = table.distinct_texts("headline_metrics");
        let mut environments = IndexMap::new();
        for entry in table.names("env") {
            let Some(mut inner) = entry.table() else { continue };
            let changed = Part::read(&mut inner);
            changed.check_types(&part, &inner);
            inner.finish();
            environments.insert(entry.name.text, changed);
        }
        if let Some(env) = env {
            let Some(changed) = environments.swap_remove(env) else {
                let known = environments.keys().map(String::as_str).collect::<Vec<_>>();
                table.report(unknown_environment(file, env, &known));
                table.finish();
                return None;
            };
            part.change(changed);
        }
        table.finish();
        let settings = part.settle(file, tick, reporting_zone, headline);
        Some(Settings { week_start, headline_metrics, ..settings })
    })
}

fn unknown_environment(file: &SourceFile, env: &str, known: &[&str]) -> Diagnostic {
    let message = format!("there is no environment `{env}` in `{}`", file.path);
    let help = match known {
        [] => format!("declare it as `[env.{env}]`, or leave `--env` out"),
        known => format!("choose {}, or declare it as `[env.{env}]`", listed(known.iter().copied())),
    };
    Diagnostic::new(Code::UnknownEnvironment, file.whole(), message).help(help)
}

fn check_headline(table: &Table<'_>, word: &Located, names: &Names) {
    let name = word.text.as_str();
    if names.published().any(|published| published == name) {
        return;
    }
    let (message, help) = match names.models.get(name) {
        Some(model) => (
            format!("`{name}` is not published"),
            Some(format!("tables in `sql/{}/` are not; name one that is", model.layer.folder())),
        ),
        // A misnamed file is a mistake of its own.
        None if names.sql.contains(name) => return,
        None => (format!("there is no table `{name}`"), did_you_mean(name, names.published())),
    };
    table.report(Diagnostic::new(Code::UnknownTable, table.at(word.bytes.clone()), message).maybe_help(help));
}

/// The part of the settings that an environment can change.
#[derive(Default)]
struct Part {
    warehouse: Option<String>,
    memory_bytes: Option<u64>,
    query_timeout: Option<Duration>,
    paths: IndexMap<String, String>,
    vars: IndexMap<String, (Variable, Place)>,
    record_bytes: Option<u64>,
    file_bytes: Option<u64>,
    expansion: Option<u64>,
    nesting_depth: Option<u64>,
    columns: Option<u64>,
    file_seconds: Option<u64>,
    finding_rows: Option<u64>,
}

impl Part {
    fn read(table: &mut Table<'_>) -> Self {
        let mut part = Self::default();
        if let Some(word) = table.text("warehouse") {
            if let Some((why, help)) = no_folder(&word.text).or_else(|| no_warehouse(&word.text)) {
                table.reject(&word, format!("`warehouse` {why}"), help);
            }
            part.warehouse = Some(word.text);
        }
        part.memory_bytes = table.take("memory").and_then(|value| size(&value));
        part.query_timeout = table.take("query_timeout").and_then(|value| duration(&value));
        for entry in table.names("paths") {
            // A path that is wrong stays known, so that contracts that use it are not wrong as well.
            let path = path(&entry).unwrap_or_else(|| entry.name.text.clone());
            part.paths.insert(entry.name.text, path);
        }
        for entry in table.names("vars") {
            if let Some(variable) = variable(&entry) {
                let place = entry.place();
                part.vars.insert(entry.name.text, (variable, place));
            }
        }
        if let Some(mut limits) = table.table("limits") {
            part.record_bytes = limits.take("record_bytes").and_then(|value| size(&value));
            part.file_bytes = limits.take("file_bytes").and_then(|value| size(&value));
            part.expansion = limits.take("expansion").and_then(|value| count(&value));
            part.nesting_depth = limits.take("nesting_depth").and_then(|value| depth(&value));
            part.columns = limits.take("columns").and_then(|value| count(&value));
            part.file_seconds = limits.take("file_seconds").and_then(|value| count(&value));
            part.finding_rows = limits.take("finding_rows").and_then(|value| count(&value));
            limits.finish();
        }
        part
    }

    /// SQL is checked with the types of one environment, so all must agree on them.
    fn check_types(&self, base: &Self, table: &Table<'_>) {
        for (name, (variable, place)) in &self.vars {
            let Some((original, original_place)) = base.vars.get(name) else { continue };
            if std::mem::discriminant(variable) != std::mem::discriminant(original) {
                let message = format!("`{name}` is {} here, but {} in `[vars]`", kind(variable), kind(original));
                table.report(
                    Diagnostic::new(Code::InvalidValue, place.clone(), message)
                        .related(original_place.clone(), "declared here")
                        .help("write a value of the same type: SQL is checked with it"),
                );
            }
        }
    }

    fn change(&mut self, changed: Self) {
        self.warehouse = changed.warehouse.or(self.warehouse.take());
        self.memory_bytes = changed.memory_bytes.or(self.memory_bytes);
        self.query_timeout = changed.query_timeout.or(self.query_timeout);
        self.paths.extend(changed.paths);
        self.vars.extend(changed.vars);
        self.record_bytes = changed.record_bytes.or(self.record_bytes);
        self.file_bytes = changed.file_bytes.or(self.file_bytes);
        self.expansion = changed.expansion.or(self.expansion);
        self.nesting_depth = changed.nesting_depth.or(self.nesting_depth);
        self.columns = changed.columns.or(self.columns);
        self.file_seconds = changed.file_seconds.or(self.file_seconds);
        self.finding_rows = changed.finding_rows.or(self.finding_rows);
    }

    fn settle(self, file: &SourceFile, tick: Tick, reporting_zone: Tz, headline: Option<Located>) -> Settings {
        let usual = Limits::default();
        let count = |limit: Option<u64>| limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Settings {
            file: file.clone(),
            warehouse: self.warehouse.unwrap_or_else(|| WAREHOUSE.to_owned()).into(),
            tick,
            reporting_zone,
            week_start: Weekday::Mon,
            memory_bytes: self.memory_bytes,
            query_timeout: self.query_timeout,
            headline: headline.map(|word| word.text),
            headline_metrics: Vec::new(),
            paths: self.paths,
            vars: self.vars.into_iter().map(|(name, (variable, _))| (name, variable)).collect(),
            limits: Limits {
                record_bytes: count(self.record_bytes).unwrap_or(usual.record_bytes),
                file_bytes: self.file_bytes.unwrap_or(usual.file_bytes),
                expansion: self.expansion.unwrap_or(usual.expansion),
                nesting_depth: count(self.nesting_depth).unwrap_or(usual.nesting_depth),
                columns: count(self.columns).unwrap_or(usual.columns),
                file_seconds: self.file_seconds.unwrap_or(usual.file_seconds),
                finding_rows: count(self.finding_rows).unwrap_or(usual.finding_rows),
            },
        }
    }
}

fn count(value: &Value<'_>) -> Option<u64> {
    let number = value.integer()?;
    if number < 1 {
        value.reject(format!("`{}` must be at least 1", value.name.text), "write a whole number such as `10`");
    }
    u64::try_from(number).ok()
}

fn depth(value: &Value<'_>) -> Option<u64> {
    /// So much and no more fits on the stack of a thread.
    const MOST: u64 = 1000;
    let depth = count(value)?;
    if depth > MOST {
        value.reject(format!("`{}` is greater than {MOST}", value.name.text), format!("write at most `{MOST}`"));
    }
    Some(depth)
}

fn path(entry: &Value<'_>) -> Option<String> {
    check_free_name(entry, "path");
    let path = entry.text()?.text;
    let braces =
        || path.contains(['{', '}']).then_some(("has braces, which only a contract's `from` can have", A_FOLDER));
    let Some((why, help)) = no_folder(&path).or_else(braces) else {
        // A slash stands behind its name in `from`.
        return Some(path.trim_end_matches('/').to_owned());
    };
    entry.reject(format!("the path `{}` {why}", entry.name.text), help);
    None
}

const A_FOLDER: &str = "write a folder, relative to the project or absolute";

/// Returns why a text names no folder of this machine, and what to write.
fn no_folder(path: &str) -> Option<(&'static str, &'static str)> {
    Some(if path.is_empty() {
        ("is empty", A_FOLDER)
    } else if path.contains("://") {
        (
            "is a URL, and only folders of this machine can be used",
            "mount it, or copy files beside the run, and write the folder",
        )
    } else if path.split('/').any(|part| part == "..") {
        ("leads through `..`", A_FOLDER)
    } else if path.starts_with('~') || path.starts_with('$') || path.contains("${") {
        ("has what only a shell would replace", "write the whole path")
    } else if path.contains('\\') {
        ("has a backslash", "write `/` between folders")
    } else if path.contains(char::is_control) {
        ("has a character that cannot be seen", A_FOLDER)
    } else {
        return None;
    })
}

/// Returns why the warehouse cannot lie in a folder: it is removed and made anew as runs need it.
fn no_warehouse(path: &str) -> Option<(&'static str, &'static str)> {
    let mut parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    match parts.next() {
        None => Some(("would be where other files are", "write a folder of its own, such as `warehouse`")),
        Some("sql" | "schemas" | "jobs" | "tests") if !path.starts_with('/') => {
            Some(("lies among the project's own files", "write a folder of its own, such as `warehouse`"))
        }
        Some(_) => None,
    }
}

fn check_free_name(entry: &Value<'_>, what: &str) {
    if !is_name(&entry.name.text) {
        let at = entry.at(entry.name.bytes.clone());
        let message = format!("`{}` cannot name a {what}", entry.name.text);
        entry.report(Diagnostic::new(Code::InvalidValue, at, message).help(NAME_RULE));
    }
}

fn variable(entry: &Value<'_>) -> Option<Variable> {
    if BUILT_IN.contains(&entry.name.text.as_str()) {
        let at = entry.at(entry.name.bytes.clone());
        let message = format!("`${}` is built in", entry.name.text);
        entry.report(Diagnostic::new(Code::InvalidValue, at, message).help("choose another name"));
        return None;
    }
    check_free_name(entry, "variable");
    let variable = match entry.node() {
        DeValue::Integer(written) => integer(written).map(Variable::Integer),
        DeValue::Float(written) => float(written).map(Variable::Float),
        DeValue::Boolean(value) => Some(Variable::Boolean(*value)),
        DeValue::String(text) => Some(Variable::Text(text.clone().into_owned())),
        DeValue::Datetime(written) => date_or_instant(written),
        DeValue::Array(_) | DeValue::Table(_) => {
            entry.wrong_type("a number, a boolean, text, a date or an instant");
            return None;
        }
    };
    if variable.is_none() {
        let (message, help) = match entry.node() {
            DeValue::Datetime(_) => ("neither a date nor an instant", "write `2025-01-31` or `2025-01-31T08:00:00Z`"),
            DeValue::Float(_) => ("not a finite number", "write a number such as `0.5`"),
            _ => ("beyond 64 bits", "write a smaller number"),
        };
        entry.reject(format!("`{}` is {message}", entry.name.text), help);
    }
    variable
}

fn date_or_instant(written: &Datetime) -> Option<Variable> {
    match written {
        Datetime { date: Some(day), time: None, offset: None } => date(*day).map(Variable::Date),
        Datetime { date: Some(day), time: Some(clock), offset: Some(offset) } => {
            let seconds = match offset {
                Offset::Z => 0,
                Offset::Custom { minutes } => i32::from(*minutes) * 60,
            };
            let local = NaiveDateTime::new(date(*day)?, time(*clock)?);
            let instant = FixedOffset::east_opt(seconds)?.from_local_datetime(&local).single()?;
            Some(Variable::Timestamp(instant.with_timezone(&Utc)))
        }
        _ => None,
    }
}

fn date(day: Date) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(day.year.into(), day.month.into(), day.day.into())
}

fn time(clock: Time) -> Option<NaiveTime> {
    let (hour, minute) = (clock.hour.into(), clock.minute.into());
    let (second, nanosecond) = (clock.second.unwrap_or(0).into(), clock.nanosecond.unwrap_or(0));
    NaiveTime::from_hms_nano_opt(hour, minute, second, nanosecond)
}

fn kind(variable: &Variable) -> &'static str {
    match variable {
        Variable::Integer(_) => "an integer",
        Variable::Float(_) => "a float",
        Variable::Boolean(_) => "a boolean",
        Variable::Text(_) => "text",
        Variable::Date(_) => "a date",
        Variable::Timestamp(_) => "an instant",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mistakes;

    fn found(text: &str) -> Vec<String> {
        mistakes(&[("opsmart.toml", text), ("sql/marts/fct_a.sql", ""), ("sql/staging/stg_a.sql", "")])
    }

    #[test]
    fn each_setting_is_checked_where_it_stands() {
        let cases = [
            ("tick = \"week\"", "1:9 E0107 `tick` cannot be `week` @week"),
            ("reporting_zone = \"Asia/Shanghia\"", "1:19 E0107 there is no time zone `Asia/Shanghia` @Asia/Shanghia"),
            ("week_start = \"Sunday\"", "1:15 E0107 `week_start` cannot be `Sunday` @Sunday"),
            ("vars.week_start = 7", "1:6 E0107 `$week_start` is built in @week_start"),
            ("memory = \"2 potatoes\"", "1:11 E0107 `memory` is not a size @2 potatoes"),
            ("memory = true", "1:10 E0106 `memory` is a boolean, expected a size such as `\"2GB\"` @true"),
            ("limits = { finding_rows = 0 }", "1:27 E0107 `finding_rows` must be at least 1 @0"),
            ("limits = { nesting_depth = 1001 }", "1:28 E0107 `nesting_depth` is greater than 1000 @1001"),
            ("limits.expansion = 0", "1:20 E0107 `expansion` must be at least 1 @0"),
            ("limits.record_bytes = -1", "1:23 E0107 `record_bytes` is not a size @-1"),
            ("headline = \"fct_b\"", "1:13 E0201 there is no table `fct_b` @fct_b"),
            ("headline = \"stg_a\"", "1:13 E0201 `stg_a` is not published @stg_a"),
            ("paths.In = \"x\"", "1:7 E0107 `In` cannot name a path @In"),
            ("paths.a = \"{b}\"", "1:12 E0107 the path `a` has braces, which only a contract's `from` can have @{b}"),
            ("vars.as_of = 2024-01-01", "1:6 E0107 `$as_of` is built in @as_of"),
            ("vars.a = 2024-01-01T00:00:00", "1:10 E0107 `a` is neither a date nor an instant @2024-01-01T00:00:00"),
            ("vars.a = [1]", "1:10 E0106 `a` is a list, expected a number, a boolean, text, a date or an instant @[1]"),
            ("vars.a = nan", "1:10 E0107 `a` is not a finite number @nan"),
            ("vars.a = 1\nenv.x.vars.a = \"b\"", "2:17 E0107 `a` is text here, but an integer in `[vars]` @b"),
            ("env.x.tick = \"day\"", "1:7 E0104 there is no key `tick` here @tick"),
        ];
        for (text, expected) in cases {
            assert_eq!(found(text), [format!("opsmart.toml:{expected}")], "{text}");
        }
    }
}

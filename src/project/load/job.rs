//! Reads `jobs/<name>.toml`.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8Path;
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};
use toml::de::DeValue;

use super::files;
use super::names::{Names, check_spelling};
use super::value::{duration, owner, plain, zone};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, did_you_mean};
use crate::project::toml_reader::{self, Table, Value};
use crate::project::{Days, Job, Located, Schedule};

/// How many days each month has in the longest year.
const LONGEST: [u16; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Returns every job that can be read.
pub(super) fn read_all(root: &Utf8Path, names: &Names, found: &mut Diagnostics) -> BTreeMap<String, Job> {
    let mut jobs = BTreeMap::new();
    for leaf in files::below(root, "jobs", "toml", found) {
        if leaf.path.components().count() > 2 {
            let message = format!("`{}` lies in a folder of its own", leaf.path);
            let misplaced = Diagnostic::new(Code::Misnamed, leaf.named().whole(), message);
            found.push(misplaced.help("move it up into `jobs/`"));
            continue;
        }
        check_spelling(&leaf, found);
        if let Some(job) = leaf.file.as_ref().and_then(|file| read(file, names, found)) {
            jobs.insert(leaf.stem().to_owned(), job);
        }
    }
    jobs
}

fn read(file: &SourceFile, names: &Names, found: &mut Diagnostics) -> Option<Job> {
    toml_reader::read(file, found, |mut table| {
        let description = plain(table.text("description"));
        let schedule = schedule(&mut table);
        let schedule_zone = zone(&mut table, "schedule_zone").unwrap_or(Tz::UTC);
        let owner = owner(&mut table);
        let timeout = timeout(&mut table);
        let retries = retries(&mut table);
        let notify = notify(&mut table);
        if names_nothing(table.take("ingest").as_ref()) && names_nothing(table.take("tables").as_ref()) {
            let message = "this job names no datasets and no tables";
            let help = "write `ingest = [\"…\"]` with datasets to ingest, or `tables = [\"…\"]` with tables to refresh";
            table.report(Diagnostic::new(Code::MissingKey, table.place(), message).help(help));
        }
        let ingest = table.distinct_texts("ingest");
        for word in ingest.iter().filter(|word| !names.sources.contains_key(&word.text)) {
            let message = format!("there is no dataset `{}`", word.text);
            let help = did_you_mean(&word.text, names.sources.keys().map(String::as_str))
                .unwrap_or_else(|| format!("describe it in `schemas/sources/{}.toml`", word.text));
            table.report(Diagnostic::new(Code::UnknownDataset, table.at(word.bytes.clone()), message).help(help));
        }
        let tables = table.distinct_texts("tables");
        table.finish();
        let file = file.clone();
        Some(Job { file, description, schedule, schedule_zone, ingest, owner, timeout, retries, notify, tables })
    })
}

fn names_nothing(value: Option<&Value<'_>>) -> bool {
    value.is_none_or(|value| matches!(value.node(), DeValue::Array(items) if items.is_empty()))
}

/// What is shorter would end runs that do nothing wrong.
const SHORTEST: Duration = Duration::from_mins(1);

fn timeout(table: &mut Table<'_>) -> Option<Duration> {
    let value = table.take("timeout")?;
    let timeout = duration(&value)?;
    if timeout < SHORTEST {
        value.reject("a run has a minute at least", "write a longer time, such as `2h`");
        return None;
    }
    Some(timeout)
}

fn retries(table: &mut Table<'_>) -> Option<u32> {
    const MOST: u32 = 100;
    let value = table.take("retries")?;
    let number = value.integer()?;
    let retries = u32::try_from(number).ok().filter(|retries| *retries <= MOST);
    if retries.is_none() {
        value.reject(format!("{number} is no number of tries"), format!("write a number from 0 to {MOST}"));
    }
    retries
}

fn notify(table: &mut Table<'_>) -> Vec<String> {
    let mut addresses = Vec::new();
    for word in table.distinct_texts("notify") {
        if is_address(&word.text) {
            addresses.push(word.text);
        } else {
            let message = format!("`{}` is no address of mail", word.text);
            table.reject(&word, message, "write one such as `support-data@example.com`");
        }
    }
    addresses
}

/// Returns whether a text is an address of mail that every program reads as one, and as nothing else.
fn is_address(text: &str) -> bool {
    let is_of = |part: &str, more: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(is_plain)
    };
    text.split_once('@').is_some_and(|(name, host)| is_of(name, "._+-") && is_of(host, ".-"))
}

fn schedule(table: &mut Table<'_>) -> Option<Schedule> {
    const HELP: &str = "the fields are minute, hour, day of the month, month and day of the week; \
                        `15 * * * *` is a quarter past every hour";
    let word = table.text("schedule")?;
    let read = parse(&word);
    read.map_err(|why| table.reject(&word, why, HELP)).ok()
}

/// Reads the fields, as far as every scheduler can be told of them: no seconds, years, `@daily`, last days and the like.
fn parse(word: &Located) -> Result<Schedule, String> {
    let text = &word.text;
    let fields = text.split_whitespace().count();
    if fields != 5 {
        return Err(format!("a schedule has 5 fields, `{text}` has {fields}"));
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let read = parser.parse(text).map_err(|error| format!("`{text}` is not a schedule: {}", reason(&error)))?.pattern;
    if read.days.has_modifiers() || read.days_of_week.has_modifiers() || read.matches_dom_and_dow() {
        return Err(format!("`{text}` has `L`, `W`, `#` or `+`, which not every scheduler understands"));
    }
    let (of_month, of_week) = (read.days.values(), read.days_of_week.values());
    // What is written as `*` does not count beside the other; a list of all days is every day, whatever the other says.
    let days = match (read.is_dom_wildcard(), read.is_dow_wildcard()) {
        (true, true) => Days::Every,
        (false, true) if of_month.len() == 31 => Days::Every,
        (true, false) if of_week.len() == 7 => Days::Every,
        (false, true) => Days::OfMonth(of_month),
        (true, false) => Days::OfWeek(of_week),
        (false, false) if of_month.len() == 31 || of_week.len() == 7 => Days::Every,
        (false, false) => Days::Either(of_month, of_week),
    };
    let months = read.months.values();
    let longest = months.iter().map(|month| LONGEST[usize::from(*month) - 1]).max().unwrap_or(31);
    if matches!(&days, Days::OfMonth(days) if days.iter().all(|day| *day > longest)) {
        return Err(format!("no day is meant by `{text}`: these months have {longest} days at most"));
    }
    Ok(Schedule { word: word.clone(), minutes: read.minutes.values(), hours: read.hours.values(), months, days })
}

/// Returns the parser's words without its own names for things.
fn reason(error: &croner::errors::CronError) -> String {
    use croner::errors::CronError;
    match error {
        CronError::InvalidPattern(why) | CronError::IllegalCharacters(why) | CronError::ComponentError(why) => {
            why.trim_start_matches("CronPattern ").trim_end_matches('.').to_owned()
        }
        other => other.to_string().trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mistakes;
    use super::*;

    #[test]
    fn a_schedule_is_the_numbers_that_its_fields_mean() {
        let days = |text: &str| parse(&Located { text: text.to_owned(), bytes: 0..text.len() }).unwrap().days;
        assert_eq!(days("0 0 * * *"), Days::Every);
        assert_eq!(days("0 0 ? * ?"), Days::Every);
        assert_eq!(days("0 0 */10 * *"), Days::OfMonth(vec![1, 11, 21, 31]));
        assert_eq!(days("0 0 * * sat,SUN"), Days::OfWeek(vec![0, 6]));
        assert_eq!(days("0 0 * * 5-7"), Days::OfWeek(vec![0, 5, 6]));
        assert_eq!(days("0 0 13 * 5"), Days::Either(vec![13], vec![5]));
        // A list of all days is not the `*` that counts for nothing.
        assert_eq!(days("0 0 1-31 * 5"), Days::Every);
        assert_eq!(days("0 0 */1 * 5"), Days::Every);
        assert_eq!(days("0 0 13 * 0-6"), Days::Every);
        assert_eq!(days("0 0 29 2 *"), Days::OfMonth(vec![29]));
        let text = "*/20 9-11,14 * jan,6 1-5";
        let read = parse(&Located { text: text.to_owned(), bytes: 0..text.len() }).unwrap();
        assert_eq!(read.minutes, [0, 20, 40]);
        assert_eq!(read.hours, [9, 10, 11, 14]);
        assert_eq!(read.months, [1, 6]);
    }

    #[test]
    fn each_key_of_a_job_is_checked_where_it_stands() {
        let cases = [
            ("schedule = \"0 1 * *\"", "1:13 E0107 a schedule has 5 fields, `0 1 * *` has 4 @0 1 * *"),
            ("schedule = \"@daily\"", "1:13 E0107 a schedule has 5 fields, `@daily` has 1 @@daily"),
            ("schedule = \"0 0 0 * * *\"", "1:13 E0107 a schedule has 5 fields, `0 0 0 * * *` has 6 @0 0 0 * * *"),
            (
                "schedule = \"0 6 L * *\"",
                "1:13 E0107 `0 6 L * *` has `L`, `W`, `#` or `+`, which not every scheduler understands @0 6 L * *",
            ),
            (
                "schedule = \"0 6 * * 1#2\"",
                "1:13 E0107 `0 6 * * 1#2` has `L`, `W`, `#` or `+`, which not every scheduler understands @0 6 * * 1#2",
            ),
            (
                "schedule = \"0 6 1 * +1\"",
                "1:13 E0107 `0 6 1 * +1` has `L`, `W`, `#` or `+`, which not every scheduler understands @0 6 1 * +1",
            ),
            (
                "schedule = \"0 6 31 4,6 *\"",
                "1:13 E0107 no day is meant by `0 6 31 4,6 *`: these months have 30 days at most @0 6 31 4,6 *",
            ),
            ("schedule_zone = \"Mars\"", "1:18 E0107 there is no time zone `Mars` @Mars"),
            ("ingest = [\"a\"]", "1:12 E0204 there is no dataset `a` @a"),
            ("tables = [\"x\", \"x\"]", "1:17 E0107 `x` stands in `tables` twice @x"),
            ("owner = \" \"", "1:10 E0107 this names nobody @ "),
            ("owner = \"a\\nb\"", "1:10 E0107 this names nobody @a\\nb"),
            ("timeout = \"59s\"", "1:12 E0107 a run has a minute at least @59s"),
            ("timeout = \"soon\"", "1:12 E0107 `soon` is not a time that passes @soon"),
            ("timeout = 60", "1:11 E0106 `timeout` is an integer, expected a time such as `\"30s\"` @60"),
            ("retries = -1", "1:11 E0107 -1 is no number of tries @-1"),
            ("retries = 101", "1:11 E0107 101 is no number of tries @101"),
            ("notify = [\"desk\"]", "1:12 E0107 `desk` is no address of mail @desk"),
            ("notify = [\"a@b -s x\"]", "1:12 E0107 `a@b -s x` is no address of mail @a@b -s x"),
            ("notify = [\"-f@b\"]", "1:12 E0107 `-f@b` is no address of mail @-f@b"),
            ("notify = [\"a@b.c\", \"a@b.c\"]", "1:21 E0107 `a@b.c` stands in `notify` twice @a@b.c"),
            ("publish = []", "1:1 E0104 there is no key `publish` here @publish"),
        ];
        for (text, expected) in cases {
            let text = if text.contains("ingest") || text.contains("tables") {
                text.to_owned()
            } else {
                format!("{text}\ntables = [\"fct_a\"]")
            };
            assert_eq!(mistakes(&[("jobs/a.toml", &text)]), [format!("jobs/a.toml:{expected}")], "{text}");
        }
        let found = mistakes(&[("jobs/a.toml", "schedule = \"61 * * * *\"\ntables = [\"a\"]")]);
        assert!(found[0].starts_with("jobs/a.toml:1:13 E0107 `61 * * * *` is not a schedule: "), "{found:?}");
        assert_eq!(
            mistakes(&[("jobs/a.toml", "ingest = []\n")]),
            ["jobs/a.toml:1:1 E0105 this job names no datasets and no tables @"]
        );
        assert_eq!(
            mistakes(&[("jobs/a/b.toml", "")]),
            ["jobs/a/b.toml:1:1 E0109 `jobs/a/b.toml` lies in a folder of its own @"]
        );
    }
}

//! Reads `jobs/<name>.toml`.

use std::collections::BTreeMap;

use camino::Utf8Path;
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};
use toml::de::DeValue;

use super::files;
use super::names::{Names, check_spelling};
use super::value::{plain, zone};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, did_you_mean};
use crate::project::Job;
use crate::project::toml_reader::{self, Table, Value};

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
        if names_nothing(table.take("ingest").as_ref()) && names_nothing(table.take("tables").as_ref()) {
            let message = "this job names no datasets and no tables";
            let help =
                "write `ingest = [\"…\"]` with datasets to take in, or `tables = [\"…\"]` with tables to refresh";
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
        Some(Job { file: file.clone(), description, schedule, schedule_zone, ingest, tables })
    })
}

fn names_nothing(value: Option<&Value<'_>>) -> bool {
    value.is_none_or(|value| matches!(value.node(), DeValue::Array(items) if items.is_empty()))
}

fn schedule(table: &mut Table<'_>) -> Option<String> {
    const HELP: &str = "the fields are minute, hour, day of the month, month and day of the week; \
                        `15 * * * *` is a quarter past every hour";
    let word = table.text("schedule")?;
    // Seconds, years and `@daily` are beyond what other schedulers read.
    let fields = word.text.split_whitespace().count();
    let why = if fields == 5 {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        parser.parse(&word.text).err().map(|error| format!("`{}` is not a schedule: {}", word.text, reason(&error)))
    } else {
        Some(format!("a schedule has 5 fields, `{}` has {fields}", word.text))
    };
    if let Some(why) = why {
        table.reject(&word, why, HELP);
    }
    Some(word.text)
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

    #[test]
    fn each_key_of_a_job_is_checked_where_it_stands() {
        let cases = [
            ("schedule = \"0 1 * *\"", "1:13 E0107 a schedule has 5 fields, `0 1 * *` has 4 @0 1 * *"),
            ("schedule = \"@daily\"", "1:13 E0107 a schedule has 5 fields, `@daily` has 1 @@daily"),
            ("schedule = \"0 0 0 * * *\"", "1:13 E0107 a schedule has 5 fields, `0 0 0 * * *` has 6 @0 0 0 * * *"),
            ("schedule_zone = \"Mars\"", "1:18 E0107 there is no time zone `Mars` @Mars"),
            ("ingest = [\"a\"]", "1:12 E0204 there is no dataset `a` @a"),
            ("tables = [\"x\", \"x\"]", "1:17 E0107 `x` stands in `tables` twice @x"),
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

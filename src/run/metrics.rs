//! Numbers about the runs of a job, as Prometheus reads them from a file.
//!
//! What a run does not tell anew stays as an earlier one left it: when the job last ended well, and the rows of a
//! dataset of which nothing was read. So the text of before is part of the answer.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{DatasetReport, Exit, RunReport};

/// A kind of number: its name without the prefix, and what it is.
type Kind = (&'static str, &'static str);

const PREFIX: &str = "opsmart_job_";
const EXIT: Kind = ("last_exit_code", "Exit code of the last run.");
const ENDED: Kind = ("last_run_timestamp_seconds", "When the last run ended.");
const SUCCEEDED: Kind = ("last_success_timestamp_seconds", "When the last run ended that did what it should.");
const DURATION: Kind = ("duration_seconds", "How long the last run took.");
const HELD: Kind = ("held", "1 if newer tables than readers see wait for a release, else 0.");
const WARNINGS: Kind = ("warnings", "Checks that only warn and failed.");
const IN_FORCE: Kind = ("in_force_as_of_timestamp_seconds", "The clock of the tables that readers see.");
const RECORDS: Kind = ("records", "Records of the landed files, by what became of them.");
const ROWS: Kind = ("rows", "Rows that accepted records made, by what became of them.");
const ALL: [Kind; 9] = [EXIT, ENDED, SUCCEEDED, DURATION, HELD, WARNINGS, IN_FORCE, RECORDS, ROWS];

/// How a run of a job ended.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// The job, or the jobs that ran together.
    pub job: &'a str,
    /// Its exit code.
    pub exit: Exit,
    /// When it ended, in milliseconds since 1970.
    pub ended_at_ms: i64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The datasets that it told of, if it did something.
    pub datasets: &'a [DatasetReport],
    /// What stood when it ended, if it came to its end.
    pub standing: Option<Standing>,
}

/// What stands after a run.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Whether newer tables wait for a release.
    pub is_held: bool,
    /// How many checks failed that only warn.
    pub warnings: usize,
    /// The clock of the current tables.
    pub in_force_as_of: Option<DateTime<Utc>>,
}

impl Standing {
    /// Returns what a run tells of it.
    #[must_use]
    pub fn of(report: &RunReport) -> Self {
        Self {
            is_held: report.held.is_some(),
            warnings: report.all_warnings().len(),
            in_force_as_of: report.in_force_as_of,
        }
    }
}

/// Returns the text of a file of metrics after a run. `before` is the text of the file as it was.
#[must_use]
pub fn metrics(before: &str, run: &Measured<'_>) -> String {
    let mut samples = samples(before);
    let job = label("job", run.job);
    let mut put = |kind: Kind, labels: String, value: String| {
        samples.insert((kind.0.to_owned(), labels), value);
    };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay far below 2^53")]
    let ended = format!("{:.3}", run.ended_at_ms as f64 / 1000.0);
    put(EXIT, job.clone(), (run.exit as u8).to_string());
    put(ENDED, job.clone(), ended.clone());
    put(DURATION, job.clone(), format!("{:.3}", run.seconds));
    if matches!(run.exit, Exit::Done | Exit::NothingNew) {
        put(SUCCEEDED, job.clone(), ended);
    }
    if let Some(standing) = run.standing {
        put(HELD, job.clone(), u8::from(standing.is_held).to_string());
        put(WARNINGS, job.clone(), standing.warnings.to_string());
        if let Some(as_of) = standing.in_force_as_of {
            put(IN_FORCE, job.clone(), as_of.timestamp().to_string());
        }
    }
    if !run.datasets.is_empty() {
        // Whatever was told of a dataset that the job takes in no longer goes.
        samples.retain(|(kind, labels), _| {
            !([RECORDS.0, ROWS.0].contains(&kind.as_str()) && labels.starts_with(&format!("{job},")))
        });
    }
    for dataset in run.datasets {
        let mut put = |kind: Kind, stage: &str, value: u64| {
            let labels = format!("{job},{},{}", label("dataset", &dataset.dataset), label("stage", stage));
            samples.insert((kind.0.to_owned(), labels), value.to_string());
        };
        put(RECORDS, "accepted", dataset.accepted);
        put(RECORDS, "blank", dataset.blank);
        put(RECORDS, "set_aside", dataset.quarantined);
        put(ROWS, "clean", dataset.counts.clean);
        put(ROWS, "duplicate", dataset.counts.exact_duplicates);
        put(ROWS, "set_aside", dataset.counts.quarantined_in_clean);
        put(ROWS, "superseded", dataset.counts.superseded);
    }
    let mut text = String::new();
    for (kind, help) in ALL {
        text.push_str(&format!("# HELP {PREFIX}{kind} {help}\n# TYPE {PREFIX}{kind} gauge\n"));
        for ((_, labels), value) in samples.iter().filter(|((name, _), _)| name == kind) {
            text.push_str(&format!("{PREFIX}{kind}{{{labels}}} {value}\n"));
        }
    }
    text
}

/// Returns the numbers of a text, by kind and labels; what is not of ours is left out.
fn samples(text: &str) -> BTreeMap<(String, String), String> {
    let sample = |line: &str| {
        let (kind, rest) = line.strip_prefix(PREFIX)?.split_once('{')?;
        let (labels, value) = rest.rsplit_once("} ")?;
        let is_known = ALL.iter().any(|(known, _)| *known == kind) && value.parse::<f64>().is_ok();
        is_known.then(|| ((kind.to_owned(), labels.to_owned()), value.to_owned()))
    };
    text.lines().filter_map(sample).collect()
}

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::CleanCounts;

    fn dataset(name: &str, accepted: u64) -> DatasetReport {
        DatasetReport {
            dataset: name.to_owned(),
            files_read: 1,
            files: 1,
            records: accepted + 3,
            accepted,
            quarantined: 2,
            blank: 1,
            rows: accepted,
            counts: CleanCounts { clean: accepted, ..CleanCounts::default() },
            unknown_columns: Vec::new(),
            missing_columns: Vec::new(),
            outdated: Vec::new(),
            empty_files: Vec::new(),
            seconds: 0.5,
            why: Some("files"),
        }
    }

    fn after(before: &str, job: &str, exit: Exit, second: i64, datasets: &[DatasetReport]) -> String {
        let (ended_at_ms, standing) = (second * 1000 + 7, None);
        metrics(before, &Measured { job, exit, ended_at_ms, seconds: 1.5, datasets, standing })
    }

    fn value<'a>(text: &'a str, series: &str) -> Option<&'a str> {
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
    }

    #[test]
    fn what_a_run_does_not_tell_stays() {
        let text = after("", "tickets", Exit::Done, 100, &[dataset("tickets", 5), dataset("old", 9)]);
        assert_eq!(value(&text, "opsmart_job_last_success_timestamp_seconds{job=\"tickets\"}"), Some("100.007"));
        let clean = "opsmart_job_rows{job=\"tickets\",dataset=\"tickets\",stage=\"clean\"}";
        assert_eq!(value(&text, clean), Some("5"));

        let text = after(&text, "tickets", Exit::Data, 200, &[]);
        assert_eq!(value(&text, "opsmart_job_last_exit_code{job=\"tickets\"}"), Some("1"));
        assert_eq!(value(&text, "opsmart_job_last_run_timestamp_seconds{job=\"tickets\"}"), Some("200.007"));
        assert_eq!(value(&text, "opsmart_job_last_success_timestamp_seconds{job=\"tickets\"}"), Some("100.007"));
        assert_eq!(value(&text, clean), Some("5"));

        // Another job in the same file, and one whose datasets are others by now.
        let text = after(&text, "prices", Exit::NothingNew, 300, &[]);
        let text = after(&text, "tickets", Exit::Done, 400, &[dataset("tickets", 6)]);
        assert_eq!(value(&text, "opsmart_job_last_success_timestamp_seconds{job=\"prices\"}"), Some("300.007"));
        assert_eq!(value(&text, clean), Some("6"));
        assert!(!text.contains("\"old\""), "{text}");
    }

    #[test]
    fn a_run_whose_tables_are_held_is_no_success_and_moves_nothing_that_readers_see() {
        let run = |before: &str, exit, second: i64, is_held, as_of: i64| {
            let in_force_as_of = DateTime::from_timestamp(as_of, 0);
            let standing = Some(Standing { is_held, warnings: 2, in_force_as_of });
            let ended_at_ms = second * 1000;
            metrics(before, &Measured { job: "a", exit, ended_at_ms, seconds: 1.5, datasets: &[], standing })
        };
        let text = run("", Exit::Done, 100, false, 50);
        let text = run(&text, Exit::Held, 200, true, 50);
        let number = |name: &str| value(&text, &format!("opsmart_job_{name}{{job=\"a\"}}"));
        assert_eq!(number("held"), Some("1"));
        assert_eq!(number("warnings"), Some("2"));
        assert_eq!(number("in_force_as_of_timestamp_seconds"), Some("50"));
        assert_eq!(number("last_exit_code"), Some("3"));
        assert_eq!(number("last_success_timestamp_seconds"), Some("100.000"));
        // What failed does not know.
        let text = after(&text, "a", Exit::Data, 300, &[]);
        assert_eq!(value(&text, "opsmart_job_held{job=\"a\"}"), Some("1"));
    }

    #[test]
    fn other_texts_and_odd_names_do_no_harm() {
        let text = after("nonsense\nopsmart_job_rows{ x\nup{} 1\nopsmart_job_odd{} 1\n", "a\"\\b", Exit::Done, 1, &[]);
        assert_eq!(value(&text, r#"opsmart_job_last_exit_code{job="a\"\\b"}"#), Some("0"));
        assert!(!text.contains("up{") && !text.contains("odd"), "{text}");
        let again = after(&text, "a\"\\b", Exit::Done, 1, &[]);
        assert_eq!(again, text);
    }
}

//! Files that tell other programs when to run the jobs of a project.
//!
//! One file for each kind of scheduler; each is a pure function from the jobs to texts, the same byte for byte for the
//! same project.
//!
//! Promises: whatever a project says, no word of it becomes syntax of the file that it is written to; a schedule means
//! the same times there, or is refused where it stands. Knows nothing of what a run does.

mod airflow;
mod cron;
mod kubernetes;
mod systemd;

pub use airflow::airflow;
pub use cron::cron;
pub use kubernetes::kubernetes;
pub use systemd::systemd;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::project::{Days, Job, Schedule};

/// What all generated files say besides the jobs.
///
/// - No text has control characters or a backslash.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The program, as the scheduler finds it.
    pub program: &'a str,
    /// The project's folder, whole.
    pub root: &'a str,
    /// The environment of `opsmart.toml`, if it is not the plain one.
    pub env: Option<&'a str>,
    /// What names begin with that must differ from those of other projects.
    pub prefix: &'a str,
}

/// A job that a scheduler is to start.
#[derive(Debug, Clone, Copy)]
pub struct Scheduled<'a> {
    /// Its name.
    pub name: &'a str,
    /// The job.
    pub job: &'a Job,
    /// When.
    pub schedule: &'a Schedule,
}

/// A generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// Returns whether a text is of the file that an earlier `opsmart generate` wrote for `target`.
#[must_use]
pub fn is_ours(text: &str, target: &str) -> bool {
    text.contains(&mark(target))
}

/// Returns where a path of a project leads, without a way back in it.
#[must_use]
pub fn whole(root: &Utf8Path, path: &Utf8Path) -> Utf8PathBuf {
    let mut whole = Utf8PathBuf::new();
    for part in root.join(path).components() {
        match part {
            Utf8Component::ParentDir => drop(whole.pop()),
            Utf8Component::CurDir => {}
            part => whole.push(part),
        }
    }
    whole
}

/// Returns the words by which a file is known to be ours.
fn mark(target: &str) -> String {
    format!("Written by `opsmart generate {target}`")
}

impl Place<'_> {
    /// Returns the words of a command that runs a job, but for the job.
    fn run(&self) -> Vec<&str> {
        let mut words = vec![self.program, "--project-dir", self.root];
        words.extend(self.env.iter().flat_map(|env| ["--env", *env]));
        words.push("run");
        words
    }

    /// Returns the words of a command that runs a job, with `more` after them.
    fn command<'a>(&'a self, job: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [self.run().as_slice(), &[job], more].concat()
    }
}

impl Scheduled<'_> {
    /// Returns what the job is for, on one line, or else its name.
    fn description(&self) -> String {
        let words = self.job.description.as_deref().unwrap_or(self.name);
        let plain = words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        plain.collect::<Vec<_>>().join(" ")
    }

    /// Returns the schedule as a person reads it, and whose it is.
    fn when(&self) -> String {
        let owner = self.job.owner.as_ref().map_or_else(String::new, |owner| format!("; owner {owner}"));
        format!("`{}` in {}{owner}", self.schedule.word.text.trim(), self.job.schedule_zone)
    }

    /// Returns how many seconds a run may take.
    fn seconds(&self) -> Option<u64> {
        self.job.timeout.map(|timeout| timeout.as_secs())
    }

    /// Returns the schedule as five fields of numbers, which mean the same to every program that reads such fields.
    fn fields(&self) -> String {
        let Schedule { minutes, hours, months, days, .. } = self.schedule;
        fields(minutes, hours, months, days)
    }
}

/// Returns five fields of cron. Names, steps and `?` are read differently here and there, and so is a `*` with a step
/// beside a day of the week; numbers, lists and ranges are not.
fn fields(minutes: &[u16], hours: &[u16], months: &[u16], days: &Days) -> String {
    let (of_month, of_week) = match days {
        Days::Every => ("*".to_owned(), "*".to_owned()),
        Days::OfMonth(days) => (numbers(days, 31), "*".to_owned()),
        Days::OfWeek(days) => ("*".to_owned(), numbers(days, 7)),
        Days::Either(of_month, of_week) => (numbers(of_month, 31), numbers(of_week, 7)),
    };
    format!("{} {} {of_month} {} {of_week}", numbers(minutes, 60), numbers(hours, 24), numbers(months, 12))
}

/// Returns sorted numbers as cron reads them: `*` if they are all that there are.
fn numbers(values: &[u16], all: usize) -> String {
    if values.len() == all {
        return "*".to_owned();
    }
    let parts = runs(values).into_iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    });
    parts.collect::<Vec<_>>().join(",")
}

/// Returns the first and last of each run of numbers that follow each other.
fn runs(values: &[u16]) -> Vec<(u16, u16)> {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *value => *last = *value,
            _ => runs.push((*value, *value)),
        }
    }
    runs
}

/// Returns a text in double quotes as JSON, Python and YAML all read it: without characters that are not printed.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
pub(crate) mod tests {
    use chrono_tz::Tz;

    use super::*;
    use crate::diagnostic::SourceFile;
    use crate::project::Located;

    /// Where the tests generate for: a path that needs every kind of quoting.
    pub(crate) const ODD: Place<'_> = Place {
        program: "/opt/ops mart/bin/opsmart",
        root: "/srv/50% {{ \"it's\" }} $HOME",
        env: Some("prod"),
        prefix: "desk",
    };

    /// A job with the given times.
    pub(crate) fn job(schedule: Schedule, zone: Tz, description: &str) -> Job {
        let text = format!("schedule = \"{}\"\n", schedule.word.text);
        Job {
            file: SourceFile::new("jobs/tickets.toml", text),
            description: Some(description.to_owned()),
            schedule: Some(schedule),
            schedule_zone: zone,
            ingest: Vec::new(),
            owner: Some("desk \"data\" 50 %".to_owned()),
            timeout: Some(std::time::Duration::from_hours(2)),
            retries: Some(1),
            notify: vec!["desk@example.com".to_owned(), "on-call@example.com".to_owned()],
            tables: Vec::new(),
        }
    }

    /// A schedule as it is read.
    pub(crate) fn schedule(minutes: &[u16], hours: &[u16], months: &[u16], days: Days) -> Schedule {
        let text = fields(minutes, hours, months, &days);
        let word = Located { bytes: 12..12 + text.len(), text };
        Schedule { word, minutes: minutes.to_vec(), hours: hours.to_vec(), months: months.to_vec(), days }
    }

    #[test]
    fn numbers_are_lists_and_ranges() {
        assert_eq!(numbers(&[0, 15, 30, 45], 60), "0,15,30,45");
        assert_eq!(numbers(&[1, 2, 3, 5, 6, 9], 31), "1-3,5,6,9");
        assert_eq!(numbers(&[0, 1, 2, 3, 4, 5, 6], 7), "*");
    }

    #[test]
    fn days_of_both_kinds_stand_in_both_fields() {
        let months: Vec<u16> = (1..=12).collect();
        assert_eq!(fields(&[0], &[6], &months, &Days::Every), "0 6 * * *");
        assert_eq!(fields(&[0], &[6], &[2, 3], &Days::OfMonth(vec![1, 15])), "0 6 1,15 2,3 *");
        assert_eq!(fields(&[0], &[6], &months, &Days::OfWeek(vec![0, 6])), "0 6 * * 0,6");
        assert_eq!(fields(&[0], &[6], &months, &Days::Either(vec![13], vec![5])), "0 6 13 * 5");
    }

    #[test]
    fn quoted_texts_are_read_back_as_they_were() {
        for text in
            ["", "plain", "a \"b\" \\c", "line\nend\t\u{1}", "\u{7f}\u{85}\u{2028}", "客服 – ü 😀", "{{ x }} %s $y"]
        {
            let read: String = serde_json::from_str(&quoted(text)).unwrap();
            assert_eq!(read, text);
        }
    }
}

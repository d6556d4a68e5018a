//! Printing: the one place that writes to stdout and stderr.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::Failure;
use crate::check::Finding;
use crate::clean::CleanError;
use crate::ingest::IngestError;
use crate::project::Severity;
use crate::run::{DatasetReport, Exit, RunError};

/// Writes what commands say.
#[derive(Debug)]
pub(super) struct Printer {
    quiet: bool,
    json: bool,
}

/// Returns whether stderr is a terminal that wants colour.
pub(super) fn colour_allowed() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes what was asked for to stdout. A reader that went away is no mistake of ours.
pub(super) fn answer(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Tells people what they have to know even if they asked for quiet.
pub(super) fn warn(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a JSON document as the last line of stdout, after everything on stderr.
pub(super) fn document(value: &impl Serialize) {
    let _ = std::io::stderr().flush();
    if let Ok(text) = serde_json::to_string(value) {
        answer(&format!("{text}\n"));
    }
}

impl Printer {
    pub(super) fn new(quiet: bool, json: bool) -> Self {
        Self { quiet, json }
    }

    /// Returns whether stdout is for machines.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Returns whether people want to hear of progress.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Tells people something, unless they asked for quiet.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
    }

    /// Tells people what went wrong, and machines as well where they are listening.
    pub(super) fn failure(&self, failure: &Failure, exit: Exit) {
        let text = match failure {
            Failure::Project(mistakes) => mistakes.render(colour_allowed()),
            Failure::Run { error, read } => run_error(error, read),
            Failure::Other { message, help, .. } => with_help(&format!("error: {message}\n"), help.as_deref()),
        };
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
        if self.json {
            document(&failure_document(failure, exit));
        }
    }
}

fn run_error(error: &RunError, read: &[DatasetReport]) -> String {
    let mut text = String::new();
    if let RunError::Broken { findings, .. } = error {
        findings.iter().for_each(|finding| text.push_str(&finding_text(finding)));
    }
    strangers(read).iter().for_each(|words| text.push_str(&format!("note: {words}\n")));
    text.push_str(&format!("error: {error}\n"));
    if let RunError::Ingest(IngestError::Rejected { examples, .. })
    | RunError::Clean(CleanError::Rejected { examples, .. }) = error
    {
        examples.iter().for_each(|example| text.push_str(&format!("  {example}\n")));
    }
    error.reasons().iter().for_each(|reason| text.push_str(&format!("  because {reason}\n")));
    with_help(&text, error.help().as_deref())
}

/// Returns in words which names of files and of contracts did not meet.
pub(super) fn strangers(datasets: &[DatasetReport]) -> Vec<String> {
    let mut words = Vec::new();
    for DatasetReport { dataset, unknown_columns, missing_columns, outdated, empty_files, .. } in datasets {
        if !unknown_columns.is_empty() {
            words.push(format!("{dataset}: the contract does not know {}", unknown_columns.join(", ")));
        }
        if !missing_columns.is_empty() {
            words.push(format!("{dataset}: a file that was read has no column {}", missing_columns.join(", ")));
        }
        if let [first, others @ ..] = outdated.as_slice() {
            let others = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
            words.push(format!(
                "warning: {dataset}: this version reads {first}{others} differently, but cannot read it again because it is \
                 gone: its rows stay as they were read"
            ));
        }
        words.extend(empty(dataset, empty_files));
    }
    words
}

/// Returns in words that files hold nothing, if some do.
pub(super) fn empty(dataset: &str, files: &[String]) -> Option<String> {
    let (first, others) = files.split_first()?;
    let (others, are) =
        if others.is_empty() { (String::new(), "is") } else { (format!(" and {} more", others.len()), "are") };
    Some(format!("warning: {dataset}: {first}{others} {are} empty, without even a header: taken in with no records"))
}

/// Returns a broken promise in words, with rows that break it.
pub(super) fn finding_text(finding: &Finding) -> String {
    let word = match finding.severity {
        Severity::Error => "broken",
        Severity::Warn => "warned",
    };
    let mut text = format!("{word}[{}]: {}\n", finding.check, finding.message);
    if let Some(threshold) = &finding.threshold {
        let of = finding.tested.map_or_else(String::new, |tested| format!(" of {tested}"));
        text.push_str(&format!("  {}{of} rows break it ({threshold})\n", finding.rows));
    }
    finding.examples.iter().for_each(|row| text.push_str(&format!("  {row}\n")));
    let more = finding.rows.saturating_sub(finding.examples.len() as u64);
    if more > 0 {
        text.push_str(&format!("  and {more} more\n"));
    }
    text
}

fn with_help(text: &str, help: Option<&str>) -> String {
    help.map_or_else(|| text.to_owned(), |help| format!("{text}help: {help}\n"))
}

fn failure_document(failure: &Failure, exit: Exit) -> serde_json::Value {
    let mut document = serde_json::json!({ "status": "failed", "exit": exit as u8 });
    let help = match failure {
        Failure::Project(_) => None,
        Failure::Run { error, .. } => error.help(),
        Failure::Other { help, .. } => help.clone(),
    };
    if let Some(help) = help {
        document["help"] = help.into();
    }
    match failure {
        Failure::Project(mistakes) => {
            let mistakes = mistakes.iter().map(|mistake| {
                let (line, column) = mistake.at.line_column();
                serde_json::json!({
                    "code": mistake.code.as_str(), "message": mistake.message, "file": mistake.at.file.path,
                    "line": line, "column": column, "help": mistake.help,
                })
            });
            document["mistakes"] = mistakes.collect();
        }
        Failure::Run { error, read } => {
            document["error"] = error.in_full().into();
            if !read.is_empty() {
                document["datasets"] = serde_json::to_value(read).unwrap_or_default();
            }
            if let RunError::Broken { findings, record } = error {
                document["record"] = record.as_str().into();
                document["findings"] = serde_json::to_value(findings).unwrap_or_default();
            }
        }
        Failure::Other { message, .. } => document["error"] = message.as_str().into(),
    }
    document
}

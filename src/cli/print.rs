//! Printing: the one place that writes to stdout and stderr.
//!
//! Promises: nothing that comes out of a file steers a terminal, hides in a line or passes for a line of ours; what stdout
//! does not take is remembered, so that no command says it is done whose answer was lost.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::Failure;
use super::summary::counted;
use crate::check::FailedCheck;
use crate::clean::CleanError;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::ingest::IngestError;
use crate::project::Severity;
use crate::run::{DatasetReport, Exit, RunError};
use crate::transform::Blame;
use crate::visible;

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

/// The first reason why stdout did not take something; of the process, as stdout is.
static UNWRITTEN: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes a text for people that was asked for to stdout.
pub(super) fn answer(text: &str) {
    data(visible::lines(text).as_bytes());
}

/// Writes what was asked for to stdout as it is, for machines.
pub(super) fn data(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    note(out.write_all(bytes).and_then(|()| out.flush()));
}

/// Remembers that stdout did not take something. A reader that went away is no mistake of ours.
pub(super) fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Says on stderr if stdout did not take everything, and returns whether that was so.
pub(super) fn tell_unwritten() -> bool {
    let error = UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    error.iter().for_each(|error| warn(&format!("error: cannot write to stdout: {error}\n")));
    error.is_some()
}

/// Tells people what they have to know even if they asked for quiet.
pub(super) fn warn(text: &str) {
    as_it_is(&visible::lines(text));
}

/// Writes to stderr. Nobody can be told if that fails.
fn as_it_is(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a JSON document as the last line of stdout, after everything on stderr.
pub(super) fn document(value: &impl Serialize) {
    let _ = io::stderr().flush();
    match serde_json::to_string(value) {
        Ok(text) => data(format!("{}\n", visible::json(&text)).as_bytes()),
        Err(error) => note(Err(error.into())),
    }
}

/// Writes what clap says: help and versions to stdout, mistakes to stderr.
pub(super) fn usage(said: &clap::Error) {
    if said.use_stderr() {
        warn(&said.render().to_string());
    } else {
        note(said.print().and_then(|()| io::stdout().flush()));
    }
}

/// Where log lines go: to stderr, one event at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogWriter {
    /// Whether lines are JSON objects.
    pub(super) is_json: bool,
}

impl Write for LogWriter {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        if self.is_json {
            as_it_is(&visible::json(&text));
        } else {
            as_it_is(&format!("{}\n", visible::indented(&text)));
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
            warn(text);
        }
    }

    /// Tells people what the SQL of a project can hardly mean; how often, if they asked for quiet.
    pub(super) fn warnings(&self, warnings: &Diagnostics) {
        if warnings.is_empty() {
            return;
        }
        if self.quiet {
            warn(&format!("{}: `opsmart check` shows what and where\n", counted(warnings.len(), "warning")));
        } else {
            // Of its colours we know that they are our own.
            as_it_is(&warnings.render_warnings(colour_allowed()));
        }
    }

    /// Tells people what went wrong, and machines as well where they are listening.
    pub(super) fn failure(&self, failure: &Failure, exit: Exit) {
        match failure {
            // Of its colours we know that they are our own.
            Failure::Project(mistakes) => as_it_is(&mistakes.render(colour_allowed())),
            Failure::Run { error, read } => warn(&run_error(error, read)),
            Failure::Other { message, help, .. } => {
                warn(&with_help(&format!("error: {}\n", visible::indented(message)), help.as_deref()));
            }
        }
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
    text.push_str(&format!("error: {}\n", visible::indented(&error.to_string())));
    if let RunError::Ingest(IngestError::Rejected { examples, .. })
    | RunError::Clean(CleanError::Rejected { examples, .. }) = error
    {
        examples.iter().for_each(|example| text.push_str(&format!("  {}\n", visible::line(example))));
    }
    let reasons = error.reasons();
    reasons.iter().for_each(|reason| text.push_str(&format!("  because {}\n", visible::indented(reason))));
    if let Some(record) = error.blame().and_then(Blame::record) {
        text.push_str(&format!("{}\n", visible::line(&record)));
    }
    with_help(&text, error.help().as_deref())
}

/// Returns in words which names of files and of contracts did not meet.
pub(super) fn strangers(datasets: &[DatasetReport]) -> Vec<String> {
    let mut words = Vec::new();
    let list = |names: &[String]| names.iter().map(|name| visible::line(name)).collect::<Vec<_>>().join(", ");
    for DatasetReport { dataset, unknown_columns, missing_columns, outdated, empty_files, .. } in datasets {
        if !unknown_columns.is_empty() {
            words.push(format!("{dataset}: the contract does not know {}", list(unknown_columns)));
        }
        if !missing_columns.is_empty() {
            words.push(format!("{dataset}: a file that was read has no column {}", list(missing_columns)));
        }
        if let [first, others @ ..] = outdated.as_slice() {
            let others = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
            let first = visible::line(first);
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
    Some(format!("warning: {dataset}: {first}{others} {are} empty, without even a header: ingested with no records"))
}

/// Returns a failed check in words, with rows that break it.
pub(super) fn finding_text(finding: &FailedCheck) -> String {
    let word = match finding.severity {
        Severity::Error => "failed",
        Severity::Warn => "warned",
    };
    let mut text = format!("{word}[{}]: {}\n", finding.check, visible::line(&finding.message));
    if let Some(threshold) = &finding.threshold {
        let of = finding.tested.map_or_else(String::new, |tested| format!(" of {tested}"));
        text.push_str(&format!("  {}{of} rows fail ({threshold})\n", finding.rows));
    }
    for (at, row) in finding.examples.iter().enumerate() {
        text.push_str(&format!("  {}\n", visible::line(&row.to_string())));
        if let Some(records) = finding.records.as_ref().filter(|_| at == 0) {
            let from = if records.unfollowed.is_none() { "from " } else { "" };
            text.push_str(&format!("    {from}{}\n", visible::line(&records.words())));
        }
    }
    let more = finding.rows.saturating_sub(finding.examples.len() as u64);
    if more > 0 {
        text.push_str(&format!("  and {more} more\n"));
    }
    text
}

fn with_help(text: &str, help: Option<&str>) -> String {
    help.map_or_else(|| text.to_owned(), |help| format!("{text}help: {}\n", visible::indented(help)))
}

/// Returns mistakes or warnings for machines.
pub(super) fn places(found: &Diagnostics) -> serde_json::Value {
    let place = |found: &Diagnostic| {
        let (line, column) = found.at.line_column();
        serde_json::json!({
            "code": found.code.as_str(), "message": found.message, "file": found.at.file.path,
            "line": line, "column": column, "help": found.help,
        })
    };
    found.iter().map(place).collect()
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
        Failure::Project(mistakes) => document["mistakes"] = places(mistakes),
        Failure::Run { error, read } => {
            document["error"] = error.in_full().into();
            if let Some(records) = error.blame().and_then(|blame| blame.records.as_ref()) {
                document["records"] = serde_json::to_value(records).unwrap_or_default();
            }
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

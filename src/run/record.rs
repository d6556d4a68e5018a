//! What a run that did something, or failed, leaves behind about itself.

use chrono::{DateTime, Utc};

use super::openlineage::{Surroundings, events};
use super::{DatasetReport, Exit, RunError, RunReport};
use crate::digest::Digest;
use crate::landed::Forget;
use crate::plan::Workspace;
use crate::store::{RUN_LINEAGE, RUN_RECORD, RunMark, Store};

/// The record of one run. Nothing depends on it but `opsmart history` and the tables about runs.
#[derive(Debug)]
pub struct Record<'a> {
    /// The warehouse.
    pub store: &'a Store,
    /// The run's name.
    pub id: &'a str,
    /// When it started.
    pub started: DateTime<Utc>,
    /// The jobs that were asked for.
    pub jobs: &'a [String],
    /// The selectors.
    pub select: &'a [String],
    /// The selectors of what is left out.
    pub exclude: &'a [String],
    /// The landed files that the run forgets or takes back.
    pub forget: Option<&'a Forget>,
    /// Digest of the project.
    pub project: &'a Digest,
    /// The project.
    pub workspace: &'a Workspace,
    /// Where lineage places the run.
    pub surroundings: &'a Surroundings,
}

/// What a run can tell of its work.
#[derive(Debug, Clone, Copy)]
pub enum RunProgress<'a> {
    /// It came to its end.
    Ended(&'a RunReport),
    /// It read these datasets, and then it failed or was interrupted.
    Interrupted(&'a [DatasetReport]),
}

/// Returns what is run, in words: jobs and selectors, or `all`.
#[must_use]
pub fn chosen(jobs: &[String], select: &[String]) -> String {
    match [jobs, select].concat() {
        none if none.is_empty() => "all".to_owned(),
        chosen => chosen.join(" "),
    }
}

impl Record<'_> {
    /// Leaves a mark that the run is under way; should its process be killed, the mark is what tells of it.
    #[must_use]
    pub fn begin(&self) -> Option<RunMark> {
        let mut document = self.document("interrupted");
        document["error"] = "the process ended without a word: it was killed, or the machine stopped".into();
        let begun = serde_json::to_vec_pretty(&document)
            .map_err(std::io::Error::from)
            .and_then(|bytes| self.store.begin_run(self.id, &bytes));
        begun
            .inspect_err(|error| tracing::debug!(run = self.id, %error, "nothing tells that the run is under way"))
            .ok()
    }

    /// Writes the record. A run is not failed for it: what it published is published.
    pub fn write(&self, status: impl serde::Serialize, exit: Exit, error: Option<&RunError>, told: RunProgress<'_>) {
        let mut document = self.document(status);
        document["exit"] = (exit as u8).into();
        document["ended_at"] = crate::instant::text(&Utc::now()).into();
        document["error"] = error.map(RunError::in_full).into();
        document["help"] = error.and_then(RunError::help).into();
        if let Some(records) = error.and_then(RunError::blame).and_then(|blame| blame.records.as_ref()) {
            document["records"] = serde_json::json!(records);
        }
        if let Some(RunError::Broken { findings, .. }) = error {
            document["findings"] = serde_json::json!(findings);
        }
        document["report"] = match told {
            RunProgress::Ended(report) => serde_json::json!(report),
            RunProgress::Interrupted(datasets) => serde_json::json!({ "datasets": datasets }),
        };
        match serde_json::to_vec_pretty(&document) {
            Ok(bytes) => self.put(RUN_RECORD, &bytes),
            Err(error) => tracing::warn!(run = self.id, %error, "the record of the run was not written"),
        }
    }

    /// Writes what the run read and made, for programs that follow data from job to job. It takes a while, and nobody
    /// waits for it.
    pub fn write_lineage(&self, exit: Exit, error: Option<&RunError>, told: RunProgress<'_>) {
        self.put(RUN_LINEAGE, events(self, exit, error, told).as_bytes());
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        if let Err(error) = self.store.put_run_file(self.id, name, bytes) {
            tracing::warn!(run = self.id, error = error.to_string(), "{name} of the run was not written");
        }
    }

    /// Returns what was run, in words: jobs and selectors.
    pub(super) fn name(&self) -> String {
        match self.forget {
            Some(forget) if forget.undo => "forget --undo".to_owned(),
            Some(_) => "forget".to_owned(),
            None => chosen(self.jobs, self.select),
        }
    }

    /// Returns the record of a run of which nothing is known but that it has begun.
    fn document(&self, status: impl serde::Serialize) -> serde_json::Value {
        serde_json::json!({
            "version": 1,
            "run": self.id,
            "branch": self.store.branch(),
            "status": status,
            "exit": null,
            "started_at": crate::instant::text(&self.started),
            "ended_at": null,
            "jobs": self.jobs,
            "select": self.select,
            "exclude": self.exclude,
            "forget": self.forget.filter(|forget| !forget.undo).map(|forget| &forget.paths),
            "forget_undone": self.forget.filter(|forget| forget.undo).map(|forget| &forget.paths),
            "project": self.project,
            "error": null,
            "help": null,
            "findings": null,
            "report": null,
        })
    }
}

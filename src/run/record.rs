//! What a run that did something, or failed, leaves behind about itself.

use chrono::{DateTime, Utc};

use super::{Exit, RunError, RunReport};
use crate::digest::Digest;
use crate::store::{RUN_RECORD, Store};

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
    /// Digest of the project.
    pub project: &'a Digest,
}

impl Record<'_> {
    /// Writes the record. A run is not failed for it: what it published is published.
    pub fn write(
        &self,
        status: &impl serde::Serialize,
        exit: Exit,
        error: Option<&RunError>,
        report: Option<&RunReport>,
    ) {
        let findings = match error {
            Some(RunError::Broken { findings, .. }) => Some(findings),
            _ => None,
        };
        let document = serde_json::json!({
            "version": 1,
            "run": self.id,
            "status": status,
            "exit": exit as u8,
            "started_at": crate::instant::text(&self.started),
            "ended_at": crate::instant::text(&Utc::now()),
            "jobs": self.jobs,
            "select": self.select,
            "exclude": self.exclude,
            "project": self.project,
            "error": error.map(ToString::to_string),
            "findings": findings,
            "report": report,
        });
        let written = serde_json::to_vec_pretty(&document)
            .map_err(|error| error.to_string())
            .and_then(|bytes| self.store.put_run_file(self.id, RUN_RECORD, &bytes).map_err(|error| error.to_string()));
        if let Err(error) = written {
            tracing::warn!(run = self.id, error, "the record of the run was not written");
        }
    }
}

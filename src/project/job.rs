//! A scheduled job: when it runs, which datasets it takes in, which tables it refreshes.

use std::ops::Range;
use std::time::Duration;

use super::schedule::Schedule;
use crate::diagnostic::SourceFile;

/// One file of `jobs/`.
#[derive(Debug, Clone)]
pub struct Job {
    /// The job's own text.
    pub file: SourceFile,
    /// What it is for.
    pub description: Option<String>,
    /// When it runs, if a scheduler is to start it.
    pub schedule: Option<Schedule>,
    /// The zone of the schedule.
    pub schedule_zone: chrono_tz::Tz,
    /// The datasets that it takes in.
    pub ingest: Vec<Located>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// How long one run may take before its scheduler ends it.
    pub timeout: Option<Duration>,
    /// How often its scheduler tries again what is temporary.
    pub retries: Option<u32>,
    /// The addresses of those who are told when it fails.
    pub notify: Vec<String>,
    /// Selectors of the tables that it refreshes; all tables downstream of its datasets when none is given.
    pub tables: Vec<Located>,
}

/// A word of a project file and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The word.
    pub text: String,
    /// Its bytes in the file, without quotes.
    pub bytes: Range<usize>,
}

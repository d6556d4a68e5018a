//! What a run did, for people and machines.

use std::time::Duration;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use camino::Utf8PathBuf;
use chrono::{DateTime, Utc};
use datafusion::common::Result;
use datafusion::prelude::SessionContext;
use serde::{Deserialize, Serialize, Serializer};

use super::clock::ahead;
use super::planned_run::PlannedRun;
use super::{Exit, RunOptions};
use crate::check::FailedCheck;
use crate::diff::ExceededChange;
use crate::digest::Digest;
use crate::engine::read_only;
use crate::landed::{Build, BuildReason, DatasetStep, FileLeft};
use crate::sql_text::identifier;
use crate::store::{CleanCounts, Ledger, SnapshotRef, Store, StoreError, TableState};
use crate::transform::PartitionCounts;

/// Something that happened in a run.
#[derive(Debug, Clone)]
pub enum Event {
    /// The run knows what it has to do.
    Planned {
        /// Files to read.
        files: usize,
        /// Models to build, at most.
        models: usize,
    },
    /// Files of a dataset are being read.
    Reading {
        /// The dataset.
        dataset: String,
        /// How many files.
        files: usize,
    },
    /// A dataset is up to date.
    Read(DatasetReport),
    /// A model is being built.
    Building {
        /// The model.
        model: String,
        /// Which of them it is, from 1.
        number: usize,
        /// How many there are, at most.
        total: usize,
    },
    /// A model has been built.
    Built(TableReport),
    /// Checks are running.
    Checking {
        /// How many tables and checks.
        checks: usize,
    },
    /// Everything is being published.
    Publishing,
}

/// How a run ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// New tables are current.
    Published,
    /// New tables wait for a release.
    Held,
    /// Everything was as it should be.
    NothingNew,
}

/// What a run did.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The run's name.
    pub run: String,
    /// How it ended.
    pub status: Status,
    /// The logical clock.
    #[serde(with = "crate::instant")]
    pub as_of: DateTime<Utc>,
    /// The snapshot that it made, if it made one.
    pub snapshot: Option<Digest>,
    /// The datasets in its reach.
    pub datasets: Vec<DatasetReport>,
    /// Datasets of which no file has ever landed, and where they should: a mistake more often than not.
    pub nothing_landed: Vec<(String, String)>,
    /// Landed files that it left for a later run, because they may still be being written.
    pub left: Vec<LeftFile>,
    /// The tables that it built, in order.
    pub tables: Vec<TableReport>,
    /// How many checks it ran that passed.
    pub checks: usize,
    /// How many it skipped for want of rows.
    pub skipped: usize,
    /// The checks that failed and only warn.
    pub warnings: Vec<FailedCheck>,
    /// The checks that failed in an earlier run, that only warn, and that it had no reason to run again.
    pub standing_warnings: Vec<String>,
    /// The numbers that moved by more than was agreed, so that what it built waits.
    pub moved: Vec<ExceededChange>,
    /// The current snapshot, when a newer one waits for a release.
    pub held: Option<Digest>,
    /// The columns, each as `table.column`, whose numbers are why it waits; none after a rollback.
    pub held_for: Vec<String>,
    /// The clock of the current tables, which readers see.
    #[serde(serialize_with = "instant_or_null")]
    pub in_force_as_of: Option<DateTime<Utc>>,
    /// Why the clock of this machine or that of the tables can hardly be right.
    pub clock_warning: Option<String>,
    /// Labels and values of the headline model.
    pub headline: Vec<(String, String)>,
    /// What BI tools open.
    pub published: Utf8PathBuf,
    /// How long it took.
    pub seconds: f64,
}

/// What became of the records of a dataset.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DatasetReport {
    /// The dataset.
    pub dataset: String,
    /// Files that this run read.
    pub files_read: usize,
    /// Files that are admitted.
    pub files: usize,
    /// Records of all files that live.
    pub records: u64,
    /// Those that became rows, one or several each.
    pub accepted: u64,
    /// Those that were quarantined.
    pub quarantined: u64,
    /// Those that carry no row.
    pub blank: u64,
    /// Rows that the accepted ones became.
    pub rows: u64,
    /// What became of the rows.
    #[serde(flatten)]
    pub counts: CleanCounts,
    /// Columns of all files that live which the contract does not know.
    pub unknown_columns: Vec<String>,
    /// Columns of the contract that headers of the files read now lack.
    pub missing_columns: Vec<String>,
    /// Files whose rows stay as an earlier version of the reader made them, because they are gone and cannot be read again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outdated: Vec<String>,
    /// Files read now that hold nothing, not even a header; they count as files without records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub empty_files: Vec<String>,
    /// How long it took.
    pub seconds: f64,
    /// Why there was something to do, as a word for machines; nothing if there was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
}

/// A landed file that was left for a later run.
#[derive(Debug, Clone, Serialize)]
pub struct LeftFile {
    /// Its dataset.
    pub dataset: String,
    /// Its path.
    pub path: String,
    /// Why, as a word for machines.
    pub because: &'static str,
    /// Why, for people.
    pub message: String,
}

impl LeftFile {
    pub(super) fn new(dataset: &str, file: &FileLeft) -> Self {
        Self {
            dataset: dataset.to_owned(),
            path: file.path.clone(),
            because: file.why.as_str(),
            message: file.why.to_string(),
        }
    }
}

/// A table that was built.
#[derive(Debug, Clone, Serialize)]
pub struct TableReport {
    /// The table.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// How many rows were read for it: of the tables it is made from, and of its own files that were written anew.
    pub rows_read: u64,
    /// How many of its partitions were made, if it has some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<PartitionCounts>,
    /// How long it took.
    pub seconds: f64,
    /// Why it was built, as a word for machines.
    pub why: &'static str,
    /// The tables that it is made from and that changed, if they are why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed_inputs: Vec<String>,
    /// Whether it changed itself.
    pub changed: bool,
}

impl RunReport {
    /// Returns the report of a run that has done nothing yet but look.
    pub(super) fn begin(options: &RunOptions<'_>, planned: &PlannedRun) -> std::result::Result<Self, StoreError> {
        let mut report = Self::new(&options.id, planned.plan.as_of);
        for step in &planned.plan.datasets {
            report.nothing_landed.extend(step.nothing_at.clone().map(|pattern| (step.name.clone(), pattern)));
            report.left.extend(step.left.iter().map(|file| LeftFile::new(&step.name, file)));
        }
        report.shows(options.store)?;
        Ok(report)
    }

    pub(super) fn new(run: &str, as_of: DateTime<Utc>) -> Self {
        Self {
            run: run.to_owned(),
            status: Status::NothingNew,
            as_of,
            snapshot: None,
            datasets: Vec::new(),
            nothing_landed: Vec::new(),
            left: Vec::new(),
            tables: Vec::new(),
            checks: 0,
            skipped: 0,
            warnings: Vec::new(),
            standing_warnings: Vec::new(),
            moved: Vec::new(),
            held: None,
            held_for: Vec::new(),
            in_force_as_of: None,
            clock_warning: None,
            headline: Vec::new(),
            published: Utf8PathBuf::new(),
            seconds: 0.0,
        }
    }

    /// Says what readers see by now: what is current, whether it is held there, and why.
    pub(super) fn shows(&mut self, store: &Store) -> std::result::Result<(), StoreError> {
        if let Some((reference, snapshot)) = store.current()? {
            self.holds(&reference, snapshot.as_of);
        }
        Ok(())
    }

    /// Says what a reference holds current, and why.
    pub(super) fn holds(&mut self, reference: &SnapshotRef, as_of: DateTime<Utc>) {
        self.in_force_as_of = Some(as_of);
        self.held = reference.held.as_ref().map(|_| reference.snapshot.clone());
        self.held_for = reference.held.as_ref().map(|held| held.exceeded.clone()).unwrap_or_default();
        self.clock_warning = ahead(self.as_of.max(as_of), Utc::now());
    }

    /// Returns how the run ended. What is held is no failure of the run, and nothing that may go unseen: readers stay on
    /// the tables of before.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.held.is_some() { Exit::Held } else { Exit::Done }
    }

    /// Returns the checks that failed and only warn: those found by this run, and those of before that still stand.
    #[must_use]
    pub fn all_warnings(&self) -> Vec<&str> {
        let found = self.warnings.iter().map(|finding| finding.check.as_str());
        found.chain(self.standing_warnings.iter().map(String::as_str)).collect()
    }
}

#[expect(clippy::ref_option, reason = "serde hands it over so")]
fn instant_or_null<S: Serializer>(
    instant: &Option<DateTime<Utc>>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    instant.as_ref().map(crate::instant::text).serialize(serializer)
}

impl DatasetReport {
    /// Returns the report of a dataset of which nothing was read yet.
    pub(super) fn begin(step: &DatasetStep) -> Self {
        Self {
            dataset: step.name.clone(),
            files_read: step.files.len(),
            why: why(step).map(BuildReason::as_str),
            ..Self::default()
        }
    }

    /// Says what the dataset has now.
    pub(super) fn end(&mut self, state: &TableState, elapsed: Duration) {
        let mut all = Ledger::default();
        if let Some(landed) = &state.landed {
            self.files = landed.remembered().count();
            self.counts = landed.counts;
            for content in landed.contents.values() {
                all.merge(&content.ledger);
                self.unknown_columns.extend(content.unknown_columns.iter().cloned());
            }
        }
        self.unknown_columns.sort();
        self.unknown_columns.dedup();
        self.records = all.records;
        self.accepted = all.accepted;
        self.quarantined = all.quarantined;
        self.blank = all.blank;
        self.rows = all.rows;
        self.seconds = elapsed.as_secs_f64();
    }
}

fn why(step: &DatasetStep) -> Option<BuildReason> {
    match &step.build {
        Build::Required(why) => Some(*why),
        _ if !step.files.is_empty() => Some(BuildReason::Files),
        Build::IfChanged(_) => Some(BuildReason::References),
        Build::Skip => None,
    }
}

/// Returns the last two columns of the headline model as texts, in the order of its first column.
pub(super) async fn headline(session: &SessionContext, model: &str) -> Result<Vec<(String, String)>> {
    let sql = format!("select * from {} order by 1", identifier(model));
    let batches = session.sql_with_options(&sql, read_only()).await?.collect().await?;
    let options = FormatOptions::default().with_null("–");
    let mut rows = Vec::new();
    for batch in &batches {
        let width = batch.num_columns();
        if width < 2 {
            break;
        }
        let label = ArrayFormatter::try_new(batch.column(width - 2), &options)?;
        let value = ArrayFormatter::try_new(batch.column(width - 1), &options)?;
        rows.extend((0..batch.num_rows()).map(|row| (label.value(row).to_string(), value.value(row).to_string())));
    }
    Ok(rows)
}

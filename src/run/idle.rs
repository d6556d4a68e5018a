//! A run with nothing to do, remembered.
//!
//! The plan is a pure function of the project, what was asked, the reference, the landed files and the clock. Where it
//! came out idle, stamps of all of these are kept, and as long as they are the same the next run needs neither read the
//! project nor bind its SQL nor open a state to know that there is nothing to do. Where the landed files have no stamp,
//! the plan is made.

use camino::{Utf8Path, Utf8PathBuf};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::clock::next_tick;
use super::planned_run::PlannedRun;
use super::{Memo, RunError, RunOptions, RunReport};
use crate::digest::Digest;
use crate::ingest::LandingFolder;
use crate::plan::Workspace;
use crate::project::LandingPattern;
use crate::publish::Base;
use crate::store::{SnapshotRef, Store};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Idle {
    reference: SnapshotRef,
    /// When the clock moves on, in microseconds of UTC; never if it was asked for.
    until_micros: Option<i64>,
    /// Where files land that the run takes in, and the stamp of what is there.
    landed: Vec<(String, Digest)>,
    #[serde(with = "crate::instant")]
    as_of: DateTime<Utc>,
    nothing_landed: Vec<(String, String)>,
    standing_warnings: Vec<String>,
    published: Utf8PathBuf,
    #[serde(with = "crate::instant")]
    in_force_as_of: DateTime<Utc>,
}

/// Returns the report of a run that is known to have nothing to do.
#[must_use]
pub fn recall(root: &Utf8Path, store: &Store, memo: &Memo, run: &str) -> Option<RunReport> {
    let idle: Idle = memo.recall(store)?;
    let reference = store.reference().ok()??;
    let is_same = idle.reference == reference
        && idle.until_micros.is_none_or(|until| Utc::now().timestamp_micros() < until)
        && store.is_current(&reference.snapshot);
    if !is_same {
        return None;
    }
    for (pattern, stamp) in &idle.landed {
        let pattern = LandingPattern::parse(pattern).ok()?;
        if LandingFolder::new(root, &pattern).stamp(&pattern).ok()?? != *stamp {
            return None;
        }
    }
    let mut report = RunReport::new(run, idle.as_of);
    report.nothing_landed = idle.nothing_landed;
    report.holds(&reference, idle.in_force_as_of);
    report.standing_warnings = idle.standing_warnings;
    report.published = idle.published;
    Some(report)
}

/// Ends a run that has nothing to do, and remembers that. `stamps` are those of the landing folders before they were
/// listed.
pub(super) fn end_idle(
    workspace: &Workspace,
    options: &RunOptions<'_>,
    base: &Base,
    planned: &PlannedRun,
    stamps: Stamps,
) -> Result<RunReport, RunError> {
    let mut report = RunReport::begin(options, planned)?;
    report.published = options.store.published();
    report.standing_warnings = base.snapshot.iter().flat_map(|snapshot| snapshot.warned.clone()).collect();
    // What was left alone becomes whole with time, or with a marker, of which no stamp tells.
    if let Some(reference) = base.reference.as_ref().filter(|_| report.left.is_empty()) {
        remember(workspace, options, reference, &report, stamps);
    }
    Ok(report)
}

/// Remembers that a run had nothing to do.
fn remember(
    workspace: &Workspace,
    options: &RunOptions<'_>,
    reference: &SnapshotRef,
    report: &RunReport,
    stamps: Stamps,
) {
    let Some(memo) = options.memo else { return };
    let (Some(landed), Some(in_force_as_of)) = (stamps, report.in_force_as_of) else { return };
    let idle = Idle {
        reference: reference.clone(),
        until_micros: options
            .as_of
            .is_none()
            .then(|| next_tick(&workspace.project.settings, report.as_of).timestamp_micros()),
        landed,
        as_of: report.as_of,
        nothing_landed: report.nothing_landed.clone(),
        standing_warnings: report.standing_warnings.clone(),
        published: report.published.clone(),
        in_force_as_of,
    };
    memo.remember(options.store, &idle);
}

/// The landing patterns of a run with the stamps of what is there; nothing where one has none.
pub(super) type Stamps = Option<Vec<(String, Digest)>>;

/// Returns the stamps of the landing folders of the datasets that a run takes in.
pub(super) fn stamps(workspace: &Workspace, options: &RunOptions<'_>) -> Stamps {
    let taken_in = workspace.project.sources.values().filter(|source| options.scope.ingest.contains(&source.name));
    taken_in
        .map(|source| {
            let stamp = LandingFolder::new(&workspace.project.root, &source.from).stamp(&source.from).ok()??;
            Some((source.from.to_string(), stamp))
        })
        .collect()
}

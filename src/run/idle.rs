//! A run with nothing to do, remembered.
//!
//! The plan is a pure function of the project, what was asked, the reference, the landed files and the clock. Where it
//! came out idle, stamps of all of these are kept, and as long as they are the same the next run needs neither read the
//! project nor bind its SQL nor open a state to know that there is nothing to do. Whatever is in doubt, such as a file
//! that was changed a moment ago or a link, has no stamp, and then the plan is made.

use camino::{Utf8Path, Utf8PathBuf};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::clock::next_tick;
use super::{Job, RunReport};
use crate::digest::{Digest, Parts};
use crate::engine;
use crate::ingest::LandingFolder;
use crate::plan::Suite;
use crate::project::{self, LandingPattern};
use crate::stamp;
use crate::store::{Reference, Store};

/// What was asked of a run, besides the project.
#[derive(Debug, Clone)]
pub struct Question {
    name: String,
    project: Option<Digest>,
    program: String,
}

impl Question {
    /// Puts together what was asked: `words` are the environment, jobs, selectors and the clock as they were written.
    /// Must be called before the project is read, so that what changes meanwhile is seen.
    #[must_use]
    pub fn new(root: &Utf8Path, words: &[&[String]]) -> Self {
        let mut parts = Parts::of("question");
        parts.add(root.as_str());
        for list in words {
            parts.add(list.len().to_le_bytes());
            list.iter().for_each(|word| parts.add(word));
        }
        let name = format!("idle-{}", parts.digest().short());
        Self { name, project: project::stamp(root), program: program() }
    }
}

/// Returns what tells this program from another build of it.
fn program() -> String {
    let file = std::env::current_exe().and_then(std::fs::metadata);
    format!("{} {}", engine::VERSION, file.map_or_else(|_| String::new(), |file| stamp::tag(&file)))
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Idle {
    program: String,
    project: Digest,
    reference: Reference,
    /// When the clock moves on, in microseconds of UTC; never if it was asked for.
    until_micros: Option<i64>,
    /// Where files land that the run takes in, and the stamp of what is there.
    landed: Vec<(String, Digest)>,
    #[serde(with = "crate::instant")]
    as_of: DateTime<Utc>,
    nothing_landed: Vec<(String, String)>,
    held: Option<Digest>,
    published: Utf8PathBuf,
}

/// Returns the report of a run that is known to have nothing to do.
#[must_use]
pub fn recall(root: &Utf8Path, store: &Store, question: &Question, run: &str) -> Option<RunReport> {
    let idle: Idle = store.recall(&question.name)?;
    let reference = store.reference().ok()??;
    let is_same = question.project.as_ref() == Some(&idle.project)
        && idle.program == question.program
        && idle.reference == reference
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
    report.held = idle.held;
    report.published = idle.published;
    Some(report)
}

/// Remembers that a run had nothing to do. `stamps` are those of the landing folders before they were listed.
pub(super) fn remember(suite: &Suite, job: &Job<'_>, reference: &Reference, report: &RunReport, stamps: Stamps) {
    let Some(question) = job.question else { return };
    let (Some(project), Some(landed)) = (&question.project, stamps) else { return };
    let idle = Idle {
        program: question.program.clone(),
        project: project.clone(),
        reference: reference.clone(),
        until_micros: job.as_of.is_none().then(|| next_tick(&suite.project.settings, report.as_of).timestamp_micros()),
        landed,
        as_of: report.as_of,
        nothing_landed: report.nothing_landed.clone(),
        held: report.held.clone(),
        published: report.published.clone(),
    };
    job.store.remember(&question.name, &idle);
}

/// The landing patterns of a run with the stamps of what is there; nothing where one has none.
pub(super) type Stamps = Option<Vec<(String, Digest)>>;

/// Returns the stamps of the landing folders of the datasets that a run takes in.
pub(super) fn stamps(suite: &Suite, job: &Job<'_>) -> Stamps {
    let taken_in = suite.project.sources.values().filter(|source| job.reach.ingest.contains(&source.name));
    taken_in
        .map(|source| {
            let stamp = LandingFolder::new(&suite.project.root, &source.from).stamp(&source.from).ok()??;
            Some((source.from.to_string(), stamp))
        })
        .collect()
}

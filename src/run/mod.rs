//! The conductor: takes a project from landed files to published tables, one stage after the other.
//!
//! Promises: stages run in the order of the plan, and only those that must; a run that fails or is dropped publishes
//! nothing; a run that loses the race to another plans again, up to three times. Events go out through a callback, and
//! nothing is printed here.

mod cache;
mod checks;
mod clock;
mod datasets;
mod descriptions;
mod error;
mod gate;
mod idle;
mod metrics;
mod models;
mod openlineage;
mod openlineage_http;
mod planned_run;
mod record;
mod report;
mod state;

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};

pub use cache::{Memo, recall_for_program, remember_for_program};
pub use clock::{ClockError, as_of};
pub use error::{Exit, RunError};
pub use idle::recall;
pub use metrics::{Measured, Standing, metrics};
pub use openlineage::Surroundings;
pub use openlineage_http::{Receiver, SendError};
pub use record::{Record, RunProgress, chosen};
pub use report::{DatasetReport, Event, LeftFile, RunReport, Status, TableReport};

use crate::digest::Digest;
use crate::engine::Resources;
use crate::landed::Forget;
use crate::plan::{Plan, Scope, Workspace};
use crate::publish::{Base, fork};
use crate::store::{RunMark, Store, StoreError};
use planned_run::PlannedRun;
use state::RunState;

/// How often a run plans again after another one published first.
const ATTEMPTS: usize = 3;

/// What a run needs besides the workspace.
#[derive(Debug)]
pub struct RunOptions<'a> {
    /// The warehouse.
    pub store: &'a Store,
    /// What the run is about.
    pub scope: &'a Scope,
    /// The clock, if it was given.
    pub as_of: Option<DateTime<Utc>>,
    /// Whether the clock may go back behind the published one, because that was wrong.
    pub allow_earlier: bool,
    /// What queries may use.
    pub resources: Resources,
    /// The run's name.
    pub id: String,
    /// Digest of the project.
    pub project: Digest,
    /// What was asked, if it is to be remembered that there was nothing to do.
    pub memo: Option<&'a Memo>,
    /// The landed files that the run forgets or takes back.
    pub forget: Option<&'a Forget>,
    /// What is left behind about the run.
    pub record: Option<&'a Record<'a>>,
}

/// Where a run tells what it does.
pub type Events<'a> = dyn FnMut(Event) + Send + 'a;

/// Runs what is in the scope of `options`, and publishes it.
///
/// # Errors
/// Whatever stops it; nothing was published then.
pub async fn run(
    workspace: &Arc<Workspace>,
    options: &RunOptions<'_>,
    events: &mut Events<'_>,
) -> Result<RunReport, RunError> {
    let started = Instant::now();
    tracing::info!(
        run = options.id,
        datasets = options.scope.ingest.len(),
        models = options.scope.models.len(),
        "run started"
    );
    // Gone when the run has ended in whatever way but by `kill -9`.
    let mut mark = None;
    let mut outcome = Err(RunError::Store(StoreError::Lost));
    for _ in 0..ATTEMPTS {
        outcome = attempt(workspace, options, &mut mark, events).await;
        if !matches!(outcome, Err(RunError::Store(StoreError::Lost))) {
            break;
        }
        options.store.discard_unnamed();
    }
    options.store.discard_unnamed();
    let mut report = outcome?;
    report.seconds = started.elapsed().as_secs_f64();
    if let Some(record) = options.record.filter(|_| report.status != Status::NothingNew) {
        // Before readers get to see the tables, because those about the warehouse tell of this run too.
        record.write(report.status, report.exit(), None, RunProgress::Ended(&report));
    }
    // The reference is what counts; what BI tools open is derived from it, and the next command restores it.
    options.store.refresh_published().map_err(RunError::Behind)?;
    if let Some(record) = options.record.filter(|_| report.status != Status::NothingNew) {
        record.write_lineage(report.exit(), None, RunProgress::Ended(&report));
    }
    report.seconds = started.elapsed().as_secs_f64();
    tracing::info!(
        run = options.id,
        status = ?report.status,
        snapshot = report.snapshot.as_ref().map(Digest::as_str),
        checks_passed = report.checks,
        warnings = report.warnings.len(),
        elapsed_ms = elapsed_ms(started),
        "run ended"
    );
    Ok(report)
}

/// Plans a run without running it.
///
/// # Errors
/// When the store or the landed files cannot be looked at, or the clock is refused.
pub fn plan_run(workspace: &Workspace, options: &RunOptions<'_>) -> Result<Plan, RunError> {
    let base = Base::beginning(options.store)?;
    Ok(PlannedRun::of(workspace, options, &base)?.plan)
}

/// Runs on top of what is published now.
///
/// # Errors
/// [`StoreError::Lost`] when another run published in between, and whatever stops a run.
async fn attempt(
    workspace: &Arc<Workspace>,
    options: &RunOptions<'_>,
    mark: &mut Option<RunMark>,
    events: &mut Events<'_>,
) -> Result<RunReport, RunError> {
    fork(options.store)?;
    let base = Base::read(options.store)?;
    // Before the listing: what lands in between is new to the next run.
    let stamps = options.memo.and_then(|_| idle::stamps(workspace, options));
    let planned = PlannedRun::of(workspace, options, &base)?;
    if planned.has_nothing_to_do(workspace, options, &base)? {
        return idle::end_idle(workspace, options, &base, &planned, stamps);
    }
    if mark.is_none() {
        *mark = options.record.and_then(Record::begin);
    }
    let mut run = RunState::begin(workspace, options, &base, &planned, events)?;
    run.ingest_datasets().await?;
    run.build_models().await?;
    let checked = run.run_checks().await?;
    run.report.moved = gate::moved(&run, &checked.tables).await?;
    // Asked before the commit: once the tables are current nothing can interrupt the run any more.
    run.report.headline = run.headline().await;
    run.publish(&checked)
}

fn elapsed_ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

//! What a run knows and has made so far. It moves through the stages: datasets, models, checks, publication.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::clock::leapt;
use super::descriptions::described;
use super::planned_run::PlannedRun;
use super::{Event, Events, RunError, RunOptions, RunReport, Status, report};
use crate::check::{CheckError, Checked};
use crate::digest::Digest;
use crate::engine;
use crate::landed::Build;
use crate::plan::Workspace;
use crate::publish::{Base, Published, Publisher, publish};
use crate::store::{TableEntry, TableState};
use crate::tables::{QueryContext, SnapshotSchema};
use crate::transform::{Source, TransformError};
use crate::why::records;

/// Of how many failed checks it is found out which landed records make them fail.
const FOLLOWED: usize = 5;

/// A run under way.
pub(super) struct RunState<'a> {
    pub(super) options: &'a RunOptions<'a>,
    /// What the run builds on.
    pub(super) base: &'a Base,
    /// What it saw and planned.
    pub(super) planned: &'a PlannedRun,
    /// The session of the run, which knows every table as soon as it is there.
    pub(super) context: QueryContext,
    /// States that this run made, in place of those of the base.
    pub(super) built: BTreeMap<String, TableState>,
    /// Tables that something made by this run was made from.
    pub(super) read: BTreeSet<String>,
    /// The content of every table known so far.
    pub(super) contents: BTreeMap<String, Digest>,
    /// The states of those that have partitions.
    pub(super) partitioned: BTreeMap<String, TableState>,
    pub(super) report: RunReport,
    pub(super) events: &'a mut Events<'a>,
}

impl<'a> RunState<'a> {
    /// Begins a run that has something to do.
    pub(super) fn begin(
        workspace: &Arc<Workspace>,
        options: &'a RunOptions<'a>,
        base: &'a Base,
        planned: &'a PlannedRun,
        events: &'a mut Events<'a>,
    ) -> Result<Self, RunError> {
        events(Event::Planned {
            files: planned.plan.datasets.iter().map(|step| step.files.len()).sum(),
            models: planned.plan.models.iter().filter(|step| step.build != Build::Skip).count(),
        });
        let context = QueryContext {
            store: options.store.clone(),
            session: engine::session(&options.resources).map_err(RunError::Engine)?,
            workspace: Arc::clone(workspace),
            as_of: planned.plan.as_of,
        };
        Ok(Self {
            options,
            base,
            planned,
            context,
            built: BTreeMap::new(),
            read: BTreeSet::new(),
            contents: BTreeMap::new(),
            partitioned: BTreeMap::new(),
            report: RunReport::begin(options, planned)?,
            events,
        })
    }

    /// Returns a table as the run found it.
    pub(super) fn before(&self, name: &str) -> Option<&'a TableEntry> {
        self.base.snapshot.as_ref()?.tables.get(name)
    }

    /// Takes note of a table as it is now, and lets queries read it.
    pub(super) fn register(&mut self, state: &TableState) -> Result<(), RunError> {
        self.context.register(state).map_err(RunError::engine)?;
        self.contents.insert(state.table.clone(), state.content_hash());
        if state.partition.is_some() {
            self.partitioned.insert(state.table.clone(), state.clone());
        }
        Ok(())
    }

    /// Takes note of a table as it is published, if it is.
    pub(super) fn register_published(&mut self, name: &str) -> Result<(), RunError> {
        let Some(entry) = self.before(name) else { return Ok(()) };
        let state = self.options.store.table(name, &entry.state)?;
        self.register(&state)
    }

    /// Takes note of a table whose rows stay as they are published, with its descriptions brought up to date.
    pub(super) fn keep_published(&mut self, entry: &TableEntry, name: &str) -> Result<(), RunError> {
        let (state, is_changed) = described(&self.context.workspace, self.options.store.table(name, &entry.state)?);
        self.register(&state)?;
        if is_changed {
            self.built.insert(name.to_owned(), state);
        }
        Ok(())
    }

    /// Adds to a failure which landed records led to it, as long as what this run has made is there to be read.
    pub(super) async fn with_records(&self, mut error: RunError) -> RunError {
        let mut tables = SnapshotSchema::new(self.options.store, self.base.snapshot.as_ref());
        for (name, state) in &self.built {
            tables = tables.with_state(name, state.clone());
        }
        let tables = Arc::new(tables);
        let found = async |source: &Source| records(&self.context, &tables, &self.options.resources, source).await;
        match &mut error {
            RunError::Check(CheckError { blame, .. })
            | RunError::Transform(TransformError::Query { blame: Some(blame), .. }) => {
                if let Some(source) = blame.source.take() {
                    blame.records = found(&source).await;
                }
            }
            RunError::Broken { findings, .. } => {
                let followed = findings.iter_mut().filter(|finding| finding.source.is_some()).take(FOLLOWED);
                for finding in followed {
                    if let Some(source) = finding.source.take() {
                        finding.records = found(&source).await;
                    }
                }
                findings.iter_mut().for_each(|finding| finding.source = None);
            }
            _ => {}
        }
        error
    }

    /// Returns the rows of the headline model as texts. A report without them is still a report.
    pub(super) async fn headline(&self) -> Vec<(String, String)> {
        let Some(model) = &self.context.workspace.project.settings.headline else { return Vec::new() };
        if !self.contents.contains_key(model) {
            return Vec::new();
        }
        report::headline(&self.context.session, model).await.unwrap_or_default()
    }

    /// Publishes what is checked, and says in the report what came of it.
    pub(super) fn publish(self, checked: &Checked) -> Result<RunReport, RunError> {
        let Self { options, base, planned, context, built, read, mut report, events, .. } = self;
        events(Event::Publishing);
        let by = Publisher {
            run: options.id.clone(),
            project: options.project.clone(),
            as_of: planned.plan.as_of,
            goes_back: planned.goes_back,
            read: read.into_iter().filter(|name| !built.contains_key(name)).collect(),
            moved: report.moved.iter().map(|moved| format!("{}.{}", moved.table, moved.column)).collect(),
        };
        let published = publish(options.store, &context.workspace, base, checked, &by)?;
        report.status = match &published {
            Published::Committed(_) => Status::Published,
            Published::Held(_) => Status::Held,
            Published::Unchanged => Status::NothingNew,
        };
        report.shows(options.store)?;
        if report.status != Status::NothingNew && options.as_of.is_none() {
            let leapt = || leapt(planned.plan.as_of, planned.published_at, planned.newest);
            report.clock_warning = report.clock_warning.take().or_else(leapt);
        }
        report.snapshot = match published {
            Published::Committed(id) | Published::Held(id) => Some(id),
            Published::Unchanged => None,
        };
        report.published = options.store.published();
        Ok(report)
    }
}

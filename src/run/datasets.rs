//! The first stage of a run: what has landed becomes rows of datasets.

use std::collections::BTreeMap;
use std::time::Instant;

use super::descriptions::described;
use super::state::RunState;
use super::{DatasetReport, Event, LeftFile, RunError, elapsed_ms};
use crate::clean::{Referenced, clean};
use crate::ingest::{Raw, ingest};
use crate::landed::{Build, BuildReason, DatasetStep};
use crate::project::SourceContract;
use crate::store::{DatasetManifest, TableState};

impl RunState<'_> {
    /// Ingests and cleans what the plan says, in its order: a dataset comes after those that it references.
    pub(super) async fn ingest_datasets(&mut self) -> Result<(), RunError> {
        for step in &self.planned.plan.datasets {
            self.dataset(step).await?;
        }
        Ok(())
    }

    async fn dataset(&mut self, step: &DatasetStep) -> Result<(), RunError> {
        let started = Instant::now();
        let before = self.planned.states.get(&step.name);
        let mut report = DatasetReport::begin(step);
        let is_read = step.build != Build::Skip || !step.files.is_empty();
        let ingested = if is_read { self.ingest(step, before, &mut report).await? } else { None };
        let Some(state) = ingested.or_else(|| before.cloned()) else { return Ok(()) };
        let (state, _) = described(&self.context.workspace, state);
        if before != Some(&state) {
            self.built.insert(step.name.clone(), state.clone());
        }
        report.end(&state, started.elapsed());
        tracing::info!(
            dataset = report.dataset,
            files_read = report.files_read,
            records = report.records,
            accepted = report.accepted,
            quarantined = report.quarantined,
            rows = report.rows,
            clean = report.counts.clean,
            elapsed_ms = elapsed_ms(started),
            "dataset is up to date"
        );
        (self.events)(Event::Read(report.clone()));
        self.report.datasets.push(report);
        self.register(&state)
    }

    /// Reads the files of a step and cleans their rows. Returns `None` where that changes nothing.
    async fn ingest(
        &mut self,
        step: &DatasetStep,
        before: Option<&TableState>,
        report: &mut DatasetReport,
    ) -> Result<Option<TableState>, RunError> {
        (self.events)(Event::Reading { dataset: step.name.clone(), files: step.files.len() });
        let project = &self.context.workspace.project;
        let contract = &project.sources[&step.name];
        let landed = before.and_then(|state| state.landed.as_ref());
        let mut raw = ingest(self.options.store, project, step, landed, self.options.resources.threads).await?;
        report.missing_columns = std::mem::take(&mut raw.missing_columns).into_iter().collect();
        report.outdated = std::mem::take(&mut raw.outdated);
        report.empty_files = std::mem::take(&mut raw.empty_files);
        self.report.left.extend(raw.left.iter().map(|file| LeftFile::new(&step.name, file)));
        let is_forced = matches!(step.build, Build::Required(BuildReason::Contract | BuildReason::Forgotten));
        if !is_forced && landed.is_some_and(|landed| self.is_as_before(contract, &raw, landed)) {
            return Ok(None);
        }
        let referenced = self.referenced(contract)?;
        self.read.extend(referenced.keys().cloned());
        Ok(Some(clean(self.options.store, project, raw, referenced, landed).await?.state))
    }

    /// Returns whether a dataset has the files that it had, and what it references the rows.
    fn is_as_before(&self, contract: &SourceContract, raw: &Raw, landed: &DatasetManifest) -> bool {
        landed.read_hash == raw.read_hash
            && landed.paths == raw.paths
            && raw.is_read_like(landed)
            && contract.referenced().iter().all(|name| landed.referenced.get(*name) == self.contents.get(*name))
    }

    /// Returns what the datasets that a contract references have by now; their turn has been.
    fn referenced(&self, contract: &SourceContract) -> Result<BTreeMap<String, Referenced>, RunError> {
        let of = |name: &str| match self.built.get(name).or_else(|| self.planned.states.get(name)) {
            Some(state) => Ok((name.to_owned(), Referenced::of(state))),
            None => Err(RunError::MissingInput { table: contract.name.clone(), input: name.to_owned() }),
        };
        contract.referenced().into_iter().map(of).collect()
    }
}

//! The third stage of a run: checks whose inputs or text changed are run.

use std::collections::{BTreeMap, BTreeSet};

use super::state::RunState;
use super::{Event, RunError};
use crate::check::{ChangedPartitions, CheckRun, Checked, Verdict, check};
use crate::plan::Check;
use crate::publish::preview;
use crate::store::{CheckResults, CheckStatus, RUN_RECORD};

impl RunState<'_> {
    /// Runs the checks whose inputs or text changed. Returns the tables, if no check failed that has to pass.
    pub(super) async fn run_checks(&mut self) -> Result<Checked, RunError> {
        let store = self.options.store;
        let workspace = self.context.workspace.clone();
        let snapshot = self.base.snapshot.as_ref();
        for own in preview(store, &workspace, snapshot, &self.built)? {
            self.register(&own)?;
        }
        let runs = self.check_runs()?;
        (self.events)(Event::Checking { checks: runs.len() });
        let tables = self.built.values().cloned().collect();
        let checked = match check(&self.context, tables, runs, self.options.resources.queries_at_once()).await {
            Ok(Verdict::Passed(checked)) => checked,
            Ok(Verdict::Failed { findings }) => {
                let record = store.run_file(&self.options.id, RUN_RECORD);
                return Err(self.with_records(RunError::Broken { findings, record }).await);
            }
            Err(error) => return Err(self.with_records(error.into()).await),
        };
        self.report.checks = checked.passed;
        self.report.skipped = checked.skipped;
        self.report.warnings.clone_from(&checked.warnings);
        let known: BTreeSet<&str> = workspace.checks().map(|check| check.name.as_str()).collect();
        let stands = |name: &&String| known.contains(name.as_str()) && !checked.results.contains_key(*name);
        let warned = snapshot.into_iter().flat_map(|snapshot| &snapshot.warned);
        self.report.standing_warnings = warned.filter(stands).cloned().collect();
        Ok(checked)
    }

    /// Returns the checks to run: those that ran over other rows when they ran last, or never.
    fn check_runs(&mut self) -> Result<Vec<CheckRun>, RunError> {
        let workspace = self.context.workspace.clone();
        let snapshot = self.base.snapshot.as_ref();
        let known = snapshot.map(|snapshot| self.options.store.outcomes(&snapshot.check_results)).transpose()?;
        let mut runs = Vec::new();
        for step in &self.planned.plan.checks {
            let Some(table) = workspace.tables.get(&step.name) else { continue };
            for check in &table.checks {
                let run_hash = check.run_hash(self.planned.plan.as_of, |input| self.contents.get(input).cloned());
                if snapshot.and_then(|snapshot| snapshot.checks.get(&check.name)) == Some(&run_hash) {
                    continue;
                }
                self.read.extend(check.inputs.iter().cloned());
                runs.push(CheckRun {
                    check: check.clone(),
                    run_hash,
                    missing: check.inputs.iter().find(|input| !self.contents.contains_key(*input)).cloned(),
                    published_rows: self.before(&step.name).map(|entry| entry.rows),
                    changed: self.changed_partitions(check, known.as_ref())?,
                });
            }
        }
        Ok(runs)
    }

    /// Returns what changed since a check passed with every row, if only partitions of its inputs did.
    fn changed_partitions(
        &self,
        check: &Check,
        known: Option<&CheckResults>,
    ) -> Result<Option<ChangedPartitions>, RunError> {
        let Some(snapshot) = &self.base.snapshot else { return Ok(None) };
        let has_passed = known
            .and_then(|known| known.get(&check.name))
            .is_some_and(|result| result.state == CheckStatus::Passed && result.failing_rows == 0);
        let content = |input: &str| snapshot.tables.get(input).map(|entry| entry.content_hash.clone());
        let run_hash = check.run_hash(self.planned.plan.as_of, content);
        if !has_passed || check.uses_clock || snapshot.checks.get(&check.name) != Some(&run_hash) {
            return Ok(None);
        }
        let mut found = ChangedPartitions { tables: BTreeMap::new(), keys: BTreeSet::new() };
        for input in check.inputs.iter().filter(|input| self.contents.get(*input) != content(input).as_ref()) {
            let (Some(entry), Some(now)) = (snapshot.tables.get(input), self.partitioned.get(input)) else {
                return Ok(None);
            };
            let before = self.options.store.table(input, &entry.state)?;
            if before.partition != now.partition {
                return Ok(None);
            }
            let (was, is) = (before.partition_sums(), now.partition_sums());
            found.keys.extend(was.keys().chain(is.keys()).filter(|key| was.get(key) != is.get(key)));
            found.tables.insert(input.clone(), now.clone());
        }
        Ok(if found.tables.is_empty() { None } else { Some(found) })
    }
}

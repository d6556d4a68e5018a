//! Builds a model partition by partition: those that must be rebuilt, from the same partitions of their inputs.
//!
//! Partitions are made in groups, in the order of their keys. Files hold whole partitions that follow one another, small
//! ones together, so that a table of many small days is few files; a file that holds a partition which is rebuilt is
//! written anew, with what it holds besides as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use chrono::{DateTime, Utc};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;
use serde::Serialize;
use tokio::sync::mpsc;

use super::{Message, ModelBuild, Rows, Running, TransformError, WAITING_BATCHES, send};
use crate::canonical::canonical;
use crate::digest::{Digest, Parts};
use crate::partition::{PartitionKey, Partitioner};
use crate::plan::{Partitioned, Table};
use crate::project::{DayReach, PartitionBy};
use crate::store::{
    Batches, DataFile, ParquetFile, PartitionFingerprints, RowSum, Store, StoreError, TableState, conform, read_batches,
};
use crate::tables::{Slices, are_among, in_order};

/// A file takes no further partition once it has this part of the rows that are worked on at a time.
const FILE_PART: u64 = 16;

/// How a table is built by partitions: what it is made of, and which of them are rebuilt.
#[derive(Debug)]
pub struct PartitionBuild {
    pub(super) partitioned: Partitioned,
    /// The states of the inputs that are read by partition.
    pub(super) aligned: BTreeMap<String, TableState>,
    /// Digest of all that makes every partition.
    base: Digest,
    /// The table as it was built last.
    before: Option<TableState>,
    /// How many rows of inputs are worked on at a time, about.
    group_rows: u64,
    /// The partitions that are built, if it is not to be found out which must be.
    only: Option<BTreeSet<PartitionKey>>,
}

/// What a table is built from by partitions.
#[derive(Debug)]
pub struct PartitionInputs<Content> {
    /// The logical clock.
    pub as_of: DateTime<Utc>,
    /// The states of the inputs that are read by partition.
    pub aligned: BTreeMap<String, TableState>,
    /// Returns the digest of the content of an input, by its name.
    pub content: Content,
}

/// How many partitions were built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PartitionCounts {
    /// How many were built.
    #[serde(rename = "made")]
    pub built: usize,
    /// How many there are.
    pub all: usize,
}

impl PartitionBuild {
    /// Prepares to build `table` from `inputs`, which was `before`; about so many rows of inputs are worked on at a time.
    #[must_use]
    pub fn new(
        table: &Table,
        partitioned: &Partitioned,
        inputs: PartitionInputs<impl Fn(&str) -> Option<Digest>>,
        before: Option<TableState>,
        group_rows: u64,
    ) -> Self {
        let PartitionInputs { as_of, aligned, content } = inputs;
        let mut base = Parts::of("base");
        base.add(table.definition_hash.as_str());
        base.add(format!("{} {}", canonical(&partitioned.by), canonical(&partitioned.reach)));
        if table.uses_clock {
            base.add(as_of.to_rfc3339());
        }
        for input in partitioned.whole.keys() {
            base.add(input);
            base.add(content(input).as_ref().map_or("none", Digest::as_str));
        }
        for (input, state) in &aligned {
            base.add(input);
            base.add(canonical(&state.partition));
            for column in &state.columns {
                base.add(&column.name);
                base.add(column.kind.to_string());
            }
        }
        Self { partitioned: partitioned.clone(), aligned, base: base.digest(), before, group_rows, only: None }
    }

    /// Builds some partitions and no others; the table has no others then.
    #[must_use]
    pub fn only(self, partitions: BTreeSet<PartitionKey>) -> Self {
        Self { before: None, only: Some(partitions), ..self }
    }

    /// Returns what each partition is made of besides what makes them all, of each that has rows in an input.
    fn made_of(&self) -> BTreeMap<PartitionKey, Digest> {
        let sums: Vec<_> = self.aligned.iter().map(|(input, state)| (input, state.partition_sums())).collect();
        let has_rows = sums.iter().flat_map(|(_, sums)| sums.keys().copied());
        let keys: BTreeSet<PartitionKey> = has_rows.flat_map(|key| self.days(key, DayReach::readers_of)).collect();
        keys.into_iter().map(|key| (key, self.digest(key, &sums))).collect()
    }

    /// Returns what a partition is made of that has no rows in any of these inputs.
    fn made_of_nothing(&self, key: PartitionKey) -> Digest {
        let none = BTreeMap::new();
        self.digest(key, &self.aligned.keys().map(|input| (input, none.clone())).collect::<Vec<_>>())
    }

    fn digest(&self, key: PartitionKey, inputs: &[(&String, BTreeMap<PartitionKey, RowSum>)]) -> Digest {
        let mut parts = Parts::of("partition");
        for (input, sums) in inputs {
            parts.add(input);
            for key in self.days(key, DayReach::read_by) {
                parts.add(sums.get(&key).map_or_else(|| "none".to_owned(), RowSum::to_string));
            }
        }
        parts.digest()
    }

    /// Returns the keys of the days that `reach` tells of a key: of itself alone without one, and of rows without a value.
    fn days(&self, key: PartitionKey, of: fn(DayReach, i32) -> RangeInclusive<i64>) -> Vec<PartitionKey> {
        match (self.partitioned.reach, key) {
            (Some(reach), Some(day)) => of(reach, day).filter_map(|day| i32::try_from(day).ok().map(Some)).collect(),
            _ => vec![key],
        }
    }

    /// Returns whether partitions read days of others, so that each is built by itself.
    fn reads_others(&self) -> bool {
        matches!(self.partitioned.reach, Some(DayReach::Around { .. }))
    }

    /// Returns the partitions of inputs that some partitions read.
    fn read_by(&self, keys: &BTreeSet<PartitionKey>) -> BTreeSet<PartitionKey> {
        keys.iter().flat_map(|key| self.days(*key, DayReach::read_by)).collect()
    }

    /// Returns the partitions to rebuild; nothing where all of the table must be.
    fn dirty(&self, made_of: &BTreeMap<PartitionKey, Digest>) -> Option<BTreeSet<PartitionKey>> {
        let made = self.before.as_ref()?.built_from.as_ref().filter(|made| made.base == self.base)?;
        let before: BTreeMap<PartitionKey, &Digest> = made.partitions.iter().map(|(key, made)| (*key, made)).collect();
        let keys: BTreeSet<PartitionKey> = made_of.keys().chain(before.keys()).copied().collect();
        let now = |key: &PartitionKey| made_of.get(key).cloned().unwrap_or_else(|| self.made_of_nothing(*key));
        let is_dirty = |key: &PartitionKey| before.get(key).is_none_or(|before| **before != now(key));
        Some(keys.into_iter().filter(is_dirty).collect())
    }

    /// Returns `keys` in groups, in their order: one group where building several would read the same files again, and one
    /// for each where they read other days than their own, which differ.
    fn groups(&self, keys: &BTreeSet<PartitionKey>) -> Vec<BTreeSet<PartitionKey>> {
        if self.reads_others() {
            return keys.iter().map(|key| BTreeSet::from([*key])).collect();
        }
        let mut rows: BTreeMap<PartitionKey, u64> = BTreeMap::new();
        for (key, sum) in self.files().flat_map(|file| &file.partitions) {
            *rows.entry(*key).or_default() += sum.rows;
        }
        let mut groups = vec![BTreeSet::new()];
        let mut open = 0;
        for key in keys {
            let read = self.days(*key, DayReach::read_by);
            let more = read.iter().filter_map(|day| rows.get(day)).sum::<u64>();
            if open > 0 && open + more > self.group_rows {
                groups.push(BTreeSet::new());
                open = 0;
            }
            open += more;
            if let Some(group) = groups.last_mut() {
                group.insert(*key);
            }
        }
        let read_of = |keys: &BTreeSet<PartitionKey>| {
            let keys = self.read_by(keys);
            let is_read = |file: &&DataFile| file.partitions.iter().any(|(key, _)| keys.contains(key));
            self.files().filter(is_read).map(|file| file.sum.rows).sum::<u64>()
        };
        let is_worth_it = groups.len() < 2 || groups.iter().map(read_of).sum::<u64>() * 2 <= read_of(keys) * 3;
        if is_worth_it { groups } else { vec![keys.clone()] }
    }

    fn files(&self) -> impl Iterator<Item = &DataFile> {
        self.aligned.values().flat_map(|state| &state.files)
    }
}

/// Builds the partitions of a table that are not as they would come out.
pub(super) async fn make(build: ModelBuild<'_>, partition_build: &PartitionBuild) -> Result<Rows, TransformError> {
    let rebuild = Rebuild::of(build, partition_build);
    let plans = rebuild.plans().await?;
    let rest = UnchangedRows::of(build, rebuild.by(), rebuild.touched.clone(), rebuild.keys.clone());
    let writer = Writer::new(build, rebuild.by(), rest, partition_build.group_rows)?;
    let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
    let writing = tokio::task::spawn_blocking(move || writer.write_all(receiver));
    let read = run_all(plans, &sender).await.map_err(|error| TransformError::query(build.name, error));
    if read.is_ok() {
        // A writer that fails takes no more, and says why below.
        let _ = sender.send(Message::End).await;
    }
    drop(sender);
    let written = writing.await;
    let written =
        written.map_err(|error| TransformError::query(build.name, DataFusionError::Execution(error.to_string())))?;
    let read = read?;
    let (written, old_read) = written?;
    let rows = rebuild.settle(written)?;
    Ok(Rows { read: read + old_read, ..rows })
}

/// The partitions of a table that are rebuilt, and what becomes of its files for that.
struct Rebuild<'a> {
    build: ModelBuild<'a>,
    partition_build: &'a PartitionBuild,
    /// What each partition is made of that has rows in an input.
    made_of: BTreeMap<PartitionKey, Digest>,
    /// The partitions that are rebuilt.
    keys: BTreeSet<PartitionKey>,
    /// Whether those are all.
    is_all: bool,
    /// The files that hold some of them.
    touched: Vec<DataFile>,
    /// The files that stay.
    kept: Vec<DataFile>,
}

impl<'a> Rebuild<'a> {
    fn of(build: ModelBuild<'a>, partition_build: &'a PartitionBuild) -> Self {
        let made_of = partition_build.made_of();
        let dirty = partition_build.only.clone().or_else(|| partition_build.dirty(&made_of));
        let is_all = dirty.is_none();
        let keys = dirty.unwrap_or_else(|| made_of.keys().copied().collect());
        let before = partition_build.before.as_ref().filter(|_| !is_all);
        let (touched, kept) = before
            .map(|before| before.files.clone())
            .unwrap_or_default()
            .into_iter()
            .partition(|file| file.partitions.iter().any(|(key, _)| keys.contains(key)));
        Self { build, partition_build, made_of, keys, is_all, touched, kept }
    }

    fn by(&self) -> &'a PartitionBy {
        &self.partition_build.partitioned.by
    }

    /// Returns the plans of the rows, in their order, each with its session.
    async fn plans(&self) -> Result<Vec<(SessionContext, LogicalPlan)>, TransformError> {
        let groups = self.partition_build.groups(&self.keys);
        if self.is_all && groups.len() == 1 && !self.partition_build.reads_others() {
            return Ok(vec![self.whole()?]);
        }
        let mut plans = Vec::new();
        for group in groups.iter().filter(|group| !group.is_empty()) {
            plans.push(self.restricted(group, Among::Them).await?);
        }
        if self.is_all {
            // What no input with partitions leads to comes of the others alone.
            plans.push(self.restricted(&self.keys, Among::Others).await?);
        }
        Ok(plans)
    }

    /// Returns the plan of the whole query, its rows in the order of partitions.
    fn whole(&self) -> Result<(SessionContext, LogicalPlan), TransformError> {
        let ModelBuild { context, name, table } = self.build;
        let query = |error| TransformError::query(name, error);
        let plan = context.plan(table).map_err(query)?;
        let sorted = || {
            let (key, kind) = self.by_key(&plan)?;
            let order = in_order(self.by(), &key, &kind);
            LogicalPlanBuilder::from(plan.clone()).sort([order])?.build()
        };
        Ok((context.session.clone(), sorted().map_err(query)?))
    }

    /// Returns the plan of the rows of some partitions, with the session that knows the parts of the inputs that they read.
    async fn restricted(
        &self,
        keys: &BTreeSet<PartitionKey>,
        among: Among,
    ) -> Result<(SessionContext, LogicalPlan), TransformError> {
        let ModelBuild { context, name, table } = self.build;
        let query = |error| TransformError::query(name, error);
        let read = if among == Among::Them { self.partition_build.read_by(keys) } else { BTreeSet::new() };
        let slices = Slices { states: &self.partition_build.aligned, keys: &read };
        let context = context.narrowed(&table.inputs, &table.reads, slices).await.map_err(query)?;
        let plan = context.plan(table).map_err(query)?;
        let make = || {
            let (key, kind) = self.by_key(&plan)?;
            let wanted = are_among(self.by(), &key, &kind, keys)?;
            let wanted = if among == Among::Them { wanted } else { wanted.is_not_true() };
            let plan = LogicalPlanBuilder::from(plan.clone()).filter(wanted)?;
            let is_ordered = among == Among::Them && keys.len() < 2;
            if is_ordered { plan.build() } else { plan.sort([in_order(self.by(), &key, &kind)])?.build() }
        };
        let plan = make().map_err(query)?;
        Ok((context.session, plan))
    }

    /// Returns the column by which the rows of a plan of the table are told apart, and its type in the table.
    fn by_key(&self, plan: &LogicalPlan) -> Result<(Expr, DataType), DataFusionError> {
        let schema = &self.build.table.schema;
        let at = schema.index_of(self.by().column())?;
        Ok((Expr::Column(plan.schema().columns()[at].clone()), schema.field(at).data_type().clone()))
    }

    /// Puts together what was built and what was there.
    ///
    /// # Errors
    /// When rows of partitions that were not rebuilt are not those that were written: copied, they would pass for right.
    fn settle(self, written: Vec<DataFile>) -> Result<Rows, TransformError> {
        let sums = |files: &[DataFile]| {
            let mut sums: BTreeMap<PartitionKey, RowSum> = BTreeMap::new();
            for (key, sum) in files.iter().flat_map(|file| &file.partitions) {
                sums.entry(*key).or_default().merge(*sum);
            }
            sums
        };
        let (now, was) = (sums(&written), sums(&self.touched));
        let differs = |key: &PartitionKey| !self.keys.contains(key) && now.get(key) != was.get(key);
        if !self.is_all && now.keys().chain(was.keys()).any(differs) {
            written.iter().for_each(|file| self.build.context.store.discard(file));
            return Err(self.not_as_written());
        }
        let changed = if !self.is_all && now == was {
            // Everything came out as it was, and so the files stay.
            written.iter().for_each(|file| self.build.context.store.discard(file));
            self.touched
        } else {
            written
        };
        let mut files: Vec<DataFile> = self.kept.into_iter().chain(changed).collect();
        files.sort_by_key(|file| file.partitions.first().map(|(key, _)| *key));
        let with_rows: BTreeSet<PartitionKey> =
            files.iter().flat_map(|file| &file.partitions).map(|(key, _)| *key).collect();
        let mut all: BTreeMap<PartitionKey, Digest> = self.made_of;
        for key in with_rows {
            all.entry(key).or_insert_with(|| self.partition_build.made_of_nothing(key));
        }
        let count = if self.is_all { all.len() } else { self.keys.len() };
        let partition_counts = PartitionCounts { built: count, all: all.len().max(count) };
        let built_from =
            PartitionFingerprints { base: self.partition_build.base.clone(), partitions: all.into_iter().collect() };
        Ok(Rows { files, built_from: Some(built_from), partition_counts: Some(partition_counts), read: 0 })
    }

    /// Returns which of the files is damaged, once rows that were read from them were not those that were written.
    fn not_as_written(&self) -> TransformError {
        let ModelBuild { context, name, table } = self.build;
        let inspect = |file: &DataFile| context.store.inspect(file, &table.schema, Some(self.by()));
        if let Err(damage) = self.touched.iter().try_for_each(inspect) {
            return damage.into();
        }
        let words = "rows that were kept do not add up to what they were".to_owned();
        TransformError::query(name, DataFusionError::Internal(words))
    }
}

/// Whether rows are wanted of some partitions, or of all others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Among {
    Them,
    Others,
}

/// Runs plans one after the other and hands their rows to the writer; returns how many rows of inputs they read.
async fn run_all(
    plans: Vec<(SessionContext, LogicalPlan)>,
    to: &mpsc::Sender<Message>,
) -> Result<u64, DataFusionError> {
    let mut read = 0;
    for (session, plan) in plans {
        let mut running = Running::start(&session, plan).await?;
        send(&mut running, to).await?;
        read += running.rows_read();
    }
    Ok(read)
}

/// The rows of files that are written anew, those of partitions that are rebuilt left out, in the order of files.
struct UnchangedRows {
    files: std::vec::IntoIter<DataFile>,
    open: Option<Batches>,
    store: Store,
    schema: SchemaRef,
    partitioner: Option<Partitioner>,
    without: BTreeSet<PartitionKey>,
    table: String,
    /// How many rows were read.
    read: u64,
}

impl UnchangedRows {
    fn of(build: ModelBuild<'_>, by: &PartitionBy, mut files: Vec<DataFile>, without: BTreeSet<PartitionKey>) -> Self {
        files.retain(|file| file.partitions.iter().any(|(key, _)| !without.contains(key)));
        files.sort_by_key(|file| file.partitions.first().map(|(key, _)| *key));
        Self {
            files: files.into_iter(),
            open: None,
            store: build.context.store.clone(),
            schema: build.table.schema.clone(),
            partitioner: Partitioner::new(by, &build.table.schema),
            without,
            table: build.name.to_owned(),
            read: 0,
        }
    }

    /// Returns the next rows, all of files that are written anew.
    fn next(&mut self) -> Option<Result<RecordBatch, StoreError>> {
        loop {
            if let Some(batch) = self.open.as_mut().and_then(Iterator::next) {
                match batch.and_then(|batch| self.kept(&batch)) {
                    Ok(kept) if kept.num_rows() == 0 => continue,
                    kept => return Some(kept),
                }
            }
            let file = self.files.next()?;
            let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
            match read_batches(&self.store, &file, &names) {
                Ok(batches) => self.open = Some(batches),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn kept(&mut self, batch: &RecordBatch) -> Result<RecordBatch, StoreError> {
        let failed = |source| StoreError::Rows { table: self.table.clone(), source };
        self.read += batch.num_rows() as u64;
        let batch = conform(batch, &self.schema).map_err(failed)?;
        let Some(partitioner) = &mut self.partitioner else { return Ok(batch) };
        let keys = partitioner.keys(&batch).map_err(failed)?;
        let kept: BooleanArray = keys.iter().map(|key| Some(!self.without.contains(&key))).collect();
        filter_record_batch(&batch, &kept).map_err(failed)
    }
}

/// Writes rows that come in the order of partitions into files of whole partitions.
struct Writer {
    store: Store,
    table: String,
    schema: SchemaRef,
    by: PartitionBy,
    partitioner: Partitioner,
    rest: UnchangedRows,
    /// Rows of `rest` that wait for those before them, with the key of the first.
    waiting: Option<(PartitionKey, RecordBatch)>,
    /// The file that is being written, and how many rows it has.
    open: Option<(ParquetFile, u64)>,
    /// The partition of the last row.
    last: Option<PartitionKey>,
    done: Vec<DataFile>,
    /// With so many rows a file takes no further partition.
    file_rows: u64,
}

impl Writer {
    fn new(
        build: ModelBuild<'_>,
        by: &PartitionBy,
        rest: UnchangedRows,
        group_rows: u64,
    ) -> Result<Self, TransformError> {
        let schema = build.table.schema.clone();
        let Some(partitioner) = Partitioner::new(by, &schema) else {
            let words = format!("`{}` cannot be told apart by `{}`", build.name, by.column());
            return Err(TransformError::query(build.name, DataFusionError::Internal(words)));
        };
        Ok(Self {
            store: build.context.store.clone(),
            table: build.name.to_owned(),
            schema,
            by: by.clone(),
            partitioner,
            rest,
            waiting: None,
            open: None,
            last: None,
            done: Vec::new(),
            file_rows: (group_rows / FILE_PART).max(1),
        })
    }

    /// Writes everything; returns the files, and how many rows of old ones were read.
    fn write_all(mut self, mut from: mpsc::Receiver<Message>) -> Result<(Vec<DataFile>, u64), StoreError> {
        let written = self.write_from(&mut from);
        if matches!(written, Ok(true)) {
            return Ok((self.done, self.rest.read));
        }
        self.done.drain(..).for_each(|file| self.store.discard(&file));
        if let Some((file, _)) = self.open.take() {
            file.discard();
        }
        written.map(|_| (Vec::new(), 0))
    }

    /// Writes what comes; returns whether that came to its end.
    fn write_from(&mut self, from: &mut mpsc::Receiver<Message>) -> Result<bool, StoreError> {
        loop {
            match from.blocking_recv() {
                None => return Ok(false),
                Some(Message::End) => break,
                Some(Message::Rows(batch)) => {
                    let batch = conform(&batch, &self.schema).map_err(|source| self.failed(source))?;
                    self.write(&batch)?;
                }
            }
        }
        while let Some((_, batch)) = self.take_rest(None)? {
            self.write_run(&batch)?;
        }
        self.close().map(|()| true)
    }

    /// Writes new rows, and before each partition of them what is left of old files before it.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let mut start = 0;
        for (key, at) in self.runs(batch)? {
            let is_full = self.is_full(key, at - start);
            let old = self.take_rest(Some(key))?;
            if is_full || old.is_some() {
                self.append(&batch.slice(start, at - start))?;
                start = at;
            }
            if is_full {
                self.close()?;
            }
            let mut next = old;
            while let Some((_, old)) = next {
                self.write_run(&old)?;
                next = self.take_rest(Some(key))?;
            }
            self.last = Some(key);
        }
        self.append(&batch.slice(start, batch.num_rows() - start))
    }

    /// Writes rows of one partition.
    fn write_run(&mut self, rows: &RecordBatch) -> Result<(), StoreError> {
        let key = self.runs(&rows.slice(0, 1))?.first().map(|(key, _)| *key);
        if key.is_some_and(|key| self.is_full(key, 0)) {
            self.close()?;
        }
        self.last = key;
        self.append(rows)
    }

    /// Returns the next rows of one partition that are left of old files, if they come before `before` or that is nothing.
    fn take_rest(&mut self, before: Option<PartitionKey>) -> Result<Option<(PartitionKey, RecordBatch)>, StoreError> {
        let batch = match self.waiting.take() {
            Some((key, batch)) if before.is_none_or(|before| key < before) => batch,
            Some(waiting) => {
                self.waiting = Some(waiting);
                return Ok(None);
            }
            None => {
                let Some(batch) = self.rest.next() else { return Ok(None) };
                let batch = batch?;
                if let Some((key, _)) = self.runs(&batch.slice(0, 1))?.first() {
                    self.waiting = Some((*key, batch));
                }
                return self.take_rest(before);
            }
        };
        let runs = self.runs(&batch)?;
        let length = runs.get(1).map_or(batch.num_rows(), |(_, at)| *at);
        if let Some((key, at)) = runs.get(1) {
            self.waiting = Some((*key, batch.slice(*at, batch.num_rows() - at)));
        }
        Ok(runs.first().map(|(key, _)| (*key, batch.slice(0, length))))
    }

    /// Returns the partition of each row that is in another than the row before it, with the row's place.
    fn runs(&mut self, batch: &RecordBatch) -> Result<Vec<(PartitionKey, usize)>, StoreError> {
        let keys = self.partitioner.keys(batch).map_err(|source| self.failed(source))?;
        let mut runs: Vec<(PartitionKey, usize)> = Vec::new();
        for (row, key) in keys.iter().enumerate() {
            if runs.last().is_none_or(|(last, _)| *last != key) {
                runs.push((key, row));
            }
        }
        Ok(runs)
    }

    /// Returns whether the file takes no rows of partition `key` after `more` rows.
    fn is_full(&self, key: PartitionKey, more: usize) -> bool {
        let written = self.open.as_ref().map_or(0, |(_, written)| *written);
        self.last.is_some_and(|last| last != key) && written + more as u64 >= self.file_rows
    }

    fn append(&mut self, rows: &RecordBatch) -> Result<(), StoreError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let (file, written) = match &mut self.open {
            Some(open) => open,
            none => {
                let file = self.store.create_parquet(&self.table, &self.schema, self.schema.fields().len())?;
                none.insert((file.by(Partitioner::new(&self.by, &self.schema)), 0))
            }
        };
        *written += rows.num_rows() as u64;
        file.write(rows)
    }

    fn close(&mut self) -> Result<(), StoreError> {
        if let Some((file, _)) = self.open.take() {
            self.done.push(file.finish()?);
        }
        Ok(())
    }

    fn failed(&self, source: ArrowError) -> StoreError {
        StoreError::Rows { table: self.table.clone(), source }
    }
}

//! A project whose SQL has been read and bound: the graph of its tables, with their columns and types.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::StringArray;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use super::bind;
use super::check::{self, Check};
use super::depth::{MOST_TABLES, STACK_BYTES, too_many_tables};
use super::graph;
use super::metric::{self, MetricAbout, MetricTables};
use super::partition::{Partitioned, Proof, Proofs};
use super::query::Query;
use super::remembered::{Remembered, seen};
use super::select;
use super::sql_functions::{self, SqlFunctions};
use super::trial::{CompileCache, Trial, with_views};
use crate::canonical::canonical;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::digest::{Digest, Parts};
use crate::engine;
use crate::functions;
use crate::project::{
    ColumnType, Layer, Located, Metric, Model, PartitionBy, Project, Rules, Settings, SourceContract, Variable,
};
use crate::system_tables::SystemTable;

/// The variable that holds the logical clock.
pub const CLOCK: &str = "as_of";

/// A project that makes sense from end to end.
///
/// - `order` lists every model after all that it reads, and `datasets` every dataset after all that it references.
/// - Every name that a model reads is in `tables`, a source of the project, or one of opsmart's own `dq_` tables.
#[derive(Debug)]
pub struct Workspace {
    /// The project as loaded.
    pub project: Project,
    /// Every landed dataset, each after what it references.
    pub datasets: Vec<String>,
    /// Every model, checks included, each after what it reads.
    pub order: Vec<String>,
    /// The functions that the project writes in SQL.
    pub functions: SqlFunctions,
    /// The tables that metrics are compiled to.
    metrics: MetricTables,
    /// Every model by name.
    pub tables: BTreeMap<String, Table>,
    /// What the SQL of models can hardly mean, sorted by file and place.
    pub warnings: Diagnostics,
    /// What is known of the partitions of datasets, tables and views.
    proofs: Proofs,
}

/// One model, bound.
#[derive(Debug)]
pub struct Table {
    /// What is made of its rows.
    pub kind: Kind,
    /// Its SQL, parsed.
    pub query: Query,
    /// Its columns; of a stored table, as they are stored.
    pub schema: SchemaRef,
    /// What it reads directly.
    pub reads: BTreeSet<String>,
    /// The datasets and stored tables that it reads, directly or through views.
    pub inputs: BTreeSet<String>,
    /// Digest of all that shapes its rows besides its inputs and the clock: its SQL with views expanded, the variables
    /// that it uses, the versions of engine and functions.
    pub definition_hash: Digest,
    /// Whether its SQL, or that of a view it reads, uses `$as_of`.
    pub uses_clock: bool,
    /// How it is built by partitions, if it has some.
    pub partitioned: Option<Partitioned>,
    /// What its rows must keep to.
    pub checks: Vec<Check>,
}

/// What the binder says of one model.
struct Bound {
    kind: Kind,
    schema: SchemaRef,
    /// What is proved of its partitions, where anybody asks.
    proof: Option<Proof>,
    /// What earlier programs made other rows of, of the same text.
    mended: Vec<String>,
    /// What its SQL can hardly mean.
    warnings: Diagnostics,
    /// Its query over stored tables, where it was tried.
    whole: Option<LogicalPlan>,
    /// Digest of all that its binding can see, where that is remembered.
    key: Option<Digest>,
}

/// What is made of a model's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: the SQL stands in wherever the name is read.
    View,
    /// They are stored, for other models only.
    Stored,
    /// They are stored and published.
    Published,
    /// They are what is wrong.
    Check,
}

impl Kind {
    /// Returns whether rows are stored.
    #[must_use]
    pub fn is_stored(self) -> bool {
        matches!(self, Self::Stored | Self::Published)
    }
}

impl Workspace {
    /// Reads and binds all SQL of `project`.
    ///
    /// # Errors
    /// Every mistake, sorted by file and place. A model that reads a broken one is not judged.
    pub fn compile(project: Project) -> Result<Self, Diagnostics> {
        Self::make(project, None)
    }

    /// Reads all SQL of `project`, and binds what is not among [`CompileCache::recalled`].
    ///
    /// # Errors
    /// As [`Workspace::compile`].
    pub fn compile_cached(project: Project, recalled: &CompileCache) -> Result<Self, Diagnostics> {
        Self::make(project, Some(recalled))
    }

    /// Reads and binds all SQL of `project`, and tries each query without data, so that none fails in a run for what is
    /// written in it.
    ///
    /// # Errors
    /// As [`Workspace::compile`], and what fails whatever the data.
    pub fn compile_and_try(project: Project, tried: &CompileCache) -> Result<Self, Diagnostics> {
        Self::make(project, Some(tried))
    }

    fn make(mut project: Project, memory: Option<&CompileCache>) -> Result<Self, Diagnostics> {
        let tried = memory.filter(|memory| memory.tries());
        let mut mistakes = Diagnostics::default();
        let datasets = in_order_of_references(&project, &mut mistakes);
        let session = sql_functions::binding_session(&project)?;
        let functions = SqlFunctions::compile(&project, &session.state(), tried, &mut mistakes);
        let metrics = metric::add_tables(&mut project, &session.state(), &mut mistakes);
        let mut queries = BTreeMap::new();
        let models: Vec<&Model> = project.models.values().collect();
        let parsed = in_parallel(&models, |model| Query::parse_with(&model.file, &functions));
        for (model, parsed) in models.into_iter().zip(parsed) {
            match parsed {
                // What is wrong with the function has been said.
                Ok(query) if functions.are_broken_in(&query) => {}
                Ok(query) => {
                    check_names(&project, model, &query, &mut mistakes);
                    queries.insert(model.name.clone(), query);
                }
                Err(mistake) => mistakes.push(mistake),
            }
        }
        let reads: BTreeMap<String, BTreeSet<String>> = queries
            .iter()
            .map(|(name, query)| (name.clone(), query.reads().iter().map(|read| read.text.clone()).collect()))
            .collect();
        let waves = match graph::waves(&reads) {
            Ok(waves) => waves,
            Err(circles) => {
                let place = |name: &str, next: &str| {
                    let file = &project.models[name].file;
                    let read = queries[name].reads().iter().find(|read| read.text == next);
                    read.map_or_else(|| file.whole(), |read| file.at(read.bytes.clone()))
                };
                let circle = |circle: &Vec<String>| graph::cycle("models", "read", circle, place);
                circles.iter().map(circle).for_each(|mistake| mistakes.push(mistake));
                return Err(sorted(mistakes));
            }
        };
        let workspace = Self {
            project,
            datasets,
            order: waves.concat(),
            warnings: functions.warnings.clone(),
            functions,
            metrics,
            tables: BTreeMap::new(),
            proofs: Proofs::default(),
        };
        let binding = Binding::of(workspace, &session, &reads, memory, mistakes);
        let (mut workspace, mut mistakes) = binding.run(queries, &waves);
        select::check_jobs(&workspace, &mut mistakes);
        workspace.warnings.sort();
        mistakes.into_result(workspace)
    }

    /// Returns what is known of the datasets that have partitions.
    fn partitions(&self) -> Proofs {
        let mut proofs = Proofs::default();
        for source in self.project.sources.values() {
            if let Some(by) = &source.partition {
                proofs.add(&source.name, by, &source_schema(source));
            }
        }
        proofs
    }

    fn has_partitions(&self) -> bool {
        self.project.contracts.values().any(|contract| contract.partition.is_some())
    }

    fn partition_of(&self, model: &str) -> Option<&PartitionBy> {
        self.project.contracts.get(model)?.partition.as_ref()
    }

    fn kind_of(&self, model: &Model) -> Kind {
        let is_stored = self.project.contracts.get(&model.name).is_some_and(|contract| contract.stored);
        match model.layer {
            Layer::Checks => Kind::Check,
            layer if layer.is_published() => Kind::Published,
            _ if is_stored => Kind::Stored,
            _ => Kind::View,
        }
    }

    /// Returns of each metric, by its id, what it is compiled to.
    #[must_use]
    pub fn metrics(&self) -> &BTreeMap<String, MetricAbout> {
        &self.metrics.about
    }

    /// Returns all checks, by table.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.tables.values().flat_map(|table| &table.checks)
    }

    /// Returns the place of a column of a plan that tells of each row from which partition of each of `inputs` it is made;
    /// nothing where none does, or where they are told apart in different ways.
    #[must_use]
    pub fn leads(&self, plan: &LogicalPlan, inputs: &[&str]) -> Option<usize> {
        self.proofs.leads(plan, self.project.settings.reporting_zone, inputs)
    }

    /// Returns whether a table of this name is stored: a dataset, a stored model, or one of opsmart's own.
    #[must_use]
    pub fn has_stored(&self, name: &str) -> bool {
        self.project.sources.contains_key(name)
            || self.tables.get(name).is_some_and(|table| table.kind.is_stored())
            || SystemTable::ALL.iter().any(|own| own.name() == name)
    }

    /// Returns the edges from each model to what its SQL reads, and from each dataset to what it references.
    #[must_use]
    pub fn reads(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut reads = self.sql_reads();
        reads.extend(references(&self.project));
        reads
    }

    /// Returns the edges from each dataset or model to what reads or references it.
    #[must_use]
    pub fn readers(&self) -> BTreeMap<String, BTreeSet<String>> {
        turned(&self.reads())
    }

    /// Returns every dataset and model that `names` read or reference, directly or not, the names themselves included.
    #[must_use]
    pub fn upstream(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        with_reachable(names, &self.reads())
    }

    /// Returns every dataset and model that reads or references one of `names`, directly or not, the names themselves
    /// included.
    #[must_use]
    pub fn downstream(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        with_reachable(names, &self.readers())
    }

    /// Returns every dataset and model that the SQL of `names` reads, directly or not, the names themselves included.
    #[must_use]
    pub fn sql_upstream(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        with_reachable(names, &self.sql_reads())
    }

    /// Returns every model whose SQL reads one of `names`, directly or not, the names themselves included.
    #[must_use]
    pub fn sql_downstream(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        with_reachable(names, &turned(&self.sql_reads()))
    }

    fn sql_reads(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.tables.iter().map(|(name, table)| (name.clone(), table.reads.clone())).collect()
    }
}

/// The binding of a project's models, wave by wave: the workspace as it comes to be, and what is known of its models.
struct Binding<'a> {
    workspace: Workspace,
    mistakes: Diagnostics,
    session: &'a SessionContext,
    /// A copy of the session's state; its catalogue is shared, so tables registered later are seen through it.
    state: SessionState,
    /// What models bound to before.
    memory: Option<&'a CompileCache>,
    /// What has been tried, where queries are.
    tried: Option<&'a CompileCache>,
    /// What each model reads.
    reads: &'a BTreeMap<String, BTreeSet<String>>,
    /// The names that models read.
    read: BTreeSet<&'a str>,
    /// The tables that a model may read by now.
    usable: BTreeSet<String>,
    /// How many tables each view reads.
    tables_of_views: BTreeMap<String, usize>,
    /// The queries of views over stored tables, of those that were tried.
    views: BTreeMap<String, Arc<LogicalPlan>>,
    /// What a model that reads a table sees of it, where that is remembered.
    seen: BTreeMap<String, Digest>,
    /// Views that 0.1.0 did not follow: tables by partitions that read them did not notice when their inputs changed.
    unfollowed: BTreeSet<String>,
}

impl<'a> Binding<'a> {
    fn of(
        workspace: Workspace,
        session: &'a SessionContext,
        reads: &'a BTreeMap<String, BTreeSet<String>>,
        memory: Option<&'a CompileCache>,
        mistakes: Diagnostics,
    ) -> Self {
        Self {
            workspace,
            mistakes,
            session,
            state: session.state(),
            memory,
            tried: memory.filter(|memory| memory.tries()),
            reads,
            read: reads.values().flatten().map(String::as_str).collect(),
            usable: BTreeSet::new(),
            tables_of_views: BTreeMap::new(),
            views: BTreeMap::new(),
            seen: BTreeMap::new(),
            unfollowed: BTreeSet::new(),
        }
    }

    /// Binds all models, and then their checks.
    fn run(mut self, mut queries: BTreeMap<String, Query>, waves: &[Vec<String>]) -> (Workspace, Diagnostics) {
        if self.register_inputs().is_ok() {
            waves.iter().for_each(|wave| self.bind_wave(wave, &mut queries));
            self.make_checks();
        }
        (self.workspace, self.mistakes)
    }

    /// Makes the landed datasets and opsmart's own tables known to the session.
    fn register_inputs(&mut self) -> Result<(), DataFusionError> {
        let sources = self.workspace.project.sources.values();
        let mut known: Vec<(String, SchemaRef)> =
            sources.map(|source| (source.name.clone(), source_schema(source))).collect();
        known.extend(SystemTable::ALL.iter().map(|own| (own.name().to_owned(), own.schema())));
        self.workspace.proofs = self.workspace.partitions();
        for (name, schema) in known {
            bind::register_empty(self.session, &name, &schema)?;
            self.seen.insert(name.clone(), seen(&schema, self.workspace.proofs.of(&name)));
            self.usable.insert(name);
        }
        Ok(())
    }

    /// Binds models that read none of each other.
    fn bind_wave(&mut self, wave: &[String], queries: &mut BTreeMap<String, Query>) {
        let mut candidates = Vec::new();
        for name in wave {
            if let Some(query) = queries.remove(name)
                && self.can_bind(name, &query)
            {
                candidates.push((name, query));
            }
        }
        let nothing_followed = self.workspace.proofs.is_empty();
        let bound =
            in_parallel(&candidates, |(name, query)| self.bind_one(&self.workspace.project.models[*name], query));
        let mut tables = Vec::new();
        for ((name, query), outcome) in candidates.into_iter().zip(bound) {
            match outcome {
                Ok(bound) => tables.push((name, query, bound)),
                Err(found) => self.mistakes.extend(found),
            }
        }
        for (name, query, bound) in tables {
            self.add(name, query, bound, nothing_followed);
        }
    }

    /// Returns whether all that a query reads and uses is known; reports a query that reads too many tables.
    fn can_bind(&mut self, name: &str, query: &Query) -> bool {
        let Workspace { project, .. } = &self.workspace;
        let model = &project.models[name];
        let tables_of = |name: &str| self.tables_of_views.get(name).copied().unwrap_or(1);
        let tables = query.tables_read(tables_of);
        if tables > MOST_TABLES {
            let most = query.reads().iter().max_by_key(|read| tables_of(&read.text));
            let at = most.map_or(0..0, |read| read.bytes.clone());
            self.mistakes.push(too_many_tables(&model.file, at));
            return false;
        }
        if self.workspace.kind_of(model) == Kind::View {
            self.tables_of_views.insert(name.to_owned(), tables);
        }
        let is_known = |variable: &Located| variable_value(&project.settings, &variable.text).is_some();
        self.reads[name].iter().all(|input| self.usable.contains(input)) && query.variables().iter().all(is_known)
    }

    /// Binds one SELECT, all of whose inputs are known to the session, or recalls what it bound to before.
    fn bind_one(&self, model: &Model, query: &Query) -> Result<Bound, Diagnostics> {
        let Workspace { project, proofs, .. } = &self.workspace;
        let kind = self.workspace.kind_of(model);
        let wants_proof = match kind {
            // A view that is not followed would hide what it reads from the tables that are built by partitions.
            Kind::View => !proofs.is_empty() || self.workspace.has_partitions(),
            Kind::Stored | Kind::Published => self.workspace.partition_of(&model.name).is_some(),
            Kind::Check => false,
        };
        let key = self.memory.map(|_| self.key(model, query, wants_proof));
        if let (Some(memory), Some(key)) = (self.memory, &key)
            && let Some(known) = memory.bound_before(key)
            && let Some(schema) = known.schema()
        {
            let Remembered { proof, mended, .. } = known.clone();
            let warnings = Diagnostics::default();
            return Ok(Bound { kind, schema, proof, mended, warnings, whole: None, key: Some(key.clone()) });
        }
        self.probe_metrics(model)?;
        let bind::Planned { plan, mended, warnings } =
            bind::bind(&self.state, &model.file, query, |name| self.value(name))?;
        let schema = if kind.is_stored() {
            bind::stored_schema(model, query, plan.schema().as_arrow())?
        } else {
            Arc::clone(plan.schema().inner())
        };
        let proof = wants_proof.then(|| proofs.prove(&plan, project.settings.reporting_zone));
        let whole = self.tried.map(|tried| self.try_one(tried, model, query, &plan)).transpose()?;
        if let (Some(memory), Some(key)) = (self.memory, &key)
            && warnings.is_empty()
            && let Some(remembered) = Remembered::of(&schema, proof.as_ref(), &mended, self.tried.is_some())
        {
            memory.bound(key, remembered);
        }
        Ok(Bound { kind, schema, proof, mended, warnings, whole, key })
    }

    fn value(&self, variable: &str) -> Option<Variable> {
        variable_value(&self.workspace.project.settings, variable)
    }

    /// Returns the digest of all that the binding of a model can see.
    fn key(&self, model: &Model, query: &Query, wants_proof: bool) -> Digest {
        let Workspace { project, metrics, .. } = &self.workspace;
        let kind = self.workspace.kind_of(model);
        let mut parts = Parts::of("binding");
        parts.add([
            u8::from(kind.is_stored()),
            u8::from(kind == Kind::View),
            u8::from(self.read.contains(model.name.as_str())),
            u8::from(wants_proof),
        ]);
        parts.add(query.canonical());
        parts.add(project.settings.reporting_zone.name());
        for variable in query.variables() {
            parts.add(&variable.text);
            parts.add(self.value(&variable.text).map_or_else(String::new, |value| canonical(&value)));
        }
        for input in &self.reads[&model.name] {
            parts.add(input);
            parts.add(self.seen.get(input).map_or("", Digest::as_str));
        }
        // The expressions of metrics are bound where they are written.
        let feeds = (model.name == metric::COUNTED).then(|| project.metrics.keys());
        let counted = metrics.counted.get(&model.name).into_iter().flatten();
        let declared = counted.chain(feeds.into_iter().flatten()).filter_map(|id| project.metrics.get(id));
        let files: BTreeMap<_, _> = declared.map(|metric| (&metric.file.path, &metric.file.text)).collect();
        files.values().for_each(|text| parts.add(text.as_bytes()));
        parts.digest()
    }

    /// Returns the query of a view over stored tables; nothing of a table that is stored.
    ///
    /// # Errors
    /// What the planner says.
    fn view(&self, name: &str) -> Result<Option<Arc<LogicalPlan>>, DataFusionError> {
        if let Some(whole) = self.views.get(name) {
            return Ok(Some(Arc::clone(whole)));
        }
        match self.workspace.tables.get(name) {
            Some(table) if table.kind == Kind::View => {
                let plan = bind::plan_statement(&self.state, table.query.statement(|name| self.value(name)))?;
                with_views(&plan, |name| self.view(name)).map(|whole| Some(Arc::new(whole)))
            }
            _ => Ok(None),
        }
    }

    /// Binds the expressions of the metrics that a table is counted for, each where it is written.
    fn probe_metrics(&self, model: &Model) -> Result<(), Diagnostics> {
        let Workspace { project, functions, metrics, tables, .. } = &self.workspace;
        let mut mistakes = Diagnostics::default();
        let ids = metrics.counted.get(&model.name).into_iter().flatten();
        let counted: Vec<&Metric> = ids.filter_map(|id| project.metrics.get(id)).collect();
        // All of them are counted from one table.
        if let Some(first) = counted.first()
            && let Some(rows) = &first.rows
            && let Some(table) = tables.get(&rows.from.text)
        {
            let scope = check::Scope {
                state: &self.state,
                tried: self.tried,
                settings: &project.settings,
                functions,
                file: &first.file,
                table: &rows.from.text,
            };
            metric::probe(&counted, &scope, &table.schema, &mut mistakes);
        }
        for metric in project.metrics.values().filter(|_| model.name == metric::COUNTED) {
            if let Some(feed) = metric.rows.as_ref().and_then(|rows| rows.feed.as_ref())
                && let Some(table) = tables.get(&feed.text)
            {
                metric::probe_feed(metric, feed, &table.schema, &mut mistakes);
            }
        }
        mistakes.into_result(())
    }

    /// Tries a bound query, and returns it with the queries of views in it.
    fn try_one(
        &self,
        tried: &CompileCache,
        model: &Model,
        query: &Query,
        plan: &LogicalPlan,
    ) -> Result<LogicalPlan, Diagnostics> {
        let Self { workspace, state, .. } = self;
        let whole = with_views(plan, |name| self.view(name)).unwrap_or_else(|_| plan.clone());
        let trial = Trial { session: state, file: &model.file, query, tried };
        if workspace.kind_of(model) == Kind::View && self.read.contains(model.name.as_str()) {
            // It is planned where it is read.
            trial.values(plan).into_result(())?;
            return Ok(whole);
        }
        if tried.has(query.canonical(), &whole) {
            return Ok(whole);
        }
        let mistakes = trial.run(plan, &whole);
        if mistakes.is_empty() {
            return Ok(whole);
        }
        // What cannot be planned may stand in a view.
        let upstream = workspace.sql_upstream(&query.reads().iter().map(|read| read.text.clone()).collect());
        for name in upstream {
            let (Ok(Some(view)), Some(model)) = (self.view(&name), workspace.project.models.get(&name)) else {
                continue;
            };
            let trial = Trial { session: state, file: &model.file, query: &workspace.tables[&name].query, tried };
            trial.run(&view, &view).into_result(())?;
        }
        Err(mistakes)
    }

    /// Adds a model that was bound, for those of later waves to read; `nothing_followed` says that before its wave no
    /// table had partitions.
    fn add(&mut self, name: &str, query: Query, bound: Bound, nothing_followed: bool) {
        let Bound { kind, schema, proof, whole, mended, warnings, key } = bound;
        self.workspace.warnings.extend(warnings);
        if let (Kind::View, Some(whole)) = (kind, whole) {
            self.views.insert(name.to_owned(), Arc::new(whole));
        }
        let plain = Arc::new(Schema::new(schema.fields().iter().map(|f| Field::clone(f)).collect::<Vec<_>>()));
        if kind != Kind::Check && bind::register_empty(self.session, name, &plain).is_err() {
            return;
        }
        self.usable.insert(name.to_owned());
        let mut table = self.describe(name, kind, query, schema);
        for what in mended {
            let mut meaning = Parts::of(&what);
            meaning.add(table.definition_hash.as_str());
            table.definition_hash = meaning.digest();
        }
        let reads_unfollowed = table.reads.iter().any(|read| self.unfollowed.contains(read));
        if kind == Kind::View && (nothing_followed || reads_unfollowed) {
            self.unfollowed.insert(name.to_owned());
        }
        if let Some(proof) = proof {
            if kind != Kind::View && reads_unfollowed {
                // What was built then may be out of date, so it is rebuilt.
                let mut meaning = Parts::of("followed");
                meaning.add(table.definition_hash.as_str());
                table.definition_hash = meaning.digest();
            }
            table.partitioned = self.partition(name, &table, proof);
            if let Some(Partitioned { reach: Some(_), aligned, .. }) = &table.partitioned {
                // Its rows are made of days of these, and of all of the others.
                let mut meaning = Parts::of("reach");
                meaning.add(table.definition_hash.as_str());
                aligned.iter().for_each(|input| meaning.add(input));
                table.definition_hash = meaning.digest();
            }
        }
        if let Some(key) = key {
            // A view stands for its query; of a stored table only its columns are seen.
            let is_view = kind == Kind::View;
            let seen = if is_view { key } else { seen(&table.schema, self.workspace.proofs.of(name)) };
            self.seen.insert(name.to_owned(), seen);
        }
        self.workspace.tables.insert(name.to_owned(), table);
    }

    /// Returns how a table is built by partitions, and lets others build on it.
    fn partition(&mut self, name: &str, table: &Table, proof: Proof) -> Option<Partitioned> {
        if table.kind == Kind::View {
            self.workspace.proofs.add_view(name, proof);
            return None;
        }
        let contract = self.workspace.project.contracts.get(name)?;
        let by = contract.partition.as_ref()?;
        let at = contract.file.at(contract.places.partition.clone());
        let Ok(field) = table.schema.field_with_name(by.column()) else {
            let names = table.schema.fields().iter().map(|field| field.name().as_str());
            let message = format!("`partition` names the column `{}`, which `{name}` does not have", by.column());
            let help = did_you_mean(by.column(), names);
            self.mistakes.push(Diagnostic::new(Code::ContractColumn, at, message).maybe_help(help));
            return None;
        };
        if let Some((message, help)) = ColumnType::from_arrow(field.data_type()).and_then(|kind| by.mistake(kind)) {
            self.mistakes.push(Diagnostic::new(Code::RuleType, at, message).help(help));
            return None;
        }
        if !proof.inputs.is_subset(&table.inputs) {
            // It reads something whose changes nobody would notice, so it is made as a whole.
            return None;
        }
        let partitioned = self.workspace.proofs.partitioned((by, contract.reach), &table.schema, &proof)?;
        self.workspace.proofs.add(name, by, &table.schema);
        Some(partitioned)
    }

    fn describe(&self, name: &str, kind: Kind, query: Query, schema: SchemaRef) -> Table {
        let (workspace, reads) = (&self.workspace, &self.reads[name]);
        let mut meaning = Parts::of("model");
        meaning.add(engine::QUERY_VERSION);
        meaning.add(functions::VERSION.to_le_bytes());
        meaning.add(name);
        meaning.add(query.canonical());
        let called: BTreeSet<&str> = query.functions().iter().map(|call| call.name.text.as_str()).collect();
        for (function, version) in called.iter().filter_map(|name| Some((name, functions::version(name)?))) {
            meaning.add(format!("{function} {version}"));
        }
        if let Some(by) = workspace.partition_of(name) {
            // Its rows are the same without; its files are not.
            meaning.add(canonical(by));
            let reach = workspace.project.contracts.get(name).and_then(|contract| contract.reach);
            reach.iter().for_each(|reach| meaning.add(canonical(reach)));
        }
        let mut uses_clock = false;
        let used: BTreeSet<&str> = query.variables().iter().map(|variable| variable.text.as_str()).collect();
        for variable in used {
            if variable == CLOCK {
                uses_clock = true;
            } else if let Some(value) = variable_value(&workspace.project.settings, variable) {
                meaning.add(variable);
                meaning.add(canonical(&value));
            }
        }
        let mut inputs = BTreeSet::new();
        for read in reads {
            match workspace.tables.get(read) {
                Some(view) if view.kind == Kind::View => {
                    meaning.add(read);
                    meaning.add(view.definition_hash.as_str());
                    uses_clock |= view.uses_clock;
                    inputs.extend(view.inputs.iter().cloned());
                }
                _ => {
                    inputs.insert(read.clone());
                }
            }
        }
        Table {
            kind,
            query,
            schema,
            reads: reads.clone(),
            inputs,
            definition_hash: meaning.digest(),
            uses_clock,
            partitioned: None,
            checks: Vec::new(),
        }
    }

    /// Makes the checks of every table, now that all tables that they may lead to are known.
    fn make_checks(&mut self) {
        let Self { workspace, mistakes, state, tried, .. } = self;
        let names = workspace.tables.keys();
        let made: Vec<_> =
            names.map(|name| (name.clone(), check::of(workspace, state, name, *tried, mistakes))).collect();
        for (name, checks) in made {
            if let Some(table) = workspace.tables.get_mut(&name) {
                table.checks = checks;
            }
        }
    }
}

/// Returns what each dataset references.
fn references(project: &Project) -> BTreeMap<String, BTreeSet<String>> {
    let referenced = |source: &SourceContract| source.referenced().into_iter().map(str::to_owned).collect();
    project.sources.iter().map(|(name, source)| (name.clone(), referenced(source))).collect()
}

/// Returns edges that lead the other way.
fn turned(edges: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    let mut turned: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in edges {
        for to in to {
            turned.entry(to.clone()).or_default().insert(from.clone());
        }
    }
    turned
}

fn with_reachable(names: &BTreeSet<String>, edges: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let found = graph::reachable(names.iter().map(String::as_str), edges);
    found.into_iter().map(str::to_owned).chain(names.iter().cloned()).collect()
}

/// Returns the columns that SQL sees of a landed dataset.
#[must_use]
pub fn source_schema(source: &SourceContract) -> SchemaRef {
    let fields: Vec<Field> =
        source.columns.iter().map(|(name, column)| Field::new(name, column.kind.arrow(), true)).collect();
    Arc::new(Schema::new(fields))
}

/// Returns the value of a variable, built in or declared; of the clock, some value of the right type.
#[must_use]
pub fn variable_value(settings: &Settings, name: &str) -> Option<Variable> {
    match name {
        CLOCK => Some(Variable::Timestamp(chrono::DateTime::UNIX_EPOCH)),
        "reporting_zone" => Some(Variable::Text(settings.reporting_zone.name().to_owned())),
        // As `extract(isodow …)` numbers days.
        "week_start" => Some(Variable::Integer(settings.week_start.number_from_monday().into())),
        _ => settings.vars.get(name).cloned(),
    }
}

/// Returns what is wrong with a column's rules, now that its type is known.
pub(super) fn rule_mistake(column: &str, rules: &Rules, kind: &DataType) -> Option<String> {
    let texts = rules.values.iter().chain(&rules.min).chain(&rules.max);
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let does_not_fit =
        |text: &&String| cast_with_options(&StringArray::from(vec![text.as_str()]), kind, &options).is_err();
    if let Some(text) = texts.clone().find(does_not_fit) {
        return Some(format!("`{column}` is of type {kind}, and `{text}` is no value of it"));
    }
    if rules.pattern.is_some() && *kind != DataType::Utf8 {
        return Some(format!("`{column}` is of type {kind}, and `pattern` is for text"));
    }
    None
}

/// Asks `work` of every item, on all cores, and returns the answers in order.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(items.len().div_ceil(4));
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let mut answers: Vec<(usize, R)> = std::thread::scope(|scope| {
        let take = || {
            let mut answers = Vec::new();
            while let Some((at, item)) =
                Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, items.get(at)?)))
            {
                answers.push((at, work(item)));
            }
            answers
        };
        // Where no thread is to be had, those that there are do it all.
        let helper = |_| std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, take).ok();
        let helpers: Vec<_> = (1..threads).filter_map(helper).collect();
        let mut answers = take();
        for helper in helpers {
            match helper.join() {
                Ok(more) => answers.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        answers
    });
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn check_names(project: &Project, model: &Model, query: &Query, mistakes: &mut Diagnostics) {
    for read in query.reads() {
        check_read(project, model, read, mistakes);
    }
    let is_base = |name: &str| project.models.get(name).is_some_and(|model| model.layer == Layer::Base);
    let is_tidied = |read: &&Located| project.sources.contains_key(&read.text) || is_base(&read.text);
    if model.layer == Layer::Staging
        && let Some(second) = query.reads().iter().filter(is_tidied).nth(1)
    {
        let at = model.file.at(second.bytes.clone());
        let what = if query.reads().iter().any(|read| is_base(&read.text)) { "table" } else { "landed dataset" };
        let message = format!("`{}` reads more than one {what}", model.name);
        mistakes.push(
            Diagnostic::new(Code::LayerReads, at, message)
                .help("a staging model tidies one dataset; join feeds that are one dataset in `sql/base/`, all else in `sql/intermediate/`"),
        );
    }
    for variable in query.variables() {
        if variable_value(&project.settings, &variable.text).is_none() {
            let known = project.settings.vars.keys().map(String::as_str).chain([CLOCK, "reporting_zone", "week_start"]);
            mistakes.push(
                Diagnostic::new(
                    Code::UnknownVariable,
                    model.file.at(variable.bytes.clone()),
                    format!("variable `${}` is not declared", variable.text),
                )
                .label("no such variable")
                .help(
                    did_you_mean(&variable.text, known)
                        .unwrap_or_else(|| "declare it under `[vars]` in opsmart.toml".to_owned()),
                ),
            );
        }
    }
}

fn check_read(project: &Project, model: &Model, read: &Located, mistakes: &mut Diagnostics) {
    let at = model.file.at(read.bytes.clone());
    let name = read.text.as_str();
    if project.sources.contains_key(name) {
        if !model.layer.reads_landed() {
            mistakes.push(
                Diagnostic::new(
                    Code::LayerReads,
                    at,
                    format!("`{}` must not read the landed dataset `{name}`", model.name),
                )
                .label("a landed dataset")
                .help(format!("read it through a staging model, such as `stg_{name}`")),
            );
        }
    } else if let Some(own) = SystemTable::ALL.into_iter().find(|own| own.name() == name) {
        if own.is_of_checks() {
            let message = format!("`{}` must not read `{name}`", model.name);
            mistakes.push(
                Diagnostic::new(Code::LayerReads, at, message)
                    .help("it is made of what the checks say, after them all"),
            );
        } else if model.layer != Layer::Checks {
            let message = format!("`{}` must not read `{name}`", model.name);
            mistakes
                .push(Diagnostic::new(Code::LayerReads, at, message).help("only checks read the suite's own tables"));
        }
    } else if let Some(other) = project.models.get(name) {
        if !model.layer.may_read(other.layer) {
            let layers = Layer::ALL.into_iter().chain([Layer::Metrics]);
            let allowed: Vec<&str> = layers.filter(|layer| model.layer.may_read(*layer)).map(Layer::folder).collect();
            let help = match model.layer {
                Layer::Base => "a base model reads landed datasets and other base models".to_owned(),
                Layer::Staging => {
                    "a staging model reads one landed dataset, or one base model, and nothing else".to_owned()
                }
                layer => format!("models in `sql/{}/` read {}", layer.folder(), allowed.join(", ")),
            };
            let message =
                format!("`{}` must not read `{name}`, which is in `sql/{}/`", model.name, other.layer.folder());
            mistakes.push(Diagnostic::new(Code::LayerReads, at, message).help(help));
        }
    } else {
        let known = project.models.values().filter(|m| model.layer.may_read(m.layer)).map(|m| m.name.as_str());
        let known = known.chain(project.sources.keys().map(String::as_str));
        mistakes.push(
            Diagnostic::new(Code::UnknownTable, at, format!("table `{name}` does not exist"))
                .label("neither a model nor a landed dataset")
                .help(
                    did_you_mean(name, known)
                        .unwrap_or_else(|| "add `sql/<layer>/<name>.sql` or `schemas/sources/<name>.toml`".to_owned()),
                ),
        );
    }
}

/// Returns the landed datasets, each after what it references; none where they do so in a circle.
fn in_order_of_references(project: &Project, mistakes: &mut Diagnostics) -> Vec<String> {
    match graph::waves(&references(project)) {
        Ok(waves) => waves.concat(),
        Err(circles) => {
            let place = |name: &str, next: &str| {
                let source = &project.sources[name];
                let reference = source.references().map(|(_, reference)| reference).find(|to| to.dataset == next);
                reference.map_or_else(|| source.file.whole(), |reference| source.file.at(reference.bytes.clone()))
            };
            let circle = |circle: &Vec<String>| graph::cycle("datasets", "reference", circle, place);
            circles.iter().map(circle).for_each(|mistake| mistakes.push(mistake));
            Vec::new()
        }
    }
}

fn sorted(mistakes: Diagnostics) -> Diagnostics {
    mistakes.into_result(()).err().unwrap_or_default()
}

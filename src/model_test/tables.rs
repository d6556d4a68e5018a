//! The tables of one golden test: those that it gives, and those that are built from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use camino::Utf8Path;
use chrono::{DateTime, Utc};
use datafusion::common::DataFusionError;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::{Expr, ObjectNamePart, SetExpr, Spanned, Statement as SqlStatement};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};

use super::fit::{ValueMismatch, fit};
use crate::diagnostic::SourceFile;
use crate::engine::{self, Resources};
use crate::plan::{CLOCK, Kind, Query, Workspace, plan_query, plan_statement, source_schema, variable_value, volatile};
use crate::project::{ColumnType, Variable};
use crate::store::conform;

/// The clock of tests that do not set one.
const CLOCK_DEFAULT: &str = "2024-07-01T00:00:00Z";

/// The words in which a statement of a test failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct TestFailure(String);

impl From<DataFusionError> for TestFailure {
    fn from(error: DataFusionError) -> Self {
        Self(crate::plan::plain(&error).message)
    }
}

impl From<arrow::error::ArrowError> for TestFailure {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self(error.to_string())
    }
}

/// A session in which a test's statements run.
pub(super) struct GivenTables<'a> {
    workspace: &'a Workspace,
    session: SessionContext,
    variables: BTreeMap<String, Variable>,
    given: BTreeSet<String>,
    /// Tables that were built from given ones, and have to be rebuilt when those change.
    derived: BTreeSet<String>,
    /// The test, for mistakes in it.
    file: &'a Utf8Path,
    /// Where its statement begins that runs.
    line: &'a Line,
}

/// The line of a test on which the record begins that runs.
#[derive(Debug, Default)]
pub(super) struct Line(AtomicU32);

impl Line {
    pub(super) fn set(&self, line: u32) {
        self.0.store(line, Ordering::Relaxed);
    }

    fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How rows are given.
const GIVE: &str = "write `create table name (column type, …) as values (…), (…)`";

/// What a `create table` gives.
struct Given {
    name: String,
    /// The rows, if it gives some.
    query: Option<Statement>,
    values: Values,
}

/// Where the values of a `values` list stand: the lines below the first of the record.
#[derive(Default)]
struct Values(Vec<Vec<u32>>);

impl Values {
    fn line(&self, row: usize, column: usize) -> Option<u32> {
        self.0.get(row)?.get(column).copied().filter(|line| *line > 0)
    }
}

impl Given {
    fn parse(sql: &str) -> Result<Self, TestFailure> {
        let mut statements = DFParser::parse_sql(sql)?;
        let Some(Statement::Statement(statement)) = statements.pop_front().filter(|_| statements.is_empty()) else {
            return Err(TestFailure(GIVE.to_owned()));
        };
        let SqlStatement::CreateTable(create) = *statement else { return Err(TestFailure(GIVE.to_owned())) };
        let [ObjectNamePart::Identifier(name)] = create.name.0.as_slice() else {
            return Err(TestFailure(GIVE.to_owned()));
        };
        // As the planner reads names.
        let name = if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() };
        let values = match create.query.as_deref().map(|query| &*query.body) {
            Some(SetExpr::Values(values)) => {
                let line = |value: &Expr| u32::try_from(value.span().start.line).unwrap_or_default();
                Values(values.rows.iter().map(|row| row.iter().map(line).collect()).collect())
            }
            _ => Values::default(),
        };
        let query = create.query.map(|query| Statement::Statement(Box::new(SqlStatement::Query(query))));
        Ok(Self { name, query, values })
    }
}

/// Refuses what gives something else tomorrow.
fn check_immutable(plan: &LogicalPlan) -> Result<(), TestFailure> {
    match volatile(plan).first() {
        Some(name) => Err(TestFailure(format!("`{name}` gives another result each time: write a value"))),
        None => Ok(()),
    }
}

/// Returns a type as contracts write it.
fn type_words(kind: &DataType) -> String {
    ColumnType::from_arrow(kind).map_or_else(|| kind.to_string().to_lowercase(), |kind| kind.to_string())
}

impl<'a> GivenTables<'a> {
    pub(super) fn new(workspace: &'a Workspace, file: &'a Utf8Path, line: &'a Line) -> Result<Self, TestFailure> {
        let session = engine::session(&Resources { memory_bytes: 1 << 30, threads: 2, ..Resources::for_binding() })?;
        let clock = CLOCK_DEFAULT.parse::<DateTime<Utc>>().map_err(|error| TestFailure(error.to_string()))?;
        let variables = BTreeMap::from([(CLOCK.to_owned(), Variable::Timestamp(clock))]);
        Ok(Self { workspace, session, variables, given: BTreeSet::new(), derived: BTreeSet::new(), file, line })
    }

    fn value(&self, name: &str) -> Option<Variable> {
        self.variables.get(name).cloned().or_else(|| variable_value(&self.workspace.project.settings, name))
    }

    /// Forgets what was built, because something that it was built from changes.
    fn forget_derived(&mut self) -> Result<(), TestFailure> {
        for name in std::mem::take(&mut self.derived) {
            self.session.deregister_table(name)?;
        }
        Ok(())
    }

    async fn create(&mut self, sql: &str) -> Result<(), TestFailure> {
        self.forget_derived()?;
        let mut given = Given::parse(sql)?;
        if self.given.contains(&given.name) {
            return Err(TestFailure(format!(
                "table `{0}` is given already: `drop table {0}` takes it away",
                given.name
            )));
        }
        let declared = self.declared(sql).await?;
        let mut batches = Vec::new();
        if let Some(query) = given.query.take() {
            let plan = plan_statement(&self.session.state(), query)?;
            check_immutable(&plan)?;
            for batch in self.session.execute_logical_plan(plan).await?.collect().await? {
                let before = batches.iter().map(RecordBatch::num_rows).sum();
                batches.push(self.fitted(&given, &batch, &declared, before)?);
            }
        }
        let name = given.name;
        let schema = self.schema_of(&name);
        let schema = schema.unwrap_or_else(|| Arc::new(Schema::new(declared.fields().clone())));
        if let Some(stray) = declared.fields().iter().find(|field| schema.field_with_name(field.name()).is_err()) {
            return Err(TestFailure(format!("table `{name}` has no column `{}`", stray.name())));
        }
        self.session.register_table(name.as_str(), Arc::new(MemTable::try_new(schema, vec![batches])?))?;
        self.given.insert(name);
        Ok(())
    }

    /// Returns the columns that a test says a table has.
    async fn declared(&self, sql: &str) -> Result<SchemaRef, TestFailure> {
        match self.session.state().create_logical_plan(sql).await? {
            LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(table)) => Ok(Arc::clone(table.input.schema().inner())),
            _ => Err(TestFailure(GIVE.to_owned())),
        }
    }

    /// Brings rows of a table, of which there were `before` already, to the types that the test declares and then to the
    /// columns of the table that they stand for.
    fn fitted(
        &self,
        Given { name: table, values, .. }: &Given,
        rows: &RecordBatch,
        declared: &SchemaRef,
        before: usize,
    ) -> Result<RecordBatch, TestFailure> {
        let mut columns = BTreeMap::new();
        for (number, (field, column)) in declared.fields().iter().zip(rows.columns()).enumerate() {
            let stored = self.schema_of(table).and_then(|schema| schema.field_with_name(field.name()).ok().cloned());
            let mut fitted = Arc::clone(column);
            for kind in [Some(field.data_type()), stored.as_ref().map(Field::data_type)].into_iter().flatten() {
                fitted = fit(&fitted, kind)?.map_err(|ValueMismatch { row, value }| {
                    let line = values.line(before + row, number).map_or(self.line.get(), |line| self.line.get() + line);
                    let (name, kind) = (field.name(), type_words(kind));
                    TestFailure(format!(
                        "{}:{line}: `{value}` is no value of column `{name}` of `{table}`, which is {kind}",
                        self.file
                    ))
                })?;
            }
            columns.insert(field.name().clone(), fitted);
        }
        let schema = self.schema_of(table).unwrap_or_else(|| Arc::clone(declared));
        let all = schema.fields().iter().map(|field| {
            columns.remove(field.name()).unwrap_or_else(|| new_null_array(field.data_type(), rows.num_rows()))
        });
        let all = all.collect();
        Ok(RecordBatch::try_new(schema, all)?)
    }

    /// Returns the columns that a dataset or model has in the project.
    fn schema_of(&self, name: &str) -> Option<SchemaRef> {
        let source = self.workspace.project.sources.get(name).map(source_schema);
        source.or_else(|| self.workspace.tables.get(name).map(|table| nullable(&table.schema)))
    }

    fn drop(&mut self, name: &str) -> Result<(), TestFailure> {
        self.forget_derived()?;
        if !self.given.remove(name) {
            return Err(TestFailure(format!("table `{name}` was not given")));
        }
        self.session.deregister_table(name)?;
        Ok(())
    }

    fn set(&mut self, assignment: &str) -> Result<(), TestFailure> {
        self.forget_derived()?;
        let (name, value) =
            assignment.split_once('=').ok_or_else(|| TestFailure("write set name = value".to_owned()))?;
        let (name, text) = (name.trim(), value.trim().trim_matches('\''));
        let known = self.value(name).ok_or_else(|| TestFailure(format!("variable `{name}` is not declared")))?;
        let parsed = match known {
            Variable::Integer(_) => text.parse().ok().map(Variable::Integer),
            Variable::Float(_) => text.parse().ok().map(Variable::Float),
            Variable::Boolean(_) => text.parse().ok().map(Variable::Boolean),
            Variable::Text(_) => Some(Variable::Text(text.to_owned())),
            Variable::Date(_) => text.parse().ok().map(Variable::Date),
            Variable::Timestamp(_) => text.parse().ok().map(Variable::Timestamp),
        };
        let value = parsed.ok_or_else(|| TestFailure(format!("`{text}` is not a value for `{name}`")))?;
        self.variables.insert(name.to_owned(), value);
        Ok(())
    }

    /// Builds everything that `query` reads and that is not given.
    async fn build(&mut self, query: &Query) -> Result<(), TestFailure> {
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        let mut open: Vec<String> = query.reads().iter().map(|read| read.text.clone()).collect();
        while let Some(name) = open.pop() {
            if self.given.contains(&name) || self.derived.contains(&name) || wanted.contains(&name) {
                continue;
            }
            let Some(table) = self.workspace.tables.get(&name) else {
                return Err(TestFailure(format!("table `{name}` is not given and no model: create it in the test")));
            };
            open.extend(table.reads.iter().cloned());
            wanted.insert(name);
        }
        for name in self.workspace.order.iter().filter(|name| wanted.contains(*name)) {
            let Some(table) = self.workspace.tables.get(name) else { continue };
            let statement = table.query.statement(|variable| self.value(variable));
            let plan = plan_statement(&self.session.state(), statement)?;
            let batches = self.session.execute_logical_plan(plan).await?.collect().await?;
            let schema = if table.kind == Kind::View {
                batches.first().map_or_else(|| Arc::clone(&table.schema), RecordBatch::schema)
            } else {
                Arc::clone(&table.schema)
            };
            let batches = batches.iter().map(|batch| conform(batch, &schema)).collect::<Result<Vec<_>, _>>()?;
            self.session.register_table(name.as_str(), Arc::new(MemTable::try_new(schema, vec![batches])?))?;
            self.derived.insert(name.clone());
        }
        Ok(())
    }

    async fn query(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, TestFailure> {
        let file = SourceFile::new("query", sql);
        let query =
            Query::parse_with(&file, &self.workspace.functions).map_err(|mistake| TestFailure(mistake.message))?;
        self.build(&query).await?;
        let plan = plan_query(&self.session.state(), &file, &query).map_err(|mistakes| {
            TestFailure(mistakes.iter().map(|m| m.message.clone()).collect::<Vec<_>>().join("; "))
        })?;
        check_immutable(&plan)?;
        let frame = self.session.execute_logical_plan(plan).await?;
        let types = frame.schema().fields().iter().map(|field| column_type(field.data_type())).collect();
        let options = FormatOptions::default();
        let mut rows = Vec::new();
        for batch in frame.collect().await? {
            let columns = batch.columns().iter().map(|column| Ok((column, ArrayFormatter::try_new(column, &options)?)));
            let columns = columns.collect::<Result<Vec<_>, arrow::error::ArrowError>>()?;
            for row in 0..batch.num_rows() {
                rows.push(columns.iter().map(|(column, formatter)| cell(column, formatter, row)).collect());
            }
        }
        Ok(DBOutput::Rows { types, rows })
    }
}

#[async_trait::async_trait]
impl AsyncDB for GivenTables<'_> {
    type Error = TestFailure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, TestFailure> {
        let sql = sql.trim().trim_end_matches(';');
        let mut words = sql.split_whitespace();
        let (first, second) =
            (words.next().unwrap_or_default().to_lowercase(), words.next().unwrap_or_default().to_lowercase());
        match (first.as_str(), second.as_str()) {
            ("create", "table") => self.create(sql).await?,
            ("drop", "table") => self.drop(words.next().unwrap_or_default())?,
            ("set", _) => self.set(&sql["set".len()..])?,
            _ => return self.query(sql).await,
        }
        Ok(DBOutput::StatementComplete(0))
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &'static str {
        "opsmart"
    }

    /// A test is about SQL; it runs no programs.
    async fn run_command(_: std::process::Command) -> std::io::Result<std::process::Output> {
        Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, "golden tests run no programs"))
    }
}

/// A test may give a null where the project's own rows have none.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()))
}

fn column_type(kind: &arrow::datatypes::DataType) -> DefaultColumnType {
    if kind.is_integer() {
        DefaultColumnType::Integer
    } else if kind.is_numeric() {
        DefaultColumnType::FloatingPoint
    } else {
        DefaultColumnType::Text
    }
}

fn cell(column: &ArrayRef, formatter: &ArrayFormatter, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    let text = formatter.value(row).to_string();
    if text.is_empty() { "(empty)".to_owned() } else { text }
}

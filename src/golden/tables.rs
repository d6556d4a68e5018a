//! The tables of one golden test: those that it gives, and those that are built from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Utc};
use datafusion::common::DataFusionError;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};

use crate::diagnostic::SourceFile;
use crate::engine::{self, Resources};
use crate::plan::{CLOCK, Kind, Query, Suite, plan_query, plan_statement, source_schema, variable_value};
use crate::project::Variable;
use crate::store::conform;

/// The clock of tests that do not set one.
const CLOCK_DEFAULT: &str = "2024-07-01T00:00:00Z";

/// The words in which a statement of a test failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct TestFailure(String);

impl From<DataFusionError> for TestFailure {
    fn from(error: DataFusionError) -> Self {
        Self(error.strip_backtrace())
    }
}

impl From<arrow::error::ArrowError> for TestFailure {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self(error.to_string())
    }
}

/// A session in which a test's statements run.
pub(super) struct GivenTables<'a> {
    suite: &'a Suite,
    session: SessionContext,
    variables: BTreeMap<String, Variable>,
    given: BTreeSet<String>,
    /// Tables that were built from given ones, and have to be built again when those change.
    derived: BTreeSet<String>,
}

impl<'a> GivenTables<'a> {
    pub(super) fn new(suite: &'a Suite) -> Result<Self, TestFailure> {
        let session = engine::session(&Resources { memory_bytes: 1 << 30, threads: 2, ..Resources::for_binding() })?;
        let clock = CLOCK_DEFAULT.parse::<DateTime<Utc>>().map_err(|error| TestFailure(error.to_string()))?;
        let variables = BTreeMap::from([(CLOCK.to_owned(), Variable::Timestamp(clock))]);
        Ok(Self { suite, session, variables, given: BTreeSet::new(), derived: BTreeSet::new() })
    }

    fn value(&self, name: &str) -> Option<Variable> {
        self.variables.get(name).cloned().or_else(|| variable_value(&self.suite.project.settings, name))
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
        let before = self.names();
        self.session.sql(sql).await?.collect().await?;
        let Some(name) = self.names().into_iter().find(|name| !before.contains(name)) else {
            return Err(TestFailure("the statement creates no new table".to_owned()));
        };
        if let Some(schema) = self.schema_of(&name) {
            let given = self.session.table(name.as_str()).await?.collect().await?;
            let full = given.iter().map(|batch| fill(&name, batch, &schema)).collect::<Result<Vec<_>, _>>()?;
            self.session.deregister_table(name.as_str())?;
            self.session.register_table(name.as_str(), Arc::new(MemTable::try_new(schema, vec![full])?))?;
        }
        self.given.insert(name);
        Ok(())
    }

    fn names(&self) -> BTreeSet<String> {
        let schema = self.session.catalog("datafusion").and_then(|catalog| catalog.schema("public"));
        schema.map(|schema| schema.table_names().into_iter().collect()).unwrap_or_default()
    }

    /// Returns the columns that a dataset or model has in the project.
    fn schema_of(&self, name: &str) -> Option<SchemaRef> {
        let source = self.suite.project.sources.get(name).map(source_schema);
        source.or_else(|| self.suite.tables.get(name).map(|table| nullable(&table.schema)))
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
            let Some(table) = self.suite.tables.get(&name) else {
                return Err(TestFailure(format!("table `{name}` is not given and no model: create it in the test")));
            };
            open.extend(table.reads.iter().cloned());
            wanted.insert(name);
        }
        for name in self.suite.order.iter().filter(|name| wanted.contains(*name)) {
            let Some(table) = self.suite.tables.get(name) else { continue };
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
        let query = Query::parse(&file).map_err(|mistake| TestFailure(mistake.message))?;
        self.build(&query).await?;
        let plan = plan_query(&self.session.state(), &file, &query).map_err(|mistakes| {
            TestFailure(mistakes.iter().map(|m| m.message.clone()).collect::<Vec<_>>().join("; "))
        })?;
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

/// Brings given rows to the columns of the table that they stand for.
fn fill(table: &str, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, TestFailure> {
    let given = batch.schema();
    if let Some(stray) = given.fields().iter().find(|field| schema.field_with_name(field.name()).is_err()) {
        return Err(TestFailure(format!("table `{table}` has no column `{}`", stray.name())));
    }
    let column = |field: &arrow::datatypes::FieldRef| -> Result<ArrayRef, TestFailure> {
        match batch.column_by_name(field.name()) {
            Some(column) => Ok(cast(column, field.data_type())?),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
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

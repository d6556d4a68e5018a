//! Makes stored tables and views known to a session.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DataFusionError, Result};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::provider_as_source;
use datafusion::datasource::view::ViewTable;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;

use super::keys::are_among;
use super::query_of;
use super::stored_rows::StoredRows;
use crate::engine;
use crate::partition::PartitionKey;
use crate::plan::{Kind, Workspace};
use crate::store::{DataFile, Store, TableState, schema_of};

/// Makes the rows of a stored table known under its name, in place of what the name stood for.
///
/// The table is a listing of Parquet files with the columns that SQL may see, less the rows that do not count.
///
/// # Errors
/// When a file is damaged or missing ([`StoreError`](crate::store::StoreError) inside), or its path is no URL.
pub fn register_stored(session: &SessionContext, store: &Store, state: &TableState) -> Result<()> {
    register_with(session, store, state, &[])
}

/// Makes the rows of a stored table known under its name, with columns that lie `behind` its own in the files.
///
/// # Errors
/// As [`register_stored`].
pub fn register_with(session: &SessionContext, store: &Store, state: &TableState, behind: &[Field]) -> Result<()> {
    let own = schema_of(&state.columns);
    let fields = own.fields().iter().map(|field| Field::clone(field)).chain(behind.iter().cloned());
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    session.deregister_table(state.table.as_str())?;
    let files = state.files.iter().collect::<Vec<_>>();
    session.register_table(state.table.as_str(), rows_of(store, state, schema, &files)?)?;
    Ok(())
}

/// Returns the rows of one file of a stored table in their order, with columns that lie `behind` its own in the file.
///
/// # Errors
/// As [`register_stored`].
pub fn rows_of_file(
    store: &Store,
    state: &TableState,
    behind: &[Field],
    file: &DataFile,
) -> Result<Arc<dyn TableProvider>> {
    let own = schema_of(&state.columns);
    let fields = own.fields().iter().map(|field| Field::clone(field)).chain(behind.iter().cloned());
    rows_of(store, state, Arc::new(Schema::new(fields.collect::<Vec<_>>())), &[file])
}

/// What a query over stored tables is asked with: the warehouse, a session that knows them, the project and the clock.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "a session has none")]
pub struct QueryContext<'a> {
    /// The warehouse.
    pub store: &'a Store,
    /// The session, which knows all tables.
    pub session: &'a SessionContext,
    /// The project.
    pub workspace: &'a Workspace,
    /// The logical clock.
    pub as_of: DateTime<Utc>,
}

/// Some partitions of some tables.
#[derive(Debug, Clone, Copy)]
pub struct Slices<'a> {
    /// The tables, by name.
    pub states: &'a BTreeMap<String, TableState>,
    /// Which partitions of each.
    pub keys: &'a BTreeSet<PartitionKey>,
}

/// Opens a session that knows `inputs`, of those in `slices` some partitions only, and the views among `reads` over them.
///
/// # Errors
/// As [`register_stored`].
pub async fn narrowed(
    context: QueryContext<'_>,
    inputs: &BTreeSet<String>,
    reads: &BTreeSet<String>,
    slices: Slices<'_>,
) -> Result<SessionContext> {
    let session = engine::beside(context.session);
    for input in inputs {
        if let Some(state) = slices.states.get(input) {
            register_part(&session, context.store, state, slices.keys)?;
        } else {
            session.register_table(input.as_str(), context.session.table_provider(input.as_str()).await?)?;
        }
    }
    register_views(&session, context.workspace, reads, context.as_of)?;
    Ok(session)
}

/// Makes the views among `reads` known, and those that they read. What these read must be known already.
///
/// # Errors
/// As [`register_view`].
pub fn register_views(
    session: &SessionContext,
    workspace: &Workspace,
    reads: &BTreeSet<String>,
    as_of: DateTime<Utc>,
) -> Result<()> {
    let views = views(workspace, reads);
    let mut views = workspace.order.iter().filter(|name| views.contains(name.as_str()));
    views.try_for_each(|view| register_view(session, workspace, view, as_of))
}

/// Returns the views among `reads`, and those that they read.
fn views<'a>(workspace: &'a Workspace, reads: &'a BTreeSet<String>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![reads];
    while let Some(reads) = open.pop() {
        for read in reads {
            if let Some(view) = workspace.tables.get(read).filter(|view| view.kind == Kind::View)
                && found.insert(read.as_str())
            {
                open.push(&view.reads);
            }
        }
    }
    found
}

/// Makes the rows of some partitions of a stored table known under its name.
///
/// # Errors
/// As [`register_stored`].
pub fn register_part(
    session: &SessionContext,
    store: &Store,
    state: &TableState,
    keys: &BTreeSet<PartitionKey>,
) -> Result<()> {
    let is_read = |file: &&DataFile| file.partitions.iter().any(|(key, _)| keys.contains(key));
    let files: Vec<&DataFile> = state.files.iter().filter(is_read).collect();
    let schema = schema_of(&state.columns);
    let rows = rows_of(store, state, Arc::clone(&schema), &files)?;
    let holds_others = files.iter().any(|file| file.partitions.iter().any(|(key, _)| !keys.contains(key)));
    let Some(by) = state.partition.as_ref().filter(|_| holds_others) else {
        session.register_table(state.table.as_str(), rows)?;
        return Ok(());
    };
    let column = Expr::Column(Column::new(Some(state.table.as_str()), by.column()));
    let wanted = are_among(by, &column, schema.field_with_name(by.column())?.data_type(), keys)?;
    let plan =
        LogicalPlanBuilder::scan(state.table.as_str(), provider_as_source(rows), None)?.filter(wanted)?.build()?;
    session.register_table(state.table.as_str(), Arc::new(ViewTable::new(plan, None)))?;
    Ok(())
}

/// Returns the rows of some files of a stored table, with the columns of `schema`.
fn rows_of(
    store: &Store,
    state: &TableState,
    schema: SchemaRef,
    files: &[&DataFile],
) -> Result<Arc<dyn TableProvider>> {
    // DataFusion takes a file that is not there for one without rows.
    for file in files {
        store.assure(file).map_err(|error| DataFusionError::External(Box::new(error)))?;
    }
    let mut urls = Vec::new();
    for file in files {
        let path = camino::absolute_utf8(store.path(file)).map_err(DataFusionError::IoError)?;
        let url = url::Url::from_file_path(&path)
            .map_err(|()| DataFusionError::Execution(format!("`{path}` cannot be written as a URL")))?;
        urls.push(ListingTableUrl::try_new(url, None)?);
    }
    if urls.is_empty() {
        return Ok(Arc::new(EmptyTable::new(schema)));
    }
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
    let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(schema);
    let listing = ListingTable::try_new(config)?;
    let own = schema_of(&state.columns);
    Ok(Arc::new(StoredRows::new(listing, store, files, &own, state.partition.as_ref())?))
}

/// Makes a view known under its name. What it reads must be known already.
///
/// # Errors
/// When its SQL does not bind; a compiled workspace rules that out.
pub fn register_view(session: &SessionContext, workspace: &Workspace, name: &str, as_of: DateTime<Utc>) -> Result<()> {
    let Some(table) = workspace.tables.get(name) else { return Ok(()) };
    let plan = query_of(session, workspace, table, as_of)?;
    session.deregister_table(name)?;
    session.register_table(name, Arc::new(ViewTable::new(plan, None)))?;
    Ok(())
}

//! What queries read: stored tables and views, as DataFusion knows them.
//!
//! A stored table is a listing of Parquet files with the columns that SQL may see, less the rows that do not count. Those
//! of a snapshot open by their names, as queries name them ([`SnapshotSchema`]); a run, whose tables change under way,
//! registers each when it is built ([`QueryContext::register`]). A view is the plan of its SQL over them.
//!
//! Promises: a missing file is an error and never a table without rows; a query that fails over a damaged file names it.

mod context;
mod keys;
mod snapshot;
mod stored_rows;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DataFusionError, Result};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::provider_as_source;
use datafusion::datasource::view::ViewTable;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};

pub use context::{QueryContext, Slices, query_of, value_at};
pub use keys::{are_among, in_order};
pub use snapshot::SnapshotSchema;

use crate::partition::PartitionKey;
use crate::store::{DataFile, Store, TableState, schema_of};
use stored_rows::StoredRows;

/// Returns the rows of a stored table.
///
/// # Errors
/// When a file is damaged or missing ([`StoreError`](crate::store::StoreError) inside), or its path is no URL.
pub fn stored(store: &Store, state: &TableState) -> Result<Arc<dyn TableProvider>> {
    rows_of(store, state, schema_of(&state.columns), &state.files.iter().collect::<Vec<_>>())
}

/// Returns the rows of a stored table, with columns that lie `behind` its own in the files.
///
/// # Errors
/// As [`stored`].
pub fn stored_with(store: &Store, state: &TableState, behind: &[Field]) -> Result<Arc<dyn TableProvider>> {
    rows_of(store, state, with_behind(state, behind), &state.files.iter().collect::<Vec<_>>())
}

/// Returns the rows of one file of a stored table in their order, with columns that lie `behind` its own in the file.
///
/// # Errors
/// As [`stored`].
pub fn stored_file(
    store: &Store,
    state: &TableState,
    behind: &[Field],
    file: &DataFile,
) -> Result<Arc<dyn TableProvider>> {
    rows_of(store, state, with_behind(state, behind), &[file])
}

/// Returns the rows of some partitions of a stored table that is called `name`.
///
/// # Errors
/// As [`stored`].
fn stored_part(
    store: &Store,
    name: &str,
    state: &TableState,
    keys: &BTreeSet<PartitionKey>,
) -> Result<Arc<dyn TableProvider>> {
    let is_read = |file: &&DataFile| file.partitions.iter().any(|(key, _)| keys.contains(key));
    let files: Vec<&DataFile> = state.files.iter().filter(is_read).collect();
    let schema = schema_of(&state.columns);
    let rows = rows_of(store, state, Arc::clone(&schema), &files)?;
    let holds_others = files.iter().any(|file| file.partitions.iter().any(|(key, _)| !keys.contains(key)));
    let Some(by) = state.partition.as_ref().filter(|_| holds_others) else { return Ok(rows) };
    let column = Expr::Column(Column::new(Some(name), by.column()));
    let wanted = are_among(by, &column, schema.field_with_name(by.column())?.data_type(), keys)?;
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(rows), None)?.filter(wanted)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

fn with_behind(state: &TableState, behind: &[Field]) -> SchemaRef {
    let own = schema_of(&state.columns);
    let fields = own.fields().iter().map(|field| Field::clone(field)).chain(behind.iter().cloned());
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
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

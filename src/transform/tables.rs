//! Makes stored tables and views known to a session.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::view::ViewTable;
use datafusion::prelude::SessionContext;

use super::kept_rows::KeptRows;
use super::value_at;
use crate::plan::{Suite, plan_statement};
use crate::store::{Store, TableState, schema_of};

/// Makes the rows of a stored table known under its name, in place of what the name stood for.
///
/// The table is a listing of Parquet files with the columns that SQL may see, less the rows that do not count.
///
/// # Errors
/// When a file is damaged or missing ([`StoreError`](crate::store::StoreError) inside), or its path is no URL.
pub fn register_stored(session: &SessionContext, store: &Store, state: &TableState) -> Result<()> {
    // DataFusion takes a file that is not there for one without rows.
    for file in state.files.iter() {
        store.assure(file).map_err(|error| DataFusionError::External(Box::new(error)))?;
    }
    let schema = schema_of(&state.columns);
    session.deregister_table(state.table.as_str())?;
    let mut urls = Vec::new();
    for file in state.files.iter() {
        let path = camino::absolute_utf8(store.path(file)).map_err(DataFusionError::IoError)?;
        let url = url::Url::from_file_path(&path)
            .map_err(|()| DataFusionError::Execution(format!("`{path}` cannot be written as a URL")))?;
        urls.push(ListingTableUrl::try_new(url, None)?);
    }
    if urls.is_empty() {
        session.register_table(state.table.as_str(), Arc::new(EmptyTable::new(schema)))?;
        return Ok(());
    }
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
    let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(schema);
    let listing = ListingTable::try_new(config)?;
    if state.files.iter().any(|file| file.without.is_some()) {
        let kept = KeptRows::new(listing, store, state.files.iter())?;
        session.register_table(state.table.as_str(), Arc::new(kept))?;
    } else {
        session.register_table(state.table.as_str(), Arc::new(listing))?;
    }
    Ok(())
}

/// Makes a view known under its name. What it reads must be known already.
///
/// # Errors
/// When its SQL does not bind; a compiled suite rules that out.
pub fn register_view(session: &SessionContext, suite: &Suite, name: &str, as_of: DateTime<Utc>) -> Result<()> {
    let Some(table) = suite.tables.get(name) else { return Ok(()) };
    let statement = table.query.statement(|variable| value_at(suite, as_of, variable));
    let plan = plan_statement(&session.state(), statement)?;
    session.deregister_table(name)?;
    session.register_table(name, Arc::new(ViewTable::new(plan, None)))?;
    Ok(())
}

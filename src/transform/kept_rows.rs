//! A listing of Parquet files of which some rows do not count.
//!
//! A landed file that loses a few rows to later versions is not written again: its scan passes over them by their place
//! in the file. Promises that a query sees exactly the rows that count, and that nothing is answered from what the
//! files say of all their rows.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::datasource::listing::{ListingTable, PartitionedFile};
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use crate::store::{DataFile, Store, read_row_numbers};

/// A listing whose scans pass over the rows that do not count.
#[derive(Debug)]
pub(super) struct KeptRows {
    listing: ListingTable,
    /// What is read of the files that lost rows, by the last part of their path, which is unique in a warehouse.
    selections: HashMap<String, ParquetRowSelection>,
}

impl KeptRows {
    /// Wraps a listing of `files`, some of which have rows that do not count.
    pub(super) fn new<'a>(
        listing: ListingTable,
        store: &Store,
        files: impl Iterator<Item = &'a DataFile>,
    ) -> Result<Self> {
        let mut selections = HashMap::new();
        for file in files {
            if let Some(without) = &file.without {
                let name = store.path(file).file_name().unwrap_or_default().to_owned();
                selections.insert(name, ParquetRowSelection::new(selection(store, file, without)?));
            }
        }
        Ok(Self { listing, selections })
    }

    /// Returns a file as it is to be scanned.
    fn kept(&self, file: &PartitionedFile) -> PartitionedFile {
        let name = file.object_meta.location.filename().unwrap_or_default();
        let Some(selection) = self.selections.get(name) else { return file.clone() };
        let mut kept = file.clone().with_extension(selection.clone());
        kept.statistics = file.statistics.as_ref().map(|statistics| inexact(statistics));
        kept
    }
}

/// Returns which rows of a file are read.
fn selection(store: &Store, file: &DataFile, without: &DataFile) -> Result<RowSelection> {
    let external = |error| DataFusionError::External(Box::new(error));
    let mut selectors = Vec::new();
    let mut next = 0_usize;
    for row in read_row_numbers(store, without).map_err(external)? {
        let row = row as usize;
        if row > next {
            selectors.push(RowSelector::select(row - next));
        }
        selectors.push(RowSelector::skip(1));
        next = row + 1;
    }
    let rows = usize::try_from(file.sum.rows + without.sum.rows).unwrap_or(usize::MAX);
    if rows > next {
        selectors.push(RowSelector::select(rows - next));
    }
    Ok(RowSelection::from(selectors))
}

fn inexact(statistics: &Statistics) -> Arc<Statistics> {
    Arc::new(statistics.clone().to_inexact())
}

#[async_trait]
impl TableProvider for KeptRows {
    fn schema(&self) -> SchemaRef {
        self.listing.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.listing.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // With a limit the listing leaves out the files that it seems not to need, counting all of their rows.
        let plan = self.listing.scan(state, projection, filters, None).await?;
        let scan_kept = |node: Arc<dyn ExecutionPlan>| {
            let scan = node.downcast_ref::<DataSourceExec>().and_then(|scan| scan.data_source().downcast_ref());
            let Some(scan) = scan else { return Ok(Transformed::no(node)) };
            Ok(Transformed::yes(DataSourceExec::from_data_source(self.of_kept_rows(scan)) as Arc<dyn ExecutionPlan>))
        };
        Ok(plan.transform_up(scan_kept)?.data)
    }
}

impl KeptRows {
    /// Returns a scan that passes over the rows that do not count.
    fn of_kept_rows(&self, scan: &FileScanConfig) -> FileScanConfig {
        let groups = scan.file_groups.iter().map(|group| {
            let kept = FileGroup::new(group.iter().map(|file| self.kept(file)).collect());
            match group.file_statistics(None) {
                Some(statistics) => kept.with_statistics(inexact(statistics)),
                None => kept,
            }
        });
        let groups = groups.collect();
        FileScanConfigBuilder::from(scan.clone())
            .with_file_groups(groups)
            .with_statistics(scan.statistics().to_inexact())
            .build()
    }
}

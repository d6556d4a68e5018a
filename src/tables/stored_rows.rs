//! A listing of Parquet files of the warehouse, of which some rows may not count.
//!
//! A landed file that loses a few rows to later versions is not written again: its scan passes over them by their place
//! in the file. Promises that a query sees exactly the rows that count, that nothing is answered from what such
//! files say of all their rows, and that a query that fails over a damaged file names it.

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

use crate::engine::{Inspect, Inspection, inspected};
use crate::project::PartitionBy;
use crate::store::{DataFile, Store, StoreError, read_row_numbers};

/// A listing of stored files.
#[derive(Debug)]
pub(super) struct StoredRows {
    listing: ListingTable,
    /// How each file is scanned, by the last part of its path, which is unique in a warehouse.
    files: HashMap<String, Scanned>,
    /// Whether some of them lost rows.
    is_losing: bool,
}

/// How a file is scanned.
#[derive(Debug)]
struct Scanned {
    /// How it is found out whether it is damaged.
    inspection: Inspection,
    /// What is read of it, if it lost rows.
    selection: Option<ParquetRowSelection>,
}

impl StoredRows {
    /// Wraps a listing of `files`, whose rows have the columns of `own` and are told apart by `by`.
    pub(super) fn new(
        listing: ListingTable,
        store: &Store,
        files: &[&DataFile],
        own: &SchemaRef,
        by: Option<&PartitionBy>,
    ) -> Result<Self> {
        let scanned = |file: &&DataFile| {
            let name = store.path(file).file_name().unwrap_or_default().to_owned();
            let without = file.deletion_vector.as_ref();
            let selection = without.map(|without| selection(store, file, without)).transpose()?;
            let stored =
                StoredFile { store: store.clone(), file: (*file).clone(), schema: Arc::clone(own), by: by.cloned() };
            let inspection = Inspection(Arc::new(stored));
            Ok((name, Scanned { inspection, selection: selection.map(ParquetRowSelection::new) }))
        };
        let files = files.iter().map(scanned).collect::<Result<HashMap<_, _>>>()?;
        let is_losing = files.values().any(|file| file.selection.is_some());
        Ok(Self { listing, files, is_losing })
    }

    /// Returns a file as it is to be scanned.
    fn scanned(&self, file: &PartitionedFile) -> PartitionedFile {
        let name = file.object_meta.location.filename().unwrap_or_default();
        let Some(Scanned { inspection, selection }) = self.files.get(name) else { return file.clone() };
        let scanned = file.clone().with_extension(inspection.clone());
        let Some(selection) = selection else { return scanned };
        let mut kept = scanned.with_extension(selection.clone());
        kept.statistics = file.statistics.as_ref().map(|statistics| inexact(statistics));
        kept
    }
}

/// A file of the warehouse, with what was written down about it.
#[derive(Debug)]
struct StoredFile {
    store: Store,
    file: DataFile,
    schema: SchemaRef,
    by: Option<PartitionBy>,
}

impl Inspect for StoredFile {
    fn inspect(&self) -> Result<()> {
        self.store.inspect(&self.file, &self.schema, self.by.as_ref()).map_err(external)
    }

    fn is_proof(&self) -> bool {
        self.file.hash.is_some()
    }

    fn undecodable(&self, why: &str) -> DataFusionError {
        external(self.store.undecodable(&self.file, why))
    }
}

fn external(error: StoreError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Returns which rows of a file are read.
fn selection(store: &Store, file: &DataFile, without: &DataFile) -> Result<RowSelection> {
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
impl TableProvider for StoredRows {
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
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // With a limit the listing leaves out the files that it seems not to need, counting all of their rows.
        let limit = limit.filter(|_| !self.is_losing);
        // It reads the ends of the files already.
        let inspections: Vec<Inspection> = self.files.values().map(|file| file.inspection.clone()).collect();
        let plan = inspected(self.listing.scan(state, projection, filters, limit), inspections).await?;
        let scan_stored = |node: Arc<dyn ExecutionPlan>| {
            let scan = node.downcast_ref::<DataSourceExec>().and_then(|scan| scan.data_source().downcast_ref());
            let Some(scan) = scan else { return Ok(Transformed::no(node)) };
            Ok(Transformed::yes(DataSourceExec::from_data_source(self.of_stored_rows(scan)) as Arc<dyn ExecutionPlan>))
        };
        Ok(plan.transform_up(scan_stored)?.data)
    }
}

impl StoredRows {
    /// Returns a scan that passes over the rows that do not count, and knows how its files are inspected.
    fn of_stored_rows(&self, scan: &FileScanConfig) -> FileScanConfig {
        let groups = scan.file_groups.iter().map(|group| {
            let scanned = FileGroup::new(group.iter().map(|file| self.scanned(file)).collect());
            match group.file_statistics(None) {
                Some(statistics) if self.is_losing => scanned.with_statistics(inexact(statistics)),
                Some(statistics) => scanned.with_statistics(Arc::new(statistics.clone())),
                None => scanned,
            }
        });
        let scanned = FileScanConfigBuilder::from(scan.clone()).with_file_groups(groups.collect());
        if self.is_losing { scanned.with_statistics(scan.statistics().to_inexact()).build() } else { scanned.build() }
    }
}

//! Records that were quarantined and could have counted.
//!
//! Their bytes are cut into fields once more, and each field is read as the type of its column. Where that gives no value,
//! as it must somewhere, nothing is known of the column, and the record counts unless the others rule it out.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::CastOptions;
use arrow::datatypes::{Field, Int64Type, Schema};
use datafusion::common::{Column, DFSchema, DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::{SessionContext, lit};
use futures::StreamExt;
use serde::Serialize;

use super::{WhyError, WhyRequest};
use crate::ingest::{Locator, Reason};
use crate::project::SourceContract;
use crate::system_tables::SystemTable;

/// A record that was quarantined and could have counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PossibleRecord {
    /// Its file.
    pub file: String,
    /// The line on which it begins.
    pub line: i64,
    /// The rule that it broke.
    pub reason: String,
    /// What was expected and what was found.
    pub message: String,
}

/// Returns how many records of a dataset were quarantined that could fulfil a condition, and the first of them.
pub(super) async fn records(
    asked: WhyRequest<'_>,
    session: &SessionContext,
    contract: &SourceContract,
    condition: &Expr,
) -> Result<(u64, Vec<PossibleRecord>), WhyError> {
    let name = SystemTable::Quarantine.name();
    if asked.tables.state(name)?.is_none() {
        return Ok((0, Vec::new()));
    }
    let column = |name: &str| Expr::Column(Column::from_name(name));
    let mut judge = Judge::new(asked, session, contract, condition).map_err(WhyError::Engine)?;
    let read = async {
        let columns = ["file", "line", "reason", "message", "record"].map(column);
        let sort = [column("file"), column("line")].map(|column| column.sort(true, true)).to_vec();
        let of_dataset = column("dataset").eq(lit(contract.name.as_str()));
        let records = session.table(name).await?.filter(of_dataset)?.select(columns)?.sort(sort)?;
        let mut stream = records.execute_stream().await?;
        let (mut count, mut first) = (0, Vec::new());
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            for row in judge.could_count(&batch).await? {
                count += 1;
                if first.len() < asked.rows {
                    let text = |column: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
                    let line = batch.column(1).as_primitive::<Int64Type>().value(row);
                    first.push(PossibleRecord { file: text(0), line, reason: text(2), message: text(3) });
                }
            }
        }
        Ok((count, first))
    };
    read.await.map_err(WhyError::engine)
}

/// Tells which records could fulfil a condition.
struct Judge<'a> {
    asked: WhyRequest<'a>,
    contract: &'a SourceContract,
    schema: Arc<Schema>,
    condition: Arc<dyn PhysicalExpr>,
    /// By file, and of rows that were quarantined in clean by none.
    locators: BTreeMap<Option<String>, Option<Locator<'a>>>,
}

impl<'a> Judge<'a> {
    fn new(
        asked: WhyRequest<'a>,
        session: &SessionContext,
        contract: &'a SourceContract,
        condition: &Expr,
    ) -> Result<Self> {
        let fields = contract.columns.iter().map(|(name, column)| Field::new(name, column.kind.arrow(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let condition =
            session.create_physical_expr(condition.clone(), &DFSchema::try_from(schema.as_ref().clone())?)?;
        Ok(Self { asked, contract, schema, condition, locators: BTreeMap::new() })
    }

    /// Returns the rows of a batch of `dq_quarantine` (file, line, reason, message, record) that could.
    async fn could_count(&mut self, batch: &RecordBatch) -> Result<Vec<usize>> {
        let mut texts: Vec<Vec<Option<String>>> = vec![Vec::new(); self.schema.fields().len()];
        let text = |column: usize, row: usize| batch.column(column).as_string::<i32>().value(row);
        for row in 0..batch.num_rows() {
            let file = (text(2, row) != Reason::Reference.as_str()).then(|| text(0, row).to_owned());
            let record = batch.column(4).as_binary::<i32>().value(row);
            let contract = self.contract;
            let mut locator = self.locator(file).await;
            for (column, name) in contract.columns.keys().enumerate() {
                let place = locator.as_mut().and_then(|locator| locator.places(record, name).into_iter().next());
                let found = place.and_then(|place| std::str::from_utf8(record.get(place)?).ok());
                texts[column].push(found.map(|text| text.trim_matches('"').to_owned()));
            }
        }
        let cast = |(texts, field): (Vec<Option<String>>, &Arc<Field>)| {
            let texts: ArrayRef = Arc::new(StringArray::from(texts));
            let lenient = CastOptions { safe: true, ..CastOptions::default() };
            arrow::compute::cast_with_options(&texts, field.data_type(), &lenient)
        };
        let columns = texts.into_iter().zip(self.schema.fields()).map(cast).collect::<Result<Vec<_>, _>>()?;
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let found = self.condition.evaluate(&rows)?.into_array(rows.num_rows())?;
        let Some(found) = found.as_boolean_opt() else {
            return Err(DataFusionError::Internal("a condition is true or false".to_owned()));
        };
        Ok((0..rows.num_rows()).filter(|&row| found.is_null(row) || found.value(row)).collect())
    }

    async fn locator(&mut self, file: Option<String>) -> Option<&mut Locator<'a>> {
        if !self.locators.contains_key(&file) {
            let project = &self.asked.workspace.project;
            let opened = match &file {
                Some(path) => Locator::open(&project.root, self.contract, &project.settings.limits, path).await,
                None => Some(Locator::of_rows(self.contract)),
            };
            self.locators.insert(file.clone(), opened);
        }
        self.locators.get_mut(&file)?.as_mut()
    }
}

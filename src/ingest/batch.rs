//! A batch of cells to a batch of rows.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{FilterBuilder, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use chrono::{DateTime, Utc};

use super::cells::{CellTable, Span};
use super::column_fit::ColumnFit;
use super::cross_column::{Flag, Rule};
use super::erased::Erased;
use super::lateness::LatenessLimits;
use super::parse::{Column, ValueError};
use super::problem::{ColumnMismatch, FileProblem, ReadError};
use super::quarantine::Reason;
use crate::digest::Digest;
use crate::project::SourceContract;

/// The column that says on which line of its file a row starts.
pub const LINE_COLUMN: &str = "_line";
/// The column that says at which byte of its decoded file a row starts.
pub const OFFSET_COLUMN: &str = "_offset";

/// Returns the schema of the rows of a contract: its columns in order, then where each row comes from.
///
/// A column is nullable unless it is required or in the key.
#[must_use]
pub fn row_schema(contract: &SourceContract) -> SchemaRef {
    let mut fields = Vec::with_capacity(contract.columns.len() + 2);
    for (name, column) in &contract.columns {
        let required = column.rules.required || contract.key.contains(name);
        fields.push(Field::new(name, column.kind.arrow(), !required));
    }
    fields.push(Field::new(LINE_COLUMN, DataType::Int64, false));
    fields.push(Field::new(OFFSET_COLUMN, DataType::Int64, false));
    Arc::new(Schema::new(fields))
}

/// The columns of a contract, ready to turn the cells of one file into rows.
#[derive(Debug)]
pub(super) struct RowBuilder {
    schema: SchemaRef,
    columns: Vec<Column>,
    /// For each column, the value that the path gives it, if it does.
    constants: Vec<Option<ArrayRef>>,
    /// What each column made of the file so far.
    fits: Vec<ColumnFit>,
    /// The columns whose values come from those of the others.
    marks: Vec<Flag>,
    /// What the values of a row must keep to together.
    rules: Vec<Rule>,
    /// What the landing of the file says of the times in it.
    times: LatenessLimits,
    /// Values of which nothing may be kept.
    erased: Erased,
}

/// One record that is quarantined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) span: Span,
    pub(super) reason: Reason,
    /// The column's place in the contract, if one is at fault.
    pub(super) column: Option<usize>,
    pub(super) message: String,
}

/// Which rows of a batch are right.
struct Verdict<'a> {
    spans: &'a [Span],
    /// Made when the first row fails.
    keep: Vec<bool>,
    failures: &'a mut Vec<Failure>,
}

impl Verdict<'_> {
    #[cold]
    fn fail(&mut self, row: usize, column: usize, explain: impl FnOnce() -> ValueError) {
        if self.keep.is_empty() {
            self.keep.resize(self.spans.len(), true);
        }
        if self.keep[row] {
            let ValueError { reason, message } = explain();
            let span = self.spans[row];
            self.failures.push(Failure { span, reason, column: Some(column), message });
            self.drop_record(row);
        }
    }

    /// The record is quarantined, and so none of its rows is kept.
    fn drop_record(&mut self, row: usize) {
        let span = self.spans[row];
        let is_of_it = |other: &&Span| other.is_of_one_record(&span);
        let before = self.spans[..row].iter().rev().take_while(is_of_it).count();
        let after = self.spans[row..].iter().take_while(is_of_it).count();
        self.keep[row - before..row + after].fill(false);
    }

    /// Quarantines the record of a row as one of which nothing may be kept, whatever else is wrong with it.
    fn erase(&mut self, row: usize, column: usize) {
        if self.keep.is_empty() {
            self.keep.resize(self.spans.len(), true);
        }
        let span = self.spans[row];
        self.failures.retain(|failure| failure.span.start != span.start);
        let message = "nothing of its record may be kept".to_owned();
        self.failures.push(Failure { span, reason: Reason::Erased, column: Some(column), message });
        self.drop_record(row);
    }
}

impl RowBuilder {
    pub(super) fn new<E>(
        contract: &SourceContract,
        from_path: &[(String, String)],
        landed_at: Option<DateTime<Utc>>,
    ) -> Result<Self, ReadError<E>> {
        let mut columns = Vec::with_capacity(contract.columns.len());
        let mut constants = Vec::with_capacity(contract.columns.len());
        for (name, declared) in &contract.columns {
            let column = Column::new(contract, name, declared)?;
            let given = from_path.iter().find(|(column, _)| column == name);
            let value = given.map(|(_, text)| column.read_one(text)).transpose();
            constants.push(value.map_err(|misfit| FileProblem::BadCapture { column: name.clone(), misfit })?);
            columns.push(column);
        }
        let fits = vec![ColumnFit::default(); columns.len()];
        Ok(Self {
            schema: row_schema(contract),
            columns,
            constants,
            fits,
            marks: Flag::all(contract)?,
            rules: Rule::all(contract)?,
            times: LatenessLimits::new(contract, landed_at),
            erased: Erased::new(contract)?,
        })
    }

    /// Returns each column that does not fit the file as a whole, as far as that can be said now.
    pub(super) fn unfit(&self, at_end: bool) -> Vec<ColumnMismatch> {
        self.fits().filter_map(|(name, fit)| fit.unfit(name, at_end)).collect()
    }

    /// Returns what each column made of the file so far, in the order of the contract.
    pub(super) fn fits(&self) -> impl Iterator<Item = (&str, &ColumnFit)> {
        self.columns.iter().map(Column::name).zip(&self.fits)
    }

    /// Returns whether there are records of which nothing may be kept.
    pub(super) fn erases(&self) -> bool {
        !self.erased.is_empty()
    }

    /// Returns the digests of values that were found of which nothing may be kept.
    pub(super) fn into_met(self) -> BTreeSet<Digest> {
        self.erased.into_met()
    }

    /// Returns the name of the column at a place of the contract.
    pub(super) fn name(&self, column: usize) -> &str {
        self.columns[column].name()
    }

    /// Turns cells into rows, and counts the records that are late and kept all the same; records that do not fit are
    /// added to `failures`.
    pub(super) fn rows(
        &mut self,
        table: CellTable<'_>,
        failures: &mut Vec<Failure>,
    ) -> Result<(RecordBatch, u64), ArrowError> {
        let spans = table.cells.spans();
        let mut verdict = Verdict { spans, keep: Vec::new(), failures };
        let mut arrays = Vec::with_capacity(self.schema.fields().len());
        for (at, column) in self.columns.iter().enumerate() {
            arrays.push(match (&self.constants[at], table.column(at)) {
                (Some(value), _) => repeat(value, spans.len())?,
                (None, Some(cells)) => {
                    let (fit, mut last) = (&mut self.fits[at], None);
                    // Once of each record. Texts are read twice where some are not UTF-8, and what no normaliser takes
                    // has no value either.
                    let mut explained = HashSet::new();
                    let values = column.read(cells, &mut |row, fault, text| {
                        if fit.is_open() && explained.insert(spans[row].start) {
                            fit.misfit(column.explain(fault, text), spans[row].line);
                            last = Some(row);
                        }
                        verdict.fail(row, at, || column.explain(fault, text));
                    });
                    // However the file is cut into batches: what stands behind enough of them is not asked.
                    let asked = last.filter(|_| fit.is_enough()).map_or(values.len(), |row| row + 1);
                    if !fit.has_one() && values.slice(0, asked).null_count() < asked {
                        fit.fits();
                    }
                    values
                }
                (None, None) => new_null_array(self.schema.field(at).data_type(), spans.len()),
            });
        }
        for mark in &self.marks {
            arrays[mark.column] = mark.values(&arrays)?;
        }
        for rule in &self.rules {
            rule.check(&arrays, |row, explain| verdict.fail(row, rule.column(), explain))?;
        }
        self.times.check(&arrays, |row, column, explain| verdict.fail(row, column, explain));
        self.erased.find(&arrays, table, |row, column| verdict.erase(row, column))?;
        let late = self.times.kept_late(&arrays, spans, &verdict.keep);
        let lines = spans.iter().map(|span| span.line.cast_signed());
        arrays.push(Arc::new(Int64Array::from_iter_values(lines)));
        let offsets = spans.iter().map(|span| (table.base + u64::from(span.start)).cast_signed());
        arrays.push(Arc::new(Int64Array::from_iter_values(offsets)));
        if !verdict.keep.is_empty() {
            let filter = FilterBuilder::new(&BooleanArray::from(verdict.keep)).optimize().build();
            for array in &mut arrays {
                *array = filter.filter(array)?;
            }
        }
        Ok((RecordBatch::try_new(Arc::clone(&self.schema), arrays)?, late))
    }
}

/// Returns an array that has the one value of `value` in every row.
fn repeat(value: &ArrayRef, rows: usize) -> Result<ArrayRef, ArrowError> {
    take(value, &UInt32Array::from_value(0, rows), None)
}

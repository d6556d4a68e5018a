//! Counts what became of rows, and keeps the few that are shown.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, StringArray};
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::{SortOptions, filter, filter_record_batch};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use arrow::error::ArrowError;
use arrow::row::SortField;
use serde::Serialize;

use super::change::changes;
use super::query::{ADDED, CHANGED, FIRST, REMOVED, SAME, STATUS, TIMES, Terms};
use crate::project::Limit;
use crate::top_k::{Least, Row, as_texts};

/// A row whose values are others than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedRow {
    /// What tells it from others.
    pub key: Row,
    /// The columns in which it differs.
    pub columns: Vec<ChangedValue>,
}

/// A value that is another one than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedValue {
    /// The column.
    pub column: String,
    /// The value before; a null has none.
    pub before: Option<String>,
    /// The value now.
    pub after: Option<String>,
}

/// A number that moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Movement {
    /// What tells its row from others.
    pub key: Row,
    /// The column.
    pub column: String,
    /// The number before.
    pub before: String,
    /// The number now.
    pub after: String,
    /// The difference.
    pub by: f64,
    /// The difference as a share of what was; nothing where that was zero.
    pub relative: Option<f64>,
}

/// How many rows came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) same: u64,
    pub(super) added: u64,
    pub(super) removed: u64,
    pub(super) changed: u64,
}

/// What is looked for in the rows of a query.
#[derive(Debug)]
pub(super) struct Tally {
    terms: Terms,
    pub(super) counts: Counts,
    /// The least rows that were added, removed and changed, where some are shown.
    rows: Option<[Least; 3]>,
    /// The numbers that are looked at.
    watched: Vec<Watched>,
}

/// Columns whose movements are looked at together.
#[derive(Debug)]
struct Watched {
    /// Their places among those that may differ.
    columns: Vec<usize>,
    /// How far a number may move without being told of.
    limit: Option<Limit>,
    count: u64,
    greatest: Least,
}

impl Tally {
    pub(super) fn new(terms: &Terms) -> Self {
        Self { terms: terms.clone(), counts: Counts::default(), rows: None, watched: Vec::new() }
    }

    /// Keeps so many of the rows that were added, removed and changed each.
    pub(super) fn show(mut self, rows: usize) -> Result<Self, ArrowError> {
        if rows > 0 {
            let least = || Least::new(rows, self.key_order());
            self.rows = Some([least()?, least()?, least()?]);
        }
        Ok(self)
    }

    /// Keeps so many of the movements in these columns that go beyond a limit, the greatest of all of them.
    pub(super) fn watch(
        mut self,
        columns: Vec<usize>,
        limit: Option<Limit>,
        movements: usize,
    ) -> Result<Self, ArrowError> {
        // What begins at zero is greater than any share.
        let descending = SortOptions { descending: true, nulls_first: true };
        let mut order = vec![SortField::new_with_options(DataType::Float64, descending); 2];
        order.extend(self.key_order());
        order.push(SortField::new(DataType::Utf8));
        let greatest = Least::new(movements, order)?;
        self.watched.push(Watched { columns, limit, count: 0, greatest });
        Ok(self)
    }

    /// Returns whether more than the status of rows is needed.
    pub(super) fn needs_values(&self) -> bool {
        self.rows.is_some() || !self.watched.is_empty()
    }

    fn key_order(&self) -> Vec<SortField> {
        self.terms.key.iter().map(|column| SortField::new(column.kind.arrow())).collect()
    }

    /// Takes in some rows of a query.
    pub(super) fn take(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let statuses = batch.column(STATUS).as_primitive::<Int64Type>();
        let times = batch.column(TIMES).as_primitive::<Int64Type>();
        for (status, times) in statuses.values().iter().zip(times.values()) {
            let times = times.unsigned_abs();
            match *status {
                SAME => self.counts.same += times,
                ADDED => self.counts.added += times,
                REMOVED => self.counts.removed += times,
                _ => self.counts.changed += times,
            }
        }
        if !self.needs_values() {
            return Ok(());
        }
        let of = |wanted: i64| {
            let is_wanted: BooleanArray = statuses.iter().map(|status| Some(status == Some(wanted))).collect();
            filter_record_batch(batch, &is_wanted)
        };
        let changed = of(CHANGED)?;
        for watched in &mut self.watched {
            watched.take(&self.terms, &changed)?;
        }
        if let Some(kept) = &mut self.rows {
            for (kept, batch) in kept.iter_mut().zip([of(ADDED)?, of(REMOVED)?, changed]) {
                kept.take(&batch.columns()[FIRST..FIRST + self.terms.key.len()], &batch)?;
            }
        }
        Ok(())
    }

    /// Returns the rows that were kept, and what came of each watch.
    pub(super) fn finish(self) -> Result<(Rows, Vec<Seen>), ArrowError> {
        let terms = &self.terms;
        let (keys, others) = (terms.key.len(), terms.others.len());
        let mut rows = Rows::default();
        if let Some([added, removed, changed]) = self.rows {
            let (before, after) =
                (FIRST + keys..FIRST + keys + others, FIRST + keys + others..FIRST + keys + 2 * others);
            let whole = |row: &RecordBatch, side: &std::ops::Range<usize>| named(terms, row, side.clone());
            for row in added.into_rows() {
                rows.added.extend(as_texts(&whole(&row, &after)?)?);
            }
            for row in removed.into_rows() {
                rows.removed.extend(as_texts(&whole(&row, &before)?)?);
            }
            for row in changed.into_rows() {
                let (before, after) = (whole(&row, &before)?, whole(&row, &after)?);
                rows.changed.extend(changed_row(keys, &before, &after)?);
            }
        }
        let seen = self.watched.into_iter().map(|watched| {
            let greatest = watched.greatest.into_rows();
            let greatest = greatest.iter().map(|row| movement(keys, row)).collect::<Result<_, _>>()?;
            Ok(Seen { count: watched.count, greatest })
        });
        Ok((rows, seen.collect::<Result<_, ArrowError>>()?))
    }
}

/// What was seen in columns that were watched.
#[derive(Debug)]
pub(super) struct Seen {
    /// How many numbers moved beyond the limit.
    pub(super) count: u64,
    /// The movements that were kept, the greatest first.
    pub(super) greatest: Vec<Movement>,
}

/// The rows that are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rows {
    /// Rows of the later side alone.
    pub added: Vec<Row>,
    /// Rows of the earlier side alone.
    pub removed: Vec<Row>,
    /// Rows of both sides with other values.
    pub changed: Vec<ChangedRow>,
}

impl Watched {
    /// Looks for movements in rows that changed.
    fn take(&mut self, terms: &Terms, changed: &RecordBatch) -> Result<(), ArrowError> {
        let (keys, others) = (terms.key.len(), terms.others.len());
        for &at in &self.columns {
            let (before, after) = (changed.column(FIRST + keys + at), changed.column(FIRST + keys + others + at));
            let mut found = changes(before, after)?;
            if let Some(limit) = self.limit {
                found.iter_mut().for_each(|change| *change = change.filter(|change| !change.is_within(limit)));
            }
            let moved: BooleanArray = found.iter().map(|change| Some(change.is_some())).collect();
            if moved.true_count() == 0 {
                continue;
            }
            self.count += moved.true_count() as u64;
            let found: Vec<_> = found.into_iter().flatten().collect();
            let by = || found.iter().map(|change| change.by);
            let relative = || found.iter().map(|change| change.relative);
            let size: Float64Array = by().map(|by| Some(by.abs())).collect();
            let share: Float64Array = relative().map(|relative| relative.map(f64::abs)).collect();
            let name = &terms.others[at].name;
            let names: ArrayRef = Arc::new(StringArray::from(vec![name.as_str(); found.len()]));
            let only = |column: &ArrayRef| filter(column, &moved);
            let key = changed.columns()[FIRST..FIRST + keys].iter().map(only).collect::<Result<Vec<_>, _>>()?;
            let mut order: Vec<ArrayRef> = vec![Arc::new(share), Arc::new(size)];
            order.extend(key.iter().cloned());
            order.push(Arc::clone(&names));
            let mut columns = key;
            columns.extend([names, only(before)?, only(after)?]);
            columns.push(Arc::new(by().map(Some).collect::<Float64Array>()));
            columns.push(Arc::new(relative().collect::<Float64Array>()));
            let shown = terms.key.iter().map(|column| column.name.as_str());
            let shown = shown.chain(["column", "before", "after", "by", "relative"]);
            let fields = shown.zip(&columns).map(|(name, column)| Field::new(name, column.data_type().clone(), true));
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            self.greatest.take(&order, &RecordBatch::try_new(schema, columns)?)?;
        }
        Ok(())
    }
}

/// Returns the key of some rows and their values on one side, under the names of the table.
fn named(terms: &Terms, batch: &RecordBatch, side: std::ops::Range<usize>) -> Result<RecordBatch, ArrowError> {
    let places = (FIRST..FIRST + terms.key.len()).chain(side);
    let columns: Vec<ArrayRef> = places.map(|at| Arc::clone(batch.column(at))).collect();
    let names = terms.key.iter().chain(&terms.others).map(|column| column.name.as_str());
    let fields = names.zip(&columns).map(|(name, column)| Field::new(name, column.data_type().clone(), true));
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns)
}

/// Returns one row that changed, given on both sides.
fn changed_row(keys: usize, before: &RecordBatch, after: &RecordBatch) -> Result<Option<ChangedRow>, ArrowError> {
    let differs = (0..before.num_columns())
        .map(|at| Ok(distinct(before.column(at), after.column(at))?.value(0)))
        .collect::<Result<Vec<bool>, ArrowError>>()?;
    let (Some(before), Some(Row(mut after))) = (as_texts(before)?.pop(), as_texts(after)?.pop()) else {
        return Ok(None);
    };
    let others = after.split_off(keys);
    let pairs = before.0.into_iter().skip(keys).zip(others).zip(differs.into_iter().skip(keys));
    let columns = pairs
        .filter(|(_, differs)| *differs)
        .map(|(((column, before), (_, after)), _)| ChangedValue { column, before, after })
        .collect();
    Ok(Some(ChangedRow { key: Row(after), columns }))
}

fn movement(keys: usize, row: &RecordBatch) -> Result<Movement, ArrowError> {
    let number = |at: usize| {
        let numbers = row.column(at).as_primitive::<Float64Type>();
        numbers.is_valid(0).then(|| numbers.value(0))
    };
    let mut key = as_texts(row)?.pop().map(|row| row.0).unwrap_or_default();
    let mut values = key.split_off(keys).into_iter().map(|(_, value)| value.unwrap_or_default());
    let mut next = || values.next().unwrap_or_default();
    let (column, before, after) = (next(), next(), next());
    Ok(Movement {
        key: Row(key),
        column,
        before,
        after,
        by: number(keys + 3).unwrap_or_default(),
        relative: number(keys + 4),
    })
}

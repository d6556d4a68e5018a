//! Text, as it stands.

use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer};

use super::{Column, ColumnCells, Fail, ValueFault};
use crate::ingest::cells::MOST_BYTES;
use crate::ingest::rules::Texts;
use crate::project::Rules;

/// Any UTF-8 text, without trimming, and the texts that are allowed.
#[derive(Debug)]
pub(super) struct Strings {
    allowed: Texts,
}

impl Strings {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { allowed: Texts::new(&rules.values) }
    }

    /// Reads a column of cells.
    pub(super) fn read(&self, column: &Column, cells: ColumnCells<'_>, fail: &mut Fail<'_>) -> ArrayRef {
        let mut taken = self.take(column, cells, false, fail);
        // Asking once whether all texts together are UTF-8, cut between characters, is much faster than asking of each.
        if taken.is_none() {
            taken = self.take(column, cells, true, fail);
        }
        Arc::new(taken.unwrap_or_else(|| StringArray::new_null(cells.len())))
    }

    /// Reads the cells, each checked to be UTF-8 if `careful`; returns nothing if Arrow finds one that is not.
    fn take(&self, column: &Column, cells: ColumnCells<'_>, careful: bool, fail: &mut Fail<'_>) -> Option<StringArray> {
        let mut texts = Vec::with_capacity(cells.text_bytes());
        let mut offsets = Vec::with_capacity(cells.len() + 1);
        let mut nulls = NullBufferBuilder::new(cells.len());
        offsets.push(0);
        for (row, cell) in cells.iter().enumerate() {
            let text = self.text(column, cell, careful).unwrap_or_else(|fault| {
                fail(row, fault, cell);
                None
            });
            texts.extend_from_slice(text.unwrap_or_default());
            offsets.push(narrow(texts.len()));
            nulls.append(text.is_some());
        }
        StringArray::try_new(OffsetBuffer::new(offsets.into()), Buffer::from_vec(texts), nulls.finish()).ok()
    }

    #[inline]
    fn text<'a>(&self, column: &Column, cell: Option<&'a [u8]>, careful: bool) -> Result<Option<&'a [u8]>, ValueFault> {
        let Some(text) = cell.filter(|text| !column.nulls.has(text)) else {
            return if column.required { Err(ValueFault::Null) } else { Ok(None) };
        };
        if careful && std::str::from_utf8(text).is_err() {
            return Err(ValueFault::Encoding);
        }
        if !self.allowed.allow(text) {
            return Err(ValueFault::Enum);
        }
        column.check_pattern(text)?;
        Ok(Some(text))
    }
}

/// Narrows an offset, which the size of the window keeps within 31 bits.
#[inline]
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "the cells share less than 2 GiB")]
fn narrow(offset: usize) -> i32 {
    debug_assert!(offset <= 2 * MOST_BYTES);
    offset as i32
}

//! Records of which nothing may be kept, told by the digests of their values.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::cells::Cells;
use crate::digest::Digest;
use crate::project::{SourceContract, subject};

/// The columns of a contract with values of which nothing may be kept.
#[derive(Debug)]
pub(super) struct Erased {
    dataset: String,
    /// The column's place in the contract, its name, and the digests.
    columns: Vec<(usize, String, BTreeSet<Digest>)>,
}

impl Erased {
    pub(super) fn new(contract: &SourceContract) -> Self {
        let column = |(name, digests): (&String, &BTreeSet<Digest>)| {
            Some((contract.columns.get_index_of(name)?, name.clone(), digests.clone()))
        };
        Self { dataset: contract.name.clone(), columns: contract.erased.iter().filter_map(column).collect() }
    }

    /// Returns whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Tells `erase` of each row that has such a value, as it is read or as it stands in the file.
    pub(super) fn find(
        &self,
        arrays: &[ArrayRef],
        cells: &Cells,
        (width, slots): (usize, &[Option<usize>]),
        bytes: &[u8],
        mut erase: impl FnMut(usize, usize),
    ) -> Result<(), ArrowError> {
        for (at, name, digests) in &self.columns {
            let is_erased = |text: &[u8]| digests.contains(&subject(&self.dataset, name, text));
            let values = cast(&arrays[*at], &DataType::Utf8)?;
            let values = values.as_string::<i32>();
            let texts = slots[*at].map(|slot| cells.column(slot, width, bytes));
            for row in 0..values.len() {
                let read = values.is_valid(row).then(|| values.value(row).as_bytes());
                let written = texts.and_then(|texts| texts.get(row)).map(<[u8]>::trim_ascii);
                if read.is_some_and(is_erased) || written.filter(|text| read != Some(text)).is_some_and(is_erased) {
                    erase(row, *at);
                }
            }
        }
        Ok(())
    }
}

//! Records of which nothing may be kept, told by the digests of their values.
//!
//! Whatever is written so that it is the same value is the same person: a field, and a value that somebody asks for, are
//! brought to what the contract makes of them, whatever its rules say of that, and written in one way before they are
//! digested. A text of which the contract makes nothing may still be what the tables show of a value, and is read as its
//! type alone reads it. One that is nothing at all is what it is, without white space around it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;

use super::cells::CellTable;
use super::parse::{Column, ValueError};
use super::problem::ContractProblem;
use super::quarantine::Reason;
use crate::digest::Digest;
use crate::project::{SourceContract, subject};

/// Returns the value that a text stands for in a column, in the one way in which it is written to be digested; nothing
/// where it stands for no value.
///
/// # Errors
/// When it is none that the column could have.
pub fn meant(contract: &SourceContract, column: &str, text: &str) -> Result<Option<String>, ValueError> {
    let not_read = |message: String| ValueError { reason: Reason::Type, message };
    let meaning = Meaning::new(contract, column).map_err(|problem| not_read(problem.message))?;
    let value = meaning.declared.read_one(text).or_else(|misfit| meaning.plain.read_one(text).map_err(|_| misfit))?;
    Ok(written(&value).map_err(|error| not_read(error.to_string()))?.next().flatten().filter(|text| !text.is_empty()))
}

/// What the texts of a column stand for.
#[derive(Debug)]
struct Meaning {
    /// As its contract reads it, without its rules.
    declared: Column,
    /// As its type alone reads it.
    plain: Column,
}

impl Meaning {
    fn new(contract: &SourceContract, name: &str) -> Result<Self, ContractProblem> {
        let column = contract.columns.get(name).ok_or_else(|| ContractProblem {
            column: name.to_owned(),
            message: format!("`{}` has no column `{name}`", contract.name),
        })?;
        let declared = Column::without_rules(contract, name, column)?;
        Ok(Self { declared, plain: Column::of_its_type(contract, name, column)? })
    }

    /// Returns what a text is that the contract could not read.
    fn unread(&self, text: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(text);
        let plain = self.plain.read_one(&text).ok().and_then(|value| written(&value).ok()?.next()?);
        plain.unwrap_or_else(|| text.trim().to_owned()).into_bytes()
    }
}

/// Returns values as they are written to be digested.
fn written(values: &ArrayRef) -> Result<impl Iterator<Item = Option<String>>, ArrowError> {
    let values: ArrayRef = match values.as_primitive_opt::<Float64Type>() {
        // There is one zero.
        Some(numbers) => Arc::new(numbers.unary::<_, Float64Type>(|number| number + 0.0)),
        None => Arc::clone(values),
    };
    let texts = cast(&values, &DataType::Utf8)?;
    let text = move |row: usize| {
        let texts = texts.as_string::<i32>();
        texts.is_valid(row).then(|| texts.value(row).trim().to_owned())
    };
    Ok((0..values.len()).map(text))
}

/// The columns of a contract with values of which nothing may be kept.
#[derive(Debug)]
pub(super) struct Erased {
    dataset: String,
    columns: Vec<Wiped>,
    /// The digests that were met.
    met: BTreeSet<Digest>,
}

/// A column with such values.
#[derive(Debug)]
struct Wiped {
    name: String,
    /// Its place in the contract.
    at: usize,
    meaning: Meaning,
    digests: BTreeSet<Digest>,
}

impl Erased {
    pub(super) fn new(contract: &SourceContract) -> Result<Self, ContractProblem> {
        let mut columns = Vec::with_capacity(contract.erased.len());
        for (name, digests) in &contract.erased {
            let Some(at) = contract.columns.get_index_of(name) else { continue };
            let meaning = Meaning::new(contract, name)?;
            columns.push(Wiped { name: name.clone(), at, meaning, digests: digests.clone() });
        }
        Ok(Self { dataset: contract.name.clone(), columns, met: BTreeSet::new() })
    }

    /// Returns whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Returns the digests of the values that were found.
    pub(super) fn into_met(self) -> BTreeSet<Digest> {
        self.met
    }

    /// Calls `erase` with each row that has such a value, fit or not.
    pub(super) fn find(
        &mut self,
        arrays: &[ArrayRef],
        table: CellTable<'_>,
        mut erase: impl FnMut(usize, usize),
    ) -> Result<(), ArrowError> {
        for Wiped { name, at, meaning, digests } in &self.columns {
            // What the path gives, and marks, stand in no field.
            let texts = table.column(*at);
            let mut unread = BTreeSet::new();
            let values = match texts {
                None => Arc::clone(&arrays[*at]),
                Some(texts) => meaning.declared.read(texts, &mut |row, _, _| {
                    unread.insert(row);
                }),
            };
            for (row, value) in written(&values)?.enumerate() {
                let text = texts.filter(|_| unread.contains(&row)).and_then(|texts| texts.get(row));
                let value = text.map(|text| meaning.unread(text)).or(value.map(String::into_bytes));
                let Some(digest) = value.map(|value| subject(&self.dataset, name, &value)) else { continue };
                if digests.contains(&digest) {
                    self.met.insert(digest);
                    erase(row, *at);
                }
            }
        }
        Ok(())
    }
}

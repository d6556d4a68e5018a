//! What goes across the columns of a record, asked of a batch of rows: rules, and marks.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::error::ArrowError;

use super::condition::Condition;
use super::parse::ValueError;
use super::problem::ContractProblem;
use super::quarantine::{Reason, quoted};
use crate::project::{RuleReason, SourceContract};

/// A rule, ready to be asked.
#[derive(Debug)]
pub(super) struct Rule {
    name: String,
    condition: Condition,
    reason: Reason,
}

impl Rule {
    /// Makes the rules of a contract ready.
    pub(super) fn all(contract: &SourceContract) -> Result<Vec<Self>, ContractProblem> {
        let ready = |rule: &crate::project::RecordRule| {
            let reason = match rule.reason {
                RuleReason::Rule => Reason::Rule,
                RuleReason::Ohlc => Reason::Ohlc,
                RuleReason::Sum => Reason::Sum,
                RuleReason::Bot => Reason::Bot,
                RuleReason::Test => Reason::Test,
            };
            Ok(Self { name: rule.name.clone(), condition: Condition::new(contract, &rule.condition)?, reason })
        };
        contract.rules.iter().map(ready).collect()
    }

    /// Returns the place in the contract of the column that a record is told to be at fault in.
    pub(super) fn column(&self) -> usize {
        self.condition.left()
    }

    /// Tells `fail` of each row that breaks the rule; a row in which one of the values is null keeps it.
    pub(super) fn check(
        &self,
        columns: &[ArrayRef],
        mut fail: impl FnMut(usize, &dyn Fn() -> ValueError),
    ) -> Result<(), ArrowError> {
        let answer = self.condition.ask(columns)?;
        let broken = known(&answer, &!answer.values());
        broken.set_indices().for_each(|row| fail(row, &|| self.misfit(columns, row)));
        Ok(())
    }

    fn misfit(&self, columns: &[ArrayRef], row: usize) -> ValueError {
        let expected = quoted(self.condition.text().as_bytes());
        let found = self.condition.found(columns, row);
        ValueError {
            reason: self.reason,
            message: format!("expected {expected} (rule `{}`), found {found}", self.name),
        }
    }
}

/// A column that is true where one of its conditions holds, and false elsewhere.
#[derive(Debug)]
pub(super) struct Flag {
    /// The column's place in the contract.
    pub(super) column: usize,
    true_if: Vec<Condition>,
}

impl Flag {
    /// Makes the marks of a contract ready.
    pub(super) fn all(contract: &SourceContract) -> Result<Vec<Self>, ContractProblem> {
        let marks = contract.columns.values().enumerate().filter(|(_, column)| column.is_mark());
        let ready = |(column, declared): (usize, &crate::project::SourceColumn)| {
            let true_if = declared.true_if.iter().map(|condition| Condition::new(contract, condition));
            Ok(Self { column, true_if: true_if.collect::<Result<_, _>>()? })
        };
        marks.map(ready).collect()
    }

    /// Returns its values, none of them null: of `columns` it asks those that are no marks.
    pub(super) fn values(&self, columns: &[ArrayRef]) -> Result<ArrayRef, ArrowError> {
        let rows = columns.first().map_or(0, |column| column.len());
        let mut values = BooleanBuffer::new_unset(rows);
        for condition in &self.true_if {
            let answer = condition.ask(columns)?;
            values = &values | &known(&answer, answer.values());
        }
        Ok(Arc::new(BooleanArray::new(values, None)))
    }
}

/// Returns those of `rows` to which there is an answer.
fn known(answer: &BooleanArray, rows: &BooleanBuffer) -> BooleanBuffer {
    use arrow::array::Array;
    answer.nulls().map_or_else(|| rows.clone(), |nulls| rows & nulls.inner())
}

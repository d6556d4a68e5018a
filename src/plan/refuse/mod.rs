//! Refuses what the engine is known to answer wrongly, and what can hardly be meant, with the way out.
//!
//! Each file looks for one kind in a bound plan. What can be answered rightly by another plan is not here but in
//! `engine`; `tests/it/engine_faults.rs` tells of each fault, and fails as soon as the engine no longer has it.

mod conditions;
mod durations;
mod groups;
mod sets;
mod subqueries;

use std::fmt;
use std::ops::Range;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::query::{Query, bytes};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};

/// A query that is refused while it is planned.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) help: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for DataFusionError {
    fn from(refusal: Refusal) -> Self {
        Self::External(Box::new(refusal))
    }
}

impl Refusal {
    /// Returns what was refused, if that is why planning ended.
    pub(super) fn of(error: &DataFusionError) -> Option<&Self> {
        match error {
            DataFusionError::External(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// Returns it at its place in the text.
    pub(super) fn diagnostic(&self, file: &SourceFile) -> Diagnostic {
        let at = bytes(file, self.span);
        let at = if at.is_empty() { file.whole() } else { file.at(at) };
        Diagnostic::new(self.code, at, self.message.as_str()).help(self.help.as_str())
    }
}

/// Returns everything in a bound query that is refused.
pub(super) fn refused(file: &SourceFile, query: &Query, plan: &LogicalPlan) -> Diagnostics {
    let mut mistakes = Diagnostics::default();
    sets::check(file, query, &mut mistakes);
    durations::check(file, plan, &mut mistakes);
    conditions::check(file, plan, &mut mistakes);
    groups::check(file, plan, &mut mistakes);
    subqueries::check(file, plan, &mut mistakes);
    mistakes
}

/// Visits every expression of a plan, those of its subqueries included, each with the columns that it may name.
fn expressions(plan: &LogicalPlan, mut visit: impl FnMut(&Expr, &DFSchema)) {
    let _ = plan.apply_with_subqueries(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                visit(expression, &schema);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
}

/// Returns whether an operator compares its sides.
fn compares(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// Returns the bytes from the first column of an expression to its last; none if it has no column.
fn place(file: &SourceFile, expression: &Expr) -> Range<usize> {
    let mut found: Option<Range<usize>> = None;
    let _ = expression.apply(|part| {
        let spans = match part {
            Expr::Column(column) => Some(column.spans()),
            _ => None,
        };
        for span in spans.into_iter().flat_map(datafusion::common::Spans::iter) {
            let offset = |place: datafusion::common::Location| {
                let number = |number: u64| usize::try_from(number).unwrap_or(1).max(1);
                file.offset(number(place.line), number(place.column))
            };
            let here = offset(span.start)..offset(span.end);
            found = Some(match found.take() {
                Some(known) => known.start.min(here.start)..known.end.max(here.end),
                None => here,
            });
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found.unwrap_or(0..0)
}

/// Makes a mistake at the columns of an expression.
pub(super) fn mistake(code: Code, file: &SourceFile, expression: &Expr, message: impl Into<String>) -> Diagnostic {
    let at = place(file, expression);
    Diagnostic::new(code, if at.is_empty() { file.whole() } else { file.at(at) }, message)
}

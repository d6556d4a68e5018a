//! Conditions on the values of one record, asked of a batch of rows, a column at a time.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Datum, Scalar};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::cmp;
use arrow::compute::{is_null, not, or};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use regex::Regex;

use super::decimal_sum::{Addend, compare_with_sum};
use super::parse::scalar;
use super::problem::ContractProblem;
use super::quarantine::quoted;
use super::rules::Texts;
use crate::project::{self, ColumnType, Comparison, Operand, SourceContract, Test};

/// A condition, ready to be asked.
#[derive(Debug)]
pub(super) struct Condition {
    text: String,
    /// The places in the contract of the columns that it names, each once, the one on the left first.
    columns: Vec<usize>,
    is_negated: bool,
    predicate: Predicate,
}

/// What is asked of the column on the left.
#[derive(Debug)]
enum Predicate {
    /// How it compares with another column of its type.
    Column(Comparison, usize),
    /// How it compares with a value of its type.
    Value(Comparison, Scalar<ArrayRef>),
    /// How it compares with a sum.
    Sum(Comparison, Vec<Part>),
    /// Whether it matches.
    Matches(Regex),
    /// Whether it is one of these texts.
    Texts(Texts),
    /// Whether one of these is so.
    Any(Vec<Predicate>),
    /// Whether it is null.
    Null,
}

/// A part of a sum.
#[derive(Debug)]
enum Part {
    Column {
        at: usize,
        is_minus: bool,
    },
    /// An array of one value.
    Value(ArrayRef),
}

impl Part {
    fn addend<'a>(&'a self, columns: &'a [ArrayRef]) -> Addend<'a> {
        match self {
            Self::Column { at, is_minus } => Addend { values: &columns[*at], is_constant: false, is_minus: *is_minus },
            Self::Value(values) => Addend { values, is_constant: true, is_minus: false },
        }
    }
}

impl Condition {
    /// Makes a condition of a contract ready.
    pub(super) fn new(contract: &SourceContract, condition: &project::Condition) -> Result<Self, ContractProblem> {
        let mut columns = vec![place(contract, condition, &condition.left)?.0];
        if let Test::Compare(_, operands) = &condition.test {
            for name in operands.iter().filter_map(Operand::column) {
                let (at, _) = place(contract, condition, name)?;
                if !columns.contains(&at) {
                    columns.push(at);
                }
            }
        }
        let predicate = Predicate::new(contract, condition)?;
        Ok(Self { text: condition.text.clone(), columns, is_negated: condition.is_negated, predicate })
    }

    /// Returns the condition as the contract has it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the place in the contract of the column on the left.
    pub(super) fn left(&self) -> usize {
        self.columns[0]
    }

    /// Returns the values of a row that it is asked of, for people.
    pub(super) fn found(&self, columns: &[ArrayRef], row: usize) -> String {
        let shown = |&at: &usize| match array_value_to_string(&columns[at], row) {
            Ok(text) if columns[at].is_valid(row) => quoted(text.as_bytes()),
            _ => "null".to_owned(),
        };
        let mut shown: Vec<String> = self.columns.iter().map(shown).collect();
        let last = shown.pop().unwrap_or_default();
        if shown.is_empty() { last } else { format!("{} and {last}", shown.join(", ")) }
    }

    /// Returns of each row whether the condition holds; null where a value is null, so that it neither does nor does not.
    pub(super) fn ask(&self, columns: &[ArrayRef]) -> Result<BooleanArray, ArrowError> {
        let answer = self.predicate.ask(&columns[self.left()], columns)?;
        if self.is_negated { not(&answer) } else { Ok(answer) }
    }
}

impl Predicate {
    fn new(contract: &SourceContract, condition: &project::Condition) -> Result<Self, ContractProblem> {
        let (_, kind) = place(contract, condition, &condition.left)?;
        Ok(match &condition.test {
            Test::Compare(comparison, operands) => {
                Self::comparison(contract, condition, (*comparison, operands.as_slice()))?
            }
            Test::Matches(pattern) => {
                let problem = |error: regex::Error| problem(condition, error.to_string());
                Self::Matches(Regex::new(pattern).map_err(problem)?)
            }
            Test::In(texts) if kind == ColumnType::String => Self::Texts(Texts::new(texts)),
            Test::In(texts) => {
                let is = |text: &String| {
                    let value = [Operand::Value(text.clone())];
                    Self::comparison(contract, condition, (Comparison::Equal, &value))
                };
                Self::Any(texts.iter().map(is).collect::<Result<_, _>>()?)
            }
            Test::Null => Self::Null,
        })
    }

    fn comparison(
        contract: &SourceContract,
        condition: &project::Condition,
        (comparison, operands): (Comparison, &[Operand]),
    ) -> Result<Self, ContractProblem> {
        let place = |name: &str| place(contract, condition, name);
        let value = |kind: ColumnType, text: &str| {
            let value = scalar(kind, &[], contract.parse_zone, text);
            value.map_err(|misfit| problem(condition, misfit.message))
        };
        let (_, left) = place(&condition.left)?;
        let named = operands.iter().filter_map(Operand::column).map(|name| Ok(place(name)?.1));
        let kinds = named.chain([Ok(left)]).collect::<Result<Vec<_>, _>>()?;
        let has_float = kinds.contains(&ColumnType::Float64);
        Ok(match operands {
            // Arrow's order of floats tells 0 from -0.
            [Operand::Column(name)] if kinds[0] == left && !has_float => Self::Column(comparison, place(name)?.0),
            [Operand::Value(text)] if !has_float => Self::Value(comparison, value(left, text)?),
            operands => {
                let part = |operand: &Operand| {
                    Ok(match operand {
                        Operand::Column(name) => Part::Column { at: place(name)?.0, is_minus: false },
                        Operand::Minus(name) => Part::Column { at: place(name)?.0, is_minus: true },
                        Operand::Value(text) => {
                            let exact = ColumnType::exact(text).filter(|_| !has_float);
                            Part::Value(value(exact.unwrap_or(ColumnType::Float64), text)?.into_inner())
                        }
                    })
                };
                Self::Sum(comparison, operands.iter().map(part).collect::<Result<_, _>>()?)
            }
        })
    }

    fn ask(&self, left: &ArrayRef, columns: &[ArrayRef]) -> Result<BooleanArray, ArrowError> {
        Ok(match self {
            Self::Column(comparison, right) => compare(*comparison, left, &columns[*right])?,
            Self::Value(comparison, value) => compare(*comparison, left, value)?,
            Self::Sum(comparison, parts) => {
                let addends: Vec<Addend> = parts.iter().map(|part| part.addend(columns)).collect();
                let named = addends.iter().filter(|addend| !addend.is_constant);
                let nulls = named.fold(left.nulls().cloned(), |nulls, addend| {
                    NullBuffer::union(nulls.as_ref(), addend.values.nulls())
                });
                BooleanArray::new(compare_with_sum(*comparison, left, &addends), nulls)
            }
            Self::Matches(regex) => of_texts(left, |text| regex.is_match(text)),
            Self::Texts(texts) => of_texts(left, |text| texts.allow(text.as_bytes())),
            Self::Any(questions) => {
                let none = BooleanArray::new(BooleanBuffer::new_unset(left.len()), left.nulls().cloned());
                questions.iter().try_fold(none, |found, predicate| or(&found, &predicate.ask(left, columns)?))?
            }
            Self::Null => is_null(left)?,
        })
    }
}

fn of_texts(array: &ArrayRef, is_so: impl Fn(&str) -> bool) -> BooleanArray {
    let texts = array.as_string::<i32>();
    let are_so = BooleanBuffer::collect_bool(texts.len(), |row| is_so(texts.value(row)));
    BooleanArray::new(are_so, texts.nulls().cloned())
}

/// Compares values of one type, which is not that of floats.
fn compare(comparison: Comparison, left: &dyn Datum, right: &dyn Datum) -> Result<BooleanArray, ArrowError> {
    match comparison {
        Comparison::Equal => cmp::eq(left, right),
        Comparison::NotEqual => cmp::neq(left, right),
        Comparison::Less => cmp::lt(left, right),
        Comparison::LessOrEqual => cmp::lt_eq(left, right),
        Comparison::Greater => cmp::gt(left, right),
        Comparison::GreaterOrEqual => cmp::gt_eq(left, right),
    }
}

/// Returns where in the contract a column is that a condition names, and its type.
fn place(
    contract: &SourceContract,
    condition: &project::Condition,
    name: &str,
) -> Result<(usize, ColumnType), ContractProblem> {
    let found = contract.columns.get_full(name).map(|(at, _, column)| (at, column.kind));
    found.ok_or_else(|| problem(condition, format!("`{}` names the unknown column `{name}`", condition.text)))
}

fn problem(condition: &project::Condition, message: String) -> ContractProblem {
    ContractProblem { column: condition.left.clone(), message }
}

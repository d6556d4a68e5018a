//! Rules on the values of one record, asked of a batch of rows.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;

use super::parse::{Misfit, scalar};
use super::problem::ContractProblem;
use super::quarantine::{Reason, quoted};
use crate::project::{Operand, RecordRule, SourceContract};

/// A rule, ready to be asked.
#[derive(Debug)]
pub(super) struct Rule {
    text: RecordRule,
    /// The place of the left column in the contract.
    pub(super) left: usize,
    right: Right,
}

#[derive(Debug)]
enum Right {
    Column(usize),
    /// An array of one value.
    Value(ArrayRef),
}

impl Rule {
    /// Makes the rules of a contract ready.
    pub(super) fn all(contract: &SourceContract) -> Result<Vec<Self>, ContractProblem> {
        contract.rules.iter().map(|rule| Self::new(contract, rule)).collect()
    }

    fn new(contract: &SourceContract, rule: &RecordRule) -> Result<Self, ContractProblem> {
        let problem = |message: String| ContractProblem { column: rule.left.clone(), message };
        let place = |name: &String| {
            let place = contract.columns.get_full(name).map(|(at, _, column)| (at, column));
            place.ok_or_else(|| problem(format!("the rule `{}` names the unknown column `{name}`", rule.name)))
        };
        let (left, column) = place(&rule.left)?;
        let right = match &rule.right {
            Operand::Column(name) => Right::Column(place(name)?.0),
            Operand::Value(text) => {
                let value = scalar(column.kind, &[], contract.parse_zone, text);
                Right::Value(value.map_err(|misfit| problem(misfit.message))?.into_inner())
            }
        };
        Ok(Self { text: rule.clone(), left, right })
    }

    /// Tells `fail` of each row that breaks the rule; a row in which one of the values is null keeps it.
    pub(super) fn check(&self, columns: &[ArrayRef], fail: &mut dyn FnMut(usize, &dyn Fn() -> Misfit)) {
        let left = &columns[self.left];
        let (right, is_constant) = match &self.right {
            Right::Column(at) => (&columns[*at], false),
            Right::Value(value) => (value, true),
        };
        let (left_values, right_values) = (Values::of(left), Values::of(right));
        for row in 0..left.len() {
            let other = if is_constant { 0 } else { row };
            let order = match (left_values.at(row), right_values.at(other)) {
                (Some(left), Some(right)) => left.compare(right),
                _ => continue,
            };
            if !self.text.comparison.allows(order) {
                fail(row, &|| self.misfit((left, row), (right, other)));
            }
        }
    }

    fn misfit(&self, left: (&ArrayRef, usize), right: (&ArrayRef, usize)) -> Misfit {
        let shown =
            |(array, row): (&ArrayRef, usize)| quoted(array_value_to_string(array, row).unwrap_or_default().as_bytes());
        let RecordRule { name, left: column, comparison, right: operand } = &self.text;
        let (expected, found) = match operand {
            Operand::Column(other) => {
                (format!("`{column}` {comparison} `{other}`"), format!("{} and {}", shown(left), shown(right)))
            }
            Operand::Value(_) => (format!("`{column}` {comparison} {}", shown(right)), shown(left)),
        };
        Misfit { reason: Reason::Rule, message: format!("expected {expected} (rule `{name}`), found {found}") }
    }
}

/// The values of a column.
enum Values<'a> {
    Whole(&'a arrow::array::Int64Array),
    Real(&'a arrow::array::Float64Array),
    Decimal(&'a arrow::array::Decimal128Array, u32),
    Boolean(&'a arrow::array::BooleanArray),
    Text(&'a arrow::array::StringArray),
    Day(&'a arrow::array::Date32Array),
    Instant(&'a arrow::array::TimestampMicrosecondArray),
    /// Of no type that a contract can have.
    Unknown,
}

/// One value.
#[derive(Clone, Copy)]
enum Value<'a> {
    /// A number of which so many digits are after the point.
    Exact(i128, u32),
    Real(f64),
    Text(&'a str),
}

impl<'a> Values<'a> {
    fn of(array: &'a ArrayRef) -> Self {
        match array.data_type() {
            DataType::Int64 => Self::Whole(array.as_primitive::<Int64Type>()),
            DataType::Float64 => Self::Real(array.as_primitive::<Float64Type>()),
            DataType::Decimal128(_, scale) => {
                Self::Decimal(array.as_primitive::<Decimal128Type>(), scale.unsigned_abs().into())
            }
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Date32 => Self::Day(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(..) => Self::Instant(array.as_primitive::<TimestampMicrosecondType>()),
            _ => Self::Unknown,
        }
    }

    fn at(&self, row: usize) -> Option<Value<'a>> {
        Some(match self {
            Self::Whole(array) if array.is_valid(row) => Value::Exact(array.value(row).into(), 0),
            Self::Real(array) if array.is_valid(row) => Value::Real(array.value(row)),
            Self::Decimal(array, scale) if array.is_valid(row) => Value::Exact(array.value(row), *scale),
            Self::Boolean(array) if array.is_valid(row) => Value::Exact(array.value(row).into(), 0),
            Self::Text(array) if array.is_valid(row) => Value::Text(array.value(row)),
            Self::Day(array) if array.is_valid(row) => Value::Exact(array.value(row).into(), 0),
            Self::Instant(array) if array.is_valid(row) => Value::Exact(array.value(row).into(), 0),
            _ => return None,
        })
    }
}

impl Value<'_> {
    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Exact(left, left_scale), Self::Exact(right, right_scale)) if left_scale <= right_scale => {
                compare_exact(left, right, right_scale - left_scale)
            }
            (Self::Exact(left, left_scale), Self::Exact(right, right_scale)) => {
                compare_exact(right, left, left_scale - right_scale).reverse()
            }
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            // A float next to an exact number: as near as 64 bits are. Neither is ever NaN.
            (left, right) => left.real().partial_cmp(&right.real()).unwrap_or(Ordering::Equal),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the nearest number of 64 bits is what is asked for")]
    fn real(self) -> f64 {
        match self {
            Self::Exact(value, scale) => value as f64 / 10_f64.powi(scale.cast_signed()),
            Self::Real(value) => value,
            Self::Text(_) => 0.0,
        }
    }
}

/// Compares `left` · 10^`shift` with `right`, whatever their size.
fn compare_exact(left: i128, right: i128, shift: u32) -> Ordering {
    match 10_i128.checked_pow(shift).and_then(|power| left.checked_mul(power)) {
        Some(left) => left.cmp(&right),
        // Beyond all numbers of 128 bits.
        None => left.cmp(&0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_different_scales_are_compared_exactly() {
        let order = |left: (i128, u32), right: (i128, u32)| {
            Value::Exact(left.0, left.1).compare(Value::Exact(right.0, right.1))
        };
        assert_eq!(order((15, 1), (150, 2)), Ordering::Equal);
        assert_eq!(order((9_007_199_254_740_993, 0), (9_007_199_254_740_992, 0)), Ordering::Greater);
        let most = 10_i128.pow(38) - 1;
        assert_eq!(order((most, 0), (most, 38)), Ordering::Greater);
        assert_eq!(order((-most, 0), (most, 38)), Ordering::Less);
        assert_eq!(order((most, 38), (most, 0)), Ordering::Less);
        assert_eq!(Value::Real(1.5).compare(Value::Exact(15, 1)), Ordering::Equal);
    }
}

//! Text to typed values, a column at a time.
//!
//! A column is read as if every cell were right; the few that are not are marked, and the batch drops their records
//! afterwards. One text at a time goes through the same code ([`scalar`]), so that a rule in a contract, a value in a
//! path and a cell in a file never disagree on what a text means.

mod boolean;
mod decimal;
mod normal;
mod number;
mod text;
mod time;
mod zone;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, NullBufferBuilder, Scalar,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use chrono_tz::Tz;
use regex::bytes::Regex;

use super::cells::{Cell, Cells, ColumnCells, Span};
use super::problem::ContractProblem;
use super::quarantine::{Reason, quoted};
use super::rules::{Bounds, Nulls};
use crate::project::{ColumnType, Rules, SourceColumn, SourceContract};

use boolean::Booleans;
use decimal::Decimals;
use normal::Normal;
pub use normal::normalised;
use number::{Floats, Integers};
use text::Strings;
use time::{Dates, Stamps};

/// What is wrong with one cell; which column it belongs to says the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueFault {
    /// No value of the type.
    Type,
    /// A value that the type cannot hold.
    Range,
    /// A local time that the clocks jumped over.
    DstGap,
    /// Not UTF-8.
    Encoding,
    /// No value where one is required.
    Null,
    /// Less than `min`.
    Min,
    /// More than `max`.
    Max,
    /// Not one of `values`.
    Enum,
    /// No match for `pattern`.
    Pattern,
    /// Not what the column's normalisers are for.
    Normal,
}

/// Is told the row, the fault and the text of each cell that is wrong.
pub(super) type Fail<'a> = dyn FnMut(usize, ValueFault, Option<&[u8]>) + 'a;

/// A text that does not fit its column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValueError {
    /// Why.
    pub reason: Reason,
    /// What was expected and what was found.
    pub message: String,
}

/// Reads the texts of one type.
trait Parse {
    /// What Arrow stores for a value.
    type Value: Copy + Default + PartialOrd;

    /// Reads one text, which has no white space around it.
    fn parse(&self, text: &[u8]) -> Result<Self::Value, ValueFault>;

    /// Says what a text should have been that failed with `fault`.
    fn expected(&self, fault: ValueFault) -> String;
}

/// A type, and the values that are allowed of it.
#[derive(Debug)]
struct Typed<P: Parse> {
    parse: P,
    bounds: Bounds<P::Value>,
}

/// The seven types.
#[derive(Debug)]
enum Kind {
    Int64(Typed<Integers>),
    Float64(Typed<Floats>),
    Decimal(Typed<Decimals>),
    Boolean(Typed<Booleans>),
    String(Strings),
    Date(Typed<Dates>),
    Timestamp(Typed<Stamps>),
}

/// One column of a contract, ready to read cells.
#[derive(Debug)]
pub(super) struct Column {
    name: String,
    nulls: Nulls,
    required: bool,
    in_key: bool,
    encoding: &'static str,
    rules: Rules,
    pattern: Option<Regex>,
    normal: Option<Normal>,
    kind: Kind,
}

impl Column {
    /// Makes column `name` of `contract` ready.
    pub(super) fn new(contract: &SourceContract, name: &str, column: &SourceColumn) -> Result<Self, ContractProblem> {
        let in_key = contract.key.iter().any(|key| key == name);
        Self::of_type(name, column.kind, &column.formats, contract.parse_zone, &column.rules)
            .map(|made| Self {
                nulls: Nulls::new(&column.null),
                normal: Normal::new(&column.normalise),
                required: in_key || column.rules.required,
                in_key,
                encoding: contract.encoding.name(),
                ..made
            })
            .map_err(|message| ContractProblem { column: name.to_owned(), message })
    }

    /// Makes column `name` of `contract` ready to read what stands in it, whatever its rules allow.
    pub(super) fn without_rules(
        contract: &SourceContract,
        name: &str,
        column: &SourceColumn,
    ) -> Result<Self, ContractProblem> {
        let column = SourceColumn { rules: Rules::default(), ..column.clone() };
        Ok(Self { required: false, ..Self::new(contract, name, &column)? })
    }

    /// Makes column `name` of `contract` ready as if nothing were said of it but its type.
    pub(super) fn of_its_type(
        contract: &SourceContract,
        name: &str,
        column: &SourceColumn,
    ) -> Result<Self, ContractProblem> {
        Self::of_type(name, column.kind, &[], contract.parse_zone, &Rules::default())
            .map_err(|message| ContractProblem { column: name.to_owned(), message })
    }

    fn of_type(name: &str, kind: ColumnType, formats: &[String], zone: Tz, rules: &Rules) -> Result<Self, String> {
        let kind = match kind {
            ColumnType::Int64 => Kind::Int64(typed(Integers, rules)?),
            ColumnType::Float64 => Kind::Float64(typed(Floats, rules)?),
            ColumnType::Decimal { precision, scale } => Kind::Decimal(typed(Decimals { precision, scale }, rules)?),
            ColumnType::Boolean => Kind::Boolean(typed(Booleans, rules)?),
            ColumnType::String => Kind::String(Strings::new(rules)),
            ColumnType::Date => Kind::Date(bounded(Dates::new(formats)?, &Dates::new(&[])?, rules)?),
            ColumnType::Timestamp => {
                Kind::Timestamp(bounded(Stamps::new(formats, zone)?, &Stamps::new(&[], Tz::UTC)?, rules)?)
            }
            ColumnType::Bytes => return Err("no text stands for bytes".to_owned()),
        };
        let pattern = rules.pattern.as_deref().map(Regex::new).transpose().map_err(|error| error.to_string())?;
        Ok(Self {
            name: name.to_owned(),
            nulls: Nulls::new(&[]),
            required: false,
            in_key: false,
            encoding: encoding_rs::UTF_8.name(),
            rules: rules.clone(),
            pattern,
            normal: None,
            kind,
        })
    }

    /// Returns the column's own name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Reads `cells`; tells `fail` of each that is wrong, and gives it no value.
    pub(super) fn read(&self, cells: ColumnCells<'_>, fail: &mut Fail<'_>) -> ArrayRef {
        let Some(normal) = &self.normal else { return self.read_plain(cells, fail) };
        let (made, failed) = normal.cells(cells, &self.nulls);
        let landed = |row: usize| cells.get(row);
        // First, so that it is not said of them that they have no value; what is told of a cell is the text that landed.
        failed.iter().for_each(|&row| fail(row, ValueFault::Normal, landed(row)));
        self.read_plain(made.column(0, 1, &[]), &mut |row, fault, _| fail(row, fault, landed(row)))
    }

    fn read_plain(&self, cells: ColumnCells<'_>, fail: &mut Fail<'_>) -> ArrayRef {
        match &self.kind {
            Kind::Int64(typed) => {
                let (values, nulls) = self.values(typed, cells, fail);
                Arc::new(Int64Array::new(values.into(), nulls))
            }
            Kind::Float64(typed) => {
                let (values, nulls) = self.values(typed, cells, fail);
                Arc::new(Float64Array::new(values.into(), nulls))
            }
            Kind::Decimal(typed) => {
                let (values, nulls) = self.values(typed, cells, fail);
                let array = Decimal128Array::new(values.into(), nulls);
                Arc::new(array.with_data_type(typed.parse.arrow()))
            }
            Kind::Boolean(typed) => {
                let (values, nulls) = self.values(typed, cells, fail);
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
            }
            Kind::String(strings) => strings.read(self, cells, fail),
            Kind::Date(typed) => {
                let (values, nulls) = self.values(typed, cells, fail);
                Arc::new(Date32Array::new(values.into(), nulls))
            }
            Kind::Timestamp(typed) => {
                let (values, nulls) = self.values(typed, cells, fail);
                Arc::new(TimestampMicrosecondArray::new(values.into(), nulls).with_timezone("UTC"))
            }
        }
    }

    fn values<P: Parse>(
        &self,
        typed: &Typed<P>,
        cells: ColumnCells<'_>,
        fail: &mut Fail<'_>,
    ) -> (Vec<P::Value>, Option<NullBuffer>) {
        let mut values = Vec::with_capacity(cells.len());
        let mut nulls = NullBufferBuilder::new(cells.len());
        for (row, cell) in cells.iter().enumerate() {
            let value = self.value(typed, cell).unwrap_or_else(|fault| {
                fail(row, fault, cell);
                None
            });
            values.push(value.unwrap_or_default());
            nulls.append(value.is_some());
        }
        (values, nulls.finish())
    }

    #[inline]
    fn value<P: Parse>(&self, typed: &Typed<P>, cell: Option<&[u8]>) -> Result<Option<P::Value>, ValueFault> {
        let text = cell.map(<[u8]>::trim_ascii).filter(|text| !self.nulls.has(text));
        let Some(text) = text else {
            return if self.required { Err(ValueFault::Null) } else { Ok(None) };
        };
        let value = typed.parse.parse(text)?;
        typed.bounds.check(value)?;
        self.check_pattern(text)?;
        Ok(Some(value))
    }

    #[inline]
    fn check_pattern(&self, text: &[u8]) -> Result<(), ValueFault> {
        match &self.pattern {
            Some(pattern) if !pattern.is_match(text) => Err(ValueFault::Pattern),
            _ => Ok(()),
        }
    }

    /// Reads one text into an array of one value.
    pub(super) fn read_one(&self, text: &str) -> Result<ArrayRef, ValueError> {
        let mut cells = Cells::default();
        cells.push(Cell::new(0, text.len()));
        cells.close(Span::new(0, text.len(), 1), 1);
        let mut misfit = None;
        let array = self.read(cells.column(0, 1, text.as_bytes()), &mut |_, fault, text| {
            misfit = Some(self.explain(fault, text));
        });
        misfit.map_or(Ok(array), Err)
    }

    /// Says what is wrong with a cell.
    #[cold]
    pub(super) fn explain(&self, fault: ValueFault, text: Option<&[u8]>) -> ValueError {
        // A text that is not UTF-8 is no value of any type, and saying so helps more.
        let fault =
            if text.is_some_and(|text| std::str::from_utf8(text).is_err()) { ValueFault::Encoding } else { fault };
        let (reason, expected) = match fault {
            ValueFault::Type => (Reason::Type, self.expected_of_type(fault)),
            ValueFault::Range => (Reason::Range, self.expected_of_type(fault)),
            ValueFault::DstGap => (Reason::DstGap, self.expected_of_type(fault)),
            ValueFault::Encoding => (Reason::Encoding, format!("{} text (`encoding` in `format`)", self.encoding)),
            ValueFault::Null if self.in_key => (Reason::NullKey, "a value".to_owned()),
            ValueFault::Null => (Reason::Null, "a value".to_owned()),
            ValueFault::Min => (Reason::Range, format!("at least {}", self.rules.min.as_deref().unwrap_or_default())),
            ValueFault::Max => (Reason::Range, format!("at most {}", self.rules.max.as_deref().unwrap_or_default())),
            ValueFault::Enum => (Reason::Enum, one_of(&self.rules.values)),
            ValueFault::Normal => {
                (Reason::Type, self.normal.as_ref().map_or("a value", |normal| normal.expected()).to_owned())
            }
            ValueFault::Pattern => {
                let pattern = self.rules.pattern.as_deref().unwrap_or_default();
                (Reason::Pattern, format!("text that matches {}", quoted(pattern.as_bytes())))
            }
        };
        let found = match text {
            None => "null".to_owned(),
            Some(text) if fault == ValueFault::Null && text.trim_ascii().is_empty() => "nothing".to_owned(),
            Some(text) if fault == ValueFault::Null => format!("{}, which stands for null", quoted(text)),
            Some(text) => quoted(text),
        };
        ValueError { reason, message: format!("expected {expected}, found {found}") }
    }

    fn expected_of_type(&self, fault: ValueFault) -> String {
        match &self.kind {
            Kind::Int64(typed) => typed.parse.expected(fault),
            Kind::Float64(typed) => typed.parse.expected(fault),
            Kind::Decimal(typed) => typed.parse.expected(fault),
            Kind::Boolean(typed) => typed.parse.expected(fault),
            Kind::String(_) => "text".to_owned(),
            Kind::Date(typed) => typed.parse.expected(fault),
            Kind::Timestamp(typed) => typed.parse.expected(fault),
        }
    }
}

/// Reads one text as a value of type `kind`, exactly as a cell of a file is read; no text is null.
///
/// `formats` and `zone` are a column's, and matter to dates and timestamps only.
pub fn scalar(kind: ColumnType, formats: &[String], zone: Tz, text: &str) -> Result<Scalar<ArrayRef>, ValueError> {
    let column = Column::of_type("", kind, formats, zone, &Rules::default())
        .map_err(|message| ValueError { reason: Reason::Type, message })?;
    column.read_one(text).map(Scalar::new)
}

/// Reads single texts of one type, exactly as cells of a file are read.
#[derive(Debug)]
pub struct Reader(Kind);

/// Where a value stands among the others of its type.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub enum Rank {
    /// Of whole numbers, days, instants, and of false before true.
    Whole(i64),
    /// Of numbers with a fraction.
    Real(f64),
}

impl Reader {
    /// Makes a type ready; `formats` and `zone` matter to dates and timestamps only.
    ///
    /// # Errors
    /// A format that is none, or a type that no text stands for.
    pub fn new(kind: ColumnType, formats: &[String], zone: Tz) -> Result<Self, String> {
        Column::of_type("", kind, formats, zone, &Rules::default()).map(|column| Self(column.kind))
    }

    /// Returns the rank of the value that a text without white space around it stands for; nothing if it stands for
    /// none, or the type has no ranks.
    #[must_use]
    pub fn rank(&self, text: &[u8]) -> Option<Rank> {
        Some(match &self.0 {
            Kind::Int64(typed) => Rank::Whole(typed.parse.parse(text).ok()?),
            Kind::Float64(typed) => Rank::Real(typed.parse.parse(text).ok()?),
            Kind::Boolean(typed) => Rank::Whole(typed.parse.parse(text).ok()?.into()),
            Kind::Date(typed) => Rank::Whole(typed.parse.parse(text).ok()?.into()),
            Kind::Timestamp(typed) => Rank::Whole(typed.parse.parse(text).ok()?),
            Kind::Decimal(_) | Kind::String(_) => return None,
        })
    }
}

/// Makes a type and the rules on its values ready, which are written as its values are.
#[expect(clippy::needless_pass_by_value, reason = "it is made for this")]
fn typed<P: Parse + Clone>(parse: P, rules: &Rules) -> Result<Typed<P>, String> {
    bounded(parse.clone(), &parse, rules)
}

/// Makes a type and the rules on its values ready, of which `rule` reads the values: those of dates and timestamps are
/// always of ISO 8601, whatever the files write.
fn bounded<P: Parse>(parse: P, rule: &P, rules: &Rules) -> Result<Typed<P>, String> {
    let value = |text: &String| {
        rule.parse(text.trim_ascii().as_bytes())
            .map_err(|fault| format!("a rule has {}, expected {}", quoted(text.as_bytes()), rule.expected(fault)))
    };
    let bounds = Bounds {
        values: rules.values.iter().map(value).collect::<Result<_, _>>()?,
        min: rules.min.as_ref().map(value).transpose()?,
        max: rules.max.as_ref().map(value).transpose()?,
    };
    Ok(Typed { parse, bounds })
}

fn one_of(values: &[String]) -> String {
    /// How many values a message lists.
    const SHOWN_VALUES: usize = 10;
    let mut shown = values.iter().take(SHOWN_VALUES).map(|value| quoted(value.as_bytes())).collect::<Vec<_>>();
    if values.len() > SHOWN_VALUES {
        shown.push(format!("{} more", values.len() - SHOWN_VALUES));
    }
    format!("one of {}", shown.join(", "))
}

//! `sum` that never wraps around.
//!
//! DataFusion 55.2 adds integers and decimals in their own width, so that a sum beyond its end comes out as another
//! number (apache/datafusion#3520). Here integers are added in 128 bits and long decimals in 256, and a sum that its
//! type cannot hold is an error. What the sum of a frame or group is does not depend on the order of the rows, nor does
//! whether it fits. Names and types are those of DataFusion, and so are the sums of everything else.

use std::collections::HashMap;
use std::fmt;
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, Decimal256Array, Int64Array,
    PrimitiveArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Field, FieldRef, Int64Type, UInt64Type, i256,
};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err, internal_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature, StatisticsArgs,
};

/// Sums of decimals of so many digits keep below 38 digits for ten thousand million rows.
const SHORT_DECIMAL: u8 = 28;
/// What a sum of integers is handed on in.
const WIDE_INTEGER: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);
/// Digits of what a sum of long decimals is handed on in.
const WIDE_DIGITS: u8 = 76;
/// How many values of 64 bits may be added by halves before a half could wrap around.
const HALVES: usize = 1 << 30;

/// Returns the function.
pub(super) fn sum() -> AggregateUDF {
    AggregateUDF::from(Sum { engine: sum_udaf().as_ref().clone() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    /// DataFusion's.
    engine: AggregateUDF,
}

/// What is added here, by the type of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Signed,
    Unsigned,
    /// With this scale.
    LongDecimal(i8),
}

impl Kind {
    fn of(values: &DataType) -> Option<Self> {
        match values {
            DataType::Int64 => Some(Self::Signed),
            DataType::UInt64 => Some(Self::Unsigned),
            DataType::Decimal128(digits, scale) if *digits > SHORT_DECIMAL => Some(Self::LongDecimal(*scale)),
            _ => None,
        }
    }

    fn of_fields(values: &[FieldRef]) -> Option<Self> {
        values.first().and_then(|field| Self::of(field.data_type()))
    }

    /// Returns the type in which sums are handed on.
    fn wide(self) -> DataType {
        match self {
            Self::Signed | Self::Unsigned => WIDE_INTEGER,
            Self::LongDecimal(scale) => DataType::Decimal256(WIDE_DIGITS, scale),
        }
    }
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        self.engine.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.engine.return_type(arguments)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let Some(kind) = Kind::of_fields(args.expr_fields) else { return self.engine.accumulator(args) };
        let total = Total::new(kind, &args);
        if args.is_distinct {
            let values = self.engine.accumulator(args)?;
            return Ok(Box::new(Distinct { values, total }));
        }
        Ok(Box::new(total))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match Kind::of_fields(args.expr_fields) {
            Some(kind) if !args.is_distinct => Ok(Box::new(Total::new(kind, &args))),
            Some(kind) => {
                let total = Total::new(kind, &args);
                let values = self.engine.create_sliding_accumulator(args)?;
                Ok(Box::new(Distinct { values, total }))
            }
            None => self.engine.create_sliding_accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match Kind::of_fields(args.input_fields) {
            Some(kind) if !args.is_distinct => {
                Ok(vec![Arc::new(Field::new(format_state_name(args.name, "sum"), kind.wide(), true))])
            }
            _ => self.engine.state_fields(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.engine.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match Kind::of_fields(args.expr_fields) {
            Some(Kind::Signed) => Ok(Box::new(Groups::<Narrow>::new(Kind::Signed, &args))),
            Some(kind @ Kind::Unsigned) => Ok(Box::new(Groups::<Wide<i128>>::new(kind, &args))),
            Some(kind @ Kind::LongDecimal(_)) => Ok(Box::new(Groups::<Wide<i256>>::new(kind, &args))),
            None => self.engine.create_groups_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.engine.order_sensitivity()
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        self.engine.value_from_stats(statistics)
    }

    fn set_monotonicity(&self, kind: &DataType) -> SetMonotonicity {
        self.engine.inner().set_monotonicity(kind)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.engine.documentation()
    }
}

/// Returns the error of a sum that its type cannot hold.
pub(crate) fn does_not_fit(name: &str, kind: &DataType) -> DataFusionError {
    match kind {
        DataType::Int64 => {
            exec_datafusion_err!("integer overflow in `{name}`: a bigint ends at {}; sum decimals or doubles", i64::MAX)
        }
        DataType::UInt64 => exec_datafusion_err!(
            "integer overflow in `{name}`: an unsigned bigint ends at {}; sum decimals or doubles",
            u64::MAX
        ),
        _ => exec_datafusion_err!(
            "decimal overflow in `{name}`: the sum has more than 38 digits; sum doubles, or fewer digits"
        ),
    }
}

/// A sum of any width.
trait Sums: Copy + fmt::Debug + Send + Sync + Default {
    type Array: ArrowPrimitiveType<Native = Self>;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
}

impl Sums for i128 {
    type Array = Decimal128Type;
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }
}

impl Sums for i256 {
    type Array = Decimal256Type;
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }
}

/// Returns a sum in the type that it has in SQL.
fn narrowed(name: &str, kind: &DataType, sum: Option<i256>) -> Result<ScalarValue> {
    let Some(sum) = sum else { return ScalarValue::try_from(kind) };
    let narrow = sum.to_i128();
    let fits = match kind {
        DataType::Int64 => narrow.and_then(|sum| i64::try_from(sum).ok()).map(|sum| ScalarValue::Int64(Some(sum))),
        DataType::UInt64 => narrow.and_then(|sum| u64::try_from(sum).ok()).map(|sum| ScalarValue::UInt64(Some(sum))),
        DataType::Decimal128(digits, scale) => narrow
            .filter(|sum| sum.unsigned_abs() < 10_u128.pow(u32::from(*digits)))
            .map(|sum| ScalarValue::Decimal128(Some(sum), *digits, *scale)),
        other => return internal_err!("a sum of type {other} is not made here"),
    };
    fits.ok_or_else(|| does_not_fit(name, kind))
}

/// Returns the exact sum of an array, if it has any value.
fn exact(values: &dyn Array) -> Result<Option<i256>> {
    fn added<T: ArrowPrimitiveType<Native: Into<i128>>>(values: &PrimitiveArray<T>) -> i128 {
        values.iter().flatten().map(Into::into).fold(0, i128::wrapping_add)
    }
    if values.null_count() == values.len() {
        return Ok(None);
    }
    Ok(Some(match values.data_type() {
        DataType::Int64 => i256::from_i128(exact_signed(values.as_primitive())),
        DataType::UInt64 => i256::from_i128(added(values.as_primitive::<UInt64Type>())),
        DataType::Decimal128(..) => {
            values.as_primitive::<Decimal128Type>().iter().flatten().map(i256::from_i128).fold(i256::ZERO, i256::plus)
        }
        DataType::Decimal256(..) => {
            values.as_primitive::<Decimal256Type>().iter().flatten().fold(i256::ZERO, i256::plus)
        }
        other => return internal_err!("`sum` takes no {other} here"),
    }))
}

/// Returns the exact sum of integers. Their halves are added apart, because that takes no more than 64 bits.
fn exact_signed(values: &Int64Array) -> i128 {
    const LOW: i64 = 0xffff_ffff;
    if values.null_count() > 0 {
        return values.iter().flatten().map(i128::from).sum();
    }
    let halves = values.values().chunks(HALVES).map(|chunk| {
        let (high, low) = chunk.iter().fold((0, 0), |(high, low), value| (high + (value >> 32), low + (value & LOW)));
        (i128::from(high) << 32) + i128::from(low)
    });
    halves.sum()
}

/// The sum of all values, or of those in a frame.
#[derive(Debug)]
struct Total {
    kind: Kind,
    /// The type of the result.
    result: DataType,
    name: String,
    sum: i256,
    values: u64,
}

impl Total {
    fn new(kind: Kind, args: &AccumulatorArgs) -> Self {
        Self { kind, result: args.return_type().clone(), name: args.name.to_owned(), sum: i256::ZERO, values: 0 }
    }

    fn sum(&self) -> Option<i256> {
        (self.values > 0).then_some(self.sum)
    }
}

fn value_count(values: &dyn Array) -> u64 {
    (values.len() - values.null_count()) as u64
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values += value_count(&values[0]);
        if let Some(sum) = exact(&values[0])? {
            self.sum = self.sum.plus(sum);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values -= value_count(&values[0]);
        if let Some(sum) = exact(&values[0])? {
            self.sum = self.sum.minus(sum);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![match self.kind {
            Kind::Signed | Kind::Unsigned => {
                ScalarValue::Decimal128(self.sum().and_then(i256::to_i128), DECIMAL128_MAX_PRECISION, 0)
            }
            Kind::LongDecimal(scale) => ScalarValue::Decimal256(self.sum(), WIDE_DIGITS, scale),
        }])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        narrowed(&self.name, &self.result, self.sum())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.name.capacity()
    }
}

/// The sum of different values. DataFusion collects them.
#[derive(Debug)]
struct Distinct {
    values: Box<dyn Accumulator>,
    total: Total,
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.update_batch(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.values.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.values.supports_retract_batch()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.values.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let state = self.values.state()?;
        let [ScalarValue::List(values)] = &state[..] else {
            return internal_err!("different values do not come as a list");
        };
        narrowed(&self.total.name, &self.total.result, exact(&values.value(0))?)
    }

    fn size(&self) -> usize {
        self.values.size() + self.total.size()
    }
}

/// The sums of groups.
trait GroupSums: Default + Send + 'static {
    fn resize(&mut self, groups: usize);
    /// Adds values, one for each row, to the groups of the rows. None of them is null.
    fn add(&mut self, values: &dyn Array, groups: impl Iterator<Item = (usize, usize)>) -> Result<()>;
    /// Takes out the exact sums of the first groups.
    fn take(&mut self, emit_to: EmitTo) -> WideSums;
    fn size(&self) -> usize;
}

enum WideSums {
    /// Sums of 64 bits, and what has to be added to some of them.
    Narrow(Vec<i64>, HashMap<usize, i64>),
    I128(Vec<i128>),
    I256(Vec<i256>),
}

/// Sums of 64 bits, and how often those of a group went over their end: almost none ever does.
#[derive(Default)]
struct Narrow {
    low: Vec<i64>,
    /// Multiples of 2^64 that belong to the sum of a group.
    high: HashMap<usize, i64>,
}

impl Narrow {
    #[cold]
    fn carry(&mut self, group: usize, by: i64) {
        let high = self.high.entry(group).or_default();
        *high += by;
        if *high == 0 {
            self.high.remove(&group);
        }
    }

    fn add_one(&mut self, group: usize, value: i64) {
        let (sum, wrapped) = self.low[group].overflowing_add(value);
        self.low[group] = sum;
        if wrapped {
            self.carry(group, value.signum());
        }
    }
}

impl GroupSums for Narrow {
    fn resize(&mut self, groups: usize) {
        self.low.resize(groups, 0);
    }

    fn add(&mut self, values: &dyn Array, groups: impl Iterator<Item = (usize, usize)>) -> Result<()> {
        match values.data_type() {
            DataType::Int64 => {
                let values = values.as_primitive::<Int64Type>().values();
                groups.for_each(|(row, group)| self.add_one(group, values[row]));
            }
            DataType::Decimal128(..) => {
                let values = values.as_primitive::<Decimal128Type>().values();
                for (row, group) in groups {
                    let low = i128_low(values[row]);
                    let high = (values[row] - i128::from(low)) >> 64;
                    self.add_one(group, low);
                    if high != 0 {
                        self.carry(group, i64::try_from(high).unwrap_or(i64::MAX));
                    }
                }
            }
            other => return internal_err!("`sum` takes no {other} here"),
        }
        Ok(())
    }

    fn take(&mut self, emit_to: EmitTo) -> WideSums {
        let low = emit_to.take_needed(&mut self.low);
        let high = std::mem::take(&mut self.high);
        let (here, left): (Vec<_>, Vec<_>) = high.into_iter().partition(|(group, _)| *group < low.len());
        self.high = left.into_iter().map(|(group, high)| (group - low.len(), high)).collect();
        WideSums::Narrow(low, here.into_iter().collect())
    }

    fn size(&self) -> usize {
        self.low.capacity() * size_of::<i64>() + self.high.capacity() * size_of::<(usize, i64)>()
    }
}

/// Returns the lowest 64 bits, as a number with a sign.
fn i128_low(value: i128) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = value.to_le_bytes();
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Sums that never wrap around.
#[derive(Default)]
struct Wide<S>(Vec<S>);

impl GroupSums for Wide<i128> {
    fn resize(&mut self, groups: usize) {
        self.0.resize(groups, 0);
    }

    fn add(&mut self, values: &dyn Array, groups: impl Iterator<Item = (usize, usize)>) -> Result<()> {
        match values.data_type() {
            DataType::UInt64 => {
                let values = values.as_primitive::<UInt64Type>().values();
                groups.for_each(|(row, group)| self.0[group] += i128::from(values[row]));
            }
            DataType::Decimal128(..) => {
                let values = values.as_primitive::<Decimal128Type>().values();
                groups.for_each(|(row, group)| self.0[group] = self.0[group].plus(values[row]));
            }
            other => return internal_err!("`sum` takes no {other} here"),
        }
        Ok(())
    }

    fn take(&mut self, emit_to: EmitTo) -> WideSums {
        WideSums::I128(emit_to.take_needed(&mut self.0))
    }

    fn size(&self) -> usize {
        self.0.capacity() * size_of::<i128>()
    }
}

impl GroupSums for Wide<i256> {
    fn resize(&mut self, groups: usize) {
        self.0.resize(groups, i256::ZERO);
    }

    fn add(&mut self, values: &dyn Array, groups: impl Iterator<Item = (usize, usize)>) -> Result<()> {
        match values.data_type() {
            DataType::Decimal128(..) => {
                let values = values.as_primitive::<Decimal128Type>().values();
                groups.for_each(|(row, group)| self.0[group] = self.0[group].plus(i256::from_i128(values[row])));
            }
            DataType::Decimal256(..) => {
                let values = values.as_primitive::<Decimal256Type>().values();
                groups.for_each(|(row, group)| self.0[group] = self.0[group].plus(values[row]));
            }
            other => return internal_err!("`sum` takes no {other} here"),
        }
        Ok(())
    }

    fn take(&mut self, emit_to: EmitTo) -> WideSums {
        WideSums::I256(emit_to.take_needed(&mut self.0))
    }

    fn size(&self) -> usize {
        self.0.capacity() * size_of::<i256>()
    }
}

struct Groups<S> {
    kind: Kind,
    result: DataType,
    name: String,
    sums: S,
    groups: usize,
    /// Which groups have a value, once there may be one that has none.
    seen: Option<Vec<bool>>,
}

impl<S: GroupSums> Groups<S> {
    fn new(kind: Kind, args: &AccumulatorArgs) -> Self {
        Self {
            kind,
            result: args.return_type().clone(),
            name: args.name.to_owned(),
            sums: S::default(),
            groups: 0,
            seen: None,
        }
    }

    fn add(
        &mut self,
        values: &ArrayRef,
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.sums.resize(groups);
        if values.null_count() == 0 && filter.is_none() && self.seen.is_none() {
            self.groups = groups;
            return self.sums.add(values, group_indices.iter().copied().enumerate());
        }
        let known = self.groups;
        let seen = self.seen.get_or_insert_with(|| vec![true; known]);
        seen.resize(groups, false);
        self.groups = groups;
        let counts =
            |row: usize| values.is_valid(row) && filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        let rows: Vec<(usize, usize)> =
            group_indices.iter().copied().enumerate().filter(|(row, _)| counts(*row)).collect();
        rows.iter().for_each(|(_, group)| seen[*group] = true);
        self.sums.add(values, rows.into_iter())
    }

    /// Takes out the first groups, with which of them have a value.
    fn take(&mut self, emit_to: EmitTo) -> (WideSums, Option<NullBuffer>) {
        let sums = self.sums.take(emit_to);
        let emitted = match emit_to {
            EmitTo::All => self.groups,
            EmitTo::First(first) => first,
        };
        self.groups -= emitted;
        let nulls = self.seen.as_mut().map(|seen| seen.drain(..emitted).collect::<Vec<bool>>());
        (sums, nulls.map(NullBuffer::from).filter(|nulls| nulls.null_count() > 0))
    }
}

impl<S: GroupSums> GroupsAccumulator for Groups<S> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.add(&values[0], group_indices, filter, groups)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], groups: usize) -> Result<()> {
        self.add(&values[0], group_indices, None, groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (sums, nulls) = self.take(emit_to);
        let is_valid = |group: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(group));
        let narrow = |group: usize, sum: i256| {
            if is_valid(group) { narrowed(&self.name, &self.result, Some(sum)).map(Some) } else { Ok(None) }
        };
        match sums {
            WideSums::Narrow(low, high) => {
                if !high.is_empty() {
                    return Err(does_not_fit(&self.name, &self.result));
                }
                Ok(Arc::new(Int64Array::new(low.into(), nulls)))
            }
            WideSums::I128(sums) => {
                let sums = sums.into_iter().map(i256::from_i128).enumerate().map(|(group, sum)| narrow(group, sum));
                from_scalars(&self.result, sums)
            }
            WideSums::I256(sums) => {
                from_scalars(&self.result, sums.into_iter().enumerate().map(|(group, sum)| narrow(group, sum)))
            }
        }
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let kind = self.kind.wide();
        let (sums, nulls) = self.take(emit_to);
        let sums: ArrayRef = match sums {
            WideSums::Narrow(low, high) => {
                let mut wide: Vec<i128> = low.into_iter().map(i128::from).collect();
                high.iter().for_each(|(group, high)| wide[*group] += i128::from(*high) << 64);
                Arc::new(Decimal128Array::new(wide.into(), nulls).with_data_type(kind))
            }
            WideSums::I128(sums) => Arc::new(Decimal128Array::new(sums.into(), nulls).with_data_type(kind)),
            WideSums::I256(sums) => Arc::new(Decimal256Array::new(sums.into(), nulls).with_data_type(kind)),
        };
        Ok(vec![sums])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let filter = filter.map(|filter| {
            let kept = filter.nulls().map_or_else(|| filter.values().clone(), |nulls| nulls.inner() & filter.values());
            NullBuffer::new(kept)
        });
        let nulls = NullBuffer::union(values[0].nulls(), filter.as_ref());
        let kind = self.kind.wide();
        let state: ArrayRef = match self.kind {
            Kind::Signed => {
                let wide = values[0].as_primitive::<Int64Type>().values().iter().map(|value| i128::from(*value));
                Arc::new(Decimal128Array::new(wide.collect(), nulls).with_data_type(kind))
            }
            Kind::Unsigned => {
                let wide = values[0].as_primitive::<UInt64Type>().values().iter().map(|value| i128::from(*value));
                Arc::new(Decimal128Array::new(wide.collect(), nulls).with_data_type(kind))
            }
            Kind::LongDecimal(_) => {
                let wide = values[0].as_primitive::<Decimal128Type>().values().iter().map(|v| i256::from_i128(*v));
                Arc::new(Decimal256Array::new(wide.collect(), nulls).with_data_type(kind))
            }
        };
        Ok(vec![state])
    }

    fn size(&self) -> usize {
        self.sums.size() + self.seen.as_ref().map_or(0, Vec::capacity) + self.name.capacity()
    }
}

fn from_scalars(kind: &DataType, sums: impl Iterator<Item = Result<Option<ScalarValue>>>) -> Result<ArrayRef> {
    let null = ScalarValue::try_from(kind)?;
    let sums = sums.map(|sum| Ok(sum?.unwrap_or_else(|| null.clone()))).collect::<Result<Vec<_>>>()?;
    if sums.is_empty() {
        return Ok(datafusion::arrow::array::new_empty_array(kind));
    }
    ScalarValue::iter_to_array(sums)
}

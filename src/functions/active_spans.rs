//! `active_spans(day, length)`: the spans of days on which one of the last `length` days is a day of the group.
//!
//! A day d of the group is one of the last `length` days from d up to and without d + `length`. Where such spans overlap
//! or meet they are one. The result is the list of spans in their order, each with its first day and `until`, the first day
//! after it; days come in any order and as often as they like, and nulls are left out. A group without a day has an empty
//! list. So the users that were active within 28 days are counted by a sum of one more at each `first` and one fewer at
//! each `until`.

use std::mem::{size_of, size_of_val, take};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, ListArray, StructArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{ArrowNativeType, DataType, Date32Type, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};
use datafusion::physical_expr::expressions::Literal;

/// Returns the function.
pub(super) fn active_spans() -> AggregateUDF {
    AggregateUDF::from(ActiveSpans { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ActiveSpans {
    signature: Signature,
}

fn span_fields() -> Fields {
    Fields::from(vec![Field::new("first", DataType::Date32, true), Field::new("until", DataType::Date32, true)])
}

fn list_item(kind: DataType) -> FieldRef {
    Arc::new(Field::new("item", kind, true))
}

impl AggregateUDFImpl for ActiveSpans {
    fn name(&self) -> &'static str {
        "active_spans"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [DataType::Date32, length] if length.is_integer() => Ok(vec![DataType::Date32, DataType::Int64]),
            _ => plan_err!("`active_spans` takes a date and a number of days, for example active_spans(day, 28)"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(list_item(DataType::Struct(span_fields()))))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "days");
        Ok(vec![Arc::new(Field::new(name, DataType::List(list_item(DataType::Date32)), true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup { length: length(&args)?, days: Vec::new() }))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups { length: length(&args)?, days: Vec::new(), held: 0 }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Returns the number of days, which is written in the call.
fn length(args: &AccumulatorArgs) -> Result<i32> {
    let written = args.exprs.get(1).and_then(|length| length.downcast_ref::<Literal>());
    let days = match written.map(Literal::value) {
        Some(ScalarValue::Int64(Some(days))) => i32::try_from(*days).ok().filter(|days| *days > 0),
        _ => None,
    };
    let Some(days) = days else {
        return plan_err!("the number of days of `active_spans` must be written, and at least 1");
    };
    Ok(days)
}

/// Adds a day to different days in their order.
fn add(days: &mut Vec<i32>, day: i32) {
    match days.last() {
        Some(last) if *last >= day => {
            if let Err(at) = days.binary_search(&day) {
                days.insert(at, day);
            }
        }
        _ => days.push(day),
    }
}

/// Returns lists of days, one for each group.
fn lists(groups: &[Vec<i32>]) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths(groups.iter().map(Vec::len));
    let days: Date32Array = groups.iter().flatten().copied().collect::<Vec<i32>>().into();
    Arc::new(ListArray::new(list_item(DataType::Date32), offsets, Arc::new(days), None))
}

/// Returns lists of spans, one for each group.
fn spans(groups: &[Vec<i32>], length: i32) -> ArrayRef {
    let (mut first, mut until, mut lengths) = (Vec::new(), Vec::new(), Vec::with_capacity(groups.len()));
    for days in groups {
        let before = first.len();
        for &day in days {
            let end = day.saturating_add(length);
            match until.last_mut() {
                Some(last) if first.len() > before && *last >= day => *last = end,
                _ => {
                    first.push(day);
                    until.push(end);
                }
            }
        }
        lengths.push(first.len() - before);
    }
    let columns: Vec<ArrayRef> = vec![Arc::new(Date32Array::from(first)), Arc::new(Date32Array::from(until))];
    let spans = StructArray::new(span_fields(), columns, None);
    let item = list_item(DataType::Struct(span_fields()));
    Arc::new(ListArray::new(item, OffsetBuffer::from_lengths(lengths), Arc::new(spans), None))
}

/// The days of all rows, where there is one group.
#[derive(Debug)]
struct OneGroup {
    length: i32,
    days: Vec<i32>,
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values[0].as_primitive::<Date32Type>().iter().flatten().for_each(|day| add(&mut self.days, day));
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for days in states[0].as_list::<i32>().iter().flatten() {
            self.update_batch(&[days])?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::try_from_array(&lists(std::slice::from_ref(&self.days)), 0)?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&spans(std::slice::from_ref(&self.days), self.length), 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.days.capacity() * size_of::<i32>()
    }
}

/// The days of each group.
#[derive(Debug)]
struct Groups {
    length: i32,
    days: Vec<Vec<i32>>,
    /// How many days there is room for, in all groups.
    held: usize,
}

impl Groups {
    fn add(&mut self, group: usize, day: i32) {
        let days = &mut self.days[group];
        let before = days.capacity();
        add(days, day);
        self.held += days.capacity() - before;
    }

    /// Takes out the days of the first groups.
    fn take(&mut self, emit_to: EmitTo) -> Vec<Vec<i32>> {
        let taken = match emit_to {
            EmitTo::All => take(&mut self.days),
            EmitTo::First(_) => emit_to.take_needed(&mut self.days),
        };
        self.held -= taken.iter().map(Vec::capacity).sum::<usize>();
        taken
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.days.resize_with(total_num_groups, Vec::new);
        let days = values[0].as_primitive::<Date32Type>();
        for (row, &group) in group_indices.iter().enumerate() {
            let counts = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if counts && days.is_valid(row) {
                self.add(group, days.value(row));
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.days.resize_with(total_num_groups, Vec::new);
        let lists = values[0].as_list::<i32>();
        let days = lists.values().as_primitive::<Date32Type>().values();
        for (&group, ends) in group_indices.iter().zip(lists.value_offsets().windows(2)) {
            days[ends[0].as_usize()..ends[1].as_usize()].iter().for_each(|day| self.add(group, *day));
        }
        Ok(())
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![lists(&self.take(emit_to))])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(spans(&self.take(emit_to), self.length))
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let days = values[0].as_primitive::<Date32Type>();
        let counts = |row: usize| opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        let of_row = |row: usize| if counts(row) && days.is_valid(row) { vec![days.value(row)] } else { Vec::new() };
        Ok(vec![lists(&(0..days.len()).map(of_row).collect::<Vec<_>>())])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.days.capacity() * size_of::<Vec<i32>>() + self.held * size_of::<i32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns on which of the first days a window of some days holds one of the days, asked day by day.
    fn asked(days: &[i32], length: i32) -> Vec<bool> {
        (0..60).map(|now| days.iter().any(|day| *day <= now && now < day + length)).collect()
    }

    fn told(spans: &ArrayRef) -> Vec<bool> {
        let spans = spans.as_list::<i32>().value(0);
        let (first, until) = (spans.as_struct().column(0), spans.as_struct().column(1));
        let (first, until) = (first.as_primitive::<Date32Type>().values(), until.as_primitive::<Date32Type>().values());
        // Spans neither meet nor overlap, and stand in their order.
        assert!(until.iter().zip(&first[1.min(first.len())..]).all(|(until, next)| until < next));
        (0..60).map(|now| first.iter().zip(until).any(|(first, until)| (*first..*until).contains(&now))).collect()
    }

    #[test]
    fn spans_hold_the_days_on_which_a_window_has_one() {
        for seed in 0..200_i32 {
            let given: Vec<i32> = (0..seed % 9).map(|n| (seed * 7919 + n * n * 104_729).rem_euclid(40)).collect();
            for length in [1, 2, 7, 28] {
                let mut days = Vec::new();
                given.iter().for_each(|day| add(&mut days, *day));
                assert_eq!(told(&spans(&[days], length)), asked(&given, length), "{given:?} {length}");
            }
        }
    }

    #[test]
    fn groups_that_were_handed_on_are_what_they_would_be_in_one() {
        let rows: Vec<(usize, i32)> = (0..500).map(|n| (n * 7 % 13, i32::try_from(n * n % 50).unwrap())).collect();
        let (groups, days): (Vec<usize>, Vec<i32>) = rows.into_iter().unzip();
        let new = || Groups { length: 3, days: Vec::new(), held: 0 };
        let array = |days: &[i32]| -> Vec<ArrayRef> { vec![Arc::new(Date32Array::from(days.to_vec()))] };
        let mut whole = new();
        whole.update_batch(&array(&days), &groups, None, 13).unwrap();
        let mut merged = new();
        for (groups, days) in groups.chunks(100).zip(days.chunks(100)) {
            let mut part = new();
            part.update_batch(&array(days), groups, None, 13).unwrap();
            let state = part.state(EmitTo::All).unwrap();
            // In two parts, of which the second does not begin where its values do.
            merged.merge_batch(&[state[0].slice(0, 4)], &[0, 1, 2, 3], 13).unwrap();
            merged.merge_batch(&[state[0].slice(4, 9)], &(4..13).collect::<Vec<_>>(), 13).unwrap();
            let state = new().convert_to_state(&array(days), None).unwrap();
            merged.merge_batch(&state, groups, 13).unwrap();
        }
        let first = (whole.evaluate(EmitTo::First(5)).unwrap(), merged.evaluate(EmitTo::First(5)).unwrap());
        assert_eq!(&first.0, &first.1);
        assert_eq!(&whole.evaluate(EmitTo::All).unwrap(), &merged.evaluate(EmitTo::All).unwrap());
        assert_eq!((whole.held, merged.held), (0, 0));
    }
}

//! `distinct_changes(member, day [, length])`: on which days the number of different members changes, and by how much.
//!
//! With a `length`, of the members that have one of the last `length` days: a member that has day d counts from d up to and
//! without d + `length`, and once where such spans overlap or meet. Without one, of the members that had any day up to
//! then: each counts from its first day on. The sum of all changes up to a day is the number on that day.
//!
//! The result is the list of the days with a change that is not 0, in their order. Rows come in any order and as often as
//! they like; those without a member or a day are left out. A group without a row has an empty list.
//!
//! A group keeps, for each of its members, one number of 64 bits for 64 days that hold one of the member's: a GROUP BY of
//! the members keeps a row of keys and a list of days for each.

use std::collections::{BTreeMap, HashMap};
use std::mem::{size_of, size_of_val};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int32Array, Int64Array, LargeListArray, ListArray,
    StructArray, UInt64Array,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Date32Type, Field, FieldRef, Fields, Int32Type, UInt64Type};
use datafusion::common::hash_utils::RandomState;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};
use datafusion::physical_expr::expressions::Literal;

use super::members::{Members, OfAllRows, OneGroup, Words, items};

/// Days of which one number says which are a member's.
const BLOCK: i32 = 64;

/// Returns the function.
pub(super) fn distinct_changes() -> AggregateUDF {
    AggregateUDF::from(DistinctChanges { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DistinctChanges {
    signature: Signature,
}

fn item(kind: DataType) -> FieldRef {
    Arc::new(Field::new("item", kind, true))
}

fn change_fields() -> Fields {
    Fields::from(vec![Field::new("day", DataType::Date32, true), Field::new("change", DataType::Int64, true)])
}

/// What is handed on of a group: its members, each with its days. Texts of all members of all groups may be long.
fn state_fields() -> Fields {
    Fields::from(vec![
        Field::new("member", Members::listed_type(), false),
        Field::new("block", DataType::Int32, false),
        Field::new("days", DataType::UInt64, false),
    ])
}

impl AggregateUDFImpl for DistinctChanges {
    fn name(&self) -> &'static str {
        "distinct_changes"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [member, DataType::Date32] => Ok(vec![member.clone(), DataType::Date32]),
            [member, DataType::Date32, length] if length.is_integer() => {
                Ok(vec![member.clone(), DataType::Date32, DataType::Int64])
            }
            _ => plan_err!(
                "`distinct_changes` takes a value, a date and, for a window, a number of days, for example \
                 distinct_changes(user_id, day, 28)"
            ),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item(DataType::Struct(change_fields()))))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "members");
        Ok(vec![Arc::new(Field::new(name, DataType::LargeList(item(DataType::Struct(state_fields()))), true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup::of(Groups::of(length(&args)?))))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::of(length(&args)?)))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Returns the number of days, which is written in the call where it is for a window.
fn length(args: &AccumulatorArgs) -> Result<Option<i32>> {
    let Some(written) = args.exprs.get(2) else { return Ok(None) };
    let days = match written.downcast_ref::<Literal>().map(Literal::value) {
        Some(ScalarValue::Int64(Some(days))) => i32::try_from(*days).ok().filter(|days| *days > 0),
        _ => None,
    };
    if days.is_none() {
        return plan_err!("the number of days of `distinct_changes` must be written, and at least 1");
    }
    Ok(days)
}

/// The days of each member of each group.
#[derive(Debug)]
struct Groups {
    length: Option<i32>,
    members: Members,
    groups: Vec<Group>,
    /// How many bytes the days of all groups take.
    bytes: usize,
}

/// The days of the members of one group: for each block of days, which of them each member has. Without a window there is
/// one block, and of each member the first day.
type Group = BTreeMap<i32, Words>;

impl Groups {
    fn of(length: Option<i32>) -> Self {
        Self { length, members: Members::default(), groups: Vec::new(), bytes: 0 }
    }

    fn add(&mut self, group: usize, member: u32, day: i32) {
        match self.length {
            Some(_) => self.put(group, member, (day.div_euclid(BLOCK), 1 << day.rem_euclid(BLOCK))),
            None => self.put(group, member, (0, ordered(day))),
        }
    }

    fn put(&mut self, group: usize, member: u32, (block, days): (i32, u64)) {
        let blocks = self.groups[group].len();
        let words = self.groups[group].entry(block).or_default();
        let size = words.size();
        match self.length {
            Some(_) => words.change(member, |held| held | days),
            None => words.change(member, |held| if held == 0 { days } else { held.min(days) }),
        };
        // A list that became a table may be smaller.
        self.bytes += words.size().saturating_sub(size);
        self.bytes += (self.groups[group].len() - blocks) * size_of::<(i32, Words)>();
    }

    /// Takes out the first groups.
    fn take(&mut self, emit_to: EmitTo) -> Vec<Group> {
        let taken = match emit_to {
            EmitTo::All => std::mem::take(&mut self.groups),
            EmitTo::First(_) => emit_to.take_needed(&mut self.groups),
        };
        let words = taken.iter().flat_map(BTreeMap::values).map(|words| size_of::<(i32, Words)>() + words.size());
        self.bytes = self.bytes.saturating_sub(words.sum());
        taken
    }

    /// Returns the list of changes of each group.
    fn changes(&self, groups: &[Group]) -> ListArray {
        let (mut days, mut changes, mut lengths) = (Vec::<i32>::new(), Vec::<i64>::new(), Vec::new());
        for group in groups {
            let by_day = match self.length {
                None => changes_of_firsts(group),
                Some(length) => changes_of_windows(group, length),
            };
            let mut by_day: Vec<(i32, i64)> = by_day.into_iter().filter(|(_, change)| *change != 0).collect();
            by_day.sort_unstable();
            lengths.push(by_day.len());
            days.extend(by_day.iter().map(|(day, _)| day));
            changes.extend(by_day.iter().map(|(_, change)| change));
        }
        let columns: Vec<ArrayRef> = vec![Arc::new(Date32Array::from(days)), Arc::new(Int64Array::from(changes))];
        let changes = StructArray::new(change_fields(), columns, None);
        let item = item(DataType::Struct(change_fields()));
        ListArray::new(item, OffsetBuffer::from_lengths(lengths), Arc::new(changes), None)
    }

    /// Returns what is held of each of the first groups.
    fn held(&mut self, emit_to: EmitTo) -> Result<LargeListArray> {
        let (mut lengths, mut blocks, mut of_blocks) = (Vec::new(), Vec::new(), Vec::new());
        let mut members = Vec::new();
        for group in self.take(emit_to) {
            let before = blocks.len();
            for (block, words) in &group {
                for (member, days) in words.iter() {
                    members.push(member);
                    blocks.push(*block);
                    of_blocks.push(days);
                }
            }
            lengths.push(blocks.len() - before);
        }
        let (blocks, days) = (Int32Array::from(blocks), UInt64Array::from(of_blocks));
        let columns: Vec<ArrayRef> = vec![self.members.listed(&members)?, Arc::new(blocks), Arc::new(days)];
        let held = StructArray::new(state_fields(), columns, None);
        if self.groups.is_empty() {
            self.members.clear();
        }
        let item = item(DataType::Struct(state_fields()));
        Ok(LargeListArray::new(item, OffsetBuffer::from_lengths(lengths), Arc::new(held), None))
    }
}

/// How many more members each day has than the day before it.
type ByDay = HashMap<i32, i64, RandomState>;

fn changes_of_firsts(group: &Group) -> ByDay {
    let mut by_day = ByDay::default();
    for (_, day) in group.values().flat_map(Words::iter) {
        *by_day.entry(unordered(day)).or_default() += 1;
    }
    by_day
}

fn changes_of_windows(group: &Group, length: i32) -> ByDay {
    let mut by_day = ByDay::default();
    // Until when each member counts, for its days up to now.
    let mut until = Words::default();
    for (block, words) in group {
        for (member, mut days) in words.iter() {
            while days != 0 {
                let day = block * BLOCK + days.trailing_zeros().cast_signed();
                days &= days - 1;
                let before = until.change(member, |_| ordered(day.saturating_add(length)));
                if before < ordered(day) {
                    if before != 0 {
                        *by_day.entry(unordered(before)).or_default() -= 1;
                    }
                    *by_day.entry(day).or_default() += 1;
                }
            }
        }
    }
    for (_, until) in until.iter() {
        *by_day.entry(unordered(until)).or_default() -= 1;
    }
    by_day
}

/// Returns the day as a number that keeps its order and is not 0.
fn ordered(day: i32) -> u64 {
    (i64::from(day) - i64::from(i32::MIN) + 1).unsigned_abs()
}

/// Returns the day of such a number.
fn unordered(day: u64) -> i32 {
    let day = day.cast_signed() + i64::from(i32::MIN) - 1;
    i32::try_from(day).unwrap_or(i32::MAX)
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize_with(total_num_groups, Group::new);
        let members = self.members.numbers(&values[0])?;
        let days = values[1].as_primitive::<Date32Type>();
        for (row, (&group, member)) in group_indices.iter().zip(members.iter()).enumerate() {
            let counts = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if let (true, true, Some(member)) = (counts, days.is_valid(row), *member) {
                self.add(group, member, days.value(row));
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.groups.resize_with(total_num_groups, Group::new);
        let (held, of_groups) = items(values[0].as_list());
        let held = held.as_struct();
        let members = self.members.numbers_of_listed(held.column(0))?;
        let (blocks, days) = (held.column(1).as_primitive::<Int32Type>(), held.column(2).as_primitive::<UInt64Type>());
        for (&group, of_group) in group_indices.iter().zip(of_groups) {
            for row in of_group {
                self.put(group, members[row], (blocks.value(row), days.value(row)));
            }
        }
        Ok(())
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(self.held(emit_to)?)])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let taken = self.take(emit_to);
        Ok(Arc::new(self.changes(&taken)))
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut each = Self::of(self.length);
        let rows = values[0].len();
        each.update_batch(values, &(0..rows).collect::<Vec<_>>(), opt_filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.members.size() + self.groups.capacity() * size_of::<Group>() + self.bytes
    }
}

impl OfAllRows for Groups {
    fn begin(&mut self) {
        self.groups.resize_with(1, Group::new);
    }

    fn value(&self) -> ScalarValue {
        ScalarValue::List(Arc::new(self.changes(&self.groups)))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::StringArray;

    use super::*;

    /// A row: its group, its member and its day.
    type Row = (usize, String, i32);

    const GROUPS: usize = 5;

    fn rows(seed: i32) -> Vec<Row> {
        let row = |n: i32| {
            let mixed = (seed * 7919 + n * n * 104_729).rem_euclid(100_003);
            let member = format!("member {}", mixed % 7);
            // Days before and after 1970, and more than one block of them.
            (usize::try_from(mixed % 3).unwrap() + usize::from(mixed % 2 == 0), member, mixed % 150 - 40)
        };
        (0..seed % 40).map(row).collect()
    }

    fn arrays(rows: &[Row]) -> (Vec<ArrayRef>, Vec<usize>) {
        let members: StringArray = rows.iter().map(|(_, member, _)| Some(member.as_str())).collect();
        let days: Date32Array = rows.iter().map(|(_, _, day)| Some(*day)).collect();
        (vec![Arc::new(members), Arc::new(days)], rows.iter().map(|(group, _, _)| *group).collect())
    }

    /// Returns how many members each day has, asked day by day.
    fn asked(rows: &[Row], group: usize, length: Option<i32>) -> Vec<usize> {
        let counts = |now: i32| {
            let of_now = rows
                .iter()
                .filter(|(of, _, day)| *of == group && *day <= now && length.is_none_or(|length| now < *day + length));
            of_now.map(|(_, member, _)| member).collect::<std::collections::BTreeSet<_>>().len()
        };
        (-50..160).map(counts).collect()
    }

    fn changes(groups: &mut Groups, emit_to: EmitTo) -> ListArray {
        groups.evaluate(emit_to).unwrap().as_list::<i32>().clone()
    }

    fn told(changes: &ListArray, group: usize) -> Vec<usize> {
        let changes = changes.value(group);
        let (days, changes) = (changes.as_struct().column(0), changes.as_struct().column(1));
        let days = days.as_primitive::<Date32Type>().values();
        let changes = changes.as_primitive::<datafusion::arrow::datatypes::Int64Type>().values();
        assert!(days.windows(2).all(|pair| pair[0] < pair[1]) && changes.iter().all(|change| *change != 0));
        let sum = |now: i32| -> i64 {
            days.iter().zip(changes).filter(|(day, _)| **day <= now).map(|(_, change)| change).sum()
        };
        (-50..160).map(|now| usize::try_from(sum(now)).unwrap()).collect()
    }

    #[test]
    fn changes_add_up_to_the_members_of_each_day() {
        for seed in 0..300 {
            let rows = rows(seed);
            for length in [None, Some(1), Some(7), Some(28), Some(100)] {
                let (values, groups) = arrays(&rows);
                let mut whole = Groups::of(length);
                whole.update_batch(&values, &groups, None, GROUPS).unwrap();
                let all = changes(&mut whole, EmitTo::All);
                for group in 0..GROUPS {
                    assert_eq!(told(&all, group), asked(&rows, group, length), "{rows:?} {group} {length:?}");
                }
            }
        }
    }

    #[test]
    fn groups_that_were_handed_on_are_what_they_would_be_in_one() {
        let rows: Vec<Row> = (0..40).flat_map(rows).collect();
        for length in [None, Some(9)] {
            let (values, groups) = arrays(&rows);
            let mut whole = Groups::of(length);
            whole.update_batch(&values, &groups, None, GROUPS).unwrap();
            let mut merged = Groups::of(length);
            for some in rows.chunks(77) {
                let (values, groups) = arrays(some);
                let mut part = Groups::of(length);
                part.update_batch(&values, &groups, None, GROUPS).unwrap();
                // In two parts, of which the second does not begin where its values do.
                let first = part.state(EmitTo::First(2)).unwrap();
                merged.merge_batch(&first, &[0, 1], GROUPS).unwrap();
                merged.merge_batch(&part.convert_to_state(&values, None).unwrap(), &groups, GROUPS).unwrap();
                let left = part.state(EmitTo::All).unwrap();
                merged.merge_batch(&[left[0].slice(1, 2)], &[3, 4], GROUPS).unwrap();
                merged.merge_batch(&[left[0].slice(0, 1)], &[2], GROUPS).unwrap();
            }
            let parts = |groups: &mut Groups| [changes(groups, EmitTo::First(2)), changes(groups, EmitTo::All)];
            assert_eq!(parts(&mut whole), parts(&mut merged));
            assert!(whole.groups.is_empty() && merged.groups.is_empty());
        }
    }

    #[test]
    fn rows_without_a_member_or_a_day_or_that_a_filter_drops_are_left_out() {
        let members: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(2), Some(3), Some(1)]));
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(5), Some(6), None, Some(7), Some(9)]));
        let filter = BooleanArray::from(vec![Some(true), Some(true), Some(true), None, Some(true)]);
        let mut groups = Groups::of(None);
        groups.update_batch(&[members, days], &[0; 5], Some(&filter), 1).unwrap();
        let changes = changes(&mut groups, EmitTo::All);
        assert_eq!(changes.value(0).as_struct().column(0).as_primitive::<Date32Type>().values(), &[5]);
    }

    #[test]
    fn a_frame_that_grows_is_asked_again_after_each_row() {
        let rows = rows(39);
        for length in [None, Some(9)] {
            let mut frame = OneGroup::of(Groups::of(length));
            for end in 0..=rows.len() {
                if end > 0 {
                    frame.update_batch(&arrays(&rows[end - 1..end]).0).unwrap();
                }
                let of_frame: Vec<Row> = rows[..end].iter().map(|(_, member, day)| (0, member.clone(), *day)).collect();
                let ScalarValue::List(all) = frame.evaluate().unwrap() else { panic!("no list") };
                assert_eq!(told(&all, 0), asked(&of_frame, 0, length), "{of_frame:?} {length:?}");
            }
        }
    }
}

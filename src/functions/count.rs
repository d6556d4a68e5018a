//! `count` that is quick with different texts.
//!
//! DataFusion 55.2 keeps, for `count(distinct text)`, a set of texts for each group. Here every different text gets a number
//! once, and what a group has are bits: less of time and of memory where a text is in several groups, as with grouping
//! sets. Names, types and results are those of DataFusion, and so is all that counts no different texts.

use std::mem::{size_of, size_of_val};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, LargeListArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{ArrowNativeType, DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature, StatisticsArgs,
};

use super::members::{Members, OfAllRows, OneGroup, Words, items};

/// Returns the function.
pub(super) fn count() -> AggregateUDF {
    AggregateUDF::from(Count { engine: count_udaf().as_ref().clone() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Count {
    /// DataFusion's.
    engine: AggregateUDF,
}

/// Returns whether different texts are counted.
fn is_of_texts(is_distinct: bool, values: &[FieldRef]) -> bool {
    is_distinct && matches!(values, [one] if *one.data_type() == DataType::Utf8)
}

fn text_item() -> FieldRef {
    Arc::new(Field::new("item", Members::listed_type(), true))
}

impl AggregateUDFImpl for Count {
    fn name(&self) -> &'static str {
        "count"
    }

    fn signature(&self) -> &Signature {
        self.engine.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.engine.return_type(arguments)
    }

    fn is_nullable(&self) -> bool {
        self.engine.is_nullable()
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if !is_of_texts(args.is_distinct, args.input_fields) {
            return self.engine.state_fields(args);
        }
        // All texts of all groups are one array, which may be longer than 2 GiB.
        let name = format_state_name(args.name, "count distinct");
        Ok(vec![Arc::new(Field::new(name, DataType::LargeList(text_item()), false))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if is_of_texts(args.is_distinct, args.expr_fields) {
            return Ok(Box::new(OneGroup::of(Groups::new())));
        }
        self.engine.accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.engine.create_sliding_accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        is_of_texts(args.is_distinct, args.expr_fields) || self.engine.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        if is_of_texts(args.is_distinct, args.expr_fields) {
            return Ok(Box::new(Groups::new()));
        }
        self.engine.create_groups_accumulator(args)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.engine.order_sensitivity()
    }

    fn default_value(&self, kind: &DataType) -> Result<ScalarValue> {
        self.engine.default_value(kind)
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

/// The different texts of each group.
#[derive(Debug)]
struct Groups {
    texts: Members,
    groups: Vec<Group>,
    /// How many bytes the sets of all groups take.
    bytes: usize,
}

/// The texts of one group.
#[derive(Debug, Default)]
struct Group {
    /// For each 64 numbers of texts, a bit for each that the group has.
    has: Words,
    count: i64,
}

impl Group {
    /// Adds a text, and returns how many bytes more it takes.
    fn add(&mut self, text: u32) -> usize {
        let (bit, size) = (1 << (text % 64), self.has.size());
        let before = self.has.change(text / 64, |bits| bits | bit);
        self.count += i64::from(before & bit == 0);
        // A list that became a table may be smaller.
        self.has.size().saturating_sub(size)
    }

    /// Returns the numbers of its texts.
    fn texts(&self) -> impl Iterator<Item = u32> {
        self.has
            .iter()
            .flat_map(|(word, bits)| (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit))
    }
}

impl Groups {
    fn new() -> Self {
        Self { texts: Members::default(), groups: Vec::new(), bytes: 0 }
    }

    /// Takes out the first groups.
    fn take(&mut self, emit_to: EmitTo) -> Vec<Group> {
        let taken = match emit_to {
            EmitTo::All => std::mem::take(&mut self.groups),
            EmitTo::First(_) => emit_to.take_needed(&mut self.groups),
        };
        self.bytes = self.bytes.saturating_sub(taken.iter().map(|group| group.has.size()).sum());
        taken
    }

    /// Returns the texts of each of the first groups.
    fn lists(&mut self, emit_to: EmitTo) -> Result<LargeListArray> {
        let taken = self.take(emit_to);
        let offsets = OffsetBuffer::from_lengths(taken.iter().map(|group| group.count.as_usize()));
        let texts: Vec<u32> = taken.iter().flat_map(Group::texts).collect();
        let texts = self.texts.listed(&texts)?;
        if self.groups.is_empty() {
            self.texts.clear();
        }
        Ok(LargeListArray::new(text_item(), offsets, texts, None))
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
        self.groups.resize_with(total_num_groups, Group::default);
        let texts = self.texts.numbers(&values[0])?;
        for (row, (&group, text)) in group_indices.iter().zip(texts.iter()).enumerate() {
            let counts = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if let (true, Some(text)) = (counts, *text) {
                self.bytes += self.groups[group].add(text);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.groups.resize_with(total_num_groups, Group::default);
        let (texts, of_groups) = items(values[0].as_list());
        let texts = self.texts.numbers_of_listed(&texts)?;
        for (&group, of_group) in group_indices.iter().zip(of_groups) {
            for text in &texts[of_group] {
                self.bytes += self.groups[group].add(*text);
            }
        }
        Ok(())
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(self.lists(emit_to)?)])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from_iter_values(self.take(emit_to).iter().map(|group| group.count))))
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut each = Self::new();
        let rows = values[0].len();
        each.update_batch(values, &(0..rows).collect::<Vec<_>>(), opt_filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.texts.size() + self.groups.capacity() * size_of::<Group>() + self.bytes
    }
}

impl OfAllRows for Groups {
    fn begin(&mut self) {
        self.groups.resize_with(1, Group::default);
    }

    fn value(&self) -> ScalarValue {
        ScalarValue::Int64(self.groups.first().map(|group| group.count))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::arrow::array::StringArray;

    use super::*;

    #[test]
    fn groups_have_as_many_texts_as_their_sets() {
        let text = |n: usize| (n % 7 != 3).then(|| format!("text {}", n * n % 91));
        let rows: Vec<(usize, Option<String>)> = (0..3000).map(|n| (n * 31 % 11, text(n))).collect();
        let kept = |n: usize| !n.is_multiple_of(5);
        let mut sets = vec![BTreeSet::new(); 11];
        for (_, (group, text)) in rows.iter().enumerate().filter(|(n, _)| kept(*n)) {
            sets[*group].extend(text.clone());
        }
        let expected: Vec<usize> = sets.iter().map(BTreeSet::len).collect();
        let counts = |array: &ArrayRef| -> Vec<usize> {
            array
                .as_primitive::<datafusion::arrow::datatypes::Int64Type>()
                .values()
                .iter()
                .map(|n| n.as_usize())
                .collect()
        };
        let (mut whole, mut merged) = (Groups::new(), Groups::new());
        for (piece, rows) in rows.chunks(256).enumerate() {
            let filter: BooleanArray = (0..rows.len()).map(|n| Some(kept(piece * 256 + n))).collect();
            let texts: ArrayRef = Arc::new(rows.iter().map(|(_, text)| text.as_deref()).collect::<StringArray>());
            let groups: Vec<usize> = rows.iter().map(|(group, _)| *group).collect();
            whole.update_batch(&[Arc::clone(&texts)], &groups, Some(&filter), 11).unwrap();
            let mut part = Groups::new();
            part.update_batch(&[Arc::clone(&texts)], &groups, Some(&filter), 11).unwrap();
            let first = part.state(EmitTo::First(4)).unwrap();
            merged.merge_batch(&first, &[0, 1, 2, 3], 11).unwrap();
            let left = part.state(EmitTo::All).unwrap();
            merged.merge_batch(&[left[0].slice(3, 4)], &[7, 8, 9, 10], 11).unwrap();
            merged.merge_batch(&[left[0].slice(0, 3)], &[4, 5, 6], 11).unwrap();
            merged.merge_batch(&part.convert_to_state(&[texts], Some(&filter)).unwrap(), &groups, 11).unwrap();
        }
        for groups in [&mut whole, &mut merged] {
            let mut told = counts(&groups.evaluate(EmitTo::First(6)).unwrap());
            told.extend(counts(&groups.evaluate(EmitTo::All).unwrap()));
            assert_eq!(told, expected);
        }
    }
}

//! Values that are counted once each: every different value gets a number, in the order in which values come.

use std::collections::HashMap;
use std::fmt;
use std::mem::size_of;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, LargeBinaryBuilder, LargeListArray, UInt32Array,
};
use datafusion::arrow::datatypes::{ArrowNativeType, DataType, UInt32Type};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::hash_utils::RandomState;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

/// The type of values that are handed on.
const LISTED: &DataType = &DataType::LargeBinary;

/// The different values of one type, numbered from 0.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Turns values of other types than text into bytes; equal bytes are equal values.
    rows: Option<RowConverter>,
    numbers: HashMap<Arc<[u8]>, u32, RandomState>,
    /// The bytes of each number.
    bytes: Vec<Arc<[u8]>>,
    /// How many bytes they are together.
    length: usize,
    /// The values that came last, and their numbers: grouping sets hand on the same values once for each set.
    last: Option<(ArrayRef, Arc<[Option<u32>]>)>,
}

impl Members {
    /// Returns the number of each value; a null has none.
    pub(super) fn numbers(&mut self, values: &ArrayRef) -> Result<Arc<[Option<u32>]>> {
        if let Some((last, numbers)) = &self.last
            && Arc::ptr_eq(last, values)
        {
            return Ok(Arc::clone(numbers));
        }
        let numbers: Arc<[Option<u32>]> = match values.data_type() {
            DataType::Utf8 => self.numbers_of(values.as_string::<i32>().iter().map(|text| text.map(str::as_bytes)))?,
            LISTED => self.numbers_of(values.as_binary::<i64>().iter())?,
            kind => {
                let converter = match self.rows.take() {
                    Some(converter) => converter,
                    None => RowConverter::new(vec![SortField::new(kind.clone())])?,
                };
                let rows = converter.convert_columns(&[Arc::clone(values)])?;
                self.rows = Some(converter);
                let row = |at: usize| values.is_valid(at).then(|| rows.row(at));
                self.numbers_of((0..values.len()).map(row).map(|row| row.map(|row| row.data())))?
            }
        };
        self.last = Some((Arc::clone(values), Arc::clone(&numbers)));
        Ok(numbers)
    }

    fn numbers_of<'a>(
        &mut self,
        values: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
    ) -> Result<Arc<[Option<u32>]>> {
        let mut numbers = Vec::with_capacity(values.len());
        let mut before = None;
        for value in values {
            // Rows of one value often come together.
            before = match (value, before) {
                (Some(value), Some((last, number))) if last == value => Some((value, number)),
                (Some(value), _) => Some((value, self.number(value)?)),
                (None, _) => None,
            };
            numbers.push(before.map(|(_, number)| number));
        }
        Ok(numbers.into())
    }

    /// Returns the type in which values are handed on: each value once, however many groups have it.
    pub(super) fn listed_type() -> DataType {
        DataType::Dictionary(Box::new(DataType::UInt32), Box::new(LISTED.clone()))
    }

    /// Returns the values with these numbers, to be handed on.
    pub(super) fn listed(&self, numbers: &[u32]) -> Result<ArrayRef> {
        let mut places = vec![None; self.bytes.len()];
        let mut values = LargeBinaryBuilder::new();
        let mut count = 0;
        let mut place = |number: u32| {
            let place = &mut places[number as usize];
            *place.get_or_insert_with(|| {
                values.append_value(&*self.bytes[number as usize]);
                count += 1;
                count - 1
            })
        };
        let places: UInt32Array = numbers.iter().map(|number| place(*number)).collect::<Vec<u32>>().into();
        Ok(Arc::new(DictionaryArray::<UInt32Type>::try_new(places, Arc::new(values.finish()))?))
    }

    /// Returns the numbers of values that were handed on.
    pub(super) fn numbers_of_listed(&mut self, listed: &ArrayRef) -> Result<Vec<u32>> {
        let listed = listed.as_dictionary::<UInt32Type>();
        let numbers = self.numbers(listed.values())?;
        let number = |place: &u32| {
            let Some(Some(number)) = numbers.get(*place as usize) else {
                return internal_err!("a value that is handed on has no number");
            };
            Ok(*number)
        };
        listed.keys().values().iter().map(number).collect()
    }

    fn number(&mut self, bytes: &[u8]) -> Result<u32> {
        if let Some(number) = self.numbers.get(bytes) {
            return Ok(*number);
        }
        let Ok(number) = u32::try_from(self.bytes.len()) else {
            return exec_err!("there are too many different values");
        };
        let bytes: Arc<[u8]> = bytes.into();
        self.length += bytes.len();
        self.bytes.push(Arc::clone(&bytes));
        self.numbers.insert(bytes, number);
        Ok(number)
    }

    /// Forgets all values.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns how many bytes of memory it takes.
    pub(super) fn size(&self) -> usize {
        // Each allocation has two counts before the bytes; one byte of each place says whether it is taken.
        let each = size_of::<(Arc<[u8]>, u32)>() + 1;
        self.length
            + self.bytes.len() * 2 * size_of::<usize>()
            + self.bytes.capacity() * size_of::<Arc<[u8]>>()
            + self.numbers.capacity() * each
            + self.last.as_ref().map_or(0, |(_, numbers)| size_of_val::<[Option<u32>]>(numbers))
    }
}

/// Returns the items of all lists in one array, and where those of each list are in it. A list that was cut out of many keeps
/// the items of all.
pub(super) fn items(lists: &LargeListArray) -> (ArrayRef, impl Iterator<Item = Range<usize>>) {
    let offsets = lists.value_offsets();
    let (first, last) = (offsets[0].as_usize(), offsets[lists.len()].as_usize());
    let ranges = offsets.windows(2).map(move |ends| ends[0].as_usize() - first..ends[1].as_usize() - first);
    (lists.values().slice(first, last - first), ranges)
}

/// Groups that can be one group of all rows.
pub(super) trait OfAllRows: GroupsAccumulator + fmt::Debug + Sync {
    /// Makes the group, if there is none yet.
    fn begin(&mut self);

    /// Returns its result. It stays as it is: a frame that grows is asked after each row.
    fn value(&self) -> ScalarValue;
}

/// What there is of all rows, where there is one group.
#[derive(Debug)]
pub(super) struct OneGroup<G>(G);

impl<G: OfAllRows> OneGroup<G> {
    pub(super) fn of(mut groups: G) -> Self {
        groups.begin();
        Self(groups)
    }
}

impl<G: OfAllRows> Accumulator for OneGroup<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(values, &vec![0; values[0].len()], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states, &vec![0; states[0].len()], 1)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = self.0.state(EmitTo::All)?;
        self.0.begin();
        state.iter().map(|state| ScalarValue::try_from_array(state, 0)).collect()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.0.value())
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

/// A number of 64 bits for each of some numbers; what has none is 0.
///
/// As a table where few numbers have one, and as a plain list, which is many times quicker, where many of them do.
#[derive(Debug, Default)]
pub(super) struct Words {
    few: HashMap<u32, u64, RandomState>,
    many: Vec<u64>,
    /// How many places of `many` are not 0.
    taken: usize,
}

/// A list may have so many places for each that is taken, and for each of a table when it becomes one.
const MOST_PLACES: usize = 8;
const PLACES: usize = 4;
/// A list of so many places is small.
const SMALL: usize = 8;

impl Words {
    /// Changes the number of `at`, which must not become 0, and returns what it was.
    pub(super) fn change(&mut self, at: u32, change: impl FnOnce(u64) -> u64) -> u64 {
        let place = at as usize;
        if self.many.len() <= place && self.is_list() {
            self.lengthen(place);
        }
        if let Some(word) = self.many.get_mut(place) {
            let before = std::mem::replace(word, change(*word));
            self.taken += usize::from(before == 0);
            return before;
        }
        let word = self.few.entry(at).or_default();
        let before = std::mem::replace(word, change(*word));
        if before == 0 && self.few.len().is_power_of_two() {
            self.become_list();
        }
        before
    }

    /// Returns the numbers that have one, with it: in their order, if it is a list.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        let many = (0..).zip(&self.many).filter(|(_, word)| **word != 0);
        self.few.iter().map(|(at, word)| (*at, *word)).chain(many.map(|(at, word)| (at, *word)))
    }

    /// Returns how many bytes of memory it takes.
    pub(super) fn size(&self) -> usize {
        self.many.capacity() * size_of::<u64>() + self.few.capacity() * (size_of::<(u32, u64)>() + 1)
    }

    fn is_list(&self) -> bool {
        self.few.is_empty()
    }

    /// Makes the list long enough for a place, or a table of it where most of it would be empty.
    fn lengthen(&mut self, place: usize) {
        if place < SMALL || place < self.taken * MOST_PLACES {
            self.many.resize(place + 1, 0);
            return;
        }
        let many = std::mem::take(&mut self.many);
        self.few = (0..).zip(many).filter(|(_, word)| *word != 0).collect();
        self.taken = 0;
    }

    /// Makes a list of the table, if it is dense enough.
    fn become_list(&mut self) {
        let length = self.few.keys().max().map_or(0, |last| *last as usize + 1);
        if length > self.few.len() * PLACES {
            return;
        }
        self.many = vec![0; length];
        self.taken = self.few.len();
        for (at, word) in std::mem::take(&mut self.few) {
            self.many[at as usize] = word;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_map_whether_many_or_few() {
        // Dense, then sparse, then dense again around new numbers.
        let numbers = (0..3000).map(|n| n * 7 % 3000).chain((1..60).map(|n| n * 70_000)).chain(500_000..540_000);
        let (mut words, mut expected) = (Words::default(), HashMap::<u32, u64>::new());
        for (n, at) in (1..).zip(numbers.chain(0..1000)) {
            let before = words.change(at, |word| word | n);
            assert_eq!(before, expected.get(&at).copied().unwrap_or_default());
            *expected.entry(at).or_default() |= n;
        }
        assert_eq!(words.iter().collect::<HashMap<_, _>>(), expected);
    }

    #[test]
    fn values_of_any_type_have_one_number_each() {
        use datafusion::arrow::array::{Int64Array, StringArray};
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("a"), None, Some("b"), Some("a")]));
        let mut members = Members::default();
        let numbers = members.numbers(&texts).unwrap();
        assert_eq!(*numbers, [Some(0), Some(0), None, Some(1), Some(0)]);
        assert!(Arc::ptr_eq(&numbers, &members.numbers(&texts).unwrap()), "not asked again");
        let listed = members.listed(&[1, 0, 1]).unwrap();
        assert_eq!(listed.as_dictionary::<UInt32Type>().values().len(), 2);
        let mut others = Members::default();
        assert_eq!(others.numbers_of_listed(&listed).unwrap(), [0, 1, 0]);
        assert_eq!(*others.numbers(&texts).unwrap(), [Some(1), Some(1), None, Some(0), Some(1)]);
        let integers: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(-5), Some(5)]));
        let mut members = Members::default();
        assert_eq!(*members.numbers(&integers).unwrap(), [Some(0), None, Some(1), Some(0)]);
    }
}

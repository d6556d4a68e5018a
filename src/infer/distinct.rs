//! How many different texts a column has, in bounded memory.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_128;

/// Memory that all columns of a file share for counting, in bytes.
pub(super) const MEMORY_BYTES: usize = 256 << 20;

/// Up to here the texts themselves are kept, so that the count is exact beyond doubt.
const TEXT_BYTES: usize = 8 << 20;

/// Of a column that repeats itself, how many different texts are counted.
const REPEATED: usize = 100_000;

/// What an entry of a set takes besides its text.
const ENTRY_BYTES: usize = 40;

/// How often single texts are counted, for columns of few.
const FEW: usize = 40;

/// The different texts of a column.
#[derive(Debug)]
pub(super) struct Distinct {
    texts: Texts,
    text_bytes: usize,
    /// Whether a text came twice.
    pub(super) repeats: bool,
    few: Option<HashMap<Box<[u8]>, u64>>,
    /// The first few different texts.
    pub(super) examples: Vec<String>,
}

#[derive(Debug)]
enum Texts {
    /// All of them.
    Themselves(HashSet<Box<[u8]>>),
    /// Their hashes of 128 bits.
    Hashes(HashSet<u128>),
    /// There were at least so many when counting stopped.
    AtLeast(usize),
}

/// There are too many texts to know them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

/// How many different texts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// So many, told by the texts themselves.
    Exact(usize),
    /// So many, told by hashes of 128 bits.
    Hashed(usize),
    /// At least so many.
    AtLeast(usize),
}

impl Default for Distinct {
    fn default() -> Self {
        Self {
            texts: Texts::Themselves(HashSet::new()),
            text_bytes: 0,
            repeats: false,
            few: Some(HashMap::new()),
            examples: Vec::new(),
        }
    }
}

impl Distinct {
    /// Takes a text; `memory` is what all columns have left.
    pub(super) fn push(&mut self, text: &[u8], memory: &mut usize) {
        self.count_few(text);
        let is_new = match &mut self.texts {
            Texts::Themselves(texts) => !texts.contains(text) && texts.insert(text.into()),
            Texts::Hashes(hashes) => hashes.insert(xxh3_128(text)),
            Texts::AtLeast(_) => return,
        };
        if !is_new {
            self.repeats = true;
        } else if self.examples.len() < 3 {
            self.examples.push(String::from_utf8_lossy(text).into_owned());
        }
        let count = self.len();
        if is_new {
            let bytes = ENTRY_BYTES + if matches!(self.texts, Texts::Themselves(_)) { text.len() } else { 0 };
            self.text_bytes += bytes;
            let is_over = *memory < bytes;
            *memory = memory.saturating_sub(bytes);
            if is_over {
                self.stop(memory);
                return;
            }
        }
        if self.repeats && count > REPEATED {
            self.stop(memory);
        } else if let Texts::Themselves(texts) = &self.texts
            && self.text_bytes > TEXT_BYTES
        {
            self.texts = Texts::Hashes(texts.iter().map(|text| xxh3_128(text)).collect());
            *memory += self.text_bytes;
            self.text_bytes = count * ENTRY_BYTES;
            *memory = memory.saturating_sub(self.text_bytes);
        }
    }

    /// Returns two texts that `value` makes one of, the same two whatever order they came in.
    ///
    /// # Errors
    /// There are too many texts to know them all.
    pub(super) fn merged(&self, value: impl Fn(&str) -> Option<String>) -> Result<Option<(String, String)>, TooMany> {
        let Texts::Themselves(texts) = &self.texts else { return Err(TooMany) };
        let mut known: HashMap<String, &str> = HashMap::new();
        let mut found: Vec<(String, String)> = Vec::new();
        for text in texts.iter().filter_map(|text| std::str::from_utf8(text).ok()) {
            if let Some(other) = value(text).and_then(|value| known.insert(value, text)) {
                let (one, other) = if text < other { (text, other) } else { (other, text) };
                found.push((one.to_owned(), other.to_owned()));
            }
        }
        Ok(found.into_iter().min())
    }

    fn len(&self) -> usize {
        match &self.texts {
            Texts::Themselves(texts) => texts.len(),
            Texts::Hashes(hashes) => hashes.len(),
            Texts::AtLeast(count) => *count,
        }
    }

    fn stop(&mut self, memory: &mut usize) {
        self.texts = Texts::AtLeast(self.len());
        *memory += std::mem::take(&mut self.text_bytes);
    }

    fn count_few(&mut self, text: &[u8]) {
        let Some(few) = &mut self.few else { return };
        if let Some(count) = few.get_mut(text) {
            *count += 1;
        } else if few.len() < FEW && text.len() <= 64 {
            few.insert(text.into(), 1);
        } else {
            self.few = None;
        }
    }

    /// Returns how many different texts there are.
    pub(super) fn count(&self) -> Count {
        match &self.texts {
            Texts::Themselves(texts) => Count::Exact(texts.len()),
            Texts::Hashes(hashes) => Count::Hashed(hashes.len()),
            Texts::AtLeast(count) => Count::AtLeast(*count),
        }
    }

    /// Returns whether no text came twice, if that is known.
    pub(super) fn is_unique(&self) -> Option<bool> {
        match self.texts {
            _ if self.repeats => Some(false),
            Texts::AtLeast(_) => None,
            _ => Some(true),
        }
    }

    /// Returns the texts with how often each came, sorted, if they are few.
    pub(super) fn values(&self) -> Option<Vec<(String, u64)>> {
        let few = self.few.as_ref()?;
        let mut values: Vec<_> =
            few.iter().map(|(text, count)| (String::from_utf8_lossy(text).into_owned(), *count)).collect();
        values.sort();
        Some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_counted_and_repeats_noticed() {
        let (mut distinct, mut memory) = (Distinct::default(), MEMORY_BYTES);
        for text in ["a", "b", "c", "d"] {
            distinct.push(text.as_bytes(), &mut memory);
        }
        assert_eq!((distinct.count(), distinct.is_unique()), (Count::Exact(4), Some(true)));
        distinct.push(b"a", &mut memory);
        assert_eq!((distinct.count(), distinct.is_unique()), (Count::Exact(4), Some(false)));
        assert_eq!(distinct.values().unwrap()[0], ("a".to_owned(), 2));
        assert_eq!(distinct.examples, ["a", "b", "c"]);
    }

    #[test]
    fn many_texts_become_hashes_and_too_many_a_bound() {
        let (mut distinct, mut memory) = (Distinct::default(), MEMORY_BYTES);
        for number in 0..200_000_u32 {
            distinct.push(format!("{number:032}").as_bytes(), &mut memory);
        }
        assert_eq!((distinct.count(), distinct.is_unique()), (Count::Hashed(200_000), Some(true)));
        assert_eq!(distinct.values(), None);
        distinct.push(b"00000000000000000000000000000007", &mut memory);
        assert_eq!((distinct.count(), distinct.is_unique()), (Count::AtLeast(200_000), Some(false)));
        assert_eq!(memory, MEMORY_BYTES);
    }

    #[test]
    fn texts_of_one_value_are_found() {
        let (mut distinct, mut memory) = (Distinct::default(), MEMORY_BYTES);
        for text in ["a", "B", "b", "A", "c"] {
            distinct.push(text.as_bytes(), &mut memory);
        }
        let lower = |text: &str| Some(text.to_lowercase());
        assert_eq!(distinct.merged(lower), Ok(Some(("A".to_owned(), "a".to_owned()))));
        assert_eq!(distinct.merged(|text| Some(text.to_owned())), Ok(None));
        assert_eq!(distinct.merged(|_| None), Ok(None));
    }

    #[test]
    fn without_memory_nothing_is_claimed() {
        let (mut distinct, mut memory) = (Distinct::default(), 100);
        for text in ["a", "b", "c", "d"] {
            distinct.push(text.as_bytes(), &mut memory);
        }
        assert_eq!(distinct.is_unique(), None);
        assert!(matches!(distinct.count(), Count::AtLeast(_)));
    }
}

//! The rules of a column, made ready to be asked of millions of values.

use std::collections::HashSet;

use super::parse::ValueFault;

/// The texts that mean "no value".
#[derive(Debug, Clone)]
pub(super) struct Nulls {
    texts: Vec<Box<[u8]>>,
    /// Which lengths the texts have, one bit each, so that most cells are told from them at once.
    lengths: u64,
}

impl Nulls {
    pub(super) fn new(texts: &[String]) -> Self {
        let lengths = texts.iter().fold(0, |lengths, text| lengths | length_bit(text.len()));
        Self { texts: texts.iter().map(|text| text.as_bytes().into()).collect(), lengths }
    }

    #[inline]
    pub(super) fn has(&self, text: &[u8]) -> bool {
        if self.lengths & length_bit(text.len()) == 0 {
            return false;
        }
        // Only the empty text has no length. It is by far the most frequent, and comparing nothing is not free: on
        // some processors the compare of two empty slices takes longer than the rest of the cell.
        text.is_empty() || self.texts.iter().any(|null| **null == *text)
    }
}

/// Lengths of 63 and more share the last bit.
#[inline]
fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

/// The values that a column of a type other than text allows.
#[derive(Debug, Clone)]
pub(super) struct Bounds<T> {
    /// Empty for any.
    pub(super) values: Vec<T>,
    pub(super) min: Option<T>,
    pub(super) max: Option<T>,
}

impl<T: Copy + PartialOrd> Bounds<T> {
    #[inline]
    pub(super) fn check(&self, value: T) -> Result<(), ValueFault> {
        if self.min.is_some_and(|min| value < min) {
            return Err(ValueFault::Min);
        }
        if self.max.is_some_and(|max| value > max) {
            return Err(ValueFault::Max);
        }
        if !self.values.is_empty() && !self.values.contains(&value) {
            return Err(ValueFault::Enum);
        }
        Ok(())
    }
}

/// The texts that a column of text allows.
#[derive(Debug, Clone)]
pub(super) enum Texts {
    Any,
    Few(Vec<Box<[u8]>>),
    Many(HashSet<Box<[u8]>>),
}

impl Texts {
    pub(super) fn new(values: &[String]) -> Self {
        /// Up to here, comparing with each is faster than hashing.
        const FEW: usize = 8;
        let values = values.iter().map(|value| value.as_bytes().into());
        match values.len() {
            0 => Self::Any,
            1..=FEW => Self::Few(values.collect()),
            _ => Self::Many(values.collect()),
        }
    }

    #[inline]
    pub(super) fn allow(&self, text: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Few(values) => values.iter().any(|value| **value == *text),
            Self::Many(values) => values.contains(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_texts_are_compared_as_a_whole() {
        let long = "x".repeat(70);
        let nulls = Nulls::new(&[String::new(), "N/A".into(), long.clone()]);
        assert!(nulls.has(b"") && nulls.has(b"N/A") && nulls.has(long.as_bytes()));
        assert!(!nulls.has(b"n/a") && !nulls.has(b"N/A ") && !nulls.has("y".repeat(70).as_bytes()));
    }

    #[test]
    fn few_and_many_texts_allow_the_same() {
        let many = (0..20).map(|n| n.to_string()).collect::<Vec<_>>();
        assert!(Texts::new(&many).allow(b"19") && !Texts::new(&many).allow(b"20"));
        assert!(Texts::new(&many[..3]).allow(b"2") && !Texts::new(&many[..3]).allow(b"3"));
        assert!(Texts::new(&[]).allow(b"anything"));
    }
}

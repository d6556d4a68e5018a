//! Digests: short names for content, so that equal things can be told without reading them again.
//!
//! A [`Digest`] is the first 128 bits of a BLAKE3 hash. Parts are hashed with their lengths, so that no two different
//! lists of parts run together into the same bytes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// How many hexadecimal digits a digest has.
const DIGITS: usize = 32;

/// The first 128 bits of a BLAKE3 hash, printed as 32 hexadecimal digits.
///
/// The digits are in the value itself: states hold several of them for each landed file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; DIGITS]);

impl Digest {
    /// Returns the digest of `bytes` alone.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_hash(blake3::hash(bytes))
    }

    /// Returns the digest of a hash that was fed elsewhere.
    #[must_use]
    pub fn from_hash(hash: blake3::Hash) -> Self {
        let mut digits = [0; DIGITS];
        digits.copy_from_slice(&hash.to_hex().as_bytes()[..DIGITS]);
        Self(digits)
    }

    /// Returns the digest that a text of 32 digits stands for; nothing if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        let digits: [u8; DIGITS] = text.as_bytes().try_into().ok()?;
        digits.iter().all(is_digit).then_some(Self(digits))
    }

    /// Returns the digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Digits are text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the first digits, enough for people to tell digests apart.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.as_str()[..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Digest").field(&self.as_str()).finish()
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;

        impl Visitor<'_> for Digits {
            type Value = Digest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a digest of {DIGITS} hexadecimal digits")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Digest, E> {
                Digest::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Digits)
    }
}

/// Hashes a list of parts.
#[derive(Debug, Default)]
pub struct Parts(blake3::Hasher);

impl Parts {
    /// Starts a list whose first part is `kind`, so that lists of different kinds never meet.
    #[must_use]
    pub fn of(kind: &str) -> Self {
        let mut parts = Self::default();
        parts.add(kind);
        parts
    }

    /// Adds a part.
    pub fn add(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// Returns the digest of all parts so far.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::from_hash(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let digest = |parts: &[&str]| {
            let mut list = Parts::of("test");
            parts.iter().for_each(|part| list.add(part));
            list.digest()
        };
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&["ab", "c"]), digest(&["ab", "c"]));
    }

    #[test]
    fn a_digest_reads_back_what_it_prints() {
        let digest = Digest::of(b"x");
        assert_eq!(Digest::parse(digest.as_str()), Some(digest.clone()));
        assert_eq!(Digest::parse(digest.short()), None);
        assert_eq!(Digest::parse(&digest.as_str().to_uppercase()), None);
    }
}

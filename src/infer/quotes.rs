//! Which values of JSON stand between quotes: `"007"` is a text and `7` a number, whatever their digits look like.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// How the values of one name are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Written {
    has_text: bool,
    has_other: bool,
}

/// Returns of each name in the records of `sample` whether all its values stand between quotes.
///
/// The records are objects, one after another or in an array; what is cut off at the end does not count.
pub(super) fn quoted(sample: &[u8]) -> BTreeMap<String, bool> {
    let mut names = BTreeMap::new();
    let mut rest = serde_json::Deserializer::from_slice(sample);
    // A record that is none, or cut off, ends it: what came before is known.
    while rest.deserialize_any(Records { names: &mut names, is_element: false }).is_ok() {}
    let told = names.into_iter().filter(|(_, written): &(_, Written)| written.has_text || written.has_other);
    told.map(|(name, written)| (name, !written.has_other)).collect()
}

/// Takes one record, or an array of them.
struct Records<'a> {
    names: &'a mut BTreeMap<String, Written>,
    is_element: bool,
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let kind = map.next_value::<Kind>()?;
            let written = self.names.entry(name).or_default();
            written.has_text |= kind.0 == Some(true);
            written.has_other |= kind.0 == Some(false);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.is_element {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while list.next_element_seed(Element(&mut *self.names))?.is_some() {}
        Ok(())
    }
}

/// One record of an array.
struct Element<'a>(&'a mut BTreeMap<String, Written>);

impl<'de> serde::de::DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Records { names: self.0, is_element: true })
    }
}

/// Whether a value is a text; nothing for `null`.
struct Kind(Option<bool>);

impl<'de> serde::Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Kind;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<E>(self, _: &str) -> Result<Kind, E> {
                Ok(Kind(Some(true)))
            }

            fn visit_unit<E>(self) -> Result<Kind, E> {
                Ok(Kind(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Kind, E> {
                Ok(Kind(Some(false)))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Kind, E> {
                Ok(Kind(Some(false)))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Kind, E> {
                Ok(Kind(Some(false)))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Kind, E> {
                Ok(Kind(Some(false)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kind, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Kind(Some(false)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Kind(Some(false)))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sample: &str) -> Vec<(String, bool)> {
        quoted(sample.as_bytes()).into_iter().collect()
    }

    #[test]
    fn quotes_are_seen_in_lines_and_in_arrays() {
        let expected = [("a", true), ("b", false), ("c", false)].map(|(name, is)| (name.to_owned(), is));
        let objects = ["{\"a\":\"1\",\"b\":1,\"c\":\"1\",\"d\":null}", "{\"a\":null,\"c\":2.5,\"e\":null}"];
        for sample in [
            objects.join("\n"),
            format!("{}\n\n{{\"a\":\"cut", objects.join("\n")),
            format!("[{}]", objects.join(",\n")),
            format!("[{},{{\"f\":\"cut", objects.join(",\n")),
        ] {
            assert_eq!(told(&sample), expected, "{sample}");
        }
        assert_eq!(told("{\"a\":{\"b\":\"1\"},\"c\":[\"1\"]}").len(), 2);
        assert_eq!(told("id,name\n1,2\n"), []);
        assert_eq!(told("1\n2\n\"x\"\n"), []);
    }
}

//! The form in which settings are hashed: written by hand, so that no refactoring changes a hash.
//!
//! A warehouse remembers hashes of contracts, models and checks, and rebuilds what has another hash. So the text that is
//! hashed belongs to the storage format: a renamed Rust type, field or variant must not change it, and neither must
//! another release of this program or of its compiler. Every type that is hashed says here by name how it is written,
//! and takes itself apart completely, so that a new field is either written or left out on purpose. A field that is added
//! later is written only where it is used: what does not use it keeps its hash, and its stored rows.
//!
//! The names are those of the first release, whatever the types are called today.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use indexmap::IndexMap;

/// A value that has a canonical form.
pub trait Canonical {
    /// Writes the value in its canonical form.
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// Displays a value in its canonical form.
pub struct Form<'a, T: ?Sized>(pub &'a T);

impl<T: Canonical + ?Sized> fmt::Display for Form<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f)
    }
}

// The builders of the standard library take their parts in this way.
impl<T: Canonical + ?Sized> fmt::Debug for Form<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f)
    }
}

/// Returns the canonical form of a value.
pub fn canonical(value: &(impl Canonical + ?Sized)) -> String {
    Form(value).to_string()
}

/// Writes a type by its name, with its fields by theirs.
pub fn record(f: &mut fmt::Formatter<'_>, name: &str, fields: &[(&str, &dyn Canonical)]) -> fmt::Result {
    let mut record = f.debug_struct(name);
    for (name, value) in fields {
        record.field(name, &Form(*value));
    }
    record.finish()
}

/// Writes one of several cases by its name, with what it holds.
pub fn case(f: &mut fmt::Formatter<'_>, name: &str, parts: &[&dyn Canonical]) -> fmt::Result {
    let mut case = f.debug_tuple(name);
    for part in parts {
        case.field(&Form(*part));
    }
    case.finish()
}

impl<T: Canonical + ?Sized> Canonical for &T {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).write(f)
    }
}

/// A text stands in quotes. What a terminal would not show as itself is escaped.
impl Canonical for str {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for character in self.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\0' => f.write_str("\\0")?,
                invisible if is_escaped(invisible) => write!(f, "\\u{{{:x}}}", u32::from(invisible))?,
                visible => write!(f, "{visible}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Returns whether a character is written by its number: controls, white space other than the usual one, marks that
/// change what stands before them, and what nobody sees. A list of our own, because that of the standard library grows
/// with Unicode.
fn is_escaped(character: char) -> bool {
    character.is_control()
        || (character.is_whitespace() && character != ' ')
        || matches!(character,
            '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{20d0}'..='\u{20f0}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

impl Canonical for String {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().write(f)
    }
}

/// Numbers and truth values are written as they are everywhere; floats so that they read back as the same.
macro_rules! as_everywhere {
    ($($kind:ty),*) => {
        $(impl Canonical for $kind {
            fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self:?}")
            }
        })*
    };
}

as_everywhere!(bool, u8, u32, u64, i64, f64);

impl<T: Canonical> Canonical for Option<T> {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Some(value) => case(f, "Some", &[value]),
            None => f.write_str("None"),
        }
    }
}

impl<T: Canonical> Canonical for Vec<T> {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|value| Form(value))).finish()
    }
}

impl<T: Canonical> Canonical for BTreeSet<T> {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|value| Form(value))).finish()
    }
}

impl<K: Canonical, V: Canonical> Canonical for BTreeMap<K, V> {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(key, value)| (Form(key), Form(value)))).finish()
    }
}

impl<K: Canonical, V: Canonical> Canonical for IndexMap<K, V> {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(key, value)| (Form(key), Form(value)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let cases = [
            ("a\"b'c\\", r#""a\"b'c\\""#),
            ("\n\r\t\0\u{1b}", r#""\n\r\t\0\u{1b}""#),
            ("未知 é", "\"未知 é\""),
            ("\u{3000}\u{200b}\u{301}", r#""\u{3000}\u{200b}\u{301}""#),
        ];
        for (text, form) in cases {
            assert_eq!(canonical(text), form);
        }
    }

    #[test]
    fn lists_numbers_and_options_have_one_form() {
        assert_eq!(canonical(&vec!["a".to_owned(), "b".to_owned()]), r#"["a", "b"]"#);
        assert_eq!(canonical(&Vec::<String>::new()), "[]");
        assert_eq!(canonical(&Some(1_u64)), "Some(1)");
        assert_eq!(canonical(&None::<u64>), "None");
        assert_eq!(canonical(&0.1_f64), "0.1");
        assert_eq!(canonical(&1e30_f64), "1e30");
        assert_eq!(canonical(&BTreeMap::from([("a".to_owned(), BTreeSet::from([true]))])), r#"{"a": {true}}"#);
    }
}

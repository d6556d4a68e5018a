//! YAML, written: block style, in the order that is given, and texts so that nothing in them is syntax.

use std::fmt;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Yaml {
    Text(String),
    Flag(bool),
    List(Vec<Yaml>),
    Map(Vec<(&'static str, Yaml)>),
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Yaml {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl Yaml {
    /// Returns a list of texts.
    pub(super) fn texts<T: Into<Self>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Into::into).collect())
    }

    /// Returns a map of the entries that have a value.
    pub(super) fn map(entries: impl IntoIterator<Item = (&'static str, Option<Yaml>)>) -> Self {
        Self::Map(entries.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }

    fn is_block(&self) -> bool {
        match self {
            Self::List(items) => !items.is_empty(),
            Self::Map(entries) => !entries.is_empty(),
            Self::Text(_) | Self::Flag(_) => false,
        }
    }

    /// Writes what stands on lines of its own, the first of them where the cursor is.
    fn write(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        match self {
            Self::List(items) if !items.is_empty() => {
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        write!(f, "{:indent$}", "")?;
                    }
                    f.write_str("- ")?;
                    item.write(f, indent + 2)?;
                }
                Ok(())
            }
            Self::Map(entries) if !entries.is_empty() => {
                for (at, (key, value)) in entries.iter().enumerate() {
                    if at > 0 {
                        write!(f, "{:indent$}", "")?;
                    }
                    write!(f, "{key}:")?;
                    if value.is_block() {
                        write!(f, "\n{:width$}", "", width = indent + 2)?;
                    } else {
                        f.write_str(" ")?;
                    }
                    value.write(f, indent + 2)?;
                }
                Ok(())
            }
            Self::Text(text) => writeln!(f, "{}", quoted(text)),
            Self::Flag(flag) => writeln!(f, "{flag}"),
            Self::List(_) => writeln!(f, "[]"),
            Self::Map(_) => writeln!(f, "{{}}"),
        }
    }
}

impl fmt::Display for Yaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// Words that some reader takes for something else than a text.
const TAKEN: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan"];

/// Writes a text: a name as it is, all else in double quotes. Braces that begin a template of Jinja, which some readers
/// run over the whole file, are escaped.
fn quoted(text: &str) -> String {
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'.')
        && !TAKEN.contains(&text.to_lowercase().as_str());
    if is_name {
        return text.to_owned();
    }
    let mut written = String::from("\"");
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            '{' if matches!(characters.peek(), Some('{' | '%' | '#')) => written.push_str("\\x7b"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                written.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => written.push(c),
        }
    }
    written + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_and_lists_are_blocks_and_empty_ones_are_not() {
        let yaml = Yaml::map([
            ("name", Some(Yaml::from("a"))),
            ("gone", None),
            (
                "items",
                Some(Yaml::List(vec![
                    Yaml::map([("x", Some(true.into())), ("y", Some(Yaml::texts(["p", "q"])))]),
                    Yaml::List(Vec::new()),
                ])),
            ),
        ]);
        let expected = "name: a\nitems:\n  - x: true\n    y:\n      - p\n      - q\n  - []\n";
        assert_eq!(yaml.to_string(), expected);
    }

    #[test]
    fn no_text_is_syntax() {
        let cases = [
            ("fct_order.day", "fct_order.day"),
            ("Yes", "\"Yes\""),
            ("1.0", "\"1.0\""),
            ("a: b # c", "\"a: b # c\""),
            ("it's \"quoted\" \\", "\"it's \\\"quoted\\\" \\\\\""),
            ("{{ x }} {% y %} {z}", "\"\\x7b{ x }} \\x7b% y %} {z}\""),
            ("a\nb\u{7}\u{85}", "\"a\\nb\\u0007\\u0085\""),
            ("", "\"\""),
            ("积压", "\"积压\""),
        ];
        for (text, expected) in cases {
            assert_eq!(quoted(text), expected);
        }
    }
}

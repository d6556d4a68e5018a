//! Text of others as people see it: names, values and messages that come out of files may hold what steers a terminal,
//! what is not seen, and what turns the direction of a line around.
//!
//! Whatever `cli` prints for people goes through here. Machines get their data as it is; where that is JSON, the same
//! characters are written as escapes, which mean the same.

use std::borrow::Cow;

/// Returns whether a character steers a terminal, is not seen, or makes a text look like another one.
#[must_use]
pub fn upsets(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns a text that has to stay on its line: line ends are escaped as well.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, upsets)
}

/// Returns a text of several lines.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| upsets(c) && c != '\n')
}

/// Returns a text of several lines whose colours are our own.
#[must_use]
pub fn coloured_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| upsets(c) && c != '\n' && c != '\u{1b}')
}

/// Returns words of others that follow words of ours: on the first line, and indented on all others, so that none of them
/// passes for a line of ours.
#[must_use]
pub fn indented(text: &str) -> String {
    lines(text.trim_end()).replace('\n', "\n  ")
}

/// Returns a JSON document that means the same and can be shown. Such characters stand in texts alone.
#[must_use]
pub fn json(document: &str) -> Cow<'_, str> {
    if !document.contains(|c| upsets(c) && c != '\n') {
        return Cow::Borrowed(document);
    }
    let mut shown = String::with_capacity(document.len() + 16);
    for c in document.chars() {
        if upsets(c) && c != '\n' {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| shown.push_str(&format!("\\u{unit:04x}")));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_or_hides_is_escaped_and_all_else_stays() {
        assert_eq!(line("订单 – ü 😀"), "订单 – ü 😀");
        assert_eq!(line("a\u{1b}[31m\n\t\u{7f}\u{9b}"), "a\\u{1b}[31m\\n\\t\\u{7f}\\u{9b}");
        let hidden = "\u{61c}\u{200b}\u{200d}\u{200e}\u{202e}\u{2066}\u{2069}\u{feff}";
        assert!(line(hidden).is_ascii());
        assert_eq!(lines("a\r\nb\n"), "a\\r\nb\n");
        assert_eq!(coloured_lines("\u{1b}[1ma\u{1b}[0m\u{9b}31m"), "\u{1b}[1ma\u{1b}[0m\\u{9b}31m");
        assert_eq!(indented("it says\nerror: all is well\n"), "it says\n  error: all is well");
    }

    proptest! {
        #[test]
        fn a_document_means_the_same(text in ".*", odd in "[\u{0}-\u{1f}\u{7f}-\u{9f}\u{202e}\u{e0041}]*") {
            let value = serde_json::json!({ text: odd });
            let document = serde_json::to_string(&value).unwrap();
            let shown = json(&document);
            prop_assert!(!shown.contains(upsets));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}

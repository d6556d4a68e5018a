//! Records that are quarantined, and why. A value that does not fit is found in `batch` (`Verdict::fail`), a record that
//! cannot be cut in `csv` and `ndjson` (`Step::Broken`); `file` gives both to the sink.

use std::fmt::{self, Write as _};

/// Why a record was quarantined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A quote that does not close, or text after one that does.
    Quote,
    /// Another number of fields than the header has.
    Fields,
    /// A line that is not one JSON object.
    Json,
    /// A record longer than the limit.
    Length,
    /// Bytes that are not UTF-8.
    Encoding,
    /// A text that is no value of its column's type.
    Type,
    /// A value outside what its type or its column's `min` and `max` allow.
    Range,
    /// No value where one is required.
    Null,
    /// No value in a column of the key.
    NullKey,
    /// A value that is not among the column's `values`.
    Enum,
    /// A text that does not match the column's `pattern`.
    Pattern,
    /// A local time that the clocks jumped over.
    DstGap,
    /// Values that do not keep to one of the contract's `rules` together.
    Rule,
    /// A time after the landing of its file.
    Future,
    /// A time that its file landed too long after.
    Late,
    /// Prices that break one of `rules` about the lowest and the highest.
    Ohlc,
    /// Numbers that break one of `rules` about their sum.
    Sum,
    /// What one of `rules` takes for a program's doing.
    Bot,
    /// What one of `rules` takes for a trial, or an insider's doing.
    Test,
    /// A value that is not found where its column references: told of rows, once other datasets are there.
    Reference,
    /// A value of which nothing may be kept: its bytes are not.
    Erased,
}

impl Reason {
    /// Every reason there is.
    pub const ALL: [Self; 21] = [
        Self::Quote,
        Self::Fields,
        Self::Json,
        Self::Length,
        Self::Encoding,
        Self::Type,
        Self::Range,
        Self::Null,
        Self::NullKey,
        Self::Enum,
        Self::Pattern,
        Self::DstGap,
        Self::Rule,
        Self::Future,
        Self::Late,
        Self::Ohlc,
        Self::Sum,
        Self::Bot,
        Self::Test,
        Self::Reference,
        Self::Erased,
    ];

    /// Returns the reason as it is stored and printed, for example `E_TYPE`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quote => "E_QUOTE",
            Self::Fields => "E_FIELDS",
            Self::Json => "E_JSON",
            Self::Length => "E_LENGTH",
            Self::Encoding => "E_ENCODING",
            Self::Type => "E_TYPE",
            Self::Range => "E_RANGE",
            Self::Null => "E_NULL",
            Self::NullKey => "E_NULL_KEY",
            Self::Enum => "E_ENUM",
            Self::Pattern => "E_PATTERN",
            Self::DstGap => "E_DST_GAP",
            Self::Rule => "E_RULE",
            Self::Future => "E_FUTURE",
            Self::Late => "E_LATE",
            Self::Ohlc => "E_OHLC",
            Self::Sum => "E_SUM",
            Self::Bot => "E_BOT",
            Self::Test => "E_TEST",
            Self::Reference => "E_FK",
            Self::Erased => "E_ERASED",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One record that did not become a row, with everything that is needed to find, mend and replay it.
///
/// `bytes` are the record's own, line end included; of a record longer than the limit they are its beginning, and
/// `length` is greater than their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedRecord<'a> {
    /// Why.
    pub reason: Reason,
    /// The first column, in the contract's order, that is at fault; none where the record as a whole is.
    pub column: Option<&'a str>,
    /// What was expected and what was found.
    pub message: String,
    /// Where the record starts in the decoded file.
    pub offset: u64,
    /// The physical line on which it starts, from 1.
    pub line: u64,
    /// How many bytes of the decoded file it takes up.
    pub length: u64,
    /// Its bytes, as far as the limit.
    pub bytes: &'a [u8],
}

/// How many characters of a value a message shows.
const SHOWN_CHARS: usize = 80;

/// Returns `text` in backticks, cut, with everything escaped that could upset a terminal.
#[must_use]
pub fn quoted(text: &[u8]) -> String {
    let mut shown = String::from("`");
    let mut room = SHOWN_CHARS;
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            if room == 0 {
                shown.push_str("…`");
                return shown;
            }
            room -= 1;
            if is_upsetting(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
        }
        for byte in chunk.invalid() {
            if room == 0 {
                break;
            }
            room -= 1;
            // Writing to a `String` cannot fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown.push('`');
    shown
}

/// Control characters steer terminals; invisible and direction-changing ones make a text look like another.
pub(super) fn is_upsetting(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_cut_and_harmless() {
        assert_eq!(quoted(b"abc"), "`abc`");
        assert_eq!(quoted("订单\u{1b}[31m\n".as_bytes()), "`订单\\u{1b}[31m\\n`");
        assert_eq!(quoted(b"a\xff\xfeb"), "`a\\xff\\xfeb`");
        assert_eq!(quoted("订".repeat(81).as_bytes()), format!("`{}…`", "订".repeat(80)));
        assert_eq!(quoted("订".repeat(80).as_bytes()), format!("`{}`", "订".repeat(80)));
    }

    #[test]
    fn reasons_are_told_apart_by_their_text() {
        let texts: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(texts.len(), Reason::ALL.len());
    }
}

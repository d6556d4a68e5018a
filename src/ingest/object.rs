//! Cuts up the plain JSON object, which most lines are, without looking at any byte twice.
//!
//! It gives up on escaped names, on values nested too deep and on mistakes of any kind. What it takes it takes exactly as
//! `serde_json` does.

use std::borrow::Cow;
use std::ops::Range;

use super::cells::Cell;
use super::ndjson::Row;

/// Fills `row` from `line`, which starts at `at` of the bytes in memory and has the names of `level`; `None` means that
/// another must look at it.
pub(super) fn read(line: &[u8], at: usize, level: usize, row: &mut Row<'_>) -> Option<()> {
    let mut text = Text { line, next: 0 };
    text.skip_space();
    text.object(level, 0, at, row)?;
    text.is_over()
}

/// Returns where in `array` its elements are. It is known to be an array and no deeper than that; `None` says that it is
/// not.
pub(super) fn elements(array: &[u8], most_depth: usize) -> impl Iterator<Item = Option<Range<usize>>> {
    let mut text = Text::inside(array);
    std::iter::from_fn(move || text.has_item(b']').then(|| text.range(most_depth)))
}

/// A field of an object.
pub(super) struct Member<'a> {
    /// Its name, as it is meant.
    pub(super) name: Cow<'a, [u8]>,
    /// Where its value is.
    pub(super) value: Range<usize>,
}

/// Returns the fields of `object`. It is known to be an object and no deeper than that; `None` says that it is not.
pub(super) fn members(object: &[u8], most_depth: usize) -> impl Iterator<Item = Option<Member<'_>>> {
    let mut text = Text::inside(object);
    std::iter::from_fn(move || text.has_item(b'}').then(|| text.member(most_depth)))
}

/// A line and how far it has been read.
struct Text<'a> {
    line: &'a [u8],
    next: usize,
}

impl<'a> Text<'a> {
    /// Begins behind the bracket of a list.
    fn inside(list: &'a [u8]) -> Self {
        let mut text = Self { line: list, next: 0 };
        text.skip_space();
        text.next += 1;
        text
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.line.get(self.next).copied()
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.next += 1;
        Some(())
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.next += 1;
        }
    }

    /// Reads an object whose names are those of `level`, `depth` values inside the record.
    fn object(&mut self, level: usize, depth: usize, at: usize, row: &mut Row<'_>) -> Option<()> {
        self.take(b'{')?;
        self.skip_space();
        if self.peek()? == b'}' {
            self.next += 1;
            return Some(());
        }
        for place in 0.. {
            self.take(b'"')?;
            let name = self.next;
            if self.string()? {
                return None;
            }
            let meaning = row.names.meaning(level, place, &self.line[name..self.next - 1]);
            self.skip_space();
            self.take(b':')?;
            self.skip_space();
            let start = self.next;
            let first = self.peek()?;
            if let Some(inner) = meaning.inner {
                row.forget(inner);
                // A value that is no object is for the other reader to explain.
                if !matches!(first, b'{' | b'n') {
                    return None;
                }
            }
            let cell = match first {
                b'"' => {
                    self.next += 1;
                    let escaped = self.string()?;
                    let end = self.next - 1;
                    if escaped && meaning.target.is_some() {
                        row.keep(|held| unescape(&self.line[start + 1..end], held))?
                    } else {
                        Cell::new(at + start + 1, at + end)
                    }
                }
                b'n' => {
                    self.word(b"null")?;
                    Cell::NULL
                }
                _ => {
                    match meaning.inner {
                        Some(inner) if depth < row.most_depth => self.object(inner, depth + 1, at, row)?,
                        _ => self.value(depth, row.most_depth)?,
                    }
                    Cell::new(at + start, at + self.next)
                }
            };
            if let Some(target) = meaning.target {
                row.fill(target, cell);
            }
            self.skip_space();
            let after = self.peek()?;
            self.next += 1;
            match after {
                b',' => self.skip_space(),
                b'}' => return Some(()),
                _ => return None,
            }
        }
        None
    }

    /// Passes over a value, `depth` values inside the record.
    fn value(&mut self, depth: usize, most_depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => {
                self.next += 1;
                self.string().map(|_| ())
            }
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'{' | b'[' if depth >= most_depth => None,
            b'{' => self.list(b'}', |text| {
                text.take(b'"')?;
                text.string()?;
                text.skip_space();
                text.take(b':')?;
                text.skip_space();
                text.value(depth + 1, most_depth)
            }),
            b'[' => self.list(b']', |text| text.value(depth + 1, most_depth)),
            _ => self.number(),
        }
    }

    /// Passes over a bracket, items with commas between them, and the bracket that closes.
    fn list(&mut self, close: u8, item: impl Fn(&mut Self) -> Option<()>) -> Option<()> {
        self.next += 1;
        self.skip_space();
        if self.peek()? == close {
            self.next += 1;
            return Some(());
        }
        loop {
            item(self)?;
            self.skip_space();
            let after = self.peek()?;
            self.next += 1;
            match after {
                b',' => self.skip_space(),
                after if after == close => return Some(()),
                _ => return None,
            }
        }
    }

    /// Goes on to the next item of the list inside which it is, and returns whether there is one.
    fn has_item(&mut self, close: u8) -> bool {
        self.skip_space();
        if self.peek() == Some(b',') {
            self.next += 1;
            self.skip_space();
        }
        self.peek() != Some(close)
    }

    /// Passes over a name and its value.
    fn member(&mut self, most_depth: usize) -> Option<Member<'a>> {
        self.take(b'"')?;
        let start = self.next;
        let escaped = self.string()?;
        let name = &self.line[start..self.next - 1];
        let name = if escaped {
            let mut meant = Vec::new();
            unescape(name, &mut meant)?;
            Cow::Owned(meant)
        } else {
            Cow::Borrowed(name)
        };
        self.skip_space();
        self.take(b':')?;
        self.skip_space();
        Some(Member { name, value: self.range(most_depth)? })
    }

    /// Passes over a value and returns where it is.
    fn range(&mut self, most_depth: usize) -> Option<Range<usize>> {
        let start = self.next;
        self.value(0, most_depth)?;
        Some(start..self.next)
    }

    /// Returns whether nothing but white space is left.
    fn is_over(&mut self) -> Option<()> {
        self.skip_space();
        (self.next == self.line.len()).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let start = self.next;
        self.next += word.len();
        (self.line.get(start..self.next)? == word).then_some(())
    }

    /// Passes over a string and its closing quote and returns whether it has escapes.
    ///
    /// Eight bytes at a time are searched for the three kinds that end the plain part of a string: the quote, the
    /// backslash and control characters.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        let mut escaped = false;
        loop {
            while let Some((eight, _)) = self.line[self.next..].split_first_chunk::<8>() {
                let found = special_bytes(u64::from_le_bytes(*eight));
                if found != 0 {
                    self.next += found.trailing_zeros() as usize / 8;
                    break;
                }
                self.next += 8;
            }
            match self.peek()? {
                b'"' => {
                    self.next += 1;
                    return Some(escaped);
                }
                b'\\' => {
                    // What an escape says is looked at when the text is wanted; here only its end matters, and an
                    // escape that means nothing must not pass.
                    escaped = true;
                    self.escape()?;
                }
                0..0x20 => return None,
                _ => self.next += 1,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.line.get(self.next + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.next += 2,
            b'u' => {
                hex(self.line.get(self.next + 2..)?)?;
                self.next += 6;
            }
            _ => return None,
        }
        Some(())
    }

    /// Passes over a number.
    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.next += 1;
        }
        match self.peek()? {
            b'0' => self.next += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.next += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.next += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.next += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// Passes over one digit or more.
    fn digits(&mut self) -> Option<()> {
        let start = self.next;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.next += 1;
        }
        (self.next > start).then_some(())
    }
}

/// Returns a word whose lowest bit set is in the first byte that is a quote, a backslash or a control character.
///
/// Bits above that one may be set for other bytes too: subtracting borrows only upwards.
#[inline]
fn special_bytes(eight: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let control = eight.wrapping_sub(ONES * 0x20) & !eight & HIGH;
    zero_bytes(eight ^ (ONES * u64::from(b'"'))) | zero_bytes(eight ^ (ONES * u64::from(b'\\'))) | control
}

/// Appends what a string with escapes means; `None` for surrogates without their other half.
fn unescape(mut text: &[u8], into: &mut Vec<u8>) -> Option<()> {
    while let Some(place) = memchr::memchr(b'\\', text) {
        into.extend_from_slice(&text[..place]);
        let mut length = 2;
        match text.get(place + 1)? {
            b'b' => into.push(0x08),
            b'f' => into.push(0x0c),
            b'n' => into.push(b'\n'),
            b'r' => into.push(b'\r'),
            b't' => into.push(b'\t'),
            b'u' => {
                let mut code = hex(text.get(place + 2..)?)?;
                length = 6;
                if (0xd800..0xdc00).contains(&code) {
                    let low = hex(text.get(place + 6..)?.strip_prefix(b"\\u")?)?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return None;
                    }
                    code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                    length = 12;
                }
                into.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
            }
            &other => into.push(other),
        }
        text = &text[place + length..];
    }
    into.extend_from_slice(text);
    Some(())
}

/// Returns the number that four hexadecimal digits stand for.
fn hex(text: &[u8]) -> Option<u32> {
    text.get(..4)?.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_whatever_surrounds_it() {
        for special in (0..0x20).chain([b'"', b'\\']) {
            for place in 0..8 {
                for filler in [0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
                    let mut eight = [filler; 8];
                    assert_eq!(special_bytes(u64::from_le_bytes(eight)), 0, "{filler}");
                    eight[place] = special;
                    eight[place + 1..].fill(special.wrapping_add(1));
                    assert_eq!(special_bytes(u64::from_le_bytes(eight)).trailing_zeros() as usize / 8, place);
                }
            }
        }
    }

    #[test]
    fn escapes_mean_what_they_mean_to_serde_json() {
        let texts = [
            r"a\nb",
            r"\u4e2d\u6587",
            r"\ud83d\ude00x",
            r"\/\\\b\f\r\t",
            r"\u0000",
            r"\ud83d",
            r"\ude00",
            r"\ud83dx",
            r"\ud83d\u0041",
        ];
        for text in texts {
            let mut held = Vec::new();
            let ours = unescape(text.as_bytes(), &mut held).map(|()| String::from_utf8(held).unwrap());
            assert_eq!(ours, serde_json::from_str::<String>(&format!("\"{text}\"")).ok(), "{text}");
        }
    }
}

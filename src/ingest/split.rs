//! Finds where a CSV record ends and cuts it into fields (RFC 4180).
//!
//! - A quote opens a quoted field only as a field's first byte; anywhere else it is a byte like any other.
//! - Inside a quoted field a doubled quote stands for one, and line ends are text.
//! - After the closing quote comes a delimiter, a line end or the end of the file; anything else is a mistake.
//! - Where stray quotes are text, a record that tears a quote is looked at once more, its first line alone: a quote in the
//!   middle of a quoted field is text, or else the one that opens it is.
//! - A record ends with `\n`, `\r\n` or `\r`, whatever the other records end with, or with the file.
//! - Where there is an escape, it makes the next byte text, inside quotes and outside. Before a byte that means something
//!   it goes; before any other both stay.
//! - Where fields are trimmed, spaces and tabs before and after a field are no part of it, and a quote counts after them;
//!   inside quotes they are text.

use memchr::{memchr, memchr_iter, memchr2, memchr3};

use super::cells::{Cell, Cells};
use super::record::{Found, Line, LineEnds, View, after_line_end, count_line_ends};
use crate::project::CsvFormat;

/// The bytes that mean something in CSV.
#[derive(Debug, Clone, Copy)]
pub(super) struct Splitter {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) escape: Option<u8>,
    /// Whether a record of one line may lack fields at its end.
    pub(super) fills_short_rows: bool,
    /// Whether spaces and tabs around a field are no part of it.
    pub(super) trims: bool,
    /// How a field is read whose quote does not close as it should; without, its record is broken.
    pub(super) stray: Option<Stray>,
}

/// How a field is read whose quote does not close before a delimiter or line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stray {
    /// The next quote with a delimiter or line end behind it closes the field, and those between are text.
    Inside,
    /// The quote that opens it is text.
    Opening,
}

impl From<&CsvFormat> for Splitter {
    fn from(format: &CsvFormat) -> Self {
        let CsvFormat { delimiter, quote, escape, fills_short_rows, trims, .. } = *format;
        Self { delimiter, quote, escape, fills_short_rows, trims, stray: None }
    }
}

/// What [`Splitter::scan`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scan {
    /// A record, whose cells have been added.
    Record {
        /// Where the next one starts.
        end: usize,
        /// How many physical lines it takes up.
        lines: u64,
    },
    /// No record.
    Broken {
        /// What is wrong.
        flaw: SplitError,
        /// How far was looked before that was plain.
        reach: usize,
    },
    /// Nothing can be said before more bytes are there.
    More,
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SplitError {
    /// A quoted field that does not close.
    Open,
    /// Something after a closing quote.
    AfterQuote,
    /// Another number of fields than there should be, in so many lines.
    Fields { found: usize, lines: u64 },
    /// Longer than the limit.
    Length,
}

/// A record that was found broken.
#[derive(Debug, Clone, Copy)]
pub(super) struct BrokenRecord {
    /// Where it starts.
    pub(super) at: usize,
    /// What is wrong with it.
    pub(super) flaw: SplitError,
    /// How far was looked before that was plain.
    pub(super) reach: usize,
}

impl BrokenRecord {
    /// Returns what the scan of it found.
    pub(super) fn scan(self) -> Scan {
        Scan::Broken { flaw: self.flaw, reach: self.reach }
    }
}

/// One field: its cell, and the byte after it.
struct Field {
    after: usize,
    lines: u64,
}

impl Splitter {
    /// Scans the record at `at`; `fields` is how many it should have, if that is known.
    ///
    /// A record that is broken may have added cells.
    pub(super) fn scan(self, view: View<'_>, at: usize, fields: Option<usize>, cells: &mut Cells) -> Scan {
        self.scan_closing(view, at, fields, cells).0
    }

    /// As [`scan`](Self::scan), and returns whether the quote that opens a field was taken for text because none closes it
    /// on its line.
    #[inline]
    fn scan_closing(self, view: View<'_>, at: usize, fields: Option<usize>, cells: &mut Cells) -> (Scan, bool) {
        let window = view.window(at);
        let settled = view.settled(at);
        let expected = fields.unwrap_or(usize::MAX);
        let (mut start, mut count, mut lines) = (at, 0, 1);
        let mut none_closes = false;
        let scan = loop {
            let mut wanted = (count < expected).then_some(&mut *cells);
            if self.trims {
                start = self.after_blanks(window, start);
                if start == window.len() && !settled {
                    break Scan::More;
                }
            }
            let field = if let Some(quote) = self.quote
                && window.get(start) == Some(&quote)
            {
                match self.quoted(window, start, settled, wanted.as_deref_mut()) {
                    Ok(field) => field,
                    Err(Scan::Broken { .. }) if self.stray.is_some() => {
                        // None closes those that follow either, and a line is not looked through for each of them.
                        let is_inside = self.stray == Some(Stray::Inside) && !none_closes;
                        let closed = if is_inside {
                            self.closed_later(quote, window, start, wanted.as_deref_mut())
                        } else {
                            None
                        };
                        none_closes |= closed.is_none();
                        match closed.or_else(|| self.unquoted(window, start, settled, wanted)) {
                            Some(field) => field,
                            None => break Scan::More,
                        }
                    }
                    Err(scan) => break scan,
                }
            } else {
                match self.unquoted(window, start, settled, wanted) {
                    Some(field) => field,
                    None => break Scan::More,
                }
            };
            count += 1;
            lines += field.lines;
            if lines > 1 && count > expected && field.after < window.len() {
                // What follows does not matter, and may be long.
                break Scan::Broken { flaw: SplitError::Fields { found: count, lines }, reach: field.after };
            }
            let end = match window.get(field.after) {
                Some(&byte) if byte == self.delimiter => {
                    start = field.after + 1;
                    continue;
                }
                Some(_) => match after_line_end(window, field.after, settled) {
                    Found::End(end) => end,
                    Found::None | Found::More => break Scan::More,
                },
                None if settled => window.len(),
                None => break Scan::More,
            };
            break if end - at > view.limit {
                Scan::Broken { flaw: SplitError::Length, reach: end }
            } else if fields.is_some() && count != expected {
                // Quotes that join lines and leave fields out have torn more likely than not.
                if self.fills_short_rows && count < expected && lines == 1 {
                    (count..expected).for_each(|_| cells.push(Cell::NULL));
                    Scan::Record { end, lines }
                } else {
                    Scan::Broken { flaw: SplitError::Fields { found: count, lines }, reach: end }
                }
            } else {
                Scan::Record { end, lines }
            };
        };
        (scan, none_closes)
    }

    /// Reads the field at `start`, in which quotes are text; nothing where more bytes are needed. Its cell is pushed where
    /// it is `wanted`.
    #[inline]
    fn unquoted(self, window: &[u8], start: usize, settled: bool, wanted: Option<&mut Cells>) -> Option<Field> {
        if let Some(escape) = self.escape {
            let after = self.escaped_end(escape, window, start, settled)?;
            if let Some(cells) = wanted {
                self.push_escaped(escape, &window[..after], start, cells);
            }
            return Some(Field { after, lines: count_line_ends(&window[start..after]) });
        }
        let place = memchr3(self.delimiter, b'\n', b'\r', &window[start..]);
        let after = place.map_or(window.len(), |place| start + place);
        if let Some(cells) = wanted {
            cells.push(Cell::new(start, self.before_blanks(window, start, after)));
        }
        Some(Field { after, lines: 0 })
    }

    /// Reads the field at `start` up to the next quote of the same line behind which a field can end; nothing where there is
    /// none.
    #[cold]
    fn closed_later(self, quote: u8, window: &[u8], start: usize, wanted: Option<&mut Cells>) -> Option<Field> {
        let line = memchr2(b'\n', b'\r', &window[start..]).map_or(window.len(), |place| start + place);
        let mut from = start + 1;
        while let Some(place) = memchr(quote, &window[from..line]) {
            let close = from + place;
            let after = if self.trims { self.after_blanks(&window[..line], close + 1) } else { close + 1 };
            let is_escaped = self.escape == Some(window[close - 1]) && close > start + 1;
            if !is_escaped && (after == line || window[after] == self.delimiter) {
                let text = &window[start + 1..close];
                if let Some(cells) = wanted {
                    cells.push_held(|held| match self.escape {
                        None => undouble(text, quote, held),
                        Some(escape) => self.unescape(escape, text, held),
                    });
                }
                return Some(Field { after, lines: 0 });
            }
            from = close + 1;
        }
        None
    }

    /// Looks once more at a record that was found broken, if its quotes may be stray: at its first line alone, with
    /// quotes as text, which must then have `fields` fields.
    ///
    /// Where the quote does not even close on that line, what begins there may be a text of several lines. So the next line
    /// must be a record of its own.
    #[cold]
    pub(super) fn scan_stray(self, view: View<'_>, record: BrokenRecord, fields: usize, cells: &mut Cells) -> Scan {
        let BrokenRecord { at, flaw, reach } = record;
        let broken = record.scan();
        if matches!(flaw, SplitError::Length | SplitError::Fields { lines: 1, .. }) {
            return broken;
        }
        let line_end = match view.line(at, LineEnds::Any) {
            Line::End(end) => end,
            Line::More => return Scan::More,
            Line::TooLong => return broken,
        };
        let line = View { bytes: &view.bytes[..line_end], ended: true, limit: view.limit };
        let mark = cells.mark();
        let mut found = None;
        let mut none_closes = false;
        for stray in [Stray::Inside, Stray::Opening] {
            cells.return_to(mark);
            let splitter = Self { stray: Some(stray), fills_short_rows: false, ..self };
            let scan;
            (scan, none_closes) = splitter.scan_closing(line, at, Some(fields), cells);
            if matches!(scan, Scan::Record { end, lines: 1 } if end == line_end) {
                found = Some(scan);
                break;
            }
        }
        let Some(found) = found else {
            cells.return_to(mark);
            return broken;
        };
        // Without its other half a quote may still be open at the end of the line.
        let is_odd = || {
            let quotes = self.quote.map_or(0, |quote| memchr_iter(quote, &view.bytes[at..line_end]).count());
            quotes % 2 == 1
        };
        let is_open = none_closes && is_odd() || reach > line_end || flaw == SplitError::Open;
        let next = View { bytes: view.window(at), ended: view.settled(at), limit: view.limit };
        if !is_open || line_end == next.bytes.len() && next.ended {
            return found;
        }
        let after = cells.mark();
        let follows = self.scan(next, line_end, Some(fields), cells);
        cells.return_to(after);
        match follows {
            Scan::Record { .. } => found,
            Scan::More => Scan::More,
            Scan::Broken { .. } => {
                cells.return_to(mark);
                broken
            }
        }
    }

    /// Returns where the field at `start` ends, in which bytes may be escaped; nothing where more bytes are needed.
    fn escaped_end(self, escape: u8, window: &[u8], start: usize, settled: bool) -> Option<usize> {
        let mut from = start;
        loop {
            let place = memchr3(self.delimiter, b'\n', b'\r', &window[from..]);
            let after = place.map_or(window.len(), |place| from + place);
            match memchr(escape, &window[from..after]) {
                Some(place) => from = after_escaped(window, from + place, settled)?,
                None => return Some(after),
            }
        }
    }

    /// Pushes the cell of the field from `start` to the end of `window`, in which bytes may be escaped.
    fn push_escaped(self, escape: u8, window: &[u8], start: usize, cells: &mut Cells) {
        let text = &window[start..self.before_blanks(window, start, window.len())];
        if memchr(escape, text).is_some() {
            cells.push_held(|held| self.unescape(escape, text, held));
        } else {
            cells.push(Cell::new(start, start + text.len()));
        }
    }

    /// Reads the field at `start`, where its quote is. Its cell is pushed where it is `wanted`.
    fn quoted(self, window: &[u8], start: usize, settled: bool, wanted: Option<&mut Cells>) -> Result<Field, Scan> {
        let quote = window[start];
        let mut doubled = false;
        let mut from = start + 1;
        let (close, after) = loop {
            let place = match self.escape {
                None => memchr(quote, &window[from..]),
                Some(escape) => memchr2(quote, escape, &window[from..]),
            };
            let Some(place) = place else {
                return Err(if settled {
                    Scan::Broken { flaw: SplitError::Open, reach: window.len() }
                } else {
                    Scan::More
                });
            };
            let close = from + place;
            if self.escape == Some(window[close]) {
                doubled = true;
                from = after_escaped(window, close, settled).ok_or(Scan::More)?;
                continue;
            }
            match window.get(close + 1) {
                Some(&byte) if byte == quote => {
                    doubled = true;
                    from = close + 2;
                }
                Some(&byte) if byte == self.delimiter || byte == b'\n' || byte == b'\r' => break (close, close + 1),
                Some(&byte) if self.trims && is_space(byte) => {
                    let after = self.after_blanks(window, close + 1);
                    match window.get(after) {
                        Some(&byte) if byte == self.delimiter || byte == b'\n' || byte == b'\r' => {
                            break (close, after);
                        }
                        Some(_) => return Err(Scan::Broken { flaw: SplitError::AfterQuote, reach: after }),
                        None if settled => break (close, after),
                        None => return Err(Scan::More),
                    }
                }
                Some(_) => return Err(Scan::Broken { flaw: SplitError::AfterQuote, reach: close + 1 }),
                None if settled => break (close, close + 1),
                None => return Err(Scan::More),
            }
        };
        let text = &window[start + 1..close];
        match wanted {
            Some(cells) if doubled => cells.push_held(|held| match self.escape {
                None => undouble(text, quote, held),
                Some(escape) => self.unescape(escape, text, held),
            }),
            Some(cells) => cells.push(Cell::new(start + 1, close)),
            None => {}
        }
        Ok(Field { after, lines: count_line_ends(text) })
    }

    /// Returns where the spaces and tabs at `at` end.
    fn after_blanks(self, window: &[u8], at: usize) -> usize {
        let is_blank = |&byte: &u8| is_space(byte) && byte != self.delimiter;
        window[at..].iter().position(|byte| !is_blank(byte)).map_or(window.len(), |length| at + length)
    }

    /// Returns where a field ends without the spaces and tabs behind it, if they are none of it.
    #[inline]
    fn before_blanks(self, window: &[u8], start: usize, after: usize) -> usize {
        if !self.trims {
            return after;
        }
        let text = &window[start..after];
        start + text.iter().rposition(|&byte| !is_space(byte)).map_or(0, |last| last + 1)
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Returns where reading goes on after the escape at `at` and what it makes text; nothing where more bytes are needed.
fn after_escaped(window: &[u8], at: usize, settled: bool) -> Option<usize> {
    match window.get(at + 1) {
        Some(b'\r' | b'\n') => match after_line_end(window, at + 1, settled) {
            Found::End(end) => Some(end),
            Found::None | Found::More => None,
        },
        Some(_) => Some(at + 2),
        // The last byte of the file makes nothing text but itself.
        None if settled => Some(at + 1),
        None => None,
    }
}

impl Splitter {
    /// Appends `text` with its escapes, and its doubled quotes, resolved.
    fn unescape(self, escape: u8, mut text: &[u8], into: &mut Vec<u8>) {
        let quote = self.quote.unwrap_or(escape);
        while let Some(place) = memchr2(escape, quote, text) {
            into.extend_from_slice(&text[..place]);
            let means = |byte: u8| [escape, quote, self.delimiter, b'\n', b'\r'].contains(&byte);
            match (text[place], text.get(place + 1)) {
                (byte, Some(&next)) if byte == escape && means(next) => into.push(next),
                (byte, Some(&next)) if byte == quote && next == quote && byte != escape => into.push(quote),
                (byte, Some(&next)) if byte == escape => into.extend_from_slice(&[byte, next]),
                (byte, _) => {
                    into.push(byte);
                    text = &text[place + 1..];
                    continue;
                }
            }
            text = &text[place + 2..];
        }
        into.extend_from_slice(text);
    }
}

/// Appends `text` with every doubled quote made one; one alone stays.
fn undouble(mut text: &[u8], quote: u8, into: &mut Vec<u8>) {
    while let Some(place) = memchr(quote, text) {
        into.extend_from_slice(&text[..=place]);
        let is_doubled = text.get(place + 1) == Some(&quote);
        text = &text[place + 1 + usize::from(is_doubled)..];
    }
    into.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::record::View;

    const SPLITTER: Splitter = Splitter {
        delimiter: b',',
        quote: Some(b'"'),
        escape: None,
        fills_short_rows: false,
        trims: false,
        stray: None,
    };
    const ESCAPED: Splitter = Splitter { escape: Some(b'\\'), ..SPLITTER };

    fn scan(text: &str, fields: usize) -> (Scan, Vec<String>) {
        scan_as(SPLITTER, text, fields)
    }

    fn scan_as(splitter: Splitter, text: &str, fields: usize) -> (Scan, Vec<String>) {
        let mut cells = Cells::default();
        let mark = cells.mark();
        let view = View { bytes: text.as_bytes(), ended: true, limit: 64 };
        let scan = splitter.scan(view, 0, Some(fields), &mut cells);
        let texts = cells
            .since(mark, text.as_bytes())
            .map(|cell| cell.map_or_else(|| "∅".to_owned(), |cell| String::from_utf8(cell.to_vec()).unwrap()));
        (scan, texts.collect())
    }

    #[track_caller]
    fn check_as(splitter: Splitter, text: &str, expected: &[&str], end: usize, lines: u64) {
        let record = (Scan::Record { end, lines }, expected.iter().map(|&e| e.into()).collect());
        assert_eq!(scan_as(splitter, text, expected.len()), record, "{text:?}");
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str], end: usize, lines: u64) {
        assert_eq!(
            scan(text, expected.len()),
            (Scan::Record { end, lines }, expected.iter().map(|&e| e.into()).collect())
        );
    }

    #[track_caller]
    fn check_broken(text: &str, fields: usize, flaw: SplitError, reach: usize) {
        assert_eq!(scan(text, fields).0, Scan::Broken { flaw, reach });
    }

    #[test]
    fn fields_end_at_delimiters_and_records_at_line_ends_of_any_kind() {
        check("a,b\nx", &["a", "b"], 4, 1);
        check("a,b\r\nx", &["a", "b"], 5, 1);
        check("a,b\rx", &["a", "b"], 4, 1);
        check("a,b\r", &["a", "b"], 4, 1);
        check("a,b", &["a", "b"], 3, 1);
        check(",\n", &["", ""], 2, 1);
        check("a,", &["a", ""], 2, 1);
    }

    #[test]
    fn a_quote_counts_only_at_the_start_of_a_field() {
        check("a\"b,c\"\n", &["a\"b", "c\""], 7, 1);
        check(" \"a\",b\n", &[" \"a\"", "b"], 7, 1);
        check("\"a,\n\"\"b\"\r\n", &["a,\n\"b"], 10, 2);
        check("\"\",\"\"\"\"", &["", "\""], 7, 1);
    }

    #[test]
    fn an_escape_makes_the_next_byte_text() {
        check_as(ESCAPED, "a\\,b,\"c\\\"d\"\nx", &["a,b", "c\"d"], 12, 1);
        check_as(ESCAPED, "\"a\"\"b\\\\\",c\\nd\n", &["a\"b\\", "c\\nd"], 14, 1);
        check_as(ESCAPED, "a\\\r\nb,c\n", &["a\r\nb", "c"], 8, 2);
        check_as(ESCAPED, "\"a\\\n\",c\\", &["a\n", "c\\"], 8, 2);
        check_as(Splitter { quote: None, ..ESCAPED }, "\"a\\,\",b\n", &["\"a,\"", "b"], 8, 1);
        assert!(matches!(scan_as(ESCAPED, "\"a\\\",b\n", 2).0, Scan::Broken { flaw: SplitError::Open, .. }));
    }

    #[test]
    fn spaces_around_fields_are_no_part_of_them_where_that_is_agreed() {
        let trimming = Splitter { trims: true, ..SPLITTER };
        check_as(trimming, "a, \"x, y\" ,b\n", &["a", "x, y", "b"], 13, 1);
        check_as(trimming, " a ,\t\" b \"\t\r\n", &["a", " b "], 13, 1);
        check_as(trimming, "  , \n", &["", ""], 5, 1);
        check_as(trimming, "a b , \"\"\"c\"\"\"", &["a b", "\"c\""], 13, 1);
        let tabs = Splitter { delimiter: b'\t', ..trimming };
        check_as(tabs, "a \t \"b\tc\" \t\n", &["a", "b\tc", ""], 12, 1);
        let escaping = Splitter { trims: true, ..ESCAPED };
        check_as(escaping, " a\\, b , c\n", &["a, b", "c"], 11, 1);
        for text in ["a, ", "a, \"b\" ", "a, \"b\""] {
            let view = View { bytes: text.as_bytes(), ended: false, limit: 64 };
            assert_eq!(trimming.scan(view, 0, Some(2), &mut Cells::default()), Scan::More, "{text:?}");
        }
        let flaw = scan_as(trimming, "\"a\" b,c\n", 2).0;
        assert_eq!(flaw, Scan::Broken { flaw: SplitError::AfterQuote, reach: 4 });
    }

    #[test]
    fn without_quotes_every_byte_is_text() {
        check_as(Splitter { quote: None, ..SPLITTER }, "\"a,b\"\n", &["\"a", "b\""], 6, 1);
    }

    #[test]
    fn fields_that_lack_at_the_end_have_no_value_where_that_is_agreed() {
        let filling = Splitter { fills_short_rows: true, ..SPLITTER };
        check_as(filling, "a\nx", &["a", "∅", "∅"], 2, 1);
        check_as(filling, "a,\n", &["a", "", "∅"], 3, 1);
        let flaw = |text, found, lines| {
            let scan = scan_as(filling, text, 3).0;
            assert!(
                matches!(scan, Scan::Broken { flaw: f, .. } if f == SplitError::Fields { found, lines }),
                "{scan:?}"
            );
        };
        flaw("a,b,c,d\n", 4, 1);
        flaw("a,\"b\nc\"\n", 2, 2);
    }

    #[test]
    fn what_is_not_a_record_says_why() {
        check_broken("\"a,b\nc", 2, SplitError::Open, 6);
        check_broken("\"a\"b,c\n", 2, SplitError::AfterQuote, 3);
        check_broken("a,b,c\n", 2, SplitError::Fields { found: 3, lines: 1 }, 6);
        check_broken("a\n", 2, SplitError::Fields { found: 1, lines: 1 }, 2);
        check_broken("a,\"b\n\",\"c\n\",d", 2, SplitError::Fields { found: 3, lines: 3 }, 11);
        check_broken(&"a".repeat(65), 1, SplitError::Length, 65);
    }

    #[test]
    fn nothing_is_said_before_it_is_certain() {
        for text in ["a,b", "a,b\r", "\"a", "\"a\"", "\"a\"\"", "", "a,", "a\\", "\"a\\", "a\\\r"] {
            let view = View { bytes: text.as_bytes(), ended: false, limit: 64 };
            assert_eq!(SPLITTER.scan(view, 0, Some(2), &mut Cells::default()), Scan::More, "{text:?}");
            assert_eq!(ESCAPED.scan(view, 0, Some(2), &mut Cells::default()), Scan::More, "{text:?}");
        }
    }
}

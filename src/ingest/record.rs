//! What the splitters of both formats share: the view that they have, and the steps that they take.

use memchr::{memchr, memchr2};

use super::cells::Cells;
use super::problem::FileProblem;
use super::quarantine::Reason;

/// The bytes in memory, as a splitter sees them.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// The bytes.
    pub(super) bytes: &'a [u8],
    /// Whether the file ends with them.
    pub(super) ended: bool,
    /// The longest record, line end included.
    pub(super) limit: usize,
}

impl<'a> View<'a> {
    /// Returns the bytes up to where a record that starts at `at` is certainly too long.
    #[inline]
    pub(super) fn window(self, at: usize) -> &'a [u8] {
        &self.bytes[..self.bytes.len().min(at + self.limit + 1)]
    }

    /// Returns whether more bytes could not change what is to be said of the record at `at`.
    ///
    /// Every answer that depends on where the bytes end waits for this, so no answer depends on how they came.
    #[inline]
    pub(super) fn settled(self, at: usize) -> bool {
        self.ended || self.bytes.len() - at > self.limit
    }

    /// Returns the end of the physical line that starts at `at`.
    pub(super) fn line(self, at: usize, ends: LineEnds) -> Line {
        let window = self.window(at);
        match ends.find(window, at, self.settled(at)) {
            Found::End(end) if end - at <= self.limit => Line::End(end),
            Found::None if !self.settled(at) => Line::More,
            Found::None if window.len() - at <= self.limit => Line::End(window.len()),
            Found::End(_) | Found::None => Line::TooLong,
            Found::More => Line::More,
        }
    }
}

/// Where a physical line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Before this byte.
    End(usize),
    /// Beyond the limit of a record.
    TooLong,
    /// Not to be said yet.
    More,
}

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// `\n`; `\r` is white space.
    Lf,
    /// `\n`, `\r\n` or `\r`, mixed at will.
    Any,
}

/// The outcome of looking for a line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// There is one, and the next line starts here.
    End(usize),
    /// There is none.
    None,
    /// There is a `\r` that the next byte may belong to.
    More,
}

impl LineEnds {
    /// Looks for the first line end in `bytes` from `at` on; `settled` says that no byte will follow them.
    pub(super) fn find(self, bytes: &[u8], at: usize, settled: bool) -> Found {
        let place = match self {
            Self::Lf => memchr(b'\n', &bytes[at..]),
            Self::Any => memchr2(b'\n', b'\r', &bytes[at..]),
        };
        place.map_or(Found::None, |place| after_line_end(bytes, at + place, settled))
    }
}

/// Returns where the line end that starts at `at` is over.
#[inline]
pub(super) fn after_line_end(bytes: &[u8], at: usize, settled: bool) -> Found {
    match (bytes[at], bytes.get(at + 1)) {
        (b'\r', Some(b'\n')) => Found::End(at + 2),
        (b'\r', None) if !settled => Found::More,
        _ => Found::End(at + 1),
    }
}

/// Returns how many line ends of any kind there are in `text`.
pub(super) fn count_line_ends(text: &[u8]) -> u64 {
    let mut count = 0;
    let mut at = 0;
    while let Found::End(end) = LineEnds::Any.find(text, at, true) {
        count += 1;
        at = end;
    }
    count
}

/// What a splitter found at a place.
#[derive(Debug)]
pub(super) enum Step {
    /// A record, the cells of whose rows have been added.
    Record {
        /// Where the next record starts.
        end: usize,
        /// How many physical lines it takes up.
        lines: u64,
        /// How many rows it makes, at least one.
        rows: usize,
    },
    /// Nothing that could be a row.
    Blank {
        /// Where the next record starts.
        end: usize,
        /// How many physical lines it takes up.
        lines: u64,
    },
    /// Physical lines that are to be quarantined; of a record that cannot be told from what follows, only the first.
    Broken {
        /// Where the next record starts.
        end: usize,
        /// How many there are.
        lines: u64,
        /// Why.
        reason: Reason,
        /// What was expected and what was found.
        message: String,
    },
    /// A physical line that is longer than the limit.
    TooLong,
    /// Nothing can be said before more bytes are there.
    More,
}

/// Names that stand on one side alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SchemaDiff {
    /// Those that the file has and the contract does not know.
    pub(super) unknown: Vec<String>,
    /// Columns of the contract that the file's header lacks, or that no object of many has a name for; none of them is
    /// required. In CSV without a header there is no telling a column that is missing from one that has no value.
    pub(super) missing: Vec<String>,
}

/// A format: how its records are found and cut into cells.
pub(super) trait Records {
    /// Returns what ends a line of this format.
    const LINE_ENDS: LineEnds;
    /// Returns whether all names are known before the first record.
    const HAS_HEADER: bool;

    /// Looks at the record that starts at `at` and adds its cells if it is one.
    ///
    /// Called for every record in turn, and again for the same one after [`Step::More`].
    fn next(&mut self, view: View<'_>, at: usize, line: u64, cells: &mut Cells) -> Result<Step, FileProblem>;

    /// Returns how many cells each row has.
    fn width(&self) -> usize;

    /// Returns, for each column of the contract, which cell of a row is its; none for those that the file lacks.
    fn slots(&self) -> &[Option<usize>];

    /// Returns which names of the file so far and of the contract do not meet.
    fn schema_diff(&self) -> &SchemaDiff;

    /// Returns whether a header has been read.
    fn has_header(&self) -> bool {
        false
    }

    /// Returns how many records were the header once more and were passed over.
    fn repeated_headers(&self) -> u64 {
        0
    }

    /// Called at the end of the file; gives back which names of the file and of the contract did not meet.
    fn finish(self) -> Result<SchemaDiff, FileProblem>;
}

/// Returns whether a line of nothing but such bytes is blank.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_of_all_kinds_are_counted_once() {
        assert_eq!(count_line_ends(b""), 0);
        assert_eq!(count_line_ends(b"a\nb\r\nc\rd"), 3);
        assert_eq!(count_line_ends(b"\r\r\n\n\r"), 4);
    }

    #[test]
    fn a_line_is_too_long_only_when_it_is() {
        let view = |bytes, ended| View { bytes, ended, limit: 4 };
        assert_eq!(view(b"abc\nx", false).line(0, LineEnds::Any), Line::End(4));
        assert_eq!(view(b"abcd\nx", false).line(0, LineEnds::Any), Line::TooLong);
        assert_eq!(view(b"abcd", true).line(0, LineEnds::Any), Line::End(4));
        assert_eq!(view(b"abcd", false).line(0, LineEnds::Any), Line::More);
        assert_eq!(view(b"abc\r", false).line(0, LineEnds::Any), Line::More);
        assert_eq!(view(b"abc\r\n", false).line(0, LineEnds::Any), Line::TooLong);
        assert_eq!(view(b"abc\rx", false).line(0, LineEnds::Any), Line::End(4));
        assert_eq!(view(b"ab\rx", false).line(0, LineEnds::Lf), Line::More);
    }
}

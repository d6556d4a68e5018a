//! Records of delimited text.
//!
//! A quote that does not close, text after a closing quote, and a wrong number of fields in a record of several lines
//! all cost one physical line, the record's first: splitting goes on with the next line, because a single torn quote
//! would otherwise swallow good records. Where the contract takes stray quotes for text, such a line is a record if it has
//! the right number of fields then.
//!
//! Looking at lines again takes time, and a hostile file could ask for it at every line. Every byte that was looked at
//! beyond a broken first line is therefore counted, and while that count exceeds [`REPEATS`] times the bytes done with
//! (plus one record), nothing beyond a first line is looked at: quotes must then close on their own line. So the work
//! is linear in the size of the file, and only a file in which nearly every line tears a quote ever notices.

use super::cells::{Cells, Mark, most_made};
use super::header::{Wanted, told_apart};
use super::overflow::OverflowFields;
use super::problem::FileProblem;
use super::quarantine::Reason;
use super::record::{Found, Line, LineEnds, Records, SchemaDiff, Step, View, after_line_end, is_blank};
use super::split::{BrokenRecord, Scan, SplitError, Splitter, Stray};
use crate::project::{CsvFormat, FieldNames};

/// How many times over, on average, the bytes of a file may be looked at because of broken quotes.
const REPEATS: u64 = 16;

/// The records of one CSV file.
#[derive(Debug)]
pub(super) struct Csv {
    splitter: Splitter,
    wanted: Wanted,
    /// How many physical lines come before anything else.
    skip_lines: u64,
    /// Whether there were such lines.
    had_skip_lines: bool,
    /// What a line begins with that is no record.
    comment: Option<Vec<u8>>,
    /// Whether the next record that is not blank is the header, or another row of it.
    expects_header: bool,
    header: Header,
    /// Whether a quote that does not close is text, where its record is whole then.
    keeps_stray_quotes: bool,
    /// How many fields a header may have.
    most_columns: usize,
    /// How many fields a record has.
    fields: usize,
    /// Makes one cell more of those that the contract does not know.
    rest: Option<OverflowFields>,
    slots: Vec<Option<usize>>,
    schema_diff: SchemaDiff,
    done_bytes: u64,
    repeated_bytes: u64,
}

/// The header of a file, as far as it has been read.
#[derive(Debug, Default)]
struct Header {
    /// How many records it takes up.
    most_rows: usize,
    /// The names in each of them.
    rows: Vec<Vec<String>>,
    /// The names that it must have, where they are not those of the fields.
    expected: Option<Vec<String>>,
    /// Whether a record that is one of its rows once more is passed over.
    skips_repeated: bool,
    /// How many were.
    repeated: u64,
}

impl Header {
    /// Returns the name of each field: the texts of its rows, joined. An empty cell of a row above others has the text to
    /// its left, as where cells are merged.
    fn names(&self) -> Vec<String> {
        joined_names(&self.rows)
    }
}

/// Returns the name of each field of a header that takes up several records.
#[must_use]
pub fn joined_names(rows: &[Vec<String>]) -> Vec<String> {
    let width = rows.iter().map(Vec::len).max().unwrap_or_default();
    let mut names = vec![String::new(); width];
    for (at, row) in rows.iter().enumerate() {
        let mut last = "";
        for (place, name) in names.iter_mut().enumerate() {
            let own = row.get(place).map_or("", String::as_str);
            if !own.is_empty() || at + 1 == rows.len() {
                last = own;
            }
            if !last.is_empty() {
                name.push_str(if name.is_empty() { "" } else { " " });
                name.push_str(last);
            }
        }
    }
    names
}

impl Csv {
    pub(super) fn new(format: &CsvFormat, wanted: Wanted, most_columns: usize) -> Result<Self, FileProblem> {
        let (slots, fields) = match &format.names {
            FieldNames::Header => (vec![None; wanted.len()], 0),
            FieldNames::Listed(names) => (wanted.bind(names)?.slots, names.len()),
            FieldNames::Order => {
                let slots = wanted.in_order();
                let fields = slots.iter().flatten().count();
                (slots, fields)
            }
        };
        Ok(Self {
            splitter: format.into(),
            wanted,
            skip_lines: format.skip_lines,
            had_skip_lines: false,
            comment: format.comment.as_ref().map(|comment| comment.as_bytes().to_vec()),
            expects_header: format.has_header(),
            header: Header {
                most_rows: usize::try_from(format.header_rows).unwrap_or(1),
                rows: Vec::new(),
                expected: format.expected_header.clone(),
                skips_repeated: format.skips_repeated_header,
                repeated: 0,
            },
            keeps_stray_quotes: format.keeps_stray_quotes,
            most_columns,
            fields,
            rest: None,
            slots,
            schema_diff: SchemaDiff::default(),
            done_bytes: 0,
            repeated_bytes: 0,
        })
    }

    /// Returns whether the header has not been read yet.
    pub(super) fn expects_header(&self) -> bool {
        self.expects_header
    }

    /// Returns the end of the line at `at` if it is before the first record, or begins as a comment does.
    fn passed_over(&self, view: View<'_>, at: usize) -> Option<Step> {
        if self.skip_lines == 0 {
            let comment = self.comment.as_ref()?;
            let start = &view.bytes[at..view.bytes.len().min(at + comment.len())];
            if start.len() < comment.len() && comment.starts_with(start) && !view.ended {
                return Some(Step::More);
            }
            if start != comment {
                return None;
            }
        }
        Some(match view.line(at, LineEnds::Any) {
            Line::End(end) => Step::Blank { end, lines: 1 },
            Line::TooLong => Step::TooLong,
            Line::More => Step::More,
        })
    }

    /// Returns the end of the blank line at `at`, if there is one.
    fn blank(&self, view: View<'_>, at: usize) -> Option<Step> {
        let window = view.window(at);
        let is_blank = |byte: u8| is_blank(byte) && byte != self.splitter.delimiter;
        let text_end = window[at..].iter().position(|&byte| !is_blank(byte)).map_or(window.len(), |place| at + place);
        match window.get(text_end) {
            Some(b'\n' | b'\r') => match after_line_end(window, text_end, view.settled(at)) {
                Found::End(end) if end - at <= view.limit => Some(Step::Blank { end, lines: 1 }),
                Found::End(_) => Some(Step::TooLong),
                Found::None | Found::More => Some(Step::More),
            },
            Some(_) => None,
            None if !view.settled(at) => Some(Step::More),
            None if text_end - at <= view.limit => Some(Step::Blank { end: text_end, lines: 1 }),
            None => Some(Step::TooLong),
        }
    }

    fn step(&mut self, view: View<'_>, at: usize, line: u64, cells: &mut Cells) -> Result<Step, FileProblem> {
        if let Some(step) = self.passed_over(view, at) {
            if matches!(step, Step::Blank { .. }) {
                self.had_skip_lines |= self.skip_lines > 0;
                self.skip_lines = self.skip_lines.saturating_sub(1);
            }
            return Ok(step);
        }
        if let Some(step) = self.blank(view, at) {
            return Ok(step);
        }
        let fields = (!self.expects_header).then_some(self.fields);
        let mark = cells.mark();
        let scan = if self.looks_at_lines_only(view.limit) {
            match view.line(at, LineEnds::Any) {
                Line::End(end) => {
                    self.splitter.scan(View { bytes: &view.bytes[..end], ended: true, ..view }, at, fields, cells)
                }
                Line::More => Scan::More,
                Line::TooLong => return Ok(Step::TooLong),
            }
        } else {
            self.splitter.scan(view, at, fields, cells)
        };
        let scan = match scan {
            Scan::Broken { flaw, reach } if self.keeps_stray_quotes => {
                cells.return_to(mark);
                self.scan_stray(view, BrokenRecord { at, flaw, reach }, cells)
            }
            scan => scan,
        };
        match scan {
            Scan::Record { end, lines } if self.expects_header => {
                let found = cells.since(mark, view.bytes).count();
                if found > self.most_columns {
                    return Err(FileProblem::TooManyColumns { found, limit: self.most_columns });
                }
                let names = cells.since(mark, view.bytes).map(|name| name.unwrap_or_default().trim_ascii());
                let names = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>();
                cells.return_to(mark);
                self.header.rows.push(names);
                if self.header.rows.len() == self.header.most_rows {
                    self.read_header()?;
                }
                Ok(Step::Blank { end, lines })
            }
            Scan::Record { end, lines } if self.header.skips_repeated && self.is_header(cells, mark, view.bytes) => {
                cells.return_to(mark);
                self.header.repeated += 1;
                Ok(Step::Blank { end, lines })
            }
            Scan::Record { end, lines } => Ok(self.record(view, mark, (end, lines), cells)),
            Scan::More => {
                cells.return_to(mark);
                Ok(Step::More)
            }
            Scan::Broken { flaw, reach } => {
                cells.return_to(mark);
                let mut message = self.message(flaw, view.limit);
                if let (SplitError::Fields { lines: 1, .. }, false) = (flaw, self.expects_header) {
                    message.extend(self.other_delimiter(&view.bytes[at..reach.max(at)], cells));
                }
                if self.expects_header {
                    return Err(FileProblem::BrokenHeader { line, message });
                }
                Ok(match view.line(at, LineEnds::Any) {
                    Line::End(end) => {
                        self.repeated_bytes += reach.saturating_sub(end) as u64;
                        let reason = match flaw {
                            SplitError::Open | SplitError::AfterQuote => Reason::Quote,
                            SplitError::Fields { .. } => Reason::Fields,
                            SplitError::Length => Reason::Length,
                        };
                        Step::Broken { end, lines: 1, reason, message }
                    }
                    Line::TooLong => Step::TooLong,
                    Line::More => Step::More,
                })
            }
        }
    }

    /// Returns whether no more is looked at beyond the first line of a record, because so much was in vain.
    fn looks_at_lines_only(&self, limit: usize) -> bool {
        self.repeated_bytes > REPEATS * self.done_bytes + limit as u64
    }

    /// Looks once more at a record that is broken, with stray quotes as text.
    #[cold]
    fn scan_stray(&mut self, view: View<'_>, record: BrokenRecord, cells: &mut Cells) -> Scan {
        if self.looks_at_lines_only(view.limit) && record.flaw == SplitError::Open {
            return record.scan();
        }
        let scan = if self.expects_header {
            self.stray_header(view, record, cells)
        } else {
            self.splitter.scan_stray(view, record, self.fields, cells)
        };
        if let Scan::Record { end, .. } = scan {
            self.repeated_bytes += record.reach.saturating_sub(end) as u64;
        }
        scan
    }

    /// Looks for a number of fields with which a header that is broken is one, the most known names first.
    fn stray_header(&self, view: View<'_>, record: BrokenRecord, cells: &mut Cells) -> Scan {
        let (at, broken) = (record.at, record.scan());
        let line_end = match view.line(at, LineEnds::Any) {
            Line::End(end) => end,
            Line::More => return Scan::More,
            Line::TooLong => return broken,
        };
        let line = View { bytes: &view.bytes[..line_end], ended: true, limit: view.limit };
        let mark = cells.mark();
        let mut best: Option<(usize, usize)> = None;
        for stray in [Stray::Inside, Stray::Opening] {
            let splitter = Splitter { stray: Some(stray), ..self.splitter };
            if matches!(splitter.scan(line, at, None, cells), Scan::Record { .. }) {
                let names = cells.since(mark, view.bytes).map(|name| name.unwrap_or_default().trim_ascii());
                let names = names.map(String::from_utf8_lossy).collect::<Vec<_>>();
                let known = match &self.header.expected {
                    Some(expected) => names.iter().zip(expected).filter(|(one, other)| one == other).count(),
                    None => names.iter().filter(|name| self.wanted.knows(name)).count(),
                };
                best = best.max(Some((known, names.len())));
            }
            cells.return_to(mark);
        }
        match best {
            Some((_, fields)) => self.splitter.scan_stray(view, record, fields, cells),
            None => broken,
        }
    }

    /// Finds the columns in a header that has been read whole.
    fn read_header(&mut self) -> Result<(), FileProblem> {
        let names = self.header.names();
        self.expects_header = false;
        if let Some(expected) = &self.header.expected {
            let is_same = |(one, other): (&String, &String)| one.trim_ascii() == other.trim_ascii();
            if expected.len() != names.len() || !expected.iter().zip(&names).all(is_same) {
                return Err(FileProblem::OtherHeader { expected: expected.clone(), header: names });
            }
            return Ok(());
        }
        let bound = self.wanted.bind(&names)?;
        self.fields = names.len();
        self.slots = bound.slots;
        if let Some(column) = self.wanted.rest() {
            self.rest = Some(OverflowFields::new(&told_apart(&names, &self.slots), &self.slots));
            self.slots[column] = Some(self.fields);
        }
        self.schema_diff = bound.schema_diff;
        Ok(())
    }

    /// Returns whether the fields that have come since `mark` are a row of the header once more.
    fn is_header(&self, cells: &Cells, mark: Mark, bytes: &[u8]) -> bool {
        let is_row = |row: &Vec<String>| {
            let mut fields = cells.since(mark, bytes).map(Option::unwrap_or_default);
            // What was put behind another file may begin with a mark of its own.
            let same = |name: &String| {
                fields.next().is_some_and(|field| {
                    field.strip_prefix(b"\xef\xbb\xbf").unwrap_or(field).trim_ascii() == name.trim_ascii().as_bytes()
                })
            };
            row.iter().all(same) && fields.all(<[u8]>::is_empty)
        };
        self.header.rows.iter().any(is_row)
    }

    /// Returns what else stands between the fields of a line that has another number of them than it should, if something
    /// does.
    #[cold]
    fn other_delimiter(&self, line: &[u8], cells: &mut Cells) -> Option<String> {
        const USUAL: [u8; 5] = *b",;\t| ";
        if self.fields < 2 {
            return None;
        }
        let view = View { bytes: line, ended: true, limit: line.len() };
        let mark = cells.mark();
        let other = USUAL.into_iter().filter(|other| *other != self.splitter.delimiter).find(|&delimiter| {
            let splitter = Splitter { delimiter, fills_short_rows: false, ..self.splitter };
            let scan = splitter.scan(view, 0, Some(self.fields), cells);
            cells.return_to(mark);
            matches!(scan, Scan::Record { end, lines: 1 } if end == line.len())
        })?;
        Some(format!("; it has {} between {}, not {}", self.fields, shown(other), shown(self.splitter.delimiter)))
    }

    /// Ends a record whose fields have come since `mark`.
    #[inline]
    fn record(&mut self, view: View<'_>, mark: Mark, (end, lines): (usize, u64), cells: &mut Cells) -> Step {
        if let Some(rest) = &mut self.rest
            && let Err(message) = rest.push(cells, mark, view.bytes, most_made(view.limit))
        {
            cells.return_to(mark);
            return Step::Broken { end, lines, reason: Reason::Length, message };
        }
        Step::Record { end, lines, rows: 1 }
    }

    #[cold]
    fn message(&self, flaw: SplitError, limit: usize) -> String {
        match flaw {
            SplitError::Open => {
                "expected a closing quote, found none before the end of the file or the limit".to_owned()
            }
            SplitError::AfterQuote => "expected a delimiter or a line end after a closing quote, found text".to_owned(),
            SplitError::Fields { found, lines: 1 } => format!("expected {} fields, found {found}", self.fields),
            SplitError::Fields { found, lines } => {
                format!("expected {} fields, found {found} in {lines} lines that quotes join", self.fields)
            }
            SplitError::Length => too_long(limit),
        }
    }
}

impl Records for Csv {
    const LINE_ENDS: LineEnds = LineEnds::Any;
    const HAS_HEADER: bool = true;

    fn next(&mut self, view: View<'_>, at: usize, line: u64, cells: &mut Cells) -> Result<Step, FileProblem> {
        let step = self.step(view, at, line, cells)?;
        match &step {
            Step::Record { end, .. } | Step::Blank { end, .. } | Step::Broken { end, .. } => {
                self.done_bytes += (end - at) as u64;
            }
            Step::TooLong if self.expects_header || self.skip_lines > 0 => {
                return Err(FileProblem::BrokenHeader { line, message: too_long(view.limit) });
            }
            Step::TooLong | Step::More => {}
        }
        Ok(step)
    }

    fn width(&self) -> usize {
        self.fields + usize::from(self.rest.is_some())
    }

    fn slots(&self) -> &[Option<usize>] {
        &self.slots
    }

    fn schema_diff(&self) -> &SchemaDiff {
        &self.schema_diff
    }

    fn has_header(&self) -> bool {
        !self.header.rows.is_empty()
    }

    fn repeated_headers(&self) -> u64 {
        self.header.repeated
    }

    fn finish(self) -> Result<SchemaDiff, FileProblem> {
        // Nothing but blank lines and remarks is a file of no records. Where lines before the header are to be passed over
        // and it ends among or behind them, it may have been cut off.
        let has_begun = !self.header.rows.is_empty() || self.had_skip_lines;
        if self.expects_header && has_begun { Err(FileProblem::NoHeader) } else { Ok(self.schema_diff) }
    }
}

fn shown(delimiter: u8) -> &'static str {
    match delimiter {
        b',' => "commas",
        b';' => "semicolons",
        b'\t' => "tabs",
        b'|' => "bars",
        b' ' => "spaces",
        _ => "delimiters of the contract",
    }
}

/// Says that a record is longer than the limit.
pub(super) fn too_long(limit: usize) -> String {
    format!("expected a record of at most {limit} bytes (`limits.record_bytes`), found a longer one")
}

//! Records of delimited text.
//!
//! A quote that does not close, text after a closing quote, and a wrong number of fields in a record of several lines
//! all cost one physical line, the record's first: splitting goes on with the next line, because a single torn quote
//! would otherwise swallow good records.
//!
//! Looking at lines again takes time, and a hostile file could ask for it at every line. Every byte that was looked at
//! beyond a broken first line is therefore counted, and while that count exceeds [`REPEATS`] times the bytes done with
//! (plus one record), nothing beyond a first line is looked at: quotes must then close on their own line. So the work
//! is linear in the size of the file, and only a file in which nearly every line tears a quote ever notices.

use super::cells::Cells;
use super::header::Wanted;
use super::problem::FileProblem;
use super::quarantine::Reason;
use super::record::{Found, Line, LineEnds, Records, Step, View, after_line_end, is_blank};
use super::split::{Flaw, Scan, Splitter};

/// How many times over, on average, the bytes of a file may be looked at because of broken quotes.
const REPEATS: u64 = 16;

/// The records of one CSV file.
#[derive(Debug)]
pub(super) struct Csv {
    splitter: Splitter,
    wanted: Wanted,
    /// Whether the next record that is not blank is the header.
    expects_header: bool,
    width: usize,
    slots: Vec<Option<usize>>,
    unknown: Vec<String>,
    done_bytes: u64,
    repeated_bytes: u64,
}

impl Csv {
    pub(super) fn new(delimiter: u8, quote: u8, header: bool, wanted: Wanted) -> Self {
        let slots = if header { vec![None; wanted.len()] } else { wanted.in_order() };
        Self {
            splitter: Splitter { delimiter, quote },
            wanted,
            expects_header: header,
            width: slots.iter().flatten().count(),
            slots,
            unknown: Vec::new(),
            done_bytes: 0,
            repeated_bytes: 0,
        }
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
        if let Some(step) = self.blank(view, at) {
            return Ok(step);
        }
        let fields = (!self.expects_header).then_some(self.width);
        let mark = cells.mark();
        let scan = if self.repeated_bytes > REPEATS * self.done_bytes + view.limit as u64 {
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
        match scan {
            Scan::Record { end, lines } if self.expects_header => {
                let names = cells.since(mark, view.bytes).map(|name| name.unwrap_or_default().trim_ascii());
                let names = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>();
                cells.return_to(mark);
                let bound = self.wanted.bind(&names)?;
                self.expects_header = false;
                self.width = names.len();
                self.slots = bound.slots;
                self.unknown = bound.unknown;
                Ok(Step::Blank { end, lines })
            }
            Scan::Record { end, lines } => Ok(Step::Row { end, lines }),
            Scan::More => {
                cells.return_to(mark);
                Ok(Step::More)
            }
            Scan::Broken { flaw, reach } => {
                cells.return_to(mark);
                let message = self.message(flaw, view.limit);
                if self.expects_header {
                    return Err(FileProblem::BrokenHeader { line, message });
                }
                Ok(match view.line(at, LineEnds::Any) {
                    Line::End(end) => {
                        self.repeated_bytes += reach.saturating_sub(end) as u64;
                        let reason = match flaw {
                            Flaw::Open | Flaw::AfterQuote => Reason::Quote,
                            Flaw::Fields { .. } => Reason::Fields,
                            Flaw::Length => Reason::Length,
                        };
                        Step::Broken { end, reason, message }
                    }
                    Line::TooLong => Step::TooLong,
                    Line::More => Step::More,
                })
            }
        }
    }

    #[cold]
    fn message(&self, flaw: Flaw, limit: usize) -> String {
        match flaw {
            Flaw::Open => "expected a closing quote, found none before the end of the file or the limit".to_owned(),
            Flaw::AfterQuote => "expected a delimiter or a line end after a closing quote, found text".to_owned(),
            Flaw::Fields { found, lines: 1 } => format!("expected {} fields, found {found}", self.width),
            Flaw::Fields { found, lines } => {
                format!("expected {} fields, found {found} in {lines} lines that quotes join", self.width)
            }
            Flaw::Length => too_long(limit),
        }
    }
}

impl Records for Csv {
    const LINE_ENDS: LineEnds = LineEnds::Any;

    fn next(&mut self, view: View<'_>, at: usize, line: u64, cells: &mut Cells) -> Result<Step, FileProblem> {
        let step = self.step(view, at, line, cells)?;
        match &step {
            Step::Row { end, .. } | Step::Blank { end, .. } | Step::Broken { end, .. } => {
                self.done_bytes += (end - at) as u64;
            }
            Step::TooLong if self.expects_header => {
                return Err(FileProblem::BrokenHeader { line, message: too_long(view.limit) });
            }
            Step::TooLong | Step::More => {}
        }
        Ok(step)
    }

    fn width(&self) -> usize {
        self.width
    }

    fn slots(&self) -> &[Option<usize>] {
        &self.slots
    }

    fn finish(self) -> Result<Vec<String>, FileProblem> {
        if self.expects_header { Err(FileProblem::NoHeader) } else { Ok(self.unknown) }
    }
}

/// Says that a record is longer than the limit.
pub(super) fn too_long(limit: usize) -> String {
    format!("expected a record of at most {limit} bytes (`limits.record_bytes`), found a longer one")
}

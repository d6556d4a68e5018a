//! Records of JSON, one object a line.
//!
//! A line ends with `\n`; `\r` before it is white space, as anywhere in JSON. Nothing is built of a value but the place
//! of its text, so that numbers of any size keep all their digits. Most lines are plain and are cut up by
//! [`super::object`]; what that does not take is left to `serde_json`, which has the last word on what JSON is.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::cells::{Cell, Cells, Held};
use super::header::Wanted;
use super::object;
use super::problem::FileProblem;
use super::quarantine::Reason;
use super::record::{Line, LineEnds, Records, Step, View};

/// How deep a nested value may be that is kept as text.
const MOST_DEPTH: usize = 128;

/// How many unknown names are remembered; a file whose names are data would have no end of them.
const MOST_UNKNOWN: usize = 100;

/// The records of one NDJSON file.
#[derive(Debug)]
pub(super) struct Ndjson {
    names: Names,
    width: usize,
    slots: Vec<Option<usize>>,
    /// Of each cell of the record being read, the rank of the name that it came under.
    ranks: Vec<usize>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    cell: usize,
    /// Its place among the column's names; the own name is 0.
    rank: usize,
}

/// The rank of a cell that no name has filled yet.
const UNFILLED: usize = usize::MAX;

/// What names stand for, quick to tell when records have theirs in the same order.
#[derive(Debug)]
pub(super) struct Names {
    targets: HashMap<Vec<u8>, Target>,
    /// What the name at each place of the last records was.
    guesses: Vec<(Vec<u8>, Option<Target>)>,
    unknown: Vec<String>,
    seen: HashSet<Vec<u8>>,
}

impl Names {
    /// Returns what the name at `place` of a record stands for, nothing if it is unknown.
    #[inline]
    pub(super) fn target(&mut self, place: usize, name: &[u8]) -> Option<Target> {
        match self.guesses.get(place) {
            Some((guess, target)) if guess == name => *target,
            _ => self.look_up(place, name),
        }
    }

    fn look_up(&mut self, place: usize, name: &[u8]) -> Option<Target> {
        /// Beyond this many names a record is unusual, and guessing costs memory.
        const MOST_GUESSES: usize = 1024;
        let target = self.targets.get(name).copied();
        if target.is_none() && self.unknown.len() < MOST_UNKNOWN && self.seen.insert(name.to_vec()) {
            self.unknown.push(String::from_utf8_lossy(name).into_owned());
        }
        if let Some(guess) = self.guesses.get_mut(place) {
            guess.0.clear();
            guess.0.extend_from_slice(name);
            guess.1 = target;
        } else if place == self.guesses.len() && place < MOST_GUESSES {
            self.guesses.push((name.to_vec(), target));
        }
        target
    }
}

/// The cells of the record being read.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) names: &'a mut Names,
    cells: &'a mut [Cell],
    ranks: &'a mut [usize],
    held: &'a mut Held,
    /// How much was held before this record.
    held_before: usize,
}

impl Row<'_> {
    /// Fills the cell of `target`, unless a name that goes before has filled it; of two equal names the last counts.
    #[inline]
    pub(super) fn fill(&mut self, target: Target, cell: Cell) {
        if target.rank <= self.ranks[target.cell] {
            self.ranks[target.cell] = target.rank;
            self.cells[target.cell] = cell;
        }
    }

    /// Keeps a text that `write` appends and returns its cell, or nothing when `write` gives up.
    pub(super) fn keep(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<Cell> {
        self.held.keep(write)
    }

    /// Empties all cells.
    fn clear(&mut self) {
        self.held.truncate(self.held_before);
        self.cells.fill(Cell::NULL);
        self.ranks.fill(UNFILLED);
    }
}

impl Ndjson {
    pub(super) fn new(wanted: &Wanted) -> Self {
        let slots = wanted.in_order();
        let targets = wanted.by_name().into_iter().filter_map(|(name, (column, rank))| {
            Some((name.as_bytes().to_vec(), Target { cell: slots[column]?, rank }))
        });
        let targets = targets.collect();
        let names = Names { targets, guesses: Vec::new(), unknown: Vec::new(), seen: HashSet::new() };
        // A record has one cell even where the path gives all columns, so that records can be counted by their cells.
        let width = slots.iter().flatten().count().max(1);
        Self { names, width, slots, ranks: vec![UNFILLED; width] }
    }

    /// Reads the object in `line`, which starts at `at` of the bytes in memory.
    fn read(&mut self, line: &[u8], at: usize, cells: &mut Cells) -> Result<(), (Reason, String)> {
        let text = std::str::from_utf8(line).map_err(|error| {
            (
                Reason::Encoding,
                format!("expected UTF-8 text, found other bytes at byte {} of the line", error.valid_up_to() + 1),
            )
        })?;
        let (cells, held) = cells.push_row(self.width);
        let mut row = Row { names: &mut self.names, cells, ranks: &mut self.ranks, held_before: held.len(), held };
        row.ranks.fill(UNFILLED);
        if object::read(line, at, &mut row).is_some() {
            return Ok(());
        }
        row.clear();
        // Without the line end, so that a mistake at the end of the line is not said to be on the next.
        let text = text.trim_end_matches(['\r', '\n']);
        let mut json = serde_json::Deserializer::from_str(text);
        let read = json.deserialize_map(ObjectVisitor { row, text, at }).and_then(|()| json.end());
        read.map_err(|error| {
            let message = format!("expected one JSON object, found a mistake at byte {} of the line: ", error.column());
            (Reason::Json, message + &without_place(&error))
        })
    }
}

impl Records for Ndjson {
    const LINE_ENDS: LineEnds = LineEnds::Lf;

    fn next(&mut self, view: View<'_>, at: usize, _line: u64, cells: &mut Cells) -> Result<Step, FileProblem> {
        let end = match view.line(at, Self::LINE_ENDS) {
            Line::End(end) => end,
            Line::TooLong => return Ok(Step::TooLong),
            Line::More => return Ok(Step::More),
        };
        let line = &view.bytes[at..end];
        if line.iter().all(|&byte| super::record::is_blank(byte) || byte == b'\r' || byte == b'\n') {
            return Ok(Step::Blank { end, lines: 1 });
        }
        let mark = cells.mark();
        Ok(match self.read(line, at, cells) {
            Ok(()) => Step::Row { end, lines: 1 },
            Err((reason, message)) => {
                cells.return_to(mark);
                Step::Broken { end, reason, message }
            }
        })
    }

    fn width(&self) -> usize {
        self.width
    }

    fn slots(&self) -> &[Option<usize>] {
        &self.slots
    }

    fn finish(self) -> Result<Vec<String>, FileProblem> {
        Ok(self.names.unknown)
    }
}

/// Fills a row from an object of any kind.
struct ObjectVisitor<'a, 't> {
    row: Row<'a>,
    /// The line.
    text: &'t str,
    /// Where the line starts among the bytes in memory.
    at: usize,
}

impl<'t> Visitor<'t> for ObjectVisitor<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(mut self, mut object: A) -> Result<(), A::Error> {
        let mut place = 0;
        while let Some(target) = object.next_key_seed(NameSeed { names: self.row.names, place })? {
            place += 1;
            let Some(target) = target else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = object.next_value::<&'t RawValue>()?.get();
            let cell = self.cell(value).map_err(A::Error::custom)?;
            self.row.fill(target, cell);
        }
        Ok(())
    }
}

impl ObjectVisitor<'_, '_> {
    fn cell(&mut self, value: &str) -> Result<Cell, String> {
        let start = self.at + (value.as_ptr() as usize - self.text.as_ptr() as usize);
        Ok(match value.as_bytes()[0] {
            b'n' => Cell::NULL,
            b'"' if value.contains('\\') => {
                let text = serde_json::from_str::<String>(value).map_err(|error| without_place(&error))?;
                let kept = self.row.keep(|held| {
                    held.extend_from_slice(text.as_bytes());
                    Some(())
                });
                kept.unwrap_or(Cell::NULL)
            }
            b'"' => Cell::new(start + 1, start + value.len() - 1),
            b'{' | b'[' if depth(value) > MOST_DEPTH => return Err(format!("a value nested deeper than {MOST_DEPTH}")),
            _ => Cell::new(start, start + value.len()),
        })
    }
}

/// Finds out what the next name stands for.
struct NameSeed<'a> {
    names: &'a mut Names,
    place: usize,
}

impl<'t> DeserializeSeed<'t> for NameSeed<'_> {
    type Value = Option<Target>;

    fn deserialize<D: serde::Deserializer<'t>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Option<Target>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.names.target(self.place, name.as_bytes()))
    }
}

/// Returns what `serde_json` says is wrong, but not where: that is about a line or a value of its own.
fn without_place(error: &serde_json::Error) -> String {
    let said = error.to_string();
    said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said).to_owned()
}

/// Returns how deeply brackets are nested in a valid JSON text.
///
/// `serde_json` passes over a value without recursion, and so without its own limit.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_are_no_depth() {
        assert_eq!(depth(r#"{"a":[1,{"b":2}],"c":"[[[[\"[["}"#), 3);
        assert_eq!(depth("[]"), 1);
    }
}

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
use super::record::{Line, LineEnds, Records, Step, Strangers, View};

/// How many unknown names are remembered; a file whose names are data would have no end of them.
const MOST_UNKNOWN: usize = 100;

/// The records of one NDJSON file.
#[derive(Debug)]
pub(super) struct Ndjson {
    names: Names,
    width: usize,
    slots: Vec<Option<usize>>,
    /// Of each cell of the record being read, the rank of the path that it came under.
    ranks: Vec<usize>,
    most_depth: usize,
    encoding: &'static str,
}

/// A cell, and the rank of the path that it is filled from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    cell: usize,
    /// The path's place among those of the column; the first is 0.
    rank: usize,
}

/// What a name inside an object stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Meaning {
    /// The cell that its value fills.
    pub(super) target: Option<Target>,
    /// The names that matter inside its value, which is an object then.
    pub(super) inner: Option<usize>,
}

/// The rank of a cell that no name has filled yet.
const UNFILLED: usize = usize::MAX;

/// The names that matter, quick to tell when records have theirs in the same order.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Of the record first, then of each object inside it that has some.
    levels: Vec<Level>,
    strangers: Strangers,
    seen: HashSet<Vec<u8>>,
}

/// The names that matter inside one object.
#[derive(Debug, Default)]
struct Level {
    /// What comes before them, written with dots.
    prefix: Vec<u8>,
    meanings: HashMap<Vec<u8>, Meaning>,
    /// Every cell that they fill, at any depth.
    targets: Vec<Target>,
    /// What the name at each place of the last objects was.
    guesses: Vec<(Vec<u8>, Meaning)>,
}

impl Names {
    fn new(wanted: &Wanted, slots: &[Option<usize>]) -> Self {
        let mut names = Self { levels: vec![Level::default()], ..Self::default() };
        for (path, column, rank) in wanted.paths() {
            if let (Some(cell), Some((last, above))) = (slots[column], path.split_last()) {
                names.add(above, last, Target { cell, rank });
            }
        }
        names
    }

    fn add(&mut self, above: &[String], last: &str, target: Target) {
        let mut at = 0;
        for name in above {
            let next = self.levels.len();
            let level = &mut self.levels[at];
            let prefix = [&level.prefix, name.as_bytes(), b"."].concat();
            at = *level.meanings.entry(name.as_bytes().to_vec()).or_default().inner.get_or_insert(next);
            if at == next {
                self.levels.push(Level { prefix, ..Level::default() });
            }
            self.levels[at].targets.push(target);
        }
        self.levels[at].meanings.entry(last.as_bytes().to_vec()).or_default().target = Some(target);
    }

    /// Returns what the name at `place` of an object means, nothing if it is unknown.
    #[inline]
    pub(super) fn meaning(&mut self, level: usize, place: usize, name: &[u8]) -> Meaning {
        match self.levels[level].guesses.get(place) {
            Some((guess, meaning)) if guess == name => *meaning,
            _ => self.look_up(level, place, name),
        }
    }

    fn look_up(&mut self, level: usize, place: usize, name: &[u8]) -> Meaning {
        /// Beyond this many names an object is unusual, and guessing costs memory.
        const MOST_GUESSES: usize = 1024;
        let Level { prefix, meanings, guesses, .. } = &mut self.levels[level];
        let found = meanings.get(name).copied();
        if found.is_none() && self.strangers.unknown.len() < MOST_UNKNOWN {
            let path = [prefix, name].concat();
            if !self.seen.contains(&path) {
                self.strangers.unknown.push(String::from_utf8_lossy(&path).into_owned());
                self.seen.insert(path);
            }
        }
        let meaning = found.unwrap_or_default();
        if let Some(guess) = guesses.get_mut(place) {
            guess.0.clear();
            guess.0.extend_from_slice(name);
            guess.1 = meaning;
        } else if place == guesses.len() && place < MOST_GUESSES {
            guesses.push((name.to_vec(), meaning));
        }
        meaning
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
    /// How deep values may be nested.
    pub(super) most_depth: usize,
}

impl Row<'_> {
    /// Fills the cell of `target`, unless a path that goes before has filled it; of two equal names the last counts.
    #[inline]
    pub(super) fn fill(&mut self, target: Target, cell: Cell) {
        if target.rank <= self.ranks[target.cell] {
            self.ranks[target.cell] = target.rank;
            self.cells[target.cell] = cell;
        }
    }

    /// Empties the cells of an object that comes anew: of two equal names the last counts.
    #[inline]
    pub(super) fn forget(&mut self, level: usize) {
        for target in &self.names.levels[level].targets {
            if self.ranks[target.cell] == target.rank {
                self.ranks[target.cell] = UNFILLED;
                self.cells[target.cell] = Cell::NULL;
            }
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
    pub(super) fn new(wanted: &Wanted, most_depth: usize, encoding: &'static str) -> Self {
        let slots = wanted.in_order();
        let names = Names::new(wanted, &slots);
        // A record has one cell even where the path gives all columns, so that records can be counted by their cells.
        let width = slots.iter().flatten().count().max(1);
        Self { names, width, slots, ranks: vec![UNFILLED; width], most_depth, encoding }
    }

    /// Reads the object in `line`, which starts at `at` of the bytes in memory.
    fn read(&mut self, line: &[u8], at: usize, cells: &mut Cells) -> Result<(), (Reason, String)> {
        let text = std::str::from_utf8(line).map_err(|error| {
            let place = error.valid_up_to() + 1;
            (
                Reason::Encoding,
                format!(
                    "expected {} text (`encoding` in `format`), found other bytes at byte {place} of the line",
                    self.encoding
                ),
            )
        })?;
        let (cells, held) = cells.push_row(self.width);
        let mut row = Row {
            names: &mut self.names,
            cells,
            ranks: &mut self.ranks,
            held_before: held.len(),
            held,
            most_depth: self.most_depth,
        };
        row.ranks.fill(UNFILLED);
        if object::read(line, at, &mut row).is_some() {
            return Ok(());
        }
        row.clear();
        // Without the line end, so that a mistake at the end of the line is not said to be on the next.
        let text = text.trim_end_matches(['\r', '\n']);
        let mut json = serde_json::Deserializer::from_str(text);
        let visitor = ObjectVisitor { row: &mut row, level: 0, text, at };
        let read = json.deserialize_map(visitor).and_then(|()| json.end());
        read.map_err(|error| {
            let message = format!("expected one JSON object, found a mistake at byte {} of the line: ", error.column());
            (Reason::Json, message + &without_place(&error))
        })?;
        if depth(text) > self.most_depth + 1 {
            let most = self.most_depth;
            let message =
                format!("expected values nested at most {most} deep (`limits.nesting_depth`), found deeper ones");
            return Err((Reason::Json, message));
        }
        Ok(())
    }
}

impl Records for Ndjson {
    const LINE_ENDS: LineEnds = LineEnds::Lf;
    const HAS_HEADER: bool = false;

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

    fn strangers(&self) -> &Strangers {
        &self.names.strangers
    }

    fn finish(self) -> Result<Strangers, FileProblem> {
        Ok(self.names.strangers)
    }
}

/// Fills a row from an object of any kind.
struct ObjectVisitor<'v, 'a, 't> {
    row: &'v mut Row<'a>,
    /// Which names matter in it.
    level: usize,
    /// The object, and what is around it.
    text: &'t str,
    /// Where that starts among the bytes in memory.
    at: usize,
}

impl<'t> Visitor<'t> for ObjectVisitor<'_, '_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut object: A) -> Result<(), A::Error> {
        let mut place = 0;
        let level = self.level;
        while let Some(meaning) = object.next_key_seed(NameSeed { names: self.row.names, level, place })? {
            place += 1;
            if meaning == Meaning::default() {
                object.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = object.next_value::<&'t RawValue>()?.get();
            let at = self.at + (value.as_ptr() as usize - self.text.as_ptr() as usize);
            if let Some(inner) = meaning.inner {
                self.row.forget(inner);
                match value.as_bytes()[0] {
                    b'n' => {}
                    b'{' => {
                        let visitor = ObjectVisitor { row: self.row, level: inner, text: value, at };
                        let read = serde_json::Deserializer::from_str(value).deserialize_map(visitor);
                        read.map_err(|error| A::Error::custom(without_place(&error)))?;
                    }
                    _ => {
                        let prefix = String::from_utf8_lossy(&self.row.names.levels[inner].prefix);
                        let name = prefix.trim_end_matches('.');
                        return Err(A::Error::custom(format!("`{name}` is no object, and `path` looks inside it")));
                    }
                }
            }
            if let Some(target) = meaning.target {
                let cell = cell(self.row, value, at).map_err(A::Error::custom)?;
                self.row.fill(target, cell);
            }
        }
        Ok(())
    }
}

/// Returns the cell of a value that starts at `at` among the bytes in memory.
fn cell(row: &mut Row<'_>, value: &str, at: usize) -> Result<Cell, String> {
    Ok(match value.as_bytes()[0] {
        b'n' => Cell::NULL,
        b'"' if value.contains('\\') => {
            let text = serde_json::from_str::<String>(value).map_err(|error| without_place(&error))?;
            let kept = row.keep(|held| {
                held.extend_from_slice(text.as_bytes());
                Some(())
            });
            kept.unwrap_or(Cell::NULL)
        }
        b'"' => Cell::new(at + 1, at + value.len() - 1),
        _ => Cell::new(at, at + value.len()),
    })
}

/// Finds out what the next name means.
struct NameSeed<'a> {
    names: &'a mut Names,
    level: usize,
    place: usize,
}

impl<'t> DeserializeSeed<'t> for NameSeed<'_> {
    type Value = Meaning;

    fn deserialize<D: serde::Deserializer<'t>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Meaning;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.names.meaning(self.level, self.place, name.as_bytes()))
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

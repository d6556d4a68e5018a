//! Records of JSON, one object a line.
//!
//! A line ends with `\n`; `\r` before it is white space, as anywhere in JSON. Nothing is built of a value but the place
//! of its text, so that numbers of any size keep all their digits. Most lines are plain and are cut up by
//! [`super::object`]; what that does not take is left to `serde_json`, which has the last word on what JSON is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::cells::{Cell, Cells, Held, most_made};
use super::column_fit::LEAST;
use super::explode::Explode;
use super::header::Wanted;
use super::names::{Meaning, Names, Target};
use super::object;
use super::overflow::Overflow;
use super::problem::FileProblem;
use super::quarantine::Reason;
use super::record::{Line, LineEnds, Records, SchemaDiff, Step, View};
use crate::project::NdjsonFormat;

/// The records of one NDJSON file.
#[derive(Debug)]
pub(super) struct Ndjson {
    names: Names,
    width: usize,
    slots: Vec<Option<usize>>,
    blank: Blank,
    /// Of each cell of the row being read, the rank of the path that it came under.
    ranks: Vec<usize>,
    most_depth: usize,
    encoding: &'static str,
    rest: Option<Overflow>,
    /// Few files have one, and it is large.
    explode: Option<Box<Explode>>,
    /// The columns that a file can do without, by their cells.
    optional: BTreeMap<usize, String>,
    /// How many records were read.
    records: u64,
}

/// Why a record is none.
pub(super) type Broken = (Reason, String);

/// A record that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'t> {
    /// The bytes in memory.
    pub(super) bytes: &'t [u8],
    /// Where it starts among them.
    pub(super) at: usize,
    /// Its line.
    pub(super) text: &'t str,
    /// How much memory it may make beyond its own bytes.
    pub(super) most_made: usize,
    /// How deep its values may be nested.
    pub(super) most_depth: usize,
}

impl<'t> Record<'t> {
    /// Returns where it is among the bytes in memory.
    pub(super) fn place(self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }

    /// Returns a part of it that is somewhere among the bytes in memory.
    pub(super) fn part(self, place: Range<usize>) -> &'t str {
        &self.text[place.start - self.at..place.end - self.at]
    }
}

/// The rank of a cell that no name has filled yet.
const UNFILLED: usize = usize::MAX;

/// What the cells of a row are before an object is read into them, and the ranks of the paths that they came under.
#[derive(Debug, Clone)]
pub(super) struct Blank {
    pub(super) cells: Vec<Cell>,
    pub(super) ranks: Vec<usize>,
}

impl Blank {
    /// Returns cells without values.
    pub(super) fn of(width: usize) -> Self {
        Self { cells: vec![Cell::NULL; width], ranks: vec![UNFILLED; width] }
    }

    /// Becomes what another is of the same width.
    pub(super) fn copy(&mut self, other: &Self) {
        self.cells.copy_from_slice(&other.cells);
        self.ranks.copy_from_slice(&other.ranks);
    }
}

/// The cells of the row being read.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) names: &'a mut Names,
    cells: &'a mut [Cell],
    ranks: &'a mut [usize],
    held: &'a mut Held,
    /// How much was held before this row.
    held_before: usize,
    /// How deep values may be nested.
    pub(super) most_depth: usize,
}

impl<'a> Row<'a> {
    /// Begins a row whose `cells` and `ranks` are blank.
    #[inline]
    pub(super) fn new(
        names: &'a mut Names,
        (cells, ranks): (&'a mut [Cell], &'a mut [usize]),
        held: &'a mut Held,
        most_depth: usize,
    ) -> Self {
        Self { names, cells, ranks, held_before: held.len(), held, most_depth }
    }

    /// Reads the object at `place` of a record into the cells, which are those of `blank`. Its names are those of
    /// `level`.
    #[inline]
    pub(super) fn read(
        &mut self,
        blank: &Blank,
        level: usize,
        record: Record<'_>,
        place: Range<usize>,
    ) -> Result<(), Broken> {
        let at = place.start;
        let text = record.part(place);
        if object::read(text.as_bytes(), at, level, self).is_some() {
            return Ok(());
        }
        self.clear(blank);
        self.read_any(level, text, (record.at, at))
    }

    /// Reads an object of any kind, which starts at `at` of the bytes in memory, in a line that starts at `line`.
    fn read_any(&mut self, level: usize, text: &str, (line, at): (usize, usize)) -> Result<(), Broken> {
        // Without the line end, so that a mistake at the end of the line is not said to be on the next.
        let text = text.trim_end_matches(['\r', '\n']);
        let mut json = serde_json::Deserializer::from_str(text);
        let visitor = ObjectVisitor { row: self, level, text, at };
        let read = json.deserialize_map(visitor).and_then(|()| json.end());
        read.map_err(|error| {
            let byte = at - line + error.column();
            let message = format!("expected one JSON object, found a mistake at byte {byte} of the line: ");
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

    /// Fills the cell of `target`, unless a path that goes before has filled it; of two equal names the last counts.
    #[inline]
    pub(super) fn fill(&mut self, target: Target, cell: Cell) {
        if target.rank <= self.ranks[target.cell] {
            self.ranks[target.cell] = target.rank;
            self.cells[target.cell] = cell;
        }
    }

    /// Fills the cell of `target` with the value at `place` of a record.
    pub(super) fn fill_with(&mut self, target: Target, record: Record<'_>, place: Range<usize>) -> Result<(), Broken> {
        let at = place.start;
        let cell = cell(self, record.part(place), at).map_err(|why| {
            let byte = at - record.at + 1;
            (Reason::Json, format!("expected one JSON object, found a mistake at byte {byte} of the line: {why}"))
        })?;
        self.fill(target, cell);
        Ok(())
    }

    /// Empties the cells of an object that comes anew: of two equal names the last counts.
    #[inline]
    pub(super) fn forget(&mut self, level: usize) {
        for target in self.names.targets(level) {
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

    /// Takes back all that was filled.
    fn clear(&mut self, blank: &Blank) {
        self.held.truncate(self.held_before);
        self.cells.copy_from_slice(&blank.cells[..self.cells.len()]);
        self.ranks.copy_from_slice(&blank.ranks);
    }
}

impl Ndjson {
    pub(super) fn new(wanted: &Wanted, format: &NdjsonFormat, most_depth: usize, encoding: &'static str) -> Self {
        let mut slots = wanted.in_order();
        let mut width = slots.iter().flatten().count();
        let rest = wanted.rest().map(|column| {
            slots[column] = Some(width);
            width += 1;
            Overflow::new(width - 1)
        });
        // A row has one cell even where the path gives all columns, so that rows can be counted by their cells.
        let width = width.max(1);
        let mut names = Names::none();
        let mut explode = Explode::new(&format.explode, width).map(Box::new);
        let (mut optional, mut of_elements) = (BTreeMap::new(), BTreeSet::new());
        for (path, column, rank) in wanted.paths() {
            let Some(cell) = slots[column] else { continue };
            let target = Target { cell, rank };
            if explode.as_mut().is_some_and(|explode| explode.claim(path, target)) {
                of_elements.insert(cell);
            } else {
                names.add(path, target);
                optional.extend(wanted.optional(column).map(|name| (cell, name.to_owned())));
            }
        }
        optional.retain(|cell, _| !of_elements.contains(cell));
        if let Some(explode) = &mut explode {
            explode.cut_off(&mut names);
        }
        let (blank, ranks) = (Blank::of(width), vec![UNFILLED; width]);
        Self { names, width, slots, blank, ranks, most_depth, encoding, rest, explode, optional, records: 0 }
    }

    /// Reads the record in the line at `place` of the bytes in memory, and returns how many rows it makes.
    fn read(
        &mut self,
        bytes: &[u8],
        place: Range<usize>,
        most_made: usize,
        cells: &mut Cells,
    ) -> Result<usize, Broken> {
        let text = std::str::from_utf8(&bytes[place.clone()]).map_err(|error| {
            let place = error.valid_up_to() + 1;
            (
                Reason::Encoding,
                format!(
                    "expected {} text (`encoding` in `format`), found other bytes at byte {place} of the line",
                    self.encoding
                ),
            )
        })?;
        let Self { names, blank, ranks, most_depth, rest, explode, .. } = self;
        let record = Record { bytes, at: place.start, text, most_made, most_depth: *most_depth };
        if let Some(explode) = explode {
            return explode.read(record, names, rest.as_mut(), cells);
        }
        let (row, held) = cells.push_row(&blank.cells);
        ranks.copy_from_slice(&blank.ranks);
        let mut row = Row::new(names, (row, ranks), held, *most_depth);
        row.read(blank, 0, record, place)?;
        if let Some(rest) = rest {
            rest.begin();
            rest.add(row.names, 0, record, record.place())?;
            rest.fill(&mut row, bytes);
        }
        Ok(1)
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
        Ok(match self.read(view.bytes, at..end, most_made(view.limit), cells) {
            Ok(rows) => {
                self.records += 1;
                Step::Record { end, lines: 1, rows }
            }
            Err((reason, message)) => {
                cells.return_to(mark);
                Step::Broken { end, lines: 1, reason, message }
            }
        })
    }

    fn width(&self) -> usize {
        self.width
    }

    fn slots(&self) -> &[Option<usize>] {
        &self.slots
    }

    fn schema_diff(&self) -> &SchemaDiff {
        self.names.schema_diff()
    }

    fn finish(self) -> Result<SchemaDiff, FileProblem> {
        let mut schema_diff = self.names.schema_diff().clone();
        // A name is often left out where it has no value, so a few records say nothing.
        if self.records >= LEAST {
            let missing = self.optional.into_iter().filter(|(cell, _)| !self.names.has_met(*cell));
            schema_diff.missing = missing.map(|(_, name)| name).collect();
        }
        Ok(schema_diff)
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
                        let prefix = String::from_utf8_lossy(self.row.names.prefix(inner));
                        let name = prefix.trim_end_matches('.');
                        return Err(A::Error::custom(format!(
                            "`{name}` is no object, and the contract looks inside it"
                        )));
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

//! The array inside each record of which every element becomes a row.
//!
//! A record is read once, with a cell for the array; then its cells are repeated for each element, and the element is
//! read on top of them. So memory goes by rows times cells, which the limit of a record bounds.

use std::io::Write as _;
use std::ops::Range;

use super::cells::{Cell, Cells, Span};
use super::names::{Names, Target};
use super::ndjson::{Blank, Broken, Record, Row};
use super::object;
use super::overflow::Overflow;
use super::quarantine::{Reason, quoted};
use crate::project::PLACE;

/// What is made into rows, and the cells that it fills.
#[derive(Debug)]
pub(super) struct Explode {
    path: Vec<String>,
    /// The cell of the array in a record; it comes after those of a row.
    array: usize,
    /// The names that matter inside an element.
    level: Option<usize>,
    /// What an element as a whole fills.
    whole: Option<Target>,
    /// What the place of an element fills.
    place: Option<Target>,
    blank: Blank,
    /// The cells that the rows of a record begin with.
    record: Blank,
    /// Of each cell of the row being read, the rank of the path that it came under.
    ranks: Vec<usize>,
}

impl Explode {
    /// Makes ready what is made into rows of `width` cells; nothing where there is no path.
    pub(super) fn new(path: &[String], width: usize) -> Option<Self> {
        let blank = Blank::of(width + 1);
        (!path.is_empty()).then(|| Self {
            path: path.to_vec(),
            array: width,
            level: None,
            whole: None,
            place: None,
            record: blank.clone(),
            ranks: blank.ranks.clone(),
            blank,
        })
    }

    /// Takes a path that leads to the elements as they are or to their places, and returns whether it does.
    pub(super) fn claim(&mut self, path: &[String], target: Target) -> bool {
        match path.strip_prefix(self.path.as_slice()) {
            Some([]) => self.whole = Some(target),
            Some([last]) if last == PLACE => self.place = Some(target),
            _ => return false,
        }
        true
    }

    /// Lets a record fill the cell of the array, and keeps for its elements the names that matter inside them.
    pub(super) fn cut_off(&mut self, names: &mut Names) {
        names.add(&self.path, Target { cell: self.array, rank: 0 });
        self.level = names.cut_off(&self.path);
    }

    /// Reads a record and adds its rows; returns how many they are, at least one.
    pub(super) fn read(
        &mut self,
        record: Record<'_>,
        names: &mut Names,
        mut rest: Option<&mut Overflow>,
        cells: &mut Cells,
    ) -> Result<usize, Broken> {
        self.record.copy(&self.blank);
        let cells_and_ranks = (&mut self.record.cells[..], &mut self.record.ranks[..]);
        let mut row = Row::new(names, cells_and_ranks, cells.held(), record.most_depth);
        row.read(&self.blank, 0, record, record.place())?;
        if let Some(rest) = &mut rest {
            rest.begin();
            rest.add(row.names, 0, record, record.place())?;
            rest.fill(&mut row, record.bytes);
            rest.settle();
        }
        let rows = self.add_rows(record, names, rest, cells)?;
        if rows > 0 {
            return Ok(rows);
        }
        // Nothing vanishes: what has no elements is a row all the same.
        cells.push_row(&self.record.cells[..self.array]);
        Ok(1)
    }

    /// Returns where the array is; nothing where there is none, or null stands in its place.
    fn place_of_array(&self, record: Record<'_>, cells: &Cells) -> Result<Option<Range<usize>>, Broken> {
        let cell = self.record.cells[self.array];
        let Some(text) = cells.text(cell, record.bytes) else { return Ok(None) };
        // The cell of a string is what stands between its quotes.
        let is_array = |place: &Range<usize>| text.starts_with(b"[") && record.bytes[place.start - 1] != b'"';
        if let Some(place) = cell.place().filter(is_array) {
            return Ok(Some(place));
        }
        let (path, found) = (self.path.join("."), quoted(text));
        Err((Reason::Json, format!("expected an array as `{path}` (`explode` in `format`), found {found}")))
    }

    /// Adds a row for each element of the array of a record; returns how many they are.
    fn add_rows(
        &mut self,
        record: Record<'_>,
        names: &mut Names,
        mut rest: Option<&mut Overflow>,
        cells: &mut Cells,
    ) -> Result<usize, Broken> {
        let Some(array) = self.place_of_array(record, cells)? else { return Ok(0) };
        let repeated: usize = self.record.cells[..self.array].iter().map(|cell| cell.length()).sum();
        let row_bytes = size_of::<Cell>() * self.array + size_of::<Span>() + repeated;
        let held_before = cells.held_bytes();
        let mut rows = 0;
        for element in object::elements(record.part(array.clone()).as_bytes(), record.most_depth) {
            let element = element.ok_or_else(|| self.no_object(rows + 1, record.part(array.clone())))?;
            let element = array.start + element.start..array.start + element.end;
            if rows * row_bytes + cells.held_bytes() - held_before > record.most_made {
                return Err(self.too_much(record.most_made));
            }
            rows += 1;
            let (row, held) = cells.push_row(&self.record.cells[..self.array]);
            self.ranks.copy_from_slice(&self.record.ranks);
            let mut row = Row::new(names, (row, &mut self.ranks), held, record.most_depth);
            match (record.bytes[element.start], self.level) {
                (b'n', _) | (_, None) => {}
                (b'{', Some(level)) => {
                    row.read(&self.record, level, record, element.clone())?;
                    if let Some(rest) = &mut rest {
                        let known = rest.known();
                        rest.add(row.names, level, record, element.clone())?;
                        if rest.known() != known {
                            rest.fill(&mut row, record.bytes);
                            rest.return_to(known);
                        }
                    }
                }
                _ => return Err(self.no_object(rows, record.part(element))),
            }
            if let Some(target) = self.whole {
                row.fill_with(target, record, element)?;
            }
            if let Some(target) = self.place {
                let place = row.keep(|held| write!(held, "{rows}").ok());
                row.fill(target, place.unwrap_or(Cell::NULL));
            }
        }
        cells.repeat(rows.saturating_sub(1) * repeated);
        Ok(rows)
    }

    #[cold]
    fn no_object(&self, number: usize, element: &str) -> Broken {
        let (path, found) = (self.path.join("."), quoted(element.as_bytes()));
        let message =
            format!("expected objects in `{path}`, which the contract looks inside, found {found} as element {number}");
        (Reason::Json, message)
    }

    #[cold]
    fn too_much(&self, most_made: usize) -> Broken {
        let path = self.path.join(".");
        let message = format!(
            "expected rows of at most {most_made} bytes in all (by `limits.record_bytes`), found more elements in `{path}`"
        );
        (Reason::Length, message)
    }
}

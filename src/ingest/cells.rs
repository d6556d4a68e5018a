//! A batch of records, cut into cells that point into the bytes in memory.

use std::ops::Range;

/// Where the text of one cell is. Eight bytes, because there are as many as there are fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    start: u32,
    length: u32,
}

/// The bit of `length` that says that the text was rewritten and lies in [`Cells::held`].
const HELD: u32 = 1 << 31;

/// The most bytes that may be in memory at once, so that places in them fit a [`Cell`] and an Arrow offset.
pub(super) const MOST_BYTES: usize = 1 << 30;

/// Returns how much memory that one record makes may take up beyond its own bytes: cells that repeat, and texts that
/// stand in it elsewhere. `limit` is that of a record.
pub(super) fn most_made(limit: usize) -> usize {
    /// Escaping makes a text at most six times as long, and the names that come with it are no longer than a record.
    const TIMES: usize = 8;
    // What the cells of a record, of its last row and of the records before it point at must fit together.
    limit.saturating_mul(TIMES).min(MOST_BYTES / 4)
}

impl Cell {
    /// No value at all.
    pub(super) const NULL: Self = Self { start: u32::MAX, length: 0 };

    /// Returns where the text is among the bytes in memory; nothing where it is held, or there is none.
    pub(super) fn place(self) -> Option<Range<usize>> {
        let start = self.start as usize;
        (self != Self::NULL && self.length & HELD == 0).then(|| start..start + self.length as usize)
    }

    /// Returns how long the text is.
    #[inline]
    pub(super) fn length(self) -> usize {
        (self.length & !HELD) as usize
    }

    /// The text from `start` to `end` of the bytes in memory.
    #[inline]
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: narrow(start), length: narrow(end - start) }
    }
}

/// Where one record is. Rows of one record have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) line: u64,
}

impl Span {
    pub(super) fn new(start: usize, end: usize, line: u64) -> Self {
        Self { start: narrow(start), end: narrow(end), line }
    }

    pub(super) fn length(self) -> u64 {
        u64::from(self.end - self.start)
    }

    /// Returns whether two rows are of one record; each has at least one byte.
    pub(super) fn is_of_one_record(&self, other: &Self) -> bool {
        self.start == other.start
    }

    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}

/// Narrows a place in memory, which [`MOST_BYTES`] keeps within 31 bits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the window is never longer than MOST_BYTES and one chunk")]
fn narrow(place: usize) -> u32 {
    debug_assert!(place < HELD as usize);
    place as u32
}

/// The cells of a batch, row by row, all with the same number of cells.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// Row after row.
    all: Vec<Cell>,
    held: Held,
    /// Of each row the record that it is of.
    spans: Vec<Span>,
    /// How long the texts are that stand in rows again.
    repeated: usize,
}

/// Texts that are not in the file as they are meant: quotes undoubled, escapes resolved.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<u8>);

impl Held {
    /// Returns how long all of it is.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets what came after the first `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    /// Keeps what `write` appends and returns its cell, or nothing when `write` gives up.
    pub(super) fn keep(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<Cell> {
        let start = self.0.len();
        if write(&mut self.0).is_none() {
            self.0.truncate(start);
            return None;
        }
        Some(Cell { start: narrow(start), length: narrow(self.0.len() - start) | HELD })
    }
}

/// How far a batch had come, to return to when a record turns out not to be one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    cells: usize,
    held: usize,
    repeated: usize,
}

impl Cells {
    /// Adds a cell to the record being read.
    #[inline]
    pub(super) fn push(&mut self, cell: Cell) {
        self.all.push(cell);
    }

    /// Adds the cells of a row and returns them.
    pub(super) fn push_row(&mut self, cells: &[Cell]) -> (&mut [Cell], &mut Held) {
        let start = self.all.len();
        self.all.extend_from_slice(cells);
        (&mut self.all[start..], &mut self.held)
    }

    /// Returns the texts that are held, to add to them before there is a row.
    pub(super) fn held(&mut self) -> &mut Held {
        &mut self.held
    }

    /// Takes note of texts so long that stand in rows again.
    pub(super) fn repeat(&mut self, bytes: usize) {
        self.repeated += bytes;
    }

    /// Adds a cell whose text `write` makes.
    pub(super) fn push_held(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let cell = self.held.keep(|held| {
            write(held);
            Some(())
        });
        self.all.extend(cell);
    }

    /// Returns how long all texts are that are held.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Ends the record being read, of which so many rows have been added.
    #[inline]
    pub(super) fn close(&mut self, span: Span, rows: usize) {
        self.spans.resize(self.spans.len() + rows, span);
    }

    /// Returns the state to [`Self::return_to`].
    #[inline]
    pub(super) fn mark(&self) -> Mark {
        Mark { cells: self.all.len(), held: self.held.0.len(), repeated: self.repeated }
    }

    /// Drops the cells of a record that turned out not to be one.
    pub(super) fn return_to(&mut self, mark: Mark) {
        self.all.truncate(mark.cells);
        self.held.0.truncate(mark.held);
        self.repeated = mark.repeated;
    }

    /// Returns the texts of the record being read, which started at `mark`.
    pub(super) fn since<'a>(&'a self, mark: Mark, bytes: &'a [u8]) -> impl Iterator<Item = Option<&'a [u8]>> {
        self.all[mark.cells..].iter().map(|&cell| text(cell, bytes, &self.held.0))
    }

    /// Returns the text of field `place` of the record being read, which started at `mark`, if it has one.
    pub(super) fn field<'a>(&'a self, mark: Mark, place: usize, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.text(*self.all.get(mark.cells + place)?, bytes)
    }

    /// Returns the text of a cell, if it has one.
    pub(super) fn text<'a>(&'a self, cell: Cell, bytes: &'a [u8]) -> Option<&'a [u8]> {
        text(cell, bytes, &self.held.0)
    }

    /// Returns whether it is time to make rows of what there is: at `most_rows`, or at fewer of many cells.
    #[inline]
    pub(super) fn is_full(&self, most_rows: usize) -> bool {
        /// Records without fields, or of ten thousand columns, take up memory for cells and not for bytes.
        const MOST_CELLS: usize = 2 << 20;
        /// Texts that were made are no longer bounded by the bytes in memory.
        const MOST_TEXT: usize = 32 << 20;
        self.spans.len() >= most_rows || self.all.len() >= MOST_CELLS || self.held.0.len() + self.repeated >= MOST_TEXT
    }

    /// Returns where cell `at` of each row of `width` cells is in the file, without those that are not in it as they are
    /// meant.
    pub(super) fn places(&self, at: usize, width: usize) -> impl Iterator<Item = Range<usize>> {
        self.all.chunks_exact(width).filter_map(move |row| row[at].place())
    }

    /// Returns of each row where its record is.
    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Returns column `at` of rows that have `width` cells.
    pub(super) fn column<'a>(&'a self, at: usize, width: usize, bytes: &'a [u8]) -> ColumnCells<'a> {
        ColumnCells { cells: &self.all, at, width, bytes, held: &self.held.0 }
    }

    /// Forgets everything but the memory.
    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.held.0.clear();
        self.spans.clear();
        self.repeated = 0;
    }
}

/// The cells of a batch, and what they are cells of.
#[derive(Debug, Clone, Copy)]
pub(super) struct CellTable<'a> {
    pub(super) cells: &'a Cells,
    /// How many of them are a row.
    pub(super) width: usize,
    /// Which of them is each column's.
    pub(super) slots: &'a [Option<usize>],
    /// The bytes that they are places in.
    pub(super) bytes: &'a [u8],
    /// Where those start in the file.
    pub(super) base: u64,
}

impl<'a> CellTable<'a> {
    /// Returns the cells of the column at a place of the contract; nothing of one that no field holds.
    pub(super) fn column(&self, column: usize) -> Option<ColumnCells<'a>> {
        self.slots[column].map(|slot| self.cells.column(slot, self.width, self.bytes))
    }
}

/// One column of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColumnCells<'a> {
    cells: &'a [Cell],
    at: usize,
    width: usize,
    bytes: &'a [u8],
    held: &'a [u8],
}

impl<'a> ColumnCells<'a> {
    /// Returns how many rows there are.
    pub(super) fn len(&self) -> usize {
        self.cells.len() / self.width
    }

    /// Returns how long all texts are together.
    pub(super) fn text_bytes(&self) -> usize {
        self.cells.chunks_exact(self.width).map(|row| row[self.at].length()).sum()
    }

    /// Returns the text of one row, `None` where it has none.
    pub(super) fn get(&self, row: usize) -> Option<&'a [u8]> {
        text(*self.cells.get(row * self.width + self.at)?, self.bytes, self.held)
    }

    /// Returns the texts in order, `None` where the row has none.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let Self { at, bytes, held, .. } = *self;
        self.cells.chunks_exact(self.width).map(move |row| text(row[at], bytes, held))
    }
}

#[inline]
fn text<'a>(cell: Cell, bytes: &'a [u8], held: &'a [u8]) -> Option<&'a [u8]> {
    if cell == Cell::NULL {
        return None;
    }
    let start = cell.start as usize;
    if cell.length & HELD == 0 {
        Some(&bytes[start..start + cell.length as usize])
    } else {
        Some(&held[start..start + (cell.length & !HELD) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_finds_its_text_in_the_file_or_among_the_held() {
        let bytes = b"ab,cd";
        let mut cells = Cells::default();
        cells.push(Cell::new(0, 2));
        cells.push_held(|held| held.extend_from_slice(b"x\"y"));
        cells.close(Span::new(0, 5, 1), 1);
        let mark = cells.mark();
        cells.push(Cell::new(3, 5));
        cells.push_held(|held| held.extend_from_slice(b"gone"));
        cells.return_to(mark);
        cells.push_row(&[Cell::NULL; 2]);
        cells.close(Span::new(0, 5, 2), 1);
        let column = |at| cells.column(at, 2, bytes).iter().collect::<Vec<_>>();
        assert_eq!(column(0), [Some(&b"ab"[..]), None]);
        assert_eq!(column(1), [Some(&b"x\"y"[..]), None]);
        assert_eq!(cells.column(1, 2, bytes).get(0), Some(&b"x\"y"[..]));
        assert_eq!((cells.places(0, 2).next(), cells.places(1, 2).next()), (Some(0..2), None));
    }
}

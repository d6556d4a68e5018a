//! Which cell of a record each name of its objects fills.

use std::collections::{HashMap, HashSet};

use super::record::SchemaDiff;

/// How many unknown names are remembered; a file whose names are data would have no end of them.
const MOST_UNKNOWN: usize = 100;

/// A cell, and the rank of the path that it is filled from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) cell: usize,
    /// The path's place among those of the column; the first is 0.
    pub(super) rank: usize,
}

/// What a name inside an object stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Meaning {
    /// The cell that its value fills.
    pub(super) target: Option<Target>,
    /// The names that matter inside its value, which is an object then.
    pub(super) inner: Option<usize>,
}

/// The names that matter, quick to tell when records have theirs in the same order.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Of the record first, then of each object inside it that has some.
    levels: Vec<Level>,
    schema_diff: SchemaDiff,
    seen: HashSet<Vec<u8>>,
    /// The cells whose name some record had, with a value or without.
    met: HashSet<usize>,
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
    /// Returns names of which none matters yet.
    pub(super) fn none() -> Self {
        Self { levels: vec![Level::default()], ..Self::default() }
    }

    /// Lets the value at a path fill a cell.
    pub(super) fn add(&mut self, path: &[String], target: Target) {
        let Some((last, above)) = path.split_last() else { return };
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

    /// Lets nobody look inside the value at a path any more, and returns the names that matter there, if some do.
    pub(super) fn cut_off(&mut self, path: &[String]) -> Option<usize> {
        let (last, above) = path.split_last()?;
        let inner = |names: &Self, at: usize, name: &String| names.levels[at].meanings.get(name.as_bytes())?.inner;
        let at = above.iter().try_fold(0, |at, name| inner(self, at, name))?;
        self.levels[at].meanings.get_mut(last.as_bytes())?.inner.take()
    }

    /// Returns what comes before the names of an object, written with dots.
    pub(super) fn prefix(&self, level: usize) -> &[u8] {
        &self.levels[level].prefix
    }

    /// Returns every cell that the names of an object fill, at any depth.
    #[inline]
    pub(super) fn targets(&self, level: usize) -> &[Target] {
        &self.levels[level].targets
    }

    /// Returns the names that did not mean anything, in the order of their first appearance.
    pub(super) fn schema_diff(&self) -> &SchemaDiff {
        &self.schema_diff
    }

    /// Returns whether some record had a name of the cell, with a value or without.
    pub(super) fn has_met(&self, cell: usize) -> bool {
        self.met.contains(&cell)
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
        if found.is_none() && self.schema_diff.unknown.len() < MOST_UNKNOWN {
            let path = [prefix, name].concat();
            if !self.seen.contains(&path) {
                self.schema_diff.unknown.push(String::from_utf8_lossy(&path).into_owned());
                self.seen.insert(path);
            }
        }
        let meaning = found.unwrap_or_default();
        // Every name is looked up before it is guessed, so none is missed.
        self.met.extend(meaning.target.map(|target| target.cell));
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

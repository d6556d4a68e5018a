//! What every step of an evaluated query made its rows of, and the way back from some of them to the tables.
//!
//! Promises no more than to follow what each operator does: a row that passed is made of itself, one that was joined of
//! both, one of a group of the rows of the group, or of those that decide where each value is that of a single row (the
//! latest day of a feed), one of a window of the rows of its frame. Whoever asks finds out whether the rows that it comes
//! to make the row again, and asks for more of them where they do not.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::row::Rows;
use datafusion::common::DFSchemaRef;

use super::numbered::Numbers;

/// An evaluated step: its rows, and what each of them was made of.
pub(super) struct Node {
    pub(super) schema: DFSchemaRef,
    pub(super) rows: RecordBatch,
    pub(super) origin: Origin,
    /// Whether what becomes of a row depends on nothing but the rows of tables that it was made of.
    pub(super) is_row_local: bool,
}

/// What the rows of a step were made of. Rows are told by their place.
pub(super) enum Origin {
    /// Of nothing.
    Constant,
    /// Rows of a table, with their numbers there.
    Scan { table: String, numbers: Arc<Vec<u64>> },
    /// The same rows.
    Same(Box<Node>),
    /// The same rows, which others are made of too.
    Round(Arc<Node>),
    /// Each of one row.
    Each { input: Box<Node>, from: Vec<usize> },
    /// The rows that passed.
    Kept { input: Box<Node>, from: Vec<usize> },
    /// Those of the first input, then those of the second, and so on.
    Union(Vec<Node>),
    /// Each of one of both sides, or of one of them where that side `stays` without a match.
    Joined {
        left: Box<Node>,
        right: Box<Node>,
        from_left: Vec<Option<usize>>,
        from_right: Vec<Option<usize>>,
        stays: (bool, bool),
    },
    /// Each of one row of `input`, because of whether there are matching ones on the other side, of which one is known.
    Matched { input: Box<Node>, other: Box<Node>, from: Vec<usize>, matching: HashMap<usize, usize> },
    /// Each of the rows of a group, or of those that decide.
    Grouped { input: Box<Node>, groups: Vec<Vec<usize>>, deciding: Option<Vec<Vec<usize>>> },
    /// Each of one row, and of those that functions look at.
    Windowed { input: Box<Node>, from: Vec<usize>, specs: Vec<Spec>, functions: Vec<Frames> },
    /// Each of all rows.
    All(Vec<Node>),
}

/// How the rows of a window are dealt out to partitions, and how they stand there.
pub(super) struct Spec {
    pub(super) partition_of: Vec<usize>,
    /// The rows of each partition, in its order.
    pub(super) members: Vec<Vec<usize>>,
    pub(super) places: Vec<usize>,
}

/// Which rows a function of a window looks at.
pub(super) struct Frames {
    pub(super) spec: usize,
    pub(super) reach: Reach,
    /// Of each row the first and the last place in its frame, from one.
    pub(super) first: Vec<Option<usize>>,
    pub(super) last: Vec<Option<usize>>,
    /// Where the value is that of a row of the frame: what the rows give, and the values.
    pub(super) values: Option<(Rows, Rows)>,
}

/// Which rows of a partition a function looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those of the frame.
    Frame,
    /// That of the frame whose value is the result.
    Deciding,
    /// The first of the frame.
    First,
    /// The last of the frame.
    Last,
    /// All up to this one.
    Before,
    /// All from this one on.
    After,
    /// All from this one to one that is so many places away.
    Offset(i64),
    /// All.
    Partition,
}

/// How much is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effort {
    /// What made the rows.
    Made,
    /// Also what kept other rows made of the same ones out.
    KeptOut,
    /// Also all rows of groups and partitions, whether or not a single one decides.
    Whole,
}

/// Numbers of rows, by table.
pub(super) type Found = BTreeMap<String, Numbers>;

/// Returns the rows of tables that some rows of a step were made of.
pub(super) fn traced(node: &Node, wanted: &[bool], effort: Effort) -> Found {
    let mut found = Found::new();
    trace(node, wanted, effort, &mut found);
    // What is added may keep out further rows.
    for _ in 0..MOST_ROUNDS {
        let before: usize = found.values().map(Numbers::len).sum();
        if effort >= Effort::KeptOut {
            let known = found.clone();
            let _ = made_of(node, &known, effort, &mut found);
        }
        if found.values().map(Numbers::len).sum::<usize>() == before {
            break;
        }
    }
    found
}

const MOST_ROUNDS: usize = 8;

fn trace(node: &Node, wanted: &[bool], effort: Effort, found: &mut Found) {
    if !wanted.contains(&true) {
        return;
    }
    let some = || wanted.iter().enumerate().filter(|(_, is_wanted)| **is_wanted).map(|(row, _)| row);
    let none = |node: &Node| vec![false; node.rows.num_rows()];
    match &node.origin {
        Origin::Constant => {}
        Origin::Scan { table, numbers } => {
            found.entry(table.clone()).or_default().extend(some().map(|row| numbers[row]));
        }
        Origin::Same(input) => trace(input, wanted, effort, found),
        Origin::Round(input) => trace(input, wanted, effort, found),
        Origin::Each { input, from } | Origin::Kept { input, from } => {
            let mut below = none(input);
            some().for_each(|row| below[from[row]] = true);
            trace(input, &below, effort, found);
        }
        Origin::Union(inputs) => {
            let mut at = 0;
            for input in inputs {
                let rows = input.rows.num_rows();
                trace(input, &wanted[at..at + rows], effort, found);
                at += rows;
            }
        }
        Origin::Joined { left, right, from_left, from_right, .. } => {
            for (side, from) in [(left, from_left), (right, from_right)] {
                let mut below = none(side);
                some().filter_map(|row| from[row]).for_each(|row| below[row] = true);
                trace(side, &below, effort, found);
            }
        }
        Origin::Matched { input, other, from, matching } => {
            let (mut below, mut beside) = (none(input), none(other));
            for row in some() {
                below[from[row]] = true;
                if let Some(&matched) = matching.get(&from[row]) {
                    beside[matched] = true;
                }
            }
            trace(input, &below, effort, found);
            trace(other, &beside, effort, found);
        }
        Origin::Grouped { input, groups, deciding } => {
            let rows = deciding.as_ref().filter(|_| effort < Effort::Whole).unwrap_or(groups);
            let mut below = none(input);
            some().flat_map(|group| &rows[group]).for_each(|&row| below[row] = true);
            trace(input, &below, effort, found);
        }
        Origin::Windowed { input, from, specs, functions } => {
            let mut seen = wanted.to_vec();
            for function in functions {
                function.look(&specs[function.spec], wanted, effort, &mut seen);
            }
            let mut below = none(input);
            seen.iter().zip(from).filter(|(is_seen, _)| **is_seen).for_each(|(_, &row)| below[row] = true);
            trace(input, &below, effort, found);
        }
        Origin::All(inputs) => {
            inputs.iter().for_each(|input| trace(input, &vec![true; input.rows.num_rows()], effort, found));
        }
    }
}

impl Frames {
    /// Marks the rows that it looks at for those that are wanted.
    fn look(&self, spec: &Spec, wanted: &[bool], effort: Effort, seen: &mut [bool]) {
        // Frames overlap, so their ends are counted and not their rows.
        let mut begins: Vec<Vec<i64>> = vec![Vec::new(); spec.members.len()];
        let mut decided: HashSet<(usize, usize, usize)> = HashSet::new();
        for row in (0..wanted.len()).filter(|&row| wanted[row]) {
            let (partition, place) = (spec.partition_of[row], spec.places[row]);
            let members = &spec.members[partition];
            let last_place = members.len().saturating_sub(1);
            let framed = || Some((self.first[row]?.saturating_sub(1), self.last[row]?.saturating_sub(1)));
            let range = match self.reach {
                _ if effort == Effort::Whole => Some((0, last_place)),
                Reach::Frame => framed(),
                Reach::First => framed().map(|(first, _)| (first, first)),
                Reach::Last => framed().map(|(_, last)| (last, last)),
                Reach::Before => Some((0, place)),
                Reach::After => Some((place, last_place)),
                Reach::Partition => Some((0, last_place)),
                Reach::Offset(by) => {
                    let by = isize::try_from(by).unwrap_or(isize::MAX);
                    let other = place.saturating_add_signed(by).min(last_place);
                    Some((place.min(other), place.max(other)))
                }
                Reach::Deciding => framed().filter(|&(first, last)| decided.insert((partition, first, last))),
            };
            let Some((first, last)) = range.filter(|(first, last)| first <= last && *last <= last_place) else {
                continue;
            };
            match (&self.values, self.reach) {
                (Some((given, results)), Reach::Deciding) if effort < Effort::Whole => {
                    let decides = |other: &&usize| given.row(**other) == results.row(row);
                    if let Some(&deciding) = members[first..=last].iter().find(decides) {
                        seen[deciding] = true;
                    }
                }
                _ => {
                    let begins = &mut begins[partition];
                    begins.resize(members.len() + 1, 0);
                    begins[first] += 1;
                    begins[last + 1] -= 1;
                }
            }
        }
        for (begins, members) in begins.iter().zip(&spec.members) {
            let mut open = 0;
            for (begin, &row) in begins.iter().zip(members) {
                open += begin;
                if open > 0 {
                    seen[row] = true;
                }
            }
        }
    }
}

/// Returns which rows of a step come up again if only `known` rows of the tables are there, and adds what keeps others of
/// them out: rows that a condition on made values dropped, and those that a match suppressed.
fn made_of(node: &Node, known: &Found, effort: Effort, found: &mut Found) -> Vec<bool> {
    let rows = node.rows.num_rows();
    match &node.origin {
        Origin::Constant => vec![true; rows],
        Origin::Scan { table, numbers } => {
            let Some(known) = known.get(table) else { return vec![false; rows] };
            numbers.iter().map(|number| known.contains(number)).collect()
        }
        Origin::Same(input) => made_of(input, known, effort, found),
        Origin::Round(input) => made_of(input, known, effort, found),
        Origin::Each { input, from } | Origin::Windowed { input, from, .. } => {
            let below = made_of(input, known, effort, found);
            from.iter().map(|&row| below[row]).collect()
        }
        Origin::Kept { input, from } => {
            let below = made_of(input, known, effort, found);
            if !input.is_row_local {
                let mut dropped = below.clone();
                from.iter().for_each(|&row| dropped[row] = false);
                trace(input, &dropped, effort, found);
            }
            from.iter().map(|&row| below[row]).collect()
        }
        Origin::Union(inputs) => inputs.iter().flat_map(|input| made_of(input, known, effort, found)).collect(),
        Origin::Joined { left, right, from_left, from_right, stays } => {
            let of_left = made_of(left, known, effort, found);
            let of_right = made_of(right, known, effort, found);
            let side = |of: &[bool], row: Option<usize>| row.is_some_and(|row| of[row]);
            let pairs = from_left.iter().zip(from_right);
            let is_made = |(&one, &other): (&Option<usize>, &Option<usize>)| {
                let (one, other) = (side(&of_left, one), side(&of_right, other));
                (one && (other || stays.0)) || (other && stays.1)
            };
            pairs.map(is_made).collect()
        }
        Origin::Matched { input, other, from, matching } => {
            let below = made_of(input, known, effort, found);
            let _ = made_of(other, known, effort, found);
            let mut dropped = below.clone();
            from.iter().for_each(|&row| dropped[row] = false);
            let mut suppressing = vec![false; other.rows.num_rows()];
            for (row, _) in dropped.iter().enumerate().filter(|(_, is_dropped)| **is_dropped) {
                if let Some(&matched) = matching.get(&row) {
                    suppressing[matched] = true;
                }
            }
            trace(other, &suppressing, effort, found);
            from.iter().map(|&row| below[row]).collect()
        }
        Origin::Grouped { input, groups, .. } => {
            let below = made_of(input, known, effort, found);
            groups.iter().map(|group| group.iter().any(|&row| below[row])).collect()
        }
        Origin::All(inputs) => {
            inputs.iter().for_each(|input| {
                let _ = made_of(input, known, effort, found);
            });
            vec![true; rows]
        }
    }
}

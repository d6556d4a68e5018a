//! Which part of a query found no memory left, in words of SQL.

use std::fmt;

use datafusion::common::DataFusionError;

/// A part of a query that holds rows in memory, as far as it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    kind: Kind,
    /// What DataFusion calls it.
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Join,
    Grouping,
    Sort,
    Window,
    Other,
}

/// What is in the names under which parts of a query ask for memory.
const NAMES: [(&str, Kind); 11] = [
    ("HashJoin", Kind::Join),
    ("NestedLoopJoin", Kind::Join),
    ("CrossJoin", Kind::Join),
    ("SMJStream", Kind::Join),
    ("SymmetricHashJoin", Kind::Join),
    ("PiecewiseMergeJoin", Kind::Join),
    ("Aggregate", Kind::Grouping),
    ("ExternalSorter", Kind::Sort),
    ("SortPreservingMerge", Kind::Sort),
    ("TopK", Kind::Sort),
    ("WindowAgg", Kind::Window),
];

impl Operator {
    /// Reads off what DataFusion says of an allocation which part of the query asked for it.
    #[must_use]
    pub fn told(words: &str) -> Self {
        let after = words.split_once(" for ").map_or("", |(_, after)| after);
        let name = after.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        let known = NAMES.iter().find(|(part, _)| name.contains(part));
        Self { kind: known.map_or(Kind::Other, |(_, kind)| *kind), name: name.to_owned() }
    }

    /// Returns what to do, besides giving more memory.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self.kind {
            Kind::Join => {
                "or join fewer rows or columns at once; a join by an equality of columns can work through the disk, and \
                 no other can"
            }
            Kind::Grouping => "or group by fewer columns, or fewer rows at once",
            Kind::Sort => "or sort fewer rows or columns at once",
            Kind::Window => {
                "or let it have smaller partitions: PARTITION BY one more column, or a table made by partitions \
                 (`partition` in its contract, docs/partitions.md)"
            }
            Kind::Other => "or let the query read or join less at once",
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self.kind {
            Kind::Join => "a join",
            Kind::Grouping => "a GROUP BY",
            Kind::Sort => "a sort",
            Kind::Window => "a window",
            Kind::Other => "a part of it",
        };
        f.write_str(words)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, " ({})", self.name) }
    }
}

/// Returns whether a query failed for want of memory.
#[must_use]
pub fn is_out_of_memory(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_memory_is_told_in_words_of_sql() {
        for (words, expected) in [
            ("Additional allocation failed for HashJoinInput[3] with top memory consumers", "a join (HashJoinInput)"),
            ("Additional allocation failed for WindowAggExec[0] with top", "a window (WindowAggExec)"),
            (
                "Additional allocation failed for FinalHashAggregateStream[1] with",
                "a GROUP BY (FinalHashAggregateStream)",
            ),
            ("Failed to allocate additional 3.0 MB for ExternalSorterMerge[0] with", "a sort (ExternalSorterMerge)"),
            ("Failed to allocate additional 3.0 MB for Else with", "a part of it (Else)"),
            ("Not enough memory", "a part of it"),
        ] {
            assert_eq!(Operator::told(&format!("Resources exhausted: {words}")).to_string(), expected);
        }
    }
}

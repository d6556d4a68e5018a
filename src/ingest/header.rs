//! Which column of the contract each name of a file stands for.

use std::collections::{HashMap, HashSet};

use super::problem::FileProblem;
use crate::project::SourceContract;

/// The columns that a contract looks for inside its files: all but those that the path gives.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    columns: Vec<WantedColumn>,
}

/// One column, and the names that it may have.
#[derive(Debug, Clone)]
struct WantedColumn {
    /// Its own name, then its aliases.
    names: Vec<String>,
    required: bool,
    from_path: bool,
}

impl Wanted {
    pub(super) fn new(contract: &SourceContract, captures: &[(String, String)]) -> Self {
        let columns = contract.columns.iter().map(|(name, column)| WantedColumn {
            names: std::iter::once(name).chain(&column.aliases).cloned().collect(),
            required: column.rules.required || contract.key.contains(name),
            from_path: captures.iter().any(|(captured, _)| captured == name),
        });
        Self { columns: columns.collect() }
    }

    /// Returns how many columns the contract has.
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Returns the cell of each column in a file without a header: the contract's order, without what the path gives.
    pub(super) fn in_order(&self) -> Vec<Option<usize>> {
        let mut cells = 0..;
        self.columns.iter().map(|column| if column.from_path { None } else { cells.next() }).collect()
    }

    /// Returns, for each name that a record may have, the column that it stands for and its rank among that column's
    /// names; the first column that claims a name has it, and an own name is claimed before any alias.
    pub(super) fn by_name(&self) -> HashMap<&str, (usize, usize)> {
        let mut names = HashMap::new();
        let most = self.columns.iter().map(|column| column.names.len()).max().unwrap_or_default();
        for rank in 0..most {
            for (at, column) in self.columns.iter().enumerate().filter(|(_, column)| !column.from_path) {
                if let Some(name) = column.names.get(rank) {
                    names.entry(name.as_str()).or_insert((at, rank));
                }
            }
        }
        names
    }

    /// Finds the columns in a header, by own name first, then by alias.
    pub(super) fn bind(&self, header: &[String]) -> Result<Bound, FileProblem> {
        let mut places = HashMap::<&str, Vec<usize>>::new();
        for (at, name) in header.iter().enumerate() {
            places.entry(name).or_default().push(at);
        }
        let by_name = self.by_name();
        let mut used = HashSet::new();
        let mut slots = Vec::with_capacity(self.columns.len());
        for (at, column) in self.columns.iter().enumerate() {
            let mut claimed =
                column.names.iter().filter(|name| by_name.get(name.as_str()).is_some_and(|(by, _)| *by == at));
            let found = claimed.find_map(|name| Some((name, places.get(name.as_str())?.as_slice())));
            slots.push(match found {
                Some((name, [place])) => {
                    used.insert(name.as_str());
                    Some(*place)
                }
                Some((name, _)) => return Err(FileProblem::DuplicateColumn { name: name.clone() }),
                None if column.required && !column.from_path => {
                    return Err(FileProblem::MissingColumn {
                        column: column.names[0].clone(),
                        header: header.to_vec(),
                    });
                }
                None => None,
            });
        }
        let mut unknown = Vec::new();
        for name in header {
            if used.insert(name) {
                unknown.push(name.clone());
            }
        }
        Ok(Bound { slots, unknown })
    }
}

/// A header, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    /// For each column of the contract, the field that is its.
    pub(super) slots: Vec<Option<usize>>,
    /// The names that stand for no column, each once.
    pub(super) unknown: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(columns: &[(&[&str], bool)]) -> Wanted {
        let columns = columns.iter().map(|(names, required)| WantedColumn {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            required: *required,
            from_path: false,
        });
        Wanted { columns: columns.collect() }
    }

    fn bind(wanted: &Wanted, header: &[&str]) -> Result<Bound, FileProblem> {
        wanted.bind(&header.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn own_names_go_before_aliases_and_the_rest_is_reported() {
        let wanted = wanted(&[(&["id", "ticket_id"], true), (&["note"], false)]);
        assert_eq!(bind(&wanted, &["x", "ticket_id"]).unwrap().slots, [Some(1), None]);
        let bound = bind(&wanted, &["ticket_id", "id", "x", "x"]).unwrap();
        assert_eq!(bound, Bound { slots: vec![Some(1), None], unknown: vec!["ticket_id".into(), "x".into()] });
    }

    #[test]
    fn an_alias_does_not_take_the_own_name_of_another_column() {
        let wanted = wanted(&[(&["a", "b"], false), (&["b"], true)]);
        assert_eq!(bind(&wanted, &["b"]).unwrap().slots, [None, Some(0)]);
    }

    #[test]
    fn what_is_missing_or_twofold_is_named() {
        let wanted = wanted(&[(&["id"], true), (&["note"], false)]);
        assert_eq!(
            bind(&wanted, &["Id", "note"]).unwrap_err().to_string(),
            "column `id` is required, but the header has only `Id`, `note`"
        );
        let twice = bind(&wanted, &["id", "note", "note"]).unwrap_err();
        assert_eq!(twice, FileProblem::DuplicateColumn { name: "note".into() });
    }
}

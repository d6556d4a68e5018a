//! Which column of the contract each name of a file stands for.

use std::collections::{HashMap, HashSet};

use super::problem::FileProblem;
use super::record::SchemaDiff;
use crate::project::{SourceContract, occurrence};

/// The columns of a contract, and where it looks for them.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    columns: Vec<WantedColumn>,
}

/// One column, and the names that it may have.
#[derive(Debug, Clone)]
struct WantedColumn {
    /// Its own name.
    name: String,
    /// Where it may be, each as the names of objects inside each other: its path or own name, then its aliases.
    paths: Vec<Vec<String>>,
    required: bool,
    origin: Origin,
}

/// Where the values of a column come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A field of the records.
    Field,
    /// The path of the file.
    FilePath,
    /// All fields that no other column is.
    Rest,
    /// Other columns.
    Mark,
}

impl Wanted {
    pub(super) fn new(contract: &SourceContract, captures: &[(String, String)]) -> Self {
        let columns = contract.columns.iter().map(|(name, column)| WantedColumn {
            name: name.clone(),
            paths: std::iter::once(if column.path.is_empty() { vec![name.clone()] } else { column.path.clone() })
                .chain(column.aliases.iter().map(|alias| vec![alias.clone()]))
                .collect(),
            required: column.rules.required || contract.key.contains(name),
            origin: if captures.iter().any(|(captured, _)| captured == name) {
                Origin::FilePath
            } else if column.is_mark() {
                Origin::Mark
            } else if column.rest {
                Origin::Rest
            } else {
                Origin::Field
            },
        });
        Self { columns: columns.collect() }
    }

    /// Makes columns of which nothing is said but their names.
    pub(super) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let column = |name: &str| WantedColumn {
            name: name.to_owned(),
            paths: vec![vec![name.to_owned()]],
            required: false,
            origin: Origin::Field,
        };
        Self { columns: names.into_iter().map(column).collect() }
    }

    /// Returns how many columns the contract has.
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Returns whether a name of a header is one under which a column is looked for.
    pub(super) fn knows(&self, name: &str) -> bool {
        let is_it = |path: &Vec<String>| path.len() == 1 && path[0] == name;
        self.columns.iter().any(|column| column.paths.iter().any(is_it))
    }

    /// Returns the name of a column that may be missing from a file.
    pub(super) fn optional(&self, column: usize) -> Option<&str> {
        self.columns.get(column).filter(|column| !column.required).map(|column| column.name.as_str())
    }

    /// Returns the cell of each column in a file without a header: the contract's order, without what is no field.
    pub(super) fn in_order(&self) -> Vec<Option<usize>> {
        let mut cells = 0..;
        self.columns.iter().map(|column| if column.is_field() { cells.next() } else { None }).collect()
    }

    /// Returns the column that has what no other has, if there is one.
    pub(super) fn rest(&self) -> Option<usize> {
        self.columns.iter().position(|column| column.origin == Origin::Rest)
    }

    /// Returns each path at which a record may have a column, with the column and the path's rank among those of the
    /// column; the first column that claims a path has it, and first paths are claimed before any others.
    pub(super) fn paths(&self) -> Vec<(&[String], usize, usize)> {
        let mut paths = Vec::new();
        let mut claimed = HashSet::new();
        let most = self.columns.iter().map(|column| column.paths.len()).max().unwrap_or_default();
        for rank in 0..most {
            for (at, column) in self.columns.iter().enumerate().filter(|(_, column)| column.is_field()) {
                if let Some(path) = column.paths.get(rank)
                    && claimed.insert(path.as_slice())
                {
                    paths.push((path.as_slice(), at, rank));
                }
            }
        }
        paths
    }

    /// Finds the columns in a header, by own name first, then by alias.
    pub(super) fn bind(&self, header: &[String]) -> Result<Bound, FileProblem> {
        let mut places = HashMap::<&str, Vec<usize>>::new();
        for (at, name) in header.iter().enumerate() {
            places.entry(name).or_default().push(at);
        }
        let mut names = vec![Vec::new(); self.columns.len()];
        for (path, at, _) in self.paths() {
            names[at].extend(path.first().filter(|_| path.len() == 1).map(String::as_str));
        }
        // Where a name comes several times, `name#2` is the second field that is called so.
        let nth = |name: &str| {
            let (base, number) = occurrence(name).filter(|_| !places.contains_key(name))?;
            let (base, places) = places.get_key_value(base)?;
            Some((*base, *places.get(number.checked_sub(1)?)?))
        };
        let is_told_apart = |name: &str| {
            let of_it = |other: &&str| nth(other).is_some_and(|(base, _)| base == name);
            names.iter().flatten().any(of_it)
        };
        let place = |name: &str| match places.get(name).map(Vec::as_slice) {
            Some([first, rest @ ..]) => {
                Some(if rest.is_empty() || is_told_apart(name) { Ok(*first) } else { Err(Twofold) })
            }
            _ => nth(name).map(|(_, place)| Ok(place)),
        };
        let mut used = HashSet::new();
        let mut slots = Vec::with_capacity(self.columns.len());
        let mut missing = Vec::new();
        for (column, names) in self.columns.iter().zip(&names) {
            slots.push(match names.iter().find_map(|name| Some((*name, place(name)?))) {
                Some((_, Ok(place))) => {
                    used.insert(place);
                    Some(place)
                }
                Some((name, Err(Twofold))) => {
                    return Err(FileProblem::DuplicateColumn { name: name.to_owned(), header: header.to_vec() });
                }
                None => {
                    if column.is_field() {
                        missing.push((column, names));
                    }
                    None
                }
            });
        }
        for (column, names) in &missing {
            for name in *names {
                let (base, number) = occurrence(name).unwrap_or((name, 1));
                let is_near = |(at, other): &(usize, &String)| {
                    let is_there = places.get(other.as_str()).is_some_and(|places| places.len() >= number);
                    !used.contains(at) && is_there && (near(other) == near(name) || near(other) == near(base))
                };
                if let Some((_, found)) = header.iter().enumerate().find(is_near) {
                    let found = if number > 1 { format!("{found}#{number}") } else { found.clone() };
                    let (column, name) = (column.name.clone(), (*name).to_owned());
                    return Err(FileProblem::NearColumn { column, name, found });
                }
            }
        }
        let required = missing.iter().filter(|(column, _)| column.required).map(|(column, _)| column.name.clone());
        let required: Vec<String> = required.collect();
        if !required.is_empty() {
            return Err(FileProblem::MissingColumn { columns: required, header: header.to_vec() });
        }
        if used.is_empty() && !missing.is_empty() {
            return Err(FileProblem::NoColumns { header: header.to_vec() });
        }
        let mut unknown: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        for (at, name) in told_apart(header, &slots).into_iter().enumerate() {
            if !used.contains(&at) && seen.insert(name.clone()) {
                unknown.push(if name.is_empty() { "\"\"".to_owned() } else { name });
            }
        }
        let missing = missing.into_iter().map(|(column, _)| column.name.clone()).collect();
        Ok(Bound { slots, schema_diff: SchemaDiff { unknown, missing } })
    }
}

/// A name that several fields have, between which nothing decides.
#[derive(Debug, Clone, Copy)]
struct Twofold;

/// Returns the names of a header; those that come several times, and of which a column reads one, with their number behind
/// them.
pub(super) fn told_apart(header: &[String], slots: &[Option<usize>]) -> Vec<String> {
    let known: HashSet<&str> = slots.iter().flatten().filter_map(|at| header.get(*at)).map(String::as_str).collect();
    let mut counts = HashMap::<&str, usize>::new();
    let named = header.iter().map(|name| {
        let count = counts.entry(name).or_default();
        *count += 1;
        if *count > 1 && !name.is_empty() && known.contains(name.as_str()) {
            format!("{name}#{count}")
        } else {
            name.clone()
        }
    });
    named.collect()
}

impl WantedColumn {
    fn is_field(&self) -> bool {
        self.origin == Origin::Field
    }
}

/// Returns what two names share that people take for one: neither case nor what cannot be seen counts.
fn near(name: &str) -> String {
    let is_seen = |c: &char| !c.is_whitespace() && !matches!(c, '\u{200b}' | '\u{feff}');
    name.chars().filter(is_seen).flat_map(char::to_lowercase).collect()
}

/// A header, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    /// For each column of the contract, the field that is its.
    pub(super) slots: Vec<Option<usize>>,
    /// The names that stand for no column, each once, and the columns without a name.
    pub(super) schema_diff: SchemaDiff,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(columns: &[(&[&str], bool)]) -> Wanted {
        let columns = columns.iter().map(|(names, required)| WantedColumn {
            name: names[0].to_owned(),
            paths: names.iter().map(|&name| vec![name.to_owned()]).collect(),
            required: *required,
            origin: Origin::Field,
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
        let Bound { slots, schema_diff } = bind(&wanted, &["ticket_id", "id", "x", "x"]).unwrap();
        assert_eq!((slots, schema_diff.unknown), (vec![Some(1), None], vec!["ticket_id".to_owned(), "x".into()]));
        assert_eq!(schema_diff.missing, ["note"]);
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
            bind(&wanted, &["no", "note"]).unwrap_err().to_string(),
            "column `id` is required, but the header has only `no`, `note`"
        );
        let twice = bind(&wanted, &["id", "note", "note"]).unwrap_err();
        assert_eq!(twice.to_string(), "column `note` stands twice in the header");
        assert_eq!(
            twice.help(),
            "declare a column for each field of that name, the second with `aliases = [\"note#2\"]`; the first is then `note`"
        );
    }

    #[test]
    fn equal_names_are_told_apart_by_their_number() {
        let jira = wanted(&[
            (&["key"], true),
            (&["labels", "Labels"], false),
            (&["labels_2", "Labels#2"], false),
            (&["sprint", "Sprint#1"], false),
        ]);
        let bound = |header: &[&str]| {
            let Bound { slots, schema_diff } = bind(&jira, header).unwrap();
            (slots, schema_diff.unknown.join(" "), schema_diff.missing.join(" "))
        };
        let all = |slots: [Option<usize>; 4], unknown: &str, missing: &str| {
            (slots.to_vec(), unknown.to_owned(), missing.to_owned())
        };
        assert_eq!(bound(&["key", "Labels", "Labels", "Sprint"]), all([Some(0), Some(1), Some(2), Some(3)], "", ""));
        // Another export has other names several times.
        assert_eq!(
            bound(&["key", "Labels", "Sprint", "Sprint"]),
            all([Some(0), Some(1), None, Some(2)], "Sprint#2", "labels_2")
        );
        assert_eq!(
            bound(&["Labels", "Sprint", "Labels", "key", "Labels"]),
            all([Some(3), Some(0), Some(2), Some(1)], "Labels#3", "")
        );
        // A field that is called so itself goes before.
        assert_eq!(bound(&["key", "Labels", "Labels#2"]), all([Some(0), Some(1), Some(2), None], "", "sprint"));
        let plain = wanted(&[(&["key"], true), (&["labels", "Labels"], false)]);
        assert!(matches!(bind(&plain, &["key", "Labels", "Labels"]), Err(FileProblem::DuplicateColumn { .. })));
        let near = bind(&wanted(&[(&["key"], true), (&["b", "Note#2"], false)]), &["key", "note", "note"]).unwrap_err();
        assert_eq!(near.to_string(), "the header has no `Note#2` for column `b`, but `note#2`");
    }

    #[test]
    fn a_name_that_is_nearly_right_is_no_missing_column() {
        let wanted = wanted(&[(&["id"], true), (&["note", "remark"], false)]);
        let said = |header: &[&str]| bind(&wanted, header).unwrap_err().to_string();
        assert_eq!(said(&["ID", "note"]), "the header has no `id` for column `id`, but `ID`");
        assert_eq!(said(&["id", "Re mark"]), "the header has no `remark` for column `note`, but `Re mark`");
        assert_eq!(said(&["id\u{feff}"]), "the header has no `id` for column `id`, but `id\\u{feff}`");
        // Where the right name stands beside it, nothing has to be guessed.
        let both = bind(&wanted, &["ID", "id", "", "", "note"]).unwrap();
        assert_eq!(both.slots, [Some(1), Some(4)]);
        assert_eq!(both.schema_diff, SchemaDiff { unknown: vec!["ID".into(), "\"\"".into()], missing: Vec::new() });
    }

    #[test]
    fn a_header_of_another_encoding_names_the_key() {
        let wanted = wanted(&[(&["größe"], true)]);
        let lost = String::from_utf8_lossy(b"gr\xf6\xdfe").into_owned();
        let help = bind(&wanted, &[&lost]).unwrap_err().help();
        assert!(help.contains("`encoding` in `format`"), "{help}");
    }

    #[test]
    fn a_header_without_any_column_is_no_header() {
        let wanted = wanted(&[(&["id"], false), (&["note"], false)]);
        assert!(matches!(bind(&wanted, &["7", "x"]), Err(FileProblem::NoColumns { .. })));
        assert_eq!(bind(&wanted, &["note"]).unwrap().slots, [None, Some(0)]);
    }
}

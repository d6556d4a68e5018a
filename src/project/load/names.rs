//! Settles which names a project has, from the paths of its files alone.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::files::{self, Leaf};
use super::value;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, did_you_mean};
use crate::project::toml_reader::listed;
use crate::project::{Function, Layer, Model};

/// The folder of `sql/` that holds functions; the others are layers.
const FUNCTIONS: &str = "functions";

/// The names of a project, and the files that they stand for.
///
/// - `models` has only files that are read, well named and in a layer; `sql` has the stem of every SQL file, so that
///   a misnamed one is not also missing where it is mentioned.
pub(super) struct Names {
    /// Every SQL file that has its place.
    pub(super) models: BTreeMap<String, Model>,
    /// Every function of `sql/functions/`.
    pub(super) functions: BTreeMap<String, Function>,
    /// The stems of all SQL files.
    pub(super) sql: BTreeSet<String>,
    /// The contracts of landed datasets.
    pub(super) sources: BTreeMap<String, Leaf>,
    /// The contracts of models.
    pub(super) contracts: BTreeMap<String, Leaf>,
    /// The declarations of metrics, by area.
    pub(super) metrics: BTreeMap<String, Leaf>,
    /// `schemas/columns.toml`.
    pub(super) dictionary: Option<SourceFile>,
    /// `schemas/erased.toml`.
    pub(super) erased: Option<SourceFile>,
}

impl Names {
    /// Reads all files of `sql/` and `schemas/` and gives each its place.
    pub(super) fn settle(root: &Utf8Path, found: &mut Diagnostics) -> Self {
        let mut names = Self {
            models: BTreeMap::new(),
            functions: BTreeMap::new(),
            sql: BTreeSet::new(),
            sources: BTreeMap::new(),
            contracts: BTreeMap::new(),
            metrics: BTreeMap::new(),
            dictionary: None,
            erased: None,
        };
        names.settle_schemas(files::below(root, "schemas", "toml", found), found);
        names.settle_sql(files::below(root, "sql", "sql", found), found);
        names
    }

    /// Returns the names of the tables that are published.
    pub(super) fn published(&self) -> impl Iterator<Item = &str> {
        self.models.values().filter(|model| model.layer.is_published()).map(|model| model.name.as_str())
    }

    fn settle_schemas(&mut self, leaves: Vec<Leaf>, found: &mut Diagnostics) {
        let mut strange = BTreeSet::new();
        for leaf in leaves {
            let parts = leaf.path.components().skip(1).map(|part| part.as_str()).collect::<Vec<_>>();
            match parts.as_slice() {
                ["columns.toml"] => self.dictionary = leaf.file,
                ["erased.toml"] => self.erased = leaf.file,
                ["sources", _] => {
                    check_name(&leaf, found);
                    self.sources.insert(leaf.stem().to_owned(), leaf);
                }
                ["models", _] => {
                    self.contracts.insert(leaf.stem().to_owned(), leaf);
                }
                ["metrics", _] => {
                    check_spelling(&leaf, found);
                    self.metrics.insert(leaf.stem().to_owned(), leaf);
                }
                ["sources" | "models" | "metrics", ..] => {
                    let message = format!("`{}` lies in a folder of its own", leaf.path);
                    let help = format!("move it up into `schemas/{}/`", parts[0]);
                    found.push(misnamed(&leaf, message).help(help));
                }
                [folder, _, ..] => {
                    if strange.insert((*folder).to_owned()) {
                        found.push(strange_folder("schemas", folder, &["sources", "models", "metrics"]));
                    }
                }
                _ => {
                    let message = format!("`{}` is neither a contract nor the dictionary", leaf.path);
                    let help = "contracts belong in `schemas/sources/` or `schemas/models/`, \
                                metrics in `schemas/metrics/`, words of columns in `schemas/columns.toml`";
                    found.push(misnamed(&leaf, message).help(help));
                }
            }
        }
    }

    fn settle_sql(&mut self, leaves: Vec<Leaf>, found: &mut Diagnostics) {
        let mut strange = BTreeSet::new();
        let mut first = BTreeMap::<String, SourceFile>::new();
        for (stem, leaf) in &self.sources {
            first.insert(stem.clone(), leaf.named());
        }
        for leaf in leaves {
            if folder_of(&leaf.path) == Some(FUNCTIONS) {
                self.settle_function(&leaf, found);
                continue;
            }
            self.sql.insert(leaf.stem().to_owned());
            match folder_of(&leaf.path) {
                None => {
                    let message = format!("`{}` is not in a layer", leaf.path);
                    found.push(misnamed(&leaf, message).help(belongs(leaf.stem())));
                }
                Some(folder) => match Layer::ALL.into_iter().find(|layer| layer.folder() == folder) {
                    Some(layer) => self.settle_model(layer, &leaf, &mut first, found),
                    None if strange.insert(folder.to_owned()) => {
                        found.push(strange_folder("sql", folder, &sql_folders()));
                    }
                    None => {}
                },
            }
        }
    }

    fn settle_function(&mut self, leaf: &Leaf, found: &mut Diagnostics) {
        if !check_spelling(leaf, found) {
            return;
        }
        let stem = leaf.stem();
        if let Some(other) = self.functions.get(stem) {
            let message = format!("two files would both be the function `{stem}`");
            found.push(
                Diagnostic::new(Code::DuplicateStem, leaf.named().whole(), message)
                    .related(other.file.whole(), "the other")
                    .help("rename one of them: a name means one function"),
            );
            return;
        }
        if let Some(file) = leaf.file.clone() {
            self.functions.insert(stem.to_owned(), Function { name: stem.to_owned(), file });
        }
    }

    fn settle_model(
        &mut self,
        layer: Layer,
        leaf: &Leaf,
        first: &mut BTreeMap<String, SourceFile>,
        found: &mut Diagnostics,
    ) {
        let stem = leaf.stem();
        if !check_name(leaf, found) || !check_layer(layer, leaf, found) {
            return;
        }
        if let Some(other) = first.get(stem) {
            let message = format!("two files would both be the table `{stem}`");
            found.push(
                Diagnostic::new(Code::DuplicateStem, leaf.named().whole(), message)
                    .related(other.whole(), "the other")
                    .help("rename one of them: a name means one table"),
            );
            return;
        }
        first.insert(stem.to_owned(), leaf.named());
        if let Some(file) = leaf.file.clone() {
            self.models.insert(stem.to_owned(), Model { name: stem.to_owned(), layer, file });
        }
    }
}

/// Reports a file whose stem cannot name a table, and returns whether it can.
fn check_name(leaf: &Leaf, found: &mut Diagnostics) -> bool {
    let stem = leaf.stem();
    if ["dq_", "ops_"].iter().any(|prefix| stem.starts_with(prefix)) || ["_metadata", "feed_freshness"].contains(&stem)
    {
        let message = format!("the name `{stem}` is kept for tables of opsmart's own");
        found.push(misnamed(leaf, message).help(
            "`dq_…`, `ops_…`, `feed_freshness` and `_metadata` tell how the data and the runs are doing; rename it",
        ));
        return false;
    }
    check_spelling(leaf, found)
}

/// Reports a file whose stem cannot be a name, and returns whether it can.
pub(super) fn check_spelling(leaf: &Leaf, found: &mut Diagnostics) -> bool {
    let stem = leaf.stem();
    if !value::is_name(stem) {
        let message = format!("`{stem}` cannot be a name");
        found.push(misnamed(leaf, message).help(value::NAME_RULE));
        return false;
    }
    true
}

fn check_layer(layer: Layer, leaf: &Leaf, found: &mut Diagnostics) -> bool {
    let stem = leaf.stem();
    let fits = |prefix: &&str| stem.strip_prefix(*prefix).is_some_and(|rest| !rest.is_empty());
    if layer.prefixes().iter().any(fits) {
        return true;
    }
    let message = format!("`{stem}` does not start with {}", listed(layer.prefixes().iter().copied()));
    let elsewhere = Layer::of(stem).map_or_else(
        || format!("`sql/{}/` holds tables whose names do", layer.folder()),
        |other| format!("it belongs in `sql/{}/`", other.folder()),
    );
    found.push(misnamed(leaf, message).help(elsewhere));
    false
}

fn belongs(stem: &str) -> String {
    Layer::of(stem).map_or_else(
        || format!("the layers are {}", listed(Layer::ALL.map(Layer::folder))),
        |layer| format!("it belongs in `sql/{}/`", layer.folder()),
    )
}

/// Returns the folder just below `sql/` that a path leads through.
fn folder_of(path: &Utf8Path) -> Option<&str> {
    let mut parts = path.components().skip(1).map(|part| part.as_str());
    let folder = parts.next()?;
    parts.next().map(|_| folder)
}

fn sql_folders() -> Vec<&'static str> {
    Layer::ALL.map(Layer::folder).into_iter().chain([FUNCTIONS]).collect()
}

fn strange_folder(parent: &str, folder: &str, known: &[&str]) -> Diagnostic {
    let path = Utf8PathBuf::from(format!("{parent}/{folder}"));
    let message = format!("`{parent}/` has no folder `{folder}`");
    let help = did_you_mean(folder, known.iter().copied())
        .unwrap_or_else(|| format!("its folders are {}", listed(known.iter().copied())));
    Diagnostic::new(Code::Misnamed, SourceFile::new(path, "").whole(), message).help(help)
}

fn misnamed(leaf: &Leaf, message: String) -> Diagnostic {
    Diagnostic::new(Code::Misnamed, leaf.named().whole(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_sql_is_the_first_one() {
        assert_eq!(folder_of("sql/kpi/people/kpi_a.sql".into()), Some("kpi"));
        assert_eq!(folder_of("sql/kpi_a.sql".into()), None);
    }

    #[test]
    fn every_file_has_its_place() {
        let cases = [
            ("sql/kpy/kpi_a.sql", "sql/kpy:1:1 E0109 `sql/` has no folder `kpy` @"),
            ("sql/kpi_a.sql", "sql/kpi_a.sql:1:1 E0109 `sql/kpi_a.sql` is not in a layer @"),
            ("sql/marts/kpi_a.sql", "sql/marts/kpi_a.sql:1:1 E0109 `kpi_a` does not start with `dim_` or `fct_` @"),
            ("sql/kpi/kpi_.sql", "sql/kpi/kpi_.sql:1:1 E0109 `kpi_` does not start with `kpi_` @"),
            ("sql/kpi/kpi_A.sql", "sql/kpi/kpi_A.sql:1:1 E0109 `kpi_A` cannot be a name @"),
            ("sql/kpi/dq_a.sql", "sql/kpi/dq_a.sql:1:1 E0109 the name `dq_a` is kept for tables of opsmart's own @"),
            ("schemas/source/a.toml", "schemas/source:1:1 E0109 `schemas/` has no folder `source` @"),
            ("schemas/a.toml", "schemas/a.toml:1:1 E0109 `schemas/a.toml` is neither a contract nor the dictionary @"),
            (
                "schemas/models/x/fct_a.toml",
                "schemas/models/x/fct_a.toml:1:1 E0109 `schemas/models/x/fct_a.toml` lies in a folder of its own @",
            ),
            (
                "schemas/metrics/x/a.toml",
                "schemas/metrics/x/a.toml:1:1 E0109 `schemas/metrics/x/a.toml` lies in a folder of its own @",
            ),
            ("schemas/metrics/A.toml", "schemas/metrics/A.toml:1:1 E0109 `A` cannot be a name @"),
        ];
        for (path, expected) in cases {
            assert_eq!(super::super::tests::mistakes(&[(path, "")]), [expected]);
        }
    }

    #[test]
    fn a_name_means_one_table() {
        let files = [("sql/kpi/kpi_a.sql", ""), ("sql/kpi/b/kpi_a.sql", "")];
        let found = super::super::tests::mistakes(&files);
        assert_eq!(found, ["sql/kpi/kpi_a.sql:1:1 E0108 two files would both be the table `kpi_a` @"]);
    }
}

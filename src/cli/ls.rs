//! `opsmart ls`.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};

use super::summary::{aligned, counted};
use super::{Failure, Global, compile, load};
use crate::cli::print::{Printer, answer, document};
use crate::manifest::{Manifest, Node, NodeKind, manifest};
use crate::plan::{Workspace, select_all};
use crate::run::Exit;

/// How many names of what is read a line has room for.
const MOST_NAMES: usize = 4;

/// List what the project declares: datasets, models, metrics, checks, jobs and functions
///
/// Each with its file, tags, owner and what it reads. Needs no warehouse.
#[derive(Debug, Args)]
pub(super) struct LsArgs {
    /// Selectors of datasets and models, as --select takes them; name, `tag:` and `owner:` also find metrics, checks, jobs
    /// and functions
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,

    /// Kinds to list
    #[arg(long, env = "OPSMART_KIND", value_enum, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<ListedKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListedKind {
    /// Landed datasets
    Dataset,
    /// SELECTs of sql/, and tables that metrics are compiled to
    Model,
    /// Metrics of schemas/metrics/
    Metric,
    /// Queries of sql/checks/
    Check,
    /// Jobs
    Job,
    /// Functions of sql/functions/
    Function,
}

impl ListedKind {
    fn is(self, kind: NodeKind) -> bool {
        self.to_possible_value().is_some_and(|value| value.get_name() == kind.as_str())
    }
}

pub(super) fn ls(global: &Global, args: &LsArgs, printer: &Printer) -> Result<Exit, Failure> {
    let workspace = compile(load(global)?)?;
    let mut manifest = manifest(&workspace);
    if !args.selectors.is_empty() {
        manifest.nodes = chosen(&workspace, manifest.nodes, &args.selectors)?;
    }
    manifest.nodes.retain(|node| args.kind.is_empty() || args.kind.iter().any(|kind| kind.is(node.kind)));
    if printer.is_json() {
        document(&manifest);
    } else {
        let Manifest { nodes, .. } = &manifest;
        let head = ["kind", "name", "file", "tags", "owner", "reads"];
        let rows = nodes.iter().map(|node| {
            let file = if node.line > 1 { format!("{}:{}", node.file, node.line) } else { node.file.clone() };
            let owner = node.owner.clone().unwrap_or_default();
            vec![node.kind.as_str().to_owned(), node.name.clone(), file, node.tags.join(" "), owner, reads(node)]
        });
        answer(&if nodes.is_empty() { "nothing\n".to_owned() } else { aligned(&head, |_| false, rows) });
    }
    Ok(Exit::Done)
}

/// Leaves those that the selectors select, each of which has to select something.
fn chosen(workspace: &Workspace, nodes: Vec<Node>, selectors: &[String]) -> Result<Vec<Node>, Failure> {
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for selector in selectors.iter().flat_map(|text| text.split_whitespace()) {
        let others = nodes.iter().filter(|node| is_beside(node.kind) && is_meant(selector, node));
        let before = ids.len();
        ids.extend(others.map(|node| node.id.clone()));
        match select_all(workspace, "ls", &[selector.to_owned()]) {
            Ok(names) => {
                let is_selected = |node: &&Node| !is_beside(node.kind) && names.contains(&node.name);
                ids.extend(nodes.iter().filter(is_selected).map(|node| node.id.clone()));
            }
            Err(_) if ids.len() > before => {}
            Err(mistakes) => return Err(mistakes.into()),
        }
    }
    Ok(nodes.into_iter().filter(|node| ids.contains(&node.id)).collect())
}

/// Returns whether selectors of other commands know nothing of what is of a kind.
fn is_beside(kind: NodeKind) -> bool {
    !matches!(kind, NodeKind::Dataset | NodeKind::Model)
}

fn is_meant(selector: &str, node: &Node) -> bool {
    match selector.split_once(':') {
        Some(("tag", tag)) => node.tags.iter().any(|of| of == tag),
        Some(("owner", owner)) => node.owner.as_deref() == Some(owner),
        Some(("path", path)) => node.file.starts_with(path.trim_end_matches('/')),
        Some(_) => false,
        None => node.name == selector || node.metric.as_ref().is_some_and(|metric| metric.is_called(selector)),
    }
}

fn reads(node: &Node) -> String {
    let name = |id: &String| id.split_once('.').map_or(id.as_str(), |(_, name)| name).to_owned();
    let mut names: Vec<String> = node.reads.iter().take(MOST_NAMES).map(name).collect();
    let more = node.reads.len().saturating_sub(MOST_NAMES);
    names.extend((more > 0).then(|| format!("and {}", counted(more, "other"))));
    names.join(" ")
}

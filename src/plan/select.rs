//! Selectors: which tables a person means. The grammar is dbt's.
//!
//! | written | selects |
//! |---|---|
//! | `fct_ticket`, `kpi_*` | models and datasets by name, `*` standing for any run of characters |
//! | `tag:support` | models whose contract has the tag |
//! | `owner:support` | datasets and models whose contract says who answers for them |
//! | `path:sql/kpi` | models in a folder or file |
//! | `source:tickets` | a landed dataset |
//! | `+x`, `x+`, `2+x+1` | `x` and all that it reads, all that reads it, so many steps of each |
//! | `@x` | `x`, all that reads it, and all that those read |
//! | `a,b` | what both select |
//!
//! Several selectors together select what any of them does. A dataset counts as reading those that it references.

use std::collections::BTreeSet;

use super::workspace::{Kind, Workspace};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, did_you_mean};
use crate::project::Located;

/// Why a selector selects nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectorMistake {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Returns the datasets and models that one selector selects; never nothing.
///
/// # Errors
/// When it cannot be read or selects nothing.
pub fn select(workspace: &Workspace, selector: &str) -> Result<BTreeSet<String>, SelectorMistake> {
    let mut parts = selector.split(',').map(|part| union_of_graph(workspace, part.trim()));
    let first = parts.next().unwrap_or_else(|| Err(mistake("an empty selector", None)))?;
    let all = parts.try_fold(first, |all, part| Ok(all.intersection(&part?).cloned().collect::<BTreeSet<_>>()))?;
    if all.is_empty() {
        return Err(mistake(&format!("`{selector}` selects nothing: its parts have no table in common"), None));
    }
    Ok(all)
}

/// Returns what the selectors given on the command line select.
///
/// # Errors
/// The first selector that selects nothing, shown as if it stood in a file.
pub fn select_all(workspace: &Workspace, flag: &str, selectors: &[String]) -> Result<BTreeSet<String>, Diagnostics> {
    let mut all = BTreeSet::new();
    for selector in selectors.iter().flat_map(|text| text.split_whitespace()) {
        match select(workspace, selector) {
            Ok(found) => all.extend(found),
            Err(error) => {
                let line = SourceFile::new("command line", format!("{flag} {selector}"));
                let at = line.at(flag.len() + 1..line.text.len());
                return Err(Diagnostic::new(Code::Selector, at, error.message).maybe_help(error.help).into());
            }
        }
    }
    Ok(all)
}

/// Every selector of every job must select something.
pub(super) fn check_jobs(workspace: &Workspace, mistakes: &mut Diagnostics) {
    if workspace.tables.len() < workspace.project.models.len() {
        // Some model is broken, so a selector that selects nothing may be right; its turn comes when the SQL is.
        return;
    }
    for job in workspace.project.jobs.values() {
        for Located { text, bytes } in &job.tables {
            if let Err(error) = select(workspace, text) {
                mistakes.push(
                    Diagnostic::new(Code::Selector, job.file.at(bytes.clone()), error.message).maybe_help(error.help),
                );
            }
        }
    }
}

fn union_of_graph(workspace: &Workspace, part: &str) -> Result<BTreeSet<String>, SelectorMistake> {
    if let Some(core) = part.strip_prefix('@') {
        let chosen = by_method(workspace, core)?;
        return Ok(workspace.upstream(&workspace.downstream(&chosen)));
    }
    let (before, rest) = match part.split_once('+') {
        Some((steps, rest)) if steps.is_empty() || steps.chars().all(|c| c.is_ascii_digit()) => (Some(steps), rest),
        _ => (None, part),
    };
    let (core, after) = match rest.rsplit_once('+') {
        Some((core, steps)) if steps.is_empty() || steps.chars().all(|c| c.is_ascii_digit()) => (core, Some(steps)),
        _ => (rest, None),
    };
    if core.is_empty() {
        return Err(mistake(&format!("`{part}` names nothing"), Some("put a name beside the `+`".to_owned())));
    }
    let chosen = by_method(workspace, core)?;
    let mut all = chosen.clone();
    if let Some(steps) = before {
        let reads = workspace.reads();
        all.extend(walk(&chosen, steps, |names| {
            names.iter().filter_map(|name| reads.get(name)).flatten().cloned().collect()
        }));
    }
    if let Some(steps) = after {
        let readers = workspace.readers();
        all.extend(walk(&chosen, steps, |names| {
            names.iter().filter_map(|name| readers.get(name)).flatten().cloned().collect()
        }));
    }
    Ok(all)
}

fn walk(
    start: &BTreeSet<String>,
    steps: &str,
    next: impl Fn(&BTreeSet<String>) -> BTreeSet<String>,
) -> BTreeSet<String> {
    let steps = steps.parse::<usize>().unwrap_or(usize::MAX);
    let mut all = start.clone();
    let mut edge = start.clone();
    for _ in 0..steps {
        edge = next(&edge).into_iter().filter(|name| !all.contains(name)).collect();
        if edge.is_empty() {
            break;
        }
        all.extend(edge.iter().cloned());
    }
    all
}

fn by_method(workspace: &Workspace, core: &str) -> Result<BTreeSet<String>, SelectorMistake> {
    let models = || workspace.tables.iter().filter(|(_, table)| table.kind != Kind::Check).map(|(name, _)| name);
    let contracts = &workspace.project.contracts;
    let (found, near): (BTreeSet<String>, Option<String>) = match core.split_once(':') {
        None => {
            let names = || models().chain(workspace.project.sources.keys());
            let found = names().filter(|name| matches(core, name)).cloned().collect();
            (found, did_you_mean(core, names().map(String::as_str)))
        }
        Some(("tag", tag)) => {
            let found =
                models().filter(|name| contracts.get(*name).is_some_and(|c| c.tags.iter().any(|t| t == tag))).cloned();
            let tags: BTreeSet<&str> = contracts.values().flat_map(|c| c.tags.iter().map(String::as_str)).collect();
            let list = || (!tags.is_empty()).then(|| format!("tags are: {}", Vec::from_iter(tags.clone()).join(", ")));
            (found.collect(), did_you_mean(tag, tags.iter().copied()).or_else(list))
        }
        Some(("owner", owner)) => {
            let of_models = models().filter_map(|name| Some((name, contracts.get(name)?.owner.as_deref()?)));
            let sources = workspace.project.sources.iter();
            let of_sources = sources.filter_map(|(name, source)| Some((name, source.owner.as_deref()?)));
            let owned: Vec<(&String, &str)> = of_models.chain(of_sources).collect();
            let owners: BTreeSet<&str> = owned.iter().map(|(_, owner)| *owner).collect();
            let list =
                || (!owners.is_empty()).then(|| format!("owners are: {}", Vec::from_iter(owners.clone()).join(", ")));
            let found = owned.iter().filter(|(_, of)| *of == owner).map(|(name, _)| (*name).clone()).collect();
            (found, did_you_mean(owner, owners.iter().copied()).or_else(list))
        }
        Some(("path", path)) => {
            let folder = path.trim_end_matches('/');
            let inside = |name: &&String| workspace.project.models[*name].file.path.starts_with(folder);
            (models().filter(inside).cloned().collect(), None)
        }
        Some(("source", name)) => {
            let found = workspace.project.sources.keys().filter(|source| matches(name, source)).cloned().collect();
            (found, did_you_mean(name, workspace.project.sources.keys().map(String::as_str)))
        }
        Some((method, _)) => {
            return Err(mistake(
                &format!("`{method}:` is not a way to select"),
                did_you_mean(method, ["tag", "owner", "path", "source"])
                    .or_else(|| Some("select by name, `tag:`, `owner:`, `path:` or `source:`".to_owned())),
            ));
        }
    };
    if found.is_empty() {
        let help = near.or_else(|| {
            Some("select by the name of a dataset or model, `tag:`, `owner:`, `path:` or `source:`".to_owned())
        });
        return Err(mistake(&format!("`{core}` selects nothing"), help));
    }
    Ok(found)
}

fn mistake(message: &str, help: Option<String>) -> SelectorMistake {
    SelectorMistake { message: message.to_owned(), help }
}

/// Returns whether `name` is what `pattern` says, `*` standing for any run of characters.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => {
            let Some(rest) = name.strip_prefix(head) else { return false };
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(tail, &rest[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        assert!(matches("kpi_*", "kpi_support_daily"));
        assert!(matches("*_daily", "kpi_support_daily"));
        assert!(matches("*", ""));
        assert!(!matches("kpi_*_month", "kpi_support_daily"));
    }
}

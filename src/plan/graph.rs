//! Puts models, and datasets, into an order in which each stands after what it reads or references.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Code, Diagnostic, Place};

/// Returns the names of `reads` in waves: the inputs of each stand in earlier waves, and a wave goes by the alphabet. Names
/// that are read but are not keys (of models, the landed datasets) are left out.
///
/// # Errors
/// One circle for each group of names that read each other, as the path that leads back to its first name.
pub(super) fn waves(reads: &BTreeMap<String, BTreeSet<String>>) -> Result<Vec<Vec<String>>, Vec<Vec<String>>> {
    let mut waiting: BTreeMap<&str, BTreeSet<&str>> = reads
        .iter()
        .map(|(name, inputs)| {
            (name.as_str(), inputs.iter().map(String::as_str).filter(|i| reads.contains_key(*i)).collect())
        })
        .collect();
    let mut readers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, inputs) in &waiting {
        inputs.iter().for_each(|input| readers.entry(input).or_default().push(name));
    }
    let mut waves = Vec::new();
    let mut ready: BTreeSet<&str> =
        waiting.iter().filter(|(_, inputs)| inputs.is_empty()).map(|(name, _)| *name).collect();
    while !ready.is_empty() {
        let mut next = BTreeSet::new();
        for name in &ready {
            waiting.remove(name);
            for reader in readers.get(name).into_iter().flatten() {
                let Some(inputs) = waiting.get_mut(reader) else { continue };
                inputs.remove(name);
                if inputs.is_empty() {
                    next.insert(*reader);
                }
            }
        }
        waves.push(ready.into_iter().map(str::to_owned).collect());
        ready = next;
    }
    if waiting.is_empty() { Ok(waves) } else { Err(circles(&waiting)) }
}

/// Returns what is wrong with `things` that `verb` each other; `place` tells where the first of two names the second.
pub(super) fn cycle(things: &str, verb: &str, cycle: &[String], place: impl Fn(&str, &str) -> Place) -> Diagnostic {
    let next = |at: usize| &cycle[(at + 1) % cycle.len()];
    let words = |at: usize| format!("`{}` {verb}s `{}`", cycle[at], next(at));
    let place = |at: usize| place(&cycle[at], next(at));
    let path = cycle.iter().chain(cycle.first()).map(String::as_str).collect::<Vec<_>>().join(" -> ");
    let mut mistake = Diagnostic::new(Code::Cycle, place(0), format!("{things} {verb} each other in a cycle: {path}"))
        .label(words(0))
        .help(format!("take one of these {verb}s out"));
    for at in 1..cycle.len() {
        mistake = mistake.related(place(at), words(at));
    }
    mistake
}

/// Returns everything that can be reached from `start` along `edges`, the start left out unless a circle leads to it.
pub(super) fn reachable<'a>(
    start: impl IntoIterator<Item = &'a str>,
    edges: &'a BTreeMap<String, BTreeSet<String>>,
) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = start.into_iter().collect();
    while let Some(name) = open.pop() {
        for next in edges.get(name).into_iter().flatten() {
            if found.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    found
}

fn circles(waiting: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<Vec<String>> {
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut circles = Vec::new();
    for start in waiting.keys() {
        if told.contains(start) {
            continue;
        }
        // Every waiting name reads a waiting name, so walking along first inputs must come back to somewhere.
        let mut path: Vec<&str> = vec![start];
        let circle = loop {
            let Some(next) = path.last().and_then(|last| waiting.get(last)).and_then(|inputs| inputs.first()) else {
                break None;
            };
            if let Some(at) = path.iter().position(|name| name == next) {
                break Some(path.split_off(at));
            }
            path.push(next);
        };
        let Some(circle) = circle else { continue };
        let is_new = !circle.iter().any(|name| told.contains(name));
        told.extend(path);
        told.extend(circle.iter().copied());
        if is_new {
            let least = circle.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(at, _)| at);
            let turned = circle[least..].iter().chain(&circle[..least]).map(|name| (*name).to_owned());
            circles.push(turned.collect());
        }
    }
    circles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(text: &str) -> BTreeMap<String, BTreeSet<String>> {
        text.split_whitespace()
            .map(|edge| {
                let (name, inputs) = edge.split_once(':').unwrap();
                (name.to_owned(), inputs.split(',').filter(|i| !i.is_empty()).map(str::to_owned).collect())
            })
            .collect()
    }

    #[test]
    fn what_is_read_comes_first() {
        assert_eq!(waves(&edges("d:a c:a,b b:a a:raw")).unwrap(), [vec!["a"], vec!["b", "d"], vec!["c"]]);
    }

    #[test]
    fn a_circle_is_told_as_its_path() {
        assert_eq!(waves(&edges("d:c c:b b:a a:c")).unwrap_err(), [["a", "c", "b"]]);
        assert_eq!(waves(&edges("a:a")).unwrap_err(), [["a"]]);
    }

    #[test]
    fn reachable_follows_edges_to_their_ends() {
        let edges = edges("a:b b:c d:e");
        assert_eq!(reachable(["a"], &edges).into_iter().collect::<Vec<_>>(), ["b", "c"]);
    }
}

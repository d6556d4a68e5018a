//! A drawing of what is made from what, in columns from left to right.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

const CHARACTER: usize = 7;
const HEIGHT: usize = 26;
const GAP: usize = 12;
const BETWEEN: usize = 64;
const MARGIN: usize = 8;

/// A drawing that a template can write as SVG.
#[derive(Debug, Serialize)]
pub(super) struct Graph {
    width: usize,
    height: usize,
    nodes: Vec<Node>,
    /// Each as the path of a curve.
    edges: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Node {
    name: String,
    x: usize,
    y: usize,
    width: usize,
    height: usize,
    /// Whether the page is about it.
    is_here: bool,
}

/// Draws `names` and the edges among them; `reads` says of each what it is made from. Names of circles are left out.
pub(super) fn draw(names: &BTreeSet<String>, reads: &BTreeMap<String, BTreeSet<String>>, here: &str) -> Graph {
    let inputs = |name: &str| reads.get(name).into_iter().flatten().filter(|input| names.contains(*input));
    let columns = columns(names, &inputs);
    let mut row: BTreeMap<String, f64> = BTreeMap::new();
    let mut graph = Graph { width: 0, height: 0, nodes: Vec::new(), edges: Vec::new() };
    let mut x = MARGIN;
    let mut places: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    for column in columns {
        // Each name stands as near as can be to the middle of what it is made from, so that fewer curves cross.
        let mut sorted: Vec<(f64, String)> = column
            .into_iter()
            .map(|name| {
                let of: Vec<f64> = inputs(&name).filter_map(|input| row.get(input).copied()).collect();
                #[expect(clippy::cast_precision_loss, reason = "a drawing has few lines")]
                let middle = if of.is_empty() { f64::MAX } else { of.iter().sum::<f64>() / of.len() as f64 };
                (middle, name)
            })
            .collect();
        sorted.sort_by(|one, other| one.0.total_cmp(&other.0).then_with(|| one.1.cmp(&other.1)));
        let width = sorted.iter().map(|(_, name)| name.chars().count()).max().unwrap_or(0) * CHARACTER + 28;
        for (at, (_, name)) in sorted.into_iter().enumerate() {
            let y = MARGIN + at * (HEIGHT + GAP);
            #[expect(clippy::cast_precision_loss, reason = "a drawing has few lines")]
            row.insert(name.clone(), at as f64);
            places.insert(name.clone(), (x, y, width));
            graph.height = graph.height.max(y + HEIGHT + MARGIN);
            graph.nodes.push(Node { is_here: name == here, name, x, y, width, height: HEIGHT });
        }
        x += width + BETWEEN;
    }
    graph.width = x.saturating_sub(BETWEEN) + MARGIN;
    centre(&mut graph, &mut places);
    for (name, (to_x, to_y, _)) in &places {
        for input in inputs(name) {
            let Some((from_x, from_y, width)) = places.get(input) else { continue };
            let (start_x, start_y, end_y) = (from_x + width, from_y + HEIGHT / 2, to_y + HEIGHT / 2);
            let middle = usize::midpoint(start_x, *to_x);
            graph.edges.push(format!("M{start_x} {start_y}C{middle} {start_y} {middle} {end_y} {to_x} {end_y}"));
        }
    }
    graph
}

/// Moves every column to the middle of the drawing.
fn centre(graph: &mut Graph, places: &mut BTreeMap<String, (usize, usize, usize)>) {
    let mut ends: BTreeMap<usize, usize> = BTreeMap::new();
    for node in &graph.nodes {
        let end = ends.entry(node.x).or_default();
        *end = (*end).max(node.y + HEIGHT + MARGIN);
    }
    for node in &mut graph.nodes {
        node.y += (graph.height - ends[&node.x]) / 2;
        if let Some(place) = places.get_mut(&node.name) {
            place.1 = node.y;
        }
    }
}

/// Puts each name one column after the last of what it is made from.
fn columns<'a, I: Iterator<Item = &'a String>>(
    names: &BTreeSet<String>,
    inputs: &impl Fn(&str) -> I,
) -> Vec<Vec<String>> {
    let mut placed: BTreeMap<&str, usize> = BTreeMap::new();
    loop {
        let ready: Vec<(&str, usize)> = names
            .iter()
            .filter(|name| !placed.contains_key(name.as_str()))
            .filter_map(|name| {
                let of: Option<Vec<usize>> = inputs(name).map(|input| placed.get(input.as_str()).copied()).collect();
                Some((name.as_str(), of?.into_iter().max().map_or(0, |last| last + 1)))
            })
            .collect();
        if ready.is_empty() {
            break;
        }
        placed.extend(ready);
    }
    let mut columns = vec![Vec::new(); placed.values().max().map_or(0, |last| last + 1)];
    placed.into_iter().for_each(|(name, column)| columns[column].push(name.to_owned()));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_stands_to_the_right_of_what_it_is_made_from() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
        let reads = BTreeMap::from([
            ("b".to_owned(), set(&["a"])),
            ("c".to_owned(), set(&["a", "b", "elsewhere"])),
            ("d".to_owned(), set(&["a"])),
        ]);
        let graph = draw(&set(&["a", "b", "c", "d"]), &reads, "b");
        let x = |name: &str| graph.nodes.iter().find(|node| node.name == name).unwrap().x;
        assert!(x("a") < x("b") && x("b") < x("c") && x("d") == x("b"));
        assert_eq!(graph.edges.len(), 4, "an edge to what is not drawn is not drawn");
        assert!(
            graph.nodes.iter().all(|node| node.x + node.width <= graph.width && node.y + node.height <= graph.height)
        );
        assert_eq!(graph.nodes.iter().filter(|node| node.is_here).count(), 1);
    }
}

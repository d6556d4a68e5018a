//! Which snapshot people mean.

use super::Failure;
use crate::digest::Digest;
use crate::store::{Snapshot, SnapshotRef, Store};

/// Finds the newest snapshot behind another whose tables hold something else. A snapshot may differ from its parent in
/// what is known of files and words alone.
pub(super) fn before(store: &Store, id: &Digest) -> Result<Digest, Failure> {
    let contents = |snapshot: &Snapshot| -> Vec<(String, Digest)> {
        snapshot.tables.iter().map(|(name, entry)| (name.clone(), entry.content_hash.clone())).collect()
    };
    let mut after = None;
    let mut end = None;
    for found in store.line(id) {
        let (id, snapshot) = found?;
        let now = contents(&snapshot);
        if after.as_ref().is_some_and(|after| *after != now) {
            return Ok(id);
        }
        after.get_or_insert(now);
        end = snapshot.parent;
    }
    let help = match end {
        None => "every run that publishes other rows makes one to go back to",
        Some(_) => "those before it were removed by `opsmart gc`",
    };
    Err(Failure::usage(format!("there is no other snapshot before {}", id.short()), Some(help.to_owned())))
}

/// Finds the one snapshot whose name begins so, of those that the reference leads to.
pub(super) fn named(store: &Store, reference: &SnapshotRef, beginning: &str) -> Result<Digest, Failure> {
    let mut found: Vec<Digest> = Vec::new();
    let mut removed = Vec::new();
    // Of two lines that have lost their middle, one does not lead to the other.
    for root in [reference.newest(), &reference.snapshot] {
        let mut end = None;
        for step in store.line(root) {
            let (id, snapshot) = step?;
            end = snapshot.parent;
            if id.as_str().starts_with(beginning) && !found.contains(&id) {
                found.push(id);
            }
        }
        removed.extend(end);
    }
    if let [one] = found.as_slice() {
        return Ok(one.clone());
    }
    let mut help = "`opsmart history` lists the snapshots".to_owned();
    if found.len() > 1 {
        return Err(Failure::usage(format!("{} snapshots begin with `{beginning}`", found.len()), Some(help)));
    }
    let of_runs =
        store.runs(usize::MAX).into_iter().filter_map(|run| Digest::parse(run["report"]["snapshot"].as_str()?));
    if !removed.is_empty() {
        help.push_str("; older ones were removed by `opsmart gc`");
    }
    let was_there = of_runs.chain(removed).find(|id| id.as_str().starts_with(beginning));
    let message = match was_there {
        Some(id) => format!("snapshot {} was removed by `opsmart gc`", id.short()),
        None => format!("no snapshot begins with `{beginning}`"),
    };
    Err(Failure::usage(message, Some(help)))
}

/// Returns a snapshot, which stays with its tables as long as the store is open.
pub(super) fn kept(store: &Store, id: &Digest) -> Result<Snapshot, Failure> {
    let snapshot = store.snapshot(id);
    if snapshot.is_err() && !store.has_snapshot(id) {
        let help = "`opsmart history` lists the snapshots".to_owned();
        return Err(Failure::usage(
            format!("snapshot {} was removed by `opsmart gc` meanwhile", id.short()),
            Some(help),
        ));
    }
    Ok(snapshot?)
}

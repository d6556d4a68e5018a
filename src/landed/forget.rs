//! Giving up landed files that were admitted, and taking them back.

use std::collections::BTreeSet;

use crate::project::FilesMode;
use crate::store::{AdmittedFile, DatasetManifest};

/// Which admitted files a run gives up, or takes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forget {
    /// Their paths, as they were admitted.
    pub paths: BTreeSet<String>,
    /// Whether they are taken back.
    pub undo: bool,
}

impl Forget {
    /// Brings the books of a dataset up to date; returns whether that changed them.
    ///
    /// A path that is forgotten stays in the books with its content, so that the same bytes are not admitted under it
    /// again, and keeps its place among the others, so that it counts there when it is taken back.
    pub fn apply(&self, mode: FilesMode, landed: &mut DatasetManifest) -> bool {
        let mut is_changed = false;
        for path in &self.paths {
            let of_path = |entry: &AdmittedFile| *entry.path == **path;
            if !landed.paths.iter().any(|entry| of_path(entry) && entry.forgotten == self.undo) {
                continue;
            }
            is_changed = true;
            if self.undo && mode != FilesMode::Append {
                // A path holds one content: what it holds by now, or else what was forgotten last.
                let holds = landed.paths.iter().filter(|entry| of_path(entry)).max_by_key(|entry| !entry.forgotten);
                let stays = holds.map(|entry| entry.sequence);
                landed.paths.retain(|entry| !of_path(entry) || Some(entry.sequence) == stays);
            }
            landed.paths.iter_mut().filter(|entry| of_path(entry)).for_each(|entry| entry.forgotten = !self.undo);
        }
        is_changed
    }
}

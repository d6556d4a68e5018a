//! Folders that a command writes as a whole, such as that of `opsmart docs`: a list in the folder says which files are
//! ours, and nothing else is changed or removed.

use std::collections::BTreeSet;

use camino::{Utf8Component, Utf8Path};
use serde::{Deserialize, Serialize};

use super::Failure;
use super::report::write;
use crate::store::{Disk, LocalDisk, StoreError, other_than_a_file};

/// Who writes a folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    /// The command.
    pub(super) command: &'a str,
    /// The file that lists what it wrote.
    pub(super) manifest: &'a str,
}

/// What an earlier command wrote.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    files: BTreeSet<String>,
}

/// Writes the files, each with its path in the folder, into a folder of ours, and removes those of before that are not
/// among them; returns how many.
pub(super) fn put(folder: &Utf8Path, files: &[(&str, &[u8])], owner: Owner<'_>) -> Result<usize, Failure> {
    let at = folder.join(owner.manifest);
    let command = owner.command;
    let refused = |message: String| {
        let help = "name a folder that is empty or does not exist yet, with --to DIR";
        Failure::usage(message, Some(help.to_owned()))
    };
    if let Some(kind) = other_than_a_file(&at) {
        return Err(refused(format!("`{at}` is {kind}, and does not list the files of an earlier `{command}`")));
    }
    let before = if let Ok(bytes) = LocalDisk.read(&at) {
        serde_json::from_slice::<Manifest>(&bytes)
            .map_err(|error| refused(format!("`{at}` does not list the files of an earlier `{command}`: {error}")))?
    } else {
        let read = |source| StoreError::Read { path: folder.to_path_buf(), source };
        if folder.exists() && folder.read_dir_utf8().map_err(read)?.next().is_some() {
            return Err(refused(format!("`{folder}` holds files that `{command}` did not write")));
        }
        Manifest::default()
    };
    let now: BTreeSet<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
    let is_astray = |path: &&String| leads_out(folder, Utf8Path::new(path));
    if let Some(path) = now.iter().find(is_astray) {
        return Err(refused(format!("a folder on the way to `{}` is a link or a file", folder.join(path))));
    }
    // Listed before they are written, so that whatever an interruption leaves behind is known to be ours.
    list(&at, &before.files.union(&now).cloned().collect())?;
    for (path, bytes) in files {
        write(&folder.join(path), bytes)?;
    }
    let mut removed = 0;
    for gone in before.files.difference(&now).filter(|path| is_inside(path) && !is_astray(path)) {
        let path = folder.join(gone);
        // Somebody put something else there.
        if path.is_file() && other_than_a_file(&path).is_none() {
            LocalDisk.remove(&path).map_err(|source| StoreError::Write { path, source })?;
            removed += 1;
        }
    }
    list(&at, &now)?;
    Ok(removed)
}

fn list(at: &Utf8Path, files: &BTreeSet<String>) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&Manifest { files: files.clone() }).unwrap_or_default();
    write(at, (text + "\n").as_bytes())
}

/// A list that somebody changed must not lead us out of the folder.
fn is_inside(path: &str) -> bool {
    Utf8Path::new(path).components().all(|part| matches!(part, Utf8Component::Normal(_)))
}

/// Returns whether a folder between ours and a file is a link, or no folder.
fn leads_out(folder: &Utf8Path, path: &Utf8Path) -> bool {
    let between = path.ancestors().skip(1).filter(|part| !part.as_str().is_empty());
    between.map(|part| folder.join(part)).any(|part| part.symlink_metadata().is_ok_and(|found| !found.is_dir()))
}

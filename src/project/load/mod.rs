//! Finds a project's root, reads its files and makes one value of them.
//!
//! One file here for each kind of project file. Names are settled first, from the paths alone, so that a file which
//! cannot be read is one mistake and not also a missing name in every file that mentions it.

mod bound;
mod check;
mod column;
mod condition;
mod dictionary;
mod erased;
mod explode;
mod files;
mod format;
mod job;
mod metric;
mod model;
mod names;
mod partition;
mod reference;
mod rest;
mod rule;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod value;

use camino::{Utf8Path, Utf8PathBuf};

pub use self::files::read_inside;
pub use self::source::contract;
pub use self::value::{NAME_RULE, is_name, parse_duration, parse_size};

use self::names::Names;
use super::Project;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};
use crate::digest::Digest;
use crate::stamp::Stamp;

/// The file that marks a project's root.
const SETTINGS: &str = "opsmart.toml";

/// Returns the nearest folder at or above `from` that has an `opsmart.toml`, as an absolute path.
///
/// # Errors
/// E0101 when there is none.
pub fn find_root(from: &Utf8Path) -> Result<Utf8PathBuf, Diagnostics> {
    let absolute = from.canonicalize_utf8().map_err(|error| no_folder(from, &error))?;
    absolute
        .ancestors()
        .find(|folder| folder.join(SETTINGS).is_file())
        .map(Utf8Path::to_owned)
        .ok_or_else(|| no_project(from))
}

/// Reads the project in `root`, with the settings of the environment `env` when one is chosen.
///
/// # Errors
/// Every mistake that the project's files alone show.
pub fn load(root: &Utf8Path, env: Option<&str>) -> Result<Project, Diagnostics> {
    if root.join(SETTINGS).symlink_metadata().is_err() {
        return Err(no_project(".".into()));
    }
    let mut found = Diagnostics::default();
    let names = Names::settle(root, &mut found);
    let settings = files::read(root, SETTINGS.into(), &mut found)
        .file
        .and_then(|file| settings::read(&file, env, &names, &mut found));
    let mut sources = source::read_all(&names, settings.as_ref(), &mut found);
    names.erased.iter().for_each(|file| erased::read(file, &mut sources, &mut found));
    reference::check(&sources, &names, &mut found);
    let contracts = model::read_all(&names, settings.as_ref(), &mut found);
    let metrics = metric::read_all(&names, &mut found);
    let jobs = job::read_all(root, &names, &mut found);
    let dictionary = names.dictionary.as_ref().map(|file| dictionary::read(file, &mut found)).unwrap_or_default();
    // Without settings there has been a mistake, which `into_result` gives back.
    let Some(settings) = settings else { return Err(found.into_result(()).err().unwrap_or_default()) };
    let root = root.to_owned();
    let Names { models, functions, .. } = names;
    found.into_result(Project { root, settings, sources, models, functions, contracts, metrics, jobs, dictionary })
}

/// Returns the folder of the warehouse as `opsmart.toml` alone tells it; nothing where that takes a whole reading of the
/// project to say, mistakes included.
#[must_use]
pub fn warehouse(root: &Utf8Path, env: Option<&str>) -> Option<Utf8PathBuf> {
    let settings: toml::Table = std::fs::read_to_string(root.join(SETTINGS)).ok()?.parse().ok()?;
    let chosen = match env {
        Some(env) => settings.get("env")?.get(env)?.get("warehouse"),
        None => None,
    };
    let folder = match chosen.or_else(|| settings.get("warehouse")) {
        Some(folder) => folder.as_str()?,
        None => super::settings::WAREHOUSE,
    };
    Some(root.join(folder))
}

/// Returns a stamp of everything that [`load`] reads in `root`; nothing where there can be none.
#[must_use]
pub fn stamp(root: &Utf8Path) -> Option<Digest> {
    let mut stamp = Stamp::now();
    stamp.add(SETTINGS, &root.join(SETTINGS).symlink_metadata().ok()?);
    for folder in ["jobs", "schemas", "sql"] {
        files::stamp(root, Utf8Path::new(folder), &mut stamp).ok()?;
    }
    stamp.digest()
}

fn no_folder(folder: &Utf8Path, error: &std::io::Error) -> Diagnostics {
    let message = match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no folder `{folder}`"),
        _ => format!("the folder `{folder}` cannot be entered: {error}"),
    };
    Diagnostic::new(Code::NoProject, SourceFile::new(folder.as_str(), "").whole(), message)
        .help("name a project's folder with --project-dir, or `OPSMART_PROJECT_DIR`")
        .into()
}

fn no_project(folder: &Utf8Path) -> Diagnostics {
    let folder = if folder == "." { "this folder".to_owned() } else { format!("`{folder}`") };
    let message = format!("there is no `{SETTINGS}` in {folder} or any folder above it");
    Diagnostic::new(Code::NoProject, SourceFile::new(SETTINGS, "").whole(), message)
        .help("change into a project's folder, name one with --project-dir, or begin one with `opsmart init`")
        .into()
}

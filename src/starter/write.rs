//! Writes new files, all or none, and never over what is there.

use std::fs::{self, File};
use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};

/// A project file that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Where it goes, relative to the project.
    pub path: Utf8PathBuf,
    /// What it says.
    pub text: String,
}

impl NewFile {
    /// Holds `text` as what is to be written to `path`.
    pub fn new(path: impl Into<Utf8PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// Why new files were not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Some of them are there already.
    #[error("{} there already, and nothing is overwritten", exist(.0))]
    Exists(Vec<Utf8PathBuf>),
    /// A link leads out of the project.
    #[error("`{0}` leads out of the project")]
    Outside(Utf8PathBuf),
    /// The disk does not take one.
    #[error("cannot write `{path}`")]
    Disk {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn exist(paths: &[Utf8PathBuf]) -> String {
    const SHOWN: usize = 5;
    let mut names = paths.iter().take(SHOWN).map(|path| format!("`{path}`")).collect::<Vec<_>>();
    if paths.len() > SHOWN {
        names.push(format!("{} more", paths.len() - SHOWN));
    }
    format!("{} {}", names.join(", "), if paths.len() == 1 { "is" } else { "are" })
}

/// Writes `files` into `root`, which is made if it is not there.
///
/// # Errors
/// Every file that exists already, or the first that cannot be written; those written before it are removed again.
pub fn write_new(root: &Utf8Path, files: &[NewFile]) -> Result<(), WriteError> {
    let there = files.iter().map(|file| &file.path).filter(|path| root.join(path).symlink_metadata().is_ok());
    let there = there.cloned().collect::<Vec<_>>();
    if !there.is_empty() {
        return Err(WriteError::Exists(there));
    }
    let mut made = Made::default();
    for file in files {
        if let Err(error) = write_one(root, file, &mut made) {
            made.take_back();
            return Err(error);
        }
    }
    Ok(())
}

/// What was put to the end of a file, for whoever has to take it back.
#[derive(Debug)]
#[must_use = "what does not work has to be taken back"]
pub struct Written {
    path: Utf8PathBuf,
    /// How long the file was; of one that was not there, nothing.
    before: Option<u64>,
}

impl Written {
    /// Leaves the file as it was. What cannot be undone stays.
    pub fn take_back(self) {
        match self.before {
            Some(length) => drop(File::options().write(true).open(&self.path).and_then(|file| file.set_len(length))),
            None => drop(fs::remove_file(&self.path)),
        }
    }
}

/// Puts `file` to the end of the one of its path below `root`, or writes it if there is none.
///
/// # Errors
/// When it cannot be written, and then the file is as it was.
pub fn append(root: &Utf8Path, file: &NewFile) -> Result<Written, WriteError> {
    let path = root.join(&file.path);
    if path.symlink_metadata().is_err() {
        write_new(root, std::slice::from_ref(file))?;
        return Ok(Written { path, before: None });
    }
    let disk = |source| WriteError::Disk { path: file.path.clone(), source };
    let real = |path: &Utf8Path| path.canonicalize_utf8().map_err(disk);
    if !real(&path)?.starts_with(real(root)?) {
        return Err(WriteError::Outside(file.path.clone()));
    }
    let text = fs::read_to_string(&path).map_err(disk)?;
    let line_end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let mut open = File::options().append(true).open(&path).map_err(disk)?;
    let written = Written { path, before: Some(text.len() as u64) };
    if let Err(error) = open.write_all(format!("{line_end}{}", file.text).as_bytes()) {
        written.take_back();
        return Err(disk(error));
    }
    Ok(written)
}

/// What has been made so far, in order.
#[derive(Default)]
struct Made {
    folders: Vec<Utf8PathBuf>,
    files: Vec<Utf8PathBuf>,
}

impl Made {
    /// Removes it all; what cannot be removed stays, for the first error is the one to tell.
    fn take_back(&self) {
        self.files.iter().for_each(|path| drop(fs::remove_file(path)));
        self.folders.iter().rev().for_each(|path| drop(fs::remove_dir(path)));
    }
}

fn write_one(root: &Utf8Path, file: &NewFile, made: &mut Made) -> Result<(), WriteError> {
    let path = root.join(&file.path);
    let disk = |source| WriteError::Disk { path: file.path.clone(), source };
    let folder = path.parent().unwrap_or(root);
    let missing = folder.ancestors().take_while(|folder| !folder.as_str().is_empty() && !folder.exists());
    for folder in missing.map(Utf8Path::to_owned).collect::<Vec<_>>().into_iter().rev() {
        fs::create_dir(&folder).map_err(disk)?;
        made.folders.push(folder);
    }
    let real = |path: &Utf8Path| path.canonicalize_utf8().map_err(disk);
    if !real(folder)?.starts_with(real(root)?) {
        return Err(WriteError::Outside(file.path.clone()));
    }
    let mut open = File::create_new(&path).map_err(disk)?;
    made.files.push(path);
    open.write_all(file.text.as_bytes()).map_err(disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        (folder, path)
    }

    #[test]
    fn folders_are_made_and_nothing_is_overwritten() {
        let (_kept, root) = folder();
        let files = [NewFile::new("a/b/c.sql", "select 1"), NewFile::new("d.toml", "")];
        write_new(&root.join("new"), &files).unwrap();
        assert_eq!(fs::read_to_string(root.join("new/a/b/c.sql")).unwrap(), "select 1");
        let error = write_new(&root.join("new"), &files).unwrap_err();
        assert_eq!(error.to_string(), "`a/b/c.sql`, `d.toml` are there already, and nothing is overwritten");
    }

    #[test]
    fn when_one_file_cannot_be_written_none_is_left() {
        let (_kept, root) = folder();
        fs::write(root.join("b"), "a file where a folder should be").unwrap();
        let files = [NewFile::new("a/x", "1"), NewFile::new("b/y", "2")];
        assert!(matches!(write_new(&root, &files).unwrap_err(), WriteError::Disk { path, .. } if path == "b/y"));
        assert!(!root.join("a").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed_out_of_the_project() {
        let ((_kept, root), (_other, elsewhere)) = (folder(), folder());
        std::os::unix::fs::symlink(&elsewhere, root.join("sql")).unwrap();
        let error = write_new(&root, &[NewFile::new("sql/a.sql", "")]).unwrap_err();
        assert_eq!(error.to_string(), "`sql/a.sql` leads out of the project");
        assert!(!elsewhere.join("a.sql").exists());
    }
}

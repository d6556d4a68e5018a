//! Walks the project's folders and reads their files; looks at nothing but their bytes.

use std::fs::{self, File};
use std::io::{self, Read};

use camino::{Utf8Path, Utf8PathBuf};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};
use crate::stamp::Stamp;

/// The largest project file that is read. People write these files, so a larger one is a mistake.
const FILE_BYTES: u64 = 1 << 20;

/// A file of the project.
pub(super) struct Leaf {
    /// Its path, relative to the root.
    pub(super) path: Utf8PathBuf,
    /// Its text, unless it could not be read.
    pub(super) file: Option<SourceFile>,
}

impl Leaf {
    /// Returns the file's name without folder and suffix.
    pub(super) fn stem(&self) -> &str {
        self.path.file_stem().unwrap_or_default()
    }

    /// Returns the file for mistakes that concern its name.
    pub(super) fn named(&self) -> SourceFile {
        self.file.clone().unwrap_or_else(|| SourceFile::new(self.path.clone(), ""))
    }
}

/// Reads one file of the project.
pub(super) fn read(root: &Utf8Path, path: Utf8PathBuf, found: &mut Diagnostics) -> Leaf {
    let file = match read_bytes(root, &path) {
        Ok(bytes) => text(&path, &bytes, found),
        Err(why) => {
            found.push(unreadable(&path, &why));
            None
        }
    };
    Leaf { path, file }
}

/// Returns the text of a file that is no part of the project as such, such as a test, by the same rules as any other: a
/// plain file of 1 MiB of UTF-8 at most, to which no link leads out of the project.
///
/// # Errors
/// Why it cannot be read, in words.
pub fn read_inside(root: &Utf8Path, path: &Utf8Path) -> Result<String, String> {
    let bytes = read_bytes(root, path)?;
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    str::from_utf8(bytes).map(str::to_owned).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// Returns every file below `folder` whose name ends in `.` and `suffix`, sorted by path; none when the folder does
/// not exist.
pub(super) fn below(root: &Utf8Path, folder: &str, suffix: &str, found: &mut Diagnostics) -> Vec<Leaf> {
    let mut walk = Walk { root, suffix, above: Vec::new(), leaves: Vec::new(), found };
    if root.join(folder).symlink_metadata().is_ok() {
        walk.enter(Utf8Path::new(folder));
    }
    walk.leaves
}

/// Adds everything below `folder` to `stamp`. A link has no stamp of its own: what it leads to may change.
pub(super) fn stamp(root: &Utf8Path, folder: &Utf8Path, stamp: &mut Stamp) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = folder.join(entry.file_name().to_string_lossy().as_ref());
        let found = entry.metadata()?;
        if found.is_symlink() {
            stamp.give_up();
        } else if found.is_dir() {
            self::stamp(root, &path, stamp)?;
        } else {
            stamp.add(path.as_str(), &found);
        }
    }
    Ok(())
}

struct Walk<'a> {
    root: &'a Utf8Path,
    suffix: &'a str,
    /// The real paths of the folders that are being read, so that links cannot lead in a circle.
    above: Vec<Utf8PathBuf>,
    leaves: Vec<Leaf>,
    found: &'a mut Diagnostics,
}

impl Walk<'_> {
    fn enter(&mut self, folder: &Utf8Path) {
        match self.names_in(folder) {
            Ok((real, names)) => {
                self.above.push(real);
                for name in names {
                    self.visit(folder.join(name));
                }
                self.above.pop();
            }
            Err(why) => self.found.push(unreadable(folder, &why)),
        }
    }

    fn names_in(&mut self, folder: &Utf8Path) -> Result<(Utf8PathBuf, Vec<String>), String> {
        let real = real_path(self.root, folder)?;
        if self.above.contains(&real) {
            return Err("it leads in a cycle".to_owned());
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&real).map_err(|error| words(&error))? {
            let name = entry.map_err(|error| words(&error))?.file_name();
            match name.into_string() {
                Ok(name) if name.starts_with('.') => {}
                Ok(name) => names.push(name),
                Err(name) => {
                    let path = folder.join(name.to_string_lossy().as_ref());
                    self.found.push(unreadable(&path, "its name is not UTF-8"));
                }
            }
        }
        names.sort_unstable();
        Ok((real, names))
    }

    fn visit(&mut self, path: Utf8PathBuf) {
        if self.root.join(&path).is_dir() {
            self.enter(&path);
        } else if path.extension() == Some(self.suffix) {
            self.leaves.push(read(self.root, path, self.found));
        }
    }
}

fn read_bytes(root: &Utf8Path, path: &Utf8Path) -> Result<Vec<u8>, String> {
    let full = real_path(root, path)?;
    // Opening a pipe would wait for a writer, so the kind is asked for first.
    if !fs::metadata(&full).map_err(|error| words(&error))?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(&full).map_err(|error| words(&error))?;
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| words(&error))?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err("it is larger than 1 MiB".to_owned());
    }
    Ok(bytes)
}

/// Returns where `path` is when all links are followed, which must not lead out of the project.
fn real_path(root: &Utf8Path, path: &Utf8Path) -> Result<Utf8PathBuf, String> {
    let real_root = root.canonicalize_utf8().map_err(|error| words(&error))?;
    let real = root.join(path).canonicalize_utf8().map_err(|error| words(&error))?;
    if real.starts_with(real_root) { Ok(real) } else { Err("it leads out of the project".to_owned()) }
}

fn text(path: &Utf8Path, bytes: &[u8], found: &mut Diagnostics) -> Option<SourceFile> {
    // Editors on Windows write a byte order mark, which SQL does not know.
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    match str::from_utf8(bytes) {
        Ok(text) => Some(SourceFile::new(path, text)),
        Err(error) => {
            let good = error.valid_up_to();
            let file = SourceFile::new(path, String::from_utf8_lossy(bytes).into_owned());
            let at = file.at(good..good + char::REPLACEMENT_CHARACTER.len_utf8());
            let message = format!("`{path}` is not UTF-8 text");
            let label = format!("the byte 0x{:02X}", bytes.get(good).copied().unwrap_or_default());
            found.push(Diagnostic::new(Code::Unreadable, at, message).label(label).help("save the file as UTF-8"));
            None
        }
    }
}

fn unreadable(path: &Utf8Path, why: &str) -> Diagnostic {
    let place = SourceFile::new(path, "").whole();
    Diagnostic::new(Code::Unreadable, place, format!("`{path}` cannot be read: {why}"))
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotADirectory => "it is not a folder".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::{folder, path};
    use super::*;

    fn problems(folder: &tempfile::TempDir) -> Vec<String> {
        let mut found = Diagnostics::default();
        below(path(folder), "sql", "sql", &mut found);
        found.iter().map(|d| d.message.clone()).collect()
    }

    #[test]
    fn files_come_sorted_and_others_are_left_alone() {
        let folder = folder([
            ("sql/b.sql", "b"),
            ("sql/a/z.sql", "z"),
            ("sql/.x.sql", "x"),
            ("sql/c.md", "c"),
            ("sql/.g/d.sql", "d"),
        ]);
        let mut found = Diagnostics::default();
        let leaves = below(path(&folder), "sql", "sql", &mut found);
        assert_eq!(leaves.iter().map(|leaf| leaf.path.as_str()).collect::<Vec<_>>(), ["sql/a/z.sql", "sql/b.sql"]);
        assert!(found.is_empty());
        assert!(below(path(&folder), "jobs", "toml", &mut found).is_empty() && found.is_empty());
    }

    #[test]
    fn what_is_not_text_is_shown_where_it_breaks() {
        let folder = folder([("sql/b.sql", "")]);
        fs::write(folder.path().join("sql/b.sql"), b"\xef\xbb\xbfselect 1 --\n \xe9t\xe9").unwrap();
        let mut found = Diagnostics::default();
        below(path(&folder), "sql", "sql", &mut found);
        let mistake = found.iter().next().unwrap();
        assert_eq!(mistake.at.line_column(), (2, 2));
        assert_eq!(mistake.label.as_deref(), Some("the byte 0xE9"));
    }

    #[test]
    fn a_large_file_is_refused() {
        let folder =
            folder([("sql/a.sql", " ".repeat(1 << 20).as_str()), ("sql/b.sql", " ".repeat((1 << 20) + 1).as_str())]);
        assert_eq!(problems(&folder), ["`sql/b.sql` cannot be read: it is larger than 1 MiB"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_inside_the_project() {
        use std::os::unix::fs::symlink;
        let other = folder([("secret.sql", "select 1")]);
        let folder = folder([("sql/a.sql", "select 1")]);
        let link = |to: &std::path::Path, name: &str| symlink(to, folder.path().join(name)).unwrap();
        link(&folder.path().join("sql/a.sql"), "sql/b.sql");
        assert_eq!(problems(&folder), [""; 0]);
        link(&other.path().join("secret.sql"), "sql/c.sql");
        link(other.path(), "sql/d");
        link(folder.path(), "sql/e");
        link(&folder.path().join("sql"), "sql/f");
        link("nowhere".as_ref(), "sql/g.sql");
        assert_eq!(
            problems(&folder),
            [
                "`sql/c.sql` cannot be read: it leads out of the project",
                "`sql/d` cannot be read: it leads out of the project",
                "`sql/e/sql` cannot be read: it leads in a cycle",
                "`sql/f` cannot be read: it leads in a cycle",
                "`sql/g.sql` cannot be read: it does not exist",
            ]
        );
    }
}

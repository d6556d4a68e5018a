//! Where files of a kind land, told from one of them.

use camino::{Utf8Path, Utf8PathBuf};

use crate::project::{LandingPattern, Project};

/// Where a file is, and where files of its kind land.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// What `from` of the contract says.
    pub from: String,
    /// Where the file has to be put, if it is not in reach of that yet.
    pub put_into: Option<Utf8PathBuf>,
    /// How many other files in its folder match as well.
    pub others: usize,
}

impl Landing {
    pub(super) fn of(project: &Project, name: &str, path: &Utf8Path) -> Self {
        let file = path.file_name().unwrap_or(name);
        let pattern = pattern(file);
        let is_in_place = |from: &str, folder: &Utf8Path| {
            let filled = fill(project, from);
            let seen = folder.join(file);
            LandingPattern::parse(&filled).is_ok_and(|pattern| pattern.matches(seen.as_str()).is_some())
        };
        // A link is not followed out of the landing folder, so the file is looked for where it really is.
        if let Some(real) = path.canonicalize_utf8().ok().filter(|real| real.file_name() == Some(file)) {
            for (folder, written) in folders(project) {
                let Ok(root) = project.root.join(&folder).canonicalize_utf8() else { continue };
                let Some(inside) = real.parent().and_then(|parent| parent.strip_prefix(&root).ok()) else { continue };
                // What means something in a pattern cannot be written in one.
                if inside.as_str().contains(['{', '}', '*']) {
                    continue;
                }
                let from = written.join(inside).join(&pattern).into_string();
                if is_in_place(&from, &folder.join(inside)) {
                    let others = others(&real, &pattern);
                    return Self { from, put_into: None, others };
                }
            }
        }
        let (folder, written) = folders(project).remove(0);
        let (folder, written) =
            if folder.as_str().is_empty() { ("landing".into(), "landing".into()) } else { (folder, written) };
        let from = written.join(name).join(&pattern).into_string();
        Self { from, put_into: Some(folder.join(name)), others: 0 }
    }
}

/// Returns the folders in which files may land, as they are and as `from` names them: those of `[paths]`, `landing`
/// first, and the project itself.
fn folders(project: &Project) -> Vec<(Utf8PathBuf, Utf8PathBuf)> {
    let paths = &project.settings.paths;
    let mut folders: Vec<_> =
        paths.iter().map(|(name, path)| (Utf8PathBuf::from(path), Utf8PathBuf::from(format!("{{{name}}}")))).collect();
    folders.sort_by_key(|(_, written)| written != "{landing}");
    folders.push((Utf8PathBuf::new(), Utf8PathBuf::new()));
    folders
}

fn fill(project: &Project, from: &str) -> String {
    let paths = &project.settings.paths;
    paths.iter().fold(from.to_owned(), |text, (name, path)| text.replace(&format!("{{{name}}}"), path))
}

/// Returns a pattern for files called like this one: what counts or dates them may be anything.
fn pattern(file: &str) -> String {
    let mut pattern = String::new();
    let mut rest = file.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_ascii_digit() || matches!(c, '{' | '}' | '*') {
            // Two in a row would cross folders.
            if !pattern.ends_with('*') {
                pattern.push('*');
            }
            // Digits with single marks between them are one date or number.
            loop {
                let mut ahead = rest.clone();
                match (ahead.next(), ahead.next()) {
                    (Some(next), _) if next.is_ascii_digit() => drop(rest.next()),
                    (Some('-' | '_' | 'T'), Some(digit)) if digit.is_ascii_digit() => drop(rest.next()),
                    _ => break,
                }
            }
        } else {
            pattern.push(c);
        }
    }
    pattern
}

/// Returns how many files beside `path` match as well.
fn others(path: &Utf8Path, pattern: &str) -> usize {
    let Ok(pattern) = LandingPattern::parse(pattern) else { return 0 };
    let beside = path.parent().and_then(|folder| folder.read_dir_utf8().ok()).into_iter().flatten().flatten();
    beside.filter(|entry| entry.path() != path && pattern.matches(entry.file_name()).is_some()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_numbers_of_a_name_may_be_anything() {
        assert_eq!(pattern("tickets-2024-01.ndjson.gz"), "tickets-*.ndjson.gz");
        assert_eq!(pattern("orders_20240131T0800_7.csv"), "orders_*.csv");
        assert_eq!(pattern("agents.csv"), "agents.csv");
        assert_eq!(pattern("v2-a{b}*.csv"), "v*-a*b*.csv");
    }
}

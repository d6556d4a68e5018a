//! Where files land: a path with wildcards and captures.
//!
//! `{landing}/tickets/{region}/tickets-*.ndjson.gz` names a folder from `[paths]`, captures a column's value and
//! matches any run of characters inside one folder. `{#}` matches a number or a date, `**` crosses folders. Nothing else
//! is special.

use std::fmt;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use regex::Regex;

/// A pattern of landed files, with the names of `[paths]` filled in.
///
/// - `folder` has no wildcard: it is the deepest folder that all matches share.
/// - A path matches as a whole, and never through `..`.
#[derive(Debug, Clone)]
pub struct LandingPattern {
    text: String,
    folder: Utf8PathBuf,
    regex: Regex,
    captures: Vec<String>,
}

/// What stands in braces for digits, with single `-`, `_` or `T` between them and a `Z` after them: `2024-01`,
/// `20240131T0800Z`, `7`.
const NUMBER: &str = "#";

/// Why a pattern cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A `{` without its `}`, or nothing between them.
    #[error("a `{{` that is not closed by a name and `}}`")]
    Brace,
    /// `..` in the path.
    #[error("`..` leaves the folder that files land in")]
    Parent,
    /// A name captured twice.
    #[error("`{{{0}}}` stands in it twice")]
    Twice(String),
    /// A scheme that this build cannot open.
    #[error("`{0}://` is not a place that this build can read; land the files on a local disk")]
    Scheme(String),
    /// Nothing but wildcards or an empty text.
    #[error("it names no file")]
    Empty,
}

impl LandingPattern {
    /// Reads `text`, in which names of `[paths]` have already been filled in.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(PatternError::Scheme(scheme.to_owned()));
        }
        if text.is_empty() || text.ends_with('/') {
            return Err(PatternError::Empty);
        }
        if text.split('/').any(|part| part == "..") {
            return Err(PatternError::Parent);
        }
        // Names may have line ends in them; what they are in the way of is said by the listing.
        let mut regex = String::from("(?s)^");
        let mut captures = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("**/") {
                regex.push_str("(?:.*/)?");
                rest = after;
            } else if let Some(after) = rest.strip_prefix("**") {
                regex.push_str(".*");
                rest = after;
            } else if let Some(after) = rest.strip_prefix('*') {
                regex.push_str("[^/]*");
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or(PatternError::Brace)?;
                if name == NUMBER {
                    regex.push_str("[0-9]+(?:[-_T][0-9]+)*Z?");
                    rest = after;
                    continue;
                }
                if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                    return Err(PatternError::Brace);
                }
                if captures.iter().any(|known| known == name) {
                    return Err(PatternError::Twice(name.to_owned()));
                }
                regex.push_str(&format!("(?P<c{}>[^/]+)", captures.len()));
                captures.push(name.to_owned());
                rest = after;
            } else {
                regex.push_str(&regex::escape(&first.to_string()));
                rest = &rest[first.len_utf8()..];
            }
        }
        regex.push('$');
        let special = text.find(['*', '{']).unwrap_or(text.len());
        let folder =
            text[..special].rsplit_once('/').map_or("", |(folder, _)| if folder.is_empty() { "/" } else { folder });
        let regex = Regex::new(&regex).map_err(|_| PatternError::Brace)?;
        Ok(Self { text: text.to_owned(), folder: folder.into(), regex, captures })
    }

    /// Returns the deepest folder without wildcards, `""` for the project's own folder.
    #[must_use]
    pub fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    /// Returns whether a part of the pattern stands for folders of any depth.
    #[must_use]
    pub fn crosses_folders(&self) -> bool {
        self.text.contains("**")
    }

    /// Returns the names that the pattern captures, in order.
    #[must_use]
    pub fn captures(&self) -> &[String] {
        &self.captures
    }

    /// Returns the captured values of a path that matches, in the order of [`Self::captures`].
    #[must_use]
    pub fn matches(&self, path: &str) -> Option<Vec<String>> {
        let found = self.regex.captures(path)?;
        Some((0..self.captures.len()).map(|n| found[format!("c{n}").as_str()].to_owned()).collect())
    }
}

impl fmt::Display for LandingPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// When a landed file is taken for whole: what a contract says of files that are still being written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// How long ago it must have been written to; zero for no matter when.
    pub settled: Duration,
    /// What must lie beside it.
    pub marker: Option<Marker>,
}

/// The name of an empty file that says of another one, or of all in its folder, that it is whole.
///
/// - Stands in the folder of the file that it is about.
/// - Is told by its path alone, so that a marker is never taken for a landed file, whatever the pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// The file's own path with this after it.
    OfFile(String),
    /// This name in the file's folder.
    OfFolder(String),
}

impl Marker {
    /// Reads `{path}.done`, or `{folder}/_SUCCESS`; nothing if it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_part = |part: &str| !part.is_empty() && !part.contains(['/', '{', '}', '*', '\0', '\n', '\r']);
        if let Some(after) = text.strip_prefix("{path}") {
            return is_part(after).then(|| Self::OfFile(after.to_owned()));
        }
        let name = text.strip_prefix("{folder}/")?;
        (is_part(name) && name != "." && name != "..").then(|| Self::OfFolder(name.to_owned()))
    }

    /// Returns the path of the marker of the file at `path`.
    #[must_use]
    pub fn of(&self, path: &str) -> String {
        match self {
            Self::OfFile(after) => format!("{path}{after}"),
            Self::OfFolder(name) => match path.rsplit_once('/') {
                Some((folder, _)) => format!("{folder}/{name}"),
                None => name.clone(),
            },
        }
    }

    /// Returns whether what stands at `path` is a marker.
    #[must_use]
    pub fn is(&self, path: &str) -> bool {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        match self {
            Self::OfFile(after) => name.ends_with(after),
            Self::OfFolder(marker) => name == marker,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stay_in_their_folder_and_captures_give_values() {
        let pattern = LandingPattern::parse("in/{region}/t-*.csv").unwrap();
        assert_eq!(pattern.folder(), "in");
        assert_eq!(pattern.matches("in/eu/t-1.csv"), Some(vec!["eu".to_owned()]));
        assert_eq!(pattern.matches("in/eu/x/t-1.csv"), None);
        assert_eq!(pattern.matches("in/eu/t-1.csv.gz"), None);
        assert!(LandingPattern::parse("in/**/a.csv").unwrap().matches("in/x/y/a.csv").is_some());
        assert!(LandingPattern::parse("in/**/a.csv").unwrap().matches("in/a.csv").is_some());
        assert!(LandingPattern::parse("in/**/a*.csv").unwrap().matches("in/x\ny/a\n.csv").is_some());
    }

    #[test]
    fn a_number_or_a_date_is_no_word() {
        let pattern = LandingPattern::parse("in/{region}/t_{#}.csv").unwrap();
        assert_eq!((pattern.folder().as_str(), pattern.captures()), ("in", &["region".to_owned()][..]));
        for name in ["7", "2024-01", "2024_01_31", "20240131T0800Z", "2024-01-31T08-00-00_2"] {
            assert_eq!(pattern.matches(&format!("in/eu/t_{name}.csv")), Some(vec!["eu".to_owned()]), "{name}");
        }
        for name in ["", "comments_2024-01", "2024-01_comments", "x", "2024--01", "-1", "1-", "1Z2", "1/2"] {
            assert_eq!(pattern.matches(&format!("in/eu/t_{name}.csv")), None, "{name}");
        }
        let twice = LandingPattern::parse("in/{#}/{#}.csv").unwrap();
        assert!(twice.matches("in/2024/01.csv").is_some() && twice.matches("in/a/01.csv").is_none());
    }

    #[test]
    fn a_marker_stands_beside_its_file_and_is_no_file_itself() {
        let of_file = Marker::parse("{path}.done").unwrap();
        assert_eq!(of_file.of("in/a.csv"), "in/a.csv.done");
        assert!(of_file.is("in/a.csv.done") && !of_file.is("in/a.csv") && !of_file.is("in.done/a.csv"));
        let of_folder = Marker::parse("{folder}/_SUCCESS").unwrap();
        assert_eq!((of_folder.of("in/x/a.csv"), of_folder.of("a.csv")), ("in/x/_SUCCESS".into(), "_SUCCESS".into()));
        assert!(of_folder.is("in/_SUCCESS") && of_folder.is("_SUCCESS") && !of_folder.is("in/my_SUCCESS"));
        for text in [
            "",
            "done",
            "{path}",
            "{path}/done",
            "{folder}",
            "{folder}/..",
            "{folder}/a/b",
            "{folder}/*",
            "x{path}.done",
            "{path}{path}",
        ] {
            assert_eq!(Marker::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_pattern_cannot_leave_its_folder() {
        assert_eq!(LandingPattern::parse("in/../../etc/*").unwrap_err(), PatternError::Parent);
        assert_eq!(LandingPattern::parse("s3://b/*").unwrap_err(), PatternError::Scheme("s3".into()));
        assert_eq!(LandingPattern::parse("in/{a}/{a}.csv").unwrap_err(), PatternError::Twice("a".into()));
    }
}

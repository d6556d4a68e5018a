//! A located mistake in a project file, and the collector of them.
//!
//! Every mistake that a person can make in a project is one [`Diagnostic`]: a code, a message, the place in the text
//! that the person wrote, and what to do about it. Stages collect all of them before they give up, so one `check`
//! shows everything that is wrong. Rendering is pure; printing is left to `cli`.
//!
//! This module knows nothing of projects, SQL or TOML beyond byte ranges in text.

mod code;
mod render;

use std::ops::Range;
use std::sync::Arc;

use camino::Utf8PathBuf;

pub use code::Code;

/// The text of one project file, shared by everything that may point into it.
///
/// - `path` is relative to the project's root and uses `/`.
/// - `text` never changes after the file has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where the file is, relative to the project's root.
    pub path: Utf8PathBuf,
    /// What it says.
    pub text: Arc<str>,
}

impl SourceFile {
    /// Holds `text` as the content of `path`.
    pub fn new(path: impl Into<Utf8PathBuf>, text: impl Into<Arc<str>>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Returns the place of `bytes` in this file; a range beyond the text is cut to it, and one that begins or ends
    /// inside a character is moved to its start.
    #[must_use]
    pub fn at(&self, bytes: Range<usize>) -> Place {
        let end = self.text.floor_char_boundary(bytes.end);
        let start = self.text.floor_char_boundary(bytes.start).min(end);
        Place { file: self.clone(), bytes: start..end }
    }

    /// Returns the place of the whole file, for mistakes that have no better one. Its text is not shown.
    #[must_use]
    pub fn whole(&self) -> Place {
        self.at(0..0)
    }

    /// Returns the byte offset of a 1-based line and column, columns counted in characters.
    #[must_use]
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
        let rest = &self.text[start..];
        start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
    }
}

/// A range of bytes in a project file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: SourceFile,
    /// The bytes in its text.
    pub bytes: Range<usize>,
}

impl Place {
    /// Returns whether this is a file as a whole, by [`SourceFile::whole`].
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bytes == (0..0)
    }

    /// Returns the 1-based line and column (in characters) where the range starts.
    #[must_use]
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.file.text[..self.bytes.start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

/// One mistake, with everything that a person needs to mend it.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Which kind of mistake it is.
    pub code: Code,
    /// What is wrong: a lower-case fragment with names in backticks.
    pub message: String,
    /// Where it is.
    pub at: Place,
    /// A few words under the caret.
    pub label: Option<String>,
    /// Other places that belong to it, each with its words.
    pub related: Vec<(Place, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Makes a diagnostic without label and help.
    pub fn new(code: Code, at: Place, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), at, label: None, related: Vec::new(), help: None }
    }

    /// Adds the words under the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds another place that belongs to the mistake.
    #[must_use]
    pub fn related(mut self, at: Place, words: impl Into<String>) -> Self {
        self.related.push((at, words.into()));
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds what to do, where there is something to say.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

/// All mistakes found so far, in the order of their files and places.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many mistakes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns them one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Gives back `value` when nothing is wrong, else every mistake, sorted by file and place and without repeats.
    ///
    /// # Errors
    /// The collected mistakes, when there are any.
    pub fn into_result<T>(mut self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.sort();
        Err(self)
    }

    /// Sorts by file and place, and leaves repeats out.
    pub fn sort(&mut self) {
        let key = |d: &Diagnostic| (d.at.file.path.clone(), d.at.bytes.start, d.code, d.message.clone());
        self.0.sort_by_key(key);
        self.0.dedup_by_key(|d| key(d));
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

/// Returns "did you mean …?" for the candidate nearest to `word`, when one is near enough to be a slip.
///
/// Distance is Damerau–Levenshtein; a third of the word's length, at least one edit, is near enough.
#[must_use]
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// Returns the candidate nearest to `word`, when one is near enough to be a slip.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let reach = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= reach)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_knows_its_line_and_column_in_characters() {
        let file = SourceFile::new("a.sql", "select 1\nfrom 订单 x\n");
        let start = file.text.find('x').unwrap();
        assert_eq!(file.at(start..start + 1).line_column(), (2, 9));
        assert_eq!(file.offset(2, 9), start);
    }

    #[test]
    fn any_range_gives_a_place_that_can_be_shown() {
        let file = SourceFile::new("a.sql", "订单");
        for start in 0..9 {
            for end in 0..9 {
                let place = file.at(start..end);
                assert!(file.text.get(place.bytes.clone()).is_some());
                assert!(place.line_column() >= (1, 1));
            }
        }
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let names = ["stg_tickets", "stg_agents"];
        assert_eq!(did_you_mean("stg_tikets", names).as_deref(), Some("did you mean `stg_tickets`?"));
        assert_eq!(did_you_mean("orders", names), None);
    }
}

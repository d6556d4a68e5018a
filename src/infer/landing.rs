//! Where files of a kind land, told from one of them.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use crate::ingest::quoted;
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
    /// What only a person can tell of the files beside it.
    pub(super) questions: Vec<String>,
}

/// Returns what a file calls its fields, if that can be told.
pub(super) type NamesOf<'a> = &'a dyn Fn(&Utf8Path) -> Option<Vec<String>>;

impl Landing {
    /// Tells it of the file at `path`, whose fields are `fields`. What files beside it are is told by the names of
    /// theirs.
    pub(super) fn of(project: &Project, name: &str, path: &Utf8Path, fields: &[String], names_of: NamesOf<'_>) -> Self {
        let file = path.file_name().unwrap_or(name);
        let usual = pattern(file);
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
                let beside = beside(&real, &usual, fields, names_of);
                let from = written.join(inside).join(&beside.pattern).into_string();
                if is_in_place(&from, &folder.join(inside)) {
                    return Self { from, put_into: None, others: beside.others, questions: beside.questions };
                }
            }
        }
        let (folder, written) = folders(project).remove(0);
        let (folder, written) =
            if folder.as_str().is_empty() { ("landing".into(), "landing".into()) } else { (folder, written) };
        let from = written.join(name).join(&usual).into_string();
        Self { from, put_into: Some(folder.join(name)), others: 0, questions: Vec::new() }
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

/// Returns a pattern for files called like this one: what counts or dates them may be any number or date, and what names
/// them at random any text.
fn pattern(file: &str) -> String {
    const PACKED: [&str; 6] = [".gz", ".zst", ".bz2", ".xz", ".zip", ".7z"];
    let packed = PACKED.into_iter().find(|end| file.to_ascii_lowercase().ends_with(end)).map_or(0, str::len);
    let (name, packed) = file.split_at(file.len() - packed);
    let mut pattern = String::new();
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let is_start = !pattern.ends_with(|c: char| c.is_ascii_alphanumeric());
        let random = if is_start { random(rest) } else { 0 };
        if random > 0 || matches!(c, '{' | '}' | '*') {
            // Two in a row would cross folders.
            if !pattern.ends_with('*') {
                pattern.push('*');
            }
            rest = &rest[random.max(c.len_utf8())..];
        } else if c.is_ascii_digit() {
            pattern.push_str("{#}");
            rest = &rest[number(rest)..];
        } else {
            pattern.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    pattern + packed
}

/// Returns how long the number or date is with which a text begins: digits with single marks between them.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    let goes_on = |at: usize| is_digit(at + 1) && random(&text[at + 1..]) == 0;
    while is_digit(end) || matches!(bytes.get(end), Some(b'-' | b'_' | b'T')) && goes_on(end) {
        end += 1;
    }
    let is_zulu = bytes.get(end) == Some(&b'Z') && !bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
    end + usize::from(is_zulu)
}

/// Returns how long the part made at random is with which a text begins, such as `3f2a9b1c` or a UUID; zero if there is
/// none.
fn random(text: &str) -> usize {
    const SHORTEST: usize = 8;
    let hex = |text: &str| text.bytes().take_while(u8::is_ascii_hexdigit).count();
    let uuid: usize = {
        let mut rest = text;
        let parts = [8, 4, 4, 4, 12];
        let is_uuid = parts.iter().enumerate().all(|(at, &length)| {
            let is_part = hex(rest) == length;
            rest = rest.get(length..).unwrap_or_default();
            let is_last = at + 1 == parts.len();
            if !is_last {
                let Some(after) = rest.strip_prefix('-') else { return false };
                rest = after;
            }
            is_part
        });
        if is_uuid { 36 } else { 0 }
    };
    if uuid > 0 {
        return uuid;
    }
    let length = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let part = &text[..length];
    let (has_digit, has_letter) =
        (part.contains(|c: char| c.is_ascii_digit()), part.contains(|c: char| c.is_ascii_alphabetic()));
    let is_random = length >= SHORTEST && hex(part) == length && has_digit && has_letter;
    if is_random { length } else { 0 }
}

/// What the files beside one say of a pattern.
struct Beside {
    pattern: String,
    others: usize,
    questions: Vec<String>,
}

/// How many files beside one are looked into.
const MOST_BESIDE: usize = 30;

/// How many are named.
const SHOWN: usize = 3;

/// Looks at the files beside `path` that match `usual`, and at those that nearly do. Where one of them has other fields,
/// it is of another feed, and the pattern keeps it out.
fn beside(path: &Utf8Path, usual: &str, fields: &[String], names_of: NamesOf<'_>) -> Beside {
    let file = path.file_name().unwrap_or_default();
    let alone = if file.contains(['{', '}', '*']) { usual } else { file };
    let loose = usual.replace("{#}", "*").replace("**", "*");
    let (tight, wide) = (LandingPattern::parse(usual), LandingPattern::parse(&loose));
    let (Ok(tight), Ok(wide)) = (tight, wide) else {
        return Beside { pattern: usual.to_owned(), others: 0, questions: Vec::new() };
    };
    let folder = path.parent().and_then(|folder| folder.read_dir_utf8().ok()).into_iter().flatten().flatten();
    let mut names: Vec<String> = folder
        .filter(|entry| entry.path() != path && entry.file_type().is_ok_and(|kind| !kind.is_dir()))
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| wide.matches(name).is_some())
        .collect();
    names.sort();
    let (matching, near): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| tight.matches(name).is_some());
    let fields_of = |name: &String| names_of(&path.with_file_name(name));
    let kin = |name: &String| fields_of(name).map(|others| kinship(fields, &others));
    let mut questions = Vec::new();
    let looked: Vec<_> = matching.iter().take(MOST_BESIDE).map(|name| (name, kin(name))).collect();
    let strange: Vec<&String> =
        looked.iter().filter(|(_, kin)| *kin == Some(Kinship::None)).map(|(name, _)| *name).collect();
    let drifted: Vec<&String> =
        looked.iter().filter(|(_, kin)| *kin == Some(Kinship::Grown)).map(|(name, _)| *name).collect();
    if !strange.is_empty() && alone != usual {
        questions.push(format!(
            "`from` names this file alone, because {} would match, too, with other columns: which files are of this feed?",
            listed(&strange)
        ));
        return Beside { pattern: alone.to_owned(), others: 0, questions };
    }
    if !strange.is_empty() {
        questions.push(format!("`from` matches {}, with other columns: narrow it", listed(&strange)));
    }
    if !drifted.is_empty() {
        questions.push(format!("`from` matches {}, with more or fewer columns: of this feed?", listed(&drifted)));
    }
    let alike: Vec<&String> = near.iter().take(MOST_BESIDE).filter(|name| kin(name) == Some(Kinship::Same)).collect();
    if !alike.is_empty() {
        questions.push(format!("`from` does not match {}, with the same columns: of this feed?", listed(&alike)));
    }
    Beside { pattern: usual.to_owned(), others: matching.len(), questions }
}

/// How the fields of two files go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kinship {
    /// They are the same, in whatever order.
    Same,
    /// One file has all of the other's, which are at least half of its own.
    Grown,
    /// The files are of different feeds.
    None,
}

fn kinship(one: &[String], other: &[String]) -> Kinship {
    let set = |fields: &[String]| fields.iter().map(|field| field.trim().to_lowercase()).collect::<BTreeSet<_>>();
    let (one, other) = (set(one), set(other));
    let both = one.intersection(&other).count();
    let (least, most) = (one.len().min(other.len()), one.len().max(other.len()));
    if both == most {
        Kinship::Same
    } else if both == least && both * 2 >= most {
        Kinship::Grown
    } else {
        Kinship::None
    }
}

fn listed(names: &[&String]) -> String {
    let shown = names.iter().take(SHOWN).map(|name| quoted(name.as_bytes())).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_numbers_of_a_name_may_be_any() {
        for (file, expected) in [
            ("tickets-2024-01.ndjson.gz", "tickets-{#}.ndjson.gz"),
            ("tickets_2024-01.csv.bz2", "tickets_{#}.csv.bz2"),
            ("orders_20240131T0800_7.csv", "orders_{#}.csv"),
            ("orders_20240131T080000Z.csv", "orders_{#}.csv"),
            ("agents.csv", "agents.csv"),
            ("v2-a{b}*.csv", "v{#}-a*b*.csv"),
            ("export-3f2a9b1c.csv", "export-*.csv"),
            ("part-00000-6c1f2a3b-0d4e-4f5a-8b6c-7d8e9f0a1b2c-c000.csv", "part-{#}-*-c{#}.csv"),
            ("q1.csv", "q{#}.csv"),
            ("deadbeef.csv", "deadbeef.csv"),
            ("7.csv", "{#}.csv"),
            ("订单2024年1月.csv", "订单{#}年{#}月.csv"),
        ] {
            assert_eq!(pattern(file), expected, "{file}");
            assert!(LandingPattern::parse(expected).unwrap().matches(file).is_some(), "{file}");
        }
    }

    #[test]
    fn feeds_are_told_apart_by_their_fields() {
        let fields = |names: &str| names.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let told = |one: &str, other: &str| kinship(&fields(one), &fields(other));
        assert_eq!(told("id at", "At id"), Kinship::Same);
        assert_eq!(told("id at", "id at body"), Kinship::Grown);
        assert_eq!(told("id at body", "id at"), Kinship::Grown);
        assert_eq!(told("id at", "id question answer"), Kinship::None);
        assert_eq!(told("id", "id a b c"), Kinship::None);
    }
}

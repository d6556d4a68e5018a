//! Whether a file is JSON, and if it is not one object a line, what it is instead.

use camino::Utf8Path;
use serde::de::IgnoredAny;
use serde_json::{Deserializer, Map, Value, from_slice};

use crate::ingest::quoted;

/// A file of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    /// One object a line.
    Lines,
    /// Something else, in words that follow the file's name, and what to do.
    Other { what: String, help: String },
}

/// Tells whether a file is JSON, from its name and from its beginning without white space before it.
///
/// A file that is called like JSON, or looks like it, is never taken for anything else: as CSV its first record would
/// become the names of columns.
pub(super) fn tell(path: &Utf8Path, text: &[u8], is_whole: bool) -> Option<Json> {
    let lines = Lines::of(text, is_whole);
    if lines.is_one_long_line && text.starts_with(b"{") {
        return Some(Json::Lines);
    }
    let is_object = |line: &[u8]| from_slice::<Map<String, Value>>(line).is_ok();
    let remark = lines.all.iter().take_while(|line| is_remark(line)).count();
    let objects = lines.all.iter().filter(|line| is_object(line)).count();
    // A broken line among objects is one record that cannot be read.
    if objects > 0 && objects * 2 >= lines.all.len() && remark == 0 {
        return Some(Json::Lines);
    }
    let first = *lines.all.get(remark)?;
    if !is_called_json(path) && !looks_like_json(first) {
        return None;
    }
    Some(other(text, is_whole, &lines, remark).unwrap_or_else(|| {
        let why = from_slice::<IgnoredAny>(first).err().map_or("no object".to_owned(), |error| error.to_string());
        let what = if is_called_json(path) { "is called like JSON" } else { "begins like JSON" };
        Json::Other {
            what: format!("{what}, but has not one object a line: {} is none ({why})", quoted(first)),
            help: "fix the file, or what writes it; if it is CSV, give it a name that says so".to_owned(),
        }
    }))
}

/// The lines of a beginning that are not blank.
struct Lines<'t> {
    all: Vec<&'t [u8]>,
    /// Whether there is nothing but the beginning of one.
    is_one_long_line: bool,
}

impl<'t> Lines<'t> {
    fn of(text: &'t [u8], is_whole: bool) -> Self {
        let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
        let is_one_long_line = lines.len() == 1 && !is_whole;
        // The last one may be cut off.
        if !is_whole && lines.len() > 1 {
            lines.pop();
        }
        let all = lines.into_iter().map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect();
        Self { all, is_one_long_line }
    }
}

fn is_called_json(path: &Utf8Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_ascii_lowercase();
    let packed = [".gz", ".zst", ".bz2", ".xz"].iter().find_map(|suffix| name.strip_suffix(suffix));
    let name = packed.unwrap_or(&name);
    [".json", ".jsonl", ".ndjson", ".jl", ".geojson"].iter().any(|suffix| name.ends_with(suffix))
}

fn is_remark(line: &[u8]) -> bool {
    line.starts_with(b"#") || line.starts_with(b"//")
}

/// Returns whether a line begins as objects and arrays of JSON, or of those who write nearly JSON, do.
fn looks_like_json(line: &[u8]) -> bool {
    let inside = line.get(1..).unwrap_or_default().trim_ascii_start();
    match line.first() {
        Some(b'{') => match inside.first() {
            None | Some(b'"' | b'}' | b'\'') => true,
            // A name without quotes.
            Some(byte) if byte.is_ascii_alphabetic() || *byte == b'_' => {
                let name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
                let end = inside.iter().position(|byte| !name(byte)).unwrap_or(inside.len());
                inside[end..].trim_ascii_start().starts_with(b":")
            }
            Some(_) => false,
        },
        Some(b'[') => {
            inside.is_empty()
                || matches!(inside[0], b'{' | b'[' | b'"')
                || from_slice::<IgnoredAny>(line.strip_suffix(b",").unwrap_or(line)).is_ok()
        }
        _ => false,
    }
}

/// Returns what a file is that is JSON and not one object a line.
fn other(text: &[u8], is_whole: bool, lines: &Lines<'_>, remark: usize) -> Option<Json> {
    let told = |what: &str, help: &str| Some(Json::Other { what: what.to_owned(), help: help.to_owned() });
    let share = |is: &dyn Fn(&[u8]) -> bool| {
        let body = &lines.all[remark..];
        body.iter().filter(|line| is(line)).count() * 2 > body.len()
    };
    if from_slice::<IgnoredAny>(text).is_ok() || !is_whole && begins_array(text) {
        let what = "is one JSON document, not one object a line";
        return if text.starts_with(b"[") {
            if from_slice::<Vec<Vec<IgnoredAny>>>(text).is_ok_and(|rows| !rows.is_empty()) {
                return told(what, "write one object a line, for example with `jq -c '.[] | {id: .[0], name: .[1]}'`");
            }
            told(what, "write one object a line, for example with `jq -c '.[]'`")
        } else {
            told(
                what,
                "write one object a line, for example with `jq -c .`, or `jq -c '.rows[]'` where its records are an array \
                 that is called `rows`",
            )
        };
    }
    if remark > 0 && share(&|line| from_slice::<Map<String, Value>>(line).is_ok()) {
        return Some(Json::Other {
            what: format!(
                "has a line before its objects that is no JSON: {}",
                quoted(lines.all.first().copied().unwrap_or_default())
            ),
            help: "take it out, for example with `grep '^{'`".to_owned(),
        });
    }
    if share(&|line| line.strip_suffix(b",").is_some_and(|object| from_slice::<Map<String, Value>>(object).is_ok())) {
        return told(
            "has a comma behind its objects, which one object a line has not",
            "take the commas out, for example with `sed 's/,[[:space:]]*$//'`, or, if all stands between `[` and `]`, with \
             `jq -c '.[]'`",
        );
    }
    if share(&|line| from_slice::<Vec<IgnoredAny>>(line.strip_suffix(b",").unwrap_or(line)).is_ok()) {
        return told(
            "has an array on each line, not one object",
            "make objects of them, for example with `jq -c '{id: .[0], name: .[1]}'`",
        );
    }
    if is_stream(text, is_whole) {
        return told(
            "is JSON, but not one object a line",
            "write one object a line, for example with `jq -c .`, or with `jq -c '.[]'` where it has arrays of objects",
        );
    }
    None
}

/// Returns whether a text begins as an array of objects or arrays does.
fn begins_array(text: &[u8]) -> bool {
    let Some(inside) = text.strip_prefix(b"[") else { return false };
    let inside = inside.trim_ascii_start();
    // Of arrays on lines of their own the first is over before the sample is.
    matches!(inside.first(), Some(b'{' | b'['))
        && Deserializer::from_slice(text)
            .into_iter::<IgnoredAny>()
            .next()
            .is_some_and(|value| value.is_err_and(|error| error.is_eof()))
}

/// Returns whether a text is values of JSON, one behind the other, as far as it goes.
fn is_stream(text: &[u8], is_whole: bool) -> bool {
    let mut values = 0;
    for value in Deserializer::from_slice(text).into_iter::<IgnoredAny>() {
        match value {
            Ok(_) => values += 1,
            Err(error) => return values > 0 && error.is_eof() && !is_whole || error.is_eof() && !is_whole,
        }
    }
    values > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, text: &str, expected: &str) {
        for is_whole in [true, false] {
            let found = tell(name.into(), text.as_bytes(), is_whole);
            let shown = match &found {
                None => "not JSON".to_owned(),
                Some(Json::Lines) => "lines".to_owned(),
                Some(Json::Other { what, help }) => format!("{what}; {help}"),
            };
            assert!(shown.contains(expected), "{name} {text:?} {is_whole}: {shown}");
        }
    }

    #[test]
    fn objects_on_lines_are_told_from_other_json() {
        for name in ["a.ndjson", "a.csv", "a"] {
            check(name, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", "lines");
            check(name, "{\"a\":1}\r\n\r\n{\"a\":2}\r\n{\"a\":3}\r\n", "lines");
            check(name, "{\"a\":1,}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n", "lines");
            check(name, "{\"a\":1},\n{\"a\":2},\n{\"a\":3},\n", "comma behind its objects");
            check(
                name,
                "# made\n{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n",
                "`# made`; take it out, for example with `grep '^{'`",
            );
            check(name, "[1,\"a\"]\n[2,\"b\"]\n[3,\"c\"]\n", "an array on each line");
            check(name, "{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}\n", "jq -c .");
            check(name, "{\"a\":1} {\"a\":2}\n{\"a\":3} {\"a\":4}\n", "jq -c .");
            check(name, "[\n{\"a\":1},\n{\"a\":2}\n]\n", "jq -c '.[]'");
            check(name, "{'a': 1}\n{'a': 2}\n", "has not one object a line: `{'a': 1}` is none");
            check(name, "{a: 1}\n{a: 2}\n", "has not one object a line");
        }
        check("a.json.gz", "id,name\n1,Lin\n", "is called like JSON, but has not one object a line: `id,name` is none");
        for text in ["id,name\n1,Lin\n", "{x},y\n{z},u\n", "[2024-01-01] start\n[2024-01-02] end\n", "#id,name\n1,a\n"]
        {
            check("a.csv", text, "not JSON");
        }
        let rows = tell("a.json".into(), b"[[1,\"a\"],[2,\"b\"]]", true);
        assert!(matches!(&rows, Some(Json::Other { help, .. }) if help.contains(".[] | {")), "{rows:?}");
    }
}

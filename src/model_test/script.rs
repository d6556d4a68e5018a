//! What a test says, and what of the format a test may not say.
//!
//! The format was made for tests of databases, which may do what they like to the machine that they run on. A test of
//! models is written by whoever writes models, and read by whoever reviews them: it can do no more than a model can.

use sqllogictest::{Control, DefaultColumnType, QueryExpect, Record};

/// What lets any rows pass.
const IGNORED: &str = "<slt:ignore>";

/// Reads a test: its records, each with the line on which it begins, where that is known.
///
/// # Errors
/// What cannot be read, what a test may not say, and a test that asks nothing.
pub(super) fn read(name: &str, text: &str) -> Result<Vec<(Record<DefaultColumnType>, u32)>, String> {
    let parsed = sqllogictest::parser::parse_with_name::<DefaultColumnType>(text, name);
    let records = parsed.map_err(|error| format!("{}: {}", error.location(), error.kind()))?;
    if let Some((line, what, why)) = records.iter().find_map(|record| refused(record, text)) {
        return Err(format!("{name}:{line}: `{what}` is not for tests of models: {why}"));
    }
    if !records.iter().any(|record| matches!(record, Record::Query { .. })) {
        return Err(format!(
            "{name}: asks nothing, so that it cannot fail: write a `query` and the rows that it returns"
        ));
    }
    let line = |record: &Record<DefaultColumnType>| match record {
        Record::Statement { loc, .. } | Record::Query { loc, .. } => loc.line(),
        _ => 0,
    };
    Ok(records.into_iter().map(|record| (line(&record), record)).map(|(line, record)| (record, line)).collect())
}

/// Returns line and words of a record that a test may not have, and why.
fn refused(record: &Record<DefaultColumnType>, text: &str) -> Option<(u32, String, &'static str)> {
    const ALONE: &str = "a test is one file: write into it what it gives";
    const CLOSED: &str = "it reads no variables but those of the project: `set name = value` sets one";
    const WHOLE: &str = "a test runs whole, wherever it runs";
    let told = |line: u32, what: &str, why| Some((line, what.to_owned(), why));
    // Of these the reader keeps no place.
    let found = |what: &str, why| {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let line = text.lines().position(|line| words(line) == words(&record.to_string())).unwrap_or_default();
        told(u32::try_from(line).unwrap_or_default() + 1, what, why)
    };
    match record {
        Record::Statement { loc, retry: Some(_), .. } | Record::Query { loc, retry: Some(_), .. } => {
            told(loc.line(), "retry", "what is asked twice has the same answer")
        }
        Record::Query { loc, expected: QueryExpect::Results { results, .. }, .. }
            if results.iter().any(|row| row.contains(IGNORED)) =>
        {
            told(loc.line(), IGNORED, "what a model returns is compared whole")
        }
        Record::Statement { .. } | Record::Query { .. } | Record::Subtest { .. } | Record::HashThreshold { .. } => None,
        Record::Comment(_) | Record::Newline => None,
        Record::Control(Control::SortMode(_) | Control::ResultMode(_) | Control::Substitution(false)) => None,
        Record::Control(_) => found("control substitution", CLOSED),
        Record::Let { loc, .. } => told(loc.line(), "let", CLOSED),
        Record::Include { loc, .. } => told(loc.line(), "include", ALONE),
        Record::System { loc, .. } => told(loc.line(), "system", "it runs no programs"),
        Record::Sleep { loc, .. } => told(loc.line(), "sleep", "it waits for nothing"),
        Record::Halt { loc } => told(loc.line(), "halt", WHOLE),
        Record::Condition(_) => found("onlyif and skipif", WHOLE),
        Record::Connection(_) => found("connection", "it has one session"),
        other => told(0, other.to_string().lines().next().unwrap_or_default(), "it is not understood here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKS: &str = "\nquery I\nselect 1\n----\n1\n";

    #[test]
    fn what_reaches_outside_or_cannot_fail_is_refused_at_its_line() {
        for (line, what) in [
            ("control substitution on", "control substitution"),
            ("include /etc/passwd", "include"),
            ("include ../../x.slt", "include"),
            ("system ok\ncat /etc/passwd", "system"),
            ("sleep 10s", "sleep"),
            ("halt", "halt"),
            ("skipif opsmart\n", "onlyif and skipif"),
            ("onlyif  other\n", "onlyif and skipif"),
            ("connection other\n", "connection"),
            ("let x\nselect 1\n", "let"),
            ("statement ok retry 3 backoff 5s\nselect 1\n", "retry"),
            ("query I retry 3 backoff 5s\nselect 1\n----\n1\n", "retry"),
            ("query I\nselect 1\n----\n<slt:ignore>\n", "<slt:ignore>"),
        ] {
            let told = read("a.slt", &format!("# x\n\n{line}\n{ASKS}")).unwrap_err();
            assert!(told.starts_with(&format!("a.slt:3: `{what}` is not for tests of models: ")), "{told}");
        }
        assert_eq!(read("a.slt", "frobnicate\n").unwrap_err(), "a.slt:1: invalid line: \"frobnicate\"");
        for nothing in ["", "# only words\n", "statement ok\nset as_of = '2024-01-01T00:00:00Z'\n"] {
            assert!(read("a.slt", nothing).unwrap_err().starts_with("a.slt: asks nothing"), "{nothing}");
        }
        let read = read("a.slt", &format!("control sortmode rowsort\nsubtest x\n{ASKS}")).unwrap();
        assert!(read.iter().any(|(record, line)| matches!(record, Record::Query { .. }) && *line == 4));
    }
}

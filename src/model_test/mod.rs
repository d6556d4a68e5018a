//! Golden tests of models and functions: given rows, expected rows, in the format of sqllogictest.
//!
//! A test in `tests/functions/<function>.slt` asks a function of the project what it makes of values. One in
//! `tests/models/<model>.slt` creates the tables that it cares about and then asks the model by name. What
//! it creates under the name of a dataset or model is brought to that table's columns and types; columns that it
//! leaves out are null. Models that it does not create are built from their SQL. `set <variable> = <value>` sets a
//! variable of the project, or `as_of`.
//!
//! Knows nothing of the warehouse. A test is as closed as a model: it opens no file, runs no program, reads no variable of
//! the environment, waits for nothing, and does not depend on when it runs. What it gives must fit the columns that it is
//! given for, and it must ask something.

mod fit;
mod script;
mod tables;

use camino::{Utf8Path, Utf8PathBuf};
use sqllogictest::runner::update_record_with_output;
use sqllogictest::{DefaultColumnType, QueryExpect, Record, Runner, StatementExpect};

use crate::diagnostic::did_you_mean;
use crate::plan::Workspace;
use crate::project::read_inside;
use crate::store::{Disk, LocalDisk, other_than_a_file};
use tables::{GivenTables, Line};

/// A file of golden tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoldenTest {
    /// The model or function that it tests: the file's stem.
    pub subject: String,
    /// The file.
    pub path: Utf8PathBuf,
}

/// Why there is no such test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoldenError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Finds the tests of `subjects`, which are models and functions, or all tests where none is named; those of functions come
/// first, and each kind is sorted by name.
///
/// # Errors
/// A test whose stem is no model or function, one of `subjects` without a test, or no test at all.
pub fn tests(workspace: &Workspace, subjects: &[String]) -> Result<Vec<GoldenTest>, GoldenError> {
    let functions: Vec<&str> = workspace.functions.names().collect();
    let models: Vec<&str> = workspace.tables.keys().map(String::as_str).collect();
    let mut found = tests_in(workspace, "tests/functions", "function", &functions)?;
    found.extend(tests_in(workspace, "tests/models", "model", &models)?);
    if let Some(missing) = subjects.iter().find(|subject| !found.iter().any(|test| test.subject == **subject)) {
        let kind = if functions.contains(&missing.as_str()) { "functions" } else { "models" };
        let message = format!("there is no `tests/{kind}/{missing}.slt`");
        let near = did_you_mean(missing, found.iter().map(|test| test.subject.as_str()));
        let help = near.or_else(|| Some("tests are called like the models and functions that they test".to_owned()));
        return Err(GoldenError { message, help });
    }
    if !subjects.is_empty() {
        found.retain(|test| subjects.contains(&test.subject));
    }
    if found.is_empty() {
        let help = Some("write one as `tests/models/<model>.slt` or `tests/functions/<function>.slt`".to_owned());
        return Err(GoldenError {
            message: "there are no tests in `tests/models/` and `tests/functions/`".to_owned(),
            help,
        });
    }
    Ok(found)
}

/// Returns the tests in a folder, each of which is called like one of `known`.
fn tests_in(workspace: &Workspace, folder: &str, kind: &str, known: &[&str]) -> Result<Vec<GoldenTest>, GoldenError> {
    let mut found = Vec::new();
    for entry in workspace.project.root.join(folder).read_dir_utf8().into_iter().flatten().flatten() {
        let path = entry.into_path();
        if path.extension() == Some("slt")
            && let Some(subject) = path.file_stem()
        {
            found.push(GoldenTest { subject: subject.to_owned(), path });
        }
    }
    found.sort_by(|a, b| a.subject.cmp(&b.subject));
    if let Some(stray) = found.iter().find(|test| !known.contains(&test.subject.as_str())) {
        let message = format!("`{folder}/{}.slt` tests a {kind} that does not exist", stray.subject);
        return Err(GoldenError { message, help: did_you_mean(&stray.subject, known.iter().copied()) });
    }
    Ok(found)
}

/// Runs one test; with `bless`, writes what the models return into it.
///
/// # Errors
/// What differs or is not understood, and where.
pub async fn run(workspace: &Workspace, test: &GoldenTest, bless: bool) -> Result<(), String> {
    let root = &workspace.project.root;
    let shown = test.path.strip_prefix(root).unwrap_or(&test.path);
    let text = read_inside(root, shown).map_err(|why| format!("`{shown}` cannot be read: {why}"))?;
    let records = script::read(shown.as_str(), &text)?;
    if bless {
        let (after, is_right) = blessed(workspace, &records).await;
        // A mistake is nothing that a model returns: the test stays as it was, and says what is wrong.
        if is_right {
            return write(&test.path, shown, &text, &after);
        }
    }
    let line = Line::default();
    let mut runner = Runner::new(|| async { GivenTables::new(workspace, shown, &line) });
    for (record, at) in records {
        line.set(at);
        runner.run_async(record).await.map_err(|error| error.display(false).to_string())?;
    }
    Ok(())
}

/// Returns the text of a test with what the models return, and whether nothing went wrong that was to go well.
async fn blessed(workspace: &Workspace, records: &[(Record<DefaultColumnType>, u32)]) -> (String, bool) {
    let (name, line) = (Utf8PathBuf::new(), Line::default());
    let mut runner = Runner::new(|| async { GivenTables::new(workspace, &name, &line) });
    let mut text = String::new();
    let mut is_right = true;
    for (record, at) in records {
        line.set(*at);
        let output = runner.apply_record(record.clone()).await;
        let (validator, columns) = (sqllogictest::default_validator, sqllogictest::default_column_validator);
        let normalizer = sqllogictest::default_normalizer;
        let updated = update_record_with_output(record, &output, " ", validator, normalizer, columns);
        is_right &= updated.as_ref().is_none_or(|updated| expects_mistake(record) || !expects_mistake(updated));
        text.push_str(&format!("{}\n", updated.as_ref().unwrap_or(record)));
    }
    (text.trim_end_matches('\n').to_owned() + "\n", is_right)
}

fn expects_mistake(record: &Record<DefaultColumnType>) -> bool {
    matches!(
        record,
        Record::Statement { expected: StatementExpect::Error(_), .. }
            | Record::Query { expected: QueryExpect::Error(_), .. }
    )
}

fn write(path: &Utf8Path, shown: &Utf8Path, before: &str, after: &str) -> Result<(), String> {
    if before == after {
        return Ok(());
    }
    if let Some(kind) = other_than_a_file(path) {
        return Err(format!("`{shown}` is {kind}, and nothing is put in its place: bless the file that it leads to"));
    }
    LocalDisk.replace(path, after.as_bytes()).map_err(|error| format!("cannot write `{shown}`: {error}"))
}

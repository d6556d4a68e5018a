//! Golden tests of models: given rows, expected rows, in the format of sqllogictest.
//!
//! A test in `tests/models/<model>.slt` creates the tables that it cares about and then asks the model by name. What
//! it creates under the name of a dataset or model is brought to that table's columns and types; columns that it
//! leaves out are null. Models that it does not create are built from their SQL. `set <variable> = <value>` sets a
//! variable of the project, or `as_of`.
//!
//! Knows nothing of the warehouse, and opens no file but the test.

mod tables;

use camino::Utf8PathBuf;
use sqllogictest::Runner;

use crate::diagnostic::did_you_mean;
use crate::plan::Suite;
use tables::GivenTables;

/// A file of golden tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoldenTest {
    /// The model that it tests: the file's stem.
    pub model: String,
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

/// Finds the tests of `models`, or all tests where none is named, sorted by model.
///
/// # Errors
/// A test whose stem is no model, a model without a test, or no test at all.
pub fn tests(suite: &Suite, models: &[String]) -> Result<Vec<GoldenTest>, GoldenError> {
    let folder = suite.project.root.join("tests/models");
    let mut found = Vec::new();
    for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
        let path = entry.into_path();
        if path.extension() == Some("slt")
            && let Some(model) = path.file_stem()
        {
            found.push(GoldenTest { model: model.to_owned(), path });
        }
    }
    found.sort_by(|a, b| a.model.cmp(&b.model));
    let known = || suite.tables.keys().map(String::as_str);
    if let Some(stray) = found.iter().find(|test| !suite.tables.contains_key(&test.model)) {
        let message = format!("`tests/models/{}.slt` tests a model that does not exist", stray.model);
        return Err(GoldenError { message, help: did_you_mean(&stray.model, known()) });
    }
    if let Some(missing) = models.iter().find(|model| !found.iter().any(|test| test.model == **model)) {
        let message = format!("there is no `tests/models/{missing}.slt`");
        let near = did_you_mean(missing, found.iter().map(|test| test.model.as_str()));
        let help = near.or_else(|| Some("tests are called like the models that they test".to_owned()));
        return Err(GoldenError { message, help });
    }
    if !models.is_empty() {
        found.retain(|test| models.contains(&test.model));
    }
    if found.is_empty() {
        let help = Some("write one as `tests/models/<model>.slt`".to_owned());
        return Err(GoldenError { message: "there are no tests in `tests/models/`".to_owned(), help });
    }
    Ok(found)
}

/// Runs one test; with `bless`, writes what the models return into it.
///
/// # Errors
/// What differs, and where.
pub async fn run(suite: &Suite, test: &GoldenTest, bless: bool) -> Result<(), String> {
    let start = || Runner::new(|| async { GivenTables::new(suite) });
    let mut runner = start();
    if bless {
        let validator = sqllogictest::default_validator;
        let columns = sqllogictest::default_column_validator;
        let before = std::fs::read_to_string(&test.path).map_err(|error| error.to_string())?;
        let updated =
            runner.update_test_file(&test.path, " ", validator, sqllogictest::default_normalizer, columns).await;
        updated.map_err(|error| error.to_string())?;
        let after = std::fs::read_to_string(&test.path).map_err(|error| error.to_string())?;
        if errors(&after) <= errors(&before) {
            return Ok(());
        }
        // A mistake is nothing that a model returns: the test stays as it was, and says what is wrong.
        std::fs::write(&test.path, before).map_err(|error| error.to_string())?;
        runner = start();
    }
    runner.run_file_async(&test.path).await.map_err(|error| error.display(false).to_string())
}

/// Returns how many records of a test expect a mistake.
fn errors(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("statement error") || line.starts_with("query error")).count()
}

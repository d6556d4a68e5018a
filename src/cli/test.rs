//! `opsmart test`.

use clap::Args;

use super::{Failure, Global, compile, load, runtime};
use crate::cli::print::{Printer, document};
use crate::model_test::{self, GoldenError};
use crate::run::Exit;

/// Run the golden tests of the project's models and functions
///
/// Runs the tests in `tests/models/` and `tests/functions/`: given rows, expected rows, in the format of sqllogictest.
/// Nothing of the warehouse is read.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Models and functions to test; by default all that have a test
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Write what they return into the tests as what is expected
    #[arg(long, env = "OPSMART_BLESS", value_parser = clap::builder::FalseyValueParser::new())]
    bless: bool,
}

pub(super) fn test(global: &Global, args: &TestArgs, printer: &Printer) -> Result<Exit, Failure> {
    let workspace = compile(load(global)?)?;
    let files = model_test::tests(&workspace, &args.names)
        .map_err(|GoldenError { message, help }| Failure::usage(message, help))?;
    let runtime = runtime()?;
    let mut failures = Vec::new();
    for file in &files {
        let result = runtime.block_on(model_test::run(&workspace, file, args.bless));
        printer.say(&format!("{} {}\n", if result.is_ok() { "ok    " } else { "FAILED" }, file.subject));
        if let Err(words) = result {
            failures.push((file.subject.clone(), words));
        }
    }
    failures.iter().for_each(|(name, words)| printer.say(&format!("\n{name}: {words}\n")));
    let passed = files.len() - failures.len();
    if printer.is_json() {
        let failed: Vec<_> =
            failures.iter().map(|(model, words)| serde_json::json!({ "model": model, "message": words })).collect();
        document(&serde_json::json!({ "passed": passed, "failed": failed }));
    }
    if failures.is_empty() {
        printer.say(&format!("{passed} passed, 0 failed\n"));
        return Ok(Exit::Done);
    }
    Err(Failure::Other { exit: Exit::Data, message: format!("{passed} passed, {} failed", failures.len()), help: None })
}

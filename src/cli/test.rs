//! `opsmart test`.

use clap::Args;

use super::{Failure, Global, load, runtime};
use crate::cli::print::{Printer, document};
use crate::golden::{self, GoldenError};
use crate::plan::Suite;
use crate::run::Exit;

/// Run the golden tests of the project's models
///
/// Runs the tests in `tests/models/`: given rows, expected rows, in the format of sqllogictest. Nothing of the
/// warehouse is read.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Models to test; by default all that have a test
    #[arg(value_name = "MODEL")]
    models: Vec<String>,

    /// Write what the models return into the tests as what is expected
    #[arg(long, env = "OPSMART_BLESS", value_parser = clap::builder::FalseyValueParser::new())]
    bless: bool,
}

pub(super) fn test(global: &Global, args: &TestArgs, printer: &Printer) -> Result<Exit, Failure> {
    let suite = Suite::compile(load(global)?)?;
    let files =
        golden::tests(&suite, &args.models).map_err(|GoldenError { message, help }| Failure::usage(message, help))?;
    let runtime = runtime()?;
    let mut failures = Vec::new();
    for file in &files {
        let result = runtime.block_on(golden::run(&suite, file, args.bless));
        printer.say(&format!("{} {}\n", if result.is_ok() { "ok    " } else { "FAILED" }, file.model));
        if let Err(words) = result {
            failures.push((file.model.clone(), words));
        }
    }
    failures.iter().for_each(|(model, words)| printer.say(&format!("\n{model}: {words}\n")));
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

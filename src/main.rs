//! The `opsmart` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    opsmart::cli::run(std::env::args_os())
}

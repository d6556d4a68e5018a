//! `opsmart completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::cli::print::data;

/// Print a script that completes commands in a shell
///
/// Works outside a project. For bash, for example, put `source <(opsmart completions bash)` into `~/.bashrc`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "opsmart", &mut script);
    data(&script);
}

//! `opsmart init`.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use super::new::{told, write};
use super::{Failure, Global};
use crate::cli::print::{Printer, document};
use crate::ingest::quoted;
use crate::run::Exit;
use crate::starter::starting_project;

/// Write a small project that works, to start from
///
/// A feed of help desk tickets with a contract, models, a KPI table, a check and tests. Writes into an empty folder only.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Folder of the new project, made if it is not there; it has to be empty but for names that begin with a dot
    #[arg(value_name = "DIR", default_value = ".")]
    folder: Utf8PathBuf,
}

pub(super) fn init(global: &Global, args: &InitArgs, printer: &Printer) -> Result<Exit, Failure> {
    let is_here = global.project_dir == ".";
    let root = if is_here { args.folder.clone() } else { global.project_dir.join(&args.folder) };
    check_empty(&root)?;
    let files = starting_project();
    write(&root, &files)?;
    printer.say(&told(&files));
    printer.say(&next_steps(&root));
    if printer.is_json() {
        let paths = files.iter().map(|file| &file.path).collect::<Vec<_>>();
        document(&serde_json::json!({ "status": "written", "folder": root, "files": paths }));
    }
    Ok(Exit::Done)
}

/// Refuses a folder that holds anything but what tools keep there for themselves, such as `.git`.
fn check_empty(root: &Utf8Path) -> Result<(), Failure> {
    const SHOWN: usize = 3;
    // A folder that is not there is empty; what cannot be looked into will not be written into either.
    let entries = root.read_dir_utf8().into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name().to_owned()).filter(|name| !name.starts_with('.'));
    let mut names = names.by_ref().collect::<Vec<_>>();
    if names.is_empty() {
        return Ok(());
    }
    names.sort();
    let (message, help) = if names.iter().any(|name| name == "opsmart.toml") {
        let message = format!("`{root}` is a project already: it has `opsmart.toml`");
        (message, "add to it with `opsmart new`, or name another folder")
    } else {
        let mut listed = names.iter().take(SHOWN).map(|name| quoted(name.as_bytes())).collect::<Vec<_>>();
        if names.len() > SHOWN {
            listed.push(format!("{} more", names.len() - SHOWN));
        }
        let message = format!("`{root}` is not empty: it has {}", listed.join(", "));
        (message, "name a new folder, for example `opsmart init my-project`; names that begin with a dot do not count")
    };
    Err(Failure::Other { exit: Exit::Usage, message, help: Some(help.to_owned()) })
}

fn next_steps(root: &Utf8Path) -> String {
    let enter = if root == "." { String::new() } else { format!("  cd {}\n", shell_word(root.as_str())) };
    format!(
        "\nNext:\n{enter}  opsmart check   # read and bind all files\n  opsmart test    # run the tests of the models\n  \
         opsmart run     # ingest landing/, build, check, publish\n  opsmart show kpi_daily\n"
    )
}

/// Returns a text as shells read it back.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_can_be_pasted_into_a_shell() {
        assert_eq!(shell_word("help-desk/a.b"), "help-desk/a.b");
        assert_eq!(shell_word("it's; rm"), r"'it'\''s; rm'");
    }
}

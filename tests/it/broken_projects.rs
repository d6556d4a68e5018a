//! Every mistake that a project can contain, and all that is warned of, with exactly what is said of it.
//!
//! `tests/errors/<code>_<name>/` is a small broken project; `stderr.txt` is what the command prints, `command.txt` the
//! command where it is not `check`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use opsmart::diagnostic::Code;

use crate::scratch::Scratch;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

#[test]
fn every_mistake_is_told_exactly() {
    let mut wrong = Vec::new();
    for case in cases() {
        let expected = std::fs::read_to_string(case.join("stderr.txt")).unwrap_or_default();
        let command = std::fs::read_to_string(case.join("command.txt")).unwrap_or_else(|_| "check".to_owned());
        // What is warned of is no mistake.
        let is_warning = case.file_name().unwrap().to_str().unwrap().starts_with('W');
        let exit = if is_warning { 0 } else { 2 };
        let arguments: Vec<&str> = command.split_whitespace().collect();
        // In a folder of its own, so that no project above it is found.
        let said = Scratch::copy_of(&case).run(&arguments);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(case.join("stderr.txt"), &said.stderr).unwrap();
        } else if said.stderr != expected || said.exit != exit || !said.stdout.is_empty() {
            wrong.push(format!(
                "{}: exit {}\n--- expected\n{expected}\n--- got\n{}",
                case.display(),
                said.exit,
                said.stderr
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_mistake_is_forgotten() {
    let told: BTreeSet<String> = cases()
        .iter()
        .filter_map(|case| case.file_name()?.to_str()?.split_once('_').map(|(code, _)| code.to_owned()))
        .filter(|code| code.starts_with(['E', 'W']))
        .collect();
    let known: BTreeSet<String> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(told, known);
}

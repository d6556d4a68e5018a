//! The README and the docs, walked from top to bottom as a reader would.
//!
//! Each page has a copy of the shipped project of its own and one shell. A block of `console` is typed into it, and what
//! comes out must be what the page says; `…` stands for what differs from run to run or was left out: within a line for
//! any text, alone for any lines. Any other block that begins with a comment naming a file of the project is written
//! there. `BLESS=1` writes what came out into the pages, where they leave nothing out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use opsmart::diagnostic::Code;
use regex::Regex;

use crate::sample::shipped;

/// What a fenced block of a page asks for.
enum Block<'a> {
    /// Commands with their output.
    Console(&'a str),
    /// A file of the project.
    File(&'a str, &'a str),
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    pages.sort();
    pages.push(root.join("README.md"));
    pages
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let fence = Regex::new(r"(?ms)^```(\w+)\n(.*?)^```$").unwrap();
    let named = Regex::new(r"\A(?:#|--) ((?:jobs|schemas|sql|tests)/\S+)\n").unwrap();
    let blocks = fence.captures_iter(page).filter_map(|block| {
        let (info, body) = (block.get(1)?.as_str(), block.get(2)?.as_str());
        if info == "console" {
            return Some(Block::Console(body));
        }
        Some(Block::File(named.captures(body)?.get(1)?.as_str(), body))
    });
    blocks.collect()
}

/// Returns the script that does what the blocks ask for; after each block of commands it prints a zero byte.
fn script(blocks: &[Block<'_>]) -> String {
    let mut script = String::from("exec 2>&1\nstatus=0\n");
    for block in blocks {
        match block {
            Block::File(path, body) => {
                script.push_str(&format!(
                    "mkdir -p \"$(dirname {path})\"\ncat > {path} <<'END OF FILE'\n{body}END OF FILE\n"
                ));
            }
            Block::Console(body) => {
                for command in body.lines().filter_map(|line| line.strip_prefix("$ ")) {
                    let shown = command.replace('\'', r"'\''");
                    script.push_str(&format!("printf '%s\\n' '$ {shown}'\n(exit $status)\n{command}\nstatus=$?\n"));
                }
                script.push_str("printf '\\0'\n");
            }
        }
    }
    script
}

/// Cuts a block before each command.
fn commands(block: &str) -> Vec<&str> {
    let starts: Vec<usize> = block.match_indices("$ ").map(|(at, _)| at).collect();
    let starts = starts.into_iter().filter(|at| *at == 0 || block[..*at].ends_with('\n')).collect::<Vec<_>>();
    let ends = starts.iter().skip(1).copied().chain([block.len()]);
    starts.iter().zip(ends).map(|(start, end)| &block[*start..end]).collect()
}

/// Returns whether a page tells the truth about what came out.
fn tells(said: &str, came: &str) -> bool {
    let mut pattern = String::from(r"\A");
    for line in said.trim_end().lines() {
        match line.trim() {
            "…" => pattern.push_str(r"(?:.*\n)*?"),
            _ => pattern.push_str(&format!("{}\n", regex::escape(line).replace('…', ".*"))),
        }
    }
    Regex::new(&format!(r"{pattern}\z")).unwrap().is_match(&format!("{}\n", came.trim_end()))
}

/// Walks a page, and returns what does not come out as it says.
fn walk(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let blocks = blocks(&text);
    let scratch = shipped();
    let folder = Path::new(env!("CARGO_BIN_EXE_opsmart")).parent().unwrap();
    let search = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.current_dir(scratch.root()).arg("-c").arg(script(&blocks)).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OPSMART_")) {
        shell.env_remove(name);
    }
    shell.env("PATH", search).env("NO_COLOR", "1").env("OPSMART_AS_OF", "2024-07-01");
    let output = String::from_utf8(shell.output().unwrap().stdout).unwrap();
    let consoles = blocks.iter().filter_map(|block| if let Block::Console(body) = block { Some(*body) } else { None });
    let name = page.file_name().unwrap().to_string_lossy();
    let is_blessing = std::env::var_os("BLESS").is_some();
    let (mut blessed, mut wrong) = (text.clone(), Vec::new());
    for (said, came) in consoles.zip(output.split('\0')) {
        // What is right keeps its `…` when the rest is blessed.
        let mut right = String::new();
        for (said, came) in commands(said).into_iter().zip(commands(came)) {
            let is_true = tells(said, came);
            // What has a `…` somewhere leaves out what differs each time, and is put right by hand.
            let is_blessed = is_blessing && !said.contains('…');
            right.push_str(if is_true || !is_blessed { said } else { came });
            if !is_true && !is_blessed {
                wrong.push(format!("{name} says\n{said}\nbut what comes is\n{came}"));
            }
        }
        blessed = blessed.replace(&format!("```console\n{said}```"), &format!("```console\n{right}```"));
    }
    if is_blessing {
        std::fs::write(page, blessed).unwrap();
    }
    wrong
}

#[test]
fn pages_tell_what_comes_out() {
    // As many at once as there are processors: each runs programs that would take all of them.
    let pages = std::sync::Mutex::new(pages());
    let next = || pages.lock().unwrap().pop();
    let walks = || std::iter::from_fn(next).flat_map(|page| walk(&page)).collect::<Vec<_>>();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(walks)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_page_that_is_wrong_is_found() {
    assert!(tells("$ a\nx … y\n…\nend\n", "$ a\nx 1 y\n2\n3\nend\n"));
    assert!(tells("$ a\n…\nend\n", "$ a\nend\n"));
    assert!(!tells("$ a\nend\n", "$ a\nmore\nend\n"));
    assert!(!tells("$ a\nx … y\n", "$ a\nx 1 z\n"));
    assert!(!tells("$ a\n", "$ a\nerror\n"));
    assert_eq!(commands("$ a\n1 $ 2\n$ b\n"), ["$ a\n1 $ 2\n", "$ b\n"]);
}

#[test]
fn every_page_shows_something_that_is_run() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(blocks(&text).iter().any(|block| matches!(block, Block::Console(_))), "{}", page.display());
    }
}

#[test]
fn the_page_of_mistakes_has_every_code() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics.md")).unwrap();
    for code in Code::ALL {
        let row = format!("| {} | {} |", code.as_str(), code.explanation());
        assert!(page.contains(&row), "docs/diagnostics.md lacks {row}");
    }
}

//! Project files: whatever they say, there is a value or a list of mistakes, each inside the file that it is about.

use std::fs;
use std::sync::LazyLock;

use camino::{Utf8Path, Utf8PathBuf};
use opsmart::diagnostic::{Diagnostics, Place};
use opsmart::plan::Workspace;
use opsmart::project::load;

/// The files of a project, in the order in which an input has them, between bytes 0x1e.
const FILES: [&str; 8] = [
    "opsmart.toml",
    "schemas/sources/tickets.toml",
    "schemas/models/fct_tickets.toml",
    "schemas/columns.toml",
    "jobs/daily.toml",
    "sql/staging/stg_tickets.sql",
    "sql/marts/fct_tickets.sql",
    "schemas/metrics/support.toml",
];

/// A folder of this process.
static ROOT: LazyLock<Utf8PathBuf> = LazyLock::new(|| {
    let above = Utf8PathBuf::from_path_buf(std::env::temp_dir()).expect("UTF-8");
    let root = above.join(format!("opsmart-fuzz-{}", std::process::id()));
    for file in FILES {
        fs::create_dir_all(root.join(file).parent().expect("every file has a folder")).expect("a folder");
    }
    root
});

/// Reads one contract.
pub(crate) fn contract(input: &[u8]) {
    check(&[("opsmart.toml", b"paths.landing = \"in\"\n"), ("schemas/sources/tickets.toml", input)]);
}

/// Reads a project of up to eight files, and binds its SQL if it loads.
pub(crate) fn project(input: &[u8]) {
    check(&FILES.into_iter().zip(input.split(|&byte| byte == 0x1e)).collect::<Vec<_>>());
}

fn check(files: &[(&str, &[u8])]) {
    for file in FILES {
        let path = ROOT.join(file);
        match files.iter().find(|(name, _)| *name == file) {
            Some((_, bytes)) => fs::write(path, bytes).expect("a file"),
            None => drop(fs::remove_file(path)),
        }
    }
    let mistakes = match load(Utf8Path::new(ROOT.as_str()), None) {
        Ok(project) => Workspace::compile(project).err(),
        Err(mistakes) => Some(mistakes),
    };
    if let Some(mistakes) = mistakes {
        located(&mistakes, files);
    }
}

/// Checks that every mistake points into the file that it names, and can be shown.
pub(crate) fn located(mistakes: &Diagnostics, files: &[(&str, &[u8])]) {
    assert!(!mistakes.is_empty());
    for mistake in mistakes {
        assert!(!mistake.message.is_empty());
        for Place { file, bytes } in std::iter::once(&mistake.at).chain(mistake.related.iter().map(|(place, _)| place))
        {
            assert!(file.text.get(bytes.clone()).is_some(), "{mistake:?}");
            let Some((_, written)) = files.iter().find(|(name, _)| *name == file.path) else {
                assert!(file.text.is_empty(), "{mistake:?}");
                continue;
            };
            let written = written.strip_prefix(b"\xef\xbb\xbf").unwrap_or(written);
            assert!(file.text.is_empty() || *file.text == *String::from_utf8_lossy(written), "{mistake:?}");
        }
    }
    assert!(mistakes.render(false).contains("nothing ran"));
}

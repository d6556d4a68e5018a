//! A project in a folder of its own, and the `opsmart` command in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

/// A project folder that goes when it is dropped.
pub(crate) struct Scratch {
    folder: TempDir,
}

/// What a command printed and how it ended.
#[must_use = "look at what the command said"]
pub(crate) struct Said {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// Asserts that the command ended with `exit`, and gives back what it said.
    #[track_caller]
    pub(crate) fn exits(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// Whether everything is tried and not only a part that tells most of it, as `make thorough` does.
pub(crate) fn is_thorough() -> bool {
    std::env::var_os("OPSMART_THOROUGH").is_some()
}

impl Scratch {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A project with the given files, each as `path`, `text`.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let scratch = Self::empty();
        files.iter().for_each(|(path, text)| scratch.write(path, text));
        scratch
    }

    /// A copy of a folder.
    pub(crate) fn copy_of(folder: &Path) -> Self {
        let scratch = Self::empty();
        copy(folder, scratch.folder.path());
        scratch
    }

    /// The idle runs that are remembered, with what was.
    pub(crate) fn remembered_runs(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut memos = self.files("warehouse/memos");
        memos.retain(|(path, _)| path.file_name().unwrap().to_str().unwrap().starts_with("run-"));
        memos
    }

    /// A copy of a folder in which links stay links.
    pub(crate) fn copy_of_links(folder: &Path) -> Self {
        let scratch = Self::empty();
        let from = format!("{}/.", folder.display());
        let status = Command::new("cp").args(["-a", &from]).arg(scratch.folder.path()).status().unwrap();
        assert!(status.success());
        scratch
    }

    /// A small project: orders by day, kept by key, one staging model, one mart, one KPI, one check.
    pub(crate) fn orders() -> Self {
        Self::with(&[
            ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
            ("jobs/orders.toml", "ingest = [\"orders\"]\n"),
            (
                "schemas/sources/orders.toml",
                r#"from = "{landing}/orders-*.csv"
format = { type = "csv" }
key = ["id"]
keep = { latest = "at" }
rejected_share = 0.5
[columns]
id = "int64!"
at = "timestamp!"
amount = "decimal(10,2)"
"#,
            ),
            ("schemas/models/fct_order.toml", "key = [\"id\"]\n[columns]\namount = { min = 0 }\n"),
            ("sql/staging/stg_orders.sql", "select id, at, amount from orders\n"),
            ("sql/marts/fct_order.sql", "select id, local_day(at, $reporting_zone) as day, amount from stg_orders\n"),
            (
                "sql/kpi/kpi_order_daily.sql",
                "select day, count(*) as orders, sum(amount) as amount from fct_order group by day\n",
            ),
            (
                "sql/checks/assert_days_add_up.sql",
                "select * from (select sum(orders) as n from kpi_order_daily) a, (select count(*) as m from fct_order) b where n <> m\n",
            ),
            ("landing/orders-1.csv", "id,at,amount\n1,2024-03-01T10:00:00Z,10.00\n2,2024-03-01T11:00:00Z,20.00\n"),
        ])
    }

    /// Adds a job whose dataset and table have nothing to do with orders, and lands a file of one row.
    pub(crate) fn add_refunds(&self) {
        self.write("jobs/refunds.toml", "ingest = [\"refunds\"]\n");
        self.write(
            "schemas/sources/refunds.toml",
            "from = \"{landing}/refunds-*.csv\"\nformat = { type = \"csv\" }\n[columns]\nid = \"int64!\"\n",
        );
        self.write("sql/staging/stg_refunds.sql", "select id from refunds\n");
        self.write("sql/marts/fct_refund.sql", "select id from stg_refunds\n");
        self.write("landing/refunds-1.csv", "id\n7\n");
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).unwrap()
    }

    pub(crate) fn path(&self, path: &str) -> Utf8PathBuf {
        self.root().join(path)
    }

    /// Writes a file, its folders as well.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Makes every file of the project and every landed one old enough to be believed by its time stamps.
    pub(crate) fn age(&self) {
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
        let mut files = vec![(self.path("opsmart.toml").into_std_path_buf(), Vec::new())];
        for folder in ["jobs", "schemas", "sql", "landing"] {
            files.extend(self.files(folder));
        }
        for (path, _) in files {
            let file = std::fs::File::open(path).unwrap();
            if file.metadata().unwrap().modified().unwrap() > long_ago + std::time::Duration::from_mins(30) {
                file.set_modified(long_ago).unwrap();
            }
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_opsmart"));
        command.current_dir(self.folder.path()).args(arguments).env("NO_COLOR", "1");
        let is_ours = |name: &str| name.starts_with("OPSMART_") || name.starts_with("OPENLINEAGE_");
        for (name, _) in std::env::vars().filter(|(name, _)| is_ours(name)) {
            command.env_remove(name);
        }
        command
    }

    /// Runs `opsmart` with `arguments`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        said(&self.command(arguments).output().unwrap())
    }

    /// Runs a SELECT and returns its rows as CSV without a header.
    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        let said = self.run(&["show", "--format", "csv", "--limit", "0", sql]).exits(0);
        said.stdout.lines().skip(1).map(str::to_owned).collect()
    }

    /// Returns every file below a folder with its bytes, sorted; links are followed.
    pub(crate) fn files(&self, folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        collect(self.path(folder).as_std_path(), &mut found);
        found.sort();
        found
    }
}

fn said(output: &Output) -> Said {
    Said {
        exit: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

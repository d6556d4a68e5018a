//! The project that `opsmart init` writes. Its files are real ones, in `project/` beside this module.

use super::NewFile;

macro_rules! files {
    ($($path:literal = $file:literal,)+) => {
        /// Every file: where it goes, and what it says.
        const FILES: &[(&str, &str)] = &[$(($path, include_str!(concat!("project/", $file))),)+];
    };
}

files! {
    "opsmart.toml" = "opsmart.toml",
    // Under its own name it would be applied here.
    ".gitignore" = "gitignore",
    "README.md" = "README.md",
    "jobs/support.toml" = "jobs/support.toml",
    "landing/kpi_targets.csv" = "landing/kpi_targets.csv",
    "landing/tickets-2024-06.csv" = "landing/tickets-2024-06.csv",
    "schemas/columns.toml" = "schemas/columns.toml",
    "schemas/metrics/support.toml" = "schemas/metrics/support.toml",
    "schemas/sources/kpi_targets.toml" = "schemas/sources/kpi_targets.toml",
    "schemas/sources/tickets.toml" = "schemas/sources/tickets.toml",
    "schemas/models/dim_kpi_target.toml" = "schemas/models/dim_kpi_target.toml",
    "schemas/models/fct_ticket.toml" = "schemas/models/fct_ticket.toml",
    "schemas/models/kpi_daily.toml" = "schemas/models/kpi_daily.toml",
    "schemas/models/kpi_headline.toml" = "schemas/models/kpi_headline.toml",
    "sql/staging/stg_kpi_targets.sql" = "sql/staging/stg_kpi_targets.sql",
    "sql/staging/stg_tickets.sql" = "sql/staging/stg_tickets.sql",
    "sql/marts/dim_kpi_target.sql" = "sql/marts/dim_kpi_target.sql",
    "sql/marts/fct_ticket.sql" = "sql/marts/fct_ticket.sql",
    "sql/kpi/kpi_daily.sql" = "sql/kpi/kpi_daily.sql",
    "sql/kpi/kpi_headline.sql" = "sql/kpi/kpi_headline.sql",
    "sql/checks/assert_tickets_add_up.sql" = "sql/checks/assert_tickets_add_up.sql",
    "tests/models/dim_kpi_target.slt" = "tests/models/dim_kpi_target.slt",
    "tests/models/fct_ticket.slt" = "tests/models/fct_ticket.slt",
    "tests/models/kpi_daily.slt" = "tests/models/kpi_daily.slt",
    "tests/models/kpi_headline.slt" = "tests/models/kpi_headline.slt",
    "tests/models/stg_kpi_targets.slt" = "tests/models/stg_kpi_targets.slt",
    "tests/models/stg_tickets.slt" = "tests/models/stg_tickets.slt",
}

/// Returns the files of a small project that works: a feed of tickets, metrics of it, and targets.
#[must_use]
pub fn starting_project() -> Vec<NewFile> {
    FILES.iter().map(|(path, text)| NewFile::new(*path, *text)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn files_below(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files_below(&path, found);
            } else {
                found.insert(path);
            }
        }
    }

    #[test]
    fn no_file_of_the_folder_is_forgotten() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/starter/project");
        let mut found = BTreeSet::new();
        files_below(&folder, &mut found);
        let found = found.iter().map(|path| path.strip_prefix(&folder).unwrap().to_str().unwrap()).collect();
        let listed = FILES.iter().map(|(path, _)| path.trim_start_matches('.')).collect::<BTreeSet<_>>();
        assert_eq!(listed, found);
    }
}

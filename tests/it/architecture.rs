//! The shape that ARCHITECTURE.md promises, read off the source.

use std::path::Path;

/// Which modules each may name; what is not listed here may not exist.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("diagnostic", &["visible"]),
    ("canonical", &[]),
    ("digest", &[]),
    ("instant", &[]),
    ("sql_text", &[]),
    ("top_k", &[]),
    ("visible", &[]),
    ("stamp", &["digest"]),
    ("project", &["canonical", "diagnostic", "digest", "stamp"]),
    ("local_days", &[]),
    ("partition", &["local_days", "project"]),
    ("store", &["digest", "partition", "project", "instant", "sql_text"]),
    ("system_tables", &["project"]),
    ("landed", &["canonical", "digest", "project", "store"]),
    ("ingest", &["digest", "landed", "partition", "project", "stamp", "store", "system_tables"]),
    ("clean", &["canonical", "digest", "ingest", "landed", "partition", "project", "store", "system_tables"]),
    ("infer", &["diagnostic", "ingest", "project", "stamp"]),
    // From here on DataFusion may be named.
    ("functions", &["local_days", "project"]),
    ("engine", &["functions"]),
    (
        "plan",
        &[
            "canonical",
            "diagnostic",
            "digest",
            "engine",
            "functions",
            "landed",
            "project",
            "sql_text",
            "store",
            "system_tables",
        ],
    ),
    ("tables", &["digest", "engine", "partition", "plan", "project", "store"]),
    ("transform", &["canonical", "digest", "engine", "partition", "plan", "project", "store", "tables"]),
    ("check", &["diagnostic", "digest", "top_k", "partition", "plan", "project", "store", "tables", "transform"]),
    ("diff", &["engine", "top_k", "partition", "project", "store", "tables", "transform"]),
    ("publish", &["check", "digest", "manifest", "plan", "store", "system_tables"]),
    ("starter", &["diagnostic", "plan", "project"]),
    ("report", &["digest", "engine", "instant", "project", "sql_text", "store"]),
    ("site", &["report", "plan", "project", "system_tables"]),
    ("export", &["digest", "plan", "project", "sql_text"]),
    ("generate", &["diagnostic", "project"]),
    ("manifest", &["diagnostic", "plan", "project"]),
    ("model_test", &["diagnostic", "engine", "plan", "project", "store"]),
    (
        "run",
        &[
            "check",
            "clean",
            "diff",
            "digest",
            "engine",
            "ingest",
            "instant",
            "landed",
            "manifest",
            "plan",
            "project",
            "publish",
            "sql_text",
            "stamp",
            "store",
            "tables",
            "transform",
            "why",
        ],
    ),
    ("why", &["diagnostic", "engine", "ingest", "plan", "project", "store", "system_tables", "tables", "transform"]),
    ("verify", &["digest", "engine", "partition", "plan", "run", "store", "system_tables", "tables", "transform"]),
];

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.to_str().unwrap().replace('\\', "/"), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

fn modules() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|(path, text)| {
            let inside = path.strip_prefix(root.to_str().unwrap()).unwrap().trim_start_matches('/').to_owned();
            let module = inside.split(['/', '.']).next().unwrap().to_owned();
            (module, inside, text)
        })
        .collect()
}

#[test]
fn arrows_point_one_way() {
    let mut wrong = Vec::new();
    for (module, path, text) in modules() {
        if matches!(module.as_str(), "lib" | "main" | "cli") {
            continue;
        }
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{path}: module `{module}` is not in the list"));
            continue;
        };
        if path.ends_with("/tests.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for named in line.split("crate::").skip(1) {
                let named: String = named.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                if !named.is_empty() && named != module && !allowed.contains(&named.as_str()) {
                    wrong.push(format!("{path}:{}: `{module}` names `{named}`", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_stands_before_the_engine_does_not_name_it() {
    let engine_free: Vec<&str> =
        MAY_NAME.iter().map(|(name, _)| *name).take_while(|name| *name != "functions").collect();
    let mut wrong = Vec::new();
    for (_, path, text) in modules().iter().filter(|(module, ..)| engine_free.contains(&module.as_str())) {
        for (number, line) in text.lines().enumerate() {
            if line.contains("datafusion::") && !line.trim_start().starts_with("//") {
                wrong.push(format!("{path}:{}: names DataFusion", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn landed_files_are_read_in_one_place_and_nothing_exits() {
    let mut wrong = Vec::new();
    for (module, path, text) in modules() {
        for (number, line) in text.lines().enumerate() {
            if line.contains("object_store::") && !line.trim_start().starts_with("//") && module != "ingest" {
                wrong.push(format!("{path}:{}: only `ingest` names object_store", number + 1));
            }
            if line.contains("process::exit") {
                wrong.push(format!("{path}:{}: only `main` ends the process", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

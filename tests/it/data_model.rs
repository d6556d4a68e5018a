//! The README names every published table, and `docs/data-model.md` tells of each what its contract, its SQL and its
//! columns say.

use std::path::Path;

use regex::Regex;

/// Asserts that the page has a section for each table of `views`, the `views.sql` of the shipped project, and that it
/// says what it should. `BLESS=1` writes the sections anew; where they stand is up to the page.
pub(crate) fn tells_of(views: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/data-model.md");
    let mut text = std::fs::read_to_string(&page).unwrap();
    let mut wrong = Vec::new();
    let named = Regex::new(r"(?m)^### (\w+)$").unwrap();
    let told: Vec<String> = named.captures_iter(&text).map(|name| name[1].to_owned()).collect();
    let views = tables(views);
    let readme = std::fs::read_to_string(page.with_file_name("../README.md")).unwrap();
    let unnamed: Vec<&str> =
        views.iter().map(|view| view.name.as_str()).filter(|name| !readme.contains(&format!("`{name}`"))).collect();
    assert!(unnamed.is_empty(), "README.md must name {unnamed:?} among what is published");
    wrong.extend(told.iter().filter(|name| !views.iter().any(|view| view.name == **name)).cloned());
    for view in views {
        let section = section(&view);
        let heading = format!("### {}\n", view.name);
        let Some(start) = text.find(&heading) else {
            wrong.push(view.name);
            continue;
        };
        let end = text[start + 1..].find("\n#").map_or(text.len(), |end| start + end + 2);
        if text[start..end].trim_end() != section.trim_end() {
            wrong.push(view.name);
            text.replace_range(start..end, &section);
        }
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&page, text.trim_end().to_owned() + "\n").unwrap();
        return;
    }
    assert!(wrong.is_empty(), "docs/data-model.md must tell of {wrong:?}: put headings right, then BLESS=1");
}

/// A published table, as `views.sql` tells of it.
struct View {
    name: String,
    about: String,
    columns: Vec<String>,
}

fn tables(views: &str) -> Vec<View> {
    let table = Regex::new(r#"(?m)^comment on view "(\w+)" is '(.*)';$"#).unwrap();
    let found = table.captures_iter(views).map(|view| {
        let column = Regex::new(&format!(r#"(?m)^comment on column "{}"\."(\w+)" is"#, &view[1])).unwrap();
        View {
            name: view[1].to_owned(),
            about: view[2].replace("''", "'"),
            columns: column.captures_iter(views).map(|column| format!("`{}`", &column[1])).collect(),
        }
    });
    found.collect()
}

fn section(view: &View) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let contract = std::fs::read_to_string(root.join("schemas/models").join(format!("{}.toml", view.name)));
    let contract: toml::Table = contract.map_or_else(|_| toml::Table::new(), |text| text.parse().unwrap());
    let mut about = format!("{}.", view.about);
    if let Some(key) = contract.get("key") {
        let key: Vec<String> =
            key.as_array().unwrap().iter().map(|column| column.to_string().replace('"', "`")).collect();
        about.push_str(&format!(" Key: {}.", key.join(", ")));
    }
    let layers = ["marts", "kpi", "performance", "risk"];
    let sql = layers.iter().find_map(|layer| {
        std::fs::read_to_string(root.join("sql").join(layer).join(format!("{}.sql", view.name))).ok()
    });
    let comment = sql.map_or_else(String::new, |sql| formula(&sql));
    let columns = format!("Columns: {}.", view.columns.join(", "));
    let parts = [about, comment, columns];
    let parts: Vec<String> = parts.iter().filter(|part| !part.is_empty()).map(|part| wrap(part)).collect();
    format!("### {}\n\n{}\n\n", view.name, parts.join("\n\n"))
}

/// Returns what the comment at the head of a model says after its first sentence, which tells the grain.
fn formula(sql: &str) -> String {
    let lines: Vec<&str> = sql.lines().map_while(|line| line.strip_prefix("--")).map(str::trim).collect();
    let comment = lines.join(" ");
    comment.split_once(". ").map_or_else(String::new, |(_, rest)| rest.to_owned())
}

fn wrap(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if lines.last().is_some_and(|line| !line.is_empty() && line.chars().count() + word.chars().count() >= 120) {
            lines.push(String::new());
        }
        let line = lines.last_mut().unwrap();
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.join("\n")
}

//! The documentation of a project as a folder of HTML pages: [`pages`] returns them as texts.
//!
//! Promises: every dataset, table, view, check, metric and job has a page, also when nothing has been published; links lead to
//! pages that exist, and need no server and no network; whatever the project's files and contracts say is shown as text
//! and never becomes markup; the same project and snapshot give the same bytes.
//!
//! It shows what contracts, SQL and the graph say and adds nothing. It reads no data and writes no file.

mod chart;
mod graph;
mod highlight;
mod metric;

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{AutoEscape, Environment, Value, context};
use serde::Serialize;
use serde_json::Value as Json;

use crate::plan::{Check, Kind, Lineage, Origin, Table, Workspace, select};
use crate::project::{
    ColumnDoc, ColumnType, FieldNames, FilesMode, Format, Keep, Layer, ModelColumn, NewColumns, RecordRule, RuleReason,
    Rules, SourceContract, ThenLate,
};
use crate::report::{MetricNow, STYLE};
use crate::system_tables::SystemTable;

/// Tables that one drawing shows at most; beyond it shows the direct neighbours alone.
const DRAWN: usize = 60;

/// What is published of a project.
#[derive(Debug)]
pub struct Published {
    /// The current snapshot.
    pub snapshot: String,
    /// Its clock.
    pub as_of: String,
    /// What it holds, by table.
    pub tables: BTreeMap<String, PublishedTable>,
    /// What it says of metrics, by their ids.
    pub metrics: BTreeMap<String, MetricNow>,
}

/// What is published of a table.
#[derive(Debug, Clone, Serialize)]
pub struct PublishedTable {
    /// Its rows.
    pub rows: u64,
    /// The latest of its days and instants.
    pub newest: Option<String>,
    /// Of a dataset, the files that it was made from, and when the last of them had landed.
    pub files: Option<(usize, Option<String>)>,
}

/// A page.
#[derive(Debug)]
pub struct File {
    /// Its path in the folder.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A word in both languages.
#[derive(Debug, Clone, Copy, Serialize)]
struct Both {
    en: &'static str,
    zh: &'static str,
}

#[derive(Debug, Serialize)]
struct ColumnRow {
    name: String,
    kind: String,
    unit: Option<String>,
    en: Option<String>,
    zh: Option<String>,
    description: Option<String>,
    checks: Vec<String>,
    from: Vec<Link>,
    to: Vec<Link>,
}

/// A column elsewhere.
#[derive(Debug, Serialize)]
struct Link {
    href: String,
    text: String,
}

/// What an index or a search tells of a page.
#[derive(Debug, Default, Serialize)]
struct Entry {
    name: String,
    href: String,
    description: Option<String>,
    rows: Option<u64>,
    newest: Option<String>,
    /// All words that a search looks at.
    words: String,
    /// Of a metric, its name in English.
    en: Option<String>,
    /// Its name in Chinese.
    zh: Option<String>,
    unit: Option<String>,
    /// Its newest value.
    value: Option<String>,
}

/// A part of the index.
#[derive(Debug, Serialize)]
struct Group {
    word: Both,
    /// Of metrics, what their names begin with.
    area: Option<String>,
    entries: Vec<Entry>,
    /// What it lists: `table`, `metric` or `job`.
    kind: &'static str,
}

/// A check of a table.
#[derive(Debug, Serialize)]
struct CheckRow {
    name: String,
    kind: &'static str,
    severity: &'static str,
    threshold: Option<String>,
    message: String,
}

/// A list of pages on the page of a job.
#[derive(Debug, Serialize)]
struct List {
    word: Both,
    links: Vec<Link>,
}

/// Returns the pages of a project.
///
/// # Errors
/// When a template is broken, which the tests rule out.
pub fn pages(
    workspace: &Workspace,
    lineage: &BTreeMap<String, Lineage>,
    published: Option<&Published>,
) -> Result<Vec<File>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("frame.html", include_str!("frame.html"))?;
    environment.add_template("index.html", include_str!("index.html"))?;
    environment.add_template("page.html", include_str!("page.html"))?;
    environment.add_template("metric.html", include_str!("metric.html"))?;
    environment.add_function("rows", grouped);
    let site = Site { workspace, lineage, published, feeds: feeds(lineage), environment };
    let mut files = vec![
        File { path: "style.css".to_owned(), text: format!("{STYLE}{}", include_str!("site.css")) },
        File { path: "site.js".to_owned(), text: include_str!("site.js").to_owned() },
        site.index()?,
    ];
    for source in workspace.project.sources.values() {
        files.push(site.source(source)?);
    }
    for (name, table) in &workspace.tables {
        files.push(site.model(name, table)?);
    }
    for own in SystemTable::ALL {
        files.push(site.own(own)?);
    }
    for id in workspace.metrics().keys() {
        files.push(site.metric(id)?);
    }
    for name in workspace.project.jobs.keys() {
        files.push(site.job(name)?);
    }
    Ok(files)
}

struct Site<'a> {
    workspace: &'a Workspace,
    lineage: &'a BTreeMap<String, Lineage>,
    published: Option<&'a Published>,
    feeds: BTreeMap<Origin, BTreeSet<Origin>>,
    environment: Environment<'static>,
}

/// A fact about a page: a word and what there is to say.
#[derive(Debug, Serialize)]
struct Fact {
    word: Both,
    text: String,
    /// The page that tells more.
    href: Option<String>,
}

impl Site<'_> {
    fn index(&self) -> Result<File, minijinja::Error> {
        let sources = self.workspace.project.sources.values().map(|source| {
            let columns = source.columns.iter().map(|(name, column)| (name.as_str(), column.doc.clone()));
            self.entry(&source.name, source.description.clone(), columns)
        });
        let group = |en, zh, entries| Group { word: Both { en, zh }, area: None, entries, kind: "table" };
        let mut groups = vec![group("Landed datasets", "落地数据集", sources.collect())];
        for layer in Layer::ALL {
            let of_layer = |name: &&String| self.workspace.project.models.get(*name).is_some_and(|m| m.layer == layer);
            let entries: Vec<Entry> = self
                .workspace
                .tables
                .keys()
                .filter(of_layer)
                .map(|name| {
                    let contract = self.workspace.project.contracts.get(name);
                    let columns = self.workspace.tables[name].schema.fields().iter().map(|field| {
                        let own = contract.and_then(|contract| contract.columns.get(field.name()));
                        (field.name().as_str(), own.map_or_else(ColumnDoc::default, |own| own.doc.clone()))
                    });
                    self.entry(name, self.description(name), columns)
                })
                .collect();
            if !entries.is_empty() {
                groups.push(Group { word: layer_word(layer), area: None, entries, kind: "table" });
            }
        }
        let own = SystemTable::ALL.into_iter().map(|own| {
            let columns = own.columns().map(|(name, _, words)| (name, words));
            self.entry(own.name(), Some(own.description().to_owned()), columns)
        });
        groups.push(group("The suite's own tables", "系统自带的表", own.collect()));
        groups.extend(self.areas());
        let jobs = self.workspace.project.jobs.iter().map(|(name, job)| Entry {
            name: name.clone(),
            href: format!("jobs/{name}.html"),
            description: job.description.clone(),
            rows: None,
            newest: job.schedule.as_ref().map(|schedule| schedule.word.text.clone()),
            words: format!("{name} {}", job.description.as_deref().unwrap_or_default()).to_lowercase(),
            ..Entry::default()
        });
        let jobs = jobs.collect();
        groups.push(Group { word: Both { en: "Jobs", zh: "作业" }, area: None, entries: jobs, kind: "job" });
        let everything: BTreeSet<String> = self
            .workspace
            .project
            .sources
            .keys()
            .cloned()
            .chain(
                self.workspace
                    .tables
                    .iter()
                    .filter(|(_, table)| table.kind != Kind::Check)
                    .map(|(name, _)| name.clone()),
            )
            .collect();
        let graph = (everything.len() <= 2 * DRAWN).then(|| graph::draw(&everything, &self.workspace.reads(), ""));
        self.render(
            "index.html",
            "index.html",
            context! { groups => value(&groups), graph => value(&graph), hrefs => value(&self.hrefs("")) },
        )
    }

    fn source(&self, source: &SourceContract) -> Result<File, minijinja::Error> {
        let fact = |en, zh, text: String| Fact { word: Both { en, zh }, text, href: None };
        let format = match &source.format {
            Format::Csv(csv) => {
                let header = if csv.names == FieldNames::Header { "with a header" } else { "without a header" };
                format!("CSV, delimiter {:?}, {header}", char::from(csv.delimiter))
            }
            Format::Ndjson(ndjson) if ndjson.explode.is_empty() => "NDJSON, one JSON object a line".to_owned(),
            Format::Ndjson(ndjson) => {
                format!("NDJSON, one JSON object a line, a row for each element of {}", ndjson.explode.join("."))
            }
        };
        let mode = match source.files {
            FilesMode::Replace => "replace: new content stands in for the old",
            FilesMode::Append => "append: new content comes on top of the old",
            FilesMode::Snapshot => "snapshot: the newest file is the whole truth",
        };
        let mut facts = vec![
            fact("Files", "文件", source.from.to_string()),
            fact("Format", "格式", format),
            fact("A changed file", "文件变化时", mode.to_owned()),
        ];
        facts.extend(source.owner.clone().map(|owner| fact("Owner", "负责人", owner)));
        if !source.key.is_empty() {
            facts.push(fact("Key", "主键", source.key.join(", ")));
        }
        if let Some(keep) = &source.keep {
            let which = if matches!(keep, Keep::Latest(_)) { "the greatest" } else { "the least" };
            facts.push(fact("Of one key is kept", "同一主键保留", format!("{which} {}", keep.column())));
        }
        if source.count_repeated {
            facts.push(fact("Rows that repeat others", "重复行", "counted, and kept".to_owned()));
        }
        if let Some(late) = &source.late {
            let then = if late.then == ThenLate::SetAside { "quarantined" } else { "kept" };
            let after = span(late.after_seconds);
            facts.push(fact(
                "Late records",
                "迟到记录",
                format!("{} more than {after} before landing: {then}", late.by),
            ));
        }
        for RecordRule { name, condition, reason } in &source.rules {
            let told = match reason {
                RuleReason::Rule => format!("{name}: {}", condition.text),
                _ => format!("{name}: {}, or {reason}", condition.text),
            };
            facts.push(fact("Rule on every record", "记录规则", told));
        }
        facts.push(fact("Zone of stamps without an offset", "无偏移时间的时区", source.parse_zone.to_string()));
        facts.push(fact(
            "Records that may be quarantined",
            "可隔离的记录比例",
            format!("{} of a file", source.rejected_share),
        ));
        let rest = source.columns.iter().find(|(_, column)| column.rest);
        let unknown = match source.new_columns {
            NewColumns::Report => None,
            NewColumns::Refuse => Some("keep the file out".to_owned()),
            NewColumns::Take => rest.map(|(name, _)| format!("are in {name}, as JSON")),
        };
        facts.extend(unknown.map(|text| fact("Names that the contract does not know", "合约之外的列", text)));
        let columns: Vec<ColumnRow> = source
            .columns
            .iter()
            .map(|(name, column)| {
                let mut checks = rules(&column.rules);
                let list = |word: &str, of: &[String]| {
                    let quoted: Vec<String> = of.iter().map(|text| format!("{text:?}")).collect();
                    (!of.is_empty()).then(|| format!("{word} {}", quoted.join(", ")))
                };
                let true_if: Vec<&str> = column.true_if.iter().map(|condition| condition.text.as_str()).collect();
                checks.extend(column.is_mark().then(|| format!("true if {}", true_if.join(" or "))));
                let path = if column.path.is_empty() { Vec::new() } else { vec![column.path.join(".")] };
                checks.extend(list("found at", &path));
                checks.extend(column.references.iter().map(|reference| format!("found in {reference}")));
                checks.extend(list("also called", &column.aliases));
                checks.extend(list("no value:", &column.null));
                checks.extend(list("written as", &column.formats));
                checks.extend(column.not_future.map(|seconds| match seconds {
                    0 => "not after the landing of its file".to_owned(),
                    _ => format!("at most {} after the landing of its file", span(seconds)),
                }));
                let kind = column.kind.to_string();
                self.column(&source.name, PageColumn { name, kind, doc: &column.doc, checks })
            })
            .collect();
        let about = Page {
            name: &source.name,
            layer: Both { en: "Landed dataset", zh: "落地数据集" },
            description: source.description.clone(),
            grain: source.grain.clone(),
            facts,
            columns,
            file: source.file.path.as_str(),
            text: Some(&source.file.text),
            is_sql: false,
        };
        self.page("sources", about)
    }

    fn model(&self, name: &str, table: &Table) -> Result<File, minijinja::Error> {
        let model = &self.workspace.project.models[name];
        let contract = self.workspace.project.contracts.get(name);
        let fact = |en, zh, text: String| Fact { word: Both { en, zh }, text, href: None };
        let mut facts = vec![match table.kind {
            Kind::View => fact("Stored", "存储", "no: a view, computed where it is read".to_owned()),
            Kind::Stored => fact("Stored", "存储", "yes, not published".to_owned()),
            Kind::Published => fact("Stored", "存储", "yes, published".to_owned()),
            Kind::Check => fact("Rows that it returns", "返回的行", "are what is wrong".to_owned()),
        }];
        if let Some(contract) = contract {
            if !contract.key.is_empty() {
                facts.push(fact("Key", "主键", format!("{}: unique, never null", contract.key.join(", "))));
            }
            facts.extend(contract.owner.clone().map(|owner| fact("Owner", "负责人", owner)));
            if !contract.tags.is_empty() {
                facts.push(fact("Tags", "标签", contract.tags.join(", ")));
            }
        }
        let variables: BTreeSet<&str> = table.query.variables().iter().map(|variable| variable.text.as_str()).collect();
        if !variables.is_empty() {
            let list = variables.iter().map(|name| format!("${name}")).collect::<Vec<_>>();
            facts.push(fact("Variables", "变量", list.join(", ")));
        }
        if table.uses_clock {
            facts.push(fact("Clock", "时钟", "is built anew when $as_of moves".to_owned()));
        }
        let columns: Vec<ColumnRow> = table
            .schema
            .fields()
            .iter()
            .map(|field| {
                let own = contract.and_then(|contract| contract.columns.get(field.name()));
                let kind = ColumnType::from_arrow(field.data_type())
                    .map_or_else(|| field.data_type().to_string(), |kind| kind.to_string());
                let none = ColumnDoc::default();
                let doc = own.map_or(&none, |own| &own.doc);
                let checks = own.map_or_else(Vec::new, column_checks);
                self.column(name, PageColumn { name: field.name(), kind, doc, checks })
            })
            .collect();
        let about = Page {
            name,
            layer: layer_word(model.layer),
            description: self.description(name),
            grain: contract.and_then(|contract| contract.grain.clone()),
            facts,
            columns,
            file: model.file.path.as_str(),
            text: Some(&model.file.text),
            is_sql: true,
        };
        self.page("tables", about)
    }

    fn own(&self, own: SystemTable) -> Result<File, minijinja::Error> {
        let columns = own.columns().map(|(name, kind, doc)| {
            self.column(own.name(), PageColumn { name, kind: kind.to_string(), doc: &doc, checks: Vec::new() })
        });
        let about = Page {
            name: own.name(),
            layer: Both { en: "The suite's own table", zh: "系统自带的表" },
            description: Some(own.description().to_owned()),
            grain: Some(own.grain().to_owned()),
            facts: Vec::new(),
            columns: columns.collect(),
            file: "",
            text: None,
            is_sql: false,
        };
        self.page("tables", about)
    }

    fn job(&self, name: &str) -> Result<File, minijinja::Error> {
        let job = &self.workspace.project.jobs[name];
        let fact = |en, zh, text: String| Fact { word: Both { en, zh }, text, href: None };
        let mut facts = Vec::new();
        if let Some(schedule) = &job.schedule {
            facts.push(fact("Schedule", "计划", format!("{} ({})", schedule.word.text, job.schedule_zone)));
        }
        facts.extend(job.owner.clone().map(|owner| fact("Owner", "负责人", owner)));
        let ingest: BTreeSet<String> = job.ingest.iter().map(|dataset| dataset.text.clone()).collect();
        let chosen: BTreeSet<String> = if job.tables.is_empty() {
            self.workspace.downstream(&ingest).difference(&ingest).cloned().collect()
        } else {
            facts.push(fact(
                "Chosen by",
                "选择",
                job.tables.iter().map(|one| one.text.as_str()).collect::<Vec<_>>().join(" "),
            ));
            job.tables.iter().filter_map(|one| select(self.workspace, &one.text).ok()).flatten().collect()
        };
        let links = |names: &BTreeSet<String>| -> Vec<Link> {
            names.iter().map(|name| Link { href: format!("../{}", self.href(name)), text: name.clone() }).collect()
        };
        let lists = [
            List { word: Both { en: "Takes in", zh: "摄取" }, links: links(&ingest) },
            List { word: Both { en: "Refreshes", zh: "刷新" }, links: links(&chosen) },
        ];
        let words = context! {
            kind => "job", name, layer => value(&Both { en: "Job", zh: "作业" }), description => job.description.clone(),
            facts => value(&facts), lists => value(&lists), file => job.file.path.to_string(),
            source => value(&plain(&job.file.text)), up => "../",
        };
        self.render("page.html", &format!("jobs/{name}.html"), words)
    }

    fn page(&self, folder: &str, about: Page<'_>) -> Result<File, minijinja::Error> {
        let name = about.name;
        let one = BTreeSet::from([name.to_owned()]);
        let mut near: BTreeSet<String> = self.workspace.upstream(&one);
        near.extend(self.workspace.downstream(&one));
        if near.len() > DRAWN {
            near = self.workspace.reads().remove(name).unwrap_or_default();
            near.extend(self.workspace.readers().remove(name).unwrap_or_default());
            near.insert(name.to_owned());
        }
        let graph = (near.len() > 1).then(|| graph::draw(&near, &self.workspace.reads(), name));
        let rows = self.lineage.get(name).map(|lineage| self.links(&lineage.rows)).unwrap_or_default();
        let source = about.text.map(|text| {
            if about.is_sql { highlight::pieces(text, |word| word != name && self.is_known(word)) } else { plain(text) }
        });
        let words = context! {
            kind => folder, name, layer => value(&about.layer), description => about.description,
            grain => about.grain, facts => value(&about.facts), columns => value(&about.columns),
            row_sources => value(&rows), file => about.file, source => value(&source), is_sql => about.is_sql,
            graph => value(&graph), hrefs => value(&self.hrefs("../")), up => "../",
            checks => value(&self.checks(name)), lists => value(&self.counted_from(name).into_iter().collect::<Vec<_>>()),
            now => value(&self.published.and_then(|published| published.tables.get(name))),
        };
        self.render("page.html", &format!("{folder}/{name}.html"), words)
    }

    /// Returns the checks of a table, by its contract and by the queries that test it.
    fn checks(&self, name: &str) -> Vec<CheckRow> {
        let of_table = self.workspace.checks().filter(|check| check.table.as_deref() == Some(name));
        let row = |check: &Check| CheckRow {
            name: check.name.clone(),
            kind: check.kind,
            severity: check.terms.severity.as_str(),
            threshold: check.terms.threshold(),
            message: check.message.clone(),
        };
        of_table.map(row).collect()
    }

    fn render(&self, template: &str, path: &str, words: Value) -> Result<File, minijinja::Error> {
        let snapshot = self.published.map(|published| published.snapshot.chars().take(12).collect::<String>());
        let as_of = self.published.map(|published| published.as_of.clone());
        let frame = context! { snapshot, as_of, ..words };
        Ok(File { path: path.to_owned(), text: self.environment.get_template(template)?.render(frame)? + "\n" })
    }

    /// Returns the line of a table in the index. A search finds it by its name, by what is said of it, and by the names
    /// of its columns and their labels in both languages.
    fn entry<'n>(
        &self,
        name: &str,
        description: Option<String>,
        columns: impl Iterator<Item = (&'n str, ColumnDoc)>,
    ) -> Entry {
        let now = self.published.and_then(|published| published.tables.get(name));
        let about = description.as_deref().unwrap_or_default();
        let columns: Vec<String> = columns
            .flat_map(|(column, own)| {
                let words = self.workspace.project.column_doc(column, &own);
                [Some(column.to_owned()), words.en, words.zh].into_iter().flatten()
            })
            .collect();
        let words = format!("{name} {about} {}", columns.join(" ")).to_lowercase();
        let (rows, newest) = (now.map(|now| now.rows), now.and_then(|now| now.newest.clone()));
        Entry { name: name.to_owned(), href: self.href(name), description, rows, newest, words, ..Entry::default() }
    }

    fn column(&self, table: &str, column: PageColumn<'_>) -> ColumnRow {
        let PageColumn { name, kind, doc, checks } = column;
        let doc = self.workspace.project.column_doc(name, doc);
        let origins = self.lineage.get(table).and_then(|lineage| lineage.columns.iter().find(|(of, _)| of == name));
        let origin = Origin { table: table.to_owned(), column: name.to_owned() };
        ColumnRow {
            name: name.to_owned(),
            kind,
            unit: doc.unit,
            en: doc.en,
            zh: doc.zh,
            description: doc.description,
            checks,
            from: origins.map(|(_, origins)| self.links(origins)).unwrap_or_default(),
            to: self.feeds.get(&origin).map(|to| self.links(to)).unwrap_or_default(),
        }
    }

    fn links(&self, origins: &BTreeSet<Origin>) -> Vec<Link> {
        let link = |origin: &Origin| Link {
            href: format!("../{}#{}", self.href(&origin.table), origin.column),
            text: format!("{}.{}", origin.table, origin.column),
        };
        origins.iter().map(link).collect()
    }

    fn is_known(&self, name: &str) -> bool {
        let is_own = SystemTable::ALL.iter().any(|own| own.name() == name);
        is_own || self.workspace.project.sources.contains_key(name) || self.workspace.tables.contains_key(name)
    }

    fn href(&self, name: &str) -> String {
        let folder = if self.workspace.project.sources.contains_key(name) { "sources" } else { "tables" };
        format!("{folder}/{name}.html")
    }

    /// Returns where each page is, for templates in a folder from which `up` leads to the outermost one.
    fn hrefs(&self, up: &str) -> BTreeMap<String, String> {
        let names = self.workspace.project.sources.keys().chain(self.workspace.tables.keys()).map(String::as_str);
        let own = SystemTable::ALL.iter().map(|own| own.name());
        let tables = names.chain(own).map(|name| (name.to_owned(), self.href(name)));
        let metrics = self.workspace.project.metrics.values().map(|of| (metric::name(of), metric::href(&of.id)));
        tables.chain(metrics).map(|(name, href)| (name, format!("{up}{href}"))).collect()
    }

    /// Returns what a model's contract says of it, or else the comment at the head of its SQL.
    fn description(&self, name: &str) -> Option<String> {
        let told = self.workspace.project.contracts.get(name).and_then(|contract| contract.description.clone());
        told.or_else(|| {
            let text = &self.workspace.project.models.get(name)?.file.text;
            let lines = text.lines().map_while(|line| line.strip_prefix("--")).map(str::trim);
            Some(lines.collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty())
        })
    }
}

/// What the page of a dataset or table says.
struct Page<'a> {
    name: &'a str,
    layer: Both,
    description: Option<String>,
    grain: Option<String>,
    facts: Vec<Fact>,
    columns: Vec<ColumnRow>,
    file: &'a str,
    text: Option<&'a str>,
    is_sql: bool,
}

/// A column as it is declared.
struct PageColumn<'a> {
    name: &'a str,
    kind: String,
    doc: &'a ColumnDoc,
    /// What its values must keep to.
    checks: Vec<String>,
}

/// Returns what a template can read.
fn value(of: &impl Serialize) -> Value {
    fn from(json: Json) -> Value {
        match json {
            Json::Null => Value::from(()),
            Json::Bool(is) => Value::from(is),
            Json::Number(number) => number.as_u64().map_or_else(|| Value::from(number.as_f64()), Value::from),
            Json::String(text) => Value::from(text),
            Json::Array(items) => items.into_iter().map(from).collect(),
            Json::Object(entries) => {
                let entries: BTreeMap<String, Value> = entries.into_iter().map(|(key, of)| (key, from(of))).collect();
                Value::from(entries)
            }
        }
    }
    from(serde_json::to_value(of).unwrap_or_default())
}

fn plain(text: &str) -> Vec<highlight::Piece> {
    vec![highlight::Piece { class: "", text: text.to_owned() }]
}

/// Returns of each column the columns that come from it.
fn feeds(lineage: &BTreeMap<String, Lineage>) -> BTreeMap<Origin, BTreeSet<Origin>> {
    let mut feeds: BTreeMap<Origin, BTreeSet<Origin>> = BTreeMap::new();
    for (table, of) in lineage {
        for (column, origins) in &of.columns {
            for origin in origins {
                let to = Origin { table: table.clone(), column: column.clone() };
                feeds.entry(origin.clone()).or_default().insert(to);
            }
        }
    }
    feeds
}

/// Returns a span of time in its largest whole unit.
fn span(seconds: u64) -> String {
    let units = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
    let (unit, of) = units.into_iter().find(|(_, of)| seconds.is_multiple_of(*of)).unwrap_or(("second", 1));
    let count = seconds / of;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Returns what a contract says of a column of a model.
fn column_checks(column: &ModelColumn) -> Vec<String> {
    let mut found = rules(&column.rules);
    let max_change = column.max_change.as_ref();
    found.extend(max_change.map(|most| format!("moves by at most {}", most.written.text)));
    found
}

fn rules(rules: &Rules) -> Vec<String> {
    let mut found = Vec::new();
    if rules.required {
        found.push("never null".to_owned());
    }
    if !rules.values.is_empty() {
        found.push(format!("one of {}", rules.values.join(", ")));
    }
    found.extend(rules.min.as_ref().map(|least| format!("at least {least}")));
    found.extend(rules.max.as_ref().map(|most| format!("at most {most}")));
    found.extend(rules.pattern.as_ref().map(|pattern| format!("matches {pattern}")));
    found
}

fn layer_word(layer: Layer) -> Both {
    let (en, zh) = match layer {
        Layer::Base => ("Base", "基础层"),
        Layer::Staging => ("Staging", "暂存层"),
        Layer::Intermediate => ("Intermediate", "中间层"),
        Layer::Marts => ("Marts", "集市层"),
        Layer::Metrics => ("Tables of metrics", "指标层"),
        Layer::Kpi => ("KPIs", "KPI 层"),
        Layer::Performance => ("Performance", "绩效层"),
        Layer::Risk => ("Risk", "风险层"),
        Layer::Checks => ("Checks", "校验"),
    };
    Both { en, zh }
}

/// Returns a count with a comma after every three digits.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

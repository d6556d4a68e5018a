//! Whole projects on disk, right and wrong, and broken in every way that chance finds.

use std::fs;

use camino::Utf8Path;
use tempfile::TempDir;

use super::*;
use crate::project::{
    ColumnType, Comparison, CsvFormat, FilesMode, Format, Keep, Layer, Operand, RuleReason, Test, Tick, Variable,
};

const SETTINGS_TEXT: &str = r#"warehouse = "warehouse"
tick = "hour"
reporting_zone = "Asia/Shanghai"
memory = "2GB"
headline = "kpi_support_daily"

[paths]
landing = "data-samples"

[vars]
window = 28
share = 0.5
strict = true
label = "x"
since = 2024-01-01
cut = 2024-01-01T08:00:00+08:00

[limits]
record_bytes = "1MiB"
finding_rows = 5

[env.prod]
warehouse = "/srv/warehouse"
paths.landing = "/srv/landing"
vars.window = 56
"#;

const SOURCE_TEXT: &str = r#"description = "Tickets, as the help desk exports them"
grain = "one row per version of a ticket"
from = "{landing}/tickets/{region}/tickets-*.csv.gz"
format = { type = "csv", delimiter = "\t" }
files = "append"
key = ["id"]
keep = { latest = "updated_at" }
rejected_share = 0

[columns]
id         = { type = "int64!", aliases = ["ticket_id"], min = 1 }
region     = "string!"
created_at = { type = "timestamp!", format = "%d.%m.%Y %H:%M", min = 2020-01-01T00:00:00Z }
updated_at = "timestamp!"
status     = { type = "string!", values = ["new", "open"], pattern = "^[a-z]+$" }
score      = { type = "decimal(6,2)", min = 0, max = 100.5, null = ["", "N/A"], unit = "points", zh = "得分" }
is_test    = { type = "boolean", true_if = ["status ~ '(?i)test'", "id in (-1, 0)"] }

[rules]
in_order = "updated_at >= created_at"
whole = { rule = "score <> id - score + 0.5", reason = "E_SUM" }
"#;

const CONTRACT_TEXT: &str = r#"grain = "one row per day"
key = ["day"]
tags = ["support"]
[columns.day]
required = true
[columns.tickets]
min = 0
values = [1, 2.5]
"#;

const METRICS_TEXT: &str = r#"from = "fct_ticket"
time = "created_at"
by = ["channel", { desk = ["channel", "priority"] }]
settle = "$window days"
[sla]
numerator = "sum(met)"
denominator = "count(*)"
unit = "share"
en = "In time"
material = { share = 0.1 }
[week]
of = "sla"
over = "7 days"
unit = "share"
en = "In time"
"#;

const PROJECT: [(&str, &str); 9] = [
    (SETTINGS, SETTINGS_TEXT),
    ("jobs/tickets.toml", "schedule = \"15 * * * 1-5\"\ningest = [\"tickets\"]\ntables = [\"tag:support\"]\n"),
    ("schemas/sources/tickets.toml", SOURCE_TEXT),
    ("schemas/models/kpi_support_daily.toml", CONTRACT_TEXT),
    ("schemas/metrics/support.toml", METRICS_TEXT),
    ("schemas/columns.toml", "day = { description = \"The day\", en = \"Day\", zh = \"日\" }\n"),
    ("sql/staging/stg_tickets.sql", "select * from tickets\n"),
    ("sql/kpi/people/kpi_support_daily.sql", "select * from stg_tickets\n"),
    ("sql/README.md", "not SQL"),
];

/// Writes files into a folder that lives as long as what is returned.
pub(super) fn folder<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

pub(super) fn path(folder: &TempDir) -> &Utf8Path {
    Utf8Path::from_path(folder.path()).unwrap()
}

/// Returns the mistakes of a project, each as `path:line:column code message @text`.
pub(super) fn mistakes(files: &[(&str, &str)]) -> Vec<String> {
    let settings = [(SETTINGS, "[paths]\nlanding = \"in\"\n")];
    let folder = folder(settings.into_iter().chain(files.iter().copied()));
    let words = |d: &Diagnostic| {
        let (line, column) = d.at.line_column();
        let marked = &d.at.file.text[d.at.bytes.clone()];
        format!("{}:{line}:{column} {} {} @{marked}", d.at.file.path, d.code.as_str(), d.message)
    };
    load(path(&folder), None).map_or_else(|found| found.iter().map(words).collect(), |_| Vec::new())
}

#[test]
fn a_project_means_what_it_says() {
    let folder = folder(PROJECT);
    let project = load(path(&folder), None).unwrap();

    let settings = &project.settings;
    assert_eq!((settings.tick, settings.reporting_zone), (Tick::Hour, chrono_tz::Asia::Shanghai));
    assert_eq!((settings.memory_bytes, settings.limits.record_bytes), (Some(2_000_000_000), 1 << 20));
    assert_eq!(settings.limits.finding_rows, 5);
    assert_eq!(settings.vars["window"], Variable::Integer(28));
    assert_eq!(settings.vars["since"], Variable::Date("2024-01-01".parse().unwrap()));
    assert_eq!(settings.vars["cut"], Variable::Timestamp("2024-01-01T00:00:00Z".parse().unwrap()));

    let source = &project.sources["tickets"];
    assert_eq!(source.from.to_string(), "data-samples/tickets/{region}/tickets-*.csv.gz");
    assert_eq!(source.format, Format::Csv(CsvFormat { delimiter: b'\t', ..CsvFormat::USUAL }));
    assert_eq!((source.files, source.parse_zone), (FilesMode::Append, chrono_tz::Asia::Shanghai));
    assert_eq!(source.keep, Some(Keep::Latest("updated_at".to_owned())));
    assert_eq!(
        source.columns.keys().collect::<Vec<_>>(),
        ["id", "region", "created_at", "updated_at", "status", "score", "is_test"]
    );
    let score = &source.columns["score"];
    assert_eq!(score.kind, ColumnType::Decimal { precision: 6, scale: 2 });
    assert_eq!((score.rules.min.as_deref(), score.rules.max.as_deref()), (Some("0"), Some("100.5")));
    assert_eq!((score.null.as_slice(), score.rules.required), ([String::new(), "N/A".to_owned()].as_slice(), false));
    assert_eq!(source.columns["id"].null, [""]);
    assert_eq!(source.columns["created_at"].rules.min.as_deref(), Some("2020-01-01T00:00:00Z"));

    let is_test = &source.columns["is_test"];
    assert_eq!((is_test.kind, is_test.rules.required), (ColumnType::Boolean, true));
    let true_if = is_test.true_if.iter().map(|condition| (condition.left.as_str(), condition.test.clone()));
    let among = Test::In(vec!["-1".to_owned(), "0".to_owned()]);
    assert_eq!(true_if.collect::<Vec<_>>(), [("status", Test::Matches("(?i)test".to_owned())), ("id", among)]);
    let rules = source.rules.iter().map(|rule| (rule.name.as_str(), rule.reason, rule.condition.test.clone()));
    let column = |name: &str| Operand::Column(name.to_owned());
    let sum = vec![column("id"), Operand::Minus("score".to_owned()), Operand::Value("0.5".to_owned())];
    assert_eq!(
        rules.collect::<Vec<_>>(),
        [
            ("in_order", RuleReason::Rule, Test::Compare(Comparison::GreaterOrEqual, vec![column("created_at")])),
            ("whole", RuleReason::Sum, Test::Compare(Comparison::NotEqual, sum)),
        ]
    );

    assert_eq!(project.models.keys().collect::<Vec<_>>(), ["kpi_support_daily", "stg_tickets"]);
    assert_eq!(project.models["kpi_support_daily"].layer, Layer::Kpi);
    let contract = &project.contracts["kpi_support_daily"];
    assert_eq!(contract.columns["tickets"].rules.values, ["1", "2.5"]);
    assert_eq!(&CONTRACT_TEXT[contract.places.key[0].clone()], "day");
    assert_eq!(&CONTRACT_TEXT[contract.places.columns[1].clone()], "tickets");
    assert_eq!(project.metrics.keys().collect::<Vec<_>>(), ["support_sla", "support_week"]);
    assert_eq!(project.jobs["tickets"].tables[0].text, "tag:support");
    assert_eq!(project.dictionary["day"].zh.as_deref(), Some("日"));
}

#[test]
fn an_environment_changes_what_it_names() {
    let folder = folder(PROJECT);
    let settings = load(path(&folder), Some("prod")).unwrap().settings;
    assert_eq!(settings.warehouse, "/srv/warehouse");
    assert_eq!(settings.vars["window"], Variable::Integer(56));
    assert_eq!(settings.vars["share"], Variable::Float(0.5));
    assert_eq!(settings.paths["landing"], "/srv/landing");
    assert_eq!(settings.memory_bytes, Some(2_000_000_000));
}

#[test]
fn the_root_is_found_from_below() {
    let folder = folder(PROJECT);
    let root = path(&folder).canonicalize_utf8().unwrap();
    assert_eq!(find_root(&root.join("sql/kpi")).unwrap(), root);
    assert!(find_root(&root.join("no/such/folder")).is_err());
}

#[test]
fn a_file_that_cannot_be_read_is_not_also_missing() {
    let files = [
        ("schemas/sources/tickets.toml", "from = "),
        ("jobs/tickets.toml", "ingest = [\"tickets\"]\n"),
        ("sql/kpi/daily.sql", "select 1"),
        ("schemas/models/daily.toml", "grain = \"one row\"\n"),
    ];
    assert_eq!(
        mistakes(&files),
        [
            "schemas/sources/tickets.toml:1:8 E0103 a value is missing @",
            "sql/kpi/daily.sql:1:1 E0109 `daily` does not start with `kpi_` @",
        ]
    );
}

#[test]
fn broken_settings_do_not_break_contracts() {
    let folder = folder(PROJECT);
    fs::write(folder.path().join(SETTINGS), "[paths\n").unwrap();
    let found = load(path(&folder), None).unwrap_err();
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::TomlSyntax]);
}

/// Returns numbers that look like chance and are the same each time.
struct Lottery(u64);

impl Lottery {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let folder = folder(PROJECT);
    let try_bytes = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).unwrap();
        for env in [None, Some("prod")] {
            if let Err(found) = load(path(&folder), env) {
                assert!(!found.is_empty());
                assert!(found.render(false).contains("error[E0"));
            }
        }
    };
    let mut lottery = Lottery(20_250_131);
    for (name, text) in PROJECT.iter().take(8) {
        for end in 0..text.len() {
            try_bytes(name, &text.as_bytes()[..end]);
        }
        for _ in 0..300 {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..=lottery.below(3) {
                let at = lottery.below(bytes.len());
                match lottery.below(3) {
                    0 => bytes[at] = u8::try_from(lottery.below(256)).unwrap(),
                    1 => bytes[at] = b"\"'{}[]=,.#\n!-\\0_"[lottery.below(16)],
                    _ => bytes.truncate(at + 1),
                }
            }
            try_bytes(name, &bytes);
        }
        try_bytes(name, text.as_bytes());
    }
}

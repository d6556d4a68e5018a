//! The pages of metrics: what is declared, what it is made of and who reads it, and its values where there are some.

use std::collections::BTreeSet;

use minijinja::context;
use serde::Serialize;

use super::chart::{self, Chart};
use super::{Both, DRAWN, Entry, Fact, File, Group, Link, List, Site, graph, grouped, highlight, plain, value};
use crate::plan::{Kind, MetricAbout};
use crate::project::{DayCount, Formula, Metric, MetricScope, MetricTime, NumberOfDays, Spine};
use crate::report::{Grid, MetricNow};

/// Charts of scopes that a page shows of a metric without rows of the whole.
const CHARTS: usize = 6;

/// The tables with a row per period, metric and scope, which models read.
const PERIODS: [&str; 3] = ["metric_day", "metric_week", "metric_month"];

/// A part of the formula.
#[derive(Debug, Serialize)]
struct Part {
    key: &'static str,
    sql: Vec<highlight::Piece>,
    after: String,
}

/// Rows of a table that names the metric.
#[derive(Debug, Serialize)]
struct Agreed {
    table: String,
    href: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Returns the name that arithmetic and pages know a metric by; no table has a dot in its name.
pub(super) fn name(metric: &Metric) -> String {
    format!("{}.{}", metric.area, metric.key.text)
}

/// Returns where the page of a metric is.
pub(super) fn href(id: &str) -> String {
    format!("metrics/{id}.html")
}

/// Returns a value as people read it.
fn shown(unit: &str, decimals: u8, value: f64) -> String {
    let decimals = usize::from(decimals);
    if unit == "share" {
        return format!("{:.*} %", decimals.saturating_sub(2).max(1), value * 100.0);
    }
    let text = format!("{:.*}", decimals, value.abs());
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    let sign = if value < 0.0 && text.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) { "-" } else { "" };
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

fn days(count: &DayCount) -> String {
    match &count.days {
        NumberOfDays::Count(1) => "1 day".to_owned(),
        NumberOfDays::Count(days) => format!("{days} days"),
        NumberOfDays::Variable(name) => format!("${name} days"),
    }
}

impl Site<'_> {
    /// Returns the metrics with what they are compiled to.
    fn metrics(&self) -> impl Iterator<Item = (&Metric, &MetricAbout)> {
        let metrics = self.workspace.project.metrics.values();
        metrics.filter_map(|metric| Some((metric, self.workspace.metrics().get(&metric.id)?)))
    }

    fn now(&self, metric: &Metric) -> Option<&MetricNow> {
        self.published?.metrics.get(&metric.id)
    }

    /// Returns the charts of a metric: one of the whole, or else of its first scopes.
    fn charts(&self, metric: &Metric) -> Vec<Chart> {
        let Some(now) = self.now(metric) else { return Vec::new() };
        let is_total = |key: &[Option<String>]| key.get(1).is_some_and(|kind| kind.as_deref() == Some("total"));
        let has_total = now.series.iter().any(|series| is_total(&series.key));
        let chosen = now.series.iter().filter(|series| is_total(&series.key) == has_total);
        chosen
            .filter_map(|series| chart::draw(series, |value| shown(&metric.unit, metric.decimals, value)))
            .take(CHARTS)
            .collect()
    }

    /// Returns the parts of the index with the metrics of each area.
    pub(super) fn areas(&self) -> Vec<Group> {
        let mut areas: Vec<Group> = Vec::new();
        for (metric, about) in self.metrics() {
            let charts = self.charts(metric);
            let latest = charts.first().filter(|_| about.scopes.contains("total"));
            let doc = &metric.doc;
            let words = [
                metric.id.as_str(),
                &name(metric),
                &doc.en,
                doc.zh.as_deref().unwrap_or_default(),
                &about.formula,
                &metric.unit,
                metric.owner.as_deref().unwrap_or_default(),
                &metric.tags.join(" "),
            ];
            let entry = Entry {
                name: name(metric),
                href: href(&metric.id),
                description: Some(about.formula.clone()),
                rows: None,
                newest: latest.map(|chart| chart.day.clone()),
                words: words.join(" ").to_lowercase(),
                en: Some(doc.en.clone()),
                zh: doc.zh.clone(),
                unit: Some(metric.unit.clone()),
                value: latest.map(|chart| chart.newest.clone()),
            };
            match areas.last_mut().filter(|group| group.area.as_deref() == Some(&metric.area)) {
                Some(group) => group.entries.push(entry),
                None => areas.push(Group {
                    word: Both { en: "Metrics", zh: "指标" },
                    area: Some(metric.area.clone()),
                    entries: vec![entry],
                    kind: "metric",
                }),
            }
        }
        areas
    }

    /// Returns the metrics that are counted from the rows of a table.
    pub(super) fn counted_from(&self, table: &str) -> Option<List> {
        let of = self.metrics().filter(|(_, about)| about.table.as_deref() == Some(table));
        let links: Vec<Link> = of.map(|(metric, _)| self.link(metric)).collect();
        let word = Both { en: "Metrics that are counted from its rows", zh: "由其行计算的指标" };
        (!links.is_empty()).then_some(List { word, links })
    }

    #[expect(clippy::unused_self, reason = "links are made by the site")]
    fn link(&self, metric: &Metric) -> Link {
        Link { href: format!("../{}", href(&metric.id)), text: name(metric) }
    }

    fn table_links(&self, names: &BTreeSet<String>) -> Vec<Link> {
        names.iter().map(|name| Link { href: format!("../{}", self.href(name)), text: name.clone() }).collect()
    }

    /// Returns the page of a metric.
    pub(super) fn metric(&self, id: &str) -> Result<File, minijinja::Error> {
        let metric = &self.workspace.project.metrics[id];
        let about = &self.workspace.metrics()[id];
        let used: Vec<&Metric> =
            self.metrics().filter(|(_, other)| other.uses.contains(id)).map(|(metric, _)| metric).collect();
        let named_by = self.named_by(id);
        let lists: Vec<List> = [
            ("Made of", "由这些指标计算", self.uses(about).into_iter().map(|metric| self.link(metric)).collect()),
            ("Metrics that are made of it", "用到它的指标", used.iter().map(|metric| self.link(metric)).collect()),
            ("Models and checks that name it", "提到它的模型与校验", self.table_links(&named_by)),
            ("Tables with all metrics", "包含全部指标的表", self.table_links(&self.tables_of_all())),
        ]
        .into_iter()
        .filter(|(_, _, links): &(_, _, Vec<Link>)| !links.is_empty())
        .map(|(en, zh, links)| List { word: Both { en, zh }, links })
        .collect();
        let agreed: Vec<Agreed> =
            self.now(metric).map_or_else(Vec::new, |now| now.agreed.iter().map(|grid| self.agreed(grid)).collect());
        let place = metric.file.at(metric.key.bytes.clone());
        let words = context! {
            name => name(metric), id, area => metric.area.clone(), en => metric.doc.en.clone(),
            zh => metric.doc.zh.clone(), formula => about.formula.clone(), parts => value(&self.parts(metric)),
            facts => value(&self.metric_facts(metric, about)), charts => value(&self.charts(metric)),
            lists => value(&lists), agreed => value(&agreed), unit => metric.unit.clone(),
            file => metric.file.path.to_string(), line => place.line_column().0,
            source => value(&plain(&declaration(&metric.file.text, metric.key.bytes.start))),
            graph => value(&self.metric_graph(metric, about, &named_by)), hrefs => value(&self.hrefs("../")), up => "../",
        };
        self.render("metric.html", &href(id), words)
    }

    fn uses(&self, about: &MetricAbout) -> Vec<&Metric> {
        about.uses.iter().filter_map(|id| self.workspace.project.metrics.get(id)).collect()
    }

    fn metric_facts(&self, metric: &Metric, about: &MetricAbout) -> Vec<Fact> {
        let fact = |en, zh, text: String| Fact { word: Both { en, zh }, text, href: None };
        let table = |en, zh, name: &str| Fact {
            word: Both { en, zh },
            text: name.to_owned(),
            href: Some(format!("../{}", self.href(name))),
        };
        let mut facts = vec![fact("Name in tables", "表中名称", metric.id.clone())];
        facts.push(fact("Unit", "单位", metric.unit.clone()));
        facts.extend(metric.better.map(|better| fact("Better", "方向", better.as_str().to_owned())));
        facts.push(fact("A week or month has", "周与月的取值", about.roll_up.to_owned()));
        if let (Some(rows), Some(from)) = (&metric.rows, &about.table) {
            facts.push(table("Counted from", "来源表", from));
            let column = |word: &str| Fact {
                word: Both { en: "Its days are those of", zh: "日期列" },
                text: word.to_owned(),
                href: Some(format!("../{}#{word}", self.href(from))),
            };
            match &rows.time {
                MetricTime::At(time) => facts.push(column(&time.text)),
                MetricTime::Balance(time) => {
                    facts.push(column(&time.text));
                    facts.push(fact("Is", "类型", "a balance: the sum of all changes so far".to_owned()));
                }
                MetricTime::First(time) => {
                    facts.push(column(&time.text));
                    facts.push(fact("Is", "类型", "first times: each value counts once, on its first day".to_owned()));
                }
                MetricTime::Stock { from, to } => {
                    let text = format!("a stock: what is there from `{}` until before `{}`", from.text, to.text);
                    facts.push(fact("Is", "类型", text));
                }
            }
            facts.extend(rows.filter.as_ref().map(|filter| fact("Rows that count", "计入的行", filter.text.clone())));
            facts.extend(rows.feed.as_ref().map(|feed| table("Days are known by", "已知日期来自", &feed.text)));
            facts.extend(rows.over.as_ref().map(|over| fact("Window", "窗口", days(over))));
            if rows.spine == Spine::Observed {
                facts.push(fact("Days", "日期", "those that have rows".to_owned()));
            }
        }
        facts.push(fact("Scopes", "范围", self.scopes(metric, about)));
        if metric.is_per_day {
            facts.push(fact("Per", "口径", "day".to_owned()));
        }
        let sql = |word: &crate::project::Located| word.text.clone();
        facts.extend(metric.open.as_ref().map(|open| fact("Not complete while a row has", "未完成条件", sql(open))));
        facts.extend(metric.sample.as_ref().map(|sample| {
            fact("Needs a sample", "最小样本", format!("{} of at least {}", sample.text, about.min_sample))
        }));
        facts.extend(metric.settle.as_ref().map(|settle| fact("Settles after", "稳定时间", days(settle))));
        facts.extend(metric.carry.as_ref().map(|carry| fact("A scope stands for", "沿用时间", days(carry))));
        facts.extend(about.headline.map(|place| fact("Place in the headline", "头条位置", place.to_string())));
        facts.extend(metric.material.map(|material| {
            let absolute = material.absolute.map(|least| format!("{least} {}", metric.unit));
            let share = material.share.map(|least| format!("{} %", least * 100.0));
            let both: Vec<String> = [absolute, share].into_iter().flatten().collect();
            fact("Least difference that matters", "重要差异", both.join(" and "))
        }));
        facts.extend(metric.owner.as_ref().map(|owner| fact("Owner", "负责人", owner.clone())));
        if !metric.tags.is_empty() {
            facts.push(fact("Tags", "标签", metric.tags.join(", ")));
        }
        facts
    }

    /// Returns the scopes, each with the columns that say it where they are called otherwise.
    #[expect(clippy::unused_self, reason = "facts are told by the site")]
    fn scopes(&self, metric: &Metric, about: &MetricAbout) -> String {
        let by = metric.rows.iter().flat_map(|rows| &rows.by);
        let columns = |name: &str| by.clone().find(|scope| scope.name.text == name);
        let told = |name: &String| match columns(name) {
            Some(MetricScope { columns, .. }) if columns.len() > 1 || columns[0].text != *name => {
                let columns: Vec<&str> = columns.iter().map(|column| column.text.as_str()).collect();
                format!("{name} ({})", columns.join(", "))
            }
            _ => name.clone(),
        };
        // The whole comes first.
        let total = about.scopes.iter().filter(|name| *name == "total");
        let others = about.scopes.iter().filter(|name| *name != "total").map(told);
        total.cloned().chain(others).collect::<Vec<_>>().join(", ")
    }

    fn parts(&self, metric: &Metric) -> Vec<Part> {
        let part = |key, word: &crate::project::Located, after: String| Part {
            key,
            sql: highlight::pieces(&word.text, |word| self.is_known(word)),
            after,
        };
        match &metric.formula {
            Formula::Value(value) => vec![part("value", value, String::new())],
            Formula::Ratio { numerator, denominator } => {
                vec![part("numerator", numerator, String::new()), part("denominator", denominator, String::new())]
            }
            Formula::Of { metric, over } => vec![part("of", metric, format!("over {}", days(over)))],
        }
    }

    /// Returns the models and checks whose SQL has the metric's name as a text.
    fn named_by(&self, id: &str) -> BTreeSet<String> {
        let quoted = format!("'{id}'");
        let names = |text: &str| {
            highlight::pieces(text, |_| false).iter().any(|piece| piece.class == "t" && piece.text == quoted)
        };
        let models = self.workspace.project.models.values();
        // What metrics are compiled to names all of them.
        let written = models.filter(|model| !crate::plan::is_compiled(model) && model.file.text.contains(&quoted));
        written.filter(|model| names(&model.file.text)).map(|model| model.name.clone()).collect()
    }

    /// Returns the tables with a row per period, metric and scope that are there, and what reads them.
    fn tables_of_all(&self) -> BTreeSet<String> {
        let periods = PERIODS.iter().filter(|name| self.workspace.tables.contains_key(**name));
        let mut found: BTreeSet<String> = periods.clone().map(|name| (*name).to_owned()).collect();
        let readers = self.workspace.readers();
        found.extend(periods.filter_map(|name| readers.get(*name)).flatten().cloned());
        found.retain(|name| self.workspace.tables[name].kind != Kind::Check);
        found
    }

    /// Draws the metric between the tables and metrics that it comes from, and those that name it.
    fn metric_graph(&self, metric: &Metric, about: &MetricAbout, named_by: &BTreeSet<String>) -> graph::Graph {
        let mut reads = self.workspace.reads();
        for (other, about) in self.metrics() {
            let table = about.table.iter().cloned();
            reads.insert(name(other), table.chain(self.uses(about).into_iter().map(name)).collect());
        }
        let here = name(metric);
        let mut near = BTreeSet::from([here.clone()]);
        let mut next: Vec<String> = near.iter().cloned().collect();
        while let Some(one) = next.pop() {
            let inputs = reads.get(&one).into_iter().flatten();
            next.extend(inputs.filter(|input| near.insert((*input).clone())).cloned());
        }
        if near.len() > DRAWN {
            near.clone_from(&reads[&here]);
            near.insert(here.clone());
        }
        near.extend(self.metrics().filter(|(_, other)| other.uses.contains(&metric.id)).map(|(other, _)| name(other)));
        for model in named_by {
            near.insert(model.clone());
            reads.entry(model.clone()).or_default().insert(here.clone());
        }
        debug_assert!(about.table.as_ref().is_none_or(|table| near.contains(table)));
        graph::draw(&near, &reads, &here)
    }

    fn agreed(&self, grid: &Grid) -> Agreed {
        let cell = |value: &serde_json::Value| match value {
            serde_json::Value::Null => "–".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Agreed {
            table: grid.table.clone(),
            href: format!("../{}", self.href(&grid.table)),
            columns: grid.columns.iter().map(|column| column.name.clone()).collect(),
            rows: grid.rows.iter().map(|row| row.iter().map(cell).collect()).collect(),
        }
    }
}

/// Returns the lines of a metric in its file.
fn declaration(text: &str, key: usize) -> String {
    let start = text[..key].rfind('\n').map_or(0, |end| end + 1);
    let is_table = |line: &&str| line.starts_with('[') && line[1..].starts_with(|c: char| c.is_ascii_alphabetic());
    let mut lines = text[start..].lines();
    let first = lines.next();
    let mut lines: Vec<&str> = first.into_iter().chain(lines.take_while(|line| !is_table(line))).collect();
    // A comment above the next table is of that one.
    while lines.last().is_some_and(|line| line.trim().is_empty() || line.starts_with('#')) {
        lines.pop();
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_with_the_decimals_and_the_unit_of_the_metric() {
        let cases = [
            ("tickets", 0, 1234.4, "1,234"),
            ("minutes", 1, -1234.56, "-1,234.6"),
            ("minutes", 1, -0.01, "0.0"),
            ("share", 3, 0.123_45, "12.3 %"),
            ("share", 4, -0.000_51, "-0.05 %"),
            ("share", 0, 1.0, "100.0 %"),
        ];
        for (unit, decimals, value, expected) in cases {
            assert_eq!(shown(unit, decimals, value), expected);
        }
    }

    #[test]
    fn a_declaration_is_the_lines_of_its_table() {
        let text = "from = \"a\"\n\n# Of b.\n[b]\nby = [\n[\"x\", \"y\"],\n]\n\n# Of c.\n[c]\nvalue = \"count(*)\"\n";
        assert_eq!(declaration(text, text.find("b]").unwrap()), "[b]\nby = [\n[\"x\", \"y\"],\n]\n");
        assert_eq!(declaration(text, text.find("c]").unwrap()), "[c]\nvalue = \"count(*)\"\n");
    }
}

//! Reads `schemas/metrics/<area>.toml`: numbers, and the rows that they are counted from.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::names::Names;
use super::value::{NAME_RULE, is_name, number, owner, plain, plain_all, sql};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place, SourceFile};
use crate::project::toml_reader::{self, Table, Value};
use crate::project::{
    Better, DayCount, Formula, Located, Material, Metric, MetricDoc, MetricRows, MetricScope, MetricTime, NumberOfDays,
    Spine,
};

/// Ten years: no period is longer, and no history of a metric needs more.
const MOST_DAYS: u32 = 3_660;

/// More decimals than this are noise.
const MOST_DECIMALS: u8 = 6;

/// The keys that say which rows are counted and when.
const OF_ROWS: [&str; 10] = ["time", "where", "by", "total", "feed", "spine", "open", "as", "from_time", "to_time"];

/// Returns every metric that can be read, by its id.
pub(super) fn read_all(names: &Names, found: &mut Diagnostics) -> BTreeMap<String, Metric> {
    let mut declared = Declared::default();
    for (area, leaf) in &names.metrics {
        let Some(file) = &leaf.file else { continue };
        toml_reader::read(file, found, |table| {
            read_area(area, file, table, &mut declared);
            Some(())
        });
    }
    declared.lend_decimals();
    declared.metrics
}

/// The metrics of all areas that have been read so far.
#[derive(Default)]
struct Declared {
    metrics: BTreeMap<String, Metric>,
    /// Where each id stands, also of those that could not be read.
    places: BTreeMap<String, Place>,
    /// Which metric shows as many decimals as which other.
    as_other: BTreeMap<String, String>,
}

impl Declared {
    /// Gives metrics of other metrics the decimals of those, once all are known.
    fn lend_decimals(&mut self) {
        for (id, other) in &self.as_other {
            let mut other = other;
            // A chain that is longer than there are links leads in a circle.
            for _ in 0..self.as_other.len() {
                let Some(next) = self.as_other.get(other) else { break };
                other = next;
            }
            let decimals = self.metrics.get(other).map(|metric| metric.decimals);
            if let (Some(metric), Some(decimals)) = (self.metrics.get_mut(id), decimals) {
                metric.decimals = decimals;
            }
        }
    }
}

/// What all metrics of a file have that do not say otherwise.
struct Area<'a> {
    name: &'a str,
    file: &'a SourceFile,
    rows: Rows,
    shared: Shared,
}

/// What an area and a metric can say of the rows.
///
/// - `by` has a hole for each scope that could not be read.
struct Rows {
    has_from: bool,
    from: Option<Located>,
    has_time: bool,
    time: Option<Located>,
    filter: Option<Located>,
    by: Option<Vec<Option<MetricScope>>>,
    total: Option<(bool, Place)>,
    feed: Option<Located>,
    spine: Option<Spine>,
}

impl Rows {
    /// Reads them with `name` for the texts that a metric can take away from its area.
    fn read<'d>(table: &mut Table<'d>, name: impl Fn(&mut Table<'d>, &'static str) -> Option<Located>) -> Self {
        Self {
            has_from: table.has("from"),
            from: name(table, "from"),
            has_time: table.has("time"),
            time: filled(table, "time", "a column"),
            filter: name(table, "where"),
            by: table.take("by").map(|value| scopes(&value)),
            total: table.take("total").and_then(|value| Some((value.boolean()?, value.place()))),
            feed: name(table, "feed"),
            spine: table.one_of("spine", &[("calendar", Spine::Calendar), ("observed", Spine::Observed)]),
        }
    }

    /// Returns what a metric says, and where it says nothing what its area says.
    fn or(self, area: &Self) -> Self {
        Self {
            has_from: self.has_from || area.has_from,
            from: self.from.or_else(|| area.from.clone()),
            has_time: self.has_time || area.has_time,
            time: self.time.or_else(|| area.time.clone()),
            filter: self.filter.or_else(|| area.filter.clone()),
            by: self.by.or_else(|| area.by.clone()),
            total: self.total.or_else(|| area.total.clone()),
            feed: self.feed.or_else(|| area.feed.clone()),
            spine: self.spine.or(area.spine),
        }
    }
}

/// What an area and a metric can say besides the rows.
struct Shared {
    owner: Option<String>,
    tags: Option<Vec<String>>,
    settle: Option<DayCount>,
}

impl Shared {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            owner: owner(table),
            tags: table.has("tags").then(|| plain_all(table.distinct_texts("tags"))),
            settle: days(table, "settle"),
        }
    }

    fn or(self, area: &Self) -> Self {
        Self {
            owner: self.owner.or_else(|| area.owner.clone()),
            tags: self.tags.or_else(|| area.tags.clone()),
            settle: self.settle.or_else(|| area.settle.clone()),
        }
    }
}

fn read_area(name: &str, file: &SourceFile, mut table: Table<'_>, declared: &mut Declared) {
    let rows = Rows::read(&mut table, |table, key| match key {
        "where" => sql(table, key),
        _ => filled(table, key, "a table"),
    });
    let area = Area { name, file, rows, shared: Shared::read(&mut table) };
    for entry in table.other_tables() {
        let key = &entry.name;
        if !is_name(&key.text) {
            table.reject(key, format!("`{}` cannot name a metric", key.text), NAME_RULE);
        }
        let id = format!("{name}_{}", key.text);
        let place = table.at(key.bytes.clone());
        if let Some(other) = declared.places.get(&id) {
            let message = format!("two metrics would both be `{id}`");
            table.report(
                Diagnostic::new(Code::DuplicateStem, place, message)
                    .related(other.clone(), "the other")
                    .help("rename one of them: a name means one metric"),
            );
        } else {
            declared.places.insert(id.clone(), place);
        }
        let Some((metric, decimals)) = read(&entry, &area) else { continue };
        if let (None, Formula::Of { metric: other, .. }) = (decimals, &metric.formula) {
            declared.as_other.insert(id.clone(), metric.id_of(&other.text));
        }
        declared.metrics.insert(id, metric);
    }
    table.finish();
}

/// Which formula a metric has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Value,
    Ratio,
    Of,
}

/// Reads one metric, and how many decimals it asks for itself.
fn read(entry: &Value<'_>, area: &Area<'_>) -> Option<(Metric, Option<u8>)> {
    let mut table = entry.table()?;
    let kind = kind(entry, &table)?;
    let formula = formula(&mut table, kind);
    let is_of_rows = |key: &Located| OF_ROWS.into_iter().chain(["from", "over", "settle"]).any(|of| of == key.text);
    let own_keys = table.entries().into_iter().map(|entry| entry.name).filter(is_of_rows).collect();
    let rows = if kind == Kind::Of {
        for key in OF_ROWS.into_iter().chain(["from", "sample", "per"]) {
            let help = format!("remove `{key}`, or write a `value` that is counted from rows");
            refuse(&mut table, key, "a metric of another metric takes its rows from there", &help);
        }
        None
    } else {
        rows(&mut table, &entry.name, area)
    };
    let (open, sample) =
        if kind == Kind::Of { (None, None) } else { (sql(&mut table, "open"), sql(&mut table, "sample")) };
    let carry = days(&mut table, "carry");
    let is_per_day = kind != Kind::Of && table.one_of("per", &[("day", ())]).is_some();
    let better = [Better::Higher, Better::Lower, Better::Band].map(|better| (better.as_str(), better));
    let better = table.one_of("better", &better);
    let unit = required(&mut table, "unit", "unit = \"tickets\"");
    let decimals = decimals(&mut table);
    let material = material(&mut table);
    let en = required(&mut table, "en", "en = \"Tickets created\"");
    let (zh, words) = (plain(table.text("zh")), plain(table.text("formula")));
    let Shared { owner, tags, settle } = Shared::read(&mut table).or(&area.shared);
    table.finish();
    let metric = Metric {
        id: format!("{}_{}", area.name, entry.name.text),
        area: area.name.to_owned(),
        key: entry.name.clone(),
        file: area.file.clone(),
        formula: formula?,
        rows,
        own_keys,
        open,
        carry,
        sample,
        settle,
        is_per_day,
        better,
        unit: unit?.text,
        decimals: decimals.unwrap_or(if kind == Kind::Ratio { 3 } else { 0 }),
        material,
        doc: MetricDoc { en: en?.text, zh, formula: words },
        owner,
        tags: tags.unwrap_or_default(),
    };
    Some((metric, decimals))
}

fn kind(entry: &Value<'_>, table: &Table<'_>) -> Option<Kind> {
    let is_ratio = table.has("numerator") || table.has("denominator");
    let kinds = [(table.has("value"), Kind::Value), (is_ratio, Kind::Ratio), (table.has("of"), Kind::Of)];
    let chosen = kinds.into_iter().filter(|(is_chosen, _)| *is_chosen).map(|(_, kind)| kind).collect::<Vec<_>>();
    if let [kind] = chosen.as_slice() {
        return Some(*kind);
    }
    let name = &entry.name;
    let message = match chosen.len() {
        0 => format!("the metric `{}` counts nothing", name.text),
        count => format!("the metric `{}` has {count} formulas", name.text),
    };
    table.reject(name, message, "give it one of `value`, `numerator` with `denominator`, or `of`");
    None
}

fn formula(table: &mut Table<'_>, kind: Kind) -> Option<Formula> {
    match kind {
        Kind::Value => Some(Formula::Value(sql(table, "value")?)),
        Kind::Ratio => {
            let numerator = required(table, "numerator", "numerator = \"count(*)\"");
            let denominator = required(table, "denominator", "denominator = \"count(*)\"");
            Some(Formula::Ratio { numerator: numerator?, denominator: denominator? })
        }
        Kind::Of => {
            let metric = table.text("of");
            if let Some(word) = &metric
                && !(word.text.split('.').all(is_name) && word.text.split('.').count() <= 2)
            {
                let message = format!("`{}` cannot name a metric", word.text);
                table.reject(word, message, "write the key of a metric of this file, or `area.key`");
            }
            if !table.has("over") {
                table.missing("over", "over = \"7 days\"");
            }
            let over = days(table, "over");
            Some(Formula::Of { metric: metric?, over: over? })
        }
    }
}

/// Returns the rows of a metric that has some of its own, all that there is to say of them being said.
fn rows(table: &mut Table<'_>, key: &Located, area: &Area<'_>) -> Option<MetricRows> {
    // An empty text takes away what the area says.
    let rows = Rows::read(table, Table::text).or(&area.rows);
    let over = days(table, "over");
    let is_without_from = rows.from.as_ref().map_or(!rows.has_from, is_empty);
    if is_without_from {
        for key in OF_ROWS.into_iter().chain(["over"]) {
            let help = format!("write `from = \"fct_ticket\"`, or remove `{key}`");
            refuse(table, key, format!("`{key}` is of rows, and this metric has no `from`"), &help);
        }
        return None;
    }
    let time = time(table, &rows);
    let by = rows.by.unwrap_or_default();
    let has_total = rows.total.as_ref().is_none_or(|(has_total, _)| *has_total);
    if let Some((false, at)) = rows.total
        && by.is_empty()
    {
        let message = format!("`{}` would have no row: no `total`, and no scope in `by`", key.text);
        let help = "name a scope, such as `by = [\"channel\"]`, or remove `total = false`";
        table.report(Diagnostic::new(Code::InvalidValue, at, message).help(help));
    }
    Some(MetricRows {
        from: rows.from?,
        time: time?,
        filter: rows.filter.filter(|word| !is_empty(word)),
        by: by.into_iter().flatten().collect(),
        has_total,
        feed: rows.feed.filter(|word| !is_empty(word)),
        over,
        spine: rows.spine.unwrap_or_default(),
    })
}

/// How rows count that do not count on their day alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    Stock,
    Balance,
    First,
}

fn time(table: &mut Table<'_>, rows: &Rows) -> Option<MetricTime> {
    let kinds = [("stock", As::Stock), ("balance", As::Balance), ("first", As::First)];
    let kind = table.one_of("as", &kinds);
    if kind == Some(As::Stock) {
        for key in ["time", "over"] {
            let help = "remove it: a stock is counted at the end of each day";
            refuse(table, key, format!("a stock has no `{key}`"), help);
        }
        let from = required(table, "from_time", "from_time = \"started_at\"");
        let to = required(table, "to_time", "to_time = \"ended_at\"");
        return Some(MetricTime::Stock { from: from?, to: to? });
    }
    if table.has("as") && kind.is_none() {
        // What it goes with is not known.
        OF_ROWS.into_iter().chain(["over", "per"]).for_each(|key| drop(table.take(key)));
        return None;
    }
    if let Some(kind) = kind {
        refuse(table, "over", "`over` does not go with `as`", "remove it, or take `as` out");
        if kind == As::First {
            let help = "remove it: what counts on its first day adds up over days";
            refuse(table, "per", "`per` does not go with `as = \"first\"`", help);
        }
        let time = rows.time.clone();
        if !rows.has_time {
            table.missing("time", "time = \"created_at\"");
        }
        return time.map(if kind == As::Balance { MetricTime::Balance } else { MetricTime::First });
    }
    for key in ["from_time", "to_time"] {
        refuse(table, key, format!("`{key}` is for a stock"), "write `as = \"stock\"`, or remove it");
    }
    if !rows.has_time {
        table.missing("time", "time = \"created_at\"");
    }
    rows.time.clone().map(MetricTime::At)
}

/// Returns the scopes that `by` lists.
fn scopes(value: &Value<'_>) -> Vec<Option<MetricScope>> {
    if !matches!(value.node(), DeValue::Array(_)) {
        value.wrong_type("a list");
        return vec![None];
    }
    let mut scopes = Vec::<Option<MetricScope>>::new();
    for item in value.list() {
        let scope = scope(&item);
        if let Some(MetricScope { name, .. }) = &scope {
            let refuse = |message: String, help: &str| {
                let at = item.at(name.bytes.clone());
                item.report(Diagnostic::new(Code::InvalidValue, at, message).help(help));
            };
            if name.text == "total" {
                refuse("a scope cannot be called `total`".to_owned(), "rows of the whole are; rename it");
            } else if !is_name(&name.text) {
                refuse(format!("`{}` cannot name a scope", name.text), NAME_RULE);
            } else if scopes.iter().flatten().any(|known| known.name.text == name.text) {
                let message = format!("the scope `{}` stands in `by` twice", name.text);
                refuse(message, "remove it here, or write `{ name = … }`");
            }
        }
        scopes.push(scope);
    }
    scopes
}

/// Returns a scope: a column, a list of columns, or a table that gives one of both a name.
fn scope(item: &Value<'_>) -> Option<MetricScope> {
    match item.node() {
        DeValue::String(_) => item.text().map(|name| MetricScope { columns: vec![name.clone()], name }),
        DeValue::Array(_) => {
            let columns = columns(item)?;
            let text = columns.iter().map(|column| column.text.as_str()).collect::<Vec<_>>().join("_");
            Some(MetricScope { name: Located { text, bytes: item.place().bytes }, columns })
        }
        DeValue::Table(_) => {
            let entries = item.table()?.entries();
            let [entry] = entries.as_slice() else {
                let message = format!("a scope has one name, and this has {}", entries.len());
                item.reject(message, "write `{ name = [\"column\", \"column\"] }`");
                return None;
            };
            Some(MetricScope { name: entry.name.clone(), columns: columns(entry)? })
        }
        _ => {
            item.wrong_type("a column, a list of columns or a table");
            None
        }
    }
}

/// Returns the columns of a scope; none is a mistake, and so is one that stands in it twice.
fn columns(value: &Value<'_>) -> Option<Vec<Located>> {
    let columns = value.text_or_list();
    for (at, word) in columns.iter().enumerate() {
        if columns[..at].iter().any(|known| known.text == word.text) {
            let message = format!("`{}` stands in this scope twice", word.text);
            let at = value.at(word.bytes.clone());
            value.report(Diagnostic::new(Code::InvalidValue, at, message).help("remove it here"));
        }
    }
    if let DeValue::Array(items) = value.node()
        && items.is_empty()
    {
        value.reject("a scope names no column", "name one, or remove the scope: rows of the whole are `total`");
    }
    (!columns.is_empty()).then_some(columns)
}

/// Returns the days that a text such as `7 days` stands for.
fn days(table: &mut Table<'_>, key: &'static str) -> Option<DayCount> {
    let word = table.text(key)?;
    let days = parse_days(&word.text);
    if days.is_none() {
        let message = format!("`{}` is not a number of days from 1 to {MOST_DAYS}", word.text);
        table.reject(&word, message, "write `7 days`, or the name of a variable as in `$window days`");
    }
    Some(DayCount { days: days?, bytes: word.bytes })
}

fn parse_days(text: &str) -> Option<NumberOfDays> {
    let (number, unit) = text.split_once(' ')?;
    if !matches!(unit, "day" | "days") {
        return None;
    }
    if let Some(name) = number.strip_prefix('$') {
        return is_name(name).then(|| NumberOfDays::Variable(name.to_owned()));
    }
    // The parser of numbers takes a sign.
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let count = number.parse().ok().filter(|count| is_plain && (1..=MOST_DAYS).contains(count))?;
    Some(NumberOfDays::Count(count))
}

fn decimals(table: &mut Table<'_>) -> Option<u8> {
    let value = table.take("decimals")?;
    let number = value.integer()?;
    let decimals = u8::try_from(number).ok().filter(|decimals| *decimals <= MOST_DECIMALS);
    if decimals.is_none() {
        let help = format!("write a whole number from 0 to {MOST_DECIMALS}");
        value.reject(format!("`decimals` cannot be {number}"), help);
    }
    decimals
}

fn material(table: &mut Table<'_>) -> Option<Material> {
    let mut least = table.table("material")?;
    if !least.has("absolute") && !least.has("share") {
        least.missing("absolute", "material = { absolute = 5 }");
    }
    let is_above_zero = |number: f64| number > 0.0;
    let absolute = number(&mut least, "absolute", is_above_zero, "a number above 0");
    let share = number(&mut least, "share", is_above_zero, "a share above 0, such as `0.1`");
    least.finish();
    Some(Material { absolute, share })
}

/// Reports `key`, where the table has it, as one that says nothing there.
fn refuse(table: &mut Table<'_>, key: &'static str, message: impl Into<String>, help: &str) {
    if let Some(value) = table.take(key) {
        table.reject(&value.name, message, help);
    }
}

/// Returns the text of `key`, which the table must have, and which must say something.
fn required(table: &mut Table<'_>, key: &'static str, example: &str) -> Option<Located> {
    let word = table.required_text(key, example)?;
    if is_empty(&word) {
        table.reject(&word, format!("`{key}` is empty"), format!("write `{example}`"));
        return None;
    }
    Some(word)
}

/// Returns the text of `key`, which must say something: what `expected` tells people.
fn filled(table: &mut Table<'_>, key: &'static str, expected: &str) -> Option<Located> {
    let word = table.text(key)?;
    if is_empty(&word) {
        table.reject(&word, format!("`{key}` is empty"), format!("name {expected}, or leave it out"));
        return None;
    }
    Some(word)
}

fn is_empty(word: &Located) -> bool {
    word.text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::super::tests::{folder, mistakes, path};
    use super::*;

    const SETTINGS: (&str, &str) = ("opsmart.toml", "paths.landing = \"in\"\n");

    /// Metrics that say everything that can be said.
    const SUPPORT: &str = r#"
from = "fct_ticket"
time = "created_at"
where = "not is_deleted"
by = ["channel", { group = "group_id" }, ["channel", "priority"], { desk = ["channel", "priority"] }]
feed = "dim_ticket_feed"
spine = "observed"
owner = "support-desk"
tags = ["support"]
settle = "$first_contact_days days"

[created]
value = "count(*)"
better = "lower"
unit = "tickets"
en = "Tickets created"
zh = "新建工单"
formula = "tickets created on the day"

[sla_rate]
from = "fct_reply"
time = "replied_at"
where = ""
by = []
total = true
feed = ""
spine = "calendar"
owner = "desk"
tags = []
numerator = "count(*) filter (where is_met)"
denominator = "count(*)"
open = "state = 'active'"
sample = "count(x)"
settle = "1 day"
over = "28 days"
unit = "share"
en = "Replies in time"
material = { absolute = 5, share = 0.1 }

[backlog]
from = "fct_interval"
value = "count(*)"
as = "stock"
from_time = "started_at"
to_time = "ended_at"
total = false
decimals = 6
unit = "tickets"
en = "Backlog"

[reply_rate_7d]
of = "sla_rate"
over = "7 days"
unit = "share"
en = "Replies in time, 7 days"

[dau]
value = "count(distinct user_id)"
per = "day"
unit = "users"
en = "Daily users"

[left]
from = ""
value = "created - closed"
unit = "tickets"
en = "Left open"
"#;

    /// Loads a project of files of metrics.
    fn metrics(files: &[(&str, &str)]) -> BTreeMap<String, Metric> {
        let folder = folder([SETTINGS].into_iter().chain(files.iter().copied()));
        load(path(&folder), None).unwrap().metrics
    }

    fn texts(words: &[Located]) -> Vec<&str> {
        words.iter().map(|word| word.text.as_str()).collect()
    }

    #[test]
    fn a_metric_has_what_its_area_says_unless_it_says_otherwise() {
        let metrics = metrics(&[("schemas/metrics/support.toml", SUPPORT)]);
        let at = |word: &Located| &SUPPORT[word.bytes.clone()];

        let created = &metrics["support_created"];
        assert_eq!(
            (created.id.as_str(), created.area.as_str(), at(&created.key)),
            ("support_created", "support", "created")
        );
        assert!(matches!(&created.formula, Formula::Value(sql) if at(sql) == "count(*)" && sql.text == "count(*)"));
        assert_eq!((created.better, created.unit.as_str(), created.decimals), (Some(Better::Lower), "tickets", 0));
        assert_eq!((created.doc.en.as_str(), created.doc.zh.as_deref()), ("Tickets created", Some("新建工单")));
        assert_eq!(created.doc.formula.as_deref(), Some("tickets created on the day"));
        assert_eq!(
            (created.owner.as_deref(), created.tags.as_slice()),
            (Some("support-desk"), ["support".to_owned()].as_slice())
        );
        let settle = created.settle.as_ref().unwrap();
        assert_eq!(settle.days, NumberOfDays::Variable("first_contact_days".to_owned()));
        assert_eq!(&SUPPORT[settle.bytes.clone()], "$first_contact_days days");
        assert!(
            !created.is_per_day && created.open.is_none() && created.sample.is_none() && created.material.is_none()
        );

        let rows = created.rows.as_ref().unwrap();
        assert_eq!((at(&rows.from), at(rows.feed.as_ref().unwrap())), ("fct_ticket", "dim_ticket_feed"));
        assert!(matches!(&rows.time, MetricTime::At(time) if at(time) == "created_at"));
        assert_eq!(at(rows.filter.as_ref().unwrap()), "not is_deleted");
        assert_eq!((rows.has_total, rows.spine, &rows.over), (true, Spine::Observed, &None));
        let scopes = rows.by.iter().map(|scope| (scope.name.text.as_str(), at(&scope.name), texts(&scope.columns)));
        assert_eq!(
            scopes.collect::<Vec<_>>(),
            [
                ("channel", "channel", vec!["channel"]),
                ("group", "group", vec!["group_id"]),
                ("channel_priority", "[\"channel\", \"priority\"]", vec!["channel", "priority"]),
                ("desk", "desk", vec!["channel", "priority"]),
            ]
        );

        let rate = &metrics["support_sla_rate"];
        let Formula::Ratio { numerator, denominator } = &rate.formula else { panic!("{:?}", rate.formula) };
        assert_eq!((at(numerator), at(denominator)), ("count(*) filter (where is_met)", "count(*)"));
        assert_eq!(
            (at(rate.open.as_ref().unwrap()), at(rate.sample.as_ref().unwrap())),
            ("state = 'active'", "count(x)")
        );
        assert_eq!(rate.settle.as_ref().unwrap().days, NumberOfDays::Count(1));
        assert_eq!(rate.material, Some(Material { absolute: Some(5.0), share: Some(0.1) }));
        assert_eq!((rate.owner.as_deref(), rate.tags.as_slice(), rate.decimals), (Some("desk"), [].as_slice(), 3));
        let rows = rate.rows.as_ref().unwrap();
        assert_eq!((rows.from.text.as_str(), rows.spine, rows.has_total), ("fct_reply", Spine::Calendar, true));
        assert!(matches!(&rows.time, MetricTime::At(time) if time.text == "replied_at"));
        assert!(rows.filter.is_none() && rows.feed.is_none() && rows.by.is_empty());
        assert_eq!(rows.over.as_ref().unwrap().days, NumberOfDays::Count(28));

        let backlog = &metrics["support_backlog"];
        let rows = backlog.rows.as_ref().unwrap();
        assert!(
            matches!(&rows.time, MetricTime::Stock { from, to } if at(from) == "started_at" && at(to) == "ended_at")
        );
        assert_eq!((backlog.decimals, rows.has_total, rows.by.len()), (6, false, 4));

        let week = &metrics["support_reply_rate_7d"];
        let Formula::Of { metric, over } = &week.formula else { panic!("{:?}", week.formula) };
        assert_eq!((at(metric), &over.days, week.decimals), ("sla_rate", &NumberOfDays::Count(7), 3));
        assert_eq!(
            (&week.rows, week.id_of("sla_rate"), week.id_of("app.dau")),
            (&None, "support_sla_rate".to_owned(), "app_dau".to_owned())
        );

        assert!(metrics["support_dau"].is_per_day);
        assert_eq!(metrics["support_left"].rows, None);
        assert_eq!(metrics.len(), 6);
    }

    #[test]
    fn decimals_of_other_metrics_are_those_of_the_last() {
        let of = |key: &str, other: &str| {
            format!("[{key}]\nof = \"{other}\"\nover = \"7 days\"\nunit = \"u\"\nen = \"E\"\n")
        };
        let text = [
            "[z]\nvalue = \"1\"\nunit = \"u\"\nen = \"E\"\ndecimals = 2\n".to_owned(),
            of("a", "b"),
            of("b", "x.z"),
            of("c", "d"),
            of("d", "c"),
        ]
        .concat();
        let metrics = metrics(&[("schemas/metrics/x.toml", &text)]);
        assert_eq!(["x_a", "x_b", "x_c", "x_d"].map(|id| metrics[id].decimals), [2, 2, 0, 0]);
    }

    #[test]
    fn each_key_of_a_metric_is_checked_where_it_stands() {
        const END: &str = "\nunit = \"u\"\nen = \"E\"";
        let whole = [
            ("form = \"fct_a\"", "1:1 E0104 there is no key `form` here @form"),
            ("from = \"\"", "1:9 E0107 `from` is empty @"),
            ("where = \"\"", "1:10 E0107 `where` is empty @"),
            ("[from]", "1:1 E0106 `from` is a table, expected text @[from]"),
            ("by = \"channel\"", "1:6 E0106 `by` is text, expected a list @\"channel\""),
            ("by = [1]", "1:7 E0106 `by` is an integer, expected a column, a list of columns or a table @1"),
            ("by = [[]]", "1:7 E0107 a scope names no column @[]"),
            ("by = [[\"a\", \"a\"]]", "1:14 E0107 `a` stands in this scope twice @a"),
            ("by = [{ x = [\"a\", \"a\"] }]", "1:20 E0107 `a` stands in this scope twice @a"),
            ("by = [{ x = 1 }]", "1:13 E0106 `x` is an integer, expected text or a list of texts @1"),
            ("by = [{}]", "1:7 E0107 a scope has one name, and this has 0 @{}"),
            (
                "by = [{ a = \"b\", c = \"d\" }]",
                "1:7 E0107 a scope has one name, and this has 2 @{ a = \"b\", c = \"d\" }",
            ),
            ("by = [\"total\"]", "1:8 E0107 a scope cannot be called `total` @total"),
            ("by = [{ A = \"a\" }]", "1:9 E0107 `A` cannot name a scope @A"),
            ("by = [\"a\", { a = \"b\" }]", "1:14 E0107 the scope `a` stands in `by` twice @a"),
            (
                "by = [[\"a\", \"b_c\"], [\"a_b\", \"c\"]]",
                "1:21 E0107 the scope `a_b_c` stands in `by` twice @[\"a_b\", \"c\"]",
            ),
            ("spine = \"days\"", "1:10 E0107 `spine` cannot be `days` @days"),
            ("tags = [\"a\", \"a\"]", "1:15 E0107 `a` stands in `tags` twice @a"),
            ("settle = \"7\"", "1:11 E0107 `7` is not a number of days from 1 to 3660 @7"),
            ("settle = 7", "1:10 E0106 `settle` is an integer, expected text @7"),
            ("[a]\nvalue = \"1\"\nen = \"E\"", "1:1 E0105 `unit` is missing @[a]"),
            ("[a]\nvalue = \"1\"\nunit = \"u\"", "1:1 E0105 `en` is missing @[a]"),
            ("[a]\nvalue = \"1\"\nunit = \" \"\nen = \"E\"", "3:9 E0107 `unit` is empty @ "),
            (
                "from = 1\n[a]\nvalue = \"1\"\ntime = \"t\"\nunit = \"u\"\nen = \"E\"",
                "1:8 E0106 `from` is an integer, expected text @1",
            ),
            (
                "from = \"f\"\ntime = 1\n[a]\nvalue = \"1\"\nunit = \"u\"\nen = \"E\"",
                "2:8 E0106 `time` is an integer, expected text @1",
            ),
            (
                "by = [1]\n[a]\nfrom = \"f\"\ntime = \"t\"\ntotal = false\nvalue = \"1\"\nunit = \"u\"\nen = \"E\"",
                "1:7 E0106 `by` is an integer, expected a column, a list of columns or a table @1",
            ),
            ("[A]\nvalue = \"1\"\nunit = \"u\"\nen = \"E\"", "1:2 E0107 `A` cannot name a metric @A"),
        ];
        let metric = [
            ("", "1:2 E0107 the metric `a` counts nothing @a"),
            ("value = \"1\"\nof = \"b\"", "1:2 E0107 the metric `a` has 2 formulas @a"),
            ("value = \"1\"\nof = \"b\"\ndenominator = \"1\"", "1:2 E0107 the metric `a` has 3 formulas @a"),
            ("value = \" \"", "2:10 E0107 `value` is empty @ "),
            ("numerator = \"1\"", "1:1 E0105 `denominator` is missing @[a]"),
            ("denominator = \"1\"\nnumerator = \"\"", "3:14 E0107 `numerator` is empty @"),
            ("value = \"1\"\nvalu = \"2\"", "3:1 E0104 there is no key `valu` here @valu"),
            ("of = \"b\"", "1:1 E0105 `over` is missing @[a]"),
            ("of = \"b.c.d\"\nover = \"7 days\"", "2:7 E0107 `b.c.d` cannot name a metric @b.c.d"),
            ("of = \"B\"\nover = \"7 days\"", "2:7 E0107 `B` cannot name a metric @B"),
            ("value = \"1\"\nover = \"7 days\"", "3:1 E0107 `over` is of rows, and this metric has no `from` @over"),
            ("value = \"1\"\nas = \"stock\"", "3:1 E0107 `as` is of rows, and this metric has no `from` @as"),
            ("value = \"1\"\nfrom = \"f\"", "1:1 E0105 `time` is missing @[a]"),
            ("value = \"1\"\nfrom = \"f\"\ntime = \"\"", "4:9 E0107 `time` is empty @"),
            ("value = \"1\"\nper = \"week\"", "3:8 E0107 `per` cannot be `week` @week"),
            ("value = \"1\"\nbetter = \"more\"", "3:11 E0107 `better` cannot be `more` @more"),
            ("value = \"1\"\ndecimals = 7", "3:12 E0107 `decimals` cannot be 7 @7"),
            ("value = \"1\"\ndecimals = -1", "3:12 E0107 `decimals` cannot be -1 @-1"),
            ("value = \"1\"\nmaterial = {}", "3:12 E0105 `absolute` is missing @{}"),
            ("value = \"1\"\nmaterial = { absolute = 0 }", "3:25 E0107 `absolute` cannot be 0 @0"),
            ("value = \"1\"\nmaterial = { share = -0.1 }", "3:22 E0107 `share` cannot be -0.1 @-0.1"),
            ("value = \"1\"\nmaterial = { share = 1, most = 2 }", "3:25 E0104 there is no key `most` here @most"),
            (
                "value = \"1\"\nfrom = \"f\"\ntime = \"t\"\ntotal = false",
                "5:9 E0107 `a` would have no row: no `total`, and no scope in `by` @false",
            ),
            (
                "value = \"1\"\nfrom = \"f\"\ntime = \"t\"\nfrom_time = \"t\"",
                "5:1 E0107 `from_time` is for a stock @from_time",
            ),
            ("value = \"1\"\nfrom = \"f\"\nas = \"stock\"\nfrom_time = \"t\"", "1:1 E0105 `to_time` is missing @[a]"),
            (
                "value = \"1\"\nfrom = \"f\"\nas = \"flow\"\nfrom_time = \"t\"\nto_time = \"u\"",
                "4:7 E0107 `as` cannot be `flow` @flow",
            ),
        ];
        let metric = metric.map(|(text, expected)| (format!("[a]\n{text}{END}"), expected));
        let whole = whole.map(|(text, expected)| (text.to_owned(), expected));
        for (text, expected) in whole.into_iter().chain(metric) {
            let found = mistakes(&[("schemas/metrics/x.toml", &text)]);
            assert_eq!(found, [format!("schemas/metrics/x.toml:{expected}")], "{text}");
        }
    }

    #[test]
    fn a_metric_of_another_has_no_rows_of_its_own() {
        let keys = OF_ROWS.into_iter().chain(["from", "sample", "per"]);
        for key in keys {
            let text = format!(
                "from = \"f\"\ntime = \"t\"\n[a]\nof = \"b\"\nover = \"7 days\"\nunit = \"u\"\nen = \"E\"\n{key} = 1\n"
            );
            let expected =
                format!("schemas/metrics/x.toml:8:1 E0107 a metric of another metric takes its rows from there @{key}");
            assert_eq!(mistakes(&[("schemas/metrics/x.toml", &text)]), [expected]);
        }
    }

    #[test]
    fn a_stock_is_counted_at_the_end_of_each_day() {
        for line in ["time = \"t\"", "over = \"7 days\""] {
            let text = format!(
                "from = \"f\"\ntime = \"t\"\n[a]\nvalue = \"1\"\nas = \"stock\"\nfrom_time = \"t\"\nto_time = \"t\"\nunit = \"u\"\nen = \"E\"\n{line}\n"
            );
            let key = line.split(' ').next().unwrap();
            let expected = format!("schemas/metrics/x.toml:10:1 E0107 a stock has no `{key}` @{key}");
            assert_eq!(mistakes(&[("schemas/metrics/x.toml", &text)]), [expected]);
        }
    }

    #[test]
    fn an_id_means_one_metric() {
        let files = [
            ("schemas/metrics/a.toml", "[b_c]\nvalue = 1\nunit = \"u\"\nen = \"E\"\n"),
            ("schemas/metrics/a_b.toml", "[c]\nvalue = \"1\"\nunit = \"u\"\nen = \"E\"\n"),
        ];
        assert_eq!(
            mistakes(&files),
            [
                "schemas/metrics/a.toml:2:9 E0106 `value` is an integer, expected text @1",
                "schemas/metrics/a_b.toml:1:2 E0108 two metrics would both be `a_b_c` @c",
            ]
        );
    }

    #[test]
    fn days_are_a_number_or_a_variable() {
        for (text, count) in [("1 day", 1), ("7 days", 7), ("3660 days", 3_660)] {
            assert_eq!(parse_days(text), Some(NumberOfDays::Count(count)));
        }
        assert_eq!(parse_days("$window days"), Some(NumberOfDays::Variable("window".to_owned())));
        for text in [
            "",
            "7",
            "days",
            "0 days",
            "3661 days",
            "+7 days",
            "-1 days",
            "7  days",
            "7 weeks",
            "1.5 days",
            "$ days",
            "$A days",
            "99999999999 days",
        ] {
            assert_eq!(parse_days(text), None, "{text}");
        }
    }
}

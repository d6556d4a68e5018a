//! Metrics that somebody asks for: one SELECT over the tables that they are counted from, by the same rules as the tables
//! of metrics, for other scopes, rows and days than those that are declared and stored.
//!
//! Promises: for declared scopes and without a condition it returns what `metric_day`, `metric_week` and `metric_month`
//! hold. What cannot be answered is told where it is asked. Does not know the data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::NaiveDate;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::prelude::SessionContext;

use super::formula::{self, Operand};
use super::resolve::{self, Kind, Resolved};
use super::rows::{self, Narrowing};
use super::{Counted, Grain, Range, periods, series};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, did_you_mean};
use crate::plan::check::Scope;
use crate::plan::query::sql_name;
use crate::plan::trial::CompileCache;
use crate::plan::{Workspace, bind, sql_functions};
use crate::project::{Located, Metric, MetricRows, MetricScope, MetricTime, Spine};
use crate::sql_text::text;

/// The scope of everything together.
const TOTAL: &str = "total";

/// What somebody asks of metrics.
#[derive(Debug, Clone, Copy)]
pub struct MetricQuestion<'a> {
    /// The metrics, as `area.key` or `area_key`.
    pub metrics: &'a [String],
    /// The scopes: names that are declared, columns, or several of them with commas between; none for the whole.
    pub by: &'a [String],
    /// A condition on the rows that count.
    pub filter: Option<&'a str>,
    /// The days.
    pub days: Range,
    /// The length of a period.
    pub grain: Grain,
}

/// The SELECT that answers a question. It may use variables.
#[derive(Debug)]
pub struct MetricSelect<'a> {
    /// Tables that it reads, by name, each with its SELECT, which may read those before it.
    pub tables: Vec<(String, String)>,
    /// Its text.
    pub select: String,
    /// The metrics, in the order in which they are asked for.
    pub metrics: Vec<&'a Metric>,
}

impl MetricSelect<'_> {
    /// Returns all of it as one SELECT.
    #[must_use]
    pub fn sql(&self) -> String {
        let table =
            |(name, select): &(String, String)| format!("{} as (\n\n{}\n\n)", sql_name(name), select.trim_end());
        let tables: Vec<String> = self.tables.iter().map(table).collect();
        format!("with\n\n{}\n\n{}", tables.join(",\n\n"), self.select)
    }
}

/// Returns the SELECT that answers a question: a row for each period and scope, a column for each metric.
///
/// # Errors
/// Names that stand for nothing, and scopes and conditions that do not fit the rows of a metric.
pub fn metric_select<'a>(
    workspace: &'a Workspace,
    question: &MetricQuestion<'_>,
) -> Result<MetricSelect<'a>, Diagnostics> {
    let project = &workspace.project;
    let mut mistakes = Diagnostics::default();
    let ids = ids(&project.metrics, question.metrics, &mut mistakes);
    let session = sql_functions::binding_session(project)?;
    let declared = resolve::all(&project.metrics, project, &session.state(), &mut mistakes).unwrap_or_default();
    let mut mistakes = mistakes.into_result(Diagnostics::default())?;
    let asking = Asking { workspace, session: &session, question, ids: &ids, declared: &declared };
    let needed = asking.needed(&mut mistakes);
    if mistakes.is_empty() {
        asking.check_filter(&needed, &mut mistakes);
    }
    mistakes.into_result(())?;
    let others = asking.others(&needed);
    let tables = asking.tables(&resolved(&needed), &resolved(&others));
    let metrics = ids.iter().filter_map(|id| project.metrics.get(id)).collect();
    Ok(MetricSelect { tables, select: asking.select(), metrics })
}

/// Returns the ids of the metrics that are asked for, each once.
fn ids(metrics: &BTreeMap<String, Metric>, words: &[String], mistakes: &mut Diagnostics) -> Vec<String> {
    let file = SourceFile::new("query", words.join(" "));
    let dotted = |metric: &Metric| format!("{}.{}", metric.area, metric.key.text);
    let mut ids: Vec<String> = Vec::new();
    let mut start = 0;
    for word in words {
        match metrics.get(word).or_else(|| metrics.values().find(|metric| dotted(metric) == *word)) {
            Some(metric) if ids.contains(&metric.id) => {}
            Some(metric) => ids.push(metric.id.clone()),
            None => {
                let known: Vec<String> =
                    metrics.values().flat_map(|metric| [metric.id.clone(), dotted(metric)]).collect();
                let is_alike = |known: &&String| known.contains('.') == word.contains('.');
                let near = did_you_mean(word, known.iter().filter(is_alike).map(String::as_str));
                let help = near.unwrap_or_else(|| match known.as_slice() {
                    [] => "the project declares none, in `schemas/metrics/<area>.toml`".to_owned(),
                    _ => "name a metric as `area.key`; `opsmart ls --kind metric` lists them".to_owned(),
                });
                let message = format!("there is no metric `{word}`");
                let place = file.at(start..start + word.len());
                mistakes.push(Diagnostic::new(Code::UnknownMetric, place, message).help(help));
            }
        }
        start += word.len() + 1;
    }
    ids
}

/// A metric with the scopes that are asked for in the place of those that it declares.
struct Scoped<'a> {
    metric: Metric,
    kind: Kind,
    counted: Counted,
    scopes: BTreeSet<String>,
    of: &'a Resolved<'a>,
}

fn resolved<'a>(scoped: &'a [Scoped<'_>]) -> Vec<Resolved<'a>> {
    let one = |scoped: &'a Scoped<'_>| {
        let Resolved { settle, min_sample, carry, ref uses, .. } = *scoped.of;
        let (kind, counted, scopes) = (scoped.kind.clone(), scoped.counted.clone(), scoped.scopes.clone());
        Resolved { metric: &scoped.metric, kind, counted, settle, min_sample, carry, scopes, uses: uses.clone() }
    };
    scoped.iter().map(one).collect()
}

/// Which scopes of a metric are needed.
#[derive(Default)]
struct Need<'a> {
    /// Those that are asked for.
    asked: bool,
    /// Those that arithmetic looks across.
    across: BTreeSet<&'a str>,
}

struct Asking<'a> {
    workspace: &'a Workspace,
    session: &'a SessionContext,
    question: &'a MetricQuestion<'a>,
    /// The metrics that are asked for.
    ids: &'a [String],
    /// All metrics, as they are declared.
    declared: &'a [Resolved<'a>],
}

impl<'a> Asking<'a> {
    fn declared(&self, id: &str) -> Option<&'a Resolved<'a>> {
        self.declared.iter().find(|metric| metric.metric.id == id)
    }

    /// Returns what the metrics that are asked for are made of, of metrics that are counted from rows.
    fn operands(&self) -> Vec<(&'a Resolved<'a>, &'a Operand)> {
        let asked = self.ids.iter().filter_map(|id| self.declared(id));
        asked.flat_map(|metric| metric.operands().into_iter().map(move |operand| (metric, operand))).collect()
    }

    /// Returns the metrics that are asked for and those that they are made of, with the scopes that are asked for.
    fn needed(&self, mistakes: &mut Diagnostics) -> Vec<Scoped<'a>> {
        let mut needs: BTreeMap<&str, Need<'_>> = BTreeMap::new();
        for id in self.ids {
            needs.entry(id).or_default().asked = true;
        }
        for (_, operand) in self.operands() {
            let need = needs.entry(&operand.id).or_default();
            match &operand.across {
                Some((_, scope)) => drop(need.across.insert(scope)),
                None => need.asked = true,
            }
        }
        let needs = needs.into_iter().filter_map(|(id, need)| Some((self.declared(id)?, need)));
        needs.filter_map(|(of, need)| self.scoped(of, &need, mistakes)).collect()
    }

    /// Returns a metric with the scopes that are needed; reports those that it cannot have.
    fn scoped(&self, of: &'a Resolved<'a>, need: &Need<'_>, mistakes: &mut Diagnostics) -> Option<Scoped<'a>> {
        let mut metric = of.metric.clone();
        let mut by: Vec<MetricScope> = Vec::new();
        if let Some(rows) = &metric.rows {
            by.extend(rows.by.iter().filter(|scope| need.across.contains(scope.name.text.as_str())).cloned());
        }
        let mut scopes: BTreeSet<String> = by.iter().map(|scope| scope.name.text.clone()).collect();
        for asked in self.asked_scopes().into_iter().filter(|_| need.asked) {
            match self.scope(of, asked) {
                Ok(scope) => {
                    scopes.insert(scope_name(asked));
                    by.extend(scope.filter(|scope| !by.iter().any(|known| known.name.text == scope.name.text)));
                }
                Err(mistake) => {
                    mistakes.push(mistake);
                    return None;
                }
            }
        }
        if let Some(rows) = &mut metric.rows {
            rows.has_total = scopes.contains(TOTAL);
            rows.by = by;
        }
        Some(Scoped { metric, kind: of.kind.clone(), counted: of.counted.clone(), scopes, of })
    }

    /// Returns the scopes that are asked for, as they are written.
    fn asked_scopes(&self) -> Vec<&'a str> {
        let by: Vec<&str> = self.question.by.iter().map(String::as_str).collect();
        if by.is_empty() { vec![TOTAL] } else { by }
    }

    /// Returns the scope that a person means by `asked`, if the metric is counted from rows and the scope is not the
    /// whole: one that it declares, or columns of its table.
    fn scope(&self, of: &Resolved<'_>, asked: &str) -> Result<Option<MetricScope>, Diagnostic> {
        let id = &of.metric.id;
        let file = SourceFile::new("query --by", asked);
        let refuse = |message: String, help: &str| {
            Diagnostic::new(Code::MetricFormula, file.at(0..asked.len()), message).help(help)
        };
        if scope_name(asked) == TOTAL {
            return if of.scopes.contains(TOTAL) {
                Ok(None)
            } else {
                let scope = of.scopes.iter().next().map_or("<column>", String::as_str);
                Err(refuse(format!("`{id}` has no value of the whole"), &format!("write `--by {scope}`")))
            };
        }
        if series::is_across(of) {
            let message = format!("`{id}` looks across scopes, and has a value of the whole alone");
            return Err(refuse(message, "ask for it without `--by`"));
        }
        let (Some(rows), Kind::Rows { .. }) = (&of.metric.rows, &of.kind) else { return Ok(None) };
        let declared = |name: &str| rows.by.iter().find(|scope| scope.name.text == name);
        let mut columns: Vec<Located> = Vec::new();
        let parts = if declared(asked).is_some() { vec![asked] } else { asked.split(',').map(str::trim).collect() };
        for part in parts {
            match declared(part) {
                Some(scope) => columns.extend(scope.columns.iter().cloned()),
                None if self.has_column(&rows.from.text, part) => {
                    columns.push(Located { text: part.to_owned(), bytes: 0..0 });
                }
                None => {
                    let start = asked.find(part).unwrap_or_default();
                    let table = &rows.from.text;
                    let message = format!("{} is counted from `{table}`, which has no column `{part}`", self.named(id));
                    return Err(Diagnostic::new(Code::UnknownColumn, file.at(start..start + part.len()), message)
                        .help(self.near_scope(rows, part)));
                }
            }
        }
        Ok(Some(MetricScope { name: Located { text: scope_name(asked), bytes: 0..0 }, columns }))
    }

    /// Returns how a metric is called in a mistake: with the one that is made of it, where nobody asked for itself.
    fn named(&self, id: &str) -> String {
        let user = self.operands().into_iter().find(|(_, operand)| operand.id == id).map(|(user, _)| &user.metric.id);
        match user.filter(|_| !self.ids.iter().any(|asked| asked == id)) {
            Some(user) => format!("`{id}`, of which `{user}` is made,"),
            None => format!("`{id}`"),
        }
    }

    fn near_scope(&self, rows: &MetricRows, part: &str) -> String {
        let table = &rows.from.text;
        let scopes: Vec<&str> = rows.by.iter().map(|scope| scope.name.text.as_str()).collect();
        let schema = self.schema(table);
        let columns = schema.iter().flat_map(|schema| schema.fields().iter().map(|field| field.name().as_str()));
        did_you_mean(part, scopes.iter().copied().chain(columns)).unwrap_or_else(|| match scopes.as_slice() {
            [] => format!("name a column of `{table}`"),
            scopes => format!("name a scope that it declares ({}), or a column of `{table}`", scopes.join(", ")),
        })
    }

    fn has_column(&self, table: &str, column: &str) -> bool {
        self.schema(table).is_some_and(|schema| schema.field_with_name(column).is_ok())
    }

    fn schema(&self, table: &str) -> Option<SchemaRef> {
        self.workspace.tables.get(table).map(|table| table.schema.clone())
    }

    /// Binds the condition over every table whose rows it has to choose.
    fn check_filter(&self, needed: &[Scoped<'_>], mistakes: &mut Diagnostics) {
        let Some(filter) = self.question.filter else { return };
        let file = SourceFile::new("query --where", filter);
        let word = Located { text: filter.to_owned(), bytes: 0..filter.len() };
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for scoped in needed {
            let (Some(rows), Kind::Rows { .. }) = (&scoped.metric.rows, &scoped.kind) else { continue };
            let table = rows.from.text.as_str();
            let Some(schema) = self.schema(table).filter(|_| known.insert(table)) else { continue };
            let plain = Schema::new(schema.fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>());
            if bind::register_empty(self.session, table, &plain.into()).is_err() {
                continue;
            }
            let scope = Scope {
                state: &self.session.state(),
                tried: Some(&CompileCache::default()),
                settings: &self.workspace.project.settings,
                functions: &self.workspace.functions,
                file: &file,
                table,
            };
            let mut found = Diagnostics::default();
            scope.condition(&word, &mut found);
            if found.is_empty() {
                continue;
            }
            for mut mistake in found.iter().cloned() {
                if mistake.code == Code::UnknownColumn {
                    let metric = self.named(&scoped.metric.id);
                    mistake.message = format!("{} in `{table}`, from which {metric} is counted", mistake.message);
                }
                mistakes.push(mistake);
            }
            // Over other tables it would be told again.
            return;
        }
    }

    /// Returns counts that find which scopes there are: a scope that any metric of a feed has ever had, all of them have,
    /// also where none of the rows that are asked for is of it.
    fn others(&self, needed: &[Scoped<'_>]) -> Vec<Scoped<'a>> {
        let feeds: BTreeSet<String> = needed.iter().map(|scoped| scoped.of.feed()).collect();
        let mut others: Vec<Scoped<'_>> = Vec::new();
        let mut known = BTreeSet::new();
        for of in self.declared {
            let (Some(rows), Kind::Rows { .. }) = (&of.metric.rows, &of.kind) else { continue };
            let is_needed = needed.iter().any(|scoped| scoped.metric.id == of.metric.id);
            // With a condition there are the scopes that have such rows.
            let may_have_more = is_needed || self.question.filter.is_none();
            if !may_have_more || !feeds.contains(&of.feed()) {
                continue;
            }
            let is_declared = |asked: &str| rows.by.iter().any(|scope| scope.name.text == scope_name(asked));
            let asked = self.asked_scopes().into_iter().filter(|asked| is_needed || is_declared(asked));
            let by: Vec<MetricScope> = asked.filter_map(|asked| self.scope(of, asked).ok().flatten()).collect();
            let rows = MetricRows { by, has_total: false, ..rows.clone() };
            let Some(other) = counting_rows(of, rows) else { continue };
            let alike = other.metric.rows.as_ref().map(rows::alike);
            if known.insert(format!("{alike:?} {:?} {}", other.counted, of.feed())) {
                others.push(other);
            }
        }
        for (number, other) in others.iter_mut().enumerate() {
            other.metric.id = format!("_scopes_{}", number + 1);
        }
        others
    }

    /// Returns the days that a value may look back to, before its own.
    fn looks_back(&self) -> u32 {
        let days = self.operands().into_iter().map(|(metric, operand)| {
            let window = operand.over.map_or(0, |over| over.days + u32::from(over.is_before));
            window + metric.carry.unwrap_or(0)
        });
        days.max().unwrap_or(0)
    }

    /// Returns the tables of metrics that are read, each with its SELECT.
    fn tables(&self, metrics: &[Resolved<'_>], others: &[Resolved<'_>]) -> Vec<(String, String)> {
        let MetricQuestion { grain, days, filter, .. } = *self.question;
        let whole = grain.whole_periods(days);
        let by_day = Narrowing { filter, days: whole.reaching_back(self.looks_back()) };
        let by_period = Narrowing { filter, days: whole };
        let everything = Narrowing { filter, ..Narrowing::default() };
        let longer: &[Grain] = if grain == Grain::Day { &[] } else { &[grain] };
        let by_table = super::by_table(metrics);
        let mut tables: Vec<(String, String)> = Vec::new();
        for (table, of) in &by_table {
            for (suffix, by, of) in super::parts_of(of, longer) {
                let narrowing = if by == Grain::Day { &by_day } else { &by_period };
                let select = rows::select(table, &rows::groups(&of), by, narrowing);
                tables.push((format!("metric_{table}_{suffix}"), select));
            }
        }
        let mut counted = series::tables_by_day(&by_table);
        for (table, of) in super::by_table(others) {
            let name = format!("metric_{table}_scopes");
            tables.push((name.clone(), rows::select(table, &rows::groups(&of), Grain::Day, &everything)));
            counted.push(name);
        }
        counted.extend(totals(metrics).map(|select| {
            tables.push(("metric_totals".to_owned(), select));
            "metric_totals".to_owned()
        }));
        let known: Vec<&Resolved<'_>> = metrics.iter().chain(others).collect();
        tables.push((super::COUNTED.to_owned(), series::counted(&known, &counted)));
        tables.push(("metric_day".to_owned(), series::days(metrics)));
        if grain != Grain::Day {
            tables.push((format!("metric_{grain}"), periods::select(metrics, &by_table, grain, days)));
        }
        tables.push(("asked".to_owned(), self.asked(whole)));
        tables
    }

    /// Returns the SELECT of the rows that are asked for: one for each metric.
    fn asked(&self, whole: Range) -> String {
        let MetricQuestion { grain, .. } = *self.question;
        let ids: Vec<String> = self.ids.iter().map(|id| text(id)).collect();
        let scopes: BTreeSet<String> = self.asked_scopes().into_iter().map(|asked| text(&scope_name(asked))).collect();
        let scopes: Vec<String> = scopes.into_iter().collect();
        let mut sql = format!(
            "select\n    {grain},\n    metric_id,\n    scope_type,\n    scope_id,\n    value,\n    is_complete\n\n\
             from metric_{grain}\n\nwhere metric_id in ({})\n    and scope_type in ({})",
            ids.join(", "),
            scopes.join(", ")
        );
        if grain != Grain::Total {
            for (bound, day) in [(">=", whole.since), ("<=", whole.until)] {
                sql.extend(day.map(|day| format!("\n    and {grain} {bound} date '{day}'")));
            }
        }
        sql
    }

    /// Returns the SELECT that puts the metrics of a period and scope side by side.
    fn select(&self) -> String {
        let MetricQuestion { grain, days, .. } = *self.question;
        let (period, from) = if grain == Grain::Total {
            let bound =
                |day: Option<NaiveDate>, or: &str| day.map_or_else(|| or.to_owned(), |day| format!("date '{day}'"));
            let conditions: Vec<String> = [(">=", days.since), ("<=", days.until)]
                .into_iter()
                .filter_map(|(bound, day)| Some(format!("day {bound} date '{}'", day?)))
                .collect();
            let filter =
                if conditions.is_empty() { String::new() } else { format!(" where {}", conditions.join(" and ")) };
            let known = format!(
                "(\n    select {} as since, {} as until from metric_day{filter}\n) as known_days",
                bound(days.since, "min(day)"),
                bound(days.until, "max(day)")
            );
            ("since, until".to_owned(), format!("asked\n\ncross join {known}"))
        } else {
            (grain.to_string(), "asked".to_owned())
        };
        let mut sql = format!("select\n    {period},\n    scope_type,\n    scope_id");
        for id in self.ids {
            let (name, column) = (text(id), sql_name(id));
            let _ = write!(sql, ",\n    max(value) filter (where metric_id = {name}) as {column}");
        }
        let count = self.ids.len();
        let _ = write!(
            sql,
            ",\n    count(*) = {count} and bool_and(is_complete) as is_complete\n\nfrom {from}\n\n\
             group by {period}, scope_type, scope_id\n\norder by {period}, scope_type, scope_id\n"
        );
        sql
    }
}

/// Returns a count of the rows that a metric counts, for which scopes there are; `None` without scopes.
fn counting_rows<'a>(of: &'a Resolved<'a>, mut rows: MetricRows) -> Option<Scoped<'a>> {
    if rows.by.is_empty() {
        return None;
    }
    let mut counted = of.counted.clone();
    if let Counted::Distinct { of, filter, .. } = &counted {
        // A value counts where there is one.
        let conditions = rows.filter.iter().map(|filter| filter.text.clone()).chain(filter.clone());
        let conditions: Vec<String> =
            conditions.chain([format!("({of}) is not null")]).map(|one| format!("({one}\n)")).collect();
        rows.filter = Some(Located { text: conditions.join(" and "), bytes: 0..0 });
    }
    if !matches!(counted, Counted::First { .. } | Counted::Stock) {
        counted = Counted::Period;
        if let MetricTime::Balance(time) = &rows.time {
            rows.time = MetricTime::At(time.clone());
        }
    }
    rows.spine = Spine::Calendar;
    let scopes = rows.by.iter().map(|scope| scope.name.text.clone()).collect();
    let metric =
        Metric { rows: Some(rows), open: None, sample: None, carry: None, is_per_day: false, ..of.metric.clone() };
    let count = formula::aggregate("count(*)");
    Some(Scoped { metric, kind: Kind::Rows { numerator: count, denominator: None }, counted, scopes, of })
}

/// Returns the SELECT of the whole of each metric that has one, which is there also where no row that is asked for counts.
fn totals(metrics: &[Resolved<'_>]) -> Option<String> {
    let of_rows = metrics.iter().filter(|metric| matches!(metric.kind, Kind::Rows { .. }));
    let with_total = of_rows.filter(|metric| metric.scopes.contains(TOTAL));
    let ids: Vec<String> = with_total.map(|metric| format!("({})", text(&metric.metric.id))).collect();
    (!ids.is_empty()).then(|| {
        format!(
            "select\n    cast(null as date) as day,\n    metric_id,\n    'total' as scope_type,\n    'all' as scope_id,\n    \
             cast(null as double) as numerator,\n    cast(null as double) as denominator,\n    \
             cast(null as double) as value,\n    cast(null as bigint) as n,\n    cast(null as bigint) as open_rows\n\n\
             from (values {}) as metrics (metric_id)",
            ids.join(", ")
        )
    })
}

/// Returns what `scope_type` says of a scope that is asked for.
fn scope_name(asked: &str) -> String {
    asked.split(',').map(str::trim).collect::<Vec<_>>().join("_")
}

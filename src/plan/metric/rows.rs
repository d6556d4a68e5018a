//! The SQL that counts metrics from the rows of one table: one scan for all that are alike, one row for each period,
//! scope and metric.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::Days;

use super::resolve::{Kind, Resolved};
use super::{Counted, Grain, Range};
use crate::plan::query::sql_name;
use crate::project::{MetricRows, MetricTime, Spine};
use crate::sql_text::text;

/// Metrics that are counted in one scan: their rows, periods and scopes are the same.
pub(super) struct Group<'a> {
    pub(super) rows: &'a MetricRows,
    pub(super) counted: Counted,
    pub(super) metrics: Vec<&'a Resolved<'a>>,
    /// Their calls, by the names that the engine knows them by.
    calls: BTreeMap<String, String>,
}

/// Which of the rows that a metric counts are asked for, where not all are.
#[derive(Debug, Default)]
pub(super) struct Narrowing<'a> {
    /// A further condition on rows.
    pub(super) filter: Option<&'a str>,
    /// The days on which they count.
    pub(super) days: Range,
}

/// Groups metrics that can be counted in one scan, in the order in which they come.
pub(super) fn groups<'a>(metrics: &[&'a Resolved<'a>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for metric in metrics {
        let Some(rows) = &metric.metric.rows else { continue };
        let calls = metric.calls();
        let is_alike = |group: &&mut Group<'_>| {
            let mut known = calls.iter().filter_map(|(name, call)| Some((call, group.calls.get(name)?)));
            alike(group.rows) == alike(rows)
                && group.counted == metric.counted
                && group.counted.is_shared()
                && known.all(|(call, other)| call == other)
        };
        match groups.iter_mut().find(is_alike) {
            Some(group) => {
                group.metrics.push(metric);
                group.calls.extend(calls);
            }
            None => groups.push(Group { rows, counted: metric.counted.clone(), metrics: vec![metric], calls }),
        }
    }
    groups
}

/// What rows have in common that are counted in one scan, where two areas may say the same at other places.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Alike<'a> {
    from: &'a str,
    time: (&'a str, Option<&'a str>),
    filter: Option<&'a str>,
    scopes: Vec<(&'a str, Vec<&'a str>)>,
    has_total: bool,
    spine: Spine,
}

/// Returns what `rows` have in common with others that can be counted in one scan with them.
pub(super) fn alike(rows: &MetricRows) -> Alike<'_> {
    let time = match &rows.time {
        MetricTime::At(column) | MetricTime::Balance(column) | MetricTime::First(column) => {
            (column.text.as_str(), None)
        }
        MetricTime::Stock { from, to } => (from.text.as_str(), Some(to.text.as_str())),
    };
    Alike {
        from: &rows.from.text,
        time,
        filter: rows.filter.as_ref().map(|filter| filter.text.as_str()),
        scopes: rows
            .by
            .iter()
            .map(|by| (by.name.text.as_str(), by.columns.iter().map(|of| of.text.as_str()).collect()))
            .collect(),
        has_total: rows.has_total,
        spine: rows.spine,
    }
}

/// Returns the SELECT that counts `groups`, all of one table, by `grain`.
pub(super) fn select(table: &str, groups: &[Group<'_>], grain: Grain, narrowing: &Narrowing<'_>) -> String {
    let mut sql =
        format!("-- Counted from `{table}`, as `schemas/metrics/` declares: one row per {grain}, metric and scope.\n");
    sql.push_str("with\n\n");
    let mut branches = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let name = format!("{table}_{}", number + 1);
        let writer = Writer { group, grain, name: &name, narrowing };
        sql.push_str(&writer.ctes());
        branches.push(writer.branch());
    }
    sql.truncate(sql.trim_end().trim_end_matches(',').len());
    let _ = write!(sql, "\n\n{}\n", branches.join("\n\nunion all\n\n"));
    sql
}

/// A column by which scopes are told apart, and which copy of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Column<'a> {
    name: &'a str,
    copy: usize,
}

/// Returns the columns by which scopes are told apart: each once, and once more for each further scope of the same
/// columns, which grouping sets would take for one.
pub(super) fn scope_columns(rows: &MetricRows) -> Vec<Column<'_>> {
    let mut columns: Vec<Column<'_>> = Vec::new();
    for column in scope_sets(rows).into_iter().flat_map(|(_, of)| of) {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns
}

/// Returns the sets of columns that rows are grouped by: name of the scope type, and its columns.
fn scope_sets(rows: &MetricRows) -> Vec<(&str, Vec<Column<'_>>)> {
    let mut sets = Vec::new();
    if rows.has_total {
        sets.push(("total", Vec::new()));
    }
    let mut known: Vec<BTreeSet<&str>> = Vec::new();
    for scope in &rows.by {
        let of: BTreeSet<&str> = scope.columns.iter().map(|column| column.text.as_str()).collect();
        let copy = known.iter().filter(|other| **other == of).count();
        known.push(of);
        let columns = scope.columns.iter().map(|column| Column { name: &column.text, copy }).collect();
        sets.push((scope.name.text.as_str(), columns));
    }
    sets
}

struct Writer<'a> {
    group: &'a Group<'a>,
    grain: Grain,
    name: &'a str,
    narrowing: &'a Narrowing<'a>,
}

impl Writer<'_> {
    fn ctes(&self) -> String {
        match &self.group.counted {
            Counted::Distinct { of, filter, days } => self.distinct((of, filter.as_deref()), Some(*days)),
            Counted::First { of, filter } => self.distinct((of, filter.as_deref()), None),
            Counted::Stock => self.stock(),
            Counted::Period | Counted::Spread(_) => self.counted(),
        }
    }

    fn branch(&self) -> String {
        let name = self.name;
        let period = self.grain.column();
        format!(
            "select\n    {period},\n    metric['metric_id'] as metric_id,\n    scope_type,\n    scope_id,\n    \
             metric['numerator'] as numerator,\n    metric['denominator'] as denominator,\n    \
             metric['value'] as value,\n    metric['n'] as n,\n    metric['open_rows'] as open_rows\n\n\
             from {name}_metrics"
        )
    }

    fn columns(&self) -> Vec<Column<'_>> {
        scope_columns(self.group.rows)
    }

    fn sets(&self) -> Vec<(&str, Vec<Column<'_>>)> {
        scope_sets(self.group.rows)
    }

    /// The rows that count, with their period and the values of their scopes; `time` are columns of their own.
    fn rows_cte(&self, time: &[(String, String)], more: &[&str]) -> String {
        let rows = self.group.rows;
        let mut sql = format!("{}_rows as (\n\n    select\n        *", self.name);
        for (expression, alias) in time {
            let _ = write!(sql, ",\n        {expression} as {alias}");
        }
        for (number, column) in self.columns().iter().enumerate() {
            let _ = write!(
                sql,
                ",\n        coalesce(cast({} as varchar), 'none') as metric_scope_{}",
                sql_name(column.name),
                number + 1
            );
        }
        let _ = write!(sql, "\n\n    from {}\n", sql_name(&rows.from.text));
        let filters = rows.filter.iter().map(|filter| filter.text.as_str()).chain(self.narrowing.filter);
        let filters = filters.chain(more.iter().copied()).map(|filter| format!("({})", lines(filter)));
        let filters: Vec<String> = filters.chain(self.days()).collect();
        if !filters.is_empty() {
            let _ = write!(sql, "\n    where {}\n", filters.join("\n        and "));
        }
        sql.push_str("\n),\n\n");
        sql
    }

    /// The type and id of a group's scope, from the grouping sets.
    fn scope_columns(&self) -> String {
        let columns = self.columns();
        let scope = |of: &Column<'_>| {
            let at = columns.iter().position(|column| column == of).map_or(0, |at| at + 1);
            format!("metric_scope_{at}")
        };
        let id = |of: &[Column<'_>]| match of {
            [] => "'all'".to_owned(),
            [one] => scope(one),
            several => {
                let parts: Vec<String> = several.iter().map(scope).collect();
                format!("concat({})", parts.join(", ' / ', "))
            }
        };
        let sets = self.sets();
        if let [(name, of)] = sets.as_slice() {
            return format!("        {} as scope_type,\n        {} as scope_id", text(name), id(of));
        }
        let all: Vec<String> = columns.iter().map(scope).collect();
        let bits = |of: &[Column<'_>]| -> u64 {
            let missing = columns.iter().rev().enumerate().filter(|(_, column)| !of.contains(*column));
            missing.map(|(bit, _)| 1 << bit).sum()
        };
        let mut kinds = String::new();
        let mut ids = String::new();
        for (name, of) in &sets {
            let _ = write!(kinds, "\n            when {} then {}", bits(of), text(name));
            let _ = write!(ids, "\n            when {} then {}", bits(of), id(of));
        }
        let grouping = format!("case grouping({})", all.join(", "));
        format!(
            "        {grouping}{kinds}\n        end as scope_type,\n        {grouping}{ids}\n        end as scope_id"
        )
    }

    /// GROUP BY of each set of scopes, with some more columns; none where all rows are one group.
    fn group_by(&self, more: &[&str]) -> Option<String> {
        let columns = self.columns();
        let set = |of: &[Column<'_>]| {
            let of = of.iter().map(|name| {
                let at = columns.iter().position(|column| column == name).map_or(0, |at| at + 1);
                format!("metric_scope_{at}")
            });
            let all = more.iter().map(|more| (*more).to_owned()).chain(of);
            all.collect::<Vec<_>>().join(", ")
        };
        match self.sets().as_slice() {
            [(_, of)] => Some(set(of)).filter(|set| !set.is_empty()).map(|set| format!("    group by {set}")),
            sets => {
                let sets: Vec<String> = sets.iter().map(|(_, of)| format!("        ({})", set(of))).collect();
                Some(format!("    group by grouping sets (\n{}\n    )", sets.join(",\n")))
            }
        }
    }

    fn day(&self) -> String {
        match &self.group.rows.time {
            MetricTime::At(column) | MetricTime::Balance(column) | MetricTime::First(column) => local_day(&column.text),
            MetricTime::Stock { from, .. } => local_day(&from.text),
        }
    }

    /// The conditions that leave out rows of days that nobody asks for. What is summed up from day to day needs all days,
    /// and so do series whose days are those of their rows.
    fn days(&self) -> Vec<String> {
        let rows = self.group.rows;
        let (MetricTime::At(column), Counted::Period | Counted::Spread(_)) = (&rows.time, &self.group.counted) else {
            return Vec::new();
        };
        if rows.spine == Spine::Observed && self.grain != Grain::Total {
            return Vec::new();
        }
        let days = match self.group.counted {
            Counted::Spread(days) => self.narrowing.days.reaching_back(days.saturating_sub(1)),
            _ => self.narrowing.days,
        };
        let (column, day) = (sql_name(&column.text), self.day());
        let mut conditions = Vec::new();
        // A day of any zone lies within a day of that of UTC: of the plain column, so that files can be passed over.
        if let Some(since) = days.since {
            conditions.push(format!("{column} >= date '{}'", since - Days::new(1)));
            conditions.push(format!("{day} >= date '{since}'"));
        }
        if let Some(until) = days.until {
            conditions.push(format!("{column} < date '{}'", until + Days::new(2)));
            conditions.push(format!("{day} <= date '{until}'"));
        }
        conditions
    }

    /// Aggregates over the rows of each period.
    fn counted(&self) -> String {
        let period = match self.group.counted {
            Counted::Spread(days) => {
                let day = self.day();
                format!("unnest(generate_series({day}, {day} + {}, interval '1 day'))", days - 1)
            }
            _ => self.grain.start_of(&self.day()),
        };
        let mut sql = self.rows_cte(&[(period, "metric_period".to_owned())], &[]);
        let name = self.name;
        let _ = write!(sql, "{name}_counted as (\n\n    select\n        metric_period,\n{}", self.scope_columns());
        let mut metrics = Vec::new();
        for metric in &self.group.metrics {
            let Kind::Rows { numerator, denominator } = &metric.kind else { continue };
            let id = &metric.metric.id;
            let mut add = |expression: &str, kind: &str, part: &str| {
                let _ = write!(sql, ",\n        cast(({}) as {kind}) as {id}_{part}", lines(expression));
            };
            add(&numerator.sql, "double", "value");
            if let Some(denominator) = denominator {
                add(&denominator.sql, "double", "denominator");
            }
            if let Some(sample) = metric.sample() {
                add(&sample, "bigint", "n");
            }
            if let Some(open) = &metric.metric.open {
                let _ = write!(sql, ",\n        count(*) filter (where {}) as {id}_open", lines(&open.text));
            }
            let has_parts = denominator.is_some()
                || metric.adds_up()
                || metric.metric.is_per_day
                || self.group.rows.spine == Spine::Observed;
            let none = "cast(null as double)".to_owned();
            let above = if has_parts { format!("{id}_value") } else { none.clone() };
            let below = if denominator.is_some() { format!("{id}_denominator") } else { none.clone() };
            let value = if denominator.is_some() { none } else { format!("{id}_value") };
            let n = match (metric.sample(), metric.counts()) {
                (Some(_), _) => format!("{id}_n"),
                (None, Some(part)) => format!("cast({id}_{part} as bigint)"),
                (None, None) => "metric_rows".to_owned(),
            };
            let open = if metric.metric.open.is_some() { format!("{id}_open") } else { "cast(0 as bigint)".to_owned() };
            metrics.push(metric_struct(id, [&above, &below, &value, &n, &open]));
        }
        let _ = write!(
            sql,
            ",\n        count(*) as metric_rows\n\n    from {name}_rows\n\n    where metric_period is not null\n\n{}\n\n),\n\n",
            self.group_by(&["metric_period"]).unwrap_or_default()
        );
        sql.push_str(&self.unpivoted("metric_period", &metrics, "counted"));
        sql
    }

    fn unpivoted(&self, period: &str, metrics: &[String], from: &str) -> String {
        let name = self.name;
        format!(
            "{name}_metrics as (\n\n    select\n        {period} as {},\n        scope_type,\n        scope_id,\n        \
             unnest(make_array(\n{}\n        )) as metric\n\n    from {name}_{from}\n\n),\n\n",
            self.grain.column(),
            metrics.join(",\n")
        )
    }

    /// A value that counts from a day until before another: its changes.
    fn stock(&self) -> String {
        let MetricTime::Stock { from, to } = &self.group.rows.time else { return String::new() };
        let ends = [(local_day(&from.text), "metric_from_day"), (local_day(&to.text), "metric_to_day")];
        let mut sql = self.rows_cte(&ends.map(|(day, alias)| (day, alias.to_owned())), &[]);
        let name = self.name;
        // What ends on the day on which it begins, or before it, is there at the end of no day.
        let _ = write!(
            sql,
            "{name}_ends as (\n\n    select\n        *,\n        metric_from_day as metric_period,\n        \
             1 as metric_sign\n    from {name}_rows\n    where metric_from_day < metric_to_day\n        \
             or (metric_from_day is not null and metric_to_day is null)\n\n    union all\n\n    select\n        *,\n        \
             metric_to_day as metric_period,\n        -1 as metric_sign\n    from {name}_rows\n    \
             where metric_from_day < metric_to_day\n\n),\n\n"
        );
        let _ = write!(
            sql,
            "{name}_counted as (\n\n    select\n        metric_period,\n        metric_sign,\n{}",
            self.scope_columns()
        );
        let mut metrics = Vec::new();
        for metric in &self.group.metrics {
            let Kind::Rows { numerator, .. } = &metric.kind else { continue };
            let id = &metric.metric.id;
            let _ = write!(
                sql,
                ",\n        metric_sign * coalesce(cast(({}) as double), 0) as {id}_value",
                lines(&numerator.sql)
            );
            metrics.push(change_struct(id, &format!("{id}_value"), "cast(0 as bigint)"));
        }
        let _ = write!(
            sql,
            "\n\n    from {name}_ends\n\n{}\n\n),\n\n",
            self.group_by(&["metric_period", "metric_sign"]).unwrap_or_default()
        );
        sql.push_str(&self.unpivoted("metric_period", &metrics, "counted"));
        sql
    }

    /// Different values, each on its first day; or over a trailing window of days: one more on each day on which a value
    /// comes into the window, and one fewer when it has left it.
    fn distinct(&self, (of, filter): (&str, Option<&str>), days: Option<u32>) -> String {
        let time = [(self.day(), "metric_period".to_owned()), (format!("({of})"), "metric_member".to_owned())];
        // What is astray before the feed begins is nobody's first day.
        let known = match &self.group.rows.feed {
            Some(feed) if days.is_none() => {
                let feed = sql_name(&feed.text);
                Some(format!("{} >= (select min(first_day) from {feed})", self.day()))
            }
            _ => None,
        };
        let filters: Vec<&str> = filter.into_iter().chain(known.as_deref()).collect();
        let mut sql = self.rows_cte(&time, &filters);
        let name = self.name;
        let length = days.map(|days| format!(", {days}")).unwrap_or_default();
        let _ = write!(
            sql,
            "{name}_changes as (\n\n    select\n{},\n        \
             unnest(distinct_changes(metric_member, metric_period{length})) as change\n\n    \
             from {name}_rows\n\n{}),\n\n",
            self.scope_columns(),
            self.group_by(&[]).map(|group_by| format!("{group_by}\n\n")).unwrap_or_default(),
        );
        let _ = write!(
            sql,
            "{name}_counted as (\n\n    select\n        change['day'] as metric_period,\n        scope_type,\n        \
             scope_id,\n        cast(change['change'] as double) as metric_change\n\n    from {name}_changes\n\n),\n\n"
        );
        let n = if days.is_none() { "cast(metric_change as bigint)" } else { "cast(0 as bigint)" };
        let metrics: Vec<String> =
            self.group.metrics.iter().map(|metric| change_struct(&metric.metric.id, "metric_change", n)).collect();
        sql.push_str(&self.unpivoted("metric_period", &metrics, "counted"));
        sql
    }
}

fn change_struct(id: &str, change: &str, n: &str) -> String {
    let none = "cast(null as double)";
    metric_struct(id, [change, none, none, n, "cast(0 as bigint)"])
}

fn metric_struct(id: &str, [numerator, denominator, value, n, open]: [&str; 5]) -> String {
    format!(
        "            named_struct(\n                'metric_id', {}, 'numerator', {numerator}, 'denominator', {denominator},\n                \
         'value', {value}, 'n', {n}, 'open_rows', {open}\n            )",
        text(id)
    )
}

/// Returns the day of a column, a date or an instant.
pub(super) fn local_day(column: &str) -> String {
    format!("local_day({}, $reporting_zone)", sql_name(column))
}

/// A comment at the end of an expression must not reach what follows it.
pub(super) fn lines(expression: &str) -> String {
    if expression.contains("--") { format!("{expression}\n") } else { expression.to_owned() }
}

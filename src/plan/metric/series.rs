//! The SQL of series by day: every day and scope that a metric must have, and arithmetic of metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::Counted;
use super::formula::{Arithmetic, Operand, Over};
use super::resolve::{Kind, Resolved};
use super::rows::{lines, local_day};
use crate::plan::query::sql_name;
use crate::project::{MetricTime, Spine};
use crate::sql_text::text;

/// The part that a metric has in the tables below: how rows that are missing are filled.
fn fill(metric: &Resolved<'_>) -> &'static str {
    let is_observed = metric.metric.rows.as_ref().is_some_and(|rows| rows.spine == Spine::Observed);
    match (is_observed, metric.is_running()) {
        (true, _) => "observed",
        (false, true) => "running",
        (false, false) if metric.adds_up() => "zero",
        (false, false) if metric.metric.is_per_day => "zero",
        (false, false) if metric.is_count() => "count",
        (false, false) => "null",
    }
}

/// Returns the tables by day that hold what is counted from rows.
pub(super) fn tables_by_day(by_table: &BTreeMap<&str, Vec<&Resolved<'_>>>) -> Vec<String> {
    let mut tables = Vec::new();
    for (table, metrics) in by_table {
        let has = |of: &dyn Fn(&Counted) -> bool| metrics.iter().any(|metric| of(&metric.counted));
        if has(&|counted| *counted == Counted::Period) {
            tables.push(format!("metric_{table}_day"));
        }
        if has(&|counted| *counted != Counted::Period) {
            tables.push(format!("metric_{table}_spans"));
        }
    }
    tables
}

/// Returns the SELECT of `metric_counted`: every day of every series that is counted from rows, of which `tables` have
/// those on which something is counted.
pub(super) fn counted(metrics: &[&Resolved<'_>], tables: &[String]) -> String {
    let mut lines = Vec::new();
    for metric in metrics.iter().filter(|metric| matches!(metric.kind, Kind::Rows { .. })) {
        for scope in &metric.scopes {
            lines.push(format!(
                "            ({}, {}, {}, '{}', {}, {}, {}, {})",
                text(&metric.metric.id),
                text(scope),
                text(&metric.feed()),
                fill(metric),
                metric.is_ratio(),
                metric.settle,
                metric.window_days(),
                metric.min_sample
            ));
        }
    }
    let counted: Vec<String> = tables.iter().map(|table| format!("    select * from {table}")).collect();
    format!(
        r"-- Every day of every series that is counted from rows. A day without rows has 0
-- where the metric is a count or a sum, and no value where it is not; what changes
-- from day to day is summed up.
with

metrics as (

    select * from (
        values
{lines}
    ) as metrics (
        metric_id, scope_type, feed, fill, is_ratio, settle_days, window_days,
        min_sample
    )

),

counted as (

{counted}

),

feeds as (

{feeds}

),

days as (

    select
        *,
        unnest(generate_series(first_day, last_day, interval '1 day')) as day

    from feeds

),

-- A scope that one metric of a feed has, all that know its kind have.
scopes as (

    select distinct
        metrics.feed,
        counted.scope_type,
        counted.scope_id

    from counted

    inner join metrics using (metric_id, scope_type)

),

-- What began before the feed did is there from its first day.
counted_in_feed as (

    select
        counted.metric_id,
        counted.scope_type,
        counted.scope_id,
        case metrics.fill
            when 'running' then greatest(counted.day, feeds.first_day)
            else counted.day
        end as day,
        sum(counted.numerator) as numerator,
        sum(counted.denominator) as denominator,
        sum(counted.value) as value,
        sum(counted.n) as n,
        sum(counted.open_rows) as open_rows

    from counted

    inner join metrics using (metric_id, scope_type)

    inner join feeds using (feed)

    group by
        counted.metric_id,
        counted.scope_type,
        counted.scope_id,
        case metrics.fill
            when 'running' then greatest(counted.day, feeds.first_day)
            else counted.day
        end

),

series_days as (

    select
        days.day,
        days.first_day,
        days.complete_until,
        metrics.*,
        scopes.scope_id

    from metrics

    inner join scopes using (feed, scope_type)

    inner join days using (feed)

),

values_by_day as (

    select
        series_days.day,
        series_days.metric_id,
        series_days.scope_type,
        series_days.scope_id,
        case series_days.fill
            when 'running' then cast(
                sum(cast(counted_in_feed.numerator as decimal(30, 6))) over (
                    partition by
                        series_days.metric_id, series_days.scope_type,
                        series_days.scope_id
                    order by series_days.day
                    rows between unbounded preceding and current row
                ) as double
            )
            when 'zero' then coalesce(counted_in_feed.numerator, 0)
            else counted_in_feed.numerator
        end as numerator,
        case
            when series_days.is_ratio and series_days.fill = 'zero'
                then coalesce(counted_in_feed.denominator, 0)
            else counted_in_feed.denominator
        end as denominator,
        case series_days.fill
            when 'count' then coalesce(counted_in_feed.value, 0)
            else counted_in_feed.value
        end as value,
        coalesce(counted_in_feed.n, 0) as n,
        coalesce(counted_in_feed.open_rows, 0) as open_rows,
        series_days.fill,
        series_days.is_ratio,
        series_days.min_sample,
        series_days.day + cast(series_days.settle_days as int)
            < series_days.complete_until as is_over,
        series_days.day - series_days.first_day + 1
            >= series_days.window_days as is_window_full

    from series_days

    left join counted_in_feed
        on series_days.day = counted_in_feed.day
        and series_days.metric_id = counted_in_feed.metric_id
        and series_days.scope_type = counted_in_feed.scope_type
        and series_days.scope_id = counted_in_feed.scope_id

    -- Days of trade are those that have rows.
    where series_days.fill <> 'observed'
        or counted_in_feed.metric_id is not null

),

values_of_full_windows as (

    select
        day,
        metric_id,
        scope_type,
        scope_id,
        case
            when fill = 'running' and not is_window_full then null
            when fill = 'running' then coalesce(numerator, 0)
            when is_window_full then numerator
        end as numerator,
        case when is_window_full then denominator end as denominator,
        case when is_window_full then value end as value,
        case when fill = 'running' then cast(coalesce(numerator, 0) as bigint)
            else n
        end as n,
        is_ratio,
        min_sample,
        is_over
            and is_window_full
            and open_rows = 0
            and (fill <> 'observed' or coalesce(numerator, value) is not null)
            as is_complete

    from values_by_day

),

final as (

    select
        ---------- ids
        day,
        metric_id,
        scope_type,
        scope_id,

        ---------- numbers
        round(
            case
                when min_sample > 0 and n < min_sample then null
                when is_ratio then numerator / {divisor}
                else coalesce(numerator, value)
            end,
            6
        ) as value,
        round(numerator, 6) as numerator,
        round(denominator, 6) as denominator,
        n,

        ---------- booleans
        is_complete

    from values_of_full_windows

)

select * from final
",
        lines = lines.join(",\n"),
        counted = counted.join("\n    union all\n"),
        feeds = feeds(metrics),
        divisor = divisor("denominator"),
    )
}

/// The branches of `feeds`: from when and until when rows are known.
fn feeds(metrics: &[&Resolved<'_>]) -> String {
    let mut known = BTreeSet::new();
    let mut branches = Vec::new();
    for metric in metrics {
        let Some(rows) = &metric.metric.rows else { continue };
        if !matches!(metric.kind, Kind::Rows { .. }) || !known.insert(metric.feed()) {
            continue;
        }
        let name = text(&metric.feed());
        match &rows.feed {
            Some(feed) => branches.push(format!(
                "    select {name} as feed, first_day, last_day, complete_until\n    from {}",
                sql_name(&feed.text)
            )),
            // The last day may still be coming in. What ends a window or a stock is no row.
            None => branches.push(format!(
                "    select\n        {name} as feed,\n        min(day) as first_day,\n        max(day) as last_day,\n        \
                 max(day) as complete_until\n\n    from (\n{}\n    ) as days_of_rows\n\n    \
                 where day <= local_day($as_of, $reporting_zone)",
                days_of_rows(metrics, &metric.feed())
            )),
        }
    }
    branches.join("\n    union all\n")
}

/// The days on which rows count of any metric whose feed they are.
fn days_of_rows(metrics: &[&Resolved<'_>], feed: &str) -> String {
    let of_feed = metrics.iter().filter(|metric| matches!(metric.kind, Kind::Rows { .. }) && metric.feed() == feed);
    let branches: BTreeSet<String> = of_feed
        .filter_map(|metric| {
            let rows = metric.metric.rows.as_ref()?;
            let (MetricTime::At(time)
            | MetricTime::Balance(time)
            | MetricTime::First(time)
            | MetricTime::Stock { from: time, .. }) = &rows.time;
            let filter = rows.filter.as_ref().map(|filter| format!("\n        where {}", lines(&filter.text)));
            let (day, from) = (local_day(&time.text), sql_name(&rows.from.text));
            Some(format!("        select {day} as day\n        from {from}{}", filter.unwrap_or_default()))
        })
        .collect();
    branches.into_iter().collect::<Vec<_>>().join("\n        union all\n")
}

/// Returns the SELECT of `metric_day`: what is counted, and arithmetic of it.
pub(super) fn days(metrics: &[Resolved<'_>]) -> String {
    let arithmetic: Vec<&Resolved<'_>> =
        metrics.iter().filter(|metric| matches!(metric.kind, Kind::Arithmetic { .. })).collect();
    let mut sql = "-- One row per day, metric and scope, counted or made of other metrics.\n".to_owned();
    let all = "select\n    day,\n    metric_id,\n    scope_type,\n    scope_id,\n    value,\n    numerator,\n    denominator,\n    n,\n    is_complete\n\nfrom metric_counted\n";
    if arithmetic.is_empty() {
        return sql + all;
    }
    let writer = ArithmeticSql { period: "day", from: "metric_counted", metrics, arithmetic: &arithmetic };
    let (ctes, branches) = writer.write();
    let _ = write!(sql, "with\n\n{ctes}\n\n{all}\n{branches}");
    sql
}

/// Writes the arithmetic of metrics over a table of periods.
pub(super) struct ArithmeticSql<'a> {
    pub(super) period: &'a str,
    /// The table that has the values of what is counted.
    pub(super) from: &'a str,
    pub(super) metrics: &'a [Resolved<'a>],
    pub(super) arithmetic: &'a [&'a Resolved<'a>],
}

impl ArithmeticSql<'_> {
    /// Returns the CTEs, and the branches that follow a first SELECT.
    pub(super) fn write(&self) -> (String, String) {
        let (across, beside): (Vec<_>, Vec<_>) = self.arithmetic.iter().copied().partition(|metric| is_across(metric));
        let mut ctes = Vec::new();
        let mut branches = String::new();
        let operands = |metrics: &[&Resolved<'_>]| -> BTreeSet<Operand> {
            metrics.iter().flat_map(|metric| metric.operands()).cloned().collect()
        };
        for (name, metrics, is_across) in [("beside", beside, false), ("across", across, true)] {
            if metrics.is_empty() {
                continue;
            }
            let operands = operands(&metrics);
            ctes.push(self.windows(name, &operands));
            if is_across {
                ctes.push(self.carried(&metrics, &operands));
            }
            ctes.push(self.operands(name, &operands, is_across));
            ctes.push(self.results(name, &metrics));
            let _ = write!(branches, "\nunion all\n\n{}", self.branch(name));
        }
        (ctes.join(",\n\n"), branches)
    }

    /// Sums over trailing windows, exact, of the metrics that are looked at.
    fn windows(&self, name: &str, operands: &BTreeSet<Operand>) -> String {
        let Self { period, from, .. } = self;
        let ids: BTreeSet<String> = operands.iter().map(|operand| text(&operand.id)).collect();
        let ids = ids.into_iter().collect::<Vec<_>>().join(", ");
        let windows: BTreeSet<Over> = operands.iter().filter_map(|operand| operand.over).collect();
        let mut sql = format!("{name}_windows as (\n\n    select\n        *");
        let mut named = Vec::new();
        for over in &windows {
            let window = window_name(*over);
            for part in ["numerator", "denominator"] {
                let _ = write!(
                    sql,
                    ",\n        cast(sum(cast({part} as decimal(30, 6))) over {window} as double) as {part}_{window}"
                );
            }
            let _ = write!(
                sql,
                ",\n        sum(n) over {window} as n_{window},\n        count(*) over {window} as days_{window},\n        \
                 sum(case when is_complete then 0 else 1 end) over {window} as open_{window}"
            );
            let frame = if over.is_before {
                format!("{} preceding and 1 preceding", over.days)
            } else {
                format!("{} preceding and current row", over.days - 1)
            };
            named.push(format!(
                "        {window} as (\n            partition by metric_id, scope_type, scope_id\n            order by {period}\n            rows between {frame}\n        )"
            ));
        }
        let _ = write!(sql, "\n\n    from {from}\n\n    where metric_id in ({ids})");
        if !named.is_empty() {
            let _ = write!(sql, "\n\n    window\n{}", named.join(",\n"));
        }
        sql.push_str("\n\n)");
        sql
    }

    /// Where a scope has no row on a day on which another has one, it stands as it stood last, for so many days.
    fn carried(&self, metrics: &[&Resolved<'_>], operands: &BTreeSet<Operand>) -> String {
        let Self { period, .. } = self;
        let carry: Vec<String> = operands
            .iter()
            .filter_map(|operand| {
                let users = metrics.iter().filter(|metric| metric.operands().contains(operand));
                let days = users.filter_map(|metric| metric.carry).max()?;
                Some(format!("when {} then {days}", text(&operand.id)))
            })
            .collect();
        let days =
            if carry.is_empty() { "0".to_owned() } else { format!("case metric_id {} else 0 end", carry.join(" ")) };
        format!(
            r"across_windows_with_next as (

    select
        *,
        {days} as carry_days,
        lead({period}) over (
            partition by metric_id, scope_type, scope_id order by {period}
        ) as next_row

    from across_windows

),

across_periods as (

    select distinct metric_id, scope_type, {period} as at from across_windows

),

across_windows_carried as (

    select
        across_periods.at,
        held.*

    from across_periods

    inner join across_windows_with_next as held
        on across_periods.metric_id = held.metric_id
        and across_periods.scope_type = held.scope_type
        and across_periods.at >= held.{period}
        and across_periods.at <= held.{period} + cast(held.carry_days as int)
        and across_periods.at < coalesce(held.next_row, date '9999-12-31')

)"
        )
    }

    /// One row per period and scope, with a column for each operand.
    fn operands(&self, name: &str, operands: &BTreeSet<Operand>, is_across: bool) -> String {
        let Self { period, .. } = self;
        let (from, keys, group) = if is_across {
            (
                "across_windows_carried".to_owned(),
                format!("at as {period},\n        'total' as scope_type,\n        'all' as scope_id"),
                "at".to_owned(),
            )
        } else {
            (
                format!("{name}_windows"),
                format!("{period},\n        scope_type,\n        scope_id"),
                format!("{period}, scope_type, scope_id"),
            )
        };
        let mut sql = format!("{name}_operands as (\n\n    select\n        {keys}");
        for operand in operands {
            let column = operand.column();
            let is_ratio = self.metrics.iter().any(|metric| metric.metric.id == operand.id && metric.is_ratio());
            let (numerator, denominator, n, complete) = match operand.over {
                None => ("numerator".to_owned(), "denominator".to_owned(), "n".to_owned(), "is_complete".to_owned()),
                Some(over) => {
                    let window = window_name(over);
                    let full = |part: &str| format!("case when days_{window} = {} then {part}_{window} end", over.days);
                    (
                        full("numerator"),
                        full("denominator"),
                        format!("n_{window}"),
                        format!("days_{window} = {} and coalesce(open_{window}, 0) = 0", over.days),
                    )
                }
            };
            let value = match (operand.over, is_ratio) {
                (None, _) => "value".to_owned(),
                (Some(_), false) => numerator.clone(),
                (Some(_), true) => format!("{numerator} / {}", divisor(&denominator)),
            };
            let mut filter = format!("metric_id = {}", text(&operand.id));
            let aggregate = match &operand.across {
                Some((aggregate, scope)) => {
                    let _ = write!(filter, " and scope_type = {}", text(scope));
                    aggregate.as_str()
                }
                None => "max",
            };
            let mut add = |aggregate: &str, expression: &str, suffix: &str| {
                let _ = write!(
                    sql,
                    ",\n        {aggregate}({expression}) filter (where {filter})\n            as {column}{suffix}"
                );
            };
            add(aggregate, &value, "");
            if is_ratio {
                add("max", &numerator, "_numerator");
                add("max", &denominator, "_denominator");
            }
            add(if is_across { "sum" } else { "max" }, &n, "_n");
            add("bool_and", &complete, "_complete");
        }
        let _ = write!(sql, "\n\n    from {from}\n\n    group by {group}\n\n)");
        sql
    }

    fn results(&self, name: &str, metrics: &[&Resolved<'_>]) -> String {
        let Self { period, .. } = self;
        let mut structs = Vec::new();
        for metric in metrics {
            let Kind::Arithmetic { numerator, denominator, .. } = &metric.kind else { continue };
            let cast = |of: &Arithmetic| format!("cast(({}) as double)", of.sql);
            let none = "cast(null as double)".to_owned();
            let complete: Vec<String> =
                metric.operands().into_iter().map(|operand| format!("{}_complete", operand.column())).collect();
            let n = numerator
                .operands
                .iter()
                .next()
                .or(metric.operands().into_iter().next())
                .map_or_else(|| "0".to_owned(), |operand| format!("{}_n", operand.column()));
            let scopes: Vec<String> = metric.scopes.iter().map(|scope| text(scope)).collect();
            structs.push(format!(
                "            named_struct(\n                'metric_id', {}, 'numerator', {}, 'denominator', {},\n                \
                 'is_ratio', {}, 'n', cast({n} as bigint),\n                'is_complete', {},\n                'is_there', scope_type in ({})\n            )",
                text(&metric.metric.id),
                cast(numerator),
                denominator.as_ref().map_or(none, cast),
                denominator.is_some(),
                complete.join(" and "),
                scopes.join(", "),
            ));
        }
        format!(
            "{name}_results as (\n\n    select\n        {period},\n        scope_type,\n        scope_id,\n        \
             unnest(make_array(\n{}\n        )) as metric\n\n    from {name}_operands\n\n)",
            structs.join(",\n")
        )
    }

    fn branch(&self, name: &str) -> String {
        let Self { period, .. } = self;
        format!(
            r"select
    {period},
    metric['metric_id'] as metric_id,
    scope_type,
    scope_id,
    round(
        case
            when metric['is_ratio']
                then round(metric['numerator'], 6)
                    / {}
            else metric['numerator']
        end,
        6
    ) as value,
    case
        when not metric['is_ratio'] or metric['denominator'] is not null
            then round(metric['numerator'], 6)
    end as numerator,
    round(metric['denominator'], 6) as denominator,
    coalesce(metric['n'], 0) as n,
    coalesce(metric['is_complete'], false) as is_complete

from {name}_results

where metric['is_there']
    and metric['is_complete'] is not null
",
            divisor("round(metric['denominator'], 6)")
        )
    }
}

pub(super) fn is_across(metric: &Resolved<'_>) -> bool {
    metric.operands().into_iter().any(|operand| operand.across.is_some())
}

/// What a number is divided by: nothing where it is zero, of which floating point has two that are not equal.
pub(super) fn divisor(of: &str) -> String {
    format!("case when abs({of}) > 0 then {of} end")
}

fn window_name(over: Over) -> String {
    if over.is_before { format!("before_{}", over.days) } else { format!("last_{}", over.days) }
}

//! The SQL of weeks and months: what adds up is added up from days, all else is counted anew or stands at the end.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::resolve::{Kind, Resolved};
use super::series::{ArithmeticSql, divisor};
use super::{Grain, Range};
use crate::project::Spine;
use crate::sql_text::text;

/// The texts in which one length of periods differs from others.
struct PeriodSql {
    /// The last day of a period.
    end: String,
    /// Which rows of `metric_day` make periods.
    days: String,
    /// Whether a series of the days of its rows is complete.
    is_observed_complete: String,
    /// The days that a period has.
    length: String,
    /// Where the last day of each metric is looked up.
    last_days: &'static str,
}

impl PeriodSql {
    fn of(grain: Grain, days: Range) -> Self {
        let rolled = format!("days_rolled.{grain}");
        let (end, start) = match grain {
            Grain::Day => (rolled.clone(), rolled),
            Grain::Week(_) => (format!("{rolled} + 6"), rolled),
            Grain::Month => (format!("cast({rolled} + interval '1 month' as date) - 1"), rolled),
            Grain::Total => {
                let day = |day: Option<NaiveDate>| day.map(|day| format!("date '{day}'"));
                return Self::total(day(days.since), day(days.until));
            }
        };
        Self {
            days: String::new(),
            is_observed_complete: format!(
                "known_until.known_until > {end}\n                    and days_rolled.complete_days = days_rolled.days"
            ),
            length: format!("{end} - {start} + 1"),
            last_days: "max(last_day) as known_until\n\n    from days_rolled",
            end,
        }
    }

    /// All days from one to another, of which each may be that of the series.
    fn total(since: Option<String>, until: Option<String>) -> Self {
        let bounds = [("day >= ", &since), ("day <= ", &until)];
        let bounds: Vec<String> =
            bounds.into_iter().filter_map(|(words, day)| Some(format!("{words}{}", day.as_ref()?))).collect();
        let is_over =
            until.as_ref().map(|until| format!("\n                    and known_until.known_until > {until}"));
        let end = until.unwrap_or_else(|| "days_rolled.last_day".to_owned());
        let start = since.unwrap_or_else(|| "days_rolled.first_day".to_owned());
        Self {
            days: if bounds.is_empty() { String::new() } else { format!("\n\n    where {}", bounds.join(" and ")) },
            is_observed_complete: format!(
                "days_rolled.complete_days = days_rolled.days{}",
                is_over.unwrap_or_default()
            ),
            length: format!("{end} - {start} + 1"),
            last_days: "max(day) as known_until\n\n    from metric_day",
            end,
        }
    }
}

/// Returns the SELECT of `metric_week` or `metric_month`, or of the total of `days`.
pub(super) fn select(
    metrics: &[Resolved<'_>],
    by_table: &BTreeMap<&str, Vec<&Resolved<'_>>>,
    grain: Grain,
    days: Range,
) -> String {
    let rules: Vec<String> = metrics
        .iter()
        .filter(|metric| metric.rule() != "arithmetic")
        .map(|metric| {
            let is_observed = metric.metric.rows.as_ref().is_some_and(|rows| rows.spine == Spine::Observed);
            format!(
                "            ({}, '{}', {}, {is_observed}, {}, {})",
                text(&metric.metric.id),
                metric.rule(),
                metric.is_ratio(),
                metric.is_count(),
                metric.min_sample
            )
        })
        .collect();
    let recounted: Vec<String> = by_table
        .iter()
        .filter(|(_, metrics)| metrics.iter().any(|metric| metric.is_recounted()))
        .map(|(table, _)| format!("    select * from metric_{table}_{grain}"))
        .collect();
    let (recounted, join, anew) = if recounted.is_empty() {
        (String::new(), String::new(), "cast(null as double)")
    } else {
        (
            format!("recounted as (\n\n{}\n\n),\n\n", recounted.join("\n    union all\n")),
            format!(
                "\n    left join recounted\n        on days_rolled.{grain} = recounted.{grain}\n        \
                 and days_rolled.metric_id = recounted.metric_id\n        \
                 and days_rolled.scope_type = recounted.scope_type\n        \
                 and days_rolled.scope_id = recounted.scope_id\n"
            ),
            "recounted",
        )
    };
    let of = |part: &str| {
        if anew == "recounted" {
            format!("recounted.{part}")
        } else {
            format!("cast(null as {})", if part == "n" { "bigint" } else { "double" })
        }
    };
    let arithmetic: Vec<&Resolved<'_>> =
        metrics.iter().filter(|metric| matches!(metric.kind, Kind::Arithmetic { is_windowed: false, .. })).collect();
    let (ctes, branches) = if arithmetic.is_empty() {
        (String::new(), String::new())
    } else {
        let writer = ArithmeticSql { period: grain.column(), from: "final", metrics, arithmetic: &arithmetic };
        let (ctes, branches) = writer.write();
        (format!(",\n\n{ctes}"), branches)
    };
    let start = grain.start_of("day");
    let PeriodSql { end, days, is_observed_complete, length, last_days } = PeriodSql::of(grain, days);
    format!(
        r"-- One row per {grain}, metric and scope. What adds up is added up from days; medians
-- and different values are counted anew from rows; a stock, and what looks back
-- over a window, has the value of the last day.
with

metrics as (

    select * from (
        values
{rules}
    ) as metrics (metric_id, rule, is_ratio, is_observed, is_count, min_sample)

),

{recounted}days_rolled as (

    select
        {start} as {grain},
        metric_id,
        scope_type,
        scope_id,
        sum(numerator) as numerator,
        sum(denominator) as denominator,
        count(numerator) as numerators,
        sum(n) as n,
        last_value(value order by day) as last_day_value,
        last_value(numerator order by day) as last_day_numerator,
        last_value(denominator order by day) as last_day_denominator,
        last_value(n order by day) as last_day_n,
        last_value(is_complete order by day) as is_last_day_complete,
        min(day) as first_day,
        max(day) as last_day,
        count(*) as days,
        count(*) filter (where is_complete) as complete_days

    from metric_day{days}

    group by
        {start},
        metric_id,
        scope_type,
        scope_id

),

known_until as (

    select
        metric_id,
        {last_days}

    group by metric_id

),

periods as (

    select
        days_rolled.{grain},
        days_rolled.metric_id,
        days_rolled.scope_type,
        days_rolled.scope_id,
        metrics.rule,
        metrics.is_ratio,
        metrics.min_sample,
        case metrics.rule
            when 'last' then days_rolled.last_day_numerator
            when 'recount' then {numerator}
            else days_rolled.numerator
        end as numerator,
        case metrics.rule
            when 'last' then days_rolled.last_day_denominator
            when 'recount' then {denominator}
            when 'mean' then days_rolled.numerators
            else days_rolled.denominator
        end as denominator,
        case metrics.rule
            when 'last' then days_rolled.last_day_value
            when 'recount'
                then case when metrics.is_count then coalesce({value}, 0) else {value} end
        end as value,
        case metrics.rule
            when 'last' then days_rolled.last_day_n
            when 'recount' then coalesce({n}, 0)
            else days_rolled.n
        end as n,
        case
            when metrics.is_observed
                then {is_observed_complete}
            when metrics.rule = 'last'
                then days_rolled.is_last_day_complete
                    and days_rolled.last_day = {end}
            else days_rolled.complete_days = {length}
        end as is_complete

    from days_rolled

    inner join metrics using (metric_id)

    inner join known_until using (metric_id)
{join}
),

final as (

    select
        ---------- ids
        {grain},
        metric_id,
        scope_type,
        scope_id,

        ---------- numbers
        round(
            case
                when rule = 'last' then value
                when min_sample > 0 and n < min_sample then null
                when is_ratio or rule = 'mean'
                    then numerator / {divisor}
                else coalesce(numerator, value)
            end,
            6
        ) as value,
        round(numerator, 6) as numerator,
        round(denominator, 6) as denominator,
        n,

        ---------- booleans
        is_complete

    from periods

){ctes}

select * from final
{branches}",
        rules = rules.join(",\n"),
        numerator = of("numerator"),
        denominator = of("denominator"),
        value = of("value"),
        n = of("n"),
        divisor = divisor("denominator"),
    )
}

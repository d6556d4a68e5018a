-- What can be added up over channels, groups and priorities gives the total.
with

support_days as (

    select
        day,
        scope_type = 'all' as is_total,
        created,
        solved,
        reopened,
        deleted,
        backlog_eod,
        sla_met,
        sla_breached,
        csat_answered

    from kpi_support_daily

    where scope_type in ('all', 'channel_group_priority')

),

sums as (

    select
        day,
        is_total,
        sum(created) as created,
        sum(solved) as solved,
        sum(reopened) as reopened,
        sum(deleted) as deleted,
        sum(backlog_eod) as backlog_eod,
        sum(sla_met) as sla_met,
        sum(sla_breached) as sla_breached,
        sum(csat_answered) as csat_answered

    from support_days

    group by
        day,
        is_total

),

mismatches as (

    select
        totals.day,
        totals.created,
        parts.created as created_in_parts

    from sums as totals

    inner join sums as parts
        on totals.day = parts.day
        and totals.is_total
        and not parts.is_total

    where totals.created <> parts.created
        or totals.solved <> parts.solved
        or totals.reopened <> parts.reopened
        or totals.deleted <> parts.deleted
        or totals.backlog_eod <> parts.backlog_eod
        or totals.sla_met <> parts.sla_met
        or totals.sla_breached <> parts.sla_breached
        or totals.csat_answered <> parts.csat_answered

)

select * from mismatches

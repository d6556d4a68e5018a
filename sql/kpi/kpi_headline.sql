-- One row per headline number, over all streams. Ends the report of a run.
-- Behaviour and support speak of the 28 days up to the last complete day,
-- market of the last trading day.
with

activity_days as (

    select * from kpi_user_activity_daily

    where platform = 'all'
        and acquisition_channel = 'all'
        and is_complete

),

support_days as (

    select * from kpi_support_daily

    where channel = 'all'
        and group_id = 'all'
        and priority = 'all'
        and is_complete

),

tickets as (

    select * from fct_ticket

    where not is_deleted

),

prices as (

    select * from kpi_market_daily

),

last_days as (

    select
        (select max(day) from activity_days) as activity_day,
        (select max(day) from support_days) as support_day,
        (select max(day) from prices) as market_day

),

last_activity_day as (

    select
        max(activity_days.day) as day,
        max(activity_days.dau) as dau,
        max(activity_days.mau) as mau,
        max(activity_days.stickiness) as stickiness

    from activity_days

    inner join last_days
        on activity_days.day = last_days.activity_day

),

activity_of_28_days as (

    select
        sum(activity_days.sessions) as sessions,
        round(
            100 * cast(sum(activity_days.engaged_sessions) as double)
                / nullif(sum(activity_days.sessions), 0),
            1
        ) as engagement_percent,
        round(
            100 * cast(sum(activity_days.converting_sessions) as double)
                / nullif(sum(activity_days.sessions), 0),
            1
        ) as conversion_percent

    from activity_days

    inner join last_days
        on activity_days.day > last_days.activity_day - 28

),

support_of_28_days as (

    select
        max(support_days.day) as day,
        sum(support_days.created) as created,
        max(support_days.backlog_eod) filter (
            where support_days.day = last_days.support_day
        ) as backlog_eod,
        round(
            100 * cast(sum(support_days.sla_met) as double)
                / nullif(sum(support_days.sla_decided), 0),
            1
        ) as sla_percent,
        round(
            100 * cast(sum(support_days.csat_pos) as double)
                / nullif(sum(support_days.csat_answered), 0),
            1
        ) as csat_percent,
        round(
            100 * cast(sum(support_days.first_contact_tickets) as double)
                / nullif(sum(support_days.resolved_tickets), 0),
            1
        ) as first_contact_percent

    from support_days

    inner join last_days
        on support_days.day > last_days.support_day - 28

),

replies_of_28_days as (

    select
        case
            when count(tickets.first_reply_minutes) >= $min_sample
                then round(median(tickets.first_reply_minutes), 1)
        end as first_reply_minutes

    from tickets

    inner join last_days
        on tickets.created_day > last_days.support_day - 28
        and tickets.created_day <= last_days.support_day

),

resolutions_of_28_days as (

    select
        case
            when count(tickets.full_resolution_minutes) >= $min_sample
                then round(median(tickets.full_resolution_minutes) / 60, 1)
        end as resolution_hours

    from tickets

    inner join last_days
        on tickets.solved_day > last_days.support_day - 28
        and tickets.solved_day <= last_days.support_day

    where tickets.is_solved

),

prices_of_last_day as (

    select
        max(prices.day) as day,
        count(*) as instruments,
        round(100 * min(prices.drawdown), 1) as drawdown_percent,
        round(100 * max(prices.vol20), 1) as volatility_percent

    from prices

    inner join last_days
        on prices.day = last_days.market_day

),

headlines as (

    select
        1 as position,
        coalesce(
            'Daily active users on ' || cast(day as varchar),
            'Daily active users'
        ) as label,
        cast(dau as varchar) as value
    from last_activity_day

    union all

    select
        2 as position,
        'Monthly active users' as label,
        cast(mau as varchar) as value
    from last_activity_day

    union all

    select
        3 as position,
        'Stickiness (mean daily / monthly users)' as label,
        concat(cast(round(100 * stickiness, 1) as varchar), ' %') as value
    from last_activity_day

    union all

    select
        4 as position,
        'Sessions in 28 days' as label,
        cast(sessions as varchar) as value
    from activity_of_28_days

    union all

    select
        5 as position,
        'Engaged sessions' as label,
        concat(cast(engagement_percent as varchar), ' %') as value
    from activity_of_28_days

    union all

    select
        6 as position,
        'Sessions with a purchase' as label,
        concat(cast(conversion_percent as varchar), ' %') as value
    from activity_of_28_days

    union all

    select
        7 as position,
        coalesce(
            'Tickets in 28 days to ' || cast(day as varchar),
            'Tickets in 28 days'
        ) as label,
        cast(created as varchar) as value
    from support_of_28_days

    union all

    select
        8 as position,
        'Backlog' as label,
        cast(backlog_eod as varchar) as value
    from support_of_28_days

    union all

    select
        9 as position,
        'First reply, median' as label,
        concat(cast(first_reply_minutes as varchar), ' min') as value
    from replies_of_28_days

    union all

    select
        10 as position,
        'First reply within target' as label,
        concat(cast(sla_percent as varchar), ' %') as value
    from support_of_28_days

    union all

    select
        11 as position,
        'Full resolution, median' as label,
        concat(cast(resolution_hours as varchar), ' h') as value
    from resolutions_of_28_days

    union all

    select
        12 as position,
        'Solved at first contact' as label,
        concat(cast(first_contact_percent as varchar), ' %') as value
    from support_of_28_days

    union all

    select
        13 as position,
        'Good ratings' as label,
        concat(cast(csat_percent as varchar), ' %') as value
    from support_of_28_days

    union all

    select
        14 as position,
        coalesce(
            'Instruments priced on ' || cast(day as varchar),
            'Instruments priced'
        ) as label,
        cast(instruments as varchar) as value
    from prices_of_last_day

    union all

    select
        15 as position,
        'Deepest drawdown of an instrument' as label,
        concat(cast(drawdown_percent as varchar), ' %') as value
    from prices_of_last_day

    union all

    select
        16 as position,
        'Highest volatility of an instrument' as label,
        concat(cast(volatility_percent as varchar), ' %') as value
    from prices_of_last_day

),

final as (

    select
        ---------- ids
        position,

        ---------- strings
        label,
        -- A feed without rows leaves only the unit, or nothing, to print.
        case
            when value is null or value in (' %', ' min', ' h') then 'no data'
            else value
        end as value

    from headlines

)

select * from final

order by position

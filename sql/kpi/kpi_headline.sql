-- One row per headline number, over all streams. Ends the report of a run.
-- Behaviour and support speak of the 28 days up to the last complete day, or of as
-- many as there are; market of the last trading day, on which an instrument stands
-- as it stood last, for up to $market_carry_days days. A number is stale when its
-- day is more than $market_carry_days days before the clock.
with

clock as (

    select local_day($as_of, $reporting_zone) as today

),

activity_days as (

    select * from kpi_user_activity_daily

    where scope_type = 'all'
        and is_complete

),

support_days as (

    select * from kpi_support_daily

    where scope_type = 'all'
        and is_complete

),

tickets as (

    select * from fct_ticket

    where not is_deleted

),

solves as (

    select * from fct_ticket_solve

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
        max(activity_days.stickiness) as stickiness,
        max(activity_days.window_days) as window_days

    from activity_days

    inner join last_days
        on activity_days.day = last_days.activity_day

),

activity_of_28_days as (

    select
        max(activity_days.day) as day,
        max(activity_days.day) - min(activity_days.day) + 1 as days,
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
        max(support_days.day) - min(support_days.day) + 1 as days,
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
            when count(*) >= $min_sample
                then round(median(solves.resolution_minutes) / 60, 1)
        end as resolution_hours

    from solves

    inner join last_days
        on solves.solved_day > last_days.support_day - 28
        and solves.solved_day <= last_days.support_day

),

prices_newest_first as (

    select
        prices.drawdown,
        prices.vol20,
        last_days.market_day as day,
        row_number() over (
            partition by prices.symbol order by prices.day desc
        ) as place

    from prices

    inner join last_days
        on prices.day >= last_days.market_day - $market_carry_days

),

prices_of_last_day as (

    select
        max(day) as day,
        count(*) as instruments,
        round(100 * min(drawdown), 1) as drawdown_percent,
        round(100 * max(vol20), 1) as volatility_percent

    from prices_newest_first

    where place = 1

),

numbers as (

    select
        1 as position,
        'Daily active users' as name,
        true as is_dated,
        day,
        cast(dau as double) as value_number,
        '' as unit
    from last_activity_day

    union all

    select
        2 as position,
        case
            when window_days < $mau_days then concat(
                'Monthly active users, ', cast(window_days as varchar), ' of ',
                cast($mau_days as varchar), ' days'
            )
            else 'Monthly active users'
        end as name,
        false as is_dated,
        day,
        cast(mau as double) as value_number,
        '' as unit
    from last_activity_day

    union all

    select
        3 as position,
        'Stickiness (mean daily / monthly users)' as name,
        false as is_dated,
        day,
        round(100 * stickiness, 1) as value_number,
        '%' as unit
    from last_activity_day

    union all

    select
        4 as position,
        case
            when days is null then 'Sessions in 28 days'
            when days = 1 then 'Sessions in 1 day'
            else concat('Sessions in ', cast(days as varchar), ' days')
        end as name,
        false as is_dated,
        day,
        cast(sessions as double) as value_number,
        '' as unit
    from activity_of_28_days

    union all

    select
        5 as position,
        'Engaged sessions' as name,
        false as is_dated,
        day,
        engagement_percent as value_number,
        '%' as unit
    from activity_of_28_days

    union all

    select
        6 as position,
        'Sessions with a purchase' as name,
        false as is_dated,
        day,
        conversion_percent as value_number,
        '%' as unit
    from activity_of_28_days

    union all

    select
        7 as position,
        case
            when days is null then 'Tickets in 28 days'
            when days = 1 then 'Tickets in 1 day to'
            else concat('Tickets in ', cast(days as varchar), ' days to')
        end as name,
        true as is_dated,
        day,
        cast(created as double) as value_number,
        '' as unit
    from support_of_28_days

    union all

    select
        8 as position,
        'Backlog' as name,
        false as is_dated,
        day,
        cast(backlog_eod as double) as value_number,
        '' as unit
    from support_of_28_days

    union all

    select
        9 as position,
        'First reply, median' as name,
        false as is_dated,
        last_days.support_day as day,
        replies_of_28_days.first_reply_minutes as value_number,
        'min' as unit
    from replies_of_28_days
    cross join last_days

    union all

    select
        10 as position,
        'First reply within target' as name,
        false as is_dated,
        day,
        sla_percent as value_number,
        '%' as unit
    from support_of_28_days

    union all

    select
        11 as position,
        'Full resolution, median' as name,
        false as is_dated,
        last_days.support_day as day,
        resolutions_of_28_days.resolution_hours as value_number,
        'h' as unit
    from resolutions_of_28_days
    cross join last_days

    union all

    select
        12 as position,
        'Solved at first contact' as name,
        false as is_dated,
        day,
        first_contact_percent as value_number,
        '%' as unit
    from support_of_28_days

    union all

    select
        13 as position,
        'Good ratings' as name,
        false as is_dated,
        day,
        csat_percent as value_number,
        '%' as unit
    from support_of_28_days

    union all

    select
        14 as position,
        'Instruments watched' as name,
        true as is_dated,
        day,
        cast(instruments as double) as value_number,
        '' as unit
    from prices_of_last_day

    union all

    select
        15 as position,
        'Deepest drawdown of an instrument' as name,
        false as is_dated,
        day,
        drawdown_percent as value_number,
        '%' as unit
    from prices_of_last_day

    union all

    select
        16 as position,
        'Highest volatility of an instrument' as name,
        false as is_dated,
        day,
        volatility_percent as value_number,
        '%' as unit
    from prices_of_last_day

),

numbers_with_age as (

    select
        numbers.*,
        coalesce(
            numbers.day + $market_carry_days < clock.today, false
        ) as is_stale

    from numbers

    cross join clock

),

final as (

    select
        ---------- ids
        position,

        ---------- numbers
        value_number,
        unit,

        ---------- booleans
        is_stale,

        ---------- dates
        day,

        ---------- strings
        concat(
            name,
            case
                when not is_dated or day is null then ''
                when name like '% to' then concat(' ', cast(day as varchar))
                else concat(' on ', cast(day as varchar))
            end,
            case when is_dated and is_stale then ' (stale)' else '' end
        ) as label,
        case
            when value_number is null then 'no data'
            when unit = '' then cast(cast(value_number as bigint) as varchar)
            else concat(cast(value_number as varchar), ' ', unit)
        end as value

    from numbers_with_age

)

select * from final

order by position

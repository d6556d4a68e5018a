-- One row per cohort, period and scope: who of the users who came first in a
-- week or month came back in the k-th after it. A cohort is the users whose
-- first event ever fell into the period; period 0 is the cohort's own. Weeks
-- begin on $week_start. Platform and channel are those of the first event. A
-- period that is not over counts nobody, rather than few.
with

feed as (

    select * from dim_event_feed

),

events as (

    select events.*

    from fct_event as events

    inner join feed
        on events.event_day between feed.first_day and feed.last_day

),

days as (

    select
        unnest(
            generate_series(first_day, last_day, interval '1 day')
        ) as day

    from feed

),

days_with_weeks as (

    select
        day,
        day - cast(
            (extract(isodow from day) - $week_start + 7) % 7 as int
        ) as week
    from days

),

days_with_periods as (

    select
        day,
        'week' as period_type,
        week as period_start,
        week + 6 as period_end
    from days_with_weeks

    union all

    select
        day,
        'month' as period_type,
        month_start(day) as period_start,
        month_end(day) as period_end
    from days

),

periods as (

    select distinct
        period_type,
        period_start,
        period_end < complete_until as is_complete

    from days_with_periods

    cross join feed

),

users as (

    select
        user_id,
        first_value(platform order by
            occurred_at, tracker_session_id, event_name) as platform,
        first_value(acquisition_channel order by
            occurred_at, tracker_session_id, event_name
        ) as acquisition_channel

    from events

    group by user_id

),

user_days as (

    select distinct
        user_id,
        event_day as day

    from events

),

user_periods as (

    select
        user_id,
        period_type,
        period_start,
        min(period_start) over (partition by user_id, period_type) as cohort

    from user_days

    inner join days_with_periods using (day)

    group by
        user_id,
        period_type,
        period_start

),

users_counted as (

    select
        period_type,
        cohort,
        period_start,
        -- One bit, from the right, for each column that a total goes over.
        case grouping(platform, acquisition_channel)
            when 1 then 'platform'
            when 2 then 'acquisition_channel'
            else 'all'
        end as scope_type,
        case grouping(platform, acquisition_channel)
            when 1 then platform
            when 2 then acquisition_channel
            else 'all'
        end as scope_id,
        count(*) as users

    from user_periods

    inner join users using (user_id)

    group by grouping sets (
        (period_type, cohort, period_start),
        (period_type, cohort, period_start, platform),
        (period_type, cohort, period_start, acquisition_channel)
    )

),

-- Each cohort in its own period and in every one since. Periods have no gaps,
-- so their place is their number.
cells as (

    select
        cohorts.* except (users, period_start),
        cohorts.users as cohort_size,
        periods.period_start,
        periods.is_complete,
        row_number() over (
            partition by
                cohorts.period_type,
                cohorts.cohort,
                cohorts.scope_type,
                cohorts.scope_id
            order by periods.period_start
        ) as period_place

    from users_counted as cohorts

    inner join periods
        on cohorts.period_type = periods.period_type
        and cohorts.cohort <= periods.period_start

    where cohorts.cohort = cohorts.period_start

),

cells_with_users as (

    select
        *,
        case when is_complete then coalesce(users, 0) end as retained

    from cells

    left join users_counted
        using (period_type, cohort, scope_type, scope_id, period_start)

),

final as (

    select
        ---------- ids
        period_type,
        cohort,
        cast(period_place as bigint) - 1 as period_number,
        scope_type,
        scope_id,

        ---------- numbers
        cohort_size,
        retained,
        ratio(retained, cohort_size) as retention_rate,

        ---------- booleans
        is_complete,

        ---------- dates
        period_start

    from cells_with_users

)

select * from final

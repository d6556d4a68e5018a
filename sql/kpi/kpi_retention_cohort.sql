-- One row per cohort, period and segment: who of the users who came first in a
-- week or month came back in the k-th after it.
-- A cohort is the users whose first event ever fell into the period; period 0 is
-- the cohort's own. Weeks begin on Monday. Platform and channel are those of the
-- first event. A period that is not over counts nobody, rather than few.
with

feed as (

    select * from dim_event_feed

),

events as (

    select fct_event.*

    from fct_event

    inner join feed
        on fct_event.event_day >= feed.first_day
        and fct_event.event_day <= feed.last_day

),

users as (

    select
        user_id,
        min(event_day) as first_day,
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

period_types as (

    select * from (
        values
            ('week'),
            ('month')
    ) as period_types (period_type)

),

segment_types as (

    select * from (
        values
            ('all'),
            ('platform'),
            ('acquisition_channel')
    ) as segment_types (segment_type)

),

days as (

    select
        unnest(
            generate_series(first_day, last_day, interval '1 day')
        ) as day,
        complete_until

    from feed

),

days_with_periods as (

    select
        days.day,
        days.complete_until,
        period_types.period_type,
        cast(
            case period_types.period_type
                when 'week' then date_trunc('week', days.day)
                else date_trunc('month', days.day)
            end as date
        ) as period_start

    from days

    cross join period_types

),

periods as (

    select distinct
        period_type,
        period_start,
        case period_type
            when 'week' then period_start + 7 <= complete_until
            else cast(period_start + interval '1 month' as date) <= complete_until
        end as is_complete

    from days_with_periods

),

users_in_cohorts as (

    select
        users.user_id,
        days_with_periods.period_type,
        days_with_periods.period_start as cohort,
        segment_types.segment_type,
        case segment_types.segment_type
            when 'platform' then users.platform
            when 'acquisition_channel' then users.acquisition_channel
            else 'all'
        end as segment

    from users

    inner join days_with_periods
        on users.first_day = days_with_periods.day

    cross join segment_types

),

user_periods as (

    select distinct
        user_days.user_id,
        days_with_periods.period_type,
        days_with_periods.period_start

    from user_days

    inner join days_with_periods
        on user_days.day = days_with_periods.day

),

cohorts as (

    select
        period_type,
        cohort,
        segment_type,
        segment,
        count(*) as cohort_size

    from users_in_cohorts

    group by
        period_type,
        cohort,
        segment_type,
        segment

),

users_retained as (

    select
        users_in_cohorts.period_type,
        users_in_cohorts.cohort,
        users_in_cohorts.segment_type,
        users_in_cohorts.segment,
        user_periods.period_start,
        count(*) as retained

    from users_in_cohorts

    inner join user_periods
        on users_in_cohorts.user_id = user_periods.user_id
        and users_in_cohorts.period_type = user_periods.period_type

    group by
        users_in_cohorts.period_type,
        users_in_cohorts.cohort,
        users_in_cohorts.segment_type,
        users_in_cohorts.segment,
        user_periods.period_start

),

cells as (

    select
        cohorts.period_type,
        cohorts.cohort,
        cohorts.segment_type,
        cohorts.segment,
        periods.period_start,
        case cohorts.period_type
            when 'week' then (periods.period_start - cohorts.cohort) / 7
            else extract(year from periods.period_start) * 12
                + extract(month from periods.period_start)
                - extract(year from cohorts.cohort) * 12
                - extract(month from cohorts.cohort)
        end as period_number,
        cohorts.cohort_size,
        case
            when periods.is_complete
                then coalesce(users_retained.retained, 0)
        end as retained,
        periods.is_complete

    from cohorts

    inner join periods
        on cohorts.period_type = periods.period_type
        and cohorts.cohort <= periods.period_start

    left join users_retained
        on cohorts.period_type = users_retained.period_type
        and cohorts.cohort = users_retained.cohort
        and cohorts.segment_type = users_retained.segment_type
        and cohorts.segment = users_retained.segment
        and periods.period_start = users_retained.period_start

),

final as (

    select
        ---------- ids
        period_type,
        cohort,
        period_number,
        segment_type,
        segment,

        ---------- numbers
        cohort_size,
        retained,
        round(cast(retained as double) / cohort_size, 6) as retention_rate,

        ---------- booleans
        is_complete,

        ---------- dates
        period_start

    from cells

)

select * from final

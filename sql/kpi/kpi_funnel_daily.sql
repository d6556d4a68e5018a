-- One row per funnel, step, day and scope: who entered and how far they came. A
-- day's users are those who took the first step on it; what they did later
-- within the window counts for that day. Platform and channel are those of the
-- first step of the best attempt. Seconds are from the first step to this one.
-- A day is complete when the window is closed for whoever entered at its end.
with

feed as (

    select * from dim_event_feed

),

days as (

    select
        unnest(
            generate_series(first_day, last_day, interval '1 day')
        ) as day,
        known_until

    from feed

),

days_counted as (

    select
        funnel_id,
        step,
        entered_day as day,
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
        count(*) as reached,
        median(seconds_from_start) as median_seconds,
        percentile_cont(seconds_from_start, 0.9) as p90_seconds

    from fct_funnel_step

    group by grouping sets (
        (funnel_id, step, entered_day),
        (funnel_id, step, entered_day, platform),
        (funnel_id, step, entered_day, acquisition_channel)
    )

),

scopes as (

    select
        funnel_id,
        scope_type,
        scope_id
    from days_counted

    union

    -- Whoever entered a funnel or not, it has a total.
    select
        funnel_id,
        'all' as scope_type,
        'all' as scope_id
    from dim_funnel_step

),

-- Every step of a funnel, for each of its scopes on each day.
spine as (

    select
        *,
        local_day(
            to_timestamp_seconds(
                extract(epoch from known_until) - window_seconds
            ),
            $reporting_zone
        ) > day as is_complete

    from dim_funnel_step

    inner join scopes using (funnel_id)

    cross join days

),

spine_joined as (

    select
        * except (reached),
        coalesce(reached, 0) as reached

    from spine

    left join days_counted
        using (funnel_id, step, day, scope_type, scope_id)

),

steps_with_neighbours as (

    select
        *,
        max(reached) over (
            partition by funnel_id, scope_type, scope_id, day
        ) as entered,
        lag(reached) over (
            partition by funnel_id, scope_type, scope_id, day
            order by step
        ) as reached_before

    from spine_joined

),

final as (

    select
        ---------- ids
        funnel_id,
        step,
        day,
        scope_type,
        scope_id,

        ---------- strings
        step_name,

        ---------- numbers
        entered,
        reached,
        reached_before - reached as dropped,
        ratio(reached, reached_before) as step_rate,
        ratio(reached, entered) as overall_rate,
        case
            when step > 1 and reached >= $min_sample
                then round(median_seconds, 3)
        end as median_seconds,
        case
            when step > 1 and reached >= $min_sample
                then round(p90_seconds, 3)
        end as p90_seconds,

        ---------- booleans
        is_complete

    from steps_with_neighbours

)

select * from final

-- One row per funnel, step, day and segment: who entered and how far they came.
-- A day's users are those who took the first step on it; what they did later
-- within the window counts for that day. Segments are those of the first step of
-- the best attempt. Seconds are from the first step to this one. A day is
-- complete when the window is closed for whoever entered at its end.
with

steps as (

    select * from dim_funnel_step

),

steps_reached as (

    select * from fct_funnel_step

),

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

segment_types as (

    select * from (
        values
            ('all'),
            ('platform'),
            ('acquisition_channel')
    ) as segment_types (segment_type)

),

steps_scoped as (

    select
        steps_reached.funnel_id,
        steps_reached.step,
        steps_reached.entered_day as day,
        segment_types.segment_type,
        case segment_types.segment_type
            when 'platform' then steps_reached.platform
            when 'acquisition_channel' then steps_reached.acquisition_channel
            else 'all'
        end as segment,
        steps_reached.seconds_from_start

    from steps_reached

    cross join segment_types

),

steps_summed_to_days as (

    select
        funnel_id,
        step,
        day,
        segment_type,
        segment,
        count(*) as reached,
        median(seconds_from_start) as median_seconds,
        percentile_cont(seconds_from_start, 0.9) as p90_seconds

    from steps_scoped

    group by
        funnel_id,
        step,
        day,
        segment_type,
        segment

),

segments as (

    select
        funnel_id,
        segment_type,
        segment
    from steps_scoped

    union

    select
        funnel_id,
        'all' as segment_type,
        'all' as segment
    from steps

),

spine as (

    select
        steps.funnel_id,
        steps.step,
        steps.step_name,
        steps.window_seconds,
        segments.segment_type,
        segments.segment,
        days.day,
        days.known_until

    from steps

    inner join segments
        on steps.funnel_id = segments.funnel_id

    cross join days

),

days_joined as (

    select
        spine.funnel_id,
        spine.step,
        spine.step_name,
        spine.segment_type,
        spine.segment,
        spine.day,
        coalesce(steps_summed_to_days.reached, 0) as reached,
        steps_summed_to_days.median_seconds,
        steps_summed_to_days.p90_seconds,
        local_day(
            to_timestamp_seconds(
                extract(epoch from spine.known_until) - spine.window_seconds
            ),
            $reporting_zone
        ) > spine.day as is_complete

    from spine

    left join steps_summed_to_days
        on spine.funnel_id = steps_summed_to_days.funnel_id
        and spine.step = steps_summed_to_days.step
        and spine.day = steps_summed_to_days.day
        and spine.segment_type = steps_summed_to_days.segment_type
        and spine.segment = steps_summed_to_days.segment

),

days_with_neighbours as (

    select
        *,
        max(reached) over (
            partition by funnel_id, segment_type, segment, day
        ) as entered,
        lag(reached) over (
            partition by funnel_id, segment_type, segment, day
            order by step
        ) as reached_before

    from days_joined

),

final as (

    select
        ---------- ids
        funnel_id,
        step,
        day,
        segment_type,
        segment,

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

    from days_with_neighbours

)

select * from final

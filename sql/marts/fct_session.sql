-- One row per session. Engaged as in Google Analytics 4: it lasts
-- $engaged_seconds, or has two page views, or has a key event. Without
-- heartbeats the time between the first and the last event is all that is known
-- of its length.
with

events as (

    select * from fct_event

),

sessions as (

    select
        session_id,
        user_id,
        min(session_platform) as platform,
        min(session_acquisition_channel) as acquisition_channel,
        first_value(event_name order by
            occurred_at, tracker_session_id, event_name) as entry_event,
        first_value(event_name order by
            occurred_at desc, tracker_session_id desc, event_name desc
        ) as exit_event,
        count(*) as events,
        count(*) filter (where is_page_view) as page_views,
        count(*) filter (where is_key_event) as key_events,
        count(*) filter (where is_problem) as problem_events,
        round(
            seconds_between(min(occurred_at), max(occurred_at)), 3
        ) as duration_seconds,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at

    from events

    group by
        session_id,
        user_id

),

sessions_numbered as (

    select
        *,
        row_number() over (
            partition by user_id
            order by started_at, session_id
        ) as session_number

    from sessions

),

final as (

    select
        ---------- ids
        session_id,
        user_id,

        ---------- strings
        platform,
        acquisition_channel,
        entry_event,
        exit_event,

        ---------- numbers
        cast(session_number as bigint) as session_number,
        events,
        page_views,
        key_events,
        problem_events,
        duration_seconds,

        ---------- booleans
        duration_seconds >= $engaged_seconds
            or page_views >= 2
            or key_events >= 1 as is_engaged,
        key_events >= 1 as is_converting,
        problem_events >= 1 as has_problem,

        ---------- dates
        local_day(started_at, $reporting_zone) as session_day,

        ---------- timestamps
        started_at,
        ended_at

    from sessions_numbered

)

select * from final

-- One row per event, with the session that it belongs to.
-- A session ends when its user is silent for more than $session_gap_seconds;
-- neither midnight nor another campaign starts a new one (as in Google
-- Analytics 4). Events later than $session_max_seconds after the start leave
-- the session: their session_id is null.
with

events as (

    select * from int_user_events_classified

),

events_with_silence as (

    select
        user_id,
        tracker_session_id,
        event_name,
        platform,
        acquisition_channel,
        user_cohort,
        user_lifecycle,
        is_page_view,
        is_key_event,
        is_problem,
        event_day,
        occurred_at,
        extract(epoch from (
            occurred_at - lag(occurred_at) over (
                partition by user_id
                order by occurred_at, tracker_session_id, event_name
            )
        )) as silent_seconds

    from events

),

events_numbered_by_session as (

    select
        user_id,
        tracker_session_id,
        event_name,
        platform,
        acquisition_channel,
        user_cohort,
        user_lifecycle,
        is_page_view,
        is_key_event,
        is_problem,
        event_day,
        occurred_at,
        sum(
            case when silent_seconds <= $session_gap_seconds then 0 else 1 end
        ) over (
            partition by user_id
            order by occurred_at, tracker_session_id, event_name
            rows between unbounded preceding and current row
        ) as session_number

    from events_with_silence

),

events_with_session_start as (

    select
        user_id,
        tracker_session_id,
        event_name,
        platform,
        acquisition_channel,
        user_cohort,
        user_lifecycle,
        is_page_view,
        is_key_event,
        is_problem,
        event_day,
        occurred_at,
        min(occurred_at) over (
            partition by user_id, session_number
        ) as session_started_at

    from events_numbered_by_session

),

events_with_session as (

    select
        ---------- ids
        user_id,
        case
            when extract(epoch from (occurred_at - session_started_at))
                <= $session_max_seconds
                then concat(
                    user_id,
                    ':',
                    cast(
                        cast(extract(epoch from session_started_at) as bigint)
                        as varchar
                    )
                )
        end as session_id,
        tracker_session_id,

        ---------- strings
        event_name,
        platform,
        acquisition_channel,
        user_cohort,
        user_lifecycle,

        ---------- booleans
        is_page_view,
        is_key_event,
        is_problem,

        ---------- dates
        event_day,

        ---------- timestamps
        occurred_at

    from events_with_session_start

)

select * from events_with_session

-- One row per event, with the session that it belongs to. A session ends when
-- its user is silent for more than $session_gap_seconds; neither midnight nor
-- another campaign starts a new one (as in Google Analytics 4). What comes
-- later than $session_max_seconds after the start begins the next session, so
-- every event belongs to exactly one. Platform and channel of a session are
-- those of its first event. Events that are alike in user, tracker session,
-- name and time are numbered, so that they can be told apart. (Both windows
-- want one order, so rows are sorted once.)
with

events as (

    select * from int_user_events_classified

),

events_numbered as (

    select
        *,
        row_number() over (
            partition by user_id, occurred_at, tracker_session_id, event_name
            order by
                platform, acquisition_channel, user_cohort, user_lifecycle
        ) as event_number

    from events

),

events_with_session_start as (

    select
        *,
        session_start(
            occurred_at, $session_gap_seconds, $session_max_seconds
        ) over (
            partition by user_id
            order by
                occurred_at, tracker_session_id, event_name,
                platform, acquisition_channel, user_cohort, user_lifecycle
        ) as session_started_at

    from events_numbered

),

events_with_session as (

    select
        ---------- ids
        user_id,
        concat(
            user_id,
            ':',
            cast(
                cast(extract(epoch from session_started_at) as bigint)
                as varchar
            )
        ) as session_id,
        tracker_session_id,

        ---------- strings
        event_name,
        event_class,
        platform,
        acquisition_channel,
        first_value(platform) over first_to_last as session_platform,
        first_value(acquisition_channel) over first_to_last
            as session_acquisition_channel,
        user_cohort,
        user_lifecycle,

        ---------- numbers
        cast(event_number as bigint) as event_number,

        ---------- booleans
        is_page_view,
        is_key_event,
        is_problem,

        ---------- dates
        event_day,

        ---------- timestamps
        occurred_at

    from events_with_session_start

    window first_to_last as (
        partition by user_id, session_started_at
        order by occurred_at, tracker_session_id, event_name, event_number
    )

)

select * from events_with_session

-- Every event belongs to exactly one session of its user, every session counts
-- exactly its events, begins with the first and ends with the last of them, and is
-- no longer than the longest.
with

events as (

    select
        session_id,
        user_id,
        count(*) as events,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at

    from fct_event

    group by
        session_id,
        user_id

),

sessions as (

    select
        session_id,
        user_id,
        events,
        started_at,
        ended_at,
        duration_seconds

    from fct_session

),

mismatches as (

    select
        coalesce(sessions.session_id, events.session_id) as session_id,
        coalesce(sessions.user_id, events.user_id) as user_id,
        sessions.events as events_of_session,
        events.events as events_with_session_id,
        sessions.started_at,
        sessions.ended_at

    from sessions

    full join events
        on sessions.session_id = events.session_id
        and sessions.user_id = events.user_id

    where (sessions.events is distinct from events.events)
        or (sessions.started_at is distinct from events.started_at)
        or (sessions.ended_at is distinct from events.ended_at)
        or sessions.duration_seconds > $session_max_seconds

)

select * from mismatches

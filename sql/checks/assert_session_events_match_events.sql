-- Every session counts exactly the events that carry its id, and every event
-- that carries an id finds its session.
with

events as (

    select
        session_id,
        user_id,
        count(*) as events

    from fct_event

    where session_id is not null

    group by
        session_id,
        user_id

),

sessions as (

    select
        session_id,
        user_id,
        events

    from fct_session

),

mismatches as (

    select
        coalesce(sessions.session_id, events.session_id) as session_id,
        sessions.events as events_of_session,
        events.events as events_with_session_id

    from sessions

    full join events
        on sessions.session_id = events.session_id
        and sessions.user_id = events.user_id

    where sessions.events is distinct from events.events

)

select * from mismatches

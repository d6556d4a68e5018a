-- One row per user who was seen by the tracker or who asked for help. Tickets
-- name their requester by the tracker's user id, so both sides join. Of a user
-- without events only the tickets are known. Deleted tickets do not count, and
-- neither do events that lie after the clock or astray (dim_event_feed).
with

feed as (

    select * from dim_event_feed

),

users_of_events as (

    select
        user_id,
        first_value(platform order by
            occurred_at, tracker_session_id, event_name, event_number
        ) as first_platform,
        first_value(acquisition_channel order by
            occurred_at, tracker_session_id, event_name, event_number
        ) as first_acquisition_channel,
        first_value(platform order by
            occurred_at desc, tracker_session_id desc, event_name desc,
            event_number desc
        ) as last_platform,
        count(*) as events,
        count(distinct event_day) as active_days,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at,
        min(occurred_at) filter (where is_key_event) as first_converted_at

    from fct_event

    inner join feed
        on event_day between first_day and last_day

    group by user_id

),

users_of_sessions as (

    select
        user_id,
        count(*) as sessions,
        count(*) filter (where is_engaged) as engaged_sessions,
        count(*) filter (where is_converting) as converting_sessions

    from fct_session

    inner join feed
        on session_day between first_day and last_day

    group by user_id

),

users_of_tickets as (

    select
        requester_id as user_id,
        count(*) as tickets,
        min(created_at) as first_ticket_at

    from fct_ticket

    where not is_deleted

    group by requester_id

),

final as (

    select
        ---------- ids
        coalesce(users_of_events.user_id, users_of_tickets.user_id) as user_id,

        ---------- strings
        first_platform,
        first_acquisition_channel,
        last_platform,

        ---------- numbers
        coalesce(events, 0) as events,
        coalesce(active_days, 0) as active_days,
        coalesce(sessions, 0) as sessions,
        coalesce(engaged_sessions, 0) as engaged_sessions,
        coalesce(converting_sessions, 0) as converting_sessions,
        coalesce(tickets, 0) as tickets,

        ---------- booleans
        users_of_events.user_id is not null as is_seen,
        first_converted_at is not null as is_converted,
        coalesce(tickets, 0) > 0 as has_ticket,

        ---------- dates
        local_day(first_seen_at, $reporting_zone) as first_seen_day,
        local_day(last_seen_at, $reporting_zone) as last_seen_day,
        local_day(first_converted_at, $reporting_zone) as first_converted_day,
        local_day(first_ticket_at, $reporting_zone) as first_ticket_day,

        ---------- timestamps
        first_seen_at,
        last_seen_at

    from users_of_events

    full join users_of_tickets
        on users_of_events.user_id = users_of_tickets.user_id

    left join users_of_sessions
        on users_of_events.user_id = users_of_sessions.user_id

)

select * from final

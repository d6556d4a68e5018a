-- One row per user who was seen by the tracker or who asked for help.
-- Tickets name their requester by the tracker's user id, so both sides join. Of a
-- user without events only the tickets are known. Deleted tickets do not count, and
-- neither do events that lie after the clock or astray (dim_event_feed).
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

sessions as (

    select fct_session.*

    from fct_session

    inner join feed
        on fct_session.session_day >= feed.first_day
        and fct_session.session_day <= feed.last_day

),

tickets as (

    select * from fct_ticket

    where not is_deleted

),

events_summed_to_users as (

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
        count(*) filter (where is_key_event) as key_events,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at,
        min(occurred_at) filter (where is_key_event) as first_converted_at

    from events

    group by user_id

),

sessions_summed_to_users as (

    select
        user_id,
        count(*) as sessions,
        count(*) filter (where is_engaged) as engaged_sessions,
        count(*) filter (where is_converting) as converting_sessions

    from sessions

    group by user_id

),

tickets_summed_to_users as (

    select
        requester_id as user_id,
        count(*) as tickets,
        min(created_at) as first_ticket_at

    from tickets

    group by requester_id

),

users as (

    select
        coalesce(
            events_summed_to_users.user_id, tickets_summed_to_users.user_id
        ) as user_id,
        events_summed_to_users.first_platform,
        events_summed_to_users.first_acquisition_channel,
        events_summed_to_users.last_platform,
        coalesce(events_summed_to_users.events, 0) as events,
        coalesce(events_summed_to_users.active_days, 0) as active_days,
        coalesce(events_summed_to_users.key_events, 0) as key_events,
        coalesce(tickets_summed_to_users.tickets, 0) as tickets,
        events_summed_to_users.user_id is not null as is_seen,
        events_summed_to_users.first_seen_at,
        events_summed_to_users.last_seen_at,
        events_summed_to_users.first_converted_at,
        tickets_summed_to_users.first_ticket_at

    from events_summed_to_users

    full join tickets_summed_to_users
        on events_summed_to_users.user_id = tickets_summed_to_users.user_id

),

final as (

    select
        ---------- ids
        users.user_id,

        ---------- strings
        users.first_platform,
        users.first_acquisition_channel,
        users.last_platform,

        ---------- numbers
        users.events,
        users.active_days,
        coalesce(sessions_summed_to_users.sessions, 0) as sessions,
        coalesce(sessions_summed_to_users.engaged_sessions, 0)
            as engaged_sessions,
        coalesce(sessions_summed_to_users.converting_sessions, 0)
            as converting_sessions,
        users.tickets,

        ---------- booleans
        users.is_seen,
        users.key_events > 0 as is_converted,
        users.tickets > 0 as has_ticket,

        ---------- dates
        local_day(users.first_seen_at, $reporting_zone) as first_seen_day,
        local_day(users.last_seen_at, $reporting_zone) as last_seen_day,
        local_day(users.first_converted_at, $reporting_zone)
            as first_converted_day,
        local_day(users.first_ticket_at, $reporting_zone) as first_ticket_day,

        ---------- timestamps
        users.first_seen_at,
        users.last_seen_at

    from users

    left join sessions_summed_to_users
        on users.user_id = sessions_summed_to_users.user_id

)

select * from final

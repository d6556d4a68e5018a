-- One row per stretch of time that a ticket spent in one status.
-- A ticket whose history lacks its creation starts as `new` when it was
-- created; setting the status that a ticket already has changes nothing.
with

tickets as (

    select
        ticket_id,
        requester_id,
        created_at

    from stg_tickets

),

status_events as (

    select
        event_id,
        ticket_id,
        actor_id,
        actor_role,
        new_value as status,
        occurred_at

    from stg_ticket_events

    where field_name = 'status'

),

first_status_events as (

    select
        ticket_id,
        min(occurred_at) as first_changed_at

    from status_events

    group by ticket_id

),

creations_without_event as (

    select
        0 as event_id,
        tickets.ticket_id,
        tickets.requester_id as actor_id,
        'end-user' as actor_role,
        'new' as status,
        tickets.created_at as occurred_at

    from tickets

    left join first_status_events
        on tickets.ticket_id = first_status_events.ticket_id

    where first_status_events.first_changed_at is null
        or first_status_events.first_changed_at > tickets.created_at

),

status_events_of_known_tickets as (

    select
        status_events.event_id,
        status_events.ticket_id,
        status_events.actor_id,
        status_events.actor_role,
        status_events.status,
        status_events.occurred_at

    from status_events

    inner join tickets
        on status_events.ticket_id = tickets.ticket_id

),

statuses as (

    select
        event_id,
        ticket_id,
        actor_id,
        actor_role,
        status,
        occurred_at

    from creations_without_event

    union all

    select
        event_id,
        ticket_id,
        actor_id,
        actor_role,
        status,
        occurred_at

    from status_events_of_known_tickets

),

statuses_with_previous as (

    select
        event_id,
        ticket_id,
        actor_id,
        actor_role,
        status,
        lag(status) over (
            partition by ticket_id
            order by occurred_at, event_id
        ) as previous_status,
        occurred_at

    from statuses

),

status_changes as (

    select
        event_id,
        ticket_id,
        actor_id,
        actor_role,
        status,
        previous_status,
        occurred_at

    from statuses_with_previous

    where previous_status is distinct from status

),

status_intervals as (

    select
        ---------- ids
        ticket_id,
        actor_id,

        ---------- strings
        status,
        previous_status,
        actor_role,

        ---------- numbers
        row_number() over (
            partition by ticket_id
            order by occurred_at, event_id
        ) as interval_number,

        ---------- booleans
        status in ('solved', 'closed', 'deleted') as is_finished,
        previous_status in ('solved', 'closed', 'deleted') as was_finished,

        ---------- timestamps
        occurred_at as started_at,
        lead(occurred_at) over (
            partition by ticket_id
            order by occurred_at, event_id
        ) as ended_at

    from status_changes

)

select * from status_intervals

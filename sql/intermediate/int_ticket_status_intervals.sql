-- One row per stretch of time that a ticket spent in one status.
-- A ticket whose history lacks its creation starts, when it was created, with
-- the status that its first change names as the one before, else as `new`;
-- setting the status that a ticket already has changes nothing. Where the
-- ticket's own row has another status and is not older than its history, the
-- change is missing from the history: it counts at the time of the row.
-- A solve goes to solved or closed from any other status, so closing a ticket
-- that was never solved (merged, spam, a rule) is its solve, and closing a
-- solved one is none. A reopening goes from solved or closed to an unfinished
-- status. Being deleted in between is neither.
with

tickets as (

    select
        ticket_id,
        requester_id,
        status,
        created_at,
        updated_at

    from stg_tickets

),

status_events as (

    select
        event_id,
        ticket_id,
        actor_id,
        actor_role,
        new_value as status,
        previous_value,
        occurred_at,
        row_number() over (
            partition by ticket_id
            order by occurred_at, event_id
        ) as event_number,
        row_number() over (
            partition by ticket_id
            order by occurred_at desc, event_id desc
        ) as event_number_from_last

    from stg_ticket_events

    where field_name = 'status'
        and new_value is not null

),

creations_without_event as (

    select
        cast(0 as bigint) as event_id,
        tickets.ticket_id,
        tickets.requester_id as actor_id,
        'end-user' as actor_role,
        coalesce(
            status_events.previous_status,
            case
                when status_events.occurred_at is null
                    and tickets.updated_at <= tickets.created_at
                    then tickets.status
            end,
            'new'
        ) as status,
        true as is_inferred,
        tickets.created_at as occurred_at

    from tickets

    left join (
        select
            ticket_id,
            previous_value as previous_status,
            occurred_at

        from status_events

        where event_number = 1
    ) as status_events
        on tickets.ticket_id = status_events.ticket_id

    where status_events.occurred_at is null
        or status_events.occurred_at > tickets.created_at

),

status_events_of_known_tickets as (

    select
        status_events.event_id,
        status_events.ticket_id,
        status_events.actor_id,
        status_events.actor_role,
        status_events.status,
        false as is_inferred,
        status_events.occurred_at

    from status_events

    inner join tickets
        on status_events.ticket_id = tickets.ticket_id

),

changes_without_event as (

    select
        -- After every event of the same moment.
        9223372036854775807 as event_id,
        tickets.ticket_id,
        cast(null as varchar) as actor_id,
        cast(null as varchar) as actor_role,
        tickets.status,
        true as is_inferred,
        greatest(tickets.updated_at, tickets.created_at) as occurred_at

    from tickets

    left join status_events
        on tickets.ticket_id = status_events.ticket_id
        and status_events.event_number_from_last = 1

    where tickets.status is not null
        and tickets.updated_at is not null
        and (tickets.status is distinct from status_events.status)
        and (
            status_events.occurred_at is null
            or tickets.updated_at >= status_events.occurred_at
        )

),

statuses as (

    select
        event_id,
        ticket_id,
        actor_id,
        actor_role,
        status,
        is_inferred,
        occurred_at

    from creations_without_event

    union all

    select
        event_id,
        ticket_id,
        actor_id,
        actor_role,
        status,
        is_inferred,
        occurred_at

    from status_events_of_known_tickets

    union all

    select
        event_id,
        ticket_id,
        actor_id,
        actor_role,
        status,
        is_inferred,
        occurred_at

    from changes_without_event

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
        is_inferred,
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
        -- What the ticket was before it was deleted, if it was.
        lag(
            case when status <> 'deleted' then status end
        ) ignore nulls over (
            partition by ticket_id
            order by occurred_at, event_id
        ) as kept_status,
        is_inferred,
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
        status in ('solved', 'closed')
            and coalesce(kept_status not in ('solved', 'closed'), true)
            as is_solve,
        status not in ('solved', 'closed', 'deleted')
            and coalesce(kept_status in ('solved', 'closed'), false)
            as is_reopen,
        is_inferred,

        ---------- timestamps
        occurred_at as started_at,
        lead(occurred_at) over (
            partition by ticket_id
            order by occurred_at, event_id
        ) as ended_at

    from status_changes

)

select * from status_intervals

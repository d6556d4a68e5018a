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

    select * from stg_tickets

),

status_events as (

    select
        *,
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

statuses as (

    select
        events.event_id,
        tickets.ticket_id,
        events.actor_id,
        events.actor_role,
        events.new_value as status,
        events.occurred_at,
        false as is_inferred
    from tickets
    inner join status_events as events
        on tickets.ticket_id = events.ticket_id

    union all by name

    -- A creation that the history lacks, before every event of the same moment.
    select
        0 as event_id,
        tickets.ticket_id,
        tickets.requester_id as actor_id,
        'end-user' as actor_role,
        coalesce(
            events.previous_value,
            case
                when events.ticket_id is null
                    and tickets.updated_at <= tickets.created_at
                    then tickets.status
            end,
            'new'
        ) as status,
        tickets.created_at as occurred_at,
        true as is_inferred
    from tickets
    left join status_events as events
        on tickets.ticket_id = events.ticket_id
        and events.event_number = 1
    where events.ticket_id is null
        or events.occurred_at > tickets.created_at

    union all by name

    -- A change that the history lacks, after every event of the same moment.
    select
        9223372036854775807 as event_id,
        tickets.ticket_id,
        tickets.status,
        greatest(tickets.updated_at, tickets.created_at) as occurred_at,
        true as is_inferred
    from tickets
    left join status_events as events
        on tickets.ticket_id = events.ticket_id
        and events.event_number_from_last = 1
    where tickets.status is not null
        and tickets.updated_at is not null
        and (tickets.status is distinct from events.new_value)
        and (
            events.ticket_id is null
            or tickets.updated_at >= events.occurred_at
        )

),

statuses_with_previous as (

    select
        *,
        lag(status) over (
            partition by ticket_id
            order by occurred_at, event_id
        ) as previous_status

    from statuses

),

status_changes as (

    select
        *,
        -- What the ticket was before it was deleted, if it was.
        lag(case when status <> 'deleted' then status end) ignore nulls
            over first_to_last as kept_status,
        row_number() over first_to_last as interval_number,
        lead(occurred_at) over first_to_last as ended_at

    from statuses_with_previous

    where previous_status is distinct from status

    window first_to_last as (
        partition by ticket_id
        order by occurred_at, event_id
    )

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
        interval_number,

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
        ended_at

    from status_changes

)

select * from status_intervals

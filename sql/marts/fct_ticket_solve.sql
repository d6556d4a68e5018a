-- One row per solve of a ticket; a ticket that is reopened and solved again has
-- several. Solves are events of their day: what comes later, a reopening or
-- another solve, takes none away. Solver and group are those of the moment, so a
-- reopening is charged to whose solve came back, not to who repaired it. First
-- contact resolution: the first solve, with one public comment by support, that
-- was not reopened and after which the requester did not come back on the same
-- topic, both within $first_contact_days.
with

solves as (

    select * from int_ticket_solves

),

tickets as (

    select
        ticket_id,
        requester_id,
        channel,
        category,
        created_at

    from stg_tickets

),

last_statuses as (

    select
        ticket_id,
        last_status

    from int_tickets_resolved

),

next_requests as (

    select
        tickets.ticket_id,
        lead(tickets.created_at) over (
            partition by tickets.requester_id, tickets.category
            order by tickets.created_at, tickets.ticket_id
        ) as next_created_at

    from tickets

    inner join last_statuses
        on tickets.ticket_id = last_statuses.ticket_id

    where last_statuses.last_status <> 'deleted'

),

final as (

    select
        ---------- ids
        solves.ticket_id,
        cast(solves.solve_number as bigint) as solve_number,
        solves.solver_id,
        coalesce(solves.group_id, 'none') as group_id,

        ---------- strings
        tickets.channel,

        ---------- numbers
        minutes_of(seconds_between(tickets.created_at, solves.solved_at))
            as resolution_minutes,
        solves.touches,

        ---------- booleans
        solves.touches = 1 as is_one_touch,
        solves.touches = 1
            and solves.solve_number = 1
            and (
                solves.reopened_at is null
                or seconds_between(solves.solved_at, solves.reopened_at)
                    > $first_contact_days * 86400
            )
            and (
                next_requests.next_created_at is null
                or seconds_between(
                    solves.solved_at, next_requests.next_created_at
                ) > $first_contact_days * 86400
            ) as is_first_contact_resolved,
        solves.reopened_at is not null as is_reopened,
        last_statuses.last_status = 'deleted' as is_deleted,

        ---------- dates
        local_day(solves.solved_at, $reporting_zone) as solved_day,
        local_day(solves.reopened_at, $reporting_zone) as reopened_day,

        ---------- timestamps
        solves.solved_at,
        solves.reopened_at

    from solves

    inner join tickets
        on solves.ticket_id = tickets.ticket_id

    inner join last_statuses
        on solves.ticket_id = last_statuses.ticket_id

    left join next_requests
        on solves.ticket_id = next_requests.ticket_id

)

select * from final

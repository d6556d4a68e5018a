-- One row per ticket: when and by whom it was solved, and how long it waited.
-- Requester wait is new + open + hold, agent work is new + open, agent wait is
-- pending (as in Zendesk's ticket metrics). A status that still lasts counts
-- up to $as_of.
with

intervals as (

    select
        ticket_id,
        actor_id,
        actor_role,
        status,
        interval_number,
        started_at,
        extract(epoch from (
            coalesce(ended_at, greatest($as_of, started_at)) - started_at
        )) / 60 as minutes

    from int_ticket_status_intervals

),

waits_summed_to_tickets as (

    select
        ticket_id,
        sum(minutes) filter (
            where status in ('new', 'open', 'hold')
        ) as requester_wait_minutes,
        sum(minutes) filter (
            where status in ('new', 'open')
        ) as agent_work_minutes,
        sum(minutes) filter (where status = 'pending') as agent_wait_minutes,
        sum(minutes) filter (where status = 'hold') as on_hold_minutes,
        count(*) filter (where status = 'solved') as solves,
        min(started_at) filter (where status = 'solved') as first_solved_at,
        max(started_at) filter (where status = 'solved') as last_solved_at

    from intervals

    group by ticket_id

),

solves_latest_first as (

    select
        ticket_id,
        case
            when actor_role in ('agent', 'admin') then actor_id
        end as solver_id,
        row_number() over (
            partition by ticket_id
            order by interval_number desc
        ) as solve_number_from_last

    from intervals

    where status = 'solved'

),

tickets_resolved as (

    select
        ---------- ids
        waits_summed_to_tickets.ticket_id,
        solves_latest_first.solver_id,

        ---------- numbers
        waits_summed_to_tickets.solves,
        round(
            coalesce(waits_summed_to_tickets.requester_wait_minutes, 0), 2
        ) as requester_wait_minutes,
        round(
            coalesce(waits_summed_to_tickets.agent_work_minutes, 0), 2
        ) as agent_work_minutes,
        round(
            coalesce(waits_summed_to_tickets.agent_wait_minutes, 0), 2
        ) as agent_wait_minutes,
        round(
            coalesce(waits_summed_to_tickets.on_hold_minutes, 0), 2
        ) as on_hold_minutes,

        ---------- timestamps
        waits_summed_to_tickets.first_solved_at,
        waits_summed_to_tickets.last_solved_at

    from waits_summed_to_tickets

    left join solves_latest_first
        on waits_summed_to_tickets.ticket_id = solves_latest_first.ticket_id
        and solves_latest_first.solve_number_from_last = 1

)

select * from tickets_resolved

-- One row per ticket: when and by whom it was solved, and how long it waited.
-- Requester wait is new + open + hold, agent work is new + open, agent wait is
-- pending (as in Zendesk's ticket metrics). A status that still lasts counts
-- up to $as_of.
with

intervals as (

    select
        ticket_id,
        status,
        is_reopen,
        started_at,
        seconds_between(
            started_at, coalesce(ended_at, greatest($as_of, started_at))
        ) / 60 as minutes

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
        count(*) filter (where is_reopen) as reopens,
        min(started_at) filter (where status = 'closed') as first_closed_at

    from intervals

    group by ticket_id

),

last_intervals as (

    select
        ticket_id,
        status

    from int_ticket_status_intervals

    where ended_at is null

),

solves_latest_first as (

    select
        ticket_id,
        solver_id,
        touches,
        solved_at,
        row_number() over (
            partition by ticket_id
            order by solve_number desc
        ) as solve_number_from_last

    from int_ticket_solves

),

solves_summed_to_tickets as (

    select
        ticket_id,
        count(*) as solves,
        min(solved_at) as first_solved_at,
        max(solved_at) as last_solved_at,
        max(solver_id) filter (where solve_number_from_last = 1) as solver_id

    from solves_latest_first

    group by ticket_id

),

tickets_resolved as (

    select
        ---------- ids
        waits_summed_to_tickets.ticket_id,
        solves_summed_to_tickets.solver_id,

        ---------- strings
        last_intervals.status as last_status,

        ---------- numbers
        coalesce(solves_summed_to_tickets.solves, 0) as solves,
        waits_summed_to_tickets.reopens,
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
        solves_summed_to_tickets.first_solved_at,
        solves_summed_to_tickets.last_solved_at,
        waits_summed_to_tickets.first_closed_at

    from waits_summed_to_tickets

    left join last_intervals
        on waits_summed_to_tickets.ticket_id = last_intervals.ticket_id

    left join solves_summed_to_tickets
        on waits_summed_to_tickets.ticket_id
            = solves_summed_to_tickets.ticket_id

)

select * from tickets_resolved

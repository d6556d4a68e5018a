-- One row per ticket: when and by whom it was solved, and how long it waited.
-- Requester wait is new + open + hold, agent work is new + open, agent wait is
-- pending (as in Zendesk's ticket metrics). A status that still lasts counts up
-- to $as_of.
with

intervals as (

    select
        *,
        seconds_between(
            started_at, coalesce(ended_at, greatest($as_of, started_at))
        ) / 60 as minutes

    from int_ticket_status_intervals

),

intervals_summed_to_tickets as (

    select
        ticket_id,
        max(status) filter (where ended_at is null) as last_status,
        count(*) filter (where is_reopen) as reopens,
        sum(minutes) filter (where status in ('new', 'open', 'hold'))
            as requester_wait_minutes,
        sum(minutes) filter (where status in ('new', 'open'))
            as agent_work_minutes,
        sum(minutes) filter (where status = 'pending') as agent_wait_minutes,
        sum(minutes) filter (where status = 'hold') as on_hold_minutes,
        min(started_at) filter (where status = 'closed') as first_closed_at

    from intervals

    group by ticket_id

),

solves_summed_to_tickets as (

    select
        ticket_id,
        first_value(solver_id order by solve_number desc) as solver_id,
        count(*) as solves,
        min(solved_at) as first_solved_at,
        max(solved_at) as last_solved_at

    from int_ticket_solves

    group by ticket_id

),

tickets_resolved as (

    select
        ---------- ids
        intervals_summed_to_tickets.ticket_id,
        solver_id,

        ---------- strings
        last_status,

        ---------- numbers
        coalesce(solves, 0) as solves,
        reopens,
        round(coalesce(requester_wait_minutes, 0), 2)
            as requester_wait_minutes,
        round(coalesce(agent_work_minutes, 0), 2) as agent_work_minutes,
        round(coalesce(agent_wait_minutes, 0), 2) as agent_wait_minutes,
        round(coalesce(on_hold_minutes, 0), 2) as on_hold_minutes,

        ---------- timestamps
        first_solved_at,
        last_solved_at,
        first_closed_at

    from intervals_summed_to_tickets

    left join solves_summed_to_tickets using (ticket_id)

)

select * from tickets_resolved

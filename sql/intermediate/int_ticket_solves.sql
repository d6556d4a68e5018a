-- One row per solve of a ticket: who solved it, for which group, and whether it
-- came back. What a robot or a rule solved is credited to whoever the ticket
-- was assigned to at that time. Assignee and group are those of the moment: the
-- last change up to it, else what the first change after it names as the one
-- before, else, if the history has none, those of the ticket.
with

moves as (

    select
        *,
        -- Solves and reopenings take turns, so what follows a solve is its
        -- reopening.
        lead(started_at) over (
            partition by ticket_id
            order by interval_number
        ) as next_moved_at

    from int_ticket_status_intervals

    where is_solve
        or is_reopen

),

solves as (

    select
        ticket_id,
        actor_id,
        actor_role,
        row_number() over (
            partition by ticket_id
            order by interval_number
        ) as solve_number,
        started_at as solved_at,
        next_moved_at as reopened_at

    from moves

    where is_solve

),

routes_of_solves as (

    select
        solves.ticket_id,
        solve_number,
        field_name,
        event_id,
        occurred_at <= solved_at as is_before,
        abs(seconds_between(occurred_at, solved_at)) as seconds_away,
        case
            when occurred_at <= solved_at then new_value
            else previous_value
        end as value_at_solve

    from solves

    inner join stg_ticket_events using (ticket_id)

    where field_name in ('assignee_id', 'group_id')

),

routes_numbered as (

    select
        *,
        -- The last one up to the solve, else the first one after it.
        row_number() over (
            partition by ticket_id, solve_number, field_name
            order by
                is_before desc,
                seconds_away,
                case when is_before then event_id end desc,
                event_id
        ) as route_number

    from routes_of_solves

),

routes_summed_to_solves as (

    select
        ticket_id,
        solve_number,
        bool_or(field_name = 'assignee_id') as has_assignee,
        max(value_at_solve) filter (where field_name = 'assignee_id')
            as assignee_id,
        bool_or(field_name = 'group_id') as has_group,
        max(value_at_solve) filter (where field_name = 'group_id') as group_id

    from routes_numbered

    where route_number = 1

    group by
        ticket_id,
        solve_number

),

touches_summed_to_solves as (

    select
        solves.ticket_id,
        solve_number,
        count(*) as touches

    from solves

    inner join stg_ticket_events using (ticket_id)

    where field_name = 'comment_public'
        and is_by_person_in_support
        and occurred_at <= solved_at

    group by
        solves.ticket_id,
        solve_number

),

ticket_solves as (

    select
        ---------- ids
        solves.ticket_id,
        solves.solve_number,
        case
            when solves.actor_role in ('agent', 'admin') then solves.actor_id
            when has_assignee then routes_summed_to_solves.assignee_id
            else tickets.assignee_id
        end as solver_id,
        case
            when has_group then routes_summed_to_solves.group_id
            else tickets.group_id
        end as group_id,

        ---------- numbers
        coalesce(touches, 0) as touches,

        ---------- timestamps
        solves.solved_at,
        solves.reopened_at

    from solves

    inner join stg_tickets as tickets
        on solves.ticket_id = tickets.ticket_id

    left join routes_summed_to_solves
        on solves.ticket_id = routes_summed_to_solves.ticket_id
        and solves.solve_number = routes_summed_to_solves.solve_number

    left join touches_summed_to_solves
        on solves.ticket_id = touches_summed_to_solves.ticket_id
        and solves.solve_number = touches_summed_to_solves.solve_number

)

select * from ticket_solves

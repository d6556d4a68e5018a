-- One row per month and agent: what the agent did.
-- A ticket's solve, reopening and rating are credited to who solved it last,
-- its first reply and service level to who replied first; months are those of
-- the solve, the answer to the rating and the reply. Robots have no row.
with

agents as (

    select * from dim_agent

    where not is_bot

),

tickets as (

    select
        *,
        local_day(first_replied_at, $reporting_zone) as first_replied_day

    from fct_ticket

    where not is_deleted

),

ticket_changes as (

    select
        ticket_id,
        actor_id,
        event_day

    from fct_ticket_event

    where is_by_person_in_support

),

clock as (

    select
        min(created_day) as first_day,
        local_day(max(updated_at), $reporting_zone) as last_day,
        least(
            local_day(max(updated_at), $reporting_zone),
            local_day($as_of, $reporting_zone)
        ) as open_day

    from tickets

),

months as (

    select
        unnest(
            generate_series(
                cast(date_trunc('month', first_day) as date),
                last_day,
                interval '1 month'
            )
        ) as month

    from clock

),

months_with_end as (

    select
        month,
        cast(month + interval '1 month' as date) - 1 as month_end

    from months

),

handled_summed_to_months as (

    select
        cast(date_trunc('month', ticket_changes.event_day) as date) as month,
        ticket_changes.actor_id as agent_id,
        count(distinct ticket_changes.ticket_id) as handled

    from ticket_changes

    inner join tickets
        on ticket_changes.ticket_id = tickets.ticket_id

    group by
        cast(date_trunc('month', ticket_changes.event_day) as date),
        ticket_changes.actor_id

),

solves_summed_to_months as (

    select
        cast(date_trunc('month', solved_day) as date) as month,
        solver_id as agent_id,
        count(*) as solved,
        count(*) filter (where is_reopened) as reopened_tickets,
        median(full_resolution_minutes) as resolution_median_minutes

    from tickets

    where is_solved
        and solver_id is not null

    group by
        cast(date_trunc('month', solved_day) as date),
        solver_id

),

replies_summed_to_months as (

    select
        cast(date_trunc('month', first_replied_day) as date) as month,
        first_reply_agent_id as agent_id,
        count(*) as first_reply_tickets,
        median(first_reply_minutes) as first_reply_median_minutes,
        count(*) filter (where sla_first_reply_state = 'met') as sla_met,
        count(*) filter (where sla_first_reply_state in ('met', 'breached'))
            as sla_decided

    from tickets

    where first_reply_agent_id is not null

    group by
        cast(date_trunc('month', first_replied_day) as date),
        first_reply_agent_id

),

ratings_summed_to_months as (

    select
        cast(date_trunc('month', csat_answered_day) as date) as month,
        solver_id as agent_id,
        count(*) filter (where csat_rating = 'good') as csat_pos,
        count(*) as csat_answered

    from tickets

    where csat_answered_day is not null
        and solver_id is not null

    group by
        cast(date_trunc('month', csat_answered_day) as date),
        solver_id

),

agent_months as (

    select
        months_with_end.month,
        months_with_end.month_end,
        agents.agent_id,
        agents.agent_name,
        agents.group_id,
        least(months_with_end.month_end, agents.left_date)
            - agents.hired_date + 1 as tenure_days,
        months_with_end.month_end < clock.open_day as is_complete

    from months_with_end

    cross join clock

    inner join agents
        on agents.hired_date <= months_with_end.month_end
        and (
            agents.left_date is null
            or agents.left_date >= months_with_end.month
        )

),

final as (

    select
        ---------- ids
        agent_months.month,
        agent_months.agent_id,
        agent_months.group_id,

        ---------- strings
        agent_months.agent_name,

        ---------- numbers
        coalesce(handled_summed_to_months.handled, 0) as handled,
        coalesce(solves_summed_to_months.solved, 0) as solved,
        coalesce(replies_summed_to_months.first_reply_tickets, 0)
            as first_reply_tickets,
        case
            when replies_summed_to_months.first_reply_tickets >= $min_sample
                then round(
                    replies_summed_to_months.first_reply_median_minutes, 2
                )
        end as first_reply_median_minutes,
        case
            when solves_summed_to_months.solved >= $min_sample
                then round(
                    solves_summed_to_months.resolution_median_minutes, 2
                )
        end as resolution_median_minutes,
        coalesce(replies_summed_to_months.sla_met, 0) as sla_met,
        coalesce(replies_summed_to_months.sla_decided, 0) as sla_decided,
        round(
            cast(replies_summed_to_months.sla_met as double)
                / nullif(replies_summed_to_months.sla_decided, 0),
            6
        ) as sla_rate,
        coalesce(ratings_summed_to_months.csat_pos, 0) as csat_pos,
        coalesce(ratings_summed_to_months.csat_answered, 0) as csat_answered,
        round(
            cast(ratings_summed_to_months.csat_pos as double)
                / nullif(ratings_summed_to_months.csat_answered, 0),
            6
        ) as csat_rate,
        -- Wilson's score interval (1927) keeps two good ratings of two from
        -- beating ninety of a hundred.
        round(
            wilson_lower(
                ratings_summed_to_months.csat_pos,
                ratings_summed_to_months.csat_answered
            ),
            6
        ) as csat_wilson_lower,
        coalesce(solves_summed_to_months.reopened_tickets, 0)
            as reopened_tickets,
        round(
            cast(solves_summed_to_months.reopened_tickets as double)
                / nullif(solves_summed_to_months.solved, 0),
            6
        ) as reopen_rate,
        agent_months.tenure_days,

        ---------- booleans
        agent_months.is_complete

    from agent_months

    left join handled_summed_to_months
        on agent_months.month = handled_summed_to_months.month
        and agent_months.agent_id = handled_summed_to_months.agent_id

    left join solves_summed_to_months
        on agent_months.month = solves_summed_to_months.month
        and agent_months.agent_id = solves_summed_to_months.agent_id

    left join replies_summed_to_months
        on agent_months.month = replies_summed_to_months.month
        and agent_months.agent_id = replies_summed_to_months.agent_id

    left join ratings_summed_to_months
        on agent_months.month = ratings_summed_to_months.month
        and agent_months.agent_id = ratings_summed_to_months.agent_id

)

select * from final

-- One row per month and agent: what the agent did.
-- Solves are events of their month, credited to who solved; a reopening is
-- charged to the solve that came back, in the month of that solve, so a month's
-- reopened tickets are among its solves. A rating is credited to who the survey
-- names, else to who solved last, the first reply and its service level to who
-- replied first; months are those of the solve, the answer that counts and the
-- reply. An agent has a row for each month of employment, and for any other in
-- which he did something. Robots have no row. What people did whom dim_agent does
-- not know stands in the row of agent `unknown`, so that agents add up to the
-- desk.
with

agents as (

    select * from dim_agent

    where not is_bot

),

people_and_robots as (

    select * from dim_agent

),

tickets as (

    select
        *,
        local_day(first_replied_at, $reporting_zone) as first_replied_day

    from fct_ticket

    where not is_deleted
        and is_astray is not true

),

solves as (

    select * from fct_ticket_solve

    where not is_deleted
        and solver_id is not null

),

ratings as (

    select * from fct_ticket_rating

    where not is_deleted
        and is_astray is not true
        and agent_id is not null

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
        first_day,
        last_day,
        complete_until

    from dim_ticket_feed

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

acts as (

    select
        'handled' as act,
        cast(date_trunc('month', ticket_changes.event_day) as date) as month,
        ticket_changes.actor_id as agent_id,
        ticket_changes.ticket_id,
        cast(null as double) as minutes,
        false as is_good,
        true as is_decided
    from ticket_changes
    inner join tickets
        on ticket_changes.ticket_id = tickets.ticket_id
    where ticket_changes.actor_id is not null

    union all

    select
        'solve' as act,
        cast(date_trunc('month', solved_day) as date) as month,
        solver_id as agent_id,
        ticket_id,
        resolution_minutes as minutes,
        is_reopened as is_good,
        true as is_decided
    from solves

    union all

    select
        'reply' as act,
        cast(date_trunc('month', first_replied_day) as date) as month,
        first_reply_agent_id as agent_id,
        ticket_id,
        first_reply_minutes as minutes,
        sla_first_reply_state = 'met' as is_good,
        sla_first_reply_state in ('met', 'breached') as is_decided
    from tickets
    where first_reply_agent_id is not null

    union all

    select
        'rating' as act,
        cast(date_trunc('month', csat_answered_day) as date) as month,
        agent_id,
        ticket_id,
        cast(null as double) as minutes,
        csat_rating = 'good' as is_good,
        true as is_decided
    from ratings

),

acts_of_agents as (

    select
        acts.act,
        acts.month,
        coalesce(people_and_robots.agent_id, 'unknown') as agent_id,
        acts.ticket_id,
        acts.minutes,
        acts.is_good,
        acts.is_decided

    from acts

    left join people_and_robots
        on acts.agent_id = people_and_robots.agent_id

    where people_and_robots.is_bot is not true

),

acts_summed_to_months as (

    select
        month,
        agent_id,
        count(distinct ticket_id) filter (where act = 'handled') as handled,
        count(*) filter (where act = 'solve') as solved,
        count(*) filter (where act = 'solve' and is_good) as reopened_tickets,
        median(minutes) filter (where act = 'solve')
            as resolution_median_minutes,
        count(*) filter (where act = 'reply') as first_reply_tickets,
        median(minutes) filter (where act = 'reply')
            as first_reply_median_minutes,
        count(*) filter (where act = 'reply' and is_good) as sla_met,
        count(*) filter (where act = 'reply' and is_decided) as sla_decided,
        count(*) filter (where act = 'rating' and is_good) as csat_pos,
        count(*) filter (where act = 'rating') as csat_answered

    from acts_of_agents

    group by
        month,
        agent_id

),

months_of_agents as (

    select
        months_with_end.month,
        agents.agent_id

    from months_with_end

    inner join agents
        on agents.hired_date <= months_with_end.month_end
        and (
            agents.left_date is null
            or agents.left_date >= months_with_end.month
        )

    union

    select
        month,
        agent_id

    from acts_summed_to_months

),

agent_months as (

    select
        months_of_agents.month,
        agents.agent_id,
        agents.agent_name,
        agents.group_id,
        greatest(
            least(months_with_end.month_end, agents.left_date)
                - agents.hired_date + 1,
            case when agents.hired_date is not null then 0 end
        ) as tenure_days,
        months_with_end.month_end < clock.complete_until as is_complete

    from months_of_agents

    inner join months_with_end
        on months_of_agents.month = months_with_end.month

    inner join agents
        on months_of_agents.agent_id = agents.agent_id

    cross join clock

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
        coalesce(acts_summed_to_months.handled, 0) as handled,
        coalesce(acts_summed_to_months.solved, 0) as solved,
        coalesce(acts_summed_to_months.first_reply_tickets, 0)
            as first_reply_tickets,
        case
            when acts_summed_to_months.first_reply_tickets >= $min_sample
                then round(acts_summed_to_months.first_reply_median_minutes, 2)
        end as first_reply_median_minutes,
        case
            when acts_summed_to_months.solved >= $min_sample
                then round(acts_summed_to_months.resolution_median_minutes, 2)
        end as resolution_median_minutes,
        coalesce(acts_summed_to_months.sla_met, 0) as sla_met,
        coalesce(acts_summed_to_months.sla_decided, 0) as sla_decided,
        ratio(acts_summed_to_months.sla_met, acts_summed_to_months.sla_decided)
            as sla_rate,
        coalesce(acts_summed_to_months.csat_pos, 0) as csat_pos,
        coalesce(acts_summed_to_months.csat_answered, 0) as csat_answered,
        ratio(
            acts_summed_to_months.csat_pos, acts_summed_to_months.csat_answered
        ) as csat_rate,
        -- Wilson's score interval (1927) keeps two good ratings of two from
        -- beating ninety of a hundred.
        round(
            wilson_lower(
                acts_summed_to_months.csat_pos,
                acts_summed_to_months.csat_answered
            ),
            6
        ) as csat_wilson_lower,
        coalesce(acts_summed_to_months.reopened_tickets, 0)
            as reopened_tickets,
        ratio(
            acts_summed_to_months.reopened_tickets, acts_summed_to_months.solved
        ) as reopen_rate,
        agent_months.tenure_days,

        ---------- booleans
        agent_months.is_complete

    from agent_months

    left join acts_summed_to_months
        on agent_months.month = acts_summed_to_months.month
        and agent_months.agent_id = acts_summed_to_months.agent_id

)

select * from final

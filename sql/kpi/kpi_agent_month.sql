-- One row per month and agent: what the agent did. Solves are events of their
-- month, credited to who solved; a reopening is charged to the solve that came
-- back, in the month of that solve, so a month's reopened tickets are among its
-- solves. A rating is credited to who the survey names, else to who solved
-- last, the first reply and its service level to who replied first; months are
-- those of the solve, the answer that counts and the reply. An agent has a row
-- for each month of employment, and for any other in which he did something.
-- Robots have no row. What people did whom dim_agent does not know stands in
-- the row of agent `unknown`, so that agents add up to the desk.
with

feed as (

    select * from dim_ticket_feed

),

agents as (

    select * from dim_agent

),

tickets as (

    select * from fct_ticket

    where not is_deleted
        and is_astray is not true

),

months as (

    select
        unnest(
            generate_series(
                month_start(first_day), last_day, interval '1 month'
            )
        ) as month

    from feed

),

-- What counts for whom in a month. A branch has the columns that its kind of
-- act knows, and the others are null.
acts as (

    -- Nothing at all: agents have every month of their employment.
    select
        month,
        agent_id
    from months
    inner join agents
        on hired_date <= month_end(month)
        and (left_date is null or left_date >= month)

    union all by name

    select
        month_start(event_day) as month,
        actor_id as agent_id,
        'handled' as act,
        ticket_id
    from fct_ticket_event
    inner join tickets using (ticket_id)
    where is_by_person_in_support
        and actor_id is not null

    union all by name

    select
        month_start(solved_day) as month,
        solver_id as agent_id,
        'solved' as act,
        resolution_minutes,
        is_reopened
    from fct_ticket_solve
    where not is_deleted
        and solver_id is not null

    union all by name

    select
        month_start(local_day(first_replied_at, $reporting_zone)) as month,
        first_reply_agent_id as agent_id,
        'replied' as act,
        first_reply_minutes,
        sla_first_reply_state
    from tickets
    where first_reply_agent_id is not null

    union all by name

    select
        month_start(csat_answered_day) as month,
        agent_id,
        'rated' as act,
        csat_rating
    from fct_ticket_rating
    where not is_deleted
        and is_astray is not true
        and agent_id is not null

),

acts_of_people as (

    select
        acts.*,
        coalesce(agents.agent_id, 'unknown') as known_agent_id

    from acts

    inner join months using (month)

    left join agents
        on acts.agent_id = agents.agent_id

    where agents.is_bot is not true

),

months_counted as (

    select
        month,
        known_agent_id as agent_id,
        count(distinct ticket_id) as handled,
        count(*) filter (where act = 'solved') as solved,
        count(*) filter (where is_reopened) as reopened_tickets,
        median(resolution_minutes) as resolution_median_minutes,
        count(*) filter (where act = 'replied') as first_reply_tickets,
        median(first_reply_minutes) as first_reply_median_minutes,
        count(*) filter (where sla_first_reply_state = 'met') as sla_met,
        count(*) filter (where sla_first_reply_state in ('met', 'breached'))
            as sla_decided,
        count(*) filter (where csat_rating = 'good') as csat_pos,
        count(*) filter (where act = 'rated') as csat_answered

    from acts_of_people

    group by
        month,
        known_agent_id

),

final as (

    select
        ---------- ids
        month,
        agent_id,
        group_id,

        ---------- strings
        agent_name,

        ---------- numbers
        handled,
        solved,
        first_reply_tickets,
        case
            when first_reply_tickets >= $min_sample
                then round(first_reply_median_minutes, 2)
        end as first_reply_median_minutes,
        case
            when solved >= $min_sample
                then round(resolution_median_minutes, 2)
        end as resolution_median_minutes,
        sla_met,
        sla_decided,
        ratio(sla_met, sla_decided) as sla_rate,
        csat_pos,
        csat_answered,
        ratio(csat_pos, csat_answered) as csat_rate,
        -- Wilson's score interval (1927) keeps two good ratings of two from
        -- beating ninety of a hundred.
        round(wilson_lower(csat_pos, csat_answered), 6) as csat_wilson_lower,
        reopened_tickets,
        ratio(reopened_tickets, solved) as reopen_rate,
        case
            when hired_date is not null
                then greatest(
                    least(month_end(month), left_date) - hired_date + 1, 0
                )
        end as tenure_days,

        ---------- booleans
        month_end(month) < complete_until as is_complete

    from months_counted

    inner join agents using (agent_id)

    cross join feed

)

select * from final

-- One row per thing that happened to a ticket, on the day on which it counts:
-- created, first replied to, moved from status to status, solved, offered a
-- survey, rated. Everything that the support desk is measured by is counted
-- here. A ticket stands in the channel and priority that it has now; so does
-- its group, but a solve belongs to the group that had the ticket then. The
-- agent is who replied first, who solved, or whose help was rated; `unknown` is
-- everybody whom the list of agents does not know. Tickets astray (fct_ticket)
-- are left out.
with

tickets as (

    select * from fct_ticket

    where is_astray is not true

),

-- A branch has the columns that its activity knows, and the others are null.
activities as (

    select
        ticket_id,
        'created' as activity,
        created_day as day,
        first_reply_minutes,
        sla_first_reply_state
    from tickets

    union all by name

    select
        ticket_id,
        'replied' as activity,
        local_day(first_replied_at, $reporting_zone) as day,
        first_reply_agent_id as agent_id,
        first_reply_minutes,
        sla_first_reply_state
    from tickets
    where first_replied_at is not null

    union all by name

    select
        ticket_id,
        'moved' as activity,
        started_day as day,
        is_solve,
        is_reopen,
        backlog_change
    from fct_ticket_status_interval

    union all by name

    select
        ticket_id,
        'solved' as activity,
        solved_day as day,
        solver_id as agent_id,
        group_id as solve_group_id,
        resolution_minutes,
        is_one_touch,
        is_first_contact_resolved,
        is_reopened
    from fct_ticket_solve

    union all by name

    select
        ticket_id,
        'offered' as activity,
        local_day(csat_offered_at, $reporting_zone) as day,
        is_csat_in_time
    from tickets
    where csat_offered_at is not null

    union all by name

    select
        ticket_id,
        'rated' as activity,
        csat_answered_day as day,
        agent_id,
        csat_rating
    from fct_ticket_rating

),

final as (

    select
        ---------- ids
        activities.ticket_id,
        coalesce(activities.solve_group_id, tickets.group_id) as group_id,
        case
            when activities.agent_id is not null
                then coalesce(agents.agent_id, 'unknown')
        end as agent_id,

        ---------- strings
        activities.activity,
        tickets.channel,
        tickets.priority,
        activities.sla_first_reply_state,
        activities.csat_rating,

        ---------- numbers
        activities.backlog_change,
        activities.first_reply_minutes,
        activities.resolution_minutes,

        ---------- booleans
        activities.is_solve,
        activities.is_reopen,
        activities.is_reopened,
        activities.is_one_touch,
        activities.is_first_contact_resolved,
        activities.is_csat_in_time,
        coalesce(agents.is_bot, false) as is_by_bot,
        tickets.is_deleted,

        ---------- dates
        activities.day

    from activities

    inner join tickets
        on activities.ticket_id = tickets.ticket_id

    left join dim_agent as agents
        on activities.agent_id = agents.agent_id

)

select * from final

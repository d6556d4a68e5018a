-- Agents, groups and tickets that facts name and nobody has listed: one row for
-- each, with how often and where. Facts never stop for them: agents count as
-- `unknown`, groups under their own id, the history of a ticket waits for it.
with

agents as (

    select * from dim_agent

    where not is_unknown

),

names as (

    select
        'agent' as member_type,
        actor_id as member_id,
        'fct_ticket_event' as table_name
    from fct_ticket_event
    where is_by_person_in_support

    union all

    select
        'agent' as member_type,
        assignee_id as member_id,
        'fct_ticket' as table_name
    from fct_ticket

    union all

    select
        'agent' as member_type,
        solver_id as member_id,
        'fct_ticket_solve' as table_name
    from fct_ticket_solve

    union all

    select
        'agent' as member_type,
        agent_id as member_id,
        'fct_csat' as table_name
    from fct_csat

    union all

    select
        'group' as member_type,
        group_id as member_id,
        'fct_ticket' as table_name
    from fct_ticket
    where group_id <> 'none'

    union all

    select
        'ticket' as member_type,
        cast(ticket_id as varchar) as member_id,
        'fct_ticket_event' as table_name
    from fct_ticket_event

),

known as (

    select
        'agent' as member_type,
        agent_id as member_id
    from agents

    union

    select
        'group' as member_type,
        group_id as member_id
    from agents

    union

    select
        'ticket' as member_type,
        cast(ticket_id as varchar) as member_id
    from fct_ticket

),

unknown as (

    select
        names.member_type,
        names.member_id,
        count(*) as facts,
        min(names.table_name) as table_name

    from names

    left join known
        on names.member_type = known.member_type
        and names.member_id = known.member_id

    where names.member_id is not null
        and known.member_id is null

    group by
        names.member_type,
        names.member_id

)

select * from unknown

-- One row per agent, robots included.
with

agents as (

    select * from stg_agents

),

final as (

    select
        ---------- ids
        agent_id,
        group_id,
        manager_id,

        ---------- strings
        agent_name,
        agent_role,
        coalesce(group_name, group_id) as group_name,
        time_zone,

        ---------- numbers
        fte,

        ---------- booleans
        agent_role = 'bot' as is_bot,

        ---------- dates
        hired_date,
        left_date

    from agents

)

select * from final

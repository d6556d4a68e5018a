-- One row per agent, robots included, and one for everybody whom the list of
-- agents does not know: `unknown`. Facts keep the ids that they came with.
with

agents as (

    select * from stg_agents

),

unknown as (

    select
        'unknown' as agent_id,
        count(*) as agents

    from agents

    where agent_id = 'unknown'

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
        false as is_unknown,

        ---------- dates
        hired_date,
        left_date,
        -- The first day on which the agent is no longer there.
        left_date + 1 as gone_date

    from agents

    union all by name

    select
        agent_id,
        'unknown' as group_id,
        'Unknown' as agent_name,
        'unknown' as agent_role,
        'Unknown' as group_name,
        false as is_bot,
        true as is_unknown

    from unknown

    -- Should somebody be called that, the row is theirs.
    where agents = 0

)

select * from final

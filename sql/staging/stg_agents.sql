-- One row per agent. For support performance.
with

agents_landed as (

    select * from agents

),

renamed as (

    select
        ---------- ids
        agent_id,
        group_id,
        manager_id,

        ---------- strings
        name as agent_name,
        email,
        role as agent_role,
        group_name,
        time_zone,

        ---------- numbers
        fte,

        ---------- dates
        hired_at as hired_date,
        left_at as left_date

    from agents_landed

)

select * from renamed

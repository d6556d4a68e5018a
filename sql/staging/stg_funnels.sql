-- One row per funnel and step. For conversion along declared steps.
with

funnels_landed as (

    select * from funnels

),

renamed as (

    select
        ---------- ids
        funnel_id,
        step,

        ---------- strings
        name_en as step_name,
        name_zh as step_name_zh,
        event_names,
        platform,

        ---------- numbers
        window_seconds

    from funnels_landed

)

select * from renamed

-- One row per funnel and step. The window of the first step is the funnel's.
with

steps as (

    select * from stg_funnels

),

final as (

    select
        ---------- ids
        funnel_id,
        step,

        ---------- strings
        step_name,
        step_name_zh,
        event_names,
        platform,

        ---------- numbers
        count(*) over (partition by funnel_id) as steps,
        max(case when step = 1 then window_seconds end) over (
            partition by funnel_id
        ) as window_seconds

    from steps

)

select * from final

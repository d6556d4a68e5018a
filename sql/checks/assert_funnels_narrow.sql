-- Nobody reaches a step without the one before, and declared steps have no gap
-- and one window.
with

steps as (

    select
        funnel_id,
        min(step) as first_step,
        max(step) as last_step,
        count(*) as steps

    from dim_funnel_step

    group by funnel_id

),

funnel_days as (

    select
        funnel_id,
        step,
        day,
        scope_type,
        scope_id,
        reached,
        lag(reached) over (
            partition by funnel_id, scope_type, scope_id, day
            order by step
        ) as reached_before

    from kpi_funnel_daily

),

declared_windows as (

    select
        funnel_id,
        count(distinct window_seconds) as windows

    from funnels

    group by funnel_id

),

findings as (

    select
        funnel_id,
        'steps must be 1, 2, 3 and so on' as finding,
        cast(null as date) as day
    from steps
    where first_step <> 1
        or last_step <> steps

    union all

    select
        funnel_id,
        'all steps must have the same window_seconds' as finding,
        null as day
    from declared_windows
    where windows > 1

    union all

    select
        funnel_id,
        concat('step ', cast(step as varchar), ' of ', scope_type, ' ',
            scope_id, ' was reached by more than the step before') as finding,
        day
    from funnel_days
    where reached > reached_before

)

select * from findings

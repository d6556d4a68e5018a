-- Reference data that leads nowhere: steps of funnels whose events never happened
-- and are not declared, and products of competitors that are not in our price list.
-- They are left out of what they would be compared with.
with

step_events as (

    select
        funnel_id,
        step,
        unnest(string_to_array(event_names, '|')) as event_name

    from dim_funnel_step

),

event_names as (

    select event_name from stg_event_map
    union
    select event_name from fct_event

),

findings as (

    select
        'dim_funnel_step' as table_name,
        concat(
            step_events.funnel_id, ', step ', cast(step_events.step as varchar)
        ) as record,
        concat('no event is called `', step_events.event_name, '`') as finding,
        1 as row_count
    from step_events
    left join event_names
        on step_events.event_name = event_names.event_name
    where event_names.event_name is null

    union all

    select
        'fct_competitor_price' as table_name,
        prices.sku as record,
        'the product is not in our price list' as finding,
        count(*) as row_count
    from fct_competitor_price as prices
    left join dim_own_price as own
        on prices.sku = own.sku
    where own.sku is null
    group by prices.sku

)

select * from findings

-- What the long table says of a day is what the table of the area says.
with

activity_days as (

    select * from kpi_user_activity_daily

    where scope_type in ('all', 'platform', 'acquisition_channel')

),

support_days as (

    select * from kpi_support_daily

    where scope_type = 'all'

),

market_days as (

    select * from kpi_market_daily

),

values_of_areas as (

    select
        'behaviour_dau' as metric_id,
        day,
        case when scope_type = 'all' then 'total' else scope_type end
            as scope_type,
        case
            when scope_type = 'platform' then platform
            else acquisition_channel
        end as scope_id,
        dau as area_value
    from activity_days

    union all

    select
        'behaviour_conversion_rate' as metric_id,
        day,
        case when scope_type = 'all' then 'total' else scope_type end
            as scope_type,
        case
            when scope_type = 'platform' then platform
            else acquisition_channel
        end as scope_id,
        conversion_rate as area_value
    from activity_days

    union all

    select
        'support_created' as metric_id,
        day,
        'total' as scope_type,
        'all' as scope_id,
        created as area_value
    from support_days

    union all

    select
        'support_sla_rate' as metric_id,
        day,
        'total' as scope_type,
        'all' as scope_id,
        sla_rate as area_value
    from support_days

    union all

    select
        'support_first_reply_minutes' as metric_id,
        day,
        'total' as scope_type,
        'all' as scope_id,
        first_reply_median_minutes as area_value
    from support_days

    union all

    select
        'market_return' as metric_id,
        day,
        'instrument' as scope_type,
        symbol as scope_id,
        round(ret, 6) as area_value
    from market_days

),

values_of_long_table as (

    select
        metric_id,
        day,
        scope_type,
        scope_id,
        value

    from kpi_daily

    where (
        metric_id in ('behaviour_dau', 'behaviour_conversion_rate')
        and scope_type in ('total', 'platform', 'acquisition_channel')
    ) or (
        metric_id in (
            'support_created', 'support_sla_rate',
            'support_first_reply_minutes'
        )
        and scope_type = 'total'
    ) or metric_id = 'market_return'

),

mismatches as (

    select
        coalesce(areas.metric_id, longs.metric_id) as metric_id,
        coalesce(areas.day, longs.day) as day,
        coalesce(areas.scope_type, longs.scope_type) as scope_type,
        coalesce(areas.scope_id, longs.scope_id) as scope_id,
        areas.area_value,
        longs.value

    from values_of_areas as areas

    full join values_of_long_table as longs
        on areas.metric_id = longs.metric_id
        and areas.day = longs.day
        and areas.scope_type = longs.scope_type
        and areas.scope_id = longs.scope_id

    where areas.metric_id is null
        or longs.metric_id is null
        or (areas.area_value is null) <> (longs.value is null)
        -- Medians of minutes have two digits there.
        or abs(areas.area_value - longs.value) > 0.006

)

select * from mismatches

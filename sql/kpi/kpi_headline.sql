-- One row per headline number: the metrics that `headline_metrics` of
-- opsmart.toml names, of everything together, on the last day on which each is
-- complete and known. Ends the report of a run. A number is stale when its day
-- is more than $market_carry_days days before the clock.
with

numbers as (

    select
        metrics.headline_position as position,
        metrics.area,
        metrics.name_en,
        metrics.unit,
        cast(metrics.decimals as int) as decimals,
        last_value(days.day order by days.day) as day,
        last_value(days.value order by days.day) as value

    from dim_metric as metrics

    left join metric_day as days
        on metrics.metric_id = days.metric_id
        and days.scope_type = 'total'
        and days.is_complete
        and days.value is not null

    where metrics.headline_position is not null

    group by
        metrics.headline_position,
        metrics.area,
        metrics.name_en,
        metrics.unit,
        metrics.decimals

),

numbers_with_age as (

    select
        *,
        coalesce(
            day + $market_carry_days < local_day($as_of, $reporting_zone), false
        ) as is_stale,
        -- Numbers of one area and day follow one another, and the first is dated.
        (lag(area) over (order by position) is distinct from area)
            or (lag(day) over (order by position) is distinct from day)
            as is_dated

    from numbers

),

final as (

    select
        ---------- ids
        position,

        ---------- numbers
        case unit when 'share' then round(100 * value, 1)
            else round(value, decimals)
        end as value_number,
        case unit when 'share' then '%' else unit end as unit,

        ---------- booleans
        is_stale,

        ---------- dates
        day,

        ---------- strings
        concat(
            name_en,
            case
                when is_dated and day is not null
                    then concat(' on ', cast(day as varchar))
                else ''
            end,
            case when is_dated and is_stale then ' (stale)' else '' end
        ) as label,
        case
            when value is null then 'no data'
            when unit = 'share'
                then concat(cast(round(100 * value, 1) as varchar), ' %')
            when decimals = 0
                then concat(
                    cast(cast(round(value) as bigint) as varchar), ' ', unit
                )
            else concat(cast(round(value, decimals) as varchar), ' ', unit)
        end as value

    from numbers_with_age

)

select * from final

order by position

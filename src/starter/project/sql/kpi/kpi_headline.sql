-- One row per metric of `headline_metrics`: its last complete day in words.
with

numbers as (

    select
        metrics.headline_position as position,
        metrics.name_en as name,
        case metrics.unit when 'share' then '%' else metrics.unit end as unit,
        case metrics.unit
            when 'share' then round(100 * days.value, 1)
            else round(days.value, metrics.decimals)
        end as number,
        days.day,
        days.rag

    from dim_metric as metrics

    inner join kpi_daily as days
        on metrics.metric_id = days.metric_id
        and days.scope_type = 'total'
        and days.is_complete
        and days.value is not null

    where metrics.headline_position is not null

    qualify row_number() over (
        partition by metrics.metric_id
        order by days.day desc
    ) = 1

),

final as (

    select
        ---------- numbers
        position,

        ---------- strings
        concat(name, ' on ', cast(day as varchar)) as label,
        concat(
            regexp_replace(cast(number as varchar), '\.0$', ''), ' ', unit,
            case when rag <> 'unknown' then concat(', ', rag) end
        ) as value

    from numbers

)

select * from final

-- One row per day, metric and scope: the value, what it was before, and how much
-- of its target it is. It reads all metrics of schemas/metrics/, and names none.
with

days as (

    select
        days.*,
        -- No day of a series is missing, so that seven rows are a week.
        lag(days.value) over series as prev_day,
        lag(days.value, 7) over series as prev_week,
        targets.target,
        case metrics.direction
            when 'higher' then days.value / nullif(targets.target, 0)
            when 'lower' then targets.target / nullif(days.value, 0)
        end as attainment

    from metric_day as days

    inner join dim_metric as metrics
        on days.metric_id = metrics.metric_id

    left join dim_kpi_target as targets
        on days.metric_id = targets.metric_id
        and days.scope_type = targets.scope_type
        and days.scope_id = targets.scope_id
        and days.day between targets.valid_from and targets.valid_to

    window series as (
        partition by days.metric_id, days.scope_type, days.scope_id
        order by days.day
    )

),

final as (

    select
        ---------- ids
        day,
        metric_id,
        scope_type,
        scope_id,

        ---------- strings
        case
            when attainment is null then 'unknown'
            when attainment >= 1 then 'green'
            when attainment >= 0.8 then 'amber'
            else 'red'
        end as rag,

        ---------- numbers
        value,
        numerator,
        denominator,
        n,
        prev_day,
        prev_week,
        round(100 * (value - prev_week) / nullif(prev_week, 0), 6) as delta_pct,
        target,
        round(attainment, 6) as attainment,

        ---------- booleans
        is_complete

    from days

)

select * from final

-- One row per day, metric and scope: the value with what it is compared to.
-- Of a ratio the value is numerator / denominator; of a count or an amount the
-- numerator is the value; a median has neither. prev_day is the row before (of
-- an instrument the trading day before), prev_week and prev_year are found by
-- date, and 29 February is compared with 28 February. delta is the difference
-- to prev_day in the metric's own unit, so of a ratio 0.01 is one percentage
-- point, and delta_pct its share of the size of prev_day. trailing_28_mean of a
-- ratio is the sum of numerators over that of denominators, of 28 rows; medians
-- have none. robust_z compares with the same weekday of the 8 weeks before, all
-- of which must be known; beyond 3.5 on either side a complete day is an
-- anomaly. What is made of other metrics without a window has targets of a
-- month, and none of a day.
with

days as (

    select
        *,
        cast(numerator as decimal(30, 6)) as exact_numerator,
        cast(denominator as decimal(30, 6)) as exact_denominator

    from metric_day

),

days_with_history as (

    select
        *,
        lag(value) over series as prev_day,
        max(value) over week_before as prev_week,
        max(value) over year_before as prev_year,
        array_agg(value) over weekdays_before as history,
        lag(day, 8) over weekdays as first_day_of_history,
        count(numerator) over last_28 as numerators_28,
        sum(exact_numerator) over last_28 as numerator_28,
        count(denominator) over last_28 as denominators_28,
        sum(exact_denominator) over last_28 as denominator_28

    from days

    window
        series as (
            partition by metric_id, scope_type, scope_id
            order by day
        ),
        -- One day: a row or none.
        week_before as (
            partition by metric_id, scope_type, scope_id
            order by day
            range between interval '7 days' preceding
                and interval '7 days' preceding
        ),
        year_before as (
            partition by metric_id, scope_type, scope_id
            order by day
            range between interval '1 year' preceding
                and interval '1 year' preceding
        ),
        last_28 as (
            partition by metric_id, scope_type, scope_id
            order by day
            rows between 27 preceding and current row
        ),
        weekdays as (
            partition by
                metric_id, scope_type, scope_id, extract(isodow from day)
            order by day
        ),
        weekdays_before as (
            partition by
                metric_id, scope_type, scope_id, extract(isodow from day)
            order by day
            rows between 8 preceding and 1 preceding
        )

),

days_compared as (

    select
        *,
        case
            when numerators_28 < 28 then null
            when denominators_28 = 0
                then cast(numerator_28 as double) / 28
            else cast(numerator_28 as double)
                / nullif(cast(denominator_28 as double), 0)
        end as mean_28,
        case
            when first_day_of_history = day - 56
                then robust_z(value, history, 8)
        end as robust_z

    from days_with_history

),

targets as (

    select targets.*

    from dim_kpi_target as targets

    inner join dim_metric as metrics
        on targets.metric_id = metrics.metric_id

    where metrics.roll_up <> 'arithmetic'

),

days_with_target as (

    select
        days.*,
        targets.target,
        targets.band_low,
        targets.band_high,
        attainment(
            days.value, targets.direction, targets.target,
            targets.band_low, targets.band_high, $attainment_cap
        ) as attainment

    from days_compared as days

    left join targets
        on days.metric_id = targets.metric_id
        and days.scope_type = targets.scope_type
        and days.scope_id = targets.scope_id
        and days.day between targets.valid_from and targets.valid_to

),

final as (

    select
        ---------- ids
        day,
        metric_id,
        scope_type,
        scope_id,

        ---------- strings
        rag(attainment) as rag,

        ---------- numbers
        value,
        numerator,
        denominator,
        n,
        prev_day,
        prev_week,
        prev_year,
        round(value - prev_day, 6) as delta,
        round((value - prev_day) / nullif(abs(prev_day), 0), 6) as delta_pct,
        round(mean_28, 6) as trailing_28_mean,
        robust_z,
        cast(target as double) as target,
        cast(band_low as double) as band_low,
        cast(band_high as double) as band_high,
        attainment,

        ---------- booleans
        is_complete and coalesce(abs(robust_z) > 3.5, false) as is_anomaly,
        is_complete

    from days_with_target

)

select * from final

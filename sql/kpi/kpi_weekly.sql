-- One row per week, metric and scope: the value with what it is compared to.
-- How a week follows from its days is in dim_metric (`roll_up`): what adds up is
-- added up, the rest is counted anew or stands as on the last day. delta is the
-- difference to prev_week in the metric's own unit, so of a ratio 0.01 is one
-- percentage point, and delta_pct its share of the size of prev_week.
-- trailing_13_mean of a ratio is the sum of numerators over that of
-- denominators, of 13 weeks; medians have none.
-- robust_z compares with the 13 weeks before, of which 8 must be known;
-- beyond 3.5 on either side a complete week is an anomaly. The target is that of
-- the last day; a sum has none, as targets of sums are targets of a day. What
-- is made of other metrics has targets of a month.
with

weeks as (

    select
        weeks.*,
        weeks.week + 6 as last_day,
        metrics.roll_up,
        cast(weeks.numerator as decimal(30, 6)) as exact_numerator,
        cast(weeks.denominator as decimal(30, 6)) as exact_denominator

    from metric_week as weeks

    inner join dim_metric as metrics
        on weeks.metric_id = metrics.metric_id

),

weeks_with_history as (

    select
        *,
        max(value) over week_before as prev_week,
        max(value) over year_before as prev_year,
        array_agg(value) over before_13 as history,
        count(numerator) over last_13 as numerators_13,
        sum(exact_numerator) over last_13 as numerator_13,
        count(denominator) over last_13 as denominators_13,
        sum(exact_denominator) over last_13 as denominator_13

    from weeks

    window
        -- One week: a row or none.
        week_before as (
            partition by metric_id, scope_type, scope_id
            order by week
            range between interval '7 days' preceding
                and interval '7 days' preceding
        ),
        year_before as (
            partition by metric_id, scope_type, scope_id
            order by week
            range between interval '364 days' preceding
                and interval '364 days' preceding
        ),
        before_13 as (
            partition by metric_id, scope_type, scope_id
            order by week
            range between interval '91 days' preceding
                and interval '7 days' preceding
        ),
        last_13 as (
            partition by metric_id, scope_type, scope_id
            order by week
            range between interval '84 days' preceding and current row
        )

),

weeks_compared as (

    select
        *,
        case
            when numerators_13 < 13 then null
            when denominators_13 = 0
                then cast(numerator_13 as double) / 13
            else cast(numerator_13 as double)
                / nullif(cast(denominator_13 as double), 0)
        end as mean_13,
        robust_z(value, history, 8) as robust_z

    from weeks_with_history

),

targets as (

    select * from dim_kpi_target

),

weeks_with_target as (

    select
        weeks.*,
        targets.target,
        targets.band_low,
        targets.band_high,
        attainment(
            weeks.value, targets.direction, targets.target,
            targets.band_low, targets.band_high, $attainment_cap
        ) as attainment

    from weeks_compared as weeks

    left join targets
        on weeks.metric_id = targets.metric_id
        and weeks.scope_type = targets.scope_type
        and weeks.scope_id = targets.scope_id
        and weeks.last_day between targets.valid_from and targets.valid_to
        and weeks.roll_up not in ('sum', 'arithmetic')

),

final as (

    select
        ---------- ids
        week,
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
        prev_week,
        prev_year,
        round(value - prev_week, 6) as delta,
        round((value - prev_week) / nullif(abs(prev_week), 0), 6) as delta_pct,
        round(mean_13, 6) as trailing_13_mean,
        robust_z,
        cast(target as double) as target,
        cast(band_low as double) as band_low,
        cast(band_high as double) as band_high,
        attainment,

        ---------- booleans
        is_complete and coalesce(abs(robust_z) > 3.5, false) as is_anomaly,
        is_complete

    from weeks_with_target

)

select * from final

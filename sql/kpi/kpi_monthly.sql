-- One row per month, metric and scope: the value with what it is compared to.
-- How a month follows from its days is in dim_metric (`roll_up`): what adds up is
-- added up, the rest is counted anew or stands as on the last day. delta is the
-- difference to prev_month in the metric's own unit, so of a ratio 0.01 is one
-- percentage point, and delta_pct its share of the size of prev_month.
-- trailing_12_mean of a ratio is the sum of numerators over that of
-- denominators, of 12 months; medians have none. ytd needs every month since
-- January to be known; what does not add up has none.
-- robust_z compares with the 12 months before, of which 8 must be known;
-- beyond 3.5 on either side a complete month is an anomaly. The target is that of
-- the last day; a sum has none, as targets of sums are targets of a day.
with

months as (

    select
        months.*,
        month_end(months.month) as last_day,
        metrics.roll_up,
        cast(months.numerator as decimal(30, 6)) as exact_numerator,
        cast(months.denominator as decimal(30, 6)) as exact_denominator

    from metric_month as months

    inner join dim_metric as metrics
        on months.metric_id = metrics.metric_id

),

months_with_history as (

    select
        *,
        max(value) over month_before as prev_month,
        max(value) over year_before as prev_year,
        array_agg(value) over before_12 as history,
        count(numerator) over last_12 as numerators_12,
        sum(exact_numerator) over last_12 as numerator_12,
        count(denominator) over last_12 as denominators_12,
        sum(exact_denominator) over last_12 as denominator_12,
        count(numerator) over year_so_far as months_ytd,
        sum(exact_numerator) over year_so_far as numerator_ytd,
        count(denominator) over year_so_far as denominators_ytd,
        sum(exact_denominator) over year_so_far as denominator_ytd

    from months

    window
        -- One month: a row or none.
        month_before as (
            partition by metric_id, scope_type, scope_id
            order by month
            range between interval '1 month' preceding
                and interval '1 month' preceding
        ),
        year_before as (
            partition by metric_id, scope_type, scope_id
            order by month
            range between interval '1 year' preceding
                and interval '1 year' preceding
        ),
        before_12 as (
            partition by metric_id, scope_type, scope_id
            order by month
            range between interval '12 months' preceding
                and interval '1 month' preceding
        ),
        last_12 as (
            partition by metric_id, scope_type, scope_id
            order by month
            range between interval '11 months' preceding and current row
        ),
        year_so_far as (
            partition by
                metric_id, scope_type, scope_id, extract(year from month)
            order by month
            rows between unbounded preceding and current row
        )

),

months_compared as (

    select
        *,
        case
            when numerators_12 < 12 then null
            when denominators_12 = 0
                then cast(numerator_12 as double) / 12
            else cast(numerator_12 as double)
                / nullif(cast(denominator_12 as double), 0)
        end as mean_12,
        case
            when roll_up in ('last day', 'counted anew', 'arithmetic')
                or months_ytd <> extract(month from month) then null
            when denominators_ytd = 0 then cast(numerator_ytd as double)
            else cast(numerator_ytd as double)
                / nullif(cast(denominator_ytd as double), 0)
        end as value_ytd,
        robust_z(value, history, 8) as robust_z

    from months_with_history

),

targets as (

    select * from dim_kpi_target

),

months_with_target as (

    select
        months.*,
        targets.target,
        targets.band_low,
        targets.band_high,
        attainment(
            months.value, targets.direction, targets.target,
            targets.band_low, targets.band_high, $attainment_cap
        ) as attainment

    from months_compared as months

    left join targets
        on months.metric_id = targets.metric_id
        and months.scope_type = targets.scope_type
        and months.scope_id = targets.scope_id
        and months.last_day between targets.valid_from and targets.valid_to
        and months.roll_up <> 'sum'

),

final as (

    select
        ---------- ids
        month,
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
        prev_month,
        prev_year,
        round(value - prev_month, 6) as delta,
        round((value - prev_month) / nullif(abs(prev_month), 0), 6) as delta_pct,
        round(mean_12, 6) as trailing_12_mean,
        round(value_ytd, 6) as ytd,
        robust_z,
        cast(target as double) as target,
        cast(band_low as double) as band_low,
        cast(band_high as double) as band_high,
        attainment,

        ---------- booleans
        is_complete and coalesce(abs(robust_z) > 3.5, false) as is_anomaly,
        is_complete

    from months_with_target

)

select * from final

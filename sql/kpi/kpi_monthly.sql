-- One row per month, metric and scope: the value with what it is compared to.
-- The catalogue says how a month follows from its days: the sum; the mean, as sum
-- over number of days; the ratio of the sums; or the value of the last day. What
-- cannot be put together from days is counted anew from the facts (recount):
-- medians over the tickets of the month, returns from month's end to month's end.
-- A month is complete when all of its days are, or its last one if that alone
-- counts. Instruments have trading days only: of them a month is complete when
-- the feed has moved past it, the instrument was priced before it, and there is a
-- value.
-- delta is the difference to prev_month in the metric's own unit, so of a ratio
-- 0.01 is one percentage point, and delta_pct its share of it.
-- trailing_12_mean needs twelve months and ytd every month since January; both
-- are ratios of sums where there is a denominator, and empty where a month is
-- counted anew; ytd is empty too where the last day stands for the month.
-- robust_z compares with the 12 months before, of which 8 must be known, as
-- kpi_daily does with weeks. Targets of sums are targets of a day, so a month's
-- sum has none; else the target that is valid on the month's last day counts.
with

days as (

    select
        *,
        cast(date_trunc('month', day) as date) as month

    from kpi_daily

),

metrics as (

    select
        metric_id,
        month_rule

    from dim_metric

    where month_rule <> 'none'

),

tickets as (

    select * from fct_ticket

    where not is_deleted

),

prices as (

    select
        symbol,
        day,
        cast(date_trunc('month', day) as date) as month,
        cast(adj_close as double) as adj_close

    from kpi_market_daily

),

market_clock as (

    select last_day from dim_price_feed

),

days_summed_to_months as (

    select
        days.month,
        days.metric_id,
        days.scope_type,
        days.scope_id,
        metrics.month_rule,
        sum(days.value) as value_sum,
        sum(days.numerator) as numerator_sum,
        sum(days.denominator) as denominator_sum,
        count(days.numerator) as numerators,
        sum(days.n) as n_sum,
        last_value(days.value order by days.day) as value_last,
        last_value(days.numerator order by days.day) as numerator_last,
        last_value(days.denominator order by days.day) as denominator_last,
        last_value(days.n order by days.day) as n_last,
        last_value(days.is_complete order by days.day) as is_last_complete,
        count(*) as days,
        count(*) filter (where days.is_complete) as complete_days,
        min(days.day) as first_day,
        max(days.day) as last_day

    from days

    inner join metrics
        on days.metric_id = metrics.metric_id

    group by
        days.month,
        days.metric_id,
        days.scope_type,
        days.scope_id,
        metrics.month_rule

),

scopes as (

    select * from (
        values
            ('company'),
            ('channel'),
            ('group'),
            ('priority')
    ) as scopes (scope_type)

),

solves as (

    select
        fct_ticket_solve.resolution_minutes,
        tickets.channel,
        tickets.group_id,
        tickets.priority,
        cast(date_trunc('month', fct_ticket_solve.solved_day) as date)
            as solved_month

    from fct_ticket_solve

    inner join tickets
        on fct_ticket_solve.ticket_id = tickets.ticket_id

),

solves_scoped as (

    select
        scopes.scope_type,
        case scopes.scope_type
            when 'channel' then solves.channel
            when 'group' then solves.group_id
            when 'priority' then solves.priority
            else 'all'
        end as scope_id,
        solves.solved_month,
        solves.resolution_minutes

    from solves

    cross join scopes

),

tickets_scoped as (

    select
        scopes.scope_type,
        case scopes.scope_type
            when 'channel' then tickets.channel
            when 'group' then tickets.group_id
            when 'priority' then tickets.priority
            else 'all'
        end as scope_id,
        cast(date_trunc('month', tickets.created_day) as date)
            as created_month,
        tickets.first_reply_minutes

    from tickets

    cross join scopes

),

month_ends as (

    select
        symbol,
        month,
        max(day) as day

    from prices

    group by
        symbol,
        month

),

month_end_prices as (

    select
        month_ends.symbol,
        month_ends.month,
        prices.adj_close,
        lag(prices.adj_close) over (
            partition by month_ends.symbol
            order by month_ends.month
        ) as previous_adj_close,
        lag(month_ends.month) over (
            partition by month_ends.symbol
            order by month_ends.month
        ) as previous_month

    from month_ends

    inner join prices
        on month_ends.symbol = prices.symbol
        and month_ends.day = prices.day

),

months_counted_anew as (

    select
        'support_first_reply_minutes' as metric_id,
        created_month as month,
        scope_type,
        scope_id,
        case
            when count(first_reply_minutes) >= $min_sample
                then median(first_reply_minutes)
        end as value,
        count(first_reply_minutes) as n
    from tickets_scoped
    group by created_month, scope_type, scope_id

    union all

    select
        'support_full_resolution_minutes' as metric_id,
        solved_month as month,
        scope_type,
        scope_id,
        case
            when count(*) >= $min_sample then median(resolution_minutes)
        end as value,
        count(*) as n
    from solves_scoped
    group by solved_month, scope_type, scope_id

    union all

    select
        'market_return' as metric_id,
        month,
        'instrument' as scope_type,
        symbol as scope_id,
        case
            when previous_month = month - interval '1 month'
                then adj_close / nullif(previous_adj_close, 0) - 1
        end as value,
        case
            when previous_month = month - interval '1 month' then 1 else 0
        end as n
    from month_end_prices

),

months_joined as (

    select
        rolled.month,
        extract(year from rolled.month) as year_number,
        extract(year from rolled.month) * 12
            + extract(month from rolled.month) as month_index,
        cast(rolled.month + interval '1 month' as date) - 1 as month_end,
        rolled.metric_id,
        rolled.scope_type,
        rolled.scope_id,
        rolled.month_rule,
        case rolled.month_rule
            when 'recount' then anew.value
            when 'last' then rolled.value_last
            when 'sum' then rolled.value_sum
            when 'mean' then rolled.numerator_sum / nullif(numerators, 0)
            else rolled.numerator_sum / nullif(rolled.denominator_sum, 0)
        end as value,
        case rolled.month_rule
            when 'recount' then null
            when 'last' then rolled.numerator_last
            else rolled.numerator_sum
        end as numerator,
        case rolled.month_rule
            when 'last' then rolled.denominator_last
            when 'mean' then rolled.numerators
            when 'ratio' then rolled.denominator_sum
        end as denominator,
        case rolled.month_rule
            when 'recount' then coalesce(anew.n, 0)
            when 'last' then rolled.n_last
            else rolled.n_sum
        end as n,
        rolled.days,
        rolled.complete_days,
        rolled.is_last_complete,
        rolled.last_day,
        min(rolled.first_day) over (
            partition by rolled.metric_id, rolled.scope_type, rolled.scope_id
        ) as series_first_day

    from days_summed_to_months as rolled

    left join months_counted_anew as anew
        on rolled.month = anew.month
        and rolled.metric_id = anew.metric_id
        and rolled.scope_type = anew.scope_type
        and rolled.scope_id = anew.scope_id

),

months_with_completeness as (

    select
        months_joined.month,
        months_joined.year_number,
        months_joined.month_index,
        months_joined.month_end,
        months_joined.metric_id,
        months_joined.scope_type,
        months_joined.scope_id,
        months_joined.month_rule,
        round(months_joined.value, 6) as value,
        round(months_joined.numerator, 6) as numerator,
        round(months_joined.denominator, 6) as denominator,
        months_joined.n,
        case
            when months_joined.scope_type = 'instrument'
                then market_clock.last_day > months_joined.month_end
                    and months_joined.value is not null
                    and case months_joined.month_rule
                        when 'last' then months_joined.is_last_complete
                        else months_joined.series_first_day
                            < months_joined.month
                            and months_joined.complete_days
                                = months_joined.days
                    end
            when months_joined.month_rule = 'last'
                then months_joined.is_last_complete
                    and months_joined.last_day = months_joined.month_end
            else months_joined.complete_days
                = months_joined.month_end - months_joined.month + 1
        end as is_complete

    from months_joined

    cross join market_clock

),

month_pairs as (

    select
        months.month,
        months.metric_id,
        months.scope_type,
        months.scope_id,
        months.value,
        before.value as value_before,
        median(before.value) over (
            partition by
                months.metric_id, months.scope_type, months.scope_id,
                months.month
        ) as baseline_median

    from months_with_completeness as months

    inner join months_with_completeness as before
        on months.metric_id = before.metric_id
        and months.scope_type = before.scope_type
        and months.scope_id = before.scope_id
        and before.month_index >= months.month_index - 12
        and before.month_index < months.month_index

    where before.value is not null

),

baselines as (

    select
        month,
        metric_id,
        scope_type,
        scope_id,
        max(baseline_median) as baseline_median,
        median(round(abs(value_before - baseline_median), 9))
            as median_deviation,
        avg(round(abs(value_before - baseline_median), 9)) as mean_deviation

    from month_pairs

    group by
        month,
        metric_id,
        scope_type,
        scope_id

    having count(*) >= 8

),

months_with_windows as (

    select
        *,
        month_index - lag(month_index, 11) over series as months_to_first,
        sum(value) over last_12 as value_12,
        count(value) over last_12 as values_12,
        sum(numerator) over last_12 as numerator_12,
        count(numerator) over last_12 as numerators_12,
        sum(denominator) over last_12 as denominator_12,
        count(denominator) over last_12 as denominators_12,
        sum(numerator) over year_so_far as numerator_ytd,
        sum(denominator) over year_so_far as denominator_ytd,
        count(denominator) over year_so_far as denominators_ytd,
        count(*) over year_so_far as months_ytd

    from months_with_completeness

    window
        series as (
            partition by metric_id, scope_type, scope_id
            order by month
        ),
        last_12 as (
            partition by metric_id, scope_type, scope_id
            order by month
            rows between 11 preceding and current row
        ),
        year_so_far as (
            partition by metric_id, scope_type, scope_id, year_number
            order by month
            rows between unbounded preceding and current row
        )

),

targets as (

    select
        metric_id,
        scope_type,
        scope_id,
        direction,
        cast(target as double) as target,
        cast(band_low as double) as band_low,
        cast(band_high as double) as band_high,
        valid_from,
        valid_to

    from dim_kpi_target

),

months_compared as (

    select
        months.month,
        months.metric_id,
        months.scope_type,
        months.scope_id,
        months.value,
        months.numerator,
        months.denominator,
        months.n,
        previous.value as prev_month,
        years.value as prev_year,
        round(
            case
                when months.month_rule = 'recount' then null
                when months.months_to_first is distinct from 11 then null
                when months.denominators_12 > 0 then case
                    when months.numerators_12 = 12
                        and months.denominator_12 > 0.000001
                        then months.numerator_12 / months.denominator_12
                end
                when months.values_12 = 12 then months.value_12 / 12
            end,
            6
        ) as trailing_12_mean,
        round(
            case
                when months.month_rule in ('recount', 'last') then null
                when months.months_ytd <> extract(month from months.month)
                    then null
                when months.denominators_ytd > 0
                    then months.numerator_ytd / nullif(months.denominator_ytd, 0)
                else months.numerator_ytd
            end,
            6
        ) as ytd,
        robust_z(
            months.value,
            baselines.baseline_median,
            baselines.median_deviation,
            baselines.mean_deviation
        ) as robust_z,
        targets.target,
        case when targets.direction = 'band' then targets.band_low end
            as band_low,
        case when targets.direction = 'band' then targets.band_high end
            as band_high,
        attainment(
            months.value,
            targets.direction,
            targets.target,
            targets.band_low,
            targets.band_high,
            $attainment_cap
        ) as attainment,
        months.is_complete

    from months_with_windows as months

    left join months_with_completeness as previous
        on months.metric_id = previous.metric_id
        and months.scope_type = previous.scope_type
        and months.scope_id = previous.scope_id
        and months.month_index - 1 = previous.month_index

    left join months_with_completeness as years
        on months.metric_id = years.metric_id
        and months.scope_type = years.scope_type
        and months.scope_id = years.scope_id
        and months.month_index - 12 = years.month_index

    left join baselines
        on months.metric_id = baselines.metric_id
        and months.scope_type = baselines.scope_type
        and months.scope_id = baselines.scope_id
        and months.month = baselines.month

    left join targets
        on months.metric_id = targets.metric_id
        and months.scope_type = targets.scope_type
        and months.scope_id = targets.scope_id
        and months.month_end >= targets.valid_from
        and months.month_end <= targets.valid_to
        and months.month_rule <> 'sum'

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
        round((value - prev_month) / nullif(abs(prev_month), 0), 6)
            as delta_pct,
        trailing_12_mean,
        ytd,
        robust_z,
        target,
        band_low,
        band_high,
        attainment,

        ---------- booleans
        is_complete and coalesce(abs(robust_z) > 3.5, false) as is_anomaly,
        is_complete

    from months_compared

)

select * from final

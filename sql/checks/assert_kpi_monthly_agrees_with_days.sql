-- Sums of a month are those of its days, and no month lacks its days.
with

metrics as (

    select
        metric_id,
        month_rule

    from dim_metric

    where month_rule in ('sum', 'ratio')

),

sums_of_days as (

    select
        cast(date_trunc('month', days.day) as date) as month,
        days.metric_id,
        days.scope_type,
        days.scope_id,
        round(sum(days.numerator), 3) as numerator,
        sum(days.n) as n

    from kpi_daily as days

    inner join metrics
        on days.metric_id = metrics.metric_id

    group by
        cast(date_trunc('month', days.day) as date),
        days.metric_id,
        days.scope_type,
        days.scope_id

),

months as (

    select
        months.month,
        months.metric_id,
        months.scope_type,
        months.scope_id,
        round(months.numerator, 3) as numerator,
        months.n

    from kpi_monthly as months

    inner join metrics
        on months.metric_id = metrics.metric_id

),

mismatches as (

    select
        coalesce(months.month, days.month) as month,
        coalesce(months.metric_id, days.metric_id) as metric_id,
        coalesce(months.scope_type, days.scope_type) as scope_type,
        coalesce(months.scope_id, days.scope_id) as scope_id,
        months.numerator,
        days.numerator as numerator_of_days,
        months.n,
        days.n as n_of_days

    from months

    full join sums_of_days as days
        on months.month = days.month
        and months.metric_id = days.metric_id
        and months.scope_type = days.scope_type
        and months.scope_id = days.scope_id

    where (months.numerator is distinct from days.numerator)
        or (months.n is distinct from days.n)

)

select * from mismatches

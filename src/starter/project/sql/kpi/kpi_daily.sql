-- One row per day, metric and scope: how the desk did, against its targets.
-- A day on which a metric has nothing to tell has no row. Ratios carry their
-- numerator and denominator, so that they can be added up over days.
with

tickets as (

    select * from fct_ticket

),

metrics as (

    select * from dim_metric

),

scopes as (

    select * from (
        values
            ('total'),
            ('channel')
    ) as scopes (scope_type)

),

tickets_scoped as (

    select
        scopes.scope_type,
        case when scopes.scope_type = 'total' then 'all' else tickets.channel end
            as scope_id,
        tickets.resolution_minutes,
        tickets.is_solved,
        tickets.created_day,
        tickets.solved_day

    from tickets

    cross join scopes

),

created_counted_by_day as (

    select
        created_day as day,
        scope_type,
        scope_id,
        count(*) as created

    from tickets_scoped

    group by
        created_day,
        scope_type,
        scope_id

),

solved_summed_by_day as (

    select
        solved_day as day,
        scope_type,
        scope_id,
        count(*) as solved,
        sum(resolution_minutes) as minutes,
        count(*) filter (where resolution_minutes <= $quick_minutes) as quick

    from tickets_scoped

    where is_solved

    group by
        solved_day,
        scope_type,
        scope_id

),

measures as (

    select
        day,
        'tickets_created' as metric_id,
        scope_type,
        scope_id,
        cast(created as double) as numerator,
        cast(null as double) as denominator,
        created as n

    from created_counted_by_day

    union all

    select
        day,
        'tickets_solved' as metric_id,
        scope_type,
        scope_id,
        cast(solved as double) as numerator,
        cast(null as double) as denominator,
        solved as n

    from solved_summed_by_day

    union all

    select
        day,
        'resolution_minutes' as metric_id,
        scope_type,
        scope_id,
        minutes as numerator,
        cast(solved as double) as denominator,
        solved as n

    from solved_summed_by_day

    union all

    select
        day,
        'quick_rate' as metric_id,
        scope_type,
        scope_id,
        cast(quick as double) as numerator,
        cast(solved as double) as denominator,
        solved as n

    from solved_summed_by_day

),

measures_with_values as (

    select
        *,
        round(coalesce(numerator / denominator, numerator), 6) as value

    from measures

),

measures_with_targets as (

    select
        today.day,
        today.metric_id,
        today.scope_type,
        today.scope_id,
        today.value,
        round(today.numerator, 6) as numerator,
        today.denominator,
        today.n,
        yesterday.value as prev_day,
        last_week.value as prev_week,
        metrics.target,
        case metrics.direction
            when 'higher' then today.value / nullif(metrics.target, 0)
            when 'lower' then metrics.target / nullif(today.value, 0)
        end as attainment

    from measures_with_values as today

    inner join metrics
        on today.metric_id = metrics.metric_id

    left join measures_with_values as yesterday
        on today.metric_id = yesterday.metric_id
        and today.scope_type = yesterday.scope_type
        and today.scope_id = yesterday.scope_id
        and today.day = yesterday.day + interval '1 day'

    left join measures_with_values as last_week
        on today.metric_id = last_week.metric_id
        and today.scope_type = last_week.scope_type
        and today.scope_id = last_week.scope_id
        and today.day = last_week.day + interval '7 days'

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
        day < local_day($as_of, $reporting_zone) as is_complete

    from measures_with_targets

)

select * from final

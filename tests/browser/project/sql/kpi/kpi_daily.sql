with days as (
    select unnest(generate_series(date '2023-01-01', date '2024-06-30', interval '1 day')) as day
),

metrics as (
    select * from (
        values
            ('visits', 'total', 'all', 200.0, 210.0),
            ('visits', 'channel', '<img src=x onerror=window.hostile=7>', 80.0, null),
            ('conversion_rate', 'total', 'all', 0.1, 0.12)
    ) as metrics (metric_id, scope_type, scope_id, level, target)
),

measured as (
    select
        cast(days.day as date) as day,
        metrics.*,
        extract(epoch from days.day) / 86400 as number
    from days
    cross join metrics
)

select
    day,
    metric_id,
    scope_type,
    scope_id,
    case when target is null then 'unknown' when number % 3 = 0 then 'red' when number % 3 = 1 then 'amber' else 'green' end as rag,
    round(level * (1 + 0.2 * sin(number / 7)), 6) as value,
    target,
    round(level, 6) as trailing_28_mean,
    round(level * (1 + 0.2 * sin((number - 7) / 7)), 6) as prev_week,
    number % 50 = 0 as is_anomaly,
    day < date '2024-06-29' as is_complete
from measured

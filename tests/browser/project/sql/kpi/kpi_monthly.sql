select
    cast(date_trunc('month', day) as date) as month,
    metric_id,
    scope_type,
    scope_id,
    round(avg(value), 6) as value,
    max(target) as target,
    'amber' as rag,
    round(sum(value), 6) as ytd,
    true as is_complete
from kpi_daily
group by 1, 2, 3, 4

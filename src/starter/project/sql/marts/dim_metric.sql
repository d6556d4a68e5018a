-- One row per metric: its names, and the target of the whole desk.
with

metrics as (

    select * from (
        values
            (
                'tickets_created', 'Tickets created', '新建工单',
                'tickets', 'tickets created on the day', 'band', false, null
            ),
            (
                'tickets_solved', 'Tickets solved', '解决工单',
                'tickets', 'tickets solved on the day', 'higher', false, null
            ),
            (
                'resolution_minutes', 'Time to solve', '平均解决时长',
                'minutes', 'minutes from creation to solution / tickets solved',
                'lower', true, 600.0
            ),
            (
                'quick_rate', 'Solved quickly', '快速解决率',
                'share', 'tickets solved in $quick_minutes / tickets solved',
                'higher', true, 0.7
            )
    ) as metrics (
        metric_id, name_en, name_zh,
        unit, formula, direction, is_ratio, target
    )

)

select
    ---------- ids
    metric_id,

    ---------- strings
    'support' as area,
    name_en,
    name_zh,
    unit,
    formula,
    direction,

    ---------- numbers
    cast(target as double) as target,

    ---------- booleans
    is_ratio

from metrics

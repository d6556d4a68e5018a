select
    id,
    id / 100 as discount_rate,
    coalesce(id / 7, 0) as share_of_week,
    case when id > 2 then id / 3 end as ratio,
    cast(id / 3 as double) as third,
    round(id / 3, 2) as rounded,
    id / 2 * 100.0 as half,
    ceil(id / 60) as hours,
    1 / 2 as one_half,
    1 / id as part
from stg_orders
where id / 4 > 0.5

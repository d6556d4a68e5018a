with numbered as (select id, amount, row_number() over (order by id) as place, count(*) over () as orders from stg_orders)

select
    id / 60 as hours,
    cast(id / 60 as bigint) as whole_hours,
    floor(id / 100) as rate_group,
    trunc(id / 2) * 1.5 as steps,
    id / 2.0 as half_rate,
    amount / 3 as amount_share,
    cast(id as double) / 3 as third_share,
    3600 / 60 as minutes,
    (place - 1) * 10 / orders as decile,
    id / 25 as rate_bucket,
    id % 2 as rate_of_two,
    case when id / 2 > 1 then 0.5 else 0.25 end as weight_ratio
from numbered

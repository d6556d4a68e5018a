with there as (select id, at at time zone 'Asia/Shanghai' as at from stg_orders)

select
    stg_orders.id,
    extract(hour from cast(stg_orders.at at time zone 'Asia/Shanghai' as timestamp)) as hour,
    try_cast(there.at as timestamp) as there,
    date_bin(interval '1 day', there.at) as day,
    date_bin(interval '1 week', stg_orders.at at time zone $reporting_zone) as week
from stg_orders
inner join there on stg_orders.id = there.id
where there.at >= date '2024-03-01' and local_day(stg_orders.at, 'UTC') <= there.at

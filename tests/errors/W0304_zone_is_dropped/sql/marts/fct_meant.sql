select
    id,
    extract(hour from at at time zone 'Asia/Shanghai') as hour,
    to_local_time(at at time zone 'Asia/Shanghai') as there,
    cast(at at time zone 'Asia/Shanghai' as date) as day,
    cast(at at time zone 'UTC' as timestamp) as utc,
    cast(at as timestamp) as plain,
    date_trunc('day', at at time zone 'Asia/Shanghai') as midnight,
    date_bin(interval '15 minutes', at at time zone 'Asia/Shanghai') as quarter,
    date_bin(interval '1 day', at) as utc_day
from stg_orders

with spans as (
    select id, at as started_at, lead(at) over (order by at, id) as ended_at from stg_orders
)
select
    id,
    cast(ended_at - started_at as bigint) as seconds,
    to_char(ended_at - started_at, '%H:%M') as time
from spans
where ended_at - started_at > interval '1 day'

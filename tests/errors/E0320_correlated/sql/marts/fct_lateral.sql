select stg_orders.id, previous.at as previous_at
from stg_orders
cross join lateral (
    select other.at
    from stg_orders as other
    where other.at < stg_orders.at
    order by other.at desc
    limit 1
) as previous

select
    id,
    (
        select max(other.at)
        from stg_orders as other
        where other.status = stg_orders.status
            and other.at < stg_orders.at
    ) as previous_at
from stg_orders

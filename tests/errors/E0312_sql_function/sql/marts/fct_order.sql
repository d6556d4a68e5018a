select
    id,
    half(amount) as half_amount,
    sum(half(amount)) over (order by id) as fine
from stg_orders

select
    id,
    sum(amount) as amount
from stg_orders

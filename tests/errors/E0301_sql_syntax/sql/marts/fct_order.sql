select
    id,
    amount as
from stg_orders

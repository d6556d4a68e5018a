select
    id + at as sum
from stg_orders

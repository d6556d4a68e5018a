select
    o.id,
    o.ammount,
    total
from stg_orders as o

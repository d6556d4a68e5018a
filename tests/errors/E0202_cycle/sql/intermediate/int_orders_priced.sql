select a.id
from stg_orders as a
join int_orders_dated as b on a.id = b.id

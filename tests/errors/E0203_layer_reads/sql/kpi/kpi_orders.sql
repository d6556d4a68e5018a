select count(*) as orders
from stg_orders

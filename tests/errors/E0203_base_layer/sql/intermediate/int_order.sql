select id
from base_orders

select id, right(status, 2) as last_two, substr(status, 2) as rest, substr(status, -1, 3) as first, substr(status, id) as some
from stg_orders

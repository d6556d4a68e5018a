select id, substr(status, -2) as last_two, substring(status from -3) as last_three, substring(status, -4) as last_four
from stg_orders

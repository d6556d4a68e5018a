select
    local_day(status, $reporting_zone) as day
from stg_orders

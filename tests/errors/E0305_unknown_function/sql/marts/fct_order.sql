select
    id,
    locale_day(at, $reporting_zone) as day
from stg_orders

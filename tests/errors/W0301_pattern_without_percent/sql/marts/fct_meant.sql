select
    to_char(at, '%Y-%m') as month,
    to_char(at, status) as by_data,
    to_date(status) as day,
    to_timestamp(status, '%Y-%m-%d') as instant,
    replace(status, 'YYYY', 'MM') as text
from stg_orders

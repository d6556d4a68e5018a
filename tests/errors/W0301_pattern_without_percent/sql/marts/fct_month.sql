select
    to_char(at, 'YYYY-MM') as month,
    count(*) as orders,
    min(to_date(status, 'YYYYMMDD')) as first_day,
    max(to_timestamp(status, '%Y-%m-%d', 'DD.MM.YYYY')) as latest
from stg_orders
group by 1

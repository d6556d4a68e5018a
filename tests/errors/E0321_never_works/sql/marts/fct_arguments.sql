select
    id,
    date_trunc('fortnight', at) as fortnight,
    regexp_like(status, '(open') as is_open,
    local_day(at, 'Mars/Base') as day,
    split_part(status, ' ', 0) as word,
    amount / 0 as share,
    ntile(0) over (order by id) as tile,
    lag(amount, id) over (order by id) as earlier
from stg_orders

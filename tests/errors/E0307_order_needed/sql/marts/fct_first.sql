select distinct on (status)
    status,
    id
from stg_orders
where id in (select id from stg_orders limit 10)

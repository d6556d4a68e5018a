select id
from stg_orders as o
where id not in (select i.id from stg_orders as i where i.status = o.status)
    or status not in (select status from stg_orders)

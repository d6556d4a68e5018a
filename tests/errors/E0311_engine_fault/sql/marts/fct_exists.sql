select id
from stg_orders as o
where exists (select count(*) from stg_orders as i where i.id = o.id)
    and exists (select 1 from stg_orders as i where i.id = o.id offset 1)

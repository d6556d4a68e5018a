select id
from stg_orders as a
join stg_orders as b on a.id = b.id

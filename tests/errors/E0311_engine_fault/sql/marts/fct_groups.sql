select status, coalesce('all', null) as scope, count(*) as orders
from stg_orders
group by rollup(status, coalesce('all', null))

select customer_id, count(*) as orders, $as_of as as_of, min(created_at) as oldest
from stg_orders
where status = 'open'
group by customer_id

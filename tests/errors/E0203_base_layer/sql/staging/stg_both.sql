select o.id
from base_orders as o
inner join refunds as r on o.id = r.id

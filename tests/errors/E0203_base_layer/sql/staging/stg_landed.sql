select o.id
from orders as o
inner join refunds as r on o.id = r.id

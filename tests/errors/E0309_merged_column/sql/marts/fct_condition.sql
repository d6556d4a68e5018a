select k, c.status
from (select id as k from stg_orders) as a
right join (select id as k from stg_orders) as b using (k)
left join stg_orders as c on c.id = k

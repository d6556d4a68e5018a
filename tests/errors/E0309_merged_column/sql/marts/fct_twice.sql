select k, count(*) as orders
from (select id as k from stg_orders) as a
full join (select id as k from stg_orders) as b using (k)
left join (select id as k from stg_orders) as c using (k)
group by k

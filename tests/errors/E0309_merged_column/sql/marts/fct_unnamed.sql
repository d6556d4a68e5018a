select k
from (select id as k from stg_orders)
full join (select id as k from stg_orders) as b using (k)

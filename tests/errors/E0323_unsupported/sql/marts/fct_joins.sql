select a.id, b.at
from stg_orders as a
asof join stg_orders as b match_condition (a.at >= b.at) on a.status = b.status
semi join stg_orders as c on a.id = c.id

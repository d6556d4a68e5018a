select top 5
    id // 60 as hours,
    status -> 'name' as name
from stg_orders

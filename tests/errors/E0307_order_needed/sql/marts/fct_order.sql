select
    id,
    row_number() over (partition by status) as n
from stg_orders
limit 10

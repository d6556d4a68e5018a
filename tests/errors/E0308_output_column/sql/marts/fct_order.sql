select
    count(*),
    null as nothing,
    max(at) - min(at) as span
from stg_orders

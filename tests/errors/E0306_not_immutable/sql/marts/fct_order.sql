select
    id,
    now() as seen_at,
    random() as lot
from stg_orders
where at < current_date

select id, exists (select 1) as is_there
from stg_orders

select id, status similar to 'open%' as is_open, status ~ '.*' as has_status
from stg_orders

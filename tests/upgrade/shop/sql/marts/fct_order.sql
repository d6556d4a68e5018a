select order_id, line, day, customer_id, amount, amount >= $min_amount as is_large, $label as shop
from stg_orders
where created_at >= $opened_at and day >= $since and $is_open

select order_id, line, region, customer_id, created_at, sku, amount, status, local_day(created_at, $reporting_zone) as day
from orders
where not is_test

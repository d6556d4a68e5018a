select id, half(status, 1) as wrong from stg_orders

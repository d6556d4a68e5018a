select id, half(distinct amount) as wrong from stg_orders

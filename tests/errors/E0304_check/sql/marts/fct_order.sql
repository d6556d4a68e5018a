select id, at, amount from stg_orders

select id, at from stg_orders

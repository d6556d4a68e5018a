select id, shop, amount, ordered_at from stg_orders

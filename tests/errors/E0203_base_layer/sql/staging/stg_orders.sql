select id, at, amount from base_orders

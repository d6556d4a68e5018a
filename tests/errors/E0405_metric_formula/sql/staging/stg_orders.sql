select id, shop, amount, ordered_at from orders

select id, at, amount, status from orders

-- One row per order.
select id, at, amount from orders

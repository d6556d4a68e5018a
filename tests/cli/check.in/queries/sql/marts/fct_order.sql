-- One row per order.
select id, ammount, at from stg_orders

select id from int_orders_priced

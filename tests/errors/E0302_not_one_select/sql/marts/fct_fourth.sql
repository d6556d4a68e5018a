copy stg_orders to '/tmp/orders.csv'

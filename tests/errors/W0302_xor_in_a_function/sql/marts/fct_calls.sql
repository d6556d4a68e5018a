select id, squared(id) as square, squared(squared(id)) as fourth from stg_orders

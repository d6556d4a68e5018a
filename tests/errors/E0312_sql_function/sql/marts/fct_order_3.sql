select id, half() as wrong, halve(amount) as unknown from stg_orders

select id, 2 ^ 3 as eight, id ^ 2 as square from stg_orders

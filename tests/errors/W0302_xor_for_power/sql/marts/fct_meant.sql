select id, power(2, 3) as eight, (id | 2) - (id & 2) as bits, '2 ^ 3' as text from stg_orders

select id, extract(epoch from (at - at)) as seconds from stg_orders

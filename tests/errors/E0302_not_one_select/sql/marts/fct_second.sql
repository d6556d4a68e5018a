select id from stg_orders;
select at from stg_orders

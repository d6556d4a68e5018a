select id from stg_orders
except all
select id from stg_orders where amount > 1

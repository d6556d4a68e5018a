-- Orders.
create table fct_order as select id from stg_orders

-- Orders, one row each.
with orders as (

    select * from stg_order

)

select id from orders

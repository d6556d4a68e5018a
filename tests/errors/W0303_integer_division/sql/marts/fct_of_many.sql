with paid as (select status, count(amount) as paid, count(*) as orders from stg_orders group by status having count(amount) / count(*) > 0)

select
    orders.status,
    count(orders.amount) / count(*) as paid,
    sum(orders.id) over (partition by orders.status) / count(*) over (partition by orders.status) as usual,
    min(paid.paid / paid.orders) as part
from stg_orders as orders
inner join paid on orders.status = paid.status
group by orders.status, orders.id

select id, at, amount from orders
union all
select id, at, -amount from refunds

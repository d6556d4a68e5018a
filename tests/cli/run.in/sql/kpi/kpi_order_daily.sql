-- One row per day with orders.
select day, count(*) as orders, sum(amount) as amount from fct_order group by day

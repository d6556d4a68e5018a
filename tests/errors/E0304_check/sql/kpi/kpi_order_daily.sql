select cast(at as date) as day, count(*) as orders, cast(sum(amount) as double) as amount from fct_order group by 1

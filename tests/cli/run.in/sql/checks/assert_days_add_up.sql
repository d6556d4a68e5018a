-- The days have as many orders as there are.
select orders_of_days, orders
from (select sum(orders) as orders_of_days from kpi_order_daily) as days
cross join (select count(*) as orders from fct_order) as facts
where orders_of_days <> orders

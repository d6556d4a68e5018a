select * from (select sum(orders) as n from kpi_order_daily) a, (select count(*) as m from fct_order) b where n <> m

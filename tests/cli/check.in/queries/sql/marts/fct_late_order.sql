-- One row per order that came late.
select id, local_day(at, $reporting_zon) as day from orders

-- One row per order, with its reporting day.
select id, local_day(at, $reporting_zone) as day, amount from stg_orders

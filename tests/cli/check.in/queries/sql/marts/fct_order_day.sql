-- One row per day with orders.
select local_day(at, $reporting_zone) as day, first_value(amount) as first_amount from stg_orders group by 1

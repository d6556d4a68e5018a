-- One row per day.
select
    day,
    sum(events) as events,
    sum(purchases) as purchases,
    sum(revenue) as revenue

from fct_event_day

group by day

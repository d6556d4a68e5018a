-- One row per day, platform and country.
select
    cast(event_time as date) as day,
    platform,
    country,
    count(*) as events,
    count(distinct user_id) as users,
    sum(amount) as revenue,
    count(*) filter (where event_name = 'purchase') as purchases

from stg_events

group by
    cast(event_time as date),
    platform,
    country

select
    min(day) as first_day,
    max(day) as last_day,
    max(day) as complete_until

from stg_events

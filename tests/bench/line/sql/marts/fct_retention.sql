-- One row per day of first use and days since.
with

first_days as (

    select
        user_id,
        min(cast(event_time as date)) as cohort

    from stg_events

    group by user_id

),

active_days as (

    select distinct
        user_id,
        cast(event_time as date) as day

    from stg_events

)

select
    first_days.cohort,
    active_days.day - first_days.cohort as day_number,
    count(*) as users

from active_days

inner join first_days
    on active_days.user_id = first_days.user_id

group by
    first_days.cohort,
    active_days.day - first_days.cohort

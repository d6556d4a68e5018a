-- One row per session: a silence of more than half an hour ends one.
with

marked as (

    select
        *,
        case
            when
                event_time - lag(event_time) over (partition by user_id order by event_time, event_id)
                <= interval '30 minutes'
                then 0
            else 1
        end as starts

    from stg_events

),

numbered as (

    select
        *,
        sum(starts) over (
            partition by user_id order by event_time, event_id rows unbounded preceding
        ) as session_number

    from marked

)

select
    user_id,
    session_number,
    min(event_time) as started_at,
    max(event_time) as ended_at,
    count(*) as events,
    sum(amount) as revenue,
    count(*) filter (where event_name = 'purchase') as purchases

from numbered

group by
    user_id,
    session_number

-- One row: from when and until when tickets and their history are known. Series
-- of days run from first_day to last_day. Days before complete_until are over,
-- and the feed has moved past them. Every creation, change and rating of a
-- ticket is a sign of its day; ratings alone complete none. What lies after
-- $as_of makes no day, and neither do strays: a stretch of days that a silence
-- of more than $feed_gap_days cuts off from the others, and that has less than
-- half the signs of a usual day, its median.
with

signs as (

    select
        unnest(make_array(created_at, updated_at)) as happened_at,
        true as is_of_tickets
    from stg_tickets

    union all

    select
        stg_ticket_events.occurred_at as happened_at,
        true as is_of_tickets
    from stg_ticket_events
    inner join stg_tickets using (ticket_id)

    union all

    select
        unnest(make_array(csat_offered_at, csat_answered_at)) as happened_at,
        false as is_of_tickets
    from int_tickets_rated

),

days as (

    select
        local_day(happened_at, $reporting_zone) as day,
        count(*) as signs,
        count(*) filter (where is_of_tickets) as signs_of_tickets,
        max(happened_at) filter (where is_of_tickets) as last_at

    from signs

    where local_day(happened_at, $reporting_zone)
        <= local_day($as_of, $reporting_zone)

    group by local_day(happened_at, $reporting_zone)

),

days_with_silence as (

    select
        *,
        day - lag(day) over (order by day) as silent_days,
        median(cast(signs as double)) over () as usual_signs

    from days

),

days_in_stretches as (

    select
        *,
        sum(case when silent_days <= $feed_gap_days then 0 else 1 end) over (
            order by day
            rows between unbounded preceding and current row
        ) as stretch

    from days_with_silence

),

stretches as (

    select
        *,
        sum(signs) over (partition by stretch) as stretch_signs

    from days_in_stretches

),

final as (

    select
        ---------- dates
        min(day) as first_day,
        max(day) as last_day,
        -- The last day may still be coming in.
        max(day) filter (where signs_of_tickets > 0) as complete_until,

        ---------- timestamps
        case when max(last_at) > $as_of then $as_of else max(last_at) end
            as known_until

    from stretches

    where 2 * stretch_signs >= usual_signs

)

select * from final

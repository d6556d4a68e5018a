-- One row: from when and until when prices of competitors are known.
-- Series of days run from first_day to last_day. Days before complete_until are
-- over, and the feed has moved past them. Rows after $as_of make no day, and
-- neither do stray ones: a stretch of days that a silence of more than
-- $feed_gap_days cuts off from the others, and that has less than half the rows of
-- a usual day, its median; and at the end days on and after which there is not even
-- a fiftieth of a usual day.
with

prices as (

    select
        local_day(observed_at, $reporting_zone) as observed_day,
        observed_at

    from stg_competitor_prices

    where sku is not null

),

days as (

    select
        observed_day as day,
        count(*) as day_rows,
        max(observed_at) as last_at

    from prices

    where observed_day <= local_day($as_of, $reporting_zone)

    group by observed_day

),

days_with_silence as (

    select
        day,
        day_rows,
        last_at,
        day - lag(day) over (order by day) as silent_days

    from days

),

days_in_stretches as (

    select
        day,
        day_rows,
        last_at,
        sum(case when silent_days <= $feed_gap_days then 0 else 1 end) over (
            order by day
            rows between unbounded preceding and current row
        ) as stretch

    from days_with_silence

),

usual_day as (

    select median(cast(day_rows as double)) as day_rows

    from days

),

stretches as (

    select
        stretch,
        sum(day_rows) as stretch_rows

    from days_in_stretches

    group by stretch

),

days_of_feed as (

    select
        days_in_stretches.day,
        days_in_stretches.last_at,
        sum(days_in_stretches.day_rows) over (
            order by days_in_stretches.day desc
            rows between unbounded preceding and current row
        ) as rows_from_here,
        usual_day.day_rows as usual_rows

    from days_in_stretches

    inner join stretches
        on days_in_stretches.stretch = stretches.stretch

    cross join usual_day

    where 2 * stretches.stretch_rows >= usual_day.day_rows

),

feed as (

    select
        min(day) as first_day,
        max(day) filter (where 50 * rows_from_here >= usual_rows) as last_day,
        max(last_at) filter (where 50 * rows_from_here >= usual_rows)
            as last_at

    from days_of_feed

),

final as (

    select
        ---------- dates
        first_day,
        last_day,
        -- The last day may still be coming in.
        last_day as complete_until,

        ---------- timestamps
        case when last_at > $as_of then $as_of else last_at end as known_until

    from feed

)

select * from final

-- One row: from when and until when prices of instruments are known. Days
-- before complete_until are over and have their prices. Rows after $as_of make
-- no day, and neither do stray ones: a stretch of days that a silence of more
-- than $feed_gap_days cuts off from the others, and that has less than half the
-- rows of a usual day, its median; and at the end days on and after which there
-- is not even a fiftieth of a usual day.
with

days as (

    select
        price_date as day,
        count(*) as day_rows

    from stg_market_prices

    where price_date <= local_day($as_of, $reporting_zone)

    group by price_date

),

days_with_silence as (

    select
        *,
        day - lag(day) over (order by day) as silent_days,
        median(cast(day_rows as double)) over () as usual_rows

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
        sum(day_rows) over (partition by stretch) as stretch_rows

    from days_in_stretches

),

days_of_feed as (

    select
        *,
        sum(day_rows) over (
            order by day desc
            rows between unbounded preceding and current row
        ) as rows_from_here

    from stretches

    where 2 * stretch_rows >= usual_rows

),

feed as (

    select
        min(day) as first_day,
        max(day) filter (where 50 * rows_from_here >= usual_rows) as last_day

    from days_of_feed

),

final as (

    select
        ---------- dates
        first_day,
        last_day,
        -- The prices of a day come when its trade has ended.
        last_day + 1 as complete_until

    from feed

)

select * from final

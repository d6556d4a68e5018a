-- One row: from when and until when prices of competitors are known. Series of
-- days run from first_day to last_day. Days before complete_until are over, and
-- the feed has moved past them. Rows after $as_of make no day, and neither do
-- stray ones: a stretch of days that a silence of more than $feed_gap_days cuts
-- off from the others, and that has less than half the rows of a usual day, its
-- median; and at the end days on and after which there is not even a fiftieth
-- of a usual day.
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

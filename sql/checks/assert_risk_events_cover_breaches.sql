-- Every complete day in amber or red belongs to exactly one breach, only the last breach
-- of an indicator can be open, and a closed one ends on a green day.
with

breach_days as (

    select
        kri_id,
        count(*) as days

    from risk_kri_daily

    where state in ('amber', 'red')
        and is_complete

    group by kri_id

),

breaches as (

    select
        kri_id,
        sum(days) as days,
        count(*) filter (where is_open) as open_breaches

    from risk_events

    group by kri_id

),

closings_not_green as (

    select
        risk_events.kri_id,
        count(*) as closings

    from risk_events

    inner join risk_kri_daily
        on risk_events.kri_id = risk_kri_daily.kri_id
        and risk_events.closed_on = risk_kri_daily.day

    where risk_kri_daily.state <> 'green'

    group by risk_events.kri_id

),

mismatches as (

    select
        breach_days.kri_id,
        breach_days.days,
        breaches.days as days_in_breaches,
        breaches.open_breaches,
        closings_not_green.closings as closings_not_green

    from breach_days

    full join breaches
        on breach_days.kri_id = breaches.kri_id

    left join closings_not_green
        on breaches.kri_id = closings_not_green.kri_id

)

select * from mismatches

where (days is distinct from days_in_breaches)
    or open_breaches > 1
    or closings_not_green > 0

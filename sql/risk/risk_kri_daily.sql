-- One row per key risk indicator and day: value, state, streak and trend.
-- An indicator is a metric of the whole that kri_thresholds names. Amber and
-- red include their limits. A streak counts the rows in amber or red without a
-- break; the trend compares with the value seven rows before.
with

days_with_thresholds as (

    select
        days.day,
        days.numerator,
        days.denominator,
        days.value as kri_value,
        days.is_complete,
        thresholds.*

    from kpi_daily as days

    inner join dim_kri_threshold as thresholds
        on days.metric_id = thresholds.kri_id

    where days.scope_type = 'total'

),

days_with_state as (

    select
        *,
        case
            when kri_value is null then 'unknown'
            when direction = 'higher' and kri_value >= red then 'red'
            when direction = 'lower' and kri_value <= red then 'red'
            when direction = 'higher' and kri_value >= amber then 'amber'
            when direction = 'lower' and kri_value <= amber then 'amber'
            else 'green'
        end as state,
        round(
            kri_value - lag(kri_value, 7) over (
                partition by kri_id order by day
            ),
            6
        ) as change_7

    from days_with_thresholds

),

days_with_streak as (

    select
        *,
        case when state in ('amber', 'red') then 1 else 0 end as is_breach,
        sum(case when state in ('amber', 'red') then 0 else 1 end) over (
            partition by kri_id order by day
            rows between unbounded preceding and current row
        ) as streak_number

    from days_with_state

),

final as (

    select
        ---------- ids
        kri_id,
        day,

        ---------- strings
        category,
        direction,
        state,
        case
            when change_7 is null then 'unknown'
            when change_7 = 0 then 'steady'
            when (change_7 > 0) = (direction = 'higher') then 'worse'
            else 'better'
        end as trend,

        ---------- numbers
        numerator,
        denominator,
        kri_value,
        amber,
        red,
        change_7,
        sum(is_breach) over (
            partition by kri_id, streak_number order by day
            rows between unbounded preceding and current row
        ) as streak_days,

        ---------- booleans
        is_complete

    from days_with_streak

)

select * from final

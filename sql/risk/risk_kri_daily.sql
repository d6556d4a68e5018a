-- One row per key risk indicator and day: value, state, streak and trend.
-- Amber and red include their limits. Values over several days are null until
-- the days are there. is_complete says that the day is over and its feed has
-- moved past it, not that a window is full. A streak counts the rows in amber or
-- red without a break; the trend compares with the value seven rows before.
-- Instruments are traded on days of their own: on each day on which any of them is,
-- the others stand as they stood last, for up to $market_carry_days days.
with

thresholds as (

    select * from dim_kri_threshold

),

operational_days as (

    select * from risk_operational_daily

),

activity_days as (

    select * from kpi_user_activity_daily

    where scope_type = 'all'

),

instrument_days as (

    select
        symbol,
        day,
        drawdown,
        vol20,
        lead(day) over (partition by symbol order by day) as next_day

    from risk_market_daily

),

trading_days as (

    select distinct day from instrument_days

),

instrument_days_carried as (

    select
        unnest(
            generate_series(
                day,
                least(
                    coalesce(next_day - 1, day + $market_carry_days),
                    day + $market_carry_days
                ),
                interval '1 day'
            )
        ) as day,
        drawdown,
        vol20

    from instrument_days

),

market_days as (

    select
        trading_days.day,
        min(instrument_days_carried.drawdown) as drawdown_worst,
        max(instrument_days_carried.vol20) as vol20_worst

    from trading_days

    inner join instrument_days_carried
        on trading_days.day = instrument_days_carried.day

    group by trading_days.day

),

activity_days_with_windows as (

    select
        day,
        is_complete,
        dau,
        count(*) over last_7 as days_7,
        count(*) over before_28 as days_before_28,
        sum(sessions) over last_7 as sessions_7,
        sum(problem_sessions) over last_7 as problem_sessions_7,
        sum(converting_sessions) over last_7 as converting_sessions_7,
        sum(dau) over before_28 as dau_before_28

    from activity_days

    window
        last_7 as (
            order by day rows between 6 preceding and current row
        ),
        before_28 as (
            order by day rows between 28 preceding and 1 preceding
        )

),

parts as (

    -- A rate of the support desk is null while its days are not all there.
    select
        'support_sla_breach_rate_7d' as kri_id,
        day,
        is_complete,
        sla_breach_rate_7 is not null as is_window_full,
        cast(sla_breached_7 as double) as numerator,
        cast(sla_decided_7 as double) as denominator
    from operational_days

    union all

    -- Backlog over the tickets solved on an average day.
    select
        'support_backlog_days' as kri_id,
        day,
        is_complete,
        backlog_days is not null as is_window_full,
        cast(backlog_eod as double) as numerator,
        round(cast(solved_28 as double) / 28, 6) as denominator
    from operational_days

    union all

    select
        'support_reopen_rate_28d' as kri_id,
        day,
        is_complete,
        reopen_rate_28 is not null as is_window_full,
        cast(reopened_28 as double) as numerator,
        cast(solved_28 as double) as denominator
    from operational_days

    union all

    select
        'support_csat_rate_28d' as kri_id,
        day,
        is_complete,
        csat_rate_28 is not null as is_window_full,
        cast(csat_pos_28 as double) as numerator,
        cast(csat_answered_28 as double) as denominator
    from operational_days

    union all

    select
        'support_key_person_share_28d' as kri_id,
        day,
        is_complete,
        key_person_share_28 is not null as is_window_full,
        cast(key_person_solved_28 as double) as numerator,
        cast(solved_by_known_28 as double) as denominator
    from operational_days

    union all

    select
        'behaviour_problem_session_rate_7d' as kri_id,
        day,
        is_complete,
        days_7 = 7 as is_window_full,
        cast(problem_sessions_7 as double) as numerator,
        cast(sessions_7 as double) as denominator
    from activity_days_with_windows

    union all

    select
        'behaviour_conversion_rate_7d' as kri_id,
        day,
        is_complete,
        days_7 = 7 as is_window_full,
        cast(converting_sessions_7 as double) as numerator,
        cast(sessions_7 as double) as denominator
    from activity_days_with_windows

    union all

    -- Users of the day over the mean of the 28 days before.
    select
        'behaviour_dau_drop_28d' as kri_id,
        day,
        is_complete,
        days_before_28 = 28 as is_window_full,
        cast(dau as double) as numerator,
        round(cast(dau_before_28 as double) / 28, 6) as denominator
    from activity_days_with_windows

    union all

    select
        'market_drawdown_worst' as kri_id,
        day,
        true as is_complete,
        true as is_window_full,
        drawdown_worst as numerator,
        1.0 as denominator
    from market_days

    union all

    select
        'market_vol20_worst' as kri_id,
        day,
        true as is_complete,
        vol20_worst is not null as is_window_full,
        vol20_worst as numerator,
        1.0 as denominator
    from market_days

),

values_with_thresholds as (

    select
        parts.kri_id,
        parts.day,
        thresholds.category,
        thresholds.direction,
        thresholds.amber,
        thresholds.red,
        parts.numerator,
        parts.denominator,
        case
            when parts.is_window_full
                then round(parts.numerator / nullif(parts.denominator, 0), 6)
        end as kri_value,
        parts.is_complete

    from parts

    inner join thresholds
        on parts.kri_id = thresholds.kri_id

),

states as (

    select
        kri_id,
        day,
        category,
        direction,
        amber,
        red,
        numerator,
        denominator,
        kri_value,
        is_complete,
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

    from values_with_thresholds

),

states_numbered as (

    select
        kri_id,
        day,
        category,
        direction,
        amber,
        red,
        numerator,
        denominator,
        kri_value,
        is_complete,
        state,
        change_7,
        case when state in ('amber', 'red') then 1 else 0 end as is_breach,
        sum(case when state in ('amber', 'red') then 0 else 1 end) over (
            partition by kri_id order by day
            rows between unbounded preceding and current row
        ) as streak_number

    from states

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

    from states_numbered

)

select * from final

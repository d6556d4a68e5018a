-- One row per day, metric and scope: the value with what it is compared to.
-- Of a ratio the value is numerator / denominator; of a count or an amount the
-- numerator is the value; a median has neither. Every series has a row for each
-- of its days (an instrument for each trading day), so prev_day and the 28 of
-- trailing_28_mean are rows; delta is the difference to prev_day in the metric's own
-- unit, so of a ratio 0.01 is one percentage point, and delta_pct its share of it; prev_week and prev_year are found by date, and 29
-- February is compared with 28 February. trailing_28_mean of a ratio is the sum
-- of numerators over that of denominators; medians have none.
-- robust_z compares with the same weekday of the 8 weeks before, all of which
-- must be known: 0.6745 * (value - median) / MAD, and where MAD is 0 the distance
-- over 1.253314 * mean absolute deviation (Iglewicz and Hoaglin 1993). Beyond 3.5
-- on either side a complete day is an anomaly.
-- A day is complete when nothing but late rows can change its value: the service
-- level waits until no promise of the day still runs, and solves at first contact
-- until nobody can come back within $first_contact_days.
with

activity_days as (

    select
        day,
        case when scope_type = 'all' then 'company' else scope_type end
            as scope_type,
        case when scope_type = 'platform' then platform
            else acquisition_channel
        end as scope_id,
        dau,
        wau,
        mau,
        new_users,
        active_user_days,
        possible_user_days,
        sessions,
        engaged_sessions,
        converting_sessions,
        problem_sessions,
        page_views,
        row_number() over (
            partition by scope_type, platform, acquisition_channel
            order by day
        ) as days_so_far,
        is_complete as is_over

    from kpi_user_activity_daily

    where scope_type in ('all', 'platform', 'acquisition_channel')

),

support_days as (

    select
        * except (scope_type),
        case scope_type when 'all' then 'company' else scope_type end
            as scope_type,
        case scope_type
            when 'channel' then channel
            when 'group' then group_id
            when 'priority' then priority
            else 'all'
        end as scope_id,
        count(*) over last_28 as days_28,
        sum(solved) over last_28 as solved_28,
        day + $first_contact_days < least(
            max(day) over (
                partition by scope_type, channel, group_id, priority
            ),
            local_day($as_of, $reporting_zone)
        ) as is_contact_over

    from kpi_support_daily

    where scope_type <> 'channel_group_priority'

    window last_28 as (
        partition by scope_type, channel, group_id, priority
        order by day
        rows between 27 preceding and current row
    )

),

market_days as (

    select
        day,
        'instrument' as scope_type,
        symbol as scope_id,
        cast(close_price as double) as close_price,
        cast(volume as double) as volume,
        ret,
        drawdown,
        vol20

    from kpi_market_daily

),

competitor_prices as (

    select
        *,
        is_comparable and currency = $reporting_currency as is_counted

    from kpi_competitor_price

),

competitor_days as (

    select
        day,
        'company' as scope_type,
        'all' as scope_id,
        sum(own_price) filter (where is_counted) as own_price,
        sum(their_price) filter (where is_counted) as their_price,
        count(*) filter (where is_counted) as pairs,
        bool_and(is_complete) as is_complete
    from competitor_prices
    group by day

    union all

    select
        day,
        'competitor' as scope_type,
        competitor as scope_id,
        sum(own_price) filter (where is_counted) as own_price,
        sum(their_price) filter (where is_counted) as their_price,
        count(*) filter (where is_counted) as pairs,
        bool_and(is_complete) as is_complete
    from competitor_prices
    group by day, competitor

),

measures as (

    select
        'behaviour_dau' as metric_id,
        day, scope_type, scope_id,
        cast(null as double) as median_value,
        cast(dau as double) as numerator,
        cast(null as double) as denominator,
        dau as n,
        is_over as is_complete
    from activity_days

    union all

    select
        'behaviour_wau' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        case when days_so_far >= 7 then wau end as numerator,
        null as denominator,
        wau as n,
        is_over and days_so_far >= 7 as is_complete
    from activity_days

    union all

    select
        'behaviour_mau' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        case when days_so_far >= $mau_days then mau end as numerator,
        null as denominator,
        mau as n,
        is_over and days_so_far >= $mau_days as is_complete
    from activity_days

    union all

    select
        'behaviour_new_users' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        new_users as numerator,
        null as denominator,
        new_users as n,
        is_over as is_complete
    from activity_days

    union all

    select
        'behaviour_stickiness' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        case when days_so_far >= $mau_days then active_user_days end
            as numerator,
        case when days_so_far >= $mau_days then possible_user_days else 0 end
            as denominator,
        mau as n,
        is_over and days_so_far >= $mau_days as is_complete
    from activity_days

    union all

    select
        'behaviour_sessions' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        sessions as numerator,
        null as denominator,
        sessions as n,
        is_over as is_complete
    from activity_days

    union all

    select
        'behaviour_page_views' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        page_views as numerator,
        null as denominator,
        page_views as n,
        is_over as is_complete
    from activity_days

    union all

    select
        'behaviour_engagement_rate' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        engaged_sessions as numerator,
        sessions as denominator,
        sessions as n,
        is_over as is_complete
    from activity_days

    union all

    select
        'behaviour_conversion_rate' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        converting_sessions as numerator,
        sessions as denominator,
        sessions as n,
        is_over as is_complete
    from activity_days

    union all

    select
        'behaviour_problem_session_rate' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        problem_sessions as numerator,
        sessions as denominator,
        sessions as n,
        is_over as is_complete
    from activity_days

    union all

    select
        'support_created' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        created as numerator,
        null as denominator,
        created as n,
        is_complete
    from support_days

    union all

    select
        'support_solved' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        solved as numerator,
        null as denominator,
        solved as n,
        is_complete
    from support_days

    union all

    select
        'support_reopened' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        reopened as numerator,
        null as denominator,
        reopened as n,
        is_complete
    from support_days

    union all

    select
        'support_backlog' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        backlog_eod as numerator,
        null as denominator,
        backlog_eod as n,
        is_complete
    from support_days

    union all

    -- Backlog over the tickets solved on an average day.
    select
        'support_backlog_days' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        case when days_28 = 28 then backlog_eod end as numerator,
        case when days_28 = 28 then round(solved_28 / 28.0, 6) else 0 end
            as denominator,
        backlog_eod as n,
        is_complete and days_28 = 28 as is_complete
    from support_days

    union all

    select
        'support_first_reply_minutes' as metric_id,
        day, scope_type, scope_id,
        first_reply_median_minutes as median_value,
        null as numerator,
        null as denominator,
        first_reply_tickets as n,
        is_complete
    from support_days

    union all

    select
        'support_full_resolution_minutes' as metric_id,
        day, scope_type, scope_id,
        full_resolution_median_minutes as median_value,
        null as numerator,
        null as denominator,
        resolved_tickets as n,
        is_complete
    from support_days

    union all

    select
        'support_sla_rate' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        sla_met as numerator,
        sla_decided as denominator,
        sla_decided as n,
        is_complete and sla_active = 0 as is_complete
    from support_days

    union all

    select
        'support_csat_rate' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        csat_pos as numerator,
        csat_answered as denominator,
        csat_answered as n,
        is_complete
    from support_days

    union all

    select
        'support_csat_response_rate' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        csat_offers_answered as numerator,
        csat_offered as denominator,
        csat_offered as n,
        is_complete
    from support_days

    union all

    select
        'support_one_touch_rate' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        one_touch_tickets as numerator,
        resolved_tickets as denominator,
        resolved_tickets as n,
        is_complete
    from support_days

    union all

    select
        'support_first_contact_rate' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        first_contact_tickets as numerator,
        resolved_tickets as denominator,
        resolved_tickets as n,
        is_complete and is_contact_over as is_complete
    from support_days

    union all

    select
        'market_close' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        close_price as numerator,
        null as denominator,
        1 as n,
        true as is_complete
    from market_days

    union all

    select
        'market_return' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        ret as numerator,
        null as denominator,
        case when ret is null then 0 else 1 end as n,
        ret is not null as is_complete
    from market_days

    union all

    select
        'market_volume' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        volume as numerator,
        null as denominator,
        case when volume is null then 0 else 1 end as n,
        volume is not null as is_complete
    from market_days

    union all

    select
        'market_drawdown' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        drawdown as numerator,
        null as denominator,
        1 as n,
        true as is_complete
    from market_days

    union all

    select
        'market_volatility' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        vol20 as numerator,
        null as denominator,
        case when vol20 is null then 0 else 20 end as n,
        vol20 is not null as is_complete
    from market_days

    union all

    select
        'market_price_index' as metric_id,
        day, scope_type, scope_id,
        null as median_value,
        coalesce(own_price, 0) as numerator,
        coalesce(their_price, 0) as denominator,
        pairs as n,
        is_complete
    from competitor_days

),

measures_with_value as (

    select
        metric_id,
        day,
        scope_type,
        scope_id,
        round(
            case
                when denominator is not null
                    then numerator / nullif(denominator, 0)
                else coalesce(median_value, numerator)
            end,
            6
        ) as value,
        round(numerator, 6) as numerator,
        round(denominator, 6) as denominator,
        n,
        is_complete

    from measures

),

measures_with_history as (

    select
        metric_id,
        day,
        scope_type,
        scope_id,
        value,
        numerator,
        denominator,
        n,
        is_complete,
        lag(value) over series as prev_day,
        max(value) over year_before as prev_year,
        count(numerator) over last_28 as numerators_28,
        count(denominator) over last_28 as denominators_28,
        sum(numerator) over last_28 as numerator_28,
        sum(denominator) over last_28 as denominator_28,
        lag(day, 1) over weekdays as day_1,
        lag(day, 8) over weekdays as day_8,
        lag(value, 1) over weekdays as value_1,
        lag(value, 2) over weekdays as value_2,
        lag(value, 3) over weekdays as value_3,
        lag(value, 4) over weekdays as value_4,
        lag(value, 5) over weekdays as value_5,
        lag(value, 6) over weekdays as value_6,
        lag(value, 7) over weekdays as value_7,
        lag(value, 8) over weekdays as value_8

    from measures_with_value

    window
        series as (
            partition by metric_id, scope_type, scope_id
            order by day
        ),
        last_28 as (
            partition by metric_id, scope_type, scope_id
            order by day
            rows between 27 preceding and current row
        ),
        -- One day: a row or none.
        year_before as (
            partition by metric_id, scope_type, scope_id
            order by day
            range between interval '1 year' preceding
                and interval '1 year' preceding
        ),
        weekdays as (
            partition by
                metric_id, scope_type, scope_id, extract(isodow from day)
            order by day
        )

),

measures_with_baseline as (

    select
        *,
        case
            -- The sum is null when one of the eight is.
            when day_8 = day - 56
                and value_1 + value_2 + value_3 + value_4
                    + value_5 + value_6 + value_7 + value_8 is not null
                then array_sort(make_array(
                    value_1, value_2, value_3, value_4,
                    value_5, value_6, value_7, value_8
                ))
        end as baseline

    from measures_with_history

),

measures_with_median as (

    select
        *,
        (baseline[4] + baseline[5]) / 2 as baseline_median

    from measures_with_baseline

),

measures_with_deviations as (

    select
        *,
        case
            when baseline_median is not null
                then array_sort(make_array(
                    round(abs(value_1 - baseline_median), 9),
                    round(abs(value_2 - baseline_median), 9),
                    round(abs(value_3 - baseline_median), 9),
                    round(abs(value_4 - baseline_median), 9),
                    round(abs(value_5 - baseline_median), 9),
                    round(abs(value_6 - baseline_median), 9),
                    round(abs(value_7 - baseline_median), 9),
                    round(abs(value_8 - baseline_median), 9)
                ))
        end as deviations

    from measures_with_median

),

measures_with_score as (

    select
        metric_id,
        day,
        scope_type,
        scope_id,
        value,
        numerator,
        denominator,
        n,
        is_complete,
        prev_day,
        case when day_1 = day - 7 then value_1 end as prev_week,
        prev_year,
        round(
            case
                when numerators_28 < 28 then null
                when denominators_28 = 0 then numerator_28 / 28
                -- What moves out of a sum of floats may leave dust behind.
                when denominator_28 > 0.000001
                    then numerator_28 / denominator_28
            end,
            6
        ) as trailing_28_mean,
        robust_z(
            value,
            baseline_median,
            (deviations[4] + deviations[5]) / 2,
            (
                deviations[1] + deviations[2] + deviations[3]
                + deviations[4] + deviations[5] + deviations[6]
                + deviations[7] + deviations[8]
            ) / 8
        ) as robust_z

    from measures_with_deviations

),

targets as (

    select
        metric_id,
        scope_type,
        scope_id,
        direction,
        cast(target as double) as target,
        cast(band_low as double) as band_low,
        cast(band_high as double) as band_high,
        valid_from,
        valid_to

    from dim_kpi_target

),

measures_joined as (

    select
        measures.metric_id,
        measures.day,
        measures.scope_type,
        measures.scope_id,
        measures.value,
        measures.numerator,
        measures.denominator,
        measures.n,
        measures.prev_day,
        measures.prev_week,
        measures.prev_year,
        measures.trailing_28_mean,
        measures.robust_z,
        targets.target,
        case when targets.direction = 'band' then targets.band_low end
            as band_low,
        case when targets.direction = 'band' then targets.band_high end
            as band_high,
        attainment(
            measures.value,
            targets.direction,
            targets.target,
            targets.band_low,
            targets.band_high,
            $attainment_cap
        ) as attainment,
        measures.is_complete

    from measures_with_score as measures

    left join targets
        on measures.metric_id = targets.metric_id
        and measures.scope_type = targets.scope_type
        and measures.scope_id = targets.scope_id
        and measures.day >= targets.valid_from
        and measures.day <= targets.valid_to

),

final as (

    select
        ---------- ids
        day,
        metric_id,
        scope_type,
        scope_id,

        ---------- strings
        rag(attainment) as rag,

        ---------- numbers
        value,
        numerator,
        denominator,
        n,
        prev_day,
        prev_week,
        prev_year,
        round(value - prev_day, 6) as delta,
        round((value - prev_day) / nullif(abs(prev_day), 0), 6) as delta_pct,
        trailing_28_mean,
        robust_z,
        target,
        band_low,
        band_high,
        attainment,

        ---------- booleans
        is_complete and coalesce(abs(robust_z) > 3.5, false) as is_anomaly,
        is_complete

    from measures_joined

)

select * from final

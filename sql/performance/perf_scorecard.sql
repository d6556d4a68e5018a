-- One row per month, scope and KPI: actual against target.
-- Agents, groups and the whole desk are scored by the metrics of kpi_monthly
-- that have a weight in kpi_targets. The target that is valid on the month's
-- last day counts, the own one before the group's before that of the whole;
-- without one there is no row. Attainment is actual / target where more is
-- better, target / actual where less is better, 1 inside a band and linear
-- outside; it stays between 0 and $attainment_cap. Green from 1, amber from
-- 0.9. The changes are against the month before and the same month a year
-- before, as a share of it. Ranks go by attainment among the same kind of scope
-- and equal ones share one; of a share it is the attainment of its cautious
-- bound (Wilson's at 95 %, the lower one where more is better, the upper one
-- where less is), so that 1 good rating of 1 does not stand before 90 of 100
-- (`ranked_attainment`). Who solved fewer than $min_solves tickets or was
-- employed for less than $min_tenure_days has none, as in perf_agent_month, and
-- neither has who lacks data.
with

-- Nobody's score is that of people who are not known, who have no tenure, and of
-- tickets without a group.
scored as (

    select
        month,
        'agent' as scope_type,
        agent_id as scope_id,
        group_id,
        agent_name as scope_name,
        coalesce(
            solved >= $min_solves and tenure_days >= $min_tenure_days, false
        ) as is_eligible
    from kpi_agent_month
    where tenure_days is not null

    union all

    select
        month,
        case scope_type when 'all' then 'total' else scope_type end
            as scope_type,
        scope_id,
        scope_id as group_id,
        case
            when scope_type = 'all' then 'Company'
            else coalesce(group_names.group_name, scope_id)
        end as scope_name,
        true as is_eligible
    from kpi_team_month
    left join (
        select
            group_id,
            max(group_name) as group_name
        from dim_agent
        where not is_unknown
        group by group_id
    ) as group_names
        on kpi_team_month.scope_id = group_names.group_id
    where scope_id <> 'none'

),

targets as (

    select
        *,
        count(weight) over (partition by metric_id) > 0 as is_weighed

    from dim_kpi_target

),

actuals as (

    select
        scored.*,
        months.metric_id,
        months.value as actual,
        months.prev_month,
        months.prev_year,
        months.is_complete,
        case
            when metrics.unit <> 'share' then months.value
            when metrics.direction = 'higher'
                then wilson_lower(months.numerator, months.denominator)
            when metrics.direction = 'lower'
                then 1 - wilson_lower(
                    months.denominator - months.numerator, months.denominator
                )
        end as cautious

    from scored

    inner join kpi_monthly as months
        on scored.month = months.month
        and scored.scope_type = months.scope_type
        and scored.scope_id = months.scope_id

    inner join dim_metric as metrics
        on months.metric_id = metrics.metric_id

),

actuals_with_targets as (

    select
        actuals.*,
        targets.scope_type as target_scope,
        targets.direction,
        cast(targets.target as double) as target,
        cast(targets.band_low as double) as band_low,
        cast(targets.band_high as double) as band_high,
        cast(targets.weight as double) as weight,
        row_number() over (
            partition by
                actuals.month, actuals.scope_type, actuals.scope_id,
                actuals.metric_id
            order by
                case targets.scope_type
                    when 'agent' then 1
                    when 'group' then 2
                    else 3
                end
        ) as target_number

    from actuals

    inner join targets
        on actuals.metric_id = targets.metric_id
        and targets.is_weighed
        and month_end(actuals.month)
            between targets.valid_from and targets.valid_to
        and case targets.scope_type
            when 'agent' then actuals.scope_type = 'agent'
                and targets.scope_id = actuals.scope_id
            when 'group' then actuals.scope_type <> 'total'
                and targets.scope_id = actuals.group_id
            else targets.scope_type = 'total'
        end

),

attainments as (

    select
        *,
        attainment(
            actual, direction, target, band_low, band_high, $attainment_cap
        ) as attainment,
        attainment(
            case
                when direction = 'band' then actual
                else coalesce(cautious, actual)
            end,
            direction, target, band_low, band_high, $attainment_cap
        ) as ranked_attainment

    from actuals_with_targets

    where target_number = 1

),

attainments_ranked as (

    select
        *,
        is_eligible
            and attainment is not null
            and ranked_attainment is not null as is_ranked,
        rank() over (
            partition by
                month, scope_type, metric_id,
                is_eligible
                    and attainment is not null
                    and ranked_attainment is not null
            order by ranked_attainment desc
        ) as place

    from attainments

),

final as (

    select
        ---------- ids
        month,
        scope_type,
        scope_id,
        metric_id,
        group_id,

        ---------- strings
        scope_name,
        target_scope,
        direction,
        rag(attainment) as rag,

        ---------- numbers
        actual,
        target,
        case when direction = 'band' then band_low end as band_low,
        case when direction = 'band' then band_high end as band_high,
        weight,
        attainment,
        ranked_attainment,
        round(weight * attainment, 6) as points,
        round(actual / nullif(prev_month, 0) - 1, 6) as vs_prev,
        round(actual / nullif(prev_year, 0) - 1, 6) as vs_year,
        case when is_ranked then cast(place as bigint) end as rank_in_month,

        ---------- booleans
        is_complete

    from attainments_ranked

)

select * from final

-- One row per month, agent and KPI: actual against target.
-- The target that is valid on the month's last day counts, the agent's own
-- before the group's before the company's. Attainment is actual / target where
-- more is better, target / actual where less is better, 1 inside a band and
-- linear outside; it stays between 0 and $attainment_cap. Green from 1, amber
-- from 0.9.
with

agent_months as (

    select
        *,
        cast(month + interval '1 month' as date) - 1 as month_end

    from kpi_agent_month

),

targets as (

    select * from dim_kpi_target

    where scope_type in ('agent', 'group', 'company')

),

actuals as (

    select
        month, month_end, agent_id, group_id,
        'agent_solved' as metric_id,
        cast(solved as double) as actual
    from agent_months

    union all

    select
        month, month_end, agent_id, group_id,
        'agent_first_reply_minutes' as metric_id,
        first_reply_median_minutes as actual
    from agent_months

    union all

    select
        month, month_end, agent_id, group_id,
        'agent_sla_rate' as metric_id,
        sla_rate as actual
    from agent_months

    union all

    select
        month, month_end, agent_id, group_id,
        'agent_csat_rate' as metric_id,
        csat_rate as actual
    from agent_months

    union all

    select
        month, month_end, agent_id, group_id,
        'agent_reopen_rate' as metric_id,
        reopen_rate as actual
    from agent_months

),

actuals_with_targets as (

    select
        actuals.month,
        actuals.agent_id,
        actuals.group_id,
        actuals.metric_id,
        actuals.actual,
        targets.scope_type as target_scope,
        targets.direction,
        cast(targets.target as double) as target,
        cast(targets.band_low as double) as band_low,
        cast(targets.band_high as double) as band_high,
        cast(targets.weight as double) as weight,
        row_number() over (
            partition by actuals.month, actuals.agent_id, actuals.metric_id
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
        and actuals.month_end >= targets.valid_from
        and actuals.month_end <= targets.valid_to
        and case targets.scope_type
            when 'agent' then targets.scope_id = actuals.agent_id
            when 'group' then targets.scope_id = actuals.group_id
            else true
        end

),

attainments as (

    select
        month,
        agent_id,
        group_id,
        metric_id,
        actual,
        target_scope,
        direction,
        target,
        weight,
        case
            when actual is null then null
            when direction = 'higher' then actual / nullif(target, 0)
            when direction = 'lower' and actual = 0 then $attainment_cap
            when direction = 'lower' then target / actual
            when actual < band_low then actual / nullif(band_low, 0)
            when actual > band_high then 2 - actual / nullif(band_high, 0)
            else 1
        end as attainment

    from actuals_with_targets

    where target_number = 1

),

attainments_capped as (

    select
        month,
        agent_id,
        group_id,
        metric_id,
        actual,
        target_scope,
        direction,
        target,
        weight,
        case
            when attainment is not null
                then round(
                    least(greatest(attainment, 0), $attainment_cap), 6
                )
        end as attainment

    from attainments

),

final as (

    select
        ---------- ids
        month,
        agent_id,
        metric_id,
        group_id,

        ---------- strings
        target_scope,
        direction,
        case
            when attainment is null then 'unknown'
            when attainment >= 1 then 'green'
            when attainment >= 0.9 then 'amber'
            else 'red'
        end as rag,

        ---------- numbers
        actual,
        target,
        weight,
        attainment,
        round(weight * attainment, 6) as points

    from attainments_capped

)

select * from final

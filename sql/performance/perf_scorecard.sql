-- One row per month, scope and KPI: actual against target.
-- Agents have the metrics of kpi_agent_month, groups and the company those of
-- kpi_team_month. The target that is valid on the month's last day counts, the
-- own one before the group's before the company's; without one there is no row.
-- Attainment is actual / target where more is better, target / actual where
-- less is better, 1 inside a band and linear outside; it stays between 0 and
-- $attainment_cap. Green from 1, amber from 0.9. The changes are against the
-- month before and the same month a year before, as a share of it. Ranks go by
-- attainment among the same kind of scope and equal ones share one; of a share it is
-- the attainment of its cautious bound (Wilson's at 95 %, the lower one where more is
-- better, the upper one where less is), so that 1 good rating of 1 does not stand
-- before 90 of 100 (`ranked_attainment`). Who solved
-- fewer than $min_solves tickets or was employed for less than $min_tenure_days
-- has none, as in perf_agent_month, and neither has who lacks data.
with

agent_months as (

    select
        month,
        'agent' as scope_type,
        agent_id as scope_id,
        group_id,
        agent_name as scope_name,
        coalesce(
            solved >= $min_solves
                and tenure_days >= $min_tenure_days,
            false
        ) as is_eligible,
        cast(solved as double) as solved,
        first_reply_median_minutes,
        sla_rate,
        wilson_lower(sla_met, sla_decided) as sla_bound,
        csat_rate,
        wilson_lower(csat_pos, csat_answered) as csat_bound,
        reopen_rate,
        1 - wilson_lower(solved - reopened_tickets, solved) as reopen_bound,
        is_complete

    from kpi_agent_month

    -- Nobody's score: people who are not known have no tenure.
    where tenure_days is not null

),

group_names as (

    select
        group_id,
        max(group_name) as group_name

    from dim_agent

    where not is_unknown

    group by group_id

),

-- Tickets without a group are nobody's score.
team_months as (

    select
        kpi_team_month.month,
        case
            when kpi_team_month.scope_type = 'all' then 'company'
            else 'group'
        end as scope_type,
        kpi_team_month.scope_id,
        kpi_team_month.scope_id as group_id,
        case
            when kpi_team_month.scope_type = 'all' then 'Company'
            else coalesce(group_names.group_name, kpi_team_month.scope_id)
        end as scope_name,
        true as is_eligible,
        solved_per_member,
        first_reply_median_minutes,
        sla_rate,
        wilson_lower(sla_met, sla_decided) as sla_bound,
        csat_rate,
        wilson_lower(csat_pos, csat_answered) as csat_bound,
        first_contact_rate,
        wilson_lower(first_contact_tickets, solved) as first_contact_bound,
        reopen_rate,
        1 - wilson_lower(solved - reopened_tickets, solved) as reopen_bound,
        is_complete

    from kpi_team_month

    left join group_names
        on kpi_team_month.scope_type = 'group'
        and kpi_team_month.scope_id = group_names.group_id

    where kpi_team_month.scope_type = 'all'
        or kpi_team_month.scope_id <> 'none'

),

targets as (

    select * from dim_kpi_target

    where scope_type in ('agent', 'group', 'company')

),

actuals as (

    select
        month, scope_type, scope_id, group_id, scope_name, is_eligible,
        is_complete,
        'agent_solved' as metric_id,
        solved as actual,
        solved as cautious
    from agent_months

    union all

    select
        month, scope_type, scope_id, group_id, scope_name, is_eligible,
        is_complete,
        'agent_first_reply_minutes' as metric_id,
        first_reply_median_minutes as actual,
        first_reply_median_minutes as cautious
    from agent_months

    union all

    select
        month, scope_type, scope_id, group_id, scope_name, is_eligible,
        is_complete,
        'agent_sla_rate' as metric_id,
        sla_rate as actual,
        sla_bound as cautious
    from agent_months

    union all

    select
        month, scope_type, scope_id, group_id, scope_name, is_eligible,
        is_complete,
        'agent_csat_rate' as metric_id,
        csat_rate as actual,
        csat_bound as cautious
    from agent_months

    union all

    select
        month, scope_type, scope_id, group_id, scope_name, is_eligible,
        is_complete,
        'agent_reopen_rate' as metric_id,
        reopen_rate as actual,
        reopen_bound as cautious
    from agent_months

    union all

    select
        month, scope_type, scope_id, group_id, scope_name, is_eligible,
        is_complete,
        'support_solved_per_member' as metric_id,
        solved_per_member as actual,
        solved_per_member as cautious
    from team_months

    union all

    select
        month, scope_type, scope_id, group_id, scope_name, is_eligible,
        is_complete,
        'support_first_reply_minutes' as metric_id,
        first_reply_median_minutes as actual,
        first_reply_median_minutes as cautious
    from team_months

    union all

    select
        month, scope_type, scope_id, group_id, scope_name, is_eligible,
        is_complete,
        'support_sla_rate' as metric_id,
        sla_rate as actual,
        sla_bound as cautious
    from team_months

    union all

    select
        month, scope_type, scope_id, group_id, scope_name, is_eligible,
        is_complete,
        'support_csat_rate' as metric_id,
        csat_rate as actual,
        csat_bound as cautious
    from team_months

    union all

    select
        month, scope_type, scope_id, group_id, scope_name, is_eligible,
        is_complete,
        'support_first_contact_rate' as metric_id,
        first_contact_rate as actual,
        first_contact_bound as cautious
    from team_months

    union all

    select
        month, scope_type, scope_id, group_id, scope_name, is_eligible,
        is_complete,
        'support_reopen_rate' as metric_id,
        reopen_rate as actual,
        reopen_bound as cautious
    from team_months

),

actuals_with_targets as (

    select
        actuals.month,
        actuals.scope_type,
        actuals.scope_id,
        actuals.group_id,
        actuals.metric_id,
        actuals.scope_name,
        actuals.is_eligible,
        actuals.is_complete,
        actuals.actual,
        case
            when targets.direction = 'band' then actuals.actual
            else coalesce(actuals.cautious, actuals.actual)
        end as cautious,
        targets.scope_type as target_scope,
        targets.direction,
        cast(targets.target as double) as target,
        cast(targets.band_low as double) as band_low,
        cast(targets.band_high as double) as band_high,
        cast(targets.weight as double) as weight,
        row_number() over (
            partition by
                actuals.month,
                actuals.scope_type,
                actuals.scope_id,
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
        and cast(actuals.month + interval '1 month' as date) - 1
            >= targets.valid_from
        and cast(actuals.month + interval '1 month' as date) - 1
            <= targets.valid_to
        and case targets.scope_type
            when 'agent' then actuals.scope_type = 'agent'
                and targets.scope_id = actuals.scope_id
            when 'group' then actuals.scope_type <> 'company'
                and targets.scope_id = actuals.group_id
            else true
        end

),

attainments as (

    select
        month,
        scope_type,
        scope_id,
        group_id,
        metric_id,
        scope_name,
        is_eligible,
        is_complete,
        actual,
        target_scope,
        direction,
        target,
        case when direction = 'band' then band_low end as band_low,
        case when direction = 'band' then band_high end as band_high,
        weight,
        attainment(
            actual, direction, target, band_low, band_high, $attainment_cap
        ) as attainment,
        attainment(
            cautious, direction, target, band_low, band_high, $attainment_cap
        ) as ranked_attainment

    from actuals_with_targets

    where target_number = 1

),

attainments_ranked as (

    select
        month,
        scope_type,
        scope_id,
        metric_id,
        cast(
            rank() over (
                partition by month, scope_type, metric_id
                order by ranked_attainment desc
            ) as bigint
        ) as rank_in_month

    from attainments

    where is_eligible
        and attainment is not null
        and ranked_attainment is not null

),

final as (

    select
        ---------- ids
        attainments.month,
        attainments.scope_type,
        attainments.scope_id,
        attainments.metric_id,
        attainments.group_id,

        ---------- strings
        attainments.scope_name,
        attainments.target_scope,
        attainments.direction,
        rag(attainments.attainment) as rag,

        ---------- numbers
        attainments.actual,
        attainments.target,
        attainments.band_low,
        attainments.band_high,
        attainments.weight,
        attainments.attainment,
        attainments.ranked_attainment,
        round(attainments.weight * attainments.attainment, 6)
            as points,
        round(
            attainments.actual
                / nullif(months_before.actual, 0) - 1,
            6
        ) as vs_prev,
        round(
            attainments.actual
                / nullif(years_before.actual, 0) - 1,
            6
        ) as vs_year,
        attainments_ranked.rank_in_month,

        ---------- booleans
        attainments.is_complete

    from attainments

    left join attainments_ranked
        on attainments.month = attainments_ranked.month
        and attainments.scope_type = attainments_ranked.scope_type
        and attainments.scope_id = attainments_ranked.scope_id
        and attainments.metric_id = attainments_ranked.metric_id

    left join actuals as months_before
        on cast(attainments.month - interval '1 month' as date)
            = months_before.month
        and attainments.scope_type = months_before.scope_type
        and attainments.scope_id = months_before.scope_id
        and attainments.metric_id = months_before.metric_id

    left join actuals as years_before
        on cast(attainments.month - interval '1 year' as date)
            = years_before.month
        and attainments.scope_type = years_before.scope_type
        and attainments.scope_id = years_before.scope_id
        and attainments.metric_id = years_before.metric_id

)

select * from final

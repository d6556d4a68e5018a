-- One row per month and agent: measures, attainment, score and rank. The score
-- is the weighted mean of the attainments that have data. Who solved fewer than
-- $min_solves tickets, or was employed for less than $min_tenure_days at the
-- month's end, is not ranked. Ranks go by the score in which satisfaction
-- counts with Wilson's lower bound, so that one good rating of one does not
-- beat ninety of a hundred; equal ones share a rank. The first quartile is the
-- best quarter of the ranked, so whoever is first stands in it, alone or not.
with

agent_months as (

    select * from kpi_agent_month

),

scores as (

    select
        month,
        scope_id as agent_id,
        max(attainment) filter (where metric_id = 'agent_solved')
            as attainment_solved,
        max(attainment) filter (where metric_id = 'agent_first_reply_minutes')
            as attainment_first_reply,
        max(attainment) filter (where metric_id = 'agent_sla_rate')
            as attainment_sla,
        max(attainment) filter (where metric_id = 'agent_csat_rate')
            as attainment_csat,
        max(attainment) filter (where metric_id = 'agent_reopen_rate')
            as attainment_reopen,
        round(sum(points), 6) as points,
        round(sum(weight) filter (where attainment is not null), 6)
            as weight_with_data,
        round(
            sum(round(weight * coalesce(ranked_attainment, attainment), 6)), 6
        ) as ranked_points

    from perf_scorecard

    where scope_type = 'agent'

    group by
        month,
        scope_id

),

agent_months_scored as (

    select
        agent_months.*,
        scores.* except (month, agent_id),
        ratio(points, weight_with_data) as score,
        ratio(ranked_points, weight_with_data) as ranked_score,
        coalesce(
            solved >= $min_solves
                and tenure_days >= $min_tenure_days
                and points is not null
                and weight_with_data > 0,
            false
        ) as is_eligible

    from agent_months

    left join scores
        on agent_months.month = scores.month
        and agent_months.agent_id = scores.agent_id

),

agent_months_ranked as (

    select
        *,
        rank() over (
            partition by month, is_eligible
            order by ranked_score desc
        ) as position,
        count(*) over (partition by month, is_eligible) as peers

    from agent_months_scored

),

final as (

    select
        ---------- ids
        month,
        agent_id,
        group_id,

        ---------- strings
        agent_name,

        ---------- numbers
        handled,
        solved,
        first_reply_tickets,
        first_reply_median_minutes,
        resolution_median_minutes,
        sla_met,
        sla_decided,
        sla_rate,
        csat_pos,
        csat_answered,
        csat_rate,
        csat_wilson_lower,
        reopened_tickets,
        reopen_rate,
        tenure_days,
        attainment_solved,
        attainment_first_reply,
        attainment_sla,
        attainment_csat,
        attainment_reopen,
        points,
        weight_with_data,
        score,
        ranked_score,
        case when is_eligible then peers end as eligible_agents,
        case when is_eligible then cast(position as bigint) end
            as rank_in_month,
        case
            when is_eligible
                then cast(4 * (position - 1) / peers + 1 as bigint)
        end as quartile,

        ---------- booleans
        is_eligible,
        is_complete

    from agent_months_ranked

)

select * from final

-- One row per month and agent: measures, attainment, score and rank.
-- The score is the weighted mean of the attainments that have data. Who solved
-- fewer than $min_solves tickets, or was employed for less than
-- $min_tenure_days at the month's end, is not ranked. Ranks go by the score in
-- which satisfaction counts with Wilson's lower bound, so that one good rating
-- of one does not beat ninety of a hundred; equal ones share a rank. The first quartile is the best quarter of the ranked, so whoever is
-- first stands in it, alone or not.
with

agent_months as (

    select * from kpi_agent_month

),

scorecard as (

    select
        *,
        scope_id as agent_id

    from perf_scorecard

    where scope_type = 'agent'

),

scores as (

    select
        month,
        agent_id,
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

    from scorecard

    group by
        month,
        agent_id

),

agent_months_scored as (

    select
        agent_months.month,
        agent_months.agent_id,
        agent_months.group_id,
        agent_months.agent_name,
        agent_months.handled,
        agent_months.solved,
        agent_months.first_reply_tickets,
        agent_months.first_reply_median_minutes,
        agent_months.resolution_median_minutes,
        agent_months.sla_met,
        agent_months.sla_decided,
        agent_months.sla_rate,
        agent_months.csat_pos,
        agent_months.csat_answered,
        agent_months.csat_rate,
        agent_months.csat_wilson_lower,
        agent_months.reopened_tickets,
        agent_months.reopen_rate,
        agent_months.tenure_days,
        agent_months.is_complete,
        scores.attainment_solved,
        scores.attainment_first_reply,
        scores.attainment_sla,
        scores.attainment_csat,
        scores.attainment_reopen,
        scores.points,
        scores.weight_with_data,
        ratio(scores.points, scores.weight_with_data) as score,
        ratio(scores.ranked_points, scores.weight_with_data) as ranked_score,
        coalesce(
            agent_months.solved >= $min_solves
                and agent_months.tenure_days >= $min_tenure_days
                and scores.points is not null
                and scores.weight_with_data > 0,
            false
        ) as is_eligible

    from agent_months

    left join scores
        on agent_months.month = scores.month
        and agent_months.agent_id = scores.agent_id

),

agent_months_ranked as (

    select
        month,
        agent_id,
        group_id,
        agent_name,
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
        is_complete,
        attainment_solved,
        attainment_first_reply,
        attainment_sla,
        attainment_csat,
        attainment_reopen,
        points,
        weight_with_data,
        score,
        ranked_score,
        is_eligible,
        rank() over (
            partition by month, is_eligible order by ranked_score desc
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

-- One row per month and team: measures, score and rank.
-- The score is the weighted mean of the attainments that have data, from the
-- team's own scorecard, not from its agents. A team without a score has no
-- rank. Ranks go by the score in which satisfaction counts with Wilson's lower
-- bound, so that one good rating of one does not beat ninety of a hundred; equal
-- ones share a rank. Tickets without a group are no team.
with

team_months as (

    select
        *,
        scope_id as group_id

    from kpi_team_month

    where scope_type = 'group'
        and scope_id <> 'none'

),

group_names as (

    select
        group_id,
        max(group_name) as group_name

    from dim_agent

    group by group_id

),

scores as (

    select
        month,
        scope_id as group_id,
        round(sum(points), 6) as points,
        round(sum(weight) filter (where attainment is not null), 6)
            as weight_with_data,
        round(
            sum(round(weight * coalesce(ranked_attainment, attainment), 6)), 6
        ) as ranked_points

    from perf_scorecard

    where scope_type = 'group'

    group by
        month,
        scope_id

),

team_months_scored as (

    select
        team_months.*,
        coalesce(group_names.group_name, team_months.group_id) as group_name,
        scores.points,
        scores.weight_with_data,
        ratio(scores.points, scores.weight_with_data) as score,
        ratio(scores.ranked_points, scores.weight_with_data) as ranked_score

    from team_months

    left join group_names
        on team_months.group_id = group_names.group_id

    left join scores
        on team_months.month = scores.month
        and team_months.group_id = scores.group_id

),

team_months_ranked as (

    select
        *,
        rank() over (
            partition by month, score is not null order by ranked_score desc
        ) as position,
        count(score) over (partition by month) as ranked_teams

    from team_months_scored

),

final as (

    select
        ---------- ids
        month,
        group_id,

        ---------- strings
        group_name,

        ---------- numbers
        members,
        full_time_members,
        created,
        handled,
        solved,
        solved_per_member,
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
        first_contact_tickets,
        first_contact_rate,
        reopened_tickets,
        reopen_rate,
        key_person_solved,
        key_person_share,
        points,
        weight_with_data,
        score,
        ranked_score,
        ranked_teams,
        case when score is not null then cast(position as bigint) end
            as rank_in_month,

        ---------- booleans
        is_complete

    from team_months_ranked

)

select * from final

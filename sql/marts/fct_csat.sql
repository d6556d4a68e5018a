-- One row per ticket and kind of survey: what was asked and what was answered.
-- The latest answer within its scale counts, of answers in the same second the
-- one with the higher id; the first one stays beside it, so that a change of
-- mind can be seen. An answer off its scale is counted and otherwise ignored. A
-- score of the two best counts as positive for CSAT (4 and 5 of 5), on scales
-- of two or three scores only the best; 5 to 7 for CES; NPS has promoters (9,
-- 10), passives (7, 8) and detractors (0 to 6). An answer before the ticket was
-- solved counts, and is marked. Channel and group are those of the ticket now,
-- `none` if nobody knows the ticket.
with

responses as (

    select
        *,
        has_answer and is_in_scale as is_answer

    from stg_csat_responses

),

offers as (

    select
        ticket_id,
        survey_type,
        max(requester_id) as requester_id,
        max(agent_id) as agent_id,
        count(*) as offers,
        count(*) filter (where is_answer) as answers,
        count(*) filter (where has_answer and not is_in_scale)
            as answers_off_scale,
        min(offered_at) as offered_at,
        max(updated_at) as updated_at

    from responses

    group by
        ticket_id,
        survey_type

),

answers as (

    select
        *,
        first_value(score) over first_to_last as first_score,
        lead(response_id) over first_to_last is null as is_last

    from responses

    where is_answer

    window first_to_last as (
        partition by ticket_id, survey_type
        order by answered_at, response_id
    )

),

surveys as (

    select
        offers.* except (agent_id),
        coalesce(answers.agent_id, offers.agent_id, tickets.solver_id)
            as agent_id,
        answers.response_id,
        answers.answer_text,
        answers.first_score,
        answers.score,
        answers.scale_min,
        answers.scale_max,
        answers.is_positive,
        answers.answered_at,
        coalesce(tickets.group_id, 'none') as group_id,
        coalesce(tickets.channel, 'none') as channel,
        coalesce(tickets.is_deleted, false) as is_deleted,
        tickets.ticket_id is not null as is_known_ticket,
        tickets.first_solved_at

    from offers

    left join answers
        on offers.ticket_id = answers.ticket_id
        and offers.survey_type = answers.survey_type
        and answers.is_last

    left join fct_ticket as tickets
        on offers.ticket_id = tickets.ticket_id

),

final as (

    select
        ---------- ids
        ticket_id,
        survey_type,
        response_id,
        requester_id,
        agent_id,
        group_id,

        ---------- strings
        channel,
        case
            when score is null then null
            when survey_type = 'nps' and score >= 9 then 'promoter'
            when survey_type = 'nps' and score >= 7 then 'passive'
            when survey_type = 'nps' then 'detractor'
            when survey_type = 'ces' and score >= 5 then 'positive'
            when survey_type = 'csat' and is_positive then 'positive'
            else 'other'
        end as answer_class,
        answer_text,

        ---------- numbers
        first_score,
        score as survey_score,
        scale_min,
        scale_max,
        offers,
        answers,
        answers_off_scale,

        ---------- booleans
        answered_at is not null as is_answered,
        is_known_ticket
            and answered_at is not null
            and (first_solved_at is null or answered_at < first_solved_at)
            as is_answered_early,
        is_deleted,

        ---------- dates
        local_day(offered_at, $reporting_zone) as offered_day,
        local_day(answered_at, $reporting_zone) as answered_day,

        ---------- timestamps
        offered_at,
        answered_at,
        updated_at

    from surveys

)

select * from final

-- One row per ticket that was offered a rating. Ratings come from the history of
-- tickets and from satisfaction surveys; a ticket with an answered survey is
-- rated by its surveys alone, because help desks write the same answer into
-- both. The latest rating within $csat_answer_days of the first offer counts, so
-- that a day's figures stand after that; if there was none by then, the first
-- one after it. The ticket's first rating stays beside it, so that good turned
-- bad can be seen.
with

rating_events as (

    select
        event_id as answer_id,
        ticket_id,
        cast(null as varchar) as agent_id,
        new_value as rating,
        occurred_at

    from stg_ticket_events

    where field_name = 'satisfaction_rating'
        and new_value in ('offered', 'good', 'bad')

),

surveys as (

    select
        response_id as answer_id,
        ticket_id,
        agent_id,
        case when is_positive then 'good' else 'bad' end as rating,
        has_answer and is_in_scale as is_answer,
        offered_at,
        answered_at

    from stg_csat_responses

    where survey_type = 'csat'

),

tickets_with_survey as (

    select distinct ticket_id

    from surveys

    where is_answer

),

answers as (

    select
        rating_events.answer_id,
        rating_events.ticket_id,
        rating_events.agent_id,
        rating_events.rating,
        rating_events.occurred_at

    from rating_events

    left join tickets_with_survey
        on rating_events.ticket_id = tickets_with_survey.ticket_id

    where rating_events.rating in ('good', 'bad')
        and tickets_with_survey.ticket_id is null

    union all

    select
        answer_id,
        ticket_id,
        agent_id,
        rating,
        answered_at as occurred_at

    from surveys

    where is_answer

),

offers as (

    select
        ticket_id,
        occurred_at as offered_at

    from rating_events

    union all

    select
        ticket_id,
        offered_at

    from surveys

),

offers_summed_to_tickets as (

    select
        ticket_id,
        min(offered_at) as csat_offered_at

    from offers

    group by ticket_id

),

answers_numbered as (

    select
        answers.ticket_id,
        answers.agent_id,
        answers.rating,
        answers.occurred_at,
        seconds_between(
            offers_summed_to_tickets.csat_offered_at, answers.occurred_at
        ) <= $csat_answer_days * 86400 as is_in_time,
        row_number() over (
            partition by answers.ticket_id
            order by answers.occurred_at, answers.answer_id
        ) as answer_number,
        row_number() over (
            partition by answers.ticket_id
            order by answers.occurred_at desc, answers.answer_id desc
        ) as answer_number_from_last

    from answers

    inner join offers_summed_to_tickets
        on answers.ticket_id = offers_summed_to_tickets.ticket_id

),

answers_by_weight as (

    select
        ticket_id,
        agent_id,
        rating,
        is_in_time,
        answer_number,
        row_number() over (
            partition by ticket_id
            order by
                is_in_time desc,
                case when is_in_time then answer_number_from_last end,
                answer_number
        ) as weight_number,
        occurred_at

    from answers_numbered

),

answers_summed_to_tickets as (

    select
        ticket_id,
        max(agent_id) filter (where weight_number = 1) as csat_agent_id,
        max(rating) filter (where answer_number = 1) as csat_first_rating,
        max(rating) filter (where weight_number = 1) as csat_rating,
        count(*) as csat_answers,
        max(occurred_at) filter (where weight_number = 1) as csat_answered_at,
        bool_or(is_in_time) as is_csat_in_time

    from answers_by_weight

    group by ticket_id

),

tickets_rated as (

    select
        ---------- ids
        offers_summed_to_tickets.ticket_id,
        answers_summed_to_tickets.csat_agent_id,

        ---------- strings
        answers_summed_to_tickets.csat_first_rating,
        answers_summed_to_tickets.csat_rating,

        ---------- numbers
        coalesce(answers_summed_to_tickets.csat_answers, 0) as csat_answers,

        ---------- booleans
        coalesce(answers_summed_to_tickets.is_csat_in_time, false)
            as is_csat_in_time,

        ---------- timestamps
        offers_summed_to_tickets.csat_offered_at,
        answers_summed_to_tickets.csat_answered_at

    from offers_summed_to_tickets

    left join answers_summed_to_tickets
        on offers_summed_to_tickets.ticket_id
            = answers_summed_to_tickets.ticket_id

)

select * from tickets_rated

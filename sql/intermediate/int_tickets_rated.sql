-- One row per ticket that was offered a rating in the help desk. The latest
-- rating within $csat_answer_days of the first offer counts, so that a day's
-- figures stand after that; if there was none by then, the first one after it.
-- The ticket's first rating stays beside it, so that good turned bad can be seen.
with

ratings as (

    select
        event_id,
        ticket_id,
        new_value as rating,
        occurred_at

    from stg_ticket_events

    where field_name = 'satisfaction_rating'
        and new_value in ('offered', 'good', 'bad')

),

answers as (

    select
        event_id as answer_id,
        ticket_id,
        rating,
        occurred_at

    from ratings

    where rating in ('good', 'bad')

),

offers_summed_to_tickets as (

    select
        ticket_id,
        min(occurred_at) as csat_offered_at

    from ratings

    group by ticket_id

),

answers_numbered as (

    select
        answers.ticket_id,
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

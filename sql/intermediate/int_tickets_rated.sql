-- One row per ticket that was offered a rating. The latest rating counts; the
-- first one stays beside it, so that good turned bad can be seen.
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

answers_numbered as (

    select
        ticket_id,
        rating,
        occurred_at,
        row_number() over (
            partition by ticket_id
            order by occurred_at, event_id
        ) as answer_number,
        row_number() over (
            partition by ticket_id
            order by occurred_at desc, event_id desc
        ) as answer_number_from_last

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

answers_summed_to_tickets as (

    select
        ticket_id,
        max(rating) filter (where answer_number = 1) as csat_first_rating,
        max(rating) filter (where answer_number_from_last = 1) as csat_rating,
        count(*) as csat_answers,
        max(occurred_at) as csat_answered_at

    from answers_numbered

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

        ---------- timestamps
        offers_summed_to_tickets.csat_offered_at,
        answers_summed_to_tickets.csat_answered_at

    from offers_summed_to_tickets

    left join answers_summed_to_tickets
        on offers_summed_to_tickets.ticket_id
            = answers_summed_to_tickets.ticket_id

)

select * from tickets_rated

-- One row per ticket that was offered a rating in the help desk. The latest
-- rating within $csat_answer_days of the first offer counts, so that a day's
-- figures stand after that; if there was none by then, the first one after it.
-- The ticket's first rating stays beside it, so that good turned bad can be
-- seen.
with

ratings as (

    select
        *,
        new_value in ('good', 'bad') as is_answer,
        min(occurred_at) over (partition by ticket_id) as offered_at

    from stg_ticket_events

    where field_name = 'satisfaction_rating'
        and new_value in ('offered', 'good', 'bad')

),

ratings_timed as (

    select
        *,
        is_answer
            and seconds_between(offered_at, occurred_at)
                <= $csat_answer_days * 86400 as is_answer_in_time

    from ratings

),

ratings_summed_to_tickets as (

    select
        ticket_id,
        first_value(new_value order by occurred_at, event_id)
            filter (where is_answer) as first_rating,
        first_value(new_value order by occurred_at desc, event_id desc)
            filter (where is_answer_in_time) as last_rating_in_time,
        count(*) filter (where is_answer) as answers,
        bool_or(is_answer_in_time) as is_in_time,
        min(occurred_at) as offered_at,
        min(occurred_at) filter (where is_answer) as first_answered_at,
        max(occurred_at) filter (where is_answer_in_time)
            as last_answered_in_time_at

    from ratings_timed

    group by ticket_id

),

tickets_rated as (

    select
        ---------- ids
        ticket_id,

        ---------- strings
        first_rating as csat_first_rating,
        coalesce(last_rating_in_time, first_rating) as csat_rating,

        ---------- numbers
        answers as csat_answers,

        ---------- booleans
        is_in_time as is_csat_in_time,

        ---------- timestamps
        offered_at as csat_offered_at,
        coalesce(last_answered_in_time_at, first_answered_at)
            as csat_answered_at

    from ratings_summed_to_tickets

)

select * from tickets_rated

-- One row per ticket that was rated: by satisfaction survey, else in the help desk.
-- A ticket with an answered survey is rated by that alone, because help desks
-- write the same answer into both. The agent is whom the survey names, else who
-- solved the ticket last. Good are the two best scores of a scale, on scales of
-- two or three the best.
with

tickets as (

    select * from fct_ticket

),

surveys as (

    select * from fct_csat

    where survey_type = 'csat'
        and is_answered

),

final as (

    select
        ---------- ids
        tickets.ticket_id,
        coalesce(surveys.agent_id, tickets.solver_id) as agent_id,
        tickets.group_id,

        ---------- strings
        case
            when surveys.ticket_id is null then tickets.csat_rating
            when surveys.answer_class = 'positive' then 'good'
            else 'bad'
        end as csat_rating,
        case when surveys.ticket_id is null then 'help_desk' else 'survey' end
            as rating_source,

        ---------- booleans
        tickets.is_deleted,
        tickets.is_astray,

        ---------- dates
        coalesce(surveys.answered_day, tickets.csat_answered_day)
            as csat_answered_day

    from tickets

    left join surveys
        on tickets.ticket_id = surveys.ticket_id

    where surveys.ticket_id is not null
        or tickets.csat_answered_day is not null

)

select * from final

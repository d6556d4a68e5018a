-- A ticket stands in the status that its history ends with.
with

tickets as (

    select
        ticket_id,
        status

    from fct_ticket

),

last_intervals as (

    select
        ticket_id,
        status

    from fct_ticket_status_interval

    where ended_at is null

),

mismatches as (

    select
        tickets.ticket_id,
        tickets.status,
        last_intervals.status as status_of_history

    from tickets

    left join last_intervals
        on tickets.ticket_id = last_intervals.ticket_id

    where tickets.status is distinct from last_intervals.status

)

select * from mismatches

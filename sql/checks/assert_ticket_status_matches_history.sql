-- Tickets whose history is behind their own row: the change to the status that
-- they have now is not in it, and counts at the time of the row.
with

last_intervals as (

    select
        ticket_id,
        status,
        started_at

    from fct_ticket_status_interval

    where ended_at is null
        and is_inferred
        and interval_number > 1

)

select * from last_intervals

-- One row per ticket, with its days and the time that it took.
with

tickets as (

    select * from stg_tickets

),

final as (

    select
        ---------- ids
        ticket_id,

        ---------- strings
        channel,
        priority,
        status,

        ---------- numbers
        round(seconds_between(created_at, solved_at) / 60.0, 6)
            as resolution_minutes,

        ---------- booleans
        status = 'solved' as is_solved,

        ---------- dates
        local_day(created_at, $reporting_zone) as created_day,
        local_day(solved_at, $reporting_zone) as solved_day,

        ---------- timestamps
        created_at,
        solved_at

    from tickets

)

select * from final

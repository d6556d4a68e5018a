-- One row per stretch of time that a ticket spent in one status.
with

intervals as (

    select * from int_ticket_status_intervals

),

tickets as (

    select
        ticket_id,
        status = 'deleted' as is_deleted

    from stg_tickets

),

final as (

    select
        ---------- ids
        intervals.ticket_id,
        intervals.actor_id,

        ---------- strings
        intervals.status,
        intervals.previous_status,
        intervals.actor_role,

        ---------- numbers
        cast(intervals.interval_number as bigint) as interval_number,
        round(
            extract(epoch from (
                coalesce(
                    intervals.ended_at,
                    greatest($as_of, intervals.started_at)
                ) - intervals.started_at
            )) / 60,
            2
        ) as minutes,

        ---------- booleans
        intervals.is_finished,
        intervals.is_finished
            and not coalesce(intervals.was_finished, false) as is_solve,
        not intervals.is_finished
            and coalesce(intervals.was_finished, false) as is_reopen,
        tickets.is_deleted,

        ---------- dates
        local_day(intervals.started_at, $reporting_zone) as started_day,
        local_day(intervals.ended_at, $reporting_zone) as ended_day,

        ---------- timestamps
        intervals.started_at,
        intervals.ended_at

    from intervals

    inner join tickets
        on intervals.ticket_id = tickets.ticket_id

)

select * from final

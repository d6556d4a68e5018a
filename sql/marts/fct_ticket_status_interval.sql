-- One row per stretch of time that a ticket spent in one status.
-- Closing a ticket that was never solved is its solve; closing a solved one is
-- none. A reopening goes from solved or closed to an unfinished status; being
-- deleted in between is neither. What is inferred is missing from the history:
-- the status at creation, and a status that only the ticket's own row has.
with

intervals as (

    select * from int_ticket_status_intervals

),

tickets as (

    select
        ticket_id,
        last_status = 'deleted' as is_deleted

    from int_tickets_resolved

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
        -- Whether it joins the backlog (1), leaves it (-1) or neither.
        cast(
            case
                when intervals.is_finished
                    and not coalesce(intervals.was_finished, true) then -1
                when not intervals.is_finished
                    and coalesce(intervals.was_finished, true) then 1
                else 0
            end as bigint
        ) as backlog_change,
        round(
            seconds_between(
                intervals.started_at,
                coalesce(
                    intervals.ended_at, greatest($as_of, intervals.started_at)
                )
            ) / 60,
            2
        ) as minutes,

        ---------- booleans
        intervals.is_finished,
        intervals.is_solve,
        intervals.is_reopen,
        intervals.is_inferred,
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

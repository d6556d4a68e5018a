-- The backlog of a day is that of the day before and what was created and
-- reopened, without what was solved. A ticket that was deleted for a while is in
-- none of these, nor is one whose history begins on another day than the ticket,
-- or as solved.
with

support_days as (

    select
        day,
        created,
        solved,
        reopened,
        backlog_eod,
        lag(backlog_eod, 1, 0) over (order by day) as backlog_before

    from kpi_support_daily

    where scope_type = 'all'

),

intervals as (

    select * from fct_ticket_status_interval

    where not is_deleted

),

tickets as (

    select
        ticket_id,
        created_day

    from fct_ticket

),

-- What moves the backlog and is neither created, solved nor reopened.
other_moves as (

    select
        intervals.started_day as day,
        intervals.backlog_change
            - cast(intervals.is_reopen as bigint)
            + cast(intervals.is_solve as bigint)
            - cast(intervals.interval_number = 1 as bigint) as backlog_change
    from intervals

    union all

    select
        intervals.started_day as day,
        1 as backlog_change
    from intervals
    inner join tickets
        on intervals.ticket_id = tickets.ticket_id
        and intervals.started_day <> tickets.created_day
    where intervals.interval_number = 1

    union all

    select
        tickets.created_day as day,
        -1 as backlog_change
    from intervals
    inner join tickets
        on intervals.ticket_id = tickets.ticket_id
        and intervals.started_day <> tickets.created_day
    where intervals.interval_number = 1

),

first_days as (

    select min(day) as first_day from support_days

),

other_moves_summed_to_days as (

    select
        greatest(other_moves.day, first_days.first_day) as day,
        sum(other_moves.backlog_change) as backlog_change

    from other_moves

    cross join first_days

    group by greatest(other_moves.day, first_days.first_day)

),

mismatches as (

    select
        support_days.day,
        support_days.backlog_eod,
        support_days.backlog_before
            + support_days.created
            + support_days.reopened
            - support_days.solved
            + coalesce(other_moves_summed_to_days.backlog_change, 0)
            as backlog_by_moves

    from support_days

    left join other_moves_summed_to_days
        on support_days.day = other_moves_summed_to_days.day

)

select * from mismatches

where backlog_eod <> backlog_by_moves

-- The backlog that adds up created, reopened and solved tickets equals the
-- tickets whose status at the end of the day is not a finished one.
with

support_days as (

    select
        day,
        backlog_eod

    from kpi_support_daily

    where channel = 'all'
        and group_id = 'all'
        and priority = 'all'

),

unfinished as (

    select
        ticket_id,
        started_day,
        ended_day

    from fct_ticket_status_interval

    where not is_finished
        and not is_deleted

),

unfinished_moves as (

    select
        started_day as day,
        1 as tickets
    from unfinished

    union all

    select
        ended_day as day,
        -1 as tickets
    from unfinished
    where ended_day is not null

),

unfinished_summed_to_days as (

    select
        day,
        sum(tickets) as tickets

    from unfinished_moves

    group by day

),

backlogs as (

    select
        support_days.day,
        support_days.backlog_eod,
        sum(coalesce(unfinished_summed_to_days.tickets, 0)) over (
            order by support_days.day
            rows between unbounded preceding and current row
        ) as unfinished_eod

    from support_days

    left join unfinished_summed_to_days
        on support_days.day = unfinished_summed_to_days.day

)

select * from backlogs

where backlog_eod <> unfinished_eod

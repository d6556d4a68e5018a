-- The backlog by status, group and age adds up to the backlog of the day that
-- the support KPIs have.
with

backlog_days as (

    select
        day,
        sum(tickets) as tickets,
        sum(
            age_0_1 + age_1_3 + age_3_7 + age_7_14 + age_14_30 + age_over_30
        ) as tickets_by_age

    from kpi_backlog_daily

    group by day

),

-- Answers to surveys can be newer than any ticket.
support_days as (

    select
        day,
        backlog_eod

    from kpi_support_daily

    where scope_type = 'all'
        and day <= (select max(day) from kpi_backlog_daily)

),

mismatches as (

    select
        support_days.day,
        support_days.backlog_eod,
        coalesce(backlog_days.tickets, 0) as tickets,
        coalesce(backlog_days.tickets_by_age, 0) as tickets_by_age

    from support_days

    left join backlog_days
        on support_days.day = backlog_days.day

)

select * from mismatches

where backlog_eod <> tickets
    or tickets <> tickets_by_age
